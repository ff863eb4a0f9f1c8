package razorpay

import (
	"context"
	"net/http"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/rest"
	"github.com/telemed-go/telemed/payments"
)

// RefundByID reads a refund.
//
// https://razorpay.com/docs/api/refunds/fetch-specific-refund
func (c *Client) RefundByID(ctx context.Context, refundID string) (*payments.Refund, error) {
	const op = "RefundByID"
	if err := checkID(op, "RefundID", refundID, "rfnd"); err != nil {
		return nil, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	got := refundAnswer{asked: refundID}
	if err := c.do(ctx, call{op: op, method: http.MethodGet, path: rest.Path("v1", "refunds", refundID)}, &got); err != nil {
		return nil, err
	}
	return got.Refund, nil
}

// PaymentRefunds lists all refunds of a payment, as [payments.RefundFinder] says.
//
// https://razorpay.com/docs/api/refunds/fetch-multiple-refund-payment
func (c *Client) PaymentRefunds(ctx context.Context, paymentID string) ([]*payments.Refund, error) {
	const op = "PaymentRefunds"
	if err := checkID(op, "PaymentID", paymentID, "pay"); err != nil {
		return nil, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	var all []*payments.Refund
	take := func(item *refundAnswer) error {
		item.of, all = paymentID, append(all, item.Refund)
		return item.Check()
	}
	whole, err := pages(ctx, c, op, rest.Path("v1", "payments", paymentID, "refunds"), map[string]any{}, take)
	if err != nil {
		return nil, err
	}
	if !whole {
		return nil, fault.Invalid("razorpay: "+op, "PaymentID", "has more than %d refunds", maxPages*pageSize)
	}
	return all, nil
}
