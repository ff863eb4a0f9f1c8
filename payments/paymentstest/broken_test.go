package paymentstest_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/suitetest"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/paymentstest"
)

// broken are gateways with one fault each, and the clause that must find it.
var broken = map[string]struct {
	clause string
	fault  fault
}{
	"compares the payment's amount": {"the order decides, not the payment's amount", fault{verify: func(p *payments.Payment, c payments.Confirmation, err error) (*payments.Payment, error) {
		if err == nil && p.Amount != c.Expected {
			return nil, payments.ErrAmountMismatch
		}
		return p, err
	}}},
	"believes whatever amount": {"the order decides, not the payment's amount", fault{verify: func(p *payments.Payment, _ payments.Confirmation, err error) (*payments.Payment, error) {
		if errors.Is(err, payments.ErrAmountMismatch) {
			return &payments.Payment{}, nil
		}
		return p, err
	}}},
	"takes an instalment for all": {"an instalment does not pay the order", fault{verify: func(p *payments.Payment, _ payments.Confirmation, err error) (*payments.Payment, error) {
		if errors.Is(err, payments.ErrPartlyPaid) {
			return &payments.Payment{}, nil
		}
		return p, err
	}}},
	"has one word for all that is not paid": {"an instalment does not pay the order", fault{verify: func(p *payments.Payment, _ payments.Confirmation, err error) (*payments.Payment, error) {
		if errors.Is(err, payments.ErrPartlyPaid) {
			err = payments.ErrPaymentIncomplete
		}
		return p, err
	}}},
	"does not know what is due":   {"an instalment does not pay the order", fault{order: func(o *payments.Order) { o.Due = o.Amount }}},
	"finds keys by a part":        {"orders are found", fault{byKey: func(key string) []string { return []string{key, key + "0", key + "_2"} }}},
	"finds no orders":             {"orders are found", fault{byKey: func(string) []string { return nil }}},
	"does not say what is due":    {"orders are found", fault{order: func(o *payments.Order) { o.Due = payments.Money{} }}},
	"finds no refunds":            {"refunds are found", fault{refunds: func([]*payments.Refund) []*payments.Refund { return nil }}},
	"lists one refund":            {"refunds are found", fault{refunds: func(all []*payments.Refund) []*payments.Refund { return all[:min(1, len(all))] }}},
	"takes accepted for done":     {"a pending refund is not given back yet", fault{refund: func(r *payments.Refund) { r.Status = payments.RefundProcessed }}},
	"does not say how much":       {"a pending refund is not given back yet", fault{payment: func(p *payments.Payment) { p.GivenBack = "" }}},
	"thinks it was not captured":  {"a pending refund is not given back yet", fault{payment: func(p *payments.Payment) { p.Captured = false }}},
	"does not say that it's late": {"a bank may answer late", fault{payment: func(p *payments.Payment) { p.Late = false }}},
	"hides who gave it back":      {"a bank may answer late", fault{payment: func(p *payments.Payment) { p.Captured = true }}},
	"has no limits":               {"bad requests name their fields", fault{careless: true}},
	"believes an unsigned callback": {"a callback is believed by its signature", fault{callback: func(c payments.Confirmation, err error) (payments.Confirmation, error) {
		if errors.Is(err, telemed.ErrSignature) {
			err = nil
		}
		return c, err
	}}},
	"takes a failure for nonsense": {"a callback is believed by its signature", fault{callback: func(c payments.Confirmation, err error) (payments.Confirmation, error) {
		if errors.Is(err, payments.ErrPaymentIncomplete) {
			err = telemed.ErrInvalid
		}
		return c, err
	}}},
	"does not say too long": {"a callback is believed by its signature", fault{callback: func(c payments.Confirmation, err error) (payments.Confirmation, error) {
		if errors.Is(err, telemed.ErrInvalid) {
			err = telemed.ErrInvalid
		}
		return c, err
	}}},
	"believes the browser's amount": {"a callback is believed by its signature", fault{callback: func(c payments.Confirmation, err error) (payments.Confirmation, error) {
		c.Expected = payments.INR(50000)
		return c, err
	}}},
	"searches, then makes":      {"concurrent calls with one key are one order", fault{searches: true}},
	"forgets between processes": {"concurrent calls with one key are one order", fault{alone: true}},
}

// fault is what a gateway does wrong. The zero value is nothing.
type fault struct {
	verify   func(*payments.Payment, payments.Confirmation, error) (*payments.Payment, error)
	order    func(*payments.Order)
	payment  func(*payments.Payment)
	refund   func(*payments.Refund)
	byKey    func(key string) []string
	refunds  func([]*payments.Refund) []*payments.Refund
	callback func(payments.Confirmation, error) (payments.Confirmation, error)
	careless bool // takes any order
	searches bool // for an order before it makes one
	alone    bool // each process has a memory of its own
}

// faulty is a gateway with a fault.
type faulty struct {
	*paymentstest.Gateway
	fault
}

func (f *faulty) VerifyPayment(ctx context.Context, c payments.Confirmation) (*payments.Payment, error) {
	p, err := f.Gateway.VerifyPayment(ctx, c)
	if f.verify != nil {
		return f.verify(p, c, err)
	}
	return p, err
}

// CreateOrder makes orders whose keys differ from call to call, unless the search finds one.
func (f *faulty) CreateOrder(ctx context.Context, req payments.OrderRequest) (*payments.Order, error) {
	if f.careless && req.Amount.Minor > 0 {
		return &payments.Order{}, nil
	}
	if !f.searches {
		return f.Gateway.CreateOrder(ctx, req)
	}
	for _, o := range f.Orders() {
		if o.Notes["key"] == req.Key {
			return o, nil
		}
	}
	time.Sleep(10 * time.Millisecond)
	req.Notes = map[string]string{"key": req.Key}
	req.Key += time.Now().Format(time.RFC3339Nano)
	return f.Gateway.CreateOrder(ctx, req)
}

func (f *faulty) ParseCallback(w http.ResponseWriter, r *http.Request) (payments.Confirmation, error) {
	c, err := f.Gateway.ParseCallback(w, r)
	if f.callback != nil {
		return f.callback(c, err)
	}
	return c, err
}

func (f *faulty) Order(ctx context.Context, id string) (*payments.Order, error) {
	o, err := f.Gateway.Order(ctx, id)
	if err == nil && f.order != nil {
		f.order(o)
	}
	return o, err
}

func (f *faulty) OrdersByKey(ctx context.Context, key string) ([]*payments.Order, error) {
	if f.byKey == nil {
		return f.Gateway.OrdersByKey(ctx, key)
	}
	var all []*payments.Order
	for _, key := range f.byKey(key) {
		found, err := f.Gateway.OrdersByKey(ctx, key)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

func (f *faulty) Payment(ctx context.Context, id string) (*payments.Payment, error) {
	p, err := f.Gateway.Payment(ctx, id)
	if err == nil && f.payment != nil {
		f.payment(p)
	}
	return p, err
}

func (f *faulty) Refund(ctx context.Context, req payments.RefundRequest) (*payments.Refund, error) {
	r, err := f.Gateway.Refund(ctx, req)
	if err == nil && f.refund != nil {
		f.refund(r)
	}
	return r, err
}

func (f *faulty) PaymentRefunds(ctx context.Context, id string) ([]*payments.Refund, error) {
	all, err := f.Gateway.PaymentRefunds(ctx, id)
	if err == nil && f.refunds != nil {
		return f.refunds(slices.Clone(all)), nil
	}
	return all, err
}

// TestBroken runs the suite over one broken gateway, in a child.
func TestBroken(t *testing.T) {
	f := broken[suitetest.Broken(t)].fault
	paymentstest.Run(t, func(t *testing.T) paymentstest.Harness {
		g := paymentstest.NewGateway()
		h := harness(t, g)
		h.Gateway = &faulty{g, f}
		h.Another = func() payments.PaymentGateway {
			if f.alone {
				return paymentstest.NewGateway()
			}
			return h.Gateway
		}
		return h
	})
}

func TestFinds(t *testing.T) {
	t.Parallel()
	clauses := map[string]string{}
	for name, b := range broken {
		clauses[name] = b.clause
	}
	suitetest.Finds(t, clauses)
}
