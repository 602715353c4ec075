package sender_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/sender"
)

// A scripted sender answers its sends with the given errors, one after the other, and then with nil. Each send takes
// the given time, unless its context ends before.
type scripted struct {
	takes time.Duration

	mu      sync.Mutex
	answers []error
	sent    []passwordless.Message
	at      []time.Time
}

func (s *scripted) Send(ctx context.Context, m passwordless.Message) error {
	s.mu.Lock()
	s.sent, s.at = append(s.sent, m), append(s.at, time.Now())
	var answer error
	if len(s.answers) > 0 {
		answer, s.answers = s.answers[0], s.answers[1:]
	}
	s.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(s.takes):
		return answer
	}
}

// A wavering sender says of itself whether it is asynchronous. What it discards has a script of its own.
type wavering struct {
	scripted

	async     bool
	discarded scripted
}

func (w *wavering) Asynchronous() bool { return w.async }

func (w *wavering) Discard(ctx context.Context, m passwordless.Message) error {
	return w.discarded.Send(ctx, m)
}

// An asynchronous sender is what the Service needs to discard.
type asynchronous interface {
	passwordless.Sender
	Asynchronous() bool
	Discard(ctx context.Context, m passwordless.Message) error
}

func (s *scripted) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sent)
}

var (
	errRefused   = fmt.Errorf("%w: refused", passwordless.ErrNotAccepted)
	errUnknown   = fmt.Errorf("%w: unknown", sender.ErrUndeliverable)
	errUncertain = errors.New("connection lost")
)

func message(id string) passwordless.Message {
	return passwordless.Message{ID: id, To: "alice@example.com", Code: "492817", Text: "492817"}
}

type settable struct{ now time.Time }

func (s *settable) Now() time.Time { return s.now }
