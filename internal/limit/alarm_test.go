package limit_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless/internal/limit"
	"github.com/seed62b93bad/passwordless/store"
)

// marks commits a batch so often at once, and tells after how many which alarm came.
func (w *world) marks(now store.Instant, times int, step func(n int) store.Batch) map[int][]limit.Alarm {
	w.Helper()
	all := map[int][]limit.Alarm{}
	for n := 1; n <= times; n++ {
		b := step(n)
		limit.Sort(&b)
		if w.commit(now, b) != nil {
			continue
		}
		if alarms := w.Alarms(&b, now, w.levels); len(alarms) > 0 {
			all[n] = alarms
		}
	}
	return all
}

func TestACrossingIsToldOnce(t *testing.T) { // RL-9, OB-1
	for rank, kind := range []store.Kind{limit.Strangers, limit.Networks} {
		w, next := newWorld(t, policy()), fresh("")
		step := func(int) store.Batch {
			return decided(func(b *store.Batch) {
				s := next()
				s.Stripe = 3
				w.Guess(b, s, presents[rank], limit.SixDigits, false)
			})
		}
		// Of a stripe of 112 and 168 guesses: half, and when no other can be paid of three quarters.
		want := []map[int][]limit.Alarm{
			{57: {{Kind: kind, Mark: limit.Half}}, 84: {{Kind: kind, Mark: limit.Spent}}},
			{85: {{Kind: kind, Mark: limit.Half}}, 126: {{Kind: kind, Mark: limit.Spent}}},
		}[rank]
		assert.Equal(t, want, w.marks(began, 500, step))
		assert.Equal(t, want, w.marks(began.Add(2*day), 500, step), "and once again when it was free in between")
	}
}

func TestTheMarksFollowTheFirstRung(t *testing.T) { // RL-9
	for _, test := range []struct {
		yearly, daily float64
		half, spent   int
	}{
		{1e-4, .01, 57, 84}, {1e-6, 1e-4, 57, 84}, // eleven thousand in a stripe, and a hundred a guess
	} {
		w, next := newWorld(t, with(func(p *limit.Policy) { p.YearlyRisk, p.DailyRisk = test.yearly, test.daily })), fresh("")
		first, _ := limit.First(test.yearly)
		got := w.marks(began, 500, func(int) store.Batch {
			return decided(func(b *store.Batch) {
				s := next()
				s.Stripe = 3
				w.Guess(b, s, presents[0], first, false)
			})
		})
		assert.Equal(t, map[int][]limit.Alarm{test.half: {{Kind: limit.Strangers, Mark: limit.Half}},
			test.spent: {{Kind: limit.Strangers, Mark: limit.Spent}}}, got, "%+v", test)
	}
}

func TestABudgetThatIsNearlyUsedUpIsTold(t *testing.T) { // RL-9, OB-1
	many := limit.Limit{Count: 100_000, Per: day}
	for kind, set := range map[store.Kind]func(*limit.Policy, limit.Limit){
		limit.SMSCountry:  func(p *limit.Policy, l limit.Limit) { p.SMS.Country = l },
		limit.SMSTenant:   func(p *limit.Policy, l limit.Limit) { p.SMS.Tenant = l },
		limit.SMSEveryone: func(p *limit.Policy, l limit.Limit) { p.SMS.Everyone = l },
	} {
		w := newWorld(t, with(func(p *limit.Policy) {
			p.Tenants, p.SMS.Country, p.SMS.Tenant, p.SMS.Everyone, p.SMS.Prices = 2, many, many, many, nil
			set(p, limit.Limit{Count: 160, Per: day}) // ten in a stripe
		}))
		got := w.marks(began, 20, func(n int) store.Batch {
			s := stranger(n, n, 3)
			s.Prefix, s.Country = s.Network, 46
			return decided(func(b *store.Batch) { w.Send(b, s, sends[1]) })
		})
		assert.Equal(t, map[int][]limit.Alarm{9: {{Kind: kind, Mark: limit.Nearly}}}, got, kind)
	}
}

func TestWhatIsOnlyRecordedIsToldWhenItPassesItsLimit(t *testing.T) { // RL-9, OB-1
	mails := func(w *world, change func(*limit.Subject)) map[int][]limit.Alarm {
		return w.marks(began, 200, func(n int) store.Batch {
			s := stranger(n, n, 3)
			s.Sampled = true
			change(&s)
			return decided(func(b *store.Batch) { w.Send(b, s, sends[0]) })
		})
	}
	for refuse, mark := range map[bool]limit.Mark{false: limit.Over, true: limit.Nearly} {
		at := map[bool]int{false: 21, true: 17}[refuse] // of twenty: all of them, or four fifths
		w := newWorld(t, with(func(p *limit.Policy) {
			p.Unanswered, p.RefuseUnanswered = limit.Limit{Count: 160 * 16, Per: day}, refuse
		}))
		assert.Equal(t, map[int][]limit.Alarm{at: {{Kind: limit.Unanswered, Mark: mark}}}, mails(w, func(*limit.Subject) {}))
	}
	w := newWorld(t, with(func(p *limit.Policy) {
		p.Unanswered.Count, p.SiteStarts = 1e6, []limit.Limit{{Count: 8, Per: time.Hour}, {Count: 40, Per: day}}
	}))
	site := func(s *limit.Subject) { s.Site, s.Region = s.Network, "region" }
	assert.Equal(t, map[int][]limit.Alarm{51: {{Kind: limit.RegionStarts, Mark: limit.Over}}}, mails(w, site),
		"ten times what a site has in a day")
}

func TestALookIsNoAlarm(t *testing.T) { // OB-1
	w := newWorld(t, policy())
	steps := map[string]func(*store.Batch){
		"a look":        func(b *store.Batch) { w.Look(b, mail, presents[0], limit.SixDigits, 1) },
		"a right guess": func(b *store.Batch) { w.Guess(b, mail, presents[0], limit.SixDigits, true) },
	}
	for n := range 84 {
		s := stranger(n, n, 3)
		require.Nil(t, w.guess(began, s, presents[0], limit.SixDigits))
		if n >= 55 {
			continue // looks are refused beyond half
		}
		for name, step := range steps {
			assert.Empty(t, w.marks(began, 1, func(int) store.Batch { return decided(step) }), "%s after %d", name, n)
		}
	}
	b := decided(func(b *store.Batch) { w.Guess(b, mail, presents[0], limit.SixDigits, false) })
	limit.Sort(&b)
	high := make(store.Levels, len(b.Charges))
	for i := range high { // as a charge leaves them that passes a half
		high[i] = []int64{began.Add(57 * 10_000 * b.Charges[i].Windows[0].Every).Micros()}
	}
	assert.NotEmpty(t, w.Alarms(&b, began, high))
	assert.Empty(t, w.Alarms(&b, began, high[:2]), "an engine that answers less")
	assert.Empty(t, w.Alarms(&b, began, make(store.Levels, len(b.Charges))))
	for i := range b.Charges {
		b.Charges[i].Look = true
	}
	assert.Empty(t, w.Alarms(&b, began, high))
}
