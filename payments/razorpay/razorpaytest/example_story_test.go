package razorpaytest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
)

// ordered makes an order of a fake and returns it, and a client.
func ordered(fake *razorpaytest.Server, req payments.OrderRequest) (payments.PaymentGateway, *payments.Order) {
	client := clientOf(fake, fake.Client())
	order, err := client.CreateOrder(context.Background(), req)
	if err != nil {
		log.Fatal(err)
	}
	return client, order
}

// An order that is paid in parts is paid by the last one. The client makes no such orders;
// whoever does, with partial_payment, has the application's events tell of instalments.
func ExampleServer_PayPart() {
	ctx := context.Background()
	fake := start(razorpaytest.Config{})
	defer fake.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, fake.URL()+"/v1/orders",
		strings.NewReader(`{"amount":40000,"currency":"INR","receipt":"bill_1","partial_payment":true}`))
	if err != nil {
		log.Fatal(err)
	}
	req.SetBasicAuth(fake.KeyID(), fake.KeySecret().Reveal())
	resp, err := fake.Client().Do(req)
	if err != nil {
		log.Fatal(err)
	}
	_ = resp.Body.Close()
	client := clientOf(fake, fake.Client())
	orders, err := client.OrdersByKey(ctx, "bill_1")
	if err != nil {
		log.Fatal(err)
	}
	for _, part := range []int64{10000, 30000} {
		paid, err := fake.PayPart(orders[0].ID, part)
		if err != nil {
			log.Fatal(err)
		}
		_, err = client.VerifyPayment(ctx, payments.Confirmation{
			OrderID: paid.OrderID, Expected: payments.INR(40000), PaymentID: paid.PaymentID, Signature: paid.Signature,
		})
		fmt.Println(err)
	}
	// Output:
	// razorpay: VerifyPayment: payment is a part of what the order needs
	// <nil>
}

// The payer's bank has an offer: the payment is smaller than the order, which is paid.
func ExampleServer_PayAs() {
	fake := start(razorpaytest.Config{})
	defer fake.Close()
	client, order := ordered(fake, bill)
	paid, err := fake.PayAs(order.ID, payments.INR(45000))
	if err != nil {
		log.Fatal(err)
	}
	payment, err := client.VerifyPayment(context.Background(), payments.Confirmation{
		OrderID: order.ID, Expected: bill.Amount, PaymentID: paid.PaymentID, Signature: paid.Signature,
	})
	fmt.Println(payment.Amount, "for", order.Amount, err)
	// Output: INR 450.00 for INR 500.00 <nil>
}

// The bank answers after the payment was given up.
func ExampleServer_AuthorizeLate() {
	fake := start(razorpaytest.Config{})
	defer fake.Close()
	client, order := ordered(fake, bill)
	id, err := fake.FailPayment(order.ID)
	if err != nil {
		log.Fatal(err)
	}
	if err := fake.AuthorizeLate(id); err != nil {
		log.Fatal(err)
	}
	payment, err := client.Payment(context.Background(), id)
	fmt.Println(payment.Status, payment.Late, err)
	// Output: captured true <nil>
}

// What nobody captures goes back by itself, after days or at once.
func ExampleServer_Advance() {
	fake := start(razorpaytest.Config{ManualCapture: true})
	defer fake.Close()
	for _, giveBack := range []func(id string) error{
		fake.AutoRefund,
		func(string) error { fake.Advance(3 * 24 * time.Hour); return nil },
	} {
		req := bill
		req.Key = fmt.Sprint("bill_", len(fake.Receipts()))
		client, order := ordered(fake, req)
		paid, err := fake.Pay(order.ID)
		if err != nil {
			log.Fatal(err)
		}
		if err := giveBack(paid.PaymentID); err != nil {
			log.Fatal(err)
		}
		payment, err := client.Payment(context.Background(), paid.PaymentID)
		fmt.Println(payment.Status, payment.AutoRefunded(), err)
	}
	// Output:
	// refunded true <nil>
	// refunded true <nil>
}

// A refund waits, and fails. Nobody is told that the money went back.
func ExampleServer_HoldRefunds() {
	ctx := context.Background()
	fake := start(razorpaytest.Config{})
	defer fake.Close()
	client := clientOf(fake, fake.Client())
	order, err := client.CreateOrder(ctx, bill)
	if err != nil {
		log.Fatal(err)
	}
	paid, err := fake.Pay(order.ID)
	if err != nil {
		log.Fatal(err)
	}
	fake.HoldRefunds()
	refund, err := client.Refund(ctx, payments.RefundRequest{PaymentID: paid.PaymentID, Key: "cancel_000123"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(refund.Status)
	if err := fake.SettleRefund(refund.ID, false); err != nil {
		log.Fatal(err)
	}
	refund, err = client.RefundByID(ctx, refund.ID)
	if err != nil {
		log.Fatal(err)
	}
	payment, err := client.Payment(ctx, paid.PaymentID)
	fmt.Println(refund.Status, payment.Status, err)
	// Output:
	// pending
	// failed captured <nil>
}

// An endpoint that fails for a day is disabled. The application finds out by itself what it
// was not told.
func ExampleServer_WebhookDisabled() {
	ctx := context.Background()
	fake := start(razorpaytest.Config{})
	defer fake.Close()
	down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer down.Close()
	fake.SetWebhookURL(down.URL)
	client := clientOf(fake, fake.Client())
	order, err := client.CreateOrder(ctx, bill)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := fake.Pay(order.ID); err != nil {
		log.Fatal(err)
	}
	fake.Advance(24 * time.Hour)
	fmt.Println("disabled:", fake.WebhookDisabled())
	order, err = client.Order(ctx, order.ID)
	fmt.Println("paid:", order.IsPaid(), errors.Join(err, fake.WaitWebhooks(ctx)))
	// Output:
	// disabled: true
	// paid: true <nil>
}
