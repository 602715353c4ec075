package passwordless

import (
	"context"
	"strings"

	"github.com/seed62b93bad/passwordless/internal/machine"
	"github.com/seed62b93bad/passwordless/internal/secret"
	"github.com/seed62b93bad/passwordless/store"
)

// sessionOf describes a family without its token.
func sessionOf(f *machine.Family, n secret.Name) *Session {
	var scopes []string
	if f.Rotates {
		scopes = strings.Fields(f.Scope)
	}
	return &Session{ID: n.Hex(), Tenant: f.Tenant, Client: f.Client, UserID: f.UserID, At: f.At().Time(), Used: f.Used.Time(),
		Expires: f.Expires().Time(), Scopes: scopes}
}

// A presentedFamily is a family with what a decision about it needs.
type presentedFamily struct {
	machine.Family
	at  machine.Moment
	key secret.Key
}

// loadFamily loads what a token names, with its owner's epoch, in one trip.
func (s *Service) loadFamily(ctx context.Context, t machine.FamilyToken) (p presentedFamily, err error) {
	p.at.Now, p.at.Name, p.at.Fresh = s.now(), t.Name, newVersion()
	recs, err := s.load(ctx, p.at.Now, "session", store.Key{Kind: machine.KindFamily, Name: string(t.Name)},
		store.Key{Kind: machine.KindEpoch, Name: string(t.Owner)})
	if err != nil {
		return p, err
	}
	if !recs[0].Exists() {
		return p, ErrInvalidToken
	}
	if err := s.openFamily(ctx, &p, recs[0]); err != nil {
		return p, err
	}
	e, err := machine.DecodeEpoch(recs[1])
	if err != nil {
		return p, corrupt(recs[1], err)
	}
	p.at.Epoch = e.Number
	return p, nil
}

// openFamily reads a family's record and makes its key.
func (s *Service) openFamily(ctx context.Context, p *presentedFamily, rec store.Record) (err error) {
	if p.Family, err = machine.DecodeFamily(rec.Body); err != nil {
		return corrupt(rec, err)
	}
	n := s.namer(ctx)
	p.at.Was, p.at.Owner = rec.Version, n.user(p.Tenant, p.UserID)
	p.key, _ = n.key(p.KeyID, p.Seed)
	if n.err != nil {
		return s.failed(ctx, "hashing", n.err)
	}
	p.at.Key, p.at.Now = &p.key, max(p.at.Now, p.Used)
	return nil
}

// report is an event of the family.
func (p *presentedFamily) report(t EventType, r machine.Reason) Event {
	phrase := ""
	if r != machine.Done && r != machine.Reused {
		phrase = "refresh token over or revoked"
	}
	return Event{Type: t, At: p.at.Now.Time(), Tenant: p.Tenant, Client: p.Client, UserID: p.UserID, Channel: Channel(p.Channel),
		Challenge: string(p.at.Name), Reason: phrase}
}

// revoke ends a family, if it is the caller's to end. One that is not, and one that is not there, are no error.
func (s *Service) revoke(ctx context.Context, n secret.Name, e machine.RevokeFamily, tenant string) error {
	if n == "" {
		return nil
	}
	return whileConflicting(func(try int) error {
		var p presentedFamily
		p.at.Now, p.at.Name, p.at.Fresh, p.at.Insist = s.now(), n, newVersion(), try >= forceAfter
		p.at.By.Tenant = tenant
		recs, err := s.load(ctx, p.at.Now, "session", store.Key{Kind: machine.KindFamily, Name: string(n)})
		if err != nil || !recs[0].Exists() {
			return err
		}
		if err := s.openFamily(ctx, &p, recs[0]); err != nil {
			return err
		}
		d := p.On(e, p.at)
		if d.Reason != machine.Done {
			return nil
		}
		if err := s.change(ctx, p.at.Now, "revoking", d.Batch); err != nil {
			return err
		}
		s.emit(ctx, p.report(EventRevoked, machine.Done))
		return nil
	})
}
