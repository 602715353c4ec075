package smtpsender_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed62b93bad/passwordless/sender/sendertest"
)

// A server is a small SMTP server on the loopback address. Its behaviour is set before the first connection.
type server struct {
	t          *testing.T
	port       int
	tls        *tls.Config
	roots      *x509.CertPool
	implicit   bool   // TLS from the first byte
	noSTARTTLS bool   // and no TLS at all
	login      string // the PLAIN initial response that is demanded, unless ""

	mu sync.Mutex // guards what follows
	// answers replace what the server says to a command, to "connect" or to "body": "drop" hangs up, "silence" says nothing.
	answers map[string]string
	mails   []received
	said    []string // commands
}

type received struct {
	from   string
	to     []string
	secure bool
	data   []byte
}

func startServer(t *testing.T, change func(*server)) *server {
	t.Helper()
	s := &server{t: t, answers: map[string]string{}}
	s.tls, s.roots = certificate(t)
	if change != nil {
		change(s)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.port = l.Addr().(*net.TCPAddr).Port
	var wg sync.WaitGroup
	var conns sync.Map
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Store(conn, nil)
			wg.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		conns.Range(func(conn, _ any) bool { _ = conn.(net.Conn).Close(); return true })
		wg.Wait()
	})
	return s
}

// serve speaks on one connection.
func (s *server) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	secure := s.implicit
	if secure {
		conn = tls.Server(conn, s.tls)
	}
	text := textproto.NewConn(conn)
	var m received
	if !s.answer(text, "connect", "220 test ESMTP") {
		return
	}
	for {
		line, err := text.ReadLine()
		if err != nil {
			return
		}
		s.note(line)
		verb, rest, _ := strings.Cut(line, " ")
		verb = strings.ToUpper(verb)
		var ok bool
		switch verb {
		case "EHLO":
			ok = s.answer(text, verb, s.extensions(secure))
		case "STARTTLS":
			if ok = s.answer(text, verb, "220 go on"); ok {
				conn, secure = tls.Server(conn, s.tls), true
				text = textproto.NewConn(conn)
			}
		case "AUTH":
			answer := "235 welcome"
			if rest != "PLAIN "+s.login {
				answer = "535 canary wrong " + rest
			}
			ok = s.answer(text, verb, answer)
		case "MAIL":
			m = received{from: rest, secure: secure}
			ok = s.answer(text, verb, "250 fine")
		case "RCPT":
			addr := strings.TrimPrefix(strings.TrimSuffix(rest, ">"), "TO:<")
			m.to = append(m.to, addr)
			ok = s.answer(text, verb, "250 fine")
		case "DATA":
			if ok = s.answer(text, verb, "354 go on"); !ok || s.special(verb) != "" {
				break
			}
			if m.data, err = text.ReadDotBytes(); err != nil {
				return
			}
			if answer := s.special("body"); answer == "" || answer == "drop" {
				s.keep(m)
			}
			ok = s.answer(text, "body", "250 taken")
		case "QUIT":
			_ = text.PrintfLine("221 bye")
			return
		default:
			ok = s.answer(text, verb, "250 fine")
		}
		if !ok {
			return
		}
	}
}

// answer says what belongs to a step. It reports false if the connection is over.
func (s *server) answer(text *textproto.Conn, step, usual string) bool {
	if special := s.special(step); special != "" {
		usual = special
	}
	switch usual {
	case "drop":
		return false
	case "silence":
		_, _ = io.Copy(io.Discard, text.R) // until the client gives up
		return false
	}
	return text.PrintfLine("%s", usual) == nil
}

func (s *server) set(step, answer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[step] = answer
}

func (s *server) special(step string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answers[step]
}

func (s *server) extensions(secure bool) string {
	all := []string{"test"}
	if !secure && !s.noSTARTTLS {
		all = append(all, "STARTTLS")
	}
	if s.login != "" {
		all = append(all, "AUTH LOGIN PLAIN")
	}
	all = append(all, "8BITMIME")
	for i := range all[:len(all)-1] {
		all[i] = "250-" + all[i]
	}
	all[len(all)-1] = "250 " + all[len(all)-1]
	return strings.Join(all, "\r\n")
}

func (s *server) note(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, line)
}

func (s *server) keep(m received) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, m)
}

// commands returns what clients said, one command a line.
func (s *server) commands() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.said, "\n")
}

func (s *server) received() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received(nil), s.mails...)
}

// deliveries reads the mails as a mail program would.
func (s *server) deliveries() (all []sendertest.Delivery) {
	for _, m := range s.received() {
		d, _ := parse(s.t, m)
		all = append(all, d)
	}
	return all
}

func parse(t *testing.T, m received) (sendertest.Delivery, mail.Header) {
	msg, err := mail.ReadMessage(bytes.NewReader(m.data))
	if err != nil {
		t.Errorf("mail: %v", err)
		return sendertest.Delivery{}, nil
	}
	d := sendertest.Delivery{To: m.to, Key: msg.Header.Get("Message-ID")}
	if d.Subject, err = new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject")); err != nil {
		t.Errorf("subject: %v", err)
	}
	to, err := msg.Header.AddressList("To")
	if err != nil || len(to) != 1 || to[0].Address != m.to[0] || to[0].Name != "" {
		t.Errorf("header names %v, the envelope %v, %v", to, m.to, err)
	}
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		t.Errorf("content type: %v", err)
	}
	if kind == "text/plain" {
		d.Text = decode(t, msg.Header.Get("Content-Transfer-Encoding"), msg.Body)
		return d, msg.Header
	}
	if kind != "multipart/alternative" {
		t.Errorf("content type %q", kind)
	}
	parts := multipart.NewReader(msg.Body, params["boundary"])
	for i, want := range []string{"text/plain", "text/html"} { // the plainest first
		part, err := parts.NextRawPart()
		if err != nil || !strings.HasPrefix(part.Header.Get("Content-Type"), want) {
			t.Errorf("part %d: %v, want %s", i, err, want)
			break
		}
		body := decode(t, part.Header.Get("Content-Transfer-Encoding"), part)
		if i == 0 {
			d.Text = body
		} else {
			d.HTML = body
		}
	}
	return d, msg.Header
}

func decode(t *testing.T, encoding string, body io.Reader) string {
	switch strings.ToLower(encoding) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, bufio.NewReader(body))
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Errorf("body: %v", err)
	}
	return string(text)
}

// certificate makes one for 127.0.0.1 and localhost, and the pool that trusts it.
func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(fmt.Errorf("own certificate: %w", err))
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, roots
}
