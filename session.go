package passwordless

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

// A Grant says what a login should give besides the proof. The zero value gives
// nothing more: the application keeps its own sessions.
type Grant struct {
	// Session asks for a session of the library's own: a token for a cookie, which
	// stays the same for as long as the session lives.
	Session bool
	// Tokens asks for OAuth tokens; nil for none.
	Tokens *TokenRequest
	// Code asks for an authorization code, for a client that a browser leads back to; nil for none.
	Code *AuthorizationRequest
}

// A TokenRequest says which tokens to issue.
type TokenRequest struct {
	// Scopes of the access token. "openid" asks for an ID token and
	// "offline_access" for a refresh token.
	Scopes   []string
	Audience string // of the access token; default the issuer
	Nonce    string // of the ID token; "" for none
	// Subject makes the sub claim for a user; nil uses User.ID. It must be stable and
	// must not hold an address.
	Subject func(Login) string
	// Claims adds claims to the ID token for the scopes that are granted; nil adds none. It cannot set those
	// that tell how, when and for whom the token was made.
	Claims func(l Login, scopes []string) map[string]any
}

func (t *TokenRequest) has(scope string) bool { return t != nil && slices.Contains(t.Scopes, scope) }

func (g Grant) validate(s *Service, client Client) error {
	if err := g.Tokens.validate(s, client); err != nil {
		return err
	}
	return g.Code.validate(s, client)
}

func (t *TokenRequest) validate(s *Service, client Client) error {
	if t == nil {
		return nil
	}
	if _, ok := s.signerFor(client, typAccess); !ok {
		return &InputError{"Grant.Tokens", "Config.SigningKeys has no key for the client's Algorithm"}
	}
	for _, scope := range t.Scopes {
		if !validScope(scope) {
			return &InputError{"Grant.Tokens", "a scope that is no scope token"}
		}
	}
	if len(t.Nonce) > 512 || len(t.Audience) > 512 || len(strings.Join(t.Scopes, " ")) > 1024 {
		return &InputError{"Grant.Tokens", "scopes, audience or nonce too long"}
	}
	return nil
}

// validScope reports whether text is one scope (RFC 6749, 3.3).
func validScope(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' })
}

// A Session is a signed-in browser or app.
type Session struct {
	ID             string // names it to Sessions and RevokeSession; no secret
	Token          Secret // for the cookie; only in the Login that made it
	Tenant, Client string
	UserID         string
	At             time.Time // of the proof
	Used           time.Time // the last recorded use; recorded at most once in a tenth of Idle
	Expires        time.Time // when it ends if it is not used, at most the absolute end
	Scopes         []string  // of its refresh tokens; nil for a session of the library's own
}

// Tokens are what an OAuth client gets.
type Tokens struct {
	Access    Secret
	ID        Secret // "" without the scope openid; after a refresh without the claims about the person
	Refresh   Secret // "" without the scope offline_access
	ExpiresIn time.Duration
	Scopes    []string
}

// Format keeps the token secret even where fmt would print a pointer's target field by field.
func (s Session) Format(f fmt.State, verb rune) {
	type fields Session
	fmt.Fprintf(f, fmt.FormatString(f, verb), fields(s))
}

// Format keeps the tokens secret likewise.
func (t Tokens) Format(f fmt.State, verb rune) {
	type fields Tokens
	fmt.Fprintf(f, fmt.FormatString(f, verb), fields(t))
}

// loadEpoch loads a user's epoch.
func (s *Service) loadEpoch(ctx context.Context, now store.Instant, tenant, userID string) (*epoch, error) {
	recs, err := s.store.Load(ctx, now, s.userName(tenant, userID).key(kindEpoch))
	if err != nil {
		return nil, s.failed(ctx, "loading epoch", err)
	}
	e, err := decodeEpoch(recs[0])
	return &e, err
}

// needsEpoch reports whether a login of this attempt grants something that a revocation ends.
func (s *Service) needsEpoch(a *attempt) bool {
	return a.grant.Session || a.grant.Tokens.has("offline_access") || a.grant.Code != nil
}

// granted is what one attempt grants: each part with its name, if the attempt asks for it.
type granted struct {
	owner                        name
	session, refresh             *family
	code                         *authorizationCode
	sessionAt, refreshAt, codeAt name
}

// grants makes what the attempt asks for, under the epoch that was read with the user.
func (s *Service) grants(a *attempt, c *challenge, u User) (g granted) {
	if !s.needsEpoch(a) {
		return g
	}
	p := proof{tenant: c.tenant, client: c.client, userID: u.ID, channel: c.channel, method: a.method, at: a.now}
	if u.epoch != nil {
		p.epoch = u.epoch.n
	}
	g.owner = s.userName(c.tenant, u.ID)
	if a.grant.Session {
		f := s.newFamily(p, nil, "", a.seed, a.now)
		g.session, g.sessionAt = &f, familyName(a.now, false, a.seed)
	}
	if t := a.grant.Tokens; t.has("offline_access") {
		l := Login{Tenant: c.tenant, Client: c.client, User: u, Identifier: c.identifier()}
		f := s.newFamily(p, t, t.subject(l), a.seed, a.now)
		g.refresh, g.refreshAt = &f, familyName(a.now, true, a.seed)
	}
	if r := a.grant.Code; r != nil {
		g.code, g.codeAt = s.newCode(p, c.address, *r, a.seed), codeName(a.now, a.seed)
	}
	return g
}

// puts are the records of what was granted.
func (g *granted) puts(p SessionPolicy) (puts []store.Put) {
	if g.session != nil {
		puts = append(puts, g.session.put(g.sessionAt, g.owner, p, newVersion(), store.Version{}))
	}
	if g.refresh != nil {
		puts = append(puts, g.refresh.put(g.refreshAt, g.owner, p, newVersion(), store.Version{}))
	}
	if g.code != nil {
		puts = append(puts, g.code.put(g.codeAt, newVersion(), store.Version{}))
	}
	for i := range puts {
		puts[i].Stage = store.StageGrant
	}
	return puts
}

func (t *TokenRequest) subject(l Login) string {
	if t.Subject == nil {
		return l.User.ID
	}
	return t.Subject(l)
}

// grantLater commits the grant of a login that needed the directory first.
func (s *Service) grantLater(ctx context.Context, a *attempt, c *challenge, l *Login) error {
	a.granted = s.grants(a, c, l.User)
	if _, err := s.commit(ctx, a.now, store.Batch{Puts: a.granted.puts(s.policy.Session)}); err != nil {
		return s.failed(ctx, "granting", err)
	}
	return nil
}

// fillGrant makes the tokens of what was committed.
func (s *Service) fillGrant(ctx context.Context, a *attempt, l *Login) error {
	g := &a.granted
	if g.session != nil {
		l.Session = g.session.session(g.sessionAt, s.policy.Session)
		l.Session.Token = g.session.token(s.ring.current, g.sessionAt, g.owner)
	}
	if g.code != nil {
		l.Code = g.code.token(s.ring.current, g.codeAt)
	}
	if a.grant.Tokens == nil {
		return nil
	}
	tokens, err := s.sign(a.client, a.grant.Tokens, *l, a.now)
	if err != nil {
		ctx, cancel := afterwards(ctx) // what was granted must not outlive the failure
		defer cancel()
		return errors.Join(err, s.RevokeSession(ctx, l.Tenant, l.User.ID, g.refreshAt.hex()),
			s.RevokeSession(ctx, l.Tenant, l.User.ID, g.sessionAt.hex()))
	}
	if g.refresh != nil {
		tokens.Refresh = g.refresh.token(s.ring.current, g.refreshAt, g.owner)
	}
	l.Tokens = tokens
	return nil
}

func (f *family) session(n name, p SessionPolicy) *Session {
	var scopes []string
	if f.rotates {
		scopes = strings.Fields(f.scope)
	}
	return &Session{ID: n.hex(), Tenant: f.tenant, Client: f.client, UserID: f.userID, At: f.at.Time(),
		Used: f.used.Time(), Expires: f.expires(p).Time(), Scopes: scopes}
}

// loadFamily loads what a token names, with its owner's epoch, in one trip.
func (s *Service) loadFamily(
	ctx context.Context, p presentedToken,
) (rec store.Record, f family, e epoch, now store.Instant, err error) {
	now = s.now()
	recs, err := s.store.Load(ctx, now, p.name.key(kindSession), p.owner.key(kindEpoch))
	if err != nil {
		return rec, f, e, now, s.failed(ctx, "loading session", err)
	}
	if !recs[0].Exists() {
		return rec, f, e, now, ErrInvalidToken
	}
	if f, err = decodeFamily(recs[0]); err != nil {
		return rec, f, e, now, err
	}
	e, err = decodeEpoch(recs[1])
	return recs[0], f, e, max(now, f.used), err
}

// genuine reports whether the token's secret is the one of its counter.
func (s *Service) genuine(f *family, p presentedToken) bool {
	key := s.ring.byID[f.keyID]
	if key == nil || s.userName(f.tenant, f.userID) != p.owner {
		return false
	}
	want := f.secret(key, p.name, p.owner, p.counter)
	return equal(string(want[:]), p.secret)
}

// Session returns the session of a token from Login.Session. Using a session keeps it alive.
// Errors: ErrInvalidToken, and what the Store returns.
func (s *Service) Session(ctx context.Context, t Secret) (Session, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	p, ok := openFamilyToken(t)
	if !ok {
		return Session{}, ErrInvalidToken
	}
	rec, f, e, now, err := s.loadFamily(ctx, p)
	if err != nil {
		return Session{}, err
	}
	if f.rotates || p.counter != f.counter || !s.genuine(&f, p) {
		return Session{}, ErrInvalidToken
	}
	if !f.alive(now, e, s.policy.Session) {
		s.bury(ctx, rec, f, p, now)
		return Session{}, ErrInvalidToken
	}
	if now > f.used.Add(s.policy.Session.Idle/10) {
		f.used = now
		// Losing this race or this write only records the use later.
		put := f.put(p.name, p.owner, s.policy.Session, newVersion(), rec.Version)
		_, _ = s.commit(ctx, now, store.Batch{Puts: []store.Put{staged(store.StageDecide, put)}})
	}
	return *f.session(p.name, s.policy.Session), nil
}

// bury writes the end of a family whose time is over, so that a clock that steps back revives
// nothing. If that fails, the next call will see the end again.
func (s *Service) bury(ctx context.Context, rec store.Record, f family, p presentedToken, now store.Instant) {
	if f.revoked || now < f.expires(s.policy.Session) {
		return
	}
	f.revoked = true
	put := f.put(p.name, p.owner, s.policy.Session, newVersion(), rec.Version)
	_, _ = s.commit(ctx, now, store.Batch{Puts: []store.Put{staged(store.StageRevoke, put)}})
}

// newVersion draws a version.
func newVersion() (v store.Version) {
	rand.Read(v[:])
	return v
}

// A RefreshRequest presents a refresh token.
type RefreshRequest struct {
	Client string // already authenticated if it is confidential
	Token  Secret
	Scopes []string // at most those of the family; nil for the same
	// Audience is of the access token: "" or the family's. There is no way to another one.
	Audience string
}

// Refresh exchanges a refresh token for new tokens. Each refresh token works once; the one
// before the current is answered with the current one within SessionPolicy.Grace, and any older
// one revokes its family, because it was stolen or the thief was faster.
//
// Errors: ErrInvalidToken (ErrReusedToken among them), *InputError, ErrUnknownClient, ErrBusy, and what
// the Store returns.
func (s *Service) Refresh(ctx context.Context, req RefreshRequest) (Tokens, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	client, err := s.Client(ctx, req.Client)
	if err != nil {
		return Tokens{}, err
	}
	p, ok := openFamilyToken(req.Token)
	if !ok {
		return Tokens{}, ErrInvalidToken
	}
	var tokens Tokens
	err = whileConflicting(func(try int) error {
		tokens, err = s.refresh(ctx, client, p, req, try >= insist)
		return err
	})
	return tokens, err
}

// refresh is one try of Refresh. A conflict means that another call changed the family. One that insists writes the end
// of a family whatever was written meanwhile.
func (s *Service) refresh(ctx context.Context, client Client, p presentedToken, req RefreshRequest, insists bool) (Tokens, error) {
	rec, f, e, now, err := s.loadFamily(ctx, p)
	if err != nil {
		return Tokens{}, err
	}
	if f.client != client.ID || f.tenant != client.Tenant || !f.rotates || !s.genuine(&f, p) {
		return Tokens{}, ErrInvalidToken
	}
	scopes, err := f.narrow(req.Scopes)
	if err != nil {
		return Tokens{}, err
	}
	if req.Audience != "" && req.Audience != orDefault(f.audience, s.issuer) {
		return Tokens{}, &InputError{"Audience", "another one than was granted"}
	}
	next, write, verdict := decideRefresh(f, e, p.counter, now, s.policy.Session)
	if verdict != nil && !write {
		s.bury(ctx, rec, f, p, now)
	}
	if write {
		put := next.put(p.name, p.owner, s.policy.Session, newVersion(), rec.Version)
		put.Any = insists && next.revoked
		if err := s.change(ctx, now, "refreshing", store.Batch{Puts: []store.Put{staged(store.StageDecide, put)}}); err != nil {
			return Tokens{}, err
		}
	}
	s.emit(ctx, next.event(p.name, now, verdict))
	if verdict != nil {
		return Tokens{}, verdict
	}
	return s.refreshed(client, next, p, now, scopes)
}

// casTries bounds how often a call that changes one record is tried again because others change it too.
const casTries = 8

// narrow checks that the scopes are among the family's (RFC 6749, 6).
func (f *family) narrow(scopes []string) ([]string, error) {
	all := strings.Fields(f.scope)
	if len(scopes) == 0 {
		return all, nil
	}
	for _, sc := range scopes {
		if !slices.Contains(all, sc) {
			return nil, &InputError{"Scopes", "more than was granted"}
		}
	}
	return scopes, nil
}

func (s *Service) refreshed(client Client, f family, p presentedToken, now store.Instant, scopes []string) (Tokens, error) {
	access, life, err := s.signAccess(client, accessClaims{subject: f.subject, audience: f.audience, scopes: scopes,
		at: f.at, now: now, channel: f.channel, method: f.method})
	if err != nil {
		return Tokens{}, err
	}
	tokens := Tokens{Access: access, ExpiresIn: life, Scopes: scopes, Refresh: f.token(s.ring.byID[f.keyID], p.name, p.owner)}
	if slices.Contains(scopes, "openid") {
		tokens.ID, err = s.signClaims(client, typID, s.renewedClaims(client, f, now, life))
	}
	return tokens, err
}

// renewedClaims are the claims of an ID token that a refresh issues: those that tell who signed in and when, which
// stay the same, and no nonce (OpenID Connect Core, 12.2).
func (s *Service) renewedClaims(client Client, f family, now store.Instant, life time.Duration) map[string]any {
	return map[string]any{"iss": s.issuer, "sub": f.subject, "aud": client.ID, "iat": seconds(now), "exp": seconds(now.Add(life)),
		"auth_time": seconds(f.at), "amr": amr(f.channel, f.method)}
}

func (f *family) event(n name, now store.Instant, verdict error) Event {
	e := Event{Type: EventTokenCreated, At: now.Time(), Tenant: f.tenant, Client: f.client, UserID: f.userID,
		Channel: f.channel, Challenge: string(n)}
	switch {
	case errors.Is(verdict, ErrReusedToken):
		e.Type = EventTokenReuse
	case verdict != nil:
		e.Type, e.Reason = EventLoginFailed, "refresh token over or revoked"
	}
	return e
}

// A RevokeRequest presents the token of a session or a refresh token.
type RevokeRequest struct {
	// Client, if set, is the only one whose tokens are ended, already authenticated if it is confidential.
	Client string
	Token  Secret
}

// Revoke ends the session or refresh family of a token (RFC 7009). A token that is no longer or was never valid, or
// is another client's, is not an error. Errors: ErrBusy, ErrCorrupt, and what the Store returns.
func (s *Service) Revoke(ctx context.Context, req RevokeRequest) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	p, ok := openFamilyToken(req.Token)
	if !ok {
		return nil
	}
	return s.revoke(ctx, p.name, func(f *family) bool {
		return (req.Client == "" || req.Client == f.client) && s.genuine(f, p)
	})
}

// RevokeSession ends one session or refresh family of a user by its ID. One that is not
// there is not an error.
func (s *Service) RevokeSession(ctx context.Context, tenant, userID, id string) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	n, err := hex.DecodeString(id)
	if err != nil || len(n) != nameSize {
		return nil
	}
	return s.revoke(ctx, name(n), func(f *family) bool { return f.tenant == tenant && f.userID == userID })
}

// revoke writes the end of a family if it is the caller's to end.
func (s *Service) revoke(ctx context.Context, n name, mine func(*family) bool) error {
	return whileConflicting(func(try int) error {
		now := s.now()
		recs, err := s.store.Load(ctx, now, n.key(kindSession))
		if err != nil {
			return s.failed(ctx, "loading session", err)
		}
		if !recs[0].Exists() {
			return nil
		}
		f, err := decodeFamily(recs[0])
		if err != nil || f.revoked || !mine(&f) {
			return err
		}
		f.revoked = true
		put := f.put(n, s.userName(f.tenant, f.userID), s.policy.Session, newVersion(), recs[0].Version)
		put.Any = try >= insist
		if err := s.change(ctx, now, "revoking", store.Batch{Puts: []store.Put{staged(store.StageRevoke, put)}}); err != nil {
			return err
		}
		s.emit(ctx, Event{Type: EventRevoked, At: now.Time(), Tenant: f.tenant, Client: f.client, UserID: f.userID, Challenge: string(n)})
		return nil
	})
}

// RevokeUser signs a user out everywhere: every session, every refresh family, every known
// device, and every challenge that began before. Access tokens live to their end, and so does
// what an answer already on its way holds of them. Call it too when a user is locked, deleted, or
// changes an address; the Directory does. Authorization codes that were not exchanged yet are over too.
//
// With Users of the application's own, a login whose Grant asks for neither a session nor a refresh
// token nor an authorization code does not read the revocation: what it leads to is the application's, which knows its user.
func (s *Service) RevokeUser(ctx context.Context, tenant, userID string) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	e, err := s.bumpEpoch(ctx, tenant, userID)
	if err == nil {
		s.emit(ctx, revokedEvent(tenant, userID, e.at))
	}
	return err
}

// bumpEpoch moves a user's epoch on and returns the new one.
func (s *Service) bumpEpoch(ctx context.Context, tenant, userID string) (e epoch, err error) {
	owner := s.userName(tenant, userID)
	err = whileConflicting(func(int) error {
		now := s.now()
		recs, err := s.store.Load(ctx, now, owner.key(kindEpoch))
		if err != nil {
			return s.failed(ctx, "loading epoch", err)
		}
		if e, err = decodeEpoch(recs[0]); err != nil {
			return err
		}
		e = e.next(now)
		return s.change(ctx, now, "revoking", store.Batch{Puts: []store.Put{e.put(owner, recs[0].Version)}})
	})
	return e, err
}

// insist is the try at which the end of a family is written over whatever others write: nothing follows on it, so
// refreshes that come between do not put it off for ever.
const insist = 3

// whileConflicting calls f again for as long as others change the same record, a bounded number of times, and tells it
// how often it was called before.
func whileConflicting(f func(try int) error) error {
	for try := range casTries {
		if err := f(try); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return ErrBusy
}

// change commits a conditional change. A conflict is not reported: it is tried again.
func (s *Service) change(ctx context.Context, now store.Instant, what string, b store.Batch) error {
	_, err := s.commit(ctx, now, b)
	if err == nil || errors.Is(err, store.ErrConflict) {
		return err
	}
	return s.failed(ctx, what, err)
}

func revokedEvent(tenant, userID string, now store.Instant) Event {
	return Event{Type: EventRevoked, At: now.Time(), Tenant: tenant, UserID: userID, Reason: "everywhere"}
}

// Sessions lists a user's sessions and refresh families for display, at most limit (1 to
// 1000) at a time. The first page has the cursor "", and so has the answer after the last.
func (s *Service) Sessions(ctx context.Context, tenant, userID string, limit int, cursor string) ([]Session, string, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	if limit < 1 || limit > 1000 {
		return nil, "", &InputError{"limit", "want 1 to 1000"}
	}
	now := s.now()
	owner := s.userName(tenant, userID)
	e, err := s.loadEpoch(ctx, now, tenant, userID)
	if err != nil {
		return nil, "", err
	}
	recs, next, err := s.store.List(ctx, now, kindSession, store.Page{Owner: string(owner), Limit: limit, Cursor: cursor})
	if err != nil {
		return nil, "", s.failed(ctx, "listing sessions", err)
	}
	var all []Session
	for _, rec := range recs {
		f, err := decodeFamily(rec)
		if err != nil {
			return nil, "", err
		}
		if f.alive(now, *e, s.policy.Session) {
			all = append(all, *f.session(name(rec.Key.Name), s.policy.Session))
		}
	}
	return all, next, nil
}
