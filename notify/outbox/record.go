package outbox

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/store/durable"
)

// RowKind is the durable.ID's Kind of a group's row, unless Config.Kind is another.
const RowKind = "outbox"

var form = durable.Form[record]{Name: "outbox", Version: 2}

// record is a group's row: what is wanted, which the application changes, and what is known,
// which only grows. A field that is added to it, and is not known to others yet, they keep;
// one that is added inside of it needs a new version.
type record struct {
	// Generation is the least that is still to be sent.
	Generation int        `json:"generation,omitempty"`
	Messages   []*message `json:"messages,omitempty"`

	trail durable.Trail
}

// version is the first one that reads r: what needs nothing of a later one can be sent by a
// process of the version before.
func (r *record) version() int {
	for _, m := range r.Messages {
		if m.To != nil && m.To.WhatsAppUserID != "" {
			return 2
		}
		if m.Content == nil || m.Content.WhatsApp == nil {
			continue
		}
		if t := m.Content.WhatsApp; len(t.Named) > 0 || t.Header != nil || len(t.Buttons) > 0 {
			return 2
		}
	}
	return 1
}

// message is one of a group.
type message struct {
	// What is wanted.
	Key        string           `json:"key"`
	Generation int              `json:"generation,omitempty"`
	Category   Category         `json:"category"`
	Channels   []notify.Channel `json:"channels"`
	NotBefore  time.Time        `json:"not_before,omitzero"`
	NotAfter   time.Time        `json:"not_after,omitzero"`
	Latest     time.Time        `json:"latest,omitzero"`
	Zone       string           `json:"zone,omitempty"`
	Series     string           `json:"series,omitempty"`
	Template   string           `json:"template,omitempty"`

	// What a person is in. It is taken out once it is not needed any more.
	To      *person         `json:"to,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
	Content *notify.Content `json:"content,omitempty"`
	// Sum tells whether a message of the same Key is the same. Empty: it was erased.
	Sum     string `json:"sum,omitempty"`
	Cleared bool   `json:"cleared,omitempty"`

	// What is known.
	Ways    []way     `json:"ways,omitempty"`
	Dropped time.Time `json:"dropped,omitzero"`
	Stuck   time.Time `json:"stuck,omitzero"`
	Reason  string    `json:"reason,omitempty"` // why it was dropped, or is stuck
	Told    string    `json:"told,omitempty"`   // what OnStuck was told of it last
}

// person is a notify.Recipient as it is kept.
type person struct {
	Name   string `json:"name,omitempty"`
	Email  string `json:"email,omitempty"`
	Phone  string `json:"phone,omitempty"`
	Locale string `json:"locale,omitempty"`
	// Since version 2.
	WhatsAppUserID string `json:"whatsapp_user_id,omitempty"`
}

// way is a channel that a message has tried.
type way struct {
	Channel notify.Channel `json:"channel"`
	// N counts the sends that have begun, Begun is when the last one did, and State how far
	// that is.
	N     int       `json:"n,omitempty"`
	Begun time.Time `json:"begun,omitzero"`
	State wayState  `json:"state,omitempty"`
	// Lost is since when its outcome is unknown, Copies how many have been given up so.
	Lost   time.Time `json:"lost,omitzero"`
	Copies int       `json:"copies,omitempty"`
	// Why is why the channel has refused the message.
	Why string `json:"why,omitempty"`
	// Rest is of sends that have failed, Ask of questions for evidence, Paused until when the
	// channel is not tried because the tenant's credentials for it are refused.
	Rest   durable.Rest `json:"rest,omitzero"`
	Ask    durable.Rest `json:"ask,omitzero"`
	Paused time.Time    `json:"paused,omitzero"`
	// ID is the provider's. Sent, Delivered and Failed are when the provider said so.
	ID        string    `json:"id,omitempty"`
	Sent      time.Time `json:"sent,omitzero"`
	Delivered time.Time `json:"delivered,omitzero"`
	Failed    time.Time `json:"failed,omitzero"`
}

// wayState is how far a message is on one channel, as long as the provider has not said
// that it took it.
type wayState string

const (
	wayFree    wayState = "" // it may be tried
	waySending wayState = "sending"
	wayUnknown wayState = "unknown"
	wayRefused wayState = "refused"
	// The others are not written down: what the provider said tells them.
	waySent      wayState = "sent"
	wayDelivered wayState = "delivered"
	wayFailed    wayState = "failed"
)

// state is how far a message is on the channel. Reports come in any order, so that what is
// farther holds: a message that has arrived has not failed.
func (w way) state() wayState {
	switch {
	case !w.Delivered.IsZero():
		return wayDelivered
	case !w.Failed.IsZero():
		return wayFailed
	case !w.Sent.IsZero():
		return waySent
	}
	return w.State
}

// wasOut reports whether the last send may have gone out.
func (w way) wasOut() bool {
	return slices.Contains([]wayState{waySending, wayUnknown, waySent, wayDelivered, wayFailed}, w.state())
}

// kept is m as it is kept.
func (m Message) kept() *message {
	k := &message{
		Key: m.Key, Generation: m.Generation, Category: m.Category, Channels: m.Channels, NotBefore: utc(m.NotBefore),
		NotAfter: utc(m.NotAfter), Latest: utc(m.Latest), Zone: m.Zone, Series: m.Series, Template: m.Template,
		Data: m.Data, Content: m.Content,
	}
	if k.Category == "" {
		k.Category = Notice
	}
	if p := (person{m.To.Name, m.To.Email, m.To.Phone, m.To.Locale, m.To.WhatsAppUserID}); p != (person{}) {
		k.To = &p
	}
	return k
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

// message is what the application has enqueued.
func (m *message) message(group, tenant string) Message {
	made := Message{
		Key: m.Key, Group: group, Tenant: tenant, Generation: m.Generation, Category: m.Category, Channels: slices.Clone(m.Channels),
		NotBefore: m.NotBefore, NotAfter: m.NotAfter, Latest: m.Latest, Zone: m.Zone, Series: m.Series, Template: m.Template,
		Data: m.Data, Content: m.Content,
	}
	if m.To != nil {
		made.To = notify.Recipient{Name: m.To.Name, Email: m.To.Email, Phone: m.To.Phone, Locale: m.To.Locale, WhatsAppUserID: m.To.WhatsAppUserID}
	}
	return made
}

// find returns the message of that key, nil if there is none.
func (r *record) find(key string) *message {
	for _, m := range r.Messages {
		if m.Key == key {
			return m
		}
	}
	return nil
}

// way returns what is known of a channel, which is nothing at first.
func (m *message) way(channel notify.Channel) way {
	for _, w := range m.Ways {
		if w.Channel == channel {
			return w
		}
	}
	return way{Channel: channel}
}

// on changes what is known of a channel.
func (m *message) on(channel notify.Channel, change func(w *way)) {
	i := slices.IndexFunc(m.Ways, func(w way) bool { return w.Channel == channel })
	if i < 0 {
		m.Ways, i = append(m.Ways, way{Channel: channel}), len(m.Ways)
	}
	change(&m.Ways[i])
}

// live returns the way that the message is on, or has arrived by.
func (m *message) live() (way, bool) {
	var found way
	for _, w := range m.Ways {
		switch w.state() {
		case wayDelivered:
			return w, true
		case waySending, wayUnknown, waySent:
			found = w
		}
	}
	return found, found.Channel != ""
}

// arrived reports whether the provider has taken the message, as far as is known.
func (m *message) arrived() bool {
	w, ok := m.live()
	return ok && (w.state() == waySent || w.state() == wayDelivered)
}

// left returns the channels that have not refused it, and were not taken: none if nobody is
// left in it who could be told.
func (m *message) left() (channels []notify.Channel) {
	if m.Cleared {
		return nil
	}
	for _, c := range m.Channels {
		if m.way(c).state() == wayFree {
			channels = append(channels, c)
		}
	}
	return channels
}

// failed reports whether every channel has refused it, or has failed.
func (m *message) failed() bool {
	_, live := m.live()
	return !live && m.Dropped.IsZero() && len(m.left()) == 0
}

// waits reports whether the message is to be sent, now or later.
func (m *message) waits() bool {
	_, live := m.live()
	return !live && m.Dropped.IsZero() && m.Stuck.IsZero() && len(m.left()) > 0
}

// fallbackFor is how long after a send another channel is taken if it is reported as failed.
const fallbackFor = 3 * 24 * time.Hour

// clearAt is from when nothing of a person is needed any more; zero if that is not known yet.
// A message that is stuck keeps it: a person may have it sent again.
func (m *message) clearAt() time.Time {
	if !m.Dropped.IsZero() {
		return m.Dropped
	}
	w, ok := m.live()
	switch {
	case !ok || !m.arrived():
		return time.Time{}
	case !w.Delivered.IsZero() || len(m.left()) == 0:
		return w.Begun
	}
	at := w.Begun.Add(fallbackFor)
	if !m.NotAfter.IsZero() && m.NotAfter.Before(at) {
		at = m.NotAfter
	}
	return at
}

// clear takes out what a person is in.
func (m *message) clear() {
	m.To, m.Data, m.Content, m.Cleared = nil, nil, nil, true
}

// edit changes a group's row, which is then kept for a while. What finished messages say is
// taken out.
func edit(item *durable.Item, keep time.Duration, change func(r *record) error) error {
	version := 0
	err := form.Edit(item, func(r *record, trail *durable.Trail) error {
		defer func() { version = r.version() }()
		r.trail = *trail
		if err := change(r); err != nil {
			return err
		}
		now := time.Now()
		end := now
		for _, m := range r.Messages {
			if at := m.clearAt(); !at.IsZero() && !at.After(now) && !m.Cleared {
				m.clear()
			}
			for _, at := range []time.Time{m.NotBefore, m.NotAfter} {
				if at.After(end) {
					end = at
				}
			}
		}
		*trail = r.trail
		item.EraseAt = end.Add(keep)
		return nil
	})
	if err == nil {
		item.Version = version
	}
	return err
}

const (
	// messageRoom and wayRoom are how long what becomes known of a message, and of it on one
	// channel, is at most, as JSON.
	messageRoom = 250
	wayRoom     = 700
	// maxID is how long a provider's id is at most that is kept, as JSON.
	maxID = 256
	// maxGroup is how long a group's record may be in the end. What is left of durable.MaxData
	// is for a seal.
	maxGroup = durable.MaxData - 4<<10
)

// fits reports whether there is room in the row for all that will be known of its messages.
func (r *record) fits() bool {
	data, err := json.Marshal(r)
	room := maxGroup - len(data)
	for _, m := range r.Messages {
		if m.Dropped.IsZero() {
			room -= messageRoom
		}
		if !m.Cleared {
			room -= wayRoom * len(m.Channels)
		}
	}
	return err == nil && room >= 0
}

// note adds to the audit trail, which is readable: keys, channels and states. Ids of
// providers are not among it, for Meta's has the person's number in it.
func (r *record) note(key, what string) { r.trail.Add(key + " " + what) }
