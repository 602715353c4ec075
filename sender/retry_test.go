package sender_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/sender"
)

func TestRetry(t *testing.T) {
	for _, test := range []struct {
		rule    string
		answers []error
		sends   int
		want    error
	}{
		{"a message that was taken is not repeated", nil, 1, nil},
		{"a message that was surely not taken is repeated", []error{errRefused, errRefused}, 3, nil},
		{"tries are bounded", []error{errRefused, errRefused, errRefused, errRefused}, 3, passwordless.ErrNotAccepted},
		{"a message that may have been taken is not repeated", []error{errRefused, errUncertain}, 2, errUncertain},
		{"a message refused for good is not repeated", []error{errUnknown}, 1, sender.ErrUndeliverable},
	} {
		t.Run(test.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				next := &scripted{answers: test.answers}
				s := sender.Retry(next, sender.RetryOptions{Tries: 3})
				err := s.Send(t.Context(), message("1"))
				if !errors.Is(err, test.want) || next.count() != test.sends {
					t.Errorf("got %v after %d sends, want %v after %d", err, next.count(), test.want, test.sends)
				}
				if errors.Is(test.want, errUncertain) && errors.Is(err, passwordless.ErrNotAccepted) {
					t.Error("an uncertain send counts as not accepted")
				}
				for _, m := range next.sent {
					if m != message("1") {
						t.Error("a try differs from the first")
					}
				}
			})
		})
	}
}

func TestRetryWaitsLongerEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := &scripted{answers: []error{errRefused, errRefused, errRefused, errRefused}}
		s := sender.Retry(next, sender.RetryOptions{Tries: 5, Wait: time.Second, MaxWait: 3 * time.Second})
		if err := s.Send(t.Context(), message("1")); err != nil {
			t.Fatal(err)
		}
		for i, longest := range []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 3 * time.Second} {
			wait := next.at[i+1].Sub(next.at[i])
			if wait < longest/2 || wait > longest {
				t.Errorf("wait %d of %v, want %v to %v", i+1, wait, longest/2, longest)
			}
		}
	})
}

func TestRetryEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := &scripted{answers: []error{errRefused}}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		err := sender.Retry(next, sender.RetryOptions{}).Send(ctx, message("1"))
		if !errors.Is(err, passwordless.ErrNotAccepted) || time.Since(start) != 100*time.Millisecond {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}
