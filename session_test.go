package passwordless_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
)

func TestASessionLivesWhileItIsUsed(t *testing.T) { // SS-2
	w := newWorld(t)
	ctx := t.Context()
	token := w.signIn(alice, session).Session.Token
	for range 4 {
		w.clock.advance(7 * 24 * time.Hour)
		_, err := w.Session(ctx, token)
		require.NoError(t, err)
	}
	w.clock.advance(2*24*time.Hour - 1)
	_, err := w.Session(ctx, token)
	require.NoError(t, err, "a nanosecond before its absolute end")
	w.clock.advance(1)
	_, err = w.Session(ctx, token)
	require.ErrorIs(t, err, passwordless.ErrInvalidToken)

	idle := w.signIn(alice, session).Session.Token
	w.clock.advance(14 * 24 * time.Hour)
	_, err = w.Session(ctx, idle)
	require.ErrorIs(t, err, passwordless.ErrInvalidToken, "not used for the idle time")
}

func TestASessionTokenIsNoRefreshToken(t *testing.T) { // TK-4
	w := newWorld(t)
	l := w.signIn(alice, passwordless.Issue{Session: true, Tokens: offline.Tokens})
	_, err := w.refresh("web", l.Session.Token)
	require.ErrorIs(t, err, passwordless.ErrInvalidToken)
	_, err = w.Session(t.Context(), l.Tokens.Refresh)
	require.ErrorIs(t, err, passwordless.ErrInvalidToken)
	sessions, next, err := w.Sessions(t.Context(), "", l.User.ID, 10, "")
	require.NoError(t, err)
	assert.Empty(t, next)
	assert.Len(t, sessions, 2)
}

func TestSignOutEverywhereMissesNobody(t *testing.T) { // SS-6, AC-6
	for name, users := range map[string]passwordless.Users{"built-in directory": nil, "the application's": newTable()} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(c *passwordless.Config) { c.Users = users })
			ctx := t.Context()
			l := w.signIn(alice, passwordless.Issue{Session: true, Tokens: offline.Tokens})
			w.clock.advance(time.Hour)
			started, code := w.start(alice)
			w.clock.advance(time.Second)
			require.NoError(t, w.RevokeUser(ctx, "", l.User.ID))
			_, err := w.Session(ctx, l.Session.Token)
			require.ErrorIs(t, err, passwordless.ErrInvalidToken)
			_, err = w.refresh("web", l.Tokens.Refresh)
			require.ErrorIs(t, err, passwordless.ErrInvalidToken)
			_, err = w.Verify(ctx, w.as("web", home),
				byCode(started.Handle, code, session))
			require.ErrorIs(t, err, passwordless.ErrRevoked, "a challenge that began before")
			sessions, _, err := w.Sessions(ctx, "", l.User.ID, 10, "")
			require.NoError(t, err)
			assert.Empty(t, sessions)

			again := w.signIn(alice, session)
			_, err = w.Session(ctx, again.Session.Token)
			require.NoError(t, err, "who signs in afterwards is in")
		})
	}
}

func TestConcurrentRefreshesHaveOneChild(t *testing.T) { // TK-9
	w := newWorld(t)
	token := w.signIn(alice, offline).Tokens.Refresh
	other := w.second()
	children := map[passwordless.Secret]int{}
	var mu sync.Mutex // guards children
	var group sync.WaitGroup
	for i := range 100 {
		group.Go(func() {
			which := w
			if i%2 == 1 {
				which = other
			}
			tokens, err := which.refresh("web", token)
			if err != nil && !errors.Is(err, passwordless.ErrBusy) {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				children[tokens.Refresh]++
			}
		})
	}
	group.Wait()
	assert.Len(t, children, 1, "never two live children")
}

func TestScopesOnlyNarrow(t *testing.T) { // TK-10
	w := newWorld(t)
	l := w.signIn(alice, offline)
	_, err := w.Refresh(t.Context(), w.as("web", home),
		passwordless.RefreshRequest{Token: l.Tokens.Refresh, Scopes: []string{"admin"}})
	require.ErrorAs(t, err, new(*passwordless.InputError))
	tokens, err := w.Refresh(t.Context(), w.as("web", home),
		passwordless.RefreshRequest{Token: l.Tokens.Refresh, Scopes: []string{"email"}})
	require.NoError(t, err)
	assert.Equal(t, []string{"email"}, tokens.Scopes)
	access, err := w.access(tokens.Access, "")
	require.NoError(t, err)
	assert.Equal(t, []string{"email"}, access.Scopes)
	assert.Equal(t, l.At().Truncate(time.Second), access.AuthTime, "a refresh is no sign-in (TK-17)")
	assert.Empty(t, tokens.ID, "openid was left out")
	tokens, err = w.refresh("web", tokens.Refresh)
	require.NoError(t, err)
	_, first := parts(t, l.Tokens.ID)
	_, renewed := parts(t, tokens.ID)
	for _, claim := range []string{"iss", "sub", "aud", "auth_time", "amr"} {
		assert.Equal(t, first[claim], renewed[claim], claim)
	}
}

func TestAChangedFamilyTokenIsInvalid(t *testing.T) {
	w := newWorld(t)
	l := w.signIn(alice, passwordless.Issue{Session: true, Tokens: offline.Tokens})
	for _, token := range []passwordless.Secret{l.Session.Token, l.Tokens.Refresh} {
		text := token.Reveal()
		for i := range text {
			changed := passwordless.Secret(text[:i] + string(text[i]^1) + text[i+1:])
			_, err := w.Session(t.Context(), changed)
			require.ErrorIs(t, err, passwordless.ErrInvalidToken)
			_, err = w.refresh("web", changed)
			require.ErrorIs(t, err, passwordless.ErrInvalidToken)
			require.NoError(t, w.Revoke(t.Context(), w.as("", home), changed))
		}
	}
	_, err := w.Session(t.Context(), l.Session.Token)
	require.NoError(t, err)
	_, err = w.refresh("web", l.Tokens.Refresh)
	require.NoError(t, err)
}

func TestOnesOwnSessionsOnly(t *testing.T) { // SS-6
	w := newWorld(t)
	ctx := t.Context()
	l := w.signIn(alice, session)
	mallory := w.signIn("mallory@example.com", passwordless.Issue{})
	require.NoError(t, w.RevokeSession(ctx, "", mallory.User.ID, l.Session.ID))
	_, err := w.Session(ctx, l.Session.Token)
	require.NoError(t, err)
	require.NoError(t, w.RevokeSession(ctx, "", l.User.ID, l.Session.ID))
	_, err = w.Session(ctx, l.Session.Token)
	require.ErrorIs(t, err, passwordless.ErrInvalidToken)
	require.NoError(t, w.RevokeSession(ctx, "", l.User.ID, "nonsense"))
}

func TestKeysRotateUnderSessions(t *testing.T) { // SK-3
	keys := newKeys()
	w := newWorld(t, keys.into)
	l := w.signIn(alice, passwordless.Issue{Session: true, Tokens: offline.Tokens})
	rotated := w.under(keys.rotated("k2"))
	_, err := rotated.Session(t.Context(), l.Session.Token)
	require.NoError(t, err)
	_, err = rotated.refresh("web", l.Tokens.Refresh)
	require.NoError(t, err)
}

// Decoders of base64 pass over line ends: a token of the right length then holds too little.
func TestTokensThatAreMostlyLineEndsAreRefused(t *testing.T) { // advisory 9
	w := newWorld(t)
	ctx := t.Context()
	for length := range 160 {
		token := passwordless.Secret("AAAA" + strings.Repeat("\n", length))
		_, err := w.Session(ctx, token)
		require.ErrorIs(t, err, passwordless.ErrInvalidToken)
		_, err = w.refresh("web", token)
		require.ErrorIs(t, err, passwordless.ErrInvalidToken)
		_, err = w.Exchange(ctx, w.as("web", home), passwordless.ExchangeRequest{Code: token})
		require.ErrorIs(t, err, passwordless.ErrInvalidToken)
		require.NoError(t, w.Revoke(ctx, w.as("", home), token))
		_, err = w.Verify(ctx, w.as("web", home), passwordless.VerifyRequest{Handle: token, Code: "123456"})
		require.ErrorIs(t, err, passwordless.ErrUnknownChallenge)
		_, err = w.Resend(ctx, w.as("web", home), token)
		require.ErrorIs(t, err, passwordless.ErrUnknownChallenge)
		_, err = w.RedeemLink(ctx, w.as("", home), passwordless.RedeemRequest{Token: token})
		require.ErrorIs(t, err, passwordless.ErrUnknownChallenge)
		require.Error(t, w.Cancel(ctx, w.as("", home), token))
		_, _ = w.Start(ctx, w.as("web", passwordless.Caller{IP: home.IP, Browser: token, Device: token}),
			passwordless.StartRequest{Channel: passwordless.Email, Address: "a@example.com"})
	}
}

func TestARefreshStaysWithinWhatWasGranted(t *testing.T) { // TK-10
	w := newWorld(t)
	l := w.signIn(alice, passwordless.Issue{Tokens: &passwordless.TokenRequest{Scopes: []string{"openid", "offline_access"},
		Audience: "https://api.example.com/"}})
	request := passwordless.RefreshRequest{Token: l.Tokens.Refresh}
	var wrong *passwordless.InputError
	for _, audience := range []string{"https://other.example.com/", w.Issuer(), "https://api.example.com"} {
		request.Audience = audience
		_, err := w.Refresh(t.Context(), w.as("web", home), request)
		require.ErrorAs(t, err, &wrong)
		assert.Equal(t, "Audience", wrong.Field)
	}
	request.Audience = "https://api.example.com/"
	tokens, err := w.Refresh(t.Context(), w.as("web", home), request)
	require.NoError(t, err, "the refused requests did not use the token up")
	_, err = w.access(tokens.Access, "https://api.example.com/")
	require.NoError(t, err)
}

// A scope that is read as several would grant what was not asked for.
func TestAScopeIsOneScope(t *testing.T) { // RFC 6749, 3.3
	w := newWorld(t)
	started, code := w.start(alice)
	for _, scope := range []string{"", "x offline_access", "x\toffline_access", "x\n", "å", `"`, `\`, "x\x00"} {
		for _, grant := range []passwordless.Issue{
			{Tokens: &passwordless.TokenRequest{Scopes: []string{scope}}},
			{Code: &passwordless.AuthorizationRequest{RedirectURI: "https://app.example.com/cb",
				CodeChallenge: strings.Repeat("A", 43), Scopes: []string{scope}}},
		} {
			_, err := w.Verify(t.Context(), w.as("web", home),
				byCode(started.Handle, code, grant))
			require.ErrorAs(t, err, new(*passwordless.InputError), "%q", scope)
		}
	}
	_, err := w.guess(started.Handle, code)
	require.NoError(t, err)
}

func TestAFamilyEndsThoughItIsRefreshedMeanwhile(t *testing.T) { // TK-9, SS-6
	// Whoever refreshes without a pause does not put it off.
	var old passwordless.Secret
	for name, end := range map[string]func(*world, passwordless.Login) error{
		"an old token of it used again": func(w *world, _ passwordless.Login) error {
			_, err := w.refresh("web", old)
			require.ErrorIs(w.t, err, passwordless.ErrReusedToken)
			return nil
		},
		"revoked by its token": func(w *world, l passwordless.Login) error {
			return w.Revoke(w.t.Context(), w.as("web", home), l.Tokens.Refresh)
		},
		"revoked by its user": func(w *world, l passwordless.Login) error {
			all, _, err := w.Sessions(w.t.Context(), "", l.User.ID, 10, "")
			require.NoError(w.t, err)
			require.Len(w.t, all, 1)
			return w.RevokeSession(w.t.Context(), "", l.User.ID, all[0].ID)
		},
		"its code used again": func(w *world, l passwordless.Login) error {
			_, err := w.Exchange(w.t.Context(), w.as("web", home), of(l))
			require.ErrorIs(w.t, err, passwordless.ErrReusedToken)
			require.NotErrorIs(w.t, err, passwordless.ErrBusy)
			return nil
		},
	} {
		w, g := newGap(t)
		l := w.signIn(alice, asking("offline_access"))
		got, err := w.Exchange(t.Context(), w.as("web", home), of(l))
		require.NoError(t, err)
		old, l.Tokens = got.Tokens.Refresh, got.Tokens
		for range 2 {
			*l.Tokens, err = w.refresh("web", l.Tokens.Refresh)
			require.NoError(t, err)
		}
		thiefs := l.Tokens.Refresh
		var before func()
		before = func() {
			tokens, err := w.refresh("web", thiefs)
			require.NoError(t, err, name)
			thiefs, g.beforeCommit = tokens.Refresh, before
		}
		g.beforeCommit = before
		require.NoError(t, end(w, l), name)
		assert.NotEqual(t, l.Tokens.Refresh, thiefs, "%s: a refresh came between", name)
		g.beforeCommit = nil
		_, err = w.refresh("web", thiefs)
		require.ErrorIs(t, err, passwordless.ErrInvalidToken, name)
	}
}

func TestATokenIsRevokedForItsClientAlone(t *testing.T) { // CA-4
	w := newWorld(t)
	l := w.signIn(alice, offline)
	require.NoError(t, w.Revoke(t.Context(), w.as("other", home), l.Tokens.Refresh))
	tokens, err := w.refresh("web", l.Tokens.Refresh)
	require.NoError(t, err)
	require.NoError(t, w.Revoke(t.Context(), w.as("web", home), tokens.Refresh))
	_, err = w.refresh("web", tokens.Refresh)
	require.ErrorIs(t, err, passwordless.ErrInvalidToken)
}

func TestARefreshThatCannotBeSignedGivesNothing(t *testing.T) { // VF-9
	w := newWorld(t)
	l := w.signIn(alice, passwordless.Issue{Tokens: &passwordless.TokenRequest{Scopes: []string{"offline_access"}}})
	w.cfg.SigningKeys = nil
	tokens, err := w.second().refresh("web", l.Tokens.Refresh)
	require.Error(t, err)
	assert.Zero(t, tokens)
}

func TestTheZeroLoginHasTheZeroTime(t *testing.T) {
	assert.Zero(t, passwordless.Login{}.At())
}
