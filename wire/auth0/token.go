package auth0

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/internal/strict"
)

// The grant types.
const (
	otpGrant     = "http://auth0.com/oauth/grant-type/passwordless/otp"
	codeGrant    = "authorization_code"
	refreshGrant = "refresh_token"
)

// A tokenForm is the body of a token request: the parameters of all grants.
type tokenForm struct {
	credentials
	grantType string
	audience  string
	scope     string
	nonce     string
	resource  string
	dpop      string // a header

	username, otp, realm string // of the OTP grant

	code, redirectURI, verifier string // of the authorization code grant; of the OTP grant a redirect_uri is not looked at

	refreshToken string // of the refresh grant
}

// An issue is what a grant gives, beside tokens what browsers keep and what is left of a limit.
type issue struct {
	passwordless.Tokens
	device passwordless.Secret
	rate   passwordless.RateLimit
}

func issueOf(l passwordless.Login) issue { return issue{*l.Tokens, l.Device, l.Rate} }

// grants are what the token endpoint serves.
var grants = map[string]func(*Handler, *http.Request, passwordless.Requester, tokenForm) (issue, error){
	otpGrant:     (*Handler).otp,
	codeGrant:    (*Handler).code,
	refreshGrant: (*Handler).refresh,
}

func (h *Handler) serveToken(w http.ResponseWriter, r *http.Request) answer {
	form, got, err := h.token(w, r)
	if err != nil {
		return tokenTable.answer(err, form.realm == "sms")
	}
	if got.device != "" && h.ownScript(r) {
		h.opts.Pages.KeepDevice(w, got.device)
	}
	return success(tokenBody(got.Tokens)).limited(got.rate)
}

// token decodes, authenticates and grants.
func (h *Handler) token(w http.ResponseWriter, r *http.Request) (form tokenForm, got issue, err error) {
	if form, err = readToken(w, r); err != nil {
		return form, got, err
	}
	by, err := h.authenticate(r, form.credentials)
	if err != nil {
		return form, got, err
	}
	if err = form.check(); err != nil {
		return form, got, err
	}
	got, err = grants[form.grantType](h, r, by, form)
	return form, got, err
}

func readToken(w http.ResponseWriter, r *http.Request) (tokenForm, error) {
	f, err := strict.Read(w, r, strict.Limits{})
	if err != nil {
		return tokenForm{}, err
	}
	d := f.Decode()
	form := tokenForm{
		credentials:  readCredentials(d),
		grantType:    d.String("grant_type"),
		audience:     d.String("audience"),
		scope:        d.String("scope"),
		nonce:        d.String("nonce"),
		resource:     d.String("resource"),
		username:     d.String("username"),
		otp:          d.String("otp"),
		realm:        d.String("realm"),
		code:         d.String("code"),
		redirectURI:  d.String("redirect_uri"),
		verifier:     d.String("code_verifier"),
		refreshToken: d.String("refresh_token"),
		dpop:         r.Header.Get("DPoP"),
	}
	return form, d.Err()
}

// check refuses what no grant serves.
func (f tokenForm) check() error {
	_, served := grants[f.grantType]
	switch {
	case f.grantType == "":
		return missingParameter("grant_type")
	case !served:
		return grantUnknown
	case f.dpop != "":
		return noDPoP
	case f.resource != "":
		return noResource
	}
	return nil
}

// otp exchanges a one-time code for tokens. The application itself took the code from the person, so only first-party
// clients may.
func (h *Handler) otp(r *http.Request, by passwordless.Requester, f tokenForm) (issue, error) {
	if !by.Client().FirstParty {
		return issue{}, grantRefused
	}
	channel, err := f.channel()
	if err != nil {
		return issue{}, err
	}
	tokens, err := h.tokenRequest(f.scope, f.audience, f.nonce)
	if err != nil {
		return issue{}, err
	}
	login, err := h.svc.Verify(r.Context(), by, passwordless.VerifyRequest{
		Channel: channel, Address: passwordless.Address(f.username), Code: passwordless.Secret(f.otp),
		Issue: passwordless.Issue{Tokens: tokens},
	})
	if err != nil {
		return issue{}, err
	}
	return issueOf(login), nil
}

// channel is the realm's, if nothing is missing.
func (f tokenForm) channel() (passwordless.Channel, error) {
	if err := missing("username", f.username, "otp", f.otp, "realm", f.realm); err != nil {
		return "", err
	}
	channel, ok := connections[f.realm]
	if !ok {
		return "", noRealm
	}
	return channel, nil
}

// missing is the error of the first parameter that is not there. They come in pairs of name and value.
func missing(pairs ...string) error {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			return missingParameter(pairs[i])
		}
	}
	return nil
}

// code exchanges the authorization code that a link ended with. The start said which tokens.
func (h *Handler) code(r *http.Request, by passwordless.Requester, f tokenForm) (issue, error) {
	if err := missing("code", f.code, "redirect_uri", f.redirectURI); err != nil {
		return issue{}, err
	}
	login, err := h.svc.Exchange(r.Context(), by, passwordless.ExchangeRequest{Code: passwordless.Secret(f.code),
		RedirectURI: f.redirectURI, Verifier: passwordless.Secret(f.verifier), Subject: h.opts.Subject, Claims: profile})
	if errors.Is(err, passwordless.ErrInvalidToken) {
		return issue{}, badCode
	}
	if err != nil {
		return issue{}, err
	}
	return issueOf(login), nil
}

// refresh exchanges a refresh token. The tokens keep their audience.
func (h *Handler) refresh(r *http.Request, by passwordless.Requester, f tokenForm) (issue, error) {
	if err := missing("refresh_token", f.refreshToken); err != nil {
		return issue{}, err
	}
	tokens, err := h.svc.Refresh(r.Context(), by, passwordless.RefreshRequest{Token: passwordless.Secret(f.refreshToken),
		Scopes: strings.Fields(f.scope), Audience: f.audience})
	return issue{Tokens: tokens}, err
}

// everywhere are the scopes that every audience grants.
var everywhere = []string{"openid", "profile", "email", "phone", "address", "offline_access"}

// tokenRequest says which tokens are asked for, without what may not be asked for.
func (h *Handler) tokenRequest(scope, audience, nonce string) (*passwordless.TokenRequest, error) {
	if audience == "" {
		audience = h.svc.Issuer()
	}
	here, known := h.opts.APIs[audience]
	if !known && audience != h.svc.Issuer() {
		return nil, noService
	}
	scopes := granted(strings.Fields(scope), everywhere, here)
	return &passwordless.TokenRequest{Scopes: scopes, Audience: audience, Nonce: nonce,
		Subject: h.opts.Subject, Claims: profile}, nil
}

// granted are the wanted scopes that one of the lists has, each once.
func granted(wanted []string, lists ...[]string) (scopes []string) {
	for _, s := range wanted {
		if slices.Contains(slices.Concat(lists...), s) && !slices.Contains(scopes, s) {
			scopes = append(scopes, s)
		}
	}
	return scopes
}

// subject is the connection and a digest of the user's name, which no address is part of.
func subject(l passwordless.Login) string {
	sum := sha256.Sum256([]byte("auth0 subject\x00" + l.Tenant + "\x00" + l.User.ID))
	return connectionOf(l.Identifier.Channel) + "|" + hex.EncodeToString(sum[:12])
}

// profile are the claims of the scope profile. The core gives those of email and phone.
func profile(l passwordless.Login, scopes []string) map[string]any {
	if !slices.Contains(scopes, "profile") {
		return nil
	}
	address, name := string(l.Identifier.Address), l.User.Name
	nickname, _, _ := strings.Cut(address, "@")
	if name == "" {
		name = address
	}
	return map[string]any{
		"name":       name,
		"nickname":   nickname,
		"updated_at": l.At().UTC().Format("2006-01-02T15:04:05.000Z"),
	}
}

// issued is the answer to a token request. It is the one place where tokens leave their wrapping.
type issued struct {
	Access    string `json:"access_token"`
	Refresh   string `json:"refresh_token,omitempty"`
	ID        string `json:"id_token,omitempty"`
	Scope     string `json:"scope,omitempty"`
	ExpiresIn int64  `json:"expires_in"` // seconds
	Type      string `json:"token_type"`
}

func tokenBody(t passwordless.Tokens) issued {
	return issued{Access: t.Access.Reveal(), Refresh: t.Refresh.Reveal(), ID: t.ID.Reveal(),
		Scope: strings.Join(t.Scopes, " "), ExpiresIn: int64(t.ExpiresIn / time.Second), Type: "Bearer"}
}
