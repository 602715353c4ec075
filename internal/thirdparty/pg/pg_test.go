// Package pg_test runs store/pgstore on a real PostgreSQL, with both adapters and
// behind a pooler.
package pg_test

import (
	"database/sql"
	"os"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/lib/pq"

	"github.com/seed62b93bad/passwordless/internal/thirdparty/servers"
	"github.com/seed62b93bad/passwordless/passwordlesstest/servicetest"
	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/pgstore"
	"github.com/seed62b93bad/passwordless/store/storetest"
)

var shared servers.Shared

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

// adapters names the database/sql drivers, and what each needs in the URL.
var adapters = map[string]string{
	"pgx":      "",
	"postgres": "&binary_parameters=yes", // lib/pq
}

func TestStore(t *testing.T) {
	for adapter, parameters := range adapters {
		t.Run(adapter, func(t *testing.T) {
			open := func(tb testing.TB) (a, b store.Store) {
				url := shared.Postgres(tb) + parameters
				return openStore(tb, adapter, url), openStore(tb, adapter, url)
			}
			storetest.Run(t, open, storetest.Crash(reopen))
			t.Run("service", func(t *testing.T) { servicetest.Run(t, open) })
		})
	}
}

// open returns a pool that is closed when the test ends.
func open(tb testing.TB, adapter, url string) *sql.DB {
	tb.Helper()
	db, err := sql.Open(adapter, url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(16)
	return db
}

// A store remembers its pool.
type testStore struct {
	*pgstore.Store
	db           *sql.DB
	adapter, url string
}

// openStore returns a store on the tables that it makes in the database.
func openStore(tb testing.TB, adapter, url string) testStore {
	tb.Helper()
	db := open(tb, adapter, url)
	return testStore{newStore(tb, db, pgstore.Options{}), db, adapter, url}
}

func newStore(tb testing.TB, db *sql.DB, opts pgstore.Options) *pgstore.Store {
	tb.Helper()
	if err := pgstore.Migrate(tb.Context(), db, opts); err != nil {
		tb.Fatal(err)
	}
	s, err := pgstore.New(db, opts)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// reopen ends the pools of two instances, whatever they are doing, and opens the database
// anew. What the server's own crash leaves is in TestServerCrash.
func reopen(tb testing.TB, a, b store.Store) store.Store {
	tb.Helper()
	first := a.(testStore)
	first.db.Close()
	b.(testStore).db.Close()
	return openStore(tb, first.adapter, first.url)
}
