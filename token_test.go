package passwordless_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
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

	"github.com/seed62b93bad/passwordless"
)

func TestTokensSayWhatWasProved(t *testing.T) { // TK-4, TK-11, TK-16, TK-17, SS-3
	w := newWorld(t)
	l := w.signIn(alice, passwordless.Issue{Tokens: &passwordless.TokenRequest{Scopes: []string{"openid", "email"},
		Audience: "https://api.example.com", Nonce: "n-1",
		Subject: func(l passwordless.Login) string { return "email|" + l.User.ID },
		Claims: func(passwordless.Login, []string) map[string]any {
			return map[string]any{"nickname": "al", "sub": "forged", "nonce": "forged"}
		}}})
	assert.Empty(t, l.Tokens.Refresh)
	assert.Equal(t, 10*time.Minute, l.Tokens.ExpiresIn)

	header, claims := parts(t, l.Tokens.ID)
	assert.Equal(t, map[string]any{"alg": "ES256", "kid": "s1", "typ": "JWT"}, header)
	at := float64(l.At().Unix())
	assert.Equal(t, map[string]any{"iss": "https://login.example.com/", "sub": "email|" + l.User.ID, "aud": "web", "iat": at,
		"exp": at + 600, "auth_time": at, "nonce": "n-1", "email": alice, "email_verified": true, "nickname": "al",
		"amr": []any{"email", "otp"}}, claims)

	header, claims = parts(t, l.Tokens.Access)
	assert.Equal(t, "at+jwt", header["typ"])
	assert.Equal(t, "https://api.example.com", claims["aud"])
	assert.NotContains(t, claims, "email")
	assert.False(t, l.Restricted())

	access, err := w.access(l.Tokens.Access, "https://api.example.com")
	require.NoError(t, err)
	assert.Equal(t, []string{"openid", "email"}, access.Scopes)
	for name, token := range map[string]passwordless.Secret{"for another audience": l.Tokens.Access, "an ID token": l.Tokens.ID} {
		_, err = w.access(token, "web")
		require.ErrorIs(t, err, passwordless.ErrInvalidToken, name)
	}
}

func TestOnlyOurOwnTokensPass(t *testing.T) { // TK-1, TK-2, TK-3, TK-5, TK-6, CVE-2018-0114
	w := newWorld(t)
	key := w.cfg.SigningKeys[0].Key.(*ecdsa.PrivateKey)
	stranger := ecKey(t)
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	now := w.clock.Now()
	claims := func(change map[string]any) jwt.MapClaims {
		c := jwt.MapClaims{"iss": "https://login.example.com/", "sub": "u", "aud": "https://login.example.com/",
			"iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
		for k, v := range change {
			if v == nil {
				delete(c, k)
			} else {
				c[k] = v
			}
		}
		return c
	}
	forge := func(method jwt.SigningMethod, key any, header map[string]any, change map[string]any) string {
		token := jwt.NewWithClaims(method, claims(change))
		token.Header["typ"], token.Header["kid"] = "at+jwt", "s1"
		maps.Copy(token.Header, header)
		signed, err := token.SignedString(key)
		require.NoError(t, err)
		return signed
	}
	good := forge(jwt.SigningMethodES256, key, nil, nil)
	_, err = w.access(passwordless.Secret(good), "")
	require.NoError(t, err)
	head, rest, _ := strings.Cut(good, ".")
	for name, token := range map[string]string{
		"HS256 with the public key": forge(jwt.SigningMethodHS256, public, nil, nil),
		"none":                      forge(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil, nil),
		"nOnE":                      forge(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, object{"alg": "nOnE"}, nil),
		"another key":               forge(jwt.SigningMethodES256, stranger, nil, nil),
		"embedded key":              forge(jwt.SigningMethodES256, stranger, map[string]any{"jwk": "…", "kid": "x"}, nil),
		"kid path":                  forge(jwt.SigningMethodES256, key, map[string]any{"kid": "../../s1"}, nil),
		"kid missing":               forge(jwt.SigningMethodES256, key, map[string]any{"kid": 1}, nil),
		"critical extension":        forge(jwt.SigningMethodES256, key, map[string]any{"crit": []string{"x"}}, nil),
		"another typ":               forge(jwt.SigningMethodES256, key, map[string]any{"typ": "JWT"}, nil),
		"another issuer":            forge(jwt.SigningMethodES256, key, nil, map[string]any{"iss": "https://login.example.com"}),
		"another audience":          forge(jwt.SigningMethodES256, key, nil, map[string]any{"aud": []string{"x"}}),
		"over":                      forge(jwt.SigningMethodES256, key, nil, map[string]any{"exp": now.Add(-2 * time.Minute).Unix()}),
		"without an end":            forge(jwt.SigningMethodES256, key, nil, map[string]any{"exp": nil}),
		"not yet":                   forge(jwt.SigningMethodES256, key, nil, map[string]any{"nbf": now.Add(2 * time.Minute).Unix()}),
		"from the future":           forge(jwt.SigningMethodES256, key, nil, map[string]any{"iat": now.Add(2 * time.Minute).Unix()}),
		"nobody":                    forge(jwt.SigningMethodES256, key, nil, map[string]any{"sub": ""}),
		"a million dots":            strings.Repeat(".", 1_000_000),
		"too long":                  head + "." + strings.Repeat("A", 20_000) + ".A",
		"JSON serialisation":        fmt.Sprintf(`{"payload":%q}`, rest),
		"four parts":                good + ".x",
		"a changed signature":       good[:len(good)-4] + "AAAA",
		"padded":                    good + "=",
		"empty":                     "",
	} {
		_, err := w.access(passwordless.Secret(token), "")
		require.ErrorIs(t, err, passwordless.ErrInvalidToken, name)
	}
}

func TestTheKeySetIsPublicAndRotates(t *testing.T) { // TK-20
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 3072)
	require.NoError(t, err)
	w := newWorld(t, func(c *passwordless.Config) {
		c.SigningKeys = append(c.SigningKeys, passwordless.SigningKey{ID: "r1", Key: rsaKey},
			passwordless.SigningKey{ID: "e1", Key: edwards})
		c.Clients = passwordless.ClientList{
			{ID: "web", Public: true, Tokens: passwordless.TokenPolicy{Algorithm: passwordless.RS256}},
			{ID: "ed", Public: true, Tokens: passwordless.TokenPolicy{Algorithm: passwordless.EdDSA}},
		}
	})
	assert.Equal(t, []string{`Client "web": Tokens.Algorithm: RS256, weaker than ES256`}, w.Policy().Deviations)
	var set struct{ Keys []map[string]any }
	require.NoError(t, json.Unmarshal(w.JWKS(), &set))
	require.Len(t, set.Keys, 3)
	for _, key := range set.Keys {
		for field := range key {
			assert.Contains(t, []string{"kid", "use", "alg", "kty", "crv", "x", "y", "n", "e", "x5c"}, field)
		}
		if key["kid"] != "r1" {
			assert.NotContains(t, key, "x5c")
		}
	}
	assert.Equal(t, string(w.JWKS()), string(w.second().JWKS()), "it is the same each time")
	before := w.signIn(alice, offline)
	header, _ := parts(t, before.Tokens.ID)
	assert.Equal(t, "RS256", header["alg"])

	newer, err := rsa.GenerateKey(rand.Reader, 3072)
	require.NoError(t, err)
	rotated := w.second()
	rotated.cfg.SigningKeys = append([]passwordless.SigningKey{{ID: "r2", Key: newer}}, w.cfg.SigningKeys...)
	rotated.Service = newService(t, rotated.cfg)
	_, err = rotated.access(before.Tokens.Access, "")
	require.NoError(t, err, "an old key verifies while it is published")
	after := rotated.signIn(alice, offline)
	header, _ = parts(t, after.Tokens.ID)
	assert.Equal(t, "r2", header["kid"])
	_, err = w.access(after.Tokens.Access, "")
	require.ErrorIs(t, err, passwordless.ErrInvalidToken)
}

func TestTokensNeedKeys(t *testing.T) {
	w := newWorld(t, func(c *passwordless.Config) { c.SigningKeys = nil })
	started, code := w.start(alice)
	_, err := w.Verify(t.Context(), w.as("web", home),
		byCode(started.Handle, code, offline))
	require.ErrorAs(t, err, new(*passwordless.InputError))
	_, err = w.guess(started.Handle, code)
	require.NoError(t, err, "nothing was used up by the mistake")
}

func TestAnAccessTokenIsForItsTenantAlone(t *testing.T) { // TK-11, CA-4
	rsaKey, err := rsa.GenerateKey(rand.Reader, 3072)
	require.NoError(t, err)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	algorithms := []passwordless.Algorithm{passwordless.ES256, passwordless.RS256, passwordless.EdDSA, passwordless.HS256}
	w := newWorld(t, func(c *passwordless.Config) {
		c.SigningKeys = append(c.SigningKeys, passwordless.SigningKey{ID: "r1", Key: rsaKey},
			passwordless.SigningKey{ID: "e1", Key: edwards})
		c.Tenants = []passwordless.Tenant{{ID: "a"}, {ID: "b"}}
		var all passwordless.ClientList
		for _, alg := range algorithms {
			for _, tenant := range []string{"a", "b"} {
				client := passwordless.Client{ID: tenant + string(alg), Tenant: tenant, Public: true,
					Tokens: passwordless.TokenPolicy{Algorithm: alg}}
				if alg == passwordless.HS256 {
					client = hs256Client(client.ID)
					client.Tenant = tenant
				}
				all = append(all, client)
			}
		}
		c.Clients = all
	})
	for _, alg := range algorithms {
		for _, tenant := range []string{"a", "b"} {
			w.clock.advance(time.Hour)
			by := w.as(tenant+string(alg), home)
			started, err := w.Start(t.Context(), by, byMail(alice))
			require.NoError(t, err)
			l, err := w.Verify(t.Context(), by, passwordless.VerifyRequest{Handle: started.Handle, Code: w.outbox.last().Code,
				Issue: offline})
			require.NoError(t, err)
			refreshed, err := w.refresh(tenant+string(alg), l.Tokens.Refresh)
			require.NoError(t, err)
			for when, token := range map[string]passwordless.Secret{"after a login": l.Tokens.Access,
				"after a refresh": refreshed.Access} {
				header, claims := parts(t, token)
				require.Equal(t, string(alg), header["alg"])
				require.Equal(t, tenant, claims["tenant"])
				for _, asked := range []string{"a", "b", "", "A", "c", "a "} {
					access, err := w.VerifyAccessToken(t.Context(), passwordless.AccessTokenRequest{Token: token, Tenant: asked})
					if asked == tenant {
						require.NoError(t, err, "%s %s", alg, when)
						assert.Equal(t, tenant, access.Tenant)
						continue
					}
					require.ErrorIs(t, err, passwordless.ErrInvalidToken, "%s of %q %s, for %q", alg, tenant, when, asked)
					assert.Zero(t, access)
				}
			}
		}
	}
}

func TestAnAccessTokenOfTheOnlyTenantIsForNoOther(t *testing.T) { // TK-11
	m := newMatrix(t)
	for name, k := range m.makers() {
		token := passwordless.Secret(m.mint(k, nil, nil))
		_, err := m.access(token, "")
		require.NoError(t, err, name)
		_, err = m.VerifyAccessToken(t.Context(), passwordless.AccessTokenRequest{Token: token, Tenant: "a"})
		require.ErrorIs(t, err, passwordless.ErrInvalidToken, name)
		_, err = m.access(passwordless.Secret(m.mint(k, nil, object{"tenant": "a"})), "")
		require.ErrorIs(t, err, passwordless.ErrInvalidToken, "%s: one that says a tenant", name)
	}
}
