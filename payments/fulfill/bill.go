package fulfill

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/store/durable"
)

// Bill is what somebody is to pay for. It is written down, and its Key and Notes are shown
// by the gateway: nobody's name, no diagnosis.
type Bill struct {
	// Key is the application's own id of it. Its orders at the gateway have the same Key, and
	// are found by it, so that nothing else that sells over the same account may use it: "bill
	// 42 of the clinic", not "42". At most 40 characters. Required.
	Key string
	// Tenant is whose bill it is, in an application that serves several clinics: at most 128
	// bytes.
	Tenant string
	// Amount is what is to be paid; see payments.OrderRequest. Required.
	Amount payments.Money
	// Notes go to the gateway with each order; see payments.OrderRequest.
	Notes map[string]string
	// Until is when the reservation lapses of what is not paid: when the gateway is asked
	// then, or as soon after it as it can be, and says so. What is paid by that moment, or
	// authorized and then captured, counts; a payment that comes later buys nothing. Zero:
	// never.
	Until time.Time
}

// longestWait bounds Until: what is farther away was computed wrongly.
const longestWait = 10 * 365 * 24 * time.Hour

func (b Bill) validate() error {
	var p fault.Problems
	p.Check(b.Until.IsZero() || time.Until(b.Until) < longestWait, "Until", "is more than ten years away")
	order := payments.OrderRequest{Amount: b.Amount, Key: b.Key, Notes: b.Notes}
	return cmp.Or(order.Validate(), p.Err("fulfill: bill"), durable.CheckItem(durable.Item{ID: durable.ID{Kind: RowKind, Name: b.Key}, Tenant: b.Tenant}))
}

// RowKind is the durable.ID's Kind of a bill's row, unless Config.Kind says otherwise.
const RowKind = "bill"

func (w *Writer) rowID(key string) durable.ID { return durable.ID{Kind: w.kind, Name: key} }

// Writer says what is wanted of bills. It writes rows and never asks the gateway, so that
// it can write in the application's own transaction; see Fulfiller.WithStore. It is safe
// for concurrent use as far as its Store is.
//
// A Key that is not known is telemed.ErrNotFound; what cannot be had any more is
// telemed.ErrConflict.
type Writer struct {
	store durable.Store
	kind  string
	wake  func()
	keep  time.Duration
	speed payments.RefundSpeed
}

// Open writes a bill down. The same bill again is no error and changes nothing: the first
// Notes and Until hold. The same Key with another Amount or Tenant is
// payments.ErrKeyConflict.
func (w *Writer) Open(ctx context.Context, b Bill) error {
	if err := b.validate(); err != nil {
		return err
	}
	return w.change(ctx, b.Key, func(item *durable.Item, rec *record) error {
		if item.Revision != "" {
			if rec.Amount != b.Amount || item.Tenant != b.Tenant {
				return fmt.Errorf("fulfill: Open: %w", payments.ErrKeyConflict)
			}
			return nil
		}
		if !b.Until.IsZero() && !b.Until.After(time.Now()) {
			return fault.Invalid("fulfill: bill", "Until", "is over")
		}
		item.Tenant = b.Tenant
		rec.Amount, rec.Notes, rec.Until = b.Amount, b.Notes, b.Until
		rec.audit("opened")
		item.Due = b.Until
		return nil
	})
}

// Cancel says that a bill is not to be paid or fulfilled any more. Money that came for it
// all the same buys nothing. Again it is no error. A bill that is fulfilled is
// telemed.ErrConflict: give money back by Refund. If Fulfill is under way, both happen, and
// the money goes back.
func (w *Writer) Cancel(ctx context.Context, key string) error {
	return w.update(ctx, key, func(rec *record) error {
		switch {
		case !rec.Cancelled.IsZero():
			return nil
		case !rec.Fulfilled.IsZero():
			return fmt.Errorf("fulfill: Cancel: the bill is fulfilled: %w", telemed.ErrConflict)
		}
		rec.cancel("cancelled")
		rec.Asked++ // a payment may be under way
		return nil
	})
}

// RefundRequest asks to give money back.
type RefundRequest struct {
	// Key is the application's own id of this refund, unique within the bill: "cancelled".
	// The same Key never gives money back twice. At most 64 bytes. Required.
	Key string
	// Amount is how much, more than zero. Nil: all that is left.
	Amount *payments.Money
}

func (r RefundRequest) validate() error {
	var p fault.Problems
	p.Required("Key", r.Key)
	p.Check(len(r.Key) <= 64, "Key", "is longer than 64 bytes")
	p.Check(utf8.ValidString(r.Key) && strings.IndexFunc(r.Key, unicode.IsControl) < 0, "Key", "is not UTF-8 without control characters")
	p.Check(!strings.HasPrefix(r.Key, orphanKey), "Key", "begins with %q", orphanKey)
	if r.Amount != nil {
		p.Check(r.Amount.Minor > 0, "Amount", "is not more than zero")
		p.Check(r.Amount.Currency.Known(), "Amount", "has no known currency")
	}
	return p.Err("fulfill: refund")
}

// Refund says that money is to be given back. It is refused now if it cannot be: an amount
// beyond what was paid, is not given back and is not wanted back already is
// telemed.ErrConflict. The same Key again is no error; with another amount it is
// payments.ErrKeyConflict. A bill that is not fulfilled yet and of which all is wanted back
// is cancelled by it.
func (w *Writer) Refund(ctx context.Context, key string, req RefundRequest) error {
	if err := req.validate(); err != nil {
		return err
	}
	return w.update(ctx, key, func(rec *record) error { return rec.want(req, w.speed) })
}

// RetryRefund asks again for a refund that failed, as a new one at the gateway. If none of
// this key has failed, or the money was given back otherwise, it is telemed.ErrConflict. Of
// an orphan, what is left is asked for.
func (w *Writer) RetryRefund(ctx context.Context, key, refundKey string) error {
	return w.update(ctx, key, func(rec *record) error { return rec.retry(refundKey) })
}

// update changes the record of a bill that is known, and has it looked after.
func (w *Writer) update(ctx context.Context, key string, change func(rec *record) error) error {
	return w.updateItem(ctx, key, func(_ *durable.Item, rec *record) error { return change(rec) })
}

func (w *Writer) updateItem(ctx context.Context, key string, change func(item *durable.Item, rec *record) error) error {
	return w.change(ctx, key, func(item *durable.Item, rec *record) error {
		if item.Revision == "" {
			return fmt.Errorf("fulfill: %s: %w", item.ID, telemed.ErrNotFound)
		}
		if err := change(item, rec); err != nil {
			return err
		}
		item.Due, item.Stuck, item.Attempts = time.Now(), "", 0
		rec.Rests.End()
		return nil
	})
}

func (w *Writer) change(ctx context.Context, key string, change func(item *durable.Item, rec *record) error) error {
	if err := durable.CheckID(w.rowID(key)); err != nil {
		return err
	}
	_, err := durable.Change(ctx, w.store, w.rowID(key), func(item *durable.Item) error {
		return edit(item, w.keep, func(rec *record) error { return change(item, rec) })
	})
	if err == nil && w.wake != nil {
		w.wake()
	}
	return err
}
