package fulfill

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/store/durable"
)

// version is that of record.
const version = 1

// record is a bill's row: what is wanted, which the application changes, and what is
// known, which only grows. There is no person in it.
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
	Begun     time.Time      `json:"begun,omitzero"`  // when a checkout began last
	Looked    time.Time      `json:"looked,omitzero"` // when the last look began
	Sweeps    int            `json:"sweeps,omitempty"`
	Orders    []orderKnown   `json:"orders,omitempty"`
	Payments  []paymentKnown `json:"payments,omitempty"`
	Refunds   []refundKnown  `json:"refunds,omitempty"`
	Lapsed    time.Time      `json:"lapsed,omitzero"`
	Fulfilled time.Time      `json:"fulfilled,omitzero"`
	By        string         `json:"by,omitempty"` // the order that it was fulfilled for
	Gone      time.Time      `json:"gone,omitzero"`
	// Unheard is set when a sweep found what webhooks should have brought.
	Unheard bool `json:"unheard,omitempty"`
	Told    told `json:"told,omitzero"`

	log  []entry
	rest map[string]json.RawMessage // fields that this version does not know
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
	// Orphan is set once Notify was told that it buys nothing.
	Orphan bool `json:"orphan,omitempty"`
	// Refused is set if the gateway does not capture it as it is.
	Refused bool `json:"refused,omitempty"`
}

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
	// Elsewhere is set if the money was given back by other means before this was asked for.
	Elsewhere bool `json:"elsewhere,omitempty"`
}

// gatewayKey is the refund's key at the gateway.
func (r refundKnown) gatewayKey(bill string) string {
	return fmt.Sprintf("%s/%s/%d/%d", bill, r.Key, r.Part, r.Attempt)
}

// entry is a line of the audit trail.
type entry struct {
	At   time.Time `json:"at"`
	What string    `json:"what"`
}

// maxEntries bounds the audit trail; its first lines are kept.
const maxEntries = 200

func (r *record) audit(what string) {
	if len(r.log) < maxEntries {
		r.log = append(r.log, entry{time.Now().UTC().Truncate(time.Second), what})
	}
}

// open reads a row.
func open(item durable.Item) (*record, error) {
	rec := &record{}
	if len(item.Data) == 0 {
		return rec, nil
	}
	if json.Unmarshal(item.Data, rec) != nil || json.Unmarshal(item.Data, &rec.rest) != nil {
		return nil, fmt.Errorf("fulfill: %s cannot be read: %w", item.ID, telemed.ErrInvalid)
	}
	if len(item.Audit) > 0 && json.Unmarshal(item.Audit, &rec.log) != nil {
		return nil, fmt.Errorf("fulfill: the audit trail of %s cannot be read: %w", item.ID, telemed.ErrInvalid)
	}
	return rec, nil
}

// edit changes a row, which is then kept for a while. What another version has written
// beside stays.
func edit(item *durable.Item, keep time.Duration, change func(rec *record) error) error {
	rec, err := open(*item)
	if err != nil {
		return err
	}
	if err := change(rec); err != nil {
		return err
	}
	known, err := fields(rec)
	if err != nil {
		return err
	}
	for _, name := range knownFields {
		delete(rec.rest, name)
	}
	maps.Copy(known, rec.rest)
	if item.Data, err = json.Marshal(known); err != nil {
		return err
	}
	item.Audit, err = json.Marshal(rec.log)
	item.Version, item.EraseAt = version, later(time.Now(), rec.Until).Add(keep)
	return err
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func fields(rec *record) (map[string]json.RawMessage, error) {
	data, err := json.Marshal(rec)
	if err != nil {
		return nil, err
	}
	all := map[string]json.RawMessage{}
	return all, json.Unmarshal(data, &all)
}

// knownFields are the names of record's fields.
var knownFields = func() []string {
	var names []string
	for field := range reflect.TypeFor[record]().Fields() {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" {
			names = append(names, name)
		}
	}
	return names
}()

// dead reports whether the bill is not to be fulfilled any more.
func (r *record) dead() bool {
	return r.Fulfilled.IsZero() && (!r.Cancelled.IsZero() || !r.Lapsed.IsZero() || !r.Gone.IsZero())
}

// payer returns the order that pays the bill, or nil. It is of the bill's own amount.
func (r *record) payer() *orderKnown {
	for i, o := range r.Orders {
		if o.Paid && o.Amount == r.Amount && (r.By == "" || r.By == o.ID) {
			return &r.Orders[i]
		}
	}
	return nil
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

// want adds a refund to what is wanted, of one payment or of several.
func (r *record) want(req RefundRequest) error {
	if total, known := r.wanted(req.Key); known {
		if !req.Amount.IsZero() && req.Amount != total {
			return fmt.Errorf("fulfill: Refund: %w", payments.ErrKeyConflict)
		}
		return nil
	}
	missing, all := req.Amount.Minor, req.Amount.IsZero()
	var parts []refundKnown
	for _, p := range r.Payments {
		free := r.unspoken(p)
		if free.Minor == 0 || !all && (missing == 0 || free.Currency != req.Amount.Currency) {
			continue
		}
		if !all {
			free.Minor = min(free.Minor, missing)
			missing -= free.Minor
		}
		parts = append(parts, refundKnown{Key: req.Key, Part: len(parts), PaymentID: p.ID, Amount: free})
	}
	if len(parts) == 0 || missing > 0 {
		return fmt.Errorf("fulfill: Refund: there is not as much to give back: %w", telemed.ErrConflict)
	}
	r.Refunds = append(r.Refunds, parts...)
	r.audit("refund wanted")
	return nil
}

// wanted returns how much is wanted under a key.
func (r *record) wanted(key string) (total payments.Money, known bool) {
	for _, refund := range r.Refunds {
		if refund.Key == key {
			total = payments.Money{Minor: total.Minor + refund.Amount.Minor, Currency: refund.Amount.Currency}
			known = true
		}
	}
	return total, known
}

// orphans returns the payments that took money which buys nothing.
func (r *record) orphans() (found []paymentKnown) {
	payer := r.payer()
	spent := int64(0)
	for _, p := range r.Payments { // the oldest first
		switch {
		case p.Status != payments.PaymentCaptured:
		case r.dead():
			found = append(found, p)
		case payer == nil || p.OrderID != payer.ID:
			// A part of an order that is still open may be followed by the rest.
			if payer != nil || !r.amountFits(p.OrderID) || r.Sweeps == len(sweeps) {
				found = append(found, p)
			}
		case spent >= payer.Amount.Minor && payer.Amount.Currency == p.Amount.Currency:
			found = append(found, p)
		default:
			spent += p.Amount.Minor
		}
	}
	return found
}

func (r *record) amountFits(orderID string) bool {
	for _, o := range r.Orders {
		if o.ID == orderID {
			return o.Amount == r.Amount
		}
	}
	return true
}
