package linear_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

// String tells what was loaded, for the report of a failure.
func (l loading) String() string {
	keys := make([]string, len(l.keys))
	for i, k := range l.keys {
		keys[i] = fmt.Sprint("r", index(k))
	}
	return fmt.Sprintf("load %s at %s", strings.Join(keys, " "), at(l.now))
}

func (v versions) String() string {
	words := make([]string, len(v))
	for i, one := range v {
		words[i] = brief(one)
	}
	return strings.Join(words, " ")
}

// String tells what was committed.
func (c commit) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "commit at %s", at(c.now))
	for _, charge := range c.batch.Charges {
		word := "charge"
		if charge.Look {
			word = "look at"
		}
		fmt.Fprintf(&b, ", %s b%d %v", word, index(charge.Bucket), costsOf(charge))
	}
	for _, back := range c.batch.GiveBacks {
		fmt.Fprintf(&b, ", give b%d %v", index(back.Bucket), costsOf(back))
	}
	for _, p := range c.batch.Puts {
		was := brief(p.Was)
		if p.Any {
			was = "any"
		}
		fmt.Fprintf(&b, ", put r%d %s over %s until %s", index(p.Record.Key), brief(p.Record.Version), was, at(p.Record.Expires))
	}
	for _, k := range c.batch.Deletes {
		fmt.Fprintf(&b, ", delete r%d", index(k))
	}
	return b.String()
}

// String tells what was answered.
func (o outcome) String() string {
	switch {
	case o.unknown:
		return "unknown"
	case o.conflicts != nil:
		return fmt.Sprintf("conflict on r%v", o.conflicts)
	case o.refused != (store.LimitedError{}):
		return fmt.Sprintf("b%d refuses for %v", index(o.refused.Bucket), o.refused.RetryAfter)
	}
	return fmt.Sprint("done, levels ", o.levels)
}

func costsOf(c store.Charge) (costs []int64) {
	for _, w := range c.Windows {
		costs = append(costs, w.Cost)
	}
	return costs
}

// at returns an instant as the time since t0.
func at(i store.Instant) string { return time.Duration(i - t0).String() }

// brief returns the beginning of a version, or "-" for none.
func brief(v store.Version) string {
	if v == (store.Version{}) {
		return "-"
	}
	return fmt.Sprintf("%x", v[:3])
}
