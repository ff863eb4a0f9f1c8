package razorpay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
)

// The signature is over the bytes that came. A framework that decodes the body and
// encodes it again breaks it, although nothing in it has changed.
func ExampleClient_ParseWebhook() {
	ctx := context.Background()
	fake, err := razorpaytest.Start(razorpaytest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer fake.Close()
	client, err := razorpay.New(razorpay.Config{
		KeyID: fake.KeyID(), KeySecret: fake.KeySecret(), BaseURL: fake.URL(),
		WebhookSecrets: []telemed.Secret{fake.WebhookSecret()},
	})
	if err != nil {
		log.Fatal(err)
	}
	hospital := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_, err = client.ParseWebhook(r.Header, append(body, '\n'))
		fmt.Println("one line break more:", errors.Is(err, telemed.ErrSignature))
		event, err := client.ParseWebhook(r.Header, body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		fmt.Println("as it came:", event.Type, event.Payment.Amount)
	}))
	defer hospital.Close()
	fake.SetWebhookURL(hospital.URL)
	fake.HoldWebhooks()

	order, err := client.CreateOrder(ctx, payments.OrderRequest{Amount: payments.INR(50000), Key: "bill_000123"})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := fake.Pay(order.ID); err != nil {
		log.Fatal(err)
	}
	status, err := fake.Deliver(ctx, fake.Events()[0])
	fmt.Println(status, err)
	// Output:
	// one line break more: true
	// as it came: payment.authorized INR 500.00
	// 200 <nil>
}
