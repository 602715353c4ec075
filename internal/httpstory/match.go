package httpstory

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// values are what a story has taken so far, by name.
type values map[string]string

var placeholder = regexp.MustCompile(`\$\{(\w+)\}`)

// expand puts values in.
func (v values) expand(s string) (string, error) {
	var missing error
	s = placeholder.ReplaceAllStringFunc(s, func(p string) string {
		value, ok := v[p[2:len(p)-1]]
		if !ok {
			missing = fmt.Errorf("no value yet: %s", p)
		}
		return value
	})
	return s, missing
}

// match compares what came with what is expected: as JSON if that is a JSON object or array.
func (v values) match(want, got string) error {
	if strings.HasPrefix(want, "{") || strings.HasPrefix(want, "[") {
		return v.matchJSON(want, got)
	}
	return v.matchText(want, got)
}

// A part of an expectation is text as it is, or a value with its pattern, if it has one.
type part struct{ text, name, pattern string }

// opening matches the beginning of a value in an expectation.
var opening = regexp.MustCompile(`\$\{(\w+)([=}])`)

// parts takes an expectation apart. A pattern ends with the brace that closes the value; those within it come in pairs.
func parts(want string) (all []part) {
	for {
		at := opening.FindStringSubmatchIndex(want)
		if at == nil {
			return append(all, part{text: want})
		}
		all = append(all, part{text: want[:at[0]]})
		value := part{name: want[at[2]:at[3]]}
		rest := want[at[1]:]
		if want[at[4]:at[5]] == "=" {
			end := closing(rest)
			value.pattern, rest = rest[:end], rest[min(end+1, len(rest)):]
		}
		all, want = append(all, value), rest
	}
}

// closing finds the brace that none before it opened.
func closing(s string) int {
	open := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '{':
			open++
		case '}':
			if open == 0 {
				return i
			}
			open--
		}
	}
	return len(s)
}

// matchText matches text around values.
func (v values) matchText(want, got string) error {
	var pattern strings.Builder
	var names []string
	for _, p := range parts(want) {
		if p.name == "" {
			pattern.WriteString(regexp.QuoteMeta(p.text))
			continue
		}
		pattern.WriteString("(?P<v" + strconv.Itoa(len(names)) + ">" + cmp.Or(p.pattern, ".*") + ")")
		names = append(names, p.name)
	}
	re, err := regexp.Compile(`(?s)^(?:` + pattern.String() + `)$`)
	if err != nil {
		return err
	}
	m := re.FindStringSubmatch(got)
	if m == nil {
		return fmt.Errorf("got %q, want %q", got, want)
	}
	for i, name := range names {
		if err := v.take(name, m[re.SubexpIndex("v"+strconv.Itoa(i))]); err != nil {
			return err
		}
	}
	return nil
}

// isValue reports whether an expectation is one value and nothing else.
func isValue(want string) bool {
	all := parts(want)
	return len(all) == 3 && all[0].text == "" && all[2].text == ""
}

// take remembers a value, or compares it with the one remembered.
func (v values) take(name, got string) error {
	if name == "_" {
		return nil
	}
	had, ok := v[name]
	switch {
	case ok && had != got:
		return fmt.Errorf("got %q, want %s again: %q", got, name, had)
	case got == "":
		return fmt.Errorf("%s is empty", name)
	}
	v[name] = got
	return nil
}

func (v values) matchJSON(want, got string) error {
	w, err := decode(want)
	if err != nil {
		return fmt.Errorf("the expectation is no JSON: %w", err)
	}
	g, err := decode(got)
	if err != nil {
		return fmt.Errorf("no JSON: %w", err)
	}
	return v.matchValue("", w, g)
}

func decode(s string) (value any, err error) {
	d := json.NewDecoder(bytes.NewReader([]byte(s)))
	d.UseNumber()
	if err := d.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("more than one value")
	}
	return value, nil
}

// matchValue compares JSON values; at names the place.
func (v values) matchValue(at string, want, got any) error {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || !slices.Equal(slices.Sorted(maps.Keys(w)), slices.Sorted(maps.Keys(g))) {
			return fmt.Errorf("%s: got %s, want the members of %s", at, text(got), text(want))
		}
		for _, key := range slices.Sorted(maps.Keys(w)) {
			if err := v.matchValue(at+"."+key, w[key], g[key]); err != nil {
				return err
			}
		}
		return nil
	case []any:
		g, ok := got.([]any)
		if !ok || len(w) != len(g) {
			return fmt.Errorf("%s: got %s, want %s", at, text(got), text(want))
		}
		for i := range w {
			if err := v.matchValue(fmt.Sprintf("%s[%d]", at, i), w[i], g[i]); err != nil {
				return err
			}
		}
		return nil
	case string:
		return v.matchString(at, w, got)
	}
	if want != got {
		return fmt.Errorf("%s: got %s, want %s", at, text(got), text(want))
	}
	return nil
}

// matchString compares with a string of the expectation. One that is a value takes any type.
func (v values) matchString(at, want string, got any) error {
	s, ok := got.(string)
	if !ok && !isValue(want) {
		return fmt.Errorf("%s: got %s, want a string", at, text(got))
	}
	if !ok {
		s = text(got)
	}
	if err := v.matchText(want, s); err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	return nil
}

// text is the JSON text of a decoded value.
func text(value any) string {
	b, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(b)
}
