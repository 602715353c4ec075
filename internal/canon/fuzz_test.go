package canon_test

import (
	"net/mail"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/seed62b93bad/passwordless/internal/canon"
	"golang.org/x/text/unicode/norm"
)

// seed adds the inputs of the corpus for one parser.
func seed(f *testing.F, parser string) {
	f.Helper()
	for _, r := range corpus(f, parser) {
		f.Add(r.input)
	}
}

var canonicalEmail = regexp.MustCompile("^[a-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@" +
	"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")

// A canonical address is itself canonical, is of the narrow alphabet, fits every limit, and
// is read by net/mail as the same single recipient (SN-1, SN-2).
func FuzzEmail(f *testing.F) {
	seed(f, "email")
	f.Fuzz(func(t *testing.T, s string) {
		out, err := canon.Email(s)
		if err != nil {
			return
		}
		if again, err := canon.Email(out); err != nil || again != out {
			t.Fatalf("%+q is not canonical: %+q, %v", out, again, err)
		}
		if wide, err := canon.EmailUnicode(s); err != nil || wide != out {
			t.Fatalf("%+q has another form when opted in: %+q, %v", s, wide, err)
		}
		if !canonicalEmail.MatchString(out) || len(out) > 254 {
			t.Fatalf("%+q is not a canonical address", out)
		}
		if a, err := mail.ParseAddress(out); err != nil || a.Address != out || a.Name != "" {
			t.Fatalf("net/mail reads %+q as %v, %v", out, a, err)
		}
		if upper, err := canon.Email(strings.ToUpper(out)); err != nil || upper != out {
			t.Fatalf("the capitals of %+q give %+q, %v", out, upper, err)
		}
	})
}

// An opted-in address keeps its properties beyond ASCII: stable under NFKC, no capitals of
// ASCII, no rune that is not of a word.
func FuzzEmailUnicode(f *testing.F) {
	seed(f, "email")
	seed(f, "emailunicode")
	f.Fuzz(func(t *testing.T, s string) {
		out, err := canon.EmailUnicode(s)
		if err != nil {
			return
		}
		if again, err := canon.EmailUnicode(out); err != nil || again != out {
			t.Fatalf("%+q is not canonical: %+q, %v", out, again, err)
		}
		if !utf8.ValidString(out) || !norm.NFKC.IsNormalString(out) || len(out) > 254 || strings.Count(out, "@") != 1 {
			t.Fatalf("%+q is not a canonical address", out)
		}
		for _, r := range out {
			if r >= utf8.RuneSelf && !unicode.In(r, unicode.L, unicode.M, unicode.Nd) || 'A' <= r && r <= 'Z' || r <= ' ' {
				t.Fatalf("%+q holds %U", out, r)
			}
		}
	})
}

var canonicalPhone = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

// A canonical number is E.164 and itself canonical, and holds exactly the digits of the input.
func FuzzPhone(f *testing.F) {
	seed(f, "phone")
	f.Fuzz(func(t *testing.T, s string) {
		out, err := canon.Phone(s)
		if err != nil {
			return
		}
		if again, err := canon.Phone(out); err != nil || again != out {
			t.Fatalf("%q is not canonical: %q, %v", out, again, err)
		}
		if !canonicalPhone.MatchString(out) || canon.CallingCode(out) == 0 {
			t.Fatalf("%q is not a canonical number", out)
		}
		digits := strings.NewReplacer(" ", "", "-", "", ".", "", "(", "", ")", "", "+", "").Replace(s)
		if strings.TrimPrefix(digits, "00") != out[1:] {
			t.Fatalf("%q has other digits than %q", out, s)
		}
		zerosMakeNoSecondNumber(t, out)
	})
}

// zerosMakeNoSecondNumber puts zeros between the calling code and the rest of a canonical number. What comes out is
// canonical only if the plan has numbers of that form (RL-3). Outside Italy the shorter one is then no number of the plan.
func zerosMakeNoSecondNumber(t *testing.T, number string) {
	t.Helper()
	plan := "+" + strconv.Itoa(canon.CallingCode(number))
	rest := strings.TrimPrefix(number, plan)
	for n := 1; n <= 3; n++ {
		longer := plan + strings.Repeat("0", n) + rest
		_, err := canon.Phone(longer)
		shape, has := zeroShapes[canon.CallingCode(number)]
		another := has && len(rest)+n >= shape.shortest && len(rest)+n <= shape.longest && (shape.second || n == 1 && rest[0] != '0')
		if (err == nil) != another {
			t.Fatalf("%q beside %q: %v", longer, number, err)
		}
	}
}

// An accepted redirect is read by net/url as the same scheme and host, without what was
// refused, and is printed back byte for byte (LK-9).
func FuzzRedirectURI(f *testing.F) {
	for _, parser := range []string{"redirect", "redirect-http", "redirect-app"} {
		seed(f, parser)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if canon.RedirectURI(s, canon.RedirectRules{InsecureHTTP: true, AppSchemes: true}) != nil {
			if canon.RedirectURI(s, canon.RedirectRules{}) == nil {
				t.Fatalf("%q is accepted by the narrow rules alone", s)
			}
			return
		}
		scheme, _, _ := strings.Cut(s, ":")
		web := scheme == "http" || scheme == "https"
		if !web && !strings.Contains(scheme, ".") {
			t.Fatalf("%q has a scheme without a dot", s)
		}
		u, err := url.Parse(s)
		if err != nil {
			if web {
				t.Fatalf("net/url refuses %q: %v", s, err)
			}
			return
		}
		if u.User != nil || u.Fragment != "" || !strings.EqualFold(u.Scheme, scheme) || u.Opaque != "" {
			t.Fatalf("net/url reads %q as %#v", s, u)
		}
		if web && (u.Host == "" || !strings.HasPrefix(s, scheme+"://"+u.Host)) {
			t.Fatalf("net/url reads the host of %q as %q", s, u.Host)
		}
	})
}

// A code is of its alphabet and itself normal.
func FuzzCode(f *testing.F) {
	seed(f, "digits")
	seed(f, "base20")
	f.Fuzz(func(t *testing.T, s string) {
		for _, alphabet := range []canon.Alphabet{canon.Digits, canon.Base20} {
			out, ok := canon.Code(s, alphabet)
			if !ok {
				if out != "" {
					t.Fatalf("%q is refused with a value", s)
				}
				continue
			}
			if again, ok := canon.Code(out, alphabet); !ok || again != out {
				t.Fatalf("%q is not normal: %q", out, again)
			}
			if out == "" || strings.Trim(out, string(alphabet)) != "" {
				t.Fatalf("%q is not of the alphabet", out)
			}
		}
	})
}

// A mask never holds the identifier, nor more of the local part than one character.
func FuzzMask(f *testing.F) {
	seed(f, "email")
	seed(f, "phone")
	f.Fuzz(func(t *testing.T, s string) {
		out := canon.Mask(s)
		if !strings.Contains(out, "***") || !utf8.ValidString(out) {
			t.Fatalf("Mask(%+q) = %+q", s, out)
		}
		cut := strings.LastIndex(out, "***") // the first character may be an asterisk too
		before, after := out[:cut], out[cut+len("***"):]
		if utf8.RuneCountInString(before) > 1 || !strings.HasPrefix(after, "@") && len(after) > 2 {
			t.Fatalf("Mask(%+q) = %+q shows too much", s, out)
		}
	})
}
