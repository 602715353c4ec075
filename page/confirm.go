package page

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/seed62b93bad/passwordless/confirm"
	"github.com/seed62b93bad/passwordless/internal/strict"
)

// formConfirm labels the nonce of a step's form, beside what the step is about. See formLink.
const formConfirm = "confirm"

// confirmLimits bound the query of a step, which can carry the parameters of an authorization request.
var confirmLimits = strict.Limits{Bytes: 16 << 10, Values: 64}

// Confirm asks a person about a step of a sign-in, with a button, and takes it when it is pressed. Mount it at any path
// of the pages' host. What the step is about is in the query of the request; one that is malformed, too long, or names
// a parameter twice is about nothing. c must not be nil.
//
//   - GET and HEAD call c.Peek alone, and set no cookie. The form leads to the page's own URL, so that nothing of the
//     query is on the page, and from there to the origin of LinkInfo.RedirectURI (of an app, to its scheme), to
//     LinkInfo.Origins, and nowhere else. Some browsers hold that against all redirects that follow.
//   - POST calls c.Confirm, if it is of our own origin and carries the nonce of this browser and this query. The answer
//     has status 303 and leads to what c returned. What the pages kept for a sign-in is cleared. Browsers from before
//     Sec-Fetch-Site (2023) do not say which origin our forms come from; of those without a cookie of ours the nonce is
//     no secret, so there the person's button is not certain.
//   - A *confirm.ReturnError leads to its Location with status 303. Other errors are answered as those of the pages'
//     own links: an *OtherBrowserError with the code to type elsewhere, and all that is dead or refused alike.
func (h *Handler) Confirm(c confirm.Confirmation) http.Handler {
	serve := strict.Recover(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.confirm(w, r, c) }), h.panicked)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		noStore(w.Header())
		serve.ServeHTTP(w, r)
	})
}

// A step is a Confirmation and what a request says that it is about.
type step struct {
	confirm.Confirmation
	query map[string]string
	about string // the query, written in one way, whatever order and escapes it came in
}

// confirm reads what the step is about and leads to its page or its taking. It is no ServeMux, which would redirect a
// path that is not clean, with the query in Location.
func (h *Handler) confirm(w http.ResponseWriter, r *http.Request, c confirm.Confirmation) {
	s, err := readStep(r, c)
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodPost:
		w.Header().Set("Allow", "GET, HEAD, POST")
		h.message(w, r, http.StatusMethodNotAllowed, "refused")
	case err != nil:
		h.message(w, r, http.StatusNotFound, "dead")
	case r.Method == http.MethodPost:
		// The form is read as if there were no query, which has limits, and perhaps a "nonce", of its own.
		bare := *r
		bare.URL = &url.URL{Path: r.URL.Path}
		h.form(func(w http.ResponseWriter, r *http.Request, f fields) { h.takeStep(w, r, s, f) }).ServeHTTP(w, &bare)
	default:
		h.askStep(w, r, s)
	}
}

func readStep(r *http.Request, c confirm.Confirmation) (step, error) {
	read, err := strict.Query(r, confirmLimits)
	if err != nil {
		return step{}, err
	}
	query, values := make(map[string]string, read.Len()), make(url.Values, read.Len())
	for _, name := range read.Names() {
		query[name] = fields{read}.get(name)
		values.Set(name, query[name])
	}
	return step{c, query, values.Encode()}, nil
}

// askStep shows what a step is for.
func (h *Handler) askStep(w http.ResponseWriter, r *http.Request, s step) {
	info, err := s.Peek(r.Context(), s.query, h.Caller(r))
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	v := question(info)
	v.Nonce = nonce(h.browser(r), formConfirm, s.about)
	leads := strict.CSP{FormAction: append([]string{sourceOf(info.RedirectURI)}, info.Origins...)}
	h.write(w, r, sheet{http.StatusOK, "link.html", v, leads})
}

// takeStep takes a step whose button was pressed.
func (h *Handler) takeStep(w http.ResponseWriter, r *http.Request, s step, f fields) {
	if !nonceMatches(f.get("nonce"), h.browser(r), formConfirm, s.about) {
		h.message(w, r, http.StatusForbidden, "refused")
		return
	}
	to, err := s.Confirm(r.Context(), s.query, h.Caller(r))
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	h.forget(w, r)
	h.redirect(w, to)
}

// sourceOf returns what a content policy calls the place of a redirect URI: its origin, or its scheme if that is of an app.
// Any other URI has none: the scheme of all of the web, or one that runs what it holds, is no place of an application, and
// IPv6 literals cannot be said in a policy (CSP 3, 2.3.1), so that browsers do not get there from a form.
func sourceOf(redirect string) string {
	u, err := url.Parse(redirect)
	switch {
	case err != nil:
		return ""
	case (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" && u.Host[0] != '[':
		return u.Scheme + "://" + u.Host
	case strings.Contains(u.Scheme, "."): // RFC 8252, 7.1
		return u.Scheme + ":"
	}
	return ""
}
