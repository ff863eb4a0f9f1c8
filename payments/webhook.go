package payments

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
)

// MaxWebhookBody is how many bytes of a webhook are read: 1 MiB. Longer ones are answered 413.
const MaxWebhookBody = 1 << 20

// The defaults of WebhookConfig.
const (
	// DefaultWebhookTimeout is a little less than the 5 seconds that Razorpay waits for an answer.
	DefaultWebhookTimeout = 4500 * time.Millisecond
	// DefaultRemember is a day more than Razorpay allows to replay an event by hand.
	DefaultRemember = 16 * 24 * time.Hour
	// bodyTimeout is how long a body may take to arrive; webhooks are a few kilobytes.
	bodyTimeout = 10 * time.Second
	// claimLease is how long an event counts as being handled, if not for longer; see lease.
	claimLease = time.Minute
)

// WebhookConfig configures NewWebhookHandler.
type WebhookConfig struct {
	// Parser checks and reads the webhook; a *razorpay.Client is one. Required.
	Parser WebhookParser
	// Handle acts on an event. Its ctx ends after Timeout. nil means done: the
	// gateway will not send the event again. An error means not done, and the
	// gateway sends it again for a day or so; if that cannot help, return
	// [Permanent](err). It may run more than once for what is the same to the
	// host: see [Event.Fact]. Required.
	Handle func(ctx context.Context, e *Event) error

	// Deduper keeps an event from being handled twice. If nil, a MemoryDeduper
	// of its own, which is enough for one process. Two handlers that are to see
	// the same events need a Deduper each: what one has handled is done.
	Deduper Deduper
	// AccountID refuses events of other accounts, if not empty: they are
	// answered 200 and dropped.
	AccountID string
	// Timeout is what Handle gets. If 0, DefaultWebhookTimeout.
	Timeout time.Duration
	// Remember is how long an event is known as done. If 0, DefaultRemember.
	Remember time.Duration
	// Logger hears of refused and failed webhooks. If nil, nothing is logged.
	Logger *slog.Logger
}

// NewWebhookHandler returns the http.Handler for the gateway's webhooks, or an
// telemed.ErrInvalid that names everything that is wrong with cfg.
//
// It reads the raw body, checks the signature, drops duplicates, calls Handle
// and answers:
//
//   - 200 if the event was handled, was handled before, or can never be handled
//     (unreadable, of another account, or Handle's [Permanent]). A gateway that
//     sees errors for a day disables the endpoint, so nothing incurable is one.
//   - 401 if the signature is missing or wrong, 405 if it is not a POST, 413 if
//     it is too long, 408 if it takes more than 10 seconds to arrive, 400 if it
//     was cut off;
//   - 500 if Handle failed or panicked, 503 if the same event is being handled
//     right now or the Deduper failed: the gateway sends it again.
//
// Duplicates are found by the event's id and by the digest of the body: the id
// is not signed, so somebody who holds one signed body could send it under new
// ids. No middleware may touch the body before it gets here.
//
// The handler is safe for concurrent use and starts no goroutine. The 10 seconds
// take the place of the http.Server's ReadTimeout, as far as its connections have deadlines.
func NewWebhookHandler(cfg WebhookConfig) (http.Handler, error) {
	var p fault.Problems
	p.Check(cfg.Parser != nil, "Parser", "is required")
	p.Check(cfg.Handle != nil, "Handle", "is required")
	p.Check(cfg.Timeout >= 0, "Timeout", "is negative")
	p.Check(cfg.Remember >= 0, "Remember", "is negative")
	if err := p.Err("payments: webhook"); err != nil {
		return nil, err
	}
	if cfg.Deduper == nil {
		cfg.Deduper = NewMemoryDeduper(0)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultWebhookTimeout
	}
	if cfg.Remember == 0 {
		cfg.Remember = DefaultRemember
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &webhookHandler{cfg}, nil
}

// Permanent marks an error of a webhook's Handle as incurable: the event is
// answered 200, logged, and never handled again. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanent{err}
}

type permanent struct{ err error }

func (p *permanent) Error() string { return p.err.Error() }
func (p *permanent) Unwrap() error { return p.err }

type webhookHandler struct{ cfg WebhookConfig }

// ServeHTTP implements http.Handler.
func (h *webhookHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		respond(w, http.StatusMethodNotAllowed, "method not allowed")
		return
	}
	body, err := readBody(w, r)
	if err != nil {
		refuseBody(w, err)
		return
	}
	event, err := h.cfg.Parser.ParseWebhook(r.Header, body)
	switch {
	case errors.Is(err, telemed.ErrSignature):
		h.log(r.Context(), slog.LevelWarn, "payment webhook refused: signature mismatch")
		respond(w, http.StatusUnauthorized, "signature mismatch")
	case err != nil || event == nil:
		h.log(r.Context(), slog.LevelError, "payment webhook is signed but unreadable", slog.String("body_sha256", digest(body)))
		respond(w, http.StatusOK, "ignored")
	case h.cfg.AccountID != "" && event.AccountID != h.cfg.AccountID:
		h.log(r.Context(), slog.LevelWarn, "payment webhook is of another account", slog.Any("event", event))
		respond(w, http.StatusOK, "ignored")
	default:
		status, text := h.once(r.Context(), event, body)
		if status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "5")
		}
		respond(w, status, text)
	}
}

// readBody gives a sender that drips no more than bodyTimeout. The deadline of a
// body that failed is left where it is: the server reads on to the next request,
// and must not wait for the rest either.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTimeout)) // a connection without deadlines has its host's limits
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxWebhookBody))
	if err == nil {
		_ = control.SetReadDeadline(time.Time{})
	}
	return body, err
}

func refuseBody(w http.ResponseWriter, err error) {
	_, tooLong := errors.AsType[*http.MaxBytesError](err)
	switch {
	case tooLong:
		respond(w, http.StatusRequestEntityTooLarge, "too large")
	case errors.Is(err, os.ErrDeadlineExceeded):
		respond(w, http.StatusRequestTimeout, "body came too slowly")
	default:
		respond(w, http.StatusBadRequest, "body was cut off")
	}
}

// once handles event unless that was done before or is being done.
func (h *webhookHandler) once(ctx context.Context, event *Event, body []byte) (int, string) {
	keys := []string{"body:" + digest(body)}
	if event.ID != "" {
		keys = append(keys, "evt:"+event.ID)
	}
	claim, err := h.cfg.Deduper.Claim(ctx, keys, h.lease())
	switch {
	case err != nil:
		h.log(ctx, slog.LevelError, "payment webhook could not be claimed", slog.Any("event", event), slog.Any("error", err))
		return http.StatusServiceUnavailable, "try again"
	case claim.State == ClaimDone:
		return http.StatusOK, "duplicate"
	case claim.State != ClaimNew:
		return http.StatusServiceUnavailable, "in progress"
	}
	err = h.call(ctx, event)

	// The gateway may have hung up by now; the books are kept all the same.
	bookCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.cfg.Timeout)
	defer cancel()
	_, incurable := errors.AsType[*permanent](err)
	if err != nil {
		h.log(ctx, slog.LevelError, "payment webhook failed", slog.Any("event", event), slog.Any("error", err), slog.Bool("permanent", incurable))
	}
	if err != nil && !incurable {
		if err := h.cfg.Deduper.Release(bookCtx, keys, claim.Token); err != nil {
			h.log(ctx, slog.LevelError, "payment webhook could not be released", slog.Any("event", event), slog.Any("error", err))
		}
		return http.StatusInternalServerError, "failed"
	}
	if err := h.cfg.Deduper.Complete(bookCtx, keys, h.cfg.Remember); err != nil {
		// Handled, but not remembered: 200 all the same, or it would be handled again for sure.
		h.log(ctx, slog.LevelError, "payment webhook was handled but could not be marked as done", slog.Any("event", event), slog.Any("error", err))
	}
	return http.StatusOK, "ok"
}

// lease outlives a Handle that minds its deadline and the entry in the books after it.
func (h *webhookHandler) lease() time.Duration { return max(claimLease, 2*h.cfg.Timeout) }

// call runs Handle under its deadline and turns a panic into an error that
// names its type alone: its text may hold anything.
func (h *webhookHandler) call(ctx context.Context, event *Event) (err error) {
	ctx, cancel := context.WithTimeout(ctx, h.cfg.Timeout)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("payments: webhook handler panicked with %T", v)
		}
	}()
	return h.cfg.Handle(ctx, event)
}

func (h *webhookHandler) log(ctx context.Context, level slog.Level, msg string, attrs ...slog.Attr) {
	h.cfg.Logger.LogAttrs(ctx, level, msg, attrs...)
}

func respond(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n")
}

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
