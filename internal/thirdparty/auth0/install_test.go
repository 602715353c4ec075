package auth0_test

import (
	"embed"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// The scripts and what they import, with exact versions and digests.
//
//go:embed package.json package-lock.json .npmrc *.mjs
var scripts embed.FS

// oldestNode is the first major version of Node.js that all of the clients run on.
const oldestNode = 20

// install makes a folder with the scripts and with the packages that the lock file names. It goes with the test.
func install(t *testing.T) string {
	t.Helper()
	if err := checkNode(); err != nil {
		missing(t, err)
	}
	folder := t.TempDir()
	if err := os.CopyFS(folder, scripts); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("npm", "ci", "--prefer-offline")
	c.Dir = folder
	if out, err := c.CombinedOutput(); err != nil {
		missing(t, fmt.Errorf("npm ci: %w: %s", err, out))
	}
	return folder
}

func checkNode() error {
	out, err := exec.Command("node", "--version").Output()
	if err != nil {
		return fmt.Errorf("Node.js: %w", err)
	}
	version := strings.TrimSpace(string(out)) // as in v20.19.2
	major, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < oldestNode {
		return fmt.Errorf("Node.js is %s, and the clients want %d or later", version, oldestNode)
	}
	return nil
}

// missing skips a test for what the machine lacks, unless nothing may be skipped.
func missing(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("PASSWORDLESS_TEST_REQUIRE") == "1" {
		t.Fatal(err)
	}
	t.Skip(err)
}

// npm must not be told where to fetch from: that is for whoever runs it to say.
func TestLockFileNamesNoRegistry(t *testing.T) {
	t.Parallel()
	lock, err := scripts.ReadFile("package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(lock), `"resolved"`) {
		t.Error("it does: npm install with the .npmrc of this folder makes one that does not")
	}
}
