package canon_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/seed62b93bad/passwordless/internal/canon"
)

// A refusal names its rule and nothing of the input (PR-2).
func TestErrorsNameTheRule(t *testing.T) {
	t.Parallel()
	rows := []struct {
		parse func(string) (string, error)
		input string
		want  error
	}{
		{canon.Email, strings.Repeat("canary", 50) + "@example.com", canon.ErrTooLong},
		{canon.Email, strings.Repeat("c", 65) + "@example.com", canon.ErrTooLong},
		{canon.Email, "canary\xff@example.com", canon.ErrUnicode},
		{canon.Email, "canary\uff20example.com", canon.ErrUnicode},
		{canon.Email, "canary.example.com", canon.ErrAddress},
		{canon.Email, "canary@@example.com", canon.ErrAddress},
		{canon.Email, "can ary@example.com", canon.ErrLocalPart},
		{canon.Email, "canäry@example.com", canon.ErrLocalPart},
		{canon.Email, "canary@localhost", canon.ErrDomain},
		{canon.Phone, "canary" + strings.Repeat("1", 40), canon.ErrTooLong},
		{canon.Phone, "canary", canon.ErrNumber},
		{canon.Phone, "+99912345678", canon.ErrCallingCode},
		{canon.Phone, "+460701111111", canon.ErrTrunkZero},
	}
	for _, r := range rows {
		out, err := r.parse(r.input)
		if !errors.Is(err, r.want) || out != "" {
			t.Errorf("%+q: got %q, %v; want %v", r.input, out, err, r.want)
			continue
		}
		if !strings.HasPrefix(err.Error(), "canon: ") || strings.Contains(err.Error(), "canary") {
			t.Errorf("%+q: the message is %q", r.input, err)
		}
	}
}

// Lengths of RFC 5321 hold to the byte, also after the domain was encoded (ID-1).
func TestEmailLengths(t *testing.T) {
	t.Parallel()
	label := strings.Repeat("a", 63)
	domain := label + "." + label + "." + strings.Repeat("b", 57) + ".com" // 189 bytes
	local := strings.Repeat("l", 64)
	rows := []struct {
		name, input string
		ok          bool
	}{
		{"the longest local part and address", local + "@" + domain, true},
		{"a local part one too long", local + "l@example.com", false},
		{"an address one too long", local + "@b" + domain, false},
		{"the longest label after encoding", "a@" + strings.Repeat("é", 35) + ".com", true},
		{"a label too long only after encoding", "a@é" + strings.Repeat("a", 61) + ".com", false},
		{"an address too long only after encoding", local + "@" + strings.Repeat("éa.", 40) + "com", false},
	}
	for _, r := range rows {
		if len(r.input) > 255 {
			t.Fatalf("%s: the row has %d bytes", r.name, len(r.input))
		}
		if _, err := canon.Email(r.input); (err == nil) != r.ok {
			t.Errorf("%s: %v", r.name, err)
		}
	}
}

// An input of any size is refused before any work on it: nothing is allocated (ID-1, HT-1).
func TestHugeInputCostsNothing(t *testing.T) {
	huge := []string{
		strings.Repeat("a", 100<<10),
		strings.Repeat("(", 100<<10) + "@example.com",
		"a@" + strings.Repeat("x.", 50<<10) + "com",
		"a@xn--" + strings.Repeat("9", 100<<10),
		"+46" + strings.Repeat("0", 100<<10),
		"+46" + strings.Repeat(" ", 100<<10) + "701111111",
		"https://example.com/" + strings.Repeat("/..", 33<<10),
		strings.Repeat("1-", 50<<10),
		strings.Repeat("\u0334", 50<<10),
	}
	for _, s := range huge {
		for name, parse := range parsers() {
			if got := parse(s); got != "" {
				t.Fatalf("%s accepts %d bytes", name, len(s))
			}
			if n := testing.AllocsPerRun(5, func() { parse(s) }); n != 0 {
				t.Errorf("%s allocates %v times for %.12q...", name, n, s)
			}
		}
	}
}

// All spellings of one mailbox or number share one account and one limit (RL-3).
func TestSpellingsShareOneForm(t *testing.T) {
	t.Parallel()
	mailboxes := []string{"ola@blåbær.no", "OLA@blåbær.no", "Ola@BLÅBÆR.NO", "ola@xn--blbr-roah.no", "ola@XN--BLBR-ROAH.no"}
	numbers := []string{"+46701111111", "0046701111111", "+46 70 111 11 11", "+46 (70) 111-11-11", "00 46.70.1111111"}
	for _, group := range []struct {
		parse     func(string) (string, error)
		spellings []string
	}{{canon.Email, mailboxes}, {canon.Phone, numbers}} {
		want, _ := group.parse(group.spellings[0])
		for _, s := range group.spellings {
			if got, err := group.parse(s); err != nil || got != want {
				t.Errorf("%q gives %q, %v; want %q", s, got, err, want)
			}
		}
	}
}

// No input that Unicode folding would turn into another account's name resolves to it (ID-5).
func TestFoldingIsASCIIOnly(t *testing.T) {
	t.Parallel()
	for victim, look := range map[string][]string{
		"admin@example.com": {"adm\u0130n@example.com", "adm\u0131n@example.com", "ADM\u0130N@EXAMPLE.COM"},
		"mike@example.com":  {"m\u0131ke@example.com", "mi\u212ae@example.com"},
		"boss@example.com":  {"bos\u017f@example.com", "bo\u1e9e@example.com", "bo\u00df@example.com"},
		"a@fiona.com":       {"a@\ufb01ona.com", "a@F\u0130ona.com", "a@f\u0131ona.com"},
	} {
		for _, s := range look {
			strict, _ := canon.Email(s)
			unicode, _ := canon.EmailUnicode(s)
			if strict == victim || unicode == victim {
				t.Errorf("%+q resolves to %s", s, victim)
			}
		}
	}
}

func TestCallingCode(t *testing.T) {
	t.Parallel()
	rows := map[string]int{
		"+46701111111": 46, "+4712345678": 47, "+15551234567": 1, "+77011234567": 7,
		"+442071234567": 44, "+35812345678": 358, "+2901234567": 290, "+998901234567": 998,
		"+1": 1, "+46": 46, "+358": 358,
		"": 0, "+": 0, "46701111111": 0, "+4": 0, "+35": 0, "+0": 0, "+ 7": 0, "+7 1": 7,
		"+0 3": 0, "+1 2": 1, "+2 2": 0, "+21": 0, "+210": 0, "+2 ": 0, "+999": 0, "+800123456": 0, "+-46": 0,
	}
	for number, want := range rows {
		if got := canon.CallingCode(number); got != want {
			t.Errorf("CallingCode(%q) = %d, want %d", number, got, want)
		}
	}
}

// The codes are a prefix code, or a number would have two countries.
func TestCallingCodesAreUnambiguous(t *testing.T) {
	t.Parallel()
	codes := 0
	for n := range 1000 {
		digits := []byte{byte('0' + n/100), byte('0' + n/10%10), byte('0' + n%10)}
		code := canon.CallingCode("+" + string(digits) + "0000000")
		if code == 0 {
			continue
		}
		codes++
		number := fmt.Sprintf("+%d1111111", code)
		if out, err := canon.Phone(number); err != nil || out != number {
			t.Errorf("calling code %d: Phone gives %v", code, err)
		}
	}
	// 2 codes of one digit cover a hundred triples each, 44 of two digits ten, 160 of three one. If any began another one,
	// the sum would be smaller.
	if want := 2*100 + 44*10 + 160; codes != want {
		t.Errorf("%d of 1000 triples are assigned, want %d", codes, want)
	}
}

// Only the registered bytes match (LK-9): every other spelling of the same place does not.
func TestSameRedirectIsByteEquality(t *testing.T) {
	t.Parallel()
	registered := []string{"https://app.example.com/cb", "http://localhost:3000/cb", ""}
	for _, s := range registered[:2] {
		if !canon.SameRedirect(registered, s) {
			t.Errorf("%q is registered", s)
		}
	}
	hostile := []string{
		"", "https://app.example.com/cb/", "https://app.example.com/c", "https://app.example.com/cb?x", "https://app.example.com/cb#",
		"https://app.example.com:443/cb", "HTTPS://app.example.com/cb", "https://APP.example.com/cb", "https://app.example.com/CB",
		"http://app.example.com/cb", "https://app.example.com.evil.com/cb", "https://evil.com/https://app.example.com/cb",
		"https://app.example.com@evil.com/cb", "https://x@app.example.com/cb", "https://app.example.com/../cb",
		"https://app.example.com/x/../cb",
		"https://app.example.com/%63b", "https://app.example.com//cb", "https://app.example.com\\cb", " https://app.example.com/cb",
		"https://app.example.com/cb ", "https://app.example.com/cb\n", "https://app.example.com/cb\x00",
		"https://app.example.com/cb%00",
		"https://app.example.com./cb", "http://localhost:3001/cb", "http://127.0.0.1:3000/cb", "http://localhost/cb",
		"javascript:alert(1)",
	}
	for _, s := range hostile {
		if canon.SameRedirect(registered, s) {
			t.Errorf("%q matches", s)
		}
	}
}

// One IPv4 address or one IPv6 /64 is one subscriber (RL-7).
func TestNetwork(t *testing.T) {
	t.Parallel()
	rows := map[string]string{
		"192.0.2.1":             "192.0.2.1/32",
		"::ffff:192.0.2.1":      "192.0.2.1/32",
		"::ffff:192.0.2.1%eth0": "192.0.2.1/32",
		"2001:db8:1:2:3:4:5:6":  "2001:db8:1:2::/64",
		"2001:db8:1:2::":        "2001:db8:1:2::/64",
		"fe80::1%eth0":          "fe80::/64",
		"::1":                   "::/64",
	}
	for ip, want := range rows {
		if got := canon.Network(netip.MustParseAddr(ip)); got.String() != want {
			t.Errorf("Network(%s) = %s, want %s", ip, got, want)
		}
	}
	if canon.Network(netip.Addr{}) != (netip.Prefix{}) {
		t.Error("requests without an address do not share the zero bucket")
	}
}

// A thousand addresses of a /64 are one bucket (RL-7).
func TestNetworkRotation(t *testing.T) {
	t.Parallel()
	seen := map[netip.Prefix]bool{}
	for i := range 1000 {
		ip := netip.MustParseAddr("2001:db8::").As16()
		ip[8], ip[14], ip[15] = byte(i*7), byte(i>>8), byte(i)
		seen[canon.Network(netip.AddrFrom16(ip))] = true
	}
	if len(seen) != 1 {
		t.Errorf("%d buckets, want 1", len(seen))
	}
}

func TestMask(t *testing.T) {
	t.Parallel()
	rows := map[string]string{
		"john@example.com":       "j***@example.com",
		"j@example.com":          "j***@example.com",
		"ünal@example.com":       "ü***@example.com",
		"+46701111111":           "***11",
		"":                       "***",
		"@":                      "***",
		"secret":                 "***",
		"John@example.com":       "***", // not canonical, so not an identifier of ours
		"0046701111111":          "***",
		"j@example.com\r\nx":     "***",
		"<b>@example.com":        "***",
		"\xff@example.com":       "***",
		"a@b@example.com":        "***",
		"+46701111111; rm -rf /": "***",
	}
	for in, want := range rows {
		if got := canon.Mask(in); got != want {
			t.Errorf("Mask(%+q) = %+q, want %+q", in, got, want)
		}
	}
}

// Canonical input is returned as it is; one copy suffices for plain ASCII (speed of every start).
func TestASCIIAllocations(t *testing.T) {
	rows := []struct {
		parser, input string
		most          float64
	}{
		{"email", "alice@example.com", 0},
		{"email", "Alice@Example.com", 1},
		{"email", "alice@[127.0.0.1]", 0},
		{"phone", "+46701111111", 0},
		{"phone", "+46 70 111 11 11", 1},
		{"redirect", "https://app.example.com/callback", 0},
		{"digits", "12345678", 0},
		{"base20", "bcdf-ghjk", 1},
	}
	all := parsers()
	for _, r := range rows {
		if n := testing.AllocsPerRun(100, func() { all[r.parser](r.input) }); n > r.most {
			t.Errorf("%s(%q) allocates %v times, want at most %v", r.parser, r.input, n, r.most)
		}
	}
}

func BenchmarkParsers(b *testing.B) {
	all := parsers()
	for _, r := range []struct{ parser, input string }{
		{"email", "alice@example.com"}, {"email", "Alice@Example.com"}, {"email", "ola@blåbær.no"}, {"email", "ola@xn--blbr-roah.no"},
		{"phone", "+46701111111"}, {"phone", "+46 70 111 11 11"}, {"phone", "+998901234567"},
		{"redirect", "https://app.example.com/callback"}, {"digits", "1234 5678"},
	} {
		b.Run(r.parser+"/"+r.input, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				all[r.parser](r.input)
			}
		})
	}
}

// The corpus is as large as promised and has no row twice.
func TestCorpusSize(t *testing.T) {
	t.Parallel()
	var keys []string
	for _, r := range corpus(t, "") {
		keys = append(keys, r.parser+" "+r.input)
	}
	slices.Sort(keys)
	if unique := len(slices.Compact(slices.Clone(keys))); unique != len(keys) || unique < 200 {
		t.Errorf("%d rows, %d of them different", len(keys), unique)
	}
}
