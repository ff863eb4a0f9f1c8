package payments_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/paymentstest"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
	"github.com/telemed-go/telemed/store"
)

// A visit is paid: the order is made from the bill, the payment is verified
// against the bill, and a cancelled visit is paid back once.
func Example() {
	ctx := context.Background()
	gateway := paymentstest.NewGateway() // razorpay.New in production

	order, err := gateway.CreateOrder(ctx, payments.OrderRequest{Amount: payments.INR(50000), Key: "bill_000123"})
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := gateway.Pay(order.ID) // the patient, on the payment page
	if err != nil {
		fmt.Println(err)
		return
	}
	payment, err := gateway.VerifyPayment(ctx, payments.Confirmation{
		OrderID: order.ID, Expected: order.Amount, // both from the hospital's database
		PaymentID: result.PaymentID, Signature: result.Signature, // from the browser
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(payment.Amount, payment.Status)

	for range 2 { // the cancel button was pressed twice
		refund, err := gateway.Refund(ctx, payments.RefundRequest{PaymentID: payment.ID, Key: "cancel_appointment_42"})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("gave back", refund.Amount)
	}
	payment, _ = gateway.Payment(ctx, payment.ID)
	fmt.Println("in all", payment.Refunded)
	// Output:
	// INR 500.00 captured
	// gave back INR 500.00
	// gave back INR 500.00
	// in all INR 500.00
}

// Somebody who changes the amount in the browser gains nothing: what is
// expected comes from the database.
func ExampleConfirmation() {
	ctx := context.Background()
	gateway := paymentstest.NewGateway()
	cheap, _ := gateway.CreateOrder(ctx, payments.OrderRequest{Amount: payments.INR(100), Key: "bill_cheap"})
	result, _ := gateway.Pay(cheap.ID)

	result.Expected = payments.INR(50000) // what the bill says
	_, err := gateway.VerifyPayment(ctx, result)
	fmt.Println(errors.Is(err, payments.ErrAmountMismatch))
	// Output: true
}

func ExampleParseMoney() {
	fee, err := payments.ParseMoney("1,23,456.50", "INR")
	fmt.Println(fee.Minor, fee, err)
	_, err = payments.ParseMoney("10.999", "INR")
	fmt.Println(err)
	// Output:
	// 12345650 INR 123456.50 <nil>
	// payments: Amount has more than 2 digits behind the point
}

// The webhook goes where the gateway's dashboard points. A payment is told by two events,
// and each may come twice: Claims drops what was handled, and the unique column what was
// booked.
func ExampleNewWebhook() {
	ctx := context.Background()
	fake, err := razorpaytest.Start(razorpaytest.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer fake.Close()
	gateway, err := razorpay.New(razorpay.Config{
		KeyID: fake.KeyID(), KeySecret: fake.KeySecret(), BaseURL: fake.URL(),
		WebhookSecrets: []telemed.Secret{fake.WebhookSecret()},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	booked := map[string]bool{} // a unique column in the database
	webhook, err := payments.NewWebhook(payments.WebhookConfig{
		Parser: gateway,
		Claims: store.NewMemory(), // Claims in the database, once there are two processes
		Handle: func(_ context.Context, e payments.Event) error {
			switch {
			case e.Payment == nil:
				return payments.Permanent(errors.New("not about a payment"))
			case e.Type != payments.EventOrderPaid && e.Type != payments.EventPaymentCaptured:
				return nil
			case e.Order == nil || !e.Order.IsPaid(): // another program's, or an instalment
				return nil
			case booked[e.Fact()]:
				return nil
			}
			booked[e.Fact()] = true
			fmt.Println("booked for", e.Order.Amount)
			return nil
		},
		Unread: func(context.Context, payments.UnreadEvent) error {
			return errors.New("nobody looks at it yet") // and so it comes again
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(webhook)
	defer server.Close()
	fake.SetWebhookURL(server.URL)

	order, err := gateway.CreateOrder(ctx, payments.OrderRequest{Amount: payments.INR(50000), Key: "bill_000123"})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := fake.Pay(order.ID); err != nil { // the patient, who then closes the browser
		fmt.Println(err)
	}
	if err := fake.WaitWebhooks(ctx); err != nil {
		fmt.Println(err)
	}
	again, err := fake.Deliver(ctx, fake.Events()[0])
	fmt.Println(again, err)
	fmt.Println(webhook.Shutdown(ctx)) // after the server's own
	// Output:
	// booked for INR 500.00
	// 200 <nil>
	// <nil>
}

// The smallest unit is not always a hundredth, and a float is never needed.
func ExampleNewMoney() {
	for _, currency := range []string{"INR", "JPY", "KWD", "inr"} {
		fee, err := payments.NewMoney(50000, currency)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(fee)
	}
	// Output:
	// INR 500.00
	// JPY 50000
	// KWD 50.000
	// payments: Currency is not an ISO 4217 code in capitals that can be charged
}

// A bill is added up. What would be a wrong amount is an error, never a number.
func ExampleMoney_Add() {
	bill, err := payments.INR(50000).Add(payments.INR(9000)) // the consultation and its tax
	fmt.Println(bill, err)
	due, err := bill.Sub(payments.INR(10000)) // what was paid at the desk
	fmt.Println(due, err)

	_, err = due.Add(payments.Money{Minor: 500, Currency: "USD"})
	fmt.Println(err)
	// Output:
	// INR 590.00 <nil>
	// INR 490.00 <nil>
	// payments: Currency differs between the two amounts
}

// Events come in any order, and more than once. Whoever applies one only if its status
// can follow ends where the payment ended.
func ExamplePaymentStatus_CanBecome() {
	stored := payments.PaymentCreated
	for _, told := range []payments.PaymentStatus{
		payments.PaymentFailed,     // the bank timed out
		payments.PaymentCaptured,   // and did it after all
		payments.PaymentAuthorized, // a late event of before
		payments.PaymentCaptured,   // the same once more
		payments.PaymentRefunded,   // the visit is cancelled
		payments.PaymentCaptured,   // by refund.failed: the bank did not take the money back
	} {
		if !stored.CanBecome(told) {
			fmt.Println(told, "is old news")
			continue
		}
		stored = told
		fmt.Println("now", stored)
	}
	// Output:
	// now failed
	// now captured
	// authorized is old news
	// captured is old news
	// now refunded
	// now captured
}

// A refund that was processed is not pending again, but the bank may send it back. One that
// failed stays failed: the money goes back by a new refund, with a new Key.
func ExampleRefundStatus_CanBecome() {
	fmt.Println(payments.RefundPending.CanBecome(payments.RefundProcessed))
	fmt.Println(payments.RefundProcessed.CanBecome(payments.RefundPending))
	fmt.Println(payments.RefundProcessed.CanBecome(payments.RefundFailed))
	fmt.Println(payments.RefundFailed.CanBecome(payments.RefundProcessed))
	// Output:
	// true
	// false
	// true
	// false
}
