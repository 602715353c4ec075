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
	"testing/synctest"
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
			passwordless.Client{ID: "keyed", Keys: assertionKeys(jwks(t, jwkOf(t, key, member{"kid": "c1"})))},
			passwordless.Client{ID: "keyed-too", Keys: assertionKeys(jwks(t, jwkOf(t, key, member{"kid": "c1"})))},
			passwordless.Client{ID: "secretive", Keys: secretKeys("s")})
	}}, change...)...)
	return w, signatory{t: t, clock: w.clock, client: "keyed", method: jwt.SigningMethodES256, key: key}
}

// assertionKeys are those of a client that proves itself with assertions.
func assertionKeys(set string) passwordless.ClientKeys { return passwordless.ClientKeys{JWKS: set} }

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
func (w *world) assert(a passwordless.Secret) (passwordless.Requester, error) {
	return w.presents(passwordless.Credentials{Assertion: a, Audiences: []string{tokenEndpoint}})
}

// presents authenticates a client from home.
func (w *world) presents(c passwordless.Credentials) (passwordless.Requester, error) {
	return w.Authenticate(context.Background(), c, home)
}

// replayed is what the error of a replay says.
const replayed = "presented before"

// replays presents an assertion that was presented before.
func (w *world) replays(a passwordless.Secret, rule string) {
	w.t.Helper()
	by, err := w.assert(a)
	require.ErrorIs(w.t, err, passwordless.ErrInvalidAssertion, rule)
	require.ErrorContains(w.t, err, replayed, rule)
	assert.Zero(w.t, by, rule)
}

// accepts and refuses present an assertion that should be or should not be accepted.
func (w *world) accepts(a passwordless.Secret, rule string) {
	w.t.Helper()
	by, err := w.assert(a)
	require.NoError(w.t, err, rule)
	assert.Equal(w.t, "keyed", by.Client().ID, rule)
}

func (w *world) refuses(a passwordless.Secret, rule string) {
	w.t.Helper()
	by, err := w.assert(a)
	require.ErrorIs(w.t, err, passwordless.ErrInvalidAssertion, rule)
	require.NotContains(w.t, err.Error(), replayed, rule)
	assert.Zero(w.t, by, rule)
}

func TestAuthenticatingByAssertion(t *testing.T) { // CA-1, TK-5
	w, s := newSignatory(t)
	assert.Equal(t, []string{"ES256", "ES384", "ES512", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"},
		passwordless.AssertionAlgorithms())
	w.accepts(s.assertion(), "for the issuer")
	w.accepts(s.assertion(member{"aud": tokenEndpoint}), "for the token endpoint")
	_, err := w.presents(passwordless.Credentials{ClientID: "keyed", Assertion: s.assertion()})
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
		_, err := w.assert(a)
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
	_, err := w.assert(s.assertion(member{"iss": "nobody", "sub": "nobody"}))
	require.ErrorIs(t, err, passwordless.ErrUnknownClient)
	_, err = w.presents(passwordless.Credentials{ClientID: "keyed-too", Assertion: s.assertion()})
	require.ErrorIs(t, err, passwordless.ErrInvalidAssertion, "the assertion is of another client than the client_id")
	_, err = w.presents(passwordless.Credentials{Assertion: s.assertion(member{"aud": tokenEndpoint})})
	require.ErrorIs(t, err, passwordless.ErrInvalidAssertion, "an audience that the caller did not name")
	_, err = w.presents(passwordless.Credentials{Assertion: s.assertion(member{"aud": ""}), Audiences: []string{""}})
	require.ErrorIs(t, err, passwordless.ErrInvalidAssertion, "an empty audience is nobody's")
}

func TestAnAssertionWithAKidOfAKeyWithoutOne(t *testing.T) { // CA-1
	w, s := newSignatory(t)
	w.cfg.Clients = passwordless.ClientList{{ID: "keyed", Keys: assertionKeys(jwks(t, jwkOf(t, s.key)))}}
	w = w.second()
	w.accepts(s.sign(s.claims(), member{"kid": "any"}), "the only key")
}

func TestOurTokensAreNoAssertions(t *testing.T) { // TK-4, CA-5
	w, s := newSignatory(t)
	tokens := w.signIn(alice, passwordless.Issue{Tokens: &passwordless.TokenRequest{Scopes: []string{"openid"}, Audience: ourIssuer,
		Subject: func(passwordless.Login) string { return "keyed" }}}).Tokens
	w.refuses(tokens.Access, "an access token")
	w.refuses(tokens.ID, "an ID token")
	// Nor if the client signed one with the same key.
	w.refuses(s.sign(s.claims(), member{"typ": "at+jwt"}), "an access token by the client's key")
	_, err := w.access(s.assertion(), ourIssuer)
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
			w.replays(again, rule+", "+name)
			assert.Equal(t, []passwordless.EventType{passwordless.EventAssertionReuse}, w.events.types(), rule)
		}
	}
	other := s
	other.client = "keyed-too"
	_, err := w.assert(other.assertion(member{"jti": claims["jti"]}))
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
	var won, again atomic.Int32
	var wait sync.WaitGroup
	for i := range 64 {
		wait.Go(func() {
			_, err := services[i%2].assert(a)
			if err == nil {
				won.Add(1)
			} else if assert.ErrorIs(t, err, passwordless.ErrInvalidAssertion) && assert.ErrorContains(t, err, replayed) {
				again.Add(1)
			}
		})
	}
	wait.Wait()
	assert.Equal(t, []int32{1, 63}, []int32{won.Load(), again.Load()})
}

// limited is a world with a signatory whose client may not start a sign-in, and the store behind it.
func limited(t *testing.T) (*world, signatory, *storetest.Faulty) {
	var faulty *storetest.Faulty
	w, s := newSignatory(t, func(c *passwordless.Config) {
		faulty = storetest.NewFaulty(c.Store)
		c.Store = faulty
		c.Policy.Limits.Starts = []passwordless.Limit{{Count: 1, Per: time.Hour}}
	})
	_, err := w.Start(t.Context(), w.as("keyed", home), byMail("first@example.com"))
	require.NoError(t, err)
	return w, s, faulty
}

func TestAReleasedAssertionWorksAgain(t *testing.T) { // CA-1: a request that a limit refused comes again as it was
	w, s, faulty := limited(t)
	refused := func(ctx context.Context, by passwordless.Requester) {
		t.Helper()
		_, err := w.Start(ctx, by, byMail(alice))
		require.ErrorAs(t, err, new(*passwordless.LimitedError))
	}
	a := s.assertion()
	first, err := w.assert(a)
	require.NoError(t, err)
	w.replays(a, "before the limit refused it")
	ctx, cancel := context.WithCancel(t.Context())
	faulty.Spoil(storetest.Commit, 1, func(_ context.Context, call func() error) error {
		defer cancel()
		return call()
	})
	refused(ctx, first) // although nobody waits any more
	require.ErrorIs(t, ctx.Err(), context.Canceled)
	w.accepts(a, "after its release")
	refused(t.Context(), first)
	w.replays(a, "an earlier release does not end a later claim")
}

func TestAnAssertionOfARequestThatWasDoneStaysUsed(t *testing.T) { // CA-1: whatever ends it but a limit
	w, s := newSignatory(t)
	a := s.assertion()
	by, err := w.assert(a)
	require.NoError(t, err)
	_, err = w.Start(t.Context(), by, byMail(alice))
	require.NoError(t, err)
	w.replays(a, "a sign-in that began")
	b := s.assertion()
	by, err = w.assert(b)
	require.NoError(t, err)
	_, err = w.Start(t.Context(), by, byMail("nobody"))
	require.ErrorAs(t, err, new(*passwordless.InputError))
	_, err = w.Exchange(t.Context(), by, passwordless.ExchangeRequest{Code: "sesame"})
	require.ErrorIs(t, err, passwordless.ErrInvalidToken)
	w.replays(b, "a request that was wrong")
}

func TestALimitOfSomebodyElsesGivesNoAssertionBack(t *testing.T) { // CA-1: something was done by then
	users := newTable()
	w, s := newSignatory(t, func(c *passwordless.Config) { c.Users = users })
	a := s.assertion()
	by, err := w.assert(a)
	require.NoError(t, err)
	w.outbox.fail = &passwordless.LimitedError{Limit: "the transport's"}
	_, err = w.Start(t.Context(), by, byMail("bob@example.com"))
	require.ErrorAs(t, err, new(*passwordless.DeliveryError))
	w.replays(a, "the challenge is there")

	w.outbox.fail, users.refuse = nil, &passwordless.LimitedError{Limit: "the directory's"}
	started, err := w.Start(t.Context(), w.as("keyed", home), byMail("carol@example.com"))
	require.NoError(t, err)
	code := w.outbox.last().Code.Reveal()
	b := s.assertion()
	by, err = w.assert(b)
	require.NoError(t, err)
	_, err = w.Verify(t.Context(), by, byCode(started.Handle, code, session))
	require.ErrorIs(t, err, users.refuse)
	w.replays(b, "the code is used up")
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
	w.replays(a, "it is remembered")
	w.clock.advance(1)
	w.refuses(a, "expired")
	w.clock.advance(time.Minute + time.Hour)
	assert.Equal(t, 1, sweep(), "the claim is swept")
	w.refuses(a, "expired all the same")
}

func TestAStoreThatFailsAuthenticatesNobody(t *testing.T) { // VF-12, CA-1
	synctest.Test(t, func(t *testing.T) {
		for name, fault := range map[string]storetest.Fault{
			"unavailable": storetest.Unavailable(), "lost request": storetest.LostRequest(),
			"hanging": storetest.Hang(), "failing": storetest.Fail(errBroken),
		} {
			var faulty *storetest.Faulty
			w, s := newSignatory(t, func(c *passwordless.Config) {
				faulty = storetest.NewFaulty(c.Store)
				c.Store = faulty
			})
			faulty.SpoilAll(storetest.Commit, fault)
			by, err := w.assert(s.assertion())
			require.Error(t, err, name)
			require.NotErrorIs(t, err, passwordless.ErrInvalidAssertion, "%s: it is no fault of the client", name)
			assert.True(t, typed(err), "%s: %v", name, err)
			assert.Zero(t, by)
			assert.Contains(t, w.events.types(), passwordless.EventFailed)
			faulty.Heal()
			w.accepts(s.assertion(), name+": healed")
		}
	})
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
	w.replays(a, "it was used all the same")
}

func TestErrorsOfAuthenticatingRepeatNothing(t *testing.T) { // PR-2
	w, s := newSignatory(t)
	for _, a := range []passwordless.Secret{s.sign(s.claims(), member{"kid": "sesame"}),
		s.assertion(member{"iss": "sesame", "sub": "sesame"}), "sesame"} {
		_, err := w.assert(a)
		require.ErrorIs(t, err, passwordless.ErrInvalidAssertion)
		assert.NotContains(t, err.Error(), "sesame")
	}
	a := s.assertion()
	assert.NotContains(t, fmt.Sprintf("%+v", passwordless.Credentials{Assertion: a}), a.Reveal())
}
