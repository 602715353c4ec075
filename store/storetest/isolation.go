package storetest

import (
	"fmt"

	"github.com/seed62b93bad/passwordless/store"
)

const seesCommits = "Load sees every commit that returned before it began: it reads the primary, never a replica."

var isolation = []testCase{
	{
		name: "instances see each other at once",
		says: []string{seesCommits},
		run: func(k *kit) {
			last := k.put("key", "0")
			for i := range k.short(200) {
				next := record("key", fmt.Sprint(i))
				k.commit(t0, puts(over(last, next)))
				k.holds(t0, next)
				k.a, k.b, last = k.b, k.a, next
			}
		},
	},
	{
		name: "deletes are seen at once",
		says: []string{seesCommits},
		run: func(k *kit) {
			for range 10 {
				r := k.put("key", "body")
				k.holds(t0, r)
				k.a, k.b = k.b, k.a
				k.commit(t0, store.Batch{Deletes: []store.Key{r.Key}})
				k.lacks(t0, r.Key)
			}
		},
	},
	{
		name: "conditions hold across instances",
		says: []string{demandsVersion, "Commits are serializable"},
		run: func(k *kit) {
			one, two := k.put("key", "one"), record("key", "two")
			k.a, k.b = k.b, k.a
			k.conflict(t0, puts(fresh(record("key", "other"))), one.Key)
			k.commit(t0, puts(over(one, two)))
			k.a, k.b = k.b, k.a
			k.conflict(t0, puts(over(one, record("key", "other"))), one.Key)
			k.holds(t0, two)
		},
	},
	{
		name: "buckets hold across instances",
		says: []string{"Commits are serializable", takesLater},
		run: both(func(k *kit, c store.Charge) {
			c = with(c, hourly(5, 1))
			for i := range int64(5) {
				k.levels(k.commit(t0, take(c))[0], t0.Micros()+(i+1)*hour.Microseconds())
				k.a, k.b = k.b, k.a
			}
			k.limited(t0, take(c), c.Bucket, hour)
			k.commit(t0, give(c))
			k.a, k.b = k.b, k.a
			k.commit(t0, take(c))
		}),
	},
	{
		name: "two stores are two",
		says: []string{"A Store remembers records and buckets."},
		run: func(k *kit) {
			r := k.put("key", "body")
			k.commit(t0, take(charge("bucket", hourly(1, 1))))
			k.a, k.b = k.open(k.tb)
			k.lacks(t0, r.Key)
			k.isFull(t0, charge("bucket", hourly(1, 1)))
		},
	},
}
