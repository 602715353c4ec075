// Server is a complete sign-in server: pages for people, Auth0's interface for their clients, and
// any of the stores.
//
//	go run ./examples/server
//
// serves a demo world on 127.0.0.1:8080, keeps it in an SQLite file, and says what to
// try. Its messages are not sent: they are printed, and shown at /dev/mail. The demo world is
// public knowledge, so it is served on loopback only; for anything else describe a world of
// your own in a file (see -config and world.example.json).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends or something fails.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	set, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	w := demoWorld()
	if set.config != "" {
		if w, err = readWorld(set.config); err != nil {
			return err
		}
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", set.addr)
	if err != nil {
		return fmt.Errorf("-addr: %w", err)
	}
	defer listener.Close()
	if set.issuer == "" {
		set.issuer = set.ownURL(listener.Addr())
	}
	a := &app{set: set, world: w, stdout: stdout, log: slog.New(slog.NewTextHandler(stderr, nil))}
	if err := a.open(ctx); err != nil {
		return errors.Join(err, a.close(ctx))
	}
	a.welcome()
	return a.serve(ctx, listener)
}

// settings are the flags.
type settings struct {
	addr, store, config, issuer, tlsCert, tlsKey, smtp string

	dev bool
}

// parseFlags reads the flags, and reports every combination that does not work.
func parseFlags(args []string, stderr io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.addr, "addr", "127.0.0.1:8080", "`address` to listen on; one that is not loopback needs -config")
	flags.StringVar(&s.store, "store", "sqlite:"+dataFile("passwordless.db"),
		"`store`: memory, sqlite:PATH, postgres://… or redis://…")
	flags.StringVar(&s.config, "config", "", "JSON `file` with clients, users and policy; without it, the demo world")
	flags.StringVar(&s.issuer, "issuer", "", "`URL` of the server as the world sees it; default its own address")
	flags.StringVar(&s.tlsCert, "tls-cert", "", "PEM `file` with the server's certificate chain, to serve https")
	flags.StringVar(&s.tlsKey, "tls-key", "", "PEM `file` with its private key")
	flags.StringVar(&s.smtp, "smtp", "", "`URL` of the mail server: smtp://user:password@host:587?from=login@example.com")
	flags.BoolVar(&s.dev, "dev", false,
		"keep messages at /dev/mail and let /dev/clock move the time; loopback only; on by default in the demo world")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	chosen := false
	flags.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "dev" })
	s.dev = s.dev || !chosen && s.config == ""
	return s, errors.Join(append(s.mistakes(), unused(flags.Args()))...)
}

func unused(args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("arguments that no flag takes, %q and so on: flags begin with a hyphen", args[0])
	}
	return nil
}

// Why some flags are for this machine alone.
const (
	needsWorld = "everybody knows the demo world: give one of your own with -config"
	opensAll   = "whoever reads /dev/outbox can sign in as everybody"
)

// mistakes are what does not go together.
func (s settings) mistakes() (errs []error) {
	need := func(ok bool, what string) {
		if !ok {
			errs = append(errs, errors.New(what))
		}
	}
	host, _, err := net.SplitHostPort(s.addr)
	local := err == nil && loopback(host)
	need(err == nil, "-addr: want host:port")
	need(err != nil || local || s.config != "", "-addr: not loopback, and "+needsWorld)
	need(err != nil || local || !s.dev, "-dev: not loopback, and "+opensAll)
	need(err != nil || local || s.issuer != "", "-issuer: required where -addr is not loopback")
	need(s.dev || s.smtp != "", "-smtp: required without -dev, or messages have nowhere to go")
	need((s.tlsCert == "") == (s.tlsKey == ""), "-tls-cert, -tls-key: each needs the other")
	if err := s.checkStore(); err != nil {
		errs = append(errs, err)
	}
	if s.issuer != "" {
		u, err := url.Parse(s.issuer)
		need(err == nil && u.Host != "" && u.Path == "/",
			"-issuer: want a URL with the path / and nothing behind it, as in https://login.example.com/")
		// A proxy that serves the issuer need not say so: its requests may look like this machine's own.
		need(err != nil || loopback(u.Hostname()) || !s.dev, "-dev: -issuer is not loopback, and "+opensAll)
		need(err != nil || loopback(u.Hostname()) || s.config != "", "-issuer: not loopback, and "+needsWorld)
	}
	return errs
}

// loopback reports whether a host, of an address or of a URL, is this machine alone.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// ownURL is the issuer where none is given.
func (s settings) ownURL(at net.Addr) string {
	host, _, _ := net.SplitHostPort(s.addr)
	_, port, _ := net.SplitHostPort(at.String()) // s.addr may ask for any
	scheme := "http"
	if s.tlsCert != "" {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port) + "/"
}
