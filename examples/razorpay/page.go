package main

import (
	"fmt"
	"io"

	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/payments/razorpay"
)

// howToPay prints a page that pays the order at the real Razorpay.
func howToPay(out io.Writer, client *razorpay.Client, order *payments.Order) error {
	options, err := client.Checkout(order, payments.CheckoutUI{Name: "Lotus Clinic", Description: "Consultation"})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, `To pay it with test money, save this as pay.html and open it; success@razorpay is a UPI id that pays.

<script src="%s"></script>
<script>
  const options = %s;
  options.handler = (result) => document.body.append(JSON.stringify(result));
  new Razorpay(options).open();
</script>

The page shows razorpay_payment_id and razorpay_signature. An application hands them to
VerifyPayment, with the order id and the amount from its own database.
`, razorpay.CheckoutScript, options)
	return err
}
