package limit_test

import (
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

// A step fills a batch.
type step func(*limit.Limits, *store.Batch)

func attempt(p limit.Plan, success bool) step {
	return func(l *limit.Limits, b *store.Batch) { l.Attempt(b, mail, p, success) }
}

func astray(p limit.Plan) func(*limit.Limits, *store.Batch) {
	return func(l *limit.Limits, b *store.Batch) { l.Astray(b, mail, p) }
}

func guess(s limit.Subject, p limit.Plan, r limit.Rung, right bool) step {
	return func(l *limit.Limits, b *store.Batch) { l.Guess(b, s, p, r, right) }
}

func look(s limit.Subject, p limit.Plan, r limit.Rung, attempts int) step {
	return func(l *limit.Limits, b *store.Batch) { l.Look(b, s, p, r, attempts) }
}

func send(s limit.Subject, p limit.Plan) step {
	return func(l *limit.Limits, b *store.Batch) { l.Send(b, s, p) }
}

func unsend(s limit.Subject, p limit.Plan) step {
	return func(l *limit.Limits, b *store.Batch) { l.Unsend(b, s, p) }
}

func success(s limit.Subject, p limit.Plan, r limit.Receipt) step {
	return func(l *limit.Limits, b *store.Batch) { l.Succeed(b, s, p, r) }
}

type charged struct {
	rule string
	step step
	want string
}

// hold holds steps to what they charge or give back.
func hold(t *testing.T, l *limit.Limits, all []charged) {
	t.Helper()
	for _, test := range all {
		t.Run(test.rule, func(t *testing.T) {
			var b store.Batch
			test.step(l, &b)
			assert.Equal(t, test.want, strings.Trim(words(b.Charges)+", "+words(b.GiveBacks), ", "))
			assert.True(t, len(b.Charges) == 0 || len(b.GiveBacks) == 0)
			limit.Sort(&b)
			require.NoError(t, b.Validate())
		})
	}
}

func TestWhatAGuessCharges(t *testing.T) { // RL-2, RL-4, BD-7
	l := limit.New(policy())
	unknown, network, device := presents[0], presents[1], presents[2]
	gone := eased(t, device, limit.Device)
	six, letters, free := limit.SixDigits, limit.TenLetters, limit.Uncounted
	hold(t, l, []charged{
		{"a verify", attempt(unknown, false), "guess net 1"},
		{"a verify that is a success only looks", attempt(unknown, true), "guess net 1?"},
		{"a verify in a known network", attempt(network, false), "guess net 1"},
		{"a verify of a known device", attempt(device, false), "guess cookie 1"},
		{"one that is compared with nothing", astray(unknown), "guess net 1"},
		{"one of a known device", astray(device), "guess cookie 1"},
		{"a success of a known device", attempt(device, true), "guess cookie 1?"},

		{"six digits", guess(mail, unknown, six, false), "ledger alice 10000+1!, risk t3 10000!, draw net 10000!"},
		{"seven digits", guess(mail, unknown, limit.SevenDigits, false), "ledger alice 1000+1!, risk t3 1000!, draw net 1000!"},
		{"eight digits", guess(mail, unknown, limit.EightDigits, false), "ledger alice 100+1!, risk t3 100!, draw net 100!"},
		{"nine digits", guess(mail, unknown, limit.NineDigits, false), "ledger alice 10+1!, risk t3 10!, draw net 10!"},
		{"ten letters", guess(mail, unknown, letters, false), "ledger alice 1+1!, risk t3 1!, draw net 1!"},
		{"fifteen letters", guess(mail, unknown, free, false), ""},
		{"a right guess only looks", guess(mail, unknown, six, true), "ledger alice 10000+1?!, risk t3 10000?!, draw net 10000?!"},
		{"a known network", guess(mail, network, six, false), "ledger alice 10000+1!, risk-network t3 10000!, draw net 10000!"},
		{"letters of a known network", guess(mail, network, letters, false), "ledger alice 1+1!, risk-network t3 1!, draw net 1!"},
		{"an IPv6 site", guess(counted, unknown, six, false),
			"ledger alice 10000+1!, risk t3 10000!, draw net 10000!, draw-site site 10000!"},
		{"a known device pays itself", guess(counted, device, six, false), "ledger alice 0+1!, device cookie 1!"},
		{"its letters", guess(mail, device, letters, false), "ledger alice 0+1!, device cookie 1!"},
		{"its right guess", guess(mail, device, six, true), "ledger alice 0+1?!, device cookie 1?!"},
		{"fifteen letters of a known device", guess(mail, device, free, false), "device cookie 1?!"},
		{"a device that failed too often", guess(mail, gone, six, false), "ledger alice 10000+1!, risk t3 10000!, draw net 10000!"},

		{"a code for five attempts", look(mail, unknown, six, 5), "ledger alice 50000+5?!, risk t3 10000?!, draw net 10000?!"},
		{"for more than there are", look(mail, unknown, six, 99), "ledger alice 100000+10?!, risk t3 10000?!, draw net 10000?!"},
		{"for none", look(mail, unknown, six, -1), "ledger alice 0+0?!, risk t3 10000?!, draw net 10000?!"},
		{"of nine digits", look(mail, unknown, limit.NineDigits, 5), "ledger alice 50+5?!, risk t3 10?!, draw net 10?!"},
		{"in a known network", look(mail, network, six, 5), "ledger alice 50000+5?!, risk-network t3 10000?!, draw net 10000?!"},
		{"of an IPv6 site", look(counted, unknown, six, 1),
			"ledger alice 10000+1?!, risk t3 10000?!, draw net 10000?!, draw-site site 10000?!"},
		{"of a known device", look(counted, device, six, 5), "ledger alice 0+5?!, device cookie 1?!"},
		{"of fifteen letters", look(mail, unknown, free, 5), ""},
		{"of fifteen letters, of a known device", look(mail, device, free, 5), "device cookie 1?!"},
		{"a link", func(l *limit.Limits, b *store.Batch) { l.LookDevice(b, mail, unknown) }, ""},
		{"a link in a known network", func(l *limit.Limits, b *store.Batch) { l.LookDevice(b, mail, network) }, ""},
		{"a link of a known device", func(l *limit.Limits, b *store.Batch) { l.LookDevice(b, mail, device) }, "device cookie 1?!"},
		{"a link of a device that failed too often", func(l *limit.Limits, b *store.Batch) { l.LookDevice(b, mail, gone) }, ""},
		{"an ended device", func(l *limit.Limits, b *store.Batch) { l.EndDevice(b, "cookie") }, "device cookie 10!"},
	})
}

func TestWhatASuccessGivesBack(t *testing.T) { // RL-4, VF-7, RL-9
	unknown, device := presents[0], presents[2]
	elsewhere := counted
	elsewhere.Network = "other"
	few := limit.Receipt{Drawn: [2]uint32{20_000, 300}, Here: 10_000, Start: true}
	const site, draw = "draw-site site 2000!", "draw net 2000!"
	hold(t, limit.New(policy()), []charged{
		{"a success", success(mail, unknown, limit.Receipt{}), "ledger alice 0+100!, " + draw},
		{"in a known network", success(mail, presents[1], limit.Receipt{}), "ledger alice 0+100!, " + draw},
		{"of an IPv6 site", success(counted, unknown, limit.Receipt{}), "ledger alice 0+100!, " + draw + ", " + site},
		{"of a known device", success(mail, device, limit.Receipt{}), "ledger alice 0+100!, " + draw + ", device cookie 10!"},
		{"of a number", success(text, unknown, limit.Receipt{}), "ledger alice 0+100!, " + draw + ", sms-prefix prefix 0+5!"},
		{"after guesses of strangers", success(mail, unknown, limit.Receipt{Drawn: [2]uint32{20_000}}),
			"ledger alice 20000+100!, risk t3 20000!, " + draw},
		{"after guesses of known networks", success(mail, unknown, limit.Receipt{Drawn: [2]uint32{1: 300}}),
			"ledger alice 300+100!, risk-network t3 300!, " + draw},
		{"after more than there is", success(mail, unknown, limit.Receipt{Drawn: [2]uint32{1 << 31, 1 << 31}, Here: 1 << 31}),
			"ledger alice 450000+100!, risk t3 1125000!, risk-network t3 1687500!, draw net 300000!"},
		{"where it began", success(counted, unknown, few), "ledger alice 20300+100!, risk t3 20000!, risk-network t3 300!, " +
			"draw net 12000!, draw-site site 12000!, start net 1+1, start-site site 8+8, unanswered t3 8"},
		{"elsewhere", success(elsewhere, unknown, few), "ledger alice 20300+100!, risk t3 20000!, risk-network t3 300!, " +
			"draw other 2000!, draw-site site 2000!, start net 1+1, unanswered t3 8"},
		{"of a start that is not counted for all", success(mail, unknown, limit.Receipt{Start: true}),
			"ledger alice 0+100!, " + draw + ", start net 1+1"},
	})
	sampled := text
	sampled.Sampled = true
	hold(t, limit.New(policy()), []charged{{"a text message is answered otherwise",
		success(sampled, unknown, limit.Receipt{Start: true}),
		"ledger alice 0+100!, " + draw + ", sms-prefix prefix 0+5!, start net 1+1"}})
}

func TestWhatAMessageCharges(t *testing.T) { // RL-1, RL-5, RL-9, RL-17
	l := limit.New(policy())
	unknown, network, device := sends[0], sends[1], sends[2]
	reserve := eased(t, unknown, limit.Sends, limit.Sends)
	vouched := unknown
	vouched.Vouched()
	cancels := eased(t, limit.Plan{Cancels: true}, limit.Starts)
	silent := text
	silent.Sampled, silent.Site, silent.Region = true, "site", "region"
	uncounted := counted
	uncounted.Sampled = false
	ipv4 := counted
	ipv4.Site, ipv4.Region = "", ""
	const money = "sms-prefix prefix 1+1!, sms-country t46#3 1!, sms-all 3 1+50!"
	hold(t, l, []charged{
		{"an e-mail", send(mail, unknown), "send alice 1+1+1, start net 1+1"},
		{"of the second half", send(mail, reserve), "send alice 1+1+1, send-reserve alicenet 1, start net 1+1"},
		{"from a known network", send(mail, network), "send-network alice 1+1, start net 1+1"},
		{"of a known device", send(mail, device), "send-device cookie 1+1"},
		{"that is vouched for", send(mail, vouched), "send-human alice 1"},
		{"that is counted for all", send(counted, unknown),
			"send alice 1+1+1, start net 1+1, start-site site 8+8, unanswered t3 8, start-region region 8"},
		{"that is not, from IPv6", send(uncounted, unknown), "send alice 1+1+1, start net 1+1, start-site site 8+8?"},
		{"from IPv4", send(ipv4, unknown), "send alice 1+1+1, start net 1+1, unanswered t3 8"},
		{"counted, of a known device", send(counted, device), "send-device cookie 1+1"},
		{"counted, and vouched for", send(counted, vouched), "send-human alice 1"},
		{"a text message", send(text, unknown), "send alice 1+1, start net 1+1, " + money},
		{"one that is counted for all", send(silent, unknown),
			"send alice 1+1, start net 1+1, start-site site 8+8, start-region region 8, " + money},
		{"one from a known network", send(text, network), "send-network alice 1+1, start net 1+1, " + money},
		{"one of a known device", send(text, device), "send-device cookie 1+1, " + money},
		{"one that is vouched for", send(text, vouched), "send-human alice 1, " + money},

		{"an e-mail that was not taken", unsend(counted, unknown), "send alice 1+1+1"},
		{"one of the second half", unsend(mail, reserve), "send alice 1+1+1, send-reserve alicenet 1"},
		{"one from a known network", unsend(mail, network), "send-network alice 1+1"},
		{"one of a known device", unsend(mail, device), "send-device cookie 1+1"},
		{"one that was vouched for", unsend(mail, vouched), "send-human alice 1"},
		{"a text message that was not taken", unsend(text, unknown), "send alice 1+1, " + money},

		{"a cancelled challenge", func(l *limit.Limits, b *store.Batch) { l.Nuisance(b, "net", unknown) }, "start net 2+3"},
		{"a network with nothing left", func(l *limit.Limits, b *store.Batch) { l.Nuisance(b, "net", cancels) }, ""},
	})
	hold(t, limit.New(with(func(p *limit.Policy) { p.RefuseUnanswered = true })), []charged{
		{"where unanswered e-mails refuse", send(mail, unknown), "send alice 1+1+1, start net 1+1, unanswered t3 8?"},
		{"of a known device", send(mail, device), "send-device cookie 1+1"},
		{"a text message there", send(text, unknown), "send alice 1+1, start net 1+1, " + money},
	})
	hold(t, limit.New(with(func(p *limit.Policy) { p.Tenants = 2 })), []charged{
		{"a text message of one of several tenants", send(text, unknown), "send alice 1+1, start net 1+1, " +
			"sms-prefix prefix 1+1!, sms-country t46#3 1!, sms-tenant t3 1!, sms-all 3 1+50!"},
		{"one that was not taken", unsend(text, unknown), "send alice 1+1, " +
			"sms-prefix prefix 1+1!, sms-country t46#3 1!, sms-tenant t3 1!, sms-all 3 1+50!"},
	})
}

func TestAGuessTellsWhatItDrew(t *testing.T) { // RL-4
	l := limit.New(policy())
	for rank, p := range presents {
		for _, right := range []bool{false, true} {
			for rung := limit.SixDigits; rung <= limit.Uncounted; rung++ {
				drew := l.Guess(&store.Batch{}, mail, p, rung, right)
				want := counts[rung]
				if right || limit.Rank(rank) == limit.KnownDevice {
					want = 0
				}
				assert.Equal(t, uint32(want), drew, "rank %d, rung %d, right %t", rank, rung, right)
			}
		}
	}
}

func TestANetworkPaysForTheStartsThatItMakes(t *testing.T) { // RL-1, BD-7
	l := limit.New(policy())
	vouched := sends[0]
	vouched.Vouched()
	for want, plans := range map[bool][]limit.Plan{true: {sends[0], sends[1]}, false: {sends[2], vouched}} {
		for _, p := range plans {
			for _, s := range []limit.Subject{mail, text, counted} {
				assert.Equal(t, want, l.Send(&store.Batch{}, s, p), p.Words())
			}
		}
	}
}

func TestNoPriceIsHigherThanItsWindow(t *testing.T) { // RL-16: a charge that no window could pay would be invalid
	one := limit.Limit{Count: 1, Per: time.Hour}
	l := limit.New(with(func(p *limit.Policy) {
		p.Starts, p.SiteStarts, p.SMS.Unverified, p.SMS.Spend, p.Unanswered = []limit.Limit{one}, []limit.Limit{one}, one, one, one
		p.RefuseUnanswered, p.EmailSends, p.SMSSends = true, []limit.Limit{one}, []limit.Limit{one}
	}))
	var b store.Batch
	l.Nuisance(&b, "net", limit.Plan{})
	assert.Equal(t, int64(1), b.Charges[0].Windows[0].Cost)
	for _, s := range []limit.Subject{counted, text} {
		for _, p := range sends {
			b := decided(func(b *store.Batch) { l.Send(b, s, p); l.Succeed(b, s, p, limit.Receipt{Start: true}) })
			limit.Sort(&b)
			require.NoError(t, b.Validate())
		}
	}
}

func TestForgettingAPersonEmptiesTheirBuckets(t *testing.T) { // RL-4
	w := newWorld(t, policy())
	for i := range 90 {
		s := stranger("alice", i, i)
		s.Device = "cookie"
		w.guess(began, s, presents[i%2], limit.SixDigits)
		w.begin(began, s, sends[i%3])
		s.Prefix = "prefix"
		w.begin(began, s, sends[i%3])
		vouched := sends[0]
		vouched.Vouched()
		w.begin(began, s, vouched)
	}
	b := decided(func(b *store.Batch) { w.Forget(b, "alice") })
	require.Nil(t, w.commit(began, b))
	var emptied []store.Kind
	for key, full := range w.buckets {
		if key.Name == "alice" {
			emptied = append(emptied, key.Kind)
			assert.Equal(t, make([]int64, len(full)), full, "%s", key.Kind)
		} else {
			assert.Greater(t, slices.Max(full), began.Micros(), "%s stays", key.Kind)
		}
	}
	assert.ElementsMatch(t, []store.Kind{limit.Ledger, limit.Sends, limit.NetworkSends, limit.Human}, emptied)
	for _, lists := range [][2]int{{1, 3}, {3, 1}} {
		windows := make([]limit.Limit, 3)
		for i := range windows {
			windows[i] = limit.Limit{Count: 5, Per: time.Hour}
		}
		l := limit.New(with(func(p *limit.Policy) { p.EmailSends, p.SMSSends = windows[:lists[0]], windows[:lists[1]] }))
		b := decided(func(b *store.Batch) { l.Forget(b, "alice") })
		assert.Len(t, windowsOf(t, b, limit.Sends), 3, "the windows of either channel")
	}
}

func TestSortedBatchesAreValid(t *testing.T) { // SK-4: commits never wait for one another in a circle
	l, random := limit.New(policy()), rand.New(rand.NewPCG(1, 2))
	all := decided(func(b *store.Batch) {
		l.Attempt(b, text, presents[0], false)
		l.Guess(b, counted, presents[0], limit.SixDigits, false)
		l.Send(b, text, sends[0])
		l.Succeed(b, counted, presents[2], limit.Receipt{Drawn: [2]uint32{1, 1}, Start: true})
	})
	for range 100 {
		b := store.Batch{Charges: slices.Clone(all.Charges), GiveBacks: slices.Clone(all.GiveBacks)}
		random.Shuffle(len(b.Charges), func(i, j int) { b.Charges[i], b.Charges[j] = b.Charges[j], b.Charges[i] })
		random.Shuffle(len(b.GiveBacks), func(i, j int) { b.GiveBacks[i], b.GiveBacks[j] = b.GiveBacks[j], b.GiveBacks[i] })
		limit.Sort(&b)
		require.NoError(t, b.Validate())
	}
}
