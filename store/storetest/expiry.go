package storetest

import (
	"fmt"
	"math"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

const (
	absentOrExpired = "A record that is absent or expired at now has the zero Version, its Key, and nothing else."
	callersInstant  = "The instant now is the caller's. An implementation MUST NOT read a clock to decide what is expired " +
		"or how full a bucket is."
	atEveryNow = "expired at every now >= Expires"
)

var expiry = []testCase{
	{
		name: "to the nanosecond",
		says: []string{atEveryNow, absentOrExpired},
		run: func(k *kit) {
			r := k.put("key", "body")
			k.holds(t0, r)
			k.holds(r.Expires-1, r)
			k.lacks(r.Expires, r.Key)
			k.lacks(r.Expires+1, r.Key)
		},
	},
	{
		name: "nanoseconds apart",
		says: []string{atEveryNow},
		run: func(k *kit) {
			var b store.Batch
			for i := range 300 {
				r := record(fmt.Sprint(i), "")
				r.Expires = t0.Add(time.Duration(7 * i))
				b.Puts = append(b.Puts, fresh(r))
			}
			k.commit(t0-1, b)
			for _, i := range []int{0, 1, 2, 36, 37, 38, 142, 143, 144, 299} {
				k.expiredBefore(t0.Add(time.Duration(7*i)), b.Puts, i+1)
				k.expiredBefore(t0.Add(time.Duration(7*i-1)), b.Puts, i)
			}
		},
	},
	{
		name: "clock steps back",
		says: []string{callersInstant, atEveryNow},
		run: func(k *kit) {
			r := k.put("key", "body")
			k.lacks(r.Expires.Add(time.Hour), r.Key)
			k.holds(t0.Add(-24*time.Hour), r)
			k.commit(t0.Add(-24*time.Hour), puts(over(r, record("key", "next"))))
		},
	},
	{
		name: "expired is absent for a put",
		says: []string{"The zero Version demands that there is none, or only one expired at now."},
		run: func(k *kit) {
			old := k.put("key", "old")
			next := record("key", "next")
			next.Expires = old.Expires.Add(time.Hour)
			k.conflict(old.Expires-1, puts(fresh(next)), old.Key)
			k.conflict(old.Expires, puts(over(old, next)), old.Key)
			k.commit(old.Expires, puts(fresh(next)))
			k.holds(old.Expires, next)
		},
	},
	{
		name: "past expiry leaves the key absent",
		says: []string{"its Expires may be past, which leaves the key absent"},
		run: func(k *kit) {
			old := k.put("key", "old")
			for i, past := range []store.Instant{t0, t0 - 1, 1, 0} {
				gone := record(fmt.Sprint("fresh ", i), "gone")
				gone.Expires = past
				k.commit(t0, puts(fresh(gone)))
				k.lacks(t0, gone.Key)
			}
			gone := record("key", "gone")
			gone.Expires = t0
			k.commit(t0, puts(over(old, gone)))
			k.lacks(t0, old.Key)
			k.holds(t0, k.put("key", "new"))
		},
	},
	{
		name: "never",
		says: []string{"Never is the expiry of a record that does not expire."},
		run: func(k *kit) {
			r := record("key", "body")
			r.Expires = store.Never
			last := record("last", "body")
			last.Expires = store.Never - 1
			k.commit(t0, puts(fresh(r), fresh(last)))
			k.holds(store.Never-2, r, last)
			k.holds(store.Never-1, r)
			k.lacks(store.Never-1, last.Key)
			k.conflict(store.Never-1, puts(fresh(record("key", "other"))), r.Key)
		},
	},
	{
		name: "long ago",
		says: []string{callersInstant},
		run: func(k *kit) {
			for _, now := range []store.Instant{0, 1, 1_000_000_007, 900_000_000_123_456_789} {
				k.livesAt(now)
			}
		},
	},
	{
		name: "far ahead",
		says: []string{callersInstant},
		run: func(k *kit) {
			for _, now := range []store.Instant{4_000_000_000_123_456_789, math.MaxInt64 - store.Instant(time.Hour)} {
				k.livesAt(now)
			}
		},
	},
}

// expiredBefore demands that the first n of the puts are expired at now, and the
// others not.
func (k *kit) expiredBefore(now store.Instant, all []store.Put, n int) {
	keys := make([]store.Key, len(all))
	for i, p := range all {
		keys[i] = p.Record.Key
	}
	for i, r := range k.load(now, keys...) {
		if absent := r.Version == (store.Version{}); absent != (i < n) {
			k.fatalf("record that expires at %d: absent at %d: %v", all[i].Record.Expires, now, absent)
		}
	}
}

// livesAt demands that a record lives its minute at now, whatever the time is.
func (k *kit) livesAt(now store.Instant) {
	r := record(fmt.Sprint("record at ", now), "body")
	r.Expires = now.Add(time.Minute)
	k.commit(now, puts(fresh(r)))
	k.holds(now, r)
	k.holds(r.Expires-1, r)
	k.lacks(r.Expires, r.Key)
	next := r
	next.Version = version()
	k.commit(r.Expires-1, puts(over(r, next)))
	k.holds(now, next)
}
