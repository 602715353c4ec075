package servers

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"
)

//go:embed testdata/slowdisk.c
var slowDiskSource []byte

// A SlowDisk is a disk whose fsync takes time. A test that kills a server on one sees what the server acknowledged
// before it was on the disk. It works on Linux, by a small library that is loaded before the server's own and built by the
// C compiler of this machine.
type SlowDisk struct {
	tb             testing.TB
	library, delay string // paths
}

// NewSlowDisk returns a disk that is not slow yet. Without what it needs the test is skipped with the reason, or fails if
// PASSWORDLESS_TEST_REQUIRE=1.
func NewSlowDisk(tb testing.TB) *SlowDisk {
	tb.Helper()
	if runtime.GOOS != "linux" {
		need(tb, fmt.Errorf("servers: slow disk: a way to slow fsync down on %s: %w", runtime.GOOS, errMissing))
	}
	cc, err := find([]string{"cc", "gcc", "clang"})
	need(tb, err)
	folder, err := os.MkdirTemp("", "passwordless-slowdisk-") //nolint:usetesting // others cannot enter that
	need(tb, err)
	tb.Cleanup(func() { _ = os.RemoveAll(folder) })
	need(tb, os.Chmod(folder, 0o755))
	source := filepath.Join(folder, "slowdisk.c")
	need(tb, os.WriteFile(source, slowDiskSource, 0o644))
	d := &SlowDisk{tb, filepath.Join(folder, "slowdisk.so"), filepath.Join(folder, "delay")}
	if out, err := exec.Command(cc, "-shared", "-fPIC", "-O1", "-o", d.library, source, "-ldl").CombinedOutput(); err != nil {
		need(tb, fmt.Errorf("servers: build the slow disk: %w: %s", err, out))
	}
	d.Slow(0)
	return d
}

// Slow makes every fsync that begins from now on take that much longer.
func (d *SlowDisk) Slow(by time.Duration) {
	d.tb.Helper()
	next := d.delay + ".next"
	need(d.tb, os.WriteFile(next, []byte(strconv.FormatInt(by.Milliseconds(), 10)), 0o644))
	need(d.tb, os.Rename(next, d.delay))
}

// environ is the environment of a server on the disk.
func (d *SlowDisk) environ() []string {
	return []string{"LD_PRELOAD=" + d.library, "SLOW_DISK=" + d.delay}
}
