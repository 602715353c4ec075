package passwordless

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/seed62b93bad/passwordless/internal/canon"
	"github.com/seed62b93bad/passwordless/internal/jose"
	"github.com/seed62b93bad/passwordless/internal/limit"
)

// A Tenant is a set of clients and users of its own. Nothing made in one works in another.
type Tenant struct {
	ID   string // 1 to 64 printable ASCII bytes, no spaces
	Name string // the application's name as shown to people; default Config.AppName
}

// A SecretHash is a client secret as it is kept: its SHA-256. Client secrets are random (ASVS 5.0, 11.5.1); a hash of a
// secret that people chose is guessed easily.
type SecretHash [sha256.Size]byte

// HashClientSecret returns the hash of a client secret.
func HashClientSecret(secret string) SecretHash { return sha256.Sum256([]byte(secret)) }

// A Client is an application that asks for sign-ins.
type Client struct {
	ID     string // 1 to 64 printable ASCII bytes, unique across tenants
	Tenant string // the ID of a tenant; "" when Config.Tenants is empty
	Name   string // as shown to people; default the tenant's

	// Public marks a client that can keep neither a secret nor a key. Any other one is confidential, and proves itself
	// with one of its Keys.
	Public bool
	// FirstParty allows the grant in which the application itself takes the code from the person. Give it to your own
	// applications only (RFC 9700, 2.4 on why).
	FirstParty bool
	Keys       ClientKeys
	// TrustForwarded lets this confidential client name the end user's network address for limits, on calls that it
	// authenticated.
	TrustForwarded bool
	// InsecureOpenStart lets anybody start, and resend, in the name of this confidential client: messages go out that it
	// did not ask for. It still proves itself for everything else.
	InsecureOpenStart bool

	Channels []Channel // that it may use; default Email
	// ClosedSignUp sends nothing to addresses that no user holds, or a blocked one, and answers as if it had. It needs a
	// Sender that is asynchronous, which discards those messages. By default a user is made when an address is proved.
	ClosedSignUp bool
	Browser      ClientBrowser

	// These replace what the policy says for this client, field by field: a zero field takes the policy's. The bounds are
	// the same, and what is weaker than in the policy is a deviation in Service.Policy.
	Codes    CodePolicy
	Sessions SessionPolicy
	Tokens   TokenPolicy
}

// ClientKeys is how a confidential client proves itself, with SecretHashes or with assertions, and what HS256 signs with.
type ClientKeys struct {
	// SecretHashes authenticate the client; several allow rotation.
	SecretHashes []SecretHash
	// JWKS is the key set (RFC 7517) of a client that authenticates with assertions (private_key_jwt, RFC 7523): public
	// keys alone, as JSON. JWKSURL, instead, is where the client publishes it, https or http on loopback; see
	// Service.Authenticate for how it is read.
	JWKS    string
	JWKSURL string
	// HS256Key signs the ID tokens of a client whose algorithm is HS256: 32 random bytes or more, and not one of its
	// secrets, which are kept as hashes.
	HS256Key SecretBytes
}

// ClientBrowser is where a client may send browsers, and what their links and authorization codes are bound to.
type ClientBrowser struct {
	RedirectURIs []string // exactly as they will be asked for; https, or http on loopback
	// Origins are the web origins whose scripts may call for the client from browsers (CORS), and to which its redirect URIs may
	// lead browsers on, as browsers write them: https://app.example.com, or http on loopback. The issuer's own needs no mention.
	Origins    []string
	AppSchemes bool // accepts RedirectURIs of native apps, com.example.app:/path (RFC 8252, 7.1)
	// InsecureHTTPRedirects accepts http RedirectURIs to any host: whoever watches the network takes over the sign-ins
	// that end there.
	InsecureHTTPRedirects bool
	// InsecureAnyBrowser lets a link finish in whatever browser opens it, if the finish is an authorization code and the
	// start had a state or a PKCE challenge: then the application can tell, and must, whether the sign-in that ends in its
	// browser began there. Any other link of the client finishes in the browser that asked for it.
	InsecureAnyBrowser bool
	// InsecureWithoutPKCE gives a public client authorization codes that are bound to no PKCE challenge, which RFC 9700,
	// 2.1.1 forbids: whoever gets hold of such a code can exchange it.
	InsecureWithoutPKCE bool
}

// choices are the fields of a client that weaken it when they are true.
var choices = [...]struct {
	name string
	made func(Client) bool
}{
	{"TrustForwarded", func(c Client) bool { return c.TrustForwarded }},
	{"InsecureOpenStart", func(c Client) bool { return c.InsecureOpenStart }},
	{"Browser.InsecureHTTPRedirects", func(c Client) bool { return c.Browser.InsecureHTTPRedirects }},
	{"Browser.InsecureAnyBrowser", func(c Client) bool { return c.Browser.InsecureAnyBrowser }},
	{"Browser.InsecureWithoutPKCE", func(c Client) bool { return c.Browser.InsecureWithoutPKCE }},
}

// deviations names the choices that weaken the client, and each of its settings that is weaker than the policy's.
func (c Client) deviations(p Policy) (all []string) {
	for _, choice := range choices {
		if choice.made(c) {
			all = append(all, choice.name)
		}
	}
	return append(all, c.over(&p).weakerThan(&p)...)
}

// Clients finds clients. [ClientList] is one for a fixed set.
type Clients interface {
	// Client returns the client with the ID, or an error matching ErrUnknownClient. It is called once a request and should
	// be fast.
	Client(ctx context.Context, id string) (Client, error)
}

// OriginClients is Clients that find web origins too. Browsers ask whether they may call from an origin before they say
// for which client (CORS preflight). Without this interface no origin may.
type OriginClients interface {
	Clients
	// HasOrigin reports whether any client has registered the origin, byte for byte.
	HasOrigin(ctx context.Context, origin string) (bool, error)
}

// A ClientList is Clients from a fixed set of one or more. New checks each of them.
type ClientList []Client

// Client returns the client with the ID.
func (l ClientList) Client(_ context.Context, id string) (Client, error) {
	for _, c := range l {
		if c.ID == id {
			return c, nil
		}
	}
	return Client{}, ErrUnknownClient
}

// HasOrigin reports whether a client has registered the web origin.
func (l ClientList) HasOrigin(_ context.Context, origin string) (bool, error) {
	return slices.ContainsFunc(l, func(c Client) bool { return slices.Contains(c.Browser.Origins, origin) }), nil
}

// clone copies what the client holds.
func (c Client) clone() Client {
	c.Channels = slices.Clone(c.Channels)
	c.Keys.SecretHashes, c.Keys.HS256Key = slices.Clone(c.Keys.SecretHashes), slices.Clone(c.Keys.HS256Key)
	c.Browser.RedirectURIs, c.Browser.Origins = slices.Clone(c.Browser.RedirectURIs), slices.Clone(c.Browser.Origins)
	return c
}

// authenticates reports in constant time whether secret is one of the client's.
func (c Client) authenticates(secret Secret) bool {
	hash := HashClientSecret(secret.Reveal())
	ok := 0
	for _, h := range c.Keys.SecretHashes {
		ok |= subtle.ConstantTimeCompare(h[:], hash[:])
	}
	return ok == 1
}

// AllowsRedirect reports whether uri is registered: equal byte for byte (RFC 9700, 2.1).
func (c Client) AllowsRedirect(uri string) bool {
	return canon.SameRedirect(c.Browser.RedirectURIs, uri)
}

// A clientEnv is what the rest of the configuration decides about clients.
type clientEnv struct {
	policy  Policy                   // with its defaults
	tenants map[string]Tenant        // by ID
	async   bool                     // the Sender is asynchronous
	signs   func(Algorithm) bool     // whether a signing key is for it; nil if the signing keys are wrong themselves
	keeps   func(secret []byte) bool // whether a secret is a key of Config.Hasher, as far as it tells
	keySet  func(jwks string) error  // what is wrong with the text of a key set
}

// validate reports every mistake of the list.
func (l ClientList) validate(e clientEnv) error {
	if len(l) == 0 {
		return errors.New("Clients: ClientList is empty")
	}
	var errs []error
	for i, c := range l {
		label := fmt.Sprintf("Client %q", c.ID)
		if !printable(c.ID) {
			label = fmt.Sprintf("Clients[%d]", i)
		}
		faults := c.faults(e)
		for _, other := range l[:i] {
			if c.ID == other.ID && printable(c.ID) {
				faults = append(faults, fmt.Sprintf("ID: used twice, the second time by Clients[%d]", i))
			}
			if len(c.Keys.HS256Key) > 0 && string(c.Keys.HS256Key) == string(other.Keys.HS256Key) {
				faults = append(faults, "Keys.HS256Key: also that of another client, who could write tokens for this one")
			}
		}
		errs = append(errs, labelled(label, faults))
	}
	return errors.Join(errs...)
}

// validate reports every mistake of a client.
func (c Client) validate(e clientEnv) error {
	return labelled(fmt.Sprintf("Client %q", c.ID), c.faults(e))
}

func labelled(label string, faults []string) error {
	var errs []error
	for _, fault := range faults {
		errs = append(errs, errors.New(label+": "+fault))
	}
	return errors.Join(errs...)
}

// faults tells what is wrong with a client; each fault begins with the field.
func (c Client) faults(e clientEnv) []string {
	var f faultList
	f.unlessf(printable(c.ID), "ID: want 1 to 64 printable ASCII bytes")
	f.unlessf(c.Name == "" || validName(c.Name), "Name: want at most 64 bytes without control characters")
	_, known := e.tenants[c.Tenant]
	f.unlessf(known, "Tenant: %q is no ID of Config.Tenants", c.Tenant)
	for _, ch := range c.Channels {
		f.unlessf(ch == Email || ch == SMS, "Channels: unknown channel %q", ch)
		f.unlessf(ch != SMS || len(e.policy.SMS.Countries) > 0, "Channels: sms needs Policy.SMS.Countries")
	}
	f.unlessf(!c.ClosedSignUp || e.async,
		"ClosedSignUp: needs a Sender that is asynchronous and can discard, or the time of an answer tells who has an account; "+
			"see sender.Background")
	c.keyFaults(&f, e)
	c.browserFaults(&f)
	c.policyFaults(&f, &e.policy)
	c.algorithmFaults(&f, e)
	return f
}

// keyFaults checks what the client proves itself with, and what is only for one that can.
func (c Client) keyFaults(f *faultList, e clientEnv) {
	keys := c.Keys
	proves := len(keys.SecretHashes) > 0 || keys.JWKS != "" || keys.JWKSURL != ""
	f.unlessf(proves || c.Public, "Keys: want SecretHashes, JWKS or JWKSURL, or a client that is Public")
	f.unlessf(!proves || !c.Public, "Public: a public client cannot have Keys.SecretHashes, Keys.JWKS or Keys.JWKSURL")
	f.unlessf(keys.JWKS == "" || keys.JWKSURL == "", "Keys: want one of JWKS and JWKSURL")
	for i, h := range keys.SecretHashes {
		f.unlessf(h != SecretHash{} && h != HashClientSecret(""), "Keys.SecretHashes[%d]: the secret is empty", i)
	}
	if keys.JWKS != "" {
		err := e.keySet(keys.JWKS)
		f.unlessf(err == nil, "Keys.JWKS: %s", strings.ReplaceAll(fmt.Sprint(err), "\n", "; "))
	}
	if keys.JWKSURL != "" {
		fault := redirectFault(keys.JWKSURL, canon.RedirectRules{}, "want https, or http on a loopback host")
		f.unlessf(fault == "", "Keys.JWKSURL: %s", fault)
	}
	f.unlessf(!c.TrustForwarded || !c.Public, "TrustForwarded: a public client cannot be trusted with it")
	f.unlessf(!c.InsecureOpenStart || !c.Public, "InsecureOpenStart: a public client never proves itself; leave it out")
	f.unlessf(!c.Browser.InsecureWithoutPKCE || c.Public, "Browser.InsecureWithoutPKCE: only public clients need PKCE; leave it out")
}

func (c Client) browserFaults(f *faultList) {
	rules := canon.RedirectRules{InsecureHTTP: c.Browser.InsecureHTTPRedirects, AppSchemes: c.Browser.AppSchemes}
	for i, uri := range c.Browser.RedirectURIs {
		fault := redirectFault(uri, rules, "want https, or http on a loopback host; Browser.AppSchemes accepts an app's own scheme "+
			"with a dot (com.example.app:/cb), Browser.InsecureHTTPRedirects http to any host")
		f.unlessf(fault == "", "Browser.RedirectURIs[%d]: %.80q: %s", i, uri, fault)
	}
	for i, origin := range c.Browser.Origins {
		f.unlessf(canon.Origin(origin) == nil,
			"Browser.Origins[%d]: %.80q: want https://host, or http on a loopback host, and nothing behind the port", i, origin)
	}
}

// redirectFault tells which rule a URL breaks; "" for none. If it is the scheme, the answer is schemes.
func redirectFault(uri string, rules canon.RedirectRules, schemes string) string {
	switch err := canon.RedirectURI(uri, rules); {
	case err == nil:
		return ""
	case errors.Is(err, canon.ErrScheme):
		return schemes
	default:
		return strings.TrimPrefix(err.Error(), "canon: ")
	}
}

// policyFaults checks what the client says itself, and whether that fits what it takes from the policy. Mistakes in the
// policy are not reported again.
func (c Client) policyFaults(f *faultList, base *Policy) {
	own, in := c.overrides(), c.over(base)
	for _, k := range knobs {
		if k.says(own) {
			*f = append(*f, k.faults(in)...)
		}
		if k.fits != nil && k.fits(base) == "" && k.fits(in) != "" {
			f.addf("%s", k.fits(in))
		}
	}
}

// algorithmFaults checks that there is a key for the client's tokens. Mistakes that policyFaults or the policy's own
// check report are not reported again.
func (c Client) algorithmFaults(f *faultList, e clientEnv) {
	key := c.Keys.HS256Key
	_, _, tokens := e.policy.resolve(c)
	switch {
	case !slices.Contains(algorithms, tokens.Algorithm):
	case tokens.Algorithm != HS256:
		fault := unsigned(c.Tokens.Algorithm, e.signs)
		f.unlessf(fault == "", "%s", fault)
		f.unlessf(len(key) == 0, "Keys.HS256Key: only Tokens.Algorithm HS256 signs with it")
	case c.Public:
		f.addf("Tokens.Algorithm: HS256 needs Keys.HS256Key, which a public client cannot keep; name another")
	case weakKey(key):
		f.addf("Keys.HS256Key: want at least %d random bytes", minKey)
	case c.authenticates(Secret(key)):
		f.addf("Keys.HS256Key: also one of the client's secrets")
	case e.keeps(key):
		f.addf("Keys.HS256Key: also a key of Config.Hasher")
	}
}

// A client is a Client that was checked, with what follows from it and the policy. Immutable.
type client struct {
	Client
	was        Client // as Clients returned it
	codes      CodePolicy
	sessions   SessionPolicy
	tokens     TokenPolicy
	first      limit.Rung    // that its codes begin at
	shape      limit.Shape   // what its screens take
	shared     *limit.Tenant // the names of its tenant's buckets
	assertions []jose.PublicKey
}

// compile makes a client of one that was checked.
func compile(c Client, p Policy, first limit.Rung) *client {
	compiled := &client{Client: c.clone(), was: c.clone(), first: first, shared: limit.NewTenant(c.Tenant)}
	if len(c.Channels) == 0 {
		compiled.Channels = []Channel{Email}
	}
	compiled.codes, compiled.sessions, compiled.tokens = p.resolve(c)
	switch most := compiled.codes.MaxDigits; {
	case most >= limit.MaxDigits:
		compiled.shape = limit.DigitsOnly
	case most > 0:
		compiled.shape = limit.FewDigits
	}
	if c.Keys.JWKS != "" {
		compiled.assertions, _, _ = jose.ParseKeySet([]byte(c.Keys.JWKS)) // the check found no mistake
	}
	return compiled
}

// nobody is the client of a challenge that is not there.
var nobody = &client{shared: limit.NewTenant("")}

// plan is that of a call which makes a message for the client.
func (c *client) plan(ch Channel) limit.Plan {
	return limit.Plan{Sends: true, Codes: limit.Codes{First: c.first, Shape: c.shape, Links: ch == Email}}
}

// maxCompiled is how many checked clients are remembered at most. Names without a client take no room.
const maxCompiled = 4096

// compiledClients remembers clients that were checked. A client that Clients returns with other values than before is
// checked again. Safe for concurrent use.
type compiledClients struct {
	mu   sync.RWMutex // guards byID
	byID map[string]*client
}

func (c *compiledClients) get(id string) *client {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.byID[id]
}

func (c *compiledClients) put(one *client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID == nil || len(c.byID) >= maxCompiled {
		c.byID = map[string]*client{}
	}
	c.byID[one.ID] = one
}

// overrides is what a client says itself.
func (c Client) overrides() *Policy {
	return &Policy{Codes: c.Codes, Sessions: c.Sessions, Tokens: c.Tokens}
}

// over is what holds for the client, of a policy that has its defaults.
func (c Client) over(base *Policy) *Policy {
	p := c.overrides()
	for _, k := range knobs {
		k.inherit(p, base)
		k.floor(p, -1)
	}
	return p
}

// resolve returns what holds for a client, of a policy that has its defaults. Here a field that means none is 0.
func (p Policy) resolve(c Client) (CodePolicy, SessionPolicy, TokenPolicy) {
	in := c.over(&p)
	for _, k := range knobs {
		k.floor(in, 0)
	}
	return in.Codes, in.Sessions, in.Tokens
}

// report describes a policy that has its defaults, and the clients that are known.
func (p Policy) report(clients []Client) PolicyReport {
	first, _ := limit.First(p.MaxYearlyRisk)
	r := PolicyReport{Policy: p.clone(), CodeDigits: int(first) + limit.MinDigits,
		SignIns: int(math.Round(p.MaxDailyRisk / riskWithHandle)), SignInsByAddress: int(math.Round(p.MaxDailyRisk / riskByAddress))}
	for _, d := range p.weakerThan(defaults()) {
		r.Deviations = append(r.Deviations, "Policy."+d)
	}
	for _, c := range clients {
		for _, d := range c.deviations(p) {
			r.Deviations = append(r.Deviations, fmt.Sprintf("Client %q: %s", c.ID, d))
		}
	}
	return r
}
