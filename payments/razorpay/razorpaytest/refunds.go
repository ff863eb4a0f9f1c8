package razorpaytest

import (
	"encoding/json"
	"net/http"
	"regexp"
)

// fallbackAmount is the amount whose fast refund goes at the normal speed, as in Razorpay's
// test mode.
const fallbackAmount = 2468

var keyForm = regexp.MustCompile(`^[A-Za-z0-9_-]{10,}$`)

// refundRecord is what an idempotency key was used for.
type refundRecord struct {
	request string
	refund  *refund
}

// createRefund keeps Razorpay's rule of keys: the same request again gives the same refund,
// another request under the key is refused, and what was refused does not use it up.
func (s *Server) createRefund(p *payment, c call) (object, *Refusal) {
	key := c.Header.Get("X-Refund-Idempotency")
	request, _ := json.Marshal(c.params) // sorts keys
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
	made, refused := s.readRefund(p, c.params)
	if refused != nil {
		return nil, refused
	}
	s.giveBack(made)
	if key != "" {
		s.byKey[key] = refundRecord{p.id + string(request), made}
	}
	return made.doc(), nil
}

func (s *Server) readRefund(p *payment, params object) (*refund, *Refusal) {
	left := p.amount - p.refunded
	made := &refund{id: newID("rfnd"), payment: p, amount: left, status: "pending", requested: normal, processed: normal, created: s.now().Unix()}
	var refused *Refusal
	if params["amount"] != nil {
		if made.amount, refused = amountOf(params, "amount"); refused != nil {
			return nil, refused
		}
	}
	if made.notes, refused = notesOf(params["notes"]); refused != nil {
		return nil, refused
	}
	receipt, refused := textOf(params, "receipt")
	if refused != nil {
		return nil, refused
	}
	made.receipt = orNull(receipt)
	switch stringOf(params["speed"]) {
	case "", normal:
	case optimum:
		made.requested, made.processed = optimum, instant
	default:
		return nil, refusal(http.StatusBadRequest, "The selected speed is invalid.", "speed")
	}
	switch {
	case !p.captured:
		return nil, refusal(http.StatusBadRequest, "The payment status should be captured for action to be taken", "")
	case left == 0:
		return nil, refusal(http.StatusBadRequest, "The payment has been fully refunded already", "")
	case made.amount > left:
		return nil, refusal(http.StatusBadRequest, "The total refund amount is greater than the refund payment amount", "amount")
	case made.amount < 1 || p.currency == "INR" && made.amount < 100:
		return nil, refusal(http.StatusBadRequest, "The amount must be atleast INR 1.00", "amount")
	}
	return made, nil
}

// giveBack begins a refund, and ends it unless refunds are held back.
func (s *Server) giveBack(made *refund) {
	p := made.payment
	s.refunds = append(s.refunds, made)
	if p.refunded += made.amount; p.refunded == p.amount {
		p.status = "refunded"
	}
	s.emit("refund.created", object{"refund": made, "payment": p})
	if made.processed == instant && made.amount == fallbackAmount {
		made.processed = normal
		s.emit("refund.speed_changed", object{"refund": made, "payment": p})
	}
	if !s.cfg.PendingRefunds && !s.holdRefunds {
		s.settle(made, "processed")
	}
}

func (s *Server) settle(made *refund, status string) {
	made.status = status
	s.emit("refund."+status, object{"refund": made, "payment": made.payment})
}

// HoldRefunds leaves refunds pending from now on, until SettleRefund. Config.PendingRefunds
// does so from the beginning.
func (s *Server) HoldRefunds() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holdRefunds = true
}

// SettleRefund ends a pending refund: processed, or failed, which gives the money back to
// the hospital and not to the patient. Then the payment is again what it was before. A
// processed one may fail too: Razorpay calls a refund processed before the bank confirms it.
func (s *Server) SettleRefund(refundID string, processed bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	made := s.findRefund(refundID)
	switch {
	case made == nil:
		return notFound()
	case made.status == "failed", made.status == "processed" && processed:
		return refusal(http.StatusBadRequest, "The refund is not pending", "")
	case processed:
		s.settle(made, "processed")
		return nil
	}
	p := made.payment
	p.refunded -= made.amount
	if p.status = "authorized"; p.captured {
		p.status = "captured"
	}
	s.settle(made, "failed")
	return nil
}

func (s *Server) getRefund(r *refund, _ call) (object, *Refusal) { return r.doc(), nil }

func (s *Server) editRefund(r *refund, c call) (object, *Refusal) {
	return edited(c, &r.notes, r.doc)
}

func (s *Server) listRefunds(c call) (object, *Refusal) {
	return s.pageOfRefunds(c, func(*refund) bool { return true })
}

func (s *Server) listPaymentRefunds(p *payment, c call) (object, *Refusal) {
	return s.pageOfRefunds(c, func(r *refund) bool { return r.payment == p })
}

func (s *Server) pageOfRefunds(c call, fits func(*refund) bool) (object, *Refusal) {
	return page(c.params, s.refunds, func(r *refund) int64 { return r.created }, fits, (*refund).doc)
}

func (s *Server) refundDocs(p *payment) []object {
	var docs []object
	for r := range newest(s.refunds) {
		if r.payment == p {
			docs = append(docs, r.doc())
		}
	}
	return docs
}
