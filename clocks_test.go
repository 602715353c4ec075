package passwordless_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
)

// A wrongClock goes as fast as another, and shows another time.
type wrongClock struct {
	true passwordless.Clock
	off  time.Duration
}

func (c wrongClock) Now() time.Time { return c.true.Now().Add(c.off) }

// off is a Service on the same store whose clock is wrong.
func (w *world) off(by time.Duration) *world {
	cfg := w.cfg
	cfg.Clock = wrongClock{w.clock, by}
	other := *w
	other.Service = newService(w.t, cfg)
	return &other
}

// A skewed pair of services: one begins challenges and the other revokes. Then each of them is asked to sign in.
type skewed struct {
	skew            time.Duration // of the policy; 0: the default
	starts, revokes time.Duration // how wrong the two clocks are
}

// skews are pairs of clocks that differ by less than the policy allows.
func skews() (all []skewed) {
	const almost = passwordlessSkew - 1
	for _, pair := range [][2]time.Duration{
		{0, 0}, {0, almost}, {almost, 0}, {0, -almost}, {-almost, 0}, {-almost / 2, almost / 2}, {almost / 2, -almost / 2},
		{time.Hour, time.Hour + almost}, {-time.Hour, -time.Hour - almost},
	} {
		all = append(all, skewed{starts: pair[0], revokes: pair[1]})
	}
	return append(all, skewed{time.Minute, time.Minute - 1, 0}, skewed{time.Minute, 0, time.Minute - 1}, skewed{skew: -1})
}

// newSkewed makes both services, and a user.
func newSkewed(t *testing.T, c skewed, own bool) (starts, revokes *world, userID string) {
	w := newWorld(t, func(cfg *passwordless.Config) {
		many := passwordless.Limit{Count: 1e6, Per: 24 * time.Hour} // of which a clock that is ahead does not take much
		l := &cfg.Policy.Limits
		l.EmailSends, l.Starts, l.Guesses = []passwordless.Limit{many}, []passwordless.Limit{many}, many
		cfg.Policy.ClockSkew = c.skew
		if own {
			cfg.Users = newTable()
		}
	})
	userID = w.signIn(alice, passwordless.Issue{}).User.ID
	w.clock.advance(24 * time.Hour)
	return w.off(c.starts), w.off(c.revokes), userID
}

// eachSkew runs a test of every pair of clocks.
func eachSkew(t *testing.T, test func(t *testing.T, c skewed, own bool)) {
	t.Helper()
	for directory, own := range map[string]bool{"the built-in directory": false, "users of one's own": true} {
		for _, c := range skews() {
			t.Run(fmt.Sprintf("%s, %v off and %v off", directory, c.starts, c.revokes), func(t *testing.T) { test(t, c, own) })
		}
	}
}

func TestWhatBeganBeforeARevocationNeverSignsIn(t *testing.T) { // AC-6, SS-6: whatever the clocks say of which came first
	eachSkew(t, func(t *testing.T, c skewed, own bool) {
		starts, revokes, userID := newSkewed(t, c, own)
		for _, between := range []time.Duration{1, time.Millisecond, time.Second, 5 * time.Minute} {
			for _, wait := range []time.Duration{0, time.Second, passwordlessSkew, 3 * time.Second} {
				starts.clock.advance(24 * time.Hour)
				started, code := starts.start(alice)
				req := byMail(alice)
				req.Send = passwordless.SendLink
				_, err := starts.Start(t.Context(), starts.as("web", inBrowser(home)), req)
				require.NoError(t, err)
				token := param(t, starts.outbox.last().Link)
				starts.clock.advance(between)
				require.NoError(t, revokes.RevokeUser(t.Context(), "", userID))
				starts.clock.advance(wait)
				for _, w := range []*world{starts, revokes} {
					_, err := w.Verify(t.Context(), w.as("web", home), byCode(started.Handle, code, session))
					require.ErrorIs(t, err, passwordless.ErrRevoked)
					_, err = w.RedeemLink(t.Context(), w.as("web", inBrowser(home)),
						passwordless.RedeemRequest{Token: token, Issue: session})
					require.ErrorIs(t, err, passwordless.ErrRevoked)
				}
				sessions, _, err := starts.Sessions(t.Context(), "", userID, 10, "")
				require.NoError(t, err)
				assert.Empty(t, sessions)
			}
		}
	})
}

func TestWhatBeganLaterThanClocksDifferSignsIn(t *testing.T) { // AC-6
	eachSkew(t, func(t *testing.T, c skewed, own bool) {
		skew := max(0, c.skew)
		if c.skew == 0 {
			skew = passwordlessSkew
		}
		starts, revokes, userID := newSkewed(t, c, own)
		require.NoError(t, revokes.RevokeUser(t.Context(), "", userID))
		// By the clock of the service that begins it, the challenge is this much later than the revocation by the other's.
		for after, want := range map[time.Duration]error{skew + 1: nil, skew: passwordless.ErrRevoked} {
			if wait := after + c.revokes - c.starts; wait < 0 { // it would have begun before
				continue
			}
			starts.clock.advance(after + c.revokes - c.starts)
			for _, finishes := range []*world{starts, revokes} {
				started, code := starts.start(alice)
				l, err := finishes.Verify(t.Context(), finishes.as("web", home), byCode(started.Handle, code, session))
				require.ErrorIs(t, err, want)
				if want == nil {
					_, err = finishes.Session(t.Context(), l.Session.Token)
					require.NoError(t, err)
				}
			}
			starts.clock.advance(-after - c.revokes + c.starts)
		}
	})
}

func TestWhatBeganAfterTwiceTheSkewSignsInByAnyClocks(t *testing.T) { // AC-6: by true time
	eachSkew(t, func(t *testing.T, c skewed, own bool) {
		starts, revokes, userID := newSkewed(t, c, own)
		require.NoError(t, revokes.RevokeUser(t.Context(), "", userID))
		starts.clock.advance(2 * max(passwordlessSkew, c.skew))
		started, code := starts.start(alice)
		l, err := starts.Verify(t.Context(), starts.as("web", home), byCode(started.Handle, code, session))
		require.NoError(t, err)
		_, err = revokes.Session(t.Context(), l.Session.Token)
		require.NoError(t, err)
	})
}

func TestAClockThatIsALittleAhead(t *testing.T) { // VF-13: one service is five minutes ahead, and its codes work at the others
	w := newWorld(t)
	ahead := w.off(5 * time.Minute)
	started, code := ahead.start(alice)
	_, err := w.guess(started.Handle, code)
	require.NoError(t, err)
	for _, begins := range []*world{ahead, w, ahead, w} {
		w.clock.advance(11 * time.Minute)
		req := byAddress(alice)
		_, err := begins.startWith(home, req)
		require.NoError(t, err)
		for _, finishes := range []*world{w, ahead} {
			err := finishes.CheckCode(t.Context(), finishes.as("web", home), coded(alice, w.outbox.last().Code.Reveal()))
			require.NoError(t, err)
		}
	}
}

// A year ahead, a service makes challenges, answers starts, and charges limits. Then its clock is right again.
func TestAClockThatWasFarAhead(t *testing.T) { // RL-5, VF-13
	w := newWorld(t)
	ahead := w.off(365 * 24 * time.Hour)
	req := byAddress(alice)
	_, err := ahead.startWith(home, req)
	require.NoError(t, err)
	late := w.outbox.last().Code.Reveal()
	other, otherCode := ahead.startFrom(home, "bob@example.com")
	for range 4 {
		_, err = ahead.guess(other.Handle, wrong(otherCode))
		require.Error(t, err)
	}
	for range 20 {
		_, _ = ahead.tryStart(home, passwordless.Email, alice)
	}
	_, err = w.Verify(t.Context(), w.as("web", home), coded(alice, late))
	require.ErrorIs(t, err, passwordless.ErrExpired, "a code does not live for a year")
	_, err = w.guess(other.Handle, otherCode)
	require.ErrorIs(t, err, passwordless.ErrExpired)
	sent := len(w.outbox.messages())
	_, err = w.startWith(home, req)
	require.NoError(t, err, "what was charged in the future is not believed")
	require.Len(t, w.outbox.messages(), sent+1, "and a start of the future answers none of today")
	assert.Len(t, w.outbox.last().Code, 6)
	_, err = w.Verify(t.Context(), w.as("web", home), coded(alice, w.outbox.last().Code.Reveal()))
	require.NoError(t, err)
}

func TestASweeperThatIsAhead(t *testing.T) { // RL-16: by less than an hour it takes nothing that counts
	w := newWorld(t)
	sweeper := w.off(59 * time.Minute)
	looked := 0
	started, code := w.start(alice)
	for range 200 {
		_, err := sweeper.Sweep(t.Context(), 1000)
		require.NoError(t, err)
		if _, err := w.guess(altered(started.Handle), code); errors.Is(err, passwordless.ErrUnknownChallenge) {
			looked++
		}
	}
	assert.Equal(t, 15, looked, "half of the window, since there is nothing to compare with")
}
