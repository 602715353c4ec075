package strict_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/seed62b93bad/passwordless/internal/strict"
)

const (
	jsonType = "application/json"
	formType = "application/x-www-form-urlencoded"
)

func post(target, contentType, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	return r
}

func TestContentType(t *testing.T) {
	t.Parallel()
	rows := []struct {
		contentType string
		json, form  bool
	}{
		{"application/json", true, false},
		{"Application/JSON", true, false},
		{"application/json; charset=utf-8", true, false},
		{`application/json;charset="UTF-8"`, true, false},
		{"application/json; profile=x", true, false},
		{"application/json; charset=iso-8859-1", false, false},
		{"application/json; charset=utf-16", false, false},
		{"application/json; charset=", false, false},
		{"application/json; charset=utf-8; charset=utf-16", false, false},
		{"application/json, text/plain", false, false},
		{"application/problem+json", false, false},
		{"application/jsonp", false, false},
		{"text/json", false, false},
		{"text/plain", false, false},
		{"", false, false},
		{"application/x-www-form-urlencoded", false, true},
		{"application/x-www-form-urlencoded; charset=UTF-8", false, true},
		{"application/x-www-form-urlencoded; charset=latin1", false, false},
		{"multipart/form-data; boundary=x", false, false},
	}
	for _, r := range rows {
		_, err := strict.ReadJSON(httptest.NewRecorder(), post("/", r.contentType, "{}"), strict.Limits{})
		if (err == nil) != r.json || err != nil && reason(t, err) != strict.MediaType {
			t.Errorf("ReadJSON with %q: %v", r.contentType, err)
		}
		_, err = strict.ReadForm(httptest.NewRecorder(), post("/", r.contentType, ""), strict.Limits{})
		if (err == nil) != r.form || err != nil && reason(t, err) != strict.MediaType {
			t.Errorf("ReadForm with %q: %v", r.contentType, err)
		}
	}
}

func TestContentTypeIsGivenOnce(t *testing.T) {
	t.Parallel()
	r := post("/", jsonType, "{}")
	r.Header.Add("Content-Type", jsonType)
	if _, err := strict.ReadJSON(httptest.NewRecorder(), r, strict.Limits{}); reason(t, err) != strict.MediaType {
		t.Errorf("two content types: %v", err)
	}
}

// One decode function serves both encodings.
func TestReadTakesBoth(t *testing.T) {
	t.Parallel()
	for contentType, body := range map[string]string{
		jsonType: `{"username":"a@b.co","otp":"123456"}`,
		formType: `username=a%40b.co&otp=123456`,
	} {
		f, err := strict.Read(httptest.NewRecorder(), post("/", contentType, body), strict.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if d := f.Decode(); d.String("username") != "a@b.co" || d.String("otp") != "123456" || d.Err() != nil {
			t.Errorf("%s: %q, %v", contentType, f.Names(), d.Err())
		}
	}
	_, err := strict.Read(httptest.NewRecorder(), post("/", "text/plain", "{}"), strict.Limits{})
	if reason(t, err) != strict.MediaType {
		t.Errorf("text/plain: %v", err)
	}
}

// A counter counts the bytes that were read from an endless body.
type counter struct{ read int }

func (c *counter) Read(p []byte) (int, error) {
	c.read += len(p)
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// A body over 64 KiB is not read further, nor at all if its length was declared (HT-1).
func TestBodyLimit(t *testing.T) {
	t.Parallel()
	for _, declared := range []int64{-1, 10 << 20} {
		for _, contentType := range []string{jsonType, formType} {
			body := &counter{}
			r := post("/", contentType, "")
			r.Body, r.ContentLength = io.NopCloser(body), declared
			_, err := strict.Read(httptest.NewRecorder(), r, strict.Limits{})
			if reason(t, err) != strict.TooLarge {
				t.Errorf("%s of %d bytes: %v", contentType, declared, err)
			}
			if body.read > 128<<10 || declared > 0 && body.read > 0 {
				t.Errorf("%s of %d bytes: %d were read", contentType, declared, body.read)
			}
		}
	}
}

func TestBrokenBody(t *testing.T) {
	t.Parallel()
	r := post("/", jsonType, "")
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"canary":`), iotest.ErrReader(context.Canceled)))
	_, err := strict.ReadJSON(httptest.NewRecorder(), r, strict.Limits{})
	if reason(t, err) != strict.Aborted || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestParseForm(t *testing.T) {
	t.Parallel()
	rows := []struct {
		rule string
		text string
		want strict.Reason
	}{
		{"pairs", "a=1&b=2", ""},
		{"nothing", "", ""},
		{"empty pairs", "&a=1&&b=2&", ""},
		{"escapes", "a=%40+%C3%BC&%61b=", ""},
		{"ID-10 duplicate", "email=a&email=b", strict.Duplicate},
		{"ID-10 case variant", "email=a&Email=b", strict.Duplicate},
		{"ID-10 escaped variant", "email=a&%65mail=b", strict.Duplicate},
		{"ID-10 Kelvin sign", "token=a&to%E2%84%AAen=b", strict.Duplicate},
		{"ID-10 a name alone is a duplicate too", "email&email=b", strict.Duplicate},
		{"HT-1 semicolon", "a=1;b=2", strict.Syntax},
		{"HT-1 escaped semicolon is text", "a=1%3Bb", ""},
		{"HT-1 broken escape", "a=%zz", strict.Syntax},
		{"HT-1 unfinished escape", "a=%4", strict.Syntax},
		{"HT-1 broken escape in a name", "%=1", strict.Syntax},
		{"HT-1 empty name", "=1", strict.Syntax},
		{"ID-4 invalid UTF-8", "a=%FF", strict.Encoding},
		{"ID-4 invalid UTF-8 unescaped", "a=\xff", strict.Encoding},
		{"ID-4 invalid UTF-8 in a name", "%FF=1", strict.Encoding},
		{"ID-4 surrogate", "a=%ED%A0%80", strict.Encoding},
		{"ID-4 replacement character", "a=%EF%BF%BD", strict.Encoding},
		{"HT-1 values at the limit", "a1&a2&a3", ""},
		{"HT-1 values over the limit", "a1&a2&a3&a4", strict.TooMany},
		{"HT-1 bytes over the limit", "a=" + strings.Repeat("x", 63), strict.TooLarge},
	}
	for _, r := range rows {
		_, err := strict.ParseForm(r.text, strict.Limits{Bytes: 64, Values: 3})
		if got := reason(t, err); got != r.want {
			t.Errorf("%s: got %q, want %q", r.rule, got, r.want)
		}
	}
}

// The query neither supplies nor repeats a member of a form (ID-10).
func TestFormIsTheBodyAlone(t *testing.T) {
	t.Parallel()
	rows := []struct {
		rule, query, body string
		want              strict.Reason
	}{
		{"no query", "", "email=a", ""},
		{"another member in the query", "?lang=sv", "email=a", ""},
		{"the same member in the query", "?email=b", "email=a", strict.Duplicate},
		{"a case variant in the query", "?EMAIL=b", "email=a", strict.Duplicate},
		{"a member twice in the query", "?x=1&x=2", "email=a", strict.Duplicate},
		{"a broken query", "?x=%zz", "email=a", strict.Syntax},
	}
	for _, r := range rows {
		f, err := strict.ReadForm(httptest.NewRecorder(), post("/"+r.query, formType, r.body), strict.Limits{})
		if got := reason(t, err); got != r.want {
			t.Errorf("%s: got %q, want %q", r.rule, got, r.want)
		}
		if err == nil && f.Len() != 1 {
			t.Errorf("%s: the form has %q", r.rule, f.Names())
		}
	}
}

func TestQuery(t *testing.T) {
	t.Parallel()
	f, err := strict.Query(post("/?a=1&b=%20", formType, "c=3"), strict.Limits{})
	if err != nil || f.Len() != 2 {
		t.Fatalf("%q, %v", f.Names(), err)
	}
	if b, ok, err := f.String("b"); b != " " || !ok || err != nil {
		t.Errorf("b is %q, %v, %v", b, ok, err)
	}
	if _, err := strict.Query(post("/?code=1&Code=2", formType, ""), strict.Limits{}); reason(t, err) != strict.Duplicate {
		t.Errorf("a case variant in the query: %v", err)
	}
}
