package passwordless_test

import (
	"fmt"
	"html"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf8"

	"github.com/seed62b93bad/passwordless"
)

const renderHost = "id.example.com"

var renderNow = time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)

// warnings are the words by which each shipped language says that the secret is not to be
// shared, and what to do who did not ask: in an e-mail, and in an SMS.
var warnings = map[string][2][]string{
	"en": {{"Do not share it with anyone", "If you did not ask", "ignore it"}, {"Do not share it", "Not you?", "Ignore"}},
	"nb": {{"Ikke del den med noen", "Hvis du ikke har bedt om", "se bort fra"}, {"Ikke del den", "Ikke bedt om", "Se bort fra"}},
	"sv": {{"Dela den inte med någon", "Om du inte har bett om", "bortse från"}, {"Dela den inte", "Inte bett om", "Bortse från"}},
	"da": {{"Del det ikke med nogen", "Hvis du ikke har bedt om", "se bort fra"}, {"Del den ikke", "Ikke bedt om", "Se bort fra"}},
	"fi": {{"Älä jaa tätä kenellekään", "Jos et pyytänyt", "huomiotta"}, {"Älä jaa", "Etkö pyytänyt", "huomiotta"}},
	"de": {{"an niemanden weiter", "nicht angefordert haben", "ignorieren"}, {"Nicht weitergeben", "Nicht angefordert", "ignorieren"}},
	"es": {{"No lo compartas con nadie", "Si no pediste", "ignóralo"}, {"No compartas", "Si no lo pediste", "no hagas nada"}},
	"fr": {{"Ne le partagez avec personne", "Si vous n’avez pas demandé", "ignorez-le"}, {"Ne le partagez pas", "Pas demandé", "Ignorez"}},
}

func sampleMessage(channel passwordless.Channel) passwordless.Message {
	m := passwordless.Message{
		ID:      "m1",
		Channel: channel,
		To:      "+46701111111",
		Purpose: passwordless.SignIn,
		AppName: "Example Shop",
		Expires: renderNow.Add(5 * time.Minute),
		Code:    "492817",
	}
	if channel == passwordless.Email {
		m.To = "alice@example.com"
		m.Link = "https://id.example.com/finish?t=CF5bPqg4y6c0gPZ9bnLhPQ"
		m.Cancel = "https://id.example.com/cancel?t=x0gPZ9bnLhPQCF5bPqg4y6"
	}
	return m
}

func newRenderer(t testing.TB, fsys fs.FS) passwordless.Renderer {
	t.Helper()
	r, err := passwordless.NewRenderer(fsys, renderHost)
	if err != nil {
		t.Fatal(err)
	}
	return r
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
func variants(channel passwordless.Channel, f func(m passwordless.Message, life string)) {
	for life, d := range map[string]time.Duration{"1 ": time.Minute, "10 ": 10 * time.Minute, "3 ": 3*time.Hour + time.Minute} {
		for _, purpose := range []passwordless.Purpose{passwordless.SignIn, "change-address"} {
			for _, without := range []string{"", "code", "link", "cancel"} {
				m := sampleMessage(channel)
				m.Purpose, m.Expires = purpose, renderNow.Add(d)
				switch without {
				case "code":
					m.Code, m.Link = "", "https://id.example.com/finish?t=CF5bPqg4y6c0gPZ9bnLhPQ"
				case "link":
					m.Link = ""
				case "cancel":
					m.Cancel = ""
				}
				f(m, life)
			}
		}
	}
}

func TestEMailsSayWhatTheyMust(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, nil)
	for locale, words := range warnings {
		variants(passwordless.Email, func(m passwordless.Message, life string) {
			if err := r.Render(&m, locale, renderNow); err != nil {
				t.Fatalf("%s: %v", locale, err)
			}
			subject, text, page := m.Subject.Reveal(), m.Text.Reveal(), m.HTML.Reveal()
			wanted := append([]string{"Example Shop", life, m.Code.Reveal(), m.Link.Reveal(), m.Cancel.Reveal()}, words[0]...)
			for part, in := range map[string]string{"text": text, "HTML": html.UnescapeString(page)} {
				if left := missing(in, wanted...); left != nil {
					t.Errorf("%s: %s leaves out %q:\n%s", locale, part, left, in)
				}
			}
			if m.Locale != locale || !strings.Contains(page, `<html lang="`+locale+`">`) {
				t.Errorf("%s: locale %q, or the page does not name it", locale, m.Locale)
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
		m := sampleMessage(passwordless.Email)
		if err := r.Render(&m, locale, renderNow); err != nil {
			t.Fatal(err)
		}
		if found := loads.FindString(m.HTML.Reveal()); found != "" {
			t.Errorf("%s: %q", locale, found)
		}
		for _, u := range regexp.MustCompile(`https?://[^"< ]*`).FindAllString(m.HTML.Reveal(), -1) {
			if u != m.Link.Reveal() && u != m.Cancel.Reveal() {
				t.Errorf("%s: page has the address %q", locale, u)
			}
		}
	}
}

// gsm7 are the letters of the basic GSM alphabet: an SMS with any other holds 70 letters only.
const gsm7 = "@£$¥èéùìòÇ\nØøÅåÆæßÉ !\"#%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"

func TestTextMessagesSayWhatTheyMust(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, nil)
	for locale, words := range warnings {
		variants(passwordless.SMS, func(m passwordless.Message, life string) {
			if err := r.Render(&m, locale, renderNow); err != nil {
				t.Fatalf("%s: %v", locale, err)
			}
			text := m.Text.Reveal()
			wanted := append([]string{"Example Shop", life, m.Code.Reveal(), m.Link.Reveal()}, words[1]...)
			if left := missing(text, wanted...); left != nil {
				t.Errorf("%s: text leaves out %q:\n%s", locale, left, text)
			}
			if m.Subject != "" || m.HTML != "" || m.Link == "" && strings.Contains(text, "://") {
				t.Errorf("%s: SMS with a subject, HTML or a link nobody asked for", locale)
			}
			if i := strings.IndexFunc(text, func(c rune) bool { return !strings.ContainsRune(gsm7, c) && c != '_' }); i >= 0 {
				t.Errorf("%s: %q is not in the GSM alphabet", locale, text[i:])
			}
			if n := utf8.RuneCountInString(text); m.Link == "" && n > 160 {
				t.Errorf("%s: %d letters:\n%s", locale, n, text)
			}
			host, code, ok := originBound(text)
			if ok != (m.Code != "") || ok && (host != renderHost || code != m.Code.Reveal()) {
				t.Errorf("%s: bound to %q, code %q, %v:\n%s", locale, host, code, ok, text)
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
		for _, channel := range []passwordless.Channel{passwordless.Email, passwordless.SMS} {
			m := sampleMessage(channel)
			m.AppName = name
			if err := r.Render(&m, "en", renderNow); err != nil {
				t.Errorf("%q: %v", name, err)
				continue
			}
			if !strings.Contains(m.Text.Reveal(), name) {
				t.Errorf("%q: the text changes it", name)
			}
			if _, code, ok := originBound(m.Text.Reveal()); channel == passwordless.SMS && (!ok || code != "492817") {
				t.Errorf("%q: code for autofill is %q, %v", name, code, ok)
			}
			page := m.HTML.Reveal()
			if left := missing(html.UnescapeString(page), name); channel == passwordless.Email && left != nil {
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
	for rule, change := range map[string]func(m *passwordless.Message){
		"a line feed in the name":          func(m *passwordless.Message) { m.AppName = "canary\n@evil.example #1" },
		"a carriage return in the name":    func(m *passwordless.Message) { m.AppName = "canary\rBcc: x" },
		"NUL in the name":                  func(m *passwordless.Message) { m.AppName = "canary\x00" },
		"a tab in the name":                func(m *passwordless.Message) { m.AppName = "canary\tx" },
		"a line separator in the name":     func(m *passwordless.Message) { m.AppName = "canary\u2028x" },
		"text direction in the name":       func(m *passwordless.Message) { m.AppName = "canary\u202ex" },
		"invalid UTF-8 in the name":        func(m *passwordless.Message) { m.AppName = "canary\xff" },
		"a name of 10 KB":                  func(m *passwordless.Message) { m.AppName = strings.Repeat("canary", 2000) },
		"no name":                          func(m *passwordless.Message) { m.AppName = " " },
		"neither code nor link":            func(m *passwordless.Message) { m.Code, m.Link = "", "" },
		"a space in the code":              func(m *passwordless.Message) { m.Code = "123 canary" },
		"a line feed in the code":          func(m *passwordless.Message) { m.Code = "1\ncanary" },
		"digits of other scripts":          func(m *passwordless.Message) { m.Code = "١٢٣canary" },
		"a code of 65 letters":             func(m *passwordless.Message) { m.Code = passwordless.Secret(strings.Repeat("canary", 11)) },
		"a script as link":                 func(m *passwordless.Message) { m.Link = "javascript:canary" },
		"a relative link":                  func(m *passwordless.Message) { m.Link = "//canary" },
		"a space in the link":              func(m *passwordless.Message) { m.Link = "https://canary/ x" },
		"a line feed in the link":          func(m *passwordless.Message) { m.Link = "https://canary/\nx" },
		"a quote in the link":              func(m *passwordless.Message) { m.Link = `https://canary/"x` },
		"other than ASCII in the link":     func(m *passwordless.Message) { m.Link = "https://canary/å" },
		"a script as cancel link":          func(m *passwordless.Message) { m.Cancel = "data:canary" },
		"a channel that it does not know":  func(m *passwordless.Message) { m.Channel = "canary" },
		"a message that has been left nil": func(m *passwordless.Message) { *m = passwordless.Message{} },
	} {
		m := sampleMessage(passwordless.Email)
		change(&m)
		err := r.Render(&m, "en", renderNow)
		if err == nil || m.Text != "" {
			t.Errorf("%s: accepted", rule)
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error repeats it: %v", rule, err)
		}
	}
}

func TestLanguages(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, nil)
	long := strings.Repeat("sv;q=0.1,", 20000)
	for languages, want := range map[string]string{
		"": "en", "*": "en", "xx": "en", "tlh": "en", "\x00": "en", ";;;,,,q=": "en", "{{.Code}}": "en",
		"sv": "sv", "SV-se": "sv", "en-GB,en-US;q=0.9,en;q=0.8": "en", "de-CH": "de", "fr-CA, en;q=0.5": "fr",
		"no": "nb", "nn-NO": "nb", "nb_NO": "nb", "pl, da;q=0.7, en;q=0.3": "da", "es-419": "es", "fi;q=0.1,de;q=0.9": "de",
		long: "sv", long + "de": "sv", strings.Repeat("x", 300) + ",sv": "en", strings.Repeat("a-", 5000): "en",
	} {
		m := sampleMessage(passwordless.SMS)
		if err := r.Render(&m, languages, renderNow); err != nil || m.Locale != want {
			t.Errorf("%.60q: got %q, %v, want %q", languages, m.Locale, err, want)
		}
	}
}

func TestLanguagesCannotFillTheMemory(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, nil)
	for i := range 5000 {
		m := sampleMessage(passwordless.SMS)
		if err := r.Render(&m, fmt.Sprintf("x%d", i), renderNow); err != nil {
			t.Fatal(err)
		}
	}
	if n := r.Picks(); n > 1024 {
		t.Errorf("%d lists remembered", n)
	}
}

func TestLife(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, nil)
	for left, want := range map[time.Duration]string{
		-time.Minute: "1 minute.", 0: "1 minute.", 119 * time.Second: "1 minute.", 2 * time.Minute: "2 minutes.",
		299999 * time.Millisecond: "4 minutes.", 119 * time.Minute: "119 minutes.", 2 * time.Hour: "2 hours.", 72*time.Hour - 1: "71 hours.",
	} {
		m := sampleMessage(passwordless.SMS)
		m.Expires = renderNow.Add(left)
		if err := r.Render(&m, "en", renderNow); err != nil || !strings.Contains(m.Text.Reveal(), "valid for "+want) {
			t.Errorf("%v: want %q in %q, %v", left, want, m.Text.Reveal(), err)
		}
	}
}

func shipped(t testing.TB) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	for _, name := range []string{"email.txt", "email.html", "sms.txt", "en.tmpl", "nb.tmpl", "sv.tmpl"} {
		data, err := fs.ReadFile(passwordless.ShippedTemplates(), "templates/"+name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: data}
	}
	return files
}

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

func TestOwnTemplates(t *testing.T) {
	t.Parallel()
	t.Run("what is left out is taken from the shipped ones", func(t *testing.T) {
		r := newRenderer(t, fstest.MapFS{"email.html": file(`<p>Own {{.Code}} {{.Link}}`)})
		m := sampleMessage(passwordless.Email)
		if err := r.Render(&m, "sv", renderNow); err != nil || m.Locale != "sv" {
			t.Fatal(err, m.Locale)
		}
		if !strings.HasPrefix(m.HTML.Reveal(), "<p>Own 492817") || !strings.Contains(m.Text.Reveal(), "Dela den inte") {
			t.Errorf("HTML %q, text %q", m.HTML.Reveal(), m.Text.Reveal())
		}
	})
	t.Run("own phrases replace all languages", func(t *testing.T) {
		files := shipped(t)
		delete(files, "en.tmpl")
		r := newRenderer(t, files)
		for languages, want := range map[string]string{"de": "nb", "en": "nb", "sv": "sv"} {
			m := sampleMessage(passwordless.Email)
			if err := r.Render(&m, languages, renderNow); err != nil || m.Locale != want {
				t.Errorf("%s: got %q, %v, want %q", languages, m.Locale, err, want)
			}
		}
	})
	t.Run("a language may have a layout of its own", func(t *testing.T) {
		files := shipped(t)
		files["sv.tmpl"].Data = append(files["sv.tmpl"].Data, `{{define "sms.txt"}}Kod: {{.Code}} {{.Link}}{{end}}`...)
		m := sampleMessage(passwordless.SMS)
		if err := newRenderer(t, files).Render(&m, "sv", renderNow); err != nil || m.Text != "Kod: 492817\n\n@id.example.com #492817" {
			t.Errorf("got %q, %v", m.Text.Reveal(), err)
		}
	})
	t.Run("a template may do more with a code than show it", func(t *testing.T) {
		r := newRenderer(t, fstest.MapFS{"email.html": file(`{{.Code}}{{if .Code}}, or {{slice .Code 0 3}} {{slice .Code 3}}{{end}} {{.Link}}`)})
		for _, code := range []passwordless.Secret{"492817", "000001", "12345678"} {
			m := sampleMessage(passwordless.Email)
			m.Code = code
			if err := r.Render(&m, "en", renderNow); err != nil {
				t.Fatal(err)
			}
			if left := missing(m.HTML.Reveal(), code.Reveal()[:3]+" "+code.Reveal()[3:]); left != nil {
				t.Errorf("no %q in %q", left, m.HTML.Reveal())
			}
		}
		if kept, used := r.Forms(); kept != 2 || used != 0 {
			t.Errorf("%d forms, %d used, want 2 and 0", kept, used)
		}
	})
}

func TestMistakesInTemplatesAreFound(t *testing.T) {
	t.Parallel()
	for rule, test := range map[string]struct{ file, text, want string }{
		"a syntax error":                {"email.txt", "{{.Code", "unclosed action"},
		"an unknown field":              {"email.html", "{{.Code}}{{.Link}}{{.Password}}", "Password"},
		"an unknown phrase":             {"sms.txt", `{{template "no such"}}`, "no such"},
		"HTML that cannot be escaped":   {"email.html", `{{.Code}}{{.Link}}<a href="{{if .Link}}">{{end}}`, "email.html"},
		"a text without the code":       {"email.txt", "{{.Link}}", "leaves out"},
		"an SMS without the link":       {"sms.txt", "{{.Code}}", "leaves out"},
		"HTML without the code":         {"email.html", "{{.Link}}", "leaves out"},
		"a control character in an SMS": {"sms.txt", "{{.Code}} {{.Link}} \x07", "control character"},
		"no language":                   {"klingon-1-.tmpl", "", "klingon"},
		"the code in a subject":         {"en.tmpl", `{{define "subject"}}{{.Code}} is your code{{end}}`, "Code"},
		"two lines in a subject":        {"en.tmpl", "{{define \"subject\"}}a\nBcc: b{{end}}", "subject"},
		"two lines in some subjects":    {"en.tmpl", "{{define \"subject\"}}a{{if .Hours}}\nb{{end}}{{end}}", "subject"},
	} {
		files := shipped(t)
		if base, ok := files[test.file]; ok && strings.HasSuffix(test.file, ".tmpl") {
			old := strings.Replace(string(base.Data), `{{define "subject"}}`, `{{define "unused"}}`, 1)
			test.text = old + test.text
		}
		files[test.file] = file(test.text)
		if _, err := passwordless.NewRenderer(files, renderHost); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v", rule, err)
		}
	}
	files := shipped(t)
	files["en.tmpl"], files["sv.tmpl"], files["nb.tmpl"] = file("{{"), file("{{end}}"), file(`{{define "x"}}`)
	_, err := passwordless.NewRenderer(files, "no host")
	if left := missing(fmt.Sprint(err), "en.tmpl", "sv.tmpl", "nb.tmpl", "host"); err == nil || left != nil {
		t.Errorf("the error leaves out the mistakes in %q: %v", left, err)
	}
}

func TestHosts(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"example.com": true, "id.example.com": true, "localhost": true, "127.0.0.1": true, "[::1]": true, "xn--bcher-kva.example": true,
		"": false, "Example.com": false, "example.com:443": false, "https://example.com": false, "a b": false, "a\n@b": false,
		"bücher.example": false, "example.com #1": false,
	} {
		if _, err := passwordless.NewRenderer(nil, host); (err == nil) != want {
			t.Errorf("%q: got %v", host, err)
		}
	}
}

func TestFormsWriteWhatTheTemplatesDo(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, nil)
	for _, channel := range []passwordless.Channel{passwordless.Email, passwordless.SMS} {
		for _, locale := range slices.Sorted(maps.Keys(warnings)) {
			for _, code := range []passwordless.Secret{"", "0", "492817", "ABC-def_9", passwordless.Secret(strings.Repeat("7", 64))} {
				for _, link := range []passwordless.Secret{"", "https://id.example.com/a?t=b", "http://127.0.0.1:8/a?t=b&amp=c+d%20e#f", "https://x/{"} {
					m := sampleMessage(channel)
					m.Code, m.Link = code, link
					for range 2 { // the form is made, and then used
						if err := r.Render(&m, locale, renderNow); err != nil {
							break // refused: see TestRenderRefuses
						}
						text, page, err := r.Execute(m, locale, renderNow)
						if err != nil || m.Text.Reveal() != text || m.HTML.Reveal() != page {
							t.Errorf("%s %s %q %q: differs, %v", channel, locale, code.Reveal(), link.Reveal(), err)
						}
					}
				}
			}
		}
	}
	if kept, used := r.Forms(); kept != used || kept == 0 {
		t.Errorf("%d forms, %d used: a shipped template makes none", kept, used)
	}
}

func TestRenderConcurrently(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, nil)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 50 {
				m := sampleMessage(passwordless.Email)
				m.Code = passwordless.Secret(fmt.Sprintf("%03d%03d", i, j))
				m.Expires = renderNow.Add(time.Duration(j%7) * time.Minute)
				if err := r.Render(&m, []string{"sv", "de", "en"}[j%3], renderNow); err != nil || !strings.Contains(m.HTML.Reveal(), m.Code.Reveal()) {
					t.Errorf("%v, or another message's code", err)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzTextMessage(f *testing.F) {
	r := newRenderer(f, nil)
	f.Add("Example", "sv,en;q=0.5", "492817", "", "sign-in")
	f.Add("@evil.example #1", "\n@evil.example #1", "1", "https://x/?t=a&b=c", "x")
	f.Add("a\n@evil.example #1", "de", "{{.Code}}", "https://x/ y", "\n@evil.example #1")
	f.Add("<b>&'\"", "fr", "A-b_9", "http://x/%0a@evil", "{{")
	f.Fuzz(func(t *testing.T, app, languages, code, link, purpose string) {
		m := sampleMessage(passwordless.SMS)
		m.AppName, m.Code, m.Link, m.Purpose = app, passwordless.Secret(code), passwordless.Secret(link), passwordless.Purpose(purpose)
		if err := r.Render(&m, languages, renderNow); err != nil {
			return
		}
		text := m.Text.Reveal()
		host, got, ok := originBound(text)
		if code != "" && (!ok || host != renderHost || got != code || !strings.HasSuffix(text, "\n@"+renderHost+" #"+code)) {
			t.Errorf("bound to %q, code %q, %v: %q", host, got, ok, text)
		}
		if code == "" && ok {
			t.Errorf("bound without a code: %q", text)
		}
		m.Channel, m.Cancel = passwordless.Email, m.Link
		if err := r.Render(&m, languages, renderNow); err != nil {
			t.Fatalf("refused as e-mail: %v", err)
		}
		plain, page, err := r.Execute(m, languages, renderNow)
		if err != nil || plain != m.Text.Reveal() || page != m.HTML.Reveal() {
			t.Errorf("the form differs from the templates: %v", err)
		}
		if strings.ContainsAny(m.Subject.Reveal(), "\r\n\x00") || strings.Count(page, "<") != strings.Count(page, ">") {
			t.Errorf("subject %q, HTML %q", m.Subject.Reveal(), page)
		}
	})
}

func BenchmarkRender(b *testing.B) {
	r, err := passwordless.NewRenderer(nil, "id.example.com")
	if err != nil {
		b.Fatal(err)
	}
	for _, channel := range []passwordless.Channel{passwordless.Email, passwordless.SMS} {
		b.Run(string(channel), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m := sampleMessage(channel)
				if err := r.Render(&m, "sv-SE,sv;q=0.9,en;q=0.8", renderNow); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(string(channel)+" by executing", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := r.Execute(sampleMessage(channel), "sv", renderNow); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkNewRenderer(b *testing.B) {
	for b.Loop() {
		if _, err := passwordless.NewRenderer(nil, "id.example.com"); err != nil {
			b.Fatal(err)
		}
	}
}
