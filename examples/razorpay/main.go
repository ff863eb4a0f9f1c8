// Command razorpay takes a payment and gives it back.
//
// Without an account it walks the whole way against Razorpay on loopback. With
// RAZORPAY_KEY_ID and RAZORPAY_KEY_SECRET of a test account set, it makes an order there
// and says how to pay it. Live keys are refused.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/telemed-go/telemed/examples/internal/local"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
)

func main() { local.Main(run) }

func run(ctx context.Context, out io.Writer, getenv func(string) string) error {
	providers := local.Providers{Getenv: getenv}
	defer providers.Close()
	cfg, err := providers.RazorpayConfig()
	if err != nil {
		return err
	}
	client, err := razorpay.New(cfg)
	if err != nil {
		return err
	}
	if client.Mode() != razorpay.Test {
		return errors.New("this example takes test keys (rzp_test_…) only")
	}

	// The Key is the bill's id. Running this twice for one bill makes one order.
	order, err := client.CreateOrder(ctx, payments.OrderRequest{
		Amount: payments.INR(50000), Key: fmt.Sprintf("bill_%d", time.Now().UnixNano()), Capture: payments.CaptureAutomatic,
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "order:", order.ID, order.Amount, order.Status)
	if providers.Razorpay == nil {
		return howToPay(out, client, order)
	}

	paid, err := providers.Razorpay.Pay(order.ID) // the patient, on the payment page
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
