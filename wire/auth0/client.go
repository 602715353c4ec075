package auth0

import (
	"context"
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

// credentials are how a client says who it is: of the body, and of the Authorization header.
type credentials struct {
	id, secret               string
	assertion, assertionType string
	headerUsed               bool
	headerID, headerSecret   string
	headerBroken             bool
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

// fromHeader adds what an Authorization header with the scheme Basic says (RFC 6749, 2.3.1). Other schemes
// are not the client's.
func (c credentials) fromHeader(header http.Header) credentials {
	scheme, _, _ := strings.Cut(header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Basic") {
		return c
	}
	c.headerUsed = true
	id, secret, ok := (&http.Request{Header: header}).BasicAuth()
	var errID, errSecret error
	c.headerID, errID = url.QueryUnescape(id)
	c.headerSecret, errSecret = url.QueryUnescape(secret)
	c.headerBroken = !ok || len(header.Values("Authorization")) > 1 || errID != nil || errSecret != nil
	return c
}

// asserted reports whether the client presents an assertion.
func (c credentials) asserted() bool { return c.assertion != "" || c.assertionType != "" }

// ambiguous reports whether the client authenticates in more than one way, or as more than one.
func (c credentials) ambiguous() bool {
	return c.headerUsed && (c.secret != "" || c.asserted() || c.id != "" && c.id != c.headerID) ||
		c.secret != "" && c.asserted()
}

// A requester is a client that authenticated, if it is confidential, and where its request came from.
type requester struct {
	passwordless.Client
	from passwordless.Caller
	// release lets the client present the same assertion again; nil if it presented none.
	release func(context.Context)
}

// authenticate finds the client, checks what it presents and the origin that its script is of.
func (h *Handler) authenticate(r *http.Request, c credentials) (by requester, err error) {
	c = c.fromHeader(r.Header)
	switch {
	case c.ambiguous():
		return by, twoMethods
	case c.asserted():
		by, err = h.byAssertion(r.Context(), c)
	case c.headerBroken:
		return by, errBadCredentials
	case c.headerUsed:
		by.Client, err = h.bySecret(r.Context(), c.headerID, passwordless.Secret(c.headerSecret))
	default:
		by.Client, err = h.bySecret(r.Context(), c.id, passwordless.Secret(c.secret))
	}
	if err == nil {
		err = h.checkOrigin(r, by.Client)
	}
	by.from = h.caller(r, by.Client)
	return by, err
}

// bySecret finds the client and checks its secret. A public client has none, so any secret with its ID is wrong.
func (h *Handler) bySecret(ctx context.Context, id string, secret passwordless.Secret) (passwordless.Client, error) {
	if id == "" {
		return passwordless.Client{}, errNoClient
	}
	client, err := h.svc.Client(ctx, id)
	switch {
	case err != nil:
		return passwordless.Client{}, err
	case secret == "" && !client.Public:
		return passwordless.Client{}, errNoCredentials
	case secret != "" && !client.Authenticates(secret):
		return passwordless.Client{}, errBadCredentials
	}
	return client, nil
}

// byAssertion checks a client assertion (RFC 7523). It works once.
func (h *Handler) byAssertion(ctx context.Context, c credentials) (by requester, err error) {
	if c.assertion == "" || c.assertionType != assertionType {
		return by, badAssertionType
	}
	by.Client, by.release, err = h.svc.AuthenticateAssertion(ctx, passwordless.AssertionRequest{
		Client: c.id, Assertion: passwordless.Secret(c.assertion), Audiences: []string{h.at(tokenPath)}})
	return by, err
}

// settle ends a call. One that a limit refused did nothing, and SDKs repeat it with the same assertion.
func (by requester) settle(ctx context.Context, err error) {
	var limited *passwordless.LimitedError
	if by.release != nil && errors.As(err, &limited) {
		by.release(ctx)
	}
}

// caller is where the request came from. A confidential client, which authenticated on this
// call or would not have got here, may name its user's address, if it is trusted with that.
func (h *Handler) caller(r *http.Request, client passwordless.Client) passwordless.Caller {
	from := passwordless.Caller{IP: h.proxies.ClientIP(r)}
	if h.ownScript(r) {
		kept := h.opts.Pages.Caller(r)
		from.Browser, from.Device = kept.Browser, kept.Device
	}
	named := r.Header.Values("Auth0-Forwarded-For")
	if client.Public || !client.TrustForwarded || len(named) != 1 {
		return from
	}
	if ip, err := netip.ParseAddr(strings.TrimSpace(named[0])); err == nil {
		from.IP = ip.Unmap().WithZone("")
	}
	return from
}

// ownScript reports whether a script of the pages' own origin calls from a browser. Only then are cookies read and
// set: a server may keep one jar for all of its users.
func (h *Handler) ownScript(r *http.Request) bool {
	return h.opts.Pages != nil && r.Header.Get("Sec-Fetch-Site") == "same-origin"
}
