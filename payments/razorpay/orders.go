package razorpay

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"unicode/utf8"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/rest"
	"github.com/telemed-go/telemed/payments"
)

// The limits that Razorpay sets to an order.
// https://razorpay.com/docs/api/orders/create
const (
	maxReceipt = 40
	minPaise   = 100 // INR 1.00
	pageSize   = 100
	maxPages   = 20
)

// CreateOrder opens an order. The Key is Razorpay's receipt: it may have 40 characters
// and makes one order. It is looked up before (unless Config.UniqueReceipt is set) and,
// if the answer is lost, after. Two concurrent calls with one Key may still make two
// orders, unless UniqueReceipt is set. Razorpay finds receipts by a part of them, so a
// Key should not be a part of many others: "bill_000123", not "1".
//
// https://razorpay.com/docs/api/orders/create
func (c *Client) CreateOrder(ctx context.Context, req payments.OrderRequest) (*payments.Order, error) {
	const op = "CreateOrder"
	if err := validateOrder(req); err != nil {
		return nil, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	if !c.unique {
		order, err := c.sameOrder(ctx, op, req)
		if !errors.Is(err, telemed.ErrNotFound) {
			return order, err
		}
	}
	order, err := c.postOrder(ctx, op, req)
	if err == nil || !errors.Is(err, telemed.ErrAmbiguous) && !hasKind(err, errReceiptTaken) {
		return order, err
	}
	if found, lookErr := c.sameOrder(ctx, op, req); lookErr == nil || errors.Is(lookErr, payments.ErrKeyConflict) {
		return found, lookErr
	}
	return nil, err
}

func (c *Client) postOrder(ctx context.Context, op string, req payments.OrderRequest) (*payments.Order, error) {
	data := map[string]any{"amount": req.Amount.Minor, "currency": string(req.Amount.Currency), "receipt": req.Key}
	if len(req.Notes) > 0 {
		data["notes"] = req.Notes
	}
	if req.Capture != payments.CaptureDefault {
		data["payment_capture"] = req.Capture == payments.CaptureAutomatic
	}
	if c.unique {
		data["unique_receipt"] = true
	}
	var got wireOrder
	if err := c.do(ctx, call{op: op, method: http.MethodPost, path: "/v1/orders", data: data, repeat: c.unique}, &got); err != nil {
		return nil, err
	}
	order := got.order()
	if order.Amount != req.Amount || order.Key != req.Key {
		return nil, refuse(op, payments.ErrKeyConflict)
	}
	return order, nil
}

// sameOrder finds the order that req asked for before, ErrNotFound if it did not.
func (c *Client) sameOrder(ctx context.Context, op string, req payments.OrderRequest) (*payments.Order, error) {
	orders, err := c.byReceipt(ctx, op, req.Key)
	if err != nil {
		return nil, err
	}
	best := better(orders, func(o *payments.Order) bool { return o.Amount == req.Amount })
	switch {
	case best != nil:
		return best, nil
	case len(orders) > 0:
		return nil, refuse(op, payments.ErrKeyConflict)
	}
	return nil, refuse(op, telemed.ErrNotFound)
}

// wayOfOrder lists the statuses in the order in which an order goes through them.
var wayOfOrder = []payments.OrderStatus{payments.OrderCreated, payments.OrderAttempted, payments.OrderPaid}

// better picks the order that got furthest, for money may be reserved for an
// attempted one, and the newest of equals; Razorpay lists the newest first.
func better(orders []*payments.Order, fits func(*payments.Order) bool) *payments.Order {
	var best *payments.Order
	for _, order := range orders {
		if fits(order) && (best == nil || slices.Index(wayOfOrder, order.Status) > slices.Index(wayOfOrder, best.Status)) {
			best = order
		}
	}
	return best
}

// byReceipt lists the orders with exactly this receipt. Razorpay's filter
// matches a part of it, so others come along and are left out here.
func (c *Client) byReceipt(ctx context.Context, op, receipt string) ([]*payments.Order, error) {
	var found []*payments.Order
	for n := range maxPages {
		var got page[wireOrder]
		query := map[string]any{"receipt": receipt, "count": pageSize, "skip": n * pageSize}
		if err := c.do(ctx, call{op: op, method: http.MethodGet, path: "/v1/orders", data: query}, &got); err != nil {
			return nil, err
		}
		for _, item := range *got.Items {
			if string(item.Receipt) == receipt && item.Check() == nil {
				found = append(found, item.order())
			}
		}
		if len(*got.Items) < pageSize {
			return found, nil
		}
	}
	return nil, fault.Invalid("razorpay: "+op, "Key", "is part of more than %d other receipts", maxPages*pageSize)
}

// Order reads an order.
//
// https://razorpay.com/docs/api/orders/fetch-with-id
func (c *Client) Order(ctx context.Context, orderID string) (*payments.Order, error) {
	const op = "Order"
	if err := checkID(op, "OrderID", orderID, "order"); err != nil {
		return nil, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	got := wireOrder{asked: orderID}
	if err := c.do(ctx, call{op: op, method: http.MethodGet, path: rest.Path("v1", "orders", orderID)}, &got); err != nil {
		return nil, err
	}
	return got.order(), nil
}

// OrderByKey finds the order of a Key; if there are several, a paid one
// before an attempted one before the newest.
//
// https://razorpay.com/docs/api/orders/fetch-all
func (c *Client) OrderByKey(ctx context.Context, receipt string) (*payments.Order, error) {
	const op = "OrderByKey"
	if receipt == "" || utf8.RuneCountInString(receipt) > maxReceipt {
		return nil, fault.Invalid("razorpay: "+op, "Key", "must have 1 to %d characters", maxReceipt)
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	orders, err := c.byReceipt(ctx, op, receipt)
	if err != nil {
		return nil, err
	}
	if best := better(orders, func(*payments.Order) bool { return true }); best != nil {
		return best, nil
	}
	return nil, refuse(op, telemed.ErrNotFound)
}

// OrderPayments lists the attempts to pay an order, the newest first.
//
// https://razorpay.com/docs/api/orders/fetch-payments
func (c *Client) OrderPayments(ctx context.Context, orderID string) ([]*payments.Payment, error) {
	const op = "OrderPayments"
	if err := checkID(op, "OrderID", orderID, "order"); err != nil {
		return nil, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	var got page[wirePayment]
	if err := c.do(ctx, call{op: op, method: http.MethodGet, path: rest.Path("v1", "orders", orderID, "payments")}, &got); err != nil {
		return nil, err
	}
	var all []*payments.Payment
	for _, item := range *got.Items {
		all = append(all, item.payment())
	}
	return all, nil
}

func validateOrder(req payments.OrderRequest) error {
	if err := req.Validate(); err != nil {
		return err
	}
	var p fault.Problems
	p.Check(utf8.RuneCountInString(req.Key) <= maxReceipt, "Key", "has more than %d characters", maxReceipt)
	checkNotes(&p, req.Notes)
	p.Check(req.Amount.Currency != "INR" || req.Amount.Minor >= minPaise, "Amount", "is less than INR 1.00")
	if exponent, _ := req.Amount.Currency.Exponent(); exponent == 3 {
		p.Check(req.Amount.Minor%10 == 0, "Amount", "must end in 0: of three digits behind the point the last cannot be charged")
	}
	return p.Err("razorpay: CreateOrder")
}
