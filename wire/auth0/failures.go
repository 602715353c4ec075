package auth0

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/internal/strict"
)

// A problem is an error as clients see it. Their code compares error, and that of some error_description, byte by byte:
// the words here are an interface.
type problem struct {
	status      int
	Code        string `json:"error"`
	Description string `json:"error_description"`
	URI         string `json:"error_uri,omitempty"`
}

func (p *problem) Error() string { return "auth0: " + p.Code }

// ofClient reports whether the client did not authenticate, whatever else may be wrong.
func (p *problem) ofClient() bool {
	return p.status == http.StatusUnauthorized && (p.Code == "invalid_client" || p.Code == "access_denied")
}

func (p *problem) answer() answer { return answer{status: p.status, body: p} }

func (p *problem) because(err error) answer { return answer{status: p.status, body: p, cause: err} }

// Problems of any endpoint.
var (
	noEndpoint      = &problem{404, "endpoint_disabled", "There is no such endpoint", ""}
	wrongMethod     = &problem{405, "method_not_allowed", "The endpoint does not serve this method", ""}
	serverError     = &problem{500, "server_error", "Internal error", ""}
	unavailable     = &problem{503, "temporarily_unavailable", "Temporarily unavailable. Please try again later.", ""}
	tooManyRequests = &problem{429, "too_many_requests",
		"Too many requests. Please try again after the time in the Retry-After header.", ""}
	twoMethods   = &problem{400, "invalid_request", "More than one way of client authentication, or more than one client", ""}
	badForwarded = &problem{400, "invalid_request", "auth0-forwarded-for: want one IP address", ""}
	badOrigin    = &problem{403, "access_denied", "Origin is not allowed", ""}
	badAssertion = &problem{401, "invalid_client", "Invalid client assertion", ""}
	grantRefused = &problem{403, "unauthorized_client", "Grant type '" + otpGrant + "' not allowed for the client.",
		"https://auth0.com/docs/clients/client-grant-types"}
	badAssertionType = &problem{401, "invalid_client",
		"client_assertion_type must be " + assertionType + ", with a client_assertion", ""}
)

// Problems of a start.
var (
	noConnection    = &problem{400, "bad.connection", "Connection does not exist", ""}
	badPhonePattern = &problem{400, "bad.phone_number", `String does not match pattern: ^\+[0-9]{1,15}$`, ""}
	notServed       = &problem{400, "bad.phone_number", "error in phone_number - numbers of this country are not served", ""}
	gatewayTimeout  = &problem{400, "sms_provider_error", "Timeout while calling the SMS gateway", ""}
	gatewayFailed   = &problem{400, "sms_provider_error", "Unexpected response while calling the SMS gateway", ""}
	badSend         = &problem{400, "bad.send", "error in send - want link or code", ""}
	noLinks         = &problem{400, "bad.send",
		"error in send - sign-in by link, which is the default, is not supported; want code", ""}
	noSMSLinks     = &problem{400, "bad.send", "error in send - links are not sent by SMS; want code", ""}
	noCaptcha      = &problem{400, "invalid_captcha", "captcha is not supported", ""}
	badCredentials = &problem{401, "invalid_client", "Invalid client credentials", ""}
)

// Problems of authParams, and of the query of verify_redirect.
var (
	badRedirect     = authParam("redirect_uri is not registered for the client")
	badState        = authParam("state is too long")
	unbound         = authParam("code_challenge is required, or a state of a client that finishes in any browser")
	badResponseMode = authParam("response_mode must be query or fragment")
	badNonce        = authParam("nonce is too long")
	badChallenge    = authParam("code_challenge must be a SHA-256 in base64url, and code_challenge_method S256")
	noChallenge     = authParam("code_challenge is required of public clients for links")
	badResponseType = &problem{501, "unsupported_response_type", "Only response_type code is supported", ""}
)

func authParam(what string) *problem {
	return &problem{400, "bad.authParams", "error in authParams - " + what, ""}
}

func badAuthParam(name string) *problem { return authParam(name + " must be a string") }

// Problems of a check.
var (
	noPasswords   = &problem{403, "unauthorized_client", "Grant type 'password' not allowed for the client.", ""}
	invalidClient = &problem{403, "unauthorized_client", "invalid client", ""}
)

// Problems of a token request.
var (
	unauthorized  = &problem{401, "access_denied", "Unauthorized", ""}
	wrongEmail    = &problem{403, "invalid_grant", "Wrong email or verification code.", ""}
	wrongPhone    = &problem{403, "invalid_grant", "Wrong phone number or verification code.", ""}
	startAgain    = &problem{403, "invalid_grant", "You've reached the maximum number of attempts. Please try to login again.", ""}
	grantUnknown  = &problem{400, "unsupported_grant_type", "Unsupported grant type", ""}
	noService     = &problem{403, "access_denied", "Service not found", ""}
	noDPoP        = &problem{400, "invalid_request", "DPoP is not supported", ""}
	noResource    = &problem{400, "invalid_request", "resource is not supported; use audience", ""}
	noRealm       = &problem{400, "invalid_request", "Unknown realm", ""}
	badRefreshing = &problem{403, "invalid_grant", "Unknown or invalid refresh token.", ""}
	badCode       = &problem{403, "invalid_grant", "Invalid authorization code", ""}
	expiredCode   = &problem{403, "invalid_grant", "The verification code has expired. Please try to login again.", ""}
)

func missingProperty(name string) *problem {
	return &problem{400, "bad." + name, "Missing required property: " + name, ""}
}

func missingParameter(name string) *problem {
	return &problem{400, "invalid_request", "Missing required parameter: " + name, ""}
}

func notAllowed(names ...string) *problem {
	return &problem{400, "bad.request", "the following properties are not allowed: " + strings.Join(names, ", "), ""}
}

func wrongType(name, is, want string) *problem {
	return &problem{400, "bad." + name, "error in " + name + " - invalid type: " + is + " (expected " + want + ")", ""}
}

// badEmail repeats what was sent, as Auth0 does, unless it is longer than any address.
func badEmail(value string) *problem {
	if len(value) > 254 {
		value = "too long"
	}
	return &problem{400, "bad.email", "error in email - email format validation failed: " + value, ""}
}

// badBody is the problem of a body that could not be read.
func badBody(err *strict.Error) *problem {
	p := &problem{400, "invalid_request", "Malformed request: " + string(err.Reason), ""}
	switch err.Reason {
	case strict.TooLarge:
		p.status = http.StatusRequestEntityTooLarge
	case strict.MediaType:
		p.status = http.StatusUnsupportedMediaType
	case strict.WrongType:
		p.Description = "Parameter must be a string: " + err.Field
	}
	return p
}

// What authenticate answers besides the errors of Service.Public and Service.Authenticate.
var (
	errNoClient      = errors.New("auth0: no client_id")
	errNoCredentials = errors.New("auth0: confidential client without credentials")
)

// A table says what each outcome is on the wire. The first row that matches counts. An outcome that none matches is a
// server_error.
type table []row

type row struct {
	when func(error) bool
	say  *problem
	sms  *problem // instead of say, for the connection sms; nil: the same
}

var startTable = table{
	{is(errNoClient), missingProperty("client_id"), nil},
	{is(errNoCredentials), &problem{403, "unauthorized_client", "Client authentication is required", ""}, nil},
	{is(passwordless.ErrUnauthenticated), badCredentials, nil},
	{is(passwordless.ErrInvalidAssertion), badAssertion, nil},
	{is(passwordless.ErrUnknownClient), badCredentials, nil},
	{input("Channel"), &problem{400, "bad.connection", "Connection is disabled", ""}, nil},
	{input("Address"), nil, notServed},
	{input("Params"), authParam("too long"), nil},
	{undelivered(context.DeadlineExceeded), unavailable, gatewayTimeout},
	{isA[*passwordless.DeliveryError], unavailable, gatewayFailed},
	{isA[*passwordless.LimitedError], tooManyRequests, nil},
	{passing, unavailable, nil},
}

// Wrong, malformed, unknown, used, cancelled, revoked and replaced codes have one answer.
var tokenTable = table{
	{is(errNoClient), missingParameter("client_id"), nil},
	{is(errNoCredentials), unauthorized, nil},
	{is(passwordless.ErrUnauthenticated), unauthorized, nil},
	{is(passwordless.ErrInvalidAssertion), badAssertion, nil},
	{is(passwordless.ErrUnknownClient), unauthorized, nil},
	{is(passwordless.ErrExhausted), startAgain, nil},
	{is(passwordless.ErrShortCodesOff), startAgain, nil},
	{is(passwordless.ErrExpired), expiredCode, nil},
	{isA[*passwordless.ChallengeError], wrongEmail, wrongPhone},
	{input("Address"), wrongEmail, wrongPhone},
	{is(passwordless.ErrNoUser), wrongEmail, wrongPhone},
	{isA[*passwordless.AccountError], &problem{401, "unauthorized", "user is blocked", ""}, nil},
	{is(passwordless.ErrInvalidToken), badRefreshing, nil},
	{input("Audience"), noService, nil},
	{input("Scopes"), &problem{400, "invalid_scope", "scope is more than was granted", ""}, nil},
	{input("RedirectURI"), badRedirect, nil},
	{input("CodeChallenge"), noChallenge, nil},
	{input("Issue.Tokens"), &problem{400, "invalid_request", "scope, audience or nonce is too long", ""}, nil},
	{isA[*passwordless.LimitedError], tooManyRequests, nil},
	{passing, unavailable, nil},
}

// A check answers as the token endpoint does, in the words of its own endpoint.
var verifyTable = table{
	{is(errNoClient), missingProperty("client_id"), nil},
	{is(errNoCredentials), invalidClient, nil},
	{is(passwordless.ErrUnauthenticated), invalidClient, nil},
	{is(passwordless.ErrInvalidAssertion), badAssertion, nil},
	{is(passwordless.ErrUnknownClient), invalidClient, nil},
	{is(passwordless.ErrExhausted), wrongPassword(startAgain), nil},
	{is(passwordless.ErrShortCodesOff), wrongPassword(startAgain), nil},
	{is(passwordless.ErrExpired), wrongPassword(expiredCode), nil},
	{isA[*passwordless.ChallengeError], wrongPassword(wrongEmail), wrongPassword(wrongPhone)},
	{isA[*passwordless.LimitedError], tooManyRequests, nil},
	{passing, unavailable, nil},
}

func wrongPassword(p *problem) *problem {
	return &problem{401, "invalid_user_password", p.Description, ""}
}

// returned is what an application is told by redirect. A refused code or link is "unauthorized" there, and a parameter
// that a start would call by its name an invalid_request (RFC 6749, 4.1.2.1).
func returned(err error, sms bool) *problem {
	p := *tokenTable.find(err, sms)
	switch {
	case p.Code == "invalid_grant":
		p.Code = "unauthorized"
	case p.Code == "bad.authParams":
		p.Code = "invalid_request"
	case strings.HasPrefix(p.Code, "bad."):
		// No word of the request's is repeated.
		p.Code, p.Description = "invalid_request", "Invalid parameter: "+strings.TrimPrefix(p.Code, "bad.")
	}
	return &p
}

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func isA[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

func input(field string) func(error) bool {
	return func(err error) bool {
		var e *passwordless.InputError
		return errors.As(err, &e) && e.Field == field
	}
}

func undelivered(why error) func(error) bool {
	return func(err error) bool { return isA[*passwordless.DeliveryError](err) && errors.Is(err, why) }
}

// passing tells what may be well a moment later.
func passing(err error) bool {
	for _, e := range []error{passwordless.ErrUnavailable, passwordless.ErrUncertain, passwordless.ErrBusy,
		context.DeadlineExceeded, context.Canceled} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// answer looks an outcome up.
func (t table) answer(err error, sms bool) answer {
	a := t.find(err, sms).answer()
	a.cause = err
	var limited *passwordless.LimitedError
	var refused *passwordless.ChallengeError
	switch {
	case a.status == http.StatusTooManyRequests && errors.As(err, &limited):
		wait := coarse(limited.RetryAfter)
		rate := limited.Rate
		rate.Reset = rate.Reset.Add(wait - limited.RetryAfter)
		a.header = map[string]string{"Retry-After": strconv.FormatInt(int64(wait/time.Second), 10)}
		return a.limited(rate)
	case errors.As(err, &refused):
		return a.limited(refused.Rate)
	}
	return a
}

func (t table) find(err error, sms bool) *problem {
	var own *problem
	var body *strict.Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &body):
		return badBody(body)
	}
	for _, row := range t {
		say := row.say
		if sms && row.sms != nil {
			say = row.sms
		}
		if say != nil && row.when(err) {
			return say
		}
	}
	return serverError
}

// coarse is a wait in whole seconds, rounded up to ten and beyond a minute to minutes: strangers must not read from it
// when somebody else last asked for a code.
func coarse(wait time.Duration) time.Duration {
	unit := 10 * time.Second
	if wait > time.Minute {
		unit = time.Minute
	}
	return max(unit, (wait + unit - 1).Truncate(unit))
}
