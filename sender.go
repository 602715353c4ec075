package passwordless

import (
	"context"
	"errors"
	"time"

	"github.com/seed62b93bad/passwordless/internal/machine"
)

// A Channel is how a person is reached. It is also what a challenge proves control of; neither channel meets a NIST
// authenticator assurance level on its own (SP 800-63B-4, 3.1.3.1), and SMS is a restricted authenticator there (3.1.3.3).
type Channel string

// The channels.
const (
	Email Channel = "email"
	SMS   Channel = "sms"
)

// A Purpose says what a challenge is for. A secret made for one purpose is worth nothing for another.
type Purpose string

// SignIn is the purpose of Service.Start.
const SignIn Purpose = machine.SignIn

// A Message is one message to one person, rendered and ready to hand to a transport. Printing it shows neither the
// address nor a secret.
type Message struct {
	// ID is the same for every try to send one message, and differs between messages: an idempotency key for providers
	// that take one. At most 64 ASCII characters.
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

// A Sender hands messages to a transport. Send returns when the transport has accepted or refused the message. It must
// honour ctx and bound its own time, must be safe for concurrent use, and must not put the message's address or secrets
// in its errors.
//
// If the error matches ErrNotAccepted, the transport surely did not take the message, and what the send was charged is
// given back.
//
// A Sender whose Send waits for no transport says so by two methods, Asynchronous() bool, which returns true, and
// Discard(ctx context.Context, m Message) error. Discard takes a message as Send does, with the same work, the same bounds
// and the same errors, but it is delivered to nobody. A client with ClosedSignUp needs such a Sender: messages that must not
// go out are discarded, and with any other Sender the time of an answer would tell who has an account. sender.Background
// makes one of any Sender.
//
// If a Sender has a method Check() error, New calls it once and takes its error for a mistake of the configuration.
// Check must not wait for a transport.
//
// Package sender queues, repeats and routes messages around any Sender.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// ErrNotAccepted is matched by the errors of a Sender whose transport surely did not take the message (connection
// refused, mailbox unknown, quota).
var ErrNotAccepted = errors.New("passwordless: message not accepted")
