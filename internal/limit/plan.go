package limit

import "github.com/seed62b93bad/passwordless/store"

// A Rank says who asks. Each limit has a share for each, so that neither a flood nor a neighbour nor a spray reaches who was
// here before.
type Rank uint8

// The ranks.
const (
	Stranger     Rank = iota
	KnownNetwork      // it signed this person in before
	KnownDevice       // it did, and has the cookie to show for it
	ranks
)

// A Shape says which codes the screens of a client take. What comes after the last of them is a link.
type Shape uint8

// The shapes.
const (
	AnyCode    Shape = iota // digits, and then letters
	DigitsOnly              // as few as the policy says, and then nine
	FewDigits               // as few as the policy says
)

// Codes are the codes of the messages that a call can make.
type Codes struct {
	First Rung  // that they begin at
	Shape Shape // what the client takes
	Links bool  // whether there can be a link
}

// A Plan says in which rank a call is charged, which limits it may go without, and how long its code is. The zero Plan is of
// a stranger's call that presents a secret. A refused commit changes the plan by Ease, and the call is decided again.
type Plan struct {
	// Sends marks a call that makes a message. Where guesses at short codes have become dear, its code is longer.
	Sends bool
	// Cancels marks a call that ends a challenge which its recipient did not ask for.
	Cancels bool
	Rank    Rank

	Codes Codes

	rung         Rung // the least that the message's code must have
	noDevice     bool // the device is not known any more, whatever cookie comes
	noNetwork    bool // the share of known networks has nothing left for a guess
	askedNetwork bool
	askedHuman   bool
	vouched      bool  // the application says that a person asks
	reserve      bool  // the message goes from the second half of the person's windows
	noNuisance   bool  // the network has nothing left to pay with
	shift        uint8 // stripes that had nothing left

	earlier *store.LimitedError // what the first half of the person's windows answered
}

// Rung is the least that the code of the message must have. A challenge that has more keeps it.
func (p *Plan) Rung() Rung { return max(p.rung, p.Codes.First) }

// Longer reports whether the message's code must be longer than the policy's.
func (p *Plan) Longer() bool { return p.rung > p.Codes.First }

// LinkAlone reports whether the message must carry a link in place of a code.
func (p *Plan) LinkAlone() bool { return p.rung == Uncounted && p.Codes.Shape != AnyCode }

// Shift is how many stripes of the shared buckets had nothing left.
func (p *Plan) Shift() uint8 { return p.shift }

// An Easing is what to do about a refusal.
type Easing uint8

// The easings.
const (
	Refused    Easing = iota // nothing: the refusal stands
	Again                    // decide again, under the changed plan
	AskNetwork               // find out whether the network is known, call FromNetwork if it is, else Ease again
	AskHuman                 // ask the application whether a person asks, call Vouched if so, else Ease again
)

// Easings bounds how often Ease can allow another try of one call.
const Easings = 11

// FromDevice says that the device is known for the person. It means nothing after NotDevice.
func (p *Plan) FromDevice() {
	if !p.noDevice {
		p.Rank = KnownDevice
	}
}

// NotDevice says that the device is not known any more.
func (p *Plan) NotDevice() {
	p.noDevice = true
	if p.Rank == KnownDevice {
		p.Rank = Stranger
	}
}

// FromNetwork says that the network is known for the person. It means nothing once the share of known networks has refused a
// guess.
func (p *Plan) FromNetwork() {
	if !p.noNetwork {
		p.Rank = KnownNetwork
	}
}

// Vouched says that a person asks.
func (p *Plan) Vouched() { p.vouched = true }

// Ease is told what refused a call, and says whether the call is decided again under another plan. It is the only place that
// decides so. A device that has failed or asked too often is a stranger's. A stranger may be in a known network, which has a
// share of its own. A message whose code cannot be paid carries a longer one. A stranger's message takes from the second
// half. A guess from a known network may be charged to strangers, since its code may have been made in their share: else the
// start would give short codes again and again that are never looked at. Of shared budgets another stripe may have some left.
// What may never refuse a right secret is left out: the price of a cancelled challenge.
func (p *Plan) Ease(refusal *store.LimitedError) Easing {
	kind := refusal.Bucket.Kind
	switch {
	case (kind == Device || kind == DeviceSends) && p.Rank == KnownDevice:
		p.NotDevice()
	case kind == NetworkSends && p.Rank == KnownNetwork:
		p.Rank = Stranger
	case kind == Networks && p.Rank == KnownNetwork && !p.Sends:
		p.Rank, p.noNetwork, p.askedNetwork = Stranger, true, true
	case p.Rank == Stranger && !p.askedNetwork && hasShares(kind):
		p.askedNetwork = true
		return AskNetwork
	case IsRisk(kind) && p.Sends && p.climb(kind == Ledger && refusal.Window == 1):
	case kind == Sends && !p.reserve:
		p.reserve, p.earlier = true, refusal
	case p.Sends && !p.askedHuman && isAsking(kind):
		p.askedHuman = true
		return AskHuman
	case (kind == SMSCountry || kind == SMSTenant || kind == SMSEveryone) && p.shift < maxShift:
		p.shift++
	case kind == Starts && p.Cancels && !p.noNuisance:
		p.noNuisance = true
	default:
		return Refused
	}
	return Again
}

// climb takes the next rung that the client takes, or the last one. It reports false if there is none.
func (p *Plan) climb(last bool) bool {
	next := Uncounted
	switch now := p.Rung(); {
	case now >= Uncounted:
		return false
	case last:
	case now < NineDigits && p.Codes.Shape != FewDigits:
		next = NineDigits
	case now < TenLetters && p.Codes.Shape == AnyCode:
		next = TenLetters
	}
	if next == Uncounted && p.Codes.Shape != AnyCode && !p.Codes.Links {
		return false
	}
	p.rung = next
	return true
}

// hasShares reports whether known networks have a share of their own in a limit.
func hasShares(kind store.Kind) bool {
	return IsRisk(kind) || kind == Sends || kind == SMSPrefix || kind == SMSCountry || kind == SMSTenant || kind == SMSEveryone
}

// IsRisk reports whether a bucket counts risk.
func IsRisk(kind store.Kind) bool {
	return kind == Ledger || kind == Strangers || kind == Networks || kind == Draw || kind == SiteDraw
}

// isAsking reports whether a limit is on who asks and for whom, beyond which a vouched person may go.
func isAsking(kind store.Kind) bool {
	return kind == Sends || kind == Reserve || kind == Starts || kind == SiteStarts || kind == Unanswered
}

// Final is the refusal to tell of a call that Ease does not allow another try. It tells when to come back: where the second half
// refused after the first, that is free earlier than another day's share of the second.
func (p *Plan) Final(refusal *store.LimitedError) *store.LimitedError {
	if kind := refusal.Bucket.Kind; p.earlier != nil && (kind == Sends || kind == Reserve) {
		return p.earlier
	}
	return refusal
}
