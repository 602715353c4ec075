package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	server "github.com/seed62b93bad/passwordless/examples/server"
)

// asServer makes the test binary the server.
const asServer = "PASSWORDLESS_EXAMPLE_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) != "" {
		server.Main()
		return
	}
	os.Exit(m.Run())
}

// command is the server as a process of its own, in a folder of the test's and, unless args say otherwise, on a free port. It
// ends with the test.
func command(t *testing.T, folder string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, self, append([]string{"-addr", "127.0.0.1:0"}, args...)...)
	c.Dir, c.Env = folder, append(os.Environ(), asServer+"=1")
	return c
}

// refused runs a server that must not start, and returns what it says.
func refused(t *testing.T, folder string, args ...string) string {
	t.Helper()
	out, err := command(t, folder, args...).CombinedOutput()
	if err == nil {
		t.Fatalf("the server started with %q", args)
	}
	return string(out)
}

// A running is a server that answers.
type running struct {
	t      *testing.T
	url    string // with its slash
	client *http.Client
	cmd    *exec.Cmd
	log    *buffer // of stderr
	end    sync.Once
}

// start starts a server, and stops it when the test ends.
func start(t *testing.T, folder string, args ...string) *running {
	t.Helper()
	r := &running{t: t, client: &http.Client{Timeout: 30 * time.Second}, log: &buffer{}}
	r.cmd = command(t, folder, args...)
	r.cmd.Stderr = r.log
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for r.url == "" && lines.Scan() {
		_, r.url, _ = strings.Cut(lines.Text(), " is at ")
	}
	go io.Copy(io.Discard, out)
	t.Cleanup(r.stop)
	if r.url == "" {
		t.Fatalf("the server did not start: %s", r.log)
	}
	return r
}

// stop ends the server as its operator would; twice does no harm.
func (r *running) stop() {
	r.t.Helper()
	if r.cmd.ProcessState != nil {
		return
	}
	r.terminate()
	if err := r.cmd.Wait(); err != nil {
		r.t.Errorf("the server ended with %v: %s", err, r.log)
	}
}

// terminate tells the server to end, once: a second time would mean at once.
func (r *running) terminate() {
	r.end.Do(func() { _ = r.cmd.Process.Signal(syscall.SIGTERM) })
}

// A buffer may be read while a process still writes.
type buffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// An answer is a response that was read.
type answer struct {
	*http.Response
	body string
}

func (r *running) do(req *http.Request) answer {
	r.t.Helper()
	res, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer{res, string(body)}
}

func (r *running) request(method, path string, body io.Reader, header ...string) *http.Request {
	r.t.Helper()
	req, err := http.NewRequest(method, r.url+path, body)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return req
}

func (r *running) get(path string, header ...string) answer {
	r.t.Helper()
	return r.do(r.request("GET", path, nil, header...))
}

func (r *running) postForm(path string, form url.Values) answer {
	r.t.Helper()
	return r.do(r.request("POST", path, strings.NewReader(form.Encode()), "Content-Type", "application/x-www-form-urlencoded"))
}

// postJSON posts an object and returns that of the answer.
func (r *running) postJSON(path string, body map[string]string) (int, map[string]any) {
	r.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		r.t.Fatal(err)
	}
	a := r.do(r.request("POST", path, bytes.NewReader(text), "Content-Type", "application/json"))
	var object map[string]any
	if err := json.Unmarshal([]byte(a.body), &object); err != nil {
		r.t.Fatalf("%s answered %s %q", path, a.Status, a.body)
	}
	return a.StatusCode, object
}

// outbox returns the messages to an address.
func (r *running) outbox(to string) []map[string]any {
	r.t.Helper()
	var all []map[string]any
	a := r.get("dev/outbox?to=" + to)
	if err := json.Unmarshal([]byte(a.body), &all); err != nil {
		r.t.Fatalf("/dev/outbox answered %s %q", a.Status, a.body)
	}
	return all
}

// code returns the newest code to an address.
func (r *running) code(to string) string {
	r.t.Helper()
	all := r.outbox(to)
	if len(all) == 0 {
		r.t.Fatalf("no message to %s", to)
	}
	code, _ := all[0]["code"].(string)
	if code == "" {
		r.t.Fatalf("no code in %v", all[0])
	}
	return code
}

// ask starts a sign-in of demo-web by e-mail.
func (r *running) ask(email string) {
	r.t.Helper()
	status, body := r.postJSON("passwordless/start", map[string]string{"client_id": "demo-web", "client_secret": "demo-web-secret",
		"connection": "email", "email": email, "send": "code"})
	if status != 200 || body["email"] != email {
		r.t.Fatalf("start answered %d %v", status, body)
	}
}

// exchange presents a code as demo-web does.
func (r *running) exchange(email, code string) (int, map[string]any) {
	r.t.Helper()
	return r.postJSON("oauth/token", map[string]string{"grant_type": "http://auth0.com/oauth/grant-type/passwordless/otp",
		"client_id": "demo-web", "client_secret": "demo-web-secret", "realm": "email", "username": email, "otp": code,
		"scope": "openid profile email offline_access"})
}

// signIn signs somebody in and returns the tokens.
func (r *running) signIn(email string) map[string]any {
	r.t.Helper()
	r.ask(email)
	status, tokens := r.exchange(email, r.code(email))
	if status != 200 {
		r.t.Fatalf("token answered %d %v", status, tokens)
	}
	return tokens
}

// nowhere is an address of this machine at which nobody listens for as long as the test runs: a connection has its port.
func nowhere(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.LocalAddr().String()
}

// write writes a file and returns its path.
func write(t *testing.T, folder, name, text string) string {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// wants reports each text that is not in the whole.
func wants(t *testing.T, whole string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(whole, text) {
			t.Errorf("%q is not in:\n%s", text, whole)
		}
	}
}

func member[T any](t *testing.T, object map[string]any, name string) T {
	t.Helper()
	v, ok := object[name].(T)
	if !ok {
		t.Fatalf("%s is %v in %s", name, object[name], fmt.Sprint(object))
	}
	return v
}
