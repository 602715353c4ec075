package passwordless_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b93bad/passwordless"
)

// A row is one line of a table in docs/machines.md.
type row struct{ state, event, next, answer string }

func rows(t *testing.T, heading string) (all []row) {
	t.Helper()
	text, err := os.ReadFile("docs/machines.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "\n## "+heading+"\n")
	require.True(t, found, "no section %q", heading)
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.SplitSeq(section, "\n") {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if !strings.HasPrefix(line, "| ") || len(cells) != 4 || strings.TrimSpace(cells[0]) == "state" {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		all = append(all, row{cells[0], cells[1], cells[2], cells[3]})
	}
	require.NotEmpty(t, all)
	return all
}

// A walk is one challenge brought into a state.
type walk struct {
	*world
	started      passwordless.Started
	code         string
	link, cancel passwordless.Secret
}

func newWalk(t *testing.T, state string) *walk {
	w := &walk{world: newWorld(t)}
	w.started, w.link, w.cancel = w.startLink(passwordless.SendBoth)
	w.code = w.outbox.last().Code.Reveal()
	into := map[string]func(){
		"open":      func() {},
		"consumed":  func() { w.do("right code") },
		"exhausted": func() { w.do("last wrong code") },
		"cancelled": func() { w.do("cancel") },
		"expired":   func() { w.clock.advance(10 * time.Minute) },
	}[state]
	require.NotNil(t, into, "unknown state %q", state)
	into()
	if state != "expired" {
		w.clock.advance(time.Minute) // past cooldowns
	}
	return w
}

// do causes an event and returns the answer in the table's words.
func (w *walk) do(event string) string {
	ctx, here := w.t.Context(), home
	here.Browser = w.started.Browser
	switch event {
	case "right code":
		_, err := w.guess(w.started.Handle, w.code)
		return word("login", err)
	case "wrong code":
		_, err := w.guess(w.started.Handle, wrong(w.code))
		return word("login", err)
	case "last wrong code":
		for range 4 {
			w.do("wrong code")
		}
		return w.do("wrong code")
	case "malformed code":
		_, err := w.guess(w.started.Handle, "x")
		return word("login", err)
	case "check right code":
		return word("right", w.check())
	case "check right code at the last attempt":
		for range 4 {
			w.do("wrong code")
		}
		return word("right", w.check())
	case "right link":
		_, err := w.RedeemLink(ctx, passwordless.RedeemRequest{Token: w.link, Caller: here})
		return word("login", err)
	case "right link elsewhere":
		_, err := w.RedeemLink(ctx, passwordless.RedeemRequest{Token: w.link, Caller: attacker})
		return word("login", err)
	case "wrong link":
		_, err := w.RedeemLink(ctx, passwordless.RedeemRequest{Token: w.cancel, Caller: here})
		return word("login", err)
	case "cancel":
		return word("done", w.Cancel(ctx, w.cancel, attacker))
	case "resend":
		_, err := w.Resend(ctx, passwordless.ResendRequest{Client: "web", Handle: w.started.Handle, Caller: home})
		return word("sent", err)
	}
	w.t.Fatalf("unknown event %q", event)
	return ""
}

func (w *walk) check() error {
	return w.Check(w.t.Context(), passwordless.VerifyRequest{Client: "web", Handle: w.started.Handle, Code: passwordless.Secret(w.code), Caller: home})
}

// state observes where the challenge is.
func (w *walk) state() string {
	err := w.check()
	for name, reason := range map[string]error{"consumed": passwordless.ErrConsumed, "exhausted": passwordless.ErrExhausted,
		"cancelled": passwordless.ErrCancelled, "expired": passwordless.ErrExpired} {
		if errors.Is(err, reason) {
			return name
		}
	}
	require.NoError(w.t, err)
	return "open"
}

func word(success string, err error) string {
	var refused *passwordless.ChallengeError
	var other *passwordless.OtherBrowserError
	switch {
	case err == nil:
		return success
	case errors.As(err, &other):
		return "code to type"
	case errors.As(err, &refused):
		return refused.Reason.Error()
	}
	return err.Error()
}

func TestTheChallengeMachineIsAsWritten(t *testing.T) { // VF-8
	events := map[string]bool{}
	table := rows(t, "Challenge")
	for _, r := range table {
		events[r.event] = true
		t.Run(r.state+"/"+r.event, func(t *testing.T) {
			w := newWalk(t, r.state)
			assert.Equal(t, r.answer, w.do(r.event))
			assert.Equal(t, r.next, w.state())
		})
	}
	ended := len(events) - 2 // what happens at the last attempt are events of open alone
	assert.Len(t, table, len(events)+4*ended, "every combination has a row")
}

// A familyWalk is one refresh family brought into a state.
type familyWalk struct {
	*world
	login                  passwordless.Login
	older, former, current passwordless.Secret
	answered               string
}

func newFamilyWalk(t *testing.T, state string) *familyWalk {
	w := &familyWalk{world: newWorld(t)}
	w.login = w.signIn(alice, passwordless.Grant{Tokens: &passwordless.TokenRequest{Scopes: []string{"offline_access"}}})
	w.older = w.login.Tokens.Refresh
	w.former = w.refresh("web", w.older)
	w.current = w.refresh("web", w.former)
	switch state {
	case "live":
	case "revoked":
		w.do("revoke")
	case "over":
		w.clock.advance(14 * 24 * time.Hour)
	default:
		t.Fatalf("unknown state %q", state)
	}
	return w
}

func (w *familyWalk) refresh(client string, token passwordless.Secret) passwordless.Secret {
	tokens, err := w.Refresh(w.t.Context(), passwordless.RefreshRequest{Client: client, Token: token})
	switch {
	case err == nil:
		w.answered = "tokens"
		if tokens.Refresh == w.current {
			w.answered = "same tokens"
		}
	case errors.Is(err, passwordless.ErrReusedToken):
		w.answered = "reused"
	case errors.Is(err, passwordless.ErrInvalidToken):
		w.answered = "invalid"
	default:
		w.answered = err.Error()
	}
	return tokens.Refresh
}

func (w *familyWalk) do(event string) string {
	w.answered = "done"
	switch event {
	case "current token":
		if next := w.refresh("web", w.current); next != "" {
			w.former, w.current = w.current, next
		}
	case "former token in grace":
		w.clock.advance(9 * time.Second)
		w.refresh("web", w.former)
	case "former token after grace":
		w.clock.advance(10 * time.Second)
		w.refresh("web", w.former)
	case "older token":
		w.refresh("web", w.older)
	case "forged token":
		w.refresh("web", altered(w.current))
	case "token of another client":
		w.refresh("other", w.current)
	case "revoke":
		require.NoError(w.t, w.Revoke(w.t.Context(), passwordless.RevokeRequest{Token: w.older}))
	case "revoke user":
		require.NoError(w.t, w.RevokeUser(w.t.Context(), "", w.login.User.ID))
	case "wait idle":
		w.clock.advance(14 * 24 * time.Hour)
	case "wait absolute":
		for range 3 {
			w.clock.advance(10 * 24 * time.Hour)
			w.do("current token")
		}
		w.answered = "done"
	default:
		w.t.Fatalf("unknown event %q", event)
	}
	return w.answered
}

func TestTheFamilyMachineIsAsWritten(t *testing.T) { // TK-9, TK-10
	for _, r := range rows(t, "Session and refresh token family") {
		t.Run(r.state+"/"+r.event, func(t *testing.T) {
			w := newFamilyWalk(t, r.state)
			assert.Equal(t, r.answer, w.do(r.event))
			w.do("current token")
			if r.next == "live" {
				assert.Equal(t, "tokens", w.answered)
			} else {
				assert.Equal(t, "invalid", w.answered)
			}
		})
	}
}

// A codeWalk is one authorization code brought into a state.
type codeWalk struct {
	*codeWorld
	login    passwordless.Login
	verifier passwordless.Secret
}

// newCodeWalk brings a code into a state. PKCE binds it, unless the event is about one that it does not.
func newCodeWalk(t *testing.T, state, event string) *codeWalk {
	w := &codeWalk{codeWorld: newCodeWorld(t), verifier: codeVerifier}
	g := asking("offline_access")
	if event == "exchange with a needless verifier" {
		g, w.verifier = unbound("offline_access"), ""
	}
	w.login = w.codeFor("loose", g)
	switch state {
	case "open":
	case "used":
		require.Equal(t, "tokens", w.do("exchange"))
	case "over":
		w.clock.advance(time.Minute)
	default:
		t.Fatalf("unknown state %q", state)
	}
	return w
}

// do causes an event and returns the answer in the table's words.
func (w *codeWalk) do(event string) string {
	req := of(w.login)
	req.Verifier = w.verifier
	switch event {
	case "exchange":
	case "exchange by another client":
		req.Client = "twin"
	case "exchange with another redirect URI":
		req.RedirectURI += "/2"
	case "exchange with a wrong verifier":
		req.Verifier = altered(req.Verifier)
	case "exchange without a verifier":
		req.Verifier = ""
	case "exchange with a needless verifier":
		req.Verifier = codeVerifier
	case "exchange of a forged code":
		req.Code = altered(req.Code)
	default:
		require.NoError(w.t, w.meanwhile(event))
		return "done"
	}
	_, err := w.Exchange(w.t.Context(), req)
	switch {
	case err == nil:
		return "tokens"
	case errors.Is(err, passwordless.ErrReusedToken):
		return "reused"
	case errors.Is(err, passwordless.ErrInvalidToken):
		return "invalid"
	}
	return err.Error()
}

// meanwhile causes an event that does not present the code.
func (w *codeWalk) meanwhile(event string) error {
	ctx, id := w.t.Context(), w.login.User.ID
	switch event {
	case "wait for its life":
		w.clock.advance(time.Minute)
		return nil
	case "revoke user":
		return w.RevokeUser(ctx, "", id)
	case "block user for a moment":
		_, err := w.change(id, func(u *passwordless.User) { u.Status = passwordless.UserBlocked })
		_, more := w.change(id, func(u *passwordless.User) { u.Status = passwordless.UserActive })
		return errors.Join(err, more)
	case "delete user":
		return w.Directory().Delete(ctx, "", id)
	case "move the address to another user":
		_, err := w.change(id, func(u *passwordless.User) { u.Email = "" })
		_, more := w.Directory().Add(ctx, "", passwordless.User{Email: alice, EmailVerified: true})
		return errors.Join(err, more)
	}
	w.t.Fatalf("unknown event %q", event)
	return nil
}

func TestTheAuthorizationCodeMachineIsAsWritten(t *testing.T) { // TK-12, TK-13
	events := map[string]bool{}
	table := rows(t, "Authorization code")
	for _, r := range table {
		events[r.event] = true
		t.Run(r.state+"/"+r.event, func(t *testing.T) {
			w := newCodeWalk(t, r.state, r.event)
			assert.Equal(t, r.answer, w.do(r.event))
			assert.Equal(t, r.next, map[string]string{"tokens": "open", "reused": "used", "invalid": "over"}[w.do("exchange")])
		})
	}
	assert.Len(t, table, 3*len(events), "every combination has a row")
}
