// Command razorpay takes a payment and gives it back.
//
// Without an account it walks the whole way against Razorpay on loopback. With
// RAZORPAY_KEY_ID and RAZORPAY_KEY_SECRET of a test account set, it makes an
// order there and says how to pay it; live keys are refused.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, os.Getenv)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, getenv func(string) string) error {
	cfg := razorpay.Config{KeyID: getenv("RAZORPAY_KEY_ID"), KeySecret: telemed.NewSecret(getenv("RAZORPAY_KEY_SECRET"))}
	var fake *razorpaytest.Server
	if cfg.KeyID == "" {
		var err error
		if fake, err = razorpaytest.Start(razorpaytest.Config{}); err != nil {
			return err
		}
		defer fake.Close()
		cfg.KeyID, cfg.KeySecret, cfg.BaseURL = fake.KeyID(), fake.KeySecret(), fake.URL()
	}
	client, err := razorpay.New(cfg)
	if err != nil {
		return err
	}
	if client.Mode() != razorpay.Test {
		return errors.New("this example takes test keys (rzp_test_…) only")
	}

	// The receipt is the bill's id: running this twice for one bill makes one order.
	order, err := client.CreateOrder(ctx, payments.OrderRequest{
		Amount: payments.INR(50000), Key: fmt.Sprintf("bill_%d", time.Now().UnixNano()), Capture: payments.CaptureAutomatic,
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "order:", order.ID, order.Amount, order.Status)
	if fake == nil {
		return howToPay(out, client, order)
	}

	paid, err := fake.Pay(order.ID) // the patient, on the payment page
	if err != nil {
		return err
	}
	payment, err := client.VerifyPayment(ctx, payments.Confirmation{
		OrderID: order.ID, Expected: order.Amount, PaymentID: paid.PaymentID, Signature: paid.Signature,
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "payment:", payment.ID, payment.Amount, payment.Status)
	refund, err := client.Refund(ctx, payments.RefundRequest{PaymentID: payment.ID, Key: "cancel/" + order.Key})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "refund:", refund.ID, refund.Amount, refund.Status)
	return err
}
