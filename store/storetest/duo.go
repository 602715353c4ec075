package storetest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/store"
)

// A duo is what the cases of the group "service" work with: two Services of one
// configuration, each on its instance of the store, as two processes would have them.
type duo struct {
	*kit
	services [2]*passwordless.Service
	clock    *hands
	mail     *mailbox
	reports  counts // events by their type and reason

	mu     sync.Mutex // guards logins
	logins []passwordless.Login
}

const (
	client   = "web"
	alice    = "alice@example.com"
	callback = "https://app.example.com/callback"
)

// everything asks a login for a session and for a refresh family.
var everything = passwordless.Grant{Session: true, Tokens: &passwordless.TokenRequest{Scopes: []string{"openid", "offline_access"}}}

// newDuo makes a duo whose limits are wide enough to reach the ones behind them; change,
// unless it is nil, alters its policy first.
func newDuo(k *kit, change func(*passwordless.Policy)) *duo {
	d := &duo{kit: k, clock: &hands{}, mail: &mailbox{}}
	d.clock.advance(time.Duration(t0))
	wide := passwordless.Limit{Count: 1e6, Per: 24 * hour}
	policy := passwordless.Policy{EmailSends: []passwordless.Limit{wide}, Starts: []passwordless.Limit{wide}, Guesses: wide, GlobalFailures: wide}
	if change != nil {
		change(&policy)
	}
	signing, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		k.fatalf("making a key: %v", err)
	}
	cfg := passwordless.Config{
		Issuer: "https://login.example.com/", AppName: "Example", Sender: d.mail, Clock: d.clock, Events: d.report, Policy: policy,
		Keys: []passwordless.RingKey{{ID: "k1", Secret: passwordless.RandomKey()}}, IndexKey: passwordless.RandomKey(),
		SigningKeys: []passwordless.SigningKey{{ID: "s1", Key: signing}},
		Clients: passwordless.ClientList{{ID: client, Public: true, FirstParty: true, RedirectURIs: []string{callback},
			InsecureWithoutPKCE: true}},
	}
	for i, one := range [...]store.Store{k.a, k.b} {
		cfg.Store = one
		if d.services[i], err = passwordless.New(cfg); err != nil {
			k.fatalf("%v", err)
		}
	}
	return d
}

func (d *duo) report(_ context.Context, e passwordless.Event) {
	d.reports.add(string(e.Type) + " " + e.Reason)
}

// looked returns how many guesses were looked at and found wrong.
func (d *duo) looked() int {
	wrong := string(passwordless.EventLoginFailed) + " " + passwordless.ErrWrongSecret.Error()
	last := string(passwordless.EventExhausted) + " " + passwordless.ErrExhausted.Error()
	return d.reports.of(wrong) + d.reports.of(last)
}

// at calls f n times at once, with the services in turn, and returns how often each answer
// came. An error that no comment names is a failure.
func (d *duo) at(n int, f func(i int, s *passwordless.Service) error) *counts {
	answers := &counts{}
	d.parallel(n, func(i int, _ store.Store) error {
		err := f(i, d.services[i%2])
		answer, named := answerOf(err)
		answers.add(answer)
		if !named {
			return fmt.Errorf("an error that no comment names: %w", err)
		}
		return nil
	})
	return answers
}

// errResent stands for the success of a resend beside logins.
var errResent = errors.New("resent")

// answerOf returns a word for the outcome of a call, and whether it is one that callers
// are told of.
func answerOf(err error) (answer string, named bool) {
	var refused *passwordless.ChallengeError
	var limited *passwordless.LimitedError
	switch {
	case err == nil:
		return "done", true
	case errors.As(err, &refused):
		return refused.Reason.Error(), true
	case errors.As(err, &limited):
		return "limit " + string(limited.Bucket.Kind), true
	case errors.Is(err, passwordless.ErrReusedToken):
		return "reused token", true
	case errors.Is(err, passwordless.ErrInvalidToken):
		return "invalid token", true
	case errors.Is(err, errResent):
		return "resent", true
	}
	return err.Error(), false
}

// want demands exactly these answers.
func (d *duo) want(got *counts, want map[string]int) {
	for _, answer := range got.keys() {
		if _, ok := want[answer]; !ok {
			d.errorf("%d calls were answered %q, want none", got.of(answer), answer)
		}
	}
	for answer, n := range want {
		if got.of(answer) != n {
			d.errorf("%d calls were answered %q, want %d", got.of(answer), answer, n)
		}
	}
}

// only demands no other answers than these.
func (d *duo) only(got *counts, allowed ...string) {
	for _, answer := range got.keys() {
		if !slices.Contains(allowed, answer) {
			d.errorf("%d calls were answered %q", got.of(answer), answer)
		}
	}
}

// refuses demands that a call was refused for this reason.
func (d *duo) refuses(err, reason error) {
	if !errors.Is(err, reason) {
		d.fatalf("answer is %s, want %q", text(err), reason)
	}
}

// start begins a sign-in from a network and returns it with the message that was sent.
func (d *duo) start(from int, address string, send passwordless.SendMode) (passwordless.Started, passwordless.Message) {
	started, err := d.services[from%2].Start(d.ctx, passwordless.StartRequest{Client: client, Channel: passwordless.Email,
		Address: address, Send: send, Caller: passwordless.Caller{IP: network(from)}})
	messages := d.mail.to(address)
	if err != nil || len(messages) == 0 {
		d.fatalf("Start: %v, with %d messages sent", text(err), len(messages))
	}
	return started, messages[len(messages)-1]
}

// verify presents a code and remembers the login, if it is one.
func (d *duo) verify(s *passwordless.Service, handle passwordless.Secret, code string, grant passwordless.Grant) error {
	return d.remember(s.Verify(d.ctx, passwordless.VerifyRequest{Client: client, Handle: handle, Code: passwordless.Secret(code),
		Caller: passwordless.Caller{IP: network(0)}, Grant: grant}))
}

// redeem presents a message's link and remembers the login, if it is one.
func (d *duo) redeem(s *passwordless.Service, browser passwordless.Secret, m passwordless.Message, grant passwordless.Grant) error {
	return d.remember(s.RedeemLink(d.ctx, passwordless.RedeemRequest{Token: token(m),
		Caller: passwordless.Caller{IP: network(0), Browser: browser}, Grant: grant}))
}

func (d *duo) remember(l passwordless.Login, err error) error {
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.logins = append(d.logins, l)
	return nil
}

// loggedIn returns the logins of an address since it was last asked for them.
func (d *duo) loggedIn(address string) (logins []passwordless.Login) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.logins = slices.DeleteFunc(d.logins, func(l passwordless.Login) bool {
		if l.Identifier.Address != address {
			return false
		}
		logins = append(logins, l)
		return true
	})
	return logins
}

// signIn takes a person the whole way.
func (d *duo) signIn(address string, grant passwordless.Grant) passwordless.Login {
	d.signInLate(0, address, grant)
	logins := d.loggedIn(address)
	return logins[len(logins)-1]
}

// signInLate signs in after some wrong guesses. A second passes, because a first sign-in ends
// every challenge that began before it or with it.
func (d *duo) signInLate(guesses int, address string, grant passwordless.Grant) {
	d.clock.advance(time.Second)
	started, message := d.start(0, address, passwordless.SendCode)
	for i := range guesses {
		d.refuses(d.verify(d.services[i%2], started.Handle, wrong(message.Code.Reveal()), grant), passwordless.ErrWrongSecret)
	}
	if err := d.verify(d.services[1], started.Handle, message.Code.Reveal(), grant); err != nil {
		d.fatalf("signing in: %v", err)
	}
	d.clock.advance(time.Second)
}

// refresh exchanges a refresh token for the next.
func (d *duo) refresh(s *passwordless.Service, token passwordless.Secret) (passwordless.Secret, error) {
	tokens, err := s.Refresh(d.ctx, passwordless.RefreshRequest{Client: client, Token: token})
	return tokens.Refresh, err
}

// sessions lists what a user has.
func (d *duo) sessions(user string) []passwordless.Session {
	all, _, err := d.services[1].Sessions(d.ctx, "", user, 1000, "")
	if err != nil {
		d.fatalf("Sessions: %v", err)
	}
	return all
}

// alive demands that session and refresh token of a login work.
func (d *duo) alive(l passwordless.Login) {
	_, err1 := d.services[0].Session(d.ctx, l.Session.Token)
	_, err2 := d.refresh(d.services[0], l.Tokens.Refresh)
	if err := errors.Join(err1, err2); err != nil {
		d.fatalf("a login after the revocation: %v", err)
	}
}

// ended demands that they do not.
func (d *duo) ended(l passwordless.Login) {
	_, err := d.services[0].Session(d.ctx, l.Session.Token)
	d.refuses(err, passwordless.ErrInvalidToken)
	_, err = d.refresh(d.services[1], l.Tokens.Refresh)
	d.refuses(err, passwordless.ErrInvalidToken)
}

// network returns an address in the i-th network.
func network(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}) }

// browser returns what another browser would keep.
func browser() passwordless.Secret {
	var b [32]byte
	rand.Read(b[:])
	return passwordless.Secret(base64.RawURLEncoding.EncodeToString(b[:]))
}

// token returns the token in the link of a message.
func token(m passwordless.Message) passwordless.Secret {
	_, t, _ := strings.Cut(m.Link.Reveal(), "?t=")
	return passwordless.Secret(t)
}

// wrong returns a code of digits that is not code.
func wrong(code string) string {
	last := len(code) - 1
	return code[:last] + string('0'+(code[last]-'0'+1)%10)
}

// hands are a clock that moves when told to. They are safe for concurrent use.
type hands struct{ now atomic.Int64 }

func (h *hands) Now() time.Time          { return time.Unix(0, h.now.Load()) }
func (h *hands) advance(d time.Duration) { h.now.Add(int64(d)) }

// A mailbox keeps what is sent. It is safe for concurrent use.
type mailbox struct {
	mu  sync.Mutex // guards all
	all map[string][]passwordless.Message
}

// Send keeps the message.
func (b *mailbox) Send(_ context.Context, m passwordless.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all == nil {
		b.all = map[string][]passwordless.Message{}
	}
	b.all[m.To.Reveal()] = append(b.all[m.To.Reveal()], m)
	return nil
}

// to returns what was sent to an address, the oldest first.
func (b *mailbox) to(address string) []passwordless.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.all[address])
}

// counts count by name. They are safe for concurrent use; the zero value is empty.
type counts struct {
	mu sync.Mutex // guards n
	n  map[string]int
}

func (c *counts) add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[name]++
}

func (c *counts) of(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[name]
}

func (c *counts) keys() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.n))
}

func (c *counts) total() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.n {
		n += m
	}
	return n
}

// String lists the names with their numbers.
func (c *counts) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprint(c.n)
}
