package secret_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless/internal/secret"
)

func TestWhatIsDerivedIsSHA256OfKeyAndUse(t *testing.T) { // SK-1
	key := secret.NewKey([]byte("0123456789abcdef0123456789abcdef"))
	for _, fields := range [][]string{nil, {""}, {"a", "b"}, {strings.Repeat("x", 5000), "y"}} {
		in := append([]byte{0, 0, 0, 1}, key[:]...)
		in = secret.AppendField(append(in, byte(len(fields))), "label")
		for _, f := range fields {
			in = secret.AppendField(in, f)
		}
		assert.Equal(t, secret.Digest(sha256.Sum256(in)), key.Derive("label", fields...))
	}
}

func TestAKeyIsExtractedFromItsMaterial(t *testing.T) { // SK-1
	h := hmac.New(sha256.New, make([]byte, 32))
	h.Write([]byte("material"))
	key := secret.NewKey([]byte("material"))
	assert.Equal(t, h.Sum(nil), key[:])
}

func TestNoTwoUsesAreTheSameBytes(t *testing.T) { // CG-10
	key := secret.NewKey([]byte("0123456789abcdef0123456789abcdef"))
	seen := map[secret.Digest][]string{}
	for _, list := range [][]string{{"a", "bc"}, {"ab", "c"}, {"abc"}, {"a", "b", "c"}, {"", "abc"}, {"abc", ""}, {"b", "bc"}} {
		made := key.Derive(list[0], list[1:]...)
		assert.Nil(t, seen[made], "%q", list)
		seen[made] = list
	}
	other := secret.NewKey([]byte("0123456789abcdef0123456789abcdeg"))
	assert.NotEqual(t, key.Derive("a"), other.Derive("a"), "another key")
}

func TestDeriveDoesNotAllocate(t *testing.T) {
	key := secret.NewKey([]byte("0123456789abcdef0123456789abcdef"))
	field := strings.Repeat("x", 100)
	assert.Zero(t, testing.AllocsPerRun(100, func() { _ = key.Derive("label", field, field, field) }))
}

func TestATokenHasOneSpelling(t *testing.T) { // TK-1, CG-4
	text := secret.Encode("0123456789abcdef", "0123456789abcdef0123456789abcdef")
	got, ok := secret.Decode(text, 48)
	require.True(t, ok)
	assert.Equal(t, "0123456789abcdef0123456789abcdef0123456789abcdef", got)
	for _, c := range []struct{ name, text string }{
		{"padding", text + "="},
		{"line ends", strings.Repeat("\n", len(text)-4) + text[:4]},
		{"cut", text[:len(text)-1]},
		{"standard alphabet", strings.Repeat("+", len(text))},
		{"empty", ""},
	} {
		_, ok := secret.Decode(c.text, 48)
		assert.False(t, ok, c.name)
	}
	spare := secret.Encode("0123456789abcdef") // 16 bytes leave four spare bits
	_, ok = secret.Decode(spare[:len(spare)-1]+"h", 16)
	assert.False(t, ok, "spare bits that are not zero")
}

func TestAHandlesNameDoesNotOpenIt(t *testing.T) { // PR-1
	key := secret.NewKey([]byte("0123456789abcdef0123456789abcdef"))
	h := secret.NewHandle(&key, 7)
	assert.Len(t, string(h), secret.HandleSize)
	assert.Len(t, string(h.Name()), secret.NameSize)
	assert.NotContains(t, string(h), string(h.Name()[4:]))
	assert.Equal(t, h, secret.NewHandle(&key, 7), "derived, not drawn")
	assert.NotEqual(t, h, secret.NewHandle(&key, 8))
	var seed secret.Seed
	assert.NotEqual(t, secret.TimedName(7, "session", &seed), secret.TimedName(7, "refresh", &seed), "one seed names each use apart")
}

func TestEqualSecretsAreEqual(t *testing.T) { // VF-3
	assert.True(t, secret.Equal("abc", "abc"))
	assert.False(t, secret.Equal("abc", "abd"))
	assert.False(t, secret.Equal("abc", "abcd"))
}
