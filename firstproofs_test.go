package passwordless_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/store"
)

// A pause counts the calls of a Store and of the application's Users together, and makes something happen before one of
// them. Then it must be used by one goroutine at a time.
type pause struct {
	store.Store
	trips int // calls until then happens before one; 0: it does not
	then  func()
}

func (p *pause) pass() {
	if p.trips == 0 {
		return
	}
	if p.trips--; p.trips == 0 {
		p.then()
	}
}

func (p *pause) Load(ctx context.Context, now store.Instant, keys ...store.Key) ([]store.Record, error) {
	p.pass()
	return p.Store.Load(ctx, now, keys...)
}

func (p *pause) Commit(ctx context.Context, now store.Instant, b store.Batch) (store.Levels, error) {
	p.pass()
	return p.Store.Commit(ctx, now, b)
}

// A paused directory is an application's own.
type paused struct {
	passwordless.Users
	*pause
}

func (u paused) Find(ctx context.Context, tenant string, id passwordless.Identifier) (passwordless.User, error) {
	u.pass()
	return u.Users.Find(ctx, tenant, id)
}

func (u paused) Create(ctx context.Context, tenant string, id passwordless.Identifier) (passwordless.User, error) {
	u.pass()
	return u.Users.Create(ctx, tenant, id)
}

func (u paused) ConfirmFirstProof(ctx context.Context, tenant, userID string,
	id passwordless.Identifier,
) (passwordless.User, error) {
	u.pass()
	return u.Users.ConfirmFirstProof(ctx, tenant, userID, id)
}

// A believer takes an address for proved because its directory has it.
type believer struct{ passwordless.Users }

func (b believer) Find(ctx context.Context, tenant string, id passwordless.Identifier) (passwordless.User, error) {
	u, err := b.Users.Find(ctx, tenant, id)
	u.EmailVerified = true
	return u, err
}

// A rush is right codes for one address, each from a network of its own, and perhaps what a squatter had planted there.
type rush struct {
	*world
	*pause
	planted *passwordless.Session // nil: nobody has the address
	started []passwordless.Started
	codes   []string
}

// A scene is where a rush takes place.
type scene struct {
	own      bool // the application's users; else the built-in directory
	squatted bool // an account has the address, unproved, and a session
}

var scenes = map[string]scene{
	"a new address in the built-in directory": {}, "a new address of one's own users": {own: true},
	"a squatted account in the built-in directory": {squatted: true}, "a squatted account of one's own users": {true, true},
}

// newRush makes n people who hold a right code for alice's address.
func newRush(t *testing.T, c scene, n int) *rush {
	r := &rush{pause: &pause{}}
	mine := newTable()
	r.world = newWorld(t, unlimited, func(cfg *passwordless.Config) {
		r.Store, cfg.Store = cfg.Store, r.pause
		if c.own {
			cfg.Users = paused{mine, r.pause}
		}
	})
	if c.squatted {
		r.plant(mine)
	}
	r.clock.advance(time.Hour)
	for i := range n {
		started, code := r.startFrom(pool(i), alice)
		r.started, r.codes = append(r.started, started), append(r.codes, code)
		r.clock.advance(time.Second)
	}
	return r
}

// plant makes an account that has the address and a session, and has proved nothing.
func (r *rush) plant(mine *table) {
	r.t.Helper()
	if d := r.Directory(); d != nil {
		plantIn(r.t, d)
		r.planted = r.careless(d).signIn(alice, session).Session
	} else {
		mine.all[byEmail(alice)] = passwordless.User{ID: "squatted", Email: alice}
		r.planted = r.careless(mine).signIn(alice, session).Session
	}
	_, err := r.Session(r.t.Context(), r.planted.Token)
	require.NoError(r.t, err)
}

func plantIn(t testing.TB, d *passwordless.Directory) {
	t.Helper()
	_, err := d.Add(t.Context(), "", passwordless.User{ID: "squatted", Email: alice})
	require.NoError(t, err)
}

// careless is a Service on the same store that lets people in who proved nothing to the others.
func (w *world) careless(users passwordless.Users) *world {
	cfg := w.cfg
	cfg.Users = believer{users}
	other := *w
	other.Service = newService(w.t, cfg)
	return &other
}

// sign presents the i-th code.
func (r *rush) sign(i int) (passwordless.Login, error) {
	return r.Verify(context.Background(), r.as("web", pool(i)), byCode(r.started[i].Handle, r.codes[i], session))
}

// lives reports whether a login's session works.
func (r *rush) lives(l passwordless.Login) bool {
	_, err := r.Session(r.t.Context(), l.Session.Token)
	if err != nil {
		require.ErrorIs(r.t, err, passwordless.ErrInvalidToken)
	}
	return err == nil
}

// allSignedIn asserts that every right code signed one user in for good, and that a revocation finds them all.
func (r *rush) allSignedIn(logins []passwordless.Login, errs []error) {
	r.t.Helper()
	first := 0
	for i, l := range logins {
		require.NoError(r.t, errs[i], "code %d", i)
		assert.Equal(r.t, logins[0].User.ID, l.User.ID, "code %d", i)
		assert.True(r.t, l.User.EmailVerified, "code %d", i)
		assert.True(r.t, r.lives(l), "the session of code %d", i)
		if l.FirstProof {
			first++
		}
	}
	assert.Positive(r.t, first)
	sessions, _, err := r.Sessions(r.t.Context(), "", logins[0].User.ID, 1000, "")
	require.NoError(r.t, err)
	assert.Len(r.t, sessions, len(logins))
	if r.planted != nil {
		assert.Equal(r.t, "squatted", logins[0].User.ID)
		_, err = r.Session(r.t.Context(), r.planted.Token)
		assert.ErrorIs(r.t, err, passwordless.ErrInvalidToken, "what was planted is over")
	}
	r.clock.advance(time.Minute)
	require.NoError(r.t, r.RevokeUser(r.t.Context(), "", logins[0].User.ID))
	for i, l := range logins {
		assert.False(r.t, r.lives(l), "code %d, after the revocation", i)
	}
}

func TestFirstProofsThatOvertakeOneAnotherAllSignIn(t *testing.T) { // AC-2, ID-12: at every trip
	for name, c := range scenes {
		for _, n := range []int{2, 3, 16} {
			t.Run(fmt.Sprint(name, " ", n), func(t *testing.T) {
				for trip := 1; ; trip++ { // each is held before this one, until all that come after it have passed
					r := newRush(t, c, n)
					logins, errs := make([]passwordless.Login, n), make([]error, n)
					held := 0
					var sign func(i int)
					sign = func(i int) {
						if r.trips = 0; i+1 < n {
							r.trips, r.then = trip, func() { held++; sign(i + 1) }
						}
						logins[i], errs[i] = r.sign(i)
					}
					sign(0)
					if r.trips = 0; held == 0 {
						require.Greater(t, trip, 3, "no trip was held")
						return
					}
					for i := held + 1; i < n; i++ { // whose turn did not come: somebody before them makes fewer trips
						logins[i], errs[i] = r.sign(i)
					}
					r.allSignedIn(logins, errs)
					if t.Failed() {
						t.Fatalf("held before trip %d", trip)
					}
				}
			})
		}
	}
}

func TestARevocationBetweenFirstProofsEndsWhatBeganBefore(t *testing.T) { // AC-2, AC-6, SS-6: at every trip
	for name, c := range scenes {
		t.Run(name, func(t *testing.T) {
			for trip := 1; ; trip++ {
				r := newRush(t, c, 3)
				var other passwordless.Login
				r.trips, r.then = trip, func() { // another's first proof passes, and then the user is signed out everywhere
					var err error
					other, err = r.sign(1)
					require.NoError(t, err)
					require.NoError(t, r.RevokeUser(t.Context(), "", other.User.ID))
				}
				l, err := r.sign(0)
				if r.trips > 0 {
					require.Greater(t, trip, 3, "no trip was held")
					return
				}
				assert.False(t, r.lives(other))
				if err == nil {
					assert.False(t, r.lives(l), "its answer was on its way, and what it grants is dead; trip %d", trip)
				} else {
					require.ErrorIs(t, err, passwordless.ErrRevoked, "trip %d", trip)
				}
				_, err = r.sign(2)
				require.ErrorIs(t, err, passwordless.ErrRevoked, "one that was not begun to be answered; trip %d", trip)
				r.clock.advance(passwordlessSkew + 1)
				started, code := r.startFrom(pool(9), alice)
				l, err = r.Verify(t.Context(), r.as("web", pool(9)), byCode(started.Handle, code, session))
				require.NoError(t, err, "trip %d", trip)
				assert.True(t, r.lives(l))
				assert.False(t, l.FirstProof)
				if t.Failed() {
					t.FailNow()
				}
			}
		})
	}
}

// passwordlessSkew is the default of Policy.ClockSkew.
const passwordlessSkew = 2 * time.Second

func TestARushOfFirstProofsAllSignIn(t *testing.T) { // AC-2, ID-12: however they interleave
	for name, c := range scenes {
		for _, n := range []int{2, 3, 16} {
			t.Run(fmt.Sprint(name, " ", n), func(t *testing.T) {
				for range 3 {
					r := newRush(t, c, n)
					logins, errs := make([]passwordless.Login, n), make([]error, n)
					var ready sync.WaitGroup
					ready.Add(n)
					var group sync.WaitGroup
					for i := range n {
						group.Go(func() {
							ready.Done()
							ready.Wait()
							logins[i], errs[i] = r.sign(i)
						})
					}
					group.Wait()
					r.allSignedIn(logins, errs)
				}
			})
		}
	}
}

// A reluctant directory does not confirm first proofs while refuse is set. It calls asked, if set, before it answers.
type reluctant struct {
	passwordless.Users
	refuse error
	asked  func()
}

func (u *reluctant) ConfirmFirstProof(ctx context.Context, tenant, userID string,
	id passwordless.Identifier,
) (passwordless.User, error) {
	once(&u.asked)
	if u.refuse != nil {
		return passwordless.User{}, u.refuse
	}
	return u.Users.ConfirmFirstProof(ctx, tenant, userID, id)
}

// newReluctant is a world with a squatted account, in the built-in directory or one's own, and one that lets the squatter in.
func newReluctant(t *testing.T, own bool, change ...func(*passwordless.Config)) (w, careless *world, users *reluctant) {
	users = &reluctant{}
	w = newWorld(t, append(change, unlimited, func(c *passwordless.Config) { c.Users = users })...)
	if own {
		mine := newTable()
		mine.all[byEmail(alice)] = passwordless.User{ID: "squatted", Email: alice}
		users.Users = mine
	} else {
		cfg := w.cfg
		cfg.Users = nil
		d := newService(t, cfg).Directory()
		plantIn(t, d)
		users.Users = d
	}
	return w, w.careless(users), users
}

// now takes a person the whole way, from a network, without waiting first.
func (w *world) now(network int) (passwordless.Login, error) {
	w.t.Helper()
	started, code := w.startFrom(pool(network), alice)
	return w.Verify(w.t.Context(), w.as("web", pool(network)), byCode(started.Handle, code, session))
}

func TestAFirstProofThatWasNotConfirmedCanBeRepeated(t *testing.T) { // AC-2
	for name, own := range map[string]bool{"the built-in directory": false, "users of one's own": true} {
		for _, wait := range []time.Duration{0, time.Minute - 1, time.Minute, time.Hour} {
			t.Run(fmt.Sprint(name, ", after ", wait), func(t *testing.T) {
				w, careless, users := newReluctant(t, own)
				planted, err := careless.now(1)
				require.NoError(t, err)
				users.refuse = errBroken
				_, err = w.now(2)
				require.ErrorIs(t, err, errBroken)
				w.signedOut(planted, "it is over although the directory did not confirm")
				users.refuse = nil
				w.clock.advance(wait)
				w.firstProof(2)
				w.signedOut(planted, "and stays so")
			})
		}
	}
}

// A remote is a Hasher that makes no names for a caller who has left.
type remote struct{ passwordless.Hasher }

func (r remote) IndexName(ctx context.Context, parts []byte) ([32]byte, error) {
	if err := ctx.Err(); err != nil {
		return [32]byte{}, err
	}
	return r.Hasher.IndexName(ctx, parts)
}

func TestAFirstProofWhoseCallerLeftGivesUpItsClaim(t *testing.T) { // AC-2, HT-9
	w, careless, users := newReluctant(t, true, func(c *passwordless.Config) { c.Hasher = remote{c.Hasher} })
	started, code := w.startFrom(pool(2), alice)
	ctx, leave := context.WithCancel(t.Context())
	users.refuse, users.asked = errBroken, leave
	_, err := w.Verify(ctx, w.as("web", pool(2)), byCode(started.Handle, code, session))
	require.ErrorIs(t, err, errBroken)
	planted, err := careless.now(1)
	require.NoError(t, err)
	users.refuse = nil
	w.firstProof(2)
	w.signedOut(planted, "what was planted after the first proof that came to nothing")
}

// An idle directory returns the user as it was from first proofs.
type idle struct{ passwordless.Users }

func (u idle) ConfirmFirstProof(ctx context.Context, tenant, userID string, _ passwordless.Identifier) (
	passwordless.User, error,
) {
	return u.Get(ctx, tenant, userID)
}

func TestAFirstProofThatWasConfirmedInWordsAloneGivesItsClaimUp(t *testing.T) { // AC-2
	for name, own := range map[string]bool{"the built-in directory": false, "users of one's own": true} {
		t.Run(name, func(t *testing.T) {
			w, careless, users := newReluctant(t, own)
			good := users.Users
			users.Users = idle{good}
			_, err := w.now(2)
			require.ErrorContains(t, err, "without the proof")
			planted, err := careless.now(1)
			require.NoError(t, err)
			users.Users = good
			w.firstProof(2)
			w.signedOut(planted, "what was planted between the two")
		})
	}
}

func TestARepeatedFirstProofEndsWhatWasPlantedSince(t *testing.T) { // AC-2: at once, and a minute after the one before
	for name, own := range map[string]bool{"the built-in directory": false, "users of one's own": true} {
		for _, wait := range []time.Duration{0, time.Second, time.Minute, time.Minute + 1, 24 * time.Hour} {
			t.Run(fmt.Sprint(name, ", after ", wait), func(t *testing.T) {
				w, careless, users := newReluctant(t, own)
				users.refuse = errBroken
				var planted []passwordless.Login
				for range 3 {
					_, err := w.now(2)
					require.ErrorIs(t, err, errBroken)
					for _, l := range planted {
						w.signedOut(l, "each first proof ends what came before it")
					}
					l, err := careless.now(1) // the directory still does not know the owner
					require.NoError(t, err)
					_, err = w.Session(t.Context(), l.Session.Token)
					require.NoError(t, err)
					planted = append(planted, l)
					w.clock.advance(wait)
				}
				users.refuse = nil
				w.firstProof(2)
				for _, l := range planted {
					w.signedOut(l, "what was planted between two first proofs")
				}
				sessions, _, err := w.Sessions(t.Context(), "", "squatted", 10, "")
				require.NoError(t, err)
				assert.Len(t, sessions, 1, "the owner's alone")
			})
		}
	}
}

// firstProof signs the owner in to what was the squatter's account.
func (w *world) firstProof(network int) {
	w.t.Helper()
	owner, err := w.now(network)
	require.NoError(w.t, err)
	assert.True(w.t, owner.FirstProof)
	assert.Equal(w.t, "squatted", owner.User.ID)
	assert.True(w.t, owner.User.EmailVerified)
	_, err = w.Session(w.t.Context(), owner.Session.Token)
	require.NoError(w.t, err)
}
