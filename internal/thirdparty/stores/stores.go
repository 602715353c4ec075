// Package stores opens the drivers on real engines, as their documentation asks, for
// tests and benchmarks of what runs on them.
package stores

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/redis/go-redis/v9"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/pgstore"
	"github.com/seed62b93bad/passwordless/store/redisstore"
	"github.com/seed62b93bad/passwordless/store/sqlitestore"
)

// Durable is a configuration of Redis under which nothing that was acknowledged is lost.
var Durable = []string{"appendonly yes", "appendfsync always"}

// Postgres opens a store in a database, with at most conns connections. The first to open it makes
// the tables.
func Postgres(tb testing.TB, url string, conns int) store.Store {
	tb.Helper()
	db := open(tb, "pgx", url, conns)
	check(tb, pgstore.Migrate(context.Background(), db, pgstore.Options{}))
	s, err := pgstore.New(db, pgstore.Options{})
	check(tb, err)
	return s
}

// SQLite opens a store in a new file.
func SQLite(tb testing.TB, conns int) store.Store {
	tb.Helper()
	s, _ := SQLiteAt(tb, conns)
	return s
}

// SQLiteAt is SQLite and tells where the file is.
func SQLiteAt(tb testing.TB, conns int) (s store.Store, path string) {
	tb.Helper()
	path = filepath.Join(tb.TempDir(), "store")
	return SQLiteIn(tb, path, conns), path
}

// SQLiteIn opens a store in the file at path, whether or not there is one.
func SQLiteIn(tb testing.TB, path string, conns int) store.Store {
	tb.Helper()
	db := open(tb, "sqlite", sqlitestore.DSN(path), conns)
	check(tb, sqlitestore.Migrate(context.Background(), db, sqlitestore.Options{}))
	s, err := sqlitestore.New(db, sqlitestore.Options{})
	check(tb, err)
	return s
}

func open(tb testing.TB, driver, url string, conns int) *sql.DB {
	tb.Helper()
	db, err := sql.Open(driver, url)
	check(tb, err)
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	tb.Cleanup(func() { db.Close() })
	return db
}

// Redis opens a store on a server, whether or not it is durable.
func Redis(tb testing.TB, url string, conns int) store.Store {
	tb.Helper()
	s, err := redisstore.New(context.Background(), Prepare(Client(tb, url, conns)), redisstore.Options{InsecureVolatile: true})
	check(tb, err)
	return s
}

// Client returns a client of a Redis, configured as the driver's documentation asks.
func Client(tb testing.TB, url string, conns int) *redis.Client {
	tb.Helper()
	o, err := redis.ParseURL(url)
	check(tb, err)
	o.ContextTimeoutEnabled, o.MaxRetries, o.PoolSize = true, -1, conns
	client := redis.NewClient(o)
	tb.Cleanup(func() { client.Close() })
	return client
}

// Prepare makes scripts of a client for redisstore.New.
func Prepare(client *redis.Client) func(string) redisstore.Script {
	return func(lua string) redisstore.Script {
		script := redis.NewScript(lua)
		return func(ctx context.Context, keys []string, args ...any) (any, error) {
			return script.Run(ctx, client, keys, args...).Result()
		}
	}
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
