package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/page"
	"github.com/seed62b93bad/passwordless/wire/auth0"
)

// An app is the server: a Service, what it stands on, and the handlers over it.
type app struct {
	set    settings
	world  world
	stdout io.Writer
	log    *slog.Logger

	secretsFile string // "": nowhere
	clock       clock
	store       store
	post        post
	svc         *passwordless.Service
	handler     http.Handler
}

// open makes everything. After an error it may have made a part; close ends that too.
func (a *app) open(ctx context.Context) error {
	var err error
	if a.post, err = a.newPost(); err != nil {
		return err
	}
	if a.post.outbox == nil {
		if err := a.world.dropSMS(a.log); err != nil {
			return err
		}
	}
	secrets, err := a.openSecrets()
	if err != nil {
		return err
	}
	if a.store, err = openStore(ctx, a.set, a.log); err != nil {
		return err
	}
	if a.svc, err = passwordless.New(a.serviceConfig(secrets)); err != nil {
		return err
	}
	for _, deviation := range a.svc.Policy().Deviations {
		a.log.Info("policy", "deviation", deviation)
	}
	if err := a.world.seed(ctx, a.svc); err != nil {
		return err
	}
	if a.handler, err = a.routes(); err != nil { //nolint:contextcheck // handlers have the contexts of their requests
		return err
	}
	for _, front := range a.svc.Policy().Fronts {
		a.log.Info("policy", "front", front)
	}
	return nil
}

func (a *app) serviceConfig(secrets secrets) passwordless.Config {
	return passwordless.Config{
		Issuer: a.set.issuer, AppName: a.world.AppName,
		Store: a.store.Store, Sender: a.post,
		Hasher: secrets.hasher, SigningKeys: secrets.signing,
		Tenants: a.world.Tenants, Clients: passwordless.ClientList(a.world.Clients), Policy: a.world.Policy,
		Clock: &a.clock, Events: a.event,
	}
}

// routes are the handlers by path.
func (a *app) routes() (http.Handler, error) {
	pages, err := page.New(a.svc, page.Options{
		Client: a.world.PageClient, AppName: a.world.AppName, Home: "/account",
		Channels: a.world.pageChannels(), Send: passwordless.SendBoth,
		TrustedProxies: a.world.TrustedProxies, InsecureCookies: strings.HasPrefix(a.set.issuer, "http:"),
		OnError: a.failed,
	})
	if err != nil {
		return nil, err
	}
	dialect, err := auth0.New(a.svc, auth0.Options{
		Pages: pages, APIs: a.world.APIs, TrustedProxies: a.world.TrustedProxies, OnError: a.failed,
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", pages)
	for _, path := range []string{"/passwordless/", "/oauth/", "/.well-known/", "/co/", "/authorize", "/userinfo",
		"/dbconnections/", "/u/"} {
		mux.Handle(path, dialect)
	}
	mux.Handle("GET /account", pages.RequireLogin(account{a.svc, pages, a.failed}))
	if a.set.dev {
		dev{&a.clock, a.post.outbox}.mount(mux)
	}
	return cleanPaths(mux), nil
}

// cleanPaths answers 404 where a ServeMux would redirect to the cleaned path: that would repeat the query,
// and with it a link's token, in Location.
func cleanPaths(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isClean(r.URL.Path) || !isClean(r.URL.EscapedPath()) {
			w.Header().Set("Referrer-Policy", "no-referrer")
			w.Header().Set("Cache-Control", "no-store")
			http.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isClean reports whether path.Clean changes nothing but a slash at the end, which a ServeMux keeps.
func isClean(p string) bool {
	clean := path.Clean(p)
	return p == clean || clean != "/" && p == clean+"/"
}

// serve answers on l until ctx ends, and then lets what has begun come to its end.
func (a *app) serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: a.handler, ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 32 << 10,
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var background sync.WaitGroup
	background.Go(func() { a.sweep(ctx) })
	var failure error
	background.Go(func() {
		failure = a.listen(server, l)
		cancel()
	})
	<-ctx.Done()
	patience, done := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer done()
	err := server.Shutdown(patience)
	background.Wait()
	return errors.Join(failure, err, a.close(patience))
}

func (a *app) listen(server *http.Server, l net.Listener) error {
	var err error
	if a.set.tlsCert == "" {
		err = server.Serve(l)
	} else {
		err = server.ServeTLS(l, a.set.tlsCert, a.set.tlsKey)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// close sends the messages that still wait, for as long as ctx lets it, and closes the store.
func (a *app) close(ctx context.Context) error {
	errs := []error{a.post.close(ctx)}
	if a.store.close != nil {
		errs = append(errs, a.store.close())
	}
	return errors.Join(errs...)
}

// sweep clears expired records away, every minute.
func (a *app) sweep(ctx context.Context) {
	const batch = 1000
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for n := batch; n == batch && ctx.Err() == nil; {
			var err error
			if n, err = a.svc.Sweep(ctx, batch); err != nil {
				a.log.Error("sweep", "error", err)
			}
		}
	}
}

// event writes the audit log.
func (a *app) event(ctx context.Context, e passwordless.Event) {
	attrs := []slog.Attr{slog.Time("at", e.At)}
	for _, text := range []struct{ name, value string }{{"tenant", e.Tenant}, {"client", e.Client}, {"person", e.Person},
		{"challenge", e.Challenge}, {"user", e.UserID}, {"channel", string(e.Channel)}, {"reason", e.Reason}} {
		if text.value != "" {
			attrs = append(attrs, slog.String(text.name, text.value))
		}
	}
	a.log.LogAttrs(ctx, slog.LevelInfo, string(e.Type), attrs...)
}

// failed writes down why a request was answered with status 500 or 503.
func (a *app) failed(r *http.Request, err error) {
	a.log.ErrorContext(r.Context(), "request failed", "path", r.URL.Path, "error", err)
}

// welcome says where everything is and what to try.
func (a *app) welcome() {
	url := a.set.issuer
	line := func(name, value string) { fmt.Fprintf(a.stdout, "  %-9s %s\n", name, value) }
	fmt.Fprintf(a.stdout, "\n%s is at %s\n\n", a.world.AppName, url)
	line("store", a.store.name)
	line("secrets", a.secretsPlace())
	line("sign in", url)
	line("account", url+"account")
	line("keys", url+".well-known/jwks.json")
	if a.set.dev {
		line("mailbox", url+"dev/mail")
	}
	if a.set.dev && a.set.config == "" {
		fmt.Fprint(a.stdout, strings.ReplaceAll(demoTour, "URL/", url))
	}
	fmt.Fprintln(a.stdout)
}

func (a *app) secretsPlace() string {
	if a.secretsFile == "" {
		return "in memory: all ends with this process"
	}
	return a.secretsFile
}
