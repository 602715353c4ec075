package passwordless_test

import (
	"context"
	"errors"

	"github.com/seed62b93bad/passwordless"
)

var errBroken = errors.New("broken")

// brokenUsers knows nobody and cannot make anybody.
type brokenUsers struct{}

func (brokenUsers) Find(context.Context, string, passwordless.Identifier) (passwordless.User, error) {
	return passwordless.User{}, passwordless.ErrNoUser
}

func (brokenUsers) Create(context.Context, string, passwordless.Identifier) (passwordless.User, error) {
	return passwordless.User{}, errBroken
}

func (brokenUsers) ConfirmFirstProof(context.Context, string, string, passwordless.Identifier) (passwordless.User, error) {
	return passwordless.User{}, errBroken
}
