package pg_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

// Sweep removes what is expired, all of it and nothing else, while sign-ins go on.
func TestSweepUnderLoad(t *testing.T) {
	s := openStore(t, "pgx", shared.Postgres(t))
	n := 200_000
	if testing.Short() {
		n /= 10
	}
	for _, fill := range []string{
		`INSERT INTO passwordless_records (due, expires, key, owner, version, body)
		 SELECT i AS due, i, 'old/' || sha256(i::text::bytea), '', uuid_send(gen_random_uuid()), sha256('')
		 FROM generate_series(1, $1::int) AS i`,
		`INSERT INTO passwordless_windows (due, key, full_at)
		 SELECT i, 'old/' || sha256(i::text::bytea), ARRAY[i, i+1, i+2] FROM generate_series(1, $1::int) AS i`,
	} {
		if _, err := s.db.Exec(fill, n/2); err != nil {
			t.Fatal(err)
		}
	}
	quiet := latencies(t, s, time.After(2*time.Second))
	swept := make(chan time.Time)
	start := time.Now()
	go func() {
		defer close(swept)
		sweepAll(t, s, n)
	}()
	busy := latencies(t, s, swept)
	t.Logf("swept %d rows in %v; p99 of a flow: %v without and %v with the sweep",
		n, time.Since(start).Round(time.Millisecond), p99(quiet), p99(busy))
	var old, live int
	err := s.db.QueryRow(`SELECT count(*) FILTER (WHERE due <= $1), count(*) FILTER (WHERE due > $1)
		FROM passwordless_records`, n).Scan(&old, &live)
	if err != nil {
		t.Fatal(err)
	}
	if want := 3 * (len(quiet) + len(busy)); old != 0 || live != want {
		t.Errorf("%d expired and %d live records left, want none and %d", old, live, want)
	}
}

// sweepAll sweeps until it has removed want, all that is expired.
func sweepAll(t *testing.T, s store.Store, want int) {
	removed := 0
	for removed < want {
		n, err := s.Sweep(t.Context(), store.InstantOf(time.Now()), 10_000)
		if err != nil {
			t.Error(err)
			return
		}
		removed += n
		if n < 10_000 {
			break
		}
	}
	if removed != want {
		t.Errorf("swept %d rows, want %d", removed, want)
	}
}

// latencies runs flows with four clients until done, and returns how long each took.
func latencies(t *testing.T, s store.Store, done <-chan time.Time) []time.Duration {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	var took []time.Duration
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for first := true; first || ctx.Err() == nil; first = false {
				start := time.Now()
				if err := flow(t.Context(), s); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				took = append(took, time.Since(start))
				mu.Unlock()
			}
		})
	}
	<-done
	cancel()
	all.Wait()
	return took
}

func p99(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)*99/100].Round(10 * time.Microsecond)
}
