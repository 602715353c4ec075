package redisstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

const (
	maxTries   = 3                      // at a script, if none of them runs it
	retryPause = 10 * time.Millisecond  // between them
	ctxGrace   = 100 * time.Millisecond // see explain
)

// A verb is what a script is run for.
type verb struct {
	name      string
	script    Script
	uncertain error // what it means that the script may have run, or not
}

// run runs the script of a verb, and runs it again while the error says that it did not run. Its error wraps ctx.Err()
// if ctx ended, else ErrUnavailable; or, also, v.uncertain instead, if the script may have run.
func (s *Store) run(ctx context.Context, v verb, keys []string, args ...any) ([]any, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("redisstore: %s: %w", v.name, err)
	}
	for try := 1; ; try++ {
		reply, err := v.script(ctx, keys, args...)
		list, ok := reply.([]any)
		switch {
		case err == nil && ok:
			return list, nil
		case err == nil:
			return nil, failed(v.name, v.uncertain, errReply)
		case try == maxTries || !didNotRun(err) || timedOut(err) || !pause(ctx, retryPause):
			return nil, explain(ctx, v.name, v.uncertain, err)
		}
	}
}

// read runs a script of which it does not matter whether it ran.
func (s *Store) read(ctx context.Context, name string, script Script, keys []string, args ...any) ([]any, error) {
	return s.run(ctx, verb{name, script, store.ErrUnavailable}, keys, args...)
}

// failed returns the error of a verb, which matches both what it means to the caller and the cause.
func failed(verb string, meaning, cause error) error {
	return fmt.Errorf("redisstore: %s: %w: %w", verb, meaning, cause)
}

// explain returns the error of a verb for that of its script.
func explain(ctx context.Context, verb string, uncertain, err error) error {
	meaning := uncertain
	if didNotRun(err) {
		meaning = store.ErrUnavailable
	}
	if _, limited := ctx.Deadline(); limited && timedOut(err) {
		// A connection with the deadline of ctx can time out just before ctx does.
		pause(ctx, ctxGrace)
	}
	switch ended := ctx.Err(); {
	case ended == nil:
		return failed(verb, meaning, err)
	case errors.Is(meaning, store.ErrUnavailable):
		return fmt.Errorf("redisstore: %s: %w", verb, ended)
	default:
		return failed(verb, meaning, ended)
	}
}

// pause waits, or returns false when ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// didNotRun tells whether the error of a Script proves that the script did not run.
func didNotRun(err error) bool {
	var network *net.OpError
	if errors.Is(err, store.ErrUnavailable) || errors.As(err, &network) && network.Op == "dial" {
		return true
	}
	for ; err != nil; err = errors.Unwrap(err) {
		if refusal(err.Error()) {
			return true
		}
	}
	return false
}

// refusals begin the error replies that Redis gives instead of running a script.
var refusals = []string{
	"BUSY ", "CLUSTERDOWN ", "LOADING ", "MASTERDOWN ", "MISCONF ", "NOAUTH ", "NOPERM ", "NOREPLICAS ", "NOSCRIPT ", "OOM ",
	"READONLY ", "TRYAGAIN ", "WRONGPASS ", "ERR max number of clients reached",
}

// refusal tells whether an error reply is one of them. A command within a script can fail with the same words after
// others have written; then the reply names the script.
func refusal(reply string) bool {
	return !strings.Contains(reply, " script: ") &&
		slices.ContainsFunc(refusals, func(start string) bool { return strings.HasPrefix(reply, start) })
}

func timedOut(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
