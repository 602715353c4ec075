package passwordless

import (
	"encoding/binary"
	"fmt"

	"github.com/seed62b93bad/passwordless/store"
)

// Records are stored in a form of our own: a format byte, then the fields in
// order. Numbers are varints, text and bytes carry their length. A body that ends
// within the fields of its format cannot be read. A reader that knows fewer fields ignores the
// rest; so a field is only ever added at the end, read only where the body goes on, and
// two releases can run beside each other.

// bodyFormat is the first byte of each body that this release writes.
const bodyFormat = 1

// A writer appends fields to a body.
type writer struct{ b []byte }

func (w *writer) num(v int64)        { w.b = binary.AppendVarint(w.b, v) }
func (w *writer) at(v store.Instant) { w.num(int64(v)) }
func (w *writer) flag(v bool)        { w.b = append(w.b, boolByte(v)) }
func (w *writer) fixed(v []byte)     { w.b = append(w.b, v...) }
func (w *writer) text(v string)      { w.num(int64(len(v))); w.b = append(w.b, v...) }
func boolByte(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// A reader takes fields from a body. A field that is not there is an error, kept until finish.
type reader struct {
	b     []byte
	bad   bool
	words [2]string // that the record probably repeats: read without a copy
}

func (r *reader) num() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) at() store.Instant { return store.Instant(r.num()) }

func (r *reader) flag() bool {
	var one [1]byte
	r.fixed(one[:])
	return one[0] == 1
}

func (r *reader) fixed(into []byte) {
	if len(r.b) < len(into) {
		r.fail()
		return
	}
	copy(into, r.b)
	r.b = r.b[len(into):]
}

func (r *reader) text() string {
	n := r.num()
	if n < 0 || n > int64(len(r.b)) {
		r.fail()
		return ""
	}
	s := r.intern(r.b[:n])
	r.b = r.b[n:]
	return s
}

// intern makes text of bytes, without a copy for the words that records repeat.
func (r *reader) intern(b []byte) string {
	for _, word := range [...]string{string(Email), string(SMS), string(SignIn), r.words[0], r.words[1]} {
		if string(b) == word {
			return word
		}
	}
	return string(b)
}

func (r *reader) name() name {
	if len(r.b) < nameSize {
		r.fail()
		return ""
	}
	n := name(r.b[:nameSize])
	r.b = r.b[nameSize:]
	return n
}

// more reports whether the body goes on: whether it has the fields that earlier releases did not write.
func (r *reader) more() bool { return len(r.b) > 0 }

func (r *reader) fail() { r.bad, r.b = true, nil }

// openBody checks the format byte of a record and returns a reader of its fields.
func openBody(rec store.Record) (reader, error) {
	if len(rec.Body) == 0 || rec.Body[0] != bodyFormat {
		return reader{}, fmt.Errorf("%w: %s has an unknown format", ErrCorrupt, rec.Key.Kind)
	}
	return reader{b: rec.Body[1:]}, nil
}

// finish returns the error of the fields read.
func (r *reader) finish(kind store.Kind) error {
	if r.bad {
		return fmt.Errorf("%w: %s is cut short", ErrCorrupt, kind)
	}
	return nil
}

func appendInstant(b []byte, i store.Instant) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(i))
}

func readInstant(b []byte) store.Instant { return store.Instant(binary.BigEndian.Uint64(b)) }
