package passwordless_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/sender"
)

// anyStore and anySender are never called.
type anyStore struct{ passwordless.Store }

type anySender struct{ passwordless.Sender }

func (anySender) Asynchronous() bool { return true }

func (anySender) Discard(context.Context, passwordless.Message) error { return nil }

// A hasty sender says that it waits for nobody, and cannot discard.
type hasty struct{ sender.Func }

func (hasty) Asynchronous() bool { return true }

// A lookup is Clients that are no list.
type lookup func(id string) (passwordless.Client, error)

func (l lookup) Client(_ context.Context, id string) (passwordless.Client, error) { return l(id) }

type pointerClock struct{ at time.Time }

func (c *pointerClock) Now() time.Time { return c.at }

// signingKeys are one for each algorithm that needs one.
var signingKeys = sync.OnceValues(func() ([]passwordless.SigningKey, error) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	strong, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		return nil, err
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	return []passwordless.SigningKey{{ID: "ec", Key: ec}, {ID: "rsa", Key: strong}, {ID: "ed", Key: ed}}, err
})

// complete is a configuration that New accepts, and that signs nobody in.
func complete(t testing.TB) passwordless.Config {
	t.Helper()
	keys, err := signingKeys()
	require.NoError(t, err)
	return passwordless.Config{
		Issuer: "https://login.example.com/", AppName: "Example", Store: anyStore{}, Sender: anySender{},
		Hasher:      passwordless.NewKeyring(passwordless.RandomKey(), ringKey("k1")),
		SigningKeys: append([]passwordless.SigningKey(nil), keys...),
		Clients:     passwordless.ClientList{{ID: "web", Public: true}},
	}
}

// mistakes are the lines of New's error behind its first.
func mistakes(t testing.TB, cfg passwordless.Config) []string {
	t.Helper()
	svc, err := passwordless.New(cfg)
	if err == nil {
		return nil
	}
	require.Nil(t, svc)
	lines := strings.Split(err.Error(), "\n")
	require.Equal(t, "passwordless: configuration:", lines[0])
	return lines[1:]
}

// Each mistake is told once, in words that say what to do.
func TestAWrongConfigurationIsRefused(t *testing.T) { // OP-1, CG-3, CG-4, CG-6, SK-1, LK-5, TK-7
	weakRSA, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	good, other, third := passwordless.RandomKey(), passwordless.RandomKey(), passwordless.RandomKey()
	keyed := func(id string, secret passwordless.SecretBytes) passwordless.RingKey {
		return passwordless.RingKey{ID: id, Secret: secret}
	}
	for want, change := range map[string]func(*passwordless.Config){
		"Store: required":   func(c *passwordless.Config) { c.Store = nil },
		"Store: required ":  func(c *passwordless.Config) { c.Store = (*anyStore)(nil) },
		"Sender: required":  func(c *passwordless.Config) { c.Sender = nil },
		"Sender: required ": func(c *passwordless.Config) { c.Sender = sender.Func(nil) },
		"Sender: required  ": func(c *passwordless.Config) {
			c.Sender = (*anySender)(nil) // whose method cannot even be asked whether it is asynchronous
		},
		"Clients: required":                      func(c *passwordless.Config) { c.Clients = nil },
		"Clients: required ":                     func(c *passwordless.Config) { c.Clients = lookup(nil) },
		"Clients: required  ":                    func(c *passwordless.Config) { c.Clients = (*passwordless.ClientList)(nil) },
		"Clients: ClientList is empty":           func(c *passwordless.Config) { c.Clients = passwordless.ClientList{} },
		"Clients: ClientList is empty ":          func(c *passwordless.Config) { c.Clients = passwordless.ClientList(nil) },
		"Users: holds a nil pointer":             func(c *passwordless.Config) { c.Users = (*passwordless.Directory)(nil) },
		"Clock: holds a nil pointer":             func(c *passwordless.Config) { c.Clock = (*pointerClock)(nil) },
		"Templates: holds a nil pointer":         func(c *passwordless.Config) { c.Templates = fstest.MapFS(nil) },
		"AppName: want":                          func(c *passwordless.Config) { c.AppName = "two\nlines" },
		"AppName: want 1 to 64":                  func(c *passwordless.Config) { c.AppName = "  " },
		"Issuer: want":                           func(c *passwordless.Config) { c.Issuer = "http://login.example.com/" },
		"PageURL: want":                          func(c *passwordless.Config) { c.PageURL = "https://login.example.com/signin" },
		"Hasher: required; see":                  func(c *passwordless.Config) { c.Hasher = nil },
		"Hasher: required; see ":                 func(c *passwordless.Config) { c.Hasher = (*passwordless.Keyring)(nil) },
		"Hasher: an empty Keyring; use":          func(c *passwordless.Config) { c.Hasher = &passwordless.Keyring{} },
		"Hasher: keys: at least one":             ring(good),
		"Hasher: keys[0].Secret: want at least":  ring(good, keyed("a", other[:16])),
		"Hasher: keys[0].Secret: want at least ": ring(good, keyed("a", make([]byte, 64))),
		"Hasher: keys[1].Secret: that of keys[0": ring(good, keyed("a", other), keyed("b", other)),
		"Hasher: keys[0].Secret: also the index": ring(good, keyed("a", good)),
		"Hasher: keys[1].ID: used twice":         ring(good, keyed("a", other), keyed("a", third)),
		"Hasher: keys[0].ID: want":               ring(good, keyed("with space", other)),
		"Hasher: index key: want at least":       ring(make([]byte, 64), keyed("a", other)),
		"SigningKeys[0].Key: RSA under":          func(c *passwordless.Config) { c.SigningKeys[0].Key = weakRSA },
		"SigningKeys[0].Key: ECDSA on":           func(c *passwordless.Config) { c.SigningKeys[0].Key = p384 },
		"SigningKeys[3].ID: used twice": func(c *passwordless.Config) {
			c.SigningKeys = append(c.SigningKeys, c.SigningKeys[0])
		},
		"Tenants[1].ID: used twice":     tenants(passwordless.Tenant{ID: "a"}, passwordless.Tenant{ID: "a"}),
		"Tenants[1].ID: want 1 to 64":   tenants(passwordless.Tenant{ID: "a"}, passwordless.Tenant{ID: "a b"}),
		"Tenants[0].Name: want at most": tenants(passwordless.Tenant{ID: "a", Name: "\x00"}),
	} {
		cfg := complete(t)
		change(&cfg)
		found := mistakes(t, cfg)
		require.Len(t, found, 1, want)
		assert.True(t, strings.HasPrefix(found[0], strings.TrimRight(want, " ")), found[0])
	}
}

// ring is a Keyring in the configuration.
func ring(index passwordless.SecretBytes, keys ...passwordless.RingKey) func(*passwordless.Config) {
	return func(c *passwordless.Config) { c.Hasher = passwordless.NewKeyring(index, keys...) }
}

func tenants(list ...passwordless.Tenant) func(*passwordless.Config) {
	return func(c *passwordless.Config) {
		c.Tenants = list
		c.Clients = passwordless.ClientList{{ID: "web", Tenant: "a", Public: true}}
	}
}

func TestNewReportsEveryMistakeAtOnce(t *testing.T) { // OP-1
	found := mistakes(t, passwordless.Config{
		Policy: passwordless.Policy{MaxYearlyRisk: 1, Codes: passwordless.CodePolicy{MaxAttempts: 11},
			SMS: passwordless.SMSPolicy{Countries: []int{999}}}})
	var names []string
	for _, line := range found {
		name, _, _ := strings.Cut(line, ":")
		names = append(names, name)
	}
	assert.ElementsMatch(t, []string{"Store", "Sender", "Clients", "AppName", "Issuer", "Hasher",
		"Policy.MaxYearlyRisk", "Policy.Codes.MaxAttempts", "Policy.SMS.Countries"}, names)
}

// A value of the policy is told with its bounds, and what else there is.
func TestAWrongPolicyIsRefusedInWords(t *testing.T) { // OP-1
	for want, p := range map[string]passwordless.Policy{
		"Policy.MaxYearlyRisk: 0.5 is outside 1e-07 to 0.01": {MaxYearlyRisk: 0.5},
		"Policy.ClockSkew: 1m1s is over 1m":                  {ClockSkew: 61 * time.Second},
		"Policy.Codes.EmailLife: 11m is outside 1m to 10m": {Codes: passwordless.CodePolicy{
			EmailLife: 11 * time.Minute}},
		"Policy.Codes.EmailLife: -1ns is outside 1m to 10m": {Codes: passwordless.CodePolicy{EmailLife: -1}},
		"Policy.Codes.MaxResends: 11 is over 10":            {Codes: passwordless.CodePolicy{MaxResends: 11}},
		`Policy.Sessions.Refresh: "unknown(7)" is unknown; want one of OneTime, Reus`: {
			Sessions: passwordless.SessionPolicy{Refresh: 7}},
		"Policy.Limits.Starts[1]: 0 per 1h is no limit; want Count from 1": {Limits: passwordless.LimitPolicy{
			Starts: limitList{{1, oneDay}, {0, time.Hour}}}},
		"Policy.Limits.SMSSends: 5 limits; want at most four": {Limits: passwordless.LimitPolicy{
			SMSSends: limitList{{1, oneDay}, {1, oneDay}, {1, oneDay}, {1, oneDay}, {1, oneDay}}}},
		"Policy.SMS.Global: -1 per 1h is no limit": {SMS: passwordless.SMSPolicy{
			Global: oneLimit{-1, time.Hour}}},
		"Policy.SMS.Countries: 999, 0, 460: no calling code": {SMS: passwordless.SMSPolicy{
			Countries: []int{46, 999, 47, 0, 460}}},
		"Policy.Sessions.Idle: 8784h is outside 1m to 8760h": {
			Sessions: passwordless.SessionPolicy{Idle: 366 * oneDay}},
		"Policy.Sessions.Absolute: 8784h is outside 1m to 876": {
			Sessions: passwordless.SessionPolicy{Absolute: 366 * oneDay}},
		`Policy.Tokens.Algorithm: "rs256" is unknown; RS256 is meant?`: {
			Tokens: passwordless.TokenPolicy{Algorithm: "rs256"}},
		`Policy.Tokens.Algorithm: "RS512" is unknown; want one of ES256, EdDSA, RS256, HS256`: {
			Tokens: passwordless.TokenPolicy{Algorithm: "RS512"}},
	} {
		cfg := complete(t)
		cfg.Policy = p
		found := mistakes(t, cfg)
		require.Len(t, found, 1, want)
		assert.True(t, strings.HasPrefix(found[0], want), found[0])
	}
}

func TestAnAlgorithmNeedsItsKey(t *testing.T) { // OP-1, TK-7
	cfg := complete(t)
	all := cfg.SigningKeys
	for alg, without := range map[passwordless.Algorithm][]passwordless.SigningKey{
		passwordless.ES256: all[1:], passwordless.RS256: all[:1], passwordless.EdDSA: all[:2], "": nil} {
		cfg.SigningKeys = without
		cfg.Policy = passwordless.Policy{Tokens: passwordless.TokenPolicy{Algorithm: alg}}
		cfg.Clients = passwordless.ClientList{{ID: "web", Public: true}, {ID: "app", Public: true}}
		inPolicy := mistakes(t, cfg)
		cfg.Policy = passwordless.Policy{}
		cfg.Clients = passwordless.ClientList{{ID: "web", Public: true, Tokens: passwordless.TokenPolicy{Algorithm: alg}}}
		inClient := mistakes(t, cfg)
		if alg == "" { // a service without tokens needs none
			assert.Empty(t, append(inPolicy, inClient...))
			continue
		}
		want := fmt.Sprintf("Tokens.Algorithm: no signing key for %s; add one to SigningKeys", alg)
		assert.Equal(t, []string{"Policy." + want}, inPolicy)
		assert.Equal(t, []string{`Client "web": ` + want}, inClient)
	}
	cfg.SigningKeys = append(all[:2:2], passwordless.SigningKey{ID: "bad id", Key: all[2].Key})
	cfg.Policy.Tokens.Algorithm = passwordless.EdDSA
	assert.Len(t, mistakes(t, cfg), 1, "a wrong signing key is told once, and not also as none")

	cfg = complete(t)
	cfg.Policy.Tokens.Algorithm = "hs256"
	cfg.Clients = passwordless.ClientList{{ID: "web",
		Keys: passwordless.ClientKeys{SecretHashes: []passwordless.SecretHash{{1}}, HS256Key: passwordless.RandomKey()}}}
	assert.Len(t, mistakes(t, cfg), 1, "an unknown algorithm of the policy is told once, and not of each client's key")
}

// keyed is a confidential client with a change.
func keyed(change func(*passwordless.Client)) passwordless.Client {
	c := passwordless.Client{ID: "web", Keys: passwordless.ClientKeys{
		SecretHashes: []passwordless.SecretHash{passwordless.HashClientSecret("s")}}}
	change(&c)
	return c
}

// refused demands that each client is refused with one mistake, which begins so.
func refused(t *testing.T, clients map[string]passwordless.Client) {
	t.Helper()
	for want, c := range clients {
		cfg := complete(t)
		cfg.Clients = passwordless.ClientList{c}
		found := mistakes(t, cfg)
		require.Len(t, found, 1, "%s: %v", want, found)
		assert.True(t, strings.HasPrefix(found[0], `Client "web": `+want), found[0])
	}
}

func TestAWrongClientIsRefused(t *testing.T) { // OP-1, CA-4
	refused(t, map[string]passwordless.Client{
		`Name: want at most 64 bytes`:                  keyed(func(c *passwordless.Client) { c.Name = strings.Repeat("x", 65) }),
		`Tenant: "nowhere" is no ID of Config.Tenants`: keyed(func(c *passwordless.Client) { c.Tenant = "nowhere" }),
		`Channels: unknown channel "fax"`: keyed(func(c *passwordless.Client) {
			c.Channels = []passwordless.Channel{"fax"}
		}),
		`Channels: sms needs Policy.SMS.Countries`: keyed(func(c *passwordless.Client) {
			c.Channels = []passwordless.Channel{passwordless.SMS}
		}),
		`TrustForwarded: a public client`:    {ID: "web", Public: true, TrustForwarded: true},
		`InsecureOpenStart: a public client`: {ID: "web", Public: true, InsecureOpenStart: true},
		`Browser.InsecureWithoutPKCE: only public c`: keyed(func(c *passwordless.Client) {
			c.Browser.InsecureWithoutPKCE = true
		}),
		`Codes.SMSLife: 11m is outside 1m to 10m`: keyed(func(c *passwordless.Client) {
			c.Codes.SMSLife = 11 * time.Minute
		}),
		`Tokens.Algorithm: "es256" is unknown; ES256 is meant?`: keyed(func(c *passwordless.Client) {
			c.Tokens.Algorithm = "es256"
		}),
	})
}

func TestAClientsKeysAreChecked(t *testing.T) { // CA-4, TK-7, SK-1
	key := passwordless.RandomKey()
	refused(t, map[string]passwordless.Client{
		`Keys: want SecretHashes, JWKS or JWKSURL, or`:  keyed(func(c *passwordless.Client) { c.Keys.SecretHashes = nil }),
		`Public: a public client cannot have Keys.Secr`: keyed(func(c *passwordless.Client) { c.Public = true }),
		`Public: a public client cannot have `: keyed(func(c *passwordless.Client) {
			c.Public, c.Keys = true, passwordless.ClientKeys{JWKSURL: "https://app.example.com/jwks"}
		}),
		`Keys: want one of JWKS and JWKSURL`: keyed(func(c *passwordless.Client) {
			c.Keys.JWKS, c.Keys.JWKSURL = p256Set, "https://app.example.com/jwks"
		}),
		`Keys.JWKS: `: keyed(func(c *passwordless.Client) { c.Keys.JWKS = `{"keys":[]}` }),
		`Keys.JWKSURL: want https, or http on a loop`: keyed(func(c *passwordless.Client) {
			c.Keys.JWKSURL = "http://app.example.com/jwks"
		}),
		`Keys.SecretHashes[1]: the secret is empty`: keyed(func(c *passwordless.Client) {
			c.Keys.SecretHashes = append(c.Keys.SecretHashes, passwordless.HashClientSecret(""))
		}),
		`Keys.SecretHashes[0]: the secret is empty`: keyed(func(c *passwordless.Client) {
			c.Keys.SecretHashes = []passwordless.SecretHash{{}}
		}),
		`Tokens.Algorithm: HS256 needs Keys.HS256Key, which a `: {ID: "web", Public: true,
			Tokens: passwordless.TokenPolicy{Algorithm: passwordless.HS256}},
		`Keys.HS256Key: want at least 32 random bytes`: keyed(func(c *passwordless.Client) {
			c.Tokens.Algorithm, c.Keys.HS256Key = passwordless.HS256, make([]byte, 32)
		}),
		`Keys.HS256Key: want at least 32 random`: keyed(func(c *passwordless.Client) { c.Tokens.Algorithm = passwordless.HS256 }),
		`Keys.HS256Key: also one of the client's secrets`: keyed(func(c *passwordless.Client) {
			c.Tokens.Algorithm, c.Keys.HS256Key = passwordless.HS256, key
			c.Keys.SecretHashes = append(c.Keys.SecretHashes, passwordless.HashClientSecret(string(key)))
		}),
		`Keys.HS256Key: only Tokens.Algorithm HS256 signs with`: keyed(func(c *passwordless.Client) { c.Keys.HS256Key = key }),
	})
}

const p256Set = `{"keys":[{"kty":"EC","crv":"P-256","kid":"a","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",` +
	`"y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}`

func TestAListOfClientsIsRefusedForWhatTheyShare(t *testing.T) { // OP-1
	key := passwordless.RandomKey()
	hs256 := func(id string, key passwordless.SecretBytes) passwordless.Client {
		return passwordless.Client{ID: id, Keys: passwordless.ClientKeys{SecretHashes: []passwordless.SecretHash{{1}}, HS256Key: key},
			Tokens: passwordless.TokenPolicy{Algorithm: passwordless.HS256}}
	}
	cfg := complete(t)
	index, inRing := passwordless.RandomKey(), passwordless.RandomKey()
	cfg.Hasher = passwordless.NewKeyring(index, passwordless.RingKey{ID: "k1", Secret: inRing})
	cfg.Clients = passwordless.ClientList{{ID: "web", Public: true}, {ID: "", Public: true}, {ID: "with space"},
		{ID: "web", Public: true}, hs256("a", key), hs256("b", key), hs256("c", inRing), hs256("d", index)}
	assert.Equal(t, []string{
		`Clients[1]: ID: want 1 to 64 printable ASCII bytes`,
		`Clients[2]: ID: want 1 to 64 printable ASCII bytes`,
		`Clients[2]: Keys: want SecretHashes, JWKS or JWKSURL, or a client that is Public`,
		`Client "web": ID: used twice, the second time by Clients[3]`,
		`Client "b": Keys.HS256Key: also that of another client, who could write tokens for this one`,
		`Client "c": Keys.HS256Key: also a key of Config.Hasher`,
		`Client "d": Keys.HS256Key: also a key of Config.Hasher`,
	}, mistakes(t, cfg))
}

// Whoever cannot tell who has an account by what is answered must not tell it by when.
func TestClosedSignUpNeedsAnAsynchronousSender(t *testing.T) { // EN-1, OP-1
	cfg := complete(t)
	cfg.Clients = passwordless.ClientList{{ID: "web", Public: true, ClosedSignUp: true}}
	assert.Empty(t, mistakes(t, cfg))
	function := sender.Func(func(context.Context, passwordless.Message) error { return nil })
	queue := sender.Background(function, sender.BackgroundOptions{})
	for name, unfit := range map[string]passwordless.Sender{
		"a function": function, "no Discard": hasty{function}, "a function around a queue": sender.Func(queue.Send),
		"one of two": sender.ByChannel{passwordless.Email: queue, passwordless.SMS: function},
	} {
		cfg.Sender = unfit
		found := mistakes(t, cfg)
		require.Len(t, found, 1, name)
		assert.Contains(t, found[0], `Client "web": ClosedSignUp: needs a Sender that is asynchronous and can discard`, name)
	}
	for name, fit := range map[string]passwordless.Sender{
		"a queue": queue, "by channel": sender.ByChannel{passwordless.Email: queue},
		"retry": sender.Retry(queue, sender.RetryOptions{}), "failover": sender.Failover(sender.FailoverOptions{}, queue),
	} {
		cfg.Sender = fit
		assert.Empty(t, mistakes(t, cfg), name)
	}
}

func TestEveryRedirectIsChecked(t *testing.T) { // LK-5, OP-1
	long := "https://app.example.com/" + strings.Repeat("x", 2100)
	wrong := map[string]string{
		"/cb": "want https", "": "want https", "http://app.example.com/cb": "want https", "com.example.app:/cb": "want https",
		"javascript:alert(1)": "want https", "HTTPS://app.example.com/": "want https",
		"https://app.example.com/#x": "fragment is not allowed", "https://u:p@app.example.com/": "user information",
		"https://app.example.com/../x": "dot segments", "https://APP.example.com/": "lower case",
		"https://app.example.com/*\x00": "a character", long: "longer than allowed"}
	cfg := complete(t)
	for uri, want := range wrong {
		cfg.Clients = passwordless.ClientList{{ID: "web", Public: true, Browser: passwordless.ClientBrowser{
			RedirectURIs: []string{"https://app.example.com/cb", uri}}}}
		found := mistakes(t, cfg)
		require.Len(t, found, 1, uri)
		assert.True(t, strings.HasPrefix(found[0], fmt.Sprintf(`Client "web": Browser.RedirectURIs[1]: %.80q: `, uri)), found[0])
		assert.Contains(t, found[0], want)
		assert.Less(t, len(found[0]), 400)
		if want == "want https" {
			assert.Contains(t, found[0], "or http on a loopback host")
			assert.Contains(t, found[0], "AppSchemes accepts an app's own scheme")
			assert.Contains(t, found[0], "InsecureHTTPRedirects http to any host")
		}
	}
	cfg.Clients = passwordless.ClientList{{ID: "web", Public: true, Browser: passwordless.ClientBrowser{AppSchemes: true,
		InsecureHTTPRedirects: true,
		RedirectURIs:          []string{"http://localhost:3000/cb", "http://app.example.com/cb", "com.example.app:/cb"}}}}
	assert.Empty(t, mistakes(t, cfg))
}

func TestEveryOriginIsChecked(t *testing.T) { // HT-3, OP-1
	hostile := []string{"", "*", "null", "app.example.com", "//app.example.com", "http://app.example.com",
		"https://app.example.com/", "https://app.example.com/x",
		"https://*.example.com", "https://u@app.example.com", "https://APP.example.com", "HTTPS://app.example.com",
		"https://app.example.com?", "https://app.example.com#",
		"https://app.example.com:", "https://app.example.com:443x", "https://app.example.com ",
		"https://a.example https://b.example", "https://a.example\r\nX: y", "file://x", "com.example.app:/x"}
	right := []string{"https://app.example.com", "https://app.example.com:8443", "http://localhost:3000", "http://127.0.0.1",
		"http://[::1]:1"}
	cfg := complete(t)
	cfg.Clients = passwordless.ClientList{{ID: "web", Public: true, Browser: passwordless.ClientBrowser{Origins: append(
		hostile, right...)}}}
	found := mistakes(t, cfg)
	require.Len(t, found, len(hostile))
	for i, origin := range hostile {
		assert.True(t, strings.HasPrefix(found[i], fmt.Sprintf(`Client "web": Browser.Origins[%d]: %q: want https://host`, i,
			origin)), found[i])
	}
}

// An issuer is compared byte by byte, and an origin that is made of it with what browsers write: without the default port.
func TestAnIssuerHasNoDefaultPort(t *testing.T) { // OP-1
	for base, valid := range map[string]bool{"https://login.example.com:443/": false, "http://localhost:80/": false,
		"http://127.0.0.1:80/":                false,
		"https://login.example.com:443/auth/": false, "https://login.example.com:80/": true,
		"https://login.example.com:8443/": true, "https://login.example.com/?": false,
		"http://localhost:443/": true, "http://127.0.0.1:8080/": true, "https://login.example.com/auth/": true,
		"http://[::1]/": true} {
		cfg := complete(t)
		cfg.Issuer = base
		found := mistakes(t, cfg)
		if valid {
			assert.Empty(t, found, base)
			continue
		}
		require.Len(t, found, 1, "PageURL, which is the same by default, is not told too")
		assert.Contains(t, found[0], "Issuer: want an https URL", base)
		cfg.PageURL = base
		assert.Len(t, mistakes(t, cfg), 2, base)
	}
}

func TestAClientIsWhatItSays(t *testing.T) { // CA-1
	c := passwordless.Client{Keys: passwordless.ClientKeys{SecretHashes: []passwordless.SecretHash{
		passwordless.HashClientSecret("new"), passwordless.HashClientSecret("old")}},
		Browser: passwordless.ClientBrowser{RedirectURIs: []string{"https://app.example.com/cb"}, Origins: []string{
			"https://app.example.com"}}}
	for secret, want := range map[passwordless.Secret]bool{"new": true, "old": true, "": false, "New": false, "new ": false} {
		assert.Equal(t, want, passwordless.Authenticates(c, secret), secret.Reveal())
	}
	assert.False(t, passwordless.Authenticates(passwordless.Client{}, ""))
	assert.True(t, c.AllowsRedirect("https://app.example.com/cb"))
	assert.False(t, c.AllowsRedirect("https://app.example.com/cb?"))
}

func TestOriginsAndChannelsAreThoseOfTheClient(t *testing.T) { // CA-1, HT-3
	w := newWorld(t, func(c *passwordless.Config) {
		c.Clients = passwordless.ClientList{{ID: "web", Public: true, Browser: passwordless.ClientBrowser{
			Origins: []string{"https://app.example.com"}}},
			{ID: "sms", Public: true, Channels: []passwordless.Channel{passwordless.SMS}}}
	})
	for origin, want := range map[string]bool{"https://app.example.com": true, "https://app.example.com/": false, "": false} {
		has, err := w.HasOrigin(t.Context(), origin)
		require.NoError(t, err)
		assert.Equal(t, want, has, origin)
	}
	assert.Equal(t, []passwordless.Channel{passwordless.Email}, w.as("web", home).Client().Channels, "the default")
	_, err := w.startWith(home, passwordless.StartRequest{Channel: passwordless.SMS, Address: "+46701111111"})
	var bad *passwordless.InputError
	require.ErrorAs(t, err, &bad)
	assert.Equal(t, "Channel", bad.Field)
	_, err = w.Start(t.Context(), w.as("sms", home), byMail(alice))
	require.ErrorAs(t, err, &bad)
	assert.Equal(t, "Channel", bad.Field)
}

func TestNewCopiesWhatItKeeps(t *testing.T) {
	index, inRing := passwordless.RandomKey(), passwordless.RandomKey()
	w := newWorld(t, ring(index, passwordless.RingKey{ID: "k1", Secret: inRing}))
	untouched := w.second()
	untouched.cfg.Hasher = passwordless.NewKeyring(bytes.Clone(index), passwordless.RingKey{ID: "k1", Secret: bytes.Clone(inRing)})
	untouched.Service = newService(t, untouched.cfg)
	list := w.cfg.Clients.(passwordless.ClientList)
	w.cfg.Policy.SMS.Countries[0] = 1
	clear(index)
	clear(inRing)
	list[0].Public = false
	started, code := w.start(alice)
	require.NoError(t, untouched.check(started.Handle, code), "the keys are those that were handed over")
	_, err := w.guess(started.Handle, code)
	require.NoError(t, err)
	_, err = w.Public(t.Context(), "web", home)
	require.NoError(t, err)
	assert.Equal(t, []int{46, 47}, w.Policy().Policy.SMS.Countries)
}

func TestNewCopiesItsClients(t *testing.T) { // OP-1: whoever wipes or changes what was handed over changes nothing
	key := passwordless.RandomKey()
	client := func() passwordless.Client {
		return passwordless.Client{ID: "web", FirstParty: true, Channels: []passwordless.Channel{passwordless.Email},
			Keys: passwordless.ClientKeys{
				SecretHashes: []passwordless.SecretHash{passwordless.HashClientSecret("s")}, HS256Key: bytes.Clone(key)},
			Browser: passwordless.ClientBrowser{RedirectURIs: []string{callback}, Origins: []string{"https://app.example.com"}},
			Tokens:  passwordless.TokenPolicy{Algorithm: passwordless.HS256}}
	}
	list := passwordless.ClientList{client()}
	w := newWorld(t, func(c *passwordless.Config) { c.Clients = list })
	clear(list[0].Keys.SecretHashes)
	clear(list[0].Channels)
	clear(list[0].Browser.RedirectURIs)
	clear(list[0].Browser.Origins)
	clear(list[0].Keys.HS256Key)
	list[0] = passwordless.Client{}
	kept := w.as("web", home).Client()
	assert.Equal(t, client(), kept)
	clear(kept.Keys.HS256Key)
	clear(kept.Browser.RedirectURIs)
	assert.Equal(t, client(), w.as("web", home).Client(), "nor whoever was told of them")
	token := w.signIn(alice, openid).Tokens.ID
	assert.True(t, verifies(w, token, key))
	assert.False(t, verifies(w, token, make([]byte, len(key))), "signed with a key that everybody knows")
}

func TestTenantsAreApart(t *testing.T) { // BD-3, CA-4
	w := newWorld(t, func(c *passwordless.Config) {
		c.Tenants = []passwordless.Tenant{{ID: "a"}, {ID: "b", Name: "Bee"}}
		c.Clients = passwordless.ClientList{{ID: "web", Tenant: "a", Public: true}, {ID: "b-web", Tenant: "b", Public: true}}
	})
	started, code := w.start(alice)
	_, err := w.Verify(t.Context(), w.as("b-web", home), passwordless.VerifyRequest{Handle: started.Handle,
		Code: passwordless.Secret(code)})
	require.ErrorIs(t, err, passwordless.ErrUnknownChallenge)
	l, err := w.guess(started.Handle, code)
	require.NoError(t, err)
	_, err = w.Directory().Find(t.Context(), "b", l.Identifier)
	require.ErrorIs(t, err, passwordless.ErrNoUser)
	_, err = w.Start(t.Context(), w.as("b-web", home), byMail(alice))
	require.NoError(t, err)
	assert.Equal(t, "Bee", w.outbox.last().AppName)
}
