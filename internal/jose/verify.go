package jose

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	maxToken  = 16 << 10 // bytes
	tokenSkew = time.Minute
)

// TokenRules are what a token of ours must say.
type TokenRules struct {
	Type             string // the typ of its header, in any case
	Issuer, Audience string
	Now              time.Time
}

// Claims are the registered claims of a token (RFC 7519, 4.1).
type Claims struct {
	Subject  string // "" if it has none
	Audience []string
	Expires  time.Time
	ID       string // "" if it has none
}

// Verify checks a token of ours and returns what it says; its other claims are decoded into others, a pointer, as JSON
// is. Clocks may differ by a minute. Keys in the token's header are never used (RFC 8725, 3.10).
//
// find returns the key that signed tokens with a kid and an algorithm, false if there is none. The algorithm must be
// the key's own. What others points to is filled before find is called. Nothing of it is true until Verify has returned
// without an error.
func Verify(token string, others any, find func(kid, alg string) (Signer, bool), rules TokenRules) (Claims, error) {
	if !IsCompact(token) {
		return Claims{}, errors.New("not a compact JWS of at most 16384 bytes")
	}
	key := func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		typ, _ := t.Header["typ"].(string)
		_, critical := t.Header["crit"]
		signer, ok := find(kid, t.Method.Alg())
		if !ok || critical || !strings.EqualFold(typ, rules.Type) || t.Method.Alg() != signer.alg() {
			return nil, errors.New("not a token of that type by a configured key")
		}
		return signer.checks, nil
	}
	claims := tokenClaims{others: others}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{ES256, RS256, EdDSA, HS256}), jwt.WithStrictDecoding(),
		jwt.WithIssuer(rules.Issuer), jwt.WithAudience(rules.Audience), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithLeeway(tokenSkew), jwt.WithTimeFunc(func() time.Time { return rules.Now }))
	if _, err := parser.ParseWithClaims(token, &claims, key); err != nil {
		return Claims{}, err
	}
	return Claims{Subject: claims.Subject, Audience: claims.Audience, Expires: claims.ExpiresAt.Time, ID: claims.ID}, nil
}

// tokenClaims are the registered claims of a token, and its others.
type tokenClaims struct {
	jwt.RegisteredClaims
	others any
}

// UnmarshalJSON decodes both from one object.
func (c *tokenClaims) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, c.others); err != nil {
		return err
	}
	return json.Unmarshal(text, &c.RegisteredClaims)
}

// IsCompact reports whether t can be a token of ours in the compact serialisation: Verify takes no other. Nothing is decoded,
// nor memory taken, whatever t is. It is stricter than the decoder, which skips line ends: a token has one spelling.
func IsCompact(t string) bool {
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
