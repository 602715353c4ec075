package auth0_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/page"
	"github.com/seed62b93bad/passwordless/wire/auth0"
)

// fronted is a world behind a trusted proxy, 192.0.2.9, and what it reports of headers that are not believed.
func fronted(t *testing.T) (w *world, reasons func() []string) {
	t.Helper()
	var told []string
	w = newWorld(t, auth0.Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.9/32")}},
		func(c *passwordless.Config) {
			c.Events = func(_ context.Context, e passwordless.Event) {
				if e.Type == passwordless.EventUntrustedForwarding {
					told = append(told, e.Reason)
				}
			}
		})
	return w, func() (all []string) {
		all, told = told, nil
		return all
	}
}

func TestHeadersThatAreNotBelievedAreReported(t *testing.T) { // RL-6, RL-18
	const (
		spa  = `{"client_id":"spa","connection":"email","email":"a@example.com","send":"code"}`
		web  = `{"client_id":"web","client_secret":"web secret+1","connection":"email","email":"a@example.com","send":"code"}`
		api  = `{"client_id":"api","client_secret":"api-secret","connection":"email","email":"a@example.com","send":"code"}`
		open = `{"client_id":"open","connection":"email","email":"a@example.com","send":"code"}`

		peer   = "auth0: X-Forwarded-For of a peer that is no trusted proxy"
		client = "auth0: auth0-forwarded-for of a client that did not prove itself, or without TrustForwarded"
	)
	w, reasons := fronted(t)
	for _, row := range []struct {
		rule, peer, header, body string
		want                     []string
	}{
		{"no header", "203.0.113.1:1", "", spa, nil},
		{"a proxy that nobody named", "203.0.113.1:1", "X-Forwarded-For", spa, []string{peer}},
		{"another header of its", "203.0.113.1:1", "Forwarded", spa, []string{"auth0: Forwarded of a peer that is no trusted proxy"}},
		{"a proxy that is trusted", "192.0.2.9:1", "X-Forwarded-For", spa, nil},
		{"a public client", "203.0.113.1:1", "Auth0-Forwarded-For", spa, []string{client}},
		{"a client without TrustForwarded", "203.0.113.1:1", "Auth0-Forwarded-For", api, []string{client}},
		{"a client that proved nothing", "203.0.113.1:1", "Auth0-Forwarded-For", open, []string{client}},
		{"a client that may name the address", "203.0.113.1:1", "Auth0-Forwarded-For", web, nil},
	} {
		for i, want := range [][]string{row.want, nil} { // once an hour
			r := httptest.NewRequest(http.MethodPost, "/passwordless/start", strings.NewReader(row.body))
			r.RemoteAddr = row.peer
			r.Header.Set("Content-Type", "application/json")
			if row.header != "" {
				r.Header.Set(row.header, "198.51.100.77")
			}
			rec := httptest.NewRecorder()
			w.handler.ServeHTTP(rec, r)
			if got := reasons(); rec.Code != http.StatusOK || !slices.Equal(got, want) {
				t.Errorf("%s, request %d: status %d, told %q, want %q", row.rule, i, rec.Code, got, want)
			}
		}
		w.clock.Advance(time.Hour)
	}
}

func TestThePolicyTellsWhomTheHandlersBelieve(t *testing.T) { // RL-6, OP-2
	w, _ := fronted(t)
	want := []string{"page: trusts no proxy; behind one all people share the limits of one network",
		"auth0: trusts X-Forwarded-For of 192.0.2.9/32"}
	if got := w.svc.Policy().Fronts; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	everybody := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
	_, wrongPages := page.New(w.svc, page.Options{Client: "spa", AppName: "Example", TrustedProxies: everybody})
	_, wrong := auth0.New(w.svc, auth0.Options{TrustedProxies: everybody})
	if got := w.svc.Policy().Fronts; wrongPages == nil || wrong == nil || !slices.Equal(got, want) {
		t.Errorf("handlers that were refused are reported: %q", got)
	}
}
