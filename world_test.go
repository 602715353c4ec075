package passwordless_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/memstore"
)

// A world is a service on a memory store, with a clock to turn and a mailbox to read.
type world struct {
	*passwordless.Service
	t      testing.TB
	cfg    passwordless.Config
	clock  *clock
	outbox *outbox
	events *events
}

var epochStart = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// newWorld makes a world; change alters its configuration first.
func newWorld(t testing.TB, change ...func(*passwordless.Config)) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{now: epochStart}, outbox: &outbox{}, events: &events{}}
	w.cfg = passwordless.Config{
		Issuer: "https://login.example.com/", AppName: "Example", Store: staging{memstore.New(), t}, Sender: w.outbox,
		Keys: []passwordless.RingKey{{ID: "k1", Secret: passwordless.RandomKey()}}, IndexKey: passwordless.RandomKey(),
		SigningKeys: []passwordless.SigningKey{{ID: "s1", Key: ecKey(t)}},
		Clients: passwordless.ClientList{
			{ID: "web", Public: true, FirstParty: true, Channels: []passwordless.Channel{passwordless.Email, passwordless.SMS},
				RedirectURIs: []string{"https://app.example.com/cb"}},
			{ID: "other", Public: true, FirstParty: true},
			{ID: "closed", Public: true, SignUp: passwordless.ClosedSignUp},
		},
		Policy: passwordless.Policy{SMSCountries: []int{46, 47}},
		Clock:  w.clock, Events: w.events.add,
	}
	for _, c := range change {
		c(&w.cfg)
	}
	w.Service = newService(t, w.cfg)
	return w
}

// A staging is a Store that finds puts without a stage: an engine with shards could not order them.
type staging struct {
	store.Store
	t testing.TB
}

func (s staging) Commit(ctx context.Context, now store.Instant, b store.Batch) (store.Levels, error) {
	for i := range b.Puts {
		if b.Puts[i].Stage == store.Unstaged {
			s.t.Errorf("a put of kind %q has no stage", b.Puts[i].Record.Key.Kind)
		}
	}
	return s.Store.Commit(ctx, now, b)
}

func newService(t testing.TB, cfg passwordless.Config) *passwordless.Service {
	t.Helper()
	s, err := passwordless.New(cfg)
	require.NoError(t, err)
	return s
}

// second returns another Service on the same store.
func (w *world) second() *world {
	other := *w
	other.Service = newService(w.t, w.cfg)
	return &other
}

func ecKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

// from is a caller at an address.
func from(ip string) passwordless.Caller {
	return passwordless.Caller{IP: netip.MustParseAddr(ip)}
}

var (
	home     = from("192.0.2.1")
	attacker = from("198.51.100.66")
)

const alice = "alice@example.com"

// startFrom begins a sign-in and returns it with the code that was sent.
func (w *world) startFrom(caller passwordless.Caller, address string) (passwordless.Started, string) {
	w.t.Helper()
	started, err := w.Start(w.t.Context(), passwordless.StartRequest{Client: "web", Channel: passwordless.Email, Address: address, Caller: caller})
	require.NoError(w.t, err)
	return started, w.outbox.last().Code.Reveal()
}

func (w *world) start(address string) (passwordless.Started, string) {
	return w.startFrom(home, address)
}

// guess presents a code from home.
func (w *world) guess(handle passwordless.Secret, code string) (passwordless.Login, error) {
	return w.guessFrom(home, handle, code)
}

func (w *world) guessFrom(caller passwordless.Caller, handle passwordless.Secret, code string) (passwordless.Login, error) {
	return w.Verify(context.Background(), passwordless.VerifyRequest{Client: "web", Handle: handle, Code: passwordless.Secret(code), Caller: caller})
}

// signIn takes a person the whole way.
func (w *world) signIn(address string, grant passwordless.Grant) passwordless.Login {
	w.t.Helper()
	w.clock.advance(time.Hour)
	started, code := w.start(address)
	l, err := w.Verify(w.t.Context(), passwordless.VerifyRequest{Client: "web", Handle: started.Handle, Code: passwordless.Secret(code), Caller: home, Grant: grant})
	require.NoError(w.t, err)
	return l
}

// wrong returns a code of the same shape that is not code.
func wrong(code string) string {
	last, other := code[len(code)-1], byte('0')
	switch {
	case last == '0':
		other = '1'
	case last == 'B':
		other = 'C'
	case last > '9':
		other = 'B'
	}
	return code[:len(code)-1] + string(other)
}

type clock struct {
	mu  sync.Mutex // guards now
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// An outbox keeps what is sent; fail, if set, is what Send answers.
type outbox struct {
	mu   sync.Mutex // guards all and fail
	all  []passwordless.Message
	fail error
}

func (o *outbox) Send(_ context.Context, m passwordless.Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		return o.fail
	}
	o.all = append(o.all, m)
	return nil
}

func (o *outbox) Asynchronous() bool { return true }

func (o *outbox) messages() []passwordless.Message {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.all)
}

func (o *outbox) last() passwordless.Message {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.all) == 0 {
		return passwordless.Message{}
	}
	return o.all[len(o.all)-1]
}

type events struct {
	mu  sync.Mutex // guards all
	all []passwordless.Event
}

func (e *events) add(_ context.Context, ev passwordless.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, ev)
}

// types returns the types reported since the last call.
func (e *events) types() (types []passwordless.EventType) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ev := range e.all {
		types = append(types, ev.Type)
	}
	e.all = nil
	return types
}
