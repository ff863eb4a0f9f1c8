package paymentstest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fake"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/payments"
)

// The operations, for FailNext, FailAfter and Count.
const (
	OpCreateOrder    = "CreateOrder"
	OpPayment        = "Payment"
	OpVerifyPayment  = "VerifyPayment"
	OpCapture        = "Capture"
	OpRefund         = "Refund"
	OpOrder          = "Order"
	OpOrdersByKey    = "OrdersByKey"
	OpOrderPayments  = "OrderPayments"
	OpRefundByID     = "RefundByID"
	OpPaymentRefunds = "PaymentRefunds"
)

// Gateway is a payments.PaymentGateway in memory. It is safe for concurrent use.
type Gateway struct {
	key     []byte // signs what Pay and Webhook return
	errors  fake.Errors
	changes fake.Changes

	mu       sync.Mutex
	orders   []*payments.Order
	manual   map[string]bool // order ids
	payments map[string]*payments.Payment
	byOrder  map[string][]string       // payment ids, oldest first
	credits  map[string]payments.Money // what a payment counts for its order
	refunds  []*payments.Refund        // oldest first
	byKey    map[string]refundAsked
	held     bool // refunds stay pending
	calls    map[string]int
}

// refundAsked is what a Key of a refund was used for.
type refundAsked struct {
	amount *payments.Money
	refund *payments.Refund
}

var (
	_ payments.PaymentGateway   = (*Gateway)(nil)
	_ payments.OrderFinder      = (*Gateway)(nil)
	_ payments.RefundFinder     = (*Gateway)(nil)
	_ payments.CheckoutProvider = (*Gateway)(nil)
	_ payments.CallbackParser   = (*Gateway)(nil)
	_ payments.WebhookParser    = (*Gateway)(nil)
)

// NewGateway returns an empty gateway.
func NewGateway() *Gateway {
	return &Gateway{
		key: []byte(rand.Text()), errors: fake.Errors{Kit: "paymentstest"}, manual: map[string]bool{}, payments: map[string]*payments.Payment{},
		byOrder: map[string][]string{}, byKey: map[string]refundAsked{}, credits: map[string]payments.Money{}, calls: map[string]int{},
	}
}

// FailNext makes the next calls of op fail before they do anything, each with one of
// errs. If op is empty, any calls. A nil among errs lets one through.
func (g *Gateway) FailNext(op string, errs ...error) { g.errors.FailNext(op, errs...) }

// FailAfter is FailNext for calls that do what they are asked first: their answers are
// lost, as when the connection breaks. Then telemed.ErrAmbiguous is the error.
func (g *Gateway) FailAfter(op string, errs ...error) { g.errors.FailAfter(op, errs...) }

// Count returns how often op was called, failed calls included.
func (g *Gateway) Count(op string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls[op]
}

// WaitFor returns the first order that match accepts, and waits for it until ctx ends. An
// order is shown to match again after each change.
func (g *Gateway) WaitFor(ctx context.Context, match func(*payments.Order) bool) (*payments.Order, error) {
	return fake.WaitFor(ctx, &g.changes, func() (*payments.Order, bool) {
		all := g.Orders()
		i := slices.IndexFunc(all, match)
		if i < 0 {
			return nil, false
		}
		return all[i], true
	})
}

// Orders returns all orders, oldest first.
func (g *Gateway) Orders() []*payments.Order {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []*payments.Order
	for _, o := range g.orders {
		all = append(all, copyOrder(o))
	}
	return all
}

// do counts a call and carries it out, or fails as planned. It holds g.mu during call.
func do[T any](ctx context.Context, g *Gateway, op string, call func() (T, error)) (T, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls[op]++
	if err := ctx.Err(); err != nil {
		var none T
		return none, failed(op, err)
	}
	defer g.changes.Note()
	return fake.Do(&g.errors, op, call)
}

// CreateOrder implements payments.PaymentGateway.
func (g *Gateway) CreateOrder(ctx context.Context, req payments.OrderRequest) (*payments.Order, error) {
	if err := req.Validate(); err != nil {
		return nil, err
	}
	return do(ctx, g, OpCreateOrder, func() (*payments.Order, error) { return g.createOrder(req) })
}

func (g *Gateway) createOrder(req payments.OrderRequest) (*payments.Order, error) {
	for _, o := range g.orders {
		if o.Key == req.Key {
			if o.Amount != req.Amount {
				return nil, failed(OpCreateOrder, payments.ErrKeyConflict)
			}
			return copyOrder(o), nil
		}
	}
	o := &payments.Order{
		ID: newID("order"), Key: req.Key, Amount: req.Amount, Paid: payments.Money{Currency: req.Amount.Currency},
		Due: req.Amount, Status: payments.OrderCreated, Notes: maps.Clone(req.Notes), CreatedAt: time.Now().UTC(),
	}
	g.orders = append(g.orders, o)
	g.manual[o.ID] = req.Capture == payments.CaptureManual
	return copyOrder(o), nil
}

// Payment implements payments.PaymentGateway.
func (g *Gateway) Payment(ctx context.Context, paymentID string) (*payments.Payment, error) {
	return do(ctx, g, OpPayment, func() (*payments.Payment, error) { return g.read(OpPayment, paymentID) })
}

// VerifyPayment implements payments.PaymentGateway.
func (g *Gateway) VerifyPayment(ctx context.Context, c payments.Confirmation) (*payments.Payment, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return do(ctx, g, OpVerifyPayment, func() (*payments.Payment, error) { return g.verify(c) })
}

func (g *Gateway) verify(c payments.Confirmation) (*payments.Payment, error) {
	if !g.signed(c) {
		return nil, failed(OpVerifyPayment, telemed.ErrSignature)
	}
	p, err := g.read(OpVerifyPayment, c.PaymentID)
	switch {
	case err != nil:
		return nil, err
	case p.OrderID != c.OrderID:
		return nil, failed(OpVerifyPayment, payments.ErrOrderMismatch)
	case p.Status == payments.PaymentRefunded:
		return nil, failed(OpVerifyPayment, payments.ErrAlreadyRefunded)
	case p.Status != payments.PaymentCaptured && p.Status != payments.PaymentAuthorized:
		return nil, failed(OpVerifyPayment, payments.ErrPaymentIncomplete)
	}
	switch o := g.order(c.OrderID); {
	case o.Amount != c.Expected:
		return nil, failed(OpVerifyPayment, payments.ErrAmountMismatch)
	case p.Status == payments.PaymentCaptured && !o.IsPaid():
		return nil, failed(OpVerifyPayment, payments.ErrPartlyPaid)
	}
	return p, nil
}

// Capture implements payments.PaymentGateway.
func (g *Gateway) Capture(ctx context.Context, req payments.CaptureRequest) (*payments.Payment, error) {
	if err := req.Validate(); err != nil {
		return nil, err
	}
	return do(ctx, g, OpCapture, func() (*payments.Payment, error) { return g.capture(req) })
}

func (g *Gateway) capture(req payments.CaptureRequest) (*payments.Payment, error) {
	p, ok := g.payments[req.PaymentID]
	if !ok {
		return nil, failed(OpCapture, telemed.ErrNotFound)
	}
	same := p.Amount == req.Amount
	switch p.Status {
	case payments.PaymentCaptured:
		if !same {
			return nil, failed(OpCapture, payments.ErrAlreadyCaptured)
		}
	case payments.PaymentRefunded:
		return nil, failed(OpCapture, payments.ErrAlreadyRefunded)
	case payments.PaymentAuthorized:
		if !same {
			return nil, failed(OpCapture, payments.ErrAmountMismatch)
		}
		g.take(p)
	default:
		return nil, failed(OpCapture, payments.ErrPaymentIncomplete)
	}
	return copyPayment(p), nil
}

// Refund implements payments.PaymentGateway. Refunds are processed at once, unless
// HoldRefunds was called.
func (g *Gateway) Refund(ctx context.Context, req payments.RefundRequest) (*payments.Refund, error) {
	if err := req.Validate(); err != nil {
		return nil, err
	}
	return do(ctx, g, OpRefund, func() (*payments.Refund, error) { return g.refund(req) })
}

func (g *Gateway) refund(req payments.RefundRequest) (*payments.Refund, error) {
	if old, ok := g.byKey[req.Key]; ok {
		if old.refund.PaymentID != req.PaymentID || !sameAmount(old.amount, req.Amount) {
			return nil, failed(OpRefund, payments.ErrKeyConflict)
		}
		return copyRefund(old.refund), nil
	}
	amount, err := g.toGiveBack(req)
	if err != nil {
		return nil, err
	}
	made := g.giveBack(g.payments[req.PaymentID], amount)
	made.Notes = maps.Clone(req.Notes)
	g.byKey[req.Key] = refundAsked{req.Amount, made}
	return copyRefund(made), nil
}

// toGiveBack returns how much a request asks for, if it can be had.
func (g *Gateway) toGiveBack(req payments.RefundRequest) (payments.Money, error) {
	p, ok := g.payments[req.PaymentID]
	switch {
	case !ok:
		return payments.Money{}, failed(OpRefund, telemed.ErrNotFound)
	case p.Status == payments.PaymentRefunded:
		return payments.Money{}, failed(OpRefund, payments.ErrAlreadyRefunded)
	case p.Status != payments.PaymentCaptured:
		return payments.Money{}, failed(OpRefund, payments.ErrPaymentIncomplete)
	}
	left, err := p.Amount.Sub(p.Refunded)
	if err != nil {
		return payments.Money{}, failed(OpRefund, err)
	}
	amount := left
	if req.Amount != nil {
		amount = *req.Amount
	}
	switch {
	case amount.Currency != p.Amount.Currency:
		return payments.Money{}, failed(OpRefund, payments.ErrAmountMismatch)
	case amount.Minor > left.Minor:
		return payments.Money{}, failed(OpRefund, &telemed.FieldError{Field: "Amount", Problem: "is more than what is left"})
	}
	return amount, nil
}

// Order implements payments.OrderFinder.
func (g *Gateway) Order(ctx context.Context, orderID string) (*payments.Order, error) {
	return do(ctx, g, OpOrder, func() (*payments.Order, error) {
		if o := g.order(orderID); o != nil {
			return copyOrder(o), nil
		}
		return nil, failed(OpOrder, telemed.ErrNotFound)
	})
}

// OrdersByKey implements payments.OrderFinder. There is one order at most.
func (g *Gateway) OrdersByKey(ctx context.Context, key string) ([]*payments.Order, error) {
	return do(ctx, g, OpOrdersByKey, func() ([]*payments.Order, error) {
		var found []*payments.Order
		for _, o := range g.orders {
			if o.Key == key {
				found = append(found, copyOrder(o))
			}
		}
		return found, nil
	})
}

// OrderPayments implements payments.OrderFinder.
func (g *Gateway) OrderPayments(ctx context.Context, orderID string) ([]*payments.Payment, error) {
	return do(ctx, g, OpOrderPayments, func() ([]*payments.Payment, error) {
		if g.order(orderID) == nil {
			return nil, failed(OpOrderPayments, telemed.ErrNotFound)
		}
		var all []*payments.Payment
		for _, id := range slices.Backward(g.byOrder[orderID]) {
			all = append(all, copyPayment(g.payments[id]))
		}
		return all, nil
	})
}

// RefundByID implements payments.RefundFinder.
func (g *Gateway) RefundByID(ctx context.Context, refundID string) (*payments.Refund, error) {
	return do(ctx, g, OpRefundByID, func() (*payments.Refund, error) {
		if r := g.refundOf(refundID); r != nil {
			return copyRefund(r), nil
		}
		return nil, failed(OpRefundByID, telemed.ErrNotFound)
	})
}

// PaymentRefunds implements payments.RefundFinder.
func (g *Gateway) PaymentRefunds(ctx context.Context, paymentID string) ([]*payments.Refund, error) {
	return do(ctx, g, OpPaymentRefunds, func() ([]*payments.Refund, error) {
		if _, ok := g.payments[paymentID]; !ok {
			return nil, failed(OpPaymentRefunds, telemed.ErrNotFound)
		}
		var all []*payments.Refund
		for _, r := range slices.Backward(g.refunds) {
			if r.PaymentID == paymentID {
				all = append(all, copyRefund(r))
			}
		}
		return all, nil
	})
}

// Checkout implements payments.CheckoutProvider with a JSON object of its own.
func (g *Gateway) Checkout(o *payments.Order, ui payments.CheckoutUI) (json.RawMessage, error) {
	var p fault.Problems
	p.Check(o != nil && o.ID != "", "Order", "is required")
	p.Check(o == nil || !o.IsPaid(), "Order", "is paid already")
	p.Required("Name", ui.Name)
	if err := p.Err("paymentstest: Checkout"); err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{"order_id": o.ID, "amount": o.Amount.Minor, "currency": o.Amount.Currency, "name": ui.Name})
}

func (g *Gateway) order(id string) *payments.Order {
	for _, o := range g.orders {
		if o.ID == id {
			return o
		}
	}
	return nil
}

func (g *Gateway) refundOf(id string) *payments.Refund {
	for _, r := range g.refunds {
		if r.ID == id {
			return r
		}
	}
	return nil
}

func (g *Gateway) read(op, id string) (*payments.Payment, error) {
	p, ok := g.payments[id]
	if !ok {
		return nil, failed(op, telemed.ErrNotFound)
	}
	return copyPayment(p), nil
}

func sameAmount(a, b *payments.Money) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

func copyOrder(o *payments.Order) *payments.Order {
	copied := *o
	copied.Notes = maps.Clone(o.Notes)
	return &copied
}

func copyPayment(p *payments.Payment) *payments.Payment {
	copied := *p
	return &copied
}

func copyRefund(r *payments.Refund) *payments.Refund {
	copied := *r
	copied.Notes = maps.Clone(r.Notes)
	return &copied
}

func failed(op string, err error) error { return fmt.Errorf("paymentstest: %s: %w", op, err) }

func newID(prefix string) string { return prefix + "_" + rand.Text()[:14] }
