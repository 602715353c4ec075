package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/seed62b93bad/passwordless/store"
)

const (
	serializable = "Commits are serializable: concurrent ones behave as if run one after another, in an order that agrees " +
		"with real time."
	oneCommit = "Load returns one record per key, in the order of keys, as one commit or the next left them"
)

var race = []testCase{
	{
		name: "one winner for an absent record",
		says: []string{serializable, demandsNone},
		run: func(k *kit) {
			k.oneWinner(64, func() store.Put { return fresh(record("key", "body")) })
		},
	},
	{
		name: "one winner for an expired record",
		says: []string{serializable, demandsNone},
		run: func(k *kit) {
			old := record("key", "old")
			old.Expires = t0
			k.commit(t0-1, puts(fresh(old)))
			k.oneWinner(64, func() store.Put { return fresh(record("key", "body")) })
		},
	},
	{
		name: "one winner of a thousand for a version",
		says: []string{serializable, demandsVersion},
		run: func(k *kit) {
			old := k.put("key", "old")
			k.oneWinner(k.short(1000), func() store.Put { return over(old, record("key", "body")) })
		},
	},
	{
		name: "one winner for records in opposite order",
		says: []string{serializable, namesEvery},
		run:  oppositePairs,
	},
	{
		name: "no increment is lost",
		says: []string{serializable, demandsVersion},
		run:  counter,
	},
	{
		name: "a bucket grants what it holds",
		says: []string{serializable, "one limit of a bucket: Burst at once, one more each Every"},
		run:  both(grants),
	},
	{
		name: "charges and give-backs add up",
		says: []string{serializable, movesBack},
		run: both(func(k *kit, c store.Charge) {
			c = with(c, hourly(1000, 1))
			k.parallel(64, func(_ int, s store.Store) error {
				_, err1 := s.Commit(k.ctx, t0, take(c))
				_, err2 := s.Commit(k.ctx, t0, take(with(c, hourly(1000, 2))))
				_, err3 := s.Commit(k.ctx, t0, give(c))
				return errors.Join(err1, err2, err3)
			})
			k.stands(t0, c, k.after(2*64*hour))
		}),
	},
	{
		name: "many buckets at once",
		says: []string{serializable},
		run:  manyBuckets,
	},
	{
		name: "transfers keep the sum",
		says: []string{oneCommit, serializable},
		run:  transfers,
	},
	{
		name: "batches in opposite orders do not deadlock",
		says: []string{
			"An implementation retries, a few times, only what surely wrote nothing (a deadlock, a serialization failure, " +
				"a refused connection).",
			serializable,
		},
		run: opposite,
	},
	{
		name: "one batch from many callers is applied once",
		says: []string{answerLost, serializable},
		run: both(func(k *kit, c store.Charge) {
			c = with(c, hourly(100, 1))
			b := puts(fresh(record(c.Bucket.Name, "body")))
			b.Charges = []store.Charge{c}
			k.parallel(32, func(_ int, s store.Store) error {
				_, err := s.Commit(k.ctx, t0, b)
				return err
			})
			k.stands(t0, c, k.after(hour))
		}),
	},
	{
		name: "sweeps beside commits",
		says: []string{sweeps, serializable},
		run:  sweepsBeside,
	},
}

// oneWinner commits n puts at once, of which one must succeed and the others
// conflict.
func (k *kit) oneWinner(n int, put func() store.Put) {
	var winners atomic.Int64
	var winner atomic.Pointer[store.Record]
	k.parallel(n, func(_ int, s store.Store) error {
		p := put()
		_, err := s.Commit(k.ctx, t0, puts(p))
		if err == nil {
			winners.Add(1)
			winner.Store(&p.Record)
			return nil
		}
		return unless(err, store.ErrConflict)
	})
	if winners.Load() != 1 {
		k.fatalf("%d of %d conditional puts of one record succeeded, want 1", winners.Load(), n)
	}
	k.holds(t0, *winner.Load())
}

// unless returns err if it does not match allowed.
func unless(err, allowed error) error {
	if errors.Is(err, allowed) {
		return nil
	}
	return err
}

// oppositePairs lets two commits race for the same two records, named in opposite
// orders.
func oppositePairs(k *kit) {
	one, two := k.put("one", "0"), k.put("two", "0")
	for i := range k.short(50) {
		var won [2]atomic.Pointer[[2]store.Record]
		k.parallel(2, func(g int, s store.Store) error {
			next := [2]store.Record{record("one", fmt.Sprint(i, g)), record("two", fmt.Sprint(i, g))}
			b := puts(over(one, next[0]), over(two, next[1]))
			if g == 1 {
				slices.Reverse(b.Puts)
			}
			_, err := s.Commit(k.ctx, t0, b)
			if err == nil {
				won[g].Store(&next)
				return nil
			}
			return unless(err, store.ErrConflict)
		})
		if (won[0].Load() == nil) == (won[1].Load() == nil) {
			k.fatalf("round %d: both or none of two conflicting commits succeeded", i)
		}
		winner := won[0].Load()
		if winner == nil {
			winner = won[1].Load()
		}
		one, two = winner[0], winner[1]
		k.holds(t0, one, two)
	}
}

// counter lets 16 goroutines count on by compare and swap. Each number must be
// written by exactly one of them.
func counter(k *kit) {
	k.put("counter", "0")
	each := k.short(10)
	written := make([]atomic.Int64, 16*each+1)
	k.parallel(16, func(_ int, s store.Store) error {
		for range each {
			n, err := k.increment(s)
			if err != nil {
				return err
			}
			written[min(n, len(written)-1)].Add(1)
		}
		return nil
	})
	for n := 1; n < len(written); n++ {
		if times := written[n].Load(); times != 1 {
			k.fatalf("%d goroutines counted to %d, want 1", times, n)
		}
	}
}

// increment adds one to the record "counter" and returns the sum.
func (k *kit) increment(s store.Store) (int, error) {
	for {
		got, err := k.loadFrom(s, t0, key("counter"))
		if err != nil {
			return 0, err
		}
		n, err := strconv.Atoi(string(got[0].Body))
		if err != nil {
			return 0, err
		}
		_, err = s.Commit(k.ctx, t0, puts(over(got[0], record("counter", strconv.Itoa(n+1)))))
		if err == nil || !errors.Is(err, store.ErrConflict) {
			return n + 1, err
		}
	}
}

// grants charges a bucket that holds 40 256 times at once.
func grants(k *kit, c store.Charge) {
	c = with(c, hourly(40, 1), hourly(1000, 3))
	var granted atomic.Int64
	k.parallel(64, func(_ int, s store.Store) error {
		for range 4 {
			_, err := s.Commit(k.ctx, t0, take(c))
			var limited *store.LimitedError
			switch {
			case err == nil:
				granted.Add(1)
			case !errors.As(err, &limited):
				return err
			}
		}
		return nil
	})
	if granted.Load() != 40 {
		k.fatalf("a bucket of 40 granted %d charges", granted.Load())
	}
	k.stands(t0, c, k.after(40*hour), k.after(120*hour))
}

// manyBuckets charges overlapping sets of buckets at once; each must hold the sum.
func manyBuckets(k *kit) {
	all := make([]store.Charge, 8)
	var sums [8]atomic.Int64
	for i := range all {
		all[i] = charge(fmt.Sprint("bucket ", i), hourly(100_000, 1))
		all[i].Durable = i%2 == 0
	}
	k.parallel(32, func(_ int, s store.Store) error {
		for range k.short(10) {
			var b store.Batch
			for i, c := range all {
				if rand.IntN(2) == 0 {
					sums[i].Add(1)
					b.Charges = append(b.Charges, c)
				}
			}
			if _, err := s.Commit(k.ctx, t0, b); err != nil {
				return err
			}
		}
		return nil
	})
	for i, c := range all {
		if n := sums[i].Load(); n > 0 {
			k.stands(t0, c, t0.Micros()+n*hour.Microseconds())
		}
	}
}
