package strict

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// ParseJSON reads one JSON object (RFC 8259) of at most limits and nothing after it but white space. Beyond
// encoding/json it refuses names that are equal under case folding, at every depth, and text that encoding/json would
// repair: invalid UTF-8 and unpaired surrogate escapes. Strings and names that hold U+FFFD are refused with them,
// because that is what such text has become when somebody repaired it before.
//
// The Fields refer to data, which the caller must not change afterwards.
func ParseJSON(data []byte, limits Limits) (Fields, error) {
	limits = limits.withDefaults()
	switch {
	case int64(len(data)) > limits.Bytes:
		return Fields{}, refuse(TooLarge)
	case !utf8.Valid(data):
		return Fields{}, refuse(Encoding)
	case depth(data) > limits.Depth:
		return Fields{}, refuse(TooDeep)
	case !json.Valid(data):
		return Fields{}, refuse(Syntax)
	}
	w := walker{data: data, text: string(data), left: limits.Values}
	v, err := w.value()
	if err != nil {
		return Fields{}, err
	}
	if v.kind != kindObject {
		return Fields{}, refuse(NotObject)
	}
	return v.object, nil
}

// depth returns how deep brackets outside strings are nested. It needs no valid JSON: text that is not is refused next.
func depth(data []byte) int {
	deepest, open := 0, 0
	inString := false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			open++
			deepest = max(deepest, open)
		case c == '}' || c == ']':
			open--
		}
	}
	return deepest
}

// A walker goes through valid JSON of bounded depth, so nothing here checks the grammar again: a value begins where the
// blanks and separators before it end.
type walker struct {
	data []byte
	text string // data, so that strings without escapes need no copy of their own
	at   int
	left int // values that may still come
}

const separators = " \t\r\n:,"

// next returns the first byte of the next token, and moves there.
func (w *walker) next() byte {
	for strings.IndexByte(separators, w.text[w.at]) >= 0 {
		w.at++
	}
	return w.text[w.at]
}

func (w *walker) value() (v value, err error) {
	if w.left--; w.left < -1 { // the outermost value is not counted
		return value{}, refuse(TooMany)
	}
	first, start := w.next(), w.at
	switch first {
	case '{':
		v, err = w.object()
	case '[':
		v, err = w.array()
	case '"':
		v.kind = kindString
		v.text, err = w.string()
	default:
		v = w.literal()
	}
	v.raw = w.data[start:w.at:w.at]
	return v, err
}

func (w *walker) object() (value, error) {
	v := value{kind: kindObject}
	names := nameSet{}
	for w.at++; w.next() != '}'; {
		name, err := w.string()
		if err != nil {
			return value{}, err
		}
		if !names.add(name) {
			return value{}, refuse(Duplicate)
		}
		m := member{name: name}
		if m.value, err = w.value(); err != nil {
			return value{}, err
		}
		v.object.members = append(v.object.members, m)
	}
	w.at++
	return v, nil
}

func (w *walker) array() (value, error) {
	v := value{kind: kindArray}
	for w.at++; w.next() != ']'; {
		element, err := w.value()
		if err != nil {
			return value{}, err
		}
		v.elements = append(v.elements, element)
	}
	w.at++
	return v, nil
}

// string reads a string token and decodes its escapes.
func (w *walker) string() (string, error) {
	start := w.at
	escaped := false
	for w.at++; w.text[w.at] != '"'; w.at++ {
		if w.text[w.at] == '\\' {
			escaped = true
			w.at++
		}
	}
	w.at++
	s := w.text[start+1 : w.at-1]
	if escaped {
		if err := json.Unmarshal(w.data[start:w.at], &s); err != nil {
			return "", refuse(Syntax)
		}
	}
	return s, checkText(s)
}

// literal reads a number, true, false or null.
func (w *walker) literal() value {
	text := w.text[w.at:]
	if end := strings.IndexAny(text, separators+"]}"); end >= 0 {
		text = text[:end]
	}
	w.at += len(text)
	switch text {
	case "null":
		return value{kind: kindNull}
	case "true":
		return value{kind: kindTrue}
	case "false":
		return value{kind: kindFalse}
	}
	return value{kind: kindNumber, text: text}
}

// checkText refuses what is not UTF-8, and U+FFFD.
func checkText(s string) error {
	if !utf8.ValidString(s) || strings.ContainsRune(s, utf8.RuneError) {
		return refuse(Encoding)
	}
	return nil
}
