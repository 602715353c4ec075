package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// A scenario is something to simulate.
type scenario interface {
	name() string
	run() (*result, error)
}

// full are the scenarios of "make simulate".
func full() (all []scenario) {
	all = append(all, quiet{people: 200_000, daily: defaultDaily, mistypes: usual.mistypes, days: 2}) // first: it takes longest
	all = append(all, sieges()...)
	for _, from := range []pool{ipv4(1), ipv4(1_000), ipv4(10_000), ipv6()} {
		starts := min(from.n, 10_000) * 10
		if from.name == ipv6().name {
			starts = 10_000 // of which a /48 gets far fewer
		}
		for _, p := range paces {
			all = append(all, spray{from: from, pace: p, daily: 1e-3, starts: starts, days: 1})
		}
		all = append(all, spray{from: from, pace: paces[0], daily: 1e-4, starts: 120, days: 365})
		if from.n > 1 {
			all = append(all, spray{from: from, pace: paces[0], daily: 5e-4, starts: 10_000, days: 2, people: 10_000})
		}
	}
	for _, m := range []float64{.10, .12, .15} {
		all = append(all, quiet{people: 10_000, daily: 5e-4, mistypes: m, days: 4},
			quiet{people: 10_000, daily: 2.2e-3, mistypes: m, days: 4, byAddress: true},
			crowd{people: 2_000, mistypes: m, days: 5}, crowd{people: 2_000, mistypes: m, days: 5, byAddress: true})
	}
	return append(all, crowd{people: 2_000, mistypes: usual.mistypes, days: 5, rush: true},
		crowd{people: 2_000, mistypes: usual.mistypes, days: 5, rush: true, byAddress: true},
		crowd{people: 2_000, mistypes: usual.mistypes, days: 5, inside: true},
		crowd{people: 2_000, mistypes: usual.mistypes, days: 5, floods: true},
		drain{networks: 10, accounts: 2, daily: 5e-4, people: 10_000, days: 4},
		drain{networks: 100, accounts: 2, daily: 5e-4, people: 10_000, days: 4},
		ride{networks: 10, accounts: 50, daily: 1e-3, days: 3},
		junk{ipv6(), 480, 1, 30}, junk{ipv6(), 480, 5, 30}, junk{ipv4(1_000), 2_400, 1, 30}, junk{ipv4(1_000), 2_400, 5, 30})
}

// sieges are the attacks on one person.
func sieges() (all []scenario) {
	for _, yearly := range []float64{1e-4, 1e-6} {
		s := siege{yearly: yearly, days: 365}
		for _, s.from = range []pool{ipv4(1), ipv4(1_000), ipv4(10_000), ipv6()} {
			for _, s.pace = range paces {
				if s.from.n != 1_000 || s.pace.name == paces[1].name { // it is as with 10,000
					all = append(all, s)
				}
			}
		}
		s.from, s.pace = ipv4(10_000), paces[0]
		byAddress, inside, away := s, s, s
		byAddress.byAddress, inside.inside, away.away = true, true, true
		all = append(all, byAddress, inside, away)
	}
	return all
}

// small has one of each kind, for tests and for a first look.
func small() []scenario {
	return []scenario{
		siege{from: ipv4(1_000), pace: paces[0], yearly: 1e-4, days: 30},
		siege{from: ipv4(1_000), pace: paces[1], yearly: 1e-6, days: 100},
		siege{from: ipv6(), pace: paces[3], yearly: 1e-6, days: 20, byAddress: true},
		spray{from: ipv4(1_000), pace: paces[3], daily: 1e-4, starts: 600, days: 1},
		spray{from: ipv6(), pace: paces[0], daily: 1e-3, starts: 480, days: 1, people: 200},
		quiet{people: 1_000, daily: 1e-4, mistypes: .12, days: 1},
		crowd{people: 300, mistypes: .12, days: 1},
		drain{networks: 4, accounts: 2, daily: 1e-4, people: 400, days: 2},
		ride{networks: 2, accounts: 50, daily: 1e-4, days: 1},
		junk{ipv4(50), 480, 1, 1}, junk{ipv6(), 480, 5, 1},
	}
}

// runAll runs scenarios, so many at once, and returns their results in order.
func runAll(all []scenario, atOnce int, progress io.Writer) ([]*result, error) {
	results, errs := make([]*result, len(all)), make([]error, len(all))
	var wg sync.WaitGroup
	slots := make(chan struct{}, max(1, atOnce))
	for i, s := range all {
		slots <- struct{}{}
		wg.Go(func() {
			begun := time.Now()
			results[i], errs[i] = s.run()
			_, _ = fmt.Fprintf(progress, "%6.1fs  %s\n", time.Since(begun).Seconds(), s.name())
			<-slots
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("%s: %w", all[i].name(), err)
		}
	}
	return results, nil
}
