package passwordless_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
)

func TestACodeSignsInOnce(t *testing.T) { // CG-7, VF-14
	w := newWorld(t)
	started, code := w.start(alice)
	l, err := w.guess(started.Handle, code)
	require.NoError(t, err)
	assert.Equal(t, passwordless.Identifier{Channel: passwordless.Email, Address: alice}, l.Identifier)
	assert.True(t, l.FirstProof)
	assert.True(t, l.User.EmailVerified)

	_, err = w.guess(started.Handle, code)
	require.ErrorIs(t, err, passwordless.ErrConsumed)
	assert.Equal(t, []passwordless.EventType{passwordless.EventStarted, passwordless.EventFirstProof,
		passwordless.EventLogin, passwordless.EventSpentSecret}, w.events.types())
}

func TestTheSamePersonIsTheSameUser(t *testing.T) { // ID-12, AC-1
	w := newWorld(t)
	first := w.signIn(alice, passwordless.Issue{})
	again := w.signIn(strings.ToUpper(alice), passwordless.Issue{})
	assert.Equal(t, first.User.ID, again.User.ID)
	assert.False(t, again.FirstProof)
	assert.NotContains(t, first.User.ID, "alice")
}

func TestAfterTheLastAttemptTheRightCodeIsRefused(t *testing.T) { // VF-4
	w := newWorld(t)
	started, code := w.start(alice)
	for left := 4; left > 0; left-- {
		_, err := w.guess(started.Handle, wrong(code))
		var refused *passwordless.ChallengeError
		require.ErrorAs(t, err, &refused)
		require.ErrorIs(t, err, passwordless.ErrWrongSecret)
		assert.Equal(t, left, refused.AttemptsLeft)
	}
	_, err := w.guess(started.Handle, wrong(code))
	require.ErrorIs(t, err, passwordless.ErrExhausted)
	_, err = w.guess(started.Handle, code)
	require.ErrorIs(t, err, passwordless.ErrExhausted)
}

func TestMalformedCodesCostNoAttempt(t *testing.T) { // CG-11, CG-12
	w := newWorld(t)
	started, code := w.start(alice)
	for _, typed := range []string{"", "12345", "1234567", "١٢٣٤٥٦", "１２３４５６", "12345a", strings.Repeat("1", 10_000)} {
		_, err := w.guess(started.Handle, typed)
		require.ErrorIs(t, err, passwordless.ErrMalformedCode, "%q", typed)
	}
	_, err := w.guess(started.Handle, " "+code[:3]+"-"+code[3:]+" ")
	require.NoError(t, err)
}

func TestExpiryIsExactAndFinal(t *testing.T) { // CG-6, VF-13
	w := newWorld(t)
	started, code := w.start(alice)
	w.clock.advance(10*time.Minute - 1)
	_, err := w.guess(started.Handle, wrong(code))
	require.ErrorIs(t, err, passwordless.ErrWrongSecret, "a nanosecond before")
	w.clock.advance(1)
	_, err = w.guess(started.Handle, code)
	require.ErrorIs(t, err, passwordless.ErrExpired, "at the instant")
	w.clock.advance(-time.Hour)
	_, err = w.guess(started.Handle, code)
	require.ErrorIs(t, err, passwordless.ErrExpired, "a clock that steps back revives nothing")
}

func TestAContextIsNotExchangeable(t *testing.T) { // BD-1, BD-3, CA-4, VF-11
	w := newWorld(t)
	ctx := t.Context()
	started, code := w.start(alice)
	for name, req := range map[string]passwordless.VerifyRequest{
		"another client":   {Handle: started.Handle},
		"a slot":           {Channel: passwordless.Email, Address: alice},
		"another channel":  {Channel: passwordless.SMS, Address: "+46701111111"},
		"a changed handle": {Handle: altered(started.Handle)},
		"a cut handle":     {Handle: started.Handle[:20]},
		"a longer handle":  {Handle: started.Handle + "AAAA"},
	} {
		req.Code = passwordless.Secret(code)
		by := w.as("web", home)
		if req.Handle == started.Handle {
			by = w.as("other", home)
		}
		_, err := w.Verify(ctx, by, req)
		require.ErrorIs(t, err, passwordless.ErrUnknownChallenge, name)
	}
	_, err := w.guess(started.Handle, code)
	require.NoError(t, err, "none of that hurt")
}

func TestTwoChallengesOfOnePersonAreApart(t *testing.T) { // BD-1, BD-2
	w := newWorld(t)
	mine, code := w.start(alice)
	theirs, otherCode := w.startFrom(attacker, alice)
	require.NotEqual(t, mine.Handle, theirs.Handle)
	for range 5 {
		_, err := w.guessFrom(attacker, theirs.Handle, wrong(otherCode))
		require.Error(t, err)
	}
	if code != otherCode {
		_, err := w.guess(mine.Handle, otherCode)
		require.ErrorIs(t, err, passwordless.ErrWrongSecret)
	}
	_, err := w.guess(mine.Handle, code)
	require.NoError(t, err)
}

func TestACheckCostsAnAttemptAndSignsNobodyIn(t *testing.T) {
	w := newWorld(t)
	started, code := w.start(alice)
	for range 4 {
		require.NoError(t, w.check(started.Handle, code))
	}
	_, err := w.guess(started.Handle, code)
	require.NoError(t, err, "still open, one attempt left")
	require.ErrorIs(t, w.check(started.Handle, code), passwordless.ErrConsumed)
}

func TestARightCheckNeverCostsTheLastAttempt(t *testing.T) { // VF-4: nor does it give another
	for name, req := range map[string]passwordless.StartRequest{"by a handle": byMail(alice), "by the address": byAddress(alice)} {
		for checks := range 4 {
			for _, finish := range []bool{true, false} {
				checkAtTheLastAttempt(t, name, req, checks, finish)
			}
		}
	}
}

func checkAtTheLastAttempt(t *testing.T, name string, req passwordless.StartRequest, checks int, finish bool) {
	w := newWorld(t)
	started, err := w.startWith(home, req)
	require.NoError(t, err)
	code := w.outbox.last().Code.Reveal()
	with := func(code string) passwordless.VerifyRequest {
		r := coded(alice, code)
		r.Handle = started.Handle
		return r
	}
	verify := func(code string) error {
		_, err := w.Verify(t.Context(), w.as("web", home), with(code))
		return err
	}
	check := func(code string) error { return w.CheckCode(t.Context(), w.as("web", home), with(code)) }
	attempts := 5
	if req.ByAddress {
		attempts = 3 // the others are strangers'
	}
	for range attempts - 1 {
		require.ErrorIs(t, verify(wrong(code)), passwordless.ErrWrongSecret)
	}
	for range checks {
		require.NoError(t, check(code), name)
	}
	if finish {
		require.NoError(t, verify(code), "%s: after %d checks", name, checks)
		return
	}
	require.ErrorIs(t, check(wrong(code)), passwordless.ErrExhausted, "%s: one wrong code after %d checks", name, checks)
	require.ErrorIs(t, check(code), passwordless.ErrExhausted, name)
	require.ErrorIs(t, verify(code), passwordless.ErrExhausted, name)
}

func TestAFailedCreateUsesTheCodeUpAndGrantsNothing(t *testing.T) { // VF-9
	w := newWorld(t, func(c *passwordless.Config) { c.Users = brokenUsers{} })
	started, code := w.start(alice)
	_, err := w.guess(started.Handle, code)
	require.ErrorIs(t, err, errBroken)
	_, err = w.guess(started.Handle, code)
	require.ErrorIs(t, err, passwordless.ErrConsumed)
}
