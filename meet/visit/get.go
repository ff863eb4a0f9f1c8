package visit

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/redact"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/notify/outbox"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/fulfill"
	"github.com/telemed-go/telemed/store/durable"
)

// Status is where a visit stands.
type Status string

// The statuses of a visit.
const (
	// StatusReserved waits for the patient to pay, until Visit.ReservedUntil.
	StatusReserved Status = "reserved"
	// StatusBooked takes place.
	StatusBooked Status = "booked"
	// StatusCancelled was cancelled.
	StatusCancelled Status = "cancelled"
	// StatusLapsed was not paid in time.
	StatusLapsed Status = "lapsed"
	// StatusGone was paid late: another visit has its hours, and the money goes back.
	StatusGone Status = "gone"
)

func (r *record) status() Status {
	switch {
	case r.Cancelled != nil:
		return StatusCancelled
	case !r.Gone.IsZero():
		return StatusGone
	case !r.Lapsed.IsZero():
		return StatusLapsed
	case r.booked():
		return StatusBooked
	}
	return StatusReserved
}

// Visit is what is known of a visit. As JSON it is what a patient's page shows, without a
// person in it; printed and logged it has no link either.
type Visit struct {
	ID, Tenant string
	Status     Status
	// Generation counts what was wished, from 1: a move and a cancel raise it.
	Generation int
	Start      time.Time
	Duration   time.Duration
	Provider   string
	Doctor     Doctor
	Patient    Patient
	Price      payments.Money
	// ReservedUntil is when the reservation of an unpaid visit lapses.
	ReservedUntil time.Time
	// JoinURL lets the patient in. Empty while there is no meeting for Start.
	JoinURL string
	// Waits is set while the doctor must connect the account again before there is a meeting.
	Waits bool
	// Refund is how the money stands that goes back.
	Refund Refund
	// Stuck says what a person must look at. Empty as a rule.
	Stuck string
}

// Refund is money that goes back. The zero value is that none does.
type Refund struct {
	Amount payments.Money `json:"amount"`
	// Status is the gateway's word: the money is back once it is payments.RefundProcessed.
	Status payments.RefundStatus `json:"status"`
}

// LogValue leaves out the persons and the link.
func (v Visit) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", v.ID), slog.String("tenant", v.Tenant), slog.String("status", string(v.Status)),
		slog.Int("generation", v.Generation), slog.Time("start", v.Start))
}

// Format prints what LogValue tells, whatever the verb.
func (v Visit) Format(f fmt.State, _ rune) { redact.Format(f, v) }

// MarshalJSON writes {"id", "status", "generation", "start", "duration_seconds", "provider",
// "price", "reserved_until", "join_url", "refund"}, without what is empty.
func (v Visit) MarshalJSON() ([]byte, error) { return json.Marshal(v.page(nil)) }

// page is what a patient's page gets.
type page struct {
	ID         string          `json:"id"`
	Status     Status          `json:"status"`
	Generation int             `json:"generation"`
	Start      time.Time       `json:"start"`
	Seconds    int64           `json:"duration_seconds"`
	Provider   string          `json:"provider,omitempty"`
	Price      payments.Money  `json:"price,omitzero"`
	Until      time.Time       `json:"reserved_until,omitzero"`
	JoinURL    string          `json:"join_url,omitempty"`
	Refund     Refund          `json:"refund,omitzero"`
	Checkout   json.RawMessage `json:"checkout,omitempty"`
}

func (v Visit) page(checkout json.RawMessage) page {
	p := page{ID: v.ID, Status: v.Status, Generation: v.Generation, Start: v.Start, Seconds: int64(v.Duration.Seconds()),
		Provider: v.Provider, Price: v.Price, JoinURL: v.JoinURL, Refund: v.Refund, Checkout: checkout}
	if v.Status == StatusReserved {
		p.Until = v.ReservedUntil
	}
	return p
}

// visit is what is known by the record.
func (r *record) visit(stuck string) *Visit {
	back := r.back()
	known := &Visit{
		ID: r.Request.ID, Tenant: r.Request.Tenant, Status: r.status(), Generation: r.Gen, Start: r.Start, Duration: r.Request.Duration,
		Provider: r.Request.Provider, Doctor: r.Request.Doctor, Patient: r.Request.Patient, Price: r.Request.Price,
		ReservedUntil: r.Until, Waits: r.Waits, Refund: Refund{back.Amount, back.Status}, Stuck: cmp.Or(stuck, r.stuck()),
	}
	if r.ready() {
		known.JoinURL = r.Meeting.JoinURL
	}
	return known
}

// stuck says what has failed again and again.
func (r *record) stuck() string {
	for name, rest := range r.Rests {
		if rest.N >= stuckAfter {
			return stuckText(action(name), rest.N)
		}
	}
	return ""
}

// Get returns what is known of a visit, without asking anybody. An id that is not known is
// telemed.ErrNotFound.
func (v *Visits) Get(ctx context.Context, id string) (*Visit, error) {
	item, r, err := v.read(ctx, id)
	if err != nil {
		return nil, err
	}
	return r.visit(item.Stuck), nil
}

func (v *Visits) read(ctx context.Context, id string) (durable.Item, *record, error) {
	item, err := v.cfg.Store.Get(ctx, rowID(id))
	if err != nil {
		return durable.Item{}, nil, fmt.Errorf("visit: %w", err)
	}
	r, err := form.Open(item)
	return item, r, err
}

// HostLink returns a link that makes the doctor the host of the visit's meeting, asked from
// the provider now: redirect to it, and do not keep it. For a provider whose host enters by
// the patients' link it is that. A visit without a meeting is telemed.ErrNotFound.
func (v *Visits) HostLink(ctx context.Context, id string) (telemed.Secret, error) {
	_, r, err := v.read(ctx, id)
	if err != nil {
		return telemed.Secret{}, err
	}
	provider, _, err := v.provider(ctx, r)
	switch {
	case !r.booked() || r.Meeting.JoinURL == "" || r.Meeting.Gone:
		return telemed.Secret{}, fmt.Errorf("visit: HostLink: there is no meeting: %w", telemed.ErrNotFound)
	case err != nil:
		return telemed.Secret{}, err
	}
	if linker, ok := provider.(meet.HostLinker); ok {
		return linker.HostLink(ctx, r.Request.Doctor.ID, r.Meeting.ID)
	}
	return telemed.NewSecret(r.Meeting.JoinURL), nil
}

// Messages returns how the messages of a visit stand, in the order in which they were
// queued: whether they wait, have arrived, or could not be sent. There is no person in it
// but in Status.ID. A visit that nobody was told anything of yet has none.
func (v *Visits) Messages(ctx context.Context, id string) ([]outbox.Status, error) {
	all, err := v.queue.Get(ctx, id)
	if errors.Is(err, telemed.ErrNotFound) {
		_, err = v.cfg.Store.Get(ctx, rowID(id))
	}
	if err != nil {
		return nil, fmt.Errorf("visit: %w", err)
	}
	return all, nil
}

// Refund gives back more of what was paid than the terms say, or some of it for another
// reason; see fulfill.Writer.Refund. The patient is told.
func (v *Visits) Refund(ctx context.Context, id string, req fulfill.RefundRequest) error {
	if v.bills == nil {
		return fault.Invalid("visit: Refund", "Gateway", "is not configured")
	}
	return v.bills.Refund(ctx, id, req)
}

// Step works the rows of a visit that are due now, its bill's and its messages' too, for an
// engine of the application's own; see durable.Runner.Step. It returns when there is
// something to do next, zero if not before something changes.
func (v *Visits) Step(ctx context.Context, id string) (next time.Time, err error) {
	rows := []durable.ID{{Kind: BillKind, Name: id}, rowID(id), {Kind: MessagesKind, Name: id}}
	for _, row := range rows {
		at, err := v.runner.Step(ctx, row)
		if err != nil && (row.Kind == RowKind || !errors.Is(err, telemed.ErrNotFound)) {
			return at, err
		}
	}
	// Read again, since each of them makes others due.
	for _, row := range rows {
		item, err := v.cfg.Store.Get(ctx, row)
		if err != nil && !errors.Is(err, telemed.ErrNotFound) {
			return time.Time{}, fmt.Errorf("visit: %w", err)
		}
		if !item.Due.IsZero() && (next.IsZero() || item.Due.Before(next)) {
			next = item.Due
		}
	}
	return next, nil
}

// Stuck yields what a person must look at. The Store must be a durable.Lister, as those of
// this module are.
func (v *Visits) Stuck(ctx context.Context) iter.Seq2[Stuck, error] {
	return func(yield func(Stuck, error) bool) {
		lister, ok := v.cfg.Store.(durable.Lister)
		if !ok {
			yield(Stuck{}, fault.Invalid("visit: Stuck", "Store", "is no durable.Lister"))
			return
		}
		for item, err := range lister.List(ctx, durable.Filter{Stuck: true}) {
			if !yield(Stuck{visitOf(item.ID), item.Tenant, item.ID.Kind + ": " + item.Stuck}, err) {
				return
			}
		}
	}
}

// visitOf returns the visit that a row is about, empty if it is about none.
func visitOf(id durable.ID) string {
	if id.Kind == DayKind || id.Kind == DoctorKind || strings.HasPrefix(id.Name, doctorGroup) {
		return ""
	}
	return id.Name
}

// Retry has what is stuck of a visit tried again.
func (v *Visits) Retry(ctx context.Context, id string) error {
	err := v.update(ctx, id, func(r *record) error { r.Rests.End(); return nil })
	if err != nil {
		return err
	}
	if err := v.runner.Retry(ctx, rowID(id)); err != nil {
		return err
	}
	if v.bills != nil {
		if err := v.bills.Look(ctx, id); err != nil && !errors.Is(err, telemed.ErrNotFound) {
			return err
		}
	}
	return v.retryMessages(ctx, id)
}

// retryMessages has the messages of a visit sent again that are stuck.
func (v *Visits) retryMessages(ctx context.Context, id string) error {
	all, err := v.queue.Get(ctx, id)
	if err != nil && !errors.Is(err, telemed.ErrNotFound) {
		return err
	}
	for _, m := range all {
		if m.State == outbox.Stuck || m.State == outbox.Failed {
			if err := v.queue.Retry(ctx, id, m.Key); err != nil {
				return err
			}
		}
	}
	return nil
}
