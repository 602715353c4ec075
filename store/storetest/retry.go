package storetest

import (
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

const answerLost = "If a put finds its own Version already there, the batch was applied before and its answer was lost: " +
	"Commit reports success, writes nothing and charges nothing again."

var retry = []testCase{
	{
		name: "the same batch twice",
		says: []string{answerLost},
		run: both(func(k *kit, c store.Charge) {
			c = with(c, hourly(9, 2))
			r := record(c.Bucket.Name, "body")
			b := puts(fresh(r))
			b.Charges = []store.Charge{c}
			k.commit(t0, b)
			k.again(t0, b)
			k.again(t0.Add(time.Minute), b)
			k.holds(t0, r)
			k.stands(t0, c, k.after(2*hour))
		}),
	},
	{
		name: "a batch that replaces",
		says: []string{answerLost},
		run: func(k *kit) {
			old, next := k.put("key", "old"), record("key", "next")
			b := puts(over(old, next))
			k.commit(t0, b)
			k.again(t0, b)
			k.holds(t0, next)
		},
	},
	{
		name: "a batch that would now be limited",
		says: []string{answerLost, chargesFirst},
		run: both(func(k *kit, c store.Charge) {
			c = with(c, hourly(1, 1))
			b := puts(fresh(record(c.Bucket.Name, "body")))
			b.Charges = []store.Charge{c}
			k.commit(t0, b)
			k.again(t0, b)
			k.stands(t0, c, k.after(hour))
		}),
	},
	{
		name: "give-backs and deletes are not done again",
		says: []string{answerLost},
		run: func(k *kit) {
			old, used := k.put("old", "body"), charge("used", hourly(9, 3))
			k.commit(t0, take(used))
			b := puts(fresh(record("new", "body")))
			b.Deletes = []store.Key{old.Key}
			b.GiveBacks = []store.Charge{with(used, hourly(9, 1))}
			k.commit(t0, b)
			anew := k.put("old", "made anew")
			k.again(t0, b)
			k.holds(t0, anew)
			k.stands(t0, used, k.after(2*hour))
		},
	},
	{
		name: "one version of several is enough",
		says: []string{answerLost},
		run: func(k *kit) {
			one, two, three := record("one", "body"), record("two", "body"), record("three", "body")
			b := puts(fresh(one), anyway(two), fresh(three))
			k.commit(t0, b)
			later := record("one", "later")
			k.commit(t0, puts(over(one, later)))
			later2 := record("two", "later")
			k.commit(t0, puts(over(two, later2)))
			k.again(t0, b)
			k.holds(t0, later, later2, three)
		},
	},
	{
		name: "the deciding put of a staged batch is enough",
		says: []string{answerLost, "After [ErrUncertain] a repeated commit of a staged batch is recognised by its deciding put"},
		run: func(k *kit) {
			b := stages{store.StageClaim, store.StageDecide, store.StageGrant}.batch("staged")
			b.Charges = []store.Charge{charge("bucket", hourly(9, 2))}
			k.commit(t0, b)
			claim, grant := record("staged 0", "later"), record("staged 2", "later")
			k.commit(t0, puts(over(b.Puts[0].Record, claim), over(b.Puts[2].Record, grant)))
			k.again(t0, b)
			k.holds(t0, claim, b.Puts[1].Record, grant)
		},
	},
	{
		name: "not after all was replaced",
		says: []string{demandsNone, demandsVersion},
		run: func(k *kit) {
			r, later := record("key", "body"), record("key", "later")
			b := puts(fresh(r))
			k.commit(t0, b)
			k.commit(t0, puts(over(r, later)))
			k.conflict(t0, b, r.Key)
			k.holds(t0, later)
		},
	},
	{
		name: "a refused batch may be retried",
		says: []string{allOrNothing},
		run: func(k *kit) {
			c, r := charge("bucket", hourly(1, 1)), record("key", "body")
			k.commit(t0, take(c))
			b := puts(fresh(r))
			b.Charges = []store.Charge{c}
			k.limited(t0, b, c.Bucket, hour)
			k.limited(t0, b, c.Bucket, hour)
			k.commit(t0.Add(hour), b)
			k.again(t0.Add(hour), b)
			k.holds(t0, r)
		},
	},
}

// again commits b, which was applied before, through both instances.
func (k *kit) again(now store.Instant, b store.Batch) {
	for _, s := range []store.Store{k.a, k.b} {
		levels, err := s.Commit(k.ctx, now, b)
		if err != nil {
			k.fatalf("Commit of a batch that was applied before: %v, want success", err)
		}
		if levels != nil && len(levels) != len(b.Charges) {
			k.fatalf("Commit of a batch that was applied before: levels of %d buckets for %d charges", len(levels), len(b.Charges))
		}
	}
}
