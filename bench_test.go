package passwordless_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
)

// addresses are enough that none meets its own cooldown.
var addresses = func() (all [100_000]string) {
	for i := range all {
		all[i] = fmt.Sprintf("u%d@example.com", i)
	}
	return all
}()

// flow is a start and a verify of a known user by an application with users of its own, without a session or token.
func flow(tb testing.TB, w *world, i int) {
	ctx := context.Background()
	by, err := w.Public(ctx, "web", home)
	require.NoError(tb, err)
	started, err := w.Start(ctx, by, byMail(addresses[i%len(addresses)]))
	require.NoError(tb, err)
	w.outbox.mu.Lock()
	code := w.outbox.all[0].Code
	w.outbox.all = w.outbox.all[:0]
	w.outbox.mu.Unlock()
	by, err = w.Public(ctx, "web", home)
	require.NoError(tb, err)
	_, err = w.Verify(ctx, by, passwordless.VerifyRequest{Handle: started.Handle, Code: code})
	require.NoError(tb, err)
}

func BenchmarkFlowInMemory(b *testing.B) {
	w := newWorld(b, unlimited, bare)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		flow(b, w, i)
		w.clock.advance(time.Second) // and an hour of sign-ins is what the store holds
		if i%100 == 0 {
			_, _ = w.Sweep(context.Background(), 1000)
		}
	}
}
