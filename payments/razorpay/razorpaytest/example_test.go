package razorpaytest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
)

// bill is what is asked for in these Examples.
var bill = payments.OrderRequest{Amount: payments.INR(50000), Key: "bill_000123"}

// start returns a running fake.
func start(cfg razorpaytest.Config) *razorpaytest.Server {
	fake, err := razorpaytest.Start(cfg)
	if err != nil {
		log.Fatal(err)
	}
	return fake
}

// clientOf returns a client of fake.
func clientOf(fake *razorpaytest.Server, httpClient *http.Client) *razorpay.Client {
	client, err := razorpay.New(razorpay.Config{
		KeyID: fake.KeyID(), KeySecret: fake.KeySecret(), BaseURL: fake.URL(), HTTPClient: httpClient,
	})
	if err != nil {
		log.Fatal(err)
	}
	return client
}

// The answer to an order is lost: nobody knows, so the client looks, and there is one
// order. One that Razorpay refuses is not asked for again. Reset ends the Faults that
// have not shown.
func ExampleServer_FailNext() {
	ctx := context.Background()
	fake := start(razorpaytest.Config{})
	defer fake.Close()
	client := clientOf(fake, nil)

	fake.FailNext(razorpaytest.Fault{Op: razorpaytest.OpCreateOrder, LoseAnswer: true})
	order, err := client.CreateOrder(ctx, bill)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("an answer is lost:", order.Status, "of", len(fake.Receipts()), "order")

	refused := razorpaytest.Refuse("", http.StatusUnauthorized, "Authentication failed")
	refused.Times = -1
	fake.FailNext(refused)
	_, err = client.Order(ctx, order.ID)
	fmt.Println("another key is needed:", errors.Is(err, telemed.ErrUnauthorized), "after", fake.Count(razorpaytest.OpOrder), "request")

	fake.Reset()
	_, err = client.Order(ctx, order.ID)
	fmt.Println("all is well:", err)
	// Output:
	// an answer is lost: created of 1 order
	// another key is needed: true after 1 request
	// all is well: <nil>
}

// What runs in the background is waited for by what arrives. No test needs to sleep.
func ExampleServer_WaitFor() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	fake := start(razorpaytest.Config{})
	defer fake.Close()
	client := clientOf(fake, nil)

	done := make(chan error)
	go func() { // the application, after its own answer
		_, err := client.CreateOrder(ctx, bill)
		done <- err
	}()
	made, err := fake.WaitFor(ctx, func(r razorpaytest.Request) bool {
		// Answered; 0 while it is under way.
		return r.Op == razorpaytest.OpCreateOrder && r.Status == http.StatusOK
	})
	fmt.Println(made.Method, made.Path, err)
	fmt.Println(<-done)
	// Output:
	// POST /v1/orders <nil>
	// <nil>
}

// A server in memory needs no port, and fits into a testing/synctest bubble. Only its own
// client leads there.
func ExampleServer_Client() {
	ctx := context.Background()
	fake := start(razorpaytest.Config{InMemory: true, TLS: true})
	defer fake.Close()

	order, err := clientOf(fake, fake.Client()).CreateOrder(ctx, bill)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(order.Status)
	// Output: created
}

// A transport of the application's own reaches the server by Dial, and trusts it by its
// certificate. Another process is given the certificate as a file.
func ExampleServer_Dial() {
	ctx := context.Background()
	fake := start(razorpaytest.Config{TLS: true})
	defer fake.Close()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(fake.Certificate()) {
		log.Fatal("no certificate")
	}
	transport := &http.Transport{DialContext: fake.Dial, TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()

	order, err := clientOf(fake, &http.Client{Transport: transport}).CreateOrder(ctx, bill)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(order.Status)
	// Output: created
}
