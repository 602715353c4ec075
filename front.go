package passwordless

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

// A front is a handler that requests come in by, as far as the Service has to know it: whom it believes about where they
// come from.
type front struct {
	service *Service
	name    string

	mu   sync.Mutex // guards told
	told map[string]store.Instant
}

// NewFront is for handlers that read forwarding headers: package page, the wires, and handlers of your own. Its name and whom it
// believes are in PolicyReport.Fronts from then on: the X-Forwarded-For of the trusted networks, and of nobody if there are none.
// Call it once the handler is known to be free of mistakes.
//
// The handler calls ignored when a request named an address in a header that it does not believe or cannot read. It takes
// the address of the peer instead, and so all people behind one proxy may share the limits of one network.
// EventUntrustedForwarding tells of that, at most once an hour for each what: a fixed phrase that says which header, and
// nothing of its value. ignored is safe for concurrent use.
func (s *Service) NewFront(name string, trusted ...netip.Prefix) (ignored func(ctx context.Context, what string)) {
	s.fronts.add(name + ": " + believes(trusted))
	return (&front{service: s, name: name}).ignored
}

func (f *front) ignored(ctx context.Context, what string) {
	now := f.service.now()
	if f.service.events == nil || !f.tells(what, now) {
		return
	}
	f.service.emit(ctx, Event{Type: EventUntrustedForwarding, At: now.Time(), Reason: f.name + ": " + what})
}

// tells reports whether it is time to tell of something again.
func (f *front) tells(what string, now store.Instant) bool {
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

// fronts are what is known of the fronts of a Service, each line once.
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
