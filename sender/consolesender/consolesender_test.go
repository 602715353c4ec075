package consolesender_test

import (
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/sender/consolesender"
	"github.com/seed62b93bad/passwordless/sender/sendertest"
)

// writes keeps each Write. It has no lock of its own: the sender must not need one.
type writes struct {
	got []string
	err error
}

func (w *writes) Write(p []byte) (int, error) {
	w.got = append(w.got, string(p))
	return len(p), w.err
}

var printed = regexp.MustCompile(`(?s)^---- \S+ to (.*) \((.*), en\) ----\n(?:([^\n]*)\n\n)?(.*)\n----\n$`)

func TestSender(t *testing.T) {
	for _, channel := range []passwordless.Channel{passwordless.Email, passwordless.SMS} {
		t.Run(string(channel), func(t *testing.T) {
			sendertest.Run(t, func(t *testing.T) sendertest.Harness {
				w := &writes{}
				return sendertest.Harness{
					Sender:   consolesender.New(w),
					Channels: []passwordless.Channel{channel},
					Received: func() []sendertest.Delivery { return deliveries(t, channel, w.got) },
					Lose:     func() { w.err = errors.New("disk full") },
					Skip: map[string]string{
						"channel": "every channel is printed",
						"hostile": "nothing is sent",
					},
				}
			})
		})
	}
}

func deliveries(t *testing.T, channel passwordless.Channel, writes []string) (all []sendertest.Delivery) {
	for _, w := range writes {
		part := printed.FindStringSubmatch(w)
		if part == nil {
			t.Fatalf("printed %q", w)
		}
		d := sendertest.Delivery{To: []string{part[1]}, Key: part[2], Subject: part[3], Text: part[4]}
		if channel == passwordless.SMS && d.Subject != "" { // an SMS has none: it is text
			d.Subject, d.Text = "", d.Subject+"\n\n"+d.Text
		}
		all = append(all, d)
	}
	return all
}

func TestOneWriteAMessage(t *testing.T) {
	w := &writes{}
	s := consolesender.New(w)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { _ = s.Send(t.Context(), sendertest.Message(passwordless.Email, "1")) })
	}
	wg.Wait()
	if len(w.got) != 8 {
		t.Errorf("%d writes of 8 messages", len(w.got))
	}
}

func TestTerminalIsNotControlled(t *testing.T) {
	w := &writes{}
	m := sendertest.Message(passwordless.Email, "1")
	m.Text, m.To = "a\x1b[2Jb\r\x07\nc", "x\x1b@example.com"
	if err := consolesender.New(w).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(w.got[0], "\x1b\r\x07") || !strings.Contains(w.got[0], "a[2Jb\nc") {
		t.Errorf("printed %q", w.got[0])
	}
}
