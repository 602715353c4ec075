package sendertest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/sender/sendertest"
)

// A post is a sender and its transport in one, right but for one bug.
type post struct {
	bug     string
	channel passwordless.Channel
	reply   string // the transport refuses with it
	hangs   bool
	loses   bool

	mu      sync.Mutex // guards what follows
	sent    []sendertest.Delivery
	scratch string        // of the bug that shares it
	sharers int           // who wrote to it at once
	second  chan struct{} // closed when there are two
}

func (p *post) Send(ctx context.Context, m passwordless.Message) error {
	if err := p.refuse(ctx, m); err != nil {
		return err
	}
	if p.hangs {
		if p.bug == "ignores its context" {
			select {}
		}
		<-ctx.Done()
		return fmt.Errorf("post: %w", ctx.Err())
	}
	p.keep(p.delivery(m))
	if p.loses {
		if p.bug == "takes a lost answer for a refusal" {
			return fmt.Errorf("post: no answer: %w", passwordless.ErrNotAccepted)
		}
		return errors.New("post: no answer")
	}
	return nil
}

// An asynchronous post can discard.
type asynchronous struct{ *post }

func (asynchronous) Asynchronous() bool { return true }

func (a asynchronous) Discard(ctx context.Context, m passwordless.Message) error {
	switch a.bug {
	case "delivers what it discards":
		return a.Send(ctx, m)
	case "discards less than it sends":
		return nil
	case "shows what it discards":
		if err := a.refuse(ctx, m); err != nil {
			return fmt.Errorf("%s: %w", m.To.Reveal(), err)
		}
		return nil
	case "cannot discard":
		return errors.New("post: cannot discard")
	}
	return a.refuse(ctx, m)
}

// A boaster says that it is asynchronous, and has no Discard.
type boaster struct{ *post }

func (boaster) Asynchronous() bool { return true }

// refuse is everything that happens before the transport has the message.
func (p *post) refuse(ctx context.Context, m passwordless.Message) error {
	switch {
	case p.bug != "sends for a context that is over" && ctx.Err() != nil:
		return fmt.Errorf("post: %w: %w", ctx.Err(), passwordless.ErrNotAccepted)
	case p.bug != "takes every channel" && m.Channel != p.channel:
		return fmt.Errorf("post: other channel: %w", passwordless.ErrNotAccepted)
	case p.bug != "takes every address" && !p.good(m.To.Reveal()):
		return fmt.Errorf("post: bad address: %w", passwordless.ErrNotAccepted)
	case p.bug != "takes every subject" && strings.ContainsAny(m.Subject.Reveal(), "\r\n\x00"):
		return fmt.Errorf("post: bad subject: %w", passwordless.ErrNotAccepted)
	case p.reply != "" && p.bug == "shows the reply":
		return fmt.Errorf("post: %s: %w", p.reply, passwordless.ErrNotAccepted)
	case p.reply != "" && p.bug == "wraps the reply":
		return hidden{errors.Join(errors.New(p.reply), passwordless.ErrNotAccepted)}
	case p.reply != "" && p.bug == "does not say that it was refused":
		return errors.New("post: refused")
	case p.reply != "":
		return fmt.Errorf("post: refused: %w", passwordless.ErrNotAccepted)
	}
	return nil
}

func (p *post) good(to string) bool {
	if p.channel == passwordless.SMS {
		return len(to) > 8 && to[0] == '+' && strings.Trim(to[1:], "0123456789") == ""
	}
	a, err := mail.ParseAddress(to)
	return err == nil && a.Address == to
}

func (p *post) delivery(m passwordless.Message) sendertest.Delivery {
	d := sendertest.Delivery{
		To: []string{m.To.Reveal()}, Key: m.ID,
		Subject: m.Subject.Reveal(), Text: m.Text.Reveal(), HTML: m.HTML.Reveal(),
	}
	switch p.bug {
	case "lowers the address":
		d.To[0] = strings.ToLower(d.To[0])
	case "sends a copy":
		d.To = append(d.To, "archive@example.com")
	case "stuffs dots":
		d.Text = strings.ReplaceAll(d.Text, "\n.", "\n..")
	case "cuts the text":
		d.Text = d.Text[:40]
	case "writes ASCII":
		d.Subject = strings.ToValidUTF8(strings.ReplaceAll(d.Subject, "å", "?"), "?")
	case "swaps the parts":
		d.HTML = d.Text
	case "has one key":
		d.Key = "key"
	case "draws a key":
		d.Key = fmt.Sprint(time.Now().UnixNano())
	case "has no key":
		d.Key = ""
	}
	return d
}

func (p *post) keep(d sendertest.Delivery) {
	if p.bug == "shares a buffer" {
		p.share(d)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bug == "shares a buffer" {
		d.Text = p.scratch
	}
	p.sent = append(p.sent, d)
}

// share writes to the buffer. The first of several who do so at once waits for the second.
func (p *post) share(d sendertest.Delivery) {
	p.mu.Lock()
	p.scratch = d.Text
	if !strings.HasPrefix(d.Key, "concurrent-") {
		p.mu.Unlock()
		return
	}
	p.sharers++
	sharers := p.sharers
	p.mu.Unlock()
	switch sharers {
	case 1:
		<-p.second
	case 2:
		close(p.second)
	}
}

// hidden is an error that says little, but wraps more.
type hidden struct{ error }

func (hidden) Error() string   { return "post: refused" }
func (h hidden) Unwrap() error { return h.error }

func harness(bug string, channel passwordless.Channel) func() sendertest.Harness {
	return func() sendertest.Harness {
		p := &post{bug: bug, channel: channel, second: make(chan struct{})}
		var s passwordless.Sender = asynchronous{p}
		switch bug {
		case "has no Discard":
			s = boaster{p}
		case "waits":
			s = p
		}
		return sendertest.Harness{
			Sender:   s,
			Channels: []passwordless.Channel{channel},
			Received: func() []sendertest.Delivery { return slices.Clone(p.sent) },
			Refuse:   func(reply string) { p.reply = reply },
			Hang:     func() { p.hangs = true },
			Lose:     func() { p.loses = true },
		}
	}
}

func TestEachBugIsFound(t *testing.T) {
	t.Parallel()
	for bug, finder := range map[string]string{
		"lowers the address":                "recipient",
		"sends a copy":                      "recipient",
		"stuffs dots":                       "content",
		"cuts the text":                     "content",
		"writes ASCII":                      "content",
		"swaps the parts":                   "content",
		"has one key":                       "key",
		"draws a key":                       "key",
		"takes every channel":               "channel",
		"takes every address":               "hostile",
		"takes every subject":               "hostile",
		"sends for a context that is over":  "cancelled",
		"ignores its context":               "hang",
		"shows the reply":                   "refused",
		"wraps the reply":                   "refused",
		"does not say that it was refused":  "refused",
		"takes a lost answer for a refusal": "lost",
		"shares a buffer":                   "concurrent",
		"delivers what it discards":         "discard",
		"discards less than it sends":       "discard",
		"shows what it discards":            "discard",
		"cannot discard":                    "discard",
		"has no Discard":                    "discard",
	} {
		t.Run(bug, func(t *testing.T) {
			t.Parallel()
			failed, _ := sendertest.Failures(t, harness(bug, passwordless.Email))
			if failed[finder] == nil {
				t.Errorf("%q does not find it; these do: %q", finder, slices.Sorted(maps.Keys(failed)))
			}
		})
	}
}

func TestNothingIsFoundWithoutBugs(t *testing.T) {
	t.Parallel()
	for _, channel := range []passwordless.Channel{passwordless.Email, passwordless.SMS} {
		for _, none := range []string{"", "waits"} { // a sender that waits need not discard
			if failed, skipped := sendertest.Failures(t, harness(none, channel)); len(failed) > 0 || len(skipped) > 0 {
				t.Errorf("%s: failures %q, skipped %q", channel, failed, skipped)
			}
		}
	}
}

func TestSkips(t *testing.T) {
	t.Parallel()
	failed, skipped := sendertest.Failures(t, func() sendertest.Harness {
		h := harness("has no key", passwordless.Email)()
		h.Refuse, h.Hang, h.Lose = nil, nil, nil
		h.Skip = map[string]string{"content": "a reason"}
		return h
	})
	if want := []string{"content", "key", "hang", "refused", "lost"}; len(failed) > 0 || !slices.Equal(skipped, want) {
		t.Errorf("skipped %q, want %q; failures %q", skipped, want, failed)
	}
}
