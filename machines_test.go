package passwordless_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
)

// The tables of docs/machines.md are walked in package internal/machine. Here are whole paths through the Service: what
// one machine leaves behind, and another finds.

func TestAChallengeFromItsStartToItsEnd(t *testing.T) { // VF-8
	w := newWorld(t)
	started, link, cancel := w.startLink(passwordless.SendBoth)
	code := w.outbox.last().Code.Reveal()
	here := keeping(home, started)
	_, err := w.guess(started.Handle, "x")
	require.ErrorIs(t, err, passwordless.ErrMalformedCode)
	_, err = w.guess(started.Handle, wrong(code))
	require.ErrorIs(t, err, passwordless.ErrWrongSecret)
	require.NoError(t, w.check(started.Handle, code))
	_, err = w.redeem(attacker, link)
	var other *passwordless.OtherBrowserError
	require.ErrorAs(t, err, &other)
	w.clock.advance(time.Minute)
	_, err = w.Resend(t.Context(), w.as("web", home), started.Handle)
	require.NoError(t, err)
	l, err := w.guess(started.Handle, other.Code.Reveal())
	require.NoError(t, err)
	assert.Equal(t, []passwordless.MethodUse{{Method: passwordless.ByCode, Channel: passwordless.Email, At: w.clock.Now()}},
		l.Methods)
	assert.Equal(t, "s 1", l.State)

	w.clock.advance(10 * time.Minute) // what ended it stays its end
	for what, call := range map[string]func() error{
		"code":   func() error { _, err := w.guess(started.Handle, code); return err },
		"wrong":  func() error { _, err := w.guess(started.Handle, wrong(code)); return err },
		"check":  func() error { return w.check(started.Handle, code) },
		"link":   func() error { _, err := w.redeem(here, link); return err },
		"cancel": func() error { return w.Cancel(t.Context(), w.as("", home), cancel) },
		"resend": func() error { _, err := w.Resend(t.Context(), w.as("web", home), started.Handle); return err },
	} {
		require.ErrorIs(t, call(), passwordless.ErrConsumed, what)
	}
	w.clock.advance(2 * time.Hour)
	n, err := w.Sweep(t.Context(), 1000)
	require.NoError(t, err)
	assert.Positive(t, n)
	_, err = w.guess(started.Handle, code)
	require.ErrorIs(t, err, passwordless.ErrUnknownChallenge, "and then there is none")
}

func TestTheFirstEndOfAChallengeIsItsEnd(t *testing.T) { // VF-4, VF-8, VF-13
	type walk struct {
		*world
		started passwordless.Started
		code    string
		cancel  passwordless.Secret
	}
	ends := map[error]func(*walk){
		passwordless.ErrExhausted: func(w *walk) {
			for range 5 {
				_, _ = w.guess(w.started.Handle, wrong(w.code))
			}
		},
		passwordless.ErrCancelled: func(w *walk) { _ = w.Cancel(t.Context(), w.as("", attacker), w.cancel) },
		passwordless.ErrExpired: func(w *walk) {
			w.clock.advance(10 * time.Minute)
			_, _ = w.guess(w.started.Handle, w.code)
		},
		passwordless.ErrRevoked: func(w *walk) {
			u, err := w.Directory().Find(t.Context(), "", byEmail(alice))
			require.NoError(t, err)
			require.NoError(t, w.RevokeUser(t.Context(), "", u.ID))
			_, _ = w.guess(w.started.Handle, w.code)
		},
	}
	for first, end := range ends {
		for second, again := range ends {
			w := &walk{world: newWorld(t)}
			w.signIn(alice, passwordless.Issue{})
			w.clock.advance(time.Hour)
			w.started, _, w.cancel = w.startLink(passwordless.SendBoth)
			w.code = w.outbox.last().Code.Reveal()
			end(w)
			again(w)
			_, err := w.guess(w.started.Handle, w.code)
			require.ErrorIs(t, err, first, "then %v", second)
		}
	}
}

// A revocation ends what began before it, and up to the skew of the clocks after it.
func TestSigningOutEverywhereEndsChallenges(t *testing.T) { // SS-4, BD-10
	w := newWorld(t, unlimited)
	id := w.signIn(alice, passwordless.Issue{}).User.ID
	w.clock.advance(time.Hour)
	before, code := w.start(alice)
	w.clock.advance(time.Minute)
	require.NoError(t, w.RevokeUser(t.Context(), "", id))
	_, err := w.guess(before.Handle, code)
	require.ErrorIs(t, err, passwordless.ErrRevoked)
	w.clock.advance(2 * time.Second)
	within, code := w.start(alice)
	_, err = w.guess(within.Handle, code)
	require.ErrorIs(t, err, passwordless.ErrRevoked)
	w.clock.advance(1)
	after, code := w.start(alice)
	_, err = w.guess(after.Handle, code)
	require.NoError(t, err)
}

func TestEverythingEndsWithItsUser(t *testing.T) { // SS-4, TK-10, TK-13
	w := newWorld(t)
	everything := passwordless.Issue{Session: true, Tokens: openid.Tokens, Code: &passwordless.AuthorizationRequest{
		RedirectURI: callback, CodeChallenge: codeChallenge, Scopes: []string{"offline_access"}}}
	exchange := func(l passwordless.Login) (passwordless.Login, error) {
		return w.Exchange(t.Context(), w.as("web", home), passwordless.ExchangeRequest{Code: l.AuthorizationCode,
			RedirectURI: callback, Verifier: codeVerifier})
	}
	refresh := func(token passwordless.Secret) (passwordless.Tokens, error) {
		return w.refresh("web", token)
	}
	l := w.signIn(alice, everything)
	assert.True(t, l.FirstProof)
	_, err := w.Session(t.Context(), l.Session.Token)
	require.NoError(t, err)
	exchanged, err := exchange(l)
	require.NoError(t, err)
	next, err := refresh(exchanged.Tokens.Refresh)
	require.NoError(t, err)
	access, err := w.VerifyAccessToken(t.Context(), passwordless.AccessTokenRequest{Token: next.Access})
	require.NoError(t, err)
	assert.Equal(t, l.User.ID, access.Subject)

	_, err = exchange(l)
	require.ErrorIs(t, err, passwordless.ErrReusedToken, "a second use of a code ends what it gave")
	_, err = refresh(next.Refresh)
	require.ErrorIs(t, err, passwordless.ErrInvalidToken)
	own, err := refresh(l.Tokens.Refresh)
	require.NoError(t, err, "and nothing else")
	w.clock.advance(time.Minute)
	_, err = refresh(l.Tokens.Refresh)
	require.ErrorIs(t, err, passwordless.ErrReusedToken, "and so does a refresh token that was replaced")
	_, err = refresh(own.Refresh)
	require.ErrorIs(t, err, passwordless.ErrInvalidToken)
	_, err = w.Session(t.Context(), l.Session.Token)
	require.NoError(t, err, "a session is apart")

	l2 := w.signIn(alice, everything)
	assert.False(t, l2.FirstProof)
	require.NoError(t, w.RevokeUser(t.Context(), "", l.User.ID))
	for _, one := range []passwordless.Login{l, l2} {
		_, err = w.Session(t.Context(), one.Session.Token)
		require.ErrorIs(t, err, passwordless.ErrInvalidToken)
		_, err = refresh(one.Tokens.Refresh)
		require.ErrorIs(t, err, passwordless.ErrInvalidToken)
	}
	_, err = exchange(l2)
	require.ErrorIs(t, err, passwordless.ErrInvalidToken)
	sessions, _, err := w.Sessions(t.Context(), "", l.User.ID, 10, "")
	require.NoError(t, err)
	assert.Empty(t, sessions)
	w.signIn(alice, everything)
	sessions, _, err = w.Sessions(t.Context(), "", l.User.ID, 10, "")
	require.NoError(t, err)
	assert.Len(t, sessions, 2)
}

// Somebody who opens several devices at once and proves the address on each for the first time is signed in on all of them.
func TestSeveralFirstProofsAtOnceAllSignIn(t *testing.T) { // AC-1, SS-2
	for range 10 {
		w := newWorld(t, unlimited)
		const n = 4
		var started [n]passwordless.Started
		var codes [n]string
		for i := range n {
			started[i], codes[i] = w.startFrom(from(fmt.Sprintf("198.51.100.%d", i+1)), "new@example.com")
		}
		var logins [n]passwordless.Login
		var errs [n]error
		var all sync.WaitGroup
		for i := range n {
			by := w.as("web", from(fmt.Sprintf("198.51.100.%d", i+1)))
			all.Go(func() {
				logins[i], errs[i] = w.Verify(t.Context(), by, byCode(started[i].Handle, codes[i], session))
			})
		}
		all.Wait()
		require.NoError(t, errors.Join(errs[:]...))
		for _, l := range logins {
			assert.Equal(t, logins[0].User.ID, l.User.ID)
			_, err := w.Session(t.Context(), l.Session.Token)
			require.NoError(t, err)
		}
	}
}
