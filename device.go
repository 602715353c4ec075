package passwordless

import "github.com/seed62b93bad/passwordless/store"

// A device cookie is an ID, the instant of the sign-in that issued it, and a MAC that binds
// both to a person. Each sign-in issues another with the same ID, which names a bucket: ten failures end
// all of them.
const (
	deviceLife = 180 * day
	deviceSize = nameSize + 8 + 32
)

type device struct {
	id     name
	issued store.Instant
}

func (s *Service) newDevice(tenant string, person, id name, now store.Instant) Secret {
	var room [8]byte
	issued := appendInstant(room[:0], now)
	mac := s.ring.current.sum("device", tenant, string(person), string(id), string(issued))
	return token(id, issued, mac[:])
}

// knownDevice checks a device cookie for a person.
func (s *Service) knownDevice(cookie Secret, tenant string, person name, now store.Instant) (d device, ok bool) {
	b, ok := openToken(cookie, deviceSize)
	if !ok {
		return d, false
	}
	d = device{name(b[:nameSize]), readInstant(b[nameSize:])}
	if d.issued < 0 || now >= d.issued.Add(deviceLife) {
		return d, false
	}
	for _, key := range s.ring.byID {
		mac := key.sum("device", tenant, string(person), string(b[:nameSize]), string(b[nameSize:nameSize+8]))
		if equal(string(mac[:]), string(b[nameSize+8:])) {
			return d, true
		}
	}
	return d, false
}
