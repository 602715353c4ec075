package passwordless_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/store"
)

// A counter is Clients that are no list, and counts how often they are asked.
type counter struct {
	clients passwordless.ClientList
	asked   int
	err     error // what it answers, if set
}

func (c *counter) Client(ctx context.Context, id string) (passwordless.Client, error) {
	if c.asked++; c.err != nil {
		return passwordless.Client{}, c.err
	}
	return c.clients.Client(ctx, id)
}

// took is how often it was asked since the last call.
func (c *counter) took() int {
	n := c.asked
	c.asked = 0
	return n
}

// withCounter replaces the clients by ones that are looked up.
func withCounter(change *counter) func(*passwordless.Config) {
	return func(c *passwordless.Config) {
		change.clients = c.Clients.(passwordless.ClientList)
		c.Clients = change
	}
}

// A crowd is a Store on which others are always faster: so many commits conflict.
type crowd struct {
	passwordless.Store
	conflicts int
}

func (s *crowd) Commit(ctx context.Context, now store.Instant, b store.Batch) (store.Levels, error) {
	if s.conflicts > 0 {
		s.conflicts--
		return nil, store.ErrConflict
	}
	return s.Store.Commit(ctx, now, b)
}

func TestAClientIsLookedUpOnceARequest(t *testing.T) { // OP-3
	clients, others := &counter{}, &crowd{}
	w := newKeyHolder(t, unlimited, withCounter(clients), func(c *passwordless.Config) {
		others.Store, c.Store = c.Store, others
	})
	everything := passwordless.Issue{Session: true, Tokens: openid.Tokens, Code: &passwordless.AuthorizationRequest{
		RedirectURI: callback, CodeChallenge: codeChallenge}}
	clients.clients[0].Browser.RedirectURIs = []string{callback}
	clients.clients[0].Channels = []passwordless.Channel{passwordless.Email}
	for i := range clients.clients {
		clients.clients[i].Browser.InsecureAnyBrowser = true
	}
	once := func(what string, err error) {
		t.Helper()
		require.NoError(t, err, what)
		assert.Equal(t, 1, clients.took(), what)
	}
	for _, others.conflicts = range []int{0, 3} {
		crowded := others.conflicts
		again := func() { others.conflicts = crowded }
		w.clock.advance(time.Hour)
		by := func(r passwordless.Requester) passwordless.Requester { again(); return r }

		started, err := w.Start(t.Context(), by(w.public(home, "web")), byMail(alice))
		once("start", err)
		w.clock.advance(time.Minute)
		_, err = w.Resend(t.Context(), by(w.as("", home)), started.Handle)
		once("resend, of a client that only the handle names", err)
		code := passwordless.VerifyRequest{Handle: started.Handle, Code: w.outbox.last().Code}
		once("check", w.CheckCode(t.Context(), by(w.as("", home)), code))
		code.Issue = everything
		l, err := w.Verify(t.Context(), by(w.as("", home)), code)
		once("verify, of a client that only the handle names", err)
		_, err = w.Exchange(t.Context(), by(w.public(home, "web")), passwordless.ExchangeRequest{Code: l.AuthorizationCode,
			RedirectURI: callback, Verifier: codeVerifier})
		once("exchange", err)
		tokens, err := w.Refresh(t.Context(), by(w.public(home, "web")), passwordless.RefreshRequest{Token: l.Tokens.Refresh})
		once("refresh", err)
		once("revoke", w.Revoke(t.Context(), by(w.public(home, "web")), tokens.Refresh))

		for _, c := range []struct {
			name string
			by   func() passwordless.Requester
		}{
			{"by a secret", func() passwordless.Requester {
				return w.by(home, passwordless.Credentials{ClientID: "plain", Secret: "p"})
			}},
			{"by an assertion", func() passwordless.Requester {
				others.conflicts = 0 // of which a claim takes none
				return w.by(home, passwordless.Credentials{Assertion: w.assertion("signing")})
			}},
			{"vouched for", func() passwordless.Requester { return w.as("plain", home) }},
		} {
			_, err := w.Start(t.Context(), by(c.by()), byMail(alice))
			once("start "+c.name, err)
			_, err = w.Verify(t.Context(), by(c.by()), passwordless.VerifyRequest{Handle: "x"})
			require.ErrorIs(t, err, passwordless.ErrUnknownChallenge)
			assert.Equal(t, 1, clients.took(), c.name)
		}
	}
}

func TestALinksClientIsLookedUpOnce(t *testing.T) { // OP-3
	clients, others := &counter{}, &crowd{}
	w := newWorld(t, unlimited, withCounter(clients), func(c *passwordless.Config) { others.Store, c.Store = c.Store, others })
	for _, conflicts := range []int{0, 3} {
		for _, client := range []string{"", "web"} {
			w.clock.advance(time.Hour)
			started, link, _ := w.startLink(passwordless.SendBoth)
			clients.took()
			info, err := w.PeekLink(t.Context(), w.as(client, home), link)
			require.NoError(t, err)
			assert.Equal(t, "web", info.Client)
			assert.Equal(t, 1, clients.took(), "peek")
			others.conflicts = conflicts
			_, err = w.RedeemLink(t.Context(), w.as(client, keeping(home, started)), passwordless.RedeemRequest{Token: link,
				Issue: passwordless.Issue{Session: true}})
			require.NoError(t, err)
			assert.Equal(t, 1, clients.took(), "redeem")
			_, _, cancel := w.startLink(passwordless.SendBoth)
			clients.took()
			others.conflicts = conflicts
			require.NoError(t, w.Cancel(t.Context(), w.as(client, attacker), cancel))
			assert.Equal(t, 1, clients.took(), "cancel")
		}
	}
	clients.took()
	session := w.signIn(alice, passwordless.Issue{Session: true}).Session
	clients.took()
	_, err := w.Session(t.Context(), session.Token)
	require.NoError(t, err)
	require.NoError(t, w.Revoke(t.Context(), w.as("", home), session.Token))
	assert.Zero(t, clients.took(), "a session is the application's, and no client asks for it")
}

// A client that is looked up is checked when it is new or has changed, and what it says counts from the next request on.
func TestAChangedClientIsCheckedAnew(t *testing.T) { // OP-1, OP-3
	clients := &counter{}
	w := newWorld(t, withCounter(clients))
	web := &clients.clients[slices.IndexFunc(clients.clients, func(c passwordless.Client) bool { return c.ID == "web" })]
	right := *web
	check := func(wrong string) {
		t.Helper()
		_, err := w.Public(t.Context(), "web", home)
		_, trusted := w.Trusted(t.Context(), "web", home)
		_, proved := w.Authenticate(t.Context(), passwordless.Credentials{ClientID: "web", Secret: "s"}, home)
		if wrong == "" {
			require.NoError(t, errors.Join(err, trusted))
			require.ErrorIs(t, proved, passwordless.ErrUnauthenticated)
			return
		}
		for _, err := range []error{err, trusted, proved} {
			require.ErrorContains(t, err, `passwordless: misconfigured client: Client "web": `+wrong)
		}
	}
	check("")
	for wrong, change := range map[string]func(c *passwordless.Client){
		"Name: want":                func(c *passwordless.Client) { c.Name = "\x00" },
		"Channels: unknown channel": func(c *passwordless.Client) { c.Channels = []passwordless.Channel{"fax"} },
		"Tenant: ":                  func(c *passwordless.Client) { c.Tenant = "nowhere" },
		"Browser.RedirectURIs[0]":   func(c *passwordless.Client) { c.Browser.RedirectURIs = []string{"/cb"} },
		"Codes.MaxAttempts: 11 is":  func(c *passwordless.Client) { c.Codes.MaxAttempts = 11 },
		"Keys: want SecretHashes":   func(c *passwordless.Client) { c.Public = false },
	} {
		change(web)
		check(wrong)
		check(wrong) // nor does asking again help
		*web = right
		check("")
	}
	web.Browser.RedirectURIs[0] = "javascript:alert(1)"
	check("Browser.RedirectURIs[0]") // changed in its place
	web.Browser.RedirectURIs[0] = callback
	check("")

	web.Name, web.Codes.EmailLife = "Renamed", time.Minute
	started, _ := w.start(alice)
	assert.Equal(t, epochStart.Add(time.Minute), started.Expires)
	assert.Equal(t, "Renamed", w.outbox.last().AppName)
	web.ClosedSignUp = true
	_, err := w.startWith(attacker, byMail("nobody@example.com"))
	require.NoError(t, err)
	assert.Len(t, w.outbox.messages(), 1)
}

func TestAClientOfALookUpMayNotHaveAKeyOfTheRing(t *testing.T) { // SK-1
	inRing, later := ringKey("k1"), ringKey("k2")
	clients := &counter{}
	w, k := withKeyring(t, passwordless.RandomKey(), []passwordless.RingKey{inRing}, withCounter(clients))
	hs256 := func(key passwordless.SecretBytes) passwordless.ClientList {
		return passwordless.ClientList{{ID: "web", Keys: passwordless.ClientKeys{HS256Key: key,
			SecretHashes: []passwordless.SecretHash{{1}}}, Tokens: passwordless.TokenPolicy{Algorithm: passwordless.HS256}}}
	}
	clients.clients = hs256(inRing.Secret)
	_, err := w.Trusted(t.Context(), "web", home)
	require.ErrorContains(t, err, "Keys.HS256Key: also a key of Config.Hasher")
	require.NoError(t, k.Replace(inRing, later))
	clients.clients = hs256(later.Secret)
	_, err = w.Trusted(t.Context(), "web", home)
	require.ErrorContains(t, err, "Keys.HS256Key: also a key of Config.Hasher")
	clients.clients = hs256(passwordless.RandomKey())
	_, err = w.Trusted(t.Context(), "web", home)
	require.NoError(t, err)
}

func TestWhatALookUpAnswersWrongly(t *testing.T) { // OP-3
	clients := &counter{}
	w := newWorld(t, withCounter(clients))
	_, link, _ := w.startLink(passwordless.SendBoth)
	w.events.types()
	clients.err = errors.New("clients: down")
	for _, id := range []string{"web", "nobody"} {
		_, err := w.Public(t.Context(), id, home)
		require.ErrorIs(t, err, clients.err)
		_, err = w.Trusted(t.Context(), id, home)
		require.ErrorIs(t, err, clients.err)
		_, err = w.Authenticate(t.Context(), passwordless.Credentials{ClientID: id, Secret: "s"}, home)
		require.ErrorIs(t, err, clients.err)
	}
	_, err := w.PeekLink(t.Context(), w.as("", home), link)
	require.ErrorIs(t, err, clients.err)
	for _, e := range w.events.types() {
		assert.Equal(t, passwordless.EventFailed, e)
	}
	clients.err, clients.asked = nil, 0
	for _, id := range []string{"", "two words", "\x00"} {
		_, err := w.Public(t.Context(), id, home)
		require.ErrorIs(t, err, passwordless.ErrUnknownClient)
	}
	assert.Zero(t, clients.took(), "what can be no ID is not asked for")

	web := clients.clients[0]
	w.cfg.Clients = lookup(func(string) (passwordless.Client, error) { return web, nil })
	w.Service = newService(t, w.cfg)
	_, err = w.Public(t.Context(), "other", home)
	require.ErrorIs(t, err, passwordless.ErrUnknownClient, "another client than was asked for")
	clients.clients = nil
	w.cfg.Clients = clients
	w.Service = newService(t, w.cfg)
	_, err = w.PeekLink(t.Context(), w.as("", home), link)
	require.ErrorIs(t, err, passwordless.ErrUnknownChallenge, "the link of a client that is gone")
	_, err = w.redeem(home, link)
	require.ErrorIs(t, err, passwordless.ErrUnknownChallenge)
}
