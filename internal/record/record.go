// Package record is the form in which the bodies of records are stored: a format byte, then the fields in order. Numbers
// are varints; text carries its length. A reader that knows fewer fields than were written ignores the rest. So a field is only
// ever added at the end, and read only where the body goes on: then two releases can run beside each other.
package record

import (
	"encoding/binary"
	"errors"
	"math"
)

// Format is the first byte of each body that this release writes.
const Format = 1

// What is wrong with a body. Neither tells what it holds.
var (
	ErrFormat = errors.New("unknown format")
	ErrShort  = errors.New("cut short")
	ErrValue  = errors.New("a value that was never written")
)

// A Writer appends fields to a body.
type Writer struct{ body []byte }

// NewWriter begins a body of about size bytes.
func NewWriter(size int) Writer { return Writer{append(make([]byte, 0, size), Format)} }

// Bytes returns the body.
func (w *Writer) Bytes() []byte { return w.body }

// Num appends a number.
func (w *Writer) Num(v int64) { w.body = binary.AppendVarint(w.body, v) }

// Byte appends bytes as they are; Reader.Fixed reads them.
func (w *Writer) Byte(v ...byte) { w.body = append(w.body, v...) }

// Flag appends a truth value.
func (w *Writer) Flag(v bool) { w.Byte(Bit(v)) }

// Text appends text behind its length.
func (w *Writer) Text(v string) { w.Num(int64(len(v))); w.body = append(w.body, v...) }

// Bit is 1 for true and 0 for false.
func Bit(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// A Reader takes fields from a body. A field that is not there is remembered as a mistake until Err.
type Reader struct {
	body  []byte
	err   error
	words [6]string
}

// Open returns a reader of a body's fields. Texts that equal one of words (at most six) are read without a copy.
func Open(body []byte, words ...string) Reader {
	r := Reader{}
	copy(r.words[:], words)
	if len(body) == 0 || body[0] != Format {
		r.err = ErrFormat
		return r
	}
	r.body = body[1:]
	return r
}

// Num takes a number.
func (r *Reader) Num() int64 {
	v, n := binary.Varint(r.body)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.body = r.body[n:]
	return v
}

// Small takes a number from 0 to 255.
func (r *Reader) Small() uint8 {
	v := r.Num()
	if v < 0 || v > 255 {
		r.Refuse()
	}
	return uint8(v)
}

// Num32 takes a number from 0 to 2^32-1.
func (r *Reader) Num32() uint32 {
	v := r.Num()
	if v < 0 || v > math.MaxUint32 {
		r.Refuse()
	}
	return uint32(v)
}

// Flag takes a truth value.
func (r *Reader) Flag() bool {
	var one [1]byte
	r.Fixed(one[:])
	return r.Bit(one[0])
}

// Bit reads a byte as a truth value. Any other than 0 and 1 was never written.
func (r *Reader) Bit(v byte) bool {
	if v > 1 {
		r.Refuse()
	}
	return v == 1
}

// Fixed takes as many bytes as into has.
func (r *Reader) Fixed(into []byte) {
	if len(r.body) < len(into) {
		r.fail()
		return
	}
	copy(into, r.body)
	r.body = r.body[len(into):]
}

// Text takes text.
func (r *Reader) Text() string {
	n := r.Num()
	if n < 0 || n > int64(len(r.body)) {
		r.fail()
		return ""
	}
	s := r.intern(r.body[:n])
	r.body = r.body[n:]
	return s
}

// Chars takes text of n bytes that carries no length.
func (r *Reader) Chars(n int) string {
	if len(r.body) < n {
		r.fail()
		return ""
	}
	s := string(r.body[:n])
	r.body = r.body[n:]
	return s
}

func (r *Reader) intern(b []byte) string {
	for _, word := range r.words {
		if string(b) == word {
			return word
		}
	}
	return string(b)
}

// Refuse notes that a field holds what was never written.
func (r *Reader) Refuse() {
	if r.err == nil {
		r.err = ErrValue
	}
}

// Err returns what was wrong first, nil if nothing was.
func (r *Reader) Err() error { return r.err }

func (r *Reader) fail() {
	if r.err == nil {
		r.err = ErrShort
	}
	r.body = nil
}
