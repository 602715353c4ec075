package passwordless_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
)

// A drawer is a world in which alice and a client hold one living secret of each kind.
type drawer struct {
	*world
	secrets map[string]passwordless.Secret
}

func newDrawer(t *testing.T) drawer {
	t.Helper()
	w, s := newSignatory(t, unlimited)
	issue := asking("offline_access")
	issue.Session, issue.Tokens = true, openid.Tokens
	l := w.signIn(alice, issue)
	started, link, kill := w.startLink(passwordless.SendBoth)
	return drawer{w, map[string]passwordless.Secret{
		"handle": started.Handle, "browser secret": started.Browser, "link": link, "kill link": kill, "code": w.outbox.last().Code,
		"authorization code": l.AuthorizationCode, "session token": l.Session.Token, "refresh token": l.Tokens.Refresh,
		"device cookie": l.Device, "access token": l.Tokens.Access, "ID token": l.Tokens.ID, "assertion": s.assertion(),
		"client secret": "s",
	}}
}

// What stands for a refusal where there is no error.
var errIgnored = errors.New("ignored")

// A consumer is a place where a secret of some kinds is presented, and the ways in which it refuses another one.
type consumer struct {
	takes   []string
	present func(d drawer, s passwordless.Secret) error
	refuses []error
}

var unknown = []error{passwordless.ErrUnknownChallenge, passwordless.ErrWrongSecret}

var consumers = map[string]consumer{
	"Verify's handle": {[]string{"handle"}, func(d drawer, s passwordless.Secret) error {
		_, err := d.Verify(d.t.Context(), d.as("web", home), passwordless.VerifyRequest{Handle: s, Code: d.secrets["code"]})
		return err
	}, unknown},
	"CheckCode's handle": {[]string{"handle"}, func(d drawer, s passwordless.Secret) error {
		return d.CheckCode(d.t.Context(), d.as("web", home), passwordless.VerifyRequest{Handle: s, Code: d.secrets["code"]})
	}, unknown},
	"Resend": {[]string{"handle"}, func(d drawer, s passwordless.Secret) error {
		_, err := d.Resend(d.t.Context(), d.as("web", home), s)
		if errors.Is(err, passwordless.ErrTooSoon) { // it was found
			return nil
		}
		return err
	}, unknown},
	"Verify's code": {[]string{"code"}, func(d drawer, s passwordless.Secret) error {
		_, err := d.Verify(d.t.Context(), d.as("web", home), passwordless.VerifyRequest{Handle: d.secrets["handle"], Code: s})
		return err
	}, []error{passwordless.ErrMalformedCode}},
	"RedeemLink": {[]string{"link"}, func(d drawer, s passwordless.Secret) error {
		_, err := d.RedeemLink(d.t.Context(), d.as("", d.browser("browser secret")), passwordless.RedeemRequest{Token: s})
		return err
	}, unknown},
	"RedeemLink's browser": {[]string{"browser secret"}, func(d drawer, s passwordless.Secret) error {
		caller := home
		caller.Browser = s
		_, err := d.RedeemLink(d.t.Context(), d.as("", caller), passwordless.RedeemRequest{Token: d.secrets["link"]})
		if errors.As(err, new(*passwordless.OtherBrowserError)) {
			return errIgnored
		}
		return err
	}, []error{errIgnored}},
	"PeekLink": {[]string{"link", "kill link"}, func(d drawer, s passwordless.Secret) error {
		_, err := d.PeekLink(d.t.Context(), d.as("", home), s)
		return err
	}, unknown},
	"Cancel": {[]string{"kill link"}, func(d drawer, s passwordless.Secret) error {
		return d.Cancel(d.t.Context(), d.as("", home), s)
	}, unknown},
	"a known device": {[]string{"device cookie"}, func(d drawer, s passwordless.Secret) error {
		started, code := d.start(alice)
		caller := home
		caller.Device = s
		l, err := d.guessFrom(caller, started.Handle, code)
		if err == nil && !l.KnownDevice {
			return errIgnored
		}
		return err
	}, []error{errIgnored}},
	"Exchange": {[]string{"authorization code"}, func(d drawer, s passwordless.Secret) error {
		_, err := d.Exchange(d.t.Context(), d.as("web", home), of(passwordless.Login{AuthorizationCode: s}))
		return err
	}, []error{passwordless.ErrInvalidToken}},
	"Session": {[]string{"session token"}, func(d drawer, s passwordless.Secret) error {
		_, err := d.Session(d.t.Context(), s)
		return err
	}, []error{passwordless.ErrInvalidToken}},
	"Refresh": {[]string{"refresh token"}, func(d drawer, s passwordless.Secret) error {
		_, err := d.refresh("web", s)
		return err
	}, []error{passwordless.ErrInvalidToken}},
	"Revoke": {[]string{"session token", "refresh token"}, func(d drawer, s passwordless.Secret) error {
		d.events.types()
		err := d.Revoke(d.t.Context(), d.as("", home), s)
		if err == nil && len(d.events.types()) == 0 {
			return errIgnored
		}
		return err
	}, []error{errIgnored}},
	"VerifyAccessToken": {[]string{"access token"}, func(d drawer, s passwordless.Secret) error {
		_, err := d.access(s, "")
		return errors.Join(err, unlessInvalid(d.access(s, "web")))
	}, []error{passwordless.ErrInvalidToken}},
	"Authenticate's assertion": {[]string{"assertion"}, func(d drawer, s passwordless.Secret) error {
		_, err := d.assert(s)
		return err
	}, []error{passwordless.ErrInvalidAssertion}},
	"Authenticate's secret": {[]string{"client secret"}, func(d drawer, s passwordless.Secret) error {
		_, keyed := d.presents(passwordless.Credentials{ClientID: "keyed", Secret: s})
		if !errors.Is(keyed, passwordless.ErrUnauthenticated) {
			return nil
		}
		_, err := d.presents(passwordless.Credentials{ClientID: "secretive", Secret: s})
		return err
	}, []error{passwordless.ErrUnauthenticated}},
}

// browser is home with the browser secret of a kind.
func (d drawer) browser(kind string) passwordless.Caller {
	caller := home
	caller.Browser = d.secrets[kind]
	return caller
}

// unlessInvalid is what an access token is answered that no other audience may accept.
func unlessInvalid(_ passwordless.AccessToken, err error) error {
	if errors.Is(err, passwordless.ErrInvalidToken) {
		return nil
	}
	return errors.New("accepted for another audience")
}

func TestNoSecretPassesForOneOfAnotherKind(t *testing.T) { // SK-1, TK-4
	for name, c := range consumers {
		d := newDrawer(t)
		for kind, s := range d.secrets {
			if slices.Contains(c.takes, kind) {
				continue
			}
			require.NotEmpty(t, s, kind)
			err := c.present(d, s)
			require.Error(t, err, "a %s at %s", kind, name)
			refused := func(with error) bool { return errors.Is(err, with) }
			require.True(t, slices.ContainsFunc(c.refuses, refused), "a %s at %s: %v", kind, name, err)
		}
		_, err := d.Session(t.Context(), d.secrets["session token"])
		require.NoError(t, err, "%s ended a session", name)
		for _, kind := range c.takes {
			require.NoError(t, c.present(d, d.secrets[kind]), "a %s at %s: what others presented did not use it up", kind, name)
			d = newDrawer(t)
		}
	}
}
