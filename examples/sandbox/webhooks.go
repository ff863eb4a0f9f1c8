package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/telemed-go/telemed/examples/internal/local"
	"github.com/telemed-go/telemed/internal/fake"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
)

// hooks are the webhooks of one provider.
type hooks struct {
	provider      string
	hold, release func()
	held          func() []fake.Event
	events        func() []fake.Event
	deliveries    func() []fake.Delivery
	deliver       func(context.Context, fake.Event) (status int, err error)
}

// webhooks are those of a provider, or of all if it has no name.
func (w *world) webhooks(provider string) ([]hooks, error) {
	all := []hooks{w.razorpayHooks(), w.whatsappHooks(), {
		local.Zoom, w.zoomHooks.Hold, w.zoomHooks.Release, w.zoomHooks.Held, w.zoomHooks.Events, w.zoomHooks.Deliveries, w.zoomHooks.Deliver,
	}}
	if provider == "" {
		return all, nil
	}
	i := slices.IndexFunc(all, func(h hooks) bool { return h.provider == provider })
	if i < 0 {
		return nil, fmt.Errorf("provider: %q is none of razorpay, whatsapp, zoom", provider)
	}
	return all[i : i+1], nil
}

func (w *world) razorpayHooks() hooks {
	s := w.Razorpay
	return hooks{
		local.Razorpay, s.HoldWebhooks, s.ReleaseWebhooks,
		func() []fake.Event { return plain(s.Held()) }, func() []fake.Event { return plain(s.Events()) },
		func() []fake.Delivery {
			var all []fake.Delivery
			for _, d := range s.Deliveries() {
				all = append(all, fake.Delivery{Event: fake.Event(d.Event), Status: d.Status, At: d.At})
			}
			return all
		},
		func(ctx context.Context, e fake.Event) (int, error) { return s.Deliver(ctx, razorpaytest.Event(e)) },
	}
}

func (w *world) whatsappHooks() hooks {
	s := w.WhatsApp
	return hooks{
		local.WhatsApp, s.HoldWebhooks, s.ReleaseWebhooks,
		func() []fake.Event { return plain(s.Held()) }, func() []fake.Event { return plain(s.Events()) },
		func() []fake.Delivery {
			var all []fake.Delivery
			for _, d := range s.Deliveries() {
				all = append(all, fake.Delivery{Event: fake.Event(d.Event), Status: d.Status, At: d.At})
			}
			return all
		},
		func(ctx context.Context, e fake.Event) (int, error) { return s.Deliver(ctx, whatsapptest.Event(e)) },
	}
}

func plain[E razorpaytest.Event | whatsapptest.Event](events []E) []fake.Event {
	var all []fake.Event
	for _, e := range events {
		all = append(all, fake.Event(e))
	}
	return all
}

// hook is a webhook as the control shows it. Its ID is of the sandbox: "razorpay-1" is the
// first of Razorpay's.
type hook struct {
	ID         string     `json:"id"`
	Provider   string     `json:"provider"`
	Event      string     `json:"event_id"`
	Type       string     `json:"type"`
	Held       bool       `json:"held"`
	Deliveries []delivery `json:"deliveries"`
	Body       string     `json:"body"`
}

type delivery struct {
	Status int       `json:"status"`
	At     time.Time `json:"at"`
}

// Taken is the status of the last delivery, 0 if there was none or nobody answered.
func (h hook) Taken() int {
	if len(h.Deliveries) == 0 {
		return 0
	}
	return h.Deliveries[len(h.Deliveries)-1].Status
}

// Pretty is the body for a person.
func (h hook) Pretty() string { return pretty(h.Body) }

// same is equal for two events if they are one.
func same(e fake.Event) string { return e.ID + "\x00" + e.Type + "\x00" + string(e.Body) }

// listHooks returns the webhooks of a provider, or of all, oldest first.
func (w *world) listHooks(provider string) ([]hook, error) {
	all, err := w.webhooks(provider)
	list := []hook{}
	for _, h := range all {
		held, sent := map[string]bool{}, map[string][]delivery{}
		for _, e := range h.held() {
			held[same(e)] = true
		}
		for _, d := range h.deliveries() {
			sent[same(d.Event)] = append(sent[same(d.Event)], delivery{d.Status, d.At})
		}
		for i, e := range h.events() {
			list = append(list, hook{
				ID: h.provider + "-" + strconv.Itoa(i+1), Provider: h.provider, Event: e.ID, Type: e.Type, Body: string(e.Body),
				Held: held[same(e)], Deliveries: append([]delivery{}, sent[same(e)]...),
			})
		}
	}
	return list, err
}

// holdHooks keeps webhooks back.
func (w *world) holdHooks(provider string) error {
	all, err := w.webhooks(provider)
	for _, h := range all {
		h.hold()
	}
	return err
}

// releaseHooks lets out what was held, in its order or the last one first.
func (w *world) releaseHooks(ctx context.Context, provider string, reversed bool) error {
	all, err := w.webhooks(provider)
	for _, h := range all {
		if reversed {
			for _, e := range slices.Backward(h.held()) {
				_, _ = h.deliver(ctx, e) // what is not taken goes out again below
			}
		}
		h.release()
	}
	return err
}

// maxTimes is how often a webhook is sent by one request.
const maxTimes = 100

// deliverHook sends a webhook again, times times. Without an id it is the provider's latest
// one, of a type if that is not empty. It returns what the application answered.
func (w *world) deliverHook(ctx context.Context, id, provider, kind string, times int) ([]int, error) {
	if times < 1 || times > maxTimes {
		return nil, fmt.Errorf("times: is not from 1 to %d", maxTimes)
	}
	all, err := w.webhooks(provider)
	if err != nil {
		return nil, err
	}
	for _, h := range all {
		events := h.events()
		for i, e := range slices.Backward(events) {
			if id != "" && id != h.provider+"-"+strconv.Itoa(i+1) || kind != "" && kind != e.Type {
				continue
			}
			statuses := []int{}
			for range times {
				status, err := h.deliver(ctx, e)
				if err != nil {
					return statuses, errors.New("nobody took the webhook: " + err.Error())
				}
				statuses = append(statuses, status)
			}
			return statuses, nil
		}
	}
	return nil, errors.New("there is no such webhook")
}
