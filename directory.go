package passwordless

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/seed62b93bad/passwordless/internal/machine"
	"github.com/seed62b93bad/passwordless/internal/record"
	"github.com/seed62b93bad/passwordless/internal/secret"
	"github.com/seed62b93bad/passwordless/store"
)

// A Directory is the built-in Users: people kept in the Store beside everything else. E-mail addresses, numbers,
// usernames and decimal numbers are unique in a tenant. Safe for concurrent use.
type Directory struct {
	s *Service
}

// Directory returns the built-in directory, or nil if Config.Users brought another.
func (s *Service) Directory() *Directory {
	d, _ := s.users.(*Directory)
	return d
}

// Format prints nothing of the Service, for every verb.
func (d Directory) Format(f fmt.State, _ rune) { fmt.Fprint(f, "passwordless.Directory") }

// The records of the directory: a user under a pseudonym of the ID; and under a pseudonym of each unique name a claim,
// which holds the user's ID.
const (
	kindUser       store.Kind = "user"
	kindIdentifier store.Kind = "identifier"
)

func encodeUser(u User) []byte {
	w := record.NewWriter(128)
	w.Text(u.ID)
	w.Num(u.Number)
	w.Text(u.Username)
	w.Text(string(u.Email))
	w.Flag(u.EmailVerified)
	w.Text(string(u.Phone))
	w.Flag(u.PhoneVerified)
	w.Text(u.Name)
	w.Text(u.Locale)
	w.Num(int64(u.Status))
	return w.Bytes()
}

func decodeUser(rec store.Record) (u User, err error) {
	r := record.Open(rec.Body)
	u.ID, u.Number, u.Username = r.Text(), r.Num(), r.Text()
	u.Email, u.EmailVerified = Address(r.Text()), r.Flag()
	u.Phone, u.PhoneVerified = Address(r.Text()), r.Flag()
	u.Name, u.Locale, u.Status = r.Text(), r.Text(), UserStatus(r.Small())
	if err := r.Err(); err != nil {
		return User{}, corrupt(rec, err)
	}
	return u, nil
}

// A storedUser is a user with the versions of the records that a change replaces.
type storedUser struct {
	User
	version, epochVersion store.Version
}

// owns reports whether the user, who holds the identifier, may sign in by it: the user has proved it, or nothing else either.
func (u *storedUser) owns(id Identifier) bool {
	return u.Verified(id) || !u.EmailVerified && !u.PhoneVerified
}

// userNames makes the names of a directory's records in one tenant.
type userNames struct {
	*namer
	of string // the tenant
}

func (d *Directory) names(ctx context.Context, tenant string) userNames {
	return userNames{d.s.namer(ctx), tenant}
}

func (n userNames) userKey(id string) store.Key {
	return store.Key{Kind: kindUser, Name: string(n.user(n.of, id))}
}

func (n userNames) address(id Identifier) store.Key {
	return store.Key{Kind: kindIdentifier, Name: string(n.person(n.of, id))}
}

func (n userNames) username(name string) store.Key {
	return store.Key{Kind: kindIdentifier, Name: string(n.index("username", n.of, name))}
}

func (n userNames) number(number int64) store.Key {
	return store.Key{Kind: kindIdentifier, Name: string(n.index("number", n.of, strconv.FormatInt(number, 10)))}
}

// claims are the keys of the names that a user alone may have.
func (n userNames) claims(u User) (keys []store.Key) {
	if u.Email != "" {
		keys = append(keys, n.address(Identifier{Email, u.Email}))
	}
	if u.Phone != "" {
		keys = append(keys, n.address(Identifier{SMS, u.Phone}))
	}
	if u.Username != "" {
		keys = append(keys, n.username(u.Username))
	}
	if u.Number != 0 {
		keys = append(keys, n.number(u.Number))
	}
	return keys
}

// put is the write of a user.
func (n userNames) put(u User, was store.Version) store.Put {
	return store.Put{Stage: store.StageDecide, Was: was,
		Record: store.Record{Key: n.userKey(u.ID), Version: newVersion(), Expires: store.Never, Owner: string(n.tenant(n.of)),
			Body: encodeUser(u)}}
}

// claimPut takes a name for a user.
func claimPut(key store.Key, userID string) store.Put {
	return store.Put{Stage: store.StageClaim,
		Record: store.Record{Key: key, Version: newVersion(), Expires: store.Never, Body: []byte(userID)}}
}

// nobody is what stands for everybody whom the directory does not have: a user and an epoch, under the name of the ID "",
// which no user has. With them a look-up of nobody reads as many records as one of somebody, in the same time (EN-2).
func (n userNames) nobody(now store.Instant) []store.Put {
	at := machine.Moment{Now: now, Name: n.user(n.of, ""), Fresh: newVersion()}
	epoch, user := machine.Epoch{}.Put(at), n.put(standIn, store.Version{})
	epoch.Any, user.Any = true, true
	epoch.Stage, user.Stage = store.StageGrant, store.StageGrant
	user.Record.Owner = "" // it is not listed
	return []store.Put{epoch, user}
}

// standIn is about as long as most users.
var standIn = User{Email: "nobody@example.com", Name: strings.Repeat("x", 36)}

// nobodies are the tenants whose nobody this Service has written.
type nobodies struct {
	mu  sync.Mutex // guards all
	all map[string]bool
}

func (n *nobodies) has(tenant string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.all[tenant]
}

func (n *nobodies) add(tenant string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.all == nil {
		n.all = map[string]bool{}
	}
	n.all[tenant] = true
}

// signOut is the write that signs a user out everywhere.
func (n userNames) signOut(old storedUser, now store.Instant) store.Put {
	at := machine.Moment{Now: now, Name: n.user(n.of, old.ID), Was: old.epochVersion, Fresh: newVersion()}
	return old.standing.On(machine.SignOut{}, at).Batch.Puts[0]
}

// Find returns the user that holds the identifier, or ErrNoUser. It does not find a user who has not proved the
// identifier and has proved another one: an unproved address links nobody to an account (see Create). It makes two
// trips to the store, whether or not there is a user.
//
// Errors: ErrNoUser, ErrCorrupt and ErrUnavailable. So with the other look-ups.
func (d *Directory) Find(ctx context.Context, tenant string, id Identifier) (User, error) {
	n := d.names(ctx, tenant)
	st, err := d.lookUp(ctx, n, n.address(id))
	if err == nil && !st.owns(id) {
		err = ErrNoUser
	}
	if err != nil { // what was read of nobody is passed on, so that nobody costs as many trips as somebody
		return User{standing: &standing{}}, err
	}
	return st.User, nil
}

// FindUsername returns the user with the username, or ErrNoUser.
func (d *Directory) FindUsername(ctx context.Context, tenant, username string) (User, error) {
	n := d.names(ctx, tenant)
	st, err := d.lookUp(ctx, n, n.username(username))
	return st.User, err
}

// FindNumber returns the user with the decimal number, or ErrNoUser.
func (d *Directory) FindNumber(ctx context.Context, tenant string, number int64) (User, error) {
	n := d.names(ctx, tenant)
	st, err := d.lookUp(ctx, n, n.number(number))
	return st.User, err
}

// Get returns the user with the ID, or ErrNoUser.
func (d *Directory) Get(ctx context.Context, tenant, id string) (User, error) {
	st, err := d.get(ctx, d.names(ctx, tenant), id)
	if err != nil {
		return User{}, err
	}
	return st.User, nil
}

// List returns users of the tenant, at most limit (1 to 1000) and in no particular order, and the cursor of the next
// page, "" after the last. The first page has the cursor "". Errors: *InputError, ErrCorrupt and ErrUnavailable.
func (d *Directory) List(ctx context.Context, tenant string, limit int, cursor string) ([]User, string, error) {
	ctx, cancel := d.s.bounded(ctx)
	defer cancel()
	if limit < 1 || limit > 1000 {
		return nil, "", &InputError{"limit", "want 1 to 1000"}
	}
	n := d.names(ctx, tenant)
	page := store.Page{Owner: string(n.tenant(tenant)), Limit: limit, Cursor: cursor}
	if n.err != nil {
		return nil, "", d.s.failed(ctx, "hashing", n.err)
	}
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

// lookUp returns the user of a claim. If the user gave the name up between the two trips, it is ErrNoUser.
func (d *Directory) lookUp(ctx context.Context, n userNames, claim store.Key) (storedUser, error) {
	ctx, cancel := d.s.bounded(ctx)
	defer cancel()
	if n.err != nil {
		return storedUser{}, d.s.failed(ctx, "hashing", n.err)
	}
	recs, err := d.s.load(ctx, d.s.now(), "a claim", claim)
	if err != nil {
		return storedUser{}, err
	}
	// Without a claim the ID is empty and nobody has it; the second trip is made all the same, and its names.
	st, err := d.get(ctx, n, string(recs[0].Body))
	if held := slices.Contains(n.claims(st.User), claim); err == nil && !held {
		err = ErrNoUser
	}
	if err != nil {
		return storedUser{}, err
	}
	return st, nil
}

// get loads a user by the ID, with the epoch. With ErrNoUser the user is whoever stands for nobody, if there is one.
func (d *Directory) get(ctx context.Context, n userNames, id string) (storedUser, error) {
	ctx, cancel := d.s.bounded(ctx)
	defer cancel()
	key := n.userKey(id)
	if n.err != nil {
		return storedUser{}, d.s.failed(ctx, "hashing", n.err)
	}
	of := standingKeys(secret.Name(key.Name))
	recs, err := d.s.load(ctx, d.s.now(), "user", key, of[0], of[1])
	if err != nil {
		return storedUser{}, err
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
	if u.standing, err = decodeStanding(recs[1:]); err != nil {
		return storedUser{}, err
	}
	if id == "" {
		return storedUser{User: u}, ErrNoUser
	}
	return storedUser{u, recs[0].Version, recs[1].Version}, nil
}

// Add stores a new user and returns it. An empty ID gets a random one. Addresses are made canonical. The first Add of a
// Service in a tenant also writes what stands for people whom the directory does not have. Errors: *InputError, ErrTaken,
// ErrUnavailable and ErrUncertain.
func (d *Directory) Add(ctx context.Context, tenant string, u User) (User, error) {
	ctx, cancel := d.s.bounded(ctx)
	defer cancel()
	u, err := d.clean(tenant, u)
	if err != nil {
		return User{}, err
	}
	n := d.names(ctx, tenant)
	var b store.Batch
	for _, key := range n.claims(u) {
		b.Puts = append(b.Puts, claimPut(key, u.ID))
	}
	b.Puts = append(b.Puts, n.put(u, store.Version{}))
	now := d.s.now()
	if !d.s.nobodies.has(tenant) {
		b.Puts = append(b.Puts, n.nobody(now)...)
	}
	if n.err != nil {
		return User{}, d.s.failed(ctx, "hashing", n.err)
	}
	switch err := d.s.change(ctx, now, "adding user", b); {
	case errors.Is(err, store.ErrConflict):
		return User{}, ErrTaken
	case err != nil:
		return User{}, err
	}
	d.s.nobodies.add(tenant)
	return u, nil
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
	for ch, address := range map[Channel]*Address{Email: &u.Email, SMS: &u.Phone} {
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

// Update loads the user, lets change alter it, and stores it. If somebody else changed the user meanwhile it starts
// over, so change may be called more than once. It must not change the ID.
//
// A new address is unverified until its owner proves it. If the user has proved another address, signing in with the
// new one does not prove it: whoever does so becomes another user, who takes the address. If an address or the status
// changed, the same commit signs the user out everywhere.
//
// Errors: ErrNoUser, ErrTaken, *InputError, ErrBusy, ErrCorrupt, ErrUnavailable, ErrUncertain, and change's own.
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

// alter changes a user in one conditional commit, and starts over while others change it too. Nothing is written if
// nothing changes.
func (d *Directory) alter(ctx context.Context, tenant, id string, ends ending, change func(User) (User, error)) (User, error) {
	ctx, cancel := d.s.bounded(ctx)
	defer cancel()
	var changed User
	err := whileConflicting(func(int) error {
		n := d.names(ctx, tenant)
		old, err := d.get(ctx, n, id)
		if err != nil {
			return err
		}
		if changed, err = change(old.User); err != nil || changed == old.User {
			return err
		}
		now := d.s.now()
		revokes := ends(old.User, changed)
		b := n.replace(old, changed, revokes, now)
		if n.err != nil {
			return d.s.failed(ctx, "hashing", n.err)
		}
		err = d.s.change(ctx, now, "changing user", b)
		if n.taken(id, err) {
			return ErrTaken
		}
		if err == nil && revokes {
			d.s.emit(ctx, revokedEvent(tenant, id, now))
		}
		return err
	})
	if err != nil {
		return User{}, err
	}
	return changed, nil
}

// taken reports whether a commit failed because somebody else has one of the names, and not because the user was
// changed meanwhile.
func (n userNames) taken(id string, err error) bool {
	var conflict *store.ConflictError
	user := n.user(n.of, id)
	return errors.As(err, &conflict) && !slices.ContainsFunc(conflict.Keys, func(k store.Key) bool { return k.Name == string(user) })
}

// replace is the batch that turns old into u. If revokes, it signs the user out everywhere.
func (n userNames) replace(old storedUser, u User, revokes bool, now store.Instant) (b store.Batch) {
	had, has := n.claims(old.User), n.claims(u)
	for _, key := range has {
		if !slices.Contains(had, key) {
			b.Puts = append(b.Puts, claimPut(key, u.ID))
		}
	}
	for _, key := range had {
		if !slices.Contains(has, key) {
			b.Deletes = append(b.Deletes, key)
		}
	}
	if revokes {
		b.Puts = append(b.Puts, n.signOut(old, now))
	}
	b.Puts = append(b.Puts, n.put(u, old.version))
	return b
}

// An ending reports whether a change of a user signs that user out everywhere.
type ending func(was, is User) bool

// contactChanged is the ending for changes that an administrator makes.
func contactChanged(was, is User) bool {
	return was.Email != is.Email || was.Phone != is.Phone || was.Status != is.Status
}

// keepSessions is the ending for a first proof: the Service has already moved the epoch, and grants under the new one.
func keepSessions(User, User) bool { return false }

// Delete removes the user, frees the names and signs the user out everywhere, in one commit. A user that is not there
// is not an error. Errors: ErrBusy, ErrCorrupt, ErrUnavailable and ErrUncertain.
func (d *Directory) Delete(ctx context.Context, tenant, id string) error {
	ctx, cancel := d.s.bounded(ctx)
	defer cancel()
	return whileConflicting(func(int) error {
		n := d.names(ctx, tenant)
		old, err := d.get(ctx, n, id)
		if errors.Is(err, ErrNoUser) {
			return nil
		}
		if err != nil {
			return err
		}
		now := d.s.now()
		gone := n.put(old.User, old.version)
		gone.Record.Expires, gone.Record.Body = 0, nil // which leaves it absent
		networks := store.Key{Kind: machine.KindNetworks, Name: gone.Record.Key.Name}
		b := store.Batch{Puts: []store.Put{n.signOut(old, now), gone}, Deletes: append(n.claims(old.User), networks)}
		if n.err != nil {
			return d.s.failed(ctx, "hashing", n.err)
		}
		if err = d.s.change(ctx, now, "deleting user", b); err == nil {
			d.s.emit(ctx, revokedEvent(tenant, id, now))
		}
		return err
	})
}

// Create makes a user for an identifier that was just proved. See Users. A user who held it without having proved it,
// and has proved another one, loses it. Errors: *InputError, ErrBusy, ErrCorrupt, ErrUnavailable and ErrUncertain.
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
	for range conflictTries {
		made, err := d.Add(ctx, tenant, u)
		if !errors.Is(err, ErrTaken) {
			return made, err
		}
		n := d.names(ctx, tenant)
		holder, err := d.lookUp(ctx, n, n.address(id))
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

// without is the user without the identifier, if it is unproved.
func without(u User, id Identifier) User {
	if u.Email == id.Address && !u.EmailVerified {
		u.Email = ""
	}
	if u.Phone == id.Address && !u.PhoneVerified {
		u.Phone = ""
	}
	return u
}

// ConfirmFirstProof marks the identifier verified and removes the other address if nobody proved it. The directory
// keeps no passwords and no linked identities. See Users. Errors: ErrNoUser (also if the user does not hold the
// identifier any more), ErrBusy, ErrCorrupt, ErrUnavailable and ErrUncertain.
func (d *Directory) ConfirmFirstProof(ctx context.Context, tenant, userID string, id Identifier) (User, error) {
	return d.alter(ctx, tenant, userID, keepSessions, func(u User) (User, error) {
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
