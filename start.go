package passwordless

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed62b93bad/passwordless/internal/canon"
	"github.com/seed62b93bad/passwordless/internal/limit"
	"github.com/seed62b93bad/passwordless/internal/machine"
	"github.com/seed62b93bad/passwordless/internal/secret"
	"github.com/seed62b93bad/passwordless/store"
)

// A SendMode says what a message carries.
type SendMode uint8

// What a message can carry. The code and the link of one challenge are independent secrets, and either uses up both.
const (
	SendCode SendMode = iota
	SendLink
	SendBoth
)

// A StartRequest asks to prove control of an address.
type StartRequest struct {
	Channel Channel // must be one that the client may use
	Address Address // as the person typed it
	Send    SendMode
	// ByAddress makes a challenge that is found by client, channel and address instead of a handle, for wires that have
	// none. The next start for the same three replaces it.
	ByAddress bool
	// Languages is an Accept-Language value that picks the message's language.
	Languages string
	// RedirectURI is where the sign-in goes afterwards; "" or one that the client registered, byte for byte.
	RedirectURI string
	// State is returned with the login, byte for byte; at most 2,048 bytes.
	State string
	// Params is returned with the login and by PeekLink, byte for byte: whatever else a wire keeps from the start to the
	// finish. It must hold no secret. At most 4,096 bytes.
	Params string
	// LinkURL is where the message's link leads, with "?t=…" behind it: a URL of the caller's own configuration and never
	// of a request; https, or http on loopback. Default PageURL+"link".
	LinkURL string
}

// A Started is the answer to a start. It is the same whether or not anybody has the address.
type Started struct {
	// Handle names the challenge to Verify and Resend: a secret of whoever started it. "" if the request was ByAddress.
	Handle Secret
	// Browser is for the browser that asked to keep, in a __Host- cookie: links finish only where it is. It is "" after a
	// resend, and after a repeated start by a caller that sent none: the first start gave it one.
	Browser    Secret
	Identifier Identifier // what the address was understood as
	Expires    time.Time
	// ResendAfter is how long Resend refuses.
	ResendAfter time.Duration
	Rate        RateLimit // on starts; of a repeated start the zero value
}

// The longest State and Params, in bytes.
const (
	maxState  = 2048
	maxParams = 4096
)

// Start makes a challenge and sends its message.
//
// A start that repeats another within CodePolicy.StartCooldown is answered like it, with the same handle, and sends
// nothing. It repeats another if it is equal in everything that the challenge depends on: client, address, what to
// send, where to return, network and browser. Of callers without a Caller.Browser only ByAddress starts count as
// repeated, because neighbours behind one network address must not be given one another's handles.
//
// Errors: *InputError, ErrUnauthenticated, *LimitedError, *DeliveryError, ErrBusy, ErrUnavailable, ErrUncertain, ErrCorrupt;
// those of Users where sign-up is closed. After any of them but a DeliveryError, with which the Started is valid, nothing was
// sent. Where the client's sign-up is closed there is no DeliveryError, because it would tell who has an account.
func (s *Service) Start(ctx context.Context, by Requester, req StartRequest) (Started, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	started, err := s.start(ctx, by, req)
	return started, by.settle(ctx, err)
}

// A beginning is one call of Start in progress.
type beginning struct {
	req     StartRequest
	client  *client
	caller  Caller
	id      Identifier
	at      machine.Moment
	start   machine.Start // the event; once it is committed, its Draft is the challenge
	names   namer
	key     secret.Key // of the challenge
	handle  secret.Handle
	browser Secret             // that the challenge is bound to
	own     bool               // the caller brought it
	there   *machine.Challenge // an earlier start's under the same name; nil for none
	repeats repetition
	refusals
}

// A repetition is the earlier start that this one repeats, if there is one.
type repetition struct {
	cooldown secret.Name // "" if a repeated start is not answered like the first
	was      store.Version
	earlier  machine.Cooldown
	answer   Started
}

func (s *Service) start(ctx context.Context, by Requester, req StartRequest) (Started, error) {
	if err := (demand{openStart: true, client: true, address: true}).of(s, by); err != nil {
		return Started{}, err
	}
	x := &beginning{req: req, client: by.client}
	err := s.checkStart(x)
	if err == nil {
		err = s.prepareStart(ctx, x, by.caller)
	}
	if err == nil {
		x.start.Draft.Suppressed, err = s.suppresses(ctx, x)
	}
	if err != nil {
		return Started{}, err
	}
	for range limit.Easings + 2 {
		d := x.decide()
		if d.Reason == machine.Repeated {
			return x.repeats.answer, nil
		}
		levels, err := s.commit(ctx, x.at.Now, d.Batch)
		if err == nil {
			x.start.Draft = d.Next
			s.alarm(ctx, x.client.Tenant, &d.Batch, x.at.Now, levels)
			return s.sendStarted(ctx, x, rateOf(&d.Batch, limit.Starts, x.at.Now, levels))
		}
		if err := s.startAgain(ctx, x, &d.Batch, err); err != nil {
			return Started{}, err
		}
	}
	return Started{}, ErrBusy
}

// checkStart checks what can be checked without the store.
func (s *Service) checkStart(x *beginning) (err error) {
	req := &x.req
	if !slices.Contains(x.client.Channels, req.Channel) {
		return &InputError{"Channel", "not one of the client's"}
	}
	if x.id, err = ParseIdentifier(req.Channel, req.Address); err != nil {
		return err
	}
	switch {
	case req.Channel == SMS && !slices.Contains(s.policy.SMS.Countries, canon.CallingCode(string(x.id.Address))):
		return &InputError{"Address", "number of a country that is not served"}
	case req.Send > SendBoth:
		return &InputError{"Send", "unknown"}
	case req.Channel == SMS && req.Send != SendCode:
		return &InputError{"Send", "links are not sent by SMS"}
	case req.RedirectURI != "" && !x.client.AllowsRedirect(req.RedirectURI):
		return &InputError{"RedirectURI", "not registered"}
	case len(req.State) > maxState:
		return &InputError{"State", "longer than 2,048 bytes"}
	case len(req.Params) > maxParams:
		return &InputError{"Params", "longer than 4,096 bytes"}
	case req.LinkURL != "" && !validLinkURL(req.LinkURL):
		return &InputError{"LinkURL", "want an https URL without a query (http on loopback only)"}
	}
	return nil
}

// prepareStart draws the seed, names the records, and fills in the event.
func (s *Service) prepareStart(ctx context.Context, x *beginning, caller Caller) error {
	n, seed, now := &x.names, newSeed(), s.now()
	n.begin(ctx, s.hasher)
	var keyID string
	x.key, keyID = n.key("", seed)
	person, network := n.person(x.client.Tenant, x.id), n.network(x.client.Tenant, caller.IP)
	if x.own = validBrowser(caller.Browser); x.own {
		x.browser = caller.Browser
	} else {
		d := x.key.Derive("browser")
		x.browser = Secret(secret.Encode(string(d[:])))
	}
	x.caller = caller
	x.at = machine.Moment{Now: now, Key: &x.key, Limits: s.limits, Plan: x.client.plan(x.id.Channel),
		By: machine.Caller{Tenant: x.client.Tenant, Client: x.client.ID, Shared: x.client.shared, Network: network,
			Browser: secret.Hash(string(x.browser))}}
	x.at.By.Site, x.at.By.Region = n.around(x.client.Tenant, caller.IP)
	x.start.Draft = machine.Challenge{Tenant: x.client.Tenant, Client: x.client.ID, Channel: string(x.id.Channel),
		Address: string(x.id.Address), Purpose: machine.SignIn, Carries: machine.Carries(x.req.Send), KeyID: keyID, Seed: seed,
		Person: person, Prefix: n.prefix(x.client.Tenant, x.id),
		Locale: clip(x.req.Languages, 256), Redirect: x.req.RedirectURI, ClientState: x.req.State, Param: x.req.Params,
		LinkURL: x.req.LinkURL}
	c := x.client.codes
	x.start.Attempts, x.start.Resends, x.start.Life = c.MaxAttempts, c.MaxResends, c.EmailLife
	if x.start.Cooldown = c.ResendCooldown; x.id.Channel == SMS {
		x.start.Life = c.SMSLife
	}
	if x.req.ByAddress {
		x.start.Draft.Scope, x.at.Name = machine.ByAddress, n.slot(x.client.Tenant, x.client.ID, person)
	} else {
		x.handle = secret.NewHandle(&x.key, machine.Seconds(now))
		x.at.Name = x.handle.Name()
	}
	if x.client.codes.StartCooldown > 0 && (x.own || x.req.ByAddress) {
		x.start.Draft.Again, x.repeats.cooldown = machine.Repeat, n.cooldown(x, network, caller.Browser)
	}
	if d, ok := n.openDevice(caller.Device, x.client.Tenant, person, now); ok {
		x.at.By.Device = d.id
		x.at.Plan.FromDevice()
	}
	if n.err != nil {
		return s.failed(ctx, "hashing", n.err)
	}
	return nil
}

// cooldown names the record of the last start that was equal to this one.
func (n *namer) cooldown(x *beginning, network secret.Name, browser Secret) secret.Name {
	if !x.own {
		browser = ""
	}
	by := "handle"
	if x.req.ByAddress {
		by = "address"
	}
	return n.index("cooldown", x.client.Tenant, x.client.ID, string(x.start.Draft.Person), string(network), string(browser),
		x.req.RedirectURI, x.req.State, x.req.Params, x.req.LinkURL, by, fmt.Sprint(x.req.Send))
}

// suppresses reports whether the message must not go out: sign-up is closed, and nobody may sign in with the address.
func (s *Service) suppresses(ctx context.Context, x *beginning) (bool, error) {
	if !x.client.ClosedSignUp {
		return false, nil
	}
	u, err := s.users.Find(ctx, x.client.Tenant, x.id)
	none := errors.Is(err, ErrNoUser)
	if err != nil && !none {
		return false, s.failed(ctx, "finding user", err)
	}
	a := machine.Account{Exists: !none, Fresh: true, Status: machine.Status(u.Status)}
	return machine.Judge(machine.Proof{}, a, true).Suppresses(), nil
}

// decide lets the machine make the challenge and its charges, and adds the record of the cooldown.
func (x *beginning) decide() machine.Decision[machine.Challenge] {
	x.at.Fresh = newVersion()
	x.start.Repeats = x.repeats.earlier.Seed
	var there machine.Challenge
	if x.there != nil {
		there = *x.there
	}
	d := there.On(&x.start, x.at)
	if x.repeats.cooldown != "" && d.Reason == machine.Done {
		at := machine.Moment{Now: x.at.Now, Name: x.repeats.cooldown, Was: x.repeats.was, Fresh: newVersion()}
		d.Batch.Puts = append(d.Batch.Puts, machine.CooldownOf(&d.Next).Put(at, x.client.codes.StartCooldown))
	}
	return d
}

// startAgain deals with an error of a start's commit. It returns nil if the start is to be decided again.
func (s *Service) startAgain(ctx context.Context, x *beginning, b *store.Batch, err error) error {
	var limited *store.LimitedError
	switch {
	case errors.As(err, &limited):
		err := s.ease(ctx, x, b, limited)
		var refusal *LimitedError
		if errors.As(err, &refusal) {
			s.emit(ctx, x.event(EventLimited, refusal.Limit))
		}
		return err
	case errors.Is(err, store.ErrConflict) && x.repeats.cooldown != "":
		return s.repeated(ctx, x)
	case errors.Is(err, store.ErrConflict):
		return nil
	}
	return s.failed(ctx, "starting", err)
}

// repeated loads the earlier start and its challenge. The next decision tells whether its answer still holds.
func (s *Service) repeated(ctx context.Context, x *beginning) error {
	recs, err := s.load(ctx, x.at.Now, "cooldown", store.Key{Kind: machine.KindCooldown, Name: string(x.repeats.cooldown)})
	if err != nil {
		return err
	}
	if x.repeats.was = recs[0].Version; !recs[0].Exists() {
		return nil
	}
	if x.repeats.earlier, err = machine.DecodeCooldown(recs[0].Body); err != nil {
		return corrupt(recs[0], err)
	}
	key, known := x.names.had(x.repeats.earlier.KeyID, x.repeats.earlier.Seed)
	if !known || x.repeats.earlier.Started > x.at.Now.Add(machine.ClockLead) {
		// Its ring key is gone, and so is what it made; or a clock that was far ahead made it, and would answer for as long.
		x.repeats.earlier = machine.Cooldown{}
		return nil
	}
	name, handle := x.at.Name, secret.Handle("")
	if !x.req.ByAddress {
		handle = secret.NewHandle(&key, machine.Seconds(x.repeats.earlier.Started))
		name = handle.Name()
	}
	if recs, err = s.load(ctx, x.at.Now, "challenge", store.Key{Kind: machine.KindChallenge, Name: string(name)}); err != nil {
		return err
	}
	if x.there = nil; recs[0].Exists() {
		there, err := machine.DecodeChallenge(recs[0].Body)
		if err != nil {
			return corrupt(recs[0], err)
		}
		x.there = &there
	}
	// The browser secret is the caller's own, never the earlier call's, and no new one: nothing is bound to that.
	earlier := &x.repeats.earlier
	x.repeats.answer = Started{Handle: Secret(secret.Encode(string(handle))), Identifier: x.id, Expires: earlier.Expires.Time(),
		ResendAfter: max(0, time.Duration(earlier.Started.Add(x.client.codes.ResendCooldown)-x.at.Now))}
	if x.own {
		x.repeats.answer.Browser = x.browser
	}
	return nil
}

// sendStarted reports a start that was committed, and sends its message.
func (s *Service) sendStarted(ctx context.Context, x *beginning, rate RateLimit) (Started, error) {
	c := &x.start.Draft
	kind := EventStarted
	if c.Suppressed {
		kind = EventSuppressed
	}
	s.emit(ctx, x.event(kind, ""))
	if x.at.Plan.Longer() {
		s.emit(ctx, x.event(EventLongerCode, ""))
	}
	started := Started{Handle: Secret(secret.Encode(string(x.handle))), Browser: x.browser, Identifier: x.id,
		Expires: c.Expires.Time(), ResendAfter: x.client.codes.ResendCooldown, Rate: rate}
	return started, s.deliver(ctx, &delivery{client: x.client, challenge: c, at: x.at, cooldown: x.repeats.cooldown})
}

// moment implements asker.
func (x *beginning) moment() *machine.Moment { return &x.at }

// who implements asker.
func (x *beginning) who() (Caller, Identifier) { return x.caller, x.id }

// knownNetwork implements asker. It makes the same trips whether or not somebody has the address.
func (x *beginning) knownNetwork(ctx context.Context, s *Service) (bool, error) {
	u, err := s.users.Find(ctx, x.client.Tenant, x.id)
	if err != nil && !errors.Is(err, ErrNoUser) {
		return false, s.failed(ctx, "finding user", err)
	}
	return s.knowsNetwork(ctx, &x.names, x.client.Tenant, u, &x.at)
}

// event is an event of the start.
func (x *beginning) event(t EventType, reason string) Event {
	return Event{Type: t, At: x.at.Now.Time(), Tenant: x.client.Tenant, Client: x.client.ID, Person: string(x.start.Draft.Person),
		Challenge: string(x.at.Name), Channel: x.id.Channel, Reason: reason}
}

// Resend sends the message of a challenge again: with the same secrets, or with new ones if CodePolicy.ReplaceOnResend
// is set. It gives no more time and no more attempts.
//
// Errors: *ChallengeError (ErrTooSoon and ErrNoResends among its reasons), *LimitedError, *DeliveryError (with which
// the Started is valid), *InputError, ErrUnauthenticated, ErrBusy, ErrCorrupt, ErrUnavailable and ErrUncertain.
func (s *Service) Resend(ctx context.Context, by Requester, handle Secret) (Started, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	started, err := s.resend(ctx, by, handle)
	return started, by.settle(ctx, err)
}

func (s *Service) resend(ctx context.Context, by Requester, handle Secret) (Started, error) {
	if err := (demand{openStart: true, address: true}).of(s, by); err != nil {
		return Started{}, err
	}
	name, err := nameOfHandle(handle)
	if err != nil {
		return Started{}, err
	}
	x := &step{by: by, eventOf: func(c *client) machine.ChallengeEvent {
		return machine.Send{Replace: c.codes.ReplaceOnResend, Cooldown: c.codes.ResendCooldown}
	}}
	x.at.Name = name
	c, err := s.take(ctx, x)
	if err != nil {
		return Started{}, err
	}
	if x.at.Plan.Longer() {
		s.emit(ctx, x.report(EventLongerCode, &c, ""))
	}
	started := Started{Handle: handle, Identifier: identifierOf(&c), Expires: c.Expires.Time(),
		ResendAfter: c.ResendAfter(x.client.codes.ResendCooldown)}
	return started, s.deliver(ctx, &delivery{client: x.client, challenge: &c, at: x.at})
}

// clip cuts text after some bytes. It is for text whose rest does not matter: a list of languages.
func clip(v string, most int) string { return v[:min(len(v), most)] }
