package memstore_test

import (
	"encoding/binary"
	"runtime"
	"testing"
	"time"

	"github.com/seed62b93bad/passwordless/passwordlesstest/servicetest"
	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/memstore"
	"github.com/seed62b93bad/passwordless/store/storetest"
)

const now = store.Instant(1e18)

// open returns one instance twice, since memory cannot be shared otherwise.
func open(testing.TB) (a, b store.Store) {
	s := memstore.New()
	return s, s
}

func TestStore(t *testing.T) {
	storetest.Run(t, open, storetest.Skip{"durability": "memory does not survive the process"})
}

func TestServiceOnStore(t *testing.T) { servicetest.Run(t, open) }

func BenchmarkStore(b *testing.B) { storetest.Bench(b, open) }

// What was replaced, deleted or moved between owners must leave nothing behind, even if nobody sweeps.
func TestReplacedRecordsDoNotPileUp(t *testing.T) {
	s := memstore.New()
	churn(t, s, 100)
	before := heap()
	churn(t, s, 20_000)
	if grown := int64(heap()) - int64(before); grown > 256<<10 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	runtime.KeepAlive(s)
}

// churn replaces one record, makes and deletes another, and charges one bucket, n times. The owner of both records
// changes each time.
func churn(t *testing.T, s *memstore.Store, n int) {
	window := store.Window{Burst: 1e6, Every: time.Second, Cost: 1}
	for i := range n {
		put := func(name string) store.Put {
			r := store.Record{Key: store.Key{Kind: "test", Name: name}, Body: make([]byte, 100)}
			binary.BigEndian.PutUint64(r.Version[:], uint64(i+1))
			r.Expires = now.Add(time.Duration(i%7) * time.Minute)
			r.Owner = string(binary.BigEndian.AppendUint64(nil, uint64(i)))
			return store.Put{Record: r, Any: true}
		}
		commit(t, s, store.Batch{
			Puts:    []store.Put{put("replaced"), put("deleted")},
			Charges: []store.Charge{{Bucket: store.Key{Kind: "test", Name: "bucket"}, Windows: []store.Window{window}}},
		})
		commit(t, s, store.Batch{Deletes: []store.Key{{Kind: "test", Name: "deleted"}}})
	}
}

func commit(t *testing.T, s *memstore.Store, b store.Batch) {
	if _, err := s.Commit(t.Context(), now, b); err != nil {
		t.Fatal(err)
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
