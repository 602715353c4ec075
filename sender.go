package passwordless

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"
)

// A Channel is how a person is reached. It is also what a challenge proves
// control of; neither channel meets a NIST authenticator assurance level on its own
// (SP 800-63B-4, 3.1.3.1), and SMS is a restricted authenticator there (3.1.3.3).
type Channel string

// The channels.
const (
	Email Channel = "email"
	SMS   Channel = "sms"
)

// An Identifier is a canonical address on a channel: what ParseIdentifier made of
// what a person typed. Two spellings of one mailbox or number are equal. It is
// personal data; String masks it.
type Identifier struct {
	Channel Channel
	// Address is the canonical e-mail address or E.164 number. Messages go to it and
	// to nothing else.
	Address string
}

// A Purpose says what a challenge is for. A secret made for one purpose is
// worth nothing for another.
type Purpose string

// SignIn is the purpose of Service.Start.
const SignIn Purpose = "sign-in"

// A Message is one message to one person, rendered and ready to hand to a
// transport. Printing it shows neither the address nor a secret.
type Message struct {
	// ID is the same for every try to send one message and differs between messages:
	// an idempotency key for providers that take one. At most 64 ASCII characters.
	ID      string
	Channel Channel
	To      Secret // the canonical recipient, exactly one
	Locale  string // the BCP 47 tag of the language it is rendered in
	Purpose Purpose

	Tenant  string // the tenant's ID
	Client  string // the asking application's ID
	AppName string // the application's name as shown to people

	Expires time.Time // when the secrets in it stop working
	Code    Secret    // "" if the message carries none
	Link    Secret    // likewise
	Cancel  Secret    // the "this was not me" link; likewise

	Subject Secret // of an e-mail; never holds the code
	Text    Secret // the whole of an SMS, or an e-mail's text part
	HTML    Secret // an e-mail's HTML part
}

// A Sender hands messages to a transport. Send returns when the transport has
// accepted or refused the message. It must honour ctx and bound its own time, must be safe
// for concurrent use, and must not put the message's address or secrets in its errors.
//
// If the error matches ErrNotAccepted, the transport surely did not take
// the message, and what the send was charged is given back.
//
// If a Sender has a method Check() error, New calls it once and takes its error for a mistake of the
// configuration. Check must not wait for a transport.
//
// Package sender queues, repeats and routes messages around any Sender.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// An AsyncSender is a Sender whose Send only queues and so takes the same time
// whether a message goes out or not. Where a policy can suppress a send, New
// demands one, because otherwise the time of an answer would tell who has an account.
// sender.Background makes one of any Sender.
type AsyncSender interface {
	Sender
	// Asynchronous returns true if Send never waits for a transport.
	Asynchronous() bool
}

// ErrNotAccepted is matched by the errors of a Sender whose transport surely did
// not take the message (connection refused, mailbox unknown, quota).
var ErrNotAccepted = errors.New("passwordless: message not accepted")

// ErrUndeliverable is matched by errors of a Sender whose transport works but refuses
// this message for good: a mailbox that does not exist, a number that takes no messages. It
// matches ErrNotAccepted too. Trying again is useless and the refusal says nothing about the
// transport: sender.Retry does not repeat the message, and sender.Failover does not count it
// as a failure.
var ErrUndeliverable = fmt.Errorf("%w: refused for good", ErrNotAccepted)

// The SenderFunc type lets a function be a Sender.
type SenderFunc func(ctx context.Context, m Message) error

// Send calls f.
func (f SenderFunc) Send(ctx context.Context, m Message) error { return f(ctx, m) }

// checkSender returns what is wrong with Config.Sender.
func checkSender(s Sender) error {
	if isNilSender(s) {
		return errors.New("Sender: required")
	}
	if c, ok := s.(interface{ Check() error }); ok {
		if err := c.Check(); err != nil {
			return fmt.Errorf("Sender: %w", err)
		}
	}
	return nil
}

// isNilSender reports whether s is nil, or a nil pointer, map or function, or the like.
func isNilSender(s Sender) bool {
	switch v := reflect.ValueOf(s); v.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Pointer, reflect.Map, reflect.Func, reflect.Slice, reflect.Chan:
		return v.IsNil()
	default:
		return false
	}
}
