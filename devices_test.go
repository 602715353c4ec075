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
	"github.com/seed62b93bad/passwordless/store/storetest"
)

// onDevice is a caller at home with a device cookie.
func onDevice(cookie passwordless.Secret) passwordless.Caller {
	c := home
	c.Device = cookie
	return c
}

// burn starts a challenge from a caller and uses its attempts up with wrong codes. It returns how many of them were
// looked at, if the code was short.
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
	l := w.signIn(alice, passwordless.Issue{})
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

func TestARevokedDeviceGetsALongerCode(t *testing.T) { // BD-7, RL-5, VF-6: its browser keeps the cookie
	for name, revoke := range map[string]func(*world, string) error{
		"signed out everywhere": func(w *world, id string) error { return w.RevokeUser(w.t.Context(), "", id) },
		"another user":          func(w *world, id string) error { return w.Directory().Delete(w.t.Context(), "", id) },
	} {
		for failures := range 3 {
			t.Run(fmt.Sprint(name, " after ", 5*failures), func(t *testing.T) {
				w := newWorld(t)
				l := w.signIn(alice, passwordless.Issue{})
				device := onDevice(l.Device)
				for range failures {
					w.burn(device, alice)
				}
				require.NoError(t, revoke(w, l.User.ID))
				for i := range 10 { // an attacker drains the ledger
					w.burn(pool(i), alice)
				}
				for try := range 3 {
					w.clock.advance(time.Hour)
					started, code := w.startFrom(device, alice)
					l, err := w.guessFrom(device, started.Handle, code)
					if try == 0 && failures < 2 {
						require.ErrorIs(t, err, passwordless.ErrShortCodesOff, "whose promise is a longer code")
						continue
					}
					require.Len(t, code, 9)
					require.NoError(t, err, "nobody is locked out")
					assert.False(t, l.KnownDevice)
				}
			})
		}
	}
}

func TestADeviceIsNotThatOfTheNextHolderOfAnAddress(t *testing.T) { // BD-7, AC-5, RL-4: whichever directory, whatever is issued
	for name, own := range map[string]bool{"the built-in directory": false, "users of one's own": true} {
		for _, issue := range []passwordless.Issue{{}, session} {
			t.Run(fmt.Sprintf("%s, session %v", name, issue.Session), func(t *testing.T) {
				mine := newTable()
				w := newWorld(t, unlimited, func(c *passwordless.Config) {
					if own {
						c.Users = mine
					}
				})
				former := w.signIn(alice, issue)
				if own {
					mine.all[byEmail(alice)] = passwordless.User{ID: "next", Email: alice}
				} else {
					require.NoError(t, w.Directory().Delete(t.Context(), "", former.User.ID))
				}
				next := w.signIn(alice, issue)
				require.NotEqual(t, former.User.ID, next.User.ID)
				assert.Equal(t, 25, w.burnAll(pool), "what any stranger has")
				assert.Zero(t, w.burnAll(having(former.Device)), "and the former holder no more")
				assert.NotZero(t, w.burnAll(having(next.Device)))
			})
		}
	}
}

// burnAll guesses at alice's codes from callers until no short one is looked at any more, and returns how many were.
func (w *world) burnAll(callers func(int) passwordless.Caller) (short int) {
	w.t.Helper()
	for i := range 12 {
		short += w.burn(callers(i), alice)
	}
	return short
}

// having are callers with a device cookie, each in a network of its own.
func having(cookie passwordless.Secret) func(int) passwordless.Caller {
	return func(i int) passwordless.Caller {
		c := pool(100 + i)
		c.Device = cookie
		return c
	}
}

func TestTheCookiesOfADeviceShareABudget(t *testing.T) { // BD-7, RL-4: rotation makes no new guesses
	w := newWorld(t)
	cookies := []passwordless.Secret{w.signIn(alice, passwordless.Issue{}).Device}
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
	for i, cookie := range cookies { // a thief has them all
		short += w.burn(having(cookie)(i), alice)
	}
	assert.InDelta(t, 10+25, short, 5, "ten of the device, and then what any stranger has")
}

func TestAnEndedDeviceGetsALongerCode(t *testing.T) { // BD-7, RL-5
	w := newWorld(t)
	device := onDevice(w.signIn(alice, passwordless.Issue{}).Device)
	for range 2 { // the owner mistypes ten times
		w.burn(device, alice)
	}
	for i := range 10 { // and an attacker drains the ledger
		w.burn(pool(i), alice)
	}
	for range 3 {
		w.clock.advance(time.Hour)
		started, code := w.startFrom(device, alice)
		assert.Len(t, code, 9, "not a short one that nobody would look at")
		l, err := w.guessFrom(device, started.Handle, code)
		require.NoError(t, err, "nobody is locked out")
		assert.False(t, l.KnownDevice)
	}
}

func TestResendKnowsThatTheLedgerIsEmptyNow(t *testing.T) { // RL-5, VF-5
	w := newWorld(t)
	for i := range 4 { // all but five or so
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
	_, err = w.Resend(t.Context(), w.as("web", home), mine.Handle)
	require.NoError(t, err)
	long := w.outbox.last().Code.Reveal()
	require.Len(t, long, 9)
	_, err = w.guess(mine.Handle, code)
	require.ErrorIs(t, err, passwordless.ErrMalformedCode, "the short one is over")
	_, err = w.guess(mine.Handle, long)
	require.NoError(t, err)
}

func TestWhereNoCodeIsShownNoneIsLookedAt(t *testing.T) { // RL-4
	w := newWorld(t, func(c *passwordless.Config) { c.Policy.InsecureAnyBrowser = true })
	for _, byAddress := range []bool{false, true} {
		started, err := w.Start(t.Context(), w.as("web", home), passwordless.StartRequest{
			Channel: passwordless.Email, Address: alice, Send: passwordless.SendLink, ByAddress: byAddress})
		require.NoError(t, err)
		for _, code := range []passwordless.Secret{"123456", "654321", "BCDFGHJKLM"} {
			_, err = w.Verify(t.Context(), w.as("web", attacker),
				passwordless.VerifyRequest{Handle: started.Handle, Channel: passwordless.Email, Address: alice, Code: code})
			require.ErrorIs(t, err, passwordless.ErrMalformedCode)
		}
		_, err = w.RedeemLink(t.Context(), w.as("web", attacker), passwordless.RedeemRequest{Token: param(t, w.outbox.last().Link)})
		require.NoError(t, err)
		w.clock.advance(time.Hour)
	}
}

func TestAMovedInitiatorHasAnAttemptOfTwo(t *testing.T) { // BD-6, BD-10
	w := newWorld(t, func(c *passwordless.Config) { c.Policy.Codes.MaxAttempts = 2 })
	req := byMail(alice)
	req.ByAddress = true
	_, err := w.Start(t.Context(), w.as("web", home), req)
	require.NoError(t, err)
	_, err = w.Verify(t.Context(), w.as("web", from("203.0.113.9")),
		passwordless.VerifyRequest{Channel: passwordless.Email, Address: alice, Code: w.outbox.last().Code})
	require.NoError(t, err, "changing the network is allowed")
}

func TestAWrongGuessTellsNobodyWhoHasAnAccount(t *testing.T) { // EN-1, EN-2: in trips to the store
	w, faulty := newFaulty(t, func(c *passwordless.Config) { c.Users = newTable() })
	w.signIn(alice, passwordless.Issue{})
	guess := func(address string, grant passwordless.Issue) storetest.Trips {
		w.clock.advance(time.Hour)
		started, code := w.start(address)
		before := faulty.Trips()
		_, err := w.Verify(t.Context(), w.as("web", home), byCode(started.Handle, wrong(code), grant))
		require.ErrorIs(t, err, passwordless.ErrWrongSecret)
		return faulty.Trips().Sub(before)
	}
	for _, grant := range []passwordless.Issue{{}, session, offline} {
		assert.Equal(t, guess(alice, grant), guess("nobody@example.com", grant))
	}
}

func TestAGuessThatCouldNotBeChargedTellsNothing(t *testing.T) { // VF-1, VF-12
	w, faulty := newFaulty(t)
	w.signIn(alice, passwordless.Issue{})
	w.clock.advance(time.Hour)
	started, code := w.start(alice)
	faulty.SpoilAll(storetest.Commit, storetest.Unavailable())
	guess := func(code string) (string, storetest.Trips) {
		before := faulty.Trips()
		_, err := w.Verify(t.Context(), w.as("web", home), byCode(started.Handle, code, session))
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
	assert.Equal(t, map[error]int{passwordless.ErrWrongSecret: 4, passwordless.ErrExhausted: 196},
		storm(started.Handle, wrong(code)), "five were looked at, the last of them ended it")
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
		c.Policy.Codes.MaxAttempts, c.Policy.Codes.MaxResends = 1, -1
		c.Clients.(passwordless.ClientList)[0].Codes.MaxAttempts = 10
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
	l := w.signIn(alice, passwordless.Issue{Session: true, Tokens: offline.Tokens})
	w.clock.advance(14 * 24 * time.Hour)
	w.signedOut(l, "over")
	w.clock.advance(-time.Hour)
	w.signedOut(l, "a clock that steps back revives nothing")
}

func TestASigningFailureLeavesNoSession(t *testing.T) { // VF-9
	w := newWorld(t)
	l := w.signIn(alice, passwordless.Issue{})
	w.clock.advance(time.Hour)
	started, code := w.start(alice)
	unsignable := func(passwordless.Login, []string) map[string]any { return map[string]any{"x": make(chan int)} }
	tokens := &passwordless.TokenRequest{Scopes: offline.Tokens.Scopes, Claims: unsignable}
	answer, err := w.Verify(t.Context(), w.as("web", home),
		byCode(started.Handle, code, passwordless.Issue{Session: true, Tokens: tokens}))
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
	forged := func(passwordless.Login, []string) map[string]any {
		claims := map[string]any{}
		for _, ours := range []string{"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "auth_time", "nonce", "acr", "amr", "azp",
			"at_hash", "c_hash"} {
			claims[ours] = "forged"
		}
		return claims
	}
	l := w.signIn(alice, passwordless.Issue{Tokens: &passwordless.TokenRequest{Scopes: []string{"openid"}, Claims: forged}})
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
	l := w.signIn(alice, passwordless.Issue{Tokens: &passwordless.TokenRequest{}})
	token, err := w.VerifyAccessToken(t.Context(), passwordless.AccessTokenRequest{Token: l.Tokens.Access, Tenant: "b"})
	require.NoError(t, err)
	assert.Equal(t, "b", token.Tenant)
}
