package pgstore

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/seed62b93bad/passwordless/store"
)

// A storeError is an error of the database. Its text does not repeat the server's, which may quote data; errors.As
// finds the adapter's error with all of it.
type storeError struct {
	verb  string
	is    []error // what the contract calls it, and ctx.Err()
	cause error
}

func (e *storeError) Error() string {
	text := "pgstore: " + e.verb
	for _, err := range e.is {
		text += ": " + err.Error()
	}
	if what := unfit(e.cause); what != "" {
		text += ": " + what
	}
	if state := sqlState(e.cause); state != "" {
		return fmt.Sprintf("%s (SQLSTATE %s)", text, state)
	}
	return fmt.Sprintf("%s (%v)", text, e.cause)
}

func (e *storeError) Unwrap() []error { return append(e.is, e.cause) }

// unavailable returns the error of a verb that wrote nothing.
func unavailable(ctx context.Context, verb string, cause error) error {
	if err := ctx.Err(); err != nil {
		return &storeError{verb, []error{err}, cause}
	}
	is := []error{store.ErrUnavailable}
	if unfit(cause) != "" {
		is = append(is, store.ErrMisconfigured)
	}
	return &storeError{verb, is, cause}
}

// unfit tells what to change where the server refuses because of how the database is set up, "" for any other error.
func unfit(err error) string {
	switch sqlState(err) {
	case "42P01", "42883", "42703": // undefined_table, undefined_function, undefined_column
		return "tables or functions are missing, or those of an older program, or not in the search_path: call pgstore.Migrate"
	case "42501": // insufficient_privilege
		return "the user of the database lacks a privilege"
	}
	return ""
}

// noTable tells whether the server says that there is no such table.
func noTable(err error) bool { return sqlState(err) == "42P01" }

// otherIsolation tells whether the function of schema/0003_commit.sql found another isolation level than it needs.
func otherIsolation(err error) bool { return sqlState(err) == "PWL01" }

// uncertain returns the error of a Commit that may have been applied.
func uncertain(ctx context.Context, cause error) error {
	is := []error{store.ErrUncertain}
	if err := ctx.Err(); err != nil {
		is = append(is, err)
	}
	return &storeError{"commit", is, cause}
}

// sqlState returns the code with which the server refused, or "" if the error is not the server's. The errors of pgx
// and lib/pq have the method.
func sqlState(err error) string {
	var server interface{ SQLState() string }
	if errors.As(err, &server) {
		return server.SQLState()
	}
	return ""
}

// refused tells whether there was no connection to be had, for now.
func refused(err error) bool {
	switch sqlState(err) {
	case "57P03", "53300": // cannot_connect_now, too_many_connections
		return true
	}
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, driver.ErrBadConn)
}

// rolledBack tells whether the server undid the call for a reason that passes.
func rolledBack(err error) bool {
	switch sqlState(err) {
	case "40001", "40P01": // serialization_failure, deadlock_detected
		return true
	}
	return false
}

// wroteNothing tells whether the server answered that it undid the call. Errors of the connection, also when a pooler
// reports them, and of a server that goes down leave that open.
func wroteNothing(err error) bool {
	state := sqlState(err)
	switch {
	case state == "", strings.HasPrefix(state, "08"), strings.HasPrefix(state, "57P"), state == "40003":
		return false
	}
	return true
}
