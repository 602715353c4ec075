// Package sqlitestore is a [store.Store] in an SQLite file, for the processes of one machine.
//
// It is written on database/sql and imports no driver. With modernc.org/sqlite:
//
//	db, err := sql.Open("sqlite", sqlitestore.DSN("passwordless.db"))
//	err = sqlitestore.Migrate(ctx, db, sqlitestore.Options{}) // or, where somebody else migrates, Check
//	store, err := sqlitestore.New(db, sqlitestore.Options{})
//
// Another driver needs the same settings, in its own words, on each connection of the pool:
//
//   - journal_mode WAL, else readers and the writer wait for each other;
//   - synchronous FULL, see below;
//   - busy_timeout 5000 or so: for how many milliseconds one process waits for another.
//
// All but the first belong to a connection: a PRAGMA that is run once sets one connection of the pool. Check looks at one.
//
// For github.com/mattn/go-sqlite3 that is
// "file:passwordless.db?_journal_mode=WAL&_synchronous=FULL&_busy_timeout=5000".
//
// SQLite must be 3.37 or later, and the file on a local disk. A database in memory belongs to one connection, which a
// pool may replace: use package memstore instead.
//
// # Isolation
//
// SQLite has one writer at a time. A Commit takes that lock before it reads, so commits run one after another, whatever
// mode transactions begin in. If another process holds the lock for longer than the busy timeout, three times in a row,
// the error matches ErrUnavailable. A Load is one SELECT, sees one snapshot, and waits for nobody.
//
// A context is looked at while a Commit waits for its turn and for a connection. Once it has begun it is finished: it
// is short, and so its outcome is known, unless the disk fails at the end (ErrUncertain).
//
// # Durability
//
// With synchronous FULL a Commit that returned nil survives a kill -9 and a loss of power, if the disk keeps what it
// says it has written. With NORMAL, which is many times as fast, it survives a kill -9, but a crash of the machine may
// undo the last commits: a code that was used may then be used once more. Check refuses that, unless
// Options.InsecureNormal. Buckets are as durable as records, also where their charges do not ask for it.
package sqlitestore

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"

	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/internal/sqlmigrate"
)

var _ store.Store = (*Store)(nil)

//go:embed schema sql
var files embed.FS

// DSN returns what modernc.org/sqlite opens the file at path by, with the settings above. The file is made if it is not there.
func DSN(path string) string {
	escaped := (&url.URL{Path: path}).EscapedPath()
	return "file:" + escaped + "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"
}

// Options tell which tables a Store uses. The zero value is ready.
type Options struct {
	// Prefix begins the name of each table: a-z, 0-9 and '_', at most 32 bytes, the first a letter. The zero value means
	// "passwordless_".
	Prefix string
	// InsecureNormal accepts connections with synchronous NORMAL. A crash of the machine can undo the last commits: codes
	// that were used in them work again. A deviation in Service.Policy.
	InsecureNormal bool
}

// A Store keeps everything in one file. It is safe for concurrent use, also beside the Stores of other processes on the
// same file.
type Store struct {
	db     *sql.DB
	turn   chan struct{} // holds a token while a goroutine of this Store writes
	normal bool          // synchronous NORMAL is accepted

	loadText string // with {{keys}} in place of the parameters
	load     *sql.Stmt
	list     *sql.Stmt
	sweeps   []sweep
	commit   statements
}

// statements are those of Commit.
type statements struct{ lock, version, bucket, fill, put, delete *sql.Stmt }

// A sweep is how one table is swept.
type sweep struct {
	postpone, remove *sql.Stmt
	unit             store.Instant // of the table's instants, in nanoseconds
}

// New returns a Store on db, which stays the caller's, and whose tables Migrate has made. Without them its error matches
// [store.ErrMisconfigured].
func New(db *sql.DB, opts Options) (*Store, error) {
	prefix, err := sqlmigrate.Prefix(opts.Prefix)
	if err != nil {
		return nil, fmt.Errorf("sqlitestore: %w", err)
	}
	p := preparer{db: db, prefix: prefix}
	s := &Store{db: db, turn: make(chan struct{}, 1), normal: opts.InsecureNormal, loadText: p.text("load")}
	s.load = p.prepare(strings.ReplaceAll(s.loadText, "{{keys}}", "?2, ?3, ?4, ?5"))
	s.list = p.prepare(p.text("list"))
	s.commit = statements{
		lock:    p.prepare(p.text("lock")),
		version: p.prepare(p.text("version")),
		bucket:  p.prepare(p.text("bucket")),
		fill:    p.prepare(p.text("fill")),
		put:     p.prepare(p.text("put")),
		delete:  p.prepare(p.text("delete")),
	}
	s.sweeps = []sweep{p.sweep("records", 1), p.sweep("buckets", 1000)}
	switch {
	case p.err != nil && noTable(p.err):
		return nil, fmt.Errorf("sqlitestore: prepare the statements: %w: call Migrate: %w", store.ErrMisconfigured, p.err)
	case p.err != nil:
		return nil, fmt.Errorf("sqlitestore: prepare the statements: %w", p.err)
	}
	return s, nil
}

// Deviations names the insecure options (see [store.Deviations]).
func (s *Store) Deviations() []string {
	if s.normal {
		return []string{"InsecureNormal: a crash of the machine can undo the last commits, and codes that were used in them work again"}
	}
	return nil
}

// A preparer prepares the statements of a Store. They are closed with db.
type preparer struct {
	db     *sql.DB
	prefix string
	err    error // the first
}

// text returns the text of a file in the folder sql.
func (p *preparer) text(name string) string {
	text, err := files.ReadFile("sql/" + name + ".sql")
	if err != nil && p.err == nil {
		p.err = err
	}
	return sqlmigrate.Expand(string(text), p.prefix)
}

func (p *preparer) prepare(text string) *sql.Stmt {
	statement, err := p.db.Prepare(text)
	if err != nil && p.err == nil {
		p.err = err
	}
	return statement
}

func (p *preparer) sweep(table string, unit store.Instant) sweep {
	of := func(text string) string { return strings.ReplaceAll(text, "{{table}}", p.prefix+table) }
	return sweep{p.prepare(of(p.text("postpone"))), p.prepare(of(p.text("remove"))), unit}
}

// Migrate makes the tables of a Store with these Options, or brings them up to date, in one transaction. Several
// processes may run it at once. It refuses tables that a newer program made. At its end it returns what Check does: the
// tables are there then, whatever that finds.
func Migrate(ctx context.Context, db *sql.DB, opts Options) error {
	prefix, err := sqlmigrate.Prefix(opts.Prefix)
	if err != nil {
		return fmt.Errorf("sqlitestore: migrate: %w", err)
	}
	dialect := sqlmigrate.Dialect{Begin: []string{"BEGIN IMMEDIATE"}, Retry: busy}
	if err := sqlmigrate.Up(ctx, db, schema(), prefix, dialect); err != nil {
		return fmt.Errorf("sqlitestore: migrate: %w", err)
	}
	return Check(ctx, db, opts)
}

// schema returns the files of the schema.
func schema() fs.FS {
	schema, err := fs.Sub(files, "schema")
	if err != nil {
		panic(err) // the name is no path
	}
	return schema
}

// separator stands between kind and name in the key column. No kind contains it.
const separator = '/'

// column returns k as the key column has it.
func column(k store.Key) []byte {
	b := make([]byte, 0, len(k.Kind)+1+len(k.Name))
	b = append(b, k.Kind...)
	b = append(b, separator)
	return append(b, k.Name...)
}

// Load returns one record per key, in the order of keys.
func (s *Store) Load(ctx context.Context, now store.Instant, keys ...store.Key) ([]store.Record, error) {
	rows, err := s.query(ctx, now, keys)
	if err != nil {
		return nil, unavailable(ctx, "load", err)
	}
	found := make(map[string]store.Record, len(keys))
	err = scan(rows, func(key []byte, r store.Record) { found[string(key)] = r })
	if err != nil {
		return nil, unavailable(ctx, "load", err)
	}
	loaded := make([]store.Record, len(keys))
	for i, k := range keys {
		loaded[i] = found[string(column(k))]
		loaded[i].Key = k
		loaded[i].Body = bytes.Clone(loaded[i].Body) // keys may repeat
	}
	return loaded, nil
}

// query selects the records under the keys, by a prepared statement if they are few.
func (s *Store) query(ctx context.Context, now store.Instant, keys []store.Key) (*sql.Rows, error) {
	args := make([]any, 1, 5)
	args[0] = int64(now)
	for _, k := range keys {
		args = append(args, column(k))
	}
	for len(args) < 5 {
		args = append(args, nil)
	}
	if len(args) == 5 {
		return s.load.QueryContext(ctx, args...)
	}
	marks := strings.Repeat("?, ", len(keys)-1) + "?"
	return s.db.QueryContext(ctx, strings.ReplaceAll(s.loadText, "{{keys}}", marks), args...)
}

// scan calls f with each row, and closes rows.
func scan(rows *sql.Rows, f func(key []byte, r store.Record)) error {
	defer rows.Close()
	for rows.Next() {
		var key, version []byte
		var r store.Record
		if err := rows.Scan(&key, &version, &r.Expires, &r.Owner, &r.Body); err != nil {
			return err
		}
		copy(r.Version[:], version)
		f(key, r)
	}
	return rows.Err()
}

// List returns the records of an owner in the order of their names. Records without an owner are not listed. A cursor
// is the name, in hex, of the last record of the page before.
func (s *Store) List(ctx context.Context, now store.Instant, kind store.Kind, page store.Page) ([]store.Record, string, error) {
	last, err := hex.DecodeString(page.Cursor)
	if err != nil {
		return nil, "", errors.New("sqlitestore: list: not a cursor of this store")
	}
	from, to := column(store.Key{Kind: kind, Name: string(last)}), append([]byte(kind), separator+1)
	rows, err := s.list.QueryContext(ctx, []byte(page.Owner), from, to, int64(now), page.Limit+1)
	if err != nil {
		return nil, "", unavailable(ctx, "list", err)
	}
	var records []store.Record
	err = scan(rows, func(key []byte, r store.Record) {
		r.Key = store.Key{Kind: kind, Name: string(key[len(kind)+1:])}
		records = append(records, r)
	})
	if err != nil {
		return nil, "", unavailable(ctx, "list", err)
	}
	if len(records) <= page.Limit {
		return records, "", nil
	}
	return records[:page.Limit], hex.EncodeToString([]byte(records[page.Limit-1].Key.Name)), nil
}

// sweepBatch bounds how many rows one transaction of Sweep looks at, and so for how long a commit waits.
const sweepBatch = 256

// Sweep removes records that were expired, and buckets that were full, at now, in small transactions.
func (s *Store) Sweep(ctx context.Context, now store.Instant, limit int) (int, error) {
	removed := 0
	for _, sweep := range s.sweeps {
		for more := true; more && removed < limit; {
			batch := min(limit-removed, sweepBatch)
			var postponed, gone int64
			err := s.write(ctx, "sweep", func(tx *sql.Tx) error {
				var err error
				if postponed, err = affected(tx, sweep.postpone, now/sweep.unit, batch); err != nil {
					return err
				}
				gone, err = affected(tx, sweep.remove, now/sweep.unit, batch)
				return err
			})
			if err != nil {
				return removed, err
			}
			removed += int(gone)
			more = postponed+gone >= int64(batch)
		}
	}
	return removed, nil
}

// affected executes a statement of Sweep and returns how many rows it changed.
func affected(tx *sql.Tx, statement *sql.Stmt, now store.Instant, batch int) (int64, error) {
	result, err := tx.Stmt(statement).Exec(int64(now), batch)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
