package auth0

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/confirm"
	"github.com/seed62b93bad/passwordless/internal/strict"
)

// An authorization is a request for an authorization code that was checked: what of authParams is kept from a start to
// the finish of its link.
type authorization struct {
	Mode      string   `json:"mode,omitempty"` // response_mode
	Scopes    []string `json:"scopes,omitempty"`
	Audience  string   `json:"audience,omitempty"`
	Nonce     string   `json:"nonce,omitempty"`
	Challenge string   `json:"challenge,omitempty"` // of PKCE
}

// request asks the Service for the code.
func (a authorization) request(redirect string) *passwordless.AuthorizationRequest {
	return &passwordless.AuthorizationRequest{RedirectURI: redirect, CodeChallenge: a.Challenge,
		Scopes: a.Scopes, Audience: a.Audience, Nonce: a.Nonce}
}

// params are the parameters of an authorization request, of a start's authParams or of a query.
type params struct {
	redirectURI, state                                 string
	responseType, responseMode                         string
	scope, audience, nonce, challenge, challengeMethod string
}

// readParams takes them with get.
func readParams(get func(name string) string) params {
	return params{
		redirectURI: get("redirect_uri"), state: get("state"),
		responseType: get("response_type"), responseMode: get("response_mode"),
		scope: get("scope"), audience: get("audience"), nonce: get("nonce"),
		challenge: get("code_challenge"), challengeMethod: get("code_challenge_method"),
	}
}

// The longest nonce, in bytes.
const maxNonce = 512

// authorization checks what a client asks for, and fills in where it returns to: by default the first redirect URI that
// it registered. Only authorization codes are given: tokens in a URL end in histories and logs (RFC 9700, 2.1.2).
func (h *Handler) authorization(client passwordless.Client, p *params) (a authorization, err error) {
	if p.redirectURI == "" && len(client.Browser.RedirectURIs) > 0 {
		p.redirectURI = client.Browser.RedirectURIs[0]
	}
	tokens, err := h.tokenRequest(p.scope, p.audience, p.nonce)
	switch {
	case !client.AllowsRedirect(p.redirectURI):
		return a, badRedirect
	case p.responseType != "" && p.responseType != "code":
		return a, badResponseType
	case p.responseMode != "" && p.responseMode != "query" && p.responseMode != "fragment":
		return a, badResponseMode
	case err != nil:
		return a, err
	case len(p.nonce) > maxNonce:
		return a, badNonce
	case p.challenge != "" && (p.challengeMethod != "S256" || !strict.CodeChallenge(p.challenge)),
		p.challenge == "" && p.challengeMethod != "":
		return a, badChallenge
	case p.challenge == "" && client.Public && !client.Browser.InsecureWithoutPKCE:
		return a, noChallenge
	}
	return authorization{p.responseMode, tokens.Scopes, tokens.Audience, p.nonce, p.challenge}, nil
}

// finish is what verify_redirect does: it ends the sign-in of a link (the parameter t), or that of a code which a
// script of the application has had checked and now sends the browser with.
type finish struct{ h *Handler }

// Peek tells what the step is about.
func (f finish) Peek(ctx context.Context, q map[string]string, from passwordless.Caller) (passwordless.LinkInfo, error) {
	s, err := f.step(ctx, q, from)
	return s.info, err
}

// Confirm takes the step. The browser goes back to the application with a code, or with why there is none.
func (f finish) Confirm(ctx context.Context, q map[string]string, from passwordless.Caller) (string, error) {
	s, err := f.step(ctx, q, from)
	var back *confirm.ReturnError
	switch {
	case errors.As(err, &back):
		return back.Location, nil
	case err != nil:
		return "", err
	}
	login, err := s.take(ctx)
	if err != nil {
		return s.failed(err)
	}
	return s.answer("code", login.AuthorizationCode.Reveal()), nil
}

// A step is one request to verify_redirect, understood.
type step struct {
	issuer string
	info   passwordless.LinkInfo
	mode   string // response_mode
	sms    bool
	take   func(context.Context) (passwordless.Login, error)
}

// step understands a query. An error that is no *confirm.ReturnError is not told to the application: it is not known,
// or not to be trusted, where that is.
func (f finish) step(ctx context.Context, q map[string]string, from passwordless.Caller) (step, error) {
	if t := q["t"]; t != "" {
		return f.link(ctx, passwordless.Secret(t), from)
	}
	return f.code(ctx, q, from)
}

// link is the step of a link.
func (f finish) link(ctx context.Context, t passwordless.Secret, from passwordless.Caller) (s step, err error) {
	h := f.h
	s = step{issuer: h.svc.Issuer()}
	var dead *passwordless.ChallengeError
	nobody, err := h.svc.Trusted(ctx, "", from)
	if err != nil {
		return s, err
	}
	s.info, err = h.svc.PeekLink(ctx, nobody, t)
	if err != nil && (s.info.Client == "" || !errors.As(err, &dead)) {
		return s, err
	}
	var a authorization
	by, lost := h.svc.Trusted(ctx, s.info.Client, from)
	client := by.Client()
	switch {
	case lost != nil:
		return s, lost
	case s.info.LinkURL != h.at(linkPath), json.Unmarshal([]byte(s.info.Params), &a) != nil,
		!client.AllowsRedirect(s.info.RedirectURI):
		return s, unknown()
	}
	s.mode = a.Mode
	if err != nil {
		return s, s.back(err)
	}
	s.info.SameBrowser = s.info.SameBrowser || client.Browser.InsecureAnyBrowser && (s.info.State != "" || a.Challenge != "")
	s.take = func(ctx context.Context) (passwordless.Login, error) {
		return h.svc.RedeemLink(ctx, by, passwordless.RedeemRequest{Token: t, LinkURL: s.info.LinkURL,
			Issue: passwordless.Issue{Code: a.request(s.info.RedirectURI)}})
	}
	return s, nil
}

// code is the step of a code in the query.
func (f finish) code(ctx context.Context, q map[string]string, from passwordless.Caller) (s step, err error) {
	by, err := f.h.svc.Trusted(ctx, q["client_id"], from)
	if q["client_id"] == "" || errors.Is(err, passwordless.ErrUnknownClient) {
		return s, unknown()
	}
	if err != nil {
		return s, err
	}
	client := by.Client()
	get := func(name string) string { return q[name] }
	to, p := recipient{get("connection"), get("email"), get("phone_number")}, readParams(get)
	a, wrong := f.h.authorization(client, &p)
	if q["verification_code"] == "" || checkReturn(client, p) != nil || !client.AllowsRedirect(p.redirectURI) {
		return s, unknown()
	}
	channel, address, misaddressed := to.identifier()
	id, malformed := passwordless.ParseIdentifier(channel, address)
	s = step{issuer: f.h.svc.Issuer(), mode: p.mode(), sms: to.connection == "sms", info: passwordless.LinkInfo{
		Client: client.ID, AppName: f.h.svc.AppName(client), Identifier: id, SameBrowser: true, Origins: client.Browser.Origins,
		RedirectURI: p.redirectURI, State: p.state}}
	if err := cmp.Or(wrong, misaddressed, malformed, presentable(client, p)); err != nil {
		return s, s.back(err)
	}
	s.take = func(ctx context.Context) (passwordless.Login, error) {
		return f.h.svc.Verify(ctx, by, passwordless.VerifyRequest{Channel: channel, Address: address,
			Code: passwordless.Secret(q["verification_code"]), Issue: passwordless.Issue{Code: a.request(p.redirectURI)}})
	}
	return s, nil
}

// presentable says why a client may not have a code presented in a URL. Any page can send a browser with a code of its
// own choice, so the finish must be bound to the browser in which the person began, and here only the application can
// tell: by PKCE, or by its state if the client says InsecureAnyBrowser. A confidential client presents codes with its
// credentials, at the token endpoint.
func presentable(client passwordless.Client, p params) error {
	switch {
	case !client.FirstParty || !client.Public:
		return grantRefused
	case p.challenge == "" && (p.state == "" || !client.Browser.InsecureAnyBrowser):
		return unbound
	}
	return nil
}

// mode is where the answer is put: what a client that asks for tokens reads is the fragment.
func (p params) mode() string {
	if p.responseMode == "" && strings.Contains(p.responseType, "token") {
		return "fragment"
	}
	return p.responseMode
}

func unknown() error {
	return &passwordless.ChallengeError{Reason: passwordless.ErrUnknownChallenge}
}

// failed tells the application why there is no code. What may go better in a moment, and a code to be typed elsewhere,
// are for the person: the link still works.
func (s step) failed(err error) (string, error) {
	var other *passwordless.OtherBrowserError
	p := returned(err, s.sms)
	if errors.As(err, &other) || p.status >= 500 || p.status == http.StatusTooManyRequests {
		return "", err
	}
	return s.problem(p), nil
}

// back leads to the application with why there can be no code.
func (s step) back(err error) error {
	return &confirm.ReturnError{Location: s.problem(returned(err, s.sms)), Err: err}
}

func (s step) problem(p *problem) string {
	return s.answer("error", p.Code, "error_description", p.Description)
}

// answer is the redirect URI with an answer in its query or its fragment (RFC 6749, 4.1.2; RFC 9207).
func (s step) answer(pairs ...string) string {
	v := url.Values{"iss": {s.issuer}}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	if s.info.State != "" {
		v.Set("state", s.info.State)
	}
	separator := "?"
	switch {
	case s.mode == "fragment":
		separator = "#"
	case strings.Contains(s.info.RedirectURI, "?"):
		separator = "&"
	}
	return s.info.RedirectURI + separator + v.Encode()
}
