package whatsapp

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/inbound"
	"github.com/telemed-go/telemed/internal/signature"
	"github.com/telemed-go/telemed/internal/webhook"
	"github.com/telemed-go/telemed/store"
)

// WebhookConfig configures NewWebhook.
type WebhookConfig struct {
	// Secrets are the app secrets that sign webhooks; several while one is replaced.
	// Required.
	Secrets []telemed.Secret
	// Handle acts on an event: a status, a message or another change. nil means done. An
	// error means not done: Meta sends the whole request again, for up to 7 days, and Handle
	// gets those of its events that are not done yet; if that cannot help, return
	// [Permanent](err). Only the error's type is logged, for it may quote what a person
	// wrote. Events come out of order: see [State.Supersedes]. ctx has the request's values
	// and ends after Timeout. It is called concurrently, but one after the other for the
	// events of a request. Required.
	Handle func(ctx context.Context, e Event) error

	// Unread takes what Meta has signed and this package cannot read, for a person to look
	// at. What came with it is handled all the same. Only nil is answered 200. If Unread is
	// nil, such a request is logged and answered 500.
	Unread func(ctx context.Context, e UnreadEvent) error
	// VerifyToken is the text that the application chose when it registered the webhook's
	// URL. If empty, the registration is refused.
	VerifyToken telemed.Secret
	// Claims says which events were handled, in all processes of the application; Event.ID
	// is the key. If nil, a store.Memory of the Webhook's own, which is enough for one
	// process. Two Webhooks that are both to handle an event need Claims apart.
	Claims store.Claims
	// Timeout is how long all events of a request may take. Meta has its answer a tenth of a
	// second later, whatever Handle does. If 0, 5 seconds: Meta asks for an answer within
	// one, and does not say how long it waits.
	Timeout time.Duration
	// Logger hears of what is refused, likely why, and of what fails, without anything
	// personal. If nil, nothing is logged.
	Logger *slog.Logger
}

const (
	maxWebhookBody = 3 << 20 // Meta sends up to 3 MB
	webhookTimeout = 5 * time.Second
	// webhookKeep is a day more than Meta sends a request again.
	webhookKeep = 8 * 24 * time.Hour
)

// Webhook is the endpoint that is registered with Meta under the field "messages". It
// hands each status, message and other change to Handle once, also if Meta repeats a
// request because another of its events failed. It is safe for concurrent use.
//
// GET is the registration: it answers the challenge, or 403 unless the verify token fits.
// POST brings events. It answers
//
//   - 200 if all events were handled, now or before, or can never be ([Permanent]);
//   - 401 without a signature by one of the app secrets;
//   - 413 to bodies over 3 MiB, 408 to those that take more than 10 seconds to arrive or
//     than the http.Server's ReadTimeout, 400 to those that break off;
//   - 500 after an error or a panic of Handle, or if nobody takes what cannot be read;
//   - 503 while one of the events is being handled, if Claims fails, and after Shutdown.
//
// A Handle that does not return within Timeout runs on: Meta is answered 503, and each
// repetition too, until it returns; then the event is done or free, as it says.
type Webhook struct {
	cfg  WebhookConfig
	door *webhook.Door
}

// NewWebhook returns a Webhook, or an error that names everything that is wrong with cfg
// and matches telemed.ErrInvalid.
func NewWebhook(cfg WebhookConfig) (*Webhook, error) {
	var p fault.Problems
	webhook.CheckSecrets(&p, cfg.Secrets)
	p.Check(cfg.Handle != nil, "Handle", "is required")
	p.Optional("Claims", cfg.Claims)
	p.Check(cfg.Timeout >= 0, "Timeout", "is negative")
	if err := p.Err("whatsapp: webhook"); err != nil {
		return nil, err
	}
	return newWebhook(cfg), nil
}

// newWebhook returns a Webhook. The caller has checked cfg.
func newWebhook(cfg WebhookConfig) *Webhook {
	cfg.Secrets = slices.Clone(cfg.Secrets)
	w := &Webhook{cfg: cfg}
	w.door = webhook.New(webhook.Config{
		Provider: "whatsapp", MaxBody: maxWebhookBody, Timeout: cmp.Or(cfg.Timeout, webhookTimeout),
		Keep: webhookKeep, Claims: cfg.Claims, Logger: cfg.Logger, HideErrors: true, Open: w.open,
	})
	return w
}

// Permanent marks an error of Handle as incurable: the event is answered 200, logged, and
// never handled again. It is the same in every package that has a Webhook. Permanent(nil)
// is nil.
func Permanent(err error) error { return webhook.Permanent(err) }

// Shutdown refuses events from now on, with 503, and waits for each Handle that still
// runs. If ctx ends first, its error is returned.
func (w *Webhook) Shutdown(ctx context.Context) error { return w.door.Shutdown(ctx) }

// ServeHTTP implements http.Handler.
func (w *Webhook) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
		inbound.Bound(rw, r)
		w.register(rw, r)
	case http.MethodPost:
		w.door.ServeHTTP(rw, r)
	default:
		inbound.Bound(rw, r)
		rw.Header().Set("Allow", "GET, POST")
		http.Error(rw, "method not allowed", http.StatusMethodNotAllowed)
	}
}

// maxChallenge bounds what is echoed; Meta sends about ten digits.
const maxChallenge = 256

// register echoes the challenge of a registration that knows the verify token.
func (w *Webhook) register(rw http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	challenge := query.Get("hub.challenge")
	if query.Get("hub.mode") != "subscribe" || len(challenge) > maxChallenge ||
		!sameToken(query.Get("hub.verify_token"), w.cfg.VerifyToken.Reveal()) {
		w.door.Logger().LogAttrs(r.Context(), slog.LevelWarn, "webhook registration refused")
		http.Error(rw, "forbidden", http.StatusForbidden)
		return
	}
	rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
	rw.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = io.WriteString(rw, challenge)
}

// sameToken compares MACs of the tokens, so that not even the length shows in the
// time. An empty token is an empty key, which fits nothing.
func sameToken(given, want string) bool {
	return signature.Valid(signature.Hex([]byte(want), []byte(given)), []byte(want), []byte(want))
}

const signatureHeader = "X-Hub-Signature-256"

// open checks a request and reads the events in it.
func (w *Webhook) open(_ context.Context, header http.Header, body []byte) (webhook.Delivery, error) {
	_, err := signature.Check{
		Header: header, Name: signatureHeader, Prefix: "sha256=", Body: body, Secrets: w.cfg.Secrets, Event: isWhatsApp,
	}.Verify()
	if err != nil {
		return webhook.Delivery{}, fmt.Errorf("whatsapp: webhook: %w", err)
	}
	events, unread := parse(body)
	var delivery webhook.Delivery
	for _, e := range events {
		delivery.Events = append(delivery.Events, webhook.Event{
			Keys: []string{e.ID}, Attrs: []slog.Attr{slog.String("event_id", e.ID), slog.String("kind", e.kind())},
			Handle: func(ctx context.Context) error { return w.cfg.Handle(ctx, e) },
		})
	}
	for _, e := range unread {
		e.Header = http.Header{signatureHeader: header.Values(signatureHeader)}
		delivery.Events = append(delivery.Events, w.unread(e))
	}
	return delivery, nil
}

// unread hands the application what cannot be read.
func (w *Webhook) unread(e UnreadEvent) webhook.Event {
	if w.cfg.Unread == nil {
		return webhook.Unread(e.Raw, e.Part, nil)
	}
	return webhook.Unread(e.Raw, e.Part, func(ctx context.Context) error { return w.cfg.Unread(ctx, e) })
}
