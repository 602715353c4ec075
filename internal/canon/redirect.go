package canon

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

const maxRedirectURI = 2048

// RedirectRules widens what RedirectURI accepts. The zero value accepts https, and http to this machine.
type RedirectRules struct {
	// InsecureHTTP accepts http to any host. Whoever watches the network can then take over the sign-in that ends there.
	InsecureHTTP bool
	// AppSchemes accepts private-use schemes of native apps, com.example.app:/path (RFC 8252, section 7.1). Nothing proves
	// which app on the device owns such a scheme.
	AppSchemes bool
}

// RedirectURI checks a redirect URI when it is registered. It returns nil, or the Error that names the broken rule.
//
// The URI is absolute, of RFC 3986 characters only, and without user information, fragment, wildcard, backslash or dot
// segments. The scheme of a web URI and its host are in lower case; the host is a name of A-labels, or an IP address in
// its usual spelling. http is accepted for localhost, 127.0.0.0/8 and [::1]. Of other schemes only those with a dot can
// be allowed, which leaves out javascript, data, file and their kind.
func RedirectURI(s string, rules RedirectRules) error {
	if len(s) > maxRedirectURI {
		return ErrTooLong
	}
	if err := checkURIBytes(s); err != nil {
		return err
	}
	scheme, rest, _ := strings.Cut(s, ":")
	switch {
	case scheme == "https" || scheme == "http" && rules.InsecureHTTP:
		_, err := checkHierarchy(rest)
		return err
	case scheme == "http":
		return checkLoopback(rest)
	case rules.AppSchemes && isAppScheme(scheme):
		return checkAppURI(rest)
	}
	return ErrScheme
}

// SameRedirect reports whether got is one of the registered URIs, byte for byte. There is no normalization, no prefix
// and no wildcard to confuse (RFC 9700, section 2.1), and the empty string is never registered.
func SameRedirect(registered []string, got string) bool {
	return got != "" && slices.Contains(registered, got)
}

// checkURIBytes admits the characters of RFC 3986, so that neither a browser's repairs nor a header can make two of one URI.
func checkURIBytes(s string) error {
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '#':
			return ErrFragment
		case c == '%':
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return ErrCharacter
			}
		case !isLower(c) && !isUpper(c) && !isDigit(c) && strings.IndexByte("-._~:/?[]@!$&'()*+,;=", c) < 0:
			return ErrCharacter
		}
	}
	return nil
}

// checkHierarchy checks what follows the scheme of a web URI and returns the host.
func checkHierarchy(rest string) (string, error) {
	rest, ok := strings.CutPrefix(rest, "//")
	if !ok {
		return "", ErrHost
	}
	authority, path := splitAuthority(rest)
	if strings.Contains(authority, "@") {
		return "", ErrUserinfo
	}
	host, port, found := cutPort(authority)
	if found && !isPort(port) || !isWebHost(host) {
		return "", ErrHost
	}
	if hasDotSegments(path) {
		return "", ErrPath
	}
	return host, nil
}

func checkLoopback(rest string) error {
	host, err := checkHierarchy(rest)
	if err == nil && !isLoopback(host) {
		return ErrScheme
	}
	return err
}

// checkAppURI checks what follows a private-use scheme: a path, with or without an authority, which is a name of the
// app's own and no host.
func checkAppURI(rest string) error {
	if authority, ok := strings.CutPrefix(rest, "//"); ok {
		authority, rest = splitAuthority(authority)
		if strings.Contains(authority, "@") {
			return ErrUserinfo
		}
		if authority == "" && rest == "" {
			return ErrPath
		}
	} else if !strings.HasPrefix(rest, "/") {
		return ErrPath
	}
	if hasDotSegments(rest) {
		return ErrPath
	}
	return nil
}

func splitAuthority(s string) (authority, path string) {
	if i := strings.IndexAny(s, "/?"); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// cutPort splits at the last colon that is not inside an IPv6 literal.
func cutPort(authority string) (host, port string, found bool) {
	colon := strings.LastIndexByte(authority, ':')
	if colon <= strings.LastIndexByte(authority, ']') {
		return authority, "", false
	}
	return authority[:colon], authority[colon+1:], true
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && s[0] != '0'
}

// isWebHost takes an IP literal only in the spelling netip prints, because clients read 127.1, 0x7f000001 and
// 2130706433 as addresses too. A name that ends in a number is one of those (WHATWG URL, "ends in a number").
func isWebHost(host string) bool {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		ip, err := netip.ParseAddr(inner)
		return ok && err == nil && ip.Is6() && ip.Zone() == "" && ip.String() == inner
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	if last != "" && isDigit(last[0]) {
		ip, err := netip.ParseAddr(host)
		return err == nil && ip.Is4()
	}
	name, ok := domainName(host)
	return ok && name == host
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// isAppScheme reports whether s is a URI scheme in reverse domain name notation.
func isAppScheme(s string) bool {
	labels := strings.Split(s, ".")
	for i, label := range labels {
		if label == "" || i == 0 && !isLetter(label[0]) {
			return false
		}
		for j := range len(label) {
			if c := label[j]; !isLetter(c) && !isDigit(c) && c != '-' && c != '+' {
				return false
			}
		}
	}
	return len(labels) > 1
}

// hasDotSegments finds . and .. in a path also where they are percent-encoded: browsers resolve both before they follow
// the redirect.
func hasDotSegments(path string) bool {
	path, _, _ = strings.Cut(path, "?")
	for segment := range strings.SplitSeq(lowerASCII(path), "/") {
		if s := strings.ReplaceAll(segment, "%2e", "."); s == "." || s == ".." {
			return true
		}
	}
	return false
}

func isLetter(c byte) bool { return isLower(c) || isUpper(c) }

func isHex(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// Origin checks a web origin when it is registered (RFC 6454, section 6.2): as browsers write it, https, or http to
// this machine, without a path. It returns nil, or the Error that names the broken rule.
func Origin(s string) error {
	if err := RedirectURI(s, RedirectRules{}); err != nil {
		return err
	}
	scheme, rest, _ := strings.Cut(s, "://")
	if strings.ContainsAny(rest, "/?") {
		return ErrPath
	}
	if _, port, _ := cutPort(rest); scheme == "https" && port == "443" || scheme == "http" && port == "80" {
		return ErrHost // browsers leave it out
	}
	return nil
}
