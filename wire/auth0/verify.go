package auth0

import (
	"net/http"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/internal/strict"
)

// A verifyForm is the body of a check, as auth0.js posts it. The older form of the endpoint, with grant_type
// "password", is not served.
type verifyForm struct {
	credentials
	recipient
	code      string
	grantType string
}

// serveVerify tells whether a code is right, before the browser goes to verify_redirect with it.
func (h *Handler) serveVerify(w http.ResponseWriter, r *http.Request) answer {
	form, err := h.verify(w, r)
	if err != nil {
		return verifyTable.answer(err, form.connection == "sms")
	}
	return success(struct{}{})
}

func (h *Handler) verify(w http.ResponseWriter, r *http.Request) (form verifyForm, err error) {
	f, err := strict.ReadJSON(w, r, strict.Limits{})
	if err != nil {
		return form, err
	}
	d := f.Decode()
	form = verifyForm{credentials: readCredentials(d), recipient: readRecipient(d),
		code: d.String("verification_code"), grantType: d.String("grant_type")}
	if err := d.Err(); err != nil {
		return form, typeProblem(f, err)
	}
	by, err := h.authenticate(r, form.credentials)
	if err != nil {
		return form, err
	}
	return form, h.check(r, by, form)
}

func (h *Handler) check(r *http.Request, by passwordless.Requester, form verifyForm) error {
	switch {
	case form.grantType != "":
		return noPasswords
	case !by.Client().FirstParty:
		return grantRefused
	}
	channel, address, err := form.identifier()
	if err != nil {
		return err
	}
	if form.code == "" {
		return missingProperty("verification_code")
	}
	return h.svc.CheckCode(r.Context(), by, passwordless.VerifyRequest{
		Channel: channel, Address: address, Code: passwordless.Secret(form.code)})
}
