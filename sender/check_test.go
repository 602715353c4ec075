package sender_test

import (
	"errors"
	"testing"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/sender"
)

// A faulty sender has a mistake in its configuration.
type faulty struct{ scripted }

func (*faulty) Check() error { return errors.New("faulty: no URL") }

func TestCheckReportsWhatIsMissing(t *testing.T) { // OP-1
	t.Parallel()
	sound := &scripted{}
	for _, test := range []struct {
		name string
		s    passwordless.Sender
		want string
	}{
		{"background", sender.Background(sound, sender.BackgroundOptions{}), ""},
		{"retry", sender.Retry(sound, sender.RetryOptions{}), ""},
		{"failover", sender.Failover(sender.FailoverOptions{}, sound, sound), ""},
		{"by channel", sender.ByChannel{passwordless.Email: sound, passwordless.SMS: sound}, ""},

		{"background of nil", sender.Background(nil, sender.BackgroundOptions{}), "sender: Background: no sender"},
		{"background of a nil pointer", sender.Background((*scripted)(nil), sender.BackgroundOptions{}),
			"sender: Background: no sender"},
		{"retry of nil", sender.Retry(nil, sender.RetryOptions{}), "sender: Retry: no sender"},
		{"retry of a nil function", sender.Retry(sender.Func(nil), sender.RetryOptions{}), "sender: Retry: no sender"},
		{"failover of none", sender.Failover(sender.FailoverOptions{}), "sender: Failover: no senders"},
		{"failover of nils", sender.Failover(sender.FailoverOptions{}, nil, sound, nil),
			"sender: Failover[0]: no sender\nsender: Failover[2]: no sender"},
		{"no channel", sender.ByChannel{}, "sender: ByChannel: no senders"},
		{"nils by channel", sender.ByChannel{passwordless.SMS: nil, passwordless.Email: sender.ByChannel(nil)},
			"sender: ByChannel[\"email\"]: no sender\nsender: ByChannel[\"sms\"]: no sender"},
		{"unknown channels", sender.ByChannel{"": nil, "fax": sound},
			"sender: ByChannel[\"\"]: unknown channel\nsender: ByChannel[\"\"]: no sender\nsender: ByChannel[\"fax\"]: unknown channel"},
	} {
		if got := checked(t, test.s); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
		for outer, s := range map[string]passwordless.Sender{
			"background": sender.Background(test.s, sender.BackgroundOptions{}),
			"retry":      sender.Retry(test.s, sender.RetryOptions{}),
			"failover":   sender.Failover(sender.FailoverOptions{}, sound, test.s),
			"by channel": sender.ByChannel{passwordless.Email: sound, passwordless.SMS: test.s},
		} {
			if got := checked(t, s); got != test.want {
				t.Errorf("%s in %s: got %q, want %q", test.name, outer, got, test.want)
			}
		}
	}
}

func TestCheckAsksTheSendersOfOthers(t *testing.T) { // OP-1
	t.Parallel()
	s := sender.ByChannel{passwordless.Email: sender.Background(sender.Retry(
		sender.Failover(sender.FailoverOptions{}, &scripted{}, &faulty{}), sender.RetryOptions{}), sender.BackgroundOptions{})}
	if got := checked(t, s); got != "faulty: no URL" {
		t.Errorf("got %q", got)
	}
}

// checked returns what the sender's Check reports, "" for nothing.
func checked(t *testing.T, s passwordless.Sender) string {
	t.Helper()
	c, ok := s.(interface{ Check() error })
	if !ok {
		t.Fatalf("%T has no Check", s)
	}
	if err := c.Check(); err != nil {
		return err.Error()
	}
	return ""
}
