package secret

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"
)

// A MAC is HMAC-SHA-256 (RFC 2104) under a key that is kept and used often. HMAC begins by hashing the padded key; a MAC
// has done that once, so that a sum of a short field hashes half as many blocks. It is safe for concurrent use. Make one
// with NewMAC.
type MAC struct {
	key  Key
	pool sync.Pool // of *macState
}

// A macState is what one sum needs; the next one uses it again.
type macState struct {
	hash hash.Hash
	in   []byte
	out  [sha256.Size]byte
}

// NewMAC returns the MAC of a key.
func NewMAC(k Key) *MAC {
	return &MAC{key: k, pool: sync.Pool{New: func() any { return &macState{hash: hmac.New(sha256.New, k[:])} }}}
}

// Sum authenticates a label and a field. Both carry their length. The label keeps the uses of one key apart.
func (m *MAC) Sum(label string, field []byte) Digest {
	st := m.pool.Get().(*macState)
	defer m.pool.Put(st)
	st.in = binary.AppendUvarint(AppendField(st.in[:0], label), uint64(len(field)))
	st.in = append(st.in, field...)
	st.hash.Reset()
	st.hash.Write(st.in)
	st.hash.Sum(st.out[:0])
	clear(st.in)
	return st.out
}

// Has reports whether it is the MAC of a key.
func (m *MAC) Has(k Key) bool { return m.key == k }

// Same reports whether both are MACs of one key.
func (m *MAC) Same(other *MAC) bool { return m.key == other.key }
