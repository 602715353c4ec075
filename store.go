package passwordless

import "github.com/seed62b93bad/passwordless/store"

// A Store remembers records and rate buckets. The drivers are the packages beneath store, and the
// contract for writing another is package store.
type Store = store.Store

// What a call of the Service wraps when the Store failed. Test with errors.Is.
var (
	// ErrUnavailable means that the store could not be reached or failed, and that nothing was written.
	ErrUnavailable = store.ErrUnavailable
	// ErrUncertain means that it is not known whether the store applied a change.
	ErrUncertain = store.ErrUncertain
)
