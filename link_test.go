package passwordless_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/store"
)

// startLink begins a sign-in by link and returns the tokens of both links.
func (w *world) startLink(mode passwordless.SendMode) (started passwordless.Started, link, cancel passwordless.Secret) {
	w.t.Helper()
	started, err := w.Start(w.t.Context(), passwordless.StartRequest{Client: "web", Channel: passwordless.Email, Address: alice,
		Send: mode, Caller: home, RedirectURI: "https://app.example.com/cb", State: "s 1"})
	require.NoError(w.t, err)
	m := w.outbox.last()
	return started, param(w.t, m.Link), param(w.t, m.Cancel)
}

func param(t testing.TB, link passwordless.Secret) passwordless.Secret {
	t.Helper()
	u, err := url.Parse(link.Reveal())
	require.NoError(t, err)
	require.Len(t, u.Query(), 1, "one opaque parameter (LK-12)")
	return passwordless.Secret(u.Query().Get("t"))
}

func TestALinkFinishesWhereItWasAskedFor(t *testing.T) { // LK-1, BD-4, BD-9
	w := newWorld(t)
	started, link, _ := w.startLink(passwordless.SendLink)
	assert.Empty(t, w.outbox.last().Code)
	assert.Less(t, len(w.outbox.last().Link), 120)
	caller := home
	caller.Browser = started.Browser
	for range 20 {
		info, err := w.PeekLink(t.Context(), link, caller)
		require.NoError(t, err)
		assert.Equal(t, passwordless.LinkInfo{Client: "web", AppName: "Example", Address: "a***@example.com", SameBrowser: true,
			RedirectURI: "https://app.example.com/cb", State: "s 1"}, info)
	}
	l, err := w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: link, Caller: caller})
	require.NoError(t, err)
	assert.Equal(t, passwordless.ByLink, l.Method)
	assert.Equal(t, "https://app.example.com/cb", l.RedirectURI)
	assert.Equal(t, "s 1", l.State)
	_, err = w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: link, Caller: caller})
	require.ErrorIs(t, err, passwordless.ErrConsumed)
}

func TestAnotherBrowserGetsACodeToTypeInTheFirst(t *testing.T) { // BD-4, BD-5
	for _, mode := range []passwordless.SendMode{passwordless.SendLink, passwordless.SendBoth} {
		w := newWorld(t)
		started, link, _ := w.startLink(mode)
		_, err := w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: link, Caller: attacker})
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
	caller := home
	caller.Browser = started.Browser
	_, err = w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: link, Caller: caller})
	require.ErrorIs(t, err, passwordless.ErrConsumed)
}

func TestAChangedLinkOpensNothingAndCostsNothing(t *testing.T) {
	w := newWorld(t)
	started, link, cancel := w.startLink(passwordless.SendBoth)
	caller := home
	caller.Browser = started.Browser
	text := link.Reveal()
	for i := range text {
		for _, c := range []byte{'A', 'z', '-', '=', '\n'} {
			if text[i] == c {
				continue
			}
			changed := passwordless.Secret(text[:i] + string(c) + text[i+1:])
			_, err := w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: changed, Caller: caller})
			require.Error(t, err)
		}
	}
	for _, changed := range []passwordless.Secret{"", link[:63], link + "A", link + "=", cancel} {
		_, err := w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: changed, Caller: caller})
		require.Error(t, err)
	}
	_, err := w.RedeemLink(t.Context(), passwordless.RedeemRequest{Token: link, Caller: caller})
	require.NoError(t, err)
}

func TestThisWasNotMe(t *testing.T) {
	w := newWorld(t)
	started, link, cancel := w.startLink(passwordless.SendBoth)
	code := w.outbox.last().Code.Reveal()
	require.ErrorIs(t, w.Cancel(t.Context(), link, attacker), passwordless.ErrWrongSecret, "a link does not cancel")
	require.NoError(t, w.Cancel(t.Context(), cancel, attacker))
	_, err := w.guess(started.Handle, code)
	require.ErrorIs(t, err, passwordless.ErrCancelled)
	require.ErrorIs(t, w.Cancel(t.Context(), cancel, attacker), passwordless.ErrCancelled)
	assert.Contains(t, w.events.types(), passwordless.EventCancelled)
}

func TestACancelledStartCostsItsNetwork(t *testing.T) {
	w := newWorld(t, func(c *passwordless.Config) {
		c.Policy.Starts = []passwordless.Limit{{Count: 4, Per: time.Hour}}
	})
	_, _, cancel := w.startLink(passwordless.SendBoth)
	require.NoError(t, w.Cancel(t.Context(), cancel, attacker))
	_, err := w.Start(t.Context(), passwordless.StartRequest{Client: "web", Channel: passwordless.Email, Address: "x@example.com", Caller: home})
	var limited *passwordless.LimitedError
	require.ErrorAs(t, err, &limited, "one start and three for the nuisance")
	assert.Equal(t, store.Kind("start"), limited.Bucket.Kind)
}
