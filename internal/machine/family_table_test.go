package machine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless/internal/machine"
	"github.com/seed62b93bad/passwordless/store"
)

const (
	idle     = 14 * 24 * time.Hour
	absolute = 30 * 24 * time.Hour
	grace    = 10 * time.Second
)

var familyStates = []string{machine.FamilyLive: "live", machine.FamilyRevoked: "revoked", machine.FamilyOver: "over"}

// families are the kinds of families, with a last number of tokens: 2, so that there is a former and an older token.
var families = map[string]machine.Family{
	"session":  {},
	"one-time": {Rotates: true, Usage: machine.OneTime},
	"reusable": {Rotates: true, Usage: machine.Reusable},
}

// family is a live family of a kind.
func family(kind string, x machine.Expiry) machine.Family {
	f := families[kind]
	f.State, f.Expiry, f.Counter = machine.FamilyLive, x, 2
	f.Proof = proof()
	f.Subject, f.Audience, f.Scope = "subject", "https://api.example.com", "openid email offline_access"
	f.Idle, f.Grace, f.Used, f.Rotated, f.End = idle, grace, began, began, began.Add(absolute)
	return f
}

func proof() machine.Proof {
	return machine.Proof{Client: "web", UserID: "u1", Channel: "email", Address: "alice@example.com", Epoch: 7,
		Methods: []machine.Method{{Name: "code", Channel: "email", At: began}}}
}

// tokenOf is the token of a family with a number, taken apart.
func tokenOf(t *testing.T, f machine.Family, m machine.Moment, counter uint32) machine.FamilyToken {
	t.Helper()
	f.Counter = counter
	token, ok := machine.OpenFamilyToken(f.Token(m.Key, m.Name, m.Owner))
	require.True(t, ok)
	return token
}

// forged is a token made with another key.
func forged(t *testing.T, f machine.Family, m machine.Moment) machine.FamilyToken {
	t.Helper()
	m.Key = keyOf("another key")
	return tokenOf(t, f, m, f.Counter)
}

// A familyHappening makes an event for a family, which it may change before, as it may the moment. It makes none for what only
// the moment tells.
type familyHappening func(t *testing.T, f *machine.Family, m *machine.Moment) machine.FamilyEvent

func use(counter uint32, change func(*machine.Family, *machine.Moment)) familyHappening {
	return func(t *testing.T, f *machine.Family, m *machine.Moment) machine.FamilyEvent {
		e := machine.Use{Token: tokenOf(t, *f, *m, counter)}
		if change != nil {
			change(f, m)
		}
		return e
	}
}

func refresh(counter uint32, change func(*machine.Refresh, *machine.Family, *machine.Moment)) familyHappening {
	return func(t *testing.T, f *machine.Family, m *machine.Moment) machine.FamilyEvent {
		e := machine.Refresh{Token: tokenOf(t, *f, *m, counter)}
		if change != nil {
			change(&e, f, m)
		}
		return e
	}
}

func revoke(change func(*machine.RevokeFamily, *machine.Moment)) familyHappening {
	return func(t *testing.T, f *machine.Family, m *machine.Moment) machine.FamilyEvent {
		e := machine.RevokeFamily{Token: tokenOf(t, *f, *m, 0)}
		if change != nil {
			change(&e, m)
		}
		return e
	}
}

// passes is a time at which a family that was last used at the one before is looked at.
func passes(x machine.Expiry, used, now time.Duration) familyHappening {
	return func(_ *testing.T, f *machine.Family, m *machine.Moment) machine.FamilyEvent {
		f.Expiry, f.Used, m.Now = x, began.Add(used), began.Add(now)
		return nil
	}
}

var familyEvents = map[string]familyHappening{
	"use":                   use(2, nil),
	"use again soon":        use(2, func(f *machine.Family, m *machine.Moment) { f.Used = m.Now.Add(-f.Idle / 10) }),
	"use if fixed":          use(2, func(f *machine.Family, _ *machine.Moment) { f.Expiry = machine.Fixed }),
	"use of another number": use(1, nil),
	"use of a forged token": func(t *testing.T, f *machine.Family, m *machine.Moment) machine.FamilyEvent {
		return machine.Use{Token: forged(t, *f, *m)}
	},

	"refresh":          refresh(2, nil),
	"refresh if fixed": refresh(2, func(_ *machine.Refresh, f *machine.Family, _ *machine.Moment) { f.Expiry = machine.Fixed }),
	"refresh with the former token in grace": refresh(1, func(_ *machine.Refresh, f *machine.Family, m *machine.Moment) {
		f.Rotated = m.Now.Add(-grace + 1)
	}),
	"refresh with the former token after grace": refresh(1, func(_ *machine.Refresh, f *machine.Family, m *machine.Moment) {
		f.Rotated = m.Now.Add(-grace)
	}),
	"refresh with an older token": refresh(0, func(_ *machine.Refresh, f *machine.Family, m *machine.Moment) {
		f.Rotated = m.Now
	}),
	"refresh with a token to come": refresh(3, nil),
	"refresh with a forged token": func(t *testing.T, f *machine.Family, m *machine.Moment) machine.FamilyEvent {
		return machine.Refresh{Token: forged(t, *f, *m)}
	},
	"refresh by another client": refresh(2, func(_ *machine.Refresh, _ *machine.Family, m *machine.Moment) {
		m.By.Client = "other"
	}),
	"refresh in another tenant": refresh(2, func(_ *machine.Refresh, _ *machine.Family, m *machine.Moment) {
		m.By.Tenant = "other"
	}),
	"refresh for fewer scopes": refresh(2, func(e *machine.Refresh, _ *machine.Family, _ *machine.Moment) {
		e.Scopes = []string{"email"}
	}),
	"refresh for more scopes": refresh(2, func(e *machine.Refresh, _ *machine.Family, _ *machine.Moment) {
		e.Scopes = []string{"email", "admin"}
	}),
	"refresh for its audience": refresh(2, func(e *machine.Refresh, f *machine.Family, _ *machine.Moment) {
		e.Audience = f.Audience
	}),
	"refresh for another audience": refresh(2, func(e *machine.Refresh, _ *machine.Family, _ *machine.Moment) {
		e.Audience = "https://other.example.com"
	}),

	"revoke by an old token": revoke(nil),
	"revoke by a forged token": func(t *testing.T, f *machine.Family, m *machine.Moment) machine.FamilyEvent {
		return machine.RevokeFamily{Token: forged(t, *f, *m)}
	},
	"revoke by its client": revoke(func(e *machine.RevokeFamily, _ *machine.Moment) { e.Client = "web" }),
	"revoke by its client in another tenant": revoke(func(e *machine.RevokeFamily, m *machine.Moment) {
		e.Client, m.By.Tenant = "web", "other"
	}),
	"revoke by another client": revoke(func(e *machine.RevokeFamily, _ *machine.Moment) { e.Client = "other" }),
	"revoke of its user":       revoke(func(e *machine.RevokeFamily, _ *machine.Moment) { *e = machine.RevokeFamily{UserID: "u1"} }),
	"revoke of another user":   revoke(func(e *machine.RevokeFamily, _ *machine.Moment) { e.UserID = "u2" }),
	"revoke in another tenant": revoke(func(e *machine.RevokeFamily, m *machine.Moment) { e.UserID, m.By.Tenant = "u1", "other" }),

	"its user is signed out": func(_ *testing.T, _ *machine.Family, m *machine.Moment) machine.FamilyEvent {
		m.Epoch++
		return nil
	},
	"idle: sliding to a maximum": passes(machine.SlidingToMaximum, 0, idle),
	"idle: fixed":                passes(machine.Fixed, 0, idle),
	"idle: sliding":              passes(machine.Sliding, 0, idle),
	"end: sliding to a maximum":  passes(machine.SlidingToMaximum, absolute-1, absolute),
	"end: fixed":                 passes(machine.Fixed, absolute-1, absolute),
	"end: sliding":               passes(machine.Sliding, absolute-1, absolute),
}

// familyAt is a moment in the life of a family.
func familyAt(after time.Duration) machine.Moment {
	m := at(after)
	m.Epoch = 7
	return m
}

// familyIn is a family that an event brought into a state.
func familyIn(t *testing.T, state string, f machine.Family) machine.Family {
	t.Helper()
	m := familyAt(time.Minute)
	switch state {
	case "revoked":
		f = f.On(machine.RevokeFamily{UserID: "u1"}, m).Next
	case "over":
		m.Now = f.Expires()
		if f.Rotates {
			f = f.On(machine.Refresh{Token: tokenOf(t, f, m, 2)}, m).Next
		} else {
			f = f.On(machine.Use{Token: tokenOf(t, f, m, 2)}, m).Next
		}
	}
	require.Equal(t, state, familyStates[f.State])
	return f
}

func TestTheFamilyTable(t *testing.T) { // TK-9, TK-10, SS-6
	for name, x := range map[string]machine.Expiry{"sliding to a maximum": machine.SlidingToMaximum, "sliding": machine.Sliding} {
		t.Run(name, func(t *testing.T) {
			words := [][]string{sorted(families), familyStates[1:], sorted(familyEvents)}
			walk(t, "Session and refresh token family", 7, words, func(t *testing.T, key, want []string) {
				tryFamily(t, familyIn(t, key[1], family(key[0], x)), key, want)
			})
		})
	}
}

// tryFamily holds a row of the table, for a kind, a state and an event, against what happens to a family.
func tryFamily(t *testing.T, f machine.Family, key, want []string) {
	t.Helper()
	if want[0] == "same" {
		want[0] = key[1]
	}
	m := familyAt(2 * 24 * time.Hour)
	e := familyEvents[key[2]](t, &f, &m)
	if e == nil {
		assert.Equal(t, want, []string{familyStates[f.Live(&m)], "", "nothing", ""})
		return
	}
	d := f.On(e, m)
	assert.Equal(t, want, []string{familyStates[d.Next.State], answers[d.Reason], commits(d.Batch), reports[d.Note]})
	sound(t, d.Batch, m)
	if !writes(d.Batch) {
		assert.Equal(t, f, d.Next, "a change that nobody writes")
	}
}

var codeStates = []string{machine.CodeOpen: "open", machine.CodeUsed: "used", machine.CodeOver: "over"}

const (
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	codeLife = time.Minute
)

func code() machine.AuthorizationCode {
	return machine.AuthorizationCode{State: machine.CodeOpen, Proof: proof(), RedirectURI: callback,
		Challenge: machine.ChallengeOf(verifier), Scope: "openid", Audience: "https://api.example.com", Nonce: "nonce",
		Granted: began, Expires: began.Add(codeLife), KeyID: "k1"}
}

func exchangeOf(c machine.AuthorizationCode, m machine.Moment) machine.Exchange {
	_, presented, _ := machine.OpenCode(c.Token(m.Key, m.Name))
	return machine.Exchange{Secret: presented, RedirectURI: callback, Registered: true, Verifier: verifier,
		Family: "the new family.."}
}

// codeEvents change an exchange that would succeed.
var codeEvents = map[string]func(c *machine.AuthorizationCode, e *machine.Exchange, m *machine.Moment){
	"exchange": func(*machine.AuthorizationCode, *machine.Exchange, *machine.Moment) {},
	"exchange by another client": func(_ *machine.AuthorizationCode, _ *machine.Exchange, m *machine.Moment) {
		m.By.Client = "other"
	},
	"exchange in another tenant": func(_ *machine.AuthorizationCode, _ *machine.Exchange, m *machine.Moment) {
		m.By.Tenant = "other"
	},
	"exchange with another redirect URI": func(_ *machine.AuthorizationCode, e *machine.Exchange, _ *machine.Moment) {
		e.RedirectURI += "/2"
	},
	"exchange with a redirect URI no longer registered": func(_ *machine.AuthorizationCode, e *machine.Exchange, _ *machine.Moment) {
		e.Registered = false
	},
	"exchange with a wrong verifier": func(_ *machine.AuthorizationCode, e *machine.Exchange, _ *machine.Moment) {
		e.Verifier += "x"
	},
	"exchange without a verifier": func(_ *machine.AuthorizationCode, e *machine.Exchange, _ *machine.Moment) { e.Verifier = "" },
	"exchange with a needless verifier": func(c *machine.AuthorizationCode, e *machine.Exchange, m *machine.Moment) {
		c.Challenge = ""
		e.Secret = exchangeOf(*c, *m).Secret
	},
	"exchange of an unbound code": func(c *machine.AuthorizationCode, e *machine.Exchange, m *machine.Moment) {
		c.Challenge, e.Verifier = "", ""
		e.Secret = exchangeOf(*c, *m).Secret
	},
	"exchange of a forged code": func(_ *machine.AuthorizationCode, e *machine.Exchange, _ *machine.Moment) {
		e.Secret = "x" + e.Secret[1:]
	},
	"exchange while the key is unknown": func(_ *machine.AuthorizationCode, _ *machine.Exchange, m *machine.Moment) { m.Key = nil },
}

func TestTheAuthorizationCodeTable(t *testing.T) { // TK-12, TK-13
	walk(t, "Authorization code", 6, [][]string{codeStates[1:], sorted(codeEvents)}, func(t *testing.T, key, want []string) {
		c, m := code(), at(time.Second)
		switch key[0] {
		case "used":
			c = c.On(exchangeOf(c, m), m).Next
		case "over":
			m.Now = c.Expires
		}
		e := exchangeOf(c, m)
		codeEvents[key[1]](&c, &e, &m)
		if want[0] == "same" {
			want[0] = key[0]
		}
		d := c.On(e, m)
		next := codeStates[d.Next.State]
		if key[0] == "over" && next == "open" {
			next = "over" // it is, and nobody has seen it
		}
		assert.Equal(t, want, []string{next, answers[d.Reason], commits(d.Batch), reports[d.Note]})
		sound(t, d.Batch, m)
		for _, p := range d.Batch.Puts {
			assert.Equal(t, store.StageDecide, p.Stage)
		}
	})
}
