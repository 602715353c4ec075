package passwordless_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/memstore"
	"github.com/seed62b93bad/passwordless/store/storetest"
)

// A world is a service on a memory store, with a clock to turn and a mailbox to read.
type world struct {
	*passwordless.Service
	t      testing.TB
	cfg    passwordless.Config
	clock  *clock
	outbox *outbox
	events *events
}

var epochStart = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// newWorld makes a world; change alters its configuration first.
func newWorld(t testing.TB, change ...func(*passwordless.Config)) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{now: epochStart}, outbox: &outbox{}, events: &events{}}
	w.cfg = passwordless.Config{
		Issuer: "https://login.example.com/", AppName: "Example", Store: staging{memstore.New(), t}, Sender: w.outbox,
		SigningKeys: []passwordless.SigningKey{{ID: "s1", Key: ecKey(t)}},
		Clients: passwordless.ClientList{
			{ID: "web", Public: true, FirstParty: true, Channels: []passwordless.Channel{passwordless.Email, passwordless.SMS},
				Browser: passwordless.ClientBrowser{RedirectURIs: []string{callback}}},
			{ID: "other", Public: true, FirstParty: true},
			{ID: "closed", Public: true, ClosedSignUp: true},
		},
		Policy: passwordless.Policy{SMS: passwordless.SMSPolicy{Countries: []int{46, 47}}},
		Clock:  w.clock, Events: w.events.add,
	}
	newKeys().into(&w.cfg)
	for _, c := range change {
		c(&w.cfg)
	}
	w.Service = newService(t, w.cfg)
	return w
}

// A staging is a Store that finds puts without a stage: an engine with shards could not order them.
type staging struct {
	store.Store
	t testing.TB
}

func (s staging) Commit(ctx context.Context, now store.Instant, b store.Batch) (store.Levels, error) {
	for i := range b.Puts {
		if b.Puts[i].Stage == store.Unstaged {
			s.t.Errorf("a put of kind %q has no stage", b.Puts[i].Record.Key.Kind)
		}
	}
	return s.Store.Commit(ctx, now, b)
}

func newService(t testing.TB, cfg passwordless.Config) *passwordless.Service {
	t.Helper()
	s, err := passwordless.New(cfg)
	require.NoError(t, err)
	return s
}

// second returns another Service on the same store.
func (w *world) second() *world {
	other := *w
	other.Service = newService(w.t, w.cfg)
	return &other
}

func ecKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

// from is a caller at an address.
func from(ip string) passwordless.Caller {
	return passwordless.Caller{IP: netip.MustParseAddr(ip)}
}

var (
	home     = from("192.0.2.1")
	attacker = from("198.51.100.66")
)

const (
	alice    = "alice@example.com"
	callback = "https://app.example.com/cb"
)

// as is a client whose request the application vouches for.
func (w *world) as(clientID string, caller passwordless.Caller) passwordless.Requester {
	w.t.Helper()
	by, err := w.Trusted(context.Background(), clientID, caller)
	require.NoError(w.t, err)
	return by
}

// startFrom begins a sign-in and returns it with the code that was sent.
func (w *world) startFrom(caller passwordless.Caller, address string) (passwordless.Started, string) {
	w.t.Helper()
	started, err := w.Start(w.t.Context(), w.as("web", caller), byMail(address))
	require.NoError(w.t, err)
	return started, w.outbox.last().Code.Reveal()
}

// byMail is a request for a code by e-mail.
func byMail(address string) passwordless.StartRequest {
	return passwordless.StartRequest{Channel: passwordless.Email, Address: passwordless.Address(address)}
}

func (w *world) start(address string) (passwordless.Started, string) {
	return w.startFrom(home, address)
}

// guess presents a code from home.
func (w *world) guess(handle passwordless.Secret, code string) (passwordless.Login, error) {
	return w.guessFrom(home, handle, code)
}

func (w *world) guessFrom(caller passwordless.Caller, handle passwordless.Secret, code string) (passwordless.Login, error) {
	return w.Verify(context.Background(), w.as("web", caller), byCode(handle, code, passwordless.Issue{}))
}

// signIn takes a person the whole way.
func (w *world) signIn(address string, issue passwordless.Issue) passwordless.Login {
	w.t.Helper()
	w.clock.advance(time.Hour)
	started, code := w.start(address)
	l, err := w.Verify(w.t.Context(), w.as("web", home), byCode(started.Handle, code, issue))
	require.NoError(w.t, err)
	return l
}

// wrong returns a code of the same shape that is not code.
func wrong(code string) string {
	last, other := code[len(code)-1], byte('0')
	switch {
	case last == '0':
		other = '1'
	case last == 'B':
		other = 'C'
	case last > '9':
		other = 'B'
	}
	return code[:len(code)-1] + string(other)
}

type clock struct {
	mu  sync.Mutex // guards now
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// An outbox keeps what is sent; fail, if set, is what Send answers.
type outbox struct {
	mu   sync.Mutex // guards all and fail
	all  []passwordless.Message
	fail error
}

func (o *outbox) Send(_ context.Context, m passwordless.Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		return o.fail
	}
	o.all = append(o.all, m)
	return nil
}

func (o *outbox) Asynchronous() bool { return true }

func (o *outbox) Discard(context.Context, passwordless.Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.fail
}

func (o *outbox) messages() []passwordless.Message {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.all)
}

func (o *outbox) last() passwordless.Message {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.all) == 0 {
		return passwordless.Message{}
	}
	return o.all[len(o.all)-1]
}

type events struct {
	mu  sync.Mutex // guards all
	all []passwordless.Event
}

func (e *events) add(_ context.Context, ev passwordless.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, ev)
}

// types returns the types reported since the last call.
func (e *events) types() (types []passwordless.EventType) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ev := range e.all {
		types = append(types, ev.Type)
	}
	e.all = nil
	return types
}

// marks are the reasons of the events that tell of marks.
func (e *events) marks() (all []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ev := range e.all {
		if ev.Type == passwordless.EventLimitMark {
			all = append(all, ev.Reason)
		}
	}
	return all
}

// reasons are those of the events since the last call. Each must be of a header that was not believed.
func (w *world) reasons() (all []string) {
	w.t.Helper()
	w.events.mu.Lock()
	defer w.events.mu.Unlock()
	for _, e := range w.events.all {
		assert.Equal(w.t, passwordless.EventUntrustedForwarding, e.Type)
		assert.Equal(w.t, passwordless.Event{Type: e.Type, At: w.clock.now, Reason: e.Reason}, e, "and nothing of anybody")
		all = append(all, e.Reason)
	}
	w.events.all = nil
	return all
}

// refresh presents a refresh token of a client.
func (w *world) refresh(client string, token passwordless.Secret) (passwordless.Tokens, error) {
	w.t.Helper()
	return w.Refresh(context.Background(), w.as(client, home), passwordless.RefreshRequest{Token: token})
}

// access verifies an access token of the tenant "".
func (w *world) access(token passwordless.Secret, audience string) (passwordless.AccessToken, error) {
	return w.VerifyAccessToken(context.Background(), passwordless.AccessTokenRequest{Token: token, Audience: audience})
}

// A keyset is the keys of a Keyring, for a test that looks at them or rotates them.
type keyset struct {
	index passwordless.SecretBytes
	ring  []passwordless.RingKey
}

// newKeys has one ring key, "k1".
func newKeys() keyset {
	return keyset{passwordless.RandomKey(), []passwordless.RingKey{{ID: "k1", Secret: passwordless.RandomKey()}}}
}

// into gives a service the keys.
func (k keyset) into(c *passwordless.Config) { c.Hasher = passwordless.NewKeyring(k.index, k.ring...) }

// rotated has another key at the front of the ring.
func (k keyset) rotated(id string) keyset {
	k.ring = append([]passwordless.RingKey{{ID: id, Secret: passwordless.RandomKey()}}, k.ring...)
	return k
}

// current is without the keys behind the first.
func (k keyset) current() keyset {
	k.ring = k.ring[:1]
	return k
}

// under returns another Service on the same store, with other keys.
func (w *world) under(k keyset) *world {
	other := *w
	k.into(&other.cfg)
	other.Service = newService(w.t, other.cfg)
	return &other
}

// startWith begins a sign-in of the client "web".
func (w *world) startWith(caller passwordless.Caller, req passwordless.StartRequest) (passwordless.Started, error) {
	return w.Start(context.Background(), w.as("web", caller), req)
}

// byAddress is a request for a code by e-mail that is found without a handle.
func byAddress(address string) passwordless.StartRequest {
	req := byMail(address)
	req.ByAddress = true
	return req
}

// coded presents a code that is found by the address.
func coded(address, code string) passwordless.VerifyRequest {
	return passwordless.VerifyRequest{Channel: passwordless.Email, Address: passwordless.Address(address),
		Code: passwordless.Secret(code)}
}

// check asks from home whether a code is right.
func (w *world) check(handle passwordless.Secret, code string) error {
	return w.CheckCode(context.Background(), w.as("web", home), passwordless.VerifyRequest{Handle: handle,
		Code: passwordless.Secret(code)})
}

// redeem presents a link to the pages, which know no client.
func (w *world) redeem(caller passwordless.Caller, token passwordless.Secret) (passwordless.Login, error) {
	return w.RedeemLink(context.Background(), w.as("", caller), passwordless.RedeemRequest{Token: token})
}

// keeping is the caller in the browser that keeps what a start answered.
func keeping(caller passwordless.Caller, started passwordless.Started) passwordless.Caller {
	caller.Browser = started.Browser
	return caller
}

// codeVerifier is a PKCE verifier, and codeChallenge its challenge (RFC 7636, Appendix B).
const (
	codeVerifier  = passwordless.Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
	codeChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// byCode presents a code of a challenge, for what the login gives.
func byCode(handle passwordless.Secret, code string, issue passwordless.Issue) passwordless.VerifyRequest {
	return passwordless.VerifyRequest{Handle: handle, Code: passwordless.Secret(code), Issue: issue}
}

// secretKeys are those of a client that proves itself with a secret.
func secretKeys(secret string) passwordless.ClientKeys {
	return passwordless.ClientKeys{SecretHashes: []passwordless.SecretHash{passwordless.HashClientSecret(secret)}}
}

// asking asks for a code that a challenge binds, for tokens of these scopes.
func asking(scopes ...string) passwordless.Issue {
	return passwordless.Issue{Code: &passwordless.AuthorizationRequest{RedirectURI: callback, CodeChallenge: codeChallenge,
		Scopes: scopes}}
}

// of is the right request for the code of a login.
func of(l passwordless.Login) passwordless.ExchangeRequest {
	return passwordless.ExchangeRequest{Code: l.AuthorizationCode, RedirectURI: callback, Verifier: codeVerifier}
}

// justInvalid asserts that a code was refused in the same words as one that never was.
func justInvalid(t testing.TB, l passwordless.Login, err error, why string) {
	t.Helper()
	assert.Equal(t, passwordless.ErrInvalidToken, err, why)
	assert.Zero(t, l, why)
}

// unlimited lets a benchmark go through the limits without being stopped by them.
func unlimited(c *passwordless.Config) {
	many := passwordless.Limit{Count: 1e6, Per: time.Second}
	l := &c.Policy.Limits
	l.Starts, l.Guesses = []passwordless.Limit{many, many, many}, many
	l.EmailSends, l.SiteStarts, l.KnownNetworkSends, l.KnownDeviceSends = l.Starts, l.Starts, l.Starts, l.Starts
	c.Policy.MaxDailyRisk = 10
}

// proved knows everybody and keeps nothing.
type proved struct{ brokenUsers }

func (proved) Find(_ context.Context, _ string, id passwordless.Identifier) (passwordless.User, error) {
	return passwordless.User{ID: "u", Email: id.Address, EmailVerified: true}, nil
}

// bare is a service for an application with users and sessions of its own.
func bare(c *passwordless.Config) { c.Users, c.Events, c.Timeout = proved{}, nil, -1 }

// byEmail is an identifier for an e-mail address.
func byEmail(address passwordless.Address) passwordless.Identifier {
	return passwordless.Identifier{Channel: passwordless.Email, Address: address}
}

// A gap is a Store in which something happens just before the next commit or load, once. It must be used by one
// goroutine at a time.
type gap struct {
	store.Store
	beforeCommit, beforeLoad func()
}

func (g *gap) Commit(ctx context.Context, now store.Instant, b store.Batch) (store.Levels, error) {
	once(&g.beforeCommit)
	return g.Store.Commit(ctx, now, b)
}

func (g *gap) Load(ctx context.Context, now store.Instant, keys ...store.Key) ([]store.Record, error) {
	once(&g.beforeLoad)
	return g.Store.Load(ctx, now, keys...)
}

// once calls what is set and unsets it first, so that the call may use the store or set another.
func once(do *func()) {
	if then := *do; then != nil {
		*do = nil
		then()
	}
}

// newGap makes a world whose store has a gap.
func newGap(t *testing.T, change ...func(*passwordless.Config)) (*world, *gap) {
	g := &gap{}
	w := newWorld(t, append(change, func(c *passwordless.Config) {
		g.Store = c.Store
		c.Store = g
	})...)
	return w, g
}

// change updates a user of the built-in directory.
func (w *world) change(id string, change func(*passwordless.User)) (passwordless.User, error) {
	return w.Directory().Update(w.t.Context(), "", id, func(u *passwordless.User) error { change(u); return nil })
}

// signedOut asserts that whatever a login granted opens nothing.
func (w *world) signedOut(l passwordless.Login, why string) {
	w.t.Helper()
	require.NotNil(w.t, l.Session)
	_, err := w.Session(w.t.Context(), l.Session.Token)
	require.ErrorIs(w.t, err, passwordless.ErrInvalidToken, why)
	if l.Tokens != nil {
		_, err = w.refresh("web", l.Tokens.Refresh)
		require.ErrorIs(w.t, err, passwordless.ErrInvalidToken, why)
	}
}

var session = passwordless.Issue{Session: true}

// newFaulty makes a world whose store can be told to fail.
func newFaulty(t *testing.T, change ...func(*passwordless.Config)) (*world, *storetest.Faulty) {
	var faulty *storetest.Faulty
	w := newWorld(t, append(change, func(c *passwordless.Config) {
		faulty = storetest.NewFaulty(c.Store)
		c.Store = faulty
	})...)
	return w, faulty
}

// typed reports whether an error is one that the documentation names.
func typed(err error) bool {
	for _, target := range []error{passwordless.ErrUnavailable, passwordless.ErrUncertain, context.DeadlineExceeded, errBroken,
		passwordless.ErrConsumed, passwordless.ErrBusy} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// hs256Client is a client that shares a key with the service.
func hs256Client(id string) passwordless.Client {
	keys := secretKeys(id + "-secret")
	keys.HS256Key = passwordless.RandomKey()
	return passwordless.Client{ID: id, FirstParty: true, Keys: keys,
		Tokens: passwordless.TokenPolicy{Algorithm: passwordless.HS256}}
}

// derived is what the library derives from the key of a record for a use.
func derived(key []byte, label string, fields ...string) []byte {
	in := append([]byte{0, 0, 0, 1}, key...)
	in = binary.AppendUvarint(in, uint64(len(fields)))
	for _, f := range append([]string{label}, fields...) {
		in = append(binary.AppendUvarint(in, uint64(len(f))), f...)
	}
	sum := sha256.Sum256(in)
	return sum[:]
}

// mac is HMAC-SHA-256.
func mac(key, in []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(in)
	return h.Sum(nil)
}

var openid = passwordless.Issue{Tokens: &passwordless.TokenRequest{Scopes: []string{"openid", "offline_access"}, Nonce: "n-1"}}

// ringKey makes a key of a ring with an ID.
func ringKey(id string) passwordless.RingKey {
	return passwordless.RingKey{ID: id, Secret: passwordless.RandomKey()}
}

// start tries to begin a sign-in and returns the refusing limit, if one refuses.
func (w *world) tryStart(caller passwordless.Caller, ch passwordless.Channel, address string) (passwordless.Started, string) {
	w.t.Helper()
	started, err := w.Start(w.t.Context(), w.as("web", caller),
		passwordless.StartRequest{Channel: ch, Address: passwordless.Address(address)})
	var limited *passwordless.LimitedError
	if errors.As(err, &limited) {
		require.Positive(w.t, limited.RetryAfter)
		return started, limited.Limit
	}
	require.NoError(w.t, err)
	return started, ""
}

// address i of a large pool, each in a network of its own.
func pool(i int) passwordless.Caller {
	return from(fmt.Sprintf("198.%d.%d.%d", 18+i>>16&1, i>>8&255, i&255))
}

// startLink begins a sign-in by link and returns the tokens of both links.
func (w *world) startLink(mode passwordless.SendMode) (started passwordless.Started, link, cancel passwordless.Secret) {
	w.t.Helper()
	started, err := w.startWith(home, passwordless.StartRequest{Channel: passwordless.Email, Address: alice, Send: mode,
		RedirectURI: callback, State: "s 1"})
	require.NoError(w.t, err)
	m := w.outbox.last()
	return started, param(w.t, m.Link), param(w.t, m.Cancel)
}

func param(t testing.TB, link passwordless.Secret) passwordless.Secret {
	t.Helper()
	u, err := url.Parse(link.Reveal())
	require.NoError(t, err)
	require.Len(t, u.Query(), 1, "one opaque parameter (LK-12)")
	return passwordless.Secret(u.Query().Get("t"))
}

// altered returns a token with another secret.
func altered(t passwordless.Secret) passwordless.Secret {
	at := len(t) - 5
	if t[at] == 'A' {
		return t[:at] + "B" + t[at+1:]
	}
	return t[:at] + "A" + t[at+1:]
}

var offline = passwordless.Issue{Tokens: &passwordless.TokenRequest{Scopes: []string{"openid", "email", "offline_access"}}}

// inBrowser is the caller with a browser's cookie.
func inBrowser(c passwordless.Caller) passwordless.Caller {
	c.Browser = passwordless.Secret(strings.Repeat("A", 43))
	return c
}

// parts decodes a token's header and claims without checking anything.
func parts(t *testing.T, token passwordless.Secret) (header, claims map[string]any) {
	t.Helper()
	pieces := strings.Split(token.Reveal(), ".")
	require.Len(t, pieces, 3)
	for i, into := range []*map[string]any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(pieces[i])
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, into))
	}
	return header, claims
}

var errBroken = errors.New("broken")

// brokenUsers knows nobody and cannot make anybody.
type brokenUsers struct{}

func (brokenUsers) Find(context.Context, string, passwordless.Identifier) (passwordless.User, error) {
	return passwordless.User{}, passwordless.ErrNoUser
}

func (brokenUsers) Get(context.Context, string, string) (passwordless.User, error) {
	return passwordless.User{}, passwordless.ErrNoUser
}

func (brokenUsers) Create(context.Context, string, passwordless.Identifier) (passwordless.User, error) {
	return passwordless.User{}, errBroken
}

func (brokenUsers) ConfirmFirstProof(context.Context, string, string, passwordless.Identifier) (passwordless.User, error) {
	return passwordless.User{}, errBroken
}

// A table is an application's own users. refuse, if set, is what ConfirmFirstProof answers.
type table struct {
	mu     sync.Mutex // guards all
	all    map[passwordless.Identifier]passwordless.User
	refuse error
}

func newTable() *table { return &table{all: map[passwordless.Identifier]passwordless.User{}} }

func (u *table) Find(_ context.Context, _ string, id passwordless.Identifier) (passwordless.User, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if found, ok := u.all[id]; ok {
		return found, nil
	}
	return passwordless.User{}, fmt.Errorf("table: %w", passwordless.ErrNoUser)
}

func (u *table) Get(_ context.Context, _, userID string) (passwordless.User, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, one := range u.all {
		if one.ID == userID {
			return one, nil
		}
	}
	return passwordless.User{}, fmt.Errorf("table: %w", passwordless.ErrNoUser)
}

func (u *table) Create(_ context.Context, _ string, id passwordless.Identifier) (passwordless.User, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, ok := u.all[id]; !ok {
		u.all[id] = passwordless.User{ID: fmt.Sprint("u", len(u.all)), Email: id.Address}
	}
	return u.all[id], nil
}

func (u *table) ConfirmFirstProof(_ context.Context, _, _ string, id passwordless.Identifier) (passwordless.User, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.refuse != nil {
		return passwordless.User{}, u.refuse
	}
	found := u.all[id]
	found.EmailVerified = true
	u.all[id] = found
	return found, nil
}
