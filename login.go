package passwordless

import (
	"context"
	"errors"
	"strings"

	"github.com/seed62b93bad/passwordless/internal/machine"
	"github.com/seed62b93bad/passwordless/internal/secret"
	"github.com/seed62b93bad/passwordless/store"
)

// Every way of signing in comes through this file. A right secret makes a proof; the judge (machine.Judge) says what
// may come of it; admit makes the records of what is granted, and is the only function that does.

// An entry is one sign-in, exchange or refresh in progress: what was proved, who the user is, and what is asked for.
type entry struct {
	client     *client
	issue      Issue
	identifier Identifier
	proof      machine.Proof
	now        store.Instant // when it grants: the proof may be older
	names      *namer        // of the call; nil where it names nothing
	user       User
	none       bool // nobody has the identifier
	outcome    machine.Outcome
	grants
}

// found keeps what the directory answered, and checks it.
func (s *Service) found(ctx context.Context, e *entry, u User, err error) error {
	if e.none = errors.Is(err, ErrNoUser); err != nil && !e.none {
		return s.failed(ctx, "finding user", err)
	}
	if e.user = u; !e.none && !validUserID(u.ID) {
		return s.failed(ctx, "finding user", errBadUserID)
	}
	return nil
}

// readEpoch reads the user's epoch if what is asked for depends on it, and prepares the grants. It makes the trip for
// nobody too, which must not tell who has an account.
func (s *Service) readEpoch(ctx context.Context, e *entry, tenant string) (err error) {
	if !e.issue.revocable() {
		return nil
	}
	e.prepare(tenant, e.user.ID)
	if e.names.err != nil {
		return s.failed(ctx, "hashing", e.names.err)
	}
	if e.user.standing == nil {
		e.user.standing, err = s.loadStanding(ctx, e.owner)
	}
	return err
}

// provedID is the user's ID once there is an outcome; "" before, and of nobody.
func (e *entry) provedID() string {
	if len(e.proof.Methods) == 0 {
		return ""
	}
	return e.user.ID
}

// admit asks the judge what may come of a proof, and returns the records of what that grants. It is the only function
// that grants. The caller sets a.Fresh, which says that the proof is made now; admit fills in the rest of a. The
// records belong in one commit: the one that uses the proof up, or a later one.
func (s *Service) admit(e *entry, a machine.Account) []store.Put {
	a.Exists, a.Status, a.Proved = !e.none, machine.Status(e.user.Status), e.user.Verified(e.identifier)
	e.proof.UserID = e.user.ID
	if e.user.standing != nil {
		a.Epoch = e.user.standing.Number
	}
	if a.Fresh {
		e.proof.Epoch = a.Epoch
	}
	e.outcome = machine.Judge(e.proof, a, e.client.ClosedSignUp)
	if !e.outcome.Grants() {
		return nil
	}
	return e.grant(s)
}

// login makes the Login of the entry, without what is issued.
func (e *entry) login(c *machine.Challenge) Login {
	l := Login{Tenant: e.proof.Tenant, Client: e.proof.Client, User: e.user, Identifier: e.identifier}
	for _, m := range e.proof.Methods {
		l.Methods = append(l.Methods, MethodUse{Method(m.Name), Channel(m.Channel), m.At.Time()})
	}
	if c != nil {
		l.RedirectURI, l.State, l.Params = c.Redirect, c.ClientState, c.Param
	}
	return l
}

// refusedAccount turns an outcome that grants nothing into an error, and reports an account that may not sign in.
func (s *Service) refusedAccount(ctx context.Context, o machine.Outcome, refused Event) error {
	if o.Grants() {
		return nil
	}
	if o.Refused() {
		s.emit(ctx, refused)
		return &AccountError{Status: statuses[o]}
	}
	return ErrNoUser
}

// statuses are the statuses of accounts that may not sign in, by what the judge says of them.
var statuses = map[machine.Outcome]UserStatus{
	machine.OutLocked: UserLocked, machine.OutExpired: UserExpired, machine.OutBlocked: UserBlocked,
}

// Mistakes of a directory.
var (
	errOtherUser   = errors.New("the directory returned another user than was asked for")
	errUnconfirmed = errors.New("the directory returned another user, or one without the proof")
	errBadUserID   = errors.New("the directory returned a user whose ID is not 1 to 64 bytes long")
)

func validUserID(id string) bool { return len(id) >= 1 && len(id) <= 64 }

// authorizationCode is the record of a code for the entry's proof.
func (e *entry) authorizationCode(r *AuthorizationRequest) *machine.AuthorizationCode {
	at := e.proof.At()
	return &machine.AuthorizationCode{State: machine.CodeOpen, Proof: e.proof, RedirectURI: r.RedirectURI,
		Challenge: r.CodeChallenge, Scope: strings.Join(r.Scopes, " "), Audience: r.Audience, Nonce: r.Nonce, Granted: at,
		Expires: at.Add(e.client.tokens.AuthorizationCodeLife), KeyID: e.keyID, Seed: e.seed}
}

// grants are what one entry grants: each part with its name, nil if it is not asked for.
type grants struct {
	owner                        secret.Name
	key                          secret.Key // of all of them
	keyID                        string
	seed                         secret.Seed
	session, refresh             *machine.Family
	code                         *machine.AuthorizationCode
	sessionAt, refreshAt, codeAt secret.Name
}

// prepare draws the seed of the grants to a user, makes their key, and names their owner.
func (e *entry) prepare(tenant, userID string) {
	e.owner = e.names.user(tenant, userID)
	e.seed = newSeed()
	e.key, e.keyID = e.names.key("", e.seed)
}

// grant makes what the entry asks for, and returns its records.
func (e *entry) grant(s *Service) (puts []store.Put) {
	e.session, e.refresh, e.code = nil, nil, nil
	seconds := machine.Seconds(e.proof.At())
	if e.issue.Session {
		e.session, e.sessionAt = e.family(nil), secret.TimedName(seconds, "session", &e.seed)
		puts = append(puts, e.session.Grant(newVersion(), e.sessionAt, e.owner))
	}
	if t := e.issue.Tokens; t.has(offlineAccess) {
		e.refresh, e.refreshAt = e.family(t), secret.TimedName(seconds, "refresh", &e.seed)
		e.refresh.Subject = t.subject(e.login(nil))
		e.refresh.Audience = orDefault(t.Audience, s.issuer)
		puts = append(puts, e.refresh.Grant(newVersion(), e.refreshAt, e.owner))
	}
	if r := e.issue.Code; r != nil {
		e.code, e.codeAt = e.authorizationCode(r), secret.TimedName(seconds, "code", &e.seed)
		puts = append(puts, e.code.Grant(newVersion(), e.codeAt))
	}
	return puts
}

// family is a session or, with a request for tokens, a refresh token family. It keeps the client's policy of now for its life.
func (e *entry) family(t *TokenRequest) *machine.Family {
	p := e.client.sessions
	f := &machine.Family{State: machine.FamilyLive, Proof: e.proof, Rotates: t != nil, Usage: usages[p.Refresh],
		Expiry: expiries[p.Expiry], Idle: p.Idle, Grace: max(0, p.Grace), Used: e.now, End: e.proof.At().Add(p.Absolute),
		KeyID: e.keyID, Seed: e.seed}
	if t != nil {
		f.Scope = strings.Join(t.Scopes, " ")
	}
	return f
}

// The values of a SessionPolicy as the machine knows them.
var (
	usages   = map[RefreshUsage]machine.Usage{OneTime: machine.OneTime, Reusable: machine.Reusable}
	expiries = map[ExpiryPolicy]machine.Expiry{SlidingToMaximum: machine.SlidingToMaximum, FixedExpiry: machine.Fixed,
		Sliding: machine.Sliding}
)

// sign makes the tokens of what was granted. If that fails, it revokes what was granted.
func (s *Service) sign(ctx context.Context, e *entry, l *Login, now store.Instant) error {
	if e.session != nil {
		l.Session = sessionOf(e.session, e.sessionAt)
		l.Session.Token = Secret(e.session.Token(&e.key, e.sessionAt, e.owner))
	}
	if e.code != nil {
		l.AuthorizationCode = Secret(e.code.Token(&e.key, e.codeAt))
	}
	if e.issue.Tokens == nil {
		return nil
	}
	tokens, err := s.tokens(ctx, signing{e.client, e.issue.Tokens, &e.proof, now}, *l)
	if err != nil {
		ctx, cancel := afterwards(ctx) // what was granted must not outlive the failure
		defer cancel()
		return errors.Join(err, s.revoke(ctx, e.refreshAt, machine.RevokeFamily{UserID: l.User.ID}, l.Tenant),
			s.revoke(ctx, e.sessionAt, machine.RevokeFamily{UserID: l.User.ID}, l.Tenant))
	}
	if e.refresh != nil {
		tokens.Refresh = Secret(e.refresh.Token(&e.key, e.refreshAt, e.owner))
	}
	l.Tokens = tokens
	return nil
}

// refusedToken is refusedAccount for a proof that was made before: if the user is gone, or was signed out since, the
// token is invalid.
func (s *Service) refusedToken(ctx context.Context, o machine.Outcome, refused Event) error {
	if o.Grants() || o.Refused() {
		return s.refusedAccount(ctx, o, refused)
	}
	return ErrInvalidToken
}
