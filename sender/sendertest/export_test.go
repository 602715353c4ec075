package sendertest

import "testing"

// Failures returns what each case finds wrong, and which cases were skipped.
func Failures(t *testing.T, factory func() Harness) (failed map[string][]string, skipped []string) {
	t.Helper()
	failed = map[string][]string{}
	for _, c := range cases() {
		failures, reason := c.check(t.Context(), factory())
		if len(failures) > 0 {
			failed[c.name] = failures
		}
		if reason != "" {
			skipped = append(skipped, c.name)
		}
	}
	return failed, skipped
}
