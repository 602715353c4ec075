package main

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/seed62b93bad/passwordless"
)

// A rank is who somebody is to the library, if it remembers them rightly.
type rank uint8

// The ranks.
const (
	stranger rank = iota
	knownNetwork
	knownDevice
	ranks
)

// An experience is what signing in was like for people of one rank.
type experience struct {
	starts  int // of sign-ins, and starts afresh
	refused int // of those
	signIns int // that were begun
	longer  int // of those, that saw a longer code than they need
	failed  int // that did not succeed although the right code was presented
}

// seen is what signing in was like, by rank.
type seen [ranks]experience

// sum is of all ranks.
func (s seen) sum() (all experience) {
	for _, e := range s {
		all.starts, all.refused, all.signIns = all.starts+e.starts, all.refused+e.refused, all.signIns+e.signIns
		all.longer, all.failed = all.longer+e.longer, all.failed+e.failed
	}
	return all
}

// A person has an address, a network at home, and a device.
type person struct {
	name   string
	home   netip.Addr
	device passwordless.Secret
}

// A signing is one sign-in of a person, over several starts if need be.
type signing struct {
	w      *world
	p      *person
	rank   rank
	c      caller
	habits habits
	gives  bool // gives up after the first wrong code
	seen   *experience
	longer bool
	tries  int // starts
}

// habits are how people behave.
type habits struct {
	mistypes float64 // of codes that are typed
	givesUp  float64 // of sign-ins: such a person types one wrong code, and leaves
}

// signs lets a person sign in as one of a rank: on the known device at home, on another device at home, or elsewhere.
func (w *world) signs(p *person, r rank, h habits, e *experience) *signing {
	s := &signing{w: w, p: p, rank: r, habits: h, gives: w.rng.Float64() < h.givesUp, seen: e, c: caller{ip: p.home}}
	switch r {
	case knownDevice:
		s.c.device = p.device
	case stranger:
		s.c.ip = w.elsewhere()
	}
	e.signIns++
	return s
}

// elsewhere is a network that nobody was in before.
func (w *world) elsewhere() netip.Addr {
	n := w.rng.IntN(1 << 24)
	return netip.AddrFrom4([4]byte{22, byte(n >> 16), byte(n >> 8), byte(n)})
}

// start is the first step, and the one after a challenge that came to nothing.
func (s *signing) start() {
	s.tries++
	s.seen.starts++
	t, ok := s.w.start(s.c, s.p.name)
	switch {
	case !ok && s.tries < 3:
		s.seen.refused++
		s.w.after(15*time.Minute, s.start)
		return
	case !ok:
		s.seen.refused++
		s.seen.failed++
		return
	}
	if s.w.longer(t) && !s.longer {
		s.longer = true
		s.seen.longer++
	}
	s.w.after(s.w.between(20*time.Second, 100*time.Second), func() { s.types(t) })
}

// types presents the code, or another one by mistake.
func (s *signing) types(t try) {
	if s.gives || s.w.rng.Float64() < s.habits.mistypes {
		if _, err := s.w.verify(s.c, t, wrong(t.code)); s.gives {
			return
		} else if errors.Is(err, passwordless.ErrWrongSecret) {
			s.w.after(s.w.between(5*time.Second, 30*time.Second), func() { s.types(t) })
			return
		}
		s.again()
		return
	}
	login, err := s.w.verify(s.c, t, t.code)
	if err != nil {
		s.again()
		return
	}
	if s.rank == knownDevice {
		s.p.device = login.Device
	}
}

// again starts afresh, twice at most.
func (s *signing) again() {
	if s.tries < 3 {
		s.w.after(20*time.Second, s.start)
		return
	}
	s.seen.failed++
}

// between is a time between two others.
func (w *world) between(least, most time.Duration) time.Duration {
	return least + time.Duration(w.rng.Int64N(int64(most-least)))
}

// A town is people who sign in each day.
type town struct {
	people []*person
	habits habits
	seen   seen
	hours  func() time.Duration // when in the day somebody signs in; nil: byDay
}

// newTown makes people in households of two, and lets each sign in once from home, on a device that is known from then on.
// Two days later all their networks are known.
func newTown(w *world, people int, h habits) *town {
	t := &town{habits: h}
	for i := range people {
		home := netip.AddrFrom4([4]byte{21, byte(i >> 17), byte(i >> 9), byte(i >> 1)})
		t.people = append(t.people, &person{name: fmt.Sprintf("p%d@example.com", i), home: home})
	}
	t.settle(w)
	return t
}

// settle lets everybody sign in at some time of a day, and waits until two days are over.
func (t *town) settle(w *world) {
	now := w.clock.Now()
	for _, p := range t.people {
		w.at(now.Add(w.between(0, 20*time.Hour)), func() { p.device = w.signIn(caller{ip: p.home}, p.name) })
	}
	w.run(now.Add(48 * time.Hour))
}

// schedule puts sign-ins on the agenda: each person once a day, most of them by day.
func (t *town) schedule(w *world, many int) {
	now, hours := w.clock.Now(), t.hours
	if hours == nil {
		hours = w.byDay
	}
	for day := range many {
		for _, p := range t.people {
			w.at(now.Add(days(day)+hours()), func() {
				r := w.mix()
				w.signs(p, r, t.habits, &t.seen[r]).start()
			})
		}
	}
}

// mix is how people sign in: 60 % on a known device, 25 % on another one at home, the others elsewhere.
func (w *world) mix() rank {
	switch at := w.rng.Float64(); {
	case at < .60:
		return knownDevice
	case at < .85:
		return knownNetwork
	}
	return stranger
}

// byDay is a time of the day. At four in the afternoon it is nine times as likely as at four in the morning.
func (w *world) byDay() time.Duration {
	for {
		at := w.between(0, 24*time.Hour)
		if w.rng.Float64() < (1+.8*math.Cos(2*math.Pi*(at.Hours()-16)/24))/1.8 {
			return at
		}
	}
}

// atWork is a time between eight and six.
func (w *world) atWork() time.Duration { return w.between(8*time.Hour, 18*time.Hour) }

// inRush is a time between eight and six. Half of the people come in the first hour.
func (w *world) inRush() time.Duration {
	if w.rng.IntN(2) == 0 {
		return w.between(8*time.Hour, 9*time.Hour)
	}
	return w.between(9*time.Hour, 18*time.Hour)
}
