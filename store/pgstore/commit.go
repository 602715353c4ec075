package pgstore

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

// Commit applies the batch, all or nothing, by one call of the function in schema/0003_commit.sql.
func (s *Store) Commit(ctx context.Context, now store.Instant, b store.Batch) (store.Levels, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("pgstore: commit: %w", err)
	}
	if err := b.Validate(); err != nil {
		return nil, err
	}
	answer, err := s.call(ctx, arguments(s.prefix, now, b))
	if err != nil {
		return nil, err
	}
	return outcome(answer, b)
}

// maxTries bounds how often a call is made that surely wrote nothing.
const maxTries = 4

// call calls the function. It tries again what surely wrote nothing and may pass, and what a transaction of its own makes
// right: see Store.begin.
func (s *Store) call(ctx context.Context, args []any) (string, error) {
	for try := 1; ; try++ {
		conn, err := s.db.Conn(ctx)
		if err != nil {
			if refused(err) && try < maxTries && pause(ctx, try) {
				continue
			}
			return "", unavailable(ctx, "commit", err)
		}
		answer, err := callOn(ctx, conn, s.begin.Load(), s.commit, args)
		switch {
		case err == nil:
			return answer, nil
		case otherIsolation(err) && try < maxTries:
			s.begin.Store(true)
		case rolledBack(err) && try < maxTries && pause(ctx, try):
		case wroteNothing(err):
			return "", unavailable(ctx, "commit", err)
		default:
			return "", uncertain(ctx, err)
		}
	}
}

// callOn calls the function on conn and gives that back. The answer counts only if Scan succeeds: the server sends it
// before it commits, and Scan waits for the end.
//
// The connection is asked for apart from the call, because sql.DB would repeat the call when an adapter says
// ErrBadConn, and lib/pq says that of calls that were sent.
func callOn(ctx context.Context, conn *sql.Conn, begin bool, statement string, args []any) (answer string, err error) {
	defer conn.Close()
	if begin {
		err = inTransaction(ctx, conn, func(tx *sql.Tx) error { return tx.QueryRowContext(ctx, statement, args...).Scan(&answer) })
		return answer, err
	}
	err = conn.QueryRowContext(ctx, statement, args...).Scan(&answer)
	return answer, err
}

// A beginner is an *sql.DB or *sql.Conn.
type beginner interface {
	BeginTx(ctx context.Context, opts *sql.TxOptions) (*sql.Tx, error)
}

// inTransaction runs f in a transaction under READ COMMITTED, whatever the default of the database is, and commits it
// unless f fails.
func inTransaction(ctx context.Context, db beginner, f func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		_ = tx.Rollback() // if that fails, the connection is gone, and the transaction with it
		return err
	}
	return tx.Commit()
}

// pause waits a moment, longer with each try. It returns false when ctx ended.
func pause(ctx context.Context, try int) bool {
	timer := time.NewTimer(5 * time.Millisecond << (2 * try))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// outcome turns the answer of the function into that of Commit.
func outcome(answer string, b store.Batch) (store.Levels, error) {
	word, rest, _ := strings.Cut(answer, " ")
	words := strings.Fields(rest)
	switch {
	case word == "done" && len(words) == len(b.Charges):
		return levels(words)
	case word == "limited" && len(words) == 3:
		return nil, limited(words[0], words[1], words[2], b.Charges)
	case word == "conflict" && len(words) > 0:
		return nil, conflict(words, b.Puts)
	}
	return nil, unreadable()
}

// unreadable is for an answer that this program does not understand. A newer function may have written.
func unreadable() error {
	return fmt.Errorf("pgstore: commit: read the function's answer: %w", store.ErrUncertain)
}

func limited(charge, window, wait string, charges []store.Charge) error {
	i, errCharge := strconv.Atoi(charge)
	w, errWindow := strconv.Atoi(window)
	micros, errWait := strconv.ParseInt(wait, 10, 64)
	if errCharge != nil || errWindow != nil || errWait != nil || i < 1 || i > len(charges) ||
		w < 1 || w > len(charges[i-1].Windows) {
		return unreadable()
	}
	return &store.LimitedError{
		Bucket:     charges[i-1].Bucket,
		Window:     w - 1,
		RetryAfter: time.Duration(micros) * time.Microsecond,
	}
}

func conflict(words []string, puts []store.Put) error {
	e := new(store.ConflictError)
	for _, word := range words {
		i, err := strconv.Atoi(word)
		if err != nil || i < 1 || i > len(puts) {
			return unreadable()
		}
		e.Keys = append(e.Keys, puts[i-1].Record.Key)
	}
	return e
}

// levels reads the states of the charged buckets.
func levels(words []string) (store.Levels, error) {
	if len(words) == 0 {
		return nil, nil
	}
	levels := make(store.Levels, len(words))
	for i, word := range words {
		for number := range strings.SplitSeq(strings.Trim(word, "{}"), ",") {
			n, err := strconv.ParseInt(number, 10, 64)
			if err != nil {
				return nil, unreadable()
			}
			levels[i] = append(levels[i], n)
		}
	}
	return levels, nil
}
