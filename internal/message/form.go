package message

import "strings"

// The blanks stand for the secrets while a form is made. They hold every character that plain allows, so a template
// that would escape one does not make a form.
const (
	blankCode   = "QZXWVKJQZXWVKJYHQZXWVKJQZXWVKJYHQZXWVKJQZXWVKJYHQZXWVKJQZXWVKJYH"
	otherCode   = "9182736450918273645091827364509182736450918273645091827364509182"
	blankLink   = "https://link.invalid:1/Az09-._~?q=Q"
	otherLink   = "http://other.invalid/l?q=2"
	blankCancel = "https://cancel.invalid:1/Az09-._~?q=Q"
	otherCancel = "http://other.invalid/c?q=3"
)

// A formKey names all that decides the words of a message, but its secrets.
type formKey struct {
	locale       int
	channel      string
	subject      subjectData
	code         int // its length
	link, cancel bool
}

// A form is a message with blanks for its secrets. Executing templates takes tens of times as long as filling in a
// form, and messages with one key differ in nothing but the secrets. The zero form is for templates which do more with
// a secret than show it.
type form struct {
	ok         bool
	subject    string
	text, html []piece
}

// A piece is literal text and the blank after it.
type piece struct {
	literal string
	blank   byte // 'c'ode, 'l'ink, 'x' for cancel, or 0 at the end
}

// compose writes d, by its form where there is one.
func (r *Renderer) compose(at int, channel string, d messageData) (Wording, error) {
	if !plain(d.Link) || !plain(d.Cancel) {
		return r.write(&r.locales[at], channel, d)
	}
	key := formKey{at, channel, d.subjectData, len(d.Code), d.Link != "", d.Cancel != ""}
	f, ok := r.forms.get(key)
	if !ok {
		var err error
		if f, err = r.makeForm(key); err != nil {
			return Wording{}, err
		}
		r.forms.put(key, f)
	}
	if !f.ok {
		return r.write(&r.locales[at], channel, d)
	}
	return f.fill(d), nil
}

// makeForm writes a message with blanks, and proves on another that filling in the form writes what the templates do.
func (r *Renderer) makeForm(key formKey) (form, error) {
	blanks := messageData{subjectData: key.subject, Code: blankCode[:key.code]}
	other := messageData{subjectData: key.subject, Code: otherCode[:key.code]}
	if key.link {
		blanks.Link, other.Link = blankLink, otherLink
	}
	if key.cancel {
		blanks.Cancel, other.Cancel = blankCancel, otherCancel
	}
	w, err := r.write(&r.locales[key.locale], key.channel, blanks)
	if err != nil {
		return form{}, err
	}
	want, err := r.write(&r.locales[key.locale], key.channel, other)
	if err != nil {
		return form{}, err
	}
	f := form{ok: true, subject: w.Subject, text: cut(w.Text, blanks), html: cut(w.HTML, blanks)}
	if f.fill(other) != want {
		return form{}, nil
	}
	return f, nil
}

// cut takes text apart at the blanks.
func cut(text string, blanks messageData) []piece {
	var pieces []piece
	for {
		at, length, blank := len(text), 0, byte(0)
		for b, s := range map[byte]string{'c': blanks.Code, 'l': blanks.Link, 'x': blanks.Cancel} {
			if i := strings.Index(text, s); s != "" && i >= 0 && i < at {
				at, length, blank = i, len(s), b
			}
		}
		pieces = append(pieces, piece{text[:at], blank})
		if blank == 0 {
			return pieces
		}
		text = text[at+length:]
	}
}

func (f form) fill(d messageData) Wording {
	return Wording{Locale: d.Locale, Subject: f.subject, Text: join(f.text, d), HTML: join(f.html, d)}
}

func join(pieces []piece, d messageData) string {
	size := 0
	for _, p := range pieces {
		size += len(p.literal) + len(p.secret(d))
	}
	var b strings.Builder
	b.Grow(size)
	for _, p := range pieces {
		b.WriteString(p.literal)
		b.WriteString(p.secret(d))
	}
	return b.String()
}

// secret returns what goes into the blank.
func (p piece) secret(d messageData) string {
	switch p.blank {
	case 'c':
		return d.Code
	case 'l':
		return d.Link
	case 'x':
		return d.Cancel
	}
	return ""
}

// plain reports whether a URL is made of nothing that HTML or a URL in HTML escapes.
func plain(url string) bool { return plainBytes.hold(url) }

func notPlain(c rune) bool {
	switch c {
	case '.', '~', ':', '/', '?', '=':
		return false
	}
	return notCode(c)
}
