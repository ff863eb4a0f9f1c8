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
	"github.com/telemed-go/telemed/internal/signature"
	"github.com/telemed-go/telemed/payments"
)

// The operations, for FailNext, FailAfter and Count.
const (
	OpCreateOrder   = "CreateOrder"
	OpPayment       = "Payment"
	OpVerifyPayment = "VerifyPayment"
	OpCapture       = "Capture"
	OpRefund        = "Refund"
	OpOrder         = "Order"
	OpOrderByKey    = "OrderByKey"
	OpOrderPayments = "OrderPayments"
)

// Gateway is a payments.PaymentGateway in memory. It is safe for concurrent use.
type Gateway struct {
	key     []byte // signs what Pay returns
	errors  fake.Errors
	changes fake.Changes

	mu       sync.Mutex
	orders   []*payments.Order
	manual   map[string]bool // order ids
	payments map[string]*payments.Payment
	byOrder  map[string][]string // payment ids, oldest first
	refunds  map[string]refundMade
	calls    map[string]int
}

type refundMade struct {
	amount *payments.Money // as asked for
	refund payments.Refund
}

var (
	_ payments.PaymentGateway   = (*Gateway)(nil)
	_ payments.OrderFinder      = (*Gateway)(nil)
	_ payments.CheckoutProvider = (*Gateway)(nil)
)

// NewGateway returns an empty gateway.
func NewGateway() *Gateway {
	return &Gateway{
		key: []byte(rand.Text()), errors: fake.Errors{Kit: "paymentstest"}, manual: map[string]bool{}, payments: map[string]*payments.Payment{},
		byOrder: map[string][]string{}, refunds: map[string]refundMade{}, calls: map[string]int{},
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

// Pay pays an order as a patient would and returns what the application then verifies.
// The payment is authorized if the order asked for manual capture, else captured.
func (g *Gateway) Pay(orderID string) (payments.Confirmation, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer g.changes.Note()
	o, p, err := g.attempt(orderID)
	if err != nil {
		return payments.Confirmation{}, err
	}
	p.Status = payments.PaymentAuthorized
	if !g.manual[o.ID] {
		take(o, p)
	}
	return g.confirmation(o, p), nil
}

// FailPayment makes an attempt to pay that fails. What it returns is signed,
// which no real gateway does, so that VerifyPayment gets to see the status.
func (g *Gateway) FailPayment(orderID string) (payments.Confirmation, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer g.changes.Note()
	o, p, err := g.attempt(orderID)
	if err != nil {
		return payments.Confirmation{}, err
	}
	p.Status, p.Failure = payments.PaymentFailed, &payments.Failure{Code: "BAD_REQUEST_ERROR", Reason: "payment_failed"}
	return g.confirmation(o, p), nil
}

func (g *Gateway) attempt(orderID string) (*payments.Order, *payments.Payment, error) {
	o := g.order(orderID)
	if o == nil {
		return nil, nil, failed("Pay", telemed.ErrNotFound)
	}
	for _, id := range g.byOrder[orderID] {
		if status := g.payments[id].Status; status != payments.PaymentFailed {
			return nil, nil, failed("Pay", telemed.ErrConflict)
		}
	}
	p := &payments.Payment{
		ID: newID("pay"), OrderID: o.ID, Amount: o.Amount, Refunded: payments.Money{Currency: o.Amount.Currency},
		Status: payments.PaymentCreated, Method: "upi", CreatedAt: time.Now().UTC(),
	}
	g.payments[p.ID] = p
	g.byOrder[o.ID] = append(g.byOrder[o.ID], p.ID)
	o.Attempts++
	o.Status = payments.OrderAttempted
	return o, p, nil
}

func (g *Gateway) confirmation(o *payments.Order, p *payments.Payment) payments.Confirmation {
	return payments.Confirmation{OrderID: o.ID, Expected: o.Amount, PaymentID: p.ID, Signature: signature.Hex(g.key, []byte(o.ID+"|"+p.ID))}
}

func take(o *payments.Order, p *payments.Payment) {
	p.Status = payments.PaymentCaptured
	o.Status, o.Paid = payments.OrderPaid, p.Amount
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
		Status: payments.OrderCreated, Notes: maps.Clone(req.Notes), CreatedAt: time.Now().UTC(),
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
	if !signature.Valid(c.Signature, []byte(c.OrderID+"|"+c.PaymentID), g.key) {
		return nil, failed(OpVerifyPayment, telemed.ErrSignature)
	}
	p, err := g.read(OpVerifyPayment, c.PaymentID)
	switch {
	case err != nil:
		return nil, err
	case p.OrderID != c.OrderID:
		return nil, failed(OpVerifyPayment, payments.ErrOrderMismatch)
	case p.Amount != c.Expected:
		return nil, failed(OpVerifyPayment, payments.ErrAmountMismatch)
	case p.Status == payments.PaymentRefunded:
		return nil, failed(OpVerifyPayment, payments.ErrAlreadyRefunded)
	case p.Status == payments.PaymentCaptured || p.Status == payments.PaymentAuthorized:
		return p, nil
	}
	return nil, failed(OpVerifyPayment, payments.ErrPaymentIncomplete)
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
		take(g.order(p.OrderID), p)
	default:
		return nil, failed(OpCapture, payments.ErrPaymentIncomplete)
	}
	return copyPayment(p), nil
}

// Refund implements payments.PaymentGateway. Refunds are processed at once.
func (g *Gateway) Refund(ctx context.Context, req payments.RefundRequest) (*payments.Refund, error) {
	if err := req.Validate(); err != nil {
		return nil, err
	}
	return do(ctx, g, OpRefund, func() (*payments.Refund, error) { return g.refund(req) })
}

func (g *Gateway) refund(req payments.RefundRequest) (*payments.Refund, error) {
	if old, ok := g.refunds[req.Key]; ok {
		if old.refund.PaymentID != req.PaymentID || !sameAmount(old.amount, req.Amount) {
			return nil, failed(OpRefund, payments.ErrKeyConflict)
		}
		return copyRefund(old.refund), nil
	}
	made, err := g.giveBack(req)
	if err != nil {
		return nil, err
	}
	g.refunds[req.Key] = refundMade{req.Amount, made}
	return copyRefund(made), nil
}

func (g *Gateway) giveBack(req payments.RefundRequest) (payments.Refund, error) {
	p, ok := g.payments[req.PaymentID]
	switch {
	case !ok:
		return payments.Refund{}, failed(OpRefund, telemed.ErrNotFound)
	case p.Status == payments.PaymentRefunded:
		return payments.Refund{}, failed(OpRefund, payments.ErrAlreadyRefunded)
	case p.Status != payments.PaymentCaptured:
		return payments.Refund{}, failed(OpRefund, payments.ErrPaymentIncomplete)
	}
	left, err := p.Amount.Sub(p.Refunded)
	if err != nil {
		return payments.Refund{}, failed(OpRefund, err)
	}
	amount := left
	if req.Amount != nil {
		amount = *req.Amount
	}
	switch {
	case amount.Currency != p.Amount.Currency:
		return payments.Refund{}, failed(OpRefund, payments.ErrAmountMismatch)
	case amount.Minor > left.Minor:
		return payments.Refund{}, failed(OpRefund, &telemed.FieldError{Field: "Amount", Problem: "is more than what is left"})
	}
	p.Refunded.Minor += amount.Minor
	if p.Refunded == p.Amount {
		p.Status = payments.PaymentRefunded
	}
	return payments.Refund{
		ID: newID("rfnd"), PaymentID: p.ID, Amount: amount, Status: payments.RefundProcessed,
		Notes: maps.Clone(req.Notes), CreatedAt: time.Now().UTC(),
	}, nil
}

// Order implements payments.OrderFinder.
func (g *Gateway) Order(ctx context.Context, orderID string) (*payments.Order, error) {
	return g.find(ctx, OpOrder, func(o *payments.Order) bool { return o.ID == orderID })
}

// OrderByKey implements payments.OrderFinder.
func (g *Gateway) OrderByKey(ctx context.Context, key string) (*payments.Order, error) {
	return g.find(ctx, OpOrderByKey, func(o *payments.Order) bool { return o.Key == key })
}

func (g *Gateway) find(ctx context.Context, op string, fits func(*payments.Order) bool) (*payments.Order, error) {
	return do(ctx, g, op, func() (*payments.Order, error) {
		if i := slices.IndexFunc(g.orders, fits); i >= 0 {
			return copyOrder(g.orders[i]), nil
		}
		return nil, failed(op, telemed.ErrNotFound)
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

// Checkout implements payments.CheckoutProvider with a JSON object of its own.
func (g *Gateway) Checkout(o *payments.Order, ui payments.CheckoutUI) (json.RawMessage, error) {
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

func copyRefund(r payments.Refund) *payments.Refund {
	r.Notes = maps.Clone(r.Notes)
	return &r
}

func failed(op string, err error) error { return fmt.Errorf("paymentstest: %s: %w", op, err) }

func newID(prefix string) string { return prefix + "_" + rand.Text()[:14] }
