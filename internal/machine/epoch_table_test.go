package machine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/seed62b93bad/passwordless/internal/machine"
	"github.com/seed62b93bad/passwordless/store"
)

const (
	skew  = 2 * time.Second
	alice = "the identifier.."
	bob   = "another identif."
)

// epochs are the states of an epoch, a second before the moment of the walk.
var epochs = map[string]machine.Epoch{
	"quiet":                {Number: 7},
	"claimed":              {Number: 7, Claimed: alice, ClaimedAt: began},
	"claimed a minute ago": {Number: 7, Claimed: alice, ClaimedAt: began.Add(time.Second - machine.ClaimStands)},
	"claimed by another":   {Number: 7, Claimed: bob, ClaimedAt: began},
	"signed out":           {Number: 7, At: began},
}

func epochState(e machine.Epoch, now store.Instant) string {
	switch {
	case e.Claimed == bob:
		return "claimed by another"
	case e.Claimed == alice && now >= e.ClaimedAt.Add(machine.ClaimStands):
		return "claimed a minute ago"
	case e.Claimed == alice:
		return "claimed"
	case e.At != 0:
		return "signed out"
	}
	return "quiet"
}

// firstProof is that of a user who was found under a number so much before the present one. late tells whether its challenge
// began after what the last sign-out ends, if there was one.
func firstProof(before int64, late bool) func(machine.Epoch) machine.EpochEvent {
	return func(e machine.Epoch) machine.EpochEvent {
		p := machine.ClaimFirstProof{Identifier: alice, Began: began, Found: e.Number - before}
		if until := e.RevokedUntil(skew); until != 0 {
			p.Began = until
		}
		if late {
			p.Began++
		}
		return p
	}
}

// giveUp is that of the first proof which claimed the number so much before the present one.
func giveUp(before int64) func(machine.Epoch) machine.EpochEvent {
	return func(e machine.Epoch) machine.EpochEvent {
		return machine.ReleaseFirstProof{Identifier: alice, Number: e.Number - before}
	}
}

var epochEvents = map[string]func(machine.Epoch) machine.EpochEvent{
	"sign out":                                   func(machine.Epoch) machine.EpochEvent { return machine.SignOut{} },
	"first proof":                                firstProof(0, true),
	"first proof found one before":               firstProof(1, true),
	"first proof found two before":               firstProof(2, true),
	"first proof found nowhere":                  firstProof(8, true),
	"first proof begun before":                   firstProof(0, false),
	"first proof begun before and found nowhere": firstProof(8, false),
	"give up its first proof":                    giveUp(0),
	"give up a first proof of another number":    giveUp(1),
}

func TestTheEpochTable(t *testing.T) { // AC-2, SS-6
	walk(t, "Epoch", 7, [][]string{sorted(epochs), sorted(epochEvents)}, func(t *testing.T, key, want []string) {
		e, m := epochs[key[0]], at(time.Second)
		m.Revoked = e.RevokedUntil(skew)
		d := e.On(epochEvents[key[1]](e), m)
		if want[0] == "same" {
			want[0] = key[0]
		}
		moved := map[int64]string{0: "stays", 1: "moves"}[d.Next.Number-e.Number]
		assert.Equal(t, want, []string{epochState(d.Next, m.Now), moved, answers[d.Reason], commits(d.Batch), reports[d.Note]})
		sound(t, d.Batch, m)
		if !writes(d.Batch) {
			assert.Equal(t, e, d.Next, "a change that nobody writes")
		}
	})
}

func TestTheClaimTable(t *testing.T) { // TK-8
	events := map[string]machine.ClaimEvent{
		"take": machine.Take{Kind: "jti", Expires: began.Add(time.Hour)}, "release": machine.Release{Kind: "jti"},
	}
	walk(t, "Claim", 5, [][]string{{"absent", "claimed"}, sorted(events)}, func(t *testing.T, key, want []string) {
		c, m := machine.Claim{Claimed: key[0] == "claimed"}, at(0)
		d := c.On(events[key[1]], m)
		if want[0] == "same" {
			want[0] = key[0]
		}
		next := "absent"
		if d.Next.Claimed {
			next = "claimed"
		}
		assert.Equal(t, want, []string{next, answers[d.Reason], commits(d.Batch)})
		sound(t, d.Batch, m)
	})
}

// accounts are what the directory may know.
var accounts = map[string]machine.Account{
	"nobody":              {},
	"active":              {Exists: true, Proved: true},
	"unproved":            {Exists: true},
	"locked":              {Exists: true, Status: machine.LockedOut},
	"timed out":           {Exists: true, Status: machine.TimedOut},
	"unwanted":            {Exists: true, Status: machine.Unwanted},
	"of a status to come": {Exists: true, Status: machine.Unwanted + 1},
}

var outcomes = map[machine.Outcome]string{
	machine.Complete: "complete", machine.OutRevoked: "revoked", machine.NoAccount: "no account", machine.NewAccount: "new account",
	machine.OutLocked: "locked", machine.OutExpired: "expired", machine.OutBlocked: "blocked", machine.FirstProof: "first proof",
}

func TestTheTableOfTheJudge(t *testing.T) { // AC-1, AC-2, AC-6
	proofs := []string{"made now", "of this epoch", "of an earlier epoch"}
	walk(t, "Judge", 4, [][]string{sorted(accounts), proofs, {"open", "closed"}}, func(t *testing.T, key, want []string) {
		for _, proved := range []bool{false, true} {
			p, a := proof(), accounts[key[0]]
			if a.Status != machine.Active {
				a.Proved = proved
			}
			a.Epoch, a.Fresh = p.Epoch, key[1] == "made now"
			if key[1] != "of this epoch" {
				a.Epoch++
			}
			assert.Equal(t, want[0], outcomes[machine.Judge(p, a, key[2] == "closed")])
		}
	})
}

func TestTheTableOfOutcomes(t *testing.T) { // AC-1
	var names []string
	for o := machine.Complete; o <= machine.FirstProof; o++ {
		names = append(names, outcomes[o])
	}
	yes := map[bool]string{true: "yes", false: "no"}
	walk(t, "What comes of it", 6, [][]string{names}, func(t *testing.T, key, want []string) {
		for o, name := range outcomes {
			if name == key[0] {
				assert.Equal(t, want[:3], []string{yes[o.Grants()], yes[o.Refused()], yes[o.Suppresses()]})
			}
		}
	})
}
