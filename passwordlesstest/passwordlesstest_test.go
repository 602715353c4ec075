package passwordlesstest_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/seed62b93bad/passwordless"
	"github.com/seed62b93bad/passwordless/passwordlesstest"
	"github.com/seed62b93bad/passwordless/sender/sendertest"
)

func TestOutboxIsASender(t *testing.T) {
	for _, channel := range []passwordless.Channel{passwordless.Email, passwordless.SMS} {
		t.Run(string(channel), func(t *testing.T) {
			sendertest.Run(t, func(*testing.T) sendertest.Harness {
				var o passwordlesstest.Outbox
				return sendertest.Harness{
					Sender:   &o,
					Channels: []passwordless.Channel{channel},
					Received: func() []sendertest.Delivery { return deliveries(o.All()) },
					Skip: map[string]string{
						"channel": "every channel is kept",
						"hostile": "nothing is sent",
					},
				}
			})
		})
	}
}

func deliveries(entries []passwordlesstest.Entry) (all []sendertest.Delivery) {
	for _, e := range entries {
		all = append(all, sendertest.Delivery{To: []string{e.To}, Key: e.ID, Subject: e.Subject, Text: e.Text, HTML: e.HTML})
	}
	return all
}

func TestOutboxKeepsTheNewestFirst(t *testing.T) {
	clock := passwordlesstest.NewClock(time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC))
	o := passwordlesstest.Outbox{Limit: 3, Clock: clock}
	if all := o.All(); all == nil || len(all) != 0 {
		t.Errorf("empty outbox: got %#v, want an empty slice", all)
	}
	for i, to := range []passwordless.Secret{"a@example.com", "b@example.com", "a@example.com", "b@example.com", "a@example.com"} {
		m := sendertest.Message(passwordless.Email, fmt.Sprint(i))
		m.To = to
		if err := o.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		clock.Advance(time.Minute)
	}
	if got := ids(o.All()); got != "4 3 2 " {
		t.Errorf("All: %q", got)
	}
	if got := ids(o.To("a@example.com")); got != "4 2 " {
		t.Errorf("To: %q", got)
	}
	if e, ok := o.Last("b@example.com"); !ok || e.ID != "3" || !e.SentAt.Equal(time.Date(2031, 5, 6, 7, 11, 9, 0, time.UTC)) {
		t.Errorf("Last: %v %v", e, ok)
	}
	if _, ok := o.Last("A@example.com"); ok {
		t.Error("Last found another spelling")
	}
	o.Clear()
	if got := ids(o.All()); got != "" {
		t.Errorf("after Clear: %q", got)
	}
}

func ids(entries []passwordlesstest.Entry) (all string) {
	for _, e := range entries {
		all += e.ID + " "
	}
	return all
}

func TestEntryShowsSecretsAsJSON(t *testing.T) {
	o := passwordlesstest.Outbox{Clock: passwordlesstest.NewClock(time.Unix(0, 0).UTC())}
	m := sendertest.Message(passwordless.SMS, "m1")
	m.Link = "https://id.example.com/?t=x"
	if err := o.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(o.All())
	want := `[{"id":"m1","to":"+46701234567","channel":"sms","locale":"en","subject":"",` +
		`"text":"73194628 is your canary code. Ünïcode.\n\n@id.example.com #73194628","code":"73194628",` +
		`"link":"https://id.example.com/?t=x","sent_at":"1970-01-01T00:00:00Z"}]`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v\nwant %s", got, err, want)
	}
}

func TestClockMovesWhenTold(t *testing.T) {
	start := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	c := passwordlesstest.NewClock(start)
	if !c.Now().Equal(start) || !c.Advance(time.Hour).Equal(start.Add(time.Hour)) || !c.Now().Equal(start.Add(time.Hour)) {
		t.Errorf("the clock stands at %v", c.Now())
	}
	c.Set(start)
	var wg sync.WaitGroup
	for range 60 {
		wg.Go(func() { c.Advance(time.Second) })
	}
	wg.Wait()
	if got := c.Now().Sub(start); got != time.Minute {
		t.Errorf("60 seconds moved it by %v", got)
	}
}
