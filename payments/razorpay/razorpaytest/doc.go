// Package razorpaytest is Razorpay on loopback, for a host's tests and demos:
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
// What it keeps: the shapes of Razorpay's documents and errors, its checks of
// amounts, receipts, notes and captures, idempotency of refunds by
// X-Refund-Idempotency, at-least-once webhooks. What it leaves out: fees,
// settlements, disputes, links, subscriptions, Route, partial payments.
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
