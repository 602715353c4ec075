package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

const (
	hour = time.Hour

	takesLater = "A window is charged from the later of now and its number: next = max(full, now) + Cost*Every, " +
		"refused if next - now > Burst*Every"
	tellsLevels = "Levels tells, for each charge of a batch in its order, how full its bucket is: for each window what " +
		"[Charge.Take] returned, before any give-back."
	retriesAfter = "RetryAfter is how long until the same charge would be granted, if nothing else is charged meanwhile."
	freeWindow   = "A window with Cost 0 is never refused and its number stays."
)

func charge(name string, windows ...store.Window) store.Charge {
	return store.Charge{Bucket: key(name), Windows: windows}
}

func window(burst int64, every time.Duration, cost int64) store.Window {
	return store.Window{Burst: burst, Every: every, Cost: cost}
}

// hourly returns a window that regains one each hour.
func hourly(burst, cost int64) store.Window { return window(burst, hour, cost) }

// take returns a batch of charges.
func take(c ...store.Charge) store.Batch { return store.Batch{Charges: c} }

// give returns a batch of give-backs.
func give(c ...store.Charge) store.Batch { return store.Batch{GiveBacks: c} }

// look returns c as one that only looks.
func look(c store.Charge) store.Charge {
	c.Look = true
	return c
}

// stands demands the numbers of the bucket of c, and changes nothing.
func (k *kit) stands(now store.Instant, c store.Charge, want ...int64) {
	c.Windows = slices.Clone(c.Windows)
	for i := range c.Windows {
		c.Windows[i].Cost = 0
	}
	k.levels(k.commit(now, take(look(c)))[0], want...)
}

// isFull demands that the bucket of c is as if it was never charged.
func (k *kit) isFull(now store.Instant, c store.Charge) {
	k.stands(now, c, make([]int64, len(c.Windows))...)
}

// levels demands that the levels of a bucket begin with want.
func (k *kit) levels(got []int64, want ...int64) {
	if len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
		k.fatalf("levels are %d, want %d", got, want)
	}
}

// both runs f for a bucket that is durable and for one that is not.
func both(f func(k *kit, c store.Charge)) func(k *kit) {
	return func(k *kit) {
		for _, durable := range []bool{false, true} {
			f(k, store.Charge{Bucket: key(fmt.Sprint("durable ", durable)), Durable: durable})
		}
	}
}

// with returns c with these windows.
func with(c store.Charge, windows ...store.Window) store.Charge {
	c.Windows = windows
	return c
}

var charges = []testCase{
	{
		name: "burst",
		says: []string{"one limit of a bucket: Burst at once, one more each Every", takesLater, tellsLevels, retriesAfter},
		run: both(func(k *kit, c store.Charge) {
			c = with(c, hourly(3, 1))
			for i := range int64(3) {
				k.levels(k.commit(t0, take(c))[0], t0.Micros()+(i+1)*hour.Microseconds())
			}
			k.limited(t0, take(c), c.Bucket, hour)
			k.limited(t0, take(c), c.Bucket, hour)
			k.limited(t0, take(with(c, hourly(3, 3))), c.Bucket, 3*hour)
		}),
	},
	{
		name: "refill",
		says: []string{takesLater, retriesAfter, "the instant, in Unix microseconds, at which that window is full again"},
		run: both(func(k *kit, c store.Charge) {
			c = with(c, hourly(2, 1))
			k.commit(t0, take(with(c, hourly(2, 2))))
			at := store.Instant(t0.Micros() * 1000) // the charge counts from the whole microsecond
			k.limited(at.Add(hour)-1, take(c), c.Bucket, time.Microsecond)
			k.limited(at.Add(hour/2), take(c), c.Bucket, hour/2)
			k.commit(at.Add(hour), take(c))
			k.limited(at.Add(hour), take(c), c.Bucket, hour)
			k.commit(at.Add(5*hour), take(with(c, hourly(2, 2))))
			k.limited(at.Add(5*hour), take(c), c.Bucket, hour)
		}),
	},
	{
		name: "clock steps back",
		says: []string{callersInstant, takesLater},
		run: both(func(k *kit, c store.Charge) {
			c = with(c, hourly(2, 1))
			k.commit(t0, take(c))
			k.limited(t0.Add(-2*hour), take(c), c.Bucket, 2*hour)
			k.stands(t0, c, t0.Micros()+hour.Microseconds())
		}),
	},
	{
		name: "a clock was far ahead",
		says: []string{"a number later than now + Whole*Every + 24 hours was written by a clock that was far ahead, and counts as 0",
			"a bucket that is used up must not be full for whoever's clock is a moment behind"},
		run: both(func(k *kit, c store.Charge) {
			some, all := hourly(2, 1), hourly(5, 5)
			some.Whole, all.Whole = 5, 5
			k.commit(t0, take(with(c, all)))
			k.limited(t0, take(with(c, some)), c.Bucket, 4*hour)
			at := store.Instant(t0.Micros() * 1000)
			k.limited(at.Add(-hour), take(look(with(c, some))), c.Bucket, 5*hour)
			k.limited(at.Add(-24*hour), take(with(c, some)), c.Bucket, 28*hour)
			k.levels(k.commit(at.Add(-24*hour-time.Microsecond), take(with(c, some)))[0], k.after(-23*hour)-1)
			k.commit(t0.Add(90*24*hour), take(with(c, all)))
			k.limited(t0, take(with(c, hourly(5, 1))), c.Bucket, 90*24*hour+hour)
			k.levels(k.commit(t0, take(look(with(c, some))))[0], k.after(90*24*hour+5*hour))
			k.levels(k.commit(t0, take(with(c, some)))[0], k.after(hour))
		}),
	},
	{
		name: "long ago and far ahead",
		says: []string{callersInstant},
		run: both(func(k *kit, c store.Charge) {
			for _, now := range []store.Instant{0, 1_000_000_007, 4_000_000_000_123_456_789} {
				c := with(c, hourly(2, 2))
				c.Bucket = key(fmt.Sprint(c.Durable, now))
				k.levels(k.commit(now, take(c))[0], now.Micros()+2*hour.Microseconds())
				k.limited(now, take(c), c.Bucket, 2*hour)
			}
		}),
	},
	{
		name: "several windows",
		says: []string{"A bucket holds one number a window", takesLater, retriesAfter},
		run: both(func(k *kit, c store.Charge) {
			c = with(c, window(2, time.Minute, 1), window(3, hour, 1), window(100, 24*hour, 7))
			k.levels(k.commit(t0, take(c))[0], k.after(time.Minute), k.after(hour), k.after(7*24*hour))
			k.commit(t0, take(c))
			k.limited(t0, take(c), c.Bucket, time.Minute)
			k.stands(t0, c, k.after(2*time.Minute), k.after(2*hour), k.after(14*24*hour))
			k.commit(t0.Add(time.Minute), take(c))
			k.limited(t0.Add(3*time.Minute), take(c), c.Bucket, hour-3*time.Minute)
		}),
	},
	{
		name: "a refusal names the window with the longest wait",
		says: []string{"Window is the index in Charge.Windows of the window that refused: of several, the one with the longest " +
			"wait, and the first of those with equal waits."},
		run: both(func(k *kit, c store.Charge) {
			c = with(c, window(1, time.Minute, 1), window(1, hour, 1), window(1, hour, 1), window(2, time.Second, 1))
			k.commit(t0, take(c))
			refuses := func(now store.Instant, c store.Charge, window int) {
				k.limitedBy(now, take(c), window)
				k.limitedBy(now, take(look(c)), window)
			}
			refuses(t0, c, 1)
			refuses(t0.Add(2*time.Minute), c, 1)
			c.Windows[1].Cost = 0
			refuses(t0, c, 2)
			c.Windows[2].Cost = 0
			refuses(t0, c, 0)
			c.Windows[0].Cost = 0
			c.Windows[3].Cost = 2
			refuses(t0, c, 3)
		}),
	},
	{
		name: "costs of the windows are independent",
		says: []string{"what the charge takes, or the give-back returns: 0 to Burst", freeWindow},
		run: both(func(k *kit, c store.Charge) {
			k.levels(k.commit(t0, take(with(c, hourly(1, 1), hourly(5, 0))))[0], k.after(hour), 0)
			k.levels(k.commit(t0, take(with(c, hourly(1, 0), hourly(5, 5))))[0], k.after(hour), k.after(5*hour))
			k.levels(k.commit(t0, take(with(c, hourly(1, 0), hourly(5, 0))))[0], k.after(hour), k.after(5*hour))
			k.limited(t0, take(with(c, hourly(1, 1), hourly(5, 0))), c.Bucket, hour)
			k.limited(t0, take(with(c, hourly(1, 0), hourly(5, 2))), c.Bucket, 2*hour)
			k.stands(t0, with(c, hourly(1, 0), hourly(5, 0)), k.after(hour), k.after(5*hour))
		}),
	},
	{
		name: "look",
		says: []string{"Look refuses as taking would, but takes nothing.", "When the charge only looks, the next state is the state."},
		run: both(func(k *kit, c store.Charge) {
			c = with(c, hourly(2, 2))
			k.levels(k.commit(t0, take(look(c)))[0], 0)
			k.isFull(t0, c)
			k.commit(t0, take(with(c, hourly(2, 1))))
			k.levels(k.commit(t0, take(look(with(c, hourly(2, 1)))))[0], k.after(hour))
			k.limited(t0, take(look(c)), c.Bucket, hour)
			k.stands(t0, c, k.after(hour))
		}),
	},
	{
		name: "the first refusal is reported",
		says: []string{"Of several refused charges it reports the first."},
		run: func(k *kit) {
			a, b, c := charge("a", hourly(3, 3)), charge("b", hourly(2, 2)), charge("c", hourly(1, 1))
			b.Durable = true
			k.commit(t0, take(b, c))
			k.limited(t0, take(a, b, c), b.Bucket, 2*hour)
			k.limited(t0, take(a, c), c.Bucket, hour)
			k.isFull(t0, a)
		},
	},
	{
		name: "a policy adds a window",
		says: []string{"when a policy adds one, the stored bucket is short and the missing numbers are 0"},
		run: both(func(k *kit, c store.Charge) {
			k.commit(t0, take(with(c, hourly(2, 1))))
			k.levels(k.commit(t0, take(look(with(c, hourly(2, 1), hourly(2, 1)))))[0], k.after(hour), 0)
			k.levels(k.commit(t0, take(with(c, hourly(2, 1), hourly(2, 1))))[0], k.after(2*hour), k.after(hour))
			k.limited(t0, take(with(c, hourly(9, 1), hourly(2, 2), hourly(1, 1))), c.Bucket, hour)
			eight := slices.Repeat([]store.Window{hourly(9, 1)}, 8)
			k.levels(k.commit(t0, take(with(c, eight...)))[0], k.after(3*hour), k.after(2*hour), k.after(hour),
				k.after(hour), k.after(hour), k.after(hour), k.after(hour), k.after(hour))
		}),
	},
	{
		name: "a caller that knows fewer windows",
		says: []string{"it may be shorter than Windows. Take returns the next state", tellsLevels},
		run: both(func(k *kit, c store.Charge) {
			k.commit(t0, take(with(c, hourly(5, 1), hourly(5, 2), hourly(5, 3))))
			k.commit(t0, take(with(c, hourly(5, 1))))
			k.commit(t0, give(with(c, hourly(5, 1))))
			k.stands(t0, with(c, hourly(5, 0), hourly(5, 0), hourly(5, 0)), k.after(hour), k.after(2*hour), k.after(3*hour))
		}),
	},
	{
		name: "a policy changes a window",
		says: []string{takesLater},
		run: both(func(k *kit, c store.Charge) {
			k.commit(t0, take(with(c, hourly(10, 10))))
			k.limited(t0, take(with(c, window(2, time.Minute, 1))), c.Bucket, 10*hour-time.Minute)
			k.commit(t0, take(with(c, window(30, hour, 20))))
			k.stands(t0, with(c, hourly(1, 0)), k.after(30*hour))
		}),
	},
	{
		name: "numbers near 2^53",
		says: []string{"Microseconds and the bounds below keep every granted number under 2^53 until the year 2155, so " +
			"that engines whose numbers are binary64 compute the same."},
		run: both(longWindows),
	},
}

// after returns d after t0 in Unix microseconds.
func (k *kit) after(d time.Duration) int64 { return t0.Micros() + d.Microseconds() }

// longWindows charges windows of 100 years, late in the year 2055, when a charge
// upon a charge just stays under 2^53 microseconds.
func longWindows(k *kit, c store.Charge) {
	const year = 365 * 24 * hour
	now := store.Instant((1<<53 - 2*(100*year).Microseconds() - 1) * 1000)
	full := now.Micros() + (100 * year).Microseconds()
	costs := func(first, second int64) store.Charge {
		return with(c, window(100, year, first), window((100*year).Microseconds(), time.Microsecond, second))
	}
	c = costs(100, (100*year).Microseconds()-1)
	k.levels(k.commit(now, take(c))[0], full, full-1)
	k.limited(now, take(c), c.Bucket, 100*year)
	k.limited(now.Add(time.Microsecond), take(costs(0, 3)), c.Bucket, time.Microsecond)
	k.commit(now, take(costs(0, 1)))
	k.stands(now, c, full, full)
	k.limited(now, take(costs(0, 1)), c.Bucket, time.Microsecond)
	k.commit(now, give(costs(1, 1)))
	k.stands(now, c, full-year.Microseconds(), full-1)
}
