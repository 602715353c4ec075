// Package pgstore is a [store.Store] on PostgreSQL 13 or later.
//
// It is written on database/sql and imports no adapter: bring pgx (its package stdlib) or lib/pq. With lib/pq add
// binary_parameters=yes to the connection string, which saves a round trip a call.
//
//	db, err := sql.Open("pgx", url)
//	err = pgstore.Migrate(ctx, db, pgstore.Options{}) // or, where somebody else migrates, Check
//	store, err := pgstore.New(db, pgstore.Options{})
//
// Each verb is one statement (Sweep: several short ones) in a transaction of its own, and Commit is one call of a
// function. So no connection is held for longer than a call, a pool of one completes any number of goroutines, and a
// pooler in transaction mode may stand between, since nothing is left in the session. (Where the pooler does not know
// prepared statements, as PgBouncer before 1.21, tell pgx not to use them: default_query_exec_mode=exec.)
//
// # Isolation
//
// Commits are serializable under READ COMMITTED, PostgreSQL's default, by the locks that the function takes. Where
// default_transaction_isolation is another level, a Commit begins a transaction of that level itself, which takes two
// more round trips. Write to the tables by no other means.
//
// The locks are advisory locks of the transaction, one for each key of the batch, under 63-bit numbers hashed from the
// prefix and the key. If one collides with another key, or with an advisory lock of the application, a commit waits
// longer, and that is all. They live in the memory that max_locks_per_transaction sizes. A product that speaks
// PostgreSQL's protocol and has no such locks, or grants them to everybody, would let one code sign in twice: Check refuses
// it.
//
// Connect to the primary. On a replica Load and Commit fail.
//
// # Durability
//
// A Commit that returned nil survives a kill -9 of the server, a crash of the machine and a loss of power. Where
// synchronous_commit is off, the function of Commit turns it on for its own transaction; any other value of it waits at
// least for the server's own disk, and stays as it is. What is lost otherwise:
//
//   - with fsync = off, at a crash of the machine, possibly everything: a code that was used may then be used once more, and
//     what was revoked may be valid again. Check refuses that, unless Options.InsecureNoFsync;
//   - with asynchronous replication, at a promotion, the commits that had not reached the replica, with the same
//     effect. A failover without loss needs synchronous_standby_names, with several replicas as a quorum (ANY 1 (...)),
//     and synchronous_commit on or remote_apply.
//
// Buckets whose charges are not Durable are in an UNLOGGED table, which PostgreSQL empties after a crash and on a
// promoted replica: their limits start afresh. An orderly restart keeps them. Records and Durable buckets are logged.
//
// # Errors
//
// An error that matches ErrMisconfigured means that waiting does not help: its text says what to do, such as to call Migrate.
//
// An error that matches ErrUnavailable or ErrUncertain tells the server's code (SQLSTATE) but not its message, which may quote
// data; errors.As finds the adapter's own error. Of a Commit whose connection broke while it waited for the answer, or whose
// context ended then, it is not known whether it was applied: the error matches ErrUncertain. Since lib/pq calls such an error
// driver.ErrBadConn, which is meant for statements that were not sent, that one is uncertain, too.
package pgstore

import (
	"context"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/internal/sqlmigrate"
)

var _ store.Store = (*Store)(nil)

//go:embed schema
var schemaFiles embed.FS

var (
	//go:embed sql/load.sql
	loadSQL string
	//go:embed sql/commit.sql
	commitSQL string
	//go:embed sql/list.sql
	listSQL string
	//go:embed sql/sweep.sql
	sweepSQL string
)

// Options tell which tables a Store uses. The zero value is ready.
type Options struct {
	// Prefix begins the name of each table and function, so that several stores fit in one database: a-z, 0-9 and '_', at most 32
	// bytes, the first a letter. The zero value means "passwordless_". The schema is that of the connection's search_path.
	Prefix string
	// InsecureNoFsync accepts a server with fsync off. A crash of its machine can lose everything, or what Commit
	// acknowledged: codes that were used work again. A deviation in Service.Policy.
	InsecureNoFsync bool
}

// deviations names the insecure options.
func (o Options) deviations() []string {
	if o.InsecureNoFsync {
		return []string{"InsecureNoFsync: a crash of the database's machine can lose everything, and codes that were used work again"}
	}
	return nil
}

// A Store keeps everything in one database. It has no state but the pool, and is safe for concurrent use.
type Store struct {
	db *sql.DB
	// begin is set once a transaction was found to begin under another level than READ COMMITTED. From then on a Commit
	// begins its transaction itself, which takes two more round trips.
	begin              atomic.Bool
	deviations         []string
	prefix             string
	load, commit, list string
	sweeps             []sweep // one for each table
}

type sweep struct {
	statement string
	unit      store.Instant // of the table's instants, in nanoseconds
}

// New returns a Store on db, which stays the caller's. It does not connect; Migrate makes the tables.
func New(db *sql.DB, opts Options) (*Store, error) {
	prefix, err := sqlmigrate.Prefix(opts.Prefix)
	if err != nil {
		return nil, fmt.Errorf("pgstore: %w", err)
	}
	s := &Store{
		db: db,

		deviations: opts.deviations(),

		prefix: prefix,
		load:   sqlmigrate.Expand(loadSQL, prefix),
		commit: sqlmigrate.Expand(commitSQL, prefix),
		list:   sqlmigrate.Expand(listSQL, prefix),
	}
	s.sweeps = []sweep{
		s.sweep("records", "expires", 1),
		s.sweep("buckets", fullAt, 1000),
		s.sweep("windows", fullAt, 1000),
	}
	return s, nil
}

// fullAt is when the windows of a bucket are full.
const fullAt = "(SELECT max(n) FROM unnest(full_at) AS n)"

// sweep returns how to sweep a table whose rows expire at the expression.
func (s *Store) sweep(table, expires string, unit store.Instant) sweep {
	names := strings.NewReplacer("{{table}}", s.prefix+table, "{{expires}}", expires)
	return sweep{names.Replace(sweepSQL), unit}
}

// Migrate makes the tables and functions of a Store with these Options, or brings them up to date, in one transaction.
// Several processes may run it at once. It refuses tables that a newer program made. The user of db must be allowed to
// create tables and functions; that of a Store needs SELECT, INSERT, UPDATE and DELETE on the tables. At its end it
// returns what Check does: the tables are there then, whatever that finds.
func Migrate(ctx context.Context, db *sql.DB, opts Options) error {
	prefix, err := sqlmigrate.Prefix(opts.Prefix)
	if err != nil {
		return fmt.Errorf("pgstore: migrate: %w", err)
	}
	lock := fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", lockID('m', prefix, ""))
	dialect := sqlmigrate.Dialect{Begin: []string{"BEGIN ISOLATION LEVEL READ COMMITTED", lock}}
	if err := sqlmigrate.Up(ctx, db, schema(), prefix, dialect); err != nil {
		return fmt.Errorf("pgstore: migrate: %w", err)
	}
	return Check(ctx, db, opts)
}

// schema returns the files of the schema.
func schema() fs.FS {
	files, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		panic(err) // the name is no path
	}
	return files
}

// Deviations names the insecure options (see [store.Deviations]).
func (s *Store) Deviations() []string { return slices.Clone(s.deviations) }

// Load returns one record per key, in the order of keys.
func (s *Store) Load(ctx context.Context, now store.Instant, keys ...store.Key) ([]store.Record, error) {
	var list array
	for _, k := range keys {
		list.bytes(column(k))
	}
	rows, err := s.query(ctx, s.load, list.text(), int64(now))
	if err != nil {
		return nil, unavailable(ctx, "load", err)
	}
	loaded := make([]store.Record, len(keys))
	for _, row := range rows {
		loaded[row.place-1] = row.record
	}
	for i, k := range keys {
		loaded[i].Key = k
	}
	return loaded, nil
}

// List returns the records of an owner in the order of their names. Records without an owner are not listed. A cursor
// is the name, in hex, of the last record of the page before.
func (s *Store) List(ctx context.Context, now store.Instant, kind store.Kind, page store.Page) ([]store.Record, string, error) {
	last, err := hex.DecodeString(page.Cursor)
	if err != nil {
		return nil, "", errors.New("pgstore: list: not a cursor of this store")
	}
	from, to := column(store.Key{Kind: kind, Name: string(last)}), string(kind)+string(separator+1)
	rows, err := s.query(ctx, s.list, []byte(page.Owner), []byte(from), []byte(to), int64(now), page.Limit+1)
	if err != nil {
		return nil, "", unavailable(ctx, "list", err)
	}
	var records []store.Record
	for _, row := range rows[:min(page.Limit, len(rows))] {
		row.record.Key = store.Key{Kind: kind, Name: row.key[len(kind)+1:]}
		records = append(records, row.record)
	}
	if len(rows) <= page.Limit {
		return records, "", nil
	}
	return records, hex.EncodeToString([]byte(records[page.Limit-1].Key.Name)), nil
}

// A row is a record as Load and List select it.
type row struct {
	place  int    // of its key among those asked for, counted from 1; of Load
	key    string // of List
	record store.Record
}

// query selects rows. It tries again when the connection fails: a server that was restarted leaves a pool of broken ones.
func (s *Store) query(ctx context.Context, statement string, args ...any) ([]row, error) {
	for try := 1; ; try++ {
		rows, err := s.queryOnce(ctx, statement, args)
		if err == nil || wroteNothing(err) && !refused(err) || try == maxTries || !pause(ctx, try) {
			return rows, err
		}
	}
}

func (s *Store) queryOnce(ctx context.Context, statement string, args []any) ([]row, error) {
	rows, err := s.db.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []row
	for rows.Next() {
		var r row
		var version []byte
		if err := rows.Scan(&r.place, &r.key, &version, &r.record.Expires, &r.record.Owner, &r.record.Body); err != nil {
			return nil, err
		}
		copy(r.record.Version[:], version)
		all = append(all, r)
	}
	return all, rows.Err()
}

// sweepBatch bounds how many rows one statement of Sweep locks, and so for how long a commit may wait for one of them.
const sweepBatch = 256

// Sweep removes records that were expired, and buckets that were full, at now, in small transactions. It skips rows
// that a commit is changing.
func (s *Store) Sweep(ctx context.Context, now store.Instant, limit int) (int, error) {
	removed := 0
	for _, sweep := range s.sweeps {
		for more := true; more && removed < limit; {
			batch := min(limit-removed, sweepBatch)
			var seen, gone int
			err := inTransaction(ctx, s.db, func(tx *sql.Tx) error {
				return tx.QueryRowContext(ctx, sweep.statement, int64(now/sweep.unit), batch).Scan(&seen, &gone)
			})
			if err != nil {
				return removed, unavailable(ctx, "sweep", err)
			}
			removed += gone
			more = seen == batch
		}
	}
	return removed, nil
}
