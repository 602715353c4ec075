package passwordless

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed62b93bad/passwordless/internal/jose"
	"github.com/seed62b93bad/passwordless/internal/machine"
	"github.com/seed62b93bad/passwordless/store"
)

// AssertionAlgorithms returns the algorithms that client assertions may be signed with, sorted: what a discovery
// document lists. The caller owns the slice.
func AssertionAlgorithms() []string { return jose.AssertionAlgorithms() }

// errReplayedAssertion is for a right assertion that was presented before, or whose jti another one had.
var errReplayedAssertion = fmt.Errorf("%w: presented before", ErrInvalidAssertion)

// invalidAssertion is ErrInvalidAssertion for a reason.
func invalidAssertion(reason error) error { return fmt.Errorf("%w: %w", ErrInvalidAssertion, reason) }

// authenticateAssertion returns the client that an assertion proves, and the moment of the claim of its jti.
func (s *Service) authenticateAssertion(ctx context.Context, text Secret, rules jose.AssertionRules) (
	*client, *machine.Moment, error,
) {
	a, err := jose.ReadAssertion(text.Reveal())
	if err != nil {
		return nil, nil, invalidAssertion(err)
	}
	now := s.now()
	if err := a.Check(rules, now.Time()); err != nil {
		return nil, nil, invalidAssertion(err)
	}
	c, err := s.signatory(ctx, &a)
	if err != nil {
		return nil, nil, err
	}
	at, err := s.claimAssertion(ctx, c, &a, now)
	return c, &at, err
}

// signatory returns the client that an assertion names, if one of its keys made the signature.
func (s *Service) signatory(ctx context.Context, a *jose.Assertion) (*client, error) {
	c, err := s.lookUp(ctx, a.Client)
	if errors.Is(err, ErrUnknownClient) {
		return nil, invalidAssertion(err)
	}
	if err != nil {
		return nil, err
	}
	signed := a.SignedBy(c.assertions)
	if c.Keys.JWKSURL != "" {
		if signed, err = s.keySets.Signed(ctx, c.Keys.JWKSURL, a); err != nil {
			return nil, s.failed(ctx, "fetching client keys", err)
		}
	}
	if !signed {
		return nil, invalidAssertion(errors.New("not signed with a key of the client"))
	}
	return c, nil
}

// claimMargin is how much longer a claim stays than the assertion works: the clock of the Service that sweeps may be ahead.
const claimMargin = time.Minute

// claimAssertion claims the name of a client's jti. (The assertion's text would not do: a signature can be spelled in
// more than one way.) If the claim is there already, the assertion is a replay.
func (s *Service) claimAssertion(ctx context.Context, c *client, a *jose.Assertion, now store.Instant) (machine.Moment, error) {
	n := s.namer(ctx)
	at := machine.Moment{Now: now, Name: n.index("jti", c.Tenant, c.ID, a.ID), Fresh: newVersion()}
	if n.err != nil {
		return at, s.failed(ctx, "hashing", n.err)
	}
	take := machine.Take{Kind: kindJTI, Expires: store.InstantOf(a.Expires).Add(claimMargin)}
	err := s.change(ctx, now, "claiming assertion", machine.Claim{}.On(take, at).Batch)
	if errors.Is(err, store.ErrConflict) {
		s.emit(ctx, Event{Type: EventAssertionReuse, At: now.Time(), Tenant: c.Tenant, Client: c.ID})
		return at, errReplayedAssertion
	}
	return at, err
}

// kindJTI is the kind of the claims of assertions.
const kindJTI store.Kind = "jti"

// releaseAssertion gives a claim up, whether or not the caller still waits. If it fails, the assertion stays used.
func (s *Service) releaseAssertion(ctx context.Context, claim machine.Moment) {
	ctx, cancel := afterwards(ctx)
	defer cancel()
	claim.Was, claim.Fresh = claim.Fresh, newVersion()
	gone := machine.Claim{Claimed: true}.On(machine.Release{Kind: kindJTI}, claim)
	_ = s.change(ctx, s.now(), "releasing assertion", gone.Batch)
}
