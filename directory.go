package passwordless

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/google/uuid"
)

// A Directory is the built-in Users: people kept in the Store beside everything else.
// E-mail addresses, numbers, usernames and decimal numbers are unique in a tenant. Safe for
// concurrent use.
type Directory struct {
	s *Service
}

// Directory returns the built-in directory, or nil if Config.Users brought another.
func (s *Service) Directory() *Directory {
	d, _ := s.users.(*Directory)
	return d
}

// The records of the directory: a user under a pseudonym of the ID, and a claim under a pseudonym of each
// name that is unique, holding the user's ID.
const (
	kindUser       Kind = "user"
	kindIdentifier Kind = "identifier"
)

const userFormat = 1

func encodeUser(u User) []byte {
	w := writer{make([]byte, 0, 128)}
	w.fixed([]byte{userFormat})
	w.text(u.ID)
	w.num(u.Number)
	w.text(u.Username)
	w.text(u.Email)
	w.flag(u.EmailVerified)
	w.text(u.Phone)
	w.flag(u.PhoneVerified)
	w.text(u.Name)
	w.text(u.Locale)
	w.num(int64(u.Status))
	return w.b
}

func decodeUser(rec Record) (u User, err error) {
	r, err := openBody(rec, userFormat)
	if err != nil {
		return u, err
	}
	u.ID, u.Number, u.Username = r.text(), r.num(), r.text()
	u.Email, u.EmailVerified = r.text(), r.flag()
	u.Phone, u.PhoneVerified = r.text(), r.flag()
	u.Name, u.Locale, u.Status = r.text(), r.text(), UserStatus(r.num())
	return u, r.finish(rec.Key.Kind)
}

// claims are the keys of the names that a user alone may have.
func (d *Directory) claims(tenant string, u User) (keys []Key) {
	if u.Email != "" {
		keys = append(keys, d.claim(tenant, Identifier{Email, u.Email}))
	}
	if u.Phone != "" {
		keys = append(keys, d.claim(tenant, Identifier{SMS, u.Phone}))
	}
	if u.Username != "" {
		keys = append(keys, d.s.indexed("username", tenant, u.Username).key(kindIdentifier))
	}
	if u.Number != 0 {
		keys = append(keys, d.s.indexed("number", tenant, strconv.FormatInt(u.Number, 10)).key(kindIdentifier))
	}
	return keys
}

func (d *Directory) claim(tenant string, id Identifier) Key {
	return d.s.personName(tenant, id).key(kindIdentifier)
}

func (d *Directory) userKey(tenant, id string) Key { return d.s.userName(tenant, id).key(kindUser) }

// Find returns the user that holds the identifier, or ErrNoUser. It makes two trips
// whether or not there is one.
func (d *Directory) Find(ctx context.Context, tenant string, id Identifier) (User, error) {
	return d.lookUp(ctx, tenant, d.claim(tenant, id))
}

// FindUsername and FindNumber look for the other unique names.
func (d *Directory) FindUsername(ctx context.Context, tenant, username string) (User, error) {
	return d.lookUp(ctx, tenant, d.s.indexed("username", tenant, username).key(kindIdentifier))
}

// FindNumber returns the user with the decimal number, or ErrNoUser.
func (d *Directory) FindNumber(ctx context.Context, tenant string, number int64) (User, error) {
	return d.lookUp(ctx, tenant, d.s.indexed("number", tenant, strconv.FormatInt(number, 10)).key(kindIdentifier))
}

func (d *Directory) lookUp(ctx context.Context, tenant string, claim Key) (User, error) {
	recs, err := d.s.store.Load(ctx, d.s.now(), claim)
	if err != nil {
		return User{}, err
	}
	// Without a claim the ID is empty and nobody has it; the second trip is made all the same.
	return d.Get(ctx, tenant, string(recs[0].Body))
}

// Get returns the user with the ID, or ErrNoUser.
func (d *Directory) Get(ctx context.Context, tenant, id string) (User, error) {
	u, _, err := d.get(ctx, tenant, id)
	return u, err
}

func (d *Directory) get(ctx context.Context, tenant, id string) (User, Version, error) {
	n := d.s.userName(tenant, id)
	recs, err := d.s.store.Load(ctx, d.s.now(), n.key(kindUser), n.key(kindEpoch))
	if err != nil {
		return User{}, Version{}, err
	}
	if recs[0].Version == (Version{}) {
		return User{}, Version{}, ErrNoUser
	}
	u, err := decodeUser(recs[0])
	if err != nil {
		return User{}, Version{}, err
	}
	e, err := decodeEpoch(recs[1])
	u.epoch = &e
	return u, recs[0].Version, err
}

// Add stores a new user and returns it. An empty ID gets a random one. Addresses are made
// canonical. Errors: *InputError, ErrTaken, and what the Store returns.
func (d *Directory) Add(ctx context.Context, tenant string, u User) (User, error) {
	u, err := d.clean(tenant, u)
	if err != nil {
		return User{}, err
	}
	b := newBatch()
	for _, key := range d.claims(tenant, u) {
		b.put(Put{Record: Record{Key: key, Version: newVersion(), Expires: Never, Body: []byte(u.ID)}})
	}
	b.put(Put{Record: Record{Key: d.userKey(tenant, u.ID), Version: newVersion(), Expires: Never, Body: encodeUser(u)}})
	return u, d.write(ctx, b.Batch)
}

// clean checks a user before it is stored.
func (d *Directory) clean(tenant string, u User) (User, error) {
	if _, ok := d.s.tenants[tenant]; !ok {
		return u, &InputError{"tenant", "there is none with that ID"}
	}
	if u.ID == "" {
		u.ID = uuid.NewString()
	}
	switch {
	case len(u.ID) > 64:
		return u, &InputError{"User.ID", "longer than 64 bytes"}
	case u.Number < 0:
		return u, &InputError{"User.Number", "negative"}
	case len(u.Username) > 256 || len(u.Name) > 1024 || len(u.Locale) > 64:
		return u, &InputError{"User", "username, name or locale too long"}
	case u.Status > UserBlocked:
		return u, &InputError{"User.Status", "unknown"}
	case u.EmailVerified && u.Email == "" || u.PhoneVerified && u.Phone == "":
		return u, &InputError{"User", "an address that is not there cannot be verified"}
	}
	for ch, address := range map[Channel]*string{Email: &u.Email, SMS: &u.Phone} {
		if *address == "" {
			continue
		}
		id, err := ParseIdentifier(ch, *address)
		if err != nil {
			return u, err
		}
		*address = id.Address
	}
	return u, nil
}

// write commits a change of the directory; somebody else's claim is ErrTaken.
func (d *Directory) write(ctx context.Context, b Batch) error {
	err := d.s.commit(ctx, d.s.now(), b)
	if errors.Is(err, ErrConflict) {
		return ErrTaken
	}
	if err != nil {
		return fmt.Errorf("passwordless: writing user: %w", err)
	}
	return nil
}

// Update loads the user, lets change alter it, and stores it, again if somebody else
// changed it meanwhile: change may be called more than once. It must not change the ID.
// An address that changes becomes unverified unless change says otherwise. If an address or the
// status changed, the user is signed out everywhere. Errors: ErrNoUser, ErrTaken, *InputError,
// ErrBusy, change's own, and what the Store returns.
func (d *Directory) Update(ctx context.Context, tenant, id string, change func(*User) error) (User, error) {
	for range refreshTries {
		old, version, err := d.get(ctx, tenant, id)
		if err != nil {
			return User{}, err
		}
		u := old
		if err := change(&u); err != nil {
			return User{}, err
		}
		if u.ID != id {
			return User{}, &InputError{"User.ID", "cannot change"}
		}
		if u, err = d.clean(tenant, u); err != nil {
			return User{}, err
		}
		err = d.write(ctx, d.replace(tenant, old, u, version))
		if errors.Is(err, ErrTaken) {
			if _, now, err := d.get(ctx, tenant, id); err == nil && now != version {
				continue // somebody changed the user, not a claim
			}
		}
		if err == nil && (u.Email != old.Email || u.Phone != old.Phone || u.Status != old.Status) {
			err = d.s.RevokeUser(ctx, tenant, id)
		}
		return u, err
	}
	return User{}, ErrBusy
}

// replace is the batch that turns old into u.
func (d *Directory) replace(tenant string, old, u User, was Version) Batch {
	b := newBatch()
	b.put(Put{Was: was, Record: Record{Key: d.userKey(tenant, u.ID), Version: newVersion(), Expires: Never, Body: encodeUser(u)}})
	had := map[Key]bool{}
	for _, key := range d.claims(tenant, old) {
		had[key] = true
	}
	for _, key := range d.claims(tenant, u) {
		if !had[key] {
			b.put(Put{Record: Record{Key: key, Version: newVersion(), Expires: Never, Body: []byte(u.ID)}})
		}
		delete(had, key)
	}
	for key := range had {
		b.Deletes = append(b.Deletes, key)
	}
	return b.Batch
}

// Delete removes the user and frees the names. Sessions end. A user that is not there is not an
// error.
func (d *Directory) Delete(ctx context.Context, tenant, id string) error {
	if err := d.s.RevokeUser(ctx, tenant, id); err != nil {
		return err
	}
	u, err := d.Get(ctx, tenant, id)
	if errors.Is(err, ErrNoUser) {
		return nil
	}
	if err != nil {
		return err
	}
	return d.write(ctx, Batch{Deletes: append(d.claims(tenant, u), d.userKey(tenant, id))})
}

// Create makes a user for an identifier that was just proved. See Users.
func (d *Directory) Create(ctx context.Context, tenant string, id Identifier) (User, error) {
	u := User{}
	switch id.Channel {
	case Email:
		u.Email = id.Address
	case SMS:
		u.Phone = id.Address
	}
	made, err := d.Add(ctx, tenant, u)
	if errors.Is(err, ErrTaken) {
		return d.Find(ctx, tenant, id)
	}
	return made, err
}

// ConfirmFirstProof marks the identifier verified and removes the other address if nobody
// proved it. The directory keeps no passwords and no linked identities. See Users.
func (d *Directory) ConfirmFirstProof(ctx context.Context, tenant, userID string, id Identifier) (User, error) {
	for range refreshTries {
		old, version, err := d.get(ctx, tenant, userID)
		if err != nil {
			return User{}, err
		}
		u := old
		if u.Email == id.Address && id.Channel == Email {
			u.EmailVerified = true
		} else if !u.EmailVerified {
			u.Email = ""
		}
		if u.Phone == id.Address && id.Channel == SMS {
			u.PhoneVerified = true
		} else if !u.PhoneVerified {
			u.Phone = ""
		}
		err = d.write(ctx, d.replace(tenant, old, u, version))
		if errors.Is(err, ErrTaken) {
			continue // changed meanwhile: no claim is added here
		}
		return u, err
	}
	return User{}, ErrBusy
}
