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
	"github.com/telemed-go/telemed/store/durable"
)

// Actor is who cancels.
type Actor string

// The actors.
const (
	// ByPatient gives back what Config.Refunds say.
	ByPatient Actor = "patient"
	// ByClinic gives all of it back.
	ByClinic Actor = "clinic"
)

// Writer says what is wanted of visits. It writes rows and nothing goes to the network, so
// that it can write in the application's own transaction; see Visits.WithStore. What
// follows is done by Visits.Run. It is safe for concurrent use as far as its Store is.
type Writer struct {
	v    *Visits
	rows durable.Store
}

// Book books a visit, or reserves it if it is to be paid first. The same Request again is
// no error and changes nothing, also after it was moved or cancelled; another one with the
// same ID is telemed.ErrConflict. ErrTaken is that the doctor has another visit then. A
// wrong field is a telemed.FieldError, before anything is written.
func (w Writer) Book(ctx context.Context, req Request) error {
	c, err := w.v.clinicOf(ctx, req.Tenant)
	if err != nil {
		return err
	}
	item, err := w.rows.Get(ctx, rowID(req.ID))
	if err == nil {
		return sameBooking(item, req)
	}
	if invalid := req.validate(c); invalid != nil {
		return invalid
	}
	if !errors.Is(err, telemed.ErrNotFound) {
		return err
	}
	now := time.Now().UTC()
	r := record{Request: req, Gen: 1, Start: req.Start.Truncate(time.Second)}
	if !req.Price.IsZero() {
		r.Until = now.Add(w.v.cfg.ReserveUnpaid)
	}
	if err := w.reserve(ctx, &r); err != nil {
		return err
	}
	item = durable.Item{ID: rowID(req.ID), Tenant: req.Tenant, Due: now}
	if err := w.v.edit(&item, func(empty *record) error {
		*empty = r
		empty.audit("booked for " + stamp(r.Start))
		return nil
	}); err != nil {
		return err
	}
	_, err = w.rows.Put(ctx, item)
	if errors.Is(err, telemed.ErrConflict) { // somebody was faster
		if item, again := w.rows.Get(ctx, rowID(req.ID)); again == nil {
			return sameBooking(item, req)
		}
	}
	return err
}

func sameBooking(item durable.Item, req Request) error {
	r, err := form.Open(item)
	if err != nil {
		return err
	}
	if !r.Request.same(req) || item.Tenant != req.Tenant {
		return fmt.Errorf("visit: Book: another visit has this ID: %w", telemed.ErrConflict)
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// reserve has the hours of the record's generation reserved, until Run keeps them. Those of
// who is booked lapse after a day, in case that the visit itself is never written.
func (w Writer) reserve(ctx context.Context, r *record) error {
	r.Slots = append(r.Slots, slot{r.Gen, r.Start})
	until := time.Now().UTC().Add(aDay)
	if !r.booked() {
		until = time.Now().UTC().Add(w.v.cfg.ReserveUnpaid)
	}
	if w.v.cfg.AllowOverlap {
		return nil
	}
	if err := reserve(ctx, w.rows, r.Request.Doctor.ID, hours{r.Request.ID, r.Gen, r.Start, r.end(), until}); err != nil {
		return fmt.Errorf("visit: %w", err)
	}
	return nil
}

// Move gives a visit another start. The same start again is no error; of several wishes the
// last one holds. An id that is not known is telemed.ErrNotFound. A visit that was
// cancelled, has lapsed or has begun is telemed.ErrConflict, one whose doctor has another
// visit then ErrTaken.
func (w Writer) Move(ctx context.Context, id string, start time.Time) error {
	start = start.Truncate(time.Second)
	return w.wish(ctx, id, func(r *record) error {
		now := time.Now()
		switch {
		case r.dead():
			return fmt.Errorf("visit: Move: it does not take place any more: %w", telemed.ErrConflict)
		case r.Start.Equal(start):
			return errSame
		case !r.Start.After(now):
			return fmt.Errorf("visit: Move: it has begun: %w", telemed.ErrConflict)
		case !start.After(now):
			return fault.Invalid("visit: Move", "start", "is over")
		case time.Until(start) >= farthest:
			return fault.Invalid("visit: Move", "start", "is more than nine years away")
		}
		r.Gen, r.Start = r.Gen+1, start
		r.audit("moved to " + stamp(start))
		return w.reserve(ctx, r)
	})
}

// Cancel says that a visit does not take place. What was paid goes back: all of it if the
// clinic cancels, by Config.Refunds if the patient does. Cancelled already is no error, and
// the first Actor holds; so is what has lapsed. An id that is not known is
// telemed.ErrNotFound, a visit that is over telemed.ErrConflict for the patient.
func (w Writer) Cancel(ctx context.Context, id string, by Actor) error {
	if by != ByPatient && by != ByClinic {
		return fault.Invalid("visit: Cancel", "by", "is no Actor")
	}
	var slots record
	err := w.wish(ctx, id, func(r *record) error {
		now := time.Now().UTC()
		slots = *r
		switch {
		case r.dead():
			return errSame
		case by == ByPatient && !r.end().After(now):
			return fmt.Errorf("visit: Cancel: it is over: %w", telemed.ErrConflict)
		}
		r.Gen++
		r.Cancelled = &cancelled{At: now, By: by, All: by == ByClinic}
		if by == ByPatient && !r.Request.Price.IsZero() {
			r.Cancelled.Back = w.v.terms(r.Request.Price, r.Start, now)
		}
		r.audit("cancelled by the " + string(by))
		return nil
	})
	if err != nil {
		return err
	}
	return w.freeAll(ctx, &slots) // at once, for the next patient; Run does it again
}

// terms says how much goes back if the patient cancels at now.
func (v *Visits) terms(price payments.Money, start, now time.Time) payments.Money {
	if v.cfg.Refunds == nil {
		return fulfill.Tiers{{Percent: 100}}.Refund(price, start, now)
	}
	return fulfill.Tiers(v.cfg.Refunds).Refund(price, start, now)
}

// freeAll gives up the hours of a visit.
func (w Writer) freeAll(ctx context.Context, r *record) error {
	for _, s := range r.Slots {
		if err := free(ctx, w.rows, r.Request.Doctor.ID, r.Request.ID, s, r.Request.Duration); err != nil {
			return err
		}
	}
	return nil
}

// errSame is that a wish changes nothing.
var errSame = errors.New("nothing changes")

// wish changes what is wanted of a visit.
func (w Writer) wish(ctx context.Context, id string, change func(r *record) error) error {
	if err := durable.CheckID(rowID(id)); err != nil {
		return err
	}
	_, err := durable.Change(ctx, w.rows, rowID(id), func(item *durable.Item) error {
		if item.Revision == "" {
			return fmt.Errorf("visit: %w", telemed.ErrNotFound)
		}
		err := w.v.edit(item, change)
		item.Due, item.Stuck, item.Attempts = time.Now(), "", 0
		return err
	})
	if errors.Is(err, errSame) {
		return nil
	}
	return err
}

// Book is Writer.Book in no transaction.
func (v *Visits) Book(ctx context.Context, req Request) error {
	return v.woken(v.plain().Book(ctx, req))
}

// Move is Writer.Move in no transaction.
func (v *Visits) Move(ctx context.Context, id string, start time.Time) error {
	return v.woken(v.plain().Move(ctx, id, start))
}

// Cancel is Writer.Cancel in no transaction.
func (v *Visits) Cancel(ctx context.Context, id string, by Actor) error {
	return v.woken(v.plain().Cancel(ctx, id, by))
}

func (v *Visits) plain() Writer { return v.WithStore(v.cfg.Store) }

// WithStore returns a Writer over rows, such as those in the application's own transaction:
// the visit is written if and only if that commits.
func (v *Visits) WithStore(rows durable.Store) Writer { return Writer{v, rows} }

// woken has the runner look at once.
func (v *Visits) woken(err error) error {
	if err == nil {
		v.runner.Wake()
	}
	return err
}
