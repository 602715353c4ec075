package limit_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless/internal/limit"
	"github.com/seed62b93bad/passwordless/store"
)

var kinds = []store.Kind{limit.Sends, limit.Reserve, limit.Starts, limit.Guesses, limit.Ledger, limit.Device, limit.Failures,
	limit.SMSPrefix, limit.SMSCountry, limit.SMSEveryone}

func TestWhatEachRefusalEases(t *testing.T) { // RL-5, RL-17; a kind that a row does not name ends the call
	sends, presents, cancels := limit.Plan{Sends: true}, limit.Plan{}, limit.Plan{Cancels: true}
	knownSends, knownPresents := limit.Plan{Sends: true, Known: true}, limit.Plan{Known: true}
	const country, all = limit.SMSCountry, limit.SMSEveryone
	for _, test := range []struct {
		from limit.Plan
		next map[store.Kind]string
	}{
		{sends, map[store.Kind]string{limit.Ledger: "sends, long", limit.Failures: "sends, long", limit.Sends: "sends, reserve",
			country: "sends, shift 1", all: "sends, shift 1"}},
		{eased(t, sends, limit.Ledger), map[store.Kind]string{limit.Sends: "sends, long, reserve", country: "sends, long, shift 1",
			all: "sends, long, shift 1"}},
		{eased(t, sends, limit.Sends), map[store.Kind]string{limit.Ledger: "sends, long, reserve",
			limit.Failures: "sends, long, reserve", country: "sends, reserve, shift 1", all: "sends, reserve, shift 1"}},
		{eased(t, sends, country, all, country), map[store.Kind]string{limit.Ledger: "sends, long, shift 3",
			limit.Failures: "sends, long, shift 3", limit.Sends: "sends, reserve, shift 3"}},
		{eased(t, sends, limit.Ledger, limit.Sends, country, all, all), nil},
		{knownSends, map[store.Kind]string{limit.Device: "sends, known, no device", limit.Ledger: "sends, known, long",
			limit.Failures: "sends, known, long", country: "sends, known, shift 1", all: "sends, known, shift 1"}},
		{eased(t, knownSends, limit.Device), map[store.Kind]string{limit.Ledger: "sends, known, no device, long",
			limit.Failures: "sends, known, no device, long", limit.Sends: "sends, known, no device, reserve",
			country: "sends, known, no device, shift 1", all: "sends, known, no device, shift 1"}},
		{presents, map[store.Kind]string{limit.Failures: "no breaker", limit.Sends: "reserve", country: "shift 1", all: "shift 1"}},
		{eased(t, presents, limit.Failures), map[store.Kind]string{limit.Sends: "reserve, no breaker", country: "no breaker, shift 1",
			all: "no breaker, shift 1"}},
		{knownPresents, map[store.Kind]string{limit.Failures: "known, no breaker", limit.Device: "known, no device",
			country: "known, shift 1", all: "known, shift 1"}},
		{eased(t, knownPresents, limit.Device, limit.Failures), map[store.Kind]string{
			limit.Sends: "known, no device, reserve, no breaker", country: "known, no device, no breaker, shift 1",
			all: "known, no device, no breaker, shift 1"}},
		{cancels, map[store.Kind]string{limit.Starts: "cancels, no nuisance", limit.Failures: "cancels, no breaker",
			limit.Sends: "cancels, reserve", country: "cancels, shift 1", all: "cancels, shift 1"}},
		{eased(t, cancels, limit.Starts), map[store.Kind]string{limit.Failures: "cancels, no breaker, no nuisance",
			limit.Sends: "cancels, reserve, no nuisance", country: "cancels, no nuisance, shift 1", all: "cancels, no nuisance, shift 1"}},
	} {
		for _, kind := range kinds {
			p := test.from
			next, again := test.next[kind]
			assert.Equal(t, again, p.Ease(refusal(kind)), "%q, refused by %s", test.from.Words(), kind)
			if !again {
				next = test.from.Words()
			}
			assert.Equal(t, next, p.Words(), "%q, refused by %s", test.from.Words(), kind)
		}
	}
}

// most is how often a plan can be eased, whatever refuses.
func most(p limit.Plan) (n int) {
	for _, kind := range kinds {
		if next := p; next.Ease(refusal(kind)) {
			n = max(n, 1+most(next))
		}
	}
	return n
}

func TestACallIsEasedSoOftenAtMost(t *testing.T) { // RL-8
	longest := 0
	for i := range 8 {
		p := limit.Plan{Sends: i&1 != 0, Cancels: i&2 != 0, Known: i&4 != 0}
		n := most(p)
		assert.LessOrEqual(t, n, limit.Easings, p.Words())
		longest = max(longest, n)
	}
	assert.Equal(t, limit.Easings, longest)
}

func TestARefusalTellsWhenToComeBack(t *testing.T) { // RL-13
	strangers := &store.LimitedError{Bucket: store.Key{Kind: limit.Sends, Name: "x"}, RetryAfter: time.Minute}
	of := func(kind store.Kind) *store.LimitedError {
		return &store.LimitedError{Bucket: store.Key{Kind: kind, Name: "x"}, RetryAfter: 24 * time.Hour}
	}
	for _, kind := range kinds {
		p := limit.Plan{Sends: true}
		last := of(kind)
		assert.Same(t, last, p.Final(last), "%s before the reserve was asked", kind)
		require.True(t, p.Ease(strangers))
		want := last
		if kind == limit.Sends || kind == limit.Reserve {
			want = strangers
		}
		assert.Same(t, want, p.Final(last), "%s of the reserve", kind)
	}
}

func TestThePlanOfADevice(t *testing.T) { // BD-7
	p := limit.Plan{}
	assert.False(t, p.KnowsDevice())
	p.Known = true
	assert.True(t, p.KnowsDevice())
	assert.False(t, p.Ease(refusal(limit.Sends)), "a known device's own windows have no reserve behind them")
	require.True(t, p.Ease(refusal(limit.Device)))
	assert.False(t, p.KnowsDevice())
	assert.False(t, p.Ease(refusal(limit.Device)), "once")
	assert.True(t, p.Ease(refusal(limit.Sends)), "as a stranger")
	assert.Equal(t, uint8(0), p.Shift())
	assert.False(t, p.Long())
}
