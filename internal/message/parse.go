package message

import (
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"slices"
	"strings"
	texttemplate "text/template"
	"text/template/parse"

	"golang.org/x/text/language"
)

// A templates value holds what one language writes with, or, before a language is added, the layouts alone.
type templates struct {
	text *texttemplate.Template // email.txt, sms.txt and the phrases
	html *htmltemplate.Template // email.html and the phrases
}

// A locale is one language.
type locale struct {
	templates
	tag  string
	file string // that the phrases come from
}

// parseLayouts parses each layout once, for all languages.
func parseLayouts(from sources) (base templates, errs []error) {
	base = templates{texttemplate.New(""), htmltemplate.New("")}
	for _, name := range layouts {
		text, err := fs.ReadFile(from[name], name)
		switch {
		case err != nil:
		case name == "email.html":
			_, err = base.html.New(name).Parse(string(text))
		default:
			_, err = base.text.New(name).Parse(string(text))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("message: %s", plainly(err)))
		}
	}
	return base, errs
}

// parseLanguages fills r.locales and r.matcher.
func (r *Renderer) parseLanguages(base templates, from sources) (errs []error) {
	var tags []language.Tag
	for _, name := range from.languages() {
		tag, err := language.Parse(strings.TrimSuffix(name, ".tmpl"))
		if i := slices.Index(tags, tag); i >= 0 {
			err = fmt.Errorf("%s: the same language as %s", name, r.locales[i].file)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("message: %w", err))
			continue
		}
		t, err := base.with(from[name], name)
		if err != nil {
			errs = append(errs, fmt.Errorf("message: %s", plainly(err)))
			continue
		}
		tags = append(tags, tag)
		r.locales = append(r.locales, locale{t, tag.String(), name})
	}
	r.matcher = language.NewMatcher(tags)
	return errs
}

// with returns the layouts with the phrases of a language. The phrases come last, so that a language can also define a
// layout of its own.
func (t templates) with(fsys fs.FS, name string) (templates, error) {
	phrases, err := fs.ReadFile(fsys, name)
	if err != nil {
		return templates{}, err
	}
	text, err := t.text.Clone()
	if err != nil {
		return templates{}, err
	}
	html, err := t.html.Clone()
	if err != nil {
		return templates{}, err
	}
	if _, err = text.New(name).Parse(string(phrases)); err == nil {
		_, err = html.New(name).Parse(string(phrases))
	}
	return templates{text, html}, err
}

// tree returns a template by its name, or nil.
func (t templates) tree(name string) *parse.Tree {
	if found := t.text.Lookup(name); found != nil {
		return found.Tree
	}
	if found := t.html.Lookup(name); found != nil {
		return found.Tree
	}
	return nil
}

// undefined tells which templates a message would call that nothing defines: each once, after the file that calls it.
func (l *locale) undefined() (mistakes []string) {
	seen := map[string]bool{}
	var visit func(name, caller string)
	visit = func(name, caller string) {
		if seen[name] {
			return
		}
		seen[name] = true
		t := l.tree(name)
		if t == nil {
			mistakes = append(mistakes, fmt.Sprintf("%s: no phrase %q", caller, name))
			return
		}
		for _, callee := range callees(t.Root) {
			visit(callee, t.ParseName)
		}
	}
	for _, name := range append([]string{"subject"}, layouts...) {
		visit(name, l.file)
	}
	return mistakes
}

// callees lists the templates that a part of a template calls.
func callees(n parse.Node) (names []string) {
	switch n := n.(type) {
	case *parse.TemplateNode:
		return []string{n.Name}
	case *parse.ListNode:
		if n == nil { // an if without an else
			return nil
		}
		for _, child := range n.Nodes {
			names = append(names, callees(child)...)
		}
	case *parse.IfNode:
		return append(callees(n.List), callees(n.ElseList)...)
	case *parse.RangeNode:
		return append(callees(n.List), callees(n.ElseList)...)
	case *parse.WithNode:
		return append(callees(n.List), callees(n.ElseList)...)
	}
	return names
}

// plainly is the text of a template's error without the name of the package that found it. It begins with the name of
// the file.
func plainly(err error) string {
	text := err.Error()
	for _, prefix := range []string{"template: ", "html/template:"} {
		text = strings.TrimPrefix(text, prefix)
	}
	return strings.TrimSpace(text)
}
