package pg_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seed62b93bad/passwordless/internal/thirdparty/servers"
	"github.com/seed62b93bad/passwordless/store/pgstore"
)

// BenchmarkFlow compares flows a second with the least that a flow could cost: an INSERT
// and an UPDATE by key, each its own transaction, through pgx's own pool. Both
// run in turns, and the medians count.
func BenchmarkFlow(b *testing.B) {
	server := servers.StartPostgres(b)
	for _, clients := range []int{1, 8, 32} {
		b.Run(fmt.Sprint("clients=", clients), func(b *testing.B) {
			url := server.Database(b)
			db := open(b, "pgx", url)
			db.SetMaxOpenConns(clients)
			db.SetMaxIdleConns(clients)
			testStore := newStore(b, db, pgstore.Options{})
			limit := newLimit(b, url, clients)
			var flows, limits, ratios []float64
			for range 5 {
				limits = append(limits, rate(b, clients, limit))
				flows = append(flows, rate(b, clients, func(ctx context.Context) error { return flow(ctx, testStore) }))
				ratios = append(ratios, flows[len(flows)-1]/limits[len(limits)-1])
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(flows), "flows/s")
			b.ReportMetric(median(limits), "limit/s")
			b.ReportMetric(median(ratios), "ratio")
		})
	}
}

// BenchmarkWAL tells how many bytes of log a flow writes, without full-page images.
func BenchmarkWAL(b *testing.B) {
	server := servers.StartPostgres(b, "full_page_writes = off", "autovacuum = off")
	db := open(b, "pgx", server.URL())
	testStore := newStore(b, db, pgstore.Options{})
	const n = 5000
	before := walPosition(b, db)
	for range n {
		if err := flow(b.Context(), testStore); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(walPosition(b, db)-before)/n, "B/flow")
}

func walPosition(tb testing.TB, db *sql.DB) (bytes int64) {
	tb.Helper()
	if err := db.QueryRow("SELECT (pg_current_wal_insert_lsn() - '0/0')::int8").Scan(&bytes); err != nil {
		tb.Fatal(err)
	}
	return bytes
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

// rate returns how often a second that many clients together get f done.
func rate(tb testing.TB, clients int, f func(context.Context) error) float64 {
	tb.Helper()
	ctx := tb.Context()
	begin := time.Now()
	var done atomic.Int64
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for time.Since(begin) < 1500*time.Millisecond {
				if err := f(ctx); err != nil {
					tb.Error(err)
					return
				}
				done.Add(1)
			}
		})
	}
	all.Wait()
	return float64(done.Load()) / time.Since(begin).Seconds()
}

// newLimit returns the least flow.
func newLimit(tb testing.TB, url string, clients int) func(context.Context) error {
	tb.Helper()
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		tb.Fatal(err)
	}
	config.MaxConns = int32(clients)
	pool, err := pgxpool.NewWithConfig(tb.Context(), config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(pool.Close)
	const table = "CREATE TABLE least (key bytea PRIMARY KEY, body bytea) WITH (fillfactor = 80)"
	if _, err := pool.Exec(tb.Context(), table); err != nil {
		tb.Fatal(err)
	}
	return func(ctx context.Context) error {
		key, body := []byte(timeOrdered()), random(bodySize)
		if _, err := pool.Exec(ctx, "INSERT INTO least VALUES ($1, $2)", key, body); err != nil {
			return err
		}
		_, err := pool.Exec(ctx, "UPDATE least SET body = $2 WHERE key = $1", key, random(bodySize))
		return err
	}
}
