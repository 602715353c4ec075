package redis_test

import (
	"context"
	"crypto/rand"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/seed62b93bad/passwordless/internal/thirdparty/servers"
	"github.com/seed62b93bad/passwordless/passwordlesstest/servicetest"
	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/redisstore"
	"github.com/seed62b93bad/passwordless/store/storetest"
)

// dial returns a client of the server, configured as the driver's documentation asks.
func dial(tb testing.TB, server *servers.Redis, change ...func(*redis.Options)) *redis.Client {
	o := &redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true, MaxRetries: -1}
	for _, f := range change {
		f(o)
	}
	client := redis.NewClient(o)
	tb.Cleanup(func() { client.Close() })
	return client
}

// prepare is what the driver's documentation shows.
func prepare(client *redis.Client) func(string) redisstore.Script {
	return func(lua string) redisstore.Script {
		script := redis.NewScript(lua)
		return func(ctx context.Context, keys []string, args ...any) (any, error) {
			return script.Run(ctx, client, keys, args...).Result()
		}
	}
}

// durable is a configuration under which nothing that was acknowledged is lost.
var durable = []string{"appendonly yes", "appendfsync always"}

// config is what the driver's documentation shows, too.
func config(client *redis.Client) func(context.Context, string) (string, error) {
	return func(ctx context.Context, setting string) (string, error) {
		values, err := client.ConfigGet(ctx, setting).Result()
		return values[setting], err
	}
}

// open returns a Store on the client, or ends the test.
func open(tb testing.TB, client *redis.Client, o redisstore.Options) *redisstore.Store {
	tb.Helper()
	o.Config = config(client)
	return openWith(tb, prepare(client), o)
}

func openWith(tb testing.TB, prepare func(string) redisstore.Script, o redisstore.Options) *redisstore.Store {
	tb.Helper()
	s, err := redisstore.New(context.Background(), prepare, o)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestStoreKeepsTheContract(t *testing.T) {
	for _, row := range []struct {
		client  string
		options func(*redis.Options)
		prepare func(*redis.Client) func(string) redisstore.Script
	}{
		{"RESP2", func(o *redis.Options) { o.Protocol = 2 }, prepare},
		{"RESP3", func(o *redis.Options) { o.Protocol = 3 }, prepare},
		{"replies of bytes", func(*redis.Options) {}, prepareBytes},
	} {
		t.Run(row.client, func(t *testing.T) {
			server := servers.StartRedis(t, durable...)
			var o redisstore.Options
			instance := func(tb testing.TB) *redisstore.Store {
				client := dial(tb, server, row.options)
				o.Config = config(client)
				return openWith(tb, row.prepare(client), o)
			}
			open := func(tb testing.TB) (a, b store.Store) {
				o.Prefix = rand.Text()
				return instance(tb), instance(tb)
			}
			storetest.Run(t, open, storetest.Crash(func(tb testing.TB, _, _ store.Store) store.Store {
				server.Kill()
				server.Restart()
				return instance(tb)
			}))
			t.Run("service", func(t *testing.T) { servicetest.Run(t, open) })
		})
	}
}

// prepareBytes is prepare as for a client that replies with []byte where go-redis
// replies with strings.
func prepareBytes(client *redis.Client) func(string) redisstore.Script {
	prepare := prepare(client)
	return func(lua string) redisstore.Script {
		script := prepare(lua)
		return func(ctx context.Context, keys []string, args ...any) (any, error) {
			reply, err := script(ctx, keys, args...)
			return inBytes(reply), err
		}
	}
}

// inBytes returns the reply with each string as a []byte.
func inBytes(reply any) any {
	switch r := reply.(type) {
	case string:
		return []byte(r)
	case []any:
		for i := range r {
			r[i] = inBytes(r[i])
		}
	}
	return reply
}
