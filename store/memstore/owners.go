package memstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/seed62b93bad/passwordless/store"
)

type ownerKey struct {
	kind  store.Kind
	owner string
}

// owned lists the records of one owner in the order in which they came to it. A record that left is a gap until half of
// the list is gaps.
type owned struct {
	list []place
	gaps int
}

// A place keeps its sequence number when its record left, so that the list stays searchable and cursors stay valid.
type place struct {
	sequence uint64
	record   *record
}

// after returns the index of the first place beyond sequence.
func (o *owned) after(sequence uint64) int {
	i, _ := slices.BinarySearchFunc(o.list, sequence+1, func(p place, n uint64) int {
		return cmp.Compare(p.sequence, n)
	})
	return i
}

// own enters r into the list of its owner.
func (s *Store) own(r *record) {
	if r.owner == "" {
		return
	}
	k := ownerKey{r.key.Kind, r.owner}
	o := s.owners[k]
	if o == nil {
		o = new(owned)
		s.owners[k] = o
	}
	s.sequence++
	r.sequence = s.sequence
	o.list = append(o.list, place{r.sequence, r})
}

// disown takes r out of the list of its owner.
func (s *Store) disown(r *record) {
	if r.owner == "" {
		return
	}
	k := ownerKey{r.key.Kind, r.owner}
	o := s.owners[k]
	o.list[o.after(r.sequence-1)].record = nil
	o.gaps++
	if 2*o.gaps <= len(o.list) {
		return
	}
	o.list = slices.DeleteFunc(o.list, func(p place) bool { return p.record == nil })
	o.gaps = 0
	if len(o.list) == 0 {
		delete(s.owners, k)
	}
}

// List returns the records of an owner in the order in which they came to it. Records without an owner are not listed.
// A cursor is the place of the last record of the page before.
func (s *Store) List(ctx context.Context, now store.Instant, kind store.Kind, page store.Page) ([]store.Record, string, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", fmt.Errorf("memstore: list: %w", err)
	}
	var last uint64
	if page.Cursor != "" {
		var err error
		if last, err = strconv.ParseUint(page.Cursor, 36, 63); err != nil {
			return nil, "", fmt.Errorf("memstore: list: not a cursor of this store")
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.owners[ownerKey{kind, page.Owner}]
	if o == nil {
		return nil, "", nil
	}
	records, next := o.page(now, page.Limit, last)
	return records, next, nil
}

// page returns at most limit live records beyond the place last.
func (o *owned) page(now store.Instant, limit int, last uint64) ([]store.Record, string) {
	var page []store.Record
	for _, p := range o.list[o.after(last):] {
		if p.record == nil || now >= p.record.end {
			continue
		}
		if len(page) == limit {
			return page, strconv.FormatUint(last, 36)
		}
		page = append(page, p.record.copy())
		last = p.sequence
	}
	return page, ""
}
