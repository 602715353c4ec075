package machine

import (
	"encoding/binary"

	"github.com/seed62b93bad/passwordless/internal/canon"
	"github.com/seed62b93bad/passwordless/internal/secret"
)

// The fewest and most digits of a short code (NIST SP 800-63B-4, 3.1.3.2 for the fewest).
const (
	MinDigits = 6
	MaxDigits = 9
)

// A Format is the alphabet and length of a code: digits, or letters of which there are twenty.
type Format struct {
	Letters bool
	Length  int
}

// longCode is given where guesses at short codes have become rare.
var longCode = Format{Letters: true, Length: 10}

// sound reports whether codes of the format are ever made.
func (f Format) sound() bool {
	return f == longCode || !f.Letters && f.Length >= MinDigits && f.Length <= MaxDigits
}

func (f Format) alphabet() canon.Alphabet {
	if f.Letters {
		return canon.Base20 // RFC 8628, 6.1
	}
	return canon.Digits
}

// read normalises what a person typed. It reports false if no code of the format looks like that.
func (f Format) read(typed string) (string, bool) {
	code, ok := canon.Code(typed, f.alphabet())
	return code, ok && len(code) == f.Length
}

// Space is how many codes of the format there are.
func (f Format) Space() uint64 {
	n := uint64(1)
	for range f.Length {
		n *= uint64(len(f.alphabet()))
	}
	return n
}

// spell writes number n, below Space, as a code with leading zeros kept.
func (f Format) spell(n uint64) string {
	alphabet := f.alphabet()
	var room [16]byte
	code := room[:f.Length]
	for i := f.Length - 1; i >= 0; i-- {
		code[i] = alphabet[n%uint64(len(alphabet))]
		n /= uint64(len(alphabet))
	}
	return string(code)
}

// uniform maps a stream of 64-bit numbers to one below Space, without bias: a number of the incomplete last stretch is
// passed over, and the next one taken.
func (f Format) uniform(next func() uint64) uint64 {
	space := f.Space()
	limit := -space % space // 2^64 mod space
	for {
		if n := next(); n >= limit {
			return n % space
		}
	}
}

// Code derives the code of a challenge. The derivation covers everything that the code is bound to (ASVS 5.0, 6.6.2): a record
// that is moved to another tenant, client, channel, address, purpose or name gives another code.
func (c *Challenge) Code(k *secret.Key, n secret.Name) string {
	var round byte
	var block secret.Digest
	left := block[:0]
	next := func() uint64 {
		if len(left) < 8 {
			block = c.bound(k, "code", n, round)
			left = block[:]
			round++
		}
		v := binary.BigEndian.Uint64(left)
		left = left[8:]
		return v
	}
	return c.Format.spell(c.Format.uniform(next))
}

// Link and Kill derive the secrets of the message's link and of its "this was not me" link: 256 bits each, apart from the code
// and from one another, so that none can be had from the others.
func (c *Challenge) Link(k *secret.Key, n secret.Name) string { return c.secretOf(k, "link", n) }

// Kill is the secret of the "this was not me" link.
func (c *Challenge) Kill(k *secret.Key, n secret.Name) string { return c.secretOf(k, "kill", n) }

func (c *Challenge) secretOf(k *secret.Key, label string, n secret.Name) string {
	d := c.bound(k, label, n, 0)
	return string(d[:])
}

// bound derives 32 bytes for one use of a challenge, bound as Code says.
func (c *Challenge) bound(k *secret.Key, label string, n secret.Name, round byte) secret.Digest {
	return k.Derive(label, c.Tenant, c.Client, c.Channel, c.Address, c.Purpose, string(n), string([]byte{c.Generation, round}))
}
