package pgstore

import (
	"cmp"
	"encoding/hex"
	"slices"
	"strconv"

	"github.com/seed62b93bad/passwordless/store"
)

// separator stands between kind and name in the key column. No kind contains it.
const separator = '/'

// column returns k as the key column has it.
func column(k store.Key) string {
	return string(k.Kind) + string(separator) + k.Name
}

// An array builds the text of a PostgreSQL array, which every adapter takes as a string.
type array struct{ buf []byte }

// next begins an element.
func (a *array) next() {
	switch {
	case len(a.buf) == 0:
		a.buf = append(make([]byte, 0, 256), '{')
	case a.buf[len(a.buf)-1] != '{':
		a.buf = append(a.buf, ',')
	}
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

// flag adds 1 for true.
func (a *array) flag(b bool) {
	if b {
		a.int(1)
		return
	}
	a.int(0)
}

func (a *array) bytes(b string) {
	a.next()
	a.buf = append(a.buf, `"\\x`...)
	a.buf = hex.AppendEncode(a.buf, []byte(b))
	a.buf = append(a.buf, '"')
}

func (a *array) null() {
	a.next()
	a.buf = append(a.buf, "NULL"...)
}

// open begins a row of a two-dimensional array, and close ends it.
func (a *array) open() {
	a.next()
	a.buf = append(a.buf, '{')
}

func (a *array) close() { a.buf = append(a.buf, '}') }

// arguments returns a batch in the order of the function's parameters.
func arguments(prefix string, now store.Instant, b store.Batch) []any {
	charged, charges := charges(b.Charges)
	givenBack, gives := giveBacks(b.GiveBacks)
	puts, expires := puts(b.Puts)
	var deletes array
	for _, k := range b.Deletes {
		deletes.bytes(column(k))
	}
	return []any{int64(now), locks(prefix, b), charged, charges, givenBack, gives, puts, expires, deletes.text()}
}

func charges(all []store.Charge) (keys, numbers string) {
	var k, n array
	for _, c := range all {
		k.bytes(column(c.Bucket))
		n.flag(c.Durable)
		n.flag(c.Look)
		n.int(int64(len(c.Windows)))
		for _, w := range c.Windows {
			every := w.Every.Microseconds()
			n.int(w.Burst * every)
			n.int(w.Cost * every)
			n.int(w.Horizon())
		}
	}
	return k.text(), n.text()
}

func giveBacks(all []store.Charge) (keys, numbers string) {
	var k, n array
	for _, c := range all {
		k.bytes(column(c.Bucket))
		n.flag(c.Durable)
		n.int(int64(len(c.Windows)))
		for _, w := range c.Windows {
			n.int(w.Cost * w.Every.Microseconds())
		}
	}
	return k.text(), n.text()
}

func puts(all []store.Put) (rows, expires string) {
	var r, e array
	for _, p := range all {
		r.open()
		r.bytes(column(p.Record.Key))
		r.bytes(string(p.Record.Version[:]))
		switch {
		case p.Any:
			r.null()
		case p.Was == store.Version{}:
			r.bytes("")
		default:
			r.bytes(string(p.Was[:]))
		}
		r.bytes(p.Record.Owner)
		r.bytes(string(p.Record.Body))
		r.close()
		e.int(int64(p.Record.Expires))
	}
	return r.text(), e.text()
}

type lock struct {
	id     int64
	shared bool
}

// locks returns the locks of all keys of a batch, each once and in ascending order. A bucket that is only looked at is
// locked against changes, not against other looks, which the lowest bit tells.
func locks(prefix string, b store.Batch) string {
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
	var ids array
	for i := 0; i < len(all); {
		id, look := all[i].id, true
		for ; i < len(all) && all[i].id == id; i++ {
			look = look && all[i].shared
		}
		if look {
			id++
		}
		ids.int(id)
	}
	return ids.text()
}

// lockID returns the number of the advisory lock of a thing. It is FNV-1a, because it must be the same in all
// processes, but even. Classes: b buckets, r records, m migrations, c checks.
func lockID(class byte, prefix, name string) int64 {
	hash := uint64(14695981039346656037)
	for _, part := range []string{prefix, string(class), name} {
		for _, c := range []byte(part) {
			hash = (hash ^ uint64(c)) * 1099511628211
		}
	}
	return int64(hash &^ 1)
}
