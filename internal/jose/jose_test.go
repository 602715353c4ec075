package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless/internal/jose"
)

// A member is a change of one member of a JSON object; nil removes it.
type member = map[string]any

// jwkOf writes a public key as a JSON Web Key.
func jwkOf(t testing.TB, key crypto.PublicKey, changes ...member) member {
	t.Helper()
	k := member{}
	switch key := key.(type) {
	case *rsa.PublicKey:
		k["kty"], k["n"], k["e"] = "RSA", base64url(key.N.Bytes()), base64url(big.NewInt(int64(key.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		require.NoError(t, err)
		half := len(point) / 2
		k["kty"], k["crv"], k["x"], k["y"] = "EC", key.Params().Name, base64url(point[1:half+1]), base64url(point[half+1:])
	case ed25519.PublicKey:
		k["kty"], k["crv"], k["x"] = "OKP", "Ed25519", base64url(key)
	default:
		t.Fatalf("%T", key)
	}
	return edited(k, changes...)
}

// edited applies changes to an object.
func edited(object member, changes ...member) member {
	for _, change := range changes {
		maps.Copy(object, change)
	}
	maps.DeleteFunc(object, func(_ string, v any) bool { return v == nil })
	return object
}

// jwks writes a key set.
func jwks(t testing.TB, keys ...member) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{"keys": append([]member{}, keys...)})
	require.NoError(t, err)
	return string(text)
}

// keysOf reads a key set, all of which must be usable.
func keysOf(t testing.TB, set string) []jose.PublicKey {
	t.Helper()
	keys, unusable, err := jose.ParseKeySet([]byte(set))
	require.NoError(t, err)
	require.Empty(t, unusable)
	return keys
}

var base64url = base64.RawURLEncoding.EncodeToString

// rsaKey and longRSAKey are made once: that takes long.
var (
	rsaKey     = sync.OnceValue(func() *rsa.PrivateKey { return newRSAKey(2048) })
	longRSAKey = sync.OnceValue(func() *rsa.PrivateKey { return newRSAKey(3072) })
)

func newRSAKey(bits int) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return key
}

func ecKey(t testing.TB) *ecdsa.PrivateKey { return curveKey(t, elliptic.P256()) }

func curveKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	return key
}

func edwardsKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return key
}

// A clock stands still until it is advanced.
type clock struct {
	mu  sync.Mutex // guards now
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
