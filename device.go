package passwordless

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"time"

	"github.com/seed62b93bad/passwordless/internal/secret"
	"github.com/seed62b93bad/passwordless/store"
)

// A device cookie names a ring key, and behind it holds an ID, its user, the number of the user's epoch, the instant of
// the sign-in that issued it, and a MAC that binds all of them to a person. Each sign-in issues another with the same
// ID, which names a bucket: ten failures end all of them.
const (
	deviceLife = 180 * 24 * time.Hour
	deviceSize = secret.NameSize + 8 + 8 + 8 + sha256.Size
)

// A device is what a device cookie says.
type device struct {
	id     secret.Name
	user   int64 // of deviceUser: an address can come to another user
	epoch  int64 // negative: not known when it was issued
	issued store.Instant
}

// deviceUser stands for a user in a cookie.
func deviceUser(id string) int64 {
	d := secret.Hash("device user", id)
	return int64(binary.BigEndian.Uint64(d[:8]))
}

// issue makes the cookie of a device for a person.
func (d device) issue(n *namer, tenant string, person secret.Name) Secret {
	numbers := d.numbers()
	key, keyID := n.key("", d.seed())
	sum := key.Derive("device", tenant, string(person), string(d.id), numbers)
	return Secret(secret.EncodeAfter(keyID+".", string(d.id), numbers, string(sum[:])))
}

// numbers are what the cookie says behind the ID.
func (d device) numbers() string {
	b := binary.BigEndian.AppendUint64(nil, uint64(d.user))
	b = binary.BigEndian.AppendUint64(b, uint64(d.epoch))
	return string(binary.BigEndian.AppendUint64(b, uint64(d.issued)))
}

// seed is what the key of its MAC is made with.
func (d device) seed() secret.Seed { return secret.Hash("device", string(d.id)) }

// openDevice reads a cookie. It reports false for one that was not issued for the person, is too old, or is under a
// ring key that is gone.
func (n *namer) openDevice(cookie Secret, tenant string, person secret.Name, now store.Instant) (device, bool) {
	keyID, rest, ok := strings.Cut(cookie.Reveal(), ".")
	b, well := secret.Decode(rest, deviceSize)
	if !ok || !well || !validKeyID(keyID) {
		return device{}, false
	}
	id, numbers, mac := b[:secret.NameSize], b[secret.NameSize:deviceSize-sha256.Size], b[deviceSize-sha256.Size:]
	number := func(at int) int64 { return int64(binary.BigEndian.Uint64([]byte(numbers[at : at+8]))) }
	d := device{secret.Name(id), number(0), number(8), store.Instant(number(16))}
	if d.issued < 0 || now >= d.issued.Add(deviceLife) {
		return device{}, false
	}
	key, known := n.had(keyID, d.seed())
	want := key.Derive("device", tenant, string(person), id, numbers)
	if !known || !secret.Equal(string(want[:]), mac) {
		return device{}, false
	}
	return d, true
}

// stands reports whether the device is the user's, and a revocation has not ended it. The number of the epoch tells; if
// it was not known at the issue, the instant does, with a margin that decides for safety. Where nobody read the epoch,
// nothing is asked of it.
func (d device) stands(u *User, skew time.Duration) bool {
	e := u.standing
	return d.user == deviceUser(u.ID) && (e == nil || d.epoch == e.Number || d.epoch < 0 && d.issued > e.RevokedUntil(skew))
}
