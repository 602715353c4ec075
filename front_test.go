package passwordless_test

import (
	"net/netip"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
)

func TestThePolicyTellsWhichProxiesAreTrusted(t *testing.T) { // RL-6, OP-2
	w := newWorld(t)
	assert.Empty(t, w.Policy().Fronts)
	assert.Contains(t, w.Policy().String(), "none yet")
	networks := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::1/128")}
	w.NewFront("page")
	w.NewFront("auth0", networks...)
	w.NewFront("page") // told already
	w.NewFront("page", networks[0])
	r := w.Policy()
	assert.Equal(t, []string{
		"page: trusts no proxy; behind one all people share the limits of one network",
		"auth0: trusts X-Forwarded-For of 10.0.0.0/8, 2001:db8::1/128",
		"page: trusts X-Forwarded-For of 10.0.0.0/8",
	}, r.Fronts)
	for _, line := range r.Fronts {
		assert.Contains(t, r.String(), line)
	}
	assert.NotContains(t, r.String(), "none yet")
	r.Fronts[0] = ""
	assert.NotEmpty(t, w.Policy().Fronts[0], "it is a copy")
	assert.Empty(t, newService(t, w.cfg).Policy().Fronts, "they are of one Service")
}

func TestWhatIsNotBelievedIsReportedOnceAnHour(t *testing.T) { // RL-6, RL-18
	w := newWorld(t)
	pages, wire := w.NewFront("page"), w.NewFront("auth0")
	for range 3 {
		pages(t.Context(), "one header")
	}
	assert.Equal(t, []string{"page: one header"}, w.reasons())
	wire(t.Context(), "one header")
	pages(t.Context(), "another")
	assert.Equal(t, []string{"auth0: one header", "page: another"}, w.reasons(), "each by itself")
	w.clock.advance(time.Hour - 1)
	pages(t.Context(), "one header")
	assert.Empty(t, w.reasons())
	w.clock.advance(1)
	pages(t.Context(), "one header")
	assert.Len(t, w.reasons(), 1)
	w.clock.advance(-24 * time.Hour)
	pages(t.Context(), "one header")
	assert.Len(t, w.reasons(), 1, "a clock that was set back keeps nobody silent")
}

func TestNobodyHearsOfWhatIsNotBelieved(t *testing.T) {
	w := newWorld(t, func(c *passwordless.Config) { c.Events = nil })
	assert.NotPanics(t, func() { w.NewFront("page")(t.Context(), "a header") })
}

func TestTheDocumentationTellsOfEveryEvent(t *testing.T) {
	source, err := os.ReadFile("event.go")
	require.NoError(t, err)
	operations, err := os.ReadFile("docs/operations.md")
	require.NoError(t, err)
	events := regexp.MustCompile(`EventType += "([a-z_]+)"`).FindAllSubmatch(source, -1)
	require.Greater(t, len(events), 18)
	for _, e := range events {
		assert.Contains(t, string(operations), "`"+string(e[1])+"`")
	}
}
