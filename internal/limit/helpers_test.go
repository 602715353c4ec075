package limit_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless/internal/limit"
	"github.com/seed62b93bad/passwordless/store"
)

const (
	day   = 24 * time.Hour
	year  = 365 * day
	began = store.Instant(1_700_000_000 * time.Second)
)

// policy is one whose numbers of messages are all different.
func policy() limit.Policy {
	return limit.Policy{
		YearlyRisk: 1e-4, DailyRisk: 0.01, Tenants: 1,
		EmailSends:   []limit.Limit{{Count: 3, Per: 10 * time.Minute}, {Count: 5, Per: time.Hour}, {Count: 20, Per: day}},
		SMSSends:     []limit.Limit{{Count: 4, Per: 10 * time.Minute}, {Count: 10, Per: day}},
		NetworkSends: []limit.Limit{{Count: 6, Per: time.Hour}, {Count: 12, Per: day}},
		DeviceSends:  []limit.Limit{{Count: 7, Per: time.Hour}, {Count: 14, Per: day}},
		Starts:       []limit.Limit{{Count: 2, Per: time.Minute}, {Count: 30, Per: time.Hour}},
		SiteStarts:   []limit.Limit{{Count: 50, Per: 10 * time.Minute}, {Count: 600, Per: day}},
		Guesses:      limit.Limit{Count: 31, Per: 5 * time.Minute}, Unanswered: limit.Limit{Count: 20_000, Per: day},
		SMS: limit.SMS{Prefix: limit.Limit{Count: 11, Per: time.Hour}, Unverified: limit.Limit{Count: 33, Per: day},
			Country: limit.Limit{Count: 480, Per: day}, Tenant: limit.Limit{Count: 2_560, Per: day},
			Everyone: limit.Limit{Count: 5_120, Per: day}, Spend: limit.Limit{Count: 96_000, Per: day},
			Prices: map[int]int{46: 50, 47: 70}},
	}
}

// with is the policy after a change.
func with(change func(*limit.Policy)) limit.Policy {
	p := policy()
	change(&p)
	return p
}

var tenant = limit.NewTenant("t")

// The subjects of an e-mail and of a text message, and of an e-mail that is one of those that are counted for all.
var (
	mail = limit.Subject{Tenant: tenant, Person: "alice", Network: "net", Device: "cookie", Began: "net", Stripe: 3}
	text = limit.Subject{Tenant: tenant, Person: "alice", Network: "net", Device: "cookie", Began: "net", Stripe: 3,
		Prefix: "prefix", Country: 46}
	counted = limit.Subject{Tenant: tenant, Person: "alice", Network: "net", Site: "site", Region: "region", Device: "cookie",
		Began: "net", Stripe: 3, Sampled: true}
)

// stranger is a subject of a person and a network, in a stripe.
func stranger(person, network any, stripe int) limit.Subject {
	n := fmt.Sprint("n", network)
	return limit.Subject{Tenant: tenant, Person: fmt.Sprint(person), Network: n, Began: n, Stripe: uint8(stripe)}
}

// The plans of the ranks, of calls that present a secret and of calls that make a message.
var (
	presents = [3]limit.Plan{{}, {Rank: limit.KnownNetwork}, {Rank: limit.KnownDevice}}
	sends    = [3]limit.Plan{{Sends: true}, {Sends: true, Rank: limit.KnownNetwork}, {Sends: true, Rank: limit.KnownDevice}}
)

// counts are the rungs whose guesses are charged, and what one costs.
var counts = map[limit.Rung]int64{
	limit.SixDigits: 10_000, limit.SevenDigits: 1_000, limit.EightDigits: 100, limit.NineDigits: 10, limit.TenLetters: 1,
}

// failures is the second window of the ledger, as a kind for tables.
const failures store.Kind = "failures"

// kinds are all of them.
var kinds = []store.Kind{limit.Sends, limit.Reserve, limit.NetworkSends, limit.DeviceSends, limit.Human, limit.Starts,
	limit.SiteStarts, limit.RegionStarts, limit.Unanswered, limit.Guesses, limit.Ledger, failures, limit.Strangers, limit.Networks,
	limit.Draw, limit.SiteDraw, limit.Device, limit.SMSPrefix, limit.SMSCountry, limit.SMSTenant, limit.SMSEveryone}

var refusals = map[store.Kind]*store.LimitedError{}

// refusal is that of a bucket: the same for one kind.
func refusal(kind store.Kind) *store.LimitedError {
	if refusals[kind] == nil {
		refusals[kind] = &store.LimitedError{Bucket: store.Key{Kind: kind, Name: "x"}, RetryAfter: time.Minute}
		if kind == failures {
			refusals[kind] = &store.LimitedError{Bucket: store.Key{Kind: limit.Ledger, Name: "x"}, Window: 1, RetryAfter: time.Minute}
		}
	}
	return refusals[kind]
}

// eased is the plan after refusals, each of which must ease it, where neither a network is known nor anybody vouches.
func eased(t *testing.T, p limit.Plan, kinds ...store.Kind) limit.Plan {
	t.Helper()
	for _, k := range kinds {
		require.NotEqual(t, limit.Refused, p.Ease(refusal(k)), k)
	}
	return p
}

// words tell what a list of charges takes: the kind, the name, the cost of each window, "?" if it only looks, "!" if it is
// durable. Of the names of a tenant's buckets they tell the stripe.
func words(charges []store.Charge) string {
	var all []string
	for _, c := range charges {
		var costs []string
		for _, w := range c.Windows {
			costs = append(costs, fmt.Sprint(w.Cost))
		}
		name := c.Bucket.Name
		if len(name) > 12 && !strings.HasPrefix(name, "alice") {
			name = "t" + name[12:]
		}
		word := fmt.Sprintf("%s %s %s", c.Bucket.Kind, name, strings.Join(costs, "+"))
		if c.Look {
			word += "?"
		}
		if c.Durable {
			word += "!"
		}
		all = append(all, word)
	}
	return strings.Join(all, ", ")
}

// decided is the batch that a step fills.
func decided(step func(*store.Batch)) (b store.Batch) {
	step(&b)
	return b
}

// windowsOf are the windows of the bucket of a kind.
func windowsOf(t *testing.T, b store.Batch, kind store.Kind) []store.Window {
	t.Helper()
	for _, c := range slices.Concat(b.Charges, b.GiveBacks) {
		if c.Bucket.Kind == kind {
			return c.Windows
		}
	}
	require.Fail(t, "no bucket", kind)
	return nil
}

// A world is buckets under limits. It keeps them as the contract of stores says.
type world struct {
	*testing.T
	*limit.Limits
	buckets map[store.Key][]int64
	levels  store.Levels // of the last commit

	network bool // who asks is in a known network, if that is asked
	human   bool // the application vouches for who asks, if that is asked
	ledger  bool // consecutive failures do not count
}

func newWorld(t *testing.T, p limit.Policy) *world {
	t.Helper()
	return &world{T: t, Limits: limit.New(p), buckets: map[store.Key][]int64{}}
}

// commit applies a batch's charges, all or nothing, and then what it gives back.
func (w *world) commit(now store.Instant, batch store.Batch) *store.LimitedError {
	limit.Sort(&batch)
	if err := batch.Validate(); err != nil {
		require.NoError(w, err)
	}
	next, levels := map[store.Key][]int64{}, store.Levels{}
	for _, c := range batch.Charges {
		if w.ledger && c.Bucket.Kind == limit.Ledger {
			c.Windows = []store.Window{c.Windows[0], c.Windows[1]}
			c.Windows[1].Cost = 0
		}
		full, err := c.Take(now, w.buckets[c.Bucket])
		var limited *store.LimitedError
		if errors.As(err, &limited) {
			return limited
		}
		if !c.Look {
			next[c.Bucket] = full
		}
		levels = append(levels, full)
	}
	maps.Copy(w.buckets, next)
	for _, c := range batch.GiveBacks {
		w.buckets[c.Bucket] = c.Give(w.buckets[c.Bucket])
	}
	w.levels = levels
	return nil
}

// call commits what decide puts into a batch, and decides it again for as long as the plan allows. It returns the plan of the
// last try, and the refusal if there is one.
func (w *world) call(now store.Instant, p limit.Plan, decide func(*store.Batch, limit.Plan)) (limit.Plan, *store.LimitedError) {
	w.Helper()
	for range limit.Easings + 1 {
		var batch store.Batch
		decide(&batch, p)
		limited := w.commit(now, batch)
		if limited == nil {
			return p, nil
		}
		switch p.Ease(limited) {
		case limit.Refused:
			return p, p.Final(limited)
		case limit.AskNetwork:
			if w.network {
				p.FromNetwork()
			}
		case limit.AskHuman:
			if w.human {
				p.Vouched()
			}
		}
	}
	require.Fail(w, "eased more often than can be")
	return p, nil
}

// begin begins a sign-in with five attempts, and says how long its code is.
func (w *world) begin(now store.Instant, s limit.Subject, p limit.Plan) (limit.Rung, *store.LimitedError) {
	w.Helper()
	p, limited := w.call(now, p, func(b *store.Batch, p limit.Plan) {
		s.Stripe = w.Stripe(s.Stripe + p.Shift())
		w.Look(b, s, p, p.Rung(), 5)
		w.Send(b, s, p)
	})
	return p.Rung(), limited
}

// guess presents a code of a rung, and reports whether it is looked at. It tells what refuses it.
func (w *world) guess(now store.Instant, s limit.Subject, p limit.Plan, rung limit.Rung) *store.LimitedError {
	w.Helper()
	_, limited := w.call(now, p, func(b *store.Batch, p limit.Plan) { w.Guess(b, s, p, rung, false) })
	return limited
}

// succeed signs in by a right code of a rung, and reports whether it is looked at.
func (w *world) succeed(now store.Instant, s limit.Subject, p limit.Plan, rung limit.Rung) bool {
	w.Helper()
	_, limited := w.call(now, p, func(b *store.Batch, p limit.Plan) {
		w.Attempt(b, s, p, true)
		w.Guess(b, s, p, rung, true)
		w.Succeed(b, s, p, limit.Receipt{})
	})
	return limited == nil
}
