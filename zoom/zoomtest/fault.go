package zoomtest

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Fault is something that goes wrong with one request. Refuse, LoseAnswer, LoseRequest and
// Delay make the usual ones.
type Fault struct {
	// Op is the operation that it is for. If empty, the next one of the API, tokens and pages left out.
	Op Op
	// Status is answered with Body and Header, and the operation is not carried out. If 0, it is.
	Status int
	// Body is JSON, or if it begins with "<" XML.
	Body   string
	Header http.Header
	// LoseAnswer carries the operation out, and then cuts the connection.
	LoseAnswer bool
	// LoseRequest cuts the connection before anything is done.
	LoseRequest bool
	// Delay is waited for first, unless the client hangs up.
	Delay time.Duration
}

// Refuse answers with a status, a body and headers as "Name", "value" pairs.
func Refuse(op Op, status int, body string, header ...string) Fault {
	f := Fault{Op: op, Status: status, Body: body, Header: http.Header{}}
	for i := 0; i+1 < len(header); i += 2 {
		f.Header.Set(header[i], header[i+1])
	}
	return f
}

// LoseAnswer carries the operation out, and the client does not hear of it.
func LoseAnswer(op Op) Fault { return Fault{Op: op, LoseAnswer: true} }

// LoseRequest cuts the connection before the operation is carried out.
func LoseRequest(op Op) Fault { return Fault{Op: op, LoseRequest: true} }

// Delay carries the operation out later.
func Delay(op Op, d time.Duration) Fault { return Fault{Op: op, Delay: d} }

// FailNext makes coming requests go wrong, each fault once, those for the same operation in order.
func (s *Server) FailNext(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

func (s *Server) nextFault(op Op) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.faults, func(f Fault) bool { return f.Op == op || f.Op == "" && op.ofAPI() })
	if i < 0 {
		return Fault{}
	}
	f := s.faults[i]
	s.faults = slices.Delete(s.faults, i, i+1)
	return f
}

func (op Op) ofAPI() bool {
	return !slices.Contains([]Op{OpAuthorize, OpToken, OpRevoke, OpPage, OpUnknown}, op)
}

func (f Fault) answer(w *answer) {
	kind := "application/json;charset=UTF-8"
	if strings.HasPrefix(f.Body, "<") {
		kind = "application/xml;charset=UTF-8"
	}
	w.header.Set("Content-Type", kind)
	maps.Copy(w.header, f.Header)
	w.WriteHeader(f.Status)
	w.body.WriteString(f.Body)
}
