package passwordless_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
)

// hs256Client is a client that shares a key with the service.
func hs256Client(id string) passwordless.Client {
	return passwordless.Client{ID: id, FirstParty: true, SecretHashes: []passwordless.SecretHash{passwordless.HashSecret(id + "-secret")},
		Algorithm: passwordless.HS256, HS256Key: passwordless.RandomKey()}
}

// hs256World has HS256 clients only, and no signing key.
func hs256World(t testing.TB) (*world, passwordless.Client) {
	web := hs256Client("web")
	return newWorld(t, func(c *passwordless.Config) {
		c.SigningKeys = nil
		c.Clients = passwordless.ClientList{web, hs256Client("other")}
	}), web
}

// derived is the key of a client's HS256 access tokens, made here apart from the library: a change of the
// derivation would end every such token at the update.
func derived(secret []byte, label string, fields ...string) []byte {
	mac := hmac.New(sha256.New, secret)
	for _, f := range append([]string{label}, fields...) {
		mac.Write(binary.AppendUvarint(nil, uint64(len(f))))
		mac.Write([]byte(f))
	}
	return mac.Sum(nil)
}

// verifies reports whether a client's library accepts an HS256 token under a key.
func verifies(w *world, token passwordless.Secret, key []byte) bool {
	_, err := jwt.Parse(token.Reveal(), func(*jwt.Token) (any, error) { return key, nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithTimeFunc(w.clock.Now))
	return err == nil
}

var openid = passwordless.Grant{Tokens: &passwordless.TokenRequest{Scopes: []string{"openid", "offline_access"}, Nonce: "n-1"}}

func TestHS256IDTokensVerifyUnderTheClientsKeyAlone(t *testing.T) { // TK-1, TK-4
	w, web := hs256World(t)
	other, err := w.Client(t.Context(), "other")
	require.NoError(t, err)
	signedIn := w.signIn(alice, openid)
	w.clock.advance(time.Minute)
	refreshed, err := w.Refresh(t.Context(), passwordless.RefreshRequest{Client: "web", Token: signedIn.Tokens.Refresh})
	require.NoError(t, err)
	for when, tokens := range map[string]passwordless.Tokens{"after a login": *signedIn.Tokens, "after a refresh": refreshed} {
		header, claims := parts(t, tokens.ID)
		assert.Equal(t, map[string]any{"alg": "HS256", "typ": "JWT"}, header, when)
		assert.Equal(t, "web", claims["aud"], when)
		assert.Equal(t, signedIn.User.ID, claims["sub"], when)
		assert.InDelta(t, signedIn.At.Unix(), claims["auth_time"], 0, when)
		assert.True(t, verifies(w, tokens.ID, web.HS256Key), when)
		for name, key := range map[string][]byte{"another key": passwordless.RandomKey(), "no key": {}, "another client's": other.HS256Key,
			"the client's secret": []byte("web-secret"), "the ring's": w.cfg.Keys[0].Secret, "the index key": w.cfg.IndexKey,
			"that of access tokens": derived(w.cfg.Keys[0].Secret, "access token", "", "web")} {
			assert.False(t, verifies(w, tokens.ID, key), "%s: %s", when, name)
		}
	}
}

func TestHS256AccessTokensVerifyByTheServiceAlone(t *testing.T) { // TK-1, TK-11
	w, web := hs256World(t)
	signedIn := w.signIn(alice, openid)
	refreshed, err := w.Refresh(t.Context(), passwordless.RefreshRequest{Client: "web", Token: signedIn.Tokens.Refresh})
	require.NoError(t, err)
	for when, token := range map[string]passwordless.Secret{"after a login": signedIn.Tokens.Access, "after a refresh": refreshed.Access} {
		header, _ := parts(t, token)
		assert.Equal(t, map[string]any{"alg": "HS256", "typ": "at+jwt", "kid": "k1"}, header, when)
		access, err := w.second().VerifyAccessToken(token, "")
		require.NoError(t, err, when)
		assert.Equal(t, "web", access.Client, when)
		assert.Equal(t, signedIn.User.ID, access.Subject, when)
		for name, key := range map[string][]byte{"the key that the client has": web.HS256Key, "the ring's": w.cfg.Keys[0].Secret,
			"the index key": w.cfg.IndexKey, "another client's": derived(w.cfg.Keys[0].Secret, "access token", "", "other")} {
			assert.False(t, verifies(w, token, key), "%s: %s", when, name)
		}
		assert.True(t, verifies(w, token, derived(w.cfg.Keys[0].Secret, "access token", "", "web")), "%s: the derivation stays", when)
	}
	stranger, _ := hs256World(t)
	_, err = stranger.VerifyAccessToken(signedIn.Tokens.Access, "")
	require.ErrorIs(t, err, passwordless.ErrInvalidToken, "a Service with other keys")
}

func TestHS256AccessTokensEndWithTheirRingKey(t *testing.T) { // TK-20
	w, _ := hs256World(t)
	before := w.signIn(alice, openid).Tokens.Access
	rotated := w.second()
	rotated.cfg.Keys = append([]passwordless.RingKey{{ID: "k2", Secret: passwordless.RandomKey()}}, w.cfg.Keys...)
	rotated.Service = newService(t, rotated.cfg)
	_, err := rotated.VerifyAccessToken(before, "")
	require.NoError(t, err, "the key is still in the ring")
	after := rotated.signIn(alice, openid).Tokens.Access
	header, _ := parts(t, after)
	assert.Equal(t, "k2", header["kid"])

	before = w.signIn(alice, openid).Tokens.Access
	rotated.cfg.Keys = rotated.cfg.Keys[:1]
	rotated.Service = newService(t, rotated.cfg)
	_, err = rotated.VerifyAccessToken(before, "")
	require.ErrorIs(t, err, passwordless.ErrInvalidToken, "the key was removed")
	_, err = rotated.VerifyAccessToken(rotated.signIn(alice, openid).Tokens.Access, "")
	require.NoError(t, err)
}

func TestHS256AccessTokensAreBoundToTheTenant(t *testing.T) { // TK-1
	web := hs256Client("web")
	web.Tenant = "t1"
	w := newWorld(t, func(c *passwordless.Config) {
		c.SigningKeys, c.Tenants, c.Clients = nil, []passwordless.Tenant{{ID: "t1"}, {ID: "t2"}}, passwordless.ClientList{web}
	})
	token := w.signIn(alice, openid).Tokens.Access
	access, err := w.VerifyAccessToken(token, "")
	require.NoError(t, err)
	assert.Equal(t, "t1", access.Tenant)
	assert.True(t, verifies(w, token, derived(w.cfg.Keys[0].Secret, "access token", "t1", "web")))
	assert.False(t, verifies(w, token, derived(w.cfg.Keys[0].Secret, "access token", "t2", "web")))
}

func TestHS256BesideSigningKeys(t *testing.T) { // TK-1, TK-20
	w := newWorld(t, func(c *passwordless.Config) {
		c.SigningKeys[0].ID = c.Keys[0].ID // the two kinds of keys do not share their names
		c.Clients = passwordless.ClientList{hs256Client("web"), {ID: "es", Public: true, FirstParty: true}}
	})
	var set struct{ Keys []map[string]string }
	require.NoError(t, json.Unmarshal(w.JWKS(), &set))
	require.Len(t, set.Keys, 1)
	assert.Equal(t, "EC", set.Keys[0]["kty"], "a symmetric key is never published")
	assert.Equal(t, []string{`client "web": HS256`}, w.Policy().Deviations)

	symmetric := w.signIn(alice, openid).Tokens.Access
	w.clock.advance(time.Minute)
	started, err := w.Start(t.Context(), passwordless.StartRequest{Client: "es", Channel: passwordless.Email, Address: alice, Caller: home})
	require.NoError(t, err)
	l, err := w.Verify(t.Context(), passwordless.VerifyRequest{Client: "es", Handle: started.Handle, Code: w.outbox.last().Code, Caller: home, Grant: openid})
	require.NoError(t, err)
	for alg, token := range map[string]passwordless.Secret{"HS256": symmetric, "ES256": l.Tokens.Access} {
		header, _ := parts(t, token)
		assert.Equal(t, map[string]any{"alg": alg, "typ": "at+jwt", "kid": "k1"}, header)
		_, err := w.VerifyAccessToken(token, "")
		require.NoError(t, err, alg)
	}
}

func TestNoSymmetricKeyIsPublished(t *testing.T) { // TK-20
	w, _ := hs256World(t)
	assert.JSONEq(t, `{"keys":[]}`, string(w.JWKS()))
}

func TestTokensNeedAKeyForTheClientsAlgorithm(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 3072)
	require.NoError(t, err)
	for name, keys := range map[string][]passwordless.SigningKey{"no keys": nil, "keys of another algorithm": {{ID: "r1", Key: rsaKey}}} {
		w := newWorld(t, func(c *passwordless.Config) {
			c.SigningKeys = keys
			c.Clients = append(c.Clients.(passwordless.ClientList), hs256Client("shared"))
		})
		started, code := w.start(alice)
		_, err := w.Verify(t.Context(), passwordless.VerifyRequest{Client: "web", Handle: started.Handle, Code: passwordless.Secret(code), Caller: home, Grant: openid})
		require.ErrorAs(t, err, new(*passwordless.InputError), name)
		_, err = w.guess(started.Handle, code)
		require.NoError(t, err, "%s: nothing was used up by the mistake", name)
	}
}

// hs256Mistakes are the wrong ways to configure a client's key, by what the error says.
var hs256Mistakes = map[string]func(*passwordless.Client, passwordless.Config){
	"HS256Key: want at least 32":      func(c *passwordless.Client, _ passwordless.Config) { c.HS256Key = c.HS256Key[:31] },
	"HS256Key: want at least":         func(c *passwordless.Client, _ passwordless.Config) { c.HS256Key = nil },
	"HS256Key: want at least 32 rand": func(c *passwordless.Client, _ passwordless.Config) { c.HS256Key = make([]byte, 64) },
	"a public client cannot keep":     func(c *passwordless.Client, _ passwordless.Config) { c.SecretHashes, c.Public = nil, true },
	"HS256Key: only Algorithm HS256":  func(c *passwordless.Client, _ passwordless.Config) { c.Algorithm = passwordless.ES256 },
	"HS256Key: only Algorithm":        func(c *passwordless.Client, _ passwordless.Config) { c.Algorithm = "" },
	"HS256Key: also one of the client's": func(c *passwordless.Client, _ passwordless.Config) {
		c.SecretHashes = append(c.SecretHashes, passwordless.HashSecret(string(c.HS256Key)))
	},
	"HS256Key: also one of Config.Keys":       func(c *passwordless.Client, cfg passwordless.Config) { c.HS256Key = cfg.Keys[0].Secret },
	"HS256Key: also one of Config.Keys or Co": func(c *passwordless.Client, cfg passwordless.Config) { c.HS256Key = cfg.IndexKey },
}

func TestHS256MistakesAreRefused(t *testing.T) { // OP-1, SK-1
	w := newWorld(t)
	for want, change := range hs256Mistakes {
		client := hs256Client("bad")
		change(&client, w.cfg)
		fixed, dynamic := w.cfg, w.cfg
		fixed.Clients, dynamic.Clients = passwordless.ClientList{client}, someClient(client)
		_, err := passwordless.New(fixed)
		require.ErrorContains(t, err, want, "a fixed client")
		_, err = newService(t, dynamic).Client(t.Context(), "bad")
		require.ErrorContains(t, err, want, "a client that was looked up")
	}
}

func TestTwoClientsWithOneHS256KeyAreAMistake(t *testing.T) { // OP-1, SK-1: each could write ID tokens for the other
	cfg := newWorld(t).cfg
	first, second, third := hs256Client("first"), hs256Client("second"), hs256Client("third")
	second.HS256Key = bytes.Clone(first.HS256Key)
	cfg.Clients = passwordless.ClientList{first, {ID: "none", Public: true}, second, third, {ID: "none too", Public: true}}
	_, err := passwordless.New(cfg)
	require.ErrorContains(t, err, "Clients[2]: HS256Key: also that of another client")
	for _, i := range []int{0, 1, 3, 4} {
		assert.NotContains(t, err.Error(), fmt.Sprintf("Clients[%d]", i))
	}
	assert.NotContains(t, err.Error(), string(first.HS256Key))
}

func TestHS256MistakesComeWithTheOthers(t *testing.T) { // OP-1
	_, err := passwordless.New(passwordless.Config{Clients: passwordless.ClientList{hs256Client("web"), {ID: "bad", Algorithm: passwordless.HS256}}})
	for _, want := range []string{"Store: required", "Keys: at least one", "IndexKey: want", `Client "bad": HS256Key: want`} {
		require.ErrorContains(t, err, want)
	}
}

// someClient is Clients that New cannot check.
type someClient passwordless.Client

func (c someClient) Client(context.Context, string) (passwordless.Client, error) {
	return passwordless.Client(c), nil
}
