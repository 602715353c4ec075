// Package bench measures a whole sign-in by the library, a start and a verify with limits and
// a session, against the least that the same machine needs for such work in the same run:
//
//	make bench
//
// The two run in turns and the medians count. Absolute figures swing with the machine; the
// ratio is what to compare. On a machine that also holds the engine, client and server share its processors.
package bench_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/internal/thirdparty/servers"
	"github.com/seed62b93bad/passwordless/internal/thirdparty/stores"
	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/memstore"
	"github.com/seed62b93bad/passwordless/store/storetest"
)

const (
	rounds = 5
	turn   = time.Second
)

var clients = []int{1, 8, 32}

func BenchmarkMemory(b *testing.B) {
	for _, n := range clients {
		compare(b, n, memstore.New(), bareMap())
	}
}

func BenchmarkSQLite(b *testing.B) {
	for _, n := range clients {
		compare(b, n, stores.SQLite(b, 4), sqlitePair(b))
	}
}

func BenchmarkPostgreSQL(b *testing.B) {
	server := servers.StartPostgres(b)
	for _, n := range clients {
		url := server.Database(b)
		compare(b, n, stores.Postgres(b, url, n), postgresPair(b, url, n))
	}
}

func BenchmarkRedis(b *testing.B) {
	server := servers.StartRedis(b)
	for _, n := range clients {
		compare(b, n, stores.Redis(b, server.URL(), n), redisPair(b, server.URL(), n))
	}
}

// compare reports sign-ins a second, the least work a second, and their ratio.
func compare(b *testing.B, clients int, st store.Store, least func(context.Context, int64) error) {
	b.Run(fmt.Sprint("clients=", clients), func(b *testing.B) {
		counted := storetest.NewFaulty(st)
		flow := newFlow(b, counted)
		var flows, limits, ratios []float64
		var done float64
		before := counted.Trips()
		for range rounds {
			limit := rate(b, clients, least)
			ours := rate(b, clients, flow)
			done += ours.count
			flows, limits = append(flows, ours.perSecond), append(limits, limit.perSecond)
			ratios = append(ratios, ours.perSecond/limit.perSecond)
		}
		trips := counted.Trips().Sub(before)
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(median(flows), "flows/s")
		b.ReportMetric(median(limits), "limit/s")
		b.ReportMetric(median(ratios), "ratio")
		b.ReportMetric(float64(trips.Loads+trips.Commits)/done, "trips/flow")
	})
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

type speed struct{ count, perSecond float64 }

// rate lets many clients do something for a turn.
func rate(b *testing.B, clients int, do func(context.Context, int64) error) speed {
	b.Helper()
	var count atomic.Int64
	begin := time.Now()
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for time.Since(begin) < turn {
				if err := do(context.Background(), serial.Add(1)); err != nil {
					b.Error(err)
					return
				}
				count.Add(1)
			}
		})
	}
	all.Wait()
	return speed{float64(count.Load()), float64(count.Load()) / time.Since(begin).Seconds()}
}

// serial numbers what is done: each time another person.
var serial atomic.Int64

var here = passwordless.Caller{IP: netip.MustParseAddr("192.0.2.1")}

// newFlow returns a whole sign-in of a person whom the application knows, with a session.
func newFlow(b *testing.B, st store.Store) func(context.Context, int64) error {
	b.Helper()
	many := passwordless.Limit{Count: 1e6, Per: time.Second}
	codes := &mailbox{}
	s, err := passwordless.New(passwordless.Config{
		Issuer: "https://login.example.com/", AppName: "Example", Store: st, Sender: codes, Users: everybody{},
		Hasher:  passwordless.NewKeyring(passwordless.RandomKey(), passwordless.RingKey{ID: "k1", Secret: passwordless.RandomKey()}),
		Clients: passwordless.ClientList{{ID: "web", Public: true}},
		Policy:  passwordless.Policy{Limits: passwordless.LimitPolicy{Starts: []passwordless.Limit{many, many, many}, Guesses: many}},
		Timeout: -1,
	})
	if err != nil {
		b.Fatal(err)
	}
	return func(ctx context.Context, n int64) error {
		address := "u" + strconv.FormatInt(n, 10) + "@example.com"
		caller := here
		caller.IP = netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
		by, err := s.Public(ctx, "web", caller)
		if err != nil {
			return err
		}
		started, err := s.Start(ctx, by, passwordless.StartRequest{
			Channel: passwordless.Email, Address: passwordless.Address(address)})
		if err != nil {
			return err
		}
		_, err = s.Verify(ctx, by, passwordless.VerifyRequest{Handle: started.Handle, Code: codes.take(address),
			Issue: passwordless.Issue{Session: true}})
		return err
	}
}

// A mailbox keeps the code of each message until it is taken.
type mailbox struct{ codes sync.Map }

func (m *mailbox) Send(_ context.Context, sent passwordless.Message) error {
	m.codes.Store(sent.To.Reveal(), sent.Code)
	return nil
}

func (m *mailbox) take(address string) passwordless.Secret {
	code, _ := m.codes.LoadAndDelete(address)
	secret, _ := code.(passwordless.Secret)
	return secret
}

// everybody knows each address already.
type everybody struct{}

func (everybody) Find(_ context.Context, _ string, id passwordless.Identifier) (passwordless.User, error) {
	return passwordless.User{ID: string(id.Address), Email: id.Address, EmailVerified: true}, nil
}

func (everybody) Get(context.Context, string, string) (passwordless.User, error) {
	return passwordless.User{}, passwordless.ErrNoUser
}

func (everybody) Create(context.Context, string, passwordless.Identifier) (passwordless.User, error) {
	return passwordless.User{}, passwordless.ErrNoUser
}

func (everybody) ConfirmFirstProof(context.Context, string, string, passwordless.Identifier) (passwordless.User, error) {
	return passwordless.User{}, passwordless.ErrNoUser
}
