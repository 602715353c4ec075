package sqlite_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/sqlitestore"
)

// now is the instant of these tests, in which time does not pass.
const now = store.Instant(2_000_000_000_123_456_789)

// childFile makes the test binary a process that commits in a loop to the named file.
const childFile = "PASSWORDLESS_SQLITE_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childFile); path != "" {
		fmt.Fprintln(os.Stderr, commitForever(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// batch charges a bucket and puts a record, both of that name.
func batch(name string) store.Batch {
	return store.Batch{
		Charges: []store.Charge{{
			Bucket:  store.Key{Kind: "test", Name: name},
			Windows: []store.Window{{Burst: 10, Every: time.Second, Cost: 1}},
			Durable: true,
		}},
		Puts: []store.Put{{Record: store.Record{
			Key:     store.Key{Kind: "test", Name: name},
			Version: version(name),
			Expires: store.Never,
			Body:    []byte(name),
		}}},
	}
}

func version(name string) (v store.Version) {
	copy(v[:], name+strings.Repeat(".", 16))
	return v
}

// commitForever prints each name after its batch was committed.
func commitForever(path string) error {
	db, err := sql.Open("sqlite", sqlitestore.DSN(path))
	if err != nil {
		return err
	}
	ctx := context.Background()
	if err := sqlitestore.Migrate(ctx, db, sqlitestore.Options{}); err != nil {
		return err
	}
	s, err := sqlitestore.New(db, sqlitestore.Options{})
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		name := fmt.Sprint(os.Getpid(), "-", i)
		if _, err := s.Commit(ctx, now, batch(name)); err != nil {
			return err
		}
		fmt.Println(name)
	}
}

// Two processes commit to one file until both are killed in the middle, three times over.
// Every commit that was answered is there, once.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	var names []string
	for range 3 {
		names = append(names, killedWhileCommitting(t, path, 2)...)
	}
	s := openStore(t, path)
	for _, name := range names {
		b := batch(name)
		loaded, err := s.Load(t.Context(), now, b.Puts[0].Record.Key)
		if err != nil || string(loaded[0].Body) != name {
			t.Fatalf("commit %s of %d was answered and is lost: %v", name, len(names), err)
		}
		levels, err := s.Commit(t.Context(), now, b) // finds itself applied
		if err != nil || levels[0][0] != now.Micros()+time.Second.Microseconds() {
			t.Fatalf("the charge of commit %s is lost: %v, %v", name, levels, err)
		}
	}
	var state string
	if err := s.db.QueryRow("PRAGMA integrity_check").Scan(&state); err != nil || state != "ok" {
		t.Errorf("integrity_check: %s, %v", state, err)
	}
}

// killedWhileCommitting runs n processes that commit, kills them, and returns the
// names that they printed.
func killedWhileCommitting(t *testing.T, path string, n int) []string {
	t.Helper()
	var mu sync.Mutex
	var names []string
	var all sync.WaitGroup
	for range n {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childFile+"="+path)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			lines := bufio.NewScanner(out)
			for lines.Scan() {
				mu.Lock()
				names = append(names, lines.Text())
				if len(names)%50 == 0 {
					child.Process.Kill()
				}
				mu.Unlock()
			}
			child.Process.Kill()
			child.Wait()
		})
		// Whoever is not killed at a fiftieth name is killed late.
		late := time.AfterFunc(20*time.Second, func() { child.Process.Kill() })
		t.Cleanup(func() { late.Stop() })
	}
	all.Wait()
	if len(names) == 0 {
		t.Fatal("no commit was answered")
	}
	return names
}

func TestOneConnectionCompletesAnyConcurrency(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "store.db"))
	s.db.SetMaxOpenConns(1)
	var all sync.WaitGroup
	for g := range 64 {
		all.Go(func() {
			for i := range 5 {
				b := batch(fmt.Sprint(g, " ", i))
				if _, err := s.Commit(t.Context(), now, b); err != nil {
					t.Error(err)
				}
				if _, err := s.Load(t.Context(), now, b.Puts[0].Record.Key); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// A file that somebody else keeps locked is unavailable, and says so, not uncertain.
func TestLockedFileIsUnavailable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := openStore(t, path)
	impatient := open(t, path)
	impatient.SetMaxOpenConns(1)
	if _, err := impatient.Exec("PRAGMA busy_timeout = 20"); err != nil {
		t.Fatal(err)
	}
	waits := newStore(t, impatient, sqlitestore.Options{})
	locker, err := s.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer locker.Close()
	if _, err := locker.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	_, err = waits.Commit(t.Context(), now, batch("name"))
	if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrUncertain) {
		t.Errorf("Commit: %v, want ErrUnavailable", err)
	}
	if _, err := waits.Load(t.Context(), now, batch("name").Puts[0].Record.Key); err != nil {
		t.Errorf("Load waits for the writer: %v", err)
	}
	if _, err := locker.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if _, err := waits.Commit(t.Context(), now, batch("name")); err != nil {
		t.Errorf("Commit once the lock is gone: %v", err)
	}
}

func TestContextEndsWhileCommitWaitsForItsTurn(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "store.db"))
	s.db.SetMaxOpenConns(1)
	conn, err := s.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var all sync.WaitGroup
	for i := range 2 {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err := s.Commit(ctx, now, batch(fmt.Sprint(i)))
			if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, store.ErrUncertain) {
				t.Errorf("Commit: %v, want the context's error alone", err)
			}
		})
	}
	all.Wait()
}

// The settings of DSN hold on every connection, for any name of a file.
func TestDSN(t *testing.T) {
	for _, name := range []string{"store.db", "a b?c#d%e&f=g;h'.db", "ü.db"} {
		path := filepath.Join(t.TempDir(), name)
		s := openStore(t, path)
		if _, err := os.Stat(path); err != nil {
			t.Errorf("no file of that name: %v", err)
		}
		for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "busy_timeout": "5000"} {
			var got string
			if err := s.db.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s is %s, want %s (%v)", pragma, got, want, err)
			}
		}
	}
}

// Whether transactions begin with or without the lock of the writer, two pools on one file
// count right.
func TestCommitsCountUnderAnyTransactionLock(t *testing.T) {
	for _, lock := range []string{"deferred", "immediate", "exclusive"} {
		t.Run(lock, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store.db")
			var all sync.WaitGroup
			for range 2 {
				db, err := sql.Open("sqlite", sqlitestore.DSN(path)+"&_txlock="+lock)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { db.Close() })
				s := newStore(t, db, sqlitestore.Options{})
				for range 4 {
					all.Go(func() {
						charge := batch("one").Charges
						charge[0].Windows[0].Burst = 1000
						for range 25 {
							if _, err := s.Commit(t.Context(), now, store.Batch{Charges: charge}); err != nil {
								t.Error(err)
							}
						}
					})
				}
			}
			all.Wait()
			levels, err := openStore(t, path).Commit(t.Context(), now, batch("one"))
			var limited *store.LimitedError
			if !errors.As(err, &limited) || limited.RetryAfter != (201-10)*time.Second {
				t.Errorf("after 200 charges of a second: %v, %v", levels, err)
			}
		})
	}
}
