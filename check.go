package passwordless

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/seed62b93bad/passwordless/internal/canon"
)

// A faultList collects what is wrong with one part of the configuration, a sentence each.
type faultList []string

func (f *faultList) addf(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

func (f *faultList) unlessf(ok bool, format string, args ...any) {
	if !ok {
		f.addf(format, args...)
	}
}

func joined(faults []string) error {
	var errs []error
	for _, fault := range faults {
		errs = append(errs, errors.New(fault))
	}
	return errors.Join(errs...)
}

// isNil reports whether an interface holds nothing that can be called: nil, or a nil of some type.
func isNil(v any) bool {
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Chan, reflect.Func, reflect.Interface, reflect.Map, reflect.Pointer, reflect.Slice, reflect.UnsafePointer:
		return r.IsNil()
	default:
		return false
	}
}

func orDefault[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

// printable reports 1 to 64 printable ASCII bytes.
func printable(v string) bool {
	return len(v) >= 1 && len(v) <= 64 && !strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r > '~' })
}

// validName reports whether people can be shown a name in a message.
func validName(name string) bool {
	return strings.TrimSpace(name) != "" && len(name) <= 64 && utf8.ValidString(name) &&
		!strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsGraphic(r) })
}

// validBase reports whether a URL can begin links and name an issuer.
func validBase(base string) bool {
	u, err := url.Parse(base)
	return err == nil && canon.RedirectURI(base, canon.RedirectRules{}) == nil && strings.HasSuffix(base, "/") && u.RawQuery == "" &&
		canon.Origin(u.Scheme+"://"+u.Host) == nil // without the port that browsers leave out
}

// validLinkURL reports whether a URL can begin links.
func validLinkURL(base string) bool {
	return canon.RedirectURI(base, canon.RedirectRules{}) == nil && !strings.Contains(base, "?")
}

// hostOf is the host that text messages are bound to. A wrong URL is reported elsewhere, and localhost stands in for its host.
func hostOf(base string) string {
	u, err := url.Parse(base)
	if err != nil || !validBase(base) {
		return "localhost"
	}
	return u.Hostname()
}

// minKey is the shortest accepted key, in bytes (NIST SP 800-63B-4, 3.1.1.2).
const minKey = 32

// weakKey reports a key that is too short, or visibly not random.
func weakKey(secret []byte) bool {
	return len(secret) < minKey || bytes.Count(secret, secret[:1]) == len(secret)
}

func validKeyID(id string) bool {
	if len(id) < 1 || len(id) > 16 {
		return false
	}
	for _, c := range []byte(id) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// mistakesIn begins each error that err joins with the name of the field that they are in.
func mistakesIn(field string, err error) error {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return err
	}
	var errs []error
	for _, e := range joined.Unwrap() {
		errs = append(errs, fmt.Errorf("%s: %w", field, e))
	}
	return errors.Join(errs...)
}
