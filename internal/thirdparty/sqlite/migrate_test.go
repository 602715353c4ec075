package sqlite_test

import (
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/sqlitestore"
)

func TestPrefixesThatCouldBeMoreThanAName(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "store.db"))
	for _, prefix := range []string{
		"x; DROP TABLE users; --", `x"`, "x'", "x.y", "x y", "x-", "X", "é", "1x", "_x",
		"x\x00", "x\n", "{{prefix}}", "?1", strings.Repeat("x", 33),
	} {
		if _, err := sqlitestore.New(s.db, sqlitestore.Options{Prefix: prefix}); err == nil {
			t.Errorf("New takes the prefix %q", prefix)
		}
		if err := sqlitestore.Migrate(t.Context(), s.db, sqlitestore.Options{Prefix: prefix}); err == nil {
			t.Errorf("Migrate takes the prefix %q", prefix)
		}
	}
}

func TestPrefixesKeepStoresApart(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "store.db"))
	other := newStore(t, s.db, sqlitestore.Options{Prefix: strings.Repeat("z", 32)})
	if _, err := s.Commit(t.Context(), now, batch("name")); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Commit(t.Context(), now, batch("name")); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Sweep(t.Context(), now+1e12, 10); n != 1 || err != nil {
		t.Errorf("Sweep: %d, %v, want its own bucket", n, err)
	}
}

func TestMigrateInManyProcessesAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			db := open(t, path)
			for range 3 {
				if err := sqlitestore.Migrate(t.Context(), db, sqlitestore.Options{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if _, err := openStore(t, path).Commit(t.Context(), now, batch("name")); err != nil {
		t.Error(err)
	}
}

func TestMigrateRefusesANewerSchema(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "store.db"))
	if _, err := s.db.Exec("INSERT INTO passwordless_schema VALUES (1000)"); err != nil {
		t.Fatal(err)
	}
	for verb, err := range map[string]error{
		"Migrate": sqlitestore.Migrate(t.Context(), s.db, sqlitestore.Options{}),
		"Check":   sqlitestore.Check(t.Context(), s.db, sqlitestore.Options{}),
	} {
		if !errors.Is(err, store.ErrMisconfigured) || !strings.Contains(err.Error(), "version 1000") {
			t.Errorf("%s: %v, want a refusal that tells the version", verb, err)
		}
	}
}

func TestFailedMigrationLeavesNothing(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "store.db"))
	if _, err := db.Exec("CREATE VIEW passwordless_buckets AS SELECT 1"); err != nil {
		t.Fatal(err)
	}
	if err := sqlitestore.Migrate(t.Context(), db, sqlitestore.Options{}); err == nil {
		t.Fatal("Migrate succeeds although a name is taken")
	}
	if _, err := db.Exec("DROP VIEW passwordless_buckets"); err != nil {
		t.Fatal(err)
	}
	newStore(t, db, sqlitestore.Options{})
}

func TestNewDemandsTheTables(t *testing.T) {
	_, err := sqlitestore.New(open(t, filepath.Join(t.TempDir(), "store.db")), sqlitestore.Options{})
	if !errors.Is(err, store.ErrMisconfigured) || !strings.Contains(err.Error(), "call Migrate") {
		t.Errorf("New without tables: %v, want an error that tells what to do", err)
	}
}
