package servicetest

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
	"testing"
	"time"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/passwordlesstest"
	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/storetest"
)

// A duo is what the cases of Run work with: two Services of one configuration, each on its instance of the store.
type duo struct {
	testing.TB
	ctx      context.Context
	services [2]*passwordless.Service
	clock    *passwordlesstest.Clock
	mail     *passwordlesstest.Outbox
	reports  counts       // events by their type and reason
	home     int          // the network that browsers are in
	guessers atomic.Int32 // networks that presented a code, each once: one alone is soon given longer codes

	mu     sync.Mutex // guards logins
	logins []passwordless.Login
}

const (
	client   = "web"
	alice    = "alice@example.com"
	callback = "https://app.example.com/callback"
)

// everything asks a login for a session and for a refresh family.
var everything = passwordless.Issue{Session: true,
	Tokens: &passwordless.TokenRequest{Scopes: []string{"openid", "offline_access"}}}

// caseTimeout ends the context of a case whose store hangs.
const caseTimeout = 2 * time.Minute

// newDuo makes a duo whose limits are wide enough to reach the ones behind them; change, unless it is nil, alters its
// policy first. The clock does not stand at a whole number of microseconds, so that a store that rounds is found out.
func newDuo(tb testing.TB, open storetest.Factory, change func(*passwordless.Policy)) (d *duo, end func()) {
	tb.Helper()
	d = &duo{TB: tb, clock: passwordlesstest.NewClock(time.Unix(2_000_000_000, 123_456_789))}
	d.mail = &passwordlesstest.Outbox{Clock: d.clock}
	wide := passwordless.Limit{Count: 1e6, Per: 24 * time.Hour}
	policy := passwordless.Policy{Limits: passwordless.LimitPolicy{EmailSends: []passwordless.Limit{wide},
		Starts: []passwordless.Limit{wide}, Guesses: wide}}
	if change != nil {
		change(&policy)
	}
	signing, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatalf("making a key: %v", err)
	}
	cfg := passwordless.Config{
		Issuer: "https://login.example.com/", AppName: "Example", Sender: d.mail, Clock: d.clock, Events: d.report, Policy: policy,
		Hasher: passwordless.NewKeyring(passwordless.RandomKey(),
			passwordless.RingKey{ID: "k1", Secret: passwordless.RandomKey()}),
		SigningKeys: []passwordless.SigningKey{{ID: "s1", Key: signing}},
		Clients: passwordless.ClientList{{ID: client, Public: true, FirstParty: true,
			Browser: passwordless.ClientBrowser{RedirectURIs: []string{callback}, InsecureWithoutPKCE: true}}},
	}
	a, b := open(tb)
	for i, one := range [...]store.Store{a, b} {
		cfg.Store = one
		if d.services[i], err = passwordless.New(cfg); err != nil {
			tb.Fatalf("%v", err)
		}
	}
	d.ctx, end = context.WithTimeout(tb.Context(), caseTimeout)
	return d, end
}

// short returns n, or a tenth of it with -short.
func short(n int) int {
	if testing.Short() {
		return max(1, n/10)
	}
	return n
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

// at calls f n times at once, with the services in turn, and returns how often each answer came. An error that no comment names
// is a failure.
func (d *duo) at(n int, f func(i int, s *passwordless.Service) error) *counts {
	d.Helper()
	var answers, nameless counts
	begin := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-begin
			answer, named := answerOf(f(i, d.services[i%2]))
			answers.add(answer)
			if !named {
				nameless.add(answer)
			}
		})
	}
	close(begin)
	all.Wait()
	for _, answer := range nameless.keys() {
		d.Errorf("%d calls ended in an error that no comment names: %s", nameless.of(answer), answer)
	}
	return &answers
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
		return "limit " + limited.Limit, true
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
			d.Errorf("%d calls were answered %q, want none", got.of(answer), answer)
		}
	}
	for answer, n := range want {
		if got.of(answer) != n {
			d.Errorf("%d calls were answered %q, want %d", got.of(answer), answer, n)
		}
	}
}

// only demands no other answers than these.
func (d *duo) only(got *counts, allowed ...string) {
	for _, answer := range got.keys() {
		if !slices.Contains(allowed, answer) {
			d.Errorf("%d calls were answered %q", got.of(answer), answer)
		}
	}
}

// refuses demands that a call was refused for this reason.
func (d *duo) refuses(err, reason error) {
	if !errors.Is(err, reason) {
		d.Fatalf("answer is %s, want %q", text(err), reason)
	}
}

// as is who asks for the client from a network.
func (d *duo) as(s *passwordless.Service, from int) passwordless.Requester {
	d.Helper()
	return d.by(s, passwordless.Caller{IP: network(from)})
}

// in is who asks for the client in a browser.
func (d *duo) in(s *passwordless.Service, browser passwordless.Secret) passwordless.Requester {
	d.Helper()
	return d.by(s, passwordless.Caller{IP: network(d.home), Browser: browser})
}

// by is who asks for the client: code of its own.
func (d *duo) by(s *passwordless.Service, caller passwordless.Caller) passwordless.Requester {
	d.Helper()
	r, err := s.Trusted(d.ctx, client, caller)
	if err != nil {
		d.Errorf("Trusted: %v", err)
	}
	return r
}

// start begins a sign-in from a network and returns it with the message that was sent.
func (d *duo) start(from int, address string, send passwordless.SendMode) (passwordless.Started, passwordlesstest.Entry) {
	d.Helper()
	s := d.services[from%2]
	started, err := s.Start(d.ctx, d.as(s, from), passwordless.StartRequest{Channel: passwordless.Email,
		Address: passwordless.Address(address), Send: send})
	message, sent := d.mail.Last(address)
	if err != nil || !sent {
		d.Fatalf("Start: %s; a message was sent: %v", text(err), sent)
	}
	return started, message
}

// verify presents a code and remembers the login, if it is one.
func (d *duo) verify(s *passwordless.Service, handle passwordless.Secret, code string, issue passwordless.Issue) error {
	return d.remember(s.Verify(d.ctx, d.as(s, 1000+int(d.guessers.Add(1))), passwordless.VerifyRequest{
		Handle: handle, Code: passwordless.Secret(code), Issue: issue}))
}

// redeem presents a message's link and remembers the login, if it is one.
func (d *duo) redeem(s *passwordless.Service, browser passwordless.Secret, m passwordlesstest.Entry,
	issue passwordless.Issue,
) error {
	return d.remember(s.RedeemLink(d.ctx, d.in(s, browser), passwordless.RedeemRequest{Token: token(m), Issue: issue}))
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
		if string(l.Identifier.Address) != address {
			return false
		}
		logins = append(logins, l)
		return true
	})
	return logins
}

// signIn takes a person the whole way.
func (d *duo) signIn(address string, issue passwordless.Issue) passwordless.Login {
	d.signInLate(0, address, issue)
	logins := d.loggedIn(address)
	return logins[len(logins)-1]
}

// signInLate signs in after some wrong guesses, and takes a second before and after it: what one case does follows on itself.
func (d *duo) signInLate(guesses int, address string, issue passwordless.Issue) {
	d.clock.Advance(time.Second)
	started, message := d.start(0, address, passwordless.SendCode)
	for i := range guesses {
		d.refuses(d.verify(d.services[i%2], started.Handle, wrong(message.Code), issue), passwordless.ErrWrongSecret)
	}
	if err := d.verify(d.services[1], started.Handle, message.Code, issue); err != nil {
		d.Fatalf("signing in: %v", err)
	}
	d.clock.Advance(time.Second)
}

// refresh exchanges a refresh token for the next.
func (d *duo) refresh(s *passwordless.Service, token passwordless.Secret) (passwordless.Secret, error) {
	tokens, err := s.Refresh(d.ctx, d.as(s, 0), passwordless.RefreshRequest{Token: token})
	return tokens.Refresh, err
}

// sessions lists what a user has.
func (d *duo) sessions(user string) []passwordless.Session {
	all, _, err := d.services[1].Sessions(d.ctx, "", user, 1000, "")
	if err != nil {
		d.Fatalf("Sessions: %v", err)
	}
	return all
}

// alive demands that session and refresh token of a login work.
func (d *duo) alive(l passwordless.Login) {
	_, err1 := d.services[0].Session(d.ctx, l.Session.Token)
	_, err2 := d.refresh(d.services[0], l.Tokens.Refresh)
	if err := errors.Join(err1, err2); err != nil {
		d.Fatalf("a login after the revocation: %v", err)
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
func network(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{198, 18 + byte(i>>16&1), byte(i >> 8), byte(i)})
}

// browser returns what another browser would keep.
func browser() passwordless.Secret {
	var b [32]byte
	rand.Read(b[:])
	return passwordless.Secret(base64.RawURLEncoding.EncodeToString(b[:]))
}

// token returns the token in the link of a message.
func token(m passwordlesstest.Entry) passwordless.Secret {
	_, t, _ := strings.Cut(m.Link, "?t=")
	return passwordless.Secret(t)
}

// wrong returns a code of digits that is not code.
func wrong(code string) string {
	last := len(code) - 1
	return code[:last] + string('0'+(code[last]-'0'+1)%10)
}

// text returns err for a message.
func text(err error) string {
	if err == nil {
		return "success"
	}
	return fmt.Sprintf("%q", err)
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
