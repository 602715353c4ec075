package crash_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed62b93bad/passwordless/internal/thirdparty/servers"
	"github.com/seed62b93bad/passwordless/internal/thirdparty/stores"
)

// Redis on a disk that is slow: with appendfsync always no code that signed somebody in works again after a kill -9. With
// everysec Redis answers before it hands its writes to the system, and codes do work again: that row shows that the
// disk is slow enough for the other one to mean something.
func TestRedisKilledOnASlowDisk(t *testing.T) { // CG-7
	for _, row := range []struct {
		fsync string
		delay time.Duration
		keeps bool
	}{
		{"always", 20 * time.Millisecond, true},
		{"everysec", 30 * time.Second, false},
	} {
		t.Run(row.fsync, func(t *testing.T) {
			disk := servers.NewSlowDisk(t)
			server := servers.StartRedisOn(t, disk, "appendonly yes", "appendfsync "+row.fsync)
			s := newService(t, stores.Redis(t, server.URL(), 16))
			all := begin(t, s)
			disk.Slow(row.delay)
			if !row.keeps {
				waitForFsync(t, server)
			}
			var acknowledged atomic.Int64
			var load sync.WaitGroup
			for i := range 16 {
				load.Go(func() {
					for n := i; n < len(all); n += 16 {
						if all[n].guess(t.Context(), s, all[n].code) == nil {
							acknowledged.Add(1)
						}
					}
				})
			}
			load.Wait()
			server.Kill()
			disk.Slow(0)
			server.Restart()
			recovers(t, s, all[0])
			again := 0
			for _, p := range all[1:] {
				if p.guess(t.Context(), s, p.code) == nil {
					again++
				}
			}
			t.Logf("of %d codes that signed in, %d did so again", acknowledged.Load(), again)
			if acknowledged.Load() < people {
				t.Errorf("%d of %d codes signed in before the kill", acknowledged.Load(), people)
			}
			if row.keeps != (again == 0) {
				t.Errorf("%d codes signed in twice, want none: %v", again, row.keeps)
			}
		})
	}
}

// waitForFsync writes until Redis is at an fsync, which then lasts for as long as the disk says.
func waitForFsync(t *testing.T, server *servers.Redis) {
	t.Helper()
	client := stores.Client(t, server.URL(), 1)
	for end := time.Now().Add(time.Minute); ; {
		if err := client.Set(t.Context(), "unrelated", "", 0).Err(); err != nil {
			t.Fatal(err)
		}
		info, err := client.Info(t.Context(), "persistence").Result()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(info, "aof_pending_bio_fsync:1") {
			return
		}
		if time.Now().After(end) {
			t.Fatal("Redis does not sync its file")
		}
		time.Sleep(time.Millisecond)
	}
}
