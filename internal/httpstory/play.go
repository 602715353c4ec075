package httpstory

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
)

// A World is what one story happens in.
type World struct {
	Handler http.Handler
	// Verbs are what a story can do besides requests. A verb returns what a step expects of it.
	Verbs map[string]func(args ...string) (string, error)
}

// A player is a story on its way.
type player struct {
	World
	address string
	values  values
}

// Play takes the story's steps in order and returns the first thing that is not as it should be, with its line.
func (s Story) Play(w World) error {
	p := &player{World: w, address: "192.0.2.1", values: values{}}
	for _, step := range s.steps {
		if err := p.step(step); err != nil {
			return fmt.Errorf("line %d: %w", step.line, err)
		}
	}
	return nil
}

func (p *player) step(s step) error {
	if len(s.what) == 0 {
		return fmt.Errorf("nothing before the arrow")
	}
	what := make([]string, len(s.what))
	for i, line := range s.what {
		var err error
		if what[i], err = p.values.expand(line); err != nil {
			return err
		}
	}
	if m := request.FindStringSubmatch(what[0]); m != nil {
		return p.request(m[1], m[2], what[1:], s.expect)
	}
	return p.verb(strings.Fields(strings.Join(what, " ")), s.expect)
}

func (p *player) verb(words, expect []string) error {
	if words[0] == "from" && len(words) == 2 {
		p.address = words[1]
		return nil
	}
	do, ok := p.Verbs[words[0]]
	if !ok {
		return fmt.Errorf("no such verb: %s", words[0])
	}
	got, err := do(words[1:]...)
	if err != nil || expect == nil {
		return err
	}
	return p.values.match(strings.Join(expect, "\n"), got)
}

func (p *player) request(method, target string, lines, expect []string) error {
	headers, body := cutHeaders(lines)
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.RemoteAddr = p.address + ":40000"
	if strings.Contains(p.address, ":") {
		r.RemoteAddr = "[" + p.address + "]:40000"
	}
	for _, h := range headers {
		r.Header.Add(h[0], h[1])
	}
	rec := httptest.NewRecorder()
	p.Handler.ServeHTTP(rec, r)
	if expect == nil {
		return nil
	}
	if err := p.check(rec, expect); err != nil {
		return fmt.Errorf("%s %s: %w\ngot %d %v\n%s", method, target, err, rec.Code, rec.Header(), rec.Body)
	}
	return nil
}

// check compares an answer with what is expected.
func (p *player) check(got *httptest.ResponseRecorder, expect []string) error {
	status, err := parseStatus(expect[0])
	if err != nil {
		return err
	}
	if got.Code != status {
		return fmt.Errorf("want status %d", status)
	}
	headers, body := cutHeaders(expect[1:])
	for _, h := range headers {
		if err := p.checkHeader(h[0], h[1], got.Result().Header); err != nil {
			return err
		}
	}
	switch body {
	case "":
		return nil
	case "(empty)":
		body = ""
	}
	return p.values.match(body, got.Body.String())
}

func (p *player) checkHeader(name, want string, header http.Header) error {
	got := header.Values(name)
	switch {
	case want == "" && len(got) > 0:
		return fmt.Errorf("header %s: want none", name)
	case want == "":
		return nil
	case len(got) != 1:
		return fmt.Errorf("header %s: want one", name)
	}
	if err := p.values.match(want, got[0]); err != nil {
		return fmt.Errorf("header %s: %w", name, err)
	}
	return nil
}
