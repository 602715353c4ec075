package strict_test

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/seed62b93bad/passwordless/internal/strict"
)

func TestClientIP(t *testing.T) {
	t.Parallel()
	rows := []struct {
		rule      string
		peer      string
		forwarded []string // header lines in order
		want      string
	}{
		{"RL-6 no proxy: the peer", "203.0.113.9:1234", nil, "203.0.113.9"},
		{"RL-6 an untrusted peer's header is ignored", "203.0.113.9:1234", []string{"1.1.1.1"}, "203.0.113.9"},
		{"RL-6 a trusted peer's client", "10.0.0.1:1", []string{"203.0.113.9"}, "203.0.113.9"},
		{"RL-6 spoofed values on the left", "10.0.0.1:1", []string{"1.1.1.1, 2.2.2.2, 203.0.113.9"}, "203.0.113.9"},
		{"RL-6 a spoofed proxy on the left", "10.0.0.1:1", []string{"10.0.0.2, 203.0.113.9"}, "203.0.113.9"},
		{"RL-6 through two proxies", "10.0.0.1:1", []string{"1.1.1.1, 203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
		{"RL-6 proxies only: the first of them", "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"RL-6 header lines are one list", "10.0.0.1:1", []string{"1.1.1.1", "203.0.113.9", "10.0.0.2"}, "203.0.113.9"},
		{"RL-6 the last line counts first", "10.0.0.1:1", []string{"1.1.1.1, 10.0.0.2", "203.0.113.9"}, "203.0.113.9"},
		{"RL-6 garbage stops at the proxy that sent it", "10.0.0.1:1", []string{"203.0.113.9, garbage"}, "10.0.0.1"},
		{"RL-6 garbage further left", "10.0.0.1:1", []string{"203.0.113.9, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"RL-6 an empty entry is garbage", "10.0.0.1:1", []string{"203.0.113.9,"}, "10.0.0.1"},
		{"RL-6 an empty header", "10.0.0.1:1", []string{""}, "10.0.0.1"},
		{"RL-6 an empty last line is garbage", "10.0.0.1:1", []string{"203.0.113.9", " "}, "10.0.0.1"},
		{"RL-6 no header", "10.0.0.1:1", nil, "10.0.0.1"},
		{"RL-6 a host name is garbage", "10.0.0.1:1", []string{"localhost"}, "10.0.0.1"},
		{"RL-6 a quoted address is garbage", "10.0.0.1:1", []string{`"203.0.113.9"`}, "10.0.0.1"},
		{"RL-6 an IPv4 literal with leading zeros is garbage", "10.0.0.1:1", []string{"203.0.113.009"}, "10.0.0.1"},
		{"RL-6 a bracket left open is garbage", "10.0.0.1:1", []string{"[2001:db8::1"}, "10.0.0.1"},
		{"RL-6 IPv4 in brackets is garbage", "10.0.0.1:1", []string{"[203.0.113.9]"}, "10.0.0.1"},
		{"RL-6 IPv4 with port", "10.0.0.1:1", []string{"203.0.113.9:4711"}, "203.0.113.9"},
		{"RL-6 IPv6", "10.0.0.1:1", []string{"2001:db8::1"}, "2001:db8::1"},
		{"RL-6 IPv6 in brackets", "10.0.0.1:1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"RL-6 IPv6 with port", "10.0.0.1:1", []string{"[2001:db8::1]:443"}, "2001:db8::1"},
		{"RL-6 tabs and blanks", "10.0.0.1:1", []string{"1.1.1.1 ,\t203.0.113.9 "}, "203.0.113.9"},
		{"RL-7 a mapped peer is IPv4", "[::ffff:203.0.113.9]:1", nil, "203.0.113.9"},
		{"RL-7 a mapped peer is a trusted proxy", "[::ffff:10.0.0.1]:1", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		{"RL-7 zones are dropped", "[fe80::1%eth0]:1", nil, "fe80::1"},
		{"RL-7 a zone that a proxy names is dropped", "10.0.0.1:1", []string{"fe80::1%eth1"}, "fe80::1"},
		{"RL-7 capitals", "10.0.0.1:1", []string{"2001:DB8::AB"}, "2001:db8::ab"},
		{"RL-7 every zero written", "10.0.0.1:1", []string{"2001:0db8:0000:0000:0000:0000:0000:00ab"}, "2001:db8::ab"},
		{"RL-7 other zeros left out", "10.0.0.1:1", []string{"2001:db8:0:0::ab"}, "2001:db8::ab"},
		{"RL-7 the end as IPv4", "10.0.0.1:1", []string{"2001:db8::0.0.0.171"}, "2001:db8::ab"},
		{"RL-7 a mapped address in hexadecimal", "10.0.0.1:1", []string{"::FFFF:CB00:7109"}, "203.0.113.9"},
		{"RL-7 a mapped address with a zone and port", "10.0.0.1:1", []string{"[0:0:0:0:0:ffff:cb00:7109%1]:2"}, "203.0.113.9"},
		{"RL-6 an IPv6 proxy", "[2001:db8:aaaa::1]:1", []string{"203.0.113.9"}, "203.0.113.9"},
		{"RL-6 a single trusted address", "192.0.2.7:1", []string{"203.0.113.9"}, "203.0.113.9"},
		{"RL-6 its neighbour is not", "192.0.2.8:1", []string{"203.0.113.9"}, "192.0.2.8"},
		{"RL-6 a Unix socket has no address", "@", []string{"203.0.113.9"}, "invalid IP"},
		{"RL-6 an empty peer has no address", "", []string{"203.0.113.9"}, "invalid IP"},
		{"RL-6 a peer without port", "203.0.113.9", nil, "203.0.113.9"},
	}
	proxies, err := strict.ParseProxies("10.0.0.0/8", "192.0.2.7", "2001:db8:aaaa::/48")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		req := &http.Request{RemoteAddr: r.peer, Header: http.Header{}}
		for _, line := range r.forwarded {
			req.Header.Add("X-Forwarded-For", line)
		}
		if got := proxies.ClientIP(req); got.String() != r.want {
			t.Errorf("%s: got %s, want %s", r.rule, got, r.want)
		}
	}
}

// Without configured proxies no header counts, and others never do (RL-6, HT-6).
func TestOtherHeadersNameNoClient(t *testing.T) {
	t.Parallel()
	proxies, err := strict.ParseProxies("10.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	req := &http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{}}
	for _, name := range []string{"X-Real-Ip", "Forwarded", "X-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip",
		"Auth0-Forwarded-For"} {
		req.Header.Set(name, "203.0.113.9")
	}
	want := netip.MustParseAddr("10.0.0.1")
	if got := proxies.ClientIP(req); got != want {
		t.Errorf("got %s", got)
	}
	req.Header.Set("X-Forwarded-For", "203.0.113.9")
	if got := (strict.Proxies)(nil).ClientIP(req); got != want {
		t.Errorf("without proxies: got %s", got)
	}
}

// A proxy that nobody named shows itself by what it adds (RL-6).
func TestIgnoredTellsWhichHeaderWasNotRead(t *testing.T) {
	t.Parallel()
	proxies, err := strict.ParseProxies("10.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	const peer, list, other = "of a peer that is no trusted proxy", "X-Forwarded-For", "Forwarded"
	for _, row := range []struct {
		peer    string
		headers []string
		want    string
	}{
		{"203.0.113.1:1", nil, ""},
		{"203.0.113.1:1", []string{list}, list + " " + peer},
		{"203.0.113.1:1", []string{other}, other + " " + peer},
		{"203.0.113.1:1", []string{list, other}, list + " " + peer},
		{"203.0.113.1:1", []string{"X-Real-Ip"}, ""},
		{"10.0.0.1:1", nil, ""},
		{"[::ffff:10.0.0.1]:1", []string{list}, ""},
		{"10.0.0.1:1", []string{list, other}, ""},
		{"10.0.0.1:1", []string{other}, other + " of a trusted proxy, of which X-Forwarded-For alone is read"},
		{"@", []string{list}, list + " " + peer}, // of a Unix socket
	} {
		req := &http.Request{RemoteAddr: row.peer, Header: http.Header{}}
		for _, name := range row.headers {
			req.Header.Set(name, "203.0.113.9")
		}
		if got := proxies.Ignored(req); got != row.want {
			t.Errorf("%v of %s: got %q, want %q", row.headers, row.peer, got, row.want)
		}
	}
	req := &http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{list: {"203.0.113.9"}}}
	if strict.Proxies(nil).Ignored(req) == "" {
		t.Error("without proxies nothing is told")
	}
}

// All mistakes are reported at once, and trusting everybody is one (OP-1).
func TestParseProxiesMistakes(t *testing.T) {
	t.Parallel()
	bad := []string{"", "proxy.internal", "10.0.0.0/33", "10.0.0.1:80", "0.0.0.0/0", "::/0",
		"::ffff:10.0.0.0/104", "fe80::1%eth0", "10/8"}
	proxies, err := strict.ParseProxies(append(bad, "10.0.0.0/8")...)
	if err == nil || proxies != nil {
		t.Fatalf("got %v, %v", proxies, err)
	}
	if lines := strings.Count(err.Error(), "\n") + 1; lines != len(bad) {
		t.Errorf("%d mistakes reported, want %d:\n%v", lines, len(bad), err)
	}
	folded, err := strict.ParseProxies("::ffff:10.0.0.1", "10.1.2.3/8", "2001:db8::1")
	if err != nil || !slices.Equal(folded, strict.Proxies{
		netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::1/128"),
	}) {
		t.Errorf("got %v, %v", folded, err)
	}
}

func TestSecureHeaders(t *testing.T) {
	t.Parallel()
	j, p := http.Header{}, http.Header{}
	strict.SecureJSON(j)
	strict.SecureHTML(p, strict.CSP{})
	for rule, r := range map[string]struct{ got, want http.Header }{
		"HT-10": {j, http.Header{
			"Content-Type":           {"application/json; charset=utf-8"},
			"Cache-Control":          {"no-store"},
			"X-Content-Type-Options": {"nosniff"},
		}},
		"LK-6": {p, http.Header{
			"Content-Type":               {"text/html; charset=utf-8"},
			"Cache-Control":              {"no-store"},
			"X-Content-Type-Options":     {"nosniff"},
			"Referrer-Policy":            {"no-referrer"},
			"Cross-Origin-Opener-Policy": {"same-origin"},
			"Content-Security-Policy": {"default-src 'none'; style-src 'self'; " +
				"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"},
		}},
	} {
		if !maps.EqualFunc(r.got, r.want, slices.Equal) {
			t.Errorf("%s: got %v, want %v", rule, r.got, r.want)
		}
	}
}

// What could widen the policy beyond its field is left out (LK-6).
func TestCSP(t *testing.T) {
	t.Parallel()
	full := strict.CSP{StyleNonce: "c3R5", ScriptNonce: "c2M=", FormAction: []string{"https://app.example.com"}}
	want := "default-src 'none'; style-src 'nonce-c3R5'; script-src 'nonce-c2M='; " +
		"form-action 'self' https://app.example.com; frame-ancestors 'none'; base-uri 'none'"
	if got := full.String(); got != want {
		t.Errorf("got %s", got)
	}
	for _, s := range []string{"x; script-src *", "x' 'unsafe-inline", "a b", "*", "https://*.evil.com", "a,b",
		"a\r\nSet-Cookie: x", "ü"} {
		if got := (strict.CSP{StyleNonce: s, ScriptNonce: s, FormAction: []string{s, s}}).String(); got != (strict.CSP{}).String() {
			t.Errorf("%q gives %s", s, got)
		}
	}
}

func TestRecover(t *testing.T) {
	t.Parallel()
	var told []any
	handler := strict.Recover(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "session=canary")
		w.Header().Set("Location", "https://canary")
		panic("canary")
	}), func(r *http.Request, value any) { told = append(told, value) })
	rec := httptest.NewRecorder()
	rec.Header().Set("X-Outer", "kept")
	handler.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
	want := http.Header{
		"X-Outer":                {"kept"},
		"Content-Type":           {"text/plain; charset=utf-8"},
		"Cache-Control":          {"no-store"},
		"X-Content-Type-Options": {"nosniff"},
	}
	if rec.Code != 500 || rec.Body.String() != "Internal Server Error\n" || !maps.EqualFunc(rec.Header(), want, slices.Equal) {
		t.Errorf("HT-7: got %d %q %v", rec.Code, rec.Body, rec.Header())
	}
	if len(told) != 1 || told[0] != "canary" {
		t.Errorf("onPanic was told %v", told)
	}
}

// Once the answer has begun, a panic breaks the connection (HT-7).
func TestRecoverAfterTheAnswerBegan(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(http.ResponseWriter){
		"written": func(w http.ResponseWriter) { _, _ = io.WriteString(w, "half") },
		"status":  func(w http.ResponseWriter) { w.WriteHeader(http.StatusOK) },
		"flushed": func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() },
		"aborted": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	} {
		handler := strict.Recover(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			begin(w)
			panic("canary")
		}), nil)
		rec := httptest.NewRecorder()
		func() {
			defer func() {
				if v := recover(); v != http.ErrAbortHandler {
					t.Errorf("%s: panics with %v", name, v)
				}
			}()
			handler.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
		}()
		if strings.Contains(rec.Body.String(), "Error") {
			t.Errorf("%s: an error was appended", name)
		}
	}
}

// An informational status does not begin the answer, and without a panic nothing changes.
func TestRecoverIsTransparent(t *testing.T) {
	t.Parallel()
	early := strict.Recover(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		panic("canary")
	}), nil)
	server := httptest.NewServer(early)
	defer server.Close()
	resp, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusInternalServerError {
		t.Errorf("after early hints: %d", resp.StatusCode)
	}
	rec := httptest.NewRecorder()
	strict.Recover(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Inner", "kept")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "tea")
	}), nil).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
	if rec.Code != http.StatusTeapot || rec.Body.String() != "tea" || rec.Header().Get("X-Inner") != "kept" {
		t.Errorf("without a panic: %d %q %v", rec.Code, rec.Body, rec.Header())
	}
}
