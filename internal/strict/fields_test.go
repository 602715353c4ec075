package strict_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/seed62b93bad/passwordless/internal/strict"
)

func parse(t testing.TB, text string) strict.Fields {
	t.Helper()
	f, err := strict.ParseJSON([]byte(text), strict.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func parseForm(t testing.TB, text string) strict.Fields {
	t.Helper()
	f, err := strict.ParseForm(text, strict.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// got prints what an accessor returned, so that rows can name it in one string.
func got[T any](v T, present bool, err error) string {
	switch {
	case err != nil:
		return "error: " + err.Error()
	case !present:
		return "absent"
	}
	return fmt.Sprintf("%#v", v)
}

func TestAccessors(t *testing.T) {
	t.Parallel()
	j := parse(t, `{"s":"x","e":"","n":null,"t":true,"f":false,"i":-42,"big":9223372036854775807,"over":9223372036854775808,
		"frac":1.0,"exp":1e3,"exact":0.10000000000000000000001,"o":{"k":"v"},"l":["a","b"],"m":["a",1],"z":[]}`)
	f := parseForm(t, "s=x&e=&t=true&f=false&one=1&i=-42&plus=%2B1&zeros=007&blank=+1&frac=1.5&empty")
	const wrong = "error: strict: request refused: %s: a member has the wrong type"
	refused := func(name string) string { return fmt.Sprintf(wrong, name) }
	rows := []struct{ rule, got, want string }{
		{"a string", got(j.String("s")), `"x"`},
		{"an empty string is present", got(j.String("e")), `""`},
		{"null is absent", got(j.String("n")), "absent"},
		{"a missing member is absent", got(j.String("missing")), "absent"},
		{"names match exactly", got(j.String("S")), "absent"},
		{"a number is no string", got(j.String("i")), refused("i")},
		{"an object is no string", got(j.String("o")), refused("o")},
		{"true", got(j.Bool("t")), "true"},
		{"false is present", got(j.Bool("f")), "false"},
		{"null is no truth value", got(j.Bool("n")), "absent"},
		{"a string is no truth value", got(j.Bool("s")), refused("s")},
		{"an integer", got(j.Int("i")), "-42"},
		{"the greatest integer", got(j.Int("big")), "9223372036854775807"},
		{"an integer that does not fit", got(j.Int("over")), refused("over")},
		{"a fraction is no integer", got(j.Int("frac")), refused("frac")},
		{"an exponent is no integer", got(j.Int("exp")), refused("exp")},
		{"a string is no integer", got(j.Int("s")), refused("s")},
		{"a number keeps its digits", got(j.Number("exact")), `"0.10000000000000000000001"`},
		{"an object", got(str(j.Object("o")).String("k")), `"v"`},
		{"an array is no object", got(j.Object("l")), refused("l")},
		{"a list", got(j.Strings("l")), `[]string{"a", "b"}`},
		{"an empty list is present", got(j.Strings("z")), `[]string{}`},
		{"a list of other things", got(j.Strings("m")), refused("m")},
		{"a string is no list", got(j.Strings("s")), refused("s")},
		{"form: a string", got(f.String("s")), `"x"`},
		{"form: an empty string is present", got(f.String("e")), `""`},
		{"form: a name alone is an empty string", got(f.String("empty")), `""`},
		{"form: true", got(f.Bool("t")), "true"},
		{"form: false", got(f.Bool("f")), "false"},
		{"form: 1 is no truth value", got(f.Bool("one")), refused("one")},
		{"form: an integer", got(f.Int("i")), "-42"},
		{"form: an empty integer", got(f.Int("empty")), refused("empty")},
		{"form: an integer with plus sign", got(f.Int("plus")), refused("plus")},
		{"form: an integer with leading zeros", got(f.Int("zeros")), refused("zeros")},
		{"form: an integer with a blank", got(f.Int("blank")), refused("blank")},
		{"form: a number", got(f.Number("frac")), `"1.5"`},
		{"form: text is no number", got(f.Number("t")), refused("t")},
		{"form: no objects", got(f.Object("s")), refused("s")},
		{"form: no lists", got(f.Strings("s")), refused("s")},
	}
	for _, r := range rows {
		if r.got != r.want {
			t.Errorf("%s: got %s, want %s", r.rule, r.got, r.want)
		}
	}
}

func str(f strict.Fields, _ bool, _ error) strict.Fields { return f }

func TestRawIsWhatWasSent(t *testing.T) {
	t.Parallel()
	f := parse(t, "{ \"a\" :\t{ \"b\" : [ 1 , 2 ] } ,\n\"c\":\"\\u0041\" , \"d\": null,\"e\":-0.0,\"f\":true}")
	for name, want := range map[string]string{"a": `{ "b" : [ 1 , 2 ] }`, "c": `"\u0041"`, "d": "null", "e": "-0.0", "f": "true"} {
		if raw, ok := f.Raw(name); !ok || string(raw) != want {
			t.Errorf("Raw(%s) = %q, %v; want %q", name, raw, ok, want)
		}
	}
	if raw, ok := str(f.Object("a")).Raw("b"); !ok || string(raw) != "[ 1 , 2 ]" {
		t.Errorf("nested: %q, %v", raw, ok)
	}
	if raw, ok := f.Raw("missing"); ok || raw != nil {
		t.Error("a missing member has bytes")
	}
	if raw, ok := parseForm(t, "a=1").Raw("a"); ok || raw != nil {
		t.Error("a form value has JSON bytes")
	}
	if !f.Null("d") || f.Null("a") || f.Null("missing") {
		t.Error("Null tells null from other values and from nothing")
	}
}

// Members beyond the allow-list are found, with case variants among them (HT-1).
func TestUnknown(t *testing.T) {
	t.Parallel()
	f := parse(t, `{"client_id":"x","type":"y","Email":"z","connection":null}`)
	if got := f.Unknown("client_id", "connection", "email"); !slices.Equal(got, []string{"type", "Email"}) {
		t.Errorf("got %q", got)
	}
	if f.Unknown(f.Names()...) != nil {
		t.Error("all names are known")
	}
	if f.Len() != 4 || (strict.Fields{}).Len() != 0 || (strict.Fields{}).Unknown() != nil {
		t.Error("wrong number of members")
	}
}

func TestDecoderKeepsTheFirstError(t *testing.T) {
	t.Parallel()
	d := parse(t, `{"s":"x","b":true,"i":7,"o":{"k":"v"},"l":["a"]}`).Decode()
	if d.String("s") != "x" || !d.Bool("b") || d.Int("i") != 7 || d.Object("o").Len() != 1 || len(d.Strings("l")) != 1 ||
		d.String("missing") != "" || d.Err() != nil {
		t.Fatalf("a correct object is refused: %v", d.Err())
	}
	if d.Int("s") != 0 || d.Bool("i") || d.String("s") != "" {
		t.Error("a value came after the first error")
	}
	if want := "strict: request refused: s: a member has the wrong type"; d.Err() == nil || d.Err().Error() != want {
		t.Errorf("got %v, want %s", d.Err(), want)
	}
}
