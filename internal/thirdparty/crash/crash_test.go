// Package crash kills the engine under a Service, in the middle of load, and looks at
// what is left: no code works twice, and no attempt is forgotten that was answered.
package crash_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/internal/thirdparty/servers"
	"github.com/seed62b93bad/passwordless/internal/thirdparty/stores"
	"github.com/seed62b93bad/passwordless/passwordlesstest"
	"github.com/seed62b93bad/passwordless/store"
)

func TestPostgreSQLKilledUnderLoad(t *testing.T) {
	server := servers.StartPostgres(t)
	url := server.Database(t)
	crash(t, server, func() store.Store { return stores.Postgres(t, url, 8) })
}

func TestRedisKilledUnderLoad(t *testing.T) {
	server := servers.StartRedis(t, stores.Durable...)
	crash(t, server, func() store.Store { return stores.Redis(t, server.URL(), 8) })
}

type engine interface {
	Kill()
	Restart()
}

const (
	people   = 300
	attempts = 5
)

// somewhere is a caller in a network of its own: guesses from one alone are soon not looked at.
func somewhere() passwordless.Caller {
	n := rand.Uint32()
	return passwordless.Caller{IP: netip.AddrFrom4([4]byte{198, 18, byte(n >> 8), byte(n)})}
}

// A person is one open challenge, and what its guesses were answered.
type person struct {
	handle passwordless.Secret
	code   passwordless.Secret

	mu      sync.Mutex // guards what follows
	wrong   int        // guesses that were answered with no
	logins  int        // guesses that were answered with a login
	unclear int        // guesses whose answer was an error of the store
}

func crash(t *testing.T, server engine, open func() store.Store) {
	services := []*passwordless.Service{newService(t, open()), newService(t, open())}
	all := begin(t, services[0])
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for i := range 16 {
		load.Go(func() { guessAround(ctx, t, services[i%2], all) })
	}
	until(t, all, func(wrong, logins, _ int) bool { return wrong >= people/10 && logins >= people/50 })
	server.Kill()
	until(t, all, func(_, _, unclear int) bool { return unclear >= 16 })
	server.Restart()
	recovers(t, services[0], all[0])
	time.Sleep(100 * time.Millisecond)
	stop()
	load.Wait()
	wrong, logins, unclear := sums(all)
	t.Logf("%d wrong, %d logins, %d without an answer", wrong, logins, unclear)
	for _, p := range all {
		p.settle(t, services)
	}
}

// until waits until the answers are as many as enough says, so that the engine is killed under load, and that is noticed.
func until(t *testing.T, all []*person, enough func(wrong, logins, unclear int) bool) {
	t.Helper()
	for !enough(sums(all)) {
		if t.Failed() {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// sums returns how the guesses at all challenges were answered until now.
func sums(all []*person) (wrong, logins, unclear int) {
	for _, p := range all {
		p.mu.Lock()
		wrong, logins, unclear = wrong+p.wrong, logins+p.logins, unclear+p.unclear
		p.mu.Unlock()
	}
	return wrong, logins, unclear
}

// The secrets are the same for all services of a run.
var config = sync.OnceValue(func() passwordless.Config {
	many := passwordless.Limit{Count: 1e6, Per: time.Second}
	return passwordless.Config{
		Issuer: "https://login.example.com/", AppName: "Example",
		Hasher:  passwordless.NewKeyring(passwordless.RandomKey(), passwordless.RingKey{ID: "k1", Secret: passwordless.RandomKey()}),
		Clients: passwordless.ClientList{{ID: "web", Public: true, Codes: passwordless.CodePolicy{MaxAttempts: attempts}}},
		Policy:  passwordless.Policy{Limits: passwordless.LimitPolicy{Starts: []passwordless.Limit{many}, Guesses: many}},
		Timeout: 2 * time.Second,
	}
})

var outbox passwordlesstest.Outbox

func newService(t *testing.T, st store.Store) *passwordless.Service {
	t.Helper()
	cfg := config()
	cfg.Store, cfg.Sender = st, &outbox
	s, err := passwordless.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// web is who asks for the client.
func web(s *passwordless.Service) passwordless.Requester {
	by, _ := s.Trusted(context.Background(), "web", somewhere()) // it is in a list
	return by
}

// begin starts a challenge for each person.
func begin(t *testing.T, s *passwordless.Service) (all []*person) {
	t.Helper()
	for i := range people {
		address := fmt.Sprintf("u%d@example.com", i)
		started, err := s.Start(t.Context(), web(s), passwordless.StartRequest{
			Channel: passwordless.Email, Address: passwordless.Address(address)})
		if err != nil {
			t.Fatal(err)
		}
		sent, _ := outbox.Last(address)
		all = append(all, &person{handle: started.Handle, code: passwordless.Secret(sent.Code)})
	}
	return all
}

// guessAround presents right and wrong codes of everybody until ctx ends.
func guessAround(ctx context.Context, t *testing.T, s *passwordless.Service, all []*person) {
	for ctx.Err() == nil {
		p := all[rand.IntN(len(all))]
		code := p.code
		if rand.IntN(4) > 0 {
			code = wrong(code)
		}
		p.note(t, p.guess(context.WithoutCancel(ctx), s, code))
	}
}

func wrong(code passwordless.Secret) passwordless.Secret {
	if code[0] == '0' {
		return "1" + code[1:]
	}
	return "0" + code[1:]
}

func (p *person) guess(ctx context.Context, s *passwordless.Service, code passwordless.Secret) error {
	_, err := s.Verify(ctx, web(s), passwordless.VerifyRequest{Handle: p.handle, Code: code})
	return err
}

// note counts an answer. One that the documentation does not name is a failure.
func (p *person) note(t *testing.T, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var refused *passwordless.ChallengeError
	switch {
	case err == nil:
		p.logins++
	case errors.Is(err, passwordless.ErrWrongSecret):
		p.wrong++
	case errors.As(err, &refused): // dead by then
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrUncertain), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, passwordless.ErrBusy):
		p.unclear++
	default:
		t.Errorf("an answer without a name: %v", err)
	}
}

// recovers waits until the service answers again.
func recovers(t *testing.T, s *passwordless.Service, p *person) {
	t.Helper()
	for range 100 {
		err := p.guess(t.Context(), s, wrong(p.code))
		p.note(t, err)
		if errors.As(err, new(*passwordless.ChallengeError)) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the service does not recover")
}

// settle uses up what is left of the challenge and holds it against what was answered.
func (p *person) settle(t *testing.T, services []*passwordless.Service) {
	for range attempts {
		p.note(t, p.guess(t.Context(), services[0], wrong(p.code)))
	}
	for _, s := range services {
		p.note(t, p.guess(t.Context(), s, p.code))
	}
	if p.logins > 1 {
		t.Errorf("a code signed in %d times", p.logins)
	}
	if p.wrong >= attempts {
		t.Errorf("%d wrong guesses were answered before the last, of %d attempts", p.wrong, attempts)
	}
}
