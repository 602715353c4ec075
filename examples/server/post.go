package main

import (
	"context"
	"fmt"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/passwordlesstest"
	"github.com/seed62b93bad/passwordless/sender"
	"github.com/seed62b93bad/passwordless/sender/consolesender"
	"github.com/seed62b93bad/passwordless/sender/smtpsender"
)

// A post is where messages go: with -dev into the outbox, with -smtp to the mail server, and with
// neither mail server nor provider onto the console.
type post struct {
	outbox  *passwordlesstest.Outbox // nil without -dev
	mail    *sender.Queue            // nil without -smtp
	console *consolesender.Sender    // nil without -dev
}

var _ passwordless.AsyncSender = post{}

func (a *app) newPost() (post, error) {
	var p post
	if a.set.dev {
		p.outbox = &passwordlesstest.Outbox{Clock: &a.clock}
		p.console = consolesender.New(a.stdout)
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
	p.mail = sender.Background(sender.Retry(smtp, sender.RetryOptions{}), sender.BackgroundOptions{OnError: a.notSent})
	return p, nil
}

// notSent writes down that a message was lost. The person asks for another.
func (a *app) notSent(ctx context.Context, m passwordless.Message, err error) {
	a.log.ErrorContext(ctx, "message not sent", "id", m.ID, "channel", m.Channel, "client", m.Client, "error", err)
}

// Asynchronous returns true: mail is queued, and -dev is no place where the time of an answer matters.
func (p post) Asynchronous() bool { return true }

// Send hands a message over.
func (p post) Send(ctx context.Context, m passwordless.Message) error {
	if p.outbox != nil {
		if err := p.outbox.Send(ctx, m); err != nil {
			return err
		}
	}
	switch {
	case p.mail != nil && m.Channel == passwordless.Email:
		return p.mail.Send(ctx, m)
	case p.console != nil:
		return p.console.Send(ctx, m)
	}
	return fmt.Errorf("%w: nothing here sends on channel %s", passwordless.ErrUndeliverable, m.Channel)
}
