package passwordless_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/sender"
)

func TestInsecureConfigurationIsRefused(t *testing.T) { // OP-1, CG-3, CG-4, CG-6, SK-1, LK-5, TK-7
	weakRSA, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	client := func(change func(*passwordless.Client)) func(*passwordless.Config) {
		return func(c *passwordless.Config) {
			one := passwordless.Client{ID: "bad", Public: true}
			change(&one)
			c.Clients = passwordless.ClientList{one}
		}
	}
	policy := func(change func(*passwordless.Policy)) func(*passwordless.Config) {
		return func(c *passwordless.Config) { change(&c.Policy) }
	}
	for want, change := range map[string]func(*passwordless.Config){
		"Store: required":                func(c *passwordless.Config) { c.Store = nil },
		"Sender: required":               func(c *passwordless.Config) { c.Sender = nil },
		"Clients: required":              func(c *passwordless.Config) { c.Clients = nil },
		"AppName: want":                  func(c *passwordless.Config) { c.AppName = "two\nlines" },
		"Issuer: want":                   func(c *passwordless.Config) { c.Issuer = "http://login.example.com/" },
		"PageURL: want":                  func(c *passwordless.Config) { c.PageURL = "https://login.example.com/signin" },
		"Keys: at least one":             func(c *passwordless.Config) { c.Keys = nil },
		"Keys[0].Secret: want":           func(c *passwordless.Config) { c.Keys[0].Secret = c.Keys[0].Secret[:16] },
		"Keys[1].ID: used twice":         func(c *passwordless.Config) { c.Keys = append(c.Keys, c.Keys[0]) },
		"Keys[0].ID: want":               func(c *passwordless.Config) { c.Keys[0].ID = "with space" },
		"IndexKey: want at least":        func(c *passwordless.Config) { c.IndexKey = make([]byte, 64) },
		"IndexKey: also one of":          func(c *passwordless.Config) { c.IndexKey = c.Keys[0].Secret },
		"SigningKeys[0].Key: RSA under":  func(c *passwordless.Config) { c.SigningKeys[0].Key = weakRSA },
		"SigningKeys[0].Key: ECDSA on":   func(c *passwordless.Config) { c.SigningKeys[0].Key = p384 },
		"SigningKeys[1].ID: used twice":  func(c *passwordless.Config) { c.SigningKeys = append(c.SigningKeys, c.SigningKeys[0]) },
		"Tenants[1].ID: used twice":      func(c *passwordless.Config) { c.Tenants = []passwordless.Tenant{{ID: "a"}, {ID: "a"}} },
		"Policy.MaxYearlyRisk: 0.5":      policy(func(p *passwordless.Policy) { p.MaxYearlyRisk = 0.5 }),
		"Policy.MaxYearlyRisk: 1e-12":    policy(func(p *passwordless.Policy) { p.MaxYearlyRisk = 1e-12 }),
		"Policy.EmailLife: 11m0s":        policy(func(p *passwordless.Policy) { p.EmailLife = 11 * time.Minute }),
		"Policy.SMSLife: 30s":            policy(func(p *passwordless.Policy) { p.SMSLife = 30 * time.Second }),
		"Policy.MaxAttempts: 11":         policy(func(p *passwordless.Policy) { p.MaxAttempts = 11 }),
		"Policy.MaxResends: 11":          policy(func(p *passwordless.Policy) { p.MaxResends = 11 }),
		"Policy.ResendCooldown: 9s":      policy(func(p *passwordless.Policy) { p.ResendCooldown = 9 * time.Second }),
		"Policy.Starts[0]: 0 per 1h":     policy(func(p *passwordless.Policy) { p.Starts = []passwordless.Limit{{Per: time.Hour}} }),
		"Policy.SMSGlobal: -1 per":       policy(func(p *passwordless.Policy) { p.SMSGlobal = passwordless.Limit{Count: -1, Per: time.Hour} }),
		"Policy.SMSCountries: 999":       policy(func(p *passwordless.Policy) { p.SMSCountries = []int{999} }),
		"Policy.Session.Absolute: 8784h": policy(func(p *passwordless.Policy) { p.Session.Absolute = 366 * 24 * time.Hour }),
		"Policy.Session.Idle: 1000h":     policy(func(p *passwordless.Policy) { p.Session.Idle = 1000 * time.Hour }),
		"Policy.AccessTokenLife: 25h":    policy(func(p *passwordless.Policy) { p.AccessTokenLife = 25 * time.Hour }),
		"AuthorizationCodeLife: 9s":      policy(func(p *passwordless.Policy) { p.AuthorizationCodeLife = 9 * time.Second }),
		"AuthorizationCodeLife: 10m1s":   policy(func(p *passwordless.Policy) { p.AuthorizationCodeLife = 10*time.Minute + time.Second }),
		"AuthorizationCodeLife: -1m":     policy(func(p *passwordless.Policy) { p.AuthorizationCodeLife = -time.Minute }),
		"ID: want 1 to 64 printable":     client(func(c *passwordless.Client) { c.ID = "" }),
		"Tenant: there is none":          client(func(c *passwordless.Client) { c.Tenant = "nowhere" }),
		"want either Public or":          client(func(c *passwordless.Client) { c.Public = false }),
		"to authenticate: SecretHashes,": client(func(c *passwordless.Client) { c.SecretHashes = []passwordless.SecretHash{{1}} }),
		"means to authenticate: Secret":  client(func(c *passwordless.Client) { c.JWKSURL = "https://app.example.com/jwks" }),
		"want one of JWKS and JWKSURL": client(func(c *passwordless.Client) {
			c.Public, c.JWKS, c.JWKSURL = false, `{"keys":[]}`, "https://app.example.com/jwks"
		}),
		"InsecureWithoutPKCE: only public": client(func(c *passwordless.Client) {
			c.Public, c.SecretHashes, c.InsecureWithoutPKCE = false, []passwordless.SecretHash{{1}}, true
		}),
		"TrustForwarded: a public":      client(func(c *passwordless.Client) { c.TrustForwarded = true }),
		"RedirectURIs[0]":               client(func(c *passwordless.Client) { c.RedirectURIs = []string{"http://example.com/cb"} }),
		"CodeLife: 11m0s":               client(func(c *passwordless.Client) { c.CodeLife = 11 * time.Minute }),
		"Algorithm: no signing key for": client(func(c *passwordless.Client) { c.Algorithm = passwordless.RS256 }),
		"Channels: unknown channel":     client(func(c *passwordless.Client) { c.Channels = []passwordless.Channel{"fax"} }),
		"Clients[1]: ID used twice": func(c *passwordless.Config) {
			c.Clients = append(c.Clients.(passwordless.ClientList)[:1], c.Clients.(passwordless.ClientList)[0])
		},
		"ClosedSignUp needs a Sender": func(c *passwordless.Config) {
			c.Sender = passwordless.SenderFunc(func(context.Context, passwordless.Message) error { return nil })
		},
		"Channels: sms needs Policy.SMSC": policy(func(p *passwordless.Policy) { p.SMSCountries = nil }),
	} {
		w := newWorld(t)
		cfg := w.cfg
		cfg.Keys = append([]passwordless.RingKey(nil), cfg.Keys...)
		cfg.SigningKeys = append([]passwordless.SigningKey(nil), cfg.SigningKeys...)
		change(&cfg)
		_, err := passwordless.New(cfg)
		require.Error(t, err, want)
		assert.Contains(t, err.Error(), want)
	}
}

// A checkedSender has a mistake in its configuration, and would crash if it were nil and asked.
type checkedSender struct{ err error }

func (*checkedSender) Send(context.Context, passwordless.Message) error { return nil }
func (c *checkedSender) Asynchronous() bool                             { return c.err == nil }
func (c *checkedSender) Check() error                                   { return c.err }

func TestNewAsksASenderForItsMistakes(t *testing.T) { // OP-1
	cfg := newWorld(t).cfg
	cfg.Sender = &checkedSender{errors.New("no URL")}
	_, err := passwordless.New(cfg)
	require.ErrorContains(t, err, "\nSender: no URL")
	sound := &checkedSender{}
	routes := sender.ByChannel{passwordless.Email: sound, passwordless.SMS: nil, "fax": sound}
	cfg.Sender = sender.Background(routes, sender.BackgroundOptions{})
	_, err = passwordless.New(cfg)
	require.ErrorContains(t, err, `Sender: sender: ByChannel["fax"]: unknown channel`)
	require.ErrorContains(t, err, `ByChannel["sms"]: no sender`)
	cfg.Sender = sound
	_, err = passwordless.New(cfg)
	require.NoError(t, err)
}

func TestASenderThatIsNilIsMissing(t *testing.T) { // OP-1: an interface that holds a nil is not nil
	for _, missing := range []passwordless.Sender{
		nil, (*checkedSender)(nil), passwordless.SenderFunc(nil), sender.ByChannel(nil), (*sender.Queue)(nil),
	} {
		cfg := newWorld(t).cfg
		cfg.Sender = missing
		_, err := passwordless.New(cfg)
		require.ErrorContains(t, err, "\nSender: required", "%T", missing)
	}
}

func TestNewReportsEveryMistakeAtOnce(t *testing.T) { // OP-1
	_, err := passwordless.New(passwordless.Config{})
	require.Error(t, err)
	for _, part := range []string{"Store", "Sender", "Clients", "AppName", "Issuer", "PageURL", "Keys", "IndexKey"} {
		assert.Contains(t, err.Error(), part+":")
	}
}

func TestNewCopiesWhatItKeeps(t *testing.T) {
	w := newWorld(t)
	list := w.cfg.Clients.(passwordless.ClientList)
	w.cfg.Policy.SMSCountries[0] = 1
	w.cfg.Keys[0].Secret[0] ^= 1
	list[0].Public = false
	started, code := w.start(alice)
	_, err := w.guess(started.Handle, code)
	require.NoError(t, err)
	assert.Equal(t, []int{46, 47}, w.Policy().Policy.SMSCountries)
}

func TestNewCopiesItsClients(t *testing.T) { // OP-1: whoever wipes or changes what was handed over changes nothing
	key := passwordless.RandomKey()
	client := func() passwordless.Client {
		return passwordless.Client{ID: "web", FirstParty: true, SecretHashes: []passwordless.SecretHash{passwordless.HashSecret("s")},
			Channels: []passwordless.Channel{passwordless.Email}, RedirectURIs: []string{callback}, Origins: []string{"https://app.example.com"},
			Algorithm: passwordless.HS256, HS256Key: bytes.Clone(key)}
	}
	list := passwordless.ClientList{client()}
	w := newWorld(t, func(c *passwordless.Config) { c.Clients = list })
	clear(list[0].SecretHashes)
	clear(list[0].Channels)
	clear(list[0].RedirectURIs)
	clear(list[0].Origins)
	clear(list[0].HS256Key)
	list[0] = passwordless.Client{}
	kept, err := w.Client(t.Context(), "web")
	require.NoError(t, err)
	assert.Equal(t, client(), kept)
	token := w.signIn(alice, openid).Tokens.ID
	assert.True(t, verifies(w, token, key))
	assert.False(t, verifies(w, token, make([]byte, len(key))), "signed with a key that everybody knows")
}

func TestPolicyTellsEveryLimit(t *testing.T) { // RL-19, OP-2
	w := newWorld(t)
	report := w.Policy()
	assert.Empty(t, report.Deviations, "the defaults are the secure ones")
	assert.Equal(t, 6, report.CodeDigits)
	assert.Equal(t, strings.TrimLeft(`
MaxYearlyRisk      0.0001
CodeDigits         6
Ledger             45 guesses at one person's short codes at once, 50 a year
EmailLife          10m0s
SMSLife            5m0s
MaxAttempts        5
MaxResends         3
ResendCooldown     30s
StartCooldown      30s
Resend             RepeatSecret
Browser            SameBrowser
EmailSends[0]      3 per 10m0s
EmailSends[1]      5 per 1h0m0s
EmailSends[2]      20 per 24h0m0s
SMSSends[0]        3 per 10m0s
SMSSends[1]        5 per 1h0m0s
SMSSends[2]        10 per 24h0m0s
Starts[0]          10 per 10m0s
Starts[1]          30 per 1h0m0s
Starts[2]          100 per 24h0m0s
Guesses            30 per 5m0s
GlobalFailures     10000 per 24h0m0s
SMSPrefix          10 per 1h0m0s
SMSCountry         500 per 24h0m0s
SMSGlobal          5000 per 24h0m0s
SMSUnverified      30 per 24h0m0s
SMSCountries       [46 47]
Session.Idle       336h0m0s
Session.Absolute   720h0m0s
Session.Grace      10s
AccessTokenLife    10m0s
AuthorizationCodeLife 1m0s
`, "\n"), report.String())

	strict := newWorld(t, func(c *passwordless.Config) {
		c.Policy.MaxYearlyRisk = 1e-6
		c.Policy.Browser = passwordless.InsecureAnyBrowser
	})
	assert.Equal(t, 8, strict.Policy().CodeDigits)
	assert.Len(t, strict.Policy().Deviations, 1)
	_, code := strict.start(alice)
	assert.Len(t, code, 8)
}

func TestEveryOriginIsChecked(t *testing.T) { // HT-3, OP-1
	hostile := []string{"", "*", "null", "app.example.com", "//app.example.com", "http://app.example.com", "https://app.example.com/", "https://app.example.com/x",
		"https://*.example.com", "https://u@app.example.com", "https://APP.example.com", "HTTPS://app.example.com", "https://app.example.com?", "https://app.example.com#",
		"https://app.example.com:", "https://app.example.com:443x", "https://app.example.com ", "https://a.example https://b.example", "https://a.example\r\nX: y", "file://x", "com.example.app:/x"}
	right := []string{"https://app.example.com", "https://app.example.com:8443", "http://localhost:3000", "http://127.0.0.1", "http://[::1]:1"}
	cfg := newWorld(t).cfg
	cfg.Clients = passwordless.ClientList{{ID: "bad", Public: true, Origins: append(hostile, right...)}}
	_, err := passwordless.New(cfg)
	for i, origin := range hostile {
		require.ErrorContains(t, err, fmt.Sprintf("Origins[%d]: want", i), "%q", origin)
	}
	for i, origin := range right {
		assert.NotContains(t, err.Error(), fmt.Sprintf("Origins[%d]: want", len(hostile)+i), "%q", origin)
	}
}

func TestThePolicyNamesWhatACodeMayLack(t *testing.T) { // OP-2
	w := newWorld(t, func(c *passwordless.Config) {
		c.Policy.AuthorizationCodeLife = 2 * time.Minute
		c.Clients = passwordless.ClientList{{ID: "a", Public: true, InsecureWithoutPKCE: true}, {ID: "b", Public: true, InsecureAnyBrowser: true}}
	})
	assert.Equal(t, []string{"AuthorizationCodeLife: 2m0s, weaker than 1m0s", `client "a": InsecureWithoutPKCE`, `client "b": InsecureAnyBrowser`}, w.Policy().Deviations)
	for _, life := range []time.Duration{10 * time.Second, 10 * time.Minute} {
		bound := newWorld(t, func(c *passwordless.Config) { c.Policy.AuthorizationCodeLife = life })
		assert.Equal(t, life, bound.Policy().Policy.AuthorizationCodeLife)
	}
}

func TestThePolicyNamesClientsThatAreWeakerThanIt(t *testing.T) { // OP-2
	w := newWorld(t, func(c *passwordless.Config) {
		c.Clients = passwordless.ClientList{
			{ID: "weak", Public: true, TokenLife: time.Hour, MaxAttempts: 6},
			{ID: "equal", Public: true, TokenLife: 10 * time.Minute, MaxAttempts: 5},
			{ID: "strict", Public: true, TokenLife: time.Minute, MaxAttempts: 1},
			{ID: "silent", Public: true},
		}
	})
	assert.Equal(t, []string{`client "weak": TokenLife: 1h0m0s, weaker than 10m0s`, `client "weak": MaxAttempts: 6, weaker than 5`},
		w.Policy().Deviations)
	w = newWorld(t, func(c *passwordless.Config) {
		c.Policy.AccessTokenLife, c.Policy.MaxAttempts = 2*time.Minute, 2
		c.Clients = passwordless.ClientList{{ID: "web", Public: true, TokenLife: 10 * time.Minute, MaxAttempts: 5}}
	})
	assert.Equal(t, []string{`client "web": TokenLife: 10m0s, weaker than 2m0s`, `client "web": MaxAttempts: 5, weaker than 2`}, w.Policy().Deviations)
}

// An issuer is compared byte by byte, and an origin that is made of it with what browsers write: without the default port.
func TestAnIssuerHasNoDefaultPort(t *testing.T) { // OP-1
	for base, valid := range map[string]bool{"https://login.example.com:443/": false, "http://localhost:80/": false, "http://127.0.0.1:80/": false,
		"https://login.example.com:443/auth/": false, "https://login.example.com:80/": true, "https://login.example.com:8443/": true,
		"http://localhost:443/": true, "http://127.0.0.1:8080/": true, "https://login.example.com/auth/": true, "http://[::1]/": true} {
		cfg := newWorld(t).cfg
		cfg.Issuer, cfg.PageURL = base, base
		_, err := passwordless.New(cfg)
		if valid {
			require.NoError(t, err, base)
			continue
		}
		require.ErrorContains(t, err, "Issuer: want", base)
		require.ErrorContains(t, err, "PageURL: want", base)
	}
}

func TestTenantsAreApart(t *testing.T) { // BD-3, CA-4
	w := newWorld(t, func(c *passwordless.Config) {
		c.Tenants = []passwordless.Tenant{{ID: "a"}, {ID: "b", Name: "Bee"}}
		c.Clients = passwordless.ClientList{{ID: "web", Tenant: "a", Public: true}, {ID: "b-web", Tenant: "b", Public: true}}
	})
	started, code := w.start(alice)
	_, err := w.Verify(t.Context(), passwordless.VerifyRequest{Client: "b-web", Handle: started.Handle, Code: passwordless.Secret(code), Caller: home})
	require.ErrorIs(t, err, passwordless.ErrUnknownChallenge)
	l, err := w.guess(started.Handle, code)
	require.NoError(t, err)
	_, err = w.Directory().Find(t.Context(), "b", l.Identifier)
	require.ErrorIs(t, err, passwordless.ErrNoUser)
	_, err = w.Start(t.Context(), passwordless.StartRequest{Client: "b-web", Channel: passwordless.Email, Address: alice, Caller: home})
	require.NoError(t, err)
	assert.Equal(t, "Bee", w.outbox.last().AppName)
}
