package page

import (
	"errors"
	"net/http"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/confirm"
)

// The labels of the nonces of a link's forms, beside the link's token. A browser that did not ask for the link has no
// cookie to bind them to. It needs none: all that such a form can do, the token alone allows, and it is no session.
const (
	formLink   = "link"
	formCancel = "cancel"
)

// showLink asks whether to sign in. Mail scanners come here: it changes nothing.
func (h *Handler) showLink(w http.ResponseWriter, r *http.Request) {
	h.askLink(w, r, h.peekOwn, "link.html", formLink)
}

// showCancel asks whether to end a sign-in that somebody else began, with whatever client.
func (h *Handler) showCancel(w http.ResponseWriter, r *http.Request) {
	h.askLink(w, r, h.peekAny, "cancel.html", formCancel)
}

// A peekFunc tells what the link with a token is for.
type peekFunc func(*http.Request, passwordless.Secret) (passwordless.LinkInfo, error)

// askLink shows what a link is for.
func (h *Handler) askLink(w http.ResponseWriter, r *http.Request, peek peekFunc, file, form string) {
	t := query(r).get("t")
	info, err := peek(r, passwordless.Secret(t))
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	v := question(info)
	v.Token, v.Nonce = t, nonce(h.browser(r), form, t)
	h.show(w, r, http.StatusOK, file, v)
}

// question is what a page asks about a link or a step.
func question(info passwordless.LinkInfo) View {
	return View{App: info.AppName, Address: info.Identifier.String(), SameBrowser: info.SameBrowser}
}

// peekAny is a peekFunc for links of whatever client.
func (h *Handler) peekAny(r *http.Request, t passwordless.Secret) (passwordless.LinkInfo, error) {
	by, err := h.asker(r, "")
	if err != nil {
		return passwordless.LinkInfo{}, err
	}
	return h.svc.PeekLink(r.Context(), by, t)
}

// peekOwn is a peekFunc for links that lead here: one of another client, or one that leads elsewhere, is as unknown as
// one that never was.
func (h *Handler) peekOwn(r *http.Request, t passwordless.Secret) (passwordless.LinkInfo, error) {
	info, err := h.peekAny(r, t)
	if err == nil && (info.Client != h.opts.Client || info.LinkURL != "") {
		return passwordless.LinkInfo{}, errUnknown
	}
	return info, err
}

// errUnknown is the error of a link that never was.
var errUnknown = &passwordless.ChallengeError{Reason: passwordless.ErrUnknownChallenge}

// redeem signs in where the link was asked for, and elsewhere shows the code to type there.
func (h *Handler) redeem(w http.ResponseWriter, r *http.Request, f fields) {
	t := f.get("t")
	if !nonceMatches(f.get("nonce"), h.browser(r), formLink, t) {
		h.message(w, r, http.StatusForbidden, "refused")
		return
	}
	by, err := h.asker(r, h.opts.Client)
	if errors.Is(err, passwordless.ErrUnknownClient) { // the links of a client that is gone lead nowhere
		err = errUnknown
	}
	var l passwordless.Login
	if err == nil {
		l, err = h.svc.RedeemLink(r.Context(), by, passwordless.RedeemRequest{Token: passwordless.Secret(t), Issue: h.opts.Issue})
	}
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	h.finish(w, r, l)
}

// cancel ends a sign-in that somebody else began, with whatever client: it signs nobody in.
func (h *Handler) cancel(w http.ResponseWriter, r *http.Request, f fields) {
	t := f.get("t")
	if !nonceMatches(f.get("nonce"), h.browser(r), formCancel, t) {
		h.message(w, r, http.StatusForbidden, "refused")
		return
	}
	by, err := h.asker(r, "")
	if err == nil {
		err = h.svc.Cancel(r.Context(), by, passwordless.Secret(t))
	}
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	h.redirect(w, h.opts.Base+"cancelled")
}

// refuse answers the error of a link or of a step.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var back *confirm.ReturnError
	var other *passwordless.OtherBrowserError
	switch {
	case errors.As(err, &back):
		h.redirect(w, back.Location)
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
