// Package smtpsender sends a passwordless service's e-mails over SMTP.
package smtpsender

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/textproto"
	"strings"
	"time"
	"unicode"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/sender"
	gomail "github.com/wneessen/go-mail"
)

// Options say where and how a Sender sends. Host and From are required.
type Options struct {
	// Host is the server's name. Its certificate must be valid for it.
	Host string
	// Port is 587 if left 0, or 465 with ImplicitTLS.
	Port int

	// The connection begins in plain text and must then be encrypted by STARTTLS; a server that does not offer it gets no
	// message. With ImplicitTLS it is encrypted from its first byte.
	ImplicitTLS bool
	// InsecurePlaintext sends codes and links over an unencrypted connection. Everybody on the way can read them and sign
	// in. It is for a mail catcher on the same machine, and cannot be combined with a password.
	InsecurePlaintext bool
	// TLSConfig is copied; nil means the system's roots. ServerName is Host where it is empty, and TLS 1.2 is the least
	// version where it says none.
	TLSConfig *tls.Config

	// Username and Password log in to the server; without a Username there is no login. The mechanism is SCRAM-SHA-256,
	// PLAIN or LOGIN, the first that the server offers.
	Username string
	Password passwordless.Secret

	// From is the sender's address, with or without a name: "Example <login@example.com>".
	From string
	// HELO is the name by which the Sender presents itself; the domain of From if empty.
	HELO string

	// Timeout bounds one Send from dialling to the server's last word; 0 means 30 seconds.
	Timeout time.Duration
	// Clock tells the Date of messages; nil means the system's clock.
	Clock interface{ Now() time.Time }
}

// A Sender sends e-mails, each over a connection of its own. It is safe for concurrent use.
//
// Send blocks while it talks to the server. Where the time of an answer must not tell whether a message went out, put
// it inside sender.Background.
type Sender struct {
	opts   Options
	from   *mail.Address
	domain string // of from
}

var _ passwordless.Sender = (*Sender)(nil)

// New returns a Sender. It does not connect. The error joins all mistakes in opts.
func New(opts Options) (*Sender, error) {
	s := &Sender{opts: opts}
	var errs []error
	fail := func(text string) { errs = append(errs, errors.New("smtpsender: "+text)) }
	if opts.Host == "" || strings.ContainsFunc(opts.Host, unfit) || strings.Contains(opts.Host, "/") {
		fail("Host is not a host name")
	}
	if opts.Port < 0 || opts.Port > 65535 {
		fail("Port is out of range")
	}
	if opts.ImplicitTLS && opts.InsecurePlaintext {
		fail("ImplicitTLS and InsecurePlaintext exclude each other")
	}
	if opts.InsecurePlaintext && opts.Username != "" {
		fail("InsecurePlaintext would show the password")
	}
	if (opts.Username == "") != (opts.Password == "") {
		fail("Username and Password need each other")
	}
	if from, err := mail.ParseAddress(opts.From); err != nil || strings.ContainsFunc(opts.From, unicode.IsControl) {
		fail("From is not an e-mail address")
	} else {
		s.from, s.domain = from, from.Address[strings.LastIndexByte(from.Address, '@')+1:]
	}
	if strings.ContainsFunc(opts.HELO, unfit) {
		fail("HELO is not a host name")
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	s.complete()
	return s, nil
}

// unfit is true for what no host name has.
func unfit(c rune) bool { return c <= ' ' || c > '~' }

// complete fills in the defaults.
func (s *Sender) complete() {
	o := &s.opts
	if o.Port == 0 && o.ImplicitTLS {
		o.Port = 465
	} else if o.Port == 0 {
		o.Port = 587
	}
	if o.TLSConfig == nil {
		o.TLSConfig = &tls.Config{}
	}
	o.TLSConfig = o.TLSConfig.Clone()
	if o.TLSConfig.ServerName == "" {
		o.TLSConfig.ServerName = o.Host
	}
	if o.TLSConfig.MinVersion == 0 {
		o.TLSConfig.MinVersion = tls.VersionTLS12
	}
	if o.HELO == "" {
		o.HELO = s.domain
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
}

// Send hands an e-mail to the server.
//
// The error matches passwordless.ErrNotAccepted if the server refused the message, or if the connection failed before
// the message was complete; a refusal for good, of the recipient or of the message, matches sender.ErrUndeliverable as
// well. If the connection fails after that, while the server's last word is awaited, the message may be on its way and
// the error matches neither. Errors hold the server's reply code but not its words, which may repeat the address.
func (s *Sender) Send(ctx context.Context, m passwordless.Message) error {
	msg, err := s.compose(m)
	if err != nil {
		return fmt.Errorf("smtpsender: %w: %w", err, sender.ErrUndeliverable)
	}
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	line := line{ctx: ctx, opts: s.opts}
	defer line.hangUp()
	client, err := gomail.NewClient(s.opts.Host, s.clientOptions(line.dial)...)
	if err != nil {
		return fmt.Errorf("smtpsender: %w: %w", err, passwordless.ErrNotAccepted)
	}
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return fmt.Errorf("smtpsender: connect: %w: %w", wordless(ctx, err), passwordless.ErrNotAccepted)
	}
	if err = client.SendWithSMTPClient(session, msg); err != nil && !msg.IsDelivered() {
		return refusal(ctx, err)
	}
	_ = client.CloseWithSMTPClient(session) // politeness: the message is the server's already
	return nil
}

// clientOptions are the same for every message. A client is made for each, since its login is not safe for concurrent use.
func (s *Sender) clientOptions(dial gomail.DialContextFunc) []gomail.Option {
	policy := gomail.TLSMandatory
	if s.opts.InsecurePlaintext {
		policy = gomail.NoTLS
	}
	all := []gomail.Option{
		gomail.WithPort(s.opts.Port),
		gomail.WithTimeout(s.opts.Timeout),
		gomail.WithTLSConfig(s.opts.TLSConfig),
		gomail.WithTLSPolicy(policy),
		gomail.WithHELO(s.opts.HELO),
		gomail.WithoutNoop(),
		gomail.WithDialContextFunc(dial),
	}
	if s.opts.ImplicitTLS {
		all = append(all, gomail.WithSSL())
	}
	if s.opts.Username != "" {
		all = append(all,
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin),
			gomail.WithUsername(s.opts.Username),
			gomail.WithPassword(s.opts.Password.Reveal()))
	}
	return all
}

// A line is the connection of one Send. It breaks when ctx ends: by itself the mail client looks at ctx only while it dials.
type line struct {
	ctx    context.Context
	opts   Options
	conn   net.Conn
	unlink func() bool
}

func (l *line) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var dialer interface {
		DialContext(ctx context.Context, network, address string) (net.Conn, error)
	} = &net.Dialer{}
	if l.opts.ImplicitTLS {
		dialer = &tls.Dialer{Config: l.opts.TLSConfig}
	}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.conn = conn
	l.unlink = context.AfterFunc(l.ctx, func() { _ = conn.Close() }) //nolint:contextcheck // ctx ends with the dialling
	return conn, nil
}

// hangUp closes the connection; twice does no harm.
func (l *line) hangUp() {
	if l.conn == nil {
		return
	}
	l.unlink()
	_ = l.conn.Close()
}

// compose makes the e-mail, or says why m cannot be one.
func (s *Sender) compose(m passwordless.Message) (*gomail.Msg, error) {
	if m.Channel != passwordless.Email {
		return nil, errors.New("message is not an e-mail")
	}
	to, err := mail.ParseAddress(m.To.Reveal())
	if err != nil || to.Name != "" || to.Address != m.To.Reveal() || strings.ContainsFunc(to.Address, unicode.IsControl) {
		return nil, errors.New("recipient is not one plain e-mail address")
	}
	if strings.ContainsFunc(m.Subject.Reveal(), unicode.IsControl) {
		return nil, errors.New("subject has a control character")
	}
	if m.ID == "" || len(m.ID) > 64 || strings.ContainsFunc(m.ID, notAtom) {
		return nil, errors.New("message ID cannot be in a header")
	}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(s.from)
	msg.ToMailAddress(to)
	msg.Subject(m.Subject.Reveal())
	msg.SetMessageIDWithValue(m.ID + "@" + s.domain)
	msg.SetDateWithValue(s.now())
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834, 5
	msg.SetBodyString(gomail.TypeTextPlain, m.Text.Reveal())
	if m.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML.Reveal())
	}
	return msg, nil
}

// notAtom is true for what the left side of a Message-ID cannot hold (RFC 5322, 3.2.3).
func notAtom(c rune) bool {
	return c <= ' ' || c > '~' || strings.ContainsRune("\"(),.:;<>@[\\]", c)
}

func (s *Sender) now() time.Time {
	if s.opts.Clock == nil {
		return time.Now()
	}
	return s.opts.Clock.Now()
}

// refusal says how far a message came that was not confirmed.
func refusal(ctx context.Context, err error) error {
	var failed *gomail.SendError
	if !errors.As(err, &failed) {
		return fmt.Errorf("smtpsender: send: %w", wordless(ctx, err))
	}
	code := failed.ErrorCode()
	reason := wordless(ctx, &textproto.Error{Code: code})
	switch failed.Reason {
	case gomail.ErrSMTPRcptTo, gomail.ErrSMTPData, gomail.ErrSMTPDataClose:
		if code >= 500 {
			return fmt.Errorf("smtpsender: %v: %w: %w", failed.Reason, reason, sender.ErrUndeliverable)
		}
	}
	if failed.Reason == gomail.ErrSMTPDataClose && code == 0 {
		return fmt.Errorf("smtpsender: message sent but not confirmed: %w", reason)
	}
	return fmt.Errorf("smtpsender: %v: %w: %w", failed.Reason, reason, passwordless.ErrNotAccepted)
}

// errLost is for a connection that broke.
var errLost = errors.New("connection lost")

// wordless returns err without what the server wrote.
func wordless(ctx context.Context, err error) error {
	var reply *textproto.Error
	var garbled textproto.ProtocolError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &reply) && reply.Code >= 400:
		return fmt.Errorf("server answered %d", reply.Code)
	case errors.As(err, &reply):
		return errLost
	case errors.As(err, &garbled):
		return errors.New("server does not speak SMTP")
	}
	return err
}
