package auth0

import (
	"crypto/sha256"
	"encoding/hex"
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

	// of the OTP grant; its redirect_uri is not looked at, for nothing is redirected
	username, otp, realm string

	refreshToken string // of the refresh grant
}

// grants are what the token endpoint serves.
var grants = map[string]func(*Handler, *http.Request, passwordless.Client, tokenForm) (passwordless.Tokens, error){
	otpGrant:     (*Handler).otp,
	refreshGrant: (*Handler).refresh,
}

func (h *Handler) serveToken(w http.ResponseWriter, r *http.Request) answer {
	form, tokens, err := h.token(w, r)
	if err != nil {
		return tokenTable.answer(err, form.realm == "sms")
	}
	return success(tokenBody(tokens))
}

// token decodes, authenticates and grants.
func (h *Handler) token(w http.ResponseWriter, r *http.Request) (form tokenForm, tokens passwordless.Tokens, err error) {
	if form, err = readToken(w, r); err != nil {
		return form, tokens, err
	}
	client, err := h.authenticate(r.Context(), r.Header, form.credentials)
	if err != nil {
		return form, tokens, err
	}
	if err := form.check(); err != nil {
		return form, tokens, err
	}
	tokens, err = grants[form.grantType](h, r, client, form)
	return form, tokens, err
}

func readToken(w http.ResponseWriter, r *http.Request) (tokenForm, error) {
	read := strict.Read
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		read = strict.ReadJSON // a page of any site could post a form, to burn somebody's tries
	}
	f, err := read(w, r, strict.Limits{})
	if err != nil {
		return tokenForm{}, err
	}
	d := f.Decode()
	form := tokenForm{
		credentials: credentials{
			id:            d.String("client_id"),
			secret:        d.String("client_secret"),
			assertion:     d.String("client_assertion"),
			assertionType: d.String("client_assertion_type"),
		},
		grantType:    d.String("grant_type"),
		audience:     d.String("audience"),
		scope:        d.String("scope"),
		nonce:        d.String("nonce"),
		resource:     d.String("resource"),
		username:     d.String("username"),
		otp:          d.String("otp"),
		realm:        d.String("realm"),
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

// otp exchanges a code for tokens. The application itself took the code from the person, so only
// first-party clients may.
func (h *Handler) otp(r *http.Request, client passwordless.Client, f tokenForm) (passwordless.Tokens, error) {
	if !client.FirstParty {
		return passwordless.Tokens{}, grantRefused
	}
	channel, err := f.channel()
	if err != nil {
		return passwordless.Tokens{}, err
	}
	grant, err := h.tokenRequest(f)
	if err != nil {
		return passwordless.Tokens{}, err
	}
	login, err := h.svc.Verify(r.Context(), passwordless.VerifyRequest{
		Client: client.ID, Channel: channel, Address: f.username, Code: passwordless.Secret(f.otp),
		Caller: h.caller(r, client), Grant: passwordless.Grant{Tokens: grant},
	})
	if err != nil {
		return passwordless.Tokens{}, err
	}
	return *login.Tokens, nil
}

// channel is the realm's, if nothing is missing.
func (f tokenForm) channel() (passwordless.Channel, error) {
	for _, need := range [...]struct{ name, value string }{{"username", f.username}, {"otp", f.otp}, {"realm", f.realm}} {
		if need.value == "" {
			return "", missingParameter(need.name)
		}
	}
	channel, ok := connections[f.realm]
	if !ok {
		return "", noRealm
	}
	return channel, nil
}

// refresh exchanges a refresh token. An audience is not looked at: the tokens keep theirs.
func (h *Handler) refresh(r *http.Request, client passwordless.Client, f tokenForm) (passwordless.Tokens, error) {
	if f.refreshToken == "" {
		return passwordless.Tokens{}, missingParameter("refresh_token")
	}
	return h.svc.Refresh(r.Context(), passwordless.RefreshRequest{
		Client: client.ID, Token: passwordless.Secret(f.refreshToken), Scopes: strings.Fields(f.scope)})
}

// everywhere are the scopes that every audience grants.
var everywhere = []string{"openid", "profile", "email", "phone", "address", "offline_access"}

// tokenRequest says which tokens a form asks for, without what may not be asked for.
func (h *Handler) tokenRequest(f tokenForm) (*passwordless.TokenRequest, error) {
	audience := f.audience
	if audience == "" {
		audience = h.svc.Issuer()
	}
	here, known := h.opts.APIs[audience]
	if !known && audience != h.svc.Issuer() {
		return nil, noService
	}
	scopes := granted(strings.Fields(f.scope), everywhere, here)
	return &passwordless.TokenRequest{Scopes: scopes, Audience: audience, Nonce: f.nonce, Subject: h.opts.Subject, Claims: profile}, nil
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
	nickname, _, _ := strings.Cut(l.Identifier.Address, "@")
	name := l.User.Name
	if name == "" {
		name = l.Identifier.Address
	}
	return map[string]any{
		"name":       name,
		"nickname":   nickname,
		"updated_at": l.At.UTC().Format("2006-01-02T15:04:05.000Z"),
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
