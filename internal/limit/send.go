package limit

import (
	"strconv"

	"github.com/seed62b93bad/passwordless/store"
)

const (
	humanDay      = 5 // messages a day for whom the application vouches
	verifiedWorth = 5 // sends that one verified number pays for: below one right code in so many, a prefix stops
	strangersPart = 0.75
)

// sends are the windows of messages to a person by who asks for them. Strangers use one half as they like. Of the other half
// each network may take one message a day, so that a flood from few networks does not silence the owner.
type sends struct {
	half, whole, network, device, human, reserve []store.Window
}

func newSends(of []Limit, p Policy) sends {
	one := func(n int) []store.Window { return []store.Window{Limit{n, day}.window(1, 1)} }
	return sends{half: windows(of, 1, 0.5), whole: windows(of, 1, 1), network: windows(p.NetworkSends, 1, 1),
		device: windows(p.DeviceSends, 1, 1), human: one(humanDay), reserve: one(1)}
}

// money is the windows of what text messages cost, for strangers and for whoever was here before: a quarter is kept for those.
type money struct {
	prefix, country, tenant [2][]store.Window
	everyone                [2][]store.Window         // of the countries without a price of their own
	prices                  [2]map[int][]store.Window // of the others, by calling code
	verified                []store.Window            // what a verified number gives its prefix back
	tenants                 bool                      // there are several, so that each has a budget
}

func newMoney(p Policy, stripes int) money {
	m := money{tenants: p.Tenants > 1}
	country, tenant := striped(p.SMS.Country, stripes), striped(p.SMS.Tenant, stripes)
	everyone, spend := striped(p.SMS.Everyone, stripes), striped(p.SMS.Spend, stripes)
	for i, share := range [2]float64{strangersPart, 1} {
		m.prefix[i] = []store.Window{p.SMS.Prefix.window(1, share), p.SMS.Unverified.window(1, share)}
		m.country[i] = []store.Window{country.window(1, share)}
		m.tenant[i] = []store.Window{tenant.window(1, share)}
		priced := func(price int) []store.Window {
			return []store.Window{everyone.window(1, share), spend.window(int64(price), share)}
		}
		m.everyone[i] = priced(p.SMS.Prices[0])
		m.prices[i] = map[int][]store.Window{}
		for code, price := range p.SMS.Prices {
			m.prices[i][code] = priced(price)
		}
	}
	m.verified = []store.Window{p.SMS.Prefix.window(0, 1), p.SMS.Unverified.window(verifiedWorth, 1)}
	return m
}

// Attempt charges one verify of a network, or of a known device, whose code is compared. One that is a success would be given
// it back, and only looks.
func (l *Limits) Attempt(b *store.Batch, s Subject, p Plan, success bool) {
	from := len(b.Charges)
	take(b, Guesses, s.guesser(p), l.guess)
	if success {
		look(b, from)
	}
}

// Astray charges one whose code is compared with nothing: there is no such challenge, or it is over. Such verifies may use half
// of the window. They cost no message, so whoever sends them in vain must not keep a neighbour's code out.
func (l *Limits) Astray(b *store.Batch, s Subject, p Plan) { take(b, Guesses, s.guesser(p), l.astray) }

// guesser is who pays for a verify.
func (s *Subject) guesser(p Plan) string {
	if p.Rank == KnownDevice {
		return s.Device
	}
	return s.Network
}

// Send charges one message, sent or suppressed alike. It reports whether the network paid for it.
func (l *Limits) Send(b *store.Batch, s Subject, p Plan) (paid bool) {
	w := &l.mail
	if s.Prefix != "" {
		w = &l.text
	}
	switch {
	case p.vouched:
		take(b, Human, s.Person, w.human)
	case p.Rank == KnownDevice:
		take(b, DeviceSends, s.Device, w.device)
	case p.Rank == KnownNetwork:
		take(b, NetworkSends, s.Person, w.network)
	case p.reserve:
		take(b, Sends, s.Person, w.whole)
		take(b, Reserve, s.Person+s.Network, w.reserve)
	default:
		take(b, Sends, s.Person, w.half)
	}
	if paid = p.Rank != KnownDevice && !p.vouched; paid {
		l.takeStart(b, &s)
	}
	if s.Prefix != "" {
		l.spendMoney(b, &s, p)
	}
	return paid
}

// takeStart charges one start of a network, and of what it is part of. A start that is not counted for all is refused where one
// that is would be.
func (l *Limits) takeStart(b *store.Batch, s *Subject) {
	take(b, Starts, s.Network, l.start)
	from := len(b.Charges)
	if s.Site != "" {
		take(b, SiteStarts, s.Site, l.site)
	}
	if s.Prefix == "" && (s.Sampled || l.refuses) {
		b.Charges = append(b.Charges, store.Charge{Bucket: s.stripe(Unanswered), Windows: l.waiting})
	}
	switch {
	case !s.Sampled:
		look(b, from)
	case s.Site != "":
		take(b, RegionStarts, s.Region, l.region)
	}
}

// giveStart gives back what takeStart charged the network that began a challenge. Its site is known only if the verify comes
// from the same network.
func (l *Limits) giveStart(b *store.Batch, s *Subject) {
	give(b, Starts, s.Began, l.start)
	if !s.Sampled {
		return
	}
	if s.Site != "" && s.Network == s.Began {
		give(b, SiteStarts, s.Site, l.site)
	}
	if s.Prefix == "" {
		b.GiveBacks = append(b.GiveBacks, store.Charge{Bucket: s.stripe(Unanswered), Windows: l.waiting})
	}
}

// spendMoney charges one text message to the budgets.
func (l *Limits) spendMoney(b *store.Batch, s *Subject, p Plan) {
	share, m := 0, &l.sms
	if p.Rank != Stranger {
		share = 1
	}
	country := s.Tenant.id + strconv.Itoa(s.Country) + "#" + stripeNames[s.Stripe%maxStripes]
	take(b, SMSPrefix, s.Prefix, m.prefix[share])
	take(b, SMSCountry, country, m.country[share])
	if m.tenants {
		b.Charges = append(b.Charges, store.Charge{Bucket: s.stripe(SMSTenant), Windows: m.tenant[share], Durable: true})
	}
	everyone, priced := m.prices[share][s.Country]
	if !priced {
		everyone = m.everyone[share]
	}
	take(b, SMSEveryone, stripeNames[s.Stripe%maxStripes], everyone)
}

// Unsend gives back what a message cost that surely was not taken. The network is not given its start back: asking is not free
// because the address is no good.
func (l *Limits) Unsend(b *store.Batch, s Subject, p Plan) {
	var sent store.Batch
	l.Send(&sent, s, p)
	for _, c := range sent.Charges {
		switch c.Bucket.Kind {
		case Starts, SiteStarts, RegionStarts, Unanswered:
		default:
			b.GiveBacks = append(b.GiveBacks, c)
		}
	}
}

// Nuisance charges a network for a challenge that its recipient did not ask for.
func (l *Limits) Nuisance(b *store.Batch, network string, p Plan) {
	if !p.noNuisance {
		take(b, Starts, network, l.nuisance)
	}
}

// Forget gives everything back that was charged to a person, and not to a network, a device or a budget.
func (l *Limits) Forget(b *store.Batch, person string) {
	for _, bucket := range []struct {
		kind store.Kind
		like []store.Window
	}{
		{Ledger, l.risk.clear}, {Sends, longer(l.mail.whole, l.text.whole)}, {NetworkSends, l.mail.network}, {Human, l.mail.human},
	} {
		all := make([]store.Window, len(bucket.like))
		for i, w := range bucket.like {
			all[i] = store.Window{Burst: int64(99 * year / w.Every), Every: w.Every}
			all[i].Cost = all[i].Burst
		}
		give(b, bucket.kind, person, all)
	}
}

func longer(a, b []store.Window) []store.Window {
	if len(b) > len(a) {
		return b
	}
	return a
}
