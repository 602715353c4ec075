package passwordless

import (
	"crypto"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/seed62b93bad/passwordless/internal/jose"
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

// accessSigner is for the access tokens of one client whose Algorithm is HS256. Its secret is derived from a key of
// the ring, so neither that client nor another one can make it.
func accessSigner(key *macKey, tenant, client string) jose.Signer {
	secret := key.sum("access token", tenant, client)
	return jose.Secret(key.id, secret[:])
}

// signerFor is what signs a client's tokens of a typ; false if there is no key for its algorithm.
func (s *Service) signerFor(client Client, typ string) (jose.Signer, bool) {
	switch {
	case client.signs() != HS256:
		return s.signing.For(string(client.signs()))
	case typ == typID:
		return jose.Secret("", client.HS256Key), true
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

// setSigning checks the signing keys, and makes the key set that is published.
func (s *Service) setSigning(keys []SigningKey) error {
	var errs []error
	for i, k := range keys {
		if err := s.signing.Add(k.ID, k.Key); err != nil {
			errs = append(errs, fmt.Errorf("SigningKeys[%d].%w", i, err))
		}
	}
	var err error
	s.jwks, err = s.signing.JWKS()
	return errors.Join(append(errs, err)...)
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
func (s *Service) signClaims(client Client, typ string, claims map[string]any) (Secret, error) {
	signer, ok := s.signerFor(client, typ)
	if !ok {
		return "", fmt.Errorf("passwordless: no signing key for %s", client.signs())
	}
	signed, err := signer.Sign(typ, claims)
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
	claims := map[string]any{
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
func (s *Service) idClaims(client Client, t *TokenRequest, l Login, now store.Instant, life time.Duration) map[string]any {
	claims := map[string]any{}
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

// ownClaims are the claims of a presented access token that are not registered for all.
type ownClaims struct {
	Client   string `json:"client_id"`
	Scope    string `json:"scope"`
	Tenant   string `json:"tenant"`
	AuthTime int64  `json:"auth_time"`
}

// VerifyAccessToken checks an access token of this service for an audience ("" means the
// issuer). Only the algorithm of the key that the token names is accepted, with a minute of
// skew; keys in the token's header are never used (RFC 8725). Every failure is
// ErrInvalidToken, wrapped.
func (s *Service) VerifyAccessToken(t Secret, audience string) (AccessToken, error) {
	if !jose.IsCompact(t.Reveal()) { // without a reason, for which memory would be taken
		return AccessToken{}, ErrInvalidToken
	}
	var own ownClaims
	signer := func(kid, alg string) (jose.Signer, bool) { return s.accessKey(kid, alg, &own) }
	rules := jose.TokenRules{Type: typAccess, Issuer: s.issuer, Audience: orDefault(audience, s.issuer), Now: s.now().Time()}
	claims, err := jose.Verify(t.Reveal(), &own, signer, rules)
	if err != nil {
		return AccessToken{}, fmt.Errorf("%w: %w", ErrInvalidToken, err)
	}
	if claims.Subject == "" {
		return AccessToken{}, ErrInvalidToken
	}
	return AccessToken{Subject: claims.Subject, Client: own.Client, Tenant: own.Tenant, Audience: claims.Audience, ID: claims.ID,
		Scopes: strings.Fields(own.Scope), AuthTime: time.Unix(own.AuthTime, 0).UTC(), Expires: claims.Expires}, nil
}

// accessKey is the key of access tokens with a kid and an algorithm. With HS256 it is the accessSigner of the client and
// tenant in the claims: if the token was made for others, its signature is wrong.
func (s *Service) accessKey(kid, alg string, own *ownClaims) (jose.Signer, bool) {
	if alg != jose.HS256 {
		return s.signing.Find(kid)
	}
	key := s.ring.byID[kid]
	if key == nil {
		return jose.Signer{}, false
	}
	return accessSigner(key, own.Tenant, own.Client), true
}
