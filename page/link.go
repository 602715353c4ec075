package page

import (
	"context"
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
	h.askLink(w, r, h.peekOwn, "link.html", formLink)
}

// showCancel asks whether to end a sign-in that somebody else began, with whatever client.
func (h *Handler) showCancel(w http.ResponseWriter, r *http.Request) {
	h.askLink(w, r, h.svc.PeekLink, "cancel.html", formCancel)
}

// A peekFunc tells what a link is for, as Service.PeekLink does.
type peekFunc func(context.Context, passwordless.Secret, passwordless.Caller) (passwordless.LinkInfo, error)

// askLink shows what a link is for.
func (h *Handler) askLink(w http.ResponseWriter, r *http.Request, peek peekFunc, file, form string) {
	t := query(r).get("t")
	info, err := peek(r.Context(), passwordless.Secret(t), h.Caller(r))
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
	return View{App: info.AppName, Address: info.Address, SameBrowser: info.SameBrowser}
}

// peekOwn is PeekLink for links that lead here: one of another client, or one that leads elsewhere, is as unknown as
// one that never was.
func (h *Handler) peekOwn(ctx context.Context, t passwordless.Secret, caller passwordless.Caller) (passwordless.LinkInfo, error) {
	info, err := h.svc.PeekLink(ctx, t, caller)
	if err == nil && (info.Client != h.opts.Client || info.LinkURL != "") {
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
		Client: h.opts.Client, Token: passwordless.Secret(t), Caller: h.Caller(r), Grant: h.opts.Grant})
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
	if err := h.svc.Cancel(r.Context(), passwordless.Secret(t), h.Caller(r)); err != nil {
		h.refuse(w, r, err)
		return
	}
	h.redirect(w, h.opts.Base+"cancelled")
}

// refuse answers the error of a link or of a step.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var back *passwordless.ReturnError
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
