package passwordlesstest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/seed62b93bad/passwordless"
)

// An Entry is a message that was sent, with its secrets in the open: it prints and marshals
// what a passwordless.Message hides. Keep it in tests and development.
type Entry struct {
	ID      string               `json:"id"`
	To      string               `json:"to"`
	Channel passwordless.Channel `json:"channel"`
	Locale  string               `json:"locale"`
	Subject string               `json:"subject"`
	Text    string               `json:"text"`
	Code    string               `json:"code"` // "" if the message has none
	Link    string               `json:"link"` // likewise
	SentAt  time.Time            `json:"sent_at"`

	HTML    string               `json:"-"`
	Cancel  string               `json:"-"` // the "this was not me" link
	Purpose passwordless.Purpose `json:"-"`
	Tenant  string               `json:"-"`
	Client  string               `json:"-"`
	AppName string               `json:"-"`
	Expires time.Time            `json:"-"`
}

// An Outbox is a Sender that keeps messages instead of sending them. The zero Outbox is
// ready for use. It is safe for concurrent use; its fields must not change after the first Send.
type Outbox struct {
	// Limit is how many messages are kept; the oldest make room. 0 means 1000.
	Limit int
	// Clock tells when a message was sent; nil means the system's clock.
	Clock interface{ Now() time.Time }

	mu        sync.Mutex // guards what follows
	entries   []Entry    // oldest first
	discarded []Entry    // likewise, and shown to nobody
}

var _ passwordless.Sender = (*Outbox)(nil)

// Asynchronous returns true: keeping a message waits for nobody.
func (o *Outbox) Asynchronous() bool { return true }

// Send keeps the message, of whatever channel. It fails only if ctx is over.
func (o *Outbox) Send(ctx context.Context, m passwordless.Message) error {
	return o.put(ctx, m, &o.entries)
}

// Discard does what Send does, with a message that nobody gets to see. It fails only if ctx is over.
func (o *Outbox) Discard(ctx context.Context, m passwordless.Message) error {
	return o.put(ctx, m, &o.discarded)
}

// put adds a message to a list of the outbox. It takes no longer for a long list.
func (o *Outbox) put(ctx context.Context, m passwordless.Message, list *[]Entry) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: outbox: %w", passwordless.ErrNotAccepted, err)
	}
	e := entry(m)
	o.mu.Lock()
	defer o.mu.Unlock()
	e.SentAt = o.now()
	limit := o.Limit
	if limit <= 0 {
		limit = 1000
	}
	if over := len(*list) + 1 - limit; over > 0 {
		clear((*list)[:over])
		*list = (*list)[over:]
	}
	*list = append(*list, e)
	return nil
}

func (o *Outbox) now() time.Time {
	if o.Clock == nil {
		return time.Now()
	}
	return o.Clock.Now()
}

func entry(m passwordless.Message) Entry {
	return Entry{
		ID:      m.ID,
		To:      m.To.Reveal(),
		Channel: m.Channel,
		Locale:  m.Locale,
		Subject: m.Subject.Reveal(),
		Text:    m.Text.Reveal(),
		Code:    m.Code.Reveal(),
		Link:    m.Link.Reveal(),
		HTML:    m.HTML.Reveal(),
		Cancel:  m.Cancel.Reveal(),
		Purpose: m.Purpose,
		Tenant:  m.Tenant,
		Client:  m.Client,
		AppName: m.AppName,
		Expires: m.Expires,
	}
}

// All returns the messages that are kept, newest first. The slice is the caller's. It is
// empty, but not nil, if there are none.
func (o *Outbox) All() []Entry {
	return o.filter(func(Entry) bool { return true })
}

// To returns the messages to an address, newest first, like All. The address is a
// canonical one, compared byte for byte.
func (o *Outbox) To(address string) []Entry {
	return o.filter(func(e Entry) bool { return e.To == address })
}

// Last returns the newest message to an address, or false if there is none.
func (o *Outbox) Last(address string) (Entry, bool) {
	all := o.To(address)
	if len(all) == 0 {
		return Entry{}, false
	}
	return all[0], true
}

// Clear forgets all messages.
func (o *Outbox) Clear() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.entries, o.discarded = nil, nil
}

func (o *Outbox) filter(keep func(Entry) bool) []Entry {
	o.mu.Lock()
	defer o.mu.Unlock()
	found := []Entry{}
	for _, e := range slices.Backward(o.entries) {
		if keep(e) {
			found = append(found, e)
		}
	}
	return found
}
