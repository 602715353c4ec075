package passwordless_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/store/storetest"
)

// onDevice is a caller at home with a device cookie.
func onDevice(cookie passwordless.Secret) passwordless.Caller {
	c := home
	c.Device = cookie
	return c
}

// burn starts a challenge from a caller and uses its attempts up with wrong codes. It returns how many
// of them were looked at, if the code was short.
func (w *world) burn(caller passwordless.Caller, address string) (short int) {
	w.t.Helper()
	w.clock.advance(time.Hour)
	started, kind := w.tryStart(caller, passwordless.Email, address)
	require.Empty(w.t, kind)
	code := w.outbox.last().Code.Reveal()
	for range 5 {
		_, err := w.guessFrom(caller, started.Handle, wrong(code))
		require.Error(w.t, err)
		if len(code) == 6 && !errors.Is(err, passwordless.ErrShortCodesOff) {
			short++
		}
	}
	return short
}

func TestASignOutEverywhereEndsDevices(t *testing.T) { // BD-7, AC-6
	w := newWorld(t)
	l := w.signIn(alice, passwordless.Grant{})
	w.clock.advance(time.Hour)
	require.NoError(t, w.RevokeUser(t.Context(), "", l.User.ID))
	w.clock.advance(time.Hour)
	started, code := w.startFrom(onDevice(l.Device), alice)
	again, err := w.guessFrom(onDevice(l.Device), started.Handle, code)
	require.NoError(t, err)
	assert.False(t, again.KnownDevice)
	w.clock.advance(time.Hour)
	started, code = w.startFrom(onDevice(again.Device), alice)
	again, err = w.guessFrom(onDevice(again.Device), started.Handle, code)
	require.NoError(t, err)
	assert.True(t, again.KnownDevice, "the sign-in made it known again")
}

func TestTheCookiesOfADeviceShareABudget(t *testing.T) { // BD-7, RL-4: rotation makes no new guesses
	w := newWorld(t)
	cookies := []passwordless.Secret{w.signIn(alice, passwordless.Grant{}).Device}
	for range 20 {
		w.clock.advance(time.Hour)
		last := onDevice(cookies[len(cookies)-1])
		started, code := w.startFrom(last, alice)
		l, err := w.guessFrom(last, started.Handle, code)
		require.NoError(t, err)
		require.True(t, l.KnownDevice)
		cookies = append(cookies, l.Device)
	}
	short := 0
	for _, cookie := range cookies { // a thief has them all
		short += w.burn(onDevice(cookie), alice)
	}
	assert.InDelta(t, 10+45, short, 5, "ten of the device, and then what any stranger has")
}

func TestAnEndedDeviceGetsALongerCode(t *testing.T) { // BD-7, RL-5
	w := newWorld(t)
	device := onDevice(w.signIn(alice, passwordless.Grant{}).Device)
	for range 2 { // the owner mistypes ten times
		w.burn(device, alice)
	}
	for i := range 10 { // and an attacker drains the ledger
		w.burn(pool(i), alice)
	}
	for range 3 {
		w.clock.advance(time.Hour)
		started, code := w.startFrom(device, alice)
		assert.Len(t, code, 10, "not a short one that nobody would look at")
		l, err := w.guessFrom(device, started.Handle, code)
		require.NoError(t, err, "nobody is locked out")
		assert.False(t, l.KnownDevice)
	}
}

func TestResendKnowsThatTheLedgerIsEmptyNow(t *testing.T) { // RL-5, VF-5
	w := newWorld(t)
	for i := range 8 { // all but five or so
		w.burn(pool(i), alice)
	}
	w.clock.advance(time.Hour)
	theirs, theirCode := w.startFrom(attacker, alice)
	mine, code := w.start(alice)
	require.Len(t, code, 6)
	for range 5 {
		_, err := w.guessFrom(attacker, theirs.Handle, wrong(theirCode))
		require.Error(t, err)
	}
	_, err := w.guess(mine.Handle, code)
	require.ErrorIs(t, err, passwordless.ErrShortCodesOff, "it was not looked at whether it is right")
	w.clock.advance(30 * time.Second)
	_, err = w.Resend(t.Context(), passwordless.ResendRequest{Client: "web", Handle: mine.Handle, Caller: home})
	require.NoError(t, err)
	long := w.outbox.last().Code.Reveal()
	require.Len(t, long, 10)
	_, err = w.guess(mine.Handle, code)
	require.ErrorIs(t, err, passwordless.ErrMalformedCode, "the short one is over")
	_, err = w.guess(mine.Handle, long)
	require.NoError(t, err)
}

func TestWhereNoCodeIsShownNoneIsLookedAt(t *testing.T) { // RL-4
	w := newWorld(t, func(c *passwordless.Config) { c.Policy.Browser = passwordless.InsecureAnyBrowser })
	for _, handleless := range []bool{false, true} {
		started, err := w.Start(t.Context(), passwordless.StartRequest{Client: "web", Channel: passwordless.Email, Address: alice,
			Send: passwordless.SendLink, Caller: home, Handleless: handleless})
		require.NoError(t, err)
		for _, code := range []passwordless.Secret{"123456", "654321", "BCDFGHJKLM"} {
			_, err = w.Verify(t.Context(), passwordless.VerifyRequest{Client: "web", Handle: started.Handle,
				Channel: passwordless.Email, Address: alice, Code: code, Caller: attacker})
			require.ErrorIs(t, err, passwordless.ErrMalformedCode)
		}
		_, err = w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: param(t, w.outbox.last().Link), Caller: attacker})
		require.NoError(t, err)
		w.clock.advance(time.Hour)
	}
}

func TestAMovedInitiatorHasATryOfTwo(t *testing.T) { // BD-6, BD-10
	w := newWorld(t, func(c *passwordless.Config) { c.Policy.MaxAttempts = 2 })
	_, err := w.Start(t.Context(), passwordless.StartRequest{Client: "web", Channel: passwordless.Email, Address: alice, Caller: home, Handleless: true})
	require.NoError(t, err)
	_, err = w.Verify(t.Context(), passwordless.VerifyRequest{Client: "web", Channel: passwordless.Email, Address: alice,
		Code: w.outbox.last().Code, Caller: from("203.0.113.9")})
	require.NoError(t, err, "changing the network is allowed")
}

func TestAWrongGuessTellsNobodyWhoHasAnAccount(t *testing.T) { // EN-1, EN-2: in trips to the store
	w, faulty := newFaulty(t, func(c *passwordless.Config) { c.Users = newTable() })
	w.signIn(alice, passwordless.Grant{})
	guess := func(address string, grant passwordless.Grant) storetest.Trips {
		w.clock.advance(time.Hour)
		started, code := w.start(address)
		before := faulty.Trips()
		_, err := w.Verify(t.Context(), passwordless.VerifyRequest{Client: "web", Handle: started.Handle, Code: passwordless.Secret(wrong(code)), Caller: home, Grant: grant})
		require.ErrorIs(t, err, passwordless.ErrWrongSecret)
		return faulty.Trips().Sub(before)
	}
	for _, grant := range []passwordless.Grant{{}, session, offline} {
		assert.Equal(t, guess(alice, grant), guess("nobody@example.com", grant))
	}
}

func TestAGuessThatCouldNotBeChargedTellsNothing(t *testing.T) { // VF-1, VF-12
	w, faulty := newFaulty(t)
	w.signIn(alice, passwordless.Grant{})
	w.clock.advance(time.Hour)
	started, code := w.start(alice)
	faulty.SpoilAll(storetest.Commit, storetest.Unavailable())
	guess := func(code string) (string, storetest.Trips) {
		before := faulty.Trips()
		_, err := w.Verify(t.Context(), passwordless.VerifyRequest{Client: "web", Handle: started.Handle, Code: passwordless.Secret(code), Caller: home, Grant: session})
		require.ErrorIs(t, err, passwordless.ErrUnavailable)
		return err.Error(), faulty.Trips().Sub(before)
	}
	right, trips := guess(code)
	answer, others := guess(wrong(code))
	assert.Equal(t, right, answer)
	assert.Equal(t, trips, others)
}

func TestAStormOfGuesses(t *testing.T) { // VF-1, VF-2: two services on one store
	w := newWorld(t, unlimited)
	services := []*world{w, w.second()}
	storm := func(handle passwordless.Secret, code string) (answers map[error]int) {
		answers = map[error]int{}
		var mu sync.Mutex // guards answers
		var group sync.WaitGroup
		for i := range 200 {
			group.Go(func() {
				_, err := services[i%2].guess(handle, code)
				var refused *passwordless.ChallengeError
				if errors.As(err, &refused) {
					err = refused.Reason
				}
				mu.Lock()
				defer mu.Unlock()
				answers[err]++
			})
		}
		group.Wait()
		return answers
	}
	started, code := w.start(alice)
	assert.Equal(t, map[error]int{passwordless.ErrWrongSecret: 4, passwordless.ErrExhausted: 196}, storm(started.Handle, wrong(code)),
		"five were looked at, the last of them ended it")
	_, err := w.guess(started.Handle, code)
	require.ErrorIs(t, err, passwordless.ErrExhausted)

	w.clock.advance(time.Hour)
	started, code = w.start(alice)
	answers := storm(started.Handle, code)
	assert.Equal(t, 1, answers[nil], "one winner")
	assert.Equal(t, 199, answers[passwordless.ErrConsumed])
}

func TestAClientsOwnAttemptsAreNotCutShortByConflicts(t *testing.T) {
	w, g := newGap(t, func(c *passwordless.Config) {
		c.Policy.MaxAttempts, c.Policy.MaxResends = 1, -1
		c.Clients.(passwordless.ClientList)[0].MaxAttempts = 10
	})
	started, code := w.start(alice)
	for left := 9; left > 0; left-- { // each of them changes the record just before the right one commits
		next := g.beforeCommit
		g.beforeCommit = func() {
			_, err := w.guess(started.Handle, wrong(code))
			require.ErrorIs(t, err, passwordless.ErrWrongSecret)
			g.beforeCommit = next
		}
	}
	_, err := w.guess(started.Handle, code)
	require.NoError(t, err, "ten attempts, nine used")
}

func TestAClockThatStepsBackRevivesNoSession(t *testing.T) { // VF-13
	w := newWorld(t)
	l := w.signIn(alice, passwordless.Grant{Session: true, Tokens: offline.Tokens})
	w.clock.advance(14 * 24 * time.Hour)
	w.signedOut(l, "over")
	w.clock.advance(-time.Hour)
	w.signedOut(l, "a clock that steps back revives nothing")
}

func TestASigningFailureLeavesNoSession(t *testing.T) { // VF-9
	w := newWorld(t)
	l := w.signIn(alice, passwordless.Grant{})
	w.clock.advance(time.Hour)
	started, code := w.start(alice)
	unsignable := func(passwordless.Login, []string) map[string]any { return map[string]any{"x": make(chan int)} }
	answer, err := w.Verify(t.Context(), passwordless.VerifyRequest{Client: "web", Handle: started.Handle, Code: passwordless.Secret(code), Caller: home,
		Grant: passwordless.Grant{Session: true, Tokens: &passwordless.TokenRequest{Scopes: offline.Tokens.Scopes, Claims: unsignable}}})
	require.Error(t, err)
	assert.Zero(t, answer)
	sessions, _, err := w.Sessions(t.Context(), "", l.User.ID, 10, "")
	require.NoError(t, err)
	assert.Empty(t, sessions)
	_, err = w.guess(started.Handle, code)
	require.ErrorIs(t, err, passwordless.ErrConsumed)
}

func TestAnApplicationsClaimsDoNotSayHowThePersonSignedIn(t *testing.T) { // TK-11, TK-16
	w := newWorld(t)
	l := w.signIn(alice, passwordless.Grant{Tokens: &passwordless.TokenRequest{Scopes: []string{"openid"}, Claims: func(passwordless.Login, []string) map[string]any {
		claims := map[string]any{}
		for _, ours := range []string{"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "auth_time", "nonce", "acr", "amr", "azp", "at_hash", "c_hash"} {
			claims[ours] = "forged"
		}
		return claims
	}}})
	_, claims := parts(t, l.Tokens.ID)
	assert.Len(t, claims, 7)
	for name, value := range claims {
		assert.NotEqual(t, "forged", value, name)
	}
}

func TestAnAccessTokenNamesItsTenant(t *testing.T) { // CA-4
	w := newWorld(t, func(c *passwordless.Config) {
		c.Tenants = []passwordless.Tenant{{ID: "a"}, {ID: "b"}}
		c.Clients = passwordless.ClientList{{ID: "web", Tenant: "b", Public: true}}
	})
	l := w.signIn(alice, passwordless.Grant{Tokens: &passwordless.TokenRequest{}})
	token, err := w.VerifyAccessToken(l.Tokens.Access, "")
	require.NoError(t, err)
	assert.Equal(t, "b", token.Tenant)
}
