package googlemeettest

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"
)

// Fault is something that goes wrong with one call. Refuse, LoseAnswer, LoseRequest and Delay make the usual ones.
type Fault struct {
	// Op is the call that it is for, as in Request. If empty, the next call of the Calendar API.
	Op string
	// Status is answered with an error body of Google's that gives Reason, and the call is not done. If 0, it is.
	Status int
	Reason string
	// Message stands in the error body beside Reason.
	Message string
	// RetryAfter is sent as a header, in seconds, rounded up.
	RetryAfter time.Duration
	// Body is sent as it is, as HTML, in place of Google's error body: a proxy in between.
	Body string
	// LoseAnswer does the call, and then cuts the connection.
	LoseAnswer bool
	// LoseRequest cuts the connection before anything is done.
	LoseRequest bool
	// Delay is waited for first.
	Delay time.Duration
}

// Refuse answers with a status and an error body of Google's that gives reason.
func Refuse(op string, status int, reason string) Fault {
	return Fault{Op: op, Status: status, Reason: reason}
}

// LoseAnswer does the call, and the client does not hear of it.
func LoseAnswer(op string) Fault { return Fault{Op: op, LoseAnswer: true} }

// LoseRequest cuts the connection before the call is done.
func LoseRequest(op string) Fault { return Fault{Op: op, LoseRequest: true} }

// Delay does the call later.
func Delay(op string, d time.Duration) Fault { return Fault{Op: op, Delay: d} }

// FailNext makes coming calls go wrong, each fault once, those for the same op in order.
func (s *Server) FailNext(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

func (s *Server) fault(op string) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, fault := range s.faults {
		if fault.Op == op || fault.Op == "" && op != "token" && op != "revoke" {
			s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
			return fault, true
		}
	}
	return Fault{}, false
}

// incoming is a call with its body read.
type incoming struct {
	*http.Request
	body []byte
}

// reply is an answer before it is sent.
type reply struct {
	status int
	doc    any // nil: no body
	header map[string]string
	html   string
}

const maxBody = 1 << 20

// op serves a call: it reads, fails as told, answers and records.
func (s *Server) op(name string, handle func(*incoming) reply) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		in := &incoming{Request: r, body: body}
		fault, _ := s.fault(name)
		if fault.Delay > 0 && !s.wait(r, fault.Delay) {
			panic(http.ErrAbortHandler)
		}
		var out reply
		switch {
		case err != nil:
			out = apiError(http.StatusRequestEntityTooLarge, "uploadTooLarge", "Request is too large.")
		case fault.Status != 0:
			out = fault.reply()
		case !fault.LoseRequest:
			out = handle(in)
		}
		lost := fault.LoseRequest || fault.LoseAnswer
		if lost {
			out.status = 0
		}
		s.record(name, in, out.status)
		if lost {
			panic(http.ErrAbortHandler) // net/http closes the connection, and says nothing
		}
		out.send(w)
	}
}

func (s *Server) wait(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
	case <-s.closed:
	}
	return false
}

func (s *Server) record(name string, in *incoming, status int) {
	header := in.Header.Clone()
	header.Del("Authorization")
	request := Request{Op: name, Method: in.Method, Path: in.URL.Path, Header: header, Status: status}
	if name != "token" && name != "revoke" {
		request.Query, request.Body = in.URL.RawQuery, string(in.body)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, request)
}

func (f Fault) reply() reply {
	out := reply{status: f.Status, html: f.Body}
	if f.Body == "" {
		message := f.Message
		if message == "" {
			message = http.StatusText(f.Status)
		}
		out = apiError(f.Status, f.Reason, message)
	}
	if f.Op == "token" && f.Body == "" {
		out = oauthError(f.Status, f.Reason, f.Message)
	}
	if f.RetryAfter > 0 {
		out.header = map[string]string{"Retry-After": strconv.Itoa(int(math.Ceil(f.RetryAfter.Seconds())))}
	}
	return out
}

func (out reply) send(w http.ResponseWriter) {
	for name, value := range out.header {
		w.Header().Set(name, value)
	}
	w.Header().Set("Cache-Control", "no-store")
	switch {
	case out.html != "":
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		w.WriteHeader(out.status)
		_, _ = io.WriteString(w, out.html)
	case out.doc == nil:
		w.WriteHeader(out.status)
	default:
		var body bytes.Buffer
		_ = json.NewEncoder(&body).Encode(out.doc) // documents are JSON by origin
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		w.WriteHeader(out.status)
		_, _ = w.Write(body.Bytes())
	}
}

// object is a JSON object.
type object = map[string]any

// apiError is the error body of the Calendar API.
// See https://developers.google.com/workspace/calendar/api/guides/errors.
func apiError(status int, reason, message string) reply {
	failure := object{"code": status, "message": message}
	if reason != "" {
		item := object{"domain": "global", "reason": reason, "message": message}
		if reason == "rateLimitExceeded" || reason == "userRateLimitExceeded" || reason == "quotaExceeded" {
			item["domain"] = "usageLimits"
		}
		failure["errors"] = []any{item}
	}
	return reply{status: status, doc: object{"error": failure}}
}
