package jose_test

import (
	"crypto"
	"crypto/elliptic"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless/internal/jose"
)

// Key sets of one key each, changed.
func edwards(t testing.TB, changes ...member) string {
	return jwks(t, jwkOf(t, edwardsKey(t).Public(), changes...))
}

func p256(t testing.TB, changes ...member) string {
	return jwks(t, jwkOf(t, ecKey(t).Public(), changes...))
}

func rsa2048(t testing.TB, changes ...member) string {
	return jwks(t, jwkOf(t, rsaKey().Public(), changes...))
}

// modulus is the least RSA modulus of so many bits, and more; exponent is an RSA exponent.
func modulus(bits int, more int64) member {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return member{"n": base64url(n.Add(n, big.NewInt(more)).Bytes())}
}

func exponent(e int64) member { return member{"e": base64url(big.NewInt(e).Bytes())} }

// A mistake is a key set, and what is said of it.
type mistake struct{ text, says string }

func refused(t *testing.T, mistakes map[string]mistake) {
	t.Helper()
	for rule, m := range mistakes {
		require.ErrorContains(t, jose.CheckKeySet(m.text), m.says, rule)
	}
}

func TestKeySetsThatAreRight(t *testing.T) { // CA-1, TK-1
	key := jwkOf(t, edwardsKey(t).Public())
	short := jwks(t, key)
	for rule, text := range map[string]string{
		"none at all":                       "",
		"Ed25519":                           edwards(t),
		"P-256":                             p256(t),
		"RSA of 2048 bits":                  rsa2048(t),
		"RSA of 8192 bits":                  rsa2048(t, modulus(8192, 1)),
		"RSA with a leading zero":           rsa2048(t, member{"n": base64url(append([]byte{0}, rsaKey().N.Bytes()...))}),
		"RSA, exponent 3":                   rsa2048(t, exponent(3)),
		"an algorithm that fits":            rsa2048(t, member{"alg": "PS384"}),
		"use sig":                           p256(t, member{"use": "sig"}),
		"key_ops verify":                    p256(t, member{"key_ops": []string{"verify"}}),
		"a kid of 128 bytes":                p256(t, member{"kid": strings.Repeat("k", 128)}),
		"members of others":                 p256(t, member{"x5t": "AA", "ext": true}),
		"sixteen keys":                      jwks(t, slices.Repeat([]member{key}, 16)...),
		"exactly 64 KiB, the rest in space": short + strings.Repeat(" ", 64<<10-len(short)),
	} {
		require.NoError(t, jose.CheckKeySet(text), rule)
	}
}

func TestKeySetsThatAreWrong(t *testing.T) { // CA-1, TK-1, TK-3
	key := jwkOf(t, edwardsKey(t).Public())
	short := jwks(t, key)
	refused(t, map[string]mistake{
		"not JSON":               {"keys", "not a JSON object with an array of keys"},
		"an array":               {"[]", "not a JSON object"},
		"one key, not a set":     {`{"kty":"OKP"}`, "not a JSON object with an array"},
		"keys null":              {`{"keys":null}`, "not a JSON object with an array"},
		"text behind it":         {short + "{}", "not a JSON object"},
		"no keys":                {jwks(t), "no keys"},
		"seventeen keys":         {jwks(t, slices.Repeat([]member{key}, 17)...), "more than 16 keys"},
		"over 64 KiB":            {short + strings.Repeat(" ", 64<<10), "key set over 64 KiB"},
		"a key null":             {`{"keys":[null]}`, "keys[0]: kty"},
		"a key that is text":     {`{"keys":["x"]}`, "keys[0]: not a JSON Web Key"},
		"a kid that is a number": {p256(t, member{"kid": 1}), "keys[0]: not a JSON Web Key"},
		"the second key":         {jwks(t, key, member{"kty": "AKP"}), "keys[1]: kty: want RSA, EC or OKP"},
	})
}

func TestKeysThatAreWrong(t *testing.T) { // CA-1, TK-1, TK-3
	offCurve := jwkOf(t, ecKey(t).Public())
	offCurve["y"] = offCurve["x"]
	zero := base64url(make([]byte, 32))
	refused(t, map[string]mistake{
		"symmetric":                        {jwks(t, member{"kty": "oct", "k": base64url(make([]byte, 32))}), "holds a private key"},
		"oct without k":                    {jwks(t, member{"kty": "oct"}), "kty: want"},
		"private EC":                       {p256(t, member{"d": "AA"}), "holds a private key"},
		"private RSA":                      {rsa2048(t, member{"qi": "AA"}), "holds a private key"},
		"private, in capitals":             {rsa2048(t, member{"D": "AA"}), "holds a private key"},
		"for encryption":                   {p256(t, member{"use": "enc"}), "not for signatures"},
		"for signing alone":                {p256(t, member{"key_ops": []string{"sign"}}), "not for signatures"},
		"a kid of 129 bytes":               {p256(t, member{"kid": strings.Repeat("k", 129)}), "kid: want"},
		"a kid with a line break":          {p256(t, member{"kid": "a\nb"}), "kid: want"},
		"alg of another type":              {p256(t, member{"alg": "RS256"}), "alg: not one for this type"},
		"alg of another curve":             {p256(t, member{"alg": "ES384"}), "alg: not one for this type"},
		"alg none":                         {p256(t, member{"alg": "none"}), "alg: not one for this type"},
		"alg HS256":                        {rsa2048(t, member{"alg": "HS256"}), "alg: not one for this type"},
		"alg for encryption":               {rsa2048(t, member{"alg": "RSA-OAEP"}), "alg: not one for this type"},
		"a point off the curve":            {jwks(t, offCurve), "not a point of the curve"},
		"the point at infinity":            {p256(t, member{"x": zero, "y": zero}), "not a point of the curve"},
		"a short coordinate":               {p256(t, member{"x": "AA"}), "not a point of the curve"},
		"a coordinate of another curve":    {p256(t, member{"crv": "P-384"}), "not a point of the curve"},
		"P-224":                            {p256(t, member{"crv": "P-224"}), "crv: want"},
		"secp256k1":                        {p256(t, member{"crv": "secp256k1"}), "crv: want"},
		"Ed448":                            {edwards(t, member{"crv": "Ed448"}), "not an Ed25519 key"},
		"X25519":                           {edwards(t, member{"crv": "X25519"}), "not an Ed25519 key"},
		"Ed25519 of 31 bytes":              {edwards(t, member{"x": base64url(make([]byte, 31))}), "not an Ed25519 key"},
		"Ed25519 with another's algorithm": {edwards(t, member{"alg": "ES256"}), "alg: not one for this type"},
	})
}

func TestRSAKeysThatAreWrong(t *testing.T) { // CA-1, TK-1
	refused(t, map[string]mistake{
		"RSA of 2047 bits":             {rsa2048(t, modulus(2047, 1)), "outside 2048 to 8192 bits"},
		"RSA of 8193 bits":             {rsa2048(t, modulus(8193, 1)), "outside 2048 to 8192 bits"},
		"an even modulus":              {rsa2048(t, modulus(2048, 0)), "not an RSA key"},
		"no modulus":                   {rsa2048(t, member{"n": nil}), "not an RSA key"},
		"exponent 1":                   {rsa2048(t, exponent(1)), "RSA exponent"},
		"exponent 4":                   {rsa2048(t, exponent(4)), "RSA exponent"},
		"exponent over 31 bits":        {rsa2048(t, exponent(1<<31+1)), "RSA exponent"},
		"no exponent":                  {rsa2048(t, member{"e": nil}), "RSA exponent"},
		"base64 with padding":          {rsa2048(t, member{"e": "AQAB===="}), "not an RSA key"},
		"base64 with a line break":     {rsa2048(t, member{"e": "AQ\nAB"}), "not an RSA key"},
		"base64 of the other alphabet": {rsa2048(t, member{"n": "+/+/"}), "not an RSA key"},
	})
}

func TestMistakesInAKeySetDoNotRepeatIt(t *testing.T) { // PR-2, SK-7
	for _, field := range []string{"kty", "kid", "alg", "use", "crv", "x", "y", "d"} {
		err := jose.CheckKeySet(jwks(t, jwkOf(t, ecKey(t).Public(), member{field: "sesame-\x01"})))
		require.Error(t, err, field)
		assert.NotContains(t, err.Error(), "sesame", field)
	}
}

// Whatever a key set says, it is refused, or holds one to sixteen public keys and no private one.
func FuzzKeySet(f *testing.F) {
	for _, key := range []crypto.Signer{edwardsKey(f), ecKey(f), curveKey(f, elliptic.P521()), rsaKey()} {
		f.Add(jwks(f, jwkOf(f, key.Public(), member{"kid": "k", "use": "sig"})))
	}
	f.Add(`{"keys":[{"kty":"oct","k":"AA"}]}`)
	f.Add(`{"keys":[null,[],{}],"KEYS":[]}`)
	f.Add(`{"keys":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + "}")
	f.Fuzz(func(t *testing.T, text string) {
		if jose.CheckKeySet(text) != nil || text == "" {
			return
		}
		var set struct {
			Keys []struct{ D, P, Q, DP, DQ, QI, Oth, K *string }
		}
		require.NoError(t, json.Unmarshal([]byte(text), &set))
		require.True(t, len(text) <= 64<<10 && len(set.Keys) >= 1 && len(set.Keys) <= 16)
		for _, key := range set.Keys {
			for _, private := range []*string{key.D, key.P, key.Q, key.DP, key.DQ, key.QI, key.Oth, key.K} {
				require.Nil(t, private)
			}
		}
	})
}
