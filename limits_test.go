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

func TestAYearOfGuessingStaysUnderTheLedger(t *testing.T) { // RL-4, VF-5, VF-7
	if testing.Short() {
		t.Skip("a year takes seconds")
	}
	w := newWorld(t)
	short, long, network := 0, 0, 0
	for range 365 {
		for range 10 {
			w.clock.advance(2 * time.Hour)
			network++
			caller := pool(network)
			started, kind := w.tryStart(caller, passwordless.Email, alice)
			if kind != "" {
				continue
			}
			code := w.outbox.last().Code.Reveal()
			for range 5 {
				if _, err := w.guessFrom(caller, started.Handle, wrong(code)); errors.Is(err, passwordless.ErrShortCodesOff) {
					continue // not looked at
				}
				if len(code) == 6 {
					short++
				} else {
					long++
				}
			}
		}
		w.clock.advance(4 * time.Hour)
		started, kind := w.tryStart(home, passwordless.Email, alice)
		require.Empty(t, kind, "the owner is never locked out (RL-5)")
		_, err := w.guess(started.Handle, w.outbox.last().Code.Reveal())
		require.NoError(t, err, "the owner is never locked out (RL-5)")
	}
	t.Logf("%d guesses at short codes, %d at long ones", short, long)
	assert.LessOrEqual(t, short, 25+50, "a quarter of the year's risk at once, and half of it more")
	assert.Greater(t, short, 25, "the ledger is what stopped them")
	assert.Greater(t, long, 10_000)
}

func TestASuccessByAddressDoesNotRefillTheLedger(t *testing.T) { // RL-4: an attacker must not ride on the owner's successes
	w := newWorld(t)
	req := byMail(alice)
	req.ByAddress = true
	verify := func(caller passwordless.Caller, code string) error {
		_, err := w.Verify(t.Context(), w.as("web", caller),
			passwordless.VerifyRequest{Channel: passwordless.Email, Address: alice, Code: passwordless.Secret(code)})
		return err
	}
	evaluated := 0
	for i := range 200 {
		w.clock.advance(2 * time.Hour)
		_, err := w.Start(t.Context(), w.as("web", home), req)
		require.NoError(t, err)
		code := w.outbox.last().Code.Reveal()
		for range 2 {
			err := verify(pool(i), wrong(code))
			looked := errors.Is(err, passwordless.ErrWrongSecret) || errors.Is(err, passwordless.ErrExhausted)
			if looked && len(code) == 6 {
				evaluated++
			}
		}
		require.NoError(t, verify(home, code))
	}
	assert.LessOrEqual(t, evaluated, 45+200*2/24/7+1)
}

func TestARightCheckDrawsNothingFromTheLedger(t *testing.T) { // RL-4, RL-5
	for name, byAddress := range map[string]bool{"by a handle": false, "by the address": true} {
		w := newWorld(t)
		for range 100 { // sign-ins that nobody finishes
			w.clock.advance(2 * time.Hour)
			req := byMail(alice)
			req.ByAddress = byAddress
			started, err := w.Start(t.Context(), w.as("web", home), req)
			require.NoError(t, err)
			code := w.outbox.last().Code
			require.Len(t, code, 6, name)
			require.NoError(t, w.CheckCode(t.Context(), w.as("web", home),
				passwordless.VerifyRequest{Handle: started.Handle, Channel: passwordless.Email, Address: alice, Code: code}))
		}
	}
}

func TestRightCodesAreNoFailures(t *testing.T) { // RL-17: neither at a check nor at a sign-in
	w := newWorld(t, unlimited, func(c *passwordless.Config) {
		c.Policy.MaxDailyRisk = 1e-4
	})
	for i := range 100 {
		started, code := w.start(fmt.Sprintf("u%d@example.com", i))
		require.Len(t, code, 6)
		require.NoError(t, w.CheckCode(t.Context(), w.as("web", home), byCode(started.Handle, code, passwordless.Issue{})))
		_, err := w.guess(started.Handle, code)
		require.NoError(t, err)
	}
}

func TestWhoSignsInDailyKeepsShortCodes(t *testing.T) { // RL-5, RL-19: without a handle, on a device that is never known
	for _, c := range []struct {
		name     string
		mistakes int // one sign-in in so many begins with a wrong code; 0: none does
		checks   bool
	}{
		{"without a mistake", 0, false},
		{"with a check before", 0, true},
		{"with a mistake in ten", 10, false},
		{"with both", 10, true},
	} {
		w := newWorld(t)
		for day := range 365 {
			w.clock.advance(24 * time.Hour)
			start := byMail(alice)
			start.ByAddress = true
			_, err := w.Start(t.Context(), w.as("web", home), start)
			require.NoError(t, err)
			code := w.outbox.last().Code
			require.Len(t, code, 6, "%s: day %d", c.name, day)
			req := passwordless.VerifyRequest{Channel: passwordless.Email, Address: alice,
				Code: passwordless.Secret(wrong(code.Reveal()))}
			if c.mistakes > 0 && day%c.mistakes == 0 {
				_, err = w.Verify(t.Context(), w.as("web", home), req)
				require.ErrorIs(t, err, passwordless.ErrWrongSecret)
			}
			req.Code = code
			if c.checks {
				require.NoError(t, w.CheckCode(t.Context(), w.as("web", home), req))
			}
			_, err = w.Verify(t.Context(), w.as("web", home), req)
			require.NoError(t, err)
		}
	}
}

func TestAKnownDeviceDoesNotDrawOnTheLedger(t *testing.T) { // RL-5, BD-7
	w := newWorld(t)
	device := home
	device.Device = w.signIn(alice, passwordless.Issue{}).Device
	for i := range 12 { // an attacker drains the ledger
		w.clock.advance(time.Hour)
		started, _ := w.tryStart(pool(i), passwordless.Email, alice)
		for range 5 {
			_, _ = w.guessFrom(pool(i), started.Handle, wrong(w.outbox.last().Code.Reveal()))
		}
	}
	w.clock.advance(time.Hour)
	_, code := w.startFrom(home, alice)
	assert.Len(t, code, 9, "an unknown device gets a longer code")
	w.clock.advance(time.Hour)
	started, code := w.startFrom(device, alice)
	assert.Len(t, code, 6, "a known one does not")
	l, err := w.guessFrom(device, started.Handle, code)
	require.NoError(t, err)
	assert.True(t, l.KnownDevice)
	assert.NotEqual(t, device.Device, l.Device, "rotated at each success")
}

func TestADeviceCookieIsOfOnePersonAndEnds(t *testing.T) { // BD-7
	w := newWorld(t)
	device := w.signIn(alice, passwordless.Issue{}).Device
	for _, c := range []struct {
		name    string
		cookie  passwordless.Secret
		address string
		wait    time.Duration
		known   bool
	}{
		{"hers", device, alice, time.Hour, true},
		{"another person", device, "mallory@example.com", time.Hour, false},
		{"changed", device[:len(device)-3] + "AAA", alice, time.Hour, false},
		{"cut", device[:30], alice, time.Hour, false},
		{"too old", device, alice, 180 * 24 * time.Hour, false},
	} {
		w.clock.advance(c.wait)
		caller := home
		caller.Device = c.cookie
		started, code := w.startFrom(caller, c.address)
		l, err := w.guessFrom(caller, started.Handle, code)
		require.NoError(t, err)
		assert.Equal(t, c.known, l.KnownDevice, c.name)
	}
}

func TestTenFailuresRevokeADevice(t *testing.T) { // BD-7
	w := newWorld(t)
	device := home
	device.Device = w.signIn(alice, passwordless.Issue{}).Device
	for range 2 {
		w.clock.advance(time.Hour)
		started, code := w.startFrom(device, alice)
		for range 5 {
			_, err := w.guessFrom(device, started.Handle, wrong(code))
			require.Error(t, err)
		}
	}
	for i := range 5 { // from here on the ledger pays, until strangers have spent their part
		w.clock.advance(time.Hour)
		elsewhere := having(device.Device)(i)
		started, code := w.startFrom(elsewhere, alice)
		require.Len(t, code, 6)
		for range 5 {
			_, err := w.guessFrom(elsewhere, started.Handle, wrong(code))
			require.Error(t, err)
		}
	}
	w.clock.advance(time.Hour)
	started, code := w.startFrom(device, alice)
	assert.Len(t, code, 9, "it is a device like any other now")
	l, err := w.guessFrom(device, started.Handle, code)
	require.NoError(t, err, "and its owner is not locked out (RL-5)")
	assert.False(t, l.KnownDevice)
	w.clock.advance(time.Hour)
	device.Device = l.Device
	_, code = w.startFrom(device, alice)
	assert.Len(t, code, 6, "the sign-in made it known again")
}

func TestSpellingsShareABucket(t *testing.T) { // RL-3
	w := newWorld(t)
	spellings := map[passwordless.Channel][]string{
		passwordless.Email: {"a@example.com", "A@example.com", "a@EXAMPLE.com"},
		passwordless.SMS:   {"+46701111111", "0046701111111", "+46 70-111 11 11"},
	}
	for ch, all := range spellings {
		for i, address := range all {
			_, kind := w.tryStart(pool(i), ch, address)
			require.Empty(t, kind)
		}
		_, kind := w.tryStart(pool(9), ch, all[0])
		assert.Equal(t, "send", kind, "%s: a fourth message within ten minutes", ch)
	}
}

func TestATrunkZeroMakesNoSecondPerson(t *testing.T) { // RL-3
	w := newWorld(t)
	want := &passwordless.InputError{Field: "Address",
		Reason: "a zero behind the country calling code, where the numbering plan has none"}
	people := map[passwordless.Identifier]bool{}
	for i, number := range []string{"+46701234567", "+460701234567", "+4600701234567", "+46000701234567", "0046 070-123 45 67"} {
		number := passwordless.Address(number)
		id, malformed := passwordless.ParseIdentifier(passwordless.SMS, number)
		_, start := w.Start(t.Context(), w.as("web", pool(i)),
			passwordless.StartRequest{Channel: passwordless.SMS, Address: number})
		_, verify := w.Verify(t.Context(), w.as("web", pool(i)),
			passwordless.VerifyRequest{Channel: passwordless.SMS, Address: number, Code: "123456"})
		_, add := w.Directory().Add(t.Context(), "", passwordless.User{Phone: number})
		if malformed == nil {
			people[id] = true
			require.NoError(t, start)
			require.NoError(t, add)
			continue
		}
		for _, err := range []error{malformed, start, verify} {
			require.Equal(t, want, err, string(number))
		}
		var input *passwordless.InputError
		require.ErrorAs(t, add, &input, string(number))
	}
	assert.Equal(t, map[passwordless.Identifier]bool{{Channel: passwordless.SMS, Address: "+46701234567"}: true}, people)
	assert.Len(t, w.outbox.messages(), 1)
}

func TestSpellingsOfOneAddressShareABucket(t *testing.T) { // RL-3, RL-7: what netip reads as one network is one
	for network, spellings := range map[string][]string{
		"an IPv4 address": {"192.0.2.7", "::ffff:192.0.2.7", "::FFFF:192.0.2.7", "::ffff:c000:207", "::ffff:C000:0207",
			"0:0:0:0:0:ffff:192.0.2.7", "0000:0000:0000:0000:0000:ffff:c000:0207", "::ffff:192.0.2.7%eth0", "::ffff:c000:207%1"},
		"a /64": {"2001:db8:0:2::a", "2001:DB8:0:2::A", "2001:db8:0000:0002:0000:0000:0000:000a", "2001:0db8::2:0:0:0:a",
			"2001:db8::2:0:0:0.0.0.10", "2001:db8:0:2:0:0:192.0.2.1", "2001:db8:0:2::a%eth0", "2001:db8:0:2:ffff:ffff:ffff:ffff%25x"},
		"the link": {"fe80::1", "FE80::1", "fe80:0:0:0:0:0:0:1", "fe80::1%eth0", "fe80::1%eth1", "fe80::2%x%y", "fe80::0.0.0.1%1"},
	} {
		w := newWorld(t, oneStart(time.Hour), func(c *passwordless.Config) {
			c.Policy.Limits.Guesses = passwordless.Limit{Count: 1, Per: time.Hour}
		})
		started, code := w.startFrom(from("203.0.113.1"), alice)
		for i, ip := range spellings {
			_, starts := w.tryStart(from(ip), passwordless.Email, "a@example.com")
			_, err := w.guessFrom(from(ip), started.Handle, wrong(code))
			if i == 0 {
				require.Empty(t, starts, network)
				require.ErrorIs(t, err, passwordless.ErrWrongSecret, network)
				continue
			}
			assert.Equal(t, "start", starts, "%s: %s", network, ip)
			var limited *passwordless.LimitedError
			require.ErrorAs(t, err, &limited, "%s: %s", network, ip)
			assert.Equal(t, "guess", limited.Limit, "%s: %s", network, ip)
		}
	}
}

func TestAttemptsAreBoundedWithoutALimit(t *testing.T) { // VF-1, VF-4: with each limit as loose as a policy can have it
	loose := passwordless.Limit{Count: 1e6, Per: time.Second}
	list := []passwordless.Limit{loose}
	for _, attempts := range []int{1, 5, 10} {
		w := newWorld(t, func(c *passwordless.Config) {
			c.Policy = passwordless.Policy{MaxYearlyRisk: 1e-2, MaxDailyRisk: 10, ClockSkew: -1, InsecureAnyBrowser: true,
				Codes:  passwordless.CodePolicy{MaxAttempts: attempts, MaxResends: 10, ResendCooldown: 10 * time.Second, StartCooldown: -1},
				Limits: passwordless.LimitPolicy{EmailSends: list, SMSSends: list, Starts: list, Guesses: loose},
				SMS:    passwordless.SMSPolicy{Countries: []int{46}, Prefix: loose, Country: loose, Global: loose, Unverified: loose}}
		})
		known := home
		known.Device = w.signIn(alice, passwordless.Issue{}).Device
		for who, guesser := range map[string]func(i int) passwordless.Caller{
			"from one network": func(int) passwordless.Caller { return attacker }, "each from a network of its own": pool,
			"from a known device": func(int) passwordless.Caller { return known }} {
			w.clock.advance(time.Hour)
			started, code := w.start(alice)
			looked, mu := 0, sync.Mutex{} // mu guards looked
			var group sync.WaitGroup
			for i := range 64 {
				group.Go(func() {
					var refused *passwordless.ChallengeError
					_, err := w.guessFrom(guesser(i), started.Handle, wrong(code))
					if !errors.As(err, &refused) {
						t.Errorf("%s: %v", who, err)
					} else if refused.Reason == passwordless.ErrWrongSecret {
						mu.Lock()
						defer mu.Unlock()
						looked++
					}
				})
			}
			group.Wait()
			assert.Equal(t, attempts-1, looked, "%s: the last one ended the challenge, of %d", who, attempts)
			_, err := w.guess(started.Handle, code)
			require.ErrorIs(t, err, passwordless.ErrExhausted, "%s, of %d", who, attempts)
			require.ErrorIs(t, w.check(started.Handle, code), passwordless.ErrExhausted)
		}
	}
}

func TestAFloodDoesNotSilenceTheOwner(t *testing.T) { // RL-5
	w := newWorld(t)
	device := home
	device.Device = w.signIn(alice, passwordless.Issue{}).Device
	w.clock.advance(24 * time.Hour)
	for i := range 100 {
		w.clock.advance(time.Minute)
		w.tryStart(pool(i), passwordless.Email, alice)
	}
	started, kind := w.tryStart(device, passwordless.Email, alice)
	require.Empty(t, kind)
	_, err := w.guessFrom(device, started.Handle, w.outbox.last().Code.Reveal())
	require.NoError(t, err)
}

func TestANetworkIsLimited(t *testing.T) { // RL-1, RL-2, RL-7
	w := newWorld(t)
	for i := range 10 {
		caller := from(fmt.Sprintf("2001:db8:1:2:%x::1", i+1))
		_, kind := w.tryStart(caller, passwordless.Email, fmt.Sprintf("u%d@example.com", i))
		require.Empty(t, kind)
	}
	_, kind := w.tryStart(from("2001:db8:1:2:ffff::9"), passwordless.Email, "last@example.com")
	assert.Equal(t, "start", kind, "a /64 is one network")
	_, kind = w.tryStart(from("2001:db8:1:3::1"), passwordless.Email, "last@example.com")
	assert.Empty(t, kind)

	started, _ := w.start(alice)
	for range 15 {
		_, err := w.guessFrom(attacker, started.Handle, "malformed")
		require.ErrorIs(t, err, passwordless.ErrMalformedCode)
	}
	_, err := w.guessFrom(attacker, started.Handle, "malformed")
	require.ErrorAs(t, err, new(*passwordless.LimitedError))
	_, err = w.guessFrom(from("::ffff:198.51.100.66"), started.Handle, "malformed")
	require.ErrorAs(t, err, new(*passwordless.LimitedError), "an IPv4-mapped address is the IPv4 one")
	_, err = w.guess(started.Handle, "malformed")
	require.ErrorIs(t, err, passwordless.ErrMalformedCode, "others are not hurt")
	theirs, theirCode := w.startFrom(attacker, "neighbour@example.com")
	_, err = w.guessFrom(attacker, theirs.Handle, theirCode)
	require.NoError(t, err, "nor is a neighbour, whose code is compared")
}

func TestLimitsAddUpOverServices(t *testing.T) { // RL-16
	w := newWorld(t)
	other := w.second()
	for i := range 10 {
		which := w
		if i%2 == 1 {
			which = other
		}
		_, kind := which.tryStart(home, passwordless.Email, fmt.Sprintf("u%d@example.com", i))
		require.Empty(t, kind)
	}
	_, kind := w.tryStart(home, passwordless.Email, "last@example.com")
	assert.Equal(t, "start", kind)
}

func TestPumpingAPrefixStops(t *testing.T) { // RL-9, RL-10
	w := newWorld(t, func(c *passwordless.Config) { c.Policy.SMS.Prefix = passwordless.Limit{Count: 1000, Per: time.Hour} })
	sent := 0
	for i := range 200 {
		w.clock.advance(time.Second)
		if _, kind := w.tryStart(pool(i), passwordless.SMS, fmt.Sprintf("+46701%06d", i)); kind == "" {
			sent++
		} else {
			require.Equal(t, "sms-prefix", kind)
		}
	}
	assert.InDelta(t, 30*3/4, sent, 2, "the breaker for numbers that nobody verifies")
	for i := range 100 { // a prefix whose numbers answer goes on
		w.clock.advance(time.Second)
		started, kind := w.tryStart(pool(1000+i), passwordless.SMS, fmt.Sprintf("+46702%06d", i))
		require.Empty(t, kind)
		_, err := w.guessFrom(pool(1000+i), started.Handle, w.outbox.last().Code.Reveal())
		require.NoError(t, err)
	}
}

func TestCountriesAndTheWorldHaveBudgets(t *testing.T) { // RL-9
	w := newWorld(t, func(c *passwordless.Config) {
		c.Policy.SMS.Country = passwordless.Limit{Count: 8, Per: 24 * time.Hour}
		c.Policy.SMS.Global = passwordless.Limit{Count: 12, Per: 24 * time.Hour}
	})
	next := 0
	text := func(country string) string { // to a number, a prefix and a network that nobody used before
		next++
		_, kind := w.tryStart(pool(next), passwordless.SMS, fmt.Sprintf("%s%02d0000", country, next))
		return kind
	}
	for range 6 { // strangers have three quarters
		require.Empty(t, text("+4670"))
	}
	require.Equal(t, "sms-country", text("+4670"), "a country stops although the world has some left")
	for range 3 {
		require.Empty(t, text("+4740"), "what was refused cost nothing, and another country goes on")
	}
	require.Equal(t, "sms-all", text("+4740"), "the world stops although the country has some left")
	assert.Len(t, w.outbox.messages(), 9)
	w.clock.advance(3 * time.Hour)
	require.Empty(t, text("+4670"), "one in three hours, of the country")
}

func TestSprayingMakesCodesLong(t *testing.T) { // RL-17
	w := newWorld(t, func(c *passwordless.Config) {
		c.Policy.MaxDailyRisk = 1e-4
	})
	first, _ := w.startFrom(attacker, "first@example.com")
	before := w.outbox.last()
	for i := range 200 {
		started, kind := w.tryStart(pool(i), passwordless.Email, fmt.Sprintf("u%d@example.com", i))
		require.Empty(t, kind)
		code := w.outbox.last().Code.Reveal()
		_, err := w.guessFrom(pool(i), started.Handle, wrong(code))
		require.ErrorIs(t, err, passwordless.ErrWrongSecret, "nobody is locked out")
	}
	require.Len(t, before.Code, 6)
	w.clock.advance(time.Minute)
	_, err := w.Resend(t.Context(), w.as("web", home), first.Handle)
	require.NoError(t, err)
	assert.Equal(t, before.To, w.outbox.last().To)
	assert.Len(t, w.outbox.last().Code, 9, "a resend lengthens too")
	_, code := w.start(alice)
	assert.Len(t, code, 9)
	assert.Subset(t, w.events.types(), []passwordless.EventType{passwordless.EventLimitMark, passwordless.EventLongerCode})
}

func TestALimitedCallDoesNothingElse(t *testing.T) { // RL-8
	w := newWorld(t, func(c *passwordless.Config) {
		c.Policy.Limits.Starts = []passwordless.Limit{{Count: 1, Per: time.Hour}}
	})
	w.start(alice)
	_, kind := w.tryStart(home, passwordless.Email, "x@example.com")
	require.Equal(t, "start", kind)
	assert.Len(t, w.outbox.messages(), 1)
}

// Whoever waits as they were told may start again, whether or not the reserve was asked in between.
func TestRetryAfterIsTrue(t *testing.T) { // RL-13
	w := newWorld(t)
	var limited *passwordless.LimitedError
	for limited == nil {
		_, err := w.Start(t.Context(), w.as("web", home), byMail(alice))
		if !errors.As(err, &limited) {
			require.NoError(t, err)
			w.clock.advance(31 * time.Second)
		}
	}
	assert.Less(t, limited.RetryAfter, time.Hour)
	w.clock.advance(limited.RetryAfter - time.Microsecond)
	_, err := w.Start(t.Context(), w.as("web", home), byMail(alice))
	require.ErrorAs(t, err, &limited)
	w.clock.advance(time.Microsecond)
	_, err = w.Start(t.Context(), w.as("web", home), byMail(alice))
	require.NoError(t, err)
}
