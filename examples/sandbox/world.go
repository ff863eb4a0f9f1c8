package main

import (
	"context"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/examples/internal/local"
	"github.com/telemed-go/telemed/internal/fake"
	"github.com/telemed-go/telemed/meet/googlemeet/googlemeettest"
	"github.com/telemed-go/telemed/notify/whatsapp/whatsapptest"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// world is what the providers have between two resets: accounts, orders, meetings and
// messages.
type world struct {
	local.Providers
	began     time.Time
	ahead     fake.Clock     // as far as the providers' clocks
	zoomHooks *fake.Webhooks // Zoom's fake has no memory of what it sent
	life      context.Context
	end       context.CancelFunc

	mu    sync.Mutex
	told  map[string]string // statuses of WhatsApp messages that were told on request
	said  []said
	rooms map[int64]*room // by the id of the meeting
}

// said is what a patient wrote.
type said struct {
	Phone, Text string
	At          time.Time
}

// room is who is in a Zoom meeting, and who waits for it.
type room struct{ Waiting, Inside []string }

// The pauses after which Zoom sends a webhook again that was not taken. See
// https://developers.zoom.us/docs/api/webhooks/#notification-delivery.
const (
	zoomPause    = 5 * time.Minute
	zoomPatience = 90 * time.Minute
)

// newWorld starts the providers whose APIs are HTTP, behind their passages. Mail is the
// mail server, which stays.
func newWorld(p *providers) (w *world, err error) {
	w = &world{told: map[string]string{}, rooms: map[int64]*room{}, began: time.Now()}
	w.life, w.end = context.WithCancel(context.Background()) // ended by close
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	w.Mail = p.mail
	if w.Google, err = googlemeettest.Start(googlemeettest.Config{
		Addr: p.shown(googlePort), InMemory: true, Email: "dr.rao@clinic.example", Lenient: true,
	}); err != nil {
		return w, err
	}
	if w.Zoom, err = zoomtest.Start(zoomtest.Config{Addr: p.shown(zoomPort), InMemory: true}); err != nil {
		return w, err
	}
	if w.Razorpay, err = razorpaytest.Start(razorpaytest.Config{
		Addr: p.shown(razorpayPort), InMemory: true, KeyID: "rzp_test_sandbox000001", KeySecret: telemed.NewSecret("sandbox-key-secret"),
		WebhookSecret: telemed.NewSecret("sandbox-webhook-secret"), WebhookURL: p.webhookURL(local.Razorpay),
	}); err != nil {
		return w, err
	}
	if w.WhatsApp, err = whatsapptest.Start(whatsapptest.Config{
		Addr: p.shown(whatsappPort), InMemory: true, WebhookURL: p.webhookURL(local.WhatsApp), Statuses: []string{"sent", "delivered"},
	}); err != nil {
		return w, err
	}
	w.zoomHooks = fake.StartWebhooks(fake.WebhookConfig{
		Kit: "zoom", URL: p.webhookURL(local.Zoom), Client: &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{}},
		Now: w.ahead.Now, Sign: func(h http.Header, e fake.Event) {
			// An application compares the time with its own clock, which is the machine's.
			maps.Copy(h, w.Zoom.Sign(time.Now(), e.Body))
		},
		Taken: func(status int) bool { return status >= 200 && status < 300 }, Pause: zoomPause, Patience: zoomPatience,
	})
	return w, nil
}

// close ends all but the mail server.
func (w *world) close() {
	w.end()
	if w.zoomHooks != nil {
		w.zoomHooks.Close()
	}
	if w.Google != nil {
		w.Google.Close()
	}
	if w.Zoom != nil {
		w.Zoom.Close()
	}
	if w.Razorpay != nil {
		w.Razorpay.Close()
	}
	if w.WhatsApp != nil {
		w.WhatsApp.Close()
	}
}

// advance moves all clocks ahead, past all that happens meanwhile.
func (w *world) advance(d time.Duration) {
	w.Advance(d)
	end := w.ahead.Now().Add(d)
	for {
		if w.zoomHooks.WaitIdle(w.life) != nil {
			return
		}
		next := w.zoomHooks.NextDue()
		if next.IsZero() || next.After(end) {
			break
		}
		w.ahead.Advance(max(next.Sub(w.ahead.Now()), 0))
		w.zoomHooks.Wake()
	}
	w.ahead.Advance(max(end.Sub(w.ahead.Now()), 0))
	w.zoomHooks.Wake()
	_ = w.zoomHooks.WaitIdle(w.life) // it is closed
}

// now is the providers' time.
func (w *world) now() time.Time { return w.ahead.Now() }

// zoomTold are Zoom's webhooks as they went over the wire.
func (w *world) zoomTold() []local.Exchange {
	var all []local.Exchange
	for _, d := range w.zoomHooks.Deliveries() {
		all = append(all, local.Exchange{
			Provider: local.Zoom, Op: d.Event.Type, Webhook: true, Method: http.MethodPost, Body: string(d.Event.Body), Status: d.Status, At: d.At,
		})
	}
	return all
}

// wire is what went over the wire, Zoom's webhooks among it, oldest first.
func (w *world) wire() []local.Exchange { return w.Wire(w.zoomTold()...) }

// aim has a provider's webhooks go elsewhere.
func (w *world) aim(provider, target string) {
	switch provider {
	case local.Razorpay:
		w.Razorpay.SetWebhookURL(target)
	case local.WhatsApp:
		w.WhatsApp.SetWebhookURL(target)
	case local.Zoom:
		w.zoomHooks.SetURL(target)
	}
}
