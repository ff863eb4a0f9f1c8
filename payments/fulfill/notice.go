package fulfill

import (
	"fmt"
	"log/slog"

	"github.com/telemed-go/telemed/internal/redact"
	"github.com/telemed-go/telemed/payments"
)

// NoticeKind says what happened.
type NoticeKind string

// The kinds of notices.
const (
	// NoticeLapsed tells that the reservation is over and nothing was paid: give the slot
	// away.
	NoticeLapsed NoticeKind = "lapsed"
	// NoticeOrphan tells of a payment that took money which buys nothing: the slot is gone,
	// the bill was cancelled, or it was paid twice. With Notice.Ask somebody has to look, and
	// to give it back by Refund; else it is given back by itself.
	NoticeOrphan NoticeKind = "orphan"
	// NoticeRefundPending tells that a refund is on its way. Nothing is given back yet.
	NoticeRefundPending NoticeKind = "refund pending"
	// NoticeRefunded tells that money was given back. If the payer's bank sends it back later,
	// NoticeRefundFailed follows.
	NoticeRefunded NoticeKind = "refunded"
	// NoticeRefundFailed tells that a refund failed. The money is still the application's; a
	// person has to look, and may call RetryRefund.
	NoticeRefundFailed NoticeKind = "refund failed"
	// NoticeRefundLate tells that a refund is on its way for a week: ask the gateway.
	NoticeRefundLate NoticeKind = "refund late"
	// NoticeNoWebhook tells that a payment was found by a sweep, which a webhook should have
	// told of. Look at the gateway's settings: Razorpay disables an endpoint that fails for a
	// day.
	NoticeNoWebhook NoticeKind = "no webhook"
)

// Notice is something that the application is to know. There is nothing of a person in it.
type Notice struct {
	Kind NoticeKind
	// Key and Tenant are the bill's.
	Key, Tenant string
	// Payment is the gateway's id of the payment that it is about, if any.
	Payment string
	// Refund is the refund's Key; empty if somebody made it on the gateway's own pages.
	Refund string
	// RefundID is the gateway's id of it.
	RefundID string
	// Amount is the refund's, the payment's or the bill's.
	Amount payments.Money
	// Ask is set for an orphan that is left to a person: by Config.AskAboutOrphans, or
	// because it may be somebody else's sale, of another amount under the same Key, or an
	// instalment with a fee on it.
	Ask bool
}

// LogValue tells what it is about.
func (n Notice) LogValue() slog.Value {
	return slog.GroupValue(slog.String("kind", string(n.Kind)), slog.String("key", n.Key), slog.String("payment", n.Payment),
		slog.String("refund", n.RefundID), slog.String("amount", n.Amount.String()))
}

// Format prints what LogValue tells, whatever the verb.
func (n Notice) Format(f fmt.State, _ rune) { redact.Format(f, n) }

// refundNotices says what a refund's status means to the application.
var refundNotices = map[payments.RefundStatus]NoticeKind{
	payments.RefundCreated: NoticeRefundPending, payments.RefundPending: NoticeRefundPending,
	payments.RefundProcessed: NoticeRefunded, payments.RefundFailed: NoticeRefundFailed,
}

// untold returns something that Notify was not told of yet.
func (r *record) untold() (Notice, bool) {
	if n, ok := r.untoldOrphan(); ok {
		return n, true
	}
	for _, refund := range r.Refunds {
		n := Notice{Payment: refund.PaymentID, Refund: refund.Key, RefundID: refund.ID, Amount: refund.Amount}
		kind, known := refundNotices[refund.Status]
		switch {
		case refund.Key == "" && r.busyWith(refund.PaymentID): // it may be one of ours
		case refund.ID == "" && refund.Retried: // it never was one
		case known && refundNotices[refund.Told] != kind:
			n.Kind = kind
			return n, true
		case refund.pending() && refund.Checks >= len(refundChecks) && !refund.Late:
			n.Kind = NoticeRefundLate
			return n, true
		}
	}
	switch {
	case !r.Lapsed.IsZero() && !r.Told.Lapsed:
		return Notice{Kind: NoticeLapsed, Amount: r.Amount}, true
	case r.Unheard && !r.Told.Unheard:
		return Notice{Kind: NoticeNoWebhook, Amount: r.Amount}, true
	}
	return Notice{}, false
}

func (r *record) untoldOrphan() (Notice, bool) {
	for _, o := range r.orphans() {
		if o.Orphan == "" && r.unspoken(o.paymentKnown).Minor > 0 {
			return Notice{Kind: NoticeOrphan, Payment: o.ID, Amount: o.Amount, Ask: true}, true
		}
	}
	for _, p := range r.Payments { // nothing may be left of it by now
		if p.Orphan == orphanSeen {
			return Notice{Kind: NoticeOrphan, Payment: p.ID, Amount: p.Amount}, true
		}
	}
	return Notice{}, false
}

// busyWith reports whether a refund of the payment is wanted whose id is not known yet.
func (r *record) busyWith(paymentID string) bool {
	for _, refund := range r.Refunds {
		if refund.PaymentID == paymentID && refund.waits() {
			return true
		}
	}
	return false
}

// tell notes that Notify was told.
func (r *record) tell(n Notice) {
	switch n.Kind {
	case NoticeLapsed:
		r.Told.Lapsed = true
	case NoticeNoWebhook:
		r.Told.Unheard = true
	case NoticeOrphan:
		for i := range r.Payments {
			if r.Payments[i].ID == n.Payment {
				r.Payments[i].Orphan = orphanTold
			}
		}
	default:
		r.tellRefund(n)
	}
}

func (r *record) tellRefund(n Notice) {
	for i := range r.Refunds {
		refund := &r.Refunds[i]
		if refund.ID != n.RefundID || refund.Key != n.Refund || refund.PaymentID != n.Payment || refund.ID == "" && refund.Retried {
			continue
		}
		switch n.Kind {
		case NoticeRefundLate:
			refund.Late = true
		case NoticeRefundPending:
			refund.Told = payments.RefundPending
		case NoticeRefunded:
			refund.Told = payments.RefundProcessed
		case NoticeRefundFailed:
			refund.Told = payments.RefundFailed
		}
	}
}
