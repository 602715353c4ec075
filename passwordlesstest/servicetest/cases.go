package servicetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/passwordlesstest"
)

// What the Service promises, of which a Store is the foundation.
const (
	signsInOnce    = "A code or link signs in once. Of concurrent right ones one wins."
	boundedGuesses = "No more guesses at a challenge are looked at than it has attempts, whatever runs concurrently"
	chargedFirst   = "The attempt is charged in the commit that reveals the outcome: of concurrent right codes one wins, " +
		"and of concurrent wrong ones no more than the challenge's attempts are looked at."
	ledgerHolds = "whatever is resent or restarted, all guesses at one person's codes are worth no more than " +
		"[Policy.MaxYearlyRisk] in a year"
	acrossServices = "across any number of Services on one store"
	refreshesOnce  = "each refresh token works once; then the one before the current is answered with the current one " +
		"within SessionPolicy.Grace, and any older one revokes its family, because it was stolen or the thief was faster."
	exchangesOnce = "A second use of a code revokes the refresh family that the first one gave"
	revokesAll    = "RevokeUser signs a user out everywhere: every session, every refresh family, every known device, " +
		"every authorization code that was not exchanged, " +
		"and every challenge that began before, or up to Policy.ClockSkew after."
	slotReplaced = "ByAddress makes a challenge that is found by client, channel and address instead of a handle, " +
		"for wires that have none. The next start for the same three replaces it."
	repeatedStart = "A start that repeats another within CodePolicy.StartCooldown is answered like it, " +
		"with the same handle, and sends nothing."
	retriesItself = "Conflicts are decided again: each means that another call changed the record, " +
		"which a challenge allows only so often."
)

var cases = []testCase{
	{
		name: "one of many right codes",
		says: []string{signsInOnce, acrossServices, chargedFirst},
		run:  rightCodes,
	},
	{
		name: "one of many right codes and links",
		says: []string{signsInOnce, acrossServices},
		run:  rightCodesAndLinks,
	},
	{
		name: "a thousand wrong codes",
		says: []string{boundedGuesses, chargedFirst},
		run:  wrongCodes,
	},
	{
		name: "the guess ledger",
		says: []string{ledgerHolds, acrossServices},
		run:  guessLedger,
	},
	{
		name: "one child of many refreshes",
		says: []string{refreshesOnce},
		run:  refreshesInGrace,
	},
	{
		name:   "no child without grace",
		says:   []string{refreshesOnce},
		policy: func(p *passwordless.Policy) { p.Sessions.Grace = -1 },
		run:    refreshesWithoutGrace,
	},
	{
		name: "one exchange of an authorization code",
		says: []string{exchangesOnce, acrossServices},
		run:  exchanges,
	},
	{
		name: "logins beside a revocation",
		says: []string{revokesAll},
		run:  revocations,
	},
	{
		name:   "starts of one slot",
		says:   []string{slotReplaced},
		policy: func(p *passwordless.Policy) { p.Codes.MaxAttempts = 10 },
		run:    startsOfOneSlot,
	},
	{
		name: "starts in the cooldown",
		says: []string{repeatedStart},
		run:  startsInCooldown,
	},
	{
		name: "a handful of callers never finds it busy",
		says: []string{retriesItself, boundedGuesses},
		run:  neverBusy,
	},
}

// rightCodes presents the right code 64 times at once, for somebody new, who becomes
// a user only now, and for somebody known, whose session is granted with the code.
func rightCodes(d *duo) {
	d.signIn("known@example.com", passwordless.Issue{})
	for _, address := range []string{"new@example.com", "known@example.com"} {
		started, message := d.start(0, address, passwordless.SendCode)
		answers := d.at(64, func(_ int, s *passwordless.Service) error {
			return d.verify(s, started.Handle, message.Code, everything)
		})
		d.want(answers, map[string]int{"done": 1, passwordless.ErrConsumed.Error(): 63})
		d.oneLogin(address)
	}
}

// rightCodesAndLinks presents the code and the link of one message 500 times at once.
func rightCodesAndLinks(d *duo) {
	d.signIn(alice, passwordless.Issue{})
	started, message := d.start(0, alice, passwordless.SendBoth)
	n := short(500)
	answers := d.at(n, func(i int, s *passwordless.Service) error {
		if i/2%2 == 0 {
			return d.verify(s, started.Handle, message.Code, everything)
		}
		return d.redeem(s, started.Browser, message, everything)
	})
	d.want(answers, map[string]int{"done": 1, passwordless.ErrConsumed.Error(): n - 1})
	d.oneLogin(alice)
}

// exchanges presents one authorization code 64 times at once. One gets tokens, and the others end what it may refresh.
func exchanges(d *duo) {
	started, message := d.start(0, alice, passwordless.SendCode)
	err := d.verify(d.services[0], started.Handle, message.Code, passwordless.Issue{
		Code: &passwordless.AuthorizationRequest{RedirectURI: callback, Scopes: []string{"offline_access"}}})
	if err != nil {
		d.Fatalf("Verify: %s", text(err))
	}
	code := d.loggedIn(alice)[0].AuthorizationCode
	answers := d.at(64, func(_ int, s *passwordless.Service) error {
		return d.remember(s.Exchange(d.ctx, d.as(s, 0), passwordless.ExchangeRequest{Code: code, RedirectURI: callback}))
	})
	d.want(answers, map[string]int{"done": 1, "reused token": 63})
	for _, l := range d.loggedIn(alice) {
		_, err := d.refresh(d.services[1], l.Tokens.Refresh)
		d.refuses(err, passwordless.ErrInvalidToken)
	}
}

// oneLogin demands that the one login of an address has one session and one refresh family.
func (d *duo) oneLogin(address string) {
	logins := d.loggedIn(address)
	if len(logins) != 1 {
		d.Fatalf("%d logins, want 1", len(logins))
	}
	all := d.sessions(logins[0].User.ID)
	families := 0
	for _, s := range all {
		if s.Scopes != nil {
			families++
		}
	}
	if len(all) != 2 || families != 1 {
		d.Fatalf("one login left %d sessions, %d of them refresh families; want 2 and 1", len(all), families)
	}
}

// wrongCodes presents 1,000 wrong codes at once. A guess was
// looked at if it is answered with the attempts that it left, or reported as the one that
// left none.
func wrongCodes(d *duo) {
	started, message := d.start(0, alice, passwordless.SendBoth)
	most := d.services[0].Policy().Policy.Codes.MaxAttempts
	var left counts
	answers := d.at(short(1000), func(_ int, s *passwordless.Service) error {
		err := d.verify(s, started.Handle, wrong(message.Code), everything)
		var refused *passwordless.ChallengeError
		if errors.As(err, &refused) {
			left.add(fmt.Sprint(refused.AttemptsLeft, " left"))
		}
		return err
	})
	d.want(answers, map[string]int{passwordless.ErrWrongSecret.Error(): most - 1,
		passwordless.ErrExhausted.Error(): answers.total() - most + 1})
	for i := 1; i < most; i++ {
		if got := left.of(fmt.Sprint(i, " left")); got != 1 {
			d.Errorf("%d guesses left %d attempts, want 1", got, i)
		}
	}
	if got := d.looked(); got != most {
		d.Errorf("%d guesses were looked at, want %d", got, most)
	}
	for _, s := range d.services {
		d.refuses(d.verify(s, started.Handle, message.Code, everything), passwordless.ErrExhausted)
		d.refuses(d.redeem(s, started.Browser, message, everything), passwordless.ErrExhausted)
	}
}

// guessLedger guesses wrong at 20 challenges of one person at once, five times each. What
// was guessed before a sign-in does not count, since that gave it back.
func guessLedger(d *duo) {
	const ledger, challenges = 25, 20 // what strangers may spend on six digits
	d.signInLate(4, alice, passwordless.Issue{})
	before := d.looked()
	var handles [challenges]passwordless.Secret
	var codes [challenges]string
	for i := range handles {
		started, message := d.start(i, alice, passwordless.SendCode)
		handles[i], codes[i] = started.Handle, message.Code
	}
	answers := d.at(5*challenges, func(i int, s *passwordless.Service) error {
		c := i / 5 // by both services
		return d.verify(s, handles[c], wrong(codes[c]), passwordless.Issue{})
	})
	if looked := d.looked() - before; looked != ledger || answers.of(passwordless.ErrShortCodesOff.Error()) != 5*challenges-ledger {
		d.Fatalf("%d guesses at short codes were looked at; want %d, and all others refused by the ledger; answers: %v",
			looked, ledger, answers)
	}
	started, message := d.start(challenges, alice, passwordless.SendCode)
	if code := message.Code; len(code) == len(codes[0]) {
		d.Errorf("with the ledger used up, the next code is as short as before")
	} else if err := d.verify(d.services[1], started.Handle, code, passwordless.Issue{}); err != nil {
		d.Errorf("the owner is locked out: %v", err)
	}
}

// refreshesInGrace presents one refresh token 100 times at once.
func refreshesInGrace(d *duo) {
	parent := d.signIn(alice, everything).Tokens.Refresh
	var children counts
	answers := d.at(100, func(_ int, s *passwordless.Service) error {
		child, err := d.refresh(s, parent)
		if err == nil {
			children.add(child.Reveal())
		}
		return err
	})
	d.want(answers, map[string]int{"done": 100})
	if all := children.keys(); len(all) != 1 || all[0] == parent.Reveal() {
		d.Fatalf("one token has %d children, want 1", len(all))
	}
	child := passwordless.Secret(children.keys()[0])
	grandchild, err := d.refresh(d.services[1], child)
	if err != nil {
		d.Fatalf("refreshing the child: %v", err)
	}
	_, err = d.refresh(d.services[0], parent)
	d.refuses(err, passwordless.ErrReusedToken)
	_, err = d.refresh(d.services[1], grandchild)
	d.refuses(err, passwordless.ErrInvalidToken)
}

// refreshesWithoutGrace presents one refresh token 100 times at once, of which 99 are a
// thief's or too late.
func refreshesWithoutGrace(d *duo) {
	parent := d.signIn(alice, everything).Tokens.Refresh
	var children counts
	answers := d.at(100, func(_ int, s *passwordless.Service) error {
		child, err := d.refresh(s, parent)
		if err == nil {
			children.add(child.Reveal())
		}
		return err
	})
	if children.total() != 1 || answers.of("done") != 1 || answers.of("reused token") != 1 {
		d.Fatalf("one token answered %v, want one child and one reuse", answers)
	}
	for _, s := range d.services {
		_, err := d.refresh(s, passwordless.Secret(children.keys()[0]))
		d.refuses(err, passwordless.ErrInvalidToken)
	}
}

// revocations signs users out everywhere beside eight logins of each, from challenges
// that began before.
func revocations(d *duo) {
	for i := range short(50)/10 + 1 {
		d.revokesBeside(fmt.Sprintf("person%d@example.com", i))
	}
}

func (d *duo) revokesBeside(address string) {
	user := d.signIn(address, passwordless.Issue{}).User.ID
	var handles [8]passwordless.Secret
	var codes [8]string
	for i := range handles {
		started, message := d.start(i, address, passwordless.SendCode)
		handles[i], codes[i] = started.Handle, message.Code
	}
	answers := d.at(len(handles)+1, func(i int, s *passwordless.Service) error {
		if i == len(handles) {
			return s.RevokeUser(d.ctx, "", user)
		}
		return d.verify(s, handles[i], codes[i], everything)
	})
	d.only(answers, "done", passwordless.ErrRevoked.Error())
	for _, l := range d.loggedIn(address) {
		d.ended(l)
	}
	if left := d.sessions(user); len(left) != 0 {
		d.Fatalf("%d sessions are listed after a revocation of all, want none", len(left))
	}
	d.clock.Advance(d.services[0].Policy().Policy.ClockSkew)
	d.alive(d.signIn(address, everything))
}

// startsOfOneSlot starts at once from six browsers what is found without a handle. What
// was sent last must be what works.
func startsOfOneSlot(d *duo) {
	for i := range short(40)/10 + 1 {
		address := fmt.Sprintf("person%d@example.com", i)
		d.home = i // whoever guesses there is in one network, which draws only so much
		d.want(d.at(6, func(_ int, s *passwordless.Service) error {
			_, err := s.Start(d.ctx, d.in(s, browser()), passwordless.StartRequest{Channel: passwordless.Email,
				Address: passwordless.Address(address), Send: passwordless.SendBoth, ByAddress: true})
			return err
		}), map[string]int{"done": 6})
		messages := d.mail.To(address)
		if len(messages) != 6 {
			d.Fatalf("%d messages for six starts", len(messages))
		}
		d.oneOpens(address, messages)
	}
}

// oneOpens demands that the secrets of exactly one message open the slot of an address.
func (d *duo) oneOpens(address string, messages []passwordlesstest.Entry) {
	var alive []passwordlesstest.Entry
	for _, m := range messages {
		_, err := d.services[0].PeekLink(d.ctx, d.as(d.services[0], 0), token(m))
		if err == nil {
			alive = append(alive, m)
			continue
		}
		d.refuses(err, passwordless.ErrWrongSecret)
	}
	if len(alive) != 1 {
		d.Fatalf("the links of %d messages work, want 1", len(alive))
	}
	guess := func(code string) error {
		_, err := d.services[1].Verify(d.ctx, d.as(d.services[1], d.home), passwordless.VerifyRequest{Channel: passwordless.Email,
			Address: passwordless.Address(address), Code: passwordless.Secret(code)})
		return err
	}
	for _, m := range messages {
		if m.Code != alive[0].Code {
			d.refuses(guess(m.Code), passwordless.ErrWrongSecret)
		}
	}
	if err := guess(alive[0].Code); err != nil {
		d.Fatalf("the code beside the link that works: %v", err)
	}
}

// startsInCooldown starts the same 32 times at once.
func startsInCooldown(d *duo) {
	browser := browser()
	var handles counts
	answers := d.at(32, func(_ int, s *passwordless.Service) error {
		started, err := s.Start(d.ctx, d.in(s, browser), passwordless.StartRequest{Channel: passwordless.Email, Address: alice})
		handles.add(started.Handle.Reveal())
		return err
	})
	d.want(answers, map[string]int{"done": 32})
	messages := d.mail.To(alice)
	if len(handles.keys()) != 1 || len(messages) != 1 {
		d.Fatalf("%d handles and %d messages, want one of each", len(handles.keys()), len(messages))
	}
	handle := passwordless.Secret(handles.keys()[0])
	if err := d.verify(d.services[1], handle, messages[0].Code, passwordless.Issue{}); err != nil {
		d.Fatalf("the code of the one message: %v", err)
	}
}

// neverBusy lets eight callers work at one challenge at once: a resend, a right code and
// six wrong ones.
func neverBusy(d *duo) {
	for i := range short(100)/10 + 1 {
		address := fmt.Sprintf("person%d@example.com", i)
		started, message := d.start(i, address, passwordless.SendCode)
		d.clock.Advance(time.Minute)
		answers := d.at(8, func(i int, s *passwordless.Service) error {
			code := message.Code
			switch i {
			case 3:
				_, err := s.Resend(d.ctx, d.as(s, 0), started.Handle)
				if err == nil {
					return errResent
				}
				return err
			case 4:
				return d.verify(s, started.Handle, code, everything)
			}
			return d.verify(s, started.Handle, wrong(code), everything)
		})
		d.only(answers, "done", "resent", passwordless.ErrWrongSecret.Error(), passwordless.ErrExhausted.Error(),
			passwordless.ErrConsumed.Error())
		if answers.of("done") > 1 {
			d.Fatalf("%d logins of one code", answers.of("done"))
		}
	}
}
