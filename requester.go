package passwordless

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/seed62b93bad/passwordless/internal/jose"
	"github.com/seed62b93bad/passwordless/internal/machine"
)

// A Caller is where a request came from. Limits, attempts and the browser in which a link finishes depend on it. None
// of it proves anything.
type Caller struct {
	// IP is the end user's address, as far as the handler can know it: the peer's, or the one that a trusted proxy named.
	// Calls that make or present a secret require it.
	IP netip.Addr
	// EndUser is the end user's address as the client's server names it. It takes the place of IP only for a client that
	// authenticated and has TrustForwarded. Of any other client it is ignored.
	EndUser netip.Addr
	// Device is the value of Login.Device that this browser or app keeps; "" for none. A known device has limits of its
	// own (docs/limits.md).
	Device Secret
	// Browser is the value of Started.Browser that this browser keeps; "" for none.
	Browser Secret
}

// A strength says how far it is known that a request is its client's.
type strength uint8

const (
	public        strength = iota + 1 // it names a client
	authenticated                     // the client proved who it is
	trusted                           // it is the application's own
)

// A Requester is who asks: a caller, perhaps a client, and how far it is known that the request is the client's.
// Service.Public, Service.Authenticate and Service.Trusted make one. Use it for one request. The zero Requester may do
// nothing.
type Requester struct {
	service  *Service
	client   *client // nil: none; a link or a handle names its own
	caller   Caller
	strength strength
	claim    *machine.Moment // of the assertion's claim; nil: there was none
}

// Client returns the client that the Requester names, with its default Channels filled in; the zero Client if it names
// none. The caller may change it.
func (r Requester) Client() Client {
	if r.client == nil {
		return Client{}
	}
	return r.client.clone()
}

// Format prints who it is, for every verb, and nothing secret.
func (r Requester) Format(f fmt.State, _ rune) {
	how := [...]string{"nobody", "public", "authenticated", "trusted"}[r.strength]
	id := ""
	if r.client != nil {
		id = r.client.ID
	}
	fmt.Fprintf(f, "Requester(%s %s)", how, id)
}

// Public returns the Requester of a public client, which presents nothing but its ID. For a confidential client the error is
// ErrUnauthenticated, unless it has InsecureOpenStart: then the Requester may start and resend, and nothing else.
//
// Errors: ErrUnknownClient, ErrUnauthenticated, and those of Clients, wrapped.
func (s *Service) Public(ctx context.Context, clientID string, caller Caller) (Requester, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	c, err := s.lookUp(ctx, clientID)
	if err != nil {
		return Requester{}, err
	}
	if !c.Public && !c.InsecureOpenStart {
		return Requester{}, ErrUnauthenticated
	}
	return Requester{service: s, client: c, caller: caller, strength: public}, nil
}

// Trusted returns the Requester of the application's own code: of its pages, or of a wire behind a key of its own.
// Whoever calls it vouches for the client; nothing is checked. The clientID "" names none: that does for links and
// handles, which name their own.
//
// Errors: ErrUnknownClient, and those of Clients, wrapped.
func (s *Service) Trusted(ctx context.Context, clientID string, caller Caller) (Requester, error) {
	r := Requester{service: s, caller: caller, strength: trusted}
	if clientID == "" {
		return r, nil
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	var err error
	r.client, err = s.lookUp(ctx, clientID)
	return r, err
}

// Credentials are what a confidential client proves itself with: its secret, or an assertion that it signed.
type Credentials struct {
	// ClientID is the client's. Beside an assertion it may be "": the assertion names its client.
	ClientID  string
	Secret    Secret // a client secret; "" for none
	Assertion Secret // a client assertion (RFC 7521, 4.2); "" for none
	// Audiences are what the assertion's aud may be instead of the issuer: the URL of the token endpoint, say.
	Audiences []string
}

// Authenticate returns the Requester of a client that proves who it is, by one of its secrets or by an assertion.
//
// An assertion (private_key_jwt; RFC 7523, 2.2 and 3) works once, whichever Service on the store it is presented to:
// its jti is claimed until the assertion is over. If a limit then refuses the call that the Requester is for, nothing
// was done, and the claim is given up: clients repeat such a request unchanged.
//
// The assertion has at most 2,048 bytes and is signed with RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512 or
// EdDSA by one of the client's keys, with that key's own algorithm: its alg, or the first above that fits its type. The header
// names the key by its kid, if at all; a key without a kid is tried for any; keys in the header are refused. iss and sub are
// the client's ID, aud is the issuer or one of Audiences (or has it among at most five), exp is at most five minutes ahead,
// and jti has 1 to 64 characters. iat and nbf may be there. Clocks may differ by ten seconds.
//
// The keys at ClientKeys.JWKSURL are fetched when they are needed: with GET, within five seconds, without following
// redirects, at most 64 KiB and 16 keys; of these, keys of other kinds are passed over. Each Service uses them for ten
// minutes, and for an hour if the URL does not answer. An assertion that names an unknown key has them fetched again,
// at most once a minute; so publish a new key before it signs. A key that is taken away is trusted until the next
// fetch. The URL must be configuration: the request goes wherever it points.
//
// Errors: ErrUnauthenticated (a wrong secret, none presented, a secret and an assertion at once, or a public client),
// ErrUnknownClient; of an assertion ErrInvalidAssertion, which also matches ErrUnknownClient if that is the reason;
// ErrUnavailable, wrapped, if the keys could not be fetched; ErrUncertain; and those of Clients, wrapped.
func (s *Service) Authenticate(ctx context.Context, cred Credentials, caller Caller) (Requester, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	r := Requester{service: s, caller: caller, strength: authenticated}
	var err error
	switch {
	case cred.Assertion != "" && cred.Secret != "":
		return Requester{}, ErrUnauthenticated
	case cred.Assertion != "":
		rules := jose.AssertionRules{Client: cred.ClientID, Audiences: append([]string{s.issuer}, cred.Audiences...)}
		r.client, r.claim, err = s.authenticateAssertion(ctx, cred.Assertion, rules)
	default:
		r.client, err = s.authenticateSecret(ctx, cred)
	}
	if err != nil {
		return Requester{}, err
	}
	if r.client.TrustForwarded && caller.EndUser.IsValid() {
		r.caller.IP = caller.EndUser.Unmap().WithZone("")
	}
	return r, nil
}

// authenticateSecret returns the client that a secret proves.
func (s *Service) authenticateSecret(ctx context.Context, cred Credentials) (*client, error) {
	c, err := s.lookUp(ctx, cred.ClientID)
	if err == nil && !c.authenticates(cred.Secret) {
		err = ErrUnauthenticated
	}
	return c, err
}

// A demand says what a verb demands of whoever asks.
type demand struct {
	openStart bool // InsecureOpenStart is enough
	client    bool // a client must be named
	address   bool // and where the request came from
}

// of returns an error unless a Requester meets the demand.
func (d demand) of(s *Service, r Requester) error {
	switch {
	case r.strength == 0 || r.service != s:
		return &InputError{"Requester", "not one of this Service"}
	case d.client && r.client == nil:
		return &InputError{"Requester", "names no client"}
	case r.strength == public && !r.client.Public && !d.openStart:
		return ErrUnauthenticated
	case d.address && !r.caller.IP.IsValid():
		return &InputError{"Caller.IP", "required: limits depend on it"}
	}
	return nil
}

// settle returns the error of a call. If a limit refused the call, nothing was done, and settle gives up the claim of
// the assertion. A refusal of ours is not wrapped. One inside of an error of the Sender or of Users came after
// something was done.
func (r Requester) settle(ctx context.Context, err error) error {
	//nolint:errorlint // as said
	if _, limited := err.(*LimitedError); limited && r.claim != nil {
		r.service.releaseAssertion(ctx, *r.claim)
	}
	return err
}
