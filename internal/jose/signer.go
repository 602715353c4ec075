package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// The algorithms of our own tokens (RFC 7518, 3.1; RFC 8037, 3.1).
const (
	ES256 = "ES256"
	RS256 = "RS256"
	EdDSA = "EdDSA"
	HS256 = "HS256"
)

// maxSignerID is the longest kid of a key of ours, in bytes.
const maxSignerID = 64

// A Signer is a key that signs tokens and checks them, with the one algorithm that it is for. The zero Signer is none.
type Signer struct {
	id     string // the kid; "" for none
	method jwt.SigningMethod
	signs  any // the private key, or the secret
	checks any // the public key, or the same secret
}

// Secret returns a Signer that signs and checks with one secret by HS256. id is its kid, "" for none.
func Secret(id string, secret []byte) Signer {
	return Signer{id: id, method: jwt.SigningMethodHS256, signs: secret, checks: secret}
}

// newSigner checks a private key and settles its algorithm.
func newSigner(id string, private crypto.Signer) (Signer, error) {
	s := Signer{id: id, signs: private}
	if !printable(id, maxSignerID) || strings.Contains(id, " ") {
		return s, errors.New("ID: want 1 to 64 printable ASCII bytes")
	}
	switch key := private.(type) {
	case *ecdsa.PrivateKey:
		if err := checkECDSA(key); err != nil {
			return s, err
		}
		s.method = jwt.SigningMethodES256
	case ed25519.PrivateKey:
		if len(key) != ed25519.PrivateKeySize {
			return s, errors.New("Key: not an Ed25519 key")
		}
		s.method = jwt.SigningMethodEdDSA
	case *rsa.PrivateKey:
		if key == nil || key.N == nil || key.N.BitLen() < 3072 {
			return s, errors.New("Key: RSA under 3072 bits")
		}
		s.method = jwt.SigningMethodRS256
	default:
		return s, fmt.Errorf("Key: %T is not supported", private)
	}
	s.checks = private.Public()
	return s, nil
}

// checkECDSA tells what is wrong with a key that crypto/ecdsa would not sign with: for a missing number it panics.
func checkECDSA(key *ecdsa.PrivateKey) error {
	if key == nil || key.Curve != elliptic.P256() {
		return errors.New("Key: ECDSA on another curve than P-256")
	}
	if key.X == nil || key.Y == nil {
		return errors.New("Key: not a point of P-256")
	}
	if _, err := key.PublicKey.Bytes(); err != nil {
		return errors.New("Key: not a point of P-256")
	}
	if key.D == nil {
		return errors.New("Key: ECDSA without its private part")
	}
	return nil
}

// Sign makes a token of claims. typ tells its kind (RFC 8725, 3.11).
func (s Signer) Sign(typ string, claims map[string]any) (string, error) {
	t := jwt.NewWithClaims(s.method, jwt.MapClaims(claims))
	t.Header["typ"] = typ
	if s.id != "" {
		t.Header["kid"] = s.id
	}
	return t.SignedString(s.signs)
}

func (s Signer) alg() string { return s.method.Alg() }
