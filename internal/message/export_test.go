package message

import "io/fs"

// BuiltIn returns the built-in templates.
func BuiltIn() (fs.FS, error) { return fs.Sub(shipped, "templates") }

// Execute is Render by executing the templates, never by a form.
func (r *Renderer) Execute(l Letter, languages string) (Wording, error) {
	at := r.pick(languages)
	return r.write(&r.locales[at], l.Channel, l.data(r.locales[at].tag))
}

// Picks counts the lists of languages that are remembered.
func (r *Renderer) Picks() int { return len(r.picks.answers) }

// Forms counts the forms that are kept, and those of them which are used.
func (r *Renderer) Forms() (kept, used int) {
	for _, f := range r.forms.answers {
		kept++
		if f.ok {
			used++
		}
	}
	return kept, used
}
