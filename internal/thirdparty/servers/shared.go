package servers

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
)

// Shared is what the tests of one package share: at most one PostgreSQL and one
// Redis server, each started by the first test that asks. Instead of its own it uses
// the servers that PASSWORDLESS_TEST_POSTGRES and PASSWORDLESS_TEST_REDIS name, if
// they are set: URLs of a database whose user may make others. The zero Shared is
// ready; it is safe for concurrent use.
//
//	var shared servers.Shared
//
//	func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }
//
//	func TestSomething(t *testing.T) { url := shared.Postgres(t) ... }
type Shared struct {
	postgres, redis sharedServer
}

// Run runs the tests, then stops what they shared, and returns the exit code.
func (s *Shared) Run(m *testing.M) int {
	code := m.Run()
	if err := errors.Join(s.postgres.stop(), s.redis.stop()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}

// Postgres returns the URL of a new, empty database of the shared PostgreSQL. It is
// dropped when the test ends.
func (s *Shared) Postgres(tb testing.TB) string {
	tb.Helper()
	url := os.Getenv("PASSWORDLESS_TEST_POSTGRES")
	if url == "" {
		server, err := s.postgres.get(func() (*server, error) { return startPostgres(nil) })
		need(tb, err)
		url = postgresURL(server.port)
	}
	return newDatabase(tb, url, func() bool { return true })
}

// Redis returns the URL of an empty database of the shared Redis, which no other
// test has. It is emptied when the test ends.
func (s *Shared) Redis(tb testing.TB) string {
	tb.Helper()
	url := os.Getenv("PASSWORDLESS_TEST_REDIS")
	if url == "" {
		server, err := s.redis.get(func() (*server, error) { return startRedis(nil, nil) })
		need(tb, err)
		url = "redis://" + redisAddr(server) + "/0"
	}
	return newRedisDatabase(tb, url)
}

// A sharedServer is started once. The zero value is not yet started.
type sharedServer struct {
	once   sync.Once
	server *server
	err    error
}

func (s *sharedServer) get(start func() (*server, error)) (*server, error) {
	s.once.Do(func() { s.server, s.err = start() })
	return s.server, s.err
}

func (s *sharedServer) stop() error {
	if s.server == nil {
		return nil
	}
	return s.server.stop()
}
