// Package strict is how handlers read requests and head their answers. A request means one thing to every reader or it
// is refused: no member twice, no member under two spellings, no text that a decoder would silently repair, no more
// bytes, values or depth than allowed.
//
// ReadJSON, ReadForm, Read and Query all give Fields, so that one decode function serves both encodings. Refusals are
// *Error. None of them, and nothing else in this package, holds or logs what was sent.
package strict

// A Reason is the rule that a request broke. The values below are all there are.
type Reason string

// The reasons of an Error.
const (
	MediaType Reason = "content type is not accepted"
	TooLarge  Reason = "too many bytes"
	TooDeep   Reason = "nested too deeply"
	TooMany   Reason = "too many members or values"
	Syntax    Reason = "malformed"
	Encoding  Reason = "invalid UTF-8"
	Duplicate Reason = "a member is given twice"
	NotObject Reason = "not an object"
	WrongType Reason = "a member has the wrong type"
	Aborted   Reason = "could not be read to its end"
)

// An Error says why a request, or one member of it, was refused.
type Error struct {
	Reason Reason
	// Field is the member of a WrongType, as the handler named it. It is empty for every other reason, so a name that the
	// sender chose never gets here.
	Field string
	// Err is what reading the body returned, for Aborted. Its text may hold addresses and is not part of this error's.
	Err error
}

// Error returns the reason and the handler's name for the member.
func (e *Error) Error() string {
	if e.Field == "" {
		return "strict: request refused: " + string(e.Reason)
	}
	return "strict: request refused: " + e.Field + ": " + string(e.Reason)
}

// Unwrap returns Err, so that errors.Is finds a cancelled context.
func (e *Error) Unwrap() error { return e.Err }

func refuse(reason Reason) error { return &Error{Reason: reason} }

// Limits bound one request. A zero field means its default.
type Limits struct {
	Bytes  int64 // of the body, or of the query; default 64 KiB
	Depth  int   // of nested objects and arrays, the outermost counting one; default 16
	Values int   // members and elements at every depth together; default 512
}

func (l Limits) withDefaults() Limits {
	if l.Bytes == 0 {
		l.Bytes = 64 << 10
	}
	if l.Depth == 0 {
		l.Depth = 16
	}
	if l.Values == 0 {
		l.Values = 512
	}
	return l
}
