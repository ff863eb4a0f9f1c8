package whatsapptest

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/telemed-go/telemed/internal/fake"
)

// Fault is something that goes wrong with requests. What a zero Fault fits passes
// unharmed.
type Fault struct {
	// Op is the operation that it is for. If empty, any of the API: not OpUnknown.
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

// Refuse returns the Fault of an answer with a status and Meta's error envelope. If
// status is 0, it is the usual one for code. If message is empty, it is "failed to send".
func Refuse(op string, status, code int, message string) Fault {
	p := problem{status: status, code: code, text: cmp.Or(message, "failed to send")}
	body, _ := json.Marshal(p.envelope()) // texts and numbers
	return Fault{
		Op: op, Status: p.httpStatus(), Body: string(body), Header: http.Header{"X-Fb-Trace-Id": {traceID}},
	}
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

// problem is a refusal. Without a status it has the usual one, and without a kind it is
// an OAuthException.
type problem struct {
	status, code, subcode int
	kind, text            string
	details               string // if empty, text
}

func (p problem) httpStatus() int {
	if p.status != 0 {
		return p.status
	}
	return usualStatus(p.code)
}

func (p problem) envelope() map[string]any {
	body := map[string]any{
		"message": "(#" + strconv.Itoa(p.code) + ") " + p.text, "type": cmp.Or(p.kind, "OAuthException"),
		"code": p.code, "fbtrace_id": traceID,
		"error_data": map[string]string{"messaging_product": "whatsapp", "details": cmp.Or(p.details, p.text)},
	}
	if p.subcode != 0 {
		body["error_subcode"] = p.subcode
	}
	return map[string]any{"error": body}
}

// usualStatus is the HTTP status that comes with a code.
func usualStatus(code int) int {
	switch {
	case code == 0, code == 190:
		return http.StatusUnauthorized
	case code == 3, code == 10, code >= 200 && code <= 299, code == 131005, code == 131031, code == 368:
		return http.StatusForbidden
	case code == 4, code == 80007, code == 80008, code == 130429, code == 131056:
		return http.StatusTooManyRequests
	case code == 1, code == 131000, code == 131016, code == 131045:
		return http.StatusInternalServerError
	case code == 2, code == 133004, code == 131057:
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest
}

const traceID = "AfKeTraceId0123456789ab"
