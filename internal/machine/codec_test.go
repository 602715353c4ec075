package machine_test

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless/internal/limit"
	"github.com/seed62b93bad/passwordless/internal/machine"
	"github.com/seed62b93bad/passwordless/internal/record"
	"github.com/seed62b93bad/passwordless/store"
)

// fill gives each field of a record another value, none of them zero. What is bounded is left for the caller to set.
func fill(v reflect.Value, n *int64) {
	*n++
	switch v.Kind() {
	case reflect.String:
		v.SetString("text " + string(rune('a'+*n)))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8, reflect.Uint32:
		v.SetUint(uint64(*n))
	case reflect.Int, reflect.Int64:
		v.SetInt(*n << 40)
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), machine.MaxMethods, machine.MaxMethods))
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	default:
		panic(v.Kind())
	}
}

func full[Record any]() (r Record) {
	var n int64
	fill(reflect.ValueOf(&r).Elem(), &n)
	return r
}

func fullChallenge() machine.Challenge {
	c := full[machine.Challenge]()
	c.State, c.Scope, c.Again, c.Carries = machine.StateExpired, machine.ByRequest, machine.Repeat, machine.CarriesBoth
	c.Format = machine.Format{Letters: true, Length: 10}
	c.Tries = [2]machine.Tally{{Used: 1, Most: 2}, {Used: 3, Most: 4}}
	return c
}

func fullFamily() machine.Family {
	f := full[machine.Family]()
	f.State, f.Usage, f.Expiry = machine.FamilyOver, machine.Reusable, machine.Sliding
	return f
}

func fullCode() machine.AuthorizationCode {
	c := full[machine.AuthorizationCode]()
	c.State = machine.CodeUsed
	return c
}

// A codec is how a record is written and read.
type codec struct {
	body []byte // of a record with all fields
	want any
	read func([]byte) (any, error)
	// write writes what was read.
	write func(any) []byte
}

func reader[Record any](decode func([]byte) (Record, error)) func([]byte) (any, error) {
	return func(b []byte) (any, error) { return decode(b) }
}

func decodeEpoch(b []byte) (machine.Epoch, error) {
	return machine.DecodeEpoch(store.Record{Version: store.Version{1}, Body: b})
}

func decodeNetworks(b []byte) (machine.Networks, error) {
	return machine.DecodeNetworks(store.Record{Version: store.Version{1}, Body: b})
}

func codecs() map[string]codec {
	challenge := func(v any) []byte { c := v.(machine.Challenge); return c.Encode() }
	family := func(v any) []byte { f := v.(machine.Family); return f.Encode() }
	code := func(v any) []byte { c := v.(machine.AuthorizationCode); return c.Encode() }
	cooldown := func(v any) []byte { return v.(machine.Cooldown).Put(at(0), time.Minute).Record.Body }
	epoch := func(v any) []byte { return v.(machine.Epoch).Put(at(0)).Record.Body }
	networks := func(v any) []byte { return v.(machine.Networks).Put(at(0)).Record.Body }
	all := map[string]codec{
		"challenge": {want: fullChallenge(), write: challenge, read: reader(func(b []byte) (machine.Challenge, error) {
			return machine.DecodeChallenge(b, "email", "sign-in")
		})},
		"family":             {want: fullFamily(), write: family, read: reader(machine.DecodeFamily)},
		"authorization code": {want: fullCode(), write: code, read: reader(machine.DecodeAuthorizationCode)},
		"cooldown":           {want: full[machine.Cooldown](), write: cooldown, read: reader(machine.DecodeCooldown)},
		"epoch":              {want: full[machine.Epoch](), write: epoch, read: reader(decodeEpoch)},
		"networks":           {want: known(machine.MaxNetworks), write: networks, read: reader(decodeNetworks)},
	}
	for name, c := range all {
		c.body = c.write(c.want)
		all[name] = c
	}
	return all
}

func TestEveryFieldOfARecordIsWrittenAndRead(t *testing.T) { // VF-12
	for name, c := range codecs() {
		got, err := c.read(c.body)
		require.NoError(t, err, name)
		assert.Equal(t, c.want, got, name)
		v := reflect.ValueOf(got)
		for i := range v.NumField() {
			assert.False(t, v.Field(i).IsZero(), "%s: %s is not tried", name, v.Type().Field(i).Name)
		}
	}
}

func TestEveryCutBodyIsAnError(t *testing.T) { // VF-12
	for name, c := range codecs() {
		for n := range c.body {
			got, err := c.read(c.body[:n])
			require.Error(t, err, "%s of %d bytes", name, n)
			require.Zero(t, got, "%s: nothing of it is shown", name)
		}
		_, err := c.read(append(c.body, "a field of a later release"...))
		require.NoError(t, err, name)
		_, err = c.read(append([]byte{record.Format + 1}, c.body[1:]...))
		require.ErrorIs(t, err, record.ErrFormat, name)
	}
}

func TestWhatWasNeverWrittenIsAnError(t *testing.T) { // VF-12
	for name, change := range map[string]func(*machine.Challenge){
		"no state":                     func(c *machine.Challenge) { c.State = machine.NoChallenge },
		"an unknown state":             func(c *machine.Challenge) { c.State = machine.StateExpired + 1 },
		"an unknown scope":             func(c *machine.Challenge) { c.Scope = machine.ByRequest + 1 },
		"an unknown second start":      func(c *machine.Challenge) { c.Again = machine.Repeat + 1 },
		"unknown contents":             func(c *machine.Challenge) { c.Carries = machine.CarriesBoth + 1 },
		"a code that is too short":     func(c *machine.Challenge) { c.Format = machine.Format{Length: limit.MinDigits - 1} },
		"a code that is too long":      func(c *machine.Challenge) { c.Format = machine.Format{Length: limit.MaxDigits + 1} },
		"letters between two rungs":    func(c *machine.Challenge) { c.Format = machine.Format{Letters: true, Length: 14} },
		"a short code of letters":      func(c *machine.Challenge) { c.Format = machine.Format{Letters: true, Length: 6} },
		"more attempts than there are": func(c *machine.Challenge) { c.Tries[1] = machine.Tally{Used: 3, Most: 2} },
		"too many attempts":            func(c *machine.Challenge) { c.Tries[0] = machine.Tally{Most: 11} },
		"no address":                   func(c *machine.Challenge) { c.Address = "" },
		"no channel":                   func(c *machine.Challenge) { c.Channel = "" },
		"no purpose":                   func(c *machine.Challenge) { c.Purpose = "" },
	} {
		c := fullChallenge()
		change(&c)
		got, err := machine.DecodeChallenge(c.Encode())
		require.ErrorIs(t, err, record.ErrValue, name)
		assert.Zero(t, got, "nothing of it is shown")
	}
	for name, change := range map[string]func(*machine.Family){
		"no state":          func(f *machine.Family) { f.State = 0 },
		"an unknown state":  func(f *machine.Family) { f.State = machine.FamilyOver + 1 },
		"an unknown usage":  func(f *machine.Family) { f.Usage = machine.Reusable + 1 },
		"an unknown expiry": func(f *machine.Family) { f.Expiry = machine.Sliding + 1 },
		"no method":         func(f *machine.Family) { f.Methods = nil },
		"too many methods":  func(f *machine.Family) { f.Methods = make([]machine.Method, machine.MaxMethods+1) },
	} {
		f := fullFamily()
		change(&f)
		got, err := machine.DecodeFamily(f.Encode())
		require.ErrorIs(t, err, record.ErrValue, name)
		assert.Zero(t, got)
	}
	for _, s := range []machine.CodeState{0, machine.CodeOver} {
		c := fullCode()
		c.State = s
		got, err := machine.DecodeAuthorizationCode(c.Encode())
		require.ErrorIs(t, err, record.ErrValue)
		assert.Zero(t, got)
	}
	got, err := decodeEpoch(machine.Epoch{Number: -1, At: 7}.Put(at(0)).Record.Body)
	require.ErrorIs(t, err, record.ErrValue)
	assert.Zero(t, got)
}

// flagged are the bodies of a record with a flag set and not set, and the place where they differ.
func flagged(t *testing.T, set, unset []byte) int {
	t.Helper()
	require.Len(t, unset, len(set))
	place := -1
	for i := range set {
		if set[i] != unset[i] {
			require.Negative(t, place, "they differ twice")
			place = i
		}
	}
	require.Equal(t, []byte{1, 0}, []byte{set[place], unset[place]})
	return place
}

func TestAFlagIsOneOrZero(t *testing.T) { // VF-12
	c, f := fullChallenge(), fullFamily()
	sent, session := c, f
	sent.Suppressed, session.Rotates = false, false
	unpaid := fullChallenge()
	unpaid.Charged.Start = false
	digits := c
	c.Format = machine.Format{Letters: true, Length: limit.MaxDigits}
	digits.Format = machine.Format{Length: limit.MaxDigits}
	readChallenge := reader(func(b []byte) (machine.Challenge, error) { return machine.DecodeChallenge(b) })
	whole := fullChallenge()
	for name, test := range map[string]struct {
		set, unset []byte
		read       func([]byte) (any, error)
	}{
		"suppressed": {whole.Encode(), sent.Encode(), readChallenge},
		"start":      {whole.Encode(), unpaid.Encode(), readChallenge},
		"letters":    {c.Encode(), digits.Encode(), readChallenge},
		"rotates":    {f.Encode(), session.Encode(), reader(machine.DecodeFamily)},
	} {
		place := flagged(t, test.set, test.unset)
		_, err := test.read(test.unset)
		require.NoError(t, err, name)
		for _, v := range []byte{2, 0x80, 0xff} {
			test.unset[place] = v
			got, err := test.read(test.unset)
			require.ErrorIs(t, err, record.ErrValue, "%s is %d", name, v)
			assert.Zero(t, got)
		}
	}
}

func TestACounterHasThirtyTwoBits(t *testing.T) { // VF-12, TK-9
	f := fullFamily()
	f.Counter = 1<<32 - 1
	body := f.Encode()
	most := binary.AppendVarint(nil, 1<<32-1)
	require.Equal(t, 1, bytes.Count(body, most))
	read, err := machine.DecodeFamily(body)
	require.NoError(t, err)
	assert.Equal(t, f, read)
	for _, n := range []int64{1 << 32, 1<<34 - 1, -1 << 32} {
		got, err := machine.DecodeFamily(bytes.Replace(body, most, binary.AppendVarint(nil, n), 1))
		require.ErrorIs(t, err, record.ErrValue, n)
		assert.Zero(t, got)
	}
}

func TestWhatAChallengeWasChargedHasThirtyTwoBits(t *testing.T) { // VF-12, RL-4
	c := fullChallenge()
	c.Charged = limit.Receipt{Drawn: [2]uint32{1<<32 - 1, 1<<32 - 2}, Here: 1<<32 - 3, Start: true}
	body := c.Encode()
	read, err := machine.DecodeChallenge(body)
	require.NoError(t, err)
	assert.Equal(t, c, read)
	for i := range int64(3) {
		most := binary.AppendVarint(nil, 1<<32-1-i)
		require.Equal(t, 1, bytes.Count(body, most))
		for _, n := range []int64{1 << 32, 1<<34 - 1, -1, -1 << 32, -1 << 63} {
			got, err := machine.DecodeChallenge(bytes.Replace(body, most, binary.AppendVarint(nil, n), 1))
			require.ErrorIs(t, err, record.ErrValue, n)
			assert.Zero(t, got)
		}
	}
}

func TestAnEpochThatIsNotThereIsTheFirst(t *testing.T) { // SS-6
	e, err := machine.DecodeEpoch(store.Record{Body: []byte("not looked at")})
	require.NoError(t, err)
	assert.Zero(t, e)
}

func TestBodiesHoldNoSecret(t *testing.T) { // SK-1, SK-2
	c, f, a, m := open(t, draft(machine.ByHandle)), family("one-time", machine.Sliding), code(), at(0)
	for name, in := range map[string][2]string{
		"code": {string(c.Encode()), right(&c, m)}, "link": {string(c.Encode()), c.Link(m.Key, m.Name)},
		"kill": {string(c.Encode()), c.Kill(m.Key, m.Name)}, "token": {string(f.Encode()), f.Token(m.Key, m.Name, m.Owner)[50:]},
		"authorization code": {string(a.Encode()), a.Token(m.Key, m.Name)[22:]},
	} {
		assert.NotContains(t, in[0], in[1], name)
	}
}

// fuzz holds a decoder to reading what it wrote as what it read, and nothing else.
func fuzz(f *testing.F, name string) {
	f.Helper()
	c := codecs()[name]
	f.Add(c.body)
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := c.read(body)
		if err != nil {
			return
		}
		again, err := c.read(c.write(v))
		if err != nil || !reflect.DeepEqual(v, again) {
			t.Fatalf("%+v is read as %+v, %v", v, again, err)
		}
		if !bytes.Equal(c.write(v), c.write(again)) {
			t.Fatal("written otherwise")
		}
	})
}

func FuzzDecodeChallenge(f *testing.F)         { fuzz(f, "challenge") }
func FuzzDecodeFamily(f *testing.F)            { fuzz(f, "family") }
func FuzzDecodeAuthorizationCode(f *testing.F) { fuzz(f, "authorization code") }
func FuzzDecodeCooldown(f *testing.F)          { fuzz(f, "cooldown") }
func FuzzDecodeEpoch(f *testing.F)             { fuzz(f, "epoch") }
func FuzzDecodeNetworks(f *testing.F)          { fuzz(f, "networks") }

func FuzzOpenTokens(f *testing.F) {
	m, live, granted := at(0), family("one-time", machine.Sliding), code()
	f.Add(live.Token(m.Key, m.Name, m.Owner))
	f.Add(granted.Token(m.Key, m.Name))
	f.Fuzz(func(t *testing.T, text string) {
		token, ok := machine.OpenFamilyToken(text)
		if ok && (len(token.Name) != 16 || len(token.Owner) != 16) {
			t.Fatal("names of another size")
		}
		n, presented, too := machine.OpenCode(text)
		if too && (len(n) != 16 || len(presented) != 32) || ok && too {
			t.Fatal("parts of another size, or both kinds at once")
		}
	})
}
