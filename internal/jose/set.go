package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// A Set is the private keys that tokens are signed with. The zero Set has none. Safe for concurrent use once no more
// keys are added.
type Set struct {
	signers []Signer
	public  []map[string]any // the keys as JSON Web Keys
}

// Add adds a key: ECDSA on P-256 for ES256, Ed25519 for EdDSA, or RSA of 3,072 bits or more for RS256. Its ID is 1 to
// 64 printable ASCII bytes without spaces, unique in the Set. The error begins with the field at fault, "ID" or "Key".
func (s *Set) Add(id string, key crypto.Signer) error {
	signer, err := newSigner(id, key)
	if err != nil {
		return err
	}
	if _, twice := s.Find(id); twice {
		return errors.New("ID: used twice")
	}
	public, err := signer.jwk()
	if err != nil {
		return fmt.Errorf("Key: %w", err)
	}
	s.signers, s.public = append(s.signers, signer), append(s.public, public)
	return nil
}

// Find returns the key with an ID; false if there is none.
func (s *Set) Find(id string) (Signer, bool) {
	return s.first(func(k Signer) bool { return k.id == id })
}

// For returns the key that signs with an algorithm: the first that was added. False if there is none.
func (s *Set) For(alg string) (Signer, bool) {
	return s.first(func(k Signer) bool { return k.alg() == alg })
}

func (s *Set) first(is func(Signer) bool) (Signer, bool) {
	i := slices.IndexFunc(s.signers, is)
	if i < 0 {
		return Signer{}, false
	}
	return s.signers[i], true
}

// JWKS returns the key set of RFC 7517, 5, that verifies what the keys sign, as JSON. It holds public keys only.
func (s *Set) JWKS() ([]byte, error) {
	return json.Marshal(map[string]any{"keys": append([]map[string]any{}, s.public...)})
}

// jwk is the public key as a JSON Web Key. No private field can get in: each is named.
func (s Signer) jwk() (k map[string]any, err error) {
	b64 := encoding.EncodeToString
	k = map[string]any{"kid": s.id, "use": "sig", "alg": s.alg()}
	switch pub := s.checks.(type) {
	case *ecdsa.PublicKey:
		point, _ := pub.Bytes() // 0x04, x, y; the curve was checked
		k["kty"], k["crv"] = "EC", "P-256"
		k["x"], k["y"] = b64(point[1:33]), b64(point[33:])
	case ed25519.PublicKey:
		k["kty"], k["crv"], k["x"] = "OKP", "Ed25519", b64(pub)
	case *rsa.PublicKey:
		k["kty"], k["n"], k["e"] = "RSA", b64(pub.N.Bytes()), b64(big.NewInt(int64(pub.E)).Bytes())
		var der []byte
		der, err = s.certificate(pub)
		k["x5c"] = []string{base64.StdEncoding.EncodeToString(der)}
	}
	return k, err
}

// certificate is the key in a certificate that it signed itself (RFC 7517, 4.7): some programs read RSA keys from
// nowhere else. It vouches for nothing, and is the same each time.
func (s Signer) certificate(pub *rsa.PublicKey) ([]byte, error) {
	serial := sha256.Sum256(pub.N.Bytes())
	t := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial[:16]),
		Subject:      pkix.Name{CommonName: s.id},
		NotBefore:    time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // none (RFC 5280, 4.1.2.5)
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, pub, s.signs)
	if err != nil {
		return nil, fmt.Errorf("making its certificate: %w", err)
	}
	return der, nil
}
