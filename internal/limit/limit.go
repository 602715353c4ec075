// Package limit is the arithmetic of the limits on sign-ins: which buckets a step charges, and how much. It is pure. It reads no
// clock and no randomness, and reaches no store: it writes charges into a batch that somebody else commits.
//
// Guesses are counted by what they are worth (risk.go), messages and starts by their number (send.go), and who asks decides
// which share of a limit there is (plan.go). docs/limits.md has the table and its arithmetic.
package limit

import (
	"cmp"
	"crypto/sha256"
	"math"
	"slices"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

// The buckets by kind. Their names are keyed pseudonyms, but for those of a tenant, which are nobody's.
const (
	Sends        store.Kind = "send"         // messages to one person, asked for by strangers
	Reserve      store.Kind = "send-reserve" // what one network may take of the second half of those
	NetworkSends store.Kind = "send-network" // messages to one person, asked for from known networks
	DeviceSends  store.Kind = "send-device"  // messages that one known device asked for
	Human        store.Kind = "send-human"   // messages to one person that the application vouched for
	Starts       store.Kind = "start"        // starts and resends of one network
	SiteStarts   store.Kind = "start-site"   // of an IPv6 /48, sampled
	RegionStarts store.Kind = "start-region" // of an IPv6 /32, sampled; never refuses
	Unanswered   store.Kind = "unanswered"   // e-mails of a tenant that no sign-in followed, striped and sampled
	Guesses      store.Kind = "guess"        // verifies of one network, or of one known device
	Ledger       store.Kind = "ledger"       // risk spent on one person, and consecutive failures
	Strangers    store.Kind = "risk"         // risk that strangers spend on a tenant, striped
	Networks     store.Kind = "risk-network" // risk that known networks spend on a tenant, striped
	Draw         store.Kind = "draw"         // risk that one network spends on a tenant
	SiteDraw     store.Kind = "draw-site"    // of an IPv6 /48
	Device       store.Kind = "device"       // failures of one device cookie
	SMSPrefix    store.Kind = "sms-prefix"   // text messages to one prefix of numbers
	SMSCountry   store.Kind = "sms-country"  // text messages to one country, striped
	SMSTenant    store.Kind = "sms-tenant"   // text messages of one tenant, striped
	SMSEveryone  store.Kind = "sms-all"      // text messages of all tenants, and their price, striped
)

const (
	maxStripes = 16 // rows that a shared bucket is spread over
	maxShift   = 3  // stripes that one call tries after its first

	// sampled is how many starts one sampled start counts for. Limits that matter only in bulk are charged for one start in so
	// many, so that ordinary sign-ins write no row for them. The random seed of the challenge decides which.
	sampled = 8

	day  = 24 * time.Hour
	year = 365 * day
)

// A Limit is Count at once, and one more each Per/Count after that.
type Limit struct {
	Count int
	Per   time.Duration
}

// window is the limit as a window that a charge takes cost from, of which some may be used: all of it is 1.
func (l Limit) window(cost int64, part float64) store.Window {
	burst := max(1, int64(math.Ceil(float64(l.Count)*part)))
	return store.Window{Burst: burst, Whole: int64(l.Count), Every: every(l.Per, int64(l.Count)), Cost: min(cost, burst)}
}

// every is the time after which there is one more, of so many in a time. Rounded up, so that there are never more.
func every(per time.Duration, count int64) time.Duration {
	micros := (per.Microseconds() + count - 1) / count
	return time.Duration(micros) * time.Microsecond
}

// windows makes a window of each limit.
func windows(limits []Limit, cost int64, part float64) (all []store.Window) {
	for _, l := range limits {
		all = append(all, l.window(cost, part))
	}
	return all
}

// SMS is the limits on what text messages cost.
type SMS struct {
	Prefix, Unverified               Limit
	Country, Tenant, Everyone, Spend Limit
	Prices                           map[int]int // of a message, by calling code
}

// A Policy is every limit that can be chosen.
type Policy struct {
	YearlyRisk, DailyRisk     float64 // of one person, and of one tenant
	EmailSends, SMSSends      []Limit
	NetworkSends, DeviceSends []Limit
	Starts, SiteStarts        []Limit
	Guesses, Unanswered       Limit
	RefuseUnanswered          bool // beyond Unanswered
	SMS                       SMS
	Tenants                   int // how many there are
}

// Limits is a policy made into windows. It is immutable. Batches share its windows and do not change them.
type Limits struct {
	risk     risk
	mail     sends // windows of messages by e-mail, and by SMS
	text     sends
	start    []store.Window
	nuisance []store.Window // what a cancelled challenge costs its initiator's network
	site     []store.Window
	region   []store.Window
	waiting  []store.Window // unanswered e-mails
	refuses  bool           // when there are too many of those
	guess    []store.Window
	astray   []store.Window // of codes that are compared with nothing
	sms      money
	stripes  int
	alarms   map[store.Kind]alarm
}

// New makes the windows of a policy.
func New(p Policy) *Limits {
	l := &Limits{
		mail: newSends(p.EmailSends, p), text: newSends(p.SMSSends, p),
		start: windows(p.Starts, 1, 1), nuisance: windows(p.Starts, 3, 1), site: windows(p.SiteStarts, sampled, 1),
		guess: []store.Window{p.Guesses.window(1, 1)}, astray: []store.Window{p.Guesses.window(1, 0.5)}, refuses: p.RefuseUnanswered,
	}
	first, _ := First(p.YearlyRisk)
	// Ordinary mistakes come unevenly to the stripes, so of guesses there are five times as many: with ten of them a stripe of a
	// site that is as large as its risk allows is spent at some time of every day.
	guesses := int64(p.DailyRisk*unit*atOnce*shares[Stranger]*issues[first]) / cost[first]
	l.stripes = stripesOf(guesses/5, int64(p.SMS.Country.Count), int64(p.SMS.Tenant.Count), int64(p.SMS.Everyone.Count),
		int64(p.Unanswered.Count)/sampled, int64(p.SMS.Spend.Count)/dearest(p.SMS.Prices))
	l.risk = newRisk(p.YearlyRisk, p.DailyRisk/float64(l.stripes))
	l.sms = newMoney(p, l.stripes)
	l.watch(p)
	return l
}

// dearest is the highest of the prices, 1 at least.
func dearest(prices map[int]int) int64 {
	most := 1
	for _, price := range prices {
		most = max(most, price)
	}
	return int64(most)
}

// stripesOf is how many rows the shared buckets are spread over, so that commits do not queue on one: so many that each stripe
// still holds at least ten of everything, and fifty guesses of strangers.
func stripesOf(counts ...int64) int {
	n := int64(maxStripes)
	for _, count := range counts {
		n = min(n, max(1, count/10))
	}
	return int(n)
}

// striped is the share of one stripe.
func striped(l Limit, stripes int) Limit {
	l.Count = max(1, l.Count/stripes)
	return l
}

// Stripe is the stripe of the shared buckets that a number picks.
func (l *Limits) Stripe(n uint8) uint8 { return n % uint8(l.stripes) }

// Sampled reports whether a number, drawn at random once for a challenge, makes it one of those that are counted for all.
func Sampled(n uint8) bool { return n%sampled == 0 }

// A Tenant has the names of a tenant's shared buckets: one for each stripe.
type Tenant struct {
	id    string // what every name begins with
	names [maxStripes]string
}

// NewTenant makes the names of the tenant with an ID.
func NewTenant(id string) *Tenant {
	sum := sha256.Sum256([]byte("tenant " + id))
	t := &Tenant{id: string(sum[:12])}
	for i := range t.names {
		t.names[i] = t.id + stripeNames[i]
	}
	return t
}

var stripeNames = [maxStripes]string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f"}

// A Subject says whose buckets a step charges. Every name is a keyed pseudonym.
type Subject struct {
	Tenant  *Tenant
	Person  string
	Network string // of whoever asks: an IPv4 address, or an IPv6 /64
	Site    string // its IPv6 /48; "" for none
	Region  string // its IPv6 /32; "" for none
	Device  string // of a device cookie; "" for none
	Began   string // the network that began the challenge
	Prefix  string // of the person's telephone number; "" where the message is an e-mail
	Country int    // its calling code
	Stripe  uint8  // of the shared buckets
	Sampled bool   // see Sampled
}

// stripe is the subject's stripe of a bucket of its tenant.
func (s *Subject) stripe(kind store.Kind) store.Key {
	return store.Key{Kind: kind, Name: s.Tenant.names[s.Stripe%maxStripes]}
}

func take(b *store.Batch, kind store.Kind, name string, w []store.Window) {
	b.Charges = append(b.Charges, store.Charge{Bucket: store.Key{Kind: kind, Name: name}, Windows: w, Durable: durable(kind)})
}

func give(b *store.Batch, kind store.Kind, name string, w []store.Window) {
	b.GiveBacks = append(b.GiveBacks, store.Charge{Bucket: store.Key{Kind: kind, Name: name}, Windows: w, Durable: durable(kind)})
}

// look makes the charges of a batch from one on only look.
func look(b *store.Batch, from int) {
	for i := range b.Charges[from:] {
		b.Charges[from+i].Look = true
	}
}

// durable reports whether what a bucket counts must not be forgotten in a crash: risk and money.
func durable(kind store.Kind) bool {
	switch kind {
	case Ledger, Strangers, Networks, Draw, SiteDraw, Device, SMSPrefix, SMSCountry, SMSTenant, SMSEveryone:
		return true
	}
	return false
}

// Sort puts the charges of a batch in the order that the contract wants, so that commits never wait for one another in
// a circle.
func Sort(b *store.Batch) {
	byBucket := func(x, y store.Charge) int { return x.Bucket.Compare(y.Bucket) }
	slices.SortFunc(b.Charges, byBucket)
	slices.SortFunc(b.GiveBacks, byBucket)
}

// clamp keeps a number between two others.
func clamp[T cmp.Ordered](v, least, most T) T { return max(least, min(v, most)) }
