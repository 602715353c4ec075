package passwordless_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/internal/secret"
	"github.com/seed62b93bad/passwordless/store"
)

// A tally is a Store that writes down what can be seen of each call from outside: its kind, the kinds and sizes of what
// it names, and how much it writes.
type tally struct {
	store.Store
	log  []string
	read int // records that loads found
}

func (r *tally) notef(format string, args ...any) {
	r.log = append(r.log, fmt.Sprintf(format, args...))
}

// taken returns what was written down since the last call, and how many records were read in all.
func (r *tally) taken() string {
	r.notef("%d records read", r.read)
	log := strings.Join(r.log, "\n")
	r.log, r.read = nil, 0
	return log
}

func kindsOf(keys []store.Key) (all []string) {
	for _, k := range keys {
		all = append(all, fmt.Sprintf("%s/%d", k.Kind, len(k.Name)))
	}
	return all
}

func chargesOf(charges []store.Charge) (all []string) {
	for _, c := range charges {
		if c.Bucket.Kind == "unanswered" { // of one challenge in eight, which its seed picks at random
			continue
		}
		all = append(all, fmt.Sprintf("%s %v look=%t durable=%t", kindsOf([]store.Key{c.Bucket}), c.Windows, c.Look, c.Durable))
	}
	return all
}

func (r *tally) Load(ctx context.Context, now store.Instant, keys ...store.Key) ([]store.Record, error) {
	r.notef("load %v", kindsOf(keys))
	recs, err := r.Store.Load(ctx, now, keys...)
	for _, rec := range recs {
		if rec.Exists() {
			r.read++
		}
	}
	return recs, err
}

func (r *tally) Commit(ctx context.Context, now store.Instant, b store.Batch) (store.Levels, error) {
	r.notef("commit %v back %v delete %v", chargesOf(b.Charges), chargesOf(b.GiveBacks), kindsOf(b.Deletes))
	for _, p := range b.Puts {
		rec := p.Record
		r.notef("  put %v of %d bytes, owner %d, for %v, stage %d, any %t, new %t", kindsOf([]store.Key{rec.Key}), len(rec.Body),
			len(rec.Owner), rec.Expires.Time().Sub(now.Time()), p.Stage, p.Any, p.Was == store.Version{})
	}
	return r.Store.Commit(ctx, now, b)
}

func (r *tally) List(ctx context.Context, now store.Instant, kind store.Kind, page store.Page) ([]store.Record, string, error) {
	r.notef("list %s/%d", kind, len(page.Owner))
	return r.Store.List(ctx, now, kind, page)
}

// An asked directory writes its calls down beside those of the store.
type asked struct {
	passwordless.Users
	*tally
}

func (a asked) Find(ctx context.Context, tenant string, id passwordless.Identifier) (passwordless.User, error) {
	a.notef("find")
	return a.Users.Find(ctx, tenant, id)
}

func (a asked) Get(ctx context.Context, tenant, userID string) (passwordless.User, error) {
	a.notef("get")
	return a.Users.Get(ctx, tenant, userID)
}

func (a asked) Create(ctx context.Context, tenant string, id passwordless.Identifier) (passwordless.User, error) {
	a.notef("create")
	return a.Users.Create(ctx, tenant, id)
}

// A postbox writes messages down as the sender's caller sees them: alike whether they go out or are discarded.
type postbox struct {
	*outbox
	*tally
}

func (p postbox) hand(m passwordless.Message) {
	p.notef("hand over by %s to %d bytes: %d %d %d %d %d %d", m.Channel, len(m.To), len(m.Code), len(m.Link), len(m.Cancel),
		len(m.Subject), len(m.Text), len(m.HTML))
}

func (p postbox) Send(ctx context.Context, m passwordless.Message) error {
	p.hand(m)
	return p.outbox.Send(ctx, m)
}

func (p postbox) Discard(ctx context.Context, m passwordless.Message) error {
	p.hand(m)
	return p.outbox.Discard(ctx, m)
}

// The people of whom nobody may learn which of them exist. Their addresses are equally long.
var people = map[string]passwordless.User{
	"nobod@example.com": {},
	"prove@example.com": {ID: "1", EmailVerified: true},
	"squat@example.com": {ID: "2"},
	"locke@example.com": {ID: "3", EmailVerified: true, Status: passwordless.UserLocked},
	"expir@example.com": {ID: "4", EmailVerified: true, Status: passwordless.UserExpired},
	"block@example.com": {ID: "5", EmailVerified: true, Status: passwordless.UserBlocked},
}

const nobody = "nobod@example.com"

// A seen is what one person's requests to one client look like from outside.
type seen struct {
	*world
	*tally
	client  string
	address passwordless.Address
	home    passwordless.Caller
	issue   passwordless.Issue
	answers []string
}

// newSeen makes a world in which all of people are whom they say, in the built-in directory or in users of one's own.
func newSeen(t *testing.T, own bool) *seen {
	s := &seen{tally: &tally{}}
	mine := newTable()
	s.world = newWorld(t, func(c *passwordless.Config) {
		s.Store, c.Store = c.Store, s.tally
		c.Sender = postbox{c.Sender.(*outbox), s.tally}
		c.Clients.(passwordless.ClientList)[2].Browser.RedirectURIs = []string{callback}
		if own {
			c.Users = asked{mine, s.tally}
		}
	})
	for a, u := range people {
		if u.ID == "" {
			continue
		}
		u.Email = passwordless.Address(a)
		mine.all[byEmail(u.Email)] = u
		if !own {
			_, err := s.Directory().Add(t.Context(), "", u)
			require.NoError(t, err)
		}
	}
	return s
}

// begin starts a sign-in in a browser.
func (s *seen) begin(mode passwordless.SendMode, byAddress bool) passwordless.Started {
	started, err := s.Start(s.t.Context(), s.by(),
		passwordless.StartRequest{Channel: passwordless.Email, Address: s.address, Send: mode, ByAddress: byAddress})
	require.NoError(s.t, err)
	assert.Equal(s.t, s.address, started.Identifier.Address)
	now := s.clock.Now()
	s.answers = append(s.answers, fmt.Sprint(len(started.Handle), len(started.Browser), started.Expires.Sub(now),
		started.ResendAfter, started.Rate.Limit, started.Rate.Remaining, started.Rate.Reset.Sub(now)))
	return started
}

func (s *seen) by() passwordless.Requester { return s.as(s.client, inBrowser(s.home)) }

// answered takes note of an answer.
func (s *seen) answered(err error) { s.answers = append(s.answers, fmt.Sprint(err)) }

// wrong is a code of the right shape that was not sent.
func (s *seen) wrong() string {
	if m := s.outbox.last(); m.To.Reveal() == string(s.address) && m.Code != "" {
		return wrong(m.Code.Reveal())
	}
	return "000000"
}

// verify presents a code, with what the test asks a login for.
func (s *seen) verify(handle passwordless.Secret, code string) {
	_, err := s.Verify(s.t.Context(), s.by(), byCode(handle, code, s.issue))
	require.Error(s.t, err)
	s.answered(err)
}

// redeem presents a link.
func (s *seen) redeem(caller passwordless.Caller, token passwordless.Secret) {
	_, err := s.RedeemLink(s.t.Context(), s.as(s.client, caller), passwordless.RedeemRequest{Token: token, Issue: s.issue})
	require.Error(s.t, err)
	s.answered(err)
}

// forged is a link, or a "this was not me" link, as whoever has a challenge's handle can make it: the name is right and
// the secret is not.
func (s *seen) forged(started passwordless.Started) passwordless.Secret {
	handle, ok := secret.Decode(started.Handle.Reveal(), secret.HandleSize)
	require.True(s.t, ok)
	return passwordless.Secret(secret.Encode(string(secret.Handle(handle).Name()), strings.Repeat("x", sha256.Size)))
}

// requests are all that somebody can do without having read a message.
var requests = map[string]func(*seen){
	"start":            func(s *seen) { s.begin(passwordless.SendCode, false) },
	"start by link":    func(s *seen) { s.begin(passwordless.SendLink, false) },
	"start with both":  func(s *seen) { s.begin(passwordless.SendBoth, false) },
	"start by address": func(s *seen) { s.begin(passwordless.SendCode, true) },
	"starts":           func(s *seen) { s.begin(passwordless.SendCode, false); s.begin(passwordless.SendCode, false) },
	"starts later": func(s *seen) {
		s.begin(passwordless.SendCode, true)
		s.clock.advance(time.Minute)
		s.begin(passwordless.SendCode, true)
	},
	"resend": func(s *seen) {
		started := s.begin(passwordless.SendCode, false)
		for range 5 {
			_, err := s.Resend(s.t.Context(), s.by(), started.Handle)
			s.answered(err)
			s.clock.advance(time.Minute)
		}
	},
	"checks": func(s *seen) {
		started := s.begin(passwordless.SendCode, false)
		for _, code := range []string{s.wrong(), "x", s.wrong()} {
			s.answered(s.CheckCode(s.t.Context(), s.by(), byCode(started.Handle, code, passwordless.Issue{})))
		}
	},
	"a wrong cancel": func(s *seen) {
		link := s.forged(s.begin(passwordless.SendCode, false))
		s.answered(s.Cancel(s.t.Context(), s.as("", s.home), link))
	},
}

// presentations are what they can present, of which a login could come.
var presentations = map[string]func(*seen){
	"wrong guesses": func(s *seen) {
		started := s.begin(passwordless.SendCode, false)
		for range 6 {
			s.verify(started.Handle, s.wrong())
		}
	},
	"a wrong guess by address": func(s *seen) {
		s.begin(passwordless.SendCode, true)
		_, err := s.Verify(s.t.Context(), s.by(), passwordless.VerifyRequest{Channel: passwordless.Email, Address: s.address,
			Code: passwordless.Secret(s.wrong()), Issue: s.issue})
		s.answered(err)
	},
	"a malformed guess": func(s *seen) { s.verify(s.begin(passwordless.SendCode, false).Handle, "x") },
	"a late guess": func(s *seen) {
		started := s.begin(passwordless.SendCode, false)
		s.clock.advance(time.Hour)
		s.verify(started.Handle, s.wrong())
	},
	"a wrong link": func(s *seen) {
		link := s.forged(s.begin(passwordless.SendBoth, false))
		_, err := s.PeekLink(s.t.Context(), s.as("", s.home), link)
		s.answered(err)
		s.redeem(inBrowser(s.home), link)
	},
}

// withMessages are what somebody can do who has read a message but does not sign in. Where sign-up is closed not
// everybody gets one.
var withMessages = map[string]func(*seen){
	"a link in another browser": func(s *seen) {
		s.begin(passwordless.SendLink, false)
		link := param(s.t, s.outbox.last().Link)
		_, err := s.PeekLink(s.t.Context(), s.as("", s.home), link)
		s.answered(err)
		s.redeem(s.home, link)
	},
	"a guess at a link": func(s *seen) {
		started := s.begin(passwordless.SendLink, false)
		_, err := s.RedeemLink(s.t.Context(), s.as("", s.home), passwordless.RedeemRequest{Token: param(s.t, s.outbox.last().Link)})
		var elsewhere *passwordless.OtherBrowserError
		require.ErrorAs(s.t, err, &elsewhere)
		s.verify(started.Handle, wrong(elsewhere.Code.Reveal()))
	},
	"a right check": func(s *seen) {
		started := s.begin(passwordless.SendCode, false)
		require.NoError(s.t, s.CheckCode(s.t.Context(), s.by(),
			byCode(started.Handle, s.outbox.last().Code.Reveal(), passwordless.Issue{})))
	},
	"cancel": func(s *seen) {
		started := s.begin(passwordless.SendBoth, false)
		s.answered(s.Cancel(s.t.Context(), s.as("", s.home), param(s.t, s.outbox.last().Cancel)))
		s.verify(started.Handle, s.wrong())
	},
}

// issues are what a login can be asked for.
var issues = map[string]passwordless.Issue{
	"nothing": {}, "a session": session, "a refresh token": offline, "a code": asking("offline_access"),
	"an access token": {Tokens: &passwordless.TokenRequest{}},
	"everything":      {Session: true, Tokens: offline.Tokens, Code: asking().Code},
}

// alike asserts that a request looks the same whoever has the address.
func alike(t *testing.T, own bool, client string, issue passwordless.Issue, request func(*seen)) {
	t.Helper()
	s := newSeen(t, own)
	s.client, s.issue = client, issue
	look := func(network int, address string) (string, []string) {
		s.clock.advance(time.Hour)
		s.address, s.home, s.answers = passwordless.Address(address), pool(network), nil
		s.taken()
		request(s)
		return s.taken(), s.answers
	}
	trips, answers := look(0, nobody)
	require.Contains(t, trips, "hand over by email", "each of the requests begins with a start")
	network := 0
	for address := range people {
		if address != nobody {
			network++
			theirs, told := look(network, address)
			assert.Equal(t, trips, theirs, address)
			assert.Equal(t, answers, told, address)
		}
	}
}

func TestTripsDoNotTellWhoHasAnAccount(t *testing.T) { // EN-1, EN-2
	for directory, own := range map[string]bool{"the built-in directory": false, "users of one's own": true} {
		try := func(name, client string, issue passwordless.Issue, request func(*seen)) {
			t.Run(directory+", "+client+", "+name, func(t *testing.T) { alike(t, own, client, issue, request) })
		}
		for _, client := range []string{"web", "closed"} {
			for name, request := range requests {
				try(name, client, passwordless.Issue{}, request)
			}
			for name, request := range presentations {
				for asked, issue := range issues {
					try(name+" for "+asked, client, issue, request)
				}
			}
		}
		for name, request := range withMessages {
			for asked, issue := range issues {
				try(name+" for "+asked, "web", issue, request)
			}
		}
	}
}
