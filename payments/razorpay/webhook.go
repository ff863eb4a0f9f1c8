package razorpay

import (
	"encoding/json"
	"net/http"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/signature"
	"github.com/telemed-go/telemed/payments"
)

// The headers of a webhook.
const (
	signatureHeader = "X-Razorpay-Signature"
	eventIDHeader   = "X-Razorpay-Event-Id"
)

// ParseWebhook checks body, as it came, against Config.WebhookSecrets and reads the event
// in it. Without a configured secret everything is telemed.ErrSignature. The error tells
// apart a missing header, the KeySecret in place of the webhook's, a body that was cut or
// encoded anew, and another secret. Use it through [payments.NewWebhook].
//
// https://razorpay.com/docs/webhooks/validate-test
func (c *Client) ParseWebhook(h http.Header, body []byte) (*payments.Event, error) {
	const op = "ParseWebhook"
	_, err := signature.Check{
		Header: h, Name: signatureHeader, Body: body, Secrets: c.webhooks, APISecret: c.secret,
		Event: func(body []byte) bool { _, err := readEvent(body); return err == nil },
	}.Verify()
	if err != nil {
		return nil, refuse(op, err)
	}
	event, err := readEvent(body)
	if err != nil {
		return nil, fault.Invalid("razorpay: "+op, "Body", "is not an event")
	}
	// Unsigned, and a key in the application's database.
	if id := fault.ID(h.Get(eventIDHeader)); id != "" {
		event.ID = id
	}
	return event, nil
}

// readEvent reads the envelope. Payload may hold things other than entities
// (a time, for one), and entities that are nothing to us.
func readEvent(body []byte) (*payments.Event, error) {
	var envelope struct {
		Event     text                       `json:"event"`
		AccountID text                       `json:"account_id"`
		CreatedAt integer                    `json:"created_at"`
		Payload   map[string]json.RawMessage `json:"payload"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return nil, err
	}
	if envelope.Event == "" {
		return nil, telemed.ErrInvalid
	}
	event := &payments.Event{
		Type: string(envelope.Event), AccountID: string(envelope.AccountID),
		CreatedAt: envelope.CreatedAt.time(), Raw: body,
	}
	payment, err := entity[wirePayment](envelope.Payload["payment"])
	if err != nil {
		return nil, err
	}
	order, err := entity[wireOrder](envelope.Payload["order"])
	if err != nil {
		return nil, err
	}
	refund, err := entity[wireRefund](envelope.Payload["refund"])
	if err != nil {
		return nil, err
	}
	if payment != nil && payment.Check() == nil {
		event.Payment = payment.payment()
	}
	if order != nil && order.Check() == nil {
		event.Order = order.order()
	}
	if refund != nil && refund.Check() == nil {
		event.Refund = refund.refund()
	}
	return event, nil
}

// entity reads {"entity":{…}}; nil if there is no such thing.
func entity[T any](raw json.RawMessage) (*T, error) {
	var wrapper struct{ Entity json.RawMessage }
	if len(raw) == 0 || json.Unmarshal(raw, &wrapper) != nil || len(wrapper.Entity) == 0 || wrapper.Entity[0] != '{' {
		return nil, nil
	}
	got := new(T)
	if err := json.Unmarshal(wrapper.Entity, got); err != nil {
		return nil, err
	}
	return got, nil
}
