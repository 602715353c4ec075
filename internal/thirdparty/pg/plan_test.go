package pg_test

import "testing"

// However small the tables are when the first plans are made, every look-up goes by an index, and
// no update touches one.
func TestPlans(t *testing.T) {
	s := openStore(t, "pgx", shared.Postgres(t))
	s.db.SetMaxOpenConns(1) // whose statistics are written when asked for
	for range 200 {
		if err := flow(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.db.Exec("SELECT pg_stat_force_next_flush()"); err != nil {
		t.Skip("needs PostgreSQL 15: ", err)
	}
	var looked, scanned, updated, hot int
	err := s.db.QueryRow(`SELECT sum(idx_scan), sum(seq_scan), sum(n_tup_upd), sum(n_tup_hot_upd)
		FROM pg_stat_user_tables WHERE relname <> 'passwordless_schema'`).Scan(&looked, &scanned, &updated, &hot)
	if err != nil {
		t.Fatal(err)
	}
	// The indexes are built by a scan each of an empty table.
	if looked < 200*8 || scanned > 10 {
		t.Errorf("%d scans of an index, %d of a table", looked, scanned)
	}
	if updated < 200*3 || hot < updated*9/10 {
		t.Errorf("%d of %d updates stay beside the old row", hot, updated)
	}
}
