// Package limit is the arithmetic of the limits on sign-ins: which buckets a step charges, and how much. It is pure. It reads no
// clock and no randomness, and reaches no store: it writes charges into a batch that somebody else commits.
//
// The buckets are:
//
//   - of a person (an address in a tenant): messages, and the guess ledger beside the consecutive failures;
//   - of a network: starts, and verifies;
//   - of a known device: its failures;
//   - shared by all: failed verifies, and text messages by prefix, by country and in all.
package limit

import (
	"slices"
	"strconv"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

// The buckets by kind. Their names are keyed pseudonyms, or plain for what is nobody's.
const (
	Sends       store.Kind = "send"         // messages to one person
	Reserve     store.Kind = "send-reserve" // what one network may take of a person's reserve
	Starts      store.Kind = "start"        // starts and resends of one network
	Guesses     store.Kind = "guess"        // verifies of one network
	Ledger      store.Kind = "ledger"       // guesses at one person's codes: the ledger, and consecutive failures
	Device      store.Kind = "device"       // failures of one device cookie
	Failures    store.Kind = "failures"     // failed verifies of all, striped
	SMSPrefix   store.Kind = "sms-prefix"   // text messages to one prefix of numbers
	SMSCountry  store.Kind = "sms-country"  // text messages to one country, striped
	SMSEveryone store.Kind = "sms-all"      // text messages to all countries, striped
)

// The guess ledger: at most LedgerBurst guesses at short codes at once and LedgerYear more a year, for one
// person, whatever is resent, restarted, rotated or succeeds in between.
const (
	LedgerBurst = 45
	LedgerYear  = 50
)

// MaxTries is the most attempts that a challenge can have.
const MaxTries = 10

const (
	maxFailures    = 100 // consecutive, then short codes are off (NIST SP 800-63B-4, 3.2.2)
	deviceFailures = 10  // then a device is unknown
	verifiedWorth  = 5   // sends that one verified number pays for: below one right code in so many, a prefix stops
	maxStripes     = 16  // rows that a shared bucket is spread over
	maxShift       = 3   // stripes that one call tries after its first

	day  = 24 * time.Hour
	year = 365 * day
)

// Windows that no policy changes.
var (
	ledgerWindow   = store.Window{Burst: LedgerBurst, Every: (year / LedgerYear).Truncate(time.Microsecond)}
	failuresWindow = store.Window{Burst: maxFailures, Every: year}
	deviceWindow   = store.Window{Burst: deviceFailures, Every: year}
)

// A Limit is Count at once, and one more each Per/Count after that.
type Limit struct {
	Count int
	Per   time.Duration
}

// window is the limit as a window that a charge takes cost from. extra is added to what it holds.
func (l Limit) window(cost, extra int64) store.Window {
	every := (l.Per / time.Duration(l.Count)).Truncate(time.Microsecond)
	return store.Window{Burst: int64(l.Count) + extra, Every: every, Cost: cost}
}

// A Policy is every limit that can be chosen.
type Policy struct {
	EmailSends, SMSSends, Starts []Limit
	Guesses, Failures            Limit
	SMSPrefix, SMSUnverified     Limit
	SMSCountry, SMSEveryone      Limit
}

// Limits is a policy made into windows. It is immutable. Batches share its windows and do not change them.
type Limits struct {
	email, sms [tiers][]store.Window
	start      []store.Window
	nuisance   []store.Window // what a cancelled challenge costs its initiator's network
	guess      []store.Window
	reserve    []store.Window
	failures   []store.Window
	ledger     ledger
	device     [2][]store.Window // one failure, and all of them
	ended      []store.Window    // all of them, however many there are already
	prefix     []store.Window
	verified   []store.Window // what a verified number gives its prefix back
	country    []store.Window
	everyone   []store.Window
	stripes    int
}

// A ledger is the windows of a person's guesses. The first index is 1 for a known device, which does not draw on the ledger.
type ledger struct {
	take  [2][]store.Window
	looks [2][MaxTries + 1][]store.Window // whether so many guesses are left
	backs [MaxTries + 1][]store.Window    // gives every consecutive failure back, and so many guesses
}

// New makes the windows of a policy.
func New(p Policy) *Limits {
	l := &Limits{
		email: sendWindows(p.EmailSends), sms: sendWindows(p.SMSSends),
		guess:   []store.Window{p.Guesses.window(1, 0)},
		reserve: []store.Window{{Burst: 1, Every: day, Cost: 1}},
		ledger:  newLedger(),
		device:  [2][]store.Window{{cost(deviceWindow, 1)}, {cost(deviceWindow, deviceFailures)}},
		ended:   []store.Window{{Burst: 2 * deviceFailures, Every: year, Cost: deviceFailures}},
		prefix:  []store.Window{p.SMSPrefix.window(1, 0), p.SMSUnverified.window(1, 0)},
		verified: []store.Window{p.SMSPrefix.window(0, 0),
			p.SMSUnverified.window(min(verifiedWorth, int64(p.SMSUnverified.Count)), 0)},
		stripes: stripesOf(p.Failures, p.SMSCountry, p.SMSEveryone),
	}
	for _, s := range p.Starts {
		l.start = append(l.start, s.window(1, 0))
		l.nuisance = append(l.nuisance, s.window(min(3, int64(s.Count)), 0))
	}
	l.failures = []store.Window{l.striped(p.Failures)}
	l.country = []store.Window{l.striped(p.SMSCountry)}
	l.everyone = []store.Window{l.striped(p.SMSEveryone)}
	return l
}

func newLedger() (l ledger) {
	l.take = [2][]store.Window{{cost(ledgerWindow, 1), cost(failuresWindow, 1)}, {ledgerWindow, cost(failuresWindow, 1)}}
	for n := range int64(MaxTries + 1) {
		l.looks[0][n] = []store.Window{cost(ledgerWindow, n), cost(failuresWindow, n)}
		l.looks[1][n] = []store.Window{ledgerWindow, cost(failuresWindow, n)}
		l.backs[n] = []store.Window{cost(ledgerWindow, n), cost(failuresWindow, maxFailures)}
	}
	return l
}

func cost(w store.Window, n int64) store.Window {
	w.Cost = n
	return w
}

// sendWindows are the windows of messages to a person, by tier.
func sendWindows(sends []Limit) (all [tiers][]store.Window) {
	for t := range tiers {
		for _, s := range sends {
			all[t] = append(all[t], s.window(1, int64(t)*int64(max(1, s.Count/4))))
		}
	}
	return all
}

// stripesOf is how many rows a shared bucket is spread over, so that commits do not queue on one: so many that each stripe
// still holds at least ten.
func stripesOf(limits ...Limit) int {
	n := maxStripes
	for _, l := range limits {
		n = min(n, max(1, l.Count/10))
	}
	return n
}

// striped is the share of one stripe.
func (l *Limits) striped(limit Limit) store.Window {
	limit.Count = max(1, limit.Count/l.stripes)
	return limit.window(1, 0)
}

var stripeNames = [maxStripes]string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f"}

// Stripe is the stripe of the shared buckets that a number picks.
func (l *Limits) Stripe(n uint8) uint8 { return n % uint8(l.stripes) }

// A Subject says whose buckets a step charges. Every name is a keyed pseudonym.
type Subject struct {
	Person  string
	Network string
	Device  string // of a device cookie; "" for none
	Prefix  string // of the person's telephone number; "" where the message is an e-mail
	Country int    // its calling code
	Stripe  uint8  // of the shared buckets
}

// Attempt charges one verify of a network, whatever it presents.
func (l *Limits) Attempt(b *store.Batch, s Subject) {
	take(b, store.Charge{Bucket: store.Key{Kind: Guesses, Name: s.Network}, Windows: l.guess})
}

// Guess charges one evaluated guess. A guess at a long code does not draw on the ledger, and a known device pays from a budget
// of its own. It reports whether the guess drew on the ledger.
//
// A right guess is refused exactly where a wrong one is. What its success would give straight back is only looked at,
// so that nothing is written to be undone.
func (l *Limits) Guess(b *store.Batch, s Subject, p Plan, long, right bool) (drew bool) {
	if !p.noBreaker {
		take(b, look(l.breaker(s), right))
	}
	if long {
		l.LookDevice(b, s, p)
		return false
	}
	known := p.KnowsDevice()
	if known {
		take(b, look(l.deviceOf(s, 0), right))
	}
	take(b, look(l.ledgerOf(s, l.ledger.take[index(known)]), right))
	return !known && !right
}

// Look asks whether a short code keeps the promise of the ledger, for all attempts of its challenge.
func (l *Limits) Look(b *store.Batch, s Subject, p Plan, attempts int) {
	l.LookDevice(b, s, p)
	take(b, look(l.ledgerOf(s, l.ledger.looks[index(p.KnowsDevice())][min(attempts, MaxTries)]), true))
	take(b, look(l.breaker(s), true))
}

// LookDevice asks whether a known device has failed too often, where the step itself costs it nothing.
func (l *Limits) LookDevice(b *store.Batch, s Subject, p Plan) {
	if p.KnowsDevice() {
		take(b, look(l.deviceOf(s, 0), true))
	}
}

// EndDevice charges a device as if it had failed as often as it may.
func (l *Limits) EndDevice(b *store.Batch, device string) {
	take(b, store.Charge{Bucket: store.Key{Kind: Device, Name: device}, Windows: l.ended, Durable: true})
}

// Succeed gives back what a challenge was charged that ends in success: every consecutive failure, and the wrong guesses
// that drew on the ledger and may be returned to it.
func (l *Limits) Succeed(b *store.Batch, s Subject, p Plan, drawn uint8) {
	give(b, l.ledgerOf(s, l.ledger.backs[min(drawn, MaxTries)]))
	if p.KnowsDevice() {
		give(b, l.deviceOf(s, 1))
	}
	if s.Prefix != "" {
		give(b, store.Charge{Bucket: store.Key{Kind: SMSPrefix, Name: s.Prefix}, Windows: l.verified, Durable: true})
	}
}

// Send charges one message, sent or suppressed alike.
func (l *Limits) Send(b *store.Batch, s Subject, p Plan) {
	windows := &l.email
	if s.Prefix != "" {
		windows = &l.sms
	}
	t := p.tier()
	take(b, store.Charge{Bucket: store.Key{Kind: Sends, Name: s.Person}, Windows: windows[t]})
	take(b, store.Charge{Bucket: store.Key{Kind: Starts, Name: s.Network}, Windows: l.start})
	if t == reserve {
		take(b, store.Charge{Bucket: store.Key{Kind: Reserve, Name: s.Person + s.Network}, Windows: l.reserve})
	}
	if s.Prefix != "" {
		country := strconv.Itoa(s.Country) + "#" + stripeNames[s.Stripe%maxStripes]
		take(b, store.Charge{Bucket: store.Key{Kind: SMSPrefix, Name: s.Prefix}, Windows: l.prefix, Durable: true})
		take(b, store.Charge{Bucket: store.Key{Kind: SMSCountry, Name: country}, Windows: l.country, Durable: true})
		take(b, store.Charge{Bucket: stripe(SMSEveryone, s), Windows: l.everyone, Durable: true})
	}
}

// Unsend gives back what a message cost that surely was not taken. The network is not given its start back: asking is not free
// because the address is no good.
func (l *Limits) Unsend(b *store.Batch, s Subject, p Plan) {
	var sent store.Batch
	l.Send(&sent, s, p)
	for _, c := range sent.Charges {
		if c.Bucket.Kind != Starts {
			give(b, c)
		}
	}
}

// Nuisance charges a network for a challenge that its recipient did not ask for.
func (l *Limits) Nuisance(b *store.Batch, network string, p Plan) {
	if !p.noNuisance {
		take(b, store.Charge{Bucket: store.Key{Kind: Starts, Name: network}, Windows: l.nuisance})
	}
}

func (l *Limits) ledgerOf(s Subject, windows []store.Window) store.Charge {
	return store.Charge{Bucket: store.Key{Kind: Ledger, Name: s.Person}, Windows: windows, Durable: true}
}

func (l *Limits) deviceOf(s Subject, all int) store.Charge {
	return store.Charge{Bucket: store.Key{Kind: Device, Name: s.Device}, Windows: l.device[all], Durable: true}
}

func (l *Limits) breaker(s Subject) store.Charge {
	return store.Charge{Bucket: stripe(Failures, s), Windows: l.failures}
}

func stripe(kind store.Kind, s Subject) store.Key {
	return store.Key{Kind: kind, Name: stripeNames[s.Stripe%maxStripes]}
}

func take(b *store.Batch, c store.Charge) { b.Charges = append(b.Charges, c) }
func give(b *store.Batch, c store.Charge) { b.GiveBacks = append(b.GiveBacks, c) }

func look(c store.Charge, only bool) store.Charge {
	c.Look = only
	return c
}

func index(known bool) int {
	if known {
		return 1
	}
	return 0
}

// Sort puts the charges of a batch in the order that the contract wants, so that commits never wait for one another in
// a circle.
func Sort(b *store.Batch) {
	byBucket := func(x, y store.Charge) int { return x.Bucket.Compare(y.Bucket) }
	slices.SortFunc(b.Charges, byBucket)
	slices.SortFunc(b.GiveBacks, byBucket)
}
