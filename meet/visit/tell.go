package visit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/outbox"
	"github.com/telemed-go/telemed/notify/template"
	"github.com/telemed-go/telemed/payments"
)

// templates are those that a Renderer must have.
var templates = []string{
	template.PaymentReceived, template.Confirmed, template.Rescheduled, template.Cancelled, template.Reminder, template.VisitWaiting,
	template.RefundPending, template.Refunded, template.DoctorBooked, template.DoctorMoved, template.DoctorCancelled, template.Reconnect,
}

// doctorGroup begins the names of groups of messages that are about a doctor and no visit.
const doctorGroup = "doctor/"

// note is somebody to be told something. What it says is read when it is sent.
type note struct {
	key    string
	says   string // a template, or for a booking what compose makes of it
	gen    int    // 0: it is true whatever becomes of the visit
	doctor bool
	// each has it sent over each channel of the patient; otherwise the first of order that
	// can takes it.
	each      bool
	order     []notify.Channel
	category  outbox.Category
	notBefore time.Time
	notAfter  time.Time
}

var (
	mailFirst = []notify.Channel{notify.Email, notify.WhatsApp}
	chatFirst = []notify.Channel{notify.WhatsApp, notify.Email}
	onlyMail  = []notify.Channel{notify.Email}
)

// notes returns all that patient and doctor are to be told by now, in that order. Keys with
// a generation in them make sure that each is told once.
func (r *record) notes(reminders []time.Duration, now time.Time) (notes []note) {
	if !r.Erased.IsZero() {
		return nil
	}
	if r.Paid != nil {
		notes = append(notes, note{key: "receipt", says: template.PaymentReceived, order: mailFirst})
	}
	gen := strconv.Itoa(r.Gen)
	switch {
	case r.ready():
		notes = append(notes,
			note{key: "booked/" + gen, says: template.Confirmed, gen: r.Gen, each: true, order: mailFirst, notAfter: r.end()},
			note{key: "doctor/" + gen, says: template.DoctorBooked, gen: r.Gen, doctor: true, order: onlyMail, notAfter: r.end()})
		notes = append(notes, r.reminders(reminders, now)...)
	case r.dead() && r.told("booked/"), r.dead() && r.Paid != nil:
		notes = append(notes, note{key: "cancelled", says: template.Cancelled, gen: r.Gen, each: true, order: mailFirst})
		if r.told("doctor/") {
			notes = append(notes, note{key: "doctor-cancelled", says: template.DoctorCancelled, gen: r.Gen, doctor: true, order: onlyMail})
		}
	case r.isLate(now):
		notes = append(notes, note{key: "waiting/" + gen, says: template.VisitWaiting, gen: r.Gen, order: chatFirst, notAfter: r.end()})
	}
	return append(notes, r.refundNotes()...)
}

// reminders are those whose time is still to come. Who books later than that needs none.
func (r *record) reminders(before []time.Duration, now time.Time) (notes []note) {
	for _, d := range before {
		if at := r.Start.Add(-d); at.After(now) {
			notes = append(notes, note{
				key: fmt.Sprintf("reminder/%d/%s", r.Gen, d), says: template.Reminder, gen: r.Gen, order: chatFirst, category: outbox.Reminder,
				notBefore: at, notAfter: r.Start,
			})
		}
	}
	return notes
}

// isLate reports whether the start is near and there is no meeting for it.
func (r *record) isLate(now time.Time) bool {
	return r.booked() && !r.met() && !now.Before(r.Start.Add(-near)) && now.Before(r.end())
}

// refundNotes tell of money on its way, and of money that is back once the gateway says so.
func (r *record) refundNotes() (notes []note) {
	for _, back := range r.Refunds {
		pending, done := "refund/"+back.ID+"/pending", "refund/"+back.ID+"/done"
		switch back.Status {
		case payments.RefundProcessed:
			notes = append(notes, note{key: done, says: template.Refunded, order: mailFirst})
		case payments.RefundPending, payments.RefundCreated:
			notes = append(notes, note{key: pending, says: template.RefundPending, order: mailFirst})
		}
	}
	return notes
}

// told reports whether a message was queued whose key begins so.
func (r *record) told(prefix string) bool {
	for key := range r.Told {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// untold returns the notes that are not queued.
func (v *Visits) untold(r *record, now time.Time) []note {
	return slices.DeleteFunc(r.notes(v.cfg.Reminders, now), func(n note) bool { _, queued := r.Told[n.key]; return queued })
}

// messages makes what the queue takes of a note: none, if nobody can be told.
func (r *record) messages(c *clinic, n note) (all []outbox.Message) {
	channels := c.channels(r.Request.Patient)
	if n.doctor {
		channels = nil
		if c.Mail != nil && r.Request.Doctor.Email != "" {
			channels = onlyMail
		}
	}
	m := outbox.Message{
		Key: n.key, Group: r.Request.ID, Tenant: r.Request.Tenant, Generation: n.gen, Category: n.category,
		NotBefore: n.notBefore, NotAfter: n.notAfter, Template: n.says,
	}
	if n.category == outbox.Reminder {
		m.Zone, m.Series, m.Latest = c.zoneName(r.Request.Patient.Zone), "patient", r.Start.Add(-near)
	}
	for _, channel := range n.order {
		if slices.Contains(channels, channel) {
			m.Channels = append(m.Channels, channel)
		}
	}
	if !n.each {
		if len(m.Channels) > 0 {
			all = append(all, m)
		}
		return all
	}
	for _, channel := range m.Channels {
		one := m
		one.Key, one.Channels = n.key+"/"+string(channel), []notify.Channel{channel}
		all = append(all, one)
	}
	return all
}

// tell queues what is to be told, and has the queue drop what is not true any more.
func (v *Visits) tell(ctx context.Context, r *record) (func(*record), error) {
	c, err := v.clinicOf(ctx, r.Request.Tenant)
	if err != nil {
		return nil, err
	}
	gen, notes := r.Gen, v.untold(r, time.Now())
	if r.Dropped != gen {
		if err := v.queue.Drop(ctx, r.Request.ID, gen); err != nil && !errors.Is(err, telemed.ErrNotFound) {
			return nil, err
		}
	}
	var all []outbox.Message
	for _, n := range notes {
		if n.says == template.VisitWaiting {
			v.tellStuck(r.Request.ID, r.Request.Tenant, "meeting: the visit is near and has none")
		}
		all = append(all, r.messages(c, n)...)
	}
	if len(all) > 0 {
		if err := v.queue.Enqueue(ctx, all...); err != nil {
			return nil, err
		}
	}
	return func(r *record) {
		r.Dropped = max(r.Dropped, gen)
		if r.Told == nil {
			r.Told = map[string]int{}
		}
		for _, n := range notes {
			r.Told[n.key] = gen
		}
	}, nil
}

// channels is outbox.Config.Tenants.
func (v *Visits) channels(ctx context.Context, tenant string) (map[notify.Channel]notify.Notifier, error) {
	c, err := v.clinicOf(ctx, tenant)
	if err != nil {
		return nil, err
	}
	all := map[notify.Channel]notify.Notifier{}
	if c.Mail != nil {
		all[notify.Email] = c.Mail
	}
	if c.WhatsApp != nil {
		all[notify.WhatsApp] = c.WhatsApp
	}
	return all, nil
}

// Report takes what a channel's provider says of a message, and what recipients say who want
// no more; whatsapp.Client.Reports passes it. It may come late, twice, and before the message
// is known. An error is that it could not be kept: the provider is to say it again.
func (v *Visits) Report(ctx context.Context, r notify.Report) error { return v.queue.Report(ctx, r) }
