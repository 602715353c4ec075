package limit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/seed62b93bad/passwordless/internal/limit"
	"github.com/seed62b93bad/passwordless/store"
)

// shape writes down what a window may use, what it holds, and how soon there is more.
func shape(w store.Window) string { return fmt.Sprintf("%d of %d, %v", w.Burst, w.Whole, w.Every) }

func TestWhatMayBeSpentOnAPerson(t *testing.T) { // RL-4; all but Every are parts of a million, which is 1e-4
	l := limit.New(policy())
	const every = "1m3.072s" // 365 days by half a million
	for rung, want := range map[limit.Rung][3]string{
		limit.SixDigits:   {"250000", "400000", "450000"},
		limit.SevenDigits: {"250000", "400000", "450000"},
		limit.EightDigits: {"250000", "400000", "450000"},
		limit.NineDigits:  {"300000", "450000", "450000"},
		limit.TenLetters:  {"330000", "450000", "450000"},
	} {
		for rank, burst := range want {
			for _, b := range []store.Batch{
				decided(func(b *store.Batch) { l.Guess(b, mail, presents[rank], rung, false) }),
				decided(func(b *store.Batch) { l.Guess(b, mail, presents[rank], rung, true) }),
				decided(func(b *store.Batch) { l.Look(b, mail, presents[rank], rung, 1) }),
			} {
				w := windowsOf(t, b, limit.Ledger)
				assert.Equal(t, burst+" of 450000, "+every, shape(w[0]), "rung %d, rank %d", rung, rank)
				most := []int{70, 90, 100}[rank] // NIST SP 800-63B-4, 3.2.2
				assert.Equal(t, fmt.Sprintf("%d of 100, 175h12m0s", most), shape(w[1]), "rung %d, rank %d", rung, rank)
			}
		}
	}
}

func TestWhatMayBeSpentOnATenant(t *testing.T) { // RL-4; of a stripe, of which there are sixteen
	l := limit.New(policy())
	assert.Equal(t, 16, l.Stripes())
	whole := [2]float64{0.01 * .40 * .45 * 1e10 / 16, 0.01 * .60 * .45 * 1e10 / 16}
	each := [2]time.Duration{69_120 * time.Microsecond, 46_080 * time.Microsecond} // a day by .50 of the share
	for rung, part := range map[limit.Rung][2]float64{                             // issued until, evaluated until
		limit.SixDigits: {.50, .75}, limit.SevenDigits: {.50, .75}, limit.EightDigits: {.50, .75}, limit.NineDigits: {.90, 1},
		limit.TenLetters: {1, 1},
	} {
		for rank, kind := range []store.Kind{limit.Strangers, limit.Networks} {
			for i, b := range []store.Batch{
				decided(func(b *store.Batch) { l.Look(b, mail, presents[rank], rung, 1) }),
				decided(func(b *store.Batch) { l.Guess(b, mail, presents[rank], rung, false) }),
			} {
				want := fmt.Sprintf("%d of %d, %v", int(whole[rank]*part[i]), int(whole[rank]), each[rank])
				assert.Equal(t, want, shape(windowsOf(t, b, kind)[0]), "%s, rung %d, evaluated %d", kind, rung, i)
			}
		}
	}
}

// RL-4: ten guesses at six digits a day, of a site fifty; of known networks as many again.
func TestWhatANetworkMayDraw(t *testing.T) {
	l := limit.New(policy())
	for rung := range limit.Uncounted {
		longer := 0
		if rung >= limit.NineDigits {
			longer = 10_000
		}
		for rank, base := range []int{100_000, 200_000} {
			for _, b := range []store.Batch{
				decided(func(b *store.Batch) { l.Guess(b, counted, presents[rank], rung, false) }),
				decided(func(b *store.Batch) { l.Look(b, counted, presents[rank], rung, 1) }),
			} {
				want := fmt.Sprintf("%d of 300000, 864ms", base+longer)
				assert.Equal(t, want, shape(windowsOf(t, b, limit.Draw)[0]), "rung %d, rank %d", rung, rank)
				want = fmt.Sprintf("%d of 1500000, 172.8ms", 5*(base+longer))
				assert.Equal(t, want, shape(windowsOf(t, b, limit.SiteDraw)[0]), "rung %d, rank %d", rung, rank)
			}
		}
	}
}

func TestWhatADeviceMayFail(t *testing.T) { // BD-7
	l := limit.New(policy())
	guess := decided(func(b *store.Batch) { l.Guess(b, mail, presents[2], limit.SixDigits, false) })
	assert.Equal(t, "10 of 20, 175h12m0s", shape(windowsOf(t, guess, limit.Device)[0]))
	ended := decided(func(b *store.Batch) { l.EndDevice(b, "cookie") })
	assert.Equal(t, "20 of 20, 175h12m0s", shape(windowsOf(t, ended, limit.Device)[0]))
}

func TestTheWindowsOfMessagesAreThoseOfThePolicy(t *testing.T) { // RL-1, RL-5, RL-9, RL-19
	l := limit.New(with(func(p *limit.Policy) { p.Tenants = 2 }))
	batch := func(s limit.Subject, p limit.Plan) store.Batch {
		return decided(func(b *store.Batch) { l.Attempt(b, s, p, false); l.Send(b, s, p) })
	}
	vouched := sends[0]
	vouched.Vouched()
	email, reserved := batch(counted, sends[0]), batch(mail, eased(t, sends[0], limit.Sends, limit.Sends))
	sms, reservedSMS := batch(text, sends[0]), batch(text, eased(t, sends[0], limit.Sends, limit.Sends))
	network, device, human := batch(text, sends[1]), batch(text, sends[2]), batch(text, vouched)
	for _, test := range []struct {
		of   store.Batch
		kind store.Kind
		want []string
	}{
		{email, limit.Sends, []string{"2 of 3, 3m20s", "3 of 5, 12m0s", "10 of 20, 1h12m0s"}}, // the first half
		{reserved, limit.Sends, []string{"3 of 3, 3m20s", "5 of 5, 12m0s", "20 of 20, 1h12m0s"}},
		{reserved, limit.Reserve, []string{"1 of 1, 24h0m0s"}},
		{sms, limit.Sends, []string{"2 of 4, 2m30s", "5 of 10, 2h24m0s"}},
		{reservedSMS, limit.Sends, []string{"4 of 4, 2m30s", "10 of 10, 2h24m0s"}},
		{reservedSMS, limit.Reserve, []string{"1 of 1, 24h0m0s"}},
		{network, limit.NetworkSends, []string{"6 of 6, 10m0s", "12 of 12, 2h0m0s"}},
		{device, limit.DeviceSends, []string{"7 of 7, 8m34.285715s", "14 of 14, 1h42m51.428572s"}}, // rounded up
		{human, limit.Human, []string{"5 of 5, 4h48m0s"}},
		{email, limit.Starts, []string{"2 of 2, 30s", "30 of 30, 2m0s"}},
		{email, limit.SiteStarts, []string{"50 of 50, 12s", "600 of 600, 2m24s"}},
		{email, limit.RegionStarts, []string{"6000000 of 6000000, 14.4s"}}, // ten times a site's last, a thousand times
		{email, limit.Unanswered, []string{"1250000 of 1250000, 1m9.12s"}},
		{email, limit.Guesses, []string{"31 of 31, 9.67742s"}},
		{sms, limit.SMSPrefix, []string{"9 of 11, 5m27.272728s", "25 of 33, 43m38.181819s"}}, // three quarters for strangers
		{network, limit.SMSPrefix, []string{"11 of 11, 5m27.272728s", "33 of 33, 43m38.181819s"}},
		{sms, limit.SMSCountry, []string{"23 of 30, 48m0s"}},
		{network, limit.SMSCountry, []string{"30 of 30, 48m0s"}},
		{sms, limit.SMSTenant, []string{"120 of 160, 9m0s"}},
		{network, limit.SMSTenant, []string{"160 of 160, 9m0s"}},
		{sms, limit.SMSEveryone, []string{"240 of 320, 4m30s", "4500 of 6000, 14.4s"}},
		{network, limit.SMSEveryone, []string{"320 of 320, 4m30s", "6000 of 6000, 14.4s"}},
	} {
		var got []string
		for _, w := range windowsOf(t, test.of, test.kind) {
			got = append(got, shape(w))
		}
		assert.Equal(t, test.want, got, test.kind)
	}
	for _, kind := range []store.Kind{limit.SMSPrefix, limit.SMSCountry, limit.SMSTenant, limit.SMSEveryone} {
		assert.Equal(t, windowsOf(t, network, kind), windowsOf(t, device, kind), kind)
		assert.Equal(t, windowsOf(t, sms, kind), windowsOf(t, human, kind), "%s: who is vouched for is a stranger to money", kind)
	}
}

func TestAMessageCostsItsPrice(t *testing.T) { // RL-9
	l := limit.New(policy())
	for country, price := range map[int]int64{46: 50, 47: 70, 45: 0, 999: 0} {
		for _, p := range sends {
			s := text
			s.Country = country
			w := windowsOf(t, decided(func(b *store.Batch) { l.Send(b, s, p) }), limit.SMSEveryone)
			assert.Equal(t, []int64{1, price}, []int64{w[0].Cost, w[1].Cost}, "%d", country)
		}
	}
}

func TestTheFirstRung(t *testing.T) { // RL-4, CG-1: the shortest code of which 95 guesses are worth no more
	for _, test := range []struct {
		yearly float64
		want   limit.Rung
		fits   bool
	}{
		{1e-2, limit.SixDigits, true}, {1e-4, limit.SixDigits, true}, {9.5e-5, limit.SixDigits, true},
		{9.4e-5, limit.SevenDigits, true},
		{1e-5, limit.SevenDigits, true}, {9.4e-6, limit.EightDigits, true}, {1e-6, limit.EightDigits, true},
		{9.4e-7, limit.NineDigits, true}, {1e-7, limit.NineDigits, true}, {9.4e-8, limit.NineDigits, false},
	} {
		got, fits := limit.First(test.yearly)
		assert.Equal(t, []any{test.want, test.fits}, []any{got, fits}, "%v", test.yearly)
	}
	for i, rung := range []limit.Rung{limit.SixDigits, limit.SevenDigits, limit.EightDigits, limit.NineDigits} {
		assert.Equal(t, rung, limit.Digits(6+i))
	}
	assert.Equal(t, []int{6, 9, 10}, []int{limit.MinDigits, limit.MaxDigits, limit.MaxTries})
}

func TestEveryRiskThatCanBeChosenHasSoundWindows(t *testing.T) { // RL-16, RL-19
	for _, yearly := range []float64{1e-7, 5e-7, 1e-6, 3e-6, 1e-5, 1e-4, 1e-3, 1e-2} {
		for _, daily := range []float64{1e-4, 1e-3, .01, 1, 10} {
			l := limit.New(with(func(p *limit.Policy) { p.YearlyRisk, p.DailyRisk = yearly, daily }))
			first, _ := limit.First(yearly)
			for rung := limit.SixDigits; rung <= limit.Uncounted; rung++ {
				if rung < first && float64(counts[rung]) > yearly*1e10*.25 {
					continue // not one guess is paid: a code of an earlier policy that no Service would make
				}
				for _, p := range presents {
					charges := decided(func(b *store.Batch) { l.Guess(b, counted, p, rung, false) })
					looks := decided(func(b *store.Batch) { l.Look(b, counted, p, rung, limit.MaxTries) })
					back := decided(func(b *store.Batch) {
						l.Succeed(b, counted, p, limit.Receipt{Drawn: [2]uint32{1 << 30, 1 << 30}, Here: 1 << 30})
					})
					for _, b := range []store.Batch{charges, looks, back} {
						limit.Sort(&b)
						assert.NoError(t, b.Validate(), "%v, %v, rung %d, %s", yearly, daily, rung, p.Words())
					}
				}
			}
		}
	}
}

func TestTheStripesOfABudgetAreTheBudget(t *testing.T) { // RL-9, RL-17
	budgets := map[store.Kind]func(*limit.Policy, int){
		limit.SMSCountry:  func(p *limit.Policy, n int) { p.SMS.Country.Count = n },
		limit.SMSTenant:   func(p *limit.Policy, n int) { p.SMS.Tenant.Count = n },
		limit.SMSEveryone: func(p *limit.Policy, n int) { p.SMS.Everyone.Count = n },
		limit.Unanswered:  func(p *limit.Policy, n int) { p.Unanswered.Count, p.RefuseUnanswered = n, true },
	}
	for _, count := range []int{1, 2, 9, 10, 11, 19, 20, 99, 100, 159, 160, 161, 500, 999, 1000, 12_345} {
		for kind, set := range budgets {
			l := limit.New(with(func(p *limit.Policy) { p.Tenants = 2; set(p, count) }))
			sum, rate, names := int64(0), 0.0, map[string]bool{}
			for i := range l.Stripes() {
				e, s := counted, text
				e.Stripe, s.Stripe = l.Stripe(uint8(i)), l.Stripe(uint8(i))
				b := decided(func(b *store.Batch) { l.Send(b, e, sends[0]); l.Send(b, s, sends[1]) })
				w := windowsOf(t, b, kind)[0]
				sum, rate = sum+w.Burst, rate+float64(day)/float64(w.Every)
				for _, c := range b.Charges {
					if c.Bucket.Kind == kind {
						names[c.Bucket.Name] = true
					}
				}
			}
			least := l.Stripes() * 10
			if kind == limit.Unanswered {
				least *= limit.SampledFor // each counts for so many
			}
			assert.Len(t, names, l.Stripes(), "each stripe is a bucket of its own")
			assert.LessOrEqual(t, sum, int64(count), "%s of %d", kind, count)
			assert.Greater(t, sum, int64(count-l.Stripes()), "%s of %d: only rounding is lost", kind, count)
			assert.LessOrEqual(t, rate, float64(count))
			assert.True(t, l.Stripes() == 1 || sum >= int64(least), "a stripe of %s of %d holds ten at least", kind, count)
			assert.LessOrEqual(t, l.Stripes(), limit.MaxStripes)
		}
	}
}

func TestTheStripesOfATenantsRiskAreTheRisk(t *testing.T) { // RL-4, RL-17
	for _, daily := range []float64{1e-4, 1e-3, 2e-3, 3.7e-3, .01, 1, 10} {
		for _, yearly := range []float64{1e-4, 1e-6} {
			l := limit.New(with(func(p *limit.Policy) { p.DailyRisk, p.YearlyRisk = daily, yearly }))
			first, _ := limit.First(yearly)
			burst, rate := int64(0), 0.0
			for rank, kind := range []store.Kind{limit.Strangers, limit.Networks} {
				b := decided(func(b *store.Batch) { l.Guess(b, mail, presents[rank], first, false) })
				w := windowsOf(t, b, kind)[0]
				burst, rate = burst+w.Whole*int64(l.Stripes()), rate+float64(day)/float64(w.Every)*float64(l.Stripes())
				issue := windowsOf(t, decided(func(b *store.Batch) { l.Look(b, mail, presents[rank], first, 1) }), kind)[0]
				assert.True(t, l.Stripes() == 1 || issue.Burst >= 50*counts[first], "fifty guesses at least until codes are longer")
			}
			assert.LessOrEqual(t, float64(burst), daily*1e10*.45)
			assert.Greater(t, float64(burst), daily*1e10*.45-float64(2*l.Stripes()), "only rounding is lost")
			assert.LessOrEqual(t, rate, daily*1e10*.50)
			assert.Greater(t, rate, daily*1e10*.49)
		}
	}
}

func TestEveryStripeIsPicked(t *testing.T) { // RL-17
	l, seen := limit.New(policy()), map[uint8]int{}
	names := map[string]bool{}
	for n := range 256 {
		seen[l.Stripe(uint8(n))]++
		s := mail
		s.Stripe = l.Stripe(uint8(n))
		b := decided(func(b *store.Batch) { l.Guess(b, s, presents[0], limit.SixDigits, false) })
		names[b.Charges[1].Bucket.Name] = true
	}
	assert.Len(t, seen, 16)
	assert.Len(t, names, 16)
	for _, times := range seen {
		assert.Equal(t, 16, times)
	}
}

func TestOneStartInEightIsCountedForEight(t *testing.T) { // RL-17
	sampled := 0
	for n := range 256 {
		if limit.Sampled(uint8(n)) {
			sampled++
		}
	}
	assert.Equal(t, 256, sampled*limit.SampledFor)
	assert.Equal(t, 8, limit.SampledFor)
}

func TestTenantsShareNoBucketButThatOfAll(t *testing.T) { // RL-4, RL-9
	l := limit.New(with(func(p *limit.Policy) { p.Tenants = 2 }))
	names := func(tenant string) map[store.Kind]string {
		all := map[store.Kind]string{}
		for _, s := range []limit.Subject{text, counted} {
			s.Tenant = limit.NewTenant(tenant)
			for _, p := range sends[:2] {
				b := decided(func(b *store.Batch) { l.Guess(b, s, p, limit.SixDigits, false); l.Send(b, s, p) })
				for _, c := range b.Charges {
					all[c.Bucket.Kind] = c.Bucket.Name
				}
			}
		}
		return all
	}
	one, other := names("t"), names("u")
	for _, kind := range []store.Kind{limit.Strangers, limit.Networks, limit.Unanswered, limit.SMSCountry, limit.SMSTenant} {
		assert.NotEmpty(t, one[kind])
		assert.NotEqual(t, one[kind], other[kind], kind)
	}
	assert.Equal(t, one[limit.SMSEveryone], other[limit.SMSEveryone])
	assert.Equal(t, one, names("t"))
}
