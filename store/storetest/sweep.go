package storetest

import (
	"fmt"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

const (
	sweeps = "Sweep removes at most limit (1 or more) records and buckets, of those that were expired, or full again, at " +
		"now, and returns how many it removed."
	little = "A return below limit means that little is left."
)

var sweep = []testCase{
	{
		name: "nothing to do",
		says: []string{sweeps},
		run: func(k *kit) {
			k.sweepsAll(t0, 10, 0)
			r, c := k.put("key", "body"), charge("bucket", hourly(1, 1))
			k.commit(t0, take(c))
			k.sweepsAll(t0, 10, 0)
			k.holds(t0, r)
			k.stands(t0, c, k.after(hour))
		},
	},
	{
		name: "to the nanosecond",
		says: []string{sweeps, atEveryNow},
		run: func(k *kit) {
			r := k.put("key", "body")
			k.sweepsAll(r.Expires-1, 10, 0)
			k.holds(t0, r)
			k.sweepsAll(r.Expires, 10, 1)
			k.lacks(t0, r.Key)
		},
	},
	{
		name: "buckets to the microsecond",
		says: []string{sweeps, "the instant, in Unix microseconds, at which that window is full again"},
		run: both(func(k *kit, c store.Charge) {
			c = with(c, window(2, time.Minute, 1), hourly(2, 1), window(2, time.Second, 1))
			k.commit(t0, take(c))
			full := store.Instant(k.after(hour) * 1000)
			k.sweepsAll(full-1, 10, 0)
			k.stands(t0, c, k.after(time.Minute), k.after(hour), k.after(time.Second))
			k.sweepsAll(full, 10, 1)
			k.isFull(t0, c)
		}),
	},
	{
		name: "never expiring records",
		says: []string{"Never is the expiry of a record that does not expire.", sweeps},
		run: func(k *kit) {
			r := record("key", "body")
			r.Expires = store.Never
			k.commit(t0, puts(fresh(r)))
			k.sweepsAll(store.Never-1, 10, 0)
			k.holds(t0, r)
		},
	},
	{
		name: "replaced records",
		says: []string{sweeps},
		run:  sweepReplaced,
	},
	{
		name: "charges and give-backs move a bucket",
		says: []string{sweeps},
		run: both(func(k *kit, c store.Charge) {
			c = with(c, hourly(9, 1))
			k.commit(t0, take(c))
			k.commit(t0, take(c))
			k.sweepsAll(t0.Add(90*time.Minute), 10, 0)
			k.commit(t0, give(c))
			k.sweepsAll(t0.Add(90*time.Minute), 10, 1)
		}),
	},
	{
		name: "limit",
		says: []string{sweeps, little},
		run:  sweepLimit,
	},
	{
		name: "live data stays",
		says: []string{sweeps},
		run:  sweepAmongLive,
	},
	{
		name: "swept records are not listed",
		says: []string{sweeps, listsOwner},
		run: func(k *kit) {
			all := k.owned(20)
			k.sweepsAll(all[9].Expires, 100, 10)
			k.lists(t0, "owner", 7, all[10:]...)
		},
	},
}

// sweepsAll sweeps, a few at a time, until nothing is removed any more; want must
// be gone then.
func (k *kit) sweepsAll(now store.Instant, limit, want int) {
	total := 0
	for {
		n, err := k.a.Sweep(k.ctx, now, limit)
		switch {
		case err != nil:
			k.fatalf("Sweep: %v, want success", err)
		case n < 0 || n > limit:
			k.fatalf("Sweep: removed %d, want at most %d", n, limit)
		case total+n > want:
			k.fatalf("Sweep: removed %d, want %d", total+n, want)
		case n == 0 && total < want:
			k.fatalf("Sweep: removed %d and says that there is no more, want %d", total, want)
		case n == 0:
			return
		}
		total += n
	}
}

// sweepReplaced sweeps records that were given a later expiry, an earlier one, and
// that were deleted and made anew.
func sweepReplaced(k *kit) {
	later, earlier, deleted := k.put("later", ""), k.put("earlier", ""), k.put("deleted", "")
	longer, shorter := record("later", ""), record("earlier", "")
	longer.Expires, shorter.Expires = t0.Add(2*hour), t0.Add(time.Minute)
	b := puts(over(later, longer), over(earlier, shorter))
	b.Deletes = []store.Key{deleted.Key}
	k.commit(t0, b)
	k.sweepsAll(t0.Add(time.Minute), 10, 1)
	k.lacks(t0, earlier.Key)
	k.sweepsAll(t0.Add(hour), 10, 0)
	k.holds(t0, longer)
	anew := record("deleted", "")
	anew.Expires = t0.Add(3 * hour)
	k.commit(t0, puts(fresh(anew)))
	k.sweepsAll(t0.Add(2*hour), 10, 1)
	k.holds(t0, anew)
	k.lacks(t0, longer.Key)
}

// sweepLimit sweeps 30 records and 20 buckets, at most 7 at a time.
func sweepLimit(k *kit) {
	all := k.owned(30)
	for i := range 20 {
		c := charge(fmt.Sprint("bucket ", i), window(1, time.Second, 1))
		c.Durable = i%2 == 0
		k.commit(t0, take(c))
	}
	n, err := k.a.Sweep(k.ctx, all[29].Expires, 7)
	if err != nil || n > 7 {
		k.fatalf("Sweep: removed %d, error %v, want at most 7", n, err)
	}
	left := 0
	for _, r := range k.load(t0, keysOf(all)...) {
		if r.Version != (store.Version{}) {
			left++
		}
	}
	if left < 30-n {
		k.fatalf("Sweep: removed %d records and says %d", 30-left, n)
	}
	k.sweepsAll(all[29].Expires, 7, 50-n)
	k.lacks(t0, keysOf(all)...)
}

// sweepAmongLive sweeps a store in which one record and one bucket in three stay.
func sweepAmongLive(k *kit) {
	var expired, live store.Batch
	for i := range 300 {
		r, c := record(fmt.Sprint("record ", i), "body"), charge(fmt.Sprintf("bucket %3d", i), hourly(2, 1))
		c.Durable = i%2 == 0
		if i%3 == 0 {
			r.Expires = t0.Add(2 * hour)
			c.Windows[0].Cost = 2
			live.Puts, live.Charges = append(live.Puts, fresh(r)), append(live.Charges, c)
		} else {
			expired.Puts, expired.Charges = append(expired.Puts, fresh(r)), append(expired.Charges, c)
		}
	}
	k.commit(t0, expired)
	k.commit(t0, live)
	k.sweepsAll(t0.Add(hour), 64, len(expired.Puts)+len(expired.Charges))
	for i, p := range live.Puts {
		k.holds(t0, p.Record)
		k.stands(t0, live.Charges[i], k.after(2*hour))
	}
	k.sweepsAll(t0.Add(hour), 64, 0)
}
