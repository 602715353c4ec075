package jose

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed62b93bad/passwordless/internal/outbound"
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

// ErrNoKeys means that a key set could not be fetched, and that no earlier one may be used. Nobody can say whether an
// assertion is right, which is no fault of its client.
var ErrNoKeys = errors.New("key set not available")

// KeySets checks assertions with the key sets that clients publish at URLs, and remembers the sets. It is a cache: what
// is forgotten is fetched again. Safe for concurrent use.
//
// A set is used for ten minutes. Then it is fetched again, and used for an hour in all if its URL does not answer. An
// assertion with a kid that no key of the set has, and that no key without a kid signed, has the set fetched at once,
// but at most once a minute: anybody can write such an assertion. So a new kid is found when it is first used, and a
// client whose keys have no kid causes no extra fetch, whatever kid its assertions name.
type KeySets struct {
	now   func() time.Time
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
	keys    []PublicKey
	fetched time.Time // when keys were; zero: never
	tried   time.Time // when a fetch last came to its end, whatever that was; zero: never
}

// NewKeySets returns a KeySets without any sets. now tells the time.
func NewKeySets(now func() time.Time) *KeySets {
	client := outbound.New()
	// A monotonic clock stands still while the machine sleeps. Without one, wall clocks are compared.
	wall := func() time.Time { return now().Round(0) }
	return &KeySets{now: wall, byURL: map[string]*keySet{}, fetch: func(ctx context.Context, url string) ([]byte, error) {
		return client.Document(ctx, url, "application/jwk-set+json, application/json", maxKeySet)
	}}
}

// Signed reports whether a key published at a URL signed an assertion. Callers that need the same fetch share one. The
// URL must be configuration: the request goes wherever it points.
//
// Errors: ErrNoKeys, wrapped, and the context's, if that ended while another caller fetched.
func (k *KeySets) Signed(ctx context.Context, url string, a *Assertion) (bool, error) {
	set := k.of(url)
	if known := set.last.Load(); known.fresh(k.now()) {
		if signed := a.SignedBy(known.keys); signed || known.names(a.kid) {
			return signed, nil
		}
	}
	keys, err := k.newer(ctx, set, url, a.kid)
	return a.SignedBy(keys), err
}

// newer returns the keys of a set that was not enough for a kid, after a fetch if one is due.
func (k *KeySets) newer(ctx context.Context, set *keySet, url, kid string) ([]PublicKey, error) {
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
		return nil, fmt.Errorf("%w: %s", ErrNoKeys, reason)
	}
	return known.keys, nil
}

// of finds or makes the entry of a URL. The oldest makes room.
func (k *KeySets) of(url string) *keySet {
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

// refetch fetches a set and returns what is known then, and the reason of a failure. It goes on when the caller has
// given up, for a few seconds: else whoever opens requests and breaks them off could keep a set from being fetched, or
// have it fetched without end.
func (k *KeySets) refetch(ctx context.Context, url string, known knownKeys, now time.Time) (*knownKeys, string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keySetFetchTime)
	defer cancel()
	text, err := k.fetch(ctx, url)
	known.tried = k.now()
	if err != nil {
		return &known, err.Error()
	}
	keys, _, err := ParseKeySet(text) // others than ours may be beside them
	if err != nil {
		return &known, err.Error()
	}
	known.keys, known.fetched = keys, now
	return &known, ""
}

// names reports whether a key has the kid of an assertion. If that names none, no fetch brings what it means.
func (k *knownKeys) names(kid string) bool {
	return kid == "" || slices.ContainsFunc(k.keys, func(key PublicKey) bool { return key.ID == kid })
}

// fresh reports whether the keys may be used without a look at their URL.
func (k *knownKeys) fresh(now time.Time) bool { return since(k.fetched, now, keySetFresh) }

// usable reports whether the keys may be used if there is no way to newer ones.
func (k *knownKeys) usable(now time.Time) bool { return since(k.fetched, now, keySetStale) }

// pauses reports whether it is too early for another fetch.
func (k *knownKeys) pauses(now time.Time) bool {
	if k.usable(now) {
		return since(k.tried, now, keySetPause)
	}
	return since(k.tried, now, keySetRetry)
}

// since reports whether at was less than d ago. An instant that is to come, since a clock stepped back, was not.
func since(at, now time.Time, d time.Duration) bool { return !at.After(now) && now.Before(at.Add(d)) }
