package passwordless

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

// A Store keeps everything that the Service remembers. Package store is its contract, for whoever writes a driver; the
// packages below it are drivers.
type Store = store.Store

// commitTries bounds how often a commit of unknown outcome is repeated.
const commitTries = 3

// commit commits a batch, and returns how full its buckets are then; nil if that is unknown. A commit of unknown
// outcome is repeated: if it was applied, the store finds the versions that it wrote; if not, it is applied now. If the
// outcome stays unknown, the version of the deciding record tells.
//
// Errors: those of the store as they are. The caller may have an answer to *store.LimitedError and *store.ConflictError.
func (s *Service) commit(ctx context.Context, now store.Instant, b store.Batch) (store.Levels, error) {
	if len(b.Charges)+len(b.GiveBacks)+len(b.Puts)+len(b.Deletes) == 0 {
		return nil, nil
	}
	var levels store.Levels
	var err error
	for range commitTries {
		levels, err = s.store.Commit(ctx, now, b)
		if !errors.Is(err, store.ErrUncertain) || len(b.Puts) == 0 || ctx.Err() != nil {
			return levels, err
		}
	}
	told := b.Puts[max(0, slices.IndexFunc(b.Puts, func(p store.Put) bool { return p.Stage == store.StageDecide }))].Record
	recs, lost := s.store.Load(ctx, now, told.Key)
	if lost == nil && recs[0].Version == told.Version {
		return nil, nil
	}
	return nil, err
}

// change commits a conditional change. It returns a conflict as it is, for whileConflicting, and wraps and reports any
// other error.
func (s *Service) change(ctx context.Context, now store.Instant, what string, b store.Batch) error {
	_, err := s.commit(ctx, now, b)
	if err == nil || errors.Is(err, store.ErrConflict) {
		return err
	}
	return s.failed(ctx, what, err)
}

// load loads records, one for each key. It wraps and reports an error.
func (s *Service) load(ctx context.Context, now store.Instant, what string, keys ...store.Key) ([]store.Record, error) {
	recs, err := s.store.Load(ctx, now, keys...)
	if err != nil {
		return nil, s.failed(ctx, "loading "+what, err)
	}
	return recs, nil
}

// conflictTries bounds how often a call tries to change a record that others change too.
const conflictTries = 8

// forceAfter is after how many conflicts the end of a family is written whatever the record holds, so that refreshes
// cannot put it off for ever. Nothing follows an end, so none of their writes matters.
const forceAfter = 3

// whileConflicting calls f until it returns something other than a conflict, at most conflictTries times; then it
// returns ErrBusy. try counts from 0.
func whileConflicting(f func(try int) error) error {
	for try := range conflictTries {
		if err := f(try); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return ErrBusy
}

// sweepAfter is how long what is over stays for services whose clocks are behind that of whoever sweeps.
const sweepAfter = time.Hour

// Sweep removes at most limit (1 or more) records and buckets that have been expired or full for an hour, and returns how many:
// clocks may differ by so much before a sweep takes what still counts. Schedule it, every minute or so (on Redis every hour),
// and call it until it returns less than limit. Errors: *InputError, ErrUnavailable, and
// store.ErrMisconfigured, when the store found that its engine was set up anew and can forget: alert somebody. What
// was removed is returned with it.
func (s *Service) Sweep(ctx context.Context, limit int) (int, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	if limit < 1 {
		return 0, &InputError{"limit", "want 1 or more"}
	}
	n, err := s.store.Sweep(ctx, s.now().Add(-sweepAfter), limit)
	if err != nil {
		return n, s.failed(ctx, "sweeping", err)
	}
	return n, nil
}
