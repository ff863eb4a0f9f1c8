// Package paymentstest is for the tests of applications that take payments, and of
// packages that implement payments.PaymentGateway.
//
// [Gateway] is a gateway in memory: no network, and a method that pays as a
// patient would.
//
//	gateway := paymentstest.NewGateway()
//	booking := hospital.NewBooking(gateway)
//	order := booking.Checkout(…)
//	confirmation, err := gateway.Pay(order.ID)
//	gateway.FailNext(paymentstest.OpRefund, telemed.ErrUnavailable)
//
// It also pays in parts (PayPart) and with another amount than the order's (PayAs), has
// banks that answer late (AuthorizeLate), gives back what nobody captures (AutoRefund), and
// leaves refunds pending (HoldRefunds, SettleRefund).
//
// Callback is the form that a browser brings back, Webhook what the gateway sends; both are
// signed, for ParseCallback and ParseWebhook.
//
// [Run] checks any gateway against the contract of package payments, clause by clause.
// For Razorpay over real HTTP see package razorpaytest.
package paymentstest
