package limit_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless/internal/limit"
	"github.com/seed62b93bad/passwordless/store"
)

func TestWhatEachStepCharges(t *testing.T) { // RL-1, RL-2, RL-4, RL-9, RL-17, BD-7
	l, unknown, known := limit.New(policy()), limit.Plan{}, limit.Plan{Known: true}
	spent := eased(t, known, limit.Device)
	free := eased(t, unknown, limit.Failures)
	guess := func(s limit.Subject, p limit.Plan, long, right bool) func(*store.Batch) {
		return func(b *store.Batch) { l.Guess(b, s, p, long, right) }
	}
	send := func(s limit.Subject, p limit.Plan) func(*store.Batch) {
		return func(b *store.Batch) { l.Send(b, s, p) }
	}
	back := func(s limit.Subject, p limit.Plan, drawn uint8) func(*store.Batch) {
		return func(b *store.Batch) { l.Succeed(b, s, p, drawn) }
	}
	look := func(p limit.Plan, attempts int) func(*store.Batch) {
		return func(b *store.Batch) { l.Look(b, mail, p, attempts) }
	}
	for _, test := range []struct {
		rule string
		step func(*store.Batch)
		want string
	}{
		{"a verify", func(b *store.Batch) { l.Attempt(b, mail) }, "guess net 1"},
		{"a wrong guess", guess(mail, unknown, false, false), "failures 3 1, ledger alice 1+1!"},
		{"a right guess only looks", guess(mail, unknown, false, true), "failures 3 1?, ledger alice 1+1?!"},
		{"a known device pays in place of the ledger", guess(mail, known, false, false),
			"failures 3 1, device cookie 1!, ledger alice 0+1!"},
		{"a right guess of a known device", guess(mail, known, false, true), "failures 3 1?, device cookie 1?!, ledger alice 0+1?!"},
		{"a device that failed too often", guess(mail, spent, false, false), "failures 3 1, ledger alice 1+1!"},
		{"a guess goes on without the breaker", guess(mail, free, false, false), "ledger alice 1+1!"},
		{"a long code does not draw", guess(mail, unknown, true, false), "failures 3 1"},
		{"a right long code", guess(mail, unknown, true, true), "failures 3 1?"},
		{"a long code of a known device", guess(mail, known, true, false), "failures 3 1, device cookie 1?!"},
		{"a long code without the breaker", guess(mail, free, true, false), ""},

		{"a short code for five attempts", look(unknown, 5), "ledger alice 5+5?!, failures 3 1?"},
		{"more attempts than there are", look(unknown, 99), "ledger alice 10+10?!, failures 3 1?"},
		{"a short code of a known device", look(known, 5), "device cookie 1?!, ledger alice 0+5?!, failures 3 1?"},
		{"a link of an unknown device", func(b *store.Batch) { l.LookDevice(b, mail, unknown) }, ""},
		{"a link of a known device", func(b *store.Batch) { l.LookDevice(b, mail, known) }, "device cookie 1?!"},
		{"a link of a device that failed too often", func(b *store.Batch) { l.LookDevice(b, mail, spent) }, ""},

		{"a success", back(mail, unknown, 2), "ledger alice 2+100!"},
		{"a success after none that drew", back(mail, unknown, 0), "ledger alice 0+100!"},
		{"a success after more than there are", back(mail, unknown, 99), "ledger alice 10+100!"},
		{"a success of a known device", back(mail, known, 1), "ledger alice 1+100!, device cookie 10!"},
		{"a success of a number", back(text, unknown, 0), "ledger alice 0+100!, sms-prefix prefix 0+5!"},

		{"an e-mail", send(mail, unknown), "send alice 1+1+1, start net 1+1"},
		{"an e-mail from the reserve", send(mail, eased(t, unknown, limit.Sends)),
			"send alice 1+1+1, start net 1+1, send-reserve alicenet 1"},
		{"an e-mail to a known device", send(mail, known), "send alice 1+1+1, start net 1+1"},
		{"a text message", send(text, unknown),
			"send alice 1+1, start net 1+1, sms-prefix prefix 1+1!, sms-country 46#3 1!, sms-all 3 1!"},

		{"a cancelled challenge", func(b *store.Batch) { l.Nuisance(b, "net", unknown) }, "start net 2+3"},
		{"a network with nothing left", func(b *store.Batch) {
			l.Nuisance(b, "net", eased(t, limit.Plan{Cancels: true}, limit.Starts))
		}, ""},
		{"an e-mail that was not taken", func(b *store.Batch) { l.Unsend(b, mail, unknown) }, "send alice 1+1+1"},
		{"one of the reserve", func(b *store.Batch) { l.Unsend(b, mail, eased(t, unknown, limit.Sends)) },
			"send alice 1+1+1, send-reserve alicenet 1"},
		{"a text message that was not taken", func(b *store.Batch) { l.Unsend(b, text, unknown) },
			"send alice 1+1, sms-prefix prefix 1+1!, sms-country 46#3 1!, sms-all 3 1!"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			var b store.Batch
			test.step(&b)
			assert.Equal(t, test.want, strings.Join(append(words(b.Charges), words(b.GiveBacks)...), ", "))
			assert.True(t, len(b.Charges) == 0 || len(b.GiveBacks) == 0)
			limit.Sort(&b)
			require.NoError(t, b.Validate())
		})
	}
}

func TestAGuessTellsWhetherItDrew(t *testing.T) { // RL-4
	l := limit.New(policy())
	for _, known := range []bool{false, true} {
		for _, long := range []bool{false, true} {
			for _, right := range []bool{false, true} {
				drew := l.Guess(&store.Batch{}, mail, limit.Plan{Known: known}, long, right)
				assert.Equal(t, !known && !long && !right, drew, "known %t, long %t, right %t", known, long, right)
			}
		}
	}
}

// windowOf is a window of the bucket of a kind.
func windowOf(t *testing.T, b store.Batch, kind store.Kind, i int) store.Window {
	t.Helper()
	for _, c := range append(b.Charges, b.GiveBacks...) {
		if c.Bucket.Kind == kind {
			return c.Windows[i]
		}
	}
	require.Fail(t, "no bucket", kind)
	return store.Window{}
}

func TestTheWindowsAreThoseOfThePolicy(t *testing.T) { // RL-19
	l := limit.New(policy())
	all := func(p limit.Plan) (b store.Batch) {
		l.Attempt(&b, text)
		l.Guess(&b, text, p, false, false)
		l.Send(&b, text, p)
		return b
	}
	var email, reserved store.Batch
	l.Send(&email, mail, limit.Plan{})
	l.Send(&reserved, mail, eased(t, limit.Plan{}, limit.Sends))
	b := all(limit.Plan{Known: true})
	for _, test := range []struct {
		kind  store.Kind
		i     int
		of    store.Batch
		burst int64
		every time.Duration
	}{
		{limit.Guesses, 0, b, 31, 9_677_419 * time.Microsecond},
		{limit.Failures, 0, b, 625, 138_240 * time.Millisecond}, // a sixteenth
		{limit.Device, 0, b, 10, 365 * day},
		{limit.Ledger, 0, b, 45, 365 * day / 50},
		{limit.Ledger, 1, b, 100, 365 * day},
		{limit.Starts, 0, b, 2, 30 * time.Second},
		{limit.Starts, 1, b, 30, 2 * time.Minute},
		{limit.SMSPrefix, 0, b, 11, 327_272_727 * time.Microsecond},
		{limit.SMSPrefix, 1, b, 32, 45 * time.Minute},
		{limit.SMSCountry, 0, b, 31, 2_787_096_774 * time.Microsecond},
		{limit.SMSEveryone, 0, b, 312, 276_923_076 * time.Microsecond},
		{limit.Sends, 0, b, 6, 150 * time.Second}, // a known device: one more and one more
		{limit.Sends, 1, b, 14, 8640 * time.Second},
		{limit.Sends, 0, email, 3, 200 * time.Second},
		{limit.Sends, 2, email, 20, 72 * time.Minute},
		{limit.Sends, 2, reserved, 25, 72 * time.Minute},
		{limit.Reserve, 0, reserved, 1, day},
	} {
		w := windowOf(t, test.of, test.kind, test.i)
		assert.Equal(t, []any{test.burst, test.every}, []any{w.Burst, w.Every}, "%s %d", test.kind, test.i)
	}
}

func TestNoPriceIsHigherThanItsWindow(t *testing.T) { // RL-16: a charge that no window could pay would be invalid
	p := policy()
	one := limit.Limit{Count: 1, Per: time.Hour}
	p.Starts, p.SMSUnverified = []limit.Limit{one}, one
	l := limit.New(p)
	var b store.Batch
	l.Nuisance(&b, "net", limit.Plan{})
	l.Succeed(&b, text, limit.Plan{}, 0)
	limit.Sort(&b)
	require.NoError(t, b.Validate())
	assert.Equal(t, int64(1), b.Charges[0].Windows[0].Cost)
}

func TestTheStripesOfABudgetAreTheBudget(t *testing.T) { // RL-9, RL-17
	for _, count := range []int{1, 2, 9, 10, 11, 19, 20, 99, 100, 159, 160, 161, 500, 999, 1000, 12_345} {
		for _, kind := range []store.Kind{limit.Failures, limit.SMSCountry, limit.SMSEveryone} {
			p, budget := policy(), limit.Limit{Count: count, Per: day}
			switch kind {
			case limit.Failures:
				p.Failures = budget
			case limit.SMSCountry:
				p.SMSCountry = budget
			default:
				p.SMSEveryone = budget
			}
			l := limit.New(p)
			sum, rate, names := int64(0), 0.0, map[string]bool{}
			for i := range l.Stripes() {
				s := text
				s.Stripe = l.Stripe(uint8(i))
				var b store.Batch
				l.Guess(&b, s, limit.Plan{}, true, false)
				l.Send(&b, s, limit.Plan{})
				w := windowOf(t, b, kind, 0)
				sum, rate = sum+w.Burst, rate+float64(day)/float64(w.Every)
				for _, c := range b.Charges {
					if c.Bucket.Kind == kind {
						names[c.Bucket.Name] = true
					}
				}
			}
			assert.Len(t, names, l.Stripes(), "each stripe is a bucket of its own")
			assert.LessOrEqual(t, sum, int64(count), "%s of %d", kind, count)
			assert.Greater(t, sum, int64(count-l.Stripes()), "%s of %d: only rounding is lost", kind, count)
			assert.LessOrEqual(t, rate, float64(count)*(1+1e-6))
			assert.True(t, l.Stripes() == 1 || sum >= int64(10*l.Stripes()), "a stripe holds ten at least")
			assert.LessOrEqual(t, l.Stripes(), limit.MaxStripes)
		}
	}
}

func TestEveryStripeIsPicked(t *testing.T) { // RL-17
	l, seen := limit.New(policy()), map[uint8]int{}
	for n := range 256 {
		seen[l.Stripe(uint8(n))]++
	}
	assert.Len(t, seen, 16)
	for _, times := range seen {
		assert.Equal(t, 16, times)
	}
}

// texts sends text messages to numbers of countries in turn, each from a network, to a person and a prefix of their own. It
// returns how many went out to each country, and the kind that refused last.
func texts(t *testing.T, p limit.Policy, countries ...int) (map[int]int, store.Kind) {
	t.Helper()
	l, b, sent, last := limit.New(p), bank{}, map[int]int{}, store.Kind("")
	for i := range 400 {
		n := fmt.Sprint("n", i)
		s := limit.Subject{Person: n, Network: n, Prefix: n, Country: countries[i%len(countries)]}
		_, limited := b.call(t, began, limit.Plan{Sends: true}, func(batch *store.Batch, p limit.Plan) {
			s.Stripe = l.Stripe(uint8(i) + p.Shift())
			l.Send(batch, s, p)
		})
		if limited != nil {
			last = limited.Bucket.Kind
			continue
		}
		sent[s.Country]++
	}
	return sent, last
}

func TestACountrysBudgetRefusesOnItsOwn(t *testing.T) { // RL-9
	for _, count := range []int{8, 40} {
		p := policy()
		p.SMSCountry, p.SMSEveryone = limit.Limit{Count: count, Per: day}, limit.Limit{Count: 100_000, Per: day}
		sent, kind := texts(t, p, 46)
		assert.Equal(t, map[int]int{46: count}, sent)
		assert.Equal(t, limit.SMSCountry, kind)
		sent, _ = texts(t, p, 46, 47)
		assert.Equal(t, map[int]int{46: count, 47: count}, sent, "of each country its own")
	}
}

func TestTheBudgetOfAllRefusesOnItsOwn(t *testing.T) { // RL-9
	for _, count := range []int{8, 40} {
		p := policy()
		p.SMSCountry, p.SMSEveryone = limit.Limit{Count: 100_000, Per: day}, limit.Limit{Count: count, Per: day}
		sent, kind := texts(t, p, 46, 47)
		assert.Equal(t, count, sent[46]+sent[47])
		assert.Equal(t, limit.SMSEveryone, kind)
	}
}

func TestAPrefixThatNobodyVerifiesStops(t *testing.T) { // RL-9, RL-10
	p := policy()
	p.SMSPrefix = limit.Limit{Count: 1000, Per: time.Hour}
	for _, answers := range []bool{false, true} {
		l, b, sent := limit.New(p), bank{}, 0
		for i := range 200 {
			s := limit.Subject{Person: fmt.Sprint("p", i), Network: fmt.Sprint("n", i), Prefix: "prefix", Country: 46, Stripe: uint8(i)}
			now := began.Add(time.Duration(i) * time.Second)
			if _, limited := b.call(t, now, limit.Plan{Sends: true}, func(batch *store.Batch, p limit.Plan) {
				l.Send(batch, s, p)
			}); limited != nil {
				require.Equal(t, limit.SMSPrefix, limited.Bucket.Kind)
				continue
			}
			sent++
			if answers && i%5 == 0 {
				var batch store.Batch
				l.Succeed(&batch, s, limit.Plan{}, 0)
				require.Nil(t, b.commit(t, now, batch))
			}
		}
		assert.Equal(t, map[bool]int{false: 32, true: 200}[answers], sent, "one number in five that answers is enough: %t", answers)
	}
}

// An attack is a year of guessing at one person.
type attack struct {
	*testing.T
	limits      *limit.Limits
	buckets     bank
	short, long int // guesses that were looked at; fewer than were asked for
}

// begin begins a sign-in and reports whether its code is long.
func (a *attack) begin(now store.Instant, s limit.Subject, p limit.Plan) (long, sent bool) {
	p.Sends = true
	p, limited := a.buckets.call(a.T, now, p, func(b *store.Batch, p limit.Plan) {
		if !p.Long() {
			a.limits.Look(b, s, p, 5)
		}
		a.limits.Send(b, s, p)
	})
	return p.Long(), limited == nil
}

// guess presents a code and reports whether it was looked at.
func (a *attack) guess(now store.Instant, s limit.Subject, p limit.Plan, long, right bool) bool {
	_, limited := a.buckets.call(a.T, now, p, func(b *store.Batch, p limit.Plan) {
		a.limits.Attempt(b, s)
		a.limits.Guess(b, s, p, long, right)
		if right {
			a.limits.Succeed(b, s, p, 0)
		}
	})
	return limited == nil
}

func TestAYearOfGuessingStaysUnderTheLedger(t *testing.T) { // RL-4, RL-5, VF-5, VF-6, VF-7
	for name, device := range map[string]bool{"on a new device": false, "on a known device": true} {
		a := attack{T: t, limits: limit.New(policy()), buckets: bank{}}
		owner := limit.Subject{Person: "alice", Network: "home", Device: "cookie"}
		network, now := 0, began
		for range 365 {
			for range 10 {
				now = now.Add(2 * time.Hour)
				network++
				s := limit.Subject{Person: "alice", Network: fmt.Sprint(network), Stripe: a.limits.Stripe(uint8(network))}
				long, sent := a.begin(now, s, limit.Plan{})
				for range 5 {
					switch looked := sent && a.guess(now, s, limit.Plan{}, long, false); {
					case looked && long:
						a.long++
					case looked:
						a.short++
					}
				}
			}
			now = now.Add(4 * time.Hour)
			long, sent := a.begin(now, owner, limit.Plan{Known: device})
			require.True(t, sent, "%s: the owner is never locked out", name)
			require.True(t, a.guess(now, owner, limit.Plan{Known: device}, long, true), "%s: nor by the guess", name)
			require.True(t, !long || !device, "a known device keeps short codes")
		}
		assert.LessOrEqual(t, a.short, limit.LedgerBurst+limit.LedgerYear, name)
		assert.Greater(t, a.short, 80, "the ledger is what stopped them")
		assert.Greater(t, a.long, 10_000)
	}
}

func TestAHundredConsecutiveFailuresEndShortCodes(t *testing.T) { // VF-6
	a := attack{T: t, limits: limit.New(policy()), buckets: bank{}}
	s := limit.Subject{Person: "alice", Network: "net", Device: "cookie"}
	now, known := began, limit.Plan{Known: true}
	looked := 0
	for i := range 200 {
		s.Device, now = fmt.Sprint("cookie ", i), now.Add(time.Minute) // devices that are known and do not draw
		if a.guess(now, s, known, false, false) {
			looked++
		}
	}
	assert.Equal(t, limit.MaxFailures, looked)
	long, sent := a.begin(now, s, known)
	require.True(t, long && sent, "there is another way")
	require.True(t, a.guess(now, s, known, true, true))
	long, _ = a.begin(now.Add(time.Hour), s, known)
	assert.False(t, long, "a success counts from one again")
}

func TestTenFailuresEndADevice(t *testing.T) { // BD-7
	a, s := attack{T: t, limits: limit.New(policy()), buckets: bank{}}, mail
	p := limit.Plan{Known: true}
	for i := range 10 {
		require.True(t, a.guess(began.Add(time.Duration(i)*time.Minute), s, p, false, false))
	}
	var b store.Batch
	a.limits.Guess(&b, s, p, false, false)
	limited := a.buckets.commit(t, began, b)
	require.NotNil(t, limited)
	require.Equal(t, limit.Device, limited.Bucket.Kind)
	require.True(t, p.Ease(limited))
	assert.False(t, p.KnowsDevice())
	require.True(t, a.guess(began.Add(10*time.Minute), s, p, false, false), "it goes on as a stranger")
	var success store.Batch
	a.limits.Succeed(&success, s, limit.Plan{Known: true}, 0)
	require.Nil(t, a.buckets.commit(t, began, success))
	assert.True(t, a.guess(began.Add(10*time.Minute), s, limit.Plan{Known: true}, false, false))
}

func TestAFloodLeavesTheReserve(t *testing.T) { // RL-5
	p := policy()
	p.EmailSends = []limit.Limit{{Count: 40, Per: day}}
	l, b := limit.New(p), bank{}
	send := func(network string, known bool) *store.LimitedError {
		s := limit.Subject{Person: "alice", Network: network}
		_, limited := b.call(t, began, limit.Plan{Sends: true, Known: known}, func(batch *store.Batch, p limit.Plan) {
			l.Send(batch, s, p)
		})
		return limited
	}
	for i := range 40 {
		require.Nil(t, send(fmt.Sprint("n", i), false))
	}
	for i := range 5 {
		require.Nil(t, send(fmt.Sprint("n", i), false), "one of the reserve")
		limited := send(fmt.Sprint("n", i), false)
		require.NotNil(t, limited, "once a day")
		assert.Equal(t, limit.Sends, limited.Bucket.Kind)
		assert.Less(t, limited.RetryAfter, day, "when a stranger's own windows are free again")
	}
	for i := range 5 {
		require.Nil(t, send(fmt.Sprint("m", i), false))
	}
	require.NotNil(t, send("m9", false), "the reserve is used up")
	for range 10 {
		require.Nil(t, send("home", true), "a known device has a quarter more")
		delete(b, store.Key{Kind: limit.Starts, Name: "home"})
	}
	require.NotNil(t, send("home", true))
}

func TestSortedBatchesAreValid(t *testing.T) { // SK-4: commits never wait for one another in a circle
	l, random := limit.New(policy()), rand.New(rand.NewPCG(1, 2))
	var all store.Batch
	p := limit.Plan{Known: true}
	l.Attempt(&all, text)
	l.Guess(&all, text, p, false, false)
	l.Send(&all, text, p)
	l.Succeed(&all, text, p, 2)
	for range 100 {
		b := store.Batch{Charges: slices.Clone(all.Charges), GiveBacks: slices.Clone(all.GiveBacks)}
		random.Shuffle(len(b.Charges), func(i, j int) { b.Charges[i], b.Charges[j] = b.Charges[j], b.Charges[i] })
		random.Shuffle(len(b.GiveBacks), func(i, j int) { b.GiveBacks[i], b.GiveBacks[j] = b.GiveBacks[j], b.GiveBacks[i] })
		limit.Sort(&b)
		require.NoError(t, b.Validate())
	}
}
