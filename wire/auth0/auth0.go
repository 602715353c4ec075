// Package auth0 serves the passwordless HTTP interface of Auth0 over a
// [passwordless.Service], so that programs written for Auth0's SDKs sign people in here
// unchanged.
//
//	h, err := auth0.New(svc, auth0.Options{})
//	mux.Handle("/", h)
//
// docs/auth0.md lists which fields are served, and what was decided where Auth0's own
// documentation is silent.
//
// Every request takes one way: it is decoded (one struct an endpoint, which lists all fields),
// its client authenticates, the Service is called once, and the outcome is looked up in the
// endpoint's table in failures.go, the only place that knows a status or an error's text.
package auth0

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/internal/strict"
)

// The paths of the endpoints. Clients expect them at the root of the issuer's host.
const (
	startPath     = "/passwordless/start"
	tokenPath     = "/oauth/token"
	jwksPath      = "/.well-known/jwks.json"
	discoveryPath = "/.well-known/openid-configuration"
)

// Options say how a Handler behaves. New copies them.
type Options struct {
	// TrustedProxies are the networks of the reverse proxies whose X-Forwarded-For is
	// believed; nil believes nobody. Without those in front of the
	// handler all people share one network's limits.
	TrustedProxies []netip.Prefix
	// Strict refuses properties of a start request that Auth0 does not know, as Auth0 does. False
	// ignores them: SDKs and frameworks add their own. The token endpoint ignores them always (RFC 6749, 3.2).
	Strict bool
	// Verified is what email_verified and phone_verified of every start's answer say. It is one value
	// for all, because one that followed the account would tell strangers who has one.
	// False by default.
	Verified bool
	// APIs are the audiences that access tokens may be asked for, each with the scopes that
	// are granted there. Tokens without an audience are for the issuer, which may be listed
	// too, to give it scopes. Other audiences are refused. The scopes openid, profile, email,
	// phone, address and offline_access are granted everywhere, all others are left out.
	APIs map[string][]string
	// Subject makes the sub claim. It must be stable, and must not hold an address. Nil makes
	// "email|" or "sms|" and 24 hexadecimal digits from the user's tenant and ID. Set it to keep the
	// subjects that people had before.
	Subject func(passwordless.Login) string
	// OnError is told why a request was answered with a status of 500 or more, panics
	// included, from the goroutine of the request. The text of a panic may hold anything, so
	// keep it from public logs. Nil: nobody is told.
	OnError func(r *http.Request, err error)
}

// A Handler serves all endpoints. It is safe for concurrent use and holds no state of its
// own. Mount it at the root of the issuer's host, or each endpoint alone.
type Handler struct {
	svc       *passwordless.Service
	opts      Options
	proxies   strict.Proxies
	discovery []byte
	endpoints map[string]http.Handler // by path
}

var _ http.Handler = (*Handler)(nil)

// New returns a Handler. Its error tells every mistake at once. The Service must have
// signing keys; Auth0's SDKs expect clients whose Algorithm is RS256.
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
	if h.proxies, err = strict.ParseProxies(texts(opts.TrustedProxies)...); err != nil {
		errs = append(errs, fmt.Errorf("Options.TrustedProxies: %w", err))
	}
	if svc == nil {
		errs = append(errs, errors.New("service: required"))
	} else if h.discovery, err = discovery(svc); err != nil {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("auth0: configuration:\n%w", err)
	}
	h.endpoints = map[string]http.Handler{
		startPath:     h.Start(),
		tokenPath:     h.Token(),
		jwksPath:      h.JWKS(),
		discoveryPath: h.Discovery(),
	}
	return h, nil
}

func texts(prefixes []netip.Prefix) (all []string) {
	for _, p := range prefixes {
		all = append(all, p.String())
	}
	return all
}

// ServeHTTP serves the endpoints by their paths, compared byte for byte, and answers all others
// with 404.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	endpoint, ok := h.endpoints[r.URL.Path]
	if !ok {
		endpoint = h.endpoint(r.Method, func(http.ResponseWriter, *http.Request) answer { return noEndpoint.answer() })
	}
	endpoint.ServeHTTP(w, r)
}

// Start serves POST /passwordless/start: it sends a code.
func (h *Handler) Start() http.Handler { return h.endpoint(http.MethodPost, h.serveStart) }

// Token serves POST /oauth/token: it exchanges a code or a refresh token for tokens.
func (h *Handler) Token() http.Handler { return h.endpoint(http.MethodPost, h.serveToken) }

// JWKS serves GET /.well-known/jwks.json: the keys that verify the tokens.
func (h *Handler) JWKS() http.Handler {
	return h.endpoint(http.MethodGet, func(http.ResponseWriter, *http.Request) answer {
		return success(json.RawMessage(h.svc.JWKS()))
	})
}

// Discovery serves GET /.well-known/openid-configuration: what this package serves, and where.
func (h *Handler) Discovery() http.Handler {
	return h.endpoint(http.MethodGet, func(http.ResponseWriter, *http.Request) answer {
		return success(json.RawMessage(h.discovery))
	})
}
