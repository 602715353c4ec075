package auth0

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/seed62b93bad/passwordless"
)

// Browsers let scripts of another origin call, and read the answers, only where these headers say so (Fetch, "CORS
// protocol"). Answers to origins that no client has registered carry none.
const (
	allowHeaders  = "Auth0-Client, Authorization, Content-Type, X-Request-Language"
	exposeHeaders = "Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset"
	preflightLife = "600" // seconds
)

// foreign returns the origin of a request that a script of another origin makes; "" for all others. Programs that are
// no browsers send none.
func (h *Handler) foreign(r *http.Request) string {
	origin := r.Header.Get("Origin")
	if origin == h.origin {
		return ""
	}
	return origin
}

// cross serves requests of other origins: the browser's question before one, and the refusal of those that no client
// has registered, which is told before anything is read. So errors can be read wherever answers can.
func (h *Handler) cross(method string, serve serving) serving {
	return func(w http.ResponseWriter, r *http.Request) answer {
		w.Header().Add("Vary", "Origin")
		if origin := h.foreign(r); origin != "" {
			known, err := h.svc.HasOrigin(r.Context(), origin)
			switch {
			case err != nil:
				return unavailable.because(err)
			case !known:
				return badOrigin.answer()
			}
			w.Header().Set("Access-Control-Allow-Origin", origin)
			w.Header().Set("Access-Control-Expose-Headers", exposeHeaders)
		}
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			return preflight(method)
		}
		return serve(w, r)
	}
}

// public lets scripts of every origin read what everybody may know.
func public(serve serving) serving {
	return func(w http.ResponseWriter, r *http.Request) answer {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			return preflight(http.MethodGet)
		}
		return serve(w, r)
	}
}

// credentialed lets scripts that call with credentials, as auth0.js calls /co/authenticate, read that what they call is
// not there.
func credentialed(serve serving) serving {
	return func(w http.ResponseWriter, r *http.Request) answer {
		a := serve(w, r)
		if w.Header().Get("Access-Control-Allow-Origin") != "" {
			w.Header().Set("Access-Control-Allow-Credentials", "true")
		}
		return a
	}
}

func preflight(method string) answer {
	return answer{status: http.StatusNoContent, header: map[string]string{
		"Access-Control-Allow-Methods": method,
		"Access-Control-Allow-Headers": allowHeaders,
		"Access-Control-Max-Age":       preflightLife,
	}}
}

// checkOrigin refuses a call that a script of an origin makes for a client that has not registered it.
func (h *Handler) checkOrigin(r *http.Request, client passwordless.Client) error {
	if origin := h.foreign(r); origin != "" && !slices.Contains(client.Browser.Origins, origin) {
		return badOrigin
	}
	return nil
}

// originOf is the web origin of the issuer.
func originOf(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil { // the Service has parsed it
		return ""
	}
	return u.Scheme + "://" + u.Host
}
