// Testrun is "make test": it tests every module, builds the examples and checks the arrows between packages.
//
//	go run ./internal/testrun [-require] MODULE/go.mod ...
//
// It runs at the root of the source tree. What the tests need and the machine lacks is installed if that asks nobody;
// else it is named, with what to type. The closing lines say of each part whether it ran, or why not, then "N passed, N
// failed, N skipped", which counts test functions. With -require all that did not run, and each skipped test that
// skips.txt does not name, is a failure.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

func main() {
	require := flag.Bool("require", false, "fail if anything is missing or skipped")
	flag.Parse()
	exempt, err := exemptions("internal/testrun/skips.txt")
	if err != nil {
		fmt.Fprintln(os.Stderr, "testrun:", err)
		os.Exit(1)
	}
	r := run{require: *require, exempt: exempt}
	r.prepare(needs)
	for _, file := range flag.Args() {
		r.module(filepath.Dir(file))
	}
	r.command("allocations", "go", "test", "-run", "Allocat", ".")
	r.examples()
	r.command("arch", append([]string{"go", "run", "./internal/arch"}, flag.Args()...)...)
	if !r.report(os.Stdout) {
		os.Exit(1)
	}
}

// A run collects what happened. It is for one goroutine.
type run struct {
	require bool
	exempt  []exemption
	race    bool
	environ []string // for the tests, besides this process's
	parts   []part
	tests   tally
}

// A part is one closing line.
type part struct {
	name    string
	outcome string
	bad     bool // it failed, or may not be missing
}

func (r *run) ran(name string, err error) {
	if err != nil {
		r.parts = append(r.parts, part{name, "FAILED: " + err.Error(), true})
		return
	}
	r.parts = append(r.parts, part{name, "ran", false})
}

func (r *run) missing(name, why string) {
	r.parts = append(r.parts, part{name, "not run: " + why, r.require})
}

// module tests one module on its own, as its users get it.
func (r *run) module(folder string) {
	name := folder
	if folder == "." {
		name = "root module"
	}
	fmt.Printf("\n%s\n", name)
	arguments := []string{"test", "-json", "-timeout", "15m"}
	if r.race {
		arguments = append(arguments, "-race")
	}
	if r.require { // the cache of go test does not see that a program of another module has changed
		arguments = append(arguments, "-count=1")
	}
	c := exec.Command("go", append(arguments, "./...")...)
	c.Dir, c.Stderr = folder, os.Stderr
	c.Env = append(os.Environ(), append(r.environ, "GOWORK=off")...)
	r.ran(name, r.tests.stream(c, os.Stdout))
}

// examples builds the examples in the workspace: against the modules of this tree.
func (r *run) examples() {
	r.command("examples", "go", "build", "./examples/...")
}

func (r *run) command(name string, command ...string) {
	fmt.Printf("\n%s\n", name)
	c := exec.Command(command[0], command[1:]...)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	r.ran(name, c.Run())
}

// report prints the closing lines and tells whether all is well.
func (r *run) report(to io.Writer) bool {
	fmt.Fprintln(to)
	skips := r.tests.list(r.exempt, to)
	good := len(r.tests.failed) == 0 && !(r.require && skips > 0)
	fmt.Fprintln(to)
	for _, p := range r.parts {
		fmt.Fprintf(to, "%-24s %s\n", p.name, p.outcome)
		good = good && !p.bad
	}
	fmt.Fprintf(to, "\n%d passed, %d failed, %d skipped\n", r.tests.passed, len(r.tests.failed), r.tests.skipped)
	return good
}
