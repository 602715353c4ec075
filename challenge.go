package passwordless

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

// The challenge machine:
//
//	open -> consumed | exhausted | cancelled | expired
//
// docs/machines.md holds it as a table that a test walks. The functions of
// this file whose names begin with decide are pure: they take records, the
// instant and the input and return what to commit and what to answer. They read no
// clock, draw no randomness and reach no store.

// A state is where a challenge is.
type state uint8

const (
	open state = iota + 1
	consumed
	exhausted
	cancelled
	expired
)

// refusal is what a challenge in a state other than open answers.
func (s state) refusal() error {
	switch s {
	case consumed:
		return ErrConsumed
	case exhausted:
		return ErrExhausted
	case cancelled:
		return ErrCancelled
	case expired:
		return ErrExpired
	}
	return ErrUnknownChallenge
}

const kindChallenge store.Kind = "challenge"

// A challenge is one request to prove control of an address, as it is stored. It holds
// nothing from which a secret could be computed without the ring key.
type challenge struct {
	state                  state
	tenant, client         string
	channel                Channel
	address                string
	purpose                Purpose
	handled                bool // reached by a handle, not by a slot
	suppressed             bool // nothing was sent and nothing matches
	send                   SendMode
	keyID                  string
	seed                   digest
	generation             uint8 // counts replaced secrets
	format                 codeFormat
	started, sent, expires store.Instant
	touched                store.Instant // the newest write
	tries                  [2]tally
	resends, maxResends    uint8
	drawn                  uint8 // guesses that drew on the ledger
	stripe                 uint8 // of the shared buckets
	person, network        name  // keyed pseudonyms of the address and of the initiator's network
	browser                digest
	locale                 string
	redirect, clientState  string
	params                 string // a dialect's own, returned to it
	linkURL                string // where the link leads; "" for the pages
}

// A tally counts guesses.
type tally struct{ used, most uint8 }

func (t tally) left() int { return int(t.most) - int(t.used) }

// Tries are kept apart for whoever started a challenge that is found without a
// handle, so that a stranger who knows an address cannot burn them.
const (
	initiator = 0
	stranger  = 1
)

// splitTries divides the attempts of a challenge. With a handle they are one.
func splitTries(attempts int, handled bool) [2]tally {
	if handled {
		return [2]tally{initiator: {most: uint8(attempts)}}
	}
	others := attempts * 2 / 5
	if attempts > 1 {
		others = max(1, others)
	}
	return [2]tally{initiator: {most: uint8(attempts - others)}, stranger: {most: uint8(others)}}
}

// retention is how long a challenge is kept after its end, to answer why it refuses.
const retention = time.Hour

func (c *challenge) encode() []byte {
	w := writer{make([]byte, 0, 256+len(c.redirect)+len(c.clientState)+len(c.params)+len(c.linkURL))}
	w.fixed([]byte{bodyFormat, byte(c.state)})
	w.text(c.tenant)
	w.text(c.client)
	w.text(string(c.channel))
	w.text(c.address)
	w.text(string(c.purpose))
	w.flag(c.handled)
	w.flag(c.suppressed)
	w.num(int64(c.send))
	w.text(c.keyID)
	w.fixed(c.seed[:])
	w.num(int64(c.generation))
	w.flag(c.format.base20)
	w.num(int64(c.format.length))
	for _, at := range [...]store.Instant{c.started, c.sent, c.expires, c.touched} {
		w.at(at)
	}
	for _, t := range c.tries {
		w.fixed([]byte{t.used, t.most})
	}
	w.fixed([]byte{c.resends, c.maxResends, c.drawn, c.stripe})
	w.fixed([]byte(c.person))
	w.fixed([]byte(c.network))
	w.fixed(c.browser[:])
	w.text(c.locale)
	w.text(c.redirect)
	w.text(c.clientState)
	if c.params != "" || c.linkURL != "" {
		w.text(c.params)
		w.text(c.linkURL)
	}
	return w.b
}

// decodeChallenge reads a challenge; words are what it probably holds.
func decodeChallenge(rec store.Record, words ...string) (c challenge, err error) {
	r, err := openBody(rec)
	if err != nil {
		return c, err
	}
	copy(r.words[:], words)
	var st [1]byte
	r.fixed(st[:])
	c.state = state(st[0])
	c.tenant, c.client = r.text(), r.text()
	c.channel, c.address, c.purpose = Channel(r.text()), r.text(), Purpose(r.text())
	c.handled, c.suppressed = r.flag(), r.flag()
	c.send = SendMode(r.num())
	c.keyID = r.text()
	r.fixed(c.seed[:])
	c.generation = uint8(r.num())
	c.format = codeFormat{base20: r.flag(), length: int(r.num())}
	for _, at := range [...]*store.Instant{&c.started, &c.sent, &c.expires, &c.touched} {
		*at = r.at()
	}
	for i := range c.tries {
		var pair [2]byte
		r.fixed(pair[:])
		c.tries[i] = tally{used: pair[0], most: pair[1]}
	}
	var counts [4]byte
	r.fixed(counts[:])
	c.resends, c.maxResends, c.drawn, c.stripe = counts[0], counts[1], counts[2], counts[3]
	c.person, c.network = r.name(), r.name()
	r.fixed(c.browser[:])
	c.locale, c.redirect, c.clientState = r.text(), r.text(), r.text()
	if r.more() {
		c.params, c.linkURL = r.text(), r.text()
	}
	if err := r.finish(rec.Key.Kind); err != nil {
		return challenge{}, err
	}
	if !c.sound() {
		return challenge{}, fmt.Errorf("%w: %s has a value that was never written", ErrCorrupt, rec.Key.Kind)
	}
	return c, nil
}

// sound reports whether a challenge that was read could have been written.
func (c *challenge) sound() bool {
	known := c.format == longCode || !c.format.base20 && c.format.length >= minDigits && c.format.length <= maxDigits
	for _, t := range c.tries {
		known = known && t.used <= t.most && t.most <= maxTries
	}
	known = known && c.address != "" && (c.channel == Email || c.channel == SMS)
	return known && c.state >= open && c.state <= expired && c.send <= SendBoth && c.purpose == SignIn
}

// put is the write of the challenge at now in place of version was.
func (c *challenge) put(n name, now store.Instant, fresh, was store.Version) store.Put {
	c.touched = now
	return store.Put{Was: was, Stage: store.StageDecide, Record: store.Record{
		Key: n.key(kindChallenge), Version: fresh, Body: c.encode(), Expires: c.expires.Add(retention)}}
}

func (c *challenge) identifier() Identifier { return Identifier{c.channel, c.address} }

// messageID names one message of the challenge: another for each send.
func (c *challenge) messageID() string {
	var in [2 + len(c.seed)]byte
	in[0], in[1] = c.resends, c.generation
	copy(in[2:], c.seed[:])
	sum := sha256.Sum256(in[:])
	var text [32]byte
	hex.Encode(text[:], sum[:16])
	return string(text[:])
}

// foreign is the state of a challenge for whoever it does not belong to, and of none.
const foreign state = 0

// live returns the state of the challenge at now for a client of a tenant: open, or
// why not. It tells an expiry that nobody has written yet.
func (c *challenge) live(now store.Instant, client Client) state {
	switch {
	case c.client != client.ID || c.tenant != client.Tenant:
		return foreign
	case c.state == open && now >= c.expires:
		return expired
	}
	return c.state
}

// A verdict is what a decision means for the caller. It is revealed only after its
// batch was committed.
type verdict struct {
	err     error // why not; nil: the secret was right
	matched bool
	next    challenge
	event   EventType
}

// A guess is a secret presented to a challenge, with all that the decision depends on.
type guess struct {
	client   Client
	typed    string // a code as it was typed; "" for a link
	link     string // 32 bytes; "" for a code
	cancel   string // 32 bytes of the "this was not me" secret
	network  name
	browser  digest
	known    bool // comes with a device cookie for this person
	device   device
	without  refused
	tier     tier // of a send
	check    bool // charge and compare, but leave it open and give no login
	browsers BrowserPolicy
	bound    bool          // it finishes with an authorization code that a PKCE challenge binds
	coded    bool          // it finishes with an authorization code and nothing else
	linkURL  string        // where a link was opened; "" for the pages
	version  store.Version // of the write
	key      *macKey       // the challenge's ring key; nil if it is gone
}

// refused remembers which of the buckets that may not refuse a right secret
// have refused: the decision is taken again without them.
type refused struct{ device, breaker, nuisance bool }

// side tells whose tries a guess uses.
func (g *guess) side(c *challenge) int {
	if c.handled || g.network == c.network || c.browser != (digest{}) && g.browser == c.browser {
		return initiator
	}
	return stranger
}

// decideGuess judges a code. What it charges depends on the record and the
// request, never on whether the code is right; only then may a success give back.
func decideGuess(c challenge, rec store.Record, n name, now store.Instant, g *guess, l *limits) (store.Batch, verdict) {
	b := newBatch()
	b.charge(l.guesses(g.network))
	if st := c.live(now, g.client); st != open {
		code, ok := c.format.read(g.typed)
		v := dead(b, c, st, ok && c.codeMatches(n, g, code), rec, n, now, g)
		return b.done(), v
	}
	side := g.side(&c)
	code, ok := c.read(g)
	switch {
	case c.tries[side].left() <= 0:
		return b.done(), verdict{err: refuse(ErrExhausted, 0), next: c, event: EventLoginFailed}
	case !ok:
		return b.done(), verdict{err: refuse(ErrMalformedCode, c.tries[side].left()), next: c, event: EventLoginFailed}
	}
	c.tries[side].used++
	v := verdict{event: EventLogin, matched: c.codeMatches(n, g, code)}
	l.chargeGuess(b, &c, g, v.matched)
	left := c.tries[side].left()
	switch {
	case v.matched && g.check && left == 0:
		c.tries[side].used-- // the right code is to be presented once more
	case v.matched && g.check:
		// A check spends its attempt and changes nothing else.
	case v.matched:
		c.state = consumed
		l.giveBack(b, &c, g)
	case left > 0:
		v.event, v.err = EventLoginFailed, refuse(ErrWrongSecret, left)
	default:
		v.event, v.err = EventExhausted, refuse(ErrExhausted, 0)
		if c.tries[initiator].left()+c.tries[stranger].left() == 0 {
			c.state = exhausted
		}
	}
	v.next = c
	b.put(v.next.put(n, now, g.version, rec.Version))
	return b.done(), v
}

// read normalises the code of a guess. Where no code was sent and none is ever shown, there is
// nothing to guess at.
func (c *challenge) read(g *guess) (string, bool) {
	if !c.send.code() && g.browsers != SameBrowser {
		return "", false
	}
	return c.format.read(g.typed)
}

func (c *challenge) codeMatches(n name, g *guess, code string) bool {
	return g.key != nil && equal(g.key.code(c, n, c.format), code) && !c.suppressed
}

// dead answers for a challenge that is not open. The first call to see an expiry
// writes it, so that a clock that steps back revives nothing. A secret that was right once is reported.
func dead(b *batch, c challenge, st state, right bool, rec store.Record, n name, now store.Instant, g *guess) verdict {
	v := verdict{err: refuse(st.refusal(), 0), event: EventLoginFailed}
	if st == expired && c.state == open {
		c.state = expired
		b.put(c.put(n, now, g.version, rec.Version))
	}
	if st == consumed && right {
		v.event = EventSpentSecret
	}
	v.next = c
	return v
}

// decideLink judges a link's secret. A wrong one has odds of 2^-256, charges nothing and learns nothing.
func decideLink(c challenge, rec store.Record, n name, now store.Instant, g *guess, l *limits) (store.Batch, verdict) {
	b := newBatch()
	if c.suppressed || !c.linkMatches(n, g) {
		return store.Batch{}, verdict{err: refuse(ErrWrongSecret, 0), next: c, event: EventLoginFailed}
	}
	if st := c.live(now, g.client); st != open {
		v := dead(b, c, st, true, rec, n, now, g)
		return b.done(), v
	}
	if !g.anywhere(&c) && (c.browser == (digest{}) || g.browser != c.browser) {
		return store.Batch{}, verdict{err: &OtherBrowserError{}, next: c}
	}
	c.state = consumed
	l.lookDevice(b, g)
	l.giveBack(b, &c, g)
	b.put(c.put(n, now, g.version, rec.Version))
	return b.done(), verdict{matched: true, next: c, event: EventLogin}
}

// anywhere reports whether the link of a challenge finishes in whatever browser opens it.
func (g *guess) anywhere(c *challenge) bool {
	return g.browsers == InsecureAnyBrowser || g.client.InsecureAnyBrowser && g.coded && (c.clientState != "" || g.bound)
}

func (c *challenge) linkMatches(n name, g *guess) bool {
	if g.key == nil || !c.send.link() || g.linkURL != c.linkURL {
		return false
	}
	want := g.key.link(c, n)
	return equal(string(want[:]), g.link)
}

func (c *challenge) cancelMatches(n name, g *guess) bool {
	if g.key == nil {
		return false
	}
	want := g.key.cancel(c, n)
	return equal(string(want[:]), g.cancel)
}

// decideCancel judges "this was not me". It cancels and makes the initiator's
// network pay for it.
func decideCancel(c challenge, rec store.Record, n name, now store.Instant, g *guess, l *limits) (store.Batch, verdict) {
	b := newBatch()
	if c.suppressed || !c.cancelMatches(n, g) {
		return store.Batch{}, verdict{err: refuse(ErrWrongSecret, 0), next: c}
	}
	if st := c.live(now, g.client); st != open {
		v := dead(b, c, st, false, rec, n, now, g)
		return b.done(), v
	}
	c.state = cancelled
	b.put(c.put(n, now, g.version, rec.Version))
	if !g.without.nuisance {
		b.charge(l.nuisance(c.network))
	}
	return b.done(), verdict{matched: true, next: c, event: EventCancelled}
}
