package pg_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/pgstore"
)

func TestPrefixesThatCouldBeMoreThanAName(t *testing.T) {
	db := open(t, "pgx", shared.Postgres(t))
	for _, prefix := range []string{
		"x; DROP TABLE users; --", `x"`, "x'", "x.y", "x y", "x-", "X", "é", "1x", "_x",
		"x\x00", "x\n", "{{prefix}}", "$1", "%s", strings.Repeat("x", 33),
	} {
		if _, err := pgstore.New(db, pgstore.Options{Prefix: prefix}); err == nil {
			t.Errorf("New takes the prefix %q", prefix)
		}
		if err := pgstore.Migrate(t.Context(), db, pgstore.Options{Prefix: prefix}); err == nil {
			t.Errorf("Migrate takes the prefix %q", prefix)
		}
	}
}

func TestPrefixesKeepStoresApart(t *testing.T) {
	db := open(t, "pgx", shared.Postgres(t))
	a := newStore(t, db, pgstore.Options{Prefix: "a"})
	longest := newStore(t, db, pgstore.Options{Prefix: strings.Repeat("z", 32)})
	put := store.Put{Record: newRecord("test", "name", now)}
	for _, s := range []store.Store{a, longest} {
		if _, err := s.Commit(t.Context(), now, store.Batch{Puts: []store.Put{put}}); err != nil {
			t.Fatal(err)
		}
		put.Record.Version[0]++
	}
}

func TestMigrateInManyProcessesAtOnce(t *testing.T) {
	url := shared.Postgres(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			db := open(t, "pgx", url)
			for range 3 {
				if err := pgstore.Migrate(t.Context(), db, pgstore.Options{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if err := flow(t.Context(), openStore(t, "pgx", url)); err != nil {
		t.Error(err)
	}
}

func TestMigrateFromAnOlderSchema(t *testing.T) {
	for name, back := range map[string][]string{
		"without functions": {
			"DROP FUNCTION passwordless_load, passwordless_commit",
			"DELETE FROM passwordless_schema WHERE version >= 2",
		},
		"with another commit": {
			"ALTER FUNCTION passwordless_commit SET enable_seqscan = on",
			"DELETE FROM passwordless_schema WHERE version >= 3",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, "pgx", shared.Postgres(t))
			old := newRecord("test", "old", now)
			if _, err := s.Commit(t.Context(), now, store.Batch{Puts: []store.Put{{Record: old}}}); err != nil {
				t.Fatal(err)
			}
			for _, statement := range back {
				if _, err := s.db.Exec(statement); err != nil {
					t.Fatal(err)
				}
			}
			tellsToMigrate(t, pgstore.Check(t.Context(), s.db, pgstore.Options{}))
			if err := pgstore.Migrate(t.Context(), s.db, pgstore.Options{}); err != nil {
				t.Fatal(err)
			}
			loaded, err := s.Load(t.Context(), now, old.Key)
			if err != nil || loaded[0].Version != old.Version {
				t.Errorf("Load of a record from before: %v, %v", loaded, err)
			}
			if err := flow(t.Context(), s); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMigrateRefusesANewerSchema(t *testing.T) {
	s := openStore(t, "pgx", shared.Postgres(t))
	if _, err := s.db.Exec("INSERT INTO passwordless_schema VALUES (1000)"); err != nil {
		t.Fatal(err)
	}
	for verb, err := range map[string]error{
		"Migrate": pgstore.Migrate(t.Context(), s.db, pgstore.Options{}),
		"Check":   pgstore.Check(t.Context(), s.db, pgstore.Options{}),
	} {
		if !errors.Is(err, store.ErrMisconfigured) || !strings.Contains(err.Error(), "version 1000") {
			t.Errorf("%s: %v, want a refusal that tells the version", verb, err)
		}
	}
	if err := flow(t.Context(), s); err != nil {
		t.Errorf("a running store is not harmed: %v", err)
	}
}

func TestFailedMigrationLeavesNothing(t *testing.T) {
	db := open(t, "pgx", shared.Postgres(t))
	if _, err := db.Exec("CREATE VIEW passwordless_windows AS SELECT 1"); err != nil {
		t.Fatal(err)
	}
	if err := pgstore.Migrate(t.Context(), db, pgstore.Options{}); err == nil {
		t.Fatal("Migrate succeeds although a name is taken")
	}
	if _, err := db.Exec("DROP VIEW passwordless_windows"); err != nil {
		t.Fatal(err)
	}
	if err := pgstore.Migrate(t.Context(), db, pgstore.Options{}); err != nil {
		t.Error(err)
	}
}
