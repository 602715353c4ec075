// Package sqlite_test runs store/sqlitestore on modernc.org/sqlite.
package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/seed62b93bad/passwordless/passwordlesstest/servicetest"
	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/sqlitestore"
	"github.com/seed62b93bad/passwordless/store/storetest"
)

func TestStore(t *testing.T) { storetest.Run(t, openTwo, storetest.Crash(reopen)) }

func TestServiceOnStore(t *testing.T) { servicetest.Run(t, openTwo) }

// openTwo opens two instances on one new file.
func openTwo(tb testing.TB) (a, b store.Store) {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "store.db")
	return openStore(tb, path), openStore(tb, path)
}

// A store remembers its pool and file.
type testStore struct {
	*sqlitestore.Store
	db   *sql.DB
	path string
}

// openStore returns a store in the file, by a pool of its own.
func openStore(tb testing.TB, path string) testStore {
	tb.Helper()
	db := open(tb, path)
	return testStore{newStore(tb, db, sqlitestore.Options{}), db, path}
}

// open returns a pool that is closed when the test ends.
func open(tb testing.TB, path string) *sql.DB {
	tb.Helper()
	db, err := sql.Open("sqlite", sqlitestore.DSN(path))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { db.Close() })
	return db
}

func newStore(tb testing.TB, db *sql.DB, opts sqlitestore.Options) *sqlitestore.Store {
	tb.Helper()
	if err := sqlitestore.Migrate(tb.Context(), db, opts); err != nil {
		tb.Fatal(err)
	}
	s, err := sqlitestore.New(db, opts)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// reopen ends the pools of two instances and opens the file anew. What a kill -9 leaves
// is in TestKill.
func reopen(tb testing.TB, a, b store.Store) store.Store {
	tb.Helper()
	first := a.(testStore)
	first.db.Close()
	b.(testStore).db.Close()
	return openStore(tb, first.path)
}

func BenchmarkStore(b *testing.B) {
	storetest.Bench(b, func(tb testing.TB) (x, y store.Store) {
		s := openStore(tb, filepath.Join(tb.TempDir(), "store.db"))
		return s, s
	})
}
