package auth0

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/seed62b93bad/passwordless"
)

// credentials are how a client says who it is: of the body, and of the Authorization header.
type credentials struct {
	id, secret               string
	assertion, assertionType string
	headerUsed               bool
	headerID, headerSecret   string
	headerBroken             bool
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

// chosen returns the client's ID and secret, or the problem of choosing.
func (c credentials) chosen() (id string, secret passwordless.Secret, err error) {
	asserted := c.assertion != "" || c.assertionType != ""
	switch {
	case c.headerUsed && (c.secret != "" || asserted || c.id != "" && c.id != c.headerID),
		c.secret != "" && asserted:
		return "", "", twoMethods
	case asserted:
		return "", "", noAssertion
	case c.headerBroken:
		return "", "", errBadCredentials
	case c.headerUsed:
		return c.headerID, passwordless.Secret(c.headerSecret), nil
	}
	return c.id, passwordless.Secret(c.secret), nil
}

// authenticate finds the client and checks its secret. A public client has none, so
// any secret with its ID is wrong.
func (h *Handler) authenticate(ctx context.Context, header http.Header, c credentials) (passwordless.Client, error) {
	id, secret, err := c.fromHeader(header).chosen()
	if err != nil {
		return passwordless.Client{}, err
	}
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

// caller is where the request came from. A confidential client, which authenticated on this
// call or would not have got here, may name its user's address, if it is trusted with that.
func (h *Handler) caller(r *http.Request, client passwordless.Client) passwordless.Caller {
	caller := passwordless.Caller{IP: h.proxies.ClientIP(r)}
	if client.Public || !client.TrustForwarded {
		return caller
	}
	named := r.Header.Values("Auth0-Forwarded-For")
	if len(named) != 1 {
		return caller
	}
	if ip, err := netip.ParseAddr(strings.TrimSpace(named[0])); err == nil {
		caller.IP = ip.Unmap().WithZone("")
	}
	return caller
}
