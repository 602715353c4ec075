package memstore

import (
	"container/heap"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/seed62b93bad/passwordless/store"
)

// An entry is what a record and a bucket have in common: Sweep may remove them from their end on.
type entry struct {
	key    store.Key
	bucket bool
	end    store.Instant
	due    store.Instant // when Sweep looks at it: at end, or earlier
	place  int           // in the schedule, counted from 1; 0 before it entered
}

// fullAt returns when a bucket of that state is full.
func fullAt(state []int64) store.Instant {
	last := slices.Max(state)
	if last > math.MaxInt64/1000 {
		return store.Never
	}
	return store.Instant(last * 1000)
}

// A schedule is a heap by due of all records and buckets, each of them once. An end that moves later, as that of a
// bucket does with every charge, leaves the entry where it is; Sweep finds that out.
type schedule []*entry

// set enters e, or moves it, so that it is due at end or earlier.
func (q *schedule) set(e *entry, end store.Instant) {
	e.end = end
	switch {
	case e.place == 0:
		e.due = end
		heap.Push(q, e)
	case end < e.due:
		q.postpone(e)
	}
}

// postpone makes e due at its end.
func (q *schedule) postpone(e *entry) {
	e.due = e.end
	heap.Fix(q, e.place-1)
}

func (q *schedule) remove(e *entry) { heap.Remove(q, e.place-1) }

// Len, Less, Swap, Push and Pop are for package heap.

func (q schedule) Len() int           { return len(q) }
func (q schedule) Less(i, j int) bool { return q[i].due < q[j].due }

func (q schedule) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i+1, j+1
}

func (q *schedule) Push(e any) {
	*q = append(*q, e.(*entry))
	e.(*entry).place = len(*q)
}

func (q *schedule) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return e
}

// sweepStep bounds how many entries one lock hold of Sweep looks at.
const sweepStep = 64

// Sweep removes records that were expired, and buckets that were full, at now. It lets commits pass every few entries.
func (s *Store) Sweep(ctx context.Context, now store.Instant, limit int) (int, error) {
	removed := 0
	for {
		if err := ctx.Err(); err != nil {
			return removed, fmt.Errorf("memstore: sweep: %w", err)
		}
		n, more := s.sweep(now, min(limit-removed, sweepStep))
		removed += n
		if !more || removed == limit {
			return removed, nil
		}
	}
}

// sweep looks at up to n entries that are due. It returns how many of them it removed, and whether more may be due.
func (s *Store) sweep(now store.Instant, n int) (removed int, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		if len(s.schedule) == 0 || s.schedule[0].due > now {
			return removed, false
		}
		e := s.schedule[0]
		if e.end > now {
			s.schedule.postpone(e)
			continue
		}
		if e.bucket {
			delete(s.buckets, e.key)
			s.schedule.remove(e)
		} else {
			s.drop(s.records[e.key])
		}
		removed++
	}
	return removed, true
}
