package passwordless

import (
	"context"

	"github.com/seed62b93bad/passwordless/internal/limit"
	"github.com/seed62b93bad/passwordless/internal/machine"
	"github.com/seed62b93bad/passwordless/internal/secret"
	"github.com/seed62b93bad/passwordless/store"
)

// signIn takes a step that signs a person in, settles the account, and issues what was asked for.
func (s *Service) signIn(ctx context.Context, x *step) (Login, error) {
	c, err := s.take(ctx, x)
	if err != nil {
		return Login{}, err
	}
	first, err := s.settleAccount(ctx, x, &c)
	if err != nil {
		return Login{}, err
	}
	known, id := x.at.Plan.Rank == limit.KnownDevice, x.device.id
	if !known {
		id = secret.NameOf(newSeed())
	}
	l := x.login(&c)
	l.FirstProof, l.KnownDevice, l.Rate = first, known, x.rate
	number := int64(-1)
	if x.user.standing != nil {
		number = x.user.standing.Number
	}
	l.Device = device{id, deviceUser(x.user.ID), number, x.at.Now}.issue(x.names, c.Tenant, c.Person)
	if err := x.names.err; err != nil { // the code is used up: the login goes on without its cookie
		l.Device, _ = "", s.failed(ctx, "hashing", err)
	}
	if err := s.sign(ctx, &x.entry, &l, x.at.Now); err != nil {
		return Login{}, err
	}
	s.emit(ctx, x.report(EventLogin, &c, ""))
	return l, nil
}

// settleAccount does what the judge asks for once a challenge is used up. In this order: it makes the account; it
// refuses a user who may not sign in; it purges what the account held before its owner proved the identifier; it
// grants. It reports whether this was the first proof of the identifier.
func (s *Service) settleAccount(ctx context.Context, x *step, c *machine.Challenge) (first bool, err error) {
	if x.outcome == machine.Complete {
		return false, nil
	}
	var puts []store.Put
	if x.outcome == machine.NewAccount {
		u, err := s.users.Create(ctx, c.Tenant, x.identifier)
		if err != nil {
			return false, s.failed(ctx, "creating user", err)
		}
		if err := s.found(ctx, &x.entry, u, nil); err != nil {
			return false, err
		}
		if u.Verified(x.identifier) { // by another sign-in, meanwhile
			if err := s.readEpoch(ctx, &x.entry, c.Tenant); err != nil {
				return false, err
			}
			if e := x.user.standing; e != nil && c.Started <= e.RevokedUntil(s.skew()) { // and signed out everywhere
				return false, refuse(ErrRevoked)
			}
		}
		puts = s.admit(&x.entry, machine.Account{Fresh: true})
	}
	if first = x.outcome == machine.FirstProof; first {
		if err := s.confirmFirstProof(ctx, x, c); err != nil {
			return true, err
		}
		puts = s.admit(&x.entry, machine.Account{Fresh: true})
	}
	if err := s.refusedAccount(ctx, x.outcome, x.report(EventAccountRefused, c, "")); err != nil {
		return first, err
	}
	puts = append(puts, x.usedNetwork()...)
	if x.names.err != nil {
		return first, s.failed(ctx, "hashing", x.names.err)
	}
	if _, err := s.commit(ctx, x.at.Now, store.Batch{Puts: puts}); err != nil {
		return first, s.failed(ctx, "granting", err)
	}
	if first {
		s.emit(ctx, x.report(EventFirstProof, c, ""))
	}
	return first, nil
}

// confirmFirstProof ends every session that the account had before its owner came, and lets the directory purge the
// rest and return the user. What is granted afterwards is granted under the epoch's number as it is now, so that a
// later revocation ends it.
func (s *Service) confirmFirstProof(ctx context.Context, x *step, c *machine.Challenge) error {
	owner := x.names.user(c.Tenant, x.user.ID)
	if x.names.err != nil {
		return s.failed(ctx, "hashing", x.names.err)
	}
	e, err := s.claimFirstProof(ctx, x, c, owner)
	if err != nil {
		return err
	}
	u, err := s.users.ConfirmFirstProof(ctx, c.Tenant, x.user.ID, x.identifier)
	if err == nil && (u.ID != x.user.ID || !u.Verified(x.identifier)) {
		err = errUnconfirmed
	}
	if err != nil {
		s.releaseFirstProof(ctx, c, owner, e.Number)
		return s.failed(ctx, "confirming first proof", err)
	}
	u.standing = &standing{Epoch: e}
	x.user = u
	return s.readEpoch(ctx, &x.entry, c.Tenant)
}

// claimFirstProof moves the user's epoch, unless another first proof of the same identifier has done so within a minute.
func (s *Service) claimFirstProof(ctx context.Context, x *step, c *machine.Challenge, owner secret.Name) (
	e machine.Epoch, err error,
) {
	found := int64(-1)
	if x.user.standing != nil {
		found = x.user.standing.Number
	}
	err = s.changeEpoch(ctx, owner, func(was machine.Epoch, at machine.Moment) machine.Decision[machine.Epoch] {
		d := was.On(machine.ClaimFirstProof{Identifier: c.Person, Began: c.Started, Found: found}, at)
		e = d.Next
		return d
	})
	return e, err
}

// releaseFirstProof gives up the claim of a first proof that the directory did not confirm, whether or not the caller
// still waits. If that fails, the claim stands for a minute.
func (s *Service) releaseFirstProof(ctx context.Context, c *machine.Challenge, owner secret.Name, number int64) {
	ctx, cancel := afterwards(ctx)
	defer cancel()
	_ = s.changeEpoch(ctx, owner, func(was machine.Epoch, at machine.Moment) machine.Decision[machine.Epoch] {
		return was.On(machine.ReleaseFirstProof{Identifier: c.Person, Number: number}, at)
	})
}
