package pg_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed62b93bad/passwordless/internal/thirdparty/servers"
	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/pgstore"
)

// now is the instant of the tests in which time does not pass.
const now = store.Instant(2_000_000_000_123_456_789)

func TestOneConnectionCompletesAnyConcurrency(t *testing.T) {
	for adapter, parameters := range adapters {
		t.Run(adapter, func(t *testing.T) {
			s := openStore(t, adapter, shared.Postgres(t)+parameters)
			s.db.SetMaxOpenConns(1)
			var all sync.WaitGroup
			for range 64 {
				all.Go(func() {
					for range 5 {
						if err := flow(t.Context(), s); err != nil {
							t.Error(err)
						}
					}
				})
			}
			all.Wait()
			if stats := s.db.Stats(); stats.InUse != 0 || stats.OpenConnections > 1 {
				t.Errorf("connections open %d, in use %d", stats.OpenConnections, stats.InUse)
			}
		})
	}
}

// Whatever level transactions begin under by default, commits are those of the contract.
func TestOtherIsolationLevelsAreSetRight(t *testing.T) { // VF-1, VF-2
	for adapter, parameters := range adapters {
		for _, level := range []string{"repeatable%20read", "serializable"} {
			t.Run(adapter+" "+level, func(t *testing.T) {
				url := shared.Postgres(t) + parameters + "&default_transaction_isolation=" + level
				s := openStore(t, adapter, url)
				raced(t, s, 16)
				if err := flow(t.Context(), s); err != nil {
					t.Error(err)
				}
				if n, err := s.Sweep(t.Context(), store.Never-1, 1000); n == 0 || err != nil {
					t.Errorf("Sweep: %d, %v, want some and no error", n, err)
				}
			})
		}
	}
}

// raced has that many callers at once put one record that must not be there before, 20 times over. One of them wins
// each time, and the charges of a bucket with room for half of them are as many as were granted.
func raced(t *testing.T, s store.Store, callers int) {
	t.Helper()
	for i := range 20 {
		var all sync.WaitGroup
		var won, granted atomic.Int64
		for range callers {
			all.Go(func() {
				name := fmt.Sprint("raced ", i)
				_, err := s.Commit(t.Context(), now, store.Batch{Puts: []store.Put{{Record: newRecord("test", name, now)}}})
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, store.ErrConflict) {
					t.Error(err)
				}
				half := []store.Window{{Burst: int64(callers / 2), Every: time.Hour, Cost: 1}}
				charge := store.Charge{Bucket: store.Key{Kind: "half", Name: name}, Windows: half, Durable: true}
				if _, err = s.Commit(t.Context(), now, store.Batch{Charges: []store.Charge{charge}}); err == nil {
					granted.Add(1)
				} else if !errors.As(err, new(*store.LimitedError)) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 || granted.Load() != int64(callers/2) {
			t.Errorf("%d callers won, %d were granted, want 1 and %d", won.Load(), granted.Load(), callers/2)
		}
	}
}

func TestErrorsOfTheServerQuoteNoData(t *testing.T) {
	s := openStore(t, "pgx", shared.Postgres(t))
	if _, err := s.db.Exec("ALTER TABLE passwordless_records ADD CHECK (body <> 'secret')"); err != nil {
		t.Fatal(err)
	}
	r := newRecord("test", "name", now)
	r.Body = []byte("secret")
	_, err := s.Commit(t.Context(), now, store.Batch{Puts: []store.Put{{Record: r}}})
	if !errors.Is(err, store.ErrUnavailable) || !strings.HasSuffix(err.Error(), "(SQLSTATE 23514)") {
		t.Errorf("%v, want ErrUnavailable and the code of the error alone", err)
	}
}

// A batch whose answer is lost was applied; committed again it is not applied twice.
func TestLostAnswerIsUncertain(t *testing.T) {
	for adapter, parameters := range adapters {
		for name, lost := range map[string]int{"all of it": 1 << 20, "that the server is ready again": 6} {
			t.Run(adapter+"/"+name, func(t *testing.T) {
				direct := shared.Postgres(t)
				p := newProxy(t, direct)
				s := openStore(t, adapter, p.url+parameters)
				s.db.SetMaxOpenConns(1)
				if err := flow(t.Context(), s); err != nil { // the statement is prepared now
					t.Fatal(err)
				}
				b := oneOfEach("name")
				p.lose.Store(int64(lost))
				if _, err := s.Commit(t.Context(), now, b); !errors.Is(err, store.ErrUncertain) {
					t.Fatalf("Commit: %v, want ErrUncertain", err)
				}
				levels, err := s.Commit(t.Context(), now, b)
				if err != nil {
					t.Fatalf("the same Commit again: %v", err)
				}
				for _, level := range levels {
					if want := now.Micros() + time.Second.Microseconds(); level[0] != want {
						t.Errorf("a bucket is full at %d, want %d: charged once", level[0], want)
					}
				}
			})
		}
	}
}

// oneOfEach charges a bucket of each sort and puts a record.
func oneOfEach(name string) store.Batch {
	durable, short := newCharge("durable", name), newCharge("short", name)
	durable.Durable = true
	return store.Batch{
		Charges: []store.Charge{durable, short},
		Puts:    []store.Put{{Record: newRecord("test", name, now)}},
	}
}

func TestServerThatIsGoneIsUnavailable(t *testing.T) {
	s := openStore(t, "pgx", shared.Postgres(t))
	gone := open(t, "pgx", "postgres://postgres@"+servers.Nowhere(t)+"/postgres")
	lost, err := pgstore.New(gone, pgstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = lost.Commit(t.Context(), now, oneOfEach("name"))
	if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrUncertain) {
		t.Errorf("Commit: %v, want ErrUnavailable", err)
	}
	if _, err = lost.Load(t.Context(), now, newRecord("test", "x", now).Key); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Load: %v, want ErrUnavailable", err)
	}
	s.db.Close()
	if _, err = s.Commit(t.Context(), now, oneOfEach("name")); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Commit on a closed pool: %v, want ErrUnavailable", err)
	}
}

// A Commit that waits for a row that a hung session holds ends when its context does.
func TestContextEndsWhileCommitWaits(t *testing.T) {
	s := openStore(t, "pgx", shared.Postgres(t))
	b := oneOfEach("name")
	if _, err := s.Commit(t.Context(), now, b); err != nil {
		t.Fatal(err)
	}
	tx, err := s.db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec("SELECT FROM passwordless_records FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	next := newRecord("test", "name", now)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = s.Commit(ctx, now, store.Batch{Puts: []store.Put{{Record: next, Was: b.Puts[0].Record.Version}}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Commit: %v, want one that wraps the context's", err)
	}
}

// After a kill -9 of the server the pool recovers, every answered commit is there, durable
// buckets are there, and the short windows start afresh. So it is with synchronous_commit off, too, where the server by
// itself would not write its log for ten seconds.
func TestServerCrash(t *testing.T) { // CG-7
	for name, settings := range map[string][]string{
		"as it comes":            nil,
		"synchronous_commit off": {"synchronous_commit = off", "wal_writer_delay = 10s", "wal_writer_flush_after = 1GB"},
	} {
		t.Run(name, func(t *testing.T) { crash(t, servers.StartPostgres(t, settings...)) })
	}
}

func crash(t *testing.T, server *servers.Postgres) {
	t.Helper()
	s := openStore(t, "pgx", server.URL())
	var answered sync.Map
	var commits atomic.Int64
	var stop atomic.Bool
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := 0; !stop.Load(); i++ {
				b := oneOfEach(fmt.Sprint(g, " ", i))
				_, err := s.Commit(t.Context(), now, b)
				switch {
				case err == nil:
					answered.Store(b.Puts[0].Record.Key, b)
					commits.Add(1)
				case !errors.Is(err, store.ErrUncertain) && !errors.Is(err, store.ErrUnavailable):
					t.Errorf("Commit during the crash: %v, want ErrUncertain or ErrUnavailable", err)
				}
			}
		})
	}
	for commits.Load() < 200 && !t.Failed() {
		time.Sleep(time.Millisecond)
	}
	server.Kill()
	stop.Store(true)
	all.Wait()
	server.Restart()
	recovers(t, s)
	answered.Range(func(_, value any) bool {
		survives(t, s, value.(store.Batch))
		return !t.Failed()
	})
}

// recovers demands that each connection of the pool fails at most once.
func recovers(t *testing.T, s testStore) {
	t.Helper()
	for range 17 {
		if _, err := s.Load(t.Context(), now, newRecord("test", "x", now).Key); err == nil {
			return
		}
	}
	t.Fatal("the pool does not recover")
}

// survives demands that the batch of oneOfEach is there, but for the short windows.
func survives(t *testing.T, s testStore, b store.Batch) {
	t.Helper()
	r := b.Puts[0].Record
	loaded, err := s.Load(t.Context(), now, r.Key)
	if err != nil || loaded[0].Version != r.Version || string(loaded[0].Body) != string(r.Body) {
		t.Errorf("a commit that was answered is lost: %v", err)
	}
	levels, err := s.Commit(t.Context(), now, b) // finds itself applied, and only tells the levels
	if err != nil {
		t.Fatal(err)
	}
	if levels[0][0] != now.Micros()+time.Second.Microseconds() {
		t.Errorf("a durable bucket is lost: %v", levels[0])
	}
	if levels[1][0] != 0 {
		t.Errorf("a short window survived: %v; then say so in the documentation", levels[1])
	}
}

// A proxy stands before a server and loses the end of an answer when told so.
type proxy struct {
	url  string
	lose atomic.Int64 // how many bytes of the next answer, after which the connection breaks
}

func newProxy(tb testing.TB, server string) *proxy {
	tb.Helper()
	address, err := url.Parse(server)
	if err != nil {
		tb.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { listener.Close() })
	p := new(proxy)
	target := address.Host
	address.Host = listener.Addr().String()
	p.url = address.String()
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go p.serve(client, target)
		}
	}()
	return p
}

func (p *proxy) serve(client net.Conn, target string) {
	defer client.Close()
	server, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer server.Close()
	go io.Copy(server, client)
	buf := make([]byte, 1<<20)
	for {
		n, err := server.Read(buf)
		if err != nil {
			return
		}
		lose := int(p.lose.Swap(0))
		if _, err := client.Write(buf[:max(0, n-lose)]); err != nil || lose > 0 {
			return
		}
	}
}
