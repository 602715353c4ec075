package jose

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// maxKeyID is the longest kid of a client's key, in bytes.
const maxKeyID = 128

// A PublicKey is a public key that signs a client's assertions: one key, one algorithm (RFC 8725, 3.1).
type PublicKey struct {
	ID     string // the kid; "" for none
	method jwt.SigningMethod
	public crypto.PublicKey
}

// A jwk is a JSON Web Key as it is written (RFC 7517, 4; RFC 7518, 6; RFC 8037, 2). Members that are not named do not matter.
type jwk struct {
	Type       string   `json:"kty"`
	ID         string   `json:"kid"`
	Algorithm  string   `json:"alg"`
	Use        string   `json:"use"`
	Operations []string `json:"key_ops"`
	Curve      string   `json:"crv"`
	X          string   `json:"x"`
	Y          string   `json:"y"`
	N          string   `json:"n"`
	E          string   `json:"e"`
}

// privateMembers are what a public key does not have (RFC 7518, 6.2.2, 6.3.2 and 6.4).
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

// holdsPrivate reports whether the members of a key name a private part, in whatever case: decoders are lax about it.
func holdsPrivate(members map[string]json.RawMessage) bool {
	for name := range members {
		if slices.Contains(privateMembers, strings.ToLower(name)) {
			return true
		}
	}
	return false
}

// parseKey reads one key and settles its one algorithm.
func parseKey(raw []byte) (PublicKey, error) {
	var k jwk
	if err := json.Unmarshal(raw, &k); err != nil {
		return PublicKey{}, errors.New("not a JSON Web Key")
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil || holdsPrivate(members) {
		return PublicKey{}, errors.New("holds a private key")
	}
	switch {
	case k.Use != "" && k.Use != "sig", k.Operations != nil && !slices.Contains(k.Operations, "verify"):
		return PublicKey{}, errors.New("not for signatures")
	case k.ID != "" && !printable(k.ID, maxKeyID):
		return PublicKey{}, fmt.Errorf("kid: want at most %d printable ASCII bytes", maxKeyID)
	}
	public, fitting, err := k.public()
	if err != nil {
		return PublicKey{}, err
	}
	alg := cmp.Or(k.Algorithm, fitting[0])
	if !slices.Contains(fitting, alg) {
		return PublicKey{}, errors.New("alg: not one for this type of key")
	}
	return PublicKey{ID: k.ID, method: assertionMethods[alg], public: public}, nil
}

// public returns the key and the algorithms that fit it, the one that it has by default first.
func (k *jwk) public() (crypto.PublicKey, []string, error) {
	switch k.Type {
	case "RSA":
		key, err := k.rsa()
		return key, []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, err
	case "EC":
		return k.ec()
	case "OKP":
		x, ok := decodeText(k.X)
		if k.Curve != "Ed25519" || !ok || len(x) != ed25519.PublicKeySize {
			return nil, nil, errors.New("not an Ed25519 key")
		}
		return ed25519.PublicKey(x), []string{"EdDSA"}, nil
	}
	return nil, nil, errors.New("kty: want RSA, EC or OKP")
}

// rsa returns an RSA key of 2,048 to 8,192 bits; checking a signature of more costs too much. crypto/rsa takes
// exponents of 31 bits.
func (k *jwk) rsa() (*rsa.PublicKey, error) {
	n, okN := decodeText(k.N)
	e, okE := decodeText(k.E)
	modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)
	switch {
	case !okN || !okE || modulus.Bit(0) == 0:
		return nil, errors.New("not an RSA key")
	case modulus.BitLen() < 2048 || modulus.BitLen() > 8192:
		return nil, errors.New("RSA key outside 2048 to 8192 bits")
	case exponent.BitLen() < 2 || exponent.BitLen() > 31 || exponent.Bit(0) == 0:
		return nil, errors.New("RSA exponent that is even, below 3 or over 31 bits")
	}
	return &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}, nil
}

// ec returns an ECDSA key, whose curve settles its algorithm.
func (k *jwk) ec() (*ecdsa.PublicKey, []string, error) {
	curves := map[string]struct {
		elliptic.Curve
		alg string
	}{
		"P-256": {elliptic.P256(), "ES256"}, "P-384": {elliptic.P384(), "ES384"}, "P-521": {elliptic.P521(), "ES512"},
	}
	curve, known := curves[k.Curve]
	if !known {
		return nil, nil, errors.New("crv: want P-256, P-384 or P-521")
	}
	x, okX := decodeText(k.X)
	y, okY := decodeText(k.Y)
	size := (curve.Params().BitSize + 7) / 8
	if !okX || !okY || len(x) != size || len(y) != size {
		return nil, nil, errors.New("not a point of the curve")
	}
	key, err := ecdsa.ParseUncompressedPublicKey(curve.Curve, slices.Concat([]byte{4}, x, y))
	if err != nil {
		return nil, nil, errors.New("not a point of the curve")
	}
	return key, []string{curve.alg}, nil
}
