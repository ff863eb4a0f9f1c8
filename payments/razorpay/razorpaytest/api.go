package razorpaytest

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"

	"github.com/telemed-go/telemed"
)

// call is a request to the API: what its body or its query says, and what it wants
// expanded.
type call struct {
	*http.Request
	params object
	expand []string
}

// operation is one of the API. It is called with s.mu held.
type operation func(c call) (object, *Refusal)

// handle serves an operation, with and without a slash at the end of its path.
func (s *Server) handle(op, pattern string, do operation) {
	serve := func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, do) }
	s.engine.Handle(op, pattern, serve)
	s.engine.Handle(op, pattern+"/{$}", serve)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, do operation) {
	status := http.StatusOK
	doc, refused := s.answer(r, do)
	if refused != nil {
		status, doc = refused.Status, refused.doc()
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Razorpay-Request-Id", newRequestID())
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(doc)
}

func (s *Server) answer(r *http.Request, do operation) (object, *Refusal) {
	body, _ := io.ReadAll(r.Body) // from memory
	params, refused := paramsOf(r.Header.Get("Content-Type"), body)
	switch account := r.Header.Get("X-Razorpay-Account"); {
	case refused != nil:
		return nil, refused
	case !s.authentic(r):
		return nil, &Refusal{
			Status: http.StatusUnauthorized, Code: "BAD_REQUEST_ERROR", Description: "Authentication failed",
			Source: "NA", Step: "NA", Reason: "NA",
		}
	case account != "" && account != s.account:
		return nil, refusal(http.StatusBadRequest, "The account does not belong to this partner", "")
	}
	query, expand := queryOf(r)
	if r.Method == http.MethodGet {
		params = query
	} else if refused := extra(query, nil); refused != nil {
		return nil, refused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return do(call{r, params, expand})
}

func (s *Server) authentic(r *http.Request) bool {
	id, secret, _ := r.BasicAuth()
	return id == s.cfg.KeyID && telemed.NewSecret(secret).Equal(s.cfg.KeySecret)
}

// taking is an operation that takes these parameters, and can expand what its answer has.
func taking(do operation, params []string, expandables ...string) operation {
	return func(c call) (object, *Refusal) {
		refused := extra(c.params, params)
		if refused == nil {
			refused = expandable(c.expand, expandables...)
		}
		if refused != nil {
			return nil, refused
		}
		return do(c)
	}
}

// withOrder is an operation on the order that the path names.
func (s *Server) withOrder(do func(*order, call) (object, *Refusal)) operation {
	return func(c call) (object, *Refusal) {
		if o := s.findOrder(c.PathValue("id")); o != nil {
			return do(o, c)
		}
		return nil, missing(c.PathValue("id"), "order")
	}
}

// withPayment is an operation on the payment that the path names, or else the parameters.
func (s *Server) withPayment(do func(*payment, call) (object, *Refusal)) operation {
	return func(c call) (object, *Refusal) {
		id := cmp.Or(c.PathValue("id"), stringOf(c.params["payment_id"]))
		if p := s.findPayment(id); p != nil {
			return do(p, c)
		}
		return nil, missing(id, "pay")
	}
}

// withRefund is an operation on the refund that the path names, of the payment that it
// names too, if it does.
func (s *Server) withRefund(do func(*refund, call) (object, *Refusal)) operation {
	return func(c call) (object, *Refusal) {
		id, of := c.PathValue("refund"), c.PathValue("id")
		r := s.findRefund(id)
		if r == nil || of != "" && r.payment.id != of {
			return nil, missing(id, "rfnd")
		}
		return do(r, c)
	}
}
