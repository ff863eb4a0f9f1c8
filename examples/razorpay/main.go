// Command razorpay takes a payment, fulfils what was paid for once, and gives it back.
//
// Without an account it walks the whole way against Razorpay on loopback. With
// RAZORPAY_KEY_ID and RAZORPAY_KEY_SECRET of a test account set, it makes an order there
// and says how to pay it. Live keys are refused.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/telemed-go/telemed/examples/internal/local"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/fulfill"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
	"github.com/telemed-go/telemed/store/durable"
)

func main() { local.Main(run) }

func run(ctx context.Context, out io.Writer, getenv func(string) string) error {
	providers := local.Providers{Getenv: getenv}
	defer providers.Close()
	cfg, err := providers.RazorpayConfig()
	if err != nil {
		return err
	}
	client, err := razorpay.New(cfg)
	if err != nil {
		return err
	}
	if client.Mode() != razorpay.Test {
		return errors.New("this example takes test keys (rzp_test_…) only")
	}

	bills, err := fulfill.New(fulfill.Config{
		Store:   durable.NewMemory(), // sqlstore's Rows in production
		Gateway: client,
		Fulfill: func(_ context.Context, paid fulfill.Paid) error {
			// It may be called again after a crash: book by paid.Key.
			_, err := fmt.Fprintln(out, "booked:", paid.OrderID, paid.Amount)
			return err
		},
		Notify: func(_ context.Context, n fulfill.Notice) error {
			_, err := fmt.Fprintln(out, "notice:", n.Kind, n.Amount)
			return err
		},
	})
	if err != nil {
		return err
	}
	// A server also has bills.Run going, and bills.Event behind its webhooks.
	key := fmt.Sprintf("bill_%d", time.Now().UnixNano())
	if err := bills.Open(ctx, fulfill.Bill{Key: key, Amount: payments.INR(50000), Until: time.Now().Add(15 * time.Minute)}); err != nil {
		return err
	}
	order, err := bills.Checkout(ctx, key)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "order:", order.ID, order.Amount, order.Status)
	if providers.Razorpay == nil {
		return howToPay(out, client, order)
	}
	return payAndCancel(ctx, out, providers.Razorpay, bills, order)
}

// payAndCancel is the patient, who pays and changes their mind.
func payAndCancel(ctx context.Context, out io.Writer, gateway *razorpaytest.Server, bills *fulfill.Fulfiller, order *payments.Order) error {
	if _, err := gateway.Pay(order.ID); err != nil {
		return err
	}
	status, err := bills.Settle(ctx, order.Key) // the page comes back
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "bill:", status.State, status.Taken)
	terms := fulfill.Tiers{{Before: 24 * time.Hour, Percent: 100}, {Before: 12 * time.Hour, Percent: 50}}
	back := terms.Refund(status.Taken, time.Now().Add(18*time.Hour), time.Now())
	if err := bills.Refund(ctx, order.Key, fulfill.RefundRequest{Key: "cancelled", Amount: &back}); err != nil {
		return err
	}
	if status, err = bills.Settle(ctx, order.Key); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "given back:", status.GivenBack)
	return err
}
