package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/redisstore"
)

// info is what INFO says of a server that will do.
const info = "# Server\r\nredis_version:7.4.1\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n" +
	"role:master\r\ncluster_enabled:0\r\n"

// A fake answers scripts; those of checks with info.
type fake struct {
	info    string
	replies []any // and errors, each for one script; the last for all that follow
	ran     int   // scripts that are no check
}

func (f *fake) prepare(lua string) redisstore.Script {
	return func(ctx context.Context, keys []string, args ...any) (any, error) {
		if strings.Contains(lua, "INFO") {
			return []any{[]byte(f.info)}, nil
		}
		if len(keys) == 1 && strings.HasSuffix(keys[0], ":check") {
			return []any{}, nil
		}
		reply := f.replies[min(f.ran, len(f.replies)-1)]
		f.ran++
		if err, ok := reply.(error); ok {
			return nil, err
		}
		return reply, nil
	}
}

// settings are what Options.Config returns of a server; those that are not there are as they must be.
type settings map[string]string

func (s settings) get(_ context.Context, name string) (string, error) {
	if value, ok := s[name]; ok {
		return value, nil
	}
	durable := map[string]string{"appendfsync": "always", "no-appendfsync-on-rewrite": "no"}
	if value, ok := durable[name]; ok {
		return value, nil
	}
	return "", errors.New("ERR unknown setting")
}

func open(t testing.TB, f *fake) *redisstore.Store {
	t.Helper()
	f.info = info
	s, err := redisstore.New(t.Context(), f.prepare, redisstore.Options{Config: settings{}.get})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var batch = store.Batch{Puts: []store.Put{{Record: store.Record{
	Key: store.Key{Kind: "kind", Name: "name"}, Version: store.Version{1}, Expires: store.Never,
}}}}

const noFile = "aof_enabled:0"

func TestNewTellsAllThatIsWrong(t *testing.T) { // RL-16, CG-7
	everysec, rewrite := settings{"appendfsync": "everysec"}, settings{"no-appendfsync-on-rewrite": "yes"}
	for _, row := range []struct {
		rule, from, to string
		o              redisstore.Options
		set            settings
		wrong          string // in the error; "" for none
	}{
		{rule: "a durable primary will do"},
		{rule: "nothing is evicted", from: "noeviction", to: "volatile-ttl", wrong: "maxmemory-policy"},
		{rule: "a policy that is not told is refused", from: "maxmemory_policy", to: "other", wrong: "maxmemory-policy"},
		{rule: "a replica is refused", from: "role:master", to: "role:slave", wrong: "role"},
		{rule: "a cluster is refused", from: "cluster_enabled:0", to: "cluster_enabled:1", wrong: "Cluster"},
		{rule: "the append-only file is demanded", from: "aof_enabled:1", to: noFile, wrong: "appendonly"},
		{rule: "or waived", from: "aof_enabled:1", to: noFile, o: redisstore.Options{InsecureVolatile: true}},
		{rule: "everysec does not waive it", from: "aof_enabled:1", to: noFile, o: redisstore.Options{InsecureEverysec: true},
			wrong: "appendonly"},
		{rule: "everysec is refused", set: everysec, wrong: `appendfsync is "everysec"`},
		{rule: "no fsync is refused", set: settings{"appendfsync": "no"}, wrong: `appendfsync is "no"`},
		{rule: "an answer without a value is refused", set: settings{"appendfsync": ""}, wrong: `appendfsync is ""`},
		{rule: "everysec is waived", set: everysec, o: redisstore.Options{InsecureEverysec: true}},
		{rule: "who waives the file waives everysec", set: everysec, o: redisstore.Options{InsecureVolatile: true}},
		{rule: "no pause of fsync", set: rewrite, wrong: "no-appendfsync-on-rewrite"},
		{rule: "a pause is waived", set: rewrite, o: redisstore.Options{InsecureEverysec: true}},
		{rule: "longest prefix", o: redisstore.Options{Prefix: strings.Repeat("aZ09._-z", 4)}},
		{rule: "prefix too long", o: redisstore.Options{Prefix: strings.Repeat("x", 33)}, wrong: "prefix"},
		{rule: "prefix with a colon", o: redisstore.Options{Prefix: "a:b"}, wrong: "prefix"},
		{rule: "prefix with a pattern", o: redisstore.Options{Prefix: "*"}, wrong: "prefix"},
		{rule: "prefix with a line break", o: redisstore.Options{Prefix: "a\n"}, wrong: "prefix"},
	} {
		t.Run(row.rule, func(t *testing.T) {
			f := &fake{info: strings.ReplaceAll(info, row.from, row.to)}
			if row.from == "" {
				f.info = info
			}
			row.o.Config = row.set.get
			s, err := redisstore.New(t.Context(), f.prepare, row.o)
			if row.wrong == "" && (err != nil || s == nil) {
				t.Errorf("New: %v, want success", err)
			}
			if row.wrong != "" && (err == nil || !strings.Contains(err.Error(), row.wrong)) {
				t.Errorf("New: %v, want an error about %q", err, row.wrong)
			}
			setting := row.wrong != "" && row.wrong != "prefix"
			if errors.Is(err, store.ErrMisconfigured) != setting || errors.Is(err, store.ErrUnavailable) {
				t.Errorf("New: %v, want one that tells a wrong setting from a mistake and from an outage", err)
			}
		})
	}
	t.Run("all at once", func(t *testing.T) {
		_, err := redisstore.New(t.Context(), (&fake{}).prepare, redisstore.Options{})
		for _, wrong := range []string{"maxmemory-policy", "role", "Cluster", "appendonly"} {
			if !strings.Contains(fmt.Sprint(err), wrong) {
				t.Errorf("New: %v, want it to tell of %q", err, wrong)
			}
		}
	})
	t.Run("no function", func(t *testing.T) {
		if _, err := redisstore.New(t.Context(), nil, redisstore.Options{}); err == nil {
			t.Error("New without a function that prepares scripts: success")
		}
	})
}

// A script cannot read appendfsync: whoever does not say how to read it has to say that it does not matter.
func TestNewDemandsAWayToReadAppendfsync(t *testing.T) { // CG-7
	f := &fake{info: info}
	if _, err := redisstore.New(t.Context(), f.prepare, redisstore.Options{}); !errors.Is(err, store.ErrMisconfigured) ||
		!strings.Contains(err.Error(), "Options.Config") {
		t.Errorf("New without Config: %v, want an error that asks for it", err)
	}
	for _, o := range []redisstore.Options{{InsecureEverysec: true}, {InsecureVolatile: true}} {
		if _, err := redisstore.New(t.Context(), f.prepare, o); err != nil {
			t.Errorf("New with %+v: %v, want success", o, err)
		}
	}
	cause := errors.New("NOPERM this user has no permissions to run the 'config|get' command")
	for _, unreadable := range []string{"appendfsync", "no-appendfsync-on-rewrite"} {
		_, err := redisstore.New(t.Context(), f.prepare, redisstore.Options{
			Config: func(ctx context.Context, name string) (string, error) {
				if name == unreadable {
					return "", cause
				}
				return settings{}.get(ctx, name)
			}})
		if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, cause) || !strings.Contains(err.Error(), unreadable) {
			t.Errorf("New: %v, want one of %s that matches ErrUnavailable and its cause", err, unreadable)
		}
	}
}

func TestInsecureOptionsAreDeviations(t *testing.T) { // OP-2
	for _, row := range []struct {
		o    redisstore.Options
		want []string // beginnings
	}{
		{redisstore.Options{Config: settings{}.get}, nil},
		{redisstore.Options{InsecureEverysec: true}, []string{"InsecureEverysec: "}},
		{redisstore.Options{InsecureVolatile: true}, []string{"InsecureVolatile: "}},
		{redisstore.Options{InsecureEverysec: true, InsecureVolatile: true}, []string{"InsecureEverysec: ", "InsecureVolatile: "}},
	} {
		s, err := redisstore.New(t.Context(), (&fake{info: info}).prepare, row.o)
		if err != nil {
			t.Fatal(err)
		}
		got := store.Deviations(s)
		if !slices.EqualFunc(got, row.want, strings.HasPrefix) {
			t.Errorf("Deviations with %+v: %q, want %q", row.o, got, row.want)
		}
	}
}

func TestSweepLooksAtTheServerAgain(t *testing.T) { // RL-16
	set := settings{}
	f := &fake{info: info, replies: []any{[]any{int64(2), "0"}}}
	s, err := redisstore.New(t.Context(), f.prepare, redisstore.Options{Config: set.get})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.Sweep(t.Context(), 1, 10); n != 2 || err != nil {
		t.Errorf("Sweep of a server that is as it was: %d, %v, want 2", n, err)
	}
	for name, change := range map[string]func(){
		"maxmemory-policy": func() { f.info = strings.ReplaceAll(info, "noeviction", "allkeys-lru") },
		"role":             func() { f.info = strings.ReplaceAll(info, "role:master", "role:slave") },
		"appendonly":       func() { f.info = strings.ReplaceAll(info, "aof_enabled:1", noFile) },
		"appendfsync":      func() { set["appendfsync"] = "everysec" },
	} {
		f.info = info
		clear(set)
		change()
		n, err := s.Sweep(t.Context(), 1, 10)
		if n != 2 || !errors.Is(err, store.ErrMisconfigured) || !strings.Contains(err.Error(), name) {
			t.Errorf("Sweep: %d, %v, want 2 and an error about %s", n, err, name)
		}
	}
}

// Where the work fails, too, Sweep still tells what is wrong with the server; an outage is told once.
func TestSweepThatFailsTellsWhy(t *testing.T) {
	replica := errors.New("READONLY You can't write against a read only replica.")
	f := &fake{replies: []any{replica}}
	s := open(t, f)
	if _, err := s.Sweep(t.Context(), 1, 10); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrMisconfigured) {
		t.Errorf("Sweep: %v, want %v alone", err, store.ErrUnavailable)
	}
	f.info = strings.ReplaceAll(info, "role:master", "role:slave")
	if _, err := s.Sweep(t.Context(), 1, 10); !errors.Is(err, replica) || !errors.Is(err, store.ErrMisconfigured) {
		t.Errorf("Sweep: %v, want what failed and why", err)
	}
}

func TestCommitTellsWhetherItMayHaveBeenApplied(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for _, row := range []struct {
		rule string
		err  error
		want error
	}{
		{"nobody listens", dial, store.ErrUnavailable},
		{"nobody listens, wrapped", fmt.Errorf("pool: %w", dial), store.ErrUnavailable},
		{"the Script promises", fmt.Errorf("pool exhausted: %w", store.ErrUnavailable), store.ErrUnavailable},
		{"still loading", errors.New("LOADING Redis is loading the dataset in memory"), store.ErrUnavailable},
		{"wrapped reply", fmt.Errorf("node 1: %w", errors.New("LOADING Redis is loading the dataset in memory")), store.ErrUnavailable},
		{"a replica", errors.New("READONLY You can't write against a read only replica."), store.ErrUnavailable},
		{"out of memory before", errors.New("OOM command not allowed when used memory > 'maxmemory'."), store.ErrUnavailable},
		{"out of memory within",
			errors.New("OOM command not allowed when used memory > 'maxmemory'. script: 1f, on @user_script:9."), store.ErrUncertain},
		{"failed within",
			errors.New("WRONGTYPE Operation against a key holding the wrong kind of value script: 1f, on @user_script:9."),
			store.ErrUncertain},
		{"a word in the middle", errors.New("something LOADING "), store.ErrUncertain},
		{"connection lost", io.EOF, store.ErrUncertain},
		{"connection reset", &net.OpError{Op: "read", Err: syscall.ECONNRESET}, store.ErrUncertain},
		{"time out of the client", &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, store.ErrUncertain},
		{"unknown", errors.New("client: unknown"), store.ErrUncertain},
	} {
		t.Run(row.rule, func(t *testing.T) {
			f := &fake{replies: []any{row.err}}
			s := open(t, f)
			_, err := s.Commit(t.Context(), 1, batch)
			if !errors.Is(err, row.want) || !errors.Is(err, row.err) {
				t.Errorf("Commit: %v, want %v and its cause", err, row.want)
			}
			if again := f.ran > 1; again != (row.want == store.ErrUnavailable) {
				t.Errorf("Commit ran its script %d times", f.ran)
			}
			if _, err := s.Load(t.Context(), 1, batch.Puts[0].Record.Key); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("Load: %v, want %v", err, store.ErrUnavailable)
			}
		})
	}
}

func TestCommitRunsAgainWhatDidNotRun(t *testing.T) {
	f := &fake{replies: []any{errors.New("LOADING Redis is loading the dataset in memory"), []any{"ok"}}}
	if _, err := open(t, f).Commit(t.Context(), 1, batch); err != nil || f.ran != 2 {
		t.Errorf("Commit: %v after %d scripts, want success after 2", err, f.ran)
	}
}

func TestContextThatEndedBefore(t *testing.T) {
	f := &fake{replies: []any{[]any{"ok"}}}
	s := open(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Commit(ctx, 1, batch)
	if !errors.Is(err, context.Canceled) || errors.Is(err, store.ErrUncertain) || f.ran != 0 {
		t.Errorf("Commit: %v after %d scripts, want %v and none", err, f.ran, context.Canceled)
	}
}

func TestContextThatEndsMeanwhile(t *testing.T) {
	for _, row := range []struct {
		rule      string
		err       error
		uncertain bool
	}{
		{"the script may have run", os.ErrDeadlineExceeded, true},
		{"the script did not run", errors.New("LOADING Redis is loading the dataset in memory"), false},
	} {
		t.Run(row.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // where time passes in pauses only
				s := open(t, &fake{replies: []any{row.err}})
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond) // of a retry, or for the context
				defer cancel()
				_, err := s.Commit(ctx, 1, batch)
				if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, store.ErrUncertain) != row.uncertain {
					t.Errorf("Commit: %v, want %v, uncertain: %v", err, context.DeadlineExceeded, row.uncertain)
				}
				if _, err := s.Load(ctx, 1); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, store.ErrUncertain) {
					t.Errorf("Load: %v, want %v", err, context.DeadlineExceeded)
				}
			})
		})
	}
}

func TestRepliesOfAnUnknownForm(t *testing.T) {
	key := store.Key{Kind: "kind", Name: "name"}
	for _, reply := range []any{
		nil, "ok", int64(1), []any{}, []any{nil}, []any{"no"}, []any{"ok", "more"},
		[]any{"limited"}, []any{"limited", int64(0), int64(1)}, []any{"limited", int64(0), int64(0), int64(1)},
		[]any{"limited", int64(-1), int64(0), int64(1)},
		[]any{"conflict"}, []any{"conflict", int64(1)}, []any{"conflict", int64(-1)}, []any{"conflict", "0"},
		[]any{"passwordless:r:kind:name", "short"}, []any{strings.Repeat("x", 36), strings.Repeat("9", 36)},
		[]any{int64(2), "0"}, []any{int64(-1), "0"},
	} {
		t.Run(fmt.Sprint(reply), func(t *testing.T) {
			s := open(t, &fake{replies: []any{reply}})
			if _, err := s.Commit(t.Context(), 1, batch); !errors.Is(err, store.ErrUncertain) {
				t.Errorf("Commit: %v, want %v", err, store.ErrUncertain)
			}
			if _, err := s.Load(t.Context(), 1, key, key, key); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("Load: %v, want %v", err, store.ErrUnavailable)
			}
			if _, err := s.Sweep(t.Context(), 1, 1); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("Sweep: %v, want %v", err, store.ErrUnavailable)
			}
			if list, ok := reply.([]any); ok && len(list) == 0 {
				return // an empty page
			}
			if _, _, err := s.List(t.Context(), 1, "kind", store.Page{Owner: "owner", Limit: 1}); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("List: %v, want %v", err, store.ErrUnavailable)
			}
		})
	}
}

func TestListRefusesAForeignCursor(t *testing.T) {
	if _, _, err := open(t, &fake{}).List(t.Context(), 1, "kind", store.Page{Owner: "owner", Limit: 1, Cursor: "%"}); err == nil {
		t.Error("List with a cursor that is none: success")
	}
}
