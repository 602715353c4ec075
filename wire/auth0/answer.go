package auth0

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/seed62b93bad/passwordless/internal/strict"
)

// An answer is a whole response. Nothing is written before it is complete, so a panic on the
// way leaves no half of one.
type answer struct {
	status int
	header map[string]string // beside those of every answer
	body   any               // encoded as JSON
	cause  error             // why, if the status is 500 or more
}

func success(body any) answer { return answer{status: http.StatusOK, body: body} }

// endpoint serves one method with serve, and GET for HEAD too. Every answer, of whatever status, leaves here.
func (h *Handler) endpoint(method string, serve func(http.ResponseWriter, *http.Request) answer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var a answer
		if r.Method == method || r.Method == http.MethodHead && method == http.MethodGet {
			a = guard(serve, w, r)
		} else {
			a = wrongMethod.answer()
			a.header = map[string]string{"Allow": method}
		}
		if a.status >= 500 && h.opts.OnError != nil {
			h.opts.OnError(r, a.cause)
		}
		a.write(w, r)
	})
}

// guard makes a panic of serve an answer that tells nothing.
func guard(serve func(http.ResponseWriter, *http.Request) answer, w http.ResponseWriter, r *http.Request) (a answer) {
	defer func() {
		switch v := recover(); v {
		case nil:
		case http.ErrAbortHandler:
			panic(v)
		default:
			a = serverError.answer()
			a.cause = fmt.Errorf("auth0: panic: %v", v)
		}
	}()
	return serve(w, r)
}

func (a answer) write(w http.ResponseWriter, r *http.Request) {
	body, err := json.Marshal(a.body)
	if err != nil { // cannot be: every body is a struct of strings, numbers and truth values
		a.status, body = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
	}
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	if a.status == http.StatusUnauthorized && r.Header.Get("Authorization") != "" {
		w.Header().Set("WWW-Authenticate", `Basic realm="client"`) // RFC 6749, 5.2
	}
	strict.SecureJSON(w.Header())
	w.WriteHeader(a.status)
	_, _ = w.Write(body) // nobody is left to tell
}
