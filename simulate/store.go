package main

import (
	"context"
	"slices"
	"time"

	"github.com/seed62b93bad/passwordless/internal/limit"
	"github.com/seed62b93bad/passwordless/store"
)

// A counting is a Store that counts: the guesses that were evaluated, for whoever acts, and the rows that are there. It keeps
// a copy of the ends of all rows, which a sweep must confirm.
type counting struct {
	store.Store
	actor   *tally // of the call in progress; nil for somebody who is not counted
	records map[store.Key]row
	buckets map[store.Key][]int64
	wrong   int // rows that a sweep removed and the copy did not, or the other way round
}

// A row is one record.
type row struct {
	end  store.Instant
	size int
}

func newCounting(under store.Store) *counting {
	return &counting{Store: under, records: map[store.Key]row{}, buckets: map[store.Key][]int64{}}
}

// Commit commits, and counts what was committed.
func (c *counting) Commit(ctx context.Context, now store.Instant, b store.Batch) (store.Levels, error) {
	levels, err := c.Store.Commit(ctx, now, b)
	if err != nil {
		return levels, err
	}
	for i, charge := range b.Charges {
		if charge.Look {
			continue
		}
		c.buckets[charge.Bucket] = slices.Clone(levels[i])
		if charge.Bucket.Kind == limit.Ledger && c.actor != nil {
			c.actor.guess(now.Time(), charge.Bucket.Name, charge.Windows[0].Cost)
		}
	}
	for _, back := range b.GiveBacks {
		if state, there := c.buckets[back.Bucket]; there {
			c.buckets[back.Bucket] = back.Give(state)
		}
	}
	for _, p := range b.Puts {
		r := &p.Record
		c.records[r.Key] = row{r.Expires, len(r.Key.Kind) + len(r.Key.Name) + len(r.Version) + len(r.Owner) + len(r.Body) + 8}
	}
	for _, k := range b.Deletes {
		delete(c.records, k)
	}
	return levels, nil
}

// Sweep sweeps both, and compares.
func (c *counting) Sweep(ctx context.Context, now store.Instant, most int) (int, error) {
	removed, err := c.Store.Sweep(ctx, now, most)
	gone := 0
	for k, r := range c.records {
		if r.end <= now {
			delete(c.records, k)
			gone++
		}
	}
	for k, state := range c.buckets {
		if slices.Max(state) <= now.Micros() {
			delete(c.buckets, k)
			gone++
		}
	}
	if gone != removed {
		c.wrong++
	}
	return removed, err
}

// A size is how much is stored of what an attacker can make: challenges, and buckets. Users, sessions and known networks are
// not in it.
type size struct {
	rows, bytes int
	kinds       map[store.Kind]int // rows of each kind
}

// size counts the rows that are there.
func (c *counting) size() size {
	s := size{kinds: map[store.Kind]int{}}
	for k, r := range c.records {
		if k.Kind == "challenge" || k.Kind == "cooldown" {
			s.rows, s.bytes = s.rows+1, s.bytes+r.size
			s.kinds[k.Kind]++
		}
	}
	for k, state := range c.buckets {
		s.rows, s.bytes = s.rows+1, s.bytes+len(k.Kind)+len(k.Name)+8*len(state)
		s.kinds[k.Kind]++
	}
	return s
}

// A grade is a kind of code whose guesses are counted apart.
type grade uint8

// The grades.
const (
	six grade = iota
	seven
	eight
	nine
	letters  // ten of them
	ofDevice // whatever code, on a known device: the ledgers are not charged
	grades
)

// odds is the chance of one guess.
var odds = [grades]float64{1e-6, 1e-7, 1e-8, 1e-9, 1.0 / 10_240_000_000_000, 1e-6}

// gradeOf is the grade of a guess that was charged so much.
var gradeOf = map[int64]grade{10_000: six, 1_000: seven, 100: eight, 10: nine, 1: letters, 0: ofDevice}

// A tally is what somebody's guesses came to.
type tally struct {
	guesses [grades]int
	units   int64   // of risk that was charged, of 1e-10 each
	chance  float64 // the expected takeovers
	persons map[string]float64
	minutes []minute // in their order
}

// A minute is what guesses of one minute were worth.
type minute struct {
	at     time.Time
	chance float64
}

func newTally() *tally { return &tally{persons: map[string]float64{}} }

// guess counts one guess that was evaluated and was wrong.
func (t *tally) guess(at time.Time, person string, cost int64) {
	g := gradeOf[cost]
	t.guesses[g]++
	t.units += cost
	t.chance += odds[g]
	t.persons[person] += odds[g]
	at = at.Truncate(time.Minute)
	if last := len(t.minutes) - 1; last >= 0 && t.minutes[last].at.Equal(at) {
		t.minutes[last].chance += odds[g]
	} else {
		t.minutes = append(t.minutes, minute{at, odds[g]})
	}
}

// worstDay is the most takeovers that are expected in any 24 hours.
func (t *tally) worstDay() (most float64) {
	sum, from := 0.0, 0
	for _, m := range t.minutes {
		sum += m.chance
		for t.minutes[from].at.Before(m.at.Add(-24 * time.Hour)) {
			sum -= t.minutes[from].chance
			from++
		}
		most = max(most, sum)
	}
	return most
}

// worstPerson is the greatest chance against one person.
func (t *tally) worstPerson() (most float64) {
	for _, chance := range t.persons {
		most = max(most, chance)
	}
	return most
}
