package redis_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/seed62b93bad/passwordless/internal/thirdparty/servers"
	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/redisstore"
)

// BenchmarkFlow runs, by turns, flows and pairs. A flow is a sign-in at the store alone:
// a start that charges two buckets of three windows and puts two records, and a verify
// that loads, charges two buckets and puts two records. A pair is two of the least
// scripts that could do it: SET, then GET and SET. Only their ratio can be compared
// between machines.
func BenchmarkFlow(b *testing.B) {
	server := servers.StartRedis(b)
	for _, clients := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			client := dial(b, server, func(o *redis.Options) { o.PoolSize = clients })
			st := open(b, client, volatile)
			callers := make([]*caller, clients)
			for i := range callers {
				callers[i] = newCaller(client, st)
			}
			rate(b, callers, (*caller).flow) // so that all keys are there
			rate(b, callers, (*caller).pair)
			var flows, pairs, ratios []float64
			for b.Loop() {
				flow, pair := rate(b, callers, (*caller).flow), rate(b, callers, (*caller).pair)
				flows, pairs, ratios = append(flows, flow), append(pairs, pair), append(ratios, flow/pair)
			}
			b.ReportMetric(median(flows), "flows/s")
			b.ReportMetric(median(pairs), "pairs/s")
			b.ReportMetric(median(ratios), "ratio")
		})
	}
}

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}

// rate returns how often a second the callers, all at once, do it.
func rate(b *testing.B, callers []*caller, do func(*caller) error) float64 {
	const round = 300 * time.Millisecond
	var all sync.WaitGroup
	counts := make([]int, len(callers))
	start := time.Now()
	for i, c := range callers {
		all.Go(func() {
			for time.Since(start) < round {
				if err := do(c); err != nil {
					b.Error(err)
					return
				}
				counts[i]++
			}
		})
	}
	all.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	return float64(total) / time.Since(start).Seconds()
}

// flowNow is where tests begin.
const flowNow = store.Instant(1_900_000_000_123_456_789)

// A caller signs in one person a second, of a thousand, so that what it finds under a name
// has expired, and Redis has as many keys at the end of a round as at its start.
type caller struct {
	client *redis.Client
	store  *redisstore.Store
	now    store.Instant
	names  [1000]string
	body   []byte
}

func newCaller(client *redis.Client, st *redisstore.Store) *caller {
	c := &caller{client: client, store: st, now: flowNow, body: make([]byte, 300)}
	for i := range c.names {
		c.names[i] = rand.Text()
	}
	return c
}

// next returns the name of the next second.
func (c *caller) next() string {
	c.now = c.now.Add(time.Second)
	return c.names[int(c.now/1e9)%len(c.names)]
}

func (c *caller) flow() error {
	ctx, name := context.Background(), c.next()
	challenge := c.put("challenge", name)
	start := store.Batch{
		Charges: []store.Charge{bucket("network", "192.0.2.1"), bucket("person", name)},
		Puts:    []store.Put{challenge, c.put("slot", name)},
	}
	if _, err := c.store.Commit(ctx, c.now, start); err != nil {
		return err
	}
	loaded, err := c.store.Load(ctx, c.now, challenge.Record.Key)
	if err != nil {
		return err
	}
	consumed := c.put("challenge", name)
	consumed.Was = loaded[0].Version
	verify := store.Batch{
		Charges: []store.Charge{bucket("guesses", name), bucket("network", "192.0.2.1")},
		Puts:    []store.Put{consumed, c.put("session", name)},
	}
	_, err = c.store.Commit(ctx, c.now, verify)
	return err
}

func (c *caller) put(kind store.Kind, name string) store.Put {
	p := store.Put{Record: store.Record{
		Key:     store.Key{Kind: kind, Name: name},
		Expires: c.now.Add(10 * time.Minute),
		Body:    c.body,
	}}
	rand.Read(p.Record.Version[:])
	return p
}

var (
	setScript = redis.NewScript(`return redis.call('SET', KEYS[1], ARGV[1])`)
	casScript = redis.NewScript(`if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2]) return 1`)
)

func (c *caller) pair() error {
	ctx, key := context.Background(), []string{c.next()}
	if err := setScript.Run(ctx, c.client, key, c.body).Err(); err != nil {
		return err
	}
	return casScript.Run(ctx, c.client, key, c.body, c.body).Err()
}
