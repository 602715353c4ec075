package passwordless

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
)

// A Confirmation is a step of a sign-in that a person takes with a button, since whatever else opens links (mail scanners,
// previews) sends no POST. Package page shows the button; a wire says what it does. What the step is about is in the
// query of the request. Errors of both methods are those of RedeemLink and Verify, for the page to tell the person, or a
// *ReturnError, with which the application tells them. Implementations must be safe for concurrent use.
type Confirmation interface {
	// Peek tells what a query asks to confirm, and changes nothing: it is called for GET. The page shows AppName, Address
	// and whether it is the SameBrowser, and lets its form lead to the origin of RedirectURI, to Origins, and
	// nowhere else.
	Peek(ctx context.Context, query map[string]string, caller Caller) (LinkInfo, error)
	// Confirm takes the step, and returns the URL where the browser goes next: of the application that the sign-in was for,
	// whatever came of it.
	Confirm(ctx context.Context, query map[string]string, caller Caller) (string, error)
}

// A ReturnError is a Confirmation's answer for a genuine step that cannot be taken any more. There is no button: the
// browser is led to the application, which hears why.
type ReturnError struct {
	// Location is a URL of the application that the sign-in was for, never one that the request chose.
	Location string
	Err      error // why; required
}

func (e *ReturnError) Error() string { return fmt.Sprintf("passwordless: step is over: %v", e.Err) }

// Unwrap returns the reason.
func (e *ReturnError) Unwrap() error { return e.Err }

// A RedeemRequest presents a link.
type RedeemRequest struct {
	// Client, if set, is the only client whose links are accepted: one of another is unknown, and
	// stays as it is.
	Client string
	Token  Secret // the value of the link's parameter t
	// LinkURL is where the link was opened: what StartRequest.LinkURL said. A link is not accepted elsewhere, so
	// that what a sign-in ends with is what it was begun for.
	LinkURL string
	Caller  Caller
	Grant   Grant
}

// RedeemLink presents a link's token. Call it for POST only: mail scanners open links.
//
// Errors: as Verify, and *OtherBrowserError. A wrong token charges nothing.
func (s *Service) RedeemLink(ctx context.Context, req RedeemRequest) (Login, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	n, secret, c, client, err := s.openLink(ctx, req.Token)
	if err != nil {
		return Login{}, err
	}
	if req.Client != "" && req.Client != c.client {
		return Login{}, refuse(ErrUnknownChallenge, 0)
	}
	a, err := s.attempt(n, client, req.Caller, req.Grant, decideLink)
	if err != nil {
		return Login{}, err
	}
	a.link, a.linkURL, a.method = secret, req.LinkURL, ByLink
	l, err := s.run(ctx, a)
	var other *OtherBrowserError
	if errors.As(err, &other) {
		other.AppName = s.AppName(client)
		if a.key != nil {
			other.Code = Secret(a.key.code(&a.last, n, a.last.format))
		}
	}
	return l, err
}

// A LinkInfo is what a page may show before a link is confirmed.
type LinkInfo struct {
	Client      string // the ID of the client that asked for it
	AppName     string
	Address     string // masked
	SameBrowser bool   // the browser asked for the link, or Policy.Browser lets any finish it
	// Origins are the client's: its own pages, to which its redirect URI may lead on.
	Origins []string
	// LinkURL, RedirectURI, State and Params are those of the start.
	LinkURL, RedirectURI, State, Params string
}

// PeekLink tells what a link, or a message's "this was not me" link, is for and changes nothing, so that it can be
// called for GET. Whoever asks has the link, so it says why a dead one is dead, and what it was for.
// Errors: *ChallengeError (with which the LinkInfo is valid if the link was right once), and what Store.Load returns.
func (s *Service) PeekLink(ctx context.Context, t Secret, caller Caller) (LinkInfo, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	n, secret, c, client, err := s.openLink(ctx, t)
	if err != nil {
		return LinkInfo{}, err
	}
	g := guess{link: secret, cancel: secret, linkURL: c.linkURL, key: s.ring.byID[c.keyID]}
	if !c.linkMatches(n, &g) && !c.cancelMatches(n, &g) {
		return LinkInfo{}, refuse(ErrWrongSecret, 0)
	}
	if st := c.live(max(s.now(), c.touched), client); st != open {
		err = refuse(st.refusal(), 0)
	}
	same := s.policy.Browser != SameBrowser || browserDigest(caller.Browser) == c.browser
	return LinkInfo{Client: client.ID, AppName: s.AppName(client), Address: c.identifier().String(), SameBrowser: same,
		Origins: slices.Clone(client.Origins), LinkURL: c.linkURL, RedirectURI: c.redirect, State: c.clientState, Params: c.params}, err
}

// Cancel presents the token of a message's "this was not me" link. Call it for POST
// only. The challenge is over, and its initiator's network pays for it.
// Errors: *ChallengeError, and what Store.Commit returns.
func (s *Service) Cancel(ctx context.Context, t Secret, caller Caller) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	n, secret, _, client, err := s.openLink(ctx, t)
	if err != nil {
		return err
	}
	a, err := s.attempt(n, client, caller, Grant{}, decideCancel)
	if err != nil {
		return err
	}
	a.cancel = secret
	_, err = s.run(ctx, a)
	return err
}

// openLink splits a link's token, and loads the challenge it names and its client. The link of a client that is
// gone leads nowhere.
func (s *Service) openLink(ctx context.Context, t Secret) (n name, secret string, c challenge, client Client, err error) {
	b, ok := openToken(t, nameSize+sha256.Size)
	if !ok {
		return n, "", c, client, refuse(ErrUnknownChallenge, 0)
	}
	n = name(b[:nameSize])
	recs, err := s.store.Load(ctx, s.now(), n.key(kindChallenge))
	if err != nil {
		return n, "", c, client, s.failed(ctx, "loading challenge", err)
	}
	if !recs[0].Exists() {
		return n, "", c, client, refuse(ErrUnknownChallenge, 0)
	}
	if c, err = decodeChallenge(recs[0]); err != nil {
		return n, "", c, client, err
	}
	if client, err = s.Client(ctx, c.client); errors.Is(err, ErrUnknownClient) {
		err = refuse(ErrUnknownChallenge, 0)
	}
	return n, string(b[nameSize:]), c, client, err
}
