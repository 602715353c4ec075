package passwordless

import (
	"time"

	"github.com/seed62b93bad/passwordless/internal/machine"
)

// An EventType is what happened, in the words of the OWASP logging vocabulary where it has one.
type EventType string

// The events. Each is reported after what it tells has been committed.
const (
	EventStarted        EventType = "challenge_started"          // a message was made
	EventSuppressed     EventType = "challenge_suppressed"       // policy sends nothing; the answer does not show it
	EventResent         EventType = "challenge_resent"           // the message went out again
	EventLogin          EventType = "authn_login_success"        // a person signed in
	EventLoginFailed    EventType = "authn_login_fail"           // wrong secret, or a dead challenge
	EventExhausted      EventType = "authn_login_fail_max"       // the last attempt of a challenge was wrong
	EventSpentSecret    EventType = "authn_secret_reuse"         // a used-up code or link came again
	EventCancelled      EventType = "challenge_cancelled"        // "this was not me"
	EventAccountRefused EventType = "authn_login_lock"           // right proof, account may not sign in
	EventFirstProof     EventType = "identifier_verified"        // an identifier was proved for the first time
	EventTokenReuse     EventType = "authn_token_reuse"          // a used token or authorization code came again; family revoked
	EventAssertionReuse EventType = "client_assertion_reuse"     // a client assertion came again; refused
	EventRevoked        EventType = "session_revoked"            // one session, or all of a user
	EventTokenCreated   EventType = "authn_token_created"        // a refresh token or an authorization code was exchanged
	EventLimited        EventType = "excess_rate_limit_exceeded" // a limit refused
	EventLongerCode     EventType = "code_lengthened"            // a limit on risk asked for a longer code, or a link
	EventLimitMark      EventType = "limit_mark"                 // a shared limit passed a mark: Reason says which, and which limit
	EventLimitsReset    EventType = "limits_reset"               // an operator gave a person's limits back
	EventNotSent        EventType = "message_not_sent"           // the sender failed
	EventFailed         EventType = "dependency_failed"          // the store, the directory or the clients failed
	// EventUntrustedForwarding is of a request that named an address, in a header of a proxy or of a client's server, that
	// is not believed or cannot be read. At most once an hour for each handler and each Reason, which names both.
	EventUntrustedForwarding EventType = "untrusted_forwarding"
)

// An Event is one thing that happened, for audit logs and metrics. It holds no address, no code and no token.
type Event struct {
	Type   EventType
	At     time.Time
	Tenant string
	Client string
	// Person is a keyed pseudonym of the identifier, in hex: equal for equal identifiers of a tenant. Without the index
	// key it tells nothing about the address. It is personal data still.
	Person string
	// Challenge is equal in the events of one challenge, in hex. In the events of a session or refresh token it is the
	// session's ID, in those of an authorization code a name of the code.
	Challenge string
	UserID    string // if a user is known
	Channel   Channel
	Reason    string // of a refusal: a fixed phrase, never input
}

// eventOf is what a machine's notes are reported as. A login has no note: signIn reports it at its end.
var eventOf = map[machine.Note]EventType{
	machine.Failed: EventLoginFailed, machine.LastFailed: EventExhausted, machine.SpentSecret: EventSpentSecret,
	machine.MessageAgain: EventResent, machine.CancelledIt: EventCancelled, machine.TokenReuse: EventTokenReuse,
	machine.TokenCreated: EventTokenCreated,
}
