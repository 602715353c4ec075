package passwordless

import (
	"errors"
	"fmt"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

// A LimitedError says that a limit is used up. No write happened.
type LimitedError struct {
	// Bucket is the bucket that refused. Its name is a keyed pseudonym.
	Bucket store.Key
	// RetryAfter is how long until the same charge would be granted, if nothing
	// else is charged meanwhile. It tells of this bucket: another one may refuse then.
	RetryAfter time.Duration
	// Rate tells the same for X-RateLimit headers: the limit of the window that refused, and when to come back.
	Rate RateLimit
}

func (e *LimitedError) Error() string {
	return fmt.Sprintf("passwordless: limit %q reached, retry after %v", e.Bucket.Kind, e.RetryAfter)
}

// orBefore returns the refusal that tells when to come back: the earlier one, of a stranger's send windows, where the
// reserve refused too. Its own would be the wait for another day's reserve.
func (e *LimitedError) orBefore(earlier *LimitedError) *LimitedError {
	if kind := e.Bucket.Kind; earlier != nil && (kind == bucketSend || kind == bucketReserve) {
		return earlier
	}
	return e
}

// toLimited turns the refusal of a store, if err is one, into a *LimitedError that tells how much the
// window that refused holds.
func toLimited(b *store.Batch, now store.Instant, err error) error {
	var refused *store.LimitedError
	if !errors.As(err, &refused) {
		return err
	}
	l := &LimitedError{Bucket: refused.Bucket, RetryAfter: refused.RetryAfter}
	for _, c := range b.Charges {
		if c.Bucket == refused.Bucket && uint(refused.Window) < uint(len(c.Windows)) {
			l.Rate = RateLimit{Limit: c.Windows[refused.Window].Burst, Reset: now.Add(refused.RetryAfter).Time()}
		}
	}
	return l
}

// A RateLimit tells what the caller has left of a limit, after the call that returned it: fit for
// X-RateLimit headers. The zero value tells nothing: no such limit was charged.
type RateLimit struct {
	Limit     int64     // when nothing is taken
	Remaining int64     // now
	Reset     time.Time // when it is full again, or, of a refusal, when to try again, if nothing else is charged meanwhile
}

// rate finds the bucket of a kind among the charges of a batch that was committed, and tells of its tightest window.
func rate(b *store.Batch, kind store.Kind, now store.Instant, levels store.Levels) (r RateLimit) {
	for i, c := range b.Charges {
		if c.Bucket.Kind != kind || i >= len(levels) {
			continue
		}
		for w, window := range c.Windows {
			if w >= len(levels[i]) {
				break
			}
			full := levels[i][w : w+1]
			left := store.Charge{Windows: c.Windows[w : w+1]}.Left(now, full)
			if r.Limit == 0 || left < r.Remaining {
				r = RateLimit{window.Burst, left, store.Instant(max(full[0], now.Micros()) * 1000).Time()}
			}
		}
	}
	return r
}
