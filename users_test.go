package passwordless_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
)

func TestNobodyExistsBeforeProof(t *testing.T) { // AC-1
	users := newTable()
	w := newWorld(t, func(c *passwordless.Config) { c.Users = users })
	started, code := w.start(alice)
	_, err := w.guess(started.Handle, wrong(code))
	require.Error(t, err)
	assert.Empty(t, users.all)
	_, err = w.guess(started.Handle, code)
	require.NoError(t, err)
	assert.Len(t, users.all, 1)
}

func TestWithoutTheFirstProofsPurgeThereIsNoLogin(t *testing.T) { // AC-2
	users := newTable()
	users.refuse = errBroken
	w := newWorld(t, func(c *passwordless.Config) { c.Users = users })
	started, code := w.start(alice)
	_, err := w.Verify(t.Context(), w.as("web", home), byCode(started.Handle, code, session))
	require.ErrorIs(t, err, errBroken)
	sessions, _, err := w.Sessions(t.Context(), "", "u0", 10, "")
	require.NoError(t, err)
	assert.Empty(t, sessions)
}

// A confused table confirms what it was not asked for.
type confused struct {
	*table
	change func(*passwordless.User)
}

func (u confused) ConfirmFirstProof(ctx context.Context, tenant, userID string, id passwordless.Identifier) (
	passwordless.User, error,
) {
	found, err := u.table.ConfirmFirstProof(ctx, tenant, userID, id)
	u.change(&found)
	return found, err
}

func TestADirectoryConfirmsTheUserAndTheProof(t *testing.T) { // AC-2, VF-12
	for what, change := range map[string]func(*passwordless.User){
		"another user":  func(u *passwordless.User) { u.ID = "mallory" },
		"without proof": func(u *passwordless.User) { u.EmailVerified = false },
	} {
		w := newWorld(t, func(c *passwordless.Config) { c.Users = confused{newTable(), change} })
		started, code := w.start(alice)
		l, err := w.Verify(t.Context(), w.as("web", home), byCode(started.Handle, code, session))
		require.ErrorContains(t, err, "confirming first proof", what)
		assert.Zero(t, l)
		for _, id := range []string{"u0", "mallory"} {
			sessions, _, err := w.Sessions(t.Context(), "", id, 10, "")
			require.NoError(t, err)
			assert.Empty(t, sessions, "%s: %s", what, id)
		}
	}
}

func TestTheOwnersFirstProofEndsWhatCameBefore(t *testing.T) { // AC-2, AC-4: a squatter's account
	w := newWorld(t)
	ctx := t.Context()
	squatter := w.signIn("squatter@example.com", session)
	w.clock.advance(time.Second)
	_, err := w.Directory().Update(ctx, "", squatter.User.ID, func(u *passwordless.User) error {
		u.Phone = "+46701111111" // planted, never proved
		return nil
	})
	require.NoError(t, err)
	w.clock.advance(time.Hour)
	planted := w.signIn("squatter@example.com", session)

	w.clock.advance(time.Hour)
	started, err := w.Start(ctx, w.as("web", home), passwordless.StartRequest{Channel: passwordless.SMS, Address: "+46701111111"})
	require.NoError(t, err)
	l, err := w.Verify(ctx, w.as("web", home), byCode(started.Handle, w.outbox.last().Code.Reveal(), passwordless.Issue{}))
	require.NoError(t, err)
	assert.True(t, l.FirstProof)
	_, err = w.Session(ctx, planted.Session.Token)
	require.ErrorIs(t, err, passwordless.ErrInvalidToken)
}

func TestNamesAreUniqueAndFollowTheirUser(t *testing.T) { // ID-12, AC-3
	w := newWorld(t)
	ctx, d := t.Context(), w.Directory()
	erik, err := d.Add(ctx, "", passwordless.User{Email: "Erik@example.com", Username: "erik", Number: 42})
	require.NoError(t, err)
	assert.EqualValues(t, "erik@example.com", erik.Email)
	for name, u := range map[string]passwordless.User{
		"e-mail": {Email: "erik@example.com"}, "username": {Username: "erik"}, "number": {Number: 42}, "ID": {ID: erik.ID},
	} {
		_, err := d.Add(ctx, "", u)
		require.ErrorIs(t, err, passwordless.ErrTaken, name)
	}
	found, err := d.FindNumber(ctx, "", 42)
	require.NoError(t, err)
	assert.Equal(t, erik.ID, found.ID)

	_, err = d.Update(ctx, "", erik.ID, func(u *passwordless.User) error { u.Email = "new@example.com"; return nil })
	require.NoError(t, err)
	_, err = d.Find(ctx, "", passwordless.Identifier{Channel: passwordless.Email, Address: "erik@example.com"})
	require.ErrorIs(t, err, passwordless.ErrNoUser)
	other, err := d.Add(ctx, "", passwordless.User{Email: "erik@example.com"})
	require.NoError(t, err, "a freed address is free")
	assert.NotEqual(t, erik.ID, other.ID)

	require.NoError(t, d.Delete(ctx, "", erik.ID))
	require.NoError(t, d.Delete(ctx, "", erik.ID))
	_, err = d.FindUsername(ctx, "", "erik")
	require.ErrorIs(t, err, passwordless.ErrNoUser)
	_, err = d.Add(ctx, "", passwordless.User{Username: "erik"})
	require.NoError(t, err)
}

func TestUsersAreListedByTenant(t *testing.T) { // PR-6
	w := newWorld(t, func(c *passwordless.Config) {
		c.Tenants = []passwordless.Tenant{{ID: "a"}, {ID: "b"}}
		c.Clients = passwordless.ClientList{{ID: "web", Tenant: "a", Public: true}}
	})
	d := w.Directory()
	for i := range 5 {
		_, err := d.Add(t.Context(), "a", passwordless.User{ID: fmt.Sprint(i)})
		require.NoError(t, err)
	}
	_, err := d.Add(t.Context(), "b", passwordless.User{ID: "other"})
	require.NoError(t, err)
	require.NoError(t, d.Delete(t.Context(), "a", "4"))
	seen := map[string]bool{}
	for cursor, more := "", true; more; more = cursor != "" {
		var page []passwordless.User
		page, cursor, err = d.List(t.Context(), "a", 3, cursor)
		require.NoError(t, err)
		for _, u := range page {
			seen[u.ID] = true
		}
	}
	assert.Equal(t, map[string]bool{"0": true, "1": true, "2": true, "3": true}, seen)
	_, _, err = d.List(t.Context(), "a", 0, "")
	require.ErrorAs(t, err, new(*passwordless.InputError))
	_, _, err = w.Sessions(t.Context(), "a", "0", -5, "")
	require.ErrorAs(t, err, new(*passwordless.InputError))
}

func TestConcurrentUpdatesLoseNothing(t *testing.T) {
	w := newWorld(t)
	ctx, d := t.Context(), w.Directory()
	u, err := d.Add(ctx, "", passwordless.User{Email: alice})
	require.NoError(t, err)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			_, err := d.Update(ctx, "", u.ID, func(u *passwordless.User) error { u.Name += "x"; return nil })
			assert.NoError(t, err)
		})
	}
	group.Wait()
	u, err = d.Get(ctx, "", u.ID)
	require.NoError(t, err)
	assert.Equal(t, "xxxx", u.Name)
}

func TestABadUserIsNotStored(t *testing.T) {
	w := newWorld(t)
	for _, u := range []passwordless.User{
		{Email: "not an address"}, {Phone: "123"}, {Number: -1}, {EmailVerified: true}, {Status: 99},
	} {
		_, err := w.Directory().Add(t.Context(), "", u)
		require.ErrorAs(t, err, new(*passwordless.InputError), "%+v", u)
	}
	_, err := w.Directory().Add(t.Context(), "nowhere", passwordless.User{})
	require.ErrorAs(t, err, new(*passwordless.InputError))
}

// A numbed is a directory that gives everybody one ID, before the proof or after it.
type numbed struct {
	brokenUsers
	id    string
	found bool
}

func (n numbed) Find(_ context.Context, _ string, id passwordless.Identifier) (passwordless.User, error) {
	if !n.found {
		return passwordless.User{}, passwordless.ErrNoUser
	}
	return passwordless.User{ID: n.id, Email: id.Address, EmailVerified: true}, nil
}

func (n numbed) Create(_ context.Context, _ string, id passwordless.Identifier) (passwordless.User, error) {
	return passwordless.User{ID: n.id, Email: id.Address, EmailVerified: true}, nil
}

func TestAUserWithoutAnIDSignsNobodyIn(t *testing.T) { // AC-5, VF-12: people without an ID would all be one
	for _, found := range []bool{true, false} {
		for id, good := range map[string]bool{"": false, strings.Repeat("i", 65): false, strings.Repeat("i", 64): true} {
			w := newWorld(t, func(c *passwordless.Config) { c.Users = numbed{id: id, found: found} })
			started, code := w.start(alice)
			l, err := w.Verify(t.Context(), w.as("web", home), byCode(started.Handle, code, both))
			if good {
				require.NoError(t, err)
				continue
			}
			require.ErrorContains(t, err, "ID is not 1 to 64 bytes", "%q, found: %t", id, found)
			assert.Zero(t, l)
			sessions, _, err := w.Sessions(t.Context(), "", id, 10, "")
			assert.Empty(t, sessions, "%q: %v", id, err)
		}
	}
}

// A mixUp is a directory whose Get returns another user.
type mixUp struct{ passwordless.Users }

func (mixUp) Get(context.Context, string, string) (passwordless.User, error) {
	return passwordless.User{ID: "another", Email: alice, EmailVerified: true}, nil
}

func TestARefreshIsJudgedByItsOwnUser(t *testing.T) { // AC-5, VF-12
	w := newWorld(t, func(c *passwordless.Config) { c.Users = mixUp{newTable()} })
	l := w.signIn(alice, offline)
	_, err := w.refresh("web", l.Tokens.Refresh)
	require.ErrorContains(t, err, "another user than was asked for")
	assert.Contains(t, w.events.types(), passwordless.EventFailed)
}
