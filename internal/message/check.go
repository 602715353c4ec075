package message

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The bounds of what reaches a template, in bytes.
const (
	maxAppName = 100
	maxCode    = 64
	maxURL     = 2000
)

// check refuses what could change the form of a message: lines, headers, links.
func (l Letter) check() error {
	switch {
	case l.Channel != Email && l.Channel != SMS:
		return errors.New("message: unknown channel")
	case l.Code == "" && l.Link == "":
		return errors.New("message: neither code nor link")
	case len(l.Code) > maxCode || strings.ContainsFunc(l.Code, notCode):
		return errors.New("message: code with other than ASCII letters, digits, - and _, or longer than 64 bytes")
	case l.Link != "" && !isURL(l.Link):
		return errors.New("message: link is not an http or https URL")
	case l.Cancel != "" && !isURL(l.Cancel):
		return errors.New("message: cancel link is not an http or https URL")
	}
	return CheckAppName(l.AppName)
}

// CheckAppName refuses what cannot be the name of an application in a subject or an SMS.
func CheckAppName(name string) error {
	switch {
	case strings.TrimSpace(name) == "" || len(name) > maxAppName:
		return fmt.Errorf("message: application name of %d bytes, want 1 to %d", len(name), maxAppName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, notGraphic):
		return errors.New("message: application name with a control character")
	}
	return nil
}

func checkHost(host string) error {
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return nil
	}
	if host == "" || len(host) > 253 || strings.ContainsFunc(host, func(c rune) bool {
		return notCode(c) && c != '.' || unicode.IsUpper(c)
	}) {
		return errors.New("message: the host of text messages is no lower-case ASCII host name")
	}
	return nil
}

// isURL reports whether s is an absolute web address that no text, attribute or mail program would cut short.
func isURL(s string) bool {
	rest, ok := strings.CutPrefix(s, "https://")
	if !ok {
		rest, ok = strings.CutPrefix(s, "http://")
	}
	return ok && rest != "" && len(s) <= maxURL && urlBytes.hold(rest)
}

// A byteSet is the bytes that a text may be made of. Every message asks for its links, and a table answers faster than a
// function for each character.
type byteSet [256]bool

// without is the bytes of which a function says no. It must say yes of all that are not ASCII.
func without(not func(rune) bool) *byteSet {
	var s byteSet
	for c := range s {
		s[c] = !not(rune(c))
	}
	return &s
}

func (s *byteSet) hold(text string) bool {
	for _, c := range []byte(text) {
		if !s[c] {
			return false
		}
	}
	return true
}

var urlBytes, plainBytes = without(notURL), without(notPlain)

func notURL(c rune) bool {
	switch c {
	case '"', '\'', '<', '>', '\\', '^', '`', '{', '|', '}':
		return true
	}
	return c <= ' ' || c > '~'
}

func notCode(c rune) bool {
	return !('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '-' || c == '_')
}

// notGraphic is true for what does not show: control characters, line and paragraph
// separators, and the format characters that reorder text.
func notGraphic(c rune) bool { return !unicode.IsGraphic(c) }
