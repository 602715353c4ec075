package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

const endedContext = "an error that wraps ctx.Err() when ctx ended"

var cancellation = []testCase{
	{
		name: "cancelled before",
		says: []string{endedContext},
		run: func(k *kit) {
			ctx, cancel := context.WithCancel(k.ctx)
			cancel()
			k.ended(ctx, context.Canceled)
		},
	},
	{
		name: "past its deadline",
		says: []string{endedContext},
		run: func(k *kit) {
			ctx, cancel := context.WithDeadline(k.ctx, time.Now().Add(-time.Second))
			defer cancel()
			k.ended(ctx, context.DeadlineExceeded)
		},
	},
	{
		name: "cancelled meanwhile",
		says: []string{allOrNothing, endedContext, "The same Batch, if it has a put, may be committed again: it is not applied twice."},
		run:  cancelledMeanwhile,
	},
}

// ended demands that no method does anything with ctx, which has ended with want.
func (k *kit) ended(ctx context.Context, want error) {
	there, c := record("there", secret), charge("bucket", hourly(1, 1))
	there.Owner, there.Expires = secret, t0
	k.commit(t0-1, puts(fresh(there)))
	b := puts(fresh(record("new", secret)))
	b.Charges = []store.Charge{c}

	_, err := k.a.Load(ctx, t0, key("new"))
	k.wraps("Load", err, want)
	_, err = k.a.Commit(ctx, t0, b)
	k.wraps("Commit", err, want)
	_, _, err = k.a.List(ctx, t0, "test", store.Page{Owner: secret, Limit: 10})
	k.wraps("List", err, want)
	_, err = k.a.Sweep(ctx, t0, 10)
	k.wraps("Sweep", err, want)

	k.lacks(t0, key("new"))
	k.isFull(t0, c)
	k.holds(t0-1, there)
}

func (k *kit) wraps(method string, err, want error) {
	if !errors.Is(err, want) {
		k.errorf("%s with an ended context: %s, want an error that wraps %q", method, text(err), want)
	}
	k.discreet(err)
}

// cancelledMeanwhile cancels commits at random moments. Each must be there as a
// whole or not at all, and once it is committed again, be there once.
func cancelledMeanwhile(k *kit) {
	typical := k.commitTime()
	for i := range k.short(200) {
		one, two := record(fmt.Sprint(i, " one"), "body"), record(fmt.Sprint(i, " two"), "body")
		c := charge(fmt.Sprint(i), hourly(9, 2))
		b := puts(fresh(one), fresh(two))
		b.Charges = []store.Charge{c}

		ctx, cancel := context.WithTimeout(k.ctx, rand.N(2*typical))
		_, err := k.a.Commit(ctx, t0, b)
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, store.ErrUncertain) {
			k.fatalf("Commit with a context that ended meanwhile: %v", err)
		}
		k.whole(one, two, err == nil)
		k.again(t0, b)
		k.whole(one, two, true)
		k.stands(t0, c, k.after(2*hour))
	}
}

// whole demands that both records are there, or, unless applied is true, neither.
// It looks once, since an engine may still be at work for a caller who left.
func (k *kit) whole(one, two store.Record, applied bool) {
	got := k.load(t0, one.Key, two.Key)
	none := store.Version{}
	if !applied && got[0].Version == none && got[1].Version == none {
		return
	}
	for i, want := range []store.Record{one, two} {
		if diff := difference(got[i], want); diff != "" {
			k.fatalf("of a commit with two records, one is not there: %s", diff)
		}
	}
}

// commitTime returns about how long a commit takes, 1µs or more.
func (k *kit) commitTime() time.Duration {
	k.put("warm", "up")
	start := time.Now()
	for i := range 5 {
		k.put(fmt.Sprint("timed ", i), "body")
	}
	return max(time.Microsecond, time.Since(start)/5)
}
