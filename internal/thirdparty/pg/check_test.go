package pg_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/seed62b93bad/passwordless/internal/thirdparty/servers"
	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/pgstore"
)

func run(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := db.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// tells demands an error that says what is wrong with the database, and is not an outage.
func tells(t *testing.T, err error, words string) {
	t.Helper()
	if !errors.Is(err, store.ErrMisconfigured) || errors.Is(err, store.ErrUnavailable) || !strings.Contains(fmt.Sprint(err), words) {
		t.Errorf("%v, want an error that matches ErrMisconfigured and tells of %q", err, words)
	}
}

func tellsToMigrate(t *testing.T, err error) {
	t.Helper()
	tells(t, err, "Migrate")
}

func TestCheckIsContentWithWhatMigrateLeaves(t *testing.T) {
	for adapter, parameters := range adapters {
		for _, setting := range []string{"", "&default_transaction_isolation=serializable", "&synchronous_commit=off"} {
			for _, conns := range []int{0, 1, 2} { // 0: as many as are asked for
				db := open(t, adapter, shared.Postgres(t)+parameters+setting)
				db.SetMaxOpenConns(conns)
				if err := pgstore.Migrate(t.Context(), db, pgstore.Options{}); err != nil {
					t.Errorf("%s%s: Migrate: %v", adapter, setting, err)
				}
				if err := pgstore.Check(t.Context(), db, pgstore.Options{}); err != nil {
					t.Errorf("%s%s: Check: %v", adapter, setting, err)
				}
				if in := db.Stats().InUse; in != 0 {
					t.Errorf("%d connections are in use", in)
				}
			}
		}
	}
}

// A forgotten Migrate is told from an outage by each verb and by Check.
func TestAForgottenMigrateIsNoOutage(t *testing.T) {
	for adapter, parameters := range adapters {
		db := open(t, adapter, shared.Postgres(t)+parameters)
		s, err := pgstore.New(db, pgstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		tellsToMigrate(t, pgstore.Check(t.Context(), db, pgstore.Options{}))
		key := newRecord("test", "name", now).Key
		_, commit := s.Commit(t.Context(), now, oneOfEach("name"))
		_, load := s.Load(t.Context(), now, key)
		_, _, list := s.List(t.Context(), now, "test", store.Page{Owner: "owner", Limit: 1})
		_, sweep := s.Sweep(t.Context(), now, 1)
		for verb, err := range map[string]error{"Commit": commit, "Load": load, "List": list, "Sweep": sweep} {
			if !errors.Is(err, store.ErrMisconfigured) || !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrUncertain) ||
				!strings.Contains(err.Error(), "call pgstore.Migrate") {
				t.Errorf("%s: %v, want one that says to call Migrate, and that nothing was written", verb, err)
			}
		}
	}
}

func TestAnOutageIsNoMistake(t *testing.T) {
	db := open(t, "pgx", "postgres://postgres@"+servers.Nowhere(t)+"/postgres")
	if err := pgstore.Check(t.Context(), db, pgstore.Options{}); !errors.Is(err, store.ErrUnavailable) ||
		errors.Is(err, store.ErrMisconfigured) {
		t.Errorf("Check: %v, want ErrUnavailable alone", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	err := pgstore.Check(ended, db, pgstore.Options{})
	if !errors.Is(err, context.Canceled) || errors.Is(err, store.ErrMisconfigured) {
		t.Errorf("Check: %v, want the context's error", err)
	}
}

func TestCheckTellsWhatIsWrong(t *testing.T) {
	server := servers.StartPostgres(t) // of its own, because a role belongs to all databases
	run(t, open(t, "pgx", server.URL()), "CREATE ROLE guest")
	for rule, row := range map[string]struct {
		parameters string // of the connection that Check has
		statements []string
		words      string
	}{
		"a table is gone":    {"", []string{"DROP TABLE passwordless_windows"}, "passwordless_windows"},
		"a function is gone": {"", []string{"DROP FUNCTION passwordless_commit"}, "passwordless_commit"},
		"the function has another form": {"",
			[]string{"DROP FUNCTION passwordless_load",
				"CREATE FUNCTION passwordless_load(int8) RETURNS int8 LANGUAGE sql AS 'SELECT 1::int8'"},
			"passwordless_load"},
		"another schema":          {"&search_path=pg_temp", nil, "Migrate"},
		"no writes":               {"&default_transaction_read_only=on", nil, "default_transaction_read_only"},
		"locks that lock nothing": {"&search_path=fake,pg_catalog,public", noLocks, "advisory lock to two connections"},
		"a user without rights": {"&role=guest",
			[]string{"GRANT SELECT ON passwordless_schema TO guest", "GRANT SELECT, INSERT, UPDATE ON passwordless_records TO guest"},
			"privileges on: passwordless_records, passwordless_buckets, passwordless_windows"},
	} {
		t.Run(rule, func(t *testing.T) {
			address := server.Database(t)
			run(t, openStore(t, "pgx", address).db, row.statements...)
			other := open(t, "pgx", address+row.parameters)
			tells(t, pgstore.Check(t.Context(), other, pgstore.Options{}), row.words)
		})
	}
}

// noLocks hide PostgreSQL's locks behind functions as a product has them that only speaks its protocol.
var noLocks = []string{
	"CREATE SCHEMA fake",
	"CREATE FUNCTION fake.pg_advisory_xact_lock(int8) RETURNS void LANGUAGE sql AS ''",
	"CREATE FUNCTION fake.pg_try_advisory_xact_lock_shared(int8) RETURNS bool LANGUAGE sql AS 'SELECT true'",
}

// With one connection in the pool Check has only the server's word for it.
func TestCheckOfLocksWithOneConnection(t *testing.T) {
	address := shared.Postgres(t)
	run(t, openStore(t, "pgx", address).db, noLocks...)
	db := open(t, "pgx", address+"&search_path="+url.QueryEscape("fake,pg_catalog,public"))
	db.SetMaxOpenConns(1)
	tells(t, pgstore.Check(t.Context(), db, pgstore.Options{}), "does not hold an advisory lock")
}

func TestFsyncOffIsRefusedOrADeviation(t *testing.T) { // OP-2
	db := open(t, "pgx", servers.StartPostgres(t, "fsync = off").URL())
	tells(t, pgstore.Migrate(t.Context(), db, pgstore.Options{}), "InsecureNoFsync")
	accepts := pgstore.Options{InsecureNoFsync: true}
	if err := pgstore.Check(t.Context(), db, accepts); err != nil {
		t.Errorf("Check that accepts it: %v", err)
	}
	for opts, want := range map[pgstore.Options]int{{}: 0, accepts: 1} {
		s, err := pgstore.New(db, opts)
		if err != nil {
			t.Fatal(err)
		}
		if d := store.Deviations(s); len(d) != want || want == 1 && !strings.HasPrefix(d[0], "InsecureNoFsync: ") {
			t.Errorf("Deviations with %+v: %q", opts, d)
		}
	}
}

// Only a commit that would not be on any disk becomes one that is. What the operator chose besides stays.
func TestCommitTurnsSynchronousCommitOnAndNeverDown(t *testing.T) { // CG-7
	db := openStore(t, "pgx", shared.Postgres(t)).db
	for was, want := range map[string]string{
		"off": "on", "local": "local", "remote_write": "remote_write", "on": "on", "remote_apply": "remote_apply",
	} {
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		const commit = "SELECT passwordless_commit(0, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')"
		for _, statement := range []string{"SET LOCAL synchronous_commit = " + was, commit} {
			if _, err := tx.Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
		var got string
		if err := tx.QueryRow("SHOW synchronous_commit").Scan(&got); err != nil || got != want {
			t.Errorf("synchronous_commit %s is %s, %v at the end of the transaction, want %s", was, got, err, want)
		}
	}
}
