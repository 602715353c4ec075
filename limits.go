package passwordless

import (
	"slices"
	"strconv"
	"time"

	"github.com/seed62b93bad/passwordless/internal/canon"
	"github.com/seed62b93bad/passwordless/store"
)

// The buckets by kind. Their names are keyed pseudonyms, or plain for what is
// nobody's.
const (
	bucketSend      store.Kind = "send"         // messages to one person
	bucketReserve   store.Kind = "send-reserve" // what one network may take of a person's reserve
	bucketStart     store.Kind = "start"        // starts of one network
	bucketGuess     store.Kind = "guess"        // verifies of one network
	bucketLedger    store.Kind = "ledger"       // guesses at one person's codes: the ledger, and consecutive failures
	bucketDevice    store.Kind = "device"       // failures of one device cookie
	bucketFailures  store.Kind = "failures"     // failed verifies of all, striped
	bucketSMSPrefix store.Kind = "sms-prefix"
	bucketCountry   store.Kind = "sms-country" // striped
	bucketSMS       store.Kind = "sms-all"     // striped
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
	send      map[Channel][tiers][]store.Window
	start     []store.Window
	startMore []store.Window // what a cancelled challenge costs its initiator's network
	guess     []store.Window
	ledger    [2][]store.Window               // a guess of an unknown device, and of a known one
	looks     [2][maxTries + 1][]store.Window // whether so many guesses are left, for an unknown device and a known one
	backs     [maxTries + 1][]store.Window    // gives every consecutive failure back, and so many guesses
	device    []store.Window
	deviceAll []store.Window
	failures  []store.Window
	prefix    []store.Window
	verified  []store.Window // what a verified number gives its prefix back
	country   []store.Window
	all       []store.Window
	reserve   []store.Window
	stripes   uint8
	index     *macKey
}

// maxTries is the most attempts that a challenge can have.
const maxTries = 10

// Windows of the buckets that no policy changes.
var (
	ledgerWindow   = store.Window{Burst: ledgerBurst, Every: (year / ledgerYear).Truncate(time.Microsecond)}
	failuresWindow = store.Window{Burst: maxFailures, Every: year}
	deviceWindow   = store.Window{Burst: 10, Every: year}
)

// costing returns the window with another cost.
func costing(n int64, w store.Window) store.Window { w.Cost = n; return w }

// verifiedWorth is how many sends one verified number pays for: below one right
// code in so many, a prefix stops (SMS pumping).
const verifiedWorth = 5

func newLimits(p Policy, index *macKey) *limits {
	l := &limits{
		guess: []store.Window{p.Guesses.window(1, 0)},
		ledger: [2][]store.Window{
			{costing(1, ledgerWindow), costing(1, failuresWindow)},
			{ledgerWindow, costing(1, failuresWindow)},
		},
		device:    []store.Window{costing(1, deviceWindow)},
		deviceAll: []store.Window{costing(deviceWindow.Burst, deviceWindow)},
		prefix:    []store.Window{p.SMSPrefix.window(1, 0), p.SMSUnverified.window(1, 0)},
		verified: []store.Window{
			p.SMSPrefix.window(0, 0),
			p.SMSUnverified.window(min(verifiedWorth, int64(p.SMSUnverified.Count)), 0),
		},
		reserve: []store.Window{{Burst: 1, Every: day, Cost: 1}},
		stripes: stripesOf(p.GlobalFailures, p.SMSCountry, p.SMSGlobal),
		index:   index,
	}
	l.send = map[Channel][tiers][]store.Window{Email: sendWindows(p.EmailSends), SMS: sendWindows(p.SMSSends)}
	for _, s := range p.Starts {
		l.start = append(l.start, s.window(1, 0))
		l.startMore = append(l.startMore, s.window(min(3, int64(s.Count)), 0))
	}
	for n := range int64(maxTries + 1) {
		l.looks[0][n] = []store.Window{costing(n, ledgerWindow), costing(n, failuresWindow)}
		l.looks[1][n] = []store.Window{ledgerWindow, costing(n, failuresWindow)}
		l.backs[n] = []store.Window{costing(n, ledgerWindow), costing(maxFailures, failuresWindow)}
	}
	l.failures = []store.Window{l.striped(p.GlobalFailures)}
	l.country = []store.Window{l.striped(p.SMSCountry)}
	l.all = []store.Window{l.striped(p.SMSGlobal)}
	return l
}

func sendWindows(sends []Limit) (all [tiers][]store.Window) {
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
func (l *limits) striped(limit Limit) store.Window {
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

func (l *limits) guesses(network name) store.Charge {
	return store.Charge{Bucket: network.key(bucketGuess), Windows: l.guess}
}

func (l *limits) nuisance(network name) store.Charge {
	return store.Charge{Bucket: network.key(bucketStart), Windows: l.startMore}
}

// chargeGuess charges one evaluated guess. Long codes do not draw on the ledger; known
// devices pay from a budget of their own.
//
// A right guess is refused exactly where a wrong one is. What its success would give straight back
// is only looked at, so that nothing is written to be undone.
func (l *limits) chargeGuess(b *batch, c *challenge, g *guess, won bool) {
	if !g.without.breaker {
		b.charge(lookIf(won, l.breaker(c.stripe)))
	}
	if c.format.base20 {
		l.lookDevice(b, g)
		return
	}
	known := g.known && !g.without.device
	if known {
		b.charge(lookIf(won, l.deviceOf(g, l.device)))
	}
	ledger := store.Charge{Bucket: c.person.key(bucketLedger), Windows: l.ledger[boolByte(known)], Durable: true}
	if won {
		b.charge(lookIf(true, ledger))
		return
	}
	if !known {
		c.drawn++
	}
	b.charge(ledger)
}

// lookIf returns the charge so that it only looks, or takes.
func lookIf(look bool, c store.Charge) store.Charge {
	c.Look = look
	return c
}

// lookDevice asks whether a known device has ended, where the guess itself costs it nothing.
func (l *limits) lookDevice(b *batch, g *guess) {
	if g.known && !g.without.device {
		b.charge(lookIf(true, l.deviceOf(g, l.device)))
	}
}

func (l *limits) deviceOf(g *guess, windows []store.Window) store.Charge {
	return store.Charge{Bucket: g.device.id.key(bucketDevice), Windows: windows, Durable: true}
}

func (l *limits) breaker(stripe uint8) store.Charge {
	return store.Charge{Bucket: store.Key{Kind: bucketFailures, Name: allStripes[stripe%maxStripes]}, Windows: l.failures}
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
	b.giveBack(store.Charge{Bucket: c.person.key(bucketLedger), Windows: back, Durable: true})
	if g.known && !g.without.device {
		b.giveBack(l.deviceOf(g, l.deviceAll))
	}
	if c.channel == SMS {
		b.giveBack(store.Charge{Bucket: l.prefixOf(c.address).key(bucketSMSPrefix), Windows: l.verified, Durable: true})
	}
}

// chargeSend charges one message, sent or suppressed alike.
func (l *limits) chargeSend(b *batch, c *challenge, network name, t tier) {
	b.charge(store.Charge{Bucket: c.person.key(bucketSend), Windows: l.send[c.channel][t]})
	b.charge(store.Charge{Bucket: network.key(bucketStart), Windows: l.start})
	if t == tierReserve {
		b.charge(store.Charge{Bucket: reserveName(c.person, network).key(bucketReserve), Windows: l.reserve})
	}
	if c.channel == SMS {
		b.charge(store.Charge{Bucket: l.prefixOf(c.address).key(bucketSMSPrefix), Windows: l.prefix, Durable: true})
		country := store.Key{Kind: bucketCountry, Name: countryStripe(c.address, c.stripe)}
		b.charge(store.Charge{Bucket: country, Windows: l.country, Durable: true})
		all := store.Key{Kind: bucketSMS, Name: allStripes[c.stripe%maxStripes]}
		b.charge(store.Charge{Bucket: all, Windows: l.all, Durable: true})
	}
}

// unsend gives back what a message cost that surely was not taken.
// The network is not given its start back: asking is not free because the address is no good.
func (l *limits) unsend(c *challenge, network name, t tier) store.Batch {
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
	b.charge(store.Charge{Bucket: c.person.key(bucketLedger), Durable: true, Look: true,
		Windows: l.looks[boolByte(known)][min(attempts, maxTries)]})
	b.charge(lookIf(true, l.breaker(c.stripe)))
}

// reserveName joins a person and a network; both are keyed pseudonyms already.
func reserveName(person, network name) name { return person + network }

// prefixOf names a number without its last four digits: a range that pumping dials through.
func (l *limits) prefixOf(number string) name {
	return nameOf(l.index.sum("prefix", number[:max(1, len(number)-4)]))
}

// A batch collects what a decision commits, in the order that the contract wants.
type batch struct {
	store.Batch
	room struct { // for what most decisions need, in one allocation
		charges   [6]store.Charge
		giveBacks [4]store.Charge
		puts      [3]store.Put
	}
}

func newBatch() *batch {
	b := &batch{}
	b.Charges, b.GiveBacks, b.Puts = b.room.charges[:0], b.room.giveBacks[:0], b.room.puts[:0]
	return b
}

func (b *batch) charge(c store.Charge)   { b.Charges = append(b.Charges, c) }
func (b *batch) giveBack(c store.Charge) { b.GiveBacks = append(b.GiveBacks, c) }
func (b *batch) put(p store.Put)         { b.Puts = append(b.Puts, p) }

// staged returns the put with a stage.
func staged(stage store.Stage, p store.Put) store.Put {
	p.Stage = stage
	return p
}

// done sorts the charges by bucket, so that commits never wait for one another in a circle.
func (b *batch) done() store.Batch {
	byBucket := func(x, y store.Charge) int { return x.Bucket.Compare(y.Bucket) }
	slices.SortFunc(b.Charges, byBucket)
	slices.SortFunc(b.GiveBacks, byBucket)
	return b.Batch
}
