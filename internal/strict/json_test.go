package strict_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/seed62b93bad/passwordless/internal/strict"
)

// reason returns why err refused a request, "" for none, and fails for any other error.
func reason(t testing.TB, err error) strict.Reason {
	t.Helper()
	var refused *strict.Error
	if err == nil {
		return ""
	}
	if !errors.As(err, &refused) {
		t.Fatalf("%v is not a *strict.Error", err)
	}
	return refused.Reason
}

func TestParseJSON(t *testing.T) {
	t.Parallel()
	rows := []struct {
		rule string
		text string
		want strict.Reason
	}{
		{"HT-1 one object", `{"email":"a@b.co"}`, ""},
		{"HT-1 white space around", " \t\r\n{} \n", ""},
		{"HT-1 every type at once", `{"a":null,"b":true,"c":false,"d":-1.5e3,"e":"x","f":{},"g":[1,[],{}]}`, ""},
		{"HT-1 escapes and pairs of surrogates", `{"a":"\u00e9\n\"\\\ud83e\udd8a"}`, ""},
		{"HT-1 empty body", ``, strict.Syntax},
		{"HT-1 only white space", ` `, strict.Syntax},
		{"HT-1 trailing data", `{}x`, strict.Syntax},
		{"HT-1 two objects", `{}{}`, strict.Syntax},
		{"HT-1 two lines", "{}\n{}", strict.Syntax},
		{"HT-1 trailing NUL", "{}\x00", strict.Syntax},
		{"HT-1 not an object: array", `[{}]`, strict.NotObject},
		{"HT-1 not an object: string", `"a"`, strict.NotObject},
		{"HT-1 not an object: null", `null`, strict.NotObject},
		{"HT-1 unfinished object", `{"a":1`, strict.Syntax},
		{"HT-1 unfinished string", `{"a":"`, strict.Syntax},
		{"HT-1 unfinished escape", `{"a":"\`, strict.Syntax},
		{"HT-1 trailing comma", `{"a":1,}`, strict.Syntax},
		{"HT-1 missing comma", `{"a":1 "b":2}`, strict.Syntax},
		{"HT-1 missing colon", `{"a" 1}`, strict.Syntax},
		{"HT-1 name without quotes", `{a:1}`, strict.Syntax},
		{"HT-1 name that is a number", `{1:1}`, strict.Syntax},
		{"HT-1 single quotes", `{'a':1}`, strict.Syntax},
		{"HT-1 comment", `{/**/"a":1}`, strict.Syntax},
		{"HT-1 leading zero", `{"a":01}`, strict.Syntax},
		{"HT-1 plus sign", `{"a":+1}`, strict.Syntax},
		{"HT-1 NaN", `{"a":NaN}`, strict.Syntax},
		{"HT-1 raw newline in a string", "{\"a\":\"\n\"}", strict.Syntax},
		{"HT-1 byte order mark", "\ufeff{}", strict.Syntax},
		{"HT-1 UTF-16", "\x00{\x00}", strict.Syntax},
		{"ID-10 duplicate", `{"email":"a","email":"b"}`, strict.Duplicate},
		{"ID-10 duplicate with equal value", `{"email":"a","email":"a"}`, strict.Duplicate},
		{"ID-10 duplicate with null", `{"email":null,"email":"a"}`, strict.Duplicate},
		{"ID-10 case variant", `{"email":"a","Email":"b"}`, strict.Duplicate},
		{"ID-10 case variant written as escape", `{"email":"a","\u0045mail":"b"}`, strict.Duplicate},
		{"ID-10 Kelvin sign", `{"token":"a","to\u212aen":"b"}`, strict.Duplicate},
		{"ID-10 long s", `{"send":"a","\u017fend":"b"}`, strict.Duplicate},
		{"ID-10 case variant beyond ASCII", `{"\u00fc":"a","\u00dc":"b"}`, strict.Duplicate},
		{"ID-10 duplicate in a nested object", `{"a":{"b":1,"B":2}}`, strict.Duplicate},
		{"ID-10 duplicate in an array", `{"a":[{"b":1,"b":2}]}`, strict.Duplicate},
		{"ID-10 one name at two depths is none", `{"a":{"a":{"a":1}}}`, ""},
		{"ID-10 dotless i is another name", `{"i":1,"\u0131":2,"\u0130":3}`, ""},
		{"ID-4 invalid UTF-8 in a value", "{\"a\":\"\xff\"}", strict.Encoding},
		{"ID-4 invalid UTF-8 in a name", "{\"\xff\":1}", strict.Encoding},
		{"ID-4 overlong NUL", "{\"a\":\"\xc0\x80\"}", strict.Encoding},
		{"ID-4 surrogate in UTF-8", "{\"a\":\"\xed\xa0\x80\"}", strict.Encoding},
		{"ID-4 lone high surrogate", `{"a":"\ud800"}`, strict.Encoding},
		{"ID-4 lone low surrogate", `{"a":"x\udc00y"}`, strict.Encoding},
		{"ID-4 surrogates in the wrong order", `{"a":"\udc00\ud800"}`, strict.Encoding},
		{"ID-4 lone surrogate in a name", `{"\ud800":1}`, strict.Encoding},
		{"ID-4 lone surrogate in an array", `{"a":["\ud800"]}`, strict.Encoding},
		{"ID-4 replacement character", "{\"a\":\"\ufffd\"}", strict.Encoding},
		{"HT-1 depth at the limit", nested(16), ""},
		{"HT-1 depth over the limit", nested(17), strict.TooDeep},
		{"HT-1 depth of 30,000 brackets", strings.Repeat("[", 30000), strict.TooDeep},
		{"HT-1 brackets in strings do not count", `{"a":"` + strings.Repeat(`[{\"`, 50) + `"}`, ""},
		{"HT-1 values at the limit", `{"a":[` + strings.Repeat("0,", 510) + `0]}`, ""},
		{"HT-1 values over the limit", `{"a":[` + strings.Repeat("0,", 511) + `0]}`, strict.TooMany},
		{"HT-1 bytes at the limit", `{"a":"` + strings.Repeat("x", 64<<10-8) + `"}`, ""},
		{"HT-1 bytes over the limit", `{"a":"` + strings.Repeat("x", 64<<10-7) + `"}`, strict.TooLarge},
	}
	for _, r := range rows {
		_, err := strict.ParseJSON([]byte(r.text), strict.Limits{})
		if got := reason(t, err); got != r.want {
			t.Errorf("%s: got %q, want %q", r.rule, got, r.want)
		}
	}
}

// nested returns an object that is n deep.
func nested(n int) string {
	return strings.Repeat(`{"a":`, n-1) + "{}" + strings.Repeat("}", n-1)
}

func TestLimitsAreTheCallers(t *testing.T) {
	t.Parallel()
	limits := strict.Limits{Bytes: 20, Depth: 2, Values: 2}
	rows := map[string]strict.Reason{
		`{"a":{},"b":0}`:               "",
		`{"a":{"b":{}}}`:               strict.TooDeep,
		`{"a":0,"b":0,"c":0}`:          strict.TooMany,
		`{"a":[0,0]}`:                  strict.TooMany,
		`{"a":0              }`:        strict.TooLarge,
		`{"a":0              `:         strict.Syntax,
		`{"a":0             }`:         "",
		"{}" + strings.Repeat(" ", 19): strict.TooLarge,
	}
	for text, want := range rows {
		_, err := strict.ParseJSON([]byte(text), limits)
		if got := reason(t, err); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

// No refusal repeats what was sent (PR-2).
func TestRefusalsTellNothing(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"canary":1,"canary":2}`, `{"canary`, `canary`, `"canary"`, `{"a":"canary\ud800"}`, "{\"canary\xff\":1}",
	} {
		_, err := strict.ParseJSON([]byte(text), strict.Limits{})
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %v", text, err)
		}
		var refused *strict.Error
		if errors.As(err, &refused); refused.Field != "" || refused.Err != nil {
			t.Errorf("%q: %#v", text, refused)
		}
	}
}
