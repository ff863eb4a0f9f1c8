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

// The delivery of webhooks: Razorpay waits five seconds for an answer, and sends what is not
// taken again for a day, with pauses that double.
const (
	deliveryTimeout = 5 * time.Second
	firstRedelivery = 100 * time.Millisecond
	deliveryDay     = 24 * time.Hour
	maxAnswer       = 1 << 20 // how much of an answer is read, in bytes
)

// hooks sends webhooks, one at a time, from a goroutine of its own. The Server of server.go
// owns it, starts it and stops it; the methods of the Server that tell of webhooks stand
// below.
type hooks struct {
	secret telemed.Secret
	client *http.Client
	now    func() time.Time // Razorpay's clock
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu         sync.Mutex
	url        string
	held       bool
	disabled   bool
	events     []Event
	queue      []*pending
	busy       bool
	changed    chan struct{} // closed and replaced at every change
	deliveries []Delivery
}

// pending is an event that was not taken yet.
type pending struct {
	event Event
	due   time.Time
	pause time.Duration // before the next attempt
	until time.Time
}

func (h *hooks) start(cfg Config, now func() time.Time) {
	ctx, cancel := context.WithCancel(context.Background()) // the server's own life, ended by stop
	h.url, h.secret, h.now, h.cancel, h.changed = cfg.WebhookURL, cfg.WebhookSecret, now, cancel, make(chan struct{})
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

// wake has the clock looked at again.
func (h *hooks) wake() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.signal()
}

func (h *hooks) run(ctx context.Context) {
	for ctx.Err() == nil {
		next, wait, changed := h.next()
		if next == nil {
			idle(ctx, wait, changed)
			continue
		}
		status, err := h.deliver(ctx, next.event)
		h.settle(next, err == nil && status >= 200 && status <= 299)
	}
}

// next takes what is due. If that is nothing, it says how long nothing will be, negative for
// as long as nothing changes.
func (h *hooks) next() (next *pending, wait time.Duration, changed <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := h.first()
	if first < 0 {
		return nil, -1, h.changed
	}
	next = h.queue[first]
	if wait = next.due.Sub(h.now()); wait > 0 {
		return nil, wait, h.changed
	}
	h.queue, h.busy = slices.Delete(h.queue, first, first+1), true
	return next, 0, h.changed
}

// first is the place of what is due first in the queue, -1 if that is empty. It holds the
// lock.
func (h *hooks) first() int {
	found := -1
	for i, p := range h.queue {
		if found < 0 || p.due.Before(h.queue[found].due) {
			found = i
		}
	}
	return found
}

// idle waits for a change, or for so long.
func idle(ctx context.Context, wait time.Duration, changed <-chan struct{}) {
	var late <-chan time.Time
	if wait >= 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-changed:
	case <-late:
	case <-ctx.Done():
	}
}

// settle says when an event that was not taken is sent again. After a day it is given up,
// and with it the endpoint.
func (h *hooks) settle(p *pending, taken bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.signal()
	h.busy = false
	if taken {
		return
	}
	p.due = h.now().Add(p.pause)
	p.pause *= 2
	if p.due.After(p.until) {
		h.disabled, h.queue = true, nil
		return
	}
	if !h.disabled {
		h.queue = append(h.queue, p)
	}
}

// nextDue is when something is sent next, zero if nothing is left to send.
func (h *hooks) nextDue() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if first := h.first(); first >= 0 {
		return h.queue[first].due
	}
	return time.Time{}
}

// waitIdle waits until all that is due now was sent.
func (h *hooks) waitIdle(ctx context.Context) error {
	return h.wait(ctx, func() bool {
		first := h.first()
		return !h.busy && (first < 0 || h.queue[first].due.After(h.now()))
	})
}

// wait waits until something is so. is is called with the lock held.
func (h *hooks) wait(ctx context.Context, is func() bool) error {
	for {
		h.mu.Lock()
		so, changed := is(), h.changed
		h.mu.Unlock()
		if so {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
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

// SetWebhookURL says where webhooks go from now on; empty: nowhere. It enables an endpoint
// that was disabled.
func (s *Server) SetWebhookURL(url string) {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	s.hooks.url, s.hooks.disabled = url, false
}

// WebhookDisabled reports whether Razorpay has disabled the endpoint, because it took an
// event for a whole day not. Then nothing is sent there, and what was waiting is lost.
func (s *Server) WebhookDisabled() bool {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	return s.hooks.disabled
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

// WaitWebhooks waits until all webhooks so far were taken by the application, or given up
// after a day: Advance lets that pass.
func (s *Server) WaitWebhooks(ctx context.Context) error {
	return s.hooks.wait(ctx, func() bool { return !s.hooks.busy && len(s.hooks.queue) == 0 })
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
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	s.hooks.events = append(s.hooks.events, e)
	if s.hooks.url != "" && !s.hooks.held && !s.hooks.disabled {
		at := s.now()
		s.hooks.queue = append(s.hooks.queue, &pending{event: e, due: at, pause: firstRedelivery, until: at.Add(deliveryDay)})
		s.hooks.signal()
	}
}
