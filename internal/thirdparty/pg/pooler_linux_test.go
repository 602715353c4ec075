package pg_test

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed62b93bad/passwordless/internal/thirdparty/servers"
)

// Behind a pooler in transaction mode each statement may meet another session. Two sessions
// serve 64 goroutines here.
func TestTransactionPooler(t *testing.T) {
	pooled := startPgBouncer(t, shared.Postgres(t))
	for adapter, parameters := range map[string]string{
		"pgx":      "&default_query_exec_mode=exec",
		"postgres": "&binary_parameters=yes",
	} {
		t.Run(adapter, func(t *testing.T) {
			s := openStore(t, adapter, pooled+parameters)
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
			if _, err := s.Sweep(t.Context(), now, 100); err != nil {
				t.Error(err)
			}
		})
	}
}

// startPgBouncer starts a pooler before the database and returns its URL.
func startPgBouncer(t *testing.T, database string) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer"
	}
	if _, err := os.Stat(program); err != nil {
		if os.Getenv("PASSWORDLESS_TEST_REQUIRE") == "1" {
			t.Fatal("pgbouncer is not on this machine")
		}
		t.Skip("pgbouncer is not on this machine")
	}
	address, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	folder, port := t.TempDir(), servers.FreePort()
	config := filepath.Join(folder, "pgbouncer.ini")
	text := fmt.Sprintf(`[databases]
* = host=%s port=%s user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
max_client_conn = 200
`, address.Hostname(), address.Port(), port)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(folder, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	bouncer := exec.Command(program, "/dev/stdin")
	if bouncer.Stdin, err = os.Open(config); err != nil {
		t.Fatal(err)
	}
	bouncer.Stdout, bouncer.Stderr = log, log
	bouncer.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: unprivileged(t)}
	if err := bouncer.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		bouncer.Process.Kill()
		bouncer.Wait()
	})
	address.Host = fmt.Sprintf("127.0.0.1:%d", port)
	for range 3000 {
		if conn, err := net.Dial("tcp", address.Host); err == nil {
			conn.Close()
			return address.String()
		}
		time.Sleep(20 * time.Millisecond)
	}
	said, _ := os.ReadFile(log.Name())
	t.Fatalf("pgbouncer does not answer: %s", said)
	return ""
}

// unprivileged returns whom to run a program as that refuses to run as root; nil is
// the user of this process.
func unprivileged(t *testing.T) *syscall.Credential {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(nobody.Uid)
	gid, _ := strconv.Atoi(nobody.Gid)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}
