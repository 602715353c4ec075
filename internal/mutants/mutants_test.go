package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestTheListFitsTheTree(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("list.txt")
	if err != nil {
		t.Fatal(err)
	}
	all, err := parse(string(text))
	if err != nil || len(all) == 0 {
		t.Fatalf("%d mutants, %v", len(all), err)
	}
	for _, m := range all {
		root := filepath.Join("..", "..")
		source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(m.file)))
		if err == nil {
			_, err = m.apply(string(source))
		}
		if err == nil {
			_, err = os.Stat(filepath.Join(root, m.tests.module, "go.mod"))
		}
		if err == nil {
			err = named(filepath.Join(root, m.tests.module, m.tests.pkg), m.tests.pattern)
		}
		if err != nil {
			t.Errorf("%s: %v", m, err)
		}
	}
}

// named reports a test that a pattern names and no file of a folder has.
func named(folder, pattern string) error {
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		return err
	}
	var sources []byte
	for _, f := range files {
		source, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		sources = append(sources, source...)
	}
	for _, name := range regexp.MustCompile(`\b(Test|Fuzz|Example)\w+`).FindAllString(pattern, -1) {
		if !bytes.Contains(sources, []byte("func "+name)) {
			return fmt.Errorf("%s has no %s", folder, name)
		}
	}
	return nil
}

func TestAnEditReplacesWholeLinesThatOccurOnce(t *testing.T) {
	t.Parallel()
	const source = "func a() {\n\treturn 1\n}\n\nfunc b() {\n\treturn 1\n}\n"
	tests := []struct {
		rule, edit, want string
	}{
		{"a line is replaced", "-func a() {\n+func c() {", strings.Replace(source, "a()", "c()", 1)},
		{"blanks at both ends do not count", "-  func a() { \n+func c() {", strings.Replace(source, "a()", "c()", 1)},
		{
			"a line that stays tells which is meant", " func b() {\n-return 1\n+return 2",
			"func a() {\n\treturn 1\n}\n\nfunc b() {\nreturn 2\n}\n",
		},
		{"a line can go", " func b() {\n-return 1", "func a() {\n\treturn 1\n}\n\nfunc b() {\n}\n"},
		{"a line can come", " func b() {\n+x++", strings.Replace(source, "b() {\n", "b() {\nx++\n", 1)},
		{"two are too many", "-return 1\n+return 2", ""},
		{"none is too few", "-return 3\n+return 2", ""},
		{"a piece of a line is none", "-return\n+return 2", ""},
		{"more lines than there are", strings.Repeat("-x\n", 20) + "+y", ""},
	}
	for _, test := range tests {
		t.Run(test.rule, func(t *testing.T) {
			t.Parallel()
			all, err := parse("rule r\nfile f\ntest . . T\n" + test.edit)
			if err != nil {
				t.Fatal(err)
			}
			got, err := all[0].apply(source)
			got = strings.TrimSpace(strings.ReplaceAll(got, "\n ", "\n"))
			if got != strings.TrimSpace(test.want) || (err == nil) != (test.want != "") {
				t.Errorf("%q, %v; want %q", got, err, test.want)
			}
		})
	}
}

func TestAParagraphThatIsNotCompleteIsRefused(t *testing.T) {
	t.Parallel()
	const sound = "rule r\nfile f\ntest . . T\n-a\n+b\n"
	all, err := parse("# a comment\n\n\n" + sound + "\n# another\nrule s\nfile f\ntest deep in/it T\n a\n+b")
	if err != nil || len(all) != 2 || all[1].tests.pkg != "./in/it" {
		t.Errorf("%+v, %v", all, err)
	}
	for text, want := range map[string]string{
		strings.Replace(sound, "rule r\n", "", 1):          "line 1 of the list: it has no rule",
		strings.Replace(sound, "file f\n", "", 1):          "it names no file",
		strings.Replace(sound, "test . . T\n", "", 1):      "it names no test",
		strings.Replace(sound, ". . T", ". T", 1):          `line 3 of the list: ". T": want the folder of a module`,
		strings.Replace(sound, "-a\n", "", 1):              "names no line that is there",
		strings.Replace(sound, "+b\n", "+ a\n", 1):         "changes nothing",
		strings.Replace(sound, "test . . T", "tests T", 1): `"tests T": want rule, file, test`,
		sound + "\n" + sound:                               "line 7 of the list: its rule is in the list already",
	} {
		if _, err := parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// tree writes a module, another that replaces it by its folder, and a list.
func tree(t *testing.T, list string) options {
	t.Helper()
	root := t.TempDir()
	for path, text := range map[string]string{
		"go.mod": "module example.com/m\ngo 1.25.0\n",
		"m.go": `package m
import _ "embed"
//go:embed q.sql
var Query string
func Two() int {
return 2
}
func Three() int {
return 3
}
`,
		"q.sql": "-- A query.\nSELECT 1\n",
		"m_test.go": `package m
import "testing"
func TestTwo(t *testing.T) { if Two() != 2 { t.Error("not two") } }
func TestSkipped(t *testing.T) { t.Skip("no server") }
func TestFails(t *testing.T) { t.Error("out of cheese") }
`,
		"deep/go.mod": "module example.com/m/deep\ngo 1.25.0\nrequire example.com/m v0.0.0\nreplace example.com/m => ..\n",
		"deep/in/d_test.go": `package in_test
import ("testing"; "example.com/m")
func TestQuery(t *testing.T) { if m.Query != "-- A query.\nSELECT 1\n" || m.Two() != 2 { t.Error(m.Query) } }
`,
		"list.txt": list,
	} {
		path = filepath.Join(root, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return options{root: root, list: filepath.Join(root, "list.txt"), atOnce: 2, timeout: 5 * time.Second}
}

const (
	two = `
rule two is two
file m.go
test . . ^TestTwo$
-return 2
+return 4
`
	embedded = `
rule the query asks for 1
file q.sql
test deep in ^TestQuery$
-SELECT 1
+SELECT 2
`
	elsewhere = `
rule two is two for those who import it
file m.go
test deep in ^TestQuery$
-return 2
+return 4
`
	endless = `
rule two is there soon
file m.go
test . . ^TestTwo$
 func Two() int {
+select {}
`
	three = `
rule three is three
file m.go
test . . ^TestTwo$
-return 3
+return 4
`
	noGo = `
rule two compiles
file m.go
test . . ^TestTwo$
-return 2
+return "two"
`
	rotten = `
rule five is five
file m.go
test . . ^TestTwo$
-return 5
+return 4
`
)

func TestEachMutantIsKilledOrNamed(t *testing.T) {
	t.Parallel()
	tests := []struct {
		rule, list string
		only       string
		good       bool
		prints     []string
	}{
		{
			"edits of Go, of embedded files and of another module are noticed", two + embedded + elsewhere, "", true,
			[]string{
				"unedited .*2 sets of tests pass", "killed .*s  m.go: two is two\n", "killed .*q.sql: the query asks for 1\n",
				"killed .*m.go: two is two for those who import it\n", "3 mutants: 3 killed, 0 survived, 0 bad",
			},
		},
		{"a mutant that hangs is killed", endless, "", true, []string{`killed .*two is there soon \(hung\)`, "1 killed"}},
		{
			"survivors are shown with their edit and tests", two + three, "", false,
			[]string{
				"killed .*two is two\n",
				`SURVIVED .*three is three\n    -return 3\n    \+return 4\n` +
					`    cd \. && GOWORK=off go test -run '\^TestTwo\$' \.\n`,
				"1 killed, 1 survived, 0 bad",
			},
		},
		{
			"what does not compile is no mutant", noGo, "", false,
			[]string{
				`BAD .*two compiles\n    its tests were not run: (.|\n)*    m.go:6:\d+: cannot use "two"`,
				"0 killed, 0 survived, 1 bad",
			},
		},
		{
			"an edit fits its file", rotten + two, "", false,
			[]string{"BAD .*five is five\n .*must occur once in m.go, and occur 0 times", "1 killed, 0 survived, 1 bad"},
		},
		{"some can be chosen", two + three, "two$", true, []string{"1 mutants: 1 killed"}},
	}
	for _, test := range tests {
		t.Run(test.rule, func(t *testing.T) {
			t.Parallel()
			var printed bytes.Buffer
			o := tree(t, test.list)
			o.only, o.out = test.only, &printed
			good, err := run(t.Context(), o)
			if good != test.good || err != nil {
				t.Errorf("good: %t, %v", good, err)
			}
			for _, want := range test.prints {
				if !regexp.MustCompile(want).MatchString(printed.String()) {
					t.Errorf("printed:\n%s\nwant %q", printed.String(), want)
				}
			}
			source, err := os.ReadFile(filepath.Join(o.root, "m.go"))
			if err != nil || !strings.Contains(string(source), "return 2\n") || !strings.Contains(string(source), "return 3\n") {
				t.Errorf("the tree was changed: %s, %v", source, err)
			}
		})
	}
}

func TestNothingIsTriedIfTheTestsTellNothing(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		"^TestNone$":        "no test was run",
		"^TestSkipped$":     "no test was run, or all were skipped",
		"^TestTwo$|^TestF":  "fail without any mutant: cd . && GOWORK=off go test -run '^TestTwo$|^TestF' .\n",
		"^TestTwo$|^TestFa": "out of cheese",
	} {
		t.Run(pattern, func(t *testing.T) {
			t.Parallel()
			var printed bytes.Buffer
			o := tree(t, strings.Replace(two, "^TestTwo$", pattern, 1))
			o.out = &printed
			good, err := run(t.Context(), o)
			if good || err == nil || !strings.Contains(err.Error(), want) || printed.Len() > 0 {
				t.Errorf("good: %t, %v, want %q; printed %q", good, err, want, printed.String())
			}
		})
	}
	o := tree(t, two)
	o.only = "three"
	if good, err := run(t.Context(), o); good || err == nil {
		t.Errorf("no mutant was chosen: good: %t, %v", good, err)
	}
}
