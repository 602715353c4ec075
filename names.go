package passwordless

import (
	"context"
	"crypto/rand"
	"errors"
	"net/netip"

	"github.com/seed62b93bad/passwordless/internal/canon"
	"github.com/seed62b93bad/passwordless/internal/secret"
	"github.com/seed62b93bad/passwordless/store"
)

// A namer makes the keyed names and the record keys of one call, with the keys that there were when the call began. Its
// first failure stays in err, and what it makes from then on is worthless: look at err before a name reaches the store.
type namer struct {
	ctx     context.Context
	hasher  Hasher
	current string // the ID of the current ring key, if a Keyring holds it
	err     error
	room    [128]byte // for the parts of one name
}

// begin readies the namer for one call. It holds the keys that a Keyring has now: Keyring.Replace does not change them
// during the call.
func (n *namer) begin(ctx context.Context, h Hasher) {
	n.ctx, n.hasher = ctx, h
	if k, ours := h.(*Keyring); ours {
		r := k.current.Load()
		n.hasher, n.current = r, r.current
	}
}

// index makes a name with the index key. The label keeps names of different kinds apart.
func (n *namer) index(label string, fields ...string) secret.Name {
	if n.err != nil {
		return ""
	}
	parts := secret.AppendField(n.room[:0], label)
	for _, f := range fields {
		parts = secret.AppendField(parts, f)
	}
	d, err := n.hasher.IndexName(n.ctx, parts)
	n.err = err
	return secret.NameOf(d)
}

// key returns the key of the record with a seed, and the ID of the ring key that it came from. The ID "" asks for the
// current one.
func (n *namer) key(id string, seed secret.Seed) (secret.Key, string) {
	if n.err != nil {
		return secret.Key{}, ""
	}
	k, err := n.hasher.RecordKey(n.ctx, id, seed)
	if n.err = err; err == nil && !validKeyID(k.ID) {
		n.err = errBadKeyID
	}
	return k.Key, k.ID
}

// had is key for what another call made. If the ring key cannot be had any more it reports false, and leaves err as it is.
func (n *namer) had(id string, seed secret.Seed) (secret.Key, bool) {
	k, err := n.hasher.RecordKey(n.ctx, id, seed)
	return k.Key, err == nil
}

// person names who has an identifier.
func (n *namer) person(tenant string, id Identifier) secret.Name {
	return n.index("person", tenant, string(id.Channel), string(id.Address))
}

// user names the records of a user: the owner of families.
func (n *namer) user(tenant, id string) secret.Name { return n.index("user", tenant, id) }

// tenant owns the users of a tenant.
func (n *namer) tenant(tenant string) secret.Name { return n.index("tenant", tenant) }

// network names an IPv4 address or an IPv6 /64, as a tenant sees it.
func (n *namer) network(tenant string, ip netip.Addr) secret.Name {
	a := canon.Network(ip).Addr().As16()
	return n.index("network", tenant, string(a[:]))
}

// around names the IPv6 /48 and /32 that an address is in; "" for an IPv4 address.
func (n *namer) around(tenant string, ip netip.Addr) (site, region secret.Name) {
	s := canon.Site(ip)
	if !s.IsValid() {
		return "", ""
	}
	a, b := s.Addr().As16(), canon.Region(ip).Addr().As16()
	return n.index("site", tenant, string(a[:])), n.index("region", tenant, string(b[:]))
}

// prefix names a telephone number without its last four digits, in a tenant: a range that pumping dials through. It is "" for
// an e-mail address.
func (n *namer) prefix(tenant string, id Identifier) secret.Name {
	if id.Channel != SMS {
		return ""
	}
	return n.index("prefix", tenant, string(id.Address[:max(1, len(id.Address)-4)]))
}

// slot names the challenge that a client started ByAddress for a person.
func (n *namer) slot(tenant, client string, person secret.Name) secret.Name {
	return n.index("slot", tenant, client, string(person))
}

// newSeed draws a seed.
func newSeed() (s secret.Seed) {
	rand.Read(s[:]) // never fails since Go 1.24
	return s
}

// newVersion draws a version.
func newVersion() (v store.Version) {
	rand.Read(v[:])
	return v
}

// errBadKeyID is a mistake of a Hasher.
var errBadKeyID = errors.New("the hasher returned a key whose ID is not 1 to 16 letters, digits, '-' or '_'")
