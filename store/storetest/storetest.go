// Package storetest tells whether a [store.Store] keeps the contract, and
// has a store that fails on purpose for tests of code that uses one.
//
// The test of a driver is one call:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(tb testing.TB) (a, b store.Store) {
//			path := filepath.Join(tb.TempDir(), "store.db")
//			return open(tb, path), open(tb, path)
//		}, storetest.Crash(reopen))
//	}
//
// Every case defends sentences of the contract and prints them when it fails.
// Instants that the kit passes have nothing to do with the real time; some are in
// 1970 and some in 2262. An engine that removes what expired long ago must
// therefore count from the now of the commit, not from its own clock.
//
// Package servicetest looks at what is built on a store that keeps the contract, with the same Factory.
package storetest

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/seed62b93bad/passwordless/store"
)

// A Factory makes a fresh, empty store and returns two instances of it: two
// connections, as two processes would have. It is called for each case, closes with
// tb.Cleanup what it opened, and ends the test with tb.Fatal if it cannot. If the
// store lives in one process only, a and b may be the same.
type Factory func(tb testing.TB) (a, b store.Store)

// An Option of Run is a Skip or a Crash.
type Option interface{ apply(*options) }

type options struct {
	skip  Skip
	crash Crash
}

// Skip maps groups ("durability") and cases ("charges/refill") that are left out
// to the reason, which is printed.
type Skip map[string]string

func (s Skip) apply(o *options) {
	if o.skip == nil {
		o.skip = Skip{}
	}
	maps.Copy(o.skip, s)
}

// reason returns why a case is skipped, or "".
func (s Skip) reason(group, name string) string {
	if why := s[group]; why != "" {
		return why
	}
	return s[group+"/"+name]
}

// Crash ends the instances a and b of one store as a crash of their process would,
// and returns an instance on what is left. The group "durability" needs it; a
// driver that has none skips the group.
type Crash func(tb testing.TB, a, b store.Store) store.Store

func (c Crash) apply(o *options) { o.crash = c }

// Run runs all cases against stores from open, each in a subtest of its own:
// t.Run("charges/refill"). With -short the random and the concurrent cases do less.
func Run(t *testing.T, open Factory, opts ...Option) {
	t.Helper()
	var o options
	for _, opt := range opts {
		opt.apply(&o)
	}
	for _, name := range unknown(o.skip) {
		t.Errorf("storetest: Skip names %q, which is neither a group nor a case", name)
	}
	for _, g := range groups() {
		t.Run(g.name, func(t *testing.T) {
			for _, c := range g.cases {
				t.Run(c.name, func(t *testing.T) { c.report(t, g.name, open, o) })
			}
		})
	}
}

// unknown returns the names in s that mean nothing.
func unknown(s Skip) []string {
	names := maps.Clone(s)
	for _, g := range groups() {
		delete(names, g.name)
		for _, c := range g.cases {
			delete(names, g.name+"/"+c.name)
		}
	}
	return slices.Sorted(maps.Keys(names))
}

type group struct {
	name  string
	cases []testCase
}

// A testCase defends sentences of the contract, quoted word by word.
type testCase struct {
	name string
	says []string
	run  func(k *kit)
}

// groups returns all cases, in the order in which the author of a new store would
// get them to pass.
func groups() []group {
	return []group{
		{"basics", basics},
		{"names", names},
		{"expiry", expiry},
		{"validate", validate},
		{"conditions", conditions},
		{"charges", charges},
		{"give-backs", giveBacks},
		{"model", model},
		{"atomicity", atomicity},
		{"retry", retry},
		{"ownership", ownership},
		{"isolation", isolation},
		{"cancellation", cancellation},
		{"list", list},
		{"sweep", sweep},
		{"race", race},
		{"durability", durability},
	}
}

// report runs the case as a subtest.
func (c testCase) report(t *testing.T, group string, open Factory, o options) {
	if why := o.skip.reason(group, c.name); why != "" {
		t.Skip(why)
	}
	if group == "durability" && o.crash == nil {
		t.Fatal("storetest: give Run a Crash, or a Skip of durability with the reason")
	}
	if failures := c.check(t, open, o.crash); len(failures) > 0 {
		t.Errorf("%s\n\nThe contract says:\n\n%s", strings.Join(failures, "\n"), c.explanation())
	}
}

// explanation returns the sentences of the case, indented.
func (c testCase) explanation() string {
	var b strings.Builder
	for _, s := range c.says {
		b.WriteString("    " + s + "\n")
	}
	return b.String()
}
