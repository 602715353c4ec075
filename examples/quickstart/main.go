// Quickstart is the least that signs people in: pages in memory, codes on the console, and a page
// of one's own that asks for a sign-in.
//
//	go run ./examples/quickstart
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/page"
	"github.com/seed62b93bad/passwordless/sender/consolesender"
	"github.com/seed62b93bad/passwordless/store/memstore"
)

func main() {
	svc, err := passwordless.New(passwordless.Config{
		Issuer: "http://127.0.0.1:8080/", AppName: "Quickstart",
		Store: memstore.New(), Sender: consolesender.New(os.Stdout),
		Hasher:  passwordless.NewKeyring(passwordless.RandomKey(), passwordless.RingKey{ID: "1", Secret: passwordless.RandomKey()}),
		Clients: passwordless.ClientList{{ID: "web", Public: true}},
	})
	if err != nil {
		log.Fatal(err)
	}
	pages, err := page.New(svc, page.Options{Client: "web", Home: "/account", InsecureCookies: true})
	if err != nil {
		log.Fatal(err)
	}
	account := func(w http.ResponseWriter, r *http.Request) {
		session, _ := page.SessionFrom(r.Context())
		fmt.Fprintln(w, "Hello,", session.UserID)
	}
	http.Handle("/", pages)
	http.Handle("/account", pages.RequireLogin(http.HandlerFunc(account)))
	server := &http.Server{Addr: "127.0.0.1:8080", ReadHeaderTimeout: 5 * time.Second}
	fmt.Println("open http://127.0.0.1:8080/account")
	log.Fatal(server.ListenAndServe())
}
