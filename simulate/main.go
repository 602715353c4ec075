// Simulate is "make simulate": it plays attackers and ordinary people against the real library, on a store in memory and with a
// clock that jumps, and prints what they got.
//
//	go run ./simulate [-only REGEXP] [-j N] [-small] [-docs]
//
// It prints what attackers got, what people met, and what is left in the store, one row a scenario. Then it prints what was
// promised with the worst that was measured: PASS or FAIL. It exits with 1 if anything failed.
//
// docs/limits.md explains the columns and holds the output; SECURITY.md holds its end. To refresh both, at the root of the tree:
//
//	go run ./simulate -docs
//
// The guesses of attackers are wrong on purpose. What they are worth is counted, not tossed: one guess at N codes is 1/N.
// Random numbers of the simulation are seeded; those of the library are not, so two runs differ a little.
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"time"
)

func main() {
	only := flag.String("only", "", "run scenarios whose name matches this regular expression")
	at := flag.Int("j", runtime.NumCPU(), "run so many at once")
	fewer := flag.Bool("small", false, "run small ones, for a look")
	docs := flag.Bool("docs", false, "write the output into docs/limits.md and SECURITY.md")
	flag.Parse()
	if err := simulate(*only, *at, *fewer, *docs); err != nil {
		fmt.Fprintln(os.Stderr, "simulate:", err)
		os.Exit(1)
	}
}

// simulate runs the chosen scenarios and prints what they came to.
func simulate(only string, atOnce int, fewer, docs bool) error {
	begun := time.Now()
	pattern, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	all := full()
	if fewer {
		all = small()
	}
	var chosen []scenario
	for _, s := range all {
		if pattern.MatchString(s.name()) {
			chosen = append(chosen, s)
		}
	}
	results, err := runAll(chosen, atOnce, os.Stderr)
	if err != nil {
		return err
	}
	fmt.Print(text(results))
	fmt.Fprintln(os.Stderr, "took", time.Since(begun).Round(time.Second))
	if docs {
		err = document(results)
	}
	if err == nil && !good(results) {
		err = errFailed
	}
	return err
}
