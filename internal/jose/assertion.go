package jose

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

// The rules of client assertions that are numbers.
const (
	maxAssertion     = 2048            // bytes
	maxAssertionLife = 5 * time.Minute // from now
	assertionSkew    = 10 * time.Second
	maxAudiences     = 5
	maxJTI           = 64 // characters
)

// assertionMethods are the algorithms of assertions. What is not named, "none" and the symmetric ones above all, does
// not exist (RFC 8725, 3.2).
var assertionMethods = map[string]jwt.SigningMethod{
	"RS256": jwt.SigningMethodRS256, "RS384": jwt.SigningMethodRS384, "RS512": jwt.SigningMethodRS512,
	"PS256": jwt.SigningMethodPS256, "PS384": jwt.SigningMethodPS384, "PS512": jwt.SigningMethodPS512,
	"ES256": jwt.SigningMethodES256, "ES384": jwt.SigningMethodES384, "ES512": jwt.SigningMethodES512,
	"EdDSA": jwt.SigningMethodEdDSA,
}

// AssertionAlgorithms returns the algorithms that client assertions may be signed with, sorted.
func AssertionAlgorithms() []string { return slices.Sorted(maps.Keys(assertionMethods)) }

// An Assertion is a client assertion taken apart (private_key_jwt; RFC 7523, 2.2). Nothing of it is true before Check
// accepted it and a key of its client signed it.
type Assertion struct {
	Client  string // the sub; Check tells whether iss is the same
	ID      string // the jti
	Expires time.Time

	method              jwt.SigningMethod
	kid                 string // "" for none
	signed              string // what the signature covers
	signature           []byte
	issuer              string
	audience            []string
	notBefore, issuedAt time.Time // zero for none
}

// ReadAssertion takes a JWS in compact serialisation apart (RFC 7515, 7.1). Size and form are checked before anything
// is split or decoded.
func ReadAssertion(text string) (a Assertion, err error) {
	if len(text) > maxAssertion || strings.Count(text, ".") != 2 {
		return a, errors.New("not a compact JWS of at most 2048 bytes")
	}
	dot := strings.LastIndexByte(text, '.')
	head, body, _ := strings.Cut(text[:dot], ".")
	header, okHeader := decodeObject(head)
	claims, okClaims := decodeObject(body)
	signature, okSignature := decodeText(text[dot+1:])
	if !okHeader || !okClaims || !okSignature {
		return a, errors.New("not JSON in base64url")
	}
	a.signed, a.signature = text[:dot], signature
	if err := a.readHeader(header); err != nil {
		return a, err
	}
	return a, a.readClaims(claims)
}

// decodeObject decodes a JSON object. A map keeps names as they are written, where a struct would take "ALG" for "alg".
func decodeObject(text string) (object map[string]any, ok bool) {
	b, ok := decodeText(text)
	return object, ok && json.Unmarshal(b, &object) == nil && object != nil
}

// readHeader reads the JOSE header. It only selects among keys that the client has (RFC 8725, 3.10), and its typ keeps
// access tokens out (3.11).
func (a *Assertion) readHeader(header map[string]any) error {
	for _, refused := range [...]string{"crit", "jwk", "jku", "x5u", "x5c"} {
		if _, has := header[refused]; has {
			return errors.New("header with a key or an extension")
		}
	}
	if value, has := header["typ"]; has {
		typ, _ := value.(string)
		if !strings.EqualFold(typ, "JWT") && !strings.EqualFold(typ, "client-authentication+jwt") {
			return errors.New("another type of token")
		}
	}
	alg, _ := header["alg"].(string)
	if a.method = assertionMethods[alg]; a.method == nil {
		return errors.New("algorithm not allowed")
	}
	value, has := header["kid"]
	a.kid, _ = value.(string)
	if has && !printable(a.kid, maxKeyID) {
		return errors.New("malformed kid")
	}
	return nil
}

// readClaims reads the claims and checks that they have the right types.
func (a *Assertion) readClaims(claims map[string]any) error {
	a.issuer, _ = claims["iss"].(string)
	a.Client, _ = claims["sub"].(string)
	a.ID, _ = claims["jti"].(string)
	if n := utf8.RuneCountInString(a.ID); n < 1 || n > maxJTI {
		return errors.New("jti missing or over 64 characters")
	}
	var ok bool
	if a.audience, ok = texts(claims["aud"]); !ok || len(a.audience) > maxAudiences {
		return errors.New("aud missing or malformed")
	}
	for name, into := range map[string]*time.Time{"exp": &a.Expires, "nbf": &a.notBefore, "iat": &a.issuedAt} {
		value, has := claims[name]
		if !has && name != "exp" {
			continue
		}
		if *into, ok = numericDate(value); !ok {
			return errors.New("exp missing, or an instant malformed")
		}
	}
	return nil
}

// texts reads a string or an array of strings.
func texts(value any) (all []string, ok bool) {
	switch v := value.(type) {
	case string:
		return []string{v}, true
	case []any:
		for _, element := range v {
			text, ok := element.(string)
			if !ok {
				return nil, false
			}
			all = append(all, text)
		}
		return all, true
	}
	return nil, false
}

// numericDate reads an instant in seconds, whole or not (RFC 7519, 2), up to the year 2255: nanoseconds since 1970 fit
// into 64 bits.
func numericDate(value any) (time.Time, bool) {
	seconds, ok := value.(float64)
	if !ok || seconds < 0 || seconds > 9e9 {
		return time.Time{}, false
	}
	whole, rest := math.Modf(seconds)
	return time.Unix(int64(whole), int64(rest*float64(time.Second))).UTC(), true
}

// AssertionRules are what an assertion must say.
type AssertionRules struct {
	Client    string   // the client that is named beside the assertion; "" if none is
	Audiences []string // of which the assertion must name one; "" never counts
}

// Check decides whether the claims are right at now (RFC 7523, 3).
func (a *Assertion) Check(rules AssertionRules, now time.Time) error {
	ours := func(aud string) bool { return aud != "" && slices.Contains(rules.Audiences, aud) }
	latest := now.Add(assertionSkew)
	switch {
	case a.Client == "" || a.issuer != a.Client:
		return errors.New("iss is not sub, or both are missing")
	case rules.Client != "" && rules.Client != a.Client:
		return errors.New("of another client than is named beside it")
	case !slices.ContainsFunc(a.audience, ours):
		return errors.New("for another audience")
	case !now.Before(a.Expires.Add(assertionSkew)):
		return errors.New("expired")
	case a.Expires.After(latest.Add(maxAssertionLife)):
		return errors.New("exp more than five minutes ahead")
	case a.notBefore.After(latest), a.issuedAt.After(latest):
		return errors.New("not valid yet")
	}
	return nil
}

// SignedBy reports whether one of the keys made the signature. A kid selects the keys that have it, and those without
// one, since a key need not have one (RFC 7517, 4.5). No kid selects all.
func (a *Assertion) SignedBy(keys []PublicKey) bool {
	return slices.ContainsFunc(keys, func(k PublicKey) bool {
		selected := a.kid == "" || k.ID == "" || a.kid == k.ID
		return selected && k.method == a.method && k.method.Verify(a.signed, a.signature, k.public) == nil
	})
}
