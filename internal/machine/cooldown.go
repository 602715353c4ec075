package machine

import (
	"time"

	"github.com/seed62b93bad/passwordless/internal/record"
	"github.com/seed62b93bad/passwordless/internal/secret"
	"github.com/seed62b93bad/passwordless/store"
)

// KindCooldown is the kind of the records of starts that a repeated one is answered with.
const KindCooldown store.Kind = "cooldown"

// A Cooldown remembers which challenge a start made, under a name of all that the start asked for. While it is there,
// an equal start is answered like that one.
type Cooldown struct {
	KeyID            string
	Seed             secret.Seed
	Started, Expires store.Instant // of the challenge
}

// CooldownOf is the cooldown of a challenge.
func CooldownOf(c *Challenge) Cooldown { return Cooldown{c.KeyID, c.Seed, c.Started, c.Expires} }

// Put is the write of the cooldown. It lives for so long from at.Now.
func (c Cooldown) Put(at Moment, life time.Duration) store.Put {
	w := record.NewWriter(96)
	w.Text(c.KeyID)
	w.Byte(c.Seed[:]...)
	w.Num(int64(c.Started))
	w.Num(int64(c.Expires))
	return store.Put{Stage: store.StageGrant, Was: at.Was,
		Record: store.Record{Key: key(KindCooldown, at.Name), Version: at.Fresh, Expires: at.Now.Add(life), Body: w.Bytes()}}
}

// DecodeCooldown reads a body. Its errors are those of package record.
func DecodeCooldown(body []byte) (c Cooldown, err error) {
	r := record.Open(body)
	c.KeyID = r.Text()
	r.Fixed(c.Seed[:])
	c.Started, c.Expires = store.Instant(r.Num()), store.Instant(r.Num())
	if err := r.Err(); err != nil {
		return Cooldown{}, err
	}
	return c, nil
}
