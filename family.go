package passwordless

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"

	"github.com/seed62b93bad/passwordless/store"
)

// The family machine: one record holds a session or a refresh token family.
//
//	live -> revoked | over
//
// Every secret of it derives from its key, name and counter, so that the token before the
// current one can be told from a forged one, and answered with the current one
// within the grace window.
const kindSession store.Kind = "session"

type family struct {
	proof
	revoked                  bool
	subject, audience, scope string
	rotates                  bool // a refresh token family; else a session of our own
	counter                  uint32
	used, rotated, end       store.Instant
	keyID                    string
	seed                     digest
}

// A proof is what stands behind a session, a refresh token family and an authorization code: who proved
// control of an address to which client, how and when, and the epoch under which it was granted.
type proof struct {
	tenant, client, userID string
	channel                Channel
	method                 Method
	at                     store.Instant
	epoch                  int64
}

// newFamily grants a session or, for a request for tokens, a refresh token family.
func (s *Service) newFamily(p proof, t *TokenRequest, subject string, seed digest, now store.Instant) family {
	f := family{proof: p, rotates: t != nil, used: now, end: p.at.Add(s.policy.Session.Absolute), keyID: s.ring.current.id, seed: seed}
	if t != nil {
		f.subject, f.audience, f.scope = subject, t.Audience, strings.Join(t.Scopes, " ")
	}
	return f
}

// familyName names what is granted with a seed at an instant.
func familyName(now store.Instant, rotates bool, seed digest) name {
	return timedName(appendSeconds(nil, now), sha256.Sum256(append([]byte{boolByte(rotates)}, seed[:]...)))
}

func (f *family) encode() []byte {
	w := writer{make([]byte, 0, 256)}
	w.fixed([]byte{bodyFormat})
	w.flag(f.revoked)
	for _, v := range [...]string{f.tenant, f.client, f.userID, f.subject, f.audience, f.scope, string(f.channel), string(f.method), f.keyID} {
		w.text(v)
	}
	w.flag(f.rotates)
	w.num(int64(f.counter))
	w.num(f.epoch)
	for _, v := range [...]store.Instant{f.at, f.used, f.rotated, f.end} {
		w.at(v)
	}
	w.fixed(f.seed[:])
	return w.b
}

func decodeFamily(rec store.Record) (f family, err error) {
	r, err := openBody(rec)
	if err != nil {
		return f, err
	}
	f.revoked = r.flag()
	var channel, method string
	for _, v := range [...]*string{&f.tenant, &f.client, &f.userID, &f.subject, &f.audience, &f.scope, &channel, &method, &f.keyID} {
		*v = r.text()
	}
	f.channel, f.method = Channel(channel), Method(method)
	f.rotates = r.flag()
	f.counter = uint32(r.num())
	f.epoch = r.num()
	for _, v := range [...]*store.Instant{&f.at, &f.used, &f.rotated, &f.end} {
		*v = r.at()
	}
	r.fixed(f.seed[:])
	return f, r.finish(rec.Key.Kind)
}

// expires is when the family ends unless it is used.
func (f *family) expires(p SessionPolicy) store.Instant { return min(f.end, f.used.Add(p.Idle)) }

// put is a write of the family, without a stage: the caller knows what it does.
func (f *family) put(n, owner name, p SessionPolicy, fresh, was store.Version) store.Put {
	return store.Put{Was: was, Record: store.Record{Key: n.key(kindSession), Version: fresh, Owner: string(owner),
		Expires: f.expires(p).Add(retention), Body: f.encode()}}
}

// A family token is the record's name, its owner's, a counter and a secret. The owner's name
// lets one Load fetch the owner's epoch too.
const familyTokenSize = 2*nameSize + 4 + sha256.Size

func (f *family) token(key *macKey, n, owner name) Secret {
	count := binary.BigEndian.AppendUint32(nil, f.counter)
	d := f.secret(key, n, owner, f.counter)
	return token(n, []byte(owner), count, d[:])
}

func (f *family) secret(key *macKey, n, owner name, counter uint32) digest {
	return key.sum("family", f.tenant, f.client, f.userID, string(n), string(owner),
		string(binary.BigEndian.AppendUint32(nil, counter)), string(f.seed[:]))
}

// A presentedToken is a family token taken apart.
type presentedToken struct {
	name, owner name
	counter     uint32
	secret      string
}

func openFamilyToken(t Secret) (p presentedToken, ok bool) {
	b, ok := openToken(t, familyTokenSize)
	if !ok {
		return p, false
	}
	p.name, p.owner = name(b[:nameSize]), name(b[nameSize:2*nameSize])
	p.counter = binary.BigEndian.Uint32(b[32:])
	p.secret = string(b[36:])
	return p, true
}

// Each user has a revocation epoch. Families carry the one they were granted under and die
// with it, so "sign out everywhere" is one write and misses nobody: a grant that
// read the epoch before that write is dead at its first use after it.
const kindEpoch store.Kind = "epoch"

type epoch struct {
	n  int64
	at store.Instant
}

// next is the epoch that a revocation at now begins.
func (e epoch) next(now store.Instant) epoch { return epoch{n: e.n + 1, at: max(now, e.at)} }

func (e epoch) put(owner name, was store.Version) store.Put {
	return store.Put{Was: was, Stage: store.StageRevoke, Record: store.Record{
		Key: owner.key(kindEpoch), Version: newVersion(), Expires: store.Never, Body: e.encode()}}
}

func (e epoch) encode() []byte {
	w := writer{[]byte{bodyFormat}}
	w.num(e.n)
	w.at(e.at)
	return w.b
}

func decodeEpoch(rec store.Record) (e epoch, err error) {
	if !rec.Exists() {
		return e, nil
	}
	r, err := openBody(rec)
	if err != nil {
		return e, err
	}
	e.n, e.at = r.num(), r.at()
	return e, r.finish(rec.Key.Kind)
}

// alive reports whether the family still stands at now.
func (f *family) alive(now store.Instant, e epoch, p SessionPolicy) bool {
	return !f.revoked && f.epoch == e.n && now < f.expires(p)
}

// decideRefresh judges a genuine refresh token by its counter. It returns the family as it
// should be, whether that must be written, and the answer.
func decideRefresh(f family, e epoch, counter uint32, now store.Instant, p SessionPolicy) (family, bool, error) {
	if !f.alive(now, e, p) {
		return f, false, ErrInvalidToken
	}
	switch {
	case counter == f.counter:
		f.counter++
		f.rotated, f.used = now, now
		return f, true, nil
	case counter+1 == f.counter && now < f.rotated.Add(p.Grace):
		return f, false, nil
	}
	f.revoked = true
	return f, true, ErrReusedToken
}
