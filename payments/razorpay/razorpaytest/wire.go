package razorpaytest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxBody is how much of a request is read.
const maxBody = 1 << 20

// Refusal is an error of Razorpay's, in its words and with its status.
type Refusal struct {
	Status                                         int
	Code, Description, Field, Source, Step, Reason string
}

// Error returns the description.
func (r *Refusal) Error() string { return fmt.Sprintf("razorpaytest: %d: %s", r.Status, r.Description) }

func (r *Refusal) doc() object {
	inner := object{
		"code": r.Code, "description": r.Description, "source": r.Source, "step": r.Step, "reason": r.Reason, "metadata": object{},
	}
	if r.Field != "" {
		inner["field"] = r.Field
	}
	return object{"error": inner}
}

func refusal(status int, description, field string) *Refusal {
	return &Refusal{
		Status: status, Code: "BAD_REQUEST_ERROR", Description: description, Field: field,
		Source: "business", Step: "payment_initiation", Reason: "input_validation_failed",
	}
}

func notFound() *Refusal { return refusal(http.StatusBadRequest, "The id provided does not exist", "") }

// missing says in Razorpay's two ways that there is no such id.
func missing(id, prefix string) *Refusal {
	rest, ok := strings.CutPrefix(id, prefix+"_")
	if !ok || len(rest) != 14 {
		return refusal(http.StatusBadRequest, strings.TrimPrefix(id, prefix+"_")+" is not a valid id", "")
	}
	return notFound()
}

// paramsOf reads a JSON or form body; brackets in form names make objects, as in PHP.
func paramsOf(contentType string, body []byte) (object, *Refusal) {
	params := object{}
	if len(bytes.TrimSpace(body)) == 0 {
		return params, nil
	}
	if strings.HasPrefix(contentType, "application/x-www-form-urlencoded") {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, refusal(http.StatusBadRequest, "The request body could not be read.", "")
		}
		for name, values := range form {
			outer, inner, nested := strings.Cut(strings.TrimSuffix(name, "]"), "[")
			if !nested {
				params[name] = values[0]
				continue
			}
			if params[outer] == nil {
				params[outer] = object{}
			}
			if group, ok := params[outer].(object); ok {
				group[inner] = values[0]
			}
		}
		return params, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if decoder.Decode(&params) != nil || decoder.Decode(new(any)) != io.EOF {
		return nil, refusal(http.StatusBadRequest, "The request body could not be read.", "")
	}
	return params, nil
}

func amountOf(params object, field string) (int64, *Refusal) {
	if params[field] == nil {
		return 0, refusal(http.StatusBadRequest, field+": is required.", field)
	}
	amount, err := strconv.ParseInt(stringOf(params[field]), 10, 64)
	if err != nil {
		return 0, refusal(http.StatusBadRequest, "The amount must be an integer.", field)
	}
	return amount, nil
}

func stringOf(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

func notesOf(value any) (map[string]string, *Refusal) {
	given, ok := value.(object)
	if !ok {
		return nil, nil
	}
	if len(given) > 15 {
		return nil, refusal(http.StatusBadRequest, "Number of fields in notes should be less than or equal to 15", "notes")
	}
	notes := make(map[string]string, len(given))
	for key, v := range given {
		notes[key] = stringOf(v)
		if utf8.RuneCountInString(key) > 256 || utf8.RuneCountInString(notes[key]) > 256 {
			return nil, refusal(http.StatusBadRequest, "notes.key and notes.value should be less than 256 characters", "notes")
		}
	}
	return notes, nil
}

// Request is what the API was asked.
type Request struct {
	// Method and Path are the request line's.
	Method, Path string
	// Header is as it came, without Authorization.
	Header http.Header
	// Query and Body are as they came.
	Query, Body string
	// Status is what was answered; 0 if nothing was.
	Status int
}

// Requests returns what the API was asked so far, in the order of arrival.
// Requests in flight are in it without a status.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Count returns how many requests fit a pattern as [Fault.On] takes it.
func (s *Server) Count(pattern string) int {
	n := 0
	for _, r := range s.Requests() {
		if matches(pattern, r.Method, r.Path) {
			n++
		}
	}
	return n
}

// serveAPI answers one request, or spoils the answer as Fail was told.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return
	}
	n, spoil := s.record(r, body)
	if spoil != nil && !spoil.Commit {
		s.answered(n, spoil.Status)
		spoil.write(w, r, nil)
		return
	}
	status, doc := http.StatusOK, object(nil)
	params, refused := paramsOf(r.Header.Get("Content-Type"), body)
	if refused == nil {
		s.mu.Lock()
		doc, refused = s.handle(r, params)
		s.mu.Unlock()
	}
	if refused != nil {
		status, doc = refused.Status, refused.doc()
	}
	encoded, _ := json.Marshal(doc)
	if spoil != nil {
		s.answered(n, spoil.Status)
		spoil.write(w, r, encoded)
		return
	}
	s.answered(n, status)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Razorpay-Request-Id", newID("req"))
	w.WriteHeader(status)
	_, _ = w.Write(encoded)
}

func (s *Server) record(r *http.Request, body []byte) (int, *Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	header := r.Header.Clone()
	header.Del("Authorization")
	s.requests = append(s.requests, Request{Method: r.Method, Path: r.URL.Path, Header: header, Query: r.URL.RawQuery, Body: string(body)})
	for i := range s.faults {
		f := s.faults[i]
		if !matches(f.Pattern, r.Method, r.URL.Path) {
			continue
		}
		if s.faults[i].Times--; s.faults[i].Times <= 0 {
			s.faults = slices.Delete(s.faults, i, i+1)
		}
		return len(s.requests) - 1, &f
	}
	return len(s.requests) - 1, nil
}

func (s *Server) answered(n, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[n].Status = status
}
