package passwordless

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"sync"

	"github.com/seed62b93bad/passwordless/internal/canon"
	"github.com/seed62b93bad/passwordless/store"
)

// Two kinds of keys stand behind everything that must not be guessed.
//
// The ring derives one-time and authorization codes, links, handles, session and refresh tokens, and
// the keys of access tokens with HS256. It rotates: a record carries the ID of the key that it was made
// with, and a key stays in the ring until the longest life of anything made with it is over.
//
// The index key names things that must be found again from what a person
// typed: slots, buckets, directory entries. It does not rotate, because the names
// would change with it.

// A RingKey is one key of the ring.
type RingKey struct {
	// ID is stored beside everything made with the key: 1 to 16 ASCII letters,
	// digits, '-' or '_'. An ID is never given to a second key.
	ID string
	// Secret is 32 bytes or more from a cryptographic source. It is not kept
	// in the store's database, nor in its backups (ASVS 5.0, 13.3.1).
	Secret SecretBytes
}

// minKey is the shortest accepted key, in bytes (NIST SP 800-63B-4, 3.1.1.2).
const minKey = 32

// digest is an HMAC-SHA-256 value.
type digest [sha256.Size]byte

// A macKey computes HMAC-SHA-256 under one key without allocating. Safe for concurrent use.
type macKey struct {
	id   string
	pool sync.Pool // of *macState
}

type macState struct {
	hash hash.Hash
	in   []byte
	out  []byte
}

func newMACKey(id string, secret []byte) *macKey {
	secret = bytes.Clone(secret)
	return &macKey{id: id, pool: sync.Pool{New: func() any {
		return &macState{hash: hmac.New(sha256.New, secret), out: make([]byte, 0, sha256.Size)}
	}}}
}

// sum authenticates a label and fields. Each field carries its length, so that no two
// lists of fields collide; the label keeps uses of one key apart.
func (k *macKey) sum(label string, fields ...string) (d digest) {
	st := k.pool.Get().(*macState)
	st.in = appendField(st.in[:0], label)
	for _, f := range fields {
		st.in = appendField(st.in, f)
	}
	st.hash.Reset()
	st.hash.Write(st.in)
	copy(d[:], st.hash.Sum(st.out))
	clear(st.in)
	k.pool.Put(st)
	return d
}

func appendField(b []byte, f string) []byte {
	b = binary.AppendUvarint(b, uint64(len(f)))
	return append(b, f...)
}

// A ring is the rotating keys. Immutable.
type ring struct {
	current *macKey
	byID    map[string]*macKey
}

func newRing(keys []RingKey) (*ring, error) {
	var errs []error
	if len(keys) == 0 {
		errs = append(errs, errors.New("Keys: at least one key is required"))
	}
	r := &ring{byID: map[string]*macKey{}}
	for i, k := range keys {
		switch {
		case !validKeyID(k.ID):
			errs = append(errs, fmt.Errorf("Keys[%d].ID: want 1 to 16 letters, digits, '-' or '_'", i))
		case r.byID[k.ID] != nil:
			errs = append(errs, fmt.Errorf("Keys[%d].ID: used twice", i))
		case weakKey(k.Secret):
			errs = append(errs, fmt.Errorf("Keys[%d].Secret: want at least %d random bytes", i, minKey))
		default:
			r.byID[k.ID] = newMACKey(k.ID, k.Secret)
			if i == 0 {
				r.current = r.byID[k.ID]
			}
		}
	}
	return r, errors.Join(errs...)
}

// weakKey reports a key that is too short, or visibly not random.
func weakKey(secret []byte) bool {
	return len(secret) < minKey || bytes.Count(secret, secret[:1]) == len(secret)
}

func validKeyID(id string) bool {
	if len(id) < 1 || len(id) > 16 {
		return false
	}
	for _, c := range []byte(id) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// A name is the Name of a record that is reached by a secret or a slot: nameSize
// bytes. Names of fresh secrets begin with the time, which keeps an ordered index compact.
type name string

const nameSize = 16

// hex is the name for people: a pseudonym.
func (n name) hex() string { return hex.EncodeToString([]byte(n)) }

func (n name) key(k store.Kind) store.Key { return store.Key{Kind: k, Name: string(n)} }

// nameOf cuts a digest to a name.
func nameOf(d digest) name { return name(d[:nameSize]) }

// timedName is a name that begins with an instant's four bytes of seconds.
func timedName(seconds []byte, d digest) name {
	var n [nameSize]byte
	copy(n[:4], seconds)
	copy(n[4:], d[:])
	return name(n[:])
}

// appendSeconds appends the time bytes of names and handles.
func appendSeconds(b []byte, at store.Instant) []byte {
	return binary.BigEndian.AppendUint32(b, uint32(int64(at)/1e9))
}

// handleName is the name of what a handle opens: its four time bytes and
// twelve bytes of its hash, so that the name alone opens nothing.
func handleName(handle []byte) name { return timedName(handle[:4], sha256.Sum256(handle)) }

// handleSize is the size of a decoded handle: four bytes of time, 32 of secret.
const handleSize = 36

// newHandle derives a handle from a seed. Deriving rather than drawing it lets the same
// start be answered twice without the handle being stored.
func newHandle(k *macKey, now store.Instant, seed *digest) []byte {
	h := appendSeconds(make([]byte, 0, handleSize), now)
	d := k.sum("handle", string(seed[:]))
	return append(h, d[:]...)
}

// A codeFormat is the alphabet and length of a code.
type codeFormat struct {
	base20 bool
	length int
}

func (f codeFormat) alphabet() canon.Alphabet {
	if f.base20 {
		return canon.Base20 // RFC 8628, 6.1
	}
	return canon.Digits
}

// read normalises what a person typed; false if no code of the format looks like that.
func (f codeFormat) read(typed string) (string, bool) {
	code, ok := canon.Code(typed, f.alphabet())
	return code, ok && len(code) == f.length
}

// space is how many codes of the format there are.
func (f codeFormat) space() uint64 {
	n := uint64(1)
	for range f.length {
		n *= uint64(len(f.alphabet()))
	}
	return n
}

// spell writes number n, below space, as a code with leading zeros kept.
func (f codeFormat) spell(n uint64) string {
	alphabet := f.alphabet()
	var room [16]byte
	code := room[:f.length]
	for i := f.length - 1; i >= 0; i-- {
		code[i] = alphabet[n%uint64(len(alphabet))]
		n /= uint64(len(alphabet))
	}
	return string(code)
}

// uniform maps a stream of 64-bit numbers to one below space, without bias: a
// number of the incomplete last stretch is passed over and the next one taken.
func (f codeFormat) uniform(next func() uint64) uint64 {
	space := f.space()
	limit := -space % space // 2^64 mod space
	for {
		if n := next(); n >= limit {
			return n % space
		}
	}
}

// code derives the code of a challenge. The derivation covers everything that the
// code is bound to (ASVS 5.0, 6.6.2): a record moved to another tenant, client,
// channel, address, purpose or name gives another code.
func (k *macKey) code(c *challenge, n name, f codeFormat) string {
	var round byte
	var block digest
	left := block[:0]
	next := func() uint64 {
		if len(left) < 8 {
			block = k.bound("code", c, n, round)
			left = block[:]
			round++
		}
		v := binary.BigEndian.Uint64(left)
		left = left[8:]
		return v
	}
	return f.spell(f.uniform(next))
}

// bound derives 32 bytes for one use of a challenge, bound as code says.
func (k *macKey) bound(label string, c *challenge, n name, round byte) digest {
	return k.sum(label, c.tenant, c.client, string(c.channel), c.address, string(c.purpose),
		string(n), string([]byte{c.generation, round}), string(c.seed[:]))
}

// Link and cancel secrets are 256 bits each, derived apart from the code and from
// one another, so that none can be had from the others.
func (k *macKey) link(c *challenge, n name) digest   { return k.bound("link", c, n, 0) }
func (k *macKey) cancel(c *challenge, n name) digest { return k.bound("cancel", c, n, 0) }

// equal compares two secrets of one length in constant time; secrets of
// different lengths are unequal.
func equal(a, b string) bool {
	return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

// Tokens travel in URLs and cookies as base64url without padding. Decoding is strict: one
// spelling each, so that a changed token never equals another.
var encoding = base64.RawURLEncoding.Strict()

// maxTokenSize is the size of the largest decoded token.
const maxTokenSize = familyTokenSize

// token joins a record's name and secrets into what a person or client holds.
func token(n name, parts ...[]byte) Secret { return tokenAfter("", n, parts...) }

// tokenAfter is a token behind a prefix: a link.
func tokenAfter(prefix string, n name, parts ...[]byte) Secret {
	var raw [maxTokenSize]byte
	b := append(raw[:0], n...)
	for _, p := range parts {
		b = append(b, p...)
	}
	var text [256]byte
	return Secret(encoding.AppendEncode(append(text[:0], prefix...), b))
}

// openToken decodes a token of exactly size bytes. The decoder passes over line ends, so a token of the right length can
// hold too little.
func openToken(t Secret, size int) ([]byte, bool) {
	if len(t) != encoding.EncodedLen(size) {
		return nil, false
	}
	b, err := encoding.DecodeString(t.Reveal())
	return b, err == nil && len(b) == size
}
