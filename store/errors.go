package store

import (
	"errors"
	"fmt"
	"time"
)

// What a Store answers besides success. Test with errors.Is.
var (
	// ErrConflict is matched by every *ConflictError.
	ErrConflict = errors.New("store: record changed meanwhile")
	// ErrUnavailable means that the store could not be reached or failed, and that nothing was written.
	ErrUnavailable = errors.New("store: unavailable")
	// ErrUncertain means that the outcome of a Commit is not known. The same Batch, if it has a put, may be committed
	// again: it is not applied twice. So it is when ctx ended during a Commit.
	ErrUncertain = errors.New("store: outcome of the commit unknown")
	// ErrMisconfigured means that the engine answers and does not give what the contract needs: tables that were not
	// made, or a setting under which it forgets commits. Its text tells what to change; waiting does not help. The error
	// of a Load, Commit or List that matches it matches ErrUnavailable too.
	ErrMisconfigured = errors.New("store: engine is not set up as the store needs it")
	// ErrInvalidBatch is matched by the errors of Batch.Validate: a mistake of the caller, nothing was written.
	ErrInvalidBatch = errors.New("store: invalid batch")
)

// A ConflictError tells which records were not as a Batch demanded.
type ConflictError struct {
	Keys []Key
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("%v: %v", ErrConflict, e.Keys)
}

// Is makes errors.Is(err, ErrConflict) true.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// A LimitedError tells that a bucket had too little left for a charge. Nothing was written.
type LimitedError struct {
	// Bucket is the bucket that refused.
	Bucket Key
	// Window is the index in Charge.Windows of the window that refused: of several, the one with the longest wait, and the
	// first of those with equal waits.
	Window int
	// RetryAfter is how long until the same charge would be granted, if nothing else is charged meanwhile. It tells of
	// this bucket: another one may refuse then.
	RetryAfter time.Duration
}

func (e *LimitedError) Error() string {
	return fmt.Sprintf("store: bucket of kind %q is used up, retry after %v", e.Bucket.Kind, e.RetryAfter)
}
