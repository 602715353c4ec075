package servers

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/redis/go-redis/v9"
)

// A Redis is a Redis server that belongs to one test. Its methods are for the
// goroutine of that test.
type Redis struct {
	tb     testing.TB
	server *server
}

// StartRedis starts a Redis server for this test that writes nothing to disk,
// except what config, lines of redis.conf, says. The server stops when the test
// ends.
func StartRedis(tb testing.TB, config ...string) *Redis {
	tb.Helper()
	return started(tb, nil, config)
}

// StartRedisOn is StartRedis on a slow disk.
func StartRedisOn(tb testing.TB, disk *SlowDisk, config ...string) *Redis {
	tb.Helper()
	return started(tb, disk.environ(), config)
}

func started(tb testing.TB, environ, config []string) *Redis {
	tb.Helper()
	s, err := startRedis(environ, config)
	need(tb, err)
	tb.Cleanup(func() { stopped(tb, s) })
	return &Redis{tb: tb, server: s}
}

// Addr returns host:port. It stays the same when the server restarts.
func (r *Redis) Addr() string { return redisAddr(r.server) }

// URL returns the URL of database 0.
func (r *Redis) URL() string { return "redis://" + r.Addr() + "/0" }

// Kill ends the server and all its children at once, as a crash would.
func (r *Redis) Kill() {
	r.tb.Helper()
	need(r.tb, r.server.kill())
}

// Restart starts the server again after Kill, on the same port and data, and
// returns once it answers.
func (r *Redis) Restart() {
	r.tb.Helper()
	need(r.tb, r.server.run())
}

func startRedis(environ, config []string) (*server, error) {
	redisServer, err := find([]string{"redis-server", "valkey-server"}, "/usr/local/opt/redis/bin", "/opt/homebrew/opt/redis/bin")
	if err != nil {
		return nil, err
	}
	s, err := newServer("redis")
	if err != nil {
		return nil, err
	}
	s.environ = environ
	lines := append([]string{
		"bind 127.0.0.1",
		"dir " + s.folder,
		"databases 4096",
		`save ""`,
		"appendonly no",
	}, config...)
	if err := s.write("redis.conf", lines); err != nil {
		return nil, fmt.Errorf("servers: configure Redis: %w", errors.Join(err, s.stop()))
	}
	s.command = func(port int) []string {
		return []string{redisServer, filepath.Join(s.folder, "redis.conf"), "--port", fmt.Sprint(port)}
	}
	s.ping = func(ctx context.Context) error { return pingRedis(ctx, s) }
	if err := s.start(); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func redisAddr(s *server) string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

func pingRedis(ctx context.Context, s *server) error {
	client := redis.NewClient(&redis.Options{Addr: redisAddr(s), MaxRetries: -1})
	defer client.Close()
	config, err := client.ConfigGet(ctx, "dir").Result()
	if err != nil {
		return err
	}
	if config["dir"] != s.folder {
		return errors.New("another server has the port")
	}
	return client.Ping(ctx).Err() // refused while it still loads its data
}

// newRedisDatabase returns the URL of an empty database of the server that the URL
// names, and empties it when the test ends. Concurrent tests, of several processes
// too, get different ones: each is claimed by a key in the URL's own database, which
// is never handed out. A database that holds something is left alone.
func newRedisDatabase(tb testing.TB, server string) string {
	tb.Helper()
	address, err := url.Parse(server)
	need(tb, err)
	options, err := redis.ParseURL(server)
	need(tb, err)
	claims := redis.NewClient(options)
	tb.Cleanup(func() { claims.Close() })
	ctx := context.Background()
	for n := 0; ; n++ {
		if n == options.DB {
			continue
		}
		claim := fmt.Sprintf("passwordless-test:database:%d", n)
		if won, err := claims.SetNX(ctx, claim, "", patience*20).Result(); err != nil {
			need(tb, fmt.Errorf("servers: claim a Redis database: %w", err))
		} else if !won {
			continue
		}
		database := *options
		database.DB = n
		client := redis.NewClient(&database)
		tb.Cleanup(func() { _ = client.Close() })
		size, err := client.DBSize(ctx).Result()
		if err != nil {
			need(tb, fmt.Errorf("servers: no empty Redis database is left: %w", err))
		}
		if size > 0 {
			claims.Del(ctx, claim)
			continue
		}
		tb.Cleanup(func() {
			if err := errors.Join(client.FlushDB(ctx).Err(), claims.Del(ctx, claim).Err()); err != nil {
				tb.Error("servers: empty a Redis database:", err)
			}
		})
		address.Path = fmt.Sprintf("/%d", n)
		return address.String()
	}
}
