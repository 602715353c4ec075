package passwordless_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
)

// A matrix is a service with a key of every algorithm, and whoever makes tokens for it.
type matrix struct {
	*world
	keys   keyset
	ec     *ecdsa.PrivateKey
	rsa    *rsa.PrivateKey
	shared passwordless.Client // whose algorithm is HS256
}

type object = map[string]any

// A maker makes genuine tokens of one algorithm.
type maker struct {
	method jwt.SigningMethod
	key    any
	kid    string
}

func newMatrix(t testing.TB) *matrix {
	t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 3072)
	require.NoError(t, err)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	m := &matrix{keys: newKeys(), ec: ecKey(t), rsa: rsaKey, shared: hs256Client("hs")}
	m.world = newWorld(t, m.keys.into, func(c *passwordless.Config) {
		c.SigningKeys = []passwordless.SigningKey{{ID: "s1", Key: m.ec}, {ID: "r1", Key: m.rsa}, {ID: "e1", Key: edwards}}
		c.Clients = append(c.Clients.(passwordless.ClientList), m.shared, hs256Client("hs2"))
	})
	return m
}

// makers are one for each algorithm that the service accepts.
func (m *matrix) makers() map[string]maker {
	return map[string]maker{
		"ES256": {jwt.SigningMethodES256, m.ec, "s1"},
		"RS256": {jwt.SigningMethodRS256, m.rsa, "r1"},
		"EdDSA": {jwt.SigningMethodEdDSA, m.cfg.SigningKeys[2].Key, "e1"},
		"HS256": {jwt.SigningMethodHS256, accessKey(m.keys.ring[0].Secret, "", "hs"), "k1"},
	}
}

// header and claims are those of a genuine access token, changed; a nil takes one away.
func (k maker) header(change object) object {
	return changed(object{"alg": k.method.Alg(), "typ": "at+jwt", "kid": k.kid}, change)
}

func (m *matrix) claims(change object) object {
	now := m.clock.Now()
	return changed(object{"iss": "https://login.example.com/", "sub": "u", "aud": "https://login.example.com/", "client_id": "hs",
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}, change)
}

func changed(base, change object) object {
	maps.Copy(base, change)
	maps.DeleteFunc(base, func(_ string, v any) bool { return v == nil })
	return base
}

// mint signs a token whose header may say anything.
func (m *matrix) mint(k maker, header, claims object) string {
	m.t.Helper()
	return m.mintText(k, text(m.t, k.header(header)), text(m.t, m.claims(claims)))
}

func (m *matrix) mintText(k maker, header, claims string) string {
	m.t.Helper()
	signed := b64(header) + "." + b64(claims)
	signature, err := k.method.Sign(signed, k.key)
	require.NoError(m.t, err)
	return signed + "." + b64(string(signature))
}

func text(t testing.TB, v any) string {
	t.Helper()
	out, err := json.Marshal(v)
	require.NoError(t, err)
	return string(out)
}

func b64(v string) string { return base64.RawURLEncoding.EncodeToString([]byte(v)) }

// refused checks that no row of a table is accepted.
func (m *matrix) refused(tokens map[string]string) {
	m.t.Helper()
	for rule, token := range tokens {
		access, err := m.access(passwordless.Secret(token), "")
		require.ErrorIs(m.t, err, passwordless.ErrInvalidToken, rule)
		require.Zero(m.t, access, rule)
	}
}

func (m *matrix) accepted(tokens map[string]string) {
	m.t.Helper()
	for rule, token := range tokens {
		_, err := m.access(passwordless.Secret(token), "")
		require.NoError(m.t, err, rule)
	}
}

func TestConfusionOfAlgorithms(t *testing.T) { // TK-1, TK-2
	m := newMatrix(t)
	makers := m.makers()
	none := maker{jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, ""}
	for name, k := range makers {
		m.accepted(map[string]string{name: m.mint(k, nil, nil)})
		unsigned := func(alg any) string { return m.mint(none, object{"alg": alg, "kid": k.kid}, nil) }
		signed := func(alg any) string { return m.mint(k, object{"alg": alg}, nil) }
		for _, alg := range []any{"none", "None", "nOnE", "NONE", "none ", "", nil, 0, []string{"none"}, "HS256 ", "hs256", "es256"} {
			m.refused(map[string]string{
				fmt.Sprintf("TK-2 alg %v without a signature, kid of %s", alg, name): unsigned(alg),
				fmt.Sprintf("TK-2 alg %v with a signature of %s", alg, name):         signed(alg),
			})
		}
		for other, o := range makers {
			if other == name {
				continue
			}
			m.refused(map[string]string{
				"TK-1 " + name + " under the kid of " + other: m.mint(k, object{"kid": o.kid}, nil),
				"TK-1 " + name + " that says it is " + other:  m.mint(k, object{"alg": other}, nil),
				"TK-1 " + name + " that says it is " + other + " under its kid": m.mint(k,
					object{"alg": other, "kid": o.kid}, nil),
			})
		}
	}
	m.refused(map[string]string{
		"TK-1 RS384 with the key of RS256": m.mint(maker{jwt.SigningMethodRS384, m.rsa, "r1"}, nil, nil),
		"TK-1 RS512 with the key of RS256": m.mint(maker{jwt.SigningMethodRS512, m.rsa, "r1"}, nil, nil),
		"TK-1 PS256 with the key of RS256": m.mint(maker{jwt.SigningMethodPS256, m.rsa, "r1"}, nil, nil),
		"TK-1 HS384 with the key of HS256": m.mint(maker{jwt.SigningMethodHS384, makers["HS256"].key, "k1"}, nil, nil),
		"TK-1 HS512 with the key of HS256": m.mint(maker{jwt.SigningMethodHS512, makers["HS256"].key, "k1"}, nil, nil),
		"TK-1 another key of ES256":        m.mint(maker{jwt.SigningMethodES256, ecKey(t), "s1"}, nil, nil),
		"TK-2 alg twice, none last": m.mintText(makers["ES256"], `{"alg":"ES256","typ":"at+jwt","kid":"s1","alg":"none"}`,
			text(t, m.claims(nil))),
	})
}

func TestConfusionOfPublicKeysAndSecrets(t *testing.T) { // TK-1
	m := newMatrix(t)
	for name, key := range publicBytes(t, m.ec.Public(), m.rsa.Public()) {
		for _, kid := range []any{"s1", "r1", "e1", "k1", "", nil} {
			m.refused(map[string]string{fmt.Sprintf("TK-1 HS256 with %s, kid %v", name, kid): m.mint(
				maker{jwt.SigningMethodHS256, key, ""}, object{"kid": kid}, nil)})
		}
	}
	ring := m.keys.ring[0].Secret
	for name, key := range map[string][]byte{
		"the key that the client has": m.shared.Keys.HS256Key,
		"no key":                      {},
		"the client's secret":         []byte("hs-secret"),
		"the hash of its secret":      m.shared.Keys.SecretHashes[0][:],
		"the key set":                 m.JWKS(),
		"the ring's key itself":       ring,
		"the ring's key, hashed":      mac(nil, ring),
		"the index key":               accessKey(m.keys.index, "", "hs"),
		"another use of the ring":     derived(ring, "handle", "", "hs"),
		"no record of the ring":       derived(mac(nil, ring), "access token", "", "hs"),
		"another client's key":        accessKey(ring, "", "hs2"),
		"another tenant's key":        accessKey(ring, "t", "hs"),
		"fields that join alike":      accessKey(ring, "h", "s"),
	} {
		for _, kid := range []any{"k1", "s1", "", nil} {
			m.refused(map[string]string{fmt.Sprintf("TK-1 HS256 with %s, kid %v", name, kid): m.mint(
				maker{jwt.SigningMethodHS256, key, ""}, object{"kid": kid}, nil)})
		}
	}
	hs := m.makers()["HS256"]
	m.refused(map[string]string{
		"TK-1 another client's ID in the claims": m.mint(hs, nil, object{"client_id": "hs2"}),
		"TK-1 a client of another algorithm":     m.mint(hs, nil, object{"client_id": "web"}),
		"TK-1 no client in the claims":           m.mint(hs, nil, object{"client_id": nil}),
		"TK-1 another tenant in the claims":      m.mint(hs, nil, object{"tenant": "t"}),
		"TK-1 a client that is no text":          m.mint(hs, nil, object{"client_id": []string{"hs"}}),
	})
}

// publicBytes is what an attacker can make of public keys.
func publicBytes(t testing.TB, keys ...crypto.PublicKey) map[string][]byte {
	all := map[string][]byte{}
	for _, key := range keys {
		der, err := x509.MarshalPKIXPublicKey(key)
		require.NoError(t, err)
		block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
		name := fmt.Sprintf("%T ", key)
		all[name+"DER"], all[name+"PEM"], all[name+"PEM without the last line end"] = der, block, bytes.TrimSpace(block)
		switch key := key.(type) {
		case *rsa.PublicKey:
			all["the modulus"], all["the modulus in base64"] = key.N.Bytes(), []byte(b64(string(key.N.Bytes())))
			all["PKCS #1"] = x509.MarshalPKCS1PublicKey(key)
		case *ecdsa.PublicKey:
			point, err := key.Bytes()
			require.NoError(t, err)
			all["the point"], all["x"], all["y"] = point, point[1:33], point[33:]
		}
	}
	return all
}

func TestConfusionOfEmbeddedKeys(t *testing.T) { // TK-3, CVE-2018-0114
	m := newMatrix(t)
	key := ecKey(t)
	point, err := key.PublicKey.Bytes()
	require.NoError(t, err)
	jwk := object{"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "s1", "x": b64(string(point[1:33])),
		"y": b64(string(point[33:]))}
	chosen := passwordless.RandomKey()
	places := object{"jwk": jwk, "jku": "https://evil.example.com/jwks.json", "x5u": "https://evil.example.com/cert.pem",
		"x5c": []string{certificate(t, key)}, "x5t": b64("thumb"), "jwks": object{"keys": []any{jwk}}}
	for _, kid := range []any{"s1", "k1", "evil", "", nil} {
		for field, value := range places {
			m.refused(map[string]string{fmt.Sprintf("TK-3 %s of an attacker, kid %v", field, kid): m.mint(
				maker{jwt.SigningMethodES256, key, ""}, object{"kid": kid, field: value}, nil)})
		}
		m.refused(map[string]string{fmt.Sprintf("TK-3 jwk with a secret, kid %v", kid): m.mint(
			maker{jwt.SigningMethodHS256, []byte(chosen), ""},
			object{"kid": kid, "jwk": object{"kty": "oct", "alg": "HS256", "k": b64(string(chosen))}}, nil)})
	}
}

// certificate is a self-signed one, as x5c holds it.
func certificate(t testing.TB, key crypto.Signer) string {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: epochStart, NotAfter: epochStart.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return base64.StdEncoding.EncodeToString(der)
}

func TestConfusionOfKeyIDs(t *testing.T) { // TK-3
	m := newMatrix(t)
	for name, k := range m.makers() {
		for _, kid := range []any{nil, "", "unknown", "../../" + k.kid, "./" + k.kid, "/dev/null", k.kid + "\x00", " " + k.kid,
			strings.ToUpper(k.kid),
			k.kid + "' OR '1'='1", "'; DROP TABLE records; --", "$(id)", 1, true, []string{k.kid}, object{"kid": k.kid}} {
			m.refused(map[string]string{fmt.Sprintf("TK-3 kid %v, %s", kid, name): m.mint(k, object{"kid": kid}, nil)})
		}
		m.refused(map[string]string{
			"TK-3 kid of 1 MB, " + name:                        m.mint(k, object{"kid": strings.Repeat("k", 1<<20)}, nil),
			"TK-3 kid as long as a token can have it, " + name: m.mint(k, object{"kid": strings.Repeat("k", 11<<10)}, nil),
		})
	}
}

func TestConfusionOfRemovedKeys(t *testing.T) { // TK-20
	m := newMatrix(t)
	bare := *m
	bare.world = m.second()
	m.keys.rotated("k2").current().into(&bare.cfg)
	bare.cfg.SigningKeys = []passwordless.SigningKey{{ID: "s2", Key: ecKey(t)}, {ID: "r2", Key: m.rsa}}
	bare.Service = newService(t, bare.cfg)
	reused := bare
	reused.world = bare.second()
	m.keys.rotated("k1").current().into(&reused.cfg)
	reused.cfg.SigningKeys = []passwordless.SigningKey{{ID: "s1", Key: ecKey(t)}, {ID: "r1", Key: ecKey(t)},
		{ID: "e1", Key: ecKey(t)}}
	reused.cfg.Clients = passwordless.ClientList{m.shared}
	reused.Service = newService(t, reused.cfg)
	for name, k := range m.makers() {
		token := map[string]string{name: m.mint(k, nil, nil)}
		m.accepted(token)
		bare.refused(token)
		reused.refused(token)
	}
}

func TestConfusionOfKinds(t *testing.T) { // TK-4
	m := newMatrix(t)
	for name, k := range m.makers() {
		for _, typ := range []any{nil, "", "JWT", "jwt", "at+jwt ", "at", "application/jwt", "logout+jwt", "secevent+jwt", 1,
			[]string{"at+jwt"}} {
			m.refused(map[string]string{fmt.Sprintf("TK-4 typ %v, %s", typ, name): m.mint(k, object{"typ": typ}, nil)})
		}
		for _, crit := range []any{[]string{"exp"}, []string{}, "b64", true} {
			m.refused(map[string]string{fmt.Sprintf("TK-4 crit %v, %s", crit, name): m.mint(k, object{"crit": crit, "b64": true}, nil)})
		}
	}
	l := m.signIn(alice, passwordless.Issue{Session: true, Tokens: openid.Tokens})
	shared := m.mint(maker{jwt.SigningMethodHS256, []byte(m.shared.Keys.HS256Key), ""}, object{"typ": "JWT", "kid": nil},
		object{"aud": "hs"})
	for rule, token := range map[string]passwordless.Secret{"an ID token": l.Tokens.ID, "a refresh token": l.Tokens.Refresh,
		"a session": l.Session.Token, "a device": l.Device, "an ID token of HS256": passwordless.Secret(shared)} {
		for _, audience := range []string{"", "web", "hs"} {
			_, err := m.access(token, audience)
			require.ErrorIs(t, err, passwordless.ErrInvalidToken, "TK-4 %s as an access token for %q", rule, audience)
		}
	}
}

func TestConfusionOfClaims(t *testing.T) { // TK-5, TK-11
	m := newMatrix(t)
	const us = "https://login.example.com/"
	in := func(seconds int) int64 { return m.clock.Now().Add(time.Duration(seconds) * time.Second).Unix() }
	for name, k := range m.makers() {
		good, bad := map[string]string{}, map[string]string{}
		row := func(table map[string]string, rule string, change object) {
			table[rule+", "+name] = m.mint(k, nil, change)
		}
		row(good, "TK-5 exp past by less than a minute", object{"exp": in(-59)})
		row(good, "TK-5 nbf ahead by less than a minute", object{"nbf": in(59)})
		row(good, "TK-5 iat ahead by less than a minute", object{"iat": in(59)})
		row(good, "TK-11 aud with others beside ours", object{"aud": []string{"https://api.example.com", us}})

		for _, iss := range []any{nil, "", "https://login.example.com", "HTTPS://LOGIN.EXAMPLE.COM/", us + "x",
			"https://evil.example.com/", []string{us}} {
			row(bad, fmt.Sprintf("TK-5 iss %v", iss), object{"iss": iss})
		}
		for _, aud := range []any{nil, "", "web", us + "x", "https://login.example.com", []string{}, []string{"web", "hs"}, 1,
			object{"aud": us}} {
			row(bad, fmt.Sprintf("TK-11 aud %v", aud), object{"aud": aud})
		}
		for _, exp := range []any{nil, 0, -1, in(-60), in(-61), in(-86400), "soon", true} {
			row(bad, fmt.Sprintf("TK-5 exp %v", exp), object{"exp": exp})
		}
		for _, later := range []any{in(61), in(86400), "now", []int64{in(0)}} {
			row(bad, fmt.Sprintf("TK-5 nbf %v", later), object{"nbf": later})
			row(bad, fmt.Sprintf("TK-5 iat %v", later), object{"iat": later})
		}
		for _, sub := range []any{nil, "", 7} {
			row(bad, fmt.Sprintf("TK-5 sub %v", sub), object{"sub": sub})
		}
		for _, claims := range []string{"", "null", "[]", `"text"`, "{}", "{", text(t, m.claims(nil)) + "{}", "\xff"} {
			bad[fmt.Sprintf("TK-6 claims %q, %s", claims, name)] = m.mintText(k, text(t, k.header(nil)), claims)
		}
		for _, header := range []string{"", "null", "[]", `"text"`, "{}", "{", text(t, k.header(nil)) + "{}", "\xff"} {
			bad[fmt.Sprintf("TK-6 header %q, %s", header, name)] = m.mintText(k, header, text(t, m.claims(nil)))
		}
		m.accepted(good)
		m.refused(bad)

		token := passwordless.Secret(m.mint(k, nil, object{"aud": "https://api.example.com"}))
		_, err := m.access(token, "https://api.example.com")
		require.NoError(t, err, name)
		for _, audience := range []string{"", us, "https://other.example.com"} {
			_, err = m.access(token, audience)
			require.ErrorIs(t, err, passwordless.ErrInvalidToken, "TK-11 for one service at another, %s", name)
		}
	}
}

func TestConfusionOfTime(t *testing.T) { // TK-5: by the injected clock, for tokens that the service made
	m := newMatrix(t)
	token := m.signIn(alice, openid).Tokens.Access
	at := m.clock.Now()
	for _, row := range []struct {
		after time.Duration
		valid bool
	}{{0, true}, {-60 * time.Second, true}, {-61 * time.Second, false}, {10 * time.Minute, true},
		{659 * time.Second, true}, {660 * time.Second, false}, {time.Hour, false}} {
		m.clock.advance(at.Add(row.after).Sub(m.clock.Now()))
		_, err := m.access(token, "")
		assert.Equal(t, row.valid, err == nil, "%v after it was made", row.after)
	}
}

func TestConfusionOfFormats(t *testing.T) { // TK-6, CVE-2025-30204, CVE-2025-27144
	m := newMatrix(t)
	for name, k := range m.makers() {
		good := m.mint(k, nil, nil)
		p := strings.Split(good, ".")
		bad := map[string]string{
			"four parts":                good + ".x",
			"a dot behind":              good + ".",
			"a dot before":              "." + good,
			"two parts":                 p[0] + "." + p[1],
			"no signature":              p[0] + "." + p[1] + ".",
			"no claims":                 p[0] + ".." + p[2],
			"encrypted":                 "a.b.c.d.e",
			"over 16 KiB":               m.mint(k, nil, object{"pad": strings.Repeat("x", 12<<10)}),
			"flattened JSON":            fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, p[0], p[1], p[2]),
			"general JSON":              fmt.Sprintf(`{"payload":%q,"signatures":[{"protected":%q,"signature":%q}]}`, p[1], p[0], p[2]),
			"flattened JSON, two dots":  fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q,"..":0}`, p[0], p[1], p[2]),
			"Bearer before it":          "Bearer " + good,
			"in quotes":                 `"` + good + `"`,
			"twice":                     good + good,
			"a list":                    good + "," + good,
			"another alphabet's letter": p[0] + "." + p[1] + ".+" + p[2][1:],
		}
		for i := range p {
			for _, junk := range []string{"=", "==", " ", "\n", "\r\n", "\t", "\x00", "A", "%", "é"} {
				behind, before := append([]string{}, p...), append([]string{}, p...)
				behind[i], before[i] = p[i]+junk, junk+p[i]
				bad[fmt.Sprintf("%q behind part %d", junk, i)] = strings.Join(behind, ".")
				bad[fmt.Sprintf("%q before part %d", junk, i)] = strings.Join(before, ".")
			}
		}
		m.accepted(map[string]string{name: good})
		m.refused(bad)
	}
	for rule, token := range map[string]passwordless.Secret{"a million dots": passwordless.Secret(strings.Repeat(".", 1_000_000)),
		"16 KiB of dots":    passwordless.Secret(strings.Repeat(".", 16<<10)),
		"a million letters": passwordless.Secret(strings.Repeat("A", 1_000_000)), "nothing": ""} {
		allocations := testing.AllocsPerRun(10, func() {
			if _, err := m.access(token, ""); err == nil {
				t.Error("TK-6 accepted", rule)
			}
		})
		assert.Zero(t, allocations, "TK-6 %s: refused before anything is decoded", rule)
	}
}

func TestConfusionOfChangedTokens(t *testing.T) { // TK-1, TK-6
	m := newMatrix(t)
	tokens := map[string]string{}
	for name, k := range m.makers() {
		tokens[name] = m.mint(k, nil, object{"jti": name})
	}
	m.accepted(tokens)
	for name, token := range tokens {
		for i := range len(token) {
			m.refused(map[string]string{
				fmt.Sprintf("cut at %d, %s", i, name):      token[:i],
				fmt.Sprintf("without %d, %s", i, name):     token[:i] + token[i+1:],
				fmt.Sprintf("%d twice, %s", i, name):       token[:i+1] + token[i:],
				fmt.Sprintf("line end at %d, %s", i, name): token[:i] + "\n" + token[i:],
			})
			for bit := range 8 {
				flipped := []byte(token)
				flipped[i] ^= 1 << bit
				m.refused(map[string]string{fmt.Sprintf("bit %d of byte %d, %s", bit, i, name): string(flipped)})
			}
		}
	}
}

func TestConfusionOfSplicedTokens(t *testing.T) { // TK-1
	m := newMatrix(t)
	makers := m.makers()
	pieces := map[string][]string{}
	for name, k := range makers {
		pieces[name] = strings.Split(m.mint(k, nil, object{"jti": name}), ".")
		pieces[name+" of another"] = strings.Split(m.mint(k, nil, object{"jti": name, "sub": "admin"}), ".")
	}
	for head, h := range pieces {
		for body, b := range pieces {
			for tail, s := range pieces {
				whole := h[0] == pieces[tail][0] && body == tail
				if !whole {
					rule := fmt.Sprintf("head of %s, claims of %s, signature of %s", head, body, tail)
					m.refused(map[string]string{rule: h[0] + "." + b[1] + "." + s[2]})
				}
			}
		}
	}
}
