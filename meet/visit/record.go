package visit

import (
	"cmp"
	"slices"
	"time"

	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/store/durable"
)

// The durable.ID's Kinds of the rows of a visit, whose Name is the visit's id: the visit
// itself, its bill (package fulfill) and its messages (package outbox). Bills and messages
// of the application's own have other kinds.
const (
	RowKind      = "visit"
	BillKind     = "visit-bill"
	MessagesKind = "visit-messages"
)

func rowID(id string) durable.ID { return durable.ID{Kind: RowKind, Name: id} }

// version is that of record.
const version = 1

var form = durable.Form[record]{Name: "visit", Version: version}

// record is a visit's row: what is wanted, which wishes change, and what is known, which
// only grows.
type record struct {
	// What is wanted.
	Request   Request    `json:"request"` // as it was booked; Start below is the present one
	Gen       int        `json:"gen"`     // of the wish, from 1; a move and a cancel raise it
	Start     time.Time  `json:"start"`
	Until     time.Time  `json:"until,omitzero"` // the reservation of what is not paid lapses
	Cancelled *cancelled `json:"cancelled,omitempty"`
	Slots     []slot     `json:"slots,omitempty"` // hours that were reserved and not freed

	// What is known.
	Opened  time.Time      `json:"opened,omitzero"` // the bill
	Paid    *paid          `json:"paid,omitempty"`
	Lapsed  time.Time      `json:"lapsed,omitzero"`
	Gone    time.Time      `json:"gone,omitzero"`   // the doctor has no time any more
	Kept    int            `json:"kept,omitempty"`  // the generation whose hours are kept
	Closed  time.Time      `json:"closed,omitzero"` // what is to go back is asked for
	Meeting meeting        `json:"meeting,omitzero"`
	Refunds []refund       `json:"refunds,omitempty"`
	Waits   bool           `json:"waits,omitempty"`   // for the doctor to connect the account again
	Told    map[string]int `json:"told,omitempty"`    // notes that are queued, and when by generation
	Dropped int            `json:"dropped,omitempty"` // the generation that the queue knows of
	Shown   string         `json:"shown,omitempty"`   // the face that the dashboard has
	Noted   string         `json:"noted,omitempty"`   // and the application
	Erased  time.Time      `json:"erased,omitzero"`
	Rests   durable.Rests  `json:"rests,omitempty"`

	trail durable.Trail
}

// cancelled is the wish that the visit does not take place.
type cancelled struct {
	At time.Time `json:"at"`
	By Actor     `json:"by"`
	// Back is what goes back by the clinic's terms; All is all that was paid.
	Back payments.Money `json:"back,omitzero"`
	All  bool           `json:"all,omitempty"`
}

// slot is the hours of one generation.
type slot struct {
	Gen   int       `json:"gen"`
	Start time.Time `json:"start"`
}

// paid is what pays it.
type paid struct {
	At       time.Time `json:"at"`
	OrderID  string    `json:"order"`
	Payments []string  `json:"payments,omitempty"`
}

// meeting is the video meeting.
type meeting struct {
	N       int       `json:"n,omitempty"`     // how many meetings' Keys are used up
	Asked   bool      `json:"asked,omitempty"` // one with this Key may be there
	ID      string    `json:"id,omitempty"`
	JoinURL string    `json:"join_url,omitempty"`
	Start   time.Time `json:"start,omitzero"` // where it is, or was asked for
	Gone    bool      `json:"gone,omitempty"` // it was cancelled
}

// refund is money on its way back.
type refund struct {
	ID     string                `json:"id"`
	Amount payments.Money        `json:"amount"`
	Status payments.RefundStatus `json:"status"`
	At     time.Time             `json:"at"` // since when
}

func (r *record) audit(what string) { r.trail.Add(what) }

// edit changes a visit's row, which is then kept for a while after its end.
func (v *Visits) edit(item *durable.Item, change func(r *record) error) error {
	return form.Edit(item, func(r *record, trail *durable.Trail) error {
		r.trail = *trail
		if err := change(r); err != nil {
			return err
		}
		*trail = r.trail
		if end := r.end(); !end.IsZero() {
			item.EraseAt = end.Add(v.cfg.Keep)
		}
		return nil
	})
}

// end is when the visit is over.
func (r *record) end() time.Time { return r.Start.Add(r.Request.Duration) }

// dead reports whether it will not take place.
func (r *record) dead() bool { return r.Cancelled != nil || !r.Lapsed.IsZero() || !r.Gone.IsZero() }

// booked reports whether it will take place, as far as is known.
func (r *record) booked() bool { return !r.dead() && (r.Request.Price.IsZero() || r.Paid != nil) }

// wantsMeeting reports whether there is to be a video meeting.
func (r *record) wantsMeeting() bool { return r.Request.Provider != "" }

// met reports whether the meeting is as it is wanted, with a link, or none is wanted.
func (r *record) met() bool {
	return !r.wantsMeeting() || r.Meeting.JoinURL != "" && !r.Meeting.Gone && r.Meeting.Start.Equal(r.Start)
}

// ready reports whether patient and doctor may be told that it takes place at Start.
func (r *record) ready() bool { return r.booked() && r.Kept == r.Gen && r.met() }

// back says how the money stands that goes back: of several refunds, what is worst.
func (r *record) back() refund {
	if len(r.Refunds) == 0 {
		return refund{}
	}
	order := []payments.RefundStatus{payments.RefundFailed, payments.RefundCreated, payments.RefundPending, payments.RefundProcessed}
	worst := slices.MinFunc(r.Refunds, func(a, b refund) int {
		return cmp.Compare(slices.Index(order, a.Status), slices.Index(order, b.Status))
	})
	total := payments.Money{Currency: worst.Amount.Currency}
	for _, one := range r.Refunds {
		if one.Status != payments.RefundFailed || worst.Status == payments.RefundFailed {
			total.Minor += one.Amount.Minor
		}
	}
	return refund{Amount: total, Status: worst.Status}
}
