package jose_test

import (
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless/internal/jose"
)

const (
	ourIssuer     = "https://login.example.com/"
	tokenEndpoint = "https://login.example.com/oauth/token"
)

// A signatory is a client that signs assertions.
type signatory struct {
	t      testing.TB
	clock  *clock
	client string
	method jwt.SigningMethod
	key    any
}

// newSignatory makes a client "keyed" with an ES256 key.
func newSignatory(t testing.TB) signatory {
	return signatory{t: t, clock: newClock(), client: "keyed", method: jwt.SigningMethodES256, key: ecKey(t)}
}

// claims are those of a good assertion, with a jti of its own.
func (s signatory) claims(changes ...member) member {
	now := s.clock.Now()
	return edited(member{"iss": s.client, "sub": s.client, "aud": ourIssuer, "jti": uuid.NewString(),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(2 * time.Minute).Unix()}, changes...)
}

// sign makes an assertion of claims; header changes its header.
func (s signatory) sign(claims, header member) string {
	s.t.Helper()
	token := jwt.NewWithClaims(s.method, jwt.MapClaims(claims))
	edited(token.Header, header)
	signed, err := token.SignedString(s.key)
	require.NoError(s.t, err)
	return signed
}

// assertion is a good one with changed claims.
func (s signatory) assertion(changes ...member) string { return s.sign(s.claims(changes...), nil) }

// public is the key as a JSON Web Key.
func (s signatory) public(changes ...member) member {
	return jwkOf(s.t, s.key.(crypto.Signer).Public(), changes...)
}

// A verifier checks assertions with keys.
type verifier struct {
	t     testing.TB
	clock *clock
	keys  []jose.PublicKey
}

// verifier has the keys of the set.
func (s signatory) verifier(set string) verifier { return verifier{s.t, s.clock, keysOf(s.t, set)} }

var errNotSigned = errors.New("not signed by the keys")

// verify reads an assertion and checks it at the token endpoint.
func (v verifier) verify(text string) (jose.Assertion, error) {
	a, err := jose.ReadAssertion(text)
	if err == nil {
		err = a.Check(jose.AssertionRules{Audiences: []string{ourIssuer, tokenEndpoint}}, v.clock.Now())
	}
	if err == nil && !a.SignedBy(v.keys) {
		err = errNotSigned
	}
	return a, err
}

// accepts and refuses verify an assertion that should be or should not be accepted.
func (v verifier) accepts(text, rule string) {
	v.t.Helper()
	a, err := v.verify(text)
	require.NoError(v.t, err, rule)
	assert.Equal(v.t, "keyed", a.Client, rule)
	assert.NotEmpty(v.t, a.ID, rule)
}

func (v verifier) refuses(text, rule string) {
	v.t.Helper()
	_, err := v.verify(text)
	require.Error(v.t, err, rule)
}

func TestEachAlgorithmOfAssertions(t *testing.T) { // CA-1, TK-1
	keys := map[string]crypto.Signer{"EdDSA": edwardsKey(t), "ES256": ecKey(t),
		"ES384": curveKey(t, elliptic.P384()), "ES512": curveKey(t, elliptic.P521())}
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"} {
		keys[alg] = rsaKey()
	}
	all := slices.Sorted(maps.Keys(keys))
	assert.Equal(t, all, jose.AssertionAlgorithms())
	s := newSignatory(t)
	for alg, key := range keys {
		named := alg
		if slices.Contains([]string{"RS256", "ES256", "ES384", "ES512", "EdDSA"}, alg) {
			named = "" // what a key of its type has without being told
		}
		s.method, s.key = jwt.GetSigningMethod(alg), key
		w := s.verifier(jwks(t, s.public(member{"kid": "k", "alg": named}, omitted(named, "alg"))))
		w.accepts(s.assertion(), alg+" without a kid")
		w.accepts(s.sign(s.claims(), member{"kid": "k"}), alg+" with a kid")
		for _, other := range all {
			if other != alg {
				s.method, s.key = jwt.GetSigningMethod(other), keys[other]
				w.refuses(s.sign(s.claims(), member{"kid": "k"}), other+" for the key of "+alg)
			}
		}
	}
}

func TestAKeyWithoutAKidIsTriedForEveryKid(t *testing.T) { // CA-1: RFC 7517, 4.5: kid is optional
	named, nameless := ecKey(t), ecKey(t)
	s := newSignatory(t)
	w := s.verifier(jwks(t, jwkOf(t, named.Public(), member{"kid": "c1"}), jwkOf(t, nameless.Public())))
	for rule, kid := range map[string]any{"no kid": nil, "a kid that no key has": "c2", "the kid of another key": "c1"} {
		s.key = nameless
		w.accepts(s.sign(s.claims(), member{"kid": kid}), rule)
		s.key = ecKey(t)
		w.refuses(s.sign(s.claims(), member{"kid": kid}), rule+", a stranger's key")
	}
	s.key = named
	w.accepts(s.assertion(), "a key with a kid, for no kid")
	w.accepts(s.sign(s.claims(), member{"kid": "c1"}), "a key with a kid, for its own")
	w.refuses(s.sign(s.claims(), member{"kid": "c2"}), "a key with a kid, for another")
}

// omitted removes a member whose value is "".
func omitted(value, name string) member {
	if value == "" {
		return member{name: nil}
	}
	return nil
}

func TestAssertionsThatAreRight(t *testing.T) { // CA-1, TK-5
	s := newSignatory(t)
	w := s.verifier(jwks(t, s.public(member{"kid": "c1"})))
	now := w.clock.Now()
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	for rule, change := range map[string]member{
		"aud: the issuer":                  {},
		"aud: the token endpoint":          {"aud": tokenEndpoint},
		"aud: an array":                    {"aud": []string{ourIssuer}},
		"aud: one of five is ours":         {"aud": []string{"a", "b", "c", "d", ourIssuer}},
		"exp: five minutes and the skew":   {"exp": at(5*time.Minute + 10*time.Second)},
		"exp: over within the skew":        {"exp": at(-9 * time.Second), "iat": nil, "nbf": nil},
		"exp: with a fraction":             {"exp": float64(at(0)) + 30.5},
		"iat and nbf: missing":             {"iat": nil, "nbf": nil},
		"iat and nbf: within the skew":     {"iat": at(10 * time.Second), "nbf": at(10 * time.Second)},
		"iat: long ago":                    {"iat": at(-24 * time.Hour)},
		"jti: 64 characters":               {"jti": strings.Repeat("é", 64)},
		"claims that are nobody's concern": {"nonce": "n", "azp": []int{1}},
	} {
		w.accepts(s.assertion(change), rule)
	}
	for rule, header := range map[string]member{
		"typ: missing":     {"typ": nil},
		"typ: jwt":         {"typ": "jwt"},
		"typ: of RFC 7523": {"typ": "client-authentication+jwt"},
		"kid: known":       {"kid": "c1"},
		"x5t is no key":    {"x5t": "AA"},
	} {
		w.accepts(s.sign(s.claims(), header), rule)
	}
	a, err := jose.ReadAssertion(s.assertion(member{"jti": "j", "exp": float64(at(0)) + 30.5}))
	require.NoError(t, err)
	require.NoError(t, a.Check(jose.AssertionRules{Client: "keyed", Audiences: []string{ourIssuer}}, now), "named beside it")
	assert.Equal(t, "keyed", a.Client)
	assert.Equal(t, "j", a.ID)
	assert.Equal(t, now.Add(30500*time.Millisecond), a.Expires)
}

func TestAssertionsWithWrongClaims(t *testing.T) { // CA-1, TK-5; test 22: aud of another server, exp in a day, iss is not sub
	s := newSignatory(t)
	w := s.verifier(jwks(t, s.public(member{"kid": "c1"})))
	now := w.clock.Now()
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	for rule, change := range map[string]member{
		"aud: another server's":       {"aud": "https://other.example.com/"},
		"aud: without the slash":      {"aud": strings.TrimSuffix(ourIssuer, "/")},
		"aud: missing":                {"aud": nil},
		"aud: empty":                  {"aud": ""},
		"aud: an empty array":         {"aud": []string{}},
		"aud: an array without us":    {"aud": []string{"a", "b"}},
		"aud: six":                    {"aud": []string{"a", "b", "c", "d", "e", ourIssuer}},
		"aud: an array of all kinds":  {"aud": []any{ourIssuer, 1}},
		"aud: an object":              {"aud": member{ourIssuer: true}},
		"exp: missing":                {"exp": nil},
		"exp: over":                   {"exp": at(-10 * time.Second)},
		"exp: in a day":               {"exp": at(24 * time.Hour)},
		"exp: a second past the most": {"exp": at(5*time.Minute + 11*time.Second)},
		"exp: text":                   {"exp": fmt.Sprint(at(time.Minute))},
		"exp: beyond all time":        {"exp": 1e300},
		"exp: negative":               {"exp": -1},
		"iat: in the future":          {"iat": at(11 * time.Second)},
		"nbf: in the future":          {"nbf": at(11 * time.Second)},
		"iat: text":                   {"iat": "now"},
		"nbf: an object":              {"nbf": member{}},
		"iss is not sub":              {"iss": "keyed-too"},
		"sub of another":              {"sub": "keyed-too"},
		"neither iss nor sub":         {"iss": nil, "sub": nil},
		"iss and sub: empty":          {"iss": "", "sub": ""},
		"iss and sub: numbers":        {"iss": 1, "sub": 1},
		"iss: missing":                {"iss": nil},
		"jti: missing":                {"jti": nil},
		"jti: empty":                  {"jti": ""},
		"jti: 65 characters":          {"jti": strings.Repeat("j", 65)},
		"jti: a number":               {"jti": 1},
		"names in capitals":           {"exp": nil, "EXP": at(time.Minute)},
	} {
		w.refuses(s.assertion(change), rule)
	}
	type rules = jose.AssertionRules
	for rule, c := range map[string]struct {
		claims member
		rules  rules
	}{
		"of another client than the client_id":     {nil, rules{Client: "keyed-too", Audiences: []string{ourIssuer}}},
		"for an audience that was not named":       {member{"aud": tokenEndpoint}, rules{Audiences: []string{ourIssuer}}},
		"for any audience, when none is named":     {nil, rules{}},
		"for an empty audience, which is nobody's": {member{"aud": ""}, rules{Audiences: []string{""}}},
	} {
		a, err := jose.ReadAssertion(s.assertion(c.claims))
		require.NoError(t, err, rule)
		require.Error(t, a.Check(c.rules, now), rule)
	}
}

func TestUnsignedAssertions(t *testing.T) { // CA-1, TK-1, TK-2, TK-3, TK-4; CVE-2018-0114
	s := newSignatory(t)
	w := s.verifier(jwks(t, s.public(member{"kid": "c1"})))
	unsigned := s
	unsigned.method, unsigned.key = jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType
	for _, alg := range []any{"none", "None", "nOnE", "NONE", "", nil, 1, "es256", "HS256", "ES256K", "Ed25519",
		strings.Repeat("a", 17)} {
		w.refuses(unsigned.sign(s.claims(), member{"alg": alg}), fmt.Sprint("unsigned, alg ", alg))
		w.refuses(unsigned.sign(s.claims(), member{"alg": alg})+"AAAA", fmt.Sprint("badly signed, alg ", alg))
	}
	w.refuses(unsigned.sign(s.claims(), member{"alg": "ES256"}), "unsigned")
}

func TestAssertionsOfAnotherAlgorithm(t *testing.T) { // TK-1, TK-2
	public, err := x509.MarshalPKIXPublicKey(rsaKey().Public())
	require.NoError(t, err)
	set := jwks(t, jwkOf(t, rsaKey().Public(), member{"kid": "r1"}))
	rsa := newSignatory(t)
	rsa.method, rsa.key = jwt.SigningMethodRS256, rsaKey()
	forRSA := rsa.verifier(set)
	forRSA.accepts(rsa.assertion(), "the right key")
	for rule, secret := range map[string][]byte{
		"DER": public, "PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), "modulus": rsaKey().N.Bytes(),
		"the key set": []byte(set), "nothing": {},
	} {
		symmetric := rsa
		symmetric.method, symmetric.key = jwt.SigningMethodHS256, secret
		forRSA.refuses(symmetric.assertion(), "HS256 with the public key: "+rule)
		forRSA.refuses(symmetric.sign(symmetric.claims(), member{"alg": "RS256", "kid": "r1"}), "HS256 that says RS256: "+rule)
	}
	swapped := rsa
	swapped.method = jwt.SigningMethodPS256
	forRSA.refuses(swapped.assertion(), "PS256 with a key for RS256")
	forRSA.refuses(swapped.sign(swapped.claims(), member{"alg": "RS256"}), "PS256 that says RS256")
}

func TestForgedAssertions(t *testing.T) { // CA-1, TK-3, TK-4; CVE-2018-0114
	s := newSignatory(t)
	w := s.verifier(jwks(t, s.public(member{"kid": "c1"})))
	stranger := s
	stranger.key = ecKey(t)
	w.refuses(stranger.assertion(), "another key")
	w.refuses(stranger.sign(s.claims(), member{"kid": "c1"}), "another key with a known kid")
	for rule, header := range map[string]member{
		"jwk":                                  {"jwk": stranger.public()},
		"jku":                                  {"jku": "https://attacker.example.com/jwks.json"},
		"x5u":                                  {"x5u": "https://attacker.example.com/chain.pem"},
		"x5c":                                  {"x5c": []string{"AA"}},
		"crit":                                 {"crit": []string{"b64"}, "b64": false},
		"kid: of nobody, and a path, and SQL":  {"kid": "../../c1' OR '1'='1"},
		"kid: with a control character":        {"kid": "c1\x00"},
		"kid: empty":                           {"kid": ""},
		"kid: a number":                        {"kid": 1},
		"kid: 129 bytes":                       {"kid": strings.Repeat("c", 129)},
		"kid: a megabyte":                      {"kid": strings.Repeat("c", 1<<20)},
		"typ: of access tokens":                {"typ": "at+jwt"},
		"typ: empty":                           {"typ": ""},
		"typ: a number":                        {"typ": 1},
		"typ: another kind":                    {"typ": "dpop+jwt"},
		"alg in capitals beside the right one": {"alg": "none", "ALG": "ES256"},
	} {
		w.refuses(stranger.sign(s.claims(), header), rule+", another key")
		w.refuses(s.sign(s.claims(), header), rule+", the right key")
	}
}

func TestMalformedAssertions(t *testing.T) { // TK-6; CVE-2025-27144, CVE-2025-30204
	s := newSignatory(t)
	w := s.verifier(jwks(t, s.public(member{"kid": "c1"})))
	good := s.assertion()
	pieces := strings.Split(good, ".")
	sized := func(size int, header member) string { // an assertion of exactly so many bytes
		claims := s.claims(member{"pad": ""})
		short := size - len(s.sign(claims, header))
		claims["pad"] = strings.Repeat("p", (short*3+2)/4)
		a := s.sign(claims, header)
		require.Len(t, a, size)
		return a
	}
	for rule, text := range map[string]string{
		"nothing":                 "",
		"dots":                    "..",
		"a million dots":          strings.Repeat(".", 1_000_000),
		"2049 dots":               strings.Repeat(".", 2049),
		"two parts":               pieces[0] + "." + pieces[1],
		"four parts":              good + ".x",
		"2049 bytes":              sized(2049, member{"kid": "c1"}),
		"a megabyte":              pieces[0] + "." + strings.Repeat("A", 1<<20) + "." + pieces[2],
		"padding":                 good + "=",
		"a line break at the end": good + "\n",
		"a line break inside":     pieces[0] + "." + pieces[1] + "\r\n." + pieces[2],
		"spare bits":              good[:len(good)-1] + "_",
		"a space before":          " " + good,
		"JSON serialisation":      fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, pieces[1], pieces[0], pieces[2]),
		"flattened, with dots":    fmt.Sprintf(`{"payload":"%s.","protected":"%s.","signature":%q}`, pieces[1], pieces[0], pieces[2]),
		"no signature":            pieces[0] + "." + pieces[1] + ".",
		"a changed signature":     pieces[0] + "." + pieces[1] + "." + base64url(make([]byte, 64)),
		"a short signature":       pieces[0] + "." + pieces[1] + "." + pieces[2][:40],
		"no header":               "." + pieces[1] + "." + pieces[2],
		"a header that is null":   base64url([]byte("null")) + "." + pieces[1] + "." + pieces[2],
		"a header that is a list": base64url([]byte("[]")) + "." + pieces[1] + "." + pieces[2],
		"claims that are null":    pieces[0] + "." + base64url([]byte("null")) + "." + pieces[2],
		"claims that are nested":  pieces[0] + "." + base64url([]byte(strings.Repeat("[", 900))) + "." + pieces[2],
		"other claims":            pieces[0] + "." + strings.Split(s.assertion(), ".")[1] + "." + pieces[2],
	} {
		w.refuses(text, rule)
	}
	w.accepts(good, "which all of them are made of")
	w.accepts(sized(2048, nil), "2048 bytes")

	dots := strings.Repeat(".", 1_000_000)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		_, _ = jose.ReadAssertion(dots)
	}
	runtime.ReadMemStats(&after)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1_000_000), "memory does not grow with the input")
}

func TestErrorsOfAssertionsRepeatNothing(t *testing.T) { // PR-2
	s := newSignatory(t)
	w := s.verifier(jwks(t, s.public(member{"kid": "c1"})))
	for _, text := range []string{
		s.sign(s.claims(), member{"kid": "sesame"}), s.sign(s.claims(), member{"alg": "sesame"}),
		s.sign(s.claims(), member{"typ": "sesame"}),
		s.assertion(member{"iss": "sesame"}), s.assertion(member{"aud": "sesame"}), s.assertion(member{"exp": "sesame"}),
		s.assertion(member{"jti": strings.Repeat("sesame", 11)}), "sesame",
	} {
		_, err := w.verify(text)
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "sesame")
	}
}

// Whatever is presented, nothing that the client did not sign is accepted, and nothing panics (OP-3).
func FuzzAssertion(f *testing.F) {
	s := newSignatory(f)
	w := s.verifier(jwks(f, s.public(member{"kid": "c1"})))
	genuine := s.assertion()
	f.Add(genuine)
	f.Add(genuine + "\n")
	f.Add("e30.e30.")
	f.Add("...")
	f.Add(`{"payload":"e30","signatures":[]}`)
	f.Fuzz(func(t *testing.T, text string) {
		if text == genuine {
			return
		}
		if _, err := w.verify(text); err == nil {
			t.Fatal("accepted")
		}
	})
}
