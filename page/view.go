package page

import (
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/text/language"

	"github.com/seed62b93bad/passwordless"
)

// The shipped templates: a layout, a file a page, a style sheet, and the phrases of each language (en.tmpl and so on),
// which all pages share.
//
//go:embed templates
var shipped embed.FS

// A View is what a template can show. The files of the pages are start.html, code.html, link.html, elsewhere.html,
// cancel.html, sign-out.html and message.html; layout.html has what they share, and style.css is served from its own
// address. A replaced page must keep its forms: their method, action and the names of their fields.
type View struct {
	App   string // the application's name
	Lang  string // the BCP 47 tag of the language that was chosen
	Base  string // the path of the pages, with slashes around it
	Style string // the path of style.css
	Nonce string // for the hidden field "nonce" of every form

	Channels []passwordless.Channel // that are offered
	Channel  passwordless.Channel   // of the form, or of the message that was sent
	Address  string                 // in start.html as it was typed, everywhere else masked
	Next     string                 // for the hidden field "next" of start.html
	Send     string                 // what the message holds: "code", "link" or "both"
	Letters  bool                   // code.html should let a phone's keyboard show letters
	Problem  string                 // "address" or "code" if that was not accepted; "not sent" if the message was not
	Notice   string                 // "sent", "wait" or "failed" after a resend

	// Token is for the hidden field "t" of link.html and cancel.html. In link.html it is "" on a page of Confirm, whose
	// form has no such field and no action: it leads to the page's own URL.
	Token       string
	SameBrowser bool   // link.html signs in here; else it leads to a code
	Code        string // of elsewhere.html

	Home    string // where sign-out.html leads instead, or ""
	Message string // of message.html: see there
	Minutes int    // to wait, with the message "limited"
}

// Offers reports whether another channel is offered, for links between them.
func (v View) Offers(ch passwordless.Channel) bool {
	return v.Channel != ch && slices.Contains(v.Channels, ch)
}

// views are the templates of each language. They are safe for concurrent use.
type views struct {
	langs     []lang // in the order of matcher; the first is the fallback
	matcher   language.Matcher
	style     []byte
	styleName string // changes with its content, so that it may be kept for ever
}

type lang struct {
	tag   string
	pages *template.Template
}

var pageFiles = []string{"layout.html", "start.html", "code.html", "link.html", "elsewhere.html",
	"cancel.html", "sign-out.html", "message.html"}

// newViews reads templates from fsys, and what it leaves out from the shipped ones. All pages are tried in all
// languages; the error joins all mistakes.
func newViews(fsys fs.FS) (*views, error) {
	own, err := fs.Sub(shipped, "templates")
	if err != nil {
		return nil, fmt.Errorf("page: shipped templates: %w", err)
	}
	files := overlay{fsys, own}
	v := &views{}
	if v.style, err = fs.ReadFile(files, "style.css"); err != nil {
		return nil, fmt.Errorf("page: template style.css: %w", err)
	}
	v.styleName = fmt.Sprintf("style-%x.css", sha256.Sum256(v.style))[:len("style-")+16] + ".css"
	pages, err := template.New("").ParseFS(files, pageFiles...)
	if err != nil {
		return nil, fmt.Errorf("page: templates: %w", err)
	}
	var errs []error
	var tags []language.Tag
	for _, name := range files.phrases() {
		tag, l, err := parseLang(pages, files, name)
		if err == nil {
			err = l.try()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("page: template %s: %w", name, err))
			continue
		}
		tags, v.langs = append(tags, tag), append(v.langs, l)
	}
	v.matcher = language.NewMatcher(tags)
	return v, errors.Join(errs...)
}

// An overlay has each file of the first that has it. The first may be nil.
type overlay struct{ over, under fs.FS }

func (o overlay) Open(name string) (fs.File, error) {
	if o.over != nil {
		f, err := o.over.Open(name)
		if !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	return o.under.Open(name)
}

// phrases returns the names of the files of phrases of whichever has any, English first.
func (o overlay) phrases() []string {
	var names []string
	if o.over != nil {
		names, _ = fs.Glob(o.over, "*.tmpl") // the pattern is well-formed
	}
	if len(names) == 0 {
		names, _ = fs.Glob(o.under, "*.tmpl")
	}
	if i := slices.Index(names, "en.tmpl"); i > 0 {
		names = slices.Insert(slices.Delete(names, i, i+1), 0, "en.tmpl")
	}
	return names
}

// parseLang gives the pages the phrases of one language.
func parseLang(pages *template.Template, fsys fs.FS, phrases string) (language.Tag, lang, error) {
	tag, err := language.Parse(strings.TrimSuffix(phrases, ".tmpl"))
	if err != nil {
		return tag, lang{}, err
	}
	if pages, err = pages.Clone(); err != nil {
		return tag, lang{}, err
	}
	_, err = pages.ParseFS(fsys, phrases)
	return tag, lang{tag.String(), pages}, err
}

// try writes every page, so that a missing phrase or a mistyped field is found now.
func (l lang) try() error {
	both := []passwordless.Channel{passwordless.Email, passwordless.SMS}
	samples := []View{
		{Channel: passwordless.Email, Channels: both, Send: "code", Problem: "address"},
		{Channel: passwordless.SMS, Channels: both, Send: "code", Problem: "code", Letters: true},
		{Channel: passwordless.Email, Send: "link", Notice: "sent", Problem: "not sent", SameBrowser: true, Home: "/"},
		{Channel: passwordless.SMS, Send: "code", Notice: "failed", Problem: "not sent"},
		{Channel: passwordless.Email, Send: "both", Notice: "wait", Message: "limited", Minutes: 5},
	}
	for _, file := range pageFiles[1:] {
		for _, v := range samples {
			if err := l.pages.ExecuteTemplate(io.Discard, file, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// write writes a page in the language that suits best, and returns its tag.
func (v *views) write(w io.Writer, languages, file string, data View) (string, error) {
	l := v.langs[v.pick(languages)]
	data.Lang = l.tag
	return l.tag, l.pages.ExecuteTemplate(w, file, data)
}

// maxLanguages bounds, in bytes, what is read of a list of languages that may come from anyone.
const maxLanguages = 256

func (v *views) pick(languages string) int {
	if len(languages) > maxLanguages {
		cut := languages[:maxLanguages]
		languages = cut[:max(0, strings.LastIndexByte(cut, ','))]
	}
	tags, _, err := language.ParseAcceptLanguage(languages)
	if err != nil {
		return 0
	}
	_, at, _ := v.matcher.Match(tags...)
	return at
}

func (v *views) serveStyle(w http.ResponseWriter, _ *http.Request) {
	header := w.Header()
	header.Set("Content-Type", "text/css; charset=utf-8")
	header.Set("Cache-Control", "public, max-age=31536000, immutable")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	_, _ = w.Write(v.style) // nobody is left to tell
}
