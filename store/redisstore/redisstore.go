// Package redisstore is a [store.Store] in Redis 7 or later, or Valkey. It imports no client: give it a function that
// prepares a Lua script with yours, and one that reads a setting. With github.com/redis/go-redis/v9:
//
//	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true, MaxRetries: -1})
//	store, err := redisstore.New(ctx, func(lua string) redisstore.Script {
//		script := redis.NewScript(lua)
//		return func(ctx context.Context, keys []string, args ...any) (any, error) {
//			return script.Run(ctx, client, keys, args...).Result()
//		}
//	}, redisstore.Options{Config: func(ctx context.Context, setting string) (string, error) {
//		values, err := client.ConfigGet(ctx, setting).Result()
//		return values[setting], err
//	}})
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
//   - appendonly yes, appendfsync always, no-appendfsync-on-rewrite no. Then what Commit acknowledged survives a crash of
//     Redis and of its machine. New refuses anything else, unless an option of it says Insecure.
//   - Replicas follow behind. The promotion of one loses the commits that had not reached it. To wait for replicas, send
//     WAIT (or WAITAOF: for their disks) behind the script on the same connection, and return an error if too few
//     confirmed: Commit then reports ErrUncertain.
//
// With appendfsync everysec, the default of Redis, commits are lost by a crash of Redis alone, not only by one of its
// machine: while an fsync lasts, which is long on a busy disk, Redis answers before it hands its writes to the system, for
// up to two seconds. What is lost is undone: codes that signed somebody in work again, sessions that were revoked live
// again, guesses that were counted are forgotten. Options.InsecureEverysec accepts that.
//
// A script can read neither appendfsync, since Redis has no CONFIG in scripts: hence Options.Config; nor wait for the disk,
// since WAITAOF (Redis 7.2) does not block in a script. So the driver does not make everysec safe by WAITAOF; an
// application can, by the last point of the list, and still has to set InsecureEverysec, since the driver cannot see it.
//
// Somebody may configure Redis anew while it runs. Sweep looks at the configuration again each time, after its work, and
// returns an error that matches [store.ErrMisconfigured] and tells what is wrong.
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
	"regexp"
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
	//go:embed info.lua
	infoLua string
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
	// Config returns a setting of the server, as CONFIG GET does. It is asked for appendfsync and no-appendfsync-on-rewrite,
	// by New, Check and Sweep. Where CONFIG is not allowed, as on many hosted servers, return what the operator knows the
	// setting to be. An error is taken for an outage. New refuses nil, unless InsecureEverysec or InsecureVolatile.
	Config func(ctx context.Context, setting string) (value string, err error)
	// InsecureEverysec accepts any appendfsync, and one that cannot be told, as long as there is an append-only file. A
	// crash of Redis, or of its machine, can lose what Commit acknowledged in the last seconds: codes that were used in
	// them work again. A deviation in Service.Policy.
	InsecureEverysec bool
	// InsecureVolatile accepts a server without an append-only file. When it restarts, it has lost what Commit acknowledged. If
	// it restarts from an older snapshot, codes that were used and sessions that were revoked are good again. A deviation in
	// Service.Policy.
	InsecureVolatile bool
}

// A Store keeps records and buckets in Redis. Its methods are safe for concurrent use.
type Store struct {
	load, commit, list, sweep, check, info Script

	prefix string // with its colon, the only one
	accept accepted
	config func(ctx context.Context, setting string) (string, error) // may be nil

	cursor atomic.Uint64 // of SCAN: where the next Sweep begins
}

// accepted are the insecure options.
type accepted struct{ everysec, volatile bool }

var _ store.Store = (*Store)(nil)

// New returns a Store once [Store.Check] is content with the server. It calls prepare a few times, before it returns. Its
// error matches [store.ErrMisconfigured] if the server is not as it must be, and [store.ErrUnavailable] if it could not be
// asked.
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
		load:   prepare(loadLua),
		commit: prepare(commitLua),
		list:   prepare(listLua),
		sweep:  prepare(sweepLua),
		check:  prepare(checkLua),
		info:   prepare(infoLua),
		prefix: o.Prefix + ":",
		accept: accepted{o.InsecureEverysec, o.InsecureVolatile},
		config: o.Config,
	}
	if _, err := s.Check(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Deviations names the insecure options (see [store.Deviations]).
func (s *Store) Deviations() []string {
	var all []string
	if s.accept.everysec {
		all = append(all, "InsecureEverysec: a crash of Redis can lose its last seconds, and codes that were used in them work again")
	}
	if s.accept.volatile {
		all = append(all, "InsecureVolatile: a restart of Redis can lose everything, and codes that were used work again")
	}
	return all
}
