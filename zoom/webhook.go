package zoom

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/redact"
	"github.com/telemed-go/telemed/internal/signature"
	"github.com/telemed-go/telemed/internal/webhook"
	"github.com/telemed-go/telemed/store"
)

// WebhookConfig configures NewWebhook.
type WebhookConfig struct {
	// Secrets are the secret tokens of the apps that send here; several while one is
	// replaced. Required.
	Secrets []telemed.Secret
	// Handle acts on a verified event. nil means done: Zoom does not send it again. An error
	// means not done: Zoom sends it again after 5, 25 and 85 minutes, and then never; if
	// that cannot help, return [Permanent](err). Its text is logged. Events come out of
	// order: order them by Event.Time. ctx has the request's values and ends after Timeout.
	// It is called concurrently. Required.
	Handle func(ctx context.Context, event Event) error

	// Unread takes what Zoom has signed and this package cannot read, for a person to look
	// at. Only nil is answered 200. If Unread is nil, such a delivery is logged and answered
	// 500.
	Unread func(ctx context.Context, event UnreadEvent) error
	// Claims says which events were handled, in all processes of the application; Event.ID
	// is the key. If nil, a store.Memory of the Webhook's own, which is enough for one
	// process. Two Webhooks that are both to handle an event need Claims apart.
	Claims store.Claims
	// Timeout is how long Handle may take: Zoom waits 3 seconds for an answer, and has it a
	// tenth of a second after Timeout whatever Handle does. If 0, 2.5 seconds.
	Timeout time.Duration
	// Tolerance is how old a delivery may be. If 0, 2 hours, since it is not known whether
	// Zoom dates repetitions anew.
	Tolerance time.Duration
	// Logger hears of what is refused, likely why, and of what fails, without any of its
	// content. If nil, nothing is logged.
	Logger *slog.Logger
}

// UnreadEvent is a delivery that is signed and cannot be read. It prints without its
// content.
type UnreadEvent struct {
	// Header has those headers of the delivery that are Zoom's own: X-Zm-….
	Header http.Header
	// Raw is the body as it was signed. It may hold names and addresses.
	Raw []byte
}

// LogValue tells the body's SHA-256 and its length in bytes.
func (e UnreadEvent) LogValue() slog.Value {
	return slog.GroupValue(slog.String("body_sha256", webhook.Digest(e.Raw)), slog.Int("bytes", len(e.Raw)))
}

// Format prints what LogValue tells, whatever the verb.
func (e UnreadEvent) Format(f fmt.State, _ rune) { redact.Format(f, e) }

// The bounds of a delivery.
const (
	maxWebhookBody   = 1 << 20
	webhookTimeout   = 2500 * time.Millisecond
	webhookTolerance = 2 * time.Hour
	// webhookRetries is how long Zoom sends an event again, and somewhat more.
	webhookRetries = 2 * time.Hour
)

// Webhook is the http.Handler of Zoom's event notifications. It believes nothing before
// the signature over the raw body fits one of the secrets, not even a request to validate
// the endpoint. Each event is handled once. It is safe for concurrent use.
//
// It answers
//
//   - 200 if the event was handled, now or before, or can never be ([Permanent]);
//   - 401 to what is not Zoom's or too old, 405 to what is no POST;
//   - 413 to bodies over 1 MiB, 408 to those that take more than 10 seconds to arrive or
//     than the http.Server's ReadTimeout, 400 to those that break off;
//   - 500 after an error or a panic of Handle, or if nobody takes what cannot be read;
//   - 503 while the event is being handled, if Claims fails, and after Shutdown.
//
// A Handle that does not return within Timeout runs on: Zoom is answered 503, and each
// repetition too, until it returns; then the event is done or free, as it says.
//
// See https://developers.zoom.us/docs/api/webhooks/.
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
	p.Check(cfg.Tolerance >= 0, "Tolerance", "is negative")
	if err := p.Err("zoom: webhook"); err != nil {
		return nil, err
	}
	cfg.Secrets = slices.Clone(cfg.Secrets)
	tolerance := cmp.Or(cfg.Tolerance, webhookTolerance)
	w := &Webhook{cfg: cfg}
	w.door = webhook.New(webhook.Config{
		Provider: ProviderName, MaxBody: maxWebhookBody, Timeout: cmp.Or(cfg.Timeout, webhookTimeout),
		Tolerance: tolerance, Keep: tolerance + webhook.Ahead + webhookRetries,
		Claims: cfg.Claims, Logger: cfg.Logger, Open: w.open,
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

// The headers of a delivery.
const (
	timestampHeader  = "X-Zm-Request-Timestamp"
	signatureHeader  = "X-Zm-Signature"
	trackingIDHeader = "X-Zm-Trackingid"
)

// open checks a delivery and reads what is in it.
func (w *Webhook) open(_ context.Context, header http.Header, raw []byte) (webhook.Delivery, error) {
	signer, signed, err := w.verify(header, raw)
	if err != nil {
		return webhook.Delivery{}, fmt.Errorf("zoom: webhook: %w", err)
	}
	delivery := webhook.Delivery{SignedAt: signed}
	event, err := parseEvent(raw)
	switch {
	case err != nil:
		delivery.Events = []webhook.Event{w.unread(header, raw)}
	case event.Name == eventValidation:
		delivery.Answer, err = validate(signer, raw)
		return delivery, err
	default:
		delivery.Events = []webhook.Event{{
			Keys: []string{event.ID}, Attrs: []slog.Attr{slog.Any("event", event)},
			Handle: func(ctx context.Context) error { return w.cfg.Handle(ctx, event) },
		}}
	}
	return delivery, nil
}

// verify returns the secret that signed the body, and when.
func (w *Webhook) verify(header http.Header, raw []byte) (telemed.Secret, time.Time, error) {
	timestamp := header.Get(timestampHeader)
	if timestamp == "" {
		return telemed.Secret{}, time.Time{}, fmt.Errorf("%w: the header %s is missing", telemed.ErrSignature, timestampHeader)
	}
	signer, err := signature.Check{
		Header: header, Name: signatureHeader, Prefix: "v0=", Body: raw, Secrets: w.cfg.Secrets,
		Signed: func(body []byte) []byte { return slices.Concat([]byte("v0:"+timestamp+":"), body) },
		Event:  func(body []byte) bool { _, err := parseEvent(body); return err == nil },
	}.Verify()
	if err != nil {
		return telemed.Secret{}, time.Time{}, err
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return telemed.Secret{}, time.Time{}, errors.New("the header " + timestampHeader + " is not a time")
	}
	return signer, time.Unix(seconds, 0), nil
}

// unread hands the application what cannot be read.
func (w *Webhook) unread(header http.Header, raw []byte) webhook.Event {
	if w.cfg.Unread == nil {
		return webhook.Unread(raw, nil, nil)
	}
	event := UnreadEvent{Header: http.Header{}, Raw: raw}
	for _, name := range []string{timestampHeader, signatureHeader, trackingIDHeader} {
		if values := header.Values(name); len(values) > 0 {
			event.Header[name] = slices.Clone(values)
		}
	}
	return webhook.Unread(raw, nil, func(ctx context.Context) error { return w.cfg.Unread(ctx, event) })
}

// plainToken is what Zoom sends to be signed. Whatever has a colon in it could be a
// forged delivery.
var plainToken = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// validate answers Zoom's question whether this endpoint knows the secret.
func validate(secret telemed.Secret, raw []byte) ([]byte, error) {
	var question struct {
		Payload struct {
			PlainToken string `json:"plainToken"`
		} `json:"payload"`
	}
	if json.Unmarshal(raw, &question) != nil || !plainToken.MatchString(question.Payload.PlainToken) {
		return nil, fault.Invalid("zoom: webhook", "payload.plainToken", "is not a token to sign")
	}
	token := question.Payload.PlainToken
	answer := fmt.Sprintf(`{"plainToken":%q,"encryptedToken":%q}`, token, signature.Hex([]byte(secret.Reveal()), []byte(token)))
	return []byte(answer), nil
}
