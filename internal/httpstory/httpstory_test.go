package httpstory_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/seed62b93bad/passwordless/internal/httpstory"
)

// echo answers with what it got.
func echo(*testing.T) httpstory.World {
	count := 0
	return httpstory.World{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			count++
			w.Header().Set("X-Count", fmt.Sprint(count))
			if r.URL.Path == "/text" {
				fmt.Fprintf(w, "%s", body)
				return
			}
			w.WriteHeader(http.StatusTeapot)
			fmt.Fprintf(w, `{"from":%q,"body":%q,"n":%d,"list":[1,null,true],"h":%q}`, r.RemoteAddr, body, count, r.Header.Get("X-H"))
		}),
		Verbs: map[string]func(...string) (string, error){
			"join": func(args ...string) (string, error) { return strings.Join(args, "+"), nil },
			"fail": func(...string) (string, error) { return "", errors.New("as told") },
		},
	}
}

func TestStoriesOfAFile(t *testing.T) { httpstory.Run(t, "testdata/*.txt", echo) }

func TestWhatIsWrongIsTold(t *testing.T) {
	rows := []struct{ rule, step, want string }{
		{"another status", "GET /text\n-> 201", "want status 201"},
		{"no status", "GET /text\n-> fine", "no status"},
		{"another text", "POST /text\nabc def\n-> 200\nabc", `got "abc def", want "abc"`},
		{"a body that should be empty", "POST /text\nabc\n-> 200\n(empty)", `got "abc", want ""`},
		{"a header that is not there", "GET /text\n-> 200\nX-No: 1", "header X-No: want one"},
		{"a header that should not be there", "GET /text\n-> 200\nX-Count:", "header X-Count: want none"},
		{"another header", "GET /text\n-> 200\nX-Count: 2", `header X-Count: got "1"`},
		{"no JSON", "POST /text\nabc\n-> 200\n{}", "no JSON"},
		{"two JSON values", "POST /text\n{}{}\n-> 200\n{}", "more than one value"},
		{"a member too many", "POST /text\n{\"a\":1,\"b\":2}\n-> 200\n{\"a\":1}", "want the members of"},
		{"a member too few", "POST /text\n{\"a\":1}\n-> 200\n{\"a\":1,\"b\":2}", "want the members of"},
		{"another spelling of a number", "POST /text\n{\"a\":1.0}\n-> 200\n{\"a\":1}", ".a: got 1.0, want 1"},
		{"a number for a string", "POST /text\n{\"a\":1}\n-> 200\n{\"a\":\"1\"}", ".a: got 1, want a string"},
		{"an element too many", "POST /text\n[1,2]\n-> 200\n[1]", "got [1,2], want [1]"},
		{"a value outside its pattern", "POST /text\n{\"a\":\"xyz\"}\n-> 200\n{\"a\":\"${v=[0-9]+}\"}", `want "${v=[0-9]+}"`},
		{"an empty value", "POST /text\n{\"a\":\"\"}\n-> 200\n{\"a\":\"${v}\"}", "v is empty"},
		{"a value that changed", "POST /text\n{\"a\":\"x\",\"b\":\"y\"}\n-> 200\n{\"a\":\"${v}\",\"b\":\"${v}\"}", `want v again: "x"`},
		{"a value that is not there", "GET /${none}\n-> 200", "no value yet: ${none}"},
		{"an unknown verb", "dance", "no such verb: dance"},
		{"a verb that fails", "fail", "as told"},
		{"a verb's other result", "join a b\n-> ab", `got "a+b", want "ab"`},
		{"an arrow alone", "-> 200", "nothing before the arrow"},
	}
	for _, row := range rows {
		t.Run(row.rule, func(t *testing.T) {
			stories, err := httpstory.Parse("== s\n\n" + row.step)
			if err != nil {
				t.Fatal(err)
			}
			err = stories[0].Play(echo(t))
			if err == nil || !strings.Contains(err.Error(), row.want) || !strings.HasPrefix(err.Error(), "line 3: ") {
				t.Errorf("got %v, want %q", err, row.want)
			}
		})
	}
}

func TestParseRefusesStepsOutsideAStory(t *testing.T) {
	for _, text := range []string{"", "# nothing", "GET /\n\n== late"} {
		if _, err := httpstory.Parse(text); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}
