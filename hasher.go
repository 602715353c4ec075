package passwordless

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	"github.com/seed62b93bad/passwordless/internal/secret"
)

// A Hasher makes two keyed hashes, from which everything derives that must not be guessed. [Keyring] is one. An
// application that keeps its keys in a security module or a key service brings its own.
//
// Ring keys rotate. Each record has a key of its own, made from a ring key; the record's one-time code, links, handle
// or tokens derive from that, so the store alone opens nothing. The index key never changes: it names what must be
// found again from what a person typed.
//
// A Hasher must be safe for concurrent use, and answer the same for the same input for as long as anything made with it
// is in use. Its errors end the call that needed it. One that matches ErrUnavailable says that a key is not there yet
// or cannot be reached now; nothing is charged then, and no secret is called wrong.
type Hasher interface {
	// RecordKey returns the key of the record with a seed, under the ring key with an ID; "" is the current one. The key
	// is 32 bytes that cannot be told from random ones without the ring key: HMAC-SHA-256 of the seed, say. An ID that it
	// does not know is an error that matches ErrUnavailable.
	RecordKey(ctx context.Context, id string, seed [32]byte) (RecordKey, error)
	// IndexName returns a keyed hash of a name's parts under the index key. It must not keep or change parts.
	IndexName(ctx context.Context, parts []byte) ([32]byte, error)
}

// A RecordKey is the key of one record, and the ID of the ring key that it came from.
type RecordKey struct {
	ID  string // 1 to 16 ASCII letters, digits, '-' or '_'
	Key [32]byte
}

// Format prints the ID alone, for every verb.
func (k RecordKey) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "RecordKey(%s)", k.ID) }

// A RingKey is one key of a Keyring.
type RingKey struct {
	// ID is stored beside everything made with the key: 1 to 16 ASCII letters, digits, '-' or '_'. An ID is never given to
	// a second key.
	ID string
	// Secret is 32 bytes or more from a cryptographic source. It is not kept in the store's database, nor in its backups
	// (ASVS 5.0, 13.3.1).
	Secret SecretBytes
}

// A Keyring is a Hasher from keys in memory: a ring, whose first key makes new secrets while all verify, and an index
// key. It is safe for concurrent use. The zero Keyring holds no keys, and New refuses it.
type Keyring struct {
	index    SecretBytes
	current  atomic.Pointer[ring]
	mistakes faultList // in the arguments of NewKeyring; New reports them
}

// NewKeyring returns a Keyring of copies of the keys. The first ring key is the current one. The index key is 32 random
// bytes or more, is none of the ring's, and never changes (docs/operations.md tells how to move away from one). New
// reports what is wrong with the keys.
func NewKeyring(index SecretBytes, keys ...RingKey) *Keyring {
	k := &Keyring{index: bytes.Clone(index)}
	k.mistakes.unlessf(!weakKey(index), "index key: want at least %d random bytes", minKey)
	r, faults := newRing(k.index, keys)
	k.mistakes = append(k.mistakes, faults...)
	k.current.Store(r)
	return k
}

// Replace puts other keys into the ring while Services use it. A call that has begun goes on with the keys that it
// began with. Rotate in three steps, each on every instance before the next: append the new key; move it to the front;
// remove the old one when nothing made with it is in use. See docs/operations.md.
//
// It returns an error, and changes nothing, if a key is unfit, or if an ID of the ring now has another secret.
func (k *Keyring) Replace(keys ...RingKey) error {
	for {
		was := k.current.Load()
		if was == nil { // without an index key nothing may be made
			return errors.New("passwordless: replacing keys: an empty Keyring; use NewKeyring")
		}
		r, faults := newRing(k.index, keys)
		for id, key := range r.byID {
			had, ok := was.byID[id]
			faults.unlessf(!ok || had.Same(key), "key %q: the ID is that of another key", id)
		}
		if err := joined(faults); err != nil {
			return fmt.Errorf("passwordless: replacing keys:\n%w", err)
		}
		if k.current.CompareAndSwap(was, r) {
			return nil
		}
	}
}

// RecordKey implements Hasher.
func (k *Keyring) RecordKey(ctx context.Context, id string, seed [32]byte) (RecordKey, error) {
	return k.current.Load().RecordKey(ctx, id, seed)
}

// IndexName implements Hasher. It returns no error.
func (k *Keyring) IndexName(ctx context.Context, parts []byte) ([32]byte, error) {
	return k.current.Load().IndexName(ctx, parts)
}

// Format prints nothing of the keys, for every verb.
func (k *Keyring) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "passwordless.Keyring") }

// holds reports whether a secret is one of the keys.
func (k *Keyring) holds(material []byte) bool {
	if k == nil || k.current.Load() == nil {
		return false
	}
	key, r := secret.NewKey(material), k.current.Load()
	for _, one := range r.byID {
		if one.Has(key) {
			return true
		}
	}
	return r.index.Has(key)
}

// check tells what is wrong with the keys.
func (k *Keyring) check() error {
	if k.current.Load() == nil {
		return errors.New("Hasher: an empty Keyring; use NewKeyring")
	}
	return labelled("Hasher", k.mistakes)
}

// A ring is the keys of a Keyring at one time. Immutable.
type ring struct {
	index   *secret.MAC
	current string
	byID    map[string]*secret.MAC
}

// newRing makes a ring, and tells what is wrong with the keys.
func newRing(index []byte, keys []RingKey) (*ring, faultList) {
	var f faultList
	r := &ring{index: secret.NewMAC(secret.NewKey(index)), byID: map[string]*secret.MAC{}}
	f.unlessf(len(keys) > 0, "keys: at least one key is required")
	for i, k := range keys {
		key := secret.NewKey(k.Secret)
		_, twice := r.byID[k.ID]
		same := slices.IndexFunc(keys[:i], func(other RingKey) bool { return bytes.Equal(other.Secret, k.Secret) })
		switch {
		case !validKeyID(k.ID):
			f.addf("keys[%d].ID: want 1 to 16 letters, digits, '-' or '_'", i)
		case twice:
			f.addf("keys[%d].ID: used twice", i)
		case weakKey(k.Secret):
			f.addf("keys[%d].Secret: want at least %d random bytes", i, minKey)
		case same >= 0:
			f.addf("keys[%d].Secret: that of keys[%d] too", i, same)
		case r.index.Has(key):
			f.addf("keys[%d].Secret: also the index key", i)
		}
		r.byID[k.ID] = secret.NewMAC(key)
	}
	if len(keys) > 0 {
		r.current = keys[0].ID
	}
	return r, f
}

// RecordKey implements Hasher, for the namer of a call.
func (r *ring) RecordKey(_ context.Context, id string, seed [32]byte) (RecordKey, error) {
	id = orDefault(id, r.current)
	key, ok := r.byID[id]
	if !ok {
		return RecordKey{}, errUnknownKey
	}
	return RecordKey{ID: id, Key: key.Sum("record", seed[:])}, nil
}

// IndexName implements Hasher, for the namer of a call.
func (r *ring) IndexName(_ context.Context, parts []byte) ([32]byte, error) {
	return r.index.Sum("index", parts), nil
}

// errUnknownKey is for the ID of a key that is not in the ring.
var errUnknownKey = fmt.Errorf("%w: a key that is not in the ring", ErrUnavailable)

// RandomKey returns 32 bytes fit for RingKey.Secret or an index key. Make it once and keep it.
func RandomKey() SecretBytes {
	key := make([]byte, minKey)
	rand.Read(key) // never fails since Go 1.24
	return key
}
