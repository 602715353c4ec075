package passwordless

import (
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"sync"
	texttemplate "text/template"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"
)

// The shipped templates: three layouts (email.txt, email.html, sms.txt) and the
// phrases of each language (en.tmpl and so on), which all layouts share.
//
//go:embed templates
var shippedTemplates embed.FS

// The bounds of what reaches a template.
const (
	maxAppName   = 100  // bytes
	maxCode      = 64   // bytes
	maxURL       = 2000 // bytes
	maxLanguages = 256  // bytes of a list of languages that are read
)

// A renderer writes messages. It is safe for concurrent use.
type renderer struct {
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

// subjectData is what a subject can show. It has no code, since a subject is readable
// on a locked screen; a template that asks for one fails when it is tried.
type subjectData struct {
	App     string
	Locale  string
	Purpose string
	// The life of the secrets, rounded down: Hours if there are two or more of them,
	// else Hours is 0 and Minutes is 1 or more.
	Hours, Minutes int
}

// messageData is what a text can show.
type messageData struct {
	subjectData
	Code, Link, Cancel string // "" where the message has none
}

// wording is a message in words.
type wording struct{ subject, text, html string }

// newRenderer reads templates from fsys. What fsys leaves out is taken from the
// shipped ones: each layout on its own, the phrases of all languages together. A nil
// fsys leaves out everything. English is the fallback, or, if the templates have none, the
// first language in the order of file names.
//
// The host is the origin that the codes of text messages are bound to. All templates are
// parsed and tried; the error joins all mistakes.
func newRenderer(fsys fs.FS, host string) (*renderer, error) {
	shipped, err := fs.Sub(shippedTemplates, "templates")
	if err != nil {
		return nil, fmt.Errorf("passwordless: shipped templates: %w", err)
	}
	if fsys == nil {
		fsys = shipped
	}
	r := &renderer{host: host}
	errs := []error{checkHost(host)}
	errs = append(errs, r.parse(fsys, shipped)...)
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
func (r *renderer) parse(fsys, shipped fs.FS) (errs []error) {
	layouts := map[string]string{"email.txt": "", "email.html": "", "sms.txt": ""}
	for name := range layouts {
		text, err := fs.ReadFile(fsys, name)
		if errors.Is(err, fs.ErrNotExist) {
			text, err = fs.ReadFile(shipped, name)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("passwordless: template %s: %w", name, err))
		}
		layouts[name] = string(text)
	}
	names, err := fs.Glob(fsys, "*.tmpl")
	if err != nil || len(names) == 0 {
		fsys = shipped
		names, err = fs.Glob(fsys, "*.tmpl")
	}
	if err != nil {
		return append(errs, fmt.Errorf("passwordless: templates: %w", err))
	}
	if i := slices.Index(names, "en.tmpl"); i > 0 {
		names = slices.Insert(slices.Delete(names, i, i+1), 0, "en.tmpl")
	}
	var tags []language.Tag
	for _, name := range names {
		tag, l, err := parseLocale(fsys, name, layouts)
		if err != nil {
			errs = append(errs, fmt.Errorf("passwordless: template %s: %w", name, err))
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

// try writes a message of each kind and reports the first mistake of each channel.
func (r *renderer) try(l *locale) (errs []error) {
	lives := []subjectData{{Minutes: 1}, {Minutes: 5}, {Hours: 3}}
	secrets := []messageData{
		{Code: "QZXWVK"},
		{Link: "https://link.invalid/?t=a"},
		{Code: "QZXWVK", Link: "https://link.invalid/?t=a", Cancel: "https://cancel.invalid/?t=b"},
	}
	for _, channel := range []Channel{Email, SMS} {
		var mistake error
		for _, d := range secrets {
			for _, life := range lives {
				for _, purpose := range []Purpose{SignIn, "other"} {
					d.subjectData = life
					d.App, d.Locale, d.Purpose = "App", l.tag, string(purpose)
					if mistake == nil {
						mistake = r.tryOne(l, channel, d)
					}
				}
			}
		}
		if mistake != nil {
			errs = append(errs, fmt.Errorf("passwordless: templates of %s: %s: %w", l.tag, channel, mistake))
		}
	}
	return errs
}

// tryOne reports whether the templates write d as they must.
func (r *renderer) tryOne(l *locale, channel Channel, d messageData) error {
	w, err := r.write(l, channel, d)
	if err != nil {
		return err
	}
	for _, secret := range []string{d.Code, d.Link} {
		if !strings.Contains(w.text, secret) {
			return errors.New("the text leaves out the code or the link")
		}
		if channel == Email && !strings.Contains(w.html, secret) {
			return errors.New("the HTML leaves out the code or the link")
		}
	}
	if strings.ContainsFunc(strings.ReplaceAll(w.text, "\n", ""), notGraphic) {
		return errors.New("the text has a control character")
	}
	if channel == Email && (w.subject == "" || strings.ContainsFunc(w.subject, notGraphic)) {
		return errors.New("the subject is empty, has several lines or a control character")
	}
	return nil
}

// render writes m in the language that suits best, and sets m.Locale, m.Subject, m.Text and
// m.HTML. The list of languages is in the form of Accept-Language and may come from anyone;
// only its first part is read, and what is not understood gets the fallback. The life of
// the secrets is counted from now.
//
// An error means that m holds something which must not be written, such as a control character
// in the name of the application. The error does not repeat it.
func (r *renderer) render(m *Message, languages string, now time.Time) error {
	if err := checkMessage(m); err != nil {
		return fmt.Errorf("passwordless: render message: %w", err)
	}
	at := r.pick(languages)
	w, err := r.compose(at, m.Channel, dataOf(m, r.locales[at].tag, now))
	if err != nil {
		return err
	}
	m.Locale = r.locales[at].tag
	m.Subject, m.Text, m.HTML = Secret(w.subject), Secret(w.text), Secret(w.html)
	return nil
}

// pick returns the index of the locale that suits the languages best.
func (r *renderer) pick(languages string) int {
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

// write executes the templates.
func (r *renderer) write(l *locale, channel Channel, d messageData) (wording, error) {
	if channel == SMS {
		text, err := execute(l.text, "sms.txt", d)
		return wording{text: bindToOrigin(text, r.host, d.Code)}, err
	}
	subject, err := execute(l.text, "subject", d.subjectData)
	if err != nil {
		return wording{}, err
	}
	text, err := execute(l.text, "email.txt", d)
	if err != nil {
		return wording{}, err
	}
	html, err := execute(l.html, "email.html", d)
	return wording{subject: subject, text: text + "\n", html: html}, err
}

// bindToOrigin ends the text of an SMS with the line by which a phone offers the
// code to this host's pages only (WICG, Origin-bound one-time codes, 4). It is written here, not in
// a template, so that no template can get it wrong.
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
		return "", fmt.Errorf("passwordless: write message: %w", err)
	}
	return strings.TrimSpace(b.String()), nil
}

func dataOf(m *Message, tag string, now time.Time) messageData {
	life := m.Expires.Sub(now)
	d := messageData{
		subjectData: subjectData{App: m.AppName, Locale: tag, Purpose: string(m.Purpose)},
		Code:        m.Code.Reveal(),
		Link:        m.Link.Reveal(),
		Cancel:      m.Cancel.Reveal(),
	}
	if life >= 2*time.Hour {
		d.Hours = int(life / time.Hour)
	} else {
		d.Minutes = int(max(1, life/time.Minute))
	}
	return d
}

// checkMessage refuses what could change the form of a message: lines, headers, links.
func checkMessage(m *Message) error {
	switch {
	case m.Channel != Email && m.Channel != SMS:
		return errors.New("unknown channel")
	case m.Code == "" && m.Link == "":
		return errors.New("neither code nor link")
	case len(m.Code) > maxCode || strings.ContainsFunc(m.Code.Reveal(), notCode):
		return errors.New("code with other than ASCII letters, digits, - and _")
	case m.Link != "" && !isURL(m.Link.Reveal()):
		return errors.New("link is not an http or https URL")
	case m.Cancel != "" && !isURL(m.Cancel.Reveal()):
		return errors.New("cancel link is not an http or https URL")
	}
	return checkAppName(m.AppName)
}

// checkAppName refuses what cannot be the name of an application in a subject or an SMS.
func checkAppName(name string) error {
	switch {
	case strings.TrimSpace(name) == "" || len(name) > maxAppName:
		return fmt.Errorf("application name of %d bytes, want 1 to %d", len(name), maxAppName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, notGraphic):
		return errors.New("application name with a control character")
	}
	return nil
}

func checkHost(host string) error {
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return nil
	}
	if host == "" || len(host) > 253 || strings.ContainsFunc(host, func(c rune) bool {
		return notCode(c) && c != '.' || unicode.IsUpper(c)
	}) {
		return errors.New("passwordless: the host of text messages is no lower-case ASCII host name")
	}
	return nil
}

// isURL reports whether s is an absolute web address that no text, attribute or mail
// program would cut short.
func isURL(s string) bool {
	rest, ok := strings.CutPrefix(s, "https://")
	if !ok {
		rest, ok = strings.CutPrefix(s, "http://")
	}
	return ok && rest != "" && len(s) <= maxURL && !strings.ContainsFunc(rest, notURL)
}

func notURL(c rune) bool {
	switch c {
	case '"', '\'', '<', '>', '\\', '^', '`', '{', '|', '}':
		return true
	}
	return c <= ' ' || c > '~'
}

func notCode(c rune) bool {
	return !('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '-' || c == '_')
}

// notGraphic is true for what does not show: control characters, line and paragraph
// separators, and the format characters that reorder text.
func notGraphic(c rune) bool { return !unicode.IsGraphic(c) }

// The blanks stand for the secrets while a form is made. They hold every character
// that plain allows, so a template that would escape one does not make a form.
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
	channel      Channel
	subject      subjectData
	code         int // its length
	link, cancel bool
}

// A form is a message with blanks for its secrets. Executing templates takes tens of times
// as long as filling in a form, and messages with one key differ in nothing but the
// secrets. The zero form is for templates which do more with a secret than show it.
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
func (r *renderer) compose(at int, channel Channel, d messageData) (wording, error) {
	if !plain(d.Link) || !plain(d.Cancel) {
		return r.write(&r.locales[at], channel, d)
	}
	key := formKey{at, channel, d.subjectData, len(d.Code), d.Link != "", d.Cancel != ""}
	f, ok := r.forms.get(key)
	if !ok {
		var err error
		if f, err = r.makeForm(key); err != nil {
			return wording{}, err
		}
		r.forms.put(key, f)
	}
	if !f.ok {
		return r.write(&r.locales[at], channel, d)
	}
	return f.fill(d), nil
}

// makeForm writes a message with blanks, and proves on another that filling in the form
// writes what the templates do.
func (r *renderer) makeForm(key formKey) (form, error) {
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
	f := form{ok: true, subject: w.subject, text: cut(w.text, blanks), html: cut(w.html, blanks)}
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

func (f form) fill(d messageData) wording {
	return wording{subject: f.subject, text: join(f.text, d), html: join(f.html, d)}
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
func plain(url string) bool {
	return !strings.ContainsFunc(url, notPlain)
}

func notPlain(c rune) bool {
	switch c {
	case '.', '~', ':', '/', '?', '=':
		return false
	}
	return notCode(c)
}

// A memo keeps up to maxMemo answers; then it forgets all and starts anew, so nobody can
// make it grow. The zero memo is empty. It is safe for concurrent use.
type memo[K comparable, V any] struct {
	mu      sync.RWMutex // guards answers
	answers map[K]V
}

const maxMemo = 1024

func (c *memo[K, V]) get(key K) (V, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	v, ok := c.answers[key]
	return v, ok
}

func (c *memo[K, V]) put(key K, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answers == nil || len(c.answers) >= maxMemo {
		c.answers = make(map[K]V)
	}
	c.answers[key] = v
}
