package passwordless

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seed62b93bad/passwordless/internal/canon"
	"github.com/seed62b93bad/passwordless/internal/limit"
	"github.com/seed62b93bad/passwordless/internal/record"
)

// Policy is every limit and choice. The zero value of a field means its default. New refuses values outside the bounds
// that stand beside the field. Service.Policy names whatever is weaker than its default.
type Policy struct {
	// MaxYearlyRisk is the accepted probability that an attacker who never stops guesses a code of one address within a
	// year; an account with two addresses has it twice. It decides the length of codes: 1e-4 gives six digits, 1e-6 eight.
	// Default 1e-4; 1e-7 to 1e-2.
	MaxYearlyRisk float64
	// MaxDailyRisk is how many accounts of one tenant attackers who guess at many may be expected to get into within a day,
	// however many networks and addresses they have. When half of what may be spent at once is spent, codes become longer for
	// strangers until less is spent again. PolicyReport.SignIns tells for how many sign-ins a day it is enough. Default 0.01;
	// 1e-4 to 10.
	MaxDailyRisk float64
	// ClockSkew is how far the clocks of Services on one store may differ. A challenge that was started less than this
	// after its user was signed out everywhere counts as started before. Default 2 s, most 1 minute; negative: none.
	ClockSkew time.Duration
	// InsecureAnyBrowser lets every link finish wherever it is opened: whoever can make a victim open a link signs the
	// victim in to an account of the attacker's choice. By default a link finishes only in the browser that asked, and in
	// any other one the page shows a code to type where the person began. It is fit only where a link ends with an
	// authorization code for a client that checks state or PKCE.
	InsecureAnyBrowser bool

	Codes    CodePolicy
	Limits   LimitPolicy
	SMS      SMSPolicy
	Sessions SessionPolicy
	Tokens   TokenPolicy
}

// CodePolicy is about one challenge: its code, its link and its messages. In a Client, a zero field takes the policy's.
type CodePolicy struct {
	EmailLife      time.Duration // of a code or link by e-mail; default 10 minutes; 1 to 10 (NIST SP 800-63B-4, 3.1.3.2)
	SMSLife        time.Duration // of a code by SMS; default 5 minutes; 1 to 10
	MaxAttempts    int           // of one challenge, or guesses that are looked at; default 5; 1 to 10
	MaxResends     int           // of one challenge; default 3, most 10; negative: none
	ResendCooldown time.Duration // before the first resend, doubled for each next; default 30 s; 10 s to 10 minutes
	StartCooldown  time.Duration // in which a repeated start sends nothing; default 30 s, most 1 minute; negative: none
	// MaxDigits is for clients whose screens take digits alone: the most that they take, and at least as many as codes begin
	// with. Where longer codes would be needed the message carries a link instead; a text message, which carries none, is
	// refused with a LimitedError. Default none: letters are taken too; most 9; negative: none.
	MaxDigits int
	// ReplaceOnResend makes a resend carry a new code and link; the former ones stop working. By default it carries the
	// same ones again: whichever message arrives first works.
	ReplaceOnResend bool
}

// LimitPolicy bounds what one person, one network and everybody may ask for. A list has at most four limits, which hold
// together. docs/limits.md says who is a stranger, a known network or a known device.
type LimitPolicy struct {
	// EmailSends and SMSSends are messages to one address or number that strangers ask for; default 3 per 10 min, 5 per h,
	// and 20 or 10 per 24 h. The second half of each is one message a day for each network.
	EmailSends, SMSSends []Limit
	KnownNetworkSends    []Limit // beside those, messages to one person from known networks; default 5 per h, 10 per 24 h
	KnownDeviceSends     []Limit // beside those, messages of one known device; default 10 per h, 30 per 24 h
	// Starts are starts and resends of one network (IPv4, or IPv6 /64); default 10 per 10 min, 30 per h, 100 per 24 h.
	// SiteStarts are those of an IPv6 /48; default 50 per 10 min, 150 per h, 500 per 24 h. About so many: one in eight is counted.
	Starts, SiteStarts []Limit
	Guesses            Limit // guesses of one network or device; half for those at no challenge; default 30 per 5 min
	// Unanswered is e-mails of one tenant that no sign-in followed; default 20,000 per 24 h. Beyond it there is an event, and
	// with RefuseUnanswered nobody but known devices can start.
	Unanswered       Limit
	RefuseUnanswered bool
}

// SMSPolicy bounds what messages by SMS cost. Strangers may use three quarters of each budget.
type SMSPolicy struct {
	Countries  []int // calling codes that SMS may go to; default none
	Prefix     Limit // messages of one tenant to numbers that differ in their last four digits only; default 10 per h
	Country    Limit // messages of one tenant to one country; default 500 per 24 h
	Tenant     Limit // messages of one tenant, where there are several; default 2,500 per 24 h
	Global     Limit // messages of all tenants to all countries; default 5,000 per 24 h
	Unverified Limit // messages to one prefix that no right code followed; default 30 per 24 h
	// Prices are what a message costs, by calling code, in any unit; default none. Spend is how much may be spent, in that
	// unit; default 100,000 per 24 h. With Prices, each of Countries needs one.
	Prices map[int]int
	Spend  Limit
}

// SessionPolicy bounds sessions and refresh families. In a Client, a zero field takes the policy's.
type SessionPolicy struct {
	Idle     time.Duration // without use; default 14 days; 1 minute to 365 days, and at most Absolute
	Absolute time.Duration // since sign-in; default 30 days; 1 minute to 365 days (NIST SP 800-63B-4, 2.1.3 recommends 30)
	// Grace is how long a refresh token that was just used is still answered, with the one that replaced it: for clients
	// that lost the answer. Default 10 s, most 2 minutes; negative: none.
	Grace   time.Duration
	Refresh RefreshUsage // default OneTime
	Expiry  ExpiryPolicy // default SlidingToMaximum
}

// TokenPolicy is about tokens and the codes that are exchanged for them. In a Client, a zero field takes the policy's.
type TokenPolicy struct {
	Algorithm             Algorithm     // that signs them; default ES256
	AccessLife            time.Duration // of access and ID tokens; default 10 minutes; 1 minute to 24 hours
	AuthorizationCodeLife time.Duration // until it is exchanged; default 1 minute; 10 s to 10 minutes
}

// A Limit is Count at once, and one more each Per/Count after that: so at most twice Count in any Per. Count is 1 or
// more, Per a second to 365 days. The zero Limit means the default.
type Limit struct {
	Count int
	Per   time.Duration
}

// String writes a limit as in "3 per 10m".
func (l Limit) String() string { return fmt.Sprintf("%d per %s", l.Count, written(l.Per)) }

// every is the time after which there is one more.
func (l Limit) every() time.Duration {
	return (l.Per / time.Duration(max(1, l.Count))).Truncate(time.Microsecond)
}

// A RefreshUsage says how often a refresh token works. Zero is the default, or in a Client the policy's.
type RefreshUsage uint8

const (
	// OneTime, the default, answers each refresh with a new refresh token. Whoever presents a used one, after
	// SessionPolicy.Grace, ends the family (RFC 9700, 4.14.2).
	OneTime RefreshUsage = iota + 1
	// Reusable keeps one refresh token for the whole family: a stolen copy works beside it, unnoticed, until the family ends.
	Reusable
)

// An ExpiryPolicy says when sessions and refresh families end. Zero is the default, or in a Client the policy's.
type ExpiryPolicy uint8

const (
	// SlidingToMaximum, the default, ends them Idle after the last use, and Absolute after sign-in at the latest.
	SlidingToMaximum ExpiryPolicy = iota + 1
	// FixedExpiry ends them Absolute after sign-in, used or not: Idle does not count.
	FixedExpiry
	// Sliding ends them Idle after the last use: Absolute does not count, so one in use never ends.
	Sliding
)

// String names the usage as its constant does.
func (u RefreshUsage) String() string { return constant(int(u), "default", "OneTime", "Reusable") }

// String names the policy as its constant does.
func (p ExpiryPolicy) String() string {
	return constant(int(p), "default", "SlidingToMaximum", "FixedExpiry", "Sliding")
}

// constant is the name of a value that counts from 0.
func constant(v int, names ...string) string {
	if v >= len(names) {
		return fmt.Sprintf("unknown(%d)", v)
	}
	return names[v]
}

const (
	day  = 24 * time.Hour
	year = 365 * day
)

// knobs has one row for each field of Policy. Defaults, checks, the report and its deviations come from here alone: no
// field can have one of them and lack another.
var knobs = []knob{
	row("MaxYearlyRisk", 1e-4, number(1e-7, 1e-2, up), func(p *Policy) *float64 { return &p.MaxYearlyRisk }),
	row("MaxDailyRisk", 0.01, number(1e-4, 10, up), func(p *Policy) *float64 { return &p.MaxDailyRisk }),
	row("ClockSkew", 2*time.Second, orNone(time.Minute, down), func(p *Policy) *time.Duration { return &p.ClockSkew }),
	row("InsecureAnyBrowser", false, flag(up), func(p *Policy) *bool { return &p.InsecureAnyBrowser }),

	row("Codes.EmailLife", 10*time.Minute, number(time.Minute, 10*time.Minute, up),
		func(p *Policy) *time.Duration { return &p.Codes.EmailLife }),
	row("Codes.SMSLife", 5*time.Minute, number(time.Minute, 10*time.Minute, up),
		func(p *Policy) *time.Duration { return &p.Codes.SMSLife }),
	row("Codes.MaxAttempts", 5, number(1, limit.MaxTries, up), func(p *Policy) *int { return &p.Codes.MaxAttempts }),
	row("Codes.MaxResends", 3, orNone(10, up), func(p *Policy) *int { return &p.Codes.MaxResends }),
	row("Codes.ResendCooldown", 30*time.Second, number(10*time.Second, 10*time.Minute, down),
		func(p *Policy) *time.Duration { return &p.Codes.ResendCooldown }),
	row("Codes.StartCooldown", 30*time.Second, orNone(time.Minute, down), // a minute is the shortest life of a code
		func(p *Policy) *time.Duration { return &p.Codes.StartCooldown }),
	row("Codes.MaxDigits", -1, orNone(limit.MaxDigits, neither), func(p *Policy) *int { return &p.Codes.MaxDigits }).and(digitsFit),
	row("Codes.ReplaceOnResend", false, flag(neither), func(p *Policy) *bool { return &p.Codes.ReplaceOnResend }),

	row("Limits.EmailSends", []Limit{{3, 10 * time.Minute}, {5, time.Hour}, {20, day}}, several(),
		func(p *Policy) *[]Limit { return &p.Limits.EmailSends }),
	row("Limits.SMSSends", []Limit{{3, 10 * time.Minute}, {5, time.Hour}, {10, day}}, several(),
		func(p *Policy) *[]Limit { return &p.Limits.SMSSends }),
	row("Limits.KnownNetworkSends", []Limit{{5, time.Hour}, {10, day}}, several(),
		func(p *Policy) *[]Limit { return &p.Limits.KnownNetworkSends }),
	row("Limits.KnownDeviceSends", []Limit{{10, time.Hour}, {30, day}}, several(),
		func(p *Policy) *[]Limit { return &p.Limits.KnownDeviceSends }),
	row("Limits.Starts", []Limit{{10, 10 * time.Minute}, {30, time.Hour}, {100, day}}, several(),
		func(p *Policy) *[]Limit { return &p.Limits.Starts }),
	row("Limits.SiteStarts", []Limit{{50, 10 * time.Minute}, {150, time.Hour}, {500, day}}, several(),
		func(p *Policy) *[]Limit { return &p.Limits.SiteStarts }),
	row("Limits.Guesses", Limit{30, 5 * time.Minute}, single(), func(p *Policy) *Limit { return &p.Limits.Guesses }),
	row("Limits.Unanswered", Limit{20_000, day}, single(), func(p *Policy) *Limit { return &p.Limits.Unanswered }),
	row("Limits.RefuseUnanswered", false, flag(neither), func(p *Policy) *bool { return &p.Limits.RefuseUnanswered }),

	row("SMS.Countries", nil, callingCodes(), func(p *Policy) *[]int { return &p.SMS.Countries }),
	row("SMS.Prefix", Limit{10, time.Hour}, single(), func(p *Policy) *Limit { return &p.SMS.Prefix }),
	row("SMS.Country", Limit{500, day}, single(), func(p *Policy) *Limit { return &p.SMS.Country }),
	row("SMS.Tenant", Limit{2_500, day}, single(), func(p *Policy) *Limit { return &p.SMS.Tenant }),
	row("SMS.Global", Limit{5_000, day}, single(), func(p *Policy) *Limit { return &p.SMS.Global }),
	row("SMS.Unverified", Limit{30, day}, single(), func(p *Policy) *Limit { return &p.SMS.Unverified }),
	row("SMS.Prices", nil, prices(), func(p *Policy) *map[int]int { return &p.SMS.Prices }).and(pricesKnown),
	row("SMS.Spend", Limit{100_000, day}, single(), func(p *Policy) *Limit { return &p.SMS.Spend }),

	row("Sessions.Idle", 14*day, number(time.Minute, year, up),
		func(p *Policy) *time.Duration { return &p.Sessions.Idle }).and(idleWithinAbsolute),
	row("Sessions.Absolute", 30*day, number(time.Minute, year, up),
		func(p *Policy) *time.Duration { return &p.Sessions.Absolute }),
	row("Sessions.Grace", 10*time.Second, orNone(2*time.Minute, up),
		func(p *Policy) *time.Duration { return &p.Sessions.Grace }),
	row("Sessions.Refresh", OneTime, choice([]RefreshUsage{OneTime, Reusable}, Reusable),
		func(p *Policy) *RefreshUsage { return &p.Sessions.Refresh }),
	row("Sessions.Expiry", SlidingToMaximum,
		choice([]ExpiryPolicy{SlidingToMaximum, FixedExpiry, Sliding}, FixedExpiry, Sliding),
		func(p *Policy) *ExpiryPolicy { return &p.Sessions.Expiry }),

	row("Tokens.Algorithm", ES256, choice(algorithms, RS256, HS256),
		func(p *Policy) *Algorithm { return &p.Tokens.Algorithm }),
	row("Tokens.AccessLife", 10*time.Minute, number(time.Minute, day, up),
		func(p *Policy) *time.Duration { return &p.Tokens.AccessLife }),
	row("Tokens.AuthorizationCodeLife", time.Minute, number(10*time.Second, 10*time.Minute, up),
		func(p *Policy) *time.Duration { return &p.Tokens.AuthorizationCodeLife }),
}

// A knob is a row of knobs: what there is to know of one field of Policy.
type knob struct {
	name    string                     // below Policy and below Client
	says    func(p *Policy) bool       // whether the field is set
	reset   func(p *Policy)            // sets the default
	inherit func(p, from *Policy)      // takes from's value if the field is not set
	floor   func(p *Policy, none int)  // raises the field to none, if negative values mean none
	faults  func(p *Policy) []string   // what is wrong with the field itself; each begins with its name
	fits    func(p *Policy) string     // what is wrong with it beside other fields; nil: nothing ever
	weaker  func(p, than *Policy) bool // whether p's field is weaker than than's
	value   func(p *Policy) any        // for the report
}

// row makes a knob from a field's name, default, rule, and the way to it.
func row[T any](name string, fallback T, r rule[T], at func(*Policy) *T) knob {
	return knob{
		name:  name,
		says:  func(p *Policy) bool { return r.set(*at(p)) },
		reset: func(p *Policy) { *at(p) = fallback },
		inherit: func(p, from *Policy) {
			if !r.set(*at(p)) {
				*at(p) = *at(from)
			}
		},
		floor: func(p *Policy, none int) {
			if r.floor != nil {
				*at(p) = r.floor(*at(p), none)
			}
		},
		faults: func(p *Policy) (all []string) {
			for _, fault := range r.faults(*at(p)) {
				all = append(all, name+fault)
			}
			return all
		},
		weaker: func(p, than *Policy) bool { return r.weaker(*at(p), *at(than)) },
		value:  func(p *Policy) any { return *at(p) },
	}
}

func (k knob) and(fits func(*Policy) string) knob {
	k.fits = fits
	return k
}

// A rule is what there is to know of a field apart from its name and default.
type rule[T any] struct {
	set    func(T) bool          // whether a value is not zero
	faults func(T) []string      // what goes behind the name of the field
	weaker func(v, than T) bool  // in which direction safety is lost
	floor  func(v T, none int) T // nil: negative values are out of bounds
}

func notZero[T comparable](v T) bool {
	var zero T
	return v != zero
}

func up[T cmp.Ordered](v, than T) bool   { return v > than }
func neither[T any](T, T) bool           { return false }
func down[T cmp.Ordered](v, than T) bool { return v < than }

// number is a field from least to most, where less is weaker (down) or more is (up).
func number[T int | float64 | time.Duration](least, most T, weaker func(v, than T) bool) rule[T] {
	return rule[T]{set: notZero[T], weaker: weaker, faults: func(v T) []string {
		if v >= least && v <= most { // false for NaN
			return nil
		}
		return []string{fmt.Sprintf(": %s is outside %s to %s", written(v), written(least), written(most))}
	}}
}

// orNone is a field up to most, of which a negative value means none.
func orNone[T int | time.Duration](most T, weaker func(v, than T) bool) rule[T] {
	return rule[T]{set: notZero[T], weaker: weaker, floor: func(v T, none int) T { return max(v, T(none)) },
		faults: func(v T) []string {
			if v <= most {
				return nil
			}
			return []string{fmt.Sprintf(": %s is over %s", written(v), written(most))}
		}}
}

// flag is a choice between no and yes, which weaken compares as 0 and 1. A client can say yes where the policy says no,
// and not the other way round.
func flag(weaken func(v, than int) bool) rule[bool] {
	number := func(v bool) int { return int(record.Bit(v)) }
	return rule[bool]{set: notZero[bool], faults: func(bool) []string { return nil },
		weaker: func(v, than bool) bool { return weaken(number(v), number(than)) }}
}

// choice is a field with one of a few values. A value among the weaker ones counts as weaker than every other value,
// another weak one included: nobody has to weigh them.
func choice[T ~uint8 | ~string](all []T, weaker ...T) rule[T] {
	return rule[T]{
		set:    notZero[T],
		weaker: func(v, than T) bool { return v != than && slices.Contains(weaker, v) },
		faults: func(v T) []string {
			if slices.Contains(all, v) {
				return nil
			}
			names := make([]string, len(all))
			for i, one := range all {
				names[i] = fmt.Sprint(one)
				if strings.EqualFold(names[i], fmt.Sprint(v)) {
					return []string{fmt.Sprintf(": %q is unknown; %s is meant?", fmt.Sprint(v), names[i])}
				}
			}
			return []string{fmt.Sprintf(": %q is unknown; want one of %s", fmt.Sprint(v), strings.Join(names, ", "))}
		},
	}
}

// single is a field that is one limit.
func single() rule[Limit] {
	return rule[Limit]{set: notZero[Limit], faults: limitFaults, weaker: looser}
}

// looser reports whether v ever lets through what than refuses.
func looser(v, than Limit) bool { return v.Count > than.Count || v.every() < than.every() }

func limitFaults(l Limit) []string {
	if l.Count >= 1 && l.Count <= 1e9 && l.Per >= time.Second && l.Per <= year && l.every() >= time.Microsecond {
		return nil
	}
	return []string{fmt.Sprintf(": %v is no limit; want Count from 1 (at most one a microsecond), Per from a second to 365 days", l)}
}

// several is a field that is a list of limits. A list is weaker than another if the other has a limit that none in the
// list is as strict as.
func several() rule[[]Limit] {
	return rule[[]Limit]{
		set: func(list []Limit) bool { return len(list) > 0 },
		faults: func(list []Limit) (all []string) {
			if len(list) > 4 {
				all = append(all, fmt.Sprintf(": %d limits; want at most four", len(list)))
			}
			for i, l := range list {
				for _, fault := range limitFaults(l) {
					all = append(all, fmt.Sprintf("[%d]%s", i, fault))
				}
			}
			return all
		},
		weaker: func(list, than []Limit) bool {
			return slices.ContainsFunc(than, func(other Limit) bool {
				return !slices.ContainsFunc(list, func(l Limit) bool { return !looser(l, other) })
			})
		},
	}
}

// callingCodes is a field that is a list of country calling codes. To serve a country is no weakness.
func callingCodes() rule[[]int] {
	return rule[[]int]{
		set:    func(list []int) bool { return len(list) > 0 },
		weaker: func(_, _ []int) bool { return false },
		faults: func(list []int) []string {
			var wrong []string
			for _, code := range list {
				if code < 1 || canon.CallingCode(fmt.Sprintf("+%d00000000", code)) != code {
					wrong = append(wrong, fmt.Sprint(code))
				}
			}
			if wrong == nil {
				return nil
			}
			return []string{": " + strings.Join(wrong, ", ") + ": no calling code of a country (46 is Sweden's)"}
		},
	}
}

// prices is a field that tells what messages cost.
func prices() rule[map[int]int] {
	return rule[map[int]int]{
		set:    func(list map[int]int) bool { return len(list) > 0 },
		weaker: func(_, _ map[int]int) bool { return false },
		faults: func(list map[int]int) (all []string) {
			for _, code := range slices.Sorted(maps.Keys(list)) {
				if v := list[code]; v < 0 || v > 1e6 {
					all = append(all, fmt.Sprintf("[%d]: %d is outside 0 to 1000000", code, v))
				}
			}
			return all
		},
	}
}

// pricesKnown is the fault of a country that is served and has no price beside others that have one.
func pricesKnown(p *Policy) string {
	for _, code := range p.SMS.Countries {
		if _, ok := p.SMS.Prices[code]; !ok && len(p.SMS.Prices) > 0 {
			return fmt.Sprintf("SMS.Prices: none for %d, which is one of SMS.Countries", code)
		}
	}
	return ""
}

// digitsFit is the fault of a client whose screens take fewer digits than codes begin with.
func digitsFit(p *Policy) string {
	first, _ := limit.First(p.MaxYearlyRisk)
	if least := int(first) + limit.MinDigits; p.Codes.MaxDigits > 0 && p.Codes.MaxDigits < least {
		return fmt.Sprintf("Codes.MaxDigits: %d is less than the %d that codes begin with", p.Codes.MaxDigits, least)
	}
	return ""
}

// idleWithinAbsolute is the fault of an idle time that can never end a session. It is silent if one of the two does not
// count, and if one is out of bounds, which is reported already.
func idleWithinAbsolute(p *Policy) string {
	s := p.Sessions
	if s.Expiry != SlidingToMaximum || s.Idle <= s.Absolute || s.Idle > year || s.Absolute < time.Minute {
		return ""
	}
	return fmt.Sprintf("Sessions.Idle: %s is longer than Sessions.Absolute, %s; set both", written(s.Idle), written(s.Absolute))
}

// shown writes a value in force for people.
func shown(v any) string {
	n, number := v.(int)
	d, duration := v.(time.Duration)
	if number && n < 0 || duration && d < 0 {
		return "none"
	}
	return written(v)
}

// written writes a value as a person would: 10m, not 10m0s.
func written(v any) string {
	d, duration := v.(time.Duration)
	if !duration {
		return fmt.Sprint(v)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// defaults is the policy in which every field has its default. Its lists are those of the table: clone it before
// handing it out.
func defaults() *Policy {
	p := &Policy{}
	for _, k := range knobs {
		k.reset(p)
	}
	return p
}

// withDefaults returns a copy of p in which every zero field has its default, and every field that means none is -1.
// The copy, given to New, is the same policy.
func (p Policy) withDefaults() Policy {
	d := defaults()
	for _, k := range knobs {
		k.inherit(&p, d)
		k.floor(&p, -1)
	}
	return p.clone()
}

// clone copies the lists.
func (p Policy) clone() Policy {
	p.Limits.EmailSends = slices.Clone(p.Limits.EmailSends)
	p.Limits.SMSSends = slices.Clone(p.Limits.SMSSends)
	p.Limits.Starts = slices.Clone(p.Limits.Starts)
	p.Limits.SiteStarts = slices.Clone(p.Limits.SiteStarts)
	p.Limits.KnownNetworkSends = slices.Clone(p.Limits.KnownNetworkSends)
	p.Limits.KnownDeviceSends = slices.Clone(p.Limits.KnownDeviceSends)
	p.SMS.Countries, p.SMS.Prices = slices.Clone(p.SMS.Countries), maps.Clone(p.SMS.Prices)
	return p
}

// validate reports every mistake of a policy as it was configured. signs tells whether there is a signing key for an
// algorithm; nil if the signing keys are wrong themselves.
func (p Policy) validate(signs func(Algorithm) bool) error {
	var errs []error
	in := p.withDefaults()
	for _, k := range knobs {
		for _, fault := range k.faults(&in) {
			errs = append(errs, errors.New("Policy."+fault))
		}
		if k.fits != nil && k.fits(&in) != "" {
			errs = append(errs, errors.New("Policy."+k.fits(&in)))
		}
	}
	if fault := unsigned(p.Tokens.Algorithm, signs); fault != "" {
		errs = append(errs, errors.New("Policy."+fault))
	}
	return errors.Join(errs...)
}

// unsigned is the fault of an algorithm that has no signing key and needs one. It is "" for no algorithm and for
// unknown ones, which the rows report.
func unsigned(a Algorithm, signs func(Algorithm) bool) string {
	if signs == nil || a != ES256 && a != RS256 && a != EdDSA || signs(a) {
		return ""
	}
	return fmt.Sprintf("Tokens.Algorithm: no signing key for %s; add one to SigningKeys", a)
}

// weakerThan names every field of p that is weaker than in base, with both values. Both have their defaults.
func (p *Policy) weakerThan(base *Policy) (all []string) {
	for _, k := range knobs {
		if k.weaker(p, base) {
			all = append(all, fmt.Sprintf("%s: %s, weaker than %s", k.name, shown(k.value(p)), shown(k.value(base))))
		}
	}
	return all
}

// What ordinary sign-ins spend of MaxDailyRisk: people mistype, and some give up. docs/limits.md has the arithmetic.
const (
	riskWithHandle = 5e-8
	riskByAddress  = 2.2e-7
)

// A PolicyReport is every limit in force, and every deviation from the defaults that weakens the Service. Print it at
// start and keep it with the audit documents.
type PolicyReport struct {
	Policy     Policy // with its defaults filled in
	CodeDigits int    // that codes begin with
	// SignIns is for how many sign-ins a day of one tenant MaxDailyRisk is enough: with more, ordinary mistakes alone make
	// codes longer now and then. SignInsByAddress is the same where no challenge has a handle.
	SignIns, SignInsByAddress int
	// Fronts are the handlers that tell the Service where requests come from, and whom each believes about that.
	Fronts []string
	// Deviations are what is weaker than its default, what of a client is weaker than in the policy, and what of the store is
	// insecure.
	Deviations []string
}

// String prints the report a line each.
func (r PolicyReport) String() string {
	var b strings.Builder
	line := func(name string, v any) { fmt.Fprintf(&b, "%-28s %s\n", name, shown(v)) }
	line("CodeDigits", r.CodeDigits)
	line("SignIns", fmt.Sprintf("%d a day, or %d by address", r.SignIns, r.SignInsByAddress))
	for _, k := range knobs {
		limits, list := k.value(&r.Policy).([]Limit)
		if !list {
			line(k.name, k.value(&r.Policy))
		}
		for i, l := range limits {
			line(fmt.Sprintf("%s[%d]", k.name, i), l)
		}
	}
	if len(r.Fronts) == 0 {
		line("front", "none yet; whoever calls the Service says where a request comes from (Caller.IP)")
	}
	for _, f := range r.Fronts {
		line("front", f)
	}
	for _, d := range r.Deviations {
		line("deviation", d)
	}
	return b.String()
}

// An Algorithm is a JWS signature algorithm (RFC 7518, RFC 8037).
type Algorithm string

// The algorithms of tokens.
const (
	ES256 Algorithm = "ES256" // the default
	RS256 Algorithm = "RS256" // named by clients that demand it; a deviation in Service.Policy (ASVS 5.0, Appendix C)
	EdDSA Algorithm = "EdDSA"
	// HS256 signs ID tokens with ClientKeys.HS256Key, which the client has too, and access tokens with a key of the
	// Service's own: only Service.VerifyAccessToken can check them. A deviation in Service.Policy.
	HS256 Algorithm = "HS256"
)

var algorithms = []Algorithm{ES256, EdDSA, RS256, HS256}
