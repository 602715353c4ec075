package linear_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/seed62b93bad/passwordless/store"
)

// The size of a round: small, so that the clients meet often and the search is short.
const (
	storeClients = 6
	storeCalls   = 20 // a client
	recordCount  = 3
	bucketCount  = 2
)

// t0 is the first now of a round.
const t0 = store.Instant(2_000_000_000_123_456_789)

// A state is what a store holds in a round. It is compared with ==.
type state struct {
	records [recordCount]entry
	buckets [bucketCount][2]int64
}

type entry struct {
	version store.Version
	expires store.Instant
}

// live returns the version of a record as of now.
func (s state) live(key int, now store.Instant) store.Version {
	if s.records[key].expires <= now {
		return store.Version{}
	}
	return s.records[key].version
}

// index is which of the round's records or buckets a key is.
func index(k store.Key) int { return int(k.Name[len(k.Name)-1]) }

// A loading is the input of a Load, with the versions that it found as its answer.
type loading struct {
	now  store.Instant
	keys []store.Key
}

type versions []store.Version

// A commit is the input of a Commit.
type commit struct {
	now   store.Instant
	batch store.Batch
}

// An outcome is the answer of a Commit.
type outcome struct {
	unknown   bool // it may or may not have been applied
	before    bool // it was applied before: levels say nothing
	levels    [][]int64
	refused   store.LimitedError
	conflicts []int
}

// apply is the contract of Commit.
func (s state) apply(c commit) (state, outcome) {
	for _, p := range c.batch.Puts {
		if s.records[index(p.Record.Key)].version == p.Record.Version {
			return s, outcome{before: true}
		}
	}
	next, levels := s, [][]int64(nil)
	for _, charge := range c.batch.Charges {
		i := index(charge.Bucket)
		full, err := charge.Take(c.now, s.buckets[i][:])
		var refused *store.LimitedError
		if errors.As(err, &refused) {
			return s, outcome{refused: *refused}
		}
		next.buckets[i] = [2]int64(full)
		levels = append(levels, full[:len(charge.Windows)])
	}
	var conflicts []int
	for _, p := range c.batch.Puts {
		if i := index(p.Record.Key); !p.Any && s.live(i, c.now) != p.Was {
			conflicts = append(conflicts, i)
		}
	}
	if conflicts != nil {
		slices.Sort(conflicts)
		return s, outcome{conflicts: conflicts}
	}
	return next.write(c.batch), outcome{levels: levels}
}

// write does what is left of a batch after its charges.
func (s state) write(b store.Batch) state {
	for _, back := range b.GiveBacks {
		i := index(back.Bucket)
		s.buckets[i] = [2]int64(back.Give(s.buckets[i][:]))
	}
	for _, p := range b.Puts {
		s.records[index(p.Record.Key)] = entry{p.Record.Version, p.Record.Expires}
	}
	for _, k := range b.Deletes {
		s.records[index(k)] = entry{}
	}
	return s
}

// is tells whether a store may give this answer where the model gives want.
func (o outcome) is(want outcome) bool {
	switch {
	case o.unknown:
		return true
	case o.refused != want.refused || !slices.Equal(o.conflicts, want.conflicts):
		return false
	case want.before:
		return true
	}
	return slices.EqualFunc(o.levels, want.levels, func(g, w []int64) bool {
		return len(g) >= len(w) && slices.Equal(g[:len(w)], w)
	})
}

var storeModel = porcupine.Model{
	Init: func() any { return state{} },
	Step: func(now, input, output any) (bool, any) {
		s := now.(state)
		if load, ok := input.(loading); ok {
			for i, k := range load.keys {
				if s.live(index(k), load.now) != output.(versions)[i] {
					return false, s
				}
			}
			return true, s
		}
		next, want := s.apply(input.(commit))
		return output.(outcome).is(want), next
	},
	DescribeOperation: describe,
}

func describe(input, output any) string { return fmt.Sprintf("%v -> %v", input, output) }

// storeRounds returns an error if the calls of a round on two instances of a store could not have
// happened one after another, or one of them answered what the contract does not know.
func storeRounds(rounds int, a, b store.Store) error {
	for range rounds {
		r := newRound(a, b)
		parallel(storeClients, r.run)
		if err := r.verdict(storeModel); err != nil {
			return err
		}
	}
	return nil
}

// A round is some clients at the same few records and buckets, which no other round has.
type round struct {
	recorder
	stores  [2]store.Store
	records []store.Key
	buckets []store.Charge // with a cost of 0
}

func newRound(a, b store.Store) *round {
	r := &round{stores: [2]store.Store{a, b}}
	var salt [8]byte
	rand.Read(salt[:])
	key := func(kind store.Kind, i int) store.Key {
		return store.Key{Kind: kind, Name: string(append(salt[:], byte(i)))}
	}
	for i := range recordCount {
		r.records = append(r.records, key("linear", i))
	}
	for i := range bucketCount {
		r.buckets = append(r.buckets, store.Charge{Bucket: key("linear", i), Durable: i == 0,
			Windows: []store.Window{{Burst: 6, Every: time.Hour}, {Burst: 20, Every: 10 * time.Minute}}})
	}
	return r
}

// run is one client.
func (r *round) run(client int) {
	c := &storeClient{round: r, id: client, store: r.stores[client%2]}
	for range storeCalls {
		switch mathrand.IntN(8) {
		case 0, 1, 2:
			c.load()
		case 3:
			c.again()
		default:
			c.commit(commit{now(), c.batch()})
		}
	}
}

// A storeClient remembers what it saw last.
type storeClient struct {
	*round
	id    int
	store store.Store
	seen  [recordCount]store.Version
	last  commit
}

// now returns an instant at which some of the records are expired.
func now() store.Instant { return t0.Add(time.Duration(mathrand.IntN(3)) * 30 * time.Minute) }

// ctx returns a context, now and then one that ends in the middle of the call.
func ctx() (context.Context, context.CancelFunc) {
	limit := time.Minute
	if mathrand.IntN(25) == 0 {
		limit = time.Duration(mathrand.IntN(int(2 * time.Millisecond)))
	}
	return context.WithTimeout(context.Background(), limit)
}

func (c *storeClient) load() {
	input := loading{now: now()}
	for range 1 + mathrand.IntN(recordCount) {
		input.keys = append(input.keys, c.records[mathrand.IntN(recordCount)])
	}
	c.call(c.id, input, func() (any, bool, error) {
		ctx, cancel := ctx()
		defer cancel()
		loaded, err := c.store.Load(ctx, input.now, input.keys...)
		if err != nil {
			return nil, true, unlessExpected(err)
		}
		found := make(versions, len(loaded))
		for i, r := range loaded {
			found[i] = r.Version
			c.seen[index(r.Key)] = r.Version
			if r.Version != (store.Version{}) && string(r.Body) != body(r.Version) {
				err = errors.New("a record has the version of one write and the body of another")
			}
		}
		return found, true, err
	})
}

// body is what is written with a version.
func body(v store.Version) string { return fmt.Sprintf("body of %x", v) }

// unlessExpected returns the errors that a store must not answer.
func unlessExpected(err error) error {
	for _, expected := range []error{store.ErrUnavailable, store.ErrUncertain, context.DeadlineExceeded} {
		if errors.Is(err, expected) {
			return nil
		}
	}
	return err
}

// batch puts some records over what the client saw last, or just any; charges some buckets,
// and now and then gives back or deletes.
func (c *storeClient) batch() (b store.Batch) {
	for i, k := range c.records {
		switch n := mathrand.IntN(16); {
		case n < 6:
			r := store.Record{Key: k, Expires: t0.Add(time.Duration(1+mathrand.IntN(3)) * 30 * time.Minute)}
			rand.Read(r.Version[:])
			r.Body = []byte(body(r.Version))
			b.Puts = append(b.Puts, store.Put{Record: r, Was: c.seen[i], Any: n == 0})
		case n == 6:
			b.Deletes = append(b.Deletes, k)
		}
	}
	for _, bucket := range c.buckets {
		if mathrand.IntN(4) == 0 {
			charge := costs(bucket)
			charge.Look = mathrand.IntN(4) == 0
			b.Charges = append(b.Charges, charge)
		}
		if mathrand.IntN(8) == 0 {
			b.GiveBacks = append(b.GiveBacks, costs(bucket))
		}
	}
	return b
}

// costs returns the charge with costs.
func costs(c store.Charge) store.Charge {
	c.Windows = slices.Clone(c.Windows)
	for i := range c.Windows {
		c.Windows[i].Cost = mathrand.Int64N(3)
	}
	return c
}

// again repeats the last commit, as after a lost answer. It must have puts by which the
// store can know it.
func (c *storeClient) again() {
	lost := func(p store.Put) bool { return p.Record.Expires <= c.last.now }
	if puts := c.last.batch.Puts; len(puts) > 0 && !slices.ContainsFunc(puts, lost) {
		c.commit(c.last)
	}
}

func (c *storeClient) commit(input commit) {
	b := input.batch
	c.last = input
	c.call(c.id, input, func() (any, bool, error) {
		ctx, cancel := ctx()
		defer cancel()
		levels, err := c.store.Commit(ctx, input.now, b)
		answer, err := judge(levels, err)
		if err != nil || answer == nil {
			return nil, true, err
		}
		for _, p := range b.Puts {
			if answer.conflicts == nil && answer.refused == (store.LimitedError{}) {
				c.seen[index(p.Record.Key)] = p.Record.Version
			}
		}
		return *answer, !answer.unknown, nil
	})
}

// judge returns the answer of a Commit, nil if it wrote nothing and said nothing, or the error
// that it must not answer.
func judge(levels store.Levels, err error) (*outcome, error) {
	var refused *store.LimitedError
	var conflict *store.ConflictError
	switch {
	case err == nil:
		return &outcome{levels: levels}, nil
	case errors.As(err, &refused):
		return &outcome{refused: *refused}, nil
	case errors.As(err, &conflict):
		answer := &outcome{}
		for _, k := range conflict.Keys {
			answer.conflicts = append(answer.conflicts, index(k))
		}
		slices.Sort(answer.conflicts)
		return answer, nil
	case errors.Is(err, store.ErrUnavailable):
		return nil, nil
	}
	return &outcome{unknown: true}, unlessExpected(err)
}
