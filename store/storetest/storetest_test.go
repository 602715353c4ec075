package storetest_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/storetest"
)

// shelves opens two instances with a bug.
func shelves(bug string) storetest.Factory {
	return func(testing.TB) (a, b store.Store) {
		one := newSloppy(bug)
		two := *one
		return one, &two
	}
}

// reopened returns what is left after a crash.
func reopened(_ testing.TB, a, _ store.Store) store.Store {
	s := a.(*sloppy)
	switch s.bug {
	case "forgets records in a crash":
		clear(s.records)
	case "forgets buckets in a crash":
		clear(s.buckets)
	}
	return s
}

func TestRunPassesAStoreWithoutBugs(t *testing.T) {
	storetest.Run(t, shelves(""), storetest.Crash(reopened))
}

func TestSkip(t *testing.T) {
	storetest.Run(t, shelves("never sweeps"), storetest.Skip{
		"durability":                     "memory does not survive the process",
		"sweep":                          "this engine removes what expired by itself",
		"cancellation/past its deadline": "shows that a single case can be skipped",
	})
}

// Each bug must be found by the case beside it; other cases may find it too.
func TestFindsTheBug(t *testing.T) {
	for bug, finder := range map[string]string{
		"folds case":                     "names/hostile names",
		"trims spaces":                   "names/hostile names",
		"ends names at zero":             "names/hostile buckets",
		"makes names valid text":         "names/every byte in a name",
		"cuts long names":                "names/names of 64 bytes",
		"joins kind and name":            "names/kinds",
		"ignores the kind":               "names/kinds",
		"reads a clock":                  "expiry/to the nanosecond",
		"rounds to microseconds":         "expiry/to the nanosecond",
		"expires a nanosecond late":      "expiry/to the nanosecond",
		"keeps instants in binary64":     "expiry/nanoseconds apart",
		"keeps instants in 62 bits":      "expiry/never",
		"never expires":                  "expiry/past expiry leaves the key absent",
		"takes zero for never":           "expiry/past expiry leaves the key absent",
		"takes the expired for there":    "expiry/expired is absent for a put",
		"leaves the body of the expired": "expiry/to the nanosecond",
		"leaves out the absent":          "basics/absent",
		"never deletes":                  "basics/delete",
		"keeps the old owner":            "list/a record changes its owner",
		"keeps the old expiry":           "basics/replace",
		"takes bodies for text":          "names/bodies",
		"limits bodies":                  "names/bodies",

		"does not validate":            "validate/invalid batches",
		"ignores conditions":           "conditions/version",
		"ignores absent":               "conditions/absent",
		"any must be there":            "conditions/any",
		"compares bodies":              "conditions/version of what was deleted and made anew",
		"compares text versions":       "conditions/any version bytes",
		"names the first conflict":     "conditions/every conflict is named",
		"charges on a conflict":        "conditions/a conflict writes nothing",
		"deletes on a conflict":        "conditions/a conflict writes nothing",
		"conflicts before it refuses":  "conditions/a refusal comes before a conflict",
		"tells names":                  "conditions/errors tell no names",
		"writes before all is checked": "atomicity/a conflict of any put leaves nothing",

		"charges by a clock":             "charges/clock steps back",
		"counts in milliseconds":         "charges/refill",
		"takes when it looks":            "charges/look",
		"never refuses a look":           "charges/look",
		"ignores the second window":      "charges/several windows",
		"names the first window":         "charges/a refusal names the window with the longest wait",
		"cost 0 counts as 1":             "charges/costs of the windows are independent",
		"forgets windows":                "charges/a caller that knows fewer windows",
		"computes in binary32":           "charges/numbers near 2^53",
		"reports the last refusal":       "charges/the first refusal is reported",
		"charges before all are granted": "atomicity/a refusal of any charge leaves nothing",
		"gives back first":               "give-backs/a give-back does not make room for the charge beside it",
		"gives back though it refuses":   "give-backs/only if all charges are granted",
		"gives back to now at most":      "give-backs/below now",
		"gives back all":                 "give-backs/give back",
		"never gives back":               "give-backs/give back",
		"keeps its levels":               "ownership/levels are the caller's",

		"forgets its own version":          "retry/the same batch twice",
		"looks for its first version only": "retry/one version of several is enough",
		"charges a retry again":            "retry/the same batch twice",
		"deletes again":                    "retry/give-backs and deletes are not done again",
		"keeps the batch":                  "ownership/the batch is the caller's",
		"sorts the batch":                  "ownership/the batch is not changed",
		"hands out its memory":             "ownership/loaded records are the caller's",
		"reads a replica":                  "isolation/instances see each other at once",
		"ignores the context":              "cancellation/cancelled before",
		"hides why the context ended":      "cancellation/past its deadline",

		"lists every kind":            "list/kind and owner",
		"lists the expired":           "list/expired records are left out",
		"ignores the limit of a page": "list/pages",
		"pages by number":             "list/writes between pages",
		"skips one a page":            "list/pages",
		"repeats one a page":          "list/pages",
		"has no last page":            "list/kind and owner",

		"never sweeps":                             "sweep/to the nanosecond",
		"sweeps the living":                        "sweep/nothing to do",
		"sweeps buckets in use":                    "sweep/nothing to do",
		"sweeps records only":                      "sweep/buckets to the microsecond",
		"looks at the first window when it sweeps": "sweep/buckets to the microsecond",
		"ignores the limit of a sweep":             "sweep/limit",
		"counts wrong when it sweeps":              "sweep/to the nanosecond",

		"lets others in between":     "race/no increment is lost",
		"tears reads":                "race/batches in opposite orders do not deadlock",
		"forgets records in a crash": "durability/puts and deletes",
		"forgets buckets in a crash": "durability/durable charges",
	} {
		t.Run(bug, func(t *testing.T) {
			group, _, _ := strings.Cut(finder, "/")
			failed := storetest.Failures(t, group, shelves(bug), reopened)
			if failed[finder] == nil {
				t.Errorf("%q does not find it; these do: %q", finder, slices.Sorted(maps.Keys(failed)))
			}
		})
	}
}

// A sentence that a case quotes must stand in the comments of the contract.
func TestSentencesAreQuotes(t *testing.T) {
	paths, err := filepath.Glob("../*.go")
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d files, %v", len(paths), err)
	}
	contract := ""
	for _, path := range paths {
		if !strings.HasSuffix(path, "_test.go") {
			contract += comments(t, path) + "\n"
		}
	}
	for name, says := range storetest.Sentences() {
		if len(says) == 0 {
			t.Errorf("%s quotes nothing", name)
		}
		for _, sentence := range says {
			if !strings.Contains(contract, sentence) {
				t.Errorf("%s: not in the contract: %q", name, sentence)
			}
		}
	}
}

// comments returns the comments of a file as one line.
func comments(t *testing.T, path string) string {
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for line := range strings.Lines(string(source)) {
		if _, comment, ok := strings.Cut(line, "//"); ok {
			words = append(words, strings.Fields(comment)...)
		}
	}
	return strings.Join(words, " ")
}
