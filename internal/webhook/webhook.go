// Package webhook is the door through which a provider's events come in. Package zoom,
// payments and notify/whatsapp each have a Webhook that is one of these Doors and what
// they alone know of their provider: how it signs, and what its events say.
//
// A Door reads the raw body, has the signature checked, hands each event to the
// application once and answers in time. See [Door] for what it answers.
package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/store"
)

// Config configures a Door.
type Config struct {
	// Provider is the provider's name, "zoom". Claims and log lines begin with it. Required.
	Provider string
	// MaxBody is how many bytes a body may have. Required.
	MaxBody int64
	// Timeout is how long the events of one delivery may be handled. The provider is
	// answered at the latest Grace afterwards. Required.
	Timeout time.Duration
	// Keep is how long an event is known as done: longer than the provider may send it
	// again. Required; more than store.MaxClaimTime counts as that.
	Keep time.Duration
	// Tolerance is how old a delivery may be, where Open says when it was signed. If 0, age
	// does not count.
	Tolerance time.Duration
	// Claims says which events are done or being handled. If nil, a store.Memory of the
	// Door's own, which is enough for one process.
	Claims store.Claims
	// Logger hears of what is refused and what fails. If nil, nothing is logged.
	Logger *slog.Logger
	// HideErrors has an event's error logged by its type alone, where errors tend to quote
	// what a person wrote.
	HideErrors bool

	// Open checks the signature over body, byte for byte as it came, before it looks inside.
	// An error is answered 400 if it matches telemed.ErrInvalid, else 401; it is logged and
	// must say nothing of what was sent. Required.
	Open func(ctx context.Context, header http.Header, body []byte) (Delivery, error)
}

// Delivery is what a request brings that the provider has signed.
type Delivery struct {
	// SignedAt is when the provider signed it. If it signs no time, zero.
	SignedAt time.Time
	// Events are handled one after the other. May be none.
	Events []Event
	// Answer is a JSON document to answer with. If nil, the status says all.
	Answer []byte
}

// Event is one thing that the application hears of.
type Event struct {
	// Keys are what the event is known by, each of which the provider sends for no other
	// event. At least one.
	Keys []string
	// Handle acts on the event.
	Handle func(ctx context.Context) error
	// Attrs say in the log which event it is, without its content.
	Attrs []slog.Attr
}

// The times of a Door.
const (
	// Grace is how long Handle may take to return once its context has ended.
	Grace = 100 * time.Millisecond
	// Ahead is how far in the future a delivery may be signed: clocks differ.
	Ahead = 5 * time.Minute
	// retryAfter is what a provider is asked to wait, in seconds.
	retryAfter = "5"
)

// Door is an http.Handler for a provider's events. It answers
//
//   - 200 if every event was handled, now or before, or never can be ([Permanent]);
//   - 405 if it is not a POST; 413 to a body that is too long, 408 to one that takes more
//     than 10 seconds to arrive (or the http.Server's own ReadTimeout, if that is
//     shorter), 400 to one that breaks off: after these three the connection is given up;
//   - 401 if the signature does not fit, or was made too long ago or in the future;
//   - 500 if an event failed, or panicked;
//   - 503 with Retry-After if an event is being handled at the moment, if Claims failed,
//     if a handler takes too long or after Shutdown.
//
// Whatever Handle does, the provider has its answer Grace after Timeout. A Handle that
// goes on keeps its claim, so that the event is not begun a second time; once it returns,
// the event is done or free, as it says. A Door is safe for concurrent use.
type Door struct {
	cfg  Config
	runs runs
}

// New returns a Door. The caller has checked cfg.
func New(cfg Config) *Door {
	if cfg.Claims == nil {
		cfg.Claims = store.NewMemory()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.Logger = cfg.Logger.With(slog.String("provider", cfg.Provider))
	cfg.Keep = min(cfg.Keep, store.MaxClaimTime)
	return &Door{cfg: cfg}
}

// CheckSecrets notes what is wrong with the Secrets of a webhook's configuration.
func CheckSecrets(p *fault.Problems, secrets []telemed.Secret) {
	p.Check(len(secrets) > 0, "Secrets", "are required")
	for i, secret := range secrets {
		p.Check(!secret.IsZero(), fmt.Sprintf("Secrets[%d]", i), "is empty: anybody could sign with it")
	}
}

// Logger returns what the Door logs to; never nil.
func (d *Door) Logger() *slog.Logger { return d.cfg.Logger }

// Shutdown refuses deliveries from now on, and waits for the handlers that run, also
// those that outlived their answer. If ctx ends first, its error is returned and they run
// on; their claims are free a minute after the process has ended. Calling it again waits
// again.
func (d *Door) Shutdown(ctx context.Context) error {
	select {
	case <-d.runs.close():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ServeHTTP implements http.Handler.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		respond(w, http.StatusMethodNotAllowed, "method not allowed")
		return
	}
	if d.runs.closed() {
		respondAgain(w, "shutting down")
		return
	}
	body, err := readBody(w, r, d.cfg.MaxBody)
	if err != nil {
		d.refuse(w, r, statusOfBody(err), errors.New("the body could not be read"))
		return
	}
	delivery, err := d.cfg.Open(r.Context(), r.Header, body)
	if err == nil {
		err = d.checkAge(delivery.SignedAt, time.Now())
	}
	switch {
	case errors.Is(err, telemed.ErrInvalid):
		d.refuse(w, r, http.StatusBadRequest, err)
	case err != nil:
		d.refuse(w, r, http.StatusUnauthorized, err)
	case delivery.Answer != nil:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(delivery.Answer)
	case len(delivery.Events) == 0:
		respond(w, http.StatusOK, "ignored")
	default:
		d.answer(r.Context(), w, delivery.Events)
	}
}

var errAge = errors.New("the delivery was signed too long ago or in the future")

func (d *Door) checkAge(signed, now time.Time) error {
	if d.cfg.Tolerance == 0 {
		return nil
	}
	if age := now.Sub(signed); age > d.cfg.Tolerance || age < -Ahead {
		return errAge
	}
	return nil
}

func (d *Door) refuse(w http.ResponseWriter, r *http.Request, status int, err error) {
	d.cfg.Logger.LogAttrs(r.Context(), slog.LevelWarn, "webhook refused",
		slog.Int("status", status), slog.Any("error", err))
	respond(w, status, refusals[status])
}

// refusals are what a sender is told. That is the same whatever was wrong with a
// signature.
var refusals = map[int]string{
	http.StatusBadRequest:            "cannot be read",
	http.StatusUnauthorized:          "signature mismatch",
	http.StatusRequestTimeout:        "the body came too slowly",
	http.StatusRequestEntityTooLarge: "too large",
}

func respond(w http.ResponseWriter, status int, text string) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n")
}

func respondAgain(w http.ResponseWriter, text string) {
	w.Header().Set("Retry-After", retryAfter)
	respond(w, http.StatusServiceUnavailable, text)
}

// answer hands events to the application and answers in time, whether that returns or not.
func (d *Door) answer(ctx context.Context, w http.ResponseWriter, events []Event) {
	run := d.runs.begin()
	if run == nil {
		d.cfg.Logger.LogAttrs(ctx, slog.LevelError, "webhook not handled: shut down, or too many handlers do not return")
		respondAgain(w, "try again later")
		return
	}
	result := make(chan result, 1)
	go d.run(ctx, run, events, result)
	timer := time.NewTimer(d.cfg.Timeout + Grace)
	defer timer.Stop()
	select {
	case got := <-result:
		got.respond(w)
	case <-timer.C:
		d.runs.outlives(run)
		d.log(ctx, run.current.Load(), "webhook handler does not return in time: it runs on",
			slog.Duration("timeout", d.cfg.Timeout), slog.Int("events", len(events)))
		respondAgain(w, "still being handled")
	}
}
