package passwordless

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

// A Front is a handler that requests come in by, as far as the Service has to know it: whom it believes about where they
// come from. Package page and the wires make theirs; a handler of your own that reads forwarding headers can too. NewFront
// makes one; the zero Front does not work. It is safe for concurrent use.
type Front struct {
	service *Service
	name    string

	mu   sync.Mutex // guards told
	told map[string]store.Instant
}

// NewFront returns the Front of a handler that believes the X-Forwarded-For of the trusted networks, and of nobody if
// there are none. PolicyReport.Fronts tells of it from then on, by its name. Make it once the handler is known to be
// free of mistakes.
func (s *Service) NewFront(name string, trusted ...netip.Prefix) *Front {
	s.fronts.add(name + ": " + believes(trusted))
	return &Front{service: s, name: name}
}

// Ignored reports an EventUntrustedForwarding: a request named an address, in a header that the handler does not
// believe or cannot read. It takes the address of the peer instead, and so all people behind one proxy may share the
// limits of one network. what is a fixed phrase that says which header, and nothing of its value. Each is reported at
// most once an hour for each Front.
func (f *Front) Ignored(ctx context.Context, what string) {
	now := f.service.now()
	if f.service.events == nil || !f.tells(what, now) {
		return
	}
	f.service.emit(ctx, Event{Type: EventUntrustedForwarding, At: now.Time(), Reason: f.name + ": " + what})
}

// tells reports whether it is time to tell of something again.
func (f *Front) tells(what string, now store.Instant) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	last, told := f.told[what]
	wait := last.Add(time.Hour) - now
	if told && wait > 0 && wait <= store.Instant(time.Hour) { // longer is a clock that was set back
		return false
	}
	if f.told == nil {
		f.told = map[string]store.Instant{}
	}
	f.told[what] = now
	return true
}

// Format prints the name alone, for every verb: a Front leads to the Service.
func (f *Front) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "Front(%s)", f.name) }

// believes says in a line whom a handler believes, and what that means.
func believes(trusted []netip.Prefix) string {
	if len(trusted) == 0 {
		return "trusts no proxy; behind one all people share the limits of one network"
	}
	networks := make([]string, len(trusted))
	for i, n := range trusted {
		networks[i] = n.String()
	}
	return "trusts X-Forwarded-For of " + strings.Join(networks, ", ")
}

// fronts are what is known of the Fronts of a Service, each line once.
type fronts struct {
	mu    sync.Mutex // guards lines
	lines []string
}

func (f *fronts) add(line string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Contains(f.lines, line) {
		f.lines = append(f.lines, line)
	}
}

func (f *fronts) all() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.lines)
}
