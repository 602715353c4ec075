package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/seed62b93bad/passwordless"
)

// A world is whom the server serves: what -config describes. See readWorld for its form in a file.
type world struct {
	AppName    string                // as shown to people
	Secrets    string                // the file with the keys; default beside the store
	PageClient string                // the ID of the client that the pages act for
	Tenants    []passwordless.Tenant // none: one, with the ID ""
	Clients    []passwordless.Client
	Users      []user // added at start unless they are there
	Policy     passwordless.Policy
	APIs       map[string][]string // audiences of access tokens, with the scopes that are granted there
	// TrustedProxies are the networks of the reverse proxies in front of the server.
	TrustedProxies []netip.Prefix
}

// A user is one with its tenant.
type user struct {
	Tenant string
	passwordless.User
}

// mistakes are what no other package would tell.
func (w world) mistakes() (errs []error) {
	known := slices.ContainsFunc(w.Clients, func(c passwordless.Client) bool { return c.ID == w.PageClient })
	if !known {
		errs = append(errs, errors.New("page_client: want the ID of one of clients"))
	}
	if w.AppName == "" {
		errs = append(errs, errors.New("app_name: required"))
	}
	for i, u := range w.Users {
		if u.Email == "" && u.Phone == "" {
			errs = append(errs, fmt.Errorf("users[%d]: neither email nor phone: such a user cannot sign in", i))
		}
	}
	return append(errs, w.sharedNames()...)
}

// sharedNames are the IDs, and the addresses within a tenant, that two users have: seed would take the
// second for the first and leave it out.
func (w world) sharedNames() (errs []error) {
	first := map[any]int{}
	claim := func(i int, what string, name any) {
		if j, taken := first[name]; taken {
			errs = append(errs, fmt.Errorf("users[%d]: has the %s of users[%d]", i, what, j))
			return
		}
		first[name] = i
	}
	type address struct {
		tenant string
		passwordless.Identifier
	}
	for i, u := range w.Users {
		if u.ID != "" {
			claim(i, "id", u.ID)
		}
		// What is no address is for seed to tell.
		if id, err := passwordless.ParseIdentifier(passwordless.Email, u.Email); err == nil {
			claim(i, "email", address{u.Tenant, id})
		}
		if id, err := passwordless.ParseIdentifier(passwordless.SMS, u.Phone); err == nil {
			claim(i, "phone", address{u.Tenant, id})
		}
	}
	return errs
}

// pageChannels are those of the pages' client.
func (w world) pageChannels() []passwordless.Channel {
	for _, c := range w.Clients {
		if c.ID == w.PageClient {
			return c.Channels
		}
	}
	return nil
}

// dropSMS takes text messages from clients: there is no provider to hand them to.
func (w *world) dropSMS(log *slog.Logger) error {
	var errs []error
	for i := range w.Clients {
		c := &w.Clients[i]
		if !slices.Contains(c.Channels, passwordless.SMS) {
			continue
		}
		c.Channels = slices.DeleteFunc(slices.Clone(c.Channels), func(ch passwordless.Channel) bool { return ch == passwordless.SMS })
		if len(c.Channels) == 0 {
			errs = append(errs, fmt.Errorf("client %q signs in by SMS alone, and without -dev SMS is off: "+
				"this server knows no provider", c.ID))
		}
		log.Warn("SMS is off: this server knows no provider", "client", c.ID)
	}
	return errors.Join(errs...)
}

// seed adds the users that are not there. Those that are stay as they have become.
func (w world) seed(ctx context.Context, svc *passwordless.Service) error {
	var errs []error
	for i, u := range w.Users {
		_, err := svc.Directory().Add(ctx, u.Tenant, u.User)
		if err != nil && !errors.Is(err, passwordless.ErrTaken) {
			errs = append(errs, fmt.Errorf("users[%d]: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

// demoWorld is what a server serves that was told nothing. Everybody knows its secrets.
func demoWorld() world {
	both := []passwordless.Channel{passwordless.Email, passwordless.SMS}
	callback := []string{"http://localhost:3000/callback"}
	short := passwordless.CodePolicy{EmailLife: 3 * time.Minute, SMSLife: 3 * time.Minute}
	rs256 := passwordless.TokenPolicy{Algorithm: passwordless.RS256}
	return world{
		AppName: "Passwordless demo", PageClient: "demo-pages",
		Clients: []passwordless.Client{
			{ID: "demo-pages", Public: true, Channels: both},
			{
				ID: "demo-web", FirstParty: true, Channels: both, Codes: short, Tokens: rs256,
				Keys: passwordless.ClientKeys{SecretHashes: []passwordless.SecretHash{passwordless.HashClientSecret("demo-web-secret")}},
				Browser: passwordless.ClientBrowser{
					RedirectURIs:       callback,
					InsecureAnyBrowser: true, // it compares the state
				},
			},
			{
				ID: "demo-spa", Public: true, FirstParty: true, Channels: both, Codes: short, Tokens: rs256,
				Browser: passwordless.ClientBrowser{
					RedirectURIs: callback, Origins: []string{"http://localhost:3000"},
					InsecureAnyBrowser: true, InsecureWithoutPKCE: true, // auth0.js compares the state, and knows no PKCE
				},
			},
		},
		Users: demoUsers(),
		Policy: passwordless.Policy{
			SMS: passwordless.SMSPolicy{Countries: []int{46, 47}},
			Limits: passwordless.LimitPolicy{ // all who try the demo have one network address
				Starts:  []passwordless.Limit{{Count: 200, Per: 10 * time.Minute}, {Count: 2000, Per: 24 * time.Hour}},
				Guesses: passwordless.Limit{Count: 300, Per: 5 * time.Minute},
			},
		},
	}
}

func demoUsers() []user {
	person := func(n int, name string, status passwordless.UserStatus) user {
		return user{User: passwordless.User{ID: fmt.Sprintf("30000000-0000-4000-8000-%012d", n), Name: name, Status: status,
			Email: passwordless.Address(name + "@example.com"), EmailVerified: true}}
	}
	alice, erik := person(1, "alice", passwordless.UserActive), person(7, "erik", passwordless.UserActive)
	alice.Phone, alice.PhoneVerified = "+46701111111", true
	erik.Number = 42
	return []user{
		alice,
		person(2, "johnd", passwordless.UserActive),
		person(3, "bob", passwordless.UserActive),
		person(4, "carol", passwordless.UserLocked),
		person(5, "dave", passwordless.UserExpired),
		person(6, "blocked", passwordless.UserBlocked),
		erik,
	}
}

// demoTour is printed where the demo world is served with -dev.
const demoTour = `
Sign in as alice@example.com, or as anybody: codes are printed here and shown in the mailbox.
Or as an Auth0 client does:

  curl -s URL/passwordless/start -H 'Content-Type: application/json' -d '{
    "client_id":"demo-web","client_secret":"demo-web-secret","connection":"email","email":"alice@example.com","send":"code"}'
  curl -s 'URL/dev/outbox?to=alice@example.com'
  curl -s URL/oauth/token -H 'Content-Type: application/json' -d '{
    "grant_type":"http://auth0.com/oauth/grant-type/passwordless/otp","client_id":"demo-web","client_secret":"demo-web-secret",
    "realm":"email","username":"alice@example.com","otp":"THE CODE","scope":"openid profile email offline_access"}'

Or ask for a link: leave out "send", and add "authParams":{"state":"a state of yours","scope":"openid"}. Open the link
in the mailbox, press its button, and exchange the code of the address that it leads to:

  curl -s URL/oauth/token -d grant_type=authorization_code -d client_id=demo-web -d client_secret=demo-web-secret \
    -d redirect_uri=http://localhost:3000/callback -d code=THE_CODE

Codes and links of demo-web and demo-spa live for three minutes. To let them pass:

  curl -s URL/dev/clock -H 'Content-Type: application/json' -d '{"advance":"181s"}'
`
