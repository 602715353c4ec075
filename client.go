package passwordless

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed62b93bad/passwordless/internal/canon"
	"github.com/seed62b93bad/passwordless/internal/jose"
)

// A Tenant is a set of clients and users of its own. Nothing made in one works in
// another.
type Tenant struct {
	ID   string // 1 to 64 printable ASCII bytes, no spaces
	Name string // the application's name as shown to people; default Config.AppName
}

// A SecretHash is a client secret as it is kept: its SHA-256. Client secrets are random
// (ASVS 5.0, 11.5.1); a hash of a secret that people chose is guessed easily.
type SecretHash [sha256.Size]byte

// HashSecret returns the hash of a client secret.
func HashSecret(secret string) SecretHash { return sha256.Sum256([]byte(secret)) }

// A SignUpPolicy says what happens to an address that nobody has yet.
type SignUpPolicy uint8

const (
	// OpenSignUp makes a user when the address is proved.
	OpenSignUp SignUpPolicy = iota
	// ClosedSignUp sends nothing to addresses that no user holds, or a blocked
	// one, and answers as if it had. Needs an AsyncSender.
	ClosedSignUp
)

// An Algorithm is a JWS signature algorithm (RFC 7518, RFC 8037).
type Algorithm string

// The algorithms of tokens.
const (
	ES256 Algorithm = "ES256" // the default
	RS256 Algorithm = "RS256" // named by clients that demand it; a deviation in Policy (ASVS 5.0, Appendix C)
	EdDSA Algorithm = "EdDSA"
	// HS256 signs ID tokens with Client.HS256Key, which the client has too, and access tokens with a key
	// of the Service's own, so that only Service.VerifyAccessToken can check them. A deviation in Policy.
	HS256 Algorithm = "HS256"
)

// A Client is an application that asks for sign-ins.
type Client struct {
	ID     string // 1 to 64 printable ASCII bytes, unique across tenants
	Tenant string // the ID of a tenant; "" when Config.Tenants is empty
	Name   string // as shown to people; default the tenant's

	// SecretHashes authenticate a confidential client; several allow rotation.
	SecretHashes []SecretHash
	// JWKS is the key set (RFC 7517) of a confidential client that authenticates with assertions
	// (private_key_jwt, RFC 7523): public keys alone, as JSON. JWKSURL, instead, is where the client publishes it,
	// https or http on loopback; see Service.AuthenticateAssertion for how it is read.
	JWKS    string
	JWKSURL string
	// Public marks a client that can keep neither a secret nor a key. A client is public or has one of them.
	Public bool
	// FirstParty allows the grant in which the application itself takes the code from the
	// person. Give it to your own applications only (RFC 9700, 2.4 on why).
	FirstParty bool

	Channels     []Channel    // that it may use; default Email
	SignUp       SignUpPolicy // default OpenSignUp
	RedirectURIs []string     // exactly as they will be asked for; https, or http on loopback
	// InsecureHTTPRedirects accepts http RedirectURIs to any host: whoever watches the network takes over
	// the sign-ins that end there.
	InsecureHTTPRedirects bool
	AppSchemes            bool // accepts RedirectURIs of native apps, com.example.app:/path (RFC 8252, 7.1)
	// Origins are the web origins whose scripts may call for the client from browsers (CORS), and to which its redirect
	// URIs may lead browsers on, as browsers write them: https://app.example.com, or http on loopback. The issuer's own
	// needs no mention.
	Origins []string
	// InsecureAnyBrowser lets a link finish in whatever browser opens it, if the finish is an authorization
	// code and the start had a state or a PKCE challenge: then the application can tell, and must, whether the sign-in
	// that ends in its browser began there. Any other link of the client finishes in the browser that asked for it.
	InsecureAnyBrowser bool
	// InsecureWithoutPKCE gives a public client authorization codes that are bound to no PKCE challenge, which
	// RFC 9700, 2.1.1 forbids: whoever gets hold of such a code can exchange it.
	InsecureWithoutPKCE bool

	CodeLife    time.Duration // default the policy's; most 10 minutes
	MaxAttempts int           // guesses a challenge; default the policy's; most 10
	Algorithm   Algorithm     // of its tokens; default ES256
	// HS256Key signs the ID tokens of a confidential client whose Algorithm is HS256: 32 random bytes or more, and
	// not one of its secrets, which are kept as hashes.
	HS256Key SecretBytes
	// TokenLife is the life of its access and ID tokens; default the policy's AccessTokenLife, most 24 hours.
	TokenLife time.Duration
	// TrustForwarded lets this confidential client name the end user's network
	// address for limits, on calls that it authenticated.
	TrustForwarded bool
}

// Clients finds clients. [ClientList] is one for a fixed set.
type Clients interface {
	// Client returns the client with the ID, or an error matching
	// ErrUnknownClient. It is called once a request and should be fast.
	Client(ctx context.Context, id string) (Client, error)
}

// OriginClients is Clients that find web origins too. Browsers ask whether they may call from an origin before they
// say for which client (CORS preflight). Of Clients that cannot tell, no origin may.
type OriginClients interface {
	Clients
	// HasOrigin reports whether any client has registered the origin, byte for byte.
	HasOrigin(ctx context.Context, origin string) (bool, error)
}

// A ClientList is Clients from a fixed set. New checks each of them.
type ClientList []Client

// Client returns the client with the ID.
func (l ClientList) Client(_ context.Context, id string) (Client, error) {
	for _, c := range l {
		if c.ID == id {
			return c, nil
		}
	}
	return Client{}, ErrUnknownClient
}

// HasOrigin reports whether a client has registered the web origin.
func (l ClientList) HasOrigin(_ context.Context, origin string) (bool, error) {
	return slices.ContainsFunc(l, func(c Client) bool { return c.HasOrigin(origin) }), nil
}

// clone copies the list, and what its clients hold.
func (l ClientList) clone() ClientList {
	l = slices.Clone(l)
	for i := range l {
		c := &l[i]
		c.SecretHashes, c.Channels, c.HS256Key = slices.Clone(c.SecretHashes), slices.Clone(c.Channels), slices.Clone(c.HS256Key)
		c.RedirectURIs, c.Origins = slices.Clone(c.RedirectURIs), slices.Clone(c.Origins)
	}
	return l
}

func (l ClientList) validate(s *Service) error {
	var errs []error
	seen := map[string]bool{}
	for i, c := range l {
		if seen[c.ID] {
			errs = append(errs, fmt.Errorf("Clients[%d]: ID used twice", i))
		}
		seen[c.ID] = true
		for _, other := range l[:i] {
			if len(c.HS256Key) > 0 && string(c.HS256Key) == string(other.HS256Key) {
				errs = append(errs, fmt.Errorf("Clients[%d]: HS256Key: also that of another client, who could write tokens for this one", i))
			}
		}
		errs = append(errs, c.validate(s))
	}
	return errors.Join(errs...)
}

// Authenticates reports in constant time whether secret is one of the client's.
func (c Client) Authenticates(secret Secret) bool {
	hash := HashSecret(secret.Reveal())
	ok := 0
	for _, h := range c.SecretHashes {
		ok |= subtle.ConstantTimeCompare(h[:], hash[:])
	}
	return ok == 1
}

// Allows reports whether the client may use the channel.
func (c Client) Allows(ch Channel) bool {
	return slices.Contains(c.Channels, ch) || len(c.Channels) == 0 && ch == Email
}

// AllowsRedirect reports whether uri is registered: equal byte for byte (RFC 9700, 2.1).
func (c Client) AllowsRedirect(uri string) bool { return canon.SameRedirect(c.RedirectURIs, uri) }

// HasOrigin reports whether the client has registered the web origin: equal byte for byte.
func (c Client) HasOrigin(origin string) bool { return slices.Contains(c.Origins, origin) }

// HasOrigin reports whether scripts of a web origin may call for any client at all: what a CORS preflight asks.
// Errors: those of Clients, wrapped.
func (s *Service) HasOrigin(ctx context.Context, origin string) (bool, error) {
	clients, ok := s.clients.(OriginClients)
	if ok = ok && canon.Origin(origin) == nil; !ok {
		return false, nil
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	has, err := clients.HasOrigin(ctx, origin)
	if err != nil {
		return false, s.failed(ctx, "finding origin", err)
	}
	return has, nil
}

// signs is the client's algorithm.
func (c Client) signs() Algorithm { return orDefault(c.Algorithm, ES256) }

// deviations names what the client does against the advice of the standards.
func (c Client) deviations(p Policy) (all []string) {
	for _, d := range [...]struct {
		is   bool
		name string
	}{
		{c.InsecureHTTPRedirects, "InsecureHTTPRedirects"},
		{c.InsecureAnyBrowser, "InsecureAnyBrowser"},
		{c.InsecureWithoutPKCE, "InsecureWithoutPKCE"},
		{c.signs() == RS256 || c.signs() == HS256, string(c.signs())},
		{c.TrustForwarded, "TrustForwarded"},
		{c.TokenLife > p.AccessTokenLife, fmt.Sprintf("TokenLife: %v, weaker than %v", c.TokenLife, p.AccessTokenLife)},
		{c.MaxAttempts > p.MaxAttempts, fmt.Sprintf("MaxAttempts: %d, weaker than %d", c.MaxAttempts, p.MaxAttempts)},
	} {
		if d.is {
			all = append(all, d.name)
		}
	}
	return all
}

// validate reports every mistake of a client.
func (c Client) validate(s *Service) error {
	var errs []error
	bad := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("Client %q: "+format, append([]any{c.ID}, args...)...))
		}
	}
	bad(printable(c.ID), "ID: want 1 to 64 printable ASCII bytes")
	bad(c.Name == "" || validName(c.Name), "Name: want at most 64 bytes without control characters")
	_, known := s.tenants[c.Tenant]
	bad(known, "Tenant: there is none with that ID")
	keyed := c.JWKS != "" || c.JWKSURL != ""
	bad(c.Public != (len(c.SecretHashes) > 0 || keyed), "want either Public or a means to authenticate: SecretHashes, JWKS or JWKSURL")
	bad(c.JWKS == "" || c.JWKSURL == "", "want one of JWKS and JWKSURL")
	err := jose.CheckKeySet(c.JWKS)
	bad(err == nil, "JWKS: %v", err)
	err = canon.RedirectURI(c.JWKSURL, canon.RedirectRules{})
	bad(c.JWKSURL == "" || err == nil, "JWKSURL: %v", ruleOf(err))
	bad(!c.TrustForwarded || !c.Public, "TrustForwarded: a public client cannot be trusted with it")
	for _, ch := range c.Channels {
		bad(ch == Email || ch == SMS, "Channels: unknown channel %q", ch)
		bad(ch != SMS || len(s.policy.SMSCountries) > 0, "Channels: sms needs Policy.SMSCountries")
	}
	for i, uri := range c.RedirectURIs {
		err := canon.RedirectURI(uri, canon.RedirectRules{InsecureHTTP: c.InsecureHTTPRedirects, AppSchemes: c.AppSchemes})
		bad(err == nil, "RedirectURIs[%d]: %v", i, ruleOf(err))
	}
	for i, origin := range c.Origins {
		bad(canon.Origin(origin) == nil, "Origins[%d]: want https://host, or http on loopback, and nothing behind the port", i)
	}
	bad(!c.InsecureWithoutPKCE || c.Public, "InsecureWithoutPKCE: only public clients need PKCE")
	bad(c.SignUp <= ClosedSignUp, "SignUp: unknown value")
	bad(c.SignUp != ClosedSignUp || s.async, "SignUp: ClosedSignUp needs a Sender that is an AsyncSender, or the time of an answer tells who has an account; see sender.Background")
	bad(c.CodeLife == 0 || between(c.CodeLife, time.Minute, 10*time.Minute), "CodeLife: %v is outside 1 to 10 minutes", c.CodeLife)
	bad(between(c.MaxAttempts, 0, maxTries), "MaxAttempts: %d is outside 1 to 10", c.MaxAttempts)
	bad(c.TokenLife == 0 || between(c.TokenLife, time.Minute, day), "TokenLife: %v is outside one minute to 24 hours", c.TokenLife)
	hs256 := c.Algorithm == HS256
	_, signs := s.signing.For(string(c.signs()))
	bad(signs || hs256 || c.Algorithm == "", "Algorithm: no signing key for %s", c.signs())
	bad(!hs256 || !c.Public, "Algorithm: a public client cannot keep HS256Key")
	bad(!hs256 || !weakKey(c.HS256Key), "HS256Key: want at least %d random bytes", minKey)
	bad(hs256 || len(c.HS256Key) == 0, "HS256Key: only Algorithm HS256 signs with it")
	bad(!hs256 || !c.Authenticates(Secret(c.HS256Key)), "HS256Key: also one of the client's secrets")
	bad(!hs256 || !s.keeps(c.HS256Key), "HS256Key: also one of Config.Keys or Config.IndexKey")
	return errors.Join(errs...)
}

// printable reports 1 to 64 printable ASCII bytes.
func printable(v string) bool {
	for _, b := range []byte(v) {
		if b <= ' ' || b > '~' {
			return false
		}
	}
	return len(v) >= 1 && len(v) <= 64
}

// Client returns the client with the ID as New or this call checked it: what a handler needs to
// authenticate whoever calls. Errors: ErrUnknownClient, and those of Clients, wrapped.
func (s *Service) Client(ctx context.Context, id string) (Client, error) {
	if !printable(id) {
		return Client{}, ErrUnknownClient
	}
	c, err := s.clients.Client(ctx, id)
	if errors.Is(err, ErrUnknownClient) {
		return Client{}, ErrUnknownClient
	}
	if err != nil {
		return Client{}, s.failed(ctx, "finding client", err)
	}
	if c.ID != id {
		return Client{}, ErrUnknownClient
	}
	if _, fixed := s.clients.(ClientList); fixed { // New checked it
		return c, nil
	}
	if err := c.validate(s); err != nil {
		return Client{}, fmt.Errorf("passwordless: misconfigured client: %w", err)
	}
	return c, nil
}
