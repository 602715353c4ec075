package passwordless

import (
	"context"
	"fmt"
)

// A UserStatus says whether a user may sign in.
type UserStatus uint8

// The statuses. If it is not UserActive, a right proof is used up and answered with an *AccountError.
const (
	UserActive  UserStatus = iota
	UserLocked             // by an administrator, until unlocked
	UserExpired            // the account's time is over
	UserBlocked            // unwanted; where sign-up is closed, nothing is sent either
)

// String returns the status as a word.
func (s UserStatus) String() string {
	words := [...]string{"active", "locked", "expired", "blocked"}
	if int(s) < len(words) {
		return words[s]
	}
	return fmt.Sprintf("UserStatus(%d)", uint8(s))
}

// A User is who signs in.
type User struct {
	// ID names the user for ever: opaque, 1 to 64 bytes, never an address and never given to another user.
	ID string
	// Number is a second, decimal name, for wires that demand one; 0 for none.
	Number        int64
	Username      string  // a third one; "" for none
	Email         Address // canonical, or ""
	EmailVerified bool    // proved, by this user
	Phone         Address // E.164, or ""
	PhoneVerified bool
	Name          string // as people write it
	Locale        string // BCP 47, or ""
	Status        UserStatus

	standing *standing // set by the Directory, which reads it anyway, even for nobody
}

// Verified reports whether the user has proved control of id before.
func (u User) Verified(id Identifier) bool {
	switch id.Channel {
	case Email:
		return u.EmailVerified && u.Email == id.Address
	case SMS:
		return u.PhoneVerified && u.Phone == id.Address
	}
	return false
}

// Users is the application's directory of people. The built-in one is [Directory]. Implementations must be safe for
// concurrent use. An error other than the named ones ends the sign-in with that error wrapped.
//
// Find is called for every guess at a living challenge, before the guess is compared, for links likewise, and by Start
// where sign-up is closed; it should take the same time whether or not the user exists.
type Users interface {
	// Find returns the user that holds the identifier, or ErrNoUser.
	Find(ctx context.Context, tenant string, id Identifier) (User, error)
	// Get returns the user with the ID, or ErrNoUser. It is called for each refresh.
	Get(ctx context.Context, tenant, userID string) (User, error)
	// Create makes a user for an identifier that was just proved and returns it, with the identifier unverified. It is
	// idempotent by identifier: if there is such a user already, it returns that one. Nobody is created before proof.
	Create(ctx context.Context, tenant string, id Identifier) (User, error)
	// ConfirmFirstProof is called when a user proved an identifier for the first time, after the code was used up and
	// before anything is granted. It must remove, in one transaction, whatever could have been planted on the account
	// before the owner came (passwords, sessions, linked identities, other unverified identifiers, pending changes), mark
	// the identifier verified, and return the user. It is idempotent. On an error there is no login.
	ConfirmFirstProof(ctx context.Context, tenant, userID string, id Identifier) (User, error)
}

// An AccountError says that a proof was right and is used up, and that the account may not sign in all the same.
type AccountError struct {
	Status UserStatus
}

func (e *AccountError) Error() string {
	return fmt.Sprintf("passwordless: account is %v", e.Status)
}
