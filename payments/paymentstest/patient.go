package paymentstest

import (
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/signature"
	"github.com/telemed-go/telemed/payments"
)

// Pay pays what is due of an order, as a patient would, and returns what the application
// then verifies. The payment is authorized if the order asked for manual capture, else
// captured.
func (g *Gateway) Pay(orderID string) (payments.Confirmation, error) {
	return g.pay(orderID, func(o *payments.Order) (paid, credit payments.Money) { return o.Due, o.Due })
}

// PayPart is Pay for an instalment: a part of what is due.
func (g *Gateway) PayPart(orderID string, part payments.Money) (payments.Confirmation, error) {
	return g.pay(orderID, func(*payments.Order) (paid, credit payments.Money) { return part, part })
}

// PayAs is Pay, but the payer is charged another amount, maybe in another currency: less by
// an offer of the bank, more by a fee, or what a conversion makes of it. The order is paid
// all the same.
func (g *Gateway) PayAs(orderID string, charged payments.Money) (payments.Confirmation, error) {
	return g.pay(orderID, func(o *payments.Order) (paid, credit payments.Money) { return charged, o.Due })
}

// pay makes a payment. amounts says what the payer is charged, and what the order is
// credited with.
func (g *Gateway) pay(orderID string, amounts func(*payments.Order) (paid, credit payments.Money)) (payments.Confirmation, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer g.changes.Note()
	o, err := g.payable(orderID)
	if err != nil {
		return payments.Confirmation{}, err
	}
	paid, credit := amounts(o)
	if credit.Currency != o.Amount.Currency || credit.Minor < 1 || credit.Minor > o.Due.Minor {
		return payments.Confirmation{}, failed("Pay", telemed.ErrInvalid)
	}
	p := g.attempt(o, paid)
	g.credits[p.ID] = credit
	p.Status = payments.PaymentAuthorized
	if !g.manual[o.ID] {
		g.take(p)
	}
	return g.confirmation(o, p), nil
}

// FailPayment makes an attempt to pay that fails. What it returns is signed,
// which no real gateway does, so that VerifyPayment gets to see the status.
func (g *Gateway) FailPayment(orderID string) (payments.Confirmation, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer g.changes.Note()
	o, err := g.payable(orderID)
	if err != nil {
		return payments.Confirmation{}, err
	}
	p := g.attempt(o, o.Due)
	g.credits[p.ID] = o.Due
	p.Status, p.Failure = payments.PaymentFailed, &payments.Failure{Code: "BAD_REQUEST_ERROR", Reason: "payment_failed"}
	return g.confirmation(o, p), nil
}

// AuthorizeLate has the bank answer after all, for a payment that failed. It is captured, or
// authorized if the order asked for manual capture. If the order is paid already, the money
// is given back at once.
func (g *Gateway) AuthorizeLate(paymentID string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer g.changes.Note()
	p, ok := g.payments[paymentID]
	switch {
	case !ok:
		return failed("AuthorizeLate", telemed.ErrNotFound)
	case p.Status != payments.PaymentFailed:
		return failed("AuthorizeLate", telemed.ErrConflict)
	}
	p.Status, p.Failure, p.Late = payments.PaymentAuthorized, nil, true
	switch o := g.order(p.OrderID); {
	case o.IsPaid():
		g.giveBack(p, p.Amount)
	case !g.manual[o.ID]:
		g.take(p)
	}
	return nil
}

// AutoRefund gives back what is authorized and was not captured, as a gateway does after
// some days.
func (g *Gateway) AutoRefund(paymentID string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer g.changes.Note()
	p, ok := g.payments[paymentID]
	switch {
	case !ok:
		return failed("AutoRefund", telemed.ErrNotFound)
	case p.Status != payments.PaymentAuthorized:
		return failed("AutoRefund", telemed.ErrConflict)
	}
	g.giveBack(p, p.Amount)
	return nil
}

// HoldRefunds leaves refunds pending from now on, until SettleRefund.
func (g *Gateway) HoldRefunds() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = true
}

// SettleRefund ends a pending refund: processed, or failed, which leaves the money with the
// application. A processed one may fail too: the bank sent it back.
func (g *Gateway) SettleRefund(refundID string, processed bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer g.changes.Note()
	r := g.refundOf(refundID)
	switch {
	case r == nil:
		return failed("SettleRefund", telemed.ErrNotFound)
	case !r.Status.CanBecome(payments.RefundFailed), processed && r.Status != payments.RefundPending:
		return failed("SettleRefund", telemed.ErrConflict)
	case processed:
		r.Status = payments.RefundProcessed
		return nil
	}
	r.Status = payments.RefundFailed
	p := g.payments[r.PaymentID]
	p.Status = payments.PaymentAuthorized
	if p.Captured {
		p.Status = payments.PaymentCaptured
	}
	p.Refunded.Minor -= r.Amount.Minor
	p.GivenBack = givenBack(p)
	return nil
}

func (g *Gateway) payable(orderID string) (*payments.Order, error) {
	o := g.order(orderID)
	switch {
	case o == nil:
		return nil, failed("Pay", telemed.ErrNotFound)
	case o.IsPaid():
		return nil, failed("Pay", telemed.ErrConflict)
	}
	for _, id := range g.byOrder[orderID] {
		if g.payments[id].Status == payments.PaymentAuthorized {
			return nil, failed("Pay", telemed.ErrConflict)
		}
	}
	return o, nil
}

func (g *Gateway) attempt(o *payments.Order, charged payments.Money) *payments.Payment {
	p := &payments.Payment{
		ID: newID("pay"), OrderID: o.ID, Amount: charged, Refunded: payments.Money{Currency: charged.Currency},
		Status: payments.PaymentCreated, Method: "upi", CreatedAt: time.Now().UTC(),
	}
	if charged.Currency != o.Amount.Currency {
		p.Base = o.Due
	}
	g.payments[p.ID] = p
	g.byOrder[o.ID] = append(g.byOrder[o.ID], p.ID)
	o.Attempts++
	o.Status = payments.OrderAttempted
	return p
}

func (g *Gateway) confirmation(o *payments.Order, p *payments.Payment) payments.Confirmation {
	return payments.Confirmation{OrderID: o.ID, Expected: o.Amount, PaymentID: p.ID, Signature: signature.Hex(g.key, []byte(o.ID+"|"+p.ID))}
}

// take captures an authorized payment, and credits its order.
func (g *Gateway) take(p *payments.Payment) {
	p.Status, p.Captured = payments.PaymentCaptured, true
	o := g.order(p.OrderID)
	credit := min(g.credits[p.ID].Minor, o.Due.Minor)
	o.Paid.Minor += credit
	if o.Due.Minor -= credit; o.Due.Minor == 0 {
		o.Status = payments.OrderPaid
	}
}

// giveBack makes a refund.
func (g *Gateway) giveBack(p *payments.Payment, amount payments.Money) *payments.Refund {
	r := &payments.Refund{
		ID: newID("rfnd"), PaymentID: p.ID, Amount: amount, Status: payments.RefundProcessed, CreatedAt: time.Now().UTC(),
	}
	if g.held {
		r.Status = payments.RefundPending
	}
	g.refunds = append(g.refunds, r)
	p.Refunded.Minor += amount.Minor
	if p.GivenBack = givenBack(p); p.GivenBack == payments.GivenBackFull {
		p.Status = payments.PaymentRefunded
	}
	return r
}

func givenBack(p *payments.Payment) payments.GivenBack {
	switch p.Refunded.Minor {
	case 0:
		return payments.GivenBackNone
	case p.Amount.Minor:
		return payments.GivenBackFull
	}
	return payments.GivenBackPart
}
