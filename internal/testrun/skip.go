package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// An exemption names tests that may skip themselves even where nothing may be skipped, and why: what they ask for does
// not exist there.
type exemption struct{ prefix, reason string }

// exemptions reads the file: in each line the beginning of the names of tests, blanks, and the reason. Lines that begin
// with # are comments.
func exemptions(file string) ([]exemption, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the skips that are right: %w", err)
	}
	var all []exemption
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		prefix, reason, _ := strings.Cut(line, " ")
		if reason = strings.TrimSpace(reason); reason == "" {
			return nil, fmt.Errorf("%s: %q has no reason", file, line)
		}
		all = append(all, exemption{prefix, reason})
	}
	return all, nil
}

// list prints what did not pass, with one line for each exemption that was used, and returns how many skips no
// exemption allows.
func (t *tally) list(exempt []exemption, to io.Writer) int {
	used := make([]int, len(exempt))
	var wrong int
next:
	for _, s := range t.skips {
		for i, e := range exempt {
			if strings.HasPrefix(s.test, e.prefix) {
				used[i]++
				continue next
			}
		}
		wrong++
		fmt.Fprintf(to, "skipped: %s: %s\n", s.test, s.reason)
	}
	for i, n := range used {
		if n > 0 {
			fmt.Fprintf(to, "skipped, rightly: %s... (%d): %s\n", exempt[i].prefix, n, exempt[i].reason)
		}
	}
	for _, name := range t.failed {
		fmt.Fprintln(to, "failed: ", name)
	}
	return wrong
}
