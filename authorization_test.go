package passwordless_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/internal/strict"
	"github.com/seed62b93bad/passwordless/store/storetest"
)

// A register is Clients that can change while they are in use.
type register map[string]passwordless.Client

func (r register) Client(_ context.Context, id string) (passwordless.Client, error) {
	c, ok := r[id]
	if !ok {
		return c, passwordless.ErrUnknownClient
	}
	return c, nil
}

// newRegister has a client of each kind that asks for codes, all of which register the callback.
func newRegister() register {
	all := register{}
	for _, c := range []passwordless.Client{
		{ID: "web", Public: true, Channels: []passwordless.Channel{passwordless.Email, passwordless.SMS}}, {ID: "twin", Public: true},
		{ID: "loose", Public: true, Browser: passwordless.ClientBrowser{InsecureWithoutPKCE: true}},
		{ID: "backend", Keys: secretKeys("s")},
		{ID: "anywhere", Keys: secretKeys("s"), Browser: passwordless.ClientBrowser{InsecureAnyBrowser: true}},
	} {
		c.Browser.RedirectURIs = []string{callback, callback + "/2"}
		all[c.ID] = c
	}
	return all
}

// A codeWorld is a world with clients that ask for codes.
type codeWorld struct {
	*world
	clients register
}

func newCodeWorld(t testing.TB, change ...func(*passwordless.Config)) *codeWorld {
	w := &codeWorld{clients: newRegister()}
	ours := func(c *passwordless.Config) { c.Clients = w.clients }
	w.world = newWorld(t, append([]func(*passwordless.Config){ours}, change...)...)
	return w
}

// newFaultyCodes is a codeWorld whose store can be told to fail.
func newFaultyCodes(t *testing.T, change ...func(*passwordless.Config)) (*codeWorld, *storetest.Faulty) {
	var faulty *storetest.Faulty
	w := newCodeWorld(t, append(change, func(c *passwordless.Config) {
		faulty = storetest.NewFaulty(c.Store)
		c.Store = faulty
	})...)
	return w, faulty
}

// unbound asks likewise for a code that no challenge binds.
func unbound(scopes ...string) passwordless.Issue {
	g := asking(scopes...)
	g.Code.CodeChallenge = ""
	return g
}

// typed signs alice in at a client with a code that she types.
func (w *codeWorld) typed(client string, g passwordless.Issue) (passwordless.Login, error) {
	w.t.Helper()
	w.clock.advance(time.Hour)
	started, err := w.Start(w.t.Context(), w.as(client, home), byMail(alice))
	require.NoError(w.t, err)
	return w.Verify(w.t.Context(), w.as(client, home),
		passwordless.VerifyRequest{Handle: started.Handle, Code: w.outbox.last().Code, Issue: g})
}

// codeFor is such a login, which must end with a code.
func (w *codeWorld) codeFor(client string, g passwordless.Issue) passwordless.Login {
	w.t.Helper()
	l, err := w.typed(client, g)
	require.NoError(w.t, err)
	require.NotEmpty(w.t, l.AuthorizationCode)
	return l
}

// exchange makes the right request for the code of a login.
func (w *codeWorld) exchange(l passwordless.Login) (passwordless.Login, error) {
	return w.Exchange(w.t.Context(), w.as(l.Client, home), of(l))
}

// refreshes reports whether a refresh token still works.
func (w *codeWorld) refreshes(l passwordless.Login) bool {
	_, err := w.refresh(l.Client, l.Tokens.Refresh)
	if err != nil {
		require.ErrorIs(w.t, err, passwordless.ErrInvalidToken)
	}
	return err == nil
}

// families counts a user's living sessions and refresh families.
func (w *codeWorld) families(userID string) int {
	w.t.Helper()
	all, _, err := w.Sessions(w.t.Context(), "", userID, 1000, "")
	require.NoError(w.t, err)
	return len(all)
}

func TestACodeIsExchangedOnce(t *testing.T) { // TK-12
	w := newCodeWorld(t)
	asked := w.codeFor("web", asking("openid", "offline_access"))
	assert.Nil(t, asked.Tokens)
	assert.Nil(t, asked.Session)
	assert.Zero(t, w.families(asked.User.ID), "nothing lives before the exchange")
	got, err := w.exchange(asked)
	require.NoError(t, err)
	assert.NotEmpty(t, got.Tokens.Access)
	assert.NotEmpty(t, got.Tokens.ID)
	assert.Empty(t, got.AuthorizationCode)
	require.True(t, w.refreshes(got))
	w.events.types()

	again, err := w.exchange(asked)
	require.ErrorIs(t, err, passwordless.ErrReusedToken)
	require.ErrorIs(t, err, passwordless.ErrInvalidToken)
	assert.Zero(t, again)
	assert.Equal(t, []passwordless.EventType{passwordless.EventRevoked, passwordless.EventTokenReuse}, w.events.types())
	assert.False(t, w.refreshes(got), "the second use revokes what the first one gave")
	assert.Zero(t, w.families(asked.User.ID))

	_, err = w.exchange(asked)
	require.ErrorIs(t, err, passwordless.ErrReusedToken, "and so it stays")
	w.clock.advance(59 * time.Minute)
	_, err = w.exchange(asked)
	require.ErrorIs(t, err, passwordless.ErrReusedToken, "it is remembered beyond its life")
}

func TestACodeEndsAfterItsLife(t *testing.T) { // TK-12, VF-13
	w := newCodeWorld(t)
	for name, age := range map[string]time.Duration{
		"a nanosecond before its end": time.Minute - 1, "at its end": time.Minute, "an hour later": time.Hour,
	} {
		l := w.codeFor("web", asking("offline_access"))
		w.clock.advance(age)
		got, err := w.exchange(l)
		if age < time.Minute {
			require.NoError(t, err, name)
			continue
		}
		justInvalid(t, got, err, name)
		w.clock.advance(-age)
		got, err = w.exchange(l)
		justInvalid(t, got, err, name+", and a clock that steps back revives nothing")
	}
}

func TestTheTokensOfACodeSayWhatWasProved(t *testing.T) { // TK-11, TK-16, TK-17
	w := newCodeWorld(t)
	g := asking("openid", "email", "offline_access")
	g.Code.Audience, g.Code.Nonce = "https://api.example.com", "n-1"
	asked := w.codeFor("web", g)
	proved := float64(w.clock.Now().Unix())
	w.clock.advance(30 * time.Second)
	req := of(asked)
	req.Subject = func(l passwordless.Login) string { return "email|" + l.User.ID }
	req.Claims = func(_ passwordless.Login, scopes []string) map[string]any {
		return map[string]any{"scopes": strings.Join(scopes, " "), "sub": "forged", "auth_time": 1}
	}
	got, err := w.Exchange(t.Context(), w.as("web", home), req)
	require.NoError(t, err)
	_, id := parts(t, got.Tokens.ID)
	assert.Equal(t, map[string]any{"iss": "https://login.example.com/", "sub": "email|" + asked.User.ID, "aud": "web",
		"iat": proved + 30, "exp": proved + 630, "auth_time": proved, "nonce": "n-1", "email": alice, "email_verified": true,
		"scopes": "openid email offline_access", "amr": []any{"email", "otp"}}, id)
	access, err := w.access(got.Tokens.Access, "https://api.example.com")
	require.NoError(t, err)
	assert.Equal(t, int64(proved), access.AuthTime.Unix())
	assert.Equal(t, "web", access.Client)
	assert.Equal(t, g.Code.Scopes, access.Scopes)
	assert.Equal(t, asked.At(), got.At())
	assert.Equal(t, asked.User.ID, got.User.ID)
	assert.Equal(t, asked.Identifier, got.Identifier)
	assert.Equal(t, asked.Methods, got.Methods)
	assert.Equal(t, []passwordless.MethodUse{{Method: passwordless.ByCode, Channel: passwordless.Email, At: asked.At()}},
		got.Methods)
	assert.Equal(t, callback, got.RedirectURI)

	w.clock.advance(24 * time.Hour)
	tokens, err := w.refresh("web", got.Tokens.Refresh)
	require.NoError(t, err)
	_, id = parts(t, tokens.ID)
	assert.InDelta(t, proved, id["auth_time"], 0, "unchanged by a refresh")
	assert.InDelta(t, proved+30+24*3600, id["iat"], 0)
	assert.NotContains(t, id, "nonce")
	access, err = w.access(tokens.Access, "https://api.example.com")
	require.NoError(t, err)
	assert.Equal(t, int64(proved), access.AuthTime.Unix())
	w.clock.advance(13 * 24 * time.Hour)
	got.Tokens = &tokens
	require.True(t, w.refreshes(got))
}

func TestTheFamilyOfACodeEndsAtTheAbsoluteTimeOfTheProof(t *testing.T) { // SS-2, TK-10
	w := newCodeWorld(t, func(c *passwordless.Config) {
		c.Policy.Sessions = passwordless.SessionPolicy{Idle: 10 * time.Minute, Absolute: 10 * time.Minute}
	})
	l := w.codeFor("web", asking("offline_access"))
	w.clock.advance(30 * time.Second)
	got, err := w.exchange(l)
	require.NoError(t, err)
	w.clock.advance(10*time.Minute - 30*time.Second - 1)
	require.True(t, w.refreshes(got))
	again := w.codeFor("web", asking("offline_access"))
	w.clock.advance(30 * time.Second)
	got, err = w.exchange(again)
	require.NoError(t, err)
	w.clock.advance(10*time.Minute - 30*time.Second)
	assert.False(t, w.refreshes(got), "a late exchange makes it no longer")
}

func TestTheIdleTimeOfACodesFamilyBeginsWithTheExchange(t *testing.T) { // SS-2
	w := newCodeWorld(t, func(c *passwordless.Config) {
		c.Policy.Sessions.Idle, c.Policy.Tokens.AuthorizationCodeLife = time.Minute, 10*time.Minute
	})
	l := w.codeFor("web", asking("offline_access"))
	w.clock.advance(5 * time.Minute)
	got, err := w.exchange(l)
	require.NoError(t, err)
	w.clock.advance(time.Minute - 1)
	assert.True(t, w.refreshes(got), "although the sign-in was longer ago")
}

func TestACodeGivesWhatWasAskedForAndNoMore(t *testing.T) { // TK-10
	w := newCodeWorld(t)
	for _, scopes := range [][]string{nil, {"openid"}, {"profile", "offline_access"}, {"openid", "offline_access"}} {
		got, err := w.exchange(w.codeFor("web", asking(scopes...)))
		require.NoError(t, err)
		assert.Equal(t, slices.Contains(scopes, "openid"), got.Tokens.ID != "", scopes)
		assert.Equal(t, slices.Contains(scopes, "offline_access"), got.Tokens.Refresh != "", scopes)
		assert.Nil(t, got.Session)
		assert.Empty(t, got.Device)
		if got.Tokens.ID != "" {
			_, id := parts(t, got.Tokens.ID)
			assert.NotContains(t, id, "nonce", "nobody asked for one")
		}
		_, err = w.access(got.Tokens.Access, "")
		require.NoError(t, err, "the default audience is the issuer")
	}
}

// A knownCase says how alice is known before she signs in.
type knownCase struct{ byApplication, verified bool }

// newKnown is a codeWorld in which she is, with her ID, whose store can be told to fail.
func newKnown(t *testing.T, c knownCase) (*codeWorld, *storetest.Faulty, string) {
	known := passwordless.User{ID: "u1", Email: alice, EmailVerified: c.verified}
	if !c.byApplication {
		w, faulty := newFaultyCodes(t)
		_, err := w.Directory().Add(t.Context(), "", known)
		require.NoError(t, err)
		return w, faulty, known.ID
	}
	users := newTable()
	users.all[byEmail(alice)] = known
	w, faulty := newFaultyCodes(t, func(cfg *passwordless.Config) { cfg.Users = users })
	return w, faulty, known.ID
}

func TestARevocationDuringASignInEndsIt(t *testing.T) { // AC-6, SS-6: between finding the user and the first proof too
	g := asking("offline_access")
	g.Session, g.Tokens = true, offline.Tokens
	for _, c := range []knownCase{{false, true}, {false, false}, {true, true}, {true, false}} {
		for _, method := range []storetest.Method{storetest.Load, storetest.Commit} {
			for trip, made := 1, true; made; trip++ {
				w, faulty, id := newKnown(t, c)
				started, code := w.start(alice)
				w.clock.advance(time.Second)
				made = false
				faulty.Spoil(method, trip, func(_ context.Context, call func() error) error {
					made = true
					require.NoError(t, w.RevokeUser(context.Background(), "", id))
					return call()
				})
				l, err := w.Verify(t.Context(), w.as("web", home),
					byCode(started.Handle, code, g))
				faulty.Heal()
				what := fmt.Sprintf("%+v, %v %d", c, method, trip)
				switch {
				case !made:
					require.NoError(t, err, what)
				case err != nil:
					require.ErrorIs(t, err, passwordless.ErrRevoked, what)
					assert.Zero(t, l, what)
				default: // its answer was on its way
					w.signedOut(l, what)
					got, err := w.exchange(l)
					justInvalid(t, got, err, what)
				}
			}
		}
	}
}

func TestACodeIsAskedForWithS256OrNotAtAll(t *testing.T) { // TK-13
	w := newCodeWorld(t)
	for why, challenge := range map[string]string{
		"the verifier as plain": strings.Repeat("a", 44), "a short one": codeChallenge[:42], "a long one": codeChallenge + "A",
		"padding": codeChallenge + "=", "the other base64": strings.Replace(codeChallenge, "-", "+", 1),
		"in hex": strings.Repeat("0f", 32), "a space": codeChallenge[:42] + " ",
		"stray last bits": codeChallenge[:42] + "N",
		"line ends":       strings.Repeat("\n", 43),
	} {
		assert.False(t, strict.CodeChallenge(challenge), why)
		for client := range w.clients {
			g := asking()
			g.Code.CodeChallenge = challenge
			_, err := w.typed(client, g)
			var bad *passwordless.InputError
			require.ErrorAs(t, err, &bad, "%s: %s", client, why)
			assert.Equal(t, "CodeChallenge", bad.Field)
		}
	}
	assert.True(t, strict.CodeChallenge(codeChallenge))
}

func TestPKCEIsNotDowngraded(t *testing.T) { // TK-13
	w := newCodeWorld(t)
	_, err := w.typed("web", unbound())
	var bad *passwordless.InputError
	require.ErrorAs(t, err, &bad, "a public client without a challenge")
	assert.Equal(t, "CodeChallenge", bad.Field)
	for _, c := range []struct {
		client    string
		challenge string
		verifier  passwordless.Secret
		exchanged bool
	}{
		{"web", codeChallenge, codeVerifier, true},
		{"web", codeChallenge, "", false},
		{"loose", "", "", true},
		{"loose", "", codeVerifier, false},
		{"loose", codeChallenge, codeVerifier, true},
		{"loose", codeChallenge, "", false},
		{"backend", "", "", true},
		{"backend", "", codeVerifier, false},
		{"backend", codeChallenge, codeVerifier, true},
		{"backend", codeChallenge, "", false},
		{"backend", codeChallenge, codeChallenge, false},
	} {
		g := asking("offline_access")
		g.Code.CodeChallenge = c.challenge
		req := of(w.codeFor(c.client, g))
		req.Verifier = c.verifier
		got, err := w.Exchange(t.Context(), w.as(c.client, home), req)
		if c.exchanged {
			require.NoError(t, err, "%+v", c)
			continue
		}
		justInvalid(t, got, err, fmt.Sprintf("%+v", c))
	}
}

func TestARefusedRequestForACodeUsesNothingUp(t *testing.T) { // LK-9, TK-13
	w := newCodeWorld(t)
	started, code := w.start(alice)
	for why, change := range map[string]func(*passwordless.AuthorizationRequest){
		"no redirect URI": func(r *passwordless.AuthorizationRequest) { r.RedirectURI = "" },
		"another's":       func(r *passwordless.AuthorizationRequest) { r.RedirectURI = "https://evil.example/cb" },
		"a longer one":    func(r *passwordless.AuthorizationRequest) { r.RedirectURI += "?x" },
		"no challenge":    func(r *passwordless.AuthorizationRequest) { r.CodeChallenge = "" },
		"a long nonce":    func(r *passwordless.AuthorizationRequest) { r.Nonce = strings.Repeat("n", 513) },
		"a long audience": func(r *passwordless.AuthorizationRequest) { r.Audience = strings.Repeat("a", 513) },
		"long scopes":     func(r *passwordless.AuthorizationRequest) { r.Scopes = []string{strings.Repeat("s", 1025)} },
	} {
		g := asking()
		change(g.Code)
		_, err := w.Verify(t.Context(), w.as("web", home),
			byCode(started.Handle, code, g))
		require.ErrorAs(t, err, new(*passwordless.InputError), why)
	}
	_, err := w.guess(started.Handle, code)
	require.NoError(t, err)
}

func TestARedirectURIThatIsGoneEndsTheWay(t *testing.T) { // LK-9
	w := newCodeWorld(t)
	w.codeFor("web", asking())
	link, caller := w.linkTo("web", passwordless.StartRequest{RedirectURI: callback})
	l := w.codeFor("web", asking("offline_access"))
	whole := w.clients["web"]
	less := whole
	less.Browser.RedirectURIs = []string{callback + "/2"}
	w.clients["web"] = less
	_, err := w.RedeemLink(t.Context(), w.as("", caller), passwordless.RedeemRequest{Token: link, Issue: asking()})
	require.ErrorAs(t, err, new(*passwordless.InputError))
	got, err := w.exchange(l)
	justInvalid(t, got, err, "taken from the list after the code was given")
	w.clients["web"] = whole
	_, err = w.exchange(l)
	require.NoError(t, err, "the code was not used up")

	link, caller = w.linkTo("web", passwordless.StartRequest{RedirectURI: callback})
	w.clients["web"] = less
	_, err = w.RedeemLink(t.Context(), w.as("", caller), passwordless.RedeemRequest{Token: link, Issue: asking()})
	require.ErrorAs(t, err, new(*passwordless.InputError))
	w.clients["web"] = whole
	_, err = w.RedeemLink(t.Context(), w.as("", caller), passwordless.RedeemRequest{Token: link, Issue: asking()})
	require.NoError(t, err, "nor was the link")
}

func TestACodeGoesOnlyWhereItWasAskedFor(t *testing.T) { // LK-9
	w := newCodeWorld(t)
	elsewhere := asking()
	elsewhere.Code.RedirectURI = callback + "/2" // which the client registered too
	refused := func(err error) {
		var bad *passwordless.InputError
		require.ErrorAs(t, err, &bad)
		assert.Equal(t, "RedirectURI", bad.Field)
	}
	link, caller := w.linkTo("web", passwordless.StartRequest{RedirectURI: callback})
	_, err := w.RedeemLink(t.Context(), w.as("", caller), passwordless.RedeemRequest{Token: link, Issue: elsewhere})
	refused(err)
	l, err := w.RedeemLink(t.Context(), w.as("", caller), passwordless.RedeemRequest{Token: link, Issue: asking()})
	require.NoError(t, err, "the link was not used up")
	_, err = w.exchange(l)
	require.NoError(t, err)

	w.clock.advance(time.Hour)
	req := byMail(alice)
	req.RedirectURI = callback
	started, err := w.Start(t.Context(), w.as("web", home), req)
	require.NoError(t, err)
	typed := passwordless.VerifyRequest{Handle: started.Handle, Code: w.outbox.last().Code, Issue: elsewhere}
	for range 10 {
		_, err = w.Verify(t.Context(), w.as("web", home), typed)
		refused(err)
	}
	typed.Issue = asking()
	_, err = w.Verify(t.Context(), w.as("web", home), typed)
	require.NoError(t, err, "nor was the code that was typed, nor an attempt")

	link, caller = w.linkTo("web", passwordless.StartRequest{})
	_, err = w.RedeemLink(t.Context(), w.as("", caller), passwordless.RedeemRequest{Token: link, Issue: elsewhere})
	require.NoError(t, err, "a start that names no place leaves it to the finish")
}

// linkTo starts a sign-in of alice by link and returns the link's token and the browser that asked.
func (w *codeWorld) linkTo(client string, req passwordless.StartRequest) (passwordless.Secret, passwordless.Caller) {
	w.t.Helper()
	w.clock.advance(time.Hour)
	req.Channel, req.Address, req.Send = passwordless.Email, alice, passwordless.SendLink
	started, err := w.Start(w.t.Context(), w.as(client, home), req)
	require.NoError(w.t, err)
	caller := home
	caller.Browser = started.Browser
	return param(w.t, w.outbox.last().Link), caller
}

func TestACodeStaysInItsTenant(t *testing.T) { // BD-3, CA-4
	w := newCodeWorld(t, func(c *passwordless.Config) { c.Tenants = []passwordless.Tenant{{ID: "a"}, {ID: "b"}} })
	in := func(tenant string) {
		for id, c := range w.clients {
			c.Tenant = tenant
			w.clients[id] = c
		}
	}
	in("a")
	l := w.codeFor("web", asking("offline_access"))
	assert.Equal(t, "a", l.Tenant)
	in("b")
	w.codeFor("twin", asking()) // alice is somebody in b too
	w.clock.advance(-time.Hour)
	got, err := w.exchange(l)
	justInvalid(t, got, err, "the client was moved to another tenant")
	in("a")
	got, err = w.exchange(l)
	require.NoError(t, err)
	in("b")
	_, err = w.exchange(l)
	assert.Equal(t, passwordless.ErrInvalidToken, err, "it does not learn that the code was used")
	in("a")
	assert.True(t, w.refreshes(got), "nor revoke anything")
}

func TestASigningFailureUsesTheCodeUpAndLeavesNothing(t *testing.T) { // VF-9
	w := newCodeWorld(t)
	l := w.codeFor("web", asking("openid", "offline_access"))
	req := of(l)
	req.Claims = func(passwordless.Login, []string) map[string]any { return map[string]any{"x": make(chan int)} }
	got, err := w.Exchange(t.Context(), w.as("web", home), req)
	require.Error(t, err)
	require.NotErrorIs(t, err, passwordless.ErrInvalidToken)
	assert.Zero(t, got)
	assert.Zero(t, w.families(l.User.ID))
	_, err = w.exchange(l)
	require.ErrorIs(t, err, passwordless.ErrReusedToken)
}

func TestWhatEndsAUsersSessionsEndsTheCodes(t *testing.T) { // AC-2, AC-3, AC-6
	blocked := func(u *passwordless.User) { u.Status = passwordless.UserBlocked }
	unblocked := func(u *passwordless.User) { u.Status = passwordless.UserActive }
	for why, c := range map[string]struct {
		do   func(w *codeWorld, id string) error
		want error // nil: an AccountError
	}{
		"signed out everywhere": {func(w *codeWorld, id string) error { return w.RevokeUser(w.t.Context(), "", id) },
			passwordless.ErrInvalidToken},
		"deleted": {func(w *codeWorld, id string) error { return w.Directory().Delete(w.t.Context(), "", id) },
			passwordless.ErrInvalidToken},
		"blocked": {func(w *codeWorld, id string) error { _, err := w.change(id, blocked); return err }, nil},
		"blocked for a moment": {func(w *codeWorld, id string) error {
			_, err := w.change(id, blocked)
			_, more := w.change(id, unblocked)
			return errors.Join(err, more)
		}, passwordless.ErrInvalidToken},
		"moved to another address": {func(w *codeWorld, id string) error {
			_, err := w.change(id, func(u *passwordless.User) { u.Email = "new@example.com" })
			return err
		}, passwordless.ErrInvalidToken},
		"address moved to another user": {func(w *codeWorld, id string) error {
			_, err := w.change(id, func(u *passwordless.User) { u.Email = "new@example.com" })
			_, more := w.Directory().Add(w.t.Context(), "", passwordless.User{Email: alice, EmailVerified: true})
			return errors.Join(err, more)
		}, passwordless.ErrInvalidToken},
		"deleted and made anew": {func(w *codeWorld, id string) error {
			err := w.Directory().Delete(w.t.Context(), "", id)
			_, more := w.Directory().Add(w.t.Context(), "", passwordless.User{ID: id, Email: alice, EmailVerified: true})
			return errors.Join(err, more)
		}, passwordless.ErrInvalidToken},
		"a first proof of another address": {func(w *codeWorld, id string) error {
			if _, err := w.change(id, func(u *passwordless.User) { u.Phone = "+46701111111" }); err != nil {
				return err
			}
			w.signInBySMS("+46701111111", passwordless.Issue{})
			w.clock.advance(-time.Hour)
			return nil
		}, passwordless.ErrInvalidToken},
	} {
		w := newCodeWorld(t)
		l := w.codeFor("web", asking("offline_access"))
		require.NoError(t, c.do(w, l.User.ID), why)
		got, err := w.exchange(l)
		assert.Zero(t, got, why)
		if c.want != nil {
			require.ErrorIs(t, err, c.want, why)
			continue
		}
		var refused *passwordless.AccountError
		require.ErrorAs(t, err, &refused, why)
		assert.Equal(t, passwordless.UserBlocked, refused.Status)
	}
}

func TestARevocationAfterTheExchangeEndsItsFamily(t *testing.T) { // AC-6
	w := newCodeWorld(t)
	l := w.codeFor("web", asking("offline_access"))
	got, err := w.exchange(l)
	require.NoError(t, err)
	require.NoError(t, w.RevokeUser(t.Context(), "", l.User.ID))
	assert.False(t, w.refreshes(got))
	next, err := w.exchange(w.codeFor("web", asking("offline_access")))
	require.NoError(t, err)
	assert.True(t, w.refreshes(next), "a new sign-in is not touched")
}

func TestCodesOfAnApplicationsUsersEndWithARevocationToo(t *testing.T) { // AC-6
	users := newTable()
	w := newCodeWorld(t, func(c *passwordless.Config) { c.Users = users })
	l := w.codeFor("web", asking("offline_access"))
	require.NoError(t, w.RevokeUser(t.Context(), "", l.User.ID))
	got, err := w.exchange(l)
	justInvalid(t, got, err, "signed out everywhere")

	l = w.codeFor("web", asking())
	id := passwordless.Identifier{Channel: passwordless.Email, Address: alice}
	for why, change := range map[string]func(*passwordless.User){"gone to another": func(u *passwordless.User) { u.ID = "u9" },
		"not proved any more": func(u *passwordless.User) { u.EmailVerified = false }} {
		was := users.all[id]
		now := was
		change(&now)
		users.all[id] = now
		got, err = w.exchange(l)
		justInvalid(t, got, err, why)
		users.all[id] = was
	}
	_, err = w.exchange(l)
	require.NoError(t, err)
}

func TestANewUserGetsACodeToo(t *testing.T) { // AC-1, SS-2
	w := newCodeWorld(t)
	first := w.codeFor("web", asking("offline_access"))
	require.True(t, first.FirstProof)
	got, err := w.exchange(first)
	require.NoError(t, err)
	assert.Equal(t, first.User.ID, got.User.ID)
	assert.True(t, got.User.EmailVerified)
	require.True(t, w.refreshes(got))
	require.NoError(t, w.RevokeUser(t.Context(), "", first.User.ID))
	assert.False(t, w.refreshes(got), "it was granted under the epoch of the first proof")
}

func TestACodeBesideASessionAndTokens(t *testing.T) { // SS-1
	w := newCodeWorld(t)
	g := asking("offline_access")
	g.Session, g.Tokens = true, offline.Tokens
	l := w.codeFor("web", g)
	require.NotNil(t, l.Session)
	require.NotNil(t, l.Tokens)
	got, err := w.exchange(l)
	require.NoError(t, err)
	assert.NotEqual(t, l.Tokens.Refresh, got.Tokens.Refresh)
	assert.Equal(t, 3, w.families(l.User.ID))
	_, err = w.exchange(l)
	require.ErrorIs(t, err, passwordless.ErrReusedToken)
	assert.Equal(t, 2, w.families(l.User.ID), "a second use ends what the code gave and nothing else")
	_, err = w.Session(t.Context(), l.Session.Token)
	require.NoError(t, err)
}

func TestACodeIsNoOtherToken(t *testing.T) { // TK-4, advisory of opaque tokens that pass for one another
	w := newCodeWorld(t)
	g := asking("offline_access")
	g.Session = true
	l := w.codeFor("web", g)
	link, caller := w.linkTo("web", passwordless.StartRequest{})
	w.clock.advance(-time.Hour)
	for name, other := range map[string]passwordless.Secret{"session": l.Session.Token, "device": l.Device, "link": link,
		"browser": caller.Browser} {
		req := of(l)
		req.Code = other
		got, err := w.Exchange(t.Context(), w.as("web", home), req)
		justInvalid(t, got, err, name)
	}
	_, err := w.Session(t.Context(), l.AuthorizationCode)
	require.ErrorIs(t, err, passwordless.ErrInvalidToken)
	_, err = w.refresh("web", l.AuthorizationCode)
	require.ErrorIs(t, err, passwordless.ErrInvalidToken)
	_, err = w.RedeemLink(t.Context(), w.as("", home), passwordless.RedeemRequest{Token: l.AuthorizationCode})
	require.ErrorIs(t, err, passwordless.ErrUnknownChallenge)
	require.NoError(t, w.Revoke(t.Context(), w.as("", home), l.AuthorizationCode))
	_, err = w.exchange(l)
	require.NoError(t, err)
}

func TestACodeLivesAsLongAsItsRingKey(t *testing.T) { // SK-3
	keys := newKeys()
	w := newCodeWorld(t, keys.into)
	kept, lost := w.codeFor("web", asking("offline_access")), w.codeFor("twin", asking())
	w.clock.advance(-time.Hour)
	was := w.world
	w.world = was.under(keys.rotated("k2"))
	got, err := w.exchange(kept)
	require.NoError(t, err)
	require.True(t, w.refreshes(got))
	w.world = was.under(keys.rotated("k3").current())
	again, err := w.exchange(lost)
	require.ErrorIs(t, err, passwordless.ErrUnavailable, "its key was removed")
	require.NotErrorIs(t, err, passwordless.ErrInvalidToken, "nobody can tell whether it is right")
	assert.Zero(t, again)
	w.world = was
	_, err = w.exchange(lost)
	require.NoError(t, err, "it costs nothing: with the key it works")
}

func TestADumpOfTheStoreHoldsNoCode(t *testing.T) { // SK-1, SK-2, SK-7, PR-2
	store, keys := &spy{}, newKeys()
	var events bytes.Buffer
	w := newCodeWorld(t, keys.into, func(c *passwordless.Config) {
		store.Store = c.Store
		c.Store = store
		c.Events = func(_ context.Context, e passwordless.Event) { fmt.Fprintf(&events, "%+v\n", e) }
	})
	l := w.codeFor("web", asking("openid", "offline_access"))
	got, err := w.exchange(l)
	require.NoError(t, err)
	_, reused := w.exchange(l)
	for name, secret := range map[string]passwordless.Secret{"code": l.AuthorizationCode, "verifier": codeVerifier,
		"refresh": got.Tokens.Refresh, "access": got.Tokens.Access, "ID": got.Tokens.ID,
		"ring key": passwordless.Secret(keys.ring[0].Secret)} {
		raw, _ := base64.RawURLEncoding.DecodeString(secret.Reveal())
		for where, text := range map[string]string{"store": store.dump.String(), "events": events.String(),
			"error": fmt.Sprint(reused)} {
			assert.NotContains(t, text, secret.Reveal(), "%s in %s", name, where)
			if len(raw) >= 32 {
				assert.NotContains(t, text, string(raw[len(raw)-32:]), "%s in %s", name, where)
				assert.NotContains(t, text, hex.EncodeToString(raw), "%s in %s", name, where)
			}
		}
	}
	assert.Contains(t, store.dump.String(), "code|", "the dump has the record")
	assert.NotContains(t, events.String(), "alice")
}

func TestCodesAndVerifiersDoNotPrint(t *testing.T) { // SK-7, PR-2, HT-4
	secret := passwordless.Secret("canary-text")
	req := passwordless.ExchangeRequest{Code: secret, Verifier: secret}
	login := passwordless.Login{AuthorizationCode: secret, Device: secret, User: passwordless.User{Email: "canary@example.com"},
		Identifier: passwordless.Identifier{Channel: passwordless.Email, Address: "canary@example.com"},
		Tokens:     &passwordless.Tokens{Refresh: secret}}
	redeem := passwordless.RedeemRequest{Token: secret, Issue: asking()}
	var out bytes.Buffer
	for _, v := range []any{req, &req, login, &login, redeem, &redeem, []any{req}, map[string]any{"k": login.AuthorizationCode}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T %[1]v"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v)
	}
	for _, v := range []any{map[string]any{"code": login.AuthorizationCode, "verifier": req.Verifier}, redeem.Token} {
		text, err := json.Marshal(v)
		require.NoError(t, err)
		out.Write(text)
	}
	for _, canary := range []string{"canary-", hex.EncodeToString([]byte("canary-")), "99 97 110 97 114 121 45"} {
		at := strings.Index(out.String(), canary)
		assert.Negative(t, at, "%q", clip(out.String(), at))
	}
	assert.NotContains(t, fmt.Sprintf("%+v", login), "canary@example.com")
}
