package passwordless_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
)

func TestALinkFinishesWhereItWasAskedFor(t *testing.T) { // LK-1, BD-4, BD-9
	w := newWorld(t)
	started, link, _ := w.startLink(passwordless.SendLink)
	assert.Empty(t, w.outbox.last().Code)
	assert.Less(t, len(w.outbox.last().Link), 120)
	caller := keeping(home, started)
	for range 20 {
		info, err := w.PeekLink(t.Context(), w.as("", caller), link)
		require.NoError(t, err)
		assert.Equal(t, passwordless.LinkInfo{Client: "web", AppName: "Example", Identifier: byEmail(alice), SameBrowser: true,
			RedirectURI: callback, State: "s 1"}, info)
		assert.Equal(t, "a***@example.com", info.Identifier.String())
	}
	l, err := w.redeem(caller, link)
	require.NoError(t, err)
	assert.Equal(t, []passwordless.MethodUse{{Method: passwordless.ByLink, Channel: passwordless.Email, At: epochStart}}, l.Methods)
	assert.Equal(t, callback, l.RedirectURI)
	assert.Equal(t, "s 1", l.State)
	_, err = w.redeem(caller, link)
	require.ErrorIs(t, err, passwordless.ErrConsumed)
}

func TestAnotherBrowserGetsACodeToTypeInTheFirst(t *testing.T) { // BD-4, BD-5
	for _, mode := range []passwordless.SendMode{passwordless.SendLink, passwordless.SendBoth} {
		w := newWorld(t)
		started, link, _ := w.startLink(mode)
		_, err := w.redeem(attacker, link)
		var other *passwordless.OtherBrowserError
		require.ErrorAs(t, err, &other)
		assert.NotContains(t, err.Error(), other.Code.Reveal())
		_, err = w.guess(started.Handle, other.Code.Reveal())
		require.NoError(t, err)
	}
}

func TestCodeAndLinkUseEachOtherUp(t *testing.T) { // CG-8, CG-9
	w := newWorld(t)
	started, link, _ := w.startLink(passwordless.SendBoth)
	_, err := w.guess(started.Handle, w.outbox.last().Code.Reveal())
	require.NoError(t, err)
	caller := keeping(home, started)
	_, err = w.redeem(caller, link)
	require.ErrorIs(t, err, passwordless.ErrConsumed)
}

func TestAChangedLinkOpensNothingAndCostsNothing(t *testing.T) {
	w := newWorld(t)
	started, link, cancel := w.startLink(passwordless.SendBoth)
	caller := keeping(home, started)
	text := link.Reveal()
	for i := range text {
		for _, c := range []byte{'A', 'z', '-', '=', '\n'} {
			if text[i] == c {
				continue
			}
			changed := passwordless.Secret(text[:i] + string(c) + text[i+1:])
			_, err := w.redeem(caller, changed)
			require.Error(t, err)
		}
	}
	for _, changed := range []passwordless.Secret{"", link[:63], link + "A", link + "=", cancel} {
		_, err := w.redeem(caller, changed)
		require.Error(t, err)
	}
	_, err := w.redeem(caller, link)
	require.NoError(t, err)
}

func TestThisWasNotMe(t *testing.T) {
	w := newWorld(t)
	started, link, cancel := w.startLink(passwordless.SendBoth)
	code := w.outbox.last().Code.Reveal()
	require.ErrorIs(t, w.Cancel(t.Context(), w.as("", attacker), link), passwordless.ErrWrongSecret, "a link does not cancel")
	require.NoError(t, w.Cancel(t.Context(), w.as("", attacker), cancel))
	_, err := w.guess(started.Handle, code)
	require.ErrorIs(t, err, passwordless.ErrCancelled)
	require.ErrorIs(t, w.Cancel(t.Context(), w.as("", attacker), cancel), passwordless.ErrCancelled)
	assert.Contains(t, w.events.types(), passwordless.EventCancelled)
}

func TestACancelledStartCostsItsNetwork(t *testing.T) {
	w := newWorld(t, func(c *passwordless.Config) {
		c.Policy.Limits.Starts = []passwordless.Limit{{Count: 4, Per: time.Hour}}
	})
	_, _, cancel := w.startLink(passwordless.SendBoth)
	require.NoError(t, w.Cancel(t.Context(), w.as("", attacker), cancel))
	_, err := w.startWith(home, byMail("x@example.com"))
	var limited *passwordless.LimitedError
	require.ErrorAs(t, err, &limited, "one start and three for the nuisance")
	assert.Equal(t, "start", limited.Limit)
}

// anyBrowser is a policy that finishes links wherever they are opened.
func anyBrowser(c *passwordless.Config) { c.Policy.InsecureAnyBrowser = true }

func TestAPolicyLetsLinksFinishAnywhere(t *testing.T) { // LK-1, BD-4
	for name, caller := range map[string]passwordless.Caller{"no cookie": attacker, "another browser's": inBrowser(attacker)} {
		w := newWorld(t, anyBrowser)
		_, link, _ := w.startLink(passwordless.SendBoth)
		info, err := w.PeekLink(t.Context(), w.as("", caller), link)
		require.NoError(t, err, name)
		assert.True(t, info.SameBrowser, name)
		l, err := w.RedeemLink(t.Context(), w.as("", caller), passwordless.RedeemRequest{Token: link,
			Issue: passwordless.Issue{Session: true}})
		require.NoError(t, err, name)
		assert.NotNil(t, l.Session, name)
		_, err = w.redeem(caller, link)
		require.ErrorIs(t, err, passwordless.ErrConsumed, name)
	}
}

// Where links finish anywhere no page shows the code of one, so there is nothing to guess at.
func TestTheCodeOfALinkIsNoWayInWhereNobodyIsShownIt(t *testing.T) { // CG-11, BD-5
	for name, c := range map[string]struct {
		change func(*passwordless.Config)
		want   error
	}{
		"links finish where they were asked for": {func(*passwordless.Config) {}, passwordless.ErrWrongSecret},
		"links finish anywhere":                  {anyBrowser, passwordless.ErrMalformedCode},
	} {
		w := newWorld(t, c.change)
		started, link, _ := w.startLink(passwordless.SendLink)
		for range 4 {
			_, err := w.guess(started.Handle, "123456")
			require.ErrorIs(t, err, c.want, name)
			if c.want == passwordless.ErrWrongSecret {
				break
			}
			require.ErrorIs(t, w.check(started.Handle, "123456"), c.want, name)
		}
		_, err := w.redeem(keeping(home, started), link)
		require.NoError(t, err, "%s: no attempt of the link was used", name)
	}
}

func TestABrowserIsKnownByTheWholeOfItsCookie(t *testing.T) { // BD-4
	w := newWorld(t)
	started, link, _ := w.startLink(passwordless.SendBoth)
	for _, cookie := range []passwordless.Secret{"", started.Browser[:42], started.Browser + "A", altered(started.Browser),
		inBrowser(home).Browser, started.Handle} {
		caller := home
		caller.Browser = cookie
		info, err := w.PeekLink(t.Context(), w.as("", caller), link)
		require.NoError(t, err)
		assert.False(t, info.SameBrowser)
		_, err = w.redeem(caller, link)
		var other *passwordless.OtherBrowserError
		require.ErrorAs(t, err, &other)
		assert.Equal(t, w.outbox.last().Code, other.Code)
		assert.Equal(t, "Example", other.AppName)
	}
	_, err := w.redeem(keeping(attacker, started), link)
	require.NoError(t, err, "the browser counts, and not the network")
}

// What a client decides for its links that end with an authorization code is in the tests of those. Without one it
// decides nothing.
func TestAClientsAnyBrowserIsForAuthorizationCodesAlone(t *testing.T) { // LK-1, TK-16
	w := newWorld(t, func(c *passwordless.Config) {
		c.Clients.(passwordless.ClientList)[0].Browser.InsecureAnyBrowser = true
	})
	for _, issue := range []passwordless.Issue{{}, {Session: true}, openid} {
		w.clock.advance(time.Hour)
		_, link, _ := w.startLink(passwordless.SendBoth)
		_, err := w.RedeemLink(t.Context(), w.as("", attacker), passwordless.RedeemRequest{Token: link, Issue: issue})
		var other *passwordless.OtherBrowserError
		require.ErrorAs(t, err, &other)
	}
	w.clock.advance(time.Hour)
	_, link, _ := w.startLink(passwordless.SendBoth)
	l, err := w.RedeemLink(t.Context(), w.as("", attacker), passwordless.RedeemRequest{Token: link, Issue: passwordless.Issue{
		Code: &passwordless.AuthorizationRequest{RedirectURI: callback, CodeChallenge: codeChallenge}}})
	require.NoError(t, err)
	assert.NotEmpty(t, l.AuthorizationCode)
}

func TestALinkIsOfTheClientThatAskedForIt(t *testing.T) { // CA-4, BD-3
	w := newWorld(t)
	started, link, cancel := w.startLink(passwordless.SendBoth)
	other := w.as("other", keeping(home, started))
	_, err := w.RedeemLink(t.Context(), other, passwordless.RedeemRequest{Token: link})
	require.ErrorIs(t, err, passwordless.ErrUnknownChallenge)
	require.ErrorIs(t, w.Cancel(t.Context(), other, cancel), passwordless.ErrUnknownChallenge)
	info, err := w.PeekLink(t.Context(), other, link)
	require.ErrorIs(t, err, passwordless.ErrUnknownChallenge)
	assert.Zero(t, info)
	_, err = w.RedeemLink(t.Context(), w.as("web", keeping(home, started)), passwordless.RedeemRequest{Token: link})
	require.NoError(t, err, "it stays as it was")
}

func TestALinkFinishesWhereItLeads(t *testing.T) { // LK-2, LK-9
	const wire, pages = "https://login.example.com/wire/finish", "https://login.example.com/link"
	for led, wrongly := range map[string][]string{"": {pages, wire, "https://login.example.com/"},
		wire: {"", pages, wire + "/", wire + "?t="}} {
		w := newWorld(t)
		req := byMail(alice)
		req.Send, req.LinkURL = passwordless.SendBoth, led
		started, err := w.startWith(home, req)
		require.NoError(t, err)
		link := param(t, w.outbox.last().Link)
		at := led
		if led == "" {
			at = pages
		}
		assert.Equal(t, at+"?t="+link.Reveal(), w.outbox.last().Link.Reveal())
		by := w.as("", keeping(home, started))
		for _, url := range wrongly {
			_, err := w.RedeemLink(t.Context(), by, passwordless.RedeemRequest{Token: link, LinkURL: url})
			require.ErrorIs(t, err, passwordless.ErrWrongSecret, "%q", url)
		}
		info, err := w.PeekLink(t.Context(), by, link)
		require.NoError(t, err)
		assert.Equal(t, led, info.LinkURL)
		_, err = w.RedeemLink(t.Context(), by, passwordless.RedeemRequest{Token: link, LinkURL: led})
		require.NoError(t, err)
	}
}

// Looking tells of a dead link what it was for, and why it is dead; of a wrong one nothing.
func TestLookingAtALinkChangesNothing(t *testing.T) { // LK-3, LK-6
	for want, end := range map[error]func(*world, passwordless.Started, passwordless.Secret, passwordless.Secret){
		passwordless.ErrExpired: func(w *world, _ passwordless.Started, _, _ passwordless.Secret) {
			w.clock.advance(10 * time.Minute)
		},
		passwordless.ErrConsumed: func(w *world, s passwordless.Started, link, _ passwordless.Secret) {
			_, err := w.redeem(keeping(home, s), link)
			require.NoError(t, err)
		},
		passwordless.ErrCancelled: func(w *world, _ passwordless.Started, _, cancel passwordless.Secret) {
			require.NoError(t, w.Cancel(t.Context(), w.as("", attacker), cancel))
		},
		passwordless.ErrExhausted: func(w *world, s passwordless.Started, _, _ passwordless.Secret) {
			for range 5 {
				_, _ = w.guess(s.Handle, wrong(w.outbox.last().Code.Reveal()))
			}
		},
	} {
		w := newWorld(t)
		started, link, cancel := w.startLink(passwordless.SendBoth)
		by := w.as("", attacker)
		before, err := w.PeekLink(t.Context(), by, cancel)
		require.NoError(t, err, "a link that cancels is looked at too")
		info, err := w.PeekLink(t.Context(), by, altered(link))
		require.ErrorIs(t, err, passwordless.ErrWrongSecret)
		assert.Zero(t, info)
		end(w, started, link, cancel)
		for _, token := range []passwordless.Secret{link, cancel} {
			info, err = w.PeekLink(t.Context(), by, token)
			require.ErrorIs(t, err, want)
			assert.Equal(t, before, info)
		}
	}
}
