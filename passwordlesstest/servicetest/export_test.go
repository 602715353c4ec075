package servicetest

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/seed62b93bad/passwordless/store/storetest"
)

// Failures runs a case of Run against a store from open, and returns what it reports.
func Failures(tb testing.TB, name string, open storetest.Factory) []string {
	r := &recorder{TB: tb}
	for _, c := range cases {
		if c.name != name {
			continue
		}
		var done sync.WaitGroup
		done.Go(func() { c.check(r, open) })
		done.Wait()
	}
	return r.failures
}

// Sentences returns what each case of Run says that it defends.
func Sentences() map[string][]string {
	says := map[string][]string{}
	for _, c := range cases {
		says[c.name] = c.says
	}
	return says
}

// A recorder notes failures instead of failing.
type recorder struct {
	testing.TB
	mu       sync.Mutex // guards failures
	failures []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}
