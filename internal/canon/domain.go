package canon

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// The limits of RFC 1035, section 2.3.4, in bytes of the form with A-labels.
const (
	maxDomain = 253
	maxLabel  = 63
)

const acePrefix = "xn--"

// domainName returns the A-label form of a domain whose ASCII letters are lower case, and whether it is a host name by
// RFC 1123: labels of letters, digits and inner hyphens.
func domainName(s string) (string, bool) {
	if !isASCII(s) || strings.Contains(s, acePrefix) {
		var ok bool
		if s, ok = toALabels(s); !ok {
			return "", false
		}
	}
	return s, isHostName(s)
}

// toALabels converts by UTS #46 and refuses every domain that the conversion would do more to than encode it and fold
// its case: what was validated must be what was typed. The way back decodes and validates each A-label, so that a label
// which decodes to ASCII, to capitals or to something its own encoding would not give is refused.
func toALabels(s string) (string, bool) {
	a, err := idna.Lookup.ToASCII(s)
	if err != nil {
		return "", false
	}
	u, err := idna.Lookup.ToUnicode(a)
	if err != nil {
		return "", false
	}
	typed, encoded, decoded := strings.Split(s, "."), strings.Split(a, "."), strings.Split(u, ".")
	if len(typed) != len(encoded) || len(typed) != len(decoded) {
		return "", false
	}
	for i, label := range typed {
		same := label == encoded[i] || !isASCII(label) && sameButCase(label, decoded[i])
		if !same || !isWord(decoded[i]) {
			return "", false
		}
	}
	return a, true
}

// sameButCase reports whether folded is typed with each rune either kept or replaced by its own lower case.
func sameButCase(typed, folded string) bool {
	for _, r := range typed {
		f, size := utf8.DecodeRuneInString(folded)
		if f != r && f != unicode.ToLower(r) {
			return false
		}
		folded = folded[size:]
	}
	return folded == ""
}

// isWord reports whether the runes beyond ASCII are those of words. UTS #46 would also take emoji and symbols, which
// IDNA 2008 does not register.
func isWord(label string) bool {
	for _, r := range label {
		if r >= utf8.RuneSelf && !isWordRune(r) {
			return false
		}
	}
	return true
}

// isMailDomain reports whether a host name can be the domain of a mailbox on the public Internet: at least two labels,
// and not an IPv4 address in any of its spellings.
func isMailDomain(host string) bool {
	dot := strings.LastIndexByte(host, '.')
	return dot > 0 && isLower(host[dot+1])
}

func isHostName(s string) bool {
	if len(s) > maxDomain {
		return false
	}
	for {
		label, rest, more := strings.Cut(s, ".")
		if !isLabel(label) {
			return false
		}
		if !more {
			return true
		}
		s = rest
	}
}

// isLabel reports whether s is a letter-digit-hyphen label. Two hyphens in the third and fourth place are reserved (RFC
// 5891, section 4.2.3.1) and stand only in A-labels, which toALabels has decoded.
func isLabel(s string) bool {
	if s == "" || len(s) > maxLabel || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	if len(s) >= 4 && s[2:4] == "--" && s[:2] != acePrefix[:2] {
		return false
	}
	for i := range len(s) {
		if !isLower(s[i]) && !isDigit(s[i]) && s[i] != '-' {
			return false
		}
	}
	return true
}
