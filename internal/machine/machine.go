// Package machine is the rules of signing in, without anything around them. Each machine is a record with a method On:
// it takes an event and the moment, and returns what to commit and what to answer. Nothing here reads a clock, draws
// randomness or reaches a store, and nothing of a decision may be told before its batch was committed.
//
// The machines are [Challenge], [Family], [AuthorizationCode], [Epoch] and [Claim]. [Judge] says who may sign in.
// docs/machines.md holds their tables, which the tests walk.
package machine

import (
	"time"

	"github.com/seed62b93bad/passwordless/internal/limit"
	"github.com/seed62b93bad/passwordless/internal/secret"
	"github.com/seed62b93bad/passwordless/store"
)

// A Moment is what a decision depends on beside the record and the event. A machine reads what concerns it.
type Moment struct {
	Now   store.Instant
	Name  secret.Name   // of the record
	Was   store.Version // of the record as it was loaded; zero: it was not there, or nobody looked
	Fresh store.Version // for the record's next write
	Key   *secret.Key   // of the record; may be nil where the record is not there
	By    Caller

	Limits *limit.Limits
	Plan   limit.Plan

	Revoked store.Instant // what began at or before this instant was revoked with its user; 0: nothing was
	Epoch   int64         // the number of the user's epoch
	Owner   secret.Name   // of the user's records
	Insist  bool          // an end is written whatever others write
	Ahead   bool          // a clock that was more than ClockLead ahead began the challenge
}

// A Caller is who causes an event. Every name is a keyed pseudonym.
type Caller struct {
	Tenant, Client string
	Shared         *limit.Tenant // the names of the tenant's buckets
	Network        secret.Name   // an IPv4 address, or an IPv6 /64
	Site, Region   secret.Name   // its IPv6 /48 and /32; "" for none
	Browser        secret.Digest // of the browser cookie; zero for none
	Device         secret.Name   // of a device cookie that is known for this person; "" for none
}

// A Decision is what an event comes to.
type Decision[Record any] struct {
	Next   Record // the record as it is then
	Batch  store.Batch
	Reason Reason        // Done, or why not
	Left   int           // attempts that the caller has left
	Wait   time.Duration // with TooSoon
	Note   Note          // what to report once the batch is committed
}

// A Reason says how an event was answered.
type Reason uint8

// The reasons.
const (
	Done Reason = iota // it happened

	Unknown      // there is no such challenge, or it is of another client
	WrongSecret  // it is not the one that was sent
	Malformed    // no code of this challenge looks like that
	Expired      // its time is over
	Consumed     // it was used before
	Exhausted    // no attempt is left
	Cancelled    // its recipient did not ask for it
	Revoked      // its user was signed out everywhere since
	OtherBrowser // the link is right, and belongs into another browser
	OtherReturn  // the sign-in was begun for another redirect URI
	TooSoon      // a message before its cooldown is over
	NoResends    // the message was sent as often as may be
	Occupied     // another one is open, and goes first
	Repeated     // another one is open, and is the answer

	Invalid       // a token that is not ours, is over, or is of another client
	Reused        // a token that was used before
	OtherAudience // an audience that was not granted
	MoreScopes    // scopes that were not granted
	Replayed      // a claim that was taken before
)

// A Note says what to report of an event.
type Note uint8

// The notes.
const (
	Nothing      Note = iota
	Failed            // a secret was refused
	LastFailed        // the last attempt was wrong
	SpentSecret       // a used secret came again
	MessageAgain      // a message goes out again
	CancelledIt       // a challenge was cancelled
	TokenReuse        // a used token came again, and ends its family
	TokenCreated      // tokens are given for a token
	SignedOut         // a session, or all of a user, was ended
)

// retention is how long a record is kept after its end, to answer why it refuses.
const retention = time.Hour

// A batch collects what a decision commits.
type batch struct {
	store.Batch
	room struct { // for what most decisions need, in one allocation
		charges   [5]store.Charge
		giveBacks [3]store.Charge
		puts      [3]store.Put
	}
}

// begin empties the batch.
func (b *batch) begin() {
	b.Charges, b.GiveBacks, b.Puts = b.room.charges[:0], b.room.giveBacks[:0], b.room.puts[:0]
}

func (b *batch) put(p store.Put) { b.Puts = append(b.Puts, p) }

func (b *batch) done() store.Batch {
	limit.Sort(&b.Batch)
	return b.Batch
}

// key names a record.
func key(kind store.Kind, n secret.Name) store.Key { return store.Key{Kind: kind, Name: string(n)} }

// Seconds are those of an instant, as names begin with them.
func Seconds(at store.Instant) uint32 { return uint32(int64(at) / int64(time.Second)) }
