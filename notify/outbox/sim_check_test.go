package outbox_test

import (
	"context"
	"time"

	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/outbox"
	"github.com/telemed-go/telemed/store/durable"
)

// copies is what has arrived of one message.
type copies struct {
	chats, mails []time.Time
}

// arrived is what both channels have taken, by key.
func (w *world) arrived() map[string]*copies {
	all := map[string]*copies{}
	of := func(key string) *copies {
		if all[key] == nil {
			all[key] = &copies{}
		}
		return all[key]
	}
	for _, m := range w.chat.Messages() {
		c := of(m.Parameters[2])
		c.chats = append(c.chats, m.At)
	}
	for _, m := range w.mail.Messages() {
		at, err := m.Header.Date()
		if err != nil {
			panic(err)
		}
		c := of(keyOf(m))
		c.mails = append(c.mails, at)
	}
	return all
}

// check compares what the rows say with what has arrived.
func (w *world) check() {
	for item := range w.rows.List(context.Background(), durable.Filter{}) {
		if item.Lease.Owner != "" {
			w.problem("%s is leased", item.ID)
		}
		if item.Stuck != "" {
			w.problem("%s is stuck: %s", item.ID, item.Stuck)
		}
	}
	arrived := w.arrived()
	for _, v := range w.visits {
		before := len(w.problems)
		states := map[string]outbox.Status{}
		for _, s := range w.status(v.group) {
			states[s.Key] = s
		}
		for _, m := range v.enqueued {
			c := arrived[v.group+"/"+m.Key]
			if c == nil {
				c = &copies{}
			}
			w.checkMessage(v, m, states[m.Key], c)
		}
		if len(w.problems) > before {
			w.problem("%s", w.row(v.group))
		}
	}
}

func (w *world) checkMessage(v *visit, m outbox.Message, s outbox.Status, c *copies) {
	key := v.group + "/" + m.Key
	for channel, n := range map[notify.Channel]int{notify.WhatsApp: len(c.chats), notify.Email: len(c.mails)} {
		if n < 2 {
			continue
		}
		w.doubled[channel] += n - 1
		if w.knows(channel) || m.Category == outbox.Once {
			w.problem("%s arrived %d times by %s", key, n, channel)
		}
	}
	total, failed := len(c.chats)+len(c.mails), w.failed[notify.Reference(key)]
	if len(c.chats) > 0 && len(c.mails) > 0 && !failed && w.mailEvidence {
		w.problem("%s arrived on both channels", key)
	}
	switch s.State {
	case outbox.Sent, outbox.Delivered:
		if total == 0 {
			w.problem("%s is %s, and nobody got it", key, s.State)
		}
	case outbox.Dropped:
		if total > 0 && w.mailEvidence && !failed {
			w.problem("%s is dropped (%s), and arrived", key, s.Reason)
		}
		if s.Reason == "expired" && !w.told[key] {
			w.problem("%s is expired and nobody was told", key)
		}
	case outbox.Stuck, outbox.Failed:
		if !w.told[key] {
			w.problem("%s is %s and nobody was told", key, s.State)
		}
	default:
		w.problem("%s never ended: %s", key, s.State)
	}
	w.checkTimes(v, m, c)
}

// knows reports whether what became of a message is told.
func (w *world) knows(channel notify.Channel) bool {
	if channel == notify.WhatsApp {
		return w.reports
	}
	return w.mailEvidence
}

// checkTimes finds messages that came when they should not.
func (w *world) checkTimes(v *visit, m outbox.Message, c *copies) {
	var gone time.Time
	for generation, at := range v.dropped {
		if m.Generation > 0 && generation > m.Generation && (gone.IsZero() || at.Before(gone)) {
			gone = at
		}
	}
	for _, at := range append(c.chats, c.mails...) {
		// What was under way goes out, within half of a lease.
		if !gone.IsZero() && at.After(gone.Add(simTTL/2+time.Second)) {
			w.problem("%s/%s is a ghost: it came %s after it was dropped", v.group, m.Key, at.Sub(gone))
		}
		if !m.NotAfter.IsZero() && at.After(m.NotAfter.Add(simTTL/2)) {
			w.problem("%s/%s came %s after its time", v.group, m.Key, at.Sub(m.NotAfter))
		}
		hour := at.In(kolkata).Hour()
		if m.Category == outbox.Reminder && (hour >= 21 && at.In(kolkata).Minute() > 0 || hour < 8) {
			w.problem("%s/%s came in quiet hours: %s", v.group, m.Key, at.In(kolkata))
		}
	}
}

var kolkata = func() *time.Location {
	loc, err := time.LoadLocation("Asia/Kolkata")
	if err != nil {
		panic(err)
	}
	return loc
}()
