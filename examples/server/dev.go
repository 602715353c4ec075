package main

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/passwordlesstest"
)

// A clock is the system's, moved by an offset. The zero clock is not moved.
type clock struct {
	offset atomic.Int64 // nanoseconds
}

// Now tells the time.
func (c *clock) Now() time.Time { return time.Now().UTC().Add(time.Duration(c.offset.Load())) }

// dev serves what only a developer's own machine may see: messages with their secrets, and the clock.
type dev struct {
	clock  *clock
	outbox *passwordlesstest.Outbox
}

func (d dev) mount(mux *http.ServeMux) {
	own := http.NewServeMux()
	own.HandleFunc("GET /dev/outbox", d.showOutbox)
	own.HandleFunc("GET /dev/mail", d.showMail)
	own.HandleFunc("POST /dev/clock", d.moveClock)
	mux.Handle("/dev/", ownMachine(own))
}

// ownMachine lets requests through that a program or a person on this machine made on purpose: no
// proxy, no other site, and no name that was pointed at this machine.
func ownMachine(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil || !loopback(peer) || !loopback(hostOf(r.Host)) || forwarded(r.Header) || crossSite(r) {
			http.Error(w, "/dev is for this machine alone: no other host, no proxy, no other site", http.StatusForbidden)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// hostOf takes the port off a Host header.
func hostOf(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}

// forwarded reports whether a proxy passed the request on.
func forwarded(h http.Header) bool {
	for name := range h {
		switch name {
		case "Forwarded", "Via", "X-Real-Ip", "X-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip":
			return true
		}
		if strings.HasPrefix(name, "X-Forwarded") {
			return true
		}
	}
	return false
}

// crossSite reports whether a browser sent the request for a page of another origin. Unlike
// http.CrossOriginProtection it judges GET too: here a GET shows secrets.
func crossSite(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
	default:
		return true
	}
	origin := r.Header.Get("Origin")
	u, err := url.Parse(origin)
	return origin != "" && (err != nil || u.Host != r.Host)
}

// showOutbox answers with the messages to an address, or all, the newest first.
func (d dev) showOutbox(w http.ResponseWriter, r *http.Request) {
	answer(w, http.StatusOK, d.messages(r))
}

func (d dev) messages(r *http.Request) []passwordlesstest.Entry {
	// In a query a plus sign that is not escaped means a blank, and addresses have none.
	to := strings.ReplaceAll(r.URL.Query().Get("to"), " ", "+")
	if to == "" {
		return d.outbox.All()
	}
	channel := passwordless.SMS
	if strings.Contains(to, "@") {
		channel = passwordless.Email
	}
	if id, err := passwordless.ParseIdentifier(channel, passwordless.Address(to)); err == nil {
		to = string(id.Address)
	}
	return d.outbox.To(to)
}

var mailPage = newPage(`{{define "title"}}Mailbox{{end}}
{{define "body"}}{{range .}}<h2>{{or .Subject "Text message"}}</h2>
<p>To {{.To}}, {{.SentAt.Format "15:04:05"}}{{with .Code}}, code <b>{{.}}</b>{{end}}` +
	`{{with .Link}}, <a href="{{.}}">link</a>{{end}}</p>
<pre>{{.Text}}</pre>
{{else}}<p>No message yet.</p>
{{end}}{{end}}`)

func (d dev) showMail(w http.ResponseWriter, r *http.Request) {
	_ = show(w, mailPage, d.messages(r)) // an error was answered
}

// maxStep is the furthest that one request moves the clock, forward or back.
const maxStep = 10 * 365 * 24 * time.Hour

// moveClock moves the server's time, and answers what it is then.
func (d dev) moveClock(w http.ResponseWriter, r *http.Request) {
	// No form of another site's can have this type.
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		answer(w, http.StatusUnsupportedMediaType, map[string]string{"error": "want Content-Type: application/json"})
		return
	}
	by, err := readStep(http.MaxBytesReader(w, r.Body, 1<<10))
	if err != nil {
		answer(w, http.StatusBadRequest, map[string]string{"error": `want {"advance":"181s"}, at most ten years`})
		return
	}
	d.clock.offset.Add(int64(by))
	answer(w, http.StatusOK, map[string]time.Time{"now": d.clock.Now().UTC()})
}

// readStep reads one JSON object with the member advance.
func readStep(from io.Reader) (time.Duration, error) {
	var body struct {
		Advance string `json:"advance"`
	}
	decoder := json.NewDecoder(from)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&body); err != nil {
		return 0, err
	}
	if err := atEnd(decoder); err != nil {
		return 0, err
	}
	by, err := time.ParseDuration(body.Advance)
	if err == nil && (by > maxStep || by < -maxStep) {
		err = errors.New("more than ten years")
	}
	return by, err
}

func answer(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		http.Error(w, "Internal Server Error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // nobody is left to tell
}
