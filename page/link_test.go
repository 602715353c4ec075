package page_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/page"
)

var loopback = netip.MustParseAddr("127.0.0.1")

func sendBoth(o *page.Options) { o.Send = passwordless.SendBoth }

func TestLinkSignsInWhereItWasAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, sendBoth)
	b := w.browser()
	b.start(alice, "/account")
	link := w.box.last(t).Link

	asked := b.get(path(t, link)).wants(t, http.StatusOK).has(t, "Sign in to Example?").has(t, "a***@example.com")
	if strings.Contains(asked.body, alice) {
		t.Error("the page shows the whole address")
	}
	done := b.submit(asked, "/auth/link", nil).leadsTo(t, "/account")
	_, token, _ := strings.Cut(link.Reveal(), "t=")
	for name, values := range done.Header {
		if strings.Contains(strings.Join(values, " "), token) {
			t.Errorf("the link's secret is in the header %s", name)
		}
	}
	b.get("/account").wants(t, http.StatusOK)
	b.get(path(t, link)).wants(t, http.StatusNotFound)
	b.submit(asked, "/auth/link", nil).wants(t, http.StatusForbidden) // a replayed nonce
}

// Mail scanners open links in every way they know; the person comes after them.
func TestScannersUseNothingUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, sendBoth)
	b := w.browser()
	b.start(alice, "")
	m := w.box.last(t)

	scan := func(method, target string, header map[string]string) {
		a := w.browser().do(method, target, nil, func(r *http.Request) {
			for name, value := range header {
				r.Header.Set(name, value)
			}
		})
		if len(a.Cookies()) != 0 {
			t.Errorf("%s %s sets %v", method, target, a.Cookies())
		}
		if strings.Contains(strings.ToLower(a.body), "<script") {
			t.Errorf("%s %s has a script", method, target)
		}
	}
	for _, target := range []string{path(t, m.Link), path(t, m.Cancel)} {
		for range 5 {
			scan("HEAD", target, nil)
		}
		for range 20 {
			scan("GET", target, nil)
		}
		scan("OPTIONS", target, nil)
		scan("GET", target, map[string]string{"Purpose": "prefetch", "Sec-Purpose": "prefetch;prerender"})
		scan("GET", target, map[string]string{
			"User-Agent":     "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0 Safari/537.36",
			"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none"})
		for _, method := range []string{"PUT", "DELETE", "PATCH"} {
			scan(method, target, nil)
		}
	}
	b.submit(b.get(path(t, m.Link)), "/auth/link", nil).leadsTo(t, "/home")
}

// A link opened elsewhere signs in neither there nor where the sign-in began: it shows a code that a person carries
// over by hand.
func TestLinkElsewhereShowsACodeForTheFirstBrowser(t *testing.T) {
	t.Parallel()
	for _, mode := range []passwordless.SendMode{passwordless.SendLink, passwordless.SendBoth} {
		w := newWorld(t, nil, func(o *page.Options) { o.Send = mode })
		first, other := w.browser(), w.browser()
		waiting := first.start(alice, "")
		m := w.box.last(t)
		other.start("mallory@example.com", "") // it has a browser cookie, of another flow

		for _, elsewhere := range []*browser{other, w.browser()} {
			asked := elsewhere.get(path(t, m.Link)).wants(t, http.StatusOK).has(t, "another browser").has(t, "Show the code")
			shown := elsewhere.submit(asked, "/auth/link", nil).wants(t, http.StatusOK)
			if _, ok := shown.sets("-session"); ok || elsewhere.cookie("-session") != "" {
				t.Fatal("the other browser is signed in")
			}
			if elsewhere.get("/account").StatusCode != http.StatusSeeOther || first.get("/account").StatusCode != http.StatusSeeOther {
				t.Fatal("somebody is signed in")
			}
			_, rest, _ := strings.Cut(shown.body, `<p class="show">`)
			code, _, _ := strings.Cut(rest, "<")
			if m.Code != "" && strings.ReplaceAll(code, " ", "") != m.Code.Reveal() {
				t.Fatalf("shows %q", code)
			}
			if elsewhere == other {
				continue
			}
			first.enter(waiting, code).leadsTo(t, "/home")
			first.get("/account").wants(t, http.StatusOK)
			if a := elsewhere.get("/account"); a.StatusCode != http.StatusSeeOther {
				t.Fatal("the other browser is signed in")
			}
			first.enter(waiting, code).wants(t, http.StatusForbidden)
		}
	}
}

// An attacker's own link cannot sign a victim in to the attacker's account.
func TestLinkOfAnAttackerSignsNobodyIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, sendBoth)
	attacker, victim := w.browser(), w.browser()
	attacker.start("mallory@example.com", "")
	m := w.box.last(t)
	asked := attacker.get(path(t, m.Link))
	victim.get("/auth/")

	form := asked.form(t, "/auth/link", nil)
	for name, change := range map[string]func(*http.Request){
		"cross-site": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"same-site":  func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
		"another origin": func(r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set("Origin", "https://evil.example")
		},
		"no origin, attacker's nonce":  func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Del("Origin") },
		"own origin, attacker's nonce": func(*http.Request) {},
	} {
		a := victim.do("POST", "/auth/link", form, change)
		if _, ok := a.sets("-session"); ok || a.StatusCode != http.StatusForbidden {
			t.Errorf("%s: status %d, session %v", name, a.StatusCode, ok)
		}
	}
	fresh := w.browser()
	fresh.do("POST", "/auth/link", form, func(r *http.Request) { r.Header.Del("Sec-Fetch-Site") }).wants(t, http.StatusForbidden)
	attacker.submit(asked, "/auth/link", nil).leadsTo(t, "/home")
}

func TestDeadLinksLookAlike(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, sendBoth)
	b := w.browser()
	var dead []string
	begin := func() passwordless.Message {
		w.clock.move(time.Hour)
		b.start(alice, "")
		return w.box.last(t)
	}
	used := begin()
	b.submit(b.get(path(t, used.Link)), "/auth/link", nil).leadsTo(t, "/home")
	cancelled := begin()
	b.submit(b.get(path(t, cancelled.Cancel)), "/auth/cancel", nil).leadsTo(t, "/auth/cancelled")
	expired := begin()
	w.clock.move(11 * time.Minute)
	fresh := path(t, begin().Link)
	spoilt := fresh[:len(fresh)-3] + "AAA"
	for _, target := range []string{
		path(t, used.Link), path(t, cancelled.Link), path(t, expired.Link), spoilt, fresh[:len(fresh)-1],
		"/auth/link", "/auth/link?t=", "/auth/link?t=x", "/auth/link?t=a&t=b", "/auth/link?t=%ff",
		"/auth/link?t=" + strings.Repeat("A", 10_000),
		"/auth/cancel", "/auth/cancel?t=x", path(t, used.Cancel), path(t, cancelled.Cancel),
	} {
		dead = append(dead, b.get(target).wants(t, http.StatusNotFound).has(t, "Start again").body)
	}
	asked := b.get(fresh)
	w.clock.move(11 * time.Minute)
	dead = append(dead, b.submit(asked, "/auth/link", nil).wants(t, http.StatusNotFound).body)
	asked = b.get(path(t, begin().Link))
	u, err := w.svc.Directory().Find(t.Context(), "", passwordless.Identifier{Channel: passwordless.Email, Address: alice})
	if err = errors.Join(err, w.svc.RevokeUser(t.Context(), "", u.ID)); err != nil {
		t.Fatal(err)
	}
	dead = append(dead, b.submit(asked, "/auth/link", nil).wants(t, http.StatusNotFound).body)
	for i, body := range dead {
		if body != dead[0] {
			t.Errorf("answer %d differs:\n%s\n%s", i, body, dead[0])
		}
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, sendBoth)
	b, owner := w.browser(), w.browser()
	waiting := b.start(alice, "")
	m := w.box.last(t)

	asked := owner.get(path(t, m.Cancel)).wants(t, http.StatusOK).has(t, "a***@example.com").has(t, "Example")
	owner.do("POST", "/auth/cancel", asked.form(t, "/auth/cancel", url.Values{"nonce": {""}}), nil).wants(t, http.StatusForbidden)
	owner.submit(asked, "/auth/cancel", nil).leadsTo(t, "/auth/cancelled")
	owner.get("/auth/cancelled").wants(t, http.StatusOK).has(t, "stopped")
	b.enter(waiting, m.Code.Reveal()).wants(t, http.StatusUnprocessableEntity)
	owner.submit(asked, "/auth/cancel", nil).wants(t, http.StatusNotFound)
}

// Links are made of the configuration alone.
func TestHostileHostsLeaveLinksUnchanged(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*http.Request){
		"Host":              func(r *http.Request) { r.Host = "evil.example" },
		"X-Forwarded-Host":  func(r *http.Request) { r.Header.Set("X-Forwarded-Host", "evil.example") },
		"X-Forwarded-Proto": func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "http") },
		"X-Forwarded-Port":  func(r *http.Request) { r.Header.Set("X-Forwarded-Port", "666") },
		"X-Original-Url":    func(r *http.Request) { r.Header.Set("X-Original-Url", "https://evil.example/auth/") },
		"Forwarded":         func(r *http.Request) { r.Header.Set("Forwarded", "host=evil.example;proto=http") },
	} {
		w := newWorld(t, nil, sendBoth)
		b := w.browser()
		form := b.do("GET", "/auth/", nil, change)
		a := b.do("POST", "/auth/", form.form(t, "/auth/", url.Values{"address": {alice}}), change).leadsTo(t, "/auth/code")
		m := w.box.last(t)
		if !strings.HasPrefix(m.Link.Reveal(), pageURL+"link?t=") || !strings.HasPrefix(m.Cancel.Reveal(), pageURL+"cancel?t=") {
			t.Errorf("%s: the links changed", name)
		}
		asked := b.do("GET", path(t, m.Link), nil, change)
		for _, body := range []string{form.body, a.body, asked.body} {
			if strings.Contains(body, "evil.example") || strings.Contains(body, "666") {
				t.Errorf("%s: is on a page", name)
			}
		}
	}
}

// A link of another client of the same service is unknown here, and stays as it is. "This was not me" of its messages
// leads here all the same.
func TestLinkOfAnotherClientIsUntouched(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, func(o *page.Options) {
		o.OnLogin = func(http.ResponseWriter, *http.Request, passwordless.Login) { t.Error("a login") }
	})
	theirs, err := page.New(w.svc, page.Options{Client: "other"})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(theirs)
	t.Cleanup(server.Close)
	here := w.browser()
	here.get("/auth/")
	there := *here // the same cookies, so the same nonces
	there.base = server.URL
	by := w.as("other", passwordless.Caller{IP: loopback, Browser: passwordless.Secret(here.cookie("-browser"))})
	_, err = w.svc.Start(t.Context(), by, passwordless.StartRequest{
		Channel: passwordless.Email, Address: alice, Send: passwordless.SendLink})
	if err != nil {
		t.Fatal(err)
	}
	m := w.box.last(t)
	asked := there.get(path(t, m.Link)).wants(t, http.StatusOK).has(t, "Other")

	dead := here.get("/auth/link?t=x").wants(t, http.StatusNotFound).body
	for what, a := range map[string]answer{
		"GET":  here.get(path(t, m.Link)),
		"POST": here.submit(asked, "/auth/link", nil),
	} {
		if a.wants(t, http.StatusNotFound).body != dead {
			t.Errorf("%s tells of it:\n%s", what, a.body)
		}
	}
	there.submit(asked, "/auth/link", nil).leadsTo(t, "/auth/")
}

func TestCancelWorksForEveryClientsMessages(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ client, linkURL string }{
		"another client":         {"other", ""},
		"a link that leads away": {"web", "https://login.example/finish"},
	} {
		w := newWorld(t, nil, nil)
		by := w.as(row.client, passwordless.Caller{IP: loopback})
		started, err := w.svc.Start(t.Context(), by, passwordless.StartRequest{Channel: passwordless.Email, Address: alice,
			Send: passwordless.SendBoth, LinkURL: row.linkURL})
		if err != nil {
			t.Fatal(err)
		}
		m, owner := w.box.last(t), w.browser()
		asked := owner.get(path(t, m.Cancel)).wants(t, http.StatusOK).has(t, "sign in to "+m.AppName).has(t, "a***@example.com")
		owner.submit(asked, "/auth/cancel", nil).leadsTo(t, "/auth/cancelled")
		_, err = w.svc.Verify(t.Context(), by, passwordless.VerifyRequest{Handle: started.Handle, Code: m.Code})
		if !errors.Is(err, passwordless.ErrCancelled) {
			t.Errorf("%s: %v, want that it is cancelled", name, err)
		}
		owner.submit(asked, "/auth/cancel", nil).wants(t, http.StatusNotFound)
	}
}

// A link that leads elsewhere is unknown here, and stays as it is: a session is not what it was asked for.
func TestLinkThatLeadsElsewhereIsUntouched(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, sendBoth)
	b := w.browser()
	b.start("bob@example.com", "")
	own := b.get(path(t, w.box.last(t).Link))
	const elsewhere = "https://login.example/finish"
	by := w.as("web", passwordless.Caller{IP: loopback, Browser: passwordless.Secret(b.cookie("-browser"))})
	_, err := w.svc.Start(t.Context(), by, passwordless.StartRequest{Channel: passwordless.Email, Address: alice,
		Send: passwordless.SendLink, LinkURL: elsewhere})
	if err != nil {
		t.Fatal(err)
	}
	_, token, _ := strings.Cut(w.box.last(t).Link.Reveal(), "t=")
	dead := b.get("/auth/link?t=x").wants(t, http.StatusNotFound).body
	if body := b.get("/auth/link?t="+token).wants(t, http.StatusNotFound).body; body != dead {
		t.Errorf("GET tells of it:\n%s", body)
	}
	form := own.form(t, "/auth/link", nil)
	form.Set("t", token) // with the nonce of another link
	b.do("POST", "/auth/link", form, nil).wants(t, http.StatusForbidden)
	form.Set("nonce", formNonce(b, "link", token))
	if body := b.do("POST", "/auth/link", form, nil).wants(t, http.StatusNotFound).body; body != dead {
		t.Errorf("POST tells of it:\n%s", body)
	}
	_, err = w.svc.RedeemLink(t.Context(), by, passwordless.RedeemRequest{Token: passwordless.Secret(token), LinkURL: elsewhere})
	if err != nil {
		t.Errorf("the link is used up: %v", err)
	}
}

func TestInsecureAnyBrowserNeedsTheApplicationsOwnEnd(t *testing.T) {
	t.Parallel()
	svc, _ := newService(t, func(c *passwordless.Config) { c.Policy.InsecureAnyBrowser = true })
	opts := page.Options{Client: "web", AppName: "Example", Base: "/auth/"}
	if _, err := page.New(svc, opts); err == nil || !strings.Contains(err.Error(), "OnLogin") {
		t.Errorf("error %v, want one about OnLogin", err)
	}
	opts.OnLogin = func(http.ResponseWriter, *http.Request, passwordless.Login) {}
	if _, err := page.New(svc, opts); err != nil {
		t.Error(err)
	}
}
