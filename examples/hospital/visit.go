package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/template"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/realtime"
)

// book records a visit and opens the order that pays for it.
func (h *hospital) book(ctx context.Context, a appointment) (appointment, error) {
	a.ID, a.Status, a.Amount = newID(), awaitingPayment, payments.INR(fee)
	if err := a.request().Validate(h.now()); err != nil {
		return a, err
	}
	order, err := h.gateway.CreateOrder(ctx, payments.OrderRequest{Amount: a.Amount, Receipt: a.ID})
	if err != nil {
		return a, err
	}
	a.OrderID = order.ID
	h.visits.add(a)
	return a, nil
}

// confirm does all that follows a verified payment, and only what is missing of it: it is
// called by the browser's return, by each webhook, and again after any failure. An error
// means that something is still missing, and that calling again will mend it.
func (h *hospital) confirm(ctx context.Context, id, paymentID string) error {
	return h.visits.with(id, func(a *appointment) error {
		if a.Status == cancelled {
			return h.refundLate(ctx, a, paymentID)
		}
		if a.Status == awaitingPayment {
			a.Status, a.PaymentID = paid, paymentID
		}
		if a.JoinURL == "" {
			meeting, err := h.meetings[a.Provider].Create(ctx, doctorID, a.request())
			if err != nil {
				return fmt.Errorf("meeting: %w", err)
			}
			a.MeetingID, a.JoinURL = meeting.ID, meeting.JoinURL
		}
		fresh := a.Status == paid
		a.Status = confirmed
		err := h.tell(ctx, a, template.Confirmed, template.Receipt)
		if fresh {
			err = errors.Join(err, h.announce(ctx, "new-appointment", a))
		}
		return err
	})
}

// refundLate gives money back that arrived after the visit was cancelled.
func (h *hospital) refundLate(ctx context.Context, a *appointment, paymentID string) error {
	if a.RefundID != "" {
		return nil
	}
	refund, err := h.gateway.Refund(ctx, payments.RefundRequest{PaymentID: paymentID, IdempotencyKey: "cancel-" + a.ID})
	if err != nil {
		return fmt.Errorf("refund: %w", err)
	}
	a.PaymentID, a.RefundID = paymentID, refund.ID
	return nil
}

var errState = errors.New("the visit is not in a state for this")

// reschedule moves a confirmed visit; its join link stays.
func (h *hospital) reschedule(ctx context.Context, id string, start time.Time) error {
	return h.visits.with(id, func(a *appointment) error {
		if a.Status != confirmed {
			return errState
		}
		moved := *a
		moved.Start = start
		if _, err := h.meetings[a.Provider].Update(ctx, doctorID, a.MeetingID, moved.request()); err != nil {
			return err
		}
		if !a.Start.Equal(start) {
			a.Start = start
			a.Sequence++
		}
		return errors.Join(h.tell(ctx, a, template.Rescheduled), h.announce(ctx, "appointment-changed", a))
	})
}

// cancel ends a visit and gives the money back. If it fails half-way, cancelling again goes on.
func (h *hospital) cancel(ctx context.Context, id string) error {
	return h.visits.with(id, func(a *appointment) error {
		if a.Status == cancelled {
			return nil
		}
		if a.MeetingID != "" {
			if err := h.meetings[a.Provider].Cancel(ctx, doctorID, a.MeetingID); err != nil {
				return fmt.Errorf("meeting: %w", err)
			}
		}
		if a.PaymentID != "" {
			refund, err := h.gateway.Refund(ctx, payments.RefundRequest{PaymentID: a.PaymentID, IdempotencyKey: "cancel-" + a.ID})
			if err != nil {
				return fmt.Errorf("refund: %w", err)
			}
			a.RefundID = refund.ID
		}
		told := a.Status == confirmed
		a.Status = cancelled
		a.Sequence++
		if !told {
			return nil // nobody heard of it yet
		}
		return errors.Join(h.tell(ctx, a, template.Cancelled), h.announce(ctx, "appointment-changed", a))
	})
}

// tell sends messages by e-mail and WhatsApp, each once. A channel that fails does not stop the other.
func (h *hospital) tell(ctx context.Context, a *appointment, names ...string) error {
	var errs []error
	for _, name := range names {
		for channel, notifier := range map[notify.Channel]notify.Notifier{notify.Email: h.mail, notify.WhatsApp: h.whatsapp} {
			key := fmt.Sprintf("%s/%s/%d/%s", a.ID, name, a.Sequence, channel)
			if name == template.Confirmed || name == template.Receipt {
				key = fmt.Sprintf("%s/%s/%s", a.ID, name, channel)
			}
			if a.Sent[key] != nil {
				continue
			}
			receipt, err := notifier.Notify(ctx, notify.Message{Key: key, To: a.Patient.recipient(), Template: name, Data: h.words(name, a)})
			if err != nil {
				errs = append(errs, err)
				continue
			}
			a.Sent[key] = receipt
		}
	}
	return errors.Join(errs...)
}

// words is the data of a template.
func (h *hospital) words(name string, a *appointment) any {
	if name == template.Receipt {
		return template.PaymentReceipt{
			Patient: a.Patient.Name, Amount: a.Amount.Minor, Currency: string(a.Amount.Currency),
			Reference: a.PaymentID, PaidAt: h.now(), Item: "Video consultation",
		}
	}
	data := template.Appointment{
		Key: a.ID, Patient: a.Patient.Name, Doctor: doctorName, Start: a.Start, Duration: duration,
		JoinURL: a.JoinURL, Sequence: a.Sequence,
	}
	if a.RefundID != "" {
		data.Note = "The payment of " + a.Amount.String() + " was given back."
	}
	return data
}

// announcement is what the clinic's dashboard gets. Only its own staff is in the room.
type announcement struct {
	ID          string `json:"id"`
	PatientName string `json:"patientName"`
	Start       string `json:"start"` // RFC 3339
	Provider    string `json:"provider"`
	Status      string `json:"status"`
}

func announcementOf(a *appointment) announcement {
	return announcement{
		ID: a.ID, PatientName: a.Patient.Name, Start: a.Start.Format(time.RFC3339), Provider: a.Provider, Status: string(a.Status),
	}
}

func (h *hospital) announce(ctx context.Context, event string, a *appointment) error {
	return h.hub.Broadcast(ctx, "clinic-"+clinicID, realtime.Event{Name: event, Data: announcementOf(a)})
}
