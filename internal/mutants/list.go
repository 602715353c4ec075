package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A mutant is an edit of one file, and the tests that must notice it.
type mutant struct {
	rule   string // a sentence that the edit makes false
	file   string // from the root of the tree, with slashes
	tests  tests
	edit   []string // lines, each behind '-', '+' or ' '
	inList int      // the line of the list where it begins
}

// Tests are one run of "go test".
type tests struct {
	module  string // its folder
	pkg     string // from there
	pattern string // of -run
}

func (m mutant) String() string { return m.file + ": " + m.rule }

// String is what one types to run the tests.
func (t tests) String() string {
	return fmt.Sprintf("cd %s && GOWORK=off go test -run '%s' %s", t.module, t.pattern, t.pkg)
}

// parse reads the list, which package documentation describes. Lines that begin with # are
// comments. Its error names all that is wrong.
func parse(text string) ([]mutant, error) {
	var all []mutant
	var errs []error
	var m mutant
	end := func() {
		if m.inList == 0 {
			return
		}
		err := m.complete()
		if err == nil && slices.ContainsFunc(all, func(other mutant) bool { return other.String() == m.String() }) {
			err = errors.New("its rule is in the list already")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("the mutant in line %d of the list: %w", m.inList, err))
		}
		all, m = append(all, m), mutant{}
	}
	for i, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(line, "#"):
			continue
		case strings.TrimSpace(line) == "":
			end()
			continue
		case m.inList == 0:
			m.inList = i + 1
		}
		if err := m.take(line); err != nil {
			errs = append(errs, fmt.Errorf("line %d of the list: %w", i+1, err))
		}
	}
	end()
	return all, errors.Join(errs...)
}

// take adds a line of the list.
func (m *mutant) take(line string) error {
	if strings.ContainsAny(line[:1], "-+ \t") {
		m.edit = append(m.edit, line)
		return nil
	}
	key, value, _ := strings.Cut(line, " ")
	value = strings.TrimSpace(value)
	switch key {
	case "rule":
		m.rule = value
	case "file":
		m.file = value
	case "test":
		fields := strings.Fields(value)
		if len(fields) != 3 {
			return fmt.Errorf("%q: want the folder of a module, a package and a pattern", value)
		}
		m.tests = tests{fields[0], fields[1], fields[2]}
		if fields[1] != "." {
			m.tests.pkg = "./" + strings.TrimPrefix(fields[1], "./")
		}
	default:
		return fmt.Errorf("%q: want rule, file, test, or a line that begins with '-', '+' or a blank", line)
	}
	return nil
}

// complete tells what is missing.
func (m *mutant) complete() error {
	old, mutated := m.sides()
	switch {
	case m.rule == "":
		return errors.New("it has no rule")
	case m.file == "":
		return errors.New("it names no file")
	case m.tests == tests{}:
		return errors.New("it names no test")
	case len(old) == 0:
		return errors.New("its edit names no line that is there")
	case slices.EqualFunc(old, mutated, sameLine):
		return errors.New("its edit changes nothing")
	}
	return nil
}

// sides returns the lines before and after the edit.
func (m *mutant) sides() (old, mutated []string) {
	for _, line := range m.edit {
		if line[0] != '+' {
			old = append(old, line[1:])
		}
		if line[0] != '-' {
			mutated = append(mutated, line[1:])
		}
	}
	return old, mutated
}

// apply returns the source with the edit.
func (m *mutant) apply(source string) (string, error) {
	old, mutated := m.sides()
	lines := strings.Split(source, "\n")
	at, times := 0, 0
	for i := range len(lines) - len(old) + 1 {
		if slices.EqualFunc(lines[i:i+len(old)], old, sameLine) {
			at = i
			times++
		}
	}
	if times != 1 {
		return "", fmt.Errorf("the lines that line %d of the list replaces must occur once in %s, and occur %d times:\n%s",
			m.inList, m.file, times, strings.Join(m.edit, "\n"))
	}
	return strings.Join(slices.Replace(lines, at, at+len(old), mutated...), "\n"), nil
}

func sameLine(a, b string) bool { return strings.TrimSpace(a) == strings.TrimSpace(b) }
