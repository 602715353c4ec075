package machine_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless/internal/machine"
	"github.com/seed62b93bad/passwordless/internal/secret"
)

// stream gives numbers one after another.
func stream(t *testing.T, numbers ...uint64) func() uint64 {
	return func() uint64 {
		require.NotEmpty(t, numbers, "more numbers are asked for than are needed")
		n := numbers[0]
		numbers = numbers[1:]
		return n
	}
}

func TestCodesAreUniform(t *testing.T) { // CG-2: of the 2^64 numbers, each code has as many
	for _, f := range append(formats[:5:5], machine.Format{Letters: true, Length: 5}) { // fifteen letters are made of ten and five
		space := f.Space()
		over := -space % space // 2^64 mod space: so many are passed over
		require.NotZero(t, over)
		for _, test := range []struct {
			numbers []uint64
			want    uint64
		}{
			{[]uint64{0, over}, over},
			{[]uint64{over - 1, 0, over - 1, over + 7}, over + 7},
			{[]uint64{over}, over},
			{[]uint64{space}, 0},
			{[]uint64{1<<64 - 1}, over - 1},
		} {
			assert.Equal(t, test.want%space, f.Uniform(stream(t, test.numbers...)), "%+v of %d", f, test.numbers)
		}
		assert.Zero(t, (-over)%space, "the numbers that are taken are a whole number of stretches")
	}
}

func TestLeadingZerosAreKept(t *testing.T) { // CG-2
	for _, f := range formats[:5] {
		zero := "0"
		if f.Letters {
			zero = "B"
		}
		assert.Equal(t, strings.Repeat(zero, f.Length), f.Spell(0))
		assert.Len(t, f.Spell(42), f.Length)
		assert.Len(t, f.Spell(f.Space()-1), f.Length)
	}
	assert.Equal(t, "000042", machine.Format{Length: 6}.Spell(42))
	assert.Equal(t, "999999", machine.Format{Length: 6}.Spell(999_999))
	assert.Equal(t, "BBBBBBBBCD", machine.Format{Letters: true, Length: 10}.Spell(22))
}

func TestACodeWithLeadingZerosIsRight(t *testing.T) { // CG-2, CG-11
	c, m := open(t, draft(machine.ByHandle)), at(0)
	for i := 0; !strings.HasPrefix(right(&c, m), "00"); i++ {
		m.Key = keyOf(fmt.Sprint("key ", i))
	}
	code := right(&c, m)
	assert.Equal(t, machine.Done, c.On(machine.Guess{Code: code[:3] + " " + code[3:]}, m).Reason)
	assert.Equal(t, machine.Malformed, c.On(machine.Guess{Code: strings.TrimLeft(code, "0")}, m).Reason)
}

func TestACodeIsMadeOfPartsThatAreUniform(t *testing.T) { // CG-2: fifteen letters are ten and five more
	c, m := open(t, draft(machine.ByHandle)), at(0)
	ten := c
	c.Format, ten.Format = machine.Format{Letters: true, Length: 15}, machine.Format{Letters: true, Length: 10}
	var seen [15][128]int
	const codes = 20_000
	for i := range codes {
		m.Name = secret.Name(fmt.Sprintf("name %011d", i))
		code := right(&c, m)
		require.Len(t, code, 15)
		require.Equal(t, right(&ten, m), code[:10])
		require.NotEqual(t, code[5:10], code[10:], "the parts are drawn apart")
		for place, letter := range code {
			seen[place][letter]++
		}
	}
	for place := range seen {
		chi := 0.0
		for _, letter := range "BCDFGHJKLMNPQRSTVWXZ" {
			d := float64(seen[place][letter]) - codes/20.0
			chi += d * d / (codes / 20.0)
		}
		assert.Less(t, chi, 50.8, "chi-square with nineteen degrees of freedom: 1 in 10,000 at place %d", place)
	}
}

func TestACodeIsReadAsItWasSent(t *testing.T) { // CG-2, CG-11
	for _, f := range formats {
		c, m := open(t, draft(machine.ByHandle)), at(0)
		c.Format = f
		code := right(&c, m)
		for _, typed := range []string{code, strings.ToLower(code), code[:3] + "-" + code[3:], " " + code[:5] + " " + code[5:]} {
			read, ok := f.Read(typed)
			assert.Equal(t, []any{code, true}, []any{read, ok}, "%q", typed)
			assert.Equal(t, machine.Done, c.On(machine.Guess{Code: typed}, m).Reason)
		}
		for _, typed := range []string{"", code[1:], code + code[:1], code[:len(code)-1] + "A", code[:len(code)-1] + "!"} {
			_, ok := f.Read(typed)
			assert.False(t, ok, "%q", typed)
			assert.Equal(t, machine.Malformed, c.On(machine.Guess{Code: typed}, m).Reason)
		}
	}
}

func TestTheFormatsOfCodes(t *testing.T) { // CG-1
	for _, letters := range []bool{false, true} {
		for length := range 20 {
			f := machine.Format{Letters: letters, Length: length}
			assert.Equal(t, slices.Contains(formats, f), f.Sound(), "%+v", f)
		}
	}
	for i, f := range formats[:5] {
		assert.LessOrEqual(t, 1e10/float64(f.Space()), float64(costOf(f)), "a guess costs what it is worth, or more")
		assert.True(t, i == 0 || f.Space() >= 10*formats[i-1].Space())
	}
}

func TestCodesLookDrawn(t *testing.T) { // CG-2, CG-13
	c, m := open(t, draft(machine.ByHandle)), at(0)
	const codes = 20_000
	var seen [6]['9' + 1]int
	for i := range codes {
		m.Name = secret.Name(fmt.Sprintf("name %011d", i))
		for place, digit := range right(&c, m) {
			seen[place][digit]++
		}
	}
	for place := range seen {
		chi := 0.0
		for digit := '0'; digit <= '9'; digit++ {
			d := float64(seen[place][digit]) - codes/10.0
			chi += d * d / (codes / 10.0)
		}
		assert.Less(t, chi, 33.7, "chi-square with nine degrees of freedom: 1 in 10,000 at place %d", place)
	}
}

// fields calls try for each field of a record, with a copy in which that field alone is another.
func fields[Record any](t *testing.T, r Record, try func(name string, other Record)) {
	t.Helper()
	for i := range reflect.TypeFor[Record]().NumField() {
		other := r
		v := reflect.ValueOf(&other).Elem()
		alter(t, v.Field(i))
		try(v.Type().Field(i).Name, other)
	}
}

// alter makes a value another one.
func alter(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Uint8, reflect.Uint32:
		v.SetUint(v.Uint() + 1)
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Array:
		alter(t, v.Index(0))
	case reflect.Slice:
		all := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(all, v)
		alter(t, all.Index(0))
		v.Set(all)
	case reflect.Struct:
		alter(t, v.Field(v.NumField()-1))
	default:
		require.Fail(t, "no other value", v.Kind())
	}
}

// A decision says of a field that it is in a secret, or why it need not be. A new field must be decided on.
type decided map[string]string

const bound = ""

func (d decided) holds(t *testing.T, field string, same bool) {
	t.Helper()
	why, known := d[field]
	require.True(t, known, "%s is new: is the secret bound to it?", field)
	assert.Equal(t, why != bound, same, "%s: %s", field, why)
}

func TestACodeIsBoundToItsChallenge(t *testing.T) { // CG-10, BD-3
	by := decided{
		"Tenant": bound, "Client": bound, "Channel": bound, "Address": bound, "Purpose": bound, "Generation": bound,
		"Format": bound,
		"State":  "changes", "Tries": "changes", "Resends": "changes", "Charged": "changes", "Sent": "changes", "Touched": "changes",
		"Stripe": "changes", "KeyID": "names the key", "Seed": "makes the key",
		"Scope": "says how it is found; the name is bound", "Again": "is of starts", "Suppressed": "sends nothing",
		"Carries": "says what is sent", "Started": "is in the name", "Expires": "follows from Started", "MaxResends": "is a policy's",
		"Person": "follows from Address", "Prefix": "follows from Address", "Network": "is the initiator's",
		"Browser": "is the initiator's", "Locale": "chooses words", "Redirect": "is the start's", "Param": "is the start's",
		"ClientState": "is the start's", "LinkURL": "is compared",
	}
	c, m := open(t, draft(machine.ByHandle)), at(0)
	long := c
	long.Format = machine.Format{Letters: true, Length: 15}
	fields(t, c, func(name string, other machine.Challenge) {
		by.holds(t, name, right(&c, m) == right(&other, m))
		if name != "Format" { // of the code alone
			by.holds(t, name, c.Link(m.Key, m.Name) == other.Link(m.Key, m.Name))
			by.holds(t, name, c.Kill(m.Key, m.Name) == other.Kill(m.Key, m.Name))
			other.Format = long.Format
			by.holds(t, name, right(&long, m)[:10] == right(&other, m)[:10])
			by.holds(t, name, right(&long, m)[10:] == right(&other, m)[10:])
		}
	})
	for _, of := range []func(*secret.Key, secret.Name) string{c.Code, long.Code, c.Link, c.Kill} {
		assert.NotEqual(t, of(m.Key, m.Name), of(keyOf("another key"), m.Name), "the key")
		assert.NotEqual(t, of(m.Key, m.Name), of(m.Key, "another name...."), "the name")
	}
}

func TestAFamilyTokenIsBoundToItsFamily(t *testing.T) { // TK-9, TK-10
	by := decided{
		"Proof": bound, "Rotates": bound, "Counter": bound,
		"State": "changes", "Used": "changes", "Rotated": "changes", "KeyID": "names the key", "Seed": "makes the key",
		"Subject": "is in the record", "Audience": "is in the record", "Scope": "is in the record", "Usage": "is in the record",
		"Expiry": "is in the record", "Idle": "is in the record", "Grace": "is in the record", "End": "is in the record",
	}
	ofProof := decided{"Tenant": bound, "Client": bound, "UserID": bound, "Channel": "is in the record",
		"Address": "is in the record", "Methods": "are in the record", "Epoch": "is compared"}
	f, m := family("one-time", machine.Sliding), at(0)
	token := func(f machine.Family) string { return f.Token(m.Key, m.Name, m.Owner) }
	fields(t, f, func(name string, other machine.Family) {
		if name != "Proof" {
			by.holds(t, name, token(f) == token(other))
		}
	})
	fields(t, f.Proof, func(name string, other machine.Proof) {
		moved := f
		moved.Proof = other
		ofProof.holds(t, name, token(f) == token(moved))
	})
	assert.NotEqual(t, token(f), f.Token(keyOf("another key"), m.Name, m.Owner))
	presented := tokenOf(t, f, m, f.Counter)
	for name, other := range map[string]machine.Moment{
		"another record":      {Name: "another name....", Owner: m.Owner},
		"another user's list": {Name: m.Name, Owner: "another owner..."},
	} {
		other.Now, other.By, other.Key, other.Epoch = m.Now, m.By, m.Key, f.Epoch
		assert.Equal(t, machine.Invalid, f.On(machine.Refresh{Token: presented}, other).Reason, name)
		presented.Name, presented.Owner = other.Name, other.Owner
		assert.Equal(t, machine.Invalid, f.On(machine.Refresh{Token: presented}, other).Reason, "%s, named in the token", name)
		presented = tokenOf(t, f, m, f.Counter)
	}
	presented.Counter++
	assert.Equal(t, machine.Invalid, f.On(machine.Refresh{Token: presented}, familyAt(0)).Reason, "another number")
}

func TestAnAuthorizationCodeIsBoundToAllOfIt(t *testing.T) { // TK-12
	by := decided{
		"Proof": bound, "RedirectURI": bound, "Challenge": bound, "Scope": bound, "Audience": bound, "Nonce": bound, "Granted": bound,
		"Expires": bound, "State": "changes", "Family": "changes", "KeyID": "names the key", "Seed": "makes the key",
	}
	c, m := code(), at(0)
	token := func(c machine.AuthorizationCode) string { return c.Token(m.Key, m.Name) }
	fields(t, c, func(name string, other machine.AuthorizationCode) { by.holds(t, name, token(c) == token(other)) })
	fields(t, c.Proof, func(name string, other machine.Proof) {
		moved := c
		moved.Proof = other
		assert.NotEqual(t, token(c), token(moved), name)
	})
	assert.NotEqual(t, token(c), c.Token(keyOf("another key"), m.Name))
	assert.NotEqual(t, token(c)[:20], c.Token(m.Key, "another name....")[:20])
	_, a, _ := machine.OpenCode(token(c))
	_, b, _ := machine.OpenCode(c.Token(m.Key, "another name...."))
	assert.NotEqual(t, a, b, "the secret is bound to the name")
}

func TestSecretsOfDifferentKindsAreNeverEqual(t *testing.T) { // CG-9, TK-4: of one key and one name
	c, f, a, m := open(t, draft(machine.ByHandle)), family("session", machine.Sliding), code(), at(0)
	rotating := f
	rotating.Rotates = true
	part := func(token string, n int) string {
		raw, ok := secret.Decode(token, n)
		require.True(t, ok)
		return raw[n-32:]
	}
	const ofFamily, ofCode = 2*secret.NameSize + 4 + 32, secret.NameSize + 32
	seen := map[string]string{}
	for name, v := range map[string]string{
		"link": c.Link(m.Key, m.Name), "kill": c.Kill(m.Key, m.Name), "handle": string(secret.NewHandle(m.Key, 7))[4:],
		"session":            part(f.Token(m.Key, m.Name, m.Owner), ofFamily),
		"refresh token":      part(rotating.Token(m.Key, m.Name, m.Owner), ofFamily),
		"authorization code": part(a.Token(m.Key, m.Name), ofCode),
	} {
		assert.Len(t, v, 32, "CG-4: 256 bits")
		assert.Empty(t, seen[v], name)
		seen[v] = name
	}
	_, ok := machine.OpenFamilyToken(a.Token(m.Key, m.Name))
	assert.False(t, ok)
	_, _, ok = machine.OpenCode(f.Token(m.Key, m.Name, m.Owner))
	assert.False(t, ok)
}

func TestATokenIsTakenApartAsItWasMade(t *testing.T) { // TK-9
	f, m := family("one-time", machine.Sliding), at(0)
	f.Counter = 1 << 31
	token, ok := machine.OpenFamilyToken(f.Token(m.Key, m.Name, m.Owner))
	require.True(t, ok)
	assert.Equal(t, []any{m.Name, m.Owner, f.Counter}, []any{token.Name, token.Owner, token.Counter})
	c := code()
	n, presented, ok := machine.OpenCode(c.Token(m.Key, m.Name))
	require.True(t, ok)
	assert.Equal(t, m.Name, n)
	assert.Len(t, presented, 32)
	for _, text := range []string{"", "x", strings.Repeat("A", 90), strings.Repeat("=", 64)} {
		_, ok = machine.OpenFamilyToken(text)
		_, _, too := machine.OpenCode(text)
		assert.False(t, ok || too, "%q", text)
	}
}

func TestNothingIsRightWithoutAKey(t *testing.T) { // SK-3: a key that left the ring
	c, f, m := open(t, draft(machine.ByHandle)), family("one-time", machine.Sliding), familyAt(0)
	code, link, kill, token := right(&c, m), c.Link(m.Key, m.Name), c.Kill(m.Key, m.Name), tokenOf(t, f, m, 2)
	m.Key = nil
	assert.Equal(t, machine.WrongSecret, c.On(machine.Guess{Code: code}, m).Reason)
	assert.Equal(t, machine.WrongSecret, c.On(machine.Redeem{Secret: link}, m).Reason)
	assert.Equal(t, machine.WrongSecret, c.On(machine.Cancel{Secret: kill}, m).Reason)
	assert.Equal(t, machine.Invalid, f.On(machine.Refresh{Token: token}, m).Reason)
	assert.Equal(t, machine.Invalid, f.On(machine.RevokeFamily{Token: token}, m).Reason)
	assert.Equal(t, machine.Done, f.On(machine.RevokeFamily{UserID: "u1"}, m).Reason, "a user is signed out without it")
}
