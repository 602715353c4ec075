// Package sendertest checks that a passwordless.Sender keeps its contract.
//
// A sender's test gives Run a factory of harnesses: a sender, joined to a transport which the test controls.
//
//	func TestSender(t *testing.T) {
//		sendertest.Run(t, func(t *testing.T) sendertest.Harness { … })
//	}
package sendertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed62b93bad/passwordless"
)

// A Harness is a new sender and its transport. Received is required; what another function would do and the transport
// cannot is left nil, and its case is skipped.
type Harness struct {
	Sender passwordless.Sender
	// Channels are what the sender serves; the first is the one it is tested with.
	Channels []passwordless.Channel
	// Received returns what the transport has taken.
	Received func() []Delivery
	// Refuse makes the transport refuse messages with an answer that holds reply.
	Refuse func(reply string)
	// Hang makes the transport stay silent when it is next spoken to.
	Hang func()
	// Lose makes the transport take messages whole, but break off before it says so.
	Lose func()
	// Skip gives reasons to skip cases, by their names.
	Skip map[string]string
}

// A Delivery is a message as the transport understood it. Fields that the transport has no place for are left empty and
// not compared, but To and Text are required.
type Delivery struct {
	To                  []string
	Subject, Text, HTML string
	Key                 string // the idempotency key
}

// A testCase is one sentence of the contract.
type testCase struct {
	name, rule string
	run        func(k *kit)
}

func cases() []testCase {
	return []testCase{
		{"recipient", "a message goes to Message.To, byte for byte, and to nobody else", testRecipient},
		{"content", "subject, text and HTML arrive as they were rendered", testContent},
		{"key", "every try of a message carries its ID, and no other message does", testKey},
		{"channel", "a message of a channel that the sender does not serve is refused", testChannel},
		{"hostile", "an address or subject that could add a recipient or a header is refused", testHostile},
		{"cancelled", "nothing is sent for a context that is over", testCancelled},
		{"hang", "Send ends with its context even if the transport is silent", testHang},
		{"refused", "the error for a message that was surely not taken matches ErrNotAccepted", testRefused},
		{"lost", "the error for a message that may have been taken does not match ErrNotAccepted", testLost},
		{"discard", "a sender that says it is asynchronous discards a message as it sends one, and delivers it to nobody", testDiscard},
		{"concurrent", "Send may be called by many at once", testConcurrent},
	}
}

// Run tests the senders that factory makes, a new one for each case. Every case also demands that errors show neither
// the address nor a secret.
func Run(t *testing.T, factory func(t *testing.T) Harness) {
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			failures, skipped := c.check(t.Context(), factory(t))
			if len(failures) > 0 {
				t.Errorf("%s\n\nThe rule: %s.", strings.Join(failures, "\n"), c.rule)
			} else if skipped != "" {
				t.Skip(skipped)
			}
		})
	}
}

// check runs the case and returns its failures, or why it was skipped.
func (c testCase) check(ctx context.Context, h Harness) (failures []string, skipped string) {
	if reason := h.Skip[c.name]; reason != "" {
		return nil, reason
	}
	k := &kit{Harness: h, ctx: ctx, channel: h.Channels[0]}
	defer func() {
		if p := recover(); p != nil && p != any(k) { // k itself is how fatal and skip end a case
			panic(p)
		}
		failures, skipped = k.failures, k.skipped
	}()
	c.run(k)
	return k.failures, ""
}

// A kit is a case at work.
type kit struct {
	Harness
	ctx     context.Context
	channel passwordless.Channel
	skipped string

	mu       sync.Mutex // guards failures
	failures []string
}

func (k *kit) errorf(format string, args ...any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.failures = append(k.failures, fmt.Sprintf(format, args...))
}

// fatalf ends the case. It must be called by the case's own goroutine, like skip.
func (k *kit) fatalf(format string, args ...any) {
	k.errorf(format, args...)
	panic(k)
}

func (k *kit) skip(reason string) {
	k.skipped = reason
	panic(k)
}

// What must not be seen in an error. Addresses are looked for too.
const (
	canaryCode = "73194628"
	canaryText = "canary"
)

// Message returns a message that a sender of the channel must deliver. Its address, secrets and texts are easily
// recognised where they must not be.
func Message(channel passwordless.Channel, id string) passwordless.Message {
	m := passwordless.Message{
		ID:      id,
		Channel: channel,
		To:      "canary.recipient@example.com",
		Locale:  "en",
		Purpose: passwordless.SignIn,
		Tenant:  "tenant",
		Client:  "client",
		AppName: "Example",
		Expires: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC),
		Code:    canaryCode,
		Link:    "https://id.example.com/canary?t=canary",
		Cancel:  "https://id.example.com/cancel?t=canary",
		Subject: "Sign in to Exåmple – canary",
		Text:    "Code canary: " + canaryCode + "\n\n    https://id.example.com/canary?t=canary\n",
		HTML:    "<!DOCTYPE html>\n<html lang=\"en\"><p>canary " + canaryCode + " é</p></html>",
	}
	if channel == passwordless.SMS {
		m.To, m.Subject, m.HTML, m.Link, m.Cancel = "+46701234567", "", "", "", ""
		m.Text = canaryCode + " is your canary code. Ünïcode.\n\n@id.example.com #" + canaryCode
	}
	return m
}

// reveals returns what an error shows of the message, if anything.
func reveals(err error, m passwordless.Message) string {
	text := strings.ToLower(printed(err))
	to := strings.TrimSpace(m.To.Reveal())
	for _, secret := range []string{to, strings.TrimPrefix(to, "+"), canaryCode, canaryText} {
		if secret != "" && strings.Contains(text, strings.ToLower(secret)) {
			return secret
		}
	}
	return ""
}

// printed is all that printing an error and those it wraps can show.
func printed(err error) string {
	text := fmt.Sprintf("%v %+v %q", err, err, err)
	switch e := err.(type) { //nolint:errorlint // every error of the tree gets its turn
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			text += printed(inner)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			text += printed(inner)
		}
	}
	return text
}

// fails demands an error that reveals nothing, and returns it.
func (k *kit) fails(ctx context.Context, m passwordless.Message) error {
	err := k.Sender.Send(ctx, m)
	k.failed(err, m)
	return err
}

// failed demands that a send of m failed, and reveals nothing.
func (k *kit) failed(err error, m passwordless.Message) {
	if err == nil {
		k.fatalf("Send succeeded")
	}
	if secret := reveals(err, m); secret != "" {
		k.errorf("the error shows %q: %s", secret, printed(err))
	}
}

// refuses demands an error that matches ErrNotAccepted.
func (k *kit) refuses(ctx context.Context, m passwordless.Message) {
	if err := k.fails(ctx, m); !errors.Is(err, passwordless.ErrNotAccepted) {
		k.errorf("the error does not match ErrNotAccepted: %v", err)
	}
}

// send demands success.
func (k *kit) send(m passwordless.Message) {
	ctx, cancel := context.WithTimeout(k.ctx, 10*time.Second)
	defer cancel()
	if err := k.Sender.Send(ctx, m); err != nil {
		k.fatalf("Send: %v", err)
	}
}

// only returns the one delivery there was.
func (k *kit) only() Delivery {
	got := k.Received()
	if len(got) != 1 {
		k.fatalf("%d messages were delivered, want 1", len(got))
	}
	return got[0]
}

func (k *kit) nothing() {
	if n := len(k.Received()); n != 0 {
		k.errorf("%d messages were delivered, want none", n)
	}
}

func testRecipient(k *kit) {
	addresses := map[passwordless.Channel][]passwordless.Secret{
		passwordless.Email: {
			"canary@example.com", "canary+tag@example.com", "o'canary@example.com", "c.a-n_a=r!y@xn--bcher-kva.example",
			"UPPER.canary@example.com", "canary@localhost", "1@example.com",
		},
		passwordless.SMS: {"+46701234567", "+4712345678", "+18005550199"},
	}
	var want []string
	for i, to := range addresses[k.channel] {
		m := Message(k.channel, fmt.Sprintf("recipient-%d", i))
		m.To = to
		k.send(m)
		want = append(want, to.Reveal())
	}
	var got []string
	for _, d := range k.Received() {
		if len(d.To) != 1 {
			k.errorf("a message went to %d recipients", len(d.To))
		}
		got = append(got, d.To...)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		k.errorf("delivered to %q, want %q", got, want)
	}
}

func testContent(k *kit) {
	m := Message(k.channel, "content")
	if m.Channel == passwordless.Email {
		m.Text += "\n.\n.leading dot\n..\nFrom here = there =3D " + passwordless.Secret(strings.Repeat("long line ", 200)) + "\nend"
		m.HTML += passwordless.Secret("\n.\n" + strings.Repeat("<b>ø</b>", 300))
	}
	k.send(m)
	got := k.only()
	for _, part := range []struct {
		name      string
		got, want string
		must      bool
	}{
		{"text", got.Text, m.Text.Reveal(), true},
		{"subject", got.Subject, m.Subject.Reveal(), false},
		{"HTML", got.HTML, m.HTML.Reveal(), false},
	} {
		if (part.must || part.got != "") && lines(part.got) != lines(part.want) {
			k.errorf("%s: got %q, want %q", part.name, part.got, part.want)
		}
	}
}

// lines takes away what a transport may change: the ends of lines, and of the last one.
func lines(text string) string {
	return strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
}

func testKey(k *kit) {
	for _, id := range []string{"key-1", "key-1", "key-2"} {
		k.send(Message(k.channel, id))
	}
	var keys []string
	for _, d := range k.Received() {
		if d.Key == "" {
			k.skip("the transport has no place for a key")
		}
		keys = append(keys, d.Key)
	}
	slices.Sort(keys)
	// A transport that knows keys may have dropped the second try.
	if n := len(slices.Compact(slices.Clone(keys))); n != 2 || len(keys) > 3 {
		k.errorf("keys %q, want two different ones", keys)
	}
}

func testChannel(k *kit) {
	every := true
	for _, channel := range []passwordless.Channel{passwordless.Email, passwordless.SMS, "pigeon"} {
		if slices.Contains(k.Channels, channel) {
			continue
		}
		every = false
		k.refuses(k.ctx, Message(channel, "channel"))
	}
	if every {
		k.skip("the sender serves every channel")
	}
	k.nothing()
}

func testHostile(k *kit) {
	for _, to := range []passwordless.Secret{
		"", " ", "canary", "canary@example.com\r\nBcc: canary2@example.com", "canary@example.com\n", "canary@example.com\x00",
		"canary@example.com,canary2@example.com", "canary@example.com canary2@example.com", "<canary@example.com>",
		"Canary <canary@example.com>", "canary@example.com (comment)", `"canary x"@example.com`, "group: canary@example.com;",
		"+4670123\r\n4567", "+46701234567,+46701234568", "+46701234567 ", "tel:+46701234567", "0701234567x",
	} {
		m := Message(k.channel, "hostile")
		m.To = to
		k.refuses(k.ctx, m)
	}
	for _, subject := range []passwordless.Secret{"canary\r\nBcc: x@example.com", "canary\nX: y", "canary\rX: y", "canary\x00"} {
		if k.channel == passwordless.SMS {
			break
		}
		m := Message(k.channel, "hostile")
		m.Subject = subject
		k.refuses(k.ctx, m)
	}
	k.nothing()
}

func testCancelled(k *kit) {
	ctx, cancel := context.WithCancel(k.ctx)
	cancel()
	k.refuses(ctx, Message(k.channel, "cancelled"))
	k.nothing()
}

func testHang(k *kit) {
	if k.Hang == nil {
		k.skip("the transport cannot hang")
	}
	k.Hang()
	ctx, cancel := context.WithTimeout(k.ctx, 100*time.Millisecond)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- k.Sender.Send(ctx, Message(k.channel, "hang")) }()
	select {
	case err := <-ended:
		k.failed(err, Message(k.channel, "hang"))
	case <-time.After(5 * time.Second):
		k.errorf("Send goes on 5s after it began with 100ms to go")
	}
}

func testRefused(k *kit) {
	if k.Refuse == nil {
		k.skip("the transport cannot refuse")
	}
	m := Message(k.channel, "refused")
	k.Refuse("no such recipient " + m.To.Reveal() + " " + canaryText + " " + canaryCode)
	k.refuses(k.ctx, m)
	k.nothing()
}

func testLost(k *kit) {
	if k.Lose == nil {
		k.skip("the transport cannot lose an answer")
	}
	k.Lose()
	ctx, cancel := context.WithTimeout(k.ctx, 3*time.Second)
	defer cancel()
	err := k.fails(ctx, Message(k.channel, "lost"))
	if errors.Is(err, passwordless.ErrNotAccepted) {
		k.errorf("the error matches ErrNotAccepted: %v", err)
	}
}

// testDiscard has nothing to say of a sender that is not asynchronous.
func testDiscard(k *kit) {
	async, says := k.Sender.(interface{ Asynchronous() bool })
	if !says || !async.Asynchronous() {
		return
	}
	d, can := k.Sender.(interface {
		Discard(ctx context.Context, m passwordless.Message) error
	})
	if !can {
		k.fatalf("the sender is asynchronous and has no Discard")
	}
	for _, id := range []string{"discard-1", "discard-2"} {
		if err := d.Discard(k.ctx, Message(k.channel, id)); err != nil {
			k.errorf("Discard: %v", err)
		}
	}
	k.send(Message(k.channel, "discard-3"))
	if got := k.only(); got.Key != "" && got.Key != "discard-3" {
		k.errorf("delivered %q, want what was sent", got.Key)
	}
	over, cancel := context.WithCancel(k.ctx)
	cancel()
	other := passwordless.Channel("pigeon")
	for what, try := range map[string]struct {
		ctx context.Context
		m   passwordless.Message
	}{
		"for a context that is over":        {over, Message(k.channel, "discard-4")},
		"by a channel that nobody can know": {k.ctx, Message(other, "discard-5")},
	} {
		sent, discarded := k.Sender.Send(try.ctx, try.m), d.Discard(try.ctx, try.m)
		same := (sent == nil) == (discarded == nil) &&
			errors.Is(sent, passwordless.ErrNotAccepted) == errors.Is(discarded, passwordless.ErrNotAccepted)
		if !same {
			k.errorf("%s: Send returns %v, Discard %v", what, sent, discarded)
		}
		if secret := reveals(discarded, try.m); discarded != nil && secret != "" {
			k.errorf("the error of Discard shows %q", secret)
		}
	}
}

func testConcurrent(k *kit) {
	const senders = 24
	var wg sync.WaitGroup
	want := map[string]bool{}
	for i := range senders {
		m := Message(k.channel, fmt.Sprintf("concurrent-%d", i))
		m.Text += passwordless.Secret(fmt.Sprintf(" no. %d.", i))
		want[lines(m.Text.Reveal())] = true
		wg.Go(func() {
			if err := k.Sender.Send(k.ctx, m); err != nil {
				k.errorf("Send: %v", err)
			}
		})
	}
	wg.Wait()
	got := k.Received()
	for _, d := range got {
		delete(want, lines(d.Text))
	}
	if len(got) != senders || len(want) != 0 {
		k.errorf("%d deliveries, %d of %d messages missing or mixed up", len(got), len(want), senders)
	}
}
