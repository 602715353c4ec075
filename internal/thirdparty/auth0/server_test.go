package auth0_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// build builds the example server as its users do, and returns its path. It goes with the test.
func build(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	c := exec.Command("go", "build", "-o", folder, "./server")
	c.Dir, c.Env = filepath.Join("..", "..", "..", "examples"), append(os.Environ(), "GOWORK=off")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("build the example server: %v: %s", err, out)
	}
	return filepath.Join(folder, "server")
}

// A server is one that answers, over TLS as https://localhost, which is what the SDKs make of a domain.
type server struct {
	url     string   // with its slash; the issuer
	folder  string   // with ca.pem, which its certificate is from
	environ []string // what its script is told besides
}

// demo starts a server with the demo world.
func demo(t *testing.T, binary string) *server {
	t.Helper()
	s := &server{folder: t.TempDir()}
	s.start(t, binary)
	return s
}

// demoForChromium is demo, if there is a Chromium.
func demoForChromium(t *testing.T, binary string) *server {
	t.Helper()
	for _, program := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(program); err == nil {
			s := demo(t, binary)
			s.environ = append(s.environ, "CHROMIUM="+path)
			return s
		}
	}
	missing(t, errors.New("Chromium is not in PATH"))
	return nil
}

// hs256Key is what the client "symmetric" verifies ID tokens with.
const hs256Key = "thirty-two bytes or more, at random"

// withKeys starts a server with a client that authenticates with a key.
func withKeys(t *testing.T, binary string) *server {
	t.Helper()
	own, other := newKey(t), newKey(t)
	s := &server{folder: t.TempDir(), environ: []string{
		"CLIENT_KEY=" + privatePEM(t, own), "OTHER_KEY=" + privatePEM(t, other), "HS256_KEY=" + hs256Key,
	}}
	object := map[string]any{
		"app_name":    "Example",
		"page_client": "pages",
		"clients": []map[string]any{
			{"id": "pages", "public": true},
			{"id": "with-key", "first_party": true, "keys": map[string]any{"jwks": keySet(t, own)},
				"tokens": map[string]any{"algorithm": "RS256"}, "codes": map[string]any{"email_life": "3m", "sms_life": "3m"}},
			{"id": "symmetric", "first_party": true, "keys": map[string]any{"jwks": keySet(t, own), "hs256_key": hs256Key},
				"tokens": map[string]any{"algorithm": "HS256"}},
		},
	}
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	world := filepath.Join(s.folder, "world.json")
	if err := os.WriteFile(world, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s.start(t, binary, "-config", world, "-dev")
	return s
}

// keySet is the public half of a key as the client registers it (RFC 7517).
func keySet(t *testing.T, key *rsa.PrivateKey) string {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	text, err := json.Marshal(map[string]any{"keys": []map[string]string{{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "first",
		"n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes()),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// start runs the server on a free port until the test ends.
func (s *server) start(t *testing.T, binary string, args ...string) {
	t.Helper()
	certificate, key := writeCertificates(t, s.folder)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, binary, append([]string{
		"-addr", "localhost:0", "-store", "memory", "-tls-cert", certificate, "-tls-key", key}, args...)...)
	c.Dir = s.folder
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = c.Stdout
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	log := &bytes.Buffer{}
	lines := bufio.NewScanner(io.TeeReader(out, log))
	for s.url == "" && lines.Scan() {
		_, s.url, _ = strings.Cut(lines.Text(), " is at ")
	}
	var rest sync.WaitGroup
	rest.Go(func() {
		for lines.Scan() {
			continue
		}
	})
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM) // fails only if it has ended
		rest.Wait()
		if err := c.Wait(); err != nil {
			t.Errorf("the server ended with %v: %s", err, log)
		}
	})
	if s.url == "" {
		t.Fatal("the server did not start")
	}
}
