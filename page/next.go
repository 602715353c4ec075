package page

import (
	"net/url"
	"path"
	"strings"

	"github.com/seed62b93bad/passwordless"
)

// maxNext is the longest path to return to, in bytes.
const maxNext = 1024

// isLocal reports whether s is a path of our own origin for every browser and every router: absolute, clean, printable
// ASCII, and without a scheme, host, backslash, fragment, or anything that becomes one of them when it is decoded once
// more. Its query is free.
func isLocal(s string) bool {
	if len(s) > maxNext || !strings.HasPrefix(s, "/") || strings.ContainsAny(s, "\\#") {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" {
		return false
	}
	return isCleanPath(u.EscapedPath()) && isCleanPath(u.Path)
}

// isCleanPath reports whether a path means the same wherever it is cleaned or decoded again.
func isCleanPath(p string) bool {
	for i := range len(p) {
		if p[i] < ' ' || p[i] == 0x7f || p[i] == '\\' {
			return false
		}
	}
	lower := strings.ToLower(p)
	for _, hidden := range []string{"%2f", "%5c", "%2e", "%25"} {
		if strings.Contains(lower, hidden) {
			return false
		}
	}
	clean := path.Clean(p)
	return p == clean || p == clean+"/"
}

// localOr returns s if it is local, else fallback.
func localOr(s, fallback string) string {
	if isLocal(s) {
		return s
	}
	return fallback
}

// Next returns where a person was on the way to when the sign-in began: a path of our own origin, Options.Home if there
// was none.
func (h *Handler) Next(l passwordless.Login) string { return localOr(l.State, h.opts.Home) }
