package fulfill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/store/durable"
)

// fact changes the record of a row.
func (f *Fulfiller) fact(change func(r *record)) durable.Fact {
	return func(item *durable.Item) error {
		return edit(item, f.keep, func(r *record) error { change(r); return nil })
	}
}

// plan implements durable.Kind.
func (f *Fulfiller) plan(item durable.Item, now time.Time) (durable.Effect, error) {
	r, err := open(item)
	if err != nil {
		return durable.Effect{}, err
	}
	key := item.ID.Name
	s := f.decide(key, item.Tenant, r, now)
	effect := durable.Effect{Name: string(s.action), At: s.at}
	switch s.action {
	case actTell:
		effect.Do = func(ctx context.Context) (durable.Fact, error) { return f.tell(ctx, s.notice) }
	case actRefund:
		effect.Do = func(ctx context.Context) (durable.Fact, error) { return f.refund(ctx, key, s.refund) }
	case actLook:
		effect.Do = func(ctx context.Context) (durable.Fact, error) { return f.lookFact(ctx, key, r, s.sweep) }
	case actCapture:
		effect.Do = func(ctx context.Context) (durable.Fact, error) { return f.capture(ctx, s.payment) }
	case actFulfill:
		effect.Do = func(ctx context.Context) (durable.Fact, error) { return f.fulfill(ctx, item, r) }
	case actGiveBack:
		effect.Do = func(context.Context) (durable.Fact, error) { return f.giveBack(s.payment), nil }
	case actWait:
	}
	return effect, nil
}

func (f *Fulfiller) tell(ctx context.Context, n Notice) (durable.Fact, error) {
	if err := f.cfg.Notify(ctx, n); err != nil {
		return nil, fmt.Errorf("fulfill: Notify: %w", err)
	}
	return f.fact(func(r *record) { r.tell(n) }), nil
}

func (f *Fulfiller) lookFact(ctx context.Context, key string, r *record, sweep bool) (durable.Fact, error) {
	s, err := f.look(ctx, key, r)
	if err != nil {
		return nil, fmt.Errorf("fulfill: %w", err)
	}
	s.sweep, s.waitsForCapture = sweep, !f.cfg.LeaveAuthorized
	return f.fact(func(r *record) { r.merge(s) }), nil
}

// capture takes the money of an authorized payment. Then the gateway is read again; one
// that it does not capture has moved, or is not tried again until it does.
func (f *Fulfiller) capture(ctx context.Context, p paymentKnown) (durable.Fact, error) {
	_, err := f.cfg.Gateway.Capture(ctx, payments.CaptureRequest{PaymentID: p.ID, Amount: p.Amount})
	refused := isRefusal(err)
	if err != nil && !refused {
		return nil, fmt.Errorf("fulfill: %w", err)
	}
	return f.fact(func(r *record) {
		r.Asked++
		for i := range r.Payments {
			if r.Payments[i].ID == p.ID {
				r.Payments[i].Refused = refused
			}
		}
	}), nil
}

// isRefusal reports whether the gateway has looked at a request and will answer the same
// again.
func isRefusal(err error) bool {
	return errors.Is(err, telemed.ErrInvalid) || errors.Is(err, telemed.ErrConflict) || errors.Is(err, telemed.ErrForbidden) ||
		errors.Is(err, telemed.ErrNotFound)
}

// fulfill calls the application.
func (f *Fulfiller) fulfill(ctx context.Context, item durable.Item, r *record) (durable.Fact, error) {
	payer := r.payer()
	paid := Paid{Key: item.ID.Name, Tenant: item.Tenant, OrderID: payer.ID, Amount: r.Amount}
	for _, p := range r.Payments {
		if p.OrderID == payer.ID && p.Status == payments.PaymentCaptured {
			paid.PaymentIDs = append(paid.PaymentIDs, p.ID)
		}
	}
	err := f.cfg.Fulfill(ctx, paid)
	now := time.Now().UTC()
	switch {
	case errors.Is(err, ErrGone):
		return f.fact(func(r *record) {
			if r.Fulfilled.IsZero() && r.Gone.IsZero() {
				r.Gone = now
				r.audit("gone")
			}
		}), nil
	case err != nil:
		return nil, fmt.Errorf("fulfill: Fulfill: %w", err)
	}
	return f.fact(func(r *record) {
		if r.Fulfilled.IsZero() {
			r.Fulfilled, r.By = now, payer.ID
			r.audit("fulfilled")
		}
	}), nil
}

// giveBack wants an orphan's money to go back.
func (f *Fulfiller) giveBack(p paymentKnown) durable.Fact {
	return f.fact(func(r *record) {
		if r.asked(orphanKey + p.ID) {
			return
		}
		for _, known := range r.Payments {
			if free := r.unspoken(known); known.ID == p.ID && free.Minor > 0 {
				r.Refunds = append(r.Refunds, refundKnown{Key: orphanKey + p.ID, PaymentID: p.ID, Amount: free})
				r.audit("refund wanted of " + p.ID)
			}
		}
	})
}

// refund asks the gateway for a refund, under a key that never gives money back twice.
func (f *Fulfiller) refund(ctx context.Context, bill string, wanted refundKnown) (durable.Fact, error) {
	made, err := f.cfg.Gateway.Refund(ctx, payments.RefundRequest{
		PaymentID: wanted.PaymentID, Amount: &wanted.Amount, Key: wanted.gatewayKey(bill), Speed: f.cfg.RefundSpeed,
	})
	switch {
	case errors.Is(err, payments.ErrAlreadyRefunded):
		// By hand, or by the gateway itself. A look finds out which.
		return f.fact(func(r *record) {
			r.settle(wanted, func(known *refundKnown) { known.Elsewhere = true })
			r.Asked++
		}), nil
	case isRefusal(err):
		return f.fact(func(r *record) {
			r.settle(wanted, func(known *refundKnown) { known.Status = payments.RefundFailed })
			r.audit("refund of " + wanted.PaymentID + " refused")
			r.Asked++
		}), nil
	case err != nil:
		return nil, fmt.Errorf("fulfill: %w", err)
	}
	now := time.Now().UTC()
	return f.fact(func(r *record) {
		r.settle(wanted, func(known *refundKnown) { known.ID, known.Status, known.AskedAt = made.ID, made.Status, now })
		r.drop(made.ID)
		r.count(made)
		r.audit("refund " + made.ID + " " + string(made.Status))
		r.Asked++ // the payment's own status has changed by it
	}), nil
}

// settle changes the refund that was asked for, if it still waits for it.
func (r *record) settle(wanted refundKnown, change func(known *refundKnown)) {
	for i := range r.Refunds {
		known := &r.Refunds[i]
		if known.Key == wanted.Key && known.Part == wanted.Part && known.Attempt == wanted.Attempt && known.ID == "" {
			change(known)
		}
	}
}

// count notes what a refund takes from its payment, until the gateway says it.
func (r *record) count(made *payments.Refund) {
	for i := range r.Payments {
		if p := &r.Payments[i]; p.ID == made.PaymentID && made.Status != payments.RefundFailed {
			p.Refunded = payments.Money{Minor: p.Refunded.Minor + made.Amount.Minor, Currency: p.Amount.Currency}
		}
	}
}

// drop forgets a refund that a look has taken for one made elsewhere, and that is ours.
func (r *record) drop(id string) {
	kept := r.Refunds[:0]
	for _, refund := range r.Refunds {
		if refund.ID != id || refund.Key != "" {
			kept = append(kept, refund)
		}
	}
	r.Refunds = kept
}
