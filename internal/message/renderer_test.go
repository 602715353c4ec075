package message_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/seed62b93bad/passwordless/internal/message"
)

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
		l := sample(message.SMS)
		if w := render(t, r, l, languages); w.Locale != want {
			t.Errorf("%.60q: got %q, want %q", languages, w.Locale, want)
		}
	}
}

func TestLanguagesCannotFillTheMemory(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, nil)
	for i := range 5000 {
		l := sample(message.SMS)
		render(t, r, l, fmt.Sprintf("x%d", i))
	}
	if n := r.Picks(); n > 1024 {
		t.Errorf("%d lists remembered", n)
	}
}

func shipped(t testing.TB) fstest.MapFS {
	t.Helper()
	builtIn, err := message.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{}
	for _, name := range []string{"email.txt", "email.html", "sms.txt", "en.tmpl", "nb.tmpl", "sv.tmpl"} {
		data, err := fs.ReadFile(builtIn, name)
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
		l := sample(message.Email)
		w := render(t, r, l, "sv")
		if w.Locale != "sv" {
			t.Fatal(w.Locale)
		}
		if !strings.HasPrefix(w.HTML, "<p>Own 492817") || !strings.Contains(w.Text, "Dela den inte") {
			t.Errorf("HTML %q, text %q", w.HTML, w.Text)
		}
	})
	t.Run("own phrases replace all languages", func(t *testing.T) {
		files := shipped(t)
		delete(files, "en.tmpl")
		r := newRenderer(t, files)
		for languages, want := range map[string]string{"de": "nb", "en": "nb", "sv": "sv"} {
			l := sample(message.Email)
			if w := render(t, r, l, languages); w.Locale != want {
				t.Errorf("%s: got %q, want %q", languages, w.Locale, want)
			}
		}
	})
	t.Run("a language may have a layout of its own", func(t *testing.T) {
		files := shipped(t)
		files["sv.tmpl"].Data = append(files["sv.tmpl"].Data, `{{define "sms.txt"}}Kod: {{.Code}} {{.Link}}{{end}}`...)
		l := sample(message.SMS)
		if w := render(t, newRenderer(t, files), l, "sv"); w.Text != "Kod: 492817\n\n@id.example.com #492817" {
			t.Errorf("got %q", w.Text)
		}
	})
	t.Run("a template may do more with a code than show it", func(t *testing.T) {
		r := newRenderer(t, fstest.MapFS{"email.html": file(
			`{{.Code}}{{if .Code}}, or {{slice .Code 0 3}} {{slice .Code 3}}{{end}} {{.Link}}`)})
		for _, code := range []string{"492817", "000001", "12345678"} {
			l := sample(message.Email)
			l.Code = code
			w := render(t, r, l, "en")
			if left := missing(w.HTML, code[:3]+" "+code[3:]); left != nil {
				t.Errorf("no %q in %q", left, w.HTML)
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
		got := reports(files, host)
		if len(got) != 1 || !strings.HasPrefix(got[0], "message: ") || !strings.Contains(got[0], test.want) {
			t.Errorf("%s: got %q", rule, got)
		}
	}
	files := shipped(t)
	files["en.tmpl"], files["sv.tmpl"], files["nb.tmpl"] = file("{{"), file("{{end}}"), file(`{{define "x"}}`)
	got := reports(files, "no host")
	if left := missing(strings.Join(got, "\n"), "en.tmpl", "sv.tmpl", "nb.tmpl", "host"); len(got) != 4 || left != nil {
		t.Errorf("the error leaves out the mistakes in %q: %q", left, got)
	}
}

// reports returns the lines of New's error; none if there is no error.
func reports(fsys fs.FS, host string) []string {
	_, err := message.New(fsys, host)
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}

func TestEachMistakeIsReportedOnce(t *testing.T) {
	t.Parallel()
	for rule, test := range map[string]struct {
		files map[string]string // over the built-in ones; "+" adds to a file, "-phrase" renames a phrase
		want  []string
	}{
		"a broken layout, not once a language": {
			map[string]string{"email.txt": "{{.Code"},
			[]string{"email.txt:1: unclosed action"}},
		"a broken language, not once a format": {
			map[string]string{"sv.tmpl": "{{end}}"},
			[]string{"sv.tmpl:1: unexpected {{end}}"}},
		"all broken files": {
			map[string]string{"sms.txt": "{{.Code", "email.html": "{{", "nb.tmpl": `{{define "x"}}`},
			[]string{"email.html:1: unclosed action", "sms.txt:1: unclosed action", "nb.tmpl:1: unexpected EOF"}},
		"a mistake that shows when a layout is tried": {
			map[string]string{"email.html": "{{.Code}}{{.Link}}{{.Password}}"},
			[]string{`email.html:1:20: executing "email.html" at <.Password>: ` +
				"can't evaluate field Password in type message.messageData"}},
		"a layout that leaves the code out": {
			map[string]string{"email.html": "{{.Link}}"},
			[]string{"email.html: leaves out the code or the link"}},
		"a phrase that no language has": {
			map[string]string{"sms.txt": `{{.Code}} {{.Link}}{{if .Hours}}{{template "no such"}}{{end}}`},
			[]string{`sms.txt: no phrase "no such"`}},
		"a phrase that one language lacks, though two layouts call it": {
			map[string]string{"sv.tmpl-warning": "unused"},
			[]string{`email.txt: no phrase "warning" (in sv)`}},
		"a language without a subject": {
			map[string]string{"sv.tmpl-subject": "unused"},
			[]string{`sv.tmpl: no phrase "subject" (in sv)`}},
		"a mistake that shows in some languages, with these": {
			map[string]string{"sms.txt": `{{.Code}} {{if ne .Locale "nb"}}{{.App.Name}}{{end}}{{.Link}}`},
			[]string{`sms.txt:1:38: executing "sms.txt" at <.App.Name>: ` +
				"can't evaluate field Name in type string (in en, sv)"}},
		"a mistake in what one language writes, once though all lives show it": {
			map[string]string{"sv.tmpl-subject": `subject"}}a{{.Code}}{{end}}{{define "unused`},
			[]string{`sv.tmpl:1:23: executing "subject" at <.Code>: ` +
				"can't evaluate field Code in type message.subjectData (in sv)"}},
		"a language's own layouts, by the language's file": {
			map[string]string{"sv.tmpl+": `{{define "sms.txt"}}{{.Code}}{{end}}{{define "email.html"}}{{.Code}}{{end}}`},
			[]string{"sv.tmpl: email.html: leaves out the code or the link (in sv)",
				"sv.tmpl: sms.txt: leaves out the code or the link (in sv)"}},
		"mistakes of a broken language, of another one and of a layout": {
			map[string]string{"sms.txt": "{{.Code}}", "en.tmpl": "{{end}}",
				"nb.tmpl-subject": "subject\"}}a\nb{{end}}{{define \"unused"},
			[]string{"en.tmpl:1: unexpected {{end}}",
				"nb.tmpl: subject: empty, of several lines or with a control character (in nb)",
				"sms.txt: leaves out the code or the link"}},
	} {
		files := shipped(t)
		for name, text := range test.files {
			if to, more := strings.CutSuffix(name, "+"); more {
				name, text = to, string(files[to].Data)+text
			}
			if to, phrase, other := strings.Cut(name, "-"); other {
				old, renamed := `{{define "`+phrase+`"}}`, `{{define "`+text+`"}}`
				name, text = to, strings.Replace(string(files[to].Data), old, renamed, 1)
			}
			files[name] = file(text)
		}
		var want []string
		for _, line := range test.want {
			want = append(want, "message: "+line)
		}
		if got := reports(files, host); !slices.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", rule, got, want)
		}
	}
}

func TestFilesThatNothingWouldUseAreMistakes(t *testing.T) {
	t.Parallel()
	want := "message: %s: not a template's name; want email.txt, email.html, sms.txt or a language and .tmpl"
	named := func(names ...string) (lines []string) {
		for _, name := range names {
			lines = append(lines, fmt.Sprintf(want, name))
		}
		return lines
	}
	none := []string{"message: none of the files is a template; want email.txt, email.html, sms.txt or a language and .tmpl"}
	layout := file("{{.Code}} {{.Link}}")
	for rule, test := range map[string]struct {
		files fstest.MapFS
		want  []string
	}{
		"a misspelt layout": {fstest.MapFS{"emial.txt": layout}, named("emial.txt")},
		"one beside others": {fstest.MapFS{"sms.txt": layout, "email.htm": layout}, named("email.htm")},
		"capitals":          {fstest.MapFS{"sms.txt": layout, "SMS.txt": layout}, named("SMS.txt")},
		"all of several": {fstest.MapFS{"README.md": layout, "sms.txt~": layout, "sms.txt": layout},
			named("README.md", "sms.txt~")},
		"phrases without .tmpl": {fstest.MapFS{"en": layout, "en.txt": layout}, named("en", "en.txt")},
		"phrases of no language": {fstest.MapFS{"english.tmpl": layout, "x_.tmpl": layout},
			named("english.tmpl", "x_.tmpl")},
		"phrases without a language": {fstest.MapFS{".tmpl": layout}, named(".tmpl")},
		"a mistake in another file too": {fstest.MapFS{"emial.txt": layout, "sms.txt": file("{{.Code}}")},
			append(named("emial.txt"), "message: sms.txt: leaves out the code or the link")},
		"no file at all":           {fstest.MapFS{}, none},
		"templates in a subfolder": {fstest.MapFS{"templates/email.txt": layout, "templates/sms.txt": layout}, none},
		"folders named as files":   {fstest.MapFS{"email.txt/a": layout, "en.tmpl/a": layout}, none},
		"subfolders are ignored":   {fstest.MapFS{"sms.txt": layout, "drafts/emial.txt": layout, ".git/config": file("")}, nil},
		"a link to a folder is a folder": {fstest.MapFS{"sms.txt": layout, "..2031_05": {Mode: fs.ModeDir},
			"..data": {Mode: fs.ModeSymlink, Data: []byte("..2031_05")}}, nil},
		"a link to a file is a file": {fstest.MapFS{"data/sms.txt": layout,
			"sms.txt":  {Mode: fs.ModeSymlink, Data: []byte("data/sms.txt")},
			"smss.txt": {Mode: fs.ModeSymlink, Data: []byte("data/sms.txt")}}, named("smss.txt")},
	} {
		if got := reports(test.files, host); !slices.Equal(got, test.want) {
			t.Errorf("%s:\n got %q\nwant %q", rule, got, test.want)
		}
	}
}

func TestTwoFilesOfOneLanguageAreAMistake(t *testing.T) {
	t.Parallel()
	files := shipped(t)
	files["EN.tmpl"] = files["en.tmpl"]
	want := []string{"message: EN.tmpl: the same language as en.tmpl"}
	if got := reports(files, host); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAFolderThatCannotBeReadIsAMistake(t *testing.T) {
	t.Parallel()
	got := reports(os.DirFS(filepath.Join(t.TempDir(), "missing")), host)
	if len(got) != 1 || !strings.HasPrefix(got[0], "message: list templates: ") {
		t.Errorf("got %q", got)
	}
}

func TestHosts(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"example.com": true, "id.example.com": true, "localhost": true, "127.0.0.1": true, "[::1]": true,
		"xn--bcher-kva.example": true,
		"":                      false, "Example.com": false,
		"example.com:443": false, "https://example.com": false, "a b": false, "a\n@b": false,
		"bücher.example": false, "example.com #1": false,
	} {
		if _, err := message.New(nil, host); (err == nil) != want {
			t.Errorf("%q: got %v", host, err)
		}
	}
}
