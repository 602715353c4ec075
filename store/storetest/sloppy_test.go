package storetest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

// A sloppy is the simplest Store that keeps the contract, on a shelf that several
// instances share, unless it has a bug.
type sloppy struct {
	*shelf
	bug string
}

type shelf struct {
	mu      sync.Mutex // guards all below
	records map[store.Key]store.Record
	buckets map[store.Key][]int64
	behind  map[store.Key]store.Record // as before the last commit

	counting int           // commits to the record "counter" that others were let into
	second   chan struct{} // closed when there are two
	tear     tear
}

func newSloppy(bug string) *sloppy {
	return &sloppy{bug: bug, shelf: &shelf{
		records: map[store.Key]store.Record{},
		buckets: map[store.Key][]int64{},
		second:  make(chan struct{}),
		tear:    tear{begun: make(chan struct{}), written: make(chan struct{}), over: make(chan struct{})},
	}}
}

func (s *sloppy) has(bug string) bool { return s.bug == bug }

// unlocked calls f in the middle of what should not be interrupted.
func (s *sloppy) unlocked(f func()) {
	s.mu.Unlock()
	defer s.mu.Lock()
	f()
}

// letIn lets others in between the conditions of a batch and its puts. The first who counts on waits for the second.
func (s *sloppy) letIn(ctx context.Context, b store.Batch) {
	counts := slices.ContainsFunc(b.Puts, func(p store.Put) bool {
		return p.Record.Key.Name == "counter" && p.Was != store.Version{}
	})
	if !counts {
		return
	}
	switch s.counting++; s.counting {
	case 1:
		s.unlocked(func() { await(ctx, s.second) })
	case 2:
		close(s.second)
	}
}

// A tear is one Load of several records with one commit of them in its middle, while other commits wait.
type tear struct {
	begun, written, over chan struct{} // closed in this order
	reads, writes        bool          // somebody does
}

// torn is how many records are in what is torn. Only commits that run beside loads have so many.
const torn = 6

// read waits in the middle of a Load for the commit.
func (s *sloppy) read(ctx context.Context, keys []store.Key) (done func()) {
	if !s.has("tears reads") || len(keys) != torn || s.tear.reads {
		return func() {}
	}
	s.tear.reads = true
	close(s.tear.begun)
	s.unlocked(func() { await(ctx, s.tear.written) })
	return func() { close(s.tear.over) }
}

// tearing waits before a commit for the Load that it tears, or that another does.
func (s *sloppy) tearing(ctx context.Context, b store.Batch) (done func()) {
	if !s.has("tears reads") || max(len(b.Puts), len(b.Deletes)) != torn {
		return func() {}
	}
	if s.tear.writes || len(b.Puts) != torn {
		s.unlocked(func() { await(ctx, s.tear.over) })
		return func() {}
	}
	s.tear.writes = true
	s.unlocked(func() { await(ctx, s.tear.begun) })
	return func() { close(s.tear.written) }
}

func await(ctx context.Context, event <-chan struct{}) {
	select {
	case <-event:
	case <-ctx.Done():
	}
}

// key is where k is stored.
func (s *sloppy) key(k store.Key) store.Key {
	switch s.bug {
	case "folds case":
		k.Name = strings.ToLower(k.Name)
	case "trims spaces":
		k.Name = strings.TrimRight(k.Name, " ")
	case "ends names at zero":
		k.Name, _, _ = strings.Cut(k.Name, "\x00")
	case "makes names valid text":
		k.Name = strings.ToValidUTF8(k.Name, "?")
	case "cuts long names":
		k.Name = k.Name[:min(len(k.Name), 63)]
	case "joins kind and name":
		k.Kind, k.Name = "", string(k.Kind)+k.Name
	case "ignores the kind":
		k.Kind = ""
	}
	return k
}

func (s *sloppy) expired(r store.Record, now store.Instant) bool {
	switch s.bug {
	case "reads a clock":
		now = store.InstantOf(time.Now())
	case "rounds to microseconds":
		return r.Expires/1000 <= now/1000
	case "expires a nanosecond late":
		return r.Expires < now
	case "keeps instants in binary64":
		return float64(r.Expires) <= float64(now)
	case "never expires":
		return false
	case "keeps instants in 62 bits":
		return min(r.Expires, 1<<62) <= now
	case "takes zero for never":
		return r.Expires != 0 && r.Expires <= now
	}
	return r.Expires <= now
}

// live returns the record under k as a caller may have it.
func (s *sloppy) live(k store.Key, now store.Instant) store.Record {
	r, ok := s.records[s.key(k)]
	if s.has("reads a replica") && s.behind != nil {
		r, ok = s.behind[k]
	}
	if !ok || s.expired(r, now) {
		if s.has("leaves the body of the expired") {
			return store.Record{Key: k, Body: r.Body}
		}
		return store.Record{Key: k}
	}
	if !s.has("hands out its memory") {
		r.Body = slices.Clone(r.Body)
	}
	return r
}

func (s *sloppy) Load(ctx context.Context, now store.Instant, keys ...store.Key) ([]store.Record, error) {
	if err := ctx.Err(); err != nil && !s.has("ignores the context") {
		return nil, fmt.Errorf("sloppy: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []store.Record
	for i, k := range keys {
		if i == 1 {
			defer s.read(ctx, keys)()
		}
		r := s.live(k, now)
		if s.has("leaves out the absent") && r.Version == (store.Version{}) {
			continue
		}
		all = append(all, r)
	}
	return all, nil
}

func (s *sloppy) Commit(ctx context.Context, now store.Instant, b store.Batch) (store.Levels, error) {
	if err := ctx.Err(); err != nil && !s.has("ignores the context") {
		if s.has("hides why the context ended") {
			err = store.ErrUnavailable
		}
		return nil, fmt.Errorf("sloppy: %w", err)
	}
	if err := b.Validate(); err != nil && !s.has("does not validate") {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.tearing(ctx, b)()
	if s.applied(now, b) {
		return nil, nil
	}
	if s.has("gives back first") {
		s.giveBack(now, b.GiveBacks)
	}
	if s.has("conflicts before it refuses") {
		if err := s.conflicts(now, b); err != nil {
			return nil, err
		}
	}
	levels, err := s.charge(now, b)
	if err != nil {
		return nil, err
	}
	if err := s.conflicts(now, b); err != nil {
		return nil, err
	}
	if s.has("lets others in between") {
		s.letIn(ctx, b)
	}
	s.write(now, b, levels)
	return levels, nil
}

func (s *sloppy) applied(now store.Instant, b store.Batch) bool {
	if s.has("forgets its own version") {
		return false
	}
	for i, p := range b.Puts {
		if i > 0 && s.has("looks for its first version only") {
			return false
		}
		if r, ok := s.records[s.key(p.Record.Key)]; ok && r.Version == p.Record.Version {
			if s.has("charges a retry again") {
				if levels, err := s.charge(now, b); err == nil {
					s.write(now, store.Batch{Charges: b.Charges}, levels)
				}
			}
			if s.has("deletes again") {
				s.write(now, store.Batch{Deletes: b.Deletes}, nil)
			}
			return true
		}
	}
	return false
}

func (s *sloppy) charge(now store.Instant, b store.Batch) (store.Levels, error) {
	var levels store.Levels
	var last error
	for _, c := range b.Charges {
		next, err := s.take(now, c)
		if err != nil && s.has("reports the last refusal") {
			last = err
			continue
		}
		if err != nil {
			if s.has("gives back though it refuses") {
				s.giveBack(now, b.GiveBacks)
			}
			return nil, err
		}
		levels = append(levels, next)
		if s.has("charges before all are granted") && !c.Look {
			s.buckets[s.key(c.Bucket)] = next
		}
	}
	return levels, last
}

func (s *sloppy) take(now store.Instant, c store.Charge) ([]int64, error) {
	switch s.bug {
	case "charges by a clock":
		now = store.InstantOf(time.Now())
	case "counts in milliseconds":
		now -= now % 1e6
	case "takes when it looks":
		c.Look = false
	case "never refuses a look":
		if c.Look {
			return append(slices.Clone(s.buckets[s.key(c.Bucket)]), make([]int64, 8)...), nil
		}
	case "ignores the second window":
		c.Windows = c.Windows[:1]
	case "cost 0 counts as 1":
		c.Windows = slices.Clone(c.Windows)
		for i := range c.Windows {
			c.Windows[i].Cost = max(1, c.Windows[i].Cost)
		}
	}
	next, err := c.Take(now, s.buckets[s.key(c.Bucket)])
	var limited *store.LimitedError
	if s.has("names the first window") && errors.As(err, &limited) {
		limited.Window = 0
	}
	if s.has("forgets windows") {
		next = next[:len(c.Windows)]
	}
	if s.has("computes in binary32") {
		for i, w := range c.Windows {
			if w.Cost > 0 && !c.Look && err == nil {
				next[i] = now.Micros() + int64(float32(next[i]-now.Micros()))
			}
		}
	}
	return next, err
}

func (s *sloppy) conflicts(now store.Instant, b store.Batch) error {
	var conflict store.ConflictError
	for _, p := range b.Puts {
		r := s.live(p.Record.Key, now)
		if s.has("takes the expired for there") {
			r = s.records[s.key(p.Record.Key)]
		}
		ok := p.Any || r.Version == p.Was
		switch s.bug {
		case "ignores conditions":
			ok = true
		case "ignores absent":
			ok = ok || p.Was == store.Version{}
		case "any must be there":
			ok = ok && (!p.Any || r.Version != store.Version{})
		case "compares bodies":
			ok = ok || bytes.Equal(r.Body, p.Record.Body)
		case "compares text versions":
			ok = p.Any || strings.TrimRight(string(r.Version[:]), "\x00 ") == strings.TrimRight(string(p.Was[:]), "\x00 ")
		}
		if ok {
			if s.has("writes before all is checked") {
				s.records[p.Record.Key] = p.Record
			}
			continue
		}
		if s.has("names the first conflict") && len(conflict.Keys) > 0 {
			continue
		}
		conflict.Keys = append(conflict.Keys, p.Record.Key)
	}
	if conflict.Keys == nil {
		return nil
	}
	switch s.bug {
	case "charges on a conflict":
		if levels, err := s.charge(now, b); err == nil {
			s.write(now, store.Batch{Charges: b.Charges}, levels)
		}
	case "deletes on a conflict":
		s.write(now, store.Batch{Deletes: b.Deletes}, nil)
	case "tells names":
		return fmt.Errorf("sloppy: %v: %w", conflict.Keys[0].Name, &conflict)
	}
	return &conflict
}

func (s *sloppy) giveBack(now store.Instant, all []store.Charge) {
	for _, c := range all {
		next := c.Give(s.buckets[s.key(c.Bucket)])
		for i := range next {
			if s.has("gives back to now at most") {
				next[i] = max(next[i], now.Micros())
			}
			if s.has("gives back all") {
				next[i] = 0
			}
		}
		s.buckets[s.key(c.Bucket)] = next
	}
}

func (s *sloppy) write(now store.Instant, b store.Batch, levels store.Levels) {
	s.behind = maps.Clone(s.records)
	for i, c := range b.Charges {
		if !c.Look || s.has("takes when it looks") {
			s.buckets[s.key(c.Bucket)] = slices.Clone(levels[i])
		}
		if s.has("keeps its levels") {
			s.buckets[s.key(c.Bucket)] = levels[i]
		}
	}
	if !s.has("gives back first") && !s.has("never gives back") {
		s.giveBack(now, b.GiveBacks)
	}
	for _, p := range b.Puts {
		s.put(p.Record)
	}
	for _, k := range b.Deletes {
		if !s.has("never deletes") {
			delete(s.records, s.key(k))
		}
	}
	if s.has("sorts the batch") {
		slices.SortFunc(b.Deletes, store.Key.Compare)
	}
}

func (s *sloppy) put(r store.Record) {
	if !s.has("keeps the batch") {
		r.Body = slices.Clone(r.Body)
	}
	switch s.bug {
	case "takes bodies for text":
		r.Body, _, _ = bytes.Cut(r.Body, []byte{0})
	case "keeps the old owner":
		if old, ok := s.records[r.Key]; ok {
			r.Owner = old.Owner
		}
	case "limits bodies":
		r.Body = r.Body[:min(len(r.Body), store.MaxBody-1)]
	case "keeps the old expiry":
		if old, ok := s.records[r.Key]; ok {
			r.Expires = old.Expires
		}
	}
	s.records[s.key(r.Key)] = r
}

func (s *sloppy) List(ctx context.Context, now store.Instant, kind store.Kind, from store.Page) ([]store.Record, string, error) {
	if err := ctx.Err(); err != nil && !s.has("ignores the context") {
		return nil, "", fmt.Errorf("sloppy: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var page []store.Record
	last := ""
	for i, k := range slices.SortedFunc(maps.Keys(s.records), store.Key.Compare) {
		r := s.records[k]
		beyond := strconv.Quote(k.Name) > from.Cursor
		if s.has("pages by number") {
			n, _ := strconv.Atoi(from.Cursor)
			beyond = i >= n
		}
		if k.Kind != kind && !s.has("lists every kind") || r.Owner != from.Owner || !beyond {
			continue
		}
		if s.expired(r, now) && !s.has("lists the expired") {
			continue
		}
		if len(page) == from.Limit && !s.has("ignores the limit of a page") {
			if s.has("skips one a page") {
				last = strconv.Quote(k.Name)
			}
			return page, last, nil
		}
		r.Body = slices.Clone(r.Body)
		page = append(page, r)
		last = strconv.Quote(k.Name)
		switch s.bug {
		case "pages by number":
			last = strconv.Itoa(i + 1)
		case "repeats one a page":
			last = last[:len(last)-1]
		}
	}
	if s.has("has no last page") {
		return page, "more", nil
	}
	return page, "", nil
}

func (s *sloppy) Sweep(ctx context.Context, now store.Instant, limit int) (int, error) {
	if err := ctx.Err(); err != nil && !s.has("ignores the context") {
		return 0, fmt.Errorf("sloppy: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.has("never sweeps") {
		return 0, nil
	}
	if s.has("ignores the limit of a sweep") {
		limit = math.MaxInt
	}
	n := 0
	for k, r := range s.records {
		if n < limit && (s.expired(r, now) || s.has("sweeps the living")) {
			delete(s.records, k)
			n++
		}
	}
	for k, full := range s.buckets {
		empty := slices.Max(full) > now.Micros()
		if s.has("looks at the first window when it sweeps") {
			empty = full[0] > now.Micros()
		}
		if n < limit && (!empty || s.has("sweeps buckets in use")) && !s.has("sweeps records only") {
			delete(s.buckets, k)
			n++
		}
	}
	if s.has("counts wrong when it sweeps") {
		return max(0, n-1), nil
	}
	return n, nil
}
