package main_test

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

func TestCodeFromTheOutboxIsExchangedForTokensThatTheKeySetVerifies(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"by default in an SQLite file": nil,
		"in a named SQLite file":       {"-store", "sqlite:some folder/named.db"},
		"in memory":                    {"-store", "memory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, t.TempDir(), args...)
			tokens := r.signIn("alice@example.com")
			id := r.verify(member[string](t, tokens, "id_token"), "demo-web")
			if id["email"] != "alice@example.com" || id["email_verified"] != true {
				t.Errorf("the ID token says %v", id)
			}
			access := r.verify(member[string](t, tokens, "access_token"), r.url)
			if access["sub"] != id["sub"] || access["client_id"] != "demo-web" {
				t.Errorf("the access token says %v", access)
			}
			if status, body := r.exchange("alice@example.com", r.code("alice@example.com")); status != 403 {
				t.Errorf("a used code is answered %d %v", status, body)
			}
		})
	}
}

// verify checks a token's signature, issuer, audience and time as a client would: with the published keys.
func (r *running) verify(token, audience string) jwt.MapClaims {
	r.t.Helper()
	claims := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(token, claims, func(t *jwt.Token) (any, error) { return r.key(t.Header["kid"]) },
		jwt.WithValidMethods([]string{"RS256"}), jwt.WithIssuer(r.url), jwt.WithAudience(audience), jwt.WithExpirationRequired())
	if err != nil {
		r.t.Fatal(err)
	}
	return claims
}

// key fetches a public key by the way of discovery.
func (r *running) key(kid any) (*rsa.PublicKey, error) {
	var at struct {
		JWKS string `json:"jwks_uri"`
	}
	if err := json.Unmarshal([]byte(r.get(".well-known/openid-configuration").body), &at); err != nil {
		return nil, err
	}
	var set struct {
		Keys []struct{ Kid, N, E string }
	}
	if err := json.Unmarshal([]byte(r.get(strings.TrimPrefix(at.JWKS, r.url)).body), &set); err != nil {
		return nil, err
	}
	for _, k := range set.Keys {
		n, err1 := base64.RawURLEncoding.DecodeString(k.N)
		e, err2 := base64.RawURLEncoding.DecodeString(k.E)
		if k.Kid == kid && err1 == nil && err2 == nil {
			return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, nil
		}
	}
	return nil, fmt.Errorf("no key %v", kid)
}

func TestTextMessageToAPhoneIsInTheOutbox(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir(), "-store", "memory")
	status, body := r.postJSON("passwordless/start",
		map[string]string{"client_id": "demo-spa", "connection": "sms", "phone_number": "+46701111111"})
	if status != 200 {
		t.Fatalf("start answered %d %v", status, body)
	}
	code := r.code("+46701111111") // with the plus sign as it is
	if r.code("%2B46701111111") != code {
		t.Error("an escaped plus sign finds something else")
	}
	status, tokens := r.postJSON("oauth/token", map[string]string{
		"grant_type": "http://auth0.com/oauth/grant-type/passwordless/otp", "client_id": "demo-spa",
		"realm": "sms", "username": "+46701111111", "otp": code, "scope": "openid email phone"})
	if status != 200 {
		t.Fatalf("token answered %d %v", status, tokens)
	}
	if id := r.verify(member[string](t, tokens, "id_token"), "demo-spa"); id["email"] != "alice@example.com" {
		t.Errorf("the number is not alice's: %v", id)
	}
}

func TestMessagesAreListedNewestFirstWithAllTheirParts(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir(), "-store", "memory")
	r.ask("alice@example.com")
	r.postJSON("dev/clock", map[string]string{"advance": "31s"})
	r.ask("alice@example.com")
	r.ask("johnd@example.com")
	all := r.outbox("Alice@Example.com")
	if len(all) != 2 {
		t.Fatalf("%d messages to alice, want 2", len(all))
	}
	for _, name := range []string{"id", "to", "channel", "locale", "subject", "text", "code", "link", "sent_at"} {
		if _, ok := all[0][name].(string); !ok {
			t.Errorf("%s is missing in %v", name, all[0])
		}
	}
	if member[string](t, all[0], "sent_at") <= member[string](t, all[1], "sent_at") {
		t.Error("not the newest first")
	}
	if got := len(r.outbox("")); got != 3 {
		t.Errorf("%d messages in all, want 3", got)
	}
	if got := r.get("dev/outbox?to=nobody@example.com").body; got != "[]\n" {
		t.Errorf("no message is %q, want an empty list", got)
	}
	wants(t, r.get("dev/mail").body, "alice@example.com", "johnd@example.com", r.code("johnd@example.com"))
}

func TestCodeOfTheDemoDiesAfterThreeMinutesOfTheMovedClock(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir(), "-store", "memory")
	r.ask("alice@example.com")
	code := r.code("alice@example.com")
	if status, body := r.postJSON("dev/clock", map[string]string{"advance": "181s"}); status != 200 || body["now"] == nil {
		t.Fatalf("the clock answered %d %v", status, body)
	}
	if status, body := r.exchange("alice@example.com", code); status != 403 || body["error"] != "invalid_grant" {
		t.Errorf("an expired code is answered %d %v", status, body)
	}
	for _, bad := range []map[string]string{
		{"advance": "soon"}, {}, {"advance": "1s", "back": "1s"}, {"advance": "87601h"}, {"advance": "-87601h"},
	} {
		if status, _ := r.postJSON("dev/clock", bad); status != 400 {
			t.Errorf("%v is answered %d, want 400", bad, status)
		}
	}
}

func TestClockTakesOneJSONValue(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir(), "-store", "memory")
	tests := []struct {
		rule, kind, body string
		want             int
	}{
		{"with a charset", "application/json; charset=utf-8", `{"advance":"1s"}`, 200},
		{"with a line's end", "application/json", `{"advance":"1s"}` + "\n", 200},
		{"no second value", "application/json", `{"advance":"1s"}{"advance":"1s"}`, 400},
		{"nothing behind it", "application/json", `{"advance":"1s"}}`, 400},
		{"no type", "", `{"advance":"1s"}`, 415},
		{"not what a form can send", "text/plain", `{"advance":"1s"}`, 415},
	}
	for _, test := range tests {
		a := r.do(r.request("POST", "dev/clock", strings.NewReader(test.body), "Content-Type", test.kind))
		if a.StatusCode != test.want {
			t.Errorf("%s: answered %s, want %d", test.rule, a.Status, test.want)
		}
	}
}

func TestPathThatIsNotCleanIsNotRedirected(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir(), "-store", "memory")
	r.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, path := range []string{"/link", "x/../link", "./link", "link/.", "x/%2e%2e/link", "%2flink", "/", "dev//outbox"} {
		a := r.get(path + "?t=SECRET")
		if a.StatusCode != http.StatusNotFound || a.Header.Get("Location") != "" || strings.Contains(a.body, "SECRET") {
			t.Errorf("/%s is answered %s, Location %q", path, a.Status, a.Header.Get("Location"))
		}
		if a.Header.Get("Referrer-Policy") != "no-referrer" || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("/%s is answered with %v", path, a.Header)
		}
	}
	for _, path := range []string{"", ".well-known/jwks.json", "dev/mail"} {
		if a := r.get(path); a.StatusCode != http.StatusOK {
			t.Errorf("/%s is answered %s", path, a.Status)
		}
	}
}

func TestUsersOfTheDemo(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir(), "-store", "memory")
	for _, may := range []string{"johnd", "bob", "erik", "somebody-new"} {
		r.signIn(may + "@example.com")
	}
	for _, mayNot := range []string{"carol", "dave", "blocked"} {
		email := mayNot + "@example.com"
		r.ask(email)
		if status, body := r.exchange(email, r.code(email)); status == 200 {
			t.Errorf("%s signed in: %v", mayNot, body)
		}
	}
}

func TestPagesSignInShowTheAccountAndSignOut(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	r.signIn("alice@example.com") // by another application
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	r.client.Jar = jar
	form := r.get("account") // leads to the form
	waiting := r.postForm("", url.Values{"nonce": {form.nonce(t)}, "address": {"johnd@example.com"}, "next": {"/account"}})
	wants(t, waiting.body, "j***@example.com")
	done := r.postForm("code", url.Values{"nonce": {waiting.nonce(t)}, "code": {r.code("johnd@example.com")}})
	if done.Request.URL.Path != "/account" {
		t.Fatalf("the sign-in ended at %s", done.Request.URL)
	}
	wants(t, done.body, "johnd@example.com", "demo-pages (here)", "<main>")
	if strings.Contains(done.body, "<th></th>") {
		t.Error("a column of the account has no name")
	}
	if strings.Contains(done.body, "demo-web") {
		t.Error("the account shows a session of somebody else")
	}
	wants(t, done.Header.Get("Content-Security-Policy"), "default-src 'none'")
	out := r.postForm("sign-out", url.Values{"nonce": {done.nonce(t)}})
	if out.StatusCode != http.StatusOK || r.get("account").Request.URL.Path != "/" {
		t.Errorf("signing out is answered %s, and /account is still shown", out.Status)
	}
}

var nonceField = regexp.MustCompile(`name="nonce" value="([^"]+)"`)

func (a answer) nonce(t *testing.T) string {
	t.Helper()
	found := nonceField.FindStringSubmatch(a.body)
	if a.StatusCode != http.StatusOK || found == nil {
		t.Fatalf("%s has no form: %s %s", a.Request.URL, a.Status, a.body)
	}
	return found[1]
}

func TestRestartKeepsUsersRefreshTokensAndKeys(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	r := start(t, folder)
	tokens := r.signIn("newcomer@example.com")
	before := r.verify(member[string](t, tokens, "id_token"), "demo-web")
	keys := r.get(".well-known/jwks.json").body
	r.stop()

	r = start(t, folder)
	if got := r.get(".well-known/jwks.json").body; got != keys {
		t.Error("the keys are others")
	}
	status, body := r.postJSON("oauth/token", map[string]string{"grant_type": "refresh_token", "client_id": "demo-web",
		"client_secret": "demo-web-secret", "refresh_token": member[string](t, tokens, "refresh_token")})
	if status != 200 {
		t.Fatalf("the refresh token is answered %d %v", status, body)
	}
	r.postJSON("dev/clock", map[string]string{"advance": "1m"})
	again := r.signIn("newcomer@example.com")
	if after := r.verify(member[string](t, again, "id_token"), "demo-web"); after["sub"] != before["sub"] {
		t.Errorf("the user was %v and is %v", before["sub"], after["sub"])
	}
}
