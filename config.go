package passwordless

import (
	"context"
	"fmt"
	"io/fs"
	"time"

	"github.com/seed62b93bad/passwordless/internal/limit"
)

// A Config is what New makes a Service from. New copies what it keeps.
type Config struct {
	// Issuer is the URL of the service as the world sees it, with a trailing slash: the iss claim of its tokens. Required.
	// https, or http on a loopback host.
	Issuer string
	// PageURL is the URL at which package page, or pages of your own, are mounted, with a trailing slash. Links in
	// messages are PageURL+"link?t=…", unless a wire's StartRequest.LinkURL says otherwise, and PageURL+"cancel?t=…"; they
	// never depend on a request. Default Issuer.
	PageURL string
	// AppName is what people know the application by. Required.
	AppName string

	Store  Store  // required
	Sender Sender // required; it bounds its own time; see package sender

	// Hasher holds the keys that everything secret derives from. Required; see NewKeyring.
	Hasher Hasher
	// SigningKeys sign tokens; none if no tokens are asked for, or by clients with HS256 alone.
	SigningKeys []SigningKey

	Tenants []Tenant // none: one tenant with the ID ""
	Clients Clients  // required; see ClientList
	Users   Users    // nil: the built-in Directory

	// Human reports whether the application vouches that a person asks for a message: it showed them a captcha, or knows
	// them. It is asked where a limit on the person's messages or on the network's starts would refuse, and lets five more
	// messages a day to the person pass those. It does not lift budgets. The context is that of the call, so a middleware can
	// leave its finding there. Nil: nobody is vouched for.
	Human func(context.Context, Caller, Identifier) bool

	Policy Policy
	// Templates replaces the messages; nil for the built-in ones. See docs/messages.md.
	Templates fs.FS
	// Clock is for tests; nil for the system's.
	Clock Clock
	// Events is called with each event, after the change that it tells of was committed. It runs on the goroutine of the
	// request, so it must be quick, and safe for concurrent use. Nil: events are dropped.
	Events func(context.Context, Event)
	// Timeout bounds each call of the Service or the Directory whose context has no deadline. Default 10 s; negative: none.
	Timeout time.Duration
}

// missing reports each required field that is empty, and each interface that holds a nil pointer.
func (cfg Config) missing() error {
	var f faultList
	f.unlessf(!isNil(cfg.Store), "Store: required")
	f.unlessf(!isNil(cfg.Sender), "Sender: required")
	_, list := cfg.Clients.(ClientList) // its own check reports an empty one
	f.unlessf(list || !isNil(cfg.Clients), "Clients: required")
	f.unlessf(cfg.Users == nil || !isNil(cfg.Users), "Users: holds a nil pointer; leave it out for the built-in Directory")
	f.unlessf(cfg.Clock == nil || !isNil(cfg.Clock), "Clock: holds a nil pointer; leave it out for the system's")
	f.unlessf(cfg.Templates == nil || !isNil(cfg.Templates), "Templates: holds a nil pointer; leave it out for the built-in ones")
	f.unlessf(validName(cfg.AppName), "AppName: want 1 to 64 bytes without control characters")
	const want = "want an https URL (http on a loopback host) that ends in a slash, without query and default port"
	f.unlessf(validBase(cfg.Issuer), "Issuer: "+want)
	f.unlessf(cfg.PageURL == "" || validBase(cfg.PageURL), "PageURL: "+want)
	return joined(f)
}

// A discarder is a Sender that can take a message as if it were to go out (see Sender).
type discarder interface {
	Asynchronous() bool
	Discard(ctx context.Context, m Message) error
}

// asynchronous returns the Sender as one that can discard, or nil if it does not say that it is asynchronous.
func asynchronous(s Sender) discarder {
	d, ok := s.(discarder)
	if !ok || isNil(s) || !d.Asynchronous() {
		return nil
	}
	return d
}

// tenantsByID checks the tenants and gives each its name. Without any there is one whose ID is "".
func tenantsByID(tenants []Tenant, appName string) (map[string]Tenant, error) {
	if len(tenants) == 0 {
		return map[string]Tenant{"": {Name: appName}}, nil
	}
	var f faultList
	byID := map[string]Tenant{}
	for i, t := range tenants {
		f.unlessf(t.Name == "" || validName(t.Name), "Tenants[%d].Name: want at most 64 bytes without control characters", i)
		_, twice := byID[t.ID]
		switch {
		case !printable(t.ID):
			f.addf("Tenants[%d].ID: want 1 to 64 printable ASCII bytes", i)
		case twice:
			f.addf("Tenants[%d].ID: used twice", i)
		}
		t.Name = orDefault(t.Name, appName)
		byID[t.ID] = t
	}
	return byID, joined(f)
}

// limits converts the limits of the policy for package limit.
func (p Policy) limits(tenants int) limit.Policy {
	several := func(list []Limit) (all []limit.Limit) {
		for _, l := range list {
			all = append(all, limit.Limit(l))
		}
		return all
	}
	return limit.Policy{
		YearlyRisk: p.MaxYearlyRisk, DailyRisk: p.MaxDailyRisk, Tenants: tenants,
		EmailSends: several(p.Limits.EmailSends), SMSSends: several(p.Limits.SMSSends),
		NetworkSends: several(p.Limits.KnownNetworkSends), DeviceSends: several(p.Limits.KnownDeviceSends),
		Starts: several(p.Limits.Starts), SiteStarts: several(p.Limits.SiteStarts), Guesses: limit.Limit(p.Limits.Guesses),
		Unanswered: limit.Limit(p.Limits.Unanswered), RefuseUnanswered: p.Limits.RefuseUnanswered,
		SMS: limit.SMS{Prefix: limit.Limit(p.SMS.Prefix), Unverified: limit.Limit(p.SMS.Unverified),
			Country: limit.Limit(p.SMS.Country), Tenant: limit.Limit(p.SMS.Tenant), Everyone: limit.Limit(p.SMS.Global),
			Spend: limit.Limit(p.SMS.Spend), Prices: p.SMS.Prices},
	}
}

// checkSender returns what is wrong with Config.Sender.
func checkSender(s Sender) error {
	if isNil(s) { // missing reports it
		return nil
	}
	if c, ok := s.(interface{ Check() error }); ok {
		if err := c.Check(); err != nil {
			return fmt.Errorf("Sender: %w", err)
		}
	}
	return nil
}
