package main

import (
	"cmp"
	"net/http"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/page"
)

// An account is the page of whoever is signed in, behind RequireLogin.
type account struct {
	svc    *passwordless.Service
	pages  *page.Handler
	failed func(*http.Request, error)
}

var accountPage = newPage(`{{define "title"}}Your account{{end}}
{{define "body"}}<p>Signed in as <b>{{.Address}}</b>{{with .Name}} ({{.}}){{end}}.</p>
<form method="post" action="/sign-out"><input type="hidden" name="nonce" value="{{.Nonce}}"><button>Sign out</button></form>
<h2>Where you are signed in</h2>
<table>
<tr><th scope="col">Application</th><th scope="col">Since</th><th scope="col">Last used</th><th scope="col">Until</th></tr>
{{range .Sessions}}<tr><td>{{.Client}}{{if eq .ID $.This}} (here){{end}}</td><td>{{.At.Format "2006-01-02 15:04"}}</td>
<td>{{.Used.Format "2006-01-02 15:04"}}</td><td>{{.Expires.Format "2006-01-02 15:04"}}</td></tr>
{{end}}</table>
<p>Times are in UTC{{if .More}}; there are more than are shown{{end}}.</p>
{{end}}`)

func (a account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	session, _ := page.SessionFrom(r.Context())
	user, err := a.svc.Directory().Get(r.Context(), session.Tenant, session.UserID)
	var sessions []passwordless.Session
	var more string
	if err == nil {
		sessions, more, err = a.svc.Sessions(r.Context(), session.Tenant, session.UserID, 100, "")
	}
	if err != nil {
		a.failed(r, err)
		http.Error(w, "Service Unavailable", http.StatusServiceUnavailable)
		return
	}
	err = show(w, accountPage, struct {
		Address  string // in full: it is shown to its owner
		Name     string
		Sessions []passwordless.Session
		This     string
		Nonce    string
		More     bool
	}{string(cmp.Or(user.Email, user.Phone)), user.Name, sessions, session.ID, a.pages.Nonce(r), more != ""})
	if err != nil {
		a.failed(r, err)
	}
}
