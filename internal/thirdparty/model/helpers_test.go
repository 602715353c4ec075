package model_test

import (
	"context"
	"strings"
	"time"

	"github.com/seed62b93bad/passwordless"
)

// wrong returns another code of the same shape.
func wrong(code string) string {
	last := "0BC"[0:1]
	switch {
	case len(code) > 9: // letters
		last = "B"
		if strings.HasSuffix(code, "B") {
			last = "C"
		}
	case strings.HasSuffix(code, "0"):
		last = "1"
	}
	return code[:len(code)-1] + last
}

// changed returns another token for the same challenge.
func changed(token string) string {
	middle := len(token) - 8
	flip := "A"
	if token[middle] == 'A' {
		flip = "B"
	}
	return token[:middle] + flip + token[middle+1:]
}

func tokenOf(link passwordless.Secret) string {
	_, token, _ := strings.Cut(link.Reveal(), "?t=")
	return token
}

// A clock stands still until it is turned.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

// A mailbox keeps what is sent.
type mailbox struct{ all []passwordless.Message }

func (b *mailbox) Send(_ context.Context, m passwordless.Message) error {
	b.all = append(b.all, m)
	return nil
}

func (b *mailbox) last() passwordless.Message { return b.all[len(b.all)-1] }

// exhaustions count last wrong guesses.
type exhaustions struct{ n int }

func (e *exhaustions) add(_ context.Context, ev passwordless.Event) {
	if ev.Type == passwordless.EventExhausted {
		e.n++
	}
}
