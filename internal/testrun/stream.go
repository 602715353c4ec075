package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// A tally counts test functions and keeps the names of those that did not pass.
type tally struct {
	passed  int
	failed  []string
	skipped int    // functions
	skips   []skip // functions and subtests
}

// A skip is a test or subtest that skipped itself.
type skip struct{ test, reason string }

// An event is a line of "go test -json"; see go doc test2json.
type event struct {
	Action, Package, ImportPath, Test, Output string
}

// stream runs "go test -json", prints the lines of packages as they come and the output of what fails in full, and
// counts. Its error says that something failed.
func (t *tally) stream(c *exec.Cmd, to io.Writer) error {
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	before := len(t.failed)
	if err := t.read(out, to); err != nil {
		_ = c.Process.Kill() // the error that counts is the first
		_ = c.Wait()
		return fmt.Errorf("read the output of go test: %w", err)
	}
	err = c.Wait()
	if failed := len(t.failed) - before; failed > 0 {
		return fmt.Errorf("%d failed", failed)
	}
	return err
}

func (t *tally) read(from io.Reader, to io.Writer) error {
	open := map[[2]string][]string{} // output of running tests, by package and test
	for decoder := json.NewDecoder(from); ; {
		var e event
		if err := decoder.Decode(&e); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		t.take(e, open, to)
	}
}

// take handles one event.
func (t *tally) take(e event, open map[[2]string][]string, to io.Writer) {
	id := [2]string{e.Package, e.Test}
	switch {
	case e.Action == "output" && e.Test == "":
		packageLine(e.Output, to)
	case e.Action == "build-output":
		fmt.Fprint(to, e.Output)
	case e.Test == "":
		t.packageEnd(e, open, to)
	case e.Action == "run":
		open[id] = nil
	case e.Action == "output":
		open[id] = append(open[id], e.Output)
	case e.Action == "pass" || e.Action == "fail" || e.Action == "skip":
		t.testEnd(e, open[id], to)
		delete(open, id)
	}
}

// testEnd counts a test function. Of subtests it only keeps those that are skipped.
func (t *tally) testEnd(e event, output []string, to io.Writer) {
	name := e.Package + "." + e.Test
	function := !strings.Contains(e.Test, "/")
	switch e.Action {
	case "pass":
		if function {
			t.passed++
		}
	case "fail":
		fmt.Fprint(to, strings.Join(without(output, "=== "), ""))
		if function {
			t.failed = append(t.failed, name)
		}
	case "skip":
		reason := strings.Join(without(output, "=== ", "--- SKIP"), "")
		t.skips = append(t.skips, skip{name, strings.Join(strings.Fields(reason), " ")})
		if function {
			t.skipped++
		}
	}
}

// packageEnd handles tests that a panic or a time limit ended without a word, and a package that failed although no
// test of it did: it was not built, say.
func (t *tally) packageEnd(e event, open map[[2]string][]string, to io.Writer) {
	if e.Action != "fail" {
		return
	}
	for id, output := range open {
		if id[0] != e.Package {
			continue
		}
		delete(open, id)
		t.testEnd(event{Action: "fail", Package: e.Package, Test: id[1]}, output, to)
	}
	for _, name := range t.failed {
		if strings.HasPrefix(name, e.Package+".") {
			return
		}
	}
	t.failed = append(t.failed, e.Package+". (outside its tests)")
}

// packageLine prints a line that is about a whole package, but for the bare words that its closing line repeats.
func packageLine(line string, to io.Writer) {
	switch strings.TrimSpace(line) {
	case "PASS", "FAIL", "testing: warning: no tests to run":
	default:
		fmt.Fprint(to, line)
	}
}

// without returns the lines that begin, after blanks, with none of the prefixes.
func without(lines []string, prefixes ...string) []string {
	var kept []string
next:
	for _, line := range lines {
		for _, p := range prefixes {
			if strings.HasPrefix(strings.TrimLeft(line, " "), p) {
				continue next
			}
		}
		kept = append(kept, line)
	}
	return kept
}
