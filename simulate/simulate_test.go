package main

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/seed62b93bad/passwordless/store"
)

// allClaims are the claims of the full scenarios. All but the rush are in the small ones too.
var allClaims = []string{yearly, daily, ordinary, sprayed, besieged, atHome, devices, neighbours, rush, locked, othersRows,
	oneRows, fiveRows}

func TestSmallScenariosHoldEveryBound(t *testing.T) { // RL-2, RL-4, RL-5, RL-17
	t.Parallel()
	var progress bytes.Buffer
	results, err := runAll(small(), 1, &progress)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		addsUp(t, r)
		for _, c := range r.claims {
			if !(c.is <= c.bound) {
				t.Errorf("%s: %s: %v, at most %v is allowed", r.name, c.what, c.is, c.bound)
			}
		}
	}
	if !good(results) || strings.Contains(verdicts(results), "FAIL") {
		t.Error(verdicts(results))
	}
	for _, what := range allClaims {
		if what != rush && !slices.ContainsFunc(judge(results), func(v verdict) bool { return v.what == what }) {
			t.Errorf("nothing measured this: %s", what)
		}
	}
}

// addsUp checks that the columns of a row belong together.
func addsUp(t *testing.T, r *result) {
	t.Helper()
	for _, f := range r.faults {
		t.Errorf("%s: %s", r.name, f)
	}
	for k, e := range r.seen {
		if e.longer > e.signIns || e.failed > e.signIns || e.refused > e.starts || e.signIns > e.starts {
			t.Errorf("%s: rank %d: %+v", r.name, k, e)
		}
	}
	for i, s := range r.sizes {
		sum := 0
		for _, n := range s.kinds {
			sum += n
		}
		if sum != s.rows || i > 0 && s.rows > r.sizes[i-1].rows || s.rows > 0 && s.bytes == 0 {
			t.Errorf("%s: sizes %+v", r.name, r.sizes)
		}
	}
	if r.attack == nil {
		return
	}
	a := r.attack.tally
	guesses, units, persons := 0, int64(0), 0.0
	for cost, g := range gradeOf {
		guesses += a.guesses[g]
		units += cost * int64(a.guesses[g])
	}
	for _, chance := range a.persons {
		persons += chance
	}
	if guesses == 0 || guesses > attempts*r.attack.started || units != a.units || r.attack.started > r.attack.calls {
		t.Errorf("%s: %d starts, %d not refused; %v guesses, %d units", r.name, r.attack.calls, r.attack.started, a.guesses, a.units)
	}
	if near := persons / a.chance; near < .999 || near > 1.001 || a.worstDay() > 1.001*a.chance || a.worstPerson() > 1.001*a.chance {
		t.Errorf("%s: chances %v, of persons %v, in a day %v", r.name, a.chance, persons, a.worstDay())
	}
}

func TestTheWorstDayIsAnyDay(t *testing.T) {
	t.Parallel()
	a := newTally()
	for _, hour := range []int{0, 20, 23, 30, 43, 44, 90} {
		a.guess(begin.Add(time.Duration(hour)*time.Hour), "p", 10_000)
	}
	if got := number(a.worstDay()); got != "5e-06" {
		t.Errorf("worst day %s", got)
	}
	if a.guesses[six] != 7 || a.units != 70_000 {
		t.Errorf("%+v", a)
	}
}

func TestASweepThatDiffersIsNoticed(t *testing.T) {
	t.Parallel()
	w, err := newWorld(policy(0, 0), 1)
	if err != nil {
		t.Fatal(err)
	}
	w.store.records[store.Key{Kind: "challenge", Name: "no such row"}] = row{end: 1, size: 1}
	r := &result{}
	r.finish(w)
	if len(r.faults) != 1 || good([]*result{r}) || !strings.Contains(verdicts([]*result{r}), "FAIL") {
		t.Errorf("faults %q", r.faults)
	}
}

func TestAClaimThatFailsIsTold(t *testing.T) {
	t.Parallel()
	a, b := &result{name: "good one"}, &result{name: "bad one"}
	a.claim("x", 1, 1)
	b.claim("x", 1.5, 1)
	a.claim("y", 0, 0)
	if good([]*result{a, b}) || !good([]*result{a}) {
		t.Error("whether all holds")
	}
	told := verdicts([]*result{a, b})
	if !strings.Contains(told, "FAIL  x: worst of 2 is bad one") || !strings.Contains(told, "PASS  y") {
		t.Error(told)
	}
}

// The documents hold the output, and each claim that is made today. How to refresh them is said in main.go.
func TestTheDocumentsHoldTheOutput(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"../docs/limits.md", "../SECURITY.md"} {
		document, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := replace(string(document), ""); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, what := range allClaims {
			if !strings.Contains(string(document), what) {
				t.Errorf("%s does not say: %s", name, what)
			}
		}
		for line := range strings.Lines(string(document)) {
			if utf8.RuneCountInString(line) > 131 {
				t.Errorf("%s: a line is over 130 characters: %s", name, line)
			}
		}
	}
}
