package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

// t0 is the usual now of the cases. It is not a whole number of microseconds, so
// that a store that rounds is found out.
const t0 = store.Instant(2_000_000_000_123_456_789)

// caseTimeout ends the context of a case whose store hangs.
const caseTimeout = 2 * time.Minute

// A kit is what one case works with: a fresh store in two instances, and the
// failures found so far. Methods that return no error end the case when they fail, so they belong
// to the goroutine of the case.
type kit struct {
	tb    testing.TB // for open and crash only
	ctx   context.Context
	open  Factory
	crash Crash
	a, b  store.Store

	mu       sync.Mutex // guards failures
	failures []string
}

// check runs the case and returns what failed.
func (c testCase) check(tb testing.TB, open Factory, crash Crash) []string {
	ctx, cancel := context.WithTimeout(context.Background(), caseTimeout)
	defer cancel()
	k := &kit{tb: tb, ctx: ctx, open: open, crash: crash}
	k.a, k.b = open(tb)
	k.try(c.run)
	return k.failures
}

// try runs f until it returns or fatalf ends it.
func (k *kit) try(f func(k *kit)) {
	defer func() {
		r := recover()
		if err, ok := r.(error); r != nil && !(ok && errors.Is(err, errEndOfCase)) {
			panic(r)
		}
	}()
	f(k)
}

// errEndOfCase is what fatalf panics with.
var errEndOfCase = errors.New("end of the case")

// errorf notes a failure.
func (k *kit) errorf(format string, args ...any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.failures) < 10 {
		k.failures = append(k.failures, fmt.Sprintf(format, args...))
	}
}

// fatalf notes a failure and ends the case.
func (k *kit) fatalf(format string, args ...any) {
	k.errorf(format, args...)
	panic(errEndOfCase)
}

// short returns n, or a tenth of it with -short.
func (k *kit) short(n int) int {
	if testing.Short() {
		return max(1, n/10)
	}
	return n
}

// version returns a fresh version.
func version() (v store.Version) {
	rand.Read(v[:])
	return v
}

func key(name string) store.Key {
	return store.Key{Kind: "test", Name: name}
}

// record returns one with a fresh version that expires an hour after t0.
func record(name, body string) store.Record {
	return store.Record{
		Key:     key(name),
		Version: version(),
		Expires: t0.Add(time.Hour),
		Owner:   "owner",
		Body:    []byte(body),
	}
}

// fresh returns a put of r that demands that there is none yet.
func fresh(r store.Record) store.Put { return store.Put{Record: r} }

// over returns a put of r that demands the version of old.
func over(old, r store.Record) store.Put {
	return store.Put{Record: r, Was: old.Version}
}

// anyway returns a put of r that demands nothing.
func anyway(r store.Record) store.Put {
	return store.Put{Record: r, Any: true}
}

// puts returns a batch of puts.
func puts(p ...store.Put) store.Batch { return store.Batch{Puts: p} }

// commit commits b through the first instance at now; it must succeed and tell the
// level of each window.
func (k *kit) commit(now store.Instant, b store.Batch) store.Levels {
	levels, err := k.a.Commit(k.ctx, now, b)
	if err != nil {
		k.fatalf("Commit: %v, want success", err)
	}
	if len(levels) != len(b.Charges) {
		k.fatalf("Commit: levels of %d buckets for %d charges", len(levels), len(b.Charges))
	}
	for i, c := range b.Charges {
		if len(levels[i]) < len(c.Windows) {
			k.fatalf("Commit: levels of %d windows for a charge of %d", len(levels[i]), len(c.Windows))
		}
	}
	return levels
}

// put commits a record under a key that has none, and returns it.
func (k *kit) put(name, body string) store.Record {
	r := record(name, body)
	k.commit(t0, puts(fresh(r)))
	return r
}

// refused commits b through the first instance at now; it must be refused with an
// error that matches want and tells no secret.
func (k *kit) refused(now store.Instant, b store.Batch, want error) error {
	_, err := k.a.Commit(k.ctx, now, b)
	if !errors.Is(err, want) {
		k.fatalf("Commit: %v, want an error that matches %q", text(err), want)
	}
	k.discreet(err)
	return err
}

// conflict commits b at now; it must conflict on exactly these keys.
func (k *kit) conflict(now store.Instant, b store.Batch, want ...store.Key) {
	_, err := k.a.Commit(k.ctx, now, b)
	var conflict *store.ConflictError
	if !errors.As(err, &conflict) {
		k.fatalf("Commit: %v, want a *ConflictError", text(err))
	}
	got := slices.SortedFunc(slices.Values(conflict.Keys), store.Key.Compare)
	slices.SortFunc(want, store.Key.Compare)
	if !slices.Equal(got, want) {
		k.fatalf("Commit: conflict on %v, want %v", got, want)
	}
}

// limited commits b at now; the bucket must refuse with this RetryAfter.
func (k *kit) limited(now store.Instant, b store.Batch, bucket store.Key, after time.Duration) {
	_, err := k.a.Commit(k.ctx, now, b)
	var limited *store.LimitedError
	switch {
	case !errors.As(err, &limited):
		k.fatalf("Commit: %v, want a *LimitedError", text(err))
	case limited.Bucket != bucket:
		k.fatalf("Commit: refused by %v, want %v", limited.Bucket, bucket)
	case limited.RetryAfter != after:
		k.fatalf("Commit: RetryAfter %v, want %v", limited.RetryAfter, after)
	}
}

// limitedBy commits b at now; the window of this index must refuse.
func (k *kit) limitedBy(now store.Instant, b store.Batch, window int) {
	_, err := k.a.Commit(k.ctx, now, b)
	var limited *store.LimitedError
	if !errors.As(err, &limited) {
		k.fatalf("Commit: %v, want a *LimitedError", text(err))
	}
	if limited.Window != window {
		k.fatalf("Commit: refused by window %d, want %d", limited.Window, window)
	}
}

// load loads keys through the second instance at now.
func (k *kit) load(now store.Instant, keys ...store.Key) []store.Record {
	records, err := k.loadFrom(k.b, now, keys...)
	if err != nil {
		k.fatalf("%v", err)
	}
	return records
}

// loadFrom loads keys through s. It may be called by several goroutines.
func (k *kit) loadFrom(s store.Store, now store.Instant, keys ...store.Key) ([]store.Record, error) {
	records, err := s.Load(k.ctx, now, keys...)
	if err != nil {
		return nil, fmt.Errorf("Load: %w, want success", err)
	}
	if len(records) != len(keys) {
		return nil, fmt.Errorf("Load: %d records for %d keys", len(records), len(keys))
	}
	return records, nil
}

// holds demands that exactly these records are loaded under their keys at now.
func (k *kit) holds(now store.Instant, want ...store.Record) {
	keys := make([]store.Key, len(want))
	for i, r := range want {
		keys[i] = r.Key
	}
	for i, got := range k.load(now, keys...) {
		if diff := difference(got, want[i]); diff != "" {
			k.fatalf("Load of %v: %s", keys[i], diff)
		}
	}
}

// lacks demands that there is nothing under the keys at now.
func (k *kit) lacks(now store.Instant, keys ...store.Key) {
	for i, got := range k.load(now, keys...) {
		if diff := difference(got, store.Record{Key: keys[i]}); diff != "" {
			k.fatalf("Load of %v, which should be absent: %s", keys[i], diff)
		}
	}
}

// difference tells in what two records differ, or "".
func difference(got, want store.Record) string {
	switch {
	case got.Key != want.Key:
		return fmt.Sprintf("key is %q %q, want %q %q", got.Key.Kind, got.Key.Name, want.Key.Kind, want.Key.Name)
	case got.Version != want.Version:
		return fmt.Sprintf("version is %x, want %x", got.Version, want.Version)
	case got.Expires != want.Expires:
		return fmt.Sprintf("expiry is %d, want %d", got.Expires, want.Expires)
	case got.Owner != want.Owner:
		return fmt.Sprintf("owner is %q, want %q", got.Owner, want.Owner)
	case !bytes.Equal(got.Body, want.Body):
		return fmt.Sprintf("body is %s, want %s", clip(got.Body), clip(want.Body))
	}
	return ""
}

// clip returns a body for a message.
func clip(body []byte) string {
	if len(body) <= 64 {
		return fmt.Sprintf("%q", body)
	}
	return fmt.Sprintf("%q and %d bytes more", body[:64], len(body)-64)
}

// text returns err for a message.
func text(err error) string {
	if err == nil {
		return "success"
	}
	return fmt.Sprintf("%q", err)
}

// parallel calls f n times at once, with 0 to n-1 and the instances in turn, and
// notes the errors that it returns.
func (k *kit) parallel(n int, f func(i int, s store.Store) error) {
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		s := k.a
		if i%2 == 1 {
			s = k.b
		}
		all.Go(func() {
			<-start
			if err := f(i, s); err != nil {
				k.errorf("goroutine %d: %v", i, err)
			}
		})
	}
	close(start)
	all.Wait()
}

// secret is in the names, owners and bodies whose errors discreet looks at.
const secret = "hunter2-is-in-no-error"

// discreet demands that the error does not tell what is secret.
func (k *kit) discreet(err error) {
	if err != nil && strings.Contains(err.Error(), secret) {
		k.errorf("the error text holds a name, an owner or a body: %q", err)
	}
}
