//go:build !race

package passwordless_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// The race detector makes pools forget, so this runs without it, as a part of its own of "make test". The rendering of
// the message is in it, the sending is not.
func TestAFlowInMemoryAllocatesLittle(t *testing.T) {
	w := newWorld(t, unlimited, bare)
	i := 0
	allocations := testing.AllocsPerRun(200, func() {
		i++
		flow(t, w, i)
	})
	t.Logf("%.0f allocations a flow", allocations)
	assert.LessOrEqual(t, allocations, 36.0)
}
