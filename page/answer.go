package page

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/internal/strict"
)

// refused reports whether err means that a proof or its account is not accepted. Outside, these are one answer.
func refused(err error) bool {
	var challenge *passwordless.ChallengeError
	var account *passwordless.AccountError
	return errors.As(err, &challenge) || errors.As(err, &account) || errors.Is(err, passwordless.ErrNoUser)
}

// fail answers an error that is not the person's: a limit, or the service's own trouble.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	var limited *passwordless.LimitedError
	if errors.As(err, &limited) {
		minutes := coarse(limited.RetryAfter)
		w.Header().Set("Retry-After", strconv.Itoa(minutes*60))
		h.show(w, r, http.StatusTooManyRequests, "message.html", View{Message: "limited", Minutes: minutes})
		return
	}
	var input *passwordless.InputError
	if errors.As(err, &input) || errors.Is(err, passwordless.ErrUnknownClient) {
		h.internal(w, r, err)
		return
	}
	h.report(r, err)
	h.message(w, r, http.StatusServiceUnavailable, "unavailable")
}

// internal answers a mistake in how the pages were set up.
func (h *Handler) internal(w http.ResponseWriter, r *http.Request, err error) {
	h.report(r, err)
	h.message(w, r, http.StatusInternalServerError, "unavailable")
}

// coarse rounds a wait up to minutes of which there are few, so that it tells little about what others did.
func coarse(wait time.Duration) int {
	for _, minutes := range []int{2, 5, 15, 30, 60, 120, 360} {
		if wait <= time.Duration(minutes)*time.Minute {
			return minutes
		}
	}
	return 24 * 60
}

func (h *Handler) report(r *http.Request, err error) {
	if h.opts.OnError != nil {
		h.opts.OnError(r, err)
	}
}

func (h *Handler) panicked(r *http.Request, value any) {
	h.report(r, fmt.Errorf("page: panic: %v", value))
}

// message shows a page that says one thing.
func (h *Handler) message(w http.ResponseWriter, r *http.Request, status int, message string) {
	h.show(w, r, status, "message.html", View{Message: message})
}

func (h *Handler) showMessage(status int, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { h.message(w, r, status, message) }
}

// A sheet is a page before it is written.
type sheet struct {
	status int
	file   string // its template
	view   View
	csp    strict.CSP
}

// show writes a page whose forms lead to the pages' own.
func (h *Handler) show(w http.ResponseWriter, r *http.Request, status int, file string, v View) {
	h.write(w, r, sheet{status, file, v, h.csp})
}

// write writes a page as a whole or not at all.
func (h *Handler) write(w http.ResponseWriter, r *http.Request, s sheet) {
	s.view.Base, s.view.Style = h.opts.Base, h.opts.Base+h.views.styleName
	s.view.App = orDefault(s.view.App, h.opts.AppName)
	var page bytes.Buffer
	lang, err := h.views.write(&page, r.Header.Get("Accept-Language"), s.file, s.view)
	if err != nil {
		h.report(r, err)
		noStore(w.Header())
		http.Error(w, "Internal Server Error", http.StatusInternalServerError)
		return
	}
	strict.SecureHTML(w.Header(), s.csp)
	w.Header().Set("Content-Language", lang)
	w.WriteHeader(s.status)
	_, _ = w.Write(page.Bytes()) // nobody is left to tell
}

// redirect answers with status 303, so that the next request is a GET without what this one brought.
func (h *Handler) redirect(w http.ResponseWriter, to string) {
	noStore(w.Header())
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

func noStore(header http.Header) {
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
}
