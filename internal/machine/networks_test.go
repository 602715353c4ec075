package machine_test

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless/internal/machine"
	"github.com/seed62b93bad/passwordless/internal/record"
	"github.com/seed62b93bad/passwordless/internal/secret"
	"github.com/seed62b93bad/passwordless/store"
)

// net is the name of a network.
func net(i int) secret.Name { return secret.Name(fmt.Sprintf("network %08d", i)) }

// known are so many networks of a user, each used a minute after the one before.
func known(n int) (all machine.Networks) {
	for i := range n {
		all, _ = all.Use("u1", net(i), 3, began.Add(time.Duration(i)*time.Minute))
	}
	return all
}

func TestANetworkIsKnownFromADayAfterItsFirstSignIn(t *testing.T) { // RL-5
	n := known(1)
	for _, test := range []struct {
		user  string
		of    secret.Name
		epoch int64
		after time.Duration
		want  bool
	}{
		{"u1", net(0), 3, 0, false}, {"u1", net(0), 3, -day, false}, {"u1", net(0), 3, day - 1, false}, {"u1", net(0), 3, day, true},
		{"u1", net(0), 3, 90*day - 1, true}, {"u1", net(0), 3, 90 * day, false}, {"u1", net(0), 3, 900 * day, false},
		{"u1", net(1), 3, day, false}, {"u2", net(0), 3, day, false}, {"u1", "", 3, day, false},
		{"u1", net(0), 4, day, false}, {"u1", net(0), 2, day, false}, // the user was signed out everywhere since
	} {
		assert.Equal(t, test.want, n.Know(test.user, test.of, test.epoch, began.Add(test.after)), "%+v", test)
	}
	assert.False(t, machine.Networks{}.Know("u1", net(0), 0, began.Add(day)), "of nobody nothing is known")
}

func TestASignInIsRecordedOnlyWhenItIsNews(t *testing.T) { // RL-5
	n := known(1)
	for _, test := range []struct {
		after   time.Duration
		epoch   int64
		news    bool
		settled bool // it is known at once
	}{
		{0, 3, false, false}, {-day, 3, false, false}, {9*day - 1, 3, false, true}, {9 * day, 3, true, true},
		{90*day - 1, 3, true, true}, {90 * day, 3, true, false}, // it begins afresh
		{time.Hour, 4, true, false}, {9 * day, 4, true, false}, {0, 2, true, false},
	} {
		now := began.Add(test.after)
		used, news := n.Use("u1", net(0), test.epoch, now)
		assert.Equal(t, test.news, news, "%+v", test)
		assert.Equal(t, test.news, used != n, "%+v: what is no news changes nothing", test)
		assert.Equal(t, test.settled, used.Know("u1", net(0), test.epoch, now), "%+v", test)
		if news {
			assert.True(t, used.Know("u1", net(0), test.epoch, now.Add(day)), "%+v", test)
			assert.True(t, used.Know("u1", net(0), test.epoch, now.Add(90*day-1)), "%+v: for 90 days from now", test)
		}
	}
}

// has are the networks, of twenty, that are known.
func has(n machine.Networks, now store.Instant) (all []int) {
	for i := range 20 {
		if n.Know("u1", net(i), 3, now) {
			all = append(all, i)
		}
	}
	return all
}

func TestAUserHasEightNetworksAtMost(t *testing.T) { // RL-5
	later := began.Add(2 * day)
	assert.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7}, has(known(8), later))
	assert.Equal(t, []int{1, 2, 3, 4, 5, 6, 7, 8}, has(known(9), later), "the one that was not used for longest goes")
	assert.Equal(t, []int{4, 5, 6, 7, 8, 9, 10, 11}, has(known(12), later))
	n, news := known(8).Use("u1", net(0), 3, began.Add(10*day)) // the first is used again, so the second goes
	require.True(t, news)
	n, news = n.Use("u1", net(8), 3, began.Add(10*day+1))
	require.True(t, news)
	assert.Equal(t, []int{0, 2, 3, 4, 5, 6, 7, 8}, has(n, began.Add(12*day)))
	n, news = n.Use("u1", net(9), 3, began.Add(95*day)) // those that are not known any more make room
	require.True(t, news)
	assert.Equal(t, []int{0, 8, 9}, has(n, began.Add(96*day)))
	assert.Less(t, len(n.Put(at(0)).Record.Body), len(known(8).Put(at(0)).Record.Body))
}

func TestTheNetworksOfAUserAreWrittenBesideASignIn(t *testing.T) { // SK-4
	m := at(time.Hour)
	n := known(2)
	put := n.Put(m)
	want := store.Key{Kind: machine.KindNetworks, Name: string(m.Name)}
	assert.Equal(t, []any{want, m.Fresh, m.Now.Add(90 * day)}, []any{put.Record.Key, put.Record.Version, put.Record.Expires})
	assert.Equal(t, []any{store.StageGrant, true}, []any{put.Stage, put.Any}, "it never stands in the way")
	require.NoError(t, store.Batch{Puts: []store.Put{put}}.Validate())
	read, err := machine.DecodeNetworks(put.Record)
	require.NoError(t, err)
	assert.Equal(t, n, read)
	assert.NotContains(t, string(put.Record.Body), string(net(1)[:8]), "names are those of this user alone")
	none, err := machine.DecodeNetworks(store.Record{Body: []byte("not looked at")})
	require.NoError(t, err)
	assert.Zero(t, none)
}

func TestNetworksThatWereNeverWrittenAreAnError(t *testing.T) { // VF-12
	body := func(count int64, nets ...[3]int64) []byte {
		w := record.NewWriter(64)
		w.Num(count)
		for _, n := range nets {
			w.Byte(1, 2, 3, 4, 5, 6, 7, 8)
			w.Num(n[0])
			w.Num(n[1])
			w.Num(n[2])
		}
		return w.Bytes()
	}
	fine := [3]int64{5, 6, 7}
	for name, b := range map[string][]byte{
		"none":                        body(0),
		"fewer than none":             body(-1),
		"more than eight":             body(9, fine, fine, fine, fine, fine, fine, fine, fine, fine),
		"very many":                   body(1<<62, fine),
		"an end before the beginning": body(1, [3]int64{6, 5, 7}),
		"a negative epoch":            body(1, [3]int64{5, 6, -1}),
	} {
		got, err := decodeNetworks(b)
		require.ErrorIs(t, err, record.ErrValue, name)
		assert.Zero(t, got)
	}
	_, err := decodeNetworks(body(1, fine))
	require.NoError(t, err)
	_, err = decodeNetworks(append(body(1, fine), binary.AppendVarint(nil, 9)...))
	require.NoError(t, err, "fields of a later release")
	_, err = decodeNetworks(nil)
	require.ErrorIs(t, err, record.ErrFormat)
}

func TestANetworkInDailyUseStays(t *testing.T) { // RL-5: beside another one each day
	var n machine.Networks
	now := at(0).Now
	for i := range 100 {
		now = now.Add(24 * time.Hour)
		for _, network := range []secret.Name{"home", secret.Name(fmt.Sprint("away ", i))} {
			if next, news := n.Use("u", network, 1, now); news {
				n = next
			}
		}
		if i > 0 {
			require.True(t, n.Know("u", "home", 1, now.Add(time.Hour)), "day %d", i)
		}
	}
}
