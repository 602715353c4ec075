package passwordless

import (
	"errors"
	"fmt"
	"time"

	"github.com/seed62b93bad/passwordless/internal/jose"
	"github.com/seed62b93bad/passwordless/internal/machine"
	"github.com/seed62b93bad/passwordless/store"
)

// Why a challenge refuses a secret. Test with errors.Is; the error itself is a *ChallengeError. Outside the application
// they should all look alike: an answer that differs tells who has an account, or which codes are alive.
var (
	// ErrWrongSecret: the code or link is not the one that was sent.
	ErrWrongSecret = errors.New("wrong code or link")
	// ErrMalformedCode: no code of this challenge looks like that. It cost no attempt.
	ErrMalformedCode = errors.New("malformed code")
	// ErrExpired: the challenge's time is over.
	ErrExpired = errors.New("challenge expired")
	// ErrConsumed: the challenge was finished before, by a code or a link.
	ErrConsumed = errors.New("challenge already used")
	// ErrExhausted: every attempt was used; even the right code is refused.
	ErrExhausted = errors.New("no attempts left")
	// ErrShortCodesOff: no more guesses at codes of this length are looked at, because of all that were made at this person's,
	// from this network or at this tenant's. The code was not looked at. A new start gives a longer code.
	ErrShortCodesOff = errors.New("guesses at short codes are used up, start again")
	// ErrCancelled: the recipient said that the request was not theirs.
	ErrCancelled = errors.New("challenge cancelled")
	// ErrRevoked: the user was signed out everywhere since the challenge began.
	ErrRevoked = errors.New("challenge revoked")
	// ErrUnknownChallenge: there is no such challenge, or none any more, or it belongs to another client.
	ErrUnknownChallenge = errors.New("unknown challenge")
	// ErrTooSoon: a resend before its cooldown is over; see RetryAfter.
	ErrTooSoon = errors.New("too soon")
	// ErrNoResends: the message was sent as often as the policy allows.
	ErrNoResends = errors.New("no resends left")
)

// A ChallengeError says why a challenge refused a secret or a resend.
type ChallengeError struct {
	Reason       error         // ErrWrongSecret, ErrExpired and so on
	AttemptsLeft int           // for this caller, after this guess
	RetryAfter   time.Duration // with ErrTooSoon
	Rate         RateLimit     // on guesses, if it was one
}

func (e *ChallengeError) Error() string { return "passwordless: " + e.Reason.Error() }

// Unwrap returns the reason.
func (e *ChallengeError) Unwrap() error { return e.Reason }

// An OtherBrowserError is RedeemLink's answer in a browser that did not ask for the link, where links finish only in
// the browser that did. The link was right and is not used up: show Code to the person, who types it where they began.
type OtherBrowserError struct {
	Code Secret
	// AppName is the application where the code is to be typed.
	AppName string
}

func (e *OtherBrowserError) Error() string { return "passwordless: link opened in another browser" }

// An InputError says what is wrong with a request. Nothing was done. It names the field and never repeats the value.
type InputError struct {
	Field  string // as in the request struct: "Address", "RedirectURI"
	Reason string
}

func (e *InputError) Error() string {
	return fmt.Sprintf("passwordless: %s: %s", e.Field, e.Reason)
}

// A DeliveryError says that the challenge exists, and that the Sender failed to hand its message over.
type DeliveryError struct {
	// Accepted: the transport may have taken the message all the same, so do not send again at once. If it is false, the
	// transport surely did not take it: what the send was charged was given back, and Start may be called again.
	Accepted bool
	Err      error
}

func (e *DeliveryError) Error() string { return fmt.Sprintf("passwordless: sending: %v", e.Err) }

// Unwrap returns the sender's error.
func (e *DeliveryError) Unwrap() error { return e.Err }

// What calls of a Service or a Directory may answer. Test with errors.Is.
var (
	// ErrBusy: others changed the same record so often that this call gave up. Nothing was revealed; calling again is safe.
	ErrBusy = errors.New("passwordless: too many concurrent changes")
	// ErrUnavailable: the store, a key or a client's key set could not be reached. Nothing was written; calling again is safe.
	ErrUnavailable = errors.New("passwordless: unavailable")
	// ErrUncertain: the store did not tell whether it wrote. A secret may be used up; nobody was signed in.
	ErrUncertain = errors.New("passwordless: outcome unknown")
	// ErrCorrupt: a record is not as the library wrote it.
	ErrCorrupt = errors.New("passwordless: record cannot be read")
	// ErrUnknownClient: no client has that ID. Returned by implementations of Clients.
	ErrUnknownClient = errors.New("passwordless: unknown client")
	// ErrUnauthenticated: a confidential client did not prove who it is, or tried and could not.
	ErrUnauthenticated = errors.New("passwordless: client not authenticated")
	// ErrInvalidAssertion: a client assertion that does not prove who its client is, or was presented before.
	ErrInvalidAssertion = errors.New("passwordless: invalid client assertion")
	// ErrNoUser: nobody has that ID or identifier. Returned by implementations of Users.
	ErrNoUser = errors.New("passwordless: no such user")
	// ErrTaken: another user has that ID, identifier, username or number.
	ErrTaken = errors.New("passwordless: identifier belongs to another user")
	// ErrInvalidToken: a refresh, session or access token, or an authorization code, that is not ours, is over, was
	// revoked, or belongs to another client.
	ErrInvalidToken = errors.New("passwordless: invalid token")
	// ErrReusedToken: a refresh token was presented after it had been replaced, or an authorization code for the second
	// time. The whole refresh family has been revoked. It matches ErrInvalidToken too.
	ErrReusedToken = fmt.Errorf("%w: used before, family revoked", ErrInvalidToken)
)

// refuse is a ChallengeError of which no attempt was taken.
func refuse(reason error) error { return &ChallengeError{Reason: reason} }

// reasons are the errors for the reasons of a challenge.
var reasons = map[machine.Reason]error{
	machine.Unknown: ErrUnknownChallenge, machine.WrongSecret: ErrWrongSecret, machine.Malformed: ErrMalformedCode,
	machine.Expired: ErrExpired, machine.Consumed: ErrConsumed, machine.Exhausted: ErrExhausted, machine.Cancelled: ErrCancelled,
	machine.Revoked: ErrRevoked, machine.TooSoon: ErrTooSoon, machine.NoResends: ErrNoResends,
}

// tokenErrors are the errors for the reasons of families and authorization codes.
var tokenErrors = map[machine.Reason]error{
	machine.Invalid: ErrInvalidToken, machine.Reused: ErrReusedToken,
	machine.MoreScopes:    &InputError{"Scopes", "more than was granted"},
	machine.OtherAudience: &InputError{"Audience", "another one than was granted"},
}

// A failure is an error of something that the Service depends on, with what was being done.
type failure struct {
	what string
	err  error
}

func (e *failure) Error() string { return "passwordless: " + e.what + ": " + e.err.Error() }

// Unwrap returns the error itself.
func (e *failure) Unwrap() error { return e.err }

// Is makes errors of the store and of key sets match ErrUnavailable and ErrUncertain.
func (e *failure) Is(target error) bool {
	switch target {
	case ErrUnavailable:
		return errors.Is(e.err, store.ErrUnavailable) || errors.Is(e.err, jose.ErrNoKeys)
	case ErrUncertain:
		return errors.Is(e.err, store.ErrUncertain)
	}
	return false
}

// corrupt is the error of a record that cannot be read.
func corrupt(rec store.Record, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrCorrupt, rec.Key.Kind, err)
}
