package razorpaytest_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
)

// endpoint is where an application's webhook is, reduced to what matters here: handle
// gets each event whose signature is good.
func endpoint(fake *razorpaytest.Server, handle func(*payments.Event)) *httptest.Server {
	client, err := razorpay.New(razorpay.Config{
		KeyID: fake.KeyID(), KeySecret: fake.KeySecret(), BaseURL: fake.URL(),
		WebhookSecrets: []telemed.Secret{fake.WebhookSecret()},
	})
	if err != nil {
		log.Fatal(err)
	}
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			log.Fatal(err)
		}
		event, err := client.ParseWebhook(r.Header, body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		handle(event)
	}))
}

// paid has a bill paid in fake.
func paid(fake *razorpaytest.Server) {
	order, err := clientOf(fake, nil).CreateOrder(context.Background(), bill)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := fake.Pay(order.ID); err != nil {
		log.Fatal(err)
	}
}

// Webhooks go out by themselves, as Razorpay's do. A test waits until the application has
// taken them all.
func ExampleServer_SetWebhookURL() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	fake := start(razorpaytest.Config{})
	defer fake.Close()
	hospital := endpoint(fake, func(event *payments.Event) { fmt.Println(event.Type) })
	defer hospital.Close()

	fake.SetWebhookURL(hospital.URL)
	paid(fake)
	fmt.Println("all taken:", fake.WaitWebhooks(ctx))
	// Output:
	// payment.authorized
	// payment.captured
	// order.paid
	// all taken: <nil>
}

// Webhooks come late, twice and in any order. Held ones are sent by the test, one by one.
// Whoever asks CanBecome is not set back.
func ExampleServer_Deliver() {
	ctx := context.Background()
	fake := start(razorpaytest.Config{})
	defer fake.Close()
	stored := payments.PaymentCreated
	hospital := endpoint(fake, func(event *payments.Event) {
		if event.Payment != nil && stored.CanBecome(event.Payment.Status) {
			stored = event.Payment.Status
		}
		fmt.Println(event.Type, "leaves it", stored)
	})
	defer hospital.Close()
	fake.SetWebhookURL(hospital.URL)
	fake.HoldWebhooks()
	paid(fake)

	for _, event := range slices.Backward(fake.Events()) {
		if _, err := fake.Deliver(ctx, event); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// order.paid leaves it captured
	// payment.captured leaves it captured
	// payment.authorized leaves it captured
}

// An event of a type that this module does not know is signed like any other. It must be
// taken: what is refused comes again for a day.
func ExampleServer_NewEvent() {
	ctx := context.Background()
	fake := start(razorpaytest.Config{})
	defer fake.Close()
	hospital := endpoint(fake, func(event *payments.Event) {
		fmt.Println(event.Type, "has a payment:", event.Payment != nil, "and is kept whole:", len(event.Raw) > 0)
	})
	defer hospital.Close()
	fake.SetWebhookURL(hospital.URL)

	event, err := fake.NewEvent("payment.dispute.created", map[string]any{"dispute": map[string]any{"entity": map[string]any{"id": "disp_1"}}})
	if err != nil {
		log.Fatal(err)
	}
	status, err := fake.Deliver(ctx, event)
	fmt.Println(status, err)
	// Output:
	// payment.dispute.created has a payment: false and is kept whole: true
	// 200 <nil>
}
