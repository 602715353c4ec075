package server_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed62b93bad/passwordless/internal/thirdparty/servers"
)

const alice = "alice@example.com"

// What one process began, the next one on the same store goes on with.
func TestSignInAndRestart(t *testing.T) {
	t.Parallel()
	stores := map[string]func(t *testing.T) string{
		"SQLite":     func(*testing.T) string { return "sqlite:store.db" },
		"PostgreSQL": func(t *testing.T) string { return shared.Postgres(t) },
		"Redis":      func(t *testing.T) string { return servers.StartRedis(t, "appendonly yes").URL() },
	}
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder, args := t.TempDir(), []string{"-store", open(t)}
			s := start(t, command(t, folder, args...))
			s.ask(alice)
			refresh := s.exchange(alice, s.code(alice))
			s.ask("johnd@example.com")
			code := s.code("johnd@example.com")
			s.stop()

			s = start(t, command(t, folder, args...))
			s.refresh(refresh)
			s.exchange("johnd@example.com", code)
		})
	}
}

// Two servers with one store and one file of secrets are one service.
func TestTwoServersShareAStore(t *testing.T) {
	t.Parallel()
	folder, store := t.TempDir(), shared.Postgres(t)
	first := start(t, command(t, folder, "-store", store))
	second := start(t, command(t, folder, "-store", store))
	first.ask(alice)
	refresh := second.exchange(alice, first.code(alice))
	first.refresh(refresh)
}

// A Redis that keeps nothing on disk is refused, but for -dev, which warns.
func TestForgetfulRedis(t *testing.T) {
	t.Parallel()
	store := servers.StartRedis(t).URL()
	folder := t.TempDir()
	s := start(t, command(t, folder, "-store", store))
	s.ask(alice)
	s.exchange(alice, s.code(alice))
	s.stop()
	if !strings.Contains(s.log.String(), "appendonly off") {
		t.Errorf("no warning in %s", s.log)
	}
	mail := "smtp+insecure://" + servers.Nowhere(t) + "?from=login@example.com"
	out, err := command(t, folder, "-store", store, "-dev=false", "-smtp", mail).CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("appendonly is off")) {
		t.Errorf("%v: %s", err, out)
	}
}

// Neither the database nor its secrets are for others to read.
func TestFilesAreTheOwnersAlone(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := start(t, command(t, folder))
	s.ask(alice)
	files, err := filepath.Glob(filepath.Join(folder, ".cache", "demo", "*"))
	if err != nil || len(files) < 2 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
}
