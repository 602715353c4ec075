package strict_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/seed62b93bad/passwordless/internal/strict"
)

// What ParseJSON accepts, encoding/json reads as the same members and values, and has no two names that its matching of
// struct fields would confuse.
func FuzzParseJSON(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"email":"a@b.co","send":"code","authParams":{"scope":"openid","state":null}}`,
		`{"a":[1,-2.5e+3,true,false,null,"x",{},[]]}`,
		`{"a":"\u00e9\ud83e\udd8a\/\b\f"}`, `{"email":1,"Email":2}`, `{"a":"\ud800"}`, "{\"a\":\"\xff\"}", `{"a":1}{`, `[[[[`,
		` { "a" : "b" , "c" : [ ] } `,
		`{"k":1,"\u212a":2}`, `{"a":01}`, `{"a":1,}`, `null`, `{"":""}`, `{"a":"]}{["}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fields, err := strict.ParseJSON(bytes.Clone(data), strict.Limits{})
		if err != nil {
			if fields.Len() != 0 {
				t.Fatal("a refusal has members")
			}
			return
		}
		var want map[string]any
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.UseNumber()
		if err := dec.Decode(&want); err != nil {
			t.Fatalf("encoding/json refuses %q: %v", data, err)
		}
		compare(t, fields, want)
	})
}

func compare(t *testing.T, fields strict.Fields, want map[string]any) {
	t.Helper()
	names := fields.Names()
	if len(names) != len(want) {
		t.Fatalf("%d members, encoding/json has %d", len(names), len(want))
	}
	for i, name := range names {
		for _, other := range names[:i] {
			if strings.EqualFold(name, other) {
				t.Fatalf("%q and %q are equal", name, other)
			}
		}
		compareMember(t, fields, name, want[name])
	}
}

func compareMember(t *testing.T, fields strict.Fields, name string, want any) {
	t.Helper()
	var got any
	var err error
	switch want := want.(type) {
	case nil:
		if !fields.Null(name) {
			t.Fatalf("%q is not null", name)
		}
	case bool:
		got, _, err = fields.Bool(name)
	case string:
		got, _, err = fields.String(name)
	case json.Number:
		got, _, err = fields.Number(name)
		got = json.Number(got.(string))
	case map[string]any:
		object, _, err := fields.Object(name)
		if err != nil {
			t.Fatal(err)
		}
		compare(t, object, want)
		got = want
	case []any:
		got = want // by its bytes, below
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%q is %#v, %v; want %#v", name, got, err, want)
	}
	raw, _ := fields.Raw(name)
	var again any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&again); err != nil || !reflect.DeepEqual(again, want) {
		t.Fatalf("the bytes of %q are %q, %v", name, raw, err)
	}
}

// What ParseForm accepts, net/url reads as the same pairs, each name once.
func FuzzParseForm(f *testing.F) {
	for _, s := range []string{"", "a=1&b=2", "email=a%40b.co&otp=1+2", "a=1&A=2", "a=%zz", "a=%ff", "a;b", "=1",
		"&&a&", "a=b=c", "%61=1&a=2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fields, err := strict.ParseForm(text, strict.Limits{})
		if err != nil {
			return
		}
		want, err := url.ParseQuery(text)
		if err != nil || len(want) != fields.Len() {
			t.Fatalf("net/url reads %q as %v, %v", text, want, err)
		}
		for i, name := range fields.Names() {
			got, present, err := fields.String(name)
			if err != nil || !present || len(want[name]) != 1 || want[name][0] != got {
				t.Fatalf("%q is %q, %v; net/url has %q", name, got, err, want[name])
			}
			for _, other := range fields.Names()[:i] {
				if strings.EqualFold(name, other) {
					t.Fatalf("%q and %q are equal", name, other)
				}
			}
		}
	})
}

// The client is the peer or an address that the header holds, never a mapped or zoned one, and whatever a client writes
// to the left of an honest proxy's entry changes nothing.
func FuzzClientIP(f *testing.F) {
	f.Add("203.0.113.9:1", "1.1.1.1")
	f.Add("10.0.0.1:1", "1.1.1.1, 10.0.0.2")
	f.Add("[::ffff:10.0.0.1]:1", "[2001:db8::1%x]:80,")
	proxies, err := strict.ParseProxies("10.0.0.0/8")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, peer, forwarded string) {
		ip := proxies.ClientIP(request(peer, forwarded))
		if ip.Is4In6() || ip.Zone() != "" {
			t.Fatalf("the client is %s", ip)
		}
		if honest := proxies.ClientIP(request("10.0.0.1:1", forwarded+", 203.0.113.9")); honest.String() != "203.0.113.9" {
			t.Fatalf("%q moves the client to %s", forwarded, honest)
		}
	})
}

func request(peer, forwarded string) *http.Request {
	return &http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": {forwarded}}}
}

func BenchmarkParse(b *testing.B) {
	object := []byte(`{"client_id":"demo-web","client_secret":"demo-web-secret","connection":"email",` +
		`"email":"alice@example.com","send":"code","authParams":{"scope":"openid","state":"x"}}`)
	form := "grant_type=http%3A%2F%2Fauth0.com%2Foauth%2Fgrant-type%2Fpasswordless%2Fotp" +
		"&client_id=demo-web&username=alice%40example.com&otp=123456&realm=email&scope=openid"
	b.Run("json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := strict.ParseJSON(object, strict.Limits{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("form", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := strict.ParseForm(form, strict.Limits{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
