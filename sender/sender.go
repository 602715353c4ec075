// Package sender wraps senders of messages: Background queues messages, Retry repeats a failed send, Failover tries the
// next sender, ByChannel sends e-mail one way and SMS another. The senders that talk to mail servers and providers are
// in the packages below this one.
//
// Each wraps any passwordless.Sender, another of these included. The usual order, from the outside in, is ByChannel,
// Background, Retry, Failover.
//
// A wrapper is asynchronous if all that it wraps are, Background always. It discards a message on the way on which it sends one.
// A Func is never asynchronous, whatever it calls.
//
// passwordless.New reports a nil sender in any of them as a mistake of its configuration.
package sender

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/seed62b93bad/passwordless"
)

// check returns an error if the sender at the given place is nil, or what its method Check returns.
func check(place string, s passwordless.Sender) error {
	if isNil(s) {
		return fmt.Errorf("sender: %s: no sender", place)
	}
	if c, ok := s.(interface{ Check() error }); ok {
		return c.Check()
	}
	return nil
}

// A discarder is an asynchronous sender; see passwordless.Sender.
type discarder interface {
	passwordless.Sender
	Asynchronous() bool
	Discard(ctx context.Context, m passwordless.Message) error
}

// asynchronous reports whether all of the senders are, and there is one.
func asynchronous(senders ...passwordless.Sender) bool {
	for _, s := range senders {
		if d, ok := s.(discarder); !ok || isNil(s) || !d.Asynchronous() {
			return false
		}
	}
	return len(senders) > 0
}

// A handing is what a wrapper does with a message and the sender it wraps: send or discard.
type handing func(ctx context.Context, to passwordless.Sender, m passwordless.Message) error

func send(ctx context.Context, to passwordless.Sender, m passwordless.Message) error {
	return to.Send(ctx, m)
}

// discard has an asynchronous sender take a message that is delivered to nobody. Any other one is not given it.
func discard(ctx context.Context, to passwordless.Sender, m passwordless.Message) error {
	d, ok := to.(discarder)
	if !ok {
		return fmt.Errorf("sender: cannot discard: not asynchronous: %w", passwordless.ErrNotAccepted)
	}
	return d.Discard(ctx, m)
}

// isNil reports whether s is nil, or a nil pointer, map or function, or the like.
func isNil(s passwordless.Sender) bool {
	switch v := reflect.ValueOf(s); v.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Pointer, reflect.Map, reflect.Func, reflect.Slice, reflect.Chan:
		return v.IsNil()
	default:
		return false
	}
}

// positiveOr returns n, or def if n is 0 or less.
func positiveOr[N int | time.Duration](n, def N) N {
	if n <= 0 {
		return def
	}
	return n
}

// ErrUndeliverable is matched by errors of a Sender whose transport works but refuses this message for good: a mailbox that
// does not exist, a number that takes no messages. It matches passwordless.ErrNotAccepted too. Trying again is useless and the
// refusal says nothing about the transport: Retry does not repeat the message, and Failover does not count it as a failure.
var ErrUndeliverable = fmt.Errorf("%w: refused for good", passwordless.ErrNotAccepted)

// The Func type lets a function be a Sender.
type Func func(ctx context.Context, m passwordless.Message) error

// Send calls f.
func (f Func) Send(ctx context.Context, m passwordless.Message) error { return f(ctx, m) }
