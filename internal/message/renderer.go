// Package message writes the e-mails and text messages that carry a code or a link, in the language that suits the
// reader best.
//
// The words are templates. Those in the folder templates are built in; an application may replace them. New tries all
// of them, so that a mistake shows when a service starts and not when somebody waits for a code. No error of this
// package holds a secret or the name of the application.
package message

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/text/language"
)

// The built-in templates: three layouts (email.txt, email.html, sms.txt) and the phrases of each language (en.tmpl and
// so on), which all layouts share.
//
//go:embed templates
var shipped embed.FS

// maxLanguages is how many bytes of a list of languages are read.
const maxLanguages = 256

// A Renderer writes messages. It is safe for concurrent use.
type Renderer struct {
	host    string
	locales []locale // in the order of matcher; the first is the fallback
	matcher language.Matcher

	picks memo[string, int] // a list of languages to its locale
	forms memo[formKey, form]
}

// New reads templates from fsys. What fsys leaves out is taken from the built-in ones: each layout on its own, the
// phrases of all languages together. A nil fsys leaves out everything. English is the fallback, or, if the templates
// have none, the first language in the order of file names. Each file at the top level of fsys must be a template, and
// there must be one; subfolders are ignored.
//
// The host is the one that the codes of text messages are bound to. All templates are parsed and tried. The error joins
// all mistakes, one error each: a mistake in a file that several languages share is reported once.
func New(fsys fs.FS, host string) (*Renderer, error) {
	builtIn, err := fs.Sub(shipped, "templates")
	if err != nil {
		return nil, fmt.Errorf("message: built-in templates: %w", err)
	}
	if fsys == nil {
		fsys = builtIn
	}
	r := &Renderer{host: host}
	errs := []error{checkHost(host)}
	from, misnamed := find(fsys, builtIn)
	errs = append(errs, misnamed...)
	base, broken := parseLayouts(from)
	errs = append(errs, broken...)
	errs = append(errs, r.parseLanguages(base, from)...)
	if len(broken) == 0 {
		errs = append(errs, r.try()...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return r, nil
}

// pick returns the index of the locale that suits the languages best.
func (r *Renderer) pick(languages string) int {
	if len(languages) > maxLanguages {
		cut := languages[:maxLanguages]
		languages = cut[:max(0, strings.LastIndexByte(cut, ','))]
	}
	if at, ok := r.picks.get(languages); ok {
		return at
	}
	at := 0
	if tags, _, err := language.ParseAcceptLanguage(languages); err == nil {
		_, at, _ = r.matcher.Match(tags...)
	}
	r.picks.put(strings.Clone(languages), at)
	return at
}
