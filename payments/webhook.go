package payments

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/redact"
	"github.com/telemed-go/telemed/internal/webhook"
	"github.com/telemed-go/telemed/store"
)

// WebhookConfig configures NewWebhook.
type WebhookConfig struct {
	// Parser checks and reads the webhook; a *razorpay.Client is one, and holds the secrets.
	// If it is an OrderFinder too, as that is, it is asked for the order of each
	// payment.captured, and order.paid, that comes without, or with one that could not be read
	// whole: only the order says whether it is paid. If the
	// order cannot be read now, the event is not handled and comes again; if the gateway has
	// no such order, or takes the id for none, Handle gets the event without it. Required.
	Parser WebhookParser
	// Handle acts on an event. nil means done: the gateway will not send the event again. An
	// error means not done, and the gateway sends it again for a day or so; if that cannot
	// help, return [Permanent](err). Its text is logged. Handle may run more than once for
	// what is the same to the application: see [Event.Fact]. ctx has the request's values
	// and ends after Timeout. It is called concurrently. Required.
	Handle func(ctx context.Context, e Event) error

	// Unread takes what the gateway has signed and Parser cannot read, for a person to look
	// at or for a Parser that can. Only nil is answered 200. If Unread is nil, such a
	// delivery is logged and answered 500.
	Unread func(ctx context.Context, e UnreadEvent) error
	// Claims says which events were handled, in all processes of the application. If nil, a
	// store.Memory of the Webhook's own, which is enough for one process. Two Webhooks that
	// are both to handle an event need Claims apart.
	Claims store.Claims
	// AccountID drops events of other accounts, if not empty: they are answered 200 and
	// logged.
	AccountID string
	// Timeout is how long Handle may take. The gateway has its answer a tenth of a second
	// later, whatever Handle does. If 0, 4.5 seconds: Razorpay waits 5.
	Timeout time.Duration
	// Logger hears of what is refused, likely why, and of what fails. If nil, nothing is
	// logged.
	Logger *slog.Logger
}

// UnreadEvent is a delivery that is signed and cannot be read. It prints without its
// content.
type UnreadEvent struct {
	// Header has all headers of the delivery, as ParseWebhook takes them.
	Header http.Header
	// Raw is the body as it was signed, the payer's data included.
	Raw []byte
}

// LogValue tells the body's SHA-256 and its length in bytes.
func (e UnreadEvent) LogValue() slog.Value {
	return slog.GroupValue(slog.String("body_sha256", webhook.Digest(e.Raw)), slog.Int("bytes", len(e.Raw)))
}

// Format prints what LogValue tells, whatever the verb.
func (e UnreadEvent) Format(f fmt.State, _ rune) { redact.Format(f, e) }

const (
	maxWebhookBody = 1 << 20
	// webhookTimeout is a little less than the 5 seconds that Razorpay waits for an answer.
	webhookTimeout = 4500 * time.Millisecond
	// webhookKeep is a day more than Razorpay allows to send an event again by hand.
	webhookKeep = 16 * 24 * time.Hour
)

// Webhook is the http.Handler for the gateway's events. It reads the raw body, has Parser
// check the signature, and hands each event to Handle once. It is safe for concurrent
// use.
//
// It answers
//
//   - 200 if the event was handled, now or before, can never be ([Permanent]), or is of
//     another account. A gateway that sees errors for a day disables the endpoint, so
//     nothing incurable is one;
//   - 401 if the signature is missing or wrong, 405 to what is no POST;
//   - 413 to bodies over 1 MiB, 408 to those that take more than 10 seconds to arrive or
//     than the http.Server's ReadTimeout, 400 to those that break off;
//   - 500 after an error or a panic of Handle, or if nobody takes what cannot be read;
//   - 503 while the event is being handled, if Claims fails, and after Shutdown.
//
// A Handle that does not return within Timeout runs on: the gateway is answered 503, and
// each repetition too, until it returns; then the event is done or free, as it says.
//
// An event is known by its id and by the digest of the body: the id is not signed, so
// somebody who holds one signed body could send it under new ids. No middleware may touch
// the body before it gets here.
type Webhook struct {
	cfg  WebhookConfig
	door *webhook.Door
}

// NewWebhook returns a Webhook, or an error that names everything that is wrong with cfg
// and matches telemed.ErrInvalid.
func NewWebhook(cfg WebhookConfig) (*Webhook, error) {
	var p fault.Problems
	p.NotNil("Parser", cfg.Parser)
	p.Optional("Claims", cfg.Claims)
	p.Check(cfg.Handle != nil, "Handle", "is required")
	p.Check(cfg.Timeout >= 0, "Timeout", "is negative")
	if err := p.Err("payments: webhook"); err != nil {
		return nil, err
	}
	w := &Webhook{cfg: cfg}
	w.door = webhook.New(webhook.Config{
		Provider: "payments", MaxBody: maxWebhookBody, Timeout: cmp.Or(cfg.Timeout, webhookTimeout),
		Keep: webhookKeep, Claims: cfg.Claims, Logger: cfg.Logger, Open: w.open,
	})
	return w, nil
}

// Permanent marks an error of Handle as incurable: the event is answered 200, logged, and
// never handled again. It is the same in every package that has a Webhook. Permanent(nil)
// is nil.
func Permanent(err error) error { return webhook.Permanent(err) }

// ServeHTTP implements http.Handler.
func (w *Webhook) ServeHTTP(rw http.ResponseWriter, r *http.Request) { w.door.ServeHTTP(rw, r) }

// Shutdown refuses deliveries from now on, with 503, and waits for each Handle that still
// runs. If ctx ends first, its error is returned.
func (w *Webhook) Shutdown(ctx context.Context) error { return w.door.Shutdown(ctx) }

// open has a delivery checked and read.
func (w *Webhook) open(ctx context.Context, header http.Header, body []byte) (webhook.Delivery, error) {
	event, err := w.cfg.Parser.ParseWebhook(header, body)
	switch {
	case errors.Is(err, telemed.ErrSignature):
		return webhook.Delivery{}, err
	case err != nil || event == nil:
		return webhook.Delivery{Events: []webhook.Event{w.unread(header, body)}}, nil
	case w.cfg.AccountID != "" && event.AccountID != w.cfg.AccountID:
		w.door.Logger().LogAttrs(ctx, slog.LevelWarn, "webhook event is of another account", slog.Any("event", *event))
		return webhook.Delivery{}, nil
	}
	keys := []string{"body:" + webhook.Digest(body)}
	if event.ID != "" {
		keys = append(keys, "event:"+event.ID)
	}
	return webhook.Delivery{Events: []webhook.Event{{
		Keys: keys, Attrs: []slog.Attr{slog.Any("event", *event)},
		Handle: func(ctx context.Context) error { return w.handle(ctx, *event) },
	}}}, nil
}

// handle hands the application an event, with the order that decides over it.
func (w *Webhook) handle(ctx context.Context, event Event) error {
	if finder, ok := w.cfg.Parser.(OrderFinder); ok && event.wantsOrder() {
		order, err := finder.Order(ctx, event.Payment.OrderID)
		switch {
		case err == nil:
			event.Order = order
		case !errors.Is(err, telemed.ErrNotFound) && !errors.Is(err, telemed.ErrInvalid):
			return fmt.Errorf("payments: webhook: read the order of the payment: %w", err)
		}
	}
	return w.cfg.Handle(ctx, event)
}

// unread hands the application what Parser cannot read.
func (w *Webhook) unread(header http.Header, body []byte) webhook.Event {
	if w.cfg.Unread == nil {
		return webhook.Unread(body, nil, nil)
	}
	event := UnreadEvent{Header: header.Clone(), Raw: body}
	return webhook.Unread(body, nil, func(ctx context.Context) error { return w.cfg.Unread(ctx, event) })
}
