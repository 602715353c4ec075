package page_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/page"
)

type shotStep struct{}

func (shotStep) Peek(_ context.Context, q map[string]string, _ passwordless.Caller) (passwordless.LinkInfo, error) {
	return passwordless.LinkInfo{AppName: "Shop", Address: "a***@example.com", SameBrowser: q["same"] != "", RedirectURI: q["allow"]}, nil
}
func (shotStep) Confirm(_ context.Context, q map[string]string, _ passwordless.Caller) (string, error) {
	if q["same"] == "" {
		return "", &passwordless.OtherBrowserError{AppName: "Shop", Code: "123456"}
	}
	return q["to"], nil
}

func TestShot(t *testing.T) {
	svc, _ := newService(t, func(c *passwordless.Config) { c.PageURL = "http://localhost:18080/auth/" })
	pages, err := page.New(svc, page.Options{Client: "web", AppName: "Example", InsecureCookies: true})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/auth/", pages)
	mux.Handle("/finish", pages.Confirm(shotStep{}))
	serve := func(addr string, h http.Handler) {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		go http.Serve(l, h)
	}
	serve("127.0.0.1:18080", mux)
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { if to := r.URL.Query().Get("on"); to != "" { http.Redirect(w, r, to, 303); return }; w.Header().Set("Content-Type", "text/html"); w.Write([]byte("<title>app</title>arrived")) })
	serve("127.0.0.1:18081", app)
	serve("[::1]:18081", app)
	cmd := exec.Command("bash", "/tmp/shot/run.sh")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		t.Error(err)
	}
}
