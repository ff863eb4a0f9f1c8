package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/wait"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/store/durable"
)

// plan implements durable.Kind.
func (o *Outbox) plan(item durable.Item, now time.Time) (durable.Effect, error) {
	r, err := form.Open(item)
	if err != nil {
		return durable.Effect{}, err
	}
	p := o.policy
	p.zones = map[string]*time.Location{}
	for _, m := range r.Messages {
		if _, known := p.zones[m.Zone]; known {
			continue
		}
		if p.zones[m.Zone], err = location(m.Zone); err != nil {
			return durable.Effect{}, err
		}
	}
	s := decide(r, p, now)
	effect := durable.Effect{Name: string(s.action), At: s.at}
	switch s.action {
	case actWait:
		return effect, nil
	case actSend:
		o.planSend(&effect, item, r.find(s.key), s.channel, now)
	case actAsk:
		effect.Do = func(ctx context.Context) (durable.Fact, error) {
			return o.ask(ctx, item, r.find(s.key).way(s.channel), s.key)
		}
	default:
		effect.Do = func(context.Context) (durable.Fact, error) { return o.settle(item, s), nil }
	}
	return effect, nil
}

// fact changes a message of a row.
func (o *Outbox) fact(key string, change func(r *record, m *message)) durable.Fact {
	return func(item *durable.Item) error {
		return edit(item, o.cfg.Keep, func(r *record) error {
			if m := r.find(key); m != nil {
				change(r, m)
			}
			return nil
		})
	}
}

// settle does what needs nobody outside.
func (o *Outbox) settle(item durable.Item, s step) durable.Fact {
	if s.action == actTell && o.cfg.OnStuck != nil {
		told := item.Clone()
		told.Stuck = s.key + ": " + s.reason
		o.cfg.OnStuck(told)
	}
	return o.fact(s.key, func(r *record, m *message) {
		switch s.action {
		case actLost:
			m.lose(r, s.channel, m.way(s.channel).N)
		case actDrop:
			if m.waits() {
				m.drop(r, s.reason)
			}
		case actStick:
			if w, ok := m.live(); ok && w.state() == wayUnknown && m.Stuck.IsZero() {
				m.Stuck, m.Reason = now(), s.reason
				r.note(m.Key, "is stuck: "+s.reason)
			}
		case actAgain:
			m.giveUp(r, s.channel)
		case actTell:
			m.Told = s.reason
		}
	})
}

func now() time.Time { return utc(time.Now()) }

// drop has a message not be sent any more.
func (m *message) drop(r *record, reason string) {
	if m.Dropped.IsZero() {
		m.Dropped, m.Reason = now(), reason
		r.note(m.Key, "is dropped: "+reason)
	}
}

// lose notes that the outcome of the nth send is unknown, unless it is known.
func (m *message) lose(r *record, channel notify.Channel, n int) {
	m.on(channel, func(w *way) {
		if w.N == n && w.State == waySending {
			w.State, w.Lost, w.Ask = wayUnknown, now(), durable.Rest{}
			r.note(m.Key, "has an unknown outcome on "+string(channel))
		}
	})
}

// giveUp has a message sent again whose outcome stays unknown.
func (m *message) giveUp(r *record, channel notify.Channel) {
	m.on(channel, func(w *way) {
		if w.State == wayUnknown {
			w.State, w.Copies = wayFree, w.Copies+1
			r.note(m.Key, "is given up on "+string(channel))
		}
	})
}

// free notes that the nth send surely did not go out.
func (m *message) free(channel notify.Channel, n int, change func(w *way)) {
	m.on(channel, func(w *way) {
		if w.N == n && (w.State == waySending || w.State == wayUnknown) {
			w.State = wayFree
			change(w)
		}
	})
}

// accept notes that the provider has taken a send, whichever it was.
func (m *message) accept(r *record, channel notify.Channel, id string, at time.Time) {
	m.on(channel, func(w *way) {
		if w.Sent.IsZero() {
			w.Sent, w.Rest = utc(at), durable.Rest{}
			m.identify(w, id)
			r.note(m.Key, "is sent by "+string(channel))
		}
	})
}

// identify keeps the provider's id of what was sent, unless the message was erased: Meta's
// has the person's number in it.
func (m *message) identify(w *way, id string) {
	if kept, err := json.Marshal(id); err == nil && len(kept) <= maxID && w.ID == "" && m.Sum != "" {
		w.ID = id
	}
}

// planSend has a message sent. That it is being sent is written before the first byte: Drop
// comes too late for it from then on, and who finds it so later knows of a death.
func (o *Outbox) planSend(effect *durable.Effect, item durable.Item, m *message, channel notify.Channel, begun time.Time) {
	n := m.way(channel).N + 1
	effect.Ahead = o.fact(m.Key, func(_ *record, m *message) {
		m.on(channel, func(w *way) { w.N, w.Begun, w.State = n, utc(begun), waySending })
	})
	s := &sending{Outbox: o, item: item, m: m, way: m.way(channel), n: n}
	effect.Do = s.do
}

// sending is one send of a message.
type sending struct {
	*Outbox
	item durable.Item
	m    *message
	way  way // as it was before
	n    int
}

func (s *sending) channel() notify.Channel { return s.way.Channel }

// do sends the message, if nothing is in the way.
func (s *sending) do(ctx context.Context) (durable.Fact, error) {
	msg, err := s.compose(ctx)
	switch {
	case errors.Is(err, ErrUntrue):
		return s.not(func(r *record, m *message, _ *way) { m.drop(r, dropUntrue) }), nil
	case err != nil:
		return s.failed(err)
	}
	if fact, stop, err := s.optedOut(ctx, msg.To); err != nil || stop {
		return fact, err
	}
	until, paused, err := s.pauseOf(ctx, s.item.Tenant, s.channel())
	switch {
	case err != nil:
		return s.failed(err)
	case until.After(time.Now()):
		return s.not(func(_ *record, _ *message, w *way) { w.Paused = utc(until) }), nil
	}
	notifier, err := s.notifier(ctx)
	if err == nil {
		err = s.refer(ctx, msg.Key)
	}
	if err != nil {
		return s.failed(err)
	}
	if tooLate(ctx, s.m.NotAfter) {
		return s.not(func(*record, *message, *way) {}), nil
	}
	receipt, err := notifier.Notify(ctx, msg)
	if err == nil && receipt != nil && len(receipt.KnownAs) > 0 {
		// If this is lost, reports tell it again.
		_ = s.link(ctx, s.channel(), distinct(append(addressesOf(s.channel(), msg.To), receipt.KnownAs...)))
	}
	return s.outcome(ctx, receipt, err, paused)
}

// tooLate reports whether ctx is over, or it is after the message's time.
func tooLate(ctx context.Context, notAfter time.Time) bool {
	return wait.Ended(ctx) != nil || !notAfter.IsZero() && time.Now().After(notAfter)
}

// compose returns what the message says.
func (s *sending) compose(ctx context.Context) (msg notify.Message, err error) {
	m := s.m.message(s.item.ID.Name, s.item.Tenant)
	if s.cfg.Compose != nil {
		if msg, err = s.cfg.Compose(ctx, m); err != nil && !errors.Is(err, ErrUntrue) {
			err = fault.OfApplication("Compose", err)
		}
	} else {
		msg = notify.Message{To: m.To, Template: m.Template, Content: m.Content}
		msg.To.Zone, err = location(m.Zone)
		if len(m.Data) > 0 {
			err = errors.Join(err, unmarshal(m.Data, &msg.Data))
		}
	}
	msg.Key = messageKey(m.Group, m.Key)
	return msg, err
}

// messageKey is what the channels get as a message's Key.
func messageKey(group, key string) string { return group + "/" + key }

func (s *sending) notifier(ctx context.Context) (notify.Notifier, error) {
	channels := s.cfg.Channels
	if s.cfg.Tenants != nil {
		var err error
		if channels, err = s.cfg.Tenants(ctx, s.item.Tenant); err != nil {
			return nil, fault.OfApplication("Tenants", err)
		}
	}
	if n := channels[s.channel()]; n != nil {
		return n, nil
	}
	return notify.NotifierFunc(func(context.Context, notify.Message) (*notify.Receipt, error) {
		return nil, fmt.Errorf("outbox: the tenant has no such channel: %w", telemed.ErrInvalid)
	}), nil
}

// not is the fact that this send surely did not go out.
func (s *sending) not(change func(r *record, m *message, w *way)) durable.Fact {
	return s.fact(s.m.Key, func(r *record, m *message) {
		m.free(s.channel(), s.n, func(w *way) { change(r, m, w) })
	})
}

// outcome is what came of a send.
func (s *sending) outcome(ctx context.Context, receipt *notify.Receipt, err error, paused bool) (durable.Fact, error) {
	switch {
	case err == nil && receipt != nil:
		if paused { // if this is lost, the next message finds out
			_ = s.unpause(ctx, s.item.Tenant, s.channel())
		}
		return s.accepted(receipt), told(errors.Join(receipt.Refused...))
	case err == nil, errors.Is(err, telemed.ErrAmbiguous):
		return s.fact(s.m.Key, func(r *record, m *message) { m.lose(r, s.channel(), s.n) }), told(err)
	case errors.Is(err, telemed.ErrRateLimited), errors.Is(err, telemed.ErrUnavailable):
		return s.failed(err)
	case errors.Is(err, telemed.ErrUnauthorized):
		return s.credentialsRefused(ctx, err)
	case errors.Is(err, notify.ErrRecipient), errors.Is(err, telemed.ErrInvalid):
		return s.refused(err), told(err)
	case errors.Is(err, telemed.ErrForbidden):
		noteErr := s.forbidden(ctx) // if this is lost, the next message finds out
		if s.another() {
			return s.refused(err), told(errors.Join(err, noteErr))
		}
	}
	return s.failed(err)
}

// accepted is the fact that a provider has taken the message. Copies of a mail that it did not
// take are noted: to send the message again would send it twice to all others.
func (s *sending) accepted(receipt *notify.Receipt) durable.Fact {
	return s.fact(s.m.Key, func(r *record, m *message) {
		m.accept(r, s.channel(), receipt.ID, receipt.At)
		if n := len(receipt.Refused); n > 0 {
			r.note(m.Key, "is sent without "+strconv.Itoa(n)+" of its copies")
		}
	})
}

// told is err for whoever observes the Runner, which counts no attempt of the row: the record
// says what follows.
func told(err error) error {
	if err == nil {
		return nil
	}
	return durable.AtRest(fmt.Errorf("outbox: %w", err))
}

// another reports whether there is another channel left.
func (s *sending) another() bool { return len(s.m.left()) > 1 }

// refused is the fact that this channel cannot take the message.
func (s *sending) refused(err error) durable.Fact {
	why := telemed.ErrInvalid
	for _, kind := range []error{notify.ErrRecipient, telemed.ErrForbidden} {
		if errors.Is(err, kind) {
			why = kind
		}
	}
	return s.not(func(r *record, m *message, w *way) {
		w.State, w.Why = wayRefused, why.Error()
		r.note(m.Key, "is refused by "+string(w.Channel)+": "+w.Why)
	})
}

// failed has the message rest on this channel. A provider's "not now" is no failure, and is
// waited for.
func (s *sending) failed(err error) (durable.Fact, error) {
	n := s.way.Rest.N + 1
	delay := durable.RestAfter(n, err)
	if asked := notify.RetryAfter(err); asked > 0 && errors.Is(err, telemed.ErrRateLimited) {
		// As Meta asks of one pair of numbers.
		delay = min(asked<<(2*min(n-1, 8)), max(asked, 30*time.Minute))
	}
	until := time.Now().Add(delay)
	return s.not(func(r *record, m *message, w *way) { m.rest(r, w, durable.Rest{N: n, At: utc(until)}) }), told(err)
}

// rest has the message rest on a channel. After twelve failures it is given up for another
// one.
func (m *message) rest(r *record, w *way, rest durable.Rest) {
	w.Rest = rest
	if rest.N >= stuckAfter && len(m.left()) > 1 {
		w.State, w.Why = wayRefused, telemed.ErrUnavailable.Error()
		r.note(m.Key, "is given up on "+string(w.Channel))
	}
}
