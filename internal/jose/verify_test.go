package jose_test

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless/internal/jose"
)

const (
	typ      = "at+jwt"
	audience = "https://api.example.com/"
)

var sharedSecret = []byte("thirty-two bytes that are secret")

// A checker verifies tokens with the keys of a Set, and the shared secret for the kid "hs".
type checker struct {
	set *jose.Set
	now time.Time
}

// others are claims that are not registered.
type others struct {
	Scope string `json:"scope"`
}

func (c checker) find(kid, alg string) (jose.Signer, bool) {
	if alg == jose.HS256 {
		return jose.Secret("hs", sharedSecret), kid == "hs"
	}
	return c.set.Find(kid)
}

func (c checker) rules() jose.TokenRules {
	return jose.TokenRules{Type: typ, Issuer: ourIssuer, Audience: audience, Now: c.now}
}

func (c checker) verify(token string) (jose.Claims, others, error) {
	var o others
	claims, err := jose.Verify(token, &o, c.find, c.rules())
	return claims, o, err
}

func newChecker(t testing.TB) checker { return checker{setOf(t), newClock().now} }

// claims are those of a good token, changed; a nil takes one away.
func (c checker) claims(changes ...member) member {
	return edited(member{"iss": ourIssuer, "sub": "u", "aud": audience, "iat": c.now.Unix(), "exp": c.now.Add(time.Hour).Unix(),
		"jti": "j", "scope": "a b"}, changes...)
}

func TestWhatIsSignedVerifies(t *testing.T) { // TK-1, TK-4
	c := newChecker(t)
	signers := map[string]jose.Signer{"hs": jose.Secret("hs", sharedSecret)}
	for _, id := range []string{"e1", "r1", "ed", "e2"} {
		signers[id], _ = c.set.Find(id)
	}
	for id, signer := range signers {
		token, err := signer.Sign(typ, c.claims())
		require.NoError(t, err, id)
		read, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
		require.NoError(t, err, id)
		assert.Equal(t, map[string]any{"alg": read.Method.Alg(), "typ": typ, "kid": id}, read.Header)
		got, o, err := c.verify(token)
		require.NoError(t, err, id)
		assert.Equal(t, "a b", o.Scope)
		assert.True(t, got.Expires.Equal(c.now.Add(time.Hour)))
		got.Expires = time.Time{}
		assert.Equal(t, jose.Claims{Subject: "u", Audience: []string{audience}, ID: "j"}, got)
	}
	nameless, err := jose.Secret("", sharedSecret).Sign("JWT", c.claims())
	require.NoError(t, err)
	read, _, err := jwt.NewParser().ParseUnverified(nameless, jwt.MapClaims{})
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"alg": "HS256", "typ": "JWT"}, read.Header, "no kid if the key has none")
}

func TestTokensThatAreRight(t *testing.T) { // TK-5
	c := newChecker(t)
	signer, _ := c.set.For(jose.ES256)
	for rule, change := range map[string]member{
		"over, within the skew":     {"exp": c.now.Add(-59 * time.Second).Unix()},
		"not yet, within the skew":  {"nbf": c.now.Add(time.Minute).Unix(), "iat": c.now.Add(time.Minute).Unix()},
		"several audiences":         {"aud": []string{"x", audience}},
		"without what is not asked": {"sub": nil, "jti": nil, "iat": nil, "scope": nil},
	} {
		token, err := signer.Sign("AT+JWT", c.claims(change))
		require.NoError(t, err, rule)
		_, _, err = c.verify(token)
		require.NoError(t, err, rule)
	}
}

// forged is a token of claims whose header says "s1", or anything else.
func forged(t testing.TB, method jwt.SigningMethod, key any, header, claims member) string {
	t.Helper()
	token := jwt.NewWithClaims(method, jwt.MapClaims(claims))
	token.Header["typ"], token.Header["kid"] = typ, "s1"
	maps.Copy(token.Header, header)
	signed, err := token.SignedString(key)
	require.NoError(t, err)
	return signed
}

func TestOnlyOurOwnTokensVerify(t *testing.T) { // TK-1, TK-2, TK-3, TK-5, TK-6, CVE-2018-0114
	key := ecKey(t)
	c := checker{&jose.Set{}, newClock().now}
	require.NoError(t, c.set.Add("s1", key))
	require.NoError(t, c.set.Add("r1", longRSAKey()))
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	forge := func(method jwt.SigningMethod, key any, header, change member) string {
		return forged(t, method, key, header, c.claims(change))
	}
	es256 := func(header, change member) string { return forge(jwt.SigningMethodES256, key, header, change) }
	good := es256(nil, nil)
	_, _, err = c.verify(good)
	require.NoError(t, err)
	head, rest, _ := strings.Cut(good, ".")
	at := func(d time.Duration) int64 { return c.now.Add(d).Unix() }
	for rule, token := range map[string]string{
		"HS256 with the public key": forge(jwt.SigningMethodHS256, public, nil, nil),
		"HS256 with another secret": forge(jwt.SigningMethodHS256, public, member{"kid": "hs"}, nil),
		"none":                      forge(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil, nil),
		"nOnE":                      forge(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, member{"alg": "nOnE"}, nil),
		"PS256 with a key of RS256": forge(jwt.SigningMethodPS256, longRSAKey(), member{"kid": "r1"}, nil),
		"RS512 with a key of RS256": forge(jwt.SigningMethodRS512, longRSAKey(), member{"kid": "r1"}, nil),
		"RS256 with a kid of ES256": forge(jwt.SigningMethodRS256, longRSAKey(), nil, nil),
		"another key":               forge(jwt.SigningMethodES256, ecKey(t), nil, nil),
		"embedded key":              forge(jwt.SigningMethodES256, ecKey(t), member{"jwk": "…", "kid": "x"}, nil),
		"kid path":                  es256(member{"kid": "../../s1"}, nil),
		"kid a number":              es256(member{"kid": 1}, nil),
		"critical extension":        es256(member{"crit": []string{"x"}}, nil),
		"another typ":               es256(member{"typ": "JWT"}, nil),
		"typ missing":               es256(member{"typ": nil}, nil),
		"another issuer":            es256(nil, member{"iss": strings.TrimSuffix(ourIssuer, "/")}),
		"no issuer":                 es256(nil, member{"iss": nil}),
		"another audience":          es256(nil, member{"aud": []string{"x"}}),
		"no audience":               es256(nil, member{"aud": nil}),
		"over":                      es256(nil, member{"exp": at(-time.Minute)}),
		"without an end":            es256(nil, member{"exp": nil}),
		"not yet":                   es256(nil, member{"nbf": at(time.Minute + time.Second)}),
		"from the future":           es256(nil, member{"iat": at(time.Minute + time.Second)}),
		"another's claim malformed": es256(nil, member{"scope": 1}),
		"a claim malformed":         es256(nil, member{"sub": 1}),
		"claims that are null":      head + "." + base64url([]byte("null")) + ".AAAA",
		"JSON serialisation":        fmt.Sprintf(`{"payload":%q}`, rest),
		"four parts":                good + ".x",
		"a changed signature":       good[:len(good)-4] + "AAAA",
		"padded":                    good + "=",
		"a line break inside":       head + ".\n" + rest,
		"over 16 KiB":               es256(nil, member{"pad": strings.Repeat("x", 12<<10)}),
		"empty":                     "",
	} {
		claims, _, err := c.verify(token)
		require.Error(t, err, rule)
		assert.Empty(t, claims, rule)
	}
}

func TestClaimsAreThereWhenTheKeyIsLookedFor(t *testing.T) {
	c := newChecker(t)
	token, err := jose.Secret("hs", sharedSecret).Sign(typ, c.claims())
	require.NoError(t, err)
	var o others
	_, err = jose.Verify(token, &o, func(kid, alg string) (jose.Signer, bool) {
		assert.Equal(t, []string{"hs", jose.HS256, "a b"}, []string{kid, alg, o.Scope})
		return jose.Signer{}, false
	}, c.rules())
	require.Error(t, err)
}

func TestFormIsCheckedBeforeAnythingIsDecoded(t *testing.T) { // TK-6; CVE-2025-30204
	for text, want := range map[string]bool{
		"": false, "..": true, "a.b.c": true, "Aa0-.Zz9_.x": true, "a.b": false, "a.b.c.d": false, "a.b.c=": false, "a.b.c\n": false,
		" a.b.c": false, "a.b.+": false, "a.b.é": false, strings.Repeat(".", 1_000_000): false,
		".." + strings.Repeat("A", 16<<10-2): true, ".." + strings.Repeat("A", 16<<10-1): false,
	} {
		assert.Equal(t, want, jose.IsCompact(text), "%.20q", text)
		assert.Zero(t, testing.AllocsPerRun(10, func() { jose.IsCompact(text) }), "%.20q", text)
	}
}

// Whatever is presented, nothing verifies that was not signed, and nothing panics (OP-3).
func FuzzVerify(f *testing.F) {
	c := newChecker(f)
	signer, _ := c.set.For(jose.ES256)
	genuine, err := signer.Sign(typ, c.claims())
	require.NoError(f, err)
	header, err := json.Marshal(member{"alg": "HS256", "typ": typ, "kid": "hs"})
	require.NoError(f, err)
	f.Add(genuine)
	f.Add(base64url(header) + ".bnVsbA.AAAA")
	f.Add("e30.e30.")
	f.Add("...")
	f.Fuzz(func(t *testing.T, text string) {
		if _, _, err := c.verify(text); err == nil && text != genuine {
			t.Fatal("accepted")
		}
	})
}
