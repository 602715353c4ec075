package canon

import "net/netip"

// Network returns what an address counts as when requests are limited: an IPv4 address by itself, an IPv6 address by
// its /64, because one subscriber holds at least that much. IPv6 addresses that stand for an IPv4 address are that address:
// whoever has one IPv4 address has all the IPv6 addresses made of it. Zones are dropped. The zero Addr gives the zero Prefix,
// so requests without an address share one bucket.
func Network(ip netip.Addr) netip.Prefix {
	ip = folded(ip)
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	// Prefix masks, drops the zone, and fails only for the zero Addr.
	network, _ := ip.Prefix(bits)
	return network
}

// Site returns the /48 that an IPv6 address is in, which one subscriber can hold too; the zero Prefix for all others.
func Site(ip netip.Addr) netip.Prefix { return around(ip, 48) }

// Region returns the /32 that an IPv6 address is in, as providers hold them; the zero Prefix for all others.
func Region(ip netip.Addr) netip.Prefix { return around(ip, 32) }

func around(ip netip.Addr, bits int) netip.Prefix {
	if ip = folded(ip); !ip.Is6() {
		return netip.Prefix{}
	}
	p, _ := ip.Prefix(bits)
	return p
}

// The prefixes of addresses that hold an IPv4 address.
var (
	sixToFour = netip.MustParsePrefix("2002::/16")    // RFC 3056, 2: the 32 bits behind it
	teredo    = netip.MustParsePrefix("2001::/32")    // RFC 4380, 4: the last 32 bits, inverted
	nat64     = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052, 2.1: the last 32 bits
)

// folded returns the IPv4 address that an IPv6 address stands for, or else the address without its zone.
func folded(ip netip.Addr) netip.Addr {
	ip = ip.Unmap().WithZone("")
	b := ip.As16()
	switch {
	case sixToFour.Contains(ip):
		return netip.AddrFrom4([4]byte(b[2:6]))
	case teredo.Contains(ip):
		return netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]})
	case nat64.Contains(ip):
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return ip
}
