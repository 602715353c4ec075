package page

import (
	"errors"
	"net/http"

	"github.com/seed62b93bad/passwordless"
)

// The labels of the nonces of a link's forms, beside the link's token. A browser that did
// not ask for the link has no cookie to bind them to. It needs none: all that such a form
// can do, the token alone allows, and it is no session.
const (
	formLink   = "link"
	formCancel = "cancel"
)

// showLink asks whether to sign in. Mail scanners come here: it changes nothing.
func (h *Handler) showLink(w http.ResponseWriter, r *http.Request) {
	h.confirm(w, r, "link.html", formLink)
}

// showCancel asks whether to end a sign-in that somebody else began.
func (h *Handler) showCancel(w http.ResponseWriter, r *http.Request) {
	h.confirm(w, r, "cancel.html", formCancel)
}

// confirm shows what a link is for.
func (h *Handler) confirm(w http.ResponseWriter, r *http.Request, file, form string) {
	t := query(r).get("t")
	info, err := h.peek(r, t)
	switch {
	case err == nil:
		h.show(w, r, http.StatusOK, file, View{App: info.AppName, Address: info.Address, Token: t,
			SameBrowser: info.SameBrowser, Nonce: nonce(h.browser(r), form, t)})
	case refused(err):
		h.message(w, r, http.StatusNotFound, "dead")
	default:
		h.fail(w, r, err)
	}
}

// peek tells what a link is for. One of another client is here as unknown as one that never was.
func (h *Handler) peek(r *http.Request, token string) (passwordless.LinkInfo, error) {
	info, err := h.svc.PeekLink(r.Context(), passwordless.Secret(token), h.caller(r))
	if err == nil && info.Client != h.opts.Client {
		return passwordless.LinkInfo{}, &passwordless.ChallengeError{Reason: passwordless.ErrUnknownChallenge}
	}
	return info, err
}

// redeem signs in where the link was asked for, and elsewhere shows the code to type there.
func (h *Handler) redeem(w http.ResponseWriter, r *http.Request, f fields) {
	t := f.get("t")
	if !nonceMatches(f.get("nonce"), h.browser(r), formLink, t) {
		h.message(w, r, http.StatusForbidden, "refused")
		return
	}
	l, err := h.svc.RedeemLink(r.Context(), passwordless.RedeemRequest{
		Client: h.opts.Client, Token: passwordless.Secret(t), Caller: h.caller(r), Grant: h.opts.Grant})
	var other *passwordless.OtherBrowserError
	switch {
	case err == nil:
		h.finish(w, r, l)
	case errors.As(err, &other):
		h.show(w, r, http.StatusOK, "elsewhere.html", View{App: other.AppName, Code: halves(other.Code.Reveal())})
	case refused(err):
		h.message(w, r, http.StatusNotFound, "dead")
	default:
		h.fail(w, r, err)
	}
}

// halves puts a space into the middle of a code. Whoever reads codes forgives it.
func halves(code string) string {
	half := (len(code) + 1) / 2
	return code[:half] + " " + code[half:]
}

// cancel ends a sign-in that somebody else began.
func (h *Handler) cancel(w http.ResponseWriter, r *http.Request, f fields) {
	t := f.get("t")
	if !nonceMatches(f.get("nonce"), h.browser(r), formCancel, t) {
		h.message(w, r, http.StatusForbidden, "refused")
		return
	}
	_, err := h.peek(r, t)
	if err == nil {
		err = h.svc.Cancel(r.Context(), passwordless.Secret(t), h.caller(r))
	}
	switch {
	case err == nil:
		h.redirect(w, h.opts.Base+"cancelled")
	case refused(err):
		h.message(w, r, http.StatusNotFound, "dead")
	default:
		h.fail(w, r, err)
	}
}
