package whatsapp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/telemed-go/telemed/internal/signature"
)

// MaxWebhook is the longest webhook that is read, in bytes. Meta sends up to 3 MB.
const MaxWebhook = 3 << 20

// Handler is what the host does with webhooks. Each function may be nil: such
// events are then acknowledged and dropped.
//
// Meta delivers at least once, in no order, several events in a request, and for
// up to 7 days until it gets 200. A function that returns an error or panics, after
// which the others of the request still run, makes it send the whole request again:
// what was handled already comes a second time. Act on Status.EventID and
// Inbound.MessageID once, in the host's database; Remember does so in memory.
type Handler struct {
	// Status is called for each step on a message's way. See [State.Supersedes] for late ones.
	Status func(ctx context.Context, s Status) error
	// Message is called for each message from a person.
	Message func(ctx context.Context, m Inbound) error
	// Other is called for every other change, and for a change that has a message or
	// status of a shape that is not known here; Status and Message get the rest of it.
	Other func(ctx context.Context, c Change) error
	// Remember is how many statuses and messages that were handled are not handled
	// again if they come again, in this process. If 0, none.
	Remember int
}

// Webhook returns the endpoint that is registered with Meta under the field
// "messages". It answers the registration (GET, 403 unless the verify token fits) and
// takes events (POST): 401 without a signature by one of the app secrets, 413
// beyond MaxWebhook, 408 if the body does not come whole within 10 seconds (or the
// server's own ReadTimeout, if that is shorter), 500 if a function of h returned an
// error or panicked, else 200. Answer within seconds: put long work in a queue.
func (c *Client) Webhook(h Handler) http.Handler {
	return &webhook{client: c, handler: h, seen: newMemory(h.Remember)}
}

type webhook struct {
	client  *Client
	handler Handler
	seen    *memory
}

func (h *webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
		h.verify(w, r)
	case http.MethodPost:
		h.receive(w, r)
	default:
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	}
}

// maxChallenge bounds what is echoed; Meta sends about ten digits.
const maxChallenge = 256

func (h *webhook) verify(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	challenge := query.Get("hub.challenge")
	if query.Get("hub.mode") != "subscribe" || len(challenge) > maxChallenge ||
		!sameToken(query.Get("hub.verify_token"), h.client.cfg.VerifyToken.Reveal()) {
		h.refuse(r, "verify token")
		http.Error(w, "forbidden", http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = io.WriteString(w, challenge)
}

// sameToken compares MACs of the tokens, so that not even the length shows in the
// time. An empty token is an empty key, which fits nothing.
func sameToken(given, want string) bool {
	return signature.Valid(signature.Hex([]byte(want), []byte(given)), []byte(want), []byte(want))
}

func (h *webhook) receive(w http.ResponseWriter, r *http.Request) {
	body, err := readBody(w, r)
	if err != nil {
		refuseBody(w, err)
		return
	}
	if !h.client.signed(r.Header.Get("X-Hub-Signature-256"), body) {
		h.refuse(r, "signature")
		http.Error(w, "signature mismatch", http.StatusUnauthorized)
		return
	}
	events, err := parse(body)
	if err != nil {
		h.refuse(r, "body")
		http.Error(w, "not a WhatsApp webhook", http.StatusBadRequest)
		return
	}
	if failures := h.dispatch(r.Context(), events); failures > 0 {
		h.client.cfg.Logger.LogAttrs(r.Context(), slog.LevelWarn, "whatsapp webhook will be sent again",
			slog.Int("events", len(events)), slog.Int("failures", failures))
		http.Error(w, "not handled", http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// bodyPatience is how long a body may take. Without a bound, anybody could hold a
// goroutine and a connection for ever, as no signature is known before the body's end.
const bodyPatience = 10 * time.Second

// readBody leaves the deadline in force if it fails: the server reads on for a
// while after the answer.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	control := http.NewResponseController(w)
	server, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
	own := server != nil && server.ReadTimeout > 0 && server.ReadTimeout <= bodyPatience
	if !own {
		_ = control.SetReadDeadline(time.Now().Add(bodyPatience)) // http.ErrNotSupported: w has no connection
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxWebhook))
	if err == nil && !own {
		_ = control.SetReadDeadline(time.Time{})
	}
	return body, err
}

// refuseBody also gives the connection up, whose rest nobody reads.
func refuseBody(w http.ResponseWriter, err error) {
	w.Header().Set("Connection", "close")
	status, text := http.StatusBadRequest, "cannot be read"
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		status, text = http.StatusRequestEntityTooLarge, "too large"
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		status, text = http.StatusRequestTimeout, "too slow"
	}
	http.Error(w, text, status)
}

// signed checks body against every app secret. The secrets are revealed here
// alone, so that they lie open in no struct that somebody may print.
func (c *Client) signed(header string, body []byte) bool {
	mac, ok := strings.CutPrefix(header, "sha256=")
	if !ok {
		return false
	}
	var keys [][]byte
	for _, secret := range c.cfg.AppSecrets {
		keys = append(keys, []byte(secret.Reveal()))
	}
	return signature.Valid(mac, body, keys...)
}

func (h *webhook) refuse(r *http.Request, what string) {
	h.client.cfg.Logger.LogAttrs(r.Context(), slog.LevelWarn, "whatsapp webhook refused",
		slog.String("method", r.Method), slog.String("wrong", what))
}

// dispatch hands events to the host one after the other and counts those that failed.
func (h *webhook) dispatch(ctx context.Context, events []event) int {
	failures := 0
	for _, e := range events {
		id := e.id()
		if h.seen.has(id) {
			continue
		}
		if err := h.handle(ctx, e); err != nil {
			failures++
			continue
		}
		h.seen.add(id)
	}
	return failures
}

// errPanic is a function of the host that panicked.
var errPanic = errors.New("the handler panicked")

// handle calls the host's function for e. A panic is a failure of this event
// alone: let through, it would cut off the events behind it, in this delivery and
// in every one that follows. It is logged by its type and place, since its text
// may hold what the person wrote.
func (h *webhook) handle(ctx context.Context, e event) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			h.client.cfg.Logger.LogAttrs(ctx, slog.LevelError, "whatsapp webhook handler panicked",
				slog.String("type", fmt.Sprintf("%T", cause)), slog.String("stack", string(debug.Stack())))
			err = errPanic
		}
	}()
	switch {
	case e.status != nil && h.handler.Status != nil:
		return h.handler.Status(ctx, *e.status)
	case e.message != nil && h.handler.Message != nil:
		return h.handler.Message(ctx, *e.message)
	case e.change != nil && h.handler.Other != nil:
		return h.handler.Other(ctx, *e.change)
	}
	return nil
}
