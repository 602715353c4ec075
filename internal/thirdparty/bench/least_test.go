package bench_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"path/filepath"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/seed62b93bad/passwordless/internal/thirdparty/stores"
	"github.com/seed62b93bad/passwordless/store/sqlitestore"
)

// The least work of a sign-in on each engine: a row is made and then changed, each in a commit
// of its own, under a key that grows with time and with a body of a challenge's size.

const bodySize = 256

func key(n int64) []byte { return binary.BigEndian.AppendUint64(make([]byte, 8, 16), uint64(n)) }

func body() []byte {
	b := make([]byte, bodySize)
	rand.Read(b)
	return b
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// bareMap is a map behind a mutex.
func bareMap() func(context.Context, int64) error {
	var mu sync.Mutex // guards rows
	rows := map[string][]byte{}
	put := func(k string) {
		b := body()
		mu.Lock()
		defer mu.Unlock()
		rows[k] = b
	}
	return func(_ context.Context, n int64) error {
		k := string(key(n))
		put(k)
		put(k)
		return nil
	}
}

const (
	insertLeast = "INSERT INTO least VALUES ($1, $2)"
	updateLeast = "UPDATE least SET body = $2 WHERE key = $1"
)

func sqlitePair(b *testing.B) func(context.Context, int64) error {
	db, err := sql.Open("sqlite", sqlitestore.DSN(filepath.Join(b.TempDir(), "least")))
	must(b, err)
	db.SetMaxOpenConns(1)
	b.Cleanup(func() { db.Close() })
	_, err = db.Exec("CREATE TABLE least (key BLOB PRIMARY KEY, body BLOB)")
	must(b, err)
	insert, err := db.Prepare(insertLeast)
	must(b, err)
	update, err := db.Prepare(updateLeast)
	must(b, err)
	return func(ctx context.Context, n int64) error {
		if _, err := insert.ExecContext(ctx, key(n), body()); err != nil {
			return err
		}
		_, err := update.ExecContext(ctx, key(n), body())
		return err
	}
}

func postgresPair(b *testing.B, url string, conns int) func(context.Context, int64) error {
	config, err := pgxpool.ParseConfig(url)
	must(b, err)
	config.MaxConns = int32(conns)
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	must(b, err)
	b.Cleanup(pool.Close)
	_, err = pool.Exec(context.Background(), "CREATE TABLE least (key bytea PRIMARY KEY, body bytea) WITH (fillfactor = 80)")
	must(b, err)
	return func(ctx context.Context, n int64) error {
		if _, err := pool.Exec(ctx, insertLeast, key(n), body()); err != nil {
			return err
		}
		_, err := pool.Exec(ctx, updateLeast, key(n), body())
		return err
	}
}

func redisPair(b *testing.B, url string, conns int) func(context.Context, int64) error {
	client := stores.Client(b, url, conns)
	set := redis.NewScript(`return redis.call('SET', KEYS[1], ARGV[1], 'EX', 600)`)
	swap := redis.NewScript(`if redis.call('GET', KEYS[1]) then return redis.call('SET', KEYS[1], ARGV[1], 'EX', 600) end`)
	return func(ctx context.Context, n int64) error {
		k := []string{"least:" + string(key(n))}
		if err := set.Run(ctx, client, k, body()).Err(); err != nil {
			return err
		}
		return swap.Run(ctx, client, k, body()).Err()
	}
}
