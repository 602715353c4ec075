package storetest

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

var model = []testCase{{
	name: "random charges",
	says: []string{
		"If Charge.Take refuses one, Commit returns its *LimitedError and writes nothing.",
		takesLater, freeWindow, movesBack, tellsLevels,
	},
	run: randomCharges,
}}

// A reference holds the buckets that a store should hold, by Charge.Take and
// Charge.Give alone.
type reference map[store.Key][]int64

// commit returns what Commit should return, and the reference after it.
func (m reference) commit(now store.Instant, b store.Batch) (store.Levels, reference, error) {
	next := maps.Clone(m)
	var levels store.Levels
	for _, c := range b.Charges {
		state, err := c.Take(now, m[c.Bucket])
		if err != nil {
			return nil, m, err
		}
		levels = append(levels, state)
		if !c.Look {
			next[c.Bucket] = state
		}
	}
	for _, c := range b.GiveBacks {
		next[c.Bucket] = c.Give(next[c.Bucket])
	}
	return levels, next, nil
}

// randomCharges compares some thousand random charges with the reference.
func randomCharges(k *kit) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	buckets, state, now := randomBuckets(random), reference{}, t0
	for i := range k.short(1000) {
		b := randomBatch(random, buckets)
		var want store.Levels
		var refusal error
		want, state, refusal = state.commit(now, b)
		if diff := k.compare(now, b, want, refusal); diff != "" {
			k.fatalf("seed %d, batch %d at %d, %+v:\n%s", seed, i, now, b, diff)
		}
		now = now.Add(time.Duration(random.Int64N(int64(3*time.Minute))) - time.Minute)
		if random.IntN(100) == 0 {
			now = now.Add(time.Duration(random.Int64N(int64(72 * hour))))
		}
		if random.IntN(100) == 0 {
			now = now.Add(-time.Duration(random.Int64N(int64(96 * hour))))
		}
	}
}

// compare commits b and tells in what the answer differs, or "".
func (k *kit) compare(now store.Instant, b store.Batch, want store.Levels, refusal error) string {
	s := k.a
	if now%2 == 0 {
		s = k.b
	}
	got, err := s.Commit(k.ctx, now, b)
	if refusal != nil {
		var limited, wanted *store.LimitedError
		errors.As(refusal, &wanted)
		if !errors.As(err, &limited) || *limited != *wanted {
			return fmt.Sprintf("got %+v (%v), want %+v", limited, err, *wanted)
		}
		return ""
	}
	if err != nil || len(got) != len(want) {
		return fmt.Sprintf("got %v and error %v, want %v", got, err, want)
	}
	for i, c := range b.Charges {
		if n := len(c.Windows); len(got[i]) < n || !slices.Equal(got[i][:n], want[i][:n]) {
			return fmt.Sprintf("levels of charge %d: %d, want %d", i, got[i], want[i])
		}
	}
	return ""
}

// randomBuckets returns six buckets, in order, as charges without costs.
func randomBuckets(random *rand.Rand) []store.Charge {
	buckets := make([]store.Charge, 6)
	for i := range buckets {
		buckets[i] = charge(fmt.Sprint("bucket ", i))
		buckets[i].Durable = i%2 == 0
		for range 1 + random.IntN(4) {
			every := time.Duration(1+random.Int64N(1<<random.IntN(34))) * time.Microsecond
			w := window(1+random.Int64N(1<<random.IntN(8)), every, 0)
			if random.IntN(2) == 0 {
				w.Whole = w.Burst + random.Int64N(3)
			}
			buckets[i].Windows = append(buckets[i].Windows, w)
		}
	}
	return buckets
}

// randomBatch charges and gives back to some of the buckets.
func randomBatch(random *rand.Rand, buckets []store.Charge) (b store.Batch) {
	for _, bucket := range buckets {
		switch random.IntN(6) {
		case 0, 1, 2:
			c := randomCosts(random, bucket)
			c.Look = random.IntN(5) == 0
			b.Charges = append(b.Charges, c)
		case 3:
			b.GiveBacks = append(b.GiveBacks, randomCosts(random, bucket))
		case 4:
			b.Charges = append(b.Charges, randomCosts(random, bucket))
			b.GiveBacks = append(b.GiveBacks, randomCosts(random, bucket))
		}
	}
	return b
}

// randomCosts returns the charge with random costs, and now and then with fewer
// windows.
func randomCosts(random *rand.Rand, c store.Charge) store.Charge {
	n := len(c.Windows)
	if random.IntN(8) == 0 {
		n = 1 + random.IntN(n)
	}
	c.Windows = slices.Clone(c.Windows[:n])
	for i := range c.Windows {
		if random.IntN(3) > 0 {
			c.Windows[i].Cost = min(c.Windows[i].Burst, random.Int64N(4))
		}
	}
	return c
}
