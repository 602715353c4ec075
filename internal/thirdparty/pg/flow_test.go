package pg_test

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"time"

	"github.com/seed62b93bad/passwordless/store"
)

// bodySize is that of every record in a flow.
const bodySize = 100

// flow is a sign-in of a user whom nobody else is: a start (two buckets of three windows
// charged, two records put) and a verify (both loaded, the buckets charged, two records put,
// one of them over the other's version).
func flow(ctx context.Context, testStore store.Store) error {
	now := store.InstantOf(time.Now())
	person := string(random(16))
	challenge, slot := newRecord("challenge", timeOrdered(), now), newRecord("slot", person, now)
	charges := []store.Charge{newCharge("network", string(random(2))), newCharge("person", person)}
	start := store.Batch{Charges: charges, Puts: []store.Put{{Record: challenge}, {Record: slot, Any: true}}}
	if _, err := testStore.Commit(ctx, now, start); err != nil {
		return err
	}
	loaded, err := testStore.Load(ctx, now, challenge.Key, slot.Key)
	if err != nil {
		return err
	}
	if loaded[0].Version != challenge.Version || loaded[1].Version != slot.Version {
		return errors.New("loaded something else than was put")
	}
	used, session := newRecord("challenge", challenge.Key.Name, now), newRecord("session", timeOrdered(), now)
	session.Owner = person
	verify := store.Batch{Charges: charges, Puts: []store.Put{{Record: used, Was: challenge.Version}, {Record: session}}}
	_, err = testStore.Commit(ctx, now, verify)
	return err
}

func newRecord(kind store.Kind, name string, now store.Instant) store.Record {
	return store.Record{
		Key:     store.Key{Kind: kind, Name: name},
		Version: store.Version(random(16)),
		Expires: now.Add(5 * time.Minute),
		Body:    random(bodySize),
	}
}

func newCharge(kind store.Kind, name string) store.Charge {
	return store.Charge{
		Bucket: store.Key{Kind: kind, Name: name},
		Windows: []store.Window{
			{Burst: 1000, Every: time.Second, Cost: 1},
			{Burst: 5000, Every: time.Minute, Cost: 1},
			{Burst: 20000, Every: time.Hour, Cost: 1},
		},
	}
}

// timeOrdered returns a name as the service makes them: the time, then random bytes.
func timeOrdered() string {
	return string(binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixNano()))) + string(random(16))
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}
