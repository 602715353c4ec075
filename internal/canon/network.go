package canon

import "net/netip"

// Network returns what an address counts as when requests are limited: an IPv4 address by itself, an IPv6 address by
// its /64, because one subscriber holds at least that much. An IPv4 address mapped into IPv6 is the IPv4 address, and
// zones are dropped. The zero Addr gives the zero Prefix, so requests without an address share one bucket.
func Network(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap()
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	// Prefix masks, drops the zone, and fails only for the zero Addr.
	network, _ := ip.Prefix(bits)
	return network
}
