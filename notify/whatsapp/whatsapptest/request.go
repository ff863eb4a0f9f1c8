package whatsapptest

import (
	"net/http"
	"net/url"
	"time"
)

// Request is a request that arrived.
type Request struct {
	// Op is one of the operations.
	Op     string
	Method string
	// Path is escaped as it arrived.
	Path  string
	Query url.Values
	// Header lacks Authorization, and Scheme is that one's: "Bearer" or empty.
	Header http.Header
	Scheme string
	Body   string
	// Status is what was answered. It is 0 before that, and if the answer was lost or
	// cut.
	Status int
	// At is when it arrived, by this machine's clock.
	At time.Time
}

// Requests returns what arrived, oldest first. With ops, only those.
func (s *Server) Requests(ops ...string) []Request {
	var found []Request
	for _, r := range s.engine.Requests(ops...) {
		found = append(found, Request(r))
	}
	return found
}

// Count is how many requests for an operation arrived.
func (s *Server) Count(op string) int { return len(s.engine.Requests(op)) }
