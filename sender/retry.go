package sender

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/seed62b93bad/passwordless"
)

// RetryOptions say how Retry repeats.
type RetryOptions struct {
	// Tries is the most sends of one message, the first included; 0 means 4.
	Tries int
	// Wait is the longest wait before the second try; 0 means 1 second. Each further one may be twice as long. A wait is
	// drawn between the half and the whole, so that many messages do not come back at once.
	Wait time.Duration
	// MaxWait bounds every wait; 0 means 15 seconds.
	MaxWait time.Duration
}

// Retry returns a sender that tries again when next surely did not take a message: when the error matches
// passwordless.ErrNotAccepted but not ErrUndeliverable. After any other error the message may be on its way, and a
// second try could deliver it twice; that error is returned. Every try has the same Message.ID. Retry waits while it
// blocks its caller: put it inside Background.
//
// It is safe for concurrent use and gives up when ctx ends, with the last error.
func Retry(next passwordless.Sender, opts RetryOptions) passwordless.Sender {
	opts.Tries = positiveOr(opts.Tries, 4)
	opts.Wait = positiveOr(opts.Wait, time.Second)
	opts.MaxWait = positiveOr(opts.MaxWait, 15*time.Second)
	return &retrier{next, opts}
}

type retrier struct {
	next passwordless.Sender
	opts RetryOptions
}

// Check reports what is missing in the sender that Retry wraps.
func (r *retrier) Check() error { return check("Retry", r.next) }

// Asynchronous reports whether the sender that Retry wraps is.
func (r *retrier) Asynchronous() bool { return asynchronous(r.next) }

func (r *retrier) Send(ctx context.Context, m passwordless.Message) error {
	return r.hand(ctx, m, send)
}

func (r *retrier) Discard(ctx context.Context, m passwordless.Message) error {
	return r.hand(ctx, m, discard)
}

func (r *retrier) hand(ctx context.Context, m passwordless.Message, do handing) error {
	for try := 1; ; try++ {
		err := do(ctx, r.next, m)
		if err == nil || !errors.Is(err, passwordless.ErrNotAccepted) || errors.Is(err, ErrUndeliverable) {
			return err
		}
		if try == r.opts.Tries {
			return fmt.Errorf("sender: no try left of %d: %w", try, err)
		}
		if !pause(ctx, r.opts.wait(try)) {
			return fmt.Errorf("sender: no time for try %d: %w", try+1, err)
		}
	}
}

// wait returns how long to wait after the given try.
func (o RetryOptions) wait(try int) time.Duration {
	longest := o.Wait
	for range try - 1 {
		longest = min(2*longest, o.MaxWait)
	}
	longest = min(longest, o.MaxWait)
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return longest/2 + time.Duration(binary.LittleEndian.Uint64(b[:])%uint64(longest-longest/2))
}

// pause waits for d. It reports false, at once, if ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
