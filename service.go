package passwordless

import (
	"context"
	"fmt"
	"time"

	"github.com/seed62b93bad/passwordless/internal/jose"
	"github.com/seed62b93bad/passwordless/internal/limit"
	"github.com/seed62b93bad/passwordless/internal/message"
	"github.com/seed62b93bad/passwordless/internal/secret"
	"github.com/seed62b93bad/passwordless/store"
)

// A Service signs people in. New makes one; the zero Service does not work. It is safe for concurrent use, starts no
// goroutine and needs no Close. It keeps caches (of the clients that it checked, of the key sets that clients publish, of
// what the directory has written once) and what its handlers say of themselves, and no other state: any number of Services
// may share a store.
type Service struct {
	issuer, pageURL string
	store           store.Store
	sender          Sender
	async           discarder // the sender, if it is asynchronous; else nil
	hasher          Hasher
	signing         jose.Set
	jwks            []byte // the public keys of signing
	tenants         map[string]Tenant
	clients         Clients
	compiled        *compiledClients
	users           Users
	policy          Policy
	first           limit.Rung // that codes begin at
	human           func(context.Context, Caller, Identifier) bool
	limits          *limit.Limits
	renderer        *message.Renderer
	clock           Clock
	events          func(context.Context, Event)
	timeout         time.Duration
	keySets         *jose.KeySets
	fronts          *fronts
	nobodies        *nobodies
}

// failed wraps an error of the store, the directory, the clients or the keys with what was being done, and reports it
// as EventFailed.
func (s *Service) failed(ctx context.Context, what string, err error) error {
	s.emit(ctx, Event{Type: EventFailed, At: s.now().Time(), Reason: what})
	return &failure{what, err}
}

// emit calls Config.Events, if it is set. The event comes with Person and Challenge as raw names; emit writes them in hex.
func (s *Service) emit(ctx context.Context, e Event) {
	if s.events == nil {
		return
	}
	e.Person, e.Challenge = secret.Name(e.Person).Hex(), secret.Name(e.Challenge).Hex()
	s.events(ctx, e)
}

// namer returns a namer for one call.
func (s *Service) namer(ctx context.Context) *namer {
	n := &namer{}
	n.begin(ctx, s.hasher)
	return n
}

// Format prints the issuer alone, for every verb: a Service holds keys.
func (s Service) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "passwordless.Service(%s)", s.issuer) }

// PageURL returns the URL at which the sign-in pages are mounted, with a trailing slash.
func (s *Service) PageURL() string { return s.pageURL }

// AppName returns the name by which people know a client: its own, or else its tenant's, or else the application's.
func (s *Service) AppName(c Client) string { return orDefault(c.Name, s.tenants[c.Tenant].Name) }

// now reads the clock.
func (s *Service) now() store.Instant { return store.InstantOf(s.clock.Now()) }

// skew is Policy.ClockSkew; 0 if there is none.
func (s *Service) skew() time.Duration { return max(0, s.policy.ClockSkew) }

// bounded gives ctx a deadline if it has none.
func (s *Service) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has || s.timeout < 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, s.timeout)
}

// afterwards returns a context for what must be undone whether or not the caller still waits. It lives for five seconds.
func afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
}

// JWKS returns the key set that verifies the tokens, as JSON. It holds public keys only. The caller must not change it.
func (s *Service) JWKS() []byte { return s.jwks }

// Issuer returns the iss claim of the tokens.
func (s *Service) Issuer() string { return s.issuer }

// A Clock tells the time. It must be safe for concurrent use.
type Clock interface {
	// Now returns the current time.
	Now() time.Time
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }
