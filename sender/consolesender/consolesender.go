// Package consolesender prints messages, with their codes and links, instead of sending them.
//
// It is for development only. Whoever can read the output, or the log file that it ends up in, can sign in as
// everybody. It has no place in a server that people use.
package consolesender

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"

	"github.com/seed62b93bad/passwordless"
)

// A Sender prints messages. It is safe for concurrent use.
type Sender struct {
	mu sync.Mutex // one message at a time
	w  io.Writer
}

var _ passwordless.Sender = (*Sender)(nil)

// New returns a Sender that prints every message to w: the recipient, the subject and the text, secrets included. Each
// message is one Write; the Sender never calls Write twice at once. It waits for the Write, so it is not asynchronous:
// sender.Background makes it so, where a client has ClosedSignUp.
func New(w io.Writer) *Sender { return &Sender{w: w} }

// Send prints the message, of whatever channel. After a failed Write the error does not match ErrNotAccepted, since a
// part may have been printed.
func (s *Sender) Send(ctx context.Context, m passwordless.Message) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: print message: %w", passwordless.ErrNotAccepted, err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "---- %s to %s (%s, %s) ----\n", m.Channel, m.To.Reveal(), m.ID, m.Locale)
	if m.Subject != "" {
		fmt.Fprintf(&b, "%s\n\n", m.Subject.Reveal())
	}
	fmt.Fprintf(&b, "%s\n----\n", strings.TrimRight(m.Text.Reveal(), "\n"))
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := io.WriteString(s.w, strings.Map(printable, b.String())); err != nil {
		return fmt.Errorf("passwordless: print message: %w", err)
	}
	return nil
}

// printable drops what a terminal would obey.
func printable(c rune) rune {
	if c != '\n' && unicode.IsControl(c) {
		return -1
	}
	return c
}
