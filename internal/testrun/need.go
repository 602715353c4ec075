package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A need is something that tests use and a machine may lack.
type need struct {
	name     string
	environ  string   // the variable with the URL of a server, "" if there is none
	programs []string // any of them, in PATH or in one of the folders
	folders  []string // patterns
	packages []string // of Debian
}

// raceDetector needs a C compiler.
const raceDetector = "race detector"

var needs = []need{
	{
		name:     raceDetector,
		programs: []string{"gcc", "clang"},
		packages: []string{"gcc", "libc6-dev"},
	},
	{
		name:     "PostgreSQL",
		environ:  "PASSWORDLESS_TEST_POSTGRES",
		programs: []string{"initdb"},
		folders:  []string{"/usr/lib/postgresql/*/bin", "/usr/local/opt/postgresql*/bin", "/opt/homebrew/opt/postgresql*/bin"},
		packages: []string{"postgresql"},
	},
	{
		name:     "Redis",
		environ:  "PASSWORDLESS_TEST_REDIS",
		programs: []string{"redis-server", "valkey-server"},
		folders:  []string{"/usr/local/opt/redis/bin", "/opt/homebrew/opt/redis/bin"},
		packages: []string{"redis-server"},
	},
	{
		name:     "PgBouncer",
		programs: []string{"pgbouncer"},
		folders:  []string{"/usr/sbin"},
		packages: []string{"pgbouncer"},
	},
	{
		name:     "mail server",
		programs: []string{"chasquid"},
		packages: []string{"chasquid"},
	},
	{
		name:     "Node.js",
		programs: []string{"npm"}, // which needs node
		packages: []string{"nodejs", "npm"},
	},
	{
		name:     "Chromium",
		programs: []string{"chromium", "chromium-browser", "google-chrome"},
		packages: []string{"chromium"},
	},
}

// prepare installs what is missing, if it may, and notes what is there.
func (r *run) prepare(needs []need) {
	if r.require {
		r.environ = append(r.environ, "PASSWORDLESS_TEST_REQUIRE=1")
	}
	var packages []string
	for _, n := range needs {
		if n.source() == "" {
			packages = append(packages, n.packages...)
		}
	}
	var err error
	if len(packages) > 0 {
		err = install(packages)
	}
	for _, n := range needs {
		switch source := n.source(); {
		case source != "":
			r.parts = append(r.parts, part{n.name, "ran, with " + source, false})
			r.race = r.race || n.name == raceDetector
		default:
			r.missing(n.name, fmt.Sprintf("%s not found (%v); type: apt-get install %s, or the like",
				strings.Join(n.programs, " or "), err, strings.Join(n.packages, " ")))
		}
	}
}

// source says where the need is met, "" if it is not. It never prints a URL, which may hold a password.
func (n need) source() string {
	if n.environ != "" && os.Getenv(n.environ) != "" {
		return "the server of " + n.environ
	}
	for _, program := range n.programs {
		if path, err := exec.LookPath(program); err == nil {
			return path
		}
		for _, folder := range n.folders {
			if found, _ := filepath.Glob(filepath.Join(folder, program)); len(found) > 0 {
				return found[len(found)-1]
			}
		}
	}
	return ""
}

// install installs packages of Debian, if that asks nobody for anything.
func install(packages []string) error {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return errors.New("there is no apt-get to install it")
	}
	command := append([]string{"sh", "internal/testrun/install.sh"}, packages...)
	if os.Geteuid() != 0 {
		if exec.Command("sudo", "-n", "true").Run() != nil {
			return errors.New("installing it takes root")
		}
		command = append([]string{"sudo", "-n"}, command...)
	}
	fmt.Println("installing", strings.Join(packages, " "))
	if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		os.Stdout.Write(out)
		return fmt.Errorf("installing it failed: %w", err)
	}
	return nil
}
