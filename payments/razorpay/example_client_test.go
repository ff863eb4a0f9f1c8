package razorpay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"

	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
)

// onLoopback returns a client and the Razorpay that it talks to, as Example does step by
// step.
func onLoopback(cfg razorpaytest.Config) (*razorpay.Client, *razorpaytest.Server) {
	fake, err := razorpaytest.Start(cfg)
	if err != nil {
		log.Fatal(err)
	}
	client, err := razorpay.New(razorpay.Config{KeyID: fake.KeyID(), KeySecret: fake.KeySecret(), BaseURL: fake.URL()})
	if err != nil {
		log.Fatal(err)
	}
	return client, fake
}

// Neither the browser nor a webhook came back. The bill's id is enough to find out what
// became of it: the order, and each attempt to pay it.
func ExampleClient_OrderPayments() {
	ctx := context.Background()
	client, fake := onLoopback(razorpaytest.Config{})
	defer fake.Close()
	made, err := client.CreateOrder(ctx, payments.OrderRequest{Amount: payments.INR(50000), Key: "bill_000123"})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := fake.FailPayment(made.ID); err != nil { // the bank declined
		log.Fatal(err)
	}
	if _, err := fake.Pay(made.ID); err != nil { // another card
		log.Fatal(err)
	}

	// Or client.Order, where the order's id is known.
	orders, err := client.OrdersByKey(ctx, "bill_000123")
	if err != nil || len(orders) == 0 {
		log.Fatal("not made yet: ", err)
	}
	order := orders[0] // the one that got furthest, if there are several
	fmt.Println(order.Key, "is", order.Status, "after", order.Attempts, "attempts")
	attempts, err := client.OrderPayments(ctx, order.ID)
	if err != nil {
		log.Fatal(err)
	}
	for _, payment := range attempts {
		if payment.Status == payments.PaymentCaptured {
			fmt.Println("book it:", payment.Amount)
		}
	}
	// Output:
	// bill_000123 is paid after 2 attempts
	// book it: INR 500.00
}

// The order tells how much was paid so far, whoever asks and whenever.
func ExampleClient_Order() {
	ctx := context.Background()
	client, fake := onLoopback(razorpaytest.Config{})
	defer fake.Close()
	made, err := client.CreateOrder(ctx, payments.OrderRequest{Amount: payments.INR(50000), Key: "bill_000123"})
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		order, err := client.Order(ctx, made.ID)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(order.Status, order.Paid, "of", order.Amount)
		if order.Status == payments.OrderCreated {
			if _, err := fake.Pay(order.ID); err != nil { // the patient, on the payment page
				log.Fatal(err)
			}
		}
	}
	// Output:
	// created INR 0.00 of INR 500.00
	// paid INR 500.00 of INR 500.00
}

// The options stand in the page as they are. They hold what is public, and no patient can
// end the script element with a name.
func ExampleClient_Checkout() {
	client, fake := onLoopback(razorpaytest.Config{KeyID: "rzp_test_0123456789abcd"})
	defer fake.Close()
	// From CreateOrder.
	order := &payments.Order{ID: "order_0123456789abcd", Amount: payments.INR(50000)}
	options, err := client.Checkout(order, payments.CheckoutUI{
		Name: "City Hospital", Prefill: payments.Prefill{Name: "</script>"},
	})
	if err != nil {
		log.Fatal(err)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, options, "", "  "); err != nil {
		log.Fatal(err)
	}
	fmt.Println(pretty.String())
	// Output:
	// {
	//   "key": "rzp_test_0123456789abcd",
	//   "order_id": "order_0123456789abcd",
	//   "amount": 50000,
	//   "currency": "INR",
	//   "name": "City Hospital",
	//   "prefill": {
	//     "name": "\u003c/script\u003e"
	//   }
	// }
}

// A signature that is right says that Razorpay knows this payment of this order. That it
// was paid, and how much, is VerifyPayment's to say.
func ExampleClient_CheckSignature() {
	ctx := context.Background()
	client, fake := onLoopback(razorpaytest.Config{})
	defer fake.Close()
	order, err := client.CreateOrder(ctx, payments.OrderRequest{Amount: payments.INR(100), Key: "bill_000124"})
	if err != nil {
		log.Fatal(err)
	}
	paid, err := fake.Pay(order.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the signature:", client.CheckSignature(order.ID, paid.PaymentID, paid.Signature))

	_, err = client.VerifyPayment(ctx, payments.Confirmation{
		OrderID: order.ID, Expected: payments.INR(50000), // the bill that was to be paid
		PaymentID: paid.PaymentID, Signature: paid.Signature,
	})
	fmt.Println("too little was paid:", errors.Is(err, payments.ErrAmountMismatch))
	// Output:
	// the signature: <nil>
	// too little was paid: true
}

// An account may leave it to the application when money is taken. Then VerifyPayment
// returns a payment that is only authorized, and its money goes back unless Capture
// follows. Config.AutoCapture does both at once.
func ExampleClient_Capture() {
	ctx := context.Background()
	client, fake := onLoopback(razorpaytest.Config{ManualCapture: true})
	defer fake.Close()
	order, err := client.CreateOrder(ctx, payments.OrderRequest{Amount: payments.INR(50000), Key: "bill_000123"})
	if err != nil {
		log.Fatal(err)
	}
	paid, err := fake.Pay(order.ID)
	if err != nil {
		log.Fatal(err)
	}
	payment, err := client.VerifyPayment(ctx, payments.Confirmation{
		OrderID: order.ID, Expected: order.Amount, PaymentID: paid.PaymentID, Signature: paid.Signature,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("verified:", payment.Status)
	payment, err = client.Capture(ctx, payments.CaptureRequest{PaymentID: payment.ID, Amount: payment.Amount})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("taken:", payment.Status)
	// Output:
	// verified: authorized
	// taken: captured
}

// A refund is asked for, and later the bank sends the money back to the hospital. The
// same Key tells what became of it, and gives nothing twice; a new Key makes a new
// refund.
func ExampleClient_Refund() {
	ctx := context.Background()
	client, fake := onLoopback(razorpaytest.Config{PendingRefunds: true})
	defer fake.Close()
	order, err := client.CreateOrder(ctx, payments.OrderRequest{Amount: payments.INR(50000), Key: "bill_000123"})
	if err != nil {
		log.Fatal(err)
	}
	paid, err := fake.Pay(order.ID)
	if err != nil {
		log.Fatal(err)
	}

	// No Amount: all that is left.
	cancelled := payments.RefundRequest{PaymentID: paid.PaymentID, Key: "cancel/appt-42"}
	refund, err := client.Refund(ctx, cancelled)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("asked for:", refund.Amount, refund.Status)

	if err := fake.SettleRefund(refund.ID, false); err != nil { // the patient's account is closed
		log.Fatal(err)
	}
	again, err := client.Refund(ctx, cancelled)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the same Key:", again.Status, "and the same refund:", again.ID == refund.ID)

	cancelled.Key = "cancel/appt-42/second"
	refund, err = client.Refund(ctx, cancelled)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("a new Key:", refund.Status)
	// Output:
	// asked for: INR 500.00 pending
	// the same Key: failed and the same refund: true
	// a new Key: pending
}

// No webhook told what became of a refund. Whoever knows its id, or the payment, asks.
func ExampleClient_PaymentRefunds() {
	ctx := context.Background()
	client, fake := onLoopback(razorpaytest.Config{PendingRefunds: true})
	defer fake.Close()
	order, err := client.CreateOrder(ctx, payments.OrderRequest{Amount: payments.INR(50000), Key: "bill_000123"})
	if err != nil {
		log.Fatal(err)
	}
	paid, err := fake.Pay(order.ID)
	if err != nil {
		log.Fatal(err)
	}
	refund, err := client.Refund(ctx, payments.RefundRequest{PaymentID: paid.PaymentID, Key: "cancel_000123"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(refund.Status, "is not given back yet")
	if err := fake.SettleRefund(refund.ID, true); err != nil {
		log.Fatal(err)
	}
	now, err := client.RefundByID(ctx, refund.ID)
	if err != nil {
		log.Fatal(err)
	}
	all, err := client.PaymentRefunds(ctx, paid.PaymentID)
	fmt.Println(now.Status, len(all), err)
	// Output:
	// pending is not given back yet
	// processed 1 <nil>
}
