package passwordless

import (
	"context"
	"crypto/sha256"
	"slices"

	"github.com/seed62b93bad/passwordless/internal/machine"
	"github.com/seed62b93bad/passwordless/internal/secret"
)

// A VerifyRequest presents a code.
type VerifyRequest struct {
	// Handle names the challenge. Without one, Channel and Address find a challenge that was started ByAddress.
	Handle  Secret
	Channel Channel
	Address Address
	Code    Secret // as typed: spaces, hyphens and case are forgiven
	Issue   Issue  // what the login gives; CheckCode takes the zero value only
}

// Verify presents a code. The attempt is charged in the commit that reveals the outcome: of concurrent right codes one
// wins, and of concurrent wrong ones no more than the challenge's attempts are looked at.
//
// Errors: *ChallengeError, *AccountError, *InputError, *LimitedError, ErrUnauthenticated, ErrNoUser (sign-up is closed
// and the user gone meanwhile), ErrBusy, ErrCorrupt, ErrUnavailable, ErrUncertain, and errors of Users. On any error
// nobody is signed in; a code that was right may be used up all the same.
func (s *Service) Verify(ctx context.Context, by Requester, req VerifyRequest) (Login, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	l, err := s.verify(ctx, by, req)
	return l, by.settle(ctx, err)
}

func (s *Service) verify(ctx context.Context, by Requester, req VerifyRequest) (Login, error) {
	x, err := s.presented(ctx, by, req)
	if err != nil {
		return Login{}, err
	}
	x.issue, x.method = req.Issue, ByCode
	x.event = machine.Guess{Code: req.Code.Reveal(), Shown: !s.policy.InsecureAnyBrowser, Return: req.Issue.returnsTo()}
	return s.signIn(ctx, x)
}

// CheckCode returns nil if a code is right, and signs nobody in: the code can still be given to Verify. It costs an
// attempt as Verify does, but a right code never costs the last one. Errors: as Verify.
func (s *Service) CheckCode(ctx context.Context, by Requester, req VerifyRequest) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	if req.Issue.any() {
		return &InputError{"Issue", "a check gives nothing"}
	}
	x, err := s.presented(ctx, by, req)
	if err == nil {
		x.checks, x.event = true, machine.Check{Code: req.Code.Reveal(), Shown: !s.policy.InsecureAnyBrowser}
		_, err = s.take(ctx, x)
	}
	return by.settle(ctx, err)
}

// presented finds the challenge that a request presents a code to.
func (s *Service) presented(ctx context.Context, by Requester, req VerifyRequest) (*step, error) {
	x := &step{by: by}
	if err := (demand{client: req.Handle == "", address: true}).of(s, by); err != nil {
		return nil, err
	}
	var err error
	if req.Handle != "" {
		x.at.Name, err = nameOfHandle(req.Handle)
		return x, err
	}
	id, err := ParseIdentifier(req.Channel, req.Address)
	if err != nil {
		return nil, err
	}
	x.names = s.namer(ctx)
	x.at.Name = x.names.slot(by.client.Tenant, by.client.ID, x.names.person(by.client.Tenant, id))
	if x.names.err != nil {
		return nil, s.failed(ctx, "hashing", x.names.err)
	}
	return x, nil
}

// nameOfHandle is the name of the challenge that a handle opens.
func nameOfHandle(handle Secret) (secret.Name, error) {
	h, ok := secret.Decode(handle.Reveal(), secret.HandleSize)
	if !ok {
		return "", refuse(ErrUnknownChallenge)
	}
	return secret.Handle(h).Name(), nil
}

// A RedeemRequest presents a link.
type RedeemRequest struct {
	Token Secret // the value of the link's parameter t
	// LinkURL is where the link was opened: the StartRequest.LinkURL of its start, "" for the default. A link is accepted
	// nowhere else, so that a sign-in that began at one wire does not end at another.
	LinkURL string
	Issue   Issue
}

// RedeemLink presents a link's token. Call it for POST only: mail scanners open links. If the Requester names a client,
// the link of another client is unknown, and is not used up.
//
// Errors: as Verify, and *OtherBrowserError. A wrong token charges nothing.
func (s *Service) RedeemLink(ctx context.Context, by Requester, req RedeemRequest) (Login, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	l, err := s.redeem(ctx, by, req)
	return l, by.settle(ctx, err)
}

func (s *Service) redeem(ctx context.Context, by Requester, req RedeemRequest) (Login, error) {
	x, presented, err := s.linked(by, req.Token, demand{address: true})
	if err != nil {
		return Login{}, err
	}
	x.issue, x.method = req.Issue, ByLink
	x.eventOf = func(c *client) machine.ChallengeEvent {
		return machine.Redeem{Secret: presented, LinkURL: req.LinkURL, Where: s.where(c, req.Issue), Return: req.Issue.returnsTo()}
	}
	return s.signIn(ctx, x)
}

// where says in which browser a link of the client finishes. Any one does only where the finish is an authorization
// code that the application binds to its own browser, by PKCE or by its state.
func (s *Service) where(c *client, i Issue) machine.Where {
	switch {
	case s.policy.InsecureAnyBrowser, c.Browser.InsecureAnyBrowser && i.codeAlone() && i.Code.bound():
		return machine.AnyBrowser
	case c.Browser.InsecureAnyBrowser && i.codeAlone():
		return machine.IfState
	}
	return machine.SameBrowser
}

// linked finds the challenge of a link.
func (s *Service) linked(by Requester, t Secret, what demand) (x *step, presented string, err error) {
	if err := what.of(s, by); err != nil {
		return nil, "", err
	}
	b, ok := secret.Decode(t.Reveal(), secret.NameSize+sha256.Size)
	if !ok {
		return nil, "", refuse(ErrUnknownChallenge)
	}
	x = &step{by: by}
	x.at.Name = secret.Name(b[:secret.NameSize])
	return x, b[secret.NameSize:], nil
}

// Cancel presents the token of a message's "this was not me" link. Call it for POST only. It ends the challenge, and
// charges the network that started it.
//
// Errors: *ChallengeError, *InputError, ErrBusy, ErrCorrupt, ErrUnavailable and ErrUncertain.
func (s *Service) Cancel(ctx context.Context, by Requester, t Secret) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	x, presented, err := s.linked(by, t, demand{address: true})
	if err == nil {
		x.at.Plan.Cancels = true
		x.event = machine.Cancel{Secret: presented}
		_, err = s.take(ctx, x)
	}
	return by.settle(ctx, err)
}

// A LinkInfo is what a page may show before a link is confirmed.
type LinkInfo struct {
	Client      string // the ID of the client that asked for it
	AppName     string
	Identifier  Identifier // whose link it is; it prints masked
	SameBrowser bool       // the browser asked for the link, or Policy.InsecureAnyBrowser lets any finish it
	// Origins are the client's: its own pages, to which its redirect URI may lead on.
	Origins []string
	// LinkURL, RedirectURI, State and Params are those of the start.
	LinkURL, RedirectURI, State, Params string
}

// PeekLink tells what a link, or a message's "this was not me" link, is for. It changes nothing, so it may be called
// for GET. Whoever asks has the link, so it says why a dead one is dead, and what it was for. It does not notice that
// the user was signed out everywhere since the start.
//
// Errors: *ChallengeError (with which the LinkInfo is valid if the link was right once), *InputError, ErrCorrupt and
// ErrUnavailable.
func (s *Service) PeekLink(ctx context.Context, by Requester, t Secret) (LinkInfo, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	x, presented, err := s.linked(by, t, demand{})
	if err != nil {
		return LinkInfo{}, err
	}
	c, err := s.loadChallenge(ctx, x)
	if err != nil {
		return LinkInfo{}, err
	}
	st := c.Live(&x.at)
	switch {
	case st == machine.NoChallenge: // or another client's
		return LinkInfo{}, refuse(ErrUnknownChallenge)
	case !c.LinkIs(presented, c.LinkURL, &x.at) && !c.KillIs(presented, &x.at):
		return LinkInfo{}, refuse(ErrWrongSecret)
	}
	if st != machine.StateOpen {
		err = refuse(reasons[st.Reason()])
	}
	same := s.policy.InsecureAnyBrowser || x.at.By.Browser == c.Browser
	return LinkInfo{Client: c.Client, AppName: s.AppName(x.client.Client), Identifier: identifierOf(&c), SameBrowser: same,
		Origins: slices.Clone(x.client.Browser.Origins), LinkURL: c.LinkURL, RedirectURI: c.Redirect, State: c.ClientState,
		Params: c.Param}, err
}
