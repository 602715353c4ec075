// Package secret makes what must not be guessed: keyed hashes, the names of records, and tokens.
package secret

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
)

// A Digest is an HMAC-SHA-256 value.
type Digest [sha256.Size]byte

// A Seed is 32 random bytes that a record keeps. Together with a key of the ring it gives the record's own Key.
type Seed = Digest

// A Key is a key of HMAC-SHA-256 (RFC 2104). The zero Key is none: nothing may be made with it.
type Key [sha256.Size]byte

// NewKey makes a Key of random bytes, at least as many as a Key has.
func NewKey(material []byte) Key {
	var k Key
	return Key(k.Sum("key", string(material)))
}

// blockSize is the size of SHA-256's blocks (FIPS 180-4), to which HMAC fills up its key.
const blockSize = 64

// Sum authenticates a label and fields. Each field carries its length, so that no two lists of fields are the same
// bytes. The label keeps the uses of one key apart. It does not allocate for fields of up to about 400 bytes in all.
func (k *Key) Sum(label string, fields ...string) Digest {
	var room [512]byte
	in := AppendField(k.pad(room[:0], &inside), label)
	for _, f := range fields {
		in = AppendField(in, f)
	}
	inner := sha256.Sum256(in)
	var last [blockSize + sha256.Size]byte
	out := append(k.pad(last[:0], &outside), inner[:]...)
	return sha256.Sum256(out)
}

// pad appends the key, filled up to a block, with each byte combined with one of HMAC's two constants.
func (k *Key) pad(b []byte, with *[blockSize]byte) []byte {
	block := *with
	subtle.XORBytes(block[:len(k)], block[:len(k)], k[:])
	return append(b, block[:]...)
}

// inside and outside are HMAC's constants, as blocks.
var (
	inside  = [blockSize]byte(bytes.Repeat([]byte{0x36}, blockSize))
	outside = [blockSize]byte(bytes.Repeat([]byte{0x5c}, blockSize))
)

// AppendField appends a field behind its length.
func AppendField(b []byte, f string) []byte {
	b = binary.AppendUvarint(b, uint64(len(f)))
	return append(b, f...)
}

// Equal compares two secrets in constant time if they have one length. Secrets of different lengths are unequal.
func Equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// Hash is SHA-256 of parts one behind the other. They carry no lengths, so all but one must be of a fixed one. It does
// not allocate for up to 128 bytes in all.
func Hash(parts ...string) Digest {
	var room [128]byte
	b := room[:0]
	for _, p := range parts {
		b = append(b, p...)
	}
	return sha256.Sum256(b)
}

// A Name is the name of a record or bucket that is reached by a secret or by what a person typed: NameSize bytes.
type Name string

// NameSize is the size of a Name in bytes.
const NameSize = 16

// Hex returns the name for people to read: a pseudonym.
func (n Name) Hex() string { return hex.EncodeToString([]byte(n)) }

// NameOf cuts a digest to a name.
func NameOf(d Digest) Name { return Name(d[:NameSize]) }

// TimedName names what is made with a seed, for one use, at an instant. It begins with the seconds of the instant,
// which keeps an ordered index compact.
func TimedName(seconds uint32, use string, seed *Seed) Name {
	return timed(seconds, Hash(use, string(seed[:])))
}

func timed(seconds uint32, d Digest) Name {
	var n [NameSize]byte
	binary.BigEndian.PutUint32(n[:4], seconds)
	copy(n[4:], d[:])
	return Name(n[:])
}

// A Handle is the secret of whoever began something: the seconds of the instant, then 32 bytes.
type Handle string

// HandleSize is the size of a Handle in bytes.
const HandleSize = 4 + sha256.Size

// NewHandle derives the handle of what a record key was made for at an instant. Deriving it rather than drawing it lets
// the same start be answered twice although the handle is not stored.
func NewHandle(k *Key, seconds uint32) Handle {
	var h [HandleSize]byte
	binary.BigEndian.PutUint32(h[:4], seconds)
	d := k.Sum("handle")
	copy(h[4:], d[:])
	return Handle(h[:])
}

// Name is the name of what the handle opens. It holds a hash of the handle, so that the name alone opens nothing.
func (h Handle) Name() Name {
	return timed(binary.BigEndian.Uint32([]byte(h[:4])), Hash(string(h)))
}

// encoding is base64url without padding, read strictly: each token has one spelling, so that a changed one never equals
// another.
var encoding = base64.RawURLEncoding.Strict()

// maxToken is the size of the largest token before it is encoded.
const maxToken = NameSize + 3*8 + sha256.Size

// Encode joins parts into what a person or a program holds: text that is fit for URLs and cookies.
func Encode(parts ...string) string { return EncodeAfter("", parts...) }

// EncodeAfter is Encode with a prefix before the text: the beginning of a link.
func EncodeAfter(prefix string, parts ...string) string {
	var raw [maxToken]byte
	b := raw[:0]
	for _, p := range parts {
		b = append(b, p...)
	}
	var text [256]byte
	return string(encoding.AppendEncode(append(text[:0], prefix...), b))
}

// Decode returns what Encode joined, if it is exactly size bytes. The decoder passes over line ends, so a text of the
// right length can hold too little.
func Decode(text string, size int) (string, bool) {
	if size > maxToken || len(text) != encoding.EncodedLen(size) {
		return "", false
	}
	var room [maxToken]byte
	n, err := encoding.Decode(room[:], []byte(text))
	return string(room[:n]), err == nil && n == size
}
