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
	known   int  // record.Known when it began
	answers int  // how many had said look before it began
	sweep   bool // nobody had since the last one
	// capture is set if what is authorized is about to be captured.
	capture  bool
	orders   []orderKnown
	payments []paymentKnown
	refunds  []*payments.Refund
}

// look reads all orders of the bill, their payments, and the refunds of those.
func (f *Fulfiller) look(ctx context.Context, gateway Gateway, key string, r *record, sweep bool) (*snapshot, error) {
	s := &snapshot{begun: time.Now().UTC(), known: r.Known, answers: r.Asked, sweep: sweep, capture: f.policy.capture}
	known, err := orders(ctx, gateway, key, r)
	if err != nil {
		return nil, err
	}
	for _, o := range known {
		s.orders = append(s.orders, orderKnown{ID: o.ID, Amount: o.Amount, Paid: o.IsPaid()})
		all, err := gateway.OrderPayments(ctx, o.ID)
		if err != nil {
			return nil, fmt.Errorf("payments of an order: %w", err)
		}
		for _, p := range slices.Backward(all) { // the oldest first
			if err := lookAt(ctx, gateway, s, r, p); err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

// orders returns the bill's orders: those of its key, and those that are known by id and
// that a list does not show yet.
func orders(ctx context.Context, gateway Gateway, key string, r *record) ([]*payments.Order, error) {
	orders, err := gateway.OrdersByKey(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("orders of a bill: %w", err)
	}
	for _, known := range r.Orders {
		if slices.ContainsFunc(orders, func(o *payments.Order) bool { return o.ID == known.ID }) {
			continue
		}
		o, err := gateway.Order(ctx, known.ID)
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
func lookAt(ctx context.Context, gateway Gateway, s *snapshot, r *record, p *payments.Payment) error {
	s.payments = append(s.payments, paymentKnown{
		ID: p.ID, OrderID: p.OrderID, Amount: p.Amount, Refunded: p.Refunded, Status: p.Status, At: p.CreatedAt.UTC(), Auto: p.AutoRefunded(),
	})
	ours := slices.ContainsFunc(r.Refunds, func(refund refundKnown) bool { return refund.PaymentID == p.ID })
	if p.AutoRefunded() || p.Refunded.IsZero() && !ours {
		return nil
	}
	refunds, err := gateway.PaymentRefunds(ctx, p.ID)
	if err != nil {
		return fmt.Errorf("refunds of a payment: %w", err)
	}
	s.refunds = append(s.refunds, refunds...)
	return nil
}

// merge takes a snapshot in. If something else became known since it began, it may be older
// than that, whatever the clocks of two machines say: then somebody has to look again.
func (r *record) merge(s *snapshot) {
	if s.known != r.Known {
		r.Asked++
		return
	}
	r.Known++
	r.Answered = max(r.Answered, s.answers)
	r.Looked = s.begun
	paid := r.payer() != nil
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
	r.choosePayer()
	r.passed(s)
	if !paid && r.payer() != nil {
		r.audit("paid by " + r.payer().ID)
		r.Unheard = r.Unheard || s.sweep && r.heardNothing(s.begun)
	}
}

// choosePayer settles which order pays the bill. If all that was paid was given back before
// the bill was fulfilled, it is cancelled by that.
func (r *record) choosePayer() {
	if !r.Fulfilled.IsZero() || r.dead() {
		return
	}
	if payer := r.payer(); payer != nil {
		r.By = payer.ID
		return
	}
	if slices.ContainsFunc(r.Orders, func(o orderKnown) bool { return o.Paid && o.Amount == r.Amount }) {
		r.cancel("cancelled, since all was given back")
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
	for at := r.nextSweep(); !at.IsZero() && !at.After(s.begun); at = r.nextSweep() {
		r.Sweeps++
	}
	for i := range r.Refunds {
		refund := &r.Refunds[i]
		for refund.followed() && !refund.AskedAt.Add(refundChecks[refund.Checks]).After(s.begun) {
			refund.Checks++
		}
	}
	if _, soon := r.toCapture(); soon && s.capture {
		return
	}
	if r.lapses() && !r.Until.After(s.begun) {
		r.Lapsed = s.begun
		r.audit("lapsed")
	}
}

// addOrder takes in an order. It stays paid, also when its payment is given back.
func (r *record) addOrder(o orderKnown) {
	for i := range r.Orders {
		if known := &r.Orders[i]; known.ID == o.ID {
			known.Paid = known.Paid || o.Paid
			return
		}
	}
	r.Orders = append(r.Orders, o)
	r.audit("order " + o.ID)
}

// addPayment takes in a payment. One that never took money is left out: anybody can make
// any number of those.
func (r *record) addPayment(p paymentKnown) {
	for i := range r.Payments {
		if old := &r.Payments[i]; old.ID == p.ID {
			if old.Status != p.Status {
				r.audit("payment " + p.ID + " " + word(string(p.Status)))
			}
			p.Orphan, p.Taken, p.Refused = old.Orphan, old.Taken, old.Refused && old.Status == p.Status
			*old = p
			return
		}
	}
	if p.Status == payments.PaymentCreated || p.Status == payments.PaymentFailed {
		return
	}
	r.Payments = append(r.Payments, p)
	r.audit("payment " + p.ID + " " + word(string(p.Status)))
}

// addRefund takes in what the gateway says of a refund. One that nobody asked for here was
// made by hand.
func (r *record) addRefund(made *payments.Refund, now time.Time) {
	for i := range r.Refunds {
		if known := &r.Refunds[i]; known.ID == made.ID {
			if known.Status != made.Status {
				r.audit("refund " + made.ID + " " + word(string(made.Status)))
			}
			known.Status = made.Status
			return
		}
	}
	for i := range r.Refunds {
		// The answer was lost, or its process died.
		if known := &r.Refunds[i]; known.ID == "" && known.PaymentID == made.PaymentID && known.mark() == made.Notes[markNote] {
			known.ID, known.Status, known.AskedAt, known.Elsewhere = made.ID, made.Status, now, time.Time{}
			r.audit("refund " + made.ID + " " + word(string(made.Status)))
			return
		}
	}
	r.Refunds = append(r.Refunds, refundKnown{PaymentID: made.PaymentID, Amount: made.Amount, ID: made.ID, Status: made.Status, AskedAt: now})
	r.audit("refund " + made.ID + " " + word(string(made.Status)) + ", made elsewhere")
}
