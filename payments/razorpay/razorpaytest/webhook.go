package razorpaytest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/signature"
	"github.com/telemed-go/telemed/internal/wait"
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
}

// The delivery of webhooks: Razorpay waits five seconds and goes on for a day;
// this goes on for some seconds.
const (
	deliveryTimeout  = 5 * time.Second
	deliveryAttempts = 5
	firstRedelivery  = 100 * time.Millisecond
	maxAnswer        = 1 << 20 // how much of an answer is read, in bytes
)

// hooks sends webhooks, one after the other, from a goroutine of its own. The Server of
// server.go owns it, starts it and stops it; the methods of the Server that tell of
// webhooks stand below.
type hooks struct {
	secret telemed.Secret
	client *http.Client
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu         sync.Mutex
	url        string
	held       bool
	events     []Event
	queue      []Event
	busy       bool
	changed    chan struct{} // closed and replaced at every change
	deliveries []Delivery
}

func (h *hooks) start(cfg Config) {
	ctx, cancel := context.WithCancel(context.Background()) // the server's own life, ended by stop
	h.url, h.secret, h.cancel, h.changed = cfg.WebhookURL, cfg.WebhookSecret, cancel, make(chan struct{})
	h.client = cfg.HTTPClient
	if h.client == nil {
		h.client = &http.Client{
			Transport: &http.Transport{}, Timeout: deliveryTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	h.done.Go(func() { h.run(ctx) })
}

func (h *hooks) stop() {
	h.cancel()
	h.done.Wait()
	h.client.CloseIdleConnections()
}

// signal wakes everybody who waits for a change. It holds the lock.
func (h *hooks) signal() {
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *hooks) run(ctx context.Context) {
	for ctx.Err() == nil {
		h.mu.Lock()
		changed := h.changed
		var next *Event
		if len(h.queue) > 0 {
			next, h.queue, h.busy = &h.queue[0], h.queue[1:], true
		}
		h.mu.Unlock()
		if next == nil {
			select {
			case <-ctx.Done():
				return
			case <-changed:
			}
			continue
		}
		h.persist(ctx, *next)
		h.mu.Lock()
		h.busy = false
		h.signal()
		h.mu.Unlock()
	}
}

// persist delivers until the application takes it, the attempts are used up or the server
// closes.
func (h *hooks) persist(ctx context.Context, e Event) {
	pause := firstRedelivery
	for range deliveryAttempts {
		if status, err := h.deliver(ctx, e); err == nil && status >= 200 && status <= 299 {
			return
		}
		if wait.For(ctx, pause) != nil {
			return
		}
		pause *= 2
	}
}

func (h *hooks) deliver(ctx context.Context, e Event) (int, error) {
	h.mu.Lock()
	target := h.url
	h.mu.Unlock()
	if target == "" {
		return 0, errors.New("razorpaytest: no webhook URL is set")
	}
	status, err := h.post(ctx, target, e)
	h.mu.Lock()
	h.deliveries = append(h.deliveries, Delivery{Event: e, Status: status})
	h.mu.Unlock()
	return status, err
}

func (h *hooks) post(ctx context.Context, target string, e Event) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(e.Body))
	if err != nil {
		return 0, fmt.Errorf("razorpaytest: webhook: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Razorpay-Webhook/v1")
	req.Header.Set("X-Razorpay-Event-Id", e.ID)
	req.Header.Set("X-Razorpay-Signature", signature.Hex([]byte(h.secret.Reveal()), e.Body))
	resp, err := h.client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("razorpaytest: webhook: %w", err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	return resp.StatusCode, nil
}

// SetWebhookURL says where webhooks go from now on; empty: nowhere.
func (s *Server) SetWebhookURL(url string) {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	s.hooks.url = url
}

// HoldWebhooks keeps webhooks back from now on. They are in Events, for Deliver.
func (s *Server) HoldWebhooks() {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	s.hooks.held = true
}

// Events returns all webhooks so far, delivered or not, in the order in which things
// happened.
func (s *Server) Events() []Event {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	return slices.Clone(s.hooks.events)
}

// Deliveries returns all attempts to deliver so far.
func (s *Server) Deliveries() []Delivery {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	return slices.Clone(s.hooks.deliveries)
}

// Deliver signs e, sends it once, now, and returns what the application answered. The
// same event again is a duplicate; events in another order are what Razorpay sends on a
// bad day.
func (s *Server) Deliver(ctx context.Context, e Event) (status int, err error) {
	return s.hooks.deliver(ctx, e)
}

// WaitWebhooks waits until all webhooks that are due were taken by the application or
// given up.
func (s *Server) WaitWebhooks(ctx context.Context) error {
	for {
		s.hooks.mu.Lock()
		changed, idle := s.hooks.changed, len(s.hooks.queue) == 0 && !s.hooks.busy
		s.hooks.mu.Unlock()
		if idle {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// NewEvent makes an event of any type with this payload, for Deliver:
// {"payment":{"entity":{…}}}.
func (s *Server) NewEvent(kind string, payload map[string]any) (Event, error) {
	contains := []string{}
	for name := range payload {
		contains = append(contains, name)
	}
	slices.Sort(contains)
	body, err := json.Marshal(object{
		"entity": "event", "account_id": s.account, "event": kind, "contains": contains, "payload": payload, "created_at": now(),
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
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	s.hooks.events = append(s.hooks.events, e)
	if s.hooks.url != "" && !s.hooks.held {
		s.hooks.queue = append(s.hooks.queue, e)
		s.hooks.signal()
	}
}
