package storetest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/storetest"
)

const now = store.Instant(1e18)

var key = store.Key{Kind: "test", Name: "key"}

// batch puts one record.
func batch(version byte) store.Batch {
	r := store.Record{Key: key, Version: store.Version{version}, Expires: store.Never}
	return store.Batch{Puts: []store.Put{{Record: r}}}
}

// isThere tells whether a record was committed, by a look past the Faulty.
func isThere(t *testing.T, s store.Store) bool {
	got, err := s.Load(t.Context(), now, key)
	if err != nil {
		t.Fatal(err)
	}
	return got[0].Version != store.Version{}
}

func TestFaultyWithoutFaultsIsAStore(t *testing.T) {
	storetest.Run(t, func(testing.TB) (a, b store.Store) {
		s := newSloppy("")
		return storetest.NewFaulty(s), storetest.NewFaulty(s)
	}, storetest.Skip{"durability": "memory does not survive the process"})
}

func TestFaults(t *testing.T) {
	own := errors.New("own")
	for name, row := range map[string]struct {
		fault   storetest.Fault
		want    error
		applied bool
	}{
		"fail does not commit":              {storetest.Fail(own), own, false},
		"unavailable does not commit":       {storetest.Unavailable(), store.ErrUnavailable, false},
		"a lost request does not commit":    {storetest.LostRequest(), store.ErrUncertain, false},
		"a lost answer commits":             {storetest.LostAnswer(), store.ErrUncertain, true},
		"hang ends with the context":        {storetest.Hang(), context.DeadlineExceeded, false},
		"a short delay commits":             {storetest.Delay(time.Second), nil, true},
		"a long delay ends with its caller": {storetest.Delay(time.Hour), context.DeadlineExceeded, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // where time passes while a fault waits only
				s := newSloppy("")
				f := storetest.NewFaulty(s)
				f.Spoil(storetest.Commit, 1, row.fault)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if _, err := f.Commit(ctx, now, batch(1)); !errors.Is(err, row.want) {
					t.Errorf("error %v, want %v", err, row.want)
				}
				if isThere(t, s) != row.applied {
					t.Errorf("applied is %v, want %v", !row.applied, row.applied)
				}
				if _, err := f.Commit(t.Context(), now, batch(1)); err != nil {
					t.Errorf("the next commit: %v", err)
				}
			})
		})
	}
}

func TestSpoilCountsFromNow(t *testing.T) {
	f := storetest.NewFaulty(newSloppy(""))
	load := func() bool {
		_, err := f.Load(t.Context(), now, key)
		return err == nil
	}
	load()
	f.Spoil(storetest.Load, 2, storetest.Unavailable())
	for i, want := range []bool{true, false, true} {
		if got := load(); got != want {
			t.Errorf("load %d after Spoil succeeds: %v, want %v", i+1, got, want)
		}
	}
}

func TestSpoilAllUntilHeal(t *testing.T) {
	f := storetest.NewFaulty(newSloppy(""))
	f.SpoilAll(storetest.List, storetest.Unavailable())
	f.SpoilAll(storetest.Sweep, storetest.Unavailable())
	for _, want := range []error{store.ErrUnavailable, store.ErrUnavailable, nil} {
		_, _, err := f.List(t.Context(), now, "test", store.Page{Owner: "owner", Limit: 1})
		if !errors.Is(err, want) {
			t.Errorf("List: %v, want %v", err, want)
		}
		if _, err := f.Sweep(t.Context(), now, 1); !errors.Is(err, want) {
			t.Errorf("Sweep: %v, want %v", err, want)
		}
		if want != nil && f.Trips().Lists == 2 {
			f.Heal()
		}
	}
}

func TestTripsCountFaultsAndConcurrentCalls(t *testing.T) {
	f := storetest.NewFaulty(newSloppy(""))
	f.SpoilAll(storetest.Commit, storetest.LostAnswer())
	before := f.Trips()
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			_, _ = f.Load(t.Context(), now, key)
			_, _ = f.Commit(t.Context(), now, batch(byte(i+1)))
			_, _ = f.Commit(t.Context(), now, batch(byte(i+1)))
		})
	}
	all.Wait()
	want := storetest.Trips{Loads: 20, Commits: 40}
	if got := f.Trips().Sub(before); got != want {
		t.Errorf("trips %+v, want %+v", got, want)
	}
}
