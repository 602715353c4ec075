package passwordless

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed62b93bad/passwordless/internal/jose"
	"github.com/seed62b93bad/passwordless/store"
)

// An AssertionRequest presents a client assertion (RFC 7521, 4.2).
type AssertionRequest struct {
	// Client is the client_id sent beside the assertion, "" if there was none: the assertion names its client.
	Client    string
	Assertion Secret
	// Audiences are what the assertion may name beside the issuer as its audience: the URL of the token
	// endpoint, say.
	Audiences []string
}

// AuthenticateAssertion authenticates a client by a JWT that it signed (private_key_jwt; RFC 7523, 2.2 and 3) and returns
// the client. An assertion works once, whichever Service on the store it is presented to: its jti is claimed until
// it is over.
//
// release gives the claim up, so that the assertion works again; it is never nil on success. Call it only if the
// request was then refused by a limit, before anything was done: clients repeat such a request as it was. It
// goes to the store even if ctx has ended, and reports no error: if it fails, the assertion stays used.
//
// The assertion has at most 2,048 bytes and is signed with RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512
// or EdDSA by one of the client's keys, with that key's own algorithm: its alg, or the first above that
// fits its type. The header names the key by its kid, if at all; a key without a kid is tried for every assertion. Keys in
// the header are refused. iss and sub are the client's ID, aud is the issuer or one of Audiences (or has it among at
// most five), exp is at most five minutes ahead, and jti has 1 to 64 characters. iat and nbf may be there. Clocks may
// differ by ten seconds.
//
// The keys at Client.JWKSURL are fetched when they are needed: with GET, within five seconds, without following redirects,
// at most 64 KiB and 16 keys; of these, keys of other kinds are passed over. Each Service uses
// them for ten minutes, and for an hour if the URL does not answer. An assertion that names an unknown key, and that no key
// without a kid signed, has them fetched again, at most once a minute; so publish a new key before it signs. A key that is
// taken away is trusted until the next fetch. The URL must be configuration: the
// request goes wherever it points.
//
// Errors: ErrInvalidAssertion, which ErrReplayedAssertion matches too, and which also matches ErrUnknownClient if that is why;
// ErrUnavailable, wrapped, if the keys could not be fetched; and what Clients and the Store return.
func (s *Service) AuthenticateAssertion(ctx context.Context, req AssertionRequest) (
	c Client, release func(context.Context), err error,
) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	a, err := jose.ReadAssertion(req.Assertion.Reveal())
	if err != nil {
		return Client{}, nil, invalidAssertion(err)
	}
	now := s.now()
	rules := jose.AssertionRules{Client: req.Client, Audiences: append([]string{s.issuer}, req.Audiences...)}
	if err := a.Check(rules, now.Time()); err != nil {
		return Client{}, nil, invalidAssertion(err)
	}
	c, err = s.signatory(ctx, &a)
	if err != nil {
		return Client{}, nil, err
	}
	claim := store.Put{Stage: store.StageClaim, Record: store.Record{Key: s.claimName(c, a.ID).key(kindClaim), Version: newVersion(),
		Expires: store.InstantOf(a.Expires).Add(claimMargin), Body: []byte{bodyFormat}}}
	if err := s.claim(ctx, c, claim, now); err != nil {
		return Client{}, nil, err
	}
	return c, func(ctx context.Context) { s.unclaim(ctx, claim) }, nil
}

// AssertionAlgorithms returns the algorithms that client assertions may be signed with, sorted: what a discovery document
// lists. The caller owns the slice.
func AssertionAlgorithms() []string { return jose.AssertionAlgorithms() }

// invalidAssertion is ErrInvalidAssertion for a reason.
func invalidAssertion(reason error) error { return fmt.Errorf("%w: %w", ErrInvalidAssertion, reason) }

// signatory returns the client that an assertion names, if one of its keys made the signature.
func (s *Service) signatory(ctx context.Context, a *jose.Assertion) (Client, error) {
	c, err := s.Client(ctx, a.Client)
	if errors.Is(err, ErrUnknownClient) {
		return Client{}, invalidAssertion(err)
	}
	if err != nil {
		return Client{}, err
	}
	signed, err := s.signedBy(ctx, c, a)
	if err != nil {
		return Client{}, err
	}
	if !signed {
		return Client{}, invalidAssertion(errors.New("not signed with a key of the client"))
	}
	return c, nil
}

// signedBy reports whether the client signed the assertion.
func (s *Service) signedBy(ctx context.Context, c Client, a *jose.Assertion) (bool, error) {
	if c.JWKSURL == "" {
		keys, _, _ := jose.ParseKeySet([]byte(c.JWKS)) // New or Client found no mistake
		return a.SignedBy(keys), nil
	}
	signed, err := s.keySets.Signed(ctx, c.JWKSURL, a)
	if errors.Is(err, jose.ErrNoKeys) {
		err = unavailable{err}
	}
	if err != nil {
		return false, s.failed(ctx, "fetching client keys", err)
	}
	return signed, nil
}

// unavailable is an error that matches ErrUnavailable too, without its text, which tells of the store.
type unavailable struct{ error }

func (unavailable) Is(target error) bool { return target == ErrUnavailable }

// A claim is an empty record under the name of a client's jti, as the signature may be spelled in more than one way. It must
// not be there yet. It stays a little longer than the assertion works, in case the clock of the Service that sweeps
// is ahead of another's.
const (
	kindClaim   store.Kind = "jti"
	claimMargin            = time.Minute
)

func (s *Service) claimName(c Client, jti string) name { return s.indexed("jti", c.Tenant, c.ID, jti) }

// claim commits a claim. If another was there first, the assertion is a replay.
func (s *Service) claim(ctx context.Context, c Client, claim store.Put, now store.Instant) error {
	err := s.change(ctx, now, "claiming assertion", store.Batch{Puts: []store.Put{claim}})
	if errors.Is(err, store.ErrConflict) {
		s.emit(ctx, Event{Type: EventAssertionReuse, At: now.Time(), Tenant: c.Tenant, Client: c.ID})
		return ErrReplayedAssertion
	}
	return err
}

// unclaim ends a claim, whether or not the caller still waits. A put that is over at once leaves nothing, and, unlike
// a delete, not of a later claim either.
func (s *Service) unclaim(ctx context.Context, claim store.Put) {
	ctx, cancel := afterwards(ctx)
	defer cancel()
	gone := store.Put{Was: claim.Record.Version, Stage: store.StageRevoke, Record: store.Record{
		Key: claim.Record.Key, Version: newVersion(), Body: claim.Record.Body}}
	_ = s.change(ctx, s.now(), "releasing assertion", store.Batch{Puts: []store.Put{gone}})
}
