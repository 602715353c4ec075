package page_test

import (
	"log"
	"net/http"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/confirm"
	"github.com/seed62b93bad/passwordless/page"
)

// Pages at /auth/, where Config.PageURL points to, and an account page behind them.
func ExampleNew() {
	var svc *passwordless.Service // from passwordless.New
	pages, err := page.New(svc, page.Options{Client: "web", Home: "/account"})
	if err != nil {
		log.Fatal(err)
	}
	account := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session, _ := page.SessionFrom(r.Context())
		_, _ = w.Write([]byte("You are " + session.UserID))
	})
	mux := http.NewServeMux()
	mux.Handle("/auth/", pages)
	mux.Handle("/account", pages.RequireLogin(account))
}

// A wire's links lead to a path of its own, on the pages' host.
func ExampleHandler_Confirm() {
	var finish confirm.Confirmation // of the wire
	var pages *page.Handler         // from page.New
	mux := http.NewServeMux()
	mux.Handle("/auth/", pages)
	mux.Handle("/passwordless/verify_redirect", pages.Confirm(finish))
}

// An application with sessions of its own takes the login and goes on from there.
func ExampleOptions_onLogin() {
	var svc *passwordless.Service // from passwordless.New
	var pages *page.Handler
	pages, err := page.New(svc, page.Options{
		Client: "web", Home: "/account",
		OnLogin: func(w http.ResponseWriter, r *http.Request, l passwordless.Login) {
			// Renew the application's session here, for l.User.ID.
			http.Redirect(w, r, pages.Next(l), http.StatusSeeOther)
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/auth/", pages)
}
