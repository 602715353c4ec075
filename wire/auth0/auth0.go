// Package auth0 serves the passwordless HTTP interface of Auth0 over a [passwordless.Service], so that programs written
// for Auth0's SDKs sign people in here unchanged.
//
//	h, err := auth0.New(svc, auth0.Options{Pages: pages}) // a page.Handler, for links
//	mux.Handle("/", h)
//
// docs/from-auth0.md tells how to move a program, and docs/auth0.md which fields are served, and what was decided where
// Auth0's own documentation is silent.
//
// Every request takes one way: it is decoded (one struct an endpoint, which lists all fields), its client
// authenticates, the Service is called once, and the outcome is looked up in the endpoint's table in failures.go, the
// only place that knows a status or an error's text.
package auth0

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/confirm"
	"github.com/seed62b93bad/passwordless/internal/strict"
)

// The paths of the endpoints. Clients expect them at the root of the issuer's host.
const (
	startPath     = "/passwordless/start"
	verifyPath    = "/passwordless/verify"
	linkPath      = "/passwordless/verify_redirect"
	tokenPath     = "/oauth/token"
	revokePath    = "/oauth/revoke"
	jwksPath      = "/.well-known/jwks.json"
	discoveryPath = "/.well-known/openid-configuration"
)

// Pages show what a person who opened a link is asked, and keep the cookies of browsers. A page.Handler is one; it must
// be on the issuer's host.
type Pages interface {
	// Confirm serves one path: a page with a button, which takes the step.
	Confirm(step confirm.Confirmation) http.Handler
	// Caller tells what a browser keeps.
	Caller(r *http.Request) passwordless.Caller
	// KeepBrowser and KeepDevice have it keep Started.Browser and Login.Device.
	KeepBrowser(w http.ResponseWriter, browser passwordless.Secret)
	KeepDevice(w http.ResponseWriter, device passwordless.Secret)
}

// Options say how a Handler behaves. New copies them.
type Options struct {
	// Pages serve what links lead to. Nil: no links are sent, a start that asks for one is refused, and browsers keep nothing.
	Pages Pages
	// TrustedProxies are the networks of the reverse proxies whose X-Forwarded-For is believed; nil believes nobody.
	// Without those in front of the handler all people share one network's limits, ten starts in ten minutes by default;
	// that is in Service.Policy and reported as EventUntrustedForwarding.
	TrustedProxies []netip.Prefix
	// Strict refuses properties of a start request that Auth0 does not know, as Auth0 does. False ignores them: SDKs and
	// frameworks add their own. The token endpoint ignores them always (RFC 6749, 3.2).
	Strict bool
	// Verified is what email_verified and phone_verified of every start's answer say. It is one value for all, because one
	// that followed the account would tell strangers who has one. False by default.
	Verified bool
	// APIs are the audiences that access tokens may be asked for, each with the scopes that are granted there. Tokens
	// without an audience are for the issuer, which may be listed too, to give it scopes. Other audiences are refused. The
	// scopes openid, profile, email, phone, address and offline_access are granted everywhere, all others are left out.
	APIs map[string][]string
	// Subject makes the sub claim. It must be stable, and must not hold an address. Nil makes "email|" or "sms|" and 24
	// hexadecimal digits from the user's tenant and ID. Set it to keep the subjects that people had before.
	Subject func(passwordless.Login) string
	// OnError is told why a request was answered with status 500 or 503, panics included, from the goroutine of the
	// request. The text of a panic may hold anything, so keep it from public logs. Nil: nobody is told. What
	// verify_redirect cannot do is told to its Pages.
	OnError func(r *http.Request, err error)
}

// A Handler serves all endpoints. It is safe for concurrent use and holds no state of its own. Mount it at the root of
// the issuer's host, or each endpoint alone.
type Handler struct {
	svc       *passwordless.Service
	opts      Options
	proxies   strict.Proxies
	ignored   func(context.Context, string) // of the front; see passwordless.Service.NewFront
	origin    string                        // the issuer's
	discovery []byte
	endpoints map[string]http.Handler // by path
	nowhere   http.Handler            // all other paths
}

var _ http.Handler = (*Handler)(nil)

// New returns a Handler. Its error tells every mistake at once. The Service must have signing keys; Auth0's SDKs expect
// clients whose Tokens.Algorithm is RS256.
func New(svc *passwordless.Service, opts Options) (*Handler, error) {
	h := &Handler{svc: svc, opts: opts}
	h.opts.APIs = maps.Clone(opts.APIs)
	for api, scopes := range opts.APIs {
		h.opts.APIs[api] = slices.Clone(scopes)
	}
	if opts.Subject == nil {
		h.opts.Subject = subject
	}
	var errs []error
	var err error
	if h.proxies, err = strict.TrustProxies(opts.TrustedProxies); err != nil {
		errs = append(errs, fmt.Errorf("Options.TrustedProxies: %w", err))
	}
	if svc == nil {
		errs = append(errs, errors.New("service: required"))
	} else {
		h.origin = originOf(svc.Issuer())
		h.discovery, err = h.describe()
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("auth0: configuration:\n%w", err)
	}
	h.ignored = svc.NewFront("auth0", h.proxies...)
	h.nowhere = h.endpoint(credentialed(h.cross(http.MethodPost, func(http.ResponseWriter, *http.Request) answer {
		return noEndpoint.answer()
	})))
	h.endpoints = map[string]http.Handler{
		startPath:     h.Start(),
		verifyPath:    h.Verify(),
		linkPath:      h.VerifyRedirect(),
		tokenPath:     h.Token(),
		revokePath:    h.Revoke(),
		jwksPath:      h.JWKS(),
		discoveryPath: h.Discovery(),
	}
	return h, nil
}

// Format prints nothing of the Service, for every verb.
func (h *Handler) Format(f fmt.State, _ rune) { fmt.Fprint(f, "auth0.Handler") }

// at is the URL of a path.
func (h *Handler) at(path string) string { return h.svc.Issuer() + strings.TrimPrefix(path, "/") }

// ServeHTTP serves the endpoints by their paths, compared byte for byte, and answers all others with 404.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	endpoint, ok := h.endpoints[r.URL.Path]
	if !ok {
		endpoint = h.nowhere
	}
	endpoint.ServeHTTP(w, r)
}

// Start serves POST /passwordless/start: it sends a code or a link.
func (h *Handler) Start() http.Handler { return h.post(h.serveStart) }

// Verify serves POST /passwordless/verify: it tells whether a code is right, at the cost of an attempt, and signs nobody in.
func (h *Handler) Verify() http.Handler { return h.post(h.serveVerify) }

// Token serves POST /oauth/token: it exchanges a one-time code, an authorization code or a refresh token for tokens.
func (h *Handler) Token() http.Handler { return h.post(h.serveToken) }

// Revoke serves POST /oauth/revoke: it ends a refresh token and those that came of it.
func (h *Handler) Revoke() http.Handler { return h.post(h.serveRevoke) }

// VerifyRedirect serves GET and POST /passwordless/verify_redirect, where links lead: a page with a button, and the way
// back to the application with an authorization code. Without Options.Pages there is no such endpoint.
func (h *Handler) VerifyRedirect() http.Handler {
	if h.opts.Pages == nil {
		return h.nowhere
	}
	return h.opts.Pages.Confirm(finish{h})
}

// JWKS serves GET /.well-known/jwks.json: the keys that verify the tokens.
func (h *Handler) JWKS() http.Handler { return h.document(h.svc.JWKS()) }

// Discovery serves GET /.well-known/openid-configuration: what this package serves, and where.
func (h *Handler) Discovery() http.Handler { return h.document(h.discovery) }

func (h *Handler) post(serve serving) http.Handler {
	return h.endpoint(h.cross(http.MethodPost, only(http.MethodPost, serve)))
}

func (h *Handler) document(text []byte) http.Handler {
	return h.endpoint(public(only(http.MethodGet, func(http.ResponseWriter, *http.Request) answer {
		return success(json.RawMessage(text))
	})))
}
