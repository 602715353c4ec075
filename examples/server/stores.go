package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/redis/go-redis/v9"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/store/memstore"
	"github.com/seed62b93bad/passwordless/store/pgstore"
	"github.com/seed62b93bad/passwordless/store/redisstore"
	"github.com/seed62b93bad/passwordless/store/sqlitestore"
)

// dataFile is where the server keeps a file unless it is told otherwise: below the folder that
// it is started in.
func dataFile(name string) string { return filepath.Join(".cache", "demo", name) }

// A store is a passwordless.Store that is to be closed.
type store struct {
	passwordless.Store
	name  string // for people; never holds a password
	close func() error
}

// storeKind takes -store apart. Schemes that mean one kind of store have one name, so that what is named
// after it, as the file of the secrets is, does not depend on the spelling.
func (s settings) storeKind() (kind, rest string) {
	kind, rest, _ = strings.Cut(s.store, ":")
	switch kind {
	case "postgresql":
		kind = "postgres"
	case "rediss":
		kind = "redis"
	}
	return kind, rest
}

// checkStore reports what could not be opened whatever listens there. It touches nothing.
func (s settings) checkStore() error {
	kind, rest := s.storeKind()
	switch kind {
	case "memory":
	case "sqlite":
		if rest == "" {
			return errors.New("-store: sqlite without a path")
		}
	case "postgres":
		if _, err := pgx.ParseConfig(s.store); err != nil {
			return errors.New("-store: not a PostgreSQL URL, or one that names files that are not there")
		}
	case "redis":
		if _, err := redis.ParseURL(s.store); err != nil {
			return errors.New("-store: not a Redis URL")
		}
	default:
		return errors.New("-store: want memory, sqlite:PATH, postgres://… or redis://…")
	}
	return nil
}

// openStore opens the store that -store names, after checkStore, and brings its tables up to date. Its
// errors do not repeat a URL, which may hold a password.
func openStore(ctx context.Context, set settings, log *slog.Logger) (store, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var s store
	var err error
	switch kind, rest := set.storeKind(); kind {
	case "memory":
		s = store{memstore.New(), "memory", nil}
	case "sqlite":
		s, err = openSQLite(ctx, rest)
	case "postgres":
		s, err = openPostgres(ctx, set.store)
	case "redis":
		s, err = openRedis(ctx, set, log)
	}
	if err != nil {
		return store{}, fmt.Errorf("-store: %w", err)
	}
	return s, nil
}

func openSQLite(ctx context.Context, path string) (store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return store{}, err
	}
	// SQLite gives its other files the mode of this one: people's addresses are in there.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return store{}, err
	}
	if err := file.Close(); err != nil {
		return store{}, err
	}
	db, err := sql.Open("sqlite", sqlitestore.DSN(path))
	if err != nil {
		return store{}, err
	}
	return migrated(db, "sqlite:"+path, sqlitestore.Migrate(ctx, db, sqlitestore.Options{}), func() (passwordless.Store, error) {
		return sqlitestore.New(db, sqlitestore.Options{})
	})
}

func openPostgres(ctx context.Context, url string) (store, error) {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return store{}, errors.New("not a PostgreSQL URL")
	}
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(16)
	return migrated(db, "PostgreSQL", pgstore.Migrate(ctx, db, pgstore.Options{}), func() (passwordless.Store, error) {
		return pgstore.New(db, pgstore.Options{})
	})
}

// migrated makes a store of a database whose migration, which ends with the driver's Check, ended with err. A program that
// leaves migrations to somebody else calls Check here instead.
func migrated(db *sql.DB, name string, err error, open func() (passwordless.Store, error)) (store, error) {
	s := store{name: name, close: db.Close}
	if err == nil {
		s.Store, err = open()
	}
	if err != nil {
		return store{}, errors.Join(err, db.Close())
	}
	return s, nil
}

// openRedis refuses a server that could forget what it promised, but with -dev only warns of one that
// keeps nothing on disk.
func openRedis(ctx context.Context, set settings, log *slog.Logger) (store, error) {
	options, err := redis.ParseURL(set.store)
	if err != nil {
		return store{}, errors.New("not a Redis URL")
	}
	options.ContextTimeoutEnabled = true // else a call outlives its context
	options.MaxRetries = -1              // the store retries what is safe
	client := redis.NewClient(options)
	s, err := redisstore.New(ctx, scripts(client), redisstore.Options{Config: settingsOf(client), InsecureVolatile: set.dev})
	var server redisstore.Server
	if err == nil {
		server, err = s.Check(ctx)
	}
	if err != nil {
		return store{}, errors.Join(err, client.Close())
	}
	if !server.AppendOnly {
		log.Warn("Redis has appendonly off: if it restarts, used codes, revoked sessions and users are lost, or as they were. " +
			"Without -dev this is refused.")
	}
	return store{s, "Redis " + server.Version, client.Close}, nil
}

// scripts lets the store run scripts with client.
func scripts(client *redis.Client) func(lua string) redisstore.Script {
	return func(lua string) redisstore.Script {
		script := redis.NewScript(lua)
		return func(ctx context.Context, keys []string, args ...any) (any, error) {
			return script.Run(ctx, client, keys, args...).Result()
		}
	}
}

// settingsOf lets the store read the settings of the server with client.
func settingsOf(client *redis.Client) func(ctx context.Context, setting string) (string, error) {
	return func(ctx context.Context, setting string) (string, error) {
		values, err := client.ConfigGet(ctx, setting).Result()
		return values[setting], err
	}
}
