package outbound_test

import (
	"context"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/seed62b93bad/passwordless/internal/outbound"
)

// trusted is a server whose certificate TestMain makes trusted, where the environment can say so.
var trusted *httptest.Server

func TestMain(m *testing.M) {
	trusted = httptest.NewTLSServer(hello)
	folder, err := os.MkdirTemp("", "outbound")
	if err != nil {
		panic(err)
	}
	file := filepath.Join(folder, "ca.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: trusted.Certificate().Raw}
	if err := errors.Join(os.WriteFile(file, pem.EncodeToMemory(block), 0o600), os.Setenv("SSL_CERT_FILE", file)); err != nil {
		panic(err)
	}
	code := m.Run()
	trusted.Close()
	os.RemoveAll(folder)
	os.Exit(code)
}

var hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Set-Cookie", "a=b")
	_, _ = w.Write([]byte("hello " + r.Header.Get("Accept") + r.Header.Get("Cookie")))
})

func get(t *testing.T, c *outbound.Client, url string) (string, error) {
	t.Helper()
	b, err := c.Document(t.Context(), url, "text/plain", 16)
	return string(b), err
}

func TestADocumentIsGot(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(hello)
	defer server.Close()
	urls := []string{server.URL, server.URL, strings.Replace(server.URL, "127.0.0.1", "localhost", 1)}
	if runtime.GOOS == "linux" {
		urls = append(urls, trusted.URL)
	}
	c := outbound.New()
	for _, url := range urls {
		if text, err := get(t, c, url); err != nil || text != "hello text/plain" {
			t.Errorf("%s: got %q, %v", url, text, err)
		}
	}
}

func TestADocumentIsRefused(t *testing.T) {
	t.Parallel()
	answer := func(f http.HandlerFunc) string {
		server := httptest.NewServer(f)
		t.Cleanup(server.Close)
		return server.URL
	}
	nobody, err := net.Dial("tcp", trusted.Listener.Addr().String()) // a connection has its port, so nobody listens there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nobody.Close() })
	target := answer(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") })
	_, port, _ := net.SplitHostPort(trusted.Listener.Addr().String())
	for _, c := range []struct {
		rule, url string
		want      error
	}{
		{"http to another machine", "http://192.0.2.1/", outbound.ErrURL},
		{"http to a name that begins like ours", "http://localhost.example.com/", outbound.ErrURL},
		{"another scheme", "file:///etc/hosts", outbound.ErrURL},
		{"no host", "https:///x", outbound.ErrURL},
		{"no URL", "https://a b/", outbound.ErrURL},
		{"user information", "https://user:password@localhost/", outbound.ErrURL},
		{"nobody listens", "http://" + nobody.LocalAddr().String(), outbound.ErrConnect},
		{"a certificate of another host", "https://localhost:" + port, outbound.ErrCertificate},
		{"a redirect", answer(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target, http.StatusFound) }),
			outbound.ErrStatus},
		{"no content", answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }),
			outbound.ErrStatus},
		{"a byte too much", answer(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 17)) }),
			outbound.ErrTooLarge},
		{"headers without end",
			answer(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<17)) }),
			outbound.ErrAnswer},
		{"broken off", answer(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), outbound.ErrAnswer},
	} {
		if text, err := get(t, outbound.New(), c.url); !errors.Is(err, c.want) || text != "" {
			t.Errorf("%s: got %q, %v", c.rule, text, err)
		}
	}
}

func TestAnEndedContextEndsTheRequest(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	for rule, f := range map[string]http.HandlerFunc{
		"no answer": func(http.ResponseWriter, *http.Request) { <-done },
		"half an answer": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("half"))
			w.(http.Flusher).Flush()
			<-done
		},
	} {
		server := httptest.NewServer(f)
		defer server.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, err := outbound.New().Document(ctx, server.URL, "text/plain", 16); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got %v", rule, err)
		}
	}
	close(done)
}
