package machine_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless/internal/limit"
	"github.com/seed62b93bad/passwordless/internal/machine"
	"github.com/seed62b93bad/passwordless/internal/secret"
	"github.com/seed62b93bad/passwordless/store"
)

const (
	began    = store.Instant(1_700_000_000 * time.Second) // of whatever a test begins with
	life     = 10 * time.Minute                           // of a challenge
	cooldown = 30 * time.Second                           // before the first resend
	callback = "https://app.example.com/callback"
)

const day = 24 * time.Hour

var limits = limit.New(limit.Policy{
	YearlyRisk: 1e-4, DailyRisk: 0.01, Tenants: 1,
	EmailSends:   []limit.Limit{{Count: 3, Per: 10 * time.Minute}, {Count: 20, Per: day}},
	SMSSends:     []limit.Limit{{Count: 3, Per: 10 * time.Minute}, {Count: 10, Per: day}},
	NetworkSends: []limit.Limit{{Count: 10, Per: day}}, DeviceSends: []limit.Limit{{Count: 30, Per: day}},
	Starts:     []limit.Limit{{Count: 10, Per: 10 * time.Minute}, {Count: 100, Per: day}},
	SiteStarts: []limit.Limit{{Count: 50, Per: 10 * time.Minute}, {Count: 500, Per: day}},
	Guesses:    limit.Limit{Count: 30, Per: 10 * time.Minute}, Unanswered: limit.Limit{Count: 20_000, Per: day},
	SMS: limit.SMS{Prefix: limit.Limit{Count: 100, Per: time.Hour}, Unverified: limit.Limit{Count: 30, Per: day},
		Country: limit.Limit{Count: 1000, Per: day}, Tenant: limit.Limit{Count: 1500, Per: day},
		Everyone: limit.Limit{Count: 2000, Per: day}, Spend: limit.Limit{Count: 100_000, Per: day}},
})

var (
	shared   = limit.NewTenant("")
	home     = machine.Caller{Client: "web", Shared: shared, Network: "the home network", Browser: secret.Digest{1}}
	stranger = machine.Caller{Client: "web", Shared: shared, Network: "a far-off network", Browser: secret.Digest{2}}
)

func keyOf(text string) *secret.Key {
	k := secret.NewKey([]byte(text))
	return &k
}

// at is a moment so long after the beginning, of the initiator, with a record that was loaded.
func at(after time.Duration) machine.Moment {
	return machine.Moment{Now: began.Add(after), Name: "name of a record", Was: store.Version{1}, Fresh: store.Version{2},
		Key: keyOf("the record's key"), By: home, Limits: limits, Owner: "owner of records"}
}

// from is the moment with another caller.
func from(by machine.Caller, m machine.Moment) machine.Moment {
	m.By = by
	return m
}

// draft is what a start is for.
func draft(s machine.Scope) machine.Challenge {
	return machine.Challenge{Client: "web", Channel: "email", Address: "alice@example.com", Purpose: machine.SignIn, Scope: s,
		Carries: machine.CarriesBoth, KeyID: "k1", Seed: secret.Seed{3, 1}, Person: "person of alice.", Redirect: callback}
}

// text is the draft for a telephone number.
func text(s machine.Scope) machine.Challenge {
	c := draft(s)
	c.Channel, c.Address, c.Carries, c.Prefix = "sms", "+46701234567", machine.CarriesCode, "prefix of alice."
	return c
}

func start(c machine.Challenge) machine.Start {
	return machine.Start{Create: machine.Create{Draft: c, Attempts: 5, Resends: 3, Life: life},
		Send: machine.Send{Cooldown: cooldown}}
}

// open is a challenge that was just begun.
func open(t *testing.T, c machine.Challenge) machine.Challenge {
	t.Helper()
	m := at(0)
	d := machine.Challenge{}.On(start(c), m)
	require.Equal(t, machine.Done, d.Reason)
	sound(t, d.Batch, m)
	return d.Next
}

// right and wrong are the codes that match, and do not.
func right(c *machine.Challenge, m machine.Moment) string { return c.Code(m.Key, m.Name) }

// formats are those of codes, by their rung.
var formats = []machine.Format{{Length: 6}, {Length: 7}, {Length: 8}, {Length: 9}, {Letters: true, Length: 10},
	{Letters: true, Length: 15}}

func wrong(c *machine.Challenge, m machine.Moment) string {
	code := right(c, m)
	switch {
	case code == "":
		return "123456" // of no challenge every code is wrong
	case c.Format.Letters && code[0] == 'B':
		return "C" + code[1:]
	case c.Format.Letters:
		return "B" + code[1:]
	case code[0] == '0':
		return "1" + code[1:]
	}
	return "0" + code[1:]
}

// sound fails unless a batch keeps to the contract: its puts have stages, the fresh version of the moment, and name its record.
func sound(t *testing.T, b store.Batch, m machine.Moment) {
	t.Helper()
	require.NoError(t, b.Validate())
	for _, p := range b.Puts {
		assert.NotEqual(t, store.Unstaged, p.Stage, "a put without a stage")
		assert.Equal(t, m.Fresh, p.Record.Version, "a version that is not the moment's")
		assert.Equal(t, string(m.Name), p.Record.Key.Name)
		assert.True(t, p.Any || p.Was == m.Was || p.Stage == store.StageClaim, "a put in place of what nobody saw")
	}
}

// commits tells what is in a batch, as the tables do.
func commits(b store.Batch) string {
	var all []string
	for _, c := range b.Charges {
		if c.Look {
			all = append(all, string(c.Bucket.Kind)+"?")
		} else {
			all = append(all, string(c.Bucket.Kind))
		}
	}
	for _, c := range b.GiveBacks {
		all = append(all, string(c.Bucket.Kind)+" back")
	}
	for _, p := range b.Puts {
		if p.Record.Expires == 0 {
			all = append(all, "removal")
		} else {
			all = append(all, "write")
		}
	}
	if len(all) == 0 {
		return "nothing"
	}
	return strings.Join(all, ", ")
}

// answers are the reasons in the words of the tables.
var answers = map[machine.Reason]string{
	machine.Done: "done", machine.Unknown: "unknown", machine.WrongSecret: "wrong secret", machine.Malformed: "malformed",
	machine.Expired: "expired", machine.Consumed: "consumed", machine.Exhausted: "exhausted", machine.Cancelled: "cancelled",
	machine.Revoked: "revoked", machine.OtherBrowser: "other browser", machine.OtherReturn: "other redirect URI",
	machine.TooSoon: "too soon", machine.NoResends: "no resends", machine.Occupied: "occupied", machine.Repeated: "repeated",
	machine.Invalid: "invalid", machine.Reused: "reused", machine.OtherAudience: "other audience",
	machine.MoreScopes: "more scopes", machine.Replayed: "replayed",
}

// reports are the notes in the words of the tables.
var reports = map[machine.Note]string{
	machine.Nothing: "", machine.Failed: "failed", machine.LastFailed: "last failed", machine.SpentSecret: "spent secret",
	machine.MessageAgain: "message again", machine.CancelledIt: "cancelled", machine.TokenReuse: "token reuse",
	machine.TokenCreated: "token created", machine.SignedOut: "signed out",
}

// rows reads the table under a heading of docs/machines.md, without its first two lines.
func rows(t *testing.T, heading string, columns int) (all [][]string) {
	t.Helper()
	doc, err := os.ReadFile("../../docs/machines.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(doc), "\n## "+heading+"\n")
	require.True(t, found, "no section %q", heading)
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.SplitSeq(section, "\n") {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		require.Len(t, cells, columns, line)
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		all = append(all, cells)
	}
	require.Greater(t, len(all), 2, "no table under %q", heading)
	return all[2:]
}

// walk calls try with each combination of the words in the first columns of a table and with the cells behind them. Where a row
// names several words, it stands for all of their combinations. A word that is not known fails, and so does a combination that
// no row names, or that two do.
func walk(t *testing.T, heading string, columns int, words [][]string, try func(t *testing.T, key, want []string)) {
	t.Helper()
	seen := map[string]bool{}
	for _, cells := range rows(t, heading, columns) {
		for _, key := range combinations(t, cells, words) {
			name := strings.Join(key, "/")
			assert.False(t, seen[name], "%s: two rows", name)
			seen[name] = true
			t.Run(name, func(t *testing.T) { try(t, key, slices.Clone(cells[len(words):])) })
		}
	}
	all := 1
	for _, w := range words {
		all *= len(w)
	}
	if len(seen) != all {
		for _, key := range product(words) {
			assert.True(t, seen[strings.Join(key, "/")], "%q: no row", key)
		}
	}
}

// combinations are those that a row stands for. "any" is every word of its column.
func combinations(t *testing.T, cells []string, words [][]string) [][]string {
	t.Helper()
	named := make([][]string, len(words))
	for i, known := range words {
		if named[i] = strings.Split(cells[i], ", "); cells[i] == "any" {
			named[i] = known
		}
		for _, w := range named[i] {
			require.Contains(t, known, w, "a word that the walk does not know")
		}
	}
	return product(named)
}

func product(words [][]string) [][]string {
	all := [][]string{nil}
	for _, column := range words {
		var longer [][]string
		for _, before := range all {
			for _, w := range column {
				longer = append(longer, append(slices.Clone(before), w))
			}
		}
		all = longer
	}
	return all
}

// refusedBy is the refusal of a bucket.
func refusedBy(kind store.Kind) *store.LimitedError {
	return &store.LimitedError{Bucket: store.Key{Kind: kind, Name: "x"}}
}

// costOf is what a guess at a code of a format costs.
func costOf(f machine.Format) uint32 {
	switch {
	case f.Letters && f.Length == 15:
		return 0
	case f.Letters:
		return 1
	}
	return map[int]uint32{6: 10_000, 7: 1_000, 8: 100, 9: 10}[f.Length]
}

// sorted are the keys of a map.
func sorted[V any](m map[string]V) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}
