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

// object is a JSON document, and also the parameters of a request.
type object = map[string]any

type order struct {
	id, currency, receipt string
	amount, paid          int64
	status                string
	attempts              int
	notes                 map[string]string
	manual                bool
	created               int64
}

type payment struct {
	id, currency, status string
	order                *order
	amount, refunded     int64
	created              int64
	failure              *checkoutError
}

type refund struct {
	id, speed, status string
	payment           *payment
	amount            int64
	notes             map[string]string
	receipt           any
	created           int64
}

// refundRecord is what an idempotency key was used for.
type refundRecord struct {
	request string
	refund  *refund
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

func (o *order) doc() object {
	return object{
		"id": o.id, "entity": "order", "amount": o.amount, "amount_paid": o.paid, "amount_due": o.amount - o.paid,
		"currency": o.currency, "receipt": orNull(o.receipt), "offer_id": nil, "status": o.status,
		"attempts": o.attempts, "notes": notesDoc(o.notes), "created_at": o.created,
	}
}

func (p *payment) doc() object {
	captured := p.status == "captured" || p.status == "refunded"
	doc := object{
		"id": p.id, "entity": "payment", "amount": p.amount, "currency": p.currency, "status": p.status,
		"order_id": p.order.id, "invoice_id": nil, "international": p.currency != "INR", "method": "upi",
		"amount_refunded": p.refunded, "refund_status": p.refundStatus(), "captured": captured,
		"description": nil, "card_id": nil, "bank": nil, "wallet": nil, "vpa": "success@razorpay",
		"email": "void@razorpay.com", "contact": "+919999999999", "notes": notesDoc(p.order.notes),
		"fee": nil, "tax": nil, "error_code": nil, "error_description": nil, "error_source": nil,
		"error_step": nil, "error_reason": nil, "acquirer_data": object{"rrn": nil}, "created_at": p.created,
	}
	if captured {
		doc["fee"], doc["tax"] = p.amount/50, p.amount*18/5000 // two percent, and 18 percent tax of it
	}
	if f := p.failure; f != nil {
		doc["vpa"] = "failure@razorpay"
		doc["error_code"], doc["error_description"], doc["error_source"] = f.Code, f.Description, f.Source
		doc["error_step"], doc["error_reason"] = f.Step, f.Reason
	}
	return doc
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
		"batch_id": nil, "status": r.status, "speed_processed": r.speed, "speed_requested": r.speed,
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
