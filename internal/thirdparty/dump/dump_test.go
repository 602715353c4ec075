// Package dump reads everything that an engine keeps after a full run, and looks for
// what must not be there: codes, links, handles, tokens and keys, in any usual spelling.
package dump_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/internal/thirdparty/servers"
	"github.com/seed62b93bad/passwordless/internal/thirdparty/stores"
	"github.com/seed62b93bad/passwordless/passwordlesstest"
	"github.com/seed62b93bad/passwordless/store"
)

var shared servers.Shared

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

func TestPostgreSQL(t *testing.T) {
	url := shared.Postgres(t)
	secrets := fullRun(t, stores.Postgres(t, url, 4))
	secrets.absent(t, dumpPostgres(t, url))
}

func TestRedis(t *testing.T) {
	url := shared.Redis(t)
	secrets := fullRun(t, stores.Redis(t, url, 4))
	secrets.absent(t, dumpRedis(t, url))
}

func TestSQLite(t *testing.T) {
	st, path := stores.SQLiteAt(t, 4)
	secrets := fullRun(t, st)
	var dump []byte
	for _, suffix := range []string{"", "-wal"} {
		part, err := os.ReadFile(path + suffix)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		dump = append(dump, part...)
	}
	secrets.absent(t, dump)
}

// secrets are what a run made, by what it is, and every line that it logged.
type secrets struct {
	of     map[string]passwordless.Secret
	events bytes.Buffer
}

var here = passwordless.Caller{IP: netip.MustParseAddr("192.0.2.1")}

// fullRun signs a person in by code and by link, with a session and tokens, and uses everything once.
func fullRun(t *testing.T, st store.Store) *secrets {
	t.Helper()
	ctx, all := t.Context(), &secrets{of: map[string]passwordless.Secret{}}
	clock := passwordlesstest.NewClock(time.Now())
	outbox := &passwordlesstest.Outbox{Clock: clock}
	signing, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	ring, index := passwordless.RandomKey(), passwordless.RandomKey()
	all.of["ring key"], all.of["index key"] = passwordless.Secret(ring), passwordless.Secret(index)
	s, err := passwordless.New(passwordless.Config{
		Issuer: "https://login.example.com/", AppName: "Example", Store: st, Sender: outbox, Clock: clock,
		Hasher:      passwordless.NewKeyring(index, passwordless.RingKey{ID: "k1", Secret: ring}),
		SigningKeys: []passwordless.SigningKey{{ID: "s1", Key: signing}},
		Clients:     passwordless.ClientList{{ID: "web", Public: true}},
		Events:      func(_ context.Context, e passwordless.Event) { fmt.Fprintf(&all.events, "%+v\n", e) },
	})
	must(t, err)
	caller := here
	by := func() passwordless.Requester {
		r, err := s.Trusted(ctx, "web", caller)
		must(t, err)
		return r
	}
	started, err := s.Start(ctx, by(), passwordless.StartRequest{Channel: passwordless.Email, Address: "alice@example.com",
		Send: passwordless.SendBoth})
	must(t, err)
	all.of["handle"], all.of["browser"] = started.Handle, started.Browser
	sent, _ := outbox.Last("alice@example.com")
	all.of["code"], all.of["link"] = passwordless.Secret(sent.Code), parameter(t, sent.Link)
	_, err = s.Verify(ctx, by(), passwordless.VerifyRequest{Handle: started.Handle, Code: "000000"})
	if err == nil {
		t.Fatal("a wrong code signed in")
	}
	caller.Browser = started.Browser
	l, err := s.RedeemLink(ctx, by(), passwordless.RedeemRequest{Token: all.of["link"], Issue: passwordless.Issue{
		Session: true, Tokens: &passwordless.TokenRequest{Scopes: []string{"openid", "offline_access"}}}})
	must(t, err)
	all.of["device"], all.of["session"] = l.Device, l.Session.Token
	all.of["access token"], all.of["ID token"], all.of["refresh token"] = l.Tokens.Access, l.Tokens.ID, l.Tokens.Refresh
	next, err := s.Refresh(ctx, by(), passwordless.RefreshRequest{Token: l.Tokens.Refresh})
	must(t, err)
	all.of["next refresh token"] = next.Refresh
	return all
}

func parameter(t *testing.T, link string) passwordless.Secret {
	t.Helper()
	u, err := url.Parse(link)
	must(t, err)
	return passwordless.Secret(u.Query().Get("t"))
}

// absent demands that no spelling of a secret is in the dump, nor in what was logged.
func (all *secrets) absent(t *testing.T, dump []byte) {
	t.Helper()
	if !bytes.Contains(dump, []byte("alice@example.com")) {
		t.Fatal("the dump lacks what it should hold")
	}
	for what, secret := range all.of {
		for _, spelling := range spellings(secret.Reveal()) {
			if bytes.Contains(dump, spelling) {
				t.Errorf("the store holds the %s as %q", what, spelling)
			}
			if bytes.Contains(all.events.Bytes(), spelling) {
				t.Errorf("the log holds the %s as %q", what, spelling)
			}
		}
	}
	if bytes.Contains(all.events.Bytes(), []byte("alice")) {
		t.Error("the log holds an address")
	}
}

// spellings are how a secret might be stored: as it is, decoded, in hex, in base64; and a code, which can be
// guessed, also hashed.
func spellings(secret string) [][]byte {
	all := [][]byte{[]byte(secret)}
	if decoded, err := base64.RawURLEncoding.DecodeString(secret); err == nil && len(decoded) >= 32 {
		all = append(all, decoded[len(decoded)-32:]) // what of it is secret
	}
	if len(secret) < 16 {
		sum := sha256.Sum256([]byte(secret))
		all = append(all, sum[:])
	}
	for _, b := range all[:len(all):len(all)] {
		all = append(all, []byte(hex.EncodeToString(b)), []byte(base64.StdEncoding.EncodeToString(b)))
	}
	return all
}

// dumpPostgres reads each column of each table.
func dumpPostgres(t *testing.T, url string) (dump []byte) {
	t.Helper()
	db, err := sql.Open("pgx", url)
	must(t, err)
	defer db.Close()
	for _, table := range column(t, db, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'") {
		names := fmt.Sprintf("SELECT column_name FROM information_schema.columns WHERE table_name = '%s'", table)
		for _, name := range column(t, db, names) {
			for _, value := range column(t, db, fmt.Sprintf("SELECT %q FROM %q WHERE %[1]q IS NOT NULL", name, table)) {
				dump = append(append(dump, value...), '\n')
			}
		}
	}
	return dump
}

func column(t *testing.T, db *sql.DB, query string) (all [][]byte) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var value any
		must(t, rows.Scan(&value))
		if b, ok := value.([]byte); ok {
			all = append(all, b)
		} else {
			all = append(all, fmt.Append(nil, value))
		}
	}
	must(t, rows.Err())
	return all
}

// dumpRedis reads each key and what is under it.
func dumpRedis(t *testing.T, url string) (dump []byte) {
	t.Helper()
	client, ctx := stores.Client(t, url, 1), t.Context()
	keys, err := client.Keys(ctx, "*").Result()
	must(t, err)
	for _, key := range keys {
		dump = append(dump, key...)
		if value, err := client.Get(ctx, key).Bytes(); err == nil {
			dump = append(dump, value...)
			continue
		}
		members, err := client.SMembers(ctx, key).Result()
		if err != nil {
			raw, err := client.Dump(ctx, key).Result()
			must(t, err)
			members = []string{raw}
		}
		for _, m := range members {
			dump = append(dump, m...)
		}
	}
	return dump
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
