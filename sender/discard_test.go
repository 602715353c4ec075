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

func TestBackgroundQueuesWhatItDiscards(t *testing.T) { // EN-2
	synctest.Test(t, func(t *testing.T) {
		next, told := &scripted{takes: time.Hour}, 0
		q := sender.Background(next, sender.BackgroundOptions{Workers: 1, Queue: 2, Timeout: 2 * time.Hour,
			OnError: func(context.Context, passwordless.Message, error) { told++ }})
		if err := q.Send(t.Context(), message("goes out")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for range 2 { // it waits behind the one in work, as any message does
			if err := q.Discard(t.Context(), message("discarded")); err != nil {
				t.Fatal(err)
			}
		}
		full := q.Discard(t.Context(), message("discarded"))
		if same := q.Send(t.Context(), message("too many")); full == nil || same == nil || full.Error() != same.Error() {
			t.Errorf("full queue: discarding %v, sending %v", full, same)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := q.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close: %v", err)
		}
		synctest.Wait()
		if next.count() != 1 || told != 1 {
			t.Errorf("%d messages went out, OnError was told of %d, want the first alone", next.count(), told)
		}
		closed := q.Discard(t.Context(), message("late"))
		if same := q.Send(t.Context(), message("late")); closed == nil || same == nil || closed.Error() != same.Error() {
			t.Errorf("closed queue: discarding %v, sending %v", closed, same)
		}
	})
}

func TestBackgroundDiscardsAndGoesOn(t *testing.T) { // EN-2
	synctest.Test(t, func(t *testing.T) {
		next := &scripted{takes: time.Second}
		q := sender.Background(next, sender.BackgroundOptions{Workers: 1})
		begin := time.Now()
		for _, hand := range []sender.Func{q.Discard, q.Send, q.Discard, q.Send} {
			if err := hand(t.Context(), message("1")); err != nil {
				t.Fatal(err)
			}
		}
		if err := q.Close(t.Context()); err != nil || next.count() != 2 || time.Since(begin) != 2*time.Second {
			t.Errorf("%v, %d messages after %v, want 2 after 2s", err, next.count(), time.Since(begin))
		}
	})
}

// wrappers are ours around two senders, of which one may be enough.
var wrappers = map[string]func(a, b passwordless.Sender) passwordless.Sender{
	"retry": func(a, _ passwordless.Sender) passwordless.Sender { return sender.Retry(a, sender.RetryOptions{}) },
	"failover": func(a, b passwordless.Sender) passwordless.Sender {
		return sender.Failover(sender.FailoverOptions{}, a, b)
	},
	"by channel": func(a, b passwordless.Sender) passwordless.Sender {
		return sender.ByChannel{"": a, passwordless.SMS: b}
	},
}

func TestWrappersPassOnWhatIsDiscarded(t *testing.T) { // EN-2
	t.Parallel()
	for name, wrap := range wrappers {
		a, b := &wavering{async: true}, &wavering{async: true}
		s, ok := wrap(a, b).(asynchronous)
		if !ok || !s.Asynchronous() {
			t.Errorf("%s around asynchronous senders is not one", name)
			continue
		}
		if err := s.Discard(t.Context(), message("1")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if a.discarded.count() != 1 || a.count()+b.count()+b.discarded.count() != 0 {
			t.Errorf("%s: the message did not come to the first sender, to be discarded", name)
		}
	}
}

func TestWrappersDiscardAsTheySend(t *testing.T) { // EN-2
	for name, wrap := range wrappers {
		for answer, err := range map[string]error{"refused": errRefused, "refused for good": errUnknown, "uncertain": errUncertain} {
			synctest.Test(t, func(t *testing.T) {
				run := func(discards bool) (tries int, took time.Duration, got error) {
					answers := []error{err, err, err, err, err}
					a, b := &wavering{async: true}, &wavering{async: true}
					a.answers, b.answers, a.discarded.answers, b.discarded.answers = answers, answers, answers, answers
					s := wrap(a, b).(asynchronous)
					begin, hand := time.Now(), s.Send
					if discards {
						hand = s.Discard
					}
					got = hand(t.Context(), message("1"))
					return a.count() + b.count() + a.discarded.count() + b.discarded.count(), time.Since(begin), got
				}
				sends, _, sent := run(false)
				discards, took, discarded := run(true)
				if sent == nil || discarded == nil || sent.Error() != discarded.Error() || sends != discards {
					t.Errorf("%s, %s: %d times %v, but discarding %d times %v", name, answer, sends, sent, discards, discarded)
				}
				if (took > 0) != (name == "retry" && errors.Is(err, errRefused)) {
					t.Errorf("%s, %s: discarding took %v", name, answer, took)
				}
			})
		}
	}
}

func TestWrappersOfWhatWaitsAreNotAsynchronous(t *testing.T) { // EN-2
	t.Parallel()
	for name, wrap := range wrappers {
		for what, waits := range map[string]passwordless.Sender{
			"a sender that waits": &scripted{}, "one that says so": &wavering{}, "nil": nil, "a nil pointer": (*wavering)(nil),
		} {
			next := &wavering{async: true}
			if s, ok := wrap(waits, next).(asynchronous); !ok || s.Asynchronous() {
				t.Errorf("%s around %s is asynchronous", name, what)
			}
		}
		waits := &scripted{}
		if err := wrap(waits, waits).(asynchronous).Discard(t.Context(), message("1")); err == nil || waits.count() != 0 {
			t.Errorf("%s around a sender that cannot discard: %v after %d sends", name, err, waits.count())
		}
	}
	if sender.Failover(sender.FailoverOptions{}).(asynchronous).Asynchronous() {
		t.Error("a failover of nothing is asynchronous")
	}
}
