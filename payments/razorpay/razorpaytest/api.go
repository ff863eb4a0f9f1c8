package razorpaytest

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments"
)

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

func (s *Server) authentic(r *http.Request) bool {
	id, secret, _ := r.BasicAuth()
	return id == s.cfg.KeyID && telemed.NewSecret(secret).Equal(s.cfg.KeySecret)
}

// withOrder is an operation on the order that the path names.
func (s *Server) withOrder(do func(*order) object) operation {
	return func(r *http.Request, _ object) (object, *Refusal) {
		if o := s.findOrder(r.PathValue("id")); o != nil {
			return do(o), nil
		}
		return nil, missing(r.PathValue("id"), "order")
	}
}

// onPayment is what an operation does with its payment.
type onPayment func(*http.Request, *payment, object) (object, *Refusal)

func reading(doc func(*payment) object) onPayment {
	return func(_ *http.Request, p *payment, _ object) (object, *Refusal) { return doc(p), nil }
}

// withPayment is an operation on the payment that the path names, or else the parameters.
func (s *Server) withPayment(do onPayment) operation {
	return func(r *http.Request, params object) (object, *Refusal) {
		id := cmp.Or(r.PathValue("id"), stringOf(params["payment_id"]))
		if p, ok := s.payments[id]; ok {
			return do(r, p, params)
		}
		return nil, missing(id, "pay")
	}
}

func (s *Server) getRefund(r *http.Request, _ object) (object, *Refusal) {
	id := r.PathValue("id")
	if got, ok := s.refunds[id]; ok {
		return got.doc(), nil
	}
	return nil, missing(id, "rfnd")
}

func (s *Server) createOrder(_ *http.Request, params object) (object, *Refusal) {
	amount, refused := amountOf(params, "amount")
	if refused != nil {
		return nil, refused
	}
	o := &order{
		id: newID("order"), amount: amount, currency: stringOf(params["currency"]), receipt: stringOf(params["receipt"]),
		status: "created", manual: s.manual(params), created: now(),
	}
	if o.notes, refused = notesOf(params["notes"]); refused != nil {
		return nil, refused
	}
	if refused = s.checkOrder(o, params); refused != nil {
		return nil, refused
	}
	if _, unique := params["unique_receipt"]; unique {
		for _, old := range s.orders {
			if old.receipt == o.receipt && old.amount == o.amount && old.currency == o.currency {
				return old.doc(), nil
			}
			if old.receipt == o.receipt {
				return nil, refusal(http.StatusBadRequest, "Order receipt should be unique.", "receipt")
			}
		}
	}
	s.orders = append(s.orders, o)
	return o.doc(), nil
}

func (s *Server) checkOrder(o *order, params object) *Refusal {
	exponent, known := payments.Currency(o.currency).Exponent()
	_, unique := params["unique_receipt"]
	switch {
	case o.currency == "":
		return refusal(http.StatusBadRequest, "The currency field is required.", "currency")
	case !known:
		return refusal(http.StatusBadRequest, "Currency is not supported", "currency")
	case o.amount < 1 || o.currency == "INR" && o.amount < 100:
		r := refusal(http.StatusBadRequest, "Order amount less than minimum amount allowed", "amount")
		r.Step, r.Reason = "order_creation", "amount_less_than_minimum_amount"
		return r
	case o.amount > s.cfg.MaxAmount:
		return refusal(http.StatusBadRequest, "Amount exceeds maximum amount allowed.", "amount")
	case exponent == 3 && o.amount%10 != 0:
		return refusal(http.StatusBadRequest, "The last digit of the amount must be 0 for this currency.", "amount")
	case utf8.RuneCountInString(o.receipt) > 40:
		return refusal(http.StatusBadRequest, "The receipt may not be greater than 40 characters.", "receipt")
	case unique && !s.cfg.UniqueReceipt:
		r := refusal(http.StatusBadRequest, "unique_receipt is/are not required and should not be sent", "")
		r.Reason = "extra_field_sent"
		return r
	}
	return nil
}

// manual tells from both ways to say it whether the application captures by itself.
func (s *Server) manual(params object) bool {
	if nested, ok := params["payment"].(object); ok && nested["capture"] != nil {
		return nested["capture"] == "manual"
	}
	switch said := stringOf(params["payment_capture"]); said {
	case "":
		return s.cfg.ManualCapture
	default:
		return said == "0" || said == "false"
	}
}

func (s *Server) listOrders(r *http.Request, _ object) (object, *Refusal) {
	query := r.URL.Query()
	count, err := strconv.Atoi(cmp.Or(query.Get("count"), "10"))
	if err != nil || count < 1 {
		return nil, refusal(http.StatusBadRequest, "The count must be at least 1.", "count")
	}
	if count > 100 {
		return nil, refusal(http.StatusBadRequest, "The count may not be greater than 100.", "count")
	}
	skip, _ := strconv.Atoi(query.Get("skip"))
	var found []object
	for _, o := range slices.Backward(s.orders) {
		// A part is enough, as Razorpay's documents say.
		if !strings.Contains(o.receipt, query.Get("receipt")) {
			continue
		}
		if skip--; skip < 0 && len(found) < count {
			found = append(found, o.doc())
		}
	}
	return collection(found), nil
}

func (s *Server) paymentsOf(o *order) object {
	var all []*payment
	for _, p := range s.payments {
		if p.order == o {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b *payment) int {
		return cmp.Or(cmp.Compare(b.created, a.created), cmp.Compare(a.id, b.id))
	})
	var docs []object
	for _, p := range all {
		docs = append(docs, p.doc())
	}
	return collection(docs)
}

func (s *Server) capture(_ *http.Request, p *payment, params object) (object, *Refusal) {
	amount, refused := amountOf(params, "amount")
	switch {
	case refused != nil:
		return nil, refused
	case p.status == "captured" || p.status == "refunded":
		return nil, refusal(http.StatusBadRequest, "This payment has already been captured", "")
	case p.status != "authorized":
		return nil, refusal(http.StatusBadRequest, "Only payments which have been authorized and not yet captured can be captured", "")
	case amount != p.amount:
		return nil, refusal(http.StatusBadRequest, "Capture amount must be equal to the amount authorized", "amount")
	case stringOf(params["currency"]) != p.currency:
		return nil, refusal(http.StatusBadRequest, "Capture currency must be the currency of the payment", "currency")
	}
	s.take(p)
	return p.doc(), nil
}

var keyForm = regexp.MustCompile(`^[A-Za-z0-9_-]{10,}$`)

// refund keeps Razorpay's rule of keys: the same request again gives the same refund,
// another request under the key is refused, and what was refused does not use it up.
func (s *Server) refund(r *http.Request, p *payment, params object) (object, *Refusal) {
	key := r.Header.Get("X-Refund-Idempotency")
	request, _ := json.Marshal(params) // sorts keys
	if key != "" {
		if !keyForm.MatchString(key) {
			return nil, refusal(http.StatusBadRequest, "The idempotency key must have at least 10 characters out of letters, digits, - and _.", "")
		}
		if old, used := s.byKey[key]; used {
			if old.request != p.id+string(request) {
				return nil, &Refusal{Status: http.StatusConflict, Code: "BAD_REQUEST_ERROR", Description: "Different request with the same idempotency key has already been processed.", Source: "NA", Step: "NA", Reason: "NA"}
			}
			return old.refund.doc(), nil
		}
	}
	made, refused := s.giveBack(p, params)
	if refused != nil {
		return nil, refused
	}
	if key != "" {
		s.byKey[key] = refundRecord{p.id + string(request), made}
	}
	return made.doc(), nil
}

func (s *Server) giveBack(p *payment, params object) (*refund, *Refusal) {
	left := p.amount - p.refunded
	amount := left
	if _, given := params["amount"]; given {
		var refused *Refusal
		if amount, refused = amountOf(params, "amount"); refused != nil {
			return nil, refused
		}
	}
	notes, refused := notesOf(params["notes"])
	switch {
	case refused != nil:
		return nil, refused
	case p.status != "captured" && p.status != "refunded":
		return nil, refusal(http.StatusBadRequest, "The payment status should be captured for action to be taken", "")
	case left == 0:
		return nil, refusal(http.StatusBadRequest, "The payment has been fully refunded already", "")
	case amount > left:
		return nil, refusal(http.StatusBadRequest, "The total refund amount is greater than the refund payment amount", "amount")
	case amount < 1 || p.currency == "INR" && amount < 100:
		return nil, refusal(http.StatusBadRequest, "The amount must be atleast INR 1.00", "amount")
	}
	made := &refund{
		id: newID("rfnd"), payment: p, amount: amount, notes: notes, receipt: orNull(stringOf(params["receipt"])),
		speed: cmp.Or(stringOf(params["speed"]), "normal"), status: "pending", created: now(),
	}
	if made.speed == "optimum" {
		made.speed = "instant"
	}
	s.refunds[made.id] = made
	if p.refunded += amount; p.refunded == p.amount {
		p.status = "refunded"
	}
	s.emit("refund.created", object{"refund": made, "payment": p})
	if !s.cfg.PendingRefunds {
		s.settle(made, "processed")
	}
	return made, nil
}

func (s *Server) refundsOf(p *payment) object {
	var all []*refund
	for _, made := range s.refunds {
		if made.payment == p {
			all = append(all, made)
		}
	}
	slices.SortFunc(all, func(a, b *refund) int {
		return cmp.Or(cmp.Compare(b.created, a.created), cmp.Compare(a.id, b.id))
	})
	var docs []object
	for _, made := range all {
		docs = append(docs, made.doc())
	}
	return collection(docs)
}
