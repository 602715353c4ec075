package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed62b93bad/passwordless/internal/thirdparty/servers"
)

// The mail server is chasquid, of Debian's package of that name: it wants STARTTLS and a password, and
// delivers into a file.

// goodPassword is that of the user login.
const goodPassword = "pw-of-login"

// A mailServer is one that runs.
type mailServer struct {
	folder string
	port   int
	user   *syscall.Credential // nil: the user of this process
}

// TestCodeInTheDeliveredMailSignsIn is the whole way as in production: without -dev, the mail is all
// that knows the code.
func TestCodeInTheDeliveredMailSignsIn(t *testing.T) {
	t.Parallel()
	m := startMailServer(t)
	c := command(t, t.TempDir(), "-store", "memory", "-dev=false", "-smtp", m.url(goodPassword))
	c.Env = append(os.Environ(), "SSL_CERT_FILE="+m.certificate())
	s := start(t, c)
	s.ask(alice)
	message := m.delivered(t, "alice")
	if got := message.Header.Get("From"); got != `"Example" <login@example.com>` {
		t.Errorf("From is %s", got)
	}
	if got := message.Header.Get("Received"); !strings.Contains(got, "TLS-1.3") {
		t.Errorf("the mail did not come by TLS: %s", got)
	}
	code := regexp.MustCompile(`(?m)^ +(\d{6})\r?$`).FindStringSubmatch(text(t, message))
	if code == nil {
		t.Fatal("the text part has no line with a code")
	}
	s.exchange(alice, code[1])
	s.stop()
	if strings.Contains(s.log.String(), code[1]) || strings.Contains(s.log.String(), alice) {
		t.Errorf("the log has the code or the address: %s", s.log)
	}
}

// A mail that the server refuses is reported in the log, without the address and without what the
// server said.
func TestRefusedMailIsInTheLog(t *testing.T) {
	t.Parallel()
	m := startMailServer(t)
	for rule, test := range map[string]struct{ password, trusted string }{
		"wrong password":        {"pw-that-is-wrong", m.certificate()},
		"certificate not known": {goodPassword, os.DevNull},
	} {
		c := command(t, t.TempDir(), "-store", "memory", "-dev=false", "-smtp", m.url(test.password))
		c.Env = append(os.Environ(), "SSL_CERT_FILE="+test.trusted, "SSL_CERT_DIR=/nowhere")
		s := start(t, c)
		s.ask(alice)
		s.stop()
		if log := s.log.String(); !strings.Contains(log, "message not sent") ||
			strings.Contains(log, alice) || strings.Contains(log, test.password) {
			t.Errorf("%s: %s", rule, log)
		}
	}
	if _, err := os.Stat(m.mailbox("alice")); !errors.Is(err, os.ErrNotExist) {
		t.Error("something was delivered")
	}
}

func (m *mailServer) url(password string) string {
	u := url.URL{Scheme: "smtp", User: url.UserPassword("login@example.com", password), Host: fmt.Sprintf("localhost:%d", m.port),
		RawQuery: url.Values{"from": {"Example <login@example.com>"}}.Encode()}
	return u.String()
}

func (m *mailServer) certificate() string {
	return filepath.Join(m.folder, "certs", "localhost", "fullchain.pem")
}

func (m *mailServer) mailbox(user string) string { return filepath.Join(m.folder, "box", user) }

// delivered waits for a mail.
func (m *mailServer) delivered(t *testing.T, user string) *mail.Message {
	t.Helper()
	for range 600 {
		// It is renamed when it is complete.
		if file, err := os.Open(m.mailbox(user)); err == nil {
			defer file.Close()
			message, err := mail.ReadMessage(file)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(message.Body)
			if err != nil {
				t.Fatal(err)
			}
			message.Body = strings.NewReader(string(body))
			return message
		}
		time.Sleep(50 * time.Millisecond)
	}
	log, _ := os.ReadFile(filepath.Join(m.folder, "log"))
	t.Fatalf("no mail was delivered: %s", log)
	return nil
}

// text returns the plain part of a mail.
func text(t *testing.T, m *mail.Message) string {
	t.Helper()
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	part, err := multipart.NewReader(m.Body, params["boundary"]).NextRawPart()
	if err != nil {
		t.Fatal(err)
	}
	if got := part.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/plain") {
		t.Fatalf("the first part is %s", got)
	}
	b, err := io.ReadAll(quotedprintable.NewReader(part))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// startMailServer starts a mail server for example.com, with the users alice and login, on a free port. It ends with
// the test.
func startMailServer(t *testing.T) *mailServer {
	t.Helper()
	for _, program := range []string{"chasquid", "chasquid-util"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("PASSWORDLESS_TEST_REQUIRE") == "1" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	folder, err := os.MkdirTemp("", "passwordless-mail-") //nolint:usetesting // another user must reach it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	m := &mailServer{folder: folder, port: servers.FreePort(), user: unprivileged(t)}
	m.configure(t)
	log, err := os.Create(filepath.Join(folder, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	c := exec.Command("chasquid", "-config_dir="+folder)
	c.Dir, c.Env, c.Stdout, c.Stderr = folder, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + folder}, log, log
	c.SysProcAttr = &syscall.SysProcAttr{Credential: m.user, Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait() // it was killed
	})
	m.await(t)
	return m
}

// await waits until the server answers.
func (m *mailServer) await(t *testing.T) {
	t.Helper()
	for range 1200 {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", m.port))
		if err == nil {
			conn.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	log, _ := os.ReadFile(filepath.Join(m.folder, "log"))
	t.Fatalf("the mail server does not answer: %s", log)
}

// configure writes what the server reads.
func (m *mailServer) configure(t *testing.T) {
	t.Helper()
	for _, folder := range []string{"certs/localhost", "domains/example.com", "data", "box"} {
		if err := os.MkdirAll(filepath.Join(m.folder, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	certificate(t, filepath.Join(m.folder, "certs", "localhost"))
	m.write(t, "chasquid.conf", fmt.Sprintf(`hostname: "localhost"
submission_address: "127.0.0.1:%d"
data_dir: %q
mail_log_path: "<stderr>"
mail_delivery_agent_bin: "/bin/sh"
mail_delivery_agent_args: "-c"
mail_delivery_agent_args: "cat > \"$0.part\" && mv \"$0.part\" \"$0\""
mail_delivery_agent_args: "%s/%%to_user%%"
`, m.port, filepath.Join(m.folder, "data"), filepath.Join(m.folder, "box")))
	for user, password := range map[string]string{"login": goodPassword, "alice": "another"} {
		out, err := exec.Command("chasquid-util", "-C="+m.folder,
			"user-add", user+"@example.com", "--password="+password).CombinedOutput()
		if err != nil {
			t.Fatalf("add a user of mail: %v: %s", err, out)
		}
	}
	if m.user == nil {
		return
	}
	err := filepath.Walk(m.folder, func(path string, _ os.FileInfo, err error) error {
		return errors.Join(err, os.Chown(path, int(m.user.Uid), int(m.user.Gid)))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (m *mailServer) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(m.folder, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// certificate writes a certificate for localhost and its key.
func certificate(t *testing.T, folder string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"fullchain.pem": {Type: "CERTIFICATE", Bytes: der},
		"privkey.pem":   {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(filepath.Join(folder, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// unprivileged returns nil, or, for a process of root, whom a server runs as.
func unprivileged(t *testing.T) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, err1 := strconv.ParseUint(nobody.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(nobody.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}
