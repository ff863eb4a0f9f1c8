package visit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/payments"
)

// Checkout is what a page needs on which the patient pays.
type Checkout struct {
	Visit *Visit
	// Options are what the gateway's script takes, with what the patient would type: their
	// own name, address and number. Nil if there is nothing to pay, or not any more.
	Options json.RawMessage
}

// Checkout makes the order that the patient is to pay, or finds it: call it for each view of
// the page. After telemed.ErrAmbiguous or telemed.ErrUnavailable call it again; the
// reservation runs on meanwhile. An id that is not known is telemed.ErrNotFound.
func (v *Visits) Checkout(ctx context.Context, id string) (*Checkout, error) {
	_, r, err := v.read(ctx, id)
	if err != nil {
		return nil, err
	}
	page := &Checkout{Visit: r.visit("")}
	if r.status() != StatusReserved {
		return page, nil
	}
	if v.bills == nil {
		return nil, fault.Invalid("visit: Checkout", "Gateway", "is not configured any more")
	}
	order, err := v.order(ctx, r)
	if err != nil || order == nil {
		return page, err
	}
	c, err := v.clinicOf(ctx, r.Request.Tenant)
	if err != nil {
		return nil, err
	}
	p := r.Request.Patient
	page.Options, err = c.Gateway.Checkout(order, payments.CheckoutUI{
		Name: c.Clinic, Locale: p.Locale, Prefill: payments.Prefill{Name: p.Name, Email: p.Email, Phone: p.Phone},
	})
	if err != nil {
		return nil, fmt.Errorf("visit: Checkout: %w", err)
	}
	return page, nil
}

// order returns what is to be paid, nil if nothing is any more.
func (v *Visits) order(ctx context.Context, r *record) (*payments.Order, error) {
	err := v.bills.Open(ctx, r.bill())
	if errors.Is(err, telemed.ErrInvalid) { // the reservation is over
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("visit: Checkout: %w", err)
	}
	order, err := v.bills.Checkout(ctx, r.Request.ID)
	switch {
	case errors.Is(err, telemed.ErrConflict): // it was paid, or lapses just now
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("visit: Checkout: %w", err)
	case order.IsPaid():
		return nil, nil
	}
	return order, nil
}
