package storetest

import (
	"fmt"

	"github.com/seed62b93bad/passwordless/store"
)

const allOrNothing = "Commit applies the batch, all or nothing"

var atomicity = []testCase{
	{
		name: "a conflict of any put leaves nothing",
		says: []string{allOrNothing, namesEvery},
		run: func(k *kit) {
			w := newWorld(k)
			for i := range w.batch().Puts {
				b := w.batch()
				b.Puts[i].Any, b.Puts[i].Was = false, version()
				k.conflict(t0, b, b.Puts[i].Record.Key)
				w.unchanged(fmt.Sprint("a conflict of put ", i))
			}
			w.applies()
		},
	},
	{
		name: "a refusal of any charge leaves nothing",
		says: []string{allOrNothing, "If Charge.Take refuses one, Commit returns its *LimitedError and writes nothing."},
		run: func(k *kit) {
			w := newWorld(k)
			for i, c := range w.batch().Charges {
				b := w.batch()
				b.Charges[i].Windows = []store.Window{hourly(3, 0), hourly(1, 1)}
				k.limited(t0, b, c.Bucket, hour)
				w.unchanged(fmt.Sprint("a refusal of charge ", i))
			}
			w.applies()
		},
	},
	{
		name: "a refused look leaves nothing",
		says: []string{allOrNothing, "Look refuses as taking would, but takes nothing."},
		run: func(k *kit) {
			w := newWorld(k)
			for i, c := range w.batch().Charges {
				b := w.batch()
				b.Charges[i] = look(with(c, hourly(3, 0), hourly(1, 1)))
				k.limited(t0, b, c.Bucket, hour)
				w.unchanged(fmt.Sprint("a refusal of look ", i))
			}
			w.applies()
		},
	},
	{
		name: "a large batch",
		says: []string{allOrNothing},
		run:  largeBatch,
	},
}

// A world is a store with a little of everything, and a batch that changes all of
// it.
type world struct {
	k       *kit
	records []store.Record
	buckets []store.Charge
}

func newWorld(k *kit) *world {
	w := &world{k: k}
	for _, name := range []string{"any", "delete 1", "delete 2", "replace 1", "replace 2"} {
		w.records = append(w.records, k.put(name, "old"))
	}
	for i := range 4 {
		c := charge(fmt.Sprint("bucket ", i), hourly(3, 0), hourly(1, 1))
		c.Durable = i%2 == 0
		w.buckets = append(w.buckets, c)
	}
	k.commit(t0, take(w.buckets...))
	return w
}

// batch returns a batch that succeeds, with fresh versions.
func (w *world) batch() store.Batch {
	b := store.Batch{
		Puts: []store.Put{
			fresh(record("new 1", "new")),
			over(w.records[3], record("replace 1", "new")),
			anyway(record("any", "new")),
			over(w.records[4], record("replace 2", "new")),
			fresh(record("new 2", "new")),
		},
		Deletes: []store.Key{key("delete 1"), key("delete 2"), key("never was")},
	}
	for i, c := range w.buckets {
		if i < 3 {
			b.Charges = append(b.Charges, with(c, hourly(3, 1), hourly(1, 0)))
		}
		if i > 1 {
			b.GiveBacks = append(b.GiveBacks, with(c, hourly(3, 0), hourly(1, 1)))
		}
	}
	return b
}

// unchanged demands that everything is as newWorld left it.
func (w *world) unchanged(after string) {
	k := w.k
	for i, got := range k.load(t0, keysOf(w.records)...) {
		if diff := difference(got, w.records[i]); diff != "" {
			k.fatalf("after %s: %v: %s", after, w.records[i].Key, diff)
		}
	}
	k.lacks(t0, key("new 1"), key("new 2"), key("never was"))
	for _, c := range w.buckets {
		k.stands(t0, c, 0, k.after(hour))
	}
}

// applies demands that the batch, with stages, does all of what it says, and does it once.
func (w *world) applies() {
	k, b := w.k, w.batch()
	for i, stage := range (stages{store.StageClaim, store.StageRevoke, store.StageDecide, store.StageGrant, store.StageGrant}) {
		b.Puts[i].Stage = stage
	}
	k.commit(t0, b)
	k.again(t0, b)
	for _, p := range b.Puts {
		k.holds(t0, p.Record)
	}
	k.lacks(t0, b.Deletes...)
	k.stands(t0, w.buckets[0], k.after(hour), k.after(hour))
	k.stands(t0, w.buckets[1], k.after(hour), k.after(hour))
	k.stands(t0, w.buckets[2], k.after(hour), k.after(0))
	k.stands(t0, w.buckets[3], 0, k.after(0))
}

func keysOf(records []store.Record) []store.Key {
	keys := make([]store.Key, len(records))
	for i, r := range records {
		keys[i] = r.Key
	}
	return keys
}

// largeBatch commits 300 puts of which the last conflicts, and then does not.
func largeBatch(k *kit) {
	taken := k.put("299", "old")
	var b store.Batch
	var want []store.Record
	for i := range 300 {
		want = append(want, record(fmt.Sprint(i), "new"))
		b.Puts = append(b.Puts, fresh(want[i]))
	}
	k.conflict(t0, b, taken.Key)
	k.lacks(t0, keysOf(want[:299])...)
	k.holds(t0, taken)
	b.Puts[299].Was = taken.Version
	k.commit(t0, b)
	k.holds(t0, want...)
}
