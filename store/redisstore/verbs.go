package redisstore

import (
	"context"
	"encoding/base64"
	"errors"
	"strconv"

	"github.com/seed62b93bad/passwordless/store"
)

// Load returns one record per key, in the order of keys, all as they were at one instant.
func (s *Store) Load(ctx context.Context, now store.Instant, keys ...store.Key) ([]store.Record, error) {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = s.record(k)
	}
	reply, err := s.read(ctx, "load", s.load, names)
	if err != nil {
		return nil, err
	}
	if len(reply) != len(keys) {
		return nil, failed("load", store.ErrUnavailable, errReply)
	}
	records := make([]store.Record, len(keys))
	for i, k := range keys {
		records[i].Key = k
		if reply[i] == nil {
			continue
		}
		r, err := unpackRecord(k, text(reply[i]))
		if err != nil {
			return nil, failed("load", store.ErrUnavailable, err)
		}
		if now < r.Expires {
			records[i] = r
		}
	}
	return records, nil
}

// Commit applies the batch, all or nothing.
func (s *Store) Commit(ctx context.Context, now store.Instant, b store.Batch) (store.Levels, error) {
	if err := b.Validate(); err != nil {
		return nil, err
	}
	keys, args := s.packBatch(now, b)
	reply, err := s.run(ctx, verb{"commit", s.commit, store.ErrUncertain}, keys, args...)
	if err != nil {
		return nil, err
	}
	levels, err := unpackOutcome(b, reply)
	if errors.Is(err, errReply) {
		return nil, failed("commit", store.ErrUncertain, err)
	}
	return levels, err
}

// List returns records of an owner in the order of their names. Records without an owner are not listed. A cursor is
// the name of the last record of the page before.
func (s *Store) List(ctx context.Context, now store.Instant, kind store.Kind, page store.Page) ([]store.Record, string, error) {
	after, err := base64.RawURLEncoding.DecodeString(page.Cursor)
	if err != nil {
		return nil, "", errors.New("redisstore: list: not a cursor of this store")
	}
	first := s.record(store.Key{Kind: kind, Name: string(after)})
	reply, err := s.read(ctx, "list", s.list, []string{s.owned(kind, page.Owner)},
		digits(now), page.Owner, strconv.Itoa(page.Limit+1), first)
	if err != nil {
		return nil, "", err
	}
	records, err := unpackPage(s.record(store.Key{Kind: kind}), kind, reply)
	if err != nil {
		return nil, "", failed("list", store.ErrUnavailable, err)
	}
	if len(records) <= page.Limit {
		return records, "", nil
	}
	last := records[page.Limit-1].Key.Name
	return records[:page.Limit], base64.RawURLEncoding.EncodeToString([]byte(last)), nil
}

// sweepStep is about how many keys one script of Sweep looks at: other clients of Redis wait meanwhile, well under a
// millisecond.
const sweepStep = 500

// Sweep removes records that were expired, and buckets that were full, at now. It goes on where the last Sweep of s
// ended; unless it reaches the limit, it looks at every key of the database, in many short scripts. With an error it
// returns how many it removed until then.
//
// After its work it looks at the configuration of the server as Check does: its error matches [store.ErrMisconfigured] if
// that has become wrong since New.
func (s *Store) Sweep(ctx context.Context, now store.Instant, limit int) (int, error) {
	removed, err := s.remove(ctx, now, limit)
	_, wrong := s.inspect(ctx)
	if err == nil || errors.Is(wrong, store.ErrMisconfigured) {
		err = errors.Join(err, wrong)
	}
	return removed, err
}

// remove is Sweep without the look.
func (s *Store) remove(ctx context.Context, now store.Instant, limit int) (int, error) {
	cursor, removed := s.cursor.Load(), 0
	for whole := cursor == 0; ; {
		reply, err := s.read(ctx, "sweep", s.sweep, nil, digits(now), strconv.FormatUint(cursor, 10),
			s.prefix+"[rb]:*", strconv.Itoa(sweepStep), strconv.Itoa(limit-removed))
		if err != nil {
			return removed, err
		}
		if len(reply) != 2 || !within(reply[0], limit-removed+1) {
			return removed, failed("sweep", store.ErrUnavailable, errReply)
		}
		removed += int(number(reply[0]))
		cursor, _ = strconv.ParseUint(text(reply[1]), 10, 64) // at worst 0, the beginning
		s.cursor.Store(cursor)
		if removed == limit || cursor == 0 && whole {
			return removed, nil
		}
		whole = whole || cursor == 0
	}
}
