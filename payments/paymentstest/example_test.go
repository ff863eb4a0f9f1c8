package paymentstest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/paymentstest"
)

// The browser brings the payment back, and the application looks up the bill by its order.
// A browser that makes up an order has no signature for it.
func ExampleGateway_Callback() {
	ctx := context.Background()
	gateway := paymentstest.NewGateway()
	amounts := map[string]payments.Money{} // the application's table, by order id
	mux := http.NewServeMux()
	mux.HandleFunc("POST /paid", func(w http.ResponseWriter, r *http.Request) {
		confirmation, err := gateway.ParseCallback(w, r)
		if err != nil {
			http.Error(w, "not paid", http.StatusPaymentRequired)
			return
		}
		confirmation.Expected = amounts[confirmation.OrderID]
		payment, err := gateway.VerifyPayment(r.Context(), confirmation)
		if err != nil {
			http.Error(w, "not paid", http.StatusPaymentRequired)
			return
		}
		_, _ = fmt.Fprintln(w, payment.Status, payment.Amount)
	})
	post := func(c payments.Confirmation) {
		r := httptest.NewRequest(http.MethodPost, "/paid", strings.NewReader(gateway.Callback(c).Encode()))
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Print(w.Body)
	}

	order, err := gateway.CreateOrder(ctx, payments.OrderRequest{Amount: payments.INR(50000), Key: "bill_000123"})
	if err != nil {
		fmt.Println(err)
		return
	}
	amounts[order.ID] = order.Amount
	confirmation, err := gateway.Pay(order.ID)
	if err != nil {
		fmt.Println(err)
		return
	}
	post(confirmation)
	confirmation.OrderID = "order_of_another_bill"
	post(confirmation)
	post(payments.Confirmation{}) // the attempt failed
	// Output:
	// captured INR 500.00
	// not paid
	// not paid
}

// Authorized is not paid: the money is only reserved, and VerifyPayment returns no error.
// It goes back to the payer if nobody captures it.
func ExampleGateway_Capture() {
	ctx := context.Background()
	gateway := paymentstest.NewGateway()
	order, err := gateway.CreateOrder(ctx, payments.OrderRequest{
		Amount: payments.INR(50000), Key: "bill_000123", Capture: payments.CaptureManual,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	confirmation, err := gateway.Pay(order.ID) // the patient, on the payment page
	if err != nil {
		fmt.Println(err)
		return
	}
	payment, err := gateway.VerifyPayment(ctx, confirmation)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("verified:", payment.Status)

	part := payments.CaptureRequest{PaymentID: payment.ID, Amount: payments.INR(100)}
	_, err = gateway.Capture(ctx, part)
	fmt.Println("a part of it:", errors.Is(err, payments.ErrAmountMismatch))

	all := payments.CaptureRequest{PaymentID: payment.ID, Amount: payment.Amount}
	for range 2 { // the answer to the first was lost
		payment, err = gateway.Capture(ctx, all)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("all of it:", payment.Status)
	}
	// Output:
	// verified: authorized
	// a part of it: true
	// all of it: captured
	// all of it: captured
}

// A payment that failed does not close the order: the patient tries again on the same
// one. OrderPayments tells of both attempts.
func ExampleGateway_FailPayment() {
	ctx := context.Background()
	gateway := paymentstest.NewGateway()
	order, err := gateway.CreateOrder(ctx, payments.OrderRequest{Amount: payments.INR(50000), Key: "bill_000123"})
	if err != nil {
		fmt.Println(err)
		return
	}
	declined, err := gateway.FailPayment(order.ID) // the bank said no
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = gateway.VerifyPayment(ctx, declined)
	fmt.Println("nothing was taken:", errors.Is(err, payments.ErrPaymentIncomplete))

	if _, err := gateway.Pay(order.ID); err != nil { // another card
		fmt.Println(err)
		return
	}
	order, err = gateway.Order(ctx, order.ID)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("the order:", order.Status, "after", order.Attempts, "attempts")
	attempts, err := gateway.OrderPayments(ctx, order.ID)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, payment := range attempts { // the newest first
		fmt.Println("an attempt:", payment.Status)
	}
	// Output:
	// nothing was taken: true
	// the order: paid after 2 attempts
	// an attempt: captured
	// an attempt: failed
}

// The application ended before it could store the order's id. The bill's own id finds it.
func ExampleGateway_OrdersByKey() {
	ctx := context.Background()
	gateway := paymentstest.NewGateway()
	made, err := gateway.CreateOrder(ctx, payments.OrderRequest{Amount: payments.INR(50000), Key: "bill_000123"})
	if err != nil {
		fmt.Println(err)
		return
	}
	found, err := gateway.OrdersByKey(ctx, "bill_000123")
	if err != nil || len(found) == 0 {
		fmt.Println("not made yet", err)
		return
	}
	fmt.Println("found:", found[0].ID == made.ID, found[0].Amount, found[0].Status)
	// Output:
	// found: true INR 500.00 created
}

// What the payment page needs is made on the server, from the order. A page that sends an
// amount has no say in it.
func ExampleGateway_Checkout() {
	gateway := paymentstest.NewGateway()
	order := &payments.Order{ID: "order_1", Amount: payments.INR(50000)} // from CreateOrder
	options, err := gateway.Checkout(order, payments.CheckoutUI{Name: "City Hospital"})
	fmt.Println(string(options), err)
	// Output:
	// {"amount":50000,"currency":"INR","name":"City Hospital","order_id":"order_1"} <nil>
}

// The gateway cannot be reached: nothing happened, and the patient is asked to try again
// later. Each error is for one call; a nil lets one through.
func ExampleGateway_FailNext() {
	ctx := context.Background()
	gateway := paymentstest.NewGateway()
	gateway.FailNext(paymentstest.OpCreateOrder, telemed.ErrUnavailable, nil, telemed.ErrRateLimited)

	bill := payments.OrderRequest{Amount: payments.INR(50000), Key: "bill_000123"}
	for range 3 {
		_, err := gateway.CreateOrder(ctx, bill)
		fmt.Println(err)
	}
	// Output:
	// paymentstest: CreateOrder: provider unavailable
	// <nil>
	// paymentstest: CreateOrder: rate limited
}

// The money went back and the answer was lost. Nobody knows, so the same Key is asked
// again, and the money goes back once.
func ExampleGateway_FailAfter() {
	ctx := context.Background()
	gateway := paymentstest.NewGateway()
	order, err := gateway.CreateOrder(ctx, payments.OrderRequest{Amount: payments.INR(50000), Key: "bill_000123"})
	if err != nil {
		fmt.Println(err)
		return
	}
	paid, err := gateway.Pay(order.ID)
	if err != nil {
		fmt.Println(err)
		return
	}

	gateway.FailAfter(paymentstest.OpRefund, telemed.ErrAmbiguous)
	half := payments.INR(25000)
	cancelled := payments.RefundRequest{PaymentID: paid.PaymentID, Amount: &half, Key: "cancel/appt-42"}
	_, err = gateway.Refund(ctx, cancelled)
	fmt.Println("nobody knows:", errors.Is(err, telemed.ErrAmbiguous))
	_, err = gateway.Refund(ctx, cancelled)
	fmt.Println("again:", err)

	payment, err := gateway.Payment(ctx, paid.PaymentID)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("gave back", payment.Refunded)
	// Output:
	// nobody knows: true
	// again: <nil>
	// gave back INR 250.00
}

// A test is the patient: it waits until the application has made the order, and pays it.
// No test needs to sleep.
func ExampleGateway_WaitFor() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	gateway := paymentstest.NewGateway()

	done := make(chan error)
	go func() { // the application
		_, err := gateway.CreateOrder(ctx, payments.OrderRequest{Amount: payments.INR(50000), Key: "bill_000123"})
		done <- err
	}()
	order, err := gateway.WaitFor(ctx, func(o *payments.Order) bool { return o.Key == "bill_000123" })
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = gateway.Pay(order.ID)
	fmt.Println("paid:", order.Amount, err)
	fmt.Println(<-done)
	// Output:
	// paid: INR 500.00 <nil>
	// <nil>
}

// Money that a patient pays in parts books nothing before all of it is there. The order
// says how much is missing.
func ExampleGateway_PayPart() {
	ctx := context.Background()
	gateway := paymentstest.NewGateway()
	order, _ := gateway.CreateOrder(ctx, payments.OrderRequest{Amount: payments.INR(40000), Key: "bill_1"})
	for _, part := range []int64{10000, 30000} {
		confirmation, _ := gateway.PayPart(order.ID, payments.INR(part))
		_, err := gateway.VerifyPayment(ctx, confirmation)
		now, _ := gateway.Order(ctx, order.ID)
		fmt.Println(errors.Is(err, payments.ErrPartlyPaid), now.IsPaid(), now.Due)
	}
	// Output:
	// true false INR 300.00
	// false true INR 0.00
}

// A bank's offer makes the payment smaller than the order. The order is paid all the same.
func ExampleGateway_PayAs() {
	ctx := context.Background()
	gateway := paymentstest.NewGateway()
	order, _ := gateway.CreateOrder(ctx, payments.OrderRequest{Amount: payments.INR(50000), Key: "bill_1"})
	confirmation, _ := gateway.PayAs(order.ID, payments.INR(45000))
	payment, err := gateway.VerifyPayment(ctx, confirmation)
	fmt.Println(payment.Amount, err)
	// Output: INR 450.00 <nil>
}

// The bank answers after the gateway has given the payment up.
func ExampleGateway_AuthorizeLate() {
	ctx := context.Background()
	gateway := paymentstest.NewGateway()
	order, _ := gateway.CreateOrder(ctx, payments.OrderRequest{Amount: payments.INR(50000), Key: "bill_1"})
	failed, _ := gateway.FailPayment(order.ID)
	_ = gateway.AuthorizeLate(failed.PaymentID)
	payment, _ := gateway.Payment(ctx, failed.PaymentID)
	fmt.Println(payment.Status, payment.Late)
	// Output: captured true
}

// What nobody captures goes back by itself: there is nothing for the application to refund.
func ExampleGateway_AutoRefund() {
	ctx := context.Background()
	gateway := paymentstest.NewGateway()
	order, _ := gateway.CreateOrder(ctx, payments.OrderRequest{Amount: payments.INR(50000), Key: "bill_1", Capture: payments.CaptureManual})
	paid, _ := gateway.Pay(order.ID)
	_ = gateway.AutoRefund(paid.PaymentID)
	payment, _ := gateway.Payment(ctx, paid.PaymentID)
	fmt.Println(payment.Status, payment.AutoRefunded())
	// Output: refunded true
}

// A refund waits for days, and fails. It is found by its payment, also when no webhook came.
func ExampleGateway_SettleRefund() {
	ctx := context.Background()
	gateway := paymentstest.NewGateway()
	gateway.HoldRefunds()
	order, _ := gateway.CreateOrder(ctx, payments.OrderRequest{Amount: payments.INR(50000), Key: "bill_1"})
	paid, _ := gateway.Pay(order.ID)
	refund, _ := gateway.Refund(ctx, payments.RefundRequest{PaymentID: paid.PaymentID, Key: "cancel_1"})
	fmt.Println(refund.Status)
	_ = gateway.SettleRefund(refund.ID, false)
	refund, _ = gateway.RefundByID(ctx, refund.ID)
	all, _ := gateway.PaymentRefunds(ctx, paid.PaymentID)
	payment, _ := gateway.Payment(ctx, paid.PaymentID)
	fmt.Println(refund.Status, len(all), payment.Status)
	// Output:
	// pending
	// failed 1 captured
}

// The gateway tells what happened, signed. What it did not sign is no event.
func ExampleGateway_Webhook() {
	ctx := context.Background()
	gateway := paymentstest.NewGateway()
	order, err := gateway.CreateOrder(ctx, payments.OrderRequest{Amount: payments.INR(50000), Key: "bill_000123"})
	if err != nil {
		fmt.Println(err)
		return
	}
	header, body := gateway.Webhook(payments.Event{Type: payments.EventOrderPaid, Order: order})
	event, err := gateway.ParseWebhook(header, body)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(event.Type, event.Order.Key)
	_, err = gateway.ParseWebhook(header, append(body, '\n'))
	fmt.Println(errors.Is(err, telemed.ErrSignature))
	// Output:
	// order.paid bill_000123
	// true
}
