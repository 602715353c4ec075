package page_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/page"
	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/memstore"
)

const pageURL = "https://login.example/auth/"

// An outbox keeps what was sent.
type outbox struct {
	mu   sync.Mutex // guards all
	all  []passwordless.Message
	fail error
}

func (o *outbox) Send(_ context.Context, m passwordless.Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, m)
	return o.fail
}

func (o *outbox) Asynchronous() bool { return true }

func (o *outbox) Discard(context.Context, passwordless.Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.fail
}

func (o *outbox) last(t *testing.T) passwordless.Message {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.all) == 0 {
		t.Fatal("nothing was sent")
	}
	return o.all[len(o.all)-1]
}

func (o *outbox) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.all)
}

// A clock stands still until it is moved.
type clock struct {
	mu sync.Mutex // guards at
	at time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// A faulty store fails or panics on demand.
type faulty struct {
	store.Store
	mu    sync.Mutex // guards fault
	fault func() error
}

func (f *faulty) set(fault func() error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

func (f *faulty) trip() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fault == nil {
		return nil
	}
	return f.fault()
}

func (f *faulty) Load(ctx context.Context, now store.Instant, keys ...store.Key) ([]store.Record, error) {
	if err := f.trip(); err != nil {
		return nil, err
	}
	return f.Store.Load(ctx, now, keys...)
}

func (f *faulty) Commit(ctx context.Context, now store.Instant, b store.Batch) (store.Levels, error) {
	if err := f.trip(); err != nil {
		return nil, err
	}
	return f.Store.Commit(ctx, now, b)
}

// A world is a site with pages at /auth/ and something behind a login at /account.
type world struct {
	t      *testing.T
	svc    *passwordless.Service
	pages  *page.Handler
	server *httptest.Server
	box    *outbox
	clock  *clock
	store  *faulty
	errs   *errorList
}

type errorList struct {
	mu  sync.Mutex // guards all
	all []error
}

func (l *errorList) add(_ *http.Request, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, err)
}

func (l *errorList) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.all)
}

func newService(t *testing.T, change func(*passwordless.Config)) (*passwordless.Service, *world) {
	t.Helper()
	w := &world{t: t, box: &outbox{}, clock: &clock{at: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)},
		store: &faulty{Store: memstore.New()}, errs: &errorList{}}
	cfg := passwordless.Config{
		Issuer: "https://login.example/", PageURL: pageURL, AppName: "Example",
		Store: w.store, Sender: w.box, Clock: w.clock,
		Hasher: passwordless.NewKeyring(passwordless.RandomKey(), passwordless.RingKey{ID: "1", Secret: passwordless.RandomKey()}),
		Clients: passwordless.ClientList{
			{ID: "web", Public: true, Channels: []passwordless.Channel{passwordless.Email, passwordless.SMS}},
			{ID: "other", Public: true, Name: "Other"},
		},
		Policy: passwordless.Policy{SMS: passwordless.SMSPolicy{Countries: []int{47}}},
	}
	if change != nil {
		change(&cfg)
	}
	svc, err := passwordless.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.svc = svc
	return svc, w
}

// newWorld starts a site. Nil changes nothing.
func newWorld(t *testing.T, config func(*passwordless.Config), options func(*page.Options)) *world {
	t.Helper()
	svc, w := newService(t, config)
	opts := page.Options{Client: "web", AppName: "Example", Base: "/auth/", Home: "/home", OnError: w.errs.add}
	if options != nil {
		options(&opts)
	}
	pages, err := page.New(svc, opts)
	if err != nil {
		t.Fatal(err)
	}
	w.pages = pages
	mux := http.NewServeMux()
	mux.Handle("/auth/", pages)
	mux.Handle("/account", pages.RequireLogin(http.HandlerFunc(account)))
	mux.HandleFunc("GET /home", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "home") })
	w.server = httptest.NewTLSServer(mux)
	t.Cleanup(w.server.Close)
	return w
}

// as is a client whose request the application vouches for; "" is none.
func (w *world) as(client string, caller passwordless.Caller) passwordless.Requester {
	w.t.Helper()
	by, err := w.svc.Trusted(w.t.Context(), client, caller)
	if err != nil {
		w.t.Fatal(err)
	}
	return by
}

func account(w http.ResponseWriter, r *http.Request) {
	s, ok := page.SessionFrom(r.Context())
	if !ok {
		http.Error(w, "no session", http.StatusInternalServerError)
		return
	}
	_, _ = io.WriteString(w, "account of "+s.UserID)
}

// A browser keeps cookies and follows nothing by itself.
type browser struct {
	t      *testing.T
	base   string
	client *http.Client
	jar    *cookiejar.Jar
}

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	trusting := w.server.Client().Transport.(*http.Transport)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusting.TLSClientConfig.RootCAs}}
	w.t.Cleanup(transport.CloseIdleConnections)
	return &browser{t: w.t, base: w.server.URL, jar: jar, client: &http.Client{Jar: jar, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// An answer is a response that was read to its end.
type answer struct {
	*http.Response
	body string
}

func (b *browser) do(method, path string, form url.Values, change func(*http.Request)) answer {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Origin", "null")
	}
	if change != nil {
		change(r)
	}
	res, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{res, string(text)}
}

func (b *browser) get(path string) answer { b.t.Helper(); return b.do("GET", path, nil, nil) }

// submit posts the form of a page that leads to action, with what the page filled in.
func (b *browser) submit(a answer, action string, typed url.Values) answer {
	b.t.Helper()
	return b.do("POST", action, a.form(b.t, action, typed), nil)
}

var (
	formTag  = regexp.MustCompile(`(?s)<form method="post"(?: action="([^"]*)")?[^>]*>(.*?)</form>`)
	inputTag = regexp.MustCompile(`<input[^>]* name="([^"]*)"[^>]*>`)
	valueOf  = regexp.MustCompile(` value="([^"]*)"`)
)

// form reads the fields of the page's form that leads to action; "" is the page itself.
func (a answer) form(t *testing.T, action string, typed url.Values) url.Values {
	t.Helper()
	for _, f := range formTag.FindAllStringSubmatch(a.body, -1) {
		if html.UnescapeString(f[1]) != action {
			continue
		}
		values := url.Values{}
		for _, in := range inputTag.FindAllStringSubmatch(f[2], -1) {
			value := ""
			if v := valueOf.FindStringSubmatch(in[0]); v != nil {
				value = html.UnescapeString(v[1])
			}
			values.Set(in[1], value)
		}
		for name := range typed {
			values.Set(name, typed.Get(name))
		}
		return values
	}
	t.Fatalf("no form leads to %s in:\n%s", action, a.body)
	return nil
}

func (a answer) wants(t *testing.T, status int) answer {
	t.Helper()
	if a.StatusCode != status {
		t.Fatalf("%s %s: status %d, want %d\n%s", a.Request.Method, a.Request.URL.Path, a.StatusCode, status, a.body)
	}
	return a
}

func (a answer) leadsTo(t *testing.T, location string) answer {
	t.Helper()
	a.wants(t, http.StatusSeeOther)
	if got := a.Header.Get("Location"); got != location {
		t.Fatalf("leads to %q, want %q", got, location)
	}
	return a
}

func (a answer) has(t *testing.T, text string) answer {
	t.Helper()
	if !strings.Contains(html.UnescapeString(a.body), text) {
		t.Fatalf("page lacks %q:\n%s", text, a.body)
	}
	return a
}

// sets tells whether the answer gives a value to a cookie whose name ends so.
func (a answer) sets(suffix string) (value string, ok bool) {
	for _, c := range a.Cookies() {
		if strings.HasSuffix(c.Name, suffix) && c.MaxAge >= 0 {
			return c.Value, true
		}
	}
	return "", false
}

func (b *browser) cookie(suffix string) string {
	u, _ := url.Parse(b.base)
	for _, c := range b.jar.Cookies(u) {
		if strings.HasSuffix(c.Name, suffix) {
			return c.Value
		}
	}
	return ""
}

func (b *browser) plant(name, value string) {
	u, _ := url.Parse(b.base)
	b.jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/", Secure: true}})
}

// start asks for a code and returns the page that waits for it.
func (b *browser) start(address, next string) answer {
	b.t.Helper()
	form := b.get("/auth/?next="+url.QueryEscape(next)).wants(b.t, http.StatusOK)
	b.submit(form, "/auth/", url.Values{"address": {address}}).leadsTo(b.t, "/auth/code")
	return b.get("/auth/code").wants(b.t, http.StatusOK)
}

// enter types a code.
func (b *browser) enter(waiting answer, code string) answer {
	b.t.Helper()
	return b.submit(waiting, "/auth/code", url.Values{"code": {code}})
}

// signIn signs in by code.
func (b *browser) signIn(w *world, address string) answer {
	b.t.Helper()
	waiting := b.start(address, "")
	return b.enter(waiting, w.box.last(b.t).Code.Reveal()).wants(b.t, http.StatusSeeOther)
}

// path returns a link's path and query on the site.
func path(t *testing.T, link passwordless.Secret) string {
	t.Helper()
	u, err := url.Parse(link.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	return u.RequestURI()
}

var nonces = regexp.MustCompile(`name="(nonce|t)" value="[^"]*"`)

func masked(body string) string { return nonces.ReplaceAllString(body, `name="$1"`) }

// formNonce is the nonce that a form would have in the browser, for forms that no page shows.
func formNonce(b *browser, form ...string) string {
	mac := hmac.New(sha256.New, []byte(b.cookie("-browser")))
	mac.Write([]byte("page nonce\x00" + strings.Join(form, "\x00")))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
