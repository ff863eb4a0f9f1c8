package fulfill

import (
	"time"

	"github.com/telemed-go/telemed/payments"
)

// action is what is done about a bill next.
type action string

const (
	actTell     action = "tell"
	actRefund   action = "refund"
	actLook     action = "look"
	actCapture  action = "capture"
	actFulfill  action = "fulfill"
	actGiveBack action = "give back"
	actWait     action = "wait"
)

// step is one action and what it needs.
type step struct {
	action  action
	notice  Notice       // to tell
	refund  refundKnown  // to ask for
	payment paymentKnown // to capture, or to give back
	sweep   bool         // nobody said look
	at      time.Time    // when to decide again; zero: not before somebody changes the bill
}

// sweeps is how long after a checkout the gateway is asked without being told to.
// Razorpay's own advice is to reconcile after 15 minutes; a bank's late answer comes
// within three days.
var sweeps = []time.Duration{15 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour, 72 * time.Hour, 96 * time.Hour}

// refundChecks is how long after a refund was asked for the gateway is asked about it.
// After the last one the application is told: banks have five working days.
var refundChecks = []time.Duration{time.Hour, 24 * time.Hour, 5 * 24 * time.Hour, 7 * 24 * time.Hour}

// decide is the table in the package's comment. It is a pure function.
func (f *Fulfiller) decide(key, tenant string, r *record, now time.Time) step {
	if r.Asked > r.Answered {
		return step{action: actLook}
	}
	if p, ok := r.toCapture(); ok && !f.cfg.LeaveAuthorized {
		return step{action: actCapture, payment: p}
	}
	if r.payer() != nil && r.Fulfilled.IsZero() && !r.dead() {
		return step{action: actFulfill}
	}
	if p, ok := r.toGiveBack(); ok && !f.cfg.AskAboutOrphans {
		return step{action: actGiveBack, payment: p}
	}
	if refund, ok := r.unasked(); ok {
		return step{action: actRefund, refund: refund}
	}
	next := r.nextLook()
	if !next.IsZero() && !next.After(now) {
		return step{action: actLook, sweep: true}
	}
	if n, ok := r.untold(); ok && f.cfg.Notify != nil {
		n.Key, n.Tenant = key, tenant
		return step{action: actTell, notice: n}
	}
	return step{action: actWait, at: next}
}

// unasked returns a refund that is wanted and was not asked for.
func (r *record) unasked() (refundKnown, bool) {
	for _, refund := range r.Refunds {
		if refund.waits() {
			return refund, true
		}
	}
	return refundKnown{}, false
}

// waits reports whether a refund was not asked for yet, or its answer is not known.
func (r refundKnown) waits() bool { return r.ID == "" && r.Status == "" && !r.Elsewhere }

// toCapture returns an authorized payment that would pay the bill. What was authorized too
// late is left alone: the gateway lets it go back by itself.
func (r *record) toCapture() (paymentKnown, bool) {
	if r.dead() || r.payer() != nil {
		return paymentKnown{}, false
	}
	for _, p := range r.Payments {
		if p.Status == payments.PaymentAuthorized && !p.Refused && r.amountFits(p.OrderID) {
			return p, true
		}
	}
	return paymentKnown{}, false
}

// toGiveBack returns an orphan of which something is left and not wanted back already.
func (r *record) toGiveBack() (paymentKnown, bool) {
	for _, p := range r.orphans() {
		if r.unspoken(p).Minor > 0 && !r.asked(orphanKey+p.ID) {
			return p, true
		}
	}
	return paymentKnown{}, false
}

func (r *record) asked(key string) bool { _, known := r.wanted(key); return known }

// orphanKey begins the keys of refunds of orphans.
const orphanKey = "orphan:"

// nextLook is when the gateway is to be asked without being told to. Zero: never.
func (r *record) nextLook() time.Time {
	var next time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if !r.Begun.IsZero() && r.Sweeps < len(sweeps) {
		sooner(r.Begun.Add(sweeps[r.Sweeps]))
	}
	if r.lapses() {
		sooner(r.Until)
	}
	for _, refund := range r.Refunds {
		if refund.pending() && refund.Checks < len(refundChecks) {
			sooner(refund.AskedAt.Add(refundChecks[refund.Checks]))
		}
	}
	return next
}

// lapses reports whether the reservation will lapse, or has to by now.
func (r *record) lapses() bool {
	return !r.Until.IsZero() && r.Fulfilled.IsZero() && !r.dead() && r.payer() == nil
}

// pending reports whether the gateway has a refund and has not come to its end.
func (r refundKnown) pending() bool {
	return r.ID != "" && r.Status != payments.RefundProcessed && r.Status != payments.RefundFailed
}
