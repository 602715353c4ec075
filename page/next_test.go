package page_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/page"
)

// Where a sign-in ends is a path of our own origin, whatever it is told.
func TestHostileNextEndsAtHome(t *testing.T) {
	t.Parallel()
	evil := []string{
		"https://evil.example/", "http://evil.example", "HTTPS://EVIL.EXAMPLE", "//evil.example", "///evil.example",
		"////evil.example",
		"/\\evil.example", "\\/evil.example", "\\\\evil.example", "/\\/evil.example", "\\evil.example", "/a\\..\\..\\evil.example",
		"https:evil.example", "https:/evil.example", "https:///evil.example", "javascript:alert(1)", "JaVaScRiPt:alert(1)",
		"data:text/html,x",
		"vbscript:x", "mailto:a@evil.example", "evil.example", "./account", "../account", "account", "?a=b", "#x", "/account#x",
		"/\t/evil.example", "/\n/evil.example", "/\r\nSet-Cookie: a=b", "\t//evil.example", " //evil.example", "/ /evil.example",
		"\x00//evil.example",
		"/%2f/evil.example", "/%2F%2Fevil.example", "/%5cevil.example", "/%5C/evil.example", "/%252f%252fevil.example",
		"/%09/evil.example", "/%0d%0aX: y", "/%00",
		"/./account", "/../account", "/a/../../evil.example", "/%2e%2e//evil.example", "/a/%2E%2E/b", "/a//evil.example",
		"//user@evil.example", "//evil.example:443/x",
		"/@evil.example//", "/／／evil.example", "/\u2028/evil.example", "//[::1]/", "/[\\evil", "/%zz",
		"/" + strings.Repeat("a", 2000), "*",
	}
	if len(evil) < 40 {
		t.Fatal("fewer than 40 rows")
	}
	w := newWorld(t, nil, nil)
	b := w.browser()
	for _, next := range evil {
		a := b.get("/auth/?next="+url.QueryEscape(next)).wants(t, http.StatusOK)
		if got := a.form(t, "/auth/", nil).Get("next"); got != "" {
			t.Errorf("%q: the form has %q", next, got)
		}
		if got := w.pages.Next(passwordless.Login{State: next}); got != "/home" {
			t.Errorf("%q: Next is %q", next, got)
		}
	}
	form := b.get("/auth/")
	b.submit(form, "/auth/", url.Values{"address": {alice}, "next": {"//evil.example"}}).leadsTo(t, "/auth/code")
	b.enter(b.get("/auth/code"), w.box.last(t).Code.Reveal()).leadsTo(t, "/home")
	svc, _ := newService(t, nil)
	for _, home := range evil[:3] {
		if _, err := page.New(svc, page.Options{Client: "web", AppName: "Example", Home: home}); err == nil {
			t.Errorf("Home %q is accepted", home)
		}
	}
}

func TestLocalNextIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, nil)
	for _, next := range []string{
		"/", "/account", "/account/", "/a/b?c=d&e=f", "/search?q=https://example.com//x", "/caf%C3%A9", "/a:b", "/a@b", "/a;b=c",
		"/~me", "/a?x=%2f%5c",
	} {
		if got := w.pages.Next(passwordless.Login{State: next}); got != next {
			t.Errorf("%q: Next is %q", next, got)
		}
	}
}
