package passwordless

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

// A VerifyRequest presents a code.
type VerifyRequest struct {
	Client string // the ID of the presenting client, already authenticated if it is confidential
	// Handle names the challenge. Without one, Channel and Address find a
	// challenge that was started Handleless.
	Handle  Secret
	Channel Channel
	Address string
	Code    Secret // as typed: spaces, hyphens and case are forgiven
	Caller  Caller
	Grant   Grant
}

// A Method is how a challenge was finished.
type Method string

// The methods. Neither resists phishing: what a person types or clicks can be passed on
// (NIST SP 800-63B-4, 3.2.5).
const (
	ByCode Method = "code"
	ByLink Method = "link"
)

// A Login is a person who signed in.
type Login struct {
	Tenant, Client string
	User           User
	Identifier     Identifier // what was proved
	Method         Method
	At             time.Time // when it was proved
	FirstProof     bool      // the identifier had not been proved before
	KnownDevice    bool      // the device had signed this person in before
	RedirectURI    string    // of the start
	State          string    // of the start
	Params         string    // of the start
	// Device is for the browser or app to keep and to present as Caller.Device: a
	// known device does not draw on the guess ledger. It is no proof of anything else.
	Device Secret
	// Session is what Grant asked for.
	Session *Session
	// Tokens likewise.
	Tokens *Tokens
	// Code is the authorization code that Grant asked for, for Service.Exchange.
	Code Secret
	Rate RateLimit // on guesses; of a link the zero value
}

// Restricted reports whether the channel is a restricted authenticator (NIST SP
// 800-63B-4, 3.2.9): offer an alternative and tell the person.
func (l Login) Restricted() bool { return l.Identifier.Channel == SMS }

// Verify presents a code. The attempt is charged in the commit that reveals the outcome:
// of concurrent right codes one wins, and of concurrent wrong ones no more than the
// challenge's attempts are looked at.
//
// Errors: *ChallengeError, *AccountError, *InputError, *LimitedError, ErrUnknownClient, ErrNoUser (sign-up is closed
// and the user gone meanwhile), ErrBusy, ErrCorrupt, what Store.Commit returns, and errors of Users. On any error nobody is signed in; a
// code that was right may be used up all the same.
func (s *Service) Verify(ctx context.Context, req VerifyRequest) (Login, error) {
	return s.verify(ctx, req, false)
}

// Check presents a code as Verify does and costs the same attempt, but a right code
// stays open and signs nobody in; it never costs the last attempt, so that it can still be presented. It returns nil if
// the code is right.
func (s *Service) Check(ctx context.Context, req VerifyRequest) error {
	req.Grant = Grant{}
	_, err := s.verify(ctx, req, true)
	return err
}

func (s *Service) verify(ctx context.Context, req VerifyRequest, check bool) (Login, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	client, err := s.Client(ctx, req.Client)
	if err != nil {
		return Login{}, err
	}
	n, err := s.presented(client, req)
	if err != nil {
		return Login{}, err
	}
	a, err := s.attempt(n, client, req.Caller, req.Grant, decideGuess)
	if err != nil {
		return Login{}, err
	}
	a.typed, a.check, a.method = req.Code.Reveal(), check, ByCode
	return s.run(ctx, a)
}

// presented finds the name of the challenge that a request presents.
func (s *Service) presented(client Client, req VerifyRequest) (name, error) {
	if req.Handle != "" {
		handle, ok := openToken(req.Handle, handleSize)
		if !ok {
			return "", refuse(ErrUnknownChallenge, 0)
		}
		return handleName(handle), nil
	}
	id, err := ParseIdentifier(req.Channel, req.Address)
	if err != nil {
		return "", err
	}
	return s.slotName(client, s.personName(client.Tenant, id)), nil
}

// A decision judges a loaded challenge: see the functions in challenge.go.
type decision func(challenge, store.Record, name, store.Instant, *guess, *limits) (store.Batch, verdict)

// An attempt is one request about one challenge on its way through the machine.
type attempt struct {
	guess
	name   name
	caller Caller
	grant  Grant
	method Method // by which a right secret signs in; "" if it does not
	decide decision
	// ease is told which bucket refused and tells whether to try again without it.
	ease   func(store.Kind) bool
	heeded bool      // the challenge was loaded again after a revocation was seen
	last   challenge // as the last verdict left it
	now    store.Instant
	seed   digest // of what a login grants
	// granted is what was committed last.
	granted granted
	rate    RateLimit
	// refused is what a stranger's send windows answered.
	refused *LimitedError
}

func (s *Service) attempt(n name, client Client, caller Caller, grant Grant, decide decision) (*attempt, error) {
	if !caller.IP.IsValid() {
		return nil, &InputError{"Caller.IP", "required: limits depend on it"}
	}
	if err := grant.validate(s, client); err != nil {
		return nil, err
	}
	a := &attempt{name: n, caller: caller, grant: grant, decide: decide}
	a.client, a.network, a.browsers = client, s.networkName(caller.IP), s.policy.Browser
	a.coded, a.bound = grant.Code != nil && !grant.Session && grant.Tokens == nil, grant.Code.bound()
	a.browser = browserDigest(caller.Browser)
	rand.Read(a.seed[:])
	return a, nil
}

// easy lets an attempt go on without a bucket that must not refuse a right secret.
func (a *attempt) easy(kind store.Kind) bool {
	switch {
	case a.ease != nil && a.ease(kind):
	case kind == bucketFailures && !a.without.breaker:
		a.without.breaker = true
	case kind == bucketDevice && !a.without.device:
		a.without.device = true
	case kind == bucketStart && a.cancel != "" && !a.without.nuisance:
		a.without.nuisance = true
	default:
		return false
	}
	return true
}

func browserDigest(v Secret) digest {
	if !validBrowser(v) {
		return digest{}
	}
	return sha256.Sum256([]byte(v))
}

// run takes an attempt through load, decide, commit and effect. Conflicts are tried again:
// each means that another call changed the record, which a challenge
// allows only so often.
func (s *Service) run(ctx context.Context, a *attempt) (Login, error) {
	var who found
	for range s.tries(a.client) {
		rec, c, err := s.loadChallenge(ctx, a)
		if err != nil {
			return Login{}, err
		}
		if who, err = s.find(ctx, a, &c, who); err != nil {
			return Login{}, err
		}
		if a.heed(&c, who) && !a.heeded {
			a.heeded = true // perhaps by the login that used the challenge up meanwhile: look again
			continue
		}
		if r := a.grant.Code; r != nil && c.redirect != "" && c.redirect != r.RedirectURI {
			return Login{}, &InputError{"RedirectURI", "not the one of the start"}
		}
		a.version = newVersion()
		b, v := a.decide(c, rec, a.name, a.now, &a.guess, s.limits)
		a.last = v.next
		grants := v.matched && a.method != "" && !a.check
		if grants && who.ready(&c) {
			a.granted = s.grants(a, &v.next, who.user)
			b.Puts = append(b.Puts, a.granted.puts(s.policy.Session)...)
		}
		levels, err := s.commit(ctx, a.now, b)
		if err != nil {
			if again, err := s.runAgain(ctx, a, err); !again {
				return Login{}, err
			}
			continue
		}
		if v.event != "" && v.event != EventLogin {
			s.emit(ctx, v.next.event(v.event, a.name, a.now, reason(v.err)))
		}
		a.rate = rate(&b, bucketGuess, a.now, levels)
		if v.err != nil || !grants {
			return Login{}, rated(v.err, a.rate)
		}
		return s.admit(ctx, a, &v.next, who)
	}
	return Login{}, ErrBusy
}

// rated adds to a refusal what the caller has left of the limit on guesses.
func rated(err error, r RateLimit) error {
	var refused *ChallengeError
	if errors.As(err, &refused) {
		refused.Rate = r
	}
	return err
}

// heed lets a revocation end what came before it: after it nothing matches a challenge that began
// before, and no device is known by a sign-in before. It reports whether it ended a living challenge.
func (a *attempt) heed(c *challenge, who found) bool {
	e := who.user.epoch
	if e == nil || e.n == 0 {
		return false
	}
	a.known = a.known && a.device.issued >= e.at
	if c.suppressed || c.started > e.at || c.live(a.now, a.client) != open {
		return false
	}
	c.suppressed = true
	return true
}

func reason(err error) string {
	var refused *ChallengeError
	if errors.As(err, &refused) {
		return refused.Reason.Error()
	}
	return ""
}

// loadChallenge loads what the attempt names, and reads the clock. An unknown name
// reads as a challenge in no state, so that it takes the same way and costs the same.
func (s *Service) loadChallenge(ctx context.Context, a *attempt) (store.Record, challenge, error) {
	a.now = s.now()
	recs, err := s.store.Load(ctx, a.now, a.name.key(kindChallenge))
	if err != nil {
		return store.Record{}, challenge{}, s.failed(ctx, "loading challenge", err)
	}
	if !recs[0].Exists() {
		return recs[0], challenge{}, nil
	}
	c, err := decodeChallenge(recs[0], a.client.ID, s.ring.current.id)
	if err != nil {
		return store.Record{}, c, err
	}
	a.now = max(a.now, c.touched)
	a.key = s.ring.byID[c.keyID]
	a.device, a.known = s.knownDevice(a.caller.Device, c.tenant, c.person, a.now)
	return recs[0], c, nil
}

// found is what the directory said about the identifier of a challenge.
type found struct {
	asked bool
	user  User
	none  bool
}

// ready reports whether the login needs nothing more from the directory, so that its
// session can be granted in the commit that uses the secret up.
func (f *found) ready(c *challenge) bool {
	return !f.none && f.user.Status == UserActive && f.user.Verified(c.identifier())
}

// find asks the directory who holds the identifier: once a call, for every guess at a living
// challenge, before it is compared, so that neither the time of an answer nor a
// refused commit tells whether the guess was right.
func (s *Service) find(ctx context.Context, a *attempt, c *challenge, f found) (found, error) {
	if f.asked || a.method == "" || c.live(a.now, a.client) != open {
		return f, nil
	}
	f.asked = true
	u, err := s.users.Find(ctx, c.tenant, c.identifier())
	if f.none = errors.Is(err, ErrNoUser); err != nil && !f.none {
		return f, s.failed(ctx, "finding user", err)
	}
	if !f.none && !validUserID(u.ID) {
		return f, s.failed(ctx, "finding user", errBadUserID)
	}
	if f.user = u; u.epoch == nil && s.needsEpoch(a) {
		f.user.epoch, err = s.loadEpoch(ctx, a.now, c.tenant, u.ID) // of nobody too: the trip must not tell
		return f, err
	}
	return f, nil
}

// runAgain decides whether an attempt whose commit was refused is tried again.
func (s *Service) runAgain(ctx context.Context, a *attempt, err error) (bool, error) {
	var limited *LimitedError
	switch {
	case errors.Is(err, store.ErrConflict):
		return true, nil
	case !errors.As(err, &limited):
		return false, s.failed(ctx, "verifying", err)
	}
	if a.easy(limited.Bucket.Kind) {
		if limited.Bucket.Kind == bucketSend {
			a.refused = limited
		}
		return true, nil
	}
	limited = limited.orBefore(a.refused)
	s.emit(ctx, Event{Type: EventLimited, At: a.now.Time(), Tenant: a.client.Tenant, Client: a.client.ID,
		Challenge: string(a.name), Reason: string(limited.Bucket.Kind)})
	if limited.Bucket.Kind == bucketLedger {
		return false, refuse(ErrShortCodesOff, 0)
	}
	return false, limited
}

// admit is the effect of a right secret: it makes the person a user if need be, and signs
// the tokens. The secret is used up by now, whatever happens here.
func (s *Service) admit(ctx context.Context, a *attempt, c *challenge, who found) (Login, error) {
	known := a.known && !a.without.device
	id := a.device.id
	if !known {
		id = nameOf(s.ring.current.sum("device id", string(a.seed[:])))
	}
	l := Login{
		Tenant: c.tenant, Client: c.client, User: who.user, Identifier: c.identifier(), Method: a.method,
		At: a.now.Time(), KnownDevice: known, RedirectURI: c.redirect, State: c.clientState, Params: c.params, Rate: a.rate,
	}
	if !who.ready(c) {
		if err := s.firstProof(ctx, a, c, &l, who); err != nil {
			return Login{}, err
		}
	}
	issued := a.now
	if e := l.User.epoch; e != nil {
		issued = max(issued, e.at)
	}
	l.Device = s.newDevice(c.tenant, c.person, id, issued)
	if err := s.fillGrant(ctx, a, &l); err != nil {
		return Login{}, err
	}
	s.emit(ctx, l.event(EventLogin, c, a.name))
	return l, nil
}

// firstProof handles whoever has not proved this identifier before, in this order: the
// account may sign in, it is made, what came before is purged, and only
// then something is granted.
func (s *Service) firstProof(ctx context.Context, a *attempt, c *challenge, l *Login, who found) error {
	var err error
	if who.none {
		if a.client.SignUp == ClosedSignUp {
			return ErrNoUser
		}
		if l.User, err = s.users.Create(ctx, c.tenant, c.identifier()); err != nil {
			return s.failed(ctx, "creating user", err)
		}
		if !validUserID(l.User.ID) {
			return s.failed(ctx, "creating user", errBadUserID)
		}
	}
	if l.User.Status != UserActive {
		s.emit(ctx, l.event(EventAccountRefused, c, a.name))
		return &AccountError{Status: l.User.Status}
	}
	if err := s.confirm(ctx, a, c, l); err != nil {
		return err
	}
	return s.grantLater(ctx, a, c, l)
}

// confirm ends every session that the account had before its owner came, lets the
// directory purge the rest, and takes its word on the user. What is granted afterwards is granted under
// the epoch written here, so that a later revocation ends it.
func (s *Service) confirm(ctx context.Context, a *attempt, c *challenge, l *Login) error {
	e, err := s.bumpEpoch(ctx, c.tenant, l.User.ID)
	if err != nil {
		return err
	}
	if was := l.User.epoch; was != nil && e.n != was.n+1 {
		return refuse(ErrWrongSecret, 0) // revoked since the user was found: this challenge began before
	}
	u, err := s.users.ConfirmFirstProof(ctx, c.tenant, l.User.ID, c.identifier())
	switch {
	case err != nil:
		return s.failed(ctx, "confirming first proof", err)
	case u.ID != l.User.ID || !u.Verified(c.identifier()):
		return s.failed(ctx, "confirming first proof", errUnconfirmed)
	case u.Status != UserActive:
		return &AccountError{Status: u.Status}
	}
	u.epoch = &e
	l.User, l.FirstProof = u, true
	s.emit(ctx, l.event(EventFirstProof, c, a.name))
	return nil
}

// Mistakes of a directory.
var (
	errUnconfirmed = errors.New("the directory returned another user, or one without the proof")
	errBadUserID   = errors.New("the directory returned a user whose ID is not 1 to 64 bytes long")
)

func validUserID(id string) bool { return len(id) >= 1 && len(id) <= 64 }

func (c *challenge) event(t EventType, n name, at store.Instant, reason string) Event {
	return Event{Type: t, At: at.Time(), Tenant: c.tenant, Client: c.client, Person: string(c.person),
		Challenge: string(n), Channel: c.channel, Reason: reason}
}

func (l *Login) event(t EventType, c *challenge, n name) Event {
	e := c.event(t, n, store.InstantOf(l.At), "")
	e.UserID = l.User.ID
	return e
}
