package page_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/page"
)

func readCloser(s string) io.ReadCloser { return io.NopCloser(strings.NewReader(s)) }

func TestRequireLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	b := w.browser()
	b.get("/account").leadsTo(t, "/auth/?next=%2Faccount")
	b.do("HEAD", "/account?a=b", nil, nil).leadsTo(t, "/auth/?next=%2Faccount%3Fa%3Db")
	b.get("/account?x=%5c").leadsTo(t, "/auth/?next=%2Faccount%3Fx%3D%255c")
	b.do("POST", "/account", url.Values{}, nil).wants(t, http.StatusUnauthorized)
	for _, token := range []string{"x", strings.Repeat("A", 134), strings.Repeat("A", 5000)} {
		b.plant("__Host-passwordless-session", token)
		b.get("/account").wants(t, http.StatusSeeOther)
	}
	b.signIn(w, alice)
	b.get("/account").wants(t, http.StatusOK)
	b.do("POST", "/account", url.Values{}, nil).wants(t, http.StatusOK)
	w.clock.move(15 * 24 * time.Hour)
	b.get("/account").wants(t, http.StatusSeeOther)
}

func TestRequireLoginComesBackBehindAStrippedPrefix(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	h := http.StripPrefix("/app", w.pages.RequireLogin(http.HandlerFunc(account)))
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/app/inner?a=1", nil))
	if got := rec.Header().Get("Location"); got != "/auth/?next=%2Fapp%2Finner%3Fa%3D1" {
		t.Errorf("leads to %q", got)
	}
}

func TestSessionOfAnotherClientIsNoneHere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	by := w.as("other", passwordless.Caller{IP: loopback})
	started, err := w.svc.Start(t.Context(), by, passwordless.StartRequest{Channel: passwordless.Email, Address: alice})
	if err != nil {
		t.Fatal(err)
	}
	l, err := w.svc.Verify(t.Context(), by, passwordless.VerifyRequest{Handle: started.Handle,
		Code: w.box.last(t).Code, Issue: passwordless.Issue{Session: true}})
	if err != nil {
		t.Fatal(err)
	}
	b := w.browser()
	lives := func(after string) {
		t.Helper()
		if _, err := w.svc.Session(t.Context(), l.Session.Token); err != nil {
			t.Errorf("after %s here: %v", after, err)
		}
	}
	b.plant("__Host-passwordless-session", l.Session.Token.Reveal())
	b.get("/account").wants(t, http.StatusSeeOther)
	w.clock.move(time.Minute)
	b.signIn(w, alice)
	b.get("/account").wants(t, http.StatusOK)
	lives("a sign-in")

	b.plant("__Host-passwordless-session", l.Session.Token.Reveal())
	r := httptest.NewRequest(http.MethodGet, "/home", nil)
	r.Header.Set("Cookie", "__Host-passwordless-session="+l.Session.Token.Reveal())
	b.do("POST", "/auth/sign-out", url.Values{"nonce": {w.pages.Nonce(r)}}, nil).leadsTo(t, "/auth/signed-out")
	if b.cookie("-session") != "" {
		t.Error("the cookie is kept")
	}
	lives("a sign-out")
}

func TestRequireLoginRefusesOtherOrigins(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	b := w.browser()
	b.signIn(w, alice)
	for name, row := range map[string]struct {
		method, site, origin string
		want                 int
	}{
		"cross-site":                  {"POST", "cross-site", "https://evil.example", http.StatusForbidden},
		"same-site":                   {"POST", "same-site", "https://evil.example", http.StatusForbidden},
		"cross-site, origin null":     {"POST", "cross-site", "null", http.StatusForbidden},
		"foreign origin alone":        {"POST", "", "https://evil.example", http.StatusForbidden},
		"origin null alone":           {"POST", "", "null", http.StatusForbidden},
		"PUT":                         {"PUT", "cross-site", "", http.StatusForbidden},
		"DELETE":                      {"DELETE", "cross-site", "", http.StatusForbidden},
		"a method of its own":         {"PURGE", "cross-site", "", http.StatusForbidden},
		"own origin":                  {"POST", "same-origin", w.server.URL, http.StatusOK},
		"own origin, said to be null": {"POST", "same-origin", "null", http.StatusOK},
		"own origin alone":            {"POST", "", w.server.URL, http.StatusOK},
		"neither header":              {"POST", "", "", http.StatusOK},
		"GET from elsewhere":          {"GET", "cross-site", "", http.StatusOK},
		"HEAD from elsewhere":         {"HEAD", "cross-site", "", http.StatusOK},
		"OPTIONS from elsewhere":      {"OPTIONS", "cross-site", "https://evil.example", http.StatusOK},
	} {
		a := b.do(row.method, "/account", nil, func(r *http.Request) {
			for header, value := range map[string]string{"Sec-Fetch-Site": row.site, "Origin": row.origin} {
				if value != "" {
					r.Header.Set(header, value)
				}
			}
		})
		if a.StatusCode != row.want || row.want != http.StatusOK && strings.Contains(a.body, "account of") {
			t.Errorf("%s: status %d, want %d", name, a.StatusCode, row.want)
		}
	}
}

// Whatever an attacker planted before the login is worth nothing after it.
func TestSessionFixation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, sendBoth)
	attacker := w.browser()
	attacker.signIn(w, "mallory@example.com")
	attackers := attacker.cookie("-session")
	attacker.get("/auth/")
	planted := attacker.cookie("-browser")

	victim := w.browser()
	victim.plant("__Host-passwordless-session", attackers)
	victim.plant("__Host-passwordless-browser", planted)
	w.clock.move(time.Hour)
	victim.signIn(w, alice)
	if victim.cookie("-session") == attackers || victim.cookie("-session") == "" {
		t.Error("the session is the attacker's")
	}
	if victim.cookie("-browser") != "" {
		t.Error("the planted browser cookie outlived the login")
	}
	if a := attacker.get("/account"); a.StatusCode == http.StatusOK {
		t.Error("the replaced session lives")
	}
	first := victim.cookie("-session")
	w.clock.move(time.Hour)
	victim.signIn(w, alice)
	if victim.cookie("-session") == first {
		t.Error("a second login kept the session token")
	}
}

func TestCookiesAreHostBound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	b := w.browser()
	form := b.get("/auth/")
	sent := b.submit(form, "/auth/", url.Values{"address": {alice}})
	done := b.enter(b.get("/auth/code"), w.box.last(t).Code.Reveal())
	var got []string
	for _, a := range []answer{form, sent, done} {
		for _, c := range a.Cookies() {
			got = append(got, c.Name)
			if !strings.HasPrefix(c.Name, "__Host-passwordless-") || !c.Secure || !c.HttpOnly ||
				c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
				t.Errorf("%+v", c)
			}
		}
	}
	slices.Sort(got)
	want := []string{"browser", "browser", "device", "flow", "flow", "session"}
	for i := range want {
		want[i] = "__Host-passwordless-" + want[i]
	}
	if !slices.Equal(got, want) {
		t.Errorf("cookies %v, want %v", got, want)
	}
}

// The cookie of a session is kept for as long as the session can live.
func TestSessionCookieLivesAsLongAsTheClientsSessions(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	for name, row := range map[string]struct {
		sessions passwordless.SessionPolicy
		want     time.Duration
	}{
		"the policy's":   {passwordless.SessionPolicy{}, 30 * day},
		"the client's":   {passwordless.SessionPolicy{Absolute: 20 * day}, 20 * day},
		"without an end": {passwordless.SessionPolicy{Expiry: passwordless.Sliding}, 400 * day},
	} {
		w := newWorld(t, func(c *passwordless.Config) { c.Clients.(passwordless.ClientList)[0].Sessions = row.sessions }, nil)
		for _, c := range w.browser().signIn(w, alice).Cookies() {
			if got := time.Duration(c.MaxAge) * time.Second; strings.HasSuffix(c.Name, "-session") && got != row.want {
				t.Errorf("%s: %v, want %v", name, got, row.want)
			}
		}
	}
}

func TestInsecureCookiesForPlainLoopback(t *testing.T) {
	t.Parallel()
	plain := func(c *passwordless.Config) { c.PageURL = "http://127.0.0.1/auth/" }
	w := newWorld(t, plain, func(o *page.Options) { o.InsecureCookies, o.CookieName = true, "dev" })
	a := w.browser().get("/auth/")
	if c := a.Cookies(); len(c) != 1 || c[0].Name != "dev-browser" || c[0].Secure || !c[0].HttpOnly {
		t.Errorf("%v", c)
	}
}

func TestTwoCookiesOfOneNameAreNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	b := w.browser()
	b.signIn(w, alice)
	token := b.cookie("-session")
	const name = "__Host-passwordless-session="
	for _, pair := range [][2]string{{"x", token}, {token, "x"}, {token, token}} {
		both := name + pair[0] + "; " + name + pair[1]
		a := w.browser().do("GET", "/account", nil, func(r *http.Request) { r.Header.Set("Cookie", both) })
		a.wants(t, http.StatusSeeOther)
	}
}

func TestSignOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	b := w.browser()
	b.get("/auth/sign-out").leadsTo(t, "/auth/signed-out")
	b.signIn(w, alice)
	token := b.cookie("-session")
	asked := b.get("/auth/sign-out").wants(t, http.StatusOK).has(t, `href="/home"`)
	b.get("/account").wants(t, http.StatusOK)
	for name, form := range map[string]url.Values{"no nonce": {}, "wrong nonce": {"nonce": {"x"}}} {
		if a := b.do("POST", "/auth/sign-out", form, nil); a.StatusCode != http.StatusForbidden {
			t.Errorf("%s: status %d", name, a.StatusCode)
		}
	}
	form := asked.form(t, "/auth/sign-out", nil)
	b.do("POST", "/auth/sign-out", form, header("cross-site", "")).wants(t, http.StatusForbidden)
	b.get("/account").wants(t, http.StatusOK)

	b.submit(asked, "/auth/sign-out", nil).leadsTo(t, "/auth/signed-out")
	b.get("/auth/signed-out").wants(t, http.StatusOK).has(t, "signed out")
	if b.cookie("-session") != "" {
		t.Error("the cookie is kept")
	}
	b.plant("__Host-passwordless-session", token)
	b.get("/account").wants(t, http.StatusSeeOther)
}

func TestSignOutFromAPageOfTheApplication(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	b := w.browser()
	b.signIn(w, alice)
	r := httptest.NewRequest(http.MethodGet, "/home", nil)
	r.Header.Set("Cookie", "__Host-passwordless-session="+b.cookie("-session"))
	b.do("POST", "/auth/sign-out", url.Values{"nonce": {w.pages.Nonce(r)}}, nil).leadsTo(t, "/auth/signed-out")
	b.get("/account").wants(t, http.StatusSeeOther)

	rec := httptest.NewRecorder()
	w.pages.SignOut(rec, httptest.NewRequest(http.MethodGet, "/bye", nil))
	if rec.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET of SignOut: status %d", rec.Code)
	}
}

func TestOnLoginReplacesTheSession(t *testing.T) {
	t.Parallel()
	var got passwordless.Login
	var handler *page.Handler
	w := newWorld(t, nil, func(o *page.Options) {
		o.Send = passwordless.SendBoth
		o.OnLogin = func(w http.ResponseWriter, r *http.Request, l passwordless.Login) {
			got = l
			http.Redirect(w, r, handler.Next(l), http.StatusSeeOther)
		}
	})
	handler = w.pages
	b := w.browser()
	waiting := b.start(alice, "/deep?x=1")
	a := b.enter(waiting, w.box.last(t).Code.Reveal()).leadsTo(t, "/deep?x=1")
	if _, ok := a.sets("-session"); ok || got.Session != nil || got.User.Email != alice || got.Client != "web" {
		t.Errorf("session %v, login of %q", got.Session, got.Client)
	}
	if a.Header.Get("Cache-Control") != "no-store" {
		t.Error("the answer may be kept")
	}
}

func TestSignInWithoutASessionIs500(t *testing.T) {
	t.Parallel()
	var handler *page.Handler
	w := newWorld(t, nil, func(o *page.Options) {
		o.OnLogin = func(w http.ResponseWriter, r *http.Request, l passwordless.Login) { handler.SignIn(w, r, l) }
	})
	handler = w.pages
	b := w.browser()
	b.enter(b.start(alice, ""), w.box.last(t).Code.Reveal()).wants(t, http.StatusInternalServerError)
	if w.errs.count() != 1 {
		t.Error("OnError did not hear of it")
	}
}

// header is a change of a request's headers that tell where it came from; "" is none.
func header(site, origin string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Del("Sec-Fetch-Site")
		r.Header.Del("Origin")
		if site != "" {
			r.Header.Set("Sec-Fetch-Site", site)
		}
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
	}
}

// withNonce is a form with another nonce.
func withNonce(f url.Values, n string) url.Values {
	c := maps.Clone(f)
	c.Set("nonce", n)
	return c
}

// Forms need an origin that is not foreign, and a nonce of this browser.
func TestForgedForms(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, sendBoth)
	b, attacker := w.browser(), w.browser()
	start := b.get("/auth/")
	waiting := b.start(alice, "")
	m := w.box.last(t)
	theirs := attacker.get("/auth/").form(t, "/auth/", nil).Get("nonce")
	forms := map[string]url.Values{
		"/auth/":       start.form(t, "/auth/", url.Values{"address": {"bob@example.com"}}),
		"/auth/code":   waiting.form(t, "/auth/code", url.Values{"code": {m.Code.Reveal()}}),
		"/auth/resend": waiting.form(t, "/auth/resend", nil),
		"/auth/link":   b.get(path(t, m.Link)).form(t, "/auth/link", nil),
		"/auth/cancel": b.get(path(t, m.Cancel)).form(t, "/auth/cancel", nil),
	}
	w.clock.move(31 * time.Second)
	for action, form := range forms {
		for name, row := range map[string]struct {
			form   url.Values
			change func(*http.Request)
		}{
			"cross-site":                    {form, header("cross-site", "")},
			"same-site":                     {form, header("same-site", "")},
			"cross-site without an origin":  {form, header("cross-site", "null")},
			"foreign origin":                {form, header("", "https://evil.example")},
			"origin of the same host, http": {withNonce(form, "x"), header("", "http://127.0.0.1")},
			"nothing, no nonce":             {withNonce(form, ""), header("", "")},
			"nothing, wrong nonce":          {withNonce(form, "x"), header("", "")},
			"nothing, another's nonce":      {withNonce(form, theirs), header("", "")},
			"origin null, no nonce":         {withNonce(form, ""), header("", "null")},
			"same origin, no nonce":         {withNonce(form, ""), header("same-origin", "")},
			"same origin, another's nonce":  {withNonce(form, theirs), header("same-origin", "")},
		} {
			if a := b.do("POST", action, row.form, row.change); a.StatusCode != http.StatusForbidden {
				t.Errorf("%s, %s: status %d", action, name, a.StatusCode)
			}
		}
		a := w.browser().do("POST", action, withNonce(form, ""), header("", ""))
		if a.StatusCode != http.StatusForbidden {
			t.Errorf("%s without cookies: status %d", action, a.StatusCode)
		}
	}
	if w.box.count() != 1 {
		t.Errorf("%d messages", w.box.count())
	}
	// A browser from before Sec-Fetch-Site sends a null origin from our pages.
	b.do("POST", "/auth/code", forms["/auth/code"], header("", "null")).leadsTo(t, "/home")
}

func TestTrustedProxyNamesTheCaller(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		trusted bool
		want    int
	}{
		"trusted":   {true, http.StatusSeeOther},
		"untrusted": {false, http.StatusTooManyRequests},
	} {
		once := func(c *passwordless.Config) {
			c.Policy.Limits.Starts = []passwordless.Limit{{Count: 1, Per: time.Hour}}
		}
		w := newWorld(t, once, func(o *page.Options) {
			if row.trusted {
				o.TrustedProxies = append(o.TrustedProxies, netipPrefix("127.0.0.0/8"))
			}
		})
		b := w.browser()
		form := b.get("/auth/")
		var last answer
		for i, ip := range []string{"192.0.2.1", "203.0.113.9"} {
			typed := url.Values{"address": {string(rune('a'+i)) + "@example.com"}}
			last = b.do("POST", "/auth/", form.form(t, "/auth/", typed), func(r *http.Request) { r.Header.Set("X-Forwarded-For", ip) })
		}
		if last.StatusCode != row.want {
			t.Errorf("%s: status %d, want %d", name, last.StatusCode, row.want)
		}
	}
}

func TestAProxyThatNobodyNamedIsReported(t *testing.T) { // RL-6
	t.Parallel()
	var told atomic.Int64
	w := newWorld(t, func(c *passwordless.Config) {
		c.Events = func(_ context.Context, e passwordless.Event) {
			if e.Type != passwordless.EventUntrustedForwarding {
				return
			}
			told.Add(1)
			if e.Reason != "page: X-Forwarded-For of a peer that is no trusted proxy" {
				t.Errorf("reason %q", e.Reason)
			}
		}
	}, nil)
	b := w.browser()
	b.get("/auth/")
	if told.Load() != 0 {
		t.Error("told of a request that nobody passed on")
	}
	passedOn := func(r *http.Request) { r.Header.Set("X-Forwarded-For", "198.51.100.77") }
	for range 3 {
		b.do("GET", "/auth/", nil, passedOn) // whoever opens a page sees it: it need not come to a limit
	}
	if told.Load() != 1 {
		t.Errorf("told %d times, want once", told.Load())
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	passedOn(r)
	w.clock.move(time.Hour)
	w.pages.Caller(r) // a wire asks for that
	if told.Load() != 2 {
		t.Error("a caller of the pages is not told of")
	}
}

// A vanishing client is one that was there when the pages were set up.
type vanishing struct {
	passwordless.ClientList
	gone atomic.Bool
}

func (v *vanishing) Client(ctx context.Context, id string) (passwordless.Client, error) {
	if v.gone.Load() {
		return passwordless.Client{}, passwordless.ErrUnknownClient
	}
	return v.ClientList.Client(ctx, id)
}

func TestMistakesOfTheSetUpAre500(t *testing.T) {
	t.Parallel()
	clients := &vanishing{ClientList: passwordless.ClientList{{ID: "web", Public: true}}}
	w := newWorld(t, func(c *passwordless.Config) { c.Clients = clients }, sendBoth)
	w.browser().start("bob@example.com", "")
	clients.gone.Store(true)
	b := w.browser()
	form := b.get("/auth/")
	a := b.submit(form, "/auth/", url.Values{"address": {alice}}).wants(t, http.StatusInternalServerError)
	if w.errs.count() != 1 || !errors.Is(w.errs.all[0], passwordless.ErrUnknownClient) || strings.Contains(a.body, "unknown") {
		t.Errorf("%v", w.errs.all)
	}
	b.get(path(t, w.box.last(t).Link)).wants(t, http.StatusNotFound).has(t, "Start again")
}
