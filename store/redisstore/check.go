package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/seed62b93bad/passwordless/store"
)

// A Server is what [Store.Check] saw, for the log of an application.
type Server struct {
	Version    string // such as "7.4.1"
	AppendOnly bool   // an append-only file is kept
	// AppendFsync is when Redis has that file on the disk: "always", "everysec" or "no". It is "" if it was not asked for:
	// without a file, without Options.Config, and with Options.InsecureVolatile.
	AppendFsync string
}

// Check tells whether the server can be relied on: it is a primary and not part of a Cluster, evicts nothing, has every
// commit on its disk before it answers (but see the options that say Insecure), and lets the scripts run all their
// commands. If not, the error matches [store.ErrMisconfigured] and tells all that is wrong. If the server could not be
// asked, or refuses a command, it matches [store.ErrUnavailable].
func (s *Store) Check(ctx context.Context) (Server, error) {
	server, err := s.inspect(ctx)
	if err != nil {
		return server, err // before the commands: a replica refuses them in words that tell less
	}
	_, err = s.read(ctx, "check", s.check, []string{s.prefix + "check"})
	return server, err
}

// inspect is what Check tells without running the commands: it writes nothing, and so works on a replica and out of memory.
func (s *Store) inspect(ctx context.Context) (Server, error) {
	reply, err := s.read(ctx, "check", s.info, nil)
	if err != nil {
		return Server{}, err
	}
	if len(reply) == 0 {
		return Server{}, failed("check", store.ErrUnavailable, errReply)
	}
	info := make(map[string]string)
	for line := range strings.Lines(text(reply[0])) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		info[name] = value
	}
	server := Server{Version: info["redis_version"], AppendOnly: info["aof_enabled"] == "1"}
	var unsynced string // no-appendfsync-on-rewrite
	if server.AppendOnly && s.config != nil && !s.accept.volatile {
		if server.AppendFsync, err = s.setting(ctx, "appendfsync"); err != nil {
			return Server{}, err
		}
		if unsynced, err = s.setting(ctx, "no-appendfsync-on-rewrite"); err != nil {
			return Server{}, err
		}
	}
	wrong := append(misplaced(info), s.forgetful(server, unsynced)...)
	if wrong == nil {
		return server, nil
	}
	return server, fmt.Errorf("redisstore: check: %w: %w", store.ErrMisconfigured, errors.Join(wrong...))
}

// setting reads one by Options.Config.
func (s *Store) setting(ctx context.Context, name string) (string, error) {
	value, err := s.config(ctx, name)
	if err != nil {
		return "", explain(ctx, "check: read "+name, store.ErrUnavailable, err)
	}
	return value, nil
}

// misplaced is what INFO tells of a server that no option accepts.
func misplaced(info map[string]string) (wrong []error) {
	if policy := info["maxmemory_policy"]; policy != "noeviction" {
		wrong = append(wrong, fmt.Errorf("maxmemory-policy is %q, which evicts records and counted guesses: want noeviction", policy))
	}
	if role := info["role"]; role != "master" {
		wrong = append(wrong, fmt.Errorf("role is %q: want the primary", role))
	}
	if info["cluster_enabled"] != "0" {
		wrong = append(wrong, errors.New("the server is part of a Redis Cluster, which is not supported"))
	}
	return wrong
}

// forgetful is what lets a server lose what Commit acknowledged, but for what the options accept.
func (s *Store) forgetful(server Server, unsynced string) []error {
	switch {
	case s.accept.volatile:
	case !server.AppendOnly:
		return []error{errors.New("appendonly is off, so that a restart loses commits: " +
			"want appendonly yes, or Options.InsecureVolatile")}
	case s.accept.everysec:
	case s.config == nil:
		return []error{errors.New("appendfsync is not known, since no script can read it: " +
			"want Options.Config, or Options.InsecureEverysec")}
	case server.AppendFsync != "always":
		return []error{fmt.Errorf("appendfsync is %q, so that a crash loses commits: want always, or Options.InsecureEverysec",
			server.AppendFsync)}
	case unsynced != "no":
		return []error{fmt.Errorf("no-appendfsync-on-rewrite is %q, so that a crash of the machine loses commits: "+
			"want no, or Options.InsecureEverysec", unsynced)}
	}
	return nil
}
