package passwordless_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/store/storetest"
)

func TestOfParallelExchangesOneWins(t *testing.T) { // TK-12, SK-4
	w := newCodeWorld(t)
	services := []*world{w.world, w.second()}
	l := w.codeFor("web", asking("offline_access"))
	w.events.types()
	var mu sync.Mutex // guards won
	var won []passwordless.Login
	var group sync.WaitGroup
	start := make(chan struct{})
	for i := range 64 {
		group.Go(func() {
			<-start
			got, err := services[i%2].Exchange(t.Context(), services[i%2].as("web", home), of(l))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won = append(won, got)
				return
			}
			assert.ErrorIs(t, err, passwordless.ErrReusedToken)
		})
	}
	close(start)
	group.Wait()
	require.Len(t, won, 1)
	assert.False(t, w.refreshes(won[0]), "whoever else has the code is a thief, or the winner is")
	assert.Zero(t, w.families(l.User.ID))
	count := map[passwordless.EventType]int{}
	for _, e := range w.events.types() {
		count[e]++
	}
	assert.Equal(t, map[passwordless.EventType]int{passwordless.EventTokenCreated: 1, passwordless.EventTokenReuse: 63,
		passwordless.EventRevoked: 1}, withoutFailed(count))
}

func TestOfTwoExchangesThatBothSawTheCodeOneWins(t *testing.T) { // TK-12: the code is used up by a conditional write
	w, faulty := newFaultyCodes(t)
	l := w.codeFor("web", asking("offline_access"))
	var won passwordless.Login
	faulty.Spoil(storetest.Commit, 1, func(_ context.Context, call func() error) error {
		var err error
		won, err = w.exchange(l)
		require.NoError(t, err)
		return call()
	})
	_, err := w.exchange(l)
	require.ErrorIs(t, err, passwordless.ErrReusedToken)
	assert.False(t, w.refreshes(won))
	assert.Zero(t, w.families(l.User.ID))
}

func TestARevocationDuringAnExchangeEndsItsFamily(t *testing.T) { // AC-6
	w, faulty := newFaultyCodes(t)
	for _, method := range []storetest.Method{storetest.Load, storetest.Commit} {
		for trip := 1; trip <= 3; trip++ {
			l := w.codeFor("web", asking("offline_access"))
			faulty.Spoil(method, trip, func(_ context.Context, call func() error) error {
				require.NoError(t, w.RevokeUser(t.Context(), "", l.User.ID))
				return call()
			})
			got, err := w.exchange(l)
			faulty.Heal()
			if err != nil {
				justInvalid(t, got, err, "seen in time")
				continue
			}
			revoked := method != storetest.Commit || trip == 1 // later trips are not made
			assert.Equal(t, !revoked, w.refreshes(got), "%v %d", method, trip)
		}
	}
}

// withoutFailed leaves out the refusal of the refresh that a test made itself.
func withoutFailed(count map[passwordless.EventType]int) map[passwordless.EventType]int {
	delete(count, passwordless.EventLoginFailed)
	return count
}

// A presentation is a request for an exchange, and the client that makes it.
type presentation struct {
	client string
	passwordless.ExchangeRequest
}

// others are requests for a code of the client "web" that are not the right one, and why.
func others(l passwordless.Login) map[string]presentation {
	all := map[string]presentation{}
	change := func(why string, f func(*presentation)) {
		r := presentation{l.Client, of(l)}
		f(&r)
		all[why] = r
	}
	for _, id := range []string{"twin", "backend", "loose"} {
		change("another client, "+id, func(r *presentation) { r.client = id })
	}
	for why, uri := range map[string]string{"none": "", "another registered one": callback + "/2",
		"a prefix": callback[:len(callback)-1], "a longer one": callback + "/", "a query": callback + "?",
		"a port": "https://app.example.com:443/cb", "another case": "https://APP.example.com/cb",
		"http": "http://app.example.com/cb", "user information": "https://x@app.example.com/cb", "a fragment": callback + "#",
		"an escape": "https://app.example.com/%63b", "dots": "https://app.example.com/x/../cb", "a space": callback + " ",
		"another's": "https://evil.example/cb"} {
		change("redirect URI: "+why, func(r *presentation) { r.RedirectURI = uri })
	}
	for why, v := range map[string]passwordless.Secret{"none": "", "the challenge itself (plain)": codeChallenge,
		"another": altered(codeVerifier), "cut short": codeVerifier[:42], "longer": codeVerifier + "A",
		"padded": codeVerifier + "=", "a space": codeVerifier + " "} {
		change("verifier: "+why, func(r *presentation) { r.Verifier = v })
	}
	return all
}

func TestOnlyTheRightRequestExchangesACode(t *testing.T) { // TK-12, TK-13, LK-9, BD-3, CA-4
	w := newCodeWorld(t)
	l := w.codeFor("web", asking("offline_access"))
	w.events.types()
	for why, req := range others(l) {
		got, err := w.Exchange(t.Context(), w.as(req.client, home), req.ExchangeRequest)
		justInvalid(t, got, err, why)
	}
	_, err := w.Trusted(t.Context(), "nobody", home)
	require.ErrorIs(t, err, passwordless.ErrUnknownClient)
	assert.Empty(t, w.events.types())
	got, err := w.exchange(l)
	require.NoError(t, err, "nothing was used up")

	w.events.types()
	for why, req := range others(l) {
		again, err := w.Exchange(t.Context(), w.as(req.client, home), req.ExchangeRequest)
		justInvalid(t, again, err, "used before; "+why)
	}
	assert.Empty(t, w.events.types(), "a second use by another tells nothing and revokes nothing")
	assert.True(t, w.refreshes(got))
}

// someFaults are what can happen to a call of the store, by name. In a bubble of synctest, whose clock moves on when all wait,
// the hanging one takes no time, and no other runs out of it.
func someFaults() map[string]storetest.Fault {
	return map[string]storetest.Fault{"unavailable": storetest.Unavailable(), "lost request": storetest.LostRequest(),
		"lost answer": storetest.LostAnswer(), "hanging": storetest.Hang(), "failing": storetest.Fail(errBroken)}
}

func TestAFailingStoreIsNeverAnExchange(t *testing.T) { // VF-12
	synctest.Test(t, func(t *testing.T) {
		w, faulty := newFaultyCodes(t)
		w.codeFor("web", asking())
		for name, fault := range someFaults() {
			for _, method := range []storetest.Method{storetest.Load, storetest.Commit} {
				for trip := 1; trip <= 5; trip++ {
					l := w.codeFor("web", asking("openid", "offline_access"))
					before := w.families(l.User.ID)
					faulty.Spoil(method, trip, fault)
					got, err := w.exchange(l)
					faulty.Heal()
					what := fmt.Sprint(name, " ", method, " ", trip)
					if err != nil {
						assert.True(t, typed(err), "%s: %v", what, err)
						assert.Zero(t, got, what)
						assert.Equal(t, before, w.families(l.User.ID), what)
						got, err = w.exchange(l)
					}
					require.NoError(t, err, "%s: nothing was used up without an answer", what)
					require.True(t, w.refreshes(got), what)
					require.Equal(t, before+1, w.families(l.User.ID), what)
					require.NoError(t, w.Revoke(t.Context(), w.as("", home), got.Tokens.Refresh))
				}
			}
		}
	})
}

func TestAStoreThatIsDownExchangesNothing(t *testing.T) { // VF-12
	synctest.Test(t, func(t *testing.T) {
		for name, fault := range someFaults() {
			for _, method := range []storetest.Method{storetest.Load, storetest.Commit} {
				w, faulty := newFaultyCodes(t)
				l := w.codeFor("web", asking("offline_access"))
				faulty.SpoilAll(method, fault)
				got, err := w.exchange(l)
				if name == "lost answer" && method == storetest.Commit {
					require.NoError(t, err, "the record tells that it was applied")
					continue
				}
				require.Error(t, err)
				assert.True(t, typed(err), "%v", err)
				assert.Zero(t, got)
			}
		}
	})
}

func TestALostAnswerDoesNotLoseTheExchange(t *testing.T) { // SK-4
	for lost := 1; lost <= 3; lost++ {
		w, faulty := newFaultyCodes(t)
		l := w.codeFor("web", asking("offline_access"))
		for n := range lost {
			faulty.Spoil(storetest.Commit, n+1, storetest.LostAnswer())
		}
		got, err := w.exchange(l)
		require.NoError(t, err, "%d answers lost: the commit is found applied", lost)
		require.Equal(t, 1, w.families(l.User.ID))
		require.True(t, w.refreshes(got))
		_, err = w.exchange(l)
		require.ErrorIs(t, err, passwordless.ErrReusedToken)
		require.False(t, w.refreshes(got))
	}
}

func TestACancelledExchangeLeavesNothing(t *testing.T) { // HT-9
	w, faulty := newFaultyCodes(t)
	for trip := 1; trip <= 5; trip++ {
		for _, method := range []storetest.Method{storetest.Load, storetest.Commit} {
			l := w.codeFor("web", asking("offline_access"))
			before := w.families(l.User.ID)
			ctx, cancel := context.WithCancel(t.Context())
			faulty.Spoil(method, trip, func(ctx context.Context, call func() error) error {
				cancel()
				return storetest.Hang()(ctx, call)
			})
			got, err := w.Exchange(ctx, w.as("web", home), of(l))
			cancel()
			faulty.Heal()
			if err == nil {
				continue // that trip was not made
			}
			require.ErrorIs(t, err, context.Canceled)
			assert.Zero(t, got)
			assert.Equal(t, before, w.families(l.User.ID))
			_, err = w.exchange(l)
			require.NoError(t, err, "the code was not used up")
		}
	}
}

func TestAnExchangeWhoseCallerLeftIsUsedUpAtMost(t *testing.T) { // HT-9: committed, and nobody waits for the answer
	w, faulty := newFaultyCodes(t)
	l := w.codeFor("web", asking("offline_access"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	faulty.Spoil(storetest.Commit, 1, func(ctx context.Context, call func() error) error {
		err := storetest.LostAnswer()(ctx, call)
		cancel()
		return err
	})
	got, err := w.Exchange(ctx, w.as("web", home), of(l))
	require.ErrorIs(t, err, passwordless.ErrUncertain)
	assert.Zero(t, got)
	_, err = w.exchange(l)
	require.ErrorIs(t, err, passwordless.ErrReusedToken, "the next try ends the family of which nobody has a token")
	assert.Zero(t, w.families(l.User.ID))
}

func TestASecondUseDoesNotWaitForEver(t *testing.T) { // HT-9
	synctest.Test(t, func(t *testing.T) {
		w, faulty := newFaultyCodes(t)
		l := w.codeFor("web", asking("offline_access"))
		got, err := w.exchange(l)
		require.NoError(t, err)
		faulty.Spoil(storetest.Load, 2, storetest.Hang())
		_, err = w.exchange(l)
		require.ErrorIs(t, err, passwordless.ErrReusedToken)
		require.ErrorIs(t, err, context.DeadlineExceeded, "it is told that the family may live")

		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		faulty.Spoil(storetest.Load, 1, func(_ context.Context, call func() error) error {
			defer cancel()
			return call()
		})
		_, err = w.Exchange(ctx, w.as("web", home), of(l))
		require.ErrorIs(t, err, passwordless.ErrReusedToken)
		assert.False(t, w.refreshes(got), "a thief who hangs up does not stop the revocation")
	})
}

func TestTripsOfAnExchange(t *testing.T) { // numbers a person waits for
	for name, c := range map[string]struct {
		users passwordless.Users
		trips int
	}{"the application's users": {proved{}, 3}, "built-in directory": {nil, 4}} {
		w, faulty := newFaultyCodes(t)
		w.cfg.Users = c.users
		w.Service = newService(t, w.cfg)
		l := w.codeFor("web", asking("openid", "offline_access"))
		before := faulty.Trips()
		_, err := w.exchange(l)
		require.NoError(t, err)
		made := faulty.Trips().Sub(before)
		assert.Equal(t, c.trips, made.Loads+made.Commits, name)
	}
}

func TestAChangedCodeIsNotExchanged(t *testing.T) { // TK-12; truncated and re-encoded tokens
	w := newCodeWorld(t)
	l := w.codeFor("web", asking("offline_access"))
	text := l.AuthorizationCode.Reveal()
	require.Len(t, text, 64)
	raw, err := base64.RawURLEncoding.DecodeString(text)
	require.NoError(t, err)
	changed := []string{"", text + "A", text + "=", text + "\n", " " + text, text + text, "%" + text[1:], strings.ToUpper(text),
		strings.ToLower(text),
		strings.Repeat("\n", 64), strings.Repeat("\r\n",
			32), text[:60] + "\n\n\n\n", hex.EncodeToString(raw), base64.StdEncoding.EncodeToString(raw) + "=",
		base64.RawURLEncoding.EncodeToString(append(raw, 0))}
	for n := range text {
		changed = append(changed, text[:n], text[n:]+"\x00")
		for _, c := range "Az-_=\n+/ \x00é" {
			changed = append(changed, text[:n]+string(c)+text[n+1:])
		}
	}
	for i := range raw {
		for bit := range 8 {
			flipped := bytes.Clone(raw)
			flipped[i] ^= 1 << bit
			changed = append(changed, base64.RawURLEncoding.EncodeToString(flipped))
		}
	}
	for _, code := range changed {
		if code == text {
			continue
		}
		req := of(l)
		req.Code = passwordless.Secret(code)
		got, err := w.Exchange(t.Context(), w.as("web", home), req)
		justInvalid(t, got, err, fmt.Sprintf("%q", code))
	}
	_, err = w.exchange(l)
	require.NoError(t, err, "and none of them used it up")
}
