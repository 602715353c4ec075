package pgstore

import (
	"cmp"
	"encoding/hex"
	"slices"
	"strconv"

	"github.com/seed62b93bad/passwordless"
)

// separator stands between kind and name in the key column. No kind contains it.
const separator = '/'

// column returns k as the key column has it.
func column(k passwordless.Key) string {
	return string(k.Kind) + string(separator) + k.Name
}

// An array builds the text of a PostgreSQL array, which every adapter takes as a string.
type array struct{ buf []byte }

// next begins an element.
func (a *array) next() {
	if len(a.buf) == 0 {
		a.buf = append(make([]byte, 0, 256), '{')
		return
	}
	a.buf = append(a.buf, ',')
}

func (a *array) text() string {
	if len(a.buf) == 0 {
		return "{}"
	}
	return string(append(a.buf, '}'))
}

func (a *array) int(n int64) {
	a.next()
	a.buf = strconv.AppendInt(a.buf, n, 10)
}

func (a *array) bool(b bool) {
	a.next()
	a.buf = strconv.AppendBool(a.buf, b)
}

func (a *array) bytes(b string) {
	a.next()
	a.buf = append(a.buf, `"\\x`...)
	a.buf = hex.AppendEncode(a.buf, []byte(b))
	a.buf = append(a.buf, '"')
}

func (a *array) uuid(v passwordless.Version) {
	a.next()
	a.buf = hex.AppendEncode(a.buf, v[:])
}

func (a *array) null() {
	a.next()
	a.buf = append(a.buf, "NULL"...)
}

// arguments returns a batch in the order of the function's parameters.
func arguments(prefix string, now passwordless.Instant, b passwordless.Batch) []any {
	ids, shared := locks(prefix, b)
	args := []any{int64(now), ids, shared}
	args = append(args, charges(b.Charges)...)
	args = append(args, giveBacks(b.GiveBacks)...)
	args = append(args, puts(b.Puts)...)
	var deletes array
	for _, k := range b.Deletes {
		deletes.bytes(column(k))
	}
	return append(args, deletes.text())
}

func charges(all []passwordless.Charge) []any {
	var keys, durable, look, windows, spans, costs array
	for _, c := range all {
		keys.bytes(column(c.Bucket))
		durable.bool(c.Durable)
		look.bool(c.Look)
		windows.int(int64(len(c.Windows)))
		for _, w := range c.Windows {
			every := w.Every.Microseconds()
			spans.int(w.Burst * every)
			costs.int(w.Cost * every)
		}
	}
	return []any{keys.text(), durable.text(), look.text(), windows.text(), spans.text(), costs.text()}
}

func giveBacks(all []passwordless.Charge) []any {
	var keys, durable, windows, costs array
	for _, c := range all {
		keys.bytes(column(c.Bucket))
		durable.bool(c.Durable)
		windows.int(int64(len(c.Windows)))
		for _, w := range c.Windows {
			costs.int(w.Cost * w.Every.Microseconds())
		}
	}
	return []any{keys.text(), durable.text(), windows.text(), costs.text()}
}

func puts(all []passwordless.Put) []any {
	var keys, versions, was, expires, owners, bodies array
	for _, p := range all {
		keys.bytes(column(p.Record.Key))
		versions.uuid(p.Record.Version)
		if p.Any {
			was.null()
		} else {
			was.uuid(p.Was)
		}
		expires.int(int64(p.Record.Expires))
		owners.bytes(p.Record.Owner)
		bodies.bytes(string(p.Record.Body))
	}
	return []any{keys.text(), versions.text(), was.text(), expires.text(), owners.text(), bodies.text()}
}

type lock struct {
	id     int64
	shared bool
}

// locks returns the locks of all keys of a batch, each once and in ascending order. A
// bucket that is only looked at is locked against changes, not against other looks.
func locks(prefix string, b passwordless.Batch) (ids, shared string) {
	all := make([]lock, 0, len(b.Charges)+len(b.GiveBacks)+len(b.Puts)+len(b.Deletes))
	for _, c := range b.Charges {
		all = append(all, lock{lockID('b', prefix, column(c.Bucket)), c.Look})
	}
	for _, c := range b.GiveBacks {
		all = append(all, lock{lockID('b', prefix, column(c.Bucket)), false})
	}
	for _, p := range b.Puts {
		all = append(all, lock{lockID('r', prefix, column(p.Record.Key)), false})
	}
	for _, k := range b.Deletes {
		all = append(all, lock{lockID('r', prefix, column(k)), false})
	}
	slices.SortFunc(all, func(x, y lock) int { return cmp.Compare(x.id, y.id) })
	var idArray, sharedArray array
	for i := 0; i < len(all); {
		id, look := all[i].id, true
		for ; i < len(all) && all[i].id == id; i++ {
			look = look && all[i].shared
		}
		idArray.int(id)
		sharedArray.bool(look)
	}
	return idArray.text(), sharedArray.text()
}

// lockID returns the number of the advisory lock of a thing. It is FNV-1a, because it
// must be the same in all processes. Classes: b buckets, r records, m migrations.
func lockID(class byte, prefix, name string) int64 {
	hash := uint64(14695981039346656037)
	for _, part := range []string{prefix, string(class), name} {
		for _, c := range []byte(part) {
			hash = (hash ^ uint64(c)) * 1099511628211
		}
	}
	return int64(hash)
}
