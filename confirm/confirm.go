// Package confirm is what a wire and a page agree on: a step of a sign-in that a person takes with a button. Package
// page shows the button; a wire says what it does. It is a package of its own so that wires link no templates.
package confirm

import (
	"context"
	"fmt"

	"github.com/seed62b93bad/passwordless"
)

// A Confirmation is a step of a sign-in that a person takes with a button, since whatever else opens links (mail
// scanners, previews) sends no POST. What the step is about is in the query of the request. Errors of both methods are
// those of Service.RedeemLink and Service.Verify, for the page to tell the person, or a *ReturnError, with which the
// application tells them. Implementations must be safe for concurrent use.
type Confirmation interface {
	// Peek tells what a query asks to confirm, and changes nothing: it is called for GET. The page shows AppName, the
	// masked Identifier and whether it is the SameBrowser, and lets its form lead to the origin of RedirectURI, to
	// Origins, and nowhere else.
	Peek(ctx context.Context, query map[string]string, caller passwordless.Caller) (passwordless.LinkInfo, error)
	// Confirm takes the step, and returns the URL where the browser goes next: of the application that the sign-in was
	// for, whatever came of it.
	Confirm(ctx context.Context, query map[string]string, caller passwordless.Caller) (string, error)
}

// A ReturnError is a Confirmation's answer for a genuine step that cannot be taken any more. There is no button: the
// browser is led to the application, which hears why.
type ReturnError struct {
	// Location is a URL of the application that the sign-in was for, never one that the request chose.
	Location string
	Err      error // why; required
}

func (e *ReturnError) Error() string { return fmt.Sprintf("confirm: step is over: %v", e.Err) }

// Unwrap returns the reason.
func (e *ReturnError) Unwrap() error { return e.Err }
