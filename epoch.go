package passwordless

import (
	"context"

	"github.com/seed62b93bad/passwordless/internal/machine"
	"github.com/seed62b93bad/passwordless/internal/secret"
	"github.com/seed62b93bad/passwordless/store"
)

// loadEpoch loads the epoch of a user by the user's name.
func (s *Service) loadEpoch(ctx context.Context, owner secret.Name) (*machine.Epoch, error) {
	recs, err := s.load(ctx, s.now(), "epoch", store.Key{Kind: machine.KindEpoch, Name: string(owner)})
	if err != nil {
		return nil, err
	}
	e, err := machine.DecodeEpoch(recs[0])
	if err != nil {
		return nil, corrupt(recs[0], err)
	}
	return &e, nil
}

// changeEpoch loads a user's epoch, decides and commits, and starts over while others change it too. If there is
// nothing to write, it writes nothing and returns nil. If decide answers machine.Revoked, it returns ErrRevoked.
func (s *Service) changeEpoch(ctx context.Context, owner secret.Name,
	decide func(machine.Epoch, machine.Moment) machine.Decision[machine.Epoch],
) error {
	return whileConflicting(func(int) error {
		at := machine.Moment{Now: s.now(), Name: owner, Fresh: newVersion()}
		recs, err := s.load(ctx, at.Now, "epoch", store.Key{Kind: machine.KindEpoch, Name: string(owner)})
		if err != nil {
			return err
		}
		e, err := machine.DecodeEpoch(recs[0])
		if err != nil {
			return corrupt(recs[0], err)
		}
		at.Was, at.Revoked = recs[0].Version, e.RevokedUntil(s.skew())
		d := decide(e, at)
		if d.Reason == machine.Revoked {
			return refuse(ErrRevoked)
		}
		return s.change(ctx, at.Now, "changing epoch", d.Batch)
	})
}

// revokedEvent says that a user was signed out everywhere.
func revokedEvent(tenant, userID string, now store.Instant) Event {
	return Event{Type: EventRevoked, At: now.Time(), Tenant: tenant, UserID: userID, Reason: "everywhere"}
}
