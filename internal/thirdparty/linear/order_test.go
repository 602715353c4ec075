// Package linear_test checks that what several callers of a Store, or of Services on it, saw
// at once could have happened one after another, in an order that agrees with real time.
//
// It runs real calls, notes when each began and ended and what it answered, and searches
// for such an order, in which a sequential model gives the same answers.
package linear_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/seed62b93bad/passwordless/store"
)

// checkStore runs six clients on two instances of a store, round after round for two seconds or
// so, and ends the test if the calls of a round could not have happened one after another.
// What else is stored does not matter.
func checkStore(tb testing.TB, a, b store.Store) {
	tb.Helper()
	check(tb, func() error { return storeRounds(1, a, b) })
}

// checkService does the same for the calls that finish a challenge, on two Services of one
// configuration.
func checkService(tb testing.TB, a, b store.Store) {
	tb.Helper()
	check(tb, func() error { return serviceRounds(1, a, b) })
}

// check runs 20 rounds, but after two seconds no more than five.
func check(tb testing.TB, round func() error) {
	tb.Helper()
	most, least, begin := 20, 5, time.Now()
	if testing.Short() {
		most, least = 4, 2
	}
	for i := range most {
		if i >= least && time.Since(begin) > 2*time.Second {
			return
		}
		if err := round(); err != nil {
			tb.Fatal(err)
		}
	}
}

// forEver is when a call returns whose outcome is not known: it may be applied late, or
// never, which is as good as after everything else.
const forEver = math.MaxInt64

// patience bounds the search for an order. It takes milliseconds.
const patience = 20 * time.Second

// A recorder notes calls. It is safe for concurrent use; the zero value is empty.
type recorder struct {
	time atomic.Int64 // a count: its order is that of real time, and no two are equal

	mu  sync.Mutex // guards all below
	all []porcupine.Operation
	bad []error // answers that no model is needed for
}

// call makes a call and notes it. The answer tells itself whether its outcome is known; a
// nil answer says that nothing happened and there is nothing to note.
func (r *recorder) call(client int, input any, call func() (answer any, known bool, err error)) {
	began := r.time.Add(1)
	answer, known, err := call()
	ended := r.time.Add(1)
	if !known {
		ended = forEver
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.bad = append(r.bad, err)
	}
	if answer != nil {
		r.all = append(r.all, porcupine.Operation{ClientId: client, Input: input, Call: began, Output: answer, Return: ended})
	}
}

// verdict tells whether the calls could have happened one after another as the model says.
func (r *recorder) verdict(model porcupine.Model) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.bad) > 0 {
		return fmt.Errorf("linear: %w", r.bad[0])
	}
	result, info := porcupine.CheckOperationsVerbose(model, r.all, patience)
	switch result {
	case porcupine.Ok:
		return nil
	case porcupine.Unknown:
		return fmt.Errorf("linear: no order of %d calls found within %v, and no proof that there is none", len(r.all), patience)
	}
	return fmt.Errorf("linear: %d calls could not have happened one after another.\n%s", len(r.all), explain(model, r.all, info))
}

// explain lists the calls in the order of the longest stretch that can be explained, and
// then the others.
func explain(model porcupine.Model, all []porcupine.Operation, info porcupine.LinearizationInfo) string {
	var longest []porcupine.Operation
	for _, partition := range info.PartialLinearizationsOperations() {
		for _, stretch := range partition {
			if len(stretch) > len(longest) {
				longest = stretch
			}
		}
	}
	placed := map[int64]bool{}
	var text strings.Builder
	line := func(op porcupine.Operation) {
		what := model.DescribeOperation(op.Input, op.Output)
		fmt.Fprintf(&text, "  client %d, %d to %d: %s\n", op.ClientId, op.Call, op.Return, what)
	}
	text.WriteString("These could, in this order:\n")
	for _, op := range longest {
		placed[op.Call] = true
		line(op)
	}
	text.WriteString("These then could not:\n")
	slices.SortFunc(all, func(x, y porcupine.Operation) int { return cmp.Compare(x.Call, y.Call) })
	for _, op := range all {
		if !placed[op.Call] {
			line(op)
		}
	}
	return text.String()
}

// parallel calls f with 0 to n-1 at once and returns when all are done.
func parallel(n int, f func(client int)) {
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	all.Wait()
}
