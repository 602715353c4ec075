// Package store is the contract between package passwordless and whatever keeps its data. It is all that the author of
// a driver needs.
//
// The contract is the comment on [Store]. Package storetest checks it.
package store

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// An Instant is a point in time in Unix nanoseconds. Instants reach a [Store] in this form because a database's own
// time type would round them.
type Instant int64

// Never is the expiry of a record that does not expire.
const Never Instant = math.MaxInt64

// InstantOf returns t as an Instant.
func InstantOf(t time.Time) Instant { return Instant(t.UnixNano()) }

// Time returns i in UTC.
func (i Instant) Time() time.Time { return time.Unix(0, int64(i)).UTC() }

// Add returns i moved by d.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d) }

// Micros returns i in whole Unix microseconds, rounded down: the unit of the bucket arithmetic (see [Charge]).
func (i Instant) Micros() int64 { return int64(i) / 1000 }

// A Kind is a family of records or of buckets: one to sixteen bytes out of a-z and '-'. Records and buckets of the same
// kind and name are unrelated.
type Kind string

// A Key names one record or one bucket. Name holds 1 to 64 arbitrary bytes, not text.
type Key struct {
	Kind Kind
	Name string
}

// String returns the key for logs: the kind, and a shortened name in hex.
func (k Key) String() string {
	name := k.Name
	if len(name) > 6 {
		name = name[:6]
	}
	return fmt.Sprintf("%s/%x", k.Kind, name)
}

// Compare orders keys by kind, then by name, byte by byte.
func (k Key) Compare(other Key) int {
	if c := strings.Compare(string(k.Kind), string(other.Kind)); c != 0 {
		return c
	}
	return strings.Compare(k.Name, other.Name)
}

// A Version identifies one write of one record: 16 random bytes, drawn by the caller of Commit for each [Put], compared
// for equality only and never used twice. The zero Version means that there is no record.
type Version [16]byte

// A Record is what a Store remembers under a key.
type Record struct {
	Key     Key
	Version Version // of the write that made it; zero: there is no such record
	Expires Instant // expired at every now >= Expires
	Owner   string  // what List lists by: at most 64 arbitrary bytes; "" for none
	Body    []byte  // opaque, at most MaxBody bytes
}

// Exists reports whether there is such a record.
func (r Record) Exists() bool { return r.Version != Version{} }

// MaxBody is the largest Body of a record, in bytes.
const MaxBody = 64 << 10

// A Put writes one record.
type Put struct {
	// Record is written as a whole. Its Version must be fresh; its Expires may be past, which leaves the key absent.
	Record Record
	// Was is the version that the record must have before the write. The zero Version demands that there is none, or only
	// one expired at now.
	Was Version
	// Any writes whatever was there; Was is not looked at.
	Any bool
	// Stage is when an engine that cannot apply the batch as one applies this put. Either all puts of a batch have one or
	// none has.
	Stage Stage
}

// A Stage orders the puts of a batch for engines that spread records over shards, and so cannot apply a batch as one.
// They apply a staged batch in this order: charges; claims, revocations and deletes; the deciding put; grants. The
// first step that is refused ends the commit: no later step is applied, and what the earlier steps wrote may stay. An
// engine that applies a batch as one ignores stages.
//
// A staged batch has at most one deciding put. After [ErrUncertain] a repeated commit of a staged batch is recognised
// by its deciding put, whatever has become of its other records. A batch may lack any stage.
type Stage uint8

// The stages; there are no others. Claims and revocations come first, in any order among themselves.
const (
	Unstaged    Stage = iota
	StageClaim        // takes a name that nobody else may have, or that may be used once
	StageRevoke       // ends what was granted before
	StageDecide       // decides whether the batch counts
	StageGrant        // gives what is worth nothing without the decision
)

// A Batch is what one Commit does, all or nothing. The caller owns it and the slices in it; a Store must not keep or change
// them after Commit returned. A batch that may be committed again when its outcome is not known has at least one put.
//
// No two charges name the same bucket, no two give-backs, no two puts or deletes the same record. A bucket may be
// charged and given back to in one batch.
type Batch struct {
	Charges   []Charge // in the order of their buckets' keys
	GiveBacks []Charge // likewise; Look is not set
	Puts      []Put    // in the order of their stages, if they have any
	Deletes   []Key    // deleting what is not there is not an error
}

// Levels tells, for each charge of a batch in its order, how full its bucket is: for each window what [Charge.Take] returned,
// before any give-back. For a batch that was applied before, it tells the buckets as they are. It belongs to the caller.
type Levels [][]int64

// A Page says which records [Store.List] returns. The caller keeps to the bounds; a page that breaks them, or has a
// cursor that this List did not return, may be an error or empty.
type Page struct {
	Owner  string // of the records: 1 to 64 bytes
	Limit  int    // of their number: 1 to 1000
	Cursor string // "" for the first page, then what List returned with the page before
}

// A Store remembers records and buckets. Implementations translate; they decide nothing. Package storetest checks every
// sentence below.
//
// A Store is safe for concurrent use by several goroutines and, if it is backed by a server, by several processes.
//
// The instant now is the caller's. An implementation MUST NOT read a clock to decide what is expired or how full a
// bucket is. It may let its engine remove what has been expired for at least a day.
//
// Errors: what the contract names below; an error that wraps ctx.Err() when ctx ended; [ErrUnavailable], wrapped, when
// the engine could not be reached or failed and nothing was written; [ErrUncertain], wrapped, when a Commit may or may
// not have been applied; [ErrMisconfigured], wrapped, when the engine is not set up for this. No error text holds a
// name, an owner or a body.
//
// A Store that was told to accept an engine which keeps less than the driver asks for has a method Deviations() []string
// that names each such choice (see [Deviations]).
type Store interface {
	// Load returns one record per key, in the order of keys, as one commit or the next left them; keys may repeat. A
	// record that is absent or expired at now has the zero Version, its Key, and nothing else. Load sees every commit that
	// returned before it began: it reads the primary, never a replica. The records belong to the caller.
	Load(ctx context.Context, now Instant, keys ...Key) ([]Record, error)

	// Commit applies the batch, all or nothing, in this order:
	//
	//  1. A batch that Batch.Validate refuses is refused with its error.
	//  2. If a put finds its own Version already there, the batch was applied before and its answer was lost: Commit
	//     reports success, writes nothing and charges nothing again.
	//  3. Charges. If Charge.Take refuses one, Commit returns its *LimitedError and writes nothing. Of several refused
	//     charges it reports the first.
	//  4. Conditions. If the record of a put is not what Was demands, Commit returns a *ConflictError that names every
	//     such key, and writes nothing.
	//  5. Charges and then give-backs are stored, puts written, deletes done.
	//
	// Commits are serializable: concurrent ones behave as if run one after another, in an order that agrees with real
	// time. When Commit has returned nil, the puts, deletes and durable charges survive a crash of the process and, as the
	// driver's documentation says, of the engine.
	//
	// An implementation retries, a few times, only what surely wrote nothing (a deadlock, a serialization failure, a
	// refused connection). The caller retries conflicts.
	Commit(ctx context.Context, now Instant, b Batch) (Levels, error)

	// List returns records of the kind and of the page's owner that are not expired at now, at most the page's limit and
	// in no particular order, and the cursor of the next page, "" after the last. It is for display: records that are
	// written while a caller pages may be missed or repeated; all others appear exactly once.
	List(ctx context.Context, now Instant, kind Kind, page Page) ([]Record, string, error)

	// Sweep removes at most limit (1 or more) records and buckets, of those that were expired, or full again, at now, and
	// returns how many it removed. A return below limit means that little is left. It never blocks a concurrent Commit for
	// long. The application schedules it. It may look at the settings of the engine again, and then returns an error
	// that matches [ErrMisconfigured], and how many it removed all the same.
	Sweep(ctx context.Context, now Instant, limit int) (int, error)
}

// Validate tells whether the batch keeps to the contract. Its error matches ErrInvalidBatch. It does not allocate when
// all is well.
func (b Batch) Validate() error {
	for i, c := range b.Charges {
		if err := c.validate(); err != nil {
			return err
		}
		if i > 0 && b.Charges[i-1].Bucket.Compare(c.Bucket) >= 0 {
			return fmt.Errorf("%w: charges not in the order of their buckets, or one twice", ErrInvalidBatch)
		}
	}
	for i, c := range b.GiveBacks {
		if err := c.validate(); err != nil {
			return err
		}
		if c.Look {
			return fmt.Errorf("%w: a give-back that only looks", ErrInvalidBatch)
		}
		if i > 0 && b.GiveBacks[i-1].Bucket.Compare(c.Bucket) >= 0 {
			return fmt.Errorf("%w: give-backs not in the order of their buckets, or one twice", ErrInvalidBatch)
		}
	}
	return b.validateRecords()
}

// validateStages checks that the puts are in the order of their stages.
func (b Batch) validateStages() error {
	for i := range b.Puts {
		stage := b.Puts[i].Stage
		if stage > StageGrant {
			return fmt.Errorf("%w: put of an unknown stage", ErrInvalidBatch)
		}
		if i == 0 {
			continue
		}
		switch before := b.Puts[i-1].Stage; {
		case (before == Unstaged) != (stage == Unstaged):
			return fmt.Errorf("%w: some puts have a stage and others none", ErrInvalidBatch)
		case before == StageDecide && stage == StageDecide:
			return fmt.Errorf("%w: two deciding puts", ErrInvalidBatch)
		case max(before, StageRevoke) > max(stage, StageRevoke):
			return fmt.Errorf("%w: puts not in the order of their stages", ErrInvalidBatch)
		}
	}
	return nil
}

// validateRecords checks puts and deletes.
func (b Batch) validateRecords() error {
	if err := b.validateStages(); err != nil {
		return err
	}
	for i, p := range b.Puts {
		if err := p.validate(); err != nil {
			return err
		}
		for _, other := range b.Puts[:i] {
			if other.Record.Key == p.Record.Key {
				return fmt.Errorf("%w: two puts of one record", ErrInvalidBatch)
			}
		}
	}
	for i, k := range b.Deletes {
		if err := k.validate(); err != nil {
			return err
		}
		if slices.Contains(b.Deletes[:i], k) {
			return fmt.Errorf("%w: two deletes of one record", ErrInvalidBatch)
		}
		for _, p := range b.Puts {
			if p.Record.Key == k {
				return fmt.Errorf("%w: put and delete of one record", ErrInvalidBatch)
			}
		}
	}
	return nil
}

func (p Put) validate() error {
	r := p.Record
	switch {
	case r.Version == Version{}:
		return fmt.Errorf("%w: put without a version", ErrInvalidBatch)
	case r.Version == p.Was:
		return fmt.Errorf("%w: put of the version that it replaces", ErrInvalidBatch)
	case len(r.Owner) > 64:
		return fmt.Errorf("%w: owner over 64 bytes", ErrInvalidBatch)
	case len(r.Body) > MaxBody:
		return fmt.Errorf("%w: body over %d bytes", ErrInvalidBatch, MaxBody)
	case r.Expires < 0:
		return fmt.Errorf("%w: expiry before 1970", ErrInvalidBatch)
	}
	return r.Key.validate()
}

func (k Key) validate() error {
	if len(k.Name) < 1 || len(k.Name) > 64 {
		return fmt.Errorf("%w: name of %d bytes, want 1 to 64", ErrInvalidBatch, len(k.Name))
	}
	if len(k.Kind) < 1 || len(k.Kind) > 16 {
		return fmt.Errorf("%w: kind of %d bytes, want 1 to 16", ErrInvalidBatch, len(k.Kind))
	}
	for _, c := range []byte(k.Kind) {
		if (c < 'a' || c > 'z') && c != '-' {
			return fmt.Errorf("%w: kind with bytes outside a-z and '-'", ErrInvalidBatch)
		}
	}
	return nil
}
