package auth0

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/internal/strict"
)

// assertionType is the only client_assertion_type (RFC 7523, 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// credentials are what the body of a request says of its client.
type credentials struct {
	id, secret               string
	assertion, assertionType string
}

// readCredentials takes those of a body.
func readCredentials(d *strict.Decoder) credentials {
	return credentials{
		id:            d.String("client_id"),
		secret:        d.String("client_secret"),
		assertion:     d.String("client_assertion"),
		assertionType: d.String("client_assertion_type"),
	}
}

// asserted reports whether the client presents an assertion.
func (c credentials) asserted() bool { return c.assertion != "" || c.assertionType != "" }

// presented is what a client presents, in the body or in the Authorization header. A request with two ways of
// authentication, or with two clients, is refused: which of the two would count is anybody's guess.
func (c credentials) presented(header http.Header) (cred passwordless.Credentials, err error) {
	basic, used, err := basicAuth(header)
	cred.ClientID, cred.Secret, cred.Assertion = c.id, passwordless.Secret(c.secret), passwordless.Secret(c.assertion)
	switch {
	case c.secret != "" && c.asserted(), used && (c.secret != "" || c.asserted() || c.id != "" && c.id != basic.ClientID):
		return cred, twoMethods
	case c.asserted() && (c.assertion == "" || c.assertionType != assertionType):
		return cred, badAssertionType
	case err != nil:
		return cred, err
	case used:
		cred = basic
	}
	if cred.ClientID == "" && cred.Assertion == "" { // an assertion names its client
		return cred, errNoClient
	}
	return cred, nil
}

// basicAuth reads an Authorization header with the scheme Basic (RFC 6749, 2.3.1). One with another scheme is not the
// client's: it is not used.
func basicAuth(header http.Header) (cred passwordless.Credentials, used bool, err error) {
	scheme, _, _ := strings.Cut(header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Basic") {
		return cred, false, nil
	}
	id, secret, ok := (&http.Request{Header: header}).BasicAuth()
	id, errID := url.QueryUnescape(id)
	secret, errSecret := url.QueryUnescape(secret)
	if !ok || len(header.Values("Authorization")) > 1 || errID != nil || errSecret != nil {
		err = passwordless.ErrUnauthenticated
	}
	return passwordless.Credentials{ClientID: id, Secret: passwordless.Secret(secret)}, true, err
}

// authenticate finds out who asks, by what the client presents, and checks the origin that its script is of.
func (h *Handler) authenticate(r *http.Request, c credentials) (by passwordless.Requester, err error) {
	cred, err := c.presented(r.Header)
	if err != nil {
		return by, err
	}
	from, named := h.caller(r), forwardedFor(r.Header)
	from.EndUser, _ = netip.ParseAddr(named) // the zero Addr of anything else
	proves := cred.Secret != "" || cred.Assertion != ""
	if !proves {
		by, err = h.svc.Public(r.Context(), cred.ClientID, from)
		if errors.Is(err, passwordless.ErrUnauthenticated) {
			return by, errNoCredentials
		}
	} else {
		cred.Audiences = []string{h.at(tokenPath)}
		by, err = h.svc.Authenticate(r.Context(), cred, from)
	}
	if err != nil {
		return by, err
	}
	switch {
	case named == "":
	case !proves || !by.Client().TrustForwarded:
		h.ignored(r.Context(), "auth0-forwarded-for of a client that did not prove itself, or without TrustForwarded")
	case !from.EndUser.IsValid():
		return by, badForwarded
	}
	return by, h.checkOrigin(r, by.Client())
}

// forwardedFor is the user's address as the header names it; "" for none. What stands in several lines is a list.
func forwardedFor(header http.Header) string {
	return strings.TrimSpace(strings.Join(header.Values("Auth0-Forwarded-For"), ","))
}

// caller is where the request came from, and what a browser keeps.
func (h *Handler) caller(r *http.Request) passwordless.Caller {
	if what := h.proxies.Ignored(r); what != "" {
		h.ignored(r.Context(), what)
	}
	from := passwordless.Caller{IP: h.proxies.ClientIP(r)}
	if h.ownScript(r) {
		kept := h.opts.Pages.Caller(r)
		from.Browser, from.Device = kept.Browser, kept.Device
	}
	return from
}

// ownScript reports whether a script of the pages' own origin calls from a browser. Only then are cookies read and set:
// a server may keep one jar for all of its users.
func (h *Handler) ownScript(r *http.Request) bool {
	return h.opts.Pages != nil && r.Header.Get("Sec-Fetch-Site") == "same-origin"
}
