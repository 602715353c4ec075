package machine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless/internal/machine"
	"github.com/seed62b93bad/passwordless/store"
)

func TestWhenAFamilyEnds(t *testing.T) { // TK-10, SS-2
	for x, want := range map[machine.Expiry][2]time.Duration{
		machine.SlidingToMaximum: {idle, absolute}, machine.Fixed: {absolute, absolute}, machine.Sliding: {idle, idle + absolute},
	} {
		f := family("session", x)
		assert.Equal(t, began.Add(want[0]), f.Expires(), "expiry %d", x)
		m := familyAt(want[0] - 1)
		assert.Equal(t, machine.FamilyLive, f.Live(&m))
		m = familyAt(want[0])
		assert.Equal(t, machine.FamilyOver, f.Live(&m))
		f.Used = began.Add(absolute)
		assert.Equal(t, began.Add(want[1]), f.Expires(), "expiry %d, in use", x)
	}
}

func TestTheFirstEventThatSeesAFamilysEndWritesIt(t *testing.T) { // VF-13
	for kind := range families {
		f := family(kind, machine.SlidingToMaximum)
		for _, name := range sorted(familyEvents) {
			unseen, seen, m := f, familyIn(t, "over", f), familyAt(time.Hour)
			e := familyEvents[name](t, &unseen, &m)
			if e == nil || unseen.Expiry != f.Expiry {
				continue
			}
			again := m
			familyEvents[name](t, &seen, &again)
			m.Now = unseen.Expires()
			d, want := unseen.On(e, m), seen.On(e, again)
			assert.Equal(t, []any{want.Reason, want.Note}, []any{d.Reason, d.Note}, "%s, %s", kind, name)
			sound(t, d.Batch, m)
			if d.Note == machine.Failed {
				require.Equal(t, machine.FamilyOver, d.Next.State, "%s, %s", kind, name)
				require.Len(t, d.Batch.Puts, 1)
				before := familyAt(0)
				assert.Equal(t, machine.FamilyOver, d.Next.Live(&before), "a clock that steps back revives nothing")
			}
		}
	}
}

func TestASignOutIsToldByTheNumberAlone(t *testing.T) { // SS-6
	f, m := family("one-time", machine.Sliding), familyAt(time.Hour)
	e := machine.Refresh{Token: tokenOf(t, f, m, 2)}
	for _, number := range []int64{6, 8} {
		m.Epoch = number
		d := f.On(e, m)
		assert.Equal(t, []any{machine.Invalid, machine.Failed, f}, []any{d.Reason, d.Note, d.Next})
		assert.Equal(t, "nothing", commits(d.Batch))
	}
}

func TestWhoLostAnAnswerAsksAgain(t *testing.T) { // TK-9
	f, m := family("one-time", machine.SlidingToMaximum), familyAt(time.Hour)
	lost := tokenOf(t, f, m, 2)
	d := f.On(machine.Refresh{Token: lost}, m)
	require.Equal(t, []any{machine.Done, uint32(3)}, []any{d.Reason, d.Next.Counter})
	assert.Equal(t, []store.Instant{m.Now, m.Now}, []store.Instant{d.Next.Used, d.Next.Rotated})
	f, m.Now = d.Next, m.Now.Add(grace-1)
	d = f.On(machine.Refresh{Token: lost}, m)
	require.Equal(t, machine.Done, d.Reason)
	assert.Equal(t, f, d.Next, "answered with the current token, which stays")
	d = f.On(machine.Refresh{Token: tokenOf(t, f, m, 3)}, m)
	require.Equal(t, machine.Done, d.Reason)
	d = d.Next.On(machine.Refresh{Token: lost}, m)
	assert.Equal(t, []any{machine.Reused, machine.FamilyRevoked}, []any{d.Reason, d.Next.State}, "older than the former one")
	f.Grace = 0
	assert.Equal(t, machine.Reused, f.On(machine.Refresh{Token: lost}, familyAt(time.Hour)).Reason, "without grace there is none")
}

func TestARevocationIsWrittenInTheEnd(t *testing.T) { // TK-9
	f := family("one-time", machine.Sliding)
	for _, insists := range []bool{false, true} {
		m := familyAt(time.Hour)
		m.Insist = insists
		for name, e := range map[string]machine.FamilyEvent{
			"reuse": machine.Refresh{Token: tokenOf(t, f, m, 0)}, "revocation": machine.RevokeFamily{Token: tokenOf(t, f, m, 0)},
		} {
			p := f.On(e, m).Batch.Puts[0]
			assert.Equal(t, []any{insists, store.StageRevoke}, []any{p.Any, p.Stage}, name)
		}
		p := f.On(machine.Refresh{Token: tokenOf(t, f, m, 2)}, m).Batch.Puts[0]
		assert.Equal(t, []any{false, store.StageDecide}, []any{p.Any, p.Stage}, "a refresh never is")
	}
}

func TestAUseIsWrittenSeldom(t *testing.T) { // SS-2
	for _, kind := range []string{"session", "reusable"} {
		f, m := family(kind, machine.SlidingToMaximum), familyAt(0)
		event := func() machine.FamilyEvent {
			token := tokenOf(t, f, m, 2)
			if f.Rotates {
				return machine.Refresh{Token: token}
			}
			return machine.Use{Token: token}
		}
		for after, want := range map[time.Duration]string{
			-time.Hour: "nothing", 0: "nothing", idle / 10: "nothing", idle/10 + 1: "write",
		} {
			m.Now = began.Add(after)
			d := f.On(event(), m)
			assert.Equal(t, []any{machine.Done, want}, []any{d.Reason, commits(d.Batch)}, "%s after %v", kind, after)
			if want == "write" {
				assert.Equal(t, m.Now, d.Next.Used)
				assert.Equal(t, d.Next.Expires().Add(machine.Retention), d.Batch.Puts[0].Record.Expires)
				assert.Equal(t, string(m.Owner), d.Batch.Puts[0].Record.Owner)
			}
		}
	}
}

func TestScopesAreThoseOfTheFamilyAtMost(t *testing.T) { // TK-10
	f, m := family("one-time", machine.Sliding), familyAt(0)
	for scopes, want := range map[string]machine.Reason{
		"": machine.Done, "openid": machine.Done, "openid email offline_access": machine.Done,
		"open": machine.MoreScopes, "openid email": machine.MoreScopes, "OPENID": machine.MoreScopes,
	} {
		e := machine.Refresh{Token: tokenOf(t, f, m, 2)}
		if e.Scopes = []string{scopes}; scopes == "" {
			e.Scopes = nil
		}
		if scopes == "openid email offline_access" {
			e.Scopes = []string{"offline_access", "email", "openid"}
		}
		d := f.On(e, m)
		assert.Equal(t, want, d.Reason, scopes)
		assert.Equal(t, f.Scope, d.Next.Scope, "the family keeps its own")
	}
}

func TestWhatIsGrantedIsNew(t *testing.T) { // TK-12, SS-6
	f, c := family("session", machine.SlidingToMaximum), code()
	p := f.Grant(store.Version{9}, "name of a record", "owner of records")
	assert.Equal(t, store.Put{Stage: store.StageGrant, Record: store.Record{
		Key: store.Key{Kind: machine.KindFamily, Name: "name of a record"}, Version: store.Version{9}, Owner: "owner of records",
		Expires: f.Expires().Add(machine.Retention), Body: f.Encode()}}, p)
	p = c.Grant(store.Version{9}, "name of a record")
	assert.Equal(t, store.Put{Stage: store.StageGrant, Record: store.Record{
		Key: store.Key{Kind: machine.KindCode, Name: "name of a record"}, Version: store.Version{9},
		Expires: c.Expires.Add(machine.Retention), Body: c.Encode()}}, p)
}

func TestAUsedCodeRemembersWhatItGave(t *testing.T) { // TK-12
	c, m := code(), at(codeLife-1)
	d := c.On(exchangeOf(c, m), m)
	require.Equal(t, machine.Done, d.Reason)
	read, err := machine.DecodeAuthorizationCode(d.Batch.Puts[0].Record.Body)
	require.NoError(t, err)
	assert.Equal(t, d.Next, read)
	assert.Equal(t, exchangeOf(c, m).Family, read.Family)
	m.Now = m.Now.Add(time.Hour)
	again := read.On(exchangeOf(c, m), m)
	assert.Equal(t, machine.Reused, again.Reason, "beyond its life, as long as it is remembered")
	m.Now = c.Expires
	over := c.On(exchangeOf(c, m), m)
	assert.Equal(t, []any{machine.Invalid, machine.CodeOver}, []any{over.Reason, over.Next.State})
	assert.Empty(t, over.Batch.Puts[0].Record.Body)
}

func TestTheS256ChallengeOfAVerifier(t *testing.T) { // TK-13: RFC 7636, appendix B
	assert.Equal(t, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", machine.ChallengeOf(verifier))
}

func TestOfFirstProofsAtOnceOneMovesTheNumber(t *testing.T) { // AC-2
	m, e := at(0), machine.Epoch{}
	both := machine.ClaimFirstProof{Identifier: alice, Began: began, Found: 0}
	first := e.On(both, m)
	require.Equal(t, []any{machine.Done, int64(1)}, []any{first.Reason, first.Next.Number})
	m.Now = m.Now.Add(machine.ClaimStands - 1)
	second := first.Next.On(both, m)
	assert.Equal(t, []any{machine.Done, int64(1), "nothing"}, []any{second.Reason, second.Next.Number, commits(second.Batch)})
	out := second.Next.On(machine.SignOut{}, m)
	assert.Equal(t, machine.Epoch{Number: 2, At: m.Now}, out.Next, "a sign-out ends the claim")
	m.Revoked = out.Next.RevokedUntil(skew)
	assert.Equal(t, machine.Revoked, out.Next.On(both, m).Reason)
	both.Found = 2
	assert.Equal(t, machine.Revoked, out.Next.On(both, m).Reason, "its challenge began before")
	both.Began = m.Revoked + 1
	third := out.Next.On(both, m)
	assert.Equal(t, []any{machine.Done, int64(3), out.Next.At}, []any{third.Reason, third.Next.Number, third.Next.At})
}

func TestWhatAFirstProofGaveUpTheNextOneClaimsAgain(t *testing.T) { // AC-2
	m := at(0)
	first := machine.Epoch{At: began.Add(-time.Hour)}.On(machine.ClaimFirstProof{Identifier: alice, Began: began, Found: 0}, m)
	given := first.Next.On(machine.ReleaseFirstProof{Identifier: alice, Number: 1}, m)
	require.Equal(t, machine.Epoch{Number: 1, At: began.Add(-time.Hour)}, given.Next, "the number and the last sign-out stay")
	next := given.Next.On(machine.ClaimFirstProof{Identifier: alice, Began: began, Found: 1}, m)
	assert.Equal(t, []any{machine.Done, int64(2)}, []any{next.Reason, next.Next.Number}, "who knows what was granted meanwhile")
	late := next.Next.On(machine.ReleaseFirstProof{Identifier: alice, Number: 1}, m)
	assert.Equal(t, []any{next.Next, "nothing"}, []any{late.Next, commits(late.Batch)}, "a later claim is another's")
}

func TestASignOutCoversClocksThatDiffer(t *testing.T) { // SS-6
	assert.Zero(t, machine.Epoch{Number: 3}.RevokedUntil(skew), "a first proof revokes no challenge")
	assert.Equal(t, began.Add(skew), machine.Epoch{At: began}.RevokedUntil(skew))
	m := at(0)
	d := machine.Epoch{Number: 1, At: began.Add(time.Hour)}.On(machine.SignOut{}, m)
	assert.Equal(t, machine.Epoch{Number: 2, At: began.Add(time.Hour)}, d.Next, "it never moves back")
	p := d.Batch.Puts[0]
	assert.Equal(t, []any{store.StageRevoke, store.Never, machine.KindEpoch}, []any{p.Stage, p.Record.Expires, p.Record.Key.Kind})
}

func TestAClaimIsOfOneTaker(t *testing.T) { // TK-8, SK-4
	m := at(0)
	take := machine.Claim{}.On(machine.Take{Kind: "jti", Expires: began.Add(time.Hour)}, m).Batch.Puts[0]
	assert.Equal(t, []any{store.StageClaim, store.Version{}, false, began.Add(time.Hour), store.Kind("jti")},
		[]any{take.Stage, take.Was, take.Any, take.Record.Expires, take.Record.Key.Kind}, "it demands that there is none")
	release := machine.Claim{Claimed: true}.On(machine.Release{Kind: "jti"}, m).Batch.Puts[0]
	assert.Equal(t, []any{store.StageClaim, m.Was, false, store.Instant(0)},
		[]any{release.Stage, release.Was, release.Any, release.Record.Expires}, "it takes the place of the one that was seen")
}

func TestACooldownRemembersAChallenge(t *testing.T) { // RL-21
	c, m := open(t, draft(machine.ByHandle)), at(time.Minute)
	p := machine.CooldownOf(&c).Put(m, cooldown)
	sound(t, store.Batch{Puts: []store.Put{p}}, m)
	assert.Equal(t, []any{store.StageGrant, m.Now.Add(cooldown), machine.KindCooldown},
		[]any{p.Stage, p.Record.Expires, p.Record.Key.Kind})
	read, err := machine.DecodeCooldown(p.Record.Body)
	require.NoError(t, err)
	assert.Equal(t, machine.Cooldown{KeyID: c.KeyID, Seed: c.Seed, Started: c.Started, Expires: c.Expires}, read)
}

func TestAProofIsWholeAtItsLastMethod(t *testing.T) { // TK-17
	p := proof()
	p.Methods = append(p.Methods, machine.Method{Name: "link", Channel: "email", At: began.Add(time.Minute)})
	assert.Equal(t, began.Add(time.Minute), p.At())
	assert.Equal(t, uint32(1_700_000_000), machine.Seconds(began.Add(999*time.Millisecond)))
}
