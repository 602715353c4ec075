package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless/internal/jose"
)

// setOf has a key of each kind, and a second one for ES256.
func setOf(t testing.TB) *jose.Set {
	t.Helper()
	var set jose.Set
	require.NoError(t, set.Add("e1", ecKey(t)))
	require.NoError(t, set.Add("r1", longRSAKey()))
	require.NoError(t, set.Add("ed", edwardsKey(t)))
	require.NoError(t, set.Add("e2", ecKey(t)))
	return &set
}

func published(t testing.TB, set *jose.Set) (keys []map[string]any) {
	t.Helper()
	text, err := set.JWKS()
	require.NoError(t, err)
	var read struct{ Keys []map[string]any }
	require.NoError(t, json.Unmarshal(text, &read))
	return read.Keys
}

func TestSigningKeysAreChecked(t *testing.T) { // SK-1, TK-20
	pointless := &ecdsa.PrivateKey{PublicKey: ecdsa.PublicKey{Curve: elliptic.P256()}}
	publicAlone := &ecdsa.PrivateKey{PublicKey: ecKey(t).PublicKey}
	offCurve := ecKey(t)
	offCurve.Y = big.NewInt(1)
	for rule, c := range map[string]struct {
		id   string
		key  crypto.Signer
		says string
	}{
		"no ID":                         {"", ecKey(t), "ID: want 1 to 64 printable ASCII bytes"},
		"65 bytes":                      {strings.Repeat("k", 65), ecKey(t), "ID: want"},
		"a space":                       {"a b", ecKey(t), "ID: want"},
		"a control character":           {"a\n", ecKey(t), "ID: want"},
		"another alphabet":              {"é", ecKey(t), "ID: want"},
		"an ID that is there":           {"e2", ecKey(t), "ID: used twice"},
		"a wrong key with such an ID":   {"e2", curveKey(t, elliptic.P384()), "Key: ECDSA on another curve than P-256"},
		"P-384":                         {"k", curveKey(t, elliptic.P384()), "Key: ECDSA on another curve than P-256"},
		"no ECDSA key":                  {"k", (*ecdsa.PrivateKey)(nil), "Key: ECDSA on another curve than P-256"},
		"ECDSA without a point":         {"k", pointless, "Key: not a point of P-256"},
		"ECDSA without a private part":  {"k", publicAlone, "Key: ECDSA without its private part"},
		"a point off the curve":         {"k", offCurve, "Key: not a point of P-256"},
		"an Ed25519 key cut short":      {"k", make(ed25519.PrivateKey, 63), "Key: not an Ed25519 key"},
		"RSA of 2048 bits":              {"k", rsaKey(), "Key: RSA under 3072 bits"},
		"no RSA key":                    {"k", (*rsa.PrivateKey)(nil), "Key: RSA under 3072 bits"},
		"an empty RSA key":              {"k", &rsa.PrivateKey{}, "Key: RSA under 3072 bits"},
		"an RSA key that signs nothing": {"k", &rsa.PrivateKey{PublicKey: longRSAKey().PublicKey}, "Key: making its certificate"},
		"none":                          {"k", nil, "Key: <nil> is not supported"},
		"of another kind":               {"k", struct{ crypto.Signer }{ecKey(t)}, "is not supported"},
	} {
		set := setOf(t)
		require.ErrorContains(t, set.Add(c.id, c.key), c.says, rule)
		assert.Len(t, published(t, set), 4, rule)
		_, found := set.Find("k")
		assert.False(t, found, rule)
	}
	var set jose.Set
	require.NoError(t, set.Add(strings.Repeat("k", 64), ecKey(t)))
}

func TestAKeyIsFound(t *testing.T) { // TK-20: the first of each algorithm signs
	set := setOf(t)
	for alg, id := range map[string]string{jose.ES256: "e1", jose.RS256: "r1", jose.EdDSA: "ed"} {
		first, ok := set.For(alg)
		require.True(t, ok, alg)
		named, ok := set.Find(id)
		require.True(t, ok, id)
		assert.Equal(t, named, first, alg)
	}
	second, ok := set.Find("e2")
	require.True(t, ok)
	first, _ := set.For(jose.ES256)
	assert.NotEqual(t, first, second)
	for _, alg := range []string{jose.HS256, "none", "es256", ""} {
		_, ok := set.For(alg)
		assert.False(t, ok, alg)
	}
	for _, id := range []string{"", "E1", "e3"} {
		_, ok := set.Find(id)
		assert.False(t, ok, id)
	}
}

func TestTheKeySetHoldsPublicKeysAlone(t *testing.T) { // TK-20
	var none jose.Set
	text, err := none.JWKS()
	require.NoError(t, err)
	assert.JSONEq(t, `{"keys":[]}`, string(text))

	set := setOf(t)
	want := []map[string][]string{
		{"ES256": {"alg", "crv", "kid", "kty", "use", "x", "y"}}, {"RS256": {"alg", "e", "kid", "kty", "n", "use", "x5c"}},
		{"EdDSA": {"alg", "crv", "kid", "kty", "use", "x"}}, {"ES256": {"alg", "crv", "kid", "kty", "use", "x", "y"}},
	}
	for i, key := range published(t, set) {
		var members []string
		for name := range key {
			members = append(members, name)
		}
		assert.ElementsMatch(t, want[i][key["alg"].(string)], members)
		assert.Equal(t, "sig", key["use"])
		assert.Equal(t, []string{"e1", "r1", "ed", "e2"}[i], key["kid"])
	}
	text, err = set.JWKS()
	require.NoError(t, err)
	again, err := set.JWKS()
	require.NoError(t, err)
	assert.Equal(t, string(text), string(again), "it is the same each time")
	require.NoError(t, jose.CheckKeySet(string(text)), "it can be read")
}

// Some programs read an RSA key from its certificate and from nowhere else.
func TestTheCertificateOfAnRSAKeyHoldsIt(t *testing.T) {
	var set jose.Set
	require.NoError(t, set.Add("r1", longRSAKey()))
	text, err := set.JWKS()
	require.NoError(t, err)
	var read struct {
		Keys []struct {
			X5c [][]byte // in base64, which a []byte is in JSON
		}
	}
	require.NoError(t, json.Unmarshal(text, &read))
	require.Len(t, read.Keys, 1)
	require.Len(t, read.Keys[0].X5c, 1)
	certificate, err := x509.ParseCertificate(read.Keys[0].X5c[0])
	require.NoError(t, err)
	assert.True(t, longRSAKey().PublicKey.Equal(certificate.PublicKey))
	signed := certificate.CheckSignature(certificate.SignatureAlgorithm, certificate.RawTBSCertificate, certificate.Signature)
	require.NoError(t, signed)
	assert.False(t, certificate.IsCA)
}
