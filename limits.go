package passwordless

import (
	"slices"
	"strconv"
	"time"

	"github.com/seed62b93bad/passwordless/internal/canon"
)

// The buckets by kind. Their names are keyed pseudonyms, or plain for what is
// nobody's.
const (
	bucketSend      Kind = "send"         // messages to one person
	bucketReserve   Kind = "send-reserve" // what one network may take of a person's reserve
	bucketStart     Kind = "start"        // starts of one network
	bucketGuess     Kind = "guess"        // verifies of one network
	bucketLedger    Kind = "ledger"       // guesses at one person's codes: the ledger, and consecutive failures
	bucketDevice    Kind = "device"       // failures of one device cookie
	bucketFailures  Kind = "failures"     // failed verifies of all, striped
	bucketSMSPrefix Kind = "sms-prefix"
	bucketCountry   Kind = "sms-country" // striped
	bucketSMS       Kind = "sms-all"     // striped
)

// A tier says how much of a person's send windows a request may use, so that a
// flood of strangers does not silence the owner.
type tier uint8

const (
	tierStranger tier = iota
	tierReserve       // a network that takes its one a day from the reserve
	tierKnown         // a device that has signed this person in before
	tiers
)

// reserve is how much a tier adds to a window.
func (t tier) reserve(l Limit) int64 { return int64(t) * int64(max(1, l.Count/4)) }

// limits is a policy compiled to windows. Immutable; its windows are shared by
// batches and never changed.
type limits struct {
	send      map[Channel][tiers][]Window
	start     []Window
	startMore []Window // what a cancelled challenge costs its initiator's network
	guess     []Window
	ledger    [2][]Window               // a guess of an unknown device, and of a known one
	looks     [2][maxTries + 1][]Window // whether so many guesses are left, for an unknown device and a known one
	backs     [maxTries + 1][]Window    // gives every consecutive failure back, and so many guesses
	device    []Window
	deviceAll []Window
	failures  []Window
	prefix    []Window
	verified  []Window // what a verified number gives its prefix back
	country   []Window
	all       []Window
	reserve   []Window
	stripes   uint8
	index     *macKey
}

// maxTries is the most attempts that a challenge can have.
const maxTries = 10

// Windows of the buckets that no policy changes.
var (
	ledgerWindow   = Window{Burst: ledgerBurst, Every: (year / ledgerYear).Truncate(time.Microsecond)}
	failuresWindow = Window{Burst: maxFailures, Every: year}
	deviceWindow   = Window{Burst: 10, Every: year}
)

func (w Window) cost(n int64) Window { w.Cost = n; return w }

// verifiedWorth is how many sends one verified number pays for: below one right
// code in so many, a prefix stops (SMS pumping).
const verifiedWorth = 5

func newLimits(p Policy, index *macKey) *limits {
	l := &limits{
		guess:     []Window{p.Guesses.window(1, 0)},
		ledger:    [2][]Window{{ledgerWindow.cost(1), failuresWindow.cost(1)}, {ledgerWindow, failuresWindow.cost(1)}},
		device:    []Window{deviceWindow.cost(1)},
		deviceAll: []Window{deviceWindow.cost(deviceWindow.Burst)},
		prefix:    []Window{p.SMSPrefix.window(1, 0), p.SMSUnverified.window(1, 0)},
		verified:  []Window{p.SMSPrefix.window(0, 0), p.SMSUnverified.window(min(verifiedWorth, int64(p.SMSUnverified.Count)), 0)},
		reserve:   []Window{{Burst: 1, Every: day, Cost: 1}},
		stripes:   stripesOf(p.GlobalFailures, p.SMSCountry, p.SMSGlobal),
		index:     index,
	}
	l.send = map[Channel][tiers][]Window{Email: sendWindows(p.EmailSends), SMS: sendWindows(p.SMSSends)}
	for _, s := range p.Starts {
		l.start = append(l.start, s.window(1, 0))
		l.startMore = append(l.startMore, s.window(min(3, int64(s.Count)), 0))
	}
	for n := range int64(maxTries + 1) {
		l.looks[0][n] = []Window{ledgerWindow.cost(n), failuresWindow.cost(n)}
		l.looks[1][n] = []Window{ledgerWindow, failuresWindow.cost(n)}
		l.backs[n] = []Window{ledgerWindow.cost(n), failuresWindow.cost(maxFailures)}
	}
	l.failures = []Window{l.striped(p.GlobalFailures)}
	l.country = []Window{l.striped(p.SMSCountry)}
	l.all = []Window{l.striped(p.SMSGlobal)}
	return l
}

func sendWindows(sends []Limit) (all [tiers][]Window) {
	for t := range tiers {
		for _, s := range sends {
			all[t] = append(all[t], s.window(1, t.reserve(s)))
		}
	}
	return all
}

// stripesOf is how many rows a shared bucket is spread over, so that commits do
// not queue on one: enough that each stripe still holds at least ten.
func stripesOf(limits ...Limit) uint8 {
	n := maxStripes
	for _, l := range limits {
		n = min(n, max(1, l.Count/10))
	}
	return uint8(n)
}

// striped is the share of one stripe.
func (l *limits) striped(limit Limit) Window {
	limit.Count = max(1, limit.Count/int(l.stripes))
	return limit.window(1, 0)
}

// allStripes are the names of the stripes of what is shared by all.
const maxStripes = 16

var allStripes = [maxStripes]string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f"}

// countryStripe names a stripe of a country's bucket.
func countryStripe(number string, stripe uint8) string {
	return strconv.Itoa(canon.CallingCode(number)) + "#" + allStripes[stripe%maxStripes]
}

func (l *limits) guesses(network name) Charge {
	return Charge{Bucket: network.key(bucketGuess), Windows: l.guess}
}

func (l *limits) nuisance(network name) Charge {
	return Charge{Bucket: network.key(bucketStart), Windows: l.startMore}
}

// chargeGuess charges one evaluated guess. Long codes do not draw on the ledger; known
// devices pay from a budget of their own.
//
// A right guess is refused exactly where a wrong one is. What its success would give straight back
// is only looked at, so that nothing is written to be undone.
func (l *limits) chargeGuess(b *batch, c *challenge, g *guess, won bool) {
	if !g.without.breaker {
		b.charge(l.breaker(c.stripe).lookIf(won))
	}
	if c.format.base20 {
		l.lookDevice(b, g)
		return
	}
	known := g.known && !g.without.device
	if known {
		b.charge(l.deviceOf(g, l.device).lookIf(won))
	}
	ledger := Charge{Bucket: c.person.key(bucketLedger), Windows: l.ledger[boolByte(known)], Durable: true}
	if won {
		b.charge(ledger.lookIf(true))
		return
	}
	if !known {
		c.drawn++
	}
	b.charge(ledger)
}

func (c Charge) lookIf(look bool) Charge {
	c.Look = look
	return c
}

// lookDevice asks whether a known device has ended, where the guess itself costs it nothing.
func (l *limits) lookDevice(b *batch, g *guess) {
	if g.known && !g.without.device {
		b.charge(l.deviceOf(g, l.device).lookIf(true))
	}
}

func (l *limits) deviceOf(g *guess, windows []Window) Charge {
	return Charge{Bucket: g.device.id.key(bucketDevice), Windows: windows, Durable: true}
}

func (l *limits) breaker(stripe uint8) Charge {
	return Charge{Bucket: Key{bucketFailures, allStripes[stripe%maxStripes]}, Windows: l.failures}
}

// giveBack returns what a challenge that ends in success was charged: the
// consecutive failures, and the wrong guesses that the ledger holds if a handle binds the challenge to
// whoever started it. A wrong guess at a challenge without one may have been a stranger's, who
// must not ride on the owner's successes.
func (l *limits) giveBack(b *batch, c *challenge, g *guess) {
	back := l.backs[0]
	if c.handled {
		back = l.backs[min(c.drawn, maxTries)]
	}
	b.giveBack(Charge{Bucket: c.person.key(bucketLedger), Windows: back, Durable: true})
	if g.known && !g.without.device {
		b.giveBack(l.deviceOf(g, l.deviceAll))
	}
	if c.channel == SMS {
		b.giveBack(Charge{Bucket: l.prefixOf(c.address).key(bucketSMSPrefix), Windows: l.verified, Durable: true})
	}
}

// chargeSend charges one message, sent or suppressed alike.
func (l *limits) chargeSend(b *batch, c *challenge, network name, t tier) {
	b.charge(Charge{Bucket: c.person.key(bucketSend), Windows: l.send[c.channel][t]})
	b.charge(Charge{Bucket: network.key(bucketStart), Windows: l.start})
	if t == tierReserve {
		b.charge(Charge{Bucket: reserveName(c.person, network).key(bucketReserve), Windows: l.reserve})
	}
	if c.channel == SMS {
		b.charge(Charge{Bucket: l.prefixOf(c.address).key(bucketSMSPrefix), Windows: l.prefix, Durable: true})
		b.charge(Charge{Bucket: Key{bucketCountry, countryStripe(c.address, c.stripe)}, Windows: l.country, Durable: true})
		b.charge(Charge{Bucket: Key{bucketSMS, allStripes[c.stripe%maxStripes]}, Windows: l.all, Durable: true})
	}
}

// unsend gives back what a message cost that surely was not taken.
// The network is not given its start back: asking is not free because the address is no good.
func (l *limits) unsend(c *challenge, network name, t tier) Batch {
	charged, b := newBatch(), newBatch()
	l.chargeSend(charged, c, network, t)
	for _, charge := range charged.Charges {
		if charge.Bucket.Kind != bucketStart {
			b.giveBack(charge)
		}
	}
	return b.done()
}

// look asks whether short codes of a challenge keep the promise, for all of its attempts.
func (l *limits) look(b *batch, c *challenge, attempts int, g *guess) {
	l.lookDevice(b, g)
	known := g.known && !g.without.device
	b.charge(Charge{Bucket: c.person.key(bucketLedger), Durable: true, Look: true,
		Windows: l.looks[boolByte(known)][min(attempts, maxTries)]})
	b.charge(l.breaker(c.stripe).lookIf(true))
}

// reserveName joins a person and a network; both are keyed pseudonyms already.
func reserveName(person, network name) name { return person + network }

// prefixOf names a number without its last four digits: a range that pumping dials through.
func (l *limits) prefixOf(number string) name {
	return nameOf(l.index.sum("prefix", number[:max(1, len(number)-4)]))
}

// A batch collects what a decision commits, in the order that the contract wants.
type batch struct {
	Batch
	room struct { // for what most decisions need, in one allocation
		charges   [6]Charge
		giveBacks [4]Charge
		puts      [3]Put
	}
}

func newBatch() *batch {
	b := &batch{}
	b.Charges, b.GiveBacks, b.Puts = b.room.charges[:0], b.room.giveBacks[:0], b.room.puts[:0]
	return b
}

func (b *batch) charge(c Charge)   { b.Charges = append(b.Charges, c) }
func (b *batch) giveBack(c Charge) { b.GiveBacks = append(b.GiveBacks, c) }
func (b *batch) put(p Put)         { b.Puts = append(b.Puts, p) }

// done sorts the charges by bucket, so that commits never wait for one another in a circle.
func (b *batch) done() Batch {
	byBucket := func(x, y Charge) int { return x.Bucket.Compare(y.Bucket) }
	slices.SortFunc(b.Charges, byBucket)
	slices.SortFunc(b.GiveBacks, byBucket)
	return b.Batch
}
