package passwordless

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"github.com/seed62b93bad/passwordless/store"
)

// The rules of client assertions that are numbers.
const (
	maxAssertion     = 2048            // bytes
	maxAssertionLife = 5 * time.Minute // from now
	assertionSkew    = 10 * time.Second
	maxAudiences     = 5
	maxJTI           = 64 // characters
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
// most five), exp is at most five minutes ahead, and jti has 1 to 64 characters. iat and nbf may be there. Clocks may differ by ten seconds.
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
	a, err := readAssertion(req.Assertion.Reveal())
	if err != nil {
		return Client{}, nil, err
	}
	now := s.now()
	if err := a.check(req, s.issuer, now); err != nil {
		return Client{}, nil, err
	}
	c, err = s.signatory(ctx, &a)
	if err != nil {
		return Client{}, nil, err
	}
	claim := store.Put{Stage: store.StageClaim, Record: store.Record{
		Key: s.claimName(c, a.id).key(kindClaim), Version: newVersion(),
		Expires: a.expires.Add(claimMargin), Body: []byte{bodyFormat}}}
	if err := s.claim(ctx, c, claim, now); err != nil {
		return Client{}, nil, err
	}
	return c, func(ctx context.Context) { s.unclaim(ctx, claim) }, nil
}

// AssertionAlgorithms returns the algorithms that client assertions may be signed with, sorted: what a discovery document
// lists. The caller owns the slice.
func AssertionAlgorithms() []string { return slices.Sorted(maps.Keys(clientMethods)) }

// An assertion is a client assertion taken apart. Nothing of it is true before its signature was checked.
type assertion struct {
	method    jwt.SigningMethod
	kid       string // "" for none
	signed    string // what the signature covers
	signature []byte

	issuer, subject, id          string
	audience                     []string
	expires, notBefore, issuedAt store.Instant
}

func invalidAssertion(reason string) error { return fmt.Errorf("%w: %s", ErrInvalidAssertion, reason) }

// readAssertion takes a JWS in compact serialisation apart (RFC 7515, 7.1). Size and form are checked before anything is split
// or decoded.
func readAssertion(text string) (a assertion, err error) {
	if len(text) > maxAssertion || strings.Count(text, ".") != 2 {
		return a, invalidAssertion("not a compact JWS of at most 2048 bytes")
	}
	dot := strings.LastIndexByte(text, '.')
	head, body, _ := strings.Cut(text[:dot], ".")
	header, okHeader := decodeObject(head)
	claims, okClaims := decodeObject(body)
	signature, okSignature := decodeText(text[dot+1:])
	if !okHeader || !okClaims || !okSignature {
		return a, invalidAssertion("not JSON in base64url")
	}
	a.signed, a.signature = text[:dot], signature
	if err := a.readHeader(header); err != nil {
		return a, err
	}
	return a, a.readClaims(claims)
}

// decodeObject decodes a JSON object. A map keeps names as they are written, where a struct would take "ALG" for "alg".
func decodeObject(text string) (object map[string]any, ok bool) {
	b, ok := decodeText(text)
	return object, ok && json.Unmarshal(b, &object) == nil && object != nil
}

// readHeader reads the JOSE header. It only selects among keys that the client has (RFC 8725, 3.10), and its typ
// keeps access tokens out (3.11).
func (a *assertion) readHeader(header map[string]any) error {
	for _, refused := range [...]string{"crit", "jwk", "jku", "x5u", "x5c"} {
		if _, has := header[refused]; has {
			return invalidAssertion("header with a key or an extension")
		}
	}
	if value, has := header["typ"]; has {
		typ, _ := value.(string)
		if !strings.EqualFold(typ, "JWT") && !strings.EqualFold(typ, "client-authentication+jwt") {
			return invalidAssertion("another type of token")
		}
	}
	alg, _ := header["alg"].(string)
	if a.method = clientMethods[alg]; a.method == nil {
		return invalidAssertion("algorithm not allowed")
	}
	value, has := header["kid"]
	a.kid, _ = value.(string)
	if has && !validKID(a.kid) {
		return invalidAssertion("malformed kid")
	}
	return nil
}

// readClaims reads the claims and checks that they have the right types.
func (a *assertion) readClaims(claims map[string]any) error {
	a.issuer, _ = claims["iss"].(string)
	a.subject, _ = claims["sub"].(string)
	a.id, _ = claims["jti"].(string)
	if n := utf8.RuneCountInString(a.id); n < 1 || n > maxJTI {
		return invalidAssertion("jti missing or over 64 characters")
	}
	var ok bool
	if a.audience, ok = texts(claims["aud"]); !ok || len(a.audience) > maxAudiences {
		return invalidAssertion("aud missing or malformed")
	}
	for name, into := range map[string]*store.Instant{"exp": &a.expires, "nbf": &a.notBefore, "iat": &a.issuedAt} {
		value, has := claims[name]
		if !has && name != "exp" {
			continue
		}
		if *into, ok = numericDate(value); !ok {
			return invalidAssertion("exp missing, or an instant malformed")
		}
	}
	return nil
}

// texts reads a string or an array of strings.
func texts(value any) (all []string, ok bool) {
	switch v := value.(type) {
	case string:
		return []string{v}, true
	case []any:
		for _, element := range v {
			text, ok := element.(string)
			if !ok {
				return nil, false
			}
			all = append(all, text)
		}
		return all, true
	}
	return nil, false
}

// numericDate reads an instant in seconds, whole or not (RFC 7519, 2), within what an Instant can hold.
func numericDate(value any) (store.Instant, bool) {
	seconds, ok := value.(float64)
	if !ok || seconds < 0 || seconds > 9e9 {
		return 0, false
	}
	whole, rest := math.Modf(seconds)
	return store.Instant(whole)*store.Instant(time.Second) + store.Instant(rest*float64(time.Second)), true
}

// check decides whether the claims are right at now (RFC 7523, 3).
func (a *assertion) check(req AssertionRequest, issuer string, now store.Instant) error {
	ours := func(aud string) bool {
		return aud != "" && (aud == issuer || slices.Contains(req.Audiences, aud))
	}
	switch {
	case a.issuer != a.subject:
		return invalidAssertion("iss is not sub")
	case req.Client != "" && req.Client != a.subject:
		return invalidAssertion("of another client than is named beside it")
	case !slices.ContainsFunc(a.audience, ours):
		return invalidAssertion("for another audience")
	case now >= a.expires.Add(assertionSkew):
		return invalidAssertion("expired")
	case a.expires > now.Add(maxAssertionLife+assertionSkew):
		return invalidAssertion("exp more than five minutes ahead")
	case max(a.notBefore, a.issuedAt) > now.Add(assertionSkew):
		return invalidAssertion("not valid yet")
	}
	return nil
}

// signatory returns the client that an assertion names, if one of its keys made the signature.
func (s *Service) signatory(ctx context.Context, a *assertion) (Client, error) {
	c, err := s.Client(ctx, a.subject)
	if errors.Is(err, ErrUnknownClient) {
		return Client{}, fmt.Errorf("%w: %w", ErrInvalidAssertion, err)
	}
	if err != nil {
		return Client{}, err
	}
	signed, err := s.signedBy(ctx, c, a)
	if err != nil {
		return Client{}, err
	}
	if !signed {
		return Client{}, invalidAssertion("not signed with a key of the client")
	}
	return c, nil
}

// signedBy reports whether the client signed the assertion.
func (s *Service) signedBy(ctx context.Context, c Client, a *assertion) (bool, error) {
	if c.JWKSURL == "" {
		keys, _, _ := parseKeySet([]byte(c.JWKS)) // New or Client found no mistake
		return a.signedBy(keys), nil
	}
	signed, err := s.keySets.signed(ctx, c.JWKSURL, a)
	if err != nil {
		return false, s.failed(ctx, "fetching client keys", err)
	}
	return signed, nil
}

// signedBy reports whether one of the keys made the signature. A kid selects the keys that have it, and those
// without one, since a key need not have one (RFC 7517, 4.5). No kid selects all.
func (a *assertion) signedBy(keys []clientKey) bool {
	return slices.ContainsFunc(keys, func(k clientKey) bool {
		selected := a.kid == "" || k.id == "" || a.kid == k.id
		return selected && k.method == a.method && k.method.Verify(a.signed, a.signature, k.public) == nil
	})
}

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
