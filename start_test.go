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
	again, err := w.Start(t.Context(), passwordless.StartRequest{Client: "web", Channel: passwordless.Email, Address: "Alice@EXAMPLE.com", Caller: browser})
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
	req := passwordless.StartRequest{Client: "web", Channel: passwordless.Email, Address: alice, Handleless: true, Caller: home}
	first, err := w.Start(t.Context(), req)
	require.NoError(t, err)
	again, err := w.Start(t.Context(), req)
	require.NoError(t, err)
	assert.NotEqual(t, first.Browser, again.Browser, "nobody is given another's browser secret")
	assert.Len(t, w.outbox.messages(), 5)
}

// The browser has what the first answer told it; a new secret, to which nothing is bound, would take its place.
func TestARepeatedStartMakesNoBrowserSecret(t *testing.T) { // RL-21, BD-4
	w := newWorld(t)
	req := passwordless.StartRequest{Client: "web", Channel: passwordless.Email, Address: alice, Send: passwordless.SendLink, Handleless: true, Caller: home}
	first, err := w.Start(t.Context(), req)
	require.NoError(t, err)
	require.NotEmpty(t, first.Browser)
	again, err := w.Start(t.Context(), req)
	require.NoError(t, err)
	assert.Empty(t, again.Browser)
	require.Len(t, w.outbox.messages(), 1)
	caller := home
	caller.Browser = first.Browser
	_, err = w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: param(t, w.outbox.last().Link), Caller: caller})
	require.NoError(t, err)
}

func TestAStartThatReturnsElsewhereIsNoRepetition(t *testing.T) { // BD-9
	w := newWorld(t)
	req := passwordless.StartRequest{Client: "web", Channel: passwordless.Email, Address: alice, State: "first", Caller: inBrowser(home)}
	_, err := w.Start(t.Context(), req)
	require.NoError(t, err)
	req.State = "second"
	started, err := w.Start(t.Context(), req)
	require.NoError(t, err)
	l, err := w.guess(started.Handle, w.outbox.last().Code.Reveal())
	require.NoError(t, err)
	assert.Equal(t, "second", l.State)
}

// inBrowser is the caller with a browser's cookie.
func inBrowser(c passwordless.Caller) passwordless.Caller {
	c.Browser = passwordless.Secret(strings.Repeat("A", 43))
	return c
}

func TestAHandlelessChallengeKeepsTriesForItsInitiator(t *testing.T) { // BD-6
	w := newWorld(t)
	req := passwordless.StartRequest{Client: "web", Channel: passwordless.Email, Address: alice, Handleless: true, Caller: home}
	started, err := w.Start(t.Context(), req)
	require.NoError(t, err)
	assert.Empty(t, started.Handle)
	code := w.outbox.last().Code.Reveal()
	verify := func(caller passwordless.Caller, code string) error {
		_, err := w.Verify(t.Context(), passwordless.VerifyRequest{Client: "web", Channel: passwordless.Email, Address: alice,
			Code: passwordless.Secret(code), Caller: caller})
		return err
	}
	for range 20 {
		require.Error(t, verify(attacker, wrong(code)))
	}
	require.ErrorIs(t, verify(attacker, code), passwordless.ErrExhausted)
	require.ErrorIs(t, verify(home, wrong(code)), passwordless.ErrWrongSecret)
	require.ErrorIs(t, verify(home, wrong(code)), passwordless.ErrWrongSecret)
	moved := from("203.0.113.9")
	moved.Browser = started.Browser
	require.NoError(t, verify(moved, code), "the initiator by cookie, after two strangers' tries and two own")
}

func TestARestartReplacesAHandlelessChallenge(t *testing.T) { // LK-10, CG-8
	w := newWorld(t)
	req := passwordless.StartRequest{Client: "web", Channel: passwordless.Email, Address: alice, Handleless: true, Caller: home}
	_, err := w.Start(t.Context(), req)
	require.NoError(t, err)
	first := w.outbox.last().Code.Reveal()
	w.clock.advance(time.Minute)
	_, err = w.Start(t.Context(), req)
	require.NoError(t, err)
	second := w.outbox.last().Code.Reveal()
	verify := func(code string) error {
		_, err := w.Verify(t.Context(), passwordless.VerifyRequest{Client: "web", Channel: passwordless.Email, Address: alice,
			Code: passwordless.Secret(code), Caller: home})
		return err
	}
	if first != second {
		require.ErrorIs(t, verify(first), passwordless.ErrWrongSecret)
	}
	require.NoError(t, verify(second))
}

func TestResendRepeatsTheCodeAndGivesNoMoreTime(t *testing.T) { // VF-5, CG-8
	w := newWorld(t)
	ctx := t.Context()
	started, code := w.start(alice)
	resend := func() error {
		_, err := w.Resend(ctx, passwordless.ResendRequest{Client: "web", Handle: started.Handle, Caller: home})
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
	w := newWorld(t, func(c *passwordless.Config) { c.Policy.Resend = passwordless.ReplaceSecret })
	started, first := w.start(alice)
	w.clock.advance(time.Minute)
	_, err := w.Resend(t.Context(), passwordless.ResendRequest{Client: "web", Handle: started.Handle, Caller: home})
	require.NoError(t, err)
	second := w.outbox.last().Code.Reveal()
	if first != second {
		_, err = w.guess(started.Handle, first)
		require.ErrorIs(t, err, passwordless.ErrWrongSecret)
	}
	_, err = w.guess(started.Handle, second)
	require.NoError(t, err)
}

func TestARemovedKeyEndsItsCodesAndResendMakesNewOnes(t *testing.T) { // SK-3
	w := newWorld(t)
	started, code := w.start(alice)
	rotated := w.second()
	rotated.cfg.Keys = []passwordless.RingKey{{ID: "k2", Secret: passwordless.RandomKey()}, w.cfg.Keys[0]}
	rotated.Service = newService(t, rotated.cfg)
	require.NoError(t, rotated.Check(t.Context(), passwordless.VerifyRequest{Client: "web", Handle: started.Handle, Code: passwordless.Secret(code), Caller: home}),
		"an old key verifies while it is in the ring")

	removed := w.second()
	removed.cfg.Keys = rotated.cfg.Keys[:1]
	removed.Service = newService(t, removed.cfg)
	_, err := removed.guess(started.Handle, code)
	require.ErrorIs(t, err, passwordless.ErrWrongSecret)
	w.clock.advance(time.Minute)
	_, err = removed.Resend(t.Context(), passwordless.ResendRequest{Client: "web", Handle: started.Handle, Caller: home})
	require.NoError(t, err)
	_, err = removed.guess(started.Handle, removed.outbox.last().Code.Reveal())
	require.NoError(t, err)
}

func TestAClosedSignUpAnswersAllAlike(t *testing.T) { // EN-1, EN-4
	w := newWorld(t)
	ctx := t.Context()
	_, err := w.Directory().Add(ctx, "", passwordless.User{Email: alice})
	require.NoError(t, err)
	_, err = w.Directory().Add(ctx, "", passwordless.User{Email: "blocked@example.com", Status: passwordless.UserBlocked})
	require.NoError(t, err)
	for _, address := range []string{alice, "nobody@example.com", "blocked@example.com"} {
		started, err := w.Start(ctx, passwordless.StartRequest{Client: "closed", Channel: passwordless.Email, Address: address, Caller: home})
		require.NoError(t, err)
		assert.Equal(t, epochStart.Add(10*time.Minute), started.Expires)
		for left := 4; left >= 0; left-- {
			_, err := w.Verify(ctx, passwordless.VerifyRequest{Client: "closed", Handle: started.Handle, Code: "000000", Caller: home})
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
	_, err := w.Directory().Add(t.Context(), "", passwordless.User{Email: alice, EmailVerified: true, Status: passwordless.UserLocked})
	require.NoError(t, err)
	started, code := w.start(alice)
	_, err = w.guess(started.Handle, code)
	var refused *passwordless.AccountError
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, passwordless.UserLocked, refused.Status)
	_, err = w.guess(started.Handle, code)
	require.ErrorIs(t, err, passwordless.ErrConsumed)
}

func TestAStartThatIsWrongDoesNothing(t *testing.T) { // AC-1, LK-9
	w := newWorld(t)
	good := passwordless.StartRequest{Client: "web", Channel: passwordless.Email, Address: alice, Caller: home}
	for name, change := range map[string]func(*passwordless.StartRequest){
		"Address":     func(r *passwordless.StartRequest) { r.Address = "e@attacker.com,alice@example.com" },
		"Channel":     func(r *passwordless.StartRequest) { r.Channel = "fax" },
		"Send":        func(r *passwordless.StartRequest) { r.Send = 9 },
		"RedirectURI": func(r *passwordless.StartRequest) { r.RedirectURI = "https://app.example.com/cb/" },
		"State":       func(r *passwordless.StartRequest) { r.State = strings.Repeat("x", 2049) },
		"Caller.IP":   func(r *passwordless.StartRequest) { r.Caller = passwordless.Caller{} },
	} {
		req := good
		change(&req)
		_, err := w.Start(t.Context(), req)
		var bad *passwordless.InputError
		require.ErrorAs(t, err, &bad, name)
		assert.Equal(t, name, bad.Field)
		assert.NotContains(t, err.Error(), "attacker")
	}
	good.Client = "nobody"
	_, err := w.Start(t.Context(), good)
	require.ErrorIs(t, err, passwordless.ErrUnknownClient)
	assert.Empty(t, w.outbox.messages())
	n, err := w.Sweep(t.Context(), 1000)
	require.NoError(t, err)
	assert.Zero(t, n)
}

func TestSMSGoesToAllowedCountriesOnly(t *testing.T) { // RL-9
	w := newWorld(t)
	for number, ok := range map[string]bool{"+46 70 111 11 11": true, "004746123456": true, "+1 202 555 0143": false} {
		_, err := w.Start(t.Context(), passwordless.StartRequest{Client: "web", Channel: passwordless.SMS, Address: number, Caller: home})
		assert.Equal(t, ok, err == nil, number)
	}
	_, err := w.Start(t.Context(), passwordless.StartRequest{Client: "web", Channel: passwordless.SMS, Address: "+46701111111", Send: passwordless.SendLink, Caller: home})
	require.Error(t, err, "no links by SMS (LK-13)")
}

func TestAMessageThatSurelyWasNotTakenIsGivenBack(t *testing.T) { // SN-10
	w := newWorld(t, func(c *passwordless.Config) {
		c.Policy.EmailSends = []passwordless.Limit{{Count: 1, Per: time.Hour}}
	})
	w.outbox.fail = fmt.Errorf("gateway: %w", passwordless.ErrNotAccepted)
	for range 3 {
		_, err := w.Start(t.Context(), passwordless.StartRequest{Client: "web", Channel: passwordless.Email, Address: alice, Caller: home})
		var failed *passwordless.DeliveryError
		require.ErrorAs(t, err, &failed)
		assert.False(t, failed.Accepted)
	}
	w.outbox.fail = errors.New("timeout")
	_, err := w.Start(t.Context(), passwordless.StartRequest{Client: "web", Channel: passwordless.Email, Address: alice, Caller: home})
	var failed *passwordless.DeliveryError
	require.ErrorAs(t, err, &failed)
	assert.True(t, failed.Accepted, "perhaps it went out")
}
