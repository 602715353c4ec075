// Package servicetest tells whether a Service keeps its promises on a store of your own.
//
// The test of a driver is one call, beside that of storetest.Run:
//
//	func TestServiceOnStore(t *testing.T) {
//		servicetest.Run(t, func(tb testing.TB) (a, b store.Store) {
//			path := filepath.Join(tb.TempDir(), "store.db")
//			return open(tb, path), open(tb, path)
//		})
//	}
//
// Every case defends sentences of package passwordless and prints them when it fails.
package servicetest

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/store/storetest"
)

// Run runs two Services on each store from open, one on each of its instances, as two processes would have them, and
// tells whether they keep what package passwordless promises. storetest.Run looks at the contract of a store itself:
// Run finds what no case there thought of.
//
// Each case is a subtest of its own, t.Run("the guess ledger"). skips map the names of those that are left out to the
// reason, which is printed. With -short the cases do less.
func Run(t *testing.T, open storetest.Factory, skips ...storetest.Skip) {
	t.Helper()
	skipped := storetest.Skip{}
	for _, s := range skips {
		maps.Copy(skipped, s)
	}
	for _, name := range unknown(skipped) {
		t.Errorf("servicetest: Skip names %q, which is no case", name)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if why := skipped[c.name]; why != "" {
				t.Skip(why)
			}
			t.Cleanup(func() {
				if t.Failed() {
					t.Log("passwordless says:\n\n    " + strings.Join(c.says, "\n    "))
				}
			})
			c.check(t, open)
		})
	}
}

// unknown returns the names in s that mean nothing.
func unknown(s storetest.Skip) []string {
	names := maps.Clone(s)
	for _, c := range cases {
		delete(names, c.name)
	}
	return slices.Sorted(maps.Keys(names))
}

// A testCase defends sentences of package passwordless, quoted word by word.
type testCase struct {
	name   string
	says   []string
	policy func(*passwordless.Policy) // alters the policy; nil: not at all
	run    func(d *duo)
}

func (c testCase) check(tb testing.TB, open storetest.Factory) {
	tb.Helper()
	d, end := newDuo(tb, open, c.policy)
	defer end()
	c.run(d)
}
