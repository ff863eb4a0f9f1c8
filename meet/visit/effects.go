package visit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/fulfill"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/store/durable"
)

// effect does an action and returns what became known by it. Beside an error nothing is
// known, unless the error is a partly.
type effect func(ctx context.Context, r *record) (change func(r *record), err error)

// plan implements durable.Kind.
func (v *Visits) plan(item durable.Item, now time.Time) (durable.Effect, error) {
	r, err := form.Open(item)
	if err != nil {
		return durable.Effect{}, err
	}
	p := policy{overlap: v.cfg.AllowOverlap, live: v.cfg.Live != nil && item.Tenant != "", change: v.cfg.OnChange != nil, untold: len(v.untold(r, now))}
	s := decide(r, p, now)
	if s.action == actWait {
		return durable.Effect{Name: string(s.action), At: s.at}, nil
	}
	planned := durable.Effect{Name: string(s.action), Do: func(ctx context.Context) (durable.Fact, error) {
		change, err := v.effects()[s.action](ctx, r)
		if err != nil {
			return v.failed(item, s.action, r.Rests[string(s.action)].N+1, err)
		}
		return v.fact(func(r *record) {
			delete(r.Rests, string(s.action))
			change(r)
		}), nil
	}}
	if s.action == actMake {
		planned.Ahead = v.fact((*record).ask)
	}
	return planned, nil
}

func (v *Visits) effects() map[action]effect {
	return map[action]effect{
		actOpen: v.openBill, actKeep: v.keepHours, actClose: v.closeBill,
		actMake: v.makeMeeting, actMove: v.moveMeeting, actCancel: v.cancelMeeting,
		actFree: v.freeHours, actTell: v.tell, actBroadcast: v.broadcast, actChange: v.change,
	}
}

// fact changes the record of a row.
func (v *Visits) fact(change func(r *record)) durable.Fact {
	return func(item *durable.Item) error {
		return v.edit(item, func(r *record) error { change(r); return nil })
	}
}

// stuckAfter is after how many failures in a row a person is told.
const stuckAfter = 12

// partly is the error of an action that has found something out all the same.
type partly struct {
	error
	known func(r *record)
}

// Unwrap returns what failed.
func (p partly) Unwrap() error { return p.error }

// failed has an action rest after its nth failure, and the others done. One that has waited
// for another process to end the same, or to be taken for dead, has not failed.
func (v *Visits) failed(item durable.Item, a action, n int, err error) (durable.Fact, error) {
	until := time.Now().Add(durable.RestAfter(n, err))
	var soon interface{ RetryDelay() time.Duration }
	waits := errors.Is(err, fault.UnderWay) && errors.As(err, &soon)
	if waits {
		n, until = n-1, time.Now().Add(soon.RetryDelay())
	}
	// The doctor is told of an account that does not work.
	if n == stuckAfter && !waits && !errors.Is(err, telemed.ErrReconnect) && !errors.Is(err, telemed.ErrNotConnected) {
		v.tellStuck(item.ID.Name, item.Tenant, stuckText(a, n))
	}
	return v.fact(func(r *record) {
		r.Rests.Fail(string(a), n, until)
		if some, ok := errors.AsType[partly](err); ok {
			some.known(r)
		}
	}), durable.AtRest(fmt.Errorf("visit: %w", err))
}

func stuckText(a action, n int) string { return fmt.Sprintf("%s: failed %d times", a, n) }

// openBill opens the bill that the patient is to pay. One whose time is over before it was
// open has lapsed.
func (v *Visits) openBill(ctx context.Context, r *record) (func(*record), error) {
	now := time.Now().UTC()
	err := v.bills.Open(ctx, r.bill())
	if errors.Is(err, telemed.ErrInvalid) && !r.Until.After(now) {
		return func(r *record) { r.lapse(now) }, nil
	}
	return func(r *record) { r.Opened = now }, err
}

func (r *record) bill() fulfill.Bill {
	return fulfill.Bill{Key: r.Request.ID, Tenant: r.Request.Tenant, Amount: r.Request.Price, Until: r.Until}
}

// lapse notes that nobody paid in time.
func (r *record) lapse(now time.Time) {
	if r.Lapsed.IsZero() && r.Paid == nil && !r.dead() {
		r.Lapsed = now
		r.audit("lapsed")
	}
}

// keepHours keeps the hours that were reserved. If they have lapsed and somebody else has
// them, the visit is gone.
func (v *Visits) keepHours(ctx context.Context, r *record) (func(*record), error) {
	gen, now := r.Gen, time.Now().UTC()
	if !v.cfg.AllowOverlap {
		err := reserve(ctx, v.cfg.Store, r.Request.Doctor.ID, hours{Visit: r.Request.ID, Gen: gen, From: r.Start, To: r.end()})
		if errors.Is(err, ErrTaken) {
			return func(r *record) {
				if r.Gen == gen && !r.dead() {
					r.Gone = now
					r.audit("the doctor has no time any more")
				}
			}, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return func(r *record) { r.Kept = max(r.Kept, gen) }, nil
}

// freeHours gives up hours that nobody wants any more.
func (v *Visits) freeHours(ctx context.Context, r *record) (func(*record), error) {
	freed := map[slot]bool{}
	for _, s := range r.stale() {
		if err := free(ctx, v.cfg.Store, r.Request.Doctor.ID, r.Request.ID, s, r.Request.Duration); err != nil {
			return nil, err
		}
		freed[slot{s.Gen, s.Start.UTC()}] = true
	}
	return func(r *record) {
		kept := r.Slots[:0]
		for _, s := range r.Slots {
			if !freed[slot{s.Gen, s.Start.UTC()}] {
				kept = append(kept, s)
			}
		}
		r.Slots = kept
	}, nil
}

// closeBill has nothing more taken, and gives back what was. What comes all the same buys
// nothing, and fulfill gives it back.
func (v *Visits) closeBill(ctx context.Context, r *record) (func(*record), error) {
	closed := func(r *record) { r.Closed = time.Now().UTC() }
	if !r.Lapsed.IsZero() {
		return closed, nil
	}
	err := v.bills.Cancel(ctx, r.Request.ID)
	if !errors.Is(err, telemed.ErrConflict) { // it is cancelled, or that failed
		return closed, err
	}
	// It is fulfilled.
	back := fulfill.RefundRequest{Key: "cancelled"}
	if c := r.Cancelled; c != nil && !c.All {
		if c.Back.Minor == 0 {
			return closed, nil
		}
		back.Amount = &c.Back
	}
	err = v.bills.Refund(ctx, r.Request.ID, back)
	// Somebody has given it back by hand.
	if errors.Is(err, telemed.ErrConflict) || errors.Is(err, telemed.ErrInvalid) {
		v.tellStuck(r.Request.ID, r.Request.Tenant, "refund: there is not as much to give back as the terms say")
		return closed, nil
	}
	return closed, err
}

// billPaid is fulfill.Config.Fulfill: the visit is paid.
func (v *Visits) billPaid(ctx context.Context, p fulfill.Paid) error {
	err := v.update(ctx, p.Key, func(r *record) error {
		switch {
		case r.Paid != nil:
			return errSame
		case r.dead():
			return fulfill.ErrGone
		}
		r.Paid = &paid{time.Now().UTC(), p.OrderID, p.PaymentIDs}
		r.Opened = r.Paid.At
		r.audit("paid by " + p.OrderID)
		return nil
	})
	return err
}

// billTold is fulfill.Config.Notify: what became of the bill and of refunds.
func (v *Visits) billTold(ctx context.Context, n fulfill.Notice) error {
	if why := problems[n.Kind]; why != "" && (n.Kind != fulfill.NoticeOrphan || n.Ask) {
		v.tellStuck(n.Key, n.Tenant, why)
	}
	err := v.update(ctx, n.Key, func(r *record) error {
		switch {
		case n.Kind == fulfill.NoticeLapsed:
			r.lapse(time.Now().UTC())
		case refundStates[n.Kind] != "":
			r.noteRefund(refund{n.RefundID, n.Amount, refundStates[n.Kind], time.Now().UTC()})
		default:
			return errSame
		}
		return nil
	})
	if errors.Is(err, telemed.ErrNotFound) { // another shop's bill, or one that is erased
		return nil
	}
	return err
}

// problems are the notices that a person must look at.
var problems = map[fulfill.NoticeKind]string{
	fulfill.NoticeOrphan:       "payment: it buys nothing, and somebody must say what becomes of it",
	fulfill.NoticeRefundFailed: "refund: the bank has sent it back",
	fulfill.NoticeRefundLate:   "refund: it is on its way for a week",
	fulfill.NoticeNoWebhook:    "webhook: a payment was found by asking, that a webhook should have told",
}

var refundStates = map[fulfill.NoticeKind]payments.RefundStatus{
	fulfill.NoticeRefundPending: payments.RefundPending, fulfill.NoticeRefunded: payments.RefundProcessed, fulfill.NoticeRefundFailed: payments.RefundFailed,
}

// noteRefund notes how a refund stands.
func (r *record) noteRefund(told refund) {
	for i := range r.Refunds {
		if known := &r.Refunds[i]; known.ID == told.ID {
			known.Status, known.At = told.Status, told.At
			r.audit("refund " + fault.RandomID(told.ID) + " " + string(told.Status))
			return
		}
	}
	r.Refunds = append(r.Refunds, told)
	r.audit("refund " + fault.RandomID(told.ID) + " " + string(told.Status))
}

// update changes a visit that is known, and has it looked after.
func (v *Visits) update(ctx context.Context, id string, change func(r *record) error) error {
	_, err := durable.Change(ctx, v.cfg.Store, rowID(id), func(item *durable.Item) error {
		if item.Revision == "" {
			return fmt.Errorf("visit: %w", telemed.ErrNotFound)
		}
		err := v.edit(item, change)
		item.Due = time.Now()
		return err
	})
	if errors.Is(err, errSame) {
		return nil
	}
	return v.woken(err)
}

// event is what dashboards get. A page drops what it has by id and generation.
type event struct {
	ID          string    `json:"id"`
	Generation  int       `json:"generation"`
	Status      Status    `json:"status"`
	Start       time.Time `json:"start"`
	Provider    string    `json:"provider,omitempty"`
	PatientName string    `json:"patientName,omitempty"`
}

// broadcast shows the visit to the clinic's dashboards. The first time it is new, unless it
// does not take place any more: then who died in the middle may have shown it before.
func (v *Visits) broadcast(ctx context.Context, r *record) (func(*record), error) {
	face := r.face()
	name := "appointment-changed"
	if r.Shown == "" && !r.dead() {
		name = "new-appointment"
	}
	err := v.cfg.Live.Broadcast(ctx, "clinic-"+r.Request.Tenant, realtime.Event{Name: name, Data: event{
		r.Request.ID, r.Gen, r.status(), r.Start, r.Request.Provider, r.Request.Patient.Name,
	}})
	return func(r *record) { r.Shown = face }, err
}

// change tells the application.
func (v *Visits) change(ctx context.Context, r *record) (func(*record), error) {
	face := r.face()
	err := v.cfg.OnChange(ctx, r.visit(""))
	return func(r *record) { r.Noted = face }, fault.OfApplication("OnChange", err)
}
