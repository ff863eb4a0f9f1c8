package fulfill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/store/durable"
)

// Bill is what somebody is to pay for. It is written down, and its Key and Notes are shown
// by the gateway: nobody's name, no diagnosis.
type Bill struct {
	// Key is the application's own id of it. Its orders at the gateway have the same Key, so
	// it keeps to what the gateway takes there: at most 40 characters for Razorpay. Required.
	Key string
	// Tenant is whose bill it is, in an application that serves several clinics.
	Tenant string
	// Amount is what is to be paid. Required.
	Amount payments.Money
	// Notes go to the gateway with each order.
	Notes map[string]string
	// Until is when the reservation lapses of what is not paid by then. A payment that comes
	// later buys nothing. Zero: never.
	Until time.Time
}

func (b Bill) validate() error {
	var p fault.Problems
	order := payments.OrderRequest{Amount: b.Amount, Key: b.Key, Notes: b.Notes}
	return cmp.Or(p.Err("fulfill: bill"), order.Validate(), durable.CheckItem(durable.Item{ID: rowID(b.Key), Tenant: b.Tenant, Due: b.Until}))
}

// RowKind is the durable.ID's Kind of a bill's row.
const RowKind = "bill"

func rowID(key string) durable.ID { return durable.ID{Kind: RowKind, Name: key} }

// Writer says what is wanted of bills. It writes rows and never asks the gateway, so that
// it can write in the application's own transaction; see Fulfiller.WithStore. It is safe
// for concurrent use as far as its Store is.
//
// A Key that is not known is telemed.ErrNotFound; what cannot be had any more is
// telemed.ErrConflict.
type Writer struct {
	store durable.Store
	wake  func()
	keep  time.Duration
}

// Open writes a bill down. The same bill again is no error; the same Key with another
// amount is payments.ErrKeyConflict.
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
		item.Tenant = b.Tenant
		rec.Amount, rec.Notes, rec.Until = b.Amount, b.Notes, b.Until
		rec.audit("opened")
		item.Due = b.Until
		return nil
	})
}

// Cancel says that a bill is not to be paid or fulfilled any more. Money that came for it
// all the same buys nothing. What was fulfilled stays so: give money back by Refund.
func (w *Writer) Cancel(ctx context.Context, key string) error {
	return w.update(ctx, key, func(rec *record) error {
		if rec.Cancelled.IsZero() {
			rec.Cancelled = time.Now()
			rec.audit("cancelled")
		}
		return nil
	})
}

// RefundRequest asks to give money back.
type RefundRequest struct {
	// Key is the application's own id of this refund, unique within the bill: "cancelled".
	// The same Key never gives money back twice. Required.
	Key string
	// Amount is how much. Zero: all that is left.
	Amount payments.Money
}

// Refund says that money is to be given back. It is refused now if there is not as much:
// an amount beyond what was paid, is not given back and is not wanted back already is
// telemed.ErrConflict. The same Key again is no error; with another amount it is
// payments.ErrKeyConflict.
func (w *Writer) Refund(ctx context.Context, key string, req RefundRequest) error {
	var p fault.Problems
	p.Required("Key", req.Key)
	p.Check(len(req.Key) <= 64, "Key", "is longer than 64 bytes")
	p.Check(!strings.HasPrefix(req.Key, orphanKey), "Key", "begins with %q", orphanKey)
	p.Check(req.Amount.Minor >= 0, "Amount", "is negative")
	if err := p.Err("fulfill: refund"); err != nil {
		return err
	}
	return w.update(ctx, key, func(rec *record) error { return rec.want(req) })
}

// RetryRefund asks again for a refund that failed, as a new one at the gateway.
func (w *Writer) RetryRefund(ctx context.Context, key, refundKey string) error {
	return w.update(ctx, key, func(rec *record) error {
		again := false
		for i := range rec.Refunds {
			if r := &rec.Refunds[i]; r.Key == refundKey && r.Status == payments.RefundFailed {
				*r = refundKnown{Key: r.Key, Part: r.Part, Attempt: r.Attempt + 1, PaymentID: r.PaymentID, Amount: r.Amount}
				again = true
			}
		}
		if !again {
			return fmt.Errorf("fulfill: RetryRefund: no refund of this key has failed: %w", telemed.ErrConflict)
		}
		rec.audit("refund wanted again")
		return nil
	})
}

// update changes the record of a bill that is known, and has it looked after.
func (w *Writer) update(ctx context.Context, key string, change func(rec *record) error) error {
	return w.change(ctx, key, func(item *durable.Item, rec *record) error {
		if item.Revision == "" {
			return fmt.Errorf("fulfill: %s: %w", item.ID, telemed.ErrNotFound)
		}
		if err := change(rec); err != nil {
			return err
		}
		item.Due, item.Stuck, item.Attempts = time.Now(), "", 0
		return nil
	})
}

func (w *Writer) change(ctx context.Context, key string, change func(item *durable.Item, rec *record) error) error {
	if err := durable.CheckID(rowID(key)); err != nil {
		return err
	}
	_, err := durable.Change(ctx, w.store, rowID(key), func(item *durable.Item) error {
		if item.Version > version {
			return fmt.Errorf("fulfill: %s is of a later version: %w", item.ID, errors.ErrUnsupported)
		}
		return edit(item, w.keep, func(rec *record) error { return change(item, rec) })
	})
	if err == nil && w.wake != nil {
		w.wake()
	}
	return err
}
