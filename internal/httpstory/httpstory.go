// Package httpstory runs stories of requests and answers, written as text, against an http.Handler. It is for tests.
//
// A file holds stories. Each begins with "== " and its title, gets a world of its own, and is a list of steps with
// empty lines between them. A line that begins with # is a comment. A step is a request, or a verb of the world with
// its arguments; what must come of it follows "-> ":
//
//	== a code signs in
//
//	POST /start
//	Content-Type: application/json
//	{"email":"alice@example.com"}
//	-> 200
//	Cache-Control: no-store
//	Set-Cookie:
//	{"id":"${id=[0-9a-f]{24}}","sent":true}
//
//	code alice@example.com
//	-> ${code}
//
//	advance 31s
//
// A request is its method and target, headers and body. An answer is a status, some of the headers (one without a value
// must be absent) and the body, which is compared whole: as JSON, numbers by their spelling, if the story writes JSON,
// else as text. A body that the story leaves out may be anything; one that must be empty is written (empty).
//
// ${name} is a value, alone or amid text. The first time that a name stands in what is expected, it takes whatever is
// there, if that is not empty; after that, it must be the same again. ${name=pattern} also demands that all of the
// value matches a regular expression, in which braces come in pairs. ${_} takes anything. In requests and arguments
// values are put in as they are. A value taken from JSON that is no string is its JSON text.
//
// Every world has the verb "from", which sets the address that requests come from.
package httpstory

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A Story is a parsed story.
type Story struct {
	Title string
	steps []step
}

// A step is one paragraph.
type step struct {
	line   int
	what   []string // the lines before "-> "
	expect []string // the lines from it on, without the arrow; none: no matter
}

// Run plays every story of the files that match pattern, each in a world of its own.
func Run(t *testing.T, pattern string, world func(*testing.T) World) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("httpstory: no file matches %q: %v", pattern, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		stories, err := Parse(string(text))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			for _, s := range stories {
				t.Run(s.Title, func(t *testing.T) {
					t.Parallel()
					if err := s.Play(world(t)); err != nil {
						t.Errorf("%s: %v", file, err)
					}
				})
			}
		})
	}
}

// Parse reads stories.
func Parse(text string) ([]Story, error) {
	var stories []Story
	var s *step
	end := func() {
		if s != nil {
			last := &stories[len(stories)-1]
			last.steps = append(last.steps, *s)
		}
		s = nil
	}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, "\r")
		title, begins := strings.CutPrefix(line, "== ")
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.TrimSpace(line) == "":
			end()
		case begins:
			end()
			stories = append(stories, Story{Title: title})
		case len(stories) == 0:
			return nil, fmt.Errorf("line %d: before the first story", i+1)
		default:
			if s == nil {
				s = &step{line: i + 1}
			}
			s.add(line)
		}
	}
	if len(stories) == 0 {
		return nil, fmt.Errorf("no story")
	}
	end()
	return stories, nil
}

// add appends a line to the half of the step where it belongs.
func (s *step) add(line string) {
	expected, arrow := strings.CutPrefix(line, "-> ")
	switch {
	case s.expect == nil && arrow:
		s.expect = []string{expected}
	case s.expect != nil:
		s.expect = append(s.expect, line)
	default:
		s.what = append(s.what, line)
	}
}

// header matches a header line, or one without a value.
var header = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]*):(?: (.*))?$`)

// cutHeaders splits lines into headers and a body.
func cutHeaders(lines []string) (headers [][2]string, body string) {
	for i, line := range lines {
		m := header.FindStringSubmatch(line)
		if m == nil {
			return headers, strings.Join(lines[i:], "\n")
		}
		headers = append(headers, [2]string{m[1], m[2]})
	}
	return headers, ""
}

// request matches a request line.
var request = regexp.MustCompile(`^([A-Z]+) (/\S*)$`)

func parseStatus(s string) (int, error) {
	status, err := strconv.Atoi(s)
	if err != nil {
		return 0, fmt.Errorf("no status: %q", s)
	}
	return status, nil
}
