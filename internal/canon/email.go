package canon

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The limits of RFC 5321, section 4.5.3.1, in bytes. A domain cannot exceed its 255 without the address exceeding its 254.
const (
	maxAddress   = 254
	maxLocalPart = 64
)

// Email returns the canonical form of one e-mail address: an ASCII dot-atom, @, and a domain of two or more A-labels,
// all in lower case.
//
// The grammar is the address that people have, not all that RFC 5322 can spell: no quoted local part, comment, display
// name, group, list, address literal, trailing dot or surrounding blank. That is on purpose narrower than net/mail,
// which also takes addresses that another parser reads as a different recipient. The local part is folded too, although
// RFC 5321 leaves its case to the receiver, because no spelling may fork an account or a limit. Dots and +tags are
// kept: they are different mailboxes at most providers.
//
// An internationalised domain is accepted in either form and returned as A-labels. Input that NFKC would change is
// refused, so are symbols, joiners and every mapping of UTS #46 except that of letter case.
//
// The errors are ErrTooLong, ErrUnicode, ErrAddress, ErrLocalPart and ErrDomain. Input that is canonical already is
// returned as it is, without an allocation.
func Email(s string) (string, error) { return email(s, false) }

// EmailUnicode is Email for an application that opted in to internationalised mailboxes (RFC 6531): the local part may
// also hold letters, marks and decimal digits beyond ASCII. They are compared as they are, without folding, so ü and Ü
// are two mailboxes.
func EmailUnicode(s string) (string, error) { return email(s, true) }

func email(s string, unicodeLocal bool) (string, error) {
	if len(s) > maxAddress {
		return "", ErrTooLong
	}
	// Folding comes first: h and a combining macron compose where H and one do not.
	s = lowerASCII(s)
	if !isASCII(s) && !isStable(s) {
		return "", ErrUnicode
	}
	local, domain, ok := strings.Cut(s, "@")
	if !ok || strings.Contains(domain, "@") {
		return "", ErrAddress
	}
	if len(local) > maxLocalPart {
		return "", ErrTooLong
	}
	if !isDotAtom(local, unicodeLocal) {
		return "", ErrLocalPart
	}
	host, ok := domainName(domain)
	if !ok || !isMailDomain(host) {
		return "", ErrDomain
	}
	return joinAddress(s, local, host)
}

// joinAddress returns s if it is the address already. An A-label can be longer than what was typed, so the limit is
// checked again.
func joinAddress(s, local, host string) (string, error) {
	if s[len(local)+1:] == host {
		return s, nil
	}
	if len(local)+1+len(host) > maxAddress {
		return "", ErrTooLong
	}
	return local + "@" + host, nil
}

// isStable reports whether s is UTF-8 that NFKC leaves alone. It keeps out look-alikes of the delimiters (U+FF20,
// U+FF0E) and ligatures before any parser sees them.
func isStable(s string) bool {
	return utf8.ValidString(s) && norm.NFKC.IsNormalString(s)
}

// isDotAtom reports whether s is dot-atom-text of RFC 5322, section 3.2.3: atoms joined by single dots.
func isDotAtom(s string, unicodeAtoms bool) bool {
	for {
		atom, rest, more := strings.Cut(s, ".")
		if !isAtom(atom, unicodeAtoms) {
			return false
		}
		if !more {
			return true
		}
		s = rest
	}
}

func isAtom(atom string, unicodeAtoms bool) bool {
	for i, r := range atom {
		switch {
		case r < utf8.RuneSelf:
			if !isAtext(byte(r)) {
				return false
			}
		case !unicodeAtoms || !isWordRune(r) || i == 0 && unicode.IsMark(r):
			return false // a mark that leads would join the delimiter before it
		}
	}
	return atom != ""
}

func isAtext(c byte) bool {
	return isLower(c) || isDigit(c) || isUpper(c) || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

// isWordRune admits what words are written with: no symbols, emoji, blanks, controls,
// joiners or direction marks.
func isWordRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsMark(r) || unicode.Is(unicode.Nd, r)
}
