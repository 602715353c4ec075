package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

// transfers moves amounts between two records while others load both. Each Load
// must see the sum.
func transfers(k *kit) {
	const sum = 1000
	k.put("here", strconv.Itoa(sum))
	k.put("there", "0")
	stop := k.whileRunning(4, func(s store.Store) error {
		got, err := k.loadFrom(s, t0, key("here"), key("there"))
		if err != nil {
			return err
		}
		return balanced(got, sum)
	})
	k.parallel(8, func(_ int, s store.Store) error {
		for range k.short(40) {
			err := k.transfer(s)
			for errors.Is(err, store.ErrConflict) {
				err = k.transfer(s)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	stop()
	if err := balanced(k.load(t0, key("here"), key("there")), sum); err != nil {
		k.fatalf("%v", err)
	}
}

// transfer tries once to move a random amount.
func (k *kit) transfer(s store.Store) error {
	got, err := k.loadFrom(s, t0, key("here"), key("there"))
	if err != nil {
		return err
	}
	here, _ := strconv.Atoi(string(got[0].Body))
	there, _ := strconv.Atoi(string(got[1].Body))
	amount := rand.IntN(201) - 100
	b := puts(
		over(got[0], record("here", strconv.Itoa(here-amount))),
		over(got[1], record("there", strconv.Itoa(there+amount))),
	)
	if rand.IntN(2) == 0 {
		b.Puts[0], b.Puts[1] = b.Puts[1], b.Puts[0]
	}
	_, err = s.Commit(k.ctx, t0, b)
	return err
}

func balanced(got []store.Record, sum int) error {
	here, err1 := strconv.Atoi(string(got[0].Body))
	there, err2 := strconv.Atoi(string(got[1].Body))
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if here+there != sum {
		return fmt.Errorf("one Load sees %d and %d, whose sum was never %d", here, there, here+there)
	}
	return nil
}

// whileRunning calls f in n goroutines, over and over, until the returned function
// is called. It notes the first error of each.
func (k *kit) whileRunning(n int, f func(s store.Store) error) (stop func()) {
	done := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		s := k.a
		if i%2 == 1 {
			s = k.b
		}
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := f(s); err != nil {
					k.errorf("%v", err)
					return
				}
				runtime.Gosched() // with one processor, the others have work to do
			}
		})
	}
	return func() {
		close(done)
		all.Wait()
	}
}

// opposite writes the same six records in random orders, some of them deleted in
// between. All must come from one batch at any time.
func opposite(k *kit) {
	keys := make([]store.Key, 6)
	for i := range keys {
		keys[i] = key(fmt.Sprint("key ", i))
	}
	stop := k.whileRunning(2, func(s store.Store) error {
		got, err := k.loadFrom(s, t0, keys...)
		if err != nil {
			return err
		}
		return oneBatch(got)
	})
	k.parallel(32, func(g int, s store.Store) error {
		for i := range k.short(10) {
			b := shuffled(keys, fmt.Sprint(g, " ", i))
			if _, err := s.Commit(k.ctx, t0, b); err != nil {
				return err
			}
		}
		return nil
	})
	stop()
	if err := oneBatch(k.load(t0, keys...)); err != nil {
		k.fatalf("%v", err)
	}
}

// shuffled returns a batch that puts all keys with one body, or deletes all, in
// random order.
func shuffled(keys []store.Key, body string) (b store.Batch) {
	remove := rand.IntN(8) == 0
	for _, i := range rand.Perm(len(keys)) {
		if remove {
			b.Deletes = append(b.Deletes, keys[i])
		} else {
			b.Puts = append(b.Puts, anyway(record(keys[i].Name, body)))
		}
	}
	return b
}

func oneBatch(got []store.Record) error {
	for _, r := range got[1:] {
		if string(r.Body) != string(got[0].Body) {
			return fmt.Errorf("one Load sees records of two commits: %q and %q", got[0].Body, r.Body)
		}
	}
	return nil
}

// sweepsBeside counts and charges while sweeps remove what expired beside it.
func sweepsBeside(k *kit) {
	k.put("counter", "0")
	c := charge("bucket", hourly(10_000, 1))
	stop := k.whileRunning(2, func(s store.Store) error {
		_, err := s.Sweep(k.ctx, t0, 10)
		return err
	})
	each := k.short(20)
	k.parallel(4, func(g int, s store.Store) error {
		for i := range each {
			short := record(fmt.Sprint("short ", g, i), "")
			short.Expires = t0.Add(-time.Second)
			_, err1 := s.Commit(k.ctx, t0.Add(-time.Minute), puts(fresh(short)))
			_, err2 := s.Commit(k.ctx, t0, take(c))
			_, err3 := k.increment(s)
			if err := errors.Join(err1, err2, err3); err != nil {
				return err
			}
		}
		return nil
	})
	stop()
	k.stands(t0, c, k.after(time.Duration(4*each)*hour))
	if got := string(k.load(t0, key("counter"))[0].Body); got != strconv.Itoa(4*each) {
		k.fatalf("the counter is %q, want %d", got, 4*each)
	}
}
