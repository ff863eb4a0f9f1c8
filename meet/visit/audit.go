package visit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/inbound"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/store/durable"
)

// Entry is something that was wished, done or heard of a visit. There is no person in it.
type Entry struct {
	At time.Time `json:"at"`
	// Of is the kind of the row that has it: RowKind, BillKind or MessagesKind.
	Of   string `json:"of"`
	What string `json:"what"`
}

// Timeline returns what was wished, done and heard of a visit, in the order of time. It stays
// after Erase.
func (v *Visits) Timeline(ctx context.Context, id string) ([]Entry, error) {
	var all []Entry
	for _, kind := range []string{RowKind, BillKind, MessagesKind} {
		item, err := v.cfg.Store.Get(ctx, durable.ID{Kind: kind, Name: id})
		if errors.Is(err, telemed.ErrNotFound) && kind != RowKind {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("visit: Timeline: %w", err)
		}
		trail, err := form.Trail(item)
		if err != nil {
			return nil, err
		}
		for _, entry := range trail {
			all = append(all, Entry{entry.At, kind, entry.What})
		}
	}
	slices.SortStableFunc(all, func(a, b Entry) int { return a.At.Compare(b.At) })
	return all, nil
}

// TimelineHandler answers GET with the timeline of {id} as JSON. It asks nobody who they are:
// the application's own guard stands in front of it.
func (v *Visits) TimelineHandler() http.Handler {
	return inbound.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", http.MethodGet)
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		entries, err := v.Timeline(r.Context(), r.PathValue("id"))
		if err != nil {
			v.refuse(w, err)
			return
		}
		answer(w, http.StatusOK, entries)
	}))
}

// Erase blanks who the patient and the doctor of a visit are, wherever a row has it. The
// timeline stays. A visit that is to take place, and money that is on its way back, is
// telemed.ErrConflict. Erased already is no error.
func (v *Visits) Erase(ctx context.Context, id string) error {
	err := v.update(ctx, id, func(r *record) error {
		switch {
		case !r.Erased.IsZero():
			return errSame
		case !r.dead() && r.end().After(time.Now()):
			return fmt.Errorf("visit: Erase: it is to take place: %w", telemed.ErrConflict)
		case r.dead() && !r.Opened.IsZero() && r.Closed.IsZero(), r.refunding():
			return fmt.Errorf("visit: Erase: money is on its way back: %w", telemed.ErrConflict)
		}
		r.Erased = time.Now().UTC()
		r.Request.Patient, r.Meeting.JoinURL = Patient{}, ""
		r.Request.Doctor = Doctor{ID: r.Request.Doctor.ID}
		r.audit("erased")
		return nil
	})
	if err != nil {
		return err
	}
	if err := v.queue.Erase(ctx, id); err != nil && !errors.Is(err, telemed.ErrNotFound) {
		return err
	}
	return nil
}

func (r *record) refunding() bool {
	return slices.ContainsFunc(r.Refunds, func(back refund) bool {
		return back.Status == payments.RefundPending || back.Status == payments.RefundCreated
	})
}
