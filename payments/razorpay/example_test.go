package razorpay_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
)

// A bill is paid and the payment verified, against Razorpay on loopback.
func Example() {
	fake, err := razorpaytest.Start(razorpaytest.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer fake.Close()
	client, err := razorpay.New(razorpay.Config{
		KeyID: fake.KeyID(), KeySecret: fake.KeySecret(),
		WebhookSecrets: []telemed.Secret{fake.WebhookSecret()},
		BaseURL:        fake.URL(), // leave it out in production
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	ctx := context.Background()
	order, err := client.CreateOrder(ctx, payments.OrderRequest{Amount: payments.INR(50000), Key: "bill_000123"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("order of", order.Amount, order.Status)

	paid, err := fake.Pay(order.ID) // the patient, on the payment page
	if err != nil {
		fmt.Println(err)
		return
	}
	payment, err := client.VerifyPayment(ctx, payments.Confirmation{
		OrderID: order.ID, Expected: order.Amount, PaymentID: paid.PaymentID, Signature: paid.Signature,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("payment", payment.Status)
	// Output:
	// order of INR 500.00 created
	// payment captured
}

// The route that the browser comes back to, with a payment or a failure.
func ExampleClient_ParseCallback() {
	client, err := razorpay.New(razorpay.Config{KeyID: "rzp_test_1", KeySecret: telemed.NewSecret("tm_test_key_secret_0001")})
	if err != nil {
		fmt.Println(err)
		return
	}
	paid := func(w http.ResponseWriter, r *http.Request) {
		confirmation, err := client.ParseCallback(w, r)
		failure, failed := errors.AsType[*razorpay.CheckoutFailure](err)
		switch {
		case failed:
			http.Error(w, failure.Description, http.StatusPaymentRequired) // for the patient's eyes
		case err != nil:
			http.Error(w, "bad request", http.StatusBadRequest)
		default: // the amount is the bill's that has this order, then client.VerifyPayment
			_, _ = fmt.Fprintln(w, "look for the bill of", confirmation.OrderID)
		}
	}
	post := func(form url.Values) {
		r := httptest.NewRequest(http.MethodPost, "/paid", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		paid(w, r)
		fmt.Print(w.Code, " ", w.Body)
	}
	post(url.Values{
		"razorpay_order_id": {"order_TM00000000000A"}, "razorpay_payment_id": {"pay_TM00000000000A"},
		"razorpay_signature": {"e64f03822bb5712589688b3aefe31715b3d59a07e9a271abbc35dba8099f87de"},
	})
	post(url.Values{
		"razorpay_order_id": {"order_TM00000000000B"}, "razorpay_payment_id": {"pay_TM00000000000A"},
		"razorpay_signature": {"e64f03822bb5712589688b3aefe31715b3d59a07e9a271abbc35dba8099f87de"},
	})
	post(url.Values{"error[code]": {"BAD_REQUEST_ERROR"}, "error[description]": {"The payment was cancelled."}, "error[reason]": {"payment_cancelled"}})
	// Output:
	// 200 look for the bill of order_TM00000000000A
	// 400 bad request
	// 402 The payment was cancelled.
}

// The type of the error tells what Razorpay said; the sentinel what to do.
func ExampleError() {
	fake, err := razorpaytest.Start(razorpaytest.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer fake.Close()
	client, err := razorpay.New(razorpay.Config{KeyID: fake.KeyID(), KeySecret: fake.KeySecret(), BaseURL: fake.URL()})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = client.Payment(context.Background(), "pay_AAAAAAAAAAAAAA")
	fmt.Println(errors.Is(err, telemed.ErrNotFound))
	if e, ok := errors.AsType[*razorpay.Error](err); ok {
		fmt.Println(e.Status, e.Code)
	}
	// Output:
	// true
	// 400 BAD_REQUEST_ERROR
}
