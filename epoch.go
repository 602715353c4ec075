package passwordless

import (
	"context"

	"github.com/seed62b93bad/passwordless/internal/machine"
	"github.com/seed62b93bad/passwordless/internal/secret"
	"github.com/seed62b93bad/passwordless/store"
)

// A standing is what is kept of a user beside the directory's own: what ended the user's sessions, and the networks that the
// user has signed in from.
type standing struct {
	machine.Epoch
	networks machine.Networks
}

// standingKeys are the keys of the records of a standing, by the user's name.
func standingKeys(owner secret.Name) [2]store.Key {
	return [2]store.Key{{Kind: machine.KindEpoch, Name: string(owner)}, {Kind: machine.KindNetworks, Name: string(owner)}}
}

// decodeStanding reads the two records of a standing.
func decodeStanding(recs []store.Record) (*standing, error) {
	st := &standing{}
	var err error
	if st.Epoch, err = machine.DecodeEpoch(recs[0]); err != nil {
		return nil, corrupt(recs[0], err)
	}
	if st.networks, err = machine.DecodeNetworks(recs[1]); err != nil {
		return nil, corrupt(recs[1], err)
	}
	return st, nil
}

// loadStanding loads the standing of a user by the user's name.
func (s *Service) loadStanding(ctx context.Context, owner secret.Name) (*standing, error) {
	keys := standingKeys(owner)
	recs, err := s.load(ctx, s.now(), "epoch", keys[:]...)
	if err != nil {
		return nil, err
	}
	return decodeStanding(recs)
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
