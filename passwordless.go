// Package passwordless signs people in with one-time codes and links by e-mail and SMS,
// inside a service that you already run.
//
// Give [New] a [Store], a [Sender] and your keys, and it returns a [Service]:
//
//	started, err := svc.Start(ctx, passwordless.StartRequest{Client: "web", Channel: passwordless.Email, Address: typed, Caller: caller})
//	login, err := svc.Verify(ctx, passwordless.VerifyRequest{Client: "web", Handle: started.Handle, Code: code, Caller: caller})
//
// Package page serves ready sign-in pages over a Service, and the packages under wire
// the HTTP interfaces of hosted services, so that their clients work unchanged.
//
// # What it guarantees
//
// On every Store that passes package storetest, across any number of Services on one store:
//
//   - A code or link signs in once. Of concurrent right ones one wins.
//   - No more guesses at a challenge are looked at than it has attempts, whatever runs
//     concurrently, and no resend or restart makes the guesses at one person's short
//     codes more than the guess ledger allows in a year ([Policy.MaxYearlyRisk]).
//   - What the store holds opens nothing without the keys.
//   - A limit, or a store that is down, slow or uncertain, ends in an error, never in a login.
//
// It does not make e-mail or SMS strong: see [Channel] and [Login.Restricted].
//
// # How a request flows
//
// A handler decodes it and makes one call of the Service. The Service loads records, decides in a
// pure function, commits, and only then sends, signs or answers: nothing is revealed before the
// commit succeeded.
package passwordless

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seed62b93bad/passwordless/internal/canon"
	"github.com/seed62b93bad/passwordless/internal/jose"
	"github.com/seed62b93bad/passwordless/internal/message"
	"github.com/seed62b93bad/passwordless/store"
)

// A Clock tells the time.
type Clock interface {
	Now() time.Time
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

// A Config is what New makes a Service from. New copies what it keeps.
type Config struct {
	// Issuer is the URL of the service as the world sees it, with a trailing slash: the iss claim
	// of its tokens. Required. https, or http on a loopback host.
	Issuer string
	// PageURL is the URL at which package page, or pages of your own, are mounted, with a
	// trailing slash. Links in messages are PageURL+"link?t=…", unless a wire's StartRequest.LinkURL says otherwise,
	// and PageURL+"cancel?t=…"; they never depend on a request. Default Issuer.
	PageURL string
	// AppName is what people know the application by. Required.
	AppName string

	Store  Store  // required
	Sender Sender // required; a limit on its time is its own; see package sender

	// Keys is the rotating ring: the first makes new secrets, all verify. Required.
	Keys []RingKey
	// IndexKey names what is found by address. Required, 32 bytes or more, not one of Keys, and never
	// changed: see docs/operations.md for how to move.
	IndexKey SecretBytes
	// SigningKeys sign tokens; none if no tokens are asked for, or by clients with HS256 alone.
	SigningKeys []SigningKey

	Tenants []Tenant // none: one tenant with the ID ""
	Clients Clients  // required; see ClientList
	Users   Users    // nil: the built-in Directory

	Policy Policy
	// Templates replaces the messages; nil for the built-in ones. See docs/messages.md.
	Templates fs.FS
	// Clock is for tests; nil for the system's.
	Clock Clock
	// Events is called after what it tells was committed, from the goroutine of the request: it must be
	// quick. Nil: nobody listens.
	Events func(context.Context, Event)
	// Timeout bounds a call whose context has no deadline, of the Service or the Directory: default 10 s;
	// negative: none.
	Timeout time.Duration
}

// A Service signs people in. It is safe for concurrent use, holds no state of its own but a
// cache of the key sets that clients publish, starts no goroutine and needs no Close. Any number of Services may share a store.
type Service struct {
	issuer, pageURL string
	name            string
	store           Store
	sender          Sender
	async           bool
	ring            *ring
	index           *macKey
	signing         jose.Set
	jwks            []byte // the public keys of signing
	tenants         map[string]Tenant
	clients         Clients
	users           Users
	policy          Policy
	digits          codeFormat
	limits          *limits
	renderer        *message.Renderer
	clock           Clock
	events          func(context.Context, Event)
	timeout         time.Duration
	keySets         *jose.KeySets
}

// Format prints the issuer alone, for every verb: a Service holds keys.
func (s Service) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "passwordless.Service(%s)", s.issuer) }

// New returns a Service. Its error tells every mistake of the configuration at once; an insecure
// one is a mistake.
func New(cfg Config) (*Service, error) {
	s := &Service{
		issuer: cfg.Issuer, pageURL: orDefault(cfg.PageURL, cfg.Issuer), name: cfg.AppName,
		store: cfg.Store, sender: cfg.Sender, clients: cfg.Clients, users: cfg.Users,
		policy: cfg.Policy.withDefaults(), clock: cfg.Clock, events: cfg.Events,
		timeout: orDefault(cfg.Timeout, 10*time.Second),
	}
	if s.clock == nil {
		s.clock = systemClock{}
	}
	s.keySets = jose.NewKeySets(s.clock.Now)
	if s.users == nil {
		s.users = &Directory{s}
	}
	if a, ok := cfg.Sender.(AsyncSender); ok && !isNilSender(cfg.Sender) {
		s.async = a.Asynchronous()
	}
	if err := s.configure(cfg); err != nil {
		return nil, fmt.Errorf("passwordless: configuration:\n%w", err)
	}
	return s, nil
}

// configure fills in the parts that can be wrong and reports all that are.
func (s *Service) configure(cfg Config) error {
	errs := s.missing(cfg)
	add := func(err error) { errs = append(errs, err) }
	var err error
	s.ring, err = newRing(cfg.Keys)
	add(err)
	add(s.setIndex(cfg))
	add(s.setSigning(cfg.SigningKeys))
	add(s.setTenants(cfg.Tenants))
	if err = s.policy.validate(); err == nil {
		s.digits, _ = shortest(s.policy.MaxYearlyRisk)
		s.limits = newLimits(s.policy, s.index)
	}
	add(err)
	add(s.checkCountries())
	s.renderer, err = message.New(cfg.Templates, hostOf(s.pageURL))
	add(mistakesIn("Templates", err))
	if list, ok := cfg.Clients.(ClientList); ok {
		list = list.clone()
		s.clients = list
		add(list.validate(s))
	}
	return errors.Join(errs...)
}

// missing checks what must be there.
func (s *Service) missing(cfg Config) (errs []error) {
	need := func(ok bool, what string) {
		if !ok {
			errs = append(errs, errors.New(what))
		}
	}
	need(cfg.Store != nil, "Store: required")
	errs = append(errs, checkSender(cfg.Sender))
	need(cfg.Clients != nil, "Clients: required")
	need(validName(cfg.AppName), "AppName: want 1 to 64 bytes without control characters")
	need(validBase(s.issuer), "Issuer: want an https URL that ends in a slash (http on loopback only)")
	need(validBase(s.pageURL), "PageURL: want an https URL that ends in a slash (http on loopback only)")
	return errs
}

// validName reports whether people can be shown a name in a message.
func validName(name string) bool {
	return name != "" && len(name) <= 64 && !strings.ContainsFunc(name, isControl) && message.CheckAppName(name) == nil
}

func isControl(r rune) bool {
	return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029
}

// validBase reports whether a URL can begin links and name an issuer.
func validBase(base string) bool {
	u, err := url.Parse(base)
	return err == nil && canon.RedirectURI(base, canon.RedirectRules{}) == nil && strings.HasSuffix(base, "/") && u.RawQuery == "" &&
		canon.Origin(u.Scheme+"://"+u.Host) == nil // without the port that browsers leave out
}

// validLinkURL reports whether a URL can begin links.
func validLinkURL(base string) bool {
	return canon.RedirectURI(base, canon.RedirectRules{}) == nil && !strings.Contains(base, "?")
}

// hostOf is the host that text messages are bound to. A wrong base, which missing reports, gets
// one that stands in, so that the templates are checked and the base is not reported twice.
func hostOf(base string) string {
	u, err := url.Parse(base)
	if err != nil || !validBase(base) {
		return "localhost"
	}
	return u.Hostname()
}

// mistakesIn begins each error that err joins with the name of the field that they are in.
func mistakesIn(field string, err error) error {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return err
	}
	var errs []error
	for _, e := range joined.Unwrap() {
		errs = append(errs, fmt.Errorf("%s: %w", field, e))
	}
	return errors.Join(errs...)
}

func (s *Service) setIndex(cfg Config) error {
	if weakKey(cfg.IndexKey) {
		return fmt.Errorf("IndexKey: want at least %d random bytes", minKey)
	}
	for _, k := range cfg.Keys {
		if string(k.Secret) == string(cfg.IndexKey) {
			return errors.New("IndexKey: also one of Keys")
		}
	}
	s.index = newMACKey("index", cfg.IndexKey)
	return nil
}

func (s *Service) setTenants(tenants []Tenant) error {
	s.tenants = map[string]Tenant{}
	if len(tenants) == 0 {
		s.tenants[""] = Tenant{Name: s.name}
	}
	var errs []error
	for i, t := range tenants {
		if !printable(t.ID) {
			errs = append(errs, fmt.Errorf("Tenants[%d].ID: want 1 to 64 printable ASCII bytes", i))
		}
		if t.Name != "" && !validName(t.Name) {
			errs = append(errs, fmt.Errorf("Tenants[%d].Name: want at most 64 bytes without control characters", i))
		}
		if _, twice := s.tenants[t.ID]; twice {
			errs = append(errs, fmt.Errorf("Tenants[%d].ID: used twice", i))
		}
		t.Name = orDefault(t.Name, s.name)
		s.tenants[t.ID] = t
	}
	return errors.Join(errs...)
}

func (s *Service) checkCountries() error {
	for _, code := range s.policy.SMSCountries {
		if canon.CallingCode(fmt.Sprintf("+%d00000000", code)) != code {
			return fmt.Errorf("Policy.SMSCountries: %d is no calling code", code)
		}
	}
	return nil
}

// Policy returns every limit and choice in force.
func (s *Service) Policy() PolicyReport {
	r := PolicyReport{Policy: s.policy, CodeDigits: s.digits.length,
		Ledger: fmt.Sprintf("%d guesses at one person's short codes at once, %d a year", ledgerBurst, ledgerYear)}
	p := &r.Policy
	p.SMSCountries = slices.Clone(p.SMSCountries)
	p.EmailSends, p.SMSSends, p.Starts = slices.Clone(p.EmailSends), slices.Clone(p.SMSSends), slices.Clone(p.Starts)
	r.Deviations = weakened(s.policy)
	if s.policy.StartCooldown < 0 {
		r.Deviations = append(r.Deviations, "StartCooldown: a repeated start sends again")
	}
	if s.policy.Browser == InsecureAnyBrowser {
		r.Deviations = append(r.Deviations, "InsecureAnyBrowser: a link signs in whatever browser opens it")
	}
	list, _ := s.clients.(ClientList)
	for _, c := range list {
		for _, d := range c.deviations(s.policy) {
			r.Deviations = append(r.Deviations, fmt.Sprintf("client %q: %s", c.ID, d))
		}
	}
	return r
}

// PageURL returns the URL at which the sign-in pages are mounted, with a trailing slash.
func (s *Service) PageURL() string { return s.pageURL }

// AppName returns what people know a client by: its name, its tenant's, or the application's.
func (s *Service) AppName(c Client) string { return orDefault(c.Name, s.tenants[c.Tenant].Name) }

// now reads the clock.
func (s *Service) now() store.Instant { return store.InstantOf(s.clock.Now()) }

// bounded gives ctx a deadline if it has none.
func (s *Service) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has || s.timeout < 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, s.timeout)
}

// afterwards is the context of what must be undone whether or not the caller still waits.
func afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
}

// commitTries bounds how often a commit of unknown outcome is repeated.
const commitTries = 3

// commit commits a batch, and returns how full its buckets are then; nil if nobody told. One of unknown outcome is repeated:
// the store finds its own versions if it was applied, and applies it if not. If no answer ever arrives, the record of the
// deciding put tells, or of the first put where none decides.
func (s *Service) commit(ctx context.Context, now store.Instant, b store.Batch) (store.Levels, error) {
	if len(b.Charges)+len(b.GiveBacks)+len(b.Puts)+len(b.Deletes) == 0 {
		return nil, nil
	}
	var levels store.Levels
	var err error
	for range commitTries {
		levels, err = s.store.Commit(ctx, now, b)
		if !errors.Is(err, store.ErrUncertain) || len(b.Puts) == 0 || ctx.Err() != nil {
			return levels, toLimited(&b, now, err)
		}
	}
	deciding := max(0, slices.IndexFunc(b.Puts, func(p store.Put) bool { return p.Stage == store.StageDecide }))
	put := b.Puts[deciding].Record
	recs, lost := s.store.Load(ctx, now, put.Key)
	if lost == nil && recs[0].Version == put.Version {
		return nil, nil
	}
	return nil, err
}

// failed wraps an error of the store or the directory with what was attempted, and reports it.
func (s *Service) failed(ctx context.Context, what string, err error) error {
	s.emit(ctx, Event{Type: EventFailed, At: s.now().Time(), Reason: what})
	return fmt.Errorf("passwordless: %s: %w", what, err)
}

// Sweep removes at most limit (1 or more) expired records and full buckets and returns how many. Schedule
// it, every minute or so (on Redis every hour), until it returns less than limit.
func (s *Service) Sweep(ctx context.Context, limit int) (int, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	if limit < 1 {
		return 0, &InputError{"limit", "want 1 or more"}
	}
	n, err := s.store.Sweep(ctx, s.now(), limit)
	if err != nil {
		return n, s.failed(ctx, "sweeping", err)
	}
	return n, nil
}

// indexed names something under the index key.
func (s *Service) indexed(label string, fields ...string) name {
	return nameOf(s.index.sum(label, fields...))
}

func (s *Service) personName(tenant string, id Identifier) name {
	return s.indexed("person", tenant, string(id.Channel), id.Address)
}

func (s *Service) userName(tenant, id string) name { return s.indexed("user", tenant, id) }

// tenantName owns the tenant's users.
func (s *Service) tenantName(tenant string) name { return s.indexed("tenant", tenant) }

func (s *Service) networkName(ip netip.Addr) name {
	network := canon.Network(ip)
	a := network.Addr().As16()
	return s.indexed("network", string(a[:]))
}

// slotName is where a handleless challenge of a client and a person is.
func (s *Service) slotName(c Client, person name) name {
	return s.indexed("slot", c.Tenant, c.ID, string(person))
}

// RandomKey returns 32 bytes fit for RingKey.Secret or IndexKey. Make it once and keep it.
func RandomKey() SecretBytes {
	b := make([]byte, minKey)
	rand.Read(b)
	return b
}
