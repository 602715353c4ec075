package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/sqlitestore"
)

// openWith returns a pool on a new file whose connections have that PRAGMA in place of the one in DSN.
func openWith(t *testing.T, pragma string) *sql.DB {
	t.Helper()
	dsn := sqlitestore.DSN(filepath.Join(t.TempDir(), "store.db"))
	if name, _, ok := strings.Cut(pragma, "("); ok {
		dsn = regexp.MustCompile(name+`\([^)]*\)`).ReplaceAllString(dsn, pragma)
	}
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestCheckTellsWhatIsWrong(t *testing.T) { // CG-7
	normal := sqlitestore.Options{InsecureNormal: true}
	for _, row := range []struct {
		rule, pragma string
		opts         sqlitestore.Options
		wrong        string // in the error; "" for none
	}{
		{rule: "what DSN says will do"},
		{rule: "more than FULL will do", pragma: "synchronous(EXTRA)"},
		{rule: "a rollback journal will do", pragma: "journal_mode(DELETE)"},
		{rule: "NORMAL is refused", pragma: "synchronous(NORMAL)", wrong: "synchronous is 1"},
		{rule: "or waived", pragma: "synchronous(NORMAL)", opts: normal},
		{rule: "OFF is refused", pragma: "synchronous(OFF)", wrong: "synchronous is 0"},
		{rule: "and not waived", pragma: "synchronous(OFF)", opts: normal, wrong: "synchronous is 0"},
		{rule: "a journal in memory is refused", pragma: "journal_mode(MEMORY)", wrong: "journal_mode"},
		{rule: "no journal is refused", pragma: "journal_mode(OFF)", wrong: "journal_mode"},
		{rule: "a process that does not wait is refused", pragma: "busy_timeout(0)", wrong: "busy_timeout"},
	} {
		t.Run(row.rule, func(t *testing.T) {
			db := openWith(t, row.pragma)
			for _, err := range []error{
				sqlitestore.Migrate(t.Context(), db, row.opts), sqlitestore.Check(t.Context(), db, row.opts),
			} {
				if row.wrong == "" && err != nil {
					t.Errorf("%v, want success", err)
				}
				if row.wrong != "" && (!errors.Is(err, store.ErrMisconfigured) || errors.Is(err, store.ErrUnavailable) ||
					!strings.Contains(fmt.Sprint(err), row.wrong) || strings.Contains(fmt.Sprint(err), "Migrate")) {
					t.Errorf("%v, want an error about %s alone", err, row.wrong)
				}
			}
		})
	}
}

func TestAForgottenMigrateIsNoOutage(t *testing.T) {
	db := openWith(t, "synchronous(NORMAL)")
	err := sqlitestore.Check(t.Context(), db, sqlitestore.Options{})
	if !errors.Is(err, store.ErrMisconfigured) || !strings.Contains(err.Error(), "call Migrate") ||
		!strings.Contains(err.Error(), "synchronous") {
		t.Errorf("Check: %v, want one that says to call Migrate, and what else is wrong", err)
	}
	s := openStore(t, filepath.Join(t.TempDir(), "store.db"))
	if _, err := s.db.Exec("DROP TABLE passwordless_records"); err != nil {
		t.Fatal(err)
	}
	_, err = s.Commit(t.Context(), now, batch("name"))
	if !errors.Is(err, store.ErrMisconfigured) || !errors.Is(err, store.ErrUnavailable) ||
		!strings.Contains(err.Error(), "call Migrate") {
		t.Errorf("Commit: %v, want one that says to call Migrate, and that nothing was written", err)
	}
}

func TestAnOutageIsNoMistake(t *testing.T) {
	db, err := sql.Open("sqlite", sqlitestore.DSN(filepath.Join(t.TempDir(), "no such folder", "store.db")))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = sqlitestore.Check(t.Context(), db, sqlitestore.Options{})
	if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrMisconfigured) {
		t.Errorf("Check: %v, want ErrUnavailable alone", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sqlitestore.Check(ended, db, sqlitestore.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Check: %v, want the context's error", err)
	}
}

func TestInsecureNormalIsADeviation(t *testing.T) { // OP-2
	db := openWith(t, "synchronous(NORMAL)")
	s := newStore(t, db, sqlitestore.Options{InsecureNormal: true})
	if d := store.Deviations(s); len(d) != 1 || !strings.HasPrefix(d[0], "InsecureNormal: ") {
		t.Errorf("Deviations: %q", d)
	}
	if d := store.Deviations(openStore(t, filepath.Join(t.TempDir(), "store.db"))); d != nil {
		t.Errorf("Deviations of a store as it should be: %q", d)
	}
}
