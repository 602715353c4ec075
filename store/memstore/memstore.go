// Package memstore is a [store.Store] in the memory of one process: for tests, and for an application of a single
// process whose sign-ins and limits may start afresh with it.
package memstore

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/seed62b93bad/passwordless/store"
)

var _ store.Store = (*Store)(nil)

// A Store holds everything in maps. It grows until Sweep is called, which the application schedules. The methods are
// safe for concurrent use.
//
// Commit takes time in the size of its batch, List in the number of records of the owner, Sweep in the number it
// removes; none depends on what else is stored, but for the logarithm of it in the schedule.
type Store struct {
	mu       sync.Mutex // guards all below, and all that they point to
	records  map[store.Key]*record
	buckets  map[store.Key]*bucket
	owners   map[ownerKey]*owned
	sequence uint64 // of the last record that entered owners
	schedule schedule
}

// New returns an empty Store.
func New() *Store {
	return &Store{
		records: make(map[store.Key]*record),
		buckets: make(map[store.Key]*bucket),
		owners:  make(map[ownerKey]*owned),
	}
}

// A record is a stored Record; its end is Expires.
type record struct {
	entry
	version  store.Version
	owner    string
	body     []byte
	sequence uint64 // its place among the records of its owner
}

// A bucket holds the numbers of Charge.Take in full[:windows]; its end is the instant when all its windows are full.
type bucket struct {
	entry
	windows int
	full    [8]int64
}

// state returns the stored numbers; a nil bucket has none.
func (b *bucket) state() []int64 {
	if b == nil {
		return nil
	}
	return b.full[:b.windows]
}

// Load returns one record per key, in the order of keys.
func (s *Store) Load(ctx context.Context, now store.Instant, keys ...store.Key) ([]store.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("memstore: load: %w", err)
	}
	loaded := make([]store.Record, len(keys))
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, k := range keys {
		loaded[i].Key = k
		if r := s.live(k, now); r != nil {
			loaded[i] = r.copy()
		}
	}
	return loaded, nil
}

// live returns the record under k, or nil if it is absent or expired at now.
func (s *Store) live(k store.Key, now store.Instant) *record {
	if r := s.records[k]; r != nil && now < r.end {
		return r
	}
	return nil
}

// copy returns r for a caller to keep.
func (r *record) copy() store.Record {
	return store.Record{
		Key:     r.key,
		Version: r.version,
		Expires: r.end,
		Owner:   r.owner,
		Body:    slices.Clone(r.body),
	}
}

// Commit applies the batch, all or nothing: it checks everything before it changes anything.
func (s *Store) Commit(ctx context.Context, now store.Instant, b store.Batch) (store.Levels, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("memstore: commit: %w", err)
	}
	if err := b.Validate(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.applied(b.Puts) {
		return s.levels(b.Charges), nil
	}
	levels, err := s.take(now, b.Charges)
	if err != nil {
		return nil, err
	}
	if err := s.demand(now, b.Puts); err != nil {
		return nil, err
	}
	s.write(b, levels)
	return levels, nil
}

// applied tells whether a put finds its own version.
func (s *Store) applied(puts []store.Put) bool {
	for i := range puts {
		if r := s.records[puts[i].Record.Key]; r != nil && r.version == puts[i].Record.Version {
			return true
		}
	}
	return false
}

// levels returns how full the buckets are, without charging them.
func (s *Store) levels(charges []store.Charge) store.Levels {
	levels := make(store.Levels, len(charges))
	for i, c := range charges {
		state := s.buckets[c.Bucket].state()
		levels[i] = make([]int64, max(len(c.Windows), len(state)))
		copy(levels[i], state)
	}
	return levels
}

// take returns the next states of the charged buckets, or the first refusal.
func (s *Store) take(now store.Instant, charges []store.Charge) (store.Levels, error) {
	if len(charges) == 0 {
		return nil, nil
	}
	room := new(struct { // for what most batches need, in one allocation
		levels [6][]int64
		states [16]int64
	})
	levels, states := append(store.Levels(room.levels[:0]), make([][]int64, len(charges))...), room.states[:0]
	for i, c := range charges {
		from := len(states)
		var err error
		if states, err = c.AppendTake(states, now, s.buckets[c.Bucket].state()); err != nil {
			return nil, err
		}
		levels[i] = states[from:len(states):len(states)]
	}
	return levels, nil
}

// demand returns a *ConflictError unless all records are as the puts want them.
func (s *Store) demand(now store.Instant, puts []store.Put) error {
	var conflicts []store.Key
	for i := range puts {
		p := &puts[i]
		if p.Any {
			continue
		}
		var version store.Version
		if r := s.live(p.Record.Key, now); r != nil {
			version = r.version
		}
		if version != p.Was {
			conflicts = append(conflicts, p.Record.Key)
		}
	}
	if conflicts != nil {
		return &store.ConflictError{Keys: conflicts}
	}
	return nil
}

// write does what a batch that passed all checks asks for. Levels are the next states of its charges.
func (s *Store) write(b store.Batch, levels store.Levels) {
	for i, c := range b.Charges {
		if !c.Look {
			s.fill(c.Bucket, levels[i])
		}
	}
	for _, c := range b.GiveBacks {
		if state := s.buckets[c.Bucket].state(); state != nil {
			var room [8]int64
			s.fill(c.Bucket, c.AppendGive(room[:0], state))
		}
	}
	for i := range b.Puts {
		s.put(&b.Puts[i].Record)
	}
	for _, k := range b.Deletes {
		if r := s.records[k]; r != nil {
			s.drop(r)
		}
	}
}

// fill stores the state of a bucket.
func (s *Store) fill(k store.Key, state []int64) {
	b := s.buckets[k]
	if b == nil {
		b = &bucket{entry: entry{key: k, bucket: true}}
		s.buckets[k] = b
	}
	b.windows = copy(b.full[:], state)
	s.schedule.set(&b.entry, fullAt(state))
}

// put stores a copy of p, in place of what was there.
func (s *Store) put(p *store.Record) {
	r := s.records[p.Key]
	if r == nil {
		r = &record{entry: entry{key: p.Key}, owner: p.Owner}
		s.records[p.Key] = r
		s.own(r)
	} else if r.owner != p.Owner {
		s.disown(r)
		r.owner = p.Owner
		s.own(r)
	}
	r.version = p.Version
	if cap(r.body) > 2*len(p.Body) {
		r.body = nil // a large buffer must not outlive a large body
	}
	r.body = append(r.body[:0], p.Body...)
	s.schedule.set(&r.entry, p.Expires)
}

// drop forgets r.
func (s *Store) drop(r *record) {
	delete(s.records, r.key)
	s.disown(r)
	s.schedule.remove(&r.entry)
}
