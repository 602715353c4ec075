package passwordless

import (
	"context"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

// A ResendRequest asks to send a challenge's message again.
type ResendRequest struct {
	Client string
	Handle Secret
	Caller Caller
}

// Resend sends the message of a challenge again: by Policy.Resend with the same secrets or
// with new ones. It gives no more time and no more attempts.
//
// The answer has no Browser: the first one stands.
//
// Errors: *ChallengeError (ErrTooSoon and ErrNoResends among its reasons), *LimitedError,
// *DeliveryError (with which the Started is valid), *InputError, ErrUnknownClient, ErrBusy, ErrCorrupt, and what
// Store.Commit returns.
func (s *Service) Resend(ctx context.Context, req ResendRequest) (Started, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	client, err := s.Client(ctx, req.Client)
	if err != nil {
		return Started{}, err
	}
	handle, ok := openToken(req.Handle, handleSize)
	if !ok {
		return Started{}, refuse(ErrUnknownChallenge, 0)
	}
	a, err := s.attempt(handleName(handle), client, req.Caller, Grant{}, nil)
	if err != nil {
		return Started{}, err
	}
	in := &resend{policy: &s.policy, current: s.ring.current}
	a.decide = func(c challenge, rec store.Record, n name, now store.Instant, g *guess, l *limits) (store.Batch, verdict) {
		if g.known && !g.without.device {
			g.tier = tierKnown
		} else if g.tier == tierKnown {
			g.tier = tierStranger
		}
		return decideResend(c, rec, n, now, g, in, l)
	}
	a.ease = func(kind store.Kind) bool {
		switch {
		case (kind == bucketLedger || kind == bucketFailures) && !in.long:
			in.long = true
		case kind == bucketSend && a.tier == tierStranger:
			a.tier = tierReserve
		default:
			return false
		}
		return true
	}
	if _, err := s.run(ctx, a); err != nil {
		return Started{}, err
	}
	c := a.last
	if in.long {
		s.emit(ctx, c.event(EventLongerCode, a.name, a.now, ""))
	}
	started := Started{Handle: req.Handle, Identifier: c.identifier(), Expires: c.expires.Time(),
		ResendAfter: cooldown(s.policy.ResendCooldown, c.resends)}
	return started, s.deliver(ctx, &delivery{client: client, challenge: &c, name: a.name, key: s.ring.byID[c.keyID],
		network: a.network, tier: a.tier, now: a.now})
}

// A resend is a request to send a challenge's message again.
type resend struct {
	policy  *Policy
	current *macKey // for new secrets
	long    bool    // the ledger or the breaker asks for a longer code
}

// decideResend judges a request to send again. The expiry counts from the first message. If guesses at
// short codes have been used up meanwhile, the message carries a longer one.
func decideResend(
	c challenge, rec store.Record, n name, now store.Instant, g *guess, in *resend, l *limits,
) (store.Batch, verdict) {
	b := newBatch()
	if st := c.live(now, g.client); st != open {
		v := dead(b, c, st, false, rec, n, now, g)
		v.event = ""
		return b.done(), v
	}
	if c.resends >= c.maxResends {
		return store.Batch{}, verdict{err: refuse(ErrNoResends, 0), next: c}
	}
	if wait := c.sent.Add(cooldown(in.policy.ResendCooldown, c.resends)) - now; wait > 0 {
		return store.Batch{}, verdict{err: &ChallengeError{Reason: ErrTooSoon, RetryAfter: time.Duration(wait)}, next: c}
	}
	c.resends++
	c.sent = now
	if in.policy.Resend == ReplaceSecret || g.key == nil || in.long {
		c.generation++
		c.keyID = in.current.id
	}
	switch {
	case in.long:
		c.format = longCode
	case !c.format.base20:
		l.look(b, &c, c.tries[initiator].left(), g)
	}
	l.chargeSend(b, &c, g.network, g.tier)
	b.put(c.put(n, now, g.version, rec.Version))
	return b.done(), verdict{matched: true, next: c, event: EventResent}
}

// cooldown doubles with each resend, up to 32 minutes.
func cooldown(first time.Duration, resends uint8) time.Duration {
	return min(first<<min(resends, 10), max(first, 32*time.Minute))
}
