package servers_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/seed62b93bad/passwordless/internal/thirdparty/servers"
)

var shared servers.Shared

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

func query[T any](t *testing.T, url, statement string) T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var value T
	if err := conn.QueryRow(t.Context(), statement).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

func TestPostgresKeepsItsDataAndItsPortWhenKilledAndRestarted(t *testing.T) {
	t.Parallel()
	p := servers.StartPostgres(t, "max_connections = 17")
	url := p.Database(t)
	if got := query[string](t, url, "SHOW max_connections"); got != "17" {
		t.Errorf("max_connections is %s, want what the settings say", got)
	}
	if got := query[string](t, url, "SHOW fsync"); got != "on" {
		t.Errorf("fsync is %s", got)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), "CREATE TABLE kept AS SELECT 42 AS value"); err != nil {
		t.Fatal(err)
	}
	p.Kill()
	if conn, err := pgx.Connect(t.Context(), url); err == nil {
		conn.Close(context.Background())
		t.Error("a killed server answers")
	}
	p.Restart()
	if got := query[int](t, url, "SELECT value FROM kept"); got != 42 {
		t.Errorf("read %d, want 42", got)
	}
}

func TestRedisKeepsItsPortAndWhatItWasConfiguredToKeepWhenKilledAndRestarted(t *testing.T) {
	t.Parallel()
	r := servers.StartRedis(t, "appendonly yes", "appendfsync always")
	client := redis.NewClient(&redis.Options{Addr: r.Addr(), MaxRetries: -1})
	defer client.Close()
	if err := client.Set(t.Context(), "kept", "42", 0).Err(); err != nil {
		t.Fatal(err)
	}
	r.Kill()
	if conn, err := net.DialTimeout("tcp", r.Addr(), time.Second); err == nil {
		conn.Close()
		t.Error("a killed server accepts connections")
	}
	r.Restart()
	if got, err := client.Get(t.Context(), "kept").Result(); err != nil || got != "42" {
		t.Errorf("read %q, %v, want 42", got, err)
	}
}

func TestEachTestOfASharedServerHasItsOwnDatabase(t *testing.T) {
	t.Parallel()
	a, b := shared.Postgres(t), shared.Postgres(t)
	if query[string](t, a, "SELECT current_database()") == query[string](t, b, "SELECT current_database()") {
		t.Error("two tests share a PostgreSQL database")
	}
	if a, b := shared.Redis(t), shared.Redis(t); a == b {
		t.Error("two tests share a Redis database")
	}
}

func TestNoServerOutlivesATestBinaryThatIsKilled(t *testing.T) {
	t.Parallel()
	if os.Getenv("SERVERS_TEST_ABANDON") != "" {
		abandon(t)
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), "SERVERS_TEST_ABANDON=1", "TMPDIR="+openFolder(t))
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var redisAddr, postgresURL string
	if _, err := fmt.Fscanf(out, "running %s %s\n", &redisAddr, &postgresURL); err != nil {
		if child.Wait() == nil {
			t.Skip("PostgreSQL or Redis is not on this machine")
		}
		t.Fatal(err)
	}
	_ = child.Process.Kill()
	_ = child.Wait()
	gone(t, "Redis", func() error {
		client := redis.NewClient(&redis.Options{Addr: redisAddr, MaxRetries: -1})
		return errors.Join(client.Ping(t.Context()).Err(), client.Close())
	})
	gone(t, "PostgreSQL", func() error {
		conn, err := pgx.Connect(t.Context(), postgresURL)
		if err != nil {
			return err
		}
		return conn.Close(t.Context())
	})
}

// abandon starts servers, prints where, and waits to be killed.
func abandon(t *testing.T) {
	t.Helper()
	r, p := servers.StartRedis(t), servers.StartPostgres(t)
	fmt.Println("running", r.Addr(), p.URL())
	time.Sleep(time.Minute)
	t.Fatal("nobody killed this")
}

// openFolder returns a temporary folder that other users can enter.
func openFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "passwordless-servers-") //nolint:usetesting // others cannot enter t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	return folder
}

// gone waits until a server does not answer any more.
func gone(t *testing.T, server string, ask func() error) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ask() == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(server, "still answers")
		}
	}
}

func TestSharedRedisDatabasesAreEmptyAgainForTheNextTest(t *testing.T) {
	t.Parallel()
	for range 3 {
		t.Run("uses and leaves", func(t *testing.T) {
			options, err := redis.ParseURL(shared.Redis(t))
			if err != nil {
				t.Fatal(err)
			}
			client := redis.NewClient(options)
			defer client.Close()
			if n, err := client.DBSize(t.Context()).Result(); err != nil || n != 0 {
				t.Errorf("database holds %d keys, %v, want none", n, err)
			}
			if err := client.Set(t.Context(), "left", "behind", 0).Err(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
