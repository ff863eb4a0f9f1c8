package fulfill

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments"
)

// dead reports whether the bill is not to be paid and fulfilled any more. A cancel that came
// while Fulfill was under way counts: who cancelled was promised that the money goes back.
func (r *record) dead() bool {
	return !r.Cancelled.IsZero() || r.Fulfilled.IsZero() && (!r.Lapsed.IsZero() || !r.Gone.IsZero())
}

func (r *record) cancel(why string) {
	r.Cancelled = time.Now().UTC()
	r.audit(why)
}

// payer returns the order that pays the bill, or nil. It is of the bill's own amount. Once
// one was chosen it stays, unless its money is given back before the bill is fulfilled.
func (r *record) payer() *orderKnown {
	var found *orderKnown
	for i, o := range r.Orders {
		if !o.Paid || o.Amount != r.Amount || r.Fulfilled.IsZero() && r.spent(o.ID, paymentKnown.left) {
			continue
		}
		if o.ID == r.By {
			return &r.Orders[i]
		}
		if found == nil && (r.By == "" || r.Fulfilled.IsZero()) {
			found = &r.Orders[i]
		}
	}
	return found
}

// spent reports whether nothing is left of an order's money. Of an order whose payments are
// not known yet nothing is known to be spent.
func (r *record) spent(orderID string, left func(paymentKnown) payments.Money) bool {
	some := false
	for _, p := range r.Payments {
		taken := p.Status == payments.PaymentCaptured || p.Status == payments.PaymentRefunded && !p.Auto
		if p.OrderID != orderID || !taken {
			continue
		}
		if left(p).Minor > 0 {
			return false
		}
		some = true
	}
	return some
}

// left is how much of a payment is the application's.
func (p paymentKnown) left() payments.Money {
	if p.Status != payments.PaymentCaptured {
		return payments.Money{Currency: p.Amount.Currency}
	}
	return payments.Money{Minor: max(p.Amount.Minor-p.Refunded.Minor, 0), Currency: p.Amount.Currency}
}

// unspoken is how much of a payment is the application's and not wanted back.
func (r *record) unspoken(p paymentKnown) payments.Money {
	left := p.left()
	for _, refund := range r.Refunds {
		if refund.PaymentID == p.ID && refund.waits() { // any other counts in the payment's Refunded
			left.Minor = max(left.Minor-refund.Amount.Minor, 0)
		}
	}
	return left
}

// waits reports whether a refund was not asked for yet, or its answer is not known.
func (r refundKnown) waits() bool {
	return r.ID == "" && r.Status == "" && r.Elsewhere.IsZero() && !r.Retried
}

// pending reports whether the gateway has a refund and has not come to its end.
func (r refundKnown) pending() bool {
	return r.ID != "" && r.Status != payments.RefundProcessed && r.Status != payments.RefundFailed
}

// followed reports whether the gateway is to be asked about a refund once more.
func (r refundKnown) followed() bool {
	return r.ID != "" && r.Status != payments.RefundFailed && r.Checks < len(refundChecks)
}

// lastRefund returns the last refund of a key, or nil.
func (r *record) lastRefund(key string) *refundKnown {
	for i := range slices.Backward(r.Refunds) {
		if r.Refunds[i].Key == key {
			return &r.Refunds[i]
		}
	}
	return nil
}

// want adds a refund to what is wanted, of one payment or of several.
func (r *record) want(req RefundRequest, speed payments.RefundSpeed) error {
	if total, known := r.wanted(req.Key); known {
		if req.Amount != nil && *req.Amount != total {
			return fmt.Errorf("fulfill: Refund: %w", payments.ErrKeyConflict)
		}
		return nil
	}
	parts, enough := r.parts(req)
	if !enough {
		return fmt.Errorf("fulfill: Refund: there is not as much to give back: %w", telemed.ErrConflict)
	}
	for i := range parts {
		parts[i].Part, parts[i].Speed = i, speed
		// A gateway gives nothing back below its minimum.
		if err := parts[i].request("").Validate(); err != nil {
			return err
		}
	}
	r.Refunds = append(r.Refunds, parts...)
	r.audit("refund wanted")
	if payer := r.payer(); payer != nil && r.Fulfilled.IsZero() && !r.dead() && r.spent(payer.ID, r.unspoken) {
		r.cancel("cancelled, since all is wanted back")
	}
	return nil
}

// parts says of which payments a refund is taken, the oldest first, and whether there is
// enough.
func (r *record) parts(req RefundRequest) (parts []refundKnown, enough bool) {
	missing := int64(0)
	if req.Amount != nil {
		missing = req.Amount.Minor
	}
	for _, p := range r.Payments {
		free := r.unspoken(p)
		if free.Minor == 0 || req.Amount != nil && (missing == 0 || free.Currency != req.Amount.Currency) {
			continue
		}
		if req.Amount != nil {
			free.Minor = min(free.Minor, missing)
			missing -= free.Minor
		}
		parts = append(parts, refundKnown{Key: req.Key, PaymentID: p.ID, Amount: free})
	}
	return parts, len(parts) > 0 && missing == 0
}

// wanted returns how much is wanted under a key.
func (r *record) wanted(key string) (total payments.Money, known bool) {
	for _, refund := range r.Refunds {
		if refund.Key == key && !refund.Retried {
			total = payments.Money{Minor: total.Minor + refund.Amount.Minor, Currency: refund.Amount.Currency}
			known = true
		}
	}
	return total, known
}

// retry wants what has failed once more. It is refused if there is not as much any more;
// of an orphan all that is left is wanted, however much somebody gave back meanwhile.
func (r *record) retry(key string) error {
	var again []refundKnown
	for i := range r.Refunds {
		refund := &r.Refunds[i]
		if refund.Key != key || refund.Status != payments.RefundFailed || refund.Retried {
			continue
		}
		for _, p := range r.Payments {
			amount, left := refund.Amount, r.unspoken(p)
			if strings.HasPrefix(key, orphanKey) && left.Minor > 0 {
				amount.Minor = min(amount.Minor, left.Minor)
			}
			if p.ID == refund.PaymentID && left.Minor >= amount.Minor {
				again = append(again, refund.next(amount))
			}
		}
	}
	if len(again) == 0 {
		return fmt.Errorf("fulfill: RetryRefund: no refund of this key has failed, or its money is gone: %w", telemed.ErrConflict)
	}
	r.Refunds = append(r.Refunds, again...)
	r.audit("refund wanted again")
	return nil
}

// next returns the refund that is to be tried after r, which is done with.
func (r *refundKnown) next(amount payments.Money) refundKnown {
	r.Retried = true
	return refundKnown{Key: r.Key, Part: r.Part, Attempt: r.Attempt + 1, PaymentID: r.PaymentID, Amount: amount, Speed: r.Speed}
}

// orphan is a payment that took money which buys nothing.
type orphan struct {
	paymentKnown
	sure bool // else a person has to look
}

// orphans returns the payments that took money which buys nothing. Not sure are
//
//   - what was paid for an order of another amount: nobody here has made it, so it may be
//     somebody else's sale;
//   - a further payment of the order that pays the bill if it may be an instalment with a
//     fee on it.
func (r *record) orphans() (found []orphan) {
	payer, sum := r.payer(), int64(0)
	for _, p := range r.Payments { // the oldest first
		switch {
		case p.Status != payments.PaymentCaptured:
		case !r.amountFits(p.OrderID):
			found = append(found, orphan{p, false})
		case r.dead():
			found = append(found, orphan{p, true})
		case payer == nil:
			// A part of an order that is still open may be followed by the rest.
			if r.Sweeps == len(sweeps) {
				found = append(found, orphan{p, true})
			}
		case p.OrderID != payer.ID:
			found = append(found, orphan{p, true})
		case sum == 0:
			sum = p.Amount.Minor
			if p.Amount.Currency != payer.Amount.Currency { // converted: it pays all
				sum = payer.Amount.Minor
			}
		case sum >= payer.Amount.Minor || p.Amount.Minor >= payer.Amount.Minor:
			found = append(found, orphan{p, true})
		case sum+p.Amount.Minor > payer.Amount.Minor:
			found = append(found, orphan{p, false})
		default:
			sum += p.Amount.Minor
		}
	}
	return found
}

// amountFits reports whether an order is of the bill's amount, or not known.
func (r *record) amountFits(orderID string) bool {
	for _, o := range r.Orders {
		if o.ID == orderID {
			return o.Amount == r.Amount
		}
	}
	return true
}
