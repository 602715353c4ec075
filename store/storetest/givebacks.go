package storetest

import (
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

const movesBack = "each number is moved back by Cost*Every. It need not stop at now, since Take charges from the later " +
	"of the two."

var giveBacks = []testCase{
	{
		name: "give back",
		says: []string{movesBack},
		run: both(func(k *kit, c store.Charge) {
			c = with(c, hourly(3, 2), window(4, time.Minute, 3))
			k.commit(t0, take(c))
			k.limited(t0, take(c), c.Bucket, hour)
			k.commit(t0, give(with(c, hourly(3, 1), window(4, time.Minute, 2))))
			k.stands(t0, c, k.after(hour), k.after(time.Minute))
			k.commit(t0, take(c))
		}),
	},
	{
		name: "below now",
		says: []string{movesBack},
		run: both(func(k *kit, c store.Charge) {
			c = with(c, hourly(3, 3))
			k.commit(t0, take(c))
			later := t0.Add(2 * hour)
			k.commit(later, give(c))
			k.stands(t0, c, t0.Micros())
			k.commit(later, take(c))
			k.limited(later, take(with(c, hourly(3, 1))), c.Bucket, hour)
		}),
	},
	{
		name: "never more than full",
		says: []string{movesBack, "A missing bucket, like the number 0, is full."},
		run: both(func(k *kit, c store.Charge) {
			c = with(c, window(10, 10*365*24*hour, 10)) // 100 years, more than since 1970
			k.commit(t0, give(c))
			k.isFull(t0, c)
			k.commit(t0, take(with(c, window(10, 10*365*24*hour, 1))))
			k.commit(t0, give(c))
			k.isFull(t0, c)
			k.commit(t0, take(c))
			k.limited(t0, take(with(c, window(10, 10*365*24*hour, 1))), c.Bucket, 10*365*24*hour)
		}),
	},
	{
		name: "cost 0 gives nothing back",
		says: []string{"what the charge takes, or the give-back returns: 0 to Burst", movesBack},
		run: both(func(k *kit, c store.Charge) {
			k.commit(t0, take(with(c, hourly(3, 1), hourly(3, 1))))
			k.commit(t0, give(with(c, hourly(3, 0), hourly(3, 1))))
			k.stands(t0, with(c, hourly(3, 0), hourly(3, 0)), k.after(hour), k.after(0))
		}),
	},
	{
		name: "only if all charges are granted",
		says: []string{
			"If Charge.Take refuses one, Commit returns its *LimitedError and writes nothing.",
			"Charges and then give-backs are stored",
		},
		run: func(k *kit) {
			used, other := charge("used", hourly(2, 2)), charge("other", hourly(2, 2))
			k.commit(t0, take(other, used))
			b := take(used)
			b.GiveBacks = []store.Charge{other}
			k.limited(t0, b, used.Bucket, 2*hour)
			k.stands(t0, other, k.after(2*hour))
		},
	},
	{
		name: "only if all conditions hold",
		says: []string{namesEvery},
		run: func(k *kit) {
			r, used := k.put("key", "body"), charge("used", hourly(2, 2))
			k.commit(t0, take(used))
			b := give(used)
			b.Puts = []store.Put{fresh(record("key", ""))}
			k.conflict(t0, b, r.Key)
			k.stands(t0, used, k.after(2*hour))
		},
	},
	{
		name: "charge and give-back of one bucket",
		says: []string{"A bucket may be charged and given back to in one batch.", "Charges and then give-backs are stored"},
		run: both(func(k *kit, c store.Charge) {
			c = with(c, hourly(3, 2), hourly(9, 1))
			b := take(c)
			b.GiveBacks = []store.Charge{c}
			k.levels(k.commit(t0, b)[0], k.after(2*hour), k.after(hour)) // what Take returned
			k.stands(t0, c, k.after(0), k.after(0))
			b.GiveBacks = []store.Charge{with(c, hourly(3, 1), hourly(9, 0))}
			k.commit(t0, b)
			k.stands(t0, c, k.after(hour), k.after(hour))
		}),
	},
	{
		name: "a give-back does not make room for the charge beside it",
		says: []string{
			"Charges. If Charge.Take refuses one, Commit returns its *LimitedError and writes nothing.",
			"Charges and then give-backs are stored",
		},
		run: both(func(k *kit, c store.Charge) {
			c = with(c, hourly(2, 2))
			k.commit(t0, take(c))
			b := take(c)
			b.GiveBacks = []store.Charge{c}
			k.limited(t0, b, c.Bucket, 2*hour)
			k.stands(t0, c, k.after(2*hour))
		}),
	},
	{
		name: "a look and a give-back of one bucket",
		says: []string{"A bucket may be charged and given back to in one batch.", "Look refuses as taking would, but takes nothing."},
		run: both(func(k *kit, c store.Charge) {
			c = with(c, hourly(4, 2))
			k.commit(t0, take(c))
			b := take(look(c))
			b.GiveBacks = []store.Charge{with(c, hourly(4, 1))}
			k.levels(k.commit(t0, b)[0], k.after(2*hour))
			k.stands(t0, c, k.after(hour))
		}),
	},
	{
		name: "more windows than the bucket has",
		says: []string{"when a policy adds one, the stored bucket is short and the missing numbers are 0", movesBack},
		run: both(func(k *kit, c store.Charge) {
			k.commit(t0, take(with(c, hourly(3, 2))))
			k.commit(t0, give(with(c, hourly(3, 1), hourly(3, 3))))
			k.stands(t0, with(c, hourly(3, 0), hourly(3, 0)), k.after(hour), 0)
		}),
	},
}
