package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/store/durable"
)

// Writer says what is wanted of messages. It writes rows and never goes to the network, so
// that it can write in the application's own transaction; see Outbox.WithStore. It is safe
// for concurrent use as far as its Store is.
type Writer struct {
	store    durable.Store
	kind     string
	wake     func()
	keep     time.Duration
	known    []notify.Channel // nil: those of the tenants
	composes bool
}

func (w *Writer) rowID(group string) durable.ID { return durable.ID{Kind: w.kind, Name: group} }

func (w *Writer) knows(channel notify.Channel) bool {
	if w.known == nil {
		return channelPattern.MatchString(string(channel))
	}
	return slices.Contains(w.known, channel)
}

// Enqueue writes messages down. What is wrong with one is a telemed.FieldError before
// anything is written; of several, a field's name begins with "Messages[1].". A group whose
// row is full is one too, of Group.
//
// The same message again is no error and changes nothing. The same Key with another content,
// or a group of another tenant, is telemed.ErrConflict. Messages of one group are written
// together; those of several groups one group after the other, unless the Writer's Store is
// a transaction.
func (w *Writer) Enqueue(ctx context.Context, messages ...Message) error {
	if err := w.validate(messages); err != nil {
		return err
	}
	var groups []string
	for _, m := range messages {
		if group := m.group(); !slices.Contains(groups, group) {
			groups = append(groups, group)
		}
	}
	for _, group := range groups {
		of := slices.DeleteFunc(slices.Clone(messages), func(m Message) bool { return m.group() != group })
		if err := w.enqueue(ctx, group, of); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) enqueue(ctx context.Context, group string, messages []Message) error {
	return w.change(ctx, group, func(item *durable.Item, r *record) error {
		if item.Revision == "" {
			item.Tenant = messages[0].Tenant
		}
		added := false
		for _, m := range messages {
			if m.Tenant != item.Tenant {
				return fmt.Errorf("outbox: Enqueue: the group is another tenant's: %w", telemed.ErrConflict)
			}
			isNew, err := r.add(m.kept())
			if err != nil {
				return err
			}
			added = added || isNew
		}
		if !added {
			return errUnchanged
		}
		if !r.fits() {
			return fault.Invalid("outbox: Enqueue", "Group", "is full: its messages do not fit into one row")
		}
		return nil
	})
}

// add adds a message, and reports whether it is new.
func (r *record) add(m *message) (isNew bool, err error) {
	sum := m.sum()
	if known := r.find(m.Key); known != nil {
		if known.Sum != "" && known.Sum != sum {
			return false, fmt.Errorf("outbox: Enqueue: the Key has another content already: %w", telemed.ErrConflict)
		}
		return false, nil
	}
	if m.Sum = sum; m.NotBefore.IsZero() {
		m.NotBefore = utc(time.Now())
	}
	r.Messages = append(r.Messages, m)
	r.note(m.Key, "enqueued")
	return true, nil
}

// Drop drops what is due of generations older than generation: a visit was moved, or
// cancelled. So is what is enqueued of them later. What is being sent at that moment goes
// out. Nothing is due of a group that is not known, which is no error.
func (w *Writer) Drop(ctx context.Context, group string, generation int) error {
	return w.change(ctx, group, func(item *durable.Item, r *record) error {
		if item.Revision == "" || r.Generation >= generation {
			return errUnchanged
		}
		r.Generation = generation
		return nil
	})
}

// Erase takes every person and every word out of a group's row, and drops what is due. Keys,
// states and times stay. A group that is not known holds nobody, which is no error.
func (w *Writer) Erase(ctx context.Context, group string) error {
	return w.change(ctx, group, func(item *durable.Item, r *record) error {
		if item.Revision == "" {
			return errUnchanged
		}
		for _, m := range r.Messages {
			if !m.arrived() {
				m.drop(r, dropErased)
			}
			m.clear()
			m.Sum = ""
			for i := range m.Ways {
				m.Ways[i].ID = ""
			}
		}
		return nil
	})
}

// Retry has a message sent again that is stuck or that no channel has taken, on every channel
// anew: a person has looked. One that is neither, or that is erased or dropped, is
// telemed.ErrConflict, one that is not known telemed.ErrNotFound.
func (w *Writer) Retry(ctx context.Context, group, key string) error {
	return w.change(ctx, group, func(_ *durable.Item, r *record) error {
		m := r.find(key)
		switch {
		case m == nil:
			return fmt.Errorf("outbox: Retry: %w", telemed.ErrNotFound)
		case m.Cleared || m.arrived() || m.Stuck.IsZero() && !m.failed():
			return fmt.Errorf("outbox: Retry: the message is neither stuck nor failed: %w", telemed.ErrConflict)
		}
		m.Stuck, m.Reason, m.Told = time.Time{}, "", ""
		for i := range m.Ways {
			w := &m.Ways[i]
			*w = way{Channel: w.Channel, N: w.N, Begun: w.Begun}
		}
		r.note(key, "is tried again")
		return nil
	})
}

// errUnchanged ends a change that has nothing to write.
var errUnchanged = errors.New("unchanged")

// change changes a group's record and has it looked after.
func (w *Writer) change(ctx context.Context, group string, change func(item *durable.Item, r *record) error) error {
	err := w.changeRow(ctx, group, change)
	if err == nil {
		w.wake()
	}
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}

func (w *Writer) changeRow(ctx context.Context, group string, change func(item *durable.Item, r *record) error) error {
	if err := durable.CheckID(w.rowID(group)); err != nil {
		return err
	}
	_, err := durable.Change(ctx, w.store, w.rowID(group), func(item *durable.Item) error {
		err := edit(item, w.keep, func(r *record) error { return change(item, r) })
		item.Due, item.Stuck, item.Attempts = time.Now(), "", 0
		return err
	})
	return err
}
