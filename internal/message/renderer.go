// Package message writes the e-mails and text messages that carry a code or a link, in the
// language that suits the reader best.
//
// The words are templates. Those in the folder templates are built in; an application may
// replace them. New tries all of them, so that a mistake shows when a service starts and
// not when somebody waits for a code. No error of this package holds a secret or the name of
// the application.
package message

import (
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"slices"
	"strings"
	texttemplate "text/template"

	"golang.org/x/text/language"
)

// The built-in templates: three layouts (email.txt, email.html, sms.txt) and the
// phrases of each language (en.tmpl and so on), which all layouts share.
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

// A locale holds the templates of one language.
type locale struct {
	tag  string
	text *texttemplate.Template
	html *htmltemplate.Template
}

// New reads templates from fsys. What fsys leaves out is taken from the built-in ones: each
// layout on its own, the phrases of all languages together. A nil fsys leaves out
// everything. English is the fallback, or, if the templates have none, the first language in
// the order of file names.
//
// The host is the one that the codes of text messages are bound to. All templates are
// parsed and tried; the error joins all mistakes.
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
	errs = append(errs, r.parse(fsys, builtIn)...)
	if errors.Join(errs...) == nil {
		for i := range r.locales {
			errs = append(errs, r.try(&r.locales[i])...)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return r, nil
}

// parse fills r.locales and r.matcher.
func (r *Renderer) parse(fsys, builtIn fs.FS) (errs []error) {
	layouts := map[string]string{"email.txt": "", "email.html": "", "sms.txt": ""}
	for name := range layouts {
		text, err := fs.ReadFile(fsys, name)
		if errors.Is(err, fs.ErrNotExist) {
			text, err = fs.ReadFile(builtIn, name)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("message: template %s: %w", name, err))
		}
		layouts[name] = string(text)
	}
	names, err := fs.Glob(fsys, "*.tmpl")
	if err != nil || len(names) == 0 {
		fsys = builtIn
		names, err = fs.Glob(fsys, "*.tmpl")
	}
	if err != nil {
		return append(errs, fmt.Errorf("message: templates: %w", err))
	}
	if i := slices.Index(names, "en.tmpl"); i > 0 {
		names = slices.Insert(slices.Delete(names, i, i+1), 0, "en.tmpl")
	}
	var tags []language.Tag
	for _, name := range names {
		tag, l, err := parseLocale(fsys, name, layouts)
		if err != nil {
			errs = append(errs, fmt.Errorf("message: template %s: %w", name, err))
			continue
		}
		tags = append(tags, tag)
		r.locales = append(r.locales, l)
	}
	r.matcher = language.NewMatcher(tags)
	return errs
}

// parseLocale parses the layouts with the phrases of one language. The phrases come last, so
// that a language can also define a layout of its own.
func parseLocale(fsys fs.FS, name string, layouts map[string]string) (language.Tag, locale, error) {
	tag, err := language.Parse(strings.TrimSuffix(name, ".tmpl"))
	if err != nil {
		return tag, locale{}, err
	}
	phrases, err := fs.ReadFile(fsys, name)
	if err != nil {
		return tag, locale{}, err
	}
	l := locale{tag: tag.String(), text: texttemplate.New(""), html: htmltemplate.New("")}
	for _, layout := range []string{"email.txt", "sms.txt"} {
		if _, err := l.text.New(layout).Parse(layouts[layout]); err != nil {
			return tag, locale{}, err
		}
	}
	if _, err := l.html.New("email.html").Parse(layouts["email.html"]); err != nil {
		return tag, locale{}, err
	}
	_, textErr := l.text.New(name).Parse(string(phrases))
	_, htmlErr := l.html.New(name).Parse(string(phrases))
	return tag, l, errors.Join(textErr, htmlErr)
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
