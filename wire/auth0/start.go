package auth0

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
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
	recipient
	send       string
	captcha    string
	authParams strict.Fields
	languages  string // of a header
}

// startProperties are the names of a startForm's fields.
var startProperties = []string{"client_id", "client_secret", "client_assertion", "client_assertion_type",
	"connection", "email", "phone_number", "send", "captcha", "authParams"}

// A recipient is who gets a message, or got one.
type recipient struct{ connection, email, phone string }

func readRecipient(d *strict.Decoder) recipient {
	return recipient{d.String("connection"), d.String("email"), d.String("phone_number")}
}

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
	return success(h.startedBody(form, started.Identifier)).limited(started.Rate)
}

// start decodes, authenticates and starts.
func (h *Handler) start(w http.ResponseWriter, r *http.Request) (form startForm, started passwordless.Started, err error) {
	if form, err = h.readStart(w, r); err != nil {
		return form, started, err
	}
	by, err := h.authenticate(r, form.credentials)
	if err != nil {
		return form, started, err
	}
	req, err := h.startRequest(by.Client(), form)
	if err == nil {
		started, err = h.svc.Start(r.Context(), by, req)
	}
	if h.ownScript(r) { // also if it is not known whether the message was taken
		h.opts.Pages.KeepBrowser(w, started.Browser)
	}
	return form, started, err
}

func (h *Handler) readStart(w http.ResponseWriter, r *http.Request) (form startForm, err error) {
	// No form: a page of any site could post one from its visitors' browsers, at their networks' cost, without being asked
	// (CORS). No SDK sends one.
	f, err := strict.ReadJSON(w, r, strict.Limits{})
	if err != nil {
		return form, err
	}
	if unknown := f.Unknown(startProperties...); h.opts.Strict && unknown != nil {
		return form, notAllowed(unknown...)
	}
	d := f.Decode()
	form = startForm{
		credentials: readCredentials(d),
		recipient:   readRecipient(d),
		send:        d.String("send"),
		captcha:     d.String("captcha"),
		languages:   languages(r.Header),
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

// startRequest is the call that a form asks for.
func (h *Handler) startRequest(client passwordless.Client, f startForm) (req passwordless.StartRequest, err error) {
	req = passwordless.StartRequest{ByAddress: true, Languages: f.languages}
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
	p := readParams(d.String)
	var wrong *strict.Error
	if errors.As(d.Err(), &wrong) {
		return req, badAuthParam(wrong.Field)
	}
	if req.Send == passwordless.SendCode {
		return req, checkReturn(client, p)
	}
	return req, h.linkRequest(client, p, &req)
}

// checkReturn checks where a link would have returned to. Of a message with a code that is left out, like all of
// authParams: a code is not redirected, its tokens are asked for when it is presented, and a state that is new each
// time would make a repeated start another one.
func checkReturn(client passwordless.Client, p params) error {
	switch {
	case p.redirectURI != "" && !client.AllowsRedirect(p.redirectURI):
		return badRedirect
	case len(p.state) > maxState:
		return badState
	}
	return nil
}

// maxState is the longest state, in bytes.
const maxState = 2048

// linkRequest asks for a link instead of a code, and keeps with it what its finish needs.
func (h *Handler) linkRequest(client passwordless.Client, p params, req *passwordless.StartRequest) error {
	if h.opts.Pages == nil {
		return noLinks
	}
	a, err := h.authorization(client, &p)
	if err != nil {
		return err
	}
	if err := checkReturn(client, p); err != nil {
		return err
	}
	kept, err := json.Marshal(a)
	if err != nil {
		return err // cannot be: it is text
	}
	req.RedirectURI, req.State, req.Params, req.LinkURL = p.redirectURI, p.state, string(kept), h.at(linkPath)
	return nil
}

// identifier is the one that belongs to the connection. Another beside it is refused: which of the two would be meant
// is anybody's guess.
func (to recipient) identifier() (passwordless.Channel, passwordless.Address, error) {
	channel, ok := connections[to.connection]
	switch {
	case to.connection == "":
		return "", "", missingProperty("connection")
	case !ok:
		return "", "", noConnection
	case channel == passwordless.SMS:
		return channel, passwordless.Address(to.phone), to.checkPhone()
	}
	return channel, passwordless.Address(to.email), to.checkEmail()
}

func (to recipient) checkEmail() error {
	if to.phone != "" {
		return notAllowed("phone_number")
	}
	if to.email == "" {
		return missingProperty("email")
	}
	if _, err := passwordless.ParseIdentifier(passwordless.Email, passwordless.Address(to.email)); err != nil {
		return badEmail(to.email)
	}
	return nil
}

func (to recipient) checkPhone() error {
	if to.email != "" {
		return notAllowed("email")
	}
	if to.phone == "" {
		return missingProperty("phone_number")
	}
	_, err := passwordless.ParseIdentifier(passwordless.SMS, passwordless.Address(to.phone))
	if err != nil || !strings.HasPrefix(to.phone, "+") || strings.Trim(to.phone[1:], "0123456789") != "" {
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
	case sms:
		return 0, noSMSLinks
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
		return startedEmail{newID(), string(id.Address), h.opts.Verified}
	}
	body := startedSMS{ID: newID(), Phone: string(id.Address), Verified: h.opts.Verified}
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
