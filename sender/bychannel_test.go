package sender_test

import (
	"errors"
	"testing"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/sender"
)

func TestByChannelSendsEachMessageItsWay(t *testing.T) {
	t.Parallel()
	mail, texts := &scripted{}, &scripted{answers: []error{errUncertain}}
	s := sender.ByChannel{passwordless.Email: mail, passwordless.SMS: texts}
	if err := s.Send(t.Context(), passwordless.Message{ID: "1", Channel: passwordless.Email}); err != nil {
		t.Error(err)
	}
	if err := s.Send(t.Context(), passwordless.Message{ID: "2", Channel: passwordless.SMS}); !errors.Is(err, errUncertain) {
		t.Errorf("got %v, want the error of the sender", err)
	}
	if mail.count() != 1 || mail.sent[0].ID != "1" || texts.count() != 1 || texts.sent[0].ID != "2" {
		t.Errorf("mail took %v, texts took %v", mail.sent, texts.sent)
	}
}

func TestByChannelRefusesForGoodWhatItHasNoSenderFor(t *testing.T) {
	t.Parallel()
	mail := &scripted{}
	for name, s := range map[string]sender.ByChannel{
		"other channels": {passwordless.Email: mail},
		"nil sender":     {passwordless.Email: mail, passwordless.SMS: nil},
		"nil function":   {passwordless.Email: mail, passwordless.SMS: sender.Func(nil)},
		"nil map":        nil,
	} {
		err := s.Send(t.Context(), passwordless.Message{Channel: passwordless.SMS})
		if !errors.Is(err, sender.ErrUndeliverable) || !errors.Is(err, passwordless.ErrNotAccepted) {
			t.Errorf("%s: got %v, want ErrUndeliverable", name, err)
		}
	}
	if mail.count() != 0 {
		t.Error("a text message went out by e-mail")
	}
}

func TestAMissingChannelPutsNoSenderToRest(t *testing.T) {
	t.Parallel()
	mail, spare := &scripted{}, &scripted{}
	s := sender.Failover(sender.FailoverOptions{Failures: 1}, sender.ByChannel{passwordless.Email: mail}, spare)
	for _, channel := range []passwordless.Channel{passwordless.SMS, passwordless.SMS, passwordless.Email} {
		if err := s.Send(t.Context(), passwordless.Message{Channel: channel}); err != nil {
			t.Error(err)
		}
	}
	if mail.count() != 1 || spare.count() != 2 {
		t.Errorf("%d and %d sends, want 1 by mail and 2 by the spare", mail.count(), spare.count())
	}
}

func TestByChannelIsAsynchronousIfAllItsSendersAre(t *testing.T) {
	t.Parallel()
	queue := sender.Background(&scripted{}, sender.BackgroundOptions{})
	for _, test := range []struct {
		rule string
		s    sender.ByChannel
		want bool
	}{
		{"all are", sender.ByChannel{passwordless.Email: queue, passwordless.SMS: &wavering{async: true}}, true},
		{"one is not", sender.ByChannel{passwordless.Email: queue, passwordless.SMS: &scripted{}}, false},
		{"one says no", sender.ByChannel{passwordless.Email: queue, passwordless.SMS: &wavering{}}, false},
		{"one is nil", sender.ByChannel{passwordless.Email: queue, passwordless.SMS: nil}, false},
		{"one is a nil pointer", sender.ByChannel{passwordless.Email: queue, passwordless.SMS: (*wavering)(nil)}, false},
		{"there are none", sender.ByChannel{}, false},
		{"the map is nil", nil, false},
	} {
		if got := test.s.Asynchronous(); got != test.want {
			t.Errorf("%s: got %v", test.rule, got)
		}
	}
}
