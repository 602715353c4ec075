package passwordless_test

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/store/storetest"
)

// leavesOf are the settings of a struct by their path, those of groups included.
func leavesOf(v reflect.Value, prefix string) map[string]reflect.Value {
	all := map[string]reflect.Value{}
	for i := range v.NumField() {
		name, f := prefix+v.Type().Field(i).Name, v.Field(i)
		if f.Kind() != reflect.Struct || f.Type() == reflect.TypeFor[passwordless.Limit]() {
			all[name] = f
			continue
		}
		maps.Copy(all, leavesOf(f, name+"."))
	}
	return all
}

func settings(p *passwordless.Policy) map[string]reflect.Value {
	return leavesOf(reflect.ValueOf(p).Elem(), "")
}

// overridable are the settings of the groups that a client has too.
func overridable(c *passwordless.Client) map[string]reflect.Value {
	all := map[string]reflect.Value{}
	for path, f := range leavesOf(reflect.ValueOf(c).Elem(), "") {
		if group, _, _ := strings.Cut(path, "."); group == "Codes" || group == "Sessions" || group == "Tokens" {
			all[path] = f
		}
	}
	return all
}

type (
	values    = []any
	oneLimit  = passwordless.Limit
	limitList = []passwordless.Limit
)

// A turn is what a setting may be set to: weaker than its default, not weaker, and refused.
type turn struct{ weaker, stronger, refused values }

var turns = map[string]turn{
	"MaxYearlyRisk": {values{1.1e-4, 1e-2}, values{1e-7, 9e-5}, values{1.1e-2, 9e-8, -1e-4, math.NaN(), math.Inf(1)}},
	"ClockSkew": {
		values{-time.Second, time.Nanosecond, 1999 * time.Millisecond}, values{time.Minute}, values{time.Minute + 1}},
	"MaxDailyRisk":       {values{0.011, 10.0}, values{0.009, 1e-4}, values{9e-5, 11.0, -1.0, math.NaN()}},
	"InsecureAnyBrowser": {values{true}, nil, nil},

	"Codes.EmailLife":   {nil, values{time.Minute}, values{time.Minute - 1, 10*time.Minute + 1, -time.Minute}},
	"Codes.SMSLife":     {values{5*time.Minute + 1, 10 * time.Minute}, values{time.Minute}, values{time.Minute - 1, time.Hour}},
	"Codes.MaxAttempts": {values{6, 10}, values{1, 4}, values{11, -1}},
	"Codes.MaxResends":  {values{4, 10}, values{-1, -7, 2}, values{11}},
	"Codes.ResendCooldown": {
		values{10 * time.Second, 29 * time.Second}, values{31 * time.Second, 10 * time.Minute},
		values{9 * time.Second, 11 * time.Minute, -time.Second}},
	"Codes.StartCooldown": {
		values{-time.Second, time.Nanosecond, 29 * time.Second}, values{time.Minute}, values{time.Minute + 1}},
	"Codes.MaxDigits":       {nil, values{6, 8, 9, -1}, values{5, 1, 10}},
	"Codes.ReplaceOnResend": {nil, values{true}, nil},

	"Limits.EmailSends": {
		values{limitList{{3, 10 * time.Minute}, {5, time.Hour}}, limitList{{20, oneDay}},
			limitList{{4, 10 * time.Minute}, {5, time.Hour}, {20, oneDay}}},
		values{limitList{{1, oneDay}}, limitList{{20, oneDay}, {5, time.Hour}, {3, 10 * time.Minute}, {90, 365 * oneDay}}},
		values{limitList{{0, time.Hour}}, limitList{{1, 366 * oneDay}}, make(limitList, 5)}},
	"Limits.SMSSends": {
		values{limitList{{3, 10 * time.Minute}, {5, time.Hour}, {11, oneDay}}},
		values{limitList{{2, 25 * time.Hour}}}, values{limitList{{1, -time.Hour}}}},
	"Limits.Starts": {
		values{limitList{{10, 10 * time.Minute}, {100, oneDay}}},
		values{limitList{{10, oneDay}}}, values{limitList{{-1, time.Hour}}}},
	"Limits.Guesses": {
		values{oneLimit{31, 6 * time.Minute}, oneLimit{30, 299 * time.Second}, oneLimit{1, time.Second}},
		values{oneLimit{3, 30 * time.Second}, oneLimit{1, oneDay}}, values{oneLimit{1, 0}}},
	"Limits.KnownNetworkSends": {
		values{limitList{{5, time.Hour}}}, values{limitList{{5, oneDay}}}, values{limitList{{0, time.Hour}}}},
	"Limits.KnownDeviceSends": {
		values{limitList{{31, oneDay}}}, values{limitList{{10, oneDay}}}, values{limitList{{0, time.Hour}}}},
	"Limits.SiteStarts": {
		values{limitList{{50, 10 * time.Minute}, {500, oneDay}}}, values{limitList{{50, oneDay}}}, values{limitList{{-1, time.Hour}}}},
	"Limits.Unanswered": {
		values{oneLimit{20_001, 2 * oneDay}}, values{oneLimit{20_000, 2 * oneDay}},
		values{oneLimit{Per: oneDay}, oneLimit{1e7, time.Second}}},
	"Limits.RefuseUnanswered": {nil, values{true}, nil},

	"SMS.Countries": {nil, values{[]int{1, 46, 998}}, values{[]int{46, 999}, []int{0}, []int{-46}, []int{460}}},
	"SMS.Prefix":    {values{oneLimit{11, 2 * time.Hour}}, values{oneLimit{9, time.Hour}}, values{oneLimit{Count: 3}}},
	"SMS.Country": {
		values{oneLimit{501, oneDay}, oneLimit{500, 12 * time.Hour}}, values{oneLimit{500, 2 * oneDay}},
		values{oneLimit{2e9, oneDay}}},
	"SMS.Global": {values{oneLimit{5001, oneDay}}, values{oneLimit{100, oneDay}}, values{oneLimit{-1, time.Hour}}},
	"SMS.Tenant": {values{oneLimit{2501, oneDay}}, values{oneLimit{100, oneDay}}, values{oneLimit{-1, time.Hour}}},
	"SMS.Prices": {nil, values{map[int]int{46: 5}}, values{map[int]int{46: -1}, map[int]int{46: 1e6 + 1}}},
	"SMS.Spend":  {values{oneLimit{100_001, oneDay}}, values{oneLimit{1000, oneDay}}, values{oneLimit{-1, time.Hour}}},
	"SMS.Unverified": {
		values{oneLimit{30, time.Hour}}, values{oneLimit{30, 25 * time.Hour}}, values{oneLimit{1, time.Millisecond}}},

	"Sessions.Idle": {
		values{15 * oneDay, 30 * oneDay}, values{time.Minute, 13 * oneDay}, values{time.Second, 31 * oneDay, -oneDay}},
	"Sessions.Absolute": {
		values{31 * oneDay, 365 * oneDay}, values{14 * oneDay}, values{366 * oneDay, 13 * oneDay, time.Second, -oneDay}},
	"Sessions.Grace": {
		values{11 * time.Second, 2 * time.Minute}, values{-time.Second, time.Nanosecond}, values{2*time.Minute + 1}},
	"Sessions.Refresh": {values{passwordless.Reusable}, values{passwordless.OneTime}, values{passwordless.RefreshUsage(3)}},
	"Sessions.Expiry": {
		values{passwordless.FixedExpiry, passwordless.Sliding}, values{passwordless.SlidingToMaximum},
		values{passwordless.ExpiryPolicy(4)}},

	"Tokens.Algorithm": {
		values{passwordless.RS256, passwordless.HS256}, values{passwordless.ES256, passwordless.EdDSA},
		values{passwordless.Algorithm("rs256"), passwordless.Algorithm("none"), passwordless.Algorithm("RS512")}},
	"Tokens.AccessLife": {
		values{11 * time.Minute, oneDay}, values{time.Minute}, values{25 * time.Hour, time.Second, -time.Minute}},
	"Tokens.AuthorizationCodeLife": {
		values{2 * time.Minute, 10 * time.Minute}, values{10 * time.Second},
		values{9 * time.Second, 10*time.Minute + 1, -time.Minute}},
}

const oneDay = 24 * time.Hour

// configured returns what New says of a configuration in which client "web" can have any algorithm.
func configured(t *testing.T, p passwordless.Policy, c passwordless.Client) (passwordless.PolicyReport, error) {
	t.Helper()
	cfg := complete(t)
	cfg.Policy = p
	c.ID, c.Keys = "web", passwordless.ClientKeys{SecretHashes: []passwordless.SecretHash{{1}}}
	if c.Tokens.Algorithm == passwordless.HS256 || c.Tokens.Algorithm == "" && p.Tokens.Algorithm == passwordless.HS256 {
		c.Keys.HS256Key = passwordless.RandomKey()
	}
	cfg.Clients = passwordless.ClientList{c}
	s, err := passwordless.New(cfg)
	if err != nil {
		return passwordless.PolicyReport{}, err
	}
	return s.Policy(), nil
}

func TestNoSettingWeakensInSilence(t *testing.T) { // RL-19, OP-2
	var p passwordless.Policy
	for path := range settings(&p) {
		require.Contains(t, turns, path, "a setting that this test does not know")
	}
	for path, turn := range turns {
		for _, v := range turn.weaker {
			p := passwordless.Policy{}
			settings(&p)[path].Set(reflect.ValueOf(v))
			r, err := configured(t, p, passwordless.Client{})
			require.NoError(t, err, "%s %v", path, v)
			require.Len(t, r.Deviations, 1, "%s %v", path, v)
			assert.True(t, strings.HasPrefix(r.Deviations[0], "Policy."+path+": "), r.Deviations[0])
			assert.Contains(t, r.String(), r.Deviations[0])
		}
		for _, v := range turn.stronger {
			p := passwordless.Policy{}
			settings(&p)[path].Set(reflect.ValueOf(v))
			r, err := configured(t, p, passwordless.Client{})
			require.NoError(t, err, "%s %v", path, v)
			assert.Empty(t, r.Deviations, "%s %v", path, v)
		}
		for _, v := range turn.refused {
			p := passwordless.Policy{}
			settings(&p)[path].Set(reflect.ValueOf(v))
			_, err := configured(t, p, passwordless.Client{})
			require.ErrorContains(t, err, "Policy.", "%s %v", path, v)
			assert.NotContains(t, err.Error(), "Client", "told of the policy, and not of each client again")
		}
	}
}

func TestNoClientWeakensInSilence(t *testing.T) { // RL-19, OP-2, CA-4
	var none passwordless.Client
	for path := range overridable(&none) {
		require.Contains(t, turns, path, "a setting that this test does not know")
		turn := turns[path]
		for _, v := range turn.weaker {
			var c passwordless.Client
			overridable(&c)[path].Set(reflect.ValueOf(v))
			r, err := configured(t, passwordless.Policy{}, c)
			require.NoError(t, err, "%s %v", path, v)
			require.Len(t, r.Deviations, 1, "%s %v", path, v)
			assert.True(t, strings.HasPrefix(r.Deviations[0], `Client "web": `+path+": "), r.Deviations[0])

			p := passwordless.Policy{} // as weak itself, and then the client is not weaker than it
			settings(&p)[path].Set(reflect.ValueOf(v))
			r, err = configured(t, p, c)
			require.NoError(t, err, "%s %v", path, v)
			require.Len(t, r.Deviations, 1, "%s %v", path, v)
			assert.True(t, strings.HasPrefix(r.Deviations[0], "Policy."), r.Deviations[0])
		}
		for _, v := range turn.stronger {
			var c passwordless.Client
			overridable(&c)[path].Set(reflect.ValueOf(v))
			r, err := configured(t, passwordless.Policy{}, c)
			require.NoError(t, err, "%s %v", path, v)
			assert.Empty(t, r.Deviations, "%s %v", path, v)
		}
		for _, v := range turn.refused {
			var c passwordless.Client
			overridable(&c)[path].Set(reflect.ValueOf(v))
			_, err := configured(t, passwordless.Policy{}, c)
			require.ErrorContains(t, err, `Client "web": `+strings.Split(path, ".")[0], "%s %v", path, v)
			assert.Equal(t, 1, strings.Count(err.Error(), "Client"), err)
		}
	}
}

// A client that names the default is weaker than a policy that is stricter than the default.
func TestAClientIsComparedWithThePolicy(t *testing.T) { // OP-2
	strict := passwordless.Policy{Codes: passwordless.CodePolicy{EmailLife: 5 * time.Minute, MaxAttempts: 2, MaxResends: -1},
		Tokens: passwordless.TokenPolicy{AccessLife: 2 * time.Minute}}
	r, err := configured(t, strict, passwordless.Client{
		Codes:  passwordless.CodePolicy{EmailLife: 10 * time.Minute, MaxAttempts: 5, MaxResends: 3},
		Tokens: passwordless.TokenPolicy{AccessLife: 10 * time.Minute}})
	require.NoError(t, err)
	assert.Equal(t, []string{
		`Client "web": Codes.EmailLife: 10m, weaker than 5m`,
		`Client "web": Codes.MaxAttempts: 5, weaker than 2`,
		`Client "web": Codes.MaxResends: 3, weaker than none`,
		`Client "web": Tokens.AccessLife: 10m, weaker than 2m`,
	}, r.Deviations)
}

func TestEveryInsecureChoiceOfAClientIsADeviation(t *testing.T) { // OP-2
	var c passwordless.Client
	harmless := map[string]bool{"Public": true, "FirstParty": true, "ClosedSignUp": true, "Browser.AppSchemes": true,
		"Codes.ReplaceOnResend": true}
	for path, f := range leavesOf(reflect.ValueOf(&c).Elem(), "") {
		if f.Kind() != reflect.Bool || harmless[path] {
			continue
		}
		f.SetBool(true)
		cfg := complete(t)
		c.ID, c.Public = "web", path == "Browser.InsecureWithoutPKCE"
		if c.Keys.SecretHashes = nil; !c.Public {
			c.Keys.SecretHashes = []passwordless.SecretHash{{1}}
		}
		cfg.Clients = passwordless.ClientList{c}
		s, err := passwordless.New(cfg)
		require.NoError(t, err, path)
		assert.Equal(t, []string{`Client "web": ` + path}, s.Policy().Deviations)
		f.SetBool(false)
	}
}

// A careless store was opened with an option that keeps less.
type careless struct{ anyStore }

func (careless) Deviations() []string { return []string{"InsecureVolatile: a restart forgets"} }

func TestEveryInsecureChoiceOfTheStoreIsADeviation(t *testing.T) { // OP-2
	for _, st := range []passwordless.Store{careless{}, storetest.NewFaulty(careless{})} {
		cfg := complete(t)
		cfg.Store = st
		s, err := passwordless.New(cfg)
		require.NoError(t, err)
		assert.Equal(t, []string{"Store: InsecureVolatile: a restart forgets"}, s.Policy().Deviations, "%T", st)
		assert.Contains(t, s.Policy().String(), "Store: InsecureVolatile")
	}
}

func TestPolicyTellsEveryLimit(t *testing.T) { // RL-19, OP-2
	cfg := complete(t)
	cfg.Policy.SMS.Countries = []int{46, 47}
	s, err := passwordless.New(cfg)
	require.NoError(t, err)
	r := s.Policy()
	assert.Empty(t, r.Deviations, "the defaults are the secure ones")
	assert.Equal(t, strings.TrimLeft(`
CodeDigits                   6
SignIns                      200000 a day, or 45455 by address
MaxYearlyRisk                0.0001
MaxDailyRisk                 0.01
ClockSkew                    2s
InsecureAnyBrowser           false
Codes.EmailLife              10m
Codes.SMSLife                5m
Codes.MaxAttempts            5
Codes.MaxResends             3
Codes.ResendCooldown         30s
Codes.StartCooldown          30s
Codes.MaxDigits              none
Codes.ReplaceOnResend        false
Limits.EmailSends[0]         3 per 10m
Limits.EmailSends[1]         5 per 1h
Limits.EmailSends[2]         20 per 24h
Limits.SMSSends[0]           3 per 10m
Limits.SMSSends[1]           5 per 1h
Limits.SMSSends[2]           10 per 24h
Limits.KnownNetworkSends[0]  5 per 1h
Limits.KnownNetworkSends[1]  10 per 24h
Limits.KnownDeviceSends[0]   10 per 1h
Limits.KnownDeviceSends[1]   30 per 24h
Limits.Starts[0]             10 per 10m
Limits.Starts[1]             30 per 1h
Limits.Starts[2]             100 per 24h
Limits.SiteStarts[0]         50 per 10m
Limits.SiteStarts[1]         150 per 1h
Limits.SiteStarts[2]         500 per 24h
Limits.Guesses               30 per 5m
Limits.Unanswered            20000 per 24h
Limits.RefuseUnanswered      false
SMS.Countries                [46 47]
SMS.Prefix                   10 per 1h
SMS.Country                  500 per 24h
SMS.Tenant                   2500 per 24h
SMS.Global                   5000 per 24h
SMS.Unverified               30 per 24h
SMS.Prices                   map[]
SMS.Spend                    100000 per 24h
Sessions.Idle                336h
Sessions.Absolute            720h
Sessions.Grace               10s
Sessions.Refresh             OneTime
Sessions.Expiry              SlidingToMaximum
Tokens.Algorithm             ES256
Tokens.AccessLife            10m
Tokens.AuthorizationCodeLife 1m
front                        none yet; whoever calls the Service says where a request comes from (Caller.IP)
`, "\n"), r.String())
}

// Each setting has one row: it is reported once, and has a default unless it is a list that begins empty.
func TestEverySettingHasOneRow(t *testing.T) { // OP-2
	p := passwordless.WithDefaults(passwordless.Policy{})
	text := "\n" + passwordless.PolicyReport{Policy: p}.String()
	for path, f := range settings(&p) {
		name := "\n" + path + " "
		if f.Type() == reflect.TypeFor[limitList]() {
			name = "\n" + path + "[0] "
		}
		assert.Equal(t, 1, strings.Count(text, name), path)
		if path != "SMS.Countries" && path != "SMS.Prices" && f.Kind() != reflect.Bool {
			assert.False(t, f.IsZero(), path)
		}
	}
	var c passwordless.Client
	for path, f := range overridable(&c) {
		assert.Equal(t, f.Type(), settings(&p)[path].Type(), "a group of a client is one of the policy")
	}
}

func TestAClientTakesThePolicysValuesFieldByField(t *testing.T) { // CA-4
	var p passwordless.Policy
	for path, f := range settings(&p) {
		if all := append(turns[path].weaker, turns[path].stronger...); len(all) > 0 {
			f.Set(reflect.ValueOf(all[0])) // anything but the default
		}
	}
	for path := range overridable(new(passwordless.Client)) {
		for _, v := range append(turns[path].stronger, turns[path].weaker...) {
			var c passwordless.Client
			overridable(&c)[path].Set(reflect.ValueOf(v))
			codes, sessions, tokens := passwordless.Resolve(p, c)
			got := passwordless.Policy{Codes: codes, Sessions: sessions, Tokens: tokens}
			for other := range overridable(&c) {
				want := settings(&p)[other].Interface()
				if other == path {
					want = v
				}
				assert.Equal(t, noneIsZero(want), settings(&got)[other].Interface(), "%s where the client says %s", other, path)
			}
		}
	}
}

// noneIsZero is a value as it is resolved.
func noneIsZero(v any) any {
	switch v := v.(type) {
	case int:
		return max(0, v)
	case time.Duration:
		return max(0, v)
	}
	return v
}

// A client can go back to the strict choice where the policy has a weaker one.
func TestAClientCanBeStricterThanAWeakPolicy(t *testing.T) { // CA-4
	weak := passwordless.Policy{
		Codes:    passwordless.CodePolicy{ReplaceOnResend: true, StartCooldown: -1},
		Sessions: passwordless.SessionPolicy{Refresh: passwordless.Reusable, Expiry: passwordless.Sliding, Grace: -1},
		Tokens:   passwordless.TokenPolicy{Algorithm: passwordless.RS256}}
	c := passwordless.Client{
		Codes: passwordless.CodePolicy{StartCooldown: time.Second},
		Sessions: passwordless.SessionPolicy{Refresh: passwordless.OneTime, Expiry: passwordless.SlidingToMaximum,
			Grace: time.Second},
		Tokens: passwordless.TokenPolicy{Algorithm: passwordless.ES256}}
	codes, sessions, tokens := passwordless.Resolve(weak, c)
	assert.True(t, codes.ReplaceOnResend, "a flag of the policy is the client's too")
	assert.Equal(t, time.Second, codes.StartCooldown)
	assert.Equal(t, passwordless.OneTime, sessions.Refresh)
	assert.Equal(t, passwordless.SlidingToMaximum, sessions.Expiry)
	assert.Equal(t, time.Second, sessions.Grace)
	assert.Equal(t, passwordless.ES256, tokens.Algorithm)

	codes, sessions, tokens = passwordless.Resolve(weak, passwordless.Client{})
	assert.True(t, codes.ReplaceOnResend)
	assert.Zero(t, codes.StartCooldown)
	assert.Equal(t, passwordless.Reusable, sessions.Refresh)
	assert.Zero(t, sessions.Grace)
	assert.Equal(t, passwordless.RS256, tokens.Algorithm)
}

// What holds for a client is checked, not only what it says: its own absolute time with the policy's idle time.
func TestAClientsSettingsAreCheckedAsTheyHold(t *testing.T) { // OP-1
	week := passwordless.Client{Sessions: passwordless.SessionPolicy{Absolute: 7 * oneDay}}
	_, err := configured(t, passwordless.Policy{}, week)
	require.ErrorContains(t, err, `Client "web": Sessions.Idle: 336h is longer than Sessions.Absolute, 168h; set both`)

	for _, expiry := range []passwordless.ExpiryPolicy{passwordless.FixedExpiry, passwordless.Sliding} {
		week.Sessions.Expiry = expiry
		_, err = configured(t, passwordless.Policy{}, week)
		require.NoError(t, err, "one of the two does not count")
	}
	fixed := passwordless.Policy{Sessions: passwordless.SessionPolicy{Absolute: 7 * oneDay, Expiry: passwordless.FixedExpiry}}
	_, err = configured(t, fixed, passwordless.Client{Sessions: passwordless.SessionPolicy{Expiry: passwordless.SlidingToMaximum}})
	require.ErrorContains(t, err, "Sessions.Idle: 336h is longer")
	_, err = configured(t, passwordless.Policy{Sessions: passwordless.SessionPolicy{Idle: 40 * oneDay}}, passwordless.Client{})
	require.ErrorContains(t, err, "Policy.Sessions.Idle: 960h is longer than Sessions.Absolute, 720h")
	assert.NotContains(t, err.Error(), "Client", "what is wrong with the policy is not told of its clients")
}

// The policy that is reported, given to New, is the same one: what means none does not become the default.
func TestAReportedPolicyIsAPolicy(t *testing.T) { // OP-2
	p := passwordless.Policy{ClockSkew: -oneDay, Codes: passwordless.CodePolicy{StartCooldown: -time.Hour, MaxResends: -9},
		Sessions: passwordless.SessionPolicy{Grace: -1}}
	once := passwordless.WithDefaults(p)
	assert.Equal(t, once, passwordless.WithDefaults(once))
	assert.Equal(t, time.Duration(-1), once.ClockSkew, "a margin is never taken away from twice")
	r, err := configured(t, p, passwordless.Client{})
	require.NoError(t, err)
	again, err := configured(t, r.Policy, passwordless.Client{})
	require.NoError(t, err)
	assert.Equal(t, r, again)
	assert.Equal(t, []string{"Policy.ClockSkew: none, weaker than 2s", "Policy.Codes.StartCooldown: none, weaker than 30s"},
		r.Deviations)
}

// Nobody changes a policy in force, or the defaults, through a list that was handed out.
func TestListsOfAPolicyAreCopied(t *testing.T) { // OP-1
	cfg := complete(t)
	cfg.Policy.SMS.Countries = []int{46, 47}
	cfg.Policy.Limits.Starts = limitList{{5, oneDay}}
	s, err := passwordless.New(cfg)
	require.NoError(t, err)
	want := s.Policy().String()
	given, handed := cfg.Policy, s.Policy().Policy
	for _, p := range []*passwordless.Policy{&given, &handed} {
		for _, f := range settings(p) {
			if f.Kind() == reflect.Slice && f.Len() > 0 {
				f.Index(0).SetZero()
			}
		}
	}
	assert.Equal(t, want, s.Policy().String())
	fresh, err := configured(t, passwordless.Policy{}, passwordless.Client{})
	require.NoError(t, err)
	assert.Empty(t, fresh.Deviations)
	assert.Equal(t, oneLimit{3, 10 * time.Minute}, fresh.Policy.Limits.EmailSends[0])
}

func TestTheRiskDecidesTheLengthOfCodes(t *testing.T) { // CG-3
	for risk, want := range map[float64]int{1e-2: 6, 1e-4: 6, 9.5e-5: 6, 9.4e-5: 7, 1e-5: 7, 1e-6: 8, 9.5e-7: 8, 9.4e-7: 9,
		1e-7: 9, 9e-8: 0, math.NaN(): 0} {
		digits, ok := passwordless.Shortest(risk)
		assert.Equal(t, want, digits, "%g", risk)
		assert.Equal(t, want > 0, ok, "%g", risk)
	}
	r, err := configured(t, passwordless.Policy{MaxYearlyRisk: 1e-6}, passwordless.Client{})
	require.NoError(t, err)
	assert.Equal(t, 8, r.CodeDigits)
}

func TestChoicesHaveTheNamesOfTheirConstants(t *testing.T) {
	for want, v := range map[string]fmt.Stringer{
		"OneTime": passwordless.OneTime, "Reusable": passwordless.Reusable,
		"SlidingToMaximum": passwordless.SlidingToMaximum, "FixedExpiry": passwordless.FixedExpiry, "Sliding": passwordless.Sliding,
		"default": passwordless.RefreshUsage(0), "unknown(9)": passwordless.ExpiryPolicy(9),
		"unknown(255)": passwordless.RefreshUsage(255),
		"3 per 1h30m":  oneLimit{3, 90 * time.Minute}, "1 per 1h0m30s": oneLimit{1, time.Hour + 30*time.Second},
	} {
		assert.Equal(t, want, v.String())
	}
}
