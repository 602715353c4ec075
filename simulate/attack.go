package main

import (
	"fmt"
	"net/netip"
	"time"
)

// A pool is the addresses that somebody calls from, by their number.
type pool struct {
	name string
	n    int
	at   func(i int) netip.Addr
}

// ipv4 are IPv4 addresses, each a network of its own.
func ipv4(n int) pool {
	name := fmt.Sprintf("%d IPv4", n)
	return pool{name, n, func(i int) netip.Addr { return netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}) }}
}

// ipv6 is one IPv6 /48, with an address in each of its /64s.
func ipv6() pool {
	return pool{"one /48", 1 << 16, func(i int) netip.Addr {
		return netip.AddrFrom16([16]byte{0x2a, 0, 0, 1, 0, 2, byte(i >> 8), byte(i), 15: 1})
	}}
}

// office is an address that many people share.
var office = netip.MustParseAddr("20.0.0.1")

// with is the pool and one address more, which every second call comes from.
func (p pool) with(ip netip.Addr) pool {
	return pool{p.name, max(1, 2*p.n), func(i int) netip.Addr {
		if i%2 == 0 {
			return ip
		}
		return p.at(i / 2)
	}}
}

// An attack starts challenges and presents wrong codes, in waves.
type attack struct {
	from    pool
	victims func(i int) string // the name of the i-th start
	days    int
	waves   int           // in a day
	gap     time.Duration // between them
	starts  int           // in a wave
	later   bool          // guess nine minutes after the start, when everything of the wave is started
	guesses int           // at one challenge, at most

	tally   *tally
	calls   int // starts, refused or not
	started int // of those, not refused
}

// schedule puts the attack on the agenda, from now on.
func (a *attack) schedule(w *world) {
	if a.tally == nil {
		a.tally = newTally()
	}
	now := w.clock.Now()
	for day := range a.days {
		for wave := range a.waves {
			w.at(now.Add(days(day)+time.Duration(wave)*a.gap), func() { a.wave(w) })
		}
	}
}

// wave makes one wave.
func (a *attack) wave(w *world) {
	for range a.starts {
		c := caller{ip: a.from.at(a.calls % a.from.n), tally: a.tally}
		name := a.victims(a.calls)
		a.calls++
		t, ok := w.start(c, name)
		if !ok {
			continue
		}
		a.started++
		if a.later {
			w.after(9*time.Minute, func() { w.guessAll(c, t, a.guesses) })
		} else {
			w.guessAll(c, t, a.guesses)
		}
	}
}

// names are so many addresses, of which the first half hold accounts once they are touched.
func names(w *world, many int) func(i int) string {
	known := map[string]bool{}
	return func(int) string {
		n := w.rng.IntN(many)
		name := fmt.Sprintf("n%d@example.com", n)
		if n%2 == 0 && !known[name] {
			known[name] = true
			w.add(name)
		}
		return name
	}
}
