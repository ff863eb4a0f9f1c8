package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
)

// checkoutURL is where the patient pays: here Razorpay's page on this machine. In production the
// visit's page opens Razorpay's form with checkout.js and the options of gateway.Checkout.
func (h *hospital) checkoutURL(a appointment) string {
	query := url.Values{
		"order_id": {a.OrderID}, "name": {clinicName}, "description": {"Video consultation"},
		"callback_url": {h.base + "/payments/callback"}, "cancel_url": {h.base + "/visits/" + a.ID},
	}
	return h.world.razorpay.URL() + "/checkout?" + query.Encode()
}

// postPayment is where the browser comes back to. What it says is believed only as far as the
// gateway confirms it, and order and amount are the hospital's own.
func (h *hospital) postPayment(w http.ResponseWriter, r *http.Request) {
	result, err := razorpay.ParseCheckout(r)
	if failure, ok := errors.AsType[*razorpay.CheckoutFailure](err); ok {
		if visit, err := h.visits.byOrder(failure.OrderID); err == nil {
			http.Redirect(w, r, "/visits/"+visit.ID+"?payment=failed", http.StatusSeeOther)
			return
		}
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	visit, err := h.visits.byOrder(result.OrderID)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	payment, err := h.gateway.VerifyPayment(r.Context(), payments.Confirmation{
		OrderID: visit.OrderID, Expected: visit.Amount, PaymentID: result.PaymentID, Signature: result.Signature,
	})
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if payment.Status == payments.PaymentCaptured {
		// If this fails, the webhook and the visit's page go on with it.
		if err := h.confirm(r.Context(), visit.ID, payment.ID); err != nil {
			h.log.Warn("visit is not complete yet", slog.String("visit", visit.ID), slog.Any("error", err))
		}
	}
	http.Redirect(w, r, "/visits/"+visit.ID, http.StatusSeeOther)
}

// onPaymentEvent hears of payments also if the browser never comes back. The event is signed, but it is a
// snapshot: the payment is read again before anything is done.
func (h *hospital) onPaymentEvent(ctx context.Context, e *payments.Event) error {
	if e.Payment == nil || e.Type != payments.EventPaymentCaptured && e.Type != payments.EventOrderPaid {
		return nil
	}
	visit, err := h.visits.byOrder(e.Payment.OrderID)
	if err != nil {
		return payments.Permanent(err)
	}
	payment, err := h.gateway.Payment(ctx, e.Payment.ID)
	if err != nil {
		return err
	}
	if payment.OrderID != visit.OrderID || payment.Amount != visit.Amount || payment.Status != payments.PaymentCaptured {
		return nil
	}
	return h.confirm(ctx, visit.ID, payment.ID)
}
