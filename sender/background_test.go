package sender_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/sender"
)

func TestBackgroundSendTakesNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := &scripted{takes: time.Hour}
		b := sender.Background(next, sender.BackgroundOptions{Workers: 1, Queue: 2, Timeout: 2 * time.Hour})
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
		b := sender.Background(next, sender.BackgroundOptions{Workers: 4})
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
		next := sender.Func(func(ctx context.Context, _ passwordless.Message) error {
			end, _ := ctx.Deadline()
			value, left = ctx.Value(key{}), time.Until(end)
			return ctx.Err()
		})
		failed := false
		b := sender.Background(next, sender.BackgroundOptions{
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
		b := sender.Background(next, sender.BackgroundOptions{
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
