package outbox

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/store/durable"
)

// Who wants no more messages has a row of the Kind optOutKind. Its name is an HMAC of the
// channel and the address under a key of the Store's own, which is in a row of the Kind
// pepperKind, and sealed there: names of rows stay readable.
const (
	optOutKind = "opt-out"
	pepperKind = "opt-out-key"
)

var (
	optOutForm = durable.Form[optOut]{Name: "outbox", Version: 1}
	pepperForm = durable.Form[pepper]{Name: "outbox", Version: 1}
	pepperID   = durable.ID{Kind: pepperKind, Name: "1"}
)

type optOut struct {
	// Stopped is when the person said so, Allowed when that was undone.
	Stopped time.Time `json:"stopped,omitzero"`
	Allowed time.Time `json:"allowed,omitzero"`
}

type pepper struct {
	Key []byte `json:"key"`
}

// stopped keeps that a person wants no more messages. Without an address nobody knows who.
func (o *Outbox) stopped(ctx context.Context, r notify.Report) error {
	if r.Address == "" {
		return nil
	}
	return o.changeOptOut(ctx, r.Channel, r.Address, func(_ *durable.Item, is *optOut) error {
		at := r.At
		if at.IsZero() {
			at = time.Now()
		}
		if !at.After(is.Allowed) || !is.Stopped.IsZero() { // a report that comes again
			return errUnchanged
		}
		is.Stopped = utc(at)
		return nil
	})
}

// Allow undoes that a person wants no more messages on a channel: they have asked for them
// again. Nobody who never said so is an error.
func (o *Outbox) Allow(ctx context.Context, channel notify.Channel, address string) error {
	var p fault.Problems
	p.Required("channel", string(channel))
	p.Required("address", address)
	if err := p.Err("outbox: Allow"); err != nil {
		return err
	}
	return o.changeOptOut(ctx, channel, address, func(item *durable.Item, is *optOut) error {
		if item.Revision == "" || is.Stopped.IsZero() {
			return errUnchanged
		}
		is.Stopped, is.Allowed = time.Time{}, now()
		return nil
	})
}

// OptedOut reports whether a person wants no more messages on a channel. Run asks by itself;
// this is for what an application sends without the outbox.
func (o *Outbox) OptedOut(ctx context.Context, channel notify.Channel, address string) (bool, error) {
	var p fault.Problems
	p.Required("channel", string(channel))
	p.Required("address", address)
	if err := p.Err("outbox: OptedOut"); err != nil {
		return false, err
	}
	return o.isOptedOut(ctx, channel, address)
}

func (o *Outbox) changeOptOut(ctx context.Context, channel notify.Channel, address string, change func(item *durable.Item, is *optOut) error) error {
	key, err := o.optOutKey(ctx, true)
	if err != nil {
		return err
	}
	_, err = durable.Change(ctx, o.cfg.Store, optOutID(key, channel, address), func(item *durable.Item) error {
		return optOutForm.Edit(item, func(is *optOut, _ *durable.Trail) error { return change(item, is) })
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}

// optOutKey returns the key that addresses are hashed with. If there is none, nobody has ever
// said stop, and it is nil or made.
func (o *Outbox) optOutKey(ctx context.Context, makes bool) ([]byte, error) {
	if known := o.pepper.Load(); known != nil {
		return *known, nil
	}
	item, err := o.cfg.Store.Get(ctx, pepperID)
	switch {
	case errors.Is(err, telemed.ErrNotFound) && !makes:
		return nil, nil
	case errors.Is(err, telemed.ErrNotFound):
		item, err = durable.Change(ctx, o.cfg.Store, pepperID, func(item *durable.Item) error {
			return pepperForm.Edit(item, func(is *pepper, _ *durable.Trail) error {
				if len(is.Key) == 0 {
					is.Key = make([]byte, 32)
					_, _ = rand.Read(is.Key) // never fails
				}
				return nil
			})
		})
	}
	if err != nil {
		return nil, err
	}
	is, err := pepperForm.Open(item)
	if err != nil {
		return nil, err
	}
	o.pepper.Store(&is.Key)
	return is.Key, nil
}

func optOutID(key []byte, channel notify.Channel, address string) durable.ID {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(string(channel) + "\x00" + strings.ToLower(address)))
	return durable.ID{Kind: optOutKind, Name: hex.EncodeToString(mac.Sum(nil))}
}

// addressOf is where a channel reaches a person. Those of the application's own reach a
// telephone.
func addressOf(channel notify.Channel, to notify.Recipient) string {
	if channel == notify.Email {
		return to.Email
	}
	return to.Phone
}

// optedOut reports whether the recipient wants no more messages on this channel, and what
// follows. A reminder goes to nobody who has said so on any channel.
func (s *sending) optedOut(ctx context.Context, to notify.Recipient) (fact durable.Fact, stop bool, err error) {
	channels := []notify.Channel{s.channel()}
	if s.m.Category == Reminder {
		channels = slices.Concat(channels, s.m.Channels, []notify.Channel{notify.Email, notify.WhatsApp})
	}
	slices.Sort(channels)
	for _, c := range slices.Compact(channels) {
		out, err := s.isOptedOut(ctx, c, addressOf(c, to))
		if err != nil {
			fact, err = s.failed(err)
			return fact, true, err
		}
		if out {
			return s.not(func(r *record, m *message, w *way) { m.optOut(r, w) }), true, nil
		}
	}
	return nil, false, nil
}

func (m *message) optOut(r *record, w *way) {
	w.State, w.Why = wayRefused, dropOptedOut
	if m.Category == Reminder || len(m.left()) == 0 {
		m.drop(r, dropOptedOut)
	}
}

func (o *Outbox) isOptedOut(ctx context.Context, channel notify.Channel, address string) (bool, error) {
	key, err := o.optOutKey(ctx, false)
	if err != nil || key == nil || address == "" {
		return false, err
	}
	item, err := o.cfg.Store.Get(ctx, optOutID(key, channel, address))
	if err != nil {
		return false, unknownIsNil(err)
	}
	is, err := optOutForm.Open(item)
	return err == nil && !is.Stopped.IsZero(), err
}
