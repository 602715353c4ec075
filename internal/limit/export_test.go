package limit

import (
	"fmt"
	"strings"
)

// What the tests hold against the tables.
const (
	MaxStripes = maxStripes
	SampledFor = sampled
)

// Stripes is how many rows a shared bucket has.
func (l *Limits) Stripes() int { return l.stripes }

// Words tell what is in a plan.
func (p Plan) Words() string {
	words := []string{[...]string{"stranger", "network", "device"}[p.Rank],
		[...]string{"6", "7", "8", "9", "letters", "uncounted"}[p.Rung()]}
	for _, flag := range []struct {
		set  bool
		word string
	}{
		{p.Sends, "sends"}, {p.Cancels, "cancels"}, {p.noDevice, "no device"}, {p.askedNetwork, "asked network"},
		{p.askedHuman, "asked human"}, {p.vouched, "vouched"}, {p.reserve, "reserve"}, {p.noNuisance, "no nuisance"},
	} {
		if flag.set {
			words = append(words, flag.word)
		}
	}
	if p.shift > 0 {
		words = append(words, fmt.Sprint("shift ", p.shift))
	}
	return strings.Join(words, ", ")
}
