package servicetest_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed62b93bad/passwordless/passwordlesstest/servicetest"
	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/memstore"
	"github.com/seed62b93bad/passwordless/store/storetest"
)

func TestRunCanSkip(t *testing.T) {
	skip := storetest.Skip{}
	for name := range servicetest.Sentences() {
		skip[name] = "shows that cases can be skipped"
	}
	servicetest.Run(t, func(testing.TB) (a, b store.Store) { return nil, nil }, skip)
}

func TestRunPassesAStoreWithoutBugs(t *testing.T) {
	servicetest.Run(t, func(testing.TB) (a, b store.Store) {
		s := memstore.New()
		return storetest.NewFaulty(s), storetest.NewFaulty(s)
	})
}

// Run must find by itself what makes a Store unfit for the Service.
func TestTheServiceShowsTheBug(t *testing.T) {
	for bug, finder := range map[string]string{
		"ignores conditions":     "starts in the cooldown",
		"ignores absent":         "starts in the cooldown",
		"lets others in between": "one of many right codes and links",
		"takes when it looks":    "the guess ledger",
		"never refuses a look":   "the guess ledger",
		"never gives back":       "the guess ledger",
	} {
		t.Run(bug, func(t *testing.T) {
			failures := servicetest.Failures(t, finder, func(testing.TB) (a, b store.Store) {
				s := unfit{memstore.New(), bug, &meeting{second: make(chan struct{})}}
				return s, s
			})
			if len(failures) == 0 {
				t.Errorf("%q does not find it", finder)
			}
		})
	}
}

// An unfit is a Store with a bug.
type unfit struct {
	store.Store
	bug     string
	meeting *meeting // of those who were let in between
}

// A meeting keeps the first who comes until a second has come.
type meeting struct {
	came   atomic.Int32
	second chan struct{} // closed when there is one
}

func (m *meeting) join(ctx context.Context) {
	switch m.came.Add(1) {
	case 1:
		select {
		case <-m.second:
		case <-ctx.Done():
		}
	case 2:
		close(m.second)
	}
}

func (s unfit) Commit(ctx context.Context, now store.Instant, b store.Batch) (store.Levels, error) {
	b.Puts, b.Charges = slices.Clone(b.Puts), slices.Clone(b.Charges)
	switch s.bug {
	case "ignores conditions":
		unconditional(b.Puts, func(store.Put) bool { return true })
	case "ignores absent":
		unconditional(b.Puts, func(p store.Put) bool { return p.Was == store.Version{} })
	case "lets others in between":
		if err := s.conflicts(ctx, now, b); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(b.Puts, func(p store.Put) bool {
			return p.Record.Key.Kind == "session"
		}) {
			s.meeting.join(ctx)
		}
		unconditional(b.Puts, func(store.Put) bool { return true })
	case "takes when it looks":
		for i := range b.Charges {
			b.Charges[i].Look = false
		}
	case "never refuses a look":
		return s.commitWithoutLooks(ctx, now, b)
	case "never gives back":
		b.GiveBacks = nil
	}
	return s.Store.Commit(ctx, now, b)
}

// unconditional makes puts demand nothing.
func unconditional(puts []store.Put, which func(store.Put) bool) {
	for i, p := range puts {
		if which(p) {
			puts[i].Was, puts[i].Any = store.Version{}, true
		}
	}
}

// conflicts tells whether the puts of a batch find what they demand.
func (s unfit) conflicts(ctx context.Context, now store.Instant, b store.Batch) error {
	for _, p := range b.Puts {
		there, err := s.Load(ctx, now, p.Record.Key)
		if err != nil {
			return err
		}
		if v := there[0].Version; !p.Any && v != p.Was && v != p.Record.Version {
			return &store.ConflictError{Keys: []store.Key{p.Record.Key}}
		}
	}
	return nil
}

// commitWithoutLooks leaves out the charges that only look, and answers them with empty buckets.
func (s unfit) commitWithoutLooks(ctx context.Context, now store.Instant, b store.Batch) (store.Levels, error) {
	all := b.Charges
	b.Charges = slices.DeleteFunc(slices.Clone(all), func(c store.Charge) bool { return c.Look })
	levels, err := s.Store.Commit(ctx, now, b)
	if err != nil || levels == nil {
		return nil, err
	}
	for i, c := range all {
		if c.Look {
			levels = slices.Insert(levels, i, make([]int64, len(c.Windows)))
		}
	}
	return levels, nil
}

// A sentence that a case quotes must stand in the comments of package passwordless.
func TestSentencesAreQuotes(t *testing.T) {
	paths, err := filepath.Glob("../../*.go")
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d files, %v", len(paths), err)
	}
	promises := ""
	for _, path := range paths {
		if !strings.HasSuffix(path, "_test.go") {
			promises += comments(t, path) + "\n"
		}
	}
	for name, says := range servicetest.Sentences() {
		if len(says) == 0 {
			t.Errorf("%s quotes nothing", name)
		}
		for _, sentence := range says {
			if !strings.Contains(promises, sentence) {
				t.Errorf("%s: not said by package passwordless: %q", name, sentence)
			}
		}
	}
}

// comments returns the comments of a file as one line.
func comments(t *testing.T, path string) string {
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for line := range strings.Lines(string(source)) {
		if _, comment, ok := strings.Cut(line, "//"); ok {
			words = append(words, strings.Fields(comment)...)
		}
	}
	return strings.Join(words, " ")
}
