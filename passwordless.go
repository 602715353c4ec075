// Package passwordless signs people in with one-time codes and links by e-mail and SMS, inside a service that you already run.
//
// Give [New] a [Store], a [Sender] and a [Hasher] with your keys, and it returns a [Service]:
//
//	by, err := svc.Public(ctx, "web", caller) // who asks
//	started, err := svc.Start(ctx, by, passwordless.StartRequest{Channel: passwordless.Email, Address: typed})
//	login, err := svc.Verify(ctx, by, passwordless.VerifyRequest{Handle: started.Handle, Code: code})
//
// Package page serves ready sign-in pages over a Service, and the packages under wire the HTTP interfaces of hosted
// services, so that their clients work unchanged.
//
// # What it guarantees
//
// On every Store that passes package storetest, across any number of Services on one store:
//
//   - A code or link signs in once. Of concurrent right ones one wins.
//   - No more guesses at a challenge are looked at than it has attempts, whatever runs concurrently. And whatever is resent or
//     restarted, all guesses at one person's codes are worth no more than [Policy.MaxYearlyRisk] in a year, and all at a
//     tenant's no more than [Policy.MaxDailyRisk] in a day.
//   - What the store holds opens nothing without the keys.
//   - A limit, or a store that is down, slow or uncertain, ends in an error, never in a login.
//
// It does not make e-mail or SMS strong: see [Channel] and [Login.Restricted].
//
// # How a request flows
//
// A handler decodes the request, gets a [Requester] for its client, and makes one call of the Service. The Service
// loads records, lets a state machine decide (package internal/machine, which does no I/O), commits, and only then
// sends, signs or answers: nothing is revealed before the commit succeeded. One function decides whether a proof signs
// somebody in, and one makes what it grants (login.go).
package passwordless

import (
	"errors"
	"fmt"
	"time"

	"github.com/seed62b93bad/passwordless/internal/jose"
	"github.com/seed62b93bad/passwordless/internal/limit"
	"github.com/seed62b93bad/passwordless/internal/message"
	"github.com/seed62b93bad/passwordless/store"
)

// New returns a Service, or an error that names every mistake in the configuration. A setting that would be insecure is
// a mistake.
func New(cfg Config) (*Service, error) {
	s := &Service{
		issuer: cfg.Issuer, pageURL: orDefault(cfg.PageURL, cfg.Issuer),
		store: cfg.Store, sender: cfg.Sender, async: asynchronous(cfg.Sender), hasher: cfg.Hasher,
		clients: cfg.Clients, compiled: &compiledClients{}, users: cfg.Users,
		policy: cfg.Policy.withDefaults(), clock: cfg.Clock, events: cfg.Events, human: cfg.Human,
		timeout: orDefault(cfg.Timeout, 10*time.Second),
	}
	if isNil(cfg.Clock) {
		s.clock = systemClock{}
	}
	s.keySets, s.fronts, s.nobodies = jose.NewKeySets(s.clock.Now), &fronts{}, &nobodies{}
	if cfg.Users == nil {
		s.users = &Directory{s}
	}
	if err := s.configure(cfg); err != nil {
		return nil, fmt.Errorf("passwordless: configuration:\n%w", err)
	}
	return s, nil
}

// configure fills in what is made from the configuration, and returns every mistake in it.
func (s *Service) configure(cfg Config) error {
	signing := s.setSigning(cfg.SigningKeys)
	var tenants, messages error
	s.tenants, tenants = tenantsByID(cfg.Tenants, cfg.AppName)
	env := s.clientEnv()
	if signing != nil {
		env.signs = nil
	}
	policy := cfg.Policy.validate(env.signs)
	if policy == nil {
		s.first, _ = limit.First(s.policy.MaxYearlyRisk)
		s.limits = limit.New(s.policy.limits(len(s.tenants)))
	}
	templates := cfg.Templates
	if isNil(templates) { // a nil pointer in the interface is reported by missing
		templates = nil
	}
	s.renderer, messages = message.New(templates, hostOf(s.pageURL))
	return errors.Join(cfg.missing(), checkSender(cfg.Sender), s.checkHasher(), signing, tenants, policy,
		mistakesIn("Templates", messages), s.setClients(cfg.Clients, env))
}

// setClients checks a ClientList and keeps a copy of it. Other Clients are checked one by one, when they are looked up.
func (s *Service) setClients(clients Clients, env clientEnv) error {
	list, ok := clients.(ClientList)
	if !ok {
		return nil
	}
	if err := list.validate(env); err != nil {
		return err
	}
	fixed := make(ClientList, len(list))
	for i, c := range list {
		fixed[i] = c.clone()
		s.compiled.put(compile(c, s.policy, s.first))
	}
	s.clients = fixed
	return nil
}

// checkHasher tells what is wrong with Config.Hasher.
func (s *Service) checkHasher() error {
	if isNil(s.hasher) {
		return errors.New("Hasher: required; see NewKeyring")
	}
	if k, ours := s.hasher.(*Keyring); ours {
		return k.check()
	}
	return nil
}

// Policy returns every limit and choice in force, and names those that are weaker than their defaults, those of the
// store's options included. It knows the choices of clients only if Config.Clients is a ClientList, and the handlers that
// were made by now.
func (s *Service) Policy() PolicyReport {
	list, _ := s.clients.(ClientList)
	r := s.policy.report(list)
	for _, d := range store.Deviations(s.store) {
		r.Deviations = append(r.Deviations, "Store: "+d)
	}
	r.Fronts = s.fronts.all()
	return r
}
