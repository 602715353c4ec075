package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

const (
	listsOwner = "List returns records of the kind and of the page's owner that are not expired at now, at most the page's " +
		"limit and in no particular order, and the cursor of the next page, \"\" after the last."
	listsOnce = "records that are written while a caller pages may be missed or repeated; all others appear exactly once"
)

var list = []testCase{
	{
		name: "kind and owner",
		says: []string{listsOwner},
		run: func(k *kit) {
			one, two, other, kind := record("one", "body"), record("two", ""), record("other", ""), record("one", "")
			other.Owner, kind.Key.Kind = "other", "other"
			k.commit(t0, puts(fresh(one), fresh(two), fresh(other), fresh(kind)))
			k.lists(t0, "owner", 10, one, two)
			k.lists(t0, "other", 10, other)
			k.lists(t0, "nobody", 10)
		},
	},
	{
		name: "expired records are left out",
		says: []string{listsOwner},
		run: func(k *kit) {
			all := k.owned(30)
			k.lists(t0, "owner", 7, all...)
			k.lists(all[9].Expires-1, "owner", 7, all[9:]...)
			k.lists(all[9].Expires, "owner", 7, all[10:]...)
			k.lists(all[28].Expires, "owner", 7, all[29])
			k.lists(all[29].Expires, "owner", 7)
			k.lists(t0, "owner", 7, all...)
		},
	},
	{
		name: "pages",
		says: []string{listsOwner, listsOnce},
		run: func(k *kit) {
			all := k.owned(230)
			for _, limit := range []int{7, 100, 229, 230, 231, 1000} {
				k.lists(t0, "owner", limit, all...)
			}
		},
	},
	{
		name: "pages of one",
		says: []string{listsOwner, listsOnce},
		run:  func(k *kit) { k.lists(t0, "owner", 1, k.owned(12)...) },
	},
	{
		name: "pages of a thousand",
		says: []string{listsOwner},
		run:  func(k *kit) { k.lists(t0, "owner", 1000, k.owned(1005)...) },
	},
	{
		name: "a record changes its owner",
		says: []string{"Record is written as a whole.", listsOwner},
		run: func(k *kit) {
			all := k.owned(3)
			moved := all[1]
			moved.Version, moved.Owner = version(), "other"
			k.commit(t0, puts(over(all[1], moved)))
			k.lists(t0, "owner", 2, all[0], all[2])
			k.lists(t0, "other", 2, moved)
			alone := moved
			alone.Version, alone.Owner = version(), ""
			k.commit(t0, puts(over(moved, alone)))
			k.lists(t0, "other", 2)
			back := moved
			back.Version, back.Owner = version(), "owner"
			k.commit(t0, puts(over(alone, back)))
			k.lists(t0, "owner", 2, all[0], all[2], back)
		},
	},
	{
		name: "replaced, deleted and expired",
		says: []string{listsOwner, seesCommits},
		run: func(k *kit) {
			all := k.owned(4)
			next := all[0]
			next.Version, next.Body = version(), []byte("next")
			ends := all[1]
			ends.Version, ends.Expires = version(), t0
			b := puts(over(all[0], next), anyway(ends))
			b.Deletes = []store.Key{all[2].Key}
			k.commit(t0, b)
			k.lists(t0, "owner", 10, next, all[3])
			anew := record(all[1].Key.Name, "anew")
			k.commit(t0, puts(fresh(anew)))
			k.lists(t0, "owner", 10, next, anew, all[3])
		},
	},
	{
		name: "writes between pages",
		says: []string{listsOnce},
		run:  writesBetweenPages,
	},
}

// owned puts n records of "owner" and returns them. They expire a second apart.
func (k *kit) owned(n int) []store.Record {
	all := make([]store.Record, n)
	for i := range all {
		all[i] = record(fmt.Sprintf("owned %d", i), fmt.Sprint("body ", i))
		all[i].Expires = t0.Add(time.Duration(i+1) * time.Second)
	}
	for some := range slices.Chunk(all, 250) {
		var b store.Batch
		for _, r := range some {
			b.Puts = append(b.Puts, fresh(r))
		}
		k.commit(t0, b)
	}
	return all
}

// page lists one page through the second instance.
func (k *kit) page(now store.Instant, owner string, limit int, cursor string) ([]store.Record, string) {
	page, next, err := k.b.List(k.ctx, now, "test", store.Page{Owner: owner, Limit: limit, Cursor: cursor})
	if err != nil {
		k.fatalf("List: %v, want success", err)
	}
	if len(page) > limit {
		k.fatalf("List: %d records, want at most %d", len(page), limit)
	}
	return page, next
}

// lists demands that all pages of the owner together are want.
func (k *kit) lists(now store.Instant, owner string, limit int, want ...store.Record) {
	var all []store.Record
	cursor := ""
	for range len(want) + 10 {
		page, next := k.page(now, owner, limit, cursor)
		all = append(all, page...)
		if cursor = next; cursor == "" {
			k.same(all, want)
			return
		}
	}
	k.fatalf("List: more than %d pages of %d for %d records", len(want)+10, limit, len(want))
}

// same demands that the two hold the same records, in any order.
func (k *kit) same(got, want []store.Record) {
	byKey := func(a, b store.Record) int { return a.Key.Compare(b.Key) }
	got, want = slices.SortedFunc(slices.Values(got), byKey), slices.SortedFunc(slices.Values(want), byKey)
	if len(got) != len(want) {
		k.fatalf("List: %d records, want %d", len(got), len(want))
	}
	for i := range got {
		if diff := difference(got[i], want[i]); diff != "" {
			k.fatalf("List: %s", diff)
		}
	}
}

// writesBetweenPages deletes, replaces and adds records between the pages; those it
// leaves alone must appear exactly once.
func writesBetweenPages(k *kit) {
	all := k.owned(60)
	seen := map[store.Key]int{}
	cursor := ""
	for n := 0; n == 0 || cursor != ""; n++ {
		if n > 100 {
			k.fatalf("List: no end after %d pages of 7 for 60 records", n)
		}
		page, next := k.page(t0, "owner", 7, cursor)
		for _, r := range page {
			seen[r.Key]++
		}
		cursor = next
		if 3*n+1 < len(all) {
			changed := all[3*n+1]
			changed.Version = version()
			b := puts(anyway(changed), fresh(record(fmt.Sprint("added ", n), "body")))
			b.Deletes = []store.Key{all[3*n].Key}
			k.commit(t0, b)
		}
	}
	for i := 2; i < len(all); i += 3 {
		if n := seen[all[i].Key]; n != 1 {
			k.fatalf("List: a record that nobody wrote appears %d times, want once", n)
		}
	}
}
