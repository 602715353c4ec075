package passwordless_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/store"
)

func TestNewRefusesWhatItCouldNotServe(t *testing.T) { // OP-1: at construction, not at the first sign-in, and never by a panic
	cfg := newWorld(t).cfg
	var wants []string
	offCurve := ecdsa.PublicKey{Curve: elliptic.P256(), X: big.NewInt(1), Y: big.NewInt(1)}
	for want, key := range map[string]crypto.Signer{
		"not an Ed25519 key":          ed25519.PrivateKey{},
		"not a point of P-256":        &ecdsa.PrivateKey{PublicKey: offCurve},
		"ECDSA on another curve than": (*ecdsa.PrivateKey)(nil),
		"RSA under 3072 bits":         &rsa.PrivateKey{},
		"<nil> is not supported":      nil,
	} {
		wants = append(wants, fmt.Sprintf("SigningKeys[%d].Key: %s", len(cfg.SigningKeys), want))
		cfg.SigningKeys = append(cfg.SigningKeys, passwordless.SigningKey{ID: fmt.Sprint("bad", len(wants)), Key: key})
	}
	var clients passwordless.ClientList
	for _, name := range []string{"n\n@evil.example #123456", "a\rb", "a\x00b", "a\u0085b", "a\u2028b", strings.Repeat("x", 65)} {
		wants = append(wants, fmt.Sprintf("Client \"name%d\": Name: want", len(clients)))
		clients = append(clients, passwordless.Client{ID: fmt.Sprint("name", len(clients)), Public: true, Name: name})
	}
	cfg.Clients = clients
	cfg.Tenants = []passwordless.Tenant{{ID: "a", Name: "x\ny"}, {ID: "a b"}}
	cfg.Issuer = "https://[::1]%23/"
	cfg.PageURL = cfg.Issuer
	wants = append(wants, "Tenants[0].Name: want", "Tenants[1].ID: want", "Issuer: want", "PageURL: want")
	_, err := passwordless.New(cfg)
	require.Error(t, err)
	for _, want := range wants {
		assert.Contains(t, err.Error(), want)
	}
}

// A registrar is a Store that knows what was ever written under each version.
type registrar struct {
	store.Store
	mu    sync.Mutex // guards seen and twice
	seen  map[store.Version]string
	twice []store.Key
}

func (r *registrar) Commit(ctx context.Context, now store.Instant, b store.Batch) (store.Levels, error) {
	r.mu.Lock()
	for _, p := range b.Puts {
		what := fmt.Sprint(p, b.Charges, b.GiveBacks, b.Deletes)
		if before, ok := r.seen[p.Record.Version]; ok && before != what {
			r.twice = append(r.twice, p.Record.Key)
		}
		r.seen[p.Record.Version] = what
	}
	r.mu.Unlock()
	return r.Store.Commit(ctx, now, b)
}

func TestEveryTryWritesAVersionOfItsOwn(t *testing.T) { // or a store would take a second try for a lost answer to the first
	r := &registrar{seen: map[store.Version]string{}}
	w := newWorld(t, func(c *passwordless.Config) { r.Store, c.Store = c.Store, r })
	l := w.signIn(alice, offline)
	w.clock.advance(time.Hour)
	started, code := w.start(alice)
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() { _, _ = w.guess(started.Handle, wrong(code)) })
		group.Go(func() { _, _ = w.Start(t.Context(), w.as("web", inBrowser(home)), byMail(alice)) })
		group.Go(func() {
			_, _ = w.refresh("web", l.Tokens.Refresh)
		})
		group.Go(func() { _, _ = w.change(l.User.ID, func(u *passwordless.User) { u.Name = fmt.Sprint(i) }) })
	}
	group.Wait()
	assert.NotEmpty(t, r.seen)
	assert.Empty(t, r.twice)
}

// A forger is a Store whose records of one kind say what forge makes of them. Frozen, it answers commits, but for
// charges, and writes nothing.
type forger struct {
	store.Store
	kind   store.Kind
	forge  func(body []byte) []byte // nil: nothing is forged; must not change its argument
	frozen bool
}

func (f *forger) Commit(ctx context.Context, now store.Instant, b store.Batch) (store.Levels, error) {
	if !f.frozen {
		return f.Store.Commit(ctx, now, b)
	}
	if err := b.Validate(); err != nil {
		return nil, err
	}
	var conflict store.ConflictError
	for _, p := range b.Puts {
		recs, err := f.Store.Load(ctx, now, p.Record.Key)
		if err != nil {
			return nil, err
		}
		if !p.Any && recs[0].Version != p.Was {
			conflict.Keys = append(conflict.Keys, p.Record.Key)
		}
	}
	if len(conflict.Keys) > 0 {
		return nil, &conflict
	}
	return nil, nil
}

func (f *forger) Load(ctx context.Context, now store.Instant, keys ...store.Key) ([]store.Record, error) {
	recs, err := f.Store.Load(ctx, now, keys...)
	return f.forged(recs), err
}

func (f *forger) List(ctx context.Context, now store.Instant, kind store.Kind, page store.Page) ([]store.Record, string, error) {
	recs, next, err := f.Store.List(ctx, now, kind, page)
	return f.forged(recs), next, err
}

func (f *forger) forged(recs []store.Record) []store.Record {
	for i, rec := range recs {
		if f.forge != nil && rec.Key.Kind == f.kind && rec.Version != (store.Version{}) {
			recs[i].Body = f.forge(rec.Body)
		}
	}
	return recs
}

// A forgery is a world with a record of every kind, in a store that is then frozen.
type forgery struct {
	*world
	*forger
	login   passwordless.Login
	started passwordless.Started
	code    string
	link    passwordless.Secret
	// The client's pages in the browser that asked, and in another one.
	browser, other passwordless.Requester
}

// kinds are the records of a forgery.
var kinds = []store.Kind{"challenge", "cooldown", "session", "code", "epoch", "user", "identifier"}

// newForgery makes a forgery with an application's users, or, if they are nil, the built-in directory.
func newForgery(t testing.TB, users passwordless.Users) *forgery {
	f := &forgery{forger: &forger{}}
	f.world = newWorld(t, unlimited, func(c *passwordless.Config) {
		f.Store, c.Store = c.Store, f.forger
		c.Users, c.Events = users, nil
		c.Policy.Tokens.AuthorizationCodeLife = 10 * time.Minute
		c.Clients.(passwordless.ClientList)[0].Browser.RedirectURIs = []string{callback, callback + "/2"}
	})
	f.browser, f.other = f.as("web", inBrowser(home)), f.as("web", home)
	f.login = f.signIn(alice, passwordless.Issue{Session: true, Tokens: offline.Tokens, Code: asking("offline_access").Code})
	f.clock.advance(5 * time.Minute)
	var err error
	f.started, err = f.Start(t.Context(), f.browser, f.request())
	require.NoError(t, err)
	f.code, f.link = f.outbox.last().Code.Reveal(), param(t, f.outbox.last().Link)
	f.clock.advance(time.Second)
	f.frozen = true
	return f
}

func (f *forgery) request() passwordless.StartRequest {
	req := byMail(alice)
	req.Send = passwordless.SendBoth
	return req
}

// body returns the body of the last record of a kind that a round of calls reads.
func (f *forgery) body(t testing.TB, kind store.Kind) (body []byte) {
	t.Helper()
	f.kind, f.forge = kind, func(b []byte) []byte { body = b; return b }
	f.everyCall(t)
	f.forge = nil
	require.NotEmpty(t, body, kind)
	return body
}

// everyCall makes each call that reads a record, and demands of each that it does not panic and is right about whom it signs
// in: no forged record makes a wrong secret right, nor a right one somebody else's. It returns the calls that failed.
func (f *forgery) everyCall(t testing.TB) (failed []error) {
	ctx := t.Context()
	guess := func(code string, issue passwordless.Issue) passwordless.VerifyRequest {
		return byCode(f.started.Handle, code, issue)
	}
	note := func(what string, err error) bool {
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", what, err))
		}
		return err == nil
	}
	none := passwordless.Issue{}
	if f.CheckCode(ctx, f.browser, guess("314159", none)) == nil && f.CheckCode(ctx, f.browser, guess("271828", none)) == nil {
		t.Error("two codes are right")
	}
	l, err := f.Verify(ctx, f.browser, guess(f.code, session))
	if note("verify", err) && (l.Identifier != f.login.Identifier || l.Client != "web") {
		t.Errorf("signed in as %+v of %s", l.Identifier, l.Client)
	}
	l, err = f.RedeemLink(ctx, f.browser, passwordless.RedeemRequest{Token: f.link})
	if note("redeem", err) && (l.Identifier != f.login.Identifier || l.Client != "web") {
		t.Errorf("signed in as %+v of %s", l.Identifier, l.Client)
	}
	if _, err = f.RedeemLink(ctx, f.browser, passwordless.RedeemRequest{Token: altered(f.link)}); err == nil {
		t.Error("a forged link is right")
	}
	_, err = f.PeekLink(ctx, f.other, f.link)
	note("peek", err)
	f.clock.advance(time.Minute)
	_, err = f.Resend(ctx, f.browser, f.started.Handle)
	note("resend", err)
	f.clock.advance(-time.Minute)
	s, err := f.Session(ctx, f.login.Session.Token)
	if note("session", err) && (s.UserID != f.login.User.ID || s.Client != "web") {
		t.Errorf("the session of %q", s.UserID)
	}
	if _, err = f.Session(ctx, altered(f.login.Session.Token)); err == nil {
		t.Error("a forged session is right")
	}
	_, err = f.Refresh(ctx, f.other, passwordless.RefreshRequest{Token: f.login.Tokens.Refresh})
	note("refresh", err)
	l, err = f.Exchange(ctx, f.other, of(f.login))
	if note("exchange", err) && (l.Identifier != f.login.Identifier || l.User.ID != f.login.User.ID || l.Client != "web") {
		t.Errorf("exchanged for %+v of %s", l.Identifier, l.Client)
	}
	forged := of(f.login)
	forged.Code = altered(forged.Code)
	if _, err = f.Exchange(ctx, f.other, forged); err == nil {
		t.Error("a forged authorization code is right")
	}
	forged = of(f.login)
	forged.Verifier = ""
	if _, err = f.Exchange(ctx, f.other, forged); err == nil {
		t.Error("an authorization code needs no verifier any more")
	}
	_, _, err = f.Sessions(ctx, "", f.login.User.ID, 10, "")
	note("list", err)
	_, err = f.Start(ctx, f.browser, f.request())
	note("start", err)
	if d := f.Directory(); d != nil {
		_, err = d.Update(ctx, "", f.login.User.ID, func(u *passwordless.User) error { u.Name = "x"; return nil })
		note("update", err)
	}
	note("revoke", f.RevokeUser(ctx, "", f.login.User.ID))
	return failed
}

// corrupt counts the calls that failed because of what a record says.
func corrupt(failed []error) (n int) {
	for _, err := range failed {
		if errors.Is(err, passwordless.ErrCorrupt) {
			n++
		}
	}
	return n
}

func TestARecordThatIsCutShortIsNotRead(t *testing.T) { // VF-12
	f := newForgery(t, nil)
	require.Empty(t, f.everyCall(t))
	for _, kind := range kinds {
		whole := f.body(t, kind)
		for n := range whole {
			f.forge = func(b []byte) []byte { return b[:min(n, len(b))] }
			failed := f.everyCall(t)
			if kind == "identifier" { // has no format: it is the ID of a user, cut short that of nobody
				continue
			}
			require.Positive(t, corrupt(failed), "%s cut to %d of %d bytes: %v", kind, n, len(whole), failed)
		}
	}
}

func TestAChallengeOfANewerReleaseIsRead(t *testing.T) { // SK-6: one that writes more fields runs beside this one
	const params, place = "p-1", "https://login.example.com/x"
	f := &forger{kind: "challenge"}
	w := newWorld(t, func(c *passwordless.Config) { f.Store, c.Store = c.Store, f })
	browser := w.as("web", inBrowser(home))
	req := byMail(alice)
	req.Send, req.State, req.Params, req.LinkURL = passwordless.SendLink, "s-1", params, place
	_, err := w.Start(t.Context(), browser, req)
	require.NoError(t, err)
	link := param(t, w.outbox.last().Link)
	says := func(info passwordless.LinkInfo, err error) {
		t.Helper()
		require.NoError(t, err)
		assert.Equal(t, []string{"s-1", params, place}, []string{info.State, info.Params, info.LinkURL})
	}
	says(w.PeekLink(t.Context(), browser, link))
	for cut := 1; cut <= 1+len(params)+1+len(place); cut++ {
		f.forge = func(b []byte) []byte { return b[:len(b)-cut] }
		_, err := w.PeekLink(t.Context(), browser, link)
		require.ErrorIs(t, err, passwordless.ErrCorrupt, "%d bytes of the last fields are missing", cut)
	}
	f.forge = func(b []byte) []byte { return append(bytes.Clone(b), "what a newer release adds"...) }
	says(w.PeekLink(t.Context(), browser, link))
	_, err = w.RedeemLink(t.Context(), browser, passwordless.RedeemRequest{Token: link})
	require.ErrorIs(t, err, passwordless.ErrWrongSecret, "it was opened elsewhere")
	l, err := w.RedeemLink(t.Context(), browser, passwordless.RedeemRequest{Token: link, LinkURL: place})
	require.NoError(t, err)
	assert.Equal(t, params, l.Params)
}

// An everybody is proved, and found by ID too.
type everybody struct{ proved }

func (everybody) Get(context.Context, string, string) (passwordless.User, error) {
	return passwordless.User{ID: "u", Email: alice, EmailVerified: true}, nil
}

func TestAChangedRecordSignsNobodyElseIn(t *testing.T) { // VF-12, BD-3
	f := newForgery(t, nil)
	for _, kind := range kinds {
		f.changeEachByte(t, kind)
	}
	// The records of a challenge, of a session and of an authorization code name an address. Here everybody has an account.
	for _, kind := range []store.Kind{"challenge", "code", "session"} {
		newForgery(t, everybody{}).changeEachByte(t, kind)
	}
}

// changeEachByte makes every call with each byte of a kind of record changed in a few ways.
func (f *forgery) changeEachByte(t *testing.T, kind store.Kind) {
	t.Helper()
	whole := f.body(t, kind)
	for at := range whole {
		for _, change := range []byte{1, 16, 128, 255} {
			f.forge = func(b []byte) []byte {
				b = bytes.Clone(b)
				b[at%len(b)] ^= change
				return b
			}
			f.everyCall(t)
		}
	}
}

// fieldText and fieldTime are fields of a record as they are written.
func fieldText(all ...string) (b []byte) {
	for _, s := range all {
		b = append(binary.AppendVarint(b, int64(len(s))), s...)
	}
	return b
}

func fieldTime(at time.Time) []byte {
	return binary.AppendVarint(nil, int64(store.InstantOf(at)))
}

func TestAStoreDoesNotChangeACode(t *testing.T) { // TK-13, BD-3, TK-10: what a code says is part of its secret
	f := newForgery(t, nil)
	f.kind = "code"
	forge := func(was, is []byte) { // of what the record says once
		f.forge = func(b []byte) []byte {
			require.Equal(t, 1, bytes.Count(b, was), "%q", was)
			return bytes.Replace(b, was, is, 1)
		}
	}
	req := of(f.login)
	unverified, elsewhere := req, req
	unverified.Verifier = ""
	elsewhere.RedirectURI += "/2"
	ends := f.login.At().Add(10 * time.Minute)
	proved := func(at time.Time) []byte { return append(fieldText("code", "email"), fieldTime(at)...) }
	granted := func(at, ends time.Time) []byte { return append(fieldTime(at), fieldTime(ends)...) }
	for name, c := range map[string]struct {
		was, is []byte
		req     passwordless.ExchangeRequest
	}{
		"without a challenge":   {fieldText(codeChallenge), fieldText(""), unverified},
		"sent elsewhere":        {fieldText(callback), fieldText(elsewhere.RedirectURI), elsewhere},
		"of another address":    {fieldText(alice), fieldText("mallory@example.com"), req},
		"more scopes":           {fieldText("offline_access"), fieldText("offline_access admin"), req},
		"fewer scopes":          {fieldText("offline_access"), fieldText(""), req},
		"another audience":      {fieldText("offline_access", ""), fieldText("offline_access", "https://api.example.com"), req},
		"another nonce":         {fieldText("offline_access", "", ""), fieldText("offline_access", "", "n-1"), req},
		"proved by a link":      {fieldText("code", "email"), fieldText("link", "email"), req},
		"on another channel":    {fieldText("code", "email"), fieldText("code", "sms"), req},
		"proved earlier":        {proved(f.login.At()), proved(f.login.At().Add(-time.Hour)), req},
		"proved a moment later": {proved(f.login.At()), proved(f.login.At().Add(1)), req},
		"granted earlier":       {granted(f.login.At(), ends), granted(f.login.At().Add(-1), ends), req},
		"of a longer life":      {fieldTime(ends), fieldTime(ends.Add(time.Hour)), req},
		"of a shorter life":     {fieldTime(ends), fieldTime(ends.Add(-1)), req},
	} {
		forge(c.was, c.is)
		l, err := f.Exchange(t.Context(), f.other, c.req)
		justInvalid(t, l, err, name)
	}
	f.forge = nil
	_, err := f.Exchange(t.Context(), f.other, req)
	require.NoError(t, err)

	f.frozen = false
	require.NoError(t, f.RevokeUser(t.Context(), "", f.login.User.ID))
	const before, after = 2 * 1, 2 * 2 // the epoch, which follows on the address
	forge(append(fieldText(alice), before), append(fieldText(alice), after))
	l, err := f.Exchange(t.Context(), f.other, req)
	justInvalid(t, l, err, "granted after the revocation")
}

func TestARandomRecordIsNotRead(t *testing.T) { // VF-12
	f := newForgery(t, nil)
	random := rand.New(rand.NewPCG(1, 2))
	for _, kind := range kinds {
		f.kind = kind
		for i := range 200 {
			body := make([]byte, random.IntN(400))
			for j := range body {
				body[j] = byte(random.Uint32())
			}
			if len(body) > 1 && i%2 == 0 {
				body[0], body[1] = 1, 1 // the format, and open or the start of a short text
			}
			f.forge = func([]byte) []byte { return body }
			f.everyCall(t)
		}
	}
}

// FuzzRecords lets a store answer anything for a record of one kind.
func FuzzRecords(f *testing.F) {
	forged := newForgery(f, nil)
	for _, kind := range kinds {
		whole := forged.body(f, kind)
		f.Add(string(kind), whole)
		f.Add(string(kind), whole[:len(whole)/2])
		f.Add(string(kind), append(bytes.Clone(whole), whole...))
		f.Add(string(kind), []byte{})
		f.Add(string(kind), bytes.Repeat([]byte{0xff}, 200))
	}
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		forged.kind, forged.forge = store.Kind(kind), func([]byte) []byte { return body }
		forged.everyCall(t)
		forged.outbox.all = nil
	})
}
