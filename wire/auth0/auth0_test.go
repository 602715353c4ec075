package auth0_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/confirm"
	"github.com/seed62b93bad/passwordless/internal/httpstory"
	"github.com/seed62b93bad/passwordless/wire/auth0"
)

func TestStories(t *testing.T) {
	world := func(t *testing.T) httpstory.World {
		return newWorld(t, auth0.Options{APIs: map[string][]string{"https://api.example.com/": {"read:notes"}}}).story()
	}
	httpstory.Run(t, "testdata/*.txt", world)
	httpstory.Run(t, "testdata/sdk/*.txt", world)
}

func TestStoriesOfStrictOptions(t *testing.T) {
	httpstory.Run(t, "testdata/strict/*.txt", func(t *testing.T) httpstory.World {
		return newWorld(t, auth0.Options{
			Strict: true, Verified: true, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
			Subject: func(l passwordless.Login) string { return "email|kept" },
		}, func(c *passwordless.Config) {
			c.Policy.Limits.Starts = []passwordless.Limit{{Count: 2, Per: 600e9}}
		}).story()
	})
}

func TestStoriesOfUsersElsewhere(t *testing.T) {
	httpstory.Run(t, "testdata/users/*.txt", func(t *testing.T) httpstory.World {
		var elsewhere *people
		w := newWorld(t, auth0.Options{}, func(c *passwordless.Config) {
			builtin, err := passwordless.New(*c)
			if err != nil {
				t.Fatal(err)
			}
			elsewhere = &people{Users: builtin.Directory()}
			c.Users = elsewhere
		})
		w.people = elsewhere
		return w.story()
	})
}

// lookUps are Clients that count how often they are asked.
type lookUps struct {
	passwordless.ClientList
	n atomic.Int64
}

func (l *lookUps) Client(ctx context.Context, id string) (passwordless.Client, error) {
	l.n.Add(1)
	return l.ClientList.Client(ctx, id)
}

// A request looks its client up once. Of a link, the Service learns the client from the record, and then the wire asks
// where the client may lead.
func TestClientsAreLookedUpOnce(t *testing.T) {
	asked := &lookUps{ClientList: clients}
	w := newWorld(t, auth0.Options{}, func(c *passwordless.Config) { c.Clients = asked })
	start := `{"client_id":"web","client_secret":"web secret+1","connection":"email","email":"alice@example.com",` +
		`"authParams":{"state":"s"},"send":"link"}`
	if rec := post(w.handler, "/passwordless/start", mediaJSON, start); rec.Code != http.StatusOK {
		t.Fatalf("status %d %s", rec.Code, rec.Body)
	}
	link, err := w.link("alice@example.com")
	if err != nil {
		t.Fatal(err)
	}
	const who = `"client_id":"web","client_secret":"web secret+1"`
	rows := []struct {
		rule   string
		status int
		serve  func() *httptest.ResponseRecorder
		want   int64
	}{
		{"a start", 200, func() *httptest.ResponseRecorder {
			return post(w.handler, "/passwordless/start", mediaJSON, strings.ReplaceAll(start, "alice", "bob"))
		}, 1},
		{"a check", 401, func() *httptest.ResponseRecorder {
			return post(w.handler, "/passwordless/verify", mediaJSON,
				`{`+who+`,"connection":"email","email":"bob@example.com","verification_code":"123456"}`)
		}, 1},
		{"the OTP grant", 403, func() *httptest.ResponseRecorder {
			return post(w.handler, "/oauth/token", mediaJSON,
				`{`+who+`,"grant_type":"`+otpGrant+`","realm":"email","username":"bob@example.com","otp":"123456"}`)
		}, 1},
		{"a revocation", 200, func() *httptest.ResponseRecorder {
			return post(w.handler, "/oauth/revoke", mediaJSON, `{`+who+`,"token":"x"}`)
		}, 1},
		{"opening a link", 200, func() *httptest.ResponseRecorder { return w.visit(http.MethodGet, link, "", "") }, 2},
		{"a code in the query", 303, func() *httptest.ResponseRecorder {
			return w.visit(http.MethodGet, "/passwordless/verify_redirect?client_id=web&connection=email&verification_code=1", "", "")
		}, 1},
	}
	for _, row := range rows {
		asked.n.Store(0)
		if rec := row.serve(); rec.Code != row.status || asked.n.Load() != row.want {
			t.Errorf("%s: status %d %s after %d look-ups, want %d after %d", row.rule, rec.Code, rec.Body, asked.n.Load(),
				row.status, row.want)
		}
	}
}

func TestNewTellsEveryMistake(t *testing.T) {
	h, err := auth0.New(nil, auth0.Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}})
	if h != nil {
		t.Error("there is a handler")
	}
	for _, want := range []string{"service: required", "Options.TrustedProxies:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not tell %q", err, want)
		}
	}
	w := newWorld(t, auth0.Options{})
	bare, err := passwordless.New(passwordless.Config{
		Issuer: "https://login.example.com/", AppName: "Example", Store: w.store, Sender: w,
		Clients: passwordless.ClientList{{ID: "x", Public: true}},
		Hasher:  newKeyring()})
	if err != nil {
		t.Fatal(err)
	}
	if h, err := auth0.New(bare, auth0.Options{}); h != nil || err == nil || !strings.Contains(err.Error(), "SigningKeys") {
		t.Errorf("a service that cannot sign was accepted: %v", err)
	}
}

// Each endpoint works alone, at a path of any router.
func TestEndpointsMountAlone(t *testing.T) {
	h := newWorld(t, auth0.Options{}).handler
	mux := http.NewServeMux()
	mux.Handle("POST /passwordless/start", h.Start())
	mux.Handle("POST /oauth/token", h.Token())
	mux.Handle("GET /.well-known/jwks.json", h.JWKS())
	mux.Handle("GET /.well-known/openid-configuration", h.Discovery())
	for target, want := range map[string]int{
		"POST /passwordless/start": 415, "POST /oauth/token": 415,
		"GET /.well-known/jwks.json": 200, "GET /.well-known/openid-configuration": 200,
	} {
		method, path, _ := strings.Cut(target, " ")
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, httptest.NewRequest(method, path, nil))
		if rec.Code != want {
			t.Errorf("%s: status %d, want %d", target, rec.Code, want)
		}
	}
}

// checkShape fails unless an answer is what every answer of this package is.
func checkShape(t *testing.T, rec *httptest.ResponseRecorder) (body map[string]any) {
	t.Helper()
	for name, want := range map[string]string{"Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-store",
		"X-Content-Type-Options": "nosniff"} {
		if got := rec.Header().Get(name); got != want {
			t.Errorf("status %d: %s is %q, want %q", rec.Code, name, got, want)
		}
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &body); err != nil {
		t.Fatalf("status %d: %v in %q", rec.Code, err, rec.Body)
	}
	if rec.Code >= 400 {
		code, _ := body["error"].(string)
		description, _ := body["error_description"].(string)
		if code == "" || description == "" {
			t.Errorf("status %d without error or error_description: %s", rec.Code, rec.Body)
		}
	}
	return body
}

func post(h http.Handler, path, mediaType, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	if mediaType != "" {
		r.Header.Set("Content-Type", mediaType)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

const (
	mediaJSON = "application/json"
	mediaForm = "application/x-www-form-urlencoded"
	otpGrant  = "http://auth0.com/oauth/grant-type/passwordless/otp"
)

func TestHostileBodiesAreRefused(t *testing.T) {
	good := `"client_id":"spa","connection":"email","send":"code","grant_type":"refresh_token","refresh_token":"x"`
	rows := []struct {
		rule, media, body string
		status            int
	}{
		{"a member twice", mediaJSON, `{` + good + `,"email":"a@example.com","email":"b@example.com"}`, 400},
		{"a member in two cases", mediaJSON, `{` + good + `,"email":"a@example.com","Email":"b@example.com"}`, 400},
		{"a member twice deep inside", mediaJSON, `{` + good + `,"email":"a@example.com","authParams":{"x":{"a":1,"A":2}}}`, 400},
		{"a parameter twice", mediaForm, `client_id=spa&connection=email&email=a%40example.com&email=b%40example.com`, 400},
		{"one megabyte", mediaJSON, `{` + good + `,"email":"` + strings.Repeat("a", 1<<20) + `@example.com"}`, 413},
		{"deep nesting", mediaJSON,
			`{` + good + `,"authParams":` + strings.Repeat(`{"a":`, 50) + `1` + strings.Repeat(`}`, 50) + `}`, 400},
		{"deep nesting without end", mediaJSON, strings.Repeat(`[`, 60_000), 400},
		{"many members", mediaJSON, `{"a` + strings.Join(numbers(600), `":1,"a`) + `":1}`, 400},
		{"invalid UTF-8", mediaJSON, "{" + good + `,"email":"a` + "\xff" + `@example.com"}`, 400},
		{"invalid UTF-8 in a form", mediaForm, "client_id=spa&connection=email&email=%ff%40example.com", 400},
		{"half a surrogate pair", mediaJSON, `{` + good + `,"email":"a\ud800@example.com"}`, 400},
		{"trailing data", mediaJSON, `{` + good + `,"email":"a@example.com"} {}`, 400},
		{"an array", mediaJSON, `[{` + good + `}]`, 400},
		{"null", mediaJSON, `null`, 400},
		{"nothing", mediaJSON, ``, 400},
		{"text", "text/plain", `{` + good + `}`, 415},
		{"no media type", "", `{` + good + `}`, 415},
		{"another charset", "application/json; charset=utf-16", `{` + good + `}`, 415},
		{"a multipart form", "multipart/form-data; boundary=x", "--x--", 415},
	}
	w := newWorld(t, auth0.Options{})
	for _, path := range []string{"/passwordless/start", "/passwordless/verify", "/oauth/token"} {
		for _, row := range rows {
			t.Run(path+" "+row.rule, func(t *testing.T) {
				rec := post(w.handler, path, row.media, row.body)
				want := row.status
				if path != "/oauth/token" && row.media == mediaForm {
					want = 415 // forms are not read elsewhere
				}
				if body := checkShape(t, rec); rec.Code != want || body["error"] != "invalid_request" {
					t.Errorf("status %d %s, want %d", rec.Code, rec.Body, want)
				}
			})
		}
	}
	if n := len(w.outbox.All()); n != 0 {
		t.Errorf("%d messages were sent", n)
	}
}

func numbers(n int) (all []string) {
	for i := range n {
		all = append(all, strings.Repeat("x", i/26)+string(rune('a'+i%26)))
	}
	return all
}

// failing are Clients that fail as they are told.
type failing func() (passwordless.Client, error)

func (f failing) Client(context.Context, string) (passwordless.Client, error) { return f() }

// blank are Pages without pages.
type blank struct{ auth0.Pages }

func (blank) Confirm(confirm.Confirmation) http.Handler { return http.NotFoundHandler() }

func TestFailuresTellTheCallerNothing(t *testing.T) {
	rows := []struct {
		rule    string
		clients failing
		status  int
	}{
		{"a panic is a 500", func() (passwordless.Client, error) { panic("canary-internal") }, 500},
		{"an unknown error is a 500", func() (passwordless.Client, error) {
			return passwordless.Client{}, errors.New("canary-internal")
		}, 500},
		{"a store that is down is a 503", func() (passwordless.Client, error) {
			return passwordless.Client{}, errors.Join(errors.New("canary-internal"), passwordless.ErrUnavailable)
		}, 503},
		{"another client than asked for is none", func() (passwordless.Client, error) { return clients[0], nil }, 401},
	}
	for _, row := range rows {
		for _, path := range []string{"/passwordless/start", "/oauth/token"} {
			t.Run(row.rule+" "+path, func(t *testing.T) {
				w := newWorld(t, auth0.Options{Pages: blank{}}, func(c *passwordless.Config) { c.Clients = row.clients })
				rec := post(w.handler, path, mediaJSON, `{"client_id":"else"}`)
				checkShape(t, rec)
				if rec.Code != row.status || strings.Contains(rec.Body.String(), "canary") {
					t.Errorf("status %d %s", rec.Code, rec.Body)
				}
				told := w.failures()
				if (len(told) == 1 && told[0] != nil) != (row.status >= 500) {
					t.Errorf("OnError was told %v", told)
				}
			})
		}
	}
}

func TestAbortedHandlersStayAborted(t *testing.T) {
	w := newWorld(t, auth0.Options{Pages: blank{}}, func(c *passwordless.Config) {
		c.Clients = failing(func() (passwordless.Client, error) { panic(http.ErrAbortHandler) })
	})
	defer func() {
		if v := recover(); v != http.ErrAbortHandler {
			t.Errorf("recovered %v", v)
		}
	}()
	post(w.handler, "/oauth/token", mediaJSON, `{"client_id":"x"}`)
}

// Whether somebody has the address, is blocked or is nobody: the answers are equal.
func TestStartTellsNothingOfTheAccount(t *testing.T) {
	for _, client := range []string{"third", "closed"} {
		w := newWorld(t, auth0.Options{})
		if _, err := w.user("known@example.com", "active"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.user("block@example.com", "blocked"); err != nil {
			t.Fatal(err)
		}
		var answers []string
		for _, name := range []string{"known", "block", "nobdy"} {
			rec := post(w.handler, "/passwordless/start", mediaJSON,
				`{"client_id":"`+client+`","connection":"email","send":"code","email":"`+name+`@example.com"}`)
			body := checkShape(t, rec)
			id, _ := body["_id"].(string)
			if rec.Code != 200 || len(id) != 24 {
				t.Fatalf("status %d %s", rec.Code, rec.Body)
			}
			text := strings.NewReplacer(id, "ID", name, "NAME").Replace(rec.Body.String())
			answers = append(answers, text)
		}
		if answers[0] != answers[1] || answers[0] != answers[2] {
			t.Errorf("%s: the answers differ: %q", client, answers)
		}
	}
}

// Codes that are wrong, malformed, used, revoked, somebody else's, or of nobody: the answers are equal.
func TestRefusedCodesHaveOneAnswer(t *testing.T) {
	w := newWorld(t, auth0.Options{})
	start := func(address string) string {
		rec := post(w.handler, "/passwordless/start", mediaJSON,
			`{"client_id":"spa","connection":"email","send":"code","email":"`+address+`"}`)
		code, err := w.code(address)
		if rec.Code != 200 || err != nil {
			t.Fatalf("status %d %s: %v", rec.Code, rec.Body, err)
		}
		return code
	}
	exchange := func(client, address, code string) *httptest.ResponseRecorder {
		return post(w.handler, "/oauth/token", mediaJSON, `{"grant_type":"`+otpGrant+`","client_id":"`+client+
			`","realm":"email","username":"`+address+`","otp":"`+code+`"}`)
	}
	used, open := start("used@example.com"), start("open@example.com")
	if rec := exchange("spa", "used@example.com", used); rec.Code != 200 {
		t.Fatalf("status %d %s", rec.Code, rec.Body)
	}
	if _, err := w.user("gone@example.com", "active"); err != nil {
		t.Fatal(err)
	}
	revoked := start("gone@example.com")
	if _, err := w.revoke("gone@example.com"); err != nil {
		t.Fatal(err)
	}
	bad, _ := wrong(open)
	rows := []struct {
		rule string
		rec  *httptest.ResponseRecorder
	}{
		{"wrong", exchange("spa", "open@example.com", bad)},
		{"malformed", exchange("spa", "open@example.com", "no code")},
		{"used", exchange("spa", "used@example.com", used)},
		{"revoked", exchange("spa", "gone@example.com", revoked)},
		{"of another address", exchange("spa", "open@example.com", used)},
		{"of another client", exchange("closed", "open@example.com", open)},
		{"of an address that never asked", exchange("spa", "never@example.com", open)},
		{"of no address", exchange("spa", "not an address", open)},
	}
	for _, row := range rows {
		checkShape(t, row.rec)
		if row.rec.Code != 403 || row.rec.Body.String() != rows[0].rec.Body.String() {
			t.Errorf("a code that is %s: status %d %s", row.rule, row.rec.Code, row.rec.Body)
		}
	}
}

// Neither decoder panics, answers with another shape, or sends anything to two people.
func FuzzBodies(f *testing.F) {
	f.Add(true, true, `{"client_id":"spa","connection":"email","email":"alice@example.com","send":"code",`+
		`"authParams":{"scope":"openid","state":"s"}}`)
	f.Add(true, true, `{"client_id":"spa","connection":"sms","phone_number":"+46701234567","authParams":[],`+
		`"send":null,"captcha":""}`)
	f.Add(true, false, `client_id=web&client_secret=web+secret%2B1&connection=email&email=alice%40example.com&send=code`)
	f.Add(false, false, `grant_type=http%3A%2F%2Fauth0.com%2Foauth%2Fgrant-type%2Fpasswordless%2Fotp&client_id=spa`+
		`&username=alice%40example.com&otp=123456&realm=email&scope=openid`)
	f.Add(false, true, `{"grant_type":"refresh_token","client_id":"spa","refresh_token":"x","scope":""}`)
	f.Add(false, true, `{"client_id":{"a":[1,true,null]},"otp":123456}`)
	w := newWorld(f, auth0.Options{Strict: true})
	f.Fuzz(func(t *testing.T, start, isJSON bool, body string) {
		path, media := "/oauth/token", mediaForm
		if start {
			path = "/passwordless/start"
		}
		if isJSON {
			media = mediaJSON
		}
		w.outbox.Clear()
		rec := post(w.handler, path, media, body)
		checkShape(t, rec)
		if rec.Code >= 500 {
			t.Errorf("status %d", rec.Code)
		}
		if n := len(w.outbox.All()); n > 1 || n == 1 && !start {
			t.Errorf("%d messages for one request", n)
		}
	})
}

// A page of any site can post a form from its visitors' browsers: their attempts, and their networks' limits, are not its
// to spend. Browsers always say where such a form comes from.
func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	w := newWorld(t, auth0.Options{})
	for _, path := range []string{"/passwordless/start", "/passwordless/verify", "/oauth/token"} {
		for _, origin := range []string{"https://evil.example", "null", "https://login.example.com.evil.example",
			"http://login.example.com", "https://app.example.com:8443", "HTTPS://APP.EXAMPLE.COM"} {
			r := httptest.NewRequest(http.MethodPost, path, strings.NewReader("client_id=spa&grant_type=refresh_token&refresh_token=x"))
			r.Header.Set("Content-Type", mediaForm)
			r.Header.Set("Origin", origin)
			rec := httptest.NewRecorder()
			w.handler.ServeHTTP(rec, r)
			if rec.Code != http.StatusForbidden || rec.Header().Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s from %s: status %d %v", path, origin, rec.Code, rec.Header())
			}
		}
	}
}

// Whatever the query of verify_redirect is: there is no panic, opening it changes and sends nothing, and it leads to
// registered redirect URIs alone (LK-9).
func FuzzVerifyRedirect(f *testing.F) {
	f.Add("t=AAAA")
	f.Add("client_id=legacy&response_type=token&connection=email&email=alice%40example.com&verification_code=123456&state=s")
	f.Add("client_id=web&redirect_uri=com.example.app%3A%2Fcallback&verification_code=1" +
		"&state=%0d%0aX%3A%20y&response_mode=fragment")
	f.Add("client_id=legacy&redirect_uri=https%3A%2F%2Flegacy.example.com%2Fcallback%40evil.example&verification_code=1")
	f.Add("client_id=legacy&client_id=web&verification_code=1;state=s&%zz")
	w := newWorld(f, auth0.Options{})
	registered := regexp.MustCompile(`^(https://[a-z]+\.example\.com/(callback|other\?tenant=1)|com\.example\.app:/callback)` +
		`[?&#][!-~]*$`)
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest(http.MethodGet, "/passwordless/verify_redirect", nil)
		r.URL.RawQuery = query
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, r)
		to := rec.Header().Get("Location")
		if rec.Code >= 500 || (rec.Code == http.StatusSeeOther) != (to != "") || to != "" && !registered.MatchString(to) {
			t.Errorf("status %d, to %q", rec.Code, to)
		}
		if rec.Header().Get("Set-Cookie") != "" || len(w.outbox.All()) != 0 {
			t.Error("it changed something")
		}
	})
}

// Nothing that a client says of itself chooses the bucket that it is charged to: no member of a body, no parameter of the
// URL and no header, but for Auth0-Forwarded-For of a client that proved itself and is trusted with it (RL-3, RL-6, CA-3).
func TestBodiesChooseNoBucket(t *testing.T) {
	once := func(c *passwordless.Config) {
		c.Policy.Limits.Starts = []passwordless.Limit{{Count: 1, Per: time.Hour}}
		c.Policy.Limits.Guesses = passwordless.Limit{Count: 1, Per: time.Hour}
	}
	const names = "ip remoteAddress remote_addr client_ip clientIp end_user_ip forwarded forwarded_for x_forwarded_for" +
		" X-Forwarded-For auth0_forwarded_for Auth0-Forwarded-For auth0-forwarded-for network device browser caller tenant key"
	bodies := map[string]string{
		"/passwordless/start": `{"client_id":"spa","connection":"email","email":"%d@example.com","send":"code"%s}`,
		"/oauth/token": `{"client_id":"spa","grant_type":"` + otpGrant +
			`","username":"%d@example.com","otp":"123456","realm":"email"%s}`,
	}
	for path, body := range bodies {
		w, n := newWorld(t, auth0.Options{}, once), 0
		ask := func(more, query string, header http.Header) int {
			n++
			r := httptest.NewRequest(http.MethodPost, path+query, strings.NewReader(fmt.Sprintf(body, n, more)))
			r.Header = header.Clone()
			r.Header.Set("Content-Type", mediaJSON)
			rec := httptest.NewRecorder()
			w.handler.ServeHTTP(rec, r)
			return rec.Code
		}
		if got := ask("", "", http.Header{}); got == 429 {
			t.Fatalf("%s: the first was limited", path)
		}
		for i, name := range strings.Fields(names) {
			value := fmt.Sprintf(`"203.0.113.%d"`, i)
			for _, more := range []string{`,"` + name + `":` + value, `,"` + name + `":[` + value + `]`,
				`,"authParams":{"` + name + `":` + value + `}`, `,"` + name + `":{"ip":` + value + `}`} {
				if got := ask(more, "", http.Header{}); got != 429 {
					t.Errorf("%s with %s: status %d", path, more, got)
				}
			}
			address := strings.Trim(value, `"`)
			if got := ask("", "?"+name+"="+address, http.Header{}); got != 429 {
				t.Errorf("%s with %s in the URL: status %d", path, name, got)
			}
			for _, header := range []string{name, "X-Real-IP", "Forwarded", "CF-Connecting-IP", "True-Client-IP"} {
				if got := ask("", "", http.Header{http.CanonicalHeaderKey(header): {address}}); got != 429 {
					t.Errorf("%s with the header %s: status %d", path, header, got)
				}
			}
		}
		proved := http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("web:web+secret%2B1"))},
			"Auth0-Forwarded-For": {"203.0.113.99"}}
		body = strings.Replace(body, `"client_id":"spa",`, "", 1)
		if got := ask("", "", proved); got == 429 {
			t.Errorf("%s: a client that is trusted to name its user's address was not heard", path)
		}
	}
}

// Whatever the Authorization header is: there is no panic, and only the credentials of a client, in their one form, count
// (CA-1). One of the scheme Basic that cannot be read is refused, also beside a client that needs none.
func FuzzAuthorization(f *testing.F) {
	basic := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, header := range []string{"", " ", "Basic", "Basic ", "Basic  ", "basic", "Bearer", "Bearer ", "Bearer  x", "Bearer a.b.c",
		"Bearer\x00", "Digest username=\"web\"", "Negotiate AAAA", "DPoP x", "\xff", "Basic \xff", "Basic =", "Basic ====",
		"Basic QQ", "Basic\tQQ==", "Basic " + strings.Repeat("A", 400), strings.Repeat("Basic ", 50), basic(""), basic(":"),
		basic("web"), basic("web:"), basic(":web secret+1"), basic("web:web secret+1"), basic("web:web+secret%2B1"),
		basic("web:web+secret%2B1") + " ", "Basic  " + basic("web:web+secret%2B1")[6:], "BASIC" + basic("web:web+secret%2B1")[5:],
		basic("web:web+secret%2B1") + ", Basic x", basic("web:%"), basic("%zz:x"), basic("web:a\x00b"), basic("spa:"), basic("spa:%"),
		basic("web::"), basic("WEB:web+secret%2B1"), basic("web:web+secret%2B1:"), basic("\xff:\xff"), basic("api:api-secret")} {
		f.Add(header)
	}
	w := newWorld(f, auth0.Options{}, func(c *passwordless.Config) {
		c.Clients = clients[:2] // spa and web
		c.Policy.Limits.Starts = []passwordless.Limit{{Count: 1e6, Per: time.Second}}
		c.Policy.Limits.EmailSends = c.Policy.Limits.Starts
	})
	f.Fuzz(func(t *testing.T, header string) {
		named := namedBy(header)
		scheme, _, _ := strings.Cut(header, " ")
		unused := !strings.EqualFold(scheme, "Basic")
		for client, sent := range map[string]bool{"": named != "", `"client_id":"web",`: named == "web",
			`"client_id":"spa",`: named == "spa" || unused} {
			for path, body := range map[string]string{
				"/passwordless/start": `{%s"connection":"email","email":"alice@example.com","send":"code"}`,
				"/oauth/token":        `{%s"grant_type":"refresh_token","refresh_token":"x"}`} {
				w.outbox.Clear()
				w.clock.Advance(time.Minute)
				r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(fmt.Sprintf(body, client)))
				r.Header.Set("Content-Type", mediaJSON)
				r.Header["Authorization"] = []string{header}
				rec := httptest.NewRecorder()
				w.handler.ServeHTTP(rec, r)
				checkShape(t, rec)
				start := strings.HasSuffix(path, "start")
				if n := len(w.outbox.All()); (n == 1) != (start && sent) || (rec.Code == 200) != (start && sent) || rec.Code >= 500 {
					t.Errorf("%s with client %q and %q: status %d, %d messages", path, client, header, rec.Code, n)
				}
			}
		}
	})
}

// namedBy returns the client that a header names and proves, if it has a secret (RFC 7617, 2; RFC 6749, 2.3.1).
func namedBy(header string) string {
	if len(header) < 6 || !strings.EqualFold(header[:6], "Basic ") {
		return ""
	}
	pair, err := base64.StdEncoding.DecodeString(header[6:])
	id, secret, ok := strings.Cut(string(pair), ":")
	id, errID := url.QueryUnescape(id)
	secret, errSecret := url.QueryUnescape(secret)
	if want, known := map[string]string{"web": "web secret+1", "spa": ""}[id]; !ok || !known || secret != want ||
		err != nil || errID != nil || errSecret != nil {
		return ""
	}
	return id
}

// Links lead where the configuration says, whatever a request says of hosts (LK-4, HT-6).
func TestHostileHostsLeaveLinksUnchanged(t *testing.T) {
	for name, value := range map[string]string{"Host": "evil.example", "X-Forwarded-Host": "evil.example",
		"X-Forwarded-Proto": "http", "X-Forwarded-Port": "666", "X-Forwarded-Prefix": "/evil", "X-Forwarded-Server": "evil.example",
		"X-Host": "evil.example", "X-Original-Url": "https://evil.example/", "X-Rewrite-Url": "https://evil.example/",
		"Forwarded": "host=evil.example;proto=http", "Referer": "https://evil.example/", "X-HTTP-Host-Override": "evil.example"} {
		w := newWorld(t, auth0.Options{})
		r := httptest.NewRequest(http.MethodPost, "/passwordless/start", strings.NewReader(
			`{"client_id":"web","client_secret":"web secret+1","connection":"email","email":"alice@example.com","send":"link"}`))
		r.Header.Set("Content-Type", mediaJSON)
		r.Header.Set(name, value)
		if name == "Host" {
			r.Host = value
		}
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, r)
		m, sent := w.outbox.Last("alice@example.com")
		if rec.Code != 200 || !sent || !strings.HasPrefix(m.Link, "https://login.example.com/") ||
			!strings.HasPrefix(m.Cancel, "https://login.example.com/") {
			t.Errorf("%s: status %d %s, links to %.40q and %.40q", name, rec.Code, rec.Body, m.Link, m.Cancel)
		}
	}
}
