package strict

import (
	"net/url"
	"strings"
)

// ParseForm reads application/x-www-form-urlencoded text: pairs joined by &, where an empty pair is skipped and a name
// without = has the empty value. It refuses names that are equal under case folding, empty names, semicolons, broken
// escapes and what is not UTF-8.
func ParseForm(text string, limits Limits) (Fields, error) {
	limits = limits.withDefaults()
	if int64(len(text)) > limits.Bytes {
		return Fields{}, refuse(TooLarge)
	}
	var f Fields
	names := nameSet{}
	for pair := range strings.SplitSeq(text, "&") {
		if pair == "" {
			continue
		}
		m, err := parsePair(pair)
		if err != nil {
			return Fields{}, err
		}
		if !names.add(m.name) {
			return Fields{}, refuse(Duplicate)
		}
		if len(f.members) == limits.Values {
			return Fields{}, refuse(TooMany)
		}
		f.members = append(f.members, m)
	}
	return f, nil
}

func parsePair(pair string) (member, error) {
	if strings.Contains(pair, ";") {
		return member{}, refuse(Syntax) // some readers take it for &
	}
	name, text, _ := strings.Cut(pair, "=")
	name, err := unescape(name)
	if err != nil {
		return member{}, err
	}
	if text, err = unescape(text); err != nil {
		return member{}, err
	}
	if name == "" {
		return member{}, refuse(Syntax)
	}
	return member{name, value{kind: kindForm, text: text}}, nil
}

func unescape(s string) (string, error) {
	s, err := url.QueryUnescape(s)
	if err != nil {
		return "", refuse(Syntax)
	}
	return s, checkText(s)
}

// shares reports whether f and other have a member of one name, case folded.
func (f Fields) shares(other Fields) bool {
	names := nameSet{}
	for _, m := range other.members {
		names.add(m.name)
	}
	for _, m := range f.members {
		if !names.add(m.name) {
			return true
		}
	}
	return false
}
