package pgstore

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/internal/sqlmigrate"
)

var (
	//go:embed sql/check.sql
	checkSQL string
	//go:embed sql/objects.sql
	objectsSQL string
)

// lockPatience is for how long Check waits for a second connection.
const lockPatience = 5 * time.Second

// Check tells whether a Store with these Options can rely on the database:
//
//   - the tables and functions are there, are those of this program, and the user of db may use them;
//   - the server is a primary that takes writes, and gives the isolation that it is asked for;
//   - an advisory lock of one connection keeps another one waiting;
//   - what was committed survives: fsync is on, unless Options.InsecureNoFsync, and synchronous_commit can be turned on.
//
// If not, the error matches [store.ErrMisconfigured] and tells what is wrong. If the database could not be asked, it
// matches [store.ErrUnavailable], or wraps ctx.Err(). Check writes nothing. Call it before New, unless Migrate was called
// there. It takes two connections at a time; where the pool has no second one, it asks the server instead whether it
// holds the lock of the first.
func Check(ctx context.Context, db *sql.DB, opts Options) error {
	prefix, err := sqlmigrate.Prefix(opts.Prefix)
	if err != nil {
		return fmt.Errorf("pgstore: check: %w", err)
	}
	err = checkSchema(ctx, db, prefix)
	if err == nil {
		err = inTransaction(ctx, db, func(tx *sql.Tx) error {
			if err := checkServer(ctx, tx, opts); err != nil {
				return err
			}
			return checkLocks(ctx, db, tx, lockID('c', prefix, ""))
		})
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrMisconfigured):
		return fmt.Errorf("pgstore: check: %w", err)
	}
	return unavailable(ctx, "check", err)
}

// checkSchema demands the tables and functions.
func checkSchema(ctx context.Context, db *sql.DB, prefix string) error {
	if err := sqlmigrate.Check(ctx, db, schema(), prefix, noTable); err != nil {
		return err
	}
	var missing, forbidden string
	if err := db.QueryRowContext(ctx, sqlmigrate.Expand(objectsSQL, prefix)).Scan(&missing, &forbidden); err != nil {
		return err
	}
	var wrong []error
	if missing != "" {
		wrong = append(wrong, fmt.Errorf("missing, although Migrate made them once: %s", missing))
	}
	if forbidden != "" {
		wrong = append(wrong, fmt.Errorf("the user of the database lacks privileges on: %s", forbidden))
	}
	return misconfigured(wrong)
}

// misconfigured joins what is wrong, nil if nothing is.
func misconfigured(wrong []error) error {
	if wrong == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", store.ErrMisconfigured, errors.Join(wrong...))
}

// checkServer demands the settings, in a transaction that inTransaction began.
func checkServer(ctx context.Context, tx *sql.Tx, opts Options) error {
	var isolation, readOnly, fsync, synchronous string
	var replica bool
	if err := tx.QueryRowContext(ctx, checkSQL).Scan(&isolation, &readOnly, &replica, &fsync, &synchronous); err != nil {
		return err
	}
	var wrong []error
	switch {
	case replica:
		wrong = append(wrong, errors.New("the server is a replica: connect to the primary"))
	case readOnly != "off":
		wrong = append(wrong, errors.New("transactions are read-only: want default_transaction_read_only off"))
	}
	if isolation != "read committed" {
		wrong = append(wrong, fmt.Errorf("a transaction under READ COMMITTED is under %q", isolation))
	}
	if fsync != "on" && !opts.InsecureNoFsync {
		wrong = append(wrong, fmt.Errorf("fsync is %q, so that a crash of the machine loses commits: "+
			"want on, or Options.InsecureNoFsync", fsync))
	}
	if synchronous == "off" {
		wrong = append(wrong, errors.New("synchronous_commit is off and stays off, so that a crash loses commits"))
	}
	return misconfigured(wrong)
}

// checkLocks demands that a lock of tx keeps others waiting.
func checkLocks(ctx context.Context, db *sql.DB, tx *sql.Tx, id int64) error {
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", id); err != nil {
		return locksOf(err)
	}
	if db.Stats().MaxOpenConnections != 1 {
		second, cancel := context.WithTimeout(ctx, lockPatience)
		defer cancel()
		var got bool
		err := db.QueryRowContext(second, "SELECT pg_try_advisory_xact_lock_shared($1)", id).Scan(&got)
		switch {
		case err == nil && got:
			return fmt.Errorf("%w: the server grants one advisory lock to two connections, so that one code could sign in twice",
				store.ErrMisconfigured)
		case err == nil:
			return nil
		case second.Err() == nil && !refused(err) || ctx.Err() != nil:
			return locksOf(err)
		}
	}
	return holdsLock(ctx, tx, id)
}

// holdsLock demands that the server counts the lock among those of tx.
func holdsLock(ctx context.Context, tx *sql.Tx, id int64) error {
	const statement = `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid()
		AND mode = 'ExclusiveLock' AND classid::int8 << 32 | objid::int8 = $1 AND objsubid = 1`
	var held int
	if err := tx.QueryRowContext(ctx, statement, id).Scan(&held); err != nil {
		return locksOf(err)
	}
	if held == 0 {
		return fmt.Errorf("%w: the server does not hold an advisory lock that it granted, so that one code could sign in twice",
			store.ErrMisconfigured)
	}
	return nil
}

// locksOf returns the error of a statement on advisory locks: that there are none, or whatever else failed.
func locksOf(err error) error {
	switch sqlState(err) {
	case "42883", "42P01", "0A000": // undefined_function, undefined_table, feature_not_supported
		return fmt.Errorf("%w: the server has no advisory locks, so that one code could sign in twice (SQLSTATE %s)",
			store.ErrMisconfigured, sqlState(err))
	}
	return err
}
