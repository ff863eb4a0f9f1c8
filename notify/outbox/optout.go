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
	// Same are the names of the rows of the same person's other addresses on the channel.
	Same []string `json:"same,omitempty"`
	// Moved is when the person took another address, and Next the name of its row, if it is
	// known: this one may be a stranger's. Returned is when somebody who is known took it.
	Moved    time.Time `json:"moved,omitzero"`
	Next     string    `json:"next,omitempty"`
	Returned time.Time `json:"returned,omitzero"`
}

type pepper struct {
	Key []byte `json:"key"`
}

// stopped keeps that a person wants no more messages, at all of the person's addresses.
// Without one nobody knows who.
func (o *Outbox) stopped(ctx context.Context, r notify.Report) error {
	all := distinct(append([]string{r.Address}, r.KnownAs...))
	if len(all) == 0 {
		return nil
	}
	if err := o.link(ctx, r.Channel, all); err != nil {
		return err
	}
	rows, err := o.standings(ctx, r.Channel, all)
	if err != nil {
		return err
	}
	at := reportedAt(r)
	for _, row := range rows {
		if !at.After(row.is.Allowed) { // a report that comes again, after Allow
			return nil
		}
	}
	for _, address := range all { // one that was left is linked to none
		if err := o.everywhere(ctx, r.Channel, address, stopAt(at)); err != nil {
			return err
		}
		if err := o.stoppedBeforeMove(ctx, r.Channel, address, at); err != nil {
			return err
		}
	}
	return nil
}

// stoppedBeforeMove takes what a person said before leaving an address to the next one.
func (o *Outbox) stoppedBeforeMove(ctx context.Context, channel notify.Channel, address string, at time.Time) error {
	key, err := o.optOutKey(ctx, true)
	if err != nil {
		return err
	}
	is, err := o.standingOf(ctx, optOutID(key, channel, address))
	if err != nil || is.Next == "" || at.After(is.Moved) {
		return err
	}
	return o.reach(ctx, is.Next, stopAt(at))
}

// stopAt notes when a person said stop.
func stopAt(at time.Time) change {
	return func(item *durable.Item, is *optOut) error {
		if !at.After(is.Allowed) || !is.Stopped.IsZero() { // a report that comes again
			return errUnchanged
		}
		is.Stopped, item.EraseAt = utc(at), time.Time{}
		return nil
	}
}

func reportedAt(r notify.Report) time.Time {
	if r.At.IsZero() {
		return time.Now()
	}
	return r.At
}

// Allow undoes that a person wants no more messages on a channel: they have asked for them
// again. It holds for all addresses by which the person is known. It also has an address
// used again that the person is said to have left; see notify.ReportMoved. Nobody who never
// said so is an error.
func (o *Outbox) Allow(ctx context.Context, channel notify.Channel, address string) error {
	var p fault.Problems
	p.Required("channel", string(channel))
	p.Required("address", address)
	if err := p.Err("outbox: Allow"); err != nil {
		return err
	}
	return o.everywhere(ctx, channel, address, func(item *durable.Item, is *optOut) error {
		if item.Revision == "" || is.Stopped.IsZero() && is.Moved.IsZero() {
			return errUnchanged
		}
		is.Stopped, is.Moved, is.Next, is.Allowed = time.Time{}, time.Time{}, "", now()
		return nil
	})
}

// OptedOut reports whether nothing may be sent to an address on a channel: the person wants
// no more messages, or has left the address. Run asks by itself; this is for what an
// application sends without the outbox.
func (o *Outbox) OptedOut(ctx context.Context, channel notify.Channel, address string) (bool, error) {
	var p fault.Problems
	p.Required("channel", string(channel))
	p.Required("address", address)
	if err := p.Err("outbox: OptedOut"); err != nil {
		return false, err
	}
	is, err := o.standing(ctx, channel, address)
	return !is.Stopped.IsZero() || !is.Moved.IsZero(), err
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

// addressesOf are where a channel reaches a person. Those of the application's own reach a
// telephone.
func addressesOf(channel notify.Channel, to notify.Recipient) []string {
	switch channel {
	case notify.Email:
		return distinct([]string{to.Email})
	case notify.WhatsApp:
		return distinct([]string{to.Phone, to.WhatsAppUserID})
	}
	return distinct([]string{to.Phone})
}

// optedOut reports whether the recipient wants no more messages on this channel, or has left
// the address, and what follows. A reminder goes to nobody who has said stop on any channel.
func (s *sending) optedOut(ctx context.Context, to notify.Recipient) (fact durable.Fact, stop bool, err error) {
	channels := []notify.Channel{s.channel()}
	if s.m.Category == Reminder {
		channels = slices.Concat(channels, s.m.Channels, []notify.Channel{notify.Email, notify.WhatsApp})
	}
	slices.Sort(channels)
	for _, c := range slices.Compact(channels) {
		for _, address := range addressesOf(c, to) {
			is, err := s.standing(ctx, c, address)
			switch {
			case err != nil:
				fact, err = s.failed(err)
				return fact, true, err
			case !is.Stopped.IsZero():
				return s.not(func(r *record, m *message, w *way) { m.optOut(r, w) }), true, nil
			case !is.Moved.IsZero() && c == s.channel():
				return s.not(func(r *record, m *message, w *way) { m.leave(r, w) }), true, nil
			}
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

// leave has a message take another channel, since the address may be a stranger's. If there
// is no other, a person is told.
func (m *message) leave(r *record, w *way) {
	w.State, w.Why = wayRefused, refusedMoved
	r.note(m.Key, "is refused by "+string(w.Channel)+": "+w.Why)
}

// refusedMoved is why nothing is sent to an address that the person has left.
const refusedMoved = "the person has another address"

// standing is what is known of the person at an address, or who had it: nothing of most.
func (o *Outbox) standing(ctx context.Context, channel notify.Channel, address string) (optOut, error) {
	key, err := o.optOutKey(ctx, false)
	if err != nil || key == nil || address == "" {
		return optOut{}, err
	}
	is, err := o.standingOf(ctx, optOutID(key, channel, address))
	for next, i := is.Next, 0; err == nil && next != "" && i < mostLinks; i++ {
		var at optOut
		at, err = o.standingOf(ctx, durable.ID{Kind: optOutKind, Name: next})
		is.Stopped, next = later(is.Stopped, at.Stopped), at.Next
	}
	return is, err
}

func (o *Outbox) standingOf(ctx context.Context, id durable.ID) (optOut, error) {
	item, err := o.cfg.Store.Get(ctx, id)
	if err != nil {
		return optOut{}, unknownIsNil(err)
	}
	is, err := optOutForm.Open(item)
	if err != nil {
		return optOut{}, err
	}
	return *is, nil
}
