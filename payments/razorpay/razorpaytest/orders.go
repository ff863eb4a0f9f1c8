package razorpaytest

import (
	"math"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/telemed-go/telemed/payments"
)

// The minutes that Razorpay documents for capturing, and the most that it takes.
const (
	captureWindow    = 3 * 24 * 60
	leastExpiry      = 12
	longestExpiry    = 7200
	expandPayments   = "payments"
	expandCards      = "payments.card"
	normal, optimum  = "normal", "optimum"
	instant          = "instant"
	automaticCapture = "automatic"
	manualCapture    = "manual"
)

func (s *Server) createOrder(c call) (object, *Refusal) {
	o, refused := s.readOrder(c.params)
	if refused == nil {
		refused = s.checkOrder(o, c.params)
	}
	if refused != nil {
		return nil, refused
	}
	if unique, _, refused := flagOf(c.params, "unique_receipt"); refused != nil {
		return nil, refused
	} else if unique {
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

func (s *Server) readOrder(params object) (*order, *Refusal) {
	o := &order{id: newID("order"), status: "created", created: s.now().Unix()}
	var refused *Refusal
	for _, read := range []func(){
		func() { o.amount, refused = amountOf(params, "amount") },
		func() { o.currency, refused = textOf(params, "currency") },
		func() { o.receipt, refused = textOf(params, "receipt") },
		func() { o.notes, refused = notesOf(params["notes"]) },
		func() { o.partial, _, refused = flagOf(params, "partial_payment") },
		func() { o.firstMin, _, refused = numberOf(params, "first_payment_min_amount", 1, math.MaxInt64) },
		func() { o.capture, refused = s.captureOf(params) },
	} {
		if read(); refused != nil {
			return nil, refused
		}
	}
	return o, nil
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
		return extra(object{"unique_receipt": true}, nil)
	case o.firstMin > 0 && !o.partial:
		return extra(object{"first_payment_min_amount": true}, nil)
	case o.firstMin > o.amount:
		return refusal(http.StatusBadRequest, "The first payment min amount may not be greater than the amount.", "first_payment_min_amount")
	}
	return nil
}

// captureOf reads both ways to say who captures, the new one and the old one.
func (s *Server) captureOf(params object) (capture, *Refusal) {
	c := capture{manual: s.cfg.ManualCapture, automatic: captureWindow, wait: captureWindow}
	automatic, given, refused := flagOf(params, "payment_capture")
	if refused != nil {
		return c, refused
	}
	if given {
		c.manual = !automatic
	}
	if params["payment"] == nil {
		return c, nil
	}
	setting, ok := params["payment"].(object)
	if !ok {
		return c, refusal(http.StatusBadRequest, "The payment must be an array.", "payment")
	}
	if refused := extra(setting, settingParams); refused != nil {
		return c, refused
	}
	switch stringOf(setting["capture"]) {
	case automaticCapture:
		c.manual = false
	case manualCapture:
		c.manual = true
	default:
		return c, refusal(http.StatusBadRequest, "The selected payment.capture is invalid.", "payment.capture")
	}
	return c.withOptions(setting["capture_options"])
}

func (c capture) withOptions(value any) (capture, *Refusal) {
	if value == nil {
		return c, nil
	}
	options, ok := value.(object)
	if !ok {
		return c, refusal(http.StatusBadRequest, "The capture options must be an array.", "payment.capture_options")
	}
	if refused := extra(options, optionParams); refused != nil {
		return c, refused
	}
	automatic, given, refused := numberOf(options, "automatic_expiry_period", leastExpiry, longestExpiry)
	if refused != nil {
		return c, refused
	}
	if given {
		c.automatic, c.wait = automatic, max(automatic, c.wait)
	}
	wait, given, refused := numberOf(options, "manual_expiry_period", max(leastExpiry, automatic), longestExpiry)
	if refused != nil {
		return c, refused
	}
	if given {
		c.wait = wait
	}
	// What Razorpay gives back by itself goes at the normal speed always.
	if speed := stringOf(options["refund_speed"]); speed != "" && speed != normal {
		return c, refusal(http.StatusBadRequest, "The selected refund speed is invalid.", "payment.capture_options.refund_speed")
	}
	return c, nil
}

func (s *Server) listOrders(c call) (object, *Refusal) {
	authorized, given, refused := flagOf(c.params, "authorized")
	if refused != nil {
		return nil, refused
	}
	receipt := stringOf(c.params["receipt"])
	fits := func(o *order) bool {
		// A part is enough, as Razorpay's documents say.
		return strings.Contains(o.receipt, receipt) && (!given || s.wasAuthorized(o) == authorized)
	}
	return page(c.params, s.orders, func(o *order) int64 { return o.created }, fits, func(o *order) object {
		doc := o.doc()
		if len(c.expand) > 0 {
			doc["payments"] = s.paymentsOf(o, c.expand)
		}
		return doc
	})
}

// wasAuthorized reports whether a bank has authorized a payment of the order.
func (s *Server) wasAuthorized(o *order) bool {
	for _, p := range s.payments {
		if p.order == o && p.status != "created" && p.status != "failed" {
			return true
		}
	}
	return false
}

func (s *Server) getOrder(o *order, c call) (object, *Refusal) {
	doc := o.doc()
	if len(c.expand) > 0 {
		doc["payments"] = s.paymentsOf(o, c.expand)
	}
	return doc, nil
}

func (s *Server) editOrder(o *order, c call) (object, *Refusal) {
	return edited(c, &o.notes, o.doc)
}

func (s *Server) getOrderPayments(o *order, _ call) (object, *Refusal) {
	return s.paymentsOf(o, nil), nil
}

func (s *Server) paymentsOf(o *order, expand []string) object {
	var docs []object
	for p := range newest(s.payments) {
		if p.order == o {
			docs = append(docs, s.expanded(p, inner(expand)))
		}
	}
	return collection(docs)
}

// inner returns what is to be expanded in the payments of an order.
func inner(expand []string) []string {
	for _, name := range expand {
		if name == expandCards {
			return []string{"card"}
		}
	}
	return nil
}
