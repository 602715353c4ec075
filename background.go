package passwordless

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrUndeliverable is matched by errors of a Sender whose transport works but refuses
// this message for good: a mailbox that does not exist, a number that takes no messages. It
// matches ErrNotAccepted too. Trying again is useless and the refusal says nothing about the
// transport, so Retry does not repeat the message and Failover does not hold it against the sender.
var ErrUndeliverable = fmt.Errorf("%w: refused for good", ErrNotAccepted)

// BackgroundOptions are the limits of a BackgroundSender.
type BackgroundOptions struct {
	// Queue is how many messages may wait; 0 means 1024.
	Queue int
	// Workers is how many messages are sent at once; 0 means 8.
	Workers int
	// Timeout bounds the sending of one message, retries included; 0 means 1 minute.
	Timeout time.Duration
	// OnError is told of each message that was not sent, or perhaps not: nobody else
	// learns of it. The message has lost its address and secrets; its ID, channel,
	// tenant and client remain. The context is the one given to Send, without its end. OnError is
	// called by the workers and by Close, by several at once. Nil means failures are dropped.
	OnError func(ctx context.Context, m Message, err error)
}

// A BackgroundSender queues messages and sends them while the caller goes on. The queue is in
// memory: what waits when the process dies is lost, and the person asks again. It is safe for
// concurrent use. Close it before the process ends.
type BackgroundSender struct {
	next Sender
	opts BackgroundOptions
	ctx  context.Context // done when Close gives up
	stop context.CancelFunc

	mu      sync.Mutex // guards what follows
	queue   []queued
	workers int
	closed  bool
	idle    chan struct{} // closed when closed is true and no worker is left
}

var _ AsyncSender = (*BackgroundSender)(nil)

type queued struct {
	ctx context.Context
	m   Message
}

// Background returns a sender that hands messages to next in the background. Its Send takes the
// same short time however long next takes, so it is an AsyncSender. It starts no goroutine
// until a message is sent; then at most opts.Workers, which end when the queue is empty.
func Background(next Sender, opts BackgroundOptions) *BackgroundSender {
	opts.Queue = positiveOr(opts.Queue, 1024)
	opts.Workers = positiveOr(opts.Workers, 8)
	opts.Timeout = positiveOr(opts.Timeout, time.Minute)
	ctx, stop := context.WithCancel(context.Background())
	return &BackgroundSender{next: next, opts: opts, ctx: ctx, stop: stop, idle: make(chan struct{})}
}

// Asynchronous returns true.
func (b *BackgroundSender) Asynchronous() bool { return true }

// Send queues the message. It never blocks. The end of ctx does not end the sending, which
// has a time limit of its own; the values of ctx reach the next sender. An error matches
// ErrNotAccepted: the queue is full, or Close was called.
func (b *BackgroundSender) Send(ctx context.Context, m Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return fmt.Errorf("%w: background sender is closed", ErrNotAccepted)
	}
	if len(b.queue) >= b.opts.Queue {
		return fmt.Errorf("%w: queue of %d messages is full", ErrNotAccepted, len(b.queue))
	}
	b.queue = append(b.queue, queued{context.WithoutCancel(ctx), m})
	if b.workers < b.opts.Workers {
		b.workers++
		go b.work() //nolint:contextcheck // each message brings its own
	}
	return nil
}

// Close refuses further messages and waits until the queue is empty and all sends are
// over. If ctx ends first, Close ends the sends in flight, drops what still waits, tells OnError of
// each, and returns the context's error. Closing again waits likewise.
func (b *BackgroundSender) Close(ctx context.Context) error {
	b.mu.Lock()
	if !b.closed && b.workers == 0 {
		close(b.idle)
	}
	b.closed = true
	b.mu.Unlock()
	select {
	case <-b.idle:
		b.stop()
		return nil
	case <-ctx.Done():
	}
	dropped := b.drop()
	b.stop()
	for _, q := range dropped {
		b.failed(q, fmt.Errorf("%w: background sender was closed", ErrNotAccepted))
	}
	return fmt.Errorf("passwordless: close background sender, %d messages dropped: %w", len(dropped), ctx.Err())
}

func (b *BackgroundSender) drop() []queued {
	b.mu.Lock()
	defer b.mu.Unlock()
	dropped := b.queue
	b.queue = nil
	return dropped
}

// work sends until the queue is empty.
func (b *BackgroundSender) work() {
	for {
		q, ok := b.take()
		if !ok {
			return
		}
		ctx, cancel := context.WithTimeout(q.ctx, b.opts.Timeout)
		unlink := context.AfterFunc(b.ctx, cancel)
		if err := b.next.Send(ctx, q.m); err != nil {
			b.failed(q, err)
		}
		unlink()
		cancel()
	}
}

// take returns the next message. If there is none, the calling worker is no longer counted.
func (b *BackgroundSender) take() (queued, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		b.queue = nil
		b.workers--
		if b.closed && b.workers == 0 {
			close(b.idle)
		}
		return queued{}, false
	}
	q := b.queue[0]
	b.queue[0] = queued{} // the array would keep the secrets alive
	b.queue = b.queue[1:]
	return q, true
}

func (b *BackgroundSender) failed(q queued, err error) {
	if b.opts.OnError == nil {
		return
	}
	m := q.m
	m.To, m.Code, m.Link, m.Cancel, m.Subject, m.Text, m.HTML = "", "", "", "", "", "", ""
	b.opts.OnError(q.ctx, m, err)
}

// RetryOptions say how Retry repeats.
type RetryOptions struct {
	// Tries is the most sends of one message, the first included; 0 means 4.
	Tries int
	// Wait is the longest wait before the second try; 0 means 1 second. Each further one may be
	// twice as long. A wait is drawn between the half and the whole, so that many
	// messages do not come back at once.
	Wait time.Duration
	// MaxWait bounds every wait; 0 means 15 seconds.
	MaxWait time.Duration
}

// Retry returns a sender that tries again when next surely did not take a message: when
// the error matches ErrNotAccepted but not ErrUndeliverable. After any other error the message may be
// on its way, and a second try could deliver it twice; that error is returned. Every try has
// the same Message.ID. Retry waits while it blocks its caller: put it inside Background.
//
// It is safe for concurrent use and gives up when ctx ends, with the last error.
func Retry(next Sender, opts RetryOptions) Sender {
	opts.Tries = positiveOr(opts.Tries, 4)
	opts.Wait = positiveOr(opts.Wait, time.Second)
	opts.MaxWait = positiveOr(opts.MaxWait, 15*time.Second)
	return SenderFunc(func(ctx context.Context, m Message) error {
		for try := 1; ; try++ {
			err := next.Send(ctx, m)
			if err == nil || !errors.Is(err, ErrNotAccepted) || errors.Is(err, ErrUndeliverable) {
				return err
			}
			if try == opts.Tries {
				return fmt.Errorf("passwordless: no try left of %d: %w", opts.Tries, err)
			}
			if !pause(ctx, opts.wait(try)) {
				return fmt.Errorf("passwordless: no time for try %d: %w", try+1, err)
			}
		}
	})
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

// FailoverOptions say when Failover leaves a sender alone.
type FailoverOptions struct {
	// Failures is how many sends of one sender must fail in a row until it rests; 0 means 5.
	Failures int
	// Rest is how long it then gets no message. After it a single message tries whether the
	// sender works again; 0 means 30 seconds.
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

// Failover returns a sender that gives a message to the first of senders that takes
// it. The next one gets it only when the error matches ErrNotAccepted. After any other error
// the message may be on its way, and a second sender could deliver it twice; that error
// is returned.
//
// A sender that fails several times in a row is left alone for a while. A message that it
// refuses for good (ErrUndeliverable) and a send that the caller cancels do not count, or
// anybody could put a sender to rest. If no sender took the message, or all
// rest, the error matches ErrNotAccepted. It is safe for concurrent use.
func Failover(opts FailoverOptions, senders ...Sender) Sender {
	opts.Failures = positiveOr(opts.Failures, 5)
	opts.Rest = positiveOr(opts.Rest, 30*time.Second)
	breakers := make([]*breaker, len(senders))
	for i, s := range senders {
		breakers[i] = &breaker{opts: opts, next: s}
	}
	return SenderFunc(func(ctx context.Context, m Message) error {
		var errs []error
		for _, b := range breakers {
			if !b.allow() {
				continue
			}
			err := b.next.Send(ctx, m)
			b.count(ctx, err)
			if !errors.Is(err, ErrNotAccepted) {
				return err
			}
			errs = append(errs, err)
			if ctx.Err() != nil {
				break
			}
		}
		if len(errs) == 0 {
			return fmt.Errorf("%w: all %d senders rest after failures", ErrNotAccepted, len(breakers))
		}
		return fmt.Errorf("passwordless: no sender took the message: %w", errors.Join(errs...))
	})
}

// A breaker counts a sender's failures.
type breaker struct {
	opts FailoverOptions
	next Sender

	mu       sync.Mutex // guards what follows
	failures int        // in a row
	until    time.Time  // while failures are too many, the end of the rest
}

// allow reports whether the sender gets a message now. At the end of a rest it says so
// once, and then after another rest unless that send succeeded.
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

// positiveOr returns n, or def if n is 0 or less.
func positiveOr[N int | time.Duration](n, def N) N {
	if n <= 0 {
		return def
	}
	return n
}
