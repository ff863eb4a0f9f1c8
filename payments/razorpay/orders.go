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

// The limits that Razorpay sets to an order, and to a list.
// https://razorpay.com/docs/api/orders/create
const (
	maxReceipt = 40
	pageSize   = 100
	maxPages   = 20
)

// CreateOrder opens an order. The Key is Razorpay's receipt: it may have 40 characters, and
// makes one order.
//
// Config.Claims sees to it. Whoever claims the Key makes the order, with one request; the
// others wait for it, in all processes, and so does whoever calls again: then the order is
// read by its id. If an order may or may not have been made, for the answer was lost and
// no order is found, the error is telemed.ErrAmbiguous and the claim stays for 25 seconds.
// The first call after that, as after a process that died, looks for the receipt at
// Razorpay, and makes the order only if there is none. A call meanwhile waits for that; if
// its deadline is nearer, it is told telemed.ErrAmbiguous.
//
// With Config.UniqueReceipt Razorpay itself sees to it, and Claims are not asked.
//
// Razorpay finds receipts by a part of them, so a Key should not be a part of many others:
// "bill_000123", not "1".
//
// https://razorpay.com/docs/api/orders/create
func (c *Client) CreateOrder(ctx context.Context, req payments.OrderRequest) (*payments.Order, error) {
	const op = "CreateOrder"
	if err := req.Validate(); err != nil { // Razorpay's limits are in it
		return nil, err
	}
	order, err := c.onceByReceipt(ctx, op, req)
	if err != nil {
		return nil, err
	}
	if !fits(order, req) {
		return nil, refuse(op, payments.ErrKeyConflict)
	}
	return order, nil
}

// onceByReceipt makes the order of a receipt once, by Razorpay's own promise or by a claim.
func (c *Client) onceByReceipt(ctx context.Context, op string, req payments.OrderRequest) (*payments.Order, error) {
	if !c.unique {
		return c.orderOnce(ctx, op, req)
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	return c.makeOrder(ctx, op, req)
}

// fits reports whether an order is the one that req asks for.
func fits(o *payments.Order, req payments.OrderRequest) bool {
	return o.Amount == req.Amount && o.Key == req.Key
}

// makeOrder makes an order. If its answer is lost, or Razorpay says that the receipt was
// used, the order is looked up by its receipt. It may be of another amount.
func (c *Client) makeOrder(ctx context.Context, op string, req payments.OrderRequest) (*payments.Order, error) {
	order, err := c.postOrder(ctx, op, req)
	if err == nil || !errors.Is(err, telemed.ErrAmbiguous) && !hasKind(err, errReceiptTaken) {
		return order, err
	}
	if found, lookErr := c.lookUp(ctx, op, req); lookErr == nil {
		return found, nil
	}
	return nil, err
}

func (c *Client) postOrder(ctx context.Context, op string, req payments.OrderRequest) (*payments.Order, error) {
	body := orderBody{Amount: req.Amount.Minor, Currency: req.Amount.Currency, Notes: req.Notes, Receipt: req.Key, UniqueReceipt: c.unique}
	if req.Capture != payments.CaptureDefault {
		body.Capture = new(req.Capture == payments.CaptureAutomatic)
	}
	var got orderAnswer
	if err := c.do(ctx, call{op: op, method: http.MethodPost, path: "/v1/orders", body: &body, repeat: c.unique}, &got); err != nil {
		return nil, err
	}
	return got.Order, nil
}

// lookUp finds the order of a Key: one of the amount that req asks for, if there is one.
// None is ErrNotFound.
func (c *Client) lookUp(ctx context.Context, op string, req payments.OrderRequest) (*payments.Order, error) {
	orders, err := c.byReceipt(ctx, op, req.Key)
	if err != nil {
		return nil, err
	}
	if len(orders) == 0 {
		return nil, refuse(op, telemed.ErrNotFound)
	}
	if i := slices.IndexFunc(orders, func(o *payments.Order) bool { return fits(o, req) }); i >= 0 {
		return orders[i], nil
	}
	return orders[0], nil
}

// wayOfOrder lists the statuses in the order in which an order goes through them.
var wayOfOrder = []payments.OrderStatus{payments.OrderCreated, payments.OrderAttempted, payments.OrderPaid}

// byReceipt lists the orders with exactly this receipt, the one that got furthest first, for
// money may be reserved for an attempted one; of equals the newest, as Razorpay lists them.
// Razorpay's filter matches a part of a receipt, so others come along and are left out.
func (c *Client) byReceipt(ctx context.Context, op, receipt string) ([]*payments.Order, error) {
	var found []*payments.Order
	take := func(item *orderAnswer) error {
		if item.Key != receipt {
			return nil
		}
		found = append(found, item.Order)
		return item.Check()
	}
	whole, err := pages(ctx, c, op, "/v1/orders", map[string]any{"receipt": receipt}, take)
	if err != nil {
		return nil, err
	}
	if !whole {
		return nil, fault.Invalid("razorpay: "+op, "Key", "is part of more than %d other receipts", maxPages*pageSize)
	}
	slices.SortStableFunc(found, func(a, b *payments.Order) int {
		return slices.Index(wayOfOrder, b.Status) - slices.Index(wayOfOrder, a.Status)
	})
	return found, nil
}

// pages reads a list to its end, and reports whether it got there.
func pages[T any](ctx context.Context, c *Client, op, path string, query map[string]any, take func(*T) error) (whole bool, err error) {
	query["count"] = pageSize
	for n := range maxPages {
		query["skip"] = n * pageSize
		got := page[T]{take: take}
		if err := c.do(ctx, call{op: op, method: http.MethodGet, path: path, query: query}, &got); err != nil {
			return false, err
		}
		if len(*got.Items) < pageSize {
			return true, nil
		}
	}
	return false, nil
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
	return c.order(ctx, op, orderID)
}

func (c *Client) order(ctx context.Context, op, id string) (*payments.Order, error) {
	got := orderAnswer{asked: id}
	if err := c.do(ctx, call{op: op, method: http.MethodGet, path: rest.Path("v1", "orders", id)}, &got); err != nil {
		return nil, err
	}
	return got.Order, nil
}

// OrdersByKey finds all orders of a Key, as [payments.OrderFinder] says.
//
// https://razorpay.com/docs/api/orders/fetch-all
func (c *Client) OrdersByKey(ctx context.Context, key string) ([]*payments.Order, error) {
	const op = "OrdersByKey"
	if key == "" || utf8.RuneCountInString(key) > maxReceipt {
		return nil, fault.Invalid("razorpay: "+op, "Key", "must have 1 to %d characters", maxReceipt)
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	return c.byReceipt(ctx, op, key)
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
	var all []*payments.Payment
	got := page[paymentAnswer]{take: func(item *paymentAnswer) error {
		item.of, all = orderID, append(all, item.Payment)
		return item.Check()
	}}
	if err := c.do(ctx, call{op: op, method: http.MethodGet, path: rest.Path("v1", "orders", orderID, "payments")}, &got); err != nil {
		return nil, err
	}
	return all, nil
}
