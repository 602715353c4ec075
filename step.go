package passwordless

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/seed62b93bad/passwordless/internal/limit"
	"github.com/seed62b93bad/passwordless/internal/machine"
	"github.com/seed62b93bad/passwordless/internal/secret"
	"github.com/seed62b93bad/passwordless/store"
)

// identifierOf is the address that a challenge is about.
func identifierOf(c *machine.Challenge) Identifier {
	return Identifier{Channel(c.Channel), Address(c.Address)}
}

// validBrowser reports whether a browser cookie's value could be one of ours.
func validBrowser(v Secret) bool {
	_, ok := secret.Decode(v.Reveal(), sha256.Size)
	return ok
}

// browserDigest is what a challenge keeps of the browser that it was begun in; zero for none.
func browserDigest(v Secret) secret.Digest {
	if !validBrowser(v) {
		return secret.Digest{}
	}
	return secret.Hash(string(v))
}

// mostAhead is how far a call goes forward to the newest write of what it loaded, so that a clock which steps back revives
// nothing. What a clock further ahead wrote would have the call charge limits in the future.
const mostAhead = 24 * time.Hour

// A step is one call in progress that gives an event to a challenge. It lasts over all tries of the call.
type step struct {
	entry
	by      Requester
	event   machine.ChallengeEvent
	eventOf func(*client) machine.ChallengeEvent // the event, where it depends on the client
	method  Method                               // "" if the event signs nobody in
	at      machine.Moment
	key     secret.Key // of the record
	device  device
	checks  bool // CheckCode's: it tells whether a code is right, and signs nobody in
	asked   bool // the directory was asked who the user is
	stale   bool // a revocation ended the device
	rate    RateLimit
	used    [1]machine.Method // backs proof.Methods, which saves an allocation
	namer   namer             // backs names, likewise
	refusals
}

// sends reports whether the step makes a message: a resend does.
func (x *step) sends() bool { return x.eventOf != nil && x.method == "" }

// take loads the challenge, decides, commits, and returns the challenge as it was committed. Conflicts are decided
// again: each means that another call changed the record, which a challenge allows only so often.
func (s *Service) take(ctx context.Context, x *step) (machine.Challenge, error) {
	for range limit.Easings + 2 + 2*limit.MaxTries {
		x.proof = machine.Proof{}
		c, err := s.loadChallenge(ctx, x)
		if err == nil {
			err = s.findUser(ctx, x, &c)
		}
		if err != nil {
			return c, err
		}
		x.at.Fresh = newVersion()
		if x.eventOf != nil {
			x.event = x.eventOf(x.client)
		}
		d := c.On(x.event, x.at)
		signsIn := d.Reason == machine.Done && x.method != ""
		if signsIn {
			x.proof, x.now = proofOf(&d.Next, x), x.at.Now
			d.Batch.Puts = append(d.Batch.Puts, s.admit(&x.entry, machine.Account{Fresh: true})...)
			d.Batch.Puts = append(d.Batch.Puts, x.usedNetwork()...)
			if x.names.err != nil {
				return c, s.failed(ctx, "hashing", x.names.err)
			}
		}
		levels, err := s.commit(ctx, x.at.Now, d.Batch)
		if err != nil {
			if err := s.takeAgain(ctx, x, &d.Batch, err); err != nil {
				return c, err
			}
			continue
		}
		s.alarm(ctx, d.Next.Tenant, &d.Batch, x.at.Now, levels)
		x.rate = rateOf(&d.Batch, limit.Guesses, x.at.Now, levels)
		return d.Next, s.answer(ctx, x, &d)
	}
	return machine.Challenge{}, ErrBusy
}

// loadChallenge loads the challenge that the step names, with its client, and reads the clock. If there is no such
// record it returns the zero challenge, which goes the same way through take, so that its answer takes the same time.
func (s *Service) loadChallenge(ctx context.Context, x *step) (c machine.Challenge, err error) {
	x.at = machine.Moment{Now: s.now(), Name: x.at.Name, Limits: s.limits, Plan: x.at.Plan}
	if x.client == nil {
		x.client = x.by.client
	}
	recs, err := s.load(ctx, x.at.Now, "challenge", store.Key{Kind: machine.KindChallenge, Name: string(x.at.Name)})
	if err != nil {
		return c, err
	}
	if x.names == nil {
		x.names = &x.namer
		x.names.begin(ctx, s.hasher)
	}
	n := x.names
	x.at.By.Browser = browserDigest(x.by.caller.Browser)
	if x.client != nil {
		x.comesFrom(x.client.Tenant)
	}
	if recs[0].Exists() {
		if c, err = s.openChallenge(ctx, n, x, recs[0]); err != nil {
			return c, err
		}
	}
	gone := x.client == nil // there is no challenge, or its client is not there any more
	if gone {
		x.client = nobody
		x.comesFrom("")
	}
	if n.err != nil {
		return c, s.failed(ctx, "hashing", n.err)
	}
	if gone {
		return machine.Challenge{}, nil
	}
	x.at.By.Tenant, x.at.By.Client, x.at.By.Shared = x.client.Tenant, x.client.ID, x.client.shared
	if x.sends() && !x.at.Plan.Sends {
		rank := x.at.Plan.Rank
		x.at.Plan = x.client.plan(Channel(c.Channel))
		x.at.Plan.Rank = rank
	}
	return c, s.checkIssue(x.issue, x.client)
}

// comesFrom names the networks that the call comes from, as a tenant sees them.
func (x *step) comesFrom(tenant string) {
	x.at.By.Network = x.names.network(tenant, x.by.caller.IP)
	x.at.By.Site, x.at.By.Region = x.names.around(tenant, x.by.caller.IP)
}

// openChallenge decodes a challenge, makes its key, looks up its client if the caller named none, and checks the
// caller's device cookie.
func (s *Service) openChallenge(ctx context.Context, n *namer, x *step, rec store.Record) (machine.Challenge, error) {
	c, err := x.decode(rec.Body)
	if err != nil {
		return c, corrupt(rec, err)
	}
	x.at.Was, x.at.Ahead = rec.Version, c.Started > x.at.Now.Add(machine.ClockLead)
	if c.Touched <= x.at.Now.Add(mostAhead) {
		x.at.Now = max(x.at.Now, c.Touched)
	}
	x.key, _ = n.key(c.KeyID, c.Seed)
	x.at.Key = &x.key
	if x.client == nil { // a link names its client, and so does a handle
		if x.client, err = s.lookUp(ctx, c.Client); err != nil && !errors.Is(err, ErrUnknownClient) {
			return c, err
		}
		x.comesFrom(c.Tenant)
	}
	var known bool
	if x.device, known = n.openDevice(x.by.caller.Device, c.Tenant, c.Person, x.at.Now); known {
		x.at.By.Device = x.device.id
		x.at.Plan.FromDevice()
	}
	x.identifier = identifierOf(&c)
	return c, nil
}

// decode reads a challenge. It passes the likely values of its fields, so that decoding them does not allocate.
func (x *step) decode(body []byte) (machine.Challenge, error) {
	id := ""
	if x.client != nil {
		id = x.client.ID
	}
	return machine.DecodeChallenge(body, string(Email), string(SMS), machine.SignIn, id, x.names.current, string(x.at.By.Network))
}

// findUser asks the directory who holds the identifier, once a call. It does so for every guess at a living challenge,
// before the guess is compared: neither the time of an answer nor a refused commit tells whether the guess was right.
func (s *Service) findUser(ctx context.Context, x *step, c *machine.Challenge) error {
	if !x.asked && (x.method != "" || x.checks) && c.Live(&x.at) == machine.StateOpen {
		x.asked = true
		u, err := s.users.Find(ctx, c.Tenant, x.identifier)
		if err = s.found(ctx, &x.entry, u, err); err != nil {
			return err
		}
		if err := s.readEpoch(ctx, &x.entry, c.Tenant); err != nil {
			return err
		}
	}
	if !x.asked {
		return nil
	}
	st := x.user.standing
	if st != nil {
		x.at.Revoked = st.RevokedUntil(s.skew())
	}
	if x.at.Plan.Rank == limit.KnownDevice && !x.device.stands(&x.user, s.skew()) {
		x.stale, x.at.By.Device = true, ""
		x.at.Plan.NotDevice()
	}
	if x.at.Plan.Rank == limit.Stranger && st != nil && st.networks.Know(x.user.ID, x.at.By.Network, st.Number, x.at.Now) {
		x.at.Plan.FromNetwork()
	}
	return nil
}

// moment implements asker.
func (x *step) moment() *machine.Moment { return &x.at }

// who implements asker.
func (x *step) who() (Caller, Identifier) { return x.by.caller, x.identifier }

// knownNetwork implements asker. It makes the same trips whether or not somebody has the address.
func (x *step) knownNetwork(ctx context.Context, s *Service) (bool, error) {
	u := x.user
	if !x.asked {
		var err error
		if u, err = s.users.Find(ctx, x.client.Tenant, x.identifier); err != nil && !errors.Is(err, ErrNoUser) {
			return false, s.failed(ctx, "finding user", err)
		}
	}
	return s.knowsNetwork(ctx, x.names, x.client.Tenant, u, &x.at)
}

// takeAgain deals with an error of a step's commit. It returns nil if the step is to be decided again.
func (s *Service) takeAgain(ctx context.Context, x *step, b *store.Batch, err error) error {
	var limited *store.LimitedError
	switch {
	case errors.Is(err, store.ErrConflict):
		return nil
	case !errors.As(err, &limited):
		return s.failed(ctx, "committing a challenge", err)
	}
	err = s.ease(ctx, x, b, limited)
	var refusal *LimitedError
	if !errors.As(err, &refusal) {
		return err
	}
	s.emit(ctx, Event{Type: EventLimited, At: x.at.Now.Time(), Tenant: x.client.Tenant, Client: x.client.ID,
		Challenge: string(x.at.Name), Reason: refusal.Limit})
	if !x.sends() && limit.IsRisk(limited.Bucket.Kind) {
		s.endDevice(ctx, x)
		return refuse(ErrShortCodesOff)
	}
	return refusal
}

// endDevice ends the device of a guess that drew on the ledger although it came with a cookie of ours, since a revocation had
// ended that: a start does not see so much, and would give a short code again. If it fails, the next guess does it.
func (s *Service) endDevice(ctx context.Context, x *step) {
	if !x.stale {
		return
	}
	var b store.Batch
	s.limits.EndDevice(&b, string(x.device.id))
	_, _ = s.commit(ctx, x.at.Now, b)
}

// answer reports a decision that was committed, and turns its reason into an error.
func (s *Service) answer(ctx context.Context, x *step, d *machine.Decision[machine.Challenge]) error {
	err := reasons[d.Reason]
	if t := eventOf[d.Note]; t != "" {
		phrase := ""
		if err != nil {
			phrase = err.Error()
		}
		s.emit(ctx, x.report(t, &d.Next, phrase))
	}
	switch d.Reason {
	case machine.Done:
		return nil
	case machine.OtherReturn:
		return &InputError{"RedirectURI", "not the one of the start"}
	case machine.OtherBrowser:
		return &OtherBrowserError{AppName: s.AppName(x.client.Client), Code: Secret(d.Next.Code(&x.key, x.at.Name))}
	}
	return &ChallengeError{Reason: err, AttemptsLeft: d.Left, RetryAfter: d.Wait, Rate: x.rate}
}

// report is an event of the step.
func (x *step) report(t EventType, c *machine.Challenge, reason string) Event {
	return Event{Type: t, At: x.at.Now.Time(), Tenant: c.Tenant, Client: c.Client, Person: string(c.Person),
		Challenge: string(x.at.Name), Channel: Channel(c.Channel), UserID: x.provedID(), Reason: reason}
}

// proofOf is the proof that a step made by using up a challenge.
func proofOf(c *machine.Challenge, x *step) machine.Proof {
	x.used[0] = machine.Method{Name: string(x.method), Channel: c.Channel, At: x.at.Now}
	return machine.Proof{Tenant: c.Tenant, Client: c.Client, Channel: c.Channel, Address: c.Address, Methods: x.used[:]}
}
