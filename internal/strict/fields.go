package strict

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Fields are the members of one JSON object, form or query string, in the order in which they came. No two have names
// that are equal under case folding. The zero value has none. Fields are read-only and safe for concurrent use.
//
// The accessors look a member up by its exact name and tell whether it is present; a JSON null counts as absent. A
// present member of another type is a WrongType. A form has only text, so Bool and Int read it there, and Object and
// Strings refuse it.
type Fields struct {
	members []member
}

type member struct {
	name  string
	value value
}

// A value is one JSON value or one form value. Text holds a string decoded, or a number as it was written.
type value struct {
	kind     kind
	text     string
	object   Fields
	elements []value
	raw      []byte
}

type kind uint8

const (
	kindNull kind = iota
	kindTrue
	kindFalse
	kindNumber
	kindString
	kindForm // text without a type
	kindObject
	kindArray
)

// Len returns the number of members, those that are null included.
func (f Fields) Len() int { return len(f.members) }

// Names returns the names of all members in their order. They are the sender's text.
func (f Fields) Names() []string {
	names := make([]string, len(f.members))
	for i, m := range f.members {
		names[i] = m.name
	}
	return names
}

// Unknown returns the names of the members that are not allowed, in their order, and nil if there are none. They are
// the sender's text: escape them in an answer, keep them out of logs.
func (f Fields) Unknown(allowed ...string) []string {
	var names []string
	for _, m := range f.members {
		if !slices.Contains(allowed, m.name) {
			names = append(names, m.name)
		}
	}
	return names
}

// Null reports whether the member is there and is a JSON null.
func (f Fields) Null(name string) bool {
	v, ok := f.get(name)
	return ok && v.kind == kindNull
}

// Raw returns the bytes of a JSON member as they were sent, null included. They are shared: the caller must not change
// them. A form value has none.
func (f Fields) Raw(name string) ([]byte, bool) {
	v, ok := f.get(name)
	return v.raw, ok && v.kind != kindForm
}

// String returns a string, which may be empty.
func (f Fields) String(name string) (s string, present bool, err error) {
	v, ok := f.present(name)
	if !ok {
		return "", false, nil
	}
	if v.kind != kindString && v.kind != kindForm {
		return "", true, wrongType(name)
	}
	return v.text, true, nil
}

// Bool returns a JSON true or false, or a form's text "true" or "false".
func (f Fields) Bool(name string) (b, present bool, err error) {
	v, ok := f.present(name)
	switch {
	case !ok:
		return false, false, nil
	case v.kind == kindTrue, v.kind == kindForm && v.text == "true":
		return true, true, nil
	case v.kind == kindFalse, v.kind == kindForm && v.text == "false":
		return false, true, nil
	}
	return false, true, wrongType(name)
}

// Int returns a whole number that was written without fraction and exponent and fits 64 bits, exactly.
func (f Fields) Int(name string) (n int64, present bool, err error) {
	text, ok, err := f.Number(name)
	if !ok || err != nil {
		return 0, ok, err
	}
	n, parseErr := strconv.ParseInt(text, 10, 64)
	if parseErr != nil {
		return 0, true, wrongType(name)
	}
	return n, true, nil
}

// Number returns a JSON number as it was written, or a form's text that could be one.
func (f Fields) Number(name string) (s string, present bool, err error) {
	v, ok := f.present(name)
	if !ok {
		return "", false, nil
	}
	if v.kind != kindNumber && (v.kind != kindForm || !isNumber(v.text)) {
		return "", true, wrongType(name)
	}
	return v.text, true, nil
}

// isNumber reports whether s is a JSON number with nothing around it. Only numbers end with a digit and do not begin
// with a quote or bracket.
func isNumber(s string) bool {
	return s != "" && strings.Trim(s[:1], "-0123456789") == "" && isDigit(s[len(s)-1]) && json.Valid([]byte(s))
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// Object returns the members of a JSON object.
func (f Fields) Object(name string) (o Fields, present bool, err error) {
	v, ok := f.present(name)
	if ok && v.kind != kindObject {
		return Fields{}, true, wrongType(name)
	}
	return v.object, ok, nil
}

// Strings returns the elements of a JSON array of strings. The slice is the caller's.
func (f Fields) Strings(name string) (list []string, present bool, err error) {
	v, ok := f.present(name)
	if !ok {
		return nil, false, nil
	}
	if v.kind != kindArray {
		return nil, true, wrongType(name)
	}
	list = make([]string, len(v.elements))
	for i, e := range v.elements {
		if e.kind != kindString {
			return nil, true, wrongType(name)
		}
		list[i] = e.text
	}
	return list, true, nil
}

func (f Fields) get(name string) (value, bool) {
	for i := range f.members {
		if f.members[i].name == name {
			return f.members[i].value, true
		}
	}
	return value{}, false
}

func (f Fields) present(name string) (value, bool) {
	v, ok := f.get(name)
	if !ok || v.kind == kindNull {
		return value{}, false
	}
	return v, true
}

func wrongType(name string) error { return &Error{Reason: WrongType, Field: name} }

// A Decoder reads members one after another and keeps the first error, for handlers that read many. After an error its
// methods return zero values.
type Decoder struct {
	fields Fields
	err    error
}

// Decode returns a Decoder of f. It is for one goroutine.
func (f Fields) Decode() *Decoder { return &Decoder{fields: f} }

// Err returns the first error.
func (d *Decoder) Err() error { return d.err }

// String returns a string, empty if it is absent.
func (d *Decoder) String(name string) string { return read(d, name, d.fields.String) }

// Bool returns a truth value, false if it is absent.
func (d *Decoder) Bool(name string) bool { return read(d, name, d.fields.Bool) }

// Int returns a whole number, 0 if it is absent.
func (d *Decoder) Int(name string) int64 { return read(d, name, d.fields.Int) }

// Object returns the members of an object, none if it is absent.
func (d *Decoder) Object(name string) Fields { return read(d, name, d.fields.Object) }

// Strings returns a list of strings, nil if it is absent.
func (d *Decoder) Strings(name string) []string { return read(d, name, d.fields.Strings) }

func read[T any](d *Decoder, name string, get func(string) (T, bool, error)) T {
	var zero T
	if d.err != nil {
		return zero
	}
	v, _, err := get(name)
	if err != nil {
		d.err = err
		return zero
	}
	return v
}

// A nameSet finds names that some reader would take for the same one.
type nameSet map[string]struct{}

// add reports whether the name is new.
func (s nameSet) add(name string) bool {
	key := foldName(name)
	if _, found := s[key]; found {
		return false
	}
	s[key] = struct{}{}
	return true
}

// foldName gives equal results for names that strings.EqualFold calls equal, which is how encoding/json matches them:
// K, k and U+212A are one name there, so they are here.
func foldName(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= utf8.RuneSelf {
			r = leastFold(r)
		}
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, name)
}

func leastFold(r rune) rune {
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	return least
}
