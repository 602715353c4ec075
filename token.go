package passwordless

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/seed62b93bad/passwordless/internal/jose"
	"github.com/seed62b93bad/passwordless/internal/machine"
	"github.com/seed62b93bad/passwordless/internal/secret"
	"github.com/seed62b93bad/passwordless/internal/strict"
	"github.com/seed62b93bad/passwordless/store"
)

// A SigningKey signs tokens. Its algorithm follows from its type: *ecdsa.PrivateKey on P-256 is ES256,
// ed25519.PrivateKey is EdDSA, *rsa.PrivateKey of 3,072 bits or more is RS256.
//
// The first key of each algorithm signs; all are published. To rotate, append the new key, wait until clients have
// fetched the key set, move it to the front, and remove the old one when the last token that it signed is over.
type SigningKey struct {
	ID  string // the kid: 1 to 64 printable ASCII bytes, unique
	Key crypto.Signer
}

// Format prints the ID alone, for every verb.
func (k SigningKey) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "SigningKey(%s)", k.ID) }

// checkTokens checks a request for tokens; nil is none.
func (s *Service) checkTokens(t *TokenRequest, c *client) error {
	if t == nil {
		return nil
	}
	if !s.signs(c) {
		return &InputError{"Issue.Tokens", "Config.SigningKeys has no key for the client's algorithm"}
	}
	for _, scope := range t.Scopes {
		if !validScope(scope) {
			return &InputError{"Issue.Tokens", "a scope that is no scope token"}
		}
	}
	if len(t.Nonce) > 512 || len(t.Audience) > 512 || len(strings.Join(t.Scopes, " ")) > 1024 {
		return &InputError{"Issue.Tokens", "scopes, audience or nonce too long"}
	}
	return nil
}

// validScope reports whether text is one scope (RFC 6749, 3.3).
func validScope(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' })
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

// The typ of each kind of token keeps them apart (RFC 9068, 2.1; RFC 8725, 3.11).
const (
	typAccess = "at+jwt"
	typID     = "JWT"
)

// signs reports whether there is a key for a client's tokens.
func (s *Service) signs(c *client) bool {
	_, ok := s.signing.For(string(c.tokens.Algorithm))
	return ok || c.tokens.Algorithm == HS256
}

// signerFor is what signs a client's tokens of a typ.
func (s *Service) signerFor(ctx context.Context, c *client, typ string) (jose.Signer, error) {
	switch {
	case c.tokens.Algorithm != HS256:
		signer, ok := s.signing.For(string(c.tokens.Algorithm))
		if !ok {
			return signer, fmt.Errorf("passwordless: no signing key for %s", c.tokens.Algorithm)
		}
		return signer, nil
	case typ == typID:
		return jose.Secret("", c.Keys.HS256Key), nil
	default:
		n := s.namer(ctx)
		signer := n.access("", c.Tenant, c.ID)
		if n.err != nil {
			return signer, s.failed(ctx, "hashing", n.err)
		}
		return signer, nil
	}
}

// access is the signer of access tokens of one client whose algorithm is HS256. Its secret derives from a ring key, so
// no client can make it. keyID "" is the current key.
func (n *namer) access(keyID, tenant, clientID string) jose.Signer {
	key, id := n.key(keyID, accessSeed)
	made := key.Derive("access token", tenant, clientID)
	return jose.Secret(id, made[:])
}

// accessSeed is the seed of the key that signs those access tokens.
var accessSeed = secret.Hash("access token")

// signClaims signs with the client's algorithm.
func (s *Service) signClaims(ctx context.Context, c *client, typ string, claims map[string]any) (Secret, error) {
	signer, err := s.signerFor(ctx, c, typ)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(typ, claims)
	if err != nil {
		return "", fmt.Errorf("passwordless: signing: %w", err)
	}
	return Secret(signed), nil
}

// accessClaims are the claims of an access token (RFC 9068, 2.2).
func (s *Service) accessClaims(c *client, subject, audience string, scopes []string) map[string]any {
	claims := map[string]any{"iss": s.issuer, "sub": subject, "aud": orDefault(audience, s.issuer), "client_id": c.ID,
		"jti": uuid.NewString()}
	if c.Tenant != "" {
		claims["tenant"] = c.Tenant
	}
	if len(scopes) > 0 {
		claims["scope"] = strings.Join(scopes, " ")
	}
	return claims
}

// stamp adds the claims that tell when the token was made, when it is over, and how and when the person signed in.
func (c *client) stamp(claims map[string]any, p *machine.Proof, now store.Instant) map[string]any {
	claims["iat"], claims["exp"], claims["auth_time"] = seconds(now), seconds(now.Add(c.tokens.AccessLife)), seconds(p.At())
	claims["amr"] = amr(p.Methods)
	return claims
}

// A signing is what the tokens of a login are made from.
type signing struct {
	client  *client
	request *TokenRequest
	proof   *machine.Proof
	now     store.Instant
}

// tokens makes the access token of a login, and the ID token if it was asked for.
func (s *Service) tokens(ctx context.Context, from signing, l Login) (*Tokens, error) {
	t, c := from.request, from.client
	access := s.accessClaims(c, t.subject(l), t.Audience, t.Scopes)
	tokens := &Tokens{ExpiresIn: c.tokens.AccessLife, Scopes: t.Scopes}
	var err error
	if tokens.Access, err = s.signClaims(ctx, c, typAccess, c.stamp(access, from.proof, from.now)); err != nil {
		return nil, err
	}
	if t.has(openID) {
		tokens.ID, err = s.signClaims(ctx, c, typID, c.stamp(s.idClaims(c, t, l), from.proof, from.now))
	}
	return tokens, err
}

// renewed makes the tokens of a refresh. Its ID token has the claims that tell who signed in and when, which stay the
// same, and no nonce (OpenID Connect Core, 12.2).
func (s *Service) renewed(ctx context.Context, c *client, f *machine.Family, scopes []string, now store.Instant) (Tokens, error) {
	access := s.accessClaims(c, f.Subject, f.Audience, scopes)
	tokens := Tokens{ExpiresIn: c.tokens.AccessLife, Scopes: scopes}
	var err error
	if tokens.Access, err = s.signClaims(ctx, c, typAccess, c.stamp(access, &f.Proof, now)); err != nil {
		return Tokens{}, err
	}
	if slices.Contains(scopes, openID) {
		id := map[string]any{"iss": s.issuer, "sub": f.Subject, "aud": c.ID}
		tokens.ID, err = s.signClaims(ctx, c, typID, c.stamp(id, &f.Proof, now))
	}
	return tokens, err
}

// idClaims are the claims of an ID token (OpenID Connect Core, 2 and 5.4).
func (s *Service) idClaims(c *client, t *TokenRequest, l Login) map[string]any {
	claims := map[string]any{}
	if t.Claims != nil {
		maps.Copy(claims, t.Claims(l, t.Scopes))
		for _, ours := range [...]string{"nbf", "jti", "nonce", "acr", "azp", "at_hash", "c_hash"} {
			delete(claims, ours)
		}
	}
	if t.has("email") && l.User.Email != "" {
		claims["email"], claims["email_verified"] = string(l.User.Email), l.User.EmailVerified
	}
	if t.has("phone") && l.User.Phone != "" {
		claims["phone_number"], claims["phone_number_verified"] = string(l.User.Phone), l.User.PhoneVerified
	}
	claims["iss"], claims["sub"], claims["aud"] = s.issuer, t.subject(l), c.ID
	if t.Nonce != "" {
		claims["nonce"] = t.Nonce
	}
	return claims
}

// seconds is an instant in whole seconds since 1970.
func seconds(i store.Instant) int64 { return int64(i) / int64(time.Second) }

// amr tells how the person proved who they are: "otp" for a typed code and "sms" for a text message (RFC 8176); "email"
// is ours, since none is registered. One factor never says "mfa".
func amr(methods []machine.Method) (how []string) {
	for _, m := range methods {
		how = append(how, m.Channel)
		if m.Name == string(ByCode) {
			how = append(how, "otp")
		}
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

// ownClaims are the claims of a presented access token that package jose does not read.
type ownClaims struct {
	Client   string `json:"client_id"`
	Scope    string `json:"scope"`
	Tenant   string `json:"tenant"`
	AuthTime int64  `json:"auth_time"`
}

// An AccessTokenRequest presents an access token to whom it was issued for.
type AccessTokenRequest struct {
	Token    Secret
	Tenant   string // that the token must be of; "" when Config.Tenants is empty
	Audience string // default the issuer
}

// VerifyAccessToken checks an access token of this Service for a tenant and an audience. It accepts only the algorithm
// of the key that the token names, and a minute of clock skew; it never uses keys in the token's header (RFC 8725). It
// does not ask the store: an access token lives to its end.
//
// Errors: ErrInvalidToken, wrapped; and those of the Hasher, if the token names HS256 and its key cannot be had now. A
// key ID that a Keyring does not have makes the token invalid: anybody can write one.
func (s *Service) VerifyAccessToken(ctx context.Context, req AccessTokenRequest) (AccessToken, error) {
	if !jose.IsCompact(req.Token.Reveal()) { // anybody may send such text: no reason is made, which would allocate
		return AccessToken{}, ErrInvalidToken
	}
	var own ownClaims
	var lost error
	signer := func(kid, alg string) (key jose.Signer, ok bool) {
		key, ok, lost = s.accessKey(ctx, kid, alg, &own)
		return key, ok
	}
	rules := jose.TokenRules{Type: typAccess, Issuer: s.issuer, Audience: orDefault(req.Audience, s.issuer), Now: s.now().Time()}
	claims, err := jose.Verify(req.Token.Reveal(), &own, signer, rules)
	switch {
	case lost != nil:
		return AccessToken{}, &failure{"verifying access token", lost}
	case err != nil:
		return AccessToken{}, fmt.Errorf("%w: %w", ErrInvalidToken, err)
	}
	if claims.Subject == "" || own.Tenant != req.Tenant {
		return AccessToken{}, ErrInvalidToken
	}
	return AccessToken{Subject: claims.Subject, Client: own.Client, Tenant: own.Tenant, Audience: claims.Audience, ID: claims.ID,
		Scopes: strings.Fields(own.Scope), AuthTime: time.Unix(own.AuthTime, 0).UTC(), Expires: claims.Expires}, nil
}

// accessKey is the key of access tokens with a key ID and an algorithm. With HS256 it depends on the client and tenant
// in the claims: if the token was made for others, its signature is wrong. An error means that the key cannot be had
// now, which is not the token's fault.
func (s *Service) accessKey(ctx context.Context, kid, alg string, own *ownClaims) (jose.Signer, bool, error) {
	if alg != jose.HS256 {
		key, ok := s.signing.Find(kid)
		return key, ok, nil
	}
	if !validKeyID(kid) {
		return jose.Signer{}, false, nil
	}
	n := s.namer(ctx)
	key := n.access(kid, own.Tenant, own.Client)
	if errors.Is(n.err, errUnknownKey) {
		return jose.Signer{}, false, nil
	}
	return key, n.err == nil, n.err
}

// checkIssue checks what a login is to give.
func (s *Service) checkIssue(i Issue, c *client) error {
	if err := s.checkTokens(i.Tokens, c); err != nil {
		return err
	}
	r := i.Code
	switch {
	case r == nil:
		return nil
	case !c.AllowsRedirect(r.RedirectURI):
		return &InputError{"RedirectURI", "not registered"}
	case r.bound() && !strict.CodeChallenge(r.CodeChallenge):
		return &InputError{"CodeChallenge", "not the SHA-256 of a verifier in base64url"}
	case c.Public && !r.bound() && !c.Browser.InsecureWithoutPKCE:
		return &InputError{"CodeChallenge", "required of public clients"}
	}
	return s.checkTokens(&TokenRequest{Scopes: r.Scopes, Audience: r.Audience, Nonce: r.Nonce}, c)
}
