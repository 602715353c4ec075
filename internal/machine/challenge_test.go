package machine_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless/internal/limit"
	"github.com/seed62b93bad/passwordless/internal/machine"
	"github.com/seed62b93bad/passwordless/internal/secret"
	"github.com/seed62b93bad/passwordless/store"
)

// kinds are the challenges of which each scope may have one.
func kinds() (all []machine.Challenge) {
	for _, s := range scopes {
		all = append(all, draft(s), text(s))
	}
	return all
}

var ranks = []limit.Rank{limit.Stranger, limit.KnownNetwork, limit.KnownDevice}

// plans are what a call may have become by refusals.
func plans(rank limit.Rank, sends bool) []limit.Plan {
	all := []limit.Plan{{Rank: rank, Sends: sends, Codes: limit.Codes{Links: true}}}
	for _, kind := range []store.Kind{limit.Ledger, limit.Draw, limit.Device, limit.Strangers, limit.NetworkSends, limit.Sends,
		limit.SMSCountry, limit.SMSEveryone, limit.Ledger} {
		p := all[len(all)-1]
		if p.Ease(refusedBy(kind)) != limit.Refused {
			all = append(all, p)
		}
	}
	return all
}

func TestTriesAreSplitWhereNoSecretFindsAChallenge(t *testing.T) { // BD-2, BD-6
	others := []int{1: 0, 2: 1, 3: 1, 4: 1, 5: 2, 6: 2, 7: 2, 8: 3, 9: 3, 10: 4}
	for _, s := range scopes {
		for attempts := 1; attempts <= limit.MaxTries; attempts++ {
			e := start(draft(s))
			e.Attempts = attempts
			tries := machine.Challenge{}.On(e, at(0)).Next.Tries
			shared := 0
			if s == machine.ByAddress || s == machine.ByUser {
				shared = others[attempts]
			}
			want := [2]machine.Tally{{Most: uint8(attempts - shared)}, {Most: uint8(shared)}}
			assert.Equal(t, want, tries, "scope %d, %d attempts", s, attempts)
		}
	}
}

func TestAStrangerDoesNotBurnTheInitiatorsTries(t *testing.T) { // BD-6
	for _, s := range []machine.Scope{machine.ByAddress, machine.ByUser} {
		c := open(t, draft(s))
		var left []int
		for range 2 {
			d := c.On(machine.Guess{Code: wrong(&c, at(0))}, from(stranger, at(0)))
			c, left = d.Next, append(left, d.Left)
		}
		assert.Equal(t, []int{1, 0}, left)
		assert.Equal(t, machine.StateOpen, c.State)
		for _, code := range []string{wrong(&c, at(0)), right(&c, at(0))} {
			d := c.On(machine.Guess{Code: code}, from(stranger, at(0)))
			assert.Equal(t, machine.Exhausted, d.Reason, "even of the right code")
			assert.Equal(t, "guess", commits(d.Batch), "it is not looked at")
		}
		for name, by := range map[string]machine.Caller{
			"the network": {Client: "web", Shared: shared, Network: home.Network},
			"the browser": {Client: "web", Shared: shared, Network: "another network", Browser: home.Browser},
		} {
			assert.Equal(t, machine.Done, c.On(machine.Guess{Code: right(&c, at(0))}, from(by, at(0))).Reason, name)
		}
	}
}

func TestAMissingBrowserIsNobodys(t *testing.T) { // BD-6, BD-4
	nobody := machine.Caller{Client: "web", Shared: shared, Network: home.Network}
	d := machine.Challenge{}.On(start(draft(machine.ByAddress)), from(nobody, at(0)))
	c, m := d.Next, from(machine.Caller{Client: "web", Shared: shared, Network: stranger.Network}, at(0))
	assert.Equal(t, 1, c.On(machine.Guess{Code: wrong(&c, m)}, m).Left, "a stranger's tally")
	d = c.On(machine.Redeem{Secret: c.Link(m.Key, m.Name)}, m)
	assert.Equal(t, machine.OtherBrowser, d.Reason)
}

func TestAHandleHasOneTallyForAll(t *testing.T) { // BD-2, VF-4
	for _, s := range []machine.Scope{machine.ByHandle, machine.ByRequest} {
		c := open(t, draft(s))
		for i := range 5 {
			by := []machine.Caller{home, stranger}[i%2]
			d := c.On(machine.Guess{Code: wrong(&c, at(0))}, from(by, at(0)))
			c = d.Next
			assert.Equal(t, 4-i, d.Left)
		}
		assert.Equal(t, machine.StateExhausted, c.State)
		assert.Equal(t, machine.Exhausted, c.On(machine.Guess{Code: right(&c, at(0))}, at(0)).Reason)
	}
}

func TestARightCheckNeverCostsTheLastAttempt(t *testing.T) { // VF-4, RL-4
	for _, draft := range kinds() {
		c := open(t, draft)
		for range 20 {
			d := c.On(machine.Check{Code: right(&c, at(0))}, at(0))
			require.Equal(t, machine.Done, d.Reason)
			require.GreaterOrEqual(t, d.Next.Tries[0].Left(), 1)
			c = d.Next
		}
		assert.Equal(t, 1, c.Tries[0].Left(), "the others it does cost")
		assert.Equal(t, limit.Receipt{Start: true}, c.Charged, "and nothing is charged for it")
		assert.Equal(t, machine.Done, c.On(machine.Guess{Code: right(&c, at(0))}, at(0)).Reason)
		assert.Equal(t, machine.Exhausted, c.On(machine.Check{Code: wrong(&c, at(0))}, at(0)).Reason, "a wrong one costs it")
	}
}

// backs are the costs of a give-back by the kind of its bucket.
func backs(b store.Batch) map[store.Kind][]int64 {
	all := map[store.Kind][]int64{}
	for _, c := range b.GiveBacks {
		for _, w := range c.Windows {
			all[c.Bucket.Kind] = append(all[c.Bucket.Kind], w.Cost)
		}
	}
	return all
}

func TestASuccessGivesBackToTheLedgerOnlyIfBoundToItsInitiator(t *testing.T) { // RL-4, VF-7
	for _, draft := range kinds() {
		want := map[machine.Scope]int64{machine.ByHandle: 20_000, machine.ByRequest: 20_000}[draft.Scope]
		c := open(t, draft)
		for range 2 {
			c = c.On(machine.Guess{Code: wrong(&c, at(0))}, at(0)).Next
		}
		back := backs(c.On(machine.Guess{Code: right(&c, at(0))}, at(0)).Batch)
		assert.Equal(t, []int64{want, 100}, back[limit.Ledger], "scope %d", draft.Scope)
		assert.Equal(t, []int64{want + 2_000}, back[limit.Draw], "scope %d", draft.Scope)
		assert.Equal(t, want > 0, slices.Equal([]int64{want}, back[limit.Strangers]), "scope %d", draft.Scope)
		assert.Equal(t, []int64{1, 1}, back[limit.Starts], "the start is given back whoever made it")
		if c.Carries.Link() {
			back = backs(c.On(machine.Redeem{Secret: c.Link(at(0).Key, at(0).Name)}, at(0)).Batch)
			assert.Equal(t, []int64{want, 100}, back[limit.Ledger], "scope %d by link", draft.Scope)
		}
	}
}

func TestWhatDidNotDrawIsNotGivenBack(t *testing.T) { // RL-4, BD-7
	c, m := open(t, draft(machine.ByHandle)), at(0)
	m.By.Device, m.Plan.Rank = "device of alice.", limit.KnownDevice
	c = c.On(machine.Guess{Code: wrong(&c, m)}, m).Next
	c = c.On(machine.Guess{Code: wrong(&c, at(0))}, at(0)).Next
	back := backs(c.On(machine.Guess{Code: right(&c, m)}, m).Batch)
	assert.Equal(t, map[store.Kind][]int64{limit.Ledger: {10_000, 100}, limit.Strangers: {10_000}, limit.Draw: {12_000},
		limit.Device: {10}, limit.Starts: {1, 1}}, back)
}

func TestAReceiptSaysWhoDrewAndWhere(t *testing.T) { // RL-4, VF-7
	for _, f := range formats {
		c := open(t, draft(machine.ByHandle))
		c.Format = f
		cost := costOf(f)
		want := limit.Receipt{Start: true}
		for i, rank := range []limit.Rank{limit.Stranger, limit.KnownNetwork, limit.KnownNetwork, limit.KnownDevice, limit.Stranger} {
			by := []machine.Caller{home, stranger}[i%2]
			m := from(by, at(0))
			m.By.Device, m.Plan.Rank = "device of alice.", rank
			var e machine.ChallengeEvent = machine.Guess{Code: wrong(&c, m)}
			if i == 1 {
				e = machine.Check{Code: wrong(&c, m)} // costs the same
			}
			d := c.On(e, m)
			if rank != limit.KnownDevice {
				want.Drawn[rank] += cost
				if i%2 == 0 {
					want.Here += cost
				}
			}
			assert.Equal(t, want, d.Next.Charged, "%+v, guess %d", f, i)
			c = d.Next
		}
	}
}

func TestAStartIsGivenBackToWhoeverBeganIt(t *testing.T) { // RL-1, BD-7
	for _, rank := range ranks {
		m := at(0)
		m.By.Device, m.Plan.Rank, m.Plan.Sends = "device of alice.", rank, true
		c := machine.Challenge{}.On(start(draft(machine.ByHandle)), m).Next
		assert.Equal(t, rank != limit.KnownDevice, c.Charged.Start, "rank %d: its network paid", rank)
		m = from(stranger, at(time.Minute))
		m.By.Device, m.Plan.Rank, m.Plan.Sends = "device of alice.", limit.KnownDevice, true
		again := c.On(machine.Send{}, m).Next
		assert.Equal(t, c.Charged, again.Charged, "a message that goes out again changes nothing of it")
		for _, one := range []machine.Challenge{c, again} {
			m := from(stranger, at(time.Minute))
			b := one.On(machine.Guess{Code: right(&one, m)}, m).Batch
			names := []string{}
			for _, back := range b.GiveBacks {
				if back.Bucket.Kind == limit.Starts {
					names = append(names, back.Bucket.Name)
				}
			}
			want := []string{}
			if rank != limit.KnownDevice {
				want = append(want, string(home.Network))
			}
			assert.Equal(t, want, names)
		}
	}
	made := machine.Challenge{}.On(start(draft(machine.ByHandle)).Create, at(0)).Next
	assert.False(t, made.Charged.Start, "nothing was sent yet")
	assert.True(t, made.On(machine.Send{}, at(0)).Next.Charged.Start)
}

func TestWhoseBucketsAnEventCharges(t *testing.T) { // RL-1, RL-4, RL-17
	by := machine.Caller{Client: "web", Tenant: "t", Shared: limit.NewTenant("t"), Network: "net", Site: "site", Region: "region"}
	for _, sampled := range []bool{false, true} {
		d := draft(machine.ByHandle)
		d.Tenant, d.Seed[1] = "t", map[bool]byte{false: 1, true: 8}[sampled]
		begun := machine.Challenge{}.On(start(d), from(by, at(0)))
		want := "draw?, draw-site?, ledger?, risk?, send, start, start-site?, write"
		if sampled {
			want = "draw?, draw-site?, ledger?, risk?, send, start, start-region, start-site, unanswered, write"
		}
		assert.Equal(t, want, commits(begun.Batch))
		c, m := begun.Next, from(by, at(0))
		assert.Equal(t, "draw, draw-site, guess, ledger, risk, write", commits(c.On(machine.Guess{Code: wrong(&c, m)}, m).Batch))
		want = "draw?, draw-site?, guess?, ledger?, risk?, draw back, draw-site back, ledger back, start back, write"
		if sampled {
			want = "draw?, draw-site?, guess?, ledger?, risk?, " +
				"draw back, draw-site back, ledger back, start back, start-site back, unanswered back, write"
		}
		assert.Equal(t, want, commits(c.On(machine.Guess{Code: right(&c, m)}, m).Batch))
	}
}

// same are charges without whether they only look.
func same(charges []store.Charge) []store.Charge {
	all := slices.Clone(charges)
	for i := range all {
		all[i].Look = false
	}
	return all
}

// guesses are what may be presented to a challenge: the right thing and wrong ones.
func guesses(c *machine.Challenge, m machine.Moment) map[string][2]machine.ChallengeEvent {
	return map[string][2]machine.ChallengeEvent{
		"guess": {machine.Guess{Code: right(c, m)}, machine.Guess{Code: wrong(c, m)}},
		"check": {machine.Check{Code: right(c, m)}, machine.Check{Code: wrong(c, m)}},
	}
}

func TestARightGuessIsRefusedWhereAWrongOneIs(t *testing.T) { // VF-1, VF-12, RL-12
	for _, draft := range kinds() {
		for _, rank := range ranks {
			for i, p := range plans(rank, false) {
				for _, f := range formats {
					c, m := open(t, draft), at(time.Minute)
					m.Plan, m.By.Device, c.Format = p, "device of alice.", f
					for name, pair := range guesses(&c, m) {
						good, bad := c.On(pair[0], m), c.On(pair[1], m)
						assert.Equal(t, same(bad.Batch.Charges), same(good.Batch.Charges), "%s, plan %d", name, i)
						require.Equal(t, []machine.Reason{machine.Done, machine.WrongSecret}, []machine.Reason{good.Reason, bad.Reason})
						for _, charge := range bad.Batch.Charges {
							looks := charge.Bucket.Kind == limit.Device && f.Length == 15
							assert.Equal(t, looks, charge.Look, "%s: a wrong one takes from %s", name, charge.Bucket.Kind)
						}
						sound(t, good.Batch, m)
						sound(t, bad.Batch, m)
					}
				}
			}
		}
	}
}

func TestWhatASuppressedChallengeCostsIsTheSame(t *testing.T) { // RL-12, EN-4, EN-6
	for _, draft := range kinds() {
		hidden := draft
		hidden.Suppressed = true
		begun, unsent := machine.Challenge{}.On(start(draft), at(0)), machine.Challenge{}.On(start(hidden), at(0))
		assert.Equal(t, begun.Batch.Charges, unsent.Batch.Charges)
		assert.Equal(t, begun.Next.Charged, unsent.Next.Charged)
		for name, pair := range guesses(&begun.Next, at(0)) {
			want := begun.Next.On(pair[1], at(0))
			for _, e := range pair {
				got := unsent.Next.On(e, at(0))
				assert.Equal(t, want.Reason, got.Reason, "%s: nothing matches it", name)
				assert.Equal(t, []any{want.Left, want.Note}, []any{got.Left, got.Note})
				assert.Equal(t, want.Batch.Charges, got.Batch.Charges)
				assert.Equal(t, want.Batch.GiveBacks, got.Batch.GiveBacks)
				assert.Len(t, got.Batch.Puts, 1)
				assert.Len(t, got.Batch.Puts[0].Record.Body, len(want.Batch.Puts[0].Record.Body))
			}
		}
		m := at(time.Minute)
		assert.Equal(t, begun.Next.On(machine.Send{}, m).Batch.Charges, unsent.Next.On(machine.Send{}, m).Batch.Charges)
		c := unsent.Next
		link := c.On(machine.Redeem{Secret: c.Link(m.Key, m.Name), Where: machine.AnyBrowser}, m)
		kill := c.On(machine.Cancel{Secret: c.Kill(m.Key, m.Name)}, m)
		assert.Equal(t, []machine.Reason{machine.WrongSecret, machine.WrongSecret}, []machine.Reason{link.Reason, kill.Reason})
		assert.Equal(t, machine.StateOpen, link.Next.State)
	}
}

func TestAnUnknownChallengeIsChargedLikeWhatIsOver(t *testing.T) { // EN-6, RL-2
	c := challengeIn(t, "expired", draft(machine.ByAddress))
	none, over := machine.Challenge{}.On(machine.Guess{Code: "123456"}, at(0)), c.On(machine.Guess{Code: "123456"}, at(0))
	assert.Equal(t, none.Batch, over.Batch)
}

func TestTheFirstEventThatSeesAnEndWritesIt(t *testing.T) { // VF-13, AC-6
	ends := map[string]func(*machine.Challenge, *machine.Moment){
		"expired": func(c *machine.Challenge, m *machine.Moment) { m.Now = c.Expires },
		"revoked": func(c *machine.Challenge, m *machine.Moment) { m.Revoked = c.Started },
	}
	for state, end := range ends {
		for _, name := range sorted(challengeEvents) {
			unseen, seen := open(t, draft(machine.ByHandle)), challengeIn(t, state, draft(machine.ByHandle))
			m := at(2 * time.Minute)
			e := challengeEvents[name](&unseen, &m)
			if e == nil {
				continue
			}
			again := m
			if e := challengeEvents[name](&seen, &again); e == nil {
				continue
			}
			end(&unseen, &m)
			d, want := unseen.On(e, m), seen.On(e, again)
			assert.Equal(t, []any{want.Reason, want.Note, want.Left}, []any{d.Reason, d.Note, d.Left}, "%s, %s", state, name)
			assert.Equal(t, want.Batch.Charges, d.Batch.Charges, "%s, %s", state, name)
			sound(t, d.Batch, m)
			if d.Reason != seen.State.Reason() {
				continue // it saw no end, or a start took the place
			}
			require.Equal(t, seen.State, d.Next.State)
			require.Len(t, d.Batch.Puts, 1, "%s, %s", state, name)
			before := at(0)
			assert.Equal(t, seen.State, d.Next.Live(&before), "a clock that steps back revives nothing")
		}
	}
}

func TestATimeIsOverAtItsEnd(t *testing.T) { // CG-6, AC-6
	c := open(t, draft(machine.ByHandle))
	m := at(life - 1)
	assert.Equal(t, machine.StateOpen, c.Live(&m))
	m = at(life)
	assert.Equal(t, machine.StateExpired, c.Live(&m))
	m = at(0)
	m.Revoked = c.Started - 1
	assert.Equal(t, machine.StateOpen, c.Live(&m))
	m.Revoked = c.Started
	assert.Equal(t, machine.StateRevoked, c.Live(&m), "what began at the instant of a sign-out is decided for safety")
	for _, by := range []machine.Caller{{Client: "other"}, {Client: "web", Tenant: "other"}} {
		m.By = by
		assert.Equal(t, machine.NoChallenge, c.Live(&m), "BD-10: of another client or tenant")
	}
}

func TestASecondStartTakesTheSlotUnseen(t *testing.T) { // BD-6, RL-21
	for _, s := range scopes {
		for _, again := range []machine.Again{machine.Replace, machine.Refuse, machine.Repeat} {
			e := start(draft(s))
			e.Draft.Again = again
			for _, event := range []machine.ChallengeEvent{e, e.Create} {
				d := machine.Challenge{}.On(event, at(0))
				require.Len(t, d.Batch.Puts, 1)
				assert.Equal(t, s != machine.ByHandle && again != machine.Refuse, d.Batch.Puts[0].Any, "scope %d, second start %d", s, again)
				assert.Equal(t, at(0).Was, d.Batch.Puts[0].Was)
			}
		}
	}
}

func TestAStartFillsInWhatIsNotForItsCallerToSay(t *testing.T) { // BD-4, VF-8
	d := draft(machine.ByHandle)
	d.State, d.Format, d.Network, d.Browser = machine.StateConsumed, machine.Format{Length: 9}, "elsewhere", secret.Digest{9}
	d.Sent, d.Expires, d.Tries = began.Add(-life), store.Never, [2]machine.Tally{{Used: 0, Most: 10}, {Used: 0, Most: 10}}
	c := open(t, d)
	assert.Equal(t, machine.StateOpen, c.State)
	assert.Equal(t, machine.Format{Length: 6}, c.Format)
	assert.Equal(t, []any{home.Network, home.Browser}, []any{c.Network, c.Browser})
	assert.Equal(t, []store.Instant{began, began, began.Add(life), began}, []store.Instant{c.Started, c.Sent, c.Expires, c.Touched})
	assert.Equal(t, [2]machine.Tally{{Most: 5}, {}}, c.Tries)
	e := start(d)
	e.Resends = -1
	made := machine.Challenge{}.On(e.Create, at(0)).Next
	assert.Zero(t, made.MaxResends)
	assert.Zero(t, made.Sent, "nothing was sent yet")
}

// climbed is the plan of a message after so many refusals of the ledger.
func climbed(t *testing.T, shape limit.Shape, refusals int) limit.Plan {
	t.Helper()
	p := limit.Plan{Sends: true, Rank: limit.KnownNetwork, Codes: limit.Codes{Shape: shape, Links: true}}
	for range refusals {
		require.Equal(t, limit.Again, p.Ease(refusedBy(limit.Ledger)))
	}
	return p
}

func TestACodeIsAsLongAsThePlanSays(t *testing.T) { // RL-17, VF-5, CG-8
	short := open(t, draft(machine.ByHandle))
	for _, test := range []struct {
		shape    limit.Shape
		refusals int
		want     machine.Format
		carries  machine.Carries
		asks     string // what is asked for before a message goes out
	}{
		{limit.AnyCode, 0, machine.Format{Length: 6}, machine.CarriesBoth, "draw?, ledger?, risk-network?, "},
		{limit.AnyCode, 1, machine.Format{Length: 9}, machine.CarriesBoth, "draw?, ledger?, risk-network?, "},
		{limit.AnyCode, 2, machine.Format{Letters: true, Length: 10}, machine.CarriesBoth, "draw?, ledger?, risk-network?, "},
		{limit.AnyCode, 3, machine.Format{Letters: true, Length: 15}, machine.CarriesBoth, ""},
		{limit.DigitsOnly, 1, machine.Format{Length: 9}, machine.CarriesBoth, "draw?, ledger?, risk-network?, "},
		{limit.DigitsOnly, 2, machine.Format{Letters: true, Length: 15}, machine.CarriesLink, ""},
		{limit.FewDigits, 1, machine.Format{Letters: true, Length: 15}, machine.CarriesLink, ""},
	} {
		m := at(time.Minute)
		m.Plan = climbed(t, test.shape, test.refusals)
		code := draft(machine.ByHandle)
		code.Carries = machine.CarriesCode // and a link all the same, where no code will do
		for _, d := range []machine.Challenge{draft(machine.ByHandle), code} {
			carries := d.Carries
			if test.carries == machine.CarriesLink {
				carries = machine.CarriesLink
			}
			begun := machine.Challenge{}.On(start(d), m)
			assert.Equal(t, []any{test.want, carries, uint8(0)}, []any{begun.Next.Format, begun.Next.Carries, begun.Next.Generation})
			assert.Equal(t, test.asks+"send-network, start, write", commits(begun.Batch))
			assert.Len(t, right(&begun.Next, m), test.want.Length)
		}

		again := short.On(machine.Send{}, m)
		assert.Equal(t, []any{test.want, test.carries}, []any{again.Next.Format, again.Next.Carries},
			"a message that goes out again grows too")
		assert.Equal(t, test.asks+"send-network, start, write", commits(again.Batch))
		old := machine.Redeem{Secret: short.Link(m.Key, m.Name), Where: machine.AnyBrowser}
		if test.refusals == 0 {
			assert.Zero(t, again.Next.Generation, "the same code is the same")
			assert.Equal(t, machine.Done, again.Next.On(old, m).Reason)
			continue
		}
		assert.Equal(t, uint8(1), again.Next.Generation, "the short code is worth nothing any more")
		assert.Equal(t, machine.WrongSecret, again.Next.On(old, m).Reason)
		for name, e := range map[string]machine.ChallengeEvent{
			"guess": machine.Guess{Code: right(&short, m)}, "check": machine.Check{Code: right(&short, m)},
		} {
			assert.Equal(t, machine.Malformed, again.Next.On(e, m).Reason, name)
		}
		m = at(5 * time.Minute)
		m.Plan.Rank = limit.KnownNetwork
		third := again.Next.On(machine.Send{}, m)
		assert.Equal(t, []any{test.want, test.carries, uint8(1)},
			[]any{third.Next.Format, third.Next.Carries, third.Next.Generation}, "what is long stays long")
		assert.Equal(t, test.asks+"send-network, start, write", commits(third.Batch), "and asks for what it is")
	}
}

func TestALinkAloneIsAllThatFinishes(t *testing.T) { // RL-4, CG-12
	m := at(time.Minute)
	m.Plan = climbed(t, limit.FewDigits, 1)
	c := open(t, draft(machine.ByHandle))
	c = c.On(machine.Send{}, m).Next
	assert.Equal(t, machine.Malformed, c.On(machine.Guess{Code: right(&c, m)}, m).Reason, "no code was sent")
	shown := c.On(machine.Guess{Code: right(&c, m), Shown: true}, m)
	assert.Equal(t, machine.Done, shown.Reason, "a page may show one of fifteen letters")
	assert.Equal(t, "guess?, draw back, ledger back, start back, write", commits(shown.Batch), "which nobody guesses")
	assert.Equal(t, machine.Done, c.On(machine.Redeem{Secret: c.Link(m.Key, m.Name)}, m).Reason)
}

func TestACodeBeginsAtTheRungOfThePlan(t *testing.T) { // RL-4, CG-1
	for rung, want := range formats {
		m := at(0)
		m.Plan = limit.Plan{Sends: true, Codes: limit.Codes{First: limit.Rung(rung)}}
		c := machine.Challenge{}.On(start(draft(machine.ByHandle)), m).Next
		assert.Equal(t, want, c.Format)
		assert.Len(t, right(&c, m), want.Length)
		assert.Equal(t, machine.CarriesBoth, c.Carries)
	}
}

func TestAResendAsksForTheAttemptsThatAreLeft(t *testing.T) { // RL-4
	for _, s := range scopes {
		c, m := open(t, draft(s)), at(time.Minute)
		c = c.On(machine.Guess{Code: wrong(&c, m)}, m).Next
		c = c.On(machine.Guess{Code: wrong(&c, m)}, from(stranger, m)).Next
		assert.Equal(t, []int64{30_000, 3}, costs(c.On(machine.Send{}, m).Batch, limit.Ledger), "scope %d", s)
	}
}

func TestTheFirstMessageKeepsTheCodeThatItsChallengeWasMadeWith(t *testing.T) { // RL-17, CG-8
	create, m := start(draft(machine.ByHandle)).Create, at(0)
	short := machine.Challenge{}.On(create, m)
	assert.Equal(t, "draw?, ledger?, risk?, write", commits(short.Batch), "what makes a challenge asks for its attempts")
	m.Plan = climbed(t, limit.AnyCode, 3)
	long := machine.Challenge{}.On(create, m)
	assert.Equal(t, "write", commits(long.Batch))
	assert.Len(t, right(&long.Next, m), 15)
	for _, made := range []machine.Challenge{short.Next, long.Next} {
		sent := made.On(machine.Send{Replace: true, Cooldown: cooldown}, m)
		assert.Equal(t, "send-network, start, write", commits(sent.Batch))
		assert.Equal(t, []any{made.Format, right(&made, m)}, []any{sent.Next.Format, right(&sent.Next, m)})
	}
}

func TestAResendRepeatsOrReplacesTheSecrets(t *testing.T) { // CG-8
	c, m := open(t, draft(machine.ByHandle)), at(time.Minute)
	kept, replaced := c.On(machine.Send{}, m).Next, c.On(machine.Send{Replace: true}, m).Next
	for name, of := range map[string]func(*machine.Challenge) string{
		"code": func(c *machine.Challenge) string { return right(c, m) },
		"link": func(c *machine.Challenge) string { return c.Link(m.Key, m.Name) },
		"kill": func(c *machine.Challenge) string { return c.Kill(m.Key, m.Name) },
	} {
		assert.Equal(t, of(&c), of(&kept), name)
		assert.NotEqual(t, of(&c), of(&replaced), name)
	}
	assert.Equal(t, machine.WrongSecret, replaced.On(machine.Guess{Code: right(&c, m)}, m).Reason)
	assert.Equal(t, c.Expires, kept.Expires, "a resend gives no more time")
	assert.Equal(t, c.Tries, kept.Tries, "and no more attempts")
	ids := []string{c.MessageID(), kept.MessageID(), replaced.MessageID()}
	slices.Sort(ids)
	assert.Len(t, slices.Compact(ids), 3, "each message has a name")
}

func TestTheFirstMessageReplacesNothing(t *testing.T) { // CG-8
	made := machine.Challenge{}.On(start(draft(machine.ByHandle)).Create, at(0)).Next
	d := made.On(machine.Send{Replace: true, Cooldown: cooldown}, at(time.Second))
	assert.Equal(t, []any{machine.Done, machine.Nothing}, []any{d.Reason, d.Note})
	assert.Equal(t, []uint8{0, 0}, []uint8{d.Next.Generation, d.Next.Resends})
	assert.Equal(t, began.Add(life), d.Next.Expires, "its expiry counts from its making")
}

func TestTheCooldownDoubles(t *testing.T) { // RL-1
	e := start(draft(machine.ByHandle))
	e.Resends, e.Life = 10, 24*time.Hour
	c := machine.Challenge{}.On(e, at(0)).Next
	now := time.Duration(0)
	for _, minutes := range []float64{0.5, 1, 2, 4, 8, 16, 32, 32, 32, 32} {
		wait := time.Duration(minutes * float64(time.Minute))
		assert.Equal(t, wait, c.ResendAfter(cooldown))
		d := c.On(machine.Send{Cooldown: cooldown}, at(now+wait-1))
		require.Equal(t, []any{machine.TooSoon, time.Duration(1)}, []any{d.Reason, d.Wait})
		now += wait
		d = c.On(machine.Send{Cooldown: cooldown}, at(now))
		require.Equal(t, machine.Done, d.Reason)
		c = d.Next
	}
	assert.Equal(t, machine.NoResends, c.On(machine.Send{Cooldown: cooldown}, at(23*time.Hour)).Reason)
	assert.Equal(t, time.Hour, c.ResendAfter(time.Hour), "a first wait longer than half an hour stays as it is")
}

func TestTheNetworkThatBeganPaysForACancel(t *testing.T) { // RL-1
	c, m := open(t, draft(machine.ByHandle)), from(stranger, at(0))
	m.Plan.Cancels = true
	d := c.On(machine.Cancel{Secret: c.Kill(m.Key, m.Name)}, m)
	require.Equal(t, "start, write", commits(d.Batch))
	assert.Equal(t, string(home.Network), d.Batch.Charges[0].Bucket.Name)
	assert.Equal(t, int64(3), d.Batch.Charges[0].Windows[0].Cost)
	require.Equal(t, limit.Again, m.Plan.Ease(&store.LimitedError{Bucket: d.Batch.Charges[0].Bucket}))
	d = c.On(machine.Cancel{Secret: c.Kill(m.Key, m.Name)}, m)
	assert.Equal(t, "write", commits(d.Batch), "a network with nothing left does not keep the challenge alive")
}

func TestWhereALinkFinishes(t *testing.T) { // BD-4, BD-5
	for _, test := range []struct {
		where machine.Where
		state string
		by    machine.Caller
		want  machine.Reason
	}{
		{machine.SameBrowser, "s", home, machine.Done},
		{machine.SameBrowser, "s", stranger, machine.OtherBrowser},
		{machine.AnyBrowser, "", stranger, machine.Done},
		{machine.IfState, "", stranger, machine.OtherBrowser},
		{machine.IfState, "s", stranger, machine.Done},
		{machine.IfState, "", home, machine.Done},
	} {
		d := draft(machine.ByHandle)
		d.ClientState = test.state
		c := open(t, d)
		got := c.On(machine.Redeem{Secret: c.Link(at(0).Key, at(0).Name), Where: test.where}, from(test.by, at(0)))
		assert.Equal(t, test.want, got.Reason, "%+v", test)
	}
}

func TestACodeThatWasNotSentIsNoCode(t *testing.T) { // CG-12, BD-5
	d := draft(machine.ByHandle)
	d.Carries = machine.CarriesLink
	c := open(t, d)
	for _, shown := range []bool{false, true} {
		want := map[bool]machine.Reason{false: machine.Malformed, true: machine.Done}[shown]
		assert.Equal(t, want, c.On(machine.Guess{Code: right(&c, at(0)), Shown: shown}, at(0)).Reason)
		assert.Equal(t, want, c.On(machine.Check{Code: right(&c, at(0)), Shown: shown}, at(0)).Reason)
	}
	d.Carries = machine.CarriesCode
	c = open(t, d)
	assert.Equal(t, machine.WrongSecret, c.On(machine.Redeem{Secret: c.Link(at(0).Key, at(0).Name)}, at(0)).Reason, "nor is a link")
}

func TestAShownCodeCountsForItsInitiatorAlone(t *testing.T) { // CG-12, BD-5, BD-6
	for _, s := range scopes {
		d := draft(s)
		d.Carries = machine.CarriesLink
		c := open(t, d)
		for _, code := range []string{right(&c, at(0)), wrong(&c, at(0))} {
			for name, e := range map[string]machine.ChallengeEvent{
				"guess": machine.Guess{Code: code, Shown: true}, "check": machine.Check{Code: code, Shown: true},
			} {
				got := c.On(e, from(stranger, at(0)))
				if s == machine.ByHandle || s == machine.ByRequest { // whoever has the secret began it
					assert.NotEqual(t, machine.Malformed, got.Reason, name)
					continue
				}
				assert.Equal(t, machine.Malformed, got.Reason, "a stranger's %s, scope %d", name, s)
				assert.Equal(t, "guess", commits(got.Batch), "it is not looked at")
				assert.Equal(t, c, got.Next)
				assert.NotEqual(t, machine.Malformed, c.On(e, at(0)).Reason, "the initiator's %s", name)
			}
		}
	}
}

func TestAKnownDevicePaysForItself(t *testing.T) { // BD-7, RL-5
	for _, draft := range kinds() {
		c, m := open(t, draft), at(0)
		m.By.Device, m.Plan.Rank = "device of alice.", limit.KnownDevice
		d := c.On(machine.Guess{Code: wrong(&c, m)}, m)
		assert.Equal(t, "device, guess, ledger, write", commits(d.Batch))
		assert.Equal(t, string(m.By.Device), d.Batch.Charges[1].Bucket.Name, "a verify of its own, and not of its network")
		assert.Equal(t, []int64{0, 1}, costs(d.Batch, limit.Ledger), "a consecutive failure and no guess of the ledger")
		assert.Equal(t, limit.Receipt{Start: true}, d.Next.Charged)
		if c.Carries.Link() {
			d = c.On(machine.Redeem{Secret: c.Link(m.Key, m.Name)}, m)
			assert.Equal(t, "device?, device back, draw back, ledger back, start back, write", commits(d.Batch))
		}
	}
}

// costs are what a batch takes from the windows of the bucket of a kind.
func costs(b store.Batch, kind store.Kind) (all []int64) {
	for _, c := range b.Charges {
		for _, w := range c.Windows {
			if c.Bucket.Kind == kind {
				all = append(all, w.Cost)
			}
		}
	}
	return all
}

func TestAMessageThatWasNotTakenIsGivenBack(t *testing.T) { // RL-1, RL-9
	for _, draft := range kinds() {
		for i, p := range slices.Concat(plans(limit.Stranger, true), plans(limit.KnownNetwork, true), plans(limit.KnownDevice, true)) {
			m := at(0)
			m.Plan, m.By.Device = p, "device of alice."
			d := machine.Challenge{}.On(start(draft), m)
			m.Now = m.Now.Add(time.Second)
			back := d.Next.Unsend(m)
			require.NoError(t, back.Validate())
			assert.Empty(t, back.Puts)
			assert.Empty(t, back.Charges)
			var want []store.Charge
			for _, c := range d.Batch.Charges {
				if !c.Look && c.Bucket.Kind != limit.Starts {
					want = append(want, c)
				}
			}
			assert.Equal(t, want, back.GiveBacks, "plan %d", i)
		}
	}
}

func TestEveryDecisionOfEveryPlanIsSound(t *testing.T) { // RL-16
	for _, draft := range kinds() {
		for _, rank := range ranks {
			for _, sends := range []bool{false, true} {
				for i, p := range plans(rank, sends) {
					for _, name := range sorted(challengeEvents) {
						c, m := open(t, draft), at(time.Minute)
						e := challengeEvents[name](&c, &m)
						m.Plan, m.By.Device = p, "device of alice."
						if e != nil {
							d := c.On(e, m)
							sound(t, d.Batch, m)
							for _, put := range d.Batch.Puts {
								read, err := machine.DecodeChallenge(put.Record.Body)
								require.NoError(t, err, name)
								assert.Equal(t, d.Next, read, "%s, plan %d: what is answered is written", name, i)
								assert.Equal(t, d.Next.Expires.Add(machine.Retention), put.Record.Expires)
								assert.Equal(t, store.StageDecide, put.Stage)
							}
						}
					}
				}
			}
		}
	}
}

func TestACallThatTriesAnotherStripeChargesAnother(t *testing.T) { // RL-9
	m := at(0)
	m.Plan.Sends, m.Plan.Rank = true, limit.KnownNetwork
	seen := map[string]bool{}
	for range 4 {
		d := machine.Challenge{}.On(start(text(machine.ByHandle)), m)
		for _, c := range d.Batch.Charges {
			if c.Bucket.Kind == limit.SMSEveryone {
				assert.False(t, seen[c.Bucket.Name])
				seen[c.Bucket.Name] = true
				assert.Equal(t, fmt.Sprintf("%x", d.Next.Stripe), c.Bucket.Name, "later guesses charge the same")
			}
		}
		m.Plan.Ease(refusedBy(limit.SMSEveryone))
	}
	assert.Len(t, seen, 4)
}

// FuzzNothingSucceedsOutOfOrder lets anything happen to a challenge, and holds it to what it is for.
func FuzzNothingSucceedsOutOfOrder(f *testing.F) { // VF-8, CG-7
	f.Add([]byte("0123456789"))
	names := sorted(challengeEvents)
	f.Fuzz(func(t *testing.T, happenings []byte) {
		c, finished := machine.Challenge{}, false
		for i, n := range happenings {
			m, was := at(time.Duration(i)*time.Minute), c
			name := names[int(n)%len(names)]
			e := challengeEvents[name](&c, &m)
			if e == nil {
				continue
			}
			if c != was && was.State == machine.StateOpen {
				c = was // what the table changes before has happened to nobody
			}
			d := c.On(e, m)
			if err := d.Batch.Validate(); err != nil {
				t.Fatal(name, err)
			}
			_, begins := e.(machine.Start)
			_, makes := e.(machine.Create)
			ends := d.Next.State == machine.StateConsumed && was.State != machine.StateConsumed
			switch {
			case ends && (finished || was.State != machine.StateOpen):
				t.Fatalf("%s succeeds out of order", name)
			case was.State > machine.StateOpen && d.Next.State != was.State && !begins && !makes:
				t.Fatalf("%s leads from %d to %d", name, was.State, d.Next.State)
			}
			if finished = finished || ends; d.Next.State == machine.StateOpen && (begins || makes) {
				finished = false
			}
			if writes(d.Batch) {
				c = d.Next
			} else {
				c = was
			}
		}
	})
}
