package passwordless_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
)

// withKeyring makes a world on a Keyring that can be turned.
func withKeyring(t testing.TB, index passwordless.SecretBytes, keys []passwordless.RingKey,
	change ...func(*passwordless.Config),
) (*world, *passwordless.Keyring) {
	k := passwordless.NewKeyring(index, keys...)
	return newWorld(t, append(change, func(c *passwordless.Config) { c.Hasher = k })...), k
}

// beside is another Service on the same store, with another ring and the same index key.
func (w *world) beside(index passwordless.SecretBytes, keys ...passwordless.RingKey) *world {
	other := w.second()
	other.cfg.Hasher = passwordless.NewKeyring(index, keys...)
	other.Service = newService(w.t, other.cfg)
	return other
}

// A lane signs people in one after another while the keys are replaced, and counts them.
type lane struct {
	*world
	outbox outbox
	done   atomic.Int64
}

func newLane(t *testing.T, w *world) *lane {
	l := &lane{world: w.second()}
	l.cfg.Sender = &l.outbox
	l.Service = newService(t, l.cfg)
	return l
}

func (l *lane) signIn(ctx context.Context, n, i int) error {
	by, err := l.Public(ctx, "web", from(fmt.Sprintf("10.%d.%d.%d", n, i>>8&255, i&255)))
	if err != nil {
		return err
	}
	started, err := l.Start(ctx, by, byMail(fmt.Sprintf("p%d@lane%d.example.com", i, n)))
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	_, err = l.Verify(ctx, by, passwordless.VerifyRequest{Handle: started.Handle, Code: l.outbox.last().Code,
		Issue: passwordless.Issue{Session: true}})
	l.done.Add(1)
	return err
}

// turnOver waits until every sign-in is over that had begun.
func turnOver(ctx context.Context, lanes []*lane) {
	for _, l := range lanes {
		for before := l.done.Load(); l.done.Load() < before+2 && ctx.Err() == nil; {
			time.Sleep(100 * time.Microsecond)
		}
	}
}

func TestKeysAreRotatedUnderLoad(t *testing.T) { // SK-3
	current := ringKey("k0")
	w, k := withKeyring(t, passwordless.RandomKey(), []passwordless.RingKey{current}, unlimited)
	ctx, stop := context.WithCancel(t.Context())
	lanes := []*lane{newLane(t, w), newLane(t, w), newLane(t, w)}
	var all sync.WaitGroup
	for n, l := range lanes {
		all.Go(func() {
			defer stop()
			for i := 0; ctx.Err() == nil; i++ {
				if err := l.signIn(context.WithoutCancel(ctx), n, i); !assert.NoError(t, err) {
					return
				}
			}
		})
	}
	for turn := 1; turn <= 4 && ctx.Err() == nil; turn++ {
		next := ringKey(fmt.Sprint("k", turn))
		require.NoError(t, k.Replace(current, next))
		turnOver(ctx, lanes)
		require.NoError(t, k.Replace(next, current))
		turnOver(ctx, lanes)
		require.NoError(t, k.Replace(next))
		turnOver(ctx, lanes)
		current = next
	}
	assert.NoError(t, ctx.Err())
	stop()
	all.Wait()
}

func TestAKeyVerifiesForAsLongAsItIsInTheRing(t *testing.T) { // SK-3
	old, next := ringKey("old"), ringKey("next")
	w, k := withKeyring(t, passwordless.RandomKey(), []passwordless.RingKey{old})
	started, code := w.start(alice)
	require.NoError(t, k.Replace(old, next))
	require.NoError(t, w.check(started.Handle, code), "appended")
	require.NoError(t, k.Replace(next, old))
	require.NoError(t, w.check(started.Handle, code), "promoted")
	later, laterCode := w.startFrom(attacker, alice)
	require.NoError(t, k.Replace(next))
	require.ErrorIs(t, w.check(started.Handle, code), passwordless.ErrUnavailable, "removed")
	require.NoError(t, w.check(later.Handle, laterCode), "made with the promoted one")
	require.NoError(t, k.Replace(next, old))
	_, err := w.guess(started.Handle, code)
	require.NoError(t, err, "there again")
}

func TestAWrongRingReplacesNothing(t *testing.T) { // SK-1, OP-1
	index, one, two := passwordless.RandomKey(), ringKey("one"), ringKey("two")
	w, k := withKeyring(t, index, []passwordless.RingKey{one, two})
	twin := w.beside(index, one)
	for want, keys := range map[string][]passwordless.RingKey{
		`keys: at least one key is required`:         {},
		`keys[1].Secret: that of keys[0] too`:        {one, {ID: "three", Secret: one.Secret}},
		`keys[1].ID: used twice`:                     {one, {ID: "one", Secret: passwordless.RandomKey()}},
		`key "two": the ID is that of another key`:   {one, ringKey("two")},
		`key "one": the ID is that of another key`:   {{ID: "one", Secret: two.Secret}},
		`keys[1].Secret: want at least 32 random by`: {two, {ID: "weak", Secret: make([]byte, 40)}},
		`keys[0].Secret: want at least 32 random by`: {{ID: "short", Secret: passwordless.RandomKey()[:31]}, two},
		`keys[1].Secret: also the index key`:         {two, {ID: "index", Secret: index}},
		`keys[1].ID: want 1 to 16 letters, digits`:   {two, ringKey("a key")},
	} {
		err := k.Replace(keys...)
		require.ErrorContains(t, err, want)
		assert.True(t, strings.HasPrefix(err.Error(), "passwordless: replacing keys:\n"), err)
		for _, key := range append(keys, one, two) {
			assert.False(t, bytes.Contains([]byte(err.Error()), key.Secret) && len(key.Secret) > 0, "no secret in an error")
		}
		w.clock.advance(time.Hour)
		started, code := w.start(alice)
		require.NoError(t, twin.check(started.Handle, code), "%s: the first key is the first still", want)
	}
	var empty passwordless.Keyring
	require.ErrorContains(t, empty.Replace(one), "an empty Keyring", "a ring needs an index key")
	cfg := complete(t)
	cfg.Hasher = &empty
	require.Len(t, mistakes(t, cfg), 1)
	require.NoError(t, k.Replace(two, one), "and the keys can be replaced afterwards")
}

// A Service that was not given a key yet, or not any more, must not burn what others can still open.
func TestAMissingKeyCostsNothing(t *testing.T) { // SK-3, VF-4
	index, here, there := passwordless.RandomKey(), ringKey("here"), ringKey("there")
	w, _ := withKeyring(t, index, []passwordless.RingKey{here}, func(c *passwordless.Config) {
		c.Policy.Limits.Guesses = passwordless.Limit{Count: 3, Per: time.Hour}
	})
	other := w.beside(index, there)
	started, link, cancel := w.startLink(passwordless.SendBoth)
	code := w.outbox.last().Code.Reveal()
	w.clock.advance(time.Minute) // past cooldowns
	w.events.types()
	for range 10 {
		for _, typed := range []string{code, wrong(code), "x"} {
			_, err := other.guess(started.Handle, typed)
			require.ErrorIs(t, err, passwordless.ErrUnavailable)
			require.ErrorIs(t, other.check(started.Handle, typed), passwordless.ErrUnavailable)
		}
		_, err := other.redeem(keeping(home, started), link)
		require.ErrorIs(t, err, passwordless.ErrUnavailable)
		_, err = other.PeekLink(t.Context(), other.as("", home), link)
		require.ErrorIs(t, err, passwordless.ErrUnavailable)
		require.ErrorIs(t, other.Cancel(t.Context(), other.as("", home), cancel), passwordless.ErrUnavailable)
		_, err = other.Resend(t.Context(), other.as("web", home), started.Handle)
		require.ErrorIs(t, err, passwordless.ErrUnavailable)
	}
	for _, e := range w.events.types() {
		require.Equal(t, passwordless.EventFailed, e)
	}
	require.Len(t, w.outbox.messages(), 1)
	var refused *passwordless.ChallengeError
	_, err := w.guess(started.Handle, wrong(code))
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, 4, refused.AttemptsLeft)
	assert.Equal(t, int64(2), refused.Rate.Remaining, "no guess of the network was charged")
	l, err := w.guess(started.Handle, code)
	require.NoError(t, err)

	w.clock.advance(time.Hour)
	theirs, theirCode := other.start(alice)
	again, err := other.guessFrom(passwordless.Caller{IP: home.IP, Device: l.Device}, theirs.Handle, theirCode)
	require.NoError(t, err, "a device under a key that is not there is not known, and no more")
	assert.False(t, again.KnownDevice)
}

func TestWhatWasGrantedWaitsForItsKey(t *testing.T) { // SK-3, TK-10
	index, here, there := passwordless.RandomKey(), ringKey("here"), ringKey("there")
	w, _ := withKeyring(t, index, []passwordless.RingKey{here})
	other := w.beside(index, there)
	l := w.signIn(alice, passwordless.Issue{Session: true, Tokens: openid.Tokens,
		Code: &passwordless.AuthorizationRequest{RedirectURI: callback, CodeChallenge: codeChallenge}})
	exchange := passwordless.ExchangeRequest{Code: l.AuthorizationCode, RedirectURI: callback, Verifier: codeVerifier}
	for range 3 {
		_, err := other.Session(t.Context(), l.Session.Token)
		require.ErrorIs(t, err, passwordless.ErrUnavailable)
		_, err = other.refresh("web", l.Tokens.Refresh)
		require.ErrorIs(t, err, passwordless.ErrUnavailable)
		_, err = other.Exchange(t.Context(), other.as("web", home), exchange)
		require.ErrorIs(t, err, passwordless.ErrUnavailable)
		require.ErrorIs(t, other.Revoke(t.Context(), other.as("web", home), l.Tokens.Refresh), passwordless.ErrUnavailable)
	}
	_, err := w.Session(t.Context(), l.Session.Token)
	require.NoError(t, err)
	_, err = w.refresh("web", l.Tokens.Refresh)
	require.NoError(t, err)
	_, err = w.Exchange(t.Context(), w.as("web", home), exchange)
	require.NoError(t, err)
	require.NoError(t, other.RevokeUser(t.Context(), "", l.User.ID), "signing out needs no record's key")
	_, err = w.Session(t.Context(), l.Session.Token)
	require.ErrorIs(t, err, passwordless.ErrInvalidToken)
}

func TestNewTellsTheMistakesOfAKeyringAtOnce(t *testing.T) { // OP-1, SK-1
	cfg := complete(t)
	one := passwordless.RandomKey()
	cfg.AppName = ""
	cfg.Hasher = passwordless.NewKeyring(one[:20], passwordless.RingKey{ID: "a", Secret: one},
		passwordless.RingKey{ID: "a b", Secret: one},
		passwordless.RingKey{ID: "a", Secret: passwordless.RandomKey()}, passwordless.RingKey{ID: "c", Secret: one},
		passwordless.RingKey{ID: "d"})
	assert.ElementsMatch(t, []string{
		`AppName: want 1 to 64 bytes without control characters`,
		`Hasher: keys[1].ID: want 1 to 16 letters, digits, '-' or '_'`,
		`Hasher: keys[2].ID: used twice`,
		`Hasher: keys[3].Secret: that of keys[0] too`,
		`Hasher: keys[4].Secret: want at least 32 random bytes`,
		`Hasher: index key: want at least 32 random bytes`,
	}, mistakes(t, cfg))
}

func TestAKeyringWithoutKeysIsAMistakeAmongOthers(t *testing.T) { // OP-1: beside a client whose key is compared with its keys
	for want, k := range map[string]*passwordless.Keyring{
		"Hasher: an empty Keyring; use NewKeyring": {}, "Hasher: required; see NewKeyring": nil,
	} {
		cfg := complete(t)
		cfg.AppName, cfg.Hasher = "", k
		cfg.Clients = passwordless.ClientList{{ID: "web", Tokens: passwordless.TokenPolicy{Algorithm: passwordless.HS256},
			Keys: passwordless.ClientKeys{SecretHashes: []passwordless.SecretHash{passwordless.HashClientSecret("secret")},
				HS256Key: passwordless.RandomKey()}}}
		assert.ElementsMatch(t, []string{want, "AppName: want 1 to 64 bytes without control characters"}, mistakes(t, cfg))
	}
}

func TestAKeyringPrintsNothing(t *testing.T) { // SK-1, PR-1
	k := passwordless.NewKeyring(passwordless.RandomKey(), ringKey("k1"))
	made, err := k.RecordKey(t.Context(), "", [32]byte{})
	require.NoError(t, err)
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		assert.Equal(t, "passwordless.Keyring", fmt.Sprintf(format, k))
		assert.Equal(t, "RecordKey(k1)", fmt.Sprintf(format, made))
	}
}

// A vault is a Hasher like one that asks a key service: it counts how often it is asked, and fails when it is told to.
type vault struct {
	key            []byte
	id             string // of its key
	records, names int
	failAt         int   // the request that fails, counted from 1; 0: none
	fail           error // what it answers then
}

func newVault() *vault { return &vault{key: passwordless.RandomKey(), id: "v1"} }

func (v *vault) sum(label string, in []byte) (out [32]byte) {
	mac := hmac.New(sha256.New, v.key)
	mac.Write([]byte(label))
	mac.Write(in)
	return [32]byte(mac.Sum(nil))
}

func (v *vault) failure() error {
	if v.failAt != 0 && v.records+v.names >= v.failAt {
		return v.fail
	}
	return nil
}

func (v *vault) RecordKey(_ context.Context, id string, seed [32]byte) (passwordless.RecordKey, error) {
	v.records++
	if id != "" && id != v.id {
		return passwordless.RecordKey{}, fmt.Errorf("%w: no such key", passwordless.ErrUnavailable)
	}
	return passwordless.RecordKey{ID: v.id, Key: v.sum("record", seed[:])}, v.failure()
}

func (v *vault) IndexName(_ context.Context, parts []byte) ([32]byte, error) {
	v.names++
	return v.sum("index", parts), v.failure()
}

// asked is how often it was asked for records' keys and for names since the last call.
func (v *vault) asked() [2]int {
	n := [2]int{v.records, v.names}
	v.records, v.names = 0, 0
	return n
}

func withVault(t testing.TB, change ...func(*passwordless.Config)) (*world, *vault) {
	v := newVault()
	return newWorld(t, append(change, func(c *passwordless.Config) { c.Hasher = v })...), v
}

// A whole sign-in with a Hasher of the application's own, which is asked this often for the keys of records and for names.
func TestAHasherOfOnesOwnIsAskedSeldom(t *testing.T) { // SK-1
	w, v := withVault(t)
	known := w.signIn(alice, passwordless.Issue{})
	w.clock.advance(time.Hour)
	v.asked()
	step := func(what string, records, names int) {
		t.Helper()
		assert.Equal(t, [2]int{records, names}, v.asked(), what)
	}
	started, code := w.start(alice)
	step("start", 1, 2)
	_, err := w.guess(started.Handle, wrong(code))
	require.ErrorIs(t, err, passwordless.ErrWrongSecret)
	step("a wrong code, with the question who it is", 1, 4)
	require.NoError(t, w.check(started.Handle, code))
	step("a check", 1, 4)
	everything := passwordless.Issue{Session: true, Tokens: openid.Tokens,
		Code: &passwordless.AuthorizationRequest{RedirectURI: callback, CodeChallenge: codeChallenge,
			Scopes: []string{"offline_access"}}}
	caller := passwordless.Caller{IP: home.IP, Device: known.Device}
	l, err := w.Verify(t.Context(), w.as("web", caller), byCode(started.Handle, code, everything))
	require.NoError(t, err)
	assert.True(t, l.KnownDevice)
	step("a login with all there is, of a known device", 4, 5)
	_, err = w.Session(t.Context(), l.Session.Token)
	require.NoError(t, err)
	step("session", 1, 1)
	_, err = w.refresh("web", l.Tokens.Refresh)
	require.NoError(t, err)
	step("refresh", 1, 2)
	_, err = w.Exchange(t.Context(), w.as("web", home), passwordless.ExchangeRequest{Code: l.AuthorizationCode,
		RedirectURI: callback, Verifier: codeVerifier})
	require.NoError(t, err)
	step("exchange", 2, 4)
	require.NoError(t, w.Revoke(t.Context(), w.as("web", home), l.Session.Token))
	step("revoke", 1, 1)
	require.NoError(t, w.RevokeUser(t.Context(), "", l.User.ID))
	step("revoke user", 0, 1)

	w.clock.advance(time.Hour)
	_, err = w.startWith(inBrowser(caller), byAddress(alice))
	require.NoError(t, err)
	step("a start by address of a known device", 2, 4)
	_, err = w.startWith(inBrowser(caller), byAddress(alice))
	require.NoError(t, err)
	step("a repeated start", 3, 4)
	_, err = w.Verify(t.Context(), w.as("web", inBrowser(caller)), coded(alice, w.outbox.last().Code.Reveal()))
	require.NoError(t, err)
	step("a login by address, from a network that is new since", 3, 7)
	_, link, _ := w.startLink(passwordless.SendLink)
	v.asked()
	_, err = w.PeekLink(t.Context(), w.as("", home), link)
	require.NoError(t, err)
	step("peek", 1, 1)
}

// Whenever the Hasher fails, the call is over and nothing has happened, or it goes on without the cookie of the device.
func TestAHasherThatFailsCostsNothing(t *testing.T) { // SK-1, VF-4
	away := fmt.Errorf("vault: %w", passwordless.ErrUnavailable)
	w, v := withVault(t, unlimited)
	w.signIn(alice, passwordless.Issue{})
	w.clock.advance(time.Hour)
	complete := false
	for at := 1; !complete; at++ {
		require.Less(t, at, 10)
		started, code := w.start(alice)
		sent := len(w.outbox.messages())
		v.asked()
		v.failAt, v.fail = at, away
		_, err := w.startWith(home, byMail(alice))
		if v.failAt = 0; err != nil {
			require.ErrorIs(t, err, passwordless.ErrUnavailable)
			assert.Len(t, w.outbox.messages(), sent)
		}
		v.asked()
		v.failAt = at
		l, err := w.Verify(t.Context(), w.as("web", home), byCode(started.Handle, code, session))
		if v.failAt = 0; err == nil {
			complete = l.Device != ""
			continue
		}
		require.ErrorIs(t, err, passwordless.ErrUnavailable, "at request %d", at)
		l, err = w.guess(started.Handle, code)
		require.NoError(t, err, "at request %d: the code was not used up", at)
		assert.NotEmpty(t, l.Device)
	}
}

func TestAnErrorOfAHasherIsPassedOn(t *testing.T) { // SK-1
	w, v := withVault(t)
	broken := errors.New("vault: no session")
	started, code := w.start(alice)
	v.failAt, v.fail = 1, broken
	_, err := w.guess(started.Handle, code)
	require.ErrorIs(t, err, broken)
	require.NotErrorIs(t, err, passwordless.ErrUnavailable)
	_, err = w.startWith(home, byMail(alice))
	require.ErrorIs(t, err, broken)
	_, err = w.Directory().Add(t.Context(), "", passwordless.User{Email: "bob@example.com"})
	require.ErrorIs(t, err, broken)
	v.failAt, v.id = 0, "an ID that is none"
	_, err = w.startWith(home, byMail(alice))
	require.ErrorContains(t, err, "a key whose ID is not 1 to 16")
	v.id = "v1"
	_, err = w.guess(started.Handle, code)
	require.NoError(t, err)
}
