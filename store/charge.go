package store

import (
	"fmt"
	"time"
)

// A Charge takes from a bucket, or only looks whether it could.
//
// A bucket holds one number a window: the instant, in Unix microseconds, at which that window is full again. A missing
// bucket, like the number 0, is full. Microseconds and the bounds below keep every granted number under 2^53 until the
// year 2155, so that engines whose numbers are binary64 compute the same. The windows of one bucket are always given in
// the same order; when a policy adds one, the stored bucket is short and the missing numbers are 0, and a caller that
// does not know it yet leaves its number as it is.
type Charge struct {
	Bucket  Key
	Windows []Window // 1 to 8
	// Durable buckets survive a crash of the engine like records do. The others may start afresh after one, so that a
	// driver can keep them cheaper. It is a property of the bucket: every charge of one bucket says the same.
	Durable bool
	// Look refuses as taking would, but takes nothing. Nothing is written, not even a full bucket.
	Look bool
}

// A Window is one limit of a bucket: Burst at once, one more each Every (the generic cell rate algorithm).
type Window struct {
	Burst int64         // what the charge may use of a full window: 1 or more
	Every time.Duration // whole microseconds, at least one
	Cost  int64         // what the charge takes, or the give-back returns: 0 to Burst
	// Whole is the most that any charge may use of the window: Burst or more. With it, a number that only a clock far ahead can
	// have written is not believed (see Charge.Take). Zero: every number is. Whole*Every is at most 100 years.
	Whole int64
}

// maxAhead is how far clocks may differ without a bucket being forgotten: more than time zones do.
const maxAhead = 24 * time.Hour

// Horizon is how far after now a number of the window is believed, in microseconds; 0 if every number is.
func (w Window) Horizon() int64 {
	if w.Whole == 0 {
		return 0
	}
	return w.Whole*w.Every.Microseconds() + maxAhead.Microseconds()
}

// believed is a number of the window, or 0 if it is beyond the horizon.
func (w Window) believed(full, at int64) int64 {
	if h := w.Horizon(); h > 0 && full-at > h {
		return 0
	}
	return full
}

// maxSpan bounds Whole*Every, in microseconds.
const maxSpan = int64(100 * 365 * 24 * time.Hour / time.Microsecond)

// Take is the arithmetic of a charge. The state full holds for each window the instant when it is full again, as
// stored; it may be shorter than Windows. Take returns the next state, or, if a window has less than Cost left at now,
// the state unchanged and a *LimitedError. A window is charged from the later of now and its number:
//
//	next = max(full, now) + Cost*Every, refused if next - now > Burst*Every
//
// If Whole is set, a number later than now + Whole*Every + 24 hours was written by a clock that was far ahead, and counts as
// 0: else one wrong clock would refuse people for as long as it was ahead. Up to those 24 hours it stands: a bucket that is
// used up must not be full for whoever's clock is a moment behind.
//
// A window with Cost 0 is never refused and its number stays. When the charge only looks, the next state is the state.
// Take allocates the next state; full is not changed.
func (c Charge) Take(now Instant, full []int64) ([]int64, error) {
	return c.AppendTake(nil, now, full)
}

// AppendTake is Take into a slice of the caller's: it appends the next state to into.
func (c Charge) AppendTake(into []int64, now Instant, full []int64) ([]int64, error) {
	into, next := extend(into, c, full)
	at := now.Micros()
	var wait int64
	refusing := 0
	for i, w := range c.Windows {
		if w.Cost == 0 {
			continue
		}
		every := w.Every.Microseconds()
		taken := max(w.believed(next[i], at), at) + w.Cost*every
		if short := taken - at - w.Burst*every; short > wait {
			wait, refusing = short, i
		}
		if !c.Look {
			next[i] = taken
		}
	}
	if wait > 0 {
		copy(next, full)
		clear(next[len(full):])
		return into, &LimitedError{Bucket: c.Bucket, Window: refusing, RetryAfter: time.Duration(wait) * time.Microsecond}
	}
	return into, nil
}

// extend appends a copy of the state, as long as the windows need, and returns it too.
func extend(into []int64, c Charge, full []int64) (all, state []int64) {
	from := len(into)
	into = append(into, full...)
	for len(into)-from < len(c.Windows) {
		into = append(into, 0)
	}
	return into, into[from:]
}

// Give is the arithmetic of a give-back: each number is moved back by Cost*Every. It need not stop at now, since Take
// charges from the later of the two. Give allocates its result; full is not changed.
func (c Charge) Give(full []int64) []int64 { return c.AppendGive(nil, full) }

// AppendGive is Give into a slice of the caller's: it appends the next state to into.
func (c Charge) AppendGive(into, full []int64) []int64 {
	into, next := extend(into, c, full)
	for i, w := range c.Windows {
		if w.Cost > 0 {
			next[i] = max(0, next[i]-w.Cost*w.Every.Microseconds())
		}
	}
	return into
}

// Left returns how many of cost 1 the bucket would still grant at now: the least over its windows.
func (c Charge) Left(now Instant, full []int64) int64 {
	least := int64(-1)
	for i, w := range c.Windows {
		used := int64(0)
		if i < len(full) {
			used = max(0, w.believed(full[i], now.Micros())-now.Micros())
		}
		every := w.Every.Microseconds()
		left := max(0, (w.Burst*every-used)/every)
		if least < 0 || left < least {
			least = left
		}
	}
	return least
}

func (c Charge) validate() error {
	if err := c.Bucket.validate(); err != nil {
		return err
	}
	if len(c.Windows) < 1 || len(c.Windows) > 8 {
		return fmt.Errorf("%w: bucket with %d windows, want 1 to 8", ErrInvalidBatch, len(c.Windows))
	}
	for _, w := range c.Windows {
		every := w.Every.Microseconds()
		switch {
		case w.Burst < 1 || every < 1 || w.Every%time.Microsecond != 0:
			return fmt.Errorf("%w: window of %d each %v", ErrInvalidBatch, w.Burst, w.Every)
		case max(w.Whole, w.Burst) > maxSpan/every:
			return fmt.Errorf("%w: window over 100 years", ErrInvalidBatch)
		case w.Whole != 0 && w.Whole < w.Burst:
			return fmt.Errorf("%w: a window that holds %d, less than its burst of %d", ErrInvalidBatch, w.Whole, w.Burst)
		case w.Cost < 0 || w.Cost > w.Burst:
			return fmt.Errorf("%w: cost %d of a window of %d", ErrInvalidBatch, w.Cost, w.Burst)
		}
	}
	return nil
}
