package passwordless

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed62b93bad/passwordless/internal/outbound"
	"github.com/seed62b93bad/passwordless/store"
)

// How key sets at URLs are read.
const (
	maxKeySets      = 4096             // URLs that are remembered: those of clients, to which nobody else adds
	keySetFresh     = 10 * time.Minute // how long a set is used without a look at its URL
	keySetStale     = time.Hour        // how long, if the URL does not answer
	keySetPause     = time.Minute      // between two fetches that strangers can cause
	keySetRetry     = 5 * time.Second  // between two fetches while there is no set to use
	keySetFetchTime = 5 * time.Second
)

// keySets remembers the key sets that clients publish at URLs. It is a cache: a Service that forgets it fetches
// them again. Safe for concurrent use.
type keySets struct {
	now   func() store.Instant
	fetch func(ctx context.Context, url string) ([]byte, error)

	mu    sync.Mutex // guards all below
	byURL map[string]*keySet
	order []string // the URLs, those remembered longest first
}

// A keySet is one of them.
type keySet struct {
	turn chan struct{} // holds one: whoever has put it there may fetch, and store what is known
	last atomic.Pointer[knownKeys]
}

// knownKeys is what is known of a key set. Immutable.
type knownKeys struct {
	keys    []clientKey
	fetched store.Instant // when keys were; zero: never
	tried   store.Instant // when a fetch last came to its end, whatever that was; zero: never
}

func newKeySets(now func() store.Instant) *keySets {
	client := outbound.New()
	return &keySets{now: now, byURL: map[string]*keySet{}, fetch: func(ctx context.Context, url string) ([]byte, error) {
		return client.Document(ctx, url, "application/jwk-set+json, application/json", maxKeySet)
	}}
}

// signed reports whether a key published at a URL signed an assertion. The keys are those that are or were there at
// most an hour ago. They are fetched if they are no longer fresh. They are also fetched, once a minute at most because
// anybody can write a kid, if none of them signed the assertion and none has its kid. Callers that need the same fetch
// share one.
//
// Its error is a *keySetError, or the context's, if that ended while another caller fetched.
func (k *keySets) signed(ctx context.Context, url string, a *assertion) (bool, error) {
	set := k.of(url)
	if known := set.last.Load(); known.fresh(k.now()) {
		if signed := a.signedBy(known.keys); signed || known.names(a.kid) {
			return signed, nil
		}
	}
	keys, err := k.newer(ctx, set, url, a.kid)
	return a.signedBy(keys), err
}

// newer returns the keys of a set that was not enough for a kid, after a fetch if one is due.
func (k *keySets) newer(ctx context.Context, set *keySet, url, kid string) ([]clientKey, error) {
	select {
	case set.turn <- struct{}{}:
		defer func() { <-set.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	known, now := set.last.Load(), k.now()
	if known.fresh(now) && known.names(kid) { // another caller fetched
		return known.keys, nil
	}
	reason := "no answer lately"
	if !known.pauses(now) {
		known, reason = k.refetch(ctx, url, *known, now)
		set.last.Store(known)
	}
	if !known.usable(now) {
		return nil, &keySetError{reason}
	}
	return known.keys, nil
}

// of finds or makes the entry of a URL. The oldest makes room.
func (k *keySets) of(url string) *keySet {
	k.mu.Lock()
	defer k.mu.Unlock()
	if set := k.byURL[url]; set != nil {
		return set
	}
	if len(k.order) == maxKeySets {
		delete(k.byURL, k.order[0])
		k.order = slices.Delete(k.order, 0, 1)
	}
	set := &keySet{turn: make(chan struct{}, 1)}
	set.last.Store(&knownKeys{})
	k.byURL[url] = set
	k.order = append(k.order, url)
	return set
}

// refetch fetches a set and returns what is known then, and the reason of a failure. It goes on when the caller
// has given up, for a few seconds: else whoever opens requests and breaks them off could keep a set from being
// fetched, or have it fetched without end.
func (k *keySets) refetch(ctx context.Context, url string, known knownKeys, now store.Instant) (*knownKeys, string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keySetFetchTime)
	defer cancel()
	text, err := k.fetch(ctx, url)
	known.tried = k.now()
	if err != nil {
		return &known, err.Error()
	}
	keys, _, err := parseKeySet(text) // others than ours may be beside them
	if err != nil {
		return &known, err.Error()
	}
	known.keys, known.fetched = keys, now
	return &known, ""
}

// names reports whether a key has the kid of an assertion. If that names none, no fetch brings what it means.
func (k *knownKeys) names(kid string) bool {
	return kid == "" || slices.ContainsFunc(k.keys, func(key clientKey) bool { return key.id == kid })
}

// fresh reports whether the keys may be used without a look at their URL.
func (k *knownKeys) fresh(now store.Instant) bool { return since(k.fetched, now, keySetFresh) }

// usable reports whether the keys may be used if there is no way to newer ones.
func (k *knownKeys) usable(now store.Instant) bool { return since(k.fetched, now, keySetStale) }

// pauses reports whether it is too early for another fetch.
func (k *knownKeys) pauses(now store.Instant) bool {
	if k.usable(now) {
		return since(k.tried, now, keySetPause)
	}
	return since(k.tried, now, keySetRetry)
}

// since reports whether at was less than d ago. An instant that is to come, since a clock stepped back, was not.
func since(at, now store.Instant, d time.Duration) bool { return at <= now && now < at.Add(d) }

// A keySetError tells why there is no key set to use: nobody can say whether an assertion is right, which
// is no fault of its client.
type keySetError struct{ reason string }

func (e *keySetError) Error() string { return "key set not available: " + e.reason }

// Is makes errors.Is(err, ErrUnavailable) true.
func (e *keySetError) Is(target error) bool { return target == ErrUnavailable }
