package paymentstest

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/inbound"
	"github.com/telemed-go/telemed/internal/signature"
	"github.com/telemed-go/telemed/payments"
)

// signatureHeader has the signature of a webhook.
const signatureHeader = "X-Paymentstest-Signature"

// maxCallback is how many bytes of a callback are read: 64 KiB.
const maxCallback = 64 << 10

// Callback returns the form that the browser posts to the application after c was paid, as
// Pay returned it. Of the zero Confirmation it is the form for a payment that failed.
func (g *Gateway) Callback(c payments.Confirmation) url.Values {
	if c.PaymentID == "" {
		return url.Values{"error": {"payment_failed"}}
	}
	return url.Values{"order_id": {c.OrderID}, "payment_id": {c.PaymentID}, "signature": {c.Signature}}
}

// ParseCallback implements payments.CallbackParser for the forms of Callback.
func (g *Gateway) ParseCallback(w http.ResponseWriter, r *http.Request) (payments.Confirmation, error) {
	const op = "ParseCallback"
	body, err := inbound.Read(w, r, maxCallback)
	if err != nil {
		return payments.Confirmation{}, failed(op, fault.Tagged(err, telemed.ErrInvalid))
	}
	form, err := url.ParseQuery(string(body))
	c := payments.Confirmation{OrderID: form.Get("order_id"), PaymentID: form.Get("payment_id"), Signature: form.Get("signature")}
	switch {
	case err != nil || r.Method != http.MethodPost:
		return payments.Confirmation{}, failed(op, telemed.ErrInvalid)
	case form.Has("error"):
		return payments.Confirmation{}, failed(op, payments.ErrPaymentIncomplete)
	case c.OrderID == "" || c.PaymentID == "" || c.Signature == "":
		return payments.Confirmation{}, failed(op, telemed.ErrInvalid)
	case !g.signed(c):
		return payments.Confirmation{}, failed(op, telemed.ErrSignature)
	}
	return c, nil
}

// signed reports whether this gateway has signed that the payment is for the order.
func (g *Gateway) signed(c payments.Confirmation) bool {
	return signature.Valid(c.Signature, []byte(c.OrderID+"|"+c.PaymentID), g.key)
}

// Webhook returns headers and body with which this gateway tells e, signed. An empty ID is
// made up.
func (g *Gateway) Webhook(e payments.Event) (http.Header, []byte) {
	e.ID = cmp.Or(e.ID, "event_"+rand.Text())
	body, err := json.Marshal(e)
	if err != nil {
		panic(failed("Webhook", err)) // an amount in a currency that there is not
	}
	return http.Header{signatureHeader: {signature.Hex(g.key, body)}}, body
}

// ParseWebhook implements payments.WebhookParser for what Webhook returns.
func (g *Gateway) ParseWebhook(h http.Header, body []byte) (*payments.Event, error) {
	const op = "ParseWebhook"
	if !signature.Valid(h.Get(signatureHeader), body, g.key) {
		return nil, failed(op, telemed.ErrSignature)
	}
	event := &payments.Event{Raw: body}
	if err := json.Unmarshal(body, event); err != nil {
		return nil, failed(op, telemed.ErrInvalid)
	}
	return event, nil
}
