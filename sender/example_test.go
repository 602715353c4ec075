package sender_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/sender"
)

// E-mail goes to one mail server, a text message to whichever of two providers takes it. Both have queues of their own,
// so that a slow mail server delays no text messages.
func Example() {
	transport := func(name string, err error) passwordless.Sender { // stands in for a real one
		return sender.Func(func(_ context.Context, m passwordless.Message) error {
			fmt.Println(name, "asked to send", m.ID, "error:", err)
			return err
		})
	}
	mail := transport("mail server", nil)
	cheap := transport("first provider", fmt.Errorf("no credit left: %w", passwordless.ErrNotAccepted))
	dear := transport("second provider", nil)

	options := sender.BackgroundOptions{OnError: func(_ context.Context, m passwordless.Message, err error) {
		log.Println("message not sent:", m.ID, err)
	}}
	mails := sender.Background(sender.Retry(mail, sender.RetryOptions{}), options)
	texts := sender.Background(sender.Failover(sender.FailoverOptions{}, cheap, dear), options)

	cfg := passwordless.Config{ // and the rest
		Sender: sender.ByChannel{passwordless.Email: mails, passwordless.SMS: texts},
	}

	// The Service does this.
	_ = cfg.Sender.Send(context.Background(), passwordless.Message{ID: "7", Channel: passwordless.SMS})

	// Before the process ends:
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, _ = mails.Close(ctx), texts.Close(ctx)
	// Output:
	// first provider asked to send 7 error: no credit left: passwordless: message not accepted
	// second provider asked to send 7 error: <nil>
}
