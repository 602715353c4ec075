package linear_test

import (
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/store"
)

const (
	serviceClients = 8
	serviceCalls   = 3 // a client
	attempts       = 5
)

// A challenge is the sequential model of one: docs/machines.md without its clock.
type challenge struct {
	state string
	used  int
}

// The inputs of a challenge.
const (
	rightCode   = "right code"
	wrongCode   = "wrong code"
	malformed   = "malformed code"
	checkRight  = "check right code"
	rightLink   = "right link"
	wrongLink   = "wrong link"
	notMe       = "cancel"
	resend      = "resend"
	unknownCall = "unknown" // an answer: it may or may not have been applied
)

// step returns the answer to an input, and the challenge after it.
func (c challenge) step(input string) (string, challenge) {
	switch {
	case input == wrongLink:
		return "wrong, 0 left", c
	case c.state != "open":
		return c.state, c
	}
	switch input {
	case rightLink:
		return "login", challenge{"used", c.used}
	case notMe:
		return "done", challenge{"cancelled", c.used}
	case resend:
		return "too soon", c
	}
	left := attempts - c.used
	switch {
	case input == malformed:
		return fmt.Sprintf("malformed, %d left", left), c
	case input == checkRight && left == 1: // the right code is to be presented once more
		return "right", c
	}
	c.used, left = c.used+1, left-1
	switch {
	case input == checkRight:
		return "right", c
	case input == rightCode:
		return "login", challenge{"used", c.used}
	case left == 0:
		return "exhausted", challenge{"exhausted", c.used}
	}
	return fmt.Sprintf("wrong, %d left", left), c
}

var serviceModel = porcupine.Model{
	Init: func() any { return challenge{state: "open"} },
	Step: func(now, input, output any) (bool, any) {
		answer, next := now.(challenge).step(input.(string))
		return output == answer || output == unknownCall, next
	},
	DescribeOperation: describe,
}

// answer puts the outcome of a call in the model's words, or returns the error that no
// comment names.
func answer(success string, err error) (string, error) {
	var refused *passwordless.ChallengeError
	if !errors.As(err, &refused) {
		switch {
		case err == nil:
			return success, nil
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, store.ErrUncertain), errors.Is(err, store.ErrUnavailable):
			return unknownCall, nil
		}
		return "", err
	}
	words := map[error]string{
		passwordless.ErrWrongSecret: fmt.Sprintf("wrong, %d left", refused.AttemptsLeft), passwordless.ErrConsumed: "used",
		passwordless.ErrMalformedCode: fmt.Sprintf("malformed, %d left", refused.AttemptsLeft), passwordless.ErrExhausted: "exhausted",
		passwordless.ErrCancelled: "cancelled", passwordless.ErrTooSoon: "too soon",
	}
	if word, ok := words[refused.Reason]; ok {
		return word, nil
	}
	return "", err
}

// serviceRounds returns an error if calls at one challenge, on two Services of one
// configuration, could not have happened one after another.
func serviceRounds(rounds int, a, b store.Store) error {
	var mail mailbox
	var services [2]*passwordless.Service
	wide := passwordless.Limit{Count: 1e6, Per: 24 * time.Hour}
	cfg := passwordless.Config{
		Issuer: "https://login.example.com/", AppName: "Example", Sender: &mail, Clock: clock{}, Users: everybody{},
		Hasher:  passwordless.NewKeyring(passwordless.RandomKey(), passwordless.RingKey{ID: "k1", Secret: passwordless.RandomKey()}),
		Clients: passwordless.ClientList{{ID: "web", Public: true}}, Timeout: time.Minute,
		Policy: passwordless.Policy{Codes: passwordless.CodePolicy{MaxAttempts: attempts},
			Limits: passwordless.LimitPolicy{Guesses: wide, Starts: []passwordless.Limit{wide}}}}
	for i, st := range [...]store.Store{a, b} {
		var err error
		cfg.Store = st
		if services[i], err = passwordless.New(cfg); err != nil {
			return err
		}
	}
	for i := range rounds {
		r, err := startRound(services, &mail, passwordless.Address(fmt.Sprintf("person%d@example.com", i)))
		if err != nil {
			return fmt.Errorf("linear: starting: %w", err)
		}
		parallel(serviceClients, r.run)
		if err := r.verdict(serviceModel); err != nil {
			return err
		}
	}
	return nil
}

// A serviceRound is some clients at one challenge.
type serviceRound struct {
	recorder
	services [2]*passwordless.Service
	started  passwordless.Started
	message  passwordless.Message
}

var caller = passwordless.Caller{IP: netip.MustParseAddr("192.0.2.1")}

func startRound(services [2]*passwordless.Service, mail *mailbox, address passwordless.Address) (*serviceRound, error) {
	by, err := services[0].Trusted(context.Background(), "web", caller)
	if err != nil {
		return nil, err
	}
	started, err := services[0].Start(context.Background(), by, passwordless.StartRequest{
		Channel: passwordless.Email, Address: address, Send: passwordless.SendBoth})
	return &serviceRound{services: services, started: started, message: mail.last()}, err
}

// run is one client.
func (r *serviceRound) run(client int) {
	inputs := []string{rightCode, wrongCode, wrongCode, wrongCode, wrongCode, malformed, checkRight, rightLink, wrongLink, resend}
	if mathrand.IntN(3) == 0 {
		inputs = append(inputs, notMe)
	}
	for range serviceCalls {
		input := inputs[mathrand.IntN(len(inputs))]
		r.call(client, input, func() (any, bool, error) {
			got, err := r.present(r.services[client%2], input)
			if err != nil {
				return nil, true, err
			}
			return got, got != unknownCall, nil
		})
	}
}

// present makes the call that an input stands for.
func (r *serviceRound) present(s *passwordless.Service, input string) (string, error) {
	ctx, cancel := ctx()
	defer cancel()
	from := caller
	from.Browser = r.started.Browser
	by, err := s.Trusted(ctx, "web", from)
	if err != nil {
		return "", err
	}
	code := r.message.Code.Reveal()
	switch input {
	case rightLink, wrongLink:
		token := tokenOf(r.message.Link)
		if input == wrongLink {
			token = other(token)
		}
		_, err := s.RedeemLink(ctx, by, passwordless.RedeemRequest{Token: passwordless.Secret(token)})
		return answer("login", err)
	case notMe:
		return answer("done", s.Cancel(ctx, by, passwordless.Secret(tokenOf(r.message.Cancel))))
	case resend:
		_, err := s.Resend(ctx, by, r.started.Handle)
		return answer("resent", err)
	case wrongCode:
		code = code[:len(code)-1] + string('0'+(code[len(code)-1]-'0'+1)%10)
	case malformed:
		code = "12x"
	}
	req := passwordless.VerifyRequest{Handle: r.started.Handle, Code: passwordless.Secret(code)}
	if input == checkRight {
		return answer("right", s.CheckCode(ctx, by, req))
	}
	_, err = s.Verify(ctx, by, req)
	return answer("login", err)
}

// tokenOf returns the token in a link.
func tokenOf(link passwordless.Secret) string {
	_, token, _ := strings.Cut(link.Reveal(), "?t=")
	return token
}

// other returns another token for the same challenge.
func other(token string) string {
	middle := len(token) - 8
	flip := byte('A')
	if token[middle] == flip {
		flip = 'B'
	}
	return token[:middle] + string(flip) + token[middle+1:]
}

// A clock stands still, so that nothing expires.
type clock struct{}

func (clock) Now() time.Time { return t0.Time() }

// An everybody holds every address, proved.
type everybody struct{}

func (everybody) Find(_ context.Context, _ string, id passwordless.Identifier) (passwordless.User, error) {
	return passwordless.User{ID: "user", Email: id.Address, EmailVerified: true}, nil
}

func (everybody) Get(context.Context, string, string) (passwordless.User, error) {
	return passwordless.User{}, passwordless.ErrNoUser // nobody refreshes
}

func (e everybody) Create(ctx context.Context, tenant string, id passwordless.Identifier) (passwordless.User, error) {
	return e.Find(ctx, tenant, id)
}

func (e everybody) ConfirmFirstProof(
	ctx context.Context, tenant, _ string, id passwordless.Identifier,
) (passwordless.User, error) {
	return e.Find(ctx, tenant, id)
}

// A mailbox keeps the last message.
type mailbox struct {
	mu      sync.Mutex // guards message
	message passwordless.Message
}

func (b *mailbox) Send(_ context.Context, m passwordless.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.message = m
	return nil
}

func (b *mailbox) last() passwordless.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.message
}
