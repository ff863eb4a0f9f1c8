package razorpaytest

import (
	"net/http"
	"slices"

	"github.com/telemed-go/telemed/internal/signature"
	"github.com/telemed-go/telemed/payments"
)

// Paid is what the checkout hands to the page after a payment.
type Paid struct {
	OrderID, PaymentID, Signature string
}

// Pay pays what is due of an order, as a patient would on the page. The payment is captured,
// or authorized if the order or the Config says so. It fails if the order is unknown, paid,
// or has an authorized payment.
func (s *Server) Pay(orderID string) (Paid, error) {
	return s.pay(orderID, Instrument{}, func(o *order) (string, int64, int64) { return o.currency, o.due(), o.due() })
}

// PayPart is Pay for an instalment: amount is in the order's smallest unit. The order must
// have been made with partial_payment.
func (s *Server) PayPart(orderID string, amount int64) (Paid, error) {
	return s.pay(orderID, Instrument{}, func(o *order) (string, int64, int64) { return o.currency, amount, amount })
}

// PayAs is Pay, but the payer is charged another amount, maybe in another currency: less by
// an offer of the bank, more by a fee that the payer bears, or what a conversion makes of
// it. The order is paid all the same.
func (s *Server) PayAs(orderID string, charged payments.Money) (Paid, error) {
	return s.pay(orderID, Instrument{}, func(o *order) (string, int64, int64) {
		return string(charged.Currency), charged.Minor, o.due()
	})
}

// pay makes a payment. amounts says what the payer is charged, and what it counts for the
// order.
func (s *Server) pay(orderID string, with Instrument, amounts func(*order) (currency string, charged, credit int64)) (Paid, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.payable(orderID)
	if err != nil {
		return Paid{}, err
	}
	currency, charged, credit := amounts(o)
	switch {
	case charged < 1 || credit < 1 || credit > o.due():
		return Paid{}, refusal(http.StatusBadRequest, "Payment amount is greater than the amount due for order", "amount")
	case credit < o.due() && !o.partial:
		return Paid{}, refusal(http.StatusBadRequest, "Your payment amount is different from your order amount", "amount")
	case o.paid == 0 && credit < min(o.firstMin, o.due()):
		return Paid{}, refusal(http.StatusBadRequest, "Payment amount is less than the first payment minimum amount", "amount")
	}
	p := s.attempt(o, with)
	p.currency, p.amount, p.credit = currency, charged, credit
	s.authorize(p)
	message := o.id + "|" + p.id
	return Paid{OrderID: o.id, PaymentID: p.id, Signature: signature.Hex([]byte(s.cfg.KeySecret.Reveal()), []byte(message))}, nil
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
	return s.decline(o, Instrument{}).id, nil
}

// AuthorizeLate has the bank answer after all, for a payment that failed. It is captured if
// the order captures by itself and its time for that is not over, else it is authorized. If
// the order is paid already, the money is given back at once.
func (s *Server) AuthorizeLate(paymentID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.findPayment(paymentID)
	switch {
	case p == nil:
		return notFound()
	case p.status != "failed":
		return refusal(http.StatusBadRequest, "The payment has not failed", "")
	}
	p.failure, p.late = nil, true
	s.authorize(p)
	return nil
}

// AutoRefund gives back what is authorized and was not captured. Razorpay does so once the
// time for capturing is over, and so does Advance.
func (s *Server) AutoRefund(paymentID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.findPayment(paymentID)
	switch {
	case p == nil:
		return notFound()
	case p.status != "authorized":
		return refusal(http.StatusBadRequest, "The payment is not authorized", "")
	}
	s.autoRefund(p)
	return nil
}

func (s *Server) payable(orderID string) (*order, error) {
	o := s.findOrder(orderID)
	switch {
	case o == nil:
		return nil, notFound()
	case o.status == "paid":
		return nil, refusal(http.StatusBadRequest, "Order already paid", "")
	}
	for _, p := range s.payments {
		if p.order == o && p.status == "authorized" {
			return nil, refusal(http.StatusBadRequest, "Order has an authorized payment already", "")
		}
	}
	return o, nil
}

func (s *Server) attempt(o *order, with Instrument) *payment {
	p := &payment{
		with: with, id: newID("pay"), currency: o.currency, order: o, amount: o.due(), credit: o.due(), status: "created",
		notes: o.notes, created: s.now().Unix(),
	}
	s.payments = append(s.payments, p)
	o.attempts++
	o.status = "attempted"
	return p
}

func (s *Server) decline(o *order, with Instrument) *payment {
	p := s.attempt(o, with)
	p.status = "failed"
	p.failure = &checkoutError{
		Code: "BAD_REQUEST_ERROR", Description: "The bank declined the payment. Please try another way to pay.",
		Source: "bank", Step: "payment_authorization", Reason: "payment_failed", OrderID: o.id, PaymentID: p.id,
	}
	if with.Card != "" {
		p.failure.Description = "Your payment could not be completed due to incorrect OTP or verification details."
		p.failure.Source, p.failure.Step, p.failure.Reason = "customer", "payment_authentication", "authentication_failed"
	}
	s.emit("payment.failed", object{"payment": p})
	return p
}

// authorize is the bank's yes, and what follows from it.
func (s *Server) authorize(p *payment) {
	p.status = "authorized"
	s.emit("payment.authorized", object{"payment": p})
	inTime := s.now().Unix() <= p.created+60*p.order.automatic
	switch {
	case p.order.status == "paid":
		s.autoRefund(p)
	case !p.order.manual && inTime:
		s.take(p)
	}
}

// take captures an authorized payment, and credits its order.
func (s *Server) take(p *payment) {
	p.status, p.captured = "captured", true
	o := p.order
	if o.paid += min(p.credit, o.due()); o.due() == 0 {
		o.status = "paid"
	}
	s.emit("payment.captured", object{"payment": p})
	if o.status == "paid" {
		s.emit("order.paid", object{"payment": p, "order": o})
	}
}

func (s *Server) autoRefund(p *payment) {
	s.giveBack(&refund{
		id: newID("rfnd"), payment: p, amount: p.amount, status: "pending", requested: normal, processed: normal,
		created: s.now().Unix(),
	})
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
	var all []string
	for _, p := range s.payments {
		all = append(all, p.id)
	}
	slices.Sort(all)
	return all
}
