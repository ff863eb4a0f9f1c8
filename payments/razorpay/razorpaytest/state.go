package razorpaytest

import (
	"maps"
	"slices"

	"github.com/telemed-go/telemed/internal/signature"
)

func collection(items []object) object {
	if items == nil {
		items = []object{}
	}
	return object{"entity": "collection", "count": len(items), "items": items}
}

func (s *Server) findOrder(id string) *order {
	for _, o := range s.orders {
		if o.id == id {
			return o
		}
	}
	return nil
}

// Paid is what the checkout hands to the page after a payment.
type Paid struct {
	OrderID, PaymentID, Signature string
}

// Pay pays an order, as a patient would on the page. The payment is captured,
// or authorized if the order or the Config says so. It fails if the order is
// unknown, paid, or has an authorized payment.
func (s *Server) Pay(orderID string) (Paid, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.payable(orderID)
	if err != nil {
		return Paid{}, err
	}
	p := s.attempt(o)
	p.status = "authorized"
	s.emit("payment.authorized", object{"payment": p})
	if !o.manual {
		s.take(p)
	}
	return s.paid(p), nil
}

// FailPayment makes an attempt to pay that fails and returns the payment's id. The order
// stays open.
func (s *Server) FailPayment(orderID string) (paymentID string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.payable(orderID)
	if err != nil {
		return "", err
	}
	return s.decline(o).id, nil
}

func (s *Server) payable(orderID string) (*order, error) {
	o := s.findOrder(orderID)
	switch {
	case o == nil:
		return nil, notFound()
	case o.status == "paid":
		return nil, refusal(400, "Order already paid", "")
	}
	for _, p := range s.payments {
		if p.order == o && p.status == "authorized" {
			return nil, refusal(400, "Order has an authorized payment already", "")
		}
	}
	return o, nil
}

func (s *Server) attempt(o *order) *payment {
	p := &payment{id: newID("pay"), currency: o.currency, order: o, amount: o.amount, status: "created", created: now()}
	s.payments[p.id] = p
	o.attempts++
	o.status = "attempted"
	return p
}

func (s *Server) decline(o *order) *payment {
	p := s.attempt(o)
	p.status = "failed"
	p.failure = &checkoutError{
		Code: "BAD_REQUEST_ERROR", Description: "The bank declined the payment. Please try another way to pay.",
		Source: "bank", Step: "payment_authorization", Reason: "payment_failed", OrderID: o.id, PaymentID: p.id,
	}
	s.emit("payment.failed", object{"payment": p})
	return p
}

// take captures an authorized payment.
func (s *Server) take(p *payment) {
	p.status = "captured"
	p.order.status, p.order.paid = "paid", p.amount
	s.emit("payment.captured", object{"payment": p})
	s.emit("order.paid", object{"payment": p, "order": p.order})
}

// SettleRefund ends a pending refund (see Config.PendingRefunds): processed, or
// failed, which gives the money back to the hospital and not to the patient.
func (s *Server) SettleRefund(refundID string, processed bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	made, ok := s.refunds[refundID]
	switch {
	case !ok:
		return notFound()
	case made.status != "pending":
		return refusal(400, "The refund is not pending", "")
	case processed:
		s.settle(made, "processed")
	default:
		made.payment.refunded -= made.amount
		made.payment.status = "captured"
		s.settle(made, "failed")
	}
	return nil
}

func (s *Server) settle(made *refund, status string) {
	made.status = status
	s.emit("refund."+status, object{"refund": made, "payment": made.payment})
}

func (s *Server) paid(p *payment) Paid {
	message := p.order.id + "|" + p.id
	return Paid{OrderID: p.order.id, PaymentID: p.id, Signature: signature.Hex([]byte(s.cfg.KeySecret.Reveal()), []byte(message))}
}

// Receipts returns the receipts of all orders, oldest first.
func (s *Server) Receipts() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, o := range s.orders {
		all = append(all, o.receipt)
	}
	return all
}

// PaymentIDs returns the ids of all payments, failed ones too, sorted.
func (s *Server) PaymentIDs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.payments))
}
