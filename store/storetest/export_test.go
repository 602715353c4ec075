package storetest

import "testing"

// Failures runs a case, or those of a group, against stores from open and returns
// those that fail, by their names, with what they report.
func Failures(tb testing.TB, name string, open Factory, crash Crash) map[string][]string {
	failed := map[string][]string{}
	for _, g := range groups() {
		for _, c := range g.cases {
			if g.name != name && g.name+"/"+c.name != name {
				continue
			}
			if failures := c.check(tb, open, crash); len(failures) > 0 {
				failed[g.name+"/"+c.name] = failures
			}
		}
	}
	return failed
}

// Sentences returns what each case says that it defends.
func Sentences() map[string][]string {
	says := map[string][]string{}
	for _, g := range groups() {
		for _, c := range g.cases {
			says[g.name+"/"+c.name] = c.says
		}
	}
	return says
}
