package passwordless_test

import (
	"context"
	"fmt"
	"log"
	"net/netip"
	"sync"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/sender"
	"github.com/seed62b93bad/passwordless/store/memstore"
)

// People are users of the application's own. Here they are in memory, known by e-mail alone, and of one tenant.
type People struct {
	mu  sync.Mutex // guards all
	all []passwordless.User
}

// Find returns the user that holds the identifier.
func (p *People) Find(_ context.Context, _ string, id passwordless.Identifier) (passwordless.User, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, u := range p.all {
		if u.Email == id.Address {
			return u, nil
		}
	}
	return passwordless.User{}, passwordless.ErrNoUser
}

// Get returns the user with the ID.
func (p *People) Get(_ context.Context, _, userID string) (passwordless.User, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, u := range p.all {
		if u.ID == userID {
			return u, nil
		}
	}
	return passwordless.User{}, passwordless.ErrNoUser
}

// Create makes a user of an address that was just proved. A second call returns the same user.
func (p *People) Create(ctx context.Context, tenant string, id passwordless.Identifier) (passwordless.User, error) {
	if u, err := p.Find(ctx, tenant, id); err == nil {
		return u, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	u := passwordless.User{ID: fmt.Sprintf("user-%d", len(p.all)+1), Email: id.Address}
	p.all = append(p.all, u)
	return u, nil
}

// ConfirmFirstProof removes what could have been planted on the account (here there is nothing), and marks the address
// verified.
func (p *People) ConfirmFirstProof(_ context.Context, _, userID string, _ passwordless.Identifier) (passwordless.User, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.all {
		if p.all[i].ID == userID {
			p.all[i].EmailVerified = true
			return p.all[i], nil
		}
	}
	return passwordless.User{}, passwordless.ErrNoUser
}

// Keep users where the application keeps them.
func ExampleUsers() {
	ctx := context.Background()
	var sent passwordless.Message
	svc, err := passwordless.New(passwordless.Config{
		Issuer: "https://login.example.com/", AppName: "Example",
		Store:   memstore.New(),
		Sender:  sender.Func(func(_ context.Context, m passwordless.Message) error { sent = m; return nil }),
		Hasher:  passwordless.NewKeyring(passwordless.RandomKey(), passwordless.RingKey{ID: "1", Secret: passwordless.RandomKey()}),
		Clients: passwordless.ClientList{{ID: "web", Public: true}},
		Users:   &People{all: []passwordless.User{{ID: "alice", Email: "alice@example.com", EmailVerified: true}}},
	})
	if err != nil {
		log.Panic(err)
	}
	for _, address := range []passwordless.Address{"alice@example.com", "newcomer@example.com"} {
		by, err := svc.Public(ctx, "web", passwordless.Caller{IP: netip.MustParseAddr("192.0.2.1")})
		if err != nil {
			log.Panic(err)
		}
		started, err := svc.Start(ctx, by, passwordless.StartRequest{Channel: passwordless.Email, Address: address})
		if err != nil {
			log.Panic(err)
		}
		login, err := svc.Verify(ctx, by, passwordless.VerifyRequest{Handle: started.Handle, Code: sent.Code})
		if err != nil {
			log.Panic(err)
		}
		fmt.Println(login.User.ID, login.FirstProof)
	}
	// Output:
	// alice false
	// user-2 true
}
