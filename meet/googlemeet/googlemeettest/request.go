package googlemeettest

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/telemed-go/telemed/internal/fake"
)

// Request is a request that arrived.
type Request struct {
	// Op is one of the operations.
	Op     string
	Method string
	// Path is escaped as it arrived.
	Path string
	// Query has no values, and Body is empty, where secrets travel: with OpToken and
	// OpRevoke.
	Query url.Values
	// Header lacks Authorization, and Scheme is that one's: "Basic", "Bearer" or empty.
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

// WaitFor returns the first request that match accepts, and waits for it until ctx ends.
// A request is shown to match when it arrives and again when it was answered.
func (s *Server) WaitFor(ctx context.Context, match func(Request) bool) (Request, error) {
	r, err := s.engine.WaitFor(ctx, func(r fake.Request) bool { return match(Request(r)) })
	return Request(r), err
}

// Reset forgets the requests, and the faults that have not shown. Events and tokens stay.
func (s *Server) Reset() { s.engine.Reset() }
