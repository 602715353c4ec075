// Package jose reads and makes what the library needs of JSON Object Signing and Encryption: the key sets and the
// assertions of clients, and tokens of our own.
//
// A key has one algorithm, settled when the key is read or configured. No header of a token chooses another (RFC 8725,
// 3.1). Errors about key sets and assertions tell the mistake and never repeat what was read.
package jose

import "encoding/base64"

var encoding = base64.RawURLEncoding.Strict()

// decodeText decodes base64url that is spelled in its one way: without padding, spare bits or line breaks, which the
// decoder would skip.
func decodeText(text string) ([]byte, bool) {
	b, err := encoding.DecodeString(text)
	return b, err == nil && len(text) == encoding.EncodedLen(len(b))
}

// printable reports whether text is 1 to most printable ASCII bytes.
func printable(text string, most int) bool {
	for _, b := range []byte(text) {
		if b < ' ' || b > '~' {
			return false
		}
	}
	return len(text) >= 1 && len(text) <= most
}
