package razorpaytest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

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

// operation is one of the API. It is called with s.mu held.
type operation func(r *http.Request, params object) (object, *Refusal)

// handle serves an operation, with and without a slash at the end of its path.
func (s *Server) handle(op, pattern string, do operation) {
	serve := func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, do) }
	s.engine.Handle(op, pattern, serve)
	s.engine.Handle(op, pattern+"/{$}", serve)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, do operation) {
	body, _ := io.ReadAll(r.Body) // from memory
	status, doc := http.StatusOK, object(nil)
	params, refused := paramsOf(r.Header.Get("Content-Type"), body)
	if refused == nil && !s.authentic(r) {
		refused = &Refusal{
			Status: http.StatusUnauthorized, Code: "BAD_REQUEST_ERROR", Description: "Authentication failed",
			Source: "NA", Step: "NA", Reason: "NA",
		}
	}
	if refused == nil {
		s.mu.Lock()
		doc, refused = do(r, params)
		s.mu.Unlock()
	}
	if refused != nil {
		status, doc = refused.Status, refused.doc()
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Razorpay-Request-Id", newRequestID())
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(doc)
}
