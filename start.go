package passwordless

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/seed62b93bad/passwordless/internal/canon"
	"github.com/seed62b93bad/passwordless/internal/message"
	"github.com/seed62b93bad/passwordless/store"
)

// A SendMode says what a message carries.
type SendMode uint8

// What a message can carry. The code and the link of one challenge are independent
// secrets, and either uses up both.
const (
	SendCode SendMode = iota
	SendLink
	SendBoth
)

func (m SendMode) code() bool { return m != SendLink }
func (m SendMode) link() bool { return m != SendCode }

// A Caller is where a request came from. Limits, tries and the browser rule
// depend on it; none of it is trusted as proof.
type Caller struct {
	// IP is the end user's address, as far as the handler can know it: the
	// peer's, or what a trusted proxy named. Required.
	IP netip.Addr
	// Device is the value of Login.Device that this browser or app keeps; "" for
	// none. A known device does not draw on the guess ledger.
	Device Secret
	// Browser is the value of Started.Browser that this browser keeps; "" for none.
	Browser Secret
}

// A StartRequest asks to prove control of an address.
type StartRequest struct {
	Client  string  // the ID of the asking client, already authenticated if it is confidential
	Channel Channel // must be one that the client may use
	Address string  // as the person typed it
	Send    SendMode
	// Handleless makes a challenge that is found by client, channel and address
	// instead of a handle, for wires that have none. The next start for the same
	// three replaces it.
	Handleless bool
	// Languages is an Accept-Language value that picks the message's language.
	Languages string
	// RedirectURI is where the sign-in goes afterwards; "" or one that the client
	// registered, byte for byte.
	RedirectURI string
	// State is returned with the login, byte for byte; at most 2,048 bytes.
	State string
	// Params is returned with the login and by PeekLink, byte for byte: whatever else a wire keeps from the start to
	// the finish. It must hold no secret. At most 4,096 bytes.
	Params string
	// LinkURL is where the message's link leads, with "?t=…" behind it: a URL of the caller's own configuration and
	// never of a request; https, or http on loopback. Default PageURL+"link".
	LinkURL string
	Caller  Caller
}

// A Started tells what a start did, equally for addresses that somebody has and
// that nobody has.
type Started struct {
	// Handle names the challenge to Verify and Resend: a secret of whoever started
	// it. "" if the request was Handleless.
	Handle Secret
	// Browser is to be kept by the browser that asked, in a __Host- cookie: links finish only
	// where it is. "" of a repeated start by a caller that had none: it has one from the first.
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

// ParseIdentifier makes the canonical form of an address, or returns an *InputError
// that does not repeat it. Two spellings of one mailbox or number have one form.
func ParseIdentifier(ch Channel, address string) (Identifier, error) {
	var canonical string
	var err error
	switch ch {
	case Email:
		canonical, err = canon.Email(address)
	case SMS:
		canonical, err = canon.Phone(address)
	default:
		return Identifier{}, &InputError{"Channel", "unknown"}
	}
	if err != nil {
		return Identifier{}, &InputError{"Address", ruleOf(err)}
	}
	return Identifier{ch, canonical}, nil
}

// ruleOf is the rule that a canon.Error names.
func ruleOf(err error) string {
	var broken canon.Error
	if errors.As(err, &broken) {
		return string(broken)
	}
	return fmt.Sprint(err)
}

// String masks the address: enough for its owner to recognise, not more.
func (id Identifier) String() string { return canon.Mask(id.Address) }

// Start makes a challenge and sends its message.
//
// A start that repeats another within Policy.StartCooldown is answered like it, with the same
// handle, and sends nothing. It repeats another if it is equal in everything that the challenge
// depends on: client, address, what to send, where to return, network and browser. Of callers
// without a Caller.Browser only Handleless starts count as repeated, because neighbours behind one
// network address must not be given one another's handles.
//
// Errors: *InputError, ErrUnknownClient, *LimitedError, *DeliveryError, ErrBusy, and what
// Store.Commit returns; ErrCorrupt; those of Users where sign-up is closed. After any of them but a DeliveryError,
// with which the Started is valid, nothing was sent. Where the
// client's sign-up is closed there is no DeliveryError, because it would tell who has an account.
func (s *Service) Start(ctx context.Context, req StartRequest) (Started, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	in, err := s.prepareStart(ctx, req)
	if err != nil {
		return Started{}, err
	}
	if in.suppressed, err = s.suppresses(ctx, in); err != nil {
		return Started{}, err
	}
	for range s.tries(in.client) {
		in.fresh = [2]store.Version{newVersion(), newVersion()}
		b, c := decideStart(in, s.limits)
		levels, err := s.commit(ctx, in.now, b)
		if err == nil {
			started := in.started(c)
			started.Rate = rate(&b, bucketStart, in.now, levels)
			return started, s.sendStarted(ctx, in, c)
		}
		if again, err := s.startAgain(ctx, in, err); !again {
			return in.earlier, err
		}
	}
	return Started{}, ErrBusy
}

// A start is the input of decideStart: the request, what was drawn for it, and what refused tries of the
// same call have taught (long, shift, tier, refused, known, cooldownWas).
type start struct {
	StartRequest
	client      Client
	id          Identifier
	now         store.Instant
	key         *macKey
	seed        digest
	fresh       [2]store.Version // of the challenge and its cooldown
	person      name
	network     name
	name        name   // of the challenge's record
	handle      []byte // nil if Handleless
	cooldown    name   // "" if a repeated start is not answered like the first
	cooldownWas store.Version
	browser     Secret
	device      device
	known       bool
	suppressed  bool
	long        bool  // the ledger or the breaker asks for a longer code
	shift       uint8 // from the first stripe of the shared buckets to the one in use
	tier        tier
	refused     *LimitedError // what a stranger's send windows answered
	policy      *Policy
	digits      codeFormat
	earlier     Started // the answer of a repeated start
}

// prepareStart checks a request and draws what decideStart needs.
func (s *Service) prepareStart(ctx context.Context, req StartRequest) (*start, error) {
	client, err := s.Client(ctx, req.Client)
	if err != nil {
		return nil, err
	}
	id, err := s.checkStart(client, req)
	if err != nil {
		return nil, err
	}
	in := &start{StartRequest: req, client: client, id: id, now: s.now(),
		key: s.ring.current, policy: &s.policy, digits: s.digits}
	in.person = s.personName(client.Tenant, id)
	in.network = s.networkName(req.Caller.IP)
	if in.device, in.known = s.knownDevice(req.Caller.Device, client.Tenant, in.person, in.now); in.known {
		in.tier = tierKnown
	}
	rand.Read(in.seed[:]) // never fails since Go 1.24
	own := validBrowser(req.Caller.Browser)
	if in.browser = req.Caller.Browser; !own {
		d := in.key.sum("browser", string(in.seed[:]))
		in.Caller.Browser, in.browser = "", token("", d[:])
	}
	in.handle, in.name = in.find(in.key, in.now, &in.seed, s)
	if s.policy.StartCooldown > 0 && (own || req.Handleless) {
		in.cooldown = s.cooldownName(in)
	}
	return in, nil
}

// cooldownName names what a repeated start repeats.
func (s *Service) cooldownName(in *start) name {
	return s.indexed("cooldown", in.client.Tenant, in.client.ID, string(in.person), string(in.network), string(in.Caller.Browser),
		in.RedirectURI, in.State, in.Params, in.LinkURL, string([]byte{boolByte(in.Handleless), byte(in.Send)}))
}

// easings is how often one call may be tried again because a bucket that must not refuse it did.
const easings = 6

// tries bounds how often one call is decided: other calls can change a challenge only so often.
func (s *Service) tries(c Client) int {
	return max(s.policy.MaxAttempts, c.MaxAttempts) + max(0, s.policy.MaxResends) + 2 + easings
}

// checkStart checks what can be checked without the store.
func (s *Service) checkStart(client Client, req StartRequest) (Identifier, error) {
	if !client.Allows(req.Channel) {
		return Identifier{}, &InputError{"Channel", "not one of the client's"}
	}
	id, err := ParseIdentifier(req.Channel, req.Address)
	if err != nil {
		return Identifier{}, err
	}
	switch {
	case req.Channel == SMS && !slices.Contains(s.policy.SMSCountries, canon.CallingCode(id.Address)):
		return Identifier{}, &InputError{"Address", "number of a country that is not served"}
	case req.Send > SendBoth:
		return Identifier{}, &InputError{"Send", "unknown"}
	case req.Channel == SMS && req.Send != SendCode:
		return Identifier{}, &InputError{"Send", "links are not sent by SMS"}
	case req.RedirectURI != "" && !client.AllowsRedirect(req.RedirectURI):
		return Identifier{}, &InputError{"RedirectURI", "not registered"}
	case len(req.State) > maxState:
		return Identifier{}, &InputError{"State", "longer than 2,048 bytes"}
	case len(req.Params) > maxParams:
		return Identifier{}, &InputError{"Params", "longer than 4,096 bytes"}
	case req.LinkURL != "" && !validLinkURL(req.LinkURL):
		return Identifier{}, &InputError{"LinkURL", "want an https URL without a query (http on loopback only)"}
	case !req.Caller.IP.IsValid():
		return Identifier{}, &InputError{"Caller.IP", "required: limits depend on it"}
	}
	return id, nil
}

// suppresses asks the directory, where the client's policy needs it.
func (s *Service) suppresses(ctx context.Context, in *start) (bool, error) {
	if in.client.SignUp == OpenSignUp {
		return false, nil
	}
	u, err := s.users.Find(ctx, in.client.Tenant, in.id)
	if errors.Is(err, ErrNoUser) {
		return true, nil
	}
	if err != nil {
		return false, s.failed(ctx, "finding user", err)
	}
	return u.Status == UserBlocked, nil
}

const kindCooldown store.Kind = "cooldown"

// decideStart makes the challenge, its cooldown and its charges.
func decideStart(in *start, l *limits) (store.Batch, challenge) {
	attempts := orDefault(in.client.MaxAttempts, in.policy.MaxAttempts)
	c := challenge{
		state: open, tenant: in.client.Tenant, client: in.client.ID,
		channel: in.id.Channel, address: in.id.Address, purpose: SignIn,
		handled: !in.Handleless, suppressed: in.suppressed, send: in.Send,
		keyID: in.key.id, seed: in.seed, format: in.digits,
		started: in.now, sent: in.now, expires: in.now.Add(in.life()),
		tries: splitTries(attempts, !in.Handleless), maxResends: uint8(max(0, in.policy.MaxResends)),
		stripe: (in.seed[0] + in.shift) % l.stripes, person: in.person, network: in.network,
		browser: sha256.Sum256([]byte(in.browser)), locale: clip(in.Languages, 256),
		redirect: in.RedirectURI, clientState: in.State, params: in.Params, linkURL: in.LinkURL,
	}
	b := newBatch()
	if in.long {
		c.format = longCode
	} else {
		l.look(b, &c, attempts, &guess{known: in.known, device: in.device})
	}
	l.chargeSend(b, &c, in.network, in.tier)
	b.put(in.putChallenge(&c))
	if in.cooldown != "" {
		b.put(in.putCooldown(&c))
	}
	return b.done(), c
}

// life is the shorter of the client's and the channel's.
func (in *start) life() time.Duration {
	life := in.policy.EmailLife
	if in.id.Channel == SMS {
		life = in.policy.SMSLife
	}
	return min(life, orDefault(in.client.CodeLife, life))
}

// find returns the handle, if any, and the record name of the challenge made with a seed.
func (in *start) find(key *macKey, at store.Instant, seed *digest, s *Service) ([]byte, name) {
	if in.Handleless {
		return nil, s.slotName(in.client, in.person)
	}
	handle := newHandle(key, at, seed)
	return handle, handleName(handle)
}

func (in *start) putChallenge(c *challenge) store.Put {
	p := c.put(in.name, in.now, in.fresh[0], store.Version{})
	p.Any = in.Handleless
	return p
}

// putCooldown remembers the start for as long as a repeated one is answered with it.
func (in *start) putCooldown(c *challenge) store.Put {
	w := writer{make([]byte, 0, 96)}
	w.fixed([]byte{bodyFormat})
	w.text(c.keyID)
	w.fixed(c.seed[:])
	w.at(c.started)
	w.at(c.expires)
	return store.Put{Was: in.cooldownWas, Stage: store.StageGrant, Record: store.Record{
		Key: in.cooldown.key(kindCooldown), Version: in.fresh[1], Expires: in.now.Add(in.policy.StartCooldown), Body: w.b}}
}

// started is the answer to a start that was committed.
func (in *start) started(c challenge) Started {
	return Started{Handle: token("", in.handle), Browser: in.browser, Identifier: in.id,
		Expires: c.expires.Time(), ResendAfter: in.policy.ResendCooldown}
}

// startAgain decides whether a start whose commit was refused is tried again: in another
// tier, with a longer code, or past a cooldown whose challenge is over.
func (s *Service) startAgain(ctx context.Context, in *start, err error) (bool, error) {
	var limited *LimitedError
	switch {
	case errors.As(err, &limited):
		return s.easeStart(ctx, in, limited)
	case errors.Is(err, store.ErrConflict):
		return s.cooled(ctx, in)
	}
	return false, s.failed(ctx, "starting", err)
}

// easeStart looks for another way under a limit.
func (s *Service) easeStart(ctx context.Context, in *start, limited *LimitedError) (bool, error) {
	switch kind := limited.Bucket.Kind; {
	case kind == bucketDevice && in.known: // ten failures end a device
		in.known, in.tier = false, tierStranger
		return true, nil
	case (kind == bucketLedger || kind == bucketFailures) && !in.long:
		in.long = true
		return true, nil
	case kind == bucketSend && in.tier == tierStranger:
		in.tier, in.refused = tierReserve, limited
		return true, nil
	case (kind == bucketCountry || kind == bucketSMS) && in.shift < 3: // another stripe may have some left
		in.shift++
		return true, nil
	}
	limited = limited.orBefore(in.refused)
	s.emit(ctx, in.event(EventLimited, string(limited.Bucket.Kind)))
	return false, limited
}

// cooled finds the start that a cooldown remembers. If its challenge is still open,
// that start is the answer; else the new one goes ahead.
func (s *Service) cooled(ctx context.Context, in *start) (again bool, err error) {
	recs, err := s.store.Load(ctx, in.now, in.cooldown.key(kindCooldown))
	if err != nil {
		return false, s.failed(ctx, "loading cooldown", err)
	}
	rec := recs[0]
	if !rec.Exists() {
		in.cooldownWas = store.Version{}
		return true, nil
	}
	r, err := openBody(rec)
	if err != nil {
		return false, err
	}
	var seed digest
	key := s.ring.byID[r.text()]
	r.fixed(seed[:])
	at, expires := r.at(), r.at()
	in.cooldownWas = rec.Version
	if err := r.finish(kindCooldown); err != nil || key == nil {
		return err == nil, err
	}
	handle, n := in.find(key, at, &seed, s)
	alive, err := s.alive(ctx, in, n, seed)
	if err != nil || !alive {
		return err == nil, err
	}
	// The browser secret is the caller's own, never the earlier call's, and no new one: nothing is bound to that.
	in.earlier = Started{Handle: token("", handle), Browser: in.Caller.Browser, Identifier: in.id,
		Expires: expires.Time(), ResendAfter: max(0, time.Duration(at.Add(in.policy.ResendCooldown)-in.now))}
	return false, nil
}

// alive reports whether the challenge of an earlier start can still be finished.
func (s *Service) alive(ctx context.Context, in *start, n name, seed digest) (bool, error) {
	recs, err := s.store.Load(ctx, in.now, n.key(kindChallenge))
	if err != nil {
		return false, s.failed(ctx, "loading challenge", err)
	}
	if !recs[0].Exists() {
		return false, nil
	}
	c, err := decodeChallenge(recs[0])
	return err == nil && c.seed == seed && c.live(in.now, in.client) == open && c.tries[initiator].left() > 0, err
}

// sendStarted is the effect of a start.
func (s *Service) sendStarted(ctx context.Context, in *start, c challenge) error {
	kind := EventStarted
	if c.suppressed {
		kind = EventSuppressed
	}
	s.emit(ctx, in.event(kind, ""))
	if in.long {
		s.emit(ctx, in.event(EventLongerCode, ""))
	}
	return s.deliver(ctx, &delivery{client: in.client, challenge: &c, name: in.name, key: in.key,
		network: in.network, tier: in.tier, cooldown: in.cooldown, now: in.now})
}

func (in *start) event(t EventType, reason string) Event {
	return Event{Type: t, At: in.now.Time(), Tenant: in.client.Tenant, Client: in.client.ID,
		Person: string(in.person), Challenge: string(in.name), Channel: in.id.Channel, Reason: reason}
}

// A delivery is one message of a challenge on its way.
type delivery struct {
	client    Client
	challenge *challenge
	name      name
	key       *macKey
	network   name // that the message was charged to
	tier      tier
	cooldown  name // that a failure ends; "" for none
	now       store.Instant
}

// deliver renders the message and hands it to the sender, or, if it is suppressed, does the
// same work and hands it to nobody. What the sender surely did not take is given back, so that
// the person may ask again at once. Where sign-up is closed the caller is not told of a failure and
// nothing is given back: messages to people without an account never fail.
func (s *Service) deliver(ctx context.Context, d *delivery) error {
	m := s.message(d.client, d.challenge, d.name, d.key)
	err := s.render(&m, d.challenge)
	if err == nil && !d.challenge.suppressed {
		err = s.sender.Send(ctx, m)
	}
	if err == nil {
		return nil
	}
	s.emit(ctx, d.challenge.event(EventNotSent, d.name, d.now, "sender failed"))
	if d.client.SignUp == ClosedSignUp {
		return nil
	}
	failed := &DeliveryError{Accepted: !errors.Is(err, ErrNotAccepted), Err: err}
	if !failed.Accepted {
		s.unsend(ctx, d)
	}
	return failed
}

// unsend gives a message back, whether or not the caller still waits. If that fails, the limits stay
// stricter than they need.
func (s *Service) unsend(ctx context.Context, d *delivery) {
	ctx, cancel := afterwards(ctx)
	defer cancel()
	b := s.limits.unsend(d.challenge, d.network, d.tier)
	if d.cooldown != "" {
		b.Deletes = append(b.Deletes, d.cooldown.key(kindCooldown))
	}
	if _, err := s.commit(ctx, d.now, b); err != nil {
		_ = s.failed(ctx, "giving back a send", err)
	}
}

// message fills in everything but the rendered parts.
func (s *Service) message(client Client, c *challenge, n name, key *macKey) Message {
	m := Message{
		ID: c.messageID(), Channel: c.channel, To: Secret(c.address), Purpose: c.purpose,
		Tenant: c.tenant, Client: c.client, AppName: s.AppName(client), Expires: c.expires.Time(),
	}
	if c.send.code() {
		m.Code = Secret(key.code(c, n, c.format))
	}
	if c.send.link() {
		d := key.link(c, n)
		m.Link = tokenAfter(orDefault(c.linkURL, s.pageURL+"link")+"?t=", n, d[:])
	}
	if c.channel == Email {
		d := key.cancel(c, n)
		m.Cancel = tokenAfter(s.pageURL+"cancel?t=", n, d[:])
	}
	return m
}

// render fills in the rendered parts. The life that they name counts from when the message was decided.
func (s *Service) render(m *Message, c *challenge) error {
	w, err := s.renderer.Render(message.Letter{
		Channel: string(m.Channel), AppName: m.AppName, Purpose: string(m.Purpose), Life: m.Expires.Sub(c.sent.Time()),
		Code: m.Code.Reveal(), Link: m.Link.Reveal(), Cancel: m.Cancel.Reveal(),
	}, c.locale)
	m.Locale, m.Subject, m.Text, m.HTML = w.Locale, Secret(w.Subject), Secret(w.Text), Secret(w.HTML)
	return err
}

// clip cuts text that only chooses among ours.
func clip(v string, most int) string { return v[:min(len(v), most)] }

// validBrowser reports whether a browser cookie's value could be one of ours.
func validBrowser(v Secret) bool {
	_, ok := openToken(v, sha256.Size)
	return ok
}
