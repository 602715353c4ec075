package redisstore_test

import (
	"testing"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

// BenchmarkCommit measures what the driver itself takes, without server and client.
func BenchmarkCommit(b *testing.B) {
	s := open(b, &fake{replies: []any{[]any{"ok", string(make([]byte, 24)), string(make([]byte, 24))}}})
	window := store.Window{Burst: 10, Every: time.Second, Cost: 1}
	windows := []store.Window{window, window, window}
	name := "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	batch := store.Batch{
		Charges: []store.Charge{
			{Bucket: store.Key{Kind: "network", Name: name}, Windows: windows},
			{Bucket: store.Key{Kind: "person", Name: name}, Windows: windows},
		},
	}
	for _, kind := range []store.Kind{"challenge", "slot"} {
		batch.Puts = append(batch.Puts, store.Put{Record: store.Record{
			Key: store.Key{Kind: kind, Name: name}, Version: store.Version{1}, Expires: 1e18, Body: make([]byte, 300),
		}})
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Commit(b.Context(), 1, batch); err != nil {
			b.Fatal(err)
		}
	}
}
