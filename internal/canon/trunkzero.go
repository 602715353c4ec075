package canon

import "strings"

// A zeroPlan is a numbering plan in which subscribers' numbers begin with a zero that callers from abroad dial too.
type zeroPlan struct {
	code              int
	shortest, longest int  // the national digits of such a number, the zero among them
	second            bool // whether another zero may follow the first
}

// zeroPlans are the plans of this kind. In every other plan a zero behind the calling code is the trunk prefix, which is dialled
// within the country only, or nothing at all.
//
// The lengths keep one telephone to one form. Where all numbers that begin with a zero have one length, a zero in front
// of any number of the plan gives another length, and is refused. Italy has many lengths, and +39 and +390 are different
// numbers there; two zeros are refused.
//
// The table is made from the plans as libphonenumber restates them for mobile and fixed lines. The tests in
// internal/thirdparty/phone hold it to that metadata: its example numbers, numbers made from its patterns, and each of
// those with one to three zeros in front.
//
// Left out, though the metadata has numbers there that begin with a zero:
//   - 241, Gabon: the zero was part of the number until November 2019. Since then it is dialled within the country only;
//     from abroad a 1, 6 or 7 took its place. An old number with its zero is another spelling of a present one.
//   - 250, Rwanda: the zero is the trunk prefix of all numbers. The fixed lines that begin with 06 are of one satellite
//     network.
//   - plans where only toll-free, premium or company numbers begin with a zero: 47, 62, 66, 81, 82, 91, 227, 247, 267, 268,
//     359, 501, 507, 598, 676, 679, 687, 853 and 974. No one signs in with those.
var zeroPlans = [...]zeroPlan{
	{code: 39, shortest: 6, longest: 12},               // Italy and the Vatican: fixed lines
	{code: 225, shortest: 10, longest: 10},             // Ivory Coast: mobile
	{code: 226, shortest: 8, longest: 8},               // Burkina Faso: mobile
	{code: 229, shortest: 10, longest: 10},             // Benin: all
	{code: 242, shortest: 9, longest: 9},               // Congo: mobile
	{code: 378, shortest: 10, longest: 10},             // San Marino: fixed lines
	{code: 992, shortest: 9, longest: 9, second: true}, // Tajikistan: mobile, with 00 among the networks
}

// hasTrunkZero reports whether the digits behind a calling code begin with a zero that is no part of the number.
func hasTrunkZero(code int, national string) bool {
	if !strings.HasPrefix(national, "0") {
		return false
	}
	for _, p := range zeroPlans {
		if p.code == code {
			return len(national) < p.shortest || len(national) > p.longest || !p.second && national[1] == '0'
		}
	}
	return true
}
