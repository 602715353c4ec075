package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestFlagsThatDoNotGoTogetherAreRefused(t *testing.T) {
	t.Parallel()
	const public = "https://login.example.com/"
	example := exampleWorld(t)
	tests := []struct {
		rule string
		args []string
		says []string
	}{
		{"the demo world is for loopback", []string{"-addr", "0.0.0.0:0"}, []string{"-addr: not loopback", "-issuer: required"}},
		{"all interfaces are not loopback", []string{"-addr", ":0", "-dev=false"},
			[]string{"-addr: not loopback", "-smtp: required"}},
		{"nor is a name", []string{"-addr", "example.com:0"}, []string{"-addr: not loopback"}},
		{"the demo world has no public issuer", []string{"-issuer", public}, []string{"-issuer: not loopback"}},
		{"-dev is for loopback", []string{"-addr", "0.0.0.0:0", "-config", example, "-issuer", public, "-dev"},
			[]string{"-dev: not loopback"}},
		{"-dev is for a loopback issuer: a proxy may serve the other one", []string{"-config", example, "-issuer", public, "-dev"},
			[]string{"-dev: -issuer is not loopback"}},
		{"a store has a path", []string{"-store", "sqlite:"}, []string{"-store: sqlite without a path"}},
		{"messages go somewhere", []string{"-config", example}, []string{"-smtp: required"}},
		{"the issuer is at the root", []string{"-issuer", "http://127.0.0.1:8080/login/"}, []string{"-issuer: want"}},
		{"a certificate has a key", []string{"-tls-cert", "cert.pem"}, []string{"-tls-cert, -tls-key"}},
		{"a store has a known name", []string{"-store", "mongodb://127.0.0.1"}, []string{"-store: want memory"}},
		{"arguments are flags", []string{"8080"}, []string{"begin with a hyphen"}},
		{"the mail server has a URL", []string{"-smtp", "mail.example.com"}, []string{"-smtp: "}},
		{"flags are known", []string{"-port", "8080"}, []string{"-port"}},
	}
	for _, test := range tests {
		t.Run(test.rule, func(t *testing.T) {
			t.Parallel()
			wants(t, refused(t, t.TempDir(), test.args...), test.says...)
		})
	}
}

func TestErrorsDoNotShowPasswordsOfStores(t *testing.T) {
	t.Parallel()
	at := nowhere(t)
	for _, store := range []string{"postgres://me:hunter2@" + at + "/db", "postgres://me:hunter2@[bad/db",
		"redis://me:hunter2@" + at + "/0", "redis://me:hunter2@[bad/0"} {
		said := refused(t, t.TempDir(), "-store", store)
		if strings.Contains(said, "hunter2") || !strings.Contains(said, "-store: ") {
			t.Errorf("%s: %s", store, said)
		}
	}
}

func TestStoreThatCannotBeLeavesNoSecrets(t *testing.T) {
	t.Parallel()
	for _, store := range []string{"mysql://127.0.0.1/db", "sqlite:", "sqlite", "", "postgres://[bad/db", "redis://[bad/0"} {
		folder := t.TempDir()
		wants(t, refused(t, folder, "-store", store), "-store: ")
		if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
			t.Errorf("-store %q leaves %v, %v", store, left, err)
		}
	}
}

func TestSchemesOfOneStoreHaveOneFileOfSecrets(t *testing.T) {
	t.Parallel()
	at := nowhere(t)
	for kind, stores := range map[string][]string{
		"postgres": {"postgres://" + at + "/db", "postgresql://" + at + "/db"},
		"redis":    {"redis://" + at + "/0", "rediss://" + at + "/0"},
	} {
		folder := t.TempDir()
		for _, store := range stores {
			refused(t, folder, "-store", store)
		}
		files, err := filepath.Glob(filepath.Join(folder, ".cache", "demo", "*"))
		if err != nil || len(files) != 1 || filepath.Base(files[0]) != kind+".secrets.json" {
			t.Errorf("%q leave %q, %v", stores, files, err)
		}
	}
}

func TestSecretsBelongToOneUserAndAreComplete(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	args := []string{"-store", "sqlite:store.db"}
	start(t, folder, args...).stop()
	path := filepath.Join(folder, "store.db.secrets.json")
	for _, file := range []string{path, filepath.Join(folder, "store.db")} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
			t.Errorf("%s: mode %v, %v, want 0600", file, info.Mode(), err)
		}
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	change := func(f func(map[string]json.RawMessage)) {
		var members map[string]json.RawMessage
		if err := json.Unmarshal(whole, &members); err != nil {
			t.Fatal(err)
		}
		f(members)
		text, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		write(t, folder, "store.db.secrets.json", string(text))
	}

	change(func(m map[string]json.RawMessage) { delete(m, "index_key"); delete(m, "signing_keys") })
	wants(t, refused(t, folder, args...), "lacks index_key", "lacks an ECDSA key", "lacks an RSA key")
	change(func(m map[string]json.RawMessage) { m["index_key"] = json.RawMessage(`"c2hvcnQ="`) })
	wants(t, refused(t, folder, args...), "index key: want at least 32")
	write(t, folder, "store.db.secrets.json", "{")
	wants(t, refused(t, folder, args...), "secrets: ")
	write(t, folder, "store.db.secrets.json", string(whole)+"{}")
	wants(t, refused(t, folder, args...), "more than one value")
	write(t, folder, "store.db.secrets.json", string(whole))
	start(t, folder, args...).stop()

	if runtime.GOOS != "windows" {
		for _, mode := range []os.FileMode{0o640, 0o604, 0o620} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			wants(t, refused(t, folder, args...), "want 0600")
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	wants(t, refused(t, folder, args...), "is gone")
}

func TestDevIsForThisMachineAlone(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir(), "-store", "memory")
	tests := []struct {
		rule   string
		host   string
		header []string
		want   int
	}{
		{"a program", "", nil, 200},
		{"another name of this machine", "localhost:1234", nil, 200},
		{"IPv6", "[::1]", nil, 200},
		{"its own page", "", []string{"Sec-Fetch-Site", "same-origin"}, 200},
		{"a person's own wish", "", []string{"Sec-Fetch-Site", "none"}, 200},
		{"another host", "login.example.com", nil, 403},
		{"a name that points here", "localhost.example.com:80", nil, 403},
		{"X-Forwarded-For", "", []string{"X-Forwarded-For", "127.0.0.1"}, 403},
		{"X-Forwarded-Host", "", []string{"X-Forwarded-Host", "localhost"}, 403},
		{"X-Real-IP", "", []string{"X-Real-IP", "127.0.0.1"}, 403},
		{"Forwarded", "", []string{"Forwarded", "for=127.0.0.1"}, 403},
		{"X-Client-IP", "", []string{"X-Client-IP", "127.0.0.1"}, 403},
		{"True-Client-IP", "", []string{"True-Client-IP", "127.0.0.1"}, 403},
		{"CF-Connecting-IP", "", []string{"CF-Connecting-IP", "127.0.0.1"}, 403},
		{"Via", "", []string{"Via", "1.1 proxy"}, 403},
		{"another site's page", "", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"another port's page", "", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"another origin", "", []string{"Origin", "http://localhost:3000"}, 403},
		{"an opaque origin", "", []string{"Origin", "null"}, 403},
	}
	for _, test := range tests {
		for _, endpoint := range []struct{ method, path, body string }{
			{"GET", "dev/outbox", ""}, {"GET", "dev/mail", ""}, {"POST", "dev/clock", `{"advance":"0s"}`},
		} {
			req := r.request(endpoint.method, endpoint.path, strings.NewReader(endpoint.body),
				append([]string{"Content-Type", "application/json"}, test.header...)...)
			if test.host != "" {
				req.Host = test.host
			}
			if a := r.do(req); a.StatusCode != test.want {
				t.Errorf("%s: %s is answered %s, want %d", test.rule, endpoint.path, a.Status, test.want)
			}
		}
	}
}

func TestDevIsThereOnlyWhereItIsOn(t *testing.T) {
	t.Parallel()
	mail := "smtp+insecure://" + nowhere(t) + "?from=login@example.com"
	r := start(t, t.TempDir(), "-store", "memory", "-dev=false", "-smtp", mail)
	for _, path := range []string{"dev/outbox", "dev/mail", "dev/clock"} {
		if a := r.get(path); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s is answered %s", path, a.Status)
		}
	}
	status, body := r.postJSON("passwordless/start",
		map[string]string{"client_id": "demo-spa", "connection": "sms", "phone_number": "+46701111111"})
	if status != 400 {
		t.Errorf("a text message is answered %d %v", status, body)
	}
	wants(t, r.log.String(), "SMS is off")
}

// exampleWorld is the file of that name, with the secret filled in that nobody can guess there.
func exampleWorld(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("world.example.json")
	if err != nil {
		t.Fatal(err)
	}
	hash := fmt.Sprintf("%x", sha256.Sum256([]byte("example-secret")))
	filled := regexp.MustCompile(`SHA-256 of [^"]*`).ReplaceAllString(string(text), hash)
	return write(t, t.TempDir(), "world.json", filled)
}

func TestExampleWorldNeedsASecret(t *testing.T) {
	t.Parallel()
	wants(t, refused(t, ".", "-config", "world.example.json", "-dev"), "clients[1].keys.secret_hashes[0]: want a SHA-256")
}

func TestExampleWorldIsServed(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir(), "-config", exampleWorld(t), "-dev")
	form := map[string]string{"client_id": "web", "client_secret": "example-secret", "connection": "email", "send": "code"}
	for email, messages := range map[string]int{"someone@example.com": 1, "stranger@example.com": 0} {
		form["email"] = email
		if status, body := r.postJSON("passwordless/start", form); status != 200 {
			t.Errorf("start answered %d %v", status, body)
		}
		if got := len(r.outbox(email)); got != messages {
			t.Errorf("%d messages to %s, want %d: sign-up is closed", got, email, messages)
		}
	}
	if got := r.outbox("someone@example.com")[0]["locale"]; got != "nb" && got != "en" {
		t.Errorf("locale %v", got)
	}
	status, body := r.postJSON("passwordless/start", map[string]string{"client_id": "demo-web", "client_secret": "demo-web-secret",
		"connection": "email", "email": "alice@example.com", "send": "code"})
	if status != 401 {
		t.Errorf("a client of the demo is answered %d %v", status, body)
	}
}

func TestEveryMistakeOfAWorldIsTold(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	world := write(t, folder, "world.json", `{
		"app_nam": "Example",
		"page_client": "nobody",
		"clients": [
			{"id": "web", "public": "yes", "codes": {"email_life": 180}, "closed_sign_up": "shut", "code_life": "3m",
				"browser": {"redirect_uris": "https://app.example.com/"}},
			{"id": "api", "keys": {"secret_hashes": ["abc"]}, "tokens": {"access_life": "soon"}, "tenant_": ""}
		],
		"users": [{"name": "Nobody", "status": "gone"}],
		"policy": {"codes": {"max_attempts": "many"}, "limits": {"email_sends": [{"count": 3, "every": "10m"}]},
			"sessions": {"refresh": "twice", "expiry": "never"}, "sms": {"prices": {"sweden": 5, "46": "much"}}},
		"trusted_proxies": ["10.0.0.0/99"]
	}`)
	wants(t, refused(t, folder, "-config", world, "-dev"),
		"app_nam: there is no such member", "app_name: required", "page_client: want the ID",
		"clients[0].public: want a bool", "clients[0].codes.email_life: want text", "clients[0].closed_sign_up: want a bool",
		"clients[0].code_life: there is no such member", "clients[0].browser.redirect_uris: want a list",
		"clients[1].keys.secret_hashes[0]: want a SHA-256", "clients[1].tokens.access_life: time: invalid duration",
		"clients[1].tenant_: there is no such member", "users[0]: neither email nor phone",
		"users[0].status: want active or blocked or expired or locked", "policy.codes.max_attempts: want a int",
		"policy.sms.prices.sweden: want a number", "policy.sms.prices.46: want a int",
		"policy.limits.email_sends[0].every: there is no such member", "policy.sessions.refresh: want one_time or reusable",
		"policy.sessions.expiry: want fixed_expiry or sliding or sliding_to_maximum", "trusted_proxies[0]: ")

	for text, says := range map[string]string{
		`{} {}`: "more than one value", `{}}`: "more than one value", ``: "unexpected EOF",
		`{"app_name": "Example",}`: "near byte", `{`: "unexpected EOF", `[]`: "want an object", `null`: "want an object",
		`{"app_name": "Example", "page_client": "web", "clients": [{"id": "web"},
			{"id": "web", "public": true, "codes": {"max_attempts": 11}}]}`: "Codes.MaxAttempts: 11 is outside",
	} {
		wants(t, refused(t, folder, "-store", "memory", "-dev", "-config", write(t, folder, "world.json", text)), says)
	}
	wants(t, refused(t, folder, "-config", "nowhere.json", "-dev"), "-config: ")
}

func TestNothingOfAWorldIsSaidTwice(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	world := write(t, folder, "world.json", `{
		"app_name": "Example", "app_name": "Other",
		"page_client": "web",
		"clients": [{"id": "web", "public": true, "public": false}],
		"users": [
			{"id": "1", "email": "someone@example.com", "email": "other@example.com"},
			{"id": "2", "email": "Someone@EXAMPLE.com", "phone": "+46701111111"},
			{"id": "1", "phone": "+46 70 111 11 11"},
			{"id": "3", "email": "someone@example.com", "tenant": "another"}
		],
		"policy": {"sessions": {"idle": "1h", "idle": "2h"}},
		"apis": {"https://api.example.com/": ["a"], "https://api.example.com/": ["b"], "none": null}
	}`)
	said := refused(t, folder, "-config", world, "-dev")
	const twice = ": there is more than one member of this name"
	wants(t, said, "app_name"+twice, "clients[0].public"+twice, "users[0].email"+twice, "policy.sessions.idle"+twice,
		"apis.https://api.example.com/"+twice, "apis.none: want a list",
		"users[1]: has the email of users[0]", "users[2]: has the id of users[0]", "users[2]: has the phone of users[1]")
	if strings.Contains(said, "users[3]") {
		t.Errorf("an address belongs to one tenant: %s", said)
	}
}

func TestTextOfTheWorldIsEscaped(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	world := write(t, folder, "world.json", `{"app_name": "<script>alert(1)</script>", "page_client": "web",
		"clients": [{"id": "web", "public": true}]}`)
	r := start(t, folder, "-config", world, "-dev", "-store", "memory")
	form := r.get("")
	cookie := form.Cookies()[0]
	values := url.Values{"nonce": {form.nonce(t)}, "address": {"alice@example.com"}}
	req := r.request("POST", "", strings.NewReader(values.Encode()), "Content-Type", "application/x-www-form-urlencoded",
		"Cookie", cookie.Name+"="+cookie.Value)
	r.do(req)
	mail := r.get("dev/mail").body
	if strings.Contains(mail, "<script") || !strings.Contains(mail, "&lt;script") {
		t.Errorf("the mailbox does not escape: %s", mail)
	}
}

func TestServesHTTPSWithSecureCookies(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	roots := certificate(t, folder)
	r := start(t, folder, "-store", "memory", "-tls-cert", "cert.pem", "-tls-key", "key.pem")
	r.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	if !strings.HasPrefix(r.url, "https://127.0.0.1:") {
		t.Errorf("the issuer is %s", r.url)
	}
	for _, c := range r.get("").Cookies() {
		if !c.Secure || !strings.HasPrefix(c.Name, "__Host-") {
			t.Errorf("cookie %s is not secure", c.Name)
		}
	}
}

// certificate writes a certificate for this machine and its key.
func certificate(t *testing.T, folder string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	write(t, folder, "cert.pem", string(cert))
	write(t, folder, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(cert)
	return roots
}

func TestRequestInFlightIsAnsweredBeforeTheEnd(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir(), "-store", "memory")
	body, send := io.Pipe()
	arrived := make(chan struct{})
	req := r.request("POST", "dev/clock", body, "Content-Type", "application/json", "Expect", "100-continue")
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		Got100Continue: func() { close(arrived) }})) // the server reads the body
	client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute}}
	answered := make(chan int)
	go func() {
		res, err := client.Do(req)
		if err != nil {
			answered <- 0
			return
		}
		res.Body.Close()
		answered <- res.StatusCode
	}()
	<-arrived
	if _, err := io.WriteString(send, `{"advance":`); err != nil {
		t.Fatal(err)
	}
	r.terminate()
	for address := req.URL.Host; ; time.Sleep(time.Millisecond) { // until the server takes no more
		conn, err := net.Dial("tcp", address)
		if err != nil {
			break
		}
		conn.Close()
	}
	_, _ = io.WriteString(send, `"1s"}`)
	send.Close()
	if got := <-answered; got != 200 {
		t.Errorf("the request in flight is answered %d", got)
	}
}
