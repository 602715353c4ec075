package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// scaled says what was made smaller, so that all ends within minutes.
const scaled = `Each scenario runs at the MaxYearlyRisk or MaxDailyRisk that stands behind "at"; the other has its default. Where
MaxDailyRisk is below the default of 1e-2, it and all traffic were divided by the same number: the shares are those of a
site as large as the default is for. Attackers of one person try 60 starts a day. People sign in once a day: 60 % on a
known device, 25 % in a known network, 15 % elsewhere; 12 % of codes are mistyped unless it says otherwise, and 5 % of
sign-ins end with a wrong code, because somebody gives up.

`

// text is all that there is to tell.
func text(results []*result) string {
	return scaled + gains(results) + "\n" + people(results) + "\n" + rows(results) + "\n" + verdicts(results)
}

// aligned makes a table of lines of cells.
func aligned(lines [][]string) string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, cells := range lines {
		_, _ = fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	_ = t.Flush()
	out := strings.Split(b.String(), "\n")
	for i := range out {
		out[i] = strings.TrimRight(out[i], " ")
	}
	return strings.Join(out, "\n")
}

// gains is what attackers got.
func gains(results []*result) string {
	lines := [][]string{{"what attackers got", "wrong guesses looked at", "risk/1e-10", "in 24 h", "in a year", "one person"}}
	for _, r := range results {
		if r.attack == nil {
			continue
		}
		t := r.attack.tally
		lines = append(lines, []string{r.name, t.byGrade(), fmt.Sprint(t.units), number(t.worstDay()),
			number(t.chance * 365 / float64(r.days)), number(t.worstPerson())})
	}
	return aligned(lines)
}

// people is what people met: strangers, those in known networks, and those on known devices.
func people(results []*result) string {
	lines := [][]string{{"what people met (strangers/networks/devices)", "sign-ins", "starts refused", "longer codes, %", "failed"}}
	for _, r := range results {
		s := &r.seen
		if s.sum().signIns == 0 {
			continue
		}
		lines = append(lines, []string{r.name,
			s.ranked(func(e experience) string { return fmt.Sprint(e.signIns) }),
			s.ranked(func(e experience) string { return fmt.Sprint(e.refused) }),
			s.ranked(func(e experience) string { return fmt.Sprintf("%.2f", share(e.longer, e.signIns)) }),
			s.ranked(func(e experience) string { return fmt.Sprint(e.failed) })})
	}
	return aligned(lines)
}

// ranked is one number of each rank.
func (s *seen) ranked(of func(experience) string) string {
	return of(s[stranger]) + "/" + of(s[knownNetwork]) + "/" + of(s[knownDevice])
}

// few rows are not worth a line.
const few = 1_000

// rows is what is left in the store, where it is much.
func rows(results []*result) string {
	lines := [][]string{{"rows of limits and challenges", "at the end (KiB)", "2 days later", "8 days", "40 days"}}
	for _, r := range results {
		if r.sizes[0].rows < few {
			continue
		}
		cells := []string{r.name, fmt.Sprintf("%d (%d)", r.sizes[0].rows, r.sizes[0].bytes/1024)}
		for _, s := range r.sizes[1:] {
			cells = append(cells, fmt.Sprintf("%d (%d)", s.rows, s.bytes/1024))
		}
		lines = append(lines, cells)
	}
	return aligned(lines)
}

func number(v float64) string { return fmt.Sprintf("%.2g", v) }

var gradeNames = [grades]string{"6:", "7:", "8:", "9:", "L:", "D:"}

// byGrade is how many guesses there were of each grade.
func (t *tally) byGrade() string {
	var parts []string
	for g, n := range t.guesses {
		if n > 0 {
			parts = append(parts, fmt.Sprint(gradeNames[g], n))
		}
	}
	return strings.Join(parts, " ")
}

// A verdict is a claim with the worst that was measured of it.
type verdict struct {
	claim
	where string
	n     int // scenarios that measured it
}

// holds reports whether what is claimed is true. NaN is not.
func (v verdict) holds() bool { return v.is <= v.bound }

// judge finds the worst of each claim, in the order in which they were measured first.
func judge(results []*result) (all []verdict) {
	place := map[string]int{}
	for _, r := range results {
		for _, c := range r.claims {
			i, met := place[c.what]
			if !met {
				i = len(all)
				place[c.what] = i
				all = append(all, verdict{c, r.name, 0})
			}
			v := &all[i]
			if v.n++; c.is-c.bound > v.is-v.bound {
				v.claim, v.where = c, r.name
			}
		}
	}
	return all
}

// verdicts are a line each, and one for each fault.
func verdicts(results []*result) string {
	lines := [][]string{{"", "claim", "measured", "allowed"}}
	for _, v := range judge(results) {
		word := "PASS"
		if !v.holds() {
			word = "FAIL"
		}
		lines = append(lines, []string{word, v.what, fmt.Sprintf("%.3g", v.is), fmt.Sprint(v.bound)})
	}
	out := aligned(lines)
	for _, v := range judge(results) {
		if !v.holds() {
			out += fmt.Sprintf("FAIL  %s: worst of %d is %s\n", v.what, v.n, v.where)
		}
	}
	for _, r := range results {
		for _, f := range r.faults {
			out += fmt.Sprintf("FAIL  %s: %s\n", r.name, f)
		}
	}
	return out
}

// good reports whether everything holds.
func good(results []*result) bool {
	for _, v := range judge(results) {
		if !v.holds() {
			return false
		}
	}
	for _, r := range results {
		if len(r.faults) > 0 {
			return false
		}
	}
	return true
}
