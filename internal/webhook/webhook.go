// Package webhook is the door through which a provider's events come in. Package zoom,
// payments and notify/whatsapp each have a Webhook that is one of these Doors and what
// they alone know of their provider: how it signs, and what its events say.
//
// A Door reads the raw body, has the signature checked, hands each event to the
// application once and answers in time. See [Door] for what it answers.
package webhook

import (
	"context"
	"fmt"
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
	CheckEach(p, "Secrets", secrets)
}

// CheckEach notes what is wrong with the secrets in field, of which there may be none.
func CheckEach(p *fault.Problems, field string, secrets []telemed.Secret) {
	for i, secret := range secrets {
		p.Check(!secret.IsZero(), fmt.Sprintf("%s[%d]", field, i), "is empty: anybody could sign with it")
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
