package strict

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the networks of the reverse proxies whose X-Forwarded-For is believed. The nil value believes nobody.
// Build it with ParseProxies; it is safe for concurrent use.
type Proxies []netip.Prefix

// ParseProxies reads addresses and CIDR networks. It reports every mistake at once. A network of all addresses is one:
// with it any client could name its own address.
func ParseProxies(networks ...string) (Proxies, error) {
	proxies := make(Proxies, 0, len(networks))
	var mistakes []error
	for _, s := range networks {
		prefix, err := parseNetwork(s)
		if err != nil {
			mistakes = append(mistakes, err)
			continue
		}
		proxies = append(proxies, prefix)
	}
	if err := errors.Join(mistakes...); err != nil {
		return nil, err
	}
	return proxies, nil
}

// TrustProxies is ParseProxies for networks that are parsed already, with the same mistakes.
func TrustProxies(networks []netip.Prefix) (Proxies, error) {
	texts := make([]string, len(networks))
	for i, n := range networks {
		texts[i] = n.String()
	}
	return ParseProxies(texts...)
}

func parseNetwork(s string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(s); err == nil && ip.Zone() == "" {
		ip = ip.Unmap()
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("strict: trusted proxy %q is not an address or network", s)
	case prefix.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("strict: trusted proxy %q: write the network in IPv4", s)
	case prefix.Bits() == 0:
		return netip.Prefix{}, fmt.Errorf("strict: trusted proxy %q trusts every address", s)
	}
	return prefix.Masked(), nil
}

// ClientIP returns the address of the client: the connection's peer, or, if that is a trusted proxy, the last address
// of X-Forwarded-For that is not one. Addresses further left are the client's own words and never looked at. An entry
// that is no address ends the walk at the proxy that passed it on; a list of proxies only ends at its first. No other
// header counts. IPv4 mapped into IPv6 is returned as IPv4, and without zone.
//
// The zero Addr is returned if RemoteAddr holds no address, as on a Unix socket.
func (p Proxies) ClientIP(r *http.Request) netip.Addr {
	client := parseHop(r.RemoteAddr)
	lines := r.Header.Values("X-Forwarded-For")
	for _, line := range slices.Backward(lines) {
		for list, more := line, true; more; {
			if !p.trust(client) {
				return client
			}
			var entry string
			list, entry, more = cutLast(list)
			hop := parseHop(entry)
			if !hop.IsValid() {
				return client
			}
			client = hop
		}
	}
	return client
}

// Ignored says, in a fixed phrase, by which header a request names an address that ClientIP did not look at; "" if by
// none. A proxy that passes requests on without being trusted shows itself by that.
func (p Proxies) Ignored(r *http.Request) string {
	trusted := p.trust(parseHop(r.RemoteAddr))
	list, forwarded := len(r.Header["X-Forwarded-For"]) > 0, len(r.Header["Forwarded"]) > 0
	switch {
	case list && !trusted:
		return "X-Forwarded-For of a peer that is no trusted proxy"
	case forwarded && !trusted:
		return "Forwarded of a peer that is no trusted proxy"
	case forwarded && !list:
		return "Forwarded of a trusted proxy, of which X-Forwarded-For alone is read"
	}
	return ""
}

// cutLast cuts the last entry from a comma-separated list, and reports whether more is left.
func cutLast(list string) (before, entry string, more bool) {
	if comma := strings.LastIndexByte(list, ','); comma >= 0 {
		return list[:comma], strings.Trim(list[comma+1:], " \t"), true
	}
	return "", strings.Trim(list, " \t"), false
}

func (p Proxies) trust(ip netip.Addr) bool {
	for _, network := range p {
		if network.Contains(ip) {
			return true
		}
	}
	return false
}

// parseHop reads an address with or without port, IPv6 with or without brackets.
func parseHop(s string) netip.Addr {
	if hop, err := netip.ParseAddrPort(s); err == nil {
		return hop.Addr().Unmap().WithZone("")
	}
	if inner, ok := strings.CutPrefix(s, "["); ok {
		if s, ok = strings.CutSuffix(inner, "]"); !ok || !strings.Contains(s, ":") {
			return netip.Addr{}
		}
	}
	ip, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return ip.Unmap().WithZone("")
}
