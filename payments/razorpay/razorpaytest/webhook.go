package razorpaytest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/telemed-go/telemed/internal/fake"
	"github.com/telemed-go/telemed/internal/signature"
)

// Event is a webhook that happened, delivered or not.
type Event struct {
	// ID is what X-Razorpay-Event-Id says.
	ID string
	// Type is "payment.captured", "order.paid", "refund.processed", …
	Type string
	// Body is what is signed and sent, byte for byte.
	Body []byte
}

// Delivery is one attempt to send an Event.
type Delivery struct {
	Event Event
	// Status is what the application answered; 0 if it did not.
	Status int
	// At is when it was answered or given up, by this machine's clock.
	At time.Time
}

// The delivery of webhooks: Razorpay waits five seconds for an answer, and sends what is not
// taken again for a day, with pauses that double. Then it disables the endpoint.
const (
	deliveryTimeout = 5 * time.Second
	firstRedelivery = 100 * time.Millisecond
	deliveryDay     = 24 * time.Hour
)

// startWebhooks begins the delivery. The Server of server.go owns it and ends it; the
// methods of the Server that tell of webhooks stand below.
func startWebhooks(cfg Config, now func() time.Time) *fake.Webhooks {
	client := cfg.HTTPClient
	if client == nil {
		client = &http.Client{
			Transport: &http.Transport{}, Timeout: deliveryTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return fake.StartWebhooks(fake.WebhookConfig{
		Kit: "razorpaytest", URL: cfg.WebhookURL, Client: client, Now: now,
		Sign: func(h http.Header, e fake.Event) {
			h.Set("User-Agent", "Razorpay-Webhook/v1")
			h.Set("X-Razorpay-Event-Id", e.ID)
			h.Set("X-Razorpay-Signature", signature.Hex([]byte(cfg.WebhookSecret.Reveal()), e.Body))
		},
		Taken: func(status int) bool { return status >= 200 && status <= 299 },
		Pause: firstRedelivery, Patience: deliveryDay, Disables: true,
	})
}

// SetWebhookURL says where webhooks go from now on; empty: nowhere. It enables an endpoint
// that was disabled.
func (s *Server) SetWebhookURL(url string) { s.hooks.SetURL(url) }

// WebhookDisabled reports whether Razorpay has disabled the endpoint, because it took an
// event for a whole day not. Then nothing is sent there, and what was waiting is lost.
func (s *Server) WebhookDisabled() bool { return s.hooks.Disabled() }

// HoldWebhooks keeps webhooks back from now on. They are in Events, for Deliver.
func (s *Server) HoldWebhooks() { s.hooks.Hold() }

// ReleaseWebhooks ends HoldWebhooks. What was held goes out now, oldest first, except what
// Deliver has brought meanwhile.
func (s *Server) ReleaseWebhooks() { s.hooks.Release() }

// Held returns the webhooks that wait for ReleaseWebhooks, oldest first.
func (s *Server) Held() []Event {
	var all []Event
	for _, e := range s.hooks.Held() {
		all = append(all, Event(e))
	}
	return all
}

// Events returns all webhooks so far, delivered or not, in the order in which things
// happened.
func (s *Server) Events() []Event {
	var all []Event
	for _, e := range s.hooks.Events() {
		all = append(all, Event(e))
	}
	return all
}

// Deliveries returns all attempts to deliver so far.
func (s *Server) Deliveries() []Delivery {
	var all []Delivery
	for _, d := range s.hooks.Deliveries() {
		all = append(all, Delivery{Event: Event(d.Event), Status: d.Status, At: d.At})
	}
	return all
}

// Deliver signs e, sends it once, now, and returns what the application answered. The
// same event again is a duplicate; events in another order are what Razorpay sends on a
// bad day.
func (s *Server) Deliver(ctx context.Context, e Event) (status int, err error) {
	return s.hooks.Deliver(ctx, fake.Event(e))
}

// WaitWebhooks waits until all webhooks so far were taken by the application, or given up
// after a day: Advance lets that pass.
func (s *Server) WaitWebhooks(ctx context.Context) error { return s.hooks.Wait(ctx) }

// NewEvent makes an event of any type with this payload, for Deliver:
// {"payment":{"entity":{…}}}.
func (s *Server) NewEvent(kind string, payload map[string]any) (Event, error) {
	contains := []string{}
	for name := range payload {
		contains = append(contains, name)
	}
	slices.Sort(contains)
	body, err := json.Marshal(object{
		"entity": "event", "account_id": s.account, "event": kind, "contains": contains, "payload": payload, "created_at": s.now().Unix(),
	})
	if err != nil {
		return Event{}, fmt.Errorf("razorpaytest: event: %w", err)
	}
	return Event{ID: newID("evt"), Type: kind, Body: body}, nil
}

// emit notes that something happened, with a picture of the entities as they
// are now, and queues it. The caller holds s.mu.
func (s *Server) emit(kind string, entities object) {
	payload := object{}
	for name, entity := range entities {
		payload[name] = object{"entity": entity.(interface{ doc() object }).doc()}
	}
	e, err := s.NewEvent(kind, payload)
	if err != nil {
		return // documents of ours always encode
	}
	s.hooks.Emit(fake.Event(e))
}
