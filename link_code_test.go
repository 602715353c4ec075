package passwordless_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
)

func TestALinkEndsWithACodeToo(t *testing.T) { // LK-1, TK-16
	w := newCodeWorld(t)
	for _, client := range []string{"web", "backend"} {
		link, caller := w.linkTo(client, passwordless.StartRequest{RedirectURI: callback, State: "s"})
		l, err := w.RedeemLink(t.Context(), w.as("", caller), passwordless.RedeemRequest{Token: link, Issue: asking("openid")})
		require.NoError(t, err)
		assert.Equal(t, "s", l.State)
		got, err := w.exchange(l)
		require.NoError(t, err)
		assert.Equal(t, []passwordless.MethodUse{{Method: passwordless.ByLink, Channel: passwordless.Email, At: l.At()}}, got.Methods)
		_, id := parts(t, got.Tokens.ID)
		assert.Equal(t, []any{"email"}, id["amr"])
	}
}

// An anyBrowserCase says how a link begins and ends that is opened in a browser that did not ask for it.
type anyBrowserCase struct {
	client   string
	anyone   bool // Policy.InsecureAnyBrowser
	state    string
	issue    passwordless.Issue
	finishes bool
}

func anyBrowserCases() map[string]anyBrowserCase {
	code, bound := unbound("openid"), asking("openid")
	beside := func(change func(*passwordless.Issue)) passwordless.Issue {
		g := asking("openid")
		change(&g)
		return g
	}
	withSession := beside(func(g *passwordless.Issue) { g.Session = true })
	withTokens := beside(func(g *passwordless.Issue) { g.Tokens = &passwordless.TokenRequest{Scopes: []string{"openid"}} })
	return map[string]anyBrowserCase{
		"a state":                            {"anywhere", false, "s", code, true},
		"a challenge":                        {"anywhere", false, "", bound, true},
		"both":                               {"anywhere", false, "s", bound, true},
		"neither":                            {"anywhere", false, "", code, false},
		"a session beside the code":          {"anywhere", false, "s", withSession, false},
		"tokens beside the code":             {"anywhere", false, "s", withTokens, false},
		"a session and no code":              {"anywhere", false, "s", session, false},
		"tokens and no code":                 {"anywhere", false, "s", openid, false},
		"nothing at all":                     {"anywhere", false, "s", passwordless.Issue{}, false},
		"a client that does not allow it":    {"backend", false, "s", bound, false},
		"a public client that does not":      {"web", false, "s", bound, false},
		"a policy of any browser":            {"backend", true, "", code, true},
		"the policy, and a session":          {"backend", true, "", session, true},
		"the policy, and a client like that": {"anywhere", true, "", code, true},
	}
}

func TestWhereALinkFinishesElsewhere(t *testing.T) { // BD-4, BD-5
	for why, c := range anyBrowserCases() {
		w := newCodeWorld(t, func(cfg *passwordless.Config) { cfg.Policy.InsecureAnyBrowser = c.anyone })
		link, caller := w.linkTo(c.client, passwordless.StartRequest{RedirectURI: callback, State: c.state})
		info, err := w.PeekLink(t.Context(), w.as("", attacker), link)
		require.NoError(t, err, why)
		assert.Equal(t, c.anyone, info.SameBrowser, why)
		l, err := w.RedeemLink(t.Context(), w.as("", attacker), passwordless.RedeemRequest{Token: link, Issue: c.issue})
		if c.finishes {
			require.NoError(t, err, why)
			assert.Equal(t, c.state, l.State, why)
			continue
		}
		var other *passwordless.OtherBrowserError
		require.ErrorAs(t, err, &other, why)
		assert.Zero(t, l, why)
		assert.Len(t, other.Code, 6, "%s: a code to type", why)
		l, err = w.RedeemLink(t.Context(), w.as("", caller), passwordless.RedeemRequest{Token: link, Issue: c.issue})
		require.NoError(t, err, "%s: where it was asked for it finishes", why)
		assert.Equal(t, c.state, l.State, why)
	}
}

func TestTheCodeToTypeEndsWithACode(t *testing.T) { // BD-5
	w := newCodeWorld(t)
	w.clock.advance(time.Hour)
	req := byMail(alice)
	req.Send = passwordless.SendLink
	started, err := w.Start(t.Context(), w.as("anywhere", home), req)
	require.NoError(t, err)
	_, err = w.RedeemLink(t.Context(), w.as("", attacker), passwordless.RedeemRequest{Token: param(t, w.outbox.last().Link),
		Issue: unbound()})
	var other *passwordless.OtherBrowserError
	require.ErrorAs(t, err, &other)
	l, err := w.Verify(t.Context(), w.as("anywhere", home), passwordless.VerifyRequest{Handle: started.Handle, Code: other.Code,
		Issue: unbound()})
	require.NoError(t, err)
	r := of(l)
	r.Verifier = ""
	_, err = w.Exchange(t.Context(), w.as("anywhere", home), r)
	require.NoError(t, err)
}

const linkURL = "https://login.example.com/passwordless/verify_redirect"

func TestALinkOpensWhereItLeads(t *testing.T) { // LK-4, LK-9
	w := newCodeWorld(t)
	for _, bound := range []string{"", linkURL, "http://localhost:8080/cb", "http://127.0.0.1/x", "http://[::1]:1/x"} {
		link, caller := w.linkTo("web", passwordless.StartRequest{LinkURL: bound, Params: "p"})
		m := w.outbox.last()
		where := bound
		if bound == "" {
			where = "https://login.example.com/link"
		}
		assert.True(t, strings.HasPrefix(m.Link.Reveal(), where+"?t="), m.Link.Reveal())
		assert.True(t, strings.HasPrefix(m.Cancel.Reveal(), "https://login.example.com/cancel?t="),
			"to cancel is a matter of the pages")
		info, err := w.PeekLink(t.Context(), w.as("", caller), link)
		require.NoError(t, err)
		assert.Equal(t, bound, info.LinkURL)
		assert.Equal(t, "p", info.Params)
		w.events.types()
		for _, elsewhere := range []string{"", linkURL, linkURL + "/", linkURL[:len(linkURL)-1], where, "https://evil.example/"} {
			if elsewhere == bound {
				continue
			}
			_, err := w.RedeemLink(t.Context(), w.as("", caller), passwordless.RedeemRequest{Token: link, LinkURL: elsewhere,
				Issue: asking()})
			require.ErrorIs(t, err, passwordless.ErrWrongSecret, elsewhere)
			_, err = w.RedeemLink(t.Context(), w.as("", attacker), passwordless.RedeemRequest{Token: link, LinkURL: elsewhere,
				Issue: asking()})
			require.ErrorIs(t, err, passwordless.ErrWrongSecret, "%s: nor is there a code to type", elsewhere)
		}
		l, err := w.RedeemLink(t.Context(), w.as("", caller), passwordless.RedeemRequest{Token: link, LinkURL: bound, Issue: asking()})
		require.NoError(t, err, "it was not used up")
		assert.Equal(t, "p", l.Params)
		_, err = w.RedeemLink(t.Context(), w.as("", caller), passwordless.RedeemRequest{Token: link, LinkURL: bound, Issue: asking()})
		require.ErrorIs(t, err, passwordless.ErrConsumed)
		_, err = w.RedeemLink(t.Context(), w.as("", caller), passwordless.RedeemRequest{Token: link, LinkURL: "https://evil.example/"})
		require.ErrorIs(t, err, passwordless.ErrWrongSecret, "elsewhere it is not told that it was right once")
	}
}

func TestALinkKeepsItsPlaceInAResend(t *testing.T) { // LK-4
	for _, replaces := range []bool{false, true} {
		w := newCodeWorld(t, func(c *passwordless.Config) { c.Policy.Codes.ReplaceOnResend = replaces })
		req := byMail(alice)
		req.Send, req.LinkURL, req.Params = passwordless.SendBoth, linkURL, "p"
		started, err := w.Start(t.Context(), w.as("web", home), req)
		require.NoError(t, err)
		w.clock.advance(time.Minute)
		_, err = w.Resend(t.Context(), w.as("web", home), started.Handle)
		require.NoError(t, err)
		assert.True(t, strings.HasPrefix(w.outbox.last().Link.Reveal(), linkURL+"?t="))
		caller := home
		caller.Browser = started.Browser
		l, err := w.RedeemLink(t.Context(), w.as("", caller), passwordless.RedeemRequest{Token: param(t, w.outbox.last().Link),
			LinkURL: linkURL})
		require.NoError(t, err)
		assert.Equal(t, "p", l.Params)
	}
}

func TestThisWasNotMeOfALinkThatLeadsElsewhere(t *testing.T) {
	w := newCodeWorld(t)
	link, caller := w.linkTo("web", passwordless.StartRequest{LinkURL: linkURL})
	cancel := param(t, w.outbox.last().Cancel)
	info, err := w.PeekLink(t.Context(), w.as("", attacker), cancel)
	require.NoError(t, err)
	assert.Equal(t, linkURL, info.LinkURL)
	require.NoError(t, w.Cancel(t.Context(), w.as("", attacker), cancel))
	_, err = w.RedeemLink(t.Context(), w.as("", caller), passwordless.RedeemRequest{Token: link, LinkURL: linkURL})
	require.ErrorIs(t, err, passwordless.ErrCancelled)
}

func TestATypedCodeDoesNotDependOnWhereTheLinkLeads(t *testing.T) {
	w := newCodeWorld(t)
	req := byMail(alice)
	req.Send, req.LinkURL, req.Params = passwordless.SendBoth, linkURL, "p"
	started, err := w.Start(t.Context(), w.as("web", home), req)
	require.NoError(t, err)
	l, err := w.guess(started.Handle, w.outbox.last().Code.Reveal())
	require.NoError(t, err)
	assert.Equal(t, "p", l.Params)
}

func TestWhereALinkCannotLead(t *testing.T) { // LK-4, LK-5, LK-12
	w := newCodeWorld(t)
	for _, hostile := range []string{"x", "/relative", "//evil.example/x", "http://login.example.com/x",
		"ftp://login.example.com/", "javascript:alert(1)",
		"https:evil.example", "https://", "https:///x", linkURL + "?", linkURL + "?a=b", linkURL + "#", linkURL + "#x",
		"https://user@login.example.com/",
		"https://a:b@login.example.com/", `https://login.example.com\@evil.example/`, `https://login.example.com/\x`,
		linkURL + " ", " " + linkURL, linkURL + "\n",
		linkURL + "\r\nX: y", linkURL + "\x00", "HTTPS://login.example.com/", "https://LOGIN.example.com/",
		"https://login.example.com/../x",
		"https://login.example.com/%zz", "https://ex＠mple.com/", "https://é.example/", "http://localhost.evil.example/",
		"http://127.0.0.1.evil.example/",
		"http://2130706433/", "http://0x7f.1/", "com.example.app:/x", "https://login.example.com:99999/",
		linkURL + strings.Repeat("x", 2048)} {
		req := byMail(alice)
		req.Send, req.LinkURL = passwordless.SendLink, hostile
		_, err := w.Start(t.Context(), w.as("web", home), req)
		var bad *passwordless.InputError
		require.ErrorAs(t, err, &bad, "%q", hostile)
		assert.Equal(t, "LinkURL", bad.Field)
		assert.NotContains(t, err.Error(), "evil")
	}
	assert.Empty(t, w.outbox.messages())
}

func TestStateAndParamsReturnAsTheyWere(t *testing.T) { // BD-9
	w := newCodeWorld(t)
	var every strings.Builder
	for i := range 4096 {
		every.WriteByte(byte(i * 7))
	}
	bytes4k := every.String()
	for _, c := range []struct{ state, params string }{{"", ""}, {"s", ""}, {"", "p"}, {bytes4k[:2048], bytes4k},
		{"\x00", "\xff\xfe"}, {" a+b%20&=é\r\n", `{"a":"\u0000"}`}} {
		for _, bound := range []string{"", linkURL} {
			link, caller := w.linkTo("web", passwordless.StartRequest{RedirectURI: callback, State: c.state, Params: c.params,
				LinkURL: bound})
			info, err := w.PeekLink(t.Context(), w.as("", caller), link)
			require.NoError(t, err)
			assert.Equal(t, "a***@example.com", info.Identifier.String())
			assert.Equal(t, passwordless.LinkInfo{Client: "web", AppName: "Example", SameBrowser: true,
				Identifier:  passwordless.Identifier{Channel: passwordless.Email, Address: alice},
				RedirectURI: callback, State: c.state, Params: c.params, LinkURL: bound}, info)
			l, err := w.RedeemLink(t.Context(), w.as("", caller), passwordless.RedeemRequest{Token: link, LinkURL: bound})
			require.NoError(t, err)
			assert.Equal(t, c, struct{ state, params string }{l.State, l.Params})
		}
	}
	for field, req := range map[string]passwordless.StartRequest{"State": {State: bytes4k[:2049]},
		"Params": {Params: bytes4k + "x"}} {
		req.Channel, req.Address = passwordless.Email, alice
		_, err := w.Start(t.Context(), w.as("web", home), req)
		var bad *passwordless.InputError
		require.ErrorAs(t, err, &bad)
		assert.Equal(t, field, bad.Field)
	}
}

func TestAStartForAnotherPlaceIsNoRepetition(t *testing.T) { // BD-9, RL-21
	w := newCodeWorld(t, unlimited)
	req, by := byMail(alice), w.as("web", inBrowser(home))
	req.Send, req.Params, req.LinkURL = passwordless.SendLink, "first", linkURL
	first, err := w.Start(t.Context(), by, req)
	require.NoError(t, err)
	again, err := w.Start(t.Context(), by, req)
	require.NoError(t, err)
	assert.Equal(t, first.Handle, again.Handle)
	require.Len(t, w.outbox.messages(), 1)
	for name, change := range map[string]func(*passwordless.StartRequest){
		"params":           func(r *passwordless.StartRequest) { r.Params = "second" },
		"no params":        func(r *passwordless.StartRequest) { r.Params = "" },
		"place":            func(r *passwordless.StartRequest) { r.LinkURL += "/2" },
		"no place":         func(r *passwordless.StartRequest) { r.LinkURL = "" },
		"joined otherwise": func(r *passwordless.StartRequest) { r.State, r.Params = "f", "irst" },
	} {
		other := req
		change(&other)
		w.clock.advance(time.Second) // the first proof ends what began before it
		started, err := w.Start(t.Context(), by, other)
		require.NoError(t, err)
		assert.NotEqual(t, first.Handle, started.Handle, name)
		l, err := w.RedeemLink(t.Context(), w.as("", inBrowser(home)),
			passwordless.RedeemRequest{Token: param(t, w.outbox.last().Link), LinkURL: other.LinkURL})
		require.NoError(t, err)
		assert.Equal(t, other.Params, l.Params, name)
	}
}
