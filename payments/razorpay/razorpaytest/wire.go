package razorpaytest

import (
	"fmt"
	"net/http"
	"strings"
)

// object is a JSON document, and also the parameters of a request.
type object = map[string]any

type order struct {
	id, currency, receipt string
	amount, paid          int64
	status                string
	attempts              int
	notes                 map[string]string
	created               int64
	capture
	partial  bool  // may be paid in instalments
	firstMin int64 // the least that the first of them may be; 0 if any
}

// capture is who takes the money of an order, and how long it waits.
type capture struct {
	manual bool
	// automatic and wait are minutes from the making of a payment: until when it is captured
	// by itself, and until when it may be captured at all.
	automatic, wait int64
}

func (o *order) due() int64 { return o.amount - o.paid }

type payment struct {
	with                 Instrument
	id, currency, status string
	order                *order
	amount, refunded     int64 // in currency
	credit               int64 // what it counts for the order
	captured, late       bool
	notes                map[string]string
	created              int64
	failure              *checkoutError
}

type refund struct {
	id, status           string
	requested, processed string // speeds
	payment              *payment
	amount               int64
	notes                map[string]string
	receipt              any
	created              int64
}

// checkoutError is what the checkout hands to the page when a payment failed.
type checkoutError struct {
	Code, Description, Source, Step, Reason string
	OrderID, PaymentID                      string
}

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

func (o *order) doc() object {
	return object{
		"id": o.id, "entity": "order", "amount": o.amount, "amount_paid": o.paid, "amount_due": o.amount - o.paid,
		"currency": o.currency, "receipt": orNull(o.receipt), "offer_id": nil, "status": o.status,
		"attempts": o.attempts, "notes": notesDoc(o.notes), "created_at": o.created,
	}
}

func (p *payment) doc() object {
	doc := object{
		"id": p.id, "entity": "payment", "amount": p.amount, "currency": p.currency, "status": p.status,
		"order_id": p.order.id, "invoice_id": nil, "international": p.currency != "INR", "method": "upi",
		"amount_refunded": p.refunded, "refund_status": p.refundStatus(), "captured": p.captured,
		"description": nil, "card_id": nil, "bank": nil, "wallet": nil, "vpa": "success@razorpay",
		"email": "void@razorpay.com", "contact": "+919999999999", "notes": notesDoc(p.notes),
		"fee": nil, "tax": nil, "error_code": nil, "error_description": nil, "error_source": nil,
		"error_step": nil, "error_reason": nil, "acquirer_data": object{"rrn": nil}, "created_at": p.created,
	}
	if p.captured {
		doc["fee"], doc["tax"] = p.fee()
	}
	if p.currency != p.order.currency {
		doc["base_amount"], doc["base_currency"] = p.credit, p.order.currency
	}
	if p.late {
		doc["late_authorized"] = true
	}
	if f := p.failure; f != nil {
		doc["vpa"] = "failure@razorpay"
		doc["error_code"], doc["error_description"], doc["error_source"] = f.Code, f.Description, f.Source
		doc["error_step"], doc["error_reason"] = f.Step, f.Reason
	}
	p.with.fill(doc)
	return doc
}

// fee is two percent of what counts for the order, and 18 percent of that for the tax; or
// what the payer was charged on top.
func (p *payment) fee() (fee, tax int64) {
	tax = p.credit * 18 / 5000
	if fee = p.credit/50 + tax; p.currency == p.order.currency && p.amount > p.credit {
		fee = p.amount - p.credit
		tax = fee * 18 / 118
	}
	return fee, tax
}

func (p *payment) refundStatus() any {
	switch {
	case p.refunded == 0:
		return nil
	case p.refunded < p.amount:
		return "partial"
	}
	return "full"
}

func (r *refund) doc() object {
	return object{
		"id": r.id, "entity": "refund", "amount": r.amount, "currency": r.payment.currency, "payment_id": r.payment.id,
		"notes": notesDoc(r.notes), "receipt": r.receipt, "acquirer_data": object{"arn": nil}, "created_at": r.created,
		"batch_id": nil, "status": r.status, "speed_processed": r.processed, "speed_requested": r.requested,
	}
}

// notesDoc is Razorpay's own: an object, but an empty list when there is nothing in it.
func notesDoc(notes map[string]string) any {
	if len(notes) == 0 {
		return []any{}
	}
	return notes
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}
