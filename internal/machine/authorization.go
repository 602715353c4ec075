package machine

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"github.com/seed62b93bad/passwordless/internal/record"
	"github.com/seed62b93bad/passwordless/internal/secret"
	"github.com/seed62b93bad/passwordless/store"
)

// KindCode is the kind of the records of authorization codes.
const KindCode store.Kind = "code"

// A CodeState is where an authorization code is.
type CodeState uint8

// The states.
const (
	CodeOpen CodeState = iota + 1
	CodeUsed
	CodeOver // its time; such a record is removed
)

// An AuthorizationCode is what a sign-in in a browser ends with, and what the client exchanges for tokens (RFC 6749,
// 4.1). A used one remembers the refresh token family that it was exchanged for, so that a second use ends it.
type AuthorizationCode struct {
	State CodeState
	Proof
	RedirectURI string
	Challenge   string // of PKCE, S256; "" if none binds the code
	Scope       string
	Audience    string
	Nonce       string
	Granted     store.Instant
	Expires     store.Instant
	Family      secret.Name // that it was exchanged for; "" for none
	KeyID       string
	Seed        secret.Seed
}

// Encode writes the body of the record.
func (c *AuthorizationCode) Encode() []byte {
	w := record.NewWriter(320)
	w.Byte(byte(c.State))
	c.encode(&w)
	for _, v := range [...]string{c.RedirectURI, c.Challenge, c.Scope, c.Audience, c.Nonce, string(c.Family), c.KeyID} {
		w.Text(v)
	}
	w.Num(int64(c.Granted))
	w.Num(int64(c.Expires))
	w.Byte(c.Seed[:]...)
	return w.Bytes()
}

// DecodeAuthorizationCode reads a body. Its errors are those of package record.
func DecodeAuthorizationCode(body []byte) (c AuthorizationCode, err error) {
	r := record.Open(body)
	var st [1]byte
	r.Fixed(st[:])
	c.State = CodeState(st[0])
	c.decode(&r)
	var family string
	for _, v := range [...]*string{&c.RedirectURI, &c.Challenge, &c.Scope, &c.Audience, &c.Nonce, &family, &c.KeyID} {
		*v = r.Text()
	}
	c.Family = secret.Name(family)
	c.Granted, c.Expires = store.Instant(r.Num()), store.Instant(r.Num())
	r.Fixed(c.Seed[:])
	if c.State < CodeOpen || c.State > CodeUsed {
		r.Refuse()
	}
	if err := r.Err(); err != nil {
		return AuthorizationCode{}, err
	}
	return c, nil
}

// Grant is the put of a new code.
func (c *AuthorizationCode) Grant(fresh store.Version, n secret.Name) store.Put {
	return c.put(&Moment{Name: n, Fresh: fresh}, store.StageGrant)
}

func (c *AuthorizationCode) put(at *Moment, s store.Stage) store.Put {
	return store.Put{Stage: s, Was: at.Was, Record: store.Record{Key: key(KindCode, at.Name), Version: at.Fresh,
		Expires: c.Expires.Add(retention), Body: c.Encode()}}
}

// codeSize is the size of a code before it is encoded: the record's name and a secret.
const codeSize = secret.NameSize + sha256.Size

// Token makes the code as the client gets it.
func (c *AuthorizationCode) Token(k *secret.Key, n secret.Name) string {
	return secret.Encode(string(n), c.secretOf(k, n))
}

// secretOf covers all of the code but whether it was used: a record that says another thing gives another secret.
func (c *AuthorizationCode) secretOf(k *secret.Key, n secret.Name) string {
	w := record.NewWriter(256)
	c.encode(&w)
	numbers := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(c.Granted)), uint64(c.Expires))
	d := k.Derive("authorization code", string(w.Bytes()), c.RedirectURI, c.Challenge, c.Scope, c.Audience, c.Nonce,
		string(numbers), string(n))
	return string(d[:])
}

// OpenCode takes a code apart into the name of its record and its secret.
func OpenCode(text string) (n secret.Name, presented string, ok bool) {
	b, ok := secret.Decode(text, codeSize)
	if !ok {
		return "", "", false
	}
	return secret.Name(b[:secret.NameSize]), b[secret.NameSize:], true
}

// ChallengeOf is the S256 challenge of a PKCE verifier (RFC 7636, 4.2).
func ChallengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// An Exchange presents an authorization code.
type Exchange struct {
	Secret      string
	RedirectURI string
	Registered  bool        // the client may still be sent there
	Verifier    string      // of PKCE; "" for none
	Family      secret.Name // that the code is exchanged for; "" for none
}

// On decides an exchange. Only the client that may exchange a code learns, and decides, that it was used before. An end
// that nobody has written yet is written: what is over leaves no record.
func (c AuthorizationCode) On(e Exchange, at Moment) Decision[AuthorizationCode] {
	bound := c.Challenge != ""
	switch {
	case at.Key == nil || !secret.Equal(c.secretOf(at.Key, at.Name), e.Secret),
		c.Client != at.By.Client || c.Tenant != at.By.Tenant,
		c.RedirectURI != e.RedirectURI || !e.Registered,
		bound != (e.Verifier != ""),
		bound && !secret.Equal(c.Challenge, ChallengeOf(e.Verifier)):
		return Decision[AuthorizationCode]{Next: c, Reason: Invalid}
	case c.State == CodeUsed:
		return Decision[AuthorizationCode]{Next: c, Reason: Reused, Note: TokenReuse}
	case at.Now >= c.Expires:
		put := c.put(&at, store.StageDecide)
		put.Record.Expires, put.Record.Body = 0, nil // which leaves it absent
		c.State = CodeOver
		return Decision[AuthorizationCode]{Next: c, Reason: Invalid, Batch: store.Batch{Puts: []store.Put{put}}}
	}
	c.State, c.Family = CodeUsed, e.Family
	put := c.put(&at, store.StageDecide)
	return Decision[AuthorizationCode]{Next: c, Note: TokenCreated, Batch: store.Batch{Puts: []store.Put{put}}}
}
