package page

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/seed62b93bad/passwordless"
)

// formStart labels the nonce of the forms between the address and the login.
const formStart = "start"

// showStart asks for an address.
func (h *Handler) showStart(w http.ResponseWriter, r *http.Request) {
	if h.opts.Home == h.opts.Base && h.cookies.session.get(r) != "" {
		if _, err := h.session(r); err == nil {
			h.askSignOut(w, r)
			return
		}
	}
	q := query(r)
	h.askAddress(w, r, http.StatusOK, View{Channel: h.channel(q.get("channel")), Next: q.get("next")})
}

// askAddress shows the form for an address. Its GET and its POST share the browser cookie, so that a form submitted
// twice at once is one start.
func (h *Handler) askAddress(w http.ResponseWriter, r *http.Request, status int, v View) {
	v.Nonce = nonce(h.ensureBrowser(w, r), formStart)
	v.Next = localOr(v.Next, "")
	v.Channels = h.opts.Channels
	h.show(w, r, status, "start.html", v)
}

// channel returns the offered channel of that name, or the first.
func (h *Handler) channel(name string) passwordless.Channel {
	if slices.Contains(h.opts.Channels, passwordless.Channel(name)) {
		return passwordless.Channel(name)
	}
	return h.opts.Channels[0]
}

// genuine checks the nonce of a form between the address and the login, and answers if it is not right.
func (h *Handler) genuine(w http.ResponseWriter, r *http.Request, f fields) bool {
	browser := h.browser(r)
	if browser != "" && nonceMatches(f.get("nonce"), browser, formStart) {
		return true
	}
	h.message(w, r, http.StatusForbidden, "refused")
	return false
}

// start sends a message and goes on to its code. Addresses that somebody has and that nobody has are answered alike.
func (h *Handler) start(w http.ResponseWriter, r *http.Request, f fields) {
	if !h.genuine(w, r, f) {
		return
	}
	by, err := h.asker(r, h.opts.Client)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	v := View{Channel: h.channel(f.get("channel")), Address: strings.Trim(f.get("address"), " \t\r\n"), Next: f.get("next")}
	started, err := h.svc.Start(r.Context(), by, passwordless.StartRequest{
		Channel: v.Channel, Address: passwordless.Address(v.Address), Send: h.sendMode(v.Channel),
		Languages: r.Header.Get("Accept-Language"), State: localOr(v.Next, "")})
	lost, err := h.handover(r, err)
	var input *passwordless.InputError
	switch {
	case errors.As(err, &input) && input.Field == "Address":
		v.Problem = "address"
		h.askAddress(w, r, http.StatusUnprocessableEntity, v)
	case lost:
		v.Problem = "not sent"
		h.askAddress(w, r, http.StatusServiceUnavailable, v)
	case err == nil:
		h.cookies.flow.set(w, flow{started.Handle, v.Channel, started.Identifier.String()}.encode())
		h.redirect(w, h.opts.Base+"code")
	default:
		h.fail(w, r, err)
	}
}

// handover tells whether the message was surely not handed over, and takes that from err. One that may have been is
// taken for sent: the page after it deals with messages that do not come.
func (h *Handler) handover(r *http.Request, err error) (lost bool, rest error) {
	var delivery *passwordless.DeliveryError
	if !errors.As(err, &delivery) {
		return false, err
	}
	h.report(r, err)
	return !delivery.Accepted, nil
}

func (h *Handler) sendMode(ch passwordless.Channel) passwordless.SendMode {
	if ch == passwordless.SMS {
		return passwordless.SendCode
	}
	return h.opts.Send
}

// showCode asks for the code.
func (h *Handler) showCode(w http.ResponseWriter, r *http.Request) {
	f, ok := h.flow(r)
	if !ok || h.browser(r) == "" {
		h.redirect(w, h.opts.Base)
		return
	}
	q := query(r)
	v := View{Letters: q.get("letters") != ""}
	if at := q.get("resend"); at == "sent" || at == "wait" || at == "failed" {
		v.Notice = at
	}
	h.askCode(w, r, http.StatusOK, f, v)
}

func (h *Handler) askCode(w http.ResponseWriter, r *http.Request, status int, f flow, v View) {
	v.Nonce = nonce(h.browser(r), formStart)
	v.Address, v.Channel = f.address, f.channel
	v.Send = [...]string{"code", "link", "both"}[h.sendMode(f.channel)]
	h.show(w, r, status, "code.html", v)
}

// underway returns the flow that a form of the browser belongs to, and who asks. If it reports false, it has answered.
func (h *Handler) underway(w http.ResponseWriter, r *http.Request, form fields) (flow, passwordless.Requester, bool) {
	if !h.genuine(w, r, form) {
		return flow{}, passwordless.Requester{}, false
	}
	f, ok := h.flow(r)
	if !ok {
		h.redirect(w, h.opts.Base)
		return flow{}, passwordless.Requester{}, false
	}
	by, err := h.asker(r, h.opts.Client)
	if err != nil {
		h.fail(w, r, err)
		return flow{}, passwordless.Requester{}, false
	}
	return f, by, true
}

// enterCode judges a code. Whatever is wrong with it or with its challenge looks alike.
func (h *Handler) enterCode(w http.ResponseWriter, r *http.Request, form fields) {
	f, by, ok := h.underway(w, r, form)
	if !ok {
		return
	}
	l, err := h.svc.Verify(r.Context(), by, passwordless.VerifyRequest{Handle: f.handle,
		Code: passwordless.Secret(form.get("code")), Issue: h.opts.Issue})
	switch {
	case err == nil:
		h.finish(w, r, l)
	case refused(err):
		h.askCode(w, r, http.StatusUnprocessableEntity, f, View{Problem: "code", Letters: form.get("letters") != ""})
	default:
		h.fail(w, r, err)
	}
}

// resend sends the message again and goes back to the code.
func (h *Handler) resend(w http.ResponseWriter, r *http.Request, form fields) {
	f, by, ok := h.underway(w, r, form)
	if !ok {
		return
	}
	_, err := h.svc.Resend(r.Context(), by, f.handle)
	lost, err := h.handover(r, err)
	switch {
	case lost:
		h.redirect(w, h.opts.Base+"code?resend=failed")
	case err == nil:
		h.redirect(w, h.opts.Base+"code?resend=sent")
	case errors.Is(err, passwordless.ErrTooSoon):
		h.redirect(w, h.opts.Base+"code?resend=wait")
	case refused(err):
		h.message(w, r, http.StatusNotFound, "dead")
	default:
		h.fail(w, r, err)
	}
}
