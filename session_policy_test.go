package passwordless_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
)

// ruled is a change of a configuration: its sessions are under a policy.
func ruled(p passwordless.SessionPolicy) func(*passwordless.Config) {
	return func(c *passwordless.Config) { c.Policy.Sessions = p }
}

// both asks for a session and for a refresh token family.
var both = passwordless.Issue{Session: true, Tokens: offline.Tokens}

func TestARefreshTokenWorksOnce(t *testing.T) { // TK-9
	for name, p := range map[string]passwordless.SessionPolicy{"by default": {}, "by choice": {Refresh: passwordless.OneTime},
		"without grace": {Grace: -1}, "with more grace": {Grace: 2 * time.Minute}} {
		w := newWorld(t, ruled(p))
		first := w.signIn(alice, both).Tokens.Refresh
		second, err := w.refresh("web", first)
		require.NoError(t, err, name)
		require.NotEqual(t, first, second.Refresh, name)
		grace := p.Grace
		switch grace {
		case 0:
			grace = 10 * time.Second
		case -1:
			grace = 0
		}
		if grace > 0 {
			w.clock.advance(grace - 1)
			again, err := w.refresh("web", first)
			require.NoError(t, err, "%s: its answer may have been lost", name)
			assert.Equal(t, second.Refresh, again.Refresh, "%s: never two children", name)
			w.clock.advance(1)
		}
		w.events.types()
		_, err = w.refresh("web", first)
		require.ErrorIs(t, err, passwordless.ErrReusedToken, name)
		assert.Equal(t, []passwordless.EventType{passwordless.EventTokenReuse}, w.events.types(), name)
		_, err = w.refresh("web", second.Refresh)
		require.ErrorIs(t, err, passwordless.ErrInvalidToken, "%s: one of the two is a thief's", name)
		require.NotErrorIs(t, err, passwordless.ErrReusedToken, name)
	}
}

func TestAnOlderRefreshTokenEndsTheFamilyWithinGrace(t *testing.T) { // TK-9
	w := newWorld(t)
	first := w.signIn(alice, both).Tokens.Refresh
	second, err := w.refresh("web", first)
	require.NoError(t, err)
	third, err := w.refresh("web", second.Refresh)
	require.NoError(t, err)
	_, err = w.refresh("web", first)
	require.ErrorIs(t, err, passwordless.ErrReusedToken, "grace is for the one before the current")
	_, err = w.refresh("web", third.Refresh)
	require.ErrorIs(t, err, passwordless.ErrInvalidToken)
}

func TestAReusableRefreshTokenStays(t *testing.T) { // TK-9
	w := newWorld(t, ruled(passwordless.SessionPolicy{Refresh: passwordless.Reusable}))
	l := w.signIn(alice, both)
	other := w.second()
	for _, service := range []*world{w, other, w, other} {
		tokens, err := service.refresh("web", l.Tokens.Refresh)
		require.NoError(t, err)
		assert.Equal(t, l.Tokens.Refresh, tokens.Refresh)
		assert.NotEqual(t, l.Tokens.Access, tokens.Access)
		_, err = w.access(tokens.Access, "")
		require.NoError(t, err)
		w.clock.advance(24 * time.Hour)
	}
	assert.NotContains(t, w.events.types(), passwordless.EventTokenReuse)
	require.NoError(t, w.Revoke(t.Context(), w.as("web", home), l.Tokens.Refresh))
	_, err := w.refresh("web", l.Tokens.Refresh)
	require.ErrorIs(t, err, passwordless.ErrInvalidToken)
}

// A kept is what a login gave to keep: a session, or a refresh token, used in turn.
type kept struct {
	*world
	name  string
	token passwordless.Secret
	use   func(w *world, token *passwordless.Secret) error
}

// keeps signs in and returns both that it gave.
func (w *world) keeps() []kept {
	l := w.signIn(alice, both)
	return []kept{{w, "session", l.Session.Token, func(w *world, token *passwordless.Secret) error {
		_, err := w.Session(context.Background(), *token)
		return err
	}}, {w, "refresh token", l.Tokens.Refresh, func(w *world, token *passwordless.Secret) error {
		tokens, err := w.refresh("web", *token)
		if err == nil {
			*token = tokens.Refresh
		}
		return err
	}}}
}

// lasts uses it each so often, and returns how long it worked: the instant of its first refusal since the sign-in.
func (k kept) lasts(step, most time.Duration) (age time.Duration) {
	k.t.Helper()
	for age = step; age < most; age += step {
		k.clock.advance(step)
		if err := k.use(k.world, &k.token); err != nil {
			require.ErrorIs(k.t, err, passwordless.ErrInvalidToken)
			k.clock.advance(-step)
			require.ErrorIs(k.t, k.use(k.world, &k.token), passwordless.ErrInvalidToken, "a clock that steps back revives nothing")
			k.clock.advance(step)
			return age
		}
	}
	return age
}

func TestTheThreeExpiries(t *testing.T) { // SS-2
	const idle, absolute, long = 10 * time.Minute, time.Hour, 6 * time.Hour
	for _, row := range []struct {
		expiry passwordless.ExpiryPolicy
		step   time.Duration
		lasts  time.Duration // until the first use that is refused
	}{
		{0, idle - 1, 7 * (idle - 1)}, // 60 minutes are over
		{0, idle, idle},
		{passwordless.SlidingToMaximum, idle - 1, 7 * (idle - 1)},
		{passwordless.SlidingToMaximum, 6 * time.Minute, absolute},
		{passwordless.SlidingToMaximum, idle, idle},
		{passwordless.FixedExpiry, time.Minute, absolute},
		{passwordless.FixedExpiry, absolute - 1, 2 * (absolute - 1)},
		{passwordless.FixedExpiry, absolute, absolute},
		{passwordless.Sliding, idle - 1, long},
		{passwordless.Sliding, idle, idle},
	} {
		p := passwordless.SessionPolicy{Expiry: row.expiry, Idle: idle, Absolute: absolute}
		for i := range 2 {
			k := newWorld(t, ruled(p)).keeps()[i]
			age := k.lasts(row.step, long)
			if row.lasts == long {
				assert.GreaterOrEqual(t, age, long, "%v, a %s used each %v", row.expiry, k.name, row.step)
				continue
			}
			assert.Equal(t, row.lasts, age, "%v, a %s used each %v", row.expiry, k.name, row.step)
		}
	}
}

func TestTheEndThatASessionTells(t *testing.T) { // SS-2
	const idle, absolute = 10 * time.Minute, 15 * time.Minute
	for expiry, ends := range map[passwordless.ExpiryPolicy][2]time.Duration{ // at the sign-in, and after a use 9 minutes later
		passwordless.SlidingToMaximum: {idle, absolute},
		passwordless.FixedExpiry:      {absolute, absolute},
		passwordless.Sliding:          {idle, 19 * time.Minute},
	} {
		w := newWorld(t, ruled(passwordless.SessionPolicy{Expiry: expiry, Idle: idle, Absolute: absolute}))
		l := w.signIn(alice, both)
		assert.Equal(t, l.At().Add(ends[0]), l.Session.Expires, expiry)
		w.clock.advance(9 * time.Minute)
		s, err := w.Session(t.Context(), l.Session.Token)
		require.NoError(t, err)
		assert.Equal(t, l.At().Add(ends[1]), s.Expires, expiry)
		_, err = w.refresh("web", l.Tokens.Refresh)
		require.NoError(t, err)
		all, _, err := w.Sessions(t.Context(), "", l.User.ID, 10, "")
		require.NoError(t, err)
		require.Len(t, all, 2)
		for _, s := range all {
			assert.Equal(t, l.At().Add(ends[1]), s.Expires, expiry)
		}
	}
}

// A rule is a policy with what can be told from outside of a family under it.
type rule struct {
	policy passwordless.SessionPolicy
	grace  bool // the former refresh token is answered 30 s later
	once   bool // a refresh token is replaced
	lasts  time.Duration
}

var rules = map[string]rule{
	"strict": {passwordless.SessionPolicy{Refresh: passwordless.OneTime, Expiry: passwordless.FixedExpiry, Idle: time.Hour,
		Absolute: time.Hour, Grace: -1}, false, true, time.Hour},
	"lenient": {passwordless.SessionPolicy{Refresh: passwordless.Reusable, Expiry: passwordless.Sliding, Idle: 2 * time.Hour,
		Absolute: 3 * time.Hour, Grace: 2 * time.Minute}, false, false, 12 * time.Hour},
	"between": {passwordless.SessionPolicy{Idle: 30 * time.Minute, Absolute: 2 * time.Hour, Grace: time.Minute}, true, true,
		2 * time.Hour},
}

// follows asserts that what signIn grants on one service is under a rule on another.
func follows(t *testing.T, signsIn, later *world, r rule, why string) {
	t.Helper()
	l := signsIn.signIn(alice, both)
	tokens, err := later.refresh("web", l.Tokens.Refresh)
	require.NoError(t, err, why)
	assert.Equal(t, r.once, tokens.Refresh != l.Tokens.Refresh, "%s: a refresh token is replaced", why)
	if r.once {
		later.clock.advance(30 * time.Second)
		_, err = later.refresh("web", l.Tokens.Refresh)
		assert.Equal(t, r.grace, err == nil, "%s: grace", why)
		if err != nil {
			require.ErrorIs(t, err, passwordless.ErrReusedToken, why)
		}
	}
	for i := range 2 {
		k := signsIn.keeps()[i]
		k.world = later
		assert.Equal(t, r.lasts, k.lasts(15*time.Minute, 12*time.Hour), "%s: the life of a %s", why, k.name)
	}
}

func TestThePolicyOfTheSignInStays(t *testing.T) { // SS-2, TK-9, TK-10
	for before, was := range rules {
		for after, is := range rules {
			w := newWorld(t, ruled(was.policy))
			changed := *w
			changed.cfg.Policy.Sessions = is.policy
			changed.Service = newService(t, changed.cfg)
			follows(t, w, &changed, was, "from "+before+" to "+after)
			follows(t, &changed, w, is, "signed in under "+after+", by a Service that still has "+before)
		}
	}
}

func TestAClientsSessionPolicyStaysToo(t *testing.T) { // SS-2
	was, is := rules["strict"], rules["lenient"]
	own := func(p passwordless.SessionPolicy) func(*passwordless.Config) {
		return func(c *passwordless.Config) {
			c.Clients = passwordless.ClientList{{ID: "web", Public: true, FirstParty: true, Sessions: p}}
		}
	}
	w := newWorld(t, ruled(is.policy), own(was.policy))
	changed := *w
	own(passwordless.SessionPolicy{})(&changed.cfg)
	changed.Service = newService(t, changed.cfg)
	follows(t, w, &changed, was, "the client's own")
	follows(t, &changed, w, is, "the policy's")
}

// A directory is Users whose users can be locked and deleted.
type directory struct {
	users   func() passwordless.Users
	set     func(w *world, id string, s passwordless.UserStatus)
	remove  func(w *world, id string)
	signOut bool // a change of the status signs out too
}

// directories are the built-in one and an application's.
var directories = map[string]directory{
	"the built-in directory": {func() passwordless.Users { return nil }, func(w *world, id string, s passwordless.UserStatus) {
		_, err := w.change(id, func(u *passwordless.User) { u.Status = s })
		require.NoError(w.t, err)
	}, func(w *world, id string) {
		require.NoError(w.t, w.Directory().Delete(w.t.Context(), "", id))
	}, true},
	"the application's users": {func() passwordless.Users { return newTable() },
		func(w *world, _ string, s passwordless.UserStatus) {
			users := w.cfg.Users.(*table)
			u := users.all[byEmail(alice)]
			u.Status = s
			users.all[byEmail(alice)] = u
		}, func(w *world, _ string) { delete(w.cfg.Users.(*table).all, byEmail(alice)) }, false},
}

// entries are the ways in: each begins one, and returns what takes it to its end.
var entries = map[string]func(w *world) (func() error, bool){
	"a refresh": func(w *world) (func() error, bool) {
		token := w.signIn(alice, both).Tokens.Refresh
		return func() error { _, err := w.refresh("web", token); return err }, true
	},
	"an exchange": func(w *world) (func() error, bool) {
		l := w.signIn(alice, asking("offline_access"))
		return func() error { _, err := w.Exchange(w.t.Context(), w.as("web", home), of(l)); return err }, true
	},
	"a code": func(w *world) (func() error, bool) {
		return func() error {
			w.clock.advance(time.Hour)
			started, code := w.start(alice)
			_, err := w.Verify(w.t.Context(), w.as("web", home),
				byCode(started.Handle, code, both))
			return err
		}, false
	},
	"a code found by the address": func(w *world) (func() error, bool) {
		return func() error {
			w.clock.advance(time.Hour)
			_, err := w.startWith(home, byAddress(alice))
			require.NoError(w.t, err)
			req := coded(alice, w.outbox.last().Code.Reveal())
			req.Issue = both
			_, err = w.Verify(w.t.Context(), w.as("web", home), req)
			return err
		}, false
	},
	"a code from a known device": func(w *world) (func() error, bool) {
		caller := home
		caller.Device = w.signIn(alice, passwordless.Issue{}).Device
		return func() error {
			w.clock.advance(time.Hour)
			started, code := w.startFrom(caller, alice)
			_, err := w.Verify(w.t.Context(), w.as("web", caller), byCode(started.Handle, code, both))
			return err
		}, false
	},
	"a code that a link showed elsewhere": func(w *world) (func() error, bool) {
		return func() error {
			w.clock.advance(time.Hour)
			started, link, _ := w.startLink(passwordless.SendLink)
			_, err := w.redeem(home, link)
			var elsewhere *passwordless.OtherBrowserError
			require.ErrorAs(w.t, err, &elsewhere)
			_, err = w.Verify(w.t.Context(), w.as("web", keeping(home, started)),
				byCode(started.Handle, elsewhere.Code.Reveal(), both))
			return err
		}, false
	},
	"a link": func(w *world) (func() error, bool) {
		return func() error {
			w.clock.advance(time.Hour)
			started, link, _ := w.startLink(passwordless.SendLink)
			caller := home
			caller.Browser = started.Browser
			_, err := w.RedeemLink(w.t.Context(), w.as("web", caller), passwordless.RedeemRequest{Token: link, Issue: both})
			return err
		}, false
	},
}

func TestALockedUserIsToldAtEveryWayIn(t *testing.T) { // AC-6
	statuses := []passwordless.UserStatus{passwordless.UserLocked, passwordless.UserExpired, passwordless.UserBlocked}
	for where, d := range directories {
		for way, entry := range entries {
			for _, status := range statuses {
				what := where + ", " + way + ", " + status.String()
				w := newWorld(t, func(c *passwordless.Config) { c.Users = d.users() })
				id := w.signIn(alice, both).User.ID
				enter, granted := entry(w)
				d.set(w, id, status)
				w.events.types()
				for range 2 {
					err := enter()
					if way == "a refresh" && d.signOut { // its family ended with the lock
						require.ErrorIs(t, err, passwordless.ErrInvalidToken, what)
						continue
					}
					var refused *passwordless.AccountError
					require.ErrorAs(t, err, &refused, what)
					assert.Equal(t, status, refused.Status, what)
					types := w.events.types()
					assert.Equal(t, passwordless.EventAccountRefused, types[len(types)-1], what)
					assert.NotContains(t, types, passwordless.EventLogin, what)
					assert.NotContains(t, types, passwordless.EventTokenCreated, what)
				}
				d.set(w, id, passwordless.UserActive)
				if err := enter(); granted && d.signOut {
					require.ErrorIs(t, err, passwordless.ErrInvalidToken, "%s: the lock signed out", what)
				} else {
					require.NoError(t, err, "%s: what was refused is not used up", what)
				}
			}
		}
	}
}

func TestADeletedUsersTokensAreInvalid(t *testing.T) { // AC-6
	for where, d := range directories {
		for way, entry := range entries {
			w := newWorld(t, func(c *passwordless.Config) { c.Users = d.users() })
			id := w.signIn(alice, both).User.ID
			enter, granted := entry(w)
			if !granted {
				continue // a code or a link makes a user anew
			}
			d.remove(w, id)
			w.events.types()
			err := enter()
			assert.Equal(t, passwordless.ErrInvalidToken, err, "%s, %s", where, way)
			assert.NotContains(t, w.events.types(), passwordless.EventAccountRefused, "%s, %s", where, way)
		}
	}
}

// An outage is Users that answer nothing.
type outage struct{ passwordless.Users }

func (outage) Get(context.Context, string, string) (passwordless.User, error) {
	return passwordless.User{}, errBroken
}

func TestADirectoryThatFailsRefreshesNothing(t *testing.T) { // VF-12
	users := newTable()
	w := newWorld(t, func(c *passwordless.Config) { c.Users = users })
	token := w.signIn(alice, both).Tokens.Refresh
	down := *w
	down.cfg.Users = outage{users}
	down.Service = newService(t, down.cfg)
	tokens, err := down.refresh("web", token)
	require.ErrorIs(t, err, errBroken)
	require.NotErrorIs(t, err, passwordless.ErrInvalidToken, "nobody can tell")
	assert.Zero(t, tokens)
	_, err = w.refresh("web", token)
	require.NoError(t, err, "the token was not used up")
}
