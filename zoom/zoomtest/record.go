package zoomtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// Op is one of Zoom's operations, for faults and records.
type Op string

// The operations.
const (
	OpAuthorize Op = "authorize"
	OpToken     Op = "token"
	OpRevoke    Op = "revoke"
	OpMe        Op = "me"
	OpCreate    Op = "create"
	OpList      Op = "list"
	OpGet       Op = "get"
	OpUpdate    Op = "update"
	OpDelete    Op = "delete"
	OpStatus    Op = "status"
	OpPage      Op = "page"    // of a join or host link
	OpUnknown   Op = "unknown" // what Zoom does not have
)

// Request is a request that arrived. Its credentials are left out.
type Request struct {
	Op     Op
	Method string
	// Path is escaped as it arrived.
	Path  string
	Query url.Values
	// Header lacks Authorization.
	Header http.Header
	// Scheme is that of Authorization: "Basic", "Bearer" or empty.
	Scheme string
	// Body is what was sent. That of a token request holds secrets.
	Body []byte
	// Status is what was answered, 0 if the connection was cut.
	Status int
}

// Requests returns what arrived, in the order in which it was answered. With ops, only those.
func (s *Server) Requests(ops ...Op) []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []Request
	for _, req := range s.requests {
		if len(ops) == 0 || slices.Contains(ops, req.Op) {
			found = append(found, req)
		}
	}
	return found
}

// Count is how many requests of an operation arrived.
func (s *Server) Count(op Op) int { return len(s.Requests(op)) }

// maxBody bounds what the fake reads.
const maxBody = 1 << 20

// serve wraps an operation in recording and planned faults.
func (s *Server) serve(op Op, handler http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		f := s.nextFault(op)
		if f.Delay > 0 && s.wait(r.Context(), f.Delay) != nil {
			s.record(op, r, body, 0)
			panic(http.ErrAbortHandler)
		}
		answer := &answer{header: http.Header{}, status: http.StatusOK}
		answer.header.Set("X-Zm-Trackingid", newTrackingID())
		switch {
		case f.Status != 0:
			f.answer(answer)
		case !f.LoseRequest:
			handler(answer, r)
		}
		if f.LoseRequest || f.LoseAnswer {
			s.record(op, r, body, 0)
			panic(http.ErrAbortHandler) // net/http's way to cut the connection
		}
		s.record(op, r, body, answer.status)
		answer.send(w)
	})
}

func (s *Server) wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.stop.Done():
		return errors.New("zoomtest: closed")
	}
}

func (s *Server) record(op Op, r *http.Request, body []byte, status int) {
	header := r.Header.Clone()
	scheme, _, _ := cutSpace(header.Get("Authorization"))
	header.Del("Authorization")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, Request{
		Op: op, Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.Query(), Header: header,
		Scheme: scheme, Body: body, Status: status,
	})
}

// answer holds an answer back until it is known whether it is to be sent.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) { a.status = status }

// Write implements http.ResponseWriter.
func (a *answer) Write(data []byte) (int, error) { return a.body.Write(data) }

func (a *answer) send(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes()) // the client has gone away if this fails
}
