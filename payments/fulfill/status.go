package fulfill

import (
	"cmp"
	"context"
	"time"

	"github.com/telemed-go/telemed/payments"
)

// State is how far a bill has come.
type State string

// The states of a bill.
const (
	// StateOpen is to be paid.
	StateOpen State = "open"
	// StatePaid is paid, and not fulfilled yet.
	StatePaid State = "paid"
	// StateFulfilled is done.
	StateFulfilled State = "fulfilled"
	// StateCancelled was cancelled before it was known to be fulfilled, or all its money was
	// given back or wanted back before.
	StateCancelled State = "cancelled"
	// StateLapsed was not paid in time.
	StateLapsed State = "lapsed"
	// StateGone was paid, and Fulfill said ErrGone.
	StateGone State = "gone"
)

// Status is what is known of a bill.
type Status struct {
	Key, Tenant string
	State       State
	// Stuck says what has failed twelve times or more, or why the row is not worked any more:
	// a person must look. Empty as a rule.
	Stuck string
	// Amount is what is to be paid, Taken what was taken for it in all, GivenBack how much
	// of that went back, by refunds that the gateway has processed. Payments in another
	// currency than Amount's are left out.
	Amount, Taken, GivenBack payments.Money
	// OrderID is the order that pays it; empty if none does.
	OrderID string
	// Orphans are the gateway's ids of payments of which money is left that buys nothing.
	Orphans []string
	Refunds []RefundStatus
	// Looked is when the gateway was asked last.
	Looked time.Time
}

// RefundStatus is what is known of a refund.
type RefundStatus struct {
	// Key is the application's; empty if somebody made it on the gateway's own pages. It
	// begins with "orphan:" if money that bought nothing goes back.
	Key string
	// ID is the gateway's; empty if it was not asked for yet.
	ID, PaymentID string
	Amount        payments.Money
	// Status is the gateway's word; empty if it was not asked for yet.
	Status payments.RefundStatus
}

// Get returns what is known of a bill, without asking the gateway.
func (f *Fulfiller) Get(ctx context.Context, key string) (Status, error) {
	item, err := f.cfg.Store.Get(ctx, f.rowID(key))
	if err != nil {
		return Status{}, err
	}
	r, err := form.Open(item)
	if err != nil {
		return Status{}, err
	}
	s := Status{Key: key, Tenant: item.Tenant, Stuck: cmp.Or(item.Stuck, r.stuck()), Amount: r.Amount, State: r.state(), Looked: r.Looked}
	if payer := r.payer(); payer != nil {
		s.OrderID = payer.ID
	}
	s.Taken, s.GivenBack = payments.Money{Currency: r.Amount.Currency}, payments.Money{Currency: r.Amount.Currency}
	for _, p := range r.Payments {
		taken := p.Status == payments.PaymentCaptured || p.Status == payments.PaymentRefunded && !p.Auto
		if taken && p.Amount.Currency == r.Amount.Currency {
			s.Taken.Minor += p.Amount.Minor
		}
	}
	for _, refund := range r.Refunds {
		if refund.Status == payments.RefundProcessed && refund.Amount.Currency == r.Amount.Currency {
			s.GivenBack.Minor += refund.Amount.Minor
		}
		s.Refunds = append(s.Refunds, RefundStatus{refund.Key, refund.ID, refund.PaymentID, refund.Amount, refund.Status})
	}
	for _, o := range r.orphans() {
		if o.left().Minor > 0 {
			s.Orphans = append(s.Orphans, o.ID)
		}
	}
	return s, nil
}

// stuck says what has failed too often; empty if nothing has.
func (r *record) stuck() string {
	for _, a := range []action{actLook, actCapture, actFulfill, actRefund, actTell} {
		if n := r.Rests[string(a)].N; n >= stuckAfter {
			return stuckText(a, n)
		}
	}
	return ""
}

func (r *record) state() State {
	switch {
	case !r.Cancelled.IsZero():
		return StateCancelled
	case !r.Fulfilled.IsZero():
		return StateFulfilled
	case !r.Gone.IsZero():
		return StateGone
	case !r.Lapsed.IsZero():
		return StateLapsed
	case r.payer() != nil:
		return StatePaid
	}
	return StateOpen
}
