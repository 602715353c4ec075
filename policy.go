package passwordless

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

// A Limit is Count at once, and one more each Per/Count after that (so at most
// twice Count in any Per).
type Limit struct {
	Count int
	Per   time.Duration
}

func (l Limit) window(cost, extra int64) store.Window {
	every := (l.Per / time.Duration(l.Count)).Truncate(time.Microsecond)
	return store.Window{Burst: int64(l.Count) + extra, Every: every, Cost: cost}
}

func (l Limit) String() string { return fmt.Sprintf("%d per %v", l.Count, l.Per) }

// A ResendPolicy says what a resend sends.
type ResendPolicy uint8

const (
	// RepeatSecret sends the same code and link again: whichever message
	// arrives first works.
	RepeatSecret ResendPolicy = iota
	// ReplaceSecret sends a new code and link; the former ones stop working.
	ReplaceSecret
)

// A BrowserPolicy says where a link finishes a sign-in.
type BrowserPolicy uint8

const (
	// SameBrowser finishes only in the browser that asked; in any other one the
	// page shows a code to type where the person began (security: login CSRF and
	// cross-device phishing).
	SameBrowser BrowserPolicy = iota
	// InsecureAnyBrowser finishes wherever the link is opened. Whoever can make a victim
	// open a link signs the victim in to an account of the attacker's choice. Only fit
	// where finishing returns a code to a client that checks state or PKCE.
	InsecureAnyBrowser
)

// String names the policy as its constant does.
func (p ResendPolicy) String() string {
	if p == ReplaceSecret {
		return "ReplaceSecret"
	}
	return "RepeatSecret"
}

// String names the policy as its constant does.
func (p BrowserPolicy) String() string {
	if p == InsecureAnyBrowser {
		return "InsecureAnyBrowser"
	}
	return "SameBrowser"
}

// Policy is every limit and choice. The zero value of each field means its
// default; New refuses values that a limit of the standards excludes.
type Policy struct {
	// MaxYearlyRisk is the accepted probability that an attacker who never stops
	// guesses a code of one address within a year; an account with two addresses has it
	// twice. It decides the length of codes: 1e-4 gives six digits, 1e-6 eight. Default 1e-4.
	MaxYearlyRisk float64

	EmailLife time.Duration // of a code or link by e-mail; default and most 10 minutes (NIST SP 800-63B-4, 3.1.3.2)
	SMSLife   time.Duration // of a code by SMS; default 5 minutes, most 10

	MaxAttempts    int           // guesses a challenge; default 5, most 10
	MaxResends     int           // of one challenge; default 3, most 10; negative: none
	ResendCooldown time.Duration // before the first resend, doubled for each next; default 30 s, least 10 s
	StartCooldown  time.Duration // in which a repeated start is answered without a message; default 30 s; negative: none
	Resend         ResendPolicy  // default RepeatSecret
	Browser        BrowserPolicy // default SameBrowser

	EmailSends      []Limit // messages to one address; default 3 per 10 min, 5 per h, 20 per 24 h
	SMSSends        []Limit // messages to one number; default 3 per 10 min, 5 per h, 10 per 24 h
	Starts          []Limit // starts and resends of one network (IPv4, or IPv6 /64); default 10 per 10 min, 30 per h, 100 per 24 h
	Guesses         Limit   // verifies of one network; default 30 per 5 min
	GlobalFailures  Limit   // failed verifies of all; beyond it new codes are long; default 10,000 per 24 h
	SMSCountries    []int   // calling codes that SMS may go to; default none
	SMSPrefix       Limit   // messages to numbers that differ in their last four digits only; default 10 per h
	SMSCountry      Limit   // messages to one country; default 500 per 24 h
	SMSGlobal       Limit   // messages to all countries; default 5,000 per 24 h
	SMSUnverified   Limit   // messages to one prefix that nobody answers with the right code; default 30 per 24 h
	Session         SessionPolicy
	AccessTokenLife time.Duration // default 10 minutes, most 24 hours
	// AuthorizationCodeLife is how long a client has to exchange an authorization code; default one minute, most 10.
	AuthorizationCodeLife time.Duration
}

// SessionPolicy bounds sessions and refresh families.
type SessionPolicy struct {
	Idle     time.Duration // without use; default 14 days
	Absolute time.Duration // since sign-in; default 30 days, most 365 (NIST SP 800-63B-4, 2.1.3 recommends 30)
	// Grace is how long the token before the current one is answered with the
	// current one, for clients whose answer got lost. Default 10 s, most 2 minutes; negative: none.
	Grace time.Duration
}

func orDefault[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

func orLimits(v, fallback []Limit) []Limit {
	if len(v) == 0 {
		return fallback
	}
	return slices.Clone(v)
}

const day = 24 * time.Hour

// withDefaults returns p with every zero field replaced.
func (p Policy) withDefaults() Policy {
	p.MaxYearlyRisk = orDefault(p.MaxYearlyRisk, 1e-4)
	p.EmailLife = orDefault(p.EmailLife, 10*time.Minute)
	p.SMSLife = orDefault(p.SMSLife, 5*time.Minute)
	p.MaxAttempts = orDefault(p.MaxAttempts, 5)
	p.MaxResends = orDefault(p.MaxResends, 3)
	p.ResendCooldown = orDefault(p.ResendCooldown, 30*time.Second)
	p.StartCooldown = orDefault(p.StartCooldown, 30*time.Second)
	p.EmailSends = orLimits(p.EmailSends, []Limit{{3, 10 * time.Minute}, {5, time.Hour}, {20, day}})
	p.SMSSends = orLimits(p.SMSSends, []Limit{{3, 10 * time.Minute}, {5, time.Hour}, {10, day}})
	p.Starts = orLimits(p.Starts, []Limit{{10, 10 * time.Minute}, {30, time.Hour}, {100, day}})
	p.Guesses = orDefault(p.Guesses, Limit{30, 5 * time.Minute})
	p.GlobalFailures = orDefault(p.GlobalFailures, Limit{10_000, day})
	p.SMSCountries = slices.Clone(p.SMSCountries)
	p.SMSPrefix = orDefault(p.SMSPrefix, Limit{10, time.Hour})
	p.SMSCountry = orDefault(p.SMSCountry, Limit{500, day})
	p.SMSGlobal = orDefault(p.SMSGlobal, Limit{5_000, day})
	p.SMSUnverified = orDefault(p.SMSUnverified, Limit{30, day})
	p.Session.Idle = orDefault(p.Session.Idle, 14*day)
	p.Session.Absolute = orDefault(p.Session.Absolute, 30*day)
	p.Session.Grace = orDefault(p.Session.Grace, 10*time.Second)
	p.AccessTokenLife = orDefault(p.AccessTokenLife, 10*time.Minute)
	p.AuthorizationCodeLife = orDefault(p.AuthorizationCodeLife, time.Minute)
	return p
}

// The guess ledger: at most ledgerBurst guesses at short codes at once and ledgerYear more a
// year, for one person, whatever is resent, restarted, rotated or succeeds in between.
const (
	ledgerBurst = 45
	ledgerYear  = 50
	maxFailures = 100 // consecutive, then short codes are off (NIST SP 800-63B-4, 3.2.2)
	year        = 365 * day
)

// The fewest and most digits of a short code (NIST SP 800-63B-4, 3.1.3.2 for the fewest).
const (
	minDigits = 6
	maxDigits = 9
)

// shortest returns the fewest digits that keep the promise, and whether any do.
func shortest(risk float64) (codeFormat, bool) {
	for length := minDigits; length <= maxDigits; length++ {
		f := codeFormat{length: length}
		if float64(ledgerBurst+ledgerYear)/float64(f.space()) <= risk {
			return f, true
		}
	}
	return codeFormat{}, false
}

// longCode is given where guesses at short codes have become rare.
var longCode = codeFormat{base20: true, length: 10}

// validate reports every mistake of a policy that has its defaults.
func (p Policy) validate() error {
	var errs []error
	bad := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("Policy."+format, args...))
		}
	}
	_, possible := shortest(p.MaxYearlyRisk)
	bad(possible && p.MaxYearlyRisk <= 1e-2 && !math.IsNaN(p.MaxYearlyRisk), "MaxYearlyRisk: %g is outside 1e-7 to 1e-2", p.MaxYearlyRisk)
	bad(between(p.EmailLife, time.Minute, 10*time.Minute), "EmailLife: %v is outside 1 to 10 minutes", p.EmailLife)
	bad(between(p.SMSLife, time.Minute, 10*time.Minute), "SMSLife: %v is outside 1 to 10 minutes", p.SMSLife)
	bad(between(p.MaxAttempts, 1, maxTries), "MaxAttempts: %d is outside 1 to 10", p.MaxAttempts)
	bad(p.MaxResends <= 10, "MaxResends: %d is over 10", p.MaxResends)
	bad(p.ResendCooldown >= 10*time.Second, "ResendCooldown: %v is under 10 s", p.ResendCooldown)
	bad(p.StartCooldown <= time.Minute, "StartCooldown: %v is over a minute, the shortest life of a code", p.StartCooldown)
	bad(p.Resend <= ReplaceSecret, "Resend: unknown value")
	bad(p.Browser <= InsecureAnyBrowser, "Browser: unknown value")
	bad(between(p.Session.Idle, time.Minute, p.Session.Absolute), "Session.Idle: %v is outside one minute to Session.Absolute", p.Session.Idle)
	bad(p.Session.Absolute <= year, "Session.Absolute: %v is over 365 days", p.Session.Absolute)
	bad(p.Session.Grace <= 2*time.Minute, "Session.Grace: %v is over 2 minutes", p.Session.Grace)
	bad(between(p.AccessTokenLife, time.Minute, day), "AccessTokenLife: %v is outside one minute to 24 hours", p.AccessTokenLife)
	bad(between(p.AuthorizationCodeLife, 10*time.Second, 10*time.Minute), "AuthorizationCodeLife: %v is outside 10 seconds to 10 minutes", p.AuthorizationCodeLife)
	for _, named := range p.limits() {
		l := named.limit
		bad(l.Count >= 1 && l.Count <= 1e9 && l.Per >= time.Second && l.Per <= year && l.Per/time.Duration(max(l.Count, 1)) >= time.Microsecond,
			"%s: %v is no limit: want Count from 1, Per from a second to 365 days", named.name, l)
	}
	bad(len(p.EmailSends) <= 4 && len(p.SMSSends) <= 4 && len(p.Starts) <= 4, "EmailSends, SMSSends, Starts: at most four limits each")
	return errors.Join(errs...)
}

func between[T int | time.Duration](v, least, most T) bool { return v >= least && v <= most }

type namedLimit struct {
	name  string
	limit Limit
}

// limits lists every limit of the policy by the name of its field.
func (p Policy) limits() []namedLimit {
	var all []namedLimit
	several := func(name string, limits []Limit) {
		for i, l := range limits {
			all = append(all, namedLimit{fmt.Sprintf("%s[%d]", name, i), l})
		}
	}
	several("EmailSends", p.EmailSends)
	several("SMSSends", p.SMSSends)
	several("Starts", p.Starts)
	return append(all, namedLimit{"Guesses", p.Guesses}, namedLimit{"GlobalFailures", p.GlobalFailures},
		namedLimit{"SMSPrefix", p.SMSPrefix}, namedLimit{"SMSCountry", p.SMSCountry},
		namedLimit{"SMSGlobal", p.SMSGlobal}, namedLimit{"SMSUnverified", p.SMSUnverified})
}

// A PolicyReport is every limit in force and every deviation from the defaults that
// weakens them. Print it at start and keep it with the audit documents.
type PolicyReport struct {
	Policy     Policy   // with its defaults filled in
	CodeDigits int      // the length of short codes
	Ledger     string   // the bound on guesses of one person's short codes
	Deviations []string // the named insecure choices in force, of the policy and of clients
}

// String prints the report a line each.
func (r PolicyReport) String() string {
	var b strings.Builder
	line := func(name string, v any) { fmt.Fprintf(&b, "%-18s %v\n", name, v) }
	p := r.Policy
	line("MaxYearlyRisk", p.MaxYearlyRisk)
	line("CodeDigits", r.CodeDigits)
	line("Ledger", r.Ledger)
	line("EmailLife", p.EmailLife)
	line("SMSLife", p.SMSLife)
	line("MaxAttempts", p.MaxAttempts)
	line("MaxResends", max(0, p.MaxResends))
	line("ResendCooldown", p.ResendCooldown)
	line("StartCooldown", max(0, p.StartCooldown))
	line("Resend", p.Resend)
	line("Browser", p.Browser)
	for _, l := range p.limits() {
		line(l.name, l.limit)
	}
	line("SMSCountries", p.SMSCountries)
	line("Session.Idle", p.Session.Idle)
	line("Session.Absolute", p.Session.Absolute)
	line("Session.Grace", max(0, p.Session.Grace))
	line("AccessTokenLife", p.AccessTokenLife)
	line("AuthorizationCodeLife", p.AuthorizationCodeLife)
	for _, d := range r.Deviations {
		line("deviation", d)
	}
	return b.String()
}

// weakened names every number that is weaker than its default.
func weakened(p Policy) (all []string) {
	d := Policy{}.withDefaults()
	weaker := func(is bool, name string, v, fallback any) {
		if is {
			all = append(all, fmt.Sprintf("%s: %v, weaker than %v", name, v, fallback))
		}
	}
	weaker(p.MaxYearlyRisk > d.MaxYearlyRisk, "MaxYearlyRisk", p.MaxYearlyRisk, d.MaxYearlyRisk)
	weaker(p.SMSLife > d.SMSLife, "SMSLife", p.SMSLife, d.SMSLife)
	weaker(p.MaxAttempts > d.MaxAttempts, "MaxAttempts", p.MaxAttempts, d.MaxAttempts)
	weaker(p.Session.Idle > d.Session.Idle, "Session.Idle", p.Session.Idle, d.Session.Idle)
	weaker(p.Session.Absolute > d.Session.Absolute, "Session.Absolute", p.Session.Absolute, d.Session.Absolute)
	weaker(p.AccessTokenLife > d.AccessTokenLife, "AccessTokenLife", p.AccessTokenLife, d.AccessTokenLife)
	weaker(p.AuthorizationCodeLife > d.AuthorizationCodeLife, "AuthorizationCodeLife", p.AuthorizationCodeLife, d.AuthorizationCodeLife)
	fewer := func(name string, have, want []Limit) {
		weaker(len(have) < len(want), name, fmt.Sprintf("%d limits", len(have)), len(want))
	}
	fewer("EmailSends", p.EmailSends, d.EmailSends)
	fewer("SMSSends", p.SMSSends, d.SMSSends)
	fewer("Starts", p.Starts, d.Starts)
	defaults := map[string]Limit{}
	for _, l := range d.limits() {
		defaults[l.name] = l.limit
	}
	for _, l := range p.limits() {
		was, had := defaults[l.name]
		rate := func(l Limit) float64 { return float64(l.Count) / l.Per.Seconds() }
		weaker(had && (rate(l.limit) > rate(was) || l.limit.Count > was.Count), l.name, l.limit, was)
	}
	return all
}
