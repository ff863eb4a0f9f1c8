// Package razorpay takes payments with Razorpay.
//
//	client, err := razorpay.New(razorpay.Config{
//		KeyID:          "rzp_test_…",
//		KeySecret:      telemed.NewSecret(secret),
//		WebhookSecrets: []telemed.Secret{telemed.NewSecret(webhookSecret)},
//	})
//	order, err := client.CreateOrder(ctx, payments.OrderRequest{
//		Amount: payments.INR(50000), Key: "bill_000123",
//	})
//	// For checkout.js on the page.
//	options, err := client.Checkout(order, payments.CheckoutUI{Name: "Lotus Clinic"})
//	…
//	confirmation, err := client.ParseCallback(w, r) // what the page or the browser posts back
//	confirmation.Expected = bill.Amount             // of the bill that has confirmation.OrderID
//	payment, err := client.VerifyPayment(ctx, confirmation)
//	webhook, err := payments.NewWebhook(payments.WebhookConfig{Parser: client, Handle: paid})
//	mux.Handle("POST /webhooks/razorpay", webhook)
//
// Requests are built by Razorpay's own razorpay-go; what comes back is read
// here, for that library knows no context and loses cut answers, exact numbers
// and the status of errors.
//
// # One Key, one order
//
// Razorpay has no idempotency key for orders. Set Config.Claims to the application's
// database, or Config.UniqueReceipt where the account has the feature: then one Key makes
// one order in all processes, with one request as a rule. See [Client.CreateOrder].
//
// # Errors
//
// Failed calls are *[Error] and match the sentinels of package payments. Reads,
// refunds and captures are repeated a few times when the gateway fails or the
// answer is lost; an order is looked up by its receipt instead. Calls
// without a deadline end after 30 seconds.
//
// telemed.ErrInvalid means that the request is wrong. What Razorpay refuses because of how
// payment or account are (too little balance, too old a payment) is telemed.ErrConflict.
//
// # Security
//
// Three secrets are easily mixed up: the key secret (API and checkout
// signature), and the webhook's secret, which New insists on being another.
// Signatures are compared in constant time, over raw bytes, before anything is
// parsed. The key id may be seen by everybody.
//
// Razorpay's webhooks come from published addresses; a firewall may check them
// in addition: https://razorpay.com/docs/webhooks/
//
// # Testing
//
// Package razorpaytest is Razorpay on loopback; set Config.BaseURL to its URL.
package razorpay
