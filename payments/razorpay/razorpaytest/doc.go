// Package razorpaytest is Razorpay on loopback, for an application's tests and demos:
// orders, payments, captures and refunds over its HTTP API, a checkout page for
// a browser, and signed webhooks. Nothing leaves the machine and no money moves;
// live keys are refused.
//
//	srv := razorpaytest.NewServer(t)
//	client, err := razorpay.New(razorpay.Config{
//		KeyID: srv.KeyID(), KeySecret: srv.KeySecret(),
//		WebhookSecrets: []telemed.Secret{srv.WebhookSecret()}, BaseURL: srv.URL(),
//	})
//	srv.SetWebhookURL(hospital.URL + "/webhooks/razorpay")
//	paid, err := srv.Pay(order.ID) // as a patient would on the page
//
// A browser pays at [Server.CheckoutURL]; the page works without JavaScript and
// posts the outcome to the application's callback URL, as Razorpay's redirect flow does.
//
// What it keeps: the shapes of Razorpay's documents and errors, its checks of every
// parameter, instalments, late banks, automatic refunds, idempotency of refunds by
// X-Refund-Idempotency, at-least-once webhooks that come again for a day. A parameter that
// it has not is refused with extra_field_sent, as Razorpay refuses what an account has not.
//
// # Other libraries
//
// Razorpay's Node SDK (npm razorpay 2.9.8) works against it unchanged, with
// razorpay.api.rq.defaults.baseURL set to [Server.URL]; a test makes each of its calls:
//
//	orders    create, all, fetch, edit, fetchPayments
//	payments  all, fetch, edit, capture, refund, fetchMultipleRefund, fetchRefund
//	refunds   all, fetch, edit
//
// All lists take from, to, count and skip; those of orders also authorized, receipt and
// expand[]=payments or payments.card; those of payments expand[]=card, emi, offers, refunds
// or token. These calls of the SDK are refused:
//
//	orders    fetchTransferOrder, viewRtoReview, editFulfillment
//	payments  createPaymentJson, createRecurringPayment, createUpi, validateVpa, otpGenerate,
//	          otpSubmit, otpResend, fetchTransfer, transfer, bankTransfer, fetchCardDetails,
//	          fetchPaymentDowntime, fetchPaymentDowntimeById, fetchPaymentMethods
//
// and so are all other resources: settlements, disputes, links, subscriptions, Route.
//
// # Time
//
// [Server.Advance] lets hours pass: webhooks come again, and what nobody captured goes back.
//
// # Failures
//
// [Server.FailNext] makes requests fail, as a [Fault] says: too many requests, server
// errors, HTML, cut bodies, lost connections, before or after the request took effect.
// [Server.HoldWebhooks] keeps webhooks back, and [Server.Deliver] sends them one by one,
// in any order and as often as the test wants. [Server.Requests] and [Server.Deliveries]
// tell what went over the wire.
//
// With Config.InMemory a whole story fits into a testing/synctest bubble: hours pass at
// once.
package razorpaytest
