package passwordless_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
)

// A house is a world with two tenants, "a" and "b". Each has a client of its own, and a user of the same ID, address,
// username and number.
type house struct {
	*world
}

func newHouse(t testing.TB) house {
	t.Helper()
	client := func(tenant string) passwordless.Client {
		return passwordless.Client{ID: tenant + "-web", Tenant: tenant, Public: true, FirstParty: true,
			Browser: passwordless.ClientBrowser{RedirectURIs: []string{callback}}}
	}
	h := house{newWorld(t, unlimited, func(c *passwordless.Config) {
		c.Policy.Tokens.AuthorizationCodeLife = 10 * time.Minute
		c.Tenants = []passwordless.Tenant{{ID: "a"}, {ID: "b"}}
		c.Clients = passwordless.ClientList{client("a"), client("b")}
	})}
	for _, tenant := range []string{"a", "b"} {
		h.settle(tenant)
	}
	return h
}

// settle adds the user of a tenant.
func (h house) settle(tenant string) {
	h.t.Helper()
	_, err := h.Directory().Add(h.t.Context(), tenant, passwordless.User{ID: "u1", Number: 1, Username: "alice", Email: alice,
		EmailVerified: true})
	require.NoError(h.t, err)
}

// start begins a sign-in of alice in a tenant and returns it with the message.
func (h house) start(tenant string, req passwordless.StartRequest) (passwordless.Started, passwordless.Message) {
	h.t.Helper()
	h.clock.advance(time.Hour)
	started, err := h.Start(h.t.Context(), h.as(tenant+"-web", home), req)
	require.NoError(h.t, err)
	return started, h.outbox.last()
}

// everything is a sign-in of alice in a tenant that gives all that there is.
func (h house) everything(tenant string) passwordless.Login {
	h.t.Helper()
	issue := asking("offline_access")
	issue.Session, issue.Tokens = true, offline.Tokens
	started, m := h.start(tenant, byMail(alice))
	l, err := h.Verify(h.t.Context(), h.as(tenant+"-web", home), byCode(started.Handle, m.Code.Reveal(), issue))
	require.NoError(h.t, err)
	require.Equal(h.t, "u1", l.User.ID)
	require.Equal(h.t, tenant, l.Tenant)
	return l
}

// opens tells what of a login is answered to a client of a tenant.
func (h house) opens(tenant string, l passwordless.Login) (all []string) {
	h.t.Helper()
	ctx := h.t.Context()
	by := h.as(tenant+"-web", home)
	_, err := h.Refresh(ctx, by, passwordless.RefreshRequest{Token: l.Tokens.Refresh})
	if err == nil {
		all = append(all, "refresh token")
	}
	if _, err = h.Exchange(ctx, by, of(l)); err == nil {
		all = append(all, "authorization code")
	}
	if _, err = h.VerifyAccessToken(ctx, passwordless.AccessTokenRequest{Token: l.Tokens.Access, Tenant: tenant}); err == nil {
		all = append(all, "access token")
	}
	if s, err := h.Session(ctx, l.Session.Token); err == nil && s.Tenant == tenant {
		all = append(all, "session")
	}
	caller := home
	caller.Device = l.Device
	h.clock.advance(time.Minute)
	started, err := h.Start(ctx, h.as(tenant+"-web", caller), byMail(alice))
	require.NoError(h.t, err)
	next, err := h.Verify(ctx, h.as(tenant+"-web", caller),
		byCode(started.Handle, h.outbox.last().Code.Reveal(), passwordless.Issue{}))
	require.NoError(h.t, err)
	if next.KnownDevice {
		all = append(all, "device")
	}
	return all
}

// whole is all that opens.
var whole = []string{"refresh token", "authorization code", "access token", "session", "device"}

func TestSameNamesInTwoTenantsNeverMeet(t *testing.T) { // BD-3, CA-4
	h := newHouse(t)
	l := h.everything("a")
	assert.Empty(t, h.opens("b", l), "what a sign-in in one gave opens nothing in the other")
	assert.Equal(t, whole, h.opens("a", l), "nor is it used up there")

	for _, byAddress := range []bool{false, true} {
		req := byMail(alice)
		req.ByAddress, req.Send = byAddress, passwordless.SendBoth
		started, m := h.start("a", req)
		elsewhere := h.as("b-web", keeping(home, started))
		_, err := h.Verify(t.Context(), elsewhere, passwordless.VerifyRequest{Handle: started.Handle, Channel: passwordless.Email,
			Address: alice, Code: m.Code})
		require.ErrorIs(t, err, passwordless.ErrUnknownChallenge)
		_, err = h.Resend(t.Context(), elsewhere, started.Handle)
		require.ErrorIs(t, err, passwordless.ErrUnknownChallenge)
		for _, link := range []passwordless.Secret{m.Link, m.Cancel} {
			_, err = h.PeekLink(t.Context(), elsewhere, param(t, link))
			require.ErrorIs(t, err, passwordless.ErrUnknownChallenge)
		}
		_, err = h.RedeemLink(t.Context(), elsewhere, passwordless.RedeemRequest{Token: param(t, m.Link)})
		require.ErrorIs(t, err, passwordless.ErrUnknownChallenge)
		require.ErrorIs(t, h.Cancel(t.Context(), elsewhere, param(t, m.Cancel)), passwordless.ErrUnknownChallenge)
		_, err = h.Verify(t.Context(), h.as("a-web", home), passwordless.VerifyRequest{Handle: started.Handle,
			Channel: passwordless.Email, Address: alice, Code: m.Code})
		require.NoError(t, err, "nothing of that used it up")
	}
}

func TestWhatEndsInOneTenantLivesInTheOther(t *testing.T) { // BD-3, AC-6, SS-6
	ctx := t.Context()
	for name, end := range map[string]func(h house, l passwordless.Login) error{
		"a sign-out everywhere": func(h house, _ passwordless.Login) error { return h.RevokeUser(ctx, "b", "u1") },
		"the end of a session": func(h house, l passwordless.Login) error {
			return h.RevokeSession(ctx, "b", "u1", l.Session.ID)
		},
		"a revocation": func(h house, l passwordless.Login) error {
			return h.Revoke(ctx, h.as("b-web", home), l.Tokens.Refresh)
		},
		"a lock": func(h house, _ passwordless.Login) error {
			_, err := h.Directory().Update(ctx, "b", "u1", func(u *passwordless.User) error {
				u.Status = passwordless.UserLocked
				return nil
			})
			return err
		},
		"a deletion": func(h house, _ passwordless.Login) error { return h.Directory().Delete(ctx, "b", "u1") },
	} {
		h := newHouse(t)
		l := h.everything("a")
		require.NoError(t, end(h, l), name)
		assert.Equal(t, whole, h.opens("a", l), name)
		sessions, _, err := h.Sessions(ctx, "b", "u1", 10, "")
		require.NoError(t, err)
		assert.Empty(t, sessions, "%s: those of the other tenant are not listed", name)
	}
}

func TestAnIDThatIsGivenAgainOpensNothing(t *testing.T) { // AC-5, AC-6
	h := newHouse(t)
	l := h.everything("a")
	require.NoError(t, h.Directory().Delete(t.Context(), "a", "u1"))
	h.settle("a")
	assert.Equal(t, []string{"access token"}, h.opens("a", l), "which lives to its end")
}
