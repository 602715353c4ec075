package auth0

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/internal/strict"
)

// An answer is a whole response. Nothing is written before it is complete, so a panic on the way leaves no half of one.
type answer struct {
	status int
	header map[string]string // beside those of every answer
	body   any               // encoded as JSON
	cause  error             // why, if the status is 500 or more
}

func success(body any) answer { return answer{status: http.StatusOK, body: body} }

// limited adds what is left of a limit, in whole numbers: SDKs parse all three. A limit that was not charged is not told.
func (a answer) limited(rate passwordless.RateLimit) answer {
	if rate.Limit == 0 {
		return a
	}
	if a.header == nil {
		a.header = map[string]string{}
	}
	a.header["X-RateLimit-Limit"] = strconv.FormatInt(rate.Limit, 10)
	a.header["X-RateLimit-Remaining"] = strconv.FormatInt(rate.Remaining, 10)
	a.header["X-RateLimit-Reset"] = strconv.FormatInt(rate.Reset.Add(time.Second-1).Unix(), 10)
	return a
}

// serving makes the answer to a request.
type serving func(http.ResponseWriter, *http.Request) answer

// only serves one method, and GET for HEAD too.
func only(method string, serve serving) serving {
	return func(w http.ResponseWriter, r *http.Request) answer {
		if r.Method == method || r.Method == http.MethodHead && method == http.MethodGet {
			return serve(w, r)
		}
		a := wrongMethod.answer()
		a.header = map[string]string{"Allow": method}
		return a
	}
}

// endpoint makes a handler. Every answer, of whatever status, leaves here.
func (h *Handler) endpoint(serve serving) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := guard(serve, w, r)
		if a.status >= 500 && a.status != http.StatusNotImplemented && h.opts.OnError != nil {
			h.opts.OnError(r, a.cause)
		}
		a.write(w, r)
	})
}

// guard makes a panic of serve an answer that tells nothing.
func guard(serve serving, w http.ResponseWriter, r *http.Request) (a answer) {
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
	if a.status == http.StatusNoContent {
		w.WriteHeader(a.status)
		return
	}
	if p, ok := a.body.(*problem); ok && p.ofClient() && r.Header.Get("Authorization") != "" {
		w.Header().Set("WWW-Authenticate", `Basic realm="client"`) // RFC 6749, 5.2
	}
	strict.SecureJSON(w.Header())
	w.WriteHeader(a.status)
	_, _ = w.Write(body) // nobody is left to tell
}
