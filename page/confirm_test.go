package page_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/confirm"
	"github.com/seed62b93bad/passwordless/page"
)

const (
	finishPath = "/passwordless/finish"
	callback   = "https://app.example/callback"
)

// A fakeStep is a Confirmation that notes its calls.
type fakeStep struct {
	info                passwordless.LinkInfo
	peekErr, confirmErr error
	panics              bool

	mu              sync.Mutex // guards what follows
	peeks, confirms []map[string]string
	callers         []passwordless.Caller
}

func newFakeStep() *fakeStep {
	return &fakeStep{info: passwordless.LinkInfo{AppName: "Shop",
		Identifier: passwordless.Identifier{Channel: passwordless.Email, Address: alice}, SameBrowser: true, RedirectURI: callback}}
}

func (s *fakeStep) note(list *[]map[string]string, query map[string]string, caller passwordless.Caller) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*list, s.callers = append(*list, maps.Clone(query)), append(s.callers, caller)
	clear(query) // it is ours
}

func (s *fakeStep) Peek(_ context.Context, query map[string]string, caller passwordless.Caller) (passwordless.LinkInfo, error) {
	s.note(&s.peeks, query, caller)
	return s.info, s.peekErr
}

func (s *fakeStep) Confirm(_ context.Context, query map[string]string, caller passwordless.Caller) (string, error) {
	s.note(&s.confirms, query, caller)
	if s.panics {
		panic("secret of the wire")
	}
	return callback + "?code=granted&state=s", s.confirmErr
}

// calls returns how often each method was called.
func (s *fakeStep) calls() (peeks, confirms int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.peeks), len(s.confirms)
}

// stepWorld is a world with a step at finishPath.
func stepWorld(t *testing.T, step confirm.Confirmation, config func(*passwordless.Config)) *world {
	t.Helper()
	w := newWorld(t, config, nil)
	mux := http.NewServeMux()
	mux.Handle("/auth/", w.pages)
	mux.Handle(finishPath, w.pages.Confirm(step))
	w.server = httptest.NewTLSServer(mux)
	t.Cleanup(w.server.Close)
	return w
}

// press posts the form of a step's page to the page's own URL, as browsers do with a form that has no action.
func (b *browser) press(asked answer) answer {
	b.t.Helper()
	return b.do("POST", asked.Request.URL.RequestURI(), asked.form(b.t, "", nil), nil)
}

func TestStepIsTakenByItsButton(t *testing.T) {
	t.Parallel()
	step := newFakeStep()
	w := stepWorld(t, step, nil)
	b := w.browser()
	b.get("/auth/") // gives it a browser cookie
	browser := passwordless.Secret(b.cookie("-browser"))

	// The parameters may have the names of the form's own.
	asked := b.get(finishPath + "?t=sec+ret&nonce=theirs&state=%C3%A5&empty")
	asked.wants(t, http.StatusOK).has(t, "Sign in to Shop?").has(t, "a***@example.com")
	done := b.press(asked).leadsTo(t, callback+"?code=granted&state=s")
	if done.body != "" || done.Header.Get("Referrer-Policy") != "no-referrer" || done.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v %q", done.Header, done.body)
	}
	for name, values := range done.Header {
		if text := strings.Join(values, " "); strings.Contains(text, "sec") && strings.Contains(text, "ret") {
			t.Errorf("the link's secret is in the header %s", name)
		}
	}
	want := map[string]string{"t": "sec ret", "nonce": "theirs", "state": "å", "empty": ""}
	if len(step.peeks) != 1 || len(step.confirms) != 1 || !maps.Equal(step.peeks[0], want) || !maps.Equal(step.confirms[0], want) {
		t.Errorf("Peek was asked %v, Confirm %v, want %v", step.peeks, step.confirms, want)
	}
	for _, c := range step.callers {
		if c.Browser != browser || !c.IP.IsLoopback() {
			t.Error("another caller")
		}
	}
}

func TestStepOfAnotherBrowserSaysSo(t *testing.T) {
	t.Parallel()
	step := newFakeStep()
	step.info.SameBrowser = false
	step.confirmErr = &passwordless.OtherBrowserError{AppName: "Shop", Code: "123456"}
	b := stepWorld(t, step, nil).browser()
	b.get("/auth/")
	before := b.cookie("-browser")
	asked := b.get(finishPath+"?t=x").has(t, "another browser").has(t, "Show the code")
	b.press(asked).wants(t, http.StatusOK).has(t, "123 456").has(t, "Shop")
	if b.cookie("-browser") != before {
		t.Error("what the browser keeps is cleared, though nobody signed in")
	}
}

func TestScannersTakeNoStep(t *testing.T) { // LK-1
	t.Parallel()
	step := newFakeStep()
	w := stepWorld(t, step, nil)
	scan := func(method string, header map[string]string) answer {
		a := w.browser().do(method, finishPath+"?t=x", nil, func(r *http.Request) {
			for name, value := range header {
				r.Header.Set(name, value)
			}
		})
		if len(a.Cookies()) != 0 || strings.Contains(strings.ToLower(a.body), "<script") {
			t.Errorf("%s: sets %v, or has a script", method, a.Cookies())
		}
		return a
	}
	for range 20 {
		scan("GET", nil).wants(t, http.StatusOK)
	}
	for range 5 {
		scan("HEAD", nil).wants(t, http.StatusOK)
	}
	scan("GET", map[string]string{"Purpose": "prefetch", "Sec-Purpose": "prefetch;prerender"}).wants(t, http.StatusOK)
	scan("GET", map[string]string{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "cross-site"}).wants(t, http.StatusOK)
	for _, method := range []string{"OPTIONS", "PUT", "PATCH", "DELETE"} {
		if allow := scan(method, nil).wants(t, http.StatusMethodNotAllowed).Header.Get("Allow"); allow != "GET, HEAD, POST" {
			t.Errorf("%s: Allow: %q", method, allow)
		}
	}
	if peeks, confirms := step.calls(); peeks != 27 || confirms != 0 {
		t.Errorf("Peek was called %d times, Confirm %d", peeks, confirms)
	}
}

func TestForgedStepsAreRefused(t *testing.T) { // LK-2
	t.Parallel()
	step := newFakeStep()
	w := stepWorld(t, step, nil)
	attacker, victim := w.browser(), w.browser()
	attacker.get("/auth/")
	victim.get("/auth/")
	const target = finishPath + "?t=x&state=1"
	own := victim.get(target).form(t, "", nil)
	alter := func(nonce string) url.Values { return url.Values{"nonce": {nonce}} }
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set(name, value) }
	}
	for name, row := range map[string]struct {
		target string
		form   url.Values
		change func(*http.Request)
	}{
		"cross-site":                        {target, own, header("Sec-Fetch-Site", "cross-site")},
		"same-site":                         {target, own, header("Sec-Fetch-Site", "same-site")},
		"another origin":                    {target, own, header("Origin", "https://evil.example")},
		"no nonce":                          {target, url.Values{"x": {"y"}}, nil},
		"an empty nonce":                    {target, alter(""), nil},
		"a nonce in the query alone":        {target + "&nonce=" + own.Get("nonce"), url.Values{"x": {"y"}}, nil},
		"the nonce of another browser":      {target, attacker.get(target).form(t, "", nil), nil},
		"the nonce of no browser":           {target, w.browser().get(target).form(t, "", nil), nil},
		"the nonce of another query":        {target, victim.get(finishPath+"?t=x&state=2").form(t, "", nil), nil},
		"the nonce of a shorter query":      {target, victim.get(finishPath+"?t=x").form(t, "", nil), nil},
		"the nonce of two in one":           {target, victim.get(finishPath+"?t=x%26state%3D1").form(t, "", nil), nil},
		"the nonce of a page's own form":    {target, alter(formNonce(victim, "start")), nil},
		"the nonce of one of our own links": {target, alter(formNonce(victim, "link", "x")), nil},
	} {
		a := victim.do("POST", row.target, row.form, row.change)
		if a.StatusCode != http.StatusForbidden || len(a.Cookies()) != 0 {
			t.Errorf("%s: status %d, sets %v", name, a.StatusCode, a.Cookies())
		}
	}
	victim.do("POST", target, url.Values{"nonce": {"a", "b"}}, nil).wants(t, http.StatusBadRequest)
	text := func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }
	victim.do("POST", target, own, text).wants(t, http.StatusUnsupportedMediaType)
	victim.do("POST", target, url.Values{"nonce": {strings.Repeat("a", 9<<10)}}, nil).wants(t, http.StatusRequestEntityTooLarge)
	if _, confirms := step.calls(); confirms != 0 {
		t.Fatalf("Confirm was called %d times", confirms)
	}
	victim.do("POST", target, own, nil).wants(t, http.StatusSeeOther)
	victim.do("POST", target, own, nil).wants(t, http.StatusForbidden) // a replayed nonce
}

// What stands between a page and its form may write the query in another way.
func TestOneQueryWrittenInTwoWaysIsOneStep(t *testing.T) {
	t.Parallel()
	step := newFakeStep()
	b := stepWorld(t, step, nil).browser()
	asked := b.get(finishPath + "?a=%2f+x&b=%41")
	b.do("POST", finishPath+"?b=A&&a=/%20x", asked.form(t, "", nil), nil).wants(t, http.StatusSeeOther)
	if !maps.Equal(step.peeks[0], step.confirms[0]) {
		t.Errorf("%v, then %v", step.peeks, step.confirms)
	}
}

func TestQueryIsReadStrictly(t *testing.T) {
	t.Parallel()
	step := newFakeStep()
	b := stepWorld(t, step, nil).browser()
	dead := b.get("/auth/link?t=x").wants(t, http.StatusNotFound).body
	many := func(n int) string {
		q := url.Values{}
		for i := range n {
			q.Set("p"+strings.Repeat("x", i), "")
		}
		return q.Encode()
	}
	for name, query := range map[string]string{
		"a name twice":               "t=a&t=b",
		"a name twice, folded":       "t=a&T=b",
		"a broken escape":            "t=%g1",
		"no UTF-8":                   "t=%ff",
		"a semicolon":                "t=a;state=b",
		"a name of nothing":          "=a",
		"more than 64 values":        many(65),
		"more than 16 KiB":           "t=" + strings.Repeat("a", 16<<10-1),
		"a name twice, one of a NUL": "t%00=a&t%00=b",
	} {
		nonce := url.Values{"nonce": {formNonce(b, "confirm", query)}}
		for _, a := range []answer{b.get(finishPath + "?" + query), b.do("POST", finishPath+"?"+query, nonce, nil)} {
			if a.StatusCode != http.StatusNotFound || a.body != dead {
				t.Errorf("%s: status %d, not as a dead link:\n%s", name, a.StatusCode, a.body)
			}
		}
	}
	if peeks, confirms := step.calls(); peeks+confirms != 0 {
		t.Errorf("asked %v and %v", step.peeks, step.confirms)
	}
	for name, query := range map[string]string{
		"nothing": "", "64 values": many(64), "16 KiB": "t=" + strings.Repeat("a", 16<<10-2),
	} {
		if a := b.press(b.get(finishPath+"?"+query).wants(t, http.StatusOK)); a.StatusCode != http.StatusSeeOther {
			t.Errorf("%s: status %d", name, a.StatusCode)
		}
	}
}

func TestNothingOfTheQueryIsOnThePage(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*fakeStep){
		"asked": func(*fakeStep) {},
		"dead":  func(s *fakeStep) { s.peekErr = &passwordless.ChallengeError{Reason: passwordless.ErrExpired} },
		"down":  func(s *fakeStep) { s.peekErr = passwordless.ErrUnavailable },
	} {
		step := newFakeStep()
		step.info.AppName, step.info.Identifier.Address = `<b>"shop"</b>`, `a@<i>example</i>`
		change(step)
		query := url.Values{"t": {`"><script>alert(1)</script>`}, `"onload=x`: {"y"}}
		a := stepWorld(t, step, nil).browser().get(finishPath + "?" + query.Encode())
		for _, text := range []string{"<script", "alert", "onload", "<b>", "<i>"} {
			if strings.Contains(a.body, text) {
				t.Errorf("%s: has %q:\n%s", name, text, a.body)
			}
		}
	}
}

// The application may lead on to its own pages of another origin, and to nobody else's.
func TestStepMayLeadOnToTheClientsOrigins(t *testing.T) { // LK-6
	t.Parallel()
	step := newFakeStep()
	w := newWorld(t, nil, nil)
	step.info.RedirectURI = "https://api.example/callback"
	step.info.Origins = []string{"https://www.example", "https://evil.example; script-src *", "http://localhost:3000"}
	rec := ask(w.pages.Confirm(step), "GET", finishPath+"?t=x")
	want := "default-src 'none'; style-src 'self'; " +
		"form-action 'self' https://api.example https://www.example http://localhost:3000; frame-ancestors 'none'; base-uri 'none'"
	if got := rec.Header().Get("Content-Security-Policy"); got != want {
		t.Errorf("policy %q, want %q", got, want)
	}
}

// The page's form may lead to the application that the sign-in was for, and nowhere else.
func TestStepPageIsSealed(t *testing.T) { // LK-6
	t.Parallel()
	step := newFakeStep()
	w := newWorld(t, nil, func(o *page.Options) { o.FormAction = "https://elsewhere.example" }) // of the pages' own forms
	for redirect, source := range map[string]string{
		"https://app.example/callback?x=y":       " https://app.example",
		"https://app.example:8443":               " https://app.example:8443",
		"http://localhost:3000/callback":         " http://localhost:3000",
		"http://127.0.0.1:3000/callback":         " http://127.0.0.1:3000",
		"com.example.shop:/callback":             " com.example.shop:",
		"com.example.shop://callback":            " com.example.shop:",
		"https://user:pw@app.example/":           " https://app.example",
		"":                                       "",
		"/callback":                              "",
		"//app.example/callback":                 "",
		"https:":                                 "",
		"https:app.example":                      "",
		"https:///callback":                      "",
		"https://:443/callback":                  "",
		"http://[::1]:3000/callback":             "", // a policy has no words for it
		"https://*/":                             "",
		"https://*.example/":                     "",
		"https://a.example;script-src":           "",
		"https://a.example,https://b.example":    "",
		"https://a.example https://b.example":    "",
		"https://'unsafe-inline'":                "",
		"javascript:alert(1)":                    "",
		"data:text/html,x":                       "",
		"*":                                      "",
		"'unsafe-inline'":                        "",
		"x.y; script-src *:/":                    "",
		"https://a.example\r\nSet-Cookie: a=b":   "",
		"https://a.example%20https://b.example/": "",
	} {
		step.info.RedirectURI = redirect
		rec := ask(w.pages.Confirm(step), "GET", finishPath+"?t=x")
		for header, want := range map[string]string{
			"Content-Type": "text/html; charset=utf-8",
			"Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'" + source +
				"; frame-ancestors 'none'; base-uri 'none'",
			"Referrer-Policy":            "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin",
			"Cache-Control":              "no-store",
			"X-Content-Type-Options":     "nosniff",
			"Content-Language":           "en",
			"Set-Cookie":                 "",
		} {
			if got := rec.Header().Get(header); rec.Code != http.StatusOK || got != want {
				t.Errorf("%q: status %d, %s: %q, want %q", redirect, rec.Code, header, got, want)
			}
		}
	}
}

// A step that is over leads back without a button, whoever asks.
func TestReturnErrorLeadsBack(t *testing.T) {
	t.Parallel()
	const back = callback + "?error=expired&state=s"
	over := &confirm.ReturnError{Location: back, Err: &passwordless.ChallengeError{Reason: passwordless.ErrExpired}}
	if !errors.Is(over, passwordless.ErrExpired) || strings.Contains(over.Error(), "app.example") {
		t.Errorf("%v", over)
	}
	step := newFakeStep()
	b := stepWorld(t, step, nil).browser()
	b.get("/auth/")
	asked := b.get(finishPath + "?t=x")
	step.peekErr, step.confirmErr = over, over
	for _, a := range []answer{b.get(finishPath + "?t=x"), b.do("HEAD", finishPath+"?t=x", nil, nil), b.press(asked)} {
		a.leadsTo(t, back)
		if len(a.Cookies()) != 0 || a.body != "" || a.Header.Get("Referrer-Policy") != "no-referrer" ||
			a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v %q", a.Request.Method, a.Header, a.body)
		}
	}
	if _, confirms := step.calls(); confirms != 1 {
		t.Errorf("Confirm was called %d times", confirms)
	}
}

func TestErrorsOfStepsAreThoseOfLinks(t *testing.T) {
	t.Parallel()
	const gone, down = "does not work any more", "does not work right now"
	step := newFakeStep()
	w := stepWorld(t, step, nil)
	b := w.browser()
	b.get("/auth/")
	before := b.cookie("-browser")
	asked := b.get(finishPath + "?t=x")
	dead := b.get("/auth/link?t=x").body
	for name, row := range map[string]struct {
		err            error
		status, errors int
		says           string
	}{
		"dead":             {&passwordless.ChallengeError{Reason: passwordless.ErrConsumed}, http.StatusNotFound, 0, gone},
		"unknown":          {&passwordless.ChallengeError{Reason: passwordless.ErrUnknownChallenge}, http.StatusNotFound, 0, gone},
		"account refused":  {&passwordless.AccountError{Status: passwordless.UserBlocked}, http.StatusNotFound, 0, gone},
		"nobody":           {passwordless.ErrNoUser, http.StatusNotFound, 0, gone},
		"limited":          {&passwordless.LimitedError{RetryAfter: 3 * time.Minute}, http.StatusTooManyRequests, 0, "Wait 5 minutes"},
		"store down":       {passwordless.ErrUnavailable, http.StatusServiceUnavailable, 2, down},
		"anything":         {errors.New("dial tcp 10.1.2.3: boom"), http.StatusServiceUnavailable, 2, down},
		"a set-up mistake": {&passwordless.InputError{Field: "RedirectURI"}, http.StatusInternalServerError, 2, down},
	} {
		heard := w.errs.count()
		step.peekErr, step.confirmErr = row.err, row.err
		got, posted := b.get(finishPath+"?t=x"), b.press(asked)
		for _, a := range []answer{got, posted} {
			a.has(t, row.says)
			if a.StatusCode != row.status || len(a.Cookies()) != 0 || strings.Contains(a.body, "boom") {
				t.Errorf("%s: status %d, sets %v\n%s", name, a.StatusCode, a.Cookies(), a.body)
			}
		}
		if got.body != posted.body || b.cookie("-browser") != before || w.errs.count() != heard+row.errors {
			t.Errorf("%s: GET and POST differ, or the cookie is gone, or OnError heard %d times", name, w.errs.count()-heard)
		}
		if row.status == http.StatusNotFound && got.body != dead {
			t.Errorf("%s: not as the pages' own dead link", name)
		}
	}
}

func TestPanicOfAStepIs500WithoutSecrets(t *testing.T) {
	t.Parallel()
	step := newFakeStep()
	step.panics = true
	w := stepWorld(t, step, nil)
	b := w.browser()
	b.get("/auth/")
	a := b.press(b.get(finishPath+"?t=x")).wants(t, http.StatusInternalServerError)
	if strings.Contains(a.body, "secret") || len(a.Cookies()) != 0 || a.Header.Get("Cache-Control") != "no-store" ||
		a.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("%v %s", a.Header, a.body)
	}
	if w.errs.count() != 1 {
		t.Errorf("OnError heard %d times", w.errs.count())
	}
}

// What the browser held before a login means nothing after it.
func TestStepEndsWhatThePagesKept(t *testing.T) { // SS-1
	t.Parallel()
	w := stepWorld(t, newFakeStep(), nil)
	b := w.browser()
	b.start(alice, "")
	if b.cookie("-browser") == "" || b.cookie("-flow") == "" {
		t.Fatal("nothing is kept")
	}
	b.press(b.get(finishPath+"?t=x")).wants(t, http.StatusSeeOther)
	if b.cookie("-browser") != "" || b.cookie("-flow") != "" {
		t.Error("something is kept")
	}
	if a := b.press(b.get(finishPath+"?t=x")).wants(t, http.StatusSeeOther); len(a.Cookies()) != 0 {
		t.Errorf("sets %v, though there was nothing to drop", a.Cookies())
	}
}

func TestWiresShareThePagesCookies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	own := passwordless.Secret(strings.Repeat("A", 43))
	kept := func(keep func(http.ResponseWriter)) []*http.Cookie {
		rec := httptest.NewRecorder()
		keep(rec)
		return rec.Result().Cookies()
	}
	for name, v := range map[string]passwordless.Secret{
		"nothing": "", "short": own[1:], "long": own + "A", "another alphabet": "+" + own[1:], "not canonical": own[1:] + "B",
	} {
		if got := kept(func(rw http.ResponseWriter) { w.pages.KeepBrowser(rw, v) }); len(got) != 0 {
			t.Errorf("%s: kept", name)
		}
	}
	if got := kept(func(rw http.ResponseWriter) { w.pages.KeepDevice(rw, "") }); len(got) != 0 {
		t.Error("no device: kept")
	}
	got := kept(func(rw http.ResponseWriter) { w.pages.KeepBrowser(rw, own); w.pages.KeepDevice(rw, "device") })
	r := httptest.NewRequest(http.MethodPost, "/oauth/token", nil)
	for _, c := range got {
		if !strings.HasPrefix(c.Name, "__Host-passwordless-") || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode ||
			c.Path != "/" || c.Domain != "" || c.MaxAge <= 0 {
			t.Errorf("cookie %v", c)
		}
		r.AddCookie(c)
	}
	if c := w.pages.Caller(r); c.Browser != own || c.Device != "device" || c.IP.String() != "192.0.2.1" {
		t.Errorf("the caller's address is %v, or its cookies are others", c.IP)
	}
	r.AddCookie(&http.Cookie{Name: got[0].Name, Value: "x"})
	if c := w.pages.Caller(r); c.Browser != "" {
		t.Error("one of two cookies counts")
	}
}

// A finish is a wire's own end of its links, as it would be written: with an authorization code.
type finish struct{ svc *passwordless.Service }

const finishURL = "https://login.example" + finishPath

func (f *finish) Peek(ctx context.Context, query map[string]string, caller passwordless.Caller) (passwordless.LinkInfo, error) {
	by, err := f.svc.Trusted(ctx, "", caller)
	if err != nil {
		return passwordless.LinkInfo{}, err
	}
	info, err := f.svc.PeekLink(ctx, by, passwordless.Secret(query["t"]))
	var dead *passwordless.ChallengeError
	switch {
	case errors.As(err, &dead) && info.LinkURL == finishURL:
		return info, &confirm.ReturnError{Location: info.RedirectURI + "?error=over&state=" + info.State, Err: err}
	case err == nil && info.LinkURL != finishURL:
		return info, &passwordless.ChallengeError{Reason: passwordless.ErrUnknownChallenge}
	}
	return info, err
}

func (f *finish) Confirm(ctx context.Context, query map[string]string, caller passwordless.Caller) (string, error) {
	info, err := f.Peek(ctx, query, caller)
	if err != nil {
		return "", err
	}
	by, err := f.svc.Trusted(ctx, info.Client, caller)
	if err != nil {
		return "", err
	}
	l, err := f.svc.RedeemLink(ctx, by, passwordless.RedeemRequest{Token: passwordless.Secret(query["t"]), LinkURL: finishURL,
		Issue: passwordless.Issue{Code: &passwordless.AuthorizationRequest{
			RedirectURI: info.RedirectURI, Scopes: strings.Fields(info.Params)}}})
	if err != nil {
		return "", err
	}
	return l.RedirectURI + "?" + url.Values{"code": {l.AuthorizationCode.Reveal()}, "state": {l.State}}.Encode(), nil
}

// withShop adds a client that codes are for.
func withShop(c *passwordless.Config) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	c.SigningKeys = []passwordless.SigningKey{{ID: "1", Key: key}}
	c.Clients = append(c.Clients.(passwordless.ClientList), passwordless.Client{ID: "shop", Name: "Shop",
		Keys:    passwordless.ClientKeys{SecretHashes: []passwordless.SecretHash{passwordless.HashClientSecret("a secret")}},
		Browser: passwordless.ClientBrowser{RedirectURIs: []string{callback}}})
}

func TestLinkOfAWireEndsInACode(t *testing.T) {
	t.Parallel()
	f := &finish{}
	w := stepWorld(t, f, withShop)
	f.svc = w.svc
	b := w.browser()
	begin := func() (started passwordless.Started, link string) {
		t.Helper()
		rec := httptest.NewRecorder()
		by := w.as("shop", passwordless.Caller{IP: loopback, Browser: passwordless.Secret(b.cookie("-browser"))})
		started, err := w.svc.Start(t.Context(), by, passwordless.StartRequest{Channel: passwordless.Email, Address: alice,
			Send: passwordless.SendLink, LinkURL: finishURL, RedirectURI: callback, State: "st", Params: "openid email"})
		if err != nil {
			t.Fatal(err)
		}
		w.pages.KeepBrowser(rec, started.Browser)
		for _, c := range rec.Result().Cookies() {
			b.plant(c.Name, c.Value)
		}
		return started, path(t, w.box.last(t).Link)
	}

	_, link := begin()
	asked := b.get(link).wants(t, http.StatusOK).has(t, "Sign in to Shop?").has(t, "a***@example.com")
	if strings.Contains(asked.body, alice) {
		t.Error("the page shows the whole address")
	}
	other := w.browser()
	shown := other.press(other.get(link).has(t, "another browser"))
	shown.wants(t, http.StatusOK).has(t, "Enter it where you began to sign in to Shop")

	done := b.press(asked).wants(t, http.StatusSeeOther)
	to, err := url.Parse(done.Header.Get("Location"))
	if err != nil || !strings.HasPrefix(to.String(), callback+"?") || to.Query().Get("state") != "st" {
		t.Fatalf("leads elsewhere: %v", err)
	}
	if _, ok := done.sets("-session"); ok || b.cookie("-browser") != "" {
		t.Error("sets a session, or keeps the browser")
	}
	l, err := w.svc.Exchange(t.Context(), w.as("shop", passwordless.Caller{IP: loopback}),
		passwordless.ExchangeRequest{Code: passwordless.Secret(to.Query().Get("code")), RedirectURI: callback})
	if err != nil || l.Identifier.Address != alice || l.Tokens == nil || l.Tokens.ID == "" {
		t.Errorf("the code gives nothing: %v", err)
	}
	b.get(link).leadsTo(t, callback+"?error=over&state=st")
	b.press(asked).wants(t, http.StatusForbidden) // a replayed nonce

	_, link = begin()
	asked = b.get(link).wants(t, http.StatusOK)
	w.clock.move(11 * time.Minute)
	b.press(asked).leadsTo(t, callback+"?error=over&state=st")
	b.get(finishPath+"?t="+strings.Repeat("A", 64)).wants(t, http.StatusNotFound)
}

// A link of the pages themselves is no step of a wire.
func TestLinkOfThePagesIsUnknownToAWire(t *testing.T) {
	t.Parallel()
	f := &finish{}
	w := stepWorld(t, f, withShop)
	f.svc = w.svc
	b := w.browser()
	_, err := w.svc.Start(t.Context(), w.as("shop", passwordless.Caller{IP: loopback}), passwordless.StartRequest{
		Channel: passwordless.Email, Address: alice, Send: passwordless.SendLink, RedirectURI: callback})
	if err != nil {
		t.Fatal(err)
	}
	_, token, _ := strings.Cut(w.box.last(t).Link.Reveal(), "t=")
	b.get(finishPath+"?t="+token).wants(t, http.StatusNotFound)
}
