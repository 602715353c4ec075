package strict

import "encoding/base64"

// CodeChallenge reports whether v could be an S256 challenge of PKCE (RFC 7636, 4.2): the 32 bytes of a SHA-256 in
// base64url, in its one spelling.
func CodeChallenge(v string) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(v)
	return err == nil && len(b) == 32 && len(v) == base64.RawURLEncoding.EncodedLen(32)
}
