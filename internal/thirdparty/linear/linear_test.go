package linear_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/memstore"
	"github.com/seed62b93bad/passwordless/store/storetest"
)

func TestAMemoryStoreIsLinearizable(t *testing.T) {
	s := memstore.New()
	checkStore(t, s, s)
	checkService(t, s, s)
}

func TestAStoreThatLosesRequestsAndAnswersIsLinearizable(t *testing.T) {
	s := memstore.New()
	checkStore(t, flaky{s}, flaky{s})
}

// A flaky loses every tenth request or its answer, and says so.
type flaky struct{ store.Store }

func (f flaky) Commit(ctx context.Context, now store.Instant, b store.Batch) (store.Levels, error) {
	spoiled := storetest.NewFaulty(f.Store)
	switch rand.IntN(30) {
	case 0:
		spoiled.SpoilAll(storetest.Commit, storetest.LostAnswer())
	case 1:
		spoiled.SpoilAll(storetest.Commit, storetest.LostRequest())
	case 2:
		spoiled.SpoilAll(storetest.Commit, storetest.Unavailable())
	}
	return spoiled.Commit(ctx, now, b)
}

// Each of these stores passes every test that makes one call after another, or nearly.
func TestABrokenStoreIsCaught(t *testing.T) {
	for name, broken := range map[string]func(*memstore.Store) store.Store{
		"checks conditions before the commit": func(s *memstore.Store) store.Store { return checksFirst{s} },
		"writes one put after the other":      func(s *memstore.Store) store.Store { return onePutEach{s} },
		"charges before it commits":           func(s *memstore.Store) store.Store { return chargesFirst{s} },
		"loads one record after the other":    func(s *memstore.Store) store.Store { return oneLoadEach{s} },
		"writes what it says it did not":      func(s *memstore.Store) store.Store { return falselyDown{s} },
		"loses what it said it wrote":         func(s *memstore.Store) store.Store { return forgetful{s} },
	} {
		t.Run(name, func(t *testing.T) {
			s := memstore.New()
			if err := storeRounds(2000, broken(s), broken(s)); err == nil {
				t.Error("the check did not catch it")
			} else if testing.Verbose() {
				t.Logf("%.300s", err)
			}
		})
	}
}

func TestADoubleSpendIsCaught(t *testing.T) {
	s := checksFirst{memstore.New()}
	if err := serviceRounds(2000, s, s); err == nil {
		t.Error("the check did not catch it")
	}
}

// A checksFirst does in two steps what must be one.
type checksFirst struct{ *memstore.Store }

func (s checksFirst) Commit(ctx context.Context, now store.Instant, b store.Batch) (store.Levels, error) {
	puts := append([]store.Put(nil), b.Puts...)
	var conflict store.ConflictError
	for i, p := range puts {
		found, err := s.Load(ctx, now, p.Record.Key)
		if err != nil {
			return nil, err
		}
		if v := found[0].Version; !p.Any && v != p.Was && v != p.Record.Version {
			conflict.Keys = append(conflict.Keys, p.Record.Key)
		}
		puts[i].Any = true
	}
	if conflict.Keys != nil {
		return nil, &conflict
	}
	runtime.Gosched()
	b.Puts = puts
	return s.Store.Commit(ctx, now, b)
}

// A onePutEach splits a batch.
type onePutEach struct{ *memstore.Store }

func (s onePutEach) Commit(ctx context.Context, now store.Instant, b store.Batch) (store.Levels, error) {
	puts := b.Puts
	if len(puts) < 2 {
		return s.Store.Commit(ctx, now, b)
	}
	b.Puts = puts[:1]
	levels, err := s.Store.Commit(ctx, now, b)
	if err != nil {
		return levels, err
	}
	runtime.Gosched()
	_, err = s.Store.Commit(ctx, now, store.Batch{Puts: puts[1:]})
	return levels, err
}

// A chargesFirst keeps the charges of what then conflicts.
type chargesFirst struct{ *memstore.Store }

func (s chargesFirst) Commit(ctx context.Context, now store.Instant, b store.Batch) (store.Levels, error) {
	levels, err := s.Store.Commit(ctx, now, b)
	if errors.Is(err, store.ErrConflict) {
		_, _ = s.Store.Commit(ctx, now, store.Batch{Charges: b.Charges})
	}
	return levels, err
}

// A oneLoadEach reads no snapshot.
type oneLoadEach struct{ *memstore.Store }

func (s oneLoadEach) Load(ctx context.Context, now store.Instant, keys ...store.Key) (all []store.Record, err error) {
	for _, k := range keys {
		one, err := s.Store.Load(ctx, now, k)
		if err != nil {
			return nil, err
		}
		all = append(all, one...)
		runtime.Gosched()
	}
	return all, nil
}

// A falselyDown writes now and then though it answers that it did not.
type falselyDown struct{ *memstore.Store }

func (s falselyDown) Commit(ctx context.Context, now store.Instant, b store.Batch) (store.Levels, error) {
	levels, err := s.Store.Commit(ctx, now, b)
	if rand.IntN(20) == 0 {
		return nil, fmt.Errorf("falsely down: %w", store.ErrUnavailable)
	}
	return levels, err
}

// A forgetful answers now and then that it wrote, and did not.
type forgetful struct{ *memstore.Store }

func (s forgetful) Commit(ctx context.Context, now store.Instant, b store.Batch) (store.Levels, error) {
	if rand.IntN(20) == 0 && len(b.Charges) == 0 {
		return nil, nil
	}
	return s.Store.Commit(ctx, now, b)
}
