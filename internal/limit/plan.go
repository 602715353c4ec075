package limit

import "github.com/seed62b93bad/passwordless/store"

// A tier says how much of a person's send windows a call may use, so that a flood of strangers does not silence the owner.
// Each tier adds a quarter of the policy's number to a window.
type tier uint8

const (
	stranger tier = iota
	reserve       // a network that takes its one a day from the reserve
	known         // a device that has signed this person in before
	tiers
)

// A Plan says which limits one call may go without, in which tier it sends, and how long its code is. The zero Plan is of
// a call that presents a secret, from a device that is not known. A refused commit changes the plan by Ease,
// and the call is decided again.
type Plan struct {
	// Sends marks a call that makes a message. Where guesses at short codes have become rare, its code is longer.
	Sends bool
	// Cancels marks a call that ends a challenge which its recipient did not ask for.
	Cancels bool
	// Known marks a call from a device that has signed this person in before.
	Known bool

	long       bool  // the code of the message is long
	reserve    bool  // the message goes from the person's reserve
	noDevice   bool  // the device has failed too often, so it is not known any more
	noBreaker  bool  // the guess goes on without the breaker: that never refuses a right code
	noNuisance bool  // the network has nothing left to pay with
	shift      uint8 // stripes that had nothing left

	earlier *store.LimitedError // what a stranger's send windows answered
}

// KnowsDevice reports whether the call is from a device that is known and has not failed too often.
func (p *Plan) KnowsDevice() bool { return p.Known && !p.noDevice }

// Long reports whether the message must carry a long code.
func (p *Plan) Long() bool { return p.long }

// Shift is how many stripes of the shared buckets had nothing left.
func (p *Plan) Shift() uint8 { return p.shift }

func (p *Plan) tier() tier {
	switch {
	case p.KnowsDevice():
		return known
	case p.reserve:
		return reserve
	}
	return stranger
}

// Easings bounds how often Ease can allow another try of one call.
const Easings = 7

// Ease is told what refused a call, and decides whether the call is decided again under another plan. It is the only place that
// decides so. A device that has failed too often is not known any more. A message whose short code the
// ledger or the breaker does not allow carries a long one. A stranger's message takes from the reserve. Of shared
// buckets another stripe may have some left. What may never refuse a right secret is left out: the breaker at a guess, and
// the price of a cancelled challenge.
func (p *Plan) Ease(refusal *store.LimitedError) bool {
	switch kind := refusal.Bucket.Kind; {
	case kind == Device && p.KnowsDevice():
		p.noDevice = true
	case (kind == Ledger || kind == Failures) && p.Sends && !p.long:
		p.long = true
	case kind == Failures && !p.Sends && !p.noBreaker:
		p.noBreaker = true
	case kind == Sends && p.tier() == stranger:
		p.reserve, p.earlier = true, refusal
	case (kind == SMSCountry || kind == SMSEveryone) && p.shift < maxShift:
		p.shift++
	case kind == Starts && p.Cancels && !p.noNuisance:
		p.noNuisance = true
	default:
		return false
	}
	return true
}

// Final is the refusal to tell of a call that Ease does not allow another try. It tells when to come back: where the reserve
// refused after a stranger's own windows, those are free earlier than another day's reserve.
func (p *Plan) Final(refusal *store.LimitedError) *store.LimitedError {
	if kind := refusal.Bucket.Kind; p.earlier != nil && (kind == Sends || kind == Reserve) {
		return p.earlier
	}
	return refusal
}
