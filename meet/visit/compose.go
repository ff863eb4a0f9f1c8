package visit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/outbox"
	"github.com/telemed-go/telemed/notify/template"
	"github.com/telemed-go/telemed/payments"
)

// compose is outbox.Config.Compose: it says what is true now, in the words of the clinic.
func (v *Visits) compose(ctx context.Context, m outbox.Message) (notify.Message, error) {
	c, err := v.clinicOf(ctx, m.Tenant)
	if err != nil {
		return notify.Message{}, err
	}
	if strings.HasPrefix(m.Group, doctorGroup) {
		return v.composeReconnect(c, m)
	}
	_, r, err := v.read(ctx, m.Group)
	if errors.Is(err, telemed.ErrNotFound) {
		return notify.Message{}, outbox.ErrUntrue
	}
	if err != nil {
		return notify.Message{}, err
	}
	says, err := v.says(ctx, r, m)
	if err != nil {
		return notify.Message{}, err
	}
	data, ok := r.data(says, m.Key)
	if !ok {
		return notify.Message{}, outbox.ErrUntrue
	}
	if a, ok := data.(template.Appointment); ok && forDoctor(says) {
		a.JoinURL = c.doctorsLink(r)
		data = a
	}
	return c.render(notify.Message{Key: m.Key, To: r.recipient(says), Template: says, Data: data})
}

// says returns the template for a message, or outbox.ErrUntrue if it is not true any more.
func (v *Visits) says(ctx context.Context, r *record, m outbox.Message) (string, error) {
	if !r.Erased.IsZero() || m.Generation != 0 && m.Generation != r.Gen {
		return "", outbox.ErrUntrue
	}
	switch m.Template {
	case template.Confirmed, template.DoctorBooked, template.Reminder:
		if !r.booked() {
			return "", outbox.ErrUntrue
		}
		if !r.ready() {
			return "", errUnready
		}
	case template.VisitWaiting:
		if !r.isLate(time.Now()) {
			return "", outbox.ErrUntrue
		}
	}
	moved := map[string]string{template.Confirmed: template.Rescheduled, template.DoctorBooked: template.DoctorMoved}[m.Template]
	if moved == "" || m.Generation == 1 {
		return m.Template, nil
	}
	heard, err := v.heard(ctx, m)
	if err == nil && heard {
		return moved, nil
	}
	return m.Template, err
}

// errUnready is that a message was queued once all was ready, and it is not at the moment: the
// doctor has deleted the meeting, or a process that stood still has written down an older
// start. It will be again, and until the end of the visit the message waits for that.
var errUnready = fault.Tagged(telemed.ErrUnavailable, errors.New("visit: the meeting is being made anew"))

// heard reports whether somebody may have got an earlier message of this one's kind: that
// something has moved is said to nobody else.
func (v *Visits) heard(ctx context.Context, m outbox.Message) (bool, error) {
	all, err := v.queue.Get(ctx, m.Group)
	if err != nil {
		return false, fmt.Errorf("visit: %w", err)
	}
	kind, _, _ := strings.Cut(m.Key, "/")
	return slices.ContainsFunc(all, func(s outbox.Status) bool {
		return strings.HasPrefix(s.Key, kind+"/") && s.Generation < m.Generation && mayHaveArrived[s.State]
	}), nil
}

// forDoctor reports whether a template is for the doctor.
func forDoctor(says string) bool {
	return says == template.DoctorBooked || says == template.DoctorMoved || says == template.DoctorCancelled
}

// doctorsLink is the doctor's way in, for a provider whose host enters by the patients'
// link. Where the host has a link of its own, it is no patient's, and nothing to mail: see
// HostLink.
func (c *clinic) doctorsLink(r *record) string {
	if _, own := c.Meetings[r.Request.Provider].(meet.HostLinker); own {
		return ""
	}
	return r.link()
}

// mayHaveArrived are the states of a message that somebody may have read.
var mayHaveArrived = map[outbox.State]bool{outbox.Sending: true, outbox.Unknown: true, outbox.Sent: true, outbox.Delivered: true, outbox.Stuck: true}

// recipient is who a template is for.
func (r *record) recipient(says string) notify.Recipient {
	if forDoctor(says) {
		return r.Request.Doctor.recipient()
	}
	p := r.Request.Patient
	zone, _ := zoneOf(p.Zone) // Book has checked it
	return notify.Recipient{Name: p.Name, Email: p.Email, Phone: p.Phone, Locale: p.Locale, Zone: zone}
}

func (d Doctor) recipient() notify.Recipient {
	zone, _ := zoneOf(d.Zone)
	return notify.Recipient{Name: d.Name, Email: d.Email, Locale: d.Locale, Zone: zone}
}

// data is what a template shows. ok is false if there is nothing to show any more.
func (r *record) data(says, key string) (data any, ok bool) {
	patient := r.Request.Patient.Name
	switch says {
	case template.PaymentReceived:
		if r.Paid == nil {
			return nil, false
		}
		return template.Payment{
			Patient: patient, Amount: r.Request.Price.Minor, Currency: string(r.Request.Price.Currency), Reference: r.Paid.reference(), PaidAt: r.Paid.At,
			Doctor: r.Request.Doctor.Name, Registration: r.Request.Doctor.Registration, Council: r.Request.Doctor.Council,
		}, true
	case template.RefundPending, template.Refunded:
		back, ok := r.refundOf(key, says)
		return template.Refund{
			Patient: patient, Amount: back.Amount.Minor, Of: r.Request.Price.Minor, Currency: string(back.Amount.Currency), Reference: back.ID, At: back.At,
		}, ok
	}
	return template.Appointment{
		Key: r.Request.ID, Patient: patient, Doctor: r.Request.Doctor.Name, Start: r.Start, Duration: r.Request.Duration,
		JoinURL: r.link(), Previous: r.previous(), Sequence: r.Gen,
		Registration: r.Request.Doctor.Registration, Council: r.Request.Doctor.Council,
	}, true
}

// link is the patient's link, if it leads to a meeting at the visit's start.
func (r *record) link() string {
	if r.ready() {
		return r.Meeting.JoinURL
	}
	return ""
}

// previous is when the visit should have begun before it was moved, zero if it was not.
func (r *record) previous() time.Time {
	if r.Start.Equal(r.Request.Start.Truncate(time.Second)) {
		return time.Time{}
	}
	return r.Request.Start
}

// reference is the id by which a patient may ask for the payment.
func (p *paid) reference() string {
	if len(p.Payments) > 0 {
		return p.Payments[0]
	}
	return p.OrderID
}

// refundOf returns the refund that a key is about, if it still is what the template says.
func (r *record) refundOf(key, says string) (refund, bool) {
	for _, back := range r.Refunds {
		if strings.HasPrefix(key, "refund/"+back.ID+"/") {
			return back, (back.Status == payments.RefundProcessed) == (says == template.Refunded) && back.Status != payments.RefundFailed
		}
	}
	return refund{}, false
}

// composeReconnect asks a doctor to connect the account again.
func (v *Visits) composeReconnect(c *clinic, m outbox.Message) (notify.Message, error) {
	var about reconnect
	if err := json.Unmarshal(m.Data, &about); err != nil {
		return notify.Message{}, fmt.Errorf("visit: notice cannot be read: %w", telemed.ErrInvalid)
	}
	data := template.Reconnection{Doctor: about.Doctor.Name, Provider: title(about.Provider), URL: v.cfg.AccountsURL}
	return c.render(notify.Message{Key: m.Key, To: about.Doctor.recipient(), Template: template.Reconnect, Data: data})
}

// title is a provider's name as people write it.
func title(name string) string { return strings.ToUpper(name[:1]) + name[1:] }

// render makes the words, so that the channels need no Renderer.
func (c *clinic) render(m notify.Message) (notify.Message, error) {
	words, err := c.Renderer.Render(m)
	if err != nil {
		return notify.Message{}, fmt.Errorf("visit: %w", err)
	}
	m.Content, m.Template, m.Data = words, "", nil
	return m, nil
}
