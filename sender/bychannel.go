package sender

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/seed62b93bad/passwordless"
)

// A ByChannel gives each message to the sender of its channel:
//
//	sender.ByChannel{passwordless.Email: mail, passwordless.SMS: texts}
//
// Put Failover inside it, not around it: Failover counts the failures of a sender whatever the channel. The map must
// not be changed once it is in use; then it is safe for concurrent use.
type ByChannel map[passwordless.Channel]passwordless.Sender

var _ passwordless.Sender = ByChannel(nil)

// Send hands the message to the sender of its channel. If there is none, the error matches ErrUndeliverable.
func (b ByChannel) Send(ctx context.Context, m passwordless.Message) error {
	return b.hand(ctx, m, send)
}

// Discard has the sender of the message's channel discard it, and fails without one as Send does.
func (b ByChannel) Discard(ctx context.Context, m passwordless.Message) error {
	return b.hand(ctx, m, discard)
}

func (b ByChannel) hand(ctx context.Context, m passwordless.Message, do handing) error {
	next := b[m.Channel]
	if isNil(next) {
		return fmt.Errorf("sender: none for channel %q: %w", m.Channel, ErrUndeliverable)
	}
	return do(ctx, next, m)
}

// Asynchronous reports whether every sender is an asynchronous one, and there is at least one.
func (b ByChannel) Asynchronous() bool { return asynchronous(slices.Collect(maps.Values(b))...) }

// Check reports that the map is empty, or each channel that passwordless does not know, and each whose sender is nil or
// has something missing. passwordless.New calls it.
func (b ByChannel) Check() error {
	if len(b) == 0 {
		return errors.New("sender: ByChannel: no senders")
	}
	var errs []error
	for _, channel := range slices.Sorted(maps.Keys(b)) {
		place := fmt.Sprintf("ByChannel[%q]", channel)
		if channel != passwordless.Email && channel != passwordless.SMS {
			errs = append(errs, fmt.Errorf("sender: %s: unknown channel", place))
		}
		errs = append(errs, check(place, b[channel]))
	}
	return errors.Join(errs...)
}
