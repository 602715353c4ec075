package machine

import (
	"time"

	"github.com/seed62b93bad/passwordless/internal/record"
	"github.com/seed62b93bad/passwordless/internal/secret"
	"github.com/seed62b93bad/passwordless/store"
)

// KindEpoch is the kind of the records of epochs, under the name of their user.
const KindEpoch store.Kind = "epoch"

// An Epoch is a user's count of ends. Sessions, refresh token families, authorization codes and device cookies carry the number
// that they were granted under, and are over once it has moved on. So "sign out everywhere" is one write and misses
// nobody: what was granted by somebody who read the number before that write is dead at its first use after it.
// The zero Epoch is that of a user of whom there is no record.
type Epoch struct {
	Number int64
	At     store.Instant // of the last sign-out everywhere; 0: there was none
	// A first proof of an identifier moves the number too, once, and never the instant. Who claimed it last, and when:
	Claimed   secret.Name
	ClaimedAt store.Instant
}

// claimStands is how long the claim of a first proof stands for others that prove the same identifier at the same time.
// Should its owner have failed in the middle, the next first proof after it moves the number again.
const claimStands = time.Minute

// RevokedUntil is the newest instant at which what a revocation ended can have begun: clocks differ by skew at most. It is 0 if
// nothing was revoked.
func (e Epoch) RevokedUntil(skew time.Duration) store.Instant {
	if e.At == 0 {
		return 0
	}
	return e.At.Add(skew)
}

// An EpochEvent is what can happen to an epoch: a [SignOut], a [Correct], a [ClaimFirstProof] or a [ReleaseFirstProof].
type EpochEvent interface {
	on(e *Epoch, at *Moment) verdict
}

// On decides an event. at.Name is the user's name.
func (e Epoch) On(event EpochEvent, at Moment) Decision[Epoch] {
	v := event.on(&e, &at)
	d := Decision[Epoch]{Next: e, Reason: v.reason, Note: v.note}
	if v.write {
		d.Batch.Puts = []store.Put{e.Put(at)}
	}
	return d
}

// A SignOut ends whatever was granted to the user before.
type SignOut struct{}

func (SignOut) on(e *Epoch, at *Moment) verdict {
	e.Number++
	e.At = max(e.At, at.Now)
	e.Claimed, e.ClaimedAt = "", 0
	return verdict{write: true, note: SignedOut}
}

// A Correct brings back the instant of a sign-out by a clock that was ahead: until then everything that begins would be over.
// What began until now is over all the same.
type Correct struct{ Skew time.Duration } // by which clocks may differ

func (c Correct) on(e *Epoch, at *Moment) verdict {
	if e.At <= at.Now.Add(c.Skew) {
		return verdict{}
	}
	e.At = at.Now
	return verdict{write: true}
}

// A ClaimFirstProof ends whatever an account had before the owner of an identifier came. Of several that prove the same
// identifier at the same time one moves the number, and the others go on under it. It is refused with Revoked if the
// user was signed out everywhere since.
type ClaimFirstProof struct {
	Identifier secret.Name
	Began      store.Instant // of the challenge
	Found      int64         // the number that the user was found under; negative: not known
}

func (f ClaimFirstProof) on(e *Epoch, at *Moment) verdict {
	claimed := e.Claimed == f.Identifier && at.Now < e.ClaimedAt.Add(claimStands)
	before := e.Number // the claim, if it stands
	if claimed {
		before--
	}
	switch {
	case f.Began <= at.Revoked, f.Found >= 0 && f.Found != e.Number && f.Found != before:
		return verdict{reason: Revoked}
	case claimed:
		return verdict{}
	}
	e.Number++
	e.Claimed, e.ClaimedAt = f.Identifier, at.Now
	return verdict{write: true}
}

// A ReleaseFirstProof gives up the claim of a first proof that came to nothing, so that the next one moves the number
// again: who knows what was granted meanwhile.
type ReleaseFirstProof struct {
	Identifier secret.Name
	Number     int64 // that it was claimed under
}

func (r ReleaseFirstProof) on(e *Epoch, _ *Moment) verdict {
	if e.Claimed != r.Identifier || e.Number != r.Number {
		return verdict{}
	}
	e.Claimed, e.ClaimedAt = "", 0
	return verdict{write: true}
}

// Put is the write of the epoch.
func (e Epoch) Put(at Moment) store.Put {
	w := record.NewWriter(48)
	w.Num(e.Number)
	w.Num(int64(e.At))
	w.Text(string(e.Claimed))
	w.Num(int64(e.ClaimedAt))
	return store.Put{Stage: store.StageRevoke, Was: at.Was,
		Record: store.Record{Key: key(KindEpoch, at.Name), Version: at.Fresh, Expires: store.Never, Body: w.Bytes()}}
}

// DecodeEpoch reads a record. One that is not there is the zero Epoch.
func DecodeEpoch(rec store.Record) (e Epoch, err error) {
	if !rec.Exists() {
		return e, nil
	}
	r := record.Open(rec.Body)
	e.Number, e.At = r.Num(), store.Instant(r.Num())
	e.Claimed, e.ClaimedAt = secret.Name(r.Text()), store.Instant(r.Num())
	if e.Number < 0 {
		r.Refuse()
	}
	if err := r.Err(); err != nil {
		return Epoch{}, err
	}
	return e, nil
}
