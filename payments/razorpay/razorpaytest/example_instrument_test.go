package razorpaytest_test

import (
	"context"
	"fmt"
	"log"

	"github.com/telemed-go/telemed/payments/razorpay/razorpaytest"
)

// A card of Razorpay's test mode with a one-time password that is too short fails; the order
// stays open, and a UPI id pays it.
func ExampleServer_PayWith() {
	fake := start(razorpaytest.Config{})
	defer fake.Close()
	order, err := clientOf(fake, nil).CreateOrder(context.Background(), bill)
	if err != nil {
		log.Fatal(err)
	}
	_, err = fake.PayWith(order.ID, razorpaytest.Instrument{Card: "4100 2800 0000 1007", OTP: "123"})
	fmt.Println(err)
	paid, err := fake.PayWith(order.ID, razorpaytest.Instrument{VPA: "success@razorpay"})
	fmt.Println(paid.OrderID == order.ID, err)
	// Output:
	// razorpaytest: 400: Your payment could not be completed due to incorrect OTP or verification details.
	// true <nil>
}
