package page_test

import (
	"context"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/page"
)

func netipPrefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func TestNewTellsAllMistakesAtOnce(t *testing.T) {
	t.Parallel()
	h, err := page.New(nil, page.Options{
		AppName: " ", Base: "auth", Home: "https://evil.example/", Send: 9, CookieName: "a b", FormAction: "https://a; script-src *",
		Channels:       []passwordless.Channel{"fax", passwordless.Email, passwordless.Email},
		TrustedProxies: []netip.Prefix{netipPrefix("0.0.0.0/0")},
		Templates:      fstest.MapFS{"start.html": {Data: []byte("{{.Nothing}}")}},
	})
	if err == nil || h != nil {
		t.Fatal("no error, or a handler")
	}
	for _, want := range []string{"Service", "Client", "AppName", "Base", "Home", "Send", "CookieName", "FormAction",
		"Channels[0]", "Channels[2]", "trusts every address", "Nothing"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not tell of %s:\n%v", want, err)
		}
	}
}

func TestNewChecksTheClient(t *testing.T) {
	t.Parallel()
	svc, _ := newService(t, nil)
	_, err := page.New(svc, page.Options{Client: "nobody", AppName: "Example"})
	if err == nil || !strings.Contains(err.Error(), "none with that ID") {
		t.Errorf("an unknown client: %v", err)
	}
	_, err = page.New(svc, page.Options{Client: "other", AppName: "Example",
		Channels: []passwordless.Channel{passwordless.Email, passwordless.SMS}})
	if err == nil || !strings.Contains(err.Error(), "Channels[1]: not one of the client's") {
		t.Errorf("a channel that the client does not use: %v", err)
	}
}

func TestNewRefusesWhatDoesNotFitTheService(t *testing.T) {
	t.Parallel()
	svc, _ := newService(t, nil)
	tokens := passwordless.Issue{Tokens: &passwordless.TokenRequest{}}
	taken := func(http.ResponseWriter, *http.Request, passwordless.Login) {}
	for name, row := range map[string]struct {
		opts page.Options
		want string // of the error; "" for none
	}{
		"nothing but the client":         {page.Options{}, ""},
		"the path of PageURL":            {page.Options{Base: "/auth/"}, ""},
		"another path":                   {page.Options{Base: "/login/"}, "Base: not the path of Config.PageURL"},
		"the root":                       {page.Options{Base: "/"}, "Base: not the path of Config.PageURL"},
		"insecure cookies over https":    {page.Options{InsecureCookies: true}, "InsecureCookies: Config.PageURL is https"},
		"tokens that nobody takes":       {page.Options{Issue: tokens}, "Issue.Tokens: need an OnLogin that takes them"},
		"tokens that OnLogin takes":      {page.Options{Issue: tokens, OnLogin: taken}, ""},
		"a name that nobody would see":   {page.Options{AppName: " "}, "AppName: want"},
		"a name longer than it would be": {page.Options{AppName: strings.Repeat("a", 101)}, "AppName: want"},
	} {
		row.opts.Client = "web"
		_, err := page.New(svc, row.opts)
		if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%s: error %v, want %q", name, err, row.want)
		}
	}
}

func TestAppNameIsTheClients(t *testing.T) {
	t.Parallel()
	for client, want := range map[string]string{"web": "Sign in to Example", "other": "Sign in to Other"} {
		newWorld(t, nil, func(o *page.Options) { o.Client, o.AppName = client, "" }).browser().get("/auth/").has(t, want)
	}
	svc, _ := newService(t, func(c *passwordless.Config) { c.Clients = unreachable{} })
	_, err := page.New(svc, page.Options{Client: "web"})
	if err == nil || !strings.Contains(err.Error(), "AppName: cannot be looked up now") {
		t.Errorf("a name that cannot be looked up: %v", err)
	}
	if _, err := page.New(svc, page.Options{Client: "web", AppName: "Example"}); err != nil {
		t.Errorf("a client that cannot be looked up: %v", err)
	}
}

// The clients are somewhere that does not answer.
type unreachable struct{}

func (unreachable) Client(context.Context, string) (passwordless.Client, error) {
	return passwordless.Client{}, passwordless.ErrUnavailable
}

func atRoot(c *passwordless.Config) { c.PageURL = "" }

func TestDefaultsServeTheRoot(t *testing.T) {
	t.Parallel()
	svc, w := newService(t, atRoot)
	pages, err := page.New(svc, page.Options{Client: "web"})
	if err != nil {
		t.Fatal(err)
	}
	w.server = httptest.NewTLSServer(pages)
	t.Cleanup(w.server.Close)
	b := w.browser()
	b.submit(b.get("/"), "/", url.Values{"address": {alice}}).leadsTo(t, "/code")
	b.submit(b.get("/code"), "/code", url.Values{"code": {w.box.last(t).Code.Reveal()}}).leadsTo(t, "/")
	home := b.get("/").wants(t, http.StatusOK).has(t, "You are signed in")
	b.submit(home, "/sign-out", nil).leadsTo(t, "/signed-out")
	b.get("/").has(t, "E-mail address")
}

// The pages work whether a router strips their prefix or not.
func TestMountedUnderAPrefix(t *testing.T) {
	t.Parallel()
	for name, mount := range map[string]func(http.Handler) http.Handler{
		"as it is": func(h http.Handler) http.Handler { return h },
		"stripped": func(h http.Handler) http.Handler { return http.StripPrefix("/auth", h) },
		"stripped with its slash": func(h http.Handler) http.Handler {
			return http.StripPrefix("/auth/", h)
		},
	} {
		w := newWorld(t, nil, sendBoth)
		mux := http.NewServeMux()
		mux.Handle("/auth/", mount(w.pages))
		w.server = httptest.NewTLSServer(mux)
		t.Cleanup(w.server.Close)
		b := w.browser()
		b.start(alice, "")
		asked := b.get(path(t, w.box.last(t).Link)).wants(t, http.StatusOK)
		style := regexp.MustCompile(`href="(/auth/style-[0-9a-f]{16}\.css)"`).FindStringSubmatch(asked.body)
		if style == nil {
			t.Fatalf("%s: no style sheet in\n%s", name, asked.body)
		}
		css := b.get(style[1]).wants(t, http.StatusOK)
		if css.Header.Get("Content-Type") != "text/css; charset=utf-8" ||
			!strings.Contains(css.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %v", name, css.Header)
		}
		b.submit(asked, "/auth/link", nil).leadsTo(t, "/home")
	}
}

func ask(h http.Handler, method, target string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(method, target, nil))
	return rec
}

// Not every router leads to the slash by itself.
func TestBaseWithoutItsSlashLeadsToBase(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	for target, want := range map[string]string{"/auth": "/auth/", "/auth?next=%2Faccount": "/auth/?next=%2Faccount"} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			if rec := ask(w.pages, method, target); rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != want {
				t.Errorf("%s %s: status %d, leads to %q", method, target, rec.Code, rec.Header().Get("Location"))
			}
		}
	}
	if rec := ask(w.pages, http.MethodPost, "/auth"); rec.Code != http.StatusMethodNotAllowed ||
		rec.Header().Get("Location") != "" {
		t.Errorf("POST: status %d, leads to %q", rec.Code, rec.Header().Get("Location"))
	}

	svc, _ := newService(t, func(c *passwordless.Config) { c.PageURL = "https://login.example/link/" })
	pages, err := page.New(svc, page.Options{Client: "web"})
	if err != nil {
		t.Fatal(err)
	}
	rec := ask(http.StripPrefix("/link", pages), http.MethodGet, "/link/link?t=secret")
	if rec.Code != http.StatusNotFound || rec.Header().Get("Location") != "" {
		t.Errorf("a page of the name of Base: status %d, leads to %q", rec.Code, rec.Header().Get("Location"))
	}
}

func TestNoAnswerIsKeptOrSendsAReferrer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	check := func(what string, rec *httptest.ResponseRecorder, status int) {
		t.Helper()
		cache, referrer := rec.Header().Get("Cache-Control"), rec.Header().Get("Referrer-Policy")
		if rec.Code != status || cache != "no-store" || referrer != "no-referrer" {
			t.Errorf("%s: status %d, Cache-Control %q, Referrer-Policy %q", what, rec.Code, cache, referrer)
		}
	}
	for _, row := range []struct {
		method, target string
		status         int
	}{
		{"GET", "/auth/", http.StatusOK},
		{"GET", "/auth", http.StatusSeeOther},
		{"GET", "/auth/code", http.StatusSeeOther},
		{"GET", "/auth/nothing?t=secret", http.StatusNotFound},
		{"GET", "/auth//link?t=secret", http.StatusNotFound},
		{"GET", "/auth/resend", http.StatusMethodNotAllowed},
		{"DELETE", "/auth/link?t=secret", http.StatusMethodNotAllowed},
		{"OPTIONS", "/auth/link?t=secret", http.StatusMethodNotAllowed},
	} {
		check(row.method+" "+row.target, ask(w.pages, row.method, row.target), row.status)
	}
	b := w.browser()
	b.start(alice, "")
	link := path(t, w.box.last(t).Cancel)
	w.store.set(func() error { panic("boom") })
	check("a panic", ask(w.pages, "GET", link), http.StatusInternalServerError)
}

func TestOtherPathsAndMethodsAreNotServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	b := w.browser()
	for _, p := range []string{
		"/auth/nothing", "/auth/code/", "/auth/../auth/x", "/auth/link/x?t=a", "/auth/style-0000000000000000.css",
		"/auth/layout.html",
	} {
		if a := b.get(p); a.StatusCode != http.StatusNotFound && a.StatusCode != http.StatusTemporaryRedirect {
			t.Errorf("%s: status %d", p, a.StatusCode)
		}
	}
	rec := httptest.NewRecorder()
	w.pages.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/auth//link?t=secret", nil))
	if rec.Code != http.StatusNotFound || rec.Header().Get("Location") != "" {
		t.Errorf("an unclean path: status %d, leads to %q", rec.Code, rec.Header().Get("Location"))
	}
	for _, p := range []string{"/auth/resend", "/auth/code", "/auth/", "/auth/link"} {
		if a := b.do("DELETE", p, nil, nil); a.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("DELETE %s: status %d", p, a.StatusCode)
		}
	}
}

// allPages returns every page of a sign-in, by its name.
func allPages(t *testing.T, w *world, languages string) map[string]answer {
	t.Helper()
	b := w.browser()
	lang := func(r *http.Request) { r.Header.Set("Accept-Language", languages) }
	get := func(b *browser, p string) answer { return b.do("GET", p, nil, lang) }
	post := func(b *browser, a answer, action string, typed url.Values) answer {
		return b.do("POST", action, a.form(t, action, typed), lang)
	}
	all := map[string]answer{"start": get(b, "/auth/"), "start by sms": get(b, "/auth/?channel=sms")}
	all["wrong address"] = post(b, all["start"], "/auth/", url.Values{"address": {"x"}})
	w.box.fail = passwordless.ErrNotAccepted
	all["not sent"] = post(b, all["start by sms"], "/auth/", url.Values{"address": {"+4740000011"}})
	w.box.fail = nil
	post(b, all["start"], "/auth/", url.Values{"address": {alice}}).leadsTo(t, "/auth/code")
	m := w.box.last(t)
	all["code"] = get(b, "/auth/code")
	all["code with letters"] = get(b, "/auth/code?letters=1")
	all["code sent again"] = get(b, "/auth/code?resend=sent")
	all["code, not sent again"] = get(b, "/auth/code?resend=failed")
	all["code, wait"] = get(b, "/auth/code?resend=wait")
	all["wrong code"] = post(b, all["code"], "/auth/code", url.Values{"code": {"x"}})
	all["link"] = get(b, path(t, m.Link))
	all["link elsewhere"] = get(w.browser(), path(t, m.Link))
	all["shown code"] = post(w.browser(), all["link elsewhere"], "/auth/link", nil)
	all["cancel"] = get(b, path(t, m.Cancel))
	all["cancelled"] = get(b, "/auth/cancelled")
	all["dead"] = get(b, "/auth/link?t=x")
	all["refused"] = b.do("POST", "/auth/code", url.Values{}, lang)
	post(b, all["code"], "/auth/code", url.Values{"code": {m.Code.Reveal()}}).leadsTo(t, "/home")
	all["sign out"] = get(b, "/auth/sign-out")
	all["signed out"] = get(b, "/auth/signed-out")
	all["unauthorized"] = w.browser().do("POST", "/account", url.Values{}, lang)
	w.store.set(func() error { return passwordless.ErrUnavailable })
	all["unavailable"] = get(b, "/auth/link?t="+strings.Split(m.Link.Reveal(), "t=")[1])
	w.store.set(nil)
	var limited answer
	again := get(b, "/auth/")
	for i := 0; limited.Response == nil || limited.StatusCode == http.StatusSeeOther; i++ {
		limited = post(b, again, "/auth/", url.Values{"address": {strings.Repeat("b", i+1) + "@example.com"}})
	}
	all["limited"] = limited.wants(t, http.StatusTooManyRequests)
	return all
}

func bothChannels(o *page.Options) {
	o.Send = passwordless.SendBoth
	o.Channels = []passwordless.Channel{passwordless.Email, passwordless.SMS}
}

// Golden headers of all HTML, and nothing from elsewhere in it.
func TestEveryPageIsSealed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, bothChannels)
	external := regexp.MustCompile(`(?i)(src|href|action|url\()\s*=?\s*["']?\s*(https?:|//|data:|javascript:)`)
	for name, a := range allPages(t, w, "en") {
		for header, want := range map[string]string{
			"Content-Type": "text/html; charset=utf-8",
			"Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; " +
				"frame-ancestors 'none'; base-uri 'none'",
			"Referrer-Policy":            "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin",
			"Cache-Control":              "no-store",
			"X-Content-Type-Options":     "nosniff",
			"Content-Language":           "en",
		} {
			if got := a.Header.Get(header); got != want {
				t.Errorf("%s: %s: %q, want %q", name, header, got, want)
			}
		}
		if a.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: CORS", name)
		}
		if external.MatchString(a.body) || strings.Contains(a.body, "<script") || strings.Contains(a.body, "style=") ||
			strings.Contains(a.body, "ZgotmplZ") {
			t.Errorf("%s: not sealed:\n%s", name, a.body)
		}
		if strings.Contains(a.body, alice) {
			t.Errorf("%s: shows the whole address", name)
		}
		if _, ok := a.sets("-session"); ok {
			t.Errorf("%s: sets a session", name)
		}
	}
}

// Every page says what a screen reader needs.
func TestEveryPageIsAccessible(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, bothChannels)
	inputs := regexp.MustCompile(`<input[^>]*>`)
	id := regexp.MustCompile(` id="([^"]*)"`)
	describedBy := regexp.MustCompile(` aria-describedby="([^"]*)"`)
	pages := allPages(t, w, "en")
	for _, name := range []string{"code sent again", "code, not sent again", "code, wait"} {
		if !regexp.MustCompile(`<input class="code"[^>]* autofocus aria-describedby="notice">`).MatchString(pages[name].body) {
			t.Errorf("%s: the notice does not describe the field", name)
		}
	}
	for name, a := range pages {
		for _, want := range []string{`<html lang="en">`, `name="viewport"`, "<main>", "<h1>", "</main>"} {
			if strings.Count(a.body, want) != 1 {
				t.Errorf("%s: not one %s", name, want)
			}
		}
		title := regexp.MustCompile(`<title>(.+)</title>`).FindStringSubmatch(a.body)
		heading := regexp.MustCompile(`<h1>(.+)</h1>`).FindStringSubmatch(a.body)
		if title == nil || heading == nil || title[1] != heading[1] {
			t.Errorf("%s: title %q, heading %q", name, title, heading)
		}
		for _, in := range inputs.FindAllString(a.body, -1) {
			if strings.Contains(in, `type="hidden"`) {
				continue
			}
			label := id.FindStringSubmatch(in)
			if label == nil || !strings.Contains(a.body, `<label for="`+label[1]+`">`) || !strings.Contains(in, "autocomplete=") {
				t.Errorf("%s: no label or autocomplete for %s", name, in)
			}
			if by := describedBy.FindStringSubmatch(in); by != nil {
				for ref := range strings.FieldsSeq(by[1]) {
					if strings.Count(a.body, ` id="`+ref+`"`) != 1 {
						t.Errorf("%s: nothing is %q", name, ref)
					}
				}
			}
		}
	}
}

func TestLanguages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	b := w.browser()
	for accept, want := range map[string]string{
		"": "en", "en-GB": "en", "nb": "nb", "no": "nb", "nn-NO,nn;q=0.9": "nb", "sv-SE,en;q=0.5": "sv", "da": "da", "fi": "fi",
		"de-AT": "de", "es-419": "es", "fr-CA": "fr", "zz": "en", "*": "en", "ja, fi;q=0.4": "fi", "en;q=0.1, de;q=0.9": "de",
		";;;,,": "en", strings.Repeat("x", 5000): "en", "fr," + strings.Repeat("de,", 3000): "fr", "\"><script>": "en",
	} {
		a := b.do("GET", "/auth/", nil, func(r *http.Request) { r.Header.Set("Accept-Language", accept) })
		if a.Header.Get("Content-Language") != want || !strings.Contains(a.body, `<html lang="`+want+`">`) {
			t.Errorf("%.40q gives %s, want %s", accept, a.Header.Get("Content-Language"), want)
		}
	}
}

// Each language says everything, and says it differently on each page.
func TestEveryLanguageHasEveryPhrase(t *testing.T) {
	t.Parallel()
	dir := os.DirFS("templates")
	names, err := fs.Glob(dir, "*.tmpl")
	if err != nil || len(names) != 8 {
		t.Fatalf("%v, %v", names, err)
	}
	define := regexp.MustCompile(`(?m)^\{\{define "([^"]+)"\}\}(.+)\{\{end\}\}$`)
	field := regexp.MustCompile(`\{\{[^}]*\}\}`)
	phrases := map[string]map[string]string{}
	for _, name := range names {
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		phrases[name] = map[string]string{}
		for _, m := range define.FindAllStringSubmatch(string(text), -1) {
			phrases[name][m[1]] = m[2]
		}
		if got, lines := len(phrases[name]), strings.Count(string(text), "\n"); got != lines {
			t.Errorf("%s: %d phrases on %d lines", name, got, lines)
		}
	}
	for name, own := range phrases {
		for key, english := range phrases["en.tmpl"] {
			phrase, ok := own[key]
			if !ok || strings.TrimSpace(phrase) == "" {
				t.Errorf("%s lacks %q", name, key)
			}
			if !slices.Equal(sorted(field.FindAllString(phrase, -1)), sorted(field.FindAllString(english, -1))) {
				t.Errorf("%s: %q has other fields than the English one", name, key)
			}
			if name != "en.tmpl" && phrase == english && key != "code label" {
				t.Errorf("%s: %q is not translated", name, key)
			}
		}
		if len(own) != len(phrases["en.tmpl"]) {
			t.Errorf("%s has phrases that English lacks", name)
		}
	}
	w := newWorld(t, nil, bothChannels)
	for _, name := range names {
		w.clock.move(24 * time.Hour)
		for what, a := range allPages(t, w, strings.TrimSuffix(name, ".tmpl")) {
			if a.Header.Get("Content-Language") != strings.TrimSuffix(name, ".tmpl") {
				t.Errorf("%s: %s is in another language", name, what)
			}
		}
	}
}

func sorted(list []string) []string { slices.Sort(list); return list }

// The names that an application gives itself are text, wherever they are shown.
func TestNamesAreEscaped(t *testing.T) {
	t.Parallel()
	const evil = `<b>"x"</b>'&{{.}}`
	w := newWorld(t, func(c *passwordless.Config) {
		c.AppName = evil
		c.Clients.(passwordless.ClientList)[0].Name = evil
	}, func(o *page.Options) { bothChannels(o); o.AppName = evil })
	for name, a := range allPages(t, w, "en") {
		if strings.Contains(a.body, "<b>") {
			t.Errorf("%s: not escaped", name)
		}
		a.has(t, evil)
	}
}

func TestTemplatesAreReplaceable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, func(o *page.Options) {
		o.Templates = fstest.MapFS{
			"layout.html": {Data: []byte(`{{define "head"}}<html lang="{{.Lang}}"><link rel="stylesheet" href="{{.Style}}">{{end}}` +
				`{{define "body"}}<i>ours</i>{{end}}{{define "foot"}}{{end}}`)},
			"style.css": {Data: []byte("body { color: teal }")},
		}
	})
	b := w.browser()
	a := b.get("/auth/").has(t, "<i>ours</i>").has(t, "Sign in to Example")
	style := regexp.MustCompile(`href="(/auth/style-[^"]*)"`).FindStringSubmatch(a.body)
	b.get(style[1]).wants(t, http.StatusOK).has(t, "teal")

	svc, _ := newService(t, nil)
	opts := page.Options{Client: "web", AppName: "Example"}
	for name, files := range map[string]fstest.MapFS{
		"a language without its phrases": {"nl.tmpl": {Data: []byte(`{{define "start title"}}Inloggen{{end}}`)}},
		"a name that is no language":     {"phrases.tmpl": {Data: []byte("")}},
		"a template that does not parse": {"code.html": {Data: []byte("{{if}}")}},
	} {
		opts.Templates = files
		if _, err := page.New(svc, opts); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestHandlerIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	done := make(chan struct{})
	for range 8 {
		go func() {
			defer func() { done <- struct{}{} }()
			for range 10 {
				rec := httptest.NewRecorder()
				w.pages.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/auth/", nil))
			}
		}()
	}
	for range 8 {
		<-done
	}
}
