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
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/store/storetest"
)

// The example of RFC 7636, Appendix B, and where codes are sent.
const (
	codeVerifier  = passwordless.Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
	codeChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	callback      = "https://app.example.com/cb"
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
		{ID: "loose", Public: true, InsecureWithoutPKCE: true},
		{ID: "backend", SecretHashes: []passwordless.SecretHash{passwordless.HashSecret("s")}},
		{ID: "anywhere", SecretHashes: []passwordless.SecretHash{passwordless.HashSecret("s")}, InsecureAnyBrowser: true},
	} {
		c.RedirectURIs = []string{callback, callback + "/2"}
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
	w.world = newWorld(t, append([]func(*passwordless.Config){func(c *passwordless.Config) { c.Clients = w.clients }}, change...)...)
	return w
}

// newFaultyCodes is a codeWorld whose store can be told to fail.
func newFaultyCodes(t *testing.T, change ...func(*passwordless.Config)) (*codeWorld, *storetest.Faulty) {
	var faulty *storetest.Faulty
	w := newCodeWorld(t, append(change, func(c *passwordless.Config) {
		faulty = storetest.NewFaulty(c.Store)
		c.Store, c.Timeout = faulty, 50*time.Millisecond
	})...)
	return w, faulty
}

// asking asks for a code that a challenge binds, for tokens of these scopes.
func asking(scopes ...string) passwordless.Grant {
	return passwordless.Grant{Code: &passwordless.AuthorizationRequest{RedirectURI: callback, CodeChallenge: codeChallenge, Scopes: scopes}}
}

// unbound asks likewise for a code that no challenge binds.
func unbound(scopes ...string) passwordless.Grant {
	g := asking(scopes...)
	g.Code.CodeChallenge = ""
	return g
}

// typed signs alice in at a client with a code that she types.
func (w *codeWorld) typed(client string, g passwordless.Grant) (passwordless.Login, error) {
	w.t.Helper()
	w.clock.advance(time.Hour)
	req := byMail(home, alice)
	req.Client = client
	started, err := w.Start(w.t.Context(), req)
	require.NoError(w.t, err)
	return w.Verify(w.t.Context(), passwordless.VerifyRequest{Client: client, Handle: started.Handle, Code: w.outbox.last().Code, Caller: home, Grant: g})
}

// codeFor is such a login, which must end with a code.
func (w *codeWorld) codeFor(client string, g passwordless.Grant) passwordless.Login {
	w.t.Helper()
	l, err := w.typed(client, g)
	require.NoError(w.t, err)
	require.NotEmpty(w.t, l.Code)
	return l
}

// of is the right request for the code of a login.
func of(l passwordless.Login) passwordless.ExchangeRequest {
	return passwordless.ExchangeRequest{Client: l.Client, Code: l.Code, RedirectURI: callback, Verifier: codeVerifier}
}

// exchange makes the right request for the code of a login.
func (w *codeWorld) exchange(l passwordless.Login) (passwordless.Login, error) {
	return w.Exchange(w.t.Context(), of(l))
}

// refreshes reports whether a refresh token still works.
func (w *codeWorld) refreshes(l passwordless.Login) bool {
	_, err := w.Refresh(w.t.Context(), passwordless.RefreshRequest{Client: l.Client, Token: l.Tokens.Refresh})
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

// justInvalid asserts that a code was refused in the same words as one that never was.
func justInvalid(t testing.TB, l passwordless.Login, err error, why string) {
	t.Helper()
	assert.Equal(t, passwordless.ErrInvalidToken, err, why)
	assert.Zero(t, l, why)
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
	assert.Empty(t, got.Code)
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
	for name, age := range map[string]time.Duration{"a nanosecond before its end": time.Minute - 1, "at its end": time.Minute, "an hour later": time.Hour} {
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
	got, err := w.Exchange(t.Context(), req)
	require.NoError(t, err)
	_, id := parts(t, got.Tokens.ID)
	assert.Equal(t, map[string]any{"iss": "https://login.example.com/", "sub": "email|" + asked.User.ID, "aud": "web",
		"iat": proved + 30, "exp": proved + 630, "auth_time": proved, "nonce": "n-1", "email": alice, "email_verified": true,
		"scopes": "openid email offline_access", "amr": []any{"email", "otp"}}, id)
	access, err := w.VerifyAccessToken(got.Tokens.Access, "https://api.example.com")
	require.NoError(t, err)
	assert.Equal(t, int64(proved), access.AuthTime.Unix())
	assert.Equal(t, "web", access.Client)
	assert.Equal(t, g.Code.Scopes, access.Scopes)
	assert.Equal(t, asked.At, got.At)
	assert.Equal(t, asked.User.ID, got.User.ID)
	assert.Equal(t, asked.Identifier, got.Identifier)
	assert.Equal(t, passwordless.ByCode, got.Method)
	assert.Equal(t, callback, got.RedirectURI)

	w.clock.advance(24 * time.Hour)
	tokens, err := w.Refresh(t.Context(), passwordless.RefreshRequest{Client: "web", Token: got.Tokens.Refresh})
	require.NoError(t, err)
	_, id = parts(t, tokens.ID)
	assert.InDelta(t, proved, id["auth_time"], 0, "unchanged by a refresh")
	assert.InDelta(t, proved+30+24*3600, id["iat"], 0)
	assert.NotContains(t, id, "nonce")
	access, err = w.VerifyAccessToken(tokens.Access, "https://api.example.com")
	require.NoError(t, err)
	assert.Equal(t, int64(proved), access.AuthTime.Unix())
	w.clock.advance(13 * 24 * time.Hour)
	got.Tokens = &tokens
	require.True(t, w.refreshes(got))
}

func TestTheFamilyOfACodeEndsAtTheAbsoluteTimeOfTheProof(t *testing.T) { // SS-2, TK-10
	w := newCodeWorld(t, func(c *passwordless.Config) {
		c.Policy.Session = passwordless.SessionPolicy{Idle: 10 * time.Minute, Absolute: 10 * time.Minute}
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
		_, err = w.VerifyAccessToken(got.Tokens.Access, "")
		require.NoError(t, err, "the default audience is the issuer")
	}
}

func TestOfParallelExchangesOneWins(t *testing.T) { // TK-12, SK-4
	w := newCodeWorld(t)
	services := []*passwordless.Service{w.Service, w.second().Service}
	l := w.codeFor("web", asking("offline_access"))
	w.events.types()
	var mu sync.Mutex // guards won
	var won []passwordless.Login
	var group sync.WaitGroup
	start := make(chan struct{})
	for i := range 64 {
		group.Go(func() {
			<-start
			got, err := services[i%2].Exchange(t.Context(), of(l))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won = append(won, got)
				return
			}
			assert.ErrorIs(t, err, passwordless.ErrReusedToken)
		})
	}
	close(start)
	group.Wait()
	require.Len(t, won, 1)
	assert.False(t, w.refreshes(won[0]), "whoever else has the code is a thief, or the winner is")
	assert.Zero(t, w.families(l.User.ID))
	count := map[passwordless.EventType]int{}
	for _, e := range w.events.types() {
		count[e]++
	}
	assert.Equal(t, map[passwordless.EventType]int{passwordless.EventTokenCreated: 1, passwordless.EventTokenReuse: 63, passwordless.EventRevoked: 1},
		withoutFailed(count))
}

func TestOfTwoExchangesThatBothSawTheCodeOneWins(t *testing.T) { // TK-12: the code is used up by a conditional write
	w, faulty := newFaultyCodes(t)
	l := w.codeFor("web", asking("offline_access"))
	var won passwordless.Login
	faulty.Spoil(storetest.Commit, 1, func(_ context.Context, call func() error) error {
		var err error
		won, err = w.exchange(l)
		require.NoError(t, err)
		return call()
	})
	_, err := w.exchange(l)
	require.ErrorIs(t, err, passwordless.ErrReusedToken)
	assert.False(t, w.refreshes(won))
	assert.Zero(t, w.families(l.User.ID))
}

func TestARevocationDuringAnExchangeEndsItsFamily(t *testing.T) { // AC-6
	w, faulty := newFaultyCodes(t)
	for _, method := range []storetest.Method{storetest.Load, storetest.Commit} {
		for trip := 1; trip <= 3; trip++ {
			l := w.codeFor("web", asking("offline_access"))
			faulty.Spoil(method, trip, func(_ context.Context, call func() error) error {
				require.NoError(t, w.RevokeUser(t.Context(), "", l.User.ID))
				return call()
			})
			got, err := w.exchange(l)
			faulty.Heal()
			if err != nil {
				justInvalid(t, got, err, "seen in time")
				continue
			}
			revoked := method != storetest.Commit || trip == 1 // later trips are not made
			assert.Equal(t, !revoked, w.refreshes(got), "%v %d", method, trip)
		}
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
				l, err := w.Verify(t.Context(), passwordless.VerifyRequest{Client: "web", Handle: started.Handle, Code: passwordless.Secret(code), Caller: home, Grant: g})
				faulty.Heal()
				what := fmt.Sprintf("%+v, %v %d", c, method, trip)
				switch {
				case !made:
					require.NoError(t, err, what)
				case err != nil:
					require.ErrorIs(t, err, passwordless.ErrWrongSecret, what)
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

// withoutFailed leaves out the refusal of the refresh that a test made itself.
func withoutFailed(count map[passwordless.EventType]int) map[passwordless.EventType]int {
	delete(count, passwordless.EventLoginFailed)
	return count
}

// others are requests for a code of the client "web" that are not the right one, and why.
func others(l passwordless.Login) map[string]passwordless.ExchangeRequest {
	all := map[string]passwordless.ExchangeRequest{}
	change := func(why string, f func(*passwordless.ExchangeRequest)) {
		r := of(l)
		f(&r)
		all[why] = r
	}
	for _, id := range []string{"twin", "backend", "loose"} {
		change("another client, "+id, func(r *passwordless.ExchangeRequest) { r.Client = id })
	}
	for why, uri := range map[string]string{"none": "", "another registered one": callback + "/2", "a prefix": callback[:len(callback)-1],
		"a longer one": callback + "/", "a query": callback + "?", "a port": "https://app.example.com:443/cb", "another case": "https://APP.example.com/cb",
		"http": "http://app.example.com/cb", "user information": "https://x@app.example.com/cb", "a fragment": callback + "#",
		"an escape": "https://app.example.com/%63b", "dots": "https://app.example.com/x/../cb", "a space": callback + " ", "another's": "https://evil.example/cb"} {
		change("redirect URI: "+why, func(r *passwordless.ExchangeRequest) { r.RedirectURI = uri })
	}
	for why, v := range map[string]passwordless.Secret{"none": "", "the challenge itself (plain)": codeChallenge, "another": altered(codeVerifier),
		"cut short": codeVerifier[:42], "longer": codeVerifier + "A", "padded": codeVerifier + "=", "a space": codeVerifier + " "} {
		change("verifier: "+why, func(r *passwordless.ExchangeRequest) { r.Verifier = v })
	}
	return all
}

func TestOnlyTheRightRequestExchangesACode(t *testing.T) { // TK-12, TK-13, LK-9, BD-3, CA-4
	w := newCodeWorld(t)
	l := w.codeFor("web", asking("offline_access"))
	w.events.types()
	for why, req := range others(l) {
		got, err := w.Exchange(t.Context(), req)
		justInvalid(t, got, err, why)
	}
	_, err := w.Exchange(t.Context(), passwordless.ExchangeRequest{Client: "nobody", Code: l.Code, RedirectURI: callback, Verifier: codeVerifier})
	require.ErrorIs(t, err, passwordless.ErrUnknownClient)
	assert.Empty(t, w.events.types())
	got, err := w.exchange(l)
	require.NoError(t, err, "nothing was used up")

	w.events.types()
	for why, req := range others(l) {
		again, err := w.Exchange(t.Context(), req)
		justInvalid(t, again, err, "used before; "+why)
	}
	assert.Empty(t, w.events.types(), "a second use by another tells nothing and revokes nothing")
	assert.True(t, w.refreshes(got))
}

func TestACodeIsAskedForWithS256OrNotAtAll(t *testing.T) { // TK-13
	w := newCodeWorld(t)
	for why, challenge := range map[string]string{
		"the verifier as plain": strings.Repeat("a", 44), "a short one": codeChallenge[:42], "a long one": codeChallenge + "A", "padding": codeChallenge + "=",
		"the other base64": strings.Replace(codeChallenge, "-", "+", 1), "in hex": strings.Repeat("0f", 32), "a space": codeChallenge[:42] + " ",
		"stray last bits": codeChallenge[:42] + "N",
		"line ends":       strings.Repeat("\n", 43),
	} {
		assert.False(t, passwordless.ValidCodeChallenge(challenge), why)
		for client := range w.clients {
			g := asking()
			g.Code.CodeChallenge = challenge
			_, err := w.typed(client, g)
			var bad *passwordless.InputError
			require.ErrorAs(t, err, &bad, "%s: %s", client, why)
			assert.Equal(t, "CodeChallenge", bad.Field)
		}
	}
	assert.True(t, passwordless.ValidCodeChallenge(codeChallenge))
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
		got, err := w.Exchange(t.Context(), req)
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
		_, err := w.Verify(t.Context(), passwordless.VerifyRequest{Client: "web", Handle: started.Handle, Code: passwordless.Secret(code), Caller: home, Grant: g})
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
	less.RedirectURIs = []string{callback + "/2"}
	w.clients["web"] = less
	_, err := w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: link, Caller: caller, Grant: asking()})
	require.ErrorAs(t, err, new(*passwordless.InputError))
	got, err := w.exchange(l)
	justInvalid(t, got, err, "taken from the list after the code was given")
	w.clients["web"] = whole
	_, err = w.exchange(l)
	require.NoError(t, err, "the code was not used up")

	link, caller = w.linkTo("web", passwordless.StartRequest{RedirectURI: callback})
	w.clients["web"] = less
	_, err = w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: link, Caller: caller, Grant: asking()})
	require.ErrorAs(t, err, new(*passwordless.InputError))
	w.clients["web"] = whole
	_, err = w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: link, Caller: caller, Grant: asking()})
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
	_, err := w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: link, Caller: caller, Grant: elsewhere})
	refused(err)
	l, err := w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: link, Caller: caller, Grant: asking()})
	require.NoError(t, err, "the link was not used up")
	_, err = w.exchange(l)
	require.NoError(t, err)

	w.clock.advance(time.Hour)
	req := byMail(home, alice)
	req.RedirectURI = callback
	started, err := w.Start(t.Context(), req)
	require.NoError(t, err)
	typed := passwordless.VerifyRequest{Client: "web", Handle: started.Handle, Code: w.outbox.last().Code, Caller: home, Grant: elsewhere}
	for range 10 {
		_, err = w.Verify(t.Context(), typed)
		refused(err)
	}
	typed.Grant = asking()
	_, err = w.Verify(t.Context(), typed)
	require.NoError(t, err, "nor was the code that was typed, nor an attempt")

	link, caller = w.linkTo("web", passwordless.StartRequest{})
	_, err = w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: link, Caller: caller, Grant: elsewhere})
	require.NoError(t, err, "a start that names no place leaves it to the finish")
}

// linkTo starts a sign-in of alice by link and returns the link's token and the browser that asked.
func (w *codeWorld) linkTo(client string, req passwordless.StartRequest) (passwordless.Secret, passwordless.Caller) {
	w.t.Helper()
	w.clock.advance(time.Hour)
	req.Client, req.Channel, req.Address, req.Send, req.Caller = client, passwordless.Email, alice, passwordless.SendLink, home
	started, err := w.Start(w.t.Context(), req)
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
	got, err := w.Exchange(t.Context(), req)
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
		"signed out everywhere": {func(w *codeWorld, id string) error { return w.RevokeUser(w.t.Context(), "", id) }, passwordless.ErrInvalidToken},
		"deleted":               {func(w *codeWorld, id string) error { return w.Directory().Delete(w.t.Context(), "", id) }, passwordless.ErrInvalidToken},
		"blocked":               {func(w *codeWorld, id string) error { _, err := w.change(id, blocked); return err }, nil},
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
			w.signInBySMS("+46701111111", passwordless.Grant{})
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

func TestCodesOfAnApplicationsUsersHeedRevocationsToo(t *testing.T) { // AC-6
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

// someFaults are what can happen to a call of the store, by name.
func someFaults() map[string]storetest.Fault {
	return map[string]storetest.Fault{"unavailable": storetest.Unavailable(), "lost request": storetest.LostRequest(),
		"lost answer": storetest.LostAnswer(), "hanging": storetest.Hang(), "failing": storetest.Fail(errBroken)}
}

func TestAFailingStoreIsNeverAnExchange(t *testing.T) { // VF-12
	w, faulty := newFaultyCodes(t)
	w.codeFor("web", asking())
	for name, fault := range someFaults() {
		for _, method := range []storetest.Method{storetest.Load, storetest.Commit} {
			for trip := 1; trip <= 5; trip++ {
				l := w.codeFor("web", asking("openid", "offline_access"))
				before := w.families(l.User.ID)
				faulty.Spoil(method, trip, fault)
				got, err := w.exchange(l)
				faulty.Heal()
				what := fmt.Sprint(name, " ", method, " ", trip)
				if err != nil {
					assert.True(t, typed(err), "%s: %v", what, err)
					assert.Zero(t, got, what)
					assert.Equal(t, before, w.families(l.User.ID), what)
					got, err = w.exchange(l)
				}
				require.NoError(t, err, "%s: nothing was used up without an answer", what)
				require.True(t, w.refreshes(got), what)
				require.Equal(t, before+1, w.families(l.User.ID), what)
				require.NoError(t, w.Revoke(t.Context(), passwordless.RevokeRequest{Token: got.Tokens.Refresh}))
			}
		}
	}
}

func TestAStoreThatIsDownExchangesNothing(t *testing.T) { // VF-12
	for name, fault := range someFaults() {
		for _, method := range []storetest.Method{storetest.Load, storetest.Commit} {
			w, faulty := newFaultyCodes(t)
			l := w.codeFor("web", asking("offline_access"))
			faulty.SpoilAll(method, fault)
			got, err := w.exchange(l)
			if name == "lost answer" && method == storetest.Commit {
				require.NoError(t, err, "the record tells that it was applied")
				continue
			}
			require.Error(t, err)
			assert.True(t, typed(err), "%v", err)
			assert.Zero(t, got)
		}
	}
}

func TestALostAnswerDoesNotLoseTheExchange(t *testing.T) { // SK-4
	for lost := 1; lost <= 3; lost++ {
		w, faulty := newFaultyCodes(t)
		l := w.codeFor("web", asking("offline_access"))
		for n := range lost {
			faulty.Spoil(storetest.Commit, n+1, storetest.LostAnswer())
		}
		got, err := w.exchange(l)
		require.NoError(t, err, "%d answers lost: the commit is found applied", lost)
		require.Equal(t, 1, w.families(l.User.ID))
		require.True(t, w.refreshes(got))
		_, err = w.exchange(l)
		require.ErrorIs(t, err, passwordless.ErrReusedToken)
		require.False(t, w.refreshes(got))
	}
}

func TestACancelledExchangeLeavesNothing(t *testing.T) { // HT-9
	w, faulty := newFaultyCodes(t)
	for trip := 1; trip <= 5; trip++ {
		for _, method := range []storetest.Method{storetest.Load, storetest.Commit} {
			l := w.codeFor("web", asking("offline_access"))
			before := w.families(l.User.ID)
			ctx, cancel := context.WithCancel(t.Context())
			faulty.Spoil(method, trip, func(ctx context.Context, call func() error) error {
				cancel()
				return storetest.Hang()(ctx, call)
			})
			got, err := w.Exchange(ctx, of(l))
			cancel()
			faulty.Heal()
			if err == nil {
				continue // that trip was not made
			}
			require.ErrorIs(t, err, context.Canceled)
			assert.Zero(t, got)
			assert.Equal(t, before, w.families(l.User.ID))
			_, err = w.exchange(l)
			require.NoError(t, err, "the code was not used up")
		}
	}
}

func TestAnExchangeWhoseCallerLeftIsUsedUpAtMost(t *testing.T) { // HT-9: committed, and nobody waits for the answer
	w, faulty := newFaultyCodes(t)
	l := w.codeFor("web", asking("offline_access"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	faulty.Spoil(storetest.Commit, 1, func(ctx context.Context, call func() error) error {
		err := storetest.LostAnswer()(ctx, call)
		cancel()
		return err
	})
	got, err := w.Exchange(ctx, of(l))
	require.ErrorIs(t, err, passwordless.ErrUncertain)
	assert.Zero(t, got)
	_, err = w.exchange(l)
	require.ErrorIs(t, err, passwordless.ErrReusedToken, "the next try ends the family of which nobody has a token")
	assert.Zero(t, w.families(l.User.ID))
}

func TestASecondUseDoesNotWaitForEver(t *testing.T) { // HT-9
	w, faulty := newFaultyCodes(t)
	l := w.codeFor("web", asking("offline_access"))
	got, err := w.exchange(l)
	require.NoError(t, err)
	faulty.Spoil(storetest.Load, 2, storetest.Hang())
	_, err = w.exchange(l)
	require.ErrorIs(t, err, passwordless.ErrReusedToken)
	require.ErrorIs(t, err, context.DeadlineExceeded, "it is told that the family may live")

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	faulty.Spoil(storetest.Load, 1, func(_ context.Context, call func() error) error {
		defer cancel()
		return call()
	})
	_, err = w.Exchange(ctx, of(l))
	require.ErrorIs(t, err, passwordless.ErrReusedToken)
	assert.False(t, w.refreshes(got), "a thief who hangs up does not stop the revocation")
}

func TestTripsOfAnExchange(t *testing.T) { // numbers a person waits for
	for name, c := range map[string]struct {
		users passwordless.Users
		trips int
	}{"the application's users": {proved{}, 3}, "built-in directory": {nil, 4}} {
		w, faulty := newFaultyCodes(t)
		w.cfg.Users = c.users
		w.Service = newService(t, w.cfg)
		l := w.codeFor("web", asking("openid", "offline_access"))
		before := faulty.Trips()
		_, err := w.exchange(l)
		require.NoError(t, err)
		made := faulty.Trips().Sub(before)
		assert.Equal(t, c.trips, made.Loads+made.Commits, name)
	}
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

func TestALinkEndsWithACodeToo(t *testing.T) { // LK-1, TK-16
	w := newCodeWorld(t)
	for _, client := range []string{"web", "backend"} {
		link, caller := w.linkTo(client, passwordless.StartRequest{RedirectURI: callback, State: "s"})
		l, err := w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: link, Caller: caller, Grant: asking("openid")})
		require.NoError(t, err)
		assert.Equal(t, "s", l.State)
		got, err := w.exchange(l)
		require.NoError(t, err)
		assert.Equal(t, passwordless.ByLink, got.Method)
		_, id := parts(t, got.Tokens.ID)
		assert.Equal(t, []any{"email"}, id["amr"])
	}
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
	for name, other := range map[string]passwordless.Secret{"session": l.Session.Token, "device": l.Device, "link": link, "browser": caller.Browser} {
		req := of(l)
		req.Code = other
		got, err := w.Exchange(t.Context(), req)
		justInvalid(t, got, err, name)
	}
	_, err := w.Session(t.Context(), l.Code)
	require.ErrorIs(t, err, passwordless.ErrInvalidToken)
	_, err = w.Refresh(t.Context(), passwordless.RefreshRequest{Client: "web", Token: l.Code})
	require.ErrorIs(t, err, passwordless.ErrInvalidToken)
	_, err = w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: l.Code, Caller: home})
	require.ErrorIs(t, err, passwordless.ErrUnknownChallenge)
	require.NoError(t, w.Revoke(t.Context(), passwordless.RevokeRequest{Token: l.Code}))
	_, err = w.exchange(l)
	require.NoError(t, err)
}

func TestAChangedCodeIsNotExchanged(t *testing.T) { // TK-12; truncated and re-encoded tokens
	w := newCodeWorld(t)
	l := w.codeFor("web", asking("offline_access"))
	text := l.Code.Reveal()
	require.Len(t, text, 64)
	raw, err := base64.RawURLEncoding.DecodeString(text)
	require.NoError(t, err)
	changed := []string{"", text + "A", text + "=", text + "\n", " " + text, text + text, "%" + text[1:], strings.ToUpper(text), strings.ToLower(text),
		strings.Repeat("\n", 64), strings.Repeat("\r\n", 32), text[:60] + "\n\n\n\n", hex.EncodeToString(raw), base64.StdEncoding.EncodeToString(raw) + "=", base64.RawURLEncoding.EncodeToString(append(raw, 0))}
	for n := range text {
		changed = append(changed, text[:n], text[n:]+"\x00")
		for _, c := range "Az-_=\n+/ \x00é" {
			changed = append(changed, text[:n]+string(c)+text[n+1:])
		}
	}
	for i := range raw {
		for bit := range 8 {
			flipped := bytes.Clone(raw)
			flipped[i] ^= 1 << bit
			changed = append(changed, base64.RawURLEncoding.EncodeToString(flipped))
		}
	}
	for _, code := range changed {
		if code == text {
			continue
		}
		req := of(l)
		req.Code = passwordless.Secret(code)
		got, err := w.Exchange(t.Context(), req)
		justInvalid(t, got, err, fmt.Sprintf("%q", code))
	}
	_, err = w.exchange(l)
	require.NoError(t, err, "and none of them used it up")
}

func TestACodeLivesAsLongAsItsRingKey(t *testing.T) { // SK-3
	w := newCodeWorld(t)
	kept, lost := w.codeFor("web", asking("offline_access")), w.codeFor("twin", asking())
	w.clock.advance(-time.Hour)
	rotated := w.cfg
	rotated.Keys = append([]passwordless.RingKey{{ID: "k2", Secret: passwordless.RandomKey()}}, w.cfg.Keys...)
	w.Service = newService(t, rotated)
	got, err := w.exchange(kept)
	require.NoError(t, err)
	require.True(t, w.refreshes(got))
	rotated.Keys = rotated.Keys[:1]
	w.Service = newService(t, rotated)
	again, err := w.exchange(lost)
	justInvalid(t, again, err, "its key was removed")
}

func TestADumpOfTheStoreHoldsNoCode(t *testing.T) { // SK-1, SK-2, SK-7, PR-2
	store := &spy{}
	var events bytes.Buffer
	w := newCodeWorld(t, func(c *passwordless.Config) {
		store.Store = c.Store
		c.Store = store
		c.Events = func(_ context.Context, e passwordless.Event) { fmt.Fprintf(&events, "%+v\n", e) }
	})
	l := w.codeFor("web", asking("openid", "offline_access"))
	got, err := w.exchange(l)
	require.NoError(t, err)
	_, reused := w.exchange(l)
	for name, secret := range map[string]passwordless.Secret{"code": l.Code, "verifier": codeVerifier, "refresh": got.Tokens.Refresh, "access": got.Tokens.Access,
		"ID": got.Tokens.ID, "ring key": passwordless.Secret(w.cfg.Keys[0].Secret)} {
		raw, _ := base64.RawURLEncoding.DecodeString(secret.Reveal())
		for where, text := range map[string]string{"store": store.dump.String(), "events": events.String(), "error": fmt.Sprint(reused)} {
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
	login := passwordless.Login{Code: secret, Device: secret, User: passwordless.User{Email: "canary@example.com"},
		Identifier: passwordless.Identifier{Channel: passwordless.Email, Address: "canary@example.com"}, Tokens: &passwordless.Tokens{Refresh: secret}}
	redeem := passwordless.RedeemRequest{Token: secret, Grant: asking()}
	var out bytes.Buffer
	for _, v := range []any{req, &req, login, &login, redeem, &redeem, []any{req}, map[string]any{"k": login.Code}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T %[1]v"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v)
	}
	for _, v := range []any{map[string]any{"code": login.Code, "verifier": req.Verifier}, redeem.Token} {
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

// An anyBrowserCase says how a link begins and ends that is opened in a browser that did not ask for it.
type anyBrowserCase struct {
	client   string
	policy   passwordless.BrowserPolicy
	state    string
	grant    passwordless.Grant
	finishes bool
}

func anyBrowserCases() map[string]anyBrowserCase {
	code, bound := unbound("openid"), asking("openid")
	beside := func(change func(*passwordless.Grant)) passwordless.Grant {
		g := asking("openid")
		change(&g)
		return g
	}
	withSession := beside(func(g *passwordless.Grant) { g.Session = true })
	withTokens := beside(func(g *passwordless.Grant) { g.Tokens = &passwordless.TokenRequest{Scopes: []string{"openid"}} })
	insecure := passwordless.InsecureAnyBrowser
	return map[string]anyBrowserCase{
		"a state":                            {"anywhere", 0, "s", code, true},
		"a challenge":                        {"anywhere", 0, "", bound, true},
		"both":                               {"anywhere", 0, "s", bound, true},
		"neither":                            {"anywhere", 0, "", code, false},
		"a session beside the code":          {"anywhere", 0, "s", withSession, false},
		"tokens beside the code":             {"anywhere", 0, "s", withTokens, false},
		"a session and no code":              {"anywhere", 0, "s", session, false},
		"tokens and no code":                 {"anywhere", 0, "s", openid, false},
		"nothing at all":                     {"anywhere", 0, "s", passwordless.Grant{}, false},
		"a client that does not allow it":    {"backend", 0, "s", bound, false},
		"a public client that does not":      {"web", 0, "s", bound, false},
		"a policy of any browser":            {"backend", insecure, "", code, true},
		"the policy, and a session":          {"backend", insecure, "", session, true},
		"the policy, and a client like that": {"anywhere", insecure, "", code, true},
	}
}

func TestWhereALinkFinishesElsewhere(t *testing.T) { // BD-4, BD-5
	for why, c := range anyBrowserCases() {
		w := newCodeWorld(t, func(cfg *passwordless.Config) { cfg.Policy.Browser = c.policy })
		link, caller := w.linkTo(c.client, passwordless.StartRequest{RedirectURI: callback, State: c.state})
		info, err := w.PeekLink(t.Context(), link, attacker)
		require.NoError(t, err, why)
		assert.Equal(t, c.policy == passwordless.InsecureAnyBrowser, info.SameBrowser, why)
		l, err := w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: link, Caller: attacker, Grant: c.grant})
		if c.finishes {
			require.NoError(t, err, why)
			assert.Equal(t, c.state, l.State, why)
			continue
		}
		var other *passwordless.OtherBrowserError
		require.ErrorAs(t, err, &other, why)
		assert.Zero(t, l, why)
		assert.Len(t, other.Code, 6, "%s: a code to type", why)
		l, err = w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: link, Caller: caller, Grant: c.grant})
		require.NoError(t, err, "%s: where it was asked for it finishes", why)
		assert.Equal(t, c.state, l.State, why)
	}
}

func TestTheCodeToTypeEndsWithACode(t *testing.T) { // BD-5
	w := newCodeWorld(t)
	w.clock.advance(time.Hour)
	req := byMail(home, alice)
	req.Client, req.Send = "anywhere", passwordless.SendLink
	started, err := w.Start(t.Context(), req)
	require.NoError(t, err)
	_, err = w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: param(t, w.outbox.last().Link), Caller: attacker, Grant: unbound()})
	var other *passwordless.OtherBrowserError
	require.ErrorAs(t, err, &other)
	l, err := w.Verify(t.Context(), passwordless.VerifyRequest{Client: "anywhere", Handle: started.Handle, Code: other.Code, Caller: home, Grant: unbound()})
	require.NoError(t, err)
	r := of(l)
	r.Verifier = ""
	_, err = w.Exchange(t.Context(), r)
	require.NoError(t, err)
}

const linkURL = "https://login.example.com/passwordless/verify_redirect"

func TestALinkOpensWhereItLeads(t *testing.T) { // LK-4, LK-9
	w := newCodeWorld(t)
	for _, bound := range []string{"", linkURL, "http://localhost:8080/cb", "http://127.0.0.1/x", "http://[::1]:1/x"} {
		link, caller := w.linkTo("web", passwordless.StartRequest{LinkURL: bound, Params: "p"})
		m := w.outbox.last()
		where := bound
		if bound == "" {
			where = "https://login.example.com/link"
		}
		assert.True(t, strings.HasPrefix(m.Link.Reveal(), where+"?t="), m.Link.Reveal())
		assert.True(t, strings.HasPrefix(m.Cancel.Reveal(), "https://login.example.com/cancel?t="), "to cancel is a matter of the pages")
		info, err := w.PeekLink(t.Context(), link, caller)
		require.NoError(t, err)
		assert.Equal(t, bound, info.LinkURL)
		assert.Equal(t, "p", info.Params)
		w.events.types()
		for _, elsewhere := range []string{"", linkURL, linkURL + "/", linkURL[:len(linkURL)-1], where, "https://evil.example/"} {
			if elsewhere == bound {
				continue
			}
			_, err := w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: link, LinkURL: elsewhere, Caller: caller, Grant: asking()})
			require.ErrorIs(t, err, passwordless.ErrWrongSecret, elsewhere)
			_, err = w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: link, LinkURL: elsewhere, Caller: attacker, Grant: asking()})
			require.ErrorIs(t, err, passwordless.ErrWrongSecret, "%s: nor is there a code to type", elsewhere)
		}
		l, err := w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: link, LinkURL: bound, Caller: caller, Grant: asking()})
		require.NoError(t, err, "it was not used up")
		assert.Equal(t, "p", l.Params)
		_, err = w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: link, LinkURL: bound, Caller: caller, Grant: asking()})
		require.ErrorIs(t, err, passwordless.ErrConsumed)
		_, err = w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: link, LinkURL: "https://evil.example/", Caller: caller})
		require.ErrorIs(t, err, passwordless.ErrWrongSecret, "elsewhere it is not told that it was right once")
	}
}

func TestALinkKeepsItsPlaceInAResend(t *testing.T) { // LK-4
	for _, policy := range []passwordless.ResendPolicy{passwordless.RepeatSecret, passwordless.ReplaceSecret} {
		w := newCodeWorld(t, func(c *passwordless.Config) { c.Policy.Resend = policy })
		req := byMail(home, alice)
		req.Send, req.LinkURL, req.Params = passwordless.SendBoth, linkURL, "p"
		started, err := w.Start(t.Context(), req)
		require.NoError(t, err)
		w.clock.advance(time.Minute)
		_, err = w.Resend(t.Context(), passwordless.ResendRequest{Client: "web", Handle: started.Handle, Caller: home})
		require.NoError(t, err)
		assert.True(t, strings.HasPrefix(w.outbox.last().Link.Reveal(), linkURL+"?t="))
		caller := home
		caller.Browser = started.Browser
		l, err := w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: param(t, w.outbox.last().Link), LinkURL: linkURL, Caller: caller})
		require.NoError(t, err)
		assert.Equal(t, "p", l.Params)
	}
}

func TestThisWasNotMeOfALinkThatLeadsElsewhere(t *testing.T) {
	w := newCodeWorld(t)
	link, caller := w.linkTo("web", passwordless.StartRequest{LinkURL: linkURL})
	cancel := param(t, w.outbox.last().Cancel)
	info, err := w.PeekLink(t.Context(), cancel, attacker)
	require.NoError(t, err)
	assert.Equal(t, linkURL, info.LinkURL)
	require.NoError(t, w.Cancel(t.Context(), cancel, attacker))
	_, err = w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: link, LinkURL: linkURL, Caller: caller})
	require.ErrorIs(t, err, passwordless.ErrCancelled)
}

func TestATypedCodeDoesNotDependOnWhereTheLinkLeads(t *testing.T) {
	w := newCodeWorld(t)
	req := byMail(home, alice)
	req.Send, req.LinkURL, req.Params = passwordless.SendBoth, linkURL, "p"
	started, err := w.Start(t.Context(), req)
	require.NoError(t, err)
	l, err := w.guess(started.Handle, w.outbox.last().Code.Reveal())
	require.NoError(t, err)
	assert.Equal(t, "p", l.Params)
}

func TestWhereALinkCannotLead(t *testing.T) { // LK-4, LK-5, LK-12
	w := newCodeWorld(t)
	for _, hostile := range []string{"x", "/relative", "//evil.example/x", "http://login.example.com/x", "ftp://login.example.com/", "javascript:alert(1)",
		"https:evil.example", "https://", "https:///x", linkURL + "?", linkURL + "?a=b", linkURL + "#", linkURL + "#x", "https://user@login.example.com/",
		"https://a:b@login.example.com/", `https://login.example.com\@evil.example/`, `https://login.example.com/\x`, linkURL + " ", " " + linkURL, linkURL + "\n",
		linkURL + "\r\nX: y", linkURL + "\x00", "HTTPS://login.example.com/", "https://LOGIN.example.com/", "https://login.example.com/../x",
		"https://login.example.com/%zz", "https://ex＠mple.com/", "https://é.example/", "http://localhost.evil.example/", "http://127.0.0.1.evil.example/",
		"http://2130706433/", "http://0x7f.1/", "com.example.app:/x", "https://login.example.com:99999/", linkURL + strings.Repeat("x", 2048)} {
		req := byMail(home, alice)
		req.Send, req.LinkURL = passwordless.SendLink, hostile
		_, err := w.Start(t.Context(), req)
		var bad *passwordless.InputError
		require.ErrorAs(t, err, &bad, "%q", hostile)
		assert.Equal(t, "LinkURL", bad.Field)
		assert.NotContains(t, err.Error(), "evil")
	}
	assert.Empty(t, w.outbox.messages())
}

func TestStateAndParamsReturnAsTheyWere(t *testing.T) { // BD-9
	w := newCodeWorld(t)
	var every strings.Builder
	for i := range 4096 {
		every.WriteByte(byte(i * 7))
	}
	bytes4k := every.String()
	for _, c := range []struct{ state, params string }{{"", ""}, {"s", ""}, {"", "p"}, {bytes4k[:2048], bytes4k}, {"\x00", "\xff\xfe"}, {" a+b%20&=é\r\n", `{"a":"\u0000"}`}} {
		for _, bound := range []string{"", linkURL} {
			link, caller := w.linkTo("web", passwordless.StartRequest{RedirectURI: callback, State: c.state, Params: c.params, LinkURL: bound})
			info, err := w.PeekLink(t.Context(), link, caller)
			require.NoError(t, err)
			assert.Equal(t, passwordless.LinkInfo{Client: "web", AppName: "Example", Address: "a***@example.com", SameBrowser: true,
				RedirectURI: callback, State: c.state, Params: c.params, LinkURL: bound}, info)
			l, err := w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: link, LinkURL: bound, Caller: caller})
			require.NoError(t, err)
			assert.Equal(t, c, struct{ state, params string }{l.State, l.Params})
		}
	}
	for field, req := range map[string]passwordless.StartRequest{"State": {State: bytes4k[:2049]}, "Params": {Params: bytes4k + "x"}} {
		req.Client, req.Channel, req.Address, req.Caller = "web", passwordless.Email, alice, home
		_, err := w.Start(t.Context(), req)
		var bad *passwordless.InputError
		require.ErrorAs(t, err, &bad)
		assert.Equal(t, field, bad.Field)
	}
}

func TestAStartForAnotherPlaceIsNoRepetition(t *testing.T) { // BD-9, RL-21
	w := newCodeWorld(t, unlimited)
	req := byMail(inBrowser(home), alice)
	req.Send, req.Params, req.LinkURL = passwordless.SendLink, "first", linkURL
	first, err := w.Start(t.Context(), req)
	require.NoError(t, err)
	again, err := w.Start(t.Context(), req)
	require.NoError(t, err)
	assert.Equal(t, first.Handle, again.Handle)
	require.Len(t, w.outbox.messages(), 1)
	for name, change := range map[string]func(*passwordless.StartRequest){
		"params": func(r *passwordless.StartRequest) { r.Params = "second" }, "no params": func(r *passwordless.StartRequest) { r.Params = "" },
		"place": func(r *passwordless.StartRequest) { r.LinkURL += "/2" }, "no place": func(r *passwordless.StartRequest) { r.LinkURL = "" },
		"joined otherwise": func(r *passwordless.StartRequest) { r.State, r.Params = "f", "irst" },
	} {
		other := req
		change(&other)
		w.clock.advance(time.Second) // the first proof ends what began before it
		started, err := w.Start(t.Context(), other)
		require.NoError(t, err)
		assert.NotEqual(t, first.Handle, started.Handle, name)
		l, err := w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: param(t, w.outbox.last().Link), LinkURL: other.LinkURL, Caller: inBrowser(home)})
		require.NoError(t, err)
		assert.Equal(t, other.Params, l.Params, name)
	}
}
