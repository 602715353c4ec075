package model_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/store"
	"github.com/seed62b93bad/passwordless/store/memstore"
)

// One guess is written and its answer lost; before it is tried again, a second has loaded
// what it wrote, and a third has written over it. The second must not find its record
// again: it would take the count back to where it was.
func TestALostAnswerDoesNotTakeTheCountBack(t *testing.T) {
	st := &interrupted{Store: memstore.New()}
	mail := &mailbox{}
	s, err := passwordless.New(passwordless.Config{Issuer: "https://login.example.com/", AppName: "Example", Sender: mail,
		Store: st,
		Clock: &clock{start}, Templates: english(t), Clients: passwordless.ClientList{{ID: "web", Public: true}},
		Hasher: passwordless.NewKeyring(passwordless.RandomKey(), passwordless.RingKey{ID: "k", Secret: passwordless.RandomKey()}),
		Policy: passwordless.Policy{Codes: passwordless.CodePolicy{MaxAttempts: attempts}}})
	if err != nil {
		t.Fatal(err)
	}
	by, err := s.Trusted(t.Context(), "web", caller(0, ""))
	if err != nil {
		t.Fatal(err)
	}
	started, err := s.Start(t.Context(), by, passwordless.StartRequest{Channel: passwordless.Email, Address: "person@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	guess := func() int {
		_, err := s.Verify(context.Background(), by, passwordless.VerifyRequest{Handle: started.Handle,
			Code: passwordless.Secret(wrong(mail.last().Code.Reveal()))})
		var refused *passwordless.ChallengeError
		if !errors.As(err, &refused) {
			t.Errorf("a wrong code was answered %v", err)
			return -1
		}
		return refused.AttemptsLeft
	}

	var second sync.WaitGroup
	loaded, release := make(chan struct{}), make(chan struct{})
	var left int
	hold := func() {
		close(loaded)
		<-release
	}
	st.once(nil, func() error { // the first has written
		st.once(hold, nil)
		second.Go(func() { left = guess() })
		<-loaded
		if got := guess(); got != attempts-2 {
			t.Errorf("the third guess left %d attempts, want %d", got, attempts-2)
		}
		return store.ErrUncertain
	})
	if got := guess(); got != attempts-3 {
		t.Errorf("the first guess, counted twice, left %d attempts, want %d", got, attempts-3)
	}
	close(release)
	second.Wait()
	if left != attempts-4 {
		t.Errorf("the second guess left %d attempts, want %d", left, attempts-4)
	}
}

// An interrupted lets something happen once before a commit, or after one, whose answer
// it then replaces.
type interrupted struct {
	store.Store

	mu     sync.Mutex // guards both
	before func()
	after  func() error
}

func (s *interrupted) Commit(ctx context.Context, now store.Instant, b store.Batch) (store.Levels, error) {
	before, after := s.next()
	if before != nil {
		before()
	}
	levels, err := s.Store.Commit(ctx, now, b)
	if after != nil && err == nil {
		return nil, after()
	}
	return levels, err
}

func (s *interrupted) once(before func(), after func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before, s.after = before, after
}

func (s *interrupted) next() (before func(), after func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, after = s.before, s.after
	s.before, s.after = nil, nil
	return before, after
}
