// Package page serves ready sign-in pages over a [passwordless.Service]: plain HTML that works without JavaScript, in
// the reader's language, with nothing fetched from elsewhere.
//
//	pages, err := page.New(svc, page.Options{Client: "web", Home: "/"}) // Config.PageURL is https://…/auth/
//	mux.Handle("/auth/", pages)
//	mux.Handle("/account", pages.RequireLogin(account))
//
// # Where the pages are
//
// Mount the Handler at the path of Config.PageURL, called Base. A router that strips the prefix before it calls the
// Handler is fine too. Below Base there are:
//
//	GET, POST            the address of who wants to sign in
//	GET, POST code       the code that was sent
//	POST      resend
//	GET, POST link       where a message's link leads
//	GET, POST cancel     where its "this was not me" leads
//	GET       cancelled
//	GET, POST sign-out
//	GET       signed-out
//	GET       style-….css
//
// Handler.Confirm serves one path more, wherever on the same host a wire's own links lead.
//
// # What it guarantees
//
//   - GET, HEAD and OPTIONS change nothing, but may record a session's use, so whatever opens links before a person
//     does uses none up. On the page of a link they set no cookie either.
//   - Links of other clients of the Service, and links that lead elsewhere, are unknown here and stay as they are.
//     "This was not me" is taken from the messages of every client: it signs nobody in.
//   - A link signs in only the browser that asked for it (unless the Service says InsecureAnyBrowser). Any other one
//     shows a code to type there.
//   - Every POST is of our own origin and carries a nonce bound to a cookie of the browser.
//   - No secret is in a URL but a link's own and what a Confirmation returns, in no other header than cookies, and no
//     answer holds the text of an error or a whole address that this request did not bring.
//   - A wrong, used-up, expired or unknown code is answered byte for byte alike, and so is such a link; so are
//     addresses that somebody has and that nobody has.
//   - Every answer says Referrer-Policy: no-referrer and, but for the style sheet, Cache-Control: no-store.
//   - A store that fails ends in status 503, never in a session.
package page

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/internal/strict"
)

// Options say how the pages behave. New copies what it keeps.
type Options struct {
	// Client is the ID of the client that the pages act for. Logins and sessions of other clients are not accepted here.
	// Required.
	Client string
	// AppName is what the pages call the application. Default Service.AppName of the client, which New must be able to
	// look up then.
	AppName string
	// Base is the path at which browsers see the pages, with slashes around it. It can only be the path of Config.PageURL,
	// which is the default.
	Base string
	// Home is where a sign-in ends that was not on its way elsewhere: a local path. Default Base, which tells a signed-in
	// person so and offers to sign out.
	Home string
	// Channels are the ways to sign in that are offered, the first one first. Each must be one of the client's. Default
	// Email alone.
	Channels []passwordless.Channel
	// Send is what e-mails carry. Text messages always carry a code alone. Default SendCode.
	Send passwordless.SendMode

	// OnLogin answers the request that finished a sign-in, with a session of the application's own and status 303 to
	// Handler.Next, say. What the pages kept in cookies is cleared already. Nil: Handler.SignIn, our own session, which
	// RequireLogin reads.
	OnLogin func(w http.ResponseWriter, r *http.Request, l passwordless.Login)
	// Issue is what logins ask for besides the proof. If OnLogin is nil it includes a session, and must not include
	// tokens, which nobody would take.
	Issue passwordless.Issue
	// FormAction is one origin, beside the pages' own, to which OnLogin may redirect: browsers hold a form's content
	// policy against redirects too. Default none.
	FormAction string

	// TrustedProxies are the networks of the reverse proxies whose X-Forwarded-For is believed. Default none. A proxy that
	// is not among them makes all people share one network's limits, ten starts in ten minutes by default; that is in
	// Service.Policy and reported as EventUntrustedForwarding.
	TrustedProxies []netip.Prefix
	// Templates replaces files of the shipped templates, each on its own; the phrases of all languages (*.tmpl) are
	// replaced together. See View. Nil: none.
	Templates fs.FS
	// CookieName begins the names of all cookies. Handlers for several clients on one host need one each. 1 to 32 letters,
	// digits and hyphens; default "passwordless".
	CookieName string
	// InsecureCookies leaves out Secure and the __Host- prefix, for trying things out over plain http on a loopback host.
	// With a Config.PageURL of https it is refused.
	InsecureCookies bool
	// OnError hears of every error that is answered with status 500 or 503, and of messages that were perhaps not handed
	// over. No error holds an address or a secret, but a panic's value may. It must be quick. Nil: nobody hears.
	OnError func(r *http.Request, err error)
}

// A Handler serves the pages. It is safe for concurrent use and keeps no state.
type Handler struct {
	svc     *passwordless.Service
	opts    Options
	proxies strict.Proxies
	ignored func(context.Context, string) // of the front; see passwordless.Service.NewFront
	views   *views
	csp     strict.CSP
	cookies cookies
	origins *http.CrossOriginProtection
	serve   http.Handler
}

// New returns a Handler. Its error tells every mistake of the options and of the templates at once.
func New(svc *passwordless.Service, opts Options) (*Handler, error) {
	opts.Base = orDefault(opts.Base, pagePath(svc))
	opts.Home = orDefault(opts.Home, opts.Base)
	opts.CookieName = orDefault(opts.CookieName, "passwordless")
	if opts.Channels = slices.Clone(opts.Channels); len(opts.Channels) == 0 {
		opts.Channels = []passwordless.Channel{passwordless.Email}
	}
	opts.TrustedProxies = slices.Clone(opts.TrustedProxies)
	h := &Handler{svc: svc, opts: opts, csp: strict.CSP{FormAction: []string{opts.FormAction}},
		cookies: newCookies(opts), origins: http.NewCrossOriginProtection()}
	if err := h.configure(); err != nil {
		return nil, fmt.Errorf("page: options:\n%w", err)
	}
	if opts.OnLogin == nil {
		h.opts.OnLogin = h.SignIn
		h.opts.Issue.Session = true
	}
	h.serve, h.ignored = strict.Recover(h.routes(), h.panicked), svc.NewFront("page", h.proxies...)
	return h, nil
}

// Format prints nothing of the Service, for every verb.
func (h *Handler) Format(f fmt.State, _ rune) { fmt.Fprint(f, "page.Handler") }

// configure fills in the parts that can be wrong and reports all that are.
func (h *Handler) configure() error {
	o := h.opts
	var errs []error
	need := func(ok bool, what string) {
		if !ok {
			errs = append(errs, errors.New(what))
		}
	}
	need(h.svc != nil, "Service: required")
	need(o.Client != "", "Client: required")
	if h.svc != nil {
		errs = append(errs, h.checkClient())
		need(o.Base == pagePath(h.svc), "Base: not the path of Config.PageURL")
		need(!o.InsecureCookies || !strings.HasPrefix(h.svc.PageURL(), "https:"), "InsecureCookies: Config.PageURL is https")
	}
	need(o.AppName == "" || strings.TrimSpace(o.AppName) != "" && len(o.AppName) <= 100, "AppName: want 1 to 100 bytes")
	need(isLocal(o.Base) && strings.HasSuffix(o.Base, "/") && !strings.ContainsAny(o.Base, "?%{}"),
		"Base: want a local path with a slash at both ends")
	need(isLocal(o.Home), "Home: want a local path")
	need(o.Send <= passwordless.SendBoth, "Send: unknown value")
	need(isCookieName(o.CookieName), "CookieName: want 1 to 32 letters, digits and hyphens")
	need(o.FormAction == "" || strings.Contains(h.csp.String(), " "+o.FormAction+";"), "FormAction: want one origin")
	for i, ch := range o.Channels {
		need(ch == passwordless.Email || ch == passwordless.SMS, fmt.Sprintf("Channels[%d]: unknown channel", i))
		need(!slices.Contains(o.Channels[:i], ch), fmt.Sprintf("Channels[%d]: named twice", i))
	}
	need(h.svc == nil || o.OnLogin != nil || !h.svc.Policy().Policy.InsecureAnyBrowser,
		"OnLogin: the Service says InsecureAnyBrowser, with which a link must not end in a session of the browser that opened it")
	need(o.OnLogin != nil || o.Issue.Tokens == nil, "Issue.Tokens: need an OnLogin that takes them")
	var err error
	h.proxies, err = strict.TrustProxies(o.TrustedProxies)
	errs = append(errs, err)
	h.views, err = newViews(o.Templates)
	return errors.Join(append(errs, err)...)
}

// checkClient takes the default of AppName and the life of our session's cookie from the client, and reports what does
// not fit it. A client that cannot be looked up now is left to the first request, unless the name is needed.
func (h *Handler) checkClient() error {
	by, err := h.svc.Trusted(context.Background(), h.opts.Client, passwordless.Caller{})
	if errors.Is(err, passwordless.ErrUnknownClient) {
		return errors.New("Client: the Service has none with that ID")
	}
	h.cookies.session.life = sessionLife(by.Client(), h.svc.Policy().Policy.Sessions)
	var errs []error
	switch {
	case h.opts.AppName != "":
	case err == nil:
		h.opts.AppName = h.svc.AppName(by.Client())
	default:
		errs = append(errs, fmt.Errorf("AppName: cannot be looked up now: %w", err))
	}
	for i, ch := range h.opts.Channels {
		if err == nil && !slices.Contains(by.Client().Channels, ch) {
			errs = append(errs, fmt.Errorf("Channels[%d]: not one of the client's", i))
		}
	}
	return errors.Join(errs...)
}

// pagePath returns the path of Config.PageURL, as a browser sends it.
func pagePath(svc *passwordless.Service) string {
	if svc == nil {
		return "/"
	}
	u, err := url.Parse(svc.PageURL())
	if err != nil { // the Service has parsed it
		return "/"
	}
	return u.EscapedPath()
}

func orDefault(v, fallback string) string {
	if v == "" {
		return fallback
	}
	return v
}

// routes returns the pages by their paths below Base.
func (h *Handler) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", h.showStart)
	mux.Handle("POST /{$}", h.form(h.start))
	mux.HandleFunc("GET /code", h.showCode)
	mux.Handle("POST /code", h.form(h.enterCode))
	mux.Handle("POST /resend", h.form(h.resend))
	mux.HandleFunc("GET /link", h.showLink)
	mux.Handle("POST /link", h.form(h.redeem))
	mux.HandleFunc("GET /cancel", h.showCancel)
	mux.Handle("POST /cancel", h.form(h.cancel))
	mux.HandleFunc("GET /cancelled", h.showMessage(http.StatusOK, "cancelled"))
	mux.HandleFunc("GET /sign-out", h.showSignOut)
	mux.HandleFunc("POST /sign-out", h.SignOut)
	mux.HandleFunc("GET /signed-out", h.showMessage(http.StatusOK, "signed-out"))
	mux.HandleFunc("GET /"+h.views.styleName, h.views.serveStyle)
	h.addSlash(mux)
	return mux
}

// addSlash leads Base without its slash, which some routers pass on, to Base. Where a page has that very path below a
// Base that was stripped, the page goes first.
func (h *Handler) addSlash(mux *http.ServeMux) {
	bare := strings.TrimSuffix(h.opts.Base, "/")
	if bare == "" {
		return
	}
	if _, pattern := mux.Handler(&http.Request{Method: http.MethodGet, URL: &url.URL{Path: bare}}); pattern != "" {
		return
	}
	mux.HandleFunc("GET "+bare, func(w http.ResponseWriter, r *http.Request) {
		to := url.URL{Path: h.opts.Base, RawQuery: r.URL.RawQuery}
		h.redirect(w, to.String())
	})
}

// ServeHTTP serves a page. Base is taken off the path if it is still there.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	noStore(w.Header())
	h.reportIgnored(r)
	below := "/" + strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, h.opts.Base), "/")
	if below != path.Clean(below) { // a ServeMux would redirect it, with a link's secret in Location
		http.NotFound(w, r)
		return
	}
	u := *r.URL
	u.Path, u.RawPath = below, ""
	inner := *r
	inner.URL = &u
	h.serve.ServeHTTP(w, &inner)
}

// form reads the form of a POST for a handler, after its origin was checked. The handler checks the nonce.
func (h *Handler) form(next func(http.ResponseWriter, *http.Request, fields)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !h.ownOrigin(r) {
			h.message(w, r, http.StatusForbidden, "refused")
			return
		}
		read, err := strict.ReadForm(w, r, formLimits)
		if err != nil {
			h.message(w, r, statusOf(err), "refused")
			return
		}
		next(w, r, fields{read})
	})
}

// formLimits bound a form and a query: the longest holds an address and a next.
var formLimits = strict.Limits{Bytes: 8 << 10, Values: 32}

// statusOf tells what is wrong with a form.
func statusOf(err error) int {
	var refused *strict.Error
	if !errors.As(err, &refused) {
		return http.StatusBadRequest
	}
	switch refused.Reason {
	case strict.TooLarge:
		return http.StatusRequestEntityTooLarge
	case strict.MediaType:
		return http.StatusUnsupportedMediaType
	}
	return http.StatusBadRequest
}

// fields are a form or a query; what is absent is "".
type fields struct{ strict.Fields }

func (f fields) get(name string) string {
	v, _, _ := f.String(name) // a form's members are text
	return v
}

// query reads the query. One that is malformed has no fields.
func query(r *http.Request) fields {
	q, _ := strict.Query(r, formLimits)
	return fields{q}
}
