package linear_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/seed62b93bad/passwordless/internal/thirdparty/servers"
	"github.com/seed62b93bad/passwordless/internal/thirdparty/stores"
	"github.com/seed62b93bad/passwordless/store"
)

var shared servers.Shared

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

func TestPostgreSQL(t *testing.T) {
	url := shared.Postgres(t)
	checkBoth(t, func() store.Store { return stores.Postgres(t, url, 8) })
}

func TestRedis(t *testing.T) {
	url := shared.Redis(t)
	checkBoth(t, func() store.Store { return stores.Redis(t, url, 8) })
}

func TestSQLite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	checkBoth(t, func() store.Store { return stores.SQLiteIn(t, path, 4) })
}

// checkBoth runs both checks on two instances of a store.
func checkBoth(t *testing.T, open func() store.Store) {
	t.Helper()
	a, b := open(), open()
	checkStore(t, a, b)
	checkService(t, a, b)
}
