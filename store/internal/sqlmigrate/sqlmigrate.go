// Package sqlmigrate brings the tables of an SQL driver up to date.
//
// A schema is a folder of files 0001_name.sql, 0002_name.sql and so on without a gap, each applied once, in that order.
// Published files are not edited: a change is another file. In each, {{prefix}} stands for the prefix of all table names.
package sqlmigrate

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

// DefaultPrefix is the prefix of all names in the database unless another is asked for.
const DefaultPrefix = "passwordless_"

// maxPrefix keeps the longest name under the 63 bytes of a PostgreSQL identifier.
const maxPrefix = 32

// A Querier is an *sql.DB, *sql.Conn or *sql.Tx.
type Querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Check tells whether the database has all files of the schema and no others: its error matches store.ErrMisconfigured if not.
// missing tells whether an error of the database says that there is no such table. Other errors are returned as they are.
func Check(ctx context.Context, db Querier, schema fs.FS, prefix string, missing func(error) bool) error {
	files, err := read(schema)
	if err != nil {
		return err
	}
	table := prefix + "schema"
	var have int
	err = db.QueryRowContext(ctx, "SELECT coalesce(max(version), 0) FROM "+table).Scan(&have)
	switch {
	case err != nil && missing(err):
		return fmt.Errorf("%w: there is no table %s: call Migrate", store.ErrMisconfigured, table)
	case err != nil:
		return err
	case have < len(files):
		return fmt.Errorf("%w: %s is at version %d, and this program needs %d: call Migrate",
			store.ErrMisconfigured, table, have, len(files))
	case have > len(files):
		return fmt.Errorf("%w: %w", store.ErrMisconfigured, tooNew(table, have, len(files)))
	}
	return nil
}

// tooNew is the error of a database that a newer program made.
func tooNew(table string, have, know int) error {
	return fmt.Errorf("%s is at version %d, and this program knows only %d: it needs a newer one", table, have, know)
}

// A Dialect is what differs between engines.
type Dialect struct {
	// Begin starts a transaction that no other migration of the same prefix can be in at the same time, as one statement
	// or several.
	Begin []string
	// Retry tells whether an error of the first of them wrote nothing and may pass. May be nil: none does.
	Retry func(error) bool
}

// Prefix returns the prefix to use for the one that the caller gave: that, or DefaultPrefix for "". It refuses what could be
// more than a part of a name: a prefix consists of a-z, 0-9 and '_', begins with a letter and has at most 32 bytes.
func Prefix(given string) (string, error) {
	if given == "" {
		return DefaultPrefix, nil
	}
	if len(given) > maxPrefix {
		return "", fmt.Errorf("prefix of %d bytes, want at most %d", len(given), maxPrefix)
	}
	for i, c := range []byte(given) {
		letter := 'a' <= c && c <= 'z'
		if !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return "", errors.New("prefix must consist of a-z, 0-9 and '_' and begin with a letter")
		}
	}
	return given, nil
}

// Expand returns text with the prefix, which Prefix returned, in place.
func Expand(text, prefix string) string {
	return strings.ReplaceAll(text, "{{prefix}}", prefix)
}

// Up applies the files that the database does not have yet, all in one transaction. It may run in many processes at
// once: one applies them, the others wait and find them there. A database that has files which this program does not
// know is refused: a newer program made it.
func Up(ctx context.Context, db *sql.DB, schema fs.FS, prefix string, d Dialect) error {
	files, err := read(schema)
	if err != nil {
		return err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close()
	if err := begin(ctx, conn, prefix, d); err != nil {
		end(ctx, conn)
		return fmt.Errorf("lock: %w", err)
	}
	if err := up(ctx, conn, files, prefix); err != nil {
		end(ctx, conn)
		return err
	}
	if _, err := conn.ExecContext(ctx, "COMMIT"); err != nil {
		end(ctx, conn)
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// read returns the files, the first at 0.
func read(schema fs.FS) ([]string, error) {
	names, err := fs.Glob(schema, "*.sql")
	if err != nil {
		return nil, err
	}
	files := make([]string, len(names))
	for i, name := range names {
		if !strings.HasPrefix(name, fmt.Sprintf("%04d_", i+1)) {
			return nil, fmt.Errorf("schema file %s is out of sequence", name)
		}
		text, err := fs.ReadFile(schema, name)
		if err != nil {
			return nil, err
		}
		files[i] = string(text)
	}
	return files, nil
}

// begin starts the transaction. It retries what the dialect says, until ctx ends.
func begin(ctx context.Context, conn *sql.Conn, prefix string, d Dialect) error {
	for i, statement := range d.Begin {
		_, err := conn.ExecContext(ctx, Expand(statement, prefix))
		for err != nil && i == 0 && d.Retry != nil && d.Retry(err) && sleep(ctx, 10*time.Millisecond) {
			_, err = conn.ExecContext(ctx, Expand(statement, prefix))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sleep returns false when ctx ended before d was over.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// up applies the missing files within the transaction.
func up(ctx context.Context, conn *sql.Conn, files []string, prefix string) error {
	table := prefix + "schema"
	if _, err := conn.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS "+table+" (version integer PRIMARY KEY)"); err != nil {
		return fmt.Errorf("create %s: %w", table, err)
	}
	var have int
	if err := conn.QueryRowContext(ctx, "SELECT coalesce(max(version), 0) FROM "+table).Scan(&have); err != nil {
		return fmt.Errorf("read %s: %w", table, err)
	}
	if have > len(files) {
		return fmt.Errorf("%w: %w", store.ErrMisconfigured, tooNew(table, have, len(files)))
	}
	for i := have; i < len(files); i++ {
		// The version is part of the text, and the text is sent without arguments, so that every adapter takes several
		// statements at once.
		text := Expand(files[i], prefix) + fmt.Sprintf("\n;INSERT INTO %s (version) VALUES (%d)", table, i+1)
		if _, err := conn.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("apply schema version %d: %w", i+1, err)
		}
	}
	return nil
}

// end leaves the transaction, also when ctx ended, and gives up the connection if it cannot.
func end(ctx context.Context, conn *sql.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if _, err := conn.ExecContext(ctx, "ROLLBACK"); err != nil {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}
}
