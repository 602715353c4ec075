package auth0_test

import (
	"log"
	"net/http"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/page"
	"github.com/seed62b93bad/passwordless/wire/auth0"
)

// Serve Auth0's clients beside the application's own pages, which links lead to.
func Example() {
	// From passwordless.New, with an RS256 key among SigningKeys and clients whose Tokens.Algorithm is RS256.
	var svc *passwordless.Service
	pages, err := page.New(svc, page.Options{Client: "web"})
	if err != nil {
		log.Print("there are no pages: ", err)
		return
	}
	h, err := auth0.New(svc, auth0.Options{Pages: pages})
	if err != nil {
		log.Print("auth0 is not served: ", err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/", pages)
	mux.Handle("/passwordless/", h)
	mux.Handle("/oauth/", h)
	mux.Handle("/.well-known/", h)
}
