// Package payments says what a payment is: exact money, orders, verified
// payments, refunds and webhooks. Its leaves take the money; payments/razorpay
// is one.
//
// The whole of a payment, with a gateway in hand:
//
//	order, err := gateway.CreateOrder(ctx, payments.OrderRequest{
//		Amount: payments.INR(50000), // paise: 500 rupees
//		Key:    "bill_000123",       // the bill's own id: calling again makes no second order
//	})
//	// store order.ID and order.Amount with the bill; the patient pays on the page
//	payment, err := gateway.VerifyPayment(ctx, payments.Confirmation{
//		OrderID: bill.OrderID, Expected: bill.Amount, // from the database, not from the browser
//		PaymentID: result.PaymentID, Signature: result.Signature,
//	})
//	refund, err := gateway.Refund(ctx, payments.RefundRequest{
//		PaymentID: payment.ID, Key: "cancel_appointment_42",
//	})
//
// The browser may never come back, so mount a [Webhook] too; both roads end in the same
// code of the application, which keeps [Event.Fact] or the order id in a unique column
// and so books once. Neither may come: an [OrderFinder] tells what became of an order, and
// a [RefundFinder] of a refund.
//
// # The order is the truth
//
// [Order.IsPaid] decides over a bill. What the payer paid may differ from it by the
// gateway's own doing, and a captured payment may be one of several instalments. States go
// back: a refund that fails makes its payment captured again, and a payment that failed may
// be authorized days later.
//
// # Errors
//
// Every call that moves money carries a key of the application's and may be repeated
// with it. telemed.ErrAmbiguous means that the answer was lost: repeat with the same
// key, and do not tell the patient that it failed. telemed.ErrSignature,
// [ErrAmountMismatch] and [ErrOrderMismatch] mean that somebody is trying, or
// that the application mixed up two bills. [ErrPaymentIncomplete] is the usual failure
// of a payment; the order stays open for another attempt. [ErrPartlyPaid] is an
// instalment. telemed.ErrInvalid comes with a [FieldError] for each field that is wrong
// before the gateway is asked; what the gateway itself refuses is named by the leaf's own
// error.
//
// # Security
//
// A gateway's signature proves that a payment belongs to an order, not that it
// is paid nor how much: only VerifyPayment does. Keys, notes and
// descriptions are stored by the gateway; put nothing about the patient in
// them. Orders, payments, refunds and events print and log without notes and
// without the payer's data, which is in their Raw field alone.
//
// # Testing
//
// paymentstest.Gateway is a gateway in memory for unit tests, paymentstest.Run
// checks an implementation, and razorpay/razorpaytest is Razorpay on loopback:
// orders, a checkout page, refunds, signed webhooks.
package payments
