package storetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

const refusesInvalid = "A batch that Batch.Validate refuses is refused with its error."

var validate = []testCase{
	{
		name: "invalid batches",
		says: []string{refusesInvalid, "a mistake of the caller, nothing was written"},
		run:  invalidBatches,
	},
	{
		name: "before all else",
		says: []string{refusesInvalid, "Commit applies the batch, all or nothing, in this order"},
		run: func(k *kit) {
			r := record("key", "body")
			good := puts(fresh(r))
			good.Charges = []store.Charge{charge("bucket", hourly(1, 1))}
			k.commit(t0, good)
			bad := good // applied before, and limited; a put of another conflicts
			bad.Puts = []store.Put{fresh(r), {Record: record("key2", ""), Was: version()}}
			bad.Deletes = []store.Key{{Kind: "test"}}
			_ = k.refused(t0, bad, store.ErrInvalidBatch)
			k.holds(t0, r)
		},
	},
	{
		name: "an unknown stage",
		says: []string{refusesInvalid, "The stages; there are no others."},
		run:  invalidStages(stages{store.StageGrant + 1}, stages{255}),
	},
	{
		name: "a stage for some puts only",
		says: []string{refusesInvalid, "Either all puts of a batch have one or none has."},
		run: invalidStages(stages{store.Unstaged, store.StageGrant}, stages{store.StageClaim, store.Unstaged},
			stages{store.StageDecide, store.Unstaged, store.StageGrant}),
	},
	{
		name: "two deciding puts",
		says: []string{refusesInvalid, "A staged batch has at most one deciding put."},
		run: invalidStages(stages{store.StageDecide, store.StageDecide},
			stages{store.StageDecide, store.StageGrant, store.StageDecide}),
	},
	{
		name: "stages out of order",
		says: []string{refusesInvalid, "in the order of their stages, if they have any"},
		run: invalidStages(stages{store.StageDecide, store.StageClaim}, stages{store.StageDecide, store.StageRevoke},
			stages{store.StageGrant, store.StageDecide}, stages{store.StageGrant, store.StageClaim},
			stages{store.StageClaim, store.StageGrant, store.StageRevoke}),
	},
	{
		name: "stages in order",
		says: []string{"A batch may lack any stage", "Claims and revocations come first, in any order among themselves."},
		run: validStages(stages{store.StageClaim}, stages{store.StageRevoke}, stages{store.StageDecide}, stages{store.StageGrant},
			stages{store.StageRevoke, store.StageClaim, store.StageRevoke, store.StageDecide, store.StageGrant, store.StageGrant},
			stages{store.StageClaim, store.StageGrant}, stages{store.StageRevoke, store.StageDecide}),
	},
}

// stages are those of a batch's puts.
type stages []store.Stage

// batch returns a batch of fresh puts with these stages.
func (all stages) batch(name string) (b store.Batch) {
	for i, stage := range all {
		p := fresh(record(fmt.Sprint(name, " ", i), secret))
		p.Stage = stage
		b.Puts = append(b.Puts, p)
	}
	return b
}

// invalidStages commits batches whose stages break a rule, which must leave no trace.
func invalidStages(batches ...stages) func(k *kit) {
	return func(k *kit) {
		for _, all := range batches {
			b := all.batch("staged")
			_ = k.refused(t0, b, store.ErrInvalidBatch)
			k.lacks(t0, keysOf(recordsOf(b))...)
		}
	}
}

// validStages commits batches whose stages keep to the rules.
func validStages(batches ...stages) func(k *kit) {
	return func(k *kit) {
		for i, all := range batches {
			b := all.batch(fmt.Sprint("staged ", i))
			k.commit(t0, b)
			k.holds(t0, recordsOf(b)...)
		}
	}
}

func recordsOf(b store.Batch) (all []store.Record) {
	for _, p := range b.Puts {
		all = append(all, p.Record)
	}
	return all
}

// invalidBatches commits batches that each break one rule, and a good put and a
// good charge with them, which must leave no trace.
func invalidBatches(k *kit) {
	for rule, spoil := range rules() {
		b := puts(fresh(record("good", secret)))
		b.Charges = []store.Charge{charge("good", hourly(1, 1))}
		spoil(&b)
		if b.Validate() == nil {
			k.fatalf("storetest: Validate allows a batch with %s", rule)
		}
		err := k.refused(t0, b, store.ErrInvalidBatch)
		if want := b.Validate(); err.Error() != want.Error() {
			k.errorf("a batch with %s: error %q, want %q", rule, err, want)
		}
		k.lacks(t0, key("good"))
		k.isFull(t0, charge("good", hourly(1, 1)))
	}
}

// rules returns what breaks each rule of Batch.Validate.
func rules() map[string]func(b *store.Batch) {
	put := func(change func(p *store.Put)) func(b *store.Batch) {
		return func(b *store.Batch) {
			p := fresh(record("bad", secret))
			change(&p)
			b.Puts = append(b.Puts, p)
		}
	}
	charged := func(c store.Charge) func(b *store.Batch) {
		return func(b *store.Batch) { b.Charges = []store.Charge{c, charge("good", hourly(1, 1))} }
	}
	returned := func(c ...store.Charge) func(b *store.Batch) {
		return func(b *store.Batch) { b.GiveBacks = c }
	}
	look := charge("bad", hourly(1, 1))
	look.Look = true
	return map[string]func(b *store.Batch){
		"a put without a version":        put(func(p *store.Put) { p.Record.Version = store.Version{} }),
		"a put of its own predecessor":   put(func(p *store.Put) { p.Was = p.Record.Version }),
		"an owner of 65 bytes":           put(func(p *store.Put) { p.Record.Owner = strings.Repeat("x", 65) }),
		"a body over MaxBody":            put(func(p *store.Put) { p.Record.Body = make([]byte, store.MaxBody+1) }),
		"an expiry before 1970":          put(func(p *store.Put) { p.Record.Expires = -1 }),
		"no name":                        put(func(p *store.Put) { p.Record.Key.Name = "" }),
		"a name of 65 bytes":             put(func(p *store.Put) { p.Record.Key.Name = strings.Repeat("x", 65) }),
		"no kind":                        put(func(p *store.Put) { p.Record.Key.Kind = "" }),
		"a kind of 17 bytes":             put(func(p *store.Put) { p.Record.Key.Kind = "seventeen-letters" }),
		"a kind in capitals":             put(func(p *store.Put) { p.Record.Key.Kind = "Test" }),
		"two puts of one record":         put(func(p *store.Put) { p.Record.Key = key("good") }),
		"a put and a delete of a record": func(b *store.Batch) { b.Deletes = []store.Key{key("good")} },
		"two deletes of one record":      func(b *store.Batch) { b.Deletes = []store.Key{key("bad"), key("bad")} },
		"a delete without a name":        func(b *store.Batch) { b.Deletes = []store.Key{key("")} },
		"two charges of one bucket":      charged(charge("good", hourly(1, 1))),
		"charges out of order":           charged(charge("zzz", hourly(1, 1))),
		"a charge without windows":       charged(charge("bad")),
		"a charge with 9 windows":        charged(charge("bad", make([]store.Window, 9)...)),
		"a cost over the burst":          charged(charge("bad", hourly(1, 2))),
		"a negative cost":                charged(charge("bad", hourly(1, -1))),
		"no burst":                       charged(charge("bad", hourly(0, 0))),
		"a window of nanoseconds":        charged(charge("bad", window(1, time.Nanosecond, 1))),
		"a window over 100 years":        charged(charge("bad", window(101, 365*24*time.Hour, 1))),
		"a give-back that looks":         returned(look),
		"give-backs out of order":        returned(charge("b", hourly(1, 1)), charge("a", hourly(1, 1))),
		"two give-backs of one bucket":   returned(charge("a", hourly(1, 1)), charge("a", hourly(1, 1))),
	}
}
