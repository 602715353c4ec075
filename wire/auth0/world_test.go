package auth0_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/internal/httpstory"
	"github.com/seed62b93bad/passwordless/page"
	"github.com/seed62b93bad/passwordless/passwordlesstest"
	"github.com/seed62b93bad/passwordless/sender"
	"github.com/seed62b93bad/passwordless/store/memstore"
	"github.com/seed62b93bad/passwordless/store/storetest"
	"github.com/seed62b93bad/passwordless/wire/auth0"
)

// rsaKey is made once: it takes a while.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		panic(err)
	}
	return key
})

var (
	bothChannels = []passwordless.Channel{passwordless.Email, passwordless.SMS}
	rs256        = passwordless.TokenPolicy{Algorithm: passwordless.RS256}
)

func secretKeys(secret string) passwordless.ClientKeys {
	return passwordless.ClientKeys{SecretHashes: []passwordless.SecretHash{passwordless.HashClientSecret(secret)}}
}

func newKeyring() *passwordless.Keyring {
	return passwordless.NewKeyring(passwordless.RandomKey(), passwordless.RingKey{ID: "k1", Secret: passwordless.RandomKey()})
}

// clients are those of every test.
var clients = passwordless.ClientList{
	{ID: "spa", Public: true, FirstParty: true, Channels: bothChannels, Tokens: rs256,
		Browser: passwordless.ClientBrowser{RedirectURIs: []string{"https://app.example.com/callback"},
			Origins: []string{"https://app.example.com"}}},
	{ID: "web", Keys: secretKeys("web secret+1"), FirstParty: true, Channels: bothChannels, Tokens: rs256, TrustForwarded: true,
		Browser: passwordless.ClientBrowser{InsecureAnyBrowser: true, AppSchemes: true, Origins: []string{"https://web.example.com"},
			RedirectURIs: []string{"https://web.example.com/callback", "https://web.example.com/other?tenant=1",
				"com.example.app:/callback"}}},
	{ID: "keyed", Keys: passwordless.ClientKeys{JWKS: keyedJWKS()}, FirstParty: true, Tokens: rs256,
		Browser: passwordless.ClientBrowser{RedirectURIs: []string{"https://keyed.example.com/callback"}}},
	{ID: "signed", Keys: passwordless.ClientKeys{JWKS: signedJWKS()}, FirstParty: true, Channels: bothChannels, Tokens: rs256},
	{ID: "legacy", Public: true, FirstParty: true, Channels: bothChannels, Tokens: rs256,
		Browser: passwordless.ClientBrowser{InsecureAnyBrowser: true, InsecureWithoutPKCE: true,
			RedirectURIs: []string{"https://legacy.example.com/callback"}}},
	{ID: "careful", Public: true, FirstParty: true, Browser: passwordless.ClientBrowser{InsecureWithoutPKCE: true,
		RedirectURIs: []string{"https://careful.example.com/callback"}}},
	{ID: "api", Keys: secretKeys("api-secret"), FirstParty: true},
	{ID: "open", Keys: secretKeys("open-secret"), FirstParty: true, InsecureOpenStart: true, TrustForwarded: true, Tokens: rs256},
	{ID: "third", Public: true},
	{ID: "closed", Public: true, FirstParty: true, ClosedSignUp: true},
}

// A world is a handler over a service in memory.
type world struct {
	handler *auth0.Handler
	svc     *passwordless.Service
	double  *passwordless.Service // with twice as many guesses, of which half may be at no challenge
	clock   *passwordlesstest.Clock
	outbox  *passwordlesstest.Outbox
	store   *storetest.Faulty
	people  *people // nil: the built-in directory

	mu      sync.Mutex // guards what follows
	sending error
	told    []error
}

// Send keeps the message, unless the test said otherwise.
func (w *world) Send(ctx context.Context, m passwordless.Message) error {
	return w.hand(ctx, m, w.outbox.Send)
}

func (w *world) Asynchronous() bool { return true }

func (w *world) Discard(ctx context.Context, m passwordless.Message) error {
	return w.hand(ctx, m, w.outbox.Discard)
}

func (w *world) hand(ctx context.Context, m passwordless.Message, to sender.Func) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sending != nil {
		return w.sending
	}
	return to(ctx, m)
}

// failures returns what OnError was told.
func (w *world) failures() []error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.told
}

func newWorld(t testing.TB, opts auth0.Options, change ...func(*passwordless.Config)) *world {
	t.Helper()
	signing, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{clock: passwordlesstest.NewClock(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)),
		store: storetest.NewFaulty(memstore.New())}
	w.outbox = &passwordlesstest.Outbox{Clock: w.clock}
	cfg := passwordless.Config{
		Issuer: "https://login.example.com/", AppName: "Example", Store: w.store, Sender: w, Clients: clients, Clock: w.clock,
		Hasher:      newKeyring(),
		SigningKeys: []passwordless.SigningKey{{ID: "rsa", Key: rsaKey()}, {ID: "ec", Key: signing}},
		Policy: passwordless.Policy{SMS: passwordless.SMSPolicy{Countries: []int{46}}, Limits: passwordless.LimitPolicy{
			Starts: []passwordless.Limit{{Count: 1000, Per: time.Hour}}, Guesses: passwordless.Limit{Count: 1000, Per: time.Hour}}},
	}
	for _, c := range change {
		c(&cfg)
	}
	if w.svc, err = passwordless.New(cfg); err != nil {
		t.Fatal(err)
	}
	more := cfg
	more.Policy.Limits.Guesses.Count *= 2
	more.Policy.Limits.Guesses.Per *= 2
	if w.double, err = passwordless.New(more); err != nil {
		t.Fatal(err)
	}
	opts.OnError = func(_ *http.Request, err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.told = append(w.told, err)
	}
	if opts.Pages == nil {
		opts.Pages, err = page.New(w.svc, page.Options{Client: "spa", AppName: "Example"})
		if err != nil {
			t.Fatal(err)
		}
	}
	if w.handler, err = auth0.New(w.svc, opts); err != nil {
		t.Fatal(err)
	}
	return w
}

// story is the world as stories see it.
func (w *world) story() httpstory.World {
	return httpstory.World{Handler: w.handler, Verbs: map[string]func(...string) (string, error){
		"advance": w.advance,
		"code":    w.code,
		"wrong":   wrong,
		"mail":    w.mail,
		"claims":  w.claims,
		"access":  w.access,
		"user":    w.user,
		"store":   w.storeIs,
		"sender":  w.senderIs,
		"link":    w.link,
		"button":  w.button,
		"press":   w.press,
		"assert":  w.assertion,
		"sign":    w.signed,
		"guess":   w.guess,
		"long":    long,
		"pkce":    pkce,
		"revoke":  w.revoke,
		"block":   w.block,
	}}
}

func (w *world) advance(args ...string) (string, error) {
	d, err := time.ParseDuration(args[0])
	w.clock.Advance(d)
	return "", err
}

// code is the newest code sent to an address.
func (w *world) code(args ...string) (string, error) {
	m, ok := w.outbox.Last(args[0])
	if !ok {
		return "", errors.New("no message")
	}
	return m.Code, nil
}

// wrong is a code of the same shape, but not that one.
func wrong(args ...string) (string, error) {
	b := []byte(args[0])
	b[0] = '0' + (b[0]-'0'+1)%10
	return string(b), nil
}

// mail tells how many messages went to an address, and the language of the newest.
func (w *world) mail(args ...string) (string, error) {
	all := w.outbox.To(args[0])
	if len(all) == 0 {
		return "0", nil
	}
	return fmt.Sprintf("%d %s", len(all), all[0].Locale), nil
}

// claims checks a token's RS256 signature against the published keys, and returns what it says.
func (w *world) claims(args ...string) (string, error) {
	parts := strings.Split(args[0], ".")
	if len(parts) != 3 {
		return "", errors.New("no JWT")
	}
	var raw [3][]byte
	for i, part := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
			return "", err
		}
	}
	var head struct{ Alg, Typ, Kid string }
	if err := json.Unmarshal(raw[0], &head); err != nil || head.Alg != "RS256" {
		return "", fmt.Errorf("header %s: %w", raw[0], err)
	}
	key, err := w.publicKey(head.Kid)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], raw[2]); err != nil {
		return "", err
	}
	return string(raw[1]), nil
}

func (w *world) publicKey(kid string) (*rsa.PublicKey, error) {
	var set struct{ Keys []struct{ Kid, N, E string } }
	if err := json.Unmarshal(w.svc.JWKS(), &set); err != nil {
		return nil, err
	}
	for _, k := range set.Keys {
		n, errN := base64.RawURLEncoding.DecodeString(k.N)
		e, errE := base64.RawURLEncoding.DecodeString(k.E)
		if k.Kid == kid && errN == nil && errE == nil {
			return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, nil
		}
	}
	return nil, fmt.Errorf("no RSA key %q", kid)
}

// access checks an access token for an audience and returns its scopes.
func (w *world) access(args ...string) (string, error) {
	t, err := w.svc.VerifyAccessToken(context.Background(),
		passwordless.AccessTokenRequest{Token: passwordless.Secret(args[0]), Audience: args[1]})
	return strings.Join(t.Scopes, " "), err
}

// user adds an unverified user, or one with a status.
func (w *world) user(args ...string) (string, error) {
	u := passwordless.User{Email: passwordless.Address(args[0]), Name: strings.Join(args[2:], " ")}
	if args[1] == "blocked" {
		u.Status = passwordless.UserBlocked
	}
	u, err := w.svc.Directory().Add(context.Background(), "", u)
	return u.ID, err
}

func (w *world) storeIs(args ...string) (string, error) {
	w.store.Heal()
	for _, m := range []storetest.Method{storetest.Load, storetest.Commit} {
		switch args[0] {
		case "down":
			w.store.SpoilAll(m, storetest.Unavailable())
		case "broken":
			w.store.SpoilAll(m, storetest.Fail(errors.New("canary-internal: disk on fire at 10.0.0.1")))
		}
	}
	if args[0] == "uncertain" {
		w.store.SpoilAll(storetest.Commit, storetest.LostRequest())
	}
	return "", nil
}

func (w *world) senderIs(args ...string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sending = map[string]error{
		"well":  nil,
		"down":  fmt.Errorf("%w: canary-internal", passwordless.ErrNotAccepted),
		"tired": fmt.Errorf("canary-internal: %w", context.DeadlineExceeded),
	}[args[0]]
	return "", nil
}

// link is the path and query of the newest link sent to an address.
func (w *world) link(args ...string) (string, error) {
	m, ok := w.outbox.Last(args[0])
	if !ok || m.Link == "" {
		return "", errors.New("no message with a link")
	}
	u, err := url.Parse(m.Link)
	if err != nil {
		return "", err
	}
	return u.RequestURI(), nil
}

// A browser's answer to a page: its status and, if it leads elsewhere, where; of a page with a button "page", and whom
// it names.
func shown(rec *httptest.ResponseRecorder) string {
	text := strconv.Itoa(rec.Code)
	if to := rec.Header().Get("Location"); to != "" {
		return text + " " + to
	}
	page := rec.Body.String()
	switch {
	case nonceField.MatchString(page):
		return text + " page " + strings.Join(maskedAddress.FindStringSubmatch(page), "")
	case codeShown.MatchString(page):
		return text + " code " + strings.ReplaceAll(codeShown.FindStringSubmatch(page)[1], " ", "")
	}
	return text
}

var (
	nonceField    = regexp.MustCompile(`name="nonce" value="([^"]+)"`)
	codeShown     = regexp.MustCompile(`<p class="show">([^<]+)<`)
	maskedAddress = regexp.MustCompile(`[^ <>]+\*\*\*[^ <>]*`)
)

// visit sends what a browser sends from the pages' own origin; cookie is a browser's, or "".
func (w *world) visit(method, target, body, cookie string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", mediaForm)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return rec
}

// button opens a page, and says what it shows.
func (w *world) button(args ...string) (string, error) {
	return shown(w.visit(http.MethodGet, args[0], "", rest(args))), nil
}

func rest(args []string) string { return strings.Join(args[1:], " ") }

// press opens a page and presses its button, and says where that led.
func (w *world) press(args ...string) (string, error) {
	opened := w.visit(http.MethodGet, args[0], "", rest(args))
	field := nonceField.FindStringSubmatch(opened.Body.String())
	if field == nil {
		return "", fmt.Errorf("no button: %s", shown(opened))
	}
	return shown(w.visit(http.MethodPost, args[0], "nonce="+url.QueryEscape(field[1]), rest(args))), nil
}

// keyedKey is the key of the client "keyed".
var keyedKey = sync.OnceValue(func() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
})

func keyedJWKS() string {
	point, err := keyedKey().PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	return fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","kid":"k","x":%q,"y":%q}]}`, b64(point[1:33]), b64(point[33:]))
}

// assertion is one of the client "keyed" for an audience, with the jti given or a new one.
func (w *world) assertion(args ...string) (string, error) {
	jti := rand.Text()
	if len(args) > 1 {
		jti = args[1]
	}
	now := w.clock.Now()
	t := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": "keyed", "sub": "keyed", "aud": args[0], "jti": jti,
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(2 * time.Minute).Unix()})
	return t.SignedString(keyedKey())
}

// signedKey is the key of the client "signed": most SDKs sign with RSA, and name no key.
var signedKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func signedJWKS() string {
	b64 := base64.RawURLEncoding.EncodeToString
	return fmt.Sprintf(`{"keys":[{"kty":"RSA","alg":"RS256","use":"sig","n":%q,"e":"AQAB"}]}`, b64(signedKey().N.Bytes()))
}

// signed is an assertion of the client "signed" for the issuer, with the claims that an SDK puts in.
func (w *world) signed(args ...string) (string, error) {
	now := w.clock.Now()
	claims := jwt.MapClaims{"iss": "signed", "sub": "signed", "aud": "https://login.example.com/", "jti": uuid.NewString(),
		"iat": now.Unix(), "exp": now.Add(3 * time.Minute).Unix()}
	switch args[0] {
	case "go-auth0":
		claims["nbf"], claims["exp"] = now.Unix(), now.Add(2*time.Minute).Unix()
	case "openid-client":
		claims["nbf"], claims["exp"], claims["jti"] = now.Unix(), now.Add(time.Minute).Unix(), strings.Repeat("A", 43-26)+rand.Text()
	case "auth0-PHP":
		claims["jti"] = fmt.Sprintf("%x", sha256.Sum256([]byte(rand.Text()))) // 64 characters, the most that is allowed
	case "auth0.net":
		claims["nbf"], claims["auth_time"] = now.Unix(), fmt.Sprintf("%d.1234567", now.Unix())
	}
	return jwt.NewWithClaims(jwt.SigningMethodRS256, claims).SignedString(signedKey())
}

// guess presents a number of wrong codes, of nobody, from where stories begin.
func (w *world) guess(args ...string) (string, error) {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return "", err
	}
	by, err := w.double.Trusted(context.Background(), "spa", passwordless.Caller{IP: netip.MustParseAddr("192.0.2.1")})
	for range n {
		_, refused := w.double.Verify(context.Background(), by, passwordless.VerifyRequest{
			Channel: passwordless.Email, Address: "nobody@example.com", Code: "123456"})
		if !errors.Is(refused, passwordless.ErrUnknownChallenge) {
			return "", refused
		}
	}
	return "", err
}

// long is a text of a number of bytes.
func long(args ...string) (string, error) {
	n, err := strconv.Atoi(args[0])
	return strings.Repeat("x", n), err
}

// pkce is the S256 challenge of a verifier (RFC 7636).
func pkce(args ...string) (string, error) {
	sum := sha256.Sum256([]byte(args[0]))
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// revoke signs a user out everywhere.
func (w *world) revoke(args ...string) (string, error) {
	u, err := w.find(args[0])
	if err != nil {
		return "", err
	}
	return "", w.svc.RevokeUser(context.Background(), "", u.ID)
}

// find returns the user who holds an e-mail address.
func (w *world) find(address string) (passwordless.User, error) {
	id, err := passwordless.ParseIdentifier(passwordless.Email, passwordless.Address(address))
	if err != nil {
		return passwordless.User{}, err
	}
	return w.svc.Directory().Find(context.Background(), "", id)
}

// block blocks a user. The built-in directory signs the user out everywhere with that, one of the application's own does not.
func (w *world) block(args ...string) (string, error) {
	if w.people != nil {
		w.people.blocked.Store(args[0], true)
		return "", nil
	}
	u, err := w.find(args[0])
	if err != nil {
		return "", err
	}
	_, err = w.svc.Directory().Update(context.Background(), "", u.ID, func(u *passwordless.User) error {
		u.Status = passwordless.UserBlocked
		return nil
	})
	return "", err
}

// people are Users of the application's own, some of whom it has blocked.
type people struct {
	passwordless.Users
	blocked sync.Map // by address
}

func (p *people) Find(ctx context.Context, tenant string, id passwordless.Identifier) (passwordless.User, error) {
	u, err := p.Users.Find(ctx, tenant, id)
	return p.withStatus(u), err
}

func (p *people) Get(ctx context.Context, tenant, userID string) (passwordless.User, error) {
	u, err := p.Users.Get(ctx, tenant, userID)
	return p.withStatus(u), err
}

func (p *people) withStatus(u passwordless.User) passwordless.User {
	if _, blocked := p.blocked.Load(string(u.Email)); blocked {
		u.Status = passwordless.UserBlocked
	}
	return u
}
