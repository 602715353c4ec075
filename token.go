package passwordless

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/seed62b93bad/passwordless/store"
)

// A SigningKey signs tokens. Its algorithm follows from its type: *ecdsa.PrivateKey on
// P-256 is ES256, ed25519.PrivateKey is EdDSA, *rsa.PrivateKey of 3,072 bits or more is RS256.
//
// The first key of each algorithm signs; all are published. To rotate, append the
// new key, wait until clients have fetched the key set, move it to the front, and remove
// the old one when the last token that it signed is over.
type SigningKey struct {
	ID  string // the kid: 1 to 64 printable ASCII bytes, unique
	Key crypto.Signer
}

// Format prints the ID alone, for every verb.
func (k SigningKey) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "SigningKey(%s)", k.ID) }

// A signer is a checked key with the one algorithm that it is for.
type signer struct {
	id     string // the kid; "" for none
	alg    Algorithm
	method jwt.SigningMethod
	signs  any // the private key, or the secret
	checks any // the public key, or the same secret
}

func newSigner(k SigningKey) (signer, error) {
	s := signer{id: k.ID, signs: k.Key}
	if !printable(k.ID) {
		return s, errors.New("ID: want 1 to 64 printable ASCII bytes")
	}
	switch key := k.Key.(type) {
	case *ecdsa.PrivateKey:
		if key == nil || key.Curve != elliptic.P256() {
			return s, errors.New("Key: ECDSA on another curve than P-256")
		}
		if _, err := key.PublicKey.Bytes(); err != nil {
			return s, errors.New("Key: not a point of P-256")
		}
		s.alg, s.method = ES256, jwt.SigningMethodES256
	case ed25519.PrivateKey:
		if len(key) != ed25519.PrivateKeySize {
			return s, errors.New("Key: not an Ed25519 key")
		}
		s.alg, s.method = EdDSA, jwt.SigningMethodEdDSA
	case *rsa.PrivateKey:
		if key == nil || key.N == nil || key.N.BitLen() < 3072 {
			return s, errors.New("Key: RSA under 3072 bits")
		}
		s.alg, s.method = RS256, jwt.SigningMethodRS256
	default:
		return s, fmt.Errorf("Key: %T is not supported", k.Key)
	}
	s.checks = k.Key.Public()
	return s, nil
}

// secretSigner signs and checks with one secret.
func secretSigner(id string, secret []byte) signer {
	return signer{id: id, alg: HS256, method: jwt.SigningMethodHS256, signs: secret, checks: secret}
}

// accessSigner is for the access tokens of one client whose Algorithm is HS256. Its secret is derived from a key of
// the ring, so neither that client nor another one can make it.
func accessSigner(key *macKey, tenant, client string) signer {
	secret := key.sum("access token", tenant, client)
	return secretSigner(key.id, secret[:])
}

// signerFor is what signs a client's tokens of a typ; false if there is no key for its algorithm.
func (s *Service) signerFor(client Client, typ string) (signer, bool) {
	switch {
	case client.signs() != HS256:
		asymmetric, ok := s.signers[client.signs()]
		return asymmetric, ok
	case typ == typID:
		return secretSigner("", client.HS256Key), true
	default:
		return accessSigner(s.ring.current, client.Tenant, client.ID), true
	}
}

// keeps reports whether a secret is one that no client may know: of the ring, or the index key.
func (s *Service) keeps(secret []byte) bool {
	same := newMACKey("", secret).sum("same")
	for _, key := range s.ring.byID {
		if key.sum("same") == same {
			return true
		}
	}
	return s.index != nil && s.index.sum("same") == same
}

// newSigners checks the keys, and builds the key set of RFC 7517.
func newSigners(keys []SigningKey) (first map[Algorithm]signer, byID map[string]signer, jwks []byte, err error) {
	first, byID = map[Algorithm]signer{}, map[string]signer{}
	set := struct {
		Keys []map[string]any `json:"keys"`
	}{Keys: []map[string]any{}}
	var errs []error
	for i, k := range keys {
		s, err := newSigner(k)
		if _, twice := byID[k.ID]; twice && err == nil {
			err = errors.New("ID: used twice")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("SigningKeys[%d].%w", i, err))
			continue
		}
		byID[s.id] = s
		if _, have := first[s.alg]; !have {
			first[s.alg] = s
		}
		public, err := s.jwk()
		if err != nil {
			errs = append(errs, fmt.Errorf("SigningKeys[%d].Key: %w", i, err))
		}
		set.Keys = append(set.Keys, public)
	}
	jwks, err = json.Marshal(set)
	return first, byID, jwks, errors.Join(append(errs, err)...)
}

// jwk is the public key as a JSON Web Key. No private field can get in: each is named.
func (s signer) jwk() (k map[string]any, err error) {
	b64 := base64.RawURLEncoding.EncodeToString
	k = map[string]any{"kid": s.id, "use": "sig", "alg": string(s.alg)}
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
func (s signer) certificate(pub *rsa.PublicKey) ([]byte, error) {
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

// JWKS returns the key set that verifies the tokens, as JSON. It holds public keys only. The
// caller must not change it.
func (s *Service) JWKS() []byte { return s.jwks }

// Issuer returns the iss claim of the tokens.
func (s *Service) Issuer() string { return s.issuer }

// The typ of each kind of token keeps them apart (RFC 9068, 2.1; RFC 8725, 3.11).
const (
	typAccess = "at+jwt"
	typID     = "JWT"
)

// signClaims signs with the client's algorithm.
func (s *Service) signClaims(client Client, typ string, claims jwt.MapClaims) (Secret, error) {
	signer, ok := s.signerFor(client, typ)
	if !ok {
		return "", fmt.Errorf("passwordless: no signing key for %s", client.signs())
	}
	t := jwt.NewWithClaims(signer.method, claims)
	t.Header["typ"] = typ
	if signer.id != "" {
		t.Header["kid"] = signer.id
	}
	signed, err := t.SignedString(signer.signs)
	if err != nil {
		return "", fmt.Errorf("passwordless: signing: %w", err)
	}
	return Secret(signed), nil
}

type accessClaims struct {
	subject, audience string
	scopes            []string
	at, now           store.Instant
	channel           Channel
	method            Method
}

// signAccess makes an access token (RFC 9068).
func (s *Service) signAccess(client Client, c accessClaims) (Secret, time.Duration, error) {
	life := orDefault(client.TokenLife, s.policy.AccessTokenLife)
	claims := jwt.MapClaims{
		"iss": s.issuer, "sub": c.subject, "aud": orDefault(c.audience, s.issuer), "client_id": client.ID,
		"iat": seconds(c.now), "exp": seconds(c.now.Add(life)), "auth_time": seconds(c.at),
		"jti": uuid.NewString(), "amr": amr(c.channel, c.method),
	}
	if client.Tenant != "" {
		claims["tenant"] = client.Tenant
	}
	if len(c.scopes) > 0 {
		claims["scope"] = strings.Join(c.scopes, " ")
	}
	signed, err := s.signClaims(client, typAccess, claims)
	return signed, life, err
}

// sign makes the access token of a login, and the ID token if it was asked for.
func (s *Service) sign(client Client, t *TokenRequest, l Login, now store.Instant) (*Tokens, error) {
	access, life, err := s.signAccess(client, accessClaims{subject: t.subject(l), audience: t.Audience,
		scopes: t.Scopes, at: store.InstantOf(l.At), now: now, channel: l.Identifier.Channel, method: l.Method})
	if err != nil {
		return nil, err
	}
	tokens := &Tokens{Access: access, ExpiresIn: life, Scopes: t.Scopes}
	if t.has("openid") {
		tokens.ID, err = s.signClaims(client, typID, s.idClaims(client, t, l, now, life))
	}
	return tokens, err
}

// idClaims are the claims of an ID token (OpenID Connect Core, 2 and 5.4).
func (s *Service) idClaims(client Client, t *TokenRequest, l Login, now store.Instant, life time.Duration) jwt.MapClaims {
	claims := jwt.MapClaims{}
	if t.Claims != nil {
		maps.Copy(claims, t.Claims(l, t.Scopes))
		for _, ours := range [...]string{"nbf", "jti", "nonce", "acr", "azp", "at_hash", "c_hash"} {
			delete(claims, ours)
		}
	}
	if t.has("email") && l.User.Email != "" {
		claims["email"], claims["email_verified"] = l.User.Email, l.User.EmailVerified
	}
	if t.has("phone") && l.User.Phone != "" {
		claims["phone_number"], claims["phone_number_verified"] = l.User.Phone, l.User.PhoneVerified
	}
	claims["iss"], claims["sub"], claims["aud"] = s.issuer, t.subject(l), client.ID
	claims["iat"], claims["exp"], claims["auth_time"] = seconds(now), seconds(now.Add(life)), seconds(store.InstantOf(l.At))
	claims["amr"] = amr(l.Identifier.Channel, l.Method)
	if t.Nonce != "" {
		claims["nonce"] = t.Nonce
	}
	return claims
}

func seconds(i store.Instant) int64 { return int64(i) / int64(time.Second) }

// amr tells how the person proved who they are: "otp" for a typed code and "sms" for a text
// message (RFC 8176); "email" is ours, since none is registered. One factor never says "mfa".
func amr(ch Channel, m Method) []string {
	how := []string{string(ch)}
	if m == ByCode {
		how = append(how, "otp")
	}
	return how
}

// An AccessToken is what a verified access token says.
type AccessToken struct {
	Subject, Client string
	Tenant          string
	Audience        []string
	Scopes          []string
	AuthTime        time.Time
	Expires         time.Time
	ID              string // jti
}

// maxToken is the longest token that is looked at, in bytes.
const maxToken = 16 << 10

// readClaims are the claims of a presented access token.
type readClaims struct {
	jwt.RegisteredClaims
	Client   string `json:"client_id"`
	Scope    string `json:"scope"`
	Tenant   string `json:"tenant"`
	AuthTime int64  `json:"auth_time"`
}

// looksLikeToken reports whether t can be a token in the compact serialisation, before anything is decoded. It is stricter
// than the decoder, which skips line ends: a token has one spelling.
func looksLikeToken(t string) bool {
	if len(t) > maxToken {
		return false
	}
	dots := 0
	for _, c := range []byte(t) {
		switch {
		case c == '.':
			dots++
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return dots == 2
}

// VerifyAccessToken checks an access token of this service for an audience ("" means the
// issuer). Only the algorithm of the key that the token names is accepted, with a minute of
// skew; keys in the token's header are never used (RFC 8725). Every failure is
// ErrInvalidToken, wrapped.
func (s *Service) VerifyAccessToken(t Secret, audience string) (AccessToken, error) {
	if !looksLikeToken(t.Reveal()) {
		return AccessToken{}, ErrInvalidToken
	}
	var claims readClaims
	parser := jwt.NewParser(jwt.WithValidMethods(s.algorithms()), jwt.WithIssuer(s.issuer), jwt.WithLeeway(time.Minute),
		jwt.WithAudience(orDefault(audience, s.issuer)), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithTimeFunc(func() time.Time { return s.now().Time() }), jwt.WithStrictDecoding())
	if _, err := parser.ParseWithClaims(t.Reveal(), &claims, s.accessKey); err != nil {
		return AccessToken{}, fmt.Errorf("%w: %w", ErrInvalidToken, err)
	}
	if claims.Subject == "" {
		return AccessToken{}, ErrInvalidToken
	}
	return AccessToken{Subject: claims.Subject, Client: claims.Client, Tenant: claims.Tenant, Audience: claims.Audience, ID: claims.ID,
		Scopes: strings.Fields(claims.Scope), AuthTime: time.Unix(claims.AuthTime, 0).UTC(), Expires: claims.ExpiresAt.Time}, nil
}

// accessKey picks the configured key that a token's header names, if type and algorithm agree.
func (s *Service) accessKey(t *jwt.Token) (any, error) {
	kid, _ := t.Header["kid"].(string)
	typ, _ := t.Header["typ"].(string)
	_, critical := t.Header["crit"]
	signer, ok := s.signersByID[kid]
	if t.Method.Alg() == string(HS256) {
		signer, ok = s.readSigner(kid, t.Claims)
	}
	if !ok || critical || !strings.EqualFold(typ, typAccess) || t.Method.Alg() != string(signer.alg) {
		return nil, errors.New("not an access token of a configured key")
	}
	return signer.checks, nil
}

// readSigner is the accessSigner that the claims name: with any other client or tenant the signature is wrong.
func (s *Service) readSigner(kid string, claims jwt.Claims) (signer, bool) {
	key := s.ring.byID[kid]
	c, ok := claims.(*readClaims)
	if key == nil || !ok {
		return signer{}, false
	}
	return accessSigner(key, c.Tenant, c.Client), true
}

// algorithms are those that access tokens may have.
func (s *Service) algorithms() []string {
	all := []string{string(HS256)}
	for alg := range s.signers {
		all = append(all, string(alg))
	}
	slices.Sort(all)
	return all
}
