package machine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless/internal/machine"
	"github.com/seed62b93bad/passwordless/internal/secret"
	"github.com/seed62b93bad/passwordless/store"
)

var challengeStates = []string{
	machine.NoChallenge: "none", machine.StateOpen: "open", machine.StateConsumed: "consumed", machine.StateExhausted: "exhausted",
	machine.StateCancelled: "cancelled", machine.StateRevoked: "revoked", machine.StateExpired: "expired",
}

var scopes = []machine.Scope{machine.ByHandle, machine.ByAddress, machine.ByUser, machine.ByRequest}

// A happening makes an event for a challenge, which it may change before, as it may the moment. It makes none for what only the
// moment tells.
type happening func(c *machine.Challenge, m *machine.Moment) machine.ChallengeEvent

// lastAttempt leaves the caller the last attempt of all.
func lastAttempt(c *machine.Challenge) {
	if c.State == machine.StateOpen {
		c.Tries[0].Used, c.Tries[1].Used = c.Tries[0].Most-1, c.Tries[1].Most
	}
}

func guess(code func(*machine.Challenge, machine.Moment) string, before ...func(*machine.Challenge)) happening {
	return func(c *machine.Challenge, m *machine.Moment) machine.ChallengeEvent {
		for _, f := range before {
			f(c)
		}
		return machine.Guess{Code: code(c, *m), Return: c.Redirect}
	}
}

func check(code func(*machine.Challenge, machine.Moment) string, before ...func(*machine.Challenge)) happening {
	return func(c *machine.Challenge, m *machine.Moment) machine.ChallengeEvent {
		for _, f := range before {
			f(c)
		}
		return machine.Check{Code: code(c, *m)}
	}
}

func malformed(*machine.Challenge, machine.Moment) string { return "12345" }

func redeem(change func(*machine.Redeem, *machine.Moment)) happening {
	return func(c *machine.Challenge, m *machine.Moment) machine.ChallengeEvent {
		e := machine.Redeem{Secret: c.Link(m.Key, m.Name), LinkURL: c.LinkURL, Return: c.Redirect}
		if change != nil {
			change(&e, m)
		}
		return e
	}
}

// begin is a second start, for another seed.
func begin(again machine.Again, same bool) happening {
	return func(c *machine.Challenge, m *machine.Moment) machine.ChallengeEvent {
		e := start(draft(c.Scope))
		e.Draft.Again, e.Draft.Seed = again, secret.Seed{4, 1}
		if same {
			e.Repeats = c.Seed
		}
		return e
	}
}

var challengeEvents = map[string]happening{
	"right code":      guess(right),
	"wrong code":      guess(wrong),
	"last wrong code": guess(wrong, lastAttempt),
	"malformed code":  guess(malformed),
	"right code of another client": func(c *machine.Challenge, m *machine.Moment) machine.ChallengeEvent {
		m.By.Client = "other"
		return machine.Guess{Code: right(c, *m)}
	},
	"right code for another redirect URI": func(c *machine.Challenge, m *machine.Moment) machine.ChallengeEvent {
		return machine.Guess{Code: right(c, *m), Return: callback + "/2"}
	},
	"right code of another client for another redirect URI": func(c *machine.Challenge, m *machine.Moment) machine.ChallengeEvent {
		m.By.Client = "other"
		return machine.Guess{Code: right(c, *m), Return: callback + "/2"}
	},

	"wrong code for another redirect URI": func(c *machine.Challenge, m *machine.Moment) machine.ChallengeEvent {
		return machine.Guess{Code: wrong(c, *m), Return: callback + "/2"}
	},

	"check right code":                     check(right),
	"check right code at the last attempt": check(right, lastAttempt),
	"check wrong code":                     check(wrong),
	"check last wrong code":                check(wrong, lastAttempt),
	"check malformed code":                 check(malformed),

	"right link": redeem(nil),
	"wrong link": redeem(func(e *machine.Redeem, _ *machine.Moment) { e.Secret = "x" + e.Secret[1:] }),
	"right link elsewhere": redeem(func(_ *machine.Redeem, m *machine.Moment) {
		m.By = stranger
	}),
	"right link anywhere": redeem(func(e *machine.Redeem, m *machine.Moment) {
		m.By, e.Where = stranger, machine.AnyBrowser
	}),
	"right link where it does not lead": redeem(func(e *machine.Redeem, _ *machine.Moment) { e.LinkURL = callback }),
	"right link for another redirect URI": func(c *machine.Challenge, m *machine.Moment) machine.ChallengeEvent {
		return machine.Redeem{Secret: c.Link(m.Key, m.Name), Return: callback + "/2"}
	},
	"wrong link for another redirect URI": redeem(func(e *machine.Redeem, _ *machine.Moment) {
		e.Secret, e.Return = "x"+e.Secret[1:], callback+"/2"
	}),
	"right link of another client": redeem(func(_ *machine.Redeem, m *machine.Moment) { m.By.Client = "other" }),
	"right link of another client for another redirect URI": redeem(func(e *machine.Redeem, m *machine.Moment) {
		m.By.Client, e.Return = "other", callback+"/2"
	}),

	"cancel": func(c *machine.Challenge, m *machine.Moment) machine.ChallengeEvent {
		m.By = stranger
		return machine.Cancel{Secret: c.Kill(m.Key, m.Name)}
	},
	"cancel with a wrong secret": func(c *machine.Challenge, m *machine.Moment) machine.ChallengeEvent {
		return machine.Cancel{Secret: c.Link(m.Key, m.Name)}
	},

	"first send": func(c *machine.Challenge, _ *machine.Moment) machine.ChallengeEvent {
		c.Sent = 0
		return machine.Send{Cooldown: cooldown}
	},
	"send again": func(*machine.Challenge, *machine.Moment) machine.ChallengeEvent {
		return machine.Send{Cooldown: cooldown}
	},
	"send again too soon": func(c *machine.Challenge, m *machine.Moment) machine.ChallengeEvent {
		m.Now = c.Sent.Add(cooldown - 1)
		return machine.Send{Cooldown: cooldown}
	},
	"send again with none left": func(c *machine.Challenge, _ *machine.Moment) machine.ChallengeEvent {
		c.Resends = c.MaxResends
		return machine.Send{Cooldown: cooldown}
	},

	"create": func(c *machine.Challenge, m *machine.Moment) machine.ChallengeEvent {
		return begin(machine.Replace, false)(c, m).(machine.Start).Create
	},
	"start that replaces": begin(machine.Replace, false),
	"start that yields":   begin(machine.Refuse, false),
	"start that repeats":  begin(machine.Repeat, true),
	"start that repeats one with no attempt left": func(c *machine.Challenge, m *machine.Moment) machine.ChallengeEvent {
		c.Tries[0].Used = c.Tries[0].Most
		return begin(machine.Repeat, true)(c, m)
	},
	"start that repeats another one": begin(machine.Repeat, false),

	"its time passes": func(c *machine.Challenge, m *machine.Moment) machine.ChallengeEvent { m.Now = c.Expires; return nil },
	"its user is signed out": func(c *machine.Challenge, m *machine.Moment) machine.ChallengeEvent {
		m.Revoked = c.Started
		return nil
	},
}

// challengeIn is a challenge that events brought into a state.
func challengeIn(t *testing.T, state string, d machine.Challenge) machine.Challenge {
	t.Helper()
	c := machine.Challenge{}
	if state != "none" {
		c = open(t, d)
	}
	m := at(time.Minute)
	var e machine.ChallengeEvent
	switch state {
	case "consumed":
		e = machine.Guess{Code: right(&c, m)}
	case "exhausted":
		lastAttempt(&c)
		e = machine.Guess{Code: wrong(&c, m)}
	case "cancelled":
		e = machine.Cancel{Secret: c.Kill(m.Key, m.Name)}
	case "revoked":
		m.Revoked = c.Started
		e = machine.Guess{Code: right(&c, m)}
	case "expired":
		m.Now = c.Expires
		e = machine.Guess{Code: right(&c, m)}
	}
	if e != nil {
		c = c.On(e, m).Next
	}
	require.Equal(t, state, challengeStates[c.State])
	return c
}

func TestTheChallengeTable(t *testing.T) { // VF-4, VF-8, CG-7
	for s, name := range []string{"by handle", "by address", "by user", "by request"} {
		t.Run(name, func(t *testing.T) {
			walk(t, "Challenge", 6, [][]string{challengeStates, sorted(challengeEvents)}, func(t *testing.T, key, want []string) {
				tryChallenge(t, challengeIn(t, key[0], draft(machine.Scope(s))), key, want)
			})
		})
	}
}

// tryChallenge holds a row of the table, for a state and an event, against what happens to a challenge.
func tryChallenge(t *testing.T, c machine.Challenge, key, want []string) {
	t.Helper()
	if want[0] == "same" {
		want[0] = key[0]
	}
	if want[1] == "its state" {
		want[1] = key[0]
	}
	m := at(2 * time.Minute)
	e := challengeEvents[key[1]](&c, &m)
	if e == nil {
		assert.Equal(t, want, []string{challengeStates[c.Live(&m)], "", "nothing", ""})
		return
	}
	d := c.On(e, m)
	assert.Equal(t, want, []string{challengeStates[d.Next.State], answers[d.Reason], commits(d.Batch), reports[d.Note]})
	sound(t, d.Batch, m)
	if !writes(d.Batch) {
		assert.Equal(t, c.State, d.Next.State, "another state that nobody writes")
	}
}

func writes(b store.Batch) bool { return len(b.Puts) > 0 }
