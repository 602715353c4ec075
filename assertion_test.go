package passwordless_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
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
	key    *ecdsa.PrivateKey
}

// newSignatory makes a world with a client "keyed", which has an ES256 key "c1".
func newSignatory(t testing.TB, change ...func(*passwordless.Config)) (*world, signatory) {
	key := ecKey(t)
	w := newWorld(t, append([]func(*passwordless.Config){func(c *passwordless.Config) {
		c.Clients = append(c.Clients.(passwordless.ClientList),
			passwordless.Client{ID: "keyed", JWKS: jwks(t, jwkOf(t, key, member{"kid": "c1"}))},
			passwordless.Client{ID: "keyed-too", JWKS: jwks(t, jwkOf(t, key, member{"kid": "c1"}))},
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

func TestAuthenticatingByAssertion(t *testing.T) { // CA-1, TK-5
	w, s := newSignatory(t)
	assert.Equal(t, []string{"ES256", "ES384", "ES512", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"}, passwordless.AssertionAlgorithms())
	w.accepts(s.assertion(), "for the issuer")
	w.accepts(s.assertion(member{"aud": tokenEndpoint}), "for the token endpoint")
	_, _, err := w.AuthenticateAssertion(t.Context(), passwordless.AssertionRequest{Client: "keyed", Assertion: s.assertion()})
	require.NoError(t, err, "named beside it")
	stranger := s
	stranger.key = ecKey(t)
	for rule, a := range map[string]passwordless.Secret{
		"not a compact JWS":        "sesame",
		"algorithm not allowed":    s.sign(s.claims(), member{"alg": "none"}),
		"malformed kid":            s.sign(s.claims(), member{"kid": ""}),
		"jti missing":              s.assertion(member{"jti": nil}),
		"iss is not sub":           s.assertion(member{"iss": "keyed-too"}),
		"for another audience":     s.assertion(member{"aud": "https://other.example.com/"}),
		"expired":                  s.assertion(member{"exp": w.clock.Now().Add(-10 * time.Second).Unix()}),
		"not signed with a key of": stranger.assertion(),
	} {
		w.refuses(a, rule)
		_, _, err := w.assert(a)
		require.ErrorContains(t, err, rule, "the reason is told")
	}
}

func TestWhoCannotAuthenticateByAssertion(t *testing.T) { // CA-1
	w, s := newSignatory(t)
	for rule, client := range map[string]any{
		"nobody's":            "nobody",
		"a public client":     "web",
		"a secret and no key": "secretive",
		"65 characters":       strings.Repeat("k", 65),
		"a number":            1,
		"empty":               "",
		"missing":             nil,
	} {
		w.refuses(s.assertion(member{"iss": client, "sub": client}), rule)
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

func TestAnAssertionWithAKidOfAKeyWithoutOne(t *testing.T) { // CA-1
	w, s := newSignatory(t)
	w.cfg.Clients = passwordless.ClientList{{ID: "keyed", JWKS: jwks(t, jwkOf(t, s.key))}}
	w = w.second()
	w.accepts(s.sign(s.claims(), member{"kid": "any"}), "the only key")
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

func TestErrorsOfAuthenticatingRepeatNothing(t *testing.T) { // PR-2
	w, s := newSignatory(t)
	for _, a := range []passwordless.Secret{s.sign(s.claims(), member{"kid": "sesame"}), s.assertion(member{"iss": "sesame", "sub": "sesame"}), "sesame"} {
		_, _, err := w.assert(a)
		require.ErrorIs(t, err, passwordless.ErrInvalidAssertion)
		assert.NotContains(t, err.Error(), "sesame")
	}
	a := s.assertion()
	assert.NotContains(t, fmt.Sprintf("%+v", passwordless.AssertionRequest{Assertion: a}), a.Reveal())
}
