package fulfill_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/fulfill"
	"github.com/telemed-go/telemed/payments/paymentstest"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
	"github.com/telemed-go/telemed/store/durable"
)

// A bill is opened, paid on the payment page, and fulfilled once, whoever tells of it
// first and however often.
func Example() {
	gateway := paymentstest.NewGateway() // a *razorpay.Client in production
	bills, err := fulfill.New(fulfill.Config{
		Store: durable.NewMemory(), Gateway: gateway,
		Fulfill: func(_ context.Context, paid fulfill.Paid) error {
			fmt.Println("booked:", paid.Key, paid.Amount)
			return nil
		},
	})
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- bills.Run(ctx) }() // sweeps, refunds, notices

	err = bills.Open(ctx, fulfill.Bill{Key: "bill-42", Amount: payments.INR(50000), Until: time.Now().Add(15 * time.Minute)})
	if err != nil {
		panic(err)
	}
	order, err := bills.Checkout(ctx, "bill-42")
	if err != nil {
		panic(err)
	}
	_, _ = gateway.Pay(order.ID) // the patient
	for range 2 {
		status, err := bills.Settle(ctx, "bill-42") // the page comes back, and is reloaded
		if err != nil {
			panic(err)
		}
		fmt.Println(status.State)
	}
	stop()
	fmt.Println(<-done)
	// Output:
	// booked: bill-42 INR 500.00
	// fulfilled
	// fulfilled
	// <nil>
}

// Webhooks say which bill to look at, and no more.
func ExampleFulfiller_Event() {
	srv, err := razorpaytest.Start(razorpaytest.Config{})
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	client, err := razorpay.New(razorpay.Config{
		KeyID: srv.KeyID(), KeySecret: srv.KeySecret(), BaseURL: srv.URL(), WebhookSecrets: []telemed.Secret{srv.WebhookSecret()},
	})
	if err != nil {
		panic(err)
	}
	bills, err := fulfill.New(fulfill.Config{
		Store: durable.NewMemory(), Gateway: client, Fulfill: func(context.Context, fulfill.Paid) error { return nil },
	})
	if err != nil {
		panic(err)
	}
	webhook, err := payments.NewWebhook(payments.WebhookConfig{Parser: client, Handle: bills.Event})
	if err != nil {
		panic(err)
	}
	http.Handle("POST /webhooks/razorpay", webhook)
}

// What is given back follows the clinic's terms.
func ExampleTiers() {
	terms := fulfill.Tiers{{Before: 24 * time.Hour, Percent: 100}, {Before: 12 * time.Hour, Percent: 50}}
	start := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	for _, before := range []time.Duration{30 * time.Hour, 20 * time.Hour, 3 * time.Hour} {
		back := terms.Refund(payments.INR(50000), start, start.Add(-before))
		if back.IsZero() {
			fmt.Println("nothing is given back")
			continue
		}
		fmt.Println(back)
	}
	// Output:
	// INR 500.00
	// INR 250.00
	// nothing is given back
}

// A visit that was paid for is cancelled a day before. The patient is told that money is
// back when it is, not when somebody asked for it.
func ExampleWriter_Refund() {
	gateway := paymentstest.NewGateway()
	gateway.HoldRefunds() // as a bank that takes days
	bills, err := fulfill.New(fulfill.Config{
		Store: durable.NewMemory(), Gateway: gateway, Fulfill: func(context.Context, fulfill.Paid) error { return nil },
		Notify: func(_ context.Context, n fulfill.Notice) error {
			fmt.Println("told:", n.Kind, n.Amount)
			return nil
		},
	})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	if err := bills.Open(ctx, fulfill.Bill{Key: "bill-42", Amount: payments.INR(50000)}); err != nil {
		panic(err)
	}
	order, err := bills.Checkout(ctx, "bill-42")
	if err != nil {
		panic(err)
	}
	_, _ = gateway.Pay(order.ID)
	if _, err = bills.Settle(ctx, "bill-42"); err != nil {
		panic(err)
	}

	half := payments.INR(25000)
	err = bills.Refund(ctx, "bill-42", fulfill.RefundRequest{Key: "cancelled", Amount: &half})
	if err != nil {
		panic(err) // also if there is not as much to give back
	}
	status, err := bills.Settle(ctx, "bill-42")
	if err != nil {
		panic(err)
	}
	fmt.Println(status.GivenBack, status.Refunds[0].Status)

	_ = gateway.SettleRefund(status.Refunds[0].ID, true) // days later; a webhook or a sweep finds it
	status, err = bills.Settle(ctx, "bill-42")
	if err != nil {
		panic(err)
	}
	fmt.Println(status.GivenBack, status.Refunds[0].Status)
	// Output:
	// told: refund pending INR 250.00
	// INR 0.00 pending
	// told: refunded INR 250.00
	// INR 250.00 processed
}
