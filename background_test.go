package passwordless_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed62b93bad/passwordless"
)

// A scripted sender answers its sends with the given errors, one after the other, and
// then with nil. Each send takes the given time, unless its context ends before.
type scripted struct {
	takes time.Duration

	mu      sync.Mutex
	answers []error
	sent    []passwordless.Message
	at      []time.Time
}

func (s *scripted) Send(ctx context.Context, m passwordless.Message) error {
	s.mu.Lock()
	s.sent, s.at = append(s.sent, m), append(s.at, time.Now())
	var answer error
	if len(s.answers) > 0 {
		answer, s.answers = s.answers[0], s.answers[1:]
	}
	s.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(s.takes):
		return answer
	}
}

func (s *scripted) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sent)
}

var (
	errRefused   = fmt.Errorf("%w: refused", passwordless.ErrNotAccepted)
	errUnknown   = fmt.Errorf("%w: unknown", passwordless.ErrUndeliverable)
	errUncertain = errors.New("connection lost")
)

func message(id string) passwordless.Message {
	return passwordless.Message{ID: id, To: "alice@example.com", Code: "492817", Text: "492817"}
}

func TestBackgroundSendTakesNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := &scripted{takes: time.Hour}
		b := passwordless.Background(next, passwordless.BackgroundOptions{Workers: 1, Queue: 2, Timeout: 2 * time.Hour})
		start := time.Now()
		for i := range 3 { // one in work, two waiting
			if err := b.Send(t.Context(), message(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if err := b.Send(t.Context(), message("3")); !errors.Is(err, passwordless.ErrNotAccepted) {
			t.Errorf("full queue: got %v, want ErrNotAccepted", err)
		}
		if !b.Asynchronous() || time.Since(start) != 0 {
			t.Errorf("sending took %v", time.Since(start))
		}
		if err := b.Close(t.Context()); err != nil || next.count() != 3 {
			t.Errorf("Close: %v after %d sends, want 3", err, next.count())
		}
		if took := time.Since(start); took != 3*time.Hour {
			t.Errorf("draining took %v, want 3h", took)
		}
		if err := b.Send(t.Context(), message("4")); !errors.Is(err, passwordless.ErrNotAccepted) {
			t.Errorf("closed: got %v, want ErrNotAccepted", err)
		}
		if err := b.Close(t.Context()); err != nil {
			t.Errorf("second Close: %v", err)
		}
	})
}

func TestBackgroundUsesItsWorkersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := &scripted{takes: time.Second}
		b := passwordless.Background(next, passwordless.BackgroundOptions{Workers: 4})
		start := time.Now()
		for i := range 8 {
			if err := b.Send(t.Context(), message(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Close(t.Context()); err != nil || time.Since(start) != 2*time.Second {
			t.Errorf("Close: %v after %v, want 2s", err, time.Since(start))
		}
	})
}

func TestBackgroundOutlivesTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		var value any
		var left time.Duration
		next := passwordless.SenderFunc(func(ctx context.Context, _ passwordless.Message) error {
			end, _ := ctx.Deadline()
			value, left = ctx.Value(key{}), time.Until(end)
			return ctx.Err()
		})
		failed := false
		b := passwordless.Background(next, passwordless.BackgroundOptions{
			Timeout: 7 * time.Second,
			OnError: func(context.Context, passwordless.Message, error) { failed = true },
		})
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "trace"))
		cancel()
		if err := b.Send(ctx, message("1")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if failed || value != "trace" || left != 7*time.Second {
			t.Errorf("failed %v, value %v, time left %v", failed, value, left)
		}
	})
}

func TestBackgroundReportsFailuresWithoutSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var got []passwordless.Message
		var errs []error
		next := &scripted{answers: []error{errUncertain}, takes: time.Minute}
		b := passwordless.Background(next, passwordless.BackgroundOptions{
			Workers: 1,
			Timeout: time.Hour,
			OnError: func(_ context.Context, m passwordless.Message, err error) {
				mu.Lock()
				defer mu.Unlock()
				got, errs = append(got, m), append(errs, err)
			},
		})
		for _, id := range []string{"fails", "in flight", "dropped"} {
			if err := b.Send(t.Context(), message(id)); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		if err := b.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close: got %v, want DeadlineExceeded", err)
		}
		synctest.Wait()
		if next.count() != 2 || len(errs) != 3 {
			t.Fatalf("%d sends, %d failures, want 2 and 3", next.count(), len(errs))
		}
		want := map[string]error{"fails": errUncertain, "in flight": context.Canceled, "dropped": passwordless.ErrNotAccepted}
		for i, m := range got {
			if m != (passwordless.Message{ID: m.ID}) {
				t.Errorf("%s: the message kept its address or secrets", m.ID)
			}
			if !errors.Is(errs[i], want[m.ID]) {
				t.Errorf("%s: got %v, want %v", m.ID, errs[i], want[m.ID])
			}
		}
		if err := b.Close(t.Context()); err != nil {
			t.Errorf("Close after the workers ended: %v", err)
		}
	})
}

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
		{"a message refused for good is not repeated", []error{errUnknown}, 1, passwordless.ErrUndeliverable},
	} {
		t.Run(test.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				next := &scripted{answers: test.answers}
				s := passwordless.Retry(next, passwordless.RetryOptions{Tries: 3})
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
		s := passwordless.Retry(next, passwordless.RetryOptions{Tries: 5, Wait: time.Second, MaxWait: 3 * time.Second})
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
		err := passwordless.Retry(next, passwordless.RetryOptions{}).Send(ctx, message("1"))
		if !errors.Is(err, passwordless.ErrNotAccepted) || time.Since(start) != 100*time.Millisecond {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}

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
			err := passwordless.Failover(passwordless.FailoverOptions{}, a, b).Send(t.Context(), message("1"))
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
		s := passwordless.Failover(passwordless.FailoverOptions{Failures: 2, Rest: time.Minute}, a, b)
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
		s := passwordless.Failover(passwordless.FailoverOptions{Failures: 1, Rest: time.Minute}, a)
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
		s := passwordless.Failover(passwordless.FailoverOptions{Failures: 2}, a)
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
	s := passwordless.Failover(passwordless.FailoverOptions{Failures: 1, Rest: time.Minute, Clock: clock}, a)
	_ = s.Send(t.Context(), message("1"))
	clock.now = clock.now.Add(-time.Hour)
	if err := s.Send(t.Context(), message("2")); err != nil {
		t.Errorf("the rest outlasts the clock: %v", err)
	}
}

type settable struct{ now time.Time }

func (s *settable) Now() time.Time { return s.now }
