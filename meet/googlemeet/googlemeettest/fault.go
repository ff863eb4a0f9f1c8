package googlemeettest

import (
	"cmp"
	"encoding/json"
	"net/http"
	"time"

	"github.com/telemed-go/telemed/internal/fake"
)

// Fault is something that goes wrong with requests. What a zero Fault fits passes
// unharmed.
type Fault struct {
	// Op is the operation that it is for. If empty, any of the Calendar API: not OpToken
	// and OpRevoke.
	Op string
	// Times is how many requests it is for: one if 0, all until Reset if negative.
	Times int
	// Status, if not 0, is answered with Header and Body, and the request is not carried
	// out. If Header has no Content-Type, a Body that begins with "<" is HTML, and any
	// other is JSON.
	Status int
	Header http.Header
	Body   string
	// LoseRequest ends the connection, and the request is not carried out.
	LoseRequest bool
	// LoseAnswer carries the request out and ends the connection. With a Status, that is
	// answered in place of the true answer: a proxy's 502.
	LoseAnswer bool
	// Cut carries the request out, sends half of the answer and ends the connection.
	Cut bool
	// Hang answers nothing until the client or the server goes, and the request is not
	// carried out.
	Hang bool
	// Delay is waited for before all else, unless the client or the server goes.
	Delay time.Duration
}

// Refuse returns the Fault of an answer with a status and an error body of Google's: for
// OpToken and OpRevoke that of OAuth. If message is empty, it is the status in words.
func Refuse(op string, status int, reason, message string) Fault {
	doc := apiError(status, reason, cmp.Or(message, http.StatusText(status))).doc
	if op == OpToken || op == OpRevoke {
		doc = oauthError(status, reason, message).doc
	}
	body, _ := json.Marshal(doc) // texts and a number
	return Fault{Op: op, Status: status, Body: string(body)}
}

// FailNext makes coming requests go wrong. Faults are tried in the order in which they
// were given. The first that fits a request is used up by it.
func (s *Server) FailNext(faults ...Fault) {
	for _, f := range faults {
		s.engine.FailNext(fake.Fault(f))
	}
}

// Pending returns the faults that have not shown, each with the Times that are left. A test
// whose fault is still there has not seen the request that it was for.
func (s *Server) Pending() []Fault {
	var left []Fault
	for _, f := range s.engine.Pending() {
		left = append(left, Fault(f))
	}
	return left
}

// ClearFaults drops the faults that have not shown, and nothing else.
func (s *Server) ClearFaults() { s.engine.Script.Reset() }
