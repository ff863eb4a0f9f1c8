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
	"github.com/telemed-go/telemed/internal/signature"
	"github.com/telemed-go/telemed/payments"
)

// Call names a method of the gateway for FailNext and Calls.
type Call string

// The calls.
const (
	CreateOrder   Call = "CreateOrder"
	Payment       Call = "Payment"
	VerifyPayment Call = "VerifyPayment"
	Capture       Call = "Capture"
	Refund        Call = "Refund"
)

// Gateway is a payments.PaymentGateway in memory. It is safe for concurrent use.
type Gateway struct {
	key []byte // signs what Pay returns

	mu       sync.Mutex
	orders   []*payments.Order
	manual   map[string]bool // order ids
	payments map[string]*payments.Payment
	byOrder  map[string][]string // payment ids, oldest first
	refunds  map[string]refundMade
	failures map[Call][]failure
	calls    map[Call]int
}

type refundMade struct {
	amount *payments.Money // as asked for
	refund payments.Refund
}

type failure struct {
	err   error
	after bool
}

var (
	_ payments.PaymentGateway   = (*Gateway)(nil)
	_ payments.OrderFinder      = (*Gateway)(nil)
	_ payments.CheckoutProvider = (*Gateway)(nil)
)

// NewGateway returns an empty gateway.
func NewGateway() *Gateway {
	return &Gateway{
		key: []byte(rand.Text()), manual: map[string]bool{}, payments: map[string]*payments.Payment{},
		byOrder: map[string][]string{}, refunds: map[string]refundMade{}, failures: map[Call][]failure{}, calls: map[Call]int{},
	}
}

// FailNext makes the next call of that name return err without an effect. Several add up.
func (g *Gateway) FailNext(call Call, err error) { g.fail(call, failure{err: err}) }

// LoseAnswer makes the next call of that name take effect and return
// telemed.ErrAmbiguous all the same, as when the connection breaks.
func (g *Gateway) LoseAnswer(call Call) { g.fail(call, failure{telemed.ErrAmbiguous, true}) }

func (g *Gateway) fail(call Call, f failure) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failures[call] = append(g.failures[call], f)
}

// Calls returns how often a method was called, failed calls included.
func (g *Gateway) Calls(call Call) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls[call]
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

// Pay pays an order as a patient would and returns what the host then verifies.
// The payment is authorized if the order asked for manual capture, else captured.
func (g *Gateway) Pay(orderID string) (payments.Confirmation, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
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

// begin counts a call, and returns what to do with its answer: an error to
// return at once, or one to return in the answer's place.
func (g *Gateway) begin(ctx context.Context, call Call) (now, later error) {
	g.calls[call]++
	if err := ctx.Err(); err != nil {
		return failed(call, err), nil
	}
	if queue := g.failures[call]; len(queue) > 0 {
		g.failures[call] = queue[1:]
		if queue[0].after {
			return nil, failed(call, queue[0].err)
		}
		return failed(call, queue[0].err), nil
	}
	return nil, nil
}

// CreateOrder implements payments.PaymentGateway.
func (g *Gateway) CreateOrder(ctx context.Context, req payments.OrderRequest) (*payments.Order, error) {
	if err := req.Validate(); err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now, later := g.begin(ctx, CreateOrder)
	if now != nil {
		return nil, now
	}
	for _, o := range g.orders {
		if o.Key == req.Key {
			if o.Amount != req.Amount {
				return nil, failed(CreateOrder, payments.ErrKeyConflict)
			}
			return answer(copyOrder(o), later)
		}
	}
	o := &payments.Order{
		ID: newID("order"), Key: req.Key, Amount: req.Amount, Paid: payments.Money{Currency: req.Amount.Currency},
		Status: payments.OrderCreated, Notes: maps.Clone(req.Notes), CreatedAt: time.Now().UTC(),
	}
	g.orders = append(g.orders, o)
	g.manual[o.ID] = req.Capture == payments.CaptureManual
	return answer(copyOrder(o), later)
}

// Payment implements payments.PaymentGateway.
func (g *Gateway) Payment(ctx context.Context, paymentID string) (*payments.Payment, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now, later := g.begin(ctx, Payment); now != nil || later != nil {
		return nil, either(now, later)
	}
	return g.read(Payment, paymentID)
}

// VerifyPayment implements payments.PaymentGateway.
func (g *Gateway) VerifyPayment(ctx context.Context, c payments.Confirmation) (*payments.Payment, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if now, later := g.begin(ctx, VerifyPayment); now != nil || later != nil {
		return nil, either(now, later)
	}
	if !signature.Valid(c.Signature, []byte(c.OrderID+"|"+c.PaymentID), g.key) {
		return nil, failed(VerifyPayment, telemed.ErrSignature)
	}
	p, err := g.read(VerifyPayment, c.PaymentID)
	switch {
	case err != nil:
		return nil, err
	case p.OrderID != c.OrderID:
		return nil, failed(VerifyPayment, payments.ErrOrderMismatch)
	case p.Amount != c.Expected:
		return nil, failed(VerifyPayment, payments.ErrAmountMismatch)
	case p.Status == payments.PaymentRefunded:
		return nil, failed(VerifyPayment, payments.ErrAlreadyRefunded)
	case p.Status == payments.PaymentCaptured || p.Status == payments.PaymentAuthorized:
		return p, nil
	}
	return nil, failed(VerifyPayment, payments.ErrPaymentIncomplete)
}

// Capture implements payments.PaymentGateway.
func (g *Gateway) Capture(ctx context.Context, req payments.CaptureRequest) (*payments.Payment, error) {
	if err := req.Validate(); err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now, later := g.begin(ctx, Capture)
	if now != nil {
		return nil, now
	}
	p, ok := g.payments[req.PaymentID]
	if !ok {
		return nil, failed(Capture, telemed.ErrNotFound)
	}
	same := p.Amount == req.Amount
	switch p.Status {
	case payments.PaymentCaptured:
		if !same {
			return nil, failed(Capture, payments.ErrAlreadyCaptured)
		}
	case payments.PaymentRefunded:
		return nil, failed(Capture, payments.ErrAlreadyRefunded)
	case payments.PaymentAuthorized:
		if !same {
			return nil, failed(Capture, payments.ErrAmountMismatch)
		}
		take(g.order(p.OrderID), p)
	default:
		return nil, failed(Capture, payments.ErrPaymentIncomplete)
	}
	return answer(copyPayment(p), later)
}

// Refund implements payments.PaymentGateway. Refunds are processed at once.
func (g *Gateway) Refund(ctx context.Context, req payments.RefundRequest) (*payments.Refund, error) {
	if err := req.Validate(); err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now, later := g.begin(ctx, Refund)
	if now != nil {
		return nil, now
	}
	if old, ok := g.refunds[req.Key]; ok {
		if old.refund.PaymentID != req.PaymentID || !sameAmount(old.amount, req.Amount) {
			return nil, failed(Refund, payments.ErrKeyConflict)
		}
		return answer(copyRefund(old.refund), later)
	}
	made, err := g.giveBack(req)
	if err != nil {
		return nil, err
	}
	g.refunds[req.Key] = refundMade{req.Amount, made}
	return answer(copyRefund(made), later)
}

func (g *Gateway) giveBack(req payments.RefundRequest) (payments.Refund, error) {
	p, ok := g.payments[req.PaymentID]
	switch {
	case !ok:
		return payments.Refund{}, failed(Refund, telemed.ErrNotFound)
	case p.Status == payments.PaymentRefunded:
		return payments.Refund{}, failed(Refund, payments.ErrAlreadyRefunded)
	case p.Status != payments.PaymentCaptured:
		return payments.Refund{}, failed(Refund, payments.ErrPaymentIncomplete)
	}
	left, err := p.Amount.Sub(p.Refunded)
	if err != nil {
		return payments.Refund{}, failed(Refund, err)
	}
	amount := left
	if req.Amount != nil {
		amount = *req.Amount
	}
	switch {
	case amount.Currency != p.Amount.Currency:
		return payments.Refund{}, failed(Refund, payments.ErrAmountMismatch)
	case amount.Minor > left.Minor:
		return payments.Refund{}, failed(Refund, &telemed.FieldError{Field: "Amount", Problem: "is more than what is left"})
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
	return g.find(ctx, "Order", func(o *payments.Order) bool { return o.ID == orderID })
}

// OrderByKey implements payments.OrderFinder.
func (g *Gateway) OrderByKey(ctx context.Context, receipt string) (*payments.Order, error) {
	return g.find(ctx, "OrderByKey", func(o *payments.Order) bool { return o.Key == receipt })
}

func (g *Gateway) find(ctx context.Context, call Call, fits func(*payments.Order) bool) (*payments.Order, error) {
	if err := ctx.Err(); err != nil {
		return nil, failed(call, err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.IndexFunc(g.orders, fits); i >= 0 {
		return copyOrder(g.orders[i]), nil
	}
	return nil, failed(call, telemed.ErrNotFound)
}

// OrderPayments implements payments.OrderFinder.
func (g *Gateway) OrderPayments(ctx context.Context, orderID string) ([]*payments.Payment, error) {
	if err := ctx.Err(); err != nil {
		return nil, failed("OrderPayments", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.order(orderID) == nil {
		return nil, failed("OrderPayments", telemed.ErrNotFound)
	}
	var all []*payments.Payment
	for _, id := range slices.Backward(g.byOrder[orderID]) {
		all = append(all, copyPayment(g.payments[id]))
	}
	return all, nil
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

func (g *Gateway) read(call Call, id string) (*payments.Payment, error) {
	p, ok := g.payments[id]
	if !ok {
		return nil, failed(call, telemed.ErrNotFound)
	}
	return copyPayment(p), nil
}

// answer returns value, or nothing if the answer gets lost.
func answer[T any](value *T, lost error) (*T, error) {
	if lost != nil {
		return nil, lost
	}
	return value, nil
}

func either(now, later error) error {
	if now != nil {
		return now
	}
	return later
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

func failed(call Call, err error) error { return fmt.Errorf("paymentstest: %s: %w", call, err) }

func newID(prefix string) string { return prefix + "_" + rand.Text()[:14] }
