package passwordless_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"net/url"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/sender"
	"github.com/seed62b93bad/passwordless/store/memstore"
)

// exampleConfig is what the examples share: a store in memory, and a sender that remembers the last message in sent.
func exampleConfig(sent *passwordless.Message) passwordless.Config {
	return passwordless.Config{
		Issuer: "https://login.example.com/", AppName: "Example",
		Store:   memstore.New(),
		Sender:  sender.Func(func(_ context.Context, m passwordless.Message) error { *sent = m; return nil }),
		Hasher:  passwordless.NewKeyring(passwordless.RandomKey(), passwordless.RingKey{ID: "1", Secret: passwordless.RandomKey()}),
		Clients: passwordless.ClientList{{ID: "web", Public: true}},
	}
}

// exampleCaller is where the requests of the examples come from.
var exampleCaller = passwordless.Caller{IP: netip.MustParseAddr("192.0.2.1")}

// must ends an example that fails.
func must[T any](v T, err error) T {
	if err != nil {
		log.Panic(err)
	}
	return v
}

// Sign in by a code.
func Example() {
	ctx := context.Background()
	var sent passwordless.Message
	svc, err := passwordless.New(passwordless.Config{
		Issuer: "https://login.example.com/", AppName: "Example",
		Store:   memstore.New(),
		Sender:  sender.Func(func(_ context.Context, m passwordless.Message) error { sent = m; return nil }),
		Hasher:  passwordless.NewKeyring(passwordless.RandomKey(), passwordless.RingKey{ID: "1", Secret: passwordless.RandomKey()}),
		Clients: passwordless.ClientList{{ID: "web", Public: true}},
	})
	if err != nil {
		log.Panic(err)
	}

	// The person types an address.
	by, err := svc.Public(ctx, "web", passwordless.Caller{IP: netip.MustParseAddr("192.0.2.1")})
	if err != nil {
		log.Panic(err)
	}
	started, err := svc.Start(ctx, by, passwordless.StartRequest{Channel: passwordless.Email, Address: "Alice@Example.com"})
	if err != nil {
		log.Panic(err)
	}
	fmt.Println("sent to", started.Identifier)

	// The person types the code of the message.
	login, err := svc.Verify(ctx, by, passwordless.VerifyRequest{Handle: started.Handle, Code: sent.Code})
	if err != nil {
		log.Panic(err)
	}
	fmt.Println("signed in by", login.Methods[0].Method, "for the first time:", login.FirstProof)

	// The code is used up.
	_, err = svc.Verify(ctx, by, passwordless.VerifyRequest{Handle: started.Handle, Code: sent.Code})
	fmt.Println(errors.Is(err, passwordless.ErrConsumed))
	// Output:
	// sent to a***@example.com
	// signed in by code for the first time: true
	// true
}

// Sign in by a link. It finishes in the browser that asked for it, which keeps Started.Browser in a cookie.
func ExampleService_RedeemLink() {
	ctx := context.Background()
	var sent passwordless.Message
	svc := must(passwordless.New(exampleConfig(&sent)))
	by := must(svc.Public(ctx, "web", exampleCaller))
	started := must(svc.Start(ctx, by, passwordless.StartRequest{
		Channel: passwordless.Email, Address: "alice@example.com", Send: passwordless.SendLink,
	}))

	link := must(url.Parse(sent.Link.Reveal()))
	token := passwordless.Secret(link.Query().Get("t"))
	caller := exampleCaller
	caller.Browser = started.Browser
	by = must(svc.Public(ctx, "web", caller))

	// GET shows a button and changes nothing.
	info := must(svc.PeekLink(ctx, by, token))
	fmt.Println(link.Path, info.Identifier, info.SameBrowser)

	// POST signs in, here with a session of the library's own.
	login := must(svc.RedeemLink(ctx, by, passwordless.RedeemRequest{Token: token, Issue: passwordless.Issue{Session: true}}))
	session := must(svc.Session(ctx, login.Session.Token))
	fmt.Println(session.UserID == login.User.ID)
	// Output:
	// /link a***@example.com true
	// true
}

// A refresh token works once. Whoever presents it again ends the whole family.
func ExampleService_Refresh() {
	ctx := context.Background()
	var sent passwordless.Message
	cfg := exampleConfig(&sent)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		log.Panic(err)
	}
	cfg.SigningKeys = []passwordless.SigningKey{{ID: "2030-01", Key: key}}
	cfg.Policy.Tokens.Algorithm = passwordless.EdDSA
	cfg.Policy.Sessions.Grace = -1 // no second answer, even for clients whose first one got lost
	svc := must(passwordless.New(cfg))
	by := must(svc.Public(ctx, "web", exampleCaller))
	started := must(svc.Start(ctx, by, passwordless.StartRequest{Channel: passwordless.Email, Address: "alice@example.com"}))
	login := must(svc.Verify(ctx, by, passwordless.VerifyRequest{Handle: started.Handle, Code: sent.Code,
		Issue: passwordless.Issue{Tokens: &passwordless.TokenRequest{Scopes: []string{"openid", "offline_access"}}}}))

	tokens := must(svc.Refresh(ctx, by, passwordless.RefreshRequest{Token: login.Tokens.Refresh}))
	access := must(svc.VerifyAccessToken(ctx, passwordless.AccessTokenRequest{Token: tokens.Access}))
	fmt.Println(access.Subject == login.User.ID, access.Scopes)

	_, err = svc.Refresh(ctx, by, passwordless.RefreshRequest{Token: login.Tokens.Refresh})
	fmt.Println(errors.Is(err, passwordless.ErrReusedToken))
	_, err = svc.Refresh(ctx, by, passwordless.RefreshRequest{Token: tokens.Refresh})
	fmt.Println(errors.Is(err, passwordless.ErrInvalidToken))
	// Output:
	// true [openid offline_access]
	// true
	// true
}

// Rotate the ring keys of a running Service, each step on every instance before the next.
func ExampleKeyring_Replace() {
	ctx := context.Background()
	var sent passwordless.Message
	was := passwordless.RingKey{ID: "2030-01", Secret: passwordless.RandomKey()}
	is := passwordless.RingKey{ID: "2030-07", Secret: passwordless.RandomKey()}
	cfg := exampleConfig(&sent)
	keys := passwordless.NewKeyring(passwordless.RandomKey(), was)
	cfg.Hasher = keys
	svc := must(passwordless.New(cfg))
	by := must(svc.Public(ctx, "web", exampleCaller))
	started := must(svc.Start(ctx, by, passwordless.StartRequest{Channel: passwordless.Email, Address: "alice@example.com"}))

	fmt.Println(keys.Replace(was, is)) // 1. every instance can read what the new key makes
	fmt.Println(keys.Replace(is, was)) // 2. the new key makes what is new, and the old one is still read

	request := passwordless.VerifyRequest{Handle: started.Handle, Code: sent.Code, Issue: passwordless.Issue{Session: true}}
	login := must(svc.Verify(ctx, by, request)) // the code is of the old key, the session of the new one

	fmt.Println(keys.Replace(is)) // 3. once nothing made with the old key is in use
	must(svc.Session(ctx, login.Session.Token))
	_, err := svc.Verify(ctx, by, request)
	fmt.Println(errors.Is(err, passwordless.ErrUnavailable)) // not "wrong code": the key is missing
	// Output:
	// <nil>
	// <nil>
	// <nil>
	// true
}

// Each request is somebody's: of a public client, of one that proves who it is, or of the application's own code.
func ExampleService_Authenticate() {
	ctx := context.Background()
	cfg := exampleConfig(new(passwordless.Message))
	cfg.Clients = passwordless.ClientList{
		{ID: "web", Public: true},
		{ID: "backend", Keys: passwordless.ClientKeys{
			SecretHashes: []passwordless.SecretHash{passwordless.HashClientSecret("32 random bytes")},
		}},
	}
	svc := must(passwordless.New(cfg))

	fmt.Println(svc.Public(ctx, "web", exampleCaller))
	fmt.Println(svc.Authenticate(ctx, passwordless.Credentials{ClientID: "backend", Secret: "32 random bytes"}, exampleCaller))
	fmt.Println(svc.Trusted(ctx, "backend", exampleCaller)) // nothing is proved: whoever calls it vouches for the client

	_, err := svc.Public(ctx, "backend", exampleCaller)
	fmt.Println(err)
	_, err = svc.Authenticate(ctx, passwordless.Credentials{ClientID: "backend", Secret: "another"}, exampleCaller)
	fmt.Println(err)
	// Output:
	// Requester(public web) <nil>
	// Requester(authenticated backend) <nil>
	// Requester(trusted backend) <nil>
	// passwordless: client not authenticated
	// passwordless: client not authenticated
}

// Print the report at start: every limit in force, and what is weaker than its default.
func ExampleService_Policy() {
	cfg := exampleConfig(new(passwordless.Message))
	cfg.Policy.Codes.MaxAttempts = 8
	cfg.Policy.MaxYearlyRisk = 1e-6
	cfg.Clients = passwordless.ClientList{{ID: "web", Public: true, Codes: passwordless.CodePolicy{MaxAttempts: 10}}}
	report := must(passwordless.New(cfg)).Policy()

	fmt.Println("digits:", report.CodeDigits)
	fmt.Println("sends:", report.Policy.Limits.EmailSends)
	for _, deviation := range report.Deviations {
		fmt.Println(deviation)
	}
	// Output:
	// digits: 8
	// sends: [3 per 10m 5 per 1h 20 per 24h]
	// Policy.Codes.MaxAttempts: 8, weaker than 5
	// Client "web": Codes.MaxAttempts: 10, weaker than 8
}
