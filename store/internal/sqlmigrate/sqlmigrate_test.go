package sqlmigrate_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/seed62b93bad/passwordless/store/internal/sqlmigrate"
)

// What the engines do with files is tested with them, in internal/thirdparty.

func TestPrefix(t *testing.T) {
	for given, want := range map[string]string{
		"":                      sqlmigrate.DefaultPrefix,
		"a":                     "a",
		"auth_2_":               "auth_2_",
		strings.Repeat("z", 32): strings.Repeat("z", 32),
	} {
		if got, err := sqlmigrate.Prefix(given); got != want || err != nil {
			t.Errorf("Prefix(%q) is %q, %v, want %q", given, got, err, want)
		}
	}
	for _, given := range []string{" ", "A", "_", "1a", "a-b", "a.b", "a b", "a;", "a'", `a"`, "a\x00",
		"ä", "{{prefix}}", strings.Repeat("z", 33)} {
		if got, err := sqlmigrate.Prefix(given); got != "" || err == nil {
			t.Errorf("Prefix(%q) is %q, %v, want an error", given, got, err)
		}
	}
}

func TestFilesWithAGapAreRefused(t *testing.T) {
	for name, files := range map[string][]string{
		"a gap":            {"0001_a.sql", "0003_c.sql"},
		"a number twice":   {"0001_a.sql", "0001_b.sql"},
		"no first":         {"0002_b.sql"},
		"a name no number": {"tables.sql"},
	} {
		schema := fstest.MapFS{}
		for _, file := range files {
			schema[file] = &fstest.MapFile{}
		}
		err := sqlmigrate.Up(t.Context(), nil, schema, "x_", sqlmigrate.Dialect{})
		if err == nil || !strings.Contains(err.Error(), "out of sequence") {
			t.Errorf("%s: %v, want a refusal before the database is touched", name, err)
		}
	}
}
