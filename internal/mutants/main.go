// Mutants is "make mutants": it breaks the library on purpose, one rule at a time, and
// asks whether a test notices.
//
//	go run ./internal/mutants [-only REGEXP] [-j N] [-timeout DURATION]
//
// It runs at the root of the source tree. The mutants are the paragraphs of list.txt.
// First each set of tests that the list names is run without any edit, and must pass. Then it
// is run once for each mutant, with the edit laid over the file (go help build,
// -overlay): the tree itself is never changed. One line tells what became of each:
//
//	killed    a test failed, or went on for longer than the timeout ("hung")
//	SURVIVED  all tests passed: nothing holds the code to that rule
//	BAD       the edit does not fit the file, or does not compile: correct the list
//
// It exits with 1 unless all were killed.
//
// # To add a mutant
//
// Append a paragraph to list.txt:
//
//	rule  A wrong ring replaces nothing.
//	file  hasher.go
//	test  . . ^TestAWrongRingReplacesNothing$
//	-		if err != nil {
//	+		if err != nil {
//	+			k.current.Store(r)
//	 			return fmt.Errorf("passwordless: replacing keys:\n%w", err)
//
// "rule" is a sentence that the edit makes false. "file" is a path from the root of the
// tree, and may name whatever the compiler reads: Go, or the SQL and Lua of an
// embed directive. "test" is what must notice: the folder of a module, a package in it, and
// the value of -run, as short a run as there is.
//
// The edit is written as in a diff: lines that begin with "-" are replaced by those that
// begin with "+", and lines that begin with a blank stay. Lines are whole, and
// blanks at both their ends do not count. Those that are replaced or stay must occur, one after
// another, exactly once in the file; if they occur twice, write down the line before or
// after them too.
//
// Then run it: make mutants ONLY='wrong ring'.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"time"
)

func main() {
	only := flag.String("only", "", "run those whose `FILE: RULE` matches this regular expression")
	at := flag.Int("j", runtime.NumCPU(), "run so many at once")
	timeout := flag.Duration("timeout", time.Minute, "a mutant whose tests take longer is taken for killed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	good, err := run(ctx, options{
		root: ".", list: "internal/mutants/list.txt", out: os.Stdout, only: *only, atOnce: *at, timeout: *timeout,
	})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
	}
	if !good {
		os.Exit(1)
	}
}

type options struct {
	root, list string
	out        io.Writer
	only       string // "": all
	atOnce     int
	timeout    time.Duration
}

// run tries the mutants of the list and tells whether all were killed.
func run(ctx context.Context, o options) (bool, error) {
	only, err := regexp.Compile(o.only)
	if err != nil {
		return false, fmt.Errorf("-only: %w", err)
	}
	text, err := os.ReadFile(o.list)
	if err != nil {
		return false, fmt.Errorf("read the list: %w", err)
	}
	all, err := parse(string(text))
	if err != nil {
		return false, err
	}
	var chosen []mutant
	for _, m := range all {
		if only.MatchString(m.String()) {
			chosen = append(chosen, m)
		}
	}
	if len(chosen) == 0 {
		return false, fmt.Errorf("none of %d mutants matches %q", len(all), o.only)
	}
	l, err := newLab(o)
	if err != nil {
		return false, err
	}
	defer l.close()
	return l.try(ctx, chosen)
}
