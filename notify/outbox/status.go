package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/telemed-go/telemed/internal/redact"
	"github.com/telemed-go/telemed/notify"
)

// State is how far a message is.
type State string

// The states of a message. Also one that is sent may fail later.
const (
	Due       State = "due"       // it waits: for its time, for a channel
	Sending   State = "sending"   // it is being sent, or who did so has died
	Unknown   State = "unknown"   // nobody knows whether it was sent, and evidence is waited for
	Sent      State = "sent"      // a provider has taken it
	Delivered State = "delivered" // a provider says that it has arrived
	Dropped   State = "dropped"   // it is not sent any more; Reason says why
	Failed    State = "failed"    // no channel could take it
	Stuck     State = "stuck"     // a person must say what is to be done; see Retry
)

// Status is what is known of a message. It prints without the provider's id, which has the
// person's number in it on WhatsApp.
type Status struct {
	Key        string
	Generation int
	Category   Category
	State      State
	// Reason says why it was dropped, has failed or is stuck, in words of this package.
	Reason string
	// Channel is the way that it is on, ID the provider's id of it. Empty before.
	Channel notify.Channel
	ID      string
	// At is when it came to its state. Of one that is due, when it is sent at the earliest.
	At time.Time
}

// LogValue leaves out the provider's id.
func (s Status) LogValue() slog.Value {
	return slog.GroupValue(slog.String("key", s.Key), slog.Int("generation", s.Generation), slog.String("state", string(s.State)),
		slog.String("reason", s.Reason), slog.String("channel", string(s.Channel)), slog.Time("at", s.At))
}

// Format prints what LogValue tells, whatever the verb.
func (s Status) Format(f fmt.State, _ rune) { redact.Format(f, s) }

// Get returns what is known of a group's messages, in the order in which they were enqueued.
// A group that is not known is telemed.ErrNotFound.
func (o *Outbox) Get(ctx context.Context, group string) ([]Status, error) {
	item, err := o.cfg.Store.Get(ctx, o.rowID(group))
	if err != nil {
		return nil, err
	}
	r, err := form.Open(item)
	if err != nil {
		return nil, err
	}
	var all []Status
	for _, m := range r.Messages {
		all = append(all, o.status(m))
	}
	return all, nil
}

func (o *Outbox) status(m *message) Status {
	s := Status{Key: m.Key, Generation: m.Generation, Category: m.Category, State: Due, Reason: m.Reason}
	w, live := m.live()
	s.Channel, s.ID, s.At = w.Channel, w.ID, w.Begun
	switch {
	case live && w.state() == wayDelivered:
		s.State, s.At = Delivered, w.Delivered
	case live && w.state() == waySent:
		s.State, s.At = Sent, w.Sent
	case !m.Dropped.IsZero():
		s.State, s.At = Dropped, m.Dropped
	case !m.Stuck.IsZero():
		s.State, s.At = Stuck, m.Stuck
	case live && w.state() == wayUnknown:
		s.State, s.At = Unknown, w.Lost
	case live:
		s.State = Sending
	case m.failed():
		s.State, s.Reason = Failed, stuckRefused
		for _, w := range m.Ways {
			s.At = later(s.At, later(w.Begun, w.Failed))
		}
	default:
		s.At = o.dueAt(m)
	}
	if s.State == Sent || s.State == Delivered {
		s.Reason = ""
	}
	return s
}

// dueAt is when a message is sent at the earliest.
func (o *Outbox) dueAt(m *message) time.Time {
	zone, err := location(m.Zone)
	if err != nil {
		return m.NotBefore
	}
	at, _ := m.moment(o.policy.quiet, zone, time.Time{})
	for _, w := range m.Ways {
		at = later(at, later(w.Rest.At, w.Paused))
	}
	return at.UTC()
}
