package server_test

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// BenchmarkTiming measures what a stranger can: how long the whole HTTP answer takes to a start, and to a wrong code, for
// people who have an account and for people who have none, where sign-up is closed. "make timing" runs it:
//
//	make timing SAMPLES=2000
//
// Each person is asked about once, in random order. Reported are the medians, how much longer they take for people who
// exist, and the z of the Mann-Whitney test: of two sides that do not differ, |z| is over 2.58 once in a hundred runs. It
// is a report and no test: a machine that does something else besides moves it. EN-2
func BenchmarkTiming(b *testing.B) {
	for name, open := range map[string]func() string{
		"SQLite":     func() string { return "sqlite:store.db" },
		"PostgreSQL": func() string { return shared.Postgres(b) },
	} {
		b.Run(name, func(b *testing.B) {
			folder := b.TempDir()
			c := command(b, folder, "-store", open(), "-dev", "-config", timedWorld(b, folder, b.N))
			url := start(b, c).url
			b.ResetTimer()
			started := timed(b, b.N, func(address string) *http.Request {
				return post(url+"passwordless/start", map[string]string{"connection": "email", "email": address, "send": "code"})
			}, http.StatusOK)
			guessed := timed(b, b.N, func(address string) *http.Request {
				return post(url+"oauth/token", map[string]string{"grant_type": "http://auth0.com/oauth/grant-type/passwordless/otp",
					"realm": "email", "username": address, "otp": "000000"})
			}, http.StatusForbidden)
			b.ReportMetric(0, "ns/op")
			started.report(b, "start")
			guessed.report(b, "code")
		})
	}
}

// The addresses of the two sides are equally long.
func somebody(i int) string { return fmt.Sprintf("known%06d@example.com", i) }
func nobody(i int) string   { return fmt.Sprintf("ghost%06d@example.com", i) }

// timedWorld writes the configuration of a server that has n people, whose sign-up is closed, and that no limit stops.
func timedWorld(b *testing.B, folder string, n int) string {
	b.Helper()
	type object = map[string]any
	secret := sha256.Sum256([]byte("demo-web-secret"))
	many := object{"count": 1_000_000, "per": "1s"}
	users := make([]object, n)
	for i := range users {
		users[i] = object{"email": somebody(i), "email_verified": true, "name": "Somebody"}
	}
	text, err := json.Marshal(object{
		"app_name": "Timing", "page_client": "demo-web", "users": users,
		"clients": []object{{"id": "demo-web", "first_party": true, "closed_sign_up": true, "tokens": object{"algorithm": "RS256"},
			"keys": object{"secret_hashes": []string{hex.EncodeToString(secret[:])}}}},
		"policy": object{"limits": object{"starts": []object{many}, "guesses": many, "global_failures": many}},
	})
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(folder, "world.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

// post is a request of the demo's client.
func post(url string, body map[string]string) *http.Request {
	body["client_id"], body["client_secret"] = "demo-web", "demo-web-secret"
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // cannot be: it is text
	}
	r, err := http.NewRequest(http.MethodPost, url, strings.NewReader(string(text)))
	if err != nil {
		panic(err) // cannot be: the server told the URL
	}
	r.Header.Set("Content-Type", "application/json")
	return r
}

// The times of the answers for people who exist, and for people who do not.
type sides struct{ somebody, nobody []time.Duration }

// timed asks about n people of each side, in random order and one after the other.
func timed(b *testing.B, n int, request func(address string) *http.Request, status int) (s sides) {
	b.Helper()
	for _, i := range rand.Perm(2 * n) {
		side, address := &s.somebody, somebody(i/2)
		if i%2 == 1 {
			side, address = &s.nobody, nobody(i/2)
		}
		r := request(address)
		begin := time.Now()
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		_, err = io.Copy(io.Discard, res.Body)
		took := time.Since(begin)
		res.Body.Close()
		if err != nil || res.StatusCode != status {
			b.Fatalf("%s answered %s, %v", r.URL.Path, res.Status, err)
		}
		*side = append(*side, took)
	}
	return s
}

func (s sides) report(b *testing.B, name string) {
	b.Helper()
	micro := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
	b.ReportMetric(micro(median(s.nobody)), name+"-µs")
	b.ReportMetric(micro(median(s.somebody)-median(s.nobody)), name+"-µs-longer")
	b.ReportMetric(mannWhitney(s.somebody, s.nobody), name+"-z")
}

func median(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// mannWhitney returns the z of the Mann-Whitney test, by its normal approximation: positive if the first side is the
// greater one. Equal values share their ranks; the few there are do not change the deviation.
func mannWhitney(first, second []time.Duration) float64 {
	type value struct {
		time.Duration
		first bool
	}
	var all []value
	for _, d := range first {
		all = append(all, value{d, true})
	}
	for _, d := range second {
		all = append(all, value{d, false})
	}
	slices.SortFunc(all, func(a, b value) int { return cmp.Compare(a.Duration, b.Duration) })
	var ranks float64 // of the first side, from 1
	for i := 0; i < len(all); {
		end := i
		for end < len(all) && all[end].Duration == all[i].Duration {
			end++
		}
		for _, v := range all[i:end] {
			if v.first {
				ranks += float64(i+1+end) / 2
			}
		}
		i = end
	}
	n, m := float64(len(first)), float64(len(second))
	u := ranks - n*(n+1)/2
	return (u - n*m/2) / math.Sqrt(n*m*(n+m+1)/12)
}

// The ranks of the values from 1 to 20, by hand: 10 and 10 values of which the first side has all greater ones, every
// second one, or the same ones.
func TestMannWhitney(t *testing.T) {
	t.Parallel()
	run := func(from, step int) (all []time.Duration) {
		for i := range 10 {
			all = append(all, time.Duration(from+i*step))
		}
		return all
	}
	for name, test := range map[string]struct {
		first, second []time.Duration
		want          float64
	}{
		"all greater":   {run(11, 1), run(1, 1), 50 / math.Sqrt(175)},
		"all smaller":   {run(1, 1), run(11, 1), -50 / math.Sqrt(175)},
		"every second":  {run(2, 2), run(1, 2), 5 / math.Sqrt(175)},
		"equal":         {run(1, 1), run(1, 1), 0},
		"half is equal": {run(6, 1), run(1, 1), 37.5 / math.Sqrt(175)},
	} {
		if got := mannWhitney(test.first, test.second); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
