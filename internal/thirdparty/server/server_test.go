// Package server_test runs the example server, built as its users build it, against real
// databases and a real mail server.
package server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed62b93bad/passwordless/internal/thirdparty/servers"
)

var shared servers.Shared

// binary is the folder that the program is built into.
var binary = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "passwordless-example-")
	if err != nil {
		return "", err
	}
	c := exec.Command("go", "build", "-o", folder, "./server")
	c.Dir, c.Env = filepath.Join("..", "..", "..", "examples"), append(os.Environ(), "GOWORK=off")
	if out, err := c.CombinedOutput(); err != nil {
		return folder, fmt.Errorf("build the example server: %w: %s", err, out)
	}
	return folder, nil
})

func TestMain(m *testing.M) {
	code := shared.Run(m)
	if folder, _ := binary(); folder != "" {
		_ = os.RemoveAll(folder) // nothing that matters is in there
	}
	os.Exit(code)
}

// command is the server as a process that ends with the test, in a folder of the test's.
func command(t testing.TB, folder string, args ...string) *exec.Cmd {
	t.Helper()
	at, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, filepath.Join(at, "server"), append([]string{"-addr", "127.0.0.1:0"}, args...)...)
	c.Dir = folder
	return c
}

// A server is one that answers.
type server struct {
	t   testing.TB
	url string // with its slash
	cmd *exec.Cmd
	log *bytes.Buffer // of stdout and stderr; whole after stop
	out sync.WaitGroup
}

// start starts a server on a free port. It ends with the test.
func start(t testing.TB, c *exec.Cmd) *server {
	t.Helper()
	s := &server{t: t, cmd: c, log: &bytes.Buffer{}}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = c.Stdout
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	lines := bufio.NewScanner(io.TeeReader(out, s.log))
	for s.url == "" && lines.Scan() {
		_, s.url, _ = strings.Cut(lines.Text(), " is at ")
	}
	s.out.Go(func() {
		for lines.Scan() {
			continue
		}
	})
	if s.url == "" {
		t.Fatal("the server did not start")
	}
	return s
}

// stop ends the server as its operator would; twice does no harm.
func (s *server) stop() {
	s.t.Helper()
	if s.cmd.ProcessState != nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	s.out.Wait()
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("the server ended with %v: %s", err, s.log)
	}
}

// post posts an object and returns that of the answer, which must be a success.
func (s *server) post(path string, body map[string]string) map[string]any {
	s.t.Helper()
	body["client_id"], body["client_secret"] = "demo-web", "demo-web-secret"
	text, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := http.Post(s.url+path, "application/json", bytes.NewReader(text))
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	var object map[string]any
	if err := json.NewDecoder(res.Body).Decode(&object); err != nil || res.StatusCode != http.StatusOK {
		s.t.Fatalf("%s answered %s %v, %v", path, res.Status, object, err)
	}
	return object
}

// ask asks for a code by e-mail.
func (s *server) ask(email string) {
	s.t.Helper()
	s.post("passwordless/start", map[string]string{"connection": "email", "email": email, "send": "code"})
}

// exchange signs in with a code and returns the refresh token.
func (s *server) exchange(email, code string) string {
	s.t.Helper()
	return s.tokens(map[string]string{"grant_type": "http://auth0.com/oauth/grant-type/passwordless/otp",
		"realm": "email", "username": email, "otp": code, "scope": "openid offline_access"})
}

func (s *server) refresh(token string) string {
	s.t.Helper()
	return s.tokens(map[string]string{"grant_type": "refresh_token", "refresh_token": token})
}

func (s *server) tokens(form map[string]string) string {
	s.t.Helper()
	tokens := s.post("oauth/token", form)
	refresh, _ := tokens["refresh_token"].(string)
	if access, _ := tokens["access_token"].(string); access == "" || refresh == "" {
		s.t.Fatalf("tokens are missing among %d", len(tokens))
	}
	return refresh
}

// code returns the newest code in the outbox.
func (s *server) code(email string) string {
	s.t.Helper()
	res, err := http.Get(s.url + "dev/outbox?to=" + email)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	var all []struct{ Code string }
	if err := json.NewDecoder(res.Body).Decode(&all); err != nil || len(all) == 0 {
		s.t.Fatalf("%d messages, %v", len(all), err)
	}
	return all[0].Code
}
