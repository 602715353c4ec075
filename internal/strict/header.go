package strict

import (
	"net/http"
	"strings"
)

// SecureJSON sets the headers of every JSON answer: its type, and that nobody may keep it or take it for something else.
func SecureJSON(h http.Header) {
	h.Set("Content-Type", "application/json; charset=utf-8")
	secure(h)
}

// SecureHTML sets the headers of every page: as SecureJSON, and no referrer, the content policy, and a browsing context
// of its own.
func SecureHTML(h http.Header, policy CSP) {
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy.String())
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	secure(h)
}

func secure(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
}

// CSP is the content security policy of a page. It refuses everything but styles and forms of the page's own origin,
// and what the fields add. A field that could end its directive or begin another value is left out, so a mistake makes
// the policy narrower.
type CSP struct {
	StyleNonce  string // allows the style elements with this nonce, instead of style sheets of the origin
	ScriptNonce string // allows the script elements with this nonce; empty allows no script
	// FormAction adds sources to which a form may lead, beside the page's own origin. Browsers apply it to the redirects
	// that follow the form as well.
	FormAction []string
}

// String returns the value of the Content-Security-Policy header.
func (c CSP) String() string {
	var b strings.Builder
	b.WriteString("default-src 'none'; style-src ")
	if isSource(c.StyleNonce) {
		b.WriteString("'nonce-" + c.StyleNonce + "'")
	} else {
		b.WriteString("'self'")
	}
	if isSource(c.ScriptNonce) {
		b.WriteString("; script-src 'nonce-" + c.ScriptNonce + "'")
	}
	b.WriteString("; form-action 'self'")
	for _, source := range c.FormAction {
		if isSource(source) {
			b.WriteString(" " + source)
		}
	}
	b.WriteString("; frame-ancestors 'none'; base-uri 'none'")
	return b.String()
}

// isSource admits visible ASCII without quotes and separators, and no wildcard.
func isSource(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || strings.IndexByte(`;,'"*`, s[i]) >= 0 {
			return false
		}
	}
	return s != ""
}
