package storetest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

// A Method of a Store.
type Method int

// The methods of a Store.
const (
	Load Method = iota
	Commit
	List
	Sweep
)

// A Fault is what happens to one call of a Store. It may make the call, at most
// once, and returns the error that the caller sees; unless that is nil, the caller
// gets no other result. A Fault must be safe for concurrent use.
type Fault func(ctx context.Context, call func() error) error

// Fail does not make the call and returns err.
func Fail(err error) Fault {
	return func(context.Context, func() error) error { return err }
}

// Unavailable does not make the call and returns ErrUnavailable, wrapped.
func Unavailable() Fault {
	return Fail(fmt.Errorf("storetest: engine is down: %w", store.ErrUnavailable))
}

// LostRequest does not make the call and returns ErrUncertain, wrapped: a Commit
// that did not arrive.
func LostRequest() Fault {
	return Fail(fmt.Errorf("storetest: request lost: %w", store.ErrUncertain))
}

// LostAnswer makes the call and returns ErrUncertain, wrapped, whatever the answer
// was: a Commit whose acknowledgement did not come back.
func LostAnswer() Fault {
	return func(_ context.Context, call func() error) error {
		_ = call() // lost
		return fmt.Errorf("storetest: answer lost: %w", store.ErrUncertain)
	}
}

// Hang does not make the call, waits until the context of the call ends, and
// returns its error, wrapped.
func Hang() Fault {
	return func(ctx context.Context, _ func() error) error {
		<-ctx.Done()
		return fmt.Errorf("storetest: engine hangs: %w", ctx.Err())
	}
}

// Delay makes the call after d. If the context ends before, it is not made and the
// error of the context is returned, wrapped.
func Delay(d time.Duration) Fault {
	return func(ctx context.Context, call func() error) error {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return call()
		case <-ctx.Done():
			return fmt.Errorf("storetest: engine is slow: %w", ctx.Err())
		}
	}
}

// Trips counts the calls of a Store, those with faults included.
type Trips struct {
	Loads, Commits, Lists, Sweeps int
}

// A Faulty passes calls to another Store, but for those that it was told to spoil,
// and counts them. It is for tests of code that uses a Store. Its methods are safe
// for concurrent use.
type Faulty struct {
	store store.Store

	mu     sync.Mutex // guards all below
	trips  [Sweep + 1]int
	every  [Sweep + 1]Fault
	single [Sweep + 1]map[int]Fault
}

var _ store.Store = (*Faulty)(nil)

// NewFaulty returns a Faulty in front of inner, without faults.
func NewFaulty(inner store.Store) *Faulty { return &Faulty{store: inner} }

// Deviations returns those of the other Store.
func (f *Faulty) Deviations() []string { return store.Deviations(f.store) }

// Spoil makes fault happen to the n-th call of m from now on; the next call is the
// first. It replaces what was to happen to that call.
func (f *Faulty) Spoil(m Method, n int, fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.single[m] == nil {
		f.single[m] = make(map[int]Fault)
	}
	f.single[m][f.trips[m]+n] = fault
}

// SpoilAll makes fault happen to every call of m for which Spoil says nothing. A
// nil fault ends that.
func (f *Faulty) SpoilAll(m Method, fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.every[m] = fault
}

// Heal forgets all faults.
func (f *Faulty) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.every[:])
	clear(f.single[:])
}

// Trips returns how many calls there were since NewFaulty. Subtract two answers to
// count between them.
func (f *Faulty) Trips() Trips {
	f.mu.Lock()
	defer f.mu.Unlock()
	return Trips{Loads: f.trips[Load], Commits: f.trips[Commit], Lists: f.trips[List], Sweeps: f.trips[Sweep]}
}

// Sub returns the trips since earlier.
func (t Trips) Sub(earlier Trips) Trips {
	return Trips{t.Loads - earlier.Loads, t.Commits - earlier.Commits, t.Lists - earlier.Lists, t.Sweeps - earlier.Sweeps}
}

// next counts a call and returns the fault that is to happen to it, or nil.
func (f *Faulty) next(m Method) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.trips[m]++
	n := f.trips[m]
	fault, ok := f.single[m][n]
	if !ok {
		return f.every[m]
	}
	delete(f.single[m], n)
	return fault
}

// through makes a call of m, with its fault if there is one.
func through[T any](ctx context.Context, f *Faulty, m Method, call func() (T, error)) (T, error) {
	fault := f.next(m)
	if fault == nil {
		return call()
	}
	var result, none T
	err := fault(ctx, func() (err error) {
		result, err = call()
		return err
	})
	if err != nil {
		return none, err
	}
	return result, nil
}

// Load passes the call on, or spoils it.
func (f *Faulty) Load(ctx context.Context, now store.Instant, keys ...store.Key) ([]store.Record, error) {
	return through(ctx, f, Load, func() ([]store.Record, error) {
		return f.store.Load(ctx, now, keys...)
	})
}

// Commit passes the call on, or spoils it.
func (f *Faulty) Commit(ctx context.Context, now store.Instant, b store.Batch) (store.Levels, error) {
	return through(ctx, f, Commit, func() (store.Levels, error) {
		return f.store.Commit(ctx, now, b)
	})
}

// List passes the call on, or spoils it.
func (f *Faulty) List(ctx context.Context, now store.Instant, kind store.Kind, page store.Page) ([]store.Record, string, error) {
	type listed struct {
		records []store.Record
		cursor  string
	}
	p, err := through(ctx, f, List, func() (listed, error) {
		records, next, err := f.store.List(ctx, now, kind, page)
		return listed{records, next}, err
	})
	return p.records, p.cursor, err
}

// Sweep passes the call on, or spoils it.
func (f *Faulty) Sweep(ctx context.Context, now store.Instant, limit int) (int, error) {
	return through(ctx, f, Sweep, func() (int, error) {
		return f.store.Sweep(ctx, now, limit)
	})
}
