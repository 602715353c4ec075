package canon

import "strings"

// An Alphabet is the set of ASCII characters that a short code is written with.
type Alphabet string

// The alphabets of short codes.
const (
	Digits Alphabet = "0123456789"
	// Base20 has no vowels, so that no words appear, and no letters that look like digits.
	Base20 Alphabet = "BCDFGHJKLMNPQRSTVWXZ"
)

// maxCodeInput bounds the work; the longest code shown in groups is half of it.
const maxCodeInput = 64

// Code returns what a person entered as a code without the spaces and hyphens it was shown with, its letters in upper case,
// and whether that is a text of the alphabet. Only ASCII counts: digits of other scripts are refused, not converted. Input
// longer than 64 bytes and input without a character of the alphabet are refused. The length is the caller's to compare.
func Code(s string, alphabet Alphabet) (string, bool) {
	if len(s) > maxCodeInput {
		return "", false
	}
	var buf [maxCodeInput]byte
	code := buf[:0]
	for i := range len(s) {
		c := s[i]
		if c == ' ' || c == '-' {
			continue
		}
		if isLower(c) {
			c -= 'a' - 'A'
		}
		if strings.IndexByte(string(alphabet), c) < 0 {
			return "", false
		}
		code = append(code, c)
	}
	if string(code) == s {
		return s, s != ""
	}
	return string(code), len(code) > 0
}
