package limit_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless/internal/limit"
	"github.com/seed62b93bad/passwordless/store"
)

const (
	day   = 24 * time.Hour
	began = store.Instant(1_700_000_000 * time.Second)
)

// policy is one whose numbers are all different.
func policy() limit.Policy {
	return limit.Policy{
		EmailSends: []limit.Limit{{Count: 3, Per: 10 * time.Minute}, {Count: 5, Per: time.Hour}, {Count: 20, Per: day}},
		SMSSends:   []limit.Limit{{Count: 4, Per: 10 * time.Minute}, {Count: 10, Per: day}},
		Starts:     []limit.Limit{{Count: 2, Per: time.Minute}, {Count: 30, Per: time.Hour}},
		Guesses:    limit.Limit{Count: 31, Per: 5 * time.Minute}, Failures: limit.Limit{Count: 10_000, Per: day},
		SMSPrefix: limit.Limit{Count: 11, Per: time.Hour}, SMSUnverified: limit.Limit{Count: 32, Per: day},
		SMSCountry: limit.Limit{Count: 500, Per: day}, SMSEveryone: limit.Limit{Count: 5_000, Per: day},
	}
}

// The subjects of an e-mail and of a text message.
var (
	mail = limit.Subject{Person: "alice", Network: "net", Device: "cookie", Stripe: 3}
	text = limit.Subject{Person: "alice", Network: "net", Device: "cookie", Stripe: 3, Prefix: "prefix", Country: 46}
)

// refusal is that of a bucket.
func refusal(kind store.Kind) *store.LimitedError {
	return &store.LimitedError{Bucket: store.Key{Kind: kind, Name: "x"}, RetryAfter: time.Minute}
}

// eased is the plan after refusals, each of which must ease it.
func eased(t *testing.T, p limit.Plan, kinds ...store.Kind) limit.Plan {
	t.Helper()
	for _, k := range kinds {
		require.True(t, p.Ease(refusal(k)), k)
	}
	return p
}

// words tell what a list of charges takes: the kind, the name, the cost of each window, "?" if it only looks, "!" if it is
// durable.
func words(charges []store.Charge) (all []string) {
	for _, c := range charges {
		var costs []string
		for _, w := range c.Windows {
			costs = append(costs, fmt.Sprint(w.Cost))
		}
		word := fmt.Sprintf("%s %s %s", c.Bucket.Kind, c.Bucket.Name, strings.Join(costs, "+"))
		if c.Look {
			word += "?"
		}
		if c.Durable {
			word += "!"
		}
		all = append(all, word)
	}
	return all
}

// A bank keeps buckets as the contract of stores says.
type bank map[store.Key][]int64

// commit applies a batch's charges, all or nothing, and then what it gives back.
func (b bank) commit(t *testing.T, now store.Instant, batch store.Batch) *store.LimitedError {
	t.Helper()
	limit.Sort(&batch)
	require.NoError(t, batch.Validate())
	next := bank{}
	for _, c := range batch.Charges {
		full, err := c.Take(now, b[c.Bucket])
		var limited *store.LimitedError
		if errors.As(err, &limited) {
			return limited
		}
		require.NoError(t, err)
		if !c.Look {
			next[c.Bucket] = full
		}
	}
	maps.Copy(b, next)
	for _, c := range batch.GiveBacks {
		b[c.Bucket] = c.Give(b[c.Bucket])
	}
	return nil
}

// call commits what decide puts into a batch, and decides it again for as long as the plan allows. It returns the plan of the
// last try, and the refusal if there is one.
func (b bank) call(
	t *testing.T, now store.Instant, p limit.Plan, decide func(*store.Batch, limit.Plan),
) (limit.Plan, *store.LimitedError) {
	t.Helper()
	for range limit.Easings + 1 {
		var batch store.Batch
		decide(&batch, p)
		limited := b.commit(t, now, batch)
		if limited == nil {
			return p, nil
		}
		if !p.Ease(limited) {
			return p, p.Final(limited)
		}
	}
	require.Fail(t, "eased more often than can be")
	return p, nil
}
