// Package canon turns what people and clients type into the one spelling that the library stores, compares, limits and
// sends to.
//
// Its functions are pure, safe for concurrent use, and refuse what they cannot prove harmless: there is no repair, no
// guessing and no second grammar behind the first. Whatever a function returns it accepts again unchanged, so canonical
// values can be recognised by passing them through. Lengths are checked before anything else, so an input of any size
// costs no more than the longest legal one.
//
// Nothing trims: a handler that wants to forgive a blank around a value takes it off while it decodes the form.
package canon

// An Error names the rule that an input broke. It never holds any part of the input, so it may be logged and shown. The
// values below are all there are; compare with errors.Is.
type Error string

// Error returns the rule with the package prefix.
func (e Error) Error() string { return "canon: " + string(e) }

// The rules that Email, EmailUnicode, Phone and RedirectURI enforce.
const (
	ErrTooLong     Error = "longer than allowed"
	ErrUnicode     Error = "invalid UTF-8, or text that compatibility normalization would change"
	ErrAddress     Error = "not a local part and a domain joined by one @"
	ErrLocalPart   Error = "local part is not a plain dot-atom"
	ErrDomain      Error = "domain is not a valid DNS name of two labels or more"
	ErrNumber      Error = "not an international number of 7 to 15 digits"
	ErrCallingCode Error = "no such country calling code"
	ErrTrunkZero   Error = "a zero behind the country calling code, where the numbering plan has none"
	ErrCharacter   Error = "a character that no URI may hold, or a broken percent escape"
	ErrScheme      Error = "scheme is not allowed"
	ErrFragment    Error = "fragment is not allowed"
	ErrUserinfo    Error = "user information is not allowed"
	ErrHost        Error = "host is missing, not in lower case or not valid"
	ErrPath        Error = "path is missing or has dot segments"
)

// lowerASCII folds A-Z and nothing else. The Unicode foldings would make one name of different mailboxes: they take
// U+0130 to i, U+212A to k and U+017F to s. It allocates only if there is something to fold, and is safe on UTF-8,
// whose longer sequences hold no ASCII bytes.
func lowerASCII(s string) string {
	for i := range len(s) {
		if isUpper(s[i]) {
			return lowerFrom(s, i)
		}
	}
	return s
}

func lowerFrom(s string, i int) string {
	b := []byte(s)
	for ; i < len(b); i++ {
		if isUpper(b[i]) {
			b[i] += 'a' - 'A'
		}
	}
	return string(b)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }
func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
