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

// readEvent reads the envelope and the entities in it. What cannot be read in an entity
// costs that field: the event is signed, and the rest of it is true. A body without a type,
// or with a payload that is no object, is none.
func readEvent(body []byte) (*payments.Event, error) {
	if !json.Valid(body) {
		return nil, telemed.ErrInvalid
	}
	var envelope fields
	var payload []byte
	event := &payments.Event{Raw: body}
	for name, value := range members(body) {
		switch string(name) {
		case "event":
			event.Type = envelope.text("event", value)
		case "account_id":
			event.AccountID = envelope.text("account_id", value)
		case "created_at":
			event.CreatedAt = envelope.createdAt(value)
		case "payload":
			payload = value
		}
	}
	if event.Type == "" || !isNull(payload) && payload[0] != '{' {
		return nil, telemed.ErrInvalid
	}
	event.Unread = envelope.odd
	for name, value := range members(payload) {
		readEntity(event, string(name), value)
	}
	return event, nil
}

// readEntity reads {"entity":{…}}. Payload may hold things other than entities (a time, for
// one), and entities that are nothing to us.
func readEntity(event *payments.Event, kind string, wrapper []byte) {
	var f fields
	switch doc := entityOf(wrapper); kind {
	case "payment":
		if p := f.payment(doc); f.identified(p.ID, "pay", doc) {
			event.Payment = p
		}
	case "order":
		if o := f.order(doc); f.identified(o.ID, "order", doc) {
			event.Order = o
		}
	case "refund":
		if r := f.refund(doc); f.identified(r.ID, "rfnd", doc) {
			event.Refund = r
		}
	}
	for _, name := range f.odd {
		event.Unread = append(event.Unread, kind+"."+name)
	}
}

// identified reports whether an entity has its id. Without it, nothing of it is told.
func (f *fields) identified(id, prefix string, doc []byte) bool {
	if validID(id, prefix) {
		return true
	}
	f.odd = nil
	if len(doc) > 0 {
		f.odd = []string{"id"}
	}
	return false
}

// entityOf returns the object in {"entity":{…}}, nil if there is none.
func entityOf(wrapper []byte) []byte {
	for name, value := range members(wrapper) {
		if string(name) == "entity" && value[0] == '{' {
			return value
		}
	}
	return nil
}
