package strict

import (
	"errors"
	"maps"
	"net/http"
)

// Recover serves with next and turns a panic into status 500 with a text that tells nothing. What next had put into the
// header is taken back, cookies first of all. If the answer had begun, the connection is broken instead, so that half
// an answer is not taken for a whole one.
//
// The panic's value goes to onPanic, which may be nil; it can hold anything and does not belong into a log unseen. The
// stack is that of the panic while onPanic runs. http.ErrAbortHandler passes through.
func Recover(next http.Handler, onPanic func(r *http.Request, value any)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		before := w.Header().Clone()
		rec := &recorder{ResponseWriter: w}
		defer func() {
			value := recover()
			if value == nil {
				return
			}
			if err, ok := value.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(value)
			}
			if onPanic != nil {
				onPanic(r, value)
			}
			if rec.begun {
				panic(http.ErrAbortHandler)
			}
			writeInternalError(w, before)
		}()
		next.ServeHTTP(rec, r)
	})
}

func writeInternalError(w http.ResponseWriter, header http.Header) {
	clear(w.Header())
	maps.Copy(w.Header(), header)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	secure(w.Header())
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = w.Write([]byte("Internal Server Error\n")) // nobody is left to tell
}

// A recorder notes whether the answer has begun.
type recorder struct {
	http.ResponseWriter
	begun bool
}

func (r *recorder) WriteHeader(status int) {
	r.begun = r.begun || status >= 200 // an informational status is not the answer
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	r.begun = true
	return r.ResponseWriter.Write(b)
}

// FlushError sends what there is, which begins the answer.
func (r *recorder) FlushError() error {
	r.begun = true
	return http.NewResponseController(r.ResponseWriter).Flush()
}

// Unwrap gives http.ResponseController the rest of the writer's abilities.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
