package passwordless_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/storetest"
)

// left is what is told of a limit when so many are left, and it is full again after a while.
func (w *world) left(limit, remaining int64, full time.Duration) passwordless.RateLimit {
	return passwordless.RateLimit{Limit: limit, Remaining: remaining, Reset: w.clock.Now().Add(full)}
}

// rateOf is what an error tells of a limit.
func rateOf(t testing.TB, err error) passwordless.RateLimit {
	t.Helper()
	var refused *passwordless.ChallengeError
	var limited *passwordless.LimitedError
	switch {
	case errors.As(err, &refused):
		return refused.Rate
	case errors.As(err, &limited):
		return limited.Rate
	}
	require.NoError(t, err)
	return passwordless.RateLimit{}
}

func TestAStartTellsWhatItsNetworkHasLeft(t *testing.T) { // RL-13
	w := newWorld(t)
	services := []*world{w, w.second()}
	start := func(i int, caller passwordless.Caller) (passwordless.RateLimit, error) {
		started, err := services[i%2].Start(t.Context(), byMail(caller, fmt.Sprintf("u%d@example.com", i)))
		return started.Rate, err
	}
	for i := range 10 {
		rate, err := start(i, home)
		require.NoError(t, err)
		assert.Equal(t, w.left(10, 9-int64(i), time.Duration(i+1)*time.Minute), rate, "start %d", i+1)
	}
	rate, err := start(10, home)
	require.Error(t, err)
	assert.Zero(t, rate)
	assert.Equal(t, w.left(10, 0, time.Minute), rateOf(t, err), "of a refusal it tells when to come again")
	rate, err = start(11, attacker)
	require.NoError(t, err)
	assert.Equal(t, w.left(10, 9, time.Minute), rate, "another network")
	w.clock.advance(time.Minute)
	rate, err = start(12, home)
	require.NoError(t, err, "as was told")
	assert.Equal(t, w.left(10, 0, 10*time.Minute), rate)
	w.clock.advance(90 * time.Second)
	rate, err = start(13, home)
	require.NoError(t, err)
	assert.Equal(t, w.left(10, 0, 9*time.Minute+30*time.Second), rate, "a half is none")
}

func TestTheTightestWindowIsTold(t *testing.T) {
	w := newWorld(t, unlimited, func(c *passwordless.Config) {
		c.Policy.Starts = []passwordless.Limit{{Count: 5, Per: 10 * time.Minute}, {Count: 6, Per: time.Hour}}
	})
	var rate passwordless.RateLimit
	for i := range 4 {
		started, err := w.Start(t.Context(), byMail(home, fmt.Sprintf("u%d@example.com", i)))
		require.NoError(t, err)
		rate = started.Rate
	}
	assert.Equal(t, w.left(5, 1, 8*time.Minute), rate)
	w.clock.advance(8 * time.Minute)
	started, err := w.Start(t.Context(), byMail(home, alice))
	require.NoError(t, err)
	assert.Equal(t, w.left(6, 1, 42*time.Minute), started.Rate, "the short window is full again, the long one is not")
}

func TestARepeatedStartTellsNothing(t *testing.T) { // it was not charged
	w := newWorld(t)
	first, err := w.Start(t.Context(), byMail(inBrowser(home), alice))
	require.NoError(t, err)
	assert.Equal(t, w.left(10, 9, time.Minute), first.Rate)
	for range 3 {
		again, err := w.Start(t.Context(), byMail(inBrowser(home), alice))
		require.NoError(t, err)
		assert.Equal(t, first.Handle, again.Handle)
		assert.Zero(t, again.Rate)
	}
	other, err := w.Start(t.Context(), byMail(inBrowser(home), "x@example.com"))
	require.NoError(t, err)
	assert.EqualValues(t, 8, other.Rate.Remaining)
}

func TestRatesDoNotTellWhoHasAnAccount(t *testing.T) { // EN-1, EN-4
	w := newWorld(t)
	_, err := w.Directory().Add(t.Context(), "", passwordless.User{Email: alice, EmailVerified: true})
	require.NoError(t, err)
	for caller, address := range map[string]string{"192.0.2.1": alice, "192.0.2.2": "nobody@example.com"} {
		req := byMail(from(caller), address)
		req.Client = "closed"
		started, err := w.Start(t.Context(), req)
		require.NoError(t, err)
		assert.Equal(t, w.left(10, 9, time.Minute), started.Rate)
		_, err = w.Verify(t.Context(), passwordless.VerifyRequest{Client: "closed", Handle: started.Handle, Code: "000000", Caller: from(caller)})
		assert.Equal(t, w.left(30, 29, 10*time.Second), rateOf(t, err))
	}
	assert.Len(t, w.outbox.messages(), 1)
}

func TestAGuessTellsWhatItsNetworkHasLeft(t *testing.T) { // RL-13
	w := newWorld(t)
	started, code := w.start(alice)
	guesses := int64(0)
	guessed := func() passwordless.RateLimit {
		guesses++
		return w.left(30, 30-guesses, time.Duration(guesses)*10*time.Second)
	}
	_, err := w.guess(started.Handle, wrong(code))
	assert.Equal(t, guessed(), rateOf(t, err), "a wrong code")
	_, err = w.guess(started.Handle, "x")
	assert.Equal(t, guessed(), rateOf(t, err), "a malformed one")
	_, err = w.guess(altered(started.Handle), code)
	assert.Equal(t, guessed(), rateOf(t, err), "at no challenge")
	verify := passwordless.VerifyRequest{Client: "web", Handle: started.Handle, Code: passwordless.Secret(wrong(code)), Caller: home}
	assert.Equal(t, guessed(), rateOf(t, w.Check(t.Context(), verify)), "a wrong code at a check")
	verify.Code = passwordless.Secret(code)
	require.NoError(t, w.Check(t.Context(), verify))
	guessed()
	_, err = w.guess("no handle", code)
	assert.Zero(t, rateOf(t, err), "what cannot be a handle costs nothing")
	l, err := w.guess(started.Handle, code)
	require.NoError(t, err)
	assert.Equal(t, guessed(), l.Rate, "a right code: success gives a network nothing back")
	_, err = w.guess(started.Handle, code)
	assert.Equal(t, guessed(), rateOf(t, err), "a code that was used")
	for guesses < 30 {
		_, err = w.guess(started.Handle, code)
		assert.Equal(t, guessed(), rateOf(t, err))
	}
	_, err = w.guess(started.Handle, code)
	var limited *passwordless.LimitedError
	require.ErrorAs(t, err, &limited)
	assert.Equal(t, 10*time.Second, limited.RetryAfter)
	assert.Equal(t, w.left(30, 0, limited.RetryAfter), limited.Rate)
	_, err = w.guessFrom(attacker, started.Handle, code)
	assert.Equal(t, w.left(30, 29, 10*time.Second), rateOf(t, err), "another network")
}

func TestALinkTellsNothing(t *testing.T) { // it charges no limit
	w := newWorld(t)
	started, link, cancel := w.startLink(passwordless.SendBoth)
	caller := home
	caller.Browser = started.Browser
	_, err := w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: cancel, Caller: caller})
	require.ErrorIs(t, err, passwordless.ErrWrongSecret)
	assert.Zero(t, rateOf(t, err))
	l, err := w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: link, Caller: caller})
	require.NoError(t, err)
	assert.Zero(t, l.Rate)
	_, err = w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: link, Caller: caller})
	require.ErrorIs(t, err, passwordless.ErrConsumed)
	assert.Zero(t, rateOf(t, err))
	_, err = w.Resend(t.Context(), passwordless.ResendRequest{Client: "web", Handle: started.Handle, Caller: home})
	assert.Zero(t, rateOf(t, err), "nor does a refused resend")
}

func TestARefusalTellsTheLimitOfItsBucket(t *testing.T) { // RL-13
	w := newWorld(t, func(c *passwordless.Config) {
		c.Policy.EmailSends = []passwordless.Limit{{Count: 2, Per: time.Hour}}
	})
	for i := range 2 {
		_, kind := w.tryStart(pool(i), passwordless.Email, alice)
		require.Empty(t, kind)
	}
	_, kind := w.tryStart(pool(2), passwordless.Email, alice)
	require.Empty(t, kind, "of the reserve")
	_, err := w.Start(t.Context(), byMail(pool(3), alice))
	var limited *passwordless.LimitedError
	require.ErrorAs(t, err, &limited)
	assert.Equal(t, store.Kind("send"), limited.Bucket.Kind)
	assert.Equal(t, time.Hour, limited.RetryAfter)
	assert.Equal(t, w.left(2, 0, time.Hour), limited.Rate, "of what strangers may send, not of the reserve")
	w.clock.advance(time.Hour)
	_, err = w.Start(t.Context(), byMail(pool(3), alice))
	require.NoError(t, err, "as was told")
}

func TestARefusalTellsTheLimitThatMakesOneWait(t *testing.T) { // RL-13
	w := newWorld(t, unlimited, func(c *passwordless.Config) {
		c.Policy.Starts = []passwordless.Limit{{Count: 3, Per: 10 * time.Minute}, {Count: 5, Per: time.Hour}, {Count: 20, Per: 24 * time.Hour}}
	})
	var told []int64
	for i := 0; len(told) == 0 || told[len(told)-1] != 20; i++ {
		require.Less(t, i, 60)
		_, err := w.Start(t.Context(), byMail(home, fmt.Sprintf("u%d@example.com", i)))
		var limited *passwordless.LimitedError
		if !errors.As(err, &limited) {
			require.NoError(t, err)
			continue
		}
		assert.Equal(t, w.left(limited.Rate.Limit, 0, limited.RetryAfter), limited.Rate)
		if !slices.Contains(told, limited.Rate.Limit) {
			told = append(told, limited.Rate.Limit)
		}
		w.clock.advance(limited.RetryAfter)
	}
	assert.Equal(t, []int64{3, 5, 20}, told)
}

func TestARefusalTellsTheWindowThatRefused(t *testing.T) { // RL-13: not a shorter one by which one could wait so long
	w := newWorld(t, unlimited, func(c *passwordless.Config) {
		c.Policy.Starts = []passwordless.Limit{{Count: 3, Per: 10 * time.Minute}, {Count: 5, Per: time.Hour}}
	})
	start := func(i int) error {
		_, err := w.Start(t.Context(), byMail(home, fmt.Sprintf("u%d@example.com", i)))
		return err
	}
	for i := range 5 {
		if i == 3 {
			w.clock.advance(400 * time.Second) // the short window has two again
		}
		require.NoError(t, start(i))
	}
	w.clock.advance(220 * time.Second)
	var limited *passwordless.LimitedError
	require.ErrorAs(t, start(5), &limited)
	assert.Equal(t, 100*time.Second, limited.RetryAfter)
	assert.Equal(t, w.left(5, 0, 100*time.Second), limited.Rate)
}

func TestARateIsRightOrAbsentWhenAnAnswerWasLost(t *testing.T) {
	for name, fault := range map[string]storetest.Fault{"request": storetest.LostRequest(), "answer": storetest.LostAnswer()} {
		w, faulty := newFaulty(t)
		faulty.Spoil(storetest.Commit, 1, fault)
		started, code := w.start(alice)
		if started.Rate != (passwordless.RateLimit{}) {
			assert.Equal(t, w.left(10, 9, time.Minute), started.Rate, name)
		}
		faulty.Spoil(storetest.Commit, 1, fault)
		_, err := w.guess(started.Handle, wrong(code))
		if rate := rateOf(t, err); rate != (passwordless.RateLimit{}) {
			assert.Equal(t, w.left(30, 29, 10*time.Second), rate, name)
		}
	}
}
