package machine

import (
	"encoding/binary"
	"slices"

	"github.com/seed62b93bad/passwordless/internal/canon"
	"github.com/seed62b93bad/passwordless/internal/limit"
	"github.com/seed62b93bad/passwordless/internal/secret"
)

// A Format is the alphabet and length of a code: digits, or letters of which there are twenty.
type Format struct {
	Letters bool
	Length  int
}

// formats are the formats of codes, by their rung.
var formats = [...]Format{
	limit.SixDigits: {Length: 6}, limit.SevenDigits: {Length: 7}, limit.EightDigits: {Length: 8}, limit.NineDigits: {Length: 9},
	limit.TenLetters: {Letters: true, Length: 10}, limit.Uncounted: {Letters: true, Length: 15},
}

// sound reports whether codes of the format are ever made.
func (f Format) sound() bool { return slices.Contains(formats[:], f) }

// rung is where codes of the format stand on the ladder.
func (f Format) rung() limit.Rung {
	switch {
	case !f.Letters:
		return limit.Digits(f.Length)
	case f.Length == formats[limit.TenLetters].Length:
		return limit.TenLetters
	}
	return limit.Uncounted
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

// maxPart is the longest code that is made in one piece: what there are of it is less than 2^64.
const maxPart = 10

// Space is how many codes of the format there are. It is for at most maxPart characters.
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
	code := ""
	for rest := c.Format; rest.Length > 0; rest.Length -= maxPart {
		part := Format{rest.Letters, min(rest.Length, maxPart)}
		code += part.spell(part.uniform(next))
	}
	return code
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
