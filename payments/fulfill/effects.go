package fulfill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/store/durable"
)

// effect does an action and returns what became known by it.
type effect func(ctx context.Context, gateway Gateway) (change func(r *record), err error)

// plan implements durable.Kind.
func (f *Fulfiller) plan(item durable.Item, now time.Time) (durable.Effect, error) {
	r, err := form.Open(item)
	if err != nil {
		return durable.Effect{}, err
	}
	s := decide(r, f.policy, now)
	if s.action == actWait {
		return durable.Effect{Name: string(s.action), At: s.at}, nil
	}
	do := f.effect(item, r, s)
	return durable.Effect{Name: string(s.action), Do: func(ctx context.Context) (durable.Fact, error) {
		var change func(r *record)
		gateway, err := f.gateway(ctx, item.Tenant)
		if err == nil {
			change, err = do(ctx, gateway)
		}
		if err != nil {
			return f.failed(item, s.action, r.Rests[string(s.action)].N+1, err)
		}
		return f.fact(func(r *record) {
			delete(r.Rests, string(s.action))
			change(r)
		}), nil
	}}, nil
}

func (f *Fulfiller) effect(item durable.Item, r *record, s step) effect {
	key := item.ID.Name
	switch s.action {
	case actLook:
		return func(ctx context.Context, gateway Gateway) (func(*record), error) {
			seen, err := f.look(ctx, gateway, key, r, s.sweep)
			return func(r *record) { r.merge(seen) }, err
		}
	case actCapture:
		return func(ctx context.Context, gateway Gateway) (func(*record), error) {
			return capture(ctx, gateway, s.payment)
		}
	case actFulfill:
		return func(ctx context.Context, _ Gateway) (func(*record), error) { return f.fulfill(ctx, item, r) }
	case actGiveBack:
		return func(context.Context, Gateway) (func(*record), error) {
			return func(r *record) { r.giveBack(s.payment.ID, f.cfg.RefundSpeed) }, nil
		}
	case actRefund:
		return func(ctx context.Context, gateway Gateway) (func(*record), error) {
			return refund(ctx, gateway, key, s.refund)
		}
	}
	n := s.notice
	n.Key, n.Tenant = key, item.Tenant
	return func(ctx context.Context, _ Gateway) (func(*record), error) {
		return func(r *record) { r.tell(n) }, fault.OfApplication("Notify", f.cfg.Notify(ctx, n))
	}
}

// fact changes the record of a row.
func (f *Fulfiller) fact(change func(r *record)) durable.Fact {
	return func(item *durable.Item) error {
		return edit(item, f.keep, func(r *record) error { change(r); return nil })
	}
}

// stuckAfter is after how many failures in a row a person is told.
const stuckAfter = 12

// failed has an action rest, after its nth failure, and the others done.
func (f *Fulfiller) failed(item durable.Item, a action, n int, err error) (durable.Fact, error) {
	if n == stuckAfter && f.cfg.OnStuck != nil {
		told := item.Clone()
		told.Stuck = stuckText(a, n)
		f.cfg.OnStuck(told)
	}
	until := time.Now().Add(durable.RestAfter(n, err))
	return f.fact(func(r *record) {
		r.Rests.Fail(string(a), n, until)
		if a == actRefund || a == actCapture {
			r.Asked++ // it may have happened, and a look finds it
		}
	}), durable.AtRest(fmt.Errorf("fulfill: %w", err))
}

func stuckText(a action, n int) string { return fmt.Sprintf("%s: failed %d times", a, n) }

// capture takes the money of an authorized payment. Then the gateway is read again; one
// that it does not capture has moved, or is not tried again until it does.
func capture(ctx context.Context, gateway Gateway, p paymentKnown) (func(*record), error) {
	_, err := gateway.Capture(ctx, payments.CaptureRequest{PaymentID: p.ID, Amount: p.Amount})
	refused := errors.Is(err, telemed.ErrInvalid) || errors.Is(err, telemed.ErrConflict) || errors.Is(err, telemed.ErrNotFound)
	if err != nil && !refused {
		return nil, err
	}
	return func(r *record) {
		r.Known++
		r.Asked++
		for i := range r.Payments {
			if known := &r.Payments[i]; known.ID == p.ID {
				known.Taken, known.Refused = !refused, refused
			}
		}
	}, nil
}

// fulfill calls the application.
func (f *Fulfiller) fulfill(ctx context.Context, item durable.Item, r *record) (func(*record), error) {
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
		return func(r *record) {
			if r.Fulfilled.IsZero() && r.Gone.IsZero() {
				r.Gone = now
				r.audit("gone")
			}
		}, nil
	case err != nil:
		return nil, fault.OfApplication("Fulfill", err)
	}
	return func(r *record) {
		if r.Fulfilled.IsZero() {
			r.Fulfilled, r.By = now, paid.OrderID
			r.audit("fulfilled")
		}
	}, nil
}

// giveBack wants what is left of an orphan to go back, unless that is wanted already.
func (r *record) giveBack(paymentID string, speed payments.RefundSpeed) {
	p, ok := r.toGiveBack(time.Now())
	if !ok || p.ID != paymentID {
		return
	}
	key := orphanKey + p.ID
	wanted := refundKnown{Key: key, PaymentID: p.ID, Amount: r.unspoken(p), Speed: speed}
	if last := r.lastRefund(key); last != nil {
		wanted = last.next(wanted.Amount)
	}
	r.Refunds = append(r.Refunds, wanted)
	r.audit("refund wanted of " + p.ID)
	for i := range r.Payments {
		if known := &r.Payments[i]; known.ID == p.ID && known.Orphan == "" {
			known.Orphan = orphanSeen
		}
	}
}

// refund asks the gateway for a refund, under a key that never gives money back twice.
func refund(ctx context.Context, gateway Gateway, bill string, wanted refundKnown) (func(*record), error) {
	made, err := gateway.Refund(ctx, wanted.request(bill))
	now := time.Now().UTC()
	switch {
	case errors.Is(err, payments.ErrAlreadyRefunded):
		// By hand, or by the gateway itself. A look finds out which.
		return func(r *record) {
			r.settle(wanted, func(known *refundKnown) { known.Elsewhere = now })
		}, nil
	case isRefusal(err):
		return func(r *record) {
			r.settle(wanted, func(known *refundKnown) {
				known.Status = payments.RefundFailed
				r.audit("refund of " + wanted.PaymentID + " refused")
			})
		}, nil
	case err != nil:
		return nil, err
	}
	return func(r *record) {
		r.settle(wanted, func(known *refundKnown) {
			known.ID, known.Status, known.AskedAt = made.ID, made.Status, now
			r.count(made)
			r.audit("refund " + made.ID + " " + word(string(made.Status)))
		})
		r.drop(made.ID)
	}, nil
}

// isRefusal reports whether the gateway has looked at a request and will answer the same
// again.
func isRefusal(err error) bool {
	return errors.Is(err, telemed.ErrInvalid) || errors.Is(err, telemed.ErrConflict) || errors.Is(err, telemed.ErrForbidden) ||
		errors.Is(err, telemed.ErrNotFound)
}

// settle changes the refund that was asked for, if it still waits for it. Then the gateway
// is read again: the payment has changed by it, or somebody else has changed that before.
func (r *record) settle(wanted refundKnown, change func(known *refundKnown)) {
	for i := range r.Refunds {
		if known := &r.Refunds[i]; known.mark() == wanted.mark() && known.waits() {
			change(known)
			r.Known++
			r.Asked++
			return
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
