package sse

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/inbound"
	"github.com/telemed-go/telemed/internal/origin"
	"github.com/telemed-go/telemed/realtime"
)

// maxBody is how many bytes of a GET's body are read and thrown away: a proxy may announce
// one.
const maxBody = 1 << 10

// ServeHTTP keeps a stream of events until it ends.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	inbound.Bound(w, r)
	from := h.rules.Of(r)
	origin.Allow(w.Header(), r, from)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	switch {
	case !h.rules.KnowsHost(r):
		h.cfg.Hub.Refuse(realtime.ForeignHost)
		w.WriteHeader(http.StatusForbidden)
		return
	case from == origin.Refused:
		h.cfg.Hub.Refuse(realtime.ForeignOrigin)
		w.WriteHeader(http.StatusForbidden)
		return
	case r.Method == http.MethodOptions:
		origin.Preflight(w, r, "GET")
		return
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", "GET, OPTIONS")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if _, err := inbound.Read(w, r, maxBody); err != nil {
		w.WriteHeader(inbound.Status(err))
		return
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(query["room"]) == 0 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	since := r.Header.Get("Last-Event-ID")
	if since == "" {
		since = query.Get("since") // the header is newer: the browser keeps the URL
	}
	h.listen(w, r, from, listener{rooms: query["room"], since: since})
}

// listener is what a request asks for.
type listener struct {
	rooms []string
	since string // what the client has, empty if it comes for the first time
}

// listen makes the request a connection of the hub, and serves it.
func (h *Handler) listen(w http.ResponseWriter, r *http.Request, from origin.Caller, asks listener) {
	s := newStream(w, r, h.cfg)
	conn, err := h.connect(r, from, asks)
	if err != nil {
		h.refuse(s, err, asks.since != "")
		return
	}
	defer conn.Close(errLeft) // the first cause counts
	if !conn.Do(func() { s.serve(conn) }) {
		h.refuse(s, context.Cause(conn.Context()), asks.since != "")
		return
	}
	conn.Close(errLeft)
	h.cfg.Logger.LogAttrs(r.Context(), slog.LevelDebug, "sse: stream ended",
		slog.String("connection", conn.Client().ID), slog.String("cause", context.Cause(conn.Context()).Error()))
}

// subject is who sent r. A foreign page must not use its visitor's cookies.
func (h *Handler) subject(r *http.Request, from origin.Caller) (string, error) {
	if from == origin.Foreign {
		return "", nil
	}
	return h.cfg.Hub.Authenticate(r)
}

// connect returns a connection that is in its rooms. Nothing of it is open after an error.
func (h *Handler) connect(r *http.Request, from origin.Caller, asks listener) (*realtime.Conn, error) {
	subject, err := h.subject(r, from)
	if err != nil {
		return nil, err
	}
	conn, err := h.cfg.Hub.Connect(r.Context(), subject, encoder{}, nil)
	if err != nil {
		return nil, err
	}
	in := false
	defer func() {
		if !in { // also if the application's functions panic
			conn.Close(telemed.ErrForbidden)
		}
	}()
	// Once more, now that Hub.Disconnect finds conn: who logged out meanwhile was not found.
	switch again, err := h.subject(r, from); {
	case err != nil:
		return nil, err
	case again != subject:
		return nil, telemed.ErrForbidden
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(conn.Context(), cancel)()
	err = conn.EnterSince(ctx, asks.rooms, asks.since, begin)
	if err != nil && conn.Context().Err() != nil {
		err = context.Cause(conn.Context()) // a kick, or the end of the hub
	}
	if err != nil {
		return nil, roomError{err}
	}
	in = true
	return conn, nil
}

// roomError is one of EnterSince.
type roomError struct{ error }

func (e roomError) Unwrap() error { return e.error }

// begin is the first event of a stream. All begin with one, so that the browser has an id to
// come back with.
func begin(offset string, gap bool) []byte {
	name := atName
	if gap {
		name = gapName
	}
	if offset == "" {
		offset = noOffset
	}
	return event(offset, name, []byte("null"))
}

// refuse says why there is no stream. A browser that gets no stream does not come again: who
// may, gets one that ends.
func (h *Handler) refuse(s *stream, err error, returns bool) {
	_, room := errors.AsType[roomError](err)
	switch {
	case errors.Is(err, telemed.ErrInvalid), room && errors.Is(err, realtime.ErrFull):
		s.refuse(http.StatusBadRequest)
	case errors.Is(err, telemed.ErrUnavailable):
		s.later()
	case errors.Is(err, telemed.ErrForbidden) && returns:
		s.refuse(http.StatusNoContent)
	case errors.Is(err, telemed.ErrForbidden):
		s.refuse(http.StatusForbidden)
	default:
		s.later()
	}
}
