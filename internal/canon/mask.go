package canon

import (
	"strings"
	"unicode/utf8"
)

const masked = "***"

// Mask returns a form of a canonical identifier that its owner recognises and a stranger cannot write to: the first
// character and the domain of an e-mail address (j***@example.com), the last two digits of a telephone number (***11).
// The number of asterisks tells nothing. Of anything else it shows nothing at all.
func Mask(identifier string) string {
	if address, err := EmailUnicode(identifier); err == nil && address == identifier {
		_, first := utf8.DecodeRuneInString(identifier)
		return identifier[:first] + masked + identifier[strings.IndexByte(identifier, '@'):]
	}
	if number, err := Phone(identifier); err == nil && number == identifier {
		return masked + number[len(number)-2:]
	}
	return masked
}
