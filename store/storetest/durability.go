package storetest

import (
	"fmt"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

const survive = "When Commit has returned nil, the puts, deletes and durable charges survive a crash of the process"

var durability = []testCase{
	{
		name: "puts and deletes",
		says: []string{survive},
		run: func(k *kit) {
			stays, goes, never := k.put("stays", "body"), k.put("goes", "body"), record("never", "body")
			never.Expires = store.Never
			b := puts(fresh(never))
			b.Deletes = []store.Key{goes.Key}
			k.commit(t0, b)
			k.crashes()
			k.holds(t0, stays, never)
			k.lacks(t0, goes.Key)
			k.lists(t0, "owner", 10, stays, never)
			k.sweepsAll(stays.Expires, 10, 1)
			k.holds(t0, never)
		},
	},
	{
		name: "durable charges",
		says: []string{survive, "Durable buckets survive a crash of the engine like records do."},
		run: func(k *kit) {
			c := charge("bucket", hourly(5, 3), window(5, time.Minute, 1))
			c.Durable = true
			k.commit(t0, take(c))
			k.commit(t0, give(with(c, hourly(5, 1), window(5, time.Minute, 0))))
			k.crashes()
			k.stands(t0, c, k.after(2*hour), k.after(time.Minute))
			k.limited(t0, take(with(c, hourly(5, 4))), c.Bucket, hour)
		},
	},
	{
		name: "an applied batch stays applied",
		says: []string{survive, answerLost},
		run: func(k *kit) {
			r, c := record("key", "body"), charge("bucket", hourly(5, 1))
			c.Durable = true
			b := puts(fresh(r))
			b.Charges = []store.Charge{c}
			k.commit(t0, b)
			k.crashes()
			k.again(t0, b)
			k.holds(t0, r)
			k.stands(t0, c, k.after(hour))
		},
	},
	{
		name: "every answered commit of many",
		says: []string{survive},
		run: func(k *kit) {
			n := k.short(100)
			k.parallel(8, func(g int, s store.Store) error {
				for i := range n {
					if _, err := s.Commit(k.ctx, t0, puts(fresh(record(fmt.Sprint(g, " ", i), "body")))); err != nil {
						return err
					}
				}
				return nil
			})
			k.crashes()
			for g := range 8 {
				for i := range n {
					if got := k.load(t0, key(fmt.Sprint(g, " ", i))); string(got[0].Body) != "body" {
						k.fatalf("commit %d of goroutine %d is lost", i, g)
					}
				}
			}
		},
	},
}

// crashes ends both instances and goes on with what is left.
func (k *kit) crashes() {
	after := k.crash(k.tb, k.a, k.b)
	k.a, k.b = after, after
}
