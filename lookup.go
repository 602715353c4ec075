package passwordless

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/seed62b93bad/passwordless/internal/canon"
	"github.com/seed62b93bad/passwordless/internal/jose"
)

// lookUp returns the client with the ID, after a check the first time. Errors: ErrUnknownClient; those of Clients,
// wrapped; and every mistake of the client.
func (s *Service) lookUp(ctx context.Context, id string) (*client, error) {
	if !printable(id) {
		return nil, ErrUnknownClient
	}
	known := s.compiled.get(id)
	if _, fixed := s.clients.(ClientList); fixed { // New checked them all
		if known == nil {
			return nil, ErrUnknownClient
		}
		return known, nil
	}
	c, err := s.clients.Client(ctx, id)
	switch {
	case errors.Is(err, ErrUnknownClient), err == nil && c.ID != id:
		return nil, ErrUnknownClient
	case err != nil:
		return nil, s.failed(ctx, "finding client", err)
	case known != nil && reflect.DeepEqual(known.was, c):
		return known, nil
	}
	if err := c.validate(s.clientEnv()); err != nil {
		return nil, fmt.Errorf("passwordless: misconfigured client: %w", err)
	}
	known = compile(c, s.policy, s.first)
	s.compiled.put(known)
	return known, nil
}

// clientEnv is what clients are checked against.
func (s *Service) clientEnv() clientEnv {
	return clientEnv{policy: s.policy, tenants: s.tenants, async: s.async != nil, keySet: jose.CheckKeySet,
		signs: func(a Algorithm) bool { _, ok := s.signing.For(string(a)); return ok },
		keeps: func(secret []byte) bool {
			k, ours := s.hasher.(*Keyring)
			return ours && k.holds(secret)
		}}
}

// HasOrigin reports whether scripts of a web origin may call for any client at all: what a CORS preflight asks. It is
// false if Config.Clients is no OriginClients. Errors: those of Clients, wrapped.
func (s *Service) HasOrigin(ctx context.Context, origin string) (bool, error) {
	clients, ok := s.clients.(OriginClients)
	if ok = ok && canon.Origin(origin) == nil; !ok {
		return false, nil
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	has, err := clients.HasOrigin(ctx, origin)
	if err != nil {
		return false, s.failed(ctx, "finding origin", err)
	}
	return has, nil
}
