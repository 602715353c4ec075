package passwordless_test

import (
	"context"
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
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
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

var base64url = base64.RawURLEncoding.EncodeToString

// rsaKey is made once: that takes long.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// A keyedClient is Clients with one client, whose key set New does not see.
type keyedClient struct{ jwks string }

func (c *keyedClient) Client(context.Context, string) (passwordless.Client, error) {
	return passwordless.Client{ID: "keyed", JWKS: c.jwks}, nil
}

// newKeyed makes a Service for a keyedClient. What is returned tells what the Service says of a key set.
func newKeyed(t testing.TB) (check func(jwks string) error) {
	clients := &keyedClient{}
	w := newWorld(t, func(c *passwordless.Config) { c.Clients = clients })
	return func(jwks string) error {
		clients.jwks = jwks
		_, err := w.Client(context.Background(), "keyed")
		return err
	}
}

func TestAClientsKeySetIsChecked(t *testing.T) { // CA-1, TK-1, TK-3
	check := newKeyed(t)
	edwardsKey, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	edwards := func(changes ...member) string { return jwks(t, jwkOf(t, edwardsKey, changes...)) }
	p256 := func(changes ...member) string { return jwks(t, jwkOf(t, ecKey(t).Public(), changes...)) }
	rsa2048 := func(changes ...member) string { return jwks(t, jwkOf(t, rsaKey().Public(), changes...)) }
	modulus := func(bits int, more int64) member {
		n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
		return member{"n": base64url(n.Add(n, big.NewInt(more)).Bytes())}
	}
	exponent := func(e int64) member { return member{"e": base64url(big.NewInt(e).Bytes())} }
	good := map[string]string{
		"Ed25519":                           edwards(),
		"P-256":                             p256(),
		"RSA of 2048 bits":                  rsa2048(),
		"RSA of 8192 bits":                  rsa2048(modulus(8192, 1)),
		"RSA with a leading zero":           rsa2048(member{"n": base64url(append([]byte{0}, rsaKey().N.Bytes()...))}),
		"RSA, exponent 3":                   rsa2048(exponent(3)),
		"an algorithm that fits":            rsa2048(member{"alg": "PS384"}),
		"use sig":                           p256(member{"use": "sig"}),
		"key_ops verify":                    p256(member{"key_ops": []string{"verify"}}),
		"a kid of 128 bytes":                p256(member{"kid": strings.Repeat("k", 128)}),
		"members of others":                 p256(member{"x5t": "AA", "ext": true}),
		"sixteen keys":                      jwks(t, slices.Repeat([]member{jwkOf(t, edwardsKey)}, 16)...),
		"exactly 64 KiB, the rest in space": edwards() + strings.Repeat(" ", 64<<10-len(edwards())),
	}
	for rule, text := range good {
		require.NoError(t, check(text), rule)
	}
	other := ecKey(t)
	offCurve := jwkOf(t, other.Public())
	offCurve["y"] = offCurve["x"]
	for rule, c := range map[string]struct{ text, says string }{
		"not JSON":                         {"keys", "JWKS: not a JSON object with an array of keys"},
		"an array":                         {"[]", "JWKS: not a JSON object"},
		"one key, not a set":               {`{"kty":"OKP"}`, "JWKS: not a JSON object with an array"},
		"keys null":                        {`{"keys":null}`, "JWKS: not a JSON object with an array"},
		"text behind it":                   {edwards() + "{}", "JWKS: not a JSON object"},
		"no keys":                          {jwks(t), "JWKS: no keys"},
		"seventeen keys":                   {jwks(t, slices.Repeat([]member{jwkOf(t, edwardsKey)}, 17)...), "JWKS: more than 16 keys"},
		"over 64 KiB":                      {edwards() + strings.Repeat(" ", 64<<10), "JWKS: key set over 64 KiB"},
		"a key null":                       {`{"keys":[null]}`, "keys[0]: kty"},
		"a key that is text":               {`{"keys":["x"]}`, "keys[0]: not a JSON Web Key"},
		"a kid that is a number":           {p256(member{"kid": 1}), "keys[0]: not a JSON Web Key"},
		"the second key":                   {jwks(t, jwkOf(t, edwardsKey), member{"kty": "AKP"}), "keys[1]: kty: want RSA, EC or OKP"},
		"symmetric":                        {jwks(t, member{"kty": "oct", "k": base64url(make([]byte, 32))}), "holds a private key"},
		"oct without k":                    {jwks(t, member{"kty": "oct"}), "kty: want"},
		"private EC":                       {p256(member{"d": "AA"}), "holds a private key"},
		"private RSA":                      {rsa2048(member{"qi": "AA"}), "holds a private key"},
		"private, in capitals":             {rsa2048(member{"D": "AA"}), "holds a private key"},
		"for encryption":                   {p256(member{"use": "enc"}), "not for signatures"},
		"for signing alone":                {p256(member{"key_ops": []string{"sign"}}), "not for signatures"},
		"a kid of 129 bytes":               {p256(member{"kid": strings.Repeat("k", 129)}), "kid: want"},
		"a kid with a line break":          {p256(member{"kid": "a\nb"}), "kid: want"},
		"alg of another type":              {p256(member{"alg": "RS256"}), "alg: not one for this type"},
		"alg of another curve":             {p256(member{"alg": "ES384"}), "alg: not one for this type"},
		"alg none":                         {p256(member{"alg": "none"}), "alg: not one for this type"},
		"alg HS256":                        {rsa2048(member{"alg": "HS256"}), "alg: not one for this type"},
		"alg for encryption":               {rsa2048(member{"alg": "RSA-OAEP"}), "alg: not one for this type"},
		"RSA of 2047 bits":                 {rsa2048(modulus(2047, 1)), "outside 2048 to 8192 bits"},
		"RSA of 8193 bits":                 {rsa2048(modulus(8193, 1)), "outside 2048 to 8192 bits"},
		"an even modulus":                  {rsa2048(modulus(2048, 0)), "not an RSA key"},
		"no modulus":                       {rsa2048(member{"n": nil}), "not an RSA key"},
		"exponent 1":                       {rsa2048(exponent(1)), "RSA exponent"},
		"exponent 4":                       {rsa2048(exponent(4)), "RSA exponent"},
		"exponent over 31 bits":            {rsa2048(exponent(1<<31 + 1)), "RSA exponent"},
		"no exponent":                      {rsa2048(member{"e": nil}), "RSA exponent"},
		"base64 with padding":              {rsa2048(member{"e": "AQAB===="}), "not an RSA key"},
		"base64 with a line break":         {rsa2048(member{"e": "AQ\nAB"}), "not an RSA key"},
		"base64 of the other alphabet":     {rsa2048(member{"n": "+/+/"}), "not an RSA key"},
		"a point off the curve":            {jwks(t, offCurve), "not a point of the curve"},
		"the point at infinity":            {p256(member{"x": base64url(make([]byte, 32)), "y": base64url(make([]byte, 32))}), "not a point of the curve"},
		"a short coordinate":               {p256(member{"x": "AA"}), "not a point of the curve"},
		"a coordinate of another curve":    {p256(member{"crv": "P-384"}), "not a point of the curve"},
		"P-224":                            {p256(member{"crv": "P-224"}), "crv: want"},
		"secp256k1":                        {p256(member{"crv": "secp256k1"}), "crv: want"},
		"Ed448":                            {edwards(member{"crv": "Ed448"}), "not an Ed25519 key"},
		"X25519":                           {edwards(member{"crv": "X25519"}), "not an Ed25519 key"},
		"Ed25519 of 31 bytes":              {edwards(member{"x": base64url(make([]byte, 31))}), "not an Ed25519 key"},
		"Ed25519 with another's algorithm": {edwards(member{"alg": "ES256"}), "alg: not one for this type"},
	} {
		require.ErrorContains(t, check(c.text), c.says, rule)
	}
}

func TestAClientsKeySetURLIsChecked(t *testing.T) { // CA-1, LK-5
	for url, ok := range map[string]bool{
		"https://app.example.com/jwks.json":                         true,
		"http://127.0.0.1:8080/jwks":                                true,
		"http://localhost/jwks":                                     true,
		"http://app.example.com/jwks.json":                          false,
		"file:///etc/passwd":                                        false,
		"https://user@app.example.com/":                             false,
		"https://app.example.com/#x":                                false,
		"/jwks.json":                                                false,
		"https://app.example.com/" + strings.Repeat("a", 2048):      false,
		"https://app.example.com/" + strings.Repeat("a", 2048-24):   true,
		"https://app.example.com/" + strings.Repeat("a", 2048-24+1): false,
	} {
		cfg := newWorld(t).cfg
		cfg.Clients = passwordless.ClientList{{ID: "keyed", JWKSURL: url}}
		_, err := passwordless.New(cfg)
		if ok {
			require.NoError(t, err, url)
		} else {
			require.ErrorContains(t, err, "JWKSURL", url)
		}
	}
}

func TestMistakesInAKeySetDoNotRepeatIt(t *testing.T) { // PR-2, SK-7
	check := newKeyed(t)
	for _, field := range []string{"kty", "kid", "alg", "use", "crv", "x", "y", "d"} {
		err := check(jwks(t, jwkOf(t, ecKey(t).Public(), member{field: "sesame-\x01"})))
		require.Error(t, err, field)
		assert.NotContains(t, err.Error(), "sesame", field)
	}
}

// Whatever a key set says, it is refused, or holds one to sixteen public keys and no private one.
func FuzzKeySet(f *testing.F) {
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(f, err)
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	require.NoError(f, err)
	for _, key := range []crypto.PublicKey{edwards, ecKey(f).Public(), p521.Public(), rsaKey().Public()} {
		f.Add(jwks(f, jwkOf(f, key, member{"kid": "k", "use": "sig"})))
	}
	f.Add(`{"keys":[{"kty":"oct","k":"AA"}]}`)
	f.Add(`{"keys":[null,[],{}],"KEYS":[]}`)
	f.Add(`{"keys":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + "}")
	check := newKeyed(f)
	f.Fuzz(func(t *testing.T, text string) {
		if check(text) != nil {
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
