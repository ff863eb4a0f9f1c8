package fake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// WebhookConfig says how a provider delivers its webhooks. All fields but URL and Disables
// are required.
type WebhookConfig struct {
	// Kit is what errors begin with.
	Kit string
	// URL is where webhooks go. If empty, nowhere.
	URL string
	// Client sends them.
	Client *http.Client
	// Now is the provider's clock.
	Now func() time.Time
	// Sign sets the headers of a delivery.
	Sign func(header http.Header, event Event)
	// Taken reports whether a status of the application's means that it took an event.
	Taken func(status int) bool
	// Pause is how long after the first delivery an event that was not taken comes again.
	// It doubles each time.
	Pause time.Duration
	// Patience is how long such an event comes again. Then it is lost.
	Patience time.Duration
	// Disables is for a provider that disables the endpoint when it has lost an event.
	Disables bool
}

// Event is a webhook that happened, delivered or not. The kits document the fields.
type Event struct {
	ID   string
	Type string
	Body []byte
}

// Delivery is one attempt to send an Event.
type Delivery struct {
	Event  Event
	Status int
	At     time.Time // by the machine's clock
}

// Webhooks sends webhooks at least once, one at a time, from a goroutine of its own that
// StartWebhooks begins and Close ends. It is safe for concurrent use.
type Webhooks struct {
	cfg    WebhookConfig
	life   context.Context
	end    context.CancelFunc
	worker sync.WaitGroup

	mu         sync.Mutex
	url        string
	held       bool
	disabled   bool
	events     []Event
	waiting    []heldEvent // while held
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

// heldEvent waits for Release. delivered is how many deliveries there were before it.
type heldEvent struct {
	event     Event
	delivered int
}

// StartWebhooks returns Webhooks that send what Emit tells. Close it.
func StartWebhooks(cfg WebhookConfig) *Webhooks {
	h := &Webhooks{cfg: cfg, url: cfg.URL, changed: make(chan struct{})}
	h.life, h.end = context.WithCancel(context.Background()) // ended by Close
	h.worker.Go(h.run)
	return h
}

// Close ends the delivery under way and waits for its end. Nothing is sent afterwards. It
// may be called again.
func (h *Webhooks) Close() {
	h.end()
	h.worker.Wait()
	h.cfg.Client.CloseIdleConnections()
}

// Emit notes an event. Unless webhooks are held, have no address or are disabled, it is
// sent at once, and again until it is taken.
func (h *Webhooks) Emit(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
	switch {
	case h.held:
		h.waiting = append(h.waiting, heldEvent{e, len(h.deliveries)})
	case h.url != "" && !h.disabled:
		h.enqueue(e)
		h.signal()
	}
}

// Deliver sends e once, now, and returns what the application answered.
func (h *Webhooks) Deliver(ctx context.Context, e Event) (status int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.life, cancel)()
	target, err := h.Target()
	if err != nil {
		return 0, err
	}
	status, err = h.post(ctx, target, e)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deliveries = append(h.deliveries, Delivery{Event: e, Status: status, At: time.Now()})
	return status, err
}

// Send sends e at once, also while webhooks are held, and returns what the application
// answered. If it did not take e, that comes again as what Emit tells does, unless webhooks
// are held.
func (h *Webhooks) Send(ctx context.Context, e Event) (status int, err error) {
	status, err = h.Deliver(ctx, e)
	if err == nil && h.cfg.Taken(status) {
		return status, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.url != "" && !h.held && !h.disabled && h.life.Err() == nil {
		at := h.cfg.Now()
		h.queue = append(h.queue, &pending{event: e, due: at.Add(h.cfg.Pause), pause: 2 * h.cfg.Pause, until: at.Add(h.cfg.Patience)})
		h.signal()
	}
	return status, err
}

// Target is where webhooks go. It is an error if that is nowhere.
func (h *Webhooks) Target() (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.life.Err() != nil:
		return "", errors.New(h.cfg.Kit + ": the server is closed")
	case h.url == "":
		return "", errors.New(h.cfg.Kit + ": no webhook URL is set")
	}
	return h.url, nil
}

// maxAnswer is how much of an answer to a webhook is read, in bytes.
const maxAnswer = 1 << 20

func (h *Webhooks) post(ctx context.Context, target string, e Event) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(e.Body))
	if err != nil {
		return 0, fmt.Errorf("%s: webhook: %w", h.cfg.Kit, err)
	}
	req.Header.Set("Content-Type", "application/json")
	h.cfg.Sign(req.Header, e)
	resp, err := h.cfg.Client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("%s: webhook: %w", h.cfg.Kit, err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	return resp.StatusCode, nil
}

// SetURL says where webhooks go from now on, nowhere if it is empty. It enables an
// endpoint that was disabled.
func (h *Webhooks) SetURL(url string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.url, h.disabled = url, false
}

// Hold keeps webhooks back from now on. What waits already is still sent.
func (h *Webhooks) Hold() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held = true
}

// Release ends Hold. What was held goes out now, oldest first, and comes again until it is
// taken. What was delivered by hand meanwhile, and taken, does not.
func (h *Webhooks) Release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held = false
	waiting := h.waiting
	h.waiting = nil
	if h.url == "" || h.disabled {
		return
	}
	for _, e := range waiting {
		if !slices.ContainsFunc(h.deliveries[e.delivered:], func(d Delivery) bool {
			return sameEvent(d.Event, e.event) && h.cfg.Taken(d.Status)
		}) {
			h.enqueue(e.event)
		}
	}
	h.signal()
}

func sameEvent(a, b Event) bool {
	return a.ID == b.ID && a.Type == b.Type && bytes.Equal(a.Body, b.Body)
}

// Held returns what waits for Release, oldest first.
func (h *Webhooks) Held() []Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []Event
	for _, e := range h.waiting {
		all = append(all, e.event)
	}
	return all
}

// enqueue has an event sent at once. It holds the lock.
func (h *Webhooks) enqueue(e Event) {
	at := h.cfg.Now()
	h.queue = append(h.queue, &pending{event: e, due: at, pause: h.cfg.Pause, until: at.Add(h.cfg.Patience)})
}

// Disabled reports whether the endpoint was disabled. What was waiting then is lost.
func (h *Webhooks) Disabled() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.disabled
}

// Events returns what Emit was told, oldest first.
func (h *Webhooks) Events() []Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.events)
}

// Deliveries returns all attempts to deliver so far.
func (h *Webhooks) Deliveries() []Delivery {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.deliveries)
}

// Wait waits until nothing is left to send.
func (h *Webhooks) Wait(ctx context.Context) error {
	return h.wait(ctx, func() bool { return !h.busy && len(h.queue) == 0 })
}

// WaitIdle waits until all that is due by the provider's clock was sent.
func (h *Webhooks) WaitIdle(ctx context.Context) error {
	return h.wait(ctx, func() bool {
		first := h.first()
		return !h.busy && (first < 0 || h.queue[first].due.After(h.cfg.Now()))
	})
}

// wait waits until something is so. is is called with the lock held.
func (h *Webhooks) wait(ctx context.Context, is func() bool) error {
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

// NextDue is when something is sent next, zero if nothing is left to send.
func (h *Webhooks) NextDue() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if first := h.first(); first >= 0 {
		return h.queue[first].due
	}
	return time.Time{}
}

// Wake has the provider's clock looked at again.
func (h *Webhooks) Wake() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.signal()
}

// signal wakes everybody who waits for a change. It holds the lock.
func (h *Webhooks) signal() {
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *Webhooks) run() {
	for h.life.Err() == nil {
		next, wait, changed := h.next()
		if next == nil {
			idle(h.life, wait, changed)
			continue
		}
		status, err := h.Deliver(h.life, next.event)
		h.settle(next, err == nil && h.cfg.Taken(status))
	}
}

// next takes what is due. If that is nothing, it says how long nothing will be, negative
// for as long as nothing changes.
func (h *Webhooks) next() (next *pending, wait time.Duration, changed <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := h.first()
	if first < 0 {
		return nil, -1, h.changed
	}
	next = h.queue[first]
	if wait = next.due.Sub(h.cfg.Now()); wait > 0 {
		return nil, wait, h.changed
	}
	h.queue, h.busy = slices.Delete(h.queue, first, first+1), true
	return next, 0, h.changed
}

// first is the place of what is due first in the queue, -1 if that is empty. It holds the
// lock.
func (h *Webhooks) first() int {
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

// settle says when an event that was not taken is sent again.
func (h *Webhooks) settle(p *pending, taken bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.signal()
	h.busy = false
	if taken {
		return
	}
	p.due = h.cfg.Now().Add(p.pause)
	p.pause *= 2
	switch {
	case p.due.After(p.until) && h.cfg.Disables:
		h.disabled, h.queue = true, nil
	case !p.due.After(p.until) && !h.disabled:
		h.queue = append(h.queue, p)
	}
}
