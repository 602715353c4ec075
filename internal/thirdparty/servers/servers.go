// Package servers gives tests real PostgreSQL and Redis servers.
//
// A private server ([StartPostgres], [StartRedis]) belongs to one test, which may
// kill and restart it. Tests that only need a database of their own share one
// server ([Shared]).
//
// Servers run from the binaries of this machine, on a free port of 127.0.0.1, in
// a temporary folder, and never as root: a test that runs as root starts them as an
// unprivileged user. On Linux no server outlives the test binary, however that ends.
//
// A test whose server is not on this machine is skipped with the reason, or fails
// if PASSWORDLESS_TEST_REQUIRE=1.
package servers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience bounds each start, stop and kill of a server.
const patience = 60 * time.Second

// errMissing means that a program is not on this machine.
var errMissing = errors.New("not found on this machine")

// need ends the test unless err is nil: missing programs skip it, where that is allowed.
func need(tb testing.TB, err error) {
	tb.Helper()
	switch {
	case err == nil:
	case errors.Is(err, errMissing) && os.Getenv("PASSWORDLESS_TEST_REQUIRE") != "1":
		tb.Skip(err)
	default:
		tb.Fatal(err)
	}
}

// A server is a program with a folder, a port and, while it runs, a process.
type server struct {
	name   string   // for messages
	folder string   // belongs to user
	user   *account // nil: the user of this process
	port   int

	environ []string // besides the usual

	command func(port int) []string
	// ping returns nil once this very server, and not another one that got hold of
	// the port, answers at its port.
	ping func(context.Context) error

	process *exec.Cmd
	ended   chan struct{} // closed when process was waited for
}

// newServer returns a server with an empty folder, not yet running.
func newServer(name string) (*server, error) {
	user, err := unprivileged()
	if err != nil {
		return nil, fmt.Errorf("servers: start %s: %w", name, err)
	}
	folder, err := os.MkdirTemp("", "passwordless-"+name+"-")
	if err != nil {
		return nil, fmt.Errorf("servers: start %s: %w", name, err)
	}
	if user != nil {
		err = os.Chown(folder, user.uid, user.gid)
	}
	return &server{name: name, folder: folder, user: user}, err
}

// start runs the server on a free port. A port that was free a moment ago may
// be taken: then it tries another.
func (s *server) start() error {
	var err error
	for range 5 {
		s.port = FreePort()
		if err = s.run(); err == nil {
			return nil
		}
	}
	return err
}

// run runs the server on its port and waits until it answers.
func (s *server) run() error {
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("servers: start %s: %w", s.name, err)
	}
	defer log.Close()
	s.process = s.exec(s.command(s.port)...)
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		s.process = nil
		return fmt.Errorf("servers: start %s: %w", s.name, err)
	}
	process, ended := s.process, make(chan struct{})
	s.ended = ended
	go func() {
		defer close(ended)
		_ = process.Wait() // however it ended, it is gone
	}()
	if err := s.ready(); err != nil {
		return errors.Join(err, s.kill())
	}
	return nil
}

// ready waits until the server answers.
func (s *server) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		err := s.ping(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("servers: %s ended: %s", s.name, s.logTail())
		case <-ctx.Done():
			return fmt.Errorf("servers: %s does not answer: %w: %s", s.name, err, s.logTail())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// kill ends the server and its children at once, as a crash would. A server that
// does not run is left alone.
func (s *server) kill() error {
	if s.process == nil {
		return nil
	}
	children := killTree(s.process.Process)
	s.process = nil
	late := time.After(patience)
	select {
	case <-s.ended:
	case <-late:
		return fmt.Errorf("servers: %s survives being killed", s.name)
	}
	for _, child := range children {
		for alive(child) {
			select {
			case <-time.After(time.Millisecond):
			case <-late:
				return fmt.Errorf("servers: a child of %s survives being killed", s.name)
			}
		}
	}
	return nil
}

// stop ends the server in order, if it runs, and removes its folder.
func (s *server) stop() error {
	if s.process != nil {
		_ = s.process.Process.Signal(os.Interrupt) // kill follows
		select {
		case <-s.ended:
		case <-time.After(patience / 4):
		}
	}
	return errors.Join(s.kill(), os.RemoveAll(s.folder))
}

// exec returns a command that runs as the server's user in its folder, and that
// dies with this process.
func (s *server) exec(command ...string) *exec.Cmd {
	c := exec.Command(command[0], command[1:]...)
	c.Dir = s.folder
	c.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.folder, "LC_ALL=C"}, s.environ...)
	c.SysProcAttr = attributes(s.user)
	return c
}

// write writes a file that the server can read.
func (s *server) write(name string, lines []string) error {
	text := strings.Join(lines, "\n") + "\n"
	return os.WriteFile(filepath.Join(s.folder, name), []byte(text), 0o644)
}

func (s *server) log() string { return filepath.Join(s.folder, "log") }

func (s *server) logTail() string {
	text, err := os.ReadFile(s.log())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}

// FreePort returns a port of 127.0.0.1 that was free a moment ago. It lies below
// the range from which outgoing connections take theirs: else, while a server is
// down, a client could take its port, or even connect to itself.
func FreePort() int {
	for {
		port := 20000 + rand.IntN(12000)
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		listener.Close()
		return port
	}
}

// Nowhere is an address of this machine at which nobody listens for as long as the test runs: a connection has its port.
func Nowhere(tb testing.TB) string {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { listener.Close() })
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	return conn.LocalAddr().String()
}

// find returns the path of the first of the programs in PATH or in one of the
// folders, which may be patterns; of several matches the last.
func find(programs []string, folders ...string) (string, error) {
	for _, program := range programs {
		if path, err := exec.LookPath(program); err == nil {
			return path, nil
		}
		for _, folder := range folders {
			if found, _ := filepath.Glob(filepath.Join(folder, program)); len(found) > 0 {
				return found[len(found)-1], nil
			}
		}
	}
	return "", fmt.Errorf("servers: %s: %w", strings.Join(programs, " or "), errMissing)
}
