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

func TestFailover(t *testing.T) {
	for _, test := range []struct {
		rule          string
		first, second []error
		sends         [2]int
		want          error
	}{
		{"the first sender that takes the message ends it", nil, nil, [2]int{1, 0}, nil},
		{"the next sender gets what the first surely did not take", []error{errRefused}, nil, [2]int{1, 1}, nil},
		{"the next sender may reach whom the first cannot", []error{errUnknown}, nil, [2]int{1, 1}, nil},
		{"no second sender gets what the first may have taken", []error{errUncertain}, nil, [2]int{1, 0}, errUncertain},
		{"an uncertain last answer is uncertain", []error{errRefused}, []error{errUncertain}, [2]int{1, 1}, errUncertain},
		{"what nobody took was not accepted", []error{errRefused}, []error{errRefused}, [2]int{1, 1}, passwordless.ErrNotAccepted},
	} {
		t.Run(test.rule, func(t *testing.T) {
			t.Parallel()
			a, b := &scripted{answers: test.first}, &scripted{answers: test.second}
			err := sender.Failover(sender.FailoverOptions{}, a, b).Send(t.Context(), message("1"))
			if !errors.Is(err, test.want) || a.count() != test.sends[0] || b.count() != test.sends[1] {
				t.Errorf("got %v after %d and %d sends", err, a.count(), b.count())
			}
			if errors.Is(test.want, errUncertain) && errors.Is(err, passwordless.ErrNotAccepted) {
				t.Error("an uncertain send counts as not accepted")
			}
		})
	}
}

func TestFailoverLetsAFailingSenderRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the bubble's clock is the system's
		a := &scripted{answers: []error{errRefused, errRefused, errRefused, nil}}
		b := &scripted{}
		s := sender.Failover(sender.FailoverOptions{Failures: 2, Rest: time.Minute}, a, b)
		for i, step := range []struct {
			after time.Duration
			a, b  int // sends so far
		}{
			{0, 1, 1}, {0, 2, 2}, // two failures
			{0, 2, 3}, {59 * time.Second, 2, 4}, // rest
			{time.Second, 3, 5}, {time.Second, 3, 6}, // the trial fails, rest
			{time.Minute, 4, 6}, {0, 5, 6}, // the trial succeeds
		} {
			time.Sleep(step.after)
			if err := s.Send(t.Context(), message("1")); err != nil {
				t.Fatal(err)
			}
			if a.count() != step.a || b.count() != step.b {
				t.Errorf("step %d: %d and %d sends, want %d and %d", i, a.count(), b.count(), step.a, step.b)
			}
		}
	})
}

func TestFailoverTriesOneMessageAfterARest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &scripted{answers: []error{errRefused}, takes: time.Second}
		s := sender.Failover(sender.FailoverOptions{Failures: 1, Rest: time.Minute}, a)
		_ = s.Send(t.Context(), message("1"))
		time.Sleep(time.Minute)
		errs := make(chan error, 10)
		for range 10 {
			go func() { errs <- s.Send(t.Context(), message("2")) }()
		}
		accepted := 0
		for range 10 {
			if err := <-errs; err == nil {
				accepted++
			} else if !errors.Is(err, passwordless.ErrNotAccepted) {
				t.Errorf("all at rest: got %v, want ErrNotAccepted", err)
			}
		}
		if accepted != 1 || a.count() != 2 {
			t.Errorf("%d accepted after %d sends, want 1 after 2", accepted, a.count())
		}
	})
}

func TestFailoverCannotBePutToRestByItsCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &scripted{answers: []error{errUnknown, errUnknown, errUnknown}}
		s := sender.Failover(sender.FailoverOptions{Failures: 2}, a)
		for range 3 {
			_ = s.Send(t.Context(), message("unknown mailbox"))
		}
		a.takes = time.Second
		for range 3 {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_ = s.Send(ctx, message("cancelled"))
		}
		if err := s.Send(t.Context(), message("1")); err != nil {
			t.Errorf("after refusals and cancellations: %v", err)
		}
		a.takes = time.Hour
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_ = s.Send(ctx, message("slow"))
			cancel()
		}
		if err := s.Send(t.Context(), message("2")); !errors.Is(err, passwordless.ErrNotAccepted) {
			t.Errorf("after two timeouts: got %v, want a rest", err)
		}
	})
}

func TestFailoverSurvivesAClockSetBack(t *testing.T) {
	clock := &settable{now: time.Unix(1e9, 0)}
	a := &scripted{answers: []error{errRefused}}
	s := sender.Failover(sender.FailoverOptions{Failures: 1, Rest: time.Minute, Clock: clock}, a)
	_ = s.Send(t.Context(), message("1"))
	clock.now = clock.now.Add(-time.Hour)
	if err := s.Send(t.Context(), message("2")); err != nil {
		t.Errorf("the rest outlasts the clock: %v", err)
	}
}
