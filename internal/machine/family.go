package machine

import (
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/seed62b93bad/passwordless/internal/record"
	"github.com/seed62b93bad/passwordless/internal/secret"
	"github.com/seed62b93bad/passwordless/store"
)

// KindFamily is the kind of the records of sessions and refresh token families.
const KindFamily store.Kind = "session"

// A FamilyState is where a session or a refresh token family is.
type FamilyState uint8

// The states.
const (
	FamilyLive FamilyState = iota + 1
	FamilyRevoked
	FamilyOver // its time
)

// A Usage says how often a refresh token works.
type Usage uint8

// The usages.
const (
	OneTime  Usage = iota // once: each refresh gives another, and one that was replaced ends the family
	Reusable              // until the family ends
)

// An Expiry says when a family ends by itself.
type Expiry uint8

// The expiries.
const (
	SlidingToMaximum Expiry = iota // so long after its last use, and at its end at the latest
	Fixed                          // at its end, whatever happens
	Sliding                        // so long after its last use
)

// A Family is a session of the library's own or a refresh token family. How it is used, when it ends and how long a
// replaced token is still answered stand in it since its grant: a policy that changes later does not change it.
type Family struct {
	State FamilyState
	Proof
	Subject, Audience, Scope string
	Rotates                  bool // a refresh token family; else a session
	Usage                    Usage
	Expiry                   Expiry
	Idle, Grace              time.Duration
	Counter                  uint32
	Used, Rotated            store.Instant
	End                      store.Instant // of a Sliding one the instant is not looked at
	KeyID                    string
	Seed                     secret.Seed
}

// Encode writes the body of the record.
func (f *Family) Encode() []byte {
	w := record.NewWriter(288)
	w.Byte(byte(f.State), byte(f.Usage), byte(f.Expiry), record.Bit(f.Rotates))
	f.encode(&w)
	for _, v := range [...]string{f.Subject, f.Audience, f.Scope, f.KeyID} {
		w.Text(v)
	}
	for _, v := range [...]int64{int64(f.Idle), int64(f.Grace), int64(f.Counter), int64(f.Used), int64(f.Rotated), int64(f.End)} {
		w.Num(v)
	}
	w.Byte(f.Seed[:]...)
	return w.Bytes()
}

// DecodeFamily reads a body. Its errors are those of package record.
func DecodeFamily(body []byte) (f Family, err error) {
	r := record.Open(body)
	var kinds [4]byte
	r.Fixed(kinds[:])
	f.State, f.Usage, f.Expiry, f.Rotates = FamilyState(kinds[0]), Usage(kinds[1]), Expiry(kinds[2]), r.Bit(kinds[3])
	f.decode(&r)
	for _, v := range [...]*string{&f.Subject, &f.Audience, &f.Scope, &f.KeyID} {
		*v = r.Text()
	}
	f.Idle, f.Grace = time.Duration(r.Num()), time.Duration(r.Num())
	counter := r.Num()
	f.Counter = uint32(counter)
	for _, v := range [...]*store.Instant{&f.Used, &f.Rotated, &f.End} {
		*v = store.Instant(r.Num())
	}
	r.Fixed(f.Seed[:])
	if f.State < FamilyLive || f.State > FamilyOver || f.Usage > Reusable || f.Expiry > Sliding || int64(f.Counter) != counter {
		r.Refuse()
	}
	if err := r.Err(); err != nil {
		return Family{}, err
	}
	return f, nil
}

// Expires is when the family ends unless it is used.
func (f *Family) Expires() store.Instant {
	switch f.Expiry {
	case Fixed:
		return f.End
	case Sliding:
		return f.Used.Add(f.Idle)
	}
	return min(f.End, f.Used.Add(f.Idle))
}

// Live is the state of the family at a moment. It tells an end that nobody has written yet. That of its user's epoch is
// never written: the number tells it.
func (f *Family) Live(at *Moment) FamilyState {
	switch {
	case f.State != FamilyLive:
		return f.State
	case at.Now >= f.Expires():
		return FamilyOver
	case f.Epoch != at.Epoch:
		return FamilyRevoked
	}
	return FamilyLive
}

// Grant is the put of a new family. at.Fresh is not used.
func (f *Family) Grant(fresh store.Version, n, owner secret.Name) store.Put {
	return f.put(&Moment{Name: n, Owner: owner, Fresh: fresh}, store.StageGrant)
}

func (f *Family) put(at *Moment, s store.Stage) store.Put {
	return store.Put{Stage: s, Was: at.Was, Record: store.Record{Key: key(KindFamily, at.Name), Version: at.Fresh,
		Owner: string(at.Owner), Expires: f.Expires().Add(retention), Body: f.Encode()}}
}

// A FamilyToken is the token of a session or a refresh token, taken apart. It names the owner of the record, so that one Load
// fetches the owner's epoch too.
type FamilyToken struct {
	Name, Owner secret.Name
	Counter     uint32
	secret      string
}

// familyTokenSize is the size of a token before it is encoded.
const familyTokenSize = 2*secret.NameSize + 4 + 32

// Token makes the current token of the family.
func (f *Family) Token(k *secret.Key, n, owner secret.Name) string {
	count := string(binary.BigEndian.AppendUint32(nil, f.Counter))
	return secret.Encode(string(n), string(owner), count, f.secretOf(k, n, owner, f.Counter))
}

func (f *Family) secretOf(k *secret.Key, n, owner secret.Name, counter uint32) string {
	d := k.Derive("family", f.Tenant, f.Client, f.UserID, string(n), string(owner),
		string([]byte{record.Bit(f.Rotates)}), string(binary.BigEndian.AppendUint32(nil, counter)))
	return string(d[:])
}

// OpenFamilyToken takes a token apart.
func OpenFamilyToken(text string) (t FamilyToken, ok bool) {
	b, ok := secret.Decode(text, familyTokenSize)
	if !ok {
		return t, false
	}
	t.Name, t.Owner = secret.Name(b[:secret.NameSize]), secret.Name(b[secret.NameSize:2*secret.NameSize])
	t.Counter = binary.BigEndian.Uint32([]byte(b[2*secret.NameSize:]))
	t.secret = b[2*secret.NameSize+4:]
	return t, true
}

// genuine reports whether a token was made for the family, whatever its counter.
func (f *Family) genuine(t FamilyToken, at *Moment) bool {
	return at.Key != nil && t.Owner == at.Owner && t.Name == at.Name &&
		secret.Equal(f.secretOf(at.Key, t.Name, t.Owner, t.Counter), t.secret)
}

// A FamilyEvent is what can happen to a family: one of [Use], [Refresh] and [RevokeFamily].
type FamilyEvent interface {
	on(f *Family, at *Moment) verdict
}

// On decides an event. at.Owner is the name that the user's records are found by, and at.Epoch the user's number.
func (f Family) On(e FamilyEvent, at Moment) Decision[Family] {
	v := e.on(&f, &at)
	d := Decision[Family]{Next: f, Reason: v.reason, Note: v.note}
	if v.write {
		stage := store.StageDecide
		if f.State == FamilyRevoked {
			stage = store.StageRevoke
		}
		put := f.put(&at, stage)
		put.Any = v.any
		d.Batch.Puts = []store.Put{put}
	}
	return d
}

// dead is the answer to a token of a family that is not live. The first event that sees that its time is over writes
// it, so that a clock that steps back revives nothing.
func (f *Family) dead(st FamilyState) verdict {
	v := verdict{reason: Invalid, note: Failed, write: st == FamilyOver && f.State == FamilyLive}
	if v.write {
		f.State = FamilyOver
	}
	return v
}

// A Use presents the token of a session. It keeps the session alive; the use is recorded at most once in a tenth of Idle.
type Use struct{ Token FamilyToken }

func (e Use) on(f *Family, at *Moment) verdict {
	if f.Rotates || e.Token.Counter != f.Counter || !f.genuine(e.Token, at) {
		return verdict{reason: Invalid}
	}
	if st := f.Live(at); st != FamilyLive {
		return f.dead(st)
	}
	return verdict{write: f.use(at)}
}

// use records that the family is used now, and reports whether that is worth a write.
func (f *Family) use(at *Moment) bool {
	if f.Expiry == Fixed || at.Now <= f.Used.Add(f.Idle/10) {
		return false
	}
	f.Used = at.Now
	return true
}

// A Refresh presents a refresh token. One that works once is replaced; the one before the current is answered with the current
// one for as long as Grace, and any older one ends the family: it was stolen, or the thief was faster.
type Refresh struct {
	Token    FamilyToken
	Scopes   []string // at most those of the family (RFC 6749, 6); none for the same
	Audience string   // "" for the family's
}

func (e Refresh) on(f *Family, at *Moment) verdict {
	if f.Client != at.By.Client || f.Tenant != at.By.Tenant || !f.Rotates || !f.genuine(e.Token, at) {
		return verdict{reason: Invalid}
	}
	if !within(e.Scopes, strings.Fields(f.Scope)) {
		return verdict{reason: MoreScopes}
	}
	if e.Audience != "" && e.Audience != f.Audience {
		return verdict{reason: OtherAudience}
	}
	if st := f.Live(at); st != FamilyLive {
		return f.dead(st)
	}
	current := e.Token.Counter == f.Counter
	switch {
	case current && f.Usage == Reusable:
		return verdict{note: TokenCreated, write: f.use(at)}
	case current:
		f.Counter++
		f.Used, f.Rotated = at.Now, at.Now
		return verdict{note: TokenCreated, write: true}
	case e.Token.Counter+1 == f.Counter && at.Now < f.Rotated.Add(f.Grace):
		return verdict{note: TokenCreated}
	}
	f.State = FamilyRevoked
	return verdict{reason: Reused, note: TokenReuse, write: true, any: at.Insist}
}

func within(some, all []string) bool {
	for _, s := range some {
		if !slices.Contains(all, s) {
			return false
		}
	}
	return true
}

// A RevokeFamily ends a family. It is for whoever presents a token of it, of any age, or names its user.
type RevokeFamily struct {
	Token  FamilyToken
	Client string // whose families alone are ended; "" for anybody's
	UserID string // if set, the user in at.By.Tenant whose family it must be, and Token is not looked at
}

func (e RevokeFamily) on(f *Family, at *Moment) verdict {
	switch {
	case f.State == FamilyRevoked, e.Client != "" && (e.Client != f.Client || f.Tenant != at.By.Tenant):
		return verdict{reason: Invalid}
	case e.UserID != "" && (f.UserID != e.UserID || f.Tenant != at.By.Tenant):
		return verdict{reason: Invalid}
	case e.UserID == "" && !f.genuine(e.Token, at):
		return verdict{reason: Invalid}
	}
	f.State = FamilyRevoked
	return verdict{note: SignedOut, write: true, any: at.Insist}
}
