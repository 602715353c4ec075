package limit_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless/internal/limit"
	"github.com/seed62b93bad/passwordless/store"
)

// A spending is the risk that guesses were worth, by when they were looked at.
type spending struct {
	at    []store.Instant
	units []int64
}

func (s *spending) add(at store.Instant, units int64) {
	if n := len(s.at); n > 0 && s.at[n-1] == at {
		s.units[n-1] += units
		return
	}
	s.at, s.units = append(s.at, at), append(s.units, units)
}

// most is the most that was spent in any time so long.
func (s *spending) most(in time.Duration) (most int64) {
	sum, from := int64(0), 0
	for i, at := range s.at {
		for sum += s.units[i]; s.at[from] <= at.Add(-in); from++ {
			sum -= s.units[from]
		}
		most = max(most, sum)
	}
	return most
}

// spend guesses at codes of a rung for as long as guesses are looked at.
func (w *world) spend(now store.Instant, all *spending, p limit.Plan, rung limit.Rung, next func() limit.Subject) {
	for w.guess(now, next(), p, rung) == nil {
		all.add(now, counts[rung])
	}
}

// fresh makes subjects that have nothing in common but one person, or the tenant if there is none.
func fresh(person string) func() limit.Subject {
	n := 0
	return func() limit.Subject {
		n++
		if person == "" {
			return stranger(n, n, n)
		}
		return stranger(person, n, n)
	}
}

func TestAYearsRiskOfAPersonIsBounded(t *testing.T) { // RL-4, VF-5, VF-6, VF-7
	for _, test := range []struct {
		yearly float64
		last   limit.Rung // guesses at more would be very many
		gap    time.Duration
	}{
		{1e-4, limit.EightDigits, day}, {1e-4, limit.EightDigits, 100 * day}, {1e-5, limit.NineDigits, day},
		{1e-6, limit.TenLetters, day}, {1e-6, limit.TenLetters, 100 * day},
	} {
		w, all, random := newWorld(t, with(func(p *limit.Policy) { p.YearlyRisk, p.DailyRisk = test.yearly, 10 })), spending{},
			rand.New(rand.NewPCG(1, 2))
		w.ledger = true // the ledger alone; consecutive failures stop a stranger much earlier
		first, _ := limit.First(test.yearly)
		next := fresh("alice")
		for now := began; now < began.Add(2*year); now = now.Add(1 + time.Duration(random.Int64N(int64(2*test.gap)))) {
			for rung := first; rung <= test.last; rung++ {
				w.spend(now, &all, presents[random.IntN(2)], rung, next)
			}
			w.spend(now, &all, presents[1], test.last, next)
		}
		assert.LessOrEqual(t, float64(all.most(year)), test.yearly*1e10, "%+v", test)
		assert.Greater(t, float64(all.most(year)), test.yearly*1e10*.60, "%+v: the ledger is what stopped them", test)
	}
}

func TestADaysRiskOfATenantIsBounded(t *testing.T) { // RL-4
	for _, test := range []struct {
		yearly, daily float64
		last          limit.Rung // guesses at more would be very many
		gap           time.Duration
	}{
		{1e-4, .01, limit.SixDigits, 10 * time.Minute}, {1e-4, .01, limit.SixDigits, 13 * time.Hour},
		{1e-6, 1e-4, limit.NineDigits, 10 * time.Minute}, {1e-6, 1e-4, limit.NineDigits, 13 * time.Hour},
	} {
		w, all, random := newWorld(t, with(func(p *limit.Policy) { p.YearlyRisk, p.DailyRisk = test.yearly, test.daily })),
			spending{}, rand.New(rand.NewPCG(1, 2))
		require.Greater(t, w.Stripes(), 1)
		first, _ := limit.First(test.yearly)
		next := fresh("")
		for now := began; now < began.Add(2*day); now = now.Add(1 + time.Duration(random.Int64N(int64(2*test.gap)))) {
			for stripe := range w.Stripes() {
				in := func() limit.Subject { s := next(); s.Stripe = uint8(stripe); return s }
				for i := range 2 {
					p := presents[(i+random.IntN(2))%2]
					w.spend(now, &all, p, first, in)
					w.spend(now, &all, p, test.last, in)
				}
			}
		}
		assert.LessOrEqual(t, float64(all.most(day)), test.daily*1e10, "%+v", test)
		assert.Greater(t, float64(all.most(day)), test.daily*1e10*.60, "%+v: the ledger is what stopped them", test)
	}
}

func TestWhatStartsFirstIsNotLookedAtBeyondItsThreshold(t *testing.T) { // RL-4: a look takes nothing, and lends nothing
	type round struct {
		rank limit.Rank
		rung limit.Rung
		most int // guesses, and about as many
	}
	// Ranks together: what one rank spent the other does not have.
	for name, rounds := range map[string][]round{
		"strangers first": {{0, limit.SixDigits, 25}, {1, limit.SixDigits, 15}, {0, limit.NineDigits, 0}, {1, limit.NineDigits, 5_000},
			{0, limit.TenLetters, 0}},
		"networks first":  {{1, limit.SixDigits, 40}, {0, limit.SixDigits, 0}, {0, limit.NineDigits, 0}, {0, limit.TenLetters, 0}},
		"strangers alone": {{0, limit.SixDigits, 25}, {0, limit.NineDigits, 5_000}, {0, limit.SixDigits, 0}},
	} {
		w := newWorld(t, with(func(p *limit.Policy) { p.DailyRisk = 10 }))
		w.ledger = true
		for i, r := range rounds {
			next, p := fresh("alice"), presents[r.rank]
			for range 1000 {
				b := decided(func(b *store.Batch) { w.Look(b, next(), p, r.rung, 5) })
				if w.commit(began, b) != nil {
					require.Less(t, r.most, 5, "%s, round %d", name, i)
					break
				}
			}
			looked := spending{}
			w.spend(began, &looked, p, r.rung, next)
			assert.Equal(t, int64(r.most)*counts[r.rung], looked.most(1), "%s, round %d", name, i)
		}
	}
}

func TestASprayIsNotLookedAtBeyondItsThreshold(t *testing.T) { // RL-4
	w := newWorld(t, policy())
	// Of 18 and 27 million units in sixteen stripes: three quarters by six digits, the rest by nine.
	for rank, most := range []int64{16 * 84, 16 * 126} {
		next := fresh("")
		var started []limit.Subject
		for range 3_000 {
			s := next()
			b := decided(func(b *store.Batch) { w.Look(b, s, presents[rank], limit.SixDigits, 5) })
			require.Nil(t, w.commit(began, b), "nothing was taken yet")
			started = append(started, s)
		}
		looked := int64(0)
		for _, s := range started {
			for range 5 {
				if limited := w.guess(began, s, presents[rank], limit.SixDigits); limited == nil {
					looked++
				} else {
					assert.Equal(t, limit.Strangers, limited.Bucket.Kind, "which a known network asks last")
				}
			}
		}
		assert.Equal(t, most, looked, "rank %d", rank)
		b := decided(func(b *store.Batch) { w.Look(b, next(), presents[rank], limit.SixDigits, 1) })
		require.NotNil(t, w.commit(began, b), "no more are made")
		b = decided(func(b *store.Batch) { w.Look(b, next(), presents[rank], limit.NineDigits, 1) })
		require.Nil(t, w.commit(began, b), "but longer ones are")
	}
}

func TestCodesAreMadeUntilHalfAndGuessedAtUntilThreeQuarters(t *testing.T) { // RL-4
	w, made, looked := newWorld(t, policy()), 0, 0
	next := fresh("")
	for range 3_000 { // one guess at each code as soon as it is made
		s := next()
		s.Stripe = 3
		if b := decided(func(b *store.Batch) { w.Look(b, s, presents[0], limit.SixDigits, 1) }); w.commit(began, b) == nil {
			made++
		}
		if w.guess(began, s, presents[0], limit.SixDigits) == nil {
			looked++
		}
	}
	assert.Equal(t, []int{56, 84}, []int{made, looked}, "of 112 guesses in a stripe")
}

// RL-4: one in eight days, five in forty; all but what the person's ledger and the device keep in two.
func TestWrongGuessesAreForgotten(t *testing.T) {
	for _, yearly := range []float64{1e-2, 1e-4, 1e-5, 1e-6, 1e-7} {
		for days, guesses := range map[int]int{8: 1, 40: 5} {
			for _, s := range []limit.Subject{mail, text, counted} {
				for rank, p := range presents {
					w := newWorld(t, with(func(p *limit.Policy) { p.YearlyRisk, p.Tenants = yearly, 2 }))
					first, _ := limit.First(yearly)
					require.Nil(t, w.commit(began, decided(func(b *store.Batch) { w.Send(b, s, sends[rank]) })))
					for range guesses {
						require.Nil(t, w.commit(began, decided(func(b *store.Batch) {
							w.Attempt(b, s, p, false)
							w.Guess(b, s, p, first, false)
						})))
					}
					for key, full := range w.buckets {
						last := began.Add(2 * day)
						if key.Kind == limit.Ledger || key.Kind == limit.Device {
							last = began.Add(time.Duration(days) * day)
						}
						for i, at := range full {
							assert.Less(t, at, last.Micros(), "%v: %s %d after %d", yearly, key.Kind, i, guesses)
						}
					}
				}
			}
		}
	}
}

// flood has strangers ask and guess until everything refuses them: at a person, from their network and from others, and at
// everybody else.
func (w *world) flood(now store.Instant, person, network string) {
	for i := range 3_000 {
		victim, from := fmt.Sprint("p", i), fmt.Sprint("n", i)
		if i%3 == 0 {
			victim = person
		}
		if i%3 == 1 && i%100 < 40 {
			from = network
		}
		s := limit.Subject{Tenant: tenant, Person: victim, Network: from, Began: from, Prefix: "prefix", Country: 46, Stripe: uint8(i)}
		if i%2 == 0 {
			s.Prefix = ""
		}
		rung, _ := w.begin(now, s, sends[0])
		for range 5 {
			for r := limit.SixDigits; r <= rung; r++ {
				_, _ = w.call(now, presents[0], func(b *store.Batch, p limit.Plan) {
					w.Attempt(b, s, p, false)
					w.Guess(b, s, p, r, false)
				})
			}
		}
	}
}

func TestAKnownDeviceIsNeverRefusedByWhatStrangersDid(t *testing.T) { // RL-5, BD-7
	w := newWorld(t, with(func(p *limit.Policy) { p.Tenants, p.SMS.Prefix.Count, p.SMS.Unverified.Count = 2, 40, 60 }))
	w.flood(began, "alice", "net")
	for _, s := range []limit.Subject{mail, text} {
		_, limited := w.begin(began, s, sends[0])
		require.NotNil(t, limited, "a stranger is refused")
		rung, limited := w.begin(began, s, sends[2])
		require.Nil(t, limited)
		assert.Equal(t, limit.SixDigits, rung)
		require.Nil(t, w.guess(began, s, presents[2], limit.SixDigits), "a wrong guess is looked at")
		require.True(t, w.succeed(began, s, presents[2], limit.SixDigits))
	}
}

func TestAKnownNetworkHasItsShareAfterStrangersUsedTheirs(t *testing.T) { // RL-5
	w := newWorld(t, with(func(p *limit.Policy) { p.Tenants, p.SMS.Prefix.Count, p.SMS.Unverified.Count = 2, 40, 60 }))
	w.flood(began, "alice", "elsewhere")
	for _, s := range []limit.Subject{mail, text} {
		s.Network, s.Device = "home", ""
		w.network = false
		_, limited := w.begin(began, s, sends[0])
		require.NotNil(t, limited)
		w.network = true // what refuses a stranger asks whether the network is known
		rung, limited := w.begin(began, s, sends[0])
		require.Nil(t, limited)
		assert.Equal(t, limit.SixDigits, rung)
		require.Nil(t, w.guess(began, s, presents[0], limit.SixDigits))
		require.True(t, w.succeed(began, s, presents[1], limit.SixDigits))
	}
}

func TestAKnownNetworkDrawsAfterItsNeighbours(t *testing.T) { // RL-5
	w, n := newWorld(t, policy()), 0
	for _, site := range []string{"", "site"} {
		guess := func(p limit.Plan) *store.LimitedError {
			n++
			network := "office"
			if site != "" { // of which ten others are enough
				network = fmt.Sprint("net", n)
			}
			return w.guess(began, limit.Subject{Tenant: tenant, Person: fmt.Sprint(n), Network: network, Site: site}, p, limit.SixDigits)
		}
		for _, p := range presents[:2] {
			looked := 0
			for guess(p) == nil {
				looked++
			}
			want := 10
			if site != "" {
				want = 50
			}
			assert.Equal(t, want, looked, "%s of %q", p.Words(), site)
		}
	}
}

func TestASuccessLendsItsNetworkAFifthOfAGuess(t *testing.T) { // RL-4
	w, n := newWorld(t, policy()), 0
	guess := func() *store.LimitedError {
		n++
		return w.guess(began, stranger(n, "office", n), presents[0], limit.SixDigits)
	}
	for range 10 {
		require.Nil(t, guess())
	}
	require.NotNil(t, guess())
	for i := range 10 {
		n++
		require.True(t, w.succeed(began, stranger(n, "office", n), presents[0], limit.Uncounted))
		assert.Equal(t, i%5 == 4, guess() == nil, "success %d", i)
	}
}

func TestAYearOfMailsNeverReachesLetters(t *testing.T) { // RL-4, RL-5: twenty a day and five wrong guesses at each
	for yearly, most := range map[float64]limit.Rung{1e-4: limit.NineDigits, 1e-6: limit.Uncounted} {
		w := newWorld(t, with(func(p *limit.Policy) { p.YearlyRisk, p.DailyRisk = yearly, 10 }))
		w.ledger = true
		first, _ := limit.First(yearly)
		next, longest := fresh("alice"), limit.SixDigits
		for now := began; now < began.Add(year); now = now.Add(day / 20) {
			s := next()
			p, limited := w.call(now, limit.Plan{Sends: true, Codes: limit.Codes{First: first}}, func(b *store.Batch, p limit.Plan) {
				w.Look(b, s, p, p.Rung(), 5)
			})
			require.Nil(t, limited)
			for range 5 {
				require.Nil(t, w.guess(now, s, presents[0], p.Rung()), "what was made is looked at")
			}
			longest = max(longest, p.Rung())
		}
		assert.Equal(t, most, longest, "%v", yearly)
	}
}
