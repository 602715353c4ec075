package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/seed62b93bad/passwordless/store"
)

// hostile are names that some engine, driver or careless query would take for
// something else, or for each other.
var hostile = []string{
	"a", "A", "a ", " a", "a\x00", "\x00a", "\x00", "a\x00b", "ä", "a\u0308", "Ä", "ß", "ss", "ı", "I", "i",
	"\xff", "\xff\xfe", "\xc3\x28", "\xed\xa0\x80", "\uFEFF", "😀",
	"'", "''", `"`, "`", `\`, `\\`, `\'`, `\x41`, `\000`,
	"A%", "%", "_", "%s", "%!d", "?", "$1", ":name", "@p1", "*", "[a]", "[^a]", "{a}", "{", "}",
	"'; DROP TABLE records; --", "' OR '1'='1", "\n", "\r\n", "\t", "--", "/*", "*/", ";", "$$", "E'\\n'",
	"]]", "[[", "]==]", "\" .. redis.call('FLUSHALL') .. \"", "KEYS[1]", "*3\r\n$3\r\nDEL\r\n",
	"0", "00", "-1", "1e3", "NaN", "NULL", "nil", "true", "\\N",
	":", "a:b", "/", "a/b", "..", "a|b", ",", "a,b", "test", "owner",
}

var names = []testCase{
	{
		name: "every byte in a name",
		says: []string{"Name holds 1 to 64 arbitrary bytes, not text."},
		run:  func(k *kit) { k.distinct(everyByte()) },
	},
	{
		name: "hostile names",
		says: []string{"Name holds 1 to 64 arbitrary bytes, not text."},
		run:  func(k *kit) { k.distinct(hostile) },
	},
	{
		name: "names of 64 bytes",
		says: []string{"Name holds 1 to 64 arbitrary bytes, not text."},
		run: func(k *kit) {
			prefix := strings.Repeat("x", 63)
			k.distinct([]string{
				prefix + "\x00", prefix + " ", prefix + "\xff", prefix, prefix + "y",
				strings.Repeat("\x00", 64), strings.Repeat("\x00", 63), strings.Repeat("'", 64),
			})
		},
	},
	{
		name: "every byte in a bucket",
		says: []string{"A Key names one record or one bucket. Name holds 1 to 64 arbitrary bytes, not text."},
		run:  func(k *kit) { k.distinctBuckets(everyByte()) },
	},
	{
		name: "hostile buckets",
		says: []string{"A Key names one record or one bucket. Name holds 1 to 64 arbitrary bytes, not text."},
		run:  func(k *kit) { k.distinctBuckets(hostile) },
	},
	{
		name: "every byte in an owner",
		says: []string{"at most 64 arbitrary bytes"},
		run: func(k *kit) {
			k.distinctOwners(append(everyByte(), strings.Repeat("\x00", 64), strings.Repeat("\xff", 64), strings.Repeat("\xff", 63)))
		},
	},
	{
		name: "hostile owners",
		says: []string{"at most 64 arbitrary bytes"},
		run:  func(k *kit) { k.distinctOwners(hostile) },
	},
	{
		name: "kinds",
		says: []string{"one to sixteen bytes out of a-z and '-'"},
		run:  kindsApart,
	},
	{
		name: "bodies",
		says: []string{"opaque, at most MaxBody bytes"},
		run:  bodies,
	},
}

func everyByte() []string {
	all := make([]string, 256)
	for b := range all {
		all[b] = string([]byte{byte(b)})
	}
	return all
}

// distinct puts a record under each name in one batch and finds each again.
func (k *kit) distinct(names []string) {
	var b store.Batch
	var want []store.Record
	for i, name := range names {
		r := record(name, fmt.Sprint("body ", i))
		b.Puts = append(b.Puts, fresh(r))
		want = append(want, r)
	}
	k.commit(t0, b)
	k.holds(t0, want...)
	k.commit(t0, store.Batch{Deletes: []store.Key{want[0].Key}})
	k.lacks(t0, want[0].Key)
	k.holds(t0, want[1:]...)
}

// distinctBuckets charges a bucket of each name in one batch, each differently.
func (k *kit) distinctBuckets(names []string) {
	var b store.Batch
	for i, name := range slices.Sorted(slices.Values(names)) {
		c := charge(name, hourly(1000, int64(i+1)))
		c.Durable = i%2 == 0
		b.Charges = append(b.Charges, c)
	}
	k.commit(t0, b)
	for i, c := range b.Charges {
		c.Windows = []store.Window{hourly(1000, 1)}
		b.Charges[i] = c
	}
	for i, level := range k.commit(t0, b) {
		if want := t0.Micros() + int64(i+2)*hour.Microseconds(); level[0] != want {
			k.fatalf("bucket %q is full at %d, want %d", b.Charges[i].Bucket.Name, level[0], want)
		}
	}
}

// distinctOwners lists the one record of each owner.
func (k *kit) distinctOwners(owners []string) {
	var b store.Batch
	for i, owner := range owners {
		r := record(fmt.Sprint("record ", i), "body")
		r.Owner = owner
		b.Puts = append(b.Puts, fresh(r))
	}
	k.commit(t0, b)
	for _, p := range b.Puts {
		k.holds(t0, p.Record)
		k.lists(t0, p.Record.Owner, 10, p.Record)
	}
}

// kindsApart puts records whose kind and name, joined, would be the same.
func kindsApart(k *kit) {
	keys := []store.Key{
		{Kind: "a", Name: "bc"}, {Kind: "ab", Name: "c"},
		{Kind: "a", Name: "-b"}, {Kind: "a-", Name: "b"}, {Kind: "a-", Name: "-b"}, {Kind: "a--", Name: "b"},
		{Kind: "a", Name: ":b"}, {Kind: "a", Name: "/b"}, {Kind: "a", Name: "\x00b"},
		{Kind: "-", Name: "-"}, {Kind: "--", Name: "-"}, {Kind: "-", Name: "--"},
		{Kind: "sixteen-letters-", Name: "x"}, {Kind: "sixteen-letters", Name: "-x"}, {Kind: "sixteen-letters", Name: "x"},
	}
	var b store.Batch
	var want []store.Record
	for i, key := range keys {
		r := record("", fmt.Sprint("body ", i))
		r.Key = key
		b.Puts = append(b.Puts, fresh(r))
		want = append(want, r)
	}
	k.commit(t0, b)
	k.holds(t0, want...)
}

// bodies puts bodies of all bytes, none, one and MaxBody.
func bodies(k *kit) {
	all := make([]byte, store.MaxBody)
	for i := range all {
		all[i] = byte(i + i>>8)
	}
	zeros := bytes.Repeat([]byte{0}, store.MaxBody)
	quotes := bytes.Repeat([]byte{'\''}, store.MaxBody)
	list := [][]byte{nil, {}, {0}, {0xff}, []byte("NULL"), []byte(`\x00`), []byte("{}"), all[:256], all, zeros, quotes}
	for _, h := range hostile {
		list = append(list, []byte(h))
	}
	for i, body := range list {
		r := record(fmt.Sprint("body ", i), "")
		r.Body = body
		k.commit(t0, puts(fresh(r)))
		k.holds(t0, r)
	}
	empty := record("body 8", "")
	k.commit(t0, puts(anyway(empty)))
	k.holds(t0, empty)
}
