package model_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"pgregory.net/rapid"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/internal/thirdparty/servers"
	"github.com/seed62b93bad/passwordless/internal/thirdparty/stores"
	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/memstore"
	"github.com/seed62b93bad/passwordless/store/storetest"
)

var shared servers.Shared

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

func TestInMemory(t *testing.T) {
	st := memstore.New()
	isItsModel(t, st, st)
}

func TestPostgreSQL(t *testing.T) {
	url := shared.Postgres(t)
	isItsModel(t, stores.Postgres(t, url, 2), stores.Postgres(t, url, 2))
}

func TestRedis(t *testing.T) {
	url := shared.Redis(t)
	isItsModel(t, stores.Redis(t, url, 2), stores.Redis(t, url, 2))
}

func TestSQLite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	isItsModel(t, stores.SQLiteIn(t, path, 2), stores.SQLiteIn(t, path, 2))
}

// isItsModel compares the challenge machine with its model. Each run has keys of its own, and
// so shares nothing with those before it on the same store.
func isItsModel(t *testing.T, a, b store.Store) {
	templates := english(t)
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t, templates, rapid.Bool().Draw(t, "replace secrets"), a, b)
		for range rapid.SampledFrom([]int{0, 0, 0, 4, 8}).Draw(t, "challenges exhausted before") {
			m.exhaust()
		}
		for range 12 { // short slices, which are what rapid makes
			for _, o := range rapid.SliceOfN(ops, 0, 50).Draw(t, "ops") {
				m.run(o)
			}
		}
	})
}

// An op is one call, or one turn of the world. Fields that it does not need say nothing.
type op struct {
	Do                                 string
	Person, Network, Browser, Instance int
	Pick                               int // of the challenges, counted from the newest
	Secret                             int
	ByAddress, Same                    bool
	Jump                               time.Duration
	Fault                              fault
}

// A fault happens to the n-th call of a method, or to all of them, in the course of an op; no
// fault if N is 0.
type fault struct {
	Method storetest.Method
	N      int
	All    bool
	Kind   string
}

var faults = map[string]func() storetest.Fault{
	"unavailable":  storetest.Unavailable,
	"lost request": storetest.LostRequest,
	"lost answer":  storetest.LostAnswer,
	"hang":         storetest.Hang,
}

var ops = rapid.Custom(func(t *rapid.T) op {
	return op{
		Do: rapid.SampledFrom([]string{"start", "start", "start", "again", "again", "guess", "guess", "guess", "guess", "guess",
			"burst", "check", "redeem", "redeem", "cancel", "resend", "resend", "resends", "sign out", "clock", "clock", "clock",
			"rotate", "drop"}).Draw(t, "do"),
		Person:    upTo(1).Draw(t, "person"),
		Network:   upTo(1).Draw(t, "network"),
		Browser:   upTo(2).Draw(t, "browser"),
		Instance:  upTo(1).Draw(t, "instance"),
		Pick:      upTo(3).Draw(t, "pick"),
		Secret:    upTo(5).Draw(t, "secret"),
		ByAddress: upTo(3).Draw(t, "by address") == 3,
		Same:      upTo(3).Draw(t, "same browser") < 3,
		Jump: rapid.SampledFrom([]time.Duration{time.Second, 10 * time.Second, 29 * time.Second, 31 * time.Second, 31 * time.Second,
			time.Minute, time.Minute, 2 * time.Minute, life - 1, life, retention, 30 * 24 * time.Hour, -5 * time.Second,
			-3 * time.Minute, -life}).Draw(t, "jump"),
		Fault: rapid.OneOf(rapid.Just(fault{}), rapid.Just(fault{}), rapid.Just(fault{}), rapid.Custom(func(t *rapid.T) fault {
			return fault{
				Method: rapid.SampledFrom([]storetest.Method{storetest.Load, storetest.Commit, storetest.Commit}).Draw(t, "method"),
				N:      1 + upTo(2).Draw(t, "n"),
				All:    rapid.Bool().Draw(t, "all"),
				Kind:   rapid.SampledFrom([]string{"unavailable", "lost request", "lost answer", "hang"}).Draw(t, "kind"),
			}
		})).Draw(t, "fault"),
	}
})

// upTo draws 0 to n, each as often.
func upTo(n int) *rapid.Generator[int] {
	all := make([]int, n+1)
	for i := range all {
		all[i] = i
	}
	return rapid.SampledFrom(all)
}

// A machine runs ops against two services and beside the model.
type machine struct {
	t        *rapid.T
	cfg      passwordless.Config
	clock    *clock
	mail     *mailbox
	log      *exhaustions
	stores   [2]*storetest.Faulty
	services [2]*passwordless.Service
	rings    [2]*passwordless.Keyring
	ring     []passwordless.RingKey // the newest first
	made     int                    // keys
	replace  bool

	persons    [2]*person
	challenges []*challenge
	cooldowns  map[repeat]*cooldown
	ghosts     map[repeat][]ghost
}

// A person has proved the address before anything goes wrong.
type person struct {
	address passwordless.Address
	id      string
	ledger  ledger
	slot    *challenge    // the one without a handle
	murky   bool          // a failed start may have replaced it
	revoked store.Instant // what began until then is over
	faulted bool          // so that the ledger may hold less than the model thinks
}

// A challenge is what the model knows of one.
type challenge struct {
	*person
	handle         passwordless.Secret // "" if it is found by its address
	network        int
	cookie         int                 // that it was started with
	browser        passwordless.Secret // that it is bound to
	refs           set
	message        passwordless.Message // the last, or none
	old            []passwordless.Message
	looked, logins int
	drawn          float64 // from the ledger
}

// A repeat is what makes two starts the same.
type repeat struct {
	person           *person
	network, browser int
	byAddress        bool
}

// A cooldown is what answers a repeated start.
type cooldown struct {
	*challenge
	key   string
	until store.Instant
}

// A ghost is a start that failed and may have been made.
type ghost struct {
	key string
	at  store.Instant
}

var start = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// english are messages in one language, because New tries them all.
func english(t *testing.T) fs.FS {
	text, err := os.ReadFile("../../../internal/message/templates/en.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	return fstest.MapFS{"en.tmpl": {Data: text}}
}

func newMachine(t *rapid.T, templates fs.FS, replace bool, instances ...store.Store) *machine {
	m := &machine{t: t, clock: &clock{start}, mail: &mailbox{}, log: &exhaustions{}, replace: replace,
		cooldowns: map[repeat]*cooldown{}, ghosts: map[repeat][]ghost{}}
	wide := passwordless.Limit{Count: 1e6, Per: 24 * time.Hour}
	m.cfg = passwordless.Config{Issuer: "https://login.example.com/", AppName: "Example", Sender: m.mail, Clock: m.clock,
		Templates: templates, Events: m.log.add, Clients: passwordless.ClientList{{ID: "web", Public: true}},
		Policy: passwordless.Policy{
			ClockSkew: skew,
			Codes: passwordless.CodePolicy{MaxAttempts: attempts, MaxResends: mostResends, EmailLife: life, ResendCooldown: resendAfter,
				StartCooldown: startAfter, ReplaceOnResend: replace},
			Limits: passwordless.LimitPolicy{EmailSends: []passwordless.Limit{wide}, Starts: []passwordless.Limit{wide},
				Guesses: wide},
		}}
	m.serve(instances)
	for i := range m.persons {
		m.prove(i)
	}
	m.clock.now = m.clock.now.Add(time.Hour)
	return m
}

// serve makes the services, each on an instance of the store and with a keyring of its own.
func (m *machine) serve(instances []store.Store) {
	index := passwordless.RandomKey()
	m.newKey()
	for i := range m.services {
		m.stores[i] = storetest.NewFaulty(instances[i])
		m.rings[i] = passwordless.NewKeyring(index, m.ring...)
		cfg := m.cfg
		cfg.Store, cfg.Hasher = m.stores[i], m.rings[i]
		s, err := passwordless.New(cfg)
		if err != nil {
			m.t.Fatal(err)
		}
		m.services[i] = s
	}
}

// prove signs a person in for the first time.
func (m *machine) prove(i int) {
	p := &person{address: passwordless.Address(fmt.Sprintf("person%d@example.com", i)), ledger: ledger{ledgerBurst, m.now()}}
	m.persons[i] = p
	c := m.begin(op{Do: "start", Person: i})
	if got := m.guess(c, op{}, c.message.Code.Reveal(), false); got != "login" {
		m.t.Fatalf("first sign-in: %s", got)
	}
	id := passwordless.Identifier{Channel: passwordless.Email, Address: p.address}
	u, err := m.services[0].Directory().Find(context.Background(), "", id)
	if err != nil {
		m.t.Fatal(err)
	}
	p.id = u.ID
}

// signOut signs a person out everywhere.
func (m *machine) signOut(o op) {
	p := m.persons[o.Person]
	if err := m.services[o.Instance].RevokeUser(context.Background(), "", p.id); err != nil {
		m.t.Fatal(err)
	}
	p.revoked = max(p.revoked, m.now().Add(skew))
}

func (m *machine) now() store.Instant { return store.InstantOf(m.clock.now) }

func (m *machine) newKey() {
	m.made++
	key := passwordless.RingKey{ID: fmt.Sprint("k", m.made), Secret: passwordless.RandomKey()}
	m.ring = append([]passwordless.RingKey{key}, m.ring...)
}

// rotate adds a key, which the first service begins to use. The second still uses the oldest.
func (m *machine) rotate() {
	m.newKey()
	m.replaceKeys()
}

// drop takes the oldest key away, with all that it protects.
func (m *machine) drop() {
	if len(m.ring) > 1 {
		m.ring = m.ring[:len(m.ring)-1]
		m.replaceKeys()
	}
}

func (m *machine) replaceKeys() {
	for i, ring := range m.rings {
		all := slices.Clone(m.ring)
		if last := len(all) - 1; i == 1 {
			all[0], all[last] = all[last], all[0]
		}
		if err := ring.Replace(all...); err != nil {
			m.t.Fatal(err)
		}
	}
}

// current is the ID of the key that an instance makes secrets with.
func (m *machine) current(instance int) string { return m.ring[instance*(len(m.ring)-1)].ID }

func (m *machine) known() keys {
	k := keys{}
	for _, key := range m.ring {
		k[key.ID] = true
	}
	return k
}

// exhaust uses up a new challenge.
func (m *machine) exhaust() {
	c := m.begin(op{Do: "start"})
	for range attempts {
		m.guess(c, op{}, wrong(c.message.Code.Reveal()), false)
	}
}

func (m *machine) run(o op) {
	switch o.Do {
	case "start":
		m.begin(o)
		return
	case "clock":
		m.clock.now = m.clock.now.Add(o.Jump)
		return
	case "rotate":
		m.rotate()
		return
	case "drop":
		m.drop()
		return
	case "sign out":
		m.signOut(o)
		return
	}
	c := m.pick(o)
	if c == nil {
		return
	}
	switch o.Do {
	case "again": // as it was started
		m.begin(op{Do: "start", Person: m.number(c.person), Network: c.network, Browser: c.cookie, Instance: o.Instance,
			ByAddress: c.handle == "", Fault: o.Fault})
	case "burst":
		for range attempts - strangers {
			m.guess(c, op{Do: "guess", Network: c.network, Instance: o.Instance}, wrong(c.message.Code.Reveal()), false)
		}
	case "guess", "check":
		m.guess(c, o, m.code(c, o), o.Do == "check")
	case "redeem":
		m.redeem(c, o)
	case "cancel":
		m.cancel(c, o)
	case "resend":
		m.resend(c, o)
	case "resends":
		for range mostResends + 1 {
			m.resend(c, op{Do: "resend", Instance: o.Instance, Secret: 2})
		}
	}
}

// pick returns a challenge whose secrets somebody was told, or nil.
func (m *machine) pick(o op) *challenge {
	if o.Pick >= len(m.challenges) {
		return nil
	}
	c := m.challenges[len(m.challenges)-1-o.Pick]
	sends := strings.HasPrefix(o.Do, "resend")
	lost := c.handle == "" && (c.slot != c || c.murky)
	if lost || !sends && c.message.Code == "" || sends && c.handle == "" {
		return nil
	}
	return c
}

func (m *machine) number(p *person) int {
	if p == m.persons[0] {
		return 0
	}
	return 1
}

// call makes a call with the op's fault and returns its answer, or that it failed.
func (m *machine) call(
	p *person, o op, f func(context.Context, *passwordless.Service) (string, error),
) (got string, failed bool) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	st := m.stores[o.Instance]
	if o.Fault.N > 0 {
		p.faulted = true
		if o.Fault.Kind == "hang" {
			ctx, cancel = context.WithTimeout(ctx, 2*time.Millisecond)
			defer cancel()
		}
		if spoil := faults[o.Fault.Kind](); o.Fault.All {
			st.SpoilAll(o.Fault.Method, spoil)
		} else {
			st.Spoil(o.Fault.Method, o.Fault.N, spoil)
		}
		defer st.Heal()
	}
	success, err := f(ctx, m.services[o.Instance])
	got, failed = answer(success, err)
	if failed && o.Fault.N == 0 {
		m.t.Fatalf("%s fails without a fault: %v", o.Do, err)
	}
	return got, failed
}

// answer puts an outcome in the model's words.
func answer(success string, err error) (got string, failed bool) {
	var refused *passwordless.ChallengeError
	var elsewhere *passwordless.OtherBrowserError
	switch {
	case err == nil:
		return success, false
	case errors.As(err, &elsewhere):
		return "elsewhere " + elsewhere.Code.Reveal(), false
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrUncertain), errors.Is(err, context.DeadlineExceeded):
		return "", true
	case errors.Is(err, passwordless.ErrUnavailable):
		return "no key", false
	case !errors.As(err, &refused):
		return err.Error(), false
	}
	words := map[error]string{
		passwordless.ErrExpired: "expired", passwordless.ErrConsumed: "consumed", passwordless.ErrExhausted: "exhausted",
		passwordless.ErrCancelled: "cancelled", passwordless.ErrRevoked: "revoked", passwordless.ErrUnknownChallenge: "unknown",
		passwordless.ErrTooSoon: "too soon", passwordless.ErrNoResends: "no resends", passwordless.ErrShortCodesOff: "short codes off",
		passwordless.ErrWrongSecret:   fmt.Sprintf("wrong, %d left", refused.AttemptsLeft),
		passwordless.ErrMalformedCode: fmt.Sprintf("malformed, %d left", refused.AttemptsLeft)}
	return words[refused.Reason], false
}

// expect moves the model on, or ends the test.
func (m *machine) expect(c *challenge, o op, got string, failed bool, step func(ref) (string, ref)) {
	next, possible := c.refs.after(got, failed, step)
	if len(next) == 0 {
		m.t.Fatalf("%s was answered %q; the model knows %q", o.Do, got, possible)
	}
	c.refs = next
}

// at is the moment of a call about a person's challenge.
func (m *machine) at(p *person) moment { return moment{m.now(), m.now(), m.known(), p.revoked} }

// browsers are cookies as they could be; the first is none.
var browsers = [3]passwordless.Secret{"", cookie(1), cookie(2)}

func cookie(b byte) passwordless.Secret {
	return passwordless.Secret(base64.RawURLEncoding.EncodeToString(append(make([]byte, 31), b)))
}

// by is who asks for the client.
func (m *machine) by(s *passwordless.Service, network int, browser passwordless.Secret) passwordless.Requester {
	by, err := s.Trusted(context.Background(), "web", caller(network, browser))
	if err != nil {
		m.t.Fatal(err)
	}
	return by
}

func caller(network int, browser passwordless.Secret) passwordless.Caller {
	return passwordless.Caller{IP: netip.AddrFrom4([4]byte{192, 0, 2 + byte(network), 1}), Browser: browser}
}

// begin starts a challenge and returns it, or nil.
func (m *machine) begin(o op) *challenge {
	p, before := m.persons[o.Person], len(m.mail.all)
	var started passwordless.Started
	got, failed := m.call(p, o, func(ctx context.Context, s *passwordless.Service) (string, error) {
		var err error
		started, err = s.Start(ctx, m.by(s, o.Network, browsers[o.Browser]), passwordless.StartRequest{Channel: passwordless.Email,
			Address: p.address, Send: passwordless.SendBoth, ByAddress: o.ByAddress})
		return "started", err
	})
	again := repeat{p, o.Network, o.Browser, o.ByAddress}
	repeats := o.Browser != 0 || o.ByAddress
	sent := len(m.mail.all) > before
	switch {
	case failed:
		if sent {
			m.t.Fatalf("a start that failed sent a message")
		}
		if lost := strings.HasPrefix(o.Fault.Kind, "lost"); lost && o.Fault.Method == storetest.Commit && !o.Fault.All {
			m.t.Fatalf("a start gave up after one commit of unknown outcome")
		}
		p.murky = p.murky || o.ByAddress
		if repeats {
			m.ghosts[again] = append(m.ghosts[again], ghost{m.current(o.Instance), m.now()})
		}
		return nil
	case got == "no key":
		m.keyless(again)
		return nil
	case got != "started":
		m.t.Fatalf("start was answered %q", got)
	case sent:
		m.unlessRepeated(again)
		return m.began(o, again, started)
	case !repeats:
		m.t.Fatalf("a start sent nothing, and repeats none")
	}
	m.repeated(again, started)
	return nil
}

// began makes the model of a new challenge.
func (m *machine) began(o op, again repeat, started passwordless.Started) *challenge {
	p := again.person
	c := &challenge{person: p, handle: started.Handle, network: o.Network, cookie: o.Browser, browser: started.Browser,
		message: m.mail.last()}
	r := made(m.now(), m.current(o.Instance))
	if o.ByAddress {
		r.most = [2]int{attempts - strangers, strangers}
		p.slot, p.murky = c, false
	}
	c.refs = set{r.told(c.message)}
	m.challenges = append(m.challenges, c)
	if again.browser != 0 || o.ByAddress {
		m.cooldowns[again] = &cooldown{c, r.key, m.now().Add(startAfter)}
		delete(m.ghosts, again)
	}
	p.ledger.refill(m.now())
	if c.refs[0].size == 6 && p.ledger.left < attempts-slack {
		m.t.Fatalf("a short code is sent with %f guesses left in the ledger", p.ledger.left)
	}
	return c
}

// keyless demands that a start repeats one whose key is not there any more.
func (m *machine) keyless(again repeat) {
	c := m.cooldowns[again]
	found := c != nil && m.now() < c.until && !m.known()[c.key]
	for _, g := range m.ghosts[again] {
		found = found || m.now() < g.at.Add(startAfter) && !m.known()[g.key]
	}
	if !found {
		m.t.Fatalf("a start misses a key, and repeats none that would need it")
	}
}

// told takes the secrets of a message.
func (r ref) told(msg passwordless.Message) ref {
	r.code, r.link, r.cancel = msg.Code.Reveal(), tokenOf(msg.Link), tokenOf(msg.Cancel)
	r.size = len(r.code)
	return r
}

// answers tells whether a cooldown answers at now, for one way in which its challenge may be.
func (m *machine) answers(c *cooldown, r ref) bool {
	replaced := c.handle == "" && c.slot != c.challenge
	return m.now() < c.until && !replaced && m.known()[c.key] && r.alive(m.now())
}

// unlessRepeated demands that a start that sent something repeats none.
func (m *machine) unlessRepeated(again repeat) {
	c := m.cooldowns[again]
	if c == nil || len(m.ghosts[again]) > 0 || c.murky {
		return
	}
	var over set
	for _, r := range c.refs {
		if !m.answers(c, r) {
			over = over.with(r)
		}
	}
	if len(over) == 0 {
		m.t.Fatalf("a start sent again within the cooldown of another")
	}
	c.refs = over
}

// repeated demands that a start that sent nothing repeats one, and learns from it.
func (m *machine) repeated(again repeat, started passwordless.Started) {
	if c := m.cooldowns[again]; c != nil && started.Handle == c.handle {
		var alive set
		for _, r := range c.refs {
			if m.answers(c, r) {
				alive = alive.with(r)
			}
		}
		if len(alive) > 0 {
			c.refs = alive
			return
		}
	}
	var refs set
	var last ghost
	for _, g := range m.ghosts[again] {
		if m.now() < g.at.Add(startAfter) && m.known()[g.key] {
			refs, last = refs.with(made(g.at, g.key)), g
		}
	}
	if len(refs) == 0 {
		m.t.Fatalf("a start sent nothing, and what it repeats is over")
	}
	if started.Handle == "" {
		return // which is in the slot stays unknown
	}
	p := again.person
	c := &challenge{person: p, handle: started.Handle, network: again.network, cookie: again.browser,
		browser: browsers[again.browser]}
	c.refs = refs
	m.challenges = append(m.challenges, c)
	m.cooldowns[again] = &cooldown{c, last.key, last.at.Add(startAfter)}
	delete(m.ghosts, again)
}

// code returns what is typed: the right code half of the time.
func (m *machine) code(c *challenge, o op) string {
	code := c.message.Code.Reveal()
	switch o.Secret {
	case 0, 1:
		return wrong(code)
	case 2:
		return "12x"
	case 3:
		if len(c.old) > 0 {
			return c.old[0].Code.Reveal()
		}
		return m.mail.all[0].Code.Reveal()
	}
	return code
}

// guess presents a code and returns the answer.
func (m *machine) guess(c *challenge, o op, typed string, check bool) string {
	browser := browsers[o.Browser]
	req := passwordless.VerifyRequest{Handle: c.handle, Code: passwordless.Secret(typed)}
	side := 0
	if c.handle == "" {
		req.Channel, req.Address = passwordless.Email, c.address
		if o.Network != c.network && browser != c.browser {
			side = 1
		}
	}
	before := m.log.n
	got, failed := m.call(c.person, o, func(ctx context.Context, s *passwordless.Service) (string, error) {
		if check {
			return "right", s.CheckCode(ctx, m.by(s, o.Network, browser), req)
		}
		_, err := s.Verify(ctx, m.by(s, o.Network, browser), req)
		return "login", err
	})
	if got == "short codes off" {
		m.shortCodesOff(typed)
		return got
	}
	m.expect(c, o, got, failed, func(r ref) (string, ref) { return r.guess(m.at(c.person), side, typed, check) })
	if got == "right" || got == "login" || strings.HasPrefix(got, "wrong") || m.log.n > before {
		m.looked(c, typed, got)
	}
	m.finished(c, got, failed)
	return got
}

// shortCodesOff demands that codes of digits alone are off. What a network or a stranger may spend of the ledger is less than
// all of it, and not modelled.
func (m *machine) shortCodesOff(typed string) {
	if len(typed) != 6 && len(typed) != 9 {
		m.t.Fatalf("a code of %d characters is not looked at", len(typed))
	}
}

// looked counts a guess whose outcome was told. A right check may not be the last attempt, and so be told again; what
// is right is judged only while the ledger has a guess left, but does not draw on it.
func (m *machine) looked(c *challenge, typed, got string) {
	if got != "right" {
		c.looked++
	}
	if c.looked > attempts {
		m.t.Fatalf("%d guesses at one challenge were looked at", c.looked)
	}
	if len(typed) != 6 {
		return
	}
	l := &c.ledger
	l.refill(m.now())
	if l.left < 1-slack {
		m.t.Fatalf("the ledger grants a guess more than it has")
	}
	if got != "right" && got != "login" {
		l.left--
		c.drawn++
	}
}

// finished counts a login. What may be one gives back what one would.
func (m *machine) finished(c *challenge, got string, failed bool) {
	if got == "login" {
		if c.logins++; c.logins > 1 {
			m.t.Fatalf("a second login of one challenge")
		}
	}
	for _, r := range c.refs {
		if r.state == "consumed" && (got == "login" || failed) && c.handle != "" {
			c.ledger.give(c.drawn)
		}
	}
}

func (m *machine) redeem(c *challenge, o op) {
	typed := tokenOf(c.message.Link)
	switch {
	case o.Secret == 0:
		typed = changed(typed)
	case o.Secret == 1 && len(c.old) > 0:
		typed = tokenOf(c.old[0].Link)
	}
	browser := passwordless.Secret("")
	if o.Same {
		browser = c.browser
	}
	got, failed := m.call(c.person, o, func(ctx context.Context, s *passwordless.Service) (string, error) {
		_, err := s.RedeemLink(ctx, m.by(s, o.Network, browser), passwordless.RedeemRequest{Token: passwordless.Secret(typed)})
		return "login", err
	})
	m.expect(c, o, got, failed, func(r ref) (string, ref) { return r.redeem(m.at(c.person), typed, o.Same) })
	m.finished(c, got, failed)
}

func (m *machine) cancel(c *challenge, o op) {
	typed := tokenOf(c.message.Cancel)
	if o.Secret == 0 {
		typed = changed(typed)
	}
	got, failed := m.call(c.person, o, func(ctx context.Context, s *passwordless.Service) (string, error) {
		return "done", s.Cancel(ctx, m.by(s, o.Network, ""), passwordless.Secret(typed))
	})
	m.expect(c, o, got, failed, func(r ref) (string, ref) { return r.notMe(m.at(c.person), typed) })
}

func (m *machine) resend(c *challenge, o op) {
	if o.Secret > 1 { // else mostly too soon
		m.clock.now = m.clock.now.Add(resendAfter << c.refs[0].resends)
	}
	before := len(m.mail.all)
	got, failed := m.call(c.person, o, func(ctx context.Context, s *passwordless.Service) (string, error) {
		_, err := s.Resend(ctx, m.by(s, o.Network, ""), c.handle)
		return "sent", err
	})
	if sent := len(m.mail.all) > before; sent != (got == "sent") {
		m.t.Fatalf("a resend was answered %q, and a message was sent: %v", got, sent)
	}
	step := func(r ref) (string, ref) { return r.resend(m.at(c.person), m.replace) }
	if failed {
		for _, r := range c.refs {
			if _, n := step(r); n.resends > r.resends {
				for _, size := range []int{9, 10, 15} {
					if size > r.size {
						c.refs = c.refs.with(n.lengthened(size))
					}
				}
			}
		}
	}
	m.expect(c, o, got, failed, step)
	if got == "sent" {
		m.resent(c)
	}
}

// resent takes the secrets of the message. They are the former ones, unless the model expects
// new ones or they have become longer.
func (m *machine) resent(c *challenge) {
	message := m.mail.last()
	var told set
	for _, r := range c.refs {
		now := r.told(message)
		if now.size == r.size && r.link != now.link && (r.link != "" || now.link == tokenOf(c.message.Link)) {
			continue
		}
		told = told.with(now)
	}
	if len(told) == 0 {
		m.t.Fatalf("a resend sent the wrong secrets: the former ones for new ones, or the other way round")
	}
	if c.message.Code != "" {
		c.old = append(c.old, c.message)
	}
	c.refs, c.message = told, message
}
