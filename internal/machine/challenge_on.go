package machine

import (
	"time"

	"github.com/seed62b93bad/passwordless/internal/secret"
)

// A ChallengeEvent is what can happen to a challenge: one of [Create], [Send], [Start], [Guess], [Check], [Redeem] and
// [Cancel]. That its time is over, or that its user was signed out everywhere, no event tells: the machine sees it in
// the moment.
type ChallengeEvent interface {
	on(c *Challenge, b *batch, at Moment) verdict
}

// A verdict is a Decision in the making.
type verdict struct {
	reason Reason
	left   int
	wait   time.Duration
	note   Note
	write  bool // the challenge changed
	any    bool // it takes the place of whatever is in its slot, unseen
}

// On decides an event.
func (c Challenge) On(e ChallengeEvent, at Moment) Decision[Challenge] {
	x := &struct { // in one allocation
		batch
		next Challenge
	}{next: c}
	x.begin()
	v := e.on(&x.next, &x.batch, at)
	if v.write {
		put := x.next.put(&at)
		put.Any = v.any
		x.put(put)
	}
	return Decision[Challenge]{Next: x.next, Batch: x.done(), Reason: v.reason, Left: v.left, Wait: v.wait, Note: v.note}
}

// A Create makes a challenge. It sends nothing. at.Plan says how long its code is at least.
type Create struct {
	Draft    Challenge     // what it is for; the rest is filled in
	Attempts int           // guesses
	Resends  int           // of its message
	Life     time.Duration // from now
	// Repeats is the seed of the challenge that this start was found to repeat; zero if it repeats none.
	Repeats secret.Seed
}

func (e Create) on(c *Challenge, b *batch, at Moment) verdict {
	if c.Live(&at) == StateOpen {
		switch {
		case e.Draft.Again == Refuse:
			return verdict{reason: Occupied}
		case e.Draft.Again == Repeat && c.Seed == e.Repeats && c.Tries[initiator].Left() > 0:
			return verdict{reason: Repeated}
		}
	}
	*c = e.Draft
	c.State, c.Format = StateOpen, formats[at.Plan.Codes.First]
	c.Started, c.Sent, c.Expires = at.Now, 0, at.Now.Add(e.Life)
	c.Tries, c.MaxResends = splitTries(e.Attempts, c.Scope), uint8(max(0, e.Resends))
	c.Stripe = at.Limits.Stripe(c.Seed[0] + at.Plan.Shift())
	c.Network, c.Browser = at.By.Network, at.By.Browser
	c.lengthen(b, &at)
	return verdict{write: true, any: c.Scope != ByHandle && c.Again != Refuse}
}

// lengthen gives the challenge the code that the plan asks for, or a link in its place, and reports whether that is another.
// It looks whether all attempts that are left can be paid; if not, the commit is refused, and the plan changes.
func (c *Challenge) lengthen(b *batch, at *Moment) (changed bool) {
	if rung := at.Plan.Rung(); rung > c.Format.rung() {
		changed, c.Format = true, formats[rung]
		if at.Plan.LinkAlone() {
			c.Carries = CarriesLink
		}
	}
	at.Limits.Look(&b.Batch, c.subject(at), at.Plan, c.Format.rung(), c.tries())
	return changed
}

// A Send sends the message of a challenge, for the first time or again. Its expiry counts from its making. at.Plan says how
// long its code is at least.
type Send struct {
	Replace  bool          // the message carries new secrets, and the former ones stop working
	Cooldown time.Duration // before the first resend, doubled for each next
}

func (e Send) on(c *Challenge, b *batch, at Moment) verdict {
	if st := c.Live(&at); st != StateOpen {
		v := c.dead(st, false)
		v.note = Nothing
		return v
	}
	v := verdict{write: true}
	if c.Sent != 0 {
		if c.Resends >= c.MaxResends {
			return verdict{reason: NoResends}
		}
		if wait := c.Sent.Add(cooldown(e.Cooldown, c.Resends)) - at.Now; wait > 0 {
			return verdict{reason: TooSoon, wait: time.Duration(wait)}
		}
		c.Resends++
		v.note = MessageAgain
		c.Stripe = at.Limits.Stripe(c.Stripe + at.Plan.Shift())
		if longer := c.lengthen(b, &at); longer || e.Replace {
			c.Generation++
		}
	}
	paid := at.Limits.Send(&b.Batch, c.subject(&at), at.Plan)
	if c.Sent == 0 { // what a success gives back is one start, that of whoever began
		c.Charged.Start = paid
	}
	c.Sent = at.Now
	return v
}

// A Start makes a challenge and sends its message, in one commit.
type Start struct {
	Create
	Send
}

func (e Start) on(c *Challenge, b *batch, at Moment) verdict {
	made := e.Create.on(c, b, at)
	if made.reason != Done {
		return made
	}
	sent := e.Send.on(c, b, at)
	sent.any = made.any
	return sent
}

// A Guess presents a code. What it charges depends on the record and the request, never on whether the code is right; only
// then may a success give back.
type Guess struct {
	Code string // as a person typed it
	// Shown says that a page shows a link's code, where the link is opened in another browser. Then a challenge
	// whose message carries no code is found by one.
	Shown  bool
	Return string // the redirect URI of what the login is to end with; "" for none
}

func (e Guess) on(c *Challenge, b *batch, at Moment) verdict {
	if c.Live(&at) != NoChallenge && c.returnsElsewhere(e.Return) {
		return verdict{reason: OtherReturn}
	}
	return c.guess(e.Code, e.Shown, b, &at, func(side int, right bool) verdict {
		at.Limits.Attempt(&b.Batch, c.subject(&at), at.Plan, right)
		if !right {
			return c.missed(side)
		}
		return c.succeed(b, &at)
	})
}

// succeed uses the challenge up, and gives back what it was charged. A wrong guess at one that is found without a
// secret may have been a stranger's, who must not ride on the owner's successes: that one stays in the ledger.
func (c *Challenge) succeed(b *batch, at *Moment) verdict {
	c.State = StateConsumed
	back := c.Charged
	if !c.boundToInitiator() {
		back.Drawn, back.Here = [2]uint32{}, 0
	}
	at.Limits.Succeed(&b.Batch, c.subject(at), at.Plan, back)
	return verdict{write: true}
}

// returnsElsewhere reports whether the sign-in was begun for another redirect URI than the one that is to get its result.
func (c *Challenge) returnsElsewhere(uri string) bool {
	return uri != "" && c.Redirect != "" && c.Redirect != uri
}

// A Check presents a code as a Guess does, and a wrong one costs the same. A right one stays open. It costs an attempt
// too, but never the last one, so that it can still be presented.
type Check struct {
	Code  string // as a person typed it
	Shown bool   // see Guess
}

func (e Check) on(c *Challenge, b *batch, at Moment) verdict {
	return c.guess(e.Code, e.Shown, b, &at, func(side int, right bool) verdict {
		at.Limits.Attempt(&b.Batch, c.subject(&at), at.Plan, false)
		if !right {
			return c.missed(side)
		}
		if c.Tries[side].Left() == 0 {
			c.Tries[side].Used--
		}
		return verdict{write: true}
	})
}

// guess compares a code, and charges what comparing it is worth. then says what the comparison comes to, and charges the
// verify. What is not compared is charged as a verify here.
func (c *Challenge) guess(typed string, shown bool, b *batch, at *Moment, then func(side int, right bool) verdict) verdict {
	code, readable := c.Format.read(typed)
	if st := c.Live(at); st != StateOpen {
		at.Limits.Astray(&b.Batch, c.subject(at), at.Plan)
		return c.dead(st, readable && c.codeIs(code, at))
	}
	side := c.side(at)
	left := c.Tries[side].Left()
	unread := !readable || !c.Carries.Code() && (!shown || side != initiator) // no code was sent or shown: nothing to guess
	if left <= 0 || unread {
		at.Limits.Astray(&b.Batch, c.subject(at), at.Plan)
	}
	switch {
	case left <= 0:
		return verdict{reason: Exhausted, note: Failed}
	case unread:
		return verdict{reason: Malformed, left: left, note: Failed}
	}
	c.Tries[side].Used++
	right := c.codeIs(code, at)
	drawn := at.Limits.Guess(&b.Batch, c.subject(at), at.Plan, c.Format.rung(), right)
	if drawn > 0 {
		c.Charged.Drawn[at.Plan.Rank] += drawn
		if at.By.Network == c.Network {
			c.Charged.Here += drawn
		}
	}
	return then(side, right)
}

// missed is the answer to a wrong code that used up an attempt.
func (c *Challenge) missed(side int) verdict {
	if left := c.Tries[side].Left(); left > 0 {
		return verdict{reason: WrongSecret, left: left, note: Failed, write: true}
	}
	if c.tries() == 0 {
		c.State = StateExhausted
	}
	return verdict{reason: Exhausted, note: LastFailed, write: true}
}

// side tells whose tries a guess uses up.
func (c *Challenge) side(at *Moment) int {
	ours := c.Browser != (secret.Digest{}) && at.By.Browser == c.Browser
	if c.boundToInitiator() || at.By.Network == c.Network || ours {
		return initiator
	}
	return stranger
}

func (c *Challenge) codeIs(code string, at *Moment) bool {
	return at.Key != nil && secret.Equal(c.Code(at.Key, at.Name), code) && !c.Suppressed
}

// dead is the answer of a challenge that is not open. The first event that sees an end writes it, so that a clock that steps
// back revives nothing. A secret that was right once is reported.
func (c *Challenge) dead(st State, right bool) verdict {
	v := verdict{reason: st.Reason(), note: Failed, write: st != NoChallenge && st != c.State}
	if v.write {
		c.State = st
	}
	if st == StateConsumed && right {
		v.note = SpentSecret
	}
	return v
}

// A Where says in which browser a link finishes.
type Where uint8

// Where a link finishes.
const (
	SameBrowser Where = iota // where the sign-in began
	AnyBrowser               // wherever the link is opened
	IfState                  // wherever it is opened, if the sign-in began with a state of the client's
)

// A Redeem presents the secret of a link. A wrong one has odds of 2^-256, charges nothing and learns nothing.
type Redeem struct {
	Secret  string
	LinkURL string // where the link was opened; "" for the pages
	Where   Where
	Return  string // see Guess
}

func (e Redeem) on(c *Challenge, b *batch, at Moment) verdict {
	switch {
	case c.State == NoChallenge:
		return verdict{reason: Unknown, note: Failed}
	case c.Suppressed || !c.LinkIs(e.Secret, e.LinkURL, &at):
		return verdict{reason: WrongSecret, note: Failed}
	case c.Live(&at) != NoChallenge && c.returnsElsewhere(e.Return):
		return verdict{reason: OtherReturn}
	}
	if st := c.Live(&at); st != StateOpen {
		return c.dead(st, true)
	}
	anywhere := e.Where == AnyBrowser || e.Where == IfState && c.ClientState != ""
	if !anywhere && (c.Browser == secret.Digest{} || at.By.Browser != c.Browser) {
		return verdict{reason: OtherBrowser}
	}
	at.Limits.LookDevice(&b.Batch, c.subject(&at), at.Plan)
	return c.succeed(b, &at)
}

// LinkIs reports whether a secret is that of the challenge's link, opened where it leads.
func (c *Challenge) LinkIs(presented, url string, at *Moment) bool {
	return at.Key != nil && c.Carries.Link() && url == c.LinkURL && secret.Equal(c.Link(at.Key, at.Name), presented)
}

// KillIs reports whether a secret is that of the challenge's "this was not me" link.
func (c *Challenge) KillIs(presented string, at *Moment) bool {
	return at.Key != nil && secret.Equal(c.Kill(at.Key, at.Name), presented)
}

// A Cancel presents the secret of a "this was not me" link. The network that began the challenge pays for it.
type Cancel struct{ Secret string }

func (e Cancel) on(c *Challenge, b *batch, at Moment) verdict {
	switch {
	case c.State == NoChallenge:
		return verdict{reason: Unknown}
	case c.Suppressed || !c.KillIs(e.Secret, &at):
		return verdict{reason: WrongSecret}
	}
	if st := c.Live(&at); st != StateOpen {
		return c.dead(st, false)
	}
	c.State = StateCancelled
	at.Limits.Nuisance(&b.Batch, string(c.Network), at.Plan)
	return verdict{note: CancelledIt, write: true}
}
