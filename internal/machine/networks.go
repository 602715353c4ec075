package machine

import (
	"time"

	"github.com/seed62b93bad/passwordless/internal/record"
	"github.com/seed62b93bad/passwordless/internal/secret"
	"github.com/seed62b93bad/passwordless/store"
)

// KindNetworks is the kind of the records of known networks, under the name of their user.
const KindNetworks store.Kind = "networks"

const (
	maxNetworks     = 8                   // that a user has at most; the one that was not used for longest goes first
	networkSettles  = 24 * time.Hour      // after which a network is known
	networkLasts    = 90 * 24 * time.Hour // since the last sign-in from it
	networkRecorded = networkLasts / 10   // how old the last recorded sign-in may be
	networkCrowded  = 24 * time.Hour      // how old where there are as many as there can be: else one in daily use could go first
)

// Networks are the networks that a user has signed in from. Limits keep a share for them; they prove nothing. The zero value
// is that of a user of whom there is no record.
type Networks struct{ body string }

// A network is one of them, as it is stored.
type network struct {
	name        secret.Digest // of which the first eight bytes are kept
	first, last store.Instant
	epoch       int64 // of the user, when the network was last used
}

// networkName stands for a network in the record of a user: a name that is another in the record of another user.
func networkName(user string, of secret.Name) secret.Digest {
	d := secret.Hash(user, string(of))
	clear(d[8:])
	return d
}

// Know reports whether a network is known: it signed the user in a day ago or earlier, and within 90 days, and the user was not
// signed out everywhere since.
func (n Networks) Know(user string, of secret.Name, epoch int64, now store.Instant) bool {
	if n.body == "" {
		return false
	}
	want := networkName(user, of)
	for _, one := range n.all() {
		if one.name == want {
			return one.epoch == epoch && now >= one.first.Add(networkSettles) && now < one.last.Add(networkLasts)
		}
	}
	return false
}

// Use records a sign-in from a network. It reports false if the record need not change.
func (n Networks) Use(user string, of secret.Name, epoch int64, now store.Instant) (Networks, bool) {
	used, all, old := network{networkName(user, of), now, now, epoch}, n.all(), networkRecorded
	if len(all) == maxNetworks {
		old = networkCrowded
	}
	kept := make([]network, 0, maxNetworks+1)
	for _, one := range all {
		switch {
		case one.name != used.name:
			if now < one.last.Add(networkLasts) {
				kept = append(kept, one)
			}
		case one.epoch != epoch || now >= one.last.Add(networkLasts):
		case now < one.last.Add(old):
			return n, false
		default:
			used.first = one.first
		}
	}
	if len(kept) == maxNetworks {
		oldest := 0
		for i := range kept {
			if kept[i].last < kept[oldest].last {
				oldest = i
			}
		}
		kept = append(kept[:oldest], kept[oldest+1:]...)
	}
	w := record.NewWriter(2 + 32*(len(kept)+1))
	w.Num(int64(len(kept) + 1))
	for _, one := range append(kept, used) {
		w.Byte(one.name[:8]...)
		w.Num(int64(one.first))
		w.Num(int64(one.last))
		w.Num(one.epoch)
	}
	return Networks{string(w.Bytes())}, true
}

// Put is the write of the record. Of two that are written at once one is lost: its network is a stranger's until its next
// sign-in. So it is written whatever others wrote, and never stands in the way of a sign-in.
func (n Networks) Put(at Moment) store.Put {
	return store.Put{Stage: store.StageGrant, Any: true, Record: store.Record{Key: key(KindNetworks, at.Name), Version: at.Fresh,
		Body: []byte(n.body), Expires: at.Now.Add(networkLasts)}}
}

// DecodeNetworks reads a record. One that is not there is the zero Networks.
func DecodeNetworks(rec store.Record) (Networks, error) {
	if !rec.Exists() {
		return Networks{}, nil
	}
	n := Networks{string(rec.Body)}
	if _, err := n.read(); err != nil {
		return Networks{}, err
	}
	return n, nil
}

func (n Networks) all() []network {
	if n.body == "" {
		return nil
	}
	all, _ := n.read() // DecodeNetworks found no mistake
	return all
}

func (n Networks) read() (all []network, err error) {
	r := record.Open([]byte(n.body))
	count := r.Num()
	if count < 1 || count > maxNetworks {
		r.Refuse()
		return nil, r.Err()
	}
	for range count {
		var one network
		r.Fixed(one.name[:8])
		one.first, one.last, one.epoch = store.Instant(r.Num()), store.Instant(r.Num()), r.Num()
		if one.first > one.last || one.epoch < 0 {
			r.Refuse()
		}
		all = append(all, one)
	}
	return all, r.Err()
}
