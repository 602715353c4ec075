package passwordless

import (
	"slices"
	"time"
)

// An AuthorizationRequest says what an authorization code is for (RFC 6749, 4.1).
type AuthorizationRequest struct {
	// RedirectURI is where the code is sent. The exchange repeats it. Required, and one that the client registered.
	RedirectURI string
	// CodeChallenge is the S256 challenge of RFC 7636, whose verifier the exchange must present; "" for none, which is not
	// enough for a public client, unless it says InsecureWithoutPKCE.
	CodeChallenge string
	// Scopes, Audience and Nonce are those of the tokens: see TokenRequest.
	Scopes   []string
	Audience string
	Nonce    string
}

// bound reports whether a PKCE challenge binds the code.
func (r *AuthorizationRequest) bound() bool { return r != nil && r.CodeChallenge != "" }

// An Issue says what a login gives besides the proof. The zero value gives nothing more: the application keeps its own
// sessions.
type Issue struct {
	// Session asks for a session of the library's own: a token for a cookie, which stays the same for as long as the
	// session lives.
	Session bool
	// Tokens asks for OAuth tokens; nil for none.
	Tokens *TokenRequest
	// Code asks for an authorization code, for a client that a browser leads back to; nil for none.
	Code *AuthorizationRequest
}

func (i Issue) any() bool { return i.Session || i.Tokens != nil || i.Code != nil }

// codeAlone reports whether the login ends with an authorization code and nothing else.
func (i Issue) codeAlone() bool { return i.Code != nil && !i.Session && i.Tokens == nil }

// revocable reports whether the login gives something that a revocation ends.
func (i Issue) revocable() bool { return i.Session || i.Tokens.has(offlineAccess) || i.Code != nil }

// returnsTo is the redirect URI that the login ends at; "" for none.
func (i Issue) returnsTo() string {
	if i.Code == nil {
		return ""
	}
	return i.Code.RedirectURI
}

// A Method is how a challenge was finished.
type Method string

// The methods. Neither resists phishing: a code or a link can be passed on (NIST SP 800-63B-4, 3.2.5).
const (
	ByCode Method = "code"
	ByLink Method = "link"
)

// A MethodUse is one method that a person used, and when.
type MethodUse struct {
	Method  Method
	Channel Channel
	At      time.Time
}

// A Login is a person who signed in.
type Login struct {
	Tenant, Client string
	User           User
	Identifier     Identifier  // what was proved
	Methods        []MethodUse // how, the first one first; at least one
	FirstProof     bool        // the identifier had not been proved before
	KnownDevice    bool        // the device had signed this person in before
	// RedirectURI, State and Params are those of the start.
	RedirectURI, State, Params string
	// Device is for the browser or app to keep and to present as Caller.Device: a known device has limits of its own
	// (docs/limits.md). It proves nothing else. "" if the Hasher failed: then keep the former one.
	Device Secret
	// Session, Tokens and AuthorizationCode, which Service.Exchange takes, are what Issue asked for.
	Session           *Session
	Tokens            *Tokens
	AuthorizationCode Secret
	Rate              RateLimit // on guesses; of a link the zero value
}

// At is when the last method was used: when the proof was whole. Of the zero Login it is the zero Time.
func (l Login) At() time.Time {
	if len(l.Methods) == 0 {
		return time.Time{}
	}
	return l.Methods[len(l.Methods)-1].At
}

// Restricted reports whether the channel is a restricted authenticator (NIST SP 800-63B-4, 3.2.9): then offer the
// person an alternative, and tell them why.
func (l Login) Restricted() bool { return l.Identifier.Channel == SMS }

// A Session is a signed-in browser or app.
type Session struct {
	ID             string // names it to Sessions and RevokeSession; no secret
	Token          Secret // for the cookie; only in the Login that made it
	Tenant, Client string
	UserID         string
	At             time.Time // of the proof
	Used           time.Time // the last recorded use; recorded at most once in a tenth of SessionPolicy.Idle
	Expires        time.Time // when it ends if it is not used
	Scopes         []string  // of its refresh tokens; nil for a session of the library's own
}

// The scopes that mean something here.
const (
	openID        = "openid"
	offlineAccess = "offline_access"
)

// A TokenRequest says which tokens to issue.
type TokenRequest struct {
	// Scopes of the access token. "openid" asks for an ID token and "offline_access" for a refresh token.
	Scopes   []string
	Audience string // of the access token; default the issuer
	Nonce    string // of the ID token; "" for none
	// Subject makes the sub claim for a user; nil uses User.ID. It must be stable and must not hold an address.
	Subject func(Login) string
	// Claims adds claims to the ID token, for the scopes that are granted; nil adds none. What it says of how, when and
	// for whom the token was made is ignored.
	Claims func(l Login, scopes []string) map[string]any
}

func (t *TokenRequest) has(scope string) bool { return t != nil && slices.Contains(t.Scopes, scope) }

func (t *TokenRequest) subject(l Login) string {
	if t.Subject == nil {
		return l.User.ID
	}
	return t.Subject(l)
}

// Tokens are what an OAuth client gets.
type Tokens struct {
	Access    Secret
	ID        Secret // "" without the scope openid; after a refresh without the claims about the person
	Refresh   Secret // "" without the scope offline_access
	ExpiresIn time.Duration
	Scopes    []string
}
