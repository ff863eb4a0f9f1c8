package engineio

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/telemed-go/telemed"
)

// refusal is an HTTP answer of Engine.IO: the numbers are the protocol's own.
type refusal struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	status  int
}

var (
	unknownTransport = refusal{0, "Transport unknown", http.StatusBadRequest}
	unknownSession   = refusal{1, "Session ID unknown", http.StatusBadRequest}
	badHandshake     = refusal{2, "Bad handshake method", http.StatusBadRequest}
	badRequest       = refusal{3, "Bad request", http.StatusBadRequest}
	tooLarge         = refusal{3, "Payload too large", http.StatusRequestEntityTooLarge}
	tooSlow          = refusal{3, "Payload too slow", http.StatusRequestTimeout}
	unavailable      = refusal{3, "Service unavailable", http.StatusServiceUnavailable}
	forbidden        = refusal{4, "Forbidden", http.StatusForbidden}
	misdirected      = refusal{4, "Misdirected request", http.StatusMisdirectedRequest}
	badVersion       = refusal{5, "Unsupported protocol version", http.StatusBadRequest}
)

// Reason is why a client was turned away, in a sentence.
type Reason string

// The reasons that Config.Refused hears of.
const (
	ForeignHost   Reason = "the request's Host is not one of AllowedHosts"
	ForeignOrigin Reason = "the page's origin is not one of AllowedOrigins"
	Crowd         Reason = "too many sessions of one address"
)

func (s *Server) refuse(reason Reason) {
	if s.cfg.Refused != nil {
		s.cfg.Refused(reason)
	}
}

// turnAway refuses a page for where it comes from, and tells the operator: behind a proxy
// that rewrites Host, the own page is a stranger's. What the headers say is quoted and cut.
func (s *Server) turnAway(reason Reason, r *http.Request) {
	s.refuse(reason)
	if s.cfg.Logger == nil {
		return
	}
	if skipped, ok := s.strangers.tell(time.Now()); ok {
		s.cfg.Logger.Warn("engineio: refused: "+string(reason), "origin", header(r.Header.Get("Origin")), "host", header(r.Host), "skipped", skipped)
	}
}

// header is what a log may hold of a header that should have a host.
func header(text string) string {
	const limit = 100
	return strings.Map(func(r rune) rune {
		if r > ' ' && r < unicode.MaxASCII && !strings.ContainsRune("?#@", r) {
			return r
		}
		return '*'
	}, text[:min(len(text), limit)])
}

// seldom lets one line a second through.
type seldom struct {
	mu      sync.Mutex
	next    time.Time
	skipped int
}

// tell reports whether a line may be written, and how many were not since the last one.
func (s *seldom) tell(now time.Time) (skipped int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Before(s.next) {
		s.skipped++
		return 0, false
	}
	skipped, s.skipped = s.skipped, 0
	s.next = now.Add(time.Second)
	return skipped, true
}

func (f refusal) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(f.status)
	_ = json.NewEncoder(w).Encode(f) // whoever broke the protocol may also be gone
}

// refusalFor tells a client why the hub does not take it.
func refusalFor(err error) refusal {
	if errors.Is(err, telemed.ErrForbidden) {
		return forbidden
	}
	return unavailable
}
