package main

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/passwordlesstest"
	"github.com/seed62b93bad/passwordless/store/memstore"
)

// A world is a Service on a store in memory, with a clock that jumps from event to event. One goroutine uses it.
type world struct {
	svc       *passwordless.Service
	clock     *passwordlesstest.Clock
	outbox    *passwordlesstest.Outbox
	store     *counting
	digits    int  // of codes that are not longer than they need to be
	byAddress bool // challenges have no handle
	rng       *rand.Rand
	agenda    agenda
	events    int // that ever were on the agenda
	faults    []string
}

var begin = time.Date(2030, 1, 7, 0, 0, 0, 0, time.UTC)

// defaultDaily is the default of MaxDailyRisk.
const defaultDaily = .01

// policy has the two risks. Zero is the default of either.
func policy(yearly, daily float64) passwordless.Policy {
	return passwordless.Policy{MaxYearlyRisk: yearly, MaxDailyRisk: daily}
}

// newWorld makes a world under a policy.
func newWorld(p passwordless.Policy, seed uint64) (*world, error) {
	w := &world{clock: passwordlesstest.NewClock(begin), store: newCounting(memstore.New()), rng: rand.New(rand.NewPCG(seed, 1))}
	w.outbox = &passwordlesstest.Outbox{Limit: 1, Clock: w.clock}
	svc, err := passwordless.New(passwordless.Config{
		Issuer: "https://login.example.com/", AppName: "Example", Store: w.store, Sender: w.outbox,
		Hasher:  passwordless.NewKeyring(passwordless.RandomKey(), passwordless.RingKey{ID: "k1", Secret: passwordless.RandomKey()}),
		Clients: passwordless.ClientList{{ID: "web", Public: true, FirstParty: true}},
		Policy:  p, Clock: w.clock, Timeout: -1,
	})
	if err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	w.svc, w.digits = svc, svc.Policy().CodeDigits
	return w, nil
}

// An event is something that happens at an instant.
type event struct {
	at    time.Time
	order int // of events of one instant
	do    func()
}

// An agenda is what will happen, as a heap.
type agenda []event

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at.Before(a[j].at) || a[i].at.Equal(a[j].at) && a[i].order < a[j].order
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }

// Push and Pop are for package heap.
func (a *agenda) Push(e any) { *a = append(*a, e.(event)) }

// Pop removes the last one.
func (a *agenda) Pop() any {
	last := len(*a) - 1
	e := (*a)[last]
	(*a)[last] = event{}
	*a = (*a)[:last]
	return e
}

// at puts something on the agenda.
func (w *world) at(t time.Time, do func()) {
	w.events++
	heap.Push(&w.agenda, event{t, w.events, do})
}

// after puts something on the agenda, so long from now.
func (w *world) after(d time.Duration, do func()) { w.at(w.clock.Now().Add(d), do) }

// run lets everything on the agenda happen that is due before an instant, and sweeps every six hours.
func (w *world) run(until time.Time) {
	for swept := w.clock.Now(); ; {
		next := until
		if len(w.agenda) > 0 && w.agenda[0].at.Before(until) {
			next = w.agenda[0].at
		}
		if sweep := swept.Add(6 * time.Hour); sweep.Before(next) {
			w.clock.Set(sweep)
			w.sweep()
			swept = sweep
			continue
		}
		w.clock.Set(next)
		if next.Equal(until) {
			return
		}
		heap.Pop(&w.agenda).(event).do()
	}
}

func (w *world) sweep() {
	if _, err := w.svc.Sweep(context.Background(), 1<<30); err != nil {
		w.fault(err)
	}
}

// fault keeps an error that must not be.
func (w *world) fault(err error) {
	if len(w.faults) < 5 {
		w.faults = append(w.faults, err.Error())
	}
}

// A try is one challenge that was started.
type try struct {
	name   string
	handle passwordless.Secret
	code   passwordless.Secret // "" if the message carries a link alone
}

// A caller is who calls, and whose guesses are counted as whose.
type caller struct {
	ip     netip.Addr
	device passwordless.Secret
	tally  *tally
}

// requester lets somebody call.
func (w *world) requester(c caller) passwordless.Requester {
	w.store.actor = c.tally
	by, err := w.svc.Public(context.Background(), "web", passwordless.Caller{IP: c.ip, Device: c.device})
	if err != nil {
		w.fault(err)
	}
	return by
}

// start starts a challenge. It reports false if a limit refuses.
func (w *world) start(c caller, name string) (try, bool) {
	started, err := w.svc.Start(context.Background(), w.requester(c), passwordless.StartRequest{Channel: passwordless.Email,
		Address: passwordless.Address(name), ByAddress: w.byAddress})
	var limited *passwordless.LimitedError
	switch {
	case errors.As(err, &limited):
		return try{}, false
	case err != nil:
		w.fault(err)
		return try{}, false
	}
	sent, there := w.outbox.Last(name)
	if !there {
		return try{}, false // a repeated start
	}
	w.outbox.Clear()
	return try{name: name, handle: started.Handle, code: passwordless.Secret(sent.Code)}, true
}

// longer reports whether a code is longer than it need be.
func (w *world) longer(t try) bool { return len(t.code) > w.digits }

// verify presents a code.
func (w *world) verify(c caller, t try, code passwordless.Secret) (passwordless.Login, error) {
	req := passwordless.VerifyRequest{Handle: t.handle, Code: code, Issue: passwordless.Issue{Session: true}}
	if t.handle == "" {
		req.Channel, req.Address = passwordless.Email, passwordless.Address(t.name)
	}
	return w.svc.Verify(context.Background(), w.requester(c), req)
}

// wrong is a code of the same shape that is not the code.
func wrong(code passwordless.Secret) passwordless.Secret {
	last := len(code) - 1
	for _, other := range []passwordless.Secret{"0", "1", "B", "C"} {
		if digits := code[last] <= '9'; (other <= "9") == digits && other != code[last:] {
			return code[:last] + other
		}
	}
	return ""
}

// attempts is how many guesses a challenge has.
const attempts = 5

// guessAll presents wrong codes until the challenge has no attempts left, or its guesses are not looked at.
func (w *world) guessAll(c caller, t try, most int) {
	if t.code == "" {
		return
	}
	for range most {
		_, err := w.verify(c, t, wrong(t.code))
		if !errors.Is(err, passwordless.ErrWrongSecret) {
			return
		}
	}
}

// flood presents codes of no challenge, one each ten seconds for ten minutes.
func (w *world) flood(c caller) {
	for i := range 60 {
		w.after(time.Duration(i)*10*time.Second, func() {
			_, _ = w.verify(c, try{handle: passwordless.Secret(strings.Repeat("A", 48))}, "000000")
		})
	}
}

// add makes a user with an address, and no sign-in.
func (w *world) add(name string) {
	w.store.actor = nil
	user := passwordless.User{Email: passwordless.Address(name), EmailVerified: true}
	_, err := w.svc.Directory().Add(context.Background(), "", user)
	if err != nil {
		w.fault(err)
	}
}

// signIn signs somebody in without a mistake, and returns the device cookie.
func (w *world) signIn(c caller, name string) passwordless.Secret {
	t, ok := w.start(c, name)
	if !ok {
		return ""
	}
	login, err := w.verify(c, t, t.code)
	if err != nil {
		return ""
	}
	return login.Device
}
