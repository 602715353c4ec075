package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// A lab runs tests on mutants.
type lab struct {
	root    string // absolute
	folder  string // for the edited files
	atOnce  int
	timeout time.Duration
	out     io.Writer
}

func newLab(o options) (*lab, error) {
	root, err := filepath.Abs(o.root)
	if err != nil {
		return nil, fmt.Errorf("find the tree: %w", err)
	}
	folder, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	return &lab{root: root, folder: folder, atOnce: max(1, o.atOnce), timeout: o.timeout, out: o.out}, nil
}

func (l *lab) close() { _ = os.RemoveAll(l.folder) } // it holds copies

// try tells whether all mutants are killed. It prints a line for each, and what one has to know
// to kill the others.
func (l *lab) try(ctx context.Context, mutants []mutant) (bool, error) {
	began := time.Now()
	if err := l.unedited(ctx, mutants); err != nil {
		return false, err
	}
	count := map[verdict]int{}
	var mu sync.Mutex
	l.each(len(mutants), func(i int) {
		r := l.one(ctx, i, mutants[i])
		if ctx.Err() != nil {
			return // it was killed by an interrupt
		}
		mu.Lock()
		defer mu.Unlock()
		count[r.verdict]++
		r.print(l.out, mutants[i])
	})
	if err := ctx.Err(); err != nil {
		return false, err
	}
	fmt.Fprintf(l.out, "\n%d mutants: %d killed, %d survived, %d bad, in %s\n",
		len(mutants), count[killed]+count[hung], count[survived], count[bad], time.Since(began).Round(time.Second))
	return count[survived]+count[bad] == 0, nil
}

// unedited runs each set of tests on the tree as it is. What fails there cannot tell anything.
func (l *lab) unedited(ctx context.Context, mutants []mutant) error {
	var sets []tests
	for _, m := range mutants {
		if !slices.Contains(sets, m.tests) {
			sets = append(sets, m.tests)
		}
	}
	began := time.Now()
	errs := make([]error, len(sets))
	l.each(len(sets), func(i int) {
		switch s := l.test(ctx, sets[i], ""); {
		case s.err != nil || s.failed:
			errs[i] = fmt.Errorf("these tests fail without any mutant: %s\n%s", sets[i], s.output())
		case s.passed == 0:
			errs[i] = fmt.Errorf("no test was run, or all were skipped: %s\n%s", sets[i], s.output())
		}
	})
	if err := cmp.Or(ctx.Err(), errors.Join(errs...)); err != nil {
		return err
	}
	fmt.Fprintf(l.out, "unedited  %5.1fs  %d sets of tests pass\n", time.Since(began).Seconds(), len(sets))
	return nil
}

// each calls f with 0 to n-1, so many at once as the lab may.
func (l *lab) each(n int, f func(int)) {
	var all sync.WaitGroup
	next := make(chan int)
	for range min(n, l.atOnce) {
		all.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
}

type verdict string

const (
	killed   verdict = "killed"
	hung     verdict = "hung"
	survived verdict = "SURVIVED"
	bad      verdict = "BAD"
)

// A result is what became of a mutant.
type result struct {
	verdict verdict
	took    time.Duration
	why     string // of bad
}

func (r result) print(to io.Writer, m mutant) {
	word, note := r.verdict, ""
	if word == hung {
		word, note = killed, " (hung)"
	}
	fmt.Fprintf(to, "%-8s  %5.1fs  %s%s\n", word, r.took.Seconds(), m, note)
	switch r.verdict {
	case survived:
		fmt.Fprintf(to, "    %s\n    %s\n", strings.Join(m.edit, "\n    "), m.tests)
	case bad:
		fmt.Fprintf(to, "    %s\n", strings.ReplaceAll(strings.TrimSpace(r.why), "\n", "\n    "))
	}
}

// one tries mutant number i.
func (l *lab) one(ctx context.Context, i int, m mutant) result {
	began := time.Now()
	edited, overlay, err := l.overlay(i, m)
	if err != nil {
		return result{bad, time.Since(began), err.Error()}
	}
	s := l.test(ctx, m.tests, overlay)
	r := result{took: time.Since(began)}
	switch {
	case s.hung:
		r.verdict = hung
	case s.failed:
		r.verdict = killed
	case s.err != nil:
		r.verdict = bad
		r.why = fmt.Sprintf("its tests were not run: %v\n%s", s.err, strings.ReplaceAll(s.output(), edited, m.file))
	default:
		r.verdict = survived
	}
	return r
}

// overlay writes the edited file and the file that lays it over the tree, and returns their names.
func (l *lab) overlay(i int, m mutant) (edited, overlay string, err error) {
	original := filepath.Join(l.root, filepath.FromSlash(m.file))
	edited = filepath.Join(l.folder, fmt.Sprintf("%d-%s", i, filepath.Base(original)))
	overlay = filepath.Join(l.folder, fmt.Sprintf("%d.overlay", i))
	source, err := os.ReadFile(original)
	if err != nil {
		return "", "", err
	}
	text, err := m.apply(string(source))
	if err != nil {
		return "", "", err
	}
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{original: edited}})
	if err != nil {
		return "", "", err
	}
	return edited, overlay, errors.Join(os.WriteFile(edited, []byte(text), 0o600), os.WriteFile(overlay, replace, 0o600))
}

// A summary is what "go test" said.
type summary struct {
	passed int  // test functions
	failed bool // what was built; a package that was not built sets err alone
	hung   bool
	err    error
	said   bytes.Buffer
}

// shown is how many bytes of output are shown at most: the end.
const shown = 4000

func (s *summary) output() string {
	text := strings.TrimSpace(s.said.String())
	if len(text) > shown {
		text = "..." + text[len(text)-shown:]
	}
	return text
}

// test runs tests with the overlay, if there is one, in their module alone. What they need and the machine lacks
// is a failure, since a skipped test kills nothing.
func (l *lab) test(ctx context.Context, t tests, overlay string) *summary {
	arguments := []string{"test", "-json", "-vet=off", "-failfast", "-timeout", l.timeout.String(), "-run", t.pattern}
	if overlay != "" {
		arguments = append(arguments, "-overlay", overlay)
	}
	c := exec.CommandContext(ctx, "go", append(arguments, t.pkg)...)
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 10 * time.Second
	c.Dir = filepath.Join(l.root, filepath.FromSlash(t.module))
	c.Env = append(c.Environ(), "GOWORK=off", "PASSWORDLESS_TEST_REQUIRE=1")
	var out, complaints bytes.Buffer
	c.Stdout, c.Stderr = &out, &complaints
	s := &summary{err: c.Run()}
	s.read(&out)
	s.said.Write(complaints.Bytes())
	return s
}

// read takes the lines of "go test -json"; see go doc test2json.
func (s *summary) read(out io.Reader) {
	for decoder := json.NewDecoder(out); ; {
		var e struct{ Action, Test, Output, FailedBuild string }
		if err := decoder.Decode(&e); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			s.err = errors.Join(s.err, fmt.Errorf("read the output of go test: %w", err))
			return
		}
		switch e.Action {
		case "output", "build-output":
			s.said.WriteString(e.Output)
			s.hung = s.hung || strings.HasPrefix(e.Output, "panic: test timed out after ") ||
				strings.HasPrefix(e.Output, "*** Test killed")
		case "pass":
			if e.Test != "" && !strings.Contains(e.Test, "/") {
				s.passed++
			}
		case "fail":
			s.failed = s.failed || e.FailedBuild == ""
		}
	}
}
