package passwordless_test

import (
	"context"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
)

// A member is a change of one member of a JSON object; nil removes it.
type member = map[string]any

// jwkOf writes a public key on P-256 as a JSON Web Key.
func jwkOf(t testing.TB, key *ecdsa.PrivateKey, changes ...member) member {
	t.Helper()
	point, err := key.PublicKey.Bytes()
	require.NoError(t, err)
	return edited(member{"kty": "EC", "crv": "P-256", "x": base64url(point[1:33]), "y": base64url(point[33:])}, changes...)
}

// edited applies changes to an object.
func edited(object member, changes ...member) member {
	for _, change := range changes {
		maps.Copy(object, change)
	}
	maps.DeleteFunc(object, func(_ string, v any) bool { return v == nil })
	return object
}

// jwks writes a key set.
func jwks(t testing.TB, keys ...member) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{"keys": append([]member{}, keys...)})
	require.NoError(t, err)
	return string(text)
}

var base64url = base64.RawURLEncoding.EncodeToString

func TestAClientsKeySetIsChecked(t *testing.T) { // CA-1, TK-1, TK-3
	w := newWorld(t)
	good := jwks(t, jwkOf(t, ecKey(t)))
	for text, says := range map[string]string{
		good: "", "keys": "Keys.JWKS: not a JSON object", jwks(t): "Keys.JWKS: no keys",
		"": "Keys: want SecretHashes, JWKS or JWKSURL, or a client that is Public",
		jwks(t, jwkOf(t, ecKey(t), member{"d": "AA"})):                   "Keys.JWKS: keys[0]: holds a private key",
		jwks(t, jwkOf(t, ecKey(t)), member{"kty": "oct", "k": "sesame"}): "Keys.JWKS: keys[1]: holds a private key",
	} {
		client := passwordless.Client{ID: "keyed", Keys: assertionKeys(text)}
		fixed, dynamic := w.cfg, w.cfg
		fixed.Clients, dynamic.Clients = passwordless.ClientList{client}, someClient(client)
		_, atFirst := passwordless.New(fixed)
		_, looked := newService(t, dynamic).Trusted(t.Context(), "keyed", home)
		for _, err := range []error{atFirst, looked} {
			if says == "" {
				require.NoError(t, err, text)
				continue
			}
			require.ErrorContains(t, err, says, text)
			assert.NotContains(t, err.Error(), "sesame")
		}
	}
}

func TestAClientsKeySetURLIsChecked(t *testing.T) { // CA-1, LK-5
	for url, ok := range map[string]bool{
		"https://app.example.com/jwks.json":                         true,
		"http://127.0.0.1:8080/jwks":                                true,
		"http://localhost/jwks":                                     true,
		"http://app.example.com/jwks.json":                          false,
		"file:///etc/passwd":                                        false,
		"https://user@app.example.com/":                             false,
		"https://app.example.com/#x":                                false,
		"/jwks.json":                                                false,
		"https://app.example.com/" + strings.Repeat("a", 2048):      false,
		"https://app.example.com/" + strings.Repeat("a", 2048-24):   true,
		"https://app.example.com/" + strings.Repeat("a", 2048-24+1): false,
	} {
		cfg := newWorld(t).cfg
		cfg.Clients = passwordless.ClientList{{ID: "keyed", Keys: passwordless.ClientKeys{JWKSURL: url}}}
		_, err := passwordless.New(cfg)
		if ok {
			require.NoError(t, err, url)
		} else {
			require.ErrorContains(t, err, "Keys.JWKSURL", url)
		}
	}
}

// published is a world whose client "keyed" publishes its keys at a URL, where handler answers. fetched counts.
func published(t *testing.T, handler func(set string) http.HandlerFunc) (w *world, s signatory, fetched *atomic.Int32) {
	fetched = new(atomic.Int32)
	var answer http.HandlerFunc
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetched.Add(1)
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	w, s = newSignatory(t, func(c *passwordless.Config) {
		c.Clients = passwordless.ClientList{{ID: "keyed", Keys: passwordless.ClientKeys{JWKSURL: server.URL + "/jwks"}}}
	})
	answer = handler(jwks(t, jwkOf(t, s.key, member{"kid": "c1"})))
	return w, s, fetched
}

func TestKeysAtAURL(t *testing.T) { // CA-1
	w, s, fetched := published(t, func(set string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, set) }
	})
	unknown := func(changes ...member) passwordless.Secret {
		return s.sign(s.claims(changes...), member{"kid": "unknown"})
	}
	w.refuses(unknown(member{"exp": 1}), "expired")
	w.refuses(unknown(member{"aud": "x"}), "for another audience")
	w.refuses(unknown(member{"iss": "nobody", "sub": "nobody"}), "of nobody")
	assert.Zero(t, fetched.Load(), "whoever cannot be a client does not get that far")
	w.accepts(s.assertion(), "without a kid")
	w.accepts(s.sign(s.claims(), member{"kid": "c1"}), "with one")
	assert.EqualValues(t, 1, fetched.Load())
	w.refuses(unknown(), "unknown kid")
	w.clock.advance(10 * time.Minute)
	w.accepts(s.assertion(), "by the clock of the Service, the keys are old")
	assert.EqualValues(t, 2, fetched.Load())
}

func TestKeysThatCannotBeHad(t *testing.T) { // CA-1: nobody can tell whether the assertion is right
	w, s, _ := published(t, func(string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "sesame", http.StatusBadGateway) }
	})
	by, err := w.assert(s.assertion())
	require.ErrorIs(t, err, passwordless.ErrUnavailable)
	require.NotErrorIs(t, err, passwordless.ErrInvalidAssertion)
	require.EqualError(t, err, "passwordless: fetching client keys: key set not available: status is not 200")
	assert.Zero(t, by)
	assert.Equal(t, []passwordless.EventType{passwordless.EventFailed}, w.events.types())
}

func TestNothingIsClaimedForACallerWhoLeft(t *testing.T) { // CA-1
	ctx, cancel := context.WithCancel(t.Context())
	w, s, fetched := published(t, func(set string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			cancel()
			_, _ = fmt.Fprint(w, set)
		}
	})
	a := s.assertion()
	_, err := w.Authenticate(ctx, passwordless.Credentials{Assertion: a}, home)
	require.ErrorIs(t, err, context.Canceled)
	w.accepts(a, "it is not used up")
	assert.EqualValues(t, 1, fetched.Load(), "the set is there")
}
