package storetest

import (
	"github.com/seed62b93bad/passwordless/store"
)

var basics = []testCase{
	{
		name: "put and load",
		says: []string{"Load returns one record per key, in the order of keys", "Record is written as a whole."},
		run: func(k *kit) {
			one, two := record("one", "first body"), record("two", "second body")
			two.Owner, two.Expires = "", store.Never
			k.commit(t0, puts(fresh(one), fresh(two)))
			k.holds(t0, one, two)
			k.holds(t0, two, one)
		},
	},
	{
		name: "absent",
		says: []string{"A record that is absent or expired at now has the zero Version, its Key, and nothing else."},
		run: func(k *kit) {
			there := k.put("there", "body")
			k.holds(t0, store.Record{Key: key("before")}, there, store.Record{Key: key("behind")})
		},
	},
	{
		name: "no keys",
		says: []string{"Load returns one record per key, in the order of keys"},
		run:  func(k *kit) { k.load(t0) },
	},
	{
		name: "repeated keys",
		says: []string{"keys may repeat"},
		run: func(k *kit) {
			r, none := k.put("again", "body"), store.Record{Key: key("none")}
			k.holds(t0, r, none, r, none, r)
		},
	},
	{
		name: "replace",
		says: []string{"Record is written as a whole."},
		run: func(k *kit) {
			long := k.put("key", "a long body with an owner and an expiry")
			short := record("key", "short")
			short.Owner, short.Expires = "someone else", store.Never
			k.commit(t0, puts(over(long, short)))
			k.holds(t0, short)
		},
	},
	{
		name: "delete",
		says: []string{"deleting what is not there is not an error"},
		run: func(k *kit) {
			r, stays := k.put("goes", "body"), k.put("stays", "body")
			gone := store.Batch{Deletes: []store.Key{r.Key, key("never was")}}
			k.commit(t0, gone)
			k.lacks(t0, r.Key)
			k.holds(t0, stays)
			k.commit(t0, gone)
		},
	},
	{
		name: "put after delete",
		says: []string{"The zero Version demands that there is none, or only one expired at now."},
		run: func(k *kit) {
			old := k.put("key", "old")
			k.commit(t0, store.Batch{Deletes: []store.Key{old.Key}})
			k.holds(t0, k.put("key", "new"))
		},
	},
	{
		name: "put and delete in one batch",
		says: []string{"Charges and then give-backs are stored, puts written, deletes done."},
		run: func(k *kit) {
			old, next := k.put("old", "body"), record("new", "body")
			b := puts(fresh(next))
			b.Deletes = []store.Key{old.Key}
			k.commit(t0, b)
			k.holds(t0, next)
			k.lacks(t0, old.Key)
		},
	},
	{
		name: "empty batch",
		says: []string{"Commit applies the batch, all or nothing"},
		run:  func(k *kit) { k.commit(t0, store.Batch{}) },
	},
	{
		name: "records and buckets apart",
		says: []string{"Records and buckets of the same kind and name are unrelated."},
		run: func(k *kit) {
			r := record("same", "body")
			b := puts(fresh(r))
			b.Charges = []store.Charge{charge("same", hourly(2, 1))}
			k.commit(t0, b)
			k.holds(t0, r)
			k.commit(t0, store.Batch{Deletes: []store.Key{r.Key}})
			k.commit(t0, take(charge("same", hourly(2, 1))))
			k.limited(t0, take(charge("same", hourly(2, 1))), key("same"), hour)
		},
	},
}
