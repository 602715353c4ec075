package redis_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/internal/thirdparty/servers"
	"github.com/seed62b93bad/passwordless/passwordlesstest"
	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/redisstore"
)

var volatile = redisstore.Options{InsecureVolatile: true}

// do runs a command of Redis, which must succeed.
func do(tb testing.TB, client *redis.Client, command ...any) any {
	tb.Helper()
	reply, err := client.Do(context.Background(), command...).Result()
	if err != nil {
		tb.Fatalf("%v: %v", command, err)
	}
	return reply
}

func commit(tb testing.TB, s *redisstore.Store, b store.Batch) store.Levels {
	tb.Helper()
	levels, err := s.Commit(context.Background(), flowNow, b)
	if err != nil {
		tb.Fatal(err)
	}
	return levels
}

// there tells whether a record of that key is stored.
func there(tb testing.TB, s *redisstore.Store, k store.Key) bool {
	tb.Helper()
	records, err := s.Load(context.Background(), flowNow, k)
	if err != nil {
		tb.Fatal(err)
	}
	return records[0].Version != store.Version{}
}

// put returns one of a fresh record that lives that long from flowNow on.
func put(kind store.Kind, name string, life time.Duration) store.Put {
	p := store.Put{Record: store.Record{
		Key:     store.Key{Kind: kind, Name: name},
		Expires: flowNow.Add(life),
	}}
	rand.Read(p.Record.Version[:])
	return p
}

// bucket returns a charge of three windows that never refuses.
func bucket(kind store.Kind, name string) store.Charge {
	window := store.Window{Burst: 1e9, Every: time.Millisecond, Cost: 1}
	return store.Charge{
		Bucket:  store.Key{Kind: kind, Name: name},
		Windows: []store.Window{window, window, window},
	}
}

func puts(p ...store.Put) store.Batch { return store.Batch{Puts: p} }

func TestNewRefusesAServerThatEvicts(t *testing.T) {
	server := servers.StartRedis(t)
	client := dial(t, server)
	st := open(t, client, volatile)
	for _, policy := range []string{
		"allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl",
	} {
		do(t, client, "CONFIG", "SET", "maxmemory-policy", policy)
		if _, err := redisstore.New(t.Context(), prepare(client), volatile); err == nil || !strings.Contains(err.Error(), policy) {
			t.Errorf("New: %v, want it to refuse %s", err, policy)
		}
		if _, err := st.Check(t.Context()); err == nil {
			t.Errorf("Check does not notice that the policy became %s", policy)
		}
	}
}

func TestNewRefusesAServerWithoutAppendOnlyFile(t *testing.T) {
	client := dial(t, servers.StartRedis(t))
	_, err := redisstore.New(t.Context(), prepare(client), redisstore.Options{Config: config(client)})
	if err == nil || !strings.Contains(err.Error(), "appendonly") {
		t.Errorf("New: %v, want it to demand appendonly", err)
	}
	st := open(t, client, volatile)
	if server, err := st.Check(t.Context()); err != nil || server.AppendOnly || server.Version == "" {
		t.Errorf("Check: %+v, %v, want a version and no append-only file", server, err)
	}
	st = open(t, dial(t, servers.StartRedis(t, durable...)), redisstore.Options{})
	if server, err := st.Check(t.Context()); err != nil || !server.AppendOnly || server.AppendFsync != "always" {
		t.Errorf("Check: %+v, %v, want an append-only file that is always synced", server, err)
	}
}

func TestNewRefusesAServerThatSyncsLater(t *testing.T) { // CG-7
	client := dial(t, servers.StartRedis(t, durable...))
	for setting, values := range map[string][]string{"appendfsync": {"everysec", "no"}, "no-appendfsync-on-rewrite": {"yes"}} {
		was, err := config(client)(t.Context(), setting)
		if err != nil {
			t.Fatal(err)
		}
		for _, value := range values {
			do(t, client, "CONFIG", "SET", setting, value)
			_, err := redisstore.New(t.Context(), prepare(client), redisstore.Options{Config: config(client)})
			if !errors.Is(err, store.ErrMisconfigured) || !strings.Contains(err.Error(), setting+` is "`+value) {
				t.Errorf("New: %v, want it to refuse %s %s", err, setting, value)
			}
			open(t, client, redisstore.Options{InsecureEverysec: true})
		}
		do(t, client, "CONFIG", "SET", setting, was)
	}
	open(t, client, redisstore.Options{})
}

// Somebody configures the server anew under a running Service.
func TestSweepTellsThatTheServerForgets(t *testing.T) { // RL-16
	client := dial(t, servers.StartRedis(t, durable...))
	st := open(t, client, redisstore.Options{})
	host, port, _ := net.SplitHostPort(servers.StartRedis(t).Addr())
	for _, row := range []struct {
		wrong     string // in the error
		set, undo []any
	}{
		{"maxmemory-policy", []any{"CONFIG", "SET", "maxmemory-policy", "allkeys-lru"},
			[]any{"CONFIG", "SET", "maxmemory-policy", "noeviction"}},
		{"appendfsync", []any{"CONFIG", "SET", "appendfsync", "everysec"}, []any{"CONFIG", "SET", "appendfsync", "always"}},
		{"appendonly", []any{"CONFIG", "SET", "appendonly", "no"}, []any{"CONFIG", "SET", "appendonly", "yes"}},
		{"want the primary", []any{"REPLICAOF", host, port}, []any{"REPLICAOF", "NO", "ONE"}},
	} {
		p := put("kind", row.wrong, time.Hour)
		commit(t, st, puts(p))
		if n, err := st.Sweep(t.Context(), flowNow, 10); n != 0 || err != nil {
			t.Errorf("Sweep before: %d, %v, want none and no error", n, err)
		}
		do(t, client, row.set...)
		n, err := st.Sweep(t.Context(), p.Record.Expires, 10)
		if !errors.Is(err, store.ErrMisconfigured) || !strings.Contains(err.Error(), row.wrong) {
			t.Errorf("Sweep: %v, want an error about %s", err, row.wrong)
		}
		if replica := row.set[0] == "REPLICAOF"; n != 1 && !replica {
			t.Errorf("Sweep removed %d, want its work done all the same", n)
		}
		do(t, client, row.undo...)
	}
}

// A Service on such a server tells, too, and goes on.
func TestAServiceTellsThatTheServerForgets(t *testing.T) { // RL-16, OP-2
	client := dial(t, servers.StartRedis(t, durable...))
	var events []passwordless.Event
	s, err := passwordless.New(passwordless.Config{
		Issuer: "https://login.example.com/", AppName: "Example",
		Store: open(t, client, redisstore.Options{InsecureEverysec: true}), Sender: new(passwordlesstest.Outbox),
		Hasher:  passwordless.NewKeyring(passwordless.RandomKey(), passwordless.RingKey{ID: "1", Secret: passwordless.RandomKey()}),
		Clients: passwordless.ClientList{{ID: "web", Public: true}},
		Events:  func(_ context.Context, e passwordless.Event) { events = append(events, e) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := s.Policy().Deviations; len(d) != 1 || !strings.HasPrefix(d[0], "Store: InsecureEverysec: ") {
		t.Errorf("deviations %q, want that of the store", d)
	}
	do(t, client, "CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
	if _, err := s.Sweep(t.Context(), 10); !errors.Is(err, store.ErrMisconfigured) {
		t.Errorf("Sweep: %v, want %v", err, store.ErrMisconfigured)
	}
	if len(events) != 1 || events[0].Type != passwordless.EventFailed {
		t.Errorf("events %v, want one of a failure", events)
	}
}

func TestNewRefusesAUserWhoMayNotRunEveryCommand(t *testing.T) {
	server := servers.StartRedis(t)
	do(t, dial(t, server), "ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all", "-zadd")
	client := dial(t, server, func(o *redis.Options) { o.Username, o.Password = "app", "secret" })
	if _, err := redisstore.New(t.Context(), prepare(client), volatile); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("New: %v, want %v", err, store.ErrUnavailable)
	}
}

func TestAReplicaIsRefused(t *testing.T) {
	client := dial(t, servers.StartRedis(t))
	st := open(t, client, volatile)
	p := put("kind", "name", time.Hour)
	commit(t, st, puts(p))
	host, port, _ := net.SplitHostPort(servers.StartRedis(t).Addr())
	do(t, client, "REPLICAOF", host, port)
	if _, err := redisstore.New(t.Context(), prepare(client), volatile); !errors.Is(err, store.ErrMisconfigured) ||
		!strings.Contains(err.Error(), "want the primary") {
		t.Errorf("New: %v, want an error that calls it a replica", err)
	}
	if _, err := st.Load(t.Context(), flowNow, p.Record.Key); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Load from what became a replica: %v, want %v", err, store.ErrUnavailable)
	}
	if _, err := st.Commit(t.Context(), flowNow, puts(put("kind", "other", time.Hour))); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Commit to what became a replica: %v, want %v", err, store.ErrUnavailable)
	}
}

func TestScriptsAreFoundAgainAfterAFlush(t *testing.T) {
	client := dial(t, servers.StartRedis(t))
	st := open(t, client, volatile)
	for i := range 3 {
		do(t, client, "SCRIPT", "FLUSH")
		p := put("kind", fmt.Sprint(i), time.Hour)
		commit(t, st, puts(p))
		do(t, client, "SCRIPT", "FLUSH")
		if !there(t, st, p.Record.Key) {
			t.Error("a record is lost")
		}
	}
}

func TestOutOfMemoryNothingIsWrittenAndSweepMakesRoom(t *testing.T) {
	client := dial(t, servers.StartRedis(t))
	st := open(t, client, volatile)
	old, next := put("kind", "old", time.Hour), put("kind", "next", time.Hour)
	commit(t, st, puts(old))
	do(t, client, "CONFIG", "SET", "maxmemory", "1")
	if _, err := st.Commit(t.Context(), flowNow, puts(next)); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Commit out of memory: %v, want %v", err, store.ErrUnavailable)
	}
	if !there(t, st, old.Record.Key) || there(t, st, next.Record.Key) {
		t.Error("out of memory, Load does not see exactly what was committed")
	}
	if n, err := st.Sweep(t.Context(), old.Record.Expires, 10); n != 1 || err != nil {
		t.Errorf("Sweep out of memory: removed %d, %v, want 1", n, err)
	}
	do(t, client, "CONFIG", "SET", "maxmemory", "0")
	commit(t, st, puts(next))
}

// Redis may remove what is expired for a day as the callers count, and keeps nothing
// for good but what never expires.
func TestRedisRemovesADayAfterTheEnd(t *testing.T) {
	client := dial(t, servers.StartRedis(t))
	st := open(t, client, volatile)
	day := 24 * time.Hour
	short, long := put("kind", "short", time.Hour), put("kind", "long", 100*day)
	never, past := put("kind", "never", 0), put("kind", "past", -100*day)
	never.Record.Expires = store.Never
	short.Record.Owner, long.Record.Owner, never.Record.Owner = "a", "a", "b"
	levels := commit(t, st, store.Batch{
		Charges: []store.Charge{bucket("kind", "name")},
		Puts:    []store.Put{long, short, never, past},
	})
	full := time.Duration(levels[0][0]-flowNow.Micros()) * time.Microsecond
	for key, least := range map[string]time.Duration{
		"r:kind:short": time.Hour + day,
		"r:kind:long":  100*day + day,
		"r:kind:past":  day,
		"b:kind:name":  full + day,
		"o:kind:a":     100*day + day,
		"o:kind:b":     36500 * day,
	} {
		left, err := client.PTTL(t.Context(), "passwordless:"+key).Result()
		if err != nil || left < least-time.Minute {
			t.Errorf("%s lives for %v (%v), want %v", key, left, err, least)
		}
	}
	if left := client.PTTL(t.Context(), "passwordless:r:kind:never").Val(); left != -1 {
		t.Errorf("a record that never expires lives for %v", left)
	}
}

func TestListForgetsWhatRedisRemoved(t *testing.T) {
	client := dial(t, servers.StartRedis(t))
	st := open(t, client, volatile)
	gone, given, stays := put("kind", "gone", time.Hour), put("kind", "given", time.Hour), put("kind", "stays", time.Hour)
	gone.Record.Owner, given.Record.Owner, stays.Record.Owner = "a", "a", "a"
	commit(t, st, puts(gone, given, stays))
	do(t, client, "DEL", "passwordless:r:kind:gone", "passwordless:r:kind:given")
	given.Record.Owner, given.Any = "b", true
	commit(t, st, puts(given))
	page, _, err := st.List(t.Context(), flowNow, "kind", store.Page{Owner: "a", Limit: 10})
	if err != nil || len(page) != 1 || page[0].Key != stays.Record.Key {
		t.Errorf("List: %v, %v, want the record that stays", page, err)
	}
	if n := client.ZCard(t.Context(), "passwordless:o:kind:a").Val(); n != 1 {
		t.Errorf("the set of the owner has %d entries, want 1", n)
	}
}

func TestStoresOfDifferentPrefixesShareNothing(t *testing.T) {
	client := dial(t, servers.StartRedis(t))
	var stores []*redisstore.Store
	p := put("kind", "name", time.Hour)
	p.Record.Owner = "owner"
	for _, prefix := range []string{"a", "a.", "b"} {
		st := open(t, client, redisstore.Options{Prefix: prefix, InsecureVolatile: true})
		commit(t, st, puts(p))
		stores = append(stores, st)
	}
	do(t, client, "SET", "foreign", "key")
	if n, err := stores[0].Sweep(t.Context(), p.Record.Expires, 10); n != 1 || err != nil {
		t.Errorf("Sweep: removed %d, %v, want 1", n, err)
	}
	for i, st := range stores {
		if there(t, st, p.Record.Key) != (i > 0) {
			t.Error("Sweep of one store touches another, or not its own")
		}
	}
}

func TestSweepGoesOnWhereItEnded(t *testing.T) {
	client := dial(t, servers.StartRedis(t))
	st := open(t, client, volatile)
	const records = 5000
	var b store.Batch
	for i := range records {
		b.Puts = append(b.Puts, put("kind", fmt.Sprint(i), time.Hour))
		if len(b.Puts) == 500 {
			commit(t, st, b)
			b.Puts = nil
		}
	}
	do(t, client, "CONFIG", "RESETSTAT")
	total := 0
	for n := 70; n == 70; {
		var err error
		if n, err = st.Sweep(t.Context(), flowNow.Add(time.Hour), 70); err != nil {
			t.Fatal(err)
		}
		total += n
	}
	if total != records {
		t.Errorf("Sweep removed %d, want %d", total, records)
	}
	var scans int
	stats := client.Info(t.Context(), "commandstats").Val()
	_, stats, _ = strings.Cut(stats, "cmdstat_scan:calls=")
	if fmt.Sscan(strings.ReplaceAll(stats, ",", " "), &scans); scans > 3*records/70 {
		t.Errorf("%d scripts for %d records", scans, records)
	}
}

// A paused server neither answers nor closes the connection.
func TestAPausedServerIsLeftAtTheDeadline(t *testing.T) {
	server := servers.StartRedis(t)
	st := open(t, dial(t, server), volatile)
	p := put("kind", "name", time.Hour)
	do(t, dial(t, server), "CLIENT", "PAUSE", "3000", "ALL") // milliseconds, far more than the calls take
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err := st.Load(ctx, flowNow, p.Record.Key)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, store.ErrUncertain) {
			t.Errorf("Load: %v, want %v", err, context.DeadlineExceeded)
		}
	}
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err := st.Commit(ctx, flowNow, puts(p))
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Commit: %v, want %v", err, context.DeadlineExceeded)
		}
	}
	commit(t, st, puts(p)) // the same batch: it is there already, or not yet
}

// Writers commit while the server is killed and started again. Each commits the same
// batch until it is acknowledged: then it is there, once.
func TestAcknowledgedCommitsSurviveAKill(t *testing.T) {
	server := servers.StartRedis(t, durable...)
	st := open(t, dial(t, server), redisstore.Options{})
	const writers = 8
	var all sync.WaitGroup
	var end, commits, failures atomic.Int64
	keys := make([][]store.Key, writers)
	for w := range writers {
		all.Go(func() {
			for i := 0; end.Load() == 0; i++ {
				b := puts(put("kind", fmt.Sprint(w, " ", i), time.Hour))
				b.Charges = []store.Charge{bucket("kind", "all")}
				for {
					_, err := st.Commit(t.Context(), flowNow, b)
					if err == nil {
						commits.Add(1)
						break
					}
					failures.Add(1)
					if !errors.Is(err, store.ErrUncertain) && !errors.Is(err, store.ErrUnavailable) {
						t.Error(err)
						return
					}
				}
				keys[w] = append(keys[w], b.Puts[0].Record.Key)
			}
		})
	}
	grows := func(n *atomic.Int64) {
		for before := n.Load(); n.Load() < before+writers && !t.Failed(); {
			time.Sleep(time.Millisecond)
		}
	}
	for range 3 {
		grows(&commits)
		server.Kill()
		grows(&failures)
		server.Restart()
	}
	grows(&commits)
	end.Store(1)
	all.Wait()
	total := 0
	for _, keys := range keys {
		total += len(keys)
		for _, k := range keys {
			if !there(t, st, k) {
				t.Fatal("a commit that was acknowledged is lost")
			}
		}
	}
	look := bucket("kind", "all")
	look.Look = true
	levels := commit(t, st, store.Batch{Charges: []store.Charge{look}})
	if charged := (levels[0][0] - flowNow.Micros()) / time.Millisecond.Microseconds(); charged != int64(total) {
		t.Errorf("%d commits charged %d times", total, charged)
	}
}

func TestARefusedConnectionIsUnavailable(t *testing.T) {
	server := servers.StartRedis(t, durable...)
	st := open(t, dial(t, server, func(o *redis.Options) { o.PoolSize = 1 }), redisstore.Options{})
	server.Kill()
	p := put("kind", "name", time.Hour)
	_, _ = st.Commit(t.Context(), flowNow, puts(p)) // may find the old connection
	_, err := st.Commit(t.Context(), flowNow, puts(p))
	if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrUncertain) {
		t.Errorf("Commit: %v, want %v", err, store.ErrUnavailable)
	}
	if _, err := st.Load(t.Context(), flowNow, p.Record.Key); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Load: %v, want %v", err, store.ErrUnavailable)
	}
	if _, err := redisstore.New(t.Context(), prepare(dial(t, server)), volatile); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("New: %v, want %v", err, store.ErrUnavailable)
	}
	server.Restart()
	err = errors.New("not tried")
	for end := time.Now().Add(10 * time.Second); err != nil && time.Now().Before(end); {
		_, err = st.Commit(t.Context(), flowNow, puts(p)) // the pool tries again once a second
	}
	if err != nil {
		t.Errorf("Commit after the restart: %v", err)
	}
}
