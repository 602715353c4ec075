package servers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// A Postgres is a PostgreSQL server that belongs to one test. Its methods are
// for the goroutine of that test.
type Postgres struct {
	tb     testing.TB
	server *server
}

// StartPostgres starts a PostgreSQL server for this test, with the defaults of a new
// cluster (fsync is on) and then the settings, lines of postgresql.conf. The server
// stops when the test ends.
func StartPostgres(tb testing.TB, settings ...string) *Postgres {
	tb.Helper()
	s, err := startPostgres(settings)
	need(tb, err)
	tb.Cleanup(func() { stopped(tb, s) })
	return &Postgres{tb: tb, server: s}
}

// URL returns the URL of the database "postgres". It stays the same when the
// server restarts.
func (p *Postgres) URL() string { return postgresURL(p.server.port) }

// Database returns the URL of a new, empty database. It is dropped when the test
// that tb stands for ends.
func (p *Postgres) Database(tb testing.TB) string {
	tb.Helper()
	return newDatabase(tb, p.URL(), p.running)
}

func (p *Postgres) running() bool { return p.server.process != nil }

// Kill ends the server and all its children at once, as a crash would.
func (p *Postgres) Kill() {
	p.tb.Helper()
	need(p.tb, p.server.kill())
}

// Restart starts the server again after Kill, on the same port and data, and
// returns once it answers.
func (p *Postgres) Restart() {
	p.tb.Helper()
	need(p.tb, p.server.run())
}

func stopped(tb testing.TB, s *server) {
	tb.Helper()
	if err := s.stop(); err != nil {
		tb.Error(err)
	}
}

// startPostgres makes a cluster and starts its server.
func startPostgres(settings []string) (*server, error) {
	folders := []string{"/usr/lib/postgresql/*/bin", "/usr/local/opt/postgresql*/bin", "/opt/homebrew/opt/postgresql*/bin"}
	initdb, err := find([]string{"initdb"}, folders...)
	if err != nil {
		return nil, err
	}
	postgres, err := find([]string{"postgres"}, folders...)
	if err != nil {
		return nil, err
	}
	s, err := newServer("postgres")
	if err != nil {
		return nil, err
	}
	if err := initPostgres(s, initdb, settings); err != nil {
		return nil, fmt.Errorf("servers: make a PostgreSQL cluster: %w", errors.Join(err, s.stop()))
	}
	s.command = func(port int) []string {
		return []string{postgres, "-D", dataFolder(s), "-p", fmt.Sprint(port)}
	}
	s.ping = func(ctx context.Context) error { return pingPostgres(ctx, s) }
	if err := s.start(); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func initPostgres(s *server, initdb string, settings []string) error {
	// Without a wait for the disk: that matters only if the machine itself fails.
	out, err := s.exec(initdb, "-D", dataFolder(s), "-U", "postgres", "-A", "trust",
		"-E", "UTF8", "--locale=C", "--no-sync").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	file, err := os.OpenFile(filepath.Join(dataFolder(s), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	lines := append([]string{
		"listen_addresses = '127.0.0.1'",
		"unix_socket_directories = ''",
		"max_connections = 300",
	}, settings...)
	_, err = file.WriteString(strings.Join(lines, "\n") + "\n")
	return errors.Join(err, file.Close())
}

func dataFolder(s *server) string { return filepath.Join(s.folder, "data") }

func postgresURL(port int) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", port)
}

func pingPostgres(ctx context.Context, s *server) error {
	conn, err := pgx.Connect(ctx, postgresURL(s.port))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var folder string
	if err := conn.QueryRow(ctx, "SHOW data_directory").Scan(&folder); err != nil {
		return err
	}
	if folder != dataFolder(s) {
		return errors.New("another server has the port")
	}
	return nil
}

// newDatabase makes a database on the server that the URL names, and drops it when
// the test ends, if the server is running then.
func newDatabase(tb testing.TB, server string, running func() bool) string {
	tb.Helper()
	address, err := url.Parse(server)
	need(tb, err)
	name := "passwordless_" + strings.ToLower(rand.Text())
	need(tb, administer(server, "CREATE DATABASE "+name))
	tb.Cleanup(func() {
		if !running() {
			return
		}
		if err := administer(server, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			tb.Error(err)
		}
	})
	address.Path = "/" + name
	return address.String()
}

func administer(server, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return fmt.Errorf("servers: connect to PostgreSQL: %w", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("servers: make or drop a PostgreSQL database: %w", err)
	}
	return nil
}
