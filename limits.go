package passwordless

import (
	"context"
	"errors"

	"github.com/seed62b93bad/passwordless/internal/limit"
	"github.com/seed62b93bad/passwordless/internal/machine"
	"github.com/seed62b93bad/passwordless/store"
)

// knowsNetwork reports whether the network of a moment is known for a user. It makes the same trips for nobody.
func (s *Service) knowsNetwork(ctx context.Context, n *namer, tenant string, u User, at *machine.Moment) (bool, error) {
	st := u.standing
	if st == nil {
		owner := n.user(tenant, u.ID)
		if n.err != nil {
			return false, s.failed(ctx, "hashing", n.err)
		}
		var err error
		if st, err = s.loadStanding(ctx, owner); err != nil {
			return false, err
		}
	}
	return st.networks.Know(u.ID, at.By.Network, st.Number, at.Now), nil
}

// usedNetwork records that the user signs in from the network, if that is news. Where nobody has read the user's standing,
// which is where the application keeps users and sessions of its own, no network is ever known: it would cost such a sign-in
// a trip to the store that it does not make.
func (x *step) usedNetwork() []store.Put {
	st := x.user.standing
	if st == nil || !x.outcome.Grants() {
		return nil
	}
	next, news := st.networks.Use(x.user.ID, x.at.By.Network, st.Number, x.at.Now)
	if !news {
		return nil
	}
	at := machine.Moment{Now: x.at.Now, Name: x.names.user(x.proof.Tenant, x.user.ID), Fresh: newVersion()}
	return []store.Put{next.Put(at)}
}

// Reset gives a person back what was charged for guesses at their codes and for messages to them, so that they may start again
// at once and with a short code. It is for operators who helped somebody that an attack stands in the way of. Whoever attacks
// starts afresh too: a year with a Reset allows twice Policy.MaxYearlyRisk. Limits of networks, devices and tenants stay.
//
// It also brings a sign-out everywhere back to now that a clock far ahead dated in the future, and which would end each
// challenge of the person until then. So call it where the clock is right.
//
// Errors: *InputError, ErrBusy, ErrCorrupt, ErrUnavailable, ErrUncertain, and those of Users.
func (s *Service) Reset(ctx context.Context, tenant string, id Identifier) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	id, err := ParseIdentifier(id.Channel, id.Address)
	if err != nil {
		return err
	}
	if _, known := s.tenants[tenant]; !known {
		return &InputError{"tenant", "there is none with that ID"}
	}
	n := s.namer(ctx)
	person := n.person(tenant, id)
	if n.err != nil {
		return s.failed(ctx, "hashing", n.err)
	}
	var b store.Batch
	s.limits.Forget(&b, string(person))
	limit.Sort(&b)
	now := s.now()
	if err := s.change(ctx, now, "resetting limits", b); err != nil {
		return err
	}
	u, err := s.users.Find(ctx, tenant, id)
	if err == nil {
		err = s.changeEpoch(ctx, n.user(tenant, u.ID), func(was machine.Epoch, at machine.Moment) machine.Decision[machine.Epoch] {
			at.Revoked = 0
			return was.On(machine.Correct{Skew: s.skew()}, at)
		})
	}
	if err != nil && !errors.Is(err, ErrNoUser) {
		return s.failed(ctx, "correcting a sign-out", err)
	}
	s.emit(ctx, Event{Type: EventLimitsReset, At: now.Time(), Tenant: tenant, Person: string(person), Channel: id.Channel})
	return nil
}

// alarm reports the marks of shared limits that a commit passed.
func (s *Service) alarm(ctx context.Context, tenant string, b *store.Batch, now store.Instant, levels store.Levels) {
	if s.events == nil {
		return
	}
	for _, a := range s.limits.Alarms(b, now, levels) {
		s.emit(ctx, Event{Type: EventLimitMark, At: now.Time(), Tenant: tenant, Reason: string(a.Kind) + ": " + marks[a.Mark]})
	}
}

// marks are what EventLimitMark says of a limit.
var marks = [...]string{
	limit.Half: "half spent, new codes are longer", limit.Spent: "spent, guesses at short codes are not looked at",
	limit.Nearly: "80 % used", limit.Over: "passed, and only recorded",
}
