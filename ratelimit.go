package passwordless

import (
	"context"
	"fmt"
	"time"

	"github.com/seed62b93bad/passwordless/internal/limit"
	"github.com/seed62b93bad/passwordless/internal/machine"
	"github.com/seed62b93bad/passwordless/store"
)

// A RateLimit tells what the caller has left of a limit, after the call that returned it. It is fit for X-RateLimit
// headers. The zero value means that no such limit was charged.
type RateLimit struct {
	Limit     int64     // when nothing is taken
	Remaining int64     // now
	Reset     time.Time // when it is full again, or, of a refusal, when to try again, if nothing else is charged meanwhile
}

// A LimitedError says that a limit is used up. Nothing was done.
type LimitedError struct {
	// Limit is which one, as events and docs/operations.md name it: "start", "guess", "send", "sms-country" and so on.
	Limit string
	// RetryAfter is how long until this limit would let the same call through, if nothing else is charged meanwhile.
	// Another limit may refuse it then.
	RetryAfter time.Duration
	// Rate tells the same as numbers for headers.
	Rate RateLimit
}

// Error says which limit it is, whose, and when to try again.
func (e *LimitedError) Error() string {
	seconds := (e.RetryAfter + time.Second - 1).Truncate(time.Second) // not a moment too early
	return fmt.Sprintf("passwordless: too many %s (limit %q), again in %v", limitWords[store.Kind(e.Limit)], e.Limit, seconds)
}

// limitWords tell what each limit counts, and whose it is.
var limitWords = map[store.Kind]string{
	limit.Sends:        "messages to this address",
	limit.Reserve:      "messages to this address that one network asked for",
	limit.NetworkSends: "messages to this address from its known networks",
	limit.DeviceSends:  "messages to this device",
	limit.Human:        "messages to this address that were vouched for",
	limit.Starts:       "starts of this network",
	limit.SiteStarts:   "starts of this IPv6 site",
	limit.RegionStarts: "starts of this IPv6 region",
	limit.Unanswered:   "e-mails that nobody answered",
	limit.Guesses:      "guesses of this network",
	limit.Ledger:       "guesses at this address's codes",
	limit.Strangers:    "guesses of strangers at this tenant's codes",
	limit.Networks:     "guesses of known networks at this tenant's codes",
	limit.Draw:         "guesses of this network at this tenant's codes",
	limit.SiteDraw:     "guesses of this IPv6 site at this tenant's codes",
	limit.Device:       "wrong guesses of this device",
	limit.SMSPrefix:    "text messages to this prefix of numbers",
	limit.SMSCountry:   "text messages to this country",
	limit.SMSTenant:    "text messages of this tenant",
	limit.SMSEveryone:  "text messages to everybody",
}

// refusals are the refusals of one call, each with what its caller would be told. The caller is told of one:
// limit.Plan.Final may choose one of an earlier batch.
type refusals struct {
	told map[*store.LimitedError]*LimitedError
}

// An asker finds out what a plan asks about whoever calls.
type asker interface {
	// knownNetwork reports whether the network is known for the person.
	knownNetwork(ctx context.Context, s *Service) (bool, error)
	// who calls, and for whom.
	who() (Caller, Identifier)
	moment() *machine.Moment // whose plan is eased
	refused() *refusals
}

// refused implements asker.
func (r *refusals) refused() *refusals { return r }

// ease keeps the refusal of a batch, and returns nil if the plan can do without that limit: then the call is decided again.
// Else it returns what the caller is told, a *LimitedError, or what failed.
func (s *Service) ease(ctx context.Context, x asker, b *store.Batch, refusal *store.LimitedError) error {
	r, at := x.refused(), x.moment()
	if r.told == nil {
		r.told = map[*store.LimitedError]*LimitedError{}
	}
	r.told[refusal] = limitedBy(b, refusal, at.Now)
	for {
		switch at.Plan.Ease(refusal) {
		case limit.Again:
			return nil
		case limit.AskNetwork:
			known, err := x.knownNetwork(ctx, s)
			if err != nil {
				return err
			}
			if known {
				at.Plan.FromNetwork()
				return nil
			}
		case limit.AskHuman:
			if caller, id := x.who(); s.human != nil && s.human(ctx, caller, id) {
				at.Plan.Vouched()
				return nil
			}
		default:
			return r.told[at.Plan.Final(refusal)]
		}
	}
}

// limitedBy is what the caller is told of a refusal of a batch.
func limitedBy(b *store.Batch, refusal *store.LimitedError, now store.Instant) *LimitedError {
	e := &LimitedError{Limit: string(refusal.Bucket.Kind), RetryAfter: refusal.RetryAfter}
	e.Rate.Reset = now.Add(refusal.RetryAfter).Time()
	for _, c := range b.Charges {
		if c.Bucket == refusal.Bucket && refusal.Window < len(c.Windows) {
			e.Rate.Limit = max(c.Windows[refusal.Window].Whole, c.Windows[refusal.Window].Burst)
		}
	}
	return e
}

// rateOf finds the bucket of a kind among what a batch charged, and tells what is left in the fullest of its windows.
func rateOf(b *store.Batch, kind store.Kind, now store.Instant, levels store.Levels) (r RateLimit) {
	for i, c := range b.Charges {
		if c.Bucket.Kind != kind || i >= len(levels) {
			continue
		}
		for w, window := range c.Windows {
			if w >= len(levels[i]) {
				break
			}
			window.Burst = max(window.Burst, window.Whole) // what this charge may use of it is nobody's business
			full := levels[i][w : w+1]
			one := [1]store.Window{window}
			left := store.Charge{Windows: one[:]}.Left(now, full)
			if r.Limit == 0 || left < r.Remaining {
				r = RateLimit{window.Burst, left, store.Instant(max(full[0], now.Micros()) * 1000).Time()}
			}
		}
	}
	return r
}
