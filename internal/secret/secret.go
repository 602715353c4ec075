// Package secret makes what must not be guessed: keyed hashes, the names of records, and tokens.
package secret

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
)

// A Digest is a value of SHA-256 or of HMAC-SHA-256.
type Digest [sha256.Size]byte

// A Seed is 32 random bytes that a record keeps. Together with a key of the ring it gives the record's own Key.
type Seed = Digest

// A Key is 32 bytes that cannot be told from random ones: a ring key, or the key of one record. The zero Key is none:
// nothing may be made with it.
type Key [sha256.Size]byte

// NewKey makes a Key of random bytes, at least as many as a Key has: HMAC-SHA-256 of them under zeros (RFC 5869, 2.2).
func NewKey(material []byte) (k Key) {
	extract := hmac.New(sha256.New, k[:])
	extract.Write(material)
	extract.Sum(k[:0])
	return k
}

// Derive makes 32 bytes for one use of the key of a record: SHA-256 of the key and what the bytes are for (NIST SP
// 800-56C Rev. 2, 4.1, option 1). The label keeps the uses apart. The number of fields comes first and each field
// carries its length, so no input is another one, nor the beginning of another one: whoever has seen what was derived
// for some uses cannot tell any other from random bytes, nor continue the hash into one. It does not allocate for
// fields of up to about 400 bytes in all.
func (k *Key) Derive(label string, fields ...string) Digest {
	var room [512]byte
	in := append(room[:0], 0, 0, 0, 1) // the counter: all is in the first block
	in = append(in, k[:]...)
	in = AppendField(binary.AppendUvarint(in, uint64(len(fields))), label)
	for _, f := range fields {
		in = AppendField(in, f)
	}
	return sha256.Sum256(in)
}

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
	d := k.Derive("handle")
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
