package passwordless_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/store/storetest"
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

// newSignatory makes a world with a client "keyed", which has an ES256 key "c1".
func newSignatory(t testing.TB, change ...func(*passwordless.Config)) (*world, signatory) {
	key := ecKey(t)
	w := newWorld(t, append([]func(*passwordless.Config){func(c *passwordless.Config) {
		c.Clients = append(c.Clients.(passwordless.ClientList),
			passwordless.Client{ID: "keyed", JWKS: jwks(t, jwkOf(t, key.Public(), member{"kid": "c1"}))},
			passwordless.Client{ID: "keyed-too", JWKS: jwks(t, jwkOf(t, key.Public(), member{"kid": "c1"}))},
			passwordless.Client{ID: "secretive", SecretHashes: []passwordless.SecretHash{passwordless.HashSecret("s")}})
	}}, change...)...)
	return w, signatory{t: t, clock: w.clock, client: "keyed", method: jwt.SigningMethodES256, key: key}
}

// claims are those of a good assertion, with a jti of its own.
func (s signatory) claims(changes ...member) member {
	now := s.clock.Now()
	return edited(member{"iss": s.client, "sub": s.client, "aud": ourIssuer, "jti": uuid.NewString(),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(2 * time.Minute).Unix()}, changes...)
}

// sign makes an assertion of claims; header changes its header.
func (s signatory) sign(claims, header member) passwordless.Secret {
	s.t.Helper()
	token := jwt.NewWithClaims(s.method, jwt.MapClaims(claims))
	edited(token.Header, header)
	signed, err := token.SignedString(s.key)
	require.NoError(s.t, err)
	return passwordless.Secret(signed)
}

// assertion is a good one with changed claims.
func (s signatory) assertion(changes ...member) passwordless.Secret {
	return s.sign(s.claims(changes...), nil)
}

// assert presents an assertion at the token endpoint.
func (w *world) assert(a passwordless.Secret) (passwordless.Client, func(context.Context), error) {
	return w.AuthenticateAssertion(context.Background(), passwordless.AssertionRequest{Assertion: a, Audiences: []string{tokenEndpoint}})
}

// accepts and refuses present an assertion that should be or should not be accepted.
func (w *world) accepts(a passwordless.Secret, rule string) {
	w.t.Helper()
	c, release, err := w.assert(a)
	require.NoError(w.t, err, rule)
	assert.Equal(w.t, "keyed", c.ID, rule)
	assert.NotNil(w.t, release, rule)
}

func (w *world) refuses(a passwordless.Secret, rule string) {
	w.t.Helper()
	c, release, err := w.assert(a)
	require.ErrorIs(w.t, err, passwordless.ErrInvalidAssertion, rule)
	require.NotErrorIs(w.t, err, passwordless.ErrReplayedAssertion, rule)
	assert.Empty(w.t, c, rule)
	assert.Nil(w.t, release, rule)
}

func TestEachAlgorithmOfAssertions(t *testing.T) { // CA-1, TK-1
	edwards, edwardsKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	keys := map[string]struct {
		public  crypto.PublicKey
		private any
	}{"EdDSA": {edwards, edwardsKey}}
	for alg, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		require.NoError(t, err)
		keys[alg] = struct {
			public  crypto.PublicKey
			private any
		}{key.Public(), key}
	}
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"} {
		keys[alg] = struct {
			public  crypto.PublicKey
			private any
		}{rsaKey().Public(), rsaKey()}
	}
	for alg, key := range keys {
		named := alg
		if slices.Contains([]string{"RS256", "ES256", "ES384", "ES512", "EdDSA"}, alg) {
			named = "" // what a key of its type has without being told
		}
		w, s := newSignatory(t, func(c *passwordless.Config) {
			c.Clients = passwordless.ClientList{{ID: "keyed", JWKS: jwks(t, jwkOf(t, key.public, edited(member{"alg": named, "kid": "k"}, omitted(named, "alg"))))}}
		})
		s.method, s.key = jwt.GetSigningMethod(alg), key.private
		w.accepts(s.assertion(), alg+" without a kid")
		w.accepts(s.sign(s.claims(), member{"kid": "k"}), alg+" with a kid")
		for other := range keys {
			if other != alg {
				s.method, s.key = jwt.GetSigningMethod(other), keys[other].private
				w.refuses(s.sign(s.claims(), member{"kid": "k"}), other+" for the key of "+alg)
			}
		}
	}
}

func TestAKeyWithoutAKidIsTriedForEveryKid(t *testing.T) { // CA-1: RFC 7517, 4.5: kid is optional
	named, nameless := ecKey(t), ecKey(t)
	w, s := newSignatory(t, func(c *passwordless.Config) {
		c.Clients = passwordless.ClientList{{ID: "keyed", JWKS: jwks(t, jwkOf(t, named.Public(), member{"kid": "c1"}), jwkOf(t, nameless.Public()))}}
	})
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
	w, s := newSignatory(t)
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
	_, _, err := w.AuthenticateAssertion(t.Context(), passwordless.AssertionRequest{Client: "keyed", Assertion: s.assertion()})
	require.NoError(t, err, "named beside it")
}

func TestAssertionsWithWrongClaims(t *testing.T) { // CA-1, TK-5; test 22: aud of another server, exp in a day, iss is not sub
	w, s := newSignatory(t)
	now := w.clock.Now()
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	for rule, change := range map[string]member{
		"aud: another server's":             {"aud": "https://other.example.com/"},
		"aud: without the slash":            {"aud": strings.TrimSuffix(ourIssuer, "/")},
		"aud: missing":                      {"aud": nil},
		"aud: empty":                        {"aud": ""},
		"aud: an empty array":               {"aud": []string{}},
		"aud: an array without us":          {"aud": []string{"a", "b"}},
		"aud: six":                          {"aud": []string{"a", "b", "c", "d", "e", ourIssuer}},
		"aud: an array of all kinds":        {"aud": []any{ourIssuer, 1}},
		"aud: an object":                    {"aud": member{ourIssuer: true}},
		"exp: missing":                      {"exp": nil},
		"exp: over":                         {"exp": at(-10 * time.Second)},
		"exp: in a day":                     {"exp": at(24 * time.Hour)},
		"exp: a second past the most":       {"exp": at(5*time.Minute + 11*time.Second)},
		"exp: text":                         {"exp": fmt.Sprint(at(time.Minute))},
		"exp: beyond all time":              {"exp": 1e300},
		"exp: negative":                     {"exp": -1},
		"iat: in the future":                {"iat": at(11 * time.Second)},
		"nbf: in the future":                {"nbf": at(11 * time.Second)},
		"iat: text":                         {"iat": "now"},
		"nbf: an object":                    {"nbf": member{}},
		"iss is not sub":                    {"iss": "keyed-too"},
		"sub of another":                    {"sub": "keyed-too"},
		"iss: missing":                      {"iss": nil},
		"neither iss nor sub":               {"iss": nil, "sub": nil},
		"iss and sub: empty":                {"iss": "", "sub": ""},
		"iss and sub: 65 characters":        {"iss": strings.Repeat("k", 65), "sub": strings.Repeat("k", 65)},
		"iss and sub: numbers":              {"iss": 1, "sub": 1},
		"a client that nobody knows":        {"iss": "nobody", "sub": "nobody"},
		"a public client":                   {"iss": "web", "sub": "web"},
		"a client with a secret and no key": {"iss": "secretive", "sub": "secretive"},
		"jti: missing":                      {"jti": nil},
		"jti: empty":                        {"jti": ""},
		"jti: 65 characters":                {"jti": strings.Repeat("j", 65)},
		"jti: a number":                     {"jti": 1},
		"names in capitals":                 {"exp": nil, "EXP": at(time.Minute)},
	} {
		w.refuses(s.assertion(change), rule)
	}
	_, _, err := w.assert(s.assertion(member{"iss": "nobody", "sub": "nobody"}))
	require.ErrorIs(t, err, passwordless.ErrUnknownClient)
	_, _, err = w.AuthenticateAssertion(t.Context(), passwordless.AssertionRequest{Client: "keyed-too", Assertion: s.assertion()})
	require.ErrorIs(t, err, passwordless.ErrInvalidAssertion, "the assertion is of another client than the client_id")
	_, _, err = w.AuthenticateAssertion(t.Context(), passwordless.AssertionRequest{Assertion: s.assertion(member{"aud": tokenEndpoint})})
	require.ErrorIs(t, err, passwordless.ErrInvalidAssertion, "an audience that the caller did not name")
	_, _, err = w.AuthenticateAssertion(t.Context(), passwordless.AssertionRequest{Assertion: s.assertion(member{"aud": ""}), Audiences: []string{""}})
	require.ErrorIs(t, err, passwordless.ErrInvalidAssertion, "an empty audience is nobody's")
}

func TestForgedAssertions(t *testing.T) { // CA-1, TK-1, TK-2, TK-3, TK-4; CVE-2018-0114
	w, s := newSignatory(t, func(c *passwordless.Config) {
		c.Clients = append(c.Clients.(passwordless.ClientList), passwordless.Client{ID: "rsa", JWKS: jwks(t, jwkOf(t, rsaKey().Public(), member{"kid": "r1"}))})
	})
	stranger := s
	stranger.key = ecKey(t)
	embedded := jwkOf(t, stranger.key.(*ecdsa.PrivateKey).Public())
	unsigned := s
	unsigned.method, unsigned.key = jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType
	for _, alg := range []any{"none", "None", "nOnE", "NONE", "", nil, 1, "es256", "HS256", "ES256K", "Ed25519", strings.Repeat("a", 17)} {
		w.refuses(unsigned.sign(s.claims(), member{"alg": alg}), fmt.Sprint("unsigned, alg ", alg))
		w.refuses(unsigned.sign(s.claims(), member{"alg": alg})+"AAAA", fmt.Sprint("badly signed, alg ", alg))
	}
	w.refuses(unsigned.sign(s.claims(), member{"alg": "ES256"}), "unsigned")

	public, err := x509.MarshalPKIXPublicKey(rsaKey().Public())
	require.NoError(t, err)
	set := jwks(t, jwkOf(t, rsaKey().Public(), member{"kid": "r1"}))
	rsa := signatory{t: t, clock: w.clock, client: "rsa", method: jwt.SigningMethodRS256, key: rsaKey()}
	_, _, err = w.assert(rsa.assertion())
	require.NoError(t, err)
	for rule, secret := range map[string][]byte{
		"DER": public, "PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), "the key set": []byte(set), "nothing": {},
		"modulus": rsaKey().N.Bytes(),
	} {
		symmetric := rsa
		symmetric.method, symmetric.key = jwt.SigningMethodHS256, secret
		w.refuses(symmetric.assertion(), "HS256 with the public key: "+rule)
		w.refuses(symmetric.sign(symmetric.claims(), member{"alg": "RS256", "kid": "r1"}), "HS256 that says RS256: "+rule)
	}
	swapped := rsa
	swapped.method = jwt.SigningMethodPS256
	w.refuses(swapped.assertion(), "PS256 with a key for RS256")
	w.refuses(swapped.sign(swapped.claims(), member{"alg": "RS256"}), "PS256 that says RS256")

	w.refuses(stranger.assertion(), "another key")
	w.refuses(stranger.sign(s.claims(), member{"kid": "c1"}), "another key with a known kid")
	for rule, header := range map[string]member{
		"jwk":                                  {"jwk": embedded},
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
	w, s := newSignatory(t)
	good := s.assertion().Reveal()
	pieces := strings.Split(good, ".")
	sized := func(size int, header member) passwordless.Secret { // an assertion of exactly so many bytes
		claims := s.claims(member{"pad": ""})
		short := size - len(s.sign(claims, header))
		claims["pad"] = strings.Repeat("p", (short*3+2)/4)
		a := s.sign(claims, header)
		require.Len(t, a.Reveal(), size)
		return a
	}
	for rule, text := range map[string]string{
		"nothing":                 "",
		"dots":                    "..",
		"a million dots":          strings.Repeat(".", 1_000_000),
		"2049 dots":               strings.Repeat(".", 2049),
		"two parts":               pieces[0] + "." + pieces[1],
		"four parts":              good + ".x",
		"2049 bytes":              sized(2049, member{"kid": "c1"}).Reveal(),
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
		"other claims":            pieces[0] + "." + strings.Split(s.assertion().Reveal(), ".")[1] + "." + pieces[2],
	} {
		w.refuses(passwordless.Secret(text), rule)
	}
	w.accepts(passwordless.Secret(good), "none of them used it up")
	w.accepts(sized(2048, nil), "2048 bytes")

	dots := passwordless.Secret(strings.Repeat(".", 1_000_000))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		_, _, _ = w.assert(dots)
	}
	runtime.ReadMemStats(&after)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1_000_000), "memory does not grow with the input")
}

func TestOurTokensAreNoAssertions(t *testing.T) { // TK-4, CA-5
	w, s := newSignatory(t)
	tokens := w.signIn(alice, passwordless.Grant{Tokens: &passwordless.TokenRequest{Scopes: []string{"openid"}, Audience: ourIssuer,
		Subject: func(passwordless.Login) string { return "keyed" }}}).Tokens
	w.refuses(tokens.Access, "an access token")
	w.refuses(tokens.ID, "an ID token")
	// Nor if the client signed one with the same key.
	w.refuses(s.sign(s.claims(), member{"typ": "at+jwt"}), "an access token by the client's key")
	_, err := w.VerifyAccessToken(s.assertion(), ourIssuer)
	require.ErrorIs(t, err, passwordless.ErrInvalidToken, "an assertion as access token")
}

func TestAnAssertionWorksOnce(t *testing.T) { // CA-1, TK-8; test 22: the same jti, with another signature too
	w, s := newSignatory(t)
	claims := s.claims()
	first := s.sign(claims, nil)
	w.accepts(first, "the first time")
	w.events.types()
	for rule, again := range map[string]passwordless.Secret{
		"the same bytes":                   first,
		"signed again":                     s.sign(claims, nil),
		"the other spelling of a point":    flipped(t, first),
		"with another header":              s.sign(claims, member{"kid": "c1"}),
		"other claims under the same jti":  s.assertion(member{"jti": claims["jti"], "aud": tokenEndpoint}),
		"the same jti, written in escapes": s.escaped(claims),
	} {
		for name, w := range map[string]*world{"here": w, "on another Service": w.second()} {
			_, release, err := w.assert(again)
			require.ErrorIs(t, err, passwordless.ErrReplayedAssertion, "%s, %s", rule, name)
			require.ErrorIs(t, err, passwordless.ErrInvalidAssertion)
			assert.Nil(t, release)
			assert.Equal(t, []passwordless.EventType{passwordless.EventAssertionReuse}, w.events.types(), rule)
		}
	}
	other := s
	other.client = "keyed-too"
	_, _, err := w.assert(other.assertion(member{"jti": claims["jti"]}))
	require.NoError(t, err, "another client has names of its own")
}

// flipped is a token with the other signature (r, n-s) that ECDSA accepts for it.
func flipped(t *testing.T, token passwordless.Secret) passwordless.Secret {
	dot := strings.LastIndexByte(token.Reveal(), '.')
	signed, signature := token.Reveal()[:dot], token.Reveal()[dot+1:]
	b, err := base64.RawURLEncoding.DecodeString(signature)
	require.NoError(t, err)
	s := new(big.Int).SetBytes(b[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(b[32:])
	return passwordless.Secret(signed + "." + base64url(b))
}

// escaped is an assertion whose jti is spelled in JSON escapes.
func (s signatory) escaped(claims member) passwordless.Secret {
	s.t.Helper()
	var escapes strings.Builder
	for _, r := range claims["jti"].(string) {
		fmt.Fprintf(&escapes, `\u%04x`, r)
	}
	text, err := json.Marshal(claims)
	require.NoError(s.t, err)
	text = []byte(strings.ReplaceAll(string(text), claims["jti"].(string), escapes.String()))
	signed := base64url([]byte(`{"alg":"ES256"}`)) + "." + base64url(text)
	signature, err := s.method.Sign(signed, s.key)
	require.NoError(s.t, err)
	return passwordless.Secret(signed + "." + base64url(signature))
}

func TestOfConcurrentPresentationsOneWins(t *testing.T) { // CA-1, TK-8
	w, s := newSignatory(t)
	a := s.assertion()
	services := []*world{w, w.second()}
	var won, replayed atomic.Int32
	var wait sync.WaitGroup
	for i := range 64 {
		wait.Go(func() {
			_, _, err := services[i%2].assert(a)
			if err == nil {
				won.Add(1)
			} else if assert.ErrorIs(t, err, passwordless.ErrReplayedAssertion) {
				replayed.Add(1)
			}
		})
	}
	wait.Wait()
	assert.Equal(t, []int32{1, 63}, []int32{won.Load(), replayed.Load()})
}

func TestAReleasedAssertionWorksAgain(t *testing.T) { // CA-1: a request that a limit refused comes again as it was
	w, s := newSignatory(t)
	a := s.assertion()
	_, release, err := w.assert(a)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	release(ctx) // although nobody waits any more
	w.accepts(a, "after its release")
	release(t.Context())
	_, _, err = w.assert(a)
	require.ErrorIs(t, err, passwordless.ErrReplayedAssertion, "an earlier release does not end a later claim")
}

func TestAClaimEndsAfterItsAssertion(t *testing.T) { // TK-8, SK-5
	w, s := newSignatory(t)
	a := s.assertion(member{"exp": w.clock.Now().Add(time.Minute).Unix()})
	w.accepts(a, "in time")
	sweep := func() int {
		n, err := w.Sweep(t.Context(), 100)
		require.NoError(t, err)
		return n
	}
	w.clock.advance(70*time.Second - 1)
	assert.Zero(t, sweep(), "it works for a nanosecond yet")
	_, _, err := w.assert(a)
	require.ErrorIs(t, err, passwordless.ErrReplayedAssertion)
	w.clock.advance(1)
	w.refuses(a, "expired")
	w.clock.advance(time.Minute)
	assert.Equal(t, 1, sweep(), "the claim is swept")
	w.refuses(a, "expired all the same")
}

func TestAStoreThatFailsAuthenticatesNobody(t *testing.T) { // VF-12, CA-1
	for name, fault := range map[string]storetest.Fault{
		"unavailable": storetest.Unavailable(), "lost request": storetest.LostRequest(), "hanging": storetest.Hang(), "failing": storetest.Fail(errBroken),
	} {
		var faulty *storetest.Faulty
		w, s := newSignatory(t, func(c *passwordless.Config) {
			c.Timeout = 50 * time.Millisecond
			faulty = storetest.NewFaulty(c.Store)
			c.Store = faulty
		})
		faulty.SpoilAll(storetest.Commit, fault)
		c, release, err := w.assert(s.assertion())
		require.Error(t, err, name)
		require.NotErrorIs(t, err, passwordless.ErrInvalidAssertion, "%s: it is no fault of the client", name)
		assert.True(t, typed(err), "%s: %v", name, err)
		assert.Empty(t, c)
		assert.Nil(t, release)
		assert.Contains(t, w.events.types(), passwordless.EventFailed)
		faulty.Heal()
		w.accepts(s.assertion(), name+": healed")
	}
}

func TestALostAnswerDoesNotSpendTheAssertion(t *testing.T) {
	var faulty *storetest.Faulty
	w, s := newSignatory(t, func(c *passwordless.Config) {
		faulty = storetest.NewFaulty(c.Store)
		c.Store = faulty
	})
	before := faulty.Trips()
	a := s.assertion()
	w.accepts(a, "no failure")
	assert.Equal(t, storetest.Trips{Commits: 1}, faulty.Trips().Sub(before), "one trip")
	faulty.Spoil(storetest.Commit, 1, storetest.LostAnswer())
	a = s.assertion()
	w.accepts(a, "the claim is found to be its own")
	_, _, err := w.assert(a)
	require.ErrorIs(t, err, passwordless.ErrReplayedAssertion)
}

func TestErrorsOfAssertionsRepeatNothing(t *testing.T) { // PR-2
	w, s := newSignatory(t)
	for _, a := range []passwordless.Secret{
		s.sign(s.claims(), member{"kid": "sesame"}), s.sign(s.claims(), member{"alg": "sesame"}), s.sign(s.claims(), member{"typ": "sesame"}),
		s.assertion(member{"iss": "sesame"}), s.assertion(member{"aud": "sesame"}), s.assertion(member{"exp": "sesame"}),
		s.assertion(member{"iss": "sesame", "sub": "sesame"}), "sesame",
	} {
		_, _, err := w.assert(a)
		require.ErrorIs(t, err, passwordless.ErrInvalidAssertion)
		assert.NotContains(t, err.Error(), "sesame")
	}
	a := s.assertion()
	assert.NotContains(t, fmt.Sprintf("%+v", passwordless.AssertionRequest{Assertion: a}), a.Reveal())
}

// Whatever is presented, nothing that the client did not sign is accepted, and nothing panics (OP-3).
func FuzzAssertion(f *testing.F) {
	w, s := newSignatory(f)
	genuine := s.assertion().Reveal()
	f.Add(genuine)
	f.Add(genuine + "\n")
	f.Add("e30.e30.")
	f.Add("...")
	f.Add(`{"payload":"e30","signatures":[]}`)
	f.Fuzz(func(t *testing.T, text string) {
		if text == genuine {
			return
		}
		c, release, err := w.assert(passwordless.Secret(text))
		if err == nil || !errors.Is(err, passwordless.ErrInvalidAssertion) || c.ID != "" || release != nil {
			t.Fatalf("%v", err)
		}
	})
}
