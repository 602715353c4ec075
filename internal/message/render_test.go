package message_test

import (
	"html"
	"io/fs"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf8"

	"github.com/seed62b93bad/passwordless/internal/message"
)

const host = "id.example.com"

// warnings are the words by which each shipped language says that the secret is not to be shared, and what to do who
// did not ask: in an e-mail, and in an SMS.
var warnings = map[string][2][]string{
	"en": {{"Do not share it with anyone", "If you did not ask", "ignore it"}, {"Do not share it", "Not you?", "Ignore"}},
	"nb": {{"Ikke del den med noen", "Hvis du ikke har bedt om", "se bort fra"},
		{"Ikke del den", "Ikke bedt om", "Se bort fra"}},
	"sv": {{"Dela den inte med någon", "Om du inte har bett om", "bortse från"},
		{"Dela den inte", "Inte bett om", "Bortse från"}},
	"da": {{"Del det ikke med nogen", "Hvis du ikke har bedt om", "se bort fra"},
		{"Del den ikke", "Ikke bedt om", "Se bort fra"}},
	"fi": {{"Älä jaa tätä kenellekään", "Jos et pyytänyt", "huomiotta"}, {"Älä jaa", "Etkö pyytänyt", "huomiotta"}},
	"de": {{"an niemanden weiter", "nicht angefordert haben", "ignorieren"},
		{"Nicht weitergeben", "Nicht angefordert", "ignorieren"}},
	"es": {{"No lo compartas con nadie", "Si no pediste", "ignóralo"}, {"No compartas", "Si no lo pediste", "no hagas nada"}},
	"fr": {{"Ne le partagez avec personne", "Si vous n’avez pas demandé", "ignorez-le"},
		{"Ne le partagez pas", "Pas demandé", "Ignorez"}},
}

func sample(channel string) message.Letter {
	l := message.Letter{
		Channel: channel,
		AppName: "Example Shop",
		Purpose: message.SignIn,
		Life:    5 * time.Minute,
		Code:    "492817",
	}
	if channel == message.Email {
		l.Link = "https://id.example.com/finish?t=CF5bPqg4y6c0gPZ9bnLhPQ"
		l.Cancel = "https://id.example.com/cancel?t=x0gPZ9bnLhPQCF5bPqg4y6"
	}
	return l
}

func newRenderer(t testing.TB, fsys fs.FS) *message.Renderer {
	t.Helper()
	r, err := message.New(fsys, host)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// render renders what must not be refused.
func render(t testing.TB, r *message.Renderer, l message.Letter, languages string) message.Wording {
	t.Helper()
	w, err := r.Render(l, languages)
	if err != nil {
		t.Fatalf("%.60q: %v", languages, err)
	}
	return w
}

// missing reports which of the wanted words text leaves out.
func missing(text string, wanted ...string) (left []string) {
	for _, w := range wanted {
		if !strings.Contains(text, w) {
			left = append(left, w)
		}
	}
	return left
}

// variants calls f with messages of both purposes, three lives and every set of secrets.
func variants(channel string, f func(l message.Letter, life string)) {
	for life, d := range map[string]time.Duration{"1 ": time.Minute, "10 ": 10 * time.Minute, "3 ": 3*time.Hour + time.Minute} {
		for _, purpose := range []string{message.SignIn, "change-address"} {
			for _, without := range []string{"", "code", "link", "cancel"} {
				l := sample(channel)
				l.Purpose, l.Life = purpose, d
				switch without {
				case "code":
					l.Code, l.Link = "", "https://id.example.com/finish?t=CF5bPqg4y6c0gPZ9bnLhPQ"
				case "link":
					l.Link = ""
				case "cancel":
					l.Cancel = ""
				}
				f(l, life)
			}
		}
	}
}

func TestEMailsSayWhatTheyMust(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, nil)
	for locale, words := range warnings {
		variants(message.Email, func(l message.Letter, life string) {
			w := render(t, r, l, locale)
			subject, text, page := w.Subject, w.Text, w.HTML
			wanted := append([]string{"Example Shop", life, l.Code, l.Link, l.Cancel}, words[0]...)
			for part, in := range map[string]string{"text": text, "HTML": html.UnescapeString(page)} {
				if left := missing(in, wanted...); left != nil {
					t.Errorf("%s: %s leaves out %q:\n%s", locale, part, left, in)
				}
			}
			if w.Locale != locale || !strings.Contains(page, `<html lang="`+locale+`">`) {
				t.Errorf("%s: locale %q, or the page does not name it", locale, w.Locale)
			}
			if !strings.Contains(subject, "Example Shop") || strings.ContainsAny(subject, "\r\n0123456789") {
				t.Errorf("%s: subject %q, want the application and no code", locale, subject)
			}
			if strings.Contains(text, "<") || strings.Contains(text, "  \n") {
				t.Errorf("%s: text with markup or space at the end of a line:\n%s", locale, text)
			}
		})
	}
}

func TestHTMLLoadsNothing(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, nil)
	loads := regexp.MustCompile(`(?i)src\s*=|<link|<script|<img|@import|url\(|<base|<form|\son\w+=|srcset|background\s*=`)
	for locale := range warnings {
		l := sample(message.Email)
		w := render(t, r, l, locale)
		if found := loads.FindString(w.HTML); found != "" {
			t.Errorf("%s: %q", locale, found)
		}
		for _, u := range regexp.MustCompile(`https?://[^"< ]*`).FindAllString(w.HTML, -1) {
			if u != l.Link && u != l.Cancel {
				t.Errorf("%s: page has the address %q", locale, u)
			}
		}
	}
}

// gsm7 are the letters of the basic GSM alphabet: an SMS with any other holds 70 letters only.
const gsm7 = "@£$¥èéùìòÇ\nØøÅåÆæßÉ !\"#%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§" +
	"¿abcdefghijklmnopqrstuvwxyzäöñüà"

func TestTextMessagesSayWhatTheyMust(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, nil)
	for locale, words := range warnings {
		variants(message.SMS, func(l message.Letter, life string) {
			w := render(t, r, l, locale)
			text := w.Text
			wanted := append([]string{"Example Shop", life, l.Code, l.Link}, words[1]...)
			if left := missing(text, wanted...); left != nil {
				t.Errorf("%s: text leaves out %q:\n%s", locale, left, text)
			}
			if w.Subject != "" || w.HTML != "" || l.Link == "" && strings.Contains(text, "://") {
				t.Errorf("%s: SMS with a subject, HTML or a link nobody asked for", locale)
			}
			if i := strings.IndexFunc(text, func(c rune) bool { return !strings.ContainsRune(gsm7, c) && c != '_' }); i >= 0 {
				t.Errorf("%s: %q is not in the GSM alphabet", locale, text[i:])
			}
			if n := utf8.RuneCountInString(text); l.Link == "" && n > 160 {
				t.Errorf("%s: %d letters:\n%s", locale, n, text)
			}
			at, code, ok := originBound(text)
			if ok != (l.Code != "") || ok && (at != host || code != l.Code) {
				t.Errorf("%s: bound to %q, code %q, %v:\n%s", locale, at, code, ok, text)
			}
		})
	}
}

// originBound parses an SMS as phones do (WICG, Origin-bound one-time codes, 4.2).
func originBound(text string) (host, code string, ok bool) {
	lines := strings.FieldsFunc(text, func(c rune) bool { return c == '\n' || c == '\r' })
	if len(lines) == 0 {
		return "", "", false
	}
	last, ok := strings.CutPrefix(lines[len(lines)-1], "@")
	if !ok {
		return "", "", false
	}
	host, code, ok = strings.Cut(last, " ")
	if !ok || host == "" || !strings.HasPrefix(code, "#") || len(code) < 2 || strings.ContainsAny(code, " \t") {
		return "", "", false
	}
	return host, code[1:], true
}

func TestApplicationNamesAreInert(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, nil)
	for _, name := range []string{
		"<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "{{.Code}}", "Smith & Søn's", "' onclick='x",
		"@evil.example #1", "javascript:alert(1)", "</title><base href=//evil.example>", "%0d%0aBcc: x", "日本",
	} {
		for _, channel := range []string{message.Email, message.SMS} {
			l := sample(channel)
			l.AppName = name
			w, err := r.Render(l, "en")
			if err != nil {
				t.Errorf("%q: %v", name, err)
				continue
			}
			if !strings.Contains(w.Text, name) {
				t.Errorf("%q: the text changes it", name)
			}
			if _, code, ok := originBound(w.Text); channel == message.SMS && (!ok || code != "492817") {
				t.Errorf("%q: code for autofill is %q, %v", name, code, ok)
			}
			page := w.HTML
			if left := missing(html.UnescapeString(page), name); channel == message.Email && left != nil {
				t.Errorf("%q: the page does not show it", name)
			}
			if strings.ContainsAny(name, "<&") && strings.Contains(page, name) {
				t.Errorf("%q: unescaped in HTML", name)
			}
		}
	}
}

func TestRenderRefuses(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, nil)
	for rule, change := range map[string]func(l *message.Letter){
		"a line feed in the name":         func(l *message.Letter) { l.AppName = "canary\n@evil.example #1" },
		"a carriage return in the name":   func(l *message.Letter) { l.AppName = "canary\rBcc: x" },
		"NUL in the name":                 func(l *message.Letter) { l.AppName = "canary\x00" },
		"a tab in the name":               func(l *message.Letter) { l.AppName = "canary\tx" },
		"a line separator in the name":    func(l *message.Letter) { l.AppName = "canary\u2028x" },
		"text direction in the name":      func(l *message.Letter) { l.AppName = "canary\u202ex" },
		"invalid UTF-8 in the name":       func(l *message.Letter) { l.AppName = "canary\xff" },
		"a name of 10 KB":                 func(l *message.Letter) { l.AppName = strings.Repeat("canary", 2000) },
		"no name":                         func(l *message.Letter) { l.AppName = " " },
		"neither code nor link":           func(l *message.Letter) { l.Code, l.Link = "", "" },
		"a space in the code":             func(l *message.Letter) { l.Code = "123 canary" },
		"a line feed in the code":         func(l *message.Letter) { l.Code = "1\ncanary" },
		"digits of other scripts":         func(l *message.Letter) { l.Code = "١٢٣canary" },
		"a code of 65 letters":            func(l *message.Letter) { l.Code = strings.Repeat("canary", 11) },
		"a script as link":                func(l *message.Letter) { l.Link = "javascript:canary" },
		"a relative link":                 func(l *message.Letter) { l.Link = "//canary" },
		"a space in the link":             func(l *message.Letter) { l.Link = "https://canary/ x" },
		"a line feed in the link":         func(l *message.Letter) { l.Link = "https://canary/\nx" },
		"a quote in the link":             func(l *message.Letter) { l.Link = `https://canary/"x` },
		"other than ASCII in the link":    func(l *message.Letter) { l.Link = "https://canary/å" },
		"a script as cancel link":         func(l *message.Letter) { l.Cancel = "data:canary" },
		"a channel that it does not know": func(l *message.Letter) { l.Channel = "canary" },
		"a letter that is not filled in":  func(l *message.Letter) { *l = message.Letter{} },
	} {
		l := sample(message.Email)
		change(&l)
		w, err := r.Render(l, "en")
		if err == nil || w != (message.Wording{}) {
			t.Errorf("%s: accepted", rule)
		} else if !strings.HasPrefix(err.Error(), "message: ") || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error repeats it, or does not begin with the package: %v", rule, err)
		}
	}
}

func TestAnErrorOfATemplateTellsWhereAndNotWhat(t *testing.T) {
	t.Parallel()
	for _, field := range []string{"Code", "Link", "Cancel", "App"} {
		for _, name := range []string{"email.txt", "email.html", "sms.txt"} {
			// A life that no sample has: what fails with the secrets in sight fails only now.
			text := `{{.Code}} {{.Link}}{{if eq .Minutes 7}}{{range .` + field + `}}{{end}}{{end}}`
			r := newRenderer(t, fstest.MapFS{name: file(text)})
			for _, link := range []string{"https://canary.example/", "https://canary.example/#a&b"} { // with a form, and without
				l := sample(strings.TrimSuffix(strings.TrimSuffix(name, ".txt"), ".html"))
				l.AppName, l.Code, l.Link, l.Cancel, l.Life = "canary", "canary", link, link, 7*time.Minute
				_, err := r.Render(l, "sv")
				if want := "message: " + name + ":1:"; err == nil || !strings.HasPrefix(err.Error(), want) {
					t.Errorf("%s in %s: got %v, want %s…", field, name, err, want)
				} else if strings.Contains(err.Error(), "canary") || !strings.HasSuffix(err.Error(), " fails (in sv)") {
					t.Errorf("%s in %s: %v", field, name, err)
				}
			}
		}
	}
}

func TestLife(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, nil)
	for left, want := range map[time.Duration]string{
		-time.Minute: "1 minute.", 0: "1 minute.", 119 * time.Second: "1 minute.", 2 * time.Minute: "2 minutes.",
		299999 * time.Millisecond: "4 minutes.", 119 * time.Minute: "119 minutes.",
		2 * time.Hour: "2 hours.", 72*time.Hour - 1: "71 hours.",
	} {
		l := sample(message.SMS)
		l.Life = left
		if w := render(t, r, l, "en"); !strings.Contains(w.Text, "valid for "+want) {
			t.Errorf("%v: want %q in %q", left, want, w.Text)
		}
	}
}
