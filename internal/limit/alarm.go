package limit

import "github.com/seed62b93bad/passwordless/store"

// An Alarm is a shared limit that a commit brought to a mark which operators should know of. Striped limits have an alarm for
// each stripe: the first comes when about as much of the whole is used.
type Alarm struct {
	Kind store.Kind
	Mark Mark
}

// A Mark says how much of a limit is used.
type Mark uint8

// The marks.
const (
	Half   Mark = iota // of a tenant's ledger: new codes are longer
	Spent              // of a tenant's ledger: no guess at a short code is looked at
	Nearly             // 80 % of a budget
	Over               // of a limit that is only recorded
)

// An alarm is when to tell: each mark, and how much of the limit is used at it, in charges.
type alarm struct {
	at    []int64
	marks []Mark
}

// watch makes the alarms, and the windows that never refuse.
func (l *Limits) watch(p Policy) {
	l.alarms = map[store.Kind]alarm{}
	first, _ := First(p.YearlyRisk)
	for rank, kind := range tenants {
		whole := float64(l.risk.tenant[rank].Burst)
		l.alarms[kind] = alarm{[]int64{int64(whole * issues[first]), int64(whole*evaluates[first]) - cost[first]},
			[]Mark{Half, Spent}}
	}
	nearly := func(kind store.Kind, limit Limit) {
		l.alarms[kind] = alarm{[]int64{int64(limit.Count) * 8 / 10}, []Mark{Nearly}}
	}
	nearly(SMSCountry, striped(p.SMS.Country, l.stripes))
	nearly(SMSTenant, striped(p.SMS.Tenant, l.stripes))
	nearly(SMSEveryone, striped(p.SMS.Everyone, l.stripes))
	waiting := striped(p.Unanswered, l.stripes)
	if p.RefuseUnanswered {
		l.waiting = []store.Window{waiting.window(sampled, 1)}
		nearly(Unanswered, waiting)
	} else {
		l.waiting = []store.Window{recorded(waiting)}
		l.alarms[Unanswered] = alarm{[]int64{int64(waiting.Count)}, []Mark{Over}}
	}
	region := Limit{Count: 10 * sampled, Per: day}
	for _, s := range p.SiteStarts {
		region = Limit{10 * s.Count, s.Per}
	}
	l.region = []store.Window{recorded(region)}
	l.alarms[RegionStarts] = alarm{[]int64{int64(region.Count)}, []Mark{Over}}
}

// recorded is a window that counts what is charged and hardly ever refuses: it holds a thousand times the limit.
func recorded(l Limit) store.Window {
	w := l.window(sampled, 1)
	w.Burst = max(sampled, min(1000*w.Burst, int64(50*year/w.Every)))
	w.Whole, w.Cost = w.Burst, sampled
	return w
}

// Alarms tells which marks a commit passed. Levels are what the store answered.
func (l *Limits) Alarms(b *store.Batch, now store.Instant, levels store.Levels) (all []Alarm) {
	for i, c := range b.Charges {
		alarm, watched := l.alarms[c.Bucket.Kind]
		if !watched || c.Look || i >= len(levels) || len(levels[i]) == 0 {
			continue
		}
		w := c.Windows[0]
		used := (levels[i][0] - now.Micros()) / w.Every.Microseconds()
		for m, at := range alarm.at {
			if used > at && used-w.Cost <= at {
				all = append(all, Alarm{c.Bucket.Kind, alarm.marks[m]})
			}
		}
	}
	return all
}
