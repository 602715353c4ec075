package canon

import (
	"strconv"
	"strings"
)

const (
	minDigits = 7
	maxDigits = 15 // ITU-T E.164
	// maxPhoneInput leaves room for a prefix and a separator beside every digit.
	maxPhoneInput = 40
)

// Phone returns a telephone number in E.164 form: + and 7 to 15 ASCII digits, beginning with an assigned country calling code.
//
// It takes the number after + or the international prefix 00, with at most one space, hyphen or dot between digits and
// at most one pair of parentheses around some of them. It refuses extensions, tel: URIs, letters, digits of other
// scripts, and "(0)", which callers from abroad must leave out and a machine cannot tell from a digit to dial. For the
// same reason it refuses a zero behind the calling code, except where numbers of that plan begin with one: some senders
// drop a zero too many, and then +46701234567 and +460701234567 are one telephone.
//
// There are no national formats: reading those needs numbering plans, which change and are better kept by an
// application that knows its users' country. For the same reason a canonical number need not exist, and no other trunk
// prefix than zeros is looked for.
//
// The errors are ErrTooLong, ErrNumber, ErrCallingCode and ErrTrunkZero. Input that is canonical already is returned as
// it is, without an allocation.
func Phone(s string) (string, error) {
	if len(s) > maxPhoneInput {
		return "", ErrTooLong
	}
	var buf [1 + maxDigits]byte
	number, ok := appendNumber(buf[:0], s)
	if !ok {
		return "", ErrNumber
	}
	if string(number) == s {
		return known(s)
	}
	return known(string(number))
}

func known(e164 string) (string, error) {
	code, national := split(e164)
	switch {
	case code == 0:
		return "", ErrCallingCode
	case hasTrunkZero(code, national):
		return "", ErrTrunkZero
	}
	return e164, nil
}

// appendNumber appends + and the digits of s to dst, which has room for the longest number, and reports whether s is
// well formed.
func appendNumber(dst []byte, s string) ([]byte, bool) {
	dst = append(dst, '+')
	var before byte // the class of the last byte
	switch {
	case strings.HasPrefix(s, "+"):
		s, before = s[1:], '+'
	case strings.HasPrefix(s, "00"):
		s, before = s[2:], '0'
	default:
		return nil, false
	}
	opened, closed := false, false
	for i := range len(s) {
		class := classOf(s[i])
		inside := opened && !closed
		switch {
		case !mayFollow(class, before),
			class == '(' && opened,
			class == '-' && inside,
			class == ')' && !inside,
			class == '0' && before == '(' && s[i] == '0',
			class == '0' && len(dst) == 1 && s[i] == '0',
			class == '0' && len(dst) == 1+maxDigits:
			return nil, false
		case class == '0':
			dst = append(dst, s[i])
		}
		opened = opened || class == '('
		closed = closed || class == ')'
		before = class
	}
	return dst, before == '0' && opened == closed && len(dst) > minDigits
}

// classOf returns '0' for a digit, '-' for a separator, a parenthesis for itself, and 0 for what no number holds.
func classOf(c byte) byte {
	switch {
	case isDigit(c):
		return '0'
	case c == ' ' || c == '-' || c == '.':
		return '-'
	case c == '(' || c == ')':
		return c
	}
	return 0
}

func mayFollow(class, before byte) bool {
	switch class {
	case '0':
		return true
	case '-':
		return before == '0' || before == ')'
	case '(':
		return before == '0' || before == '-'
	case ')':
		return before == '0'
	}
	return false
}

// CallingCode returns the country calling code of a number in E.164 form, or 0 if the number does not begin with + and
// an assigned code.
//
// A code is not always one country: 1 is the whole North American plan with the Caribbean, 7 is Russia and Kazakhstan,
// and 44, 47, 61, 212, 262, 358, 590 and 599 reach several territories. An allow-list of codes allows all of them.
func CallingCode(e164 string) int {
	code, _ := split(e164)
	return code
}

// split returns the calling code of a number in E.164 form and the digits behind it, or 0 if there is no such code.
func split(e164 string) (code int, national string) {
	digits, ok := strings.CutPrefix(e164, "+")
	if !ok {
		return 0, ""
	}
	// No code is the beginning of another one, so the first that fits is the only one.
	for size, codes := range callingCodes {
		if n := size + 1; len(digits) >= n && strings.Contains(codes, digits[:n]) {
			code, _ := strconv.Atoi(digits[:n]) // 0 where a blank of the list matched
			return code, digits[n:]
		}
	}
	return 0, ""
}

// callingCodes holds the assigned codes of countries and territories by their length. The global services (800, 808,
// 870, 878, 881 to 883, 888, 979) are left out: they are satellite, shared-cost and premium numbers that no one signs
// in with and that fraud aims at. Separated by blanks, no two neighbours read as a third code.
var callingCodes = [...]string{
	"1 7",
	"20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 " +
		"60 61 62 63 64 65 66 81 82 84 86 90 91 92 93 94 95 98",
	"211 212 213 216 218 220 221 222 223 224 225 226 227 228 229 " +
		"230 231 232 233 234 235 236 237 238 239 240 241 242 243 244 245 246 247 248 249 " +
		"250 251 252 253 254 255 256 257 258 260 261 262 263 264 265 266 267 268 269 " +
		"290 291 297 298 299 350 351 352 353 354 355 356 357 358 359 " +
		"370 371 372 373 374 375 376 377 378 380 381 382 383 385 386 387 389 420 421 423 " +
		"500 501 502 503 504 505 506 507 508 509 590 591 592 593 594 595 596 597 598 599 " +
		"670 672 673 674 675 676 677 678 679 680 681 682 683 685 686 687 688 689 690 691 692 " +
		"850 852 853 855 856 880 886 960 961 962 963 964 965 966 967 968 " +
		"970 971 972 973 974 975 976 977 992 993 994 995 996 998",
}
