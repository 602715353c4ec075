package limit

import (
	"fmt"
	"strings"
)

// Stripes is how many rows a shared bucket is spread over.
func (l *Limits) Stripes() int { return l.stripes }

// The bounds that tests compute with.
const (
	MaxFailures = maxFailures
	MaxShift    = maxShift
	MaxStripes  = maxStripes
)

// Words tell what a plan may go without.
func (p *Plan) Words() string {
	var all []string
	for _, w := range []struct {
		is   bool
		word string
	}{
		{p.Sends, "sends"}, {p.Cancels, "cancels"}, {p.Known, "known"}, {p.noDevice, "no device"}, {p.long, "long"},
		{p.reserve, "reserve"}, {p.noBreaker, "no breaker"}, {p.noNuisance, "no nuisance"},
		{p.shift > 0, fmt.Sprint("shift ", p.shift)},
	} {
		if w.is {
			all = append(all, w.word)
		}
	}
	return strings.Join(all, ", ")
}
