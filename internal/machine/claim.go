package machine

import (
	"github.com/seed62b93bad/passwordless/internal/record"
	"github.com/seed62b93bad/passwordless/store"
)

// A Claim is something that may happen once: an empty record under its name. It is absent, or claimed.
type Claim struct{ Claimed bool }

// A ClaimEvent is what can happen to a claim: [Take] or [Release].
type ClaimEvent interface {
	on(c *Claim, at *Moment) (store.Put, Reason)
}

// On decides an event. Whoever takes a claim that is taken already finds out by a conflict of the commit, and asks again with
// what is there.
func (c Claim) On(e ClaimEvent, at Moment) Decision[Claim] {
	put, reason := e.on(&c, &at)
	d := Decision[Claim]{Next: c, Reason: reason}
	if reason == Done {
		d.Batch.Puts = []store.Put{put}
	}
	return d
}

// A Take takes a claim. It is over at an instant by itself, since what it stands for cannot happen after that.
type Take struct {
	Kind    store.Kind
	Expires store.Instant
}

func (t Take) on(c *Claim, at *Moment) (store.Put, Reason) {
	if c.Claimed {
		return store.Put{}, Replayed
	}
	c.Claimed = true
	w := record.NewWriter(1)
	return store.Put{Stage: store.StageClaim, Record: store.Record{Key: key(t.Kind, at.Name), Version: at.Fresh, Expires: t.Expires,
		Body: w.Bytes()}}, Done
}

// A Release gives a claim up: that of at.Was and none that was taken later. What it leaves is over at once.
type Release struct{ Kind store.Kind }

func (r Release) on(c *Claim, at *Moment) (store.Put, Reason) {
	c.Claimed = false
	w := record.NewWriter(1)
	return store.Put{Stage: store.StageClaim, Was: at.Was, Record: store.Record{Key: key(r.Kind, at.Name), Version: at.Fresh,
		Body: w.Bytes()}}, Done
}
