package canon_test

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/seed62b93bad/passwordless/internal/canon"
)

// A row is one line of testdata/corpus.txt. Want is empty where the input is refused.
type row struct {
	line        int
	parser      string
	input, want string
}

// parsers names the functions under test as the corpus does. Each returns "" for a refusal.
func parsers() map[string]func(string) string {
	return map[string]func(string) string{
		"email":         accepted(canon.Email),
		"emailunicode":  accepted(canon.EmailUnicode),
		"phone":         accepted(canon.Phone),
		"redirect":      redirect(canon.RedirectRules{}),
		"redirect-http": redirect(canon.RedirectRules{InsecureHTTP: true}),
		"redirect-app":  redirect(canon.RedirectRules{AppSchemes: true}),
		"digits":        code(canon.Digits),
		"base20":        code(canon.Base20),
	}
}

func accepted(parse func(string) (string, error)) func(string) string {
	return func(s string) string {
		out, err := parse(s)
		if (err == nil) != (out != "") {
			panic("a refusal has a value, or a success has none")
		}
		return out
	}
}

func redirect(rules canon.RedirectRules) func(string) string {
	return func(s string) string {
		if canon.RedirectURI(s, rules) != nil {
			return ""
		}
		return s
	}
}

func code(alphabet canon.Alphabet) func(string) string {
	return func(s string) string {
		out, ok := canon.Code(s, alphabet)
		if !ok {
			return ""
		}
		return out
	}
}

// corpus reads the rows of testdata/corpus.txt, those of one parser or all.
func corpus(t testing.TB, parser string) []row {
	t.Helper()
	f, err := os.Open("testdata/corpus.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var rows []row
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		if lines.Text() == "" || strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		r := parseRow(t, n, lines.Text())
		if parser == "" || r.parser == parser {
			rows = append(rows, r)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}

func parseRow(t testing.TB, line int, text string) row {
	t.Helper()
	parser, rest, _ := strings.Cut(text, " ")
	quoted, err := strconv.QuotedPrefix(rest)
	if err != nil {
		t.Fatalf("corpus line %d: %v", line, err)
	}
	input, _ := strconv.Unquote(quoted)
	rest = strings.TrimPrefix(rest[len(quoted):], " ")
	if rest == "refuse" {
		return row{line: line, parser: parser, input: input}
	}
	want, err := strconv.Unquote(rest)
	if err != nil || want == "" {
		t.Fatalf("corpus line %d: want a quoted string or refuse", line)
	}
	return row{line, parser, input, want}
}

// Each row of the corpus gives what it says: ID-1 to ID-5, ID-8, SN-2, SN-3, LK-9, CG-11.
func TestCorpus(t *testing.T) {
	t.Parallel()
	parsers := parsers()
	for _, r := range corpus(t, "") {
		parse := parsers[r.parser]
		if parse == nil {
			t.Fatalf("corpus line %d: no parser %q", r.line, r.parser)
		}
		if got := parse(r.input); got != r.want {
			t.Errorf("corpus line %d: %s(%+q) = %+q, want %+q", r.line, r.parser, r.input, got, r.want)
		}
		if r.want != "" && parse(r.want) != r.want {
			t.Errorf("corpus line %d: %s does not accept its own result", r.line, r.parser)
		}
	}
}
