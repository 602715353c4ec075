package message

import (
	"errors"
	"strings"
)

// try writes messages of each kind in every language and reports each mistake once. A language that lacks a phrase is
// not tried.
func (r *Renderer) try() []error {
	var lacks, fails mistakes
	tried := 0
	for i := range r.locales {
		l := &r.locales[i]
		if missing := l.undefined(); missing != nil {
			lacks.add(l.tag, missing...)
			continue
		}
		tried++
		for _, d := range samples(l.tag) {
			fails.add(l.tag, l.try(d, r.host)...)
		}
	}
	return append(lacks.errors(len(r.locales)), fails.errors(tried)...)
}

// samples are messages of both purposes, three lives and each set of secrets.
func samples(tag string) (all []messageData) {
	for _, d := range []messageData{
		{Code: "QZXWVK"},
		{Link: "https://link.invalid/?t=a"},
		{Code: "QZXWVK", Link: "https://link.invalid/?t=a", Cancel: "https://cancel.invalid/?t=b"},
	} {
		for _, life := range []subjectData{{Minutes: 1}, {Minutes: 5}, {Hours: 3}} {
			for _, purpose := range []string{SignIn, "other"} {
				d.subjectData = life
				d.App, d.Locale, d.Purpose = "App", tag, purpose
				all = append(all, d)
			}
		}
	}
	return all
}

// try reports what is wrong with the messages that say d.
func (l *locale) try(d messageData, host string) (mistakes []string) {
	report := func(name string, err error, wrong string) {
		if err != nil {
			mistakes = append(mistakes, plainly(err))
		} else if wrong != "" {
			if file := l.tree(name).ParseName; file != name {
				name = file + ": " + name
			}
			mistakes = append(mistakes, name+": "+wrong)
		}
	}
	subject, err := execute(l.text, "subject", d.subjectData)
	report("subject", err, wrongSubject(subject))
	text, err := execute(l.text, "email.txt", d)
	report("email.txt", err, wrongText(text, d))
	page, err := execute(l.html, "email.html", d)
	report("email.html", err, leftOut(page, d))
	text, err = execute(l.text, "sms.txt", d)
	report("sms.txt", err, wrongText(bindToOrigin(text, host, d.Code), d))
	return mistakes
}

// leftOut tells whether a text misses a secret; "" if not. The link to cancel may be missing.
func leftOut(text string, d messageData) string {
	if !strings.Contains(text, d.Code) || !strings.Contains(text, d.Link) {
		return "leaves out the code or the link"
	}
	return ""
}

// wrongText tells what is wrong with a text; "" if nothing is.
func wrongText(text string, d messageData) string {
	if strings.ContainsFunc(strings.ReplaceAll(text, "\n", ""), notGraphic) {
		return "writes a control character"
	}
	return leftOut(text, d)
}

// wrongSubject tells what is wrong with a subject; "" if nothing is.
func wrongSubject(subject string) string {
	if subject == "" || strings.ContainsFunc(subject, notGraphic) {
		return "empty, of several lines or with a control character"
	}
	return ""
}

// Mistakes are kept once each, in the order of their discovery, with the languages that show them.
type mistakes struct {
	texts []string
	tags  map[string][]string // by text
}

func (m *mistakes) add(tag string, texts ...string) {
	if m.tags == nil {
		m.tags = map[string][]string{}
	}
	for _, text := range texts {
		tags, known := m.tags[text]
		if !known {
			m.texts = append(m.texts, text)
		}
		if len(tags) == 0 || tags[len(tags)-1] != tag {
			m.tags[text] = append(tags, tag)
		}
	}
}

// errors returns the mistakes. Those that not all of so many languages show tell which do.
func (m *mistakes) errors(languages int) (errs []error) {
	for _, text := range m.texts {
		if tags := m.tags[text]; len(tags) < languages {
			text += " (in " + strings.Join(tags, ", ") + ")"
		}
		errs = append(errs, errors.New("message: "+text))
	}
	return errs
}
