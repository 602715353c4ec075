package passwordless_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/storetest"
)

func TestTripsToTheStore(t *testing.T) { // numbers a person waits for
	both := passwordless.Issue{Session: true, Tokens: offline.Tokens}
	for name, c := range map[string]struct {
		users         passwordless.Users
		grant         passwordless.Issue
		start, verify int
	}{
		"bare":                                {proved{}, passwordless.Issue{}, 1, 2},
		"the application's users, a session":  {proved{}, session, 1, 3},
		"built-in directory":                  {nil, passwordless.Issue{}, 1, 4},
		"built-in directory, session, tokens": {nil, both, 1, 4},
	} {
		w, faulty := newFaulty(t, func(cfg *passwordless.Config) { cfg.Users = c.users })
		w.signIn(alice, passwordless.Issue{}) // the first time makes the user
		w.clock.advance(time.Hour)
		count := func() int { n := faulty.Trips(); return n.Loads + n.Commits + n.Lists }
		before := count()
		started, code := w.start(alice)
		assert.Equal(t, c.start, count()-before, "%s: start", name)
		before = count()
		l, err := w.Verify(t.Context(), w.as("web", home), byCode(started.Handle, code, c.grant))
		require.NoError(t, err)
		assert.Equal(t, c.verify, count()-before, "%s: verify", name)
		if c.grant.Session {
			before = count()
			_, err = w.Session(t.Context(), l.Session.Token)
			require.NoError(t, err)
			assert.Equal(t, 1, count()-before, "%s: use of a session", name)
		}
	}
}

func TestAFailingStoreIsNeverALogin(t *testing.T) { // VF-12
	faults := map[string]storetest.Fault{
		"unavailable": storetest.Unavailable(), "lost request": storetest.LostRequest(), "lost answer": storetest.LostAnswer(),
		"hanging": storetest.Hang(), "failing": storetest.Fail(errBroken),
	}
	for name, fault := range faults {
		for _, method := range []storetest.Method{storetest.Load, storetest.Commit} {
			t.Run(fmt.Sprint(name, " ", method), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w, faulty := newFaulty(t)
					w.signIn(alice, passwordless.Issue{})
					w.clock.advance(time.Hour)
					started, code := w.start(alice)
					faulty.SpoilAll(method, fault)
					l, err := w.guess(started.Handle, code)
					if name == "lost answer" && method == storetest.Commit {
						require.NoError(t, err, "the record tells that it was applied")
						return
					}
					require.Error(t, err)
					assert.True(t, typed(err), "%v", err)
					assert.Zero(t, l)
					sent := len(w.outbox.messages())
					_, err = w.Start(t.Context(), w.as("web", home), byMail("x@example.com"))
					if method == storetest.Commit {
						require.Error(t, err)
						assert.Len(t, w.outbox.messages(), sent, "nothing is sent before it is committed")
					}
				})
			})
		}
	}
}

func TestALostAnswerDoesNotLoseTheLogin(t *testing.T) {
	w, faulty := newFaulty(t)
	w.signIn(alice, passwordless.Issue{})
	w.clock.advance(time.Hour)
	faulty.Spoil(storetest.Commit, 1, storetest.LostAnswer())
	started, code := w.start(alice)
	faulty.Spoil(storetest.Commit, 1, storetest.LostAnswer())
	_, err := w.guess(started.Handle, wrong(code))
	var refused *passwordless.ChallengeError
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, 4, refused.AttemptsLeft, "charged once")
	faulty.Spoil(storetest.Commit, 1, storetest.LostAnswer())
	_, err = w.guess(started.Handle, code)
	require.NoError(t, err, "the commit is found applied")
	assert.Len(t, w.outbox.messages(), 2, "sent once each")
}

// A halfway store writes of a batch only the claims that come before the deciding put, and answers that it cannot tell.
type halfway struct {
	passwordless.Store
	on bool
}

func (s *halfway) Commit(ctx context.Context, now store.Instant, b store.Batch) (store.Levels, error) {
	if !s.on {
		return s.Store.Commit(ctx, now, b)
	}
	var claims store.Batch
	for _, p := range b.Puts {
		if p.Stage == store.StageClaim {
			claims.Puts = append(claims.Puts, p)
		}
	}
	_, err := s.Store.Commit(ctx, now, claims)
	return nil, errors.Join(store.ErrUncertain, err)
}

func TestTheDecidingRecordTellsWhetherACommitWasApplied(t *testing.T) { // VF-12, SK-4
	var half *halfway
	w := newWorld(t, func(c *passwordless.Config) {
		half = &halfway{Store: c.Store}
		c.Store = half
	})
	half.on = true
	_, err := w.Directory().Add(t.Context(), "", passwordless.User{ID: "u", Email: alice})
	require.ErrorIs(t, err, passwordless.ErrUncertain, "a claim alone makes no user")
	half.on = false
	_, err = w.Directory().Get(t.Context(), "", "u")
	require.ErrorIs(t, err, passwordless.ErrNoUser)
}

func TestASweepOfNothingIsAMistake(t *testing.T) { // OP-1
	w, faulty := newFaulty(t)
	w.start(alice)
	w.clock.advance(365 * 24 * time.Hour)
	faulty.SpoilAll(storetest.Sweep, storetest.Fail(errBroken))
	for _, limit := range []int{0, -1} {
		_, err := w.Sweep(t.Context(), limit)
		wrongField(t, err, "limit", "the store is not asked")
	}
	faulty.Heal()
	n, err := w.Sweep(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, 1, n)
}

// A drifted store sweeps, and finds its engine set up anew.
type drifted struct{ passwordless.Store }

func (drifted) Sweep(context.Context, store.Instant, int) (int, error) {
	return 3, fmt.Errorf("driver: evicts records: %w", store.ErrMisconfigured)
}

func TestASweepTellsThatTheEngineIsNoLongerFit(t *testing.T) { // RL-16
	var reported []passwordless.Event
	w := newWorld(t, func(cfg *passwordless.Config) {
		cfg.Store = drifted{cfg.Store}
		cfg.Events = func(_ context.Context, e passwordless.Event) { reported = append(reported, e) }
	})
	n, err := w.Sweep(t.Context(), 10)
	assert.Equal(t, 3, n, "what was removed counts all the same")
	require.ErrorIs(t, err, store.ErrMisconfigured)
	require.NotErrorIs(t, err, passwordless.ErrUnavailable, "waiting does not help")
	require.Len(t, reported, 1)
	assert.Equal(t, passwordless.EventFailed, reported[0].Type)
}

func TestAnAttemptThatWasAnsweredIsNeverForgotten(t *testing.T) { // VF-1 under every order of failures
	for n := 1; n <= 3; n++ {
		for _, fault := range []storetest.Fault{storetest.LostRequest(), storetest.LostAnswer(), storetest.Unavailable()} {
			w, faulty := newFaulty(t, unlimited)
			started, code := w.start(alice)
			answered := 0
			for range 20 {
				faulty.Spoil(storetest.Commit, n, fault)
				if _, err := w.guess(started.Handle, wrong(code)); errors.Is(err, passwordless.ErrWrongSecret) {
					answered++
				}
			}
			faulty.Heal()
			for {
				_, err := w.guess(started.Handle, wrong(code))
				if errors.Is(err, passwordless.ErrExhausted) {
					break
				}
				require.ErrorIs(t, err, passwordless.ErrWrongSecret)
				answered++
			}
			assert.Less(t, answered, 5)
			_, err := w.guess(started.Handle, code)
			require.ErrorIs(t, err, passwordless.ErrExhausted)
		}
	}
}

func TestACancelledCallLeavesNoHalfLogin(t *testing.T) { // HT-9
	for trip := 1; trip <= 4; trip++ {
		for _, method := range []storetest.Method{storetest.Load, storetest.Commit} {
			w, faulty := newFaulty(t)
			w.signIn(alice, passwordless.Issue{})
			w.clock.advance(time.Hour)
			started, code := w.start(alice)
			ctx, cancel := context.WithCancel(t.Context())
			faulty.Spoil(method, trip, func(ctx context.Context, call func() error) error {
				cancel()
				return storetest.Hang()(ctx, call)
			})
			l, err := w.Verify(ctx, w.as("web", home), byCode(started.Handle, code, session))
			cancel()
			if err == nil {
				continue // that trip was not made
			}
			require.ErrorIs(t, err, context.Canceled)
			assert.Zero(t, l)
			sessions, _, err := w.Sessions(t.Context(), "", mustFind(t, w).ID, 10, "")
			require.NoError(t, err)
			assert.Empty(t, sessions)
			_, err = w.guess(started.Handle, code)
			require.NoError(t, err, "the code was not used up")
		}
	}
}

func TestADirectoryDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, faulty := newFaulty(t, func(c *passwordless.Config) { c.Timeout = time.Minute })
		ctx, d := t.Context(), w.Directory()
		u, err := d.Add(ctx, "", passwordless.User{Email: alice})
		require.NoError(t, err)
		faulty.SpoilAll(storetest.Load, storetest.Hang())
		faulty.SpoilAll(storetest.Commit, storetest.Hang())
		faulty.SpoilAll(storetest.List, storetest.Hang())
		for name, call := range map[string]func() error{
			"Get":  func() error { _, err := d.Get(ctx, "", u.ID); return err },
			"Find": func() error { _, err := d.FindUsername(ctx, "", "x"); return err },
			"List": func() error { _, _, err := d.List(ctx, "", 1, ""); return err },
			"Add":  func() error { _, err := d.Add(ctx, "", passwordless.User{}); return err },
			"Update": func() error {
				_, err := d.Update(ctx, "", u.ID, func(*passwordless.User) error { return nil })
				return err
			},
			"Delete": func() error { return d.Delete(ctx, "", u.ID) },
			"Create": func() error {
				_, err := d.Create(ctx, "", passwordless.Identifier{Channel: passwordless.Email, Address: alice})
				return err
			},
		} {
			require.ErrorIs(t, call(), context.DeadlineExceeded, name)
		}
	})
}

func mustFind(t *testing.T, w *world) passwordless.User {
	t.Helper()
	u, err := w.Directory().Find(t.Context(), "", passwordless.Identifier{Channel: passwordless.Email, Address: alice})
	require.NoError(t, err)
	return u
}
