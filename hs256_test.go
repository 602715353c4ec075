package passwordless_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
)

// An hs256 is a world with HS256 clients only, and no signing key.
type hs256 struct {
	*world
	keys       keyset
	web, other passwordless.Client
}

func hs256World(t testing.TB) hs256 {
	w := hs256{keys: newKeys(), web: hs256Client("web"), other: hs256Client("other")}
	w.world = newWorld(t, w.keys.into, func(c *passwordless.Config) {
		c.SigningKeys = nil
		c.Clients = passwordless.ClientList{w.web, w.other}
	})
	return w
}

// accessKey is the key of a client's HS256 access tokens under a key of the ring, made here apart from the library: a
// change of the derivation would end every such token at the update.
func accessKey(ringKey []byte, tenant, client string) []byte {
	return derived(recordKey(ringKey, sha256.Sum256([]byte("access token"))), "access token", tenant, client)
}

// recordKey is the key of what was made with a seed under a key of the ring.
func recordKey(ringKey []byte, seed [32]byte) []byte {
	return mac(mac(nil, ringKey), append([]byte("\x06record\x20"), seed[:]...))
}

// verifies reports whether a client's library accepts an HS256 token under a key.
func verifies(w *world, token passwordless.Secret, key []byte) bool {
	_, err := jwt.Parse(token.Reveal(), func(*jwt.Token) (any, error) { return key, nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithTimeFunc(w.clock.Now))
	return err == nil
}

func TestHS256IDTokensVerifyUnderTheClientsKeyAlone(t *testing.T) { // TK-1, TK-4
	w := hs256World(t)
	signedIn := w.signIn(alice, openid)
	w.clock.advance(time.Minute)
	refreshed, err := w.refresh("web", signedIn.Tokens.Refresh)
	require.NoError(t, err)
	for when, tokens := range map[string]passwordless.Tokens{"after a login": *signedIn.Tokens, "after a refresh": refreshed} {
		header, claims := parts(t, tokens.ID)
		assert.Equal(t, map[string]any{"alg": "HS256", "typ": "JWT"}, header, when)
		assert.Equal(t, "web", claims["aud"], when)
		assert.Equal(t, signedIn.User.ID, claims["sub"], when)
		assert.InDelta(t, signedIn.At().Unix(), claims["auth_time"], 0, when)
		assert.True(t, verifies(w.world, tokens.ID, w.web.Keys.HS256Key), when)
		for name, key := range map[string][]byte{"another key": passwordless.RandomKey(), "no key": {},
			"another client's": w.other.Keys.HS256Key, "the client's secret": []byte("web-secret"),
			"the ring's": w.keys.ring[0].Secret, "the index key": w.keys.index,
			"that of access tokens": accessKey(w.keys.ring[0].Secret, "", "web")} {
			assert.False(t, verifies(w.world, tokens.ID, key), "%s: %s", when, name)
		}
	}
}

func TestHS256AccessTokensVerifyByTheServiceAlone(t *testing.T) { // TK-1, TK-11
	w := hs256World(t)
	signedIn := w.signIn(alice, openid)
	refreshed, err := w.refresh("web", signedIn.Tokens.Refresh)
	require.NoError(t, err)
	for when, token := range map[string]passwordless.Secret{"after a login": signedIn.Tokens.Access,
		"after a refresh": refreshed.Access} {
		header, _ := parts(t, token)
		assert.Equal(t, map[string]any{"alg": "HS256", "typ": "at+jwt", "kid": "k1"}, header, when)
		access, err := w.second().access(token, "")
		require.NoError(t, err, when)
		assert.Equal(t, "web", access.Client, when)
		assert.Equal(t, signedIn.User.ID, access.Subject, when)
		ring := w.keys.ring[0].Secret
		for name, key := range map[string][]byte{"the key that the client has": w.web.Keys.HS256Key, "the ring's": ring,
			"the index key": w.keys.index, "another client's": accessKey(ring, "", "other"),
			"the ring's, without the record": derived(ring, "access token", "", "web")} {
			assert.False(t, verifies(w.world, token, key), "%s: %s", when, name)
		}
		assert.True(t, verifies(w.world, token, accessKey(ring, "", "web")), "%s: the derivation stays", when)
	}
	_, err = hs256World(t).access(signedIn.Tokens.Access, "")
	require.ErrorIs(t, err, passwordless.ErrInvalidToken, "a Service with other keys")
}

func TestHS256AccessTokensEndWithTheirRingKey(t *testing.T) { // TK-20
	w := hs256World(t)
	before := w.signIn(alice, openid).Tokens.Access
	keys := w.keys.rotated("k2")
	rotated := w.under(keys)
	_, err := rotated.access(before, "")
	require.NoError(t, err, "the key is still in the ring")
	after := rotated.signIn(alice, openid).Tokens.Access
	header, _ := parts(t, after)
	assert.Equal(t, "k2", header["kid"])

	before = w.signIn(alice, openid).Tokens.Access
	rotated = w.under(keys.current())
	_, err = rotated.access(before, "")
	require.ErrorIs(t, err, passwordless.ErrInvalidToken, "the key was removed")
	_, err = rotated.access(rotated.signIn(alice, openid).Tokens.Access, "")
	require.NoError(t, err)
}

func TestHS256AccessTokensAreBoundToTheTenant(t *testing.T) { // TK-1
	web, keys := hs256Client("web"), newKeys()
	web.Tenant = "t1"
	w := newWorld(t, keys.into, func(c *passwordless.Config) {
		c.SigningKeys, c.Tenants, c.Clients = nil, []passwordless.Tenant{{ID: "t1"}, {ID: "t2"}}, passwordless.ClientList{web}
	})
	token := w.signIn(alice, openid).Tokens.Access
	access, err := w.VerifyAccessToken(t.Context(), passwordless.AccessTokenRequest{Token: token, Tenant: "t1"})
	require.NoError(t, err)
	assert.Equal(t, "t1", access.Tenant)
	assert.True(t, verifies(w, token, accessKey(keys.ring[0].Secret, "t1", "web")))
	assert.False(t, verifies(w, token, accessKey(keys.ring[0].Secret, "t2", "web")))
}

func TestHS256BesideSigningKeys(t *testing.T) { // TK-1, TK-20
	w := newWorld(t, func(c *passwordless.Config) {
		c.SigningKeys[0].ID = "k1" // the two kinds of keys do not share their names
		c.Clients = passwordless.ClientList{hs256Client("web"), {ID: "es", Public: true, FirstParty: true}}
	})
	var set struct{ Keys []map[string]string }
	require.NoError(t, json.Unmarshal(w.JWKS(), &set))
	require.Len(t, set.Keys, 1)
	assert.Equal(t, "EC", set.Keys[0]["kty"], "a symmetric key is never published")
	assert.Equal(t, []string{`Client "web": Tokens.Algorithm: HS256, weaker than ES256`}, w.Policy().Deviations)

	symmetric := w.signIn(alice, openid).Tokens.Access
	w.clock.advance(time.Minute)
	started, err := w.Start(t.Context(), w.as("es", home), byMail(alice))
	require.NoError(t, err)
	l, err := w.Verify(t.Context(), w.as("es", home),
		passwordless.VerifyRequest{Handle: started.Handle, Code: w.outbox.last().Code, Issue: openid})
	require.NoError(t, err)
	for alg, token := range map[string]passwordless.Secret{"HS256": symmetric, "ES256": l.Tokens.Access} {
		header, _ := parts(t, token)
		assert.Equal(t, map[string]any{"alg": alg, "typ": "at+jwt", "kid": "k1"}, header)
		_, err := w.access(token, "")
		require.NoError(t, err, alg)
	}
}

func TestNoSymmetricKeyIsPublished(t *testing.T) { // TK-20
	assert.JSONEq(t, `{"keys":[]}`, string(hs256World(t).JWKS()))
}

func TestTokensNeedAKeyForTheClientsAlgorithm(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 3072)
	require.NoError(t, err)
	for name, keys := range map[string][]passwordless.SigningKey{"no keys": nil,
		"keys of another algorithm": {{ID: "r1", Key: rsaKey}}} {
		w := newWorld(t, func(c *passwordless.Config) {
			c.SigningKeys = keys
			c.Clients = append(c.Clients.(passwordless.ClientList), hs256Client("shared"))
		})
		started, code := w.start(alice)
		_, err := w.Verify(t.Context(), w.as("web", home),
			byCode(started.Handle, code, openid))
		require.ErrorAs(t, err, new(*passwordless.InputError), name)
		_, err = w.guess(started.Handle, code)
		require.NoError(t, err, "%s: nothing was used up by the mistake", name)
	}
}

// hs256Mistakes are the wrong ways to configure a client's key, by what the error says.
var hs256Mistakes = map[string]func(*passwordless.Client, keyset){
	"Keys.HS256Key: want at least 32":      func(c *passwordless.Client, _ keyset) { c.Keys.HS256Key = c.Keys.HS256Key[:31] },
	"Keys.HS256Key: want at least":         func(c *passwordless.Client, _ keyset) { c.Keys.HS256Key = nil },
	"Keys.HS256Key: want at least 32 rand": func(c *passwordless.Client, _ keyset) { c.Keys.HS256Key = make([]byte, 64) },
	"a public client cannot keep":          func(c *passwordless.Client, _ keyset) { c.Keys.SecretHashes, c.Public = nil, true },
	"Keys.HS256Key: only Tokens.Algorithm HS256": func(c *passwordless.Client, _ keyset) {
		c.Tokens.Algorithm = passwordless.ES256
	},
	"Keys.HS256Key: only Tokens.Algorithm": func(c *passwordless.Client, _ keyset) { c.Tokens.Algorithm = "" },
	"Keys.HS256Key: also one of the client's": func(c *passwordless.Client, _ keyset) {
		c.Keys.SecretHashes = append(c.Keys.SecretHashes, passwordless.HashClientSecret(string(c.Keys.HS256Key)))
	},
	"Keys.HS256Key: also a key of Config.Hasher": func(c *passwordless.Client, k keyset) { c.Keys.HS256Key = k.ring[0].Secret },
	"HS256Key: also a key of Config.Hasher":      func(c *passwordless.Client, k keyset) { c.Keys.HS256Key = k.index },
}

func TestHS256MistakesAreRefused(t *testing.T) { // OP-1, SK-1
	keys := newKeys()
	w := newWorld(t, keys.into)
	for want, change := range hs256Mistakes {
		client := hs256Client("bad")
		change(&client, keys)
		fixed, dynamic := w.cfg, w.cfg
		fixed.Clients, dynamic.Clients = passwordless.ClientList{client}, someClient(client)
		_, err := passwordless.New(fixed)
		require.ErrorContains(t, err, want, "a fixed client")
		_, err = newService(t, dynamic).Trusted(t.Context(), "bad", home)
		require.ErrorContains(t, err, want, "a client that was looked up")
	}
}

func TestTwoClientsWithOneHS256KeyAreAMistake(t *testing.T) { // OP-1, SK-1: each could write ID tokens for the other
	cfg := newWorld(t).cfg
	first, second, third := hs256Client("first"), hs256Client("second"), hs256Client("third")
	second.Keys.HS256Key = bytes.Clone(first.Keys.HS256Key)
	cfg.Clients = passwordless.ClientList{first, {ID: "none", Public: true}, second, third, {ID: "none-too", Public: true}}
	_, err := passwordless.New(cfg)
	require.ErrorContains(t, err, `Client "second": Keys.HS256Key: also that of another client`)
	for _, other := range []string{"first", "none", "third", "none-too"} {
		assert.NotContains(t, err.Error(), fmt.Sprintf("Client %q", other))
	}
	assert.NotContains(t, err.Error(), "Clients[")
	assert.NotContains(t, err.Error(), string(first.Keys.HS256Key))
}

func TestHS256MistakesComeWithTheOthers(t *testing.T) { // OP-1
	bad := passwordless.Client{ID: "bad", Tokens: passwordless.TokenPolicy{Algorithm: passwordless.HS256}}
	_, err := passwordless.New(passwordless.Config{Hasher: passwordless.NewKeyring(nil),
		Clients: passwordless.ClientList{hs256Client("web"), bad}})
	for _, want := range []string{"Store: required", "keys: at least one", "index key: want", `Client "bad": Keys.HS256Key: want`} {
		require.ErrorContains(t, err, want)
	}
}

// someClient is Clients that New cannot check.
type someClient passwordless.Client

func (c someClient) Client(context.Context, string) (passwordless.Client, error) {
	return passwordless.Client(c), nil
}
