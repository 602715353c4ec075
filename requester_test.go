package passwordless_test

import (
	"context"
	"crypto/ecdsa"
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
)

// A keyHolder is the client "signing", which proves itself with assertions.
type keyHolder struct {
	*world
	key *ecdsa.PrivateKey
}

// newKeyHolder is a world with a client of each kind.
func newKeyHolder(t testing.TB, change ...func(*passwordless.Config)) *keyHolder {
	key := ecKey(t)
	point, err := key.PublicKey.ECDH()
	require.NoError(t, err)
	text := base64.RawURLEncoding.EncodeToString
	set := fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","x":%q,"y":%q}]}`, text(point.Bytes()[1:33]), text(point.Bytes()[33:]))
	proved := func(secret string) passwordless.ClientKeys {
		return passwordless.ClientKeys{SecretHashes: []passwordless.SecretHash{passwordless.HashClientSecret(secret)}}
	}
	clients := passwordless.ClientList{{ID: "web", Public: true},
		{ID: "server", Keys: proved("s"), TrustForwarded: true}, {ID: "plain", Keys: proved("p")},
		{ID: "open", Keys: proved("o"), InsecureOpenStart: true, TrustForwarded: true},
		{ID: "signing", Keys: passwordless.ClientKeys{JWKS: set}}}
	return &keyHolder{newWorld(t, append([]func(*passwordless.Config){
		func(c *passwordless.Config) { c.Clients = clients }}, change...)...), key}
}

// assertion is a good one, which works once.
func (h *keyHolder) assertion(client string) passwordless.Secret {
	now := h.clock.Now()
	signed, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": client, "sub": client,
		"aud": "https://login.example.com/", "jti": uuid.NewString(), "exp": now.Add(4 * time.Minute).Unix()}).SignedString(h.key)
	require.NoError(h.t, err)
	return passwordless.Secret(signed)
}

func (h *keyHolder) authenticate(caller passwordless.Caller, cred passwordless.Credentials) (passwordless.Requester, error) {
	return h.Authenticate(context.Background(), cred, caller)
}

// by is authenticate that must not fail.
func (h *keyHolder) by(caller passwordless.Caller, cred passwordless.Credentials) passwordless.Requester {
	h.t.Helper()
	r, err := h.authenticate(caller, cred)
	require.NoError(h.t, err)
	return r
}

// public is the Requester of a client that names itself.
func (h *keyHolder) public(caller passwordless.Caller, client string) passwordless.Requester {
	h.t.Helper()
	r, err := h.Public(context.Background(), client, caller)
	require.NoError(h.t, err)
	return r
}

// A verb is one call that takes a Requester, with input that is worth nothing.
type verb struct {
	call    func(*passwordless.Service, passwordless.Requester) error
	letIn   error // what it answers whoever is let in
	open    bool  // InsecureOpenStart is enough
	client  bool  // a client must be named
	address bool  // so must the caller's address
}

var verbs = func() map[string]verb {
	ctx := context.Background()
	handle, token := passwordless.Secret(strings.Repeat("A", 48)), passwordless.Secret(strings.Repeat("A", 64))
	type (
		service   = *passwordless.Service
		requester = passwordless.Requester
	)
	byHandle := passwordless.VerifyRequest{Handle: handle, Code: "123456"}
	return map[string]verb{
		"start": {func(s service, by requester) error { _, err := s.Start(ctx, by, byMail(alice)); return err },
			nil, true, true, true},
		"resend": {func(s service, by requester) error { _, err := s.Resend(ctx, by, handle); return err },
			passwordless.ErrUnknownChallenge, true, false, true},
		"verify": {func(s service, by requester) error { _, err := s.Verify(ctx, by, byHandle); return err },
			passwordless.ErrUnknownChallenge, false, false, true},
		"verify by address": {func(s service, by requester) error {
			_, err := s.Verify(ctx, by, coded("nobody@example.com", "123456"))
			return err
		}, passwordless.ErrUnknownChallenge, false, true, true},
		"check": {func(s service, by requester) error { return s.CheckCode(ctx, by, byHandle) },
			passwordless.ErrUnknownChallenge, false, false, true},
		"check by address": {func(s service, by requester) error {
			return s.CheckCode(ctx, by, coded("nobody@example.com", "123456"))
		}, passwordless.ErrUnknownChallenge, false, true, true},
		"redeem": {func(s service, by requester) error {
			_, err := s.RedeemLink(ctx, by, passwordless.RedeemRequest{Token: token})
			return err
		}, passwordless.ErrUnknownChallenge, false, false, true},
		"peek": {func(s service, by requester) error { _, err := s.PeekLink(ctx, by, token); return err },
			passwordless.ErrUnknownChallenge, false, false, false},
		"cancel": {func(s service, by requester) error { return s.Cancel(ctx, by, token) },
			passwordless.ErrUnknownChallenge, false, false, true},
		"exchange": {func(s service, by requester) error {
			_, err := s.Exchange(ctx, by, passwordless.ExchangeRequest{Code: token})
			return err
		}, passwordless.ErrInvalidToken, false, true, false},
		"refresh": {func(s service, by requester) error {
			_, err := s.Refresh(ctx, by, passwordless.RefreshRequest{Token: token})
			return err
		}, passwordless.ErrInvalidToken, false, true, false},
		"revoke": {func(s service, by requester) error { return s.Revoke(ctx, by, token) }, nil, false, false, false},
	}
}()

// letsIn demands that whoever asks is let in, and only what is asked for is worth nothing.
func (v verb) letsIn(t *testing.T, err error, what string) {
	t.Helper()
	if v.letIn == nil {
		assert.NoError(t, err, what)
		return
	}
	assert.ErrorIs(t, err, v.letIn, what)
}

// wrongField demands an InputError of a field.
func wrongField(t *testing.T, err error, field, what string) {
	t.Helper()
	var bad *passwordless.InputError
	if assert.ErrorAs(t, err, &bad, what) {
		assert.Equal(t, field, bad.Field, what)
	}
}

func TestWhoMayDoWhat(t *testing.T) { // CA-1, CA-4
	w := newKeyHolder(t, unlimited)
	another := newKeyHolder(t)
	const in, notOurs, unproved, nameless = "in", "not ours", "unproved", "nameless"
	always := func(what string) func(verb) string { return func(verb) string { return what } }
	for who, c := range map[string]struct {
		by   func() passwordless.Requester
		want func(verb) string
	}{
		"nobody":                 {func() passwordless.Requester { return passwordless.Requester{} }, always(notOurs)},
		"of another Service":     {func() passwordless.Requester { return another.as("web", home) }, always(notOurs)},
		"public, another's":      {func() passwordless.Requester { return another.public(home, "web") }, always(notOurs)},
		"public":                 {func() passwordless.Requester { return w.public(home, "web") }, always(in)},
		"trusted with a client":  {func() passwordless.Requester { return w.as("plain", home) }, always(in)},
		"trusted, a public one":  {func() passwordless.Requester { return w.as("web", home) }, always(in)},
		"trusted with an opener": {func() passwordless.Requester { return w.as("open", home) }, always(in)},
		"by a secret": {func() passwordless.Requester {
			return w.by(home, passwordless.Credentials{ClientID: "plain", Secret: "p"})
		}, always(in)},
		"by an assertion": {func() passwordless.Requester {
			return w.by(home, passwordless.Credentials{Assertion: w.assertion("signing")})
		}, always(in)},
		"an opener by its secret": {func() passwordless.Requester {
			return w.by(home, passwordless.Credentials{ClientID: "open", Secret: "o"})
		}, always(in)},
		"public, with InsecureOpenStart": {func() passwordless.Requester { return w.public(home, "open") }, func(v verb) string {
			if v.open {
				return in
			}
			return unproved
		}},
		"trusted without a client": {func() passwordless.Requester { return w.as("", home) }, func(v verb) string {
			if v.client {
				return nameless
			}
			return in
		}},
	} {
		for name, v := range verbs {
			err, what := v.call(w.Service, c.by()), who+": "+name
			switch c.want(v) {
			case in:
				v.letsIn(t, err, what)
			case notOurs:
				wrongField(t, err, "Requester", what)
				assert.ErrorContains(t, err, "not one of this Service")
			case nameless:
				wrongField(t, err, "Requester", what)
				assert.ErrorContains(t, err, "names no client")
			case unproved:
				assert.ErrorIs(t, err, passwordless.ErrUnauthenticated, what)
			}
		}
	}
}

func TestWhereARequestComesFromIsDemanded(t *testing.T) { // RL-1
	w := newKeyHolder(t, unlimited)
	for name, v := range verbs {
		err := v.call(w.Service, w.as("web", passwordless.Caller{}))
		if v.address {
			wrongField(t, err, "Caller.IP", name)
			continue
		}
		v.letsIn(t, err, name)
	}
}

func TestWhoIsNotProvedIsNoRequester(t *testing.T) { // CA-1, CA-2, CA-4
	w := newKeyHolder(t)
	of := func(client string, secret, assertion passwordless.Secret) passwordless.Credentials {
		return passwordless.Credentials{ClientID: client, Secret: secret, Assertion: assertion}
	}
	for _, c := range []struct {
		cred passwordless.Credentials
		want error
	}{
		{of("plain", "P", ""), passwordless.ErrUnauthenticated},
		{of("plain", "", ""), passwordless.ErrUnauthenticated},
		{of("server", "p", ""), passwordless.ErrUnauthenticated},
		{of("signing", "s", ""), passwordless.ErrUnauthenticated},
		{of("web", "", ""), passwordless.ErrUnauthenticated},
		{of("web", "s", ""), passwordless.ErrUnauthenticated},
		{of("plain", "p", w.assertion("signing")), passwordless.ErrUnauthenticated},
		{of("signing", "s", w.assertion("signing")), passwordless.ErrUnauthenticated},
		{of("nobody", "s", ""), passwordless.ErrUnknownClient},
		{of("", "s", ""), passwordless.ErrUnknownClient},
		{of("", "", w.assertion("nobody")), passwordless.ErrInvalidAssertion},
		{of("", "", w.assertion("nobody")), passwordless.ErrUnknownClient},
		{of("", "", w.assertion("plain")), passwordless.ErrInvalidAssertion},
		{of("server", "", w.assertion("signing")), passwordless.ErrInvalidAssertion},
		{of("", "", "sesame"), passwordless.ErrInvalidAssertion},
	} {
		by, err := w.authenticate(home, c.cred)
		require.ErrorIs(t, err, c.want, c.cred.ClientID)
		assert.Equal(t, "Requester(nobody )", fmt.Sprint(by))
		assert.Equal(t, passwordless.Client{}, by.Client())
	}
	for _, id := range []string{"server", "plain", "signing"} {
		by, err := w.Public(t.Context(), id, home)
		require.ErrorIs(t, err, passwordless.ErrUnauthenticated, id)
		assert.Equal(t, passwordless.Client{}, by.Client())
	}
	_, err := w.Trusted(t.Context(), "nobody", home)
	require.ErrorIs(t, err, passwordless.ErrUnknownClient)
}

func TestARequesterPrintsNothingSecret(t *testing.T) { // PR-1
	w := newKeyHolder(t)
	caller := inBrowser(home)
	caller.Device = "device-cookie"
	for want, by := range map[string]passwordless.Requester{"Requester(authenticated server)": w.by(caller,
		passwordless.Credentials{ClientID: "server", Secret: "s"}), "Requester(public web)": w.public(caller, "web"),
		"Requester(trusted )": w.as("", caller)} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
			assert.Equal(t, want, fmt.Sprintf(verb, by))
		}
	}
}

// What is left of the limit on starts tells whose address counts.
func TestTheEndUsersAddressCountsForWhoMayNameIt(t *testing.T) { // RL-3, CA-3
	secret := func(id string) passwordless.Credentials {
		return passwordless.Credentials{ClientID: id, Secret: passwordless.Secret(id[:1])}
	}
	user, other := netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("203.0.113.99")
	as := func(ip, user netip.Addr) passwordless.Caller { return passwordless.Caller{IP: ip, EndUser: user} }
	for name, c := range map[string]struct {
		by     func(*keyHolder, passwordless.Caller) passwordless.Requester
		counts bool
	}{
		"proved, and trusted with it": {func(w *keyHolder, c passwordless.Caller) passwordless.Requester {
			return w.by(c, secret("server"))
		}, true},
		"an opener that proved itself": {func(w *keyHolder, c passwordless.Caller) passwordless.Requester {
			return w.by(c, secret("open"))
		}, true},
		"proved, not trusted with it": {func(w *keyHolder, c passwordless.Caller) passwordless.Requester {
			return w.by(c, secret("plain"))
		}, false},
		"proved by an assertion, not trusted with it": {func(w *keyHolder, c passwordless.Caller) passwordless.Requester {
			return w.by(c, passwordless.Credentials{Assertion: w.assertion("signing")})
		}, false},
		"not proved": {func(w *keyHolder, c passwordless.Caller) passwordless.Requester { return w.public(c, "open") }, false},
		"public":     {func(w *keyHolder, c passwordless.Caller) passwordless.Requester { return w.public(c, "web") }, false},
		"vouched for": {func(w *keyHolder, c passwordless.Caller) passwordless.Requester {
			return w.as("server", c)
		}, false},
	} {
		w := newKeyHolder(t, oneStart(time.Hour))
		n := 0
		start := func(caller passwordless.Caller) error {
			n++
			_, err := w.Start(t.Context(), c.by(w, caller), byMail(fmt.Sprintf("p%d@example.com", n)))
			return err
		}
		var limited *passwordless.LimitedError
		require.NoError(t, start(as(home.IP, user)), name)
		if !c.counts {
			require.ErrorAs(t, start(as(home.IP, other)), &limited, name)
			require.NoError(t, start(as(attacker.IP, user)), name)
			wrongField(t, start(passwordless.Caller{EndUser: other}), "Caller.IP", name)
			continue
		}
		require.ErrorAs(t, start(as(attacker.IP, user)), &limited, name)
		mapped := netip.AddrFrom16(user.As16())
		require.ErrorAs(t, start(as(attacker.IP, mapped)), &limited, "%s: the same in other words", name)
		require.NoError(t, start(as(home.IP, other)), name)
		require.NoError(t, start(as(home.IP, netip.Addr{})), "%s: it names none, so its own counts", name)
		require.ErrorAs(t, start(as(home.IP, netip.Addr{})), &limited, name)
		require.NoError(t, start(passwordless.Caller{EndUser: netip.MustParseAddr("2001:db8::1")}), name)
	}
}

// oneStart lets each network start once in a time.
func oneStart(per time.Duration) func(*passwordless.Config) {
	return func(c *passwordless.Config) { c.Policy.Limits.Starts = []passwordless.Limit{{Count: 1, Per: per}} }
}

func TestAnAssertionWorksAgainAfterALimitAlone(t *testing.T) { // CA-2, RL-1
	w := newKeyHolder(t, oneStart(time.Minute), func(c *passwordless.Config) {
		c.Policy.Limits.Guesses = passwordless.Limit{Count: 1, Per: time.Minute}
	})
	ctx := t.Context()
	used := func(a passwordless.Secret, what string) {
		t.Helper()
		_, err := w.authenticate(home, passwordless.Credentials{Assertion: a})
		require.ErrorIs(t, err, passwordless.ErrInvalidAssertion, what)
	}
	var limited *passwordless.LimitedError
	present := func(a passwordless.Secret) passwordless.Requester {
		t.Helper()
		return w.by(home, passwordless.Credentials{Assertion: a})
	}

	first := w.assertion("signing")
	started, err := w.Start(ctx, present(first), byMail(alice))
	require.NoError(t, err)
	used(first, "it did what it was for")

	held := w.assertion("signing")
	for range 3 { // a client repeats its request as it was
		_, err = w.Start(ctx, present(held), byMail(alice))
		require.ErrorAs(t, err, &limited)
	}
	w.clock.advance(limited.RetryAfter)
	_, err = w.Start(ctx, present(held), byMail(alice))
	require.NoError(t, err)
	used(held, "it did what it was for, at last")

	for name, v := range verbs {
		if name == "start" {
			continue
		}
		w.clock.advance(time.Minute)
		a := w.assertion("signing")
		v.letsIn(t, v.call(w.Service, present(a)), name)
		used(a, name+": refused, and not by a limit")
	}
	w.clock.advance(time.Minute)
	wrongCode := w.assertion("signing")
	code := w.outbox.messages()[0].Code.Reveal()
	verify := passwordless.VerifyRequest{Handle: started.Handle, Code: passwordless.Secret(wrong(code))}
	_, err = w.Verify(ctx, present(wrongCode), verify)
	require.Error(t, err)
	used(wrongCode, "an attempt was used")
	held = w.assertion("signing")
	for range 2 {
		_, err = w.Verify(ctx, present(held), verify)
		require.ErrorAs(t, err, &limited)
		require.ErrorAs(t, w.CheckCode(ctx, present(held), verify), &limited)
	}
	unused := w.assertion("signing")
	present(unused)
	used(unused, "presented, and nothing was asked for")
}
