package page

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/seed62b93bad/passwordless"
)

// finish ends what the pages kept for the sign-in and hands the login on. Nothing that the browser held before the
// login means anything after it.
func (h *Handler) finish(w http.ResponseWriter, r *http.Request, l passwordless.Login) {
	h.forget(w, r)
	h.KeepDevice(w, l.Device)
	h.opts.OnLogin(w, r, l)
}

// forget clears what the pages kept for a sign-in.
func (h *Handler) forget(w http.ResponseWriter, r *http.Request) {
	h.cookies.flow.drop(w, r)
	h.cookies.browser.drop(w, r)
}

// SignIn keeps the session of a login in our own cookie, ends the one that was there, and goes to Next. It is what a
// nil OnLogin does; an OnLogin may call it if Issue asks for a Session.
func (h *Handler) SignIn(w http.ResponseWriter, r *http.Request, l passwordless.Login) {
	if l.Session == nil {
		h.internal(w, r, errors.New("page: SignIn needs a login with a session: set Options.Issue.Session"))
		return
	}
	if err := h.revoke(r); err != nil {
		h.report(r, err) // the new session stands without it
	}
	h.cookies.session.set(w, l.Session.Token.Reveal())
	h.redirect(w, h.Next(l))
}

// session returns the living session of our own cookie. Errors: ErrInvalidToken, and what the store returns.
func (h *Handler) session(r *http.Request) (passwordless.Session, error) {
	s, err := h.svc.Session(r.Context(), passwordless.Secret(h.cookies.session.get(r)))
	if err == nil && s.Client != h.opts.Client {
		return passwordless.Session{}, passwordless.ErrInvalidToken
	}
	return s, err
}

// revoke ends the session of our own cookie. What else is in that cookie, such as a session of another client, was not
// granted here and is not ended here.
func (h *Handler) revoke(r *http.Request) error {
	_, err := h.session(r)
	if errors.Is(err, passwordless.ErrInvalidToken) {
		return nil
	}
	if err != nil {
		return err
	}
	by, err := h.asker(r, "") // session has found it to be our client's
	if err != nil {
		return err
	}
	return h.svc.Revoke(r.Context(), by, passwordless.Secret(h.cookies.session.get(r)))
}

type sessionKey struct{}

// SessionFrom returns the session that RequireLogin found.
func SessionFrom(ctx context.Context) (passwordless.Session, bool) {
	s, ok := ctx.Value(sessionKey{}).(passwordless.Session)
	return s, ok
}

// RequireLogin lets a request through only with a living session of our own cookie; see SessionFrom. Without one, GET
// and HEAD are sent to sign in and come back, and anything else gets status 401. A store that fails is status 503. If
// Options.OnLogin keeps sessions of the application's own, so must its middleware.
//
// A method other than GET, HEAD and OPTIONS is refused with status 403 if the request comes from another origin, by
// Sec-Fetch-Site or else by Origin; "Origin: null" counts as another one. A request with neither header is let through:
// it is of no browser of today. GET, HEAD and OPTIONS are not checked, so next must change nothing for them.
func (h *Handler) RequireLogin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.origins.Check(r) != nil { // not ownOrigin: no nonce follows
			h.message(w, r, http.StatusForbidden, "refused")
			return
		}
		s, err := h.session(r)
		switch {
		case err == nil:
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), sessionKey{}, s)))
		case !errors.Is(err, passwordless.ErrInvalidToken):
			h.fail(w, r, err)
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			h.redirect(w, h.signInFor(r))
		default:
			h.message(w, r, http.StatusUnauthorized, "unauthorized")
		}
	})
}

// signInFor returns the page that asks for an address, and then goes back to where r was going. It takes the path as it
// came, before any router stripped a prefix.
func (h *Handler) signInFor(r *http.Request) string {
	if !isLocal(r.RequestURI) {
		return h.opts.Base
	}
	return h.opts.Base + "?" + url.Values{"next": {r.RequestURI}}.Encode()
}

// formSignOut labels the nonce of a form that signs out; its key is the session cookie.
const formSignOut = "sign-out"

// Nonce returns the value of the field "nonce" of an application's own form that signs out by POST to Base+"sign-out".
// It is bound to the session cookie of r.
func (h *Handler) Nonce(r *http.Request) string {
	return nonce(h.cookies.session.get(r), formSignOut)
}

// showSignOut asks whether to sign out.
func (h *Handler) showSignOut(w http.ResponseWriter, r *http.Request) {
	_, err := h.session(r)
	switch {
	case err == nil:
		h.askSignOut(w, r)
	case errors.Is(err, passwordless.ErrInvalidToken):
		h.redirect(w, h.opts.Base+"signed-out")
	default:
		h.fail(w, r, err)
	}
}

func (h *Handler) askSignOut(w http.ResponseWriter, r *http.Request) {
	v := View{Nonce: h.Nonce(r)}
	if h.opts.Home != h.opts.Base {
		v.Home = h.opts.Home
	}
	h.show(w, r, http.StatusOK, "sign-out.html", v)
}

// SignOut revokes the session of our own cookie and removes the cookie. It takes POST only, with the field "nonce" from
// Nonce, and is served at Base+"sign-out" already. If the session cannot be revoked the cookie stays, so that the
// person can sign out again.
func (h *Handler) SignOut(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		h.message(w, r, http.StatusMethodNotAllowed, "refused")
		return
	}
	h.form(h.signOut).ServeHTTP(w, r)
}

func (h *Handler) signOut(w http.ResponseWriter, r *http.Request, f fields) {
	token := h.cookies.session.get(r)
	if token != "" {
		if !nonceMatches(f.get("nonce"), token, formSignOut) {
			h.message(w, r, http.StatusForbidden, "refused")
			return
		}
		if err := h.revoke(r); err != nil {
			h.fail(w, r, err)
			return
		}
	}
	h.cookies.session.drop(w, r)
	h.redirect(w, h.opts.Base+"signed-out")
}
