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

// policy is what the application has chosen.
type policy struct{ capture, giveBack, notify bool }

// sweeps is how long after a checkout the gateway is asked without being told to.
// Razorpay's own advice is to reconcile after 15 minutes; a bank's late answer comes
// within three days.
var sweeps = []time.Duration{15 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour, 72 * time.Hour, 96 * time.Hour}

// refundChecks is how long after a refund was asked for the gateway is asked about it, also
// if it is processed: the bank may send it back. If it is pending after the last one, the
// application is told: banks have five working days.
var refundChecks = []time.Duration{time.Hour, 24 * time.Hour, 5 * 24 * time.Hour, 7 * 24 * time.Hour}

// decide is the table in the package's comment. It is a pure function.
func decide(r *record, p policy, now time.Time) step {
	ready := func(a action) bool { return r.Rests.Ready(string(a), now) }
	asked := r.Asked > r.Answered
	if asked && ready(actLook) {
		return step{action: actLook}
	}
	if payment, ok := r.toCapture(); ok && p.capture && !asked && ready(actCapture) {
		return step{action: actCapture, payment: payment}
	}
	if r.toFulfill() && ready(actFulfill) {
		return step{action: actFulfill}
	}
	if !asked {
		if s, ok := r.decideMoneyBack(p, now, ready); ok {
			return s
		}
	}
	return step{action: actWait, at: r.wakeAt(now)}
}

// decideMoneyBack is the rest of the table, for a bill about which nothing new was said.
func (r *record) decideMoneyBack(p policy, now time.Time, ready func(action) bool) (step, bool) {
	if payment, ok := r.toGiveBack(now); ok && p.giveBack && ready(actGiveBack) {
		return step{action: actGiveBack, payment: payment}, true
	}
	if refund, ok := r.toAskFor(); ok && ready(actRefund) {
		return step{action: actRefund, refund: refund}, true
	}
	if ready(actLook) {
		for _, at := range r.looks() {
			if !at.After(now) {
				return step{action: actLook, sweep: true}, true
			}
		}
	}
	if n, ok := r.untold(); ok && p.notify && ready(actTell) {
		return step{action: actTell, notice: n}, true
	}
	return step{}, false
}

// wakeAt is when decide may say something else than now, zero for never.
func (r *record) wakeAt(now time.Time) (next time.Time) {
	times := append(r.looks(), r.Rests.Next(now))
	for _, refund := range r.Refunds {
		if !refund.Elsewhere.IsZero() && !refund.Retried {
			times = append(times, refund.Elsewhere.Add(elsewhereRest))
		}
	}
	for _, at := range times {
		if at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// toFulfill reports whether the bill is paid and is to be fulfilled.
func (r *record) toFulfill() bool { return r.payer() != nil && r.Fulfilled.IsZero() && !r.dead() }

// toAskFor returns a refund that is wanted and was not asked for.
func (r *record) toAskFor() (refundKnown, bool) {
	for _, refund := range r.Refunds {
		if refund.waits() {
			return refund, true
		}
	}
	return refundKnown{}, false
}

// toCapture returns an authorized payment that would pay the bill. What was authorized too
// late is left alone: the gateway lets it go back by itself.
func (r *record) toCapture() (paymentKnown, bool) {
	if r.dead() || r.payer() != nil {
		return paymentKnown{}, false
	}
	for _, p := range r.Payments {
		if p.Status == payments.PaymentAuthorized && !p.Refused && !p.Taken && r.amountFits(p.OrderID) {
			return p, true
		}
	}
	return paymentKnown{}, false
}

// elsewhereRest is how long a gateway that has nothing left of a payment is believed,
// although its lists say that something is.
const elsewhereRest = time.Hour

// toGiveBack returns an orphan of which something is left that nobody wants back already.
func (r *record) toGiveBack(now time.Time) (paymentKnown, bool) {
	for _, o := range r.orphans() {
		free := r.unspoken(o.paymentKnown)
		if !o.sure || free.Minor == 0 {
			continue
		}
		if last := r.lastRefund(orphanKey + o.ID); last == nil || last.mayGoOn(free, now) {
			return o.paymentKnown, true
		}
	}
	return paymentKnown{}, false
}

// mayGoOn reports whether an orphan of which so much is free may be asked for again after
// r. One that the gateway has tried and that failed is for a person.
func (r *refundKnown) mayGoOn(free payments.Money, now time.Time) bool {
	switch {
	case r.waits():
		return false
	case !r.Elsewhere.IsZero():
		return !r.Elsewhere.Add(elsewhereRest).After(now)
	case r.Status == payments.RefundFailed: // refused, since somebody has given a part back meanwhile
		return r.ID == "" && r.Amount.Minor > free.Minor
	}
	return true // another refund that has failed has left more
}

// orphanKey begins the keys of refunds of orphans.
const orphanKey = "orphan:"

// looks is when the gateway is to be asked without being told to.
func (r *record) looks() (times []time.Time) {
	if at := r.nextSweep(); !at.IsZero() {
		times = append(times, at)
	}
	// Until a look has come after it; what that look left open the next ones decide.
	if r.lapses() && r.Looked.Before(r.Until) {
		times = append(times, r.Until)
	}
	for _, refund := range r.Refunds {
		if refund.followed() {
			times = append(times, refund.AskedAt.Add(refundChecks[refund.Checks]))
		}
	}
	return times
}

// nextSweep is when the next sweep is, zero after the last one.
func (r *record) nextSweep() time.Time {
	if r.Begun.IsZero() || r.Sweeps >= len(sweeps) {
		return time.Time{}
	}
	return r.Begun.Add(sweeps[r.Sweeps])
}

// lapses reports whether the reservation will lapse, or has to by now.
func (r *record) lapses() bool {
	return !r.Until.IsZero() && r.Fulfilled.IsZero() && !r.dead() && r.payer() == nil
}
