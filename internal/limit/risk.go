package limit

import (
	"math"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

// An attacker buys chances, so a guess is charged what it is worth: one guess at a code of N possibilities costs 1/N. Risk is
// counted in units of 1e-10, rounded up. A million units are one expected takeover in ten thousand.
const unit = 1e10

// A Rung is a kind of code on the ladder: each next one has so many more possibilities that a guess at it costs a tenth of
// the former or less.
type Rung uint8

// The rungs.
const (
	SixDigits Rung = iota
	SevenDigits
	EightDigits
	NineDigits
	TenLetters
	// Uncounted is fifteen letters or a link: 64 bits and more, which nobody guesses (NIST SP 800-63B-4, 3.2.2 exempts them).
	Uncounted
	rungs
)

// The digits of the first and of the last rung that has digits (NIST SP 800-63B-4, 3.1.3.2 for the fewest).
const (
	MinDigits = 6
	MaxDigits = 9
)

// Digits is the rung of a code of so many digits.
func Digits(n int) Rung { return Rung(n - MinDigits) }

// cost is what one guess at a code of the rung costs.
var cost = [rungs]int64{SixDigits: 10_000, SevenDigits: 1_000, EightDigits: 100, NineDigits: 10, TenLetters: 1}

// A risk of so much may be spent at once, and so much more over its time. Together they are less than all of it, since a
// guess that is let through at the edge may cost a little more.
const (
	atOnce = 0.45
	steady = 0.50
)

// A person's ledger is bounded over a year, a tenant's over a day. Who asks has a share of each. Of a person's there is one
// bucket, of which each rank may use a part; a tenant's is two buckets, one for strangers and one for known networks. Known
// devices draw on neither: they have a number of failures of their own.
//
// These are parts of the whole risk of a year. The last of a rank's is for letters. Letters of strangers end well below the
// digits of known networks: a guess at them is charged a thousand times what it is worth, so that at 1e-6 a flood of them would
// take everything, and people at home would get letters too.
var spends = [Uncounted][2]float64{
	SixDigits: {.25, .40}, SevenDigits: {.25, .40}, EightDigits: {.25, .40}, NineDigits: {.30, .45}, TenLetters: {.33, .45},
}

// shares are the parts of the risk of a day.
var shares = [2]float64{Stranger: .40, KnownNetwork: .60}

// issues and evaluates are parts of what may be spent at once: until when codes of the rung are made, and until when guesses
// at them are looked at. A rung ends before the ledger does, so that the next one can always be paid.
var (
	issues    = [Uncounted]float64{.50, .50, .50, .90, 1}
	evaluates = [Uncounted]float64{.75, .75, .75, 1, 1}
)

// MaxTries is the most attempts that a challenge can have.
const MaxTries = 10

// Consecutive failures, of all rungs that are counted. NIST SP 800-63B-4, 3.2.2 ends an authenticator after a hundred at most;
// here it ends what can be guessed, and Uncounted is left.
var maxFailures = [ranks]int64{Stranger: 70, KnownNetwork: 90, KnownDevice: 100}

const (
	failuresYear   = 50 // that are forgotten in a year, so that none is kept for long: one wrong guess for a week
	deviceFailures = 10 // then a device is a stranger's
)

// One network may spend so much of a tenant's ledger in a day at once: ten guesses at six digits. Known networks may spend as
// much again, and each what nine digits cost for a thousand guesses more. An IPv6 /48 is given five times that.
const (
	drawDay   = 100_000
	drawMore  = 10_000 // for codes of nine digits and longer ones
	drawSites = 5
	drawBack  = 2_000 // a fifth of a guess, given back for each success
)

// risk is the windows of everything that is counted in risk. The second index of pairs is the rank.
type risk struct {
	person  store.Window // Burst is what anybody may use
	tenant  [2]store.Window
	device  [2][]store.Window // one failure, and all of them
	ended   []store.Window    // all of them, however many there are already
	pay     [Uncounted][ranks][]store.Window
	ask     [Uncounted][ranks][MaxTries + 1][]store.Window // whether so many guesses can be paid
	spend   [Uncounted][2][]store.Window
	issue   [Uncounted][2][]store.Window
	draw    [2][Uncounted][2][]store.Window // of a network, of a site
	back    [2]store.Window                 // of a draw
	success []store.Window                  // the draw of a network that signed somebody in
	site    []store.Window
	clear   []store.Window // every consecutive failure
	fail    store.Window
}

// newRisk makes the windows for the yearly risk of a person and the daily risk of one stripe of a tenant.
func newRisk(yearly, daily float64) (r risk) {
	week := every(year, failuresYear)
	r.person = ledger(yearly, year)
	r.fail = store.Window{Burst: maxFailures[KnownDevice], Whole: maxFailures[KnownDevice], Every: week}
	device := store.Window{Burst: deviceFailures, Whole: 2 * deviceFailures, Every: week}
	r.device = [2][]store.Window{{costing(device, 1)}, {costing(device, deviceFailures)}}
	r.ended = []store.Window{costing(part(device, 2*deviceFailures), deviceFailures)}
	r.clear = []store.Window{costing(r.person, 0), costing(r.fail, r.fail.Burst)}
	for rank := range r.tenant {
		r.tenant[rank] = ledger(daily*shares[rank], day)
	}
	for i := range r.draw {
		n := int64(1 + i*(drawSites-1))
		r.back[i] = store.Window{Burst: 3 * drawDay * n, Whole: 3 * drawDay * n, Every: every(day, drawDay*n)}
	}
	r.success, r.site = []store.Window{costing(r.back[0], drawBack)}, []store.Window{costing(r.back[1], drawBack)}
	for rung := range Uncounted {
		r.rung(rung, yearly)
	}
	return r
}

// rung makes the windows of one rung.
func (r *risk) rung(rung Rung, yearly float64) {
	for rank := range ranks {
		person, price := r.person, int64(0)
		if rank != KnownDevice {
			person, price = part(person, int64(yearly*unit*spends[rung][rank])), cost[rung]
		}
		fail := part(r.fail, maxFailures[rank])
		r.pay[rung][rank] = []store.Window{costing(person, min(price, person.Burst)), costing(fail, 1)}
		for n := range int64(MaxTries + 1) {
			r.ask[rung][rank][n] = []store.Window{costing(person, min(n*price, person.Burst)), costing(fail, n)}
		}
	}
	for rank, whole := range r.tenant {
		some := func(p float64) []store.Window {
			w := part(whole, int64(float64(whole.Burst)*p))
			return []store.Window{costing(w, min(cost[rung], w.Burst))} // less only for what a tighter policy finds
		}
		r.spend[rung][rank], r.issue[rung][rank] = some(evaluates[rung]), some(issues[rung])
		for i, whole := range r.back {
			burst := whole.Burst / 3 * int64(1+rank)
			if rung >= NineDigits {
				burst += whole.Burst / 3 / drawDay * drawMore
			}
			r.draw[i][rung][rank] = []store.Window{costing(part(whole, burst), cost[rung])}
		}
	}
}

// ledger is the window of a risk over a time: so much at once, and so much more steadily.
func ledger(risk float64, per time.Duration) store.Window {
	whole := max(1, int64(math.Floor(risk*unit*atOnce)))
	return store.Window{Burst: whole, Whole: whole, Every: every(per, max(1, int64(math.Floor(risk*unit*steady))))}
}

func costing(w store.Window, n int64) store.Window {
	w.Cost = n
	return w
}

// part is a window of which only some may be used.
func part(w store.Window, burst int64) store.Window {
	w.Burst = clamp(burst, 1, w.Whole)
	return w
}

// First is the rung that codes begin at for a yearly risk: the shortest at which 95 guesses are worth no more than that. It
// reports false if no digits are.
func First(yearly float64) (Rung, bool) {
	for rung := SixDigits; rung <= NineDigits; rung++ {
		if guesses := yearly * unit / float64(cost[rung]); guesses > 94.999 { // 95, but for rounding
			return rung, true
		}
	}
	return NineDigits, false
}

// A Receipt is what a challenge was charged and is given back when it ends in success.
type Receipt struct {
	Drawn [2]uint32 // risk, from the ledgers of strangers and of known networks
	Here  uint32    // of it, risk that its own network drew
	Start bool      // its network paid for its start
}

// Guess charges one evaluated guess at a code of a rung. The receipt is told what success gives back; here says that whoever
// guesses is in the network that began the challenge.
//
// A right guess is refused exactly where a wrong one is. What its success would give straight back is only looked at,
// so that nothing is written to be undone.
func (l *Limits) Guess(b *store.Batch, s Subject, p Plan, rung Rung, right bool) (drawn uint32) {
	if rung >= Uncounted {
		l.LookDevice(b, s, p)
		return 0
	}
	from, r := len(b.Charges), &l.risk
	take(b, Ledger, s.Person, r.pay[rung][p.Rank])
	if p.Rank == KnownDevice {
		take(b, Device, s.Device, r.device[0])
	} else {
		l.spend(b, &s, p.Rank, &r.spend[rung], rung)
		drawn = uint32(cost[rung])
	}
	if right {
		look(b, from)
		return 0
	}
	return drawn
}

// spend charges a tenant's ledger, and what the network may draw from it.
func (l *Limits) spend(b *store.Batch, s *Subject, rank Rank, windows *[2][]store.Window, rung Rung) {
	b.Charges = append(b.Charges, store.Charge{Bucket: s.stripe(tenants[rank]), Windows: windows[rank], Durable: true})
	take(b, Draw, s.Network, l.risk.draw[0][rung][rank])
	if s.Site != "" {
		take(b, SiteDraw, s.Site, l.risk.draw[1][rung][rank])
	}
}

// tenants are the kinds of a tenant's ledgers.
var tenants = [2]store.Kind{Stranger: Strangers, KnownNetwork: Networks}

// Look asks whether codes of a rung can be paid: of the person's ledger for all attempts of the challenge, of what is shared
// for one. It takes nothing: each guess is charged when it is made, and is not looked at when it cannot be paid.
func (l *Limits) Look(b *store.Batch, s Subject, p Plan, rung Rung, attempts int) {
	if rung >= Uncounted {
		l.LookDevice(b, s, p)
		return
	}
	from := len(b.Charges)
	take(b, Ledger, s.Person, l.risk.ask[rung][p.Rank][clamp(attempts, 0, MaxTries)])
	if p.Rank == KnownDevice {
		take(b, Device, s.Device, l.risk.device[0])
	} else {
		l.spend(b, &s, p.Rank, &l.risk.issue[rung], rung)
	}
	look(b, from)
}

// LookDevice asks whether a known device has failed too often, where the step itself costs it nothing.
func (l *Limits) LookDevice(b *store.Batch, s Subject, p Plan) {
	if p.Rank == KnownDevice {
		from := len(b.Charges)
		take(b, Device, s.Device, l.risk.device[0])
		look(b, from)
	}
}

// EndDevice charges a device as if it had failed as often as it may.
func (l *Limits) EndDevice(b *store.Batch, device string) { take(b, Device, device, l.risk.ended) }

// Succeed gives back what a challenge was charged that ends in success: every consecutive failure, what the receipt says, a
// little of what the network drew, and the start.
func (l *Limits) Succeed(b *store.Batch, s Subject, p Plan, r Receipt) {
	give(b, Ledger, s.Person, l.refund(r))
	for rank, drawn := range r.Drawn {
		if drawn > 0 {
			w := []store.Window{refunded(l.risk.tenant[rank], int64(drawn))}
			b.GiveBacks = append(b.GiveBacks, store.Charge{Bucket: s.stripe(tenants[rank]), Windows: w, Durable: true})
		}
	}
	here := int64(0)
	if s.Network == s.Began {
		here = int64(r.Here)
	}
	give(b, Draw, s.Network, l.drawn(0, here))
	if s.Site != "" {
		give(b, SiteDraw, s.Site, l.drawn(1, here))
	}
	if p.Rank == KnownDevice {
		give(b, Device, s.Device, l.risk.device[1])
	}
	if s.Prefix != "" {
		give(b, SMSPrefix, s.Prefix, l.sms.verified)
	}
	if r.Start {
		l.giveStart(b, &s)
	}
}

// refund is what a person's ledger is given back.
func (l *Limits) refund(r Receipt) []store.Window {
	drawn := int64(r.Drawn[0]) + int64(r.Drawn[1])
	if drawn == 0 {
		return l.risk.clear
	}
	return []store.Window{refunded(l.risk.person, drawn), l.risk.clear[1]}
}

// drawn is what the draw of a network or site is given back, beside the fifth of a guess of each success.
func (l *Limits) drawn(site int, here int64) []store.Window {
	switch {
	case here > 0:
		return []store.Window{refunded(l.risk.back[site], here+drawBack)}
	case site == 1:
		return l.risk.site
	}
	return l.risk.success
}

// refunded is a window that gives so much back, at most all of it.
func refunded(w store.Window, n int64) store.Window {
	w.Burst = w.Whole
	return costing(w, min(n, w.Burst))
}
