package storetest

import (
	"fmt"

	"github.com/seed62b93bad/passwordless/store"
)

const (
	callerOwnsBatch = "The caller owns it and the slices in it; a Store must not keep or change them after Commit returned."
	callerOwnsLoad  = "The records belong to the caller."
)

var ownership = []testCase{
	{
		name: "the batch is the caller's",
		says: []string{callerOwnsBatch},
		run: func(k *kit) {
			r, c := record("key", "body"), charge("bucket", hourly(9, 1))
			b := puts(fresh(r))
			b.Charges = []store.Charge{c}
			k.commit(t0, b)
			copy(b.Puts[0].Record.Body, "XXXX")
			b.Puts[0].Record.Owner = "someone else"
			b.Charges[0].Windows[0] = hourly(99, 50)
			r.Body = []byte("body")
			k.holds(t0, r)
			k.lists(t0, r.Owner, 10, r)
			k.stands(t0, c, k.after(hour))
		},
	},
	{
		name: "the batch is not changed",
		says: []string{callerOwnsBatch},
		run: func(k *kit) {
			old := k.put("old", "old")
			b := puts(fresh(record("z", "body z")), fresh(record("a", "body a")), over(old, record("old", "body")))
			b.Deletes = []store.Key{key("y"), key("b")}
			b.Charges = []store.Charge{charge("a", hourly(2, 1), hourly(3, 2)), charge("b", hourly(9, 1))}
			b.GiveBacks = []store.Charge{charge("b", hourly(2, 1)), charge("c", hourly(2, 1))}
			before := fmt.Sprintf("%+v", b)
			k.commit(t0, b)
			if after := fmt.Sprintf("%+v", b); after != before {
				k.fatalf("Commit changed its batch from\n%s\nto\n%s", before, after)
			}
		},
	},
	{
		name: "loaded records are the caller's",
		says: []string{callerOwnsLoad},
		run: func(k *kit) {
			r := k.put("key", "body")
			got := k.load(t0, r.Key, r.Key)
			copy(got[0].Body, "XXXX")
			_ = append(got[0].Body, "YYYY"...)
			if diff := difference(got[1], r); diff != "" {
				k.fatalf("two records of one Load share memory: %s", diff)
			}
			k.holds(t0, r)
		},
	},
	{
		name: "listed records are the caller's",
		says: []string{callerOwnsLoad},
		run: func(k *kit) {
			r := k.put("key", "body")
			got, _, err := k.b.List(k.ctx, t0, "test", store.Page{Owner: r.Owner, Limit: 10})
			if err != nil || len(got) != 1 {
				k.fatalf("List: %d records, error %v", len(got), err)
			}
			copy(got[0].Body, "XXXX")
			k.holds(t0, r)
		},
	},
	{
		name: "a loaded record stays as it is",
		says: []string{callerOwnsLoad},
		run: func(k *kit) {
			old := k.put("key", "body")
			got := k.load(t0, old.Key)
			k.commit(t0, puts(over(old, record("key", "XXXX"))))
			k.commit(t0, store.Batch{Deletes: []store.Key{old.Key}})
			if diff := difference(got[0], old); diff != "" {
				k.fatalf("a later commit changed a loaded record: %s", diff)
			}
		},
	},
	{
		name: "levels are the caller's",
		says: []string{tellsLevels},
		run: func(k *kit) {
			a, b := charge("a", hourly(9, 1), hourly(9, 2)), charge("b", hourly(9, 3))
			levels := k.commit(t0, take(a, b))
			_ = append(levels[0], 1, 2, 3)
			levels[0][0], levels[0][1] = 0, 0
			k.levels(levels[1], k.after(3*hour))
			k.stands(t0, a, k.after(hour), k.after(2*hour))
			k.stands(t0, b, k.after(3*hour))
		},
	},
}
