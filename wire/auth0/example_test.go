package auth0_test

import (
	"log"
	"net/http"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/wire/auth0"
)

// Serve Auth0's clients beside the application's own pages.
func Example() {
	// From passwordless.New, with an RS256 key among SigningKeys and a client whose Algorithm is RS256.
	var svc *passwordless.Service
	h, err := auth0.New(svc, auth0.Options{})
	if err != nil {
		log.Print("auth0 is not served: ", err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/passwordless/start", h)
	mux.Handle("/oauth/token", h)
	mux.Handle("/.well-known/", h)
}
