package sender

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed62b93bad/passwordless"
)

// FailoverOptions say when Failover leaves a sender alone.
type FailoverOptions struct {
	// Failures is how many sends of one sender must fail in a row until it rests; 0 means 5.
	Failures int
	// Rest is how long it then gets no message. After it a single message tries whether the sender works again; 0 means 30
	// seconds.
	Rest time.Duration
	// Clock tells the time; nil means the system's.
	Clock interface{ Now() time.Time }
}

func (o FailoverOptions) now() time.Time {
	if o.Clock == nil {
		return time.Now()
	}
	return o.Clock.Now()
}

// Failover returns a sender that gives a message to the first of senders that takes it. The next one gets it only when
// the error matches passwordless.ErrNotAccepted. After any other error the message may be on its way, and a second
// sender could deliver it twice; that error is returned.
//
// A sender that fails several times in a row is left alone for a while. A message that it refuses for good
// (ErrUndeliverable) and a send that the caller cancels do not count, or anybody could put a sender to rest. If no
// sender took the message, or all rest, the error matches passwordless.ErrNotAccepted.
//
// Put Failover inside Background, never around it: a Queue hides all failures but its own. It is safe for concurrent use.
func Failover(opts FailoverOptions, senders ...passwordless.Sender) passwordless.Sender {
	opts.Failures = positiveOr(opts.Failures, 5)
	opts.Rest = positiveOr(opts.Rest, 30*time.Second)
	f := &failover{breakers: make([]*breaker, len(senders))}
	for i, s := range senders {
		f.breakers[i] = &breaker{opts: opts, next: s}
	}
	return f
}

type failover struct{ breakers []*breaker }

// Check reports that there are no senders, or what is missing in each.
func (f *failover) Check() error {
	if len(f.breakers) == 0 {
		return errors.New("sender: Failover: no senders")
	}
	var errs []error
	for i, b := range f.breakers {
		errs = append(errs, check(fmt.Sprintf("Failover[%d]", i), b.next))
	}
	return errors.Join(errs...)
}

// Asynchronous reports whether all senders are.
func (f *failover) Asynchronous() bool {
	senders := make([]passwordless.Sender, len(f.breakers))
	for i, b := range f.breakers {
		senders[i] = b.next
	}
	return asynchronous(senders...)
}

func (f *failover) Send(ctx context.Context, m passwordless.Message) error {
	return f.hand(ctx, m, send)
}

func (f *failover) Discard(ctx context.Context, m passwordless.Message) error {
	return f.hand(ctx, m, discard)
}

func (f *failover) hand(ctx context.Context, m passwordless.Message, do handing) error {
	var errs []error
	for _, b := range f.breakers {
		if !b.allow() {
			continue
		}
		err := do(ctx, b.next, m)
		b.count(ctx, err)
		if !errors.Is(err, passwordless.ErrNotAccepted) {
			return err
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	if len(errs) == 0 {
		return fmt.Errorf("sender: all %d senders rest after failures: %w", len(f.breakers), passwordless.ErrNotAccepted)
	}
	return fmt.Errorf("sender: no sender took the message: %w", errors.Join(errs...))
}

// A breaker counts a sender's failures.
type breaker struct {
	opts FailoverOptions
	next passwordless.Sender

	mu       sync.Mutex // guards what follows
	failures int        // in a row
	until    time.Time  // while failures are too many, the end of the rest
}

// allow reports whether the sender gets a message now. At the end of a rest it says so once, and then after another
// rest unless that send succeeded.
func (b *breaker) allow() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures < b.opts.Failures {
		return true
	}
	now := b.opts.now()
	left := b.until.Sub(now)
	if left > 0 && left <= b.opts.Rest { // more than Rest is a clock that was set back
		return false
	}
	b.until = now.Add(b.opts.Rest)
	return true
}

// count takes note of how a send ended.
func (b *breaker) count(ctx context.Context, err error) {
	if errors.Is(err, ErrUndeliverable) {
		err = nil // the transport did answer
	}
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		b.failures = 0
		return
	}
	b.failures++
	b.until = b.opts.now().Add(b.opts.Rest)
}
