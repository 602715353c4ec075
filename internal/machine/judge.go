package machine

import (
	"github.com/seed62b93bad/passwordless/internal/record"
	"github.com/seed62b93bad/passwordless/store"
)

// A Method is one way in which a person proved who they are, and when.
type Method struct {
	Name    string // "code" or "link"
	Channel string
	At      store.Instant
}

// A Proof is what every way of signing in makes, and what stands behind a session, a refresh token family and an
// authorization code: who, by which identifier and methods, to which client, and under which epoch of the user.
type Proof struct {
	Tenant, Client   string
	UserID           string
	Channel, Address string
	Methods          []Method // the first one first; at least one
	Epoch            int64
}

// At is when the proof was whole: the instant of its last method.
func (p *Proof) At() store.Instant { return p.Methods[len(p.Methods)-1].At }

func (p *Proof) encode(w *record.Writer) {
	for _, v := range [...]string{p.Tenant, p.Client, p.UserID, p.Channel, p.Address} {
		w.Text(v)
	}
	w.Num(p.Epoch)
	w.Byte(byte(len(p.Methods)))
	for _, m := range p.Methods {
		w.Text(m.Name)
		w.Text(m.Channel)
		w.Num(int64(m.At))
	}
}

// maxMethods bounds the methods of one proof.
const maxMethods = 8

func (p *Proof) decode(r *record.Reader) {
	for _, v := range [...]*string{&p.Tenant, &p.Client, &p.UserID, &p.Channel, &p.Address} {
		*v = r.Text()
	}
	p.Epoch = r.Num()
	var n [1]byte
	r.Fixed(n[:])
	if n[0] < 1 || n[0] > maxMethods {
		r.Refuse()
		return
	}
	p.Methods = make([]Method, n[0])
	for i := range p.Methods {
		p.Methods[i] = Method{r.Text(), r.Text(), store.Instant(r.Num())}
	}
}

// A Status says whether an account may sign in.
type Status uint8

// The statuses.
const (
	Active Status = iota
	LockedOut
	TimedOut
	Unwanted
)

// An Account is what the directory knows of the user of a proof.
type Account struct {
	Exists bool
	Status Status
	Proved bool  // the identifier was proved before, by this user
	Epoch  int64 // the number of the user's epoch; a proof is judged against it unless Fresh
	Fresh  bool  // the proof is made now, and stands under whatever number the user has
}

// An Outcome is what may come of a proof.
type Outcome uint8

// The outcomes, in the order in which they are looked for.
const (
	Complete   Outcome = iota // the person signs in
	NoAccount                 // nobody has the identifier, and the client makes no accounts
	NewAccount                // nobody has it, and an account is made first
	OutLocked                 // an administrator locked the account
	OutExpired                // the account's time is over
	OutBlocked                // the account is unwanted
	OutRevoked                // the proof is older than the user's last sign-out, which a change of the status is too
	FirstProof                // the identifier was not proved before: what the account held before is purged first
)

// Grants reports whether the outcome gives what was asked for.
func (o Outcome) Grants() bool { return o == Complete }

// Refused reports whether the account may not sign in although the proof is right.
func (o Outcome) Refused() bool { return o == OutLocked || o == OutExpired || o == OutBlocked }

// Suppresses reports whether a client whose sign-up is closed sends no message at all to somebody of whom the outcome would
// be this one: there is nobody, or somebody unwanted.
func (o Outcome) Suppresses() bool { return o == NoAccount || o == OutBlocked }

// Judge says what may come of a proof. It is the only place that does: every way of signing in asks it, a code, a link, an
// authorization code and a refresh alike. closed says that the client makes no accounts.
func Judge(p Proof, a Account, closed bool) Outcome {
	switch {
	case !a.Exists && closed:
		return NoAccount
	case !a.Exists:
		return NewAccount
	case a.Status == LockedOut:
		return OutLocked
	case a.Status == TimedOut:
		return OutExpired
	case a.Status != Active:
		return OutBlocked
	case !a.Fresh && p.Epoch != a.Epoch:
		return OutRevoked
	case !a.Proved:
		return FirstProof
	}
	return Complete
}
