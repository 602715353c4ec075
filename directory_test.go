package passwordless_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/store/storetest"
)

const (
	alicesPhone = "+46701234567"
	ceo         = "ceo@example.com"
)

// signInBySMS takes a person the whole way by text message.
func (w *world) signInBySMS(number string, grant passwordless.Issue) passwordless.Login {
	w.t.Helper()
	w.clock.advance(time.Hour)
	started, err := w.Start(w.t.Context(), w.as("web", attacker),
		passwordless.StartRequest{Channel: passwordless.SMS, Address: passwordless.Address(number)})
	require.NoError(w.t, err)
	l, err := w.Verify(w.t.Context(), w.as("web", attacker), byCode(started.Handle, w.outbox.last().Code.Reveal(), grant))
	require.NoError(w.t, err)
	return l
}

func TestNobodyIsNoUser(t *testing.T) { // EN-2: of whoever stands for people that the directory does not have
	w := newWorld(t)
	d := w.Directory()
	added, err := d.Add(t.Context(), "", passwordless.User{Email: alice})
	require.NoError(t, err)
	all, next, err := d.List(t.Context(), "", 10, "")
	require.NoError(t, err)
	assert.Empty(t, next)
	require.Len(t, all, 1)
	assert.Equal(t, added.ID, all[0].ID)
	u, err := d.Get(t.Context(), "", "")
	require.ErrorIs(t, err, passwordless.ErrNoUser)
	assert.Zero(t, u)
	u, err = d.Find(t.Context(), "", passwordless.Identifier{Channel: passwordless.Email, Address: "nobody@example.com"})
	require.ErrorIs(t, err, passwordless.ErrNoUser)
	assert.Empty(t, u.Name)
	u, err = d.FindUsername(t.Context(), "", "nobody")
	require.ErrorIs(t, err, passwordless.ErrNoUser)
	assert.Zero(t, u)
	w.events.types()
	require.NoError(t, d.Delete(t.Context(), "", ""))
	assert.Empty(t, w.events.types(), "nobody was there")
	taken, err := d.Add(t.Context(), "", passwordless.User{Email: "nobody@example.com"})
	require.NoError(t, err, "the address is anybody's")
	assert.NotEmpty(t, taken.ID)
}

func TestAChangedAddressIsUnverified(t *testing.T) { // AC-2, AC-3, AC-4
	w := newWorld(t)
	l := w.signIn(alice, passwordless.Issue{})
	u, err := w.change(l.User.ID, func(u *passwordless.User) { u.Name = "Alice" })
	require.NoError(t, err)
	assert.True(t, u.EmailVerified, "it did not change")
	u, err = w.change(l.User.ID, func(u *passwordless.User) { u.Email, u.EmailVerified = "CEO@example.com", true })
	require.NoError(t, err)
	assert.EqualValues(t, ceo, u.Email)
	assert.False(t, u.EmailVerified, "whoever calls Update has proved nothing")
	u, err = w.change(l.User.ID, func(u *passwordless.User) { u.Phone, u.PhoneVerified = alicesPhone, true })
	require.NoError(t, err)
	assert.False(t, u.PhoneVerified)
	assert.True(t, w.signIn(ceo, passwordless.Issue{}).FirstProof, "and what was planted before is purged")
}

func TestAChangedAddressOrStatusSignsOut(t *testing.T) { // AC-3, AC-6
	for what, c := range map[string]struct {
		change func(*passwordless.User)
		ends   bool
	}{
		"email":    {func(u *passwordless.User) { u.Email = ceo }, true},
		"no email": {func(u *passwordless.User) { u.Email = "" }, true},
		"phone":    {func(u *passwordless.User) { u.Phone = alicesPhone }, true},
		"status":   {func(u *passwordless.User) { u.Status = passwordless.UserLocked }, true},
		"name":     {func(u *passwordless.User) { u.Name, u.Username, u.Locale = "Alice", "alice", "sv" }, false},
	} {
		w := newWorld(t)
		l := w.signIn(alice, session)
		_, err := w.change(l.User.ID, c.change)
		require.NoError(t, err)
		if c.ends {
			w.signedOut(l, what)
			continue
		}
		_, err = w.Session(t.Context(), l.Session.Token)
		require.NoError(t, err, what)
	}
}

func TestAnUnprovedAddressLinksNobody(t *testing.T) { // AC-4: a squatter waits for the owner
	w := newWorld(t)
	squatter := w.signInBySMS(alicesPhone, session)
	_, err := w.change(squatter.User.ID, func(u *passwordless.User) { u.Email = alice })
	require.NoError(t, err)
	_, err = w.Directory().Find(t.Context(), "", byEmail(alice))
	require.ErrorIs(t, err, passwordless.ErrNoUser)

	owner := w.signIn(alice, session)
	assert.NotEqual(t, squatter.User.ID, owner.User.ID)
	assert.Empty(t, owner.User.Phone)
	lost, err := w.Directory().Get(t.Context(), "", squatter.User.ID)
	require.NoError(t, err)
	assert.Empty(t, lost.Email, "the address is its owner's")
	assert.EqualValues(t, alicesPhone, lost.Phone, "what was proved stays")
	assert.Equal(t, squatter.User.ID, w.signInBySMS(alicesPhone, session).User.ID)
	assert.Equal(t, owner.User.ID, w.signIn(alice, session).User.ID)
}

func TestOfTwoUnprovedAddressesTheFirstProofTakesTheAccount(t *testing.T) { // AC-2
	w := newWorld(t)
	planted, err := w.Directory().Add(t.Context(), "", passwordless.User{Email: alice, Phone: alicesPhone})
	require.NoError(t, err)
	l := w.signIn(alice, passwordless.Issue{})
	assert.Equal(t, planted.ID, l.User.ID)
	assert.Empty(t, l.User.Phone, "nobody proved it")
	assert.NotEqual(t, planted.ID, w.signInBySMS(alicesPhone, passwordless.Issue{}).User.ID)
}

func TestTheFirstProofOfTwoAddressesSignsIn(t *testing.T) { // AC-2: the address that it takes away ends nothing that it grants
	for _, ch := range []passwordless.Channel{passwordless.Email, passwordless.SMS} {
		w := newWorld(t)
		planted, err := w.Directory().Add(t.Context(), "", passwordless.User{Email: alice, Phone: alicesPhone})
		require.NoError(t, err)
		g := passwordless.Issue{Session: true, Tokens: offline.Tokens, Code: asking("offline_access").Code}
		sign := func() passwordless.Login { return w.signIn(alice, g) }
		if ch == passwordless.SMS {
			sign = func() passwordless.Login { return w.signInBySMS(alicesPhone, g) }
		}
		l := sign()
		assert.Equal(t, planted.ID, l.User.ID)
		assert.True(t, l.FirstProof)
		_, err = w.Session(t.Context(), l.Session.Token)
		require.NoError(t, err, "the session, %s", ch)
		_, err = w.refresh("web", l.Tokens.Refresh)
		require.NoError(t, err, "the refresh token, %s", ch)
		_, err = w.Exchange(t.Context(), w.as("web", home), of(l))
		require.NoError(t, err, "the code, %s", ch)
		again := sign()
		assert.False(t, again.FirstProof)
		_, err = w.Session(t.Context(), l.Session.Token)
		require.NoError(t, err, "nor does the next sign-in end it, %s", ch)
	}
}

func TestADeletionAndAChangeNeverMix(t *testing.T) { // AC-6: one conditional commit
	w, g := newGap(t)
	ctx, d := t.Context(), w.Directory()
	u := w.signIn(alice, passwordless.Issue{}).User
	g.beforeCommit = func() { // the address moves on to another user
		_, err := w.change(u.ID, func(u *passwordless.User) { u.Email = ceo })
		require.NoError(t, err)
		_, err = d.Add(ctx, "", passwordless.User{ID: "v", Email: alice})
		require.NoError(t, err)
	}
	require.NoError(t, d.Delete(ctx, "", u.ID))
	found, err := d.Find(ctx, "", byEmail(alice))
	require.NoError(t, err, "the other user's claim was not deleted")
	assert.Equal(t, "v", found.ID)
	_, err = d.Add(ctx, "", passwordless.User{Email: alice})
	require.ErrorIs(t, err, passwordless.ErrTaken, "no two users of one address")
	assert.NotEqual(t, u.ID, w.signIn(ceo, passwordless.Issue{}).User.ID, "no orphaned claim bars the address")
}

func TestAChangeAndADeletionNeverMix(t *testing.T) { // AC-6
	w, g := newGap(t)
	ctx, d := t.Context(), w.Directory()
	u := w.signIn(alice, passwordless.Issue{}).User
	g.beforeCommit = func() { require.NoError(t, d.Delete(ctx, "", u.ID)) }
	_, err := w.change(u.ID, func(u *passwordless.User) { u.Email = ceo })
	require.ErrorIs(t, err, passwordless.ErrNoUser)
	_, err = d.Get(ctx, "", u.ID)
	require.ErrorIs(t, err, passwordless.ErrNoUser, "a change does not bring anybody back")
	for _, address := range []string{alice, ceo} {
		_, err = d.Add(ctx, "", passwordless.User{Email: passwordless.Address(address)})
		require.NoError(t, err, "both addresses are free")
	}
}

func TestADeletionTakesTheNamesThatTheUserHasThen(t *testing.T) { // of which a username signs nobody out
	w, g := newGap(t)
	ctx, d := t.Context(), w.Directory()
	u, err := d.Add(ctx, "", passwordless.User{Email: alice, Username: "alice"})
	require.NoError(t, err)
	g.beforeCommit = func() {
		_, err := w.change(u.ID, func(u *passwordless.User) { u.Username = "liz" })
		require.NoError(t, err)
		_, err = d.Add(ctx, "", passwordless.User{ID: "v", Username: "alice"})
		require.NoError(t, err)
	}
	require.NoError(t, d.Delete(ctx, "", u.ID))
	found, err := d.FindUsername(ctx, "", "alice")
	require.NoError(t, err)
	assert.Equal(t, "v", found.ID)
	_, err = d.Add(ctx, "", passwordless.User{Username: "liz"})
	require.NoError(t, err)
}

func TestTwoChangesNeverMix(t *testing.T) {
	w, g := newGap(t)
	ctx, d := t.Context(), w.Directory()
	u, err := d.Add(ctx, "", passwordless.User{Email: alice, Username: "alice"})
	require.NoError(t, err)
	g.beforeCommit = func() {
		_, err := w.change(u.ID, func(u *passwordless.User) { u.Username = "liz" })
		require.NoError(t, err)
	}
	u, err = w.change(u.ID, func(u *passwordless.User) { u.Name = "Alice" })
	require.NoError(t, err)
	assert.Equal(t, "liz", u.Username)
	found, err := d.FindUsername(ctx, "", "liz")
	require.NoError(t, err)
	assert.Equal(t, "Alice", found.Name)
	_, err = d.Add(ctx, "", passwordless.User{Username: "alice"})
	require.NoError(t, err)
}

func TestAnAddressThatIsTakenMeanwhileChangesNothing(t *testing.T) { // AC-3
	w, g := newGap(t)
	ctx, d := t.Context(), w.Directory()
	l := w.signIn(alice, session)
	g.beforeCommit = func() {
		_, err := d.Add(ctx, "", passwordless.User{ID: "v", Email: ceo})
		require.NoError(t, err)
	}
	_, err := w.change(l.User.ID, func(u *passwordless.User) { u.Email = ceo })
	require.ErrorIs(t, err, passwordless.ErrTaken)
	for address, id := range map[string]string{alice: l.User.ID, ceo: "v"} {
		found, err := d.Find(ctx, "", byEmail(passwordless.Address(address)))
		require.NoError(t, err)
		assert.Equal(t, id, found.ID)
	}
	_, err = w.Session(ctx, l.Session.Token)
	require.NoError(t, err)
}

func TestADeletedUserHasNoSession(t *testing.T) { // AC-6, SS-6
	everything := passwordless.Issue{Session: true, Tokens: offline.Tokens}
	w, g := newGap(t)
	u := w.signIn(alice, passwordless.Issue{}).User
	var l passwordless.Login
	g.beforeCommit = func() { l = w.signIn(alice, everything) }
	require.NoError(t, w.Directory().Delete(t.Context(), "", u.ID))
	w.signedOut(l, "a login just before the deletion")

	u = w.signIn(alice, passwordless.Issue{}).User
	w.clock.advance(time.Hour)
	started, code := w.start(alice)
	g.beforeCommit = func() { require.NoError(t, w.Directory().Delete(t.Context(), "", u.ID)) }
	l, err := w.Verify(t.Context(), w.as("web", home), byCode(started.Handle, code, everything))
	require.NoError(t, err)
	w.signedOut(l, "a login that the deletion overtook")
}

func TestALoginThatALockOvertakesIsSignedOut(t *testing.T) { // SS-6
	w, g := newGap(t)
	l := w.signIn(alice, passwordless.Issue{Session: true, Tokens: offline.Tokens})
	lock := func() {
		_, err := w.change(l.User.ID, func(u *passwordless.User) { u.Status = passwordless.UserLocked })
		require.NoError(t, err)
	}
	w.clock.advance(time.Hour)
	started, code := w.start(alice)
	g.beforeCommit = lock
	late, err := w.Verify(t.Context(), w.as("web", home),
		byCode(started.Handle, code, passwordless.Issue{Session: true, Tokens: offline.Tokens}))
	require.NoError(t, err, "its answer was on its way")
	w.signedOut(late, "what it grants is dead")
	w.signedOut(l, "and what there was")
}

func TestARefreshThatARevocationOvertakesIsTheLast(t *testing.T) { // SS-6
	w, g := newGap(t)
	l := w.signIn(alice, offline)
	g.beforeCommit = func() { require.NoError(t, w.RevokeUser(t.Context(), "", l.User.ID)) }
	tokens, err := w.refresh("web", l.Tokens.Refresh)
	require.NoError(t, err, "its answer was on its way")
	for _, token := range []passwordless.Secret{l.Tokens.Refresh, tokens.Refresh} {
		_, err = w.refresh("web", token)
		require.ErrorIs(t, err, passwordless.ErrInvalidToken)
	}
}

func TestALockedUserIsSignedOutWhateverTheStoreAnswers(t *testing.T) { // SS-6, VF-12
	for name, spoil := range map[string]func(*storetest.Faulty){
		"one answer lost": func(f *storetest.Faulty) { f.Spoil(storetest.Commit, 1, storetest.LostAnswer()) },
		"every answer lost": func(f *storetest.Faulty) {
			f.SpoilAll(storetest.Commit, storetest.LostAnswer())
			f.Spoil(storetest.Load, 2, storetest.Unavailable()) // by which the commit would be found
		},
		"request lost":             func(f *storetest.Faulty) { f.SpoilAll(storetest.Commit, storetest.LostRequest()) },
		"down":                     func(f *storetest.Faulty) { f.SpoilAll(storetest.Commit, storetest.Unavailable()) },
		"down at any second write": func(f *storetest.Faulty) { f.Spoil(storetest.Commit, 2, storetest.Unavailable()) },
	} {
		w, faulty := newFaulty(t)
		l := w.signIn(alice, session)
		spoil(faulty)
		_, changed := w.change(l.User.ID, func(u *passwordless.User) { u.Status = passwordless.UserLocked })
		faulty.Heal()
		u, err := w.Directory().Get(t.Context(), "", l.User.ID)
		require.NoError(t, err)
		if u.Status == passwordless.UserActive {
			require.Error(t, changed, name)
			_, err = w.change(l.User.ID, func(u *passwordless.User) { u.Status = passwordless.UserLocked })
			require.NoError(t, err, name)
		}
		w.signedOut(l, name)
	}
}

func TestAnAddressThatMovesOnIsNotConfirmed(t *testing.T) { // AC-4
	w, g := newGap(t)
	ctx, d := t.Context(), w.Directory()
	u := w.signIn(alice, passwordless.Issue{}).User
	g.beforeLoad = func() {
		g.beforeLoad = func() { // between the claim and its user
			_, err := w.change(u.ID, func(u *passwordless.User) { u.Email = ceo })
			require.NoError(t, err)
		}
	}
	_, err := d.Find(ctx, "", byEmail(alice))
	require.ErrorIs(t, err, passwordless.ErrNoUser, "Find returns who holds the identifier, or nobody")
	_, err = d.ConfirmFirstProof(ctx, "", u.ID, byEmail(alice))
	require.ErrorIs(t, err, passwordless.ErrNoUser)
	u, err = d.Get(ctx, "", u.ID)
	require.NoError(t, err)
	assert.EqualValues(t, ceo, u.Email, "and a late confirmation takes nothing away")
	assert.False(t, u.EmailVerified)
}

// A spied table tells when a first proof was confirmed, and can be blind to whom it holds.
type spied struct {
	*table
	confirmed func()
	blind     bool
}

func (u *spied) Find(ctx context.Context, tenant string, id passwordless.Identifier) (passwordless.User, error) {
	if u.blind {
		return passwordless.User{}, passwordless.ErrNoUser
	}
	return u.table.Find(ctx, tenant, id)
}

func (u *spied) ConfirmFirstProof(ctx context.Context, tenant, userID string,
	id passwordless.Identifier,
) (passwordless.User, error) {
	found, err := u.table.ConfirmFirstProof(ctx, tenant, userID, id)
	once(&u.confirmed)
	return found, err
}

func TestARevocationDuringTheFirstProofHolds(t *testing.T) { // SS-6: it misses nobody
	users := &spied{table: newTable()}
	w := newWorld(t, func(c *passwordless.Config) { c.Users = users })
	users.confirmed = func() { require.NoError(t, w.RevokeUser(t.Context(), "", "u0")) }
	l := w.signIn(alice, passwordless.Issue{Session: true, Tokens: offline.Tokens})
	assert.Equal(t, "u0", l.User.ID)
	w.signedOut(l, "granted after the revocation, under what was read before it")
}

func TestAPlantedSessionDiesEvenIfFindMissesItsUser(t *testing.T) { // AC-2
	users := &spied{table: newTable()}
	w := newWorld(t, func(c *passwordless.Config) { c.Users = users })
	planted := w.signIn("squatter@example.com", session)
	// Just when the owner comes, the squatter gives the account her address: Find was earlier, Create returns it.
	users.all[byEmail(alice)] = passwordless.User{ID: planted.User.ID, Email: alice}
	users.blind = true
	owner := w.signIn(alice, session)
	assert.True(t, owner.FirstProof)
	assert.Equal(t, planted.User.ID, owner.User.ID)
	w.signedOut(planted, "what came before the owner is purged")
	_, err := w.Session(t.Context(), owner.Session.Token)
	require.NoError(t, err)
}

func TestAnEarlierChallengeIsNotRightForACheckEither(t *testing.T) { // AC-6
	w := newWorld(t)
	l := w.signIn(alice, passwordless.Issue{})
	w.clock.advance(time.Hour)
	started, code := w.start(alice)
	w.clock.advance(time.Minute)
	require.NoError(t, w.RevokeUser(t.Context(), "", l.User.ID))
	sent := len(w.outbox.messages())
	_, _ = w.Resend(t.Context(), w.as("web", home), started.Handle)
	for _, m := range w.outbox.messages()[sent:] {
		code = m.Code.Reveal() // sending again does not bring it back
	}
	err := w.CheckCode(t.Context(), w.as("web", home), byCode(started.Handle, code, passwordless.Issue{}))
	require.ErrorIs(t, err, passwordless.ErrRevoked)
	_, err = w.guess(started.Handle, code)
	require.ErrorIs(t, err, passwordless.ErrRevoked)
}

func TestConcurrentFirstProofsMakeOneUser(t *testing.T) { // ID-12, AC-2
	w := newWorld(t)
	first, code := w.start(alice)
	second, otherCode := w.startFrom(attacker, alice)
	var mu sync.Mutex // guards ids
	var ids []string
	var group sync.WaitGroup
	for handle, code := range map[passwordless.Secret]string{first.Handle: code, second.Handle: otherCode} {
		group.Go(func() {
			l, err := w.guess(handle, code)
			assert.NoError(t, err, "neither ends the other's challenge")
			mu.Lock()
			defer mu.Unlock()
			ids = append(ids, l.User.ID)
		})
	}
	group.Wait()
	require.Len(t, ids, 2)
	assert.Equal(t, ids[0], ids[1])
	assert.Equal(t, ids[0], mustFind(t, w).ID)
}

func TestACancelledFirstProofLeavesNoSession(t *testing.T) { // HT-9, VF-9
	for trip := 1; trip <= 6; trip++ {
		for _, method := range []storetest.Method{storetest.Load, storetest.Commit} {
			w, faulty := newFaulty(t)
			started, code := w.start(alice)
			ctx, cancel := context.WithCancel(t.Context())
			faulty.Spoil(method, trip, func(ctx context.Context, call func() error) error {
				cancel()
				return storetest.Hang()(ctx, call)
			})
			l, err := w.Verify(ctx, w.as("web", home), byCode(started.Handle, code, session))
			cancel()
			faulty.Heal()
			if err == nil {
				continue // that trip was not made
			}
			require.ErrorIs(t, err, context.Canceled)
			assert.Zero(t, l)
			u, err := w.Directory().Find(t.Context(), "", byEmail(alice))
			if errors.Is(err, passwordless.ErrNoUser) {
				continue
			}
			require.NoError(t, err)
			sessions, _, err := w.Sessions(t.Context(), "", u.ID, 10, "")
			require.NoError(t, err)
			assert.Empty(t, sessions, "%v %d", method, trip)
		}
	}
}
