// Package sender wraps senders of messages: Background queues messages, Retry repeats a failed send,
// Failover tries the next sender. The senders
// that talk to mail servers and providers are in the packages below this one.
//
// Each wraps any passwordless.Sender, another of these included. The usual order, from
// the outside in, is Background, Retry, Failover.
package sender

import "time"

// positiveOr returns n, or def if n is 0 or less.
func positiveOr[N int | time.Duration](n, def N) N {
	if n <= 0 {
		return def
	}
	return n
}
