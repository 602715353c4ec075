package storetest

import (
	"context"
	"encoding/binary"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

// Bench measures the store with the batches of a sign-in: a Load of one record; a
// start (two buckets of three windows charged, two records put); a verify (a Load,
// then a durable bucket charged and two records put, one of them under the version
// loaded); and the flow of both. Each is measured with one caller and with eight a
// core, which never conflict.
func Bench(b *testing.B, open Factory) {
	for _, m := range []struct {
		name string
		work func(w *worker) error
	}{
		{"Load", (*worker).load},
		{"Start", (*worker).start},
		{"Verify", (*worker).verify},
		{"Flow", (*worker).flow},
	} {
		b.Run(m.name, func(b *testing.B) { benchSerial(b, open, m.work) })
		b.Run(m.name+"Parallel", func(b *testing.B) { benchParallel(b, open, m.work) })
	}
}

func benchSerial(b *testing.B, open Factory, work func(w *worker) error) {
	s, _ := open(b)
	w, err := newWorker(s, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := work(w); err != nil {
			b.Fatal(err)
		}
	}
}

// benchParallel gives every other caller the other instance.
func benchParallel(b *testing.B, open Factory, work func(w *worker) error) {
	s1, s2 := open(b)
	const each = 8
	workers := make([]*worker, each*runtime.GOMAXPROCS(0))
	for i := range workers {
		w, err := newWorker([]store.Store{s1, s2}[i%2], uint64(i))
		if err != nil {
			b.Fatal(err)
		}
		workers[i] = w
	}
	var taken atomic.Int64
	b.ReportAllocs()
	b.SetParallelism(each)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		w := workers[taken.Add(1)-1]
		for pb.Next() {
			if err := work(w); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

const (
	people  = 1024 // how many names a worker uses in turn
	waiting = 16   // how many challenges wait for load and verify
)

// A worker is one caller. The records and buckets are its own. A second passes with
// each step, so that no bucket runs dry, and what has a name has expired when the
// name's turn comes again.
type worker struct {
	store   store.Store
	now     store.Instant
	id      uint64
	step    uint64
	name    string // of the challenge at hand
	names   [people]string
	puts    [2]store.Put
	charges [2]store.Charge
	guess   [1]store.Charge
	body    [300]byte
}

// newWorker returns a worker with some challenges waiting.
func newWorker(s store.Store, id uint64) (*worker, error) {
	w := &worker{store: s, now: t0, id: id}
	for i := range w.names {
		name := binary.BigEndian.AppendUint64(nil, id)
		w.names[i] = string(binary.BigEndian.AppendUint64(name, uint64(i))) + "0123456789abcdef"
	}
	windows := []store.Window{window(5, 10*time.Second, 1), window(50, 12*time.Second, 1), window(500, 14*time.Second, 1)}
	w.charges[0].Windows, w.charges[1].Windows = windows, windows
	w.guess[0] = store.Charge{Windows: windows[2:], Durable: true}
	for range waiting {
		if err := w.start(); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// start makes a challenge and replaces the slot of its person.
func (w *worker) start() error {
	w.name = w.names[w.step%people]
	w.tick()
	w.charges[0].Bucket = store.Key{Kind: "network", Name: w.names[w.step%64]}
	w.charges[1].Bucket = store.Key{Kind: "person", Name: w.name}
	w.puts[0] = store.Put{Record: w.record("challenge", "")}
	w.puts[1] = store.Put{Record: w.record("slot", ""), Any: true}
	return w.commit(w.charges[:])
}

// load loads a waiting challenge.
func (w *worker) load() error {
	w.step++
	_, err := w.challenge(w.names[w.step%waiting])
	return err
}

// verify uses up a waiting challenge, which then waits again.
func (w *worker) verify() error {
	w.name = w.names[w.step%waiting]
	w.tick()
	return w.finish(w.names[w.step%people])
}

// flow starts and verifies.
func (w *worker) flow() error {
	if err := w.start(); err != nil {
		return err
	}
	return w.finish(w.name)
}

// finish uses up the challenge at hand and makes a session.
func (w *worker) finish(session string) error {
	was, err := w.challenge(w.name)
	if err != nil {
		return err
	}
	w.guess[0].Bucket = store.Key{Kind: "ledger", Name: w.name}
	w.puts[0] = store.Put{Record: w.record("challenge", ""), Was: was}
	w.puts[0].Record.Version[0]++
	w.puts[1] = store.Put{Record: w.record("session", w.name)}
	w.puts[1].Record.Key.Name = session
	return w.commit(w.guess[:])
}

func (w *worker) tick() {
	w.step++
	w.now = w.now.Add(time.Second)
}

// challenge returns the version of a challenge.
func (w *worker) challenge(name string) (store.Version, error) {
	got, err := w.store.Load(context.Background(), w.now, store.Key{Kind: "challenge", Name: name})
	if err != nil {
		return store.Version{}, err
	}
	return got[0].Version, nil
}

// record returns a record that lives ten minutes. Its version is cheaper than a
// random one, and as fresh.
func (w *worker) record(kind store.Kind, owner string) store.Record {
	r := store.Record{
		Key:     store.Key{Kind: kind, Name: w.name},
		Expires: w.now.Add(10 * time.Minute),
		Owner:   owner,
		Body:    w.body[:],
	}
	binary.BigEndian.PutUint64(r.Version[:], w.id)
	binary.BigEndian.PutUint64(r.Version[8:], w.step)
	return r
}

func (w *worker) commit(charges []store.Charge) error {
	_, err := w.store.Commit(context.Background(), w.now, store.Batch{Charges: charges, Puts: w.puts[:]})
	return err
}
