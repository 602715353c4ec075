package smtpsender_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/sender"
	"github.com/seed62b93bad/passwordless/sender/sendertest"
	"github.com/seed62b93bad/passwordless/sender/smtpsender"
)

type clock time.Time

func (c clock) Now() time.Time { return time.Time(c) }

var now = clock(time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC))

func (s *server) options() smtpsender.Options {
	return smtpsender.Options{
		Host:        "127.0.0.1",
		Port:        s.port,
		ImplicitTLS: s.implicit,
		TLSConfig:   &tls.Config{RootCAs: s.roots},
		From:        "Exåmple Shop <login@example.com>",
		Timeout:     5 * time.Second,
		Clock:       now,
	}
}

func newSender(t *testing.T, opts smtpsender.Options) *smtpsender.Sender {
	t.Helper()
	s, err := smtpsender.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSender(t *testing.T) {
	for name, implicit := range map[string]bool{"STARTTLS": false, "implicit TLS": true} {
		t.Run(name, func(t *testing.T) {
			sendertest.Run(t, func(t *testing.T) sendertest.Harness {
				s := startServer(t, func(s *server) { s.implicit = implicit })
				return sendertest.Harness{
					Sender:   newSender(t, s.options()),
					Channels: []passwordless.Channel{passwordless.Email},
					Received: s.deliveries,
					Refuse:   func(reply string) { s.set("RCPT", "550 5.1.1 "+reply) },
					Hang:     func() { s.set("MAIL", "silence") },
					Lose:     func() { s.set("body", "drop") },
				}
			})
		})
	}
}

// deliver sends one message and returns the error.
func deliver(t *testing.T, opts smtpsender.Options) error {
	t.Helper()
	return newSender(t, opts).Send(t.Context(), sendertest.Message(passwordless.Email, "m-1"))
}

func TestHeaders(t *testing.T) {
	s := startServer(t, nil)
	if err := deliver(t, s.options()); err != nil {
		t.Fatal(err)
	}
	all := s.received()
	_, header := parse(t, all[0])
	for name, want := range map[string]string{
		"Message-ID":     "<m-1@example.com>",
		"Auto-Submitted": "auto-generated",
		"Date":           "Tue, 06 May 2031 07:08:09 +0000",
		"From":           "=?utf-8?q?Ex=C3=A5mple_Shop?= <login@example.com>",
		"To":             "<canary.recipient@example.com>",
		"Cc":             "",
		"Bcc":            "",
		"User-Agent":     "",
		"X-Mailer":       "",
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if !all[0].secure || all[0].from != "FROM:<login@example.com> BODY=8BITMIME" && all[0].from != "FROM:<login@example.com>" {
		t.Errorf("from %q, encrypted %v", all[0].from, all[0].secure)
	}
	if said := s.commands(); !strings.HasPrefix(said, "EHLO example.com\nSTARTTLS\nEHLO") || !strings.HasSuffix(said, "QUIT") {
		t.Errorf("the client said:\n%s", said)
	}
}

func TestTextAlone(t *testing.T) {
	s := startServer(t, nil)
	m := sendertest.Message(passwordless.Email, "m-1")
	m.HTML = ""
	if err := newSender(t, s.options()).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if d := s.deliveries(); d[0].HTML != "" || !strings.HasPrefix(d[0].Text, "Code canary") {
		t.Errorf("got %+v", d[0])
	}
}

func TestNoPlaintextByDefault(t *testing.T) {
	s := startServer(t, func(s *server) { s.noSTARTTLS = true })
	opts := s.options()
	if err := deliver(t, opts); !errors.Is(err, passwordless.ErrNotAccepted) {
		t.Errorf("a server without STARTTLS: got %v", err)
	}
	if said := s.commands(); strings.Contains(said, "MAIL") {
		t.Errorf("the client said:\n%s", said)
	}
	opts.InsecurePlaintext = true
	if err := deliver(t, opts); err != nil || len(s.received()) != 1 || s.received()[0].secure {
		t.Errorf("InsecurePlaintext: %v, %d mails", err, len(s.received()))
	}
}

func TestCertificateIsChecked(t *testing.T) {
	for name, implicit := range map[string]bool{"STARTTLS": false, "implicit TLS": true} {
		s := startServer(t, func(s *server) { s.implicit = implicit })
		opts := s.options()
		for reason, config := range map[string]*tls.Config{
			"unknown authority": nil,
			"other name":        {RootCAs: s.roots, ServerName: "mail.example.com"},
		} {
			opts.TLSConfig = config
			var bad *tls.CertificateVerificationError
			if err := deliver(t, opts); !errors.Is(err, passwordless.ErrNotAccepted) || !errors.As(err, &bad) {
				t.Errorf("%s, %s: got %v", name, reason, err)
			}
		}
		if len(s.received()) != 0 {
			t.Errorf("%s: a mail was sent", name)
		}
	}
}

func TestLogin(t *testing.T) {
	s := startServer(t, func(s *server) { s.login = "AG1lAGNhbmFyeS1wdw==" }) // "\x00me\x00canary-pw"
	opts := s.options()
	opts.Username, opts.Password = "me", "canary-pw"
	if err := deliver(t, opts); err != nil || len(s.received()) != 1 {
		t.Errorf("the right password: %v", err)
	}
	opts.Password = "canary-wrong"
	err := deliver(t, opts)
	if !errors.Is(err, passwordless.ErrNotAccepted) || errors.Is(err, sender.ErrUndeliverable) ||
		strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), "535") {
		t.Errorf("a wrong password: %v", err)
	}
	if printed := fmt.Sprintf("%v %+v %#v", opts, opts, opts.Password); strings.Contains(printed, "canary") {
		t.Errorf("Options print their password: %s", printed)
	}
}

func TestWhatTheServerSaid(t *testing.T) {
	type class int
	const (
		accepted class = iota
		notAccepted
		undeliverable
		uncertain
	)
	for _, test := range []struct {
		rule         string
		step, answer string
		want         class
		reason       string // in the error
	}{
		{"busy at connect", "connect", "421 canary@example.com busy", notAccepted, "421"},
		{"hangs up at connect", "connect", "drop", notAccepted, ""},
		{"does not speak SMTP", "connect", "canary", notAccepted, "not speak SMTP"},
		{"hangs up at EHLO", "EHLO", "drop", notAccepted, ""},
		{"refuses TLS", "STARTTLS", "454 canary", notAccepted, "454"},
		{"sender not allowed", "MAIL", "550 canary", notAccepted, "550"},
		{"mailbox busy", "RCPT", "450 canary.recipient@example.com", notAccepted, "450"},
		{"mailbox unknown", "RCPT", "550 canary.recipient@example.com", undeliverable, "550"},
		{"hangs up at RCPT", "RCPT", "drop", notAccepted, "lost"},
		{"no valid recipients", "DATA", "554 canary", undeliverable, "554"},
		{"closing down", "DATA", "421 canary", notAccepted, "421"},
		{"hangs up before the body", "DATA", "drop", notAccepted, "lost"},
		{"storage full", "body", "452 canary", notAccepted, "452"},
		{"content refused", "body", "554 canary", undeliverable, "554"},
		{"hangs up after the body", "body", "drop", uncertain, "not confirmed"},
		{"garbles its last word", "body", "canary", uncertain, "not confirmed"},
		{"hangs up after it took the message", "RSET", "drop", accepted, ""},
		{"fails after it took the message", "RSET", "421 canary", accepted, ""},
	} {
		t.Run(test.rule, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, func(s *server) { s.answers[test.step] = test.answer })
			err := deliver(t, s.options())
			got := uncertain
			switch {
			case err == nil:
				got = accepted
			case errors.Is(err, sender.ErrUndeliverable):
				got = undeliverable
			case errors.Is(err, passwordless.ErrNotAccepted):
				got = notAccepted
			}
			if got != test.want {
				t.Errorf("got %v, class %d, want %d", err, got, test.want)
			}
			if err != nil && (strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), test.reason)) {
				t.Errorf("got %v, want %q and none of the server's words", err, test.reason)
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	s := startServer(t, nil)
	opts := s.options()
	conn, err := net.Dial("tcp", net.JoinHostPort(opts.Host, strconv.Itoa(opts.Port)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	opts.Port = conn.LocalAddr().(*net.TCPAddr).Port // a connection has it, so nobody listens there
	if err := deliver(t, opts); !errors.Is(err, passwordless.ErrNotAccepted) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v", err)
	}
}

func TestSilence(t *testing.T) {
	for _, step := range []string{"connect", "EHLO", "STARTTLS", "MAIL", "RCPT", "DATA", "body", "RSET"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, func(s *server) { s.answers[step] = "silence" })
			opts := s.options()
			opts.Timeout = 2 * time.Second // enough for what comes before the silence
			start := time.Now()
			err := deliver(t, opts)
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %v", took)
			}
			switch {
			case step == "RSET" && err != nil:
				t.Errorf("the server took the message, and then: %v", err)
			case step == "body" && (err == nil || errors.Is(err, passwordless.ErrNotAccepted)):
				t.Errorf("got %v, want an uncertain error", err)
			case step != "RSET" && step != "body" && !errors.Is(err, passwordless.ErrNotAccepted):
				t.Errorf("got %v, want ErrNotAccepted", err)
			}
			if err != nil && !errors.Is(err, context.DeadlineExceeded) &&
				!strings.Contains(err.Error(), "timeout") && !strings.Contains(err.Error(), "lost") {
				t.Errorf("got %v, want a word on time", err)
			}
		})
	}
}

func TestMessagesThatAreRefused(t *testing.T) {
	s := startServer(t, nil)
	mailer := newSender(t, s.options())
	for rule, change := range map[string]func(m *passwordless.Message){
		"no ID":                     func(m *passwordless.Message) { m.ID = "" },
		"a line feed in the ID":     func(m *passwordless.Message) { m.ID = "a\nBcc:x" },
		"an ID that ends too early": func(m *passwordless.Message) { m.ID = "a>b" },
		"a long ID":                 func(m *passwordless.Message) { m.ID = strings.Repeat("a", 65) },
		"an encoded word as sender": func(m *passwordless.Message) { m.To = "=?utf-8?q?a=40b?= <a@example.com>" },
	} {
		m := sendertest.Message(passwordless.Email, "m-1")
		change(&m)
		if err := mailer.Send(t.Context(), m); !errors.Is(err, sender.ErrUndeliverable) {
			t.Errorf("%s: got %v", rule, err)
		}
	}
	if said := s.commands(); said != "" {
		t.Errorf("the client said:\n%s", said)
	}
}

func TestNewReportsAllMistakes(t *testing.T) {
	_, err := smtpsender.New(smtpsender.Options{
		Host: "mail.example.com:587/x", Port: 70000, ImplicitTLS: true, InsecurePlaintext: true,
		Username: "me", From: "a@example.com, b@example.com", HELO: "a b",
	})
	for _, want := range []string{"Host", "Port", "exclude", "show the password", "need each other", "From", "HELO"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %q in %v", want, err)
		}
	}
	for _, from := range []string{"", "a", "a@example.com\r\nBcc: b@example.com", "Name\n <a@example.com>"} {
		if _, err := smtpsender.New(smtpsender.Options{Host: "mail.example.com", From: from}); err == nil {
			t.Errorf("From %q was accepted", from)
		}
	}
}

func TestParseURL(t *testing.T) {
	for raw, want := range map[string]smtpsender.Options{
		"smtp://mail.example.com?from=a@example.com": {Host: "mail.example.com", From: "a@example.com"},
		"smtps://me:p%40ss@mail.example.com:4465/?from=Example+%3Ca@example.com%3E&helo=web.example.com": {
			Host: "mail.example.com", Port: 4465, ImplicitTLS: true, Username: "me", Password: "p@ss",
			From: "Example <a@example.com>", HELO: "web.example.com",
		},
		"smtp+insecure://localhost:1025?from=a@example.com": {
			Host: "localhost", Port: 1025, InsecurePlaintext: true, From: "a@example.com",
		},
		"smtp+insecure://[::1]?from=a@example.com":     {Host: "::1", InsecurePlaintext: true, From: "a@example.com"},
		"smtp+insecure://127.0.0.1?from=a@example.com": {Host: "127.0.0.1", InsecurePlaintext: true, From: "a@example.com"},
	} {
		got, err := smtpsender.ParseURL(raw)
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v", raw, got, err)
		}
		if _, err := smtpsender.New(got); err != nil {
			t.Errorf("%s: New: %v", raw, err)
		}
	}
	for rule, raw := range map[string]string{
		"another scheme":               "http://canary:canary@localhost?from=a@example.com",
		"no scheme":                    "localhost:25",
		"plain text to other machines": "smtp+insecure://mail.canary.com?from=a@example.com",
		"a name that begins like one":  "smtp+insecure://localhost.canary.com?from=a@example.com",
		"no from":                      "smtp://me:canary@mail.example.com",
		"two from":                     "smtp://mail.example.com?from=a@canary.com&from=b@canary.com",
		"an unknown parameter":         "smtp://mail.example.com?from=a@example.com&tls=canary",
		"a path":                       "smtp://mail.example.com/canary?from=a@example.com",
		"no URL":                       "smtp://me:canary%zz@mail.example.com",
		"a port that is none":          "smtp://mail.example.com:99999?from=a@example.com",
	} {
		if _, err := smtpsender.ParseURL(raw); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %v", rule, err)
		}
	}
}

func FuzzSend(f *testing.F) {
	f.Add("a@example.com", "Sign in", "m-1")
	f.Add("a@example.com\r\nBcc: b@example.com", "a\r\nBcc: b", "m\n")
	f.Fuzz(func(t *testing.T, to, subject, id string) {
		s := startServer(t, func(s *server) { s.noSTARTTLS = true })
		opts := s.options()
		opts.InsecurePlaintext = true
		m := sendertest.Message(passwordless.Email, id)
		m.To, m.Subject = passwordless.Secret(to), passwordless.Secret(subject)
		if newSender(t, opts).Send(t.Context(), m) != nil {
			return
		}
		got := s.received()
		if len(got) != 1 || len(got[0].to) != 1 || got[0].to[0] != to {
			t.Fatalf("%q: got %+v", to, got)
		}
		_, header := parse(t, got[0])
		for name := range header {
			if !strings.Contains(" Message-Id Auto-Submitted Date From To Subject Mime-Version Content-Type ", " "+name+" ") {
				t.Errorf("a header %q was added", name)
			}
		}
	})
}
