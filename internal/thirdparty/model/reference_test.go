// Package model_test compares the challenge machine with a simple model of it: random calls
// of two Services on one store, with faults of the store, rotated keys and a clock that
// jumps, and real concurrent ones.
package model_test

import (
	"fmt"
	"slices"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

const (
	attempts    = 5
	strangers   = 2 // of them, where there is no handle
	mostResends = 3
	life        = 10 * time.Minute
	retention   = time.Hour
	resendAfter = 30 * time.Second
	startAfter  = 30 * time.Second
	skew        = 2 * time.Second
)

// A ref is one way in which a challenge may be, in the words of docs/machines.md. It is
// compared with ==.
type ref struct {
	state                           string
	used, most                      [2]int // by the initiator, by strangers
	resends                         int
	started, sent, touched, expires store.Instant
	key                             string // of its secrets
	code, link, cancel              string // "" if nobody was ever told them
	size                            int    // of the code
}

// made is a challenge that was started with a key.
func made(at store.Instant, key string) ref {
	return ref{state: "open", most: [2]int{attempts, 0}, started: at, sent: at, touched: at, expires: at.Add(life), key: key}
}

// keys are the ring keys that there still are.
type keys map[string]bool

// A moment is when something happens, and what was before.
type moment struct {
	now     store.Instant // by the clock, or by what was written last
	clock   store.Instant
	known   keys
	revoked store.Instant // what began until then is over, for whoever would sign in
}

// live returns the state at a moment.
func (r ref) live(at moment) string {
	switch {
	case r.state != "open":
		return r.state
	case at.now >= r.expires, r.started > at.clock.Add(lead):
		return "expired"
	case r.started <= at.revoked:
		return "revoked"
	}
	return "open"
}

// lost answers for a challenge that is not loaded, or cannot be read without its key.
func (r ref) lost(at moment) string {
	switch {
	case r.gone(at.now):
		return "unknown"
	case !at.known[r.key]:
		return "no key"
	}
	return ""
}

// unasked returns the moment of a call that presents nothing that signs in: nobody asks whether the user was signed out.
func (at moment) unasked() moment {
	at.revoked = 0
	return at
}

// on returns the moment by the clock of the challenge, which never goes back.
func (at moment) on(r ref) moment {
	if r.touched <= at.clock.Add(24*time.Hour) {
		at.now = max(at.now, r.touched)
	}
	return at
}

// lead is how far ahead the clock may have been that began a challenge.
const lead = 10 * time.Minute

// gone tells whether the record is not loaded any more.
func (r ref) gone(now store.Instant) bool { return now >= r.expires.Add(retention) }

// alive tells whether a repeated start is answered with this challenge.
func (r ref) alive(now store.Instant) bool {
	return !r.gone(now) && r.live(moment{now: now, clock: now}) == "open" && r.used[0] < r.most[0]
}

// dead answers for a challenge that is over; the first to see its end writes it.
func (r ref) dead(at moment) (string, ref) {
	state := r.live(at)
	if state != r.state {
		r.state, r.touched = state, at.now
	}
	return state, r
}

// guess is a code typed by the initiator (0) or a stranger (1).
func (r ref) guess(at moment, side int, typed string, check bool) (string, ref) {
	if word := r.lost(at); word != "" {
		return word, r
	}
	if at = at.on(r); r.live(at) != "open" {
		return r.dead(at)
	}
	left := r.most[side] - r.used[side]
	switch {
	case left == 0:
		return "exhausted", r
	case !shaped(typed, r.size):
		return fmt.Sprintf("malformed, %d left", left), r
	}
	r.used[side]++
	r.touched = at.now
	left--
	switch {
	case typed == r.code:
		if check && left == 0 {
			r.used[side]-- // it is to be presented once more
		}
		if check {
			return "right", r
		}
		r.state = "consumed"
		return "login", r
	case left > 0:
		return fmt.Sprintf("wrong, %d left", left), r
	case r.used == r.most:
		r.state = "exhausted"
	}
	return "exhausted", r
}

// shaped tells whether a code could be of the length that the challenge has.
func shaped(typed string, size int) bool { return len(typed) == size }

// redeem is a link opened in the browser that asked, or elsewhere.
func (r ref) redeem(at moment, typed string, same bool) (string, ref) {
	if word := r.lost(at); word != "" {
		return word, r
	}
	if typed != r.link {
		return "wrong, 0 left", r
	}
	if at = at.on(r); r.live(at) != "open" {
		return r.dead(at)
	}
	if !same {
		return "elsewhere " + r.code, r
	}
	r.state, r.touched = "consumed", at.now
	return "login", r
}

// notMe is the link of whoever did not ask.
func (r ref) notMe(at moment, typed string) (string, ref) {
	if word := r.lost(at); word != "" {
		return word, r
	}
	if typed != r.cancel {
		return "wrong, 0 left", r
	}
	if at = at.unasked().on(r); r.live(at) != "open" {
		return r.dead(at)
	}
	r.state, r.touched = "cancelled", at.now
	return "done", r
}

// resend sends again. The secrets are forgotten if new ones are made: the message tells them.
func (r ref) resend(at moment, replace bool) (string, ref) {
	if word := r.lost(at); word != "" {
		return word, r
	}
	if at = at.unasked().on(r); r.live(at) != "open" {
		return r.dead(at)
	}
	switch {
	case r.resends == mostResends:
		return "no resends", r
	case at.now < r.sent.Add(resendAfter<<r.resends):
		return "too soon", r
	}
	r.resends++
	r.sent, r.touched = at.now, at.now
	if replace {
		r.code, r.link, r.cancel = "", "", ""
	}
	return "sent", r
}

// lengthened is a resend that found the guess ledger low.
func (r ref) lengthened(size int) ref {
	r.code, r.link, r.cancel, r.size = "", "", "", size
	return r
}

// A set is every way in which a challenge may be, after calls of unknown outcome.
type set []ref

func (s set) with(all ...ref) set {
	for _, r := range all {
		if !slices.Contains(s, r) {
			s = append(s, r)
		}
	}
	return s
}

// after returns the set after a call with an answer, or one that failed and may have been
// applied; and the answers that there could have been.
func (s set) after(got string, failed bool, step func(ref) (string, ref)) (next set, possible []string) {
	for _, r := range s {
		want, n := step(r)
		possible = append(possible, want)
		switch {
		case failed:
			next = next.with(r, n)
		case got == want:
			next = next.with(n)
		}
	}
	return next, possible
}

// A ledger is an upper bound of the guesses at short codes that one person's challenges have
// left: 45, and 50 more a year.
type ledger struct {
	left float64
	at   store.Instant
}

const (
	ledgerBurst = 45
	ledgerEvery = 365 * 24 * time.Hour / 50
)

// refill lets time pass, never back.
func (l *ledger) refill(now store.Instant) {
	if now > l.at {
		l.give(float64(now-l.at) / float64(ledgerEvery))
		l.at = now
	}
}

func (l *ledger) give(n float64) { l.left = min(ledgerBurst, l.left+n) }

// slack is what rounding to microseconds may add.
const slack = 1e-6
