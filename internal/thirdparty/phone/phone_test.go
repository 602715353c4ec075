// Package phone compares what the library takes as a telephone number with the numbering plans, as the metadata of
// libphonenumber has them.
package phone_test

import (
	"errors"
	"fmt"
	"maps"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"
	"pgregory.net/rapid"

	"github.com/seed62b93bad/passwordless"
)

// zeroPlans are the calling codes whose mobile or fixed lines have numbers that begin with a zero, and whether the library
// takes those. It refuses what is another spelling of a number (Gabon since 2019), and the one network in Rwanda where the
// zero is not the trunk prefix.
var zeroPlans = map[int]bool{
	39: true, 225: true, 226: true, 229: true, 242: true, 378: true, 992: true,
	241: false, 250: false,
}

// servicePlans are the calling codes where numbers for everything else begin with a zero, and none of a mobile or fixed
// line: toll-free, premium and company numbers. The library refuses them.
var servicePlans = []int{47, 62, 66, 81, 82, 91, 227, 247, 267, 268, 359, 501, 507, 598, 676, 679, 687, 853, 974}

// Every example number of every region and kind is accepted as it is, or refused for a reason that is written down: a
// global service, a zero in a plan of which the library takes none, or not 7 to 15 digits.
func TestExampleNumbers(t *testing.T) {
	accepted, codes := 0, map[int]bool{}
	for _, k := range kinds(t) {
		if k.ExampleNumber == nil {
			continue
		}
		number := k.number(*k.ExampleNumber)
		ok := k.expect(*k.ExampleNumber)
		if got := address(t, number); ok && got != number || !ok && got != "" {
			t.Errorf("%s: %s is taken as %q", k.name, number, got)
		}
		codes[k.code] = true
		if ok {
			accepted++
		}
	}
	if want := len(phonenumbers.GetSupportedCallingCodes()); len(codes) != want || accepted < 1000 {
		t.Errorf("%d examples are accepted; %d of %d calling codes have one", accepted, len(codes), want)
	}
}

// Zeros in front of an example number make no second number, except one zero in Italy (RL-3).
func TestZerosInFrontOfExamples(t *testing.T) {
	italian := 0
	for _, k := range kinds(t) {
		if k.ExampleNumber == nil {
			continue
		}
		for zeros := 1; zeros <= 3; zeros++ {
			number := k.number(strings.Repeat("0", zeros) + *k.ExampleNumber)
			got := address(t, number)
			if k.code == 39 && zeros == 1 && !strings.HasPrefix(*k.ExampleNumber, "0") {
				italian++
				if got != number {
					t.Errorf("%s: %s is another number, and is taken as %q", k.name, number, got)
				}
				continue
			}
			if got != "" {
				t.Errorf("%s: %s is accepted", k.name, number)
			}
		}
	}
	if italian == 0 {
		t.Error("Italy has no examples")
	}
}

// Numbers made from the patterns of mobile and fixed lines are accepted or refused as example numbers are, and zeros in
// front make no second number either (RL-3).
func TestNumbersOfThePatterns(t *testing.T) {
	zero := map[int]int{}
	for _, k := range kinds(t) {
		if k.NationalNumberPattern == nil || !k.line {
			continue
		}
		numbers := rapid.StringMatching("^(?:" + *k.NationalNumberPattern + ")$")
		for seed := range 40 {
			national := numbers.Example(seed)
			number, ok := k.number(national), k.expect(national)
			if got := address(t, number); ok && got != number || !ok && got != "" {
				t.Fatalf("%s: %s is taken as %q", k.name, number, got)
			}
			if ok && national[0] == '0' {
				zero[k.code]++
			}
			for zeros := 1; zeros <= 3; zeros++ {
				longer := k.number(strings.Repeat("0", zeros) + national)
				another := k.code == 39 && zeros == 1 && national[0] != '0'
				if got := address(t, longer); got != "" && !another {
					t.Fatalf("%s: %s is accepted beside %s", k.name, longer, number)
				}
			}
		}
	}
	for code, ok := range zeroPlans {
		if ok == (zero[code] == 0) {
			t.Errorf("+%d: %d numbers that begin with a zero are accepted", code, zero[code])
		}
	}
}

// The two lists above are what the metadata says: no other calling code has a number that begins with a zero, and no plan
// of which the library takes such numbers has a trunk prefix that is a zero.
func TestWhereNumbersBeginWithAZero(t *testing.T) {
	lines, others := map[int]bool{}, map[int]bool{}
	for _, k := range kinds(t) {
		if k.global || k.NationalNumberPattern == nil || !mayBeginWithZero(t, *k.NationalNumberPattern) {
			continue
		}
		others[k.code] = true
		if k.line {
			lines[k.code] = true
		}
		if zeroPlans[k.code] && strings.Contains(k.trunk, "0") {
			t.Errorf("%s: the trunk prefix is %s", k.name, k.trunk)
		}
	}
	maps.DeleteFunc(others, func(code int, _ bool) bool { return lines[code] })
	if got, want := slices.Sorted(maps.Keys(lines)), slices.Sorted(maps.Keys(zeroPlans)); !slices.Equal(got, want) {
		t.Errorf("mobile and fixed lines of %v begin with a zero; want %v", got, want)
	}
	if got := slices.Sorted(maps.Keys(others)); !slices.Equal(got, servicePlans) {
		t.Errorf("other numbers of %v begin with a zero; want %v", got, servicePlans)
	}
}

// An accepted example is what libphonenumber makes of it, so that a sender that uses it reaches the same telephone.
func TestLibphonenumberKeepsWhatIsAccepted(t *testing.T) {
	for _, k := range kinds(t) {
		if k.ExampleNumber == nil {
			continue
		}
		number := address(t, k.number(*k.ExampleNumber))
		if number == "" {
			continue
		}
		parsed, err := phonenumbers.Parse(number, "ZZ")
		if err != nil {
			t.Errorf("%s: %s: %v", k.name, number, err)
		} else if got := phonenumbers.Format(parsed, phonenumbers.E164); got != number {
			t.Errorf("%s: %s becomes %s", k.name, number, got)
		}
	}
}

// A kind is what the metadata has about one kind of number of one region.
type kind struct {
	*phonenumbers.PhoneNumberDesc
	name   string
	code   int
	trunk  string
	line   bool // mobile or fixed
	global bool // of a calling code that is of no country
}

// kinds are all kinds of all regions.
func kinds(t *testing.T) []kind {
	t.Helper()
	metadata, err := phonenumbers.MetadataCollection()
	if err != nil {
		t.Fatal(err)
	}
	var all []kind
	for _, m := range metadata.GetMetadata() {
		for name, d := range map[string]*phonenumbers.PhoneNumberDesc{
			"mobile": m.GetMobile(), "fixed": m.GetFixedLine(), "toll-free": m.GetTollFree(), "premium": m.GetPremiumRate(),
			"shared cost": m.GetSharedCost(), "personal": m.GetPersonalNumber(), "VoIP": m.GetVoip(), "pager": m.GetPager(),
			"company": m.GetUan(), "voicemail": m.GetVoicemail(), "national": m.GetNoInternationalDialling(),
		} {
			if d == nil {
				continue
			}
			all = append(all, kind{
				PhoneNumberDesc: d, name: m.GetId() + " " + name, code: int(m.GetCountryCode()),
				trunk: m.GetNationalPrefix() + m.GetNationalPrefixForParsing(),
				line:  name == "mobile" || name == "fixed", global: m.GetId() == "001",
			})
		}
	}
	slices.SortFunc(all, func(a, b kind) int { return strings.Compare(a.name, b.name) })
	return all
}

func (k kind) number(national string) string { return fmt.Sprintf("+%d%s", k.code, national) }

// expect reports whether the library takes a number.
func (k kind) expect(national string) bool {
	digits := len(k.number(national)) - 1
	return !k.global && digits >= 7 && digits <= 15 && (national[0] != '0' || zeroPlans[k.code])
}

// address is the canonical form of a number, or empty if it is refused.
func address(t *testing.T, number string) string {
	t.Helper()
	id, err := passwordless.ParseIdentifier(passwordless.SMS, passwordless.Address(number))
	var input *passwordless.InputError
	if err != nil && !errors.As(err, &input) {
		t.Fatalf("%s: %v is no InputError", number, err)
	}
	return string(id.Address)
}

// mayBeginWithZero reports whether a pattern matches anything that begins with a zero.
func mayBeginWithZero(t *testing.T, pattern string) bool {
	t.Helper()
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		t.Fatal(err)
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		t.Fatal(err)
	}
	var from func(pc uint32) bool
	from = func(pc uint32) bool {
		switch i := prog.Inst[pc]; i.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			return from(i.Out) || from(i.Arg)
		case syntax.InstCapture, syntax.InstNop, syntax.InstEmptyWidth:
			return from(i.Out)
		case syntax.InstMatch, syntax.InstFail:
			return false
		default:
			return i.MatchRune('0')
		}
	}
	return from(uint32(prog.Start))
}
