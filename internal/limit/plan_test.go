package limit_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless/internal/limit"
	"github.com/seed62b93bad/passwordless/store"
)

var easings = [...]string{limit.Again: "", limit.AskNetwork: "network?", limit.AskHuman: "human?"}

// change is what Ease does to a plan: what it asks, the words that the plan has then, and with "-" those that it had before.
func change(p limit.Plan, kind store.Kind) string {
	before := p.Words()
	e := p.Ease(refusal(kind))
	if e == limit.Refused {
		if p.Words() != before {
			return "refused, and changed to " + p.Words()
		}
		return "refused"
	}
	had, has := strings.Split(before, ", "), strings.Split(p.Words(), ", ")
	all := []string{}
	if e != limit.Again {
		all = append(all, easings[e])
	}
	for _, w := range has {
		if !slices.Contains(had, w) && !strings.HasPrefix(w, "asked") {
			all = append(all, w)
		}
	}
	return strings.Join(all, ", ")
}

const (
	allRisk  = "ledger risk risk-network draw draw-site"
	striped  = "sms-country sms-tenant sms-all"
	asking   = "send-reserve start start-site unanswered"
	shared   = allRisk + " failures send sms-prefix " + striped
	toDevice = "device send-device"
)

func TestWhatEachRefusalEases(t *testing.T) { // RL-5, RL-17; a kind that a row does not name ends the call
	cancels := limit.Plan{Cancels: true}
	asked := eased(t, sends[0], limit.Ledger) // it was asked whether the network is known, and it is not
	vouched := eased(t, asked, limit.Starts)
	vouched.Vouched()
	for _, test := range []struct {
		from limit.Plan
		want map[string]string
	}{
		{sends[0], map[string]string{shared: "network?", asking: "human?"}},
		{asked, map[string]string{allRisk: "9", "failures": "uncounted", "send": "reserve", striped: "shift 1",
			asking: "human?"}},
		{sends[1], map[string]string{"send-network": "stranger", allRisk: "9", "failures": "uncounted", "send": "reserve",
			striped: "shift 1", asking: "human?"}},
		{sends[2], map[string]string{toDevice: "stranger, no device", allRisk: "9", "failures": "uncounted", "send": "reserve",
			striped: "shift 1", asking: "human?"}},
		{eased(t, sends[2], limit.Device), map[string]string{shared: "network?", asking: "human?"}},
		{eased(t, sends[1], limit.NetworkSends), map[string]string{shared: "network?", asking: "human?"}},
		{eased(t, asked, limit.Sends), map[string]string{allRisk: "9", "failures": "uncounted", striped: "shift 1",
			"send": "human?", asking: "human?"}},
		{eased(t, asked, limit.Ledger), map[string]string{allRisk: "letters", "failures": "uncounted", "send": "reserve",
			striped: "shift 1", asking: "human?"}},
		{eased(t, asked, failures), map[string]string{"send": "reserve", striped: "shift 1", asking: "human?"}},
		{eased(t, asked, limit.SMSCountry, limit.SMSTenant), map[string]string{allRisk: "9", "failures": "uncounted",
			"send": "reserve", striped: "shift 3", asking: "human?"}},
		{eased(t, asked, limit.SMSCountry, limit.SMSTenant, limit.SMSEveryone), map[string]string{allRisk: "9",
			"failures": "uncounted", "send": "reserve", asking: "human?"}},
		{vouched, map[string]string{allRisk: "9", "failures": "uncounted", "send": "reserve", striped: "shift 1"}},
		{eased(t, vouched, failures, limit.Sends, limit.SMSCountry, limit.SMSTenant, limit.SMSEveryone), nil},

		{presents[0], map[string]string{shared: "network?"}},
		{eased(t, presents[0], limit.Ledger), map[string]string{"send": "reserve", striped: "shift 1"}},
		{presents[1], map[string]string{"send-network": "stranger", "risk-network": "stranger", "send": "reserve", striped: "shift 1"}},
		{presents[2], map[string]string{toDevice: "stranger, no device", "send": "reserve", striped: "shift 1"}},
		{eased(t, presents[2], limit.Device, limit.Ledger), map[string]string{"send": "reserve", striped: "shift 1"}},
		{cancels, map[string]string{"start": "no nuisance", shared: "network?"}},
		{eased(t, cancels, limit.Starts), map[string]string{shared: "network?"}},
	} {
		want := map[store.Kind]string{}
		for of, to := range test.want {
			for kind := range strings.FieldsSeq(of) {
				require.Contains(t, kinds, store.Kind(kind))
				want[store.Kind(kind)] = to
			}
		}
		for _, kind := range kinds {
			next, again := want[kind]
			if !again {
				next = "refused"
			}
			assert.Equal(t, next, change(test.from, kind), "%q, refused by %s", test.from.Words(), kind)
		}
	}
}

func TestTheLadder(t *testing.T) { // RL-4, RL-17, VF-5
	for _, test := range []struct {
		shape  limit.Shape
		first  limit.Rung
		links  bool
		climbs string // what a call becomes by refusals of risk, one after another
		ends   string // what it becomes by a refusal for too many failures
	}{
		{limit.AnyCode, limit.SixDigits, false, "9, letters, uncounted", "uncounted"},
		{limit.AnyCode, limit.SixDigits, true, "9, letters, uncounted", "uncounted"},
		{limit.AnyCode, limit.EightDigits, true, "9, letters, uncounted", "uncounted"},
		{limit.AnyCode, limit.NineDigits, false, "letters, uncounted", "uncounted"},
		{limit.AnyCode, limit.TenLetters, false, "uncounted", "uncounted"},
		{limit.AnyCode, limit.Uncounted, true, "", ""},
		{limit.DigitsOnly, limit.SixDigits, true, "9, link", "link"},
		{limit.DigitsOnly, limit.SixDigits, false, "9", ""},
		{limit.DigitsOnly, limit.NineDigits, true, "link", "link"},
		{limit.DigitsOnly, limit.NineDigits, false, "", ""},
		{limit.FewDigits, limit.SixDigits, true, "link", "link"},
		{limit.FewDigits, limit.SixDigits, false, "", ""},
		{limit.FewDigits, limit.EightDigits, true, "link", "link"},
	} {
		for kind, want := range map[store.Kind]string{limit.Ledger: test.climbs, limit.Strangers: test.climbs,
			limit.Draw: test.climbs, failures: test.ends} {
			p := limit.Plan{Sends: true, Codes: limit.Codes{First: test.first, Shape: test.shape, Links: test.links}}
			require.Equal(t, limit.AskNetwork, p.Ease(refusal(kind)))
			assert.Equal(t, []any{test.first, false, false}, []any{p.Rung(), p.Longer(), p.LinkAlone()})
			var got []string
			for p.Ease(refusal(kind)) == limit.Again {
				word := strings.Split(p.Words(), ", ")[1]
				assert.True(t, p.Longer())
				assert.Equal(t, p.Rung() == limit.Uncounted && test.shape != limit.AnyCode, p.LinkAlone())
				if p.LinkAlone() {
					word = "link"
				}
				got = append(got, word)
			}
			assert.Equal(t, want, strings.Join(got, ", "), "%+v, %s", test, kind)
		}
	}
}

// most is how often a plan can be eased, whatever refuses and whatever the answers are.
func most(p limit.Plan, seen map[limit.Plan]int) int {
	if n, known := seen[p]; known {
		return n
	}
	longest := 0
	for _, kind := range kinds {
		next := p
		other := next
		switch next.Ease(refusal(kind)) {
		case limit.Refused:
			continue
		case limit.AskNetwork:
			other = next
			other.FromNetwork()
		case limit.AskHuman:
			other = next
			other.Vouched()
		default:
			other = next
		}
		longest = max(longest, 1+most(next, seen), 1+most(other, seen))
	}
	seen[p] = longest
	return longest
}

func TestACallIsEasedSoOftenAtMost(t *testing.T) { // RL-8
	longest, seen := 0, map[limit.Plan]int{}
	for _, cancels := range []bool{false, true} {
		for _, plans := range [][3]limit.Plan{sends, presents} {
			for _, p := range plans {
				p.Cancels = cancels && !p.Sends
				longest = max(longest, most(p, seen))
			}
		}
	}
	assert.Equal(t, limit.Easings, longest)
}

func TestARefusalTellsWhenToComeBack(t *testing.T) { // RL-13
	strangers := refusal(limit.Sends)
	for _, kind := range kinds {
		p := eased(t, sends[0], limit.Ledger)
		last := &store.LimitedError{Bucket: refusal(kind).Bucket, RetryAfter: 24 * time.Hour}
		assert.Same(t, last, p.Final(last), "%s before the second half was asked", kind)
		require.Equal(t, limit.Again, p.Ease(strangers))
		want := last
		if kind == limit.Sends || kind == limit.Reserve {
			want = strangers
		}
		assert.Same(t, want, p.Final(last), "%s of the second half", kind)
	}
}

func TestThePlanOfADevice(t *testing.T) { // BD-7
	p := limit.Plan{}
	p.FromDevice()
	assert.Equal(t, limit.KnownDevice, p.Rank)
	p.NotDevice()
	assert.Equal(t, limit.Stranger, p.Rank)
	p.FromDevice()
	assert.Equal(t, limit.Stranger, p.Rank, "whatever cookie comes")
	p.FromNetwork()
	p.NotDevice()
	assert.Equal(t, limit.KnownNetwork, p.Rank, "its network is known all the same")
	assert.Zero(t, p.Shift())
}

func TestWhatCountsRisk(t *testing.T) { // RL-4
	var risk []string
	for _, kind := range kinds {
		if limit.IsRisk(kind) {
			risk = append(risk, string(kind))
		}
	}
	assert.Equal(t, strings.Fields(allRisk), risk)
}
