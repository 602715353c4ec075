// Package redisstore is a [store.Store] in Redis 7 or later, or Valkey. It imports no client: give it a function that
// prepares a Lua script with yours. With github.com/redis/go-redis/v9:
//
//	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true, MaxRetries: -1})
//	store, err := redisstore.New(ctx, func(lua string) redisstore.Script {
//		script := redis.NewScript(lua)
//		return func(ctx context.Context, keys []string, args ...any) (any, error) {
//			return script.Run(ctx, client, keys, args...).Result()
//		}
//	}, redisstore.Options{})
//
// The scripts of rueidis (NewLuaScript) and of redigo (NewScript) fit alike. Without ContextTimeoutEnabled go-redis outlives
// the context of a call; with retries of its own it charges twice for a batch without puts whose answer was lost.
//
// # What survives
//
// Every verb is one script: commits are serializable and a Load is a snapshot, as long as there is one primary and it
// forgets nothing. That is up to its configuration:
//
//   - maxmemory-policy noeviction. New refuses any other: a guess counter that is evicted starts afresh.
//   - appendonly yes. New refuses without. With appendfsync always, what Commit acknowledged survives a crash of Redis
//     and of its machine. With appendfsync everysec, the default of Redis, it survives a crash of Redis; a crash of the
//     machine can lose the last second or two, and then codes that were redeemed, sessions that were revoked and
//     guesses that were counted in it are as before. A script cannot read this setting, so New does not check it.
//   - Replicas follow behind. The promotion of one loses, likewise, the commits that had not reached it. To wait for
//     replicas, send WAIT (or WAITAOF: for their disks) behind the script on the same connection, and return an error
//     if too few confirmed: Commit then reports ErrUncertain.
//
// Redis Cluster is refused.
//
// # What it keeps
//
// Records and buckets are strings, which Redis removes by itself, a day or more after they expired or were full: a
// store that nobody sweeps does not grow for ever. Besides there is a sorted set for each owner of a kind, for List. No
// index says what expires when, since every commit would pay for it; so Sweep looks at every key of the database. Give
// the store a database of its own, and sweep it once an hour rather than once a minute.
package redisstore

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"

	"github.com/seed62b93bad/passwordless/store"
)

var (
	//go:embed load.lua
	loadLua string
	//go:embed commit.lua
	commitLua string
	//go:embed list.lua
	listLua string
	//go:embed sweep.lua
	sweepLua string
	//go:embed check.lua
	checkLua string
)

// A Script runs a Lua script, with these keys and arguments, on the primary, never on a replica. It sends EVALSHA, and
// EVAL if the server does not know the script. It honours ctx, is safe for concurrent use, and need not retry.
//
// An argument is a string of arbitrary bytes. In the reply, a string is a string or a []byte, an integer an int64, an
// array a []any, and a missing value nil.
//
// The text of an error, or of one that it wraps, begins with the error reply, if there was one. An error that matches
// [store.ErrUnavailable] promises that the script did not run; so does that of a [net.Dialer].
type Script func(ctx context.Context, keys []string, args ...any) (any, error)

// Options are those of [New].
type Options struct {
	// Prefix, and a colon, begin every key: up to 32 bytes out of a-z, A-Z, 0-9, '.', '_' and '-'. Stores of different
	// prefixes share a database and nothing else. Default "passwordless".
	Prefix string
	// InsecureVolatile accepts a server without an append-only file. When it restarts, it has lost what Commit acknowledged. If
	// it restarts from an older snapshot, codes that were used and sessions that were revoked are good again.
	InsecureVolatile bool
}

// A Store keeps records and buckets in Redis. Its methods are safe for concurrent use.
type Store struct {
	load, commit, list, sweep, check Script

	prefix   string // with its colon, the only one
	volatile bool   // is accepted

	cursor atomic.Uint64 // of SCAN: where the next Sweep begins
}

var _ store.Store = (*Store)(nil)

// New returns a Store once [Store.Check] is content with the server. It calls prepare a few times, before it returns.
func New(ctx context.Context, prepare func(lua string) Script, o Options) (*Store, error) {
	if prepare == nil {
		return nil, errors.New("redisstore: nil instead of a function that prepares scripts")
	}
	if o.Prefix == "" {
		o.Prefix = "passwordless"
	}
	if !regexp.MustCompile(`^[a-zA-Z0-9._-]{1,32}$`).MatchString(o.Prefix) {
		return nil, errors.New("redisstore: prefix is not up to 32 of a-z, A-Z, 0-9, '.', '_', '-'")
	}
	s := &Store{
		load:     prepare(loadLua),
		commit:   prepare(commitLua),
		list:     prepare(listLua),
		sweep:    prepare(sweepLua),
		check:    prepare(checkLua),
		prefix:   o.Prefix + ":",
		volatile: o.InsecureVolatile,
	}
	if _, err := s.Check(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// A Server is what [Store.Check] saw, for the log of an application.
type Server struct {
	Version    string // such as "7.4.1"
	AppendOnly bool   // an append-only file is kept
}

// Check tells whether the server can be relied on: it is a primary and not part of a Cluster, evicts nothing, keeps an
// append-only file unless Options.InsecureVolatile, and lets the scripts run all their commands. Its error tells all
// that is wrong. An application may call it again: the server can be configured anew while it runs.
func (s *Store) Check(ctx context.Context) (Server, error) {
	reply, err := s.read(ctx, "check", s.check, []string{s.prefix + "check"})
	if err != nil {
		return Server{}, err
	}
	info := make(map[string]string)
	for line := range strings.Lines(text(reply[0])) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		info[name] = value
	}
	return s.judge(info)
}

// judge is the decision of Check, on what INFO says.
func (s *Store) judge(info map[string]string) (Server, error) {
	server := Server{Version: info["redis_version"], AppendOnly: info["aof_enabled"] == "1"}
	var wrong []error
	if policy := info["maxmemory_policy"]; policy != "noeviction" {
		wrong = append(wrong, fmt.Errorf("redisstore: maxmemory-policy is %q, which evicts records: want noeviction", policy))
	}
	if role := info["role"]; role != "master" {
		wrong = append(wrong, fmt.Errorf("redisstore: role is %q: want the primary", role))
	}
	if info["cluster_enabled"] != "0" {
		wrong = append(wrong, errors.New("redisstore: Redis Cluster is not supported"))
	}
	if !server.AppendOnly && !s.volatile {
		wrong = append(wrong, errors.New("redisstore: appendonly is off, so that a restart loses commits: "+
			"want appendonly yes, or Options.InsecureVolatile"))
	}
	return server, errors.Join(wrong...)
}
