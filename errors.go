package passwordless

import (
	"errors"
	"fmt"
	"time"
)

// Why a challenge refuses a secret. Test with errors.Is; the error itself is a
// *ChallengeError. Outside the application they should all look alike
// (an answer that differs tells who has an account or which codes are alive).
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
	// ErrShortCodesOff: the person's guesses at short codes are used up, by whomever. It was not
	// looked at whether the code is right. A new start gives a longer code.
	ErrShortCodesOff = errors.New("guesses at short codes are used up, start again")
	// ErrCancelled: the recipient said that the request was not theirs.
	ErrCancelled = errors.New("challenge cancelled")
	// ErrUnknownChallenge: there is no such challenge, or none any more, or it
	// belongs to another client.
	ErrUnknownChallenge = errors.New("unknown challenge")
	// ErrTooSoon: a resend before its cooldown is over; see RetryAfter.
	ErrTooSoon = errors.New("too soon")
	// ErrNoResends: the message was sent as often as the policy allows.
	ErrNoResends = errors.New("no resends left")
)

// A ChallengeError says why a challenge refused a secret or a resend.
type ChallengeError struct {
	Reason       error         // one of the errors above
	AttemptsLeft int           // for this caller, after this guess
	RetryAfter   time.Duration // with ErrTooSoon
	Rate         RateLimit     // on guesses, if it was one
}

func (e *ChallengeError) Error() string { return "passwordless: " + e.Reason.Error() }

// Unwrap returns the reason.
func (e *ChallengeError) Unwrap() error { return e.Reason }

// An OtherBrowserError is RedeemLink's answer in a browser that did not ask
// for the link, when Policy.Browser requires the same. The link was right and is not
// used up: show Code to the person, who types it where they began.
type OtherBrowserError struct {
	Code Secret
	// AppName is the application where the code is to be typed.
	AppName string
}

func (e *OtherBrowserError) Error() string { return "passwordless: link opened in another browser" }

// An AccountError says that a proof was right and used up, and that the account
// may not sign in all the same.
type AccountError struct {
	Status UserStatus
}

func (e *AccountError) Error() string {
	return fmt.Sprintf("passwordless: account is %v", e.Status)
}

// An InputError says what is wrong with a request. Nothing was done. It names the
// field and never repeats the value.
type InputError struct {
	Field  string // as in the request struct: "Address", "RedirectURI"
	Reason string
}

func (e *InputError) Error() string {
	return fmt.Sprintf("passwordless: %s: %s", e.Field, e.Reason)
}

// A DeliveryError says that the challenge exists but its message could not be
// handed over, or perhaps not.
type DeliveryError struct {
	// Accepted: the transport may have taken the message, so do not send again at once. If it is false, the
	// transport surely did not: what the send cost was given back, and Start may be called again.
	Accepted bool
	Err      error
}

func (e *DeliveryError) Error() string { return fmt.Sprintf("passwordless: sending: %v", e.Err) }

// Unwrap returns the sender's error.
func (e *DeliveryError) Unwrap() error { return e.Err }

var (
	// ErrBusy: so many others changed the same record at once that this call gave
	// up. Nothing was revealed; calling again is safe.
	ErrBusy = errors.New("passwordless: too many concurrent changes")
	// ErrUnknownClient: no client has that ID. Returned by implementations of Clients.
	ErrUnknownClient = errors.New("passwordless: unknown client")
	// ErrNoUser: nobody has that ID or identifier. Returned by implementations of Users.
	ErrNoUser = errors.New("passwordless: no such user")
	// ErrTaken: another user has that ID, identifier, username or number.
	ErrTaken = errors.New("passwordless: identifier belongs to another user")
	// ErrInvalidToken: a refresh, session or access token, or an authorization code, that is not ours, is
	// over, was revoked, or belongs to another client.
	ErrInvalidToken = errors.New("passwordless: invalid token")
	// ErrReusedToken: a refresh token was presented after it had been replaced, or an authorization code for the second
	// time. The whole refresh family has been revoked. It matches ErrInvalidToken too.
	ErrReusedToken = fmt.Errorf("%w: used before, family revoked", ErrInvalidToken)
	// ErrInvalidAssertion: a client assertion that does not prove who its client is.
	ErrInvalidAssertion = errors.New("passwordless: invalid client assertion")
	// ErrReplayedAssertion: a client assertion that is right and was presented before, or another one with its jti. It
	// matches ErrInvalidAssertion too.
	ErrReplayedAssertion = fmt.Errorf("%w: presented before", ErrInvalidAssertion)
	// ErrCorrupt: a record or key is not as the library wrote it, or its ring key
	// has been removed too early.
	ErrCorrupt = errors.New("passwordless: record cannot be read")
)

// refuse is a shorthand for a ChallengeError.
func refuse(reason error, left int) error {
	return &ChallengeError{Reason: reason, AttemptsLeft: left}
}
