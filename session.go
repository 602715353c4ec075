package passwordless

import (
	"context"
	"encoding/hex"
	"strings"

	"github.com/seed62b93bad/passwordless/internal/machine"
	"github.com/seed62b93bad/passwordless/internal/secret"
	"github.com/seed62b93bad/passwordless/store"
)

// Session returns the session of a token from Login.Session. Using a session keeps it alive. It takes no Requester: it
// is for the application's own code.
//
// Errors: ErrInvalidToken, ErrCorrupt and ErrUnavailable.
func (s *Service) Session(ctx context.Context, t Secret) (Session, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	presented, ok := machine.OpenFamilyToken(t.Reveal())
	if !ok {
		return Session{}, ErrInvalidToken
	}
	p, err := s.loadFamily(ctx, presented)
	if err != nil {
		return Session{}, err
	}
	d := p.On(machine.Use{Token: presented}, p.at)
	// If this commit fails, the use or the end is recorded later.
	_, _ = s.commit(ctx, p.at.Now, d.Batch)
	if d.Reason != machine.Done {
		return Session{}, ErrInvalidToken
	}
	return *sessionOf(&d.Next, presented.Name), nil
}

// A RefreshRequest presents a refresh token.
type RefreshRequest struct {
	Token  Secret
	Scopes []string // at most those of the family; nil for the same
	// Audience is of the access token: "" or the family's. There is no way to another one.
	Audience string
}

// Refresh exchanges a refresh token for new tokens. With SessionPolicy.Refresh OneTime, the default, each refresh token works
// once; then the one before the current is answered with the current one within SessionPolicy.Grace, and any older one revokes
// its family, because it was stolen or the thief was faster. A family keeps the SessionPolicy of its sign-in.
//
// Errors: ErrInvalidToken (ErrReusedToken among them), *AccountError, *InputError, ErrUnauthenticated, ErrBusy,
// ErrCorrupt, ErrUnavailable, ErrUncertain, and errors of Users.
func (s *Service) Refresh(ctx context.Context, by Requester, req RefreshRequest) (Tokens, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	if err := (demand{client: true}).of(s, by); err != nil {
		return Tokens{}, err
	}
	presented, ok := machine.OpenFamilyToken(req.Token.Reveal())
	if !ok {
		return Tokens{}, ErrInvalidToken
	}
	var tokens Tokens
	e := machine.Refresh{Token: presented, Scopes: req.Scopes, Audience: req.Audience}
	err := whileConflicting(func(try int) (err error) {
		tokens, err = s.refresh(ctx, by, e, try >= forceAfter)
		return err
	})
	return tokens, by.settle(ctx, err)
}

// refresh is one try of Refresh. A conflict means that another call changed the family. With force, the end of the
// family is written all the same.
func (s *Service) refresh(ctx context.Context, by Requester, e machine.Refresh, force bool) (Tokens, error) {
	p, err := s.loadFamily(ctx, e.Token)
	if err != nil {
		return Tokens{}, err
	}
	p.at.By.Tenant, p.at.By.Client, p.at.Insist = by.client.Tenant, by.client.ID, force
	d := p.On(e, p.at)
	if d.Reason == machine.Done {
		if err := s.readmit(ctx, by.client, &p); err != nil {
			return Tokens{}, err
		}
	}
	err = s.change(ctx, p.at.Now, "refreshing", d.Batch)
	if err != nil && d.Reason != machine.Invalid { // an end that could not be written is seen again
		return Tokens{}, err
	}
	if t := eventOf[d.Note]; t != "" {
		s.emit(ctx, p.report(t, d.Reason))
	}
	if d.Reason != machine.Done {
		return Tokens{}, tokenErrors[d.Reason]
	}
	scopes := e.Scopes
	if len(scopes) == 0 {
		scopes = strings.Fields(d.Next.Scope)
	}
	tokens, err := s.renewed(ctx, by.client, &d.Next, scopes, p.at.Now)
	if err != nil {
		return Tokens{}, err
	}
	tokens.Refresh = Secret(d.Next.Token(&p.key, p.at.Name, p.at.Owner))
	return tokens, nil
}

// readmit asks the judge whether the user of a family may still sign in. It reads the user for each refresh, so that
// one who was locked gets no more tokens.
func (s *Service) readmit(ctx context.Context, c *client, p *presentedFamily) error {
	x := entry{client: c, proof: p.Proof, identifier: Identifier{Channel(p.Channel), Address(p.Address)}}
	u, err := s.users.Get(ctx, p.Tenant, p.UserID)
	if err == nil && u.ID != p.UserID {
		err = errOtherUser
	}
	if err = s.found(ctx, &x, u, err); err != nil {
		return err
	}
	x.user.standing = &standing{Epoch: machine.Epoch{Number: p.at.Epoch}}
	s.admit(&x, machine.Account{})
	if x.outcome == machine.FirstProof { // the user has another address by now
		return nil
	}
	return s.refusedToken(ctx, x.outcome, p.report(EventAccountRefused, machine.Done))
}

// Revoke ends the session or refresh family of a token (RFC 7009). If the Requester names a client, it must be that
// client's. A token that is over, was never valid, or is another client's is not an error.
//
// Errors: ErrUnauthenticated, ErrBusy, ErrCorrupt, ErrUnavailable and ErrUncertain.
func (s *Service) Revoke(ctx context.Context, by Requester, t Secret) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	if err := (demand{}).of(s, by); err != nil {
		return err
	}
	presented, ok := machine.OpenFamilyToken(t.Reveal())
	if !ok {
		return nil
	}
	e, tenant := machine.RevokeFamily{Token: presented}, ""
	if by.client != nil {
		e.Client, tenant = by.client.ID, by.client.Tenant
	}
	return by.settle(ctx, s.revoke(ctx, presented.Name, e, tenant))
}

// RevokeSession ends one session or refresh family of a user by its ID. One that is not there is not an error.
//
// Errors: ErrBusy, ErrCorrupt, ErrUnavailable and ErrUncertain.
func (s *Service) RevokeSession(ctx context.Context, tenant, userID, id string) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	n, err := hex.DecodeString(id)
	if err != nil || len(n) != secret.NameSize || userID == "" {
		return nil
	}
	return s.revoke(ctx, secret.Name(n), machine.RevokeFamily{UserID: userID}, tenant)
}

// RevokeUser signs a user out everywhere: every session, every refresh family, every known device, every authorization
// code that was not exchanged, and every challenge that began before, or up to Policy.ClockSkew after. Access tokens
// live to their end, and so does what an answer already on its way holds of them. Call it too when a user is locked,
// deleted, or changes an address; the Directory does.
//
// With Users of the application's own, a login whose Issue asks for no session, no refresh token and no authorization
// code does not see the revocation: it gives nothing that the library could end.
//
// Errors: ErrBusy, ErrCorrupt, ErrUnavailable and ErrUncertain.
func (s *Service) RevokeUser(ctx context.Context, tenant, userID string) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	n := s.namer(ctx)
	owner := n.user(tenant, userID)
	if n.err != nil {
		return s.failed(ctx, "hashing", n.err)
	}
	var now store.Instant
	err := s.changeEpoch(ctx, owner, func(was machine.Epoch, at machine.Moment) machine.Decision[machine.Epoch] {
		now = at.Now
		return was.On(machine.SignOut{}, at)
	})
	if err == nil {
		s.emit(ctx, revokedEvent(tenant, userID, now))
	}
	return err
}

// Sessions returns a user's sessions and refresh families, at most limit (1 to 1000) and in no particular order, and
// the cursor of the next page, "" after the last. The first page has the cursor "". It writes nothing.
//
// Errors: *InputError, ErrCorrupt and ErrUnavailable.
func (s *Service) Sessions(ctx context.Context, tenant, userID string, limit int, cursor string) ([]Session, string, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	if limit < 1 || limit > 1000 {
		return nil, "", &InputError{"limit", "want 1 to 1000"}
	}
	n := s.namer(ctx)
	owner := n.user(tenant, userID)
	if n.err != nil {
		return nil, "", s.failed(ctx, "hashing", n.err)
	}
	e, err := s.loadStanding(ctx, owner)
	if err != nil {
		return nil, "", err
	}
	at := machine.Moment{Now: s.now(), Epoch: e.Number}
	recs, next, err := s.store.List(ctx, at.Now, machine.KindFamily, store.Page{Owner: string(owner), Limit: limit, Cursor: cursor})
	if err != nil {
		return nil, "", s.failed(ctx, "listing sessions", err)
	}
	var all []Session
	for _, rec := range recs {
		f, err := machine.DecodeFamily(rec.Body)
		if err != nil {
			return nil, "", corrupt(rec, err)
		}
		if f.Live(&at) == machine.FamilyLive {
			all = append(all, *sessionOf(&f, secret.Name(rec.Key.Name)))
		}
	}
	return all, next, nil
}
