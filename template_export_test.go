package passwordless //nolint:testpackage // it opens the renderer to the tests, which are outside

import (
	"io/fs"
	"time"
)

// A Renderer lets tests write messages.
type Renderer struct{ r *renderer }

// ShippedTemplates is what the library embeds.
func ShippedTemplates() fs.FS { return shippedTemplates }

// NewRenderer calls newRenderer.
func NewRenderer(fsys fs.FS, host string) (Renderer, error) {
	r, err := newRenderer(fsys, host)
	return Renderer{r}, err
}

// Render calls render.
func (r Renderer) Render(m *Message, languages string, now time.Time) error {
	return r.r.render(m, languages, now)
}

// Execute is Render by executing the templates, never by a form.
func (r Renderer) Execute(m Message, languages string, now time.Time) (text, html string, err error) {
	at := r.r.pick(languages)
	w, err := r.r.write(&r.r.locales[at], m.Channel, dataOf(&m, r.r.locales[at].tag, now))
	return w.text, w.html, err
}

// Picks counts the lists of languages that are remembered.
func (r Renderer) Picks() int { return len(r.r.picks.answers) }

// Forms counts the forms that are kept, and those of them which are used.
func (r Renderer) Forms() (kept, used int) {
	for _, f := range r.r.forms.answers {
		kept++
		if f.ok {
			used++
		}
	}
	return kept, used
}
