package passwordless_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
)

func TestARepeatedStartIsAnsweredLikeTheFirst(t *testing.T) { // RL-21
	w := newWorld(t)
	browser := inBrowser(home)
	first, code := w.startFrom(browser, alice)
	w.clock.advance(10 * time.Second)
	again, err := w.startWith(browser, byMail("Alice@EXAMPLE.com"))
	require.NoError(t, err)
	assert.Equal(t, first.Handle, again.Handle)
	assert.Equal(t, first.Browser, again.Browser)
	assert.Equal(t, first.Expires, again.Expires)
	assert.Equal(t, 20*time.Second, again.ResendAfter)
	assert.Len(t, w.outbox.messages(), 1)
	_, err = w.guess(first.Handle, code)
	require.NoError(t, err)
}

func TestACooldownDoesNotHoldWhoIsDone(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		started, code := w.startFrom(inBrowser(home), alice)
		_, err := w.guess(started.Handle, code)
		require.NoError(t, err)
		w.clock.advance(time.Second)
	}
	assert.Len(t, w.outbox.messages(), 3)
}

func TestOthersDoNotShareACooldown(t *testing.T) { // BD-2, BD-4
	w := newWorld(t, unlimited)
	mine, _ := w.startFrom(inBrowser(home), alice)
	assert.Equal(t, inBrowser(home).Browser, mine.Browser, "a browser keeps its cookie")
	other := home
	other.Browser = passwordless.Secret(strings.Repeat("B", 42) + "A")
	for name, caller := range map[string]passwordless.Caller{
		"another network": attacker, "another browser behind one address": other, "no browser behind one address": home} {
		theirs, _ := w.startFrom(caller, alice)
		assert.NotEqual(t, mine.Handle, theirs.Handle, name)
		assert.NotEqual(t, mine.Browser, theirs.Browser, name)
	}
	first, err := w.startWith(home, byAddress(alice))
	require.NoError(t, err)
	again, err := w.startWith(home, byAddress(alice))
	require.NoError(t, err)
	assert.NotEqual(t, first.Browser, again.Browser, "nobody is given another's browser secret")
	assert.Len(t, w.outbox.messages(), 5)
}

// The browser has what the first answer told it; a new secret, to which nothing is bound, would take its place.
func TestARepeatedStartMakesNoBrowserSecret(t *testing.T) { // RL-21, BD-4
	w := newWorld(t)
	req := byAddress(alice)
	req.Send = passwordless.SendLink
	first, err := w.startWith(home, req)
	require.NoError(t, err)
	require.NotEmpty(t, first.Browser)
	again, err := w.startWith(home, req)
	require.NoError(t, err)
	assert.Empty(t, again.Browser)
	require.Len(t, w.outbox.messages(), 1)
	_, err = w.redeem(keeping(home, first), param(t, w.outbox.last().Link))
	require.NoError(t, err)
}

func TestAStartThatReturnsElsewhereIsNoRepetition(t *testing.T) { // BD-9
	w := newWorld(t, unlimited)
	req := byMail(alice)
	req.State = "first"
	_, err := w.startWith(inBrowser(home), req)
	require.NoError(t, err)
	req.State = "second"
	started, err := w.startWith(inBrowser(home), req)
	require.NoError(t, err)
	l, err := w.guess(started.Handle, w.outbox.last().Code.Reveal())
	require.NoError(t, err)
	assert.Equal(t, "second", l.State)
	req.State = "third"
	_, err = w.startWith(inBrowser(home), req)
	require.NoError(t, err)
	req.RedirectURI = callback
	started, err = w.startWith(inBrowser(home), req)
	require.NoError(t, err)
	l, err = w.guess(started.Handle, w.outbox.last().Code.Reveal())
	require.NoError(t, err)
	assert.Equal(t, callback, l.RedirectURI)
}

func TestAChallengeByAddressKeepsAttemptsForItsInitiator(t *testing.T) { // BD-6
	w := newWorld(t)
	started, err := w.startWith(home, byAddress(alice))
	require.NoError(t, err)
	assert.Empty(t, started.Handle)
	code := w.outbox.last().Code.Reveal()
	verify := func(caller passwordless.Caller, code string) error {
		_, err := w.Verify(t.Context(), w.as("web", caller), coded(alice, code))
		return err
	}
	for range 10 {
		require.Error(t, verify(attacker, wrong(code)))
	}
	require.ErrorIs(t, verify(attacker, code), passwordless.ErrExhausted)
	require.ErrorIs(t, verify(home, wrong(code)), passwordless.ErrWrongSecret)
	require.ErrorIs(t, verify(home, wrong(code)), passwordless.ErrWrongSecret)
	moved := from("203.0.113.9")
	moved.Browser = started.Browser
	require.NoError(t, verify(moved, code), "the initiator by cookie, after two strangers' guesses and two own")
}

func TestARestartReplacesAChallengeByAddress(t *testing.T) { // LK-10, CG-8
	w := newWorld(t)
	_, err := w.startWith(home, byAddress(alice))
	require.NoError(t, err)
	first := w.outbox.last().Code.Reveal()
	w.clock.advance(time.Minute)
	_, err = w.startWith(home, byAddress(alice))
	require.NoError(t, err)
	second := w.outbox.last().Code.Reveal()
	verify := func(code string) error {
		_, err := w.Verify(t.Context(), w.as("web", home), coded(alice, code))
		return err
	}
	if first != second {
		require.ErrorIs(t, verify(first), passwordless.ErrWrongSecret)
	}
	require.NoError(t, verify(second))
}

func TestResendRepeatsTheCodeAndGivesNoMoreTime(t *testing.T) { // VF-5, CG-8
	w := newWorld(t, unlimited)
	ctx := t.Context()
	started, code := w.start(alice)
	resend := func() error {
		_, err := w.Resend(ctx, w.as("web", home), started.Handle)
		return err
	}
	var refused *passwordless.ChallengeError
	require.ErrorAs(t, resend(), &refused)
	require.ErrorIs(t, refused, passwordless.ErrTooSoon)
	assert.Equal(t, 30*time.Second, refused.RetryAfter)
	for i := range 3 {
		w.clock.advance(30 * time.Second << i)
		require.NoError(t, resend())
		assert.Equal(t, code, w.outbox.last().Code.Reveal())
		_, err := w.guess(started.Handle, wrong(code))
		require.ErrorIs(t, err, passwordless.ErrWrongSecret)
	}
	w.clock.advance(4 * time.Minute)
	require.ErrorIs(t, resend(), passwordless.ErrNoResends)
	_, err := w.guess(started.Handle, wrong(code))
	require.ErrorIs(t, err, passwordless.ErrWrongSecret)
	_, err = w.guess(started.Handle, wrong(code))
	require.ErrorIs(t, err, passwordless.ErrExhausted, "resends gave no attempts")
	ids := map[string]bool{}
	for _, m := range w.outbox.messages() {
		ids[m.ID] = true
	}
	assert.Len(t, ids, 4, "each message has an ID of its own")
}

func TestResendCanReplaceTheSecrets(t *testing.T) { // CG-8
	w := newWorld(t, func(c *passwordless.Config) { c.Policy.Codes.ReplaceOnResend = true })
	started, first := w.start(alice)
	w.clock.advance(time.Minute)
	_, err := w.Resend(t.Context(), w.as("web", home), started.Handle)
	require.NoError(t, err)
	second := w.outbox.last().Code.Reveal()
	if first != second {
		_, err = w.guess(started.Handle, first)
		require.ErrorIs(t, err, passwordless.ErrWrongSecret)
	}
	_, err = w.guess(started.Handle, second)
	require.NoError(t, err)
}

func TestAClosedSignUpAnswersAllAlike(t *testing.T) { // EN-1, EN-4
	w := newWorld(t)
	ctx := t.Context()
	_, err := w.Directory().Add(ctx, "", passwordless.User{Email: alice})
	require.NoError(t, err)
	_, err = w.Directory().Add(ctx, "", passwordless.User{Email: "blocked@example.com", Status: passwordless.UserBlocked})
	require.NoError(t, err)
	for i, address := range []string{alice, "nobody@example.com", "blocked@example.com"} {
		caller := pool(i)
		started, err := w.Start(ctx, w.as("closed", caller), byMail(address))
		require.NoError(t, err)
		assert.Equal(t, epochStart.Add(10*time.Minute), started.Expires)
		for left := 4; left >= 0; left-- {
			_, err := w.Verify(ctx, w.as("closed", caller), passwordless.VerifyRequest{Handle: started.Handle, Code: "000000"})
			var refused *passwordless.ChallengeError
			require.ErrorAs(t, err, &refused, address)
			assert.Equal(t, left, refused.AttemptsLeft, address)
		}
	}
	require.Len(t, w.outbox.messages(), 1, "only she was sent anything")
	assert.Equal(t, alice, w.outbox.last().To.Reveal())
}

func TestAnAccountThatMayNotSignIn(t *testing.T) { // SS-6
	w := newWorld(t)
	locked, err := w.Directory().Add(t.Context(), "", passwordless.User{Email: alice, EmailVerified: true,
		Status: passwordless.UserLocked})
	require.NoError(t, err)
	started, code := w.start(alice)
	_, err = w.Verify(t.Context(), w.as("web", home), byCode(started.Handle, code, session))
	var refused *passwordless.AccountError
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, passwordless.UserLocked, refused.Status)
	_, err = w.guess(started.Handle, code)
	require.ErrorIs(t, err, passwordless.ErrConsumed)
	sessions, _, err := w.Sessions(t.Context(), "", locked.ID, 10, "")
	require.NoError(t, err)
	assert.Empty(t, sessions, "nothing was granted")
}

func TestAStartThatIsWrongDoesNothing(t *testing.T) { // AC-1, LK-9
	w := newWorld(t)
	good := byMail(alice)
	for name, change := range map[string]func(*passwordless.StartRequest){
		"Address":     func(r *passwordless.StartRequest) { r.Address = "e@attacker.com,alice@example.com" },
		"Channel":     func(r *passwordless.StartRequest) { r.Channel = "fax" },
		"Send":        func(r *passwordless.StartRequest) { r.Send = 9 },
		"RedirectURI": func(r *passwordless.StartRequest) { r.RedirectURI = "https://app.example.com/cb/" },
		"State":       func(r *passwordless.StartRequest) { r.State = strings.Repeat("x", 2049) },
		"Params":      func(r *passwordless.StartRequest) { r.Params = strings.Repeat("x", 4097) },
		"LinkURL":     func(r *passwordless.StartRequest) { r.LinkURL = "https://login.example.com/?t=" },
	} {
		req := good
		change(&req)
		_, err := w.startWith(home, req)
		var bad *passwordless.InputError
		require.ErrorAs(t, err, &bad, name)
		assert.Equal(t, name, bad.Field)
		assert.NotContains(t, err.Error(), "attacker")
	}
	_, err := w.startWith(passwordless.Caller{}, good)
	var bad *passwordless.InputError
	require.ErrorAs(t, err, &bad)
	assert.Equal(t, "Caller.IP", bad.Field)
	for _, id := range []string{"nobody", "", "web ", strings.Repeat("w", 65)} {
		_, err := w.Public(t.Context(), id, home)
		require.ErrorIs(t, err, passwordless.ErrUnknownClient, id)
	}
	assert.Empty(t, w.outbox.messages())
	n, err := w.Sweep(t.Context(), 1000)
	require.NoError(t, err)
	assert.Zero(t, n)
}

func TestSMSGoesToAllowedCountriesOnly(t *testing.T) { // RL-9
	w := newWorld(t)
	for number, ok := range map[passwordless.Address]bool{"+46 70 111 11 11": true, "004746123456": true,
		"+1 202 555 0143": false} {
		_, err := w.startWith(home, passwordless.StartRequest{Channel: passwordless.SMS, Address: number})
		assert.Equal(t, ok, err == nil, string(number))
	}
	_, err := w.startWith(home, passwordless.StartRequest{Channel: passwordless.SMS, Address: "+46701111111",
		Send: passwordless.SendLink})
	require.Error(t, err, "no links by SMS (LK-13)")
}

func TestAMessageThatSurelyWasNotTakenIsGivenBack(t *testing.T) { // SN-10
	w := newWorld(t, func(c *passwordless.Config) {
		c.Policy.Limits.EmailSends = []passwordless.Limit{{Count: 2, Per: time.Hour}}
	})
	w.outbox.fail = fmt.Errorf("gateway: %w", passwordless.ErrNotAccepted)
	for range 3 {
		_, err := w.startWith(home, byMail(alice))
		var failed *passwordless.DeliveryError
		require.ErrorAs(t, err, &failed)
		assert.False(t, failed.Accepted)
	}
	w.outbox.fail = errors.New("timeout")
	_, err := w.startWith(home, byMail(alice))
	var failed *passwordless.DeliveryError
	require.ErrorAs(t, err, &failed)
	assert.True(t, failed.Accepted, "perhaps it went out")
	_, err = w.startWith(attacker, byMail(alice)) // which the second half allows
	require.ErrorAs(t, err, &failed)
	_, err = w.startWith(attacker, byMail(alice))
	require.ErrorAs(t, err, new(*passwordless.LimitedError), "so it is charged")
}
