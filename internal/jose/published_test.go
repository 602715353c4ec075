package jose_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless/internal/jose"
)

// A publisher is where a client publishes its key set.
type publisher struct {
	*httptest.Server
	mu      sync.Mutex // guards all below
	answer  http.HandlerFunc
	fetched int
}

// A reader reads what a publisher publishes.
type reader struct {
	*jose.KeySets
	t     testing.TB
	clock *clock
	url   string
}

// newPublisher makes a publisher, a reader, and the client whose key is published.
func newPublisher(t *testing.T) (*publisher, *reader, signatory) {
	p := &publisher{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.fetched++
		answer := p.answer
		p.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(p.Close)
	s := newSignatory(t)
	p.publish(jwks(t, s.public(member{"kid": "c1"})))
	return p, &reader{jose.NewKeySets(s.clock.Now), t, s.clock, p.URL + "/jwks"}, s
}

func (p *publisher) publish(set string) {
	p.respond(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, set) })
}

func (p *publisher) respond(answer http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

func (p *publisher) fail() {
	p.respond(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "sesame", http.StatusBadGateway) })
}

// fetches returns how often the set was fetched since the last call.
func (p *publisher) fetches() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.fetched
	p.fetched = 0
	return n
}

// signed asks whether the key of the URL signed the assertion.
func (w *reader) signed(ctx context.Context, url, text string) (bool, error) {
	w.t.Helper()
	a, err := jose.ReadAssertion(text)
	require.NoError(w.t, err)
	return w.Signed(ctx, url, &a)
}

// accepts, refuses and unavailable present an assertion that a published key signed, that none signed, and of which
// nobody can tell.
func (w *reader) accepts(text, rule string) {
	w.t.Helper()
	signed, err := w.signed(w.t.Context(), w.url, text)
	require.NoError(w.t, err, rule)
	assert.True(w.t, signed, rule)
}

func (w *reader) refuses(text, rule string) {
	w.t.Helper()
	signed, err := w.signed(w.t.Context(), w.url, text)
	require.NoError(w.t, err, rule)
	assert.False(w.t, signed, rule)
}

func (w *reader) unavailable(text, rule string) {
	w.t.Helper()
	signed, err := w.signed(w.t.Context(), w.url, text)
	require.ErrorIs(w.t, err, jose.ErrNoKeys, rule)
	assert.NotContains(w.t, err.Error(), "sesame", rule)
	assert.False(w.t, signed, rule)
}

// unknown is an assertion that names a key that is not there, so a stranger could have written it.
func (s signatory) unknown() string { return s.sign(s.claims(), member{"kid": "unknown"}) }

func TestAKeySetIsFetchedAndKept(t *testing.T) { // CA-1
	p, w, s := newPublisher(t)
	var header http.Header
	set := jwks(t, s.public(member{"kid": "c1"}))
	p.respond(func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		http.SetCookie(w, &http.Cookie{Name: "c", Value: "v"})
		_, _ = fmt.Fprint(w, set)
	})
	for range 3 {
		w.accepts(s.assertion(), "without a kid")
		w.accepts(s.sign(s.claims(), member{"kid": "c1"}), "with one")
	}
	assert.Equal(t, 1, p.fetches())
	assert.Contains(t, header.Get("Accept"), "application/jwk-set+json")
	w.clock.advance(10*time.Minute - 1)
	w.accepts(s.assertion(), "nearly ten minutes")
	assert.Zero(t, p.fetches())
	w.clock.advance(1)
	w.accepts(s.assertion(), "ten minutes")
	assert.Equal(t, 1, p.fetches())
	assert.Empty(t, header.Get("Cookie"))
	w.clock.advance(-24 * time.Hour)
	w.accepts(s.assertion(), "a clock that steps back")
	assert.Equal(t, 1, p.fetches())
	other := *w
	other.KeySets = jose.NewKeySets(w.clock.Now)
	other.accepts(s.assertion(), "another cache")
	assert.Equal(t, 1, p.fetches())
}

func TestARotatedKeyIsFoundAtOnce(t *testing.T) { // CA-1
	p, w, s := newPublisher(t)
	old := s
	w.accepts(old.assertion(), "the old key")
	s.key = ecKey(t)
	p.publish(jwks(t, s.public(member{"kid": "c2"})))
	w.clock.advance(time.Minute)
	w.refuses(s.assertion(), "a key without a name is not looked for")
	w.accepts(s.sign(s.claims(), member{"kid": "c2"}), "the new key")
	assert.Equal(t, 2, p.fetches())
	w.refuses(old.assertion(), "the old key is gone")
	p.publish(`{"keys":[]}`)
	w.clock.advance(10 * time.Minute)
	w.refuses(s.assertion(), "every key is gone")
}

func TestAPublishedKeyWithoutAKidServesEveryKid(t *testing.T) { // CA-1
	p, w, s := newPublisher(t)
	p.publish(jwks(t, s.public(), jwkOf(t, ecKey(t).Public(), member{"kid": "c1"})))
	for range 3 {
		w.accepts(s.unknown(), "a kid that no key has, which the key without one signed")
		w.clock.advance(2 * time.Minute)
	}
	assert.Equal(t, 1, p.fetches(), "there is nothing to look for")
	rotated := s
	rotated.key = ecKey(t)
	p.publish(jwks(t, s.public(), rotated.public(member{"kid": "c2"})))
	w.refuses(rotated.sign(s.claims(), member{"kid": "c1"}), "a kid that some key has is not looked for")
	assert.Zero(t, p.fetches())
	w.accepts(rotated.sign(s.claims(), member{"kid": "c2"}), "a kid that no key has, which none signed, is looked for")
	assert.Equal(t, 1, p.fetches())
	for range 59 {
		w.refuses(rotated.unknown(), "unknown kid, signed by none without one")
		w.accepts(s.unknown(), "unknown kid, signed by the key without one")
		w.clock.advance(time.Second)
	}
	assert.Zero(t, p.fetches(), "once a minute")
	p.fail()
	w.clock.advance(time.Minute)
	w.accepts(s.unknown(), "the key without one needs no answer")
	w.refuses(rotated.unknown(), "unknown kid, and the URL fails")
	assert.Equal(t, 1, p.fetches())
}

func TestAFloodOfUnknownKeysDoesNotReachTheURL(t *testing.T) { // CA-1, TK-3
	p, w, s := newPublisher(t)
	w.accepts(s.assertion(), "the first")
	for range 30 {
		w.refuses(s.unknown(), "unknown kid")
		w.clock.advance(2 * time.Second)
	}
	assert.Equal(t, 1, p.fetches(), "within a minute")
	for range 60 {
		w.refuses(s.unknown(), "unknown kid")
		w.clock.advance(2 * time.Second)
	}
	assert.Equal(t, 2, p.fetches(), "in two more")
	p.fail()
	w.clock.advance(time.Minute)
	for range 30 {
		w.refuses(s.unknown(), "unknown kid, and the URL fails")
		w.accepts(s.assertion(), "which is nothing to the others")
		w.clock.advance(time.Second)
	}
	assert.Equal(t, 1, p.fetches(), "a fetch that failed counts")
}

func TestAKeySetOutlivesAnOutage(t *testing.T) { // CA-1, OP-9
	p, w, s := newPublisher(t)
	w.accepts(s.assertion(), "fetched")
	p.fail()
	w.clock.advance(time.Hour - time.Second)
	p.fetches()
	for range 10 {
		w.accepts(s.assertion(), "nearly an hour old")
	}
	assert.Equal(t, 1, p.fetches(), "one fetch a minute")
	w.clock.advance(time.Second)
	w.unavailable(s.assertion(), "an hour old")
	p.publish(jwks(t, s.public()))
	w.unavailable(s.assertion(), "no new fetch at once")
	w.clock.advance(5 * time.Second)
	w.accepts(s.assertion(), "the outage is over")
}

func TestAKeySetThatCannotBeHad(t *testing.T) { // CA-1: redirects, sizes and forms
	p, w, s := newPublisher(t)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a redirect was followed")
	}))
	t.Cleanup(elsewhere.Close)
	set := jwks(t, s.public())
	text := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, body) }
	}
	for rule, answer := range map[string]http.HandlerFunc{
		"a redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) },
		"status 201": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			_, _ = fmt.Fprint(w, set)
		},
		"status 404":       func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "sesame", http.StatusNotFound) },
		"too large":        text(set + strings.Repeat(" ", 64<<10)),
		"without end":      endless,
		"HTML":             text("<html>sesame</html>"),
		"a key, not a set": text(`{"kty":"sesame"}`),
		"seventeen keys":   text(`{"keys":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}`),
		"cut short": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5000")
			_, _ = fmt.Fprint(w, set)
		},
		"broken off": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		w.clock.advance(5 * time.Second)
		p.respond(answer)
		w.unavailable(s.assertion(), rule)
	}
	w.clock.advance(5 * time.Second)
	p.publish(set)
	w.accepts(s.assertion(), "at last")
}

// endless writes until nobody reads any more.
func endless(w http.ResponseWriter, _ *http.Request) {
	for {
		if _, err := fmt.Fprint(w, strings.Repeat(" ", 1<<16)); err != nil {
			return
		}
	}
}

func TestKeysOfOtherKindsArePassedOver(t *testing.T) { // CA-1, TK-1
	p, w, s := newPublisher(t)
	p.publish(jwks(t, member{"kty": "oct", "k": "AA", "kid": "c1"}, member{"kty": "AKP"},
		jwkOf(t, ecKey(t).Public(), member{"use": "enc"}),
		jwkOf(t, ecKey(t).Public(), member{"kid": "c1"}), s.public(member{"kid": "c1"})))
	w.accepts(s.sign(s.claims(), member{"kid": "c1"}), "the last of them")
	p.publish(jwks(t, s.public(member{"d": "AA"})))
	w.clock.advance(10 * time.Minute)
	w.refuses(s.assertion(), "a private key that is published is everybody's")
}

func TestCallersShareAFetch(t *testing.T) { // CA-1
	p, w, s := newPublisher(t)
	set := jwks(t, s.public())
	arrived, release := make(chan struct{}, 64), make(chan struct{})
	p.respond(func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-release
		_, _ = fmt.Fprint(w, set)
	})
	var wait sync.WaitGroup
	ask := func() { wait.Go(func() { w.accepts(s.assertion(), "shared") }) }
	ask()
	<-arrived
	for range 32 {
		ask()
	}
	impatient, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := w.signed(impatient, w.url, s.assertion())
	require.ErrorIs(t, err, context.DeadlineExceeded, "who waits for another's fetch need not wait for ever")
	close(release)
	wait.Wait()
	assert.Equal(t, 1, p.fetches())
}

func TestCallersShareAFetchThatFails(t *testing.T) { // CA-1: whoever waits for a URL that hangs does not then ask it again
	p, w, s := newPublisher(t)
	arrived, release := make(chan struct{}, 64), make(chan struct{})
	p.respond(func(rw http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-release
		w.clock.advance(5 * time.Second) // as long as a fetch may take
		http.Error(rw, "sesame", http.StatusBadGateway)
	})
	var wait sync.WaitGroup
	ask := func() {
		wait.Go(func() {
			_, err := w.signed(t.Context(), w.url, s.assertion())
			assert.ErrorIs(t, err, jose.ErrNoKeys)
		})
	}
	ask()
	<-arrived
	for range 8 {
		ask()
	}
	close(release)
	wait.Wait()
	assert.Equal(t, 1, p.fetches())
	p.publish(jwks(t, s.public()))
	w.unavailable(s.assertion(), "nor is there a new fetch at once")
	w.clock.advance(5 * time.Second)
	w.accepts(s.assertion(), "five seconds after the end of the last")
}

func TestACallerWhoLeavesDoesNotSpoilTheFetch(t *testing.T) { // CA-1: nor make another
	p, w, s := newPublisher(t)
	set := jwks(t, s.public())
	ctx, cancel := context.WithCancel(t.Context())
	p.respond(func(w http.ResponseWriter, _ *http.Request) {
		cancel()
		_, _ = fmt.Fprint(w, set)
	})
	_, err := w.signed(ctx, w.url, s.assertion())
	require.NoError(t, err, "whoever fetches goes on")
	w.accepts(s.assertion(), "the set is there")
	assert.Equal(t, 1, p.fetches())
}

func TestOnlySoManyKeySetsAreKept(t *testing.T) { // CA-1: a cache that cannot fill the memory, nor be emptied by strangers
	const kept = 4096
	p, w, s := newPublisher(t)
	a, err := jose.ReadAssertion(s.unknown())
	require.NoError(t, err)
	// forged names an unknown key of a client and is signed with none: it costs nothing to make.
	forged := func(i int) {
		signed, err := w.Signed(t.Context(), fmt.Sprint(p.URL, "/c", i), &a)
		require.NoError(t, err)
		require.False(t, signed)
	}
	for i := range kept {
		forged(i)
	}
	assert.Equal(t, kept, p.fetches())
	for i := range kept {
		forged(i)
	}
	assert.Zero(t, p.fetches(), "once a minute at most, of as many as are kept")
	forged(kept)
	assert.Equal(t, 1, p.fetches())
	forged(1)
	assert.Zero(t, p.fetches())
	forged(0)
	assert.Equal(t, 1, p.fetches(), "the oldest had made room")
}
