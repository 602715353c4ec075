package message

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// The channels.
const (
	Email = "email"
	SMS   = "sms"
)

// SignIn is the purpose for which the built-in templates have words of their own.
const SignIn = "sign-in"

// A Letter is what a message says. Its code and links are secrets in plain text: do not print it.
type Letter struct {
	Channel string        // Email or SMS
	AppName string        // the application's name as people know it; see CheckAppName
	Purpose string        // SignIn or another word
	Life    time.Duration // how long the secrets work, from now
	Code    string        // "" if the message carries none; likewise the links
	Link    string
	Cancel  string // the "this was not me" link
}

// A Wording is a message in words. An SMS has neither subject nor HTML.
type Wording struct {
	Locale  string // the BCP 47 tag of its language
	Subject string // never holds the code
	Text    string
	HTML    string
}

// subjectData is what a subject can show. It has no code, since a subject is readable on a locked screen; a template
// that asks for one fails when it is tried.
type subjectData struct {
	App     string
	Locale  string
	Purpose string
	// The life of the secrets, rounded down: Hours if there are two or more of them, else Hours is 0 and Minutes is 1 or more.
	Hours, Minutes int
}

// messageData is what a text can show.
type messageData struct {
	subjectData
	Code, Link, Cancel string // "" where the message has none
}

// Render writes a message in the language that suits best. The list of languages is in the form of Accept-Language and
// may come from anyone; only its first part is read, and what is not understood gets the fallback.
//
// An error means that the letter holds something which must not be written, such as a control character in the name of
// the application, or that a template failed in a way that no sample showed.
func (r *Renderer) Render(l Letter, languages string) (Wording, error) {
	if err := l.check(); err != nil {
		return Wording{}, err
	}
	at := r.pick(languages)
	tag := r.locales[at].tag
	w, err := r.compose(at, l.Channel, l.data(tag))
	if err != nil {
		return Wording{}, fmt.Errorf("message: %s fails (in %s)", place(err), tag)
	}
	return w, nil
}

// place is where a template failed: file, line and column. The rest of the error may hold what the template was given.
func place(err error) string {
	where, _, ok := strings.Cut(plainly(err), ": executing ")
	if !ok {
		return "a template"
	}
	return where
}

// data is what the templates of a language are given.
func (l Letter) data(tag string) messageData {
	d := messageData{
		subjectData: subjectData{App: l.AppName, Locale: tag, Purpose: l.Purpose},
		Code:        l.Code, Link: l.Link, Cancel: l.Cancel,
	}
	if l.Life >= 2*time.Hour {
		d.Hours = int(l.Life / time.Hour)
	} else {
		d.Minutes = int(max(1, l.Life/time.Minute))
	}
	return d
}

// write executes the templates.
func (r *Renderer) write(l *locale, channel string, d messageData) (Wording, error) {
	if channel == SMS {
		text, err := execute(l.text, "sms.txt", d)
		if err != nil {
			return Wording{}, err
		}
		return Wording{Locale: d.Locale, Text: bindToOrigin(text, r.host, d.Code)}, nil
	}
	subject, err := execute(l.text, "subject", d.subjectData)
	if err != nil {
		return Wording{}, err
	}
	text, err := execute(l.text, "email.txt", d)
	if err != nil {
		return Wording{}, err
	}
	html, err := execute(l.html, "email.html", d)
	if err != nil {
		return Wording{}, err
	}
	return Wording{Locale: d.Locale, Subject: subject, Text: text + "\n", HTML: html}, nil
}

// bindToOrigin ends the text of an SMS with the line by which a phone offers the code to this host's pages only (WICG,
// Origin-bound one-time codes, 4). It is written here, not in a template, so that no template can get it wrong.
func bindToOrigin(text, host, code string) string {
	if code == "" {
		return text
	}
	return text + "\n\n@" + host + " #" + code
}

// execute returns what a template writes, without the space around it.
func execute(t interface {
	ExecuteTemplate(io.Writer, string, any) error
}, name string, data any) (string, error) {
	var b strings.Builder
	if err := t.ExecuteTemplate(&b, name, data); err != nil {
		return "", err
	}
	return strings.TrimSpace(b.String()), nil
}
