package passwordless

import (
	"context"
	"errors"
	"strings"

	"github.com/seed62b93bad/passwordless/internal/machine"
	"github.com/seed62b93bad/passwordless/internal/secret"
	"github.com/seed62b93bad/passwordless/store"
)

// An ExchangeRequest presents an authorization code.
type ExchangeRequest struct {
	Code        Secret // of Login.AuthorizationCode
	RedirectURI string // the one that the code was sent to, byte for byte
	Verifier    Secret // of PKCE, if the code was asked for with a challenge; else ""
	// Subject and Claims are those of a TokenRequest; the rest was said when the code was asked for.
	Subject func(Login) string
	Claims  func(Login, []string) map[string]any
}

// Exchange exchanges an authorization code for tokens, once. The login is the one that ended with the code, and its
// Tokens are new; their auth_time is the proof's. A second use of a code revokes the refresh family that the first one
// gave, up to an hour after the code's life. Access tokens live to their end.
//
// Errors: ErrInvalidToken (a code that is over, revoked, of another client, sent to another redirect URI, or presented
// with the wrong verifier, with one that nobody asked for or without one), ErrReusedToken, *AccountError, *InputError,
// ErrUnauthenticated, ErrBusy, ErrCorrupt, ErrUnavailable, ErrUncertain, and errors of Users.
func (s *Service) Exchange(ctx context.Context, by Requester, req ExchangeRequest) (Login, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	if err := (demand{client: true}).of(s, by); err != nil {
		return Login{}, err
	}
	n, presented, ok := machine.OpenCode(req.Code.Reveal())
	if !ok {
		return Login{}, ErrInvalidToken
	}
	var l Login
	err := whileConflicting(func(int) (err error) {
		x := &exchange{req: req, secret: presented, at: machine.Moment{Name: n}}
		x.client = by.client
		l, err = s.exchange(ctx, x)
		return err
	})
	return l, by.settle(ctx, err)
}

// An exchange is one call of Exchange in progress.
type exchange struct {
	entry
	req    ExchangeRequest
	secret string
	at     machine.Moment
	key    secret.Key // of the code
}

// exchange is one try of Exchange. A conflict means that another call used the code.
func (s *Service) exchange(ctx context.Context, x *exchange) (Login, error) {
	c, err := s.loadCode(ctx, x)
	if err != nil {
		return Login{}, err
	}
	x.proof, x.identifier = c.Proof, Identifier{Channel(c.Channel), Address(c.Address)}
	x.issue.Tokens = &TokenRequest{Scopes: strings.Fields(c.Scope), Audience: c.Audience, Nonce: c.Nonce,
		Subject: x.req.Subject, Claims: x.req.Claims}
	e := machine.Exchange{Secret: x.secret, RedirectURI: x.req.RedirectURI, Registered: x.client.AllowsRedirect(x.req.RedirectURI),
		Verifier: x.req.Verifier.Reveal()}
	var grants []store.Put
	if c.On(e, x.at).Reason == machine.Done {
		if grants, err = s.admitCode(ctx, x); err != nil {
			return Login{}, err
		}
		if x.refresh != nil {
			e.Family = x.refreshAt
		}
	}
	d := c.On(e, x.at)
	if d.Reason == machine.Reused {
		err := errors.Join(tokenErrors[d.Reason], s.endFamily(ctx, &c))
		s.emit(ctx, x.report(EventTokenReuse, "authorization code used before"))
		return Login{}, err
	}
	d.Batch.Puts = append(d.Batch.Puts, grants...)
	if err := s.change(ctx, x.at.Now, "exchanging", d.Batch); d.Reason != machine.Done {
		return Login{}, tokenErrors[d.Reason] // whether or not its end could be written
	} else if err != nil {
		return Login{}, err
	}
	l := x.login(nil)
	l.RedirectURI = c.RedirectURI
	if err := s.sign(ctx, &x.entry, &l, x.at.Now); err != nil {
		return Login{}, err
	}
	s.emit(ctx, x.report(EventTokenCreated, ""))
	return l, nil
}

// loadCode loads the code that an exchange presents, and makes its key.
func (s *Service) loadCode(ctx context.Context, x *exchange) (c machine.AuthorizationCode, err error) {
	x.at.Now = s.now()
	recs, err := s.load(ctx, x.at.Now, "authorization code", store.Key{Kind: machine.KindCode, Name: string(x.at.Name)})
	if err != nil {
		return c, err
	}
	if !recs[0].Exists() {
		return c, ErrInvalidToken
	}
	if c, err = machine.DecodeAuthorizationCode(recs[0].Body); err != nil {
		return c, corrupt(recs[0], err)
	}
	x.names = s.namer(ctx)
	x.key, _ = x.names.key(c.KeyID, c.Seed)
	if x.names.err != nil {
		return c, s.failed(ctx, "hashing", x.names.err)
	}
	x.at.Key, x.at.Was, x.at.Fresh, x.at.Now = &x.key, recs[0].Version, newVersion(), max(x.at.Now, c.Granted)
	x.at.By.Tenant, x.at.By.Client = x.client.Tenant, x.client.ID
	return c, nil
}

// admitCode asks the judge whether the user of a code may still sign in, and was not signed out since. It returns the
// records of what the code is exchanged for.
func (s *Service) admitCode(ctx context.Context, x *exchange) ([]store.Put, error) {
	id := x.proof.UserID
	u, err := s.users.Find(ctx, x.proof.Tenant, x.identifier)
	if err = s.found(ctx, &x.entry, u, err); err != nil {
		return nil, err
	}
	if x.none || x.user.ID != id {
		return nil, ErrInvalidToken
	}
	x.prepare(x.proof.Tenant, id)
	if x.names.err != nil {
		return nil, s.failed(ctx, "hashing", x.names.err)
	}
	if x.user.standing == nil {
		if x.user.standing, err = s.loadStanding(ctx, x.owner); err != nil {
			return nil, err
		}
	}
	x.now = x.at.Now
	puts := s.admit(&x.entry, machine.Account{})
	return puts, s.refusedToken(ctx, x.outcome, x.report(EventAccountRefused, ""))
}

// endFamily revokes the refresh family that a code was exchanged for, whether or not the caller still waits.
func (s *Service) endFamily(ctx context.Context, c *machine.AuthorizationCode) error {
	if c.Family == "" {
		return nil
	}
	ctx, cancel := afterwards(ctx)
	defer cancel()
	return s.revoke(ctx, c.Family, machine.RevokeFamily{Client: c.Client, UserID: c.UserID}, c.Tenant)
}

// report is an event of the exchange.
func (x *exchange) report(t EventType, reason string) Event {
	return Event{Type: t, At: x.at.Now.Time(), Tenant: x.proof.Tenant, Client: x.proof.Client, UserID: x.proof.UserID,
		Channel: x.identifier.Channel, Challenge: string(x.at.Name), Reason: reason}
}
