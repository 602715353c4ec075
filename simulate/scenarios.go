package main

import (
	"fmt"
	"time"

	"github.com/seed62b93bad/passwordless/internal/limit"
	"github.com/seed62b93bad/passwordless/store"
)

const day = 24 * time.Hour

// A result is what a scenario came to.
type result struct {
	name   string
	days   int
	attack *attack // nil for none
	seen   seen
	sizes  [4]size // at the end, and after sweeps two, eight and forty days later
	claims []claim
	faults []string
}

// A claim is a number that must not be over a bound.
type claim struct {
	what      string
	is, bound float64
}

// claim measures something that is promised.
func (r *result) claim(what string, is, bound float64) {
	r.claims = append(r.claims, claim{what, is, bound})
}

// The claims. Each is measured in several scenarios, of which the worst counts.
const (
	yearly     = "chance against one person in a year, in MaxYearlyRisks"
	daily      = "takeovers expected in any 24 hours, in MaxDailyRisks"
	ordinary   = "no attack: sign-ins with a longer code, %"
	sprayed    = "beside a spray: sign-ins in known networks with a longer code, %"
	besieged   = "beside an attack on a person: that person's starts refused in the known network, %"
	atHome     = "beside an attack on a person: that person's longer codes in the known network, %"
	devices    = "known devices, whatever happens: starts refused and codes longer, %"
	neighbours = "2,000 people behind one address, evenly: starts refused, %"
	rush       = "2,000 people behind one address, half within an hour: starts refused, %"
	locked     = "sign-ins that failed with the right code, without an attack on the person, %"
	othersRows = "rows two days later, but for wrong guesses and for what is only recorded"
	oneRows    = "junk: rows eight days later, after one wrong guess a name"
	fiveRows   = "junk: rows forty days later, after five wrong guesses a name"
)

// A pace is how an attack is spread over a day.
type pace struct {
	name  string
	waves int
	gap   time.Duration
	later bool
}

// paces are evenly over the day or in its first two hours, guessing at once or when all of a wave is started.
var paces = []pace{
	{"even", 24, time.Hour, false}, {"even, later", 24, time.Hour, true},
	{"burst", 12, 10 * time.Minute, false}, {"burst, later", 12, 10 * time.Minute, true},
}

// usual are habits of people.
var usual = habits{mistypes: .12, givesUp: .05}

// share is so many in a hundred of a whole.
func share(n, of int) float64 { return 100 * float64(n) / float64(max(1, of)) }

// days is so many.
func days(n int) time.Duration { return time.Duration(n) * day }

// finish measures what is left in the store now and later, and keeps what went wrong.
func (r *result) finish(w *world) {
	r.sizes[0] = w.store.size()
	end := w.clock.Now()
	for i, n := range [...]int{2, 8, 40} {
		w.clock.Set(end.Add(days(n)))
		w.sweep()
		r.sizes[1+i] = w.store.size()
	}
	if w.store.wrong > 0 {
		w.fault(fmt.Errorf("%d sweeps removed other rows than were counted", w.store.wrong))
	}
	if d := r.seen[knownDevice]; d.signIns > 0 {
		r.claim(devices, share(d.longer+d.refused, d.starts), 0)
	}
	others := r.sizes[1].rows
	for _, stays := range []store.Kind{limit.Ledger, limit.Device, limit.Unanswered, limit.RegionStarts} {
		others -= r.sizes[1].kinds[stays]
	}
	r.claim(othersRows, float64(others), 0)
	r.faults = w.faults
}

// A siege is an attack on one person.
type siege struct {
	from      pool
	pace      pace
	yearly    float64 // MaxYearlyRisk
	days      int
	byAddress bool
	inside    bool // every second call of the attack comes from the person's own network
	away      bool // the person signs in once a month, and from a known device alone
}

func (s siege) name() string {
	name := fmt.Sprintf("siege at %.0e: %s, %s", s.yearly, s.from.name, s.pace.name)
	switch {
	case s.inside:
		name += ", neighbour"
	case s.byAddress:
		name += ", by address"
	case s.away:
		name += ", owner away"
	}
	return name
}

func (s siege) run() (*result, error) {
	w, err := newWorld(policy(s.yearly, 0), 1)
	if err != nil {
		return nil, err
	}
	w.byAddress = s.byAddress
	owner := &person{name: "owner@example.com", home: office}
	(&town{people: []*person{owner}}).settle(w)
	r := &result{name: s.name(), days: s.days, attack: &attack{from: s.from, victims: func(int) string { return owner.name },
		days: s.days, waves: s.pace.waves, gap: s.pace.gap, starts: 60 / s.pace.waves, later: s.pace.later, guesses: attempts}}
	if s.inside {
		r.attack.from = s.from.with(office)
	}
	now := w.clock.Now()
	r.attack.schedule(w)
	for d := range s.days {
		for k := range ranks {
			if s.away && (k != knownDevice || d%30 != 29) || k == stranger && d%3 != 0 {
				continue
			}
			w.at(now.Add(days(d)+w.byDay()), func() { w.signs(owner, k, usual, &r.seen[k]).start() })
		}
	}
	w.run(now.Add(days(s.days)))
	r.claim(yearly, r.attack.tally.worstPerson()/s.yearly, 1)
	if home := r.seen[knownNetwork]; !s.inside {
		r.claim(besieged, share(home.refused, home.starts), 0)
		if !s.byAddress {
			r.claim(atHome, share(home.longer, home.signIns), 5)
		}
	}
	r.finish(w)
	return r, nil
}

// A spray is an attack on very many.
type spray struct {
	from   pool
	pace   pace
	daily  float64 // MaxDailyRisk
	starts int     // in a day
	days   int
	people int // who sign in each day beside it; 0: none
}

const million = 1_000_000

func (s spray) name() string {
	name := fmt.Sprintf("spray at %.0e: %s, %s", s.daily, s.from.name, s.pace.name)
	if s.days > 1 {
		name += fmt.Sprintf(", %d days", s.days)
	}
	if s.people > 0 {
		name += fmt.Sprintf(", %d people", s.people)
	}
	return name
}

func (s spray) run() (*result, error) {
	w, err := newWorld(policy(0, s.daily), 2)
	if err != nil {
		return nil, err
	}
	t := newTown(w, s.people, usual)
	r := &result{name: s.name(), days: s.days, attack: &attack{from: s.from, victims: names(w, million), days: s.days,
		waves: s.pace.waves, gap: s.pace.gap, starts: max(1, s.starts/s.pace.waves), later: s.pace.later, guesses: attempts}}
	now := w.clock.Now()
	r.attack.schedule(w)
	t.schedule(w, s.days)
	w.run(now.Add(days(s.days)))
	r.seen = t.seen
	r.claim(daily, r.attack.tally.worstDay()/s.daily, 1)
	if s.people > 0 {
		r.claim(sprayed, share(r.seen[knownNetwork].longer, r.seen[knownNetwork].signIns), .5)
		r.claim(locked, share(r.seen.sum().failed, r.seen.sum().signIns), .1)
	}
	r.finish(w)
	return r, nil
}

// A quiet is ordinary traffic, as much as MaxDailyRisk is for.
type quiet struct {
	people    int
	daily     float64 // MaxDailyRisk
	mistypes  float64
	byAddress bool
	days      int
}

func (q quiet) name() string {
	name := fmt.Sprintf("no attack at %.1e: %d people, %.0f %% mistyped", q.daily, q.people, 100*q.mistypes)
	if q.byAddress {
		name += ", by address"
	}
	return name
}

func (q quiet) run() (*result, error) {
	w, err := newWorld(policy(0, q.daily), 3)
	if err != nil {
		return nil, err
	}
	w.byAddress = q.byAddress
	t := newTown(w, q.people, habits{q.mistypes, usual.givesUp})
	t.schedule(w, q.days)
	w.run(w.clock.Now().Add(days(q.days)))
	r := &result{name: q.name(), days: q.days, seen: t.seen}
	all := r.seen.sum()
	r.claim(ordinary, share(all.longer, all.signIns), .1)
	r.claim(locked, share(all.failed, all.signIns), .1)
	r.finish(w)
	return r, nil
}

// A crowd is people who share one address. At the default MaxDailyRisk.
type crowd struct {
	people    int
	mistypes  float64
	byAddress bool
	days      int
	rush      bool // half of them come within an hour
	inside    bool // one of them attacks everybody
	floods    bool // one of them presents codes of no challenge
}

func (c crowd) name() string {
	name := fmt.Sprintf("one address: %d people, %.0f %% mistyped", c.people, 100*c.mistypes)
	for _, word := range []struct {
		said bool
		text string
	}{{c.byAddress, ", by address"}, {c.rush, ", rush hour"}, {c.inside, ", one attacks"}, {c.floods, ", one floods"}} {
		if word.said {
			name += word.text
		}
	}
	return name
}

func (c crowd) run() (*result, error) {
	w, err := newWorld(policy(0, 0), 4)
	if err != nil {
		return nil, err
	}
	w.byAddress = c.byAddress
	t := &town{habits: habits{c.mistypes, usual.givesUp}, hours: w.atWork}
	if c.rush {
		t.hours = w.inRush
	}
	for i := range c.people {
		t.people = append(t.people, &person{name: fmt.Sprintf("o%d@example.com", i), home: office})
	}
	t.settle(w)
	r := &result{name: c.name(), days: c.days}
	now := w.clock.Now()
	if c.inside {
		r.attack = &attack{from: ipv4(0).with(office), victims: names(w, million), days: c.days, waves: 24, gap: time.Hour,
			starts: 20, guesses: attempts}
		r.attack.schedule(w)
	}
	for i := range c.days * 144 {
		if c.floods {
			w.at(now.Add(time.Duration(i)*10*time.Minute), func() { w.flood(caller{ip: office}) })
		}
	}
	t.schedule(w, c.days)
	w.run(now.Add(days(c.days)))
	r.seen = t.seen
	all := r.seen.sum()
	switch {
	case c.inside || c.floods:
	case c.rush:
		r.claim(rush, share(all.refused, all.starts), .1)
		r.claim(locked, share(all.failed, all.signIns), .1)
	default:
		r.claim(neighbours, share(all.refused, all.starts), 0)
		r.claim(locked, share(all.failed, all.signIns), .1)
	}
	r.finish(w)
	return r, nil
}

// A drain is an attack by people who have accounts of their own in known networks. They guess wrong at those, so that nothing is
// left in the tenant's ledgers for others.
type drain struct {
	networks, accounts int     // in each network
	daily              float64 // MaxDailyRisk
	people             int
	days               int
}

func (d drain) name() string {
	return fmt.Sprintf("drain at %.0e: %d networks, %d accounts each, %d people", d.daily, d.networks, d.accounts, d.people)
}

func (d drain) run() (*result, error) {
	w, err := newWorld(policy(0, d.daily), 5)
	if err != nil {
		return nil, err
	}
	from := ipv4(d.networks)
	own := func(i int) string { return fmt.Sprintf("own%d.%d@example.com", i%d.networks, i/d.networks%d.accounts) }
	for i := range d.networks * d.accounts {
		w.signIn(caller{ip: from.at(i % d.networks)}, own(i))
		w.clock.Advance(time.Minute)
	}
	t := newTown(w, d.people, usual)
	r := &result{name: d.name(), days: d.days, attack: &attack{from: from, victims: own, days: d.days, waves: 24, gap: time.Hour,
		starts: d.networks * d.accounts, guesses: attempts}}
	now := w.clock.Now()
	r.attack.schedule(w)
	t.schedule(w, d.days)
	w.run(now.Add(days(d.days)))
	r.seen = t.seen
	r.claim(daily, r.attack.tally.worstDay()/d.daily, 1)
	r.claim(locked, share(r.seen.sum().failed, r.seen.sum().signIns), .1)
	r.finish(w)
	return r, nil
}

// A ride is an attack on many from few networks, by people who sign in to accounts of their own: each success gives a network
// a fifth of a guess back.
type ride struct {
	networks, accounts int     // in each network
	daily              float64 // MaxDailyRisk
	days               int
}

func (d ride) name() string {
	return fmt.Sprintf("ride at %.0e: %d networks, %d accounts each", d.daily, d.networks, d.accounts)
}

func (d ride) run() (*result, error) {
	w, err := newWorld(policy(0, d.daily), 6)
	if err != nil {
		return nil, err
	}
	from, signedIn := ipv4(d.networks), 0
	r := &result{name: d.name(), days: d.days, attack: &attack{from: from, victims: names(w, million), days: d.days, waves: 144,
		gap: 10 * time.Minute, starts: 4 * d.networks, guesses: 1}}
	now := w.clock.Now()
	for i := range d.days * 144 {
		w.at(now.Add(time.Duration(i)*10*time.Minute), func() {
			for k := range d.networks * d.accounts / 10 {
				signedIn++
				w.signIn(caller{ip: from.at(k % d.networks)}, fmt.Sprintf("own%d.%d@example.com", k%d.networks, signedIn%d.accounts))
			}
		})
	}
	r.attack.schedule(w)
	w.run(now.Add(days(d.days)))
	r.claim(daily, r.attack.tally.worstDay()/d.daily, 1)
	r.finish(w)
	return r, nil
}

// A junk is starts and guesses for names that nobody ever uses again.
type junk struct {
	from    pool
	starts  int // in a day
	guesses int // at each
	days    int
}

func (j junk) name() string {
	return fmt.Sprintf("junk: %s, %d guesses a name, %d a day, %d days", j.from.name, j.guesses, j.starts, j.days)
}

func (j junk) run() (*result, error) {
	w, err := newWorld(policy(0, 0), 7)
	if err != nil {
		return nil, err
	}
	name := func(i int) string { return fmt.Sprintf("j%d@example.com", i) }
	r := &result{name: j.name(), days: j.days, attack: &attack{from: j.from, victims: name, days: j.days, waves: 96,
		gap: 15 * time.Minute, starts: j.starts / 96, guesses: j.guesses}}
	now := w.clock.Now()
	r.attack.schedule(w)
	w.run(now.Add(days(j.days)))
	r.finish(w)
	r.claim(daily, r.attack.tally.worstDay()/defaultDaily, 1)
	if j.guesses == 1 {
		r.claim(oneRows, float64(r.sizes[2].rows), 0)
	} else {
		r.claim(fiveRows, float64(r.sizes[3].rows), 0)
	}
	return r, nil
}
