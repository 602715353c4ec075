package passwordless_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
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
		started, err := services[i%2].Start(t.Context(), services[i%2].as("web", caller), byMail(fmt.Sprintf("u%d@example.com", i)))
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
		c.Policy.Limits.Starts = []passwordless.Limit{{Count: 5, Per: 10 * time.Minute}, {Count: 6, Per: time.Hour}}
	})
	var rate passwordless.RateLimit
	for i := range 4 {
		started, err := w.Start(t.Context(), w.as("web", home), byMail(fmt.Sprintf("u%d@example.com", i)))
		require.NoError(t, err)
		rate = started.Rate
	}
	assert.Equal(t, w.left(5, 1, 8*time.Minute), rate)
	w.clock.advance(8 * time.Minute)
	started, err := w.Start(t.Context(), w.as("web", home), byMail(alice))
	require.NoError(t, err)
	assert.Equal(t, w.left(6, 1, 42*time.Minute), started.Rate, "the short window is full again, the long one is not")
}

func TestARepeatedStartTellsNothing(t *testing.T) { // it was not charged
	w := newWorld(t)
	first, err := w.Start(t.Context(), w.as("web", inBrowser(home)), byMail(alice))
	require.NoError(t, err)
	assert.Equal(t, w.left(10, 9, time.Minute), first.Rate)
	for range 3 {
		again, err := w.Start(t.Context(), w.as("web", inBrowser(home)), byMail(alice))
		require.NoError(t, err)
		assert.Equal(t, first.Handle, again.Handle)
		assert.Zero(t, again.Rate)
	}
	other, err := w.Start(t.Context(), w.as("web", inBrowser(home)), byMail("x@example.com"))
	require.NoError(t, err)
	assert.EqualValues(t, 8, other.Rate.Remaining)
}

func TestRatesDoNotTellWhoHasAnAccount(t *testing.T) { // EN-1, EN-4
	w := newWorld(t)
	_, err := w.Directory().Add(t.Context(), "", passwordless.User{Email: alice, EmailVerified: true})
	require.NoError(t, err)
	for caller, address := range map[string]string{"192.0.2.1": alice, "192.0.2.2": "nobody@example.com"} {
		started, err := w.Start(t.Context(), w.as("closed", from(caller)), byMail(address))
		require.NoError(t, err)
		assert.Equal(t, w.left(10, 9, time.Minute), started.Rate)
		_, err = w.Verify(t.Context(), w.as("closed", from(caller)), byCode(started.Handle, "000000", passwordless.Issue{}))
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
	verify := byCode(started.Handle, wrong(code), passwordless.Issue{})
	assert.Equal(t, guessed(), rateOf(t, w.CheckCode(t.Context(), w.as("web", home), verify)), "a wrong code at a check")
	verify.Code = passwordless.Secret(code)
	require.NoError(t, w.CheckCode(t.Context(), w.as("web", home), verify))
	guessed()
	_, err = w.guess("no handle", code)
	assert.Zero(t, rateOf(t, err), "what cannot be a handle costs nothing")
	l, err := w.guess(started.Handle, code)
	require.NoError(t, err)
	left := guessed()
	guesses--
	assert.Equal(t, left.Limit-guesses, l.Rate.Remaining, "a right code: what success gives back is not taken")
	_, err = w.guess(started.Handle, code)
	assert.Equal(t, guessed(), rateOf(t, err), "a code that was used")
	for guesses < 15 { // half of the window is for codes that are compared
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
	_, err := w.RedeemLink(t.Context(), w.as("web", caller), passwordless.RedeemRequest{Token: cancel})
	require.ErrorIs(t, err, passwordless.ErrWrongSecret)
	assert.Zero(t, rateOf(t, err))
	l, err := w.RedeemLink(t.Context(), w.as("web", caller), passwordless.RedeemRequest{Token: link})
	require.NoError(t, err)
	assert.Zero(t, l.Rate)
	_, err = w.RedeemLink(t.Context(), w.as("web", caller), passwordless.RedeemRequest{Token: link})
	require.ErrorIs(t, err, passwordless.ErrConsumed)
	assert.Zero(t, rateOf(t, err))
	_, err = w.Resend(t.Context(), w.as("web", home), started.Handle)
	assert.Zero(t, rateOf(t, err), "nor does a refused resend")
}

func TestARefusalTellsTheLimitOfItsBucket(t *testing.T) { // RL-13
	w := newWorld(t, func(c *passwordless.Config) {
		c.Policy.Limits.EmailSends = []passwordless.Limit{{Count: 2, Per: time.Hour}}
	})
	for i := range 2 { // the second from the second half
		_, kind := w.tryStart(pool(i), passwordless.Email, alice)
		require.Empty(t, kind)
	}
	_, err := w.Start(t.Context(), w.as("web", pool(3)), byMail(alice))
	var limited *passwordless.LimitedError
	require.ErrorAs(t, err, &limited)
	assert.Equal(t, "send", limited.Limit)
	assert.Equal(t, time.Hour, limited.RetryAfter)
	assert.Equal(t, w.left(2, 0, time.Hour), limited.Rate, "of what strangers may send")
	w.clock.advance(time.Hour)
	_, err = w.Start(t.Context(), w.as("web", pool(3)), byMail(alice))
	require.NoError(t, err, "as was told")
}

func TestARefusalTellsTheLimitThatMakesOneWait(t *testing.T) { // RL-13
	w := newWorld(t, unlimited, func(c *passwordless.Config) {
		c.Policy.Limits.Starts = []passwordless.Limit{
			{Count: 3, Per: 10 * time.Minute}, {Count: 5, Per: time.Hour}, {Count: 20, Per: 24 * time.Hour},
		}
	})
	var told []int64
	for i := 0; len(told) == 0 || told[len(told)-1] != 20; i++ {
		require.Less(t, i, 60)
		_, err := w.Start(t.Context(), w.as("web", home), byMail(fmt.Sprintf("u%d@example.com", i)))
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
		c.Policy.Limits.Starts = []passwordless.Limit{{Count: 3, Per: 10 * time.Minute}, {Count: 5, Per: time.Hour}}
	})
	start := func(i int) error {
		_, err := w.Start(t.Context(), w.as("web", home), byMail(fmt.Sprintf("u%d@example.com", i)))
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

// A refusal is one of each limit that a caller is told of: the policy that has it, and a call that it refuses at some time.
type refusal struct {
	policy func(*passwordless.Policy)
	call   func(w *world, try int) error
}

// byPhone starts by text message from a network of its own.
func byPhone(number string) func(w *world, try int) error {
	return func(w *world, try int) error {
		_, err := w.Start(context.Background(), w.as("web", pool(try)), passwordless.StartRequest{Channel: passwordless.SMS,
			Address: passwordless.Address(fmt.Sprintf(number, try))})
		return err
	}
}

var refusals = map[string]refusal{
	`messages to this address (limit "send")`: {
		func(p *passwordless.Policy) {
			p.Limits.EmailSends = []passwordless.Limit{{Count: 1, Per: 50 * time.Minute}}
		},
		func(w *world, try int) error {
			_, err := w.Start(context.Background(), w.as("web", pool(try)), byMail(alice))
			return err
		},
	},
	`starts of this network (limit "start")`: {
		func(p *passwordless.Policy) {
			p.Limits.Starts = []passwordless.Limit{{Count: 2, Per: 50 * time.Minute}}
		},
		func(w *world, try int) error {
			_, err := w.Start(context.Background(), w.as("web", home), byMail(fmt.Sprintf("u%d@example.com", try)))
			return err
		},
	},
	`guesses of this network (limit "guess")`: {
		func(p *passwordless.Policy) { p.Limits.Guesses = passwordless.Limit{Count: 2, Per: 50 * time.Minute} },
		func(w *world, _ int) error {
			_, err := w.guess(passwordless.Secret(strings.Repeat("A", 48)), "123456")
			return err
		},
	},
	`text messages to this prefix of numbers (limit "sms-prefix")`: {
		func(p *passwordless.Policy) { p.SMS.Prefix = passwordless.Limit{Count: 2, Per: 50 * time.Minute} }, byPhone("+4670123%04d"),
	},
	`text messages to this country (limit "sms-country")`: {
		func(p *passwordless.Policy) { p.SMS.Country = passwordless.Limit{Count: 2, Per: 50 * time.Minute} }, byPhone("+4670%03d4567"),
	},
	`text messages to everybody (limit "sms-all")`: {
		func(p *passwordless.Policy) { p.SMS.Global = passwordless.Limit{Count: 2, Per: 50 * time.Minute} }, byPhone("+4670%03d4567"),
	},
}

func TestARefusalSaysWhichLimitWhoseAndWhenAgain(t *testing.T) { // RL-13
	for says, c := range refusals {
		w := newWorld(t, func(cfg *passwordless.Config) { c.policy(&cfg.Policy) })
		var limited *passwordless.LimitedError
		try := 0
		for ; limited == nil; try++ {
			require.Less(t, try, 10, says)
			err := c.call(w, try)
			if !errors.As(err, &limited) {
				require.NotErrorIs(t, err, passwordless.ErrUnavailable)
				w.clock.advance(100 * time.Millisecond) // so that it is no whole second
			}
		}
		told, again, found := strings.Cut(limited.Error(), ", again in ")
		require.True(t, found, limited)
		assert.Equal(t, "passwordless: too many "+says, told)
		assert.Contains(t, says, fmt.Sprintf("%q", limited.Limit))
		wait, err := time.ParseDuration(again)
		require.NoError(t, err)
		assert.Zero(t, wait%time.Second, "in whole seconds")
		assert.Less(t, wait-limited.RetryAfter, time.Second)
		w.clock.advance(wait)
		assert.NotErrorAs(t, c.call(w, try), &limited, "whoever waits as the text says is let through: %s", told)
	}
}

func TestARefusalOfLessThanASecondSaysOne(t *testing.T) { // RL-13
	e := &passwordless.LimitedError{Limit: "start", RetryAfter: time.Millisecond}
	assert.EqualError(t, e, `passwordless: too many starts of this network (limit "start"), again in 1s`)
	e.RetryAfter = time.Minute
	assert.EqualError(t, e, `passwordless: too many starts of this network (limit "start"), again in 1m0s`)
}
