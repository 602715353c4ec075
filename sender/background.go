package sender

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/seed62b93bad/passwordless"
)

// BackgroundOptions are the limits of a Queue.
type BackgroundOptions struct {
	// Queue is how many messages may wait; 0 means 1024.
	Queue int
	// Workers is how many messages are sent at once; 0 means 8.
	Workers int
	// Timeout bounds the sending of one message, retries included; 0 means 1 minute.
	Timeout time.Duration
	// OnError is told of each message that was not sent, or perhaps not: nobody else learns of it. The message has lost
	// its address and secrets; its ID, channel, tenant and client remain. The context is the one given to Send, without
	// its end. OnError is called by the workers and by Close, by several at once. Nil means failures are dropped.
	OnError func(ctx context.Context, m passwordless.Message, err error)
}

// A Queue keeps messages and sends them while the caller goes on. It is in memory: what waits when the process dies is
// lost, and the person asks again. It is safe for concurrent use. Close it before the process ends.
type Queue struct {
	next passwordless.Sender
	opts BackgroundOptions
	ctx  context.Context // done when Close gives up
	stop context.CancelFunc

	mu      sync.Mutex // guards what follows
	waiting []entry
	workers int
	closed  bool
	idle    chan struct{} // closed when closed is true and no worker is left
}

var _ passwordless.Sender = (*Queue)(nil)

// An entry is a message that waits, with the context of its Send or Discard.
type entry struct {
	ctx     context.Context
	m       passwordless.Message
	discard bool // it is delivered to nobody
}

// Background returns a sender that hands messages to next in the background. Its Send takes the same short time however
// long next takes: it is asynchronous. It starts no goroutine until a message is sent; then at most opts.Workers, which
// end when the queue is empty.
func Background(next passwordless.Sender, opts BackgroundOptions) *Queue {
	opts.Queue = positiveOr(opts.Queue, 1024)
	opts.Workers = positiveOr(opts.Workers, 8)
	opts.Timeout = positiveOr(opts.Timeout, time.Minute)
	ctx, stop := context.WithCancel(context.Background())
	return &Queue{next: next, opts: opts, ctx: ctx, stop: stop, idle: make(chan struct{})}
}

// Asynchronous returns true.
func (q *Queue) Asynchronous() bool { return true }

// Check reports what is missing in the sender behind the queue. passwordless.New calls it.
func (q *Queue) Check() error { return check("Background", q.next) }

// Send queues the message. It never blocks. The end of ctx does not end the sending, which has a time limit of its own; the
// values of ctx reach the next sender. An error matches passwordless.ErrNotAccepted: the queue is full, or Close was called.
func (q *Queue) Send(ctx context.Context, m passwordless.Message) error { return q.put(ctx, m, false) }

// Discard queues the message as Send does, and fails when Send would. The next sender never gets it, and OnError is never told
// of it.
func (q *Queue) Discard(ctx context.Context, m passwordless.Message) error {
	return q.put(ctx, m, true)
}

func (q *Queue) put(ctx context.Context, m passwordless.Message, discard bool) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return fmt.Errorf("sender: queue is closed: %w", passwordless.ErrNotAccepted)
	}
	if len(q.waiting) >= q.opts.Queue {
		return fmt.Errorf("sender: queue of %d messages is full: %w", len(q.waiting), passwordless.ErrNotAccepted)
	}
	q.waiting = append(q.waiting, entry{context.WithoutCancel(ctx), m, discard})
	if q.workers < q.opts.Workers {
		q.workers++
		go q.work() //nolint:contextcheck // each message brings its own
	}
	return nil
}

// Close refuses further messages and waits until the queue is empty and all sends are over. If ctx ends first, Close
// ends the sends in flight, drops what still waits, tells OnError of each, and returns the context's error. Closing
// again waits likewise.
func (q *Queue) Close(ctx context.Context) error {
	q.mu.Lock()
	if !q.closed && q.workers == 0 {
		close(q.idle)
	}
	q.closed = true
	q.mu.Unlock()
	select {
	case <-q.idle:
		q.stop()
		return nil
	case <-ctx.Done():
	}
	dropped := q.drop()
	q.stop()
	for _, e := range dropped {
		q.failed(e, fmt.Errorf("sender: queue was closed: %w", passwordless.ErrNotAccepted))
	}
	return fmt.Errorf("sender: close queue, %d messages dropped: %w", len(dropped), ctx.Err())
}

// drop empties the queue and returns the messages that were to be delivered.
func (q *Queue) drop() []entry {
	q.mu.Lock()
	defer q.mu.Unlock()
	dropped := slices.DeleteFunc(q.waiting, func(e entry) bool { return e.discard })
	q.waiting = nil
	return dropped
}

// work sends until the queue is empty.
func (q *Queue) work() {
	for {
		e, ok := q.take()
		if !ok {
			return
		}
		if e.discard {
			continue
		}
		ctx, cancel := context.WithTimeout(e.ctx, q.opts.Timeout)
		unlink := context.AfterFunc(q.ctx, cancel)
		if err := q.next.Send(ctx, e.m); err != nil {
			q.failed(e, err)
		}
		unlink()
		cancel()
	}
}

// take returns the next message. If there is none, the calling worker is no longer counted.
func (q *Queue) take() (entry, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.waiting = nil
		q.workers--
		if q.closed && q.workers == 0 {
			close(q.idle)
		}
		return entry{}, false
	}
	e := q.waiting[0]
	q.waiting[0] = entry{} // the array would keep the secrets alive
	q.waiting = q.waiting[1:]
	return e, true
}

func (q *Queue) failed(e entry, err error) {
	if q.opts.OnError == nil {
		return
	}
	m := e.m
	m.To, m.Code, m.Link, m.Cancel, m.Subject, m.Text, m.HTML = "", "", "", "", "", "", ""
	q.opts.OnError(e.ctx, m, err)
}
