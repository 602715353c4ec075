package passwordless_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/sender"
	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/storetest"
)

// notTaken asserts that a message was surely not taken: no limit stood before it.
func notTaken(t *testing.T, err error, what ...any) {
	t.Helper()
	var failed *passwordless.DeliveryError
	require.ErrorAs(t, err, &failed, what...)
	require.False(t, failed.Accepted)
}

func TestANeighboursStartGivesNothingAway(t *testing.T) { // BD-2, BD-4: many people share one network address
	w := newWorld(t, unlimited)
	for name, byAddress := range map[string]bool{"by handle": false, "by slot": true} {
		w.clock.advance(time.Hour)
		req := byMail(alice)
		req.ByAddress = byAddress
		neighbour, err := w.Start(t.Context(), w.as("web", home), req)
		require.NoError(t, err)
		w.clock.advance(time.Second)
		victim, err := w.Start(t.Context(), w.as("web", home), req)
		require.NoError(t, err)
		assert.NotEqual(t, neighbour.Browser, victim.Browser, name)
		if !byAddress {
			assert.NotEqual(t, neighbour.Handle, victim.Handle, name)
		}

		// With her browser's secret the neighbour could sign it in to an account of his own.
		w.clock.advance(24 * time.Hour)
		his := byMail("mallory@example.com")
		his.Send = passwordless.SendLink
		mallory := attacker
		mallory.Browser = neighbour.Browser
		_, err = w.Start(t.Context(), w.as("web", mallory), his)
		require.NoError(t, err)
		hers := home
		hers.Browser = victim.Browser
		_, err = w.RedeemLink(t.Context(), w.as("web", hers), passwordless.RedeemRequest{Token: param(t, w.outbox.last().Link)})
		require.ErrorAs(t, err, new(*passwordless.OtherBrowserError), name)
	}
}

func TestAStartForAnotherMessageIsNoRepetition(t *testing.T) {
	w := newWorld(t)
	req := byMail(alice)
	req.Send = passwordless.SendLink
	_, err := w.Start(t.Context(), w.as("web", inBrowser(home)), req)
	require.NoError(t, err)
	req.Send = passwordless.SendCode
	_, err = w.Start(t.Context(), w.as("web", inBrowser(home)), req)
	require.NoError(t, err)
	assert.NotEmpty(t, w.outbox.last().Code, "a code was asked for")
}

func TestImpatientClicksAreOneStart(t *testing.T) { // RL-21
	w := newWorld(t)
	var mu sync.Mutex // guards handles
	handles := map[passwordless.Secret]int{}
	var group sync.WaitGroup
	for range 64 {
		group.Go(func() {
			started, err := w.Start(t.Context(), w.as("web", inBrowser(home)), byMail(alice))
			assert.NoError(t, err)
			mu.Lock()
			defer mu.Unlock()
			handles[started.Handle]++
		})
	}
	group.Wait()
	assert.Len(t, handles, 1)
	assert.Len(t, w.outbox.messages(), 1)
}

func TestAClosedSignUpShowsNoDeliveryFailure(t *testing.T) { // EN-1, SN-10
	w := newWorld(t)
	_, err := w.Directory().Add(t.Context(), "", passwordless.User{Email: alice})
	require.NoError(t, err)
	for _, failure := range []error{fmt.Errorf("queue full: %w", passwordless.ErrNotAccepted), errors.New("timeout")} {
		w.outbox.fail = failure
		w.clock.advance(time.Hour)
		w.events.types()
		for _, address := range []string{alice, "nobody@example.com"} {
			started, err := w.Start(t.Context(), w.as("closed", home), byMail(address))
			require.NoError(t, err, "a transport never fails to reach people without an account")
			w.clock.advance(time.Minute)
			_, err = w.Resend(t.Context(), w.as("closed", home), started.Handle)
			require.NoError(t, err)
			types := w.events.types()
			require.Len(t, types, 4, "as many for both: %s", address)
			assert.Equal(t, passwordless.EventNotSent, types[1], "the operator knows")
			assert.Equal(t, passwordless.EventNotSent, types[3])
		}
	}
}

func TestASignUpThatOpensSendsNothingOld(t *testing.T) { // EN-1: nor does it need what a closed one needs
	w := newWorld(t)
	started, err := w.Start(t.Context(), w.as("closed", home), byMail(alice))
	require.NoError(t, err)
	open := *w
	sent := 0
	open.cfg.Sender = sender.Func(func(context.Context, passwordless.Message) error { sent++; return nil })
	open.cfg.Clients = passwordless.ClientList{{ID: "closed", Public: true}}
	open.Service = newService(t, open.cfg)
	w.clock.advance(time.Minute)
	_, err = open.Resend(t.Context(), open.as("closed", home), started.Handle)
	require.NoError(t, err)
	assert.Zero(t, sent, "its code would not be right")
	_, err = open.Start(t.Context(), open.as("closed", home), byMail(alice))
	require.NoError(t, err)
	assert.Equal(t, 1, sent)
}

func TestAResendThatSurelyWasNotTakenIsGivenBack(t *testing.T) { // SN-10
	w := newWorld(t, func(c *passwordless.Config) {
		c.Policy.Limits.EmailSends = []passwordless.Limit{{Count: 2, Per: time.Hour}}
		c.Policy.Codes.MaxResends = 9
	})
	started, code := w.start(alice)
	w.outbox.fail = passwordless.ErrNotAccepted
	for i := range 4 {
		w.clock.advance(31 * time.Second << i)
		_, err := w.Resend(t.Context(), w.as("web", home), started.Handle)
		notTaken(t, err, "resend %d", i)
	}
	_, err := w.guess(started.Handle, code)
	require.NoError(t, err, "what arrived before still works")
}

func TestTheReserveIsGivenBackToo(t *testing.T) { // SN-10, RL-5
	w := newWorld(t, func(c *passwordless.Config) {
		c.Policy.Limits.EmailSends = []passwordless.Limit{{Count: 2, Per: 24 * time.Hour}}
	})
	w.startFrom(attacker, alice) // from here on only the second half is left
	w.outbox.fail = passwordless.ErrNotAccepted
	for i := range 3 {
		_, err := w.Start(t.Context(), w.as("web", home), byMail(alice))
		notTaken(t, err, "start %d", i)
	}
	w.outbox.fail = nil
	_, kind := w.tryStart(home, passwordless.Email, alice)
	assert.Empty(t, kind)
	_, kind = w.tryStart(home, passwordless.Email, alice)
	assert.Equal(t, "send", kind, "what went out is not")
}

// A quitter is an outbox whose caller goes away during each send.
type quitter struct {
	*outbox
	leave context.CancelFunc
}

func (q *quitter) Send(ctx context.Context, m passwordless.Message) error {
	q.leave()
	return q.outbox.Send(ctx, m)
}

func TestACallerWhoLeavesIsGivenBackAllTheSame(t *testing.T) { // SN-10
	sender := &quitter{}
	w := newWorld(t, func(c *passwordless.Config) {
		c.Policy.Limits.EmailSends = []passwordless.Limit{{Count: 1, Per: time.Hour}}
		sender.outbox = c.Sender.(*outbox)
		c.Sender = sender
	})
	w.outbox.fail = passwordless.ErrNotAccepted
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		sender.leave = cancel
		_, err := w.Start(ctx, w.as("web", home), byMail(alice))
		notTaken(t, err)
		require.ErrorIs(t, ctx.Err(), context.Canceled)
	}
}

func TestFailedSendsCostTheNetwork(t *testing.T) { // RL-2, RL-8: asking is not free because the address is no good
	w := newWorld(t)
	w.outbox.fail = passwordless.ErrNotAccepted
	tried := 0
	for i := range 50 {
		_, err := w.Start(t.Context(), w.as("web", attacker), byMail(fmt.Sprintf("guess%d@example.com", i)))
		if errors.As(err, new(*passwordless.DeliveryError)) {
			tried++
		}
	}
	assert.Equal(t, 10, tried)
}

func TestAStartWhoseAnswerIsLostIsSentOnce(t *testing.T) { // SN-11
	w, faulty := newFaulty(t)
	faulty.SpoilAll(storetest.Commit, storetest.LostAnswer())
	started, err := w.Start(t.Context(), w.as("web", inBrowser(home)), byMail(alice))
	require.NoError(t, err, "the record tells that it was applied")
	faulty.Heal()
	again, err := w.Start(t.Context(), w.as("web", inBrowser(home)), byMail(alice))
	require.NoError(t, err)
	assert.Equal(t, started.Handle, again.Handle)
	require.Len(t, w.outbox.messages(), 1, "never success without a message")
	_, err = w.guess(started.Handle, w.outbox.last().Code.Reveal())
	require.NoError(t, err)
}

// The store tells that the first commit was applied by the record, which the other start has replaced. So it is applied again,
// which costs a second message, and the start is the newest.
func TestALostAnswerAndAnotherStart(t *testing.T) { // SN-11
	w, faulty := newFaulty(t, func(c *passwordless.Config) { c.Policy.Codes.StartCooldown = -1 })
	start := func(caller passwordless.Caller) error {
		req := byMail(alice)
		req.ByAddress = true
		_, err := w.Start(t.Context(), w.as("web", caller), req)
		return err
	}
	faulty.Spoil(storetest.Commit, 1, func(ctx context.Context, call func() error) error {
		err := storetest.LostAnswer()(ctx, call)
		require.NoError(t, start(attacker))
		return err
	})
	require.NoError(t, start(home))
	require.Len(t, w.outbox.messages(), 2)
	_, err := w.Verify(t.Context(), w.as("web", home), coded(alice, w.outbox.last().Code.Reveal()))
	require.NoError(t, err, "it is the one whose code works")
}

func TestNoResendsStillLeavesRoomToTryAgain(t *testing.T) { // a start that needs every easing is not ErrBusy
	w := newWorld(t, func(c *passwordless.Config) { c.Policy.Codes.MaxAttempts, c.Policy.Codes.MaxResends = 1, -10 })
	for i := range 50 {
		w.clock.advance(8 * time.Hour)
		if started, kind := w.tryStart(pool(i), passwordless.Email, alice); kind == "" {
			_, err := w.guessFrom(pool(i), started.Handle, wrong(w.outbox.last().Code.Reveal()))
			require.Error(t, err)
		}
	}
	w.clock.advance(24 * time.Hour)
	for i := range 3 { // the third takes from the second half, and all get a longer code
		_, kind := w.tryStart(pool(900+i), passwordless.Email, alice)
		require.Empty(t, kind)
		assert.Len(t, w.outbox.last().Code, 9)
	}
}

func TestAStripedBudgetIsNearlyUsedUpBeforeItRefuses(t *testing.T) { // RL-9
	const budget, days = 500, 9
	w := newWorld(t, func(c *passwordless.Config) {
		c.Policy.SMS.Global = passwordless.Limit{Count: budget, Per: 24 * time.Hour}
	})
	sent := 0
	for range days {
		w.clock.advance(48 * time.Hour)
		for i := 0; ; i++ {
			require.Less(t, i, budget)
			_, kind := w.tryStart(pool(i), passwordless.SMS, fmt.Sprintf("+4%d70%03d0000", 6+i%2, i/2))
			if kind != "" {
				require.Equal(t, "sms-all", kind)
				break
			}
			sent++
		}
	}
	// A start tries four of the sixteen stripes, at random: on average nine tenths of the strangers' three quarters are used by
	// then. With one try it would be 73 %; the mean of nine days misses 82 % less than once in 10^9 runs.
	assert.Greater(t, sent, budget*days*82/100*3/4)
	t.Logf("%d of %d a day", sent/days, budget)
}

// refusedBy starts from new networks until a limit refuses, and returns the refusal. It names no address.
func (w *world) refusedBy(ch passwordless.Channel, address string) *passwordless.LimitedError {
	w.t.Helper()
	var refused *passwordless.LimitedError
	for i := range 9 {
		_, err := w.Start(w.t.Context(), w.as("web", pool(i)),
			passwordless.StartRequest{Channel: ch, Address: passwordless.Address(address)})
		if errors.As(err, &refused) {
			assert.NotContains(w.t, fmt.Sprintf("%v %+v %#v", err, *refused, *refused), address)
			return refused
		}
		require.NoError(w.t, err)
	}
	require.Fail(w.t, "no limit")
	return nil
}

// A namesake is a Store that remembers the names of the buckets of a kind that were charged.
type namesake struct {
	store.Store
	kind  store.Kind
	names map[string]bool
}

func (n *namesake) Commit(ctx context.Context, now store.Instant, b store.Batch) (store.Levels, error) {
	for _, c := range b.Charges {
		if c.Bucket.Kind == n.kind {
			n.names[c.Bucket.Name] = true
		}
	}
	return n.Store.Commit(ctx, now, b)
}

// chargedUntilRefused starts until a limit refuses, and returns the names of its buckets.
func (w *world) chargedUntilRefused(st *namesake, limit string, ch passwordless.Channel, address string) map[string]bool {
	w.t.Helper()
	st.kind, st.names = store.Kind(limit), map[string]bool{}
	assert.Equal(w.t, limit, w.refusedBy(ch, address).Limit)
	return st.names
}

func TestALimitNamesNobody(t *testing.T) { // PR-3
	world := func() (*world, *namesake) {
		st := &namesake{}
		return newWorld(t, func(c *passwordless.Config) {
			st.Store, c.Store = c.Store, st
			c.Policy.SMS.Prefix = passwordless.Limit{Count: 1, Per: time.Hour}
		}), st
	}
	w, st := world()
	prefix := w.chargedUntilRefused(st, "sms-prefix", passwordless.SMS, alicesPhone)
	assert.Equal(t, prefix, w.chargedUntilRefused(st, "sms-prefix", passwordless.SMS, "+46701234568"), "one prefix")
	send := w.chargedUntilRefused(st, "send", passwordless.Email, alice)
	for _, all := range []map[string]bool{prefix, send} {
		require.Len(t, all, 1)
		for name := range all {
			assert.NotContains(t, name, "4670123")
			assert.NotContains(t, name, "alice")
		}
	}
	other, st := world()
	assert.NotEqual(t, prefix, other.chargedUntilRefused(st, "sms-prefix", passwordless.SMS, alicesPhone),
		"another key, other names")
}

func TestEventsAreOfTheInstantOfTheirCall(t *testing.T) { // PR-1
	w := newWorld(t)
	started, code := w.start(alice)
	call := func(name string, do func()) {
		w.clock.advance(time.Minute)
		w.events.types()
		do()
		require.NotEmpty(t, w.events.all, name)
		for _, e := range w.events.all {
			assert.Equal(t, w.clock.Now(), e.At, "%s: %s", name, e.Type)
		}
	}
	changed := started.Handle[:len(started.Handle)-4] + "AAAA"
	call("malformed", func() { _, _ = w.guess(started.Handle, "x") })
	call("unknown", func() { _, _ = w.guess(changed, "123456") })
	call("wrong", func() { _, _ = w.guess(started.Handle, wrong(code)) })
	call("resend", func() {
		_, _ = w.Resend(t.Context(), w.as("web", home), started.Handle)
	})
	w.outbox.fail = passwordless.ErrNotAccepted
	call("not sent", func() {
		_, _ = w.Resend(t.Context(), w.as("web", home), started.Handle)
	})
	call("right", func() { _, _ = w.guess(started.Handle, code) })
	call("spent", func() { _, _ = w.guess(started.Handle, code) })
}

func TestOnlyASecretThatWasRightIsReportedAsSpent(t *testing.T) { // VF-14
	w := newWorld(t)
	started, code := w.start(alice)
	_, err := w.guess(started.Handle, code)
	require.NoError(t, err)
	w.events.types()
	for _, typed := range []string{wrong(code), "x", ""} {
		_, err = w.guess(started.Handle, typed)
		require.ErrorIs(t, err, passwordless.ErrConsumed)
	}
	assert.NotContains(t, w.events.types(), passwordless.EventSpentSecret)
	_, err = w.guess(started.Handle, code)
	require.ErrorIs(t, err, passwordless.ErrConsumed)
	assert.Contains(t, w.events.types(), passwordless.EventSpentSecret)
}

func TestAReportIsACopy(t *testing.T) { // OP-2
	w := newWorld(t)
	w.Policy().Policy.SMS.Countries[0] = 1
	_, err := w.Start(t.Context(), w.as("web", home), passwordless.StartRequest{Channel: passwordless.SMS, Address: "+12025550143"})
	require.ErrorAs(t, err, new(*passwordless.InputError))
}
