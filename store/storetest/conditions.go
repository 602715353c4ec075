package storetest

import (
	"fmt"

	"github.com/seed62b93bad/passwordless/store"
)

const (
	demandsNone    = "The zero Version demands that there is none, or only one expired at now."
	demandsVersion = "Was is the version that the record must have before the write."
	namesEvery     = "returns a *ConflictError that names every such key, and writes nothing"
	chargesFirst   = "Commit applies the batch, all or nothing, in this order"
)

var conditions = []testCase{
	{
		name: "absent",
		says: []string{demandsNone},
		run: func(k *kit) {
			r := k.put("key", "first")
			k.conflict(t0, puts(fresh(record("key", "second"))), r.Key)
			k.holds(t0, r)
		},
	},
	{
		name: "version",
		says: []string{demandsVersion},
		run: func(k *kit) {
			one, two := k.put("key", "one"), record("key", "two")
			k.conflict(t0, puts(over(two, record("key", "three"))), one.Key)
			k.holds(t0, one)
			k.commit(t0, puts(over(one, two)))
			k.holds(t0, two)
			k.conflict(t0, puts(over(one, record("key", "three"))), one.Key)
			k.holds(t0, two)
		},
	},
	{
		name: "version of what is not there",
		says: []string{demandsVersion},
		run: func(k *kit) {
			r := record("key", "body")
			k.conflict(t0, puts(over(record("key", ""), r)), r.Key)
			k.lacks(t0, r.Key)
		},
	},
	{
		name: "version of what was deleted and made anew",
		says: []string{"compared for equality only and never used twice"},
		run: func(k *kit) {
			old := k.put("key", "same body")
			k.commit(t0, store.Batch{Deletes: []store.Key{old.Key}})
			anew := k.put("key", "same body")
			k.conflict(t0, puts(over(old, record("key", "same body"))), old.Key)
			k.holds(t0, anew)
		},
	},
	{
		name: "any version bytes",
		says: []string{"16 random bytes, drawn by the caller of Commit for each [Put], compared for equality only"},
		run:  oddVersions,
	},
	{
		name: "any",
		says: []string{"Any writes whatever was there; Was is not looked at."},
		run: func(k *kit) {
			one, two, three := record("key", "one"), record("key", "two"), record("key", "three")
			k.commit(t0, puts(store.Put{Record: one, Any: true, Was: version()}))
			k.holds(t0, one)
			k.commit(t0, puts(store.Put{Record: two, Any: true, Was: version()}))
			k.commit(t0, puts(anyway(three)))
			k.holds(t0, three)
		},
	},
	{
		name: "every conflict is named",
		says: []string{namesEvery},
		run:  everyConflict,
	},
	{
		name: "a conflict writes nothing",
		says: []string{namesEvery, "Commit applies the batch, all or nothing"},
		run: func(k *kit) {
			there, goes := k.put("there", "body"), k.put("goes", "body")
			used := charge("used", hourly(9, 4))
			k.commit(t0, take(used))
			k.conflict(t0, store.Batch{
				Charges:   []store.Charge{charge("unused", hourly(1, 1)), used},
				GiveBacks: []store.Charge{used},
				Puts:      []store.Put{fresh(record("new", "body")), fresh(record("there", "other")), anyway(record("any", ""))},
				Deletes:   []store.Key{goes.Key},
			}, there.Key)
			k.holds(t0, there, goes)
			k.lacks(t0, key("new"), key("any"))
			k.isFull(t0, charge("unused", hourly(1, 1)))
			k.stands(t0, used, t0.Micros()+4*hour.Microseconds())
		},
	},
	{
		name: "a refusal comes before a conflict",
		says: []string{chargesFirst, "Charges. If Charge.Take refuses one, Commit returns its *LimitedError and writes nothing.",
			"Conditions. If the record of a put is not what Was demands"},
		run: func(k *kit) {
			there := k.put("there", "body")
			c := charge("bucket", hourly(1, 1))
			k.commit(t0, take(c))
			b := take(c)
			b.Puts = []store.Put{fresh(record("there", "other"))}
			k.limited(t0, b, c.Bucket, hour)
			k.holds(t0, there)
		},
	},
	{
		name: "errors tell no names",
		says: []string{"No error text holds a name, an owner or a body."},
		run: func(k *kit) {
			r := record(secret, secret)
			r.Owner = secret
			b := puts(fresh(r))
			b.Charges = []store.Charge{charge(secret, hourly(1, 1))}
			k.commit(t0, b)
			b.Puts[0].Record.Version = version()
			_ = k.refused(t0, store.Batch{Puts: b.Puts}, store.ErrConflict)
			_, err := k.a.Commit(k.ctx, t0, b)
			k.discreet(err)
		},
	},
}

// oddVersions replaces a record through versions that some engine could change:
// trim, pad, end or fold.
func oddVersions(k *kit) {
	last := k.put("key", "first")
	for i, v := range []store.Version{
		{15: 1}, {1}, {15: ' '}, {' '}, {0xff, 15: 0xff}, {'a'}, {'A'}, {'a', 1},
		{'\'', '\\', '"'}, {0, 0xff}, {7: 1, 8: 1}, {6: 0x40, 8: 0x80},
	} {
		next := record("key", fmt.Sprint("write ", i))
		next.Version = v
		k.commit(t0, puts(over(last, next)))
		k.holds(t0, next)
		k.conflict(t0, puts(over(last, record("key", "late"))), next.Key)
		last = next
	}
}

// everyConflict commits four puts of which three conflict, each for another reason.
func everyConflict(k *kit) {
	taken, changed, fine := k.put("taken", "body"), k.put("changed", "body"), k.put("fine", "body")
	missing := record("missing", "")
	k.conflict(t0, puts(
		fresh(record("taken", "other")),
		over(fine, record("fine", "next")),
		over(record("", ""), record("changed", "next")),
		over(record("", ""), missing),
	), taken.Key, changed.Key, missing.Key)
	k.holds(t0, taken, changed, fine)
	k.lacks(t0, missing.Key)
}
