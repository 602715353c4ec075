package passwordless_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/internal/machine"
	"github.com/seed62b93bad/passwordless/store"
)

func TestSecretsDoNotPrint(t *testing.T) { // SK-7, PR-2
	secret, key := passwordless.Secret("canary-text"), passwordless.SecretBytes("canary-bytes")
	m := passwordless.Message{To: secret, Code: secret, Link: secret, Cancel: secret, Subject: secret, Text: secret, HTML: secret}
	other := &passwordless.OtherBrowserError{Code: secret}
	client := passwordless.Client{ID: "c", Keys: passwordless.ClientKeys{HS256Key: key}}
	ring := passwordless.NewKeyring(key, passwordless.RingKey{ID: "k", Secret: key})
	w := canaryWorld(t)
	var out bytes.Buffer
	for _, v := range []any{secret, &secret, key, m, &m, other, *other, []any{secret}, map[string]any{"k": secret},
		passwordless.RingKey{ID: "k", Secret: key}, passwordless.Caller{Device: secret, Browser: secret},
		passwordless.Started{Handle: secret, Browser: secret},
		passwordless.Login{Device: secret, Session: &passwordless.Session{Token: secret}},
		passwordless.Tokens{Access: secret, ID: secret, Refresh: secret}, passwordless.VerifyRequest{Handle: secret, Code: secret},
		passwordless.RedeemRequest{Token: secret}, passwordless.RefreshRequest{Token: secret},
		passwordless.ExchangeRequest{Code: secret, Verifier: secret},
		passwordless.Credentials{Secret: secret, Assertion: secret},
		passwordless.Login{AuthorizationCode: secret, Tokens: &passwordless.Tokens{Refresh: secret}},
		client, &client, passwordless.ClientList{client}, map[string]passwordless.Client{"c": client},
		ring, passwordless.Config{Hasher: ring},
		passwordless.RecordKey{ID: "k", Key: [32]byte([]byte("canary-bytes-of-a-key-of-a-record"))},
		passwordless.AccessTokenRequest{Token: secret}, w.as("hs", passwordless.Caller{IP: home.IP, Device: secret, Browser: secret}),
		w.as("hs", home).Client(), client.Keys, w.cfg, &w.cfg,
		w.Service, *w.Service, []any{w.Service}, w.Directory(), *w.Directory()} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T %[1]v", "%5.2f"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		if text, err := json.Marshal(v); err == nil {
			out.Write(text)
		}
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "v", v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v)
	}
	for _, canary := range []string{"canary", hex.EncodeToString([]byte("canary")), "99 97 110 97 114 121",
		"0x63, 0x61, 0x6e, 0x61, 0x72, 0x79",
		"[99,97,110,97,114,121", base64.StdEncoding.EncodeToString([]byte("canary"))} {
		at := strings.Index(strings.ToLower(out.String()), strings.ToLower(canary))
		assert.Negative(t, at, "%q", clip(out.String(), at))
	}
	assert.Contains(t, out.String(), "passwordless.Service(https://login.example.com/)")
	assert.Positive(t, strings.Count(out.String(), "[redacted]"))
	assert.Empty(t, passwordless.Secret("").String())
}

// canaryWorld is a world all of whose keys begin with the word.
func canaryWorld(t *testing.T) *world {
	canary := func(n byte) []byte { return fmt.Appendf(nil, "canary-%d-of-32-bytes-or-somewhat-more", n) }
	return newWorld(t, func(c *passwordless.Config) {
		keyset{canary(2), []passwordless.RingKey{{ID: "k1", Secret: canary(1)}}}.into(c)
		c.SigningKeys = append(c.SigningKeys, passwordless.SigningKey{ID: "ed", Key: ed25519.NewKeyFromSeed(canary(3)[:32])})
		hs := hs256Client("hs")
		hs.Keys.HS256Key = canary(4)
		c.Clients = append(c.Clients.(passwordless.ClientList), hs)
	})
}

// clip shows what stands around a place.
func clip(text string, at int) string { return text[max(0, at-60):min(len(text), max(0, at+60))] }

// A spy is a Store that remembers everything that was ever written.
type spy struct {
	store.Store
	mu         sync.Mutex // guards all below
	dump       bytes.Buffer
	challenges []store.Record
}

func (s *spy) Commit(ctx context.Context, now store.Instant, b store.Batch) (store.Levels, error) {
	s.mu.Lock()
	for _, p := range b.Puts {
		if p.Record.Key.Kind == machine.KindChallenge {
			s.challenges = append(s.challenges, p.Record)
		}
		fmt.Fprintf(&s.dump, "%s|%s|%s|%s\n", p.Record.Key.Kind, p.Record.Key.Name, p.Record.Owner, p.Record.Body)
	}
	for _, c := range append(b.Charges, b.GiveBacks...) {
		fmt.Fprintf(&s.dump, "%s|%s\n", c.Bucket.Kind, c.Bucket.Name)
	}
	s.mu.Unlock()
	return s.Store.Commit(ctx, now, b)
}

func TestADumpOfTheStoreOpensNothing(t *testing.T) { // SK-1, SK-2
	st, keys := &spy{}, newKeys()
	var events bytes.Buffer
	w := newWorld(t, keys.into, func(c *passwordless.Config) {
		st.Store = c.Store
		c.Store = st
		c.Events = func(_ context.Context, e passwordless.Event) { fmt.Fprintf(&events, "%+v\n", e) }
	})
	ctx := t.Context()
	started, link, cancel := w.startLink(passwordless.SendBoth)
	code := w.outbox.last().Code
	w.clock.advance(time.Minute)
	_, err := w.Resend(ctx, w.as("web", home), started.Handle)
	require.NoError(t, err)
	_, wrongErr := w.guess(started.Handle, wrong(code.Reveal()))
	l, err := w.Verify(ctx, w.as("web", home), passwordless.VerifyRequest{
		Handle: started.Handle, Code: code, Issue: passwordless.Issue{Session: true, Tokens: offline.Tokens}})
	require.NoError(t, err)
	refreshed, err := w.refresh("web", l.Tokens.Refresh)
	require.NoError(t, err)

	dump := st.dump.String()
	for name, secret := range map[string]passwordless.Secret{
		"handle": started.Handle, "browser": started.Browser, "link": link, "cancel": cancel, "device": l.Device, "code": code,
		"session": l.Session.Token, "refresh": l.Tokens.Refresh,
		"next refresh": refreshed.Refresh, "access": l.Tokens.Access, "id": l.Tokens.ID,
		"ring key": passwordless.Secret(keys.ring[0].Secret), "index key": passwordless.Secret(keys.index),
	} {
		raw, _ := base64.RawURLEncoding.DecodeString(secret.Reveal())
		for _, where := range []string{dump, events.String(), fmt.Sprint(wrongErr)} {
			assert.NotContains(t, where, secret.Reveal(), name)
			if len(raw) >= 32 {
				assert.NotContains(t, where, string(raw[len(raw)-32:]), name)
				assert.NotContains(t, where, hex.EncodeToString(raw), name)
			}
		}
	}
	assert.NotContains(t, events.String(), "alice", "no address in events (PR-2, PR-3)")
	require.NotEmpty(t, st.challenges)
	c, err := machine.DecodeChallenge(st.challenges[0].Body)
	require.NoError(t, err)
	th := theft{dump, st.challenges[0].Key.Name, c, started.Handle.Reveal()}
	th.hashCodes(t)
	th.deriveSecrets(t, keys, code, link, cancel)
}

// A theft is what a thief of the store has: all that was ever written, the record of a challenge, and the handle even.
type theft struct {
	dump   string
	name   string // of the record
	c      machine.Challenge
	handle string
}

// hashCodes tries every code in every way that a thief would: whatever it hashes to, alone or with what the dump holds,
// must not be in the dump.
func (th theft) hashCodes(t *testing.T) {
	windows := map[[8]byte]bool{}
	for i := range len(th.dump) - 8 {
		windows[[8]byte([]byte(th.dump[i:i+8]))] = true
	}
	seed := string(th.c.Seed[:])
	var macs []hash.Hash
	for _, key := range []string{seed, th.name, string(th.c.Person), th.handle} {
		macs = append(macs, hmac.New(sha256.New, []byte(key)))
	}
	found := 0
	for n := range 1_000_000 {
		code := fmt.Sprintf("%06d", n)
		for _, in := range []string{code, alice + code, code + alice, code + th.handle, th.handle + code, code + seed, seed + code} {
			sum := sha256.Sum256([]byte(in))
			if windows[[8]byte(sum[:8])] {
				found++
			}
		}
		for _, mac := range macs {
			mac.Reset()
			mac.Write([]byte(code))
			if windows[[8]byte(mac.Sum(nil)[:8])] {
				found++
			}
		}
	}
	assert.Zero(t, found)
}

// bound is what the library derives for a use of the challenge from the key of its record, made here apart from it: a
// change of the derivation would end every challenge at the update.
func (th theft) bound(key []byte, label string) []byte {
	c := th.c
	return derived(key, label, c.Tenant, c.Client, c.Channel, c.Address, c.Purpose, th.name, string([]byte{c.Generation, 0}))
}

// deriveSecrets derives the challenge's secrets as the library does: the key of the ring gives them, and whatever key a
// thief can make of the dump gives none.
func (th theft) deriveSecrets(t *testing.T, keys keyset, code, link, cancel passwordless.Secret) {
	ours := recordKey(keys.ring[0].Secret, th.c.Seed)
	n := binary.BigEndian.Uint64(th.bound(ours, "code")) // once in 10^13 codes the library takes another number
	assert.Equal(t, code.Reveal(), fmt.Sprintf("%06d", n%1_000_000))
	token := func(key []byte, label string) string { return b64(th.name + string(th.bound(key, label))) }
	assert.Equal(t, link.Reveal(), token(ours, "link"))
	assert.Equal(t, cancel.Reveal(), token(ours, "kill"))
	seed := th.c.Seed[:]
	for name, key := range map[string][]byte{"no key": nil, "the seed": seed,
		"a hash of the seed": mac(nil, seed),
		"no ring key":        recordKey(nil, th.c.Seed), "a ring key of zeros": recordKey(make([]byte, 32), th.c.Seed),
		"a key of zeros": mac(nil, append([]byte("\x06record\x20"), seed...)), "the seed twice": recordKey(seed, th.c.Seed),
		"the key's ID": recordKey([]byte(th.c.KeyID), th.c.Seed), "the handle": []byte(th.handle),
		"the index key": recordKey(keys.index, th.c.Seed), "the ring key itself": keys.ring[0].Secret,
		"another record's": recordKey(keys.ring[0].Secret, sha256.Sum256(seed))} {
		assert.NotEqual(t, link.Reveal(), token(key, "link"), name)
		assert.NotEqual(t, cancel.Reveal(), token(key, "kill"), name)
		assert.NotEqual(t, link.Reveal(), token(key, "kill"), name)
	}
}

func TestCodesAreUniform(t *testing.T) { // CG-2, CG-13
	if testing.Short() {
		t.Skip("a hundred thousand sign-ins take seconds")
	}
	const n = 100_000
	w := newWorld(t, unlimited, bare)
	var counts [6][10]int
	for i := range n {
		w.clock.advance(time.Minute)
		_, err := w.Start(t.Context(), w.as("web", home), byMail(addresses[i%len(addresses)]))
		require.NoError(t, err)
		for at, digit := range w.outbox.last().Code.Reveal() {
			counts[at][digit-'0']++
		}
		w.outbox.all = w.outbox.all[:0]
	}
	for at, digits := range counts {
		chi := 0.0
		for _, count := range digits {
			d := float64(count) - n/10
			chi += d * d / (n / 10)
		}
		assert.Less(t, chi, 40.0, "position %d: %v", at, digits) // 9 degrees of freedom: over 40 once in 130,000
	}
}
