package passwordless

import (
	"context"
	"errors"

	"github.com/seed62b93bad/passwordless/internal/machine"
	"github.com/seed62b93bad/passwordless/internal/message"
	"github.com/seed62b93bad/passwordless/internal/secret"
	"github.com/seed62b93bad/passwordless/store"
)

// A delivery is one message of a challenge, from the commit to the sender.
type delivery struct {
	client    *client
	challenge *machine.Challenge
	at        machine.Moment // of the decision to send it
	cooldown  secret.Name    // that a failure ends; "" for none
}

// deliver renders the message and hands it to the sender; a suppressed one in the same way, to be discarded. If the sender
// surely did not take the message, its charge is given back, so that the person may ask again at once. Where sign-up is closed
// the caller is told of no failure, and nothing is given back: a transport never fails to reach people without an account.
func (s *Service) deliver(ctx context.Context, d *delivery) error {
	c := d.challenge
	m := s.message(d)
	err := s.render(&m, c)
	if err == nil {
		err = s.hand(ctx, m, c.Suppressed)
	}
	if err == nil {
		return nil
	}
	s.emit(ctx, Event{Type: EventNotSent, At: d.at.Now.Time(), Tenant: c.Tenant, Client: c.Client, Person: string(c.Person),
		Challenge: string(d.at.Name), Channel: Channel(c.Channel), Reason: "sender failed"})
	if d.client.ClosedSignUp {
		return nil
	}
	failed := &DeliveryError{Accepted: !errors.Is(err, ErrNotAccepted), Err: err}
	if !failed.Accepted {
		s.unsend(ctx, d)
	}
	return failed
}

// hand gives the sender a message: to be delivered, or with the same work to nobody (EN-2).
func (s *Service) hand(ctx context.Context, m Message, suppressed bool) error {
	switch {
	case !suppressed:
		return s.sender.Send(ctx, m)
	case s.async != nil:
		return s.async.Discard(ctx, m)
	}
	return nil // the sign-up of its client was closed when the challenge began, and no longer is
}

// unsend gives back what a message was charged, whether or not the caller still waits. If that fails, the limits stay
// stricter than they need to be.
func (s *Service) unsend(ctx context.Context, d *delivery) {
	ctx, cancel := afterwards(ctx)
	defer cancel()
	b := d.challenge.Unsend(d.at)
	if d.cooldown != "" {
		b.Deletes = append(b.Deletes, store.Key{Kind: machine.KindCooldown, Name: string(d.cooldown)})
	}
	if _, err := s.commit(ctx, d.at.Now, b); err != nil {
		_ = s.failed(ctx, "giving back a send", err)
	}
}

// message fills in everything but the rendered parts.
func (s *Service) message(d *delivery) Message {
	c, key, n := d.challenge, d.at.Key, d.at.Name
	m := Message{ID: c.MessageID(), Channel: Channel(c.Channel), To: Secret(c.Address), Purpose: Purpose(c.Purpose),
		Tenant: c.Tenant, Client: c.Client, AppName: s.AppName(d.client.Client), Expires: c.Expires.Time()}
	if c.Carries.Code() {
		m.Code = Secret(c.Code(key, n))
	}
	if c.Carries.Link() {
		m.Link = Secret(secret.EncodeAfter(orDefault(c.LinkURL, s.pageURL+"link")+"?t=", string(n), c.Link(key, n)))
	}
	if m.Channel == Email {
		m.Cancel = Secret(secret.EncodeAfter(s.pageURL+"cancel?t=", string(n), c.Kill(key, n)))
	}
	return m
}

// render fills in the rendered parts. The life that they name counts from when the message was decided.
func (s *Service) render(m *Message, c *machine.Challenge) error {
	w, err := s.renderer.Render(message.Letter{
		Channel: string(m.Channel), AppName: m.AppName, Purpose: string(m.Purpose), Life: m.Expires.Sub(c.Sent.Time()),
		Code: m.Code.Reveal(), Link: m.Link.Reveal(), Cancel: m.Cancel.Reveal(),
	}, c.Locale)
	m.Locale, m.Subject, m.Text, m.HTML = w.Locale, Secret(w.Subject), Secret(w.Text), Secret(w.HTML)
	return err
}
