package passwordless

import (
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

	"github.com/golang-jwt/jwt/v5"
)

// The limits of a client's key set, which may come from afar.
const (
	maxKeySet    = 64 << 10 // bytes
	maxKeysInSet = 16
	maxKeyID     = 128 // bytes
)

// A clientKey is a public key that signs a client's assertions: one key, one algorithm (RFC 8725, 3.1).
type clientKey struct {
	id     string // the kid; "" for none
	method jwt.SigningMethod
	public crypto.PublicKey
}

// clientMethods are the algorithms of assertions. What is not named, "none" and the symmetric ones above all,
// does not exist (RFC 8725, 3.2).
var clientMethods = map[string]jwt.SigningMethod{
	"RS256": jwt.SigningMethodRS256, "RS384": jwt.SigningMethodRS384, "RS512": jwt.SigningMethodRS512,
	"PS256": jwt.SigningMethodPS256, "PS384": jwt.SigningMethodPS384, "PS512": jwt.SigningMethodPS512,
	"ES256": jwt.SigningMethodES256, "ES384": jwt.SigningMethodES384, "ES512": jwt.SigningMethodES512,
	"EdDSA": jwt.SigningMethodEdDSA,
}

// A jwk is a JSON Web Key as it is written (RFC 7517, 4; RFC 7518, 6; RFC 8037, 2). Members that are not named
// do not matter.
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
	// What a public key does not have.
	D   json.RawMessage `json:"d"`
	P   json.RawMessage `json:"p"`
	Q   json.RawMessage `json:"q"`
	DP  json.RawMessage `json:"dp"`
	DQ  json.RawMessage `json:"dq"`
	QI  json.RawMessage `json:"qi"`
	Oth json.RawMessage `json:"oth"`
	K   json.RawMessage `json:"k"`
}

// parseKeySet reads a key set (RFC 7517, 5): its usable keys, and what is wrong with each other one. It is an
// error if the set as a whole cannot be read. No error repeats what the set says.
func parseKeySet(text []byte) (keys []clientKey, unusable []error, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	switch {
	case len(text) > maxKeySet:
		return nil, nil, errors.New("key set over 64 KiB")
	case json.Unmarshal(text, &set) != nil || set.Keys == nil:
		return nil, nil, errors.New("not a JSON object with an array of keys")
	case len(set.Keys) > maxKeysInSet:
		return nil, nil, fmt.Errorf("more than %d keys", maxKeysInSet)
	}
	for i, raw := range set.Keys {
		key, err := parseKey(raw)
		if err != nil {
			unusable = append(unusable, fmt.Errorf("keys[%d]: %w", i, err))
			continue
		}
		keys = append(keys, key)
	}
	return keys, unusable, nil
}

// checkKeySet reports every mistake of a key set that is given by value; "" is none.
func checkKeySet(text string) error {
	if text == "" {
		return nil
	}
	keys, unusable, err := parseKeySet([]byte(text))
	if err == nil && len(keys)+len(unusable) == 0 {
		err = errors.New("no keys")
	}
	return errors.Join(append(unusable, err)...)
}

// parseKey reads one key and settles its one algorithm.
func parseKey(raw []byte) (clientKey, error) {
	var k jwk
	if err := json.Unmarshal(raw, &k); err != nil {
		return clientKey{}, errors.New("not a JSON Web Key")
	}
	for _, member := range [...]json.RawMessage{k.D, k.P, k.Q, k.DP, k.DQ, k.QI, k.Oth, k.K} {
		if member != nil {
			return clientKey{}, errors.New("holds a private key")
		}
	}
	switch {
	case k.Use != "" && k.Use != "sig", k.Operations != nil && !slices.Contains(k.Operations, "verify"):
		return clientKey{}, errors.New("not for signatures")
	case k.ID != "" && !validKID(k.ID):
		return clientKey{}, fmt.Errorf("kid: want at most %d printable ASCII bytes", maxKeyID)
	}
	public, fitting, err := k.public()
	if err != nil {
		return clientKey{}, err
	}
	alg := orDefault(k.Algorithm, fitting[0])
	if !slices.Contains(fitting, alg) {
		return clientKey{}, errors.New("alg: not one for this type of key")
	}
	return clientKey{id: k.ID, method: clientMethods[alg], public: public}, nil
}

// validKID reports whether text is fit to name a key.
func validKID(kid string) bool {
	for _, b := range []byte(kid) {
		if b < ' ' || b > '~' {
			return false
		}
	}
	return len(kid) >= 1 && len(kid) <= maxKeyID
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

// decodeText decodes base64url that is spelled in its one way: without padding, spare bits or line breaks,
// which the decoder would skip.
func decodeText(text string) ([]byte, bool) {
	b, err := encoding.DecodeString(text)
	return b, err == nil && len(text) == encoding.EncodedLen(len(b))
}
