package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/passwordlesstest"
	"github.com/seed62b93bad/passwordless/sender"
	"github.com/seed62b93bad/passwordless/sender/consolesender"
	"github.com/seed62b93bad/passwordless/sender/smtpsender"
)

// A post is where messages go: with -smtp mail goes to the mail server, with -dev all else goes onto the console. What
// has no way is refused. With -dev every message is in the outbox too. It is asynchronous: all ways begin with a queue.
type post struct {
	sender.ByChannel
	outbox *passwordlesstest.Outbox // nil without -dev
	queues []*sender.Queue          // all of ByChannel's, to be closed
}

var _ passwordless.Sender = post{}

func (a *app) newPost() (post, error) {
	p := post{ByChannel: sender.ByChannel{}}
	if a.set.dev {
		p.outbox = &passwordlesstest.Outbox{Clock: &a.clock}
		// One worker: the messages are printed in their order.
		console := sender.Background(consolesender.New(a.stdout), sender.BackgroundOptions{Workers: 1, OnError: a.notSent})
		p.ByChannel[passwordless.Email], p.ByChannel[passwordless.SMS] = console, console
		p.queues = append(p.queues, console)
	}
	if a.set.smtp == "" {
		return p, nil
	}
	options, err := smtpsender.ParseURL(a.set.smtp)
	if err != nil {
		return p, fmt.Errorf("-smtp: %w", err)
	}
	smtp, err := smtpsender.New(options)
	if err != nil {
		return p, fmt.Errorf("-smtp: %w", err)
	}
	mail := sender.Background(sender.Retry(smtp, sender.RetryOptions{}), sender.BackgroundOptions{OnError: a.notSent})
	p.ByChannel[passwordless.Email] = mail
	p.queues = append(p.queues, mail)
	return p, nil
}

// notSent writes down that a message was lost. The person asks for another.
func (a *app) notSent(ctx context.Context, m passwordless.Message, err error) {
	a.log.ErrorContext(ctx, "message not sent", "id", m.ID, "channel", m.Channel, "client", m.Client, "error", err)
}

// Send hands a message over.
func (p post) Send(ctx context.Context, m passwordless.Message) error {
	if p.outbox != nil {
		if err := p.outbox.Send(ctx, m); err != nil {
			return err
		}
	}
	return p.ByChannel.Send(ctx, m)
}

// Discard does what Send does, with a message that goes nowhere.
func (p post) Discard(ctx context.Context, m passwordless.Message) error {
	if p.outbox != nil {
		if err := p.outbox.Discard(ctx, m); err != nil {
			return err
		}
	}
	return p.ByChannel.Discard(ctx, m)
}

// close sends what still waits, for as long as ctx lets it.
func (p post) close(ctx context.Context) error {
	var errs []error
	for _, q := range p.queues {
		errs = append(errs, q.Close(ctx))
	}
	return errors.Join(errs...)
}
