package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments"
)

// checkoutURL is where the patient pays: here Razorpay's page on this machine. In
// production the visit's page opens Razorpay's form with checkout.js and the options of
// gateway.Checkout.
func (h *hospital) checkoutURL(a appointment) string {
	query := url.Values{
		"order_id": {a.OrderID}, "name": {clinicName}, "description": {"Video consultation"},
		"callback_url": {h.base + "/payments/callback"}, "cancel_url": {h.base + "/visits/mine"},
	}
	return h.providers.Razorpay.URL() + "/checkout?" + query.Encode()
}

// postPayment is where the browser comes back to. What it says is believed only as far as
// the gateway confirms it. Order and amount are the hospital's own. A failure is not
// signed, so whoever posts one learns nothing about the visit.
func (h *hospital) postPayment(w http.ResponseWriter, r *http.Request) {
	confirmation, err := h.gateway.ParseCallback(w, r)
	if errors.Is(err, payments.ErrPaymentIncomplete) {
		h.show(w, http.StatusOK, "failed.html", nil)
		return
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	visit, err := h.visits.ofOrder(confirmation.OrderID)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	confirmation.Expected = visit.Amount
	payment, err := h.gateway.VerifyPayment(r.Context(), confirmation)
	switch {
	case errors.Is(err, telemed.ErrConflict) && h.knows(visit.OrderID, confirmation.PaymentID):
		err = nil // the webhook was first, and the money may be on its way back already
	case err == nil && payment.Status == payments.PaymentCaptured:
		err = h.pay(r.Context(), visit.ID, payment)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.tryFulfilling(r.Context(), visit.ID)
	http.Redirect(w, r, "/visits/"+visit.Page, http.StatusSeeOther)
}

// knows reports whether a payment is recorded as the order's.
func (h *hospital) knows(orderID, paymentID string) bool {
	visit, err := h.visits.ofOrder(orderID)
	return err == nil && visit.PaymentID == paymentID
}

// onPaymentEvent hears of payments also if the browser never comes back. The event is
// signed, but it tells of the past. So the payment is read again before anything is done.
// The event is taken once the payment is recorded, whatever follows. The gateway disables
// an endpoint that fails for a day, and a full mailbox is no reason for that.
func (h *hospital) onPaymentEvent(ctx context.Context, e payments.Event) error {
	switch {
	case e.Payment == nil:
		return nil
	case e.Type == payments.EventRefundFailed:
		visit, err := h.visits.ofOrder(e.Payment.OrderID)
		if err != nil {
			return payments.Permanent(err)
		}
		return h.refundFailed(ctx, visit.ID)
	case e.Type != payments.EventPaymentCaptured && e.Type != payments.EventOrderPaid:
		return nil
	}
	visit, err := h.visits.ofOrder(e.Payment.OrderID)
	if err != nil {
		return payments.Permanent(err)
	}
	payment, err := h.gateway.Payment(ctx, e.Payment.ID)
	if err != nil {
		return err
	}
	paid := e.Order != nil && e.Order.IsPaid() && e.Order.Amount == visit.Amount
	if payment.OrderID != visit.OrderID || !paid || payment.Refunded.Minor > 0 || payment.Status != payments.PaymentCaptured {
		return nil
	}
	if err := h.pay(ctx, visit.ID, payment); err != nil {
		return err
	}
	h.tryFulfilling(ctx, visit.ID)
	return nil
}
