package auth0

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/internal/strict"
)

// A startForm is the body of a start: all of its properties.
type startForm struct {
	credentials
	connection string
	email      string
	phone      string
	send       string
	captcha    string
	authParams strict.Fields
	languages  string // of a header
}

// startProperties are the names of a startForm's fields.
var startProperties = []string{"client_id", "client_secret", "client_assertion", "client_assertion_type",
	"connection", "email", "phone_number", "send", "captcha", "authParams"}

// Connections by name, and back.
var connections = map[string]passwordless.Channel{"email": passwordless.Email, "sms": passwordless.SMS}

func connectionOf(ch passwordless.Channel) string {
	for name, c := range connections {
		if c == ch {
			return name
		}
	}
	return string(ch)
}

func (h *Handler) serveStart(w http.ResponseWriter, r *http.Request) answer {
	form, started, err := h.start(w, r)
	if err != nil {
		return startTable.answer(err, form.connection == "sms")
	}
	return success(h.startedBody(form, started.Identifier))
}

// start decodes, authenticates and starts.
func (h *Handler) start(w http.ResponseWriter, r *http.Request) (form startForm, started passwordless.Started, err error) {
	if form, err = h.readStart(w, r); err != nil {
		return form, started, err
	}
	client, err := h.authenticate(r.Context(), r.Header, form.credentials)
	if err != nil {
		return form, started, err
	}
	req, err := form.request()
	if err != nil {
		return form, started, err
	}
	if req, err = checkReturn(client, req); err != nil {
		return form, started, err
	}
	req.Client, req.Caller = client.ID, h.caller(r, client)
	started, err = h.svc.Start(r.Context(), req)
	return form, started, err
}

// checkReturn checks where a link would have returned to, and leaves it out: a code is not redirected, and a state
// that is new each time would make a repeated start another one.
func checkReturn(client passwordless.Client, req passwordless.StartRequest) (passwordless.StartRequest, error) {
	if req.RedirectURI != "" && !client.AllowsRedirect(req.RedirectURI) {
		return req, &passwordless.InputError{Field: "RedirectURI", Reason: "not registered"}
	}
	if len(req.State) > maxState {
		return req, &passwordless.InputError{Field: "State", Reason: "too long"}
	}
	req.RedirectURI, req.State = "", ""
	return req, nil
}

// maxState is the longest state, in bytes.
const maxState = 2048

func (h *Handler) readStart(w http.ResponseWriter, r *http.Request) (form startForm, err error) {
	// No form: a page of any site could post one from its visitors' browsers, at their networks' cost,
	// without being asked (CORS). No SDK sends one.
	f, err := strict.ReadJSON(w, r, strict.Limits{})
	if err != nil {
		return form, err
	}
	if unknown := f.Unknown(startProperties...); h.opts.Strict && unknown != nil {
		return form, notAllowed(unknown...)
	}
	d := f.Decode()
	form = startForm{
		credentials: credentials{
			id:            d.String("client_id"),
			secret:        d.String("client_secret"),
			assertion:     d.String("client_assertion"),
			assertionType: d.String("client_assertion_type"),
		},
		connection: d.String("connection"),
		email:      d.String("email"),
		phone:      d.String("phone_number"),
		send:       d.String("send"),
		captcha:    d.String("captcha"),
		languages:  languages(r.Header),
	}
	if err := d.Err(); err != nil {
		return form, typeProblem(f, err)
	}
	form.authParams, err = readAuthParams(f)
	return form, err
}

// readAuthParams reads an object of whatever members. PHP writes an empty one as an empty array.
func readAuthParams(f strict.Fields) (strict.Fields, error) {
	if list, ok, err := f.Strings("authParams"); ok && err == nil && len(list) == 0 {
		return strict.Fields{}, nil
	}
	params, _, err := f.Object("authParams")
	if err != nil {
		return params, wrongType("authParams", typeName(f, "authParams"), "object")
	}
	return params, nil
}

// typeProblem tells what a property is that should have been a string.
func typeProblem(f strict.Fields, err error) error {
	var wrong *strict.Error
	if !errors.As(err, &wrong) || wrong.Reason != strict.WrongType {
		return err
	}
	return wrongType(wrong.Field, typeName(f, wrong.Field), "string")
}

// typeName is the JSON type of a member that is not null. That of a form is a string.
func typeName(f strict.Fields, name string) string {
	raw, ok := f.Raw(name)
	if !ok || len(raw) == 0 {
		return "string"
	}
	switch raw[0] {
	case '"':
		return "string"
	case '{':
		return "object"
	case '[':
		return "array"
	case 't', 'f':
		return "boolean"
	}
	return "number"
}

// languages is what picks the message's language.
func languages(header http.Header) string {
	if l := header.Get("X-Request-Language"); l != "" {
		return l
	}
	return header.Get("Accept-Language")
}

// request is the call that a form asks for, still without its client and caller.
func (f startForm) request() (req passwordless.StartRequest, err error) {
	req = passwordless.StartRequest{Handleless: true, Languages: f.languages}
	if f.captcha != "" {
		return req, noCaptcha
	}
	if req.Channel, req.Address, err = f.identifier(); err != nil {
		return req, err
	}
	if req.Send, err = f.sendMode(); err != nil {
		return req, err
	}
	d := f.authParams.Decode()
	req.RedirectURI, req.State = d.String("redirect_uri"), d.String("state")
	if d.Err() != nil {
		return req, badAuthParams
	}
	return req, nil
}

// identifier is the one that belongs to the connection. Another beside it is refused: which of the
// two would be meant is anybody's guess.
func (f startForm) identifier() (passwordless.Channel, string, error) {
	channel, ok := connections[f.connection]
	switch {
	case f.connection == "":
		return "", "", missingProperty("connection")
	case !ok:
		return "", "", noConnection
	case channel == passwordless.SMS:
		return channel, f.phone, f.checkPhone()
	}
	return channel, f.email, f.checkEmail()
}

func (f startForm) checkEmail() error {
	if f.phone != "" {
		return notAllowed("phone_number")
	}
	if f.email == "" {
		return missingProperty("email")
	}
	if _, err := passwordless.ParseIdentifier(passwordless.Email, f.email); err != nil {
		return badEmail(f.email)
	}
	return nil
}

func (f startForm) checkPhone() error {
	if f.email != "" {
		return notAllowed("email")
	}
	if f.phone == "" {
		return missingProperty("phone_number")
	}
	_, err := passwordless.ParseIdentifier(passwordless.SMS, f.phone)
	if err != nil || !strings.HasPrefix(f.phone, "+") || strings.Trim(f.phone[1:], "0123456789") != "" {
		return badPhonePattern
	}
	return nil
}

// sendMode is what the message is to carry. The default is a link by e-mail and a code by SMS.
func (f startForm) sendMode() (passwordless.SendMode, error) {
	sms := f.connection == "sms"
	switch {
	case f.send == "code", f.send == "" && sms:
		return passwordless.SendCode, nil
	case !slices.Contains([]string{"", "link", "link_ios", "link_android"}, f.send):
		return 0, badSend
	case !sms:
		return 0, noLinks
	}
	return passwordless.SendLink, nil
}

// The answers to a start, by connection.
type (
	startedEmail struct {
		ID       string `json:"_id"`
		Email    string `json:"email"`
		Verified bool   `json:"email_verified"`
	}
	startedSMS struct {
		ID       string  `json:"_id"`
		Phone    string  `json:"phone_number"`
		Verified bool    `json:"phone_verified"`
		Language *string `json:"request_language"`
	}
)

// startedBody is equal for addresses that somebody has and that nobody has.
func (h *Handler) startedBody(f startForm, id passwordless.Identifier) any {
	if id.Channel == passwordless.Email {
		return startedEmail{newID(), id.Address, h.opts.Verified}
	}
	body := startedSMS{ID: newID(), Phone: id.Address, Verified: h.opts.Verified}
	if f.languages != "" {
		body.Language = &f.languages
	}
	return body
}

// newID names the request to nobody: clients want it, and none sends it back.
func newID() string {
	var b [12]byte
	rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}
