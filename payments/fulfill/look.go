package fulfill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments"
)

// snapshot is what the gateway says of a bill.
type snapshot struct {
	begun   time.Time
	answers int  // how many had said look before it began
	sweep   bool // nobody had since the last one
	// waitsForCapture is set if what is authorized is about to be captured.
	waitsForCapture bool
	orders          []orderKnown
	payments        []paymentKnown
	refunds         []*payments.Refund
}

// look reads all orders of the bill, their payments, and the refunds of those.
func (f *Fulfiller) look(ctx context.Context, key string, r *record) (*snapshot, error) {
	s := &snapshot{begun: time.Now().UTC(), answers: r.Asked}
	orders, err := f.orders(ctx, key, r)
	if err != nil {
		return nil, err
	}
	for _, o := range orders {
		s.orders = append(s.orders, orderKnown{ID: o.ID, Amount: o.Amount, Paid: o.IsPaid()})
		all, err := f.finder.OrderPayments(ctx, o.ID)
		if err != nil {
			return nil, fmt.Errorf("payments of an order: %w", err)
		}
		for _, p := range all {
			if err := f.lookAt(ctx, s, r, p); err != nil {
				return nil, err
			}
		}
	}
	slices.SortStableFunc(s.payments, func(a, b paymentKnown) int { return a.At.Compare(b.At) })
	return s, nil
}

// orders returns the bill's orders: those of its key, and those that are known by id and
// that a list does not show yet.
func (f *Fulfiller) orders(ctx context.Context, key string, r *record) ([]*payments.Order, error) {
	orders, err := f.finder.OrdersByKey(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("orders of a bill: %w", err)
	}
	for _, known := range r.Orders {
		if slices.ContainsFunc(orders, func(o *payments.Order) bool { return o.ID == known.ID }) {
			continue
		}
		o, err := f.finder.Order(ctx, known.ID)
		switch {
		case errors.Is(err, telemed.ErrNotFound): // of another account, after a change of keys
		case err != nil:
			return nil, fmt.Errorf("an order of a bill: %w", err)
		default:
			orders = append(orders, o)
		}
	}
	return orders, nil
}

// lookAt adds a payment to the snapshot, and its refunds if there may be some.
func (f *Fulfiller) lookAt(ctx context.Context, s *snapshot, r *record, p *payments.Payment) error {
	s.payments = append(s.payments, paymentKnown{
		ID: p.ID, OrderID: p.OrderID, Amount: p.Amount, Refunded: p.Refunded, Status: p.Status, At: p.CreatedAt.UTC(),
	})
	ours := slices.ContainsFunc(r.Refunds, func(refund refundKnown) bool { return refund.PaymentID == p.ID })
	if p.AutoRefunded() || p.Refunded.IsZero() && !ours {
		return nil
	}
	refunds, err := f.refunds.PaymentRefunds(ctx, p.ID)
	if err != nil {
		return fmt.Errorf("refunds of a payment: %w", err)
	}
	s.refunds = append(s.refunds, refunds...)
	return nil
}

// merge takes a snapshot in, unless a later one is known.
func (r *record) merge(s *snapshot) {
	r.Answered = max(r.Answered, s.answers)
	if s.begun.Before(r.Looked) {
		return
	}
	paid := r.payer() != nil
	r.Looked = s.begun
	for _, o := range s.orders {
		r.addOrder(o)
	}
	for _, p := range s.payments {
		r.addPayment(p)
	}
	slices.SortStableFunc(r.Payments, func(a, b paymentKnown) int { return a.At.Compare(b.At) })
	for _, refund := range s.refunds {
		r.addRefund(refund, s.begun)
	}
	r.passed(s)
	if !paid && r.payer() != nil {
		r.audit("paid")
		r.Unheard = r.Unheard || s.sweep && r.heardNothing(s.begun)
	}
}

// unheardAfter is how long a webhook may take before its absence is worth a word.
const unheardAfter = 10 * time.Minute

// heardNothing reports whether a payment was made long ago and nobody told of it.
func (r *record) heardNothing(now time.Time) bool {
	return slices.ContainsFunc(r.Payments, func(p paymentKnown) bool {
		return p.Status == payments.PaymentCaptured && !p.At.IsZero() && now.Sub(p.At) > unheardAfter
	})
}

// passed counts the sweeps and checks whose time had come when the snapshot began, and
// lets the reservation lapse.
func (r *record) passed(s *snapshot) {
	for !r.Begun.IsZero() && r.Sweeps < len(sweeps) && !r.Begun.Add(sweeps[r.Sweeps]).After(s.begun) {
		r.Sweeps++
	}
	for i := range r.Refunds {
		refund := &r.Refunds[i]
		for refund.pending() && refund.Checks < len(refundChecks) && !refund.AskedAt.Add(refundChecks[refund.Checks]).After(s.begun) {
			refund.Checks++
		}
	}
	if _, soon := r.toCapture(); soon && s.waitsForCapture {
		return
	}
	if r.lapses() && !r.Until.After(s.begun) {
		r.Lapsed = s.begun
		r.audit("lapsed")
	}
}

func (r *record) addOrder(o orderKnown) {
	for i := range r.Orders {
		if r.Orders[i].ID == o.ID {
			r.Orders[i] = o
			return
		}
	}
	r.Orders = append(r.Orders, o)
	r.audit("order " + o.ID)
}

func (r *record) addPayment(p paymentKnown) {
	for i := range r.Payments {
		if old := &r.Payments[i]; old.ID == p.ID {
			if old.Status != p.Status {
				r.audit("payment " + p.ID + " " + string(p.Status))
			}
			p.Orphan, p.Refused = old.Orphan, old.Refused && old.Status == p.Status
			*old = p
			return
		}
	}
	r.Payments = append(r.Payments, p)
	r.audit("payment " + p.ID + " " + string(p.Status))
}

// addRefund takes in what the gateway says of a refund. One that nobody asked for here was
// made by hand.
func (r *record) addRefund(refund *payments.Refund, now time.Time) {
	for i := range r.Refunds {
		if known := &r.Refunds[i]; known.ID == refund.ID {
			if known.Status != refund.Status {
				r.audit("refund " + refund.ID + " " + string(refund.Status))
			}
			known.Status = refund.Status
			return
		}
	}
	r.Refunds = append(r.Refunds, refundKnown{
		PaymentID: refund.PaymentID, Amount: refund.Amount, ID: refund.ID, Status: refund.Status, AskedAt: now,
	})
	r.audit("refund " + refund.ID + " " + string(refund.Status) + ", made elsewhere")
}
