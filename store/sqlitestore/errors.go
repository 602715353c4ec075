package sqlitestore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"github.com/seed62b93bad/passwordless/store"
)

// unavailable returns the error of a verb that wrote nothing. SQLite's messages name tables and columns, but no values.
func unavailable(ctx context.Context, verb string, err error) error {
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("sqlitestore: %s: %w (%w)", verb, ended, err)
	}
	if noTable(err) {
		return fmt.Errorf("sqlitestore: %s: %w: %w: call Migrate: %w", verb, store.ErrUnavailable, store.ErrMisconfigured, err)
	}
	return fmt.Errorf("sqlitestore: %s: %w: %w", verb, store.ErrUnavailable, err)
}

// noTable tells whether SQLite found no such table or column. It has no code for that alone.
func noTable(err error) bool {
	return strings.Contains(err.Error(), "no such table") || strings.Contains(err.Error(), "no such column")
}

// commitFailed returns the error of a COMMIT, nil if there was none. An SQLite that is busy has written nothing. What
// another failure, of the disk, leaves behind is decided when the file is opened next.
func commitFailed(conn *sql.Conn, err error) error {
	if err == nil {
		return nil
	}
	giveUp(conn) // it may still be in the transaction
	if busy(err) {
		return err
	}
	return fmt.Errorf("sqlitestore: commit: %w: %w", store.ErrUncertain, err)
}

// giveUp closes conn instead of giving it back to the pool.
func giveUp(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
}

// busy tells whether SQLite found the file locked. The errors of modernc.org/sqlite have the code; those of all drivers
// have SQLite's own words.
func busy(err error) bool {
	var coded interface{ Code() int }
	if errors.As(err, &coded) {
		return coded.Code()&0xff == 5 // SQLITE_BUSY, extended or not
	}
	return err != nil && strings.Contains(err.Error(), "database is locked")
}
