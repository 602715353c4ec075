package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/internal/sqlmigrate"
)

// Check tells whether a Store with these Options can rely on the file: its tables are there and are those of this
// program, and a connection of the pool has the settings of the package comment. It does not demand WAL, but a journal on
// the disk.
//
// If not, the error matches [store.ErrMisconfigured] and tells all that is wrong. If the file could not be read, it matches
// [store.ErrUnavailable], or wraps ctx.Err(). Check writes nothing. Call it before New, unless Migrate was called there.
func Check(ctx context.Context, db *sql.DB, opts Options) error {
	prefix, err := sqlmigrate.Prefix(opts.Prefix)
	if err != nil {
		return fmt.Errorf("sqlitestore: check: %w", err)
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return unavailable(ctx, "check", err)
	}
	defer conn.Close()
	unmigrated := sqlmigrate.Check(ctx, conn, schema(), prefix, noTable)
	if unmigrated != nil && !errors.Is(unmigrated, store.ErrMisconfigured) {
		return unavailable(ctx, "check", unmigrated)
	}
	wrong, err := settings(ctx, conn, opts)
	if err != nil {
		return unavailable(ctx, "check", err)
	}
	if err := errors.Join(unmigrated, wrong); err != nil {
		return fmt.Errorf("sqlitestore: check: %w", err)
	}
	return nil
}

// The values of PRAGMA synchronous.
const (
	synchronousNormal = 1
	synchronousFull   = 2
)

// settings returns what is wrong with a connection, or the error that kept it from being asked.
func settings(ctx context.Context, conn *sql.Conn, opts Options) (wrong, err error) {
	var journal string
	var synchronous, timeout int
	for pragma, to := range map[string]any{"journal_mode": &journal, "synchronous": &synchronous, "busy_timeout": &timeout} {
		if err := conn.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(to); err != nil {
			return nil, err
		}
	}
	var all []error
	if journal == "off" || journal == "memory" {
		all = append(all, fmt.Errorf("journal_mode is %q, so that a crash tears commits apart: want WAL on a file; "+
			"a database in memory belongs to one connection, use package memstore instead", journal))
	}
	least := synchronousFull
	if opts.InsecureNormal {
		least = synchronousNormal
	}
	if synchronous < least {
		all = append(all, fmt.Errorf("synchronous is %d, so that a crash of the machine loses commits: want FULL (2), "+
			"or NORMAL (1) with Options.InsecureNormal", synchronous))
	}
	if timeout == 0 {
		all = append(all, errors.New("busy_timeout is 0, so that a commit fails while another process writes: want 5000 or so"))
	}
	if all == nil {
		return nil, nil
	}
	return fmt.Errorf("%w: %w", store.ErrMisconfigured, errors.Join(all...)), nil
}
