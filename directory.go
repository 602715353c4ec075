package passwordless

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"github.com/seed62b93bad/passwordless/store"
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
	kindUser       store.Kind = "user"
	kindIdentifier store.Kind = "identifier"
)

func encodeUser(u User) []byte {
	w := writer{make([]byte, 0, 128)}
	w.fixed([]byte{bodyFormat})
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

func decodeUser(rec store.Record) (u User, err error) {
	r, err := openBody(rec)
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
func (d *Directory) claims(tenant string, u User) (keys []store.Key) {
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

func (d *Directory) claim(tenant string, id Identifier) store.Key {
	return d.s.personName(tenant, id).key(kindIdentifier)
}

func (d *Directory) userKey(tenant, id string) store.Key {
	return d.s.userName(tenant, id).key(kindUser)
}

// Find returns the user that holds the identifier, or ErrNoUser. A user who holds it without having
// proved it, and has proved another one, is not found by it: an unproved address links nobody to an account
// (see Create). Find makes two trips whether or not there is a user.
func (d *Directory) Find(ctx context.Context, tenant string, id Identifier) (User, error) {
	st, err := d.holder(ctx, tenant, id)
	if err != nil {
		return User{}, err
	}
	if !st.owns(id) {
		return User{}, ErrNoUser
	}
	return st.User, nil
}

// FindUsername returns the user with the username, or ErrNoUser.
func (d *Directory) FindUsername(ctx context.Context, tenant, username string) (User, error) {
	st, err := d.lookUp(ctx, tenant, d.s.indexed("username", tenant, username).key(kindIdentifier))
	return st.User, err
}

// FindNumber returns the user with the decimal number, or ErrNoUser.
func (d *Directory) FindNumber(ctx context.Context, tenant string, number int64) (User, error) {
	st, err := d.lookUp(ctx, tenant, d.s.indexed("number", tenant, strconv.FormatInt(number, 10)).key(kindIdentifier))
	return st.User, err
}

// Get returns the user with the ID, or ErrNoUser.
func (d *Directory) Get(ctx context.Context, tenant, id string) (User, error) {
	st, err := d.get(ctx, tenant, id)
	return st.User, err
}

// List returns users of the tenant, at most limit (1 to 1000) and in no particular order, and the cursor
// of the next page, "" after the last. The first page has the cursor "".
func (d *Directory) List(ctx context.Context, tenant string, limit int, cursor string) ([]User, string, error) {
	ctx, cancel := d.s.bounded(ctx)
	defer cancel()
	if limit < 1 || limit > 1000 {
		return nil, "", &InputError{"limit", "want 1 to 1000"}
	}
	page := store.Page{Owner: string(d.s.tenantName(tenant)), Limit: limit, Cursor: cursor}
	recs, next, err := d.s.store.List(ctx, d.s.now(), kindUser, page)
	if err != nil {
		return nil, "", d.s.failed(ctx, "listing users", err)
	}
	var all []User
	for _, rec := range recs {
		u, err := decodeUser(rec)
		if err != nil {
			return nil, "", err
		}
		all = append(all, u)
	}
	return all, next, nil
}

// A storedUser is a user with the versions that a change must find.
type storedUser struct {
	User
	version, epochVersion store.Version
}

// owns reports whether the holder of an identifier may sign in by it: it is proved, or nothing is.
func (u *storedUser) owns(id Identifier) bool {
	return u.Verified(id) || !u.EmailVerified && !u.PhoneVerified
}

func (d *Directory) holder(ctx context.Context, tenant string, id Identifier) (storedUser, error) {
	return d.lookUp(ctx, tenant, d.claim(tenant, id))
}

// lookUp returns the user of a claim. A claim that its user gave up between the two trips is nobody's.
func (d *Directory) lookUp(ctx context.Context, tenant string, claim store.Key) (storedUser, error) {
	ctx, cancel := d.s.bounded(ctx)
	defer cancel()
	recs, err := d.s.store.Load(ctx, d.s.now(), claim)
	if err != nil {
		return storedUser{}, d.s.failed(ctx, "loading a claim", err)
	}
	// Without a claim the ID is empty and nobody has it; the second trip is made all the same.
	st, err := d.get(ctx, tenant, string(recs[0].Body))
	if err == nil && !slices.Contains(d.claims(tenant, st.User), claim) {
		return storedUser{}, ErrNoUser
	}
	return st, err
}

func (d *Directory) get(ctx context.Context, tenant, id string) (storedUser, error) {
	ctx, cancel := d.s.bounded(ctx)
	defer cancel()
	n := d.s.userName(tenant, id)
	recs, err := d.s.store.Load(ctx, d.s.now(), n.key(kindUser), n.key(kindEpoch))
	if err != nil {
		return storedUser{}, d.s.failed(ctx, "loading user", err)
	}
	if !recs[0].Exists() {
		return storedUser{}, ErrNoUser
	}
	u, err := decodeUser(recs[0])
	if err == nil && u.ID != id {
		err = fmt.Errorf("%w: a user is under another's name", ErrCorrupt)
	}
	if err != nil {
		return storedUser{}, err
	}
	e, err := decodeEpoch(recs[1])
	u.epoch = &e
	return storedUser{u, recs[0].Version, recs[1].Version}, err
}

// Add stores a new user and returns it. An empty ID gets a random one. Addresses are made
// canonical. Errors: *InputError, ErrTaken, and what the Store returns.
func (d *Directory) Add(ctx context.Context, tenant string, u User) (User, error) {
	ctx, cancel := d.s.bounded(ctx)
	defer cancel()
	u, err := d.clean(tenant, u)
	if err != nil {
		return User{}, err
	}
	b := newBatch()
	for _, key := range d.claims(tenant, u) {
		b.put(putClaim(key, u.ID))
	}
	b.put(d.put(tenant, u, store.Version{}))
	switch _, err := d.s.commit(ctx, d.s.now(), b.Batch); {
	case errors.Is(err, store.ErrConflict):
		return User{}, ErrTaken
	case err != nil:
		return User{}, fmt.Errorf("passwordless: adding user: %w", err)
	}
	return u, nil
}

// putClaim gives a name to a user.
func putClaim(key store.Key, userID string) store.Put {
	return store.Put{Stage: store.StageClaim, Record: store.Record{
		Key: key, Version: newVersion(), Expires: store.Never, Body: []byte(userID)}}
}

func (d *Directory) put(tenant string, u User, was store.Version) store.Put {
	return store.Put{Was: was, Stage: store.StageDecide, Record: store.Record{
		Key: d.userKey(tenant, u.ID), Version: newVersion(), Expires: store.Never,
		Owner: string(d.s.tenantName(tenant)), Body: encodeUser(u)}}
}

// clean checks a user before it is stored.
func (d *Directory) clean(tenant string, u User) (User, error) {
	u, err := canonical(u)
	if err != nil {
		return u, err
	}
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
	return u, nil
}

// canonical makes the addresses of a user canonical.
func canonical(u User) (User, error) {
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

// Update loads the user, lets change alter it, and stores it, again if somebody else
// changed it meanwhile: change may be called more than once. It must not change the ID.
// An address that changes is unverified until its owner proves it. Of a user who has proved
// another address it cannot be proved by signing in with it: whoever does so is another user, who takes
// the address. If an address or the
// status changed, the same commit signs the user out everywhere. Errors: ErrNoUser, ErrTaken,
// *InputError, ErrBusy, change's own, and what the Store returns.
func (d *Directory) Update(ctx context.Context, tenant, id string, change func(*User) error) (User, error) {
	return d.alter(ctx, tenant, id, contactChanged, func(u User) (User, error) {
		old := u
		if err := change(&u); err != nil {
			return u, err
		}
		if u.ID != id {
			return u, &InputError{"User.ID", "cannot change"}
		}
		u, err := canonical(u)
		if err != nil {
			return u, err
		}
		u.EmailVerified = u.EmailVerified && u.Email == old.Email
		u.PhoneVerified = u.PhoneVerified && u.Phone == old.Phone
		return d.clean(tenant, u)
	})
}

// alter changes a user in one conditional commit, again while others change it too.
func (d *Directory) alter(ctx context.Context, tenant, id string, ends ending, change func(User) (User, error)) (User, error) {
	ctx, cancel := d.s.bounded(ctx)
	defer cancel()
	var changed User
	err := whileConflicting(func(int) error {
		old, err := d.get(ctx, tenant, id)
		if err != nil {
			return err
		}
		u, err := change(old.User)
		if err != nil {
			return err
		}
		now := d.s.now()
		revokes := ends(old.User, u)
		b := d.replace(tenant, old, u, revokes, now)
		err = d.s.change(ctx, now, "changing user", b)
		if d.taken(tenant, id, err) {
			return ErrTaken
		}
		if err == nil && revokes {
			d.s.emit(ctx, revokedEvent(tenant, id, now))
		}
		changed = u
		return err
	})
	if err != nil {
		return User{}, err
	}
	return changed, nil
}

// taken reports whether a conflict was about a name of somebody else, rather than about
// the user, who somebody changed meanwhile.
func (d *Directory) taken(tenant, id string, err error) bool {
	var conflict *store.ConflictError
	n := d.s.userName(tenant, id)
	return errors.As(err, &conflict) && !slices.ContainsFunc(conflict.Keys, func(k store.Key) bool { return k.Name == string(n) })
}

// replace is the batch that turns old into u, and signs the user out everywhere if it revokes.
func (d *Directory) replace(tenant string, old storedUser, u User, revokes bool, now store.Instant) store.Batch {
	b := newBatch()
	had := d.claims(tenant, old.User)
	has := d.claims(tenant, u)
	for _, key := range has {
		if !slices.Contains(had, key) {
			b.put(putClaim(key, u.ID))
		}
	}
	for _, key := range had {
		if !slices.Contains(has, key) {
			b.Deletes = append(b.Deletes, key)
		}
	}
	if revokes {
		b.put(old.epoch.next(now).put(d.s.userName(tenant, u.ID), old.epochVersion))
	}
	b.put(d.put(tenant, u, old.version))
	return b.Batch
}

// Format prints nothing of the Service, for every verb.
func (d Directory) Format(f fmt.State, _ rune) { fmt.Fprint(f, "passwordless.Directory") }

// An ending tells whether a change of a user signs that user out everywhere.
type ending func(was, is User) bool

// contactChanged is the ending of changes that an administrator makes.
func contactChanged(was, is User) bool {
	return was.Email != is.Email || was.Phone != is.Phone || was.Status != is.Status
}

// ended is that of a first proof: the Service has just signed the user out, and what it grants is granted under that.
func ended(User, User) bool { return false }

// Delete removes the user, frees the names and signs out everywhere, in one commit. A user that is
// not there is not an error.
func (d *Directory) Delete(ctx context.Context, tenant, id string) error {
	ctx, cancel := d.s.bounded(ctx)
	defer cancel()
	return whileConflicting(func(int) error {
		old, err := d.get(ctx, tenant, id)
		if errors.Is(err, ErrNoUser) {
			return nil
		}
		if err != nil {
			return err
		}
		now := d.s.now()
		b := newBatch()
		gone := d.put(tenant, old.User, old.version)
		gone.Record.Expires, gone.Record.Body = 0, nil // which leaves it absent
		b.put(old.epoch.next(now).put(d.s.userName(tenant, id), old.epochVersion))
		b.put(gone)
		b.Deletes = d.claims(tenant, old.User)
		if err = d.s.change(ctx, now, "deleting user", b.Batch); err == nil {
			d.s.emit(ctx, revokedEvent(tenant, id, now))
		}
		return err
	})
}

// Create makes a user for an identifier that was just proved. See Users. Whoever held it without
// having proved it, and has proved another identifier, loses it.
func (d *Directory) Create(ctx context.Context, tenant string, id Identifier) (User, error) {
	ctx, cancel := d.s.bounded(ctx)
	defer cancel()
	u := User{}
	switch id.Channel {
	case Email:
		u.Email = id.Address
	case SMS:
		u.Phone = id.Address
	}
	for range casTries {
		made, err := d.Add(ctx, tenant, u)
		if !errors.Is(err, ErrTaken) {
			return made, err
		}
		holder, err := d.holder(ctx, tenant, id)
		switch {
		case errors.Is(err, ErrNoUser): // given up meanwhile
		case err != nil:
			return User{}, err
		case holder.owns(id):
			return holder.User, nil
		default:
			_, err := d.alter(ctx, tenant, holder.ID, contactChanged, func(u User) (User, error) { return without(u, id), nil })
			if err != nil && !errors.Is(err, ErrNoUser) {
				return User{}, err
			}
		}
	}
	return User{}, ErrBusy
}

// without takes an unproved identifier from a user.
func without(u User, id Identifier) User {
	if u.Email == id.Address && !u.EmailVerified {
		u.Email = ""
	}
	if u.Phone == id.Address && !u.PhoneVerified {
		u.Phone = ""
	}
	return u
}

// ConfirmFirstProof marks the identifier verified and removes the other address if nobody
// proved it. The directory keeps no passwords and no linked identities. A user who does not hold the
// identifier any more is ErrNoUser. See Users.
func (d *Directory) ConfirmFirstProof(ctx context.Context, tenant, userID string, id Identifier) (User, error) {
	return d.alter(ctx, tenant, userID, ended, func(u User) (User, error) {
		switch {
		case id.Channel == Email && u.Email == id.Address:
			u.EmailVerified = true
		case id.Channel == SMS && u.Phone == id.Address:
			u.PhoneVerified = true
		default:
			return u, ErrNoUser
		}
		if !u.EmailVerified {
			u.Email = ""
		}
		if !u.PhoneVerified {
			u.Phone = ""
		}
		return u, nil
	})
}
