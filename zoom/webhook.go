package zoom

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/signature"
)

// WebhookConfig configures a Webhook.
type WebhookConfig struct {
	// Secrets are the secret tokens of the apps that send here; several while one is replaced. Required.
	Secrets []telemed.Secret
	// OnEvent gets each verified event. Its ctx ends after 2.5 seconds, because Zoom gives up after 3: take
	// the event down and return. After an error Zoom sends the event again, up to three
	// times, 5, 25 and 85 minutes later. Events come twice and out of order: keep Event.ID, and
	// order by Event.Time. It is called concurrently. Required.
	OnEvent func(ctx context.Context, event Event) error

	// Tolerance is how old a delivery may be. If 0, 2 hours, since it is not known whether Zoom dates repetitions anew.
	Tolerance time.Duration
	// Logger gets what is refused, without any of its content. If nil, nothing is logged.
	Logger *slog.Logger
}

// The bounds of a delivery.
const (
	maxWebhookBody   = 1 << 20
	webhookAhead     = 5 * time.Minute // clocks differ
	webhookTolerance = 2 * time.Hour
	onEventTime      = 2500 * time.Millisecond
	bodyTime         = 10 * time.Second // Zoom itself gives up after 3
)

// Webhook is the http.Handler of Zoom's event notifications. It believes nothing before the
// signature over the raw body fits one of the secrets, not even a request to validate the
// endpoint. A delivery seen before is answered 200 and not passed on. It is safe for concurrent use.
//
// It answers 200, or 401 to what is not Zoom's or too old, 413 to bodies over 1 MiB, 408 to those that take
// more than 10 seconds to arrive (in place of the http.Server's ReadTimeout), 400 to what is signed but no event, 500 after an error of OnEvent and 503 to a delivery that is being handled at the moment.
// See https://developers.zoom.us/docs/api/webhooks/.
type Webhook struct {
	cfg  WebhookConfig
	seen *replayCache
}

// NewWebhook returns a Webhook, or an error that names everything that is wrong with cfg and matches telemed.ErrInvalid.
func NewWebhook(cfg WebhookConfig) (*Webhook, error) {
	var p fault.Problems
	p.Check(len(cfg.Secrets) > 0, "Secrets", "are required")
	for i, secret := range cfg.Secrets {
		p.Check(!secret.IsZero(), fmt.Sprintf("Secrets[%d]", i), "is empty")
	}
	p.Check(cfg.OnEvent != nil, "OnEvent", "is required")
	p.Check(cfg.Tolerance >= 0, "Tolerance", "is negative")
	if err := p.Err("zoom: webhook"); err != nil {
		return nil, err
	}
	cfg.Secrets = slices.Clone(cfg.Secrets)
	if cfg.Tolerance == 0 {
		cfg.Tolerance = webhookTolerance
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Webhook{cfg: cfg, seen: newReplayCache(cfg.Tolerance + webhookAhead)}, nil
}

// ServeHTTP implements http.Handler.
func (w *Webhook) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodPost {
		rw.Header().Set("Allow", http.MethodPost)
		http.Error(rw, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	raw, err := readBody(rw, r)
	if err != nil {
		w.refuseBody(rw, r, err)
		return
	}
	secret, err := w.verify(r.Header, raw, time.Now())
	if err != nil {
		w.refuse(rw, r, http.StatusUnauthorized, err)
		return
	}
	event, err := parseEvent(raw)
	switch {
	case err != nil:
		w.refuse(rw, r, http.StatusBadRequest, err)
	case event.Name == eventValidation:
		w.validate(rw, r, secret, raw)
	default:
		w.deliver(rw, r, event)
	}
}

// readBody gives a sender that drips no more than bodyTime. After a failure the deadline stays: the
// server reads on to the end of the request, and must not wait for it either.
func readBody(rw http.ResponseWriter, r *http.Request) ([]byte, error) {
	control := http.NewResponseController(rw)
	_ = control.SetReadDeadline(time.Now().Add(bodyTime)) // without support, as in a recorder, there is no slow body
	raw, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxWebhookBody))
	if err == nil {
		_ = control.SetReadDeadline(time.Time{})
	}
	return raw, err
}

func (w *Webhook) refuseBody(rw http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusBadRequest
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		status = http.StatusRequestEntityTooLarge
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		status = http.StatusRequestTimeout
	}
	w.refuse(rw, r, status, errors.New("the body could not be read"))
}

func (w *Webhook) refuse(rw http.ResponseWriter, r *http.Request, status int, err error) {
	w.cfg.Logger.LogAttrs(r.Context(), slog.LevelWarn, "zoom: webhook refused",
		slog.Int("status", status), slog.Any("error", err))
	http.Error(rw, strings.ToLower(http.StatusText(status)), status)
}

// The headers of a delivery.
const (
	timestampHeader = "X-Zm-Request-Timestamp"
	signatureHeader = "X-Zm-Signature"
)

var (
	errUnsigned = fmt.Errorf("zoom: webhook: %w", telemed.ErrSignature)
	errStale    = errors.New("zoom: webhook: the delivery is too old or from the future")
)

// verify returns the secret that signed the body.
func (w *Webhook) verify(header http.Header, raw []byte, now time.Time) (telemed.Secret, error) {
	timestamp := header.Get(timestampHeader)
	given, ok := strings.CutPrefix(header.Get(signatureHeader), "v0=")
	if !ok {
		return telemed.Secret{}, errUnsigned
	}
	message := append([]byte("v0:"+timestamp+":"), raw...)
	var signer telemed.Secret
	for _, secret := range w.cfg.Secrets {
		if signature.Valid(given, message, []byte(secret.Reveal())) {
			signer = secret
		}
	}
	if signer.IsZero() {
		return telemed.Secret{}, errUnsigned
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return telemed.Secret{}, errStale
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > w.cfg.Tolerance || age < -webhookAhead {
		return telemed.Secret{}, errStale
	}
	return signer, nil
}

// plainToken is what Zoom sends to be signed. Whatever has a colon in it could be a forged delivery.
var plainToken = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// validate answers Zoom's question whether this endpoint knows the secret.
func (w *Webhook) validate(rw http.ResponseWriter, r *http.Request, secret telemed.Secret, raw []byte) {
	var question struct {
		Payload struct {
			PlainToken string `json:"plainToken"`
		} `json:"payload"`
	}
	if json.Unmarshal(raw, &question) != nil || !plainToken.MatchString(question.Payload.PlainToken) {
		w.refuse(rw, r, http.StatusBadRequest, errors.New("zoom: webhook: the token to sign is not one"))
		return
	}
	token := question.Payload.PlainToken
	rw.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(rw, `{"plainToken":%q,"encryptedToken":%q}`, token, signature.Hex([]byte(secret.Reveal()), []byte(token)))
}

// deliver passes an event on, once for each signature.
func (w *Webhook) deliver(rw http.ResponseWriter, r *http.Request, event Event) {
	id := strings.ToLower(r.Header.Get(signatureHeader)) // hexadecimal: both cases are the same signature
	switch w.seen.begin(id, time.Now()) {
	case replayDone:
		rw.WriteHeader(http.StatusOK)
		return
	case replayRunning:
		rw.Header().Set("Retry-After", "5")
		http.Error(rw, "already being handled", http.StatusServiceUnavailable)
		return
	}
	handled := false
	defer func() { w.seen.end(id, handled) }() // also when OnEvent panics
	ctx, cancel := context.WithTimeout(r.Context(), onEventTime)
	defer cancel()
	if err := w.cfg.OnEvent(ctx, event); err != nil {
		w.cfg.Logger.LogAttrs(ctx, slog.LevelError, "zoom: webhook event was not handled",
			slog.Any("event", event), slog.Any("error", err))
		http.Error(rw, "not handled", http.StatusInternalServerError)
		return
	}
	handled = true
	rw.WriteHeader(http.StatusOK)
}
