package machine

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/seed62b93bad/passwordless/internal/canon"
	"github.com/seed62b93bad/passwordless/internal/limit"
	"github.com/seed62b93bad/passwordless/internal/record"
	"github.com/seed62b93bad/passwordless/internal/secret"
	"github.com/seed62b93bad/passwordless/store"
)

// KindChallenge is the kind of the records of challenges.
const KindChallenge store.Kind = "challenge"

// A State is where a challenge is. What ends it never begins it again.
type State uint8

// The states.
const (
	NoChallenge State = iota // there is none
	StateOpen
	StateConsumed
	StateExhausted
	StateCancelled
	StateRevoked
	StateExpired
)

var reasons = [...]Reason{NoChallenge: Unknown, StateConsumed: Consumed, StateExhausted: Exhausted,
	StateCancelled: Cancelled, StateRevoked: Revoked, StateExpired: Expired}

// Reason is what a challenge answers in the state: Done if it is open.
func (s State) Reason() Reason { return reasons[s] }

// A Scope says by what a challenge is found.
type Scope uint8

// The scopes.
const (
	ByHandle  Scope = iota // a secret of whoever began it
	ByAddress              // tenant, client, channel and address
	ByUser                 // tenant and user
	ByRequest              // a sign-in request's own secret
)

// An Again says what a second start does while a first one of the same slot is open.
type Again uint8

// What a second start does.
const (
	Replace Again = iota // it takes the first one's place
	Refuse               // it is refused
	Repeat               // it is answered like the first one, if it comes soon and asks for the same; else as Replace
)

// A Carries says which secrets a message carries.
type Carries uint8

// What a message carries.
const (
	CarriesCode Carries = iota
	CarriesLink
	CarriesBoth
)

// Code and Link report what is in the message.
func (m Carries) Code() bool { return m != CarriesLink }

// Link reports whether there is a link in the message.
func (m Carries) Link() bool { return m != CarriesCode }

// SignIn is the purpose of a challenge that signs in. A secret made for one purpose is worth nothing for another.
const SignIn = "sign-in"

// A Challenge is one request to prove control of an address, as it is stored. It holds nothing from which a secret could be
// computed without a key of the ring.
type Challenge struct {
	State          State
	Tenant, Client string
	Channel        string
	Address        string
	Purpose        string
	Scope          Scope
	Again          Again
	Suppressed     bool // nothing was sent, and nothing matches
	Carries        Carries
	KeyID          string
	Seed           secret.Seed
	Generation     uint8 // counts replaced secrets
	Format         Format

	Started, Sent, Expires store.Instant
	Touched                store.Instant // the newest write
	Tries                  [2]Tally
	Resends, MaxResends    uint8
	Stripe                 uint8 // of the shared buckets
	Charged                limit.Receipt

	Person, Network secret.Name // of the address, and of the network that began it
	Prefix          secret.Name // of a telephone number; "" for an e-mail address
	Browser         secret.Digest
	Locale          string
	Redirect, Param string // where the sign-in goes afterwards, and what a dialect gets back
	ClientState     string
	LinkURL         string // where the link leads; "" for the pages
}

// A Tally counts guesses.
type Tally struct{ Used, Most uint8 }

// Left is how many more are looked at.
func (t Tally) Left() int { return int(t.Most) - int(t.Used) }

// Tries are kept apart for whoever began a challenge that is found without a secret, so that a stranger who knows an address
// cannot burn them.
const (
	initiator = 0
	stranger  = 1
)

// splitTries divides the attempts of a challenge. What only a secret finds has one share.
func splitTries(attempts int, s Scope) [2]Tally {
	if s != ByAddress && s != ByUser {
		return [2]Tally{initiator: {Most: uint8(attempts)}}
	}
	others := attempts * 2 / 5
	if attempts > 1 {
		others = max(1, others)
	}
	return [2]Tally{initiator: {Most: uint8(attempts - others)}, stranger: {Most: uint8(others)}}
}

// tries is how many guesses are left to everybody.
func (c *Challenge) tries() int { return c.Tries[initiator].Left() + c.Tries[stranger].Left() }

// boundToInitiator reports whether only whoever began the challenge can present guesses at it.
func (c *Challenge) boundToInitiator() bool { return c.Scope == ByHandle || c.Scope == ByRequest }

// Encode writes the body of the record.
func (c *Challenge) Encode() []byte {
	w := record.NewWriter(288 + len(c.Redirect) + len(c.ClientState) + len(c.Param) + len(c.LinkURL))
	w.Byte(byte(c.State), byte(c.Scope), byte(c.Again), byte(c.Carries), record.Bit(c.Suppressed))
	for _, v := range [...]string{c.Tenant, c.Client, c.Channel, c.Address, c.Purpose, c.KeyID} {
		w.Text(v)
	}
	w.Byte(c.Seed[:]...)
	w.Byte(c.Generation, record.Bit(c.Format.Letters), byte(c.Format.Length))
	for _, at := range [...]store.Instant{c.Started, c.Sent, c.Expires, c.Touched} {
		w.Num(int64(at))
	}
	for _, t := range c.Tries {
		w.Byte(t.Used, t.Most)
	}
	w.Byte(c.Resends, c.MaxResends, c.Stripe, record.Bit(c.Charged.Start))
	for _, drawn := range [...]uint32{c.Charged.Drawn[0], c.Charged.Drawn[1], c.Charged.Here} {
		w.Num(int64(drawn))
	}
	for _, v := range [...]string{string(c.Person), string(c.Network), string(c.Prefix)} {
		w.Text(v)
	}
	w.Byte(c.Browser[:]...)
	for _, v := range [...]string{c.Locale, c.Redirect, c.ClientState, c.Param, c.LinkURL} {
		w.Text(v)
	}
	return w.Bytes()
}

// DecodeChallenge reads a body. words are texts that it probably holds. Its errors are those of package record.
func DecodeChallenge(body []byte, words ...string) (c Challenge, err error) {
	r := record.Open(body, words...)
	var kinds [5]byte
	r.Fixed(kinds[:])
	c.State, c.Scope, c.Again = State(kinds[0]), Scope(kinds[1]), Again(kinds[2])
	c.Carries, c.Suppressed = Carries(kinds[3]), r.Bit(kinds[4])
	for _, v := range [...]*string{&c.Tenant, &c.Client, &c.Channel, &c.Address, &c.Purpose, &c.KeyID} {
		*v = r.Text()
	}
	r.Fixed(c.Seed[:])
	var code [3]byte
	r.Fixed(code[:])
	c.Generation, c.Format = code[0], Format{Letters: r.Bit(code[1]), Length: int(code[2])}
	for _, at := range [...]*store.Instant{&c.Started, &c.Sent, &c.Expires, &c.Touched} {
		*at = store.Instant(r.Num())
	}
	var counts [8]byte
	r.Fixed(counts[:])
	c.Tries = [2]Tally{{counts[0], counts[1]}, {counts[2], counts[3]}}
	c.Resends, c.MaxResends, c.Stripe, c.Charged.Start = counts[4], counts[5], counts[6], r.Bit(counts[7])
	for _, drawn := range [...]*uint32{&c.Charged.Drawn[0], &c.Charged.Drawn[1], &c.Charged.Here} {
		*drawn = r.Num32()
	}
	for _, v := range [...]*secret.Name{&c.Person, &c.Network, &c.Prefix} {
		*v = secret.Name(r.Text())
	}
	r.Fixed(c.Browser[:])
	for _, v := range [...]*string{&c.Locale, &c.Redirect, &c.ClientState, &c.Param, &c.LinkURL} {
		*v = r.Text()
	}
	if !c.sound() {
		r.Refuse()
	}
	if err := r.Err(); err != nil {
		return Challenge{}, err
	}
	return c, nil
}

// sound reports whether a challenge that was read could have been written.
func (c *Challenge) sound() bool {
	for _, t := range c.Tries {
		if t.Used > t.Most || t.Most > limit.MaxTries {
			return false
		}
	}
	return c.Format.sound() && c.Address != "" && c.Channel != "" && c.Purpose != "" && c.Scope <= ByRequest && c.Again <= Repeat &&
		c.State >= StateOpen && c.State <= StateExpired && c.Carries <= CarriesBoth
}

// put is the write of the challenge.
func (c *Challenge) put(at *Moment) store.Put {
	c.Touched = at.Now
	return store.Put{Stage: store.StageDecide, Was: at.Was, Record: store.Record{Key: key(KindChallenge, at.Name), Version: at.Fresh,
		Body: c.Encode(), Expires: c.Expires.Add(retention)}}
}

// MessageID names one message of the challenge: another for each send.
func (c *Challenge) MessageID() string {
	var in [2 + len(c.Seed)]byte
	in[0], in[1] = c.Resends, c.Generation
	copy(in[2:], c.Seed[:])
	sum := sha256.Sum256(in[:])
	var text [32]byte
	hex.Encode(text[:], sum[:16])
	return string(text[:])
}

// ClockLead is how far ahead the clock may have been that began a challenge: as long as a code may live at most. The codes of one
// that was further ahead would live for as long as it was wrong, so they are over.
const ClockLead = 10 * time.Minute

// Live is the state of the challenge for a caller at a moment. It tells an end that nobody has written yet: that its time is
// over, or that its user was signed out everywhere since it began.
func (c *Challenge) Live(at *Moment) State {
	switch {
	case c.Client != at.By.Client || c.Tenant != at.By.Tenant:
		return NoChallenge
	case c.State != StateOpen:
		return c.State
	case at.Now >= c.Expires, at.Ahead:
		return StateExpired
	case c.Started <= at.Revoked:
		return StateRevoked
	}
	return StateOpen
}

// subject says whose buckets an event charges.
func (c *Challenge) subject(at *Moment) limit.Subject {
	s := limit.Subject{Tenant: at.By.Shared, Person: string(c.Person), Network: string(at.By.Network), Site: string(at.By.Site),
		Region: string(at.By.Region), Device: string(at.By.Device), Began: string(c.Network), Prefix: string(c.Prefix),
		Stripe: c.Stripe, Sampled: limit.Sampled(c.Seed[1])}
	if c.Prefix != "" {
		s.Country = canon.CallingCode(c.Address)
	}
	return s
}

// Unsend is the batch that gives back what a message cost that surely was not taken.
func (c *Challenge) Unsend(at Moment) store.Batch {
	b := &batch{}
	b.begin()
	at.Limits.Unsend(&b.Batch, c.subject(&at), at.Plan)
	return b.done()
}

// cooldown doubles with each resend, up to 32 minutes.
func cooldown(first time.Duration, resends uint8) time.Duration {
	return min(first<<min(resends, 10), max(first, 32*time.Minute))
}

// ResendAfter is how long after its last message the challenge sends no other, if the first wait is so long.
func (c *Challenge) ResendAfter(first time.Duration) time.Duration { return cooldown(first, c.Resends) }
