package passwordless_test

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/store"
)

// A drawer is a world in which alice and a client hold one living secret of each kind.
type drawer struct {
	*world
	secrets map[string]passwordless.Secret
	written *written
}

// A written is a Store that counts the commits that change a record. It must be used by one goroutine at a time.
type written struct {
	store.Store
	commits int
}

func (s *written) Commit(ctx context.Context, now store.Instant, b store.Batch) (store.Levels, error) {
	if len(b.Puts)+len(b.Deletes) > 0 {
		s.commits++
	}
	return s.Store.Commit(ctx, now, b)
}

func newDrawer(t *testing.T) drawer {
	t.Helper()
	st := &written{}
	w, s := newSignatory(t, unlimited, func(c *passwordless.Config) { st.Store, c.Store = c.Store, st })
	issue := asking("offline_access")
	issue.Session, issue.Tokens = true, openid.Tokens
	l := w.signIn(alice, issue)
	started, link, kill := w.startLink(passwordless.SendBoth)
	return drawer{w, map[string]passwordless.Secret{
		"handle": started.Handle, "browser secret": started.Browser, "link": link, "kill link": kill, "code": w.outbox.last().Code,
		"authorization code": l.AuthorizationCode, "verifier": codeVerifier, "session token": l.Session.Token,
		"refresh token": l.Tokens.Refresh, "device cookie": l.Device, "access token": l.Tokens.Access, "ID token": l.Tokens.ID,
		"assertion": s.assertion(), "client secret": "s",
	}, st}
}

// gives has each place of an answer that holds a secret, and the kind that it is.
var gives = map[string]string{"Started.Handle": "handle", "Started.Browser": "browser secret", "Login.Device": "device cookie",
	"Login.AuthorizationCode": "authorization code", "Session.Token": "session token", "Tokens.Access": "access token",
	"Tokens.ID": "ID token", "Tokens.Refresh": "refresh token"}

// What stands for a refusal where there is no error.
var errIgnored = errors.New("ignored")

// A consumer is a place where a secret of some kinds is presented, and the ways in which it refuses another one.
type consumer struct {
	takes   []string
	present func(d drawer, s passwordless.Secret) error
	refuses []error
}

var unknown = []error{passwordless.ErrUnknownChallenge, passwordless.ErrWrongSecret}

// consumers has each place of a call that takes a secret.
var consumers = map[string]consumer{
	"Verify VerifyRequest.Handle": {[]string{"handle"}, func(d drawer, s passwordless.Secret) error {
		_, err := d.Verify(d.t.Context(), d.as("web", home), passwordless.VerifyRequest{Handle: s, Code: d.secrets["code"]})
		return err
	}, unknown},
	"CheckCode VerifyRequest.Handle": {[]string{"handle"}, func(d drawer, s passwordless.Secret) error {
		return d.CheckCode(d.t.Context(), d.as("web", home), passwordless.VerifyRequest{Handle: s, Code: d.secrets["code"]})
	}, unknown},
	"Resend Secret": {[]string{"handle"}, func(d drawer, s passwordless.Secret) error {
		_, err := d.Resend(d.t.Context(), d.as("web", home), s)
		if errors.Is(err, passwordless.ErrTooSoon) { // it was found
			return nil
		}
		return err
	}, unknown},
	"Verify VerifyRequest.Code": {[]string{"code"}, func(d drawer, s passwordless.Secret) error {
		_, err := d.Verify(d.t.Context(), d.as("web", home), passwordless.VerifyRequest{Handle: d.secrets["handle"], Code: s})
		return err
	}, []error{passwordless.ErrMalformedCode}},
	"CheckCode VerifyRequest.Code": {[]string{"code"}, func(d drawer, s passwordless.Secret) error {
		return d.CheckCode(d.t.Context(), d.as("web", home), passwordless.VerifyRequest{Handle: d.secrets["handle"], Code: s})
	}, []error{passwordless.ErrMalformedCode}},
	"RedeemLink RedeemRequest.Token": {[]string{"link"}, func(d drawer, s passwordless.Secret) error {
		_, err := d.RedeemLink(d.t.Context(), d.as("", d.browser("browser secret")), passwordless.RedeemRequest{Token: s})
		return err
	}, unknown},
	"Caller.Browser": {[]string{"browser secret"}, func(d drawer, s passwordless.Secret) error {
		caller := home
		caller.Browser = s
		_, err := d.RedeemLink(d.t.Context(), d.as("", caller), passwordless.RedeemRequest{Token: d.secrets["link"]})
		if errors.As(err, new(*passwordless.OtherBrowserError)) {
			return errIgnored
		}
		return err
	}, []error{errIgnored}},
	"PeekLink Secret": {[]string{"link", "kill link"}, func(d drawer, s passwordless.Secret) error {
		_, err := d.PeekLink(d.t.Context(), d.as("", home), s)
		return err
	}, unknown},
	"Cancel Secret": {[]string{"kill link"}, func(d drawer, s passwordless.Secret) error {
		return d.Cancel(d.t.Context(), d.as("", home), s)
	}, unknown},
	"Caller.Device": {[]string{"device cookie"}, func(d drawer, s passwordless.Secret) error {
		started, code := d.start(alice)
		caller := home
		caller.Device = s
		l, err := d.guessFrom(caller, started.Handle, code)
		if err == nil && !l.KnownDevice {
			return errIgnored
		}
		return err
	}, []error{errIgnored}},
	"Exchange ExchangeRequest.Code": {[]string{"authorization code"}, func(d drawer, s passwordless.Secret) error {
		_, err := d.Exchange(d.t.Context(), d.as("web", home), of(passwordless.Login{AuthorizationCode: s}))
		return err
	}, []error{passwordless.ErrInvalidToken}},
	"Exchange ExchangeRequest.Verifier": {[]string{"verifier"}, func(d drawer, s passwordless.Secret) error {
		req := of(passwordless.Login{AuthorizationCode: d.secrets["authorization code"]})
		req.Verifier = s
		_, err := d.Exchange(d.t.Context(), d.as("web", home), req)
		return err
	}, []error{passwordless.ErrInvalidToken}},
	"Session Secret": {[]string{"session token"}, func(d drawer, s passwordless.Secret) error {
		_, err := d.Session(d.t.Context(), s)
		return err
	}, []error{passwordless.ErrInvalidToken}},
	"Refresh RefreshRequest.Token": {[]string{"refresh token"}, func(d drawer, s passwordless.Secret) error {
		_, err := d.refresh("web", s)
		return err
	}, []error{passwordless.ErrInvalidToken}},
	"Revoke Secret": {[]string{"session token", "refresh token"}, func(d drawer, s passwordless.Secret) error {
		d.events.types()
		err := d.Revoke(d.t.Context(), d.as("", home), s)
		if err == nil && len(d.events.types()) == 0 {
			return errIgnored
		}
		return err
	}, []error{errIgnored}},
	"VerifyAccessToken AccessTokenRequest.Token": {[]string{"access token"}, func(d drawer, s passwordless.Secret) error {
		_, err := d.access(s, "")
		return errors.Join(err, unlessInvalid(d.access(s, "web")))
	}, []error{passwordless.ErrInvalidToken}},
	"Authenticate Credentials.Assertion": {[]string{"assertion"}, func(d drawer, s passwordless.Secret) error {
		_, err := d.assert(s)
		return err
	}, []error{passwordless.ErrInvalidAssertion}},
	"Authenticate Credentials.Secret": {[]string{"client secret"}, func(d drawer, s passwordless.Secret) error {
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
			before := d.written.commits
			err := c.present(d, s)
			require.Error(t, err, "a %s at %s", kind, name)
			refused := func(with error) bool { return errors.Is(err, with) }
			require.True(t, slices.ContainsFunc(c.refuses, refused), "a %s at %s: %v", kind, name, err)
			if name != "Caller.Device" { // where somebody signs in without it
				require.Equal(t, before, d.written.commits, "a %s at %s: no record changed, so nothing is used up", kind, name)
			}
		}
		for _, kind := range c.takes {
			require.NoError(t, c.present(d, d.secrets[kind]), "a %s at %s: what others presented did not use it up", kind, name)
			d = newDrawer(t)
		}
	}
}

func TestEveryPlaceOfASecretHasARow(t *testing.T) { // SK-1, TK-4: a new call is held to the test above
	takes, answers := map[string]bool{}, map[string]bool{}
	for _, of := range []reflect.Type{reflect.TypeFor[*passwordless.Service](), reflect.TypeFor[*passwordless.Directory]()} {
		for i := range of.NumMethod() {
			m := of.Method(i)
			for n := range m.Type.NumIn() {
				secretsIn(m.Type.In(n), m.Name+" ", "Secret", takes)
			}
			for n := range m.Type.NumOut() {
				secretsIn(m.Type.Out(n), "", "Secret", answers)
			}
		}
	}
	assert.ElementsMatch(t, slices.Collect(maps.Keys(consumers)), slices.Collect(maps.Keys(takes)))
	assert.ElementsMatch(t, slices.Collect(maps.Keys(gives)), slices.Collect(maps.Keys(answers)))
	d := newDrawer(t)
	for place, kind := range gives {
		assert.NotEmpty(t, d.secrets[kind], place)
	}
}

// secretsIn adds the places of secrets in what a call takes or answers: the call and the field. A Caller is the same for
// each call that takes one.
func secretsIn(in reflect.Type, call, field string, places map[string]bool) {
	switch in.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		secretsIn(in.Elem(), call, field, places)
	case reflect.Struct:
		if in == reflect.TypeFor[passwordless.Caller]() {
			call = ""
		}
		for i := range in.NumField() {
			if f := in.Field(i); f.IsExported() {
				secretsIn(f.Type, call, in.Name()+"."+f.Name, places)
			}
		}
	default:
		if in == reflect.TypeFor[passwordless.Secret]() {
			places[call+field] = true
		}
	}
}
