package fulfill

import (
	"fmt"
	"net/url"
	"time"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/store/durable"
)

// version is that of record.
const version = 1

// record is a bill's row: what is wanted, which the application changes, and what is
// known, which only grows. There is no person in it. A field that is added to it, and is not
// known to others yet, they keep; one that is added inside of it needs a new version.
type record struct {
	// What is wanted.
	Amount    payments.Money    `json:"amount"`
	Notes     map[string]string `json:"notes,omitempty"`
	Until     time.Time         `json:"until,omitzero"`
	Cancelled time.Time         `json:"cancelled,omitzero"`
	// Asked counts who said look, Answered how many of them had said so before the last
	// look began.
	Asked    int `json:"asked,omitempty"`
	Answered int `json:"answered,omitempty"`

	// What is known.
	//
	// Known counts how often something became known from the gateway.
	Known     int            `json:"known,omitempty"`
	Begun     time.Time      `json:"begun,omitzero"`  // when a checkout began; sweeps count from it
	Looked    time.Time      `json:"looked,omitzero"` // when the last look began
	Sweeps    int            `json:"sweeps,omitempty"`
	Orders    []orderKnown   `json:"orders,omitempty"`
	Payments  []paymentKnown `json:"payments,omitempty"`
	Refunds   []refundKnown  `json:"refunds,omitempty"`
	Lapsed    time.Time      `json:"lapsed,omitzero"`
	Fulfilled time.Time      `json:"fulfilled,omitzero"`
	By        string         `json:"by,omitempty"` // the order that pays it
	Gone      time.Time      `json:"gone,omitzero"`
	// Unheard is set when a sweep found what webhooks should have brought.
	Unheard bool `json:"unheard,omitempty"`
	Told    told `json:"told,omitzero"`
	// Rests has what failed, until it is done.
	Rests durable.Rests `json:"rests,omitempty"`

	trail durable.Trail
}

// told is what Notify was told of the bill.
type told struct {
	Lapsed  bool `json:"lapsed,omitempty"`
	Unheard bool `json:"unheard,omitempty"`
}

// orderKnown is an order of the bill.
type orderKnown struct {
	ID     string         `json:"id"`
	Amount payments.Money `json:"amount"`
	Paid   bool           `json:"paid,omitempty"`
}

// paymentKnown is a payment of one of the orders.
type paymentKnown struct {
	ID       string                 `json:"id"`
	OrderID  string                 `json:"order"`
	Amount   payments.Money         `json:"amount"`
	Refunded payments.Money         `json:"refunded"`
	Status   payments.PaymentStatus `json:"status"`
	At       time.Time              `json:"at,omitzero"`
	// Auto is set if the gateway has given it back by itself and never took the money.
	Auto bool `json:"auto,omitempty"`
	// Taken is set once the gateway has answered that it is captured, Refused if it does not
	// capture it as it is.
	Taken   bool `json:"taken,omitempty"`
	Refused bool `json:"refused,omitempty"`
	// Orphan says whether Notify is to be told, or was, that it buys nothing.
	Orphan toldOrphan `json:"orphan,omitempty"`
}

type toldOrphan string

const (
	orphanSeen toldOrphan = "seen"
	orphanTold toldOrphan = "told"
)

// refundKnown is a refund that is wanted, or that somebody made by hand.
type refundKnown struct {
	Key       string                `json:"key,omitempty"`  // empty: made by hand
	Part      int                   `json:"part,omitempty"` // of a refund of several payments, from 0
	Attempt   int                   `json:"attempt,omitempty"`
	PaymentID string                `json:"payment"`
	Amount    payments.Money        `json:"amount"`
	ID        string                `json:"id,omitempty"` // empty: not asked for yet
	Status    payments.RefundStatus `json:"status,omitempty"`
	AskedAt   time.Time             `json:"asked_at,omitzero"`
	Checks    int                   `json:"checks,omitempty"`
	Told      payments.RefundStatus `json:"told,omitempty"`
	Late      bool                  `json:"late,omitempty"` // Notify was told that it takes too long
	// Elsewhere is when the gateway said that nothing is left, for the money was given back by
	// other means before this was asked for.
	Elsewhere time.Time `json:"elsewhere,omitzero"`
	// Retried is set once there is a further attempt.
	Retried bool                 `json:"retried,omitempty"`
	Speed   payments.RefundSpeed `json:"speed,omitempty"`
}

// markNote names the note of a refund at the gateway that says which one it is.
const markNote = "refund"

// mark tells the refunds of one bill apart.
func (r refundKnown) mark() string { return fmt.Sprintf("%s/%d/%d", r.Key, r.Part, r.Attempt) }

// request asks the gateway for the refund: with the same words each time, or its key would
// be used for another request.
func (r refundKnown) request(bill string) payments.RefundRequest {
	return payments.RefundRequest{
		PaymentID: r.PaymentID, Amount: &r.Amount, Key: url.PathEscape(bill) + "/" + r.mark(), Speed: r.Speed,
		Notes: map[string]string{markNote: r.mark()},
	}
}

func (r *record) audit(what string) { r.trail.Add(what) }

// words are those of a gateway that the audit trail repeats.
var words = fault.NewWords(
	"created", "attempted", "authorized", "captured", "paid", "refunded", "failed", "pending", "processed",
)

func word(status string) string {
	if known := words.Known(status); known != "" {
		return known
	}
	return "of another status"
}

var form = durable.Form[record]{Name: "fulfill", Version: version}

// edit changes a row, which is then kept for a while.
func edit(item *durable.Item, keep time.Duration, change func(rec *record) error) error {
	return form.Edit(item, func(rec *record, trail *durable.Trail) error {
		rec.trail = *trail
		if err := change(rec); err != nil {
			return err
		}
		*trail = rec.trail
		item.EraseAt = rec.end(time.Now()).Add(keep)
		return nil
	})
}

// end is when nothing is left to be done, as far as is known now.
func (r *record) end(now time.Time) time.Time {
	end := now
	later := func(t time.Time) {
		if t.After(end) {
			end = t
		}
	}
	later(r.Until)
	later(r.Begun.Add(sweeps[len(sweeps)-1]))
	for _, refund := range r.Refunds {
		later(refund.AskedAt.Add(refundChecks[len(refundChecks)-1]))
	}
	return end
}
