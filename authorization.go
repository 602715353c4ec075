package passwordless

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"strings"

	"github.com/seed62b93bad/passwordless/store"
)

// The authorization code machine: a code is what a sign-in in a browser ends with and what the
// client exchanges for tokens (RFC 6749, 4.1).
//
//	open -> used | over
//
// A used code remembers the refresh family that it was exchanged for, so that a second use revokes it.

// An AuthorizationRequest says what an authorization code is for.
type AuthorizationRequest struct {
	// RedirectURI is where the code is sent. The exchange repeats it. Required, and one that the client registered.
	RedirectURI string
	// CodeChallenge is the S256 challenge of RFC 7636, whose verifier the exchange must present; "" for none, which
	// is not enough for a public client, unless it says InsecureWithoutPKCE.
	CodeChallenge string
	// Scopes, Audience and Nonce are those of the tokens: see TokenRequest.
	Scopes   []string
	Audience string
	Nonce    string
}

// ValidCodeChallenge reports whether v could be an S256 challenge: 32 bytes in base64url.
func ValidCodeChallenge(v string) bool {
	_, ok := openToken(Secret(v), sha256.Size)
	return ok
}

// bound reports whether a PKCE challenge binds the code.
func (r *AuthorizationRequest) bound() bool { return r != nil && r.CodeChallenge != "" }

func (r *AuthorizationRequest) validate(s *Service, c Client) error {
	switch {
	case r == nil:
		return nil
	case !c.AllowsRedirect(r.RedirectURI):
		return &InputError{"RedirectURI", "not registered"}
	case r.bound() && !ValidCodeChallenge(r.CodeChallenge):
		return &InputError{"CodeChallenge", "not the SHA-256 of a verifier in base64url"}
	case c.Public && !r.bound() && !c.InsecureWithoutPKCE:
		return &InputError{"CodeChallenge", "required of public clients"}
	}
	return r.tokens(nil).validate(s, c)
}

// tokens is the request for tokens that the code stands for.
func (r *AuthorizationRequest) tokens(req *ExchangeRequest) *TokenRequest {
	t := &TokenRequest{Scopes: r.Scopes, Audience: r.Audience, Nonce: r.Nonce}
	if req != nil {
		t.Subject, t.Claims = req.Subject, req.Claims
	}
	return t
}

const kindCode store.Kind = "code"

// An authorizationCode is one as it is stored. It holds nothing from which its secret could be
// computed without the ring key.
type authorizationCode struct {
	proof
	used    bool
	address string
	request AuthorizationRequest
	expires store.Instant
	family  name // that it was exchanged for; "" for none
	keyID   string
	seed    digest
}

// newCode is an authorization code for a proof.
func (s *Service) newCode(p proof, address string, r AuthorizationRequest, seed digest) *authorizationCode {
	return &authorizationCode{proof: p, address: address, request: r, expires: p.at.Add(s.policy.AuthorizationCodeLife), keyID: s.ring.current.id, seed: seed}
}

// codeName names the code that is granted with a seed at an instant.
func codeName(now store.Instant, seed digest) name {
	return timedName(appendSeconds(nil, now), sha256.Sum256(append([]byte(kindCode), seed[:]...)))
}

func (c *authorizationCode) encode() []byte {
	w := writer{make([]byte, 0, 256)}
	w.fixed([]byte{bodyFormat})
	w.flag(c.used)
	r := &c.request
	for _, v := range [...]string{c.tenant, c.client, c.userID, string(c.channel), c.address, string(c.method), c.keyID,
		r.RedirectURI, r.CodeChallenge, strings.Join(r.Scopes, " "), r.Audience, r.Nonce, string(c.family)} {
		w.text(v)
	}
	w.at(c.at)
	w.at(c.expires)
	w.num(c.epoch)
	w.fixed(c.seed[:])
	return w.b
}

func decodeCode(rec store.Record) (c authorizationCode, err error) {
	r, err := openBody(rec)
	if err != nil {
		return c, err
	}
	c.used = r.flag()
	var channel, method, scope, family string
	for _, v := range [...]*string{&c.tenant, &c.client, &c.userID, &channel, &c.address, &method, &c.keyID,
		&c.request.RedirectURI, &c.request.CodeChallenge, &scope, &c.request.Audience, &c.request.Nonce, &family} {
		*v = r.text()
	}
	c.channel, c.method, c.request.Scopes, c.family = Channel(channel), Method(method), strings.Fields(scope), name(family)
	c.at, c.expires = r.at(), r.at()
	c.epoch = r.num()
	r.fixed(c.seed[:])
	return c, r.finish(rec.Key.Kind)
}

func (c *authorizationCode) put(n name, fresh, was store.Version) store.Put {
	return store.Put{Was: was, Record: store.Record{
		Key: n.key(kindCode), Version: fresh, Expires: c.expires.Add(retention), Body: c.encode()}}
}

// codeSize is the size of a decoded authorization code: the record's name and a secret.
const codeSize = nameSize + sha256.Size

// secret covers all of the code but whether it was used: a record that says another thing gives another secret.
func (c *authorizationCode) secret(key *macKey, n name) digest {
	r := &c.request
	numbers := appendInstant(appendInstant(appendInstant(nil, c.at), c.expires), store.Instant(c.epoch))
	return key.sum("authorization code", c.tenant, c.client, c.userID, string(c.channel), c.address, string(c.method),
		r.RedirectURI, r.CodeChallenge, strings.Join(r.Scopes, " "), r.Audience, r.Nonce, string(numbers), string(n), string(c.seed[:]))
}

func (c *authorizationCode) token(key *macKey, n name) Secret {
	d := c.secret(key, n)
	return token(n, d[:])
}

func (c *authorizationCode) identifier() Identifier { return Identifier{c.channel, c.address} }

// An ExchangeRequest presents an authorization code.
type ExchangeRequest struct {
	Client      string // already authenticated if it is confidential
	Code        Secret // of Login.Code
	RedirectURI string // the one that the code was sent to, byte for byte
	Verifier    Secret // of PKCE, if the code was asked for with a challenge; else ""
	// Subject and Claims are those of a TokenRequest; the rest was said when the code was asked for.
	Subject func(Login) string
	Claims  func(Login, []string) map[string]any
}

// Exchange exchanges an authorization code for tokens, once. The login is the one that ended with the code, and its
// Tokens are new; auth_time is the proof's. A second use of a code revokes the refresh family that the first one gave, for an
// hour after the code's life; access tokens live to their end.
//
// Errors: ErrInvalidToken (a code that is over, revoked, of another client, sent to another redirect URI, or presented with the wrong
// verifier, with one that nobody asked for or without one), ErrReusedToken, *AccountError, ErrUnknownClient, ErrBusy, ErrCorrupt,
// what the Store returns, and errors of Users.
func (s *Service) Exchange(ctx context.Context, req ExchangeRequest) (Login, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	client, err := s.Client(ctx, req.Client)
	if err != nil {
		return Login{}, err
	}
	raw, ok := openToken(req.Code, codeSize)
	if !ok {
		return Login{}, ErrInvalidToken
	}
	x := &exchange{ExchangeRequest: req, client: client, name: name(raw[:nameSize]), secret: string(raw[nameSize:])}
	rand.Read(x.seed[:])
	var l Login
	err = whileConflicting(func(int) error {
		l, err = s.exchange(ctx, x)
		return err
	})
	return l, err
}

// An exchange is one presented code on its way through the machine.
type exchange struct {
	ExchangeRequest
	client Client
	name   name
	secret string
	seed   digest // of what is granted
}

// exchange is one try of Exchange. A conflict means that another call used the code.
func (s *Service) exchange(ctx context.Context, x *exchange) (Login, error) {
	now := s.now()
	recs, err := s.store.Load(ctx, now, x.name.key(kindCode))
	if err != nil {
		return Login{}, s.failed(ctx, "loading authorization code", err)
	}
	if !recs[0].Exists() {
		return Login{}, ErrInvalidToken
	}
	c, err := decodeCode(recs[0])
	if err != nil {
		return Login{}, err
	}
	key := s.ring.byID[c.keyID]
	if key == nil {
		return Login{}, ErrInvalidToken
	}
	if want := c.secret(key, x.name); !equal(string(want[:]), x.secret) {
		return Login{}, ErrInvalidToken
	}
	now = max(now, c.at)
	err = c.exchangeable(x, now)
	switch {
	case err == nil:
		return s.spend(ctx, x, c, recs[0].Version, now)
	case errors.Is(err, ErrReusedToken):
		err = errors.Join(err, s.endFamily(ctx, &c))
		s.emit(ctx, c.event(EventTokenReuse, x.name, now, "authorization code used before"))
	case !c.used && now >= c.expires:
		s.buryCode(ctx, x, &c, recs[0].Version, now)
	}
	return Login{}, err
}

// exchangeable judges a genuine code: whose it is, whether it is over, and what binds it. It is pure. Only the client that may
// exchange a code learns, and decides, that it was used before.
func (c *authorizationCode) exchangeable(x *exchange, now store.Instant) error {
	sum := sha256.Sum256([]byte(x.Verifier))
	switch {
	case c.client != x.client.ID || c.tenant != x.client.Tenant,
		c.request.RedirectURI != x.RedirectURI || !x.client.AllowsRedirect(x.RedirectURI),
		c.request.bound() != (x.Verifier != ""),
		c.request.bound() && !equal(c.request.CodeChallenge, encoding.EncodeToString(sum[:])):
		return ErrInvalidToken
	case c.used:
		return ErrReusedToken
	case now >= c.expires:
		return ErrInvalidToken
	}
	return nil
}

// spend uses a code up and grants its tokens, in one commit.
func (s *Service) spend(
	ctx context.Context, x *exchange, c authorizationCode, was store.Version, now store.Instant,
) (Login, error) {
	l, err := s.codeLogin(ctx, &c, now)
	if err != nil {
		return Login{}, err
	}
	t := c.request.tokens(&x.ExchangeRequest)
	c.used = true
	var f family
	if t.has("offline_access") {
		f, c.family = s.newFamily(c.proof, t, t.subject(l), x.seed, now), familyName(now, true, x.seed)
	}
	owner := s.userName(c.tenant, c.userID)
	puts := []store.Put{staged(store.StageDecide, c.put(x.name, newVersion(), was))}
	if c.family != "" {
		grant := f.put(c.family, owner, s.policy.Session, newVersion(), store.Version{})
		puts = append(puts, staged(store.StageGrant, grant))
	}
	if err := s.change(ctx, now, "exchanging", store.Batch{Puts: puts}); err != nil {
		return Login{}, err
	}
	if l.Tokens, err = s.sign(x.client, t, l, now); err != nil {
		return Login{}, errors.Join(err, s.endFamily(ctx, &c)) // what was granted must not outlive the failure
	}
	if c.family != "" {
		l.Tokens.Refresh = f.token(s.ring.current, c.family, owner)
	}
	s.emit(ctx, c.event(EventTokenCreated, x.name, now, ""))
	return l, nil
}

// codeLogin is the login that a code stands for, if its user may still sign in and was not signed out since.
func (s *Service) codeLogin(ctx context.Context, c *authorizationCode, now store.Instant) (Login, error) {
	u, err := s.users.Find(ctx, c.tenant, c.identifier())
	switch {
	case errors.Is(err, ErrNoUser), err == nil && (u.ID != c.userID || !u.Verified(c.identifier())):
		return Login{}, ErrInvalidToken
	case err != nil:
		return Login{}, s.failed(ctx, "finding user", err)
	case u.Status != UserActive:
		return Login{}, &AccountError{Status: u.Status}
	}
	if u.epoch == nil {
		if u.epoch, err = s.loadEpoch(ctx, now, c.tenant, c.userID); err != nil {
			return Login{}, err
		}
	}
	if u.epoch.n != c.epoch {
		return Login{}, ErrInvalidToken
	}
	return Login{Tenant: c.tenant, Client: c.client, User: u, Identifier: c.identifier(), Method: c.method,
		At: c.at.Time(), RedirectURI: c.request.RedirectURI}, nil
}

// buryCode removes a code whose time is over, so that a clock that steps back revives nothing. If that fails, the
// next call will see the end again.
func (s *Service) buryCode(ctx context.Context, x *exchange, c *authorizationCode, was store.Version, now store.Instant) {
	gone := staged(store.StageRevoke, c.put(x.name, newVersion(), was))
	gone.Record.Expires, gone.Record.Body = 0, nil // which leaves it absent
	_, _ = s.commit(ctx, now, store.Batch{Puts: []store.Put{gone}})
}

// endFamily revokes what a code was exchanged for, whether or not the caller still waits.
func (s *Service) endFamily(ctx context.Context, c *authorizationCode) error {
	if c.family == "" {
		return nil
	}
	ctx, cancel := afterwards(ctx)
	defer cancel()
	return s.revoke(ctx, c.family, func(f *family) bool { return f.client == c.client && f.tenant == c.tenant })
}

func (c *authorizationCode) event(t EventType, n name, now store.Instant, reason string) Event {
	return Event{Type: t, At: now.Time(), Tenant: c.tenant, Client: c.client, UserID: c.userID, Channel: c.channel,
		Challenge: string(n), Reason: reason}
}
