package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/telemed-go/telemed/notify/template"
	"github.com/telemed-go/telemed/payments"
)

// book records a visit and opens the order that pays for it, once for each form.
func (h *hospital) book(ctx context.Context, a appointment, form string) (appointment, error) {
	a.ID, a.Page, a.Status, a.Amount = h.visits.reserve(form), newID(), awaitingPayment, payments.INR(fee)
	if err := a.request().ValidateAt(h.now()); err != nil {
		return a, err
	}
	order, err := h.gateway.CreateOrder(ctx, payments.OrderRequest{Amount: a.Amount, Key: a.ID})
	if err != nil {
		return a, err
	}
	a.OrderID = order.ID
	return h.visits.add(a), nil
}

// pay records a verified payment. The browser's return and each webhook call it. What
// follows from the payment is done by fulfill.
func (h *hospital) pay(ctx context.Context, id string, payment *payments.Payment) error {
	return h.visits.work(ctx, id, func(a *appointment, _ func()) error {
		if a.PaymentID != "" {
			return nil
		}
		a.PaymentID, a.PaidAt = payment.ID, payment.CreatedAt
		if a.Status == awaitingPayment { // else it was cancelled, and the money goes back
			a.Status = paid
			a.owe(template.PaymentReceived)
		}
		return nil
	})
}

var errState = errors.New("the visit is not in a state for this")

// move records the new time of a confirmed visit.
func (h *hospital) move(ctx context.Context, id string, start time.Time) error {
	return h.visits.work(ctx, id, func(a *appointment, _ func()) error {
		if a.Status != confirmed {
			return errState
		}
		if a.Start.Equal(start) {
			return nil
		}
		a.Start = start
		if err := a.request().ValidateAt(h.now()); err != nil {
			a.Start = a.MeetingStart
			return err
		}
		return nil
	})
}

// cancel records that the visit will not take place. From here on there is no join link.
func (h *hospital) cancel(ctx context.Context, id string) error {
	return h.visits.work(ctx, id, func(a *appointment, _ func()) error {
		h.giveUp(a)
		return nil
	})
}

func (h *hospital) giveUp(a *appointment) {
	if a.Status == cancelled {
		return
	}
	a.Sequence++
	clear(a.Due) // a confirmation that was not sent yet has become untrue
	if a.Status != awaitingPayment {
		a.owe(template.Cancelled)
	}
	a.Status = cancelled
}

// refundFailed records that the bank sent a refund back.
func (h *hospital) refundFailed(ctx context.Context, id string) error {
	return h.visits.work(ctx, id, func(a *appointment, _ func()) error {
		a.RefundFailed = true
		return nil
	})
}

// words is the data of a template.
func words(name string, a *appointment) any {
	if name == template.PaymentReceived {
		return template.Payment{
			Patient: a.Patient.Name, Amount: a.Amount.Minor, Currency: string(a.Amount.Currency),
			Reference: a.PaymentID, PaidAt: a.PaidAt, Item: inLanguage(a, "Video consultation", "वीडियो परामर्श"),
		}
	}
	data := template.Appointment{
		Key: a.ID, Patient: a.Patient.Name, Doctor: doctorName, Start: a.Start, Duration: duration,
		JoinURL: a.JoinURL, Sequence: a.Sequence,
	}
	if name == template.Cancelled && a.RefundID != "" {
		data.Note = fmt.Sprintf(inLanguage(a, "The payment of %s was given back.", "%s का भुगतान वापस कर दिया गया है।"), a.Amount)
	}
	return data
}

// inLanguage picks the hospital's own words, as the templates pick theirs.
func inLanguage(a *appointment, english, hindi string) string {
	if a.Patient.Locale == "hi" {
		return hindi
	}
	return english
}
