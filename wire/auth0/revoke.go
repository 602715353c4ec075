package auth0

import (
	"net/http"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/internal/strict"
)

// serveRevoke ends a refresh token (RFC 7009). Access tokens live to their end, and a token that is none, or is another
// client's, is answered like one that was ended.
func (h *Handler) serveRevoke(w http.ResponseWriter, r *http.Request) answer {
	if err := h.revoke(w, r); err != nil {
		return tokenTable.answer(err, false)
	}
	return success(struct{}{})
}

func (h *Handler) revoke(w http.ResponseWriter, r *http.Request) error {
	f, err := strict.Read(w, r, strict.Limits{})
	if err != nil {
		return err
	}
	d := f.Decode()
	presented, token := readCredentials(d), d.String("token")
	if err := d.Err(); err != nil {
		return err
	}
	by, err := h.authenticate(r, presented)
	if err != nil {
		return err
	}
	if err := missing("token", token); err != nil {
		return err
	}
	return h.svc.Revoke(r.Context(), by, passwordless.Secret(token))
}
