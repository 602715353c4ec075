package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/seed62b93bad/passwordless/store"
)

// Commit applies the batch, all or nothing, in one transaction of the only writer: it checks everything, then writes.
func (s *Store) Commit(ctx context.Context, now store.Instant, b store.Batch) (levels store.Levels, err error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("sqlitestore: commit: %w", err)
	}
	if err := b.Validate(); err != nil {
		return nil, err
	}
	err = s.write(ctx, "commit", func(tx *sql.Tx) error {
		levels, err = s.apply(tx, now, b)
		return err
	})
	if err != nil {
		return nil, err
	}
	return levels, nil
}

// apply does the steps of the contract in their order. An error undoes them.
func (s *Store) apply(tx *sql.Tx, now store.Instant, b store.Batch) (store.Levels, error) {
	applied, conflicts, err := s.check(tx, now, b.Puts)
	if err != nil {
		return nil, err
	}
	if applied {
		return s.levels(tx, b.Charges)
	}
	levels, err := s.take(tx, now, b.Charges)
	if err != nil {
		return nil, err
	}
	if conflicts != nil {
		return nil, &store.ConflictError{Keys: conflicts}
	}
	return levels, s.store(tx, b, levels)
}

// check tells whether a put finds its own version, and the keys whose records are not as the puts demand.
func (s *Store) check(tx *sql.Tx, now store.Instant, puts []store.Put) (applied bool, conflicts []store.Key, err error) {
	for _, p := range puts {
		var found []byte
		var expires store.Instant
		err := tx.Stmt(s.commit.version).QueryRow(column(p.Record.Key)).Scan(&found, &expires)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return false, nil, err
		}
		var was, live store.Version
		copy(was[:], found)
		if was == p.Record.Version {
			return true, nil, nil
		}
		if now < expires {
			live = was
		}
		if !p.Any && live != p.Was {
			conflicts = append(conflicts, p.Record.Key)
		}
	}
	return false, conflicts, nil
}

// levels returns the states of the buckets, without charging them.
func (s *Store) levels(tx *sql.Tx, charges []store.Charge) (store.Levels, error) {
	levels := make(store.Levels, len(charges))
	for i, c := range charges {
		state, err := s.state(tx, c.Bucket)
		if err != nil {
			return nil, err
		}
		levels[i] = append(state, make([]int64, max(0, len(c.Windows)-len(state)))...)
	}
	return levels, nil
}

// take returns the next states of the charged buckets, or the first refusal.
func (s *Store) take(tx *sql.Tx, now store.Instant, charges []store.Charge) (store.Levels, error) {
	var levels store.Levels
	for _, c := range charges {
		state, err := s.state(tx, c.Bucket)
		if err != nil {
			return nil, err
		}
		next, err := c.Take(now, state)
		if err != nil {
			return nil, err
		}
		levels = append(levels, next)
	}
	return levels, nil
}

// state returns the numbers of a bucket, nil if it is not there.
func (s *Store) state(tx *sql.Tx, bucket store.Key) ([]int64, error) {
	var stored []byte
	err := tx.Stmt(s.commit.bucket).QueryRow(column(bucket)).Scan(&stored)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	var state []int64
	for ; len(stored) >= 8; stored = stored[8:] {
		state = append(state, int64(binary.BigEndian.Uint64(stored)))
	}
	return state, nil
}

// store writes a batch that passed all checks. Levels are the next states of its charges.
func (s *Store) store(tx *sql.Tx, b store.Batch, levels store.Levels) error {
	for i, c := range b.Charges {
		if c.Look {
			continue
		}
		if err := s.fill(tx, c.Bucket, levels[i]); err != nil {
			return err
		}
	}
	for _, c := range b.GiveBacks {
		state, err := s.state(tx, c.Bucket)
		if err == nil && state != nil { // what is not there is full
			err = s.fill(tx, c.Bucket, c.Give(state))
		}
		if err != nil {
			return err
		}
	}
	for _, p := range b.Puts {
		r := p.Record
		_, err := tx.Stmt(s.commit.put).Exec(column(r.Key), r.Version[:], int64(r.Expires), blob(r.Owner), blob(string(r.Body)))
		if err != nil {
			return err
		}
	}
	for _, k := range b.Deletes {
		if _, err := tx.Stmt(s.commit.delete).Exec(column(k)); err != nil {
			return err
		}
	}
	return nil
}

// blob returns b as a value that is not NULL when it is empty.
func blob(b string) []byte { return append([]byte{}, b...) }

// fill stores the state of a bucket.
func (s *Store) fill(tx *sql.Tx, bucket store.Key, state []int64) error {
	var stored []byte
	for _, n := range state {
		stored = binary.BigEndian.AppendUint64(stored, uint64(n))
	}
	_, err := tx.Stmt(s.commit.fill).Exec(column(bucket), stored, slices.Max(state))
	return err
}

// maxTries bounds how often a transaction is tried that found the file locked, each time for as long as the busy timeout.
const maxTries = 3

// write runs f in a transaction that holds the lock of the writer, and returns its error as the contract calls it. If f
// fails, nothing was written.
func (s *Store) write(ctx context.Context, verb string, f func(*sql.Tx) error) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return fmt.Errorf("sqlitestore: %s: %w", verb, ctx.Err())
	}
	var err error
	for range maxTries {
		if err = s.try(ctx, f); !busy(err) || ctx.Err() != nil {
			break
		}
	}
	var limited *store.LimitedError
	switch {
	case err == nil, errors.As(err, &limited), errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrUncertain):
		return err
	}
	return unavailable(ctx, verb, err)
}

// try runs f in a transaction. Once that has begun, it does not look at ctx: what is interrupted in the middle is
// harder to tell about.
func (s *Store) try(ctx context.Context, f func(*sql.Tx) error) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	tx, err := conn.BeginTx(context.WithoutCancel(ctx), nil)
	if err != nil {
		return err
	}
	_, err = tx.Stmt(s.commit.lock).Exec()
	if err == nil {
		err = f(tx)
	}
	if err == nil {
		return commitFailed(conn, tx.Commit())
	}
	if tx.Rollback() != nil {
		giveUp(conn) // with the transaction that is left in it
	}
	return err
}
