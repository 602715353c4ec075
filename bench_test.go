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

// unlimited lets a benchmark go through the limits without being stopped by them.
func unlimited(c *passwordless.Config) {
	many := passwordless.Limit{Count: 1e6, Per: time.Second}
	c.Policy.Starts, c.Policy.Guesses = []passwordless.Limit{many, many, many}, many
	c.Policy.EmailSends = c.Policy.Starts
}

// flow is a start and a verify of a known user by an application with users of its own,
// without a session or token.
func flow(tb testing.TB, w *world, i int) {
	ctx := context.Background()
	started, err := w.Start(ctx, passwordless.StartRequest{Client: "web", Channel: passwordless.Email, Address: addresses[i%len(addresses)], Caller: home})
	require.NoError(tb, err)
	w.outbox.mu.Lock()
	code := w.outbox.all[0].Code
	w.outbox.all = w.outbox.all[:0]
	w.outbox.mu.Unlock()
	_, err = w.Verify(ctx, passwordless.VerifyRequest{Client: "web", Handle: started.Handle, Code: code, Caller: home})
	require.NoError(tb, err)
}

// proved knows everybody and keeps nothing.
type proved struct{ brokenUsers }

func (proved) Find(_ context.Context, _ string, id passwordless.Identifier) (passwordless.User, error) {
	return passwordless.User{ID: "u", Email: id.Address, EmailVerified: true}, nil
}

// bare is a service for an application with users and sessions of its own.
func bare(c *passwordless.Config) { c.Users, c.Events, c.Timeout = proved{}, nil, -1 }

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
