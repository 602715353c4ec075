package limit_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless/internal/limit"
	"github.com/seed62b93bad/passwordless/store"
)

func TestConsecutiveFailuresEndWhatCanBeGuessed(t *testing.T) { // VF-6; NIST SP 800-63B-4, 3.2.2
	w := newWorld(t, with(func(p *limit.Policy) { p.YearlyRisk, p.DailyRisk = 1e-2, 10 })) // only the failures refuse
	looked, next := 0, fresh("alice")
	for i, most := range []int{70, 90, 100} {
		for range 200 {
			s := next()
			s.Device = s.Network // devices that are known, and have not failed yet
			if w.guess(began, s, presents[i], limit.SixDigits) == nil {
				looked++
			}
		}
		assert.Equal(t, most, looked, "rank %d", i)
		s := next()
		s.Device = "cookie"
		rung, limited := w.begin(began, s, sends[i])
		require.Nil(t, limited, "nobody is locked out")
		assert.Equal(t, limit.Uncounted, rung)
		require.NotNil(t, w.guess(began, s, presents[i], limit.TenLetters), "letters do not help")
	}
	s := mail
	require.True(t, w.succeed(began, s, presents[0], limit.Uncounted))
	rung, _ := w.begin(began, s, sends[0])
	assert.Equal(t, limit.SixDigits, rung, "a success counts from one again")
	for _, p := range []limit.Plan{presents[2], presents[1]} { // looks ask for all attempts
		for range 4 {
			require.Nil(t, w.commit(began, decided(func(b *store.Batch) { w.Look(b, s, p, limit.SixDigits, limit.MaxTries) })))
		}
	}
}

func TestTenFailuresEndADevice(t *testing.T) { // BD-7
	w, s, p := newWorld(t, policy()), mail, presents[2]
	fail := func(s limit.Subject) *store.LimitedError {
		return w.commit(began, decided(func(b *store.Batch) { w.Guess(b, s, p, limit.NineDigits, false) }))
	}
	for range 10 {
		require.Nil(t, fail(s))
	}
	limited := fail(s)
	require.NotNil(t, limited)
	require.Equal(t, limit.Device, limited.Bucket.Kind)
	link := decided(func(b *store.Batch) { w.LookDevice(b, s, p) })
	require.NotNil(t, w.commit(began, link), "nor does its link count as a known device's")
	plan, limited := w.call(began, p, func(b *store.Batch, p limit.Plan) { w.Guess(b, s, p, limit.SixDigits, false) })
	require.Nil(t, limited, "it goes on as a stranger")
	assert.Equal(t, "stranger, 6, no device", plan.Words())
	other := s
	other.Device = "other"
	require.Nil(t, fail(other), "another device has its own")
	require.Nil(t, w.commit(began, decided(func(b *store.Batch) { w.Succeed(b, s, p, limit.Receipt{}) })))
	assert.Nil(t, fail(s), "a success counts from one again")
}

func TestAnEndedDeviceIsEnded(t *testing.T) { // BD-7
	for failed := range 11 {
		w := newWorld(t, policy())
		for range failed {
			require.Nil(t, w.guess(began, mail, presents[2], limit.SixDigits))
		}
		require.Nil(t, w.commit(began, decided(func(b *store.Batch) { w.EndDevice(b, mail.Device) })))
		for _, ago := range []time.Duration{0, time.Minute, -time.Minute} { // clocks differ
			b := decided(func(b *store.Batch) { w.LookDevice(b, mail, presents[2]) })
			assert.NotNil(t, w.commit(began.Add(ago), b), "after %d failures, %v later", failed, ago)
		}
	}
}

func TestAClockBehindOpensNoBucket(t *testing.T) { // RL-4, RL-17
	w, n := newWorld(t, policy()), 0
	guess := func(now store.Instant) bool {
		n++
		return w.guess(now, stranger("alice", n, n), presents[1], limit.NineDigits) == nil
	}
	w.ledger = true
	for guess(began) {
	}
	assert.Equal(t, 45_001, n)
	for _, behind := range []time.Duration{time.Microsecond, time.Millisecond, time.Second, time.Hour} {
		assert.False(t, guess(began.Add(-behind)), "by %v", behind)
	}
}

func TestAFloodLeavesTheReserve(t *testing.T) { // RL-5
	w := newWorld(t, with(func(p *limit.Policy) { p.EmailSends = []limit.Limit{{Count: 40, Per: day}} }))
	send := func(network any, p limit.Plan) *store.LimitedError {
		s := stranger("alice", network, 0)
		s.Device = "cookie"
		_, limited := w.call(began, p, func(b *store.Batch, p limit.Plan) { w.Send(b, s, p) })
		delete(w.buckets, store.Key{Kind: limit.Starts, Name: s.Network})
		return limited
	}
	for range 20 {
		require.Nil(t, send(0, sends[0]), "half of it is anybody's")
	}
	for i := range 15 {
		require.Nil(t, send(i, sends[0]), "one of the second half")
		limited := send(i, sends[0])
		require.NotNil(t, limited, "once a day")
		assert.Equal(t, limit.Sends, limited.Bucket.Kind)
		assert.Less(t, limited.RetryAfter, day, "when the first half is free again")
	}
	for i := 15; i < 20; i++ {
		require.Nil(t, send(i, sends[0]))
	}
	require.NotNil(t, send(99, sends[0]), "all of it is used up")
	w.human = true
	for range 5 {
		require.Nil(t, send(99, sends[0]), "whom the application vouches for has five more")
	}
	limited := send(99, sends[0])
	require.NotNil(t, limited)
	assert.Equal(t, limit.Human, limited.Bucket.Kind)
	for range 6 {
		require.Nil(t, send("home", sends[1]), "known networks have their own")
	}
	require.NotNil(t, send("home", sends[1]))
	for range 7 {
		require.Nil(t, send("home", sends[2]), "a known device has its own")
	}
	require.NotNil(t, send("home", sends[2]))
	w.network, w.human = true, false
	require.NotNil(t, send("home", sends[0]), "what is asked for once is not there twice")
}

func TestWhoIsVouchedForGoesBeyondTheirNetworksStarts(t *testing.T) { // RL-5
	for name, fill := range map[store.Kind]func(*limit.Subject){
		limit.Starts: func(s *limit.Subject) { s.Network = "net" }, limit.SiteStarts: func(s *limit.Subject) { s.Site = "site" },
	} {
		w := newWorld(t, policy())
		w.Limits = limit.New(with(func(p *limit.Policy) { p.SiteStarts = []limit.Limit{{Count: 16, Per: day}} }))
		begin := func(person int) *store.LimitedError {
			s := stranger(person, person, 0)
			s.Sampled, s.Region = true, "region"
			fill(&s)
			_, limited := w.begin(began, s, sends[0])
			return limited
		}
		require.Nil(t, begin(1))
		require.Nil(t, begin(2))
		require.NotNil(t, begin(3))
		assert.Equal(t, name, begin(4).Bucket.Kind)
		w.human = true
		require.Nil(t, begin(5))
	}
}

func TestASuccessGivesItsStartBack(t *testing.T) { // RL-1: thousands behind one address are not refused
	w := newWorld(t, policy())
	for i := range 2_000 {
		s := stranger(i, "office", i)
		s.Sampled = true
		var paid bool
		_, limited := w.call(began, sends[0], func(b *store.Batch, p limit.Plan) { paid = w.Send(b, s, p) })
		require.Nil(t, limited)
		_, limited = w.call(began, presents[0], func(b *store.Batch, p limit.Plan) {
			w.Attempt(b, s, p, true)
			w.Guess(b, s, p, limit.SixDigits, true)
			w.Succeed(b, s, p, limit.Receipt{Start: paid})
		})
		require.Nil(t, limited)
	}
	assert.LessOrEqual(t, w.buckets[store.Key{Kind: limit.Starts, Name: "noffice"}][0], began.Micros())
}

// texts sends text messages to numbers of countries in turn, each from a network, to a person and a prefix of their own. It
// returns how many went out to each country, and the kind that refused last.
func texts(t *testing.T, p limit.Policy, plan limit.Plan, countries ...int) (map[int]int, store.Kind) {
	t.Helper()
	w, sent, last := newWorld(t, p), map[int]int{}, store.Kind("")
	for i := range 400 {
		s := stranger(i, i, 0)
		s.Prefix, s.Country, s.Device = s.Network, countries[i%len(countries)], s.Network
		_, limited := w.call(began, plan, func(b *store.Batch, p limit.Plan) {
			s.Stripe = w.Stripe(uint8(i) + p.Shift())
			w.Send(b, s, p)
		})
		if limited != nil {
			last = limited.Bucket.Kind
			continue
		}
		sent[s.Country]++
	}
	return sent, last
}

func TestEachBudgetRefusesOnItsOwn(t *testing.T) { // RL-9
	set := map[store.Kind]func(*limit.Policy, limit.Limit){
		limit.SMSCountry:  func(p *limit.Policy, l limit.Limit) { p.SMS.Country = l },
		limit.SMSTenant:   func(p *limit.Policy, l limit.Limit) { p.SMS.Tenant, p.Tenants = l, 2 },
		limit.SMSEveryone: func(p *limit.Policy, l limit.Limit) { p.SMS.Everyone = l },
	}
	for kind, set := range set {
		for _, count := range []int{8, 40} {
			p := policy()
			many := limit.Limit{Count: 100_000, Per: day}
			p.SMS.Country, p.SMS.Tenant, p.SMS.Everyone, p.SMS.Prices = many, many, many, nil
			set(&p, limit.Limit{Count: count, Per: day})
			for rank, most := range []int{count * 3 / 4, count, count} {
				if count == 40 && rank == 0 {
					most = 32 // eight of the ten of each of four stripes, rounded up
				}
				sent, last := texts(t, p, sends[rank], 46)
				assert.Equal(t, map[int]int{46: most}, sent, "%s, rank %d", kind, rank)
				assert.Equal(t, kind, last)
				sent, _ = texts(t, p, sends[rank], 46, 47)
				if kind == limit.SMSCountry {
					assert.Equal(t, map[int]int{46: most, 47: most}, sent, "each country has its own")
				} else {
					assert.Equal(t, most, sent[46]+sent[47], "%s, rank %d", kind, rank)
				}
			}
		}
	}
}

func TestMoneyRefusesOnItsOwn(t *testing.T) { // RL-9
	p := policy()
	many := limit.Limit{Count: 100, Per: day}
	p.SMS.Country, p.SMS.Everyone, p.SMS.Spend = many, many, limit.Limit{Count: 2_000, Per: day}
	for rank, most := range []int{30, 40, 40} { // of fifty each, from two stripes of 1,000
		sent, last := texts(t, p, sends[rank], 46)
		assert.Equal(t, map[int]int{46: most}, sent, "rank %d", rank)
		assert.Equal(t, limit.SMSEveryone, last)
	}
	sent, _ := texts(t, p, sends[1], 47)
	assert.Equal(t, map[int]int{47: 28}, sent, "of seventy each: fourteen in a stripe")
}

func TestAPrefixThatNobodyVerifiesStops(t *testing.T) { // RL-9, RL-10
	p := with(func(p *limit.Policy) { p.SMS.Prefix = limit.Limit{Count: 1000, Per: time.Hour} })
	for answers, want := range map[bool]int{false: 25, true: 200} {
		w, sent := newWorld(t, p), 0
		for i := range 200 {
			s := stranger(i, i, i)
			s.Prefix, s.Country = "prefix", 46
			now := began.Add(time.Duration(i) * time.Second)
			if _, limited := w.call(now, sends[0], func(b *store.Batch, p limit.Plan) { w.Send(b, s, p) }); limited != nil {
				require.Equal(t, limit.SMSPrefix, limited.Bucket.Kind)
				continue
			}
			sent++
			if answers && i%5 == 0 {
				require.Nil(t, w.commit(now, decided(func(b *store.Batch) { w.Succeed(b, s, presents[0], limit.Receipt{}) })))
			}
		}
		assert.Equal(t, want, sent, "one number in five that answers is enough: %t", answers)
	}
}

func TestTooManyUnansweredMailsAreRefusedOnlyIfThePolicySaysSo(t *testing.T) { // RL-9
	for refuse, want := range map[bool]int{false: 200, true: 73} { // ten that count for eight each, and those between them
		w := newWorld(t, with(func(p *limit.Policy) {
			p.Unanswered, p.RefuseUnanswered = limit.Limit{Count: 80, Per: day}, refuse
		}))
		sent := 0
		for i := range 200 {
			s := stranger(i, i, 0)
			s.Sampled = limit.Sampled(uint8(i))
			if _, limited := w.begin(began, s, sends[0]); limited == nil {
				sent++
			} else {
				assert.Equal(t, limit.Unanswered, limited.Bucket.Kind)
			}
		}
		assert.Equal(t, want, sent, "%t", refuse)
	}
}

func TestASiteIsRefusedWhicheverOfItsStartsAreCounted(t *testing.T) { // RL-1
	w, sent := newWorld(t, policy()), 0
	for i := range 200 {
		s := stranger(i, i, i)
		s.Site, s.Region, s.Sampled = "site", "region", limit.Sampled(uint8(i))
		if _, limited := w.begin(began, s, sends[0]); limited == nil {
			sent++
		} else {
			assert.Equal(t, limit.SiteStarts, limited.Bucket.Kind)
		}
	}
	assert.Equal(t, 41, sent, "of fifty: six that count for eight each, and those between them")
}

func TestNobodyIsLockedOutInAYearOfGuessing(t *testing.T) { // RL-5, VF-5
	for rank := range 3 {
		w := newWorld(t, policy())
		owner, now, n := mail, began, 0
		for range 365 {
			for range 10 {
				now, n = now.Add(2*time.Hour), n+1
				s := stranger("alice", n, n)
				rung, limited := w.begin(now, s, sends[0])
				for range 5 {
					if limited == nil {
						_ = w.guess(now, s, presents[0], rung)
					}
				}
			}
			now = now.Add(4 * time.Hour)
			rung, limited := w.begin(now, owner, sends[rank])
			require.Nil(t, limited, "rank %d: there is a message", rank)
			require.True(t, w.succeed(now, owner, presents[rank], rung), "rank %d: and its code is looked at", rank)
			require.True(t, rank == 0 || rung == limit.SixDigits, "rank %d: codes stay short", rank)
		}
	}
}
